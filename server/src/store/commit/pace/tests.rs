use super::*;

const DROP_AFTER: Duration = Duration::from_secs(1);

/// How long it waits each time when there is always something to drop.
fn pauses(pace: &mut Pace, now: &mut Instant, times: usize) -> Vec<u64> {
    let mut pause = || {
        let next = pace.next(*now, Duration::ZERO, 1, DROP_AFTER);
        let pause = next - *now;
        *now = next;
        pause.as_secs()
    };
    (0..times).map(|_| pause()).collect()
}

#[test]
fn who_forgets_without_end_has_a_segment_written_anew_every_five_minutes() {
    let (mut pace, mut now) = (Pace::default(), Instant::now());
    assert_eq!(pauses(&mut pace, &mut now, 12), [30; 12]);
    let _ = pauses(&mut pace, &mut now, 2);
    assert_eq!(pauses(&mut pace, &mut now, 20), [300; 20]);
    // Where nothing was written nothing counts.
    let idle = pace.next(now, Duration::ZERO, 0, DROP_AFTER);
    assert_eq!(idle - now, 30 * DROP_AFTER);
    now += 3_600 * DROP_AFTER;
    assert_eq!(pauses(&mut pace, &mut now, 12), [30; 12], "after an hour without");
}

#[test]
fn a_slow_disk_is_left_in_peace_for_nine_times_as_long() {
    let (mut pace, now) = (Pace::default(), Instant::now());
    let next = pace.next(now, Duration::from_secs(20), 1, DROP_AFTER);
    assert_eq!(next - now, Duration::from_secs(180));
}
