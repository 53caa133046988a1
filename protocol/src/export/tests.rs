use crate::change::Role;
use crate::vectors::for_each_vector;
use crate::world::{TestDevice, World};

use super::*;

/// Reads an export whose bytes come in pieces of that size.
fn read(export: &[u8], step: usize) -> Result<VerifiedExport, PeerExportError> {
    let (mut reader, mut taken) = (PartReader::default(), UnverifiedExport::default());
    for piece in export.chunks(step) {
        reader.push(piece);
        while let Some(part) = reader.next_part()? {
            taken.take(part)?;
        }
    }
    reader.finish()?;
    taken.finish()
}

fn people() -> [TestDevice; 3] {
    [1, 2, 3].map(TestDevice::new)
}

/// A log with a blob in it.
fn world(people: &[TestDevice; 3]) -> World {
    let mut world = World::found(&people[0]);
    world.admit(&people[0], &people[1], Role::Member).unwrap();
    let mut header = world.record_header(&people[1]);
    header.blobs = vec![Blob { sha256: Hash::of(b"scan"), size: 4 }];
    let record = crate::world::record_file();
    world.push(&crate::entry::Entry::sign(header, record, &people[1].signing)).unwrap();
    world.record(&people[0]).unwrap();
    world
}

#[test]
fn the_export_vectors_come_out_as_they_say() {
    for_each_vector("export", |vector| {
        let export = vector.body_hex();
        if let Some(verified) = vector.assert(read(&export, export.len())) {
            assert_eq!(verified.fold().root().to_string(), vector.field("root"));
        }
    });
}

#[test]
fn an_export_says_the_same_in_whatever_pieces_it_comes() {
    let people = people();
    let world = world(&people);
    let export = world.export(&[&people[0], &people[1]]);
    for step in [1, 4, 1_000, export.len()] {
        let verified = read(&export, step).unwrap();
        assert_eq!(*verified.fold(), world.committee);
        assert_eq!(*verified.note().checkpoint(), world.checkpoint());
        assert_eq!(verified.cosignatures().len(), 2);
        assert_eq!(verified.root_at(world.committee.size()), Some(world.committee.root()));
        assert_eq!(verified.leaf_at(LeafIndex(0)), Some(world.committee.id().0));
        let blob = Blob { sha256: Hash::of(b"scan"), size: 4 };
        assert_eq!(verified.blobs(), [(blob.sha256, (people[1].id(), blob))].into());
    }
}

#[test]
fn an_export_that_ends_anywhere_is_cut_short() {
    let export = World::found(&people()[0]).export(&[]);
    for end in 0..export.len() {
        assert_eq!(read(&export[..end], 512).unwrap_err(), PeerExportError::CutOff, "{end}");
    }
}

#[test]
fn every_flipped_bit_of_an_export_is_refused() {
    let people = people();
    let export = World::found(&people[0]).export(&[&people[0]]);
    // A bit of each byte of the note, of some of the entry's, of each of the cosignature's.
    let dense = 400;
    let places = (0..dense).chain((dense..export.len() - dense).step_by(61));
    for at in places.chain(export.len() - dense..export.len()) {
        let mut flipped = export.clone();
        flipped[at] ^= 1 << (at % 8);
        assert!(read(&flipped, export.len()).is_err(), "byte {at}");
    }
}

#[test]
fn what_a_record_names_that_is_forgotten_is_not_asked_for() {
    let people = people();
    let mut world = world(&people);
    let (index, leaf) = (LeafIndex(2), world.past().entry_at(LeafIndex(2)).unwrap().leaf);
    world.forget(&people[1], crate::forget::Forget { index, leaf }).unwrap();
    let verified = read(&world.export(&[]), 4_096).unwrap();
    assert!(verified.is_forgotten(index) && verified.blobs().is_empty());
    assert_eq!(verified.forgets(LeafIndex(4)), Some(index));
    assert_eq!(verified.forgets(LeafIndex(3)), None);
}
