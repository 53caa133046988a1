use std::collections::HashSet;
use std::sync::LazyLock;

use age_core::format::{FileKey, Stanza};

use super::*;
use crate::age_header::PeerAgeHeaderError;
use crate::change::{Change, Grant, Lock};
use crate::codec;
use crate::hash::Hash;
use crate::id::{DeviceId, MemberNumber};

/// One epoch for all tests: making its keys takes milliseconds.
static EPOCH: LazyLock<EpochKeys> = LazyLock::new(|| EpochKeys::new(secret(1)));

fn secret(seed: u8) -> EpochSecret {
    EpochSecret::generate(&[seed; SEED_BYTES])
}

fn device(seed: u8) -> Identity {
    Identity::from_seed(&[seed; SEED_BYTES])
}

fn label() -> Label {
    let member = |handle: &str, country: &str| LabelMember {
        handle: handle.to_owned(),
        country: country.parse().unwrap(),
    };
    let members =
        [(1, member("ada", "NO")), (2, member("berit", "SE")), (500, member("çiğdem", "TR"))];
    Label {
        name: "Committee of the invented".to_owned(),
        members: members.map(|(number, member)| (MemberNumber(number), member)).into(),
    }
}

/// What a grant that says `text` leads to.
fn grant_of(text: &str) -> Option<PeerGrantError> {
    let file = seal_file([&device(9).recipient() as _], text.as_bytes());
    open_grant(&file, &device(9), &secret(1).recipient().to_bytes()).err()
}

#[test]
fn the_record_passphrase_derives_from_the_seed() {
    // By hand: openssl kdf -keylen 32 -kdfopt digest:SHA2-256 -kdfopt hexkey:0101…01
    //   -kdfopt info:"sealpost/1 records" -binary HKDF | basenc --base64url
    let passphrase = secret(1).record_passphrase();
    assert_eq!(passphrase.expose_secret(), "4AdK02yhhNEqQwCRj82qW-lAR4wXQNKJT9eyHKm0VYE");
}

#[test]
fn records_read_back() {
    for len in [0, 1, 1_024, 65_536, 65_537, limits::RECORD_PLAINTEXT_BYTES_MAX] {
        let plaintext = vec![b'x'; len];
        let payload = EPOCH.seal_record(&plaintext).unwrap();
        assert!(payload.len() <= limits::RECORD_PAYLOAD_BYTES_MAX);
        assert_eq!(*EPOCH.open_record(&payload).unwrap(), plaintext);
    }
    let (len, max) = (limits::RECORD_PLAINTEXT_BYTES_MAX + 1, limits::RECORD_PLAINTEXT_BYTES_MAX);
    assert_eq!(EPOCH.seal_record(&vec![0; len]), Err(LocalSealError::TooLarge { len, max }));
    let oversized = seal_file([&EPOCH.records.0 as _], &vec![0; len]);
    assert_eq!(EPOCH.open_record(&oversized), Err(PeerOpenError::TooLarge { len, max }));
}

#[test]
fn a_record_of_another_epoch_has_the_wrong_key() {
    let payload = EpochKeys::new(secret(2)).seal_record(b"{}").unwrap();
    assert_eq!(EPOCH.open_record(&payload), Err(PeerOpenError::WrongKey));
}

#[test]
fn every_changed_byte_of_a_record_is_noticed() {
    let payload = EPOCH.seal_record(&[b'x'; 100]).unwrap();
    let body = payload.len() - 16 - 100 - 16;
    for at in 0..payload.len() {
        let mut changed = payload.clone();
        changed[at] ^= 1;
        let error = EPOCH.open_record(&changed).unwrap_err();
        if at >= body {
            assert_eq!(error, PeerOpenError::Damaged, "byte {at}");
        }
    }
    for cut in 0..payload.len() {
        assert!(EPOCH.open_record(&payload[..cut]).is_err(), "cut at {cut}");
    }
    let longer = [payload.as_slice(), b"x"].concat();
    assert_eq!(EPOCH.open_record(&longer), Err(PeerOpenError::Damaged));
}

