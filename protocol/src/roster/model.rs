//! Every order of events in a small committee: three coordinators of whom two must agree, a member,
//! and somebody to admit. What must never happen is told from who signed what, which is kept here
//! beside the fold and not asked of it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::change::{Change, Role, Target};
use crate::hash::Hash;
use crate::id::{LeafIndex, MemberNumber, UnixMillis};
use crate::world::{
    TestDevice, admission, approval, founding_change, remove, restore, set_approvals, set_role,
    suspend,
};

use super::{PeerRosterError, Place, Proposed, Roster, Standing};

const COORDINATORS: u32 = 3;
const PEOPLE: u32 = 5;

/// The fold, and what a bystander who reads every entry knows.
#[derive(Clone)]
struct State {
    roster: Roster,
    entries: u64,
    /// Who signed for what each entry asks.
    signed: BTreeMap<Hash, BTreeSet<MemberNumber>>,
    /// Suspensions of coordinators: whom, whose, by whom.
    open: BTreeMap<Hash, (Target, MemberNumber, MemberNumber)>,
}

/// What became of members, whatever change did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Effect {
    Suspended(MemberNumber),
    Restored(MemberNumber),
    Removed(MemberNumber),
    Regraded(MemberNumber),
    CoordinatorAdmitted(MemberNumber),
    Policy,
}

struct Cast(Vec<TestDevice>);

impl Cast {
    fn new() -> Self {
        Self((1..=PEOPLE).map(|seed| TestDevice::new(u8::try_from(seed).unwrap())).collect())
    }

    fn of(&self, member: MemberNumber) -> &TestDevice {
        &self.0[usize::try_from(member.0 - 1).unwrap()]
    }

    fn newcomer(&self) -> &TestDevice {
        self.of(MemberNumber(PEOPLE))
    }

    fn place(&self, entries: u64, author: MemberNumber) -> Place {
        Place {
            index: LeafIndex(entries),
            leaf: Hash::of(&entries.to_be_bytes()),
            author: self.of(author).id(),
            made_at: UnixMillis(entries),
        }
    }

    fn start(&self) -> State {
        let first = MemberNumber(1);
        let found = founding_change(self.of(first));
        let mut roster = Roster::found(found, self.place(0, first)).unwrap();
        let mut entries = 1;
        for number in 2..PEOPLE {
            let role = if number <= COORDINATORS { Role::Coordinator } else { Role::Member };
            let admit = admission(&roster, self.of(MemberNumber(number)), role);
            let place = self.place(entries, first);
            roster.apply(Change::Admit(Box::new(admit)), place).unwrap();
            entries += 1;
        }
        roster.apply(set_approvals(2), self.place(entries, first)).unwrap();
        entries += 1;
        State { roster, entries, signed: BTreeMap::new(), open: BTreeMap::new() }
    }

    /// All that anybody could try.
    fn changes(&self, state: &State) -> Vec<Change> {
        let roster = &state.roster;
        let mut changes = Vec::new();
        for (number, member) in roster.members() {
            let target = Target::Member(number);
            changes.extend([suspend(target), restore(target), remove(number)]);
            let other = match member.role {
                Role::Coordinator => Role::Member,
                Role::Member | Role::Reader => Role::Coordinator,
            };
            changes.push(set_role(number, other));
        }
        changes.extend([1, 2, 3].map(set_approvals));
        let admit = admission(roster, self.newcomer(), Role::Coordinator);
        changes.push(Change::Admit(Box::new(admit)));
        let waiting = roster.proposals().map(|(leaf, _)| leaf);
        let waiting = waiting.chain(roster.undecided().map(|(leaf, _)| leaf));
        changes.extend(waiting.map(|leaf| Change::Approve(approval(roster, leaf))));
        changes
    }

    /// The state after a change, or why there is none.
    fn step(
        &self,
        state: &State,
        author: MemberNumber,
        change: &Change,
    ) -> Result<State, PeerRosterError> {
        let mut next = state.clone();
        let place = self.place(state.entries, author);
        if let Err(refused) = next.roster.apply(change.clone(), place) {
            assert_eq!(next.roster, state.roster, "a refusal changes nothing");
            return Err(refused);
        }
        next.entries += 1;
        let about = if let Change::Approve(approve) = change { approve.entry } else { place.leaf };
        next.signed.entry(about).or_default().insert(author);
        if let Change::Suspend(suspend) = change {
            let member = member_of(suspend.target);
            if state.m() > 1 && state.is_coordinator(member) && member != author {
                next.open.insert(place.leaf, (suspend.target, member, author));
            }
        }
        next.settle();
        next.forget();
        Ok(next)
    }
}

fn member_of(target: Target) -> MemberNumber {
    match target {
        Target::Member(number) => number,
        Target::Device(_) => panic!("here members are suspended whole"),
    }
}

