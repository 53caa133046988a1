//! Files attached to records: sealed, sent, fetched, saved, metered, refused when they are not what
//! their entries name.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sealpost_protocol::code::Code;
use sealpost_protocol::frame::{BlobBytes, Empty, Refused, Reply, Request};
use sealpost_tests::home::Home;
use sealpost_tests::proxy::Direction;
use sealpost_tests::scan::Marker;
use sealpost_tests::scene::Scene;
use sealpost_tests::tap::Tap;
use serde_json::{Value, json};

use crate::programs;

/// It waits a second, so that several records go at once, and writes a segment anew.
const DROPPED_WITHIN: Duration = Duration::from_secs(60);

/// A file of that many bytes that no two calls with other seeds make alike.
fn content(seed: u8, len: usize) -> Vec<u8> {
    let mut state = u32::from(seed) | 0x5ea1_0000;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect()
}

fn attach(home: &Home, record: &str, file: &Path, flags: &[&str]) -> Value {
    let file = file.to_str().expect("a plain name");
    let command = ["attach", record, file, "--as", "scan"];
    home.run(&[command.as_slice(), flags].concat()).exits(0).json()
}

/// The attachments of a record, as `record show` has them.
fn attached(home: &Home, record: &str) -> Vec<Value> {
    home.show(record)["attachments"].as_array().expect("a list").clone()
}

fn state(home: &Home, record: &str) -> Vec<String> {
    let word = |one: &Value| one["state"].as_str().expect("a word").to_owned();
    attached(home, record).iter().map(word).collect()
}

fn save(home: &Home, reference: &str, out: &Path) -> Vec<PathBuf> {
    let out = out.to_str().expect("a plain name");
    let saved = home.run(&["save", reference, "--out", out]).exits(0).json();
    let path = |one: &Value| PathBuf::from(one["path"].as_str().expect("a path"));
    saved.as_array().expect("a list").iter().map(path).collect()
}

/// The files of blobs that a relay has.
fn blobs(data: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| fs::read_dir(folder).expect("it is there");
    let path = |entry: std::io::Result<fs::DirEntry>| entry.expect("it can be listed").path();
    let folders = entries(&data.join("blobs")).map(path);
    folders.flat_map(|folder| entries(&folder).map(path).collect::<Vec<_>>()).collect()
}

fn note(home: &Home, committee: &str) -> String {
    home.record_new("note", committee, &json!({ "text": "with a scan" })).reference
}

#[test]
fn a_scan_travels_with_its_note_and_comes_out_as_it_went_in() {
    let Scene { relay, isla, baran, committee } = Scene::new(&programs());
    let record = note(&isla, &committee);
    let scan = content(1, 1_842_309);
    let file = isla.file("duruşma zaptı.jpg", &scan);
    let made = attach(&isla, &record, &file, &[]);
    assert_eq!((&made["state"], &made["to"]), (&json!("accepted"), &json!(record)));
    assert_eq!(made["size"], scan.len());
    assert_eq!(state(&isla, &record), ["here"]);
    assert_eq!(fs::read(&file).expect("it is there"), scan, "the original is untouched");

    let synced = baran.sync();
    assert_eq!((&synced["fetched"], &synced["unsent"]), (&json!(1), &json!(0)));
    let shown = &attached(&baran, &record)[0];
    assert_eq!((&shown["state"], &shown["label"]), (&json!("here"), &json!("duruşma zaptı.jpg")));
    assert_eq!((&shown["sha256"], &shown["role"]), (&made["sha256"], &json!("scan")));
    let out = baran.disk().join("out");
    let saved = save(&baran, &record, &out);
    let reference = made["ref"].as_str().expect("a REF");
    assert_eq!(saved, [out.join(format!("{reference}-duruşma zaptı.jpg"))]);
    assert_eq!(fs::read(&saved[0]).expect("it is there"), scan);
    // Once more beside it, and fetched anew because his disk has changed its sealed bytes.
    let sealed = baran.vault().join("attachments");
    let mut bytes = fs::read(&sealed).expect("it is there");
    bytes.iter_mut().step_by(300_000).for_each(|byte| *byte ^= 1);
    fs::write(&sealed, bytes).expect("writable");
    let again = save(&baran, reference, &out);
    assert_eq!(again, [out.join(format!("{reference}-duruşma zaptı (2).jpg"))]);
    assert_eq!(fs::read(&again[0]).expect("it is there"), scan);
    // The relay has the ciphertext alone.
    let found = Marker::of_bytes("scan", &scan[..64]).in_folder(&relay.data());
    assert!(found.is_empty(), "{found:?}");
    // For people it says what it is.
    let words = baran.run_plain(&["record", "show", &record]).exits(0).stdout_text();
    assert!(words.contains("duruşma zaptı.jpg  scan  1.76 MiB  here"), "{words}");
}

