//! What every backend must do: one suite over the seam, for the embedded store, for the
//! fault-injecting disk, and for any backend to come.
//!
//! Each check takes an empty store and panics with what it missed. What happens at a power cut is
//! the backend's own matter and tested there.

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use sealpost_protocol::entry::{
    Blob, Entry, Header, Kind, RosterHead, Seen, UnverifiedEntry, VERSION,
};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{
    AuthorSeq, CommitteeId, DeviceId, Epoch, LeafIndex, Term, TreeSize, UnixMillis,
};
use tokio::sync::mpsc;

use super::{
    Append, AppendError, Begun, BlobError, BlobRead, BlobStore, BlobUpload, Commit, CommitError,
    LogStore, Nodes, NoteStore, StoreError, StoredEntry,
};

/// Runs all checks on an empty store.
pub async fn run<S: LogStore + NoteStore + BlobStore + Clone>(store: &S) {
    store.ready().expect("an empty store takes writes");
    an_unknown_committee_is_an_empty_log(store).await;
    entries_are_read_as_they_came(store).await;
    the_expected_size_decides(store).await;
    order_of_queueing_is_order_of_the_log(store).await;
    concurrent_writers_lose_nothing(store).await;
    authors_find_their_entries(store).await;
    what_is_forgotten_is_given_without_its_payload(store).await;
    what_was_forgotten_before_it_came_is_kept_as_it_came(store).await;
    a_blob_is_there_as_long_as_an_entry_names_it_that_is_not_forgotten(store).await;
    nodes_are_those_of_rfc_6962(store).await;
    snapshots_are_replaced_and_never_ahead(store).await;
    cosignatures_are_kept_by_device(store).await;
    checkpoints_are_remembered(store).await;
    notes_change_together_or_not_at_all(store).await;
    a_blob_is_given_as_it_came_once_it_is_named(store).await;
    an_upload_goes_on_where_its_device_was(store).await;
    what_is_not_the_blob_is_thrown_away(store).await;
    an_entry_is_held_to_what_its_own_device_sent(store).await;
    a_newer_upload_takes_over(store).await;
}

/// An invented committee.
pub fn committee(name: &str) -> CommitteeId {
    CommitteeId(Hash::of_parts(&[b"committee ", name.as_bytes()]))
}

/// An invented device.
pub fn device(name: &str) -> DeviceId {
    DeviceId(Hash::of_parts(&[b"device ", name.as_bytes()]))
}

/// The `seq`th entry of an invented author, `len` bytes long.
pub fn entry(author: DeviceId, seq: u64, len: usize) -> StoredEntry {
    let seed = Hash::of_parts(&[author.as_bytes(), &seq.to_be_bytes()]);
    let bytes: Vec<u8> = seed.0.iter().copied().cycle().take(len).collect();
    StoredEntry {
        leaf_hash: Hash::of_parts(&[&[0x00], &bytes]),
        author,
        author_seq: AuthorSeq(seq),
        blobs: Vec::new(),
        bytes: Bytes::from(bytes),
        dropped: false,
    }
}

fn append(committee: CommitteeId, expected: u64, entries: Vec<StoredEntry>) -> Append {
    Append { committee, expected: TreeSize(expected), entries, forgets: Vec::new() }
}

/// The `seq`th record of an invented author, with a payload that may be forgotten.
///
/// # Panics
/// Never: it is signed with a key of its own.
pub fn record(seq: u64, blobs: Vec<Blob>) -> StoredEntry {
    let key = SigningKey::from_bytes(&[77; 32]);
    let none = Seen { size: TreeSize(0), root: Hash::ZERO };
    let header = Header {
        version: VERSION,
        committee: committee("records"),
        term: Term(1),
        kind: Kind::Record,
        author: device("records"),
        author_seq: AuthorSeq(seq),
        author_prev: Hash::ZERO,
        seen: none,
        roster_head: RosterHead::NONE,
        epoch: Epoch(1),
        made_at: UnixMillis(0),
        payload_len: 0,
        payload_sha256: Hash::ZERO,
        content: Hash::of(b"content"),
        blobs,
    };
    let payload = format!("payload {seq}").repeat(100).into_bytes();
    let entry = Entry::sign(header, payload, &key);
    StoredEntry {
        leaf_hash: entry.leaf(),
        author: device("records"),
        author_seq: AuthorSeq(seq),
        blobs: entry.header().blobs.clone(),
        bytes: Bytes::from(entry.encode()),
        dropped: false,
    }
}

