use super::*;
use crate::codec;
use crate::limits;
use crate::vectors::for_each_vector;

#[test]
fn vectors() {
    for_each_vector("change", |vector| {
        let bytes = vector.body_hex();
        let change: Result<Change, _> = codec::decode(&bytes, limits::ROSTER_PAYLOAD_BYTES_MAX);
        if let Some(change) = vector.assert(change) {
            assert_eq!(codec::encode(&change), bytes);
        }
    });
}
