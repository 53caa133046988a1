//! Attachments: who may put and get them, where an upload goes on, and entries that name them.

use sealpost_protocol::change::Target;
use sealpost_protocol::entry::Blob;
use sealpost_protocol::frame::{BlobAt, BlobBytes, BlobGetRequest, BlobPutRequest};
use sealpost_protocol::world::{add_device, recovery, suspend};

use super::*;
use crate::store::BlobOptions;

mod room;

/// An invented sealed file.
pub(crate) fn file(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|at| seed ^ u8::try_from(at % 251).unwrap()).collect()
}

pub(crate) fn blob_of(file: &[u8]) -> Blob {
    Blob { sha256: Hash::of(file), size: file.len() as u64 }
}

/// An upload as a client sees it.
struct Put {
    bytes: Option<mpsc::Sender<Bytes>>,
    replies: mpsc::Receiver<Reply>,
}

impl Put {
    fn begin(fixture: &Fixture, peer: PublicKey, blob: Blob) -> Self {
        let (bytes, body) = mpsc::channel(8);
        let request = BlobPutRequest { committee: fixture.committee(), blob };
        let request = Request::BlobPut(request);
        let replies = stream_with(&fixture.service, peer, request, body);
        Self { bytes: Some(bytes), replies }
    }

    async fn offset(&mut self) -> u64 {
        match self.replies.recv().await {
            Some(Reply::BlobAt(BlobAt { offset })) => offset,
            other => panic!("{other:?}"),
        }
    }

    async fn send(&self, bytes: &[u8]) {
        let sender = self.bytes.as_ref().expect("not ended yet");
        // The relay may take no more.
        let _ = sender.send(Bytes::copy_from_slice(bytes)).await;
    }

    /// Ends the stream and takes what is said then, if anything is.
    async fn end(mut self) -> Option<Reply> {
        self.bytes = None;
        let reply = self.replies.recv().await;
        assert_eq!(self.replies.recv().await, None, "one last word");
        reply
    }
}

pub(crate) const DONE: Option<Reply> = Some(Reply::Done(Empty {}));

/// Sends a whole file, from where the relay says on.
pub(crate) async fn put(fixture: &Fixture, peer: PublicKey, file: &[u8]) -> Option<Reply> {
    let mut put = Put::begin(fixture, peer, blob_of(file));
    let offset = match put.replies.recv().await {
        Some(Reply::BlobAt(BlobAt { offset })) => usize::try_from(offset).unwrap(),
        refused => return refused,
    };
    for chunk in file[offset..].chunks(64 * 1024) {
        put.send(chunk).await;
    }
    put.end().await
}

/// Sends a part of a file and ends.
async fn put_part(fixture: &Fixture, peer: PublicKey, file: &[u8], part: usize) -> u64 {
    let mut put = Put::begin(fixture, peer, blob_of(file));
    let offset = put.offset().await;
    put.send(&file[usize::try_from(offset).unwrap()..part]).await;
    assert_eq!(put.end().await, Some(refused(Code::Malformed)), "it ended early");
    offset
}

pub(crate) async fn get(
    fixture: &Fixture,
    peer: PublicKey,
    sha256: Hash,
    offset: u64,
) -> Result<Vec<u8>, Reply> {
    let request = BlobGetRequest { committee: fixture.committee(), sha256, offset };
    let mut replies = stream(&fixture.service, peer, Request::BlobGet(request));
    let mut file = Vec::new();
    loop {
        match replies.recv().await.expect("an end comes before the stream does") {
            Reply::BlobBytes(BlobBytes { bytes }) => {
                assert!((1..=limits::BLOB_FRAME_BYTES).contains(&bytes.len()));
                file.extend_from_slice(&bytes);
            }
            Reply::Done(Empty {}) => return Ok(file),
            other => return Err(other),
        }
    }
}

/// A record that names blobs.
pub(crate) fn naming(world: &World, author: &TestDevice, blobs: Vec<Blob>) -> Entry {
    let mut header = world.record_header(author);
    header.blobs = blobs;
    Entry::sign(header, record_file(), &author.signing)
}

