use std::fs;
use std::os::unix::fs::symlink;

use sealpost_protocol::seal::open_attachment;

use super::*;
use crate::clock::Clock;
use crate::vault::attachments::Held;
use crate::vault::committees::Standing;
use crate::vault::fixture::{add_committee, create, home};
use crate::vault::outbox::Sending;

const TO: &str = "01JBSEA1P0ST0000000000ABCD";

struct Stage {
    dir: tempfile::TempDir,
    app: App,
    owner: Owner,
}

fn stage() -> Stage {
    let (dir, home) = home();
    let (mut vault, secrets) = create(&home).unwrap();
    let committee = add_committee(&mut vault, 1);
    let owner = Owner {
        committee,
        id: TO.to_owned(),
        reference: "N-7K2M3X9W".to_owned(),
        kind: "note".to_owned(),
    };
    Stage { dir, app: App { vault, device: secrets.device, clock: Clock::System }, owner }
}

impl Stage {
    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn attach(&mut self, path: PathBuf) -> Result<Attached, Failure> {
        attach(&mut self.app, &self.owner, &wanted(path))
    }

    /// Nothing half-done is left: no draft, and no blob.
    fn has_nothing(&self) -> bool {
        let nothing = self.app.vault.read(|vault| {
            let drafts = vault.drafts()?.is_empty();
            let attachments = vault.attachments_to(self.owner.committee, TO)?.is_empty();
            Ok::<_, VaultError>(drafts && attachments && !vault.any_blob()?)
        });
        nothing.unwrap()
    }
}

fn wanted(path: PathBuf) -> Attach {
    Attach { path, role: "photo", readers: Vec::new(), strip: false }
}

#[test]
fn a_file_is_sealed_into_the_vault_and_its_record_waits() {
    let mut stage = stage();
    let content = [b"\xff\xd8\xff\xe0 a scan".as_slice(), &[7; 700_000]].concat();
    let path = stage.file("zapt.jpg", &content);
    let attached = stage.attach(path.clone()).unwrap();
    assert_eq!(attached.media, "image/jpeg");
    assert_eq!(attached.plain.size, content.len() as u64);
    assert_eq!(fs::read(&path).unwrap(), content, "the file is as it was");
    let vault = &stage.app.vault;
    let draft = vault.read(|vault| vault.draft(&attached.saved.id)).unwrap().unwrap();
    assert_eq!((draft.sending, draft.new.kind.as_str()), (Sending::Saved, KIND));
    assert!(draft.new.reference.starts_with("AT-"));
    let record: Value = serde_json::from_slice(&draft.new.draft).unwrap();
    let details = Details::read(&record).unwrap().unwrap();
    assert_eq!((details.to.as_str(), details.label.as_str()), (TO, "zapt.jpg"));
    assert_eq!(record["custody"][0]["hash_after"], details.plain.sha256.to_string());
    let no = stage.owner.committee;
    let held = vault.read(|vault| vault.held_blob(no, &details.blob.sha256)).unwrap().unwrap();
    assert_eq!((held.state, held.sent), (Held::Whole, 0));
    let blob = io::BufReader::new(vault.read_blob(&held).unwrap());
    let mut opened = Vec::new();
    open_attachment(blob, held.size, &details.passphrase, &details.plain, &mut opened).unwrap();
    assert_eq!(opened, content);
}

#[test]
fn for_named_readers_nothing_of_it_stands_outside() {
    let mut stage = stage();
    let path = stage.file("client.pdf", b"%PDF-1.7 confidential");
    let attach = Attach { readers: vec![MemberNumber(2)], ..wanted(path) };
    let attached = super::attach(&mut stage.app, &stage.owner, &attach).unwrap();
    assert!(attached.saved.is_apart);
    let draft = stage.app.vault.read(|vault| vault.draft(&attached.saved.id)).unwrap().unwrap();
    let record: Value = serde_json::from_slice(&draft.new.draft).unwrap();
    let outside: Vec<&String> = record.as_object().unwrap().keys().collect();
    assert_eq!(outside, ["id", "kind", "schema", "created", "class", "sealed", "readers"]);
    assert_eq!(record["class"], "H2");
    assert_eq!(Details::read(&record).unwrap().unwrap().label, "client.pdf");
}

#[test]
fn what_is_no_file_is_refused_at_once_and_nothing_is_left() {
    let mut stage = stage();
    let pipe = stage.dir.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    let folder = stage.dir.path().to_owned();
    for path in [pipe, folder, "/dev/zero".into()] {
        let refused = stage.attach(path.clone()).unwrap_err();
        assert_eq!(refused.kind, Error::Usage, "{}", path.display());
        assert!(refused.what.contains("is no file"), "{}", refused.what);
    }
    let missing = stage.attach(stage.dir.path().join("missing")).unwrap_err();
    assert_eq!(missing.kind, Error::Usage);
    assert!(stage.has_nothing());
}

