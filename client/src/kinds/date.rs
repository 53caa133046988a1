//! Dates as people know them: whole, partial, or roughly.

/// Whether `text` is a date: `2026`, `2026-03`, `2026-03-11`, each part after the year with `~`
/// before it when it is approximate, and a whole one perhaps with a time (RFC 3339).
pub(super) fn is_date(text: &str) -> bool {
    if text.len() > "2026-03-11".len() && text.contains('T') {
        return text.parse::<jiff::Timestamp>().is_ok();
    }
    let mut parts = text.split('-');
    let year = parts.next().and_then(|part| number(part, 4));
    let month = parts.next().map(|part| number(part.strip_prefix('~').unwrap_or(part), 2));
    let day = parts.next().map(|part| number(part.strip_prefix('~').unwrap_or(part), 2));
    let (Some(year), None) = (year, parts.next()) else { return false };
    match (month, day) {
        (None, _) => true,
        (Some(Some(month)), None) => exists(year, month, 1),
        (Some(Some(month)), Some(Some(day))) => exists(year, month, day),
        _ => false,
    }
}

fn number(digits: &str, len: usize) -> Option<i16> {
    let sound = digits.len() == len && digits.bytes().all(|byte| byte.is_ascii_digit());
    sound.then(|| digits.parse().ok()).flatten()
}

fn exists(year: i16, month: i16, day: i16) -> bool {
    let small = |number: i16| i8::try_from(number).unwrap_or(0);
    jiff::civil::Date::new(year, small(month), small(day)).is_ok()
}
