//! Our numbers beside a limit of the machine and a peer on the same work, taken side by side in
//! one run (`cargo bench -p sealpost-tests`). Prints one table; nothing fails because a machine is
//! slow.
//!
//! Rows: durable ingest (P1 with 64 writers, P2 with one). Everything is measured in turn,
//! [`ROUNDS`] times; the medians are shown, and the ratio is the median of each round's ratios.
//! What is not installed is "not measured".

use sealpost_tests::programs::Programs;

mod append;
mod ingest;
mod postgres;
mod table;

use ingest::Ingest;
use postgres::Postgres;
use table::{Row, median};

const ROUNDS: usize = 5;
/// Writers at once, in rows that have many.
const WRITERS: usize = 64;
/// What a row, a record or an append carries. Ours is sealed, signed and framed on top of it.
const RECORD_BYTES: usize = 2_048;
/// Records of each of many writers in a round …
const MANY: usize = 250;
/// … and of the only writer.
const ALONE: usize = 2_000;

fn main() {
    let programs = Programs {
        client: env!("CARGO_BIN_EXE_sealpost-tested").into(),
        relay: env!("CARGO_BIN_EXE_sealpost-relay-tested").into(),
    };
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let mut postgres = Postgres::start();
    let mut ingest = Ingest::start(&programs);
    let mut many = Measured::default();
    let mut alone = Measured::default();
    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS}");
        many.limit.push(append::records_a_second(folder.path(), MANY, WRITERS));
        many.peer.extend(postgres.as_mut().map(|p| p.records_a_second(WRITERS, MANY)));
        many.us.push(ingest.many());
        alone.limit.push(append::records_a_second(folder.path(), ALONE, 1));
        alone.peer.extend(postgres.as_mut().map(|p| p.records_a_second(1, ALONE)));
        alone.us.push(ingest.alone());
    }
    ingest.audit();
    let version = postgres.as_ref().map_or_else(|| "PostgreSQL".to_owned(), Postgres::version);
    table::print(&[
        many.against("P1 durable ingest, 64 writers", &version, "≥ 1.6", |m| &m.peer),
        many.against("P1 the same", "append + fdatasync, 64 a sync", "", |m| &m.limit),
        alone.against("P2 durable ingest, 1 writer", "append + fdatasync", "≥ 0.9", |m| &m.limit),
        alone.against("P2 the same", &version, "", |m| &m.peer),
    ]);
    println!(
        "{RECORD_BYTES} bytes a record; ours {} as an entry. Every receipt and the whole log were \
         verified after the clock had stopped.",
        ingest.entry_bytes()
    );
}

/// Records a second, one figure a round.
#[derive(Default)]
struct Measured {
    us: Vec<f64>,
    limit: Vec<f64>,
    peer: Vec<f64>,
}

impl Measured {
    fn against(
        &self,
        work: &'static str,
        peer: &str,
        goal: &'static str,
        theirs: impl Fn(&Self) -> &Vec<f64>,
    ) -> Row {
        let theirs = theirs(self);
        let ratios: Vec<f64> = self.us.iter().zip(theirs).map(|(us, them)| us / them).collect();
        Row {
            work,
            peer: peer.to_owned(),
            theirs: median(theirs),
            us: median(&self.us),
            ratio: median(&ratios),
            goal,
        }
    }
}
