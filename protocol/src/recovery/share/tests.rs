use proptest::prelude::*;

use super::super::tests::{committee, helpers, secret, split};
use super::*;
use crate::vectors::for_each_vector;

#[test]
fn the_share_vectors_come_out_as_they_say() {
    for_each_vector("share", |vector| {
        let bytes = vector.body_hex();
        let Some(share) = vector.assert(Share::decode(&bytes)) else { return };
        assert_eq!(share.committee().to_string(), vector.field("committee"));
        assert_eq!(share.spare().to_string(), vector.field("spare"));
        assert_eq!(share.helper().to_string(), vector.field("helper"));
        assert_eq!(share.threshold().to_string(), vector.field("threshold"));
        assert_eq!(share.index().to_string(), vector.field("index"));
        assert_eq!(share.drill_code(), vector.field("drill-code"));
        assert_eq!(*share.encode(), bytes);
    });
}

/// Every share is 66 bits of code: one that is no longer the same reads otherwise.
#[test]
fn the_drill_code_is_one_shares_alone() {
    let mut codes: Vec<String> = split(2, 16).iter().map(Share::drill_code).collect();
    let other = secret().split(committee(), 2, &helpers(16), &[8; 32]).unwrap();
    codes.extend(other.iter().map(Share::drill_code));
    let again = split(2, 16)[0].drill_code();
    assert_eq!(again, codes[0]);
    assert_eq!(again.len(), "00000 00000 00000 00000".len());
    codes.sort();
    codes.dedup();
    assert_eq!(codes.len(), 32);
}

#[test]
fn a_share_is_for_one_committee_spare_helper_and_threshold() {
    let share = split(2, 3).swap_remove(0);
    let (spare, helper) = (share.spare(), share.helper());
    assert_eq!(share.is_for(committee(), spare, helper, 2), Ok(()));
    let other_committee = CommitteeId(Hash([1; 32]));
    for (result, error) in [
        (share.is_for(other_committee, spare, helper, 2), PeerShareError::OtherCommittee),
        (share.is_for(committee(), helper, helper, 2), PeerShareError::OtherSpare),
        (share.is_for(committee(), spare, helpers(3)[1], 2), PeerShareError::OtherHelper),
        (share.is_for(committee(), spare, helper, 3), PeerShareError::OtherThreshold),
    ] {
        assert_eq!(result, Err(error));
    }
}

/// A byte of value, blinding or commitments that changes is noticed; names are no part of what is
/// committed to, and are compared with the log.
#[test]
fn every_changed_number_and_commitment_is_noticed() {
    let share = split(2, 3).swap_remove(0);
    let bytes = share.encode();
    let numbers = 1 + 3 * 35 + 2 + 2;
    for at in numbers..bytes.len() {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        assert!(Share::decode(&changed).is_err(), "byte {at}");
    }
    let swapped = Share { index: 2, ..split(2, 3).swap_remove(0) };
    assert_eq!(Share::decode(&swapped.encode()).err(), Some(PeerShareError::Commitments));
}

proptest! {
    #[test]
    fn no_bytes_make_reading_a_share_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..800),
        at in 0_usize..250,
        byte: u8,
    ) {
        let _ = Share::decode(&bytes);
        let mut damaged = split(2, 3)[0].encode().to_vec();
        damaged[at] = byte;
        let _ = Share::decode(&damaged);
        let _ = Share::decode(&damaged[..at]);
    }
}
