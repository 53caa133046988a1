//! Proofs: made by the program, verified by it in an empty environment, and by its steps typed into bash.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sealpost_tests::home::Home;
use sealpost_tests::process::Process;
use sealpost_tests::pty::Pty;
use sealpost_tests::ran::Ran;
use sealpost_tests::scene::Scene;
use serde_json::{Value, json};

use crate::programs;

const TEXT: &str = "Visit refused at the gate, 14:20.";

/// A committee in which roles and locks changed, and a note of Baran's with a scan.
struct Stage {
    scene: Scene,
    record: String,
    attachment: String,
    scan: Vec<u8>,
}

impl Stage {
    fn new() -> Self {
        let scene = Scene::new(&programs());
        let Scene { isla, baran, committee, .. } = &scene;
        let _ = isla.run(&["committee", "lock", committee, "--yes"]).exits(0);
        baran.sync();
        let fields = json!({ "text": TEXT });
        let record = baran.record_new("note", committee, &fields).reference;
        let _ = isla.run(&["member", "role", "baran", "reader", "--committee", committee]).exits(0);
        let _ = isla.run(&["member", "role", "baran", "member", "--committee", committee]).exits(0);
        baran.sync();
        let scan = b"a scan of the refusal".repeat(500);
        let file = baran.file("scan.pdf", &scan);
        let arguments = ["attach", &record, file.to_str().unwrap(), "--as", "scan"];
        let attachment = baran.run(&arguments).exits(0).field("ref");
        baran.record_new("note", committee, &json!({ "text": "Nobody is shown this." }));
        isla.sync();
        let _ = isla.run(&["committee", "audit", committee]).exits(0);
        Self { scene, record, attachment, scan }
    }

    fn out(&self, name: &str) -> PathBuf {
        self.scene.isla.disk().join(name)
    }

    /// Makes a proof of the record.
    fn make(&self, name: &str, flags: &[&str]) -> (PathBuf, Value) {
        let out = self.out(name);
        let made = make(&self.scene.isla, &self.record, &out, &[flags, &["--yes"]].concat());
        (out, made.exits(0).json())
    }
}

fn make(home: &Home, record: &str, out: &Path, flags: &[&str]) -> Ran {
    let start = ["proof", "make", record, "--out", out.to_str().unwrap()];
    home.run(&[start.as_slice(), flags].concat())
}

/// Verifies a folder where there is no vault, no home and no environment at all.
pub(crate) fn verify(dir: &Path) -> Ran {
    let mut command = programs().client();
    command.env_clear().current_dir("/");
    command.args(["--json", "proof", "verify"]).arg(dir);
    Process::spawn(&mut command).finish()
}

/// The steps of a folder's `VERIFY.md`; those for stock age where it is asked for.
fn steps(dir: &Path, with_age: bool) -> String {
    let text = fs::read_to_string(dir.join("VERIFY.md")).unwrap();
    let mut script = String::new();
    let mut within = false;
    for line in text.lines() {
        match line {
            "```sh" => within = true,
            "```sh age" => within = with_age,
            "```" => within = false,
            line if within => {
                script.push_str(line);
                script.push('\n');
            }
            _ => {}
        }
    }
    assert!(script.lines().count() > 80, "not many steps:\n{script}");
    script
}

fn bash(dir: &Path, script: &Path) -> Command {
    let mut command = Command::new("bash");
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.arg(script).current_dir(dir);
    command
}

/// Types the steps into bash, but for those of age.
pub(crate) fn by_hand(dir: &Path) -> Output {
    let script = dir.with_extension("sh");
    fs::write(&script, steps(dir, false)).unwrap();
    bash(dir, &script).output().expect("bash is there")
}

pub(crate) fn holds_by_hand(dir: &Path) {
    let output = by_hand(dir);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    let with_age = steps(dir, true) != steps(dir, false);
    let ends = if with_age { "were left out.\n" } else { "All of it holds.\n" };
    assert!(output.status.success() && said.ends_with(ends), "{said}\n{errors}");
    assert_eq!(errors, "");
}

pub(crate) fn fails_by_hand(dir: &Path, why: &str) {
    let output = by_hand(dir);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("DOES NOT HOLD: "), "{said}");
    assert!(said.contains(why), "{why}: {said}");
    let results = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!results.contains("holds."), "{results}");
}

/// What age itself opens of a file, with a passphrase.
fn opened(file: &Path, passphrase: &str) -> Vec<u8> {
    let identity = age::scrypt::Identity::new(passphrase.to_owned().into());
    let sealed = fs::read(file).unwrap();
    let decryptor = age::Decryptor::new_buffered(sealed.as_slice()).unwrap();
    let mut plain = Vec::new();
    let identities = std::iter::once(&identity as &dyn age::Identity);
    decryptor.decrypt(identities).unwrap().read_to_end(&mut plain).unwrap();
    plain
}

