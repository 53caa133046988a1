use std::io::{Read, Write};
use std::iter;

use super::*;

const TEXT: &[u8] = b"three letters came out";

fn seal(recipient: &dyn age::Recipient) -> Vec<u8> {
    let encryptor = age::Encryptor::with_recipients(iter::once(recipient)).expect("one recipient");
    let mut sealed = Vec::new();
    let mut writer = encryptor.wrap_output(&mut sealed).expect("memory");
    writer.write_all(TEXT).expect("memory");
    writer.finish().expect("memory");
    sealed
}

fn open(file: &[u8], identity: &dyn age::Identity) -> Result<Vec<u8>, DecryptError> {
    let decryptor = age::Decryptor::new_buffered(file)?;
    let mut opened = Vec::new();
    decryptor.decrypt(iter::once(identity))?.read_to_end(&mut opened).expect("it is whole");
    Ok(opened)
}

fn of(passphrase: &str, work_factor: u8) -> Passphrase {
    Passphrase::new(passphrase.to_owned().into(), work_factor)
}

#[test]
fn ages_own_types_open_and_seal_the_same_files() {
    let theirs = age::scrypt::Identity::new("reed".to_owned().into());
    assert_eq!(open(&seal(&of("reed", 3)), &theirs).expect("opened"), TEXT);
    let mut theirs = age::scrypt::Recipient::new("reed".to_owned().into());
    theirs.set_work_factor(2);
    assert_eq!(open(&seal(&theirs), &of("reed", 2)).expect("opened"), TEXT);
}

#[test]
fn another_passphrase_opens_nothing() {
    let refused = open(&seal(&of("reed", 1)), &of("rush", 1)).expect_err("another passphrase");
    assert!(matches!(refused, DecryptError::DecryptionFailed), "{refused:?}");
}

#[test]
fn a_file_that_asks_for_more_work_is_not_opened() {
    let refused = open(&seal(&of("reed", 3)), &of("reed", 2)).expect_err("more than allowed");
    assert!(
        matches!(refused, DecryptError::ExcessiveWork { required: 3, target: 2 }),
        "{refused:?}"
    );
}

#[test]
fn no_other_recipient_stands_beside_a_passphrase() {
    let (one, other) = (of("reed", 1), of("rush", 1));
    let both = [&one as &dyn age::Recipient, &other as &dyn age::Recipient];
    let refused = age::Encryptor::with_recipients(both.into_iter()).err().expect("two of them");
    assert!(matches!(refused, EncryptError::MixedRecipientAndPassphrase), "{refused:?}");
}

#[test]
fn a_stanza_that_is_none_of_age_is_refused() {
    use age::Identity as _;
    let passphrase = of("reed", 1);
    let key = FileKey::new(Box::new([7; FILE_KEY_BYTES]));
    let sealed = || {
        let (stanzas, _) = age::Recipient::wrap_file_key(&passphrase, &key).expect("a stanza");
        stanzas.into_iter().next().expect("one of them")
    };
    let opened = passphrase.unwrap_stanza(&sealed()).expect("its own").expect("opened");
    assert_eq!(opened.expose_secret(), key.expose_secret());
    let changed: [fn(&mut Stanza); 6] = [
        |stanza| stanza.args[1] = "01".to_owned(),
        |stanza| stanza.args[1] = "0".to_owned(),
        |stanza| stanza.args[1] = "+1".to_owned(),
        |stanza| stanza.args[0].truncate(21),
        |stanza| stanza.args.push("1".to_owned()),
        |stanza| stanza.body.push(0),
    ];
    for change in changed {
        let mut stanza = sealed();
        change(&mut stanza);
        let refused = passphrase.unwrap_stanza(&stanza).expect("a scrypt stanza");
        assert!(matches!(refused.err(), Some(DecryptError::InvalidHeader)), "{stanza:?}");
    }
    let other = Stanza { tag: "X25519".to_owned(), ..sealed() };
    assert!(passphrase.unwrap_stanza(&other).is_none());
}
