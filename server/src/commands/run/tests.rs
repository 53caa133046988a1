use std::net::UdpSocket;

use ed25519_dalek::SigningKey;
use rustix::process::Signal;
use sealpost_protocol::frame::{
    FoundRequest, HeadAsk, HeadsRequest, PermitCode, PullRequest, PushRequest, Reply, Request,
};
use sealpost_protocol::id::TreeSize;
use sealpost_protocol::permit::code_from_text;
use sealpost_protocol::world::{TestDevice, World};

use super::*;
use crate::error::Kind;
use crate::program::{self, Serving};
use crate::store::disk::faulty::{Failure as Fault, FaultyDisk};
use crate::transport::tests::peer::{Peer, Suite};

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("relay");
    (folder, data)
}

/// Makes a relay and stops it.
fn made(data: &Path) -> String {
    let relay = Serving::start(data, &["--init", "--listen", "127.0.0.1:0"]);
    let address = relay.printed.join(" ");
    assert_eq!(relay.end(Signal::TERM).0, Some(0));
    address
}

fn printed(data: &Path, arguments: &[&str]) -> String {
    let output = program::run(data, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.trim().trim_start_matches("running 1 test").trim().to_owned()
}

#[test]
fn a_relay_serves_the_same_address_in_every_life() {
    let (_folder, data) = folder();
    let first = Serving::start(&data, &["--init", "--listen", "127.0.0.1:0"]);
    let [address] = &first.printed[..] else { panic!("{:?}", first.printed) };
    let address = address.clone();
    let parsed: RelayAddress = address.parse().unwrap();
    assert_ne!(parsed.hosts()[0].port(), 0, "the real port");
    assert_eq!(printed(&data, &["key"]), address, "beside the running relay");
    assert_eq!(first.end(Signal::INT).0, Some(0));
    assert_eq!(printed(&data, &["key"]), address, "without one");
    let second = Serving::start(&data, &[]);
    assert!(second.printed.is_empty(), "{:?}", second.printed);
    assert_eq!(printed(&data, &["key"]), address);
    assert_eq!(second.end(Signal::TERM).0, Some(0));
}

#[test]
fn settings_given_at_init_are_kept_and_flags_go_before_them() {
    let (_folder, data) = folder();
    let init = ["--init", "--listen", "127.0.0.1:0", "--advertise", "a.example:1,b.example:2"];
    let relay = Serving::start(&data, &init);
    assert!(relay.printed[0].ends_with("@a.example:1,b.example:2"), "{:?}", relay.printed);
    drop(relay);
    let relay = Serving::start(&data, &["--advertise", "c.example:3"]);
    assert!(printed(&data, &["key"]).ends_with("@c.example:3"));
    drop(relay);
    // Killed, not stopped: its socket is still there.
    assert!(printed(&data, &["key"]).ends_with("@a.example:1,b.example:2"));
}

#[test]
fn permits_are_issued_beside_a_running_relay_and_without_one() {
    let (_folder, data) = folder();
    made(&data);
    let code = |text: &str| code_from_text(text.rsplit(' ').next().unwrap()).unwrap();
    let first = code(&printed(&data, &["permit", "new", "--label", "one"]));
    let relay = Serving::start(&data, &[]);
    let second = code(&printed(&data, &["permit", "new"]));
    assert_ne!(first, second);
    let listed: serde_json::Value =
        serde_json::from_str(&printed(&data, &["permit", "list", "--json"])).unwrap();
    let rows = listed.as_array().unwrap();
    assert_eq!(rows.len(), 2);
    let id = rows.iter().find(|row| row["label"].is_null()).unwrap()["id"].as_str().unwrap();
    printed(&data, &["permit", "revoke", id]);
    let (exit, error) = program::failure(&data, &["permit", "revoke", id]);
    assert_eq!((exit, error.as_str()), (6, "not-found"));
    drop(relay);
    let listed = printed(&data, &["permit", "list"]);
    assert!(listed.lines().count() == 1 && listed.ends_with("one"), "{listed}");
}

#[test]
fn what_is_in_the_way_is_named_and_left_as_it_was() {
    let (_folder, data) = folder();
    let relay = Serving::start(&data, &["--init", "--listen", "127.0.0.1:0"]);
    let kind = |kind: Kind| (i32::from(kind.exit()), kind.name().to_owned());
    assert_eq!(program::failure(&data, &["run"]), kind(Kind::InUse));
    assert_eq!(program::failure(&data, &["check"]), kind(Kind::InUse));
    let init = ["run", "--init", "--listen", "127.0.0.1:0"];
    assert_eq!(program::failure(&data, &init), kind(Kind::Exists));
    assert_eq!(relay.end(Signal::TERM).0, Some(0));
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let in_use = program::failure(&data, &["run", "--listen", &listen]);
    assert_eq!(in_use, kind(Kind::PortInUse));
    let other = data.with_file_name("other");
    let refused = program::failure(&other, &["run", "--init", "--listen", &listen]);
    assert_eq!(refused, kind(Kind::PortInUse));
    assert!(!other.exists(), "nothing is made for a relay that cannot listen");
    let outside = program::failure(&data, &["run", "--metrics", "192.0.2.1:1"]);
    assert_eq!(outside, kind(Kind::Usage));
    let file = data.with_file_name("file");
    std::fs::write(&file, "").unwrap();
    assert_eq!(program::failure(&file, &["run"]), kind(Kind::NoDataFolder));
    assert_eq!(program::failure(&file, &init), kind(Kind::NotWritable));
    assert_eq!(program::failure(&data, &init), kind(Kind::Exists));
    Serving::start(&data, &[]);
}

#[test]
fn another_version_a_lost_key_and_damage_are_told_apart() {
    let (_folder, data) = folder();
    made(&data);
    let kind = |kind: Kind| (i32::from(kind.exit()), kind.name().to_owned());
    let format = std::fs::read(data.join("format")).unwrap();
    std::fs::write(data.join("format"), "sealpost-relay data folder, format 2\n").unwrap();
    for command in [&["run"][..], &["check"], &["key"], &["permit", "list"]] {
        assert_eq!(program::failure(&data, command), kind(Kind::OtherVersion), "{command:?}");
    }
    std::fs::write(data.join("format"), format).unwrap();
    let secret = std::fs::read(data.join("key")).unwrap();
    std::fs::remove_file(data.join("key")).unwrap();
    for command in [&["run"][..], &["key"], &["check"]] {
        assert_eq!(program::failure(&data, command), kind(Kind::Damaged), "{command:?}");
    }
    assert!(!data.join("key").exists(), "no new key over an old log");
    std::fs::write(data.join("key"), secret).unwrap();
    printed(&data, &["permit", "new"]);
    let segment = data.join("journal/00000001");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    for command in [&["run"][..], &["check"]] {
        assert_eq!(program::failure(&data, command), kind(Kind::Damaged), "{command:?}");
    }
}

fn run_on(disk: &FaultyDisk) -> (Session, Run) {
    let session = Session::new(Arc::new(disk.clone()), None, false);
    let options = Options { segment_bytes: 16 * 1024, reserve_bytes: 0, ..Options::DEFAULT };
    let listen = Some("127.0.0.1:0".parse().unwrap());
    let run =
        Run { init: true, listen, advertise: Vec::new(), metrics: None, config: None, options };
    (session, run)
}

/// The power fails at every operation of `run --init` in turn. Whatever is left, typing it again
/// completes it or says that it is complete, and a key that was kept stays the relay's key.
#[test]
fn an_init_that_was_interrupted_anywhere_is_completed_with_the_same_key() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let data = Path::new("/relay");
    for number in 0.. {
        let disk = FaultyDisk::new();
        disk.fail(number, Fault::PowerCut);
        let (session, run) = run_on(&disk);
        let whole = runtime.block_on(run.create(&session, data)).is_ok();
        let found = disk.power_cut(number);
        let kept = key::read(&found, data).unwrap();
        let (session, run) = run_on(&found);
        match runtime.block_on(run.create(&session, data)) {
            Ok(relay) => drop(relay),
            Err(failure) => {
                assert_eq!(failure.kind, Kind::Exists, "operation {number}: {failure:?}");
                runtime.block_on(run.open(&session, data)).expect("what exists is whole");
            }
        }
        let key = key::read(&found, data).unwrap();
        assert!(key.is_some() && (kept.is_none() || kept == key), "operation {number}");
        if whole {
            assert!(number > 30, "{number} operations make a data folder");
            return;
        }
    }
}

