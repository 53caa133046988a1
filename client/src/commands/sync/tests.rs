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
