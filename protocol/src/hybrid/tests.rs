#![expect(clippy::disallowed_methods, reason = "vectors are files, and only tests read them")]

use std::fs;
use std::io::Read;
use std::path::Path;

use age::{DecryptError, Decryptor};

use super::*;
use crate::hash::Hash;

fn identity(seed: u8) -> Identity {
    Identity::from_seed(&[seed; SEED_BYTES])
}

/// A vector of C2SP CCTV: header lines, a blank line, an age file.
struct Vector {
    fields: Vec<(String, String)>,
    file: Vec<u8>,
}

impl Vector {
    fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap();
        let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap();
        let fields = std::str::from_utf8(&bytes[..end]).unwrap().lines();
        let fields = fields.map(|line| line.split_once(": ").unwrap());
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { fields, file: bytes[end + 2..].to_vec() }
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.fields.iter().filter(move |(field, _)| field == name);
        named.map(|(_, value)| value.as_str())
    }

    fn identities(&self) -> Vec<Box<dyn age::Identity>> {
        let parse = |text: &str| -> Box<dyn age::Identity> {
            match text.parse::<Identity>() {
                Ok(identity) => Box::new(identity),
                Err(_) => Box::new(text.parse::<age::x25519::Identity>().unwrap()),
            }
        };
        self.all("identity").map(parse).collect()
    }

    /// What opening the file comes to, in the words of the vectors.
    fn outcome(&self) -> String {
        let opened = Decryptor::new_buffered(self.file.as_slice()).and_then(|decryptor| {
            let identities = self.identities();
            let mut plaintext = Vec::new();
            decryptor.decrypt(identities.iter().map(AsRef::as_ref))?.read_to_end(&mut plaintext)?;
            Ok(Hash::of(&plaintext).to_string())
        });
        match opened {
            Ok(hash) => format!("success {hash}"),
            Err(DecryptError::NoMatchingKeys) => "no match".to_owned(),
            // The crate calls a v1 header that does not parse an unknown format.
            Err(DecryptError::InvalidHeader | DecryptError::UnknownFormat) => {
                "header failure".to_owned()
            }
            Err(error) => format!("{error:?}"),
        }
    }
}

#[test]
fn every_vector_of_c2sp_ends_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/age-hybrid");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some() {
            continue;
        }
        let vector = Vector::read(&path);
        let expect = vector.all("expect").next().unwrap();
        let payload = vector.all("payload").next().unwrap_or_default();
        let expected =
            if expect == "success" { format!("success {payload}") } else { expect.into() };
        assert_eq!(vector.outcome(), expected, "{}", path.display());
        seen += 1;
    }
    assert_eq!(seen, 13);
}

#[test]
fn texts_read_back() {
    let identity = identity(1);
    let text = identity.to_string();
    assert!(text.expose_secret().starts_with("AGE-SECRET-KEY-PQ-1"));
    assert_eq!(text.expose_secret().parse::<Identity>().unwrap().seed(), identity.seed());
    let recipient = identity.recipient();
    assert_eq!(recipient.to_string().parse(), Ok(recipient.clone()));
    assert_eq!(Recipient::try_from(&recipient.to_bytes()), Ok(recipient));
}

#[test]
fn other_texts_are_refused() {
    let (identity, recipient) = (identity(1), identity(1).recipient().to_string());
    let secret = identity.to_string().expose_secret().to_owned();
    for text in [
        "",
        "AGE-SECRET-KEY-PQ-1",
        &secret.to_lowercase(),
        &secret[..secret.len() - 1],
        &format!("{secret}\n"),
        &secret.replacen("PQ-1", "PQ-1Q", 1),
        "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX",
    ] {
        assert_eq!(text.parse::<Identity>().err(), Some(NotAnIdentity));
    }
    for text in
        ["", "age1pq1", &recipient.to_uppercase(), &recipient[..recipient.len() - 1], &secret]
    {
        assert_eq!(text.parse::<Recipient>(), Err(PeerRecipientError::Text), "{text}");
    }
    let no_key = [0; RECIPIENT_BYTES];
    let text = |prefix| bech32::encode_lower::<Bech32Long>(hrp(prefix), &no_key).unwrap();
    assert_eq!(text(RECIPIENT_PREFIX).parse::<Recipient>(), Err(PeerRecipientError::Key));
    assert_eq!(text("age1tagpq").parse::<Recipient>(), Err(PeerRecipientError::Text));
}

#[test]
fn bits_left_over_in_the_last_symbol_are_refused() {
    // 32 bytes are 51 symbols and one bit: the four other bits of the last must be zero.
    let mut symbols: Vec<bech32::Fe32> = {
        use bech32::primitives::iter::ByteIterExt;
        identity(1).seed().iter().copied().bytes_to_fes().collect()
    };
    let last = symbols.last_mut().unwrap();
    *last = bech32::Fe32::try_from(last.to_u8() | 1).unwrap();
    let text: String = {
        use bech32::primitives::iter::Fe32IterExt;
        let hrp = hrp(IDENTITY_PREFIX);
        symbols.into_iter().with_checksum::<Bech32Long>(&hrp).chars().collect()
    };
    let text = text.to_uppercase();
    assert!(CheckedHrpstring::new::<Bech32Long>(&text).is_ok(), "the checksum is right");
    assert_eq!(text.parse::<Identity>().err(), Some(NotAnIdentity));
}