#[test]
fn a_higher_work_factor_is_refused_before_any_work() {
    let mut recipient = age::scrypt::Recipient::new(secret(1).record_passphrase());
    recipient.set_work_factor(2);
    let payload = seal_file([&recipient as _], b"{}");
    let refused = PeerOpenError::Header(PeerAgeHeaderError::WorkFactor);
    assert_eq!(EPOCH.open_record(&payload), Err(refused));
}

/// Honest grants open; the bomb is refused by our parser's error, which age does not have.
#[test]
fn a_header_bomb_never_reaches_age() {
    let bomb = format!("age-encryption.org/v1\n{}", "-> a\n\n".repeat(170_000));
    let many = PeerAgeHeaderError::TooManyStanzas { max: age_header::STANZAS_MAX };
    let expected = secret(1).recipient().to_bytes();
    assert_eq!(
        open_grant(bomb.as_bytes(), &device(9), &expected).err(),
        Some(PeerOpenError::Header(many).into())
    );
    assert_eq!(open_named(bomb.as_bytes(), &device(9)), Err(PeerOpenError::Header(many)));
    assert!(EPOCH.open_label(bomb.as_bytes()).err() == Some(PeerOpenError::Header(many).into()));
    assert!(matches!(EPOCH.open_record(bomb.as_bytes()), Err(PeerOpenError::Header(_))));
}

#[test]
fn grants_open_for_their_device_alone() {
    let expected = secret(1).recipient().to_bytes();
    let file = seal_grant(&secret(1), &device(9).recipient());
    assert!(file.len() <= limits::GRANT_BYTES_MAX);
    assert_eq!(open_grant(&file, &device(9), &expected).unwrap().seed(), secret(1).seed());
    let other = open_grant(&file, &device(8), &expected).err();
    assert_eq!(other, Some(PeerOpenError::WrongKey.into()));
    for at in (0..file.len()).step_by(5) {
        let mut changed = file.clone();
        changed[at] ^= 1;
        let error = open_grant(&changed, &device(9), &expected).err();
        assert!(matches!(error, Some(PeerGrantError::Open(_))), "byte {at}: {error:?}");
    }
}

#[test]
fn the_largest_lock_fits_into_an_entry() {
    let recipient = device(9).recipient();
    // age adds a stanza of random length.
    let sizes = (0..64).map(|_| seal_grant(&secret(1), &recipient).len());
    let largest = sizes.max().unwrap();
    let grants = vec![
        Grant { device: DeviceId(Hash::of(b"one")), file: vec![0; largest].into() };
        limits::ACTIVE_DEVICES_MAX
    ];
    let lock = Change::Lock(Box::new(Lock {
        recipient: secret(2).recipient().to_bytes(),
        grants,
        link: Some(EPOCH.seal_link(&secret(2)).into()),
        label: vec![0; limits::LABEL_BYTES_MAX].into(),
    }));
    let len = codec::encode(&lock).len();
    assert!(len <= limits::ROSTER_PAYLOAD_BYTES_MAX, "{len} with grants of {largest}");
}

#[test]
fn a_grant_of_another_secret_is_named() {
    let (mine, other) = (secret(1).to_grant_text(), secret(2).to_grant_text());
    let (mine, other) = (mine.expose_secret(), other.expose_secret());
    assert_eq!(grant_of(mine), None);
    assert_eq!(grant_of(other), Some(PeerGrantError::Recipient));
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (mine_lines, other_lines) = (lines(mine), lines(other));
    let split = format!("{}\n{}\n", mine_lines[0], other_lines[1]);
    assert_eq!(grant_of(&split), Some(PeerGrantError::Passphrase));
    for text in [
        "",
        "\n\n",
        mine.trim_end(),
        &format!("{}\n", mine_lines[0]),
        &format!("{mine}\n"),
        &format!("{}\n", mine.to_lowercase()),
        &mine.replace('\n', "\r\n"),
    ] {
        assert_eq!(grant_of(text), Some(PeerGrantError::Text), "{text:?}");
    }
    assert_eq!(grant_of(&format!("{}\n\n", mine_lines[0])), Some(PeerGrantError::Passphrase));
    assert!(matches!(grant_of(&"x".repeat(300)), Some(PeerGrantError::Open(_))));
}