#[test]
fn a_log_without_its_format_file_or_journal_is_no_interrupted_init() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let data = Path::new("/relay");
    let disk = FaultyDisk::new();
    let (session, run) = run_on(&disk);
    let relay = runtime.block_on(run.create(&session, data)).unwrap();
    let new = crate::control::Ask::PermitNew { label: None };
    let now = crate::clock::now();
    let issued = crate::control::perform(relay.store(), new, "", now);
    runtime.block_on(issued).unwrap();
    drop(relay);
    use crate::store::disk::Disk as _;
    disk.remove(&data.join("format")).unwrap();
    let over = |disk: &FaultyDisk| {
        let (session, run) = run_on(disk);
        runtime.block_on(run.create(&session, data)).err().map(|failure| failure.kind)
    };
    assert_eq!(over(&disk), Some(Kind::Exists), "a journal with a frame in it");
    disk.create(&data.join("checkpoints/a/of-a-log")).unwrap();
    disk.remove(&data.join("journal/00000001")).unwrap();
    assert_eq!(over(&disk), Some(Kind::Exists), "a signed checkpoint and no journal");
    disk.remove(&data.join("checkpoints/a/of-a-log")).unwrap();
    disk.create(&data.join("journal/00000002")).unwrap();
    assert_eq!(over(&disk), Some(Kind::Exists), "a later segment");
}