fn passphrase(dir: &Path, folder: &str) -> String {
    let text = fs::read_to_string(dir.join(folder).join("passphrase.txt")).unwrap();
    text.trim_end().to_owned()
}

/// The passphrase of an attachment's file, as its record says it.
fn of_blob(dir: &Path, folder: &str) -> String {
    let text = fs::read(dir.join(folder).join("plaintext.json")).unwrap();
    let record: Value = serde_json::from_slice(&text).unwrap();
    record["blob"]["passphrase"].as_str().unwrap().to_owned()
}

/// Whether stock age is on this machine.
fn has_age() -> bool {
    Command::new("age").arg("--version").output().is_ok_and(|it| it.status.success())
}

/// Types all steps at a terminal, and the passphrases when stock age asks for them.
fn holds_at_a_terminal(dir: &Path, passphrases: &[String]) {
    let script = dir.with_extension("all.sh");
    fs::write(&script, steps(dir, true)).unwrap();
    let mut terminal = Pty::spawn(&bash(dir, &script));
    for passphrase in passphrases {
        terminal.expect_hidden("Enter passphrase");
        terminal.type_line(passphrase);
    }
    let (status, shown) = terminal.finish();
    assert!(status.success() && shown.contains("All of it holds."), "{shown}");
}

/// Lists what is there, as a forger does who has changed it.
pub(crate) fn list_anew(dir: &Path) {
    let list = "find . ! -type d ! -path ./manifest.txt | cut -c3- | LC_ALL=C sort | \
                xargs sha256sum > ../listed && mv ../listed manifest.txt";
    let status = Command::new("bash").args(["-c", list]).current_dir(dir).status().unwrap();
    assert!(status.success());
}

/// A copy of a folder.
pub(crate) fn copy(dir: &Path, name: &str) -> PathBuf {
    let copied = dir.with_file_name(name);
    let status = Command::new("cp").arg("-r").args([dir, &copied]).status().unwrap();
    assert!(status.success());
    copied
}

#[test]
fn a_proof_holds_for_the_program_and_for_stock_tools_alone() {
    let stage = Stage::new();
    let attach = ["--attach", stage.attachment.as_str()];
    let (whole, made) = stage.make("whole", &attach);
    assert_eq!((&made["ref"], &made["fields"]), (&json!(stage.record), &json!(null)));
    assert_eq!(made["attachments"], json!([stage.attachment]));
    assert!(made["cosigners"].as_u64().unwrap() >= 1, "{made}");
    assert_eq!(made["passphrases"][1]["passphrase"], passphrase(&whole, "record"));

    let verified = verify(&whole).exits(0).json();
    assert!(verified["shows"].as_str().unwrap().contains("with 1 attachment"), "{verified}");
    assert_eq!(verified["record"]["role"], "member");
    assert_eq!(verified["cosigners"].as_array().unwrap().len() as u64, made["cosigners"]);
    assert_eq!(verified["attachments"][0]["size"], stage.scan.len());
    let plaintext = fs::read(whole.join("record/plaintext.json")).unwrap();
    let record: Value = serde_json::from_slice(&plaintext).unwrap();
    assert_eq!(record, stage.scene.isla.show(&stage.record)["record"]);

    holds_by_hand(&whole);
    assert_eq!(opened(&whole.join("record/record.age"), &passphrase(&whole, "record")), plaintext);
    let blob = opened(&whole.join("attachment-1/blob.age"), &of_blob(&whole, "attachment-1"));
    assert_eq!(blob[..stage.scan.len()], stage.scan);
    if has_age() {
        let folders = ["record", "attachment-1"].map(|folder| passphrase(&whole, folder));
        let all = [folders.as_slice(), &[of_blob(&whole, "attachment-1")]].concat();
        holds_at_a_terminal(&whole, &all);
    }
}

#[test]
fn single_fields_are_proven_and_all_else_stays_sealed() {
    let stage = Stage::new();
    let (part, made) = stage.make("part", &["--part", "text"]);
    assert_eq!(made["fields"], json!(["/text"]));
    assert_eq!(made["passphrases"], json!([]));
    let verified = verify(&part).exits(0).json();
    let shown = json!([{ "path": "/text", "value": serde_json::to_string(TEXT).unwrap() }]);
    assert_eq!(verified["record"]["fields"], shown);
    holds_by_hand(&part);
    for hidden in ["file-key.bin", "plaintext.json", "record.age", "passphrase.txt"] {
        assert!(!part.join("record").join(hidden).exists(), "{hidden}");
    }
    let (both, _) =
        stage.make("both", &["--part", "text", "schema", "--attach", &stage.attachment]);
    let verified = verify(&both).exits(0).json();
    // By its id the attachment is known to be this record's.
    assert_eq!(verified["record"]["fields"].as_array().unwrap().len(), 3);
    holds_by_hand(&both);
}

