use super::*;

fn from_file(bytes: &[u8]) -> Result<String, InputError> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("passphrase");
    std::fs::write(&path, bytes).expect("a file in it");
    PassphraseSource::File(path).read().map(|secret| secret.expose_secret().to_owned())
}

#[test]
fn exactly_one_trailing_line_feed_is_stripped() {
    assert_eq!(from_file(b"reed heron\n").expect("read"), "reed heron");
    assert_eq!(from_file(b"reed heron\n\n").expect("read"), "reed heron\n");
    assert_eq!(from_file(b" reed heron \r\n").expect("read"), " reed heron \r");
}

#[test]
fn composed_and_decomposed_letters_are_the_same_passphrase() {
    let composed = from_file("ş\u{e9}".as_bytes()).expect("read");
    assert_eq!(from_file("s\u{327}e\u{301}".as_bytes()).expect("read"), composed);
}

#[test]
fn empty_long_and_binary_ones_are_refused() {
    assert!(matches!(from_file(b"\n"), Err(InputError::EmptyPassphrase)));
    assert!(matches!(from_file(&[b'x'; 5_000]), Err(InputError::PassphraseUnreadable(..))));
    assert!(matches!(from_file(b"\xff\xfe"), Err(InputError::PassphraseUnreadable(..))));
}

#[test]
fn an_open_descriptor_is_read_like_a_file() {
    use std::os::fd::AsRawFd;
    let dir = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(dir.path().join("p"), "heron\n").expect("a file in it");
    let file = File::open(dir.path().join("p")).expect("it opens");
    let number = u32::try_from(file.as_raw_fd()).expect("an open descriptor is not negative");
    let read = PassphraseSource::Descriptor(number).read().expect("read");
    assert_eq!(read.expose_secret(), "heron");
}
