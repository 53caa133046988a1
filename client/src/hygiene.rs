//! The board to look a committee over by: what is not as it should be, why that matters, and the command
//! to type. By what the vault holds; `committee audit` asks the relay first.

use sealpost_protocol::checkpoint::Cosigner;
use sealpost_protocol::committee::Committee as Fold;
use sealpost_protocol::id::{DeviceId, Epoch, MemberNumber, UnixMillis};
use sealpost_protocol::roster::{Device, Standing};
use sealpost_protocol::seal::LabelMember;
use serde::Serialize;

use crate::confirmed::Holders;
use crate::cosignatures::{Agrees, Judged};
use crate::error::Failure;
use crate::invitations;
use crate::keys;
use crate::lease::Lease;
use crate::log::Log;
use crate::names::alike::{self, Looks};
use crate::names::{self, People};
use crate::proposals;
use crate::recovery;
use crate::ui::time;
use crate::vault::Read;
use crate::vault::committees::{Committee, CommitteeNo};
use crate::vault::invitations::InvitationState;

const DAY_MILLIS: u64 = 24 * 60 * 60 * 1000;
/// A lock in force for longer opens half a year of records to whoever gets hold of it.
const LOCK_DAYS_MAX: u64 = 180;
/// A relay that has not answered for longer may be gone; colleagues' news with it.
const RELAY_DAYS_MAX: u64 = 7;
/// Others who can help one back in: fewer share no spare.
const HELPERS_MIN: usize = 2;

/// Something to see to. In `--json` with these names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// What is not as it should be, and why it matters.
    pub what: String,
    /// What to type or do.
    pub next: String,
}

/// What is to be seen to in committee `no`. `own` is this device.
pub fn board(
    vault: &Read<'_>,
    no: CommitteeNo,
    own: DeviceId,
    now: UnixMillis,
) -> Result<Vec<Item>, Failure> {
    let log = Log::load(vault, no)?;
    let Some(fold) = log.fold() else { return Ok(Vec::new()) };
    let looker = Looker {
        vault,
        log: &log,
        known: &log.known,
        fold,
        people: People::load(vault, no)?,
        judged: Judged::load(vault, &log)?,
        own,
        now,
    };
    let mut items = Vec::new();
    looker.evidence(&mut items)?;
    looker.disputes(&mut items);
    looker.locks(&mut items)?;
    looker.grants(&mut items);
    looker.coordinators(&mut items);
    looker.lease(&mut items);
    looker.confirm(&mut items)?;
    looker.silent(&mut items);
    looker.waiting(&mut items)?;
    looker.newcomers(&mut items)?;
    looker.handles(&mut items)?;
    looker.recovery(&mut items)?;
    looker.relay(&mut items);
    looker.attachments(&mut items)?;
    Ok(items)
}

struct Looker<'a> {
    vault: &'a Read<'a>,
    log: &'a Log,
    known: &'a Committee,
    fold: &'a Fold,
    people: People,
    judged: Judged,
    own: DeviceId,
    now: UnixMillis,
}

