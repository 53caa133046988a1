//! Whole logs, of which only the last entry is at fault.

use super::write;
use crate::change::{Change, Role};
use crate::codec;
use crate::entry::{Entry, Header, Kind};
use crate::hash::Hash;
use crate::id::{Epoch, Term, TreeSize};
use crate::world::{TestDevice, World, lock, record_file};

/// Logs whose last entry is the one in question.
pub(super) fn write_all() {
    let sound = || {
        let people = [1, 2, 3].map(TestDevice::new);
        let mut world = World::found(&people[0]);
        world.admit(&people[0], &people[1], Role::Member).unwrap();
        world.admit(&people[0], &people[2], Role::Reader).unwrap();
        world.record(&people[1]).unwrap();
        (world, people)
    };
    let (mut world, people) = sound();
    let devices = world.active();
    world.change(&people[0], &Change::Lock(Box::new(lock(201, &devices, true)))).unwrap();
    world.record(&people[1]).unwrap();
    let root = world.committee.root().to_string();
    let fields =
        [("comment", "found, two admissions, a record, a lock, a record"), ("root", &root)];
    write("log", "sound", "success", &fields, &world.log);

    type Alter = fn(&mut Header);
    let refused: [(&str, &str, &str, Alter); 9] = [
        ("other_committee", "OtherCommittee", "R6: another committee's", |header| {
            header.committee.0 = Hash::of(b"another");
        }),
        ("other_term", "OtherTerm", "signed for term 2", |header| header.term = Term(2)),
        ("gap", "AuthorChain", "R1: the author's entry before it is missing", |header| {
            header.author_seq = header.author_seq.next();
        }),
        ("author_prev", "AuthorChain", "M10: the author's chain forks", |header| {
            header.author_prev = Hash::of(b"another");
        }),
        ("seen_ahead", "SeenOutOfRange", "has seen a longer log than there is", |header| {
            header.seen.size = TreeSize(99);
        }),
        ("seen_disputed", "Disputed", "R5: has seen another log of this size", |header| {
            header.seen.root = Hash::of(b"another");
        }),
        ("old_epoch", "StaleEpoch", "X1: sealed under an epoch not in force", |header| {
            header.epoch = Epoch(0);
        }),
        ("roster_head", "StaleRoster", "R8: names a roster entry that is not there", |header| {
            header.roster_head.leaf = Hash::of(b"another");
        }),
        ("no_content", "Content", "a record without content root", |header| {
            header.content = Hash::ZERO;
        }),
    ];
    for (name, expect, comment, alter) in refused {
        let (mut world, people) = sound();
        let mut header = world.record_header(&people[1]);
        alter(&mut header);
        world.log.push(Entry::sign(header, record_file(), &people[1].signing).encode());
        write("log", name, expect, &[("comment", comment)], &world.log);
    }
    last("reader", "NotEntitled", "M5: a reader writes", sound(), |world, people| {
        Entry::sign(world.record_header(&people[2]), record_file(), &people[2].signing)
    });
    last(
        "forged",
        "BadSignature",
        "M1: signed by another than its author",
        sound(),
        |world, people| {
            Entry::sign(world.record_header(&people[1]), record_file(), &people[0].signing)
        },
    );
    last(
        "work_factor",
        "Payload(WorkFactor",
        "M3: scrypt work factor 20",
        sound(),
        |world, people| {
            let bomb = String::from_utf8_lossy(&record_file()).replacen(" 1\n", " 20\n", 1);
            Entry::sign(world.record_header(&people[1]), bomb.into_bytes(), &people[1].signing)
        },
    );
    last(
        "self_admission",
        "Change(NotCoordinator",
        "R9: a member admits",
        sound(),
        |world, people| {
            let friend = TestDevice::new(9);
            let change = Change::Admit(Box::new(world.admission(&friend, Role::Member)));
            let header = world.header(people[1].id(), Kind::Roster);
            Entry::sign(header, codec::encode(&change), &people[1].signing)
        },
    );
    last(
        "one_grant_too_many",
        "Change(Grants",
        "M4: a lock for a stranger too",
        sound(),
        |world, people| {
            let devices = [world.active(), vec![TestDevice::new(9).id()]].concat();
            let change = Change::Lock(Box::new(lock(201, &devices, true)));
            let header = world.header(people[0].id(), Kind::Roster);
            Entry::sign(header, codec::encode(&change), &people[0].signing)
        },
    );
}

fn last(
    name: &str,
    expect: &str,
    comment: &str,
    (mut world, people): (World, [TestDevice; 3]),
    entry: impl FnOnce(&World, &[TestDevice; 3]) -> Entry,
) {
    let entry = entry(&world, &people).encode();
    world.log.push(entry);
    write("log", name, expect, &[("comment", comment)], &world.log);
}
