use sealpost_protocol::hash::Hash;

use super::*;
use crate::village::{MemoryRelay, Person};

/// Isla's committee, in which `sizes` wait to come from the relay.
fn lacking(sizes: &[u64]) -> Person {
    let mut isla = Person::founds("isla", &mut MemoryRelay::new(9));
    for size in sizes {
        let id = format!("attachment of {size}");
        let blob = Blob { sha256: Hash::of(id.as_bytes()), size: *size };
        let to = "record".to_owned();
        let attachment = Attachment { committee: isla.no, id, to, blob, fault: None };
        isla.app.vault.write(|vault| vault.put_attachment(&attachment)).unwrap();
    }
    isla
}

fn known(person: &Person) -> Committee {
    person.app.vault.read(|vault| vault.committee_no(person.no)).unwrap()
}

fn sizes(person: &Person, which: Which) -> Vec<u64> {
    let loads = loads(&person.app, &[known(person)], which).unwrap();
    loads.into_iter().map(|load| load.attachment.blob.size).collect()
}

fn faults(person: &Person) -> Vec<Option<String>> {
    let lacking = person.app.vault.read(|vault| vault.attachments_lacking(person.no)).unwrap();
    lacking.into_iter().map(|attachment| attachment.fault).collect()
}

/// What is done when the first load fails so.
fn fails(person: &mut Person, error: impl Into<FollowError>) -> (bool, Report) {
    let (mut report, known) = (Report::default(), known(person));
    let loads = loads(&person.app, std::slice::from_ref(&known), Which::All).unwrap();
    let goes_on = go_on(&mut person.app, &known, &loads[0], error.into(), &mut report).unwrap();
    (goes_on, report)
}

#[test]
fn the_smallest_go_first_and_a_metered_line_carries_no_others() {
    let isla = lacking(&[9_000_000, SMALL_BYTES_MAX + 1, 700, SMALL_BYTES_MAX]);
    let all = [700, SMALL_BYTES_MAX, SMALL_BYTES_MAX + 1, 9_000_000];
    assert_eq!(sizes(&isla, Which::All), all);
    assert_eq!(sizes(&isla, Which::Small), all[..2]);
    assert_eq!(sizes(&isla, Which::None), [0; 0]);
}

#[test]
fn whoever_stays_with_a_relay_does_not_ask_again_for_what_was_faulty() {
    let mut isla = lacking(&[700, 800]);
    let (no, blob) = (isla.no, Blob { sha256: Hash::of(b"attachment of 700"), size: 700 });
    isla.app.vault.write(|vault| vault.note_blob_fault(no, &blob, Some("it lied"))).unwrap();
    assert_eq!(sizes(&isla, Which::Sound), [800]);
    assert_eq!(sizes(&isla, Which::All), [700, 800]);
}

#[test]
fn nothing_is_carried_for_a_committee_that_cut_this_device_off() {
    let mut isla = lacking(&[700]);
    let no = isla.no;
    isla.app.vault.write(|vault| vault.set_standing(no, Standing::Ended)).unwrap();
    assert_eq!(sizes(&isla, Which::All), [0; 0]);
}

#[test]
fn one_faulty_blob_keeps_no_other_back_and_a_lost_line_does() {
    let mut isla = lacking(&[700, 800]);
    let (goes_on, report) = fails(&mut isla, Lie::Blob);
    assert!(goes_on);
    assert_eq!(report.faulty[0].kind, Error::Verification);
    assert!(report.failures.is_empty());
    let (goes_on, report) = fails(&mut isla, Failure::new(Error::Unreachable, "no line"));
    assert!(!goes_on);
    assert_eq!(report.failures[0].kind, Error::Unreachable);
    let (goes_on, report) = fails(&mut isla, refused(Code::NoRoom));
    assert!(goes_on);
    assert_eq!(report.failures[0].kind, Error::NotDelivered);
    assert_eq!(faults(&isla), [None, None]);
}

#[test]
fn what_this_disk_has_no_room_for_is_told_with_its_attachment() {
    let mut isla = lacking(&[700, 800]);
    let (goes_on, report) = fails(&mut isla, Failure::new(Error::DiskFull, "the disk is full"));
    assert!(goes_on);
    assert_eq!(report.faulty[0].kind, Error::DiskFull);
    assert_eq!(faults(&isla), [Some("the disk is full".to_owned()), None]);
}