/// A GIF of one pixel, with a comment.
const TELLING: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xFF\xFF\xFF!\xFE\x0341N\0\
    ,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

#[test]
fn a_working_copy_travels_beside_its_original() {
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    let record = note(&isla, &committee);
    let made = attach(&isla, &record, &isla.file("zapt.gif", TELLING), &["--strip"]);
    assert_eq!(made["state"], "accepted");
    baran.sync();
    let shown = attached(&baran, &record);
    let copies: Vec<&Value> = shown.iter().map(|one| &one["copy"]).collect();
    assert_eq!(copies, ["evidentiary", "working"]);
    assert_eq!(shown[1]["derived_from"], shown[0]["id"]);
    assert_eq!(shown[1]["stripped"], json!(["comment"]));
    let saved = save(&baran, &record, &baran.disk().join("out"));
    assert_eq!(fs::read(&saved[0]).expect("it is there"), TELLING);
    let copy = fs::read(&saved[1]).expect("it is there");
    assert!(copy.starts_with(b"GIF89a") && !copy.windows(3).any(|bytes| bytes == b"41N"));
}

#[test]
fn what_is_written_offline_goes_text_first_and_the_smallest_scan_before_the_others() {
    let programs = programs();
    let relay = Tap::start();
    let isla = Home::in_country(&programs, "isla", "CH");
    let baran = Home::in_country(&programs, "baran", "TR");
    let committee = isla.found(relay.address(), &relay.permit(), "Harbour");
    isla.let_in(&committee, &baran);
    let record = isla.record_later("note", &committee, &json!({ "text": "first" })).reference;
    for (name, len) in [("large", 900_000), ("small", 1_000), ("middle", 90_000)] {
        let file = isla.file(name, &content(2, len));
        assert_eq!(attach(&isla, &record, &file, &["--later"])["state"], "saved");
    }
    let _ = isla.record_later("note", &committee, &json!({ "text": "second" }));
    assert_eq!(state(&isla, &record), ["saved", "saved", "saved"]);
    relay.forget_frames();
    let synced = isla.sync();
    assert_eq!(synced["sent"], 5);
    let mut order = Vec::new();
    for frame in relay.frames() {
        if frame.direction != Direction::ToRelay {
            continue;
        }
        match sealpost_protocol::frame::decode(&frame.bytes[4..]) {
            Ok(Request::Push(push)) => order.push(format!("{} entries", push.entries.len())),
            Ok(Request::BlobPut(put)) => order.push(format!("{} bytes", put.blob.size)),
            _ => {}
        }
    }
    let blob = |len| format!("{} bytes", sealpost_protocol::seal::blob_size(len));
    let one = || "1 entries".to_owned();
    let expected =
        ["2 entries".to_owned(), blob(1_000), one(), blob(90_000), one(), blob(900_000), one()];
    assert_eq!(order, expected);
    baran.sync();
    assert_eq!(state(&baran, &record), ["here", "here", "here"]);
    assert_eq!(save(&baran, &record, &baran.disk().join("out")).len(), 3);
}

