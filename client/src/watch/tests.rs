use std::net::Ipv4Addr;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::*;
use crate::village::{MemoryRelay, Person};

#[tokio::test]
async fn a_watch_ends_when_it_is_told_to_even_while_a_relay_is_silent() {
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
            ended = watch(&mut isla.app, |_| Ok(())) => ended,
            () = stop => unreachable!("it waits for ever"),
        }
    };
    // One handshake alone is waited for longer than that.
    let patience = Deadlines::default().handshake / 2;
    timeout(patience, ended).await.expect("at once").expect("without a failure");
}
