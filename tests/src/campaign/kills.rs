//! SIGKILL for the real programs: a relay and two clients, each with a folder of its own, a proxy
//! between them. The relay dies at a write to its journal or at a datagram, a client at a datagram
//! in the middle of a push or a pull; a seed says at which.
//!
//! After each kill everybody goes on as people would: the relay is started again, the client syncs
//! again. At the end every record is in the log once and in order, and every entry that was ever
//! on its way is there with the very bytes that it had then.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;

use rustix::process::Signal;
use sealpost::vault::Vault;
use sealpost::vault::home::Home as VaultHome;
use sealpost_protocol::entry::{Kind, UnverifiedEntry};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::disk::{KillWhenTold, MOMENTS, ORDERS};
use super::victims::{HEARS_OF_IT_WITHIN, first_to_end, kill, killed_at, pidfd};
use crate::home::{Home, PASSPHRASE};
use crate::journal;
use crate::process::DEADLINE;
use crate::programs::Programs;
use crate::proxy::{Direction, Proxy};
use crate::relay::{Options, Relay};
use crate::seed::Seeded;

/// Of each wanted kill, so many tries may pass without one: a datagram that does not come.
const TRIES_A_KILL: u64 = 3;

/// What the kills came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Processes that ended by SIGKILL.
    pub kills: u64,
    /// Kills that met an unfinished push, pull or append.
    pub unfinished: u64,
    /// Clients that ended by themselves, and in order, after their relay was killed.
    pub survivors: u64,
}

/// A relay, its clients and all they have written.
pub struct Office {
    relay: Relay,
    orders: PathBuf,
    proxy: Proxy,
    author: Home,
    reader: Home,
    committee: String,
    /// Datagrams of a whole push and of a whole pull, each way.
    push: HashMap<Direction, u64>,
    pull: HashMap<Direction, u64>,
    /// The REFs of all records, in the order in which they were written.
    written: Vec<String>,
    /// Every entry that was seen on its way.
    in_flight: Vec<Vec<u8>>,
    dice: Seeded,
    _folder: TempDir,
}

/// What a vault holds.
struct Held {
    /// How many entries of the committee's log.
    size: u64,
    /// Drafts that the log does not have yet.
    unsent: usize,
    /// The bytes of those that are signed.
    in_flight: Vec<Vec<u8>>,
}

