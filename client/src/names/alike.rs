//! Handles that are not the same and that nobody tells apart, by Unicode's tables (UTS 39).

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;
use unicode_security::{MixedScript, skeleton};

use super::{folded, is_same_handle};

/// How a handle looks, to be held against many others.
pub struct Looks {
    folded: String,
    /// As it is, in small letters, and what it looks like in small letters, because a capital I looks
    /// like a small l and i does not.
    seen: BTreeSet<String>,
}

impl Looks {
    /// Those of a handle.
    pub fn of(handle: &str) -> Self {
        let composed: String = handle.trim().nfc().collect();
        let as_it_is: String = skeleton(&composed).collect();
        let small = skeleton(&composed.to_lowercase()).collect();
        let seen = [as_it_is.to_lowercase(), as_it_is, small].into();
        Self { folded: folded(handle), seen }
    }

    /// Whether they are one to whoever reads or says them.
    pub fn is_same(&self, other: &Self) -> bool {
        self.folded == other.folded
    }

    /// Whether they look the same to a hasty eye: `isla` and `lsla`, `baran` and `bаran`. Those that are
    /// the same do.
    pub fn reads_like(&self, other: &Self) -> bool {
        self.is_same(other) || !self.seen.is_disjoint(&other.seen)
    }
}

/// Whether two handles look the same to a hasty eye.
pub fn reads_like(one: &str, other: &str) -> bool {
    Looks::of(one).reads_like(&Looks::of(other))
}

/// Whether letters of scripts stand side by side that nobody writes in one word. Japanese and Korean
/// writing, which use several, do not.
pub fn mixes_scripts(handle: &str) -> bool {
    !handle.split_whitespace().all(MixedScript::is_single_script)
}

/// What is to be told of a handle that somebody has or asks for, beside those `others` have; nothing of
/// most. Exactly the same handle is told elsewhere.
pub fn warnings<'o>(handle: &str, others: impl IntoIterator<Item = &'o str>) -> Vec<String> {
    let alike = others
        .into_iter()
        .filter(|other| !is_same_handle(handle, other) && reads_like(handle, other))
        .map(|other| format!("{handle} reads like {other}, and is another"));
    let mixed = mixes_scripts(handle)
        .then(|| format!("{handle} is written in letters of more than one script"));
    alike.chain(mixed).collect()
}

#[cfg(test)]
mod tests;
