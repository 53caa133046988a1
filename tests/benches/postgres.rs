//! PostgreSQL on the same machine, with its defaults: rows inserted one a transaction by pgbench,
//! over loopback. It checks no signature.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// PostgreSQL refuses to run as root; this is the user "nobody" everywhere.
const NOBODY: u32 = 65_534;
/// Rows stand in the table as they are, neither compressed nor moved elsewhere, and the statement
/// is prepared: its fastest way to keep 2 KB.
const TABLE: &str = "CREATE TABLE entries (id bigserial PRIMARY KEY, body bytea NOT NULL);
    ALTER TABLE entries ALTER COLUMN body SET STORAGE PLAIN;";

/// A private cluster that is gone when this is.
pub(crate) struct Postgres {
    binaries: PathBuf,
    folder: TempDir,
    port: u16,
}

impl Postgres {
    /// Starts one, if PostgreSQL is installed.
    ///
    /// # Panics
    /// When it is and cannot be started.
    pub(crate) fn start() -> Option<Self> {
        let binaries = newest("/usr/lib/postgresql")?.join("bin");
        if !binaries.join("pgbench").exists() {
            return None;
        }
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        if rustix::process::geteuid().is_root() {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("we are root");
        }
        // Free when this asked; the cluster takes it a second later.
        let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|socket| socket.local_addr());
        let port = free.expect("a free port on loopback").port();
        let postgres = Self { binaries, folder, port };
        let data = postgres.data();
        postgres.run("initdb", &["-D", &data, "-U", "bench", "-A", "trust", "--no-locale"]);
        let sockets = postgres.folder.path().display();
        let options = format!("-c listen_addresses=127.0.0.1 -p {port} -k {sockets}");
        let log = postgres.folder.path().join("log").display().to_string();
        postgres.run("pg_ctl", &["-D", &data, "-w", "-l", &log, "-o", &options, "start"]);
        postgres.client("psql", &["-q", "-c", TABLE, "postgres"]);
        fs::write(postgres.script(), script()).expect("the temporary folder is writable");
        Some(postgres)
    }

    /// Its name and version.
    pub(crate) fn version(&self) -> String {
        let version = self.run("postgres", &["--version"]);
        let version = String::from_utf8_lossy(&version.stdout).replace("postgres (PostgreSQL)", "");
        let number = version.split_whitespace().next().unwrap_or_default();
        format!("PostgreSQL {number}, defaults")
    }

    /// Inserts `rows` for each of `clients` at once.
    pub(crate) fn records_a_second(&mut self, clients: usize, rows: usize) -> f64 {
        let (clients, rows) = (clients.to_string(), rows.to_string());
        let threads = if clients == "1" { "1" } else { "2" };
        let script = self.script().display().to_string();
        let mut arguments = vec!["-n", "-M", "prepared", "-c", &clients, "-j", threads];
        arguments.extend(["-t", &rows, "-f", &script, "postgres"]);
        let ran = self.client("pgbench", &arguments);
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        let tps = said.lines().find_map(|line| line.strip_prefix("tps = "));
        let figure = tps.and_then(|line| line.split_whitespace().next()?.parse().ok());
        figure.unwrap_or_else(|| panic!("pgbench said no tps:\n{said}"))
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn script(&self) -> PathBuf {
        self.folder.path().join("insert.sql")
    }

    fn client(&self, program: &str, arguments: &[&str]) -> Output {
        let port = self.port.to_string();
        let connect = ["-h", "127.0.0.1", "-p", &port, "-U", "bench"];
        self.run(program, &[&connect, arguments].concat())
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let ran = self.command(program, arguments).output().expect("PostgreSQL's programs start");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{program} ended with {}:\n{said}", ran.status);
        ran
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command.args(arguments).current_dir(self.folder.path());
        if rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Without it the cluster would outlive us; there is nobody to tell if it does not work.
        let _ = self.command("pg_ctl", &["-D", &self.data(), "-m", "fast", "stop"]).output();
    }
}

fn script() -> String {
    let body = "5a".repeat(crate::RECORD_BYTES);
    format!("INSERT INTO entries (body) VALUES ('\\x{body}');\n")
}

/// The folder in `folder` whose name is the largest number.
fn newest(folder: &str) -> Option<PathBuf> {
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let folders = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    folders.filter(|path| number(path).is_some()).max_by_key(|path| number(path))
}