impl Looker<'_> {
    fn evidence(&self, items: &mut Vec<Item>) -> Result<(), Failure> {
        if let Some(stop) = self.vault.stop(self.known.no)? {
            items.push(item(
                format!(
                    "the relay lied ({}, evidence {}): nothing goes to it until it shows again what was \
                     verified here",
                    stop.kind, stop.file
                ),
                "sealpost sync, which asks it again; and tell your colleagues and the relay's operator",
            ));
        }
        let kept = self.vault.evidence_count(self.known.no)?;
        if kept > 0 {
            items.push(item(
                format!("{kept} pieces of evidence are kept: the relay or a colleague lied"),
                "compare head codes by phone, and tell your colleagues",
            ));
        }
        Ok(())
    }

    fn disputes(&self, items: &mut Vec<Item>) {
        for dispute in self.judged.disputes(self.log, self.own) {
            let what = dispute.what(self.known, &self.people);
            items.push(item(what, "compare head codes by phone, and tell your colleagues"));
        }
    }

    fn attachments(&self, items: &mut Vec<Item>) -> Result<(), Failure> {
        let lacking = self.vault.attachments_lacking(self.known.no)?;
        let faulty = lacking.iter().filter(|attachment| attachment.fault.is_some()).count();
        if faulty > 0 {
            items.push(item(
                format!(
                    "{faulty} attachments are missing: the relay gave something else, or nothing"
                ),
                "sealpost sync; if that does not help, ask who attached them to attach them anew",
            ));
        }
        Ok(())
    }

    fn locks(&self, items: &mut Vec<Item>) -> Result<(), Failure> {
        let roster = self.fold.roster();
        let held = self.vault.epochs_held(self.known.no)?;
        for epoch in (1..=roster.epoch().0).map(Epoch).filter(|epoch| !held.contains(epoch)) {
            let own = names::device_ref(&self.own);
            items.push(item(
                format!("this device cannot open lock {epoch}: what is under it stays closed"),
                format!("ask a colleague who can: sealpost member grant {own} --lock {epoch}"),
            ));
        }
        if roster.lock_pending() {
            let what = "the lock must be changed: somebody who is cut off still holds it";
            items.push(item(what, "sealpost sync"));
            return Ok(());
        }
        let at = roster.current_lock().at;
        let made = keys::entry_at(self.vault, self.known.no, at)?.header().made_at;
        let days = self.now.0.saturating_sub(made.0) / DAY_MILLIS;
        if days > LOCK_DAYS_MAX {
            items.push(item(
                format!("the lock is {days} days old: whoever finds it opens all since"),
                format!("sealpost committee lock {}", self.reference()),
            ));
        }
        Ok(())
    }

    fn grants(&self, items: &mut Vec<Item>) {
        for device in self.fold.roster().ungranted() {
            let (name, device) = (self.people.name(&device), names::device_ref(&device));
            items.push(item(
                format!("{device} of {name} was not granted the lock: it reads nothing new"),
                format!("sealpost member grant {device} --committee {}", self.reference()),
            ));
        }
    }

    fn coordinators(&self, items: &mut Vec<Item>) {
        let roster = self.fold.roster();
        let (active, needed) =
            (roster.active_coordinators().len(), usize::from(roster.policy().approvals));
        let more =
            format!("sealpost member role HANDLE coordinator --committee {}", self.reference());
        if active < needed {
            items.push(item(
                format!(
                    "{active} active coordinators and {needed} approvals needed: coordinators and \
                     policy can never change again"
                ),
                "found the committee anew, and invite everybody to it",
            ));
        } else if active == 1 {
            items.push(item(
                "there is a single coordinator: arrested, nobody can change anything",
                more,
            ));
        } else if active == needed {
            items.push(item(
                format!(
                    "as many coordinators as approvals ({needed}): one lost, and none can be made"
                ),
                more,
            ));
        }
    }

    fn lease(&self, items: &mut Vec<Item>) {
        let lease = Lease::of(self.fold, self.own, &self.judged.same, self.now);
        if lease.is_over() {
            let sealed = if lease.enforced { "; nothing is sealed until then" } else { "" };
            items.push(item(
                format!(
                    "{}: whom they cut off since may be kept from this device{sealed}",
                    lease.told(self.known, &self.people)
                ),
                "call one, compare head codes, and have them sync",
            ));
        }
    }

    /// A policy by which nothing of one's own can be confirmed. The one that a committee begins with
    /// asks for one other device: whoever is alone yet need not be told.
    fn confirm(&self, items: &mut Vec<Item>) -> Result<(), Failure> {
        let asked = self.fold.roster().policy().confirm;
        if asked.devices <= 1 && asked.countries <= 1 {
            return Ok(());
        }
        if let Some((asked, most)) = Holders::of(self.log, &self.judged)?.too_few_for(self.own) {
            items.push(item(
                format!(
                    "nothing you write can be confirmed: the policy asks for {} devices in {} \
                     countries, and besides yours there are {} in {}",
                    asked.devices, asked.countries, most.devices, most.countries
                ),
                format!(
                    "sealpost committee policy {} --confirm-devices {} --confirm-countries {}, or \
                     let more people in",
                    self.reference(),
                    most.devices,
                    most.countries
                ),
            ));
        }
        Ok(())
    }

    /// Devices that have not vouched for longer than the lease.
    fn silent(&self, items: &mut Vec<Item>) {
        let roster = self.fold.roster();
        let days = u64::from(roster.policy().lease.days);
        let in_hand = |device: &DeviceId| *device != self.own && !roster.is_spare(*device);
        for device in roster.active_devices().filter(in_hand) {
            let last = self.judged.of(device).map(|(mark, _)| mark.at);
            let is_lately = |at: UnixMillis| at.0.saturating_add(days * DAY_MILLIS) >= self.now.0;
            if last.is_some_and(is_lately) {
                continue;
            }
            let since =
                last.map_or_else(|| "ever".to_owned(), |at| format!("since {}", time::rfc3339(at)));
            let (name, device) = (self.people.name(&device), names::device_ref(&device));
            items.push(item(
                format!(
                    "{device} of {name} has not vouched {since}: lost, or cut from the network?"
                ),
                format!(
                    "call {name}; if it is lost: sealpost member suspend {device} --device {device}"
                ),
            ));
        }
    }

    fn waiting(&self, items: &mut Vec<Item>) -> Result<(), Failure> {
        for one in proposals::waiting(self.vault, self.known.no, self.own, self.now)? {
            let until = one.until.as_ref().map_or_else(String::new, |at| format!(", until {at}"));
            let others = one.others();
            items.push(item(
                format!(
                    "{} waits for {} more{until}: {} proposes to {}",
                    one.reference, one.missing, one.by, one.what
                ),
                one.next.unwrap_or(others),
            ));
        }
        Ok(())
    }

    fn newcomers(&self, items: &mut Vec<Item>) -> Result<(), Failure> {
        let asking = invitations::asking_in(self.vault, Some(self.known.no))?;
        if !asking.is_empty() {
            let what = format!("{} ask to join", asking.len());
            items.push(item(what, "sealpost member list --asking"));
        }
        let requests = self.vault.join_requests()?;
        for kept in self.vault.invitations()? {
            let asked = requests.iter().filter(|request| request.invitation == kept.id).count();
            let open = kept.state == InvitationState::Open
                && kept.expires > self.now
                && (asked as u64) < u64::from(kept.uses);
            if kept.committee == self.known.no && open {
                let reference = names::invitation_ref(&kept.id);
                let until = time::rfc3339(kept.expires);
                items.push(item(
                    format!("invitation {reference} is open until {until}"),
                    format!("sealpost invite cancel {reference}, if it went astray"),
                ));
            }
        }
        Ok(())
    }

    fn handles(&self, items: &mut Vec<Item>) -> Result<(), Failure> {
        let Some(label) = names::label(self.known)? else { return Ok(()) };
        let members = label.members.iter();
        let members: Vec<(&MemberNumber, &LabelMember, Looks)> =
            members.map(|(number, one)| (number, one, Looks::of(&one.handle))).collect();
        for (at, (number, one, looks)) in members.iter().enumerate() {
            for (other, two, others) in &members[at + 1..] {
                if looks.is_same(others) {
                    items.push(item(
                        format!("members {number} and {other} are both called {}", one.handle),
                        "name them by the REF of a device: sealpost member list",
                    ));
                } else if looks.reads_like(others) {
                    items.push(item(
                        format!(
                            "members {number} and {other} have handles that read alike: {} and {}",
                            one.handle, two.handle
                        ),
                        "name them by the REF of a device: sealpost member list",
                    ));
                }
            }
            if alike::mixes_scripts(&one.handle) {
                items.push(item(
                    format!("the handle of member {number} mixes scripts: {}", one.handle),
                    "see who it is by the REF of a device: sealpost member list",
                ));
            }
        }
        Ok(())
    }

    /// A way back in that is none any more.
    fn recovery(&self, items: &mut Vec<Item>) -> Result<(), Failure> {
        let roster = self.fold.roster();
        let Some(own) = roster.device(self.own).filter(|_| roster.is_active(self.own)) else {
            return Ok(());
        };
        let held = roster.spare_of(own.member).map(|spare| spare.device);
        let useless = match held {
            Some(spare) => Some((spare, "is suspended")).filter(|_| !roster.is_active(spare)),
            None => recovery::ended_spare(self.vault, self.known.no, self.fold, own.member)?
                .map(|spare| (spare, "has ended")),
        };
        let in_hand =
            |(id, _): &(DeviceId, &Device)| roster.is_active(*id) && !roster.is_spare(*id);
        let only_one = roster.devices_of(own.member).filter(in_hand).count() == 1;
        let helpers = roster.members().filter(|(_, one)| one.standing == Standing::Active).count();
        let what = match (held, useless) {
            (_, Some((spare, has))) => format!(
                "your spare {} {has}: should you lose every device, nobody can help",
                names::device_ref(&spare)
            ),
            (None, None) if only_one && helpers > HELPERS_MIN => {
                "this is your only device, and you have no way back in should you lose it"
                    .to_owned()
            }
            _ => return Ok(()),
        };
        items.push(item(what, format!("{} --committee {}", recovery::SET, self.reference())));
        Ok(())
    }

    fn relay(&self, items: &mut Vec<Item>) {
        let own = Cosigner::Device(self.own).to_string();
        let others = self.judged.others.iter().filter(|(mark, _)| mark.signer != own);
        let ahead = others.filter(|(_, agrees)| *agrees == Agrees::Ahead).count();
        if ahead > 0 {
            items.push(item(
                format!("{ahead} devices vouch for more than the relay has shown this one"),
                "sealpost sync; if it stays so, compare head codes by phone",
            ));
        }
        let asked = self.known.asked.map_or(0, |at| at.0);
        let days = self.now.0.saturating_sub(asked) / DAY_MILLIS;
        if self.known.answered == Some(false) && days > RELAY_DAYS_MAX {
            let what = format!("the relay has not answered for {days} days");
            items.push(item(what, "sealpost sync; if it stays so, tell its operator"));
        } else if self.known.answered == Some(false) {
            items.push(item("the relay did not answer last time", "sealpost sync"));
        }
    }

    fn reference(&self) -> String {
        names::committee_ref(&self.known.id).to_string()
    }
}

fn item(what: impl Into<String>, next: impl Into<String>) -> Item {
    Item { what: what.into(), next: next.into() }
}

#[cfg(test)]
mod tests;