#[test]
fn cheats_in_a_proof_are_refused_by_the_program_and_by_the_steps() {
    let stage = Stage::new();
    let (whole, _) = stage.make("whole", &[]);
    let (part, _) = stage.make("part", &["--part", "text"]);
    let cheat = |of: &Path, name: &str, change: &dyn Fn(&Path), named: &str, by_hand: &str| {
        let dir = copy(of, name);
        change(&dir);
        assert_eq!(verify(&dir).fails(7, "verification-failed").stdout, b"");
        list_anew(&dir);
        let what = verify(&dir).fails(7, "verification-failed").failure()["what"].to_string();
        assert!(what.contains(named), "{name}: {what}");
        fails_by_hand(&dir, by_hand);
    };
    // The key of another text for the same body; and a header that goes with it.
    let other_key = |dir: &Path| fs::write(dir.join("record/file-key.bin"), [7; 16]).unwrap();
    cheat(&whole, "key", &other_key, "it has another one", "made with another key");
    let rewritten = |dir: &Path| {
        fs::copy(dir.join("record/record.age"), dir.join("record/payload.age"))
            .map(|_| ())
            .unwrap();
    };
    cheat(&whole, "header", &rewritten, "SHA-256 is not the header's", "its payload");
    // A change of the roster is left out, in the middle and at the end.
    let roster = |dir: &Path, at: usize| {
        let entries = fs::read_dir(dir.join("roster")).unwrap();
        let mut entries: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        fs::remove_dir_all(&entries[at]).unwrap();
    };
    let middle = |dir: &Path| roster(dir, 1);
    cheat(&whole, "middle", &middle, "left out", "it does not follow the one before");
    let end = |dir: &Path| roster(dir, 2);
    cheat(&whole, "end", &end, "left out", "a roster that is not shown");
    let invented = |dir: &Path| {
        let leaf = dir.join("record/field-1/leaf.bin");
        let text = fs::read(&leaf).unwrap();
        let at = text.windows(5).position(|window| window == b"14:20").unwrap();
        fs::write(&leaf, [&text[..at], b"15:40", &text[at + 5..]].concat()).unwrap();
    };
    cheat(&part, "field", &invented, "not in the tree", "content was not signed for");
    // Easier steps beside the folder.
    let easier = |dir: &Path| fs::write(dir.join("VERIFY.md"), "It holds.\n").unwrap();
    let dir = copy(&whole, "steps");
    easier(&dir);
    list_anew(&dir);
    let _ = verify(&dir).fails(7, "verification-failed").says("VERIFY.md");
}

#[test]
fn nothing_is_shown_before_it_was_agreed_to_and_nothing_is_written_over() {
    let stage = Stage::new();
    let isla = &stage.scene.isla;
    let out = stage.out("asked");
    let _ = make(isla, &stage.record, &out, &[]).fails(2, "usage");
    assert!(!out.exists());
    let path = out.to_str().unwrap();
    let mut terminal = isla.unlocked_at_terminal(&["proof", "make", &stage.record, "--out", path]);
    terminal.expect(&format!("reads all of {}", stage.record));
    terminal.expect("devices DV-");
    terminal.expect(&format!("Type {} to go on", stage.record));
    assert!(!out.exists());
    terminal.type_line(&stage.record);
    let (status, shown) = terminal.finish();
    assert!(status.success() && shown.contains("proof verify"), "{shown}");
    let before = fs::read(out.join("manifest.txt")).unwrap();
    let _ = make(isla, &stage.record, &out, &["--yes"]).fails(1, "not-writable");
    assert_eq!(fs::read(out.join("manifest.txt")).unwrap(), before);
    let left = fs::read_dir(isla.disk()).unwrap();
    let names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.starts_with(".sealpost")).count(), 0);
}

/// Whoever reads a record can name its id.
#[test]
fn a_colleagues_attachment_is_not_shown_with_ones_record() {
    let Scene { isla, baran, committee, .. } = &Scene::new(&programs());
    let record = baran.record_new("note", committee, &json!({ "text": TEXT })).reference;
    isla.sync();
    let file = isla.file("scan.pdf", b"a scan");
    let arguments = ["attach", &record, file.to_str().unwrap(), "--as", "scan"];
    let attachment = isla.run(&arguments).exits(0).field("ref");
    let out = isla.disk().join("proof");
    let refused = make(isla, &record, &out, &["--attach", &attachment, "--yes"]);
    let _ = refused.fails(5, "not-allowed").says("another member");
    assert!(!out.exists());
}
