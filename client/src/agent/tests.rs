use std::fs::{self, Permissions};
use std::future::pending;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
use rustix::process::geteuid;
use sealpost_protocol::codec;
use sealpost_protocol::hash::Hash;
use tempfile::TempDir;

use super::folder::{Folder, SOCKET, must_be_ours};
use super::kept::Kept;
use super::life::{Life, since_boot};
use super::line::Line;
use super::serve::{Agent, Bound, Then};
use super::wire::{self, Answer, Ask, MESSAGE_BYTES_MAX};
use super::*;
use crate::vault::{SECRETS_BYTES, fixture};

const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);
/// Any time of a machine's life.
const NOON: Duration = Duration::from_secs(86_400);

fn terms(identity: Hash) -> Terms {
    Terms::new(8 * HOUR, 30 * MINUTE, identity)
}

/// A vault, and an agent that serves it in this process.
struct Served {
    dir: TempDir,
    home: Home,
    secrets: Secrets,
    serving: JoinHandle<Result<(), AgentError>>,
}

fn served() -> Served {
    let (dir, home) = fixture::home();
    let (_, secrets) = fixture::create(&home).expect("a vault");
    let serving = serve_here(&home, &secrets, home.identity_hash().expect("it is there"));
    Served { dir, home, secrets, serving }
}

fn serve_here(
    home: &Home,
    secrets: &Secrets,
    identity: Hash,
) -> JoinHandle<Result<(), AgentError>> {
    let kept = Kept::read(secrets.encode().as_slice()).expect("all of them");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let entered = runtime.enter();
    let bound = Bound::bind(home).expect("a socket");
    drop(entered);
    let agent = Arc::new(Agent::new(&terms(identity), kept));
    std::thread::spawn(move || runtime.block_on(bound.serve(&agent, pending())))
}

fn raw(home: &Home) -> UnixStream {
    UnixStream::connect(home.path().join(SOCKET)).expect("it listens")
}

fn agent(identity: Hash) -> Agent {
    Agent::new(&terms(identity), Kept::read(&[7; SECRETS_BYTES][..]).expect("all of them"))
}

#[test]
fn it_ends_after_its_time_and_before_that_when_it_is_not_used() {
    let mut life = Life::begin(&terms(Hash::of(b"it")), NOON);
    assert_eq!(life.left(NOON), 30 * MINUTE);
    assert!(!life.is_over(NOON + 30 * MINUTE - Duration::from_millis(1)));
    assert!(life.is_over(NOON + 30 * MINUTE));
    // Used every minute it lives for its time, and not a moment more.
    for minute in 0..8 * 60 {
        assert!(!life.is_over(NOON + minute * MINUTE), "{minute}");
        life.touch(NOON + minute * MINUTE);
    }
    assert_eq!(life.left(NOON + 8 * HOUR - MINUTE), MINUTE);
    life.touch(NOON + 8 * HOUR - MINUTE);
    assert!(life.is_over(NOON + 8 * HOUR));
    let state = life.state(NOON + 7 * HOUR, true);
    assert_eq!((state.left(), state.unused_left()), (HOUR, HOUR));
}

#[test]
fn a_time_without_end_is_no_overflow() {
    let life = Life::begin(&Terms::new(Duration::MAX, Duration::MAX, Hash::of(b"it")), NOON);
    assert!(!life.is_over(NOON + 8 * HOUR));
}

#[test]
fn the_clock_runs() {
    let before = since_boot();
    assert!(before > Duration::ZERO && since_boot() >= before);
}

#[test]
fn only_secrets_that_were_given_out_keep_it_alive() {
    let identity = Hash::of(b"it");
    let agent = agent(identity);
    let begun = since_boot();
    let left = |at| match agent.decide(Ask::State, at) {
        (Answer::State(state), Then::Stay) => state.unused_left(),
        other => panic!("{other:?}"),
    };
    let later = begun + 20 * MINUTE;
    assert!(left(later) <= 10 * MINUTE);
    assert!(left(later) <= 10 * MINUTE, "looking changed nothing");
    assert_eq!(agent.decide(Ask::Secrets(identity), later), (Answer::Secrets, Then::Stay));
    assert_eq!(left(later), 30 * MINUTE);
}

