use super::super::disk::faulty::FaultyDisk;
use super::super::frame::PlacedEntry;
use super::*;

fn committee(seed: u8) -> CommitteeId {
    CommitteeId(Hash([seed; 32]))
}

fn device(seed: u8) -> DeviceId {
    DeviceId(Hash([seed; 32]))
}

fn mark(sequence: u64) -> Mark {
    Mark { place: FramePlace { segment: 1, offset: 44, len: 500, crc: 7 }, sequence }
}

/// `count` entries of one author, 100 bytes each, from `first` on.
fn appended(first: u64, count: u8) -> Appended {
    let entry = |number: u8| PlacedEntry {
        leaf_hash: Hash([number; 32]),
        author: device(1),
        author_seq: AuthorSeq(first + u64::from(number)),
        blobs: Vec::new(),
        dropped: false,
        offset: 50 + 100 * u32::from(number),
        len: 100,
    };
    let entries = (0..count).map(entry).collect();
    Appended { committee: committee(1), first: LeafIndex(first), entries }
}

fn filled() -> Index {
    let index = Index::open(None).unwrap();
    let mut batch = IndexBatch::default();
    batch.append(0, 1, 44, &appended(0, 5));
    batch.append(1, 1, 1_000, &appended(0, 1));
    batch.committee(committee(1), Indexed { number: 0, size: TreeSize(5) });
    let note = |key: &[u8], value: Option<&'static [u8]>| NoteChange {
        key: key.to_vec(),
        value: value.map(Bytes::from_static),
    };
    batch.note(&note(b"kept", Some(b"value")));
    batch.note(&note(b"gone", Some(b"value")));
    batch.note(&note(b"gone", None));
    index.apply(batch, &mark(9)).unwrap();
    index
}

#[test]
fn what_was_indexed_is_known_at_the_next_start() {
    let index = filled();
    let contents = index.contents().unwrap().unwrap();
    assert_eq!(contents.mark, Some(mark(9)));
    let indexed = Indexed { number: 0, size: TreeSize(5) };
    assert_eq!(contents.committees, [(committee(1), indexed)]);
    assert_eq!(contents.notes, [(b"kept".to_vec(), Bytes::from_static(b"value"))]);
}

#[test]
fn places_come_in_order_within_the_bytes_asked_for() {
    let index = filled();
    let places = |from, max| index.places(0, LeafIndex(from), max).unwrap();
    let offsets = |places: Vec<Place>| places.iter().map(|place| place.offset).collect::<Vec<_>>();
    assert_eq!(offsets(places(1, 250)), [194, 294]);
    assert_eq!(offsets(places(3, 1)), [394], "at least one");
    assert_eq!(offsets(places(0, usize::MAX)), [94, 194, 294, 394, 494], "of this committee only");
    assert!(places(5, 1).is_empty());
}

#[test]
fn authors_are_found_in_their_own_committee() {
    let index = filled();
    let at = index.find(0, device(1), AuthorSeq(3)).unwrap();
    assert_eq!(at, Some((LeafIndex(3), Hash([3; 32]))));
    for (number, author, seq) in [(0, device(1), 5), (0, device(2), 0), (1, device(1), 1)] {
        assert_eq!(index.find(number, author, AuthorSeq(seq)).unwrap(), None);
    }
}

#[test]
fn blobs_are_found_by_the_committee_whose_entries_name_them() {
    let index = filled();
    let blob = |number| Blob { sha256: Hash([number; 32]), size: 1_000 + u64::from(number) };
    let mut appended = appended(5, 3);
    appended.entries[0].blobs = vec![blob(9), blob(7)];
    appended.entries[2].blobs = vec![blob(7)];
    let mut batch = IndexBatch::default();
    batch.append(0, 1, 44, &appended);
    index.apply(batch, &mark(10)).unwrap();
    assert_eq!(index.blob(0, Hash([7; 32])).unwrap(), Some(blob(7)));
    assert_eq!(index.blob(0, Hash([8; 32])).unwrap(), None);
    assert_eq!(index.blob(1, Hash([7; 32])).unwrap(), None);
    assert_eq!(index.blobs(0).unwrap(), [blob(7), blob(9)], "each once");
    assert_eq!(index.blobs(1).unwrap(), []);
}

#[test]
fn a_forgotten_entry_names_no_blobs_from_then_on() {
    let index = filled();
    let blob = |number| Blob { sha256: Hash([number; 32]), size: 1_000 + u64::from(number) };
    let mut appended = appended(5, 3);
    appended.entries[0].blobs = vec![blob(7), blob(9)];
    appended.entries[1].blobs = vec![blob(7)];
    // As it is found when the index is made anew.
    appended.entries[2].blobs = vec![blob(8)];
    appended.entries[2].dropped = true;
    let mut batch = IndexBatch::default();
    batch.append(0, 1, 44, &appended);
    batch.forget(0, LeafIndex(5));
    index.apply(batch, &mark(10)).unwrap();
    for _ in 0..2 {
        assert_eq!(index.blob(0, Hash([7; 32])).unwrap(), Some(blob(7)), "another names it");
        assert_eq!(index.blob(0, Hash([9; 32])).unwrap(), None);
        assert_eq!(index.blobs(0).unwrap(), [blob(7)]);
        if let Some(pending) = index.forgotten().unwrap().first() {
            assert_eq!(*pending, (0, LeafIndex(5)));
            let contents = index.contents().unwrap().unwrap();
            assert_eq!(contents.forgotten, [(0, LeafIndex(5))]);
            index.dropped(0, LeafIndex(5), &[Hash([7; 32]), Hash([9; 32])]);
        }
    }
    assert_eq!(index.forgotten().unwrap(), []);
}

#[test]
fn an_index_of_another_version_or_without_a_mark_is_none() {
    let index = Index::open(None).unwrap();
    assert!(index.contents().unwrap().is_none());
    let index = filled();
    index.with(|database| database.insert(MARK, &b"another version"[..])).unwrap();
    assert!(index.contents().unwrap().is_none());
}

#[test]
fn a_panic_in_sled_is_an_error_of_the_index() {
    let index = filled();
    let panicked = index.with(|_| -> sled::Result<()> { panic!("as sled does on some damage") });
    assert!(matches!(panicked, Err(StoreError::StoreIndex(_))), "{panicked:?}");
    assert!(index.contents().unwrap().is_some(), "and the next question is answered");
}

#[test]
fn a_closed_index_says_so() {
    let index = filled();
    index.close();
    assert!(matches!(index.contents(), Err(StoreError::StoreStopped)));
}

#[test]
fn an_opening_that_never_ended_is_found_with_what_was_durable_then() {
    let disk = FaultyDisk::new();
    let root = Path::new("/");
    let (opening, doubt) = Opening::begin(&disk, root, 0).unwrap();
    assert_eq!(doubt, None);
    opening.end().unwrap();
    let (_died, doubt) = Opening::begin(&disk, root, 7).unwrap();
    assert_eq!(doubt, None);
    for _ in 0..2 {
        let (_, doubt) = Opening::begin(&disk, root, 99).unwrap();
        assert_eq!(doubt, Some(7));
    }
}
