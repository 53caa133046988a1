//! `sealpost recovery drill`

use serde::Serialize;

use crate::app::Session;
use crate::error::{Failure, Kind};
use crate::log::Log;
use crate::members;
use crate::names::{self, People};
use crate::recovery::SET;
use crate::ui::{digits, input};

/// Holds the code that a helper reads out against yours: the same, and their share opens.
#[derive(Debug, clap::Args)]
pub struct Drill {
    /// The helper, by handle or by the REF of a device.
    #[arg(value_name = "HELPER")]
    helper: String,
    /// The code as the helper read it out, in Latin, Arabic or Persian digits; without it, it is asked for.
    #[arg(long, value_name = "DIGITS")]
    code: Option<String>,
    /// The committee; may be left out when there is only one.
    #[arg(long, value_name = "REF")]
    committee: Option<String>,
}

/// What `recovery drill` prints with `--json`.
#[derive(Serialize)]
struct Passed {
    helper: String,
    passed: bool,
}

impl Drill {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut app = session.open()?;
        let this = app.device.device_id();
        let (no, spare, drill, handle) = app.vault.read(|vault| {
            let known = names::committee(vault, self.committee.as_deref())?;
            let helper = members::named(vault, known.no, std::slice::from_ref(&self.helper))?[0];
            let log = Log::load(vault, known.no)?;
            let roster = log.pulled()?.roster();
            let own = roster.device(this).map(|device| device.member);
            let spare = own.and_then(|own| roster.spare_of(own)).ok_or_else(no_spare)?;
            let drills = vault.drills(known.no, spare.device)?;
            let is_theirs = |id| roster.device(id).is_some_and(|device| device.member == helper);
            let drill = drills.into_iter().find(|drill| is_theirs(drill.helper));
            let handle = People::load(vault, known.no)?.member(helper);
            let drill = drill.ok_or_else(|| no_drill(&handle))?;
            Ok::<_, Failure>((known.no, spare.device, drill, handle))
        })?;
        let code = match self.code {
            Some(code) => code,
            None => input::ask("The code, as the helper reads it out")?,
        };
        let typed = digits::only(&code).ok_or_else(|| {
            Failure::new(Kind::Usage, "A code is twenty digits").next("Type it as read out.")
        })?;
        if digits::only(&drill.code).as_deref() != Some(typed.as_str()) {
            return Err(Failure::new(
                Kind::Verification,
                format!("That is not the code of {handle}"),
            )
            .safe("Your way back in is as it was.")
            .next(format!("Hear it again. If it still differs, their share is of no use: {SET}")));
        }
        let now = app.clock.now();
        app.vault.write(|vault| vault.pass_drill(no, spare, drill.helper, now))?;
        let words = format!("The share of {handle} opens.");
        Ok(session.ui.result(&Passed { helper: handle, passed: true }, &words)?)
    }
}

fn no_spare() -> Failure {
    Failure::new(Kind::NotFound, "You have no way back in").next(SET)
}

fn no_drill(handle: &str) -> Failure {
    let what = format!("{handle} has no share, or another device of yours keeps the codes");
    Failure::new(Kind::NotFound, what).next("sealpost recovery show")
}
