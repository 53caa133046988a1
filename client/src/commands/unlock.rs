//! `sealpost unlock`

use std::time::Duration;

use sealpost_protocol::id::UnixMillis;
use serde::Serialize;

use crate::agent::{self, LIVES_MAX, State, Terms};
use crate::app::Session;
use crate::error::{Failure, Kind};
use crate::ui::time::{self, parse_duration};
use crate::vault::Vault;

/// Asks for the passphrase once, for a while: an agent then opens the vault for this user's
/// commands, until the time is over, `lockup` ends it, or nothing was asked of it for long.
///
/// Whoever gets at this user's account meanwhile reads all that the vault holds. Typed again it
/// asks for the passphrase again, and the time begins anew. A command with --passphrase-file or
/// --passphrase-fd does not ask the agent.
#[derive(Debug, clap::Args)]
pub struct Unlock {
    /// How long at most, the time the machine sleeps included: 30m, 8h, up to 7d.
    #[arg(long = "for", value_name = "TIME", default_value = "8h", value_parser = parse_duration)]
    lives: Duration,
    /// How long when no command asks for anything.
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = parse_duration)]
    idle: Duration,
}

/// Until when a vault is unlocked. In `--json` with these names.
#[derive(Debug, Serialize)]
pub(super) struct Unlocked {
    until: String,
    /// When nothing is asked for before.
    unused_until: String,
    memory_locked: bool,
}

impl Unlock {
    /// Unlocks.
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        if self.lives > LIVES_MAX {
            let what = "A vault is unlocked for 7d at most";
            return Err(Failure::new(Kind::Usage, what).next("sealpost unlock --for 7d"));
        }
        session.home.must_hold_a_vault()?;
        let identity = session.home.identity_hash()?;
        let passphrase = session.passphrase.read()?;
        // Not only read but opened: what does not open the vault is of no use to anybody.
        let (_, secrets) = Vault::open(session.home.clone(), &passphrase)?;
        let terms = Terms::new(self.lives, self.idle, identity);
        let state = agent::start(&session.home, &terms, &secrets)?;
        let unlocked = Unlocked::of(&state, session.clock.now());
        session.ui.result(&unlocked, &unlocked.words())?;
        if !state.memory_locked {
            session.ui.warn(
                "The system lets no memory be locked (ulimit -l): the keys may be written to swap.",
            );
        }
        Ok(())
    }
}

impl Unlocked {
    pub(super) fn of(state: &State, now: UnixMillis) -> Self {
        let at = |left: Duration| {
            let left = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            time::rfc3339(UnixMillis(now.0.saturating_add(left)))
        };
        Self {
            until: at(state.left()),
            unused_until: at(state.unused_left()),
            memory_locked: state.memory_locked,
        }
    }

    pub(super) fn words(&self) -> String {
        let Self { until, unused_until, .. } = self;
        format!("Unlocked until {until}, unused until {unused_until}: sealpost lockup ends it")
    }
}
