//! Our numbers beside a limit of the machine and a peer on the same work, taken side by side in
//! one run (`cargo bench -p sealpost-tests`). Prints one table; nothing fails because a machine is
//! slow.
//!
//! Rows: durable ingest (P1 with 64 writers, P2 with one); the first pull of 100,000 records (P3); a file of
//! 1 GiB from one person to another (P5); removing one of a hundred members with 10, 10,000 and 100,000
//! records in the log (P6). Everything is measured in turn, [`ROUNDS`] times; the medians are shown, and the
//! ratio is the median of each round's ratios. What is not installed is "not measured". `-- p1` (with P2,
//! whose set-up is the same), `-- p3`, `-- p5` or `-- p6` measures those alone; `-- p3 --records=1000` fewer
//! records than a figure is worth something for, to try the bench.

use sealpost_tests::programs::Programs;

mod append;
mod first_pull;
mod ingest;
mod nats;
mod postgres;
mod removal;
mod restic;
mod sendme;
mod stream;
mod table;
mod transfer;

use first_pull::FirstPull;
use ingest::Ingest;
use nats::Nats;
use postgres::Postgres;
use removal::{Cost, Removal, Removed};
use restic::Restic;
use stream::Stream;
use table::{Row, median};
use transfer::{Took, Transfer};

const ROUNDS: usize = 5;
/// Writers at once, in rows that have many.
const WRITERS: usize = 64;
/// What a row, a record or an append carries. Ours is sealed, signed and framed on top of it.
const RECORD_BYTES: usize = 2_048;
/// Records of each of many writers in a round …
const MANY: usize = 250;
/// … and of the only writer.
const ALONE: usize = 2_000;
/// Records in the log of a first pull.
const PULLED: usize = 100_000;
/// A log so much shorter shows whether memory grows with it.
const SHORTER: usize = 10;
/// The file that is attached.
const FILE_BYTES: u64 = 1024 * 1024 * 1024;
/// One that takes no memory worth speaking of.
const SMALL_FILE_BYTES: u64 = 1024;
/// Records in the log when somebody is removed.
const LOGS: [usize; 3] = [10, 10_000, 100_000];

fn main() {
    // Cargo adds flags of its own.
    let rows: Vec<String> = std::env::args().skip(1).filter(|row| !row.starts_with('-')).collect();
    let wanted = |names: &[&str]| rows.is_empty() || rows.iter().any(|row| names.contains(&&**row));
    let programs = Programs {
        client: env!("CARGO_BIN_EXE_sealpost-tested").into(),
        relay: env!("CARGO_BIN_EXE_sealpost-relay-tested").into(),
    };
    if wanted(&["p1", "p2"]) {
        ingest(&programs);
    }
    if wanted(&["p3"]) {
        let records =
            std::env::args().find_map(|flag| flag.strip_prefix("--records=").map(str::parse));
        first_pull(&programs, records.map_or(PULLED, |number| number.expect("a number")));
    }
    if wanted(&["p5"]) {
        transfer(&programs);
    }
    if wanted(&["p6"]) {
        removal(&programs);
    }
}

