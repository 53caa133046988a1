use super::*;
use crate::vault::fixture;

#[test]
fn what_is_said_follows_from_the_time_of_one_guess() {
    // The README's figures: 0.4 s of one core, 256 MiB.
    let hardness = Hardness::of(18, Duration::from_millis(400), 8);
    assert_eq!(hardness.memory_bytes, 256 << 20);
    assert!((hardness.guesses_a_second - 20.0).abs() < 1e-9);
    let four = &hardness.holds[0];
    assert_eq!((four.words, four.machines), (4, 1_000));
    // 7,776^4 / 2 guesses at 20,000 a second.
    assert!((four.years - 2_896.0).abs() < 1.0, "{}", four.years);
    let words = hardness.words();
    assert!(
        words.contains("4 words  2,800 years against 1,000, 2 years against 1,000,000"),
        "{words}"
    );
    assert!(words.contains("6 words  more than a billion years against 1,000"), "{words}");
    assert!(words.contains("0.400 s of one core and 256 MiB"), "{words}");
}

#[test]
fn spans_are_told_in_two_digits_and_rounded_down() {
    for (years, told) in [
        (0.0001, "less than a day"),
        (0.5, "180 days"),
        (2.97, "2 years"),
        (123_456.0, "120,000 years"),
        (2e9, "more than a billion years"),
    ] {
        assert_eq!(span(years), told);
    }
}

#[test]
fn a_guess_is_made_at_the_files_own_work_factor_and_needs_no_passphrase() {
    let (_dir, home) = fixture::home();
    assert!(Hardness::measure(&home).is_err());
    drop(fixture::create(&home).expect("made"));
    let measured = Hardness::measure(&home).expect("measured");
    assert_eq!((measured.work_factor, measured.memory_bytes), (1, 2_048));
    assert!(measured.guess_seconds > 0.0 && measured.cores > 0);
}