#[test]
fn links_lead_to_the_epoch_before() {
    let previous = secret(7);
    let file = EPOCH.seal_link(&previous);
    assert!(file.len() <= limits::LINK_BYTES_MAX);
    let opened = EPOCH.open_link(&file, &previous.recipient().to_bytes()).unwrap();
    assert_eq!(opened.seed(), previous.seed());
    let wrong = EPOCH.open_link(&file, &EPOCH.recipient().to_bytes()).err();
    assert_eq!(wrong, Some(PeerGrantError::Recipient));
}

#[test]
fn a_labels_plaintext_is_as_the_spec_shows() {
    let member = LabelMember { handle: "ada".to_owned(), country: "NO".parse().unwrap() };
    let label = Label { name: "Inuss".to_owned(), members: [(MemberNumber(1), member)].into() };
    let padded = label.to_padded().unwrap();
    let shown = b"\x00\x00\x00\x11\x82\x65Inuss\xa1\x01\x82\x63ada\x62NO";
    assert_eq!(padded[..shown.len()], *shown);
    assert!(padded[shown.len()..].iter().all(|byte| *byte == 0));
}

#[test]
fn labels_read_back_in_steps() {
    let file = EPOCH.seal_label(&label()).unwrap();
    assert!(EPOCH.open_label(&file).ok() == Some(label()));
    let longer = Label { name: "n".repeat(limits::COMMITTEE_NAME_BYTES_MAX), ..label() };
    let header = age_header::check_hybrid(&file, 1).unwrap();
    assert_eq!(header.plaintext_bytes(), Ok(4_096));
    let other = EPOCH.seal_label(&longer).unwrap();
    assert_eq!(age_header::check_hybrid(&other, 1).unwrap().plaintext_bytes(), Ok(4_096));
}

#[test]
fn the_largest_label_keeps_to_its_limit() {
    let member =
        |n: u32| LabelMember { handle: format!("{n:0>64}"), country: "NO".parse().unwrap() };
    let members = |n| (1..=n).map(|n| (MemberNumber(n), member(n))).collect();
    let largest = Label { members: members(3_500), ..label() };
    assert!(EPOCH.seal_label(&largest).unwrap().len() <= limits::LABEL_BYTES_MAX);
    let refused = EPOCH.seal_label(&Label { members: members(3_700), ..label() });
    assert!(matches!(refused, Err(LocalSealError::TooLarge { .. })));

    // To the byte: one more member, whose handle fills the last step.
    let max = limits::LABEL_BYTES_MAX - 4_096;
    let padded_len = |label: &Label| 4 + codec::encode(label).len();
    let mut label = largest;
    let mut number = 3_501;
    while padded_len(&label) + 75 <= max {
        label.members.insert(MemberNumber(number), member(number));
        number += 1;
    }
    let last = |len| LabelMember { handle: "x".repeat(len), ..member(0) };
    let fills = (1..=64).find(|len| {
        label.members.insert(MemberNumber(number), last(*len));
        padded_len(&label) == max
    });
    let fills = fills.expect("a handle of some length fills it");
    assert!(label.to_padded().is_ok());
    label.members.insert(MemberNumber(number), last(fills + 1));
    let refused = label.to_padded();
    assert_eq!(refused, Err(LocalSealError::TooLarge { len: max + 1, max }));
}

#[test]
fn labels_that_break_a_rule_are_refused_on_both_sides() {
    let with = |number, handle: &str, country: &str| {
        let mut label = label();
        let member = LabelMember { handle: handle.to_owned(), country: country.parse().unwrap() };
        label.members.insert(MemberNumber(number), member);
        label
    };
    let second = MemberNumber(2);
    for (label, fault) in [
        (Label { name: String::new(), ..label() }, LabelFault::Name),
        (Label { name: "n".repeat(257), ..label() }, LabelFault::Name),
        (with(2, "", "SE"), LabelFault::Handle(second)),
        (with(2, &"h".repeat(65), "SE"), LabelFault::Handle(second)),
        (with(2, "ada", "SE"), LabelFault::SameHandle(second)),
    ] {
        let mut padded = codec::encode(&label);
        let length = u32::try_from(padded.len()).unwrap().to_be_bytes();
        padded.splice(..0, length);
        padded.resize(4_096, 0);
        assert!(Label::from_padded(&padded).err() == Some(PeerLabelError::Fault(fault)));
        assert!(matches!(EPOCH.seal_label(&label), Err(LocalSealError::Label(_))));
    }
}

