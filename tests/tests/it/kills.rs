//! A hundred SIGKILLs for relays and a hundred for clients (row F1), and some while a file is on its way. The
//! longer campaigns: `cargo run --release -p sealpost-tests --bin campaign -- kills --seed S --rounds N`, and
//! `-- blobs --seed S --rounds N` for a file of 200 MB.

use sealpost_tests::campaign::blobs::Carriage;
use sealpost_tests::campaign::kills::Office;
use sealpost_tests::programs::Programs;

use crate::programs;

const SEED: u64 = 0x5ea1_0002;
const KILLS: u64 = 100;
const UNFINISHED_MIN: u64 = 30;

/// The relay is the one that dies when told to.
fn mortal() -> Programs {
    Programs { relay: env!("CARGO_BIN_EXE_sealpost-relay-dying").into(), ..programs() }
}

#[test]
fn a_killed_relay_loses_nothing_accepted_and_is_gone_on_with() {
    let mut office = Office::open(&mortal(), SEED);
    let told = office.kill_relays(KILLS);
    println!("seed {SEED}: {told:?} of relays");
    office.audit();
    assert_eq!(told.kills, KILLS);
    assert!(told.unfinished >= UNFINISHED_MIN, "{told:?}");
    // Only who has sent what was not acknowledged asks again within that time: some ten of a hundred. Without the
    // tokens of the relay's earlier life it is nobody.
    assert!(told.survivors > 0, "clients do not hear that their relay was started again: {told:?}");
}

#[test]
fn a_killed_client_loses_nothing_and_sends_the_same_bytes_again() {
    let mut office = Office::open(&mortal(), SEED);
    let told = office.kill_clients(KILLS);
    println!("seed {SEED}: {told:?} of clients");
    office.audit();
    assert_eq!(told.kills, KILLS);
    assert!(told.unfinished >= UNFINISHED_MIN, "{told:?}");
}

#[test]
fn a_file_that_is_killed_on_its_way_is_gone_on_with() {
    let mut carriage = Carriage::open(&programs(), SEED, 24 * 1024 * 1024);
    let (sent, fetched) = (carriage.upload(8), carriage.download(8));
    println!("seed {SEED}: {sent:?} while it was sent, {fetched:?} while it was fetched");
    carriage.audit();
    for told in [sent, fetched] {
        assert!(told.kills >= 4 && told.resumed >= 2, "{told:?}");
    }
}
