//! Handles that are not the same and that nobody tells apart, by Unicode's tables (UTS 39).

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;
use unicode_security::{MixedScript, skeleton};

use super::is_same_handle;

/// Whether two handles look the same to a hasty eye: `isla` and `lsla`, `baran` and `bаran`. Those that
/// are the same do.
pub fn reads_like(one: &str, other: &str) -> bool {
    is_same_handle(one, other) || !looks(one).is_disjoint(&looks(other))
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

/// How a handle looks: as it is, in small letters, and with what it looks like in small letters, because
/// a capital I looks like a small l and i does not.
fn looks(handle: &str) -> BTreeSet<String> {
    let composed: String = handle.trim().nfc().collect();
    let as_it_is: String = skeleton(&composed).collect();
    let small = skeleton(&composed.to_lowercase()).collect();
    [as_it_is.to_lowercase(), as_it_is, small].into()
}

#[cfg(test)]
mod tests;
