//! A real relay process with a data folder of its own, on a loopback port.

use std::fs::{self, File, OpenOptions};
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::process::Process;
use crate::programs::Programs;
use crate::ran::Ran;

/// How often a place is looked for, and how often a restart tries to have it again: whoever pretends to be
/// another relay stands where the system gives ports to clients.
const PORT_TRIES: usize = 20;
/// Below the ephemeral ones.
const PORTS: Range<u16> = 10_000..32_768;

/// How a relay is run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Arguments after those of `run` that the harness sets.
    pub arguments: Vec<String>,
    /// Its environment, beside `PATH`.
    pub environment: Vec<(String, String)>,
}

impl Options {
    /// Everything logged that can be.
    pub fn tracing() -> Self {
        let environment = vec![("SEALPOST_RELAY_LOG".to_owned(), "trace".to_owned())];
        Self { environment, ..Self::default() }
    }
}

/// A relay: its folder, its address, and the process while it runs.
#[derive(Debug)]
pub struct Relay {
    programs: Programs,
    options: Options,
    folder: TempDir,
    address: String,
    listen: SocketAddr,
    process: Option<Process>,
}

/// A place to listen at that no client is given while the relay is down: outside of what Linux takes
/// ports from that nobody asked for.
fn free_place() -> SocketAddr {
    for _ in 0..PORT_TRIES {
        let mut random = [0; 2];
        getrandom::fill(&mut random).expect("the system has randomness");
        let port = PORTS.start + u16::from_le_bytes(random) % (PORTS.end - PORTS.start);
        let place = SocketAddr::from(([127, 0, 0, 1], port));
        if UdpSocket::bind(place).is_ok() {
            return place;
        }
    }
    panic!("no port is free");
}

impl Relay {
    /// Creates a data folder, starts a relay on it and waits until it is ready.
    ///
    /// # Panics
    /// When it does not get ready.
    #[track_caller]
    pub fn start(programs: &Programs) -> Self {
        Self::start_with(programs, Options::default())
    }

    /// As [`Relay::start`], with options that also hold for restarts.
    ///
    /// # Panics
    /// When it does not get ready.
    #[track_caller]
    pub fn start_with(programs: &Programs, options: Options) -> Self {
        let mut relay = Self {
            programs: programs.clone(),
            options,
            folder: tempfile::tempdir().expect("the temporary folder is writable"),
            address: String::new(),
            listen: free_place(),
            process: None,
        };
        let mut process = relay.spawn(&["--init"]);
        relay.address = process.line_where(|line| line.starts_with("sealpost://"));
        process.line_where(|line| line == "ready");
        relay.listen = host_of(&relay.address);
        relay.process = Some(process);
        relay
    }

    /// Starts it again, on the same folder and port, and waits until it is ready.
    ///
    /// # Panics
    /// When it runs, and when it does not get ready.
    #[track_caller]
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "{self:?} runs");
        for _ in 0..PORT_TRIES {
            let mut process = self.spawn(&[]);
            loop {
                match process.line() {
                    Some(line) if line == "ready" => {
                        self.process = Some(process);
                        return;
                    }
                    Some(_) => {}
                    None => break,
                }
            }
            let status = process.wait();
            let log = self.log();
            assert!(log.contains("in use"), "the relay did not start ({status}):\n{log}");
        }
        panic!("port {} stays in use", self.listen);
    }

    /// As [`Relay::restart`], at another place: that of a relay which it pretends to be.
    ///
    /// # Panics
    /// As [`Relay::restart`].
    #[track_caller]
    pub fn restart_at(&mut self, place: SocketAddr) {
        self.listen = place;
        self.restart();
    }

    /// Runs `run` expecting that it refuses, and returns what it said.
    #[track_caller]
    pub fn refuses_to_run(&self, arguments: &[&str]) -> Ran {
        let listen = self.listen.to_string();
        let mut command = self.command(&["run", "--listen", &listen]);
        command.args(arguments);
        Process::spawn(&mut command).finish()
    }

    fn spawn(&self, arguments: &[&str]) -> Process {
        let listen = self.listen.to_string();
        let mut command = self.command(&["run", "--listen", &listen]);
        command.args(arguments).args(&self.options.arguments);
        Process::spawn_with(&mut command, self.log_file())
    }

    /// A command of the relay's program on this data folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.programs.relay();
        command.arg("--data").arg(self.data()).args(arguments);
        let options = &self.options.environment;
        command.envs(options.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command of the relay's program on this data folder to its end.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Ran {
        Process::spawn(&mut self.command(arguments)).finish()
    }

    /// A new permit's code.
    ///
    /// # Panics
    /// When none is given.
    #[track_caller]
    pub fn permit(&self) -> String {
        let ran = self.run(&["permit", "new"]).exits(0);
        let words = ran.stdout_text();
        words.split_whitespace().next_back().expect("the code is the last word").to_owned()
    }

    /// Its address, as it printed it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its address with another host: where a proxy in front of it listens.
    pub fn address_at(&self, host: SocketAddr) -> String {
        readdressed(&self.address, host)
    }

    /// Where it listens.
    pub fn listens_at(&self) -> SocketAddr {
        self.listen
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its pid.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub fn pid(&self) -> Pid {
        self.process.as_ref().expect("the relay runs").pid()
    }

    /// All that its runs wrote to stderr.
    ///
    /// # Panics
    /// When the file is gone.
    pub fn log(&self) -> String {
        let log = fs::read(self.log_path()).expect("the log is ours");
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Kills it with SIGKILL.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    /// Waits for its end after something else ended it.
    ///
    /// # Panics
    /// When it does not run, or does not end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        self.process.take().expect("the relay runs").wait()
    }

    /// Stops it with SIGTERM. A relay that was asked to stop ends with exit 0.
    ///
    /// # Panics
    /// When it does not run, or ends in another way.
    #[track_caller]
    pub fn stop(&mut self) {
        let status = self.end(Signal::TERM);
        assert!(status.success(), "the relay ended with {status}:\n{}", self.log());
    }

    #[track_caller]
    fn end(&mut self, signal: Signal) -> ExitStatus {
        let mut process = self.process.take().expect("the relay runs");
        process.signal(signal);
        process.wait()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn log_file(&self) -> Stdio {
        append_to(&self.log_path()).into()
    }
}

/// The address of the same key at another host.
pub fn readdressed(address: &str, host: SocketAddr) -> String {
    let key = address.split('@').next().unwrap_or_default();
    format!("{key}@{host}")
}

/// The only host of a loopback relay's address.
fn host_of(address: &str) -> SocketAddr {
    let host = address.split('@').nth(1).and_then(|host| host.parse().ok());
    host.unwrap_or_else(|| panic!("no loopback host and port in {address}"))
}

fn append_to(path: &Path) -> File {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.expect("the temporary folder is writable")
}
