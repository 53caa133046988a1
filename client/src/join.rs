//! Coming into a committee: by founding it, or by an invitation.
//!
//! Both are kept in the vault before a relay hears of them, so that a kill or a lost answer leads
//! to the same bytes being sent again, never to a second founding or a second use of an invitation.

use data_encoding::HEXLOWER;
use sealpost_protocol::address::RelayAddress;
use sealpost_protocol::change::{self, Change, Policy};
use sealpost_protocol::code::Code;
use sealpost_protocol::codec;
use sealpost_protocol::entry::{Entry, Header, Kind, RosterHead, Seen, VERSION};
use sealpost_protocol::frame::{FoundRequest, PermitCode, PushResult, Reply, Request};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{
    AuthorSeq, CommitteeId, Country, Epoch, LeafIndex, MemberNumber, Term, TreeSize, UnixMillis,
};
use sealpost_protocol::identity::DeviceIdentity;
use sealpost_protocol::invitation::{Invitation, JoinRequest, SealedJoinRequest};
use sealpost_protocol::seal::{self, EpochKeys, EpochSecret, Label, LabelMember, seal_grant};
use sealpost_protocol::{permit, tree};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::error::{Failure, Kind as Error};
use crate::lie::{FollowError, Lie};
use crate::log::Log;
use crate::names;
use crate::random;
use crate::recovery::claim::ClaimOpening;
use crate::relay::{self, AskError};
use crate::transport::Connection;
use crate::vault::VaultError;
use crate::vault::ahead::Ahead;
use crate::vault::committees::{Committee, CommitteeNo, NewCommittee, Standing};

/// What a founding or joining still needs. In the vault as JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum Opening {
    /// The relay's leave, and the founding entry.
    Found(FoundOpening),
    /// The invitation, and the request made with it.
    Join(JoinOpening),
    /// What is asked of helpers, by whoever comes back on a new device.
    Claim(ClaimOpening),
}

/// See [`Opening::Found`].
#[derive(Serialize, Deserialize)]
pub struct FoundOpening {
    permit: String,
    /// The signed founding entry, in hex.
    entry: String,
}

/// See [`Opening::Join`].
#[derive(Serialize, Deserialize)]
pub struct JoinOpening {
    invitation: String,
    /// The sealed request, in hex.
    request: String,
    /// What both sides compare by voice.
    pub safety_number: String,
    /// The handle asked for.
    pub handle: String,
    /// Whether the relay has confirmed that it holds the request.
    pub asked: bool,
    /// An earlier request that still counts should the relay not take this one.
    earlier: Option<Box<JoinOpening>>,
}

impl Opening {
    /// What the vault holds of a committee that is not open yet.
    pub fn of(known: &Committee) -> Result<Option<Self>, Failure> {
        let Some(json) = &known.opening else { return Ok(None) };
        Ok(Some(serde_json::from_str(json.expose_secret()).map_err(|_| damaged())?))
    }

    pub(crate) fn to_json(&self) -> SecretString {
        serde_json::to_string(self).expect("plain strings").into()
    }

    /// What whoever invited this device had verified: the log must come to it.
    pub fn heads(&self) -> Result<Vec<(TreeSize, Hash)>, Failure> {
        match self {
            Self::Found(_) => Ok(Vec::new()),
            Self::Join(joining) => Ok(vec![joining.invitation()?.head]),
            Self::Claim(claim) => claim.heads(),
        }
    }
}

impl FoundOpening {
    /// The signed founding entry.
    pub(crate) fn entry_bytes(&self) -> Result<Vec<u8>, Failure> {
        HEXLOWER.decode(self.entry.as_bytes()).map_err(|_| damaged())
    }
}

impl JoinOpening {
    fn invitation(&self) -> Result<Invitation, Failure> {
        Invitation::from_text(&self.invitation).map_err(|_| damaged())
    }
}

pub(crate) fn damaged() -> Failure {
    VaultError::Damaged("what a committee is to be opened with does not read".to_owned()).into()
}

/// A committee to be founded.
pub struct Founding<'a> {
    /// Where.
    pub address: &'a RelayAddress,
    /// The relay's leave.
    pub permit: &'a str,
    /// Where the relay stands.
    pub relay_country: Country,
    /// What the committee is called.
    pub name: String,
}