#[test]
fn a_metered_sync_leaves_what_is_large_until_it_is_asked_for() {
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    let record = note(&isla, &committee);
    let (small, large) = (content(3, 40_000), content(4, 700_000));
    for (name, bytes) in [("small.jpg", &small), ("large.pdf", &large)] {
        let _ = attach(&isla, &record, &isla.file(name, bytes), &["--later"]);
    }
    let metered = isla.run(&["sync", "--metered"]);
    assert_eq!(metered.fails(3, "not-delivered").json()["sent"], 1);
    assert_eq!(state(&isla, &record), ["here", "saved"]);
    isla.sync();
    assert_eq!(baran.run(&["sync", "--metered"]).exits(0).json()["fetched"], 1);
    assert_eq!(state(&baran, &record), ["here", "at-relay"]);
    let told = baran.run_plain(&["sync", "--metered"]).exits(0).stderr_text();
    assert!(told.contains("1 attachments are not here yet"), "{told}");
    // Saving asks for it.
    let saved = save(&baran, &record, &baran.disk().join("out"));
    let bytes: Vec<Vec<u8>> = saved.iter().map(|path| fs::read(path).expect("a file")).collect();
    assert_eq!(bytes, [small, large]);
    assert_eq!(state(&baran, &record), ["here", "here"]);
}

/// A relay in this process, two people, and a note with a scan that the second has not fetched.
struct Lied {
    relay: Tap,
    baran: Home,
    record: String,
    /// Another note with a scan, which he has.
    other: String,
    /// The sealed bytes of that one, as long as the others.
    other_blob: Vec<u8>,
    scan: Vec<u8>,
}

impl Lied {
    fn to() -> Self {
        let programs = programs();
        let relay = Tap::start();
        let isla = Home::in_country(&programs, "isla", "CH");
        let baran = Home::in_country(&programs, "baran", "TR");
        let committee = isla.found(relay.address(), &relay.permit(), "Harbour");
        isla.let_in(&committee, &baran);
        let record = note(&isla, &committee);
        let other = note(&isla, &committee);
        let scan = content(5, 1_200_000);
        let _ = attach(&isla, &other, &isla.file("other.png", &content(15, scan.len())), &[]);
        baran.sync();
        let other_blob = fs::read(one_blob(&relay.data())).expect("readable");
        let _ = attach(&isla, &record, &isla.file("scan.png", &scan), &[]);
        Self { relay, baran, record, other, other_blob, scan }
    }

    /// What the relay gives in the place of a blob's pieces is refused, and hurts nothing else.
    fn is_refused(&self, what: &str, lie: impl FnMut(&Request, Reply) -> Reply + Send + 'static) {
        self.relay.lie(lie);
        let refused = self.baran.run(&["sync"]);
        assert_eq!(refused.failure()["error"], "verification-failed", "{what}");
        let _ = refused.exits(7);
        assert_eq!(state(&self.baran, &self.record), ["missing"], "{what}");
        assert_eq!(self.baran.show(&self.other)["verified"], true, "{what}");
        assert_eq!(state(&self.baran, &self.other), ["here"], "{what}");
        let out = self.baran.disk().join("out");
        let save = ["save", &self.record, "--out", out.to_str().expect("a plain name")];
        let _ = self.baran.run(&save).fails(7, "verification-failed");
        assert!(fs::read_dir(&out).is_ok_and(|mut names| names.next().is_none()), "{what}");
        self.relay.tell_the_truth();
    }
}

/// The blob at a relay that has one: in a folder called after its committee, called after its hash.
pub(crate) fn one_blob(data: &Path) -> PathBuf {
    let in_folder = |path: &Path| {
        let names = fs::read_dir(path).expect("a folder");
        names.map(|entry| entry.expect("readable").path()).collect::<Vec<PathBuf>>()
    };
    let committees = in_folder(&data.join("blobs"));
    let [committee] = committees.as_slice() else { panic!("one committee: {committees:?}") };
    let blobs = in_folder(committee);
    let [blob] = blobs.as_slice() else { panic!("one blob: {blobs:?}") };
    blob.clone()
}

/// The pieces of a blob, each changed by itself.
fn altered(
    mut alter: impl FnMut(Vec<u8>) -> Vec<u8> + Send + 'static,
) -> impl FnMut(&Request, Reply) -> Reply + Send {
    move |request, reply| match (request, reply) {
        (Request::BlobGet(_), Reply::BlobBytes(piece)) => {
            Reply::BlobBytes(BlobBytes { bytes: alter(piece.bytes.to_vec()).into() })
        }
        (_, reply) => reply,
    }
}

