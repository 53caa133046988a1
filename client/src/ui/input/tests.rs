use super::*;

fn file(bytes: &[u8]) -> (tempfile::TempDir, TextSource) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("text");
    std::fs::write(&path, bytes).expect("a file in it");
    (dir, TextSource::File(path))
}

#[test]
fn a_dash_is_stdin_and_the_rest_are_files() {
    assert_eq!("-".parse(), Ok(TextSource::Stdin));
    assert_eq!("./-".parse(), Ok(TextSource::File("./-".into())));
}

#[test]
fn a_text_is_read_whole_and_a_line_without_its_end() {
    let (_dir, source) = file("Kedar ۷\n".as_bytes());
    assert_eq!(source.read("name", 64).expect("readable"), "Kedar ۷\n");
    assert_eq!(source.read_line("name", 64).expect("readable"), "Kedar ۷");
}

#[test]
fn too_long_not_text_and_missing_are_named() {
    let (_dir, source) = file(b"12345");
    assert!(matches!(source.read("x", 4), Err(InputError::TooLong { max: 4, .. })));
    assert!(matches!(source.read_line("x", 4), Err(InputError::TooLong { max: 4, .. })));
    assert!(source.read("x", 5).is_ok());
    let (_dir, source) = file(b"\xff");
    assert!(matches!(source.read("x", 9), Err(InputError::NotText(_))));
    let missing = TextSource::File("/nonexistent/file".into());
    assert!(matches!(missing.read("x", 9), Err(InputError::Unreadable(..))));
}
