//! What waits for a second person, and for whom.

use std::collections::{BTreeMap, BTreeSet};

use sealpost_protocol::change::{Change, SetRole, Target};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{DeviceId, MemberNumber, UnixMillis};
use sealpost_protocol::limits::PROPOSAL_DAYS_MAX;
use sealpost_protocol::reference::Ref;
use sealpost_protocol::roster::{Admission, Proposal, Proposed, Roster, Standing, Suspension};
use serde::Serialize;

use crate::changes::RoleName;
use crate::error::{Failure, Kind as Error};
use crate::keys;
use crate::log::Log;
use crate::names::{self, People, Wanted};
use crate::recovery;
use crate::ui::time;
use crate::vault::Read;
use crate::vault::committees::{Committee, CommitteeNo, Standing as Known};

/// A change, or the suspension of a coordinator, that waits for others. In `--json` with these names.
#[derive(Debug, Serialize)]
pub struct Waiting {
    /// Its REF.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The committee's REF.
    pub committee: String,
    /// What it would do, in words.
    pub what: String,
    /// Who proposed it.
    pub by: String,
    /// Who is for it.
    pub approved: Vec<String>,
    /// How many more are needed.
    pub missing: usize,
    /// Who may still approve it.
    pub waits_for: Vec<String>,
    /// Until when it can be approved; none: for as long as it is undecided.
    pub until: Option<String>,
    /// Whether that is over: it can only be proposed anew.
    pub expired: bool,
    /// What this device's member may type; none when it waits for others.
    pub next: Option<String>,
    #[serde(skip)]
    leaf: Hash,
}

/// What waits in committee `no`. `own` is this device.
pub fn waiting(
    vault: &Read<'_>,
    no: CommitteeNo,
    own: DeviceId,
    now: UnixMillis,
) -> Result<Vec<Waiting>, Failure> {
    let log = Log::load(vault, no)?;
    let Some(fold) = log.fold() else { return Ok(Vec::new()) };
    let people = People::load(vault, no)?;
    let roster = fold.roster();
    let member = roster.device(own).map(|device| device.member);
    let mut by_spares = BTreeSet::new();
    for (leaf, proposal) in roster.proposals() {
        if let Proposed::Device(_) = proposal.change {
            let author = keys::entry_at(vault, no, proposal.at)?.header().author;
            if recovery::was_shared(vault, no, author)? {
                by_spares.insert(leaf);
            }
        }
    }
    let mut records = BTreeMap::new();
    for (leaf, proposal) in roster.proposals() {
        if let Proposed::Forget(forgetting) = proposal.change
            && let Some(record) = vault.record_at(no, forgetting.index)?
        {
            records.insert(leaf, record.reference);
        }
    }
    let (known, people) = (&log.known, &people);
    let shown = Shown { known, roster, people, by_spares, records, own: member, now };
    let suspensions = roster.undecided().map(|(leaf, one)| shown.suspension(leaf, one));
    let proposals = roster.proposals().map(|(leaf, one)| shown.proposal(leaf, one));
    Ok(suspensions.chain(proposals).collect())
}

/// What waits under the REF or full id `typed`, in whichever committee.
pub fn named(
    vault: &Read<'_>,
    own: DeviceId,
    now: UnixMillis,
    typed: &str,
) -> Result<(CommitteeNo, Hash, Waiting), Failure> {
    let wanted = Wanted::parse(typed, "RC")?;
    let mut all = Vec::new();
    for known in vault.committees()?.iter().filter(|known| known.standing == Known::Active) {
        all.extend(waiting(vault, known.no, own, now)?.into_iter().map(|one| (known.no, one)));
    }
    let full = |(_, one): &(CommitteeNo, Waiting)| one.leaf.to_string();
    let found = wanted.one_of(all, full, |(_, one)| names::change_ref(&one.leaf));
    let (no, one) = found.map_err(|failure| match failure.kind {
        Error::NotFound => Failure::new(Error::NotFound, format!("Nothing waits under {wanted}"))
            .next("sealpost sync, then sealpost status: it may be decided, or void"),
        _ => failure,
    })?;
    Ok((no, one.leaf, one))
}

/// When a proposal can be approved no longer.
fn until(proposal: &Proposal) -> UnixMillis {
    let age = PROPOSAL_DAYS_MAX * 24 * 60 * 60 * 1_000;
    UnixMillis(proposal.made_at.0.saturating_add(age))
}

