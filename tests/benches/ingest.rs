//! Us: a relay process, and the load over QUIC. Entries are signed before any clock starts; what
//! the relay does is never skipped.

use std::time::Instant;

use sealpost::transport::{Connection, Deadlines};
use sealpost_protocol::address::RelayAddress;
use sealpost_protocol::permit;
use sealpost_protocol::sign::SigningKey;
use sealpost_tests::load::{Load, Writer};
use sealpost_tests::programs::Programs;
use sealpost_tests::relay::Relay;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::{ALONE, MANY, RECORD_BYTES, ROUNDS, WRITERS};

/// A relay with a settled committee: many writers, and one more who writes alone.
pub(crate) struct Ingest {
    runtime: Runtime,
    load: Load,
    lines: Vec<Line>,
    address: RelayAddress,
    entry_bytes: usize,
    // Last, for it is dropped last: the lines are closed before the relay goes.
    _relay: Relay,
}

/// A writer with an open connection, and how many records it has been told to push.
struct Line {
    writer: Writer,
    connection: Connection,
}

impl Ingest {
    /// Starts the relay, signs everything and opens all connections.
    pub(crate) fn start(programs: &Programs) -> Self {
        let relay = Relay::start(programs);
        let address: RelayAddress = relay.address().parse().expect("the relay's own address");
        let code = permit::code_from_text(&relay.permit()).expect("the relay's own permit");
        let mut records = vec![ROUNDS * MANY; WRITERS];
        records.push(ROUNDS * ALONE);
        let mut load = Load::sign(&address, &records, RECORD_BYTES);
        let runtime = Runtime::new().expect("threads can be started");
        let writers = std::mem::take(&mut load.writers);
        let lines = runtime.block_on(async {
            let founder = open(&address, load.founder()).await;
            load.settle(&founder, code).await;
            founder.close().await;
            let mut lines = Vec::new();
            for writer in writers {
                let connection = open(&address, &writer.login).await;
                lines.push(Line { writer, connection });
            }
            lines
        });
        let entry_bytes = lines[0].writer.entry_bytes();
        Self { runtime, load, lines, address, entry_bytes, _relay: relay }
    }

    /// One round of the many writers, all at once.
    pub(crate) fn many(&mut self) -> f64 {
        let alone = self.lines.pop().expect("the last one writes alone");
        let many = std::mem::take(&mut self.lines);
        let began = Instant::now();
        self.lines = self.runtime.block_on(async {
            let mut pushing = JoinSet::new();
            for line in many {
                pushing.spawn(line.push(MANY));
            }
            pushing.join_all().await
        });
        let took = began.elapsed();
        self.lines.push(alone);
        (WRITERS * MANY) as f64 / took.as_secs_f64()
    }

    /// One round of the writer who is alone.
    pub(crate) fn alone(&mut self) -> f64 {
        let alone = self.lines.pop().expect("the last one writes alone");
        let began = Instant::now();
        let pushing = self.runtime.spawn(alone.push(ALONE));
        let alone = self.runtime.block_on(pushing).expect("pushing does not panic");
        let took = began.elapsed();
        self.lines.push(alone);
        ALONE as f64 / took.as_secs_f64()
    }

    /// Pulls the whole log and holds it against every receipt: all of it was real.
    pub(crate) fn audit(&mut self) {
        self.runtime.block_on(async {
            self.load.writers = self.lines.drain(..).map(|line| line.writer).collect();
            let line = open(&self.address, self.load.founder()).await;
            let (log, checkpoint) = self.load.pull(&line).await.expect("a relay that answers");
            self.load.audit(&log, &checkpoint).expect("an honest relay");
        });
    }

    /// How long an entry is.
    pub(crate) fn entry_bytes(&self) -> usize {
        self.entry_bytes
    }
}

impl Line {
    async fn push(mut self, records: usize) -> Self {
        let pushed = self.writer.push_some(&self.connection, records).await;
        assert!(pushed, "the relay did not accept a record");
        self
    }
}

async fn open(address: &RelayAddress, login: &SigningKey) -> Connection {
    let opened = Connection::open(address, login, Deadlines::default()).await;
    opened.expect("the relay answers on loopback")
}
