//! Attachments at a real relay, by the client's own transport.

use minicbor::bytes::ByteVec;
use sealpost::transport::{Begun, Connection, Deadlines};
use sealpost_protocol::entry::{Blob, Entry};
use sealpost_protocol::frame::{
    BlobBytes, BlobGetRequest, BlobPutRequest, Empty, PushRequest, Reply, Request,
};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::world::record_file;
use sealpost_tests::invented::{Invented, login};
use sealpost_tests::relay::Relay;

use tokio::runtime::Runtime;

use crate::programs;

const SEED: u8 = 1;
const FILE_BYTES: usize = 24_000_000;
const CHUNK_BYTES: usize = 64 * 1024;

fn file() -> Vec<u8> {
    Hash::of(b"a scan").0.iter().copied().cycle().take(FILE_BYTES).collect()
}

async fn open(relay: &Relay) -> Connection {
    let address = relay.address().parse().expect("the relay printed it");
    let opened = Connection::open(&address, &login(SEED), Deadlines::default()).await;
    opened.expect("the relay answers")
}

async fn all(connection: &Connection, request: &Request) -> Vec<Reply> {
    let mut replies = connection.request(request).await.expect("it is sent");
    let mut all = Vec::new();
    while let Some(reply) = replies.next().await.expect("it is answered") {
        all.push(reply);
    }
    all
}

/// Bytes of uploads and blobs in the relay's folder.
fn written(relay: &Relay, folder: &str) -> u64 {
    let mut folders = vec![relay.data().join(folder)];
    let mut bytes = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("it is there").flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => folders.push(entry.path()),
                Ok(found) => bytes += found.len(),
                // It was moved meanwhile.
                Err(_) => {}
            }
        }
    }
    bytes
}

#[test]
fn a_relay_killed_under_an_upload_goes_on_with_it_and_gives_the_blob_whole() {
    let relay = Relay::start(&programs());
    let theirs = Invented::found(relay.address(), &relay.permit(), SEED);
    let runtime = Runtime::new().expect("a runtime");
    let mut relay = runtime.block_on(attach(relay, &theirs));
    relay.stop();
    assert_eq!(written(&relay, "uploads"), 0, "it is in its place");
    let _ = relay.run(&["check"]).exits(0);
}

async fn attach(mut relay: Relay, theirs: &Invented) -> Relay {
    let file = file();
    let committee = theirs.committee;
    let blob = Blob { sha256: Hash::of(&file), size: file.len() as u64 };
    let put = BlobPutRequest { committee, blob };

    let connection = open(&relay).await;
    let mut upload = connection.upload(put).await.expect("it is sent");
    assert!(matches!(upload.begin().await, Ok(Begun::At(0))));
    for chunk in file[..FILE_BYTES / 2].chunks(CHUNK_BYTES) {
        upload.send(chunk).await.expect("the relay takes it");
    }
    while written(&relay, "uploads") < FILE_BYTES as u64 / 4 {
        tokio::task::yield_now().await;
    }
    relay.kill();
    let before = written(&relay, "uploads");
    relay.restart();

    let connection = open(&relay).await;
    let mut upload = connection.upload(put).await.expect("it is sent");
    let begun = upload.begin().await;
    let Ok(Begun::At(offset)) = begun else { panic!("{begun:?}") };
    assert_eq!(offset, before, "what was written is kept");
    let offset = usize::try_from(offset).expect("it fits into memory");
    for chunk in file[offset..].chunks(CHUNK_BYTES) {
        upload.send(chunk).await.expect("the relay takes it");
    }
    assert!(matches!(upload.finish().await, Ok(Reply::Done(Empty {}))));

    let mut header = theirs.world.record_header(&theirs.founder);
    header.blobs = vec![blob];
    let entry = Entry::sign(header, record_file(), &theirs.founder.signing);
    let entries = vec![ByteVec::from(entry.encode())];
    let pushed = all(&connection, &Request::Push(PushRequest { committee, entries })).await;
    assert!(matches!(pushed.as_slice(), [Reply::Pushed(_)]), "{pushed:?}");
    relay.kill();
    relay.restart();

    let connection = open(&relay).await;
    let get = BlobGetRequest { committee, sha256: blob.sha256, offset: 0 };
    let mut got = Vec::with_capacity(FILE_BYTES);
    for reply in all(&connection, &Request::BlobGet(get)).await {
        match reply {
            Reply::BlobBytes(BlobBytes { bytes }) => got.extend_from_slice(&bytes),
            other => assert_eq!(other, Reply::Done(Empty {})),
        }
    }
    assert!(got == file, "every byte as it was sent");
    connection.close().await;
    relay
}