impl State {
    fn m(&self) -> usize {
        usize::from(self.roster.policy().approvals)
    }

    fn is_coordinator(&self, number: MemberNumber) -> bool {
        self.roster.member(number).is_some_and(|member| member.role == Role::Coordinator)
    }

    fn standing(&self, number: MemberNumber) -> Option<Standing> {
        self.roster.member(number).map(|member| member.standing)
    }

    fn acting(&self) -> BTreeSet<MemberNumber> {
        let may = |number: &MemberNumber| self.standing(*number) == Some(Standing::Active);
        let all = self.roster.members().map(|(number, _)| number);
        all.filter(|number| self.is_coordinator(*number)).filter(may).collect()
    }

    /// The rule of DESIGN for when a suspension is decided, in this file's terms.
    fn settle(&mut self) {
        let suspenders: BTreeSet<_> = self.open.values().map(|(_, _, by)| *by).collect();
        let decided = |leaf: &Hash, target: MemberNumber| {
            let others = self.acting().into_iter();
            let others = others.filter(|it| *it != target && !suspenders.contains(it));
            let others: BTreeSet<_> = others.collect();
            let signers = self.signed.get(leaf).cloned().unwrap_or_default();
            let stands = matches!(self.standing(target), Some(Standing::Suspended(_)));
            !stands
                || !self.is_coordinator(target)
                || self.m() == 1
                || signers.intersection(&others).count() >= self.m().min(others.len())
        };
        let gone: Vec<Hash> = self
            .open
            .iter()
            .filter(|(leaf, (_, member, _))| decided(leaf, *member))
            .map(|(leaf, _)| *leaf)
            .collect();
        self.open.retain(|leaf, _| !gone.contains(leaf));
    }

    /// Forgets who signed for what waits no more.
    fn forget(&mut self) {
        let (roster, open) = (&self.roster, &self.open);
        self.signed.retain(|leaf, _| roster.proposal(*leaf).is_some() || open.contains_key(leaf));
    }

    /// What a step brought about.
    fn effects(&self, next: &Self) -> BTreeSet<Effect> {
        let mut effects = BTreeSet::new();
        for (number, now) in next.roster.members() {
            let Some(before) = self.roster.member(number) else {
                assert_eq!(now.role, Role::Coordinator, "nobody else is let in here");
                effects.insert(Effect::CoordinatorAdmitted(number));
                continue;
            };
            match (before.standing, now.standing) {
                (Standing::Active, Standing::Suspended(_)) => {
                    effects.insert(Effect::Suspended(number));
                }
                (Standing::Suspended(_), Standing::Active) => {
                    effects.insert(Effect::Restored(number));
                }
                (Standing::Active | Standing::Suspended(_), Standing::Ended(_)) => {
                    effects.insert(Effect::Removed(number));
                }
                (before, now) => assert_eq!(before, now),
            }
            if before.role != now.role {
                effects.insert(Effect::Regraded(number));
            }
        }
        if self.roster.policy() != next.roster.policy() {
            effects.insert(Effect::Policy);
        }
        effects
    }

    /// What must hold wherever one gets to.
    fn check(&self) {
        assert!(!self.acting().is_empty(), "somebody can change the roster");
        assert_eq!(self.acting(), self.roster.active_coordinators());
        let lasting = self.roster.members().filter(|(number, member)| {
            self.is_coordinator(*number) && !matches!(member.standing, Standing::Ended(_))
        });
        assert!(self.m() <= lasting.count().saturating_sub(1).max(1));
        let open: BTreeSet<_> = self.open.keys().copied().collect();
        let undecided: BTreeSet<_> = self.roster.undecided().map(|(leaf, _)| leaf).collect();
        assert_eq!(open, undecided);
        for (leaf, proposal) in self.roster.proposals() {
            let mut signers = self.signed[&leaf].clone();
            self.roster.target_of(&proposal.change).map(|target| signers.remove(&target));
            assert_eq!(proposal.approved, signers, "an approval is a signature");
            assert!(signers.is_subset(&self.acting()), "of somebody who may still act");
            assert!(signers.len() < self.m(), "enough would have been enough");
        }
    }

