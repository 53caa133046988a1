use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

#[test]
fn what_came_of_values_is_in_their_order_however_they_are_shared_out() {
    for cores in [1, 2, 3, 16] {
        for count in [0, 1, SHARE_MIN, SHARE_MIN + 1, 2 * SHARE_MIN, 5 * SHARE_MIN + 3] {
            let values: Vec<usize> = (0..count).collect();
            let expected: Vec<usize> = values.iter().map(|value| value * 3).collect();
            assert_eq!(map_on(cores, values, |value| value * 3), expected, "{count} on {cores}");
        }
    }
}

#[test]
fn many_values_are_shared_out_among_threads_and_few_are_not() {
    let threads = |cores, count| {
        let ids = map_on(cores, vec![(); count], |()| thread::current().id());
        ids.into_iter().collect::<HashSet<_>>()
    };
    assert_eq!(threads(2, 2 * SHARE_MIN).len(), 2);
    assert_eq!(threads(4, 100 * SHARE_MIN).len(), 4);
    assert_eq!(threads(4, 2 * SHARE_MIN).len(), 2);
    assert_eq!(threads(4, SHARE_MIN), HashSet::from([thread::current().id()]));
}

#[test]
fn a_panic_in_a_share_is_a_panic_of_the_whole() {
    let last = 4 * SHARE_MIN - 1;
    let worked = |values: Vec<usize>| map_on(4, values, |value| assert_ne!(value, last));
    assert_eq!(worked((0..last).collect()).len(), last);
    let panicked = catch_unwind(AssertUnwindSafe(|| worked((0..=last).collect())));
    assert!(panicked.is_err());
}
