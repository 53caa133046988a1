use super::*;
use crate::hash::Hash;
use crate::world::TestDevice;

fn secret(seed: u8) -> InvitationSecret {
    InvitationSecret::new([seed; 32].into())
}

fn request(device: u8, handle: &str) -> JoinRequest {
    let card = TestDevice::new(device).card.as_bytes().to_vec();
    JoinRequest::new(card, [3; 16], handle.to_owned(), "PH".parse().unwrap()).unwrap()
}

fn invitation() -> InvitationId {
    InvitationId(Hash::of(b"invitation"))
}

#[test]
fn a_sealed_request_opens_for_the_inviter_alone() {
    let sealed = seal_join_request(invitation(), &secret(1), &request(1, "isla")).unwrap();
    let kept = sealed.into_kept();
    let opened = open_join_request(&kept, &secret(1)).unwrap();
    assert_eq!(opened.request.handle(), "isla");
    assert_eq!(opened.card.device(), TestDevice::new(1).id());
    assert!(matches!(open_join_request(&kept, &secret(2)), Err(PeerJoinError::Mac(_))));
}

#[test]
fn requests_have_one_size() {
    let size = |handle: &str| {
        let sealed = seal_join_request(invitation(), &secret(1), &request(1, handle)).unwrap();
        crate::codec::encode(&sealed).len()
    };
    assert_eq!(size("i"), size(&"i".repeat(limits::HANDLE_BYTES_MAX)));
}

#[test]
fn a_card_that_is_none_is_refused() {
    let broken = JoinRequest::new(vec![1], [3; 16], "isla".to_owned(), "PH".parse().unwrap());
    let sealed = seal_join_request(invitation(), &secret(1), &broken.unwrap()).unwrap();
    let refused = open_join_request(&sealed.into_kept(), &secret(1));
    assert!(matches!(refused, Err(PeerJoinError::Card(_))));
}

/// By hand: the number of Python's `hashlib.scrypt(committee + card + random, salt=b"sealpost/1
/// safety", n=32768, r=8, p=1, dklen=32)`, big-endian, modulo 10^20.
#[test]
fn the_safety_number_is_the_one_the_spec_shows() {
    let request =
        JoinRequest::new(vec![0xca; 40], [0x4a; 16], "isla".to_owned(), "NO".parse().unwrap());
    let number = safety_number(CommitteeId(Hash([0xc0; 32])), &request.unwrap());
    assert_eq!(number, "72069 63967 76745 64646");
}

#[test]
fn the_safety_number_changes_with_everything_it_covers() {
    let committee = CommitteeId(Hash::of(b"committee"));
    let number = safety_number(committee, &request(1, "isla"));
    assert_eq!(number.len(), 4 * 5 + 3);
    assert_eq!(number, safety_number(committee, &request(1, "another handle")), "the card counts");
    assert_ne!(number, safety_number(CommitteeId(Hash::of(b"x")), &request(1, "isla")));
    assert_ne!(number, safety_number(committee, &request(2, "isla")));
    let card = TestDevice::new(1).card.as_bytes().to_vec();
    let other = JoinRequest::new(card, [4; 16], "isla".to_owned(), "PH".parse().unwrap());
    assert_ne!(number, safety_number(committee, &other.unwrap()));
}
