//! What others changed in a committee, told once, with the command to type next.

use sealpost_protocol::change::{Change, SetRole, Target};
use sealpost_protocol::entry::{Admitted, Kind};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{DeviceId, MemberNumber, UnixMillis};
use sealpost_protocol::roster::{Proposed, Roster};

use crate::changes::RoleName;
use crate::error::Failure;
use crate::keys;
use crate::names::{self, People};
use crate::proposals;
use crate::recovery;
use crate::vault::Read;
use crate::vault::committees::{Committee, CommitteeNo};

/// What the newly verified entries of others changed. `before` and `after` are the rosters on either
/// side of them; the vault holds what is after.
pub fn of(
    vault: &Read<'_>,
    no: CommitteeNo,
    own: DeviceId,
    now: UnixMillis,
    (before, after): (&Roster, &Roster),
    admitted: &[Admitted],
) -> Result<Vec<String>, Failure> {
    let known = vault.committee_no(no)?;
    let people = People::load(vault, no)?;
    let teller = Teller { vault, known: &known, own, now, before, after, people: &people };
    let by_others = admitted
        .iter()
        .filter(|new| new.entry.header().kind == Kind::Roster && new.entry.header().author != own);
    let mut news = Vec::new();
    for new in by_others {
        if let Some(change) = keys::change_of(new.entry.payload()) {
            news.extend(teller.tell(new, &change)?);
        }
    }
    Ok(news)
}

struct Teller<'a> {
    vault: &'a Read<'a>,
    known: &'a Committee,
    own: DeviceId,
    now: UnixMillis,
    before: &'a Roster,
    after: &'a Roster,
    people: &'a People,
}

impl Teller<'_> {
    fn tell(&self, new: &Admitted, change: &Change) -> Result<Option<String>, Failure> {
        let leaf = new.entry.leaf();
        if self.after.proposal(leaf).is_some() || self.is_undecided(&leaf) {
            return self.waits(&leaf, new).map(Some);
        }
        if let Some(proposed) = proposals::proposed(change).filter(|proposed| !self.holds(proposed))
        {
            let words = proposals::words(&proposed, self.after, self.people);
            let (committee, by) = (self.reference(), self.author(new));
            return Ok(Some(format!("{committee}: {by} wanted to {words}; it is not so now")));
        }
        let done = match change {
            Change::Suspend(suspend) => {
                let target = self.target(suspend.target);
                let exposure = self.exposure(suspend.target);
                format!("suspended {target}. What they still hold: {exposure}")
            }
            Change::Restore(restore) => format!("restored {}", self.target(restore.target)),
            Change::Remove(remove) => format!("removed {}", self.people.member(remove.member)),
            Change::Role(SetRole { member, role }) => {
                let role = RoleName::from(*role).as_str();
                format!("made {} {role}", self.people.member(*member))
            }
            Change::Admit(admit) => {
                let role = RoleName::from(admit.role).as_str();
                format!("admitted {} as {role}", self.people.name(&admit.card.device()))
            }
            Change::Device(added) if self.by_spare(new)? => {
                let device = names::device_ref(&added.card.device());
                format!(
                    "came back on device {device} by the shares of helpers. If no helper heard \
                     them: sealpost member suspend {device}"
                )
            }
            Change::Device(added) => {
                let (device, owner) = (added.card.device(), self.people.name(&added.card.device()));
                format!("added device {} of {owner}", names::device_ref(&device))
            }
            Change::Retire(retire) => {
                format!("retired {}", self.target(Target::Device(retire.device)))
            }
            Change::Recovery(recovery) => {
                let helps = recovery.shares.iter().any(|share| share.device == self.own);
                let whom = if helps { "this device among the" } else { "the" };
                format!("named {whom} helpers for the way back in: sealpost recovery show")
            }
            Change::Policy(_) => {
                format!("changed the policy: sealpost committee policy {}", self.reference())
            }
            Change::Label(_) => {
                "changed the names in the committee: sealpost member list".to_owned()
            }
            Change::Approve(approve) => match self.before.proposal(approve.entry) {
                Some(proposal) if self.after.proposal(approve.entry).is_none() => {
                    let mut words = proposals::words(&proposal.change, self.before, self.people);
                    let author =
                        keys::entry_at(self.vault, self.known.no, proposal.at)?.header().author;
                    if recovery::was_shared(self.vault, self.known.no, author)? {
                        words.push_str(" by the shares of helpers");
                    }
                    let state = match self.holds(&proposal.change) {
                        true => "it is in force",
                        false => "it is not so now",
                    };
                    format!("approved to {words}: {state}")
                }
                _ => format!("approved {}", names::change_ref(&approve.entry)),
            },
            _ => return Ok(None),
        };
        Ok(Some(format!("{}: {} {done}", self.reference(), self.author(new))))
    }

    /// Whether what was proposed or done is so at the end of the stretch: it may have waited and become
    /// void within it, or been undone.
    fn holds(&self, proposed: &Proposed) -> bool {
        proposals::holds(proposed, self.after)
    }

    /// What waits for somebody, and the command for whoever may type it.
    fn waits(&self, leaf: &Hash, new: &Admitted) -> Result<String, Failure> {
        let reference = names::change_ref(leaf).to_string();
        let waiting = proposals::waiting(self.vault, self.known.no, self.own, self.now)?;
        let Some(one) = waiting.into_iter().find(|one| one.reference == reference) else {
            return Ok(format!("{}: {reference} waits", self.reference()));
        };
        let next = one.next.clone().unwrap_or_else(|| one.others());
        let (committee, by) = (self.reference(), self.author(new));
        Ok(match self.is_undecided(leaf) {
            true => format!("{committee}: {by} suspended a coordinator. To {}: {next}", one.what),
            false => format!("{committee}: {by} proposes to {}: {next}", one.what),
        })
    }

    fn by_spare(&self, new: &Admitted) -> Result<bool, Failure> {
        recovery::was_shared(self.vault, self.known.no, new.entry.header().author)
    }

    fn is_undecided(&self, leaf: &Hash) -> bool {
        self.after.undecided().any(|(undecided, _)| undecided == *leaf)
    }

    fn target(&self, target: Target) -> String {
        proposals::target_words(target, self.after, self.people)
    }

    fn exposure(&self, target: Target) -> String {
        let member = |number: MemberNumber| {
            let mut devices = self.after.devices_of(number);
            devices.next().map_or_else(String::new, |(id, _)| names::device_ref(&id).to_string())
        };
        let device = match target {
            Target::Member(number) => member(number),
            Target::Device(id) => names::device_ref(&id).to_string(),
        };
        format!("sealpost member exposure {device}")
    }

    fn author(&self, new: &Admitted) -> String {
        self.people.name(&new.entry.header().author)
    }

    fn reference(&self) -> String {
        names::committee_ref(&self.known.id).to_string()
    }
}

#[cfg(test)]
mod tests;