/// Under which entry the admission of a further device waits, if it does and can still be approved.
pub fn of_device(roster: &Roster, device: DeviceId, now: UnixMillis) -> Option<Hash> {
    let is_it =
        |change: &Proposed| matches!(change, Proposed::Device(new) if new.card.device() == device);
    let waits = |proposal: &Proposal| is_it(&proposal.change) && now <= until(proposal);
    roster.proposals().find(|(_, proposal)| waits(proposal)).map(|(leaf, _)| leaf)
}

/// A change as what may have to wait for approvals, if it is of that kind.
pub fn proposed(change: &Change) -> Option<Proposed> {
    Some(match change {
        Change::Admit(admit) => {
            let admission = Admission { card: admit.card.clone(), role: admit.role };
            Proposed::Admit(Box::new(admission))
        }
        Change::Role(role) => Proposed::Role(*role),
        Change::Restore(restore) => Proposed::Restore(restore.target),
        Change::Remove(remove) => Proposed::Remove(remove.member),
        Change::Policy(policy) => Proposed::Policy(*policy),
        _ => return None,
    })
}

/// Whether a roster is as a change would have it.
pub fn holds(change: &Proposed, roster: &Roster) -> bool {
    match change {
        Proposed::Admit(admission) => roster.device(admission.card.device()).is_some(),
        Proposed::Role(SetRole { member, role }) => {
            roster.member(*member).is_some_and(|member| member.role == *role)
        }
        Proposed::Restore(target) => own_standing(*target, roster) == Some(Standing::Active),
        Proposed::Remove(member) => {
            let standing = own_standing(Target::Member(*member), roster);
            matches!(standing, Some(Standing::Ended(_)))
        }
        Proposed::Policy(policy) => policy == roster.policy(),
        Proposed::Device(new) => roster.device(new.card.device()).is_some(),
        // What is forgotten no roster says.
        Proposed::Forget(_) => false,
    }
}

/// The standing that a target has of its own.
pub fn own_standing(target: Target, roster: &Roster) -> Option<Standing> {
    match target {
        Target::Member(number) => roster.member(number).map(|member| member.standing),
        Target::Device(id) => roster.device(id).map(|device| device.standing),
    }
}

/// How many of the deciders of a suspension are still missing.
pub fn missing_of(suspension: &Suspension, roster: &Roster) -> usize {
    let deciders = roster.deciders(suspension);
    let needed = usize::from(roster.policy().approvals).min(deciders.len());
    needed.saturating_sub(suspension.approved.intersection(&deciders).count())
}

/// The REF of what waits because `member` proposed it, the newest that is what is looked for.
pub fn proposed_by(
    roster: &Roster,
    member: MemberNumber,
    is_it: impl Fn(&Proposed) -> bool,
) -> Option<(Ref, usize)> {
    let mine = roster.proposals().filter(|(_, one)| one.by == member && is_it(&one.change));
    let (leaf, newest) = mine.max_by_key(|(_, one)| one.at)?;
    Some((names::change_ref(&leaf), roster.missing_approvals(newest)))
}

/// What a proposed change would do, in words that can follow "to".
pub fn words(change: &Proposed, roster: &Roster, people: &People) -> String {
    match change {
        Proposed::Admit(admission) => {
            let device = names::device_ref(&admission.card.device());
            format!("admit {device} as {}", RoleName::from(admission.role).as_str())
        }
        Proposed::Device(new) => {
            let device = names::device_ref(&new.card.device());
            format!("add device {device} to {}", people.member(new.member))
        }
        Proposed::Role(SetRole { member, role }) => {
            format!("make {} {}", people.member(*member), RoleName::from(*role).as_str())
        }
        Proposed::Restore(target) => format!("restore {}", target_words(*target, roster, people)),
        Proposed::Remove(member) => format!("remove {}", people.member(*member)),
        Proposed::Forget(forgetting) => {
            format!(
                "forget entry {}, a record of {}",
                forgetting.index,
                people.member(forgetting.member)
            )
        }
        Proposed::Policy(policy) => format!(
            "change the policy: {} approvals, lease {} days{}, confirmed by {} devices in {} \
             countries, plaintext kept {}{}",
            policy.approvals,
            policy.lease.days,
            if policy.lease.enforce { " enforced" } else { "" },
            policy.confirm.devices,
            policy.confirm.countries,
            match policy.retention_months {
                0 => "for ever".to_owned(),
                months => format!("{months} months"),
            },
            if policy.device_needs_coordinator { ", further devices by coordinators" } else { "" },
        ),
    }
}

/// A member by handle, a device with its member's.
pub fn target_words(target: Target, roster: &Roster, people: &People) -> String {
    match target {
        Target::Member(member) => people.member(member),
        Target::Device(id) => {
            let owner = roster.device(id).map(|device| people.member(device.member));
            let owner = owner.map_or_else(String::new, |owner| format!(" of {owner}"));
            format!("device {}{owner}", names::device_ref(&id))
        }
    }
}

