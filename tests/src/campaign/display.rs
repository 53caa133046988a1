//! Random strings such as a hostile colleague may write, shown: by the client's own way to its streams, and
//! by real commands at a terminal. Whatever comes out prints and ends lines, and does nothing else.
//!
//! Half of the characters are those that terminals and readers stumble over: escapes, C1, OSC and their
//! ends, overrides, what has no width, marks; in JSON also halves of surrogate pairs.

use std::io::{self, Write};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use sealpost::error::{Failure, Kind};
use sealpost::ui::display::Untrusted;
use sealpost::ui::{Format, Ui, table};
use sealpost::vault::home::Home as VaultHome;
use sealpost::vault::{Read, Vault};
use sealpost_protocol::codec;
use sealpost_protocol::seal::Label;
use serde_json::{Value, json};

use crate::helped::Helped;
use crate::home::{Home, PASSPHRASE};
use crate::programs::Programs;
use crate::pty::Pty;
use crate::seed::Seeded;
use crate::terminal::Terminal;

/// So many strings go by the client's own way in each round.
const STRINGS_A_ROUND: usize = 256;
const CHARS_MAX: u64 = 60;
/// What they are made of, beside any character at all.
const HOT: &str = "\u{1b}\u{1b}\u{1b}[]P\\^_X;?0123456789hlmJKHcq \u{7}\u{8}\r\n\t\0\u{7f}\
    \u{9b}\u{9d}\u{90}\u{98}\u{9c}\u{85}\u{202e}\u{202a}\u{2066}\u{2069}\u{200b}\u{200c}\u{200d}\
    \u{200f}\u{feff}\u{ad}\u{3164}\u{2028}\u{fe0f}\u{e0041}\u{301}\u{338}\u{20dd}م刘<U+>\"'{}";

/// The greatest exit code that a command gives by itself.
const LAST_EXIT: i32 = 12;

/// What a campaign came to.
#[derive(Debug, Default)]
pub struct Told {
    /// Strings that a terminal would have obeyed, or that would have deceived a reader.
    pub harmful: u64,
    /// Strings that were shown.
    pub shown: u64,
    /// What came through, and from which string.
    pub amiss: Vec<String>,
}

/// A committee whose names and records are random strings.
pub struct Stage {
    helped: Helped,
    random: Seeded,
    told: Told,
}

impl Stage {
    /// Sets it.
    ///
    /// # Panics
    /// When a step fails.
    pub fn new(programs: &Programs, seed: u64) -> Self {
        let helped = Helped::new(programs);
        Self { helped, random: Seeded::new(seed), told: Told::default() }
    }

    /// Shows so many rounds of strings.
    ///
    /// # Panics
    /// When a command of the scene fails that none of this may make fail.
    pub fn rounds(mut self, rounds: u64) -> Told {
        for _ in 0..rounds {
            for _ in 0..STRINGS_A_ROUND {
                let text = text(&mut self.random);
                self.told.harmful += u64::from(Terminal::harm_in(text.as_bytes()).is_some());
                self.told.shown += 1;
                let amiss = harm_by_ui(&text).map(|harm| format!("{harm}, from {text:?}"));
                self.told.amiss.extend(amiss);
            }
            self.commands();
            self.news();
        }
        self.told
    }

    /// Names that come out of the log, told of by the sync that brings them, and by what follows.
    fn news(&mut self) {
        for sync in [&["sync"][..], &["--json", "sync"]] {
            let names: [String; 5] = std::array::from_fn(|_| text(&mut self.random));
            let [name, handles @ ..] = names.each_ref().map(String::as_str);
            self.helped.everybody_is_called(name, handles);
            let isla = &self.helped.scene.isla;
            for arguments in [sync, &["recovery", "show"], &["committee", "audit"]] {
                let harm = harm_by(&isla.command(arguments));
                self.told.amiss.extend(harm.map(|harm| format!("{harm}, from {names:?}")));
            }
        }
    }

    /// Names, a record and an argument, by real commands.
    fn commands(&mut self) {
        let random = &mut self.random;
        let names = [text(random), text(random), text(random)];
        // No argument holds a NUL.
        let (argument, given) = (text(random).replace('\0', ""), json_text(random));
        let scene = &self.helped.scene;
        let (isla, committee) = (&scene.isla, scene.committee.as_str());
        let owner = self.helped.owner.as_str();
        rename_all(isla, &names[0], &names[1..]);
        let new = ["record", "new", "note", "--later", "--committee", committee, "--from", "-"];
        let written = isla.run_with(&new, format!("{{\"text\":{given}}}").as_bytes());
        let reference = match written.code() {
            Some(0) => written.field("ref"),
            _ => argument.clone(),
        };
        let claim = ["recovery", "claim", "--handle", &argument];
        let claimed = scene.baran.run_with(&claim, given.as_bytes());
        let mut amiss = Vec::new();
        for ran in [&written, &claimed] {
            amiss.extend(Terminal::harm_in(&[&ran.stdout[..], &ran.stderr].concat()));
        }
        for arguments in [
            &["status"][..],
            &["member", "list"],
            &["committee", "show"],
            &["record", "list"],
            &["record", "show", &reference],
            &["record", "show", &argument],
            &["member", "exposure", owner],
            &["recovery", "show"],
            &["recovery", "help", owner],
            &["recovery", "help", &argument],
        ] {
            for arguments in [arguments, &[&["--json"], arguments].concat()] {
                amiss.extend(harm_by(&isla.command(arguments)));
            }
        }
        let from = format!("{names:?}, {argument:?}, {given}");
        self.told.amiss.extend(amiss.iter().map(|harm| format!("{harm}, from {from}")));
    }
}

