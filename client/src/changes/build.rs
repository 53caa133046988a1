//! From an intent to the change that fits the log as it is.

use sealpost_protocol::card::Card;
use sealpost_protocol::change::{
    self, AddDevice, Change, Recovery, Remove, RepairGrant, RepairLink, Restore, Retire, SetRole,
    Suspend,
};
use sealpost_protocol::committee::Committee;
use sealpost_protocol::entry::UnverifiedEntry;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::hybrid::{Identity, Recipient};
use sealpost_protocol::id::{Country, DeviceId, Epoch, LeafIndex, MemberNumber, UnixMillis};
use sealpost_protocol::roster::{Proposal, Proposed};
use sealpost_protocol::seal::{EpochKeys, EpochSecret, Label, LabelMember, seal_grant};

use crate::error::{Failure, Kind as Error};
use crate::keys::{self, Keys};
use crate::outbox::intent_of;
use crate::proposals;
use crate::random;
use crate::vault::committees::CommitteeNo;
use crate::vault::outbox::What;
use crate::vault::{Read, VaultError};

use super::{Intent, RoleName, ShareOf, damaged, decode_card, parsed};

/// What changes are made from.
pub struct Maker<'a, 'k> {
    /// The vault, in the transaction that will keep the change.
    pub vault: &'a Read<'a>,
    /// Which committee.
    pub no: CommitteeNo,
    /// Its log as far as it is verified.
    pub fold: &'a Committee,
    /// The locks this device holds.
    pub keys: &'a mut Keys<'k>,
    /// The names as they were last opened.
    pub label: Option<&'a Label>,
    /// The time.
    pub now: UnixMillis,
}

/// Makes the change that fits the log as it is. What needs no lock is made without one.
pub fn build(intent: &Intent, maker: &mut Maker<'_, '_>) -> Result<Change, Failure> {
    Ok(match intent {
        // No roster change: sending makes its entry.
        Intent::Forget { .. } => return Err(damaged("a roster change")),
        Intent::Lock { withhold, .. } => Change::Lock(Box::new(maker.lock(*withhold)?)),
        Intent::Admit { card, role, handle, country } => {
            let country = parsed(country, "a country")?;
            Change::Admit(Box::new(maker.admit(decode_card(card)?, *role, handle, country)?))
        }
        Intent::Device { card } => Change::Device(Box::new(maker.device(decode_card(card)?)?)),
        Intent::Recovery { spare, threshold, shares } => {
            let spare = parsed(spare, "a device")?;
            maker.must_hold_spare(spare)?;
            let shares = shares.iter().map(ShareOf::share).collect::<Result<_, _>>()?;
            Change::Recovery(Recovery { spare, threshold: *threshold, shares })
        }
        Intent::Retire { device } => Change::Retire(Retire { device: parsed(device, "a device")? }),
        Intent::Role { member, role } => {
            let (member, role) = (MemberNumber(*member), (*role).into());
            Change::Role(SetRole { member, role })
        }
        Intent::Suspend { whom } => Change::Suspend(Suspend { target: whom.target()? }),
        Intent::Restore { whom } => Change::Restore(Restore { target: whom.target()? }),
        Intent::Remove { member } => Change::Remove(Remove { member: MemberNumber(*member) }),
        Intent::Policy(parts) => Change::Policy(parts.applied_to(*maker.fold.roster().policy())),
        Intent::Approve { entry } => Change::Approve(maker.approve(parsed(entry, "an entry")?)?),
        Intent::Grant { device, epoch, .. } => {
            Change::Grant(maker.grant(parsed(device, "a device")?, Epoch(*epoch))?)
        }
        Intent::Link { epoch } => Change::Link(maker.link(Epoch(*epoch))?),
    })
}

