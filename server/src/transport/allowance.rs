//! Memory for requests that are not complete yet. Granted as bytes come, never for what a length
//! promises.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is granted at a time.
const UNIT_BYTES: usize = 4 * 1024;

/// So many bytes for many requests.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<Semaphore>);

/// What one request holds of two budgets, given back when dropped.
#[derive(Debug)]
pub(super) struct Allowance {
    budgets: [Budget; 2],
    held: Vec<OwnedSemaphorePermit>,
    units: usize,
}

/// There is no memory left for this request at the moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exhausted;

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / UNIT_BYTES)))
    }

    /// Nothing yet, of this budget and of another.
    pub(super) fn allowance(&self, other: &Self) -> Allowance {
        Allowance { budgets: [self.clone(), other.clone()], held: Vec::new(), units: 0 }
    }
}

impl Allowance {
    /// Makes it cover `bytes` in all.
    pub(super) fn cover(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let more = bytes.div_ceil(UNIT_BYTES).saturating_sub(self.units);
        if more == 0 {
            return Ok(());
        }
        let count = u32::try_from(more).map_err(|_| Exhausted)?;
        for budget in &self.budgets {
            let permit = budget.0.clone().try_acquire_many_owned(count).map_err(|_| Exhausted)?;
            self.held.push(permit);
        }
        self.units += more;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, Exhausted};

    #[test]
    fn requests_share_a_budget_and_give_it_back() {
        let all = Budget::new(64 * 1024);
        let mut first = all.allowance(&Budget::new(1024 * 1024));
        let mut second = all.allowance(&Budget::new(16 * 1024));
        assert_eq!(first.cover(40 * 1024), Ok(()));
        assert_eq!(second.cover(16 * 1024), Ok(()));
        assert_eq!(second.cover(16 * 1024 + 1), Err(Exhausted), "beyond its connection's share");
        assert_eq!(first.cover(64 * 1024), Err(Exhausted), "beyond what all share");
        drop(second);
        assert_eq!(first.cover(64 * 1024), Ok(()));
    }
}
