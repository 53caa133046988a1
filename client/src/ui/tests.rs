use super::*;
use crate::error::Kind;

#[test]
fn results_and_talk_go_to_different_streams() {
    let (mut ui, out, err) = capture::ui(Format::Words);
    ui.result(&["json"], "words").expect("memory");
    ui.talk("from \u{1b}[31mbaran");
    assert_eq!(out.text(), "words\n");
    assert_eq!(err.text(), "from <U+001B>[31mbaran\n");
}

#[test]
fn a_failure_in_json_is_one_object_on_stderr() {
    let (mut ui, out, err) = capture::ui(Format::Json);
    ui.talk("for people alone");
    ui.fail(&Failure::new(Kind::NoVault, "There is no vault"));
    let object: serde_json::Value = serde_json::from_str(&err.text()).expect("one object");
    assert_eq!((object["error"].as_str(), object["exit"].as_u64()), (Some("no-vault"), Some(10)));
    assert_eq!(out.text(), "");
}

#[test]
fn a_failure_in_words_says_what_what_is_safe_and_what_next() {
    let (mut ui, _, err) = capture::ui(Format::Words);
    ui.fail(&Failure::new(Kind::NoVault, "There is no vault").next("sealpost init"));
    assert_eq!(
        err.text(),
        "sealpost: There is no vault.\n  Nothing was changed.\n  sealpost init\n"
    );
}

#[test]
fn cells_of_a_table_cannot_reach_the_terminal() {
    let shown = table(&["HANDLE"], &[vec!["a\u{202e}b\nc".to_owned()]]);
    assert!(shown.contains("a<U+202E>b<U+000A>c"), "{shown}");
    assert_eq!(table(&["HANDLE"], &[]), "");
}

/// Whatever a caller forgot, the last gate does not.
#[test]
fn nothing_leaves_by_results_tales_failures_or_asides_as_it_came() {
    let raw = "\u{1b}]0;x\u{7}\u{9b}2J\u{202e}\u{fe0f}\r";
    let harmless =
        |text: &str| !text.chars().any(|char| char != '\n' && display::is_deceptive(char));
    let (mut ui, out, err) = capture::ui(Format::Words);
    ui.result(&[raw], &format!("first\n{raw}")).expect("memory");
    ui.line(&format!("{raw}\nsecond")).expect("memory");
    ui.warn(raw);
    ui.fail(&Failure::new(Kind::Failed, raw).because(raw).safe(raw).next(raw));
    assert!(harmless(&out.text()) && harmless(&err.text()), "{:?}{:?}", out.text(), err.text());
    assert_eq!(out.text().lines().count(), 3, "{:?}", out.text());
    assert_eq!(err.text().lines().count(), 4, "{:?}", err.text());

    let (mut ui, out, err) = capture::ui(Format::Json);
    ui.result(&[raw], "").expect("memory");
    ui.fail(&Failure::new(Kind::Failed, raw).because(raw));
    assert!(harmless(&out.text()) && harmless(&err.text()), "{:?}{:?}", out.text(), err.text());
    assert_eq!(serde_json::from_str::<[String; 1]>(&out.text()).expect("JSON"), [raw]);

    let mut said = Vec::new();
    show(&mut said, raw).expect("memory");
    assert!(harmless(&String::from_utf8(said).expect("text")));
}