/// A record as it is given when it was forgotten.
///
/// # Panics
/// When it is no entry.
pub fn forgotten(record: &StoredEntry) -> Bytes {
    let entry = UnverifiedEntry::decode(&record.bytes).expect("it is an entry");
    entry.with_payload_dropped().encode().into()
}

/// Appends records, and makes others forgotten.
async fn append_records<S: LogStore>(
    store: &S,
    name: &str,
    size: u64,
    entries: Vec<StoredEntry>,
    forgets: &[u64],
) -> Result<TreeSize, AppendError> {
    let forgets = forgets.iter().copied().map(LeafIndex).collect();
    store.append(Append { forgets, ..append(committee(name), size, entries) }).await
}

async fn what_is_forgotten_is_given_without_its_payload<S: LogStore>(store: &S) {
    let name = "forgetting";
    let records: Vec<StoredEntry> = (0..6).map(|seq| record(seq, Vec::new())).collect();
    append_records(store, name, 0, records[..3].to_vec(), &[]).await.expect("accepts");
    let ahead = append_records(store, name, 3, records[3..4].to_vec(), &[3]).await;
    assert!(matches!(ahead, Err(AppendError::LocalForgets)), "itself: {ahead:?}");
    append_records(store, name, 3, records[3..5].to_vec(), &[0, 2]).await.expect("accepts");
    // Once more is nothing.
    append_records(store, name, 5, records[5..].to_vec(), &[2]).await.expect("accepts");
    let id = committee(name);
    loop {
        // Whether or not the disk has it still.
        let pending = store.forget_counts().pending;
        let expected: Vec<Bytes> = (0..)
            .zip(&records)
            .map(|(at, record)| match at {
                0 | 2 => forgotten(record),
                _ => record.bytes.clone(),
            })
            .collect();
        assert_eq!(read_all(store, id).await, expected);
        for (at, record) in (0..).zip(&records) {
            let found = store.index_of(id, record.author, record.author_seq).await;
            assert_eq!(found.expect("answers"), Some((LeafIndex(at), record.leaf_hash)));
            let node = store.nodes(id).node(2 * at - u64::from(at.count_ones()));
            assert_eq!(node.expect("answers"), record.leaf_hash);
        }
        if pending == 0 {
            break;
        }
    }
}

async fn what_was_forgotten_before_it_came_is_kept_as_it_came<S: LogStore>(store: &S) {
    let (name, whole, forget) = ("forgotten before", record(0, Vec::new()), record(1, Vec::new()));
    let came = StoredEntry { bytes: forgotten(&whole), dropped: true, ..whole.clone() };
    append_records(store, name, 0, vec![came], &[]).await.expect("accepts");
    append_records(store, name, 1, vec![forget.clone()], &[0]).await.expect("accepts");
    let read = read_all(store, committee(name)).await;
    assert_eq!(read, [forgotten(&whole), forget.bytes]);
}

async fn a_blob_is_there_as_long_as_an_entry_names_it_that_is_not_forgotten<
    S: LogStore + BlobStore,
>(
    store: &S,
) {
    let name = "forgotten blobs";
    let (shared, own) = (file(8, 3_000), file(9, 3_000));
    let pin = async |blobs: Vec<Blob>| {
        let pin = store.pin(committee(name), device("sender"), blobs).await;
        pin.expect("answers").expect("all of them are here")
    };
    for file in [&shared, &own] {
        send(store, name, "sender", file).await.expect("takes it");
    }
    let held = pin(vec![blob_of(&shared), blob_of(&own)]).await;
    let both =
        vec![record(0, vec![blob_of(&shared), blob_of(&own)]), record(1, vec![blob_of(&shared)])];
    append_records(store, name, 0, both, &[]).await.expect("accepts");
    drop(held);
    // An entry that is about to name it keeps it.
    let held = pin(vec![blob_of(&own)]).await;
    append_records(store, name, 2, vec![record(2, Vec::new())], &[0]).await.expect("accepts");
    assert_eq!(read_blob(store, name, Hash::of(&own)).await, None, "named by nothing now");
    assert!(read_blob(store, name, Hash::of(&shared)).await.as_ref() == Some(&shared));
    let again = vec![record(3, vec![blob_of(&own)])];
    append_records(store, name, 3, again, &[]).await.expect("accepts");
    drop(held);
    assert!(read_blob(store, name, Hash::of(&own)).await.as_ref() == Some(&own), "named again");
    // One that came to nothing does not.
    let held = pin(vec![blob_of(&own)]).await;
    append_records(store, name, 4, vec![record(4, Vec::new())], &[1, 3]).await.expect("accepts");
    drop(held);
    for file in [&shared, &own] {
        assert_eq!(read_blob(store, name, Hash::of(file)).await, None);
        let again = store.upload(committee(name), device("sender"), blob_of(file)).await;
        assert!(matches!(&again, Ok(Begun::At(upload)) if upload.offset() == 0), "{again:?}");
    }
}