struct Shown<'a> {
    known: &'a Committee,
    roster: &'a Roster,
    people: &'a People,
    /// Further devices that a spare proposes.
    by_spares: BTreeSet<Hash>,
    /// The REFs of records that are to be forgotten.
    records: BTreeMap<Hash, String>,
    own: Option<MemberNumber>,
    now: UnixMillis,
}

impl Shown<'_> {
    fn proposal(&self, leaf: Hash, proposal: &Proposal) -> Waiting {
        let target = self.roster.target_of(&proposal.change);
        let is_bound = |member: MemberNumber| {
            let by_them =
                |(_, one): (Hash, &Suspension)| one.by == member && Some(one.member) == target;
            !matches!(proposal.change, Proposed::Role(_) | Proposed::Forget(_))
                && self.roster.undecided().any(by_them)
        };
        let until = until(proposal);
        let expired = self.now > until;
        let may = |member: &MemberNumber| {
            let is_for_it = proposal.approved.contains(member);
            Some(*member) != target && !is_for_it && !is_bound(*member) && !expired
        };
        let may: Vec<MemberNumber> =
            self.roster.active_coordinators().into_iter().filter(may).collect();
        Waiting {
            expired,
            what: self.words(leaf, &proposal.change),
            by: self.people.member(proposal.by),
            approved: self.names(&proposal.approved),
            missing: self.roster.missing_approvals(proposal),
            until: Some(time::rfc3339(until)),
            ..self.waiting(leaf, &may)
        }
    }

    /// Whoever has enough shares can ask for this, and ends the older devices with it.
    fn words(&self, leaf: Hash, change: &Proposed) -> String {
        match change {
            Proposed::Device(new) if self.by_spares.contains(&leaf) => format!(
                "let {} come back on device {} by the shares of helpers (only if a helper heard them)",
                self.people.member(new.member),
                names::device_ref(&new.card.device())
            ),
            Proposed::Forget(forgetting) => match self.records.get(&leaf) {
                Some(record) => {
                    format!(
                        "forget {record}, a record of {}",
                        self.people.member(forgetting.member)
                    )
                }
                None => words(change, self.roster, self.people),
            },
            change => words(change, self.roster, self.people),
        }
    }

    fn suspension(&self, leaf: Hash, suspension: &Suspension) -> Waiting {
        let deciders = self.roster.deciders(suspension);
        let may: Vec<MemberNumber> = deciders.difference(&suspension.approved).copied().collect();
        let target = target_words(suspension.target, self.roster, self.people);
        Waiting {
            what: format!("let the suspension of {target} stand"),
            by: self.people.member(suspension.by),
            approved: self.names(&suspension.approved),
            missing: missing_of(suspension, self.roster),
            until: None,
            ..self.waiting(leaf, &may)
        }
    }

    fn waiting(&self, leaf: Hash, may: &[MemberNumber]) -> Waiting {
        let reference = names::change_ref(&leaf).to_string();
        let next = self.own.filter(|own| may.contains(own));
        Waiting {
            next: next.map(|_| format!("sealpost approve {reference}")),
            reference,
            committee: names::committee_ref(&self.known.id).to_string(),
            waits_for: self.names(may),
            what: String::new(),
            by: String::new(),
            approved: Vec::new(),
            missing: 0,
            until: None,
            expired: false,
            leaf,
        }
    }

    fn names<'m>(&self, members: impl IntoIterator<Item = &'m MemberNumber>) -> Vec<String> {
        members.into_iter().map(|member| self.people.member(*member)).collect()
    }
}

impl Waiting {
    /// Whom it waits for, when that is not this device's member.
    pub fn others(&self) -> String {
        match self.waits_for.as_slice() {
            _ if self.expired => "too old to be approved: propose it anew".to_owned(),
            [] => "nobody can approve it now".to_owned(),
            others => format!("waits for {}", others.join(", ")),
        }
    }

    /// The cells of a table.
    pub fn cells(&self) -> Vec<String> {
        let next = self.next.clone().unwrap_or_else(|| self.others());
        let (what, by) = (self.what.clone(), self.by.clone());
        vec![
            self.reference.clone(),
            self.committee.clone(),
            what,
            by,
            self.missing.to_string(),
            next,
        ]
    }

    /// The headers over [`Self::cells`].
    pub const HEADERS: [&'static str; 6] =
        ["WAITS", "COMMITTEE", "TO", "PROPOSED BY", "MISSING", "NEXT"];
}
