use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;

use super::*;
use crate::stop::{self, Stopper};
use crate::store::disk::Disk;
use crate::store::disk::faulty::FaultyDisk;
use crate::store::{Options, Store};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const ADDRESS: &str = "sealpost://key@relay.example:4433";

/// A relay that takes commands in a folder of its own.
struct Commanded {
    folder: tempfile::TempDir,
    root: PathBuf,
    _stopper: Stopper,
    _runtime: tokio::runtime::Runtime,
}

fn commanded(below: &str) -> Commanded {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join(below);
    std::fs::create_dir_all(&root).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (stopper, stop) = stop::channel();
    let guard = runtime.enter();
    let control = Control::bind(&root).unwrap();
    drop(guard);
    runtime.spawn(control.serve(Arc::new(store()), ADDRESS.to_owned(), || NOW, stop));
    Commanded { folder, root, _stopper: stopper, _runtime: runtime }
}

fn store() -> Store {
    let disk: Arc<dyn Disk> = Arc::new(FaultyDisk::new());
    let options = Options { segment_bytes: 64 * 1024, reserve_bytes: 0, ..Options::DEFAULT };
    Store::create(&disk, "/data".as_ref(), options).unwrap()
}

#[test]
fn commands_reach_a_running_relay() {
    let relay = commanded("data");
    let Some(Answer::Address(address)) = ask(&relay.root, &Ask::Address).unwrap() else {
        panic!("no address");
    };
    assert_eq!(address, ADDRESS);
    let new = Ask::PermitNew { label: Some("lawyers".to_owned()) };
    let Some(Answer::Issued(issued)) = ask(&relay.root, &new).unwrap() else {
        panic!("no permit");
    };
    let Some(Answer::Permits(kept)) = ask(&relay.root, &Ask::PermitList).unwrap() else {
        panic!("no list");
    };
    let permit = Permit { issued: NOW, founded: None, label: Some("lawyers".to_owned()) };
    assert_eq!(kept, [KeptPermit { id: Hash::of(issued.code.as_slice()), permit }]);
    let revoke = Ask::PermitRevoke { id: issued.id.to_string() };
    assert!(ask(&relay.root, &revoke).unwrap() == Some(Answer::Revoked(issued.id)));
    let again = ask(&relay.root, &revoke).err();
    assert!(matches!(again, Some(ControlError::Refused(PermitError::LocalUnknown))), "{again:?}");
}

#[test]
fn a_folder_deeper_than_a_socket_path_is_commanded_all_the_same() {
    let deep = vec!["sixteen-symbols-"; 20].join("/");
    assert!(deep.len() > 300);
    let relay = commanded(&deep);
    assert!(ask(&relay.root, &Ask::Address).unwrap().is_some());
    assert!(relay.root.join(FILE).exists());
}

#[test]
fn without_a_relay_there_is_no_answer_and_a_dead_one_leaves_no_hurdle() {
    let folder = tempfile::tempdir().unwrap();
    assert!(ask(&folder.path().join("none"), &Ask::Address).unwrap().is_none());
    assert!(ask(folder.path(), &Ask::Address).unwrap().is_none());
    // The socket of a relay that was killed.
    drop(std::os::unix::net::UnixListener::bind(folder.path().join(FILE)).unwrap());
    assert!(folder.path().join(FILE).exists());
    assert!(ask(folder.path(), &Ask::Address).unwrap().is_none());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _guard = runtime.enter();
    drop(Control::bind(folder.path()).unwrap());
    assert!(!folder.path().join(FILE).exists(), "a relay that ends takes it away");
}

#[test]
fn the_socket_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let relay = commanded("data");
    let mode = std::fs::metadata(relay.root.join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn garbage_and_huge_lengths_end_the_connection_and_nothing_else() {
    use std::io::{Read as _, Write as _};
    let relay = commanded("data");
    for garbage in [&b"\xff\xff\xff\xff"[..], b"\0\0\0\x03abc", b"\0\0\0\x01"] {
        let mut stream = UnixStream::connect(relay.root.join(FILE)).unwrap();
        stream.write_all(garbage).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        // A reset is an answer too.
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty(), "{answer:?}");
    }
    assert!(ask(&relay.root, &Ask::Address).unwrap().is_some());
}

/// Names the folder to the process that [`ask_from_here`] runs in.
const FOLDER: &str = "SEALPOST_TEST_CONTROL";

/// Not a test of its own: what the process of another user does.
#[test]
fn ask_from_here() {
    if let Some(root) = std::env::var_os(FOLDER) {
        let answered = ask(root.as_ref(), &Ask::Address).unwrap().is_some();
        println!("{}", if answered { "was answered" } else { "was refused" });
    }
}

/// Runs [`ask_from_here`] as that user. The permissions of folder and socket are opened first, so
/// that only the kernel's word about the peer is left to refuse it.
fn ask_as(relay: &Commanded, uid: u32) -> String {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let open = |path: &std::path::Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    };
    let program = relay.folder.path().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    for path in [relay.folder.path(), &relay.root, &relay.root.join(FILE), &program] {
        open(path);
    }
    let output = Command::new(program)
        .args(["--exact", "control::tests::ask_from_here", "--nocapture"])
        .env(FOLDER, &relay.root)
        .current_dir("/")
        .uid(uid)
        .gid(uid)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn another_user_is_refused_whatever_the_permissions_say() {
    let me = rustix::process::geteuid().as_raw();
    assert!(server::may_command(1_000, 1_000) && server::may_command(0, 1_000));
    assert!(!server::may_command(65_534, 1_000) && !server::may_command(65_534, 0));
    let relay = commanded("data");
    assert!(ask_as(&relay, me).contains("was answered"));
    // Only root can become another user to try it out.
    if me == 0 {
        let told = ask_as(&relay, 65_534);
        assert!(told.contains("was refused"), "{told}");
    }
}