/// P1 and P2.
fn ingest(programs: &Programs) {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let mut postgres = Postgres::start();
    let mut ingest = Ingest::start(programs);
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

/// P3: as a whole, and the stages that the peers and the limit know too.
fn first_pull(programs: &Programs, records: usize) {
    let server = Nats::start();
    eprintln!("{records} messages, files and records are written");
    let mut stream = server
        .as_ref()
        .map(|server| Stream::filled(server.address(), records as u64, RECORD_BYTES));
    let restic = Restic::filled(records, RECORD_BYTES);
    let mut short = FirstPull::start(programs, records / SHORTER);
    let mut long = FirstPull::start(programs, records);
    let (mut streamed, mut restored) = (Vec::new(), Vec::new());
    let (mut of_short, mut took) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS}");
        streamed.extend(stream.as_mut().map(Stream::read));
        restored.extend(restic.as_ref().map(Restic::restore));
        of_short.push(short.round());
        took.push(long.round());
    }
    let row = |work: &str, peer: &str, theirs: Vec<f64>, ours: Vec<f64>, unit: Unit, goal: &str| {
        let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(us, them)| us / them).collect();
        let figure =
            |figures: &[f64]| median(figures).map_or_else(|| "not measured".to_owned(), &unit);
        let ratio = median(&ratios).map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        [work.to_owned(), peer.to_owned(), figure(&theirs), figure(&ours), ratio, goal.to_owned()]
    };
    let of = |figure: fn(&first_pull::Took) -> f64| took.iter().map(figure).collect::<Vec<_>>();
    let seconds: Unit = |figure| format!("{figure:.2} s");
    let mib: Unit = |figure| format!("{:.0} MiB", figure / (1024.0 * 1024.0));
    let rate: Unit = |figure| format!("{figure:.0}/s");
    let head = ["work", "peer or limit", "theirs", "us", "us ÷ theirs", "goal"].map(str::to_owned);
    let whole = format!("P3 first pull of {records} records, opened and stored");
    table::print_lines(&[
        head,
        row(
            "P3 the wire alone: time",
            "NATS ordered consumer",
            streamed.iter().map(|read| read.seconds).collect(),
            of(|took| took.wire),
            seconds,
            "≤ 2",
        ),
        row(
            "P3 the wire alone: bytes",
            "NATS ordered consumer",
            streamed.iter().map(|read| read.bytes as f64).collect(),
            of(|took| took.wire_bytes as f64),
            mib,
            "",
        ),
        row(
            "P3 verifying alone: entries",
            "verify_strict, 2 threads",
            of(|took| took.strict),
            of(|took| took.verified),
            rate,
            "≥ 0.8",
        ),
        row(&whole, "restic restore", restored, of(|took| took.whole), seconds, "≤ 0.7"),
        row(
            "P3 the same: memory of the client",
            "ours, a tenth of the records",
            of_short.iter().map(|took| took.client_bytes as f64).collect(),
            of(|took| took.client_bytes as f64),
            mib,
            "1",
        ),
    ]);
    println!(
        "{RECORD_BYTES} bytes a message, a file, and a record before it is sealed; {} entries. The wire: \
         read and decoded, nothing verified; bytes with QUIC's own and without TCP's. NATS: a client that \
         reads and counts. Verifying: what the client does with its first answer before it opens or stores \
         anything. restic: from and to this disk, nothing synced. Every pull was whole.",
        long.size()
    );
}

/// How a figure is shown.
type Unit = fn(f64) -> String;

