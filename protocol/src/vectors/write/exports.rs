//! Exports, each but for one thing sound.

use super::{find, with_byte, write};
use crate::change::Role;
use crate::codec;
use crate::entry::UnverifiedEntry;
use crate::forget::Forget;
use crate::hash::Hash;
use crate::id::TreeSize;
use crate::sign::SigningKey;
use crate::world::{TestDevice, World, export_of, relay_key};

pub(super) fn write_all() {
    let people = [1, 2, 3].map(TestDevice::new);
    let founded = World::found(&people[0]);
    let short = founded.export(&[&people[0]]);
    let root = founded.committee.root().to_string();
    let fields = [("comment", "a founding entry and its founder's cosignature"), ("root", &root)];
    write("export", "sound", "success", &fields, std::slice::from_ref(&short));

    refused("magic", "Magic", "another kind of file", with_byte(&short, 0, b'S'));
    refused("version_2", "NewerVersion", "of version 2", with_byte(&short, 13, b'2'));
    let entry = find(&short, &founded.log[0]);
    let long = [&short[..entry - 4], &[0xff; 4], &short[entry..]].concat();
    refused("entry_long", "TooLarge", "an entry that claims 4 GiB", long);
    refused("cut_in_note", "CutOff", "ends in the note", short[..60].to_vec());
    refused("cut_in_entry", "CutOff", "ends in an entry", short[..entry + 99].to_vec());
    let end = short.len() - 4;
    refused("cut_before_end", "CutOff", "ends before the empty part", short[..end].to_vec());
    refused("trailing", "Trailing", "a byte behind the end", [&short[..], &[0]].concat());
    let mut empty = founded.checkpoint();
    empty.size = TreeSize(0);
    let text = empty.sign(&relay_key()).text().to_owned();
    refused("no_entries", "Empty", "a note over no entries", export_of(&text, &[], &[]));

    notes(&founded, &people);
    cosignatures(&founded, &people);
    entries(&people);
}

fn notes(world: &World, people: &[TestDevice; 3]) {
    let of =
        |note: &str| export_of(note, &world.log, &[codec::encode(&world.cosigned(&people[0]))]);
    let other = SigningKey::from_bytes(&[91; 32]);
    let note = world.checkpoint().sign(&other).text().to_owned();
    refused("note_of_another_relay", "Note(OtherKey", "signed by another relay", of(&note));
    let mut root = world.checkpoint();
    root.root = Hash::of(b"another");
    let note = root.sign(&relay_key()).text().to_owned();
    refused("note_of_other_entries", "OtherRoot", "over another root", of(&note));
    let mut term = world.checkpoint();
    term.origin.term = term.origin.term.next();
    let note = term.sign(&relay_key()).text().to_owned();
    refused("note_of_other_term", "Note(OtherOrigin", "of another term", of(&note));
}

fn cosignatures(world: &World, people: &[TestDevice; 3]) {
    let note = world.checkpoint().sign(&relay_key());
    let of = |kept: &[Vec<u8>]| export_of(note.text(), &world.log, kept);
    let own = codec::encode(&world.cosigned(&people[0]));
    let stranger = codec::encode(&world.cosigned(&people[1]));
    let (name, other) = ("cosignature_of_stranger", "OtherCosignature");
    refused(name, other, "by a device that was never here", of(&[stranger]));
    let twice = of(&[own.clone(), own.clone()]);
    refused("cosignature_twice", other, "one device twice", twice);
    let mut elsewhere = world.cosigned(&people[0]);
    elsewhere.root = Hash::of(b"another");
    let elsewhere = of(&[codec::encode(&elsewhere)]);
    refused("cosignature_of_other_root", other, "over another root", elsewhere);
    let mut forged = world.cosigned(&people[0]);
    forged.size = TreeSize(0);
    forged.root = Hash::of(b"");
    let forged = of(&[codec::encode(&forged)]);
    let (name, expect) = ("cosignature_forged", "Cosignature(Signature");
    refused(name, expect, "says another size than was signed", forged);
    let no_map = of(&[b"\x80".to_vec()]);
    refused("cosignature_no_map", "CosignatureCodec", "an array", no_map);
}

/// A log with a forgotten record, and what may be done to it.
fn entries(people: &[TestDevice; 3]) {
    let mut world = World::found(&people[0]);
    world.admit(&people[0], &people[1], Role::Member).unwrap();
    let record = world.record(&people[1]).unwrap();
    let forget = Forget { index: record.index, leaf: record.entry.leaf() };
    world.record(&people[0]).unwrap();
    let at = 2;
    let bare = UnverifiedEntry::decode(&world.log[at]).unwrap().with_payload_dropped().encode();

    let mut withheld = world.log.clone();
    withheld[at].clone_from(&bare);
    let note = world.checkpoint().sign(&relay_key());
    let of = |log: &[Vec<u8>]| export_of(note.text(), log, &[]);
    refused("withheld", "Withheld", "a payload is missing and not forgotten", of(&withheld));
    let mut swapped = world.log.clone();
    swapped.swap(2, 3);
    refused("swapped", "Refused", "two entries in the other order", of(&swapped));
    let mut dropped = world.log.clone();
    dropped.remove(at);
    refused("dropped", "Refused", "an entry is left out", of(&dropped));
    let mut flipped = world.log.clone();
    let last = flipped[at].len() - 1;
    flipped[at][last] ^= 1;
    refused("flipped", "Entry", "a bit of a payload is flipped", of(&flipped));

    world.forget(&people[1], forget).unwrap();
    world.log[at] = bare;
    let root = world.committee.root().to_string();
    let fields = [("comment", "a forgotten record"), ("root", &root)];
    write("export", "forgotten", "success", &fields, &[world.export(&[])]);
}

fn refused(name: &str, expect: &str, comment: &str, export: Vec<u8>) {
    write("export", name, expect, &[("comment", comment)], &[export]);
}