impl Office {
    /// Founds a committee of an author and a reader. The relay of `programs` must be the one that
    /// takes [`ORDERS`].
    pub fn open(programs: &Programs, seed: u64) -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let orders = folder.path().join("orders");
        let environment = vec![(ORDERS.to_owned(), orders.display().to_string())];
        let relay = Relay::start_with(programs, Options { environment, ..Options::default() });
        let proxy = Proxy::start(relay.listens_at());
        let author = Home::of(programs, "isla");
        let reader = Home::of(programs, "baran");
        let address = relay.address_at(proxy.address());
        let committee = author.found(&address, &relay.permit(), "Committee of the harbour");
        author.let_in(&committee, &reader);
        let mut office = Self {
            relay,
            orders,
            proxy,
            author,
            reader,
            committee,
            push: HashMap::new(),
            pull: HashMap::new(),
            written: Vec::new(),
            in_flight: Vec::new(),
            dice: Seeded::new(seed),
            _folder: folder,
        };
        office.write();
        office.push = office.datagrams(|office| drop(office.author.sync()));
        office.pull = office.datagrams(|office| drop(office.reader.sync()));
        office
    }

    /// Kills clients, by turns in a push and in a pull.
    pub fn kill_clients(&mut self, kills: u64) -> Told {
        let mut told = Told::default();
        for _ in 0..kills * TRIES_A_KILL {
            if told.kills < kills {
                self.kill_in_push(&mut told);
            }
            if told.kills < kills {
                self.kill_in_pull(&mut told);
            }
        }
        told
    }

    /// Kills relays, by turns at a write to the journal and at a datagram.
    pub fn kill_relays(&mut self, kills: u64) -> Told {
        let mut told = Told::default();
        for _ in 0..kills * TRIES_A_KILL {
            if told.kills < kills {
                self.kill_at_write(&mut told);
            }
            if told.kills < kills {
                self.kill_at_datagram(&mut told);
            }
        }
        told
    }

    fn kill_in_push(&mut self, told: &mut Told) {
        self.write();
        let (direction, n) = self.moment_of(|office| &office.push);
        let killed = killed_at(&self.proxy, direction, n, &self.author);
        let held = look(&self.author);
        told.kills += u64::from(killed);
        told.unfinished += u64::from(killed && !held.in_flight.is_empty());
        self.in_flight.extend(held.in_flight);
        self.author_goes_on();
    }

    fn kill_in_pull(&mut self, told: &mut Told) {
        let (direction, n) = self.moment_of(|office| &office.pull);
        let killed = killed_at(&self.proxy, direction, n, &self.reader);
        let (held, all) = (look(&self.reader).size, look(&self.author).size);
        told.kills += u64::from(killed);
        told.unfinished += u64::from(killed && held < all);
        self.reader.sync();
        assert_eq!(look(&self.reader).size, all, "the reader does not hold the whole log");
    }

    /// A sync with one unsent record makes one write to the journal; so does each one before it.
    fn kill_at_write(&mut self, told: &mut Told) {
        let writes = 1 + self.dice.below(2);
        KillWhenTold::order(&self.orders, writes, self.dice.below(MOMENTS));
        for _ in 1..writes {
            self.write();
            self.author_goes_on();
        }
        self.write();
        self.outlive_the_relay(told);
    }

    fn kill_at_datagram(&mut self, told: &mut Told) {
        self.write();
        let (direction, n) = self.moment_of(|office| &office.push);
        let victim = pidfd(self.relay.pid());
        self.proxy.at(direction, n, move || kill(&victim));
        self.outlive_the_relay(told);
    }

    /// The author syncs while the relay dies, if it does, and is started again.
    fn outlive_the_relay(&mut self, told: &mut Told) {
        let relay = pidfd(self.relay.pid());
        let client = self.author.start(&["sync"]);
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
        let ran = client.finish();
        let held = look(&self.author);
        if ran.status.signal().is_none() {
            let _ = ran.exits(if held.unsent > 0 { 3 } else { 0 });
            told.survivors += u64::from(died);
        }
        told.kills += u64::from(died);
        told.unfinished += u64::from(died && !held.in_flight.is_empty());
        self.in_flight.extend(held.in_flight);
        self.author_goes_on();
    }

    fn author_goes_on(&mut self) {
        let report = self.author.sync();
        assert_eq!(report["unsent"], 0, "{report}");
        assert_eq!(look(&self.author).unsent, 0, "something is unsent after a sync");
    }

    fn write(&mut self) {
        let text = format!("Note {}: visit refused at the gate.", self.written.len() + 1);
        let fields = json!({ "text": text });
        self.written.push(self.author.record_later("note", &self.committee, &fields).reference);
    }

    /// A direction, and a datagram that a whole push or pull has in it.
    fn moment_of(&mut self, of: impl Fn(&Self) -> &HashMap<Direction, u64>) -> (Direction, u64) {
        let direction = match self.dice.below(2) {
            0 => Direction::ToRelay,
            _ => Direction::ToClient,
        };
        let all = of(self)[&direction];
        (direction, 1 + self.dice.below(all))
    }

    fn datagrams(&mut self, work: impl Fn(&Self)) -> HashMap<Direction, u64> {
        let both = [Direction::ToRelay, Direction::ToClient];
        let before = both.map(|direction| self.proxy.passed(direction));
        work(self);
        let passed = |(direction, before)| (direction, self.proxy.passed(direction) - before);
        both.into_iter().zip(before).map(passed).collect()
    }

    /// Stops the relay and holds its journal, and what both clients show, against all that was
    /// ever written.
    pub fn audit(mut self) {
        self.author_goes_on();
        self.reader.sync();
        for home in [&self.author, &self.reader] {
            let listed = home.records();
            let in_log = |row: &Value| row["state"] == "accepted" || row["state"] == "confirmed";
            assert!(listed.iter().all(in_log), "{listed:?}");
            let shown: Vec<&str> = listed.iter().filter_map(|row| row["ref"].as_str()).collect();
            assert_eq!(shown, self.written, "not every record once and in order");
        }
        self.relay.stop();
        let _ = self.relay.run(&["check"]).exits(0);
        let logs = journal::logs(&self.relay.data());
        let [(_, log)] = logs.as_slice() else { panic!("one committee, one log") };
        for entry in &self.in_flight {
            let found = log.iter().filter(|logged| *logged == entry).count();
            assert_eq!(found, 1, "an entry that was on its way is in the log {found} times");
        }
        let records = log.iter().filter(|bytes| is_record(bytes)).count();
        assert_eq!(records, self.written.len(), "records in the log");
    }
}

fn look(home: &Home) -> Held {
    let opened = Vault::open(VaultHome::new(home.vault()), &PASSPHRASE.to_owned().into());
    let (vault, _) = opened.unwrap_or_else(|error| panic!("a vault after a kill: {error}"));
    let read = vault.read(|vault| {
        let drafts = vault.drafts()?;
        let in_flight = drafts.iter().map(|draft| vault.signed_entry(draft.no));
        let in_flight = in_flight.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
        Ok::<_, sealpost::vault::VaultError>((vault.committees()?, drafts.len(), in_flight))
    });
    let (committees, unsent, in_flight) =
        read.unwrap_or_else(|error| panic!("a vault after a kill: {error}"));
    let [committee] = committees.as_slice() else { panic!("one committee: {committees:?}") };
    Held { size: committee.size.0, unsent, in_flight }
}

fn is_record(bytes: &[u8]) -> bool {
    let entry = UnverifiedEntry::decode(bytes).expect("what is in the journal decodes");
    entry.header().kind == Kind::Record
}