/// Signs a founding entry and saves it. Nothing is known of it outside yet.
pub fn save_founding(app: &mut App, founding: &Founding<'_>) -> Result<Committee, Failure> {
    permit::code_from_text(founding.permit).map_err(|error| {
        Failure::new(Error::Usage, error.to_string()).next("Copy the code as the relay printed it.")
    })?;
    let own = app.vault.read(crate::vault::Read::own)?;
    let country = own.country.parse().map_err(|_| damaged())?;
    let founder = LabelMember { handle: own.handle, country };
    let label = Label { name: founding.name.clone(), members: [(MemberNumber(1), founder)].into() };
    let now = app.clock.now();
    let entry = founding_entry(&app.device, founding, &label, now)?;
    let opening = Opening::Found(FoundOpening {
        permit: founding.permit.to_owned(),
        entry: HEXLOWER.encode(&entry.encode()),
    });
    let new = NewCommittee {
        id: CommitteeId(entry.leaf()),
        relay: founding.address.to_string(),
        standing: Standing::Founding,
        opening: Some(opening.to_json()),
        made: now,
    };
    app.vault.write(|vault| {
        let no = vault.add_committee(&new)?;
        // So that its name is shown before the relay has heard of it.
        vault.set_label(no, &codec::encode(&label))?;
        Ok(vault.committee_no(no)?)
    })
}

fn founding_entry(
    device: &DeviceIdentity,
    founding: &Founding<'_>,
    label: &Label,
    now: UnixMillis,
) -> Result<Entry, Failure> {
    let keys = EpochKeys::new(EpochSecret::generate(&*random::secret()?));
    let own = device.device_id();
    let grant = seal_grant(keys.secret(), &device.hybrid().recipient());
    let lock = change::Lock {
        recipient: keys.recipient().to_bytes(),
        grants: vec![change::Grant { device: own, file: grant.into() }],
        link: None,
        label: keys.seal_label(label)?.into(),
    };
    let home = change::Relay { address: founding.address.clone(), country: founding.relay_country };
    let policy = Policy::default();
    let found = change::Found { founder: device.card(), home, policy, lock };
    let header = Header {
        version: VERSION,
        committee: CommitteeId::NONE,
        term: Term(1),
        kind: Kind::Roster,
        author: own,
        author_seq: AuthorSeq(0),
        author_prev: Hash::ZERO,
        seen: Seen { size: TreeSize(0), root: tree::empty_root() },
        roster_head: RosterHead::NONE,
        epoch: Epoch(0),
        made_at: now,
        payload_len: 0,
        payload_sha256: Hash::ZERO,
        content: Hash::ZERO,
        blobs: Vec::new(),
    };
    let payload = codec::encode(&Change::Found(Box::new(found)));
    Ok(Entry::sign(header, payload, device.signing_key()))
}

/// Sends the founding entry. When the relay does not give leave, the founding is taken back.
pub async fn found(
    app: &mut App,
    connection: &Connection,
    known: &Committee,
    opening: &FoundOpening,
) -> Result<(), FollowError> {
    let permit: PermitCode = permit::code_from_text(&opening.permit).map_err(|_| damaged())?;
    let request = Request::Found(FoundRequest { permit, entry: opening.entry_bytes()?.into() });
    let pushed = match relay::ask(connection, &request).await {
        Ok(Reply::Pushed(pushed)) => pushed,
        Ok(_) => return Err(relay::unexpected().into()),
        Err(AskError::Refused(code)) if is_final(code) => {
            app.vault.write(|vault| vault.remove_unopened(known.no))?;
            return Err(no_leave(code).into());
        }
        Err(error) => return Err(error.into()),
    };
    let log = app.vault.read(|vault| Log::load(vault, known.no))?;
    let note = log.verify_note(&pushed.checkpoint)?;
    let [PushResult::Accepted(accepted)] = pushed.results.as_slice() else {
        return Err(Lie::Results { sent: 1, got: pushed.results.len() }.into());
    };
    let tree = note.checkpoint();
    tree::verify_inclusion(&known.id.0, LeafIndex(0), tree.size, &accepted.proof, &tree.root)
        .map_err(Lie::Receipt)?;
    let ahead = Ahead { size: tree.size, note: note.text().to_owned() };
    app.vault.write(|vault| vault.put_ahead(known.no, &ahead))?;
    Ok(())
}

/// Whether asking again with the same bytes can only bring the same answer.
pub(crate) fn is_final(code: Code) -> bool {
    !matches!(code, Code::TooMany | Code::Busy | Code::Full | Code::Stopped)
}

fn no_leave(code: Code) -> Failure {
    let what = match code {
        Code::NotFound => "The relay knows no such permit, or it was revoked".to_owned(),
        Code::AlreadyFounded => "The permit was used for another committee".to_owned(),
        Code::OtherLog => "The relay at that address has another key".to_owned(),
        code => format!("The relay refused to found the committee: {}", relay::told(code)),
    };
    let kind = match code {
        Code::NotFound => Error::NotFound,
        Code::AlreadyFounded => Error::NotAllowed,
        Code::OtherLog => Error::Verification,
        _ => Error::Failed,
    };
    Failure::new(kind, what)
        .safe("Nothing was founded.")
        .next("Ask the relay's operator for a permit.")
}

/// Who asks to join, and as what.
pub struct Joining<'a> {
    /// The invitation as text.
    pub invitation: &'a str,
    /// The handle to be known by.
    pub handle: String,
    /// Where this device says to be.
    pub country: Country,
}