#[test]
fn labels_padded_otherwise_are_refused() {
    let good = label().to_padded().unwrap();
    assert!(Label::from_padded(&good).is_ok());
    let mut marked = good.to_vec();
    marked[4_095] = 1;
    let one_step_more = [good.as_slice(), &[0; 4_096]].concat();
    let mut long = good.to_vec();
    long[0] = 0xff;
    for padded in [marked, one_step_more, long, good[..4_095].to_vec(), vec![], vec![0; 3]] {
        assert!(Label::from_padded(&padded).err() == Some(PeerLabelError::Padding));
    }
}

#[test]
fn named_readers_and_nobody_else_open() {
    let readers: Vec<Recipient> = (1..=32).map(|seed| device(seed).recipient()).collect();
    let file = seal_named(b"for few", &readers).unwrap();
    for seed in [1, 17, 32] {
        assert_eq!(open_named(&file, &device(seed)).unwrap().as_slice(), b"for few");
    }
    assert_eq!(open_named(&file, &device(33)), Err(PeerOpenError::WrongKey));
    let max = limits::NAMED_READERS_MAX;
    assert_eq!(seal_named(b"", &[]), Err(LocalSealError::Readers { max }));
    let (len, max_len) =
        (limits::RECORD_PLAINTEXT_BYTES_MAX + 1, limits::RECORD_PLAINTEXT_BYTES_MAX);
    let long = seal_named(&vec![0; len], &readers[..1]);
    assert_eq!(long, Err(LocalSealError::TooLarge { len, max: max_len }));
    let many = [readers, vec![device(33).recipient()]].concat();
    assert_eq!(seal_named(b"", &many), Err(LocalSealError::Readers { max }));
}

/// Wraps the file key as it should, and adds a stanza that has no place.
struct Smuggler(Recipient);

impl age::Recipient for Smuggler {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
        let (mut stanzas, labels) = age::Recipient::wrap_file_key(&self.0, file_key)?;
        stanzas.push(Stanza { tag: "X25519".to_owned(), args: vec![], body: vec![] });
        Ok((stanzas, labels))
    }
}

#[test]
fn a_foreign_stanza_is_refused_wherever_a_file_is_opened() {
    let foreign = PeerOpenError::Header(PeerAgeHeaderError::ForeignStanza);
    let smuggle = |reader: Recipient, plaintext: &[u8]| {
        seal_file([&Smuggler(reader) as &dyn age::Recipient], plaintext)
    };
    let file = smuggle(device(9).recipient(), secret(1).to_grant_text().expose_secret().as_bytes());
    let expected = secret(1).recipient().to_bytes();
    assert_eq!(open_named(&file, &device(9)).unwrap_err(), foreign);
    let grant = open_grant(&file, &device(9), &expected).err();
    assert_eq!(grant, Some(PeerOpenError::Header(PeerAgeHeaderError::ForeignStanza).into()));
    let file = smuggle(EPOCH.recipient().clone(), &label().to_padded().unwrap());
    assert!(EPOCH.open_label(&file).err() == Some(foreign.into()));
}

/// Wraps another file key for its reader than the file has.
struct Liar(Recipient);

impl age::Recipient for Liar {
    fn wrap_file_key(
        &self,
        _: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
        age::Recipient::wrap_file_key(&self.0, &FileKey::new(Box::new([0; 16])))
    }
}

#[test]
fn one_file_cannot_have_two_file_keys() {
    let (honest, liar) = (device(1).recipient(), Liar(device(2).recipient()));
    let file = seal_file([&honest as &dyn age::Recipient, &liar as _], b"for few");
    assert_eq!(open_named(&file, &device(1)).unwrap().as_slice(), b"for few");
    assert_eq!(open_named(&file, &device(2)), Err(PeerOpenError::Damaged));
}
