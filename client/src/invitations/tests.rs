use sealpost_protocol::card::{RECIPIENT_BYTES, RecipientBytes};
use sealpost_protocol::identity::DeviceIdentity;
use sealpost_protocol::invitation::JoinRequest as Request;

use super::*;
use crate::village::{MemoryRelay, Person};

const WISH: Wish =
    Wish { whom: For::Person(RoleName::Member), uses: 100, lives: Duration::from_secs(3_600) };

/// Isla's committee, and an invitation to it that her vault holds.
fn scene() -> (Person, Committee, Kept) {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let (_, kept) = make(&isla.app, isla.no, WISH, UnixMillis(1)).expect("made");
    isla.app.vault.write(|vault| vault.put_invitation(&kept)).expect("kept");
    let known = isla.app.vault.read(|vault| vault.committee_no(isla.no)).expect("known");
    (isla, known, kept)
}

fn device(seed: u8) -> DeviceIdentity {
    let mut seeds = [seed; 96];
    seeds[..32].fill(seed.wrapping_add(100));
    DeviceIdentity::generate(&seeds)
}

/// A request on that invitation, as the relay keeps it.
fn asks(kept: &Kept, card: &Card, random: u8, handle: &str) -> JoinOf {
    let invitation = Invitation::from_text(&kept.text).expect("an invitation");
    let country = "NO".parse().expect("a country");
    let request = Request::new(card.as_bytes().to_vec(), [random; 16], handle.to_owned(), country);
    let sealed =
        seal::seal_join_request(invitation.id, &invitation.secret, &request.expect("sound"));
    JoinOf { invitation: invitation.id, request: sealed.expect("sealed").into_kept() }
}

fn keep(isla: &mut Person, new: &[JoinRequest]) {
    let kept = isla
        .app
        .vault
        .write(|vault| new.iter().try_for_each(|request| vault.put_join_request(request)));
    kept.expect("kept");
}

#[test]
fn a_request_costs_its_safety_number_once_however_often_it_is_shown() {
    let (mut isla, known, kept) = scene();
    let card = device(3).card();
    let join = asks(&kept, &card, 1, "baran");
    let shown = vec![join.clone(), join.clone(), join];
    let new = new_on(&isla.app, &known, &kept, &shown, &[]);
    assert_eq!(new.len(), 1);
    keep(&mut isla, &new);
    assert!(new_on(&isla.app, &known, &kept, &shown, &new).is_empty());
}

#[test]
fn no_more_requests_are_taken_than_an_honest_relay_keeps_waiting() {
    let (isla, known, kept) = scene();
    let card = device(3).card();
    let first = new_on(&isla.app, &known, &kept, &[asks(&kept, &card, 1, "baran")], &[]);
    let waiting = |count: usize| vec![first[0].clone(); count];
    let another = [asks(&kept, &card, 2, "baran")];
    let taken = |held: &[JoinRequest]| new_on(&isla.app, &known, &kept, &another, held).len();
    assert_eq!(taken(&waiting(JOIN_REQUESTS_MAX - 1)), 1);
    assert_eq!(taken(&waiting(JOIN_REQUESTS_MAX)), 0);
    let (_, other) = make(&isla.app, isla.no, WISH, UnixMillis(1)).expect("made");
    let garbage = JoinOf { invitation: kept.id, ..asks(&other, &card, 3, "eve") };
    let crowd = [vec![garbage; JOIN_REQUESTS_MAX], another.to_vec()].concat();
    assert_eq!(new_on(&isla.app, &known, &kept, &crowd, &[]).len(), 0, "none is even opened");
}

#[test]
fn nobody_is_admitted_under_a_handle_that_is_taken_reads_like_one_or_hides_something() {
    let (isla, known, kept) = scene();
    for (handle, admitted) in [
        ("isla", false),
        (" ISLA ", false),
        ("is\u{200b}la", false),
        ("\u{456}sla", false),
        ("isl\u{61}\u{301}", true),
    ] {
        let random = u8::try_from(handle.len()).expect("short");
        let card = device(random).card();
        let new = new_on(&isla.app, &known, &kept, &[asks(&kept, &card, random, handle)], &[]);
        let made = admission(&isla.app, &kept, &new[0]);
        assert_eq!(made.is_ok(), admitted, "{handle:?}: {made:?}");
        if let Ok(Intent::Admit { handle, .. }) = made {
            assert_eq!(handle, "isl\u{e1}", "kept in its one spelling");
        }
    }
}

#[test]
fn a_device_that_nothing_can_be_sealed_to_is_not_admitted() {
    let (isla, known, kept) = scene();
    let device = device(3);
    // No coefficient of an ML-KEM key is that large.
    let unusable = RecipientBytes(Box::new([0xff; RECIPIENT_BYTES]));
    let card = Card::sign(device.signing_key(), device.login_key(), &unusable);
    let new = new_on(&isla.app, &known, &kept, &[asks(&kept, &card, 1, "eve")], &[]);
    let failure = admission(&isla.app, &kept, &new[0]).expect_err("refused");
    assert_eq!(failure.kind, Error::Verification);
    let new = new_on(&isla.app, &known, &kept, &[asks(&kept, &device.card(), 2, "eve")], &[]);
    admission(&isla.app, &kept, &new[0]).expect("the honest case");
}

#[test]
fn only_a_coordinator_lets_anybody_in() {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let mut baran = Person::joins("baran", &mut isla, &mut relay);
    let not_yet = must_coordinate(&baran.app, &baran.log()).expect_err("nothing is known");
    assert_eq!(not_yet.kind, Error::NotDelivered);
    baran.follows(&relay).expect("let in");
    let no = must_coordinate(&baran.app, &baran.log()).expect_err("a member");
    assert_eq!(no.kind, Error::NotAllowed);
    assert_eq!(
        make(&baran.app, baran.no, WISH, UnixMillis(1)).err().map(|no| no.kind),
        Some(Error::NotAllowed)
    );
    must_coordinate(&isla.app, &isla.log()).expect("she founded it");
}

#[test]
fn who_asked_in_time_is_asked_for_after_the_invitations_end_too() {
    let (_, _, kept) = scene();
    let kept = Kept { state: InvitationState::Open, expires: UnixMillis(1_000), ..kept };
    assert!(is_remembered(&kept, UnixMillis(999)));
    assert!(is_remembered(&kept, UnixMillis(1_000 + REMEMBERED_MILLIS - 1)));
    assert!(!is_remembered(&kept, UnixMillis(1_000 + REMEMBERED_MILLIS)));
    let cancelled = Kept { state: InvitationState::Cancelled, ..kept };
    assert!(!is_remembered(&cancelled, UnixMillis(999)));
}

#[test]
fn whom_an_invitation_is_for_reads_back_and_a_share_is_handed_over_by_holders_alone() {
    let (isla, _, kept) = scene();
    let roles = [RoleName::Coordinator, RoleName::Member, RoleName::Reader].map(For::Person);
    let others = [For::OwnDevice, For::Recovery(MemberNumber(7))];
    for whom in roles.into_iter().chain(others) {
        let kept = Kept { role: whom.to_string(), ..kept.clone() };
        assert_eq!(For::of(&kept).expect("reads"), whom);
    }
    for role in ["recovery of", "recovery of isla", "admin"] {
        For::of(&Kept { role: role.to_owned(), ..kept.clone() }).expect_err(role);
    }
    let refused = may_invite(&isla.app, &isla.log(), For::Recovery(MemberNumber(7)));
    assert_eq!(refused.expect_err("no share is held").kind, Error::NotFound);
}
