//! How often, and how many at once, one device may ask for what costs the relay something.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sealpost_protocol::code::Code;
use sealpost_protocol::id::MemberNumber;
use sealpost_protocol::sign::PublicKey;

use crate::limits::{
    ANSWERS_A_DEVICE_MAX, ANSWERS_MAX, NOTES_AT_ONCE_MAX, NOTES_EVERY, ROSTER_CHANGES_MAX,
    ROSTER_CHANGES_WITHIN,
};

/// Counts by login key. Only devices of a committee are counted: others are refused before.
#[derive(Debug, Default)]
pub(super) struct Pace {
    answers: Mutex<Answers>,
    notes: Mutex<HashMap<PublicKey, Spent>>,
}

#[derive(Debug, Default)]
struct Answers {
    running: usize,
    by_device: HashMap<PublicKey, usize>,
}

/// Notes that a device has put lately: one is forgotten every [`NOTES_EVERY`].
#[derive(Clone, Copy, Debug)]
struct Spent {
    notes: u32,
    since: Instant,
}

/// Leave to make one large answer, given back when dropped.
#[derive(Debug)]
pub(super) struct Leave {
    pace: Arc<Pace>,
    peer: PublicKey,
}

impl Pace {
    /// Leave to make a large answer, if not too many are being made.
    pub(super) fn answer(self: &Arc<Self>, peer: PublicKey) -> Result<Leave, Code> {
        let mut answers = self.answers();
        let of_device = answers.by_device.get(&peer).copied().unwrap_or(0);
        if answers.running >= ANSWERS_MAX || of_device >= ANSWERS_A_DEVICE_MAX {
            return Err(Code::Busy);
        }
        answers.running += 1;
        answers.by_device.insert(peer, of_device + 1);
        drop(answers);
        Ok(Leave { pace: Arc::clone(self), peer })
    }

    /// Counts a note that a device puts.
    pub(super) fn note(&self, peer: PublicKey, now: Instant) -> Result<(), Code> {
        let mut notes = lock(&self.notes);
        if !notes.contains_key(&peer) {
            notes.retain(|_, spent| spent.at(now).notes > 0);
        }
        let spent = notes.entry(peer).or_insert(Spent { notes: 0, since: now });
        *spent = spent.at(now);
        if spent.notes >= NOTES_AT_ONCE_MAX {
            return Err(Code::TooMany);
        }
        spent.notes += 1;
        Ok(())
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        lock(&self.answers)
    }
}

impl Spent {
    /// What is left of it by then.
    fn at(self, now: Instant) -> Self {
        let passed = now.duration_since(self.since);
        let forgotten = passed.as_millis() / NOTES_EVERY.as_millis();
        let forgotten = u32::try_from(forgotten).unwrap_or(u32::MAX);
        match self.notes.saturating_sub(forgotten) {
            0 => Self { notes: 0, since: now },
            notes => Self { notes, since: self.since + NOTES_EVERY * forgotten },
        }
    }
}

/// When members of one committee who are no coordinators lately changed its roster. It is not kept
/// over a restart, which is nothing that they can bring about.
#[derive(Debug, Default)]
pub(super) struct RosterPace(HashMap<MemberNumber, VecDeque<Instant>>);

impl RosterPace {
    /// Whether a member may make one more change now.
    pub(super) fn allows(&mut self, member: MemberNumber, now: Instant) -> bool {
        self.0.retain(|_, changes| {
            changes.retain(|at| now.saturating_duration_since(*at) < ROSTER_CHANGES_WITHIN);
            !changes.is_empty()
        });
        self.0.get(&member).is_none_or(|changes| changes.len() < ROSTER_CHANGES_MAX)
    }

    /// Counts a change that was admitted.
    pub(super) fn count(&mut self, member: MemberNumber, now: Instant) {
        self.0.entry(member).or_default().push_back(now);
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        let mut answers = self.pace.answers();
        answers.running -= 1;
        if let Some(of_device) = answers.by_device.get_mut(&self.peer) {
            *of_device -= 1;
            if *of_device == 0 {
                answers.by_device.remove(&self.peer);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(seed: u16) -> PublicKey {
        let mut key = PublicKey([0; 32]);
        key.0[..2].copy_from_slice(&seed.to_be_bytes());
        key
    }

    #[test]
    fn a_device_that_puts_notes_without_end_must_wait() {
        let pace = Pace::default();
        let now = Instant::now();
        for _ in 0..NOTES_AT_ONCE_MAX {
            assert_eq!(pace.note(key(1), now), Ok(()));
        }
        assert_eq!(pace.note(key(1), now), Err(Code::TooMany));
        assert_eq!(pace.note(key(2), now), Ok(()), "another device is not held up");
        let now = now + NOTES_EVERY * 3 / 2;
        assert_eq!(pace.note(key(1), now), Ok(()));
        assert_eq!(pace.note(key(1), now), Err(Code::TooMany));
        let now = now + NOTES_EVERY / 2;
        assert_eq!(pace.note(key(1), now), Ok(()), "the half that had passed is not lost");
        let now = now + NOTES_EVERY * (NOTES_AT_ONCE_MAX + 1);
        assert_eq!(pace.note(key(3), now), Ok(()));
        assert_eq!(lock(&pace.notes).len(), 1, "who has been quiet is forgotten");
    }

    #[test]
    fn a_member_changes_the_roster_so_often_an_hour_and_no_more() {
        let mut pace = RosterPace::default();
        let (one, other) = (MemberNumber(2), MemberNumber(3));
        let (began, minute) = (Instant::now(), Duration::from_secs(60));
        for at in 0..u32::try_from(ROSTER_CHANGES_MAX).unwrap() {
            assert!(pace.allows(one, began + minute * at));
            pace.count(one, began + minute * at);
        }
        let full = began + ROSTER_CHANGES_WITHIN - Duration::from_millis(1);
        assert!(!pace.allows(one, full));
        assert!(pace.allows(other, full), "another member is not held up");
        let later = began + ROSTER_CHANGES_WITHIN;
        assert!(pace.allows(one, later), "the first is an hour ago");
        pace.count(one, later);
        assert!(!pace.allows(one, later), "the second is not");
        assert!(pace.allows(other, later + ROSTER_CHANGES_WITHIN));
        assert!(pace.0.is_empty(), "who has been quiet is forgotten");
    }

    #[test]
    fn one_device_cannot_take_all_answers() {
        let pace = Arc::new(Pace::default());
        let mut held: Vec<Leave> =
            (0..ANSWERS_A_DEVICE_MAX).map(|_| pace.answer(key(1)).unwrap()).collect();
        assert_eq!(pace.answer(key(1)).unwrap_err(), Code::Busy);
        let others = ANSWERS_MAX - ANSWERS_A_DEVICE_MAX;
        held.extend((2..).take(others).map(|seed| pace.answer(key(seed)).unwrap()));
        assert_eq!(pace.answer(key(1)).unwrap_err(), Code::Busy);
        drop(held);
        assert!(pace.answers().by_device.is_empty() && pace.answers().running == 0);
        pace.answer(key(1)).unwrap();
    }
}