#[test]
fn what_is_asked_after_its_end_is_not_answered() {
    let identity = Hash::of(b"it");
    for ask in [Ask::State, Ask::Secrets(identity), Ask::End] {
        let slept = since_boot() + 9 * HOUR;
        assert_eq!(agent(identity).decide(ask, slept), (Answer::Ending, Then::End), "{ask:?}");
    }
}

#[test]
fn an_agent_of_another_identity_ends() {
    let ask = Ask::Secrets(Hash::of(b"another"));
    let decided = agent(Hash::of(b"it")).decide(ask, since_boot());
    assert_eq!(decided, (Answer::Other, Then::End));
}

#[test]
fn messages_are_small_and_only_their_one_encoding_is_read() {
    let long = State::new(Duration::MAX, Duration::MAX, true);
    let terms = Terms::new(Duration::MAX, Duration::MAX, Hash::of(b"it"));
    assert!(codec::encode(&terms).len() <= MESSAGE_BYTES_MAX);
    for answer in [Answer::State(long), Answer::Secrets, Answer::Other, Answer::Ending] {
        let framed = wire::framed(&answer);
        assert_eq!(wire::receive::<Answer>(&mut framed.as_slice()).expect("it fits"), answer);
        assert!(wire::receive::<Answer>(&mut &framed[..framed.len() - 1]).is_err());
        assert!(wire::parse::<Answer>(&[&framed[4..], b"\0"].concat()).is_err());
    }
    assert!(wire::length([0, 0, 0, 128]).is_ok());
    for head in [[0, 0, 0, 129], [255; 4]] {
        assert!(wire::length(head).is_err(), "{head:?}");
    }
}

#[test]
fn what_it_was_given_is_what_it_gives_out() {
    let served = served();
    for _ in 0..3 {
        let opened = secrets(&served.home).expect("nobody else's").expect("it answers");
        assert_eq!(opened.encode(), served.secrets.encode());
        crate::vault::Vault::open_with(served.home.clone(), &opened).expect("it opens");
    }
    let state = state(&served.home).expect("nobody else's").expect("it answers");
    assert!(state.left() > 7 * HOUR && state.unused_left() > 29 * MINUTE, "{state:?}");
    let mode = fs::metadata(served.home.path().join(SOCKET)).expect("it is there").permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
}

#[test]
fn garbage_and_silence_hinder_nobody() {
    let served = served();
    let silent: Vec<_> = (0..5).map(|_| raw(&served.home)).collect();
    for garbage in [&b"\xff\xff\xff\xff"[..], b"\0\0\0\x03abc", b"\0\0\0\x01", b"\0"] {
        let mut stream = raw(&served.home);
        stream.write_all(garbage).expect("it takes it");
        stream.shutdown(std::net::Shutdown::Write).expect("it is open");
        let mut answer = Vec::new();
        // A reset is an answer too.
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty(), "{answer:?}");
    }
    assert!(secrets(&served.home).expect("nobody else's").is_some());
    drop(silent);
}

#[test]
fn when_it_is_told_to_end_its_socket_is_gone_with_it() {
    let served = served();
    let mut stream = raw(&served.home);
    wire::send(&mut stream, &Ask::End).expect("it takes it");
    assert_eq!(wire::receive::<Answer>(&mut stream).expect("it answers"), Answer::Ending);
    served.serving.join().expect("no panic").expect("a clean end");
    assert!(!served.home.path().join(SOCKET).exists());
    assert!(secrets(&served.home).expect("nobody else's").is_none());
    assert!(!end(&served.home).expect("nothing to end"));
    drop(served.dir);
}

#[test]
fn an_identity_that_was_replaced_is_not_opened_and_the_agent_ends() {
    let served = served();
    let (_dir, other) = fixture::home();
    fixture::create(&other).expect("a vault");
    let identity = |home: &Home| home.path().join("identity.age");
    fs::copy(identity(&other), identity(&served.home)).expect("it is ours");
    assert!(secrets(&served.home).expect("nobody else's").is_none());
    served.serving.join().expect("no panic").expect("a clean end");
}

#[test]
fn a_vault_deeper_than_a_sockets_path_has_an_agent_too() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let home = Home::new(dir.path().join(vec!["sixteen-symbols-"; 20].join("/")));
    let (_, kept) = fixture::create(&home).expect("a vault");
    let _serving = serve_here(&home, &kept, home.identity_hash().expect("it is there"));
    assert!(secrets(&home).expect("nobody else's").is_some());
    assert!(home.path().join(SOCKET).exists());
}

