//! Who vouches for how much of a log, and whether it is the same log.

use sealpost_protocol::checkpoint::Checkpoint;
use sealpost_protocol::id::{DeviceId, Epoch, TreeSize, UnixMillis};

use crate::app::App;
use crate::attachments::carry::Which;
use crate::cosignatures::{self, Agrees, Dispute, Judged};
use crate::error::{Failure, Kind as Error};
use crate::hygiene::{self, Item};
use crate::lease::Lease;
use crate::log::Log;
use crate::names::{self, People};
use crate::relay;
use crate::sync::{self, Scope};
use crate::vault::committees::{Committee, CommitteeNo};

/// What a device vouches for.
#[derive(Debug)]
pub struct Vouch {
    /// The device.
    pub device: DeviceId,
    /// Its member's handle, or its REF.
    pub name: String,
    /// Up to which size; none when it never did.
    pub size: Option<TreeSize>,
    /// When, to the hour, as it says.
    pub at: Option<UnixMillis>,
    /// Whether that is the log this device verified.
    pub agrees: Agrees,
}

/// The state of one committee, as it is to be looked over.
#[derive(Debug)]
pub struct Audit {
    /// The committee.
    pub committee: Committee,
    /// The verified head.
    pub head: Checkpoint,
    /// Every active device.
    pub vouches: Vec<Vouch>,
    /// Locks this device cannot open.
    pub missing: Vec<Epoch>,
    /// Pieces of evidence kept.
    pub evidence: u64,
    /// From whom this device has heard lately.
    pub lease: Lease,
    /// What is disputed.
    pub disputes: Vec<Dispute>,
    /// What is to be seen to.
    pub board: Vec<Item>,
}

/// Fetches who vouches for what, and returns what is disputed. Follows the log first, so that whoever is
/// ahead then is ahead of what the relay shows.
pub async fn ask(app: &mut App, no: CommitteeNo) -> Result<Vec<Dispute>, Failure> {
    let _alone = relay::alone(app).await?;
    match sync::round(app, Scope::One(no), Which::None).await?.into_followed() {
        // What waits may wait for just this: that others are heard.
        Err(failure) if failure.kind != Error::NotDelivered => return Err(failure),
        _ => {}
    }
    let known = app.vault.read(|vault| vault.committee_no(no))?;
    let connection = relay::connect(app, &relay::address_of(&known.relay)?).await?;
    let fetched = cosignatures::fetch(app, &connection, &known).await;
    connection.close().await;
    let fetched = fetched.map_err(|error| error.told(app, &known))?;
    cosignatures::all_disputes(app, no, fetched)
}

/// Looks a committee over, from what the vault holds.
pub fn look(app: &App, no: CommitteeNo) -> Result<Audit, Failure> {
    app.vault.read(|vault| {
        let log = Log::load(vault, no)?;
        let fold = log.pulled()?;
        let people = People::load(vault, no)?;
        let judged = Judged::load(vault, &log)?;
        let vouch = |device| {
            let mark = judged.of(device);
            Vouch {
                device,
                name: people.name(&device),
                size: mark.map(|(mark, _)| mark.size),
                at: mark.map(|(mark, _)| mark.at),
                agrees: mark.map_or(Agrees::Silent, |(_, agrees)| agrees),
            }
        };
        let own = app.device.device_id();
        let opens = vault.epochs_held(no)?;
        let missing = (1..=fold.roster().epoch().0).map(Epoch);
        Ok(Audit {
            head: log.checkpoint().expect("it was pulled"),
            vouches: fold.roster().active_devices().map(vouch).collect(),
            missing: missing.filter(|epoch| !opens.contains(epoch)).collect(),
            evidence: vault.evidence_count(no)?,
            lease: Lease::of(fold, own, &judged.same, app.clock.now()),
            disputes: judged.disputes(&log, own),
            board: hygiene::board(vault, no, own, app.clock.now())?,
            committee: log.known,
        })
    })
}

/// A committee's REF, for messages.
pub fn reference(audit: &Audit) -> String {
    names::committee_ref(&audit.committee.id).to_string()
}
