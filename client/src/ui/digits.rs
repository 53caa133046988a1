//! Digits as people type them: Latin, Arabic (٠ to ٩) and Persian (۰ to ۹).

/// `text` with Arabic and Persian digits written as Latin ones; the rest is untouched.
pub fn to_latin(text: &str) -> String {
    text.chars().map(latin).collect()
}

/// The digits of `text` in Latin form, without the spaces and dashes people put between groups.
/// None when anything else stands among them, or nothing is there.
pub fn only(text: &str) -> Option<String> {
    let is_gap =
        |char: &char| char.is_whitespace() || matches!(char, '-' | '\u{200c}'..='\u{200f}');
    let digits: String = text.chars().filter(|char| !is_gap(char)).map(latin).collect();
    let sound = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    sound.then_some(digits)
}

fn latin(char: char) -> char {
    let zero = match char {
        '\u{660}'..='\u{669}' => 0x660,
        '\u{6f0}'..='\u{6f9}' => 0x6f0,
        other => return other,
    };
    char::from_digit(u32::from(char) - zero, 10).expect("ten digits from the zero of its block")
}

#[cfg(test)]
mod tests;
