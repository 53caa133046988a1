//! A secret out of shares, some of which may be of no use.

use super::share::Share;
use super::{PeerShareError, RecoverySecret, sharing};
use crate::limits::SHARES_MIN;

/// Choices of shares that are tried: every choice among as many as a splitting may have.
const CHOICES_MAX: usize = 12_870;

/// Makes the secret of the spare that the shares name. Shares of other splittings among them, and
/// the same share twice, do no harm as long as enough of one splitting are there. Which spare is
/// asked for, the caller says of each share, by [`Share::is_for`].
pub fn combine(shares: &[Share]) -> Result<RecoverySecret, PeerShareError> {
    let splittings = splittings(shares);
    let mut left = CHOICES_MAX;
    for splitting in &splittings {
        let threshold = usize::from(splitting[0].threshold());
        for choice in Choices::new(splitting.len(), threshold).take(left) {
            left -= 1;
            let values = choice.iter().map(|at| (splitting[*at].index(), splitting[*at].value()));
            let Some(secret) = sharing::interpolate(values).map(RecoverySecret) else { continue };
            if secret.spare().device_id() == splitting[0].spare() {
                return Ok(secret);
            }
        }
    }
    Err(why_not(&splittings))
}

/// The shares by splitting, each share once.
fn splittings(shares: &[Share]) -> Vec<Vec<&Share>> {
    let mut splittings: Vec<Vec<&Share>> = Vec::new();
    for share in shares {
        let same =
            |other: &&Share| other.index() == share.index() && *other.value() == *share.value();
        match splittings.iter_mut().find(|splitting| splitting[0].is_beside(share)) {
            Some(splitting) if splitting.iter().any(same) => {}
            Some(splitting) => splitting.push(share),
            None => splittings.push(vec![share]),
        }
    }
    splittings
}

/// Of the splitting that wants the fewest shares more.
fn why_not(splittings: &[Vec<&Share>]) -> PeerShareError {
    let counts = splittings.iter().map(|it| (it.len(), usize::from(it[0].threshold())));
    match counts.min_by_key(|(have, need)| need.saturating_sub(*have)) {
        None => PeerShareError::TooFew { have: 0, need: SHARES_MIN },
        Some((have, need)) if have < need => PeerShareError::TooFew { have, need },
        Some(_) => PeerShareError::NotTheSpare,
    }
}

/// Every choice of `size` places out of `count`, each in ascending order.
struct Choices {
    count: usize,
    next: Option<Vec<usize>>,
}

impl Choices {
    fn new(count: usize, size: usize) -> Self {
        Self { count, next: (size <= count).then(|| (0..size).collect()) }
    }
}

impl Iterator for Choices {
    type Item = Vec<usize>;

    fn next(&mut self) -> Option<Vec<usize>> {
        let choice = self.next.take()?;
        let room = self.count - choice.len();
        if let Some(at) = (0..choice.len()).rev().find(|at| choice[*at] < at + room) {
            let mut next = choice.clone();
            let first = choice[at] + 1;
            next[at..].iter_mut().zip(first..).for_each(|(place, value)| *place = value);
            self.next = Some(next);
        }
        Some(choice)
    }
}

#[cfg(test)]
mod tests;
