//! A person's machine: a vault in a folder of its own, and the client's commands on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::Process;
use crate::programs::Programs;
use crate::pty::Pty;
use crate::ran::Ran;

/// The passphrase of every home, unless a test writes another into the file.
pub const PASSPHRASE: &str = "winter light over the harbour";

/// scrypt at work factor 18 takes a second each time; what is tested here is not that.
const WORK_FACTOR: &str = "1";

/// One person's machine.
#[derive(Debug)]
pub struct Home {
    programs: Programs,
    folder: TempDir,
}

/// Somebody who asks to join, as `member list --asking` shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    /// The device's REF.
    pub reference: String,
    /// The handle they chose.
    pub handle: String,
    /// What to compare by voice.
    pub safety_number: String,
}

/// A record just written, as `record new` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its REF.
    pub reference: String,
    /// Its full id.
    pub id: String,
    /// `saved`, `accepted`, …
    pub state: String,
}

impl Home {
    /// A machine without a vault.
    ///
    /// # Panics
    /// When the temporary folder is not writable.
    pub fn empty(programs: &Programs) -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let home = Self { programs: programs.clone(), folder };
        fs::write(home.passphrase_file(), PASSPHRASE).expect("it is ours");
        home
    }

    /// A machine with a vault for a person of that handle.
    ///
    /// # Panics
    /// When the vault cannot be made.
    #[track_caller]
    pub fn of(programs: &Programs, handle: &str) -> Self {
        let home = Self::empty(programs);
        let _ = home.init(handle).exits(0);
        home
    }

    /// As [`Home::of`], for a person who says to be in `country`.
    ///
    /// # Panics
    /// When the vault cannot be made.
    #[track_caller]
    pub fn in_country(programs: &Programs, handle: &str, country: &str) -> Self {
        let home = Self::empty(programs);
        let quick = ["--danger-work-factor", WORK_FACTOR];
        let arguments = ["init", "--handle", handle, "--country", country];
        let _ = home.run(&[&arguments[..], &quick].concat()).exits(0);
        home
    }

    /// Makes the vault.
    #[track_caller]
    pub fn init(&self, handle: &str) -> Ran {
        self.run(&["init", "--handle", handle, "--danger-work-factor", WORK_FACTOR])
    }

    /// The vault's folder.
    pub fn vault(&self) -> PathBuf {
        self.folder.path().join("vault")
    }

    /// All that is on this machine: the vault, and whatever a command might leave beside it.
    pub fn disk(&self) -> &Path {
        self.folder.path()
    }

    /// The file with the passphrase.
    pub fn passphrase_file(&self) -> PathBuf {
        self.folder.path().join("passphrase")
    }

    /// A file on this machine for `--from`.
    ///
    /// # Panics
    /// When it cannot be written.
    #[track_caller]
    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).expect("it is ours");
        path
    }

    /// The client on this machine, without arguments: no global flag yet.
    pub fn bare(&self) -> Command {
        let mut command = self.programs.client();
        // Whatever looks for a place of its own finds it on this machine.
        command.env("HOME", self.folder.path()).env("TMPDIR", self.folder.path());
        command.current_dir(self.folder.path());
        command
    }

    /// A command with `--home` and the passphrase, for people: no `--json`.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare();
        command.arg("--home").arg(self.vault());
        command.arg("--passphrase-file").arg(self.passphrase_file());
        command.args(arguments);
        command
    }

    /// A person types a command at a terminal, where the passphrase is asked for.
    pub fn at_terminal(&self, arguments: &[&str]) -> Pty {
        let mut command = self.bare();
        command.arg("--home").arg(self.vault()).args(arguments);
        Pty::spawn(&command)
    }

    /// As [`Home::at_terminal`], the passphrase being typed already.
    #[track_caller]
    pub fn unlocked_at_terminal(&self, arguments: &[&str]) -> Pty {
        let mut terminal = self.at_terminal(arguments);
        terminal.expect_hidden("Passphrase: ");
        terminal.type_line(PASSPHRASE);
        terminal
    }

    /// Runs a command for people, without `--json`, to its end.
    #[track_caller]
    pub fn run_plain(&self, arguments: &[&str]) -> Ran {
        Process::spawn(&mut self.command(arguments)).finish()
    }

    /// Starts a command with `--json` and leaves it running.
    #[track_caller]
    pub fn start(&self, arguments: &[&str]) -> Process {
        Process::spawn(self.command(arguments).arg("--json"))
    }

    /// Runs a command with `--json` to its end.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.start(arguments).finish()
    }

    /// As [`Home::run`], with `input` on stdin.
    #[track_caller]
    pub fn run_with(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut process = self.start(arguments);
        process.feed(input);
        process.finish()
    }

    /// Founds a committee on the relay at `address` and returns its REF.
    ///
    /// # Panics
    /// When it cannot be founded.
    #[track_caller]
    pub fn found(&self, address: &str, permit: &str, name: &str) -> String {
        self.try_found(address, permit, name).exits(0).field("ref")
    }

    /// As [`Home::found`], whatever comes of it.
    #[track_caller]
    pub fn try_found(&self, address: &str, permit: &str, name: &str) -> Ran {
        let arguments =
            ["committee", "found", "--relay", address, "--permit", permit, "--name-from", "-"];
        self.run_with(&arguments, name.as_bytes())
    }

    /// Adds `new` as a device of this home's person, in every committee: as the command shows it.
    ///
    /// # Panics
    /// When a step before it fails.
    #[track_caller]
    pub fn adds(&self, new: &Self) -> Vec<Value> {
        let invited = self.run(&["device", "add"]).exits(0).json();
        let invited = invited.as_array().expect("one a committee");
        let text = |one: &Value| one["invitation"].as_str().expect("a text").to_owned();
        let texts: Vec<String> = invited.iter().map(text).collect();
        let _ = new.join(&texts.join("\n")).exits(0);
        self.sync();
        let asking = self.asking();
        let (device, number) = (&asking[0].reference, &asking[0].safety_number);
        let added = self.run(&["device", "add", device, "--safety-number", number]);
        added.json().as_array().expect("one a committee").clone()
    }

    /// An invitation to a committee.
    ///
    /// # Panics
    /// When none is made.
    #[track_caller]
    pub fn invite(&self, committee: &str) -> String {
        self.run(&["invite", "new", "--committee", committee]).exits(0).field("invitation")
    }

    /// Asks to join with an invitation.
    #[track_caller]
    pub fn join(&self, invitation: &str) -> Ran {
        self.run_with(&["join"], invitation.as_bytes())
    }

    /// Who asks to join.
    ///
    /// # Panics
    /// When the list has another shape than promised.
    #[track_caller]
    pub fn asking(&self) -> Vec<Asking> {
        let ran = self.run(&["member", "list", "--asking"]).exits(0);
        let asking = |row: &Value| {
            let text = |field: &str| Some(row.get(field)?.as_str()?.to_owned());
            Some(Asking {
                reference: text("ref")?,
                handle: text("handle")?,
                safety_number: text("safety_number")?,
            })
        };
        let rows: Option<Vec<_>> =
            ran.json().as_array().and_then(|rows| rows.iter().map(asking).collect());
        rows.unwrap_or_else(|| panic!("not `ref, handle, safety_number`: {ran:?}"))
    }

    /// Admits somebody, the safety number being the one they were shown to have.
    #[track_caller]
    pub fn admit(&self, asking: &Asking) -> Ran {
        let Asking { reference, safety_number, .. } = asking;
        self.run(&["member", "admit", reference, "--safety-number", safety_number])
    }

    /// Invites `newcomer`, lets them ask, admits them and lets them sync: they are in.
    ///
    /// # Panics
    /// When a step fails.
    #[track_caller]
    pub fn let_in(&self, committee: &str, newcomer: &Self) {
        let invitation = self.invite(committee);
        let _ = newcomer.join(&invitation).exits(0);
        self.sync();
        let asking = self.asking();
        let [asking] = asking.as_slice() else { panic!("one asks: {asking:?}") };
        let _ = self.admit(asking).exits(0);
        newcomer.sync();
    }

    /// Writes a record and tries to send it.
    #[track_caller]
    pub fn try_record_new(&self, kind: &str, committee: &str, fields: &Value) -> Ran {
        let arguments = ["record", "new", kind, "--committee", committee, "--from", "-"];
        self.run_with(&arguments, fields.to_string().as_bytes())
    }

    /// Writes a record, which is accepted at once.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn record_new(&self, kind: &str, committee: &str, fields: &Value) -> Written {
        Written::by(&self.try_record_new(kind, committee, fields).exits(0))
    }

    /// Writes a record for a later sync.
    ///
    /// # Panics
    /// When it is not saved.
    #[track_caller]
    pub fn record_later(&self, kind: &str, committee: &str, fields: &Value) -> Written {
        let arguments = ["record", "new", kind, "--committee", committee, "--from", "-", "--later"];
        Written::by(&self.run_with(&arguments, fields.to_string().as_bytes()).exits(0))
    }

    /// Syncs, and returns what it says: `sent, received, unsent, relays`.
    ///
    /// # Panics
    /// When anything stays unsent or no relay answers.
    #[track_caller]
    pub fn sync(&self) -> Value {
        self.run(&["sync"]).exits(0).json()
    }

    /// All records.
    ///
    /// # Panics
    /// When the list is no array.
    #[track_caller]
    pub fn records(&self) -> Vec<Value> {
        let ran = self.run(&["record", "list"]).exits(0);
        ran.json().as_array().unwrap_or_else(|| panic!("no array: {ran:?}")).clone()
    }

    /// One record: `record, entry, verified`.
    ///
    /// # Panics
    /// When it is not there.
    #[track_caller]
    pub fn show(&self, reference: &str) -> Value {
        self.run(&["record", "show", reference]).exits(0).json()
    }

    /// One record's age file.
    ///
    /// # Panics
    /// When it is not there.
    #[track_caller]
    pub fn sealed(&self, reference: &str) -> Vec<u8> {
        self.run(&["record", "show", reference, "--sealed"]).exits(0).stdout
    }

    /// The REF of the only committee.
    ///
    /// # Panics
    /// When there is another number of them.
    #[track_caller]
    pub fn committee(&self) -> String {
        let ran = self.run(&["committee", "list"]).exits(0);
        let json = ran.json();
        let rows = json.as_array().map(Vec::as_slice).unwrap_or_default();
        let [row] = rows else { panic!("not one committee: {ran:?}") };
        row["ref"].as_str().unwrap_or_else(|| panic!("no ref: {ran:?}")).to_owned()
    }

    /// What `status` says.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.run(&["status"]).exits(0).json()
    }
}

impl Written {
    /// Reads what `record new` printed.
    ///
    /// # Panics
    /// When it is not `ref, id, state`.
    #[track_caller]
    pub fn by(ran: &Ran) -> Self {
        Self { reference: ran.field("ref"), id: ran.field("id"), state: ran.field("state") }
    }
}
