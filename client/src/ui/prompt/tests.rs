use super::*;

#[test]
fn an_answer_that_does_not_fit_is_asked_for_again_and_keeps_the_others() {
    for kind in ["note", "trial-note", "health-report"] {
        let kind = Kind::named(kind).expect("a kind");
        for field in kind.typed_fields().filter(|field| field.value == Type::Date) {
            let mut typed = ["2026-02-30", "soon", "2026-03-11"].into_iter();
            let answer = || Ok(typed.next().expect("asked no more than needed").to_owned());
            let value =
                asked(&kind, field, Timestamp::UNIX_EPOCH, answer).expect("it fits at last");
            assert_eq!(value, "2026-03-11");
        }
        for field in kind.typed_fields() {
            let nothing = asked(&kind, field, Timestamp::UNIX_EPOCH, || Ok(String::new()));
            assert_eq!(nothing.expect("nobody knows"), kinds::UNKNOWN, "{}", field.name);
        }
    }
}
