use super::*;

fn device() -> DeviceIdentity {
    let mut random = [0; 96];
    random.iter_mut().zip(0..).for_each(|(byte, n)| *byte = n);
    DeviceIdentity::generate(&random)
}

#[test]
fn it_reads_back_and_its_card_is_sound() {
    let device = device();
    let read = DeviceIdentity::decode(&device.encode()).unwrap();
    assert_eq!(read.card(), device.card());
    assert_eq!(read.encode(), device.encode());
    assert_eq!(device.encode().len(), DEVICE_IDENTITY_BYTES);
    let card = Card::decode(device.card().as_bytes()).unwrap();
    assert_eq!(card.device(), device.device_id());
    assert_eq!(card.signing_key(), &device.signing_key().verifying_key());
    assert_eq!(card.login_key(), &device.login_key().verifying_key());
    assert_eq!(card.recipient(), &device.hybrid().recipient().to_bytes());
}

#[test]
fn its_encoding_is_canonical_cbor() {
    let seeds = [0, 32, 64].map(|first| (first..first + 32).collect::<Vec<u8>>());
    let mut expected = minicbor::Encoder::new(Vec::new());
    expected.array(4).unwrap().u8(1).unwrap();
    for seed in seeds {
        expected.bytes(&seed).unwrap();
    }
    assert_eq!(*device().encode(), expected.into_writer());
}

#[test]
fn other_bytes_are_refused() {
    let good = device().encode();
    let refused = |bytes: &[u8]| DeviceIdentity::decode(bytes).err();
    for cut in 0..good.len() {
        assert_eq!(refused(&good[..cut]), Some(LocalIdentityError::Malformed), "{cut}");
    }
    assert_eq!(refused(&[good.as_slice(), &[0]].concat()), Some(LocalIdentityError::Malformed));
    for framing in [0, 1, 2, 3, 36, 70] {
        let mut bytes = good.to_vec();
        bytes[framing] ^= 1;
        assert_eq!(refused(&bytes), Some(LocalIdentityError::Malformed), "{framing}");
    }
    let same = DeviceIdentity::from_seeds(&[1; 32], &[1; 32], &[2; 32]).encode();
    assert_eq!(refused(&same), Some(LocalIdentityError::SameKey));
}
