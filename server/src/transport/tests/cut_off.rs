//! A device that is suspended while it is connected, over QUIC, with a real log behind it.

use std::time::Instant;

use sealpost_protocol::change::{Role, Target};
use sealpost_protocol::entry::Entry;
use sealpost_protocol::frame::{HeadState, PushRequest};
use sealpost_protocol::world::{TestDevice, World, record_file, suspend};

use super::foreign::{MEMBER as FOUNDER, Served};
use super::*;

const MEMBER: u8 = 5;
const OTHER: u8 = 6;
/// From the answer to whoever suspends until the device is gone.
const BAR: Duration = Duration::from_secs(1);

async fn push(peer: &Peer, world: &World) {
    let entries = vec![world.log[world.log.len() - 1].clone().into()];
    let push = PushRequest { committee: world.committee.id(), entries };
    let reply = peer.ask(&Request::Push(push)).await;
    let [Reply::Pushed(pushed)] = &reply[..] else { panic!("{reply:?}") };
    let accepted = matches!(pushed.results[..], [frame::PushResult::Accepted(_)]);
    assert!(accepted, "{:?}", pushed.results);
}

/// A committee that the member and another are in.
async fn found(served: &Served, founder: u8) -> (World, Peer) {
    let mut world = served.found(founder).await;
    let peer = served.peer(founder).await;
    for newcomer in [MEMBER, OTHER] {
        let newcomer = TestDevice::new(newcomer);
        world.admit(&TestDevice::new(founder), &newcomer, Role::Member).unwrap();
        push(&peer, &world).await;
    }
    (world, peer)
}

async fn suspend_member(world: &mut World, founder: (u8, &Peer)) -> Instant {
    let target = Target::Device(TestDevice::new(MEMBER).id());
    world.change(&TestDevice::new(founder.0), &suspend(target)).unwrap();
    push(founder.1, world).await;
    Instant::now()
}

fn heads_of(worlds: &[&World]) -> HeadsRequest {
    let ask = |world: &&World| HeadAsk { committee: world.committee.id(), size: TreeSize(4) };
    HeadsRequest { committees: worlds.iter().map(ask).collect() }
}

#[tokio::test]
async fn a_suspended_devices_connections_are_closed_within_a_second_and_nobody_elses() {
    let served = Served::start().await;
    let (mut here, founder) = found(&served, FOUNDER).await;
    let (mut elsewhere, other_founder) = found(&served, FOUNDER + 1).await;
    let both = heads_of(&[&here, &elsewhere]);
    let (watching, idle) = (served.peer(MEMBER).await, served.peer(MEMBER).await);
    let mut watch = watching.send(&frame::encode(&Request::Watch(both.clone()))).await;
    let bystander = served.peer(OTHER).await;
    let mut goes_on = bystander.send(&frame::encode(&Request::Watch(both.clone()))).await;
    // The relay has begun both watches when it has told of a growth.
    elsewhere.record(&TestDevice::new(FOUNDER + 1)).unwrap();
    push(&other_founder, &elsewhere).await;
    for watch in [&mut watch, &mut goes_on] {
        assert!(matches!(watch.next().await, Ok(Some(Reply::Grown(_)))));
    }

    let suspended = suspend_member(&mut here, (FOUNDER, &founder)).await;
    for peer in [&watching, &idle] {
        let closed = timeout(BAR, peer.connection.closed()).await.expect("it is closed at once");
        assert_eq!(close_code(&closed), Some(CloseCode::CutOff));
    }
    assert!(suspended.elapsed() < BAR);
    let ended = async { while let Ok(Some(_)) = watch.next().await {} };
    timeout(BAR, ended).await.expect("its watch has ended");
    assert!(matches!(goes_on.next().await, Ok(Some(Reply::Grown(_)))), "the bystander hears of it");
    assert!(bystander.connection.close_reason().is_none());
    let turned = r#"sealpost_relay_connections_turned_total{why="CutOff"} 2"#;
    assert!(served.metrics.text().lines().any(|line| line == turned), "{turned}");

    let again = served.peer(MEMBER).await;
    let reply = again.ask(&Request::Heads(both.clone())).await;
    let [Reply::Heads(states)] = &reply[..] else { panic!("{reply:?}") };
    assert!(matches!(states[..], [HeadState::NotActive(_), HeadState::Other(_)]), "{states:?}");
    let pull = PullRequest { committee: here.committee.id(), from: TreeSize(0) };
    let reply = again.ask(&Request::Pull(pull)).await;
    assert!(matches!(reply[..], [Reply::NotActive(_)]), "{reply:?}");
    let refused = r#"sealpost_relay_requests_total{request="pull",outcome="NotActive"} 1"#;
    let counted = async {
        while !served.metrics.text().lines().any(|line| line == refused) {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), counted).await.expect("it is counted");
    let mut watch = again.send(&frame::encode(&Request::Watch(both))).await;
    let Ok(Some(Reply::Grown(grown))) = watch.next().await else { panic!("it watches the other") };
    assert_eq!(grown.committee, elsewhere.committee.id());
}

/// Many at a time, and all of them taken as they come, so that their lines are full when the
/// cut-off comes.
#[tokio::test]
async fn a_pull_under_way_ends_with_the_connection() {
    let served = Served::start().await;
    let (mut here, founder) = found(&served, FOUNDER).await;
    let author = TestDevice::new(FOUNDER);
    let file = [record_file(), vec![7; 200_000]].concat();
    for _ in 0..100 {
        let entry = Entry::sign(here.record_header(&author), file.clone(), &author.signing);
        here.push(&entry).unwrap();
        push(&founder, &here).await;
    }
    let all = here.log.len();
    let pull = PullRequest { committee: here.committee.id(), from: TreeSize(0) };
    let pull = frame::encode(&Request::Pull(pull));
    let mut under_way = Vec::new();
    for _ in 0..Limits::default().key_connections_max {
        let peer = served.peer(MEMBER).await;
        let mut answer = peer.send(&pull).await;
        let taking = tokio::spawn(async move {
            let mut came = 0;
            while let Ok(Some(reply)) = answer.next().await {
                let Reply::Entries(more) = reply else { panic!("{reply:?}") };
                came += more.len();
            }
            came
        });
        under_way.push((peer, taking));
    }
    suspend_member(&mut here, (FOUNDER, &founder)).await;
    for (peer, taking) in under_way {
        let closed = timeout(BAR, peer.connection.closed()).await.expect("it is closed at once");
        assert_eq!(close_code(&closed), Some(CloseCode::CutOff));
        let came = taking.await.unwrap();
        assert!(came < all, "{came} of {all}");
    }
}