#[test]
fn what_is_left_in_its_place_is_no_hurdle() {
    let (_dir, home) = fixture::home();
    let nothing = |home: &Home| {
        assert!(secrets(home).expect("nobody else's").is_none());
        assert!(state(home).expect("nobody else's").is_none());
    };
    nothing(&home);
    let (_, kept) = fixture::create(&home).expect("a vault");
    nothing(&home);
    let place = home.path().join(SOCKET);
    fs::write(&place, "no socket").expect("it is ours");
    nothing(&home);
    fs::remove_file(&place).expect("it is ours");
    // One that was killed.
    drop(UnixListener::bind(&place).expect("it is ours"));
    assert!(place.exists());
    nothing(&home);
    let _serving = serve_here(&home, &kept, home.identity_hash().expect("it is there"));
    assert!(secrets(&home).expect("nobody else's").is_some());
}

#[test]
fn one_that_says_nothing_or_half_of_something_is_waited_for_no_longer_than_the_deadline() {
    let (_dir, home) = fixture::home();
    fixture::create(&home).expect("a vault");
    let listener = UnixListener::bind(home.path().join(SOCKET)).expect("it is ours");
    for said in [&b""[..], b"\0\0", b"\0\0\0\x02\x82"] {
        let line = Line::reach_within(&home, Duration::from_millis(50));
        let line = line.expect("ours").expect("it listens");
        let (mut peer, _) = listener.accept().expect("it dialled");
        peer.write_all(said).expect("it is open");
        assert!(matches!(line.state(), Err(AgentError::Silent)), "{said:?}");
    }
    // What answers in another way is none of ours.
    let line = Line::reach(&home).expect("ours").expect("it listens");
    let (mut peer, _) = listener.accept().expect("it dialled");
    peer.write_all(b"\0\0\0\x01\x07").expect("it is open");
    assert!(matches!(line.state(), Err(AgentError::Foreign)));
}

#[test]
fn a_queue_that_is_full_is_not_waited_in() {
    let (_dir, home) = fixture::home();
    fixture::create(&home).expect("a vault");
    let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None).expect("a socket");
    let path = SocketAddrUnix::new(home.path().join(SOCKET)).expect("a short path");
    bind(&listener, &path).expect("it is ours");
    listen(&listener, 1).expect("it is bound");
    let mut waiting = Vec::new();
    let refused = loop {
        match Line::reach(&home) {
            Ok(line) => waiting.push(line.expect("it listens")),
            Err(error) => break error,
        }
        assert!(waiting.len() < 100, "the queue has no end");
    };
    assert!(matches!(refused, AgentError::Silent), "{refused}");
    assert!(secrets(&home).expect("nobody else's").is_none());
}

#[test]
fn a_folder_that_others_can_enter_is_not_trusted_with_secrets() {
    let served = served();
    let open = |mode| {
        let permissions = Permissions::from_mode(mode);
        fs::set_permissions(served.home.path(), permissions).expect("it is ours");
    };
    for mode in [0o701, 0o710, 0o755, 0o777] {
        open(mode);
        assert!(secrets(&served.home).expect("nobody else's").is_none(), "{mode:o}");
        let identity = served.home.identity_hash().expect("it is there");
        let started = start(&served.home, &terms(identity), &served.secrets);
        assert!(matches!(started, Err(AgentError::OpenFolder(_))), "{mode:o}");
    }
    open(0o700);
    assert!(secrets(&served.home).expect("nobody else's").is_some());
}

#[test]
fn another_users_socket_or_folder_is_told_and_everything_else_is_no_error() {
    let us = geteuid().as_raw();
    let path = std::path::Path::new("vault");
    must_be_ours(path, us).expect("it is");
    let error = must_be_ours(path, us + 1).expect_err("it is not");
    assert!(error.to_string().contains(&format!("uid {}", us + 1)), "{error}");
    assert!(only_other_users::<State>(Err(error)).is_err());
    for error in [AgentError::Silent, AgentError::Foreign, AgentError::DoesNotEnd] {
        assert!(only_other_users::<State>(Err(error)).expect("no error").is_none());
    }
    let (_dir, home) = fixture::home();
    assert!(Folder::open(&home).expect("no error").is_none());
}
