use super::*;

#[test]
fn a_ref_reads_back_in_any_case_and_with_crockfords_lookalikes() {
    for id in 0_u32..2_000 {
        let made = Ref::new("C", &id.to_be_bytes());
        let text = made.to_string();
        assert_eq!(text.len(), "C-".len() + 8);
        assert!(text[2..].bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text}");
        assert_eq!(text.parse(), Ok(made.clone()));
        assert_eq!(text.to_lowercase().parse(), Ok(made.clone()));
        assert_eq!(text.replace('0', "o").replace('1', "l").parse(), Ok(made));
    }
}

#[test]
fn the_ref_of_the_spec_comes_out() {
    assert_eq!(Ref::new("C", b"Sealpost").to_string(), "C-4DWJ8J7M");
    assert_eq!(Ref::new("DV", b"a").to_string(), "DV-SABR24PU");
    assert_eq!(Ref::new("DV", b"card").to_string(), "DV-DKWTSQXZ");
}

#[test]
fn one_wrong_symbol_is_caught() {
    let text = Ref::new("AT", b"an attachment").to_string();
    for at in 3..text.len() {
        for symbol in SYMBOLS.iter().copied().map(char::from) {
            let mut typed = text.clone();
            typed.replace_range(at..=at, &symbol.to_string());
            if typed != text {
                assert_eq!(typed.parse::<Ref>(), Err(RefError::Check), "{typed} for {text}");
            }
        }
    }
}

#[test]
fn other_shapes_are_refused() {
    for text in
        ["", "C", "C-", "C-1234567", "C-123456789", "-12345678", "ABC-12345678", "C-1234*678"]
    {
        assert_eq!(text.parse::<Ref>(), Err(RefError::Shape), "{text}");
    }
}