    /// What must hold of every step.
    fn check_step(&self, author: MemberNumber, change: &Change, next: &Self) {
        assert!(self.acting().contains(&author));
        let mut signers = BTreeSet::from([author]);
        let change = match change {
            Change::Approve(approve) => {
                signers.extend(self.signed.get(&approve.entry).into_iter().flatten());
                self.roster.proposal(approve.entry).map(|it| it.change.clone())
            }
            Change::Restore(restore) => Some(Proposed::Restore(restore.target)),
            Change::Remove(remove) => Some(Proposed::Remove(remove.member)),
            _ => None,
        };
        let own = |whom: MemberNumber, same: bool| {
            self.open.values().any(|(_, it, by)| *by == author && (*it == whom) == same)
        };
        if let Some(Proposed::Restore(Target::Member(about)) | Proposed::Remove(about)) = change {
            assert!(!own(about, true), "a bound suspender has no say on the target");
        }
        let effects = self.effects(next);
        for effect in &effects {
            let about = match *effect {
                Effect::Suspended(whom) => {
                    let coordinator = self.is_coordinator(whom) && whom != author && self.m() > 1;
                    assert!(!(coordinator && own(whom, false)), "one at a time, until decided");
                    continue;
                }
                Effect::Restored(it) | Effect::Removed(it) | Effect::Regraded(it) => Some(it),
                Effect::CoordinatorAdmitted(_) | Effect::Policy => None,
            };
            // Who asked for their own removal may be suspended since, and never counted.
            let others: BTreeSet<_> =
                signers.iter().copied().filter(|it| Some(*it) != about).collect();
            assert!(others.is_subset(&self.acting()));
            assert!(self.m() == 1 || others.len() >= self.m(), "{effect:?} by {signers:?}");
        }
        assert!(effects.len() <= 1, "one change does one thing: {effects:?}");
    }

    /// The same for states that differ in leaf hashes alone, or in which of the three is which.
    fn key(&self) -> Vec<u8> {
        let orders = [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]];
        orders.map(|order| self.key_in(order)).into_iter().min().unwrap()
    }

    fn key_in(&self, order: [u8; 3]) -> Vec<u8> {
        let name = |number: MemberNumber| {
            let at = usize::try_from(number.0 - 1).unwrap();
            order.get(at).copied().unwrap_or(u8::try_from(number.0).unwrap())
        };
        let set = |set: &BTreeSet<MemberNumber>| {
            set.iter().fold(0, |bits: u8, number| bits | 1 << name(*number))
        };
        let mut members: Vec<[u8; 3]> = self
            .roster
            .members()
            .map(|(number, member)| {
                let standing = match member.standing {
                    Standing::Active => 0,
                    Standing::Suspended(_) => 1,
                    Standing::Ended(_) => 2,
                };
                [name(number), u8::from(member.role == Role::Coordinator), standing]
            })
            .collect();
        members.sort_unstable();
        let mut waiting: Vec<[u8; 5]> = self
            .roster
            .proposals()
            .map(|(_, it)| {
                let (kind, about, what) = match &it.change {
                    Proposed::Admit(_) => (1, 0, 0),
                    Proposed::Role(role) => (2, name(role.member), 0),
                    Proposed::Restore(target) => (3, name(member_of(*target)), 0),
                    Proposed::Remove(member) => (4, name(*member), 0),
                    Proposed::Device(new) => (7, name(new.member), 0),
                    Proposed::Forget(forgetting) => (8, name(forgetting.member), 0),
                    Proposed::Policy(policy) => (5, 0, u8::try_from(policy.approvals).unwrap()),
                };
                [kind, about, what, name(it.by), set(&it.approved)]
            })
            .collect();
        let undecided = self
            .roster
            .undecided()
            .map(|(_, it)| [6, name(it.member), 0, name(it.by), set(&it.approved)]);
        waiting.extend(undecided);
        waiting.sort_unstable();
        let m = u8::try_from(self.m()).unwrap();
        [vec![m], members.concat(), vec![0], waiting.concat()].concat()
    }
}

/// How far one gets: every order of that many entries. One more takes six times as long.
const DEPTH: usize = 5;
/// Fewer would mean that the search has gone blind.
const STATES_MIN: usize = 10_000;

#[test]
fn no_order_of_events_lets_one_coordinator_past_the_others() {
    let cast = Cast::new();
    let start = cast.start();
    let mut seen = HashSet::from([start.key()]);
    let mut frontier = vec![start];
    let (mut steps, mut refusals, mut effects) = (0_u64, 0_u64, BTreeSet::new());
    for _ in 0..DEPTH {
        let mut reached = Vec::new();
        for state in &frontier {
            state.check();
            for change in cast.changes(state) {
                for author in (1..=PEOPLE).map(MemberNumber) {
                    let Ok(next) = cast.step(state, author, &change) else {
                        refusals += 1;
                        continue;
                    };
                    steps += 1;
                    state.check_step(author, &change, &next);
                    effects.extend(state.effects(&next));
                    if seen.insert(next.key()) {
                        reached.push(next);
                    }
                }
            }
        }
        frontier = reached;
    }
    frontier.iter().for_each(State::check);
    assert!(seen.len() > STATES_MIN && refusals > steps);
    assert!(effects.len() > 10, "each kind of effect was met: {effects:?}");
}
