//! REF: the short name people read, type and say (SPEC.md §17).
//!
//! A prefix, `-`, seven Crockford base32 symbols of SHA-256(full id) and one check symbol (the
//! seven symbols as a number, modulo 37): the same on every device. The window of seven slides
//! along the hash until its check symbol is a letter or digit, so that no REF holds a character
//! that a shell would expand.

use std::fmt;
use std::str::FromStr;

use crate::hash::Hash;

const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const SYMBOLS_A_REF: usize = 7;
/// The check value 36 is the letter U; 32 to 35 would be `*`, `~`, `$` and `=`.
const CHECK_U: u64 = 36;

/// A parsed or made REF, upper case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ref {
    prefix: String,
    symbols: [u8; SYMBOLS_A_REF],
}

/// Why a text is no REF. Always a slip of whoever typed it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RefError {
    /// Not `PREFIX-` and eight symbols.
    #[error("not a REF: expected a prefix, a dash and eight letters or digits")]
    Shape,
    /// The last symbol does not fit the others.
    #[error("the check symbol does not fit: a symbol was mistyped")]
    Check,
}

impl Ref {
    /// The REF of the thing whose full id is `full_id`.
    pub fn new(prefix: &str, full_id: &[u8]) -> Self {
        let hash = Hash::of(full_id);
        let all = five_bit_groups(&hash.0);
        let symbols = all
            .windows(SYMBOLS_A_REF)
            .map(|window| <[u8; SYMBOLS_A_REF]>::try_from(window).expect("windows of that length"))
            .find(|window| check_symbol(window).is_some())
            .expect("45 windows: all unprintable once in 10^39 hashes");
        Self { prefix: prefix.to_owned(), symbols }
    }

    /// The prefix, which says what kind of thing it names.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.prefix)?;
        for value in self.symbols {
            write!(f, "{}", char::from(SYMBOLS[usize::from(value)]))?;
        }
        let check = check_symbol(&self.symbols).expect("both makers refuse other windows");
        write!(f, "{check}")
    }
}

impl fmt::Debug for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Ref {
    type Err = RefError;

    fn from_str(text: &str) -> Result<Self, RefError> {
        let upper = text.to_ascii_uppercase();
        let (prefix, rest) = upper.split_once('-').ok_or(RefError::Shape)?;
        let prefix_is_sound =
            matches!(prefix.len(), 1..=2) && prefix.bytes().all(|byte| byte.is_ascii_uppercase());
        if !prefix_is_sound || rest.chars().count() != SYMBOLS_A_REF + 1 {
            return Err(RefError::Shape);
        }
        let mut symbols = [0; SYMBOLS_A_REF];
        let mut chars = rest.chars();
        for slot in &mut symbols {
            let symbol = chars.next().ok_or(RefError::Shape)?;
            *slot = symbol_value(symbol).ok_or(RefError::Shape)?;
        }
        let typed = chars.next().ok_or(RefError::Shape)?;
        let expected = check_symbol(&symbols).ok_or(RefError::Check)?;
        let same = match expected {
            'U' => typed == 'U',
            symbol => symbol_value(typed) == symbol_value(symbol),
        };
        if !same {
            return Err(RefError::Check);
        }
        Ok(Self { prefix: prefix.to_owned(), symbols })
    }
}

fn five_bit_groups(bytes: &[u8]) -> Vec<u8> {
    let bit = |n: usize| bytes[n / 8] >> (7 - n % 8) & 1;
    (0..bytes.len() * 8 / 5)
        .map(|group| (0..5).fold(0, |value, offset| value << 1 | bit(group * 5 + offset)))
        .collect()
}

/// The check symbol, or none when it would be a character that shells expand.
fn check_symbol(symbols: &[u8; SYMBOLS_A_REF]) -> Option<char> {
    let number = symbols.iter().fold(0_u64, |number, value| number * 32 + u64::from(*value));
    match number % 37 {
        CHECK_U => Some('U'),
        value => SYMBOLS.get(usize::try_from(value).ok()?).copied().map(char::from),
    }
}

/// Crockford's reading: O is 0; I and L are 1.
fn symbol_value(symbol: char) -> Option<u8> {
    let symbol = match symbol {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    SYMBOLS
        .iter()
        .position(|known| char::from(*known) == symbol)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests;
