use super::*;
use crate::codec;
use crate::limits;
use crate::sign::{BadSignature, EntryDomain};
use crate::vectors::for_each_vector;
use crate::world::TestDevice;

#[test]
fn the_change_vectors_come_out_as_they_say() {
    for_each_vector("change", |vector| {
        let bytes = vector.body_hex();
        let change: Result<Change, _> = codec::decode(&bytes, limits::ROSTER_PAYLOAD_BYTES_MAX);
        if let Some(change) = vector.assert(change) {
            assert_eq!(codec::encode(&change), bytes);
        }
    });
}

/// The approvals of a move are signatures over the change without them.
#[test]
fn a_move_is_signed_without_its_signatures() {
    let mut moves = 0;
    for_each_vector("change", |vector| {
        if vector.expect != "success" {
            return;
        }
        let bytes = vector.body_hex();
        let Ok(Change::Relays(mut relays)) = codec::decode(&bytes, bytes.len()) else { return };
        let approvals = std::mem::take(&mut relays.approvals);
        let message = codec::encode(&*relays);
        let founder = TestDevice::new(1);
        for approval in approvals {
            assert_eq!(approval.device, founder.id());
            let key = founder.card.signing_key();
            assert_eq!(approval.signature.verify(key, &message), Ok(()));
            let other = [message.as_slice(), &[0]].concat();
            let refused = Err(BadSignature("move"));
            assert_eq!(approval.signature.verify(key, &other), refused);
            let as_entry = Signature::<EntryDomain>::from_bytes(approval.signature.to_bytes());
            assert_eq!(as_entry.verify(key, &message), Err(BadSignature("entry")));
            moves += 1;
        }
    });
    assert_eq!(moves, 2);
}
