//! The same work with many values, on all cores: what verifying and opening a log consists of.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread;

/// As many values as make it worth starting a thread, which takes as long as one signature.
const SHARE_MIN: usize = 32;

/// Does `work` with every value and returns what came of them, in their order. Many values are shared out
/// among as many threads as there are cores.
///
/// # Panics
/// When `work` does, and when the system has no thread left.
pub(crate) fn map<T: Send, R: Send>(values: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    map_on(cores(), values, work)
}

/// As [`map`], on so many.
fn map_on<T: Send, R: Send>(
    cores: usize,
    mut values: Vec<T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let share = values.len().div_ceil(cores).max(SHARE_MIN);
    let mut shares = Vec::new();
    while values.len() > share {
        shares.push(values.split_off(values.len() - share));
    }
    let work = &work;
    let worked = move |share: Vec<T>| share.into_iter().map(work).collect::<Vec<R>>();
    thread::scope(|scope| {
        let others: Vec<_> =
            shares.into_iter().map(|share| scope.spawn(move || worked(share))).collect();
        // The first share is this thread's, the last was cut off first.
        let mut results = worked(values);
        for other in others.into_iter().rev() {
            results.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        results
    })
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

#[cfg(test)]
mod tests;
