use super::*;

fn details() -> Details {
    Details {
        to: "01JBSEA1P0ST0000000000ABCD".to_owned(),
        label: "zapt.jpg".to_owned(),
        role: "court-record".to_owned(),
        media: "image/jpeg".to_owned(),
        edition: Edition::Evidentiary,
        plain: Plain { sha256: Hash::of(b"scan"), size: 1_843_200 },
        blob: Blob { sha256: Hash::of(b"sealed"), size: blob_size(1_843_200) },
        passphrase: AttachmentPassphrase::generate(&[7; 32]),
    }
}

fn record() -> Value {
    Value::Object(details().to_fields())
}

fn without_or(name: &'static str, value: Option<Value>) -> PeerAttachmentError {
    let mut record = record();
    let (object, key) = match name.strip_prefix("blob.") {
        Some(key) => (record["blob"].as_object_mut().unwrap(), key),
        None => (record.as_object_mut().unwrap(), name),
    };
    match value {
        Some(value) => object.insert(key.to_owned(), value),
        None => object.remove(key),
    };
    Details::read(&record).unwrap_err()
}

#[test]
fn what_is_written_reads_back() {
    let read = Details::read(&record()).unwrap().unwrap();
    let (read, written) = (read.to_fields(), details().to_fields());
    assert_eq!(read, written);
}

#[test]
fn every_field_that_is_needed_is_needed() {
    for name in
        ["to", "label", "sha256", "size", "blob", "blob.sha256", "blob.size", "blob.passphrase"]
    {
        assert_eq!(without_or(name, None), PeerAttachmentError::Field(name));
        assert_eq!(without_or(name, Some(json!(true))), PeerAttachmentError::Field(name));
    }
    assert_eq!(without_or("to", Some(json!("../x"))), PeerAttachmentError::Field("to"));
    let long = json!("x".repeat(256));
    assert_eq!(without_or("label", Some(long)), PeerAttachmentError::Field("label"));
    let capitals = json!(Hash::of(b"scan").to_string().to_uppercase());
    assert_eq!(without_or("sha256", Some(capitals)), PeerAttachmentError::Field("sha256"));
    // A blob of another length than the file's, or of one that nobody can have sealed.
    for (name, size) in [("size", 7), ("blob.size", 1_024), ("size", u64::MAX)] {
        let error = without_or(name, Some(json!(size)));
        assert_eq!(error, PeerAttachmentError::Field("blob.size"));
    }
}

#[test]
fn the_entry_names_just_this_blob() {
    let blob = details().blob;
    let other = Blob { sha256: Hash::of(b"other"), ..blob };
    let read = |blobs: &[Blob]| Details::of_entry(&record(), blobs).map(|read| read.is_some());
    assert_eq!(read(&[blob]), Ok(true));
    for blobs in [vec![], vec![other], vec![blob, other], vec![Blob { size: 1, ..blob }]] {
        assert_eq!(read(&blobs), Err(PeerAttachmentError::OtherBlob));
    }
}

#[test]
fn what_is_for_named_readers_is_read_by_them_alone() {
    let apart = json!({ "kind": "attachment", SEALED: details().to_fields() });
    let read = Details::of_entry(&apart, &[details().blob]).unwrap().unwrap();
    assert_eq!(read.label, "zapt.jpg");
    let others = json!({ "kind": "attachment", SEALED: "YWdl" });
    assert!(Details::of_entry(&others, &[details().blob]).unwrap().is_none());
    assert!(Details::of_entry(&others, &[]).is_err());
}

#[test]
fn a_working_copy_says_what_it_was_made_of_and_what_is_left_out() {
    let working = |derived_from: Option<&str>, stripped: &[&str]| Edition::Working {
        derived_from: derived_from.map(str::to_owned),
        stripped: stripped.iter().map(|word| (*word).to_owned()).collect(),
    };
    let id = "01JBSEA1P0ST0000000000ABCE";
    let edition = working(Some(id), &["exif", "xmp"]);
    let written = Details { edition: edition.clone(), ..details() }.to_fields();
    assert_eq!(written["copy"], "working");
    assert_eq!(
        (&written["derived_from"], &written["stripped"]),
        (&json!(id), &json!(["exif", "xmp"]))
    );
    let mut record = Value::Object(written);
    assert_eq!(Details::read(&record).unwrap().unwrap().edition, edition);
    // Neither must stand there, but what stands there must read.
    for (name, wrong) in [("derived_from", "../x"), ("stripped", "exif")] {
        let before = record[name].take();
        record[name] = json!(wrong);
        assert_eq!(Details::read(&record).unwrap_err(), PeerAttachmentError::Field(name));
        record[name] = before;
    }
    record.as_object_mut().unwrap().retain(|name, _| name != "derived_from" && name != "stripped");
    assert_eq!(Details::read(&record).unwrap().unwrap().edition, working(None, &[]));
    for other in [json!("evidentiary"), json!("something new"), Value::Null] {
        record["copy"] = other;
        assert_eq!(Details::read(&record).unwrap().unwrap().edition, Edition::Evidentiary);
    }
}
