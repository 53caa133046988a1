//! `sealpost recovery claim`

use serde::Serialize;

use crate::app::{App, Session};
use crate::error::{Failure, Kind};
use crate::join::{self, Opening};
use crate::names;
use crate::pull::Brought;
use crate::recovery::{self, claim};
use crate::relay;
use crate::sync;
use crate::ui::input::{self, TextSource};
use crate::vault::Read;
use crate::vault::committees::{Committee, Standing};

/// All codes are at most so long.
const CODES_BYTES_MAX: usize = 64 * 1024;

/// Brings you back on a new device, after every other one was lost, with the shares of helpers.
///
/// A helper's code is typed at a prompt or read from stdin; several with spaces or line ends between them.
/// Without one, it looks whether more helpers have answered. When enough have, your older devices are
/// ended and the lock is changed in the same act: in the committees that the codes are of. In others ask
/// a coordinator: `member suspend`.
#[derive(Debug, clap::Args)]
pub struct Claim {
    /// How the committee calls you; without it, the handle given at init.
    #[arg(long, value_name = "NAME")]
    handle: Option<String>,
    /// Forget every claim and what helpers answered, to begin anew: when one of them sent what leads
    /// nowhere.
    #[arg(long, conflicts_with = "handle")]
    forget: bool,
}

/// What `recovery claim` prints with `--json`, one for each committee.
#[derive(Serialize)]
struct Claimed {
    #[serde(rename = "ref")]
    reference: String,
    device: String,
    /// To be read to every helper.
    safety_number: Option<String>,
    asked: usize,
    shares: usize,
    /// How many it takes; none before the first came.
    threshold: Option<u8>,
    /// `asked`, or `in`.
    state: &'static str,
}

/// What `recovery claim --forget` prints with `--json`.
#[derive(Serialize)]
struct Forgotten {
    forgotten: usize,
}

impl Claim {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut app = session.open()?;
        if self.forget {
            let claims = under_way(&app)?;
            claims.iter().try_for_each(|known| claim::forget(&mut app, known))?;
            let words = format!("{} claims forgotten", claims.len());
            return Ok(session.ui.result(&Forgotten { forgotten: claims.len() }, &words)?);
        }
        let source = if input::can_ask() { TextSource::Prompt } else { TextSource::Stdin };
        let codes =
            source.read("A helper's code, or nothing to look for answers", CODES_BYTES_MAX)?;
        let (rows, faults, failed) = relay::run(self.go_on(&mut app, &codes))?;
        faults.iter().for_each(|words| session.ui.warn(words));
        tell(session, &rows)?;
        failed.map_or(Ok(()), Err)
    }

    /// The sync lock is held throughout: a sync that runs would keep what it knew of a claim.
    async fn go_on(
        &self,
        app: &mut App,
        codes: &str,
    ) -> Result<(Vec<Claimed>, Vec<String>, Option<Failure>), Failure> {
        let _alone = relay::alone(app).await?;
        let mut failed = self.save(app, codes)?;
        let claims = under_way(app)?;
        if claims.is_empty() {
            return Err(failed.unwrap_or_else(nothing));
        }
        let (mut rows, mut faults) = (Vec::new(), Vec::new());
        for known in &claims {
            let mut brought = Brought::default();
            let gone_on = ask(app, known, &mut brought).await;
            faults.extend(brought.faults.into_iter().chain(brought.refused));
            failed = failed.or(gone_on.err());
            rows.extend(Claimed::of(app, known)?);
        }
        Ok((rows, faults, failed))
    }

    /// One code that cannot be used keeps no other from being.
    fn save(&self, app: &mut App, codes: &str) -> Result<Option<Failure>, Failure> {
        let own = app.vault.read(Read::own)?;
        let country = own.country.parse().map_err(|_| join::damaged())?;
        let handle = self.handle.as_ref().unwrap_or(&own.handle);
        let mut failed = None;
        for code in codes.split_whitespace() {
            failed = failed.or(claim::save(app, code, handle, country).err());
        }
        if let Some(handle) = &self.handle {
            under_way(app)?.iter().try_for_each(|known| claim::rename(app, known, handle))?;
        }
        Ok(failed)
    }
}

fn under_way(app: &App) -> Result<Vec<Committee>, Failure> {
    let all = app.vault.read(Read::committees)?;
    let mut found = Vec::new();
    for known in all {
        if matches!(Opening::of(&known)?, Some(Opening::Claim(claim)) if claim.is_under_way()) {
            found.push(known);
        }
    }
    Ok(found)
}

async fn ask(app: &mut App, known: &Committee, brought: &mut Brought) -> Result<(), Failure> {
    let connection = relay::connect(app, &relay::address_of(&known.relay)?).await?;
    let opened = sync::open(app, &connection, known, brought).await;
    connection.close().await;
    opened.map_err(|error| error.told(app, known))
}

impl Claimed {
    /// Nothing is left of it when no helper's code was honoured.
    fn of(app: &App, known: &Committee) -> Result<Option<Self>, Failure> {
        let Some(known) = app.vault.read(|vault| vault.committee(&known.id))? else {
            return Ok(None);
        };
        let claim = match Opening::of(&known)? {
            Some(Opening::Claim(claim)) => Some(claim),
            _ => None,
        };
        let progress = claim.as_ref().map(|claim| claim.progress(&app.device)).transpose()?;
        Ok(Some(Self {
            reference: names::committee_ref(&known.id).to_string(),
            device: app.device_ref().to_string(),
            safety_number: claim.map(|claim| claim.safety_number),
            asked: progress.map_or(0, |progress| progress.asked),
            shares: progress.map_or(0, |progress| progress.shares),
            threshold: progress.and_then(|progress| progress.threshold),
            state: if known.standing == Standing::Active { "in" } else { "asked" },
        }))
    }

    fn words(&self) -> String {
        let Some(number) = &self.safety_number else {
            return format!("{}  you are back in; your older devices are ended", self.reference);
        };
        let needed = self.threshold.map_or_else(String::new, |needed| format!(" of {needed}"));
        format!(
            "{}  {} helpers asked, {}{needed} shares here\nSafety number   {number}",
            self.reference, self.asked, self.shares
        )
    }
}

fn tell(session: &mut Session, rows: &[Claimed]) -> Result<(), Failure> {
    let words: Vec<String> = rows.iter().map(Claimed::words).collect();
    session.ui.result(&rows, &words.join("\n"))?;
    if rows.iter().any(|row| row.state == "in") {
        session.ui.talk(&format!("Make a new way back in: {}", recovery::SET));
    } else if !rows.is_empty() {
        session
            .ui
            .talk("Call each helper, and read them the safety number. When they have helped:");
        session.ui.talk("sealpost recovery claim");
    }
    Ok(())
}

fn nothing() -> Failure {
    Failure::new(Kind::NotFound, "No claim is under way on this device")
        .next("Ask a helper for a code: they type sealpost recovery help HANDLE")
}