impl Maker<'_, '_> {
    fn lock(&mut self, withhold: bool) -> Result<change::Lock, Failure> {
        let seed = random::secret()?;
        let keys = EpochKeys::new(EpochSecret::generate(&seed));
        let roster = self.fold.roster();
        let active = roster.active_devices().filter_map(|id| roster.device(id));
        let grants =
            active.map(|device| grant_to(&keys, &device.card)).collect::<Result<_, _>>()?;
        let label = keys.seal_label(self.label()?)?.into();
        let link = match withhold {
            true => None,
            false => Some(keys.seal_link(self.present()?.secret()).into()),
        };
        Ok(change::Lock { recipient: keys.recipient().to_bytes(), grants, link, label })
    }

    fn admit(
        &mut self,
        card: Card,
        role: RoleName,
        handle: &str,
        country: Country,
    ) -> Result<change::Admit, Failure> {
        let roster = self.fold.roster();
        let member = roster.next_member();
        let label = self.label_with(member, LabelMember { handle: handle.to_owned(), country })?;
        let admission = sealpost_protocol::roster::Admission { card, role: role.into() };
        let waits = roster.needs_approvals(&Proposed::Admit(Box::new(admission.clone())));
        let keys = self.present()?;
        // Nobody is let in whom nothing can be sealed to.
        let recipient = Recipient::from_bytes(&admission.card.recipient().0)?;
        let grants = match waits {
            true => vec![],
            false => vec![grant_for(keys, &admission.card, &recipient)],
        };
        let label = keys.seal_label(&label)?.into();
        Ok(change::Admit { member, role: admission.role, grants, label, card: admission.card })
    }

    /// An error unless the spare was let in. Its admission may wait for a coordinator, or to be sent.
    fn must_hold_spare(&self, spare: DeviceId) -> Result<(), Failure> {
        let roster = self.fold.roster();
        if roster.device(spare).is_some() {
            return Ok(());
        }
        let mut waits = proposals::of_device(roster, spare, self.now).is_some();
        for draft in self.vault.unsent(self.no)? {
            if draft.new.what == What::Roster
                && let Intent::Device { card } = intent_of(&draft)?
            {
                waits |= decode_card(&card)?.device() == spare;
            }
        }
        Err(match waits {
            true => Failure::new(Error::NotDelivered, "The shares wait for the spare to be let in")
                .safe("They are in the vault, sealed to the helpers.")
                .next("sealpost status: a coordinator approves it"),
            false => Failure::new(Error::Usage, "The spare was not let in"),
        })
    }

    fn device(&mut self, card: Card) -> Result<AddDevice, Failure> {
        let recipient = Recipient::from_bytes(&card.recipient().0)?;
        let grant = grant_for(self.present()?, &card, &recipient);
        Ok(AddDevice { card, grant })
    }

    /// An approval; the one that completes its proposal carries what takes effect.
    fn approve(&mut self, entry: Hash) -> Result<change::Approve, Failure> {
        let roster = self.fold.roster();
        let bare = change::Approve { entry, grants: vec![], label: None };
        let Some(proposal) = roster.proposal(entry).cloned() else { return Ok(bare) };
        if roster.missing_approvals(&proposal) > 1 {
            return Ok(bare);
        }
        // What cannot take effect any more is refused by the log's own rules, with their words.
        let Ok(returning) = roster.grants_of(&proposal) else { return Ok(bare) };
        let label = match proposal.change {
            Proposed::Admit(_) => Some(self.label_of_admission(&proposal)?),
            _ => None,
        };
        if returning.is_empty() && label.is_none() {
            return Ok(bare);
        }
        let keys = self.present()?;
        let grants = returning.iter().map(|(_, card)| grant_to(keys, card));
        let grants = grants.collect::<Result<_, _>>()?;
        let label = label.map(|label| keys.seal_label(&label)).transpose()?.map(Into::into);
        Ok(change::Approve { entry, grants, label })
    }