/// Pushes a record that names blobs.
async fn push_naming(fixture: &mut Fixture, author: &TestDevice, blobs: Vec<Blob>) -> Reply {
    let entry = naming(&fixture.world, author, blobs);
    let reply = fixture.push(login(author), vec![entry.encode()]).await;
    let taken = |result: &PushResult| matches!(result, PushResult::Accepted(_));
    if matches!(&reply, Reply::Pushed(pushed) if pushed.results.iter().all(taken)) {
        fixture.world.push(&entry).unwrap();
    }
    reply
}

/// Sends a file and names it.
pub(crate) async fn attach(fixture: &mut Fixture, author: &TestDevice, file: &[u8]) -> Blob {
    assert_eq!(put(fixture, login(author), file).await, DONE);
    accepted(&push_naming(fixture, author, vec![blob_of(file)]).await);
    blob_of(file)
}

fn two() -> [TestDevice; 2] {
    [FOUNDER, MEMBER].map(TestDevice::new)
}

#[tokio::test]
async fn a_blob_is_put_named_and_got() {
    let mut fixture = Fixture::new().await;
    let [founder, member] = two();
    let file = file(1, 1_200_000);
    let blob = blob_of(&file);
    assert_eq!(put(&fixture, login(&member), &file).await, DONE);
    let early = get(&fixture, login(&member), blob.sha256, 0).await;
    assert_eq!(early, Err(refused(Code::NotFound)), "no entry names it yet");
    accepted(&push_naming(&mut fixture, &member, vec![blob]).await);
    let got = get(&fixture, login(&founder), blob.sha256, 0).await.unwrap();
    assert!(got == file);
    let rest = get(&fixture, login(&founder), blob.sha256, 1_000_000).await.unwrap();
    assert!(rest == file[1_000_000..]);
    let end = get(&fixture, login(&founder), blob.sha256, blob.size).await;
    assert_eq!(end, Ok(Vec::new()));
    let beyond = get(&fixture, login(&founder), blob.sha256, blob.size + 1).await;
    assert_eq!(beyond, Err(refused(Code::Malformed)));
    let fixture = fixture.restart().await;
    assert!(get(&fixture, login(&founder), blob.sha256, 0).await.unwrap() == file);
}

#[tokio::test]
async fn an_entry_is_taken_only_when_its_blobs_are_here() {
    let mut fixture = Fixture::new().await;
    let [founder, member] = two();
    let (one, two) = (file(1, 5_000), file(2, 6_000));
    let missing = [refused_entry(Code::BlobMissing)];
    let blobs = vec![blob_of(&one), blob_of(&two)];
    assert_eq!(results(&push_naming(&mut fixture, &member, blobs.clone()).await), missing);
    assert_eq!(put(&fixture, login(&member), &one).await, DONE);
    put_part(&fixture, login(&member), &two, 5_999).await;
    assert_eq!(results(&push_naming(&mut fixture, &member, blobs.clone()).await), missing);
    assert_eq!(put(&fixture, login(&member), &two).await, DONE);
    let other_size = vec![blob_of(&one), Blob { size: 5_999, ..blob_of(&two) }];
    assert_eq!(results(&push_naming(&mut fixture, &member, other_size).await), missing);
    // What another device sent is no blob for this one's entry.
    let pushed = fixture
        .push(login(&founder), vec![naming(&fixture.world, &member, blobs.clone()).encode()]);
    assert_eq!(results(&pushed.await), missing);
    accepted(&push_naming(&mut fixture, &member, blobs.clone()).await);
    // What an entry names is there for all.
    accepted(&push_naming(&mut fixture, &founder, blobs).await);
}

#[tokio::test]
async fn an_entry_without_its_blob_leaves_the_others_of_its_push() {
    let mut fixture = Fixture::new().await;
    let [founder, member] = two();
    let without = naming(&fixture.world, &member, vec![blob_of(b"never sent")]);
    fixture.world.record(&founder).unwrap();
    let sound = fixture.world.log[2].clone();
    let reply = fixture.push(login(&member), vec![without.encode(), sound]).await;
    let results = results(&reply);
    assert_eq!(results[0], refused_entry(Code::BlobMissing));
    assert!(matches!(&results[1], PushResult::Accepted(at) if at.index == LeafIndex(2)));
}

#[tokio::test]
async fn an_entry_that_names_blobs_pushed_again_finds_its_place() {
    let mut fixture = Fixture::new().await;
    let [founder, member] = two();
    attach(&mut fixture, &member, &file(1, 100)).await;
    let again = fixture.push_last(login(&founder)).await;
    assert_eq!(accepted(&again), [LeafIndex(2)]);
}

