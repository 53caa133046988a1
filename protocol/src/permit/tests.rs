use proptest::prelude::*;

use super::{NotAPermitCode, code_from_text, code_to_text};
use crate::frame::PermitCode;

const TEXT: &str = "000G4-0R40M-30E20-9185G-R38E1-W";

fn code() -> PermitCode {
    std::array::from_fn::<u8, 16, _>(|at| u8::try_from(at).expect("below 16")).into()
}

#[test]
fn a_code_has_one_text() {
    assert_eq!(code_to_text(&code()).as_str(), TEXT);
    assert_eq!(code_from_text(TEXT), Ok(code()));
}

#[test]
fn a_code_may_be_typed_carelessly() {
    let typed = TEXT.to_lowercase().replace('-', "").replace('0', "o").replace('1', "l");
    assert_eq!(code_from_text(&format!(" {typed}\n")), Ok(code()));
}

#[test]
fn a_code_of_another_length_or_alphabet_is_refused() {
    let last_bits_set = TEXT.replace("1-W", "1-X");
    let too_long = format!("{TEXT}0");
    let short = &TEXT[..TEXT.len() - 1];
    for text in ["", short, &too_long, &last_bits_set, &TEXT.replace('W', "U")] {
        assert_eq!(code_from_text(text), Err(NotAPermitCode), "{text}");
    }
}

proptest! {
    #[test]
    fn every_code_reads_back(bytes: [u8; 16]) {
        prop_assert_eq!(code_from_text(&code_to_text(&bytes.into())), Ok(bytes.into()));
    }
}
