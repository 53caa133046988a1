//! Us: what it costs a coordinator to remove one of a hundred, however long the log is. The real
//! client, a relay process, and colleagues who are devices without a client.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::process::{Command, Stdio};

use sealpost::transport::{Connection, Deadlines};
use sealpost_protocol::entry::{Entry, Kind, UnverifiedEntry};
use sealpost_protocol::frame::{PushRequest, PushResult, Pushed, Reply, Request};
use sealpost_protocol::id::TreeSize;
use sealpost_protocol::limits;
use sealpost_protocol::record::{Fields, RecordBody, RecordId};
use sealpost_tests::home::Home;
use sealpost_tests::load::Line;
use sealpost_tests::programs::Programs;
use sealpost_tests::relay::{Options, Relay};
use sealpost_tests::rogue::Rogue;
use serde_json::json;

use crate::RECORD_BYTES;

const MEMBERS: usize = 100;
/// Entries in one push: well below what a frame may hold.
const BATCH: usize = 128;
/// Records in one sync of the coordinator's: each must end before a test would say that it hangs.
const SYNCED: usize = 10_000;

/// A committee of a hundred with so many records, all of which the coordinator has read.
pub(crate) struct Removal {
    relay: Relay,
    metrics: SocketAddr,
    coordinator: Home,
    committee: String,
    /// Wrote all records, and sees the whole log.
    witness: Rogue,
    newcomers: usize,
}

/// What one command cost.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    /// From its start to its end.
    pub(crate) wall_millis: f64,
    /// User and system time of the client's process, all threads.
    pub(crate) cpu_millis: f64,
    /// Bytes of the requests that the relay took meanwhile.
    pub(crate) request_bytes: u64,
}

/// What one removal cost, beside a command that only opens the vault.
pub(crate) struct Removed {
    pub(crate) removal: Cost,
    pub(crate) status: Cost,
    /// Of the entries it made: the removal and the lock.
    pub(crate) entry_bytes: usize,
    /// Of the records among them.
    pub(crate) record_bytes: usize,
}

impl Removal {
    /// Founds the committee, lets everybody in and has one of them write the records.
    pub(crate) fn start(programs: &Programs, records: usize) -> Self {
        let metrics = free_port();
        let arguments = vec!["--metrics".to_owned(), metrics.to_string()];
        let relay = Relay::start_with(programs, Options { arguments, ..Options::default() });
        let coordinator = Home::of(programs, "isla");
        let committee = coordinator.found(relay.address(), &relay.permit(), "Harbour");
        let witness = admit(&coordinator, &committee, 0, 1).remove(0);
        let mut removal = Self { relay, metrics, coordinator, committee, witness, newcomers: 1 };
        while removal.newcomers + 1 < MEMBERS {
            let some = (MEMBERS - 1 - removal.newcomers).min(limits::JOIN_REQUESTS_MAX);
            removal.admit(some);
        }
        removal.coordinator.sync();
        let records = records as u64;
        for from in (0..records).step_by(SYNCED) {
            removal.write(from..records.min(from + SYNCED as u64));
            removal.coordinator.sync();
        }
        removal
    }

    fn admit(&mut self, count: usize) {
        admit(&self.coordinator, &self.committee, self.newcomers, count);
        self.newcomers += count;
    }

    /// Has the witness write the records of these numbers, each sealed and signed as it must be.
    fn write(&mut self, numbers: Range<u64>) {
        follow(&mut self.witness);
        let (keys, binding) = (self.witness.keys(), self.witness.binding());
        let (body, mut header) = (note(), self.witness.header(Kind::Record));
        let mut sign = |number: u64| {
            let id: RecordId = format!("01M886ZTD9EZMS7D{number:010}").parse().expect("a ULID");
            let bound = body.bind(&binding, &id, &[7; 32]).expect("sound fields");
            header.content = bound.content;
            let payload = keys.seal_record(&bound.plaintext).expect("it is short");
            let key = self.witness.device.signing_key();
            let entry = Entry::sign(header.clone(), payload, key);
            header.author_seq = header.author_seq.next();
            header.author_prev = entry.leaf();
            entry.encode().into()
        };
        let address = self.relay.address().parse().expect("the relay's own address");
        let login = self.witness.device.login_key();
        let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
        runtime.block_on(async {
            let opened = Connection::open(&address, login, Deadlines::default()).await;
            let line = opened.expect("the relay answers on loopback");
            let numbers: Vec<u64> = numbers.collect();
            for some in numbers.chunks(BATCH) {
                let entries = some.iter().map(|number| sign(*number)).collect();
                let push = PushRequest { committee: binding.committee, entries };
                let answer = line.ask(Request::Push(push)).await;
                let [Reply::Pushed(Pushed { results, .. })] = answer.as_slice() else {
                    panic!("{answer:?}");
                };
                let accepted = |result: &PushResult| matches!(result, PushResult::Accepted(_));
                assert!(results.len() == some.len() && results.iter().all(accepted));
            }
            line.close().await;
        });
    }

