use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

fn key(seed: u8) -> PublicKey {
    PublicKey([seed; 32])
}

/// Whether the signal has come.
fn is_told(cut_off: &mut CutOff) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    pin!(cut_off.told()).poll(&mut context) == Poll::Ready(())
}

#[test]
fn a_cut_off_is_heard_once_by_all_who_listened_before_and_by_nobody_else() {
    let cut_offs = Arc::<CutOffs>::default();
    let (mut first, mut second) = (cut_offs.listen(key(1)), cut_offs.listen(key(1)));
    let mut other = cut_offs.listen(key(2));
    cut_offs.cut(key(1));
    let mut late = cut_offs.listen(key(1));
    assert!(is_told(&mut first) && is_told(&mut second));
    assert!(!is_told(&mut first), "once");
    assert!(!is_told(&mut other) && !is_told(&mut late));
    cut_offs.cut(key(1));
    assert!(is_told(&mut first) && is_told(&mut late));
}

#[test]
fn who_no_longer_listens_takes_no_memory() {
    let cut_offs = Arc::<CutOffs>::default();
    let (first, second) = (cut_offs.listen(key(1)), cut_offs.listen(key(1)));
    drop(first);
    assert_eq!(cut_offs.listening().len(), 1);
    drop(second);
    assert!(cut_offs.listening().is_empty());
    cut_offs.cut(key(1));
    assert!(cut_offs.listening().is_empty());
}