async fn read_all<S: LogStore>(store: &S, committee: CommitteeId) -> Vec<Bytes> {
    let mut all = Vec::new();
    loop {
        let from = LeafIndex(all.len() as u64);
        let some = store.read(committee, from, 10_000).await.expect("reads what is there");
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

async fn an_unknown_committee_is_an_empty_log<S: LogStore>(store: &S) {
    let unknown = committee("never founded");
    assert_eq!(store.head(unknown).await, TreeSize(0));
    assert_eq!(read_all(store, unknown).await, Vec::<Bytes>::new());
    assert!(store.committees().await.iter().all(|(id, _)| *id != unknown));
    let found = store.index_of(unknown, device("nobody"), AuthorSeq(0)).await;
    assert_eq!(found.expect("answers"), None);
    assert!(store.nodes(unknown).node(0).is_err());
    assert_eq!(store.snapshot(unknown).await.expect("answers"), None);
    assert_eq!(store.cosignatures(unknown).await.expect("answers"), Vec::new());
    assert_eq!(store.last_checkpoint(unknown).expect("answers"), None);
}

async fn entries_are_read_as_they_came<S: LogStore>(store: &S) {
    let id = committee("read");
    let author = device("read");
    let sizes = [0, 1, 2_000, 70, 9_000, 12_345, 3];
    let entries: Vec<_> = (0..).zip(sizes).map(|(seq, len)| entry(author, seq, len)).collect();
    let bytes: Vec<Bytes> = entries.iter().map(|entry| entry.bytes.clone()).collect();
    let (one, rest) = entries.split_at(1);
    let size = store.append(append(id, 0, one.to_vec())).await.expect("accepts the first");
    assert_eq!(size, TreeSize(1));
    let size = store.append(append(id, 1, rest.to_vec())).await.expect("accepts the rest");
    assert_eq!((size, store.head(id).await), (TreeSize(7), TreeSize(7)));
    assert_eq!(read_all(store, id).await, bytes);
    assert!(store.committees().await.contains(&(id, TreeSize(7))));
    let at_least_one = store.read(id, LeafIndex(5), 1).await.expect("reads");
    assert_eq!(at_least_one, bytes[5..6]);
    let behind_the_end = store.read(id, LeafIndex(7), 1_000).await.expect("reads");
    assert!(behind_the_end.is_empty());
}

async fn the_expected_size_decides<S: LogStore>(store: &S) {
    let id = committee("expected");
    let author = device("expected");
    let first = append(id, 0, vec![entry(author, 0, 100)]);
    store.append(first.clone()).await.expect("accepts the first");
    let again = store.append(first).await;
    assert!(matches!(again, Err(AppendError::WrongSize { actual: TreeSize(1) })), "{again:?}");
    let ahead = store.append(append(id, 2, vec![entry(author, 1, 100)])).await;
    assert!(matches!(ahead, Err(AppendError::WrongSize { actual: TreeSize(1) })), "{ahead:?}");
    let nothing = store.append(append(id, 1, Vec::new())).await;
    assert!(matches!(nothing, Err(AppendError::LocalSize)), "{nothing:?}");
    assert_eq!(store.head(id).await, TreeSize(1));
}

async fn order_of_queueing_is_order_of_the_log<S: LogStore>(store: &S) {
    let id = committee("queued");
    let author = device("queued");
    let entries: Vec<_> = (0..20).map(|seq| entry(author, seq, 500)).collect();
    let waiting: Vec<_> = (0..)
        .zip(&entries)
        .map(|(size, entry)| (size + 1, store.append(append(id, size, vec![entry.clone()]))))
        .collect();
    let beside = store.append(append(id, 19, vec![entry(author, 99, 500)]));
    // Answers are asked for backwards: the order of waiting must not matter.
    for (size, answer) in waiting.into_iter().rev() {
        assert_eq!(answer.await.expect("accepts"), TreeSize(size));
    }
    let beside = beside.await;
    assert!(matches!(beside, Err(AppendError::WrongSize { actual: TreeSize(20) })), "{beside:?}");
    let bytes: Vec<Bytes> = entries.into_iter().map(|entry| entry.bytes).collect();
    assert_eq!(read_all(store, id).await, bytes);
    let dropped = append(id, 20, vec![entry(author, 20, 500)]);
    drop(store.append(dropped));
    let behind = store.append(append(id, 21, vec![entry(author, 21, 500)])).await;
    assert_eq!(behind.expect("a dropped future takes nothing back"), TreeSize(22));
}

async fn concurrent_writers_lose_nothing<S: LogStore + Clone>(store: &S) {
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..16_u64 {
        let store = store.clone();
        writers.spawn(async move {
            // Four writers a committee compete for each place.
            let id = committee(&format!("shared {}", writer % 4));
            let author = device(&format!("writer {writer}"));
            let mut expected = TreeSize(0);
            let mut seq = 0;
            while seq < 10 {
                match store.append(append(id, expected.0, vec![entry(author, seq, 300)])).await {
                    Ok(size) => (expected, seq) = (size, seq + 1),
                    Err(AppendError::WrongSize { actual }) => expected = actual,
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.expect("no writer fails");
    }
    for shared in 0..4_u64 {
        let id = committee(&format!("shared {shared}"));
        assert_eq!(store.head(id).await, TreeSize(40));
        let mut found = read_all(store, id).await;
        let mut sent: Vec<Bytes> = (0..16_u64)
            .filter(|writer| writer % 4 == shared)
            .flat_map(|writer| {
                let author = device(&format!("writer {writer}"));
                (0..10).map(move |seq| entry(author, seq, 300).bytes)
            })
            .collect();
        found.sort();
        sent.sort();
        assert_eq!(found, sent);
    }
}

async fn authors_find_their_entries<S: LogStore>(store: &S) {
    let (id, other) = (committee("authors"), committee("other authors"));
    let author = device("found");
    let entries: Vec<_> = (0..3).map(|seq| entry(author, seq, 50)).collect();
    store.append(append(id, 0, vec![entry(device("before"), 0, 50)])).await.expect("accepts");
    store.append(append(id, 1, entries.clone())).await.expect("accepts");
    store.append(append(other, 0, vec![entry(device("else"), 0, 50)])).await.expect("accepts");
    for (index, entry) in (1..).map(LeafIndex).zip(&entries) {
        let found = store.index_of(id, author, entry.author_seq).await.expect("answers");
        assert_eq!(found, Some((index, entry.leaf_hash)));
    }
    for (id, author, seq) in [(id, author, 3), (other, author, 0), (id, device("else"), 0)] {
        let found = store.index_of(id, author, AuthorSeq(seq)).await.expect("answers");
        assert_eq!(found, None);
    }
}

async fn nodes_are_those_of_rfc_6962<S: LogStore>(store: &S) {
    let id = committee("nodes");
    let entries: Vec<_> = (0..13).map(|seq| entry(device("nodes"), seq, 20)).collect();
    let (some, rest) = entries.split_at(6);
    store.append(append(id, 0, some.to_vec())).await.expect("accepts");
    store.append(append(id, 6, rest.to_vec())).await.expect("accepts");
    let nodes = store.nodes(id);
    let node = |position| nodes.node(position).expect("a node of the tree");
    for (leaf, entry) in (0_u64..).zip(&entries) {
        let position = 2 * leaf - u64::from(leaf.count_ones());
        assert_eq!(node(position), entry.leaf_hash);
        // Every parent this leaf completes is the hash of the two subtrees below it.
        for level in 1..=leaf.trailing_ones() {
            let left_leaf = leaf - (1 << (level - 1));
            let left = 2 * left_leaf - u64::from(left_leaf.count_ones()) + u64::from(level - 1);
            let right = position + u64::from(level - 1);
            let parent = Hash::of_parts(&[&[0x01], node(left).as_bytes(), node(right).as_bytes()]);
            assert_eq!(node(position + u64::from(level)), parent, "leaf {leaf} level {level}");
        }
    }
    assert!(nodes.node(2 * 13 - 3).is_err(), "one node behind the tree");
}

async fn snapshots_are_replaced_and_never_ahead<S: LogStore>(store: &S) {
    let id = committee("snapshots");
    let entries: Vec<_> = (0..2).map(|seq| entry(device("snapshots"), seq, 20)).collect();
    store.append(append(id, 0, entries)).await.expect("accepts");
    for (size, text) in [(1, "one"), (2, "two")] {
        let bytes = Bytes::from_static(text.as_bytes());
        store.put_snapshot(id, TreeSize(size), bytes.clone()).await.expect("keeps");
        assert_eq!(store.snapshot(id).await.expect("answers"), Some((TreeSize(size), bytes)));
    }
    store.put_snapshot(id, TreeSize(3), Bytes::from_static(b"ahead")).await.expect("keeps");
    assert_eq!(store.snapshot(id).await.expect("answers"), None);
}

async fn cosignatures_are_kept_by_device<S: LogStore>(store: &S) {
    let (id, other) = (committee("cosigned"), committee("cosigned too"));
    let (one, two) = (device("one"), device("two"));
    for (id, device, text) in [(id, one, "old"), (id, two, "2"), (other, one, "3"), (id, one, "1")]
    {
        let bytes = Bytes::from_static(text.as_bytes());
        store.put_cosignature(id, device, bytes).await.expect("keeps");
    }
    let mut kept = store.cosignatures(id).await.expect("answers");
    kept.sort_by_key(|(_, bytes)| bytes.clone());
    assert_eq!(kept, [(one, Bytes::from_static(b"1")), (two, Bytes::from_static(b"2"))]);
}

async fn checkpoints_are_remembered<S: LogStore>(store: &S) {
    let id = committee("checkpoints");
    let entries: Vec<_> = (0..3).map(|seq| entry(device("checkpoints"), seq, 20)).collect();
    store.append(append(id, 0, entries)).await.expect("accepts");
    for size in [1, 3, 2] {
        store.record_checkpoint(id, TreeSize(size), &format!("note {size}")).expect("records");
    }
    let last = store.last_checkpoint(id).expect("answers");
    assert_eq!(last, Some((TreeSize(3), "note 3".to_owned())), "the largest counts");
    store.record_checkpoint(id, TreeSize(3), "note 3").expect("the same again is no news");
    let other = store.record_checkpoint(id, TreeSize(3), "another root");
    assert!(matches!(other, Err(StoreError::StoreForked)), "{other:?}");
    assert_eq!(store.last_checkpoint(id).expect("answers"), last);
}

async fn notes_change_together_or_not_at_all<S: NoteStore>(store: &S) {
    let value = Bytes::from_static;
    let put = |pairs: &[(&str, &'static [u8])]| -> Vec<(Vec<u8>, Bytes)> {
        pairs.iter().map(|(key, bytes)| (key.as_bytes().to_vec(), value(bytes))).collect()
    };
    let first = Commit {
        require: vec![(b"n/1".to_vec(), None)],
        put: put(&[("n/1", b"one"), ("n/2", b"two"), ("o/1", b"other")]),
        delete: Vec::new(),
    };
    store.commit(first.clone()).await.expect("accepts");
    let again = store.commit(first).await;
    assert!(
        matches!(&again, Err(CommitError::RequireFailed { key }) if key == b"n/1"),
        "{again:?}"
    );
    let change = |required: &'static [u8]| Commit {
        require: vec![(b"n/1".to_vec(), Some(value(required)))],
        put: put(&[("n/3", b"three")]),
        delete: vec![b"n/1".to_vec(), b"never there".to_vec()],
    };
    assert!(store.commit(change(b"another")).await.is_err());
    assert_eq!(store.scan(b"n/").await.expect("answers"), put(&[("n/1", b"one"), ("n/2", b"two")]));
    // Queued changes count before they are durable.
    let (changed, refused) = (store.commit(change(b"one")), store.commit(change(b"one")));
    changed.await.expect("accepts");
    assert!(matches!(refused.await, Err(CommitError::RequireFailed { .. })));
    let left = store.scan(b"n/").await.expect("answers");
    assert_eq!(left, put(&[("n/2", b"two"), ("n/3", b"three")]));
    assert_eq!(store.get(b"n/1").await.expect("answers"), None);
    assert_eq!(store.get(b"o/1").await.expect("answers"), Some(value(b"other")));
    let too_long = Commit { put: vec![(vec![0; 257], value(b""))], ..Commit::default() };
    assert!(matches!(store.commit(too_long).await, Err(CommitError::LocalSize)));
}

/// An invented sealed file.
pub fn file(seed: u8, len: usize) -> Vec<u8> {
    Hash::of(&[seed]).0.iter().copied().cycle().take(len).collect()
}

/// What names it.
pub fn blob_of(file: &[u8]) -> Blob {
    Blob { sha256: Hash::of(file), size: file.len() as u64 }
}

/// Sends a file, from where the store says on.
pub async fn send<S: BlobStore>(
    store: &S,
    name: &str,
    sender: &str,
    file: &[u8],
) -> Result<(), BlobError> {
    let Begun::At(upload) = store.upload(committee(name), device(sender), blob_of(file)).await?
    else {
        return Ok(());
    };
    let from = usize::try_from(upload.offset()).expect("files of tests fit into memory");
    give(store, upload, &file[from..]).await
}

/// Gives an upload these bytes and no more.
async fn give<S: BlobStore>(store: &S, upload: S::Upload, bytes: &[u8]) -> Result<(), BlobError> {
    let (sender, body) = mpsc::channel(1);
    let giving = async move {
        for chunk in bytes.chunks(1_000) {
            // The store may take no more.
            let _ = sender.send(Bytes::copy_from_slice(chunk)).await;
        }
    };
    tokio::join!(giving, store.receive(upload, body)).1
}

/// Appends an entry that names files which `author` sent, or which are named already.
pub async fn name_blobs<S: LogStore + BlobStore>(
    store: &S,
    name: &str,
    author: &str,
    size: u64,
    files: &[&[u8]],
) -> Result<TreeSize, AppendError> {
    let blobs: Vec<Blob> = files.iter().map(|file| blob_of(file)).collect();
    let pin = store.pin(committee(name), device(author), blobs.clone()).await?;
    assert!(pin.is_some(), "all of them are here");
    let named = StoredEntry { blobs, ..entry(device(author), size, 50) };
    store.append(append(committee(name), size, vec![named])).await
}

async fn read_blob<S: BlobStore>(store: &S, name: &str, sha256: Hash) -> Option<Vec<u8>> {
    let reader = store.blob(committee(name), sha256).await.expect("answers")?;
    let mut read = Vec::new();
    while (read.len() as u64) < reader.size() {
        read.extend_from_slice(&reader.read(read.len() as u64).await.expect("reads"));
    }
    let end = reader.read(reader.size()).await.expect("reads");
    assert!(end.is_empty(), "behind the end");
    Some(read)
}

async fn a_blob_is_given_as_it_came_once_it_is_named<S: LogStore + BlobStore>(store: &S) {
    let (large, small) = (file(1, 1_300_000), file(2, 1));
    for file in [&large, &small] {
        send(store, "blobs", "sender", file).await.expect("takes it");
        assert_eq!(read_blob(store, "blobs", Hash::of(file)).await, None, "no entry names it");
    }
    name_blobs(store, "blobs", "sender", 0, &[&large, &small]).await.expect("accepts");
    for file in [&large, &small] {
        assert!(read_blob(store, "blobs", Hash::of(file)).await.as_ref() == Some(file));
        assert_eq!(read_blob(store, "other blobs", Hash::of(file)).await, None);
        // It is whole for every device of the committee, and for no other's.
        let again = store.upload(committee("blobs"), device("another"), blob_of(file)).await;
        assert!(matches!(again, Ok(Begun::Whole)), "{again:?}");
        let other = store.upload(committee("other blobs"), device("sender"), blob_of(file)).await;
        assert!(matches!(&other, Ok(Begun::At(upload)) if upload.offset() == 0), "{other:?}");
    }
    let other_size = Blob { size: 2, ..blob_of(&small) };
    let other = store.upload(committee("blobs"), device("sender"), other_size).await;
    assert!(matches!(other, Err(BlobError::PeerOther)), "{other:?}");
}

async fn begin<S: BlobStore>(store: &S, name: &str, sender: &str, file: &[u8]) -> S::Upload {
    match store.upload(committee(name), device(sender), blob_of(file)).await {
        Ok(Begun::At(upload)) => upload,
        other => panic!("{other:?}"),
    }
}

async fn an_upload_goes_on_where_its_device_was<S: BlobStore>(store: &S) {
    let file = file(3, 10_000);
    let upload = begin(store, "uploads", "one", &file).await;
    let short = give(store, upload, &file[..7_000]).await;
    assert!(matches!(short, Err(BlobError::PeerShort)), "{short:?}");
    assert_eq!(begin(store, "uploads", "two", &file).await.offset(), 0, "another device's");
    assert_eq!(begin(store, "others", "one", &file).await.offset(), 0, "another committee's");
    let upload = begin(store, "uploads", "one", &file).await;
    assert_eq!(upload.offset(), 7_000);
    give(store, upload, &file[7_000..]).await.expect("takes the rest");
    let again = store.upload(committee("uploads"), device("one"), blob_of(&file)).await;
    assert!(matches!(again, Ok(Begun::Whole)), "{again:?}");
    assert_eq!(begin(store, "uploads", "two", &file).await.offset(), 0, "still another's");
}

async fn what_is_not_the_blob_is_thrown_away<S: BlobStore>(store: &S) {
    let file = file(4, 10_000);
    let mut other = file.clone();
    other[9_999] ^= 1;
    let upload = begin(store, "bad", "one", &file).await;
    let bad = give(store, upload, &other).await;
    assert!(matches!(bad, Err(BlobError::PeerOther)), "{bad:?}");
    let upload = begin(store, "bad", "one", &file).await;
    assert_eq!(upload.offset(), 0);
    let long = give(store, upload, &[file.as_slice(), b"x"].concat()).await;
    assert!(matches!(long, Err(BlobError::PeerOther)), "{long:?}");
    let upload = begin(store, "bad", "one", &file).await;
    assert_eq!(upload.offset(), 10_000, "what came before was right");
    give(store, upload, &[]).await.expect("it is whole");
}

async fn an_entry_is_held_to_what_its_own_device_sent<S: LogStore + BlobStore>(store: &S) {
    let (one, two) = (file(5, 3_000), file(6, 3_000));
    let pin = async |sender, blobs| {
        store.pin(committee("pinned"), device(sender), blobs).await.expect("answers").is_some()
    };
    send(store, "pinned", "one", &one).await.expect("takes it");
    let upload = begin(store, "pinned", "one", &two).await;
    let _ = give(store, upload, &two[..2_999]).await;
    assert!(pin("one", vec![blob_of(&one)]).await);
    assert!(!pin("one", vec![blob_of(&one), blob_of(&two)]).await, "one is not whole");
    assert!(!pin("two", vec![blob_of(&one)]).await, "another device's");
    assert!(!pin("one", vec![Blob { size: 2_999, ..blob_of(&one) }]).await, "another size");
    name_blobs(store, "pinned", "one", 0, &[&one]).await.expect("accepts");
    assert!(pin("two", vec![blob_of(&one)]).await, "it is named");
    assert!(!pin("two", vec![Blob { size: 2_999, ..blob_of(&one) }]).await, "another size");
}

async fn a_newer_upload_takes_over<S: BlobStore>(store: &S) {
    let file = file(7, 10_000);
    let older = begin(store, "taken", "one", &file).await;
    let (_sender, body) = mpsc::channel(1);
    let hangs = store.receive(older, body);
    let newer = async {
        let newer = begin(store, "taken", "one", &file).await;
        give(store, newer, &file).await.expect("takes it");
    };
    let (ended, ()) = tokio::join!(hangs, newer);
    assert!(matches!(ended, Err(BlobError::PeerTakenOver)), "{ended:?}");
    let again = store.upload(committee("taken"), device("one"), blob_of(&file)).await;
    assert!(matches!(again, Ok(Begun::Whole)), "{again:?}");
}