#[tokio::test]
async fn an_upload_goes_on_where_it_was_for_its_device_and_no_other() {
    let fixture = Fixture::new().await;
    let [founder, member] = two();
    let file = file(3, 300_000);
    assert_eq!(put_part(&fixture, login(&member), &file, 200_000).await, 0);
    assert_eq!(put_part(&fixture, login(&founder), &file, 1_000).await, 0, "another's offset");
    assert_eq!(put_part(&fixture, login(&member), &file, 250_000).await, 200_000);
    let fixture = fixture.restart().await;
    assert_eq!(put_part(&fixture, login(&member), &file, 260_000).await, 250_000);
    assert_eq!(put(&fixture, login(&member), &file).await, DONE);
    let mut again = Put::begin(&fixture, login(&member), blob_of(&file));
    assert_eq!(again.offset().await, 300_000, "all of it is here");
    assert_eq!(again.end().await, DONE);
    let mut others = Put::begin(&fixture, login(&founder), blob_of(&file));
    assert_eq!(others.offset().await, 1_000, "no entry names it: it is the other device's");
}

#[tokio::test]
async fn a_blob_that_is_named_is_whole_for_every_device() {
    let mut fixture = Fixture::new().await;
    let [founder, member] = two();
    let file = file(3, 3_000);
    attach(&mut fixture, &member, &file).await;
    let mut others = Put::begin(&fixture, login(&founder), blob_of(&file));
    assert_eq!(others.offset().await, 3_000);
    assert_eq!(others.end().await, DONE);
    let mut more = Put::begin(&fixture, login(&founder), blob_of(&file));
    more.offset().await;
    more.send(b"x").await;
    assert_eq!(more.end().await, Some(refused(Code::BadBlob)), "more than there is");
}

#[tokio::test]
async fn what_is_not_the_blob_that_was_named_is_thrown_away() {
    let fixture = Fixture::new().await;
    let member = login(&TestDevice::new(MEMBER));
    let file = file(4, 10_000);
    let mut other = file.clone();
    other[7_000] ^= 1;
    let mut put = Put::begin(&fixture, member, blob_of(&file));
    assert_eq!(put.offset().await, 0);
    put.send(&other).await;
    assert_eq!(put.end().await, Some(refused(Code::BadBlob)));
    let mut again = Put::begin(&fixture, member, blob_of(&file));
    assert_eq!(again.offset().await, 0, "nothing of it was kept");
    again.send(&file).await;
    assert_eq!(again.end().await, DONE);
}

#[tokio::test]
async fn more_bytes_than_the_blob_has_are_refused_and_what_came_before_is_kept() {
    let fixture = Fixture::new().await;
    let member = login(&TestDevice::new(MEMBER));
    let file = file(5, 10_000);
    let mut put = Put::begin(&fixture, member, blob_of(&file));
    put.offset().await;
    put.send(&[file.as_slice(), b"x"].concat()).await;
    assert_eq!(put.end().await, Some(refused(Code::BadBlob)));
    let mut again = Put::begin(&fixture, member, blob_of(&file));
    assert_eq!(again.offset().await, 10_000);
    assert_eq!(again.end().await, DONE);
}

#[tokio::test]
async fn a_newer_upload_takes_over_from_one_that_hangs() {
    let fixture = Fixture::new().await;
    let member = login(&TestDevice::new(MEMBER));
    let file = file(6, 100_000);
    let mut hangs = Put::begin(&fixture, member, blob_of(&file));
    assert_eq!(hangs.offset().await, 0);
    hangs.send(&file[..60_000]).await;
    // The first is past what the second is told.
    while fixture.service.store().blob_counts().received_bytes < 60_000 {
        tokio::task::yield_now().await;
    }
    let mut newer = Put::begin(&fixture, member, blob_of(&file));
    assert_eq!(newer.offset().await, 60_000);
    assert_eq!(hangs.replies.recv().await, Some(refused(Code::Busy)), "ended at once");
    hangs.send(&file[60_000..]).await;
    newer.send(&file[60_000..]).await;
    assert_eq!(newer.end().await, DONE);
    assert_eq!(hangs.end().await, None);
    assert_eq!(fixture.service.store().blob_counts().running, 0);
}

