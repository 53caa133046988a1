//! All scenarios over the real binaries, in one test binary.

#![allow(clippy::unwrap_used, reason = "everything here is a test: a panic is its failing")]

use sealpost_tests::programs::Programs;

mod agent;
mod as_root;
mod attachments;
mod backups;
mod blobs;
mod c2sp;
mod confirmed;
mod cut_off;
mod damage;
mod demo;
mod device_backup;
mod devices;
mod display;
mod evidence;
mod exports;
mod faults;
mod hygiene;
mod imports;
mod invitations;
mod journey;
mod kills;
mod leftovers;
mod lies;
mod lives;
mod members;
mod misdeeds;
mod offline;
mod operator;
mod passphrase;
mod power;
mod proof;
mod proof_cheats;
mod reader;
mod recovery;
mod secrecy;
mod sizes;
mod spec;
mod storyboard;
mod strangers;
mod threats;
mod watch;
mod weather;
mod wycheproof;

/// The programs under test.
fn programs() -> Programs {
    Programs {
        client: env!("CARGO_BIN_EXE_sealpost-tested").into(),
        relay: env!("CARGO_BIN_EXE_sealpost-relay-tested").into(),
    }
}