#[test]
fn a_coefficient_above_the_modulus_is_refused() {
    let good = identity(1).recipient().to_bytes();
    let mut bytes = good.clone();
    // The first coefficient takes 12 bits, little-endian: 3,328 is the largest.
    bytes.0[0] = 0x00;
    bytes.0[1] = bytes.0[1] & 0xf0 | 0x0d;
    assert!(Recipient::try_from(&bytes).is_ok());
    bytes.0[0] = 0x01;
    assert_eq!(Recipient::try_from(&bytes), Err(PeerRecipientError::Key));
}

/// All u-coordinates whose points have small order, of the curve or of its twist, with and without the bit that
/// is no part of them.
fn small_order() -> impl Iterator<Item = [u8; 32]> {
    let number = |first: u8, middle: u8, last: u8| {
        let mut bytes = [middle; 32];
        (bytes[0], bytes[31]) = (first, last);
        bytes
    };
    let order_8 = |hex: &[u8]| data_encoding::HEXLOWER.decode(hex).unwrap().try_into().unwrap();
    let below = [
        number(0, 0, 0),
        number(1, 0, 0),
        order_8(b"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        order_8(b"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
        // p − 1, p, p + 1.
        number(0xec, 0xff, 0x7f),
        number(0xed, 0xff, 0x7f),
        number(0xee, 0xff, 0x7f),
    ];
    below.into_iter().flat_map(|point| {
        let mut with_bit = point;
        with_bit[31] |= 0x80;
        [point, with_bit]
    })
}

#[test]
fn a_point_is_of_small_order_when_its_secret_with_every_key_is_zero() {
    let is_zero = |point: [u8; 32], key: u8| {
        let secret = x25519_dalek::StaticSecret::from([key; 32]).diffie_hellman(&point.into());
        !secret.was_contributory()
    };
    for point in small_order() {
        assert!((1..9).all(|key| is_zero(point, key)), "{point:?}");
        let mut next = point;
        next[0] ^= 4;
        assert!(!is_zero(next, 1), "{next:?}");
        let mut bytes = identity(1).recipient().to_bytes();
        bytes.0[1_184..].copy_from_slice(&next);
        assert!(Recipient::try_from(&bytes).is_ok(), "{next:?}");
    }
}

#[test]
fn a_recipient_of_small_order_is_refused() {
    let mut bytes = identity(1).recipient().to_bytes();
    for point in small_order() {
        bytes.0[1_184..].copy_from_slice(&point);
        assert_eq!(Recipient::try_from(&bytes), Err(PeerRecipientError::Key), "{point:?}");
    }
}

#[test]
fn a_share_of_small_order_is_refused() {
    let identity = identity(1);
    let file_key = FileKey::new(Box::new([7; 16]));
    let (mut stanzas, _) = age::Recipient::wrap_file_key(&identity.recipient(), &file_key).unwrap();
    let stanza = &mut stanzas[0];
    assert!(matches!(age::Identity::unwrap_stanza(&identity, stanza), Some(Ok(_))));
    let mut share = BASE64_NOPAD.decode(stanza.args[0].as_bytes()).unwrap();
    for point in small_order() {
        share[1_088..].copy_from_slice(&point);
        stanza.args[0] = BASE64_NOPAD.encode(&share);
        let refused = age::Identity::unwrap_stanza(&identity, stanza);
        assert!(matches!(refused, Some(Err(DecryptError::InvalidHeader))), "{point:?}");
    }
}

/// Age uses HPKE's base mode alone; a sender's key would be silently left out of the secret.
#[test]
fn there_is_no_authenticated_mode() {
    use hpke::Kem;
    let (private, public) = XWing::derive_keypair(b"any");
    let (_, share) = XWing::encap(&public, None, &mut OsRng).unwrap();
    assert!(XWing::decap(&private, None, &share).is_ok());
    assert!(XWing::decap(&private, Some(&public), &share).is_err());
    assert!(XWing::encap(&public, Some((&private, &public)), &mut OsRng).is_err());
}

/// The check comes before the key does: a reader whom the stanza is not for refuses it too.
#[test]
fn a_long_body_is_refused_unopened() {
    let share = BASE64_NOPAD.encode(&[9; HYBRID_SHARE_BYTES]);
    let stanza = |len| Stanza {
        tag: HYBRID_STANZA.to_owned(),
        args: vec![share.clone()],
        body: vec![0; len],
    };
    let unwrap = |len| age::Identity::unwrap_stanza(&identity(1), &stanza(len));
    assert!(unwrap(WRAPPED_FILE_KEY_BYTES).is_none());
    for len in [WRAPPED_FILE_KEY_BYTES - 1, WRAPPED_FILE_KEY_BYTES + 8] {
        assert!(matches!(unwrap(len), Some(Err(DecryptError::InvalidHeader))), "{len}");
    }
}

#[test]
fn hybrid_and_classical_recipients_do_not_mix() {
    let hybrid = identity(1).recipient();
    let classical = age::x25519::Identity::generate().to_public();
    let both: [&dyn age::Recipient; 2] = [&hybrid, &classical];
    let refused = age::Encryptor::with_recipients(both.into_iter()).err();
    assert!(matches!(refused, Some(age::EncryptError::IncompatibleRecipients { .. })));
    let only: [&dyn age::Recipient; 2] = [&hybrid, &hybrid];
    assert!(age::Encryptor::with_recipients(only.into_iter()).is_ok());
}
