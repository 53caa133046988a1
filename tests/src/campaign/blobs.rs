//! SIGKILL while a large file is on its way: the client or the relay dies at a datagram of its upload or
//! its download, a seed says which and when.
//!
//! After each kill the relay is started again and the client syncs again, and goes on where it was. At the
//! end the file is there, byte for byte, no part of it went much more often than once, and `check`
//! names nothing.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::victims::{HEARS_OF_IT_WITHIN, first_to_end, kill, killed_at, pidfd};
use crate::home::Home;
use crate::process::DEADLINE;
use crate::programs::Programs;
use crate::proxy::{Direction, Proxy};
use crate::relay::Relay;
use crate::seed::Seeded;

/// What one datagram carries of a file, about.
const DATAGRAM_BYTES: u64 = 1_350;
/// What a kill may cost: a part that was not on disk yet, and what was under way.
const PART_BYTES: u64 = 9 * 1024 * 1024;
/// What a sync costs beside the file.
const SYNC_BYTES: u64 = 64 * 1024;

/// What the kills came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Processes that ended by SIGKILL.
    pub kills: u64,
    /// Kills after which the next sync had less to carry than the file.
    pub resumed: u64,
    /// Bytes that went the file's way, in all.
    pub bytes: u64,
}

/// A relay, two people, and a file between them.
pub struct Carriage {
    relay: Relay,
    proxy: Proxy,
    author: Home,
    reader: Home,
    record: String,
    content: Vec<u8>,
    dice: Seeded,
}

impl Carriage {
    /// Has a file of `bytes` attached, and not sent.
    ///
    /// # Panics
    /// When a step fails.
    pub fn open(programs: &Programs, seed: u64, bytes: usize) -> Self {
        let relay = Relay::start(programs);
        let proxy = Proxy::start(relay.listens_at());
        proxy.record_no_more();
        let (author, reader) = (Home::of(programs, "isla"), Home::of(programs, "baran"));
        let address = relay.address_at(proxy.address());
        let committee = author.found(&address, &relay.permit(), "Committee of the harbour");
        author.let_in(&committee, &reader);
        let record = author.record_new("note", &committee, &json!({ "text": "a film" })).reference;
        let mut dice = Seeded::new(seed);
        let content: Vec<u8> =
            (0..bytes.div_ceil(8)).flat_map(|_| dice.number().to_be_bytes()).take(bytes).collect();
        let file = author.file("film.bin", &content);
        let file = file.to_str().expect("a plain name");
        let attach = ["attach", &record, file, "--as", "other", "--later"];
        let _ = author.run(&attach).exits(0);
        Self { relay, proxy, author, reader, record, content, dice }
    }

    /// Kills relays and clients by turns while it is sent, and lets it arrive in the end.
    pub fn upload(&mut self, kills: u64) -> Told {
        let told = self.carry(Direction::ToRelay, kills);
        assert_eq!(self.state(&self.author), "here");
        told
    }

    /// The same while it is fetched.
    pub fn download(&mut self, kills: u64) -> Told {
        let told = self.carry(Direction::ToClient, kills);
        assert_eq!(self.state(&self.reader), "here");
        told
    }

    fn carry(&mut self, way: Direction, kills: u64) -> Told {
        let mut told = Told::default();
        let before = self.proxy.carried(way);
        // Twice as far apart as would be even, at most: so most of them come before the end.
        let apart = (self.content.len() as u64 / DATAGRAM_BYTES / (kills + 1)).max(2);
        for turn in 0..kills {
            let n = 40 + self.dice.below(apart);
            let from = self.proxy.carried(way);
            let killed = match turn % 2 {
                0 => killed_at(&self.proxy, way, n, self.home(way)),
                _ => self.relay_killed_at(way, n),
            };
            if !killed {
                // It has arrived.
                break;
            }
            told.kills += 1;
            let all = self.content.len() as u64;
            told.resumed += u64::from(turn > 0 && self.proxy.carried(way) - from < all);
        }
        self.home(way).sync();
        told.bytes = self.proxy.carried(way) - before;
        let most = self.content.len() as u64 * 11 / 10
            + (told.kills + 1) * (SYNC_BYTES + PART_BYTES.min(self.content.len() as u64));
        assert!(told.bytes <= most, "{told:?}: more than {most} bytes");
        told
    }

    fn home(&self, way: Direction) -> &Home {
        match way {
            Direction::ToRelay => &self.author,
            Direction::ToClient => &self.reader,
        }
    }

    /// Kills the relay at a datagram of a sync, and starts it again. Whether it came so far.
    fn relay_killed_at(&mut self, way: Direction, n: u64) -> bool {
        let relay = pidfd(self.relay.pid());
        let victim = pidfd(self.relay.pid());
        self.proxy.at(way, n, move || kill(&victim));
        let client = self.home(way).start(&["sync"]);
        let client_fd = pidfd(client.pid());
        let died = first_to_end(&[&relay, &client_fd], DEADLINE) == Some(0);
        self.proxy.forget_actions();
        if died {
            let status = self.relay.wait();
            assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "{status}");
            self.relay.restart();
            if first_to_end(&[&client_fd], HEARS_OF_IT_WITHIN).is_none() {
                kill(&client_fd);
            }
        }
        let _ = client.finish();
        died
    }

    fn state(&self, home: &Home) -> String {
        let shown: Value = home.show(&self.record);
        shown["attachments"][0]["state"].as_str().expect("one attachment").to_owned()
    }

    /// Holds what the reader saves, and what the relay has, against what was attached.
    ///
    /// # Panics
    /// When anything is amiss.
    pub fn audit(mut self) {
        let out = self.reader.disk().join("out");
        let save = ["save", &self.record, "--out", out.to_str().expect("a plain name")];
        let saved = self.reader.run(&save).exits(0).json();
        let path = PathBuf::from(saved[0]["path"].as_str().expect("a path"));
        assert!(fs::read(path).expect("it was saved") == self.content, "another file came out");
        self.relay.stop();
        let checked = self.relay.run(&["check"]).exits(0);
        let said = checked.stdout_text() + &checked.stderr_text();
        assert!(!said.contains("uploads/"), "{said}");
    }
}