#[tokio::test]
async fn readers_and_spares_and_who_was_cut_off_put_nothing() {
    let mut fixture = Fixture::new().await;
    let [founder, member] = two();
    let reader = TestDevice::new(5);
    fixture.world.admit(&founder, &reader, MemberRole::Reader).unwrap();
    fixture.push_last(login(&founder)).await;
    let file = file(7, 1_000);
    assert_eq!(put(&fixture, login(&reader), &file).await, Some(refused(Code::NotEntitled)));
    let blob = attach(&mut fixture, &member, &file).await;
    assert!(get(&fixture, login(&reader), blob.sha256, 0).await.unwrap() == file);
    fixture.world.change(&founder, &suspend(Target::Device(member.id()))).unwrap();
    fixture.push_last(login(&founder)).await;
    let shown = put(&fixture, login(&member), &file).await;
    assert!(matches!(shown, Some(Reply::NotActive(_))), "{shown:?}");
    let shown = get(&fixture, login(&member), blob.sha256, 0).await;
    assert!(matches!(shown, Err(Reply::NotActive(_))), "{shown:?}");
}

#[tokio::test]
async fn a_spare_puts_nothing() {
    let mut fixture = Fixture::new().await;
    let [founder, member] = two();
    let (third, spare) = (TestDevice::new(3), TestDevice::new(6));
    fixture.world.admit(&founder, &third, MemberRole::Member).unwrap();
    fixture.world.change(&founder, &add_device(&spare)).unwrap();
    let entries = fixture.world.log[2..].to_vec();
    accepted(&fixture.push(login(&founder), entries).await);
    let file = file(7, 1_000);
    assert_eq!(put_part(&fixture, login(&spare), &file, 10).await, 0, "no spare yet");
    let shared = recovery(spare.id(), 2, &[member.id(), third.id()]);
    fixture.world.change(&founder, &Change::Recovery(shared)).unwrap();
    accepted(&fixture.push_last(login(&founder)).await);
    assert_eq!(put(&fixture, login(&spare), &file).await, Some(refused(Code::NotEntitled)));
}

#[tokio::test]
async fn an_upload_under_way_ends_when_its_device_is_cut_off() {
    let mut fixture = Fixture::new().await;
    let [founder, member] = two();
    let file = file(8, 1_000);
    let mut under_way = Put::begin(&fixture, login(&member), blob_of(&file));
    under_way.offset().await;
    fixture.world.change(&founder, &suspend(Target::Device(member.id()))).unwrap();
    fixture.push_last(login(&founder)).await;
    let shown = under_way.replies.recv().await;
    assert!(matches!(shown, Some(Reply::NotActive(_))), "{shown:?}");
}

#[tokio::test]
async fn a_get_stops_between_frames_when_its_device_is_cut_off() {
    let mut fixture = Fixture::new().await;
    let [founder, member] = two();
    let blob = attach(&mut fixture, &member, &file(9, 4_000_000)).await;
    let request = BlobGetRequest { committee: fixture.committee(), sha256: blob.sha256, offset: 0 };
    let mut replies = stream(&fixture.service, login(&member), Request::BlobGet(request));
    assert!(matches!(replies.recv().await, Some(Reply::BlobBytes(_))));
    fixture.world.change(&founder, &suspend(Target::Device(member.id()))).unwrap();
    fixture.push_last(login(&founder)).await;
    let mut last = None;
    let mut frames = 1;
    while let Some(reply) = replies.recv().await {
        frames += 1;
        last = Some(reply);
    }
    assert!(matches!(last, Some(Reply::NotActive(_))), "{last:?}");
    assert!(frames < 8, "{frames} of 8 frames, and the word of it");
}

#[tokio::test]
async fn a_blob_has_at_least_a_byte_and_at_most_the_largest_attachments() {
    let fixture = Fixture::new().await;
    let member = login(&TestDevice::new(MEMBER));
    for (size, code) in [(0, Code::Malformed), (limits::BLOB_BYTES_MAX + 1, Code::TooLarge)] {
        let mut put = Put::begin(&fixture, member, Blob { sha256: Hash::of(b"x"), size });
        assert_eq!(put.replies.recv().await, Some(refused(code)));
    }
}

fn refused_entry(code: Code) -> PushResult {
    PushResult::Refused(Refused { code })
}

fn results(reply: &Reply) -> Vec<PushResult> {
    let Reply::Pushed(pushed) = reply else { panic!("{reply:?}") };
    pushed.results.clone()
}