    /// The names with the one that the proposal's own label gives whoever is to be admitted, under
    /// the number that comes next now.
    fn label_of_admission(&mut self, proposal: &Proposal) -> Result<Label, Failure> {
        let (epoch, admit) = self.proposed_admission(proposal.at)?;
        let keys = self.keys.of(self.vault, epoch)?.ok_or_else(no_key)?;
        let opened = keys.open_label(&admit.label).map_err(|error| {
            Failure::new(Error::Verification, "The name they are to have does not open")
                .because(error)
                .next("Have whoever proposed it admit them anew.")
        })?;
        let named = opened.members.get(&admit.member).cloned();
        let named = named.ok_or_else(|| {
            Failure::new(Error::Verification, "The proposal gives them no name")
                .next("Have whoever proposed it admit them anew.")
        })?;
        self.label_with(self.fold.roster().next_member(), named)
    }

    fn proposed_admission(&self, at: LeafIndex) -> Result<(Epoch, change::Admit), Failure> {
        let unreadable = || VaultError::Damaged("the entry of a proposal does not read".to_owned());
        let bytes = self.vault.entry(self.no, at)?.ok_or_else(unreadable)?;
        let entry = UnverifiedEntry::decode(&bytes).map_err(|_| unreadable())?;
        match keys::change_of(entry.payload()) {
            Some(Change::Admit(admit)) => Ok((entry.header().epoch, *admit)),
            _ => Err(unreadable().into()),
        }
    }

    fn grant(&mut self, device: DeviceId, epoch: Epoch) -> Result<RepairGrant, Failure> {
        let card = self.fold.roster().device(device).map(|device| device.card.clone());
        let card = card.ok_or_else(|| damaged("the roster"))?;
        let keys = self.keys.of(self.vault, epoch)?.ok_or_else(no_key)?;
        let change::Grant { device, file } = grant_to(keys, &card)?;
        Ok(RepairGrant { device, epoch, file })
    }

    fn link(&mut self, epoch: Epoch) -> Result<RepairLink, Failure> {
        let before = Epoch(epoch.0.saturating_sub(1));
        let earlier = self.keys.of(self.vault, before)?.ok_or_else(no_key)?.secret();
        let earlier = EpochSecret::generate(earlier.seed());
        let keys = self.keys.of(self.vault, epoch)?.ok_or_else(no_key)?;
        Ok(RepairLink { epoch, file: keys.seal_link(&earlier).into() })
    }

    /// The keys of the lock in force.
    fn present(&mut self) -> Result<&EpochKeys, Failure> {
        self.keys.of(self.vault, self.fold.roster().epoch())?.ok_or_else(no_key)
    }

    fn label(&self) -> Result<&Label, Failure> {
        self.label.ok_or_else(no_key)
    }

    fn label_with(&self, member: MemberNumber, named: LabelMember) -> Result<Label, Failure> {
        let mut label = self.label()?.clone();
        label.members.insert(member, named);
        Ok(label)
    }
}

/// A grant for a device that is in. Were it refused for a card that nothing can be sealed to, whoever
/// let that in could keep the lock from ever being changed: it gets a file that nobody can open.
fn grant_to(keys: &EpochKeys, card: &Card) -> Result<change::Grant, Failure> {
    match Recipient::from_bytes(&card.recipient().0) {
        Ok(recipient) => Ok(grant_for(keys, card, &recipient)),
        Err(_) => {
            let nobody = Identity::from_seed(&*random::secret()?);
            Ok(grant_for(keys, card, &nobody.recipient()))
        }
    }
}

fn grant_for(keys: &EpochKeys, card: &Card, recipient: &Recipient) -> change::Grant {
    change::Grant { device: card.device(), file: seal_grant(keys.secret(), recipient).into() }
}

/// What is wanted needs a lock that this device does not hold.
pub fn no_key() -> Failure {
    Failure::new(Error::NotDelivered, "This device does not hold a lock that this needs")
        .safe("What was written is in the vault, and goes when the lock is here.")
        .next("Ask a coordinator to grant it, then sealpost sync")
}
