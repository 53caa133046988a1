use super::*;

#[test]
fn times_have_milliseconds_and_end_in_z() {
    assert_eq!(rfc3339(UnixMillis(0)), "1970-01-01T00:00:00.000Z");
    assert_eq!(rfc3339(UnixMillis(1_773_220_440_007)), "2026-03-11T09:14:00.007Z");
    assert!(rfc3339(UnixMillis(u64::MAX)).starts_with("9999-12-3"));
}

#[test]
fn durations_are_a_number_and_a_unit() {
    assert_eq!(parse_duration("48h"), Ok(Duration::from_secs(172_800)));
    assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
    assert_eq!(parse_duration("۲d"), Ok(Duration::from_secs(172_800)));
    for text in ["", "h", "48", "0h", "-1h", "1y", "99999999999999999w"] {
        assert_eq!(parse_duration(text), Err(NotADuration), "{text:?}");
    }
}
