use proptest::prelude::*;

use super::scene::{MEMBER, Scene, findings, relay, rewritten};
use super::*;
use crate::vectors::for_each_vector;
use crate::world::TestDevice;

const RECORDS: [&str; 6] = ["one", "two", "three", "four", "five", "six"];

fn evidence(finding: Finding) -> Result<Evidence, PeerEvidenceError> {
    Evidence::new(relay(), finding)
}

#[test]
fn the_evidence_vectors_come_out_as_they_say() {
    for_each_vector("evidence", |vector| {
        let text = vector.body_bytes();
        if let Some(read) = vector.assert(Evidence::parse(text)) {
            assert_eq!(read.finding().kind(), vector.field("kind"));
            assert_eq!(read.to_string().as_bytes(), text);
        }
    });
}

#[test]
fn what_is_made_is_what_is_read() {
    for finding in findings() {
        let made = evidence(finding.clone()).unwrap();
        assert_eq!((made.relay(), made.finding()), (&relay(), &finding));
        assert_eq!(Evidence::parse(made.to_string().as_bytes()).unwrap(), made);
        assert!(made.to_string().len() <= EVIDENCE_BYTES_MAX);
        // The longest proofs, keys and entry leave room.
        assert!(made.to_string().len() + 130 * 65 < EVIDENCE_BYTES_MAX);
    }
}

#[test]
fn every_flipped_bit_of_every_kind_is_refused() {
    for finding in findings() {
        let text = evidence(finding).unwrap().to_string().into_bytes();
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut changed = text.clone();
                changed[at] ^= 1 << bit;
                let refused = Evidence::parse(&changed);
                assert!(refused.is_err(), "byte {at}, bit {bit}: {}", text.escape_ascii());
            }
        }
        for end in 0..text.len() {
            assert!(Evidence::parse(&text[..end]).is_err(), "cut at {end}");
        }
    }
}

#[test]
fn an_honest_relays_notes_are_evidence_of_nothing() {
    let honest = Scene::new(&RECORDS);
    let keys = TestDevice::new(MEMBER).card.keys();
    for size in 2..=honest.size() {
        for old in 2..=size {
            let fork = evidence(honest.fork(&honest.note(old), size));
            assert_eq!(fork, Err(PeerEvidenceError::Consistent), "{old} {size}");
            assert_eq!(honest.of_fork(&honest.note(old), size), None);
            for index in 0..old {
                let dropped = evidence(Finding::Dropped {
                    held: honest.note(old),
                    receipt: honest.placed(index, old),
                    shown: honest.note(size),
                    leaf: honest.leaf(index),
                    steps: honest.steps(index, size),
                });
                assert_eq!(dropped, Err(PeerEvidenceError::Consistent), "{index} {old} {size}");
            }
        }
        for index in (3..size).step_by(2) {
            let seen = evidence(honest.seen(index, size));
            assert_eq!(seen, Err(PeerEvidenceError::Consistent), "{index} {size}");
            let (note, entry) = (honest.note(size), honest.placed(index, size));
            let rewritten = evidence(Finding::Rewritten { note, entry, keys: keys.clone() });
            assert_eq!(rewritten, Err(PeerEvidenceError::Consistent), "{index} {size}");
        }
    }
}

#[test]
fn only_a_rollback_hangs_on_the_word_of_who_made_the_file() {
    for finding in findings() {
        let word = matches!(finding, Finding::Rollback { .. });
        assert_eq!(evidence(finding).unwrap().finding().is_by_signatures_alone(), !word);
    }
}

#[test]
fn another_relays_note_or_log_is_refused() {
    let finding = rewritten();
    let other = crate::sign::SigningKey::from_bytes(&[91; 32]).verifying_key().into();
    let refused = Evidence::new(other, finding);
    assert_eq!(refused, Err(PeerEvidenceError::Note(PeerNoteError::OtherKey)));
    let (honest, forked) = (Scene::new(&RECORDS), Scene::new(&["another"]));
    let mut elsewhere = forked.note(3).checkpoint().to_owned();
    elsewhere.origin.term = elsewhere.origin.term.next();
    let elsewhere = elsewhere.sign(&crate::world::relay_key());
    let refused = evidence(honest.fork(&elsewhere, 5));
    assert!(matches!(refused, Err(PeerEvidenceError::Note(PeerNoteError::OtherOrigin(_)))));
}

#[test]
fn the_same_evidence_has_the_same_name_and_others_have_others() {
    let names = || findings().into_iter().map(|it| evidence(it).unwrap().file_name());
    assert!(names().eq(names()));
    let distinct: std::collections::BTreeSet<String> = names().collect();
    assert_eq!(distinct.len(), findings().len());
    assert!(distinct.iter().all(|name| name.len() == 20 && name.ends_with(".txt")));
}

/// Records of a log that begins as another does.
fn branch(common: usize, own: usize, word: &str) -> Vec<String> {
    let mut records: Vec<String> = RECORDS[..common].iter().map(|&it| it.to_owned()).collect();
    records.extend((0..own).map(|at| format!("{word} {at}")));
    records
}

fn scene(records: &[String]) -> Scene {
    Scene::new(&records.iter().map(String::as_str).collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Two who were forked hold a note each; whichever is the longer, its log shows the fork. Two who were
    /// not have none.
    #[test]
    fn whoever_holds_one_side_of_a_fork_and_a_note_of_the_other_has_evidence(
        common in 0_usize..4, first in 1_usize..4, second in 1_usize..4, back in 0_u64..3,
    ) {
        let sides = [scene(&branch(common, first, "first")), scene(&branch(common, second, "second"))];
        let shared = 2 + common as u64;
        for (ours, theirs) in [(&sides[0], &sides[1]), (&sides[1], &sides[0])] {
            for size in (shared + 1)..=theirs.size().min(ours.size()) {
                let found = ours.of_fork(&theirs.note(size), ours.size());
                prop_assert!(found.is_some(), "{size} of {shared}");
                let text = found.unwrap().to_string();
                prop_assert!(Evidence::parse(text.as_bytes()).is_ok());
            }
            let size = shared - back.min(shared - 1);
            prop_assert_eq!(ours.of_fork(&theirs.note(size), ours.size()), None);
        }
    }

    #[test]
    fn no_beginning_makes_two_honest_notes_a_fork(
        old in 2_u64..8, more in 0_u64..3, root: [u8; 32], hashes: Vec<[u8; 32]>,
    ) {
        let honest = Scene::new(&RECORDS);
        let size = (old + more).min(honest.size());
        let old = old.min(size);
        let Finding::Fork { old, new, steps, .. } = honest.fork(&honest.note(old), size) else {
            unreachable!()
        };
        let begins = Hash(root);
        let with = |steps| Finding::Fork { old: old.clone(), new: new.clone(), begins, steps };
        prop_assert!(evidence(with(steps)).is_err());
        prop_assert!(evidence(with(hashes.into_iter().map(Hash).collect::<Vec<_>>().into())).is_err());
    }

    #[test]
    fn no_bytes_make_reading_evidence_panic(bytes: Vec<u8>, rest: String) {
        prop_assert!(Evidence::parse(&bytes).is_err());
        for kind in ["fork", "rollback", "dropped", "rewritten", "seen"] {
            let text = format!("sealpost-evidence/1 {kind}\n{rest}");
            prop_assert!(Evidence::parse(text.as_bytes()).is_err());
        }
    }
}