/// Seals a join request and saves it. Asking again in the same words sends the same request; in
/// other words, or by another invitation, it is a request of its own, and the earlier one counts
/// until the relay has taken it.
pub fn save_joining(app: &mut App, joining: &Joining<'_>) -> Result<Committee, Failure> {
    let invitation = Invitation::from_text(joining.invitation)?;
    let known = app.vault.read(|vault| vault.committee(&invitation.committee))?;
    let earlier = match &known {
        Some(known) => earlier_request(known)?,
        None => None,
    };
    let text = invitation.to_text();
    let same = |earlier: &JoinOpening| {
        earlier.invitation == text.as_str() && earlier.handle == joining.handle
    };
    if let (Some(known), true) = (&known, earlier.as_ref().is_some_and(same)) {
        return Ok(known.clone());
    }
    let card = app.device.card();
    let random = random::bytes()?;
    let handle = joining.handle.clone();
    let request = JoinRequest::new(card.as_bytes().to_vec(), random, handle, joining.country)?;
    let sealed = seal::seal_join_request(invitation.id, &invitation.secret, &request)?;
    let opening = Opening::Join(JoinOpening {
        invitation: text.as_str().to_owned(),
        request: HEXLOWER.encode(&codec::encode(&sealed)),
        safety_number: seal::safety_number(invitation.committee, &request),
        handle: joining.handle.clone(),
        asked: false,
        earlier: earlier.map(Box::new),
    });
    let relay = invitation.address.to_string();
    let made = app.clock.now();
    app.vault.write(|vault| {
        let no = match known {
            Some(known) => {
                // What may be here of its log already stays, and the evidence too.
                vault.set_relay(known.no, &relay)?;
                vault.set_opening(known.no, &opening.to_json())?;
                // What a rebuilt spare signed and could not send.
                vault.unsent(known.no)?.iter().try_for_each(|it| vault.remove_draft(it.no))?;
                known.no
            }
            None => vault.add_committee(&NewCommittee {
                id: invitation.committee,
                relay,
                standing: Standing::Joining,
                opening: Some(opening.to_json()),
                made,
            })?,
        };
        Ok(vault.committee_no(no)?)
    })
}

/// The request made before, or an error when this device is in already.
fn earlier_request(known: &Committee) -> Result<Option<JoinOpening>, Failure> {
    match Opening::of(known)? {
        Some(Opening::Join(earlier)) => return Ok(Some(earlier)),
        // Who could not come back as they were comes in as somebody new.
        Some(Opening::Claim(_)) => return Ok(None),
        _ => {}
    }
    let reference = names::committee_ref(&known.id);
    Err(Failure::new(Error::Failed, format!("This device is in {reference} already"))
        .next("sealpost committee list"))
}

/// Hands in the join request, unless the relay has confirmed it already.
pub async fn ask(
    app: &mut App,
    connection: &Connection,
    no: CommitteeNo,
    mut opening: JoinOpening,
) -> Result<(), Failure> {
    if opening.asked {
        return Ok(());
    }
    let bytes = HEXLOWER.decode(opening.request.as_bytes()).map_err(|_| damaged())?;
    let request: SealedJoinRequest = codec::decode(&bytes, bytes.len()).map_err(|_| damaged())?;
    match relay::ask(connection, &Request::Join(request)).await {
        Ok(_) => {}
        Err(AskError::Refused(code)) if is_final(code) => {
            take_back(app, no, opening.earlier)?;
            return Err(dead(code));
        }
        Err(error) => return Err(error.into()),
    }
    opening.asked = true;
    opening.earlier = None;
    let json = Opening::Join(opening).to_json();
    Ok(app.vault.write(|vault| vault.set_opening(no, &json))?)
}

/// Goes back to the request made before, and to the relay that it was handed in at.
fn take_back(
    app: &mut App,
    no: CommitteeNo,
    earlier: Option<Box<JoinOpening>>,
) -> Result<(), Failure> {
    app.vault.write(|vault| {
        let Some(earlier) = earlier else {
            if vault.committee_no(no)?.size.0 == 0 {
                return Ok(vault.remove_unopened(no)?);
            }
            // It came after a claim, which had followed the log.
            let none = Opening::Claim(ClaimOpening::default()).to_json();
            return Ok(vault.set_opening(no, &none)?);
        };
        vault.set_relay(no, &earlier.invitation()?.address.to_string())?;
        Ok(vault.set_opening(no, &Opening::Join(*earlier).to_json())?)
    })
}

pub(crate) fn dead(code: Code) -> Failure {
    let (kind, what) = match code {
        Code::NotFound => (
            Error::NotFound,
            "The invitation is not honoured: it was used, cancelled, expired, or never was"
                .to_owned(),
        ),
        code => (Error::Failed, format!("The relay refused the request: {}", relay::told(code))),
    };
    Failure::new(kind, what)
        .safe("Nothing of you was kept at the relay.")
        .next("Ask for a new invitation.")
}

#[cfg(test)]
mod tests;