#[test]
fn what_is_not_the_blob_that_was_named_is_refused_and_everything_else_stays_usable() {
    let lied = Lied::to();
    lied.is_refused(
        "a flipped bit",
        altered(|mut bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            bytes
        }),
    );
    lied.is_refused("zeros", altered(|bytes| vec![0; bytes.len()]));
    lied.is_refused(
        "an end too early",
        altered(|mut bytes| {
            bytes.pop();
            bytes
        }),
    );
    lied.is_refused(
        "a byte more",
        altered(|mut bytes| {
            if bytes.len() < 500_000 {
                bytes.push(7);
            }
            bytes
        }),
    );
    let (other, mut at) = (lied.other_blob.clone(), 0);
    lied.is_refused(
        "the blob of another record",
        altered(move |bytes| {
            let from = at % other.len();
            at = from + bytes.len();
            other[from..at].to_vec()
        }),
    );
    lied.is_refused("nothing at all", |request, reply| match request {
        Request::BlobGet(_) => Reply::Done(Empty {}),
        _ => reply,
    });
    lied.is_refused("that it has none", |request, reply| match request {
        Request::BlobGet(_) => Reply::Refused(Refused { code: Code::NotFound }),
        _ => reply,
    });
    lied.is_refused("that it lost it", |request, reply| match request {
        Request::BlobGet(_) => Reply::Refused(Refused { code: Code::BlobMissing }),
        _ => reply,
    });
    // Told the truth, it takes it.
    lied.baran.sync();
    assert_eq!(state(&lied.baran, &lied.record), ["here"]);
    let saved = save(&lied.baran, &lied.record, &lied.baran.disk().join("out"));
    assert_eq!(fs::read(&saved[0]).expect("a file"), lied.scan);
}

#[test]
fn an_upload_goes_on_where_the_relay_has_it() {
    let programs = programs();
    let relay = Tap::start();
    let isla = Home::in_country(&programs, "isla", "CH");
    let committee = isla.found(relay.address(), &relay.permit(), "Harbour");
    let record = note(&isla, &committee);
    let scan = content(6, 3_000_000);
    let made = attach(&isla, &record, &isla.file("film", &scan), &["--later"]);
    let offsets: Arc<Mutex<Vec<u64>>> = Arc::default();
    let seen = offsets.clone();
    // The first upload is answered as refused at its end: all of it is there all the same.
    let mut once = true;
    relay.lie(move |request, reply| match (request, reply) {
        (Request::BlobPut(_), Reply::BlobAt(at)) => {
            seen.lock().expect("no panic").push(at.offset);
            Reply::BlobAt(at)
        }
        (Request::BlobPut(_), Reply::Done(_)) if std::mem::take(&mut once) => {
            Reply::Refused(Refused { code: Code::Busy })
        }
        (_, reply) => reply,
    });
    let _ = isla.run(&["sync"]).fails(3, "not-delivered");
    isla.sync();
    let blob = sealpost_protocol::seal::blob_size(scan.len() as u64);
    assert_eq!(*offsets.lock().expect("no panic"), [0, blob]);
    assert_eq!(made["state"], "saved");
    assert_eq!(state(&isla, &record), ["here"]);
}

#[test]
fn a_file_for_named_readers_is_nothing_to_others() {
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    let carol = Home::in_country(&programs(), "carol", "DE");
    isla.let_in(&committee, &carol);
    let record = note(&isla, &committee);
    let paper = content(7, 5_000);
    let file = isla.file("statement.pdf", &paper);
    let made = attach(&isla, &record, &file, &["--reader", "carol"]);
    carol.sync();
    baran.sync();
    assert_eq!(
        fs::read(&save(&carol, &record, &carol.disk().join("out"))[0]).expect("a file"),
        paper
    );
    // To him it is a record that is not for him, and no file.
    assert_eq!(attached(&baran, &record), Vec::<Value>::new());
    let reference = made["ref"].as_str().expect("a REF");
    let shown = baran.show(reference).to_string();
    assert!(!shown.contains("statement"), "{shown}");
    let out = baran.disk().join("out");
    let save = ["save", reference, "--out", out.to_str().expect("a plain name")];
    let _ = baran.run(&save).fails(6, "not-found");
}

