//! How hard the passphrase is to guess for somebody who took the disk: measured on this machine.

use std::num::NonZero;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::Failure;
use crate::vault::{Home, Vault};

/// Faces of a die to the fifth: how many words a diceware list has.
const DICEWARE_WORDS: f64 = 7_776.0;
/// How many words are told about.
const WORDS: [u32; 3] = [4, 5, 6];
/// How many machines guess: a rich neighbour's, a state's.
const MACHINES: [u64; 2] = [1_000, 1_000_000];
/// How many guesses are timed.
const GUESSES: usize = 3;
const YEAR_SECONDS: f64 = 365.25 * 24.0 * 60.0 * 60.0;
/// scrypt's block size in age's files, in units of 128 bytes.
const SCRYPT_R: u64 = 8;

/// What a guess costs here. In `--json` with these names.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hardness {
    /// scrypt's log2 N in `identity.age`.
    pub work_factor: u8,
    /// Memory that each guess takes while it is made.
    pub memory_bytes: u64,
    /// How long the quickest took on one core.
    pub guess_seconds: f64,
    /// The cores of this machine.
    pub cores: usize,
    /// What all of them make at most: in truth memory is too slow for so many at once.
    pub guesses_a_second: f64,
    /// How long passphrases hold.
    pub holds: Vec<Holds>,
}

/// How long so many words, drawn by dice, hold on average.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Holds {
    /// How many words.
    pub words: u32,
    /// The bits of chance in them.
    pub bits: f64,
    /// How many machines like this one guess, all cores of each.
    pub machines: u64,
    /// Until half of all are tried.
    pub years: f64,
}

impl Hardness {
    /// Makes some guesses at the passphrase of the vault in `home` and takes the time of the quickest:
    /// what else runs here holds up no attacker.
    pub fn measure(home: &Home) -> Result<Self, Failure> {
        let (mut work_factor, mut quickest) = (0, Duration::MAX);
        for _ in 0..GUESSES {
            let begun = Instant::now();
            work_factor = Vault::guess(home)?;
            quickest = quickest.min(begun.elapsed());
        }
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Self::of(work_factor, quickest, cores))
    }

    /// What follows from one guess having taken so long.
    pub fn of(work_factor: u8, guess: Duration, cores: usize) -> Self {
        let guess_seconds = guess.as_secs_f64().max(f64::EPSILON);
        #[expect(clippy::cast_precision_loss, reason = "cores are few")]
        let guesses_a_second = cores as f64 / guess_seconds;
        let holds = WORDS.into_iter().flat_map(|words| {
            MACHINES.into_iter().map(move |machines| Holds::of(words, machines, guesses_a_second))
        });
        Self {
            work_factor,
            memory_bytes: (128 * SCRYPT_R) << work_factor,
            guess_seconds,
            cores,
            guesses_a_second,
            holds: holds.collect(),
        }
    }

    /// For people.
    pub fn words(&self) -> String {
        let memory = self.memory_bytes >> 20;
        let memory = if memory == 0 { "less than 1".to_owned() } else { memory.to_string() };
        let mut lines = vec![
            format!(
                "A guess at this passphrase takes {:.3} s of one core and {memory} MiB of memory here \
                 (scrypt, work factor {}).",
                self.guess_seconds, self.work_factor
            ),
            format!(
                "Cores: {}, at most {:.1} guesses a second together. When this machine is busy it measures too slow; \
                 graphics cards and chips made for it may be faster, though memory holds them back too.",
                self.cores, self.guesses_a_second
            ),
            "Words drawn by dice from a list of 7,776 hold, on average, against machines like this one:"
                .to_owned(),
        ];
        for words in WORDS {
            let of_it = self.holds.iter().filter(|holds| holds.words == words);
            let each = of_it
                .map(|holds| format!("{} against {}", span(holds.years), grouped(holds.machines)));
            lines.push(format!("  {words} words  {}", each.collect::<Vec<_>>().join(", ")));
        }
        lines.push(
            "A sentence you thought of, or words you chose, hold for far less. To change it: \
             sealpost passphrase"
                .to_owned(),
        );
        lines.join("\n")
    }
}

impl Holds {
    #[expect(clippy::cast_precision_loss, reason = "a round number of machines")]
    fn of(words: u32, machines: u64, guesses_a_second: f64) -> Self {
        let bits = f64::from(words) * DICEWARE_WORDS.log2();
        let seconds = (bits - 1.0).exp2() / (guesses_a_second * machines as f64);
        Self { words, bits, machines, years: seconds / YEAR_SECONDS }
    }
}

/// A span of time to one or two digits: more would pretend to be known.
fn span(years: f64) -> String {
    let days = years * YEAR_SECONDS / (24.0 * 60.0 * 60.0);
    match years {
        _ if days < 1.0 => "less than a day".to_owned(),
        _ if days < 730.0 => format!("{} days", rounded(days)),
        years if years < 1e9 => format!("{} years", rounded(years)),
        _ => "more than a billion years".to_owned(),
    }
}

/// Two digits and zeros.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 1e9")]
fn rounded(value: f64) -> String {
    let unit = 10_f64.powf(value.log10().floor() - 1.0).max(1.0);
    grouped(((value / unit).floor() * unit) as u64)
}

/// A number with commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
