use sealpost_protocol::checkpoint::{Checkpoint, Cosignature};
use sealpost_protocol::id::{TreeSize, UnixMillis};

use super::*;
use crate::changes::{Intent, PolicyParts};
use crate::village::{MemoryRelay, Person, scene, three_coordinators};

fn wish(record: &str, parts: &[&str]) -> Wish {
    let parts = parts.iter().map(|part| (*part).to_owned()).collect();
    Wish { record: record.to_owned(), parts, attachments: Vec::new() }
}

#[test]
fn a_field_is_named_with_or_without_its_first_stroke_and_holds_what_lies_in_it() {
    assert_eq!((pointer("text"), pointer("/a/0")), ("/text".to_owned(), "/a/0".to_owned()));
    assert!(is_at_or_below("/persons/0/name", "/persons"));
    assert!(is_at_or_below("/text", "/text"));
    assert!(!is_at_or_below("/texts", "/text"));
    assert!(!is_at_or_below("/text", "/text/0"));
}

#[test]
fn what_is_not_in_the_log_or_no_field_of_it_is_not_proven() {
    let (mut relay, mut isla, _) = scene();
    let record = isla.writes("not sent yet");
    let refused =
        |isla: &mut Person, wish: &Wish| make(&mut isla.app, wish).err().expect("refused").kind;
    assert_eq!(refused(&mut isla, &wish(&record, &[])), Error::NotDelivered);
    isla.sends_all(&mut relay);
    assert!(make(&mut isla.app, &wish(&record, &[])).is_ok());
    assert_eq!(refused(&mut isla, &wish(&record, &["title"])), Error::Usage);
    assert_eq!(refused(&mut isla, &wish(&record, &["salt"])), Error::Usage);
    let none = "01JBSEA1P0ST0000000000ABCD";
    assert_eq!(refused(&mut isla, &wish(none, &[])), Error::NotFound);
    let attachments = vec![record.clone()];
    let other = Wish { attachments, ..wish(&record, &[]) };
    assert_eq!(refused(&mut isla, &other), Error::NotFound);
}

#[test]
fn a_record_is_proven_by_who_reads_it_with_the_roster_it_was_written_under() {
    let (mut relay, mut isla, mut baran) = scene();
    let record = baran.writes("three letters");
    baran.sends_all(&mut relay);
    // What comes later is not shown.
    Person::joins("mira", &mut isla, &mut relay);
    isla.locks();
    isla.sends_all(&mut relay);
    let ready = make(&mut isla.app, &wish(&record, &["text"])).expect("proven");
    let proof = &ready.made.proof;
    assert_eq!(proof.roster_entries, 2);
    assert_eq!(proof.roster.devices().count(), 2);
    assert_eq!(proof.record.header.author, baran.app.device.device_id());
    assert_eq!(proof.note.checkpoint().size, isla.size());
    let ShownPart::Fields(fields) = &proof.record.part else { panic!("a part") };
    assert_eq!(fields.len(), 1);
    let preview = ready.preview().join("\n");
    let device = names::device_ref(&baran.app.device.device_id()).to_string();
    assert!(preview.contains("only: /text.") && preview.contains(&device), "{preview}");
    for told in ["grants, links, labels", "recovery shares", "author_seq: 0", "seen: ", "none does"]
    {
        assert!(preview.contains(told), "{told}: {preview}");
    }
    assert_eq!(ready.passphrases().count(), 0);
}

#[test]
fn the_marks_of_active_devices_on_the_very_checkpoint_go_with_it() {
    let (mut relay, mut isla, baran) = scene();
    let record = isla.writes("three letters");
    isla.sends_all(&mut relay);
    let checkpoint = isla.log().checkpoint().expect("pulled");
    let mark = |person: &Person, checkpoint: &Checkpoint| {
        let device = &person.app.device;
        let cosigner = Cosigner::Device(device.device_id());
        let key = device.signing_key();
        let signed = Cosignature::sign(checkpoint, cosigner, key, UnixMillis(7_200_000));
        Cosigned {
            signer: cosigner.to_string(),
            size: checkpoint.size,
            root: checkpoint.root,
            at: signed.time(),
            line: signed.text().to_owned(),
        }
    };
    let ahead = Checkpoint { size: TreeSize(99), ..checkpoint };
    let marks = [mark(&isla, &checkpoint), mark(&baran, &ahead)];
    isla.app
        .vault
        .write(|vault| marks.iter().try_for_each(|mark| vault.put_cosignature(isla.no, mark)))
        .expect("stored");
    let ready = make(&mut isla.app, &wish(&record, &[])).expect("proven");
    let [cosigned] = ready.made.proof.cosigners.as_slice() else { panic!("one") };
    assert_eq!(cosigned.device, isla.app.device.device_id());
    let device = names::device_ref(&cosigned.device);
    let preview = ready.preview().join("\n");
    assert!(preview.contains(&format!("vouched: {device} at 1970-01-01T02:00:00")), "{preview}");
    let passphrases: Vec<_> = ready.passphrases().collect();
    let [("record", passphrase)] = passphrases.as_slice() else { panic!("one: {passphrases:?}") };
    assert_eq!(passphrase.len(), 43);
}

/// What was approved is a `forget`, which no proof shows.
#[test]
fn what_was_written_behind_an_approved_forget_is_proven() {
    let mut relay = MemoryRelay::new(9);
    let (mut isla, [mut olga, mut tomas, mut baran]) = three_coordinators(&mut relay);
    isla.wants(&Intent::Policy(PolicyParts { approvals: Some(2), ..PolicyParts::default() }));
    isla.sends_all(&mut relay);
    baran.follows(&relay).expect("followed");
    let index = baran.size().0;
    baran.writes("too much");
    baran.sends_all(&mut relay);
    let entry = &relay.pulled(TreeSize(index)).entries[0];
    let leaf = UnverifiedEntry::decode(entry).expect("an entry").leaf().to_string();
    olga.follows(&relay).expect("followed");
    olga.wants(&Intent::Forget { index, leaf });
    olga.sends_all(&mut relay);
    tomas.follows(&relay).expect("followed");
    let log = tomas.log();
    let waiting = log.pulled().expect("pulled").roster().proposals().next();
    let (entry, _) = waiting.expect("one waits");
    tomas.wants(&Intent::Approve { entry: entry.to_string() });
    tomas.sends_all(&mut relay);
    baran.follows(&relay).expect("followed");
    let record = baran.writes("three letters");
    baran.sends_all(&mut relay);
    let ready = make(&mut baran.app, &wish(&record, &["text"])).expect("proven");
    assert_eq!(ready.made.proof.roster.head(), relay.fold.expect("founded").roster().head());
}
