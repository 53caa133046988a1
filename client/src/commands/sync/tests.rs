use super::*;
use crate::error::Kind;

#[test]
fn whatever_went_wrong_is_told_once() {
    let stories = ["one is silent".to_owned(), "one lied".to_owned()];
    assert_eq!(untold(&stories[..1], &Ok(())), ["one is silent"]);
    let ends_with = |what: &str| Err(Failure::new(Kind::Verification, what));
    assert_eq!(untold(&stories, &ends_with("one lied")), ["one is silent"]);
    let both = ends_with("2 unsent: one is silent; one lied");
    assert_eq!(untold(&stories, &both), [""; 0]);
}

#[test]
fn what_is_disputed_ends_a_sync_with_7_unless_the_relay_itself_was_caught() {
    let dispute = || vec![Failure::new(Kind::Verification, "olga vouches for another log")];
    let unsent = || Err(Failure::new(Kind::NotDelivered, "1 unsent"));
    assert!(end(Ok(()), Vec::new()).is_ok());
    assert_eq!(end(unsent(), Vec::new()).expect_err("unsent").kind, Kind::NotDelivered);
    assert_eq!(end(Ok(()), dispute()).expect_err("disputed").kind, Kind::Verification);
    let both = end(unsent(), dispute()).expect_err("both");
    assert_eq!(
        (both.kind, both.what.as_str()),
        (Kind::Verification, "olga vouches for another log; 1 unsent",)
    );
    let caught = Err(Failure::new(Kind::Verification, "the relay lied"));
    assert_eq!(end(caught, dispute()).expect_err("caught").what, "the relay lied");
}
