use sealpost_protocol::reference::Ref;
use serde_json::{Value, json};

use super::*;

fn now() -> jiff::Timestamp {
    "2026-03-11T09:14:00Z".parse().expect("a time")
}

fn check(kind: &str, given: Value) -> Result<Checked, FieldErrors> {
    Kind::named(kind).expect("a known kind").check(given, now())
}

/// The field, what is wrong with it and what is allowed, of the only error.
fn wrong(kind: &str, given: Value) -> (String, &'static str, String) {
    let FieldErrors(mut errors) = check(kind, given).expect_err("refused");
    let error = errors.pop().expect("one error");
    assert_eq!(errors, [], "only one");
    (error.field, error.wrong, error.allowed)
}

#[test]
fn every_kind_can_be_read_and_asks_for_at_most_five_fields() {
    fn sound(field: &Field) {
        let has_values = field.value == Type::Enum || field.item == Some(Type::Enum);
        assert_eq!(has_values, !field.values.is_empty(), "{}", field.name);
        let has_fields = field.value == Type::Object || field.item == Some(Type::Object);
        assert_eq!(has_fields, !field.fields.is_empty(), "{}", field.name);
        assert_eq!(field.item.is_some(), field.value == Type::List, "{}", field.name);
        assert!(!field.ask.is_empty(), "{}", field.name);
        field.fields.iter().for_each(sound);
    }
    let all = Kind::all();
    assert_eq!(all.len(), KINDS.len());
    for kind in &all {
        assert!((1..=5).contains(&kind.typed_fields().count()), "{}", kind.kind);
        kind.fields.iter().chain(&kind.envelope).for_each(sound);
        for field in &kind.fields {
            let shared = kind.envelope.iter().any(|other| other.name == field.name);
            assert!(!shared, "{} is in the envelope", field.name);
        }
    }
    assert!(Kind::named("diary").is_err());
}

#[test]
fn a_note_gets_its_defaults() {
    let checked = check("note", json!({"text": "heron"})).expect("sound");
    assert_eq!(
        Value::Object(checked.fields),
        json!({
            "lang": "und", "status": "final", "text": "heron", "expires": "2026-06-09",
            "class": "H1",
        })
    );
    assert_eq!((checked.class, checked.unknown), (Class::H1, vec![]));
}

#[test]
fn a_required_field_without_a_value_becomes_unknown() {
    let checked = check("trial-note", json!({"what_happened": "Adjourned."})).expect("sound");
    assert_eq!(checked.unknown, ["hearing", "role_of_author"]);
    assert_eq!(checked.fields["hearing"], "unknown");
    let checked = check("health-report", json!({"form": "C", "summary": "x"})).expect("sound");
    assert_eq!(checked.fields["hunger"], json!({"start": "unknown", "kind": "unknown"}));
    assert!(checked.unknown.contains(&"hunger.start".to_owned()));
    assert!(!checked.fields.contains_key("limitations"), "only form B asks for it");
}

#[test]
fn a_record_of_nothing_is_refused() {
    assert_eq!(wrong("note", json!({})).1, "is empty");
    assert_eq!(wrong("note", json!({"text": " "})).1, "is empty");
    assert_eq!(wrong("note", json!([])).1, "is not an object");
}

#[test]
fn errors_name_the_field_what_is_wrong_and_what_is_allowed() {
    let (field, wrong_with_it, allowed) = wrong("trial-note", json!({"role_of_author": "judge"}));
    assert_eq!((field.as_str(), wrong_with_it), ("role_of_author", "is none of the values"));
    assert!(allowed.starts_with("defence-lawyer, observer"), "{allowed}");
    let (field, wrong_with_it, _) =
        wrong("trial-note", json!({"what_happened": "x", "checks": [{"answer": "perhaps"}]}));
    assert_eq!((field.as_str(), wrong_with_it), ("checks[0].answer", "is none of the values"));
    assert_eq!(wrong("note", json!({"text": "x", "txet": "y"})).1, "is no field of this kind");
    assert_eq!(wrong("note", json!({"text": "x", "author": "y"})).1, "is written by the program");
    assert_eq!(wrong("note", json!({"text": 1})).1, "is no text");
    assert_eq!(wrong("note", json!({"text": "x", "lang": "t"})).1, "is no language tag");
    assert_eq!(wrong("note", json!({"text": "x", "class": "H9"})).1, "is no handling class");
    assert_eq!(wrong("note", json!({"text": "x", "about": "P"})).1, "is not a list");
    let both = check("note", json!({"text": 1, "expires": "soon"})).expect_err("two are wrong");
    assert_eq!(both.0.len(), 2);
    let shown = check("note", json!({"a\u{202e}b": 1, "text": "x"})).expect_err("no such field");
    assert!(shown.to_string().contains("a<U+202E>b"), "{shown}");
}

#[test]
fn other_with_words_and_unknown_are_values_of_an_open_enum_only() {
    let role = |value: Value| check("trial-note", json!({"role_of_author": value})).is_ok();
    assert!(role(json!("other")) && role(json!({"other": "clerk"})) && role(json!("unknown")));
    assert!(!role(json!({"other": ""})) && !role(json!({"other": "a", "b": "c"})));
    let degree = |value| json!({"summary": "x", "findings": [{"degree": value}]});
    assert!(check("health-report", degree("highly")).is_ok());
    assert!(check("health-report", degree("other")).is_err(), "exactly the five");
}

