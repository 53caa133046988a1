//! The program as a process of its own, for tests: the test binary starts itself again, as a test
//! that runs the command line it finds in its environment.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use rustix::process::{Pid, Signal};

const ARGUMENTS: &str = "SEALPOST_TEST_ARGUMENTS";

/// Not a test of its own: what the process does.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test harness would print its own result")]
fn run_from_here() {
    let Some(arguments) = std::env::var_os(ARGUMENTS) else { return };
    let arguments = arguments.into_string().unwrap();
    let line = ["sealpost-relay"].into_iter().chain(arguments.split('\n')).map(Into::into);
    let code = crate::cli::run(std::sync::Arc::new(crate::store::disk::RealDisk), line);
    std::process::exit(code.into());
}

fn command(data: &Path, arguments: &[&str]) -> Command {
    let data = data.to_str().unwrap();
    let line = [&["--data", data], arguments].concat().join("\n");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "program::run_from_here", "--nocapture"])
        .env(ARGUMENTS, line)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a command to its end.
pub(crate) fn run(data: &Path, arguments: &[&str]) -> Output {
    command(data, arguments).output().unwrap()
}

/// The exit code of a command and the `error` of its `--json`.
pub(crate) fn failure(data: &Path, arguments: &[&str]) -> (i32, String) {
    let output = run(data, &[&["--json"], arguments].concat());
    let told = String::from_utf8(output.stderr).unwrap();
    let object = told.lines().find(|line| line.starts_with('{')).unwrap_or_default();
    let object: serde_json::Value = serde_json::from_str(object).unwrap_or_default();
    for field in ["what", "safe", "next"] {
        assert!(object[field].as_str().is_some_and(|text| !text.is_empty()), "{told}");
    }
    assert_eq!(object["exit"].as_i64(), output.status.code().map(i64::from), "{told}");
    (output.status.code().unwrap(), object["error"].as_str().unwrap().to_owned())
}

/// A relay that serves; killed when dropped.
pub(crate) struct Serving {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// What it printed before `ready`.
    pub(crate) printed: Vec<String>,
}

impl Serving {
    /// Starts `run` and waits for `ready`.
    pub(crate) fn start(data: &Path, arguments: &[&str]) -> Self {
        let mut child = command(data, &[&["run"], arguments].concat()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut serving = Self { child, stdout, printed: Vec::new() };
        loop {
            let mut line = String::new();
            serving.stdout.read_line(&mut line).unwrap();
            match line.trim() {
                "ready" => return serving,
                _ if line.is_empty() => panic!("it ended: {}", serving.stderr()),
                // The test harness's own.
                "" | "running 1 test" => {}
                printed => serving.printed.push(printed.to_owned()),
            }
        }
    }

    fn stderr(&mut self) -> String {
        let mut told = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        told
    }

    /// Sends a signal and waits; gives the exit code and all of stderr.
    pub(crate) fn end(mut self, signal: Signal) -> (Option<i32>, String) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
        let told = self.stderr();
        (self.child.wait().unwrap().code(), told)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
