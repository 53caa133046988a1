use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::*;
use crate::codec::{self, PeerCodecError};
use crate::limits::JOIN_REQUEST_BYTES_MAX;
use crate::vectors::for_each_vector;

fn secret() -> InvitationSecret {
    InvitationSecret::new(Zeroizing::new([0x5e; 32]))
}

fn invitation() -> Invitation {
    let key = "25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkena";
    Invitation {
        address: format!("sealpost://{key}@relay.example:443").parse().unwrap(),
        committee: CommitteeId(Hash([0xc0; 32])),
        head: (TreeSize(8), Hash([5; 32])),
        id: InvitationId(Hash([0x1d; 32])),
        secret: secret(),
        expires: UnixMillis(1_767_225_600_000),
        uses: 1,
    }
}

fn error_of(text: &str) -> Option<InvitationError> {
    Invitation::from_text(text).err()
}

#[test]
fn the_invitation_vectors_come_out_as_they_say() {
    for_each_vector("invitation", |vector| {
        let Some(read) = vector.assert(Invitation::from_text(vector.body_text())) else {
            return;
        };
        assert_eq!(read.address.to_string(), vector.field("address"));
        assert_eq!(read.committee, CommitteeId(Hash([0xc0; 32])));
        let root = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328";
        let size = TreeSize(vector.field("size").parse().unwrap());
        assert_eq!(read.head, (size, root.parse().unwrap()));
        assert_eq!(read.id, InvitationId(Hash([0x1d; 32])));
        assert_eq!(read.expires, UnixMillis(1_767_225_600_000));
        assert_eq!(read.uses.to_string(), vector.field("uses"));
        assert_eq!(read.secret.access_hash().to_string(), vector.field("access-hash"));
        assert_eq!(*read.secret.seal_passphrase(), vector.field("seal-passphrase"));
        let mac = HEXLOWER.encode(&read.secret.mac(b"abc"));
        assert_eq!(mac, vector.field("mac-of-abc"));
        assert_eq!(*read.to_text(), vector.body_text().trim().to_ascii_lowercase());
    });
}

#[test]
fn the_join_request_vectors_come_out_as_they_say() {
    for_each_vector("join-request", |vector| {
        let bytes = vector.body_hex();
        let Some(request) = vector.assert(JoinRequest::decode(&bytes)) else {
            return;
        };
        assert_eq!(request.handle(), vector.field("handle"));
        assert_eq!(request.country().to_string(), vector.field("country"));
        assert_eq!(HEXLOWER.encode(request.random()), vector.field("random"));
        assert_eq!(HEXLOWER.encode(request.card()), vector.field("card"));
        assert_eq!(request.encode(), bytes);
    });
}

#[test]
fn the_checksum_is_bech32m_without_its_length() {
    LongBech32m::sanity_check();
    // One of BIP 350's valid strings.
    let valid = "split1checkupstagehandshakeupstreamerranterredcaperredlc445v";
    assert!(CheckedHrpstring::new::<LongBech32m>(valid).is_ok());
    assert!(CheckedHrpstring::new::<Bech32m>(valid).is_ok());
    let long = bech32::encode_lower::<LongBech32m>(Hrp::parse(HRP).unwrap(), &[7; 900]).unwrap();
    assert!(CheckedHrpstring::new::<LongBech32m>(&long).is_ok());
    assert!(CheckedHrpstring::new::<Bech32m>(&long).is_err());
}

#[test]
fn every_mistyped_character_is_caught() {
    let text = invitation().to_text();
    for at in 0..text.len() {
        for symbol in "qpzry9x8gf2tvdw0s3jn54khce6mua7l1bio ".chars() {
            let mut typed = text.to_string();
            typed.replace_range(at..=at, &symbol.to_string());
            if typed == *text {
                continue;
            }
            let expected = match at < PREFIX.len() {
                true => InvitationError::NotAnInvitation,
                false => InvitationError::MistypedCharacter,
            };
            // A space at the end is white space around the text, and the character is missing.
            assert_eq!(error_of(&typed), Some(expected), "{symbol} at {at}");
        }
    }
}

#[test]
fn the_text_is_all_that_shows_the_secret() {
    let text = invitation().to_text();
    let again = Invitation::from_text(&text).unwrap();
    assert_eq!(again.secret.access(), secret().access());
    let sealed = SealedJoinRequest::new(again.id, &again.secret, vec![0xf1]).unwrap();
    let shown = format!("{sealed:?}");
    let access = *secret().access();
    assert!(!shown.contains(&HEXLOWER.encode(&access)));
    assert!(!shown.contains(&format!("{access:?}")));
    let request =
        JoinRequest::new(vec![1], [0; 16], "isla".to_owned(), "NO".parse().unwrap()).unwrap();
    assert!(!format!("{request:?}").contains("isla"));
}