/// What is wrong with what a command shows at a terminal.
fn harm_by(command: &Command) -> Option<String> {
    let (status, bytes) = Pty::spawn(command).finish_bytes();
    let harm = Terminal::harm_in(&bytes).map(|harm| format!("{harm} by {command:?}"));
    let ended = status.code().is_none_or(|code| code > LAST_EXIT);
    harm.or_else(|| ended.then(|| format!("{status} of {command:?}")))
}

/// What is wrong with a string as the client's own way to its streams shows it, whoever forgot what.
fn harm_by_ui(text: &str) -> Option<String> {
    if Untrusted::line(text).to_string().contains(['\n', '\t']) {
        return Some("a line is broken".to_owned());
    }
    for format in [Format::Words, Format::Json] {
        let streams = [Stream::default(), Stream::default()];
        let [out, err] = streams.clone().map(|stream| Box::new(stream) as Box<dyn Write + Send>);
        let mut ui = Ui::new(out, err, format);
        let value = json!({ text: [text] });
        let table = table(&[text], &[vec![text.to_owned()]]);
        ui.result(&value, &format!("{text}{table}")).expect("a vector takes everything");
        let result = streams[0].taken();
        if format == Format::Json && serde_json::from_slice::<Value>(&result).ok() != Some(value) {
            return Some("the JSON is of another value".to_owned());
        }
        ui.line(text).expect("a vector takes everything");
        ui.warn(text);
        ui.fail(&Failure::new(Kind::Failed, text).safe(text).next(text));
        for said in [result, streams[0].taken(), streams[1].taken()] {
            if let Some(harm) = Terminal::harm_in(&said) {
                return Some(harm);
            }
        }
    }
    None
}

/// Has this home believe that the committee and its members are called such.
///
/// # Panics
/// When it has no committee with a label.
pub fn rename_all(home: &Home, name: &str, handles: &[String]) {
    let opened = Vault::open(VaultHome::new(home.vault()), &PASSPHRASE.to_owned().into());
    let (mut vault, _) =
        opened.unwrap_or_else(|error| panic!("the vault of our own home: {error}"));
    let known = vault.read(Read::committees).expect("reads").remove(0);
    let mut label: Label = {
        let bytes = known.label.expect("it was opened");
        codec::decode(&bytes, bytes.len()).expect("a label")
    };
    label.name = name.to_owned();
    for (member, handle) in label.members.values_mut().zip(handles) {
        member.handle.clone_from(handle);
    }
    let label = codec::encode(&label);
    vault.write(|write| write.set_label(known.no, &label)).expect("writes");
}

fn text(random: &mut Seeded) -> String {
    (0..random.below(CHARS_MAX)).map(|_| char(random)).collect()
}

fn char(random: &mut Seeded) -> char {
    let hot = HOT.chars().count() as u64;
    let any = |random: &mut Seeded, bound| u32::try_from(random.below(bound)).ok();
    let drawn = match random.below(8) {
        0..=3 => any(random, hot).and_then(|at| HOT.chars().nth(at as usize)),
        4 => any(random, 0x100).and_then(char::from_u32),
        5 | 6 => any(random, 0x3000).and_then(char::from_u32),
        _ => any(random, 0x11_0000).and_then(char::from_u32),
    };
    drawn.unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// A JSON string, all of it in escapes. In one of three some are halves of surrogate pairs.
fn json_text(random: &mut Seeded) -> String {
    let halves = random.below(3) == 0;
    let mut json = "\"".to_owned();
    for char in text(random).chars() {
        if halves && random.below(8) == 0 {
            json.push_str(&format!("\\u{:04x}", 0xd800 + random.below(0x800)));
        }
        for unit in char.encode_utf16(&mut [0; 2]) {
            json.push_str(&format!("\\u{unit:04x}"));
        }
    }
    json.push('"');
    json
}

/// A stream that is read back.
#[derive(Clone, Default)]
struct Stream(Arc<Mutex<Vec<u8>>>);

impl Stream {
    fn taken(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