#[test]
fn readers_attach_nothing_and_what_is_no_record_bears_nothing() {
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    let record = note(&isla, &committee);
    let file = isla.file("scan.png", &content(8, 10));
    let made = attach(&isla, &record, &file, &[]);
    let path = file.to_str().expect("a plain name");
    let on_attachment = ["attach", made["ref"].as_str().expect("a REF"), path, "--as", "scan"];
    let _ = isla.run(&on_attachment).fails(2, "usage").says("is an attachment itself");
    let _ = isla.run(&["attach", "N-2222222X", path, "--as", "scan"]).code();
    let missing = ["attach", &record, "/no/such/file", "--as", "scan"];
    let _ = isla.run(&missing).fails(2, "usage").says("/no/such/file");
    let _ = isla.run(&["member", "role", "baran", "reader", "--committee", &committee]).exits(0);
    baran.sync();
    let _ = baran.run(&["attach", &record, path, "--as", "scan"]).fails(5, "not-allowed");
}

#[test]
fn a_forgotten_record_is_gone_from_relay_and_colleagues_and_the_log_goes_on() {
    let Scene { mut relay, isla, baran, committee } = Scene::new(&programs());
    let record = note(&isla, &committee);
    let made = attach(&isla, &record, &isla.file("scan.png", &content(9, 300_000)), &[]);
    let kept = note(&isla, &committee);
    baran.sync();
    assert_eq!(state(&baran, &record), ["here"]);
    let sealed = |reference: &str| {
        let file = isla.sealed(reference);
        Marker::of_bytes(reference, &file[file.len() - 64..])
    };
    let attachment = made["ref"].as_str().expect("a REF");
    let [blob] = &blobs(&relay.data())[..] else { panic!("one scan") };
    let blob = Marker::of_bytes("the scan", &fs::read(blob).expect("it is there")[..64]);
    let gone = [sealed(&record), sealed(attachment), blob];
    let stays = sealed(&kept);
    for there in gone.iter().chain([&stays]) {
        assert!(!there.in_folder(&relay.data()).is_empty(), "a control: {}", there.text());
    }
    // Not his to forget.
    let _ = baran.run(&["record", "forget", &record, "--yes"]).fails(5, "not-allowed");
    let forgot = isla.run(&["record", "forget", &record, "--yes"]).exits(0).json();
    assert_eq!(forgot["refs"], json!([record, made["ref"]]));
    assert_eq!(forgot["state"], "forgotten");
    assert_eq!(forgot["had"][0]["handle"], "baran");
    baran.sync();
    for home in [&isla, &baran] {
        let _ = home.run(&["record", "show", &record]).fails(6, "not-found").says("was forgotten");
        let states: Vec<Value> = home
            .records()
            .into_iter()
            .filter(|row| row["state"] == "forgotten")
            .map(|row| row["ref"].clone())
            .collect();
        assert_eq!(states.len(), 2, "{states:?}");
        assert_eq!(home.show(&kept)["verified"], true);
    }
    // Nor does the relay's disk hold it any longer, a moment after it was asked to forget.
    let journal = relay.data().join("journal/00000001");
    let began = Instant::now();
    let is_done = || {
        let journal = fs::read(&journal).expect("it is there");
        let dropped = gone.iter().all(|gone| gone.in_bytes(&journal).is_none());
        dropped && blobs(&relay.data()).is_empty()
    };
    while !is_done() {
        assert!(began.elapsed() < DROPPED_WITHIN, "{}", relay.log());
    }
    relay.stop();
    for gone in &gone {
        let found = gone.in_folder(&relay.data());
        assert!(found.is_empty(), "{}: {found:?}", gone.text());
    }
    assert!(!stays.in_folder(&relay.data()).is_empty(), "all else stays");
    let checked = relay.run(&["check"]).exits(0).stdout_text();
    assert!(checked.contains("are sound"), "{checked}");
    relay.restart();
    // A newcomer is shown the log without it, and verifies it.
    let carol = Home::in_country(&programs(), "carol", "DE");
    isla.let_in(&committee, &carol);
    assert_eq!(carol.show(&kept)["verified"], true);
    assert_eq!(carol.records().iter().filter(|row| row["state"] == "forgotten").count(), 2);
    drop(relay);
}
