//! Long campaigns: `campaign power|kills [--seed S] [--rounds N]`.
//!
//! Each prints its seed first, ends by itself after its rounds and fails if anything was amiss.
//! Without a seed it draws one.

use std::process::ExitCode;

use sealpost_tests::campaign::power::{Scene, Syncs};

const USAGE: &str = "usage: campaign power|kills [--seed S] [--rounds N]";
const ROUNDS: u64 = 1_000;

struct Asked {
    what: String,
    seed: u64,
    rounds: u64,
}

fn main() -> ExitCode {
    let Some(asked) = asked(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    println!("{} --seed {} --rounds {}", asked.what, asked.seed, asked.rounds);
    let amiss = match asked.what.as_str() {
        "power" => power(&asked),
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
