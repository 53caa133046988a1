//! Who vouches for how much of a log, and whether it is the same log.

use sealpost_protocol::checkpoint::{Checkpoint, Cosigner, UnverifiedCosignature};
use sealpost_protocol::frame::{CommitteeRequest, CosignatureOf, Reply, Request};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{DeviceId, Epoch, TreeSize, UnixMillis};

use crate::app::App;
use crate::attachments::carry::Which;
use crate::error::{Failure, Kind as Error};
use crate::hygiene::{self, Item};
use crate::lie::FollowError;
use crate::log::Log;
use crate::names::{self, People};
use crate::relay;
use crate::sync::{self, Scope};
use crate::transport::Connection;
use crate::vault::committees::{Committee, CommitteeNo};
use crate::vault::evidence::{Cosigned, Exhibit};
use crate::vault::{Read, VaultError};

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

/// How what somebody vouches for stands to what this device verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agrees {
    /// It is the same log, up to there.
    Same,
    /// It is more than this device was shown.
    Ahead,
    /// It is another log.
    Contradicts,
    /// It vouches for nothing.
    Silent,
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
    /// What is to be seen to.
    pub board: Vec<Item>,
}

/// Fetches and verifies who vouches for which size. Returns the devices that vouch for another log
/// than this device's; that they do is kept.
pub async fn fetch(
    app: &mut App,
    connection: &Connection,
    known: &Committee,
) -> Result<Vec<DeviceId>, FollowError> {
    let request = Request::Cosignatures(CommitteeRequest { committee: known.id });
    let Reply::Cosignatures(all) = relay::ask(connection, &request).await? else {
        return Err(relay::unexpected().into());
    };
    Ok(keep(app, known.no, &all)?)
}

/// Fetches who vouches for what, and returns whose cosignatures contradict the log. Follows the log first,
/// so that whoever is ahead then is ahead of what the relay shows.
pub async fn ask(app: &mut App, no: CommitteeNo) -> Result<Vec<DeviceId>, Failure> {
    let _alone = relay::alone(app).await?;
    sync::round(app, Scope::One(no), Which::None).await?.into_followed()?;
    let known = app.vault.read(|vault| vault.committee_no(no))?;
    let connection = relay::connect(app, &relay::address_of(&known.relay)?).await?;
    let fetched = fetch(app, &connection, &known).await;
    connection.close().await;
    fetched.map_err(|error| error.told(app, &known))
}

fn keep(app: &mut App, no: CommitteeNo, all: &[CosignatureOf]) -> Result<Vec<DeviceId>, Failure> {
    let log = app.vault.read(|vault| Log::load(vault, no))?;
    let now = app.clock.now();
    app.vault.write(|vault| {
        let mut contradicting = Vec::new();
        for (device, mark) in all.iter().filter_map(|one| verify(&log, one)) {
            if agrees(vault, &log, &mark)? == Agrees::Contradicts {
                let text = format!("{}\n{}\n{}\n{}", log.origin(), mark.size, mark.root, mark.line);
                vault.keep_evidence(no, Exhibit::Disputed, text.as_bytes(), now)?;
                contradicting.push(device);
            }
            vault.put_cosignature(no, &mark)?;
        }
        Ok(contradicting)
    })
}

/// A cosignature under the device's own key; what does not verify is nobody's word.
fn verify(log: &Log, given: &CosignatureOf) -> Option<(DeviceId, Cosigned)> {
    let key = *log.fold()?.roster().signing_key(given.device)?;
    let checkpoint = Checkpoint { origin: log.origin(), size: given.size, root: given.root };
    let unverified = UnverifiedCosignature::parse(given.cosignature.as_bytes()).ok()?;
    if *unverified.claimed_cosigner() != Cosigner::Device(given.device) {
        return None;
    }
    let verified = unverified.verify(&checkpoint, &key).ok()?;
    let mark = Cosigned {
        signer: verified.cosigner().to_string(),
        size: given.size,
        root: given.root,
        at: verified.time(),
        line: verified.text().to_owned(),
    };
    Some((given.device, mark))
}

fn agrees(vault: &Read<'_>, log: &Log, mark: &Cosigned) -> Result<Agrees, VaultError> {
    if mark.size > log.size() {
        return Ok(Agrees::Ahead);
    }
    let ours: Hash = log.root_at(vault, mark.size)?;
    Ok(if ours == mark.root { Agrees::Same } else { Agrees::Contradicts })
}

/// Looks a committee over, from what the vault holds.
pub fn look(app: &App, no: CommitteeNo) -> Result<Audit, Failure> {
    app.vault.read(|vault| {
        let log = Log::load(vault, no)?;
        let fold = log.pulled()?;
        let people = People::load(vault, no)?;
        let marks = vault.cosignatures(no)?;
        let mut vouches = Vec::new();
        for device in fold.roster().active_devices() {
            let signer = Cosigner::Device(device).to_string();
            let mark = marks.iter().find(|mark| mark.signer == signer);
            vouches.push(Vouch {
                device,
                name: people.name(&device),
                size: mark.map(|mark| mark.size),
                at: mark.map(|mark| mark.at),
                agrees: mark.map_or(Ok(Agrees::Silent), |mark| agrees(vault, &log, mark))?,
            });
        }
        let held = vault.epochs_held(no)?;
        let missing = (1..=fold.roster().epoch().0).map(Epoch);
        Ok(Audit {
            head: log.checkpoint().expect("it was pulled"),
            vouches,
            missing: missing.filter(|epoch| !held.contains(epoch)).collect(),
            evidence: vault.evidence_count(no)?,
            board: hygiene::board(vault, no, app.device.device_id(), app.clock.now())?,
            committee: log.known,
        })
    })
}

impl Agrees {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Ahead => "ahead",
            Self::Contradicts => "contradicts",
            Self::Silent => "silent",
        }
    }
}

/// A device vouches for another log than this device's.
pub fn contradiction(device: &DeviceId) -> Failure {
    let device = names::device_ref(device);
    let what = format!("{device} vouches for another log than the one shown here");
    Failure::new(Error::Verification, what)
        .safe("What contradicts is kept as evidence.")
        .next("Compare head codes by phone, and tell your colleagues.")
}

/// A committee's REF, for messages.
pub fn reference(audit: &Audit) -> String {
    names::committee_ref(&audit.committee.id).to_string()
}

#[cfg(test)]
mod tests;