#[test]
fn a_file_beyond_the_limit_is_refused_before_it_is_read() {
    let mut stage = stage();
    let path = stage.file("film", b"");
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(limits::ATTACHMENT_BYTES_MAX + 1).unwrap();
    let refused = stage.attach(path).unwrap_err();
    assert!(refused.what.contains("larger than 64 GiB"), "{}", refused.what);
    assert!(stage.has_nothing());
}

#[test]
fn a_file_that_changes_while_it_is_read_is_not_attached() {
    let mut stage = stage();
    let changes: [fn(&Path); 3] = [
        |path| fs::write(path, b"longer than it was before").unwrap(),
        |path| fs::write(path, b"short").unwrap(),
        // As long as before, and written later.
        |path| {
            fs::write(path, b"0123456789").unwrap();
            let file = File::options().write(true).open(path).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        },
    ];
    for change in changes {
        let path = stage.file("note.txt", b"abcdefghij");
        let source = Source::open(&path).unwrap();
        change(&path);
        let passphrase = AttachmentPassphrase::generate(&[1; 32]);
        let no = stage.owner.committee;
        let lock = stage.app.vault.hold_sealing().unwrap();
        let (blob, writer) = stage.app.vault.begin_sealing(&lock, no, blob_size(10)).unwrap();
        let refused = source.seal(writer, &passphrase).unwrap_err();
        assert!(refused.what.contains("changed while it was read"), "{}", refused.what);
        stage.app.vault.discard_sealing(blob).unwrap();
    }
    assert!(stage.has_nothing());
}

#[test]
fn a_link_is_followed_for_it_is_the_persons_own() {
    let mut stage = stage();
    let path = stage.file("real.txt", b"text");
    let link = stage.dir.path().join("link");
    symlink(&path, &link).unwrap();
    assert_eq!(stage.attach(link).unwrap().plain.size, 4);
}

