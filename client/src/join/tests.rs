use sealpost_protocol::id::InvitationId;
use sealpost_protocol::invitation::InvitationSecret;
use sealpost_protocol::sign::{PublicKey, SigningKey};
use zeroize::Zeroizing;

use super::*;
use crate::clock::Clock;
use crate::vault::evidence::Exhibit;
use crate::vault::fixture;

fn invitation() -> Invitation {
    let key = PublicKey::from(SigningKey::from_bytes(&[9; 32]).verifying_key());
    let host = "relay.example:4433".parse().expect("a host");
    Invitation {
        address: RelayAddress::new(key, vec![host]).expect("an address"),
        committee: fixture::committee_id(7),
        head: (TreeSize(1), Hash::ZERO),
        id: InvitationId(Hash::of(b"invitation")),
        secret: InvitationSecret::new(Zeroizing::new([5; 32])),
        expires: UnixMillis(u64::MAX),
        uses: 1,
    }
}

fn asks(app: &mut App, handle: &str) -> Committee {
    asks_by(app, &invitation(), handle)
}

fn asks_by(app: &mut App, invitation: &Invitation, handle: &str) -> Committee {
    let text = invitation.to_text();
    let country = "CH".parse().expect("a country");
    save_joining(app, &Joining { invitation: &text, handle: handle.to_owned(), country })
        .expect("saved")
}

fn request(known: &Committee) -> JoinOpening {
    match Opening::of(known) {
        Ok(Some(Opening::Join(opening))) => opening,
        _ => panic!("no request"),
    }
}

#[test]
fn who_asks_again_in_other_words_keeps_the_first_request_and_all_that_was_seen() {
    let (_dir, home) = fixture::home();
    let (vault, secrets) = fixture::create(&home).expect("a vault");
    let clock = Clock::Stopped(UnixMillis(1_773_220_440_007));
    let mut app = App { vault, device: secrets.device, clock };
    let known = asks(&mut app, "baran");
    let first = request(&known).request;
    assert_eq!(request(&asks(&mut app, "baran")).request, first, "the same words, the same bytes");
    app.vault
        .write(|vault| vault.keep_evidence(known.no, Exhibit::Note, b"a lie", UnixMillis(1)))
        .expect("kept");
    let again = asks(&mut app, "robin");
    assert_eq!(again.no, known.no);
    let opening = request(&again);
    assert_eq!(opening.handle, "robin");
    assert_eq!(opening.earlier.expect("it still counts").request, first);
    let kept = app.vault.read(|vault| vault.evidence_count(known.no)).expect("counted");
    assert_eq!(kept, 1);
}

#[test]
fn an_invitation_is_not_in_what_a_committee_prints_as() {
    let (_dir, home) = fixture::home();
    let (vault, secrets) = fixture::create(&home).expect("a vault");
    let clock = Clock::Stopped(UnixMillis(1_773_220_440_007));
    let known = asks(&mut App { vault, device: secrets.device, clock }, "baran");
    let printed = format!("{known:?}");
    assert!(printed.contains("relay.example") && !printed.contains("sealpost1"), "{printed}");
}

#[test]
fn an_invitation_that_is_not_honoured_leaves_the_first_request_where_it_was() {
    let (_dir, home) = fixture::home();
    let (vault, secrets) = fixture::create(&home).expect("a vault");
    let clock = Clock::Stopped(UnixMillis(1_773_220_440_007));
    let mut app = App { vault, device: secrets.device, clock };
    let first = asks(&mut app, "baran");
    let key = PublicKey::from(SigningKey::from_bytes(&[8; 32]).verifying_key());
    let host = "eve.example:4433".parse().expect("a host");
    let address = RelayAddress::new(key, vec![host]).expect("an address");
    let known = asks_by(&mut app, &Invitation { address, ..invitation() }, "baran");
    assert!(known.relay.ends_with("eve.example:4433"));
    take_back(&mut app, known.no, request(&known).earlier).expect("taken back");
    let known = app.vault.read(|vault| vault.committee_no(known.no)).expect("known");
    assert_eq!((&known.relay, request(&known).request), (&first.relay, request(&first).request));
    take_back(&mut app, known.no, request(&known).earlier).expect("taken back");
    assert!(app.vault.read(crate::vault::Read::committees).expect("read").is_empty());
}
