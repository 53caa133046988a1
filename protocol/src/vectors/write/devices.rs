//! Logs of members with several devices, one of them a spare. Only the last entry is at fault.

use super::lives::{Life, MEMBER, member};
use super::write;
use crate::change::{Change, Policy};
use crate::entry::Entry;
use crate::id::DeviceId;
use crate::world::{
    TestDevice, add_device, next_lock, record_file, recovery, retire, set_role, suspend,
};

/// The member's further devices.
const PHONE: u8 = 6;
const SPARE: u8 = 7;
const NEXT: u8 = 8;

pub(super) fn write_all() {
    life_of_devices();
    refused();
    spares();
}

fn id(seed: u8) -> DeviceId {
    TestDevice::new(seed).id()
}

/// The member's spare is shared among the three coordinators.
fn with_spare() -> Life {
    let mut life = Life::new();
    life.does(MEMBER, &add_device(&TestDevice::new(SPARE)));
    let shares = shares(&life, &[0, 1, 2]);
    life.does(MEMBER, &shares);
    life
}

fn shares(life: &Life, helpers: &[usize]) -> Change {
    let helpers: Vec<DeviceId> = helpers.iter().map(|who| life.people[*who].id()).collect();
    Change::Recovery(recovery(id(SPARE), 2, &helpers))
}

/// What a device makes and the log takes.
fn does(life: &mut Life, seed: u8, change: &Change) {
    life.world.change(&TestDevice::new(seed), change).unwrap();
}

/// Added, retired, shared, brought back by the spare: all of it admitted.
fn life_of_devices() {
    let mut life = with_spare();
    life.does(MEMBER, &add_device(&TestDevice::new(PHONE)));
    life.world.record(&TestDevice::new(PHONE)).unwrap();
    life.world.record(&life.people[MEMBER]).unwrap();
    does(&mut life, SPARE, &add_device(&TestDevice::new(NEXT)));
    does(&mut life, SPARE, &retire(id(PHONE)));
    let laptop = retire(life.people[MEMBER].id());
    does(&mut life, SPARE, &laptop);
    does(&mut life, SPARE, &retire(id(SPARE)));
    let lock = next_lock(life.world.committee.roster());
    does(&mut life, NEXT, &lock);
    life.world.record(&TestDevice::new(NEXT)).unwrap();
    let root = life.world.committee.root().to_string();
    let comment = "a spare shared, a phone added, both lost, and their owner brought back";
    write("log", "devices", "success", &[("comment", comment), ("root", &root)], &life.world.log);
}

fn refused() {
    let mut life = Life::new();
    let theirs = retire(life.people[MEMBER].id());
    life.tries(0, &theirs);
    life.written(
        "retired_by_another",
        "Change(NotOwnDevice",
        "M5: a coordinator retires a member's",
    );

    let mut life = Life::new();
    let policy = *life.world.committee.roster().policy();
    let proposed =
        life.does(0, &Change::Policy(Policy { device_needs_coordinator: true, ..policy }));
    life.approves(1, proposed);
    life.does(MEMBER, &add_device(&TestDevice::new(PHONE)));
    let header = life.world.record_header(&life.people[MEMBER]);
    let header = crate::entry::Header { author: id(PHONE), ..header };
    let entry = Entry::sign(header, record_file(), &TestDevice::new(PHONE).signing);
    life.world.log.push(entry.encode());
    life.written(
        "device_waits",
        "UnknownAuthor",
        "a further device writes before a coordinator let it",
    );

    let mut life = Life::new();
    for seed in 20..24 {
        life.does(MEMBER, &add_device(&TestDevice::new(seed)));
    }
    life.tries(MEMBER, &add_device(&TestDevice::new(PHONE)));
    life.written(
        "sixth_device",
        "Change(TooManyOwnDevices",
        "a member with more than five devices",
    );
}

fn spares() {
    let mut life = with_spare();
    let spare = TestDevice::new(SPARE);
    let entry = Entry::sign(life.world.record_header(&spare), record_file(), &spare.signing);
    life.world.log.push(entry.encode());
    life.written("spare_writes", "NotEntitled", "X3b: a rebuilt spare writes a record");

    let mut life = with_spare();
    let raised =
        life.does(0, &set_role(crate::id::MemberNumber(4), crate::change::Role::Coordinator));
    life.approves(1, raised);
    life.tries_as(&TestDevice::new(SPARE), &suspend(member(1)));
    life.written("spare_suspends", "Change(BySpare", "X3b: a coordinator's rebuilt spare suspends");

    let mut life = with_spare();
    life.does(0, &suspend(member(2)));
    life.tries_as(&TestDevice::new(SPARE), &add_device(&TestDevice::new(NEXT)));
    life.written("spare_of_ended_helper", "NotActive", "X3b: a helper was suspended");

    let mut life = with_spare();
    life.does(0, &suspend(member(4)));
    life.tries_as(&TestDevice::new(SPARE), &add_device(&TestDevice::new(NEXT)));
    life.written("spare_of_suspended", "NotActive", "X3b: its owner was suspended");

    let mut life = with_spare();
    let again = shares(&life, &[0, 1]);
    life.tries(MEMBER, &again);
    life.written("spare_shared_again", "Change(SharedAlready", "X3b: the same seed shared anew");

    let mut life = Life::new();
    life.does(MEMBER, &add_device(&TestDevice::new(SPARE)));
    life.does(MEMBER, &add_device(&TestDevice::new(PHONE)));
    let helpers = [id(PHONE), life.people[0].id()];
    life.tries(MEMBER, &Change::Recovery(recovery(id(SPARE), 2, &helpers)));
    life.written("share_to_own", "Change(Shares", "a share for the owner's other device");

    let mut life = Life::new();
    life.does(MEMBER, &add_device(&TestDevice::new(SPARE)));
    let helpers = [life.people[1].id(), life.people[0].id()];
    life.tries(MEMBER, &Change::Recovery(recovery(id(SPARE), 1, &helpers)));
    life.written("threshold_one", "Change(Threshold", "one share alone would be the owner's key");
}