#[test]
fn what_a_file_is_its_beginning_says() {
    for (beginning, media) in [
        (b"%PDF-1.4 ".as_slice(), "application/pdf"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"plain words\n", "text/plain"),
        (b"\0\x01\x02\x03", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ] {
        assert_eq!(media_of(beginning), media);
    }
}

impl Stage {
    fn attach_stripped(&mut self, path: PathBuf) -> Result<Attached, Failure> {
        attach(&mut self.app, &self.owner, &Attach { strip: true, ..wanted(path) })
    }

    fn record(&self, id: &str) -> Value {
        let draft = self.app.vault.read(|vault| vault.draft(id)).unwrap().unwrap();
        serde_json::from_slice(&draft.new.draft).unwrap()
    }

    fn opened(&self, details: &Details) -> Vec<u8> {
        let (vault, no) = (&self.app.vault, self.owner.committee);
        let held = vault.read(|vault| vault.held_blob(no, &details.blob.sha256)).unwrap().unwrap();
        assert_eq!(held.state, Held::Whole);
        let blob = io::BufReader::new(vault.read_blob(&held).unwrap());
        let mut opened = Vec::new();
        open_attachment(blob, held.size, &details.passphrase, &details.plain, &mut opened).unwrap();
        opened
    }
}

/// A GIF of one pixel that tells where it was made.
const TELLING: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xFF\xFF\xFF!\xFE\x0341N\0\
    ,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

#[test]
fn a_working_copy_is_attached_beside_the_original() {
    let mut stage = stage();
    let path = stage.file("zapt.gif", TELLING);
    let attached = stage.attach_stripped(path).unwrap();
    let working = attached.working.unwrap();
    assert_eq!(working.removed, ["comment"]);
    let (original, copy) = (stage.record(&attached.saved.id), stage.record(&working.saved.id));
    assert_eq!((&original["copy"], &copy["copy"]), (&json!("evidentiary"), &json!("working")));
    assert_eq!(copy["derived_from"], json!(attached.saved.id));
    assert_eq!(copy["stripped"], json!(["comment"]));
    assert_eq!(copy["label"], "zapt (working copy).gif");
    assert_eq!((&copy["role"], &copy["media"]), (&original["role"], &original["media"]));
    assert_eq!(copy["custody"][0]["event"], "derived");
    assert_eq!(copy["custody"][0]["hash_after"], copy["sha256"]);
    let [original, copy] = [original, copy].map(|record| Details::read(&record).unwrap().unwrap());
    assert_eq!(stage.opened(&original), TELLING);
    let opened = stage.opened(&copy);
    assert_eq!(opened.len(), TELLING.len() - 7);
    assert!(!opened.windows(3).any(|window| window == b"41N"));
    let no = stage.owner.committee;
    let shown = stage.app.vault.read(|vault| crate::attachments::state::of_record(vault, no, TO));
    let editions = shown.unwrap().into_iter().map(|one| one.about.unwrap().edition.word());
    assert_eq!(editions.collect::<Vec<_>>(), ["evidentiary", "working"]);
}

#[test]
fn for_named_readers_nothing_of_the_copy_stands_outside_either() {
    let mut stage = stage();
    let path = stage.file("zapt.gif", TELLING);
    let attach = Attach { readers: vec![MemberNumber(2)], strip: true, ..wanted(path) };
    let attached = super::attach(&mut stage.app, &stage.owner, &attach).unwrap();
    let record = stage.record(&attached.working.unwrap().saved.id);
    let outside: Vec<&String> = record.as_object().unwrap().keys().collect();
    assert_eq!(outside, ["id", "kind", "schema", "created", "class", "sealed", "readers"]);
    assert_eq!(record["sealed"]["copy"], "working");
}

#[test]
fn what_cannot_be_stripped_is_not_attached_at_all() {
    let mut stage = stage();
    let unknown = stage.file("film.mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom");
    let damaged = stage.file("zapt.gif", &TELLING[..TELLING.len() - 1]);
    let large = stage.file("large.gif", TELLING);
    let file = File::options().write(true).open(&large).unwrap();
    file.set_len(strip::INPUT_BYTES_MAX + 1).unwrap();
    for (path, why) in [(unknown, "JPEG, PNG, WebP"), (damaged, "GIF"), (large, "256 MiB")] {
        let refused = stage.attach_stripped(path).unwrap_err();
        assert_eq!(refused.kind, Error::Usage);
        assert!(refused.story().contains(why), "{}", refused.story());
        assert!(refused.safe.contains("Nothing was attached"));
    }
    assert!(stage.has_nothing());
}

#[test]
fn both_are_saved_or_neither() {
    let mut stage = stage();
    let path = stage.file("zapt.gif", TELLING);
    let no = stage.owner.committee;
    let stand = |stage: &mut Stage, standing| {
        stage.app.vault.write(|vault| vault.set_standing(no, standing)).unwrap();
    };
    // What is noticed only when both are sealed.
    stand(&mut stage, Standing::Joining);
    let refused = stage.attach_stripped(path).unwrap_err();
    assert_eq!(refused.kind, Error::NotAllowed, "{}", refused.what);
    assert!(stage.has_nothing());
    stand(&mut stage, Standing::Active);
    let source = Source::open(&stage.file("other.gif", TELLING)).unwrap();
    let copied =
        Copied { of: Hash::of(b"another state of it"), stripped: source.strip().unwrap().stripped };
    let mut rooms = Vec::new();
    let attach = wanted(source.path.clone());
    let (app, owner) = (&mut stage.app, &stage.owner);
    let lock = app.vault.hold_sealing().unwrap();
    let changed =
        attach_both(app, &lock, owner, &attach, &source, Some(copied), &mut rooms).unwrap_err();
    assert!(changed.what.contains("changed while it was read"), "{}", changed.what);
    assert_eq!(rooms.len(), 2);
    rooms.into_iter().for_each(|no| stage.app.vault.discard_blob(no).unwrap());
    assert!(stage.has_nothing());
}

#[test]
fn the_longest_name_there_is_can_be_read_back_by_others() {
    let mut stage = stage();
    // 255 bytes, and the cut falls into a letter of two.
    let name = format!("{}.gif", "ı".repeat(125)) + "x";
    let path = stage.file(&name, TELLING);
    let working = stage.attach_stripped(path).unwrap().working.unwrap();
    let label = stage.record(&working.saved.id)["label"].as_str().unwrap().to_owned();
    assert!(label.ends_with(WORKING) && label.len() <= LABEL_BYTES_MAX, "{label}");
    let read = Details::read(&stage.record(&working.saved.id)).unwrap().unwrap();
    assert_eq!(read.label, label);
}

#[test]
fn a_copy_is_called_as_its_original() {
    for (label, working) in [
        ("zapt.jpg", "zapt (working copy).jpg"),
        ("a.b.c", "a.b (working copy).c"),
        ("zapt", "zapt (working copy)"),
        (".hidden", ".hidden (working copy)"),
        ("", " (working copy)"),
    ] {
        assert_eq!(working_label(label), working);
    }
    let long = format!("{}.jpg", "ı".repeat(125));
    let working = working_label(&long);
    assert!(working.len() <= LABEL_BYTES_MAX && working.ends_with("ı (working copy).jpg"));
    // That is no extension.
    assert_eq!(working_label(&format!("a.{}", "b".repeat(252))).len(), LABEL_BYTES_MAX);
}