#[test]
fn the_derived_values_differ() {
    let values = [*secret().access(), *secret().mac_key(), secret().access_hash().0];
    assert_eq!(values.iter().collect::<std::collections::BTreeSet<_>>().len(), values.len());
    assert_eq!(secret().seal_passphrase().len(), 43);
    let other = InvitationSecret::new(Zeroizing::new([0x5f; 32]));
    assert_ne!(other.access(), secret().access());
}

#[test]
fn a_join_request_opens_for_the_inviter_only_as_it_was_made() {
    let file = b"an age file".to_vec();
    let sealed = SealedJoinRequest::new(invitation().id, &secret(), file.clone()).unwrap();
    let bytes = codec::encode(&sealed);
    let read: SealedJoinRequest = codec::decode(&bytes, bytes.len()).unwrap();
    assert_eq!(read.invitation(), &invitation().id);
    assert_eq!(read.access_hash(), secret().access_hash());

    let kept = codec::encode(&read.into_kept());
    let access = *secret().access();
    assert!(!kept.windows(32).any(|window| window == access), "the relay keeps the proof");
    let served: KeptJoinRequest = codec::decode(&kept, kept.len()).unwrap();
    assert_eq!(served.verified_file(&secret()), Ok(file.as_slice()));

    let other = InvitationSecret::new(Zeroizing::new([0x5f; 32]));
    assert_eq!(served.verified_file(&other), Err(PeerBadMac));
    let at = kept.windows(file.len()).position(|window| window == file).unwrap();
    for byte in (at..at + file.len()).chain(kept.len() - MAC_BYTES..kept.len()) {
        let mut changed = kept.clone();
        changed[byte] ^= 1;
        let changed: KeptJoinRequest = codec::decode(&changed, kept.len()).unwrap();
        assert_eq!(changed.verified_file(&secret()), Err(PeerBadMac));
    }
}

#[test]
fn a_join_request_file_has_a_limit_both_ways() {
    let of = |len| SealedJoinRequest::new(invitation().id, &secret(), vec![0; len]);
    let largest = of(JOIN_REQUEST_BYTES_MAX).unwrap();
    assert_eq!(codec::decode(&codec::encode(&largest), 10_000), Ok(largest.clone()));
    let (len, max) = (JOIN_REQUEST_BYTES_MAX + 1, JOIN_REQUEST_BYTES_MAX);
    let too_large = PeerCodecError::TooLarge { len, max };
    assert_eq!(of(len), Err(PeerJoinRequestError::Codec(too_large)));
    // The same with one byte more in the file: its length is at a fixed place before it.
    let mut longer = codec::encode(&largest);
    let at = longer.windows(2).position(|pair| pair == [0x20, 0x00]).unwrap();
    longer[at + 1] = 1;
    longer.insert(at + 2, 0);
    let refused = codec::decode::<SealedJoinRequest>(&longer, 10_000);
    assert!(matches!(refused, Err(PeerCodecError::Malformed(_))), "{refused:?}");
}

#[test]
fn a_text_longer_than_any_invitation_is_none() {
    let text = |len: usize| format!("{PREFIX}{}", "q".repeat(len - PREFIX.len()));
    let max = INVITATION_TEXT_BYTES_MAX;
    assert_eq!(error_of(&text(max)), Some(InvitationError::MistypedCharacter));
    assert_eq!(error_of(&text(max + 1)), Some(InvitationError::NotAnInvitation));
}

proptest! {
    #[test]
    fn what_is_made_reads_back(
        numbers in any::<(u64, u64)>(),
        bytes in any::<([u8; 32], [u8; 32], [u8; 32], [u8; 32])>(),
        uses in 1..=INVITATION_USES_MAX,
    ) {
        let made = Invitation {
            committee: CommitteeId(Hash(bytes.0)),
            head: (TreeSize(numbers.0), Hash(bytes.1)),
            id: InvitationId(Hash(bytes.2)),
            secret: InvitationSecret::new(Zeroizing::new(bytes.3)),
            expires: UnixMillis(numbers.1),
            uses,
            ..invitation()
        };
        let text = made.to_text();
        let read = Invitation::from_text(&text.to_ascii_uppercase()).ok();
        let read = read.expect("what is made is accepted");
        prop_assert_eq!(read.to_text(), text);
        prop_assert_eq!(
            (read.committee, read.head, read.id, read.expires, read.uses),
            (made.committee, made.head, made.id, made.expires, made.uses)
        );
        prop_assert_eq!(read.secret.access(), made.secret.access());
    }

    #[test]
    fn no_text_makes_reading_panic(text in "\\PC{0,60}", data in "[a-z0-9]{0,60}") {
        for typed in [text.clone(), [PREFIX, &data].concat(), [PREFIX, &text].concat()] {
            prop_assert!(error_of(&typed).is_some());
        }
    }

    #[test]
    fn no_content_makes_reading_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        prop_assert!(error_of(&to_bech32(&bytes)).is_some());
        let mut changed = from_bech32(&invitation().to_text()).unwrap();
        let at = at.index(changed.len());
        changed[at] = byte;
        let _ = error_of(&to_bech32(&changed));
        let _ = JoinRequest::decode(&bytes);
    }
}
