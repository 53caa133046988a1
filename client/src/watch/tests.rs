use std::net::Ipv4Addr;

use tokio::net::UdpSocket;
use tokio::sync::Mutex;
use tokio::time::timeout;

use sealpost_protocol::code::Code;
use sealpost_protocol::frame::{self, Empty, HeadState, Refused};

use super::*;
use crate::transport::tests::relay::{Relay, Script};
use crate::village::{MemoryRelay, Person};

/// A signal to this process ends every watch in it.
static ALONE: Mutex<()> = Mutex::const_new(());

#[tokio::test]
async fn a_watch_ends_when_it_is_told_to_even_while_a_relay_is_silent() {
    let _alone = ALONE.lock().await;
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    let host = silent.local_addr().expect("bound").to_string().parse().expect("a host");
    let address = RelayAddress::new(*relay.address().key(), vec![host]).expect("an address");
    let moved = isla.app.vault.write(|vault| vault.set_relay(isla.no, &address.to_string()));
    moved.expect("stored");
    let stop = async {
        silent.recv_from(&mut [0; 2_048]).await.expect("it is being dialled");
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::TERM).expect("told");
        std::future::pending::<()>().await;
    };
    let ended = async {
        tokio::select! {
            ended = watch(&mut isla.app, Opened::Passphrase, |_| Ok(())) => ended,
            () = stop => unreachable!("it waits for ever"),
        }
    };
    // Two handshakes are tried with a relay before it is given up.
    let patience = Deadlines::default().handshake * 3 / 2;
    timeout(patience, ended).await.expect("at once").expect("without a failure");
}

/// Says that there is news whenever it is asked, and never has any.
fn cries_wolf(request: &Request) -> Vec<u8> {
    frame::encode(&match request {
        Request::Heads(asked) => {
            Reply::Heads(asked.committees.iter().map(|_| HeadState::Same(Empty {})).collect())
        }
        Request::Watch(asked) => Reply::Grown(asked.committees[0]),
        Request::Cosign(_) => Reply::Done(Empty {}),
        _ => Reply::Refused(Refused { code: Code::Busy }),
    })
}

#[tokio::test]
async fn a_relay_that_tells_of_news_it_does_not_have_is_heard_less_and_less() {
    let _alone = ALONE.lock().await;
    let mut isla = Person::founds("isla", &mut MemoryRelay::new(9));
    let relay = Relay::honest(Script::Answer(cries_wolf));
    let moved = isla.app.vault.write(|vault| vault.set_relay(isla.no, &relay.address.to_string()));
    moved.expect("stored");
    let watching = watch(&mut isla.app, Opened::Passphrase, |_| Ok(()));
    timeout(Duration::from_secs(1), watching).await.expect_err("it stays");
    let dialled = relay.seen.logins.lock().expect("nobody panicked").len();
    assert!((1..=6).contains(&dialled), "dialled {dialled} times in a second");
}
