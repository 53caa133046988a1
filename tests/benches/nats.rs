//! The peer for large files: the object store of NATS, which encrypts nothing, durable as ours is. And the
//! server of its streams.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// Puts a file and gets it back, and prints both times in seconds.
const SCRIPT: &str = r"
import asyncio, os, sys, time
import nats
async def main():
    connection = await nats.connect(sys.argv[1])
    stream = connection.jetstream(timeout=60)
    try:
        store = await stream.create_object_store('files')
    except nats.js.errors.BadRequestError:
        store = await stream.object_store('files')
    began = time.monotonic()
    with open(sys.argv[2], 'rb') as file:
        await store.put('film', file)
    into = time.monotonic() - began
    began = time.monotonic()
    with open(sys.argv[3], 'wb') as file:
        await store.get('film', writeinto=file)
        file.flush()
        os.fsync(file.fileno())
    out = time.monotonic() - began
    await store.delete('film')
    await connection.close()
    print(into, out)
asyncio.run(main())
";

/// A running server.
pub(crate) struct Nats {
    server: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Nats {
    /// Starts one; none where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        is_there(Command::new("nats-server").arg("--version"))?;
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        drop(listener);
        let config = folder.path().join("nats.conf");
        let store = folder.path().join("store");
        let text = format!(
            "host: 127.0.0.1\nport: {}\njetstream {{ store_dir: {store:?}, sync_interval: always, \
             max_file: 16GB }}\n",
            address.port()
        );
        fs::write(&config, text).expect("the temporary folder is writable");
        let mut command = Command::new("nats-server");
        command.arg("-c").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        let server = command.spawn().ok()?;
        let nats = Self { server, address, folder };
        // It is ready once it takes a connection.
        for _ in 0..500 {
            if std::net::TcpStream::connect(address).is_ok() {
                return Some(nats);
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        None
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Seconds in and out; none where Python has no client for it.
    pub(crate) fn round(&self, file: &Path) -> Option<(f64, f64)> {
        is_there(Command::new("python3").args(["-c", "import nats"]))?;
        let out = self.folder.path().join("out");
        let mut script = Command::new("python3");
        script.args(["-c", SCRIPT, &format!("nats://{}", self.address)]).arg(file).arg(&out);
        let ran = script.output().ok()?;
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        if !ran.status.success() {
            eprintln!("{}", String::from_utf8_lossy(&ran.stderr));
        }
        let times: Vec<f64> =
            said.split_whitespace().filter_map(|time| time.parse().ok()).collect();
        let [into, out] = times[..] else { return None };
        Some((into, out))
    }
}

/// Something when that command runs to a good end.
fn is_there(command: &mut Command) -> Option<()> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().ok()?.success().then_some(())
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