/// A relay with the key of the invented world, a founded committee and a record in it.
struct Lived {
    world: World,
    data: PathBuf,
    address: SocketAddr,
    relay: Serving,
    _folder: tempfile::TempDir,
}

fn relay_key() -> SigningKey {
    SigningKey::from_bytes(&[90; 32])
}

async fn lived(log: &str) -> Lived {
    let (folder, data) = folder();
    // What an interrupted --init leaves is completed: so the relay gets the key that it must have.
    std::fs::create_dir(&data).unwrap();
    key::keep(&store::disk::RealDisk, &data, &relay_key()).unwrap();
    let relay = Serving::start(&data, &["--init", "--listen", "127.0.0.1:0", "--log", log]);
    let address: RelayAddress = relay.printed[0].parse().unwrap();
    let port = address.hosts()[0].port();
    let code = printed(&data, &["permit", "new"]);
    let permit: PermitCode = code_from_text(code.rsplit(' ').next().unwrap()).unwrap();
    let founder = TestDevice::new(1);
    let mut world = World::found(&founder);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let peer = peer(address, 1 ^ 0x80).await;
    let entry = world.log[0].clone().into();
    let found = Request::Found(FoundRequest { permit, entry });
    assert!(matches!(peer.ask(&found).await[..], [Reply::Pushed(_)]));
    world.record(&founder).unwrap();
    let entries = vec![world.log[1].clone().into(), b"no entry".to_vec().into()];
    let push = Request::Push(PushRequest { committee: world.committee.id(), entries });
    assert!(matches!(peer.ask(&push).await[..], [Reply::Pushed(_)]));
    Lived { world, data, address, relay, _folder: folder }
}

async fn peer(address: SocketAddr, login: u8) -> Peer {
    Peer::connect(address, &relay_key(), Suite::Hybrid, login, wire::ALPN).await.unwrap()
}

/// Whatever goes wrong that may be logged.
async fn trouble(lived: &Lived) {
    let committee = lived.world.committee.id();
    let stranger = peer(lived.address, 77).await;
    let heads = HeadsRequest { committees: vec![HeadAsk { committee, size: TreeSize(0) }] };
    stranger.ask(&Request::Heads(heads)).await;
    stranger.connection.close(7_u32.into(), b"rude");
    Peer::connect(lived.address, &relay_key(), Suite::X25519, 5, wire::ALPN).await.err().unwrap();
    // An entry is damaged under the running relay, and a member asks for it.
    let segment = lived.data.join("journal/00000001");
    let mut bytes = std::fs::read(&segment).unwrap();
    let record = &lived.world.log[1];
    let at = bytes.windows(record.len()).position(|bytes| bytes == record).unwrap();
    bytes[at + 40] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let member = peer(lived.address, 1 ^ 0x80).await;
    let pull = Request::Pull(PullRequest { committee, from: TreeSize(0) });
    assert!(matches!(member.ask(&pull).await[..], [Reply::Refused(_)]));
}