#[test]
fn a_ref_is_sound_of_the_right_kind_or_words() {
    let hearing = Ref::new("H", b"hearing").to_string();
    let given = |text: &str| check("trial-note", json!({"hearing": text}));
    let checked = given(&hearing.to_lowercase()).expect("any case");
    assert_eq!(checked.fields["hearing"], hearing.as_str());
    assert!(given("Wednesday, hall 23").is_ok());
    let mut mistyped = hearing;
    let last = mistyped.pop().expect("a check symbol");
    mistyped.push(if last == '7' { '8' } else { '7' });
    assert_eq!(
        wrong("trial-note", json!({"hearing": mistyped})).1,
        "is a REF with a mistyped symbol"
    );
    let person = Ref::new("P", b"person").to_string();
    assert_eq!(wrong("trial-note", json!({"hearing": person})).1, "is a REF of another kind");
}

#[test]
fn dates_may_be_partial_rough_or_as_written() {
    let as_of = |value: Value| {
        check("health-report", json!({"as_of": value}))
            .map(|checked| checked.fields["as_of"].clone())
    };
    for sound in ["2026", "2026-03", "2026-03-11", "2026-03-~14", "2026-~03", "unknown"] {
        assert_eq!(as_of(json!(sound)), Ok(json!(sound)));
    }
    for unsound in ["soon", "26", "2026-13", "2026-02-30", "2026-3", "2026-03-11-01", "2026-~"] {
        assert!(as_of(json!(unsound)).is_err(), "{unsound}");
    }
    let persian = json!({"value": "2026-03-11", "as_written": "۲۰۲۶-۰۳-۱۱"});
    assert_eq!(as_of(json!("۲۰۲۶-۰۳-۱۱")), Ok(persian));
    let written = json!({"as_written": "20 Esfand 1404", "calendar": "persian"});
    assert_eq!(as_of(written.clone()), Ok(written));
    assert!(as_of(json!({"calendar": "persian"})).is_err());
}

#[test]
fn strict_fields_and_values_raise_the_class_and_unknown_does_not() {
    let class = |kind: &str, given: Value| check(kind, given).expect("sound").class;
    assert_eq!(class("note", json!({"text": "x", "class": "H0"})), Class::H0);
    assert_eq!(class("trial-note", json!({"lawyer_only": "x"})), Class::H3);
    assert_eq!(class("health-report", json!({"form": "B"})), Class::H2);
    assert_eq!(class("health-report", json!({"summary": "x", "clinician": "unknown"})), Class::H1);
    assert_eq!(
        class("health-report", json!({"summary": "x", "sensitive_flags": ["hiv"]})),
        Class::H2
    );
    assert_eq!(class("note", json!({"text": "x", "source": {"identity": "y"}})), Class::H2);
    let checked = check("note", json!({"text": "x", "source": {"identity": "y"}, "class": "H0"}));
    assert_eq!(checked.expect("sound").fields["class"], "H2", "nobody can lower it");
}

#[test]
fn typed_answers_become_values() {
    let kind = Kind::named("trial-note").expect("a known kind");
    let role = kind.fields.iter().find(|field| field.name == "role_of_author").expect("a field");
    assert_eq!(from_typed(role, "۲"), json!("observer"));
    assert_eq!(from_typed(role, " observer "), json!("observer"));
    assert_eq!(from_typed(role, "other: clerk"), json!({"other": "clerk"}));
    assert_eq!(from_typed(role, "9"), json!("9"), "refused by the check, with what is allowed");
    assert_eq!(from_typed(role, ""), json!("unknown"));
}

#[test]
fn what_is_strict_goes_apart_and_the_rest_stays() {
    let apart = |kind: &str, given: Value| {
        let checked = check(kind, given).expect("sound");
        let names = |fields: &serde_json::Map<String, Value>| fields.keys().cloned().collect();
        let both: (Vec<String>, Vec<String>) = (names(&checked.apart), names(&checked.fields));
        both
    };
    let (inside, outside) = apart("trial-note", json!({"what_happened": "x", "lawyer_only": "y"}));
    assert_eq!(inside, ["lawyer_only"]);
    assert!(outside.contains(&"what_happened".to_owned()));
    let (inside, outside) = apart("note", json!({"text": "x", "source": {"identity": "y"}}));
    assert_eq!(inside, ["source"]);
    assert!(outside.contains(&"text".to_owned()));
    let (inside, outside) = apart("note", json!({"text": "x", "class": "H3"}));
    assert_eq!(outside, ["lang", "status", "class"]);
    assert_eq!(inside, ["text", "expires"]);
    let flagged = json!({"summary": "x", "sensitive_flags": ["hiv"]});
    let (inside, outside) = apart("health-report", flagged);
    assert_eq!(outside, ["lang", "status", "class"]);
    assert!(inside.contains(&"summary".to_owned()));
    assert_eq!(apart("note", json!({"text": "x"})).0, [""; 0]);
}