    /// Removes one of a hundred, and lets another one in for the next round.
    pub(crate) fn round(&mut self) -> Removed {
        follow(&mut self.witness);
        let before = self.witness.world().log.len();
        let status = self.cost(&["status"]);
        let leaving = format!("person-{}", self.newcomers - 1);
        let removal = self.cost(&["member", "remove", &leaving, "--yes"]);
        follow(&mut self.witness);
        let made = &self.witness.world().log[before..];
        let is_record = |entry: &&Vec<u8>| {
            let entry = UnverifiedEntry::decode(entry).expect("it was followed");
            entry.header().kind == Kind::Record
        };
        assert_eq!(made.len(), 2, "a removal and a lock");
        let removed = Removed {
            removal,
            status,
            entry_bytes: made.iter().map(Vec::len).sum(),
            record_bytes: made.iter().filter(is_record).map(Vec::len).sum(),
        };
        self.admit(1);
        removed
    }

    /// Runs a command of the coordinator's. What the kernel counted for the process (`wait4`) is
    /// read from bash's `time`, in milliseconds.
    fn cost(&self, arguments: &[&str]) -> Cost {
        let client = self.coordinator.command(arguments);
        let mut bash = Command::new("bash");
        bash.args(["-c", "TIMEFORMAT='%R %U %S'; time \"$@\"", "bash"]);
        bash.arg(client.get_program()).args(client.get_args());
        bash.env_clear();
        bash.envs(client.get_envs().filter_map(|(name, value)| Some((name, value?))));
        bash.current_dir(self.coordinator.disk()).stdin(Stdio::null());
        let before = self.request_bytes();
        let ran = bash.output().expect("bash starts");
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success(), "{arguments:?}: {said}");
        let times = said.lines().next_back().unwrap_or_default();
        let times: Vec<f64> = times.split(' ').filter_map(|time| time.parse().ok()).collect();
        let [wall, user, system] = times[..] else { panic!("bash said no times: {said}") };
        let request_bytes = self.request_bytes() - before;
        Cost { wall_millis: wall * 1e3, cpu_millis: (user + system) * 1e3, request_bytes }
    }

    /// Bytes of all requests so far, as the relay counts them.
    fn request_bytes(&self) -> u64 {
        let mut stream = TcpStream::connect(self.metrics).expect("metrics are served");
        let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request).expect("it listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers in text");
        let received = "sealpost_relay_received_bytes_total ";
        let figure = answer.lines().find_map(|line| line.strip_prefix(received)?.parse().ok());
        figure.unwrap_or_else(|| panic!("the relay counts no bytes:\n{answer}"))
    }
}

/// Lets `count` devices in, called by their numbers from `first` on.
pub(crate) fn admit(coordinator: &Home, committee: &str, first: usize, count: usize) -> Vec<Rogue> {
    let uses = count.to_string();
    let new = ["invite", "new", "--committee", committee, "--uses", &uses];
    let invitation = coordinator.run(&new).exits(0).field("invitation");
    let people: Vec<Rogue> = (first..first + count)
        .map(|number| Rogue::ask(&invitation, &format!("person-{number}")))
        .collect();
    coordinator.sync();
    for asking in coordinator.asking() {
        let _ = coordinator.admit(&asking).exits(0);
    }
    people
}

/// Follows to the log's end: one pull ends after some megabytes. A line that was idle for long is gone.
pub(crate) fn follow(witness: &mut Rogue) {
    witness.reconnect();
    let mut size = None;
    loop {
        witness.follow();
        let now: TreeSize = witness.world().committee.size();
        if size.replace(now) == Some(now) {
            return;
        }
    }
}

/// A note that is as long as a record of the other rows.
fn note() -> RecordBody {
    let note = json!({
        "kind": "note", "schema": 1, "created": "2026-03-11T12:00:00.000Z",
        "text": "x".repeat(RECORD_BYTES),
    });
    let fields: Fields = note.as_object().expect("an object").clone();
    RecordBody { fields }
}

/// A port that was free a moment ago.
fn free_port() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    listener.local_addr().expect("it is bound")
}