/// What must stand in no log above debug level.
fn names(lived: &Lived) -> Vec<String> {
    let founder = TestDevice::new(1);
    let login: sealpost_protocol::sign::PublicKey = (*founder.card.login_key()).into();
    let text = sealpost_protocol::address::key_to_text;
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    vec![
        lived.world.committee.id().to_string()[..16].to_owned(),
        founder.id().to_string()[..16].to_owned(),
        text(&login)[..16].to_owned(),
        hex(&login.0)[..16].to_owned(),
        text(&key::public(&relay_key()))[..16].to_owned(),
        hex(&relay_key().to_bytes())[..16].to_owned(),
        "127.0.0.1".to_owned(),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_name_no_id_key_or_address_above_debug_level() {
    for log in ["info", "debug"] {
        let lived = lived(log).await;
        trouble(&lived).await;
        let names = names(&lived);
        let (_, told) = lived.relay.end(Signal::TERM);
        assert!(told.contains("an entry is not where it says"), "{told}");
        let found: Vec<&String> = names.iter().filter(|name| told.contains(*name)).collect();
        if log == "info" {
            assert!(found.is_empty(), "{found:?} in\n{told}");
            // Nor when it is refused at the next start, but for the operator's own terminal.
            let refused = program::run(&lived.data, &["run"]);
            assert_eq!(refused.status.code(), Some(7));
        } else {
            assert!(found.contains(&&"127.0.0.1".to_owned()), "this scan sees nothing: {told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_verifies_what_a_relay_wrote_and_a_forged_entry_is_located() {
    let lived = lived("info").await;
    let Lived { world, data, relay, _folder, .. } = lived;
    assert_eq!(relay.end(Signal::TERM).0, Some(0));
    assert_eq!(printed(&data, &["check"]), "2 entries in 1 logs are sound.");
    let store = Store::open(&disk(), &data, Options::default()).unwrap();
    // As an intruder would who holds the disk and no member's key: whole frames, a bad signature.
    let mut forged = world.log[1].clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let entry = store::StoredEntry {
        leaf_hash: sealpost_protocol::hash::Hash([7; 32]),
        author: TestDevice::new(1).id(),
        author_seq: sealpost_protocol::id::AuthorSeq(2),
        blobs: Vec::new(),
        bytes: forged.into(),
        dropped: false,
    };
    let append = store::Append {
        committee: world.committee.id(),
        expected: TreeSize(2),
        entries: vec![entry],
        forgets: Vec::new(),
    };
    store::LogStore::append(&store, append).await.unwrap();
    drop(store);
    let output = program::run(&data, &["check", "--json"]);
    assert_eq!(output.status.code(), Some(7));
    let text = String::from_utf8(output.stdout).unwrap();
    let rows = text.lines().find(|line| line.starts_with('[')).unwrap();
    let rows: serde_json::Value = serde_json::from_str(rows).unwrap();
    assert_eq!(rows[0]["file"], "journal/00000001");
    let offset = usize::try_from(rows[0]["offset"].as_u64().unwrap()).unwrap();
    let segment = std::fs::read(data.join("journal/00000001")).unwrap();
    assert_eq!(segment[offset + 81..][..100], world.log[1][..100], "where the entry stands");
    assert_eq!(program::failure(&data, &["run"]).0, 7);
}

fn disk() -> Arc<dyn Disk> {
    Arc::new(store::disk::RealDisk)
}

#[test]
fn a_torn_tail_is_told_by_check_and_in_the_log_before_anything_is_served() {
    let (_folder, data) = folder();
    made(&data);
    printed(&data, &["permit", "new"]);
    let segment = data.join("journal/00000001");
    let mut bytes = std::fs::read(&segment).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    bytes[end..end + 100].fill(0xa5);
    std::fs::write(&segment, bytes).unwrap();
    let told = printed(&data, &["check"]);
    assert!(told.contains(&format!("journal/00000001 at byte {end}: an unfinished")), "{told}");
    let relay = Serving::start(&data, &[]);
    assert_eq!(printed(&data, &["permit", "list"]).lines().count(), 1);
    let (exit, told) = relay.end(Signal::TERM);
    assert_eq!(exit, Some(0));
    let cut = told.find("a write that was never finished: cut off").expect(&told);
    assert!(told[cut..].contains("ready"), "{told}");
    assert_eq!(printed(&data, &["check"]), "0 entries in 0 logs are sound.");
}
