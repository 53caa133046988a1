//! Logs with every change of a roster: as they are folded on restart, and by `check`.

use sealpost_protocol::change::Target;
use sealpost_protocol::id::MemberNumber;
use sealpost_protocol::roster::{Proposal, Proposed, Standing as Stands};
use sealpost_protocol::world::{remove, restore, set_approvals, set_role, suspend};

use super::*;
use crate::store;

/// A log with every change that may be made, that leaves a proposal and a suspension undecided.
async fn all_changes() -> Fixture {
    let mut fixture = Fixture::new().await;
    let [founder, device] = [FOUNDER, MEMBER].map(TestDevice::new);
    let [second, third, reader] = [3, 4, 5].map(TestDevice::new);
    let world = &mut fixture.world;
    for coordinator in [&second, &third] {
        world.admit(&founder, coordinator, MemberRole::Coordinator).unwrap();
    }
    world.admit(&founder, &reader, MemberRole::Member).unwrap();
    world.change(&founder, &set_role(MemberNumber(5), MemberRole::Reader)).unwrap();
    world.change(&founder, &set_approvals(2)).unwrap();
    world.record(&device).unwrap();
    let target = Target::Device(reader.id());
    world.change(&founder, &suspend(target)).unwrap();
    world.change_locks(&device).unwrap();
    let proposed = world.change(&second, &restore(target)).unwrap().entry.leaf();
    world.approve(&founder, proposed).unwrap();
    let proposed = world.change(&second, &remove(MemberNumber(5))).unwrap().entry.leaf();
    world.approve(&third, proposed).unwrap();
    world.change(&founder, &suspend(Target::Member(MemberNumber(4)))).unwrap();
    world.change_locks(&founder).unwrap();
    world.change(&second, &remove(MemberNumber(2))).unwrap();
    let new = fixture.world.log[2..].to_vec();
    assert_eq!(accepted(&fixture.push(login(&founder), new).await).len(), 15);
    fixture
}

fn fold_of(fixture: &Fixture) -> Committee {
    fixture.service.log(fixture.committee()).unwrap().with_fold(Committee::clone)
}

/// The honest case: there is something in the fold that an older one could not hold.
fn assert_whole(fold: &Committee) {
    let roster = fold.roster();
    let waits =
        |(_, proposal): (Hash, &Proposal)| proposal.change == Proposed::Remove(MemberNumber(2));
    assert!(roster.proposals().any(waits));
    assert_eq!(roster.undecided().count(), 1);
    let ended = roster.member(MemberNumber(5)).unwrap().standing;
    assert!(matches!(ended, Stands::Ended(LeafIndex(13))), "{ended:?}");
}

#[tokio::test]
async fn a_log_with_every_change_is_folded_again_on_restart_and_by_check() {
    let fixture = all_changes().await;
    assert_whole(&fold_of(&fixture));
    let fixture = fixture.restart().await;
    assert_eq!(fold_of(&fixture), fixture.world.committee);
    assert_eq!(check_logs(fixture.service.store().as_ref()).await.unwrap(), 17);
    let Fixture { service, home, .. } = fixture;
    drop(service);
    let mut examiner = Examiner::new(Some(relay_key().verifying_key()));
    let found = store::check(&home.disk, &home.path, &mut examiner).unwrap();
    let lost: Vec<_> = found.iter().filter(|found| !found.fault.is_mended()).collect();
    assert!(lost.is_empty(), "{lost:?}");
    assert_eq!((examiner.entries(), examiner.logs()), (17, 1));
}

/// A fold as it was kept when a roster had that many fields, and nothing was missed yet: the same maps
/// without the last ones.
fn as_before(fold: &Committee, fields: u8) -> Vec<u8> {
    let (bytes, roster) = (codec::encode(fold), codec::encode(fold.roster()));
    let bytes = bytes.strip_suffix(&[5, 0x80]).expect("what is missed comes last");
    let before_roster = bytes.len() - roster.len();
    assert!(bytes[before_roster..] == roster, "then the roster");
    assert_eq!(bytes[0], 0xa6);
    let mut decoder = minicbor::Decoder::new(&roster);
    assert_eq!(decoder.map().unwrap(), Some(12));
    for _ in 0..2 * fields {
        decoder.skip().unwrap();
    }
    let first_fields = &roster[1..decoder.position()];
    [&[0xa5], &bytes[1..before_roster], &[0xa0 + fields], first_fields].concat()
}

#[tokio::test]
async fn a_snapshot_of_an_older_fold_is_not_misread() {
    // Before there were proposals and suspensions, and before there were spares.
    for fields in [9, 11] {
        let fixture = all_changes().await;
        let size = fixture.world.committee.size();
        let old = as_before(&fixture.world.committee, fields);
        let store = fixture.service.store().clone();
        store.put_snapshot(fixture.committee(), size, old.into()).await.unwrap();
        drop(store);
        let fixture = fixture.restart().await;
        assert_whole(&fold_of(&fixture));
        assert_eq!(fold_of(&fixture), fixture.world.committee);
    }
}