/// P5, beside the peer on the same file in the same round.
fn transfer(programs: &Programs) {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let file = folder.path().join("film.bin");
    transfer::write_random(&file, FILE_BYTES);
    let nats = Nats::start();
    let mut us = Transfer::start(programs);
    // What the programs take for a small file is what the large one is held against.
    let small = us.round(SMALL_FILE_BYTES);
    let (mut took, mut theirs, mut straight) = (Vec::new(), Vec::new(), Vec::new());
    let mut limit = Vec::new();
    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS}");
        transfer::settle();
        theirs.extend(nats.as_ref().and_then(|nats| nats.round(&file)));
        transfer::settle();
        straight.extend(sendme::round(&file));
        limit.push(transfer::written_twice(&file));
        took.push(us.round(FILE_BYTES));
    }
    let seconds = |figures: &[f64]| {
        median(figures).map_or_else(|| "not measured".to_owned(), |middle| format!("{middle:.2} s"))
    };
    let row = |work: &str, peer: &str, ours: Vec<f64>, theirs: Vec<f64>, goal: &str| {
        let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(us, them)| us / them).collect();
        let ratio = median(&ratios);
        [
            work.to_owned(),
            format!("{peer}: {}", seconds(&theirs)),
            seconds(&ours),
            ratio.map_or_else(|| "not measured".to_owned(), |ratio| format!("{ratio:.2}")),
            goal.to_owned(),
        ]
    };
    let growth = |of: fn(&Took) -> u64| {
        let most = took.iter().map(of).max().unwrap_or(0);
        format!("{} MiB", most.saturating_sub(of(&small)) / (1024 * 1024))
    };
    let memory = |work: &str, of: fn(&Took) -> u64| {
        [work.to_owned(), String::new(), growth(of), String::new(), "≤ 64 MiB".to_owned()]
    };
    let head = ["work", "peer", "us", "us ÷ theirs", "goal"].map(str::to_owned);
    let into = || took.iter().map(|took| took.into).collect::<Vec<_>>();
    table::print_lines(&[
        head,
        row(
            "P5 1 GiB: seal, send, store durably",
            "NATS object store",
            into(),
            theirs.iter().map(|(into, _)| *into).collect(),
            "≤ 1.0",
        ),
        row(
            "P5 the same",
            "sendme, one to another",
            into(),
            straight.iter().map(|took| took.received).collect(),
            "≤ 0.75",
        ),
        row(
            "P5 the same",
            "sendme, until it is on the disk",
            into(),
            straight.iter().map(|took| took.synced).collect(),
            "",
        ),
        row("P5 the same", "written twice and synced", into(), limit, ""),
        row(
            "P5 1 GiB: fetch, verify, open",
            "NATS object store",
            took.iter().map(|took| took.out).collect(),
            theirs.iter().map(|(_, out)| *out).collect(),
            "≤ 1.0",
        ),
        memory("P5 memory of the client, above a small file's", |took| took.client_bytes),
        memory("P5 memory of the relay, above a small file's", |took| took.relay_bytes),
    ]);
    println!(
        "Ours: four commands, each a process that opens the vault. NATS: every write synced, a \
         Python client, nothing encrypted. sendme: both ends here, to the file that came out, which need \
         not be on the disk by then. Ours is there twice: with its sender, sealed, and with the relay. What came out of ours was compared with what went in."
    );
}

/// P6. What opening the vault costs stands beside it, and is subtracted nowhere.
fn removal(programs: &Programs) {
    let mut committees: Vec<(usize, Removal, Vec<Removed>)> = LOGS
        .into_iter()
        .map(|records| {
            eprintln!("a committee of a hundred with {records} records");
            (records, Removal::start(programs, records), Vec::new())
        })
        .collect();
    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS}");
        for (_, committee, costs) in &mut committees {
            costs.push(committee.round());
        }
    }
    let baseline: Vec<f64> = committees[0].2.iter().map(|cost| cost.removal.cpu_millis).collect();
    let lines = committees.iter().map(|(records, _, costs)| {
        let figures = |of: &dyn Fn(&Removed) -> f64| costs.iter().map(of).collect::<Vec<_>>();
        let middle = |of: &dyn Fn(&Removed) -> f64| median(&figures(of)).unwrap_or_default();
        let cpu = figures(&|cost| cost.removal.cpu_millis);
        let ratios: Vec<f64> = cpu.iter().zip(&baseline).map(|(us, ten)| us / ten).collect();
        let time = |of: &dyn Fn(&Removed) -> Cost| {
            let (cpu, wall) =
                (middle(&|cost| of(cost).cpu_millis), middle(&|cost| of(cost).wall_millis));
            format!("{cpu:.0} ms, {wall:.0} ms")
        };
        [
            format!("P6 remove 1 of 100, {records} records"),
            time(&|cost| cost.status),
            time(&|cost| cost.removal),
            format!("{:.2}", median(&ratios).unwrap_or_default()),
            format!("{:.0}", middle(&|cost| cost.entry_bytes as f64)),
            format!("{:.0}", middle(&|cost| cost.removal.request_bytes as f64)),
            format!("{:.0}", middle(&|cost| cost.record_bytes as f64)),
            "≤ 50 ms, ratio 1, 0".to_owned(),
        ]
    });
    let head = [
        "work",
        "status: CPU, wall",
        "us: CPU, wall",
        "CPU ÷ 10 records",
        "entry bytes",
        "request bytes",
        "record bytes",
        "goal",
    ];
    table::print_lines(&std::iter::once(head.map(str::to_owned)).chain(lines).collect::<Vec<_>>());
    println!(
        "The whole command, the vault's passphrase at a work factor for tests. Entries: the removal \
         and the lock. Requests: all that the relay was sent meanwhile."
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
