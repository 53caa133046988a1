//! Long campaigns: `campaign power|kills|blobs|lines|display [--seed S] [--rounds N]`.
//!
//! Each prints its seed first, ends by itself after its rounds and fails if anything was amiss.
//! Without a seed it draws one. Under the names of the two programs it is those programs, so that
//! nothing else needs to be built.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::ExitCode;

use sealpost_tests::campaign::blobs::Carriage;
use sealpost_tests::campaign::disk::mortal_relay;
use sealpost_tests::campaign::display::Stage;
use sealpost_tests::campaign::kills::Office;
use sealpost_tests::campaign::lines;
use sealpost_tests::campaign::power::{Scene, Syncs};
use sealpost_tests::programs::Programs;
use tempfile::TempDir;

const USAGE: &str = "usage: campaign power|kills|blobs|lines|display [--seed S] [--rounds N]";
/// The file that `blobs` carries.
const BLOB_BYTES: usize = 200 * 1024 * 1024;
const ROUNDS: u64 = 1_000;
const CLIENT: &str = "sealpost";
const RELAY: &str = "sealpost-relay";

struct Asked {
    what: String,
    seed: u64,
    rounds: u64,
}

fn main() -> ExitCode {
    let name = std::env::args_os().next().unwrap_or_default();
    match Path::new(&name).file_name().and_then(|name| name.to_str()) {
        Some(CLIENT) => sealpost::main(),
        Some(RELAY) => mortal_relay(),
        _ => campaign(),
    }
}

fn campaign() -> ExitCode {
    let Some(asked) = asked(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    println!("{} --seed {} --rounds {}", asked.what, asked.seed, asked.rounds);
    let amiss = match asked.what.as_str() {
        "power" => power(&asked),
        "kills" => kills(&asked),
        "blobs" => blobs(&asked),
        "lines" => lines(),
        "display" => display(&asked),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    for what in &amiss {
        println!("{what}");
    }
    println!("{} of {} rounds were amiss", amiss.len(), asked.rounds);
    if amiss.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn asked(mut arguments: impl Iterator<Item = String>) -> Option<Asked> {
    let what = arguments.next()?;
    let mut random = [0; 8];
    getrandom::fill(&mut random).ok()?;
    let mut asked = Asked { what, seed: u64::from_le_bytes(random), rounds: ROUNDS };
    while let Some(flag) = arguments.next() {
        let number = arguments.next()?.parse().ok()?;
        match flag.as_str() {
            "--seed" => asked.seed = number,
            "--rounds" => asked.rounds = number,
            _ => return None,
        }
    }
    Some(asked)
}

fn power(asked: &Asked) -> Vec<String> {
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    let told = runtime.block_on(async {
        Scene::new().await.rounds(asked.seed, asked.rounds, Syncs::Honest).await
    });
    println!("{} cuts met unfinished pushes", told.unfinished);
    told.amiss
}

/// This program under the names of the two, in a folder that vanishes.
fn programs() -> (TempDir, Programs) {
    let here = std::env::current_exe().expect("Linux knows what runs");
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let named = |name: &str| {
        let path = folder.path().join(name);
        symlink(&here, &path).expect("the temporary folder is writable");
        path
    };
    let programs = Programs { client: named(CLIENT), relay: named(RELAY) };
    (folder, programs)
}

fn display(asked: &Asked) -> Vec<String> {
    let (_folder, programs) = programs();
    let told = Stage::new(&programs, asked.seed).rounds(asked.rounds);
    println!("{} strings, {} of them harmful as they come", told.shown, told.harmful);
    told.amiss
}

/// A scan over each of the bad lines, once. What is amiss ends it with a panic.
fn lines() -> Vec<String> {
    let (_folder, programs) = programs();
    for line in lines::lines() {
        let told = lines::carry(&programs, &line);
        println!("{}: {} bytes, {told:?}", line.name, line.bytes);
        assert!(told.note * 2 < told.scan, "the note came not long before its scan");
    }
    Vec::new()
}

/// So many kills while a large file is sent, and so many while it is fetched.
fn blobs(asked: &Asked) -> Vec<String> {
    let (_folder, programs) = programs();
    let mut carriage = Carriage::open(&programs, asked.seed, BLOB_BYTES);
    let uploads = carriage.upload(asked.rounds);
    println!("{uploads:?} while it was sent");
    let downloads = carriage.download(asked.rounds);
    println!("{downloads:?} while it was fetched");
    carriage.audit();
    [uploads, downloads]
        .iter()
        .filter(|told| told.kills < asked.rounds / 2)
        .map(|told| format!("only {} kills", told.kills))
        .collect()
}

/// So many kills of relays and so many of clients. What is amiss ends it with a panic.
fn kills(asked: &Asked) -> Vec<String> {
    let (_folder, programs) = programs();
    let mut office = Office::open(&programs, asked.seed);
    let relays = office.kill_relays(asked.rounds);
    println!("{relays:?} of relays");
    let clients = office.kill_clients(asked.rounds);
    println!("{clients:?} of clients");
    office.audit();
    [relays, clients]
        .iter()
        .filter(|told| told.kills < asked.rounds)
        .map(|told| format!("only {} kills", told.kills))
        .collect()
}
