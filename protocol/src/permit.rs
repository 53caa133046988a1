//! A permit's code as people read and type it (SPEC.md §17).
//!
//! 16 random bytes as 26 Crockford base32 symbols in groups, `7Q3XK-…`. Whoever types it may use
//! lower case, leave out the dashes, and mistake O for 0 and I or L for 1.

use zeroize::Zeroizing;

use crate::frame::PermitCode;

const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 128 bits in groups of five; the last two bits are zero.
const SYMBOLS_A_CODE: usize = 26;
const SYMBOLS_A_GROUP: usize = 5;

/// The text is no permit code. A slip of whoever typed it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a permit code: expected {SYMBOLS_A_CODE} letters and digits in groups of five")]
pub struct NotAPermitCode;

/// The code as text. Whoever holds it may found a committee, so the text is wiped after use.
pub fn code_to_text(code: &PermitCode) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(SYMBOLS_A_CODE + 5));
    for at in 0..SYMBOLS_A_CODE {
        if at > 0 && at % SYMBOLS_A_GROUP == 0 {
            text.push('-');
        }
        text.push(char::from(SYMBOLS[usize::from(five_bits(code, at))]));
    }
    text
}

/// The code that `text` names.
pub fn code_from_text(text: &str) -> Result<PermitCode, NotAPermitCode> {
    let mut bits = 0_u128;
    let mut symbols = 0;
    for symbol in text.trim().chars().filter(|symbol| *symbol != '-') {
        let value = symbol_value(symbol).ok_or(NotAPermitCode)?;
        symbols += 1;
        bits = match symbols {
            1..SYMBOLS_A_CODE => bits << 5 | value,
            SYMBOLS_A_CODE if value & 0b11 == 0 => bits << 3 | value >> 2,
            _ => return Err(NotAPermitCode),
        };
    }
    if symbols == SYMBOLS_A_CODE { Ok(bits.to_be_bytes().into()) } else { Err(NotAPermitCode) }
}

fn five_bits(code: &PermitCode, group: usize) -> u8 {
    let bit = |at: usize| code.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
    (0..5).fold(0, |value, offset| value << 1 | bit(group * 5 + offset))
}

fn symbol_value(symbol: char) -> Option<u128> {
    let symbol = match symbol.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let at = SYMBOLS.iter().position(|known| char::from(*known) == symbol)?;
    u128::try_from(at).ok()
}

#[cfg(test)]
mod tests;
