use std::path::PathBuf;

use super::*;

/// A vector's file, as somebody has it.
fn written(name: &str) -> (tempfile::TempDir, PathBuf) {
    let vector = std::fs::read_to_string(format!("../protocol/testdata/evidence/{name}")).unwrap();
    let (_, body) = vector.split_once("\n\n").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("evidence.txt");
    std::fs::write(&path, body).unwrap();
    (dir, path)
}

#[test]
fn each_kind_is_said_in_a_sentence_about_one_relay_and_what_it_does_not_show() {
    let sentences = [
        ("fork", "signed for 5 entries", "do not begin with those 5"),
        ("fork_of_one_size", "two different logs of 7 entries", "C-"),
        ("dropped", "acknowledged entry 3", "with another one in its place"),
        ("rewritten", "names device DV-", "whose key did not sign it"),
        ("seen", "let in entry 4", "signed for another log"),
        ("rollback", "6 entries of the log", "whoever made this file says"),
        ("rollback_of_a_receipt", "with entry 5, which it acknowledged", "says that it showed"),
    ];
    for (name, first, second) in sentences {
        let (_dir, path) = written(name);
        let evidence = read(&path).expect("it holds");
        let sentence = shows(&evidence);
        assert!(sentence.contains(first) && sentence.contains(second), "{name}: {sentence}");
        assert!(sentence.starts_with("The relay ") && sentence.ends_with('.'), "{sentence}");
        assert_eq!(sentence.matches(". ").count(), 0, "one sentence: {sentence}");
        let by_word = shows_not(&evidence)[0].contains("the word of whoever made this file");
        assert_eq!(by_word, name.starts_with("rollback"), "{name}");
    }
}

#[test]
fn what_is_no_evidence_is_refused_with_the_exit_code_of_its_kind() {
    let exits = [
        ("magic", 2),
        ("version_2", 12),
        ("note_signature", 7),
        ("fork_of_none", 7),
        ("too_long", 7),
    ];
    for (name, exit) in exits {
        let (_dir, path) = written(name);
        let failure = read(&path).expect_err("refused");
        assert_eq!(failure.kind.exit(), exit, "{name}: {}", failure.story());
    }
    let gone = read(Path::new("nowhere.txt")).expect_err("not there");
    assert_eq!(gone.kind, Error::NotWritable);
}
