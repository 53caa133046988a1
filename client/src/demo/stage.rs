//! The demo's folder, its relay and its people, all gone in the end.

use std::fs::{self, DirBuilder};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use data_encoding::HEXLOWER;
use serde_json::Value;

use super::{below, broken, relay_program};
use crate::error::{Failure, Kind as Error};
use crate::random;

/// A folder for this demo alone.
pub(super) struct Stage(PathBuf);

impl Stage {
    pub(super) fn set() -> Result<Self, Failure> {
        let name = format!("sealpost-demo-{}", HEXLOWER.encode(&random::bytes::<8>()?));
        let folder = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&folder)?;
        let stage = Self(folder);
        fs::write(stage.passphrase(), "a passphrase for the demo alone")?;
        Ok(stage)
    }

    /// A person with a home of their own.
    pub(super) fn person(&self, handle: &str, country: &str) -> Result<Person, Failure> {
        let person = Person { home: self.0.join(handle), passphrase: self.passphrase() };
        let work_factor = ["--danger-work-factor", "10"];
        let init = ["init", "--handle", handle, "--country", country];
        person.runs(&[&init[..], &work_factor].concat(), "")?;
        Ok(person)
    }

    fn passphrase(&self) -> PathBuf {
        self.0.join("passphrase")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Nothing of anybody is in it; what stays behind is said by nobody's harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Somebody who types commands.
pub(super) struct Person {
    home: PathBuf,
    passphrase: PathBuf,
}

impl Person {
    /// Runs a command of this program with `--json` and returns its result.
    pub(super) fn runs(&self, arguments: &[&str], stdin: &str) -> Result<Value, Failure> {
        let output = self.output(&[arguments, &["--json"]].concat(), stdin)?;
        serde_json::from_slice(&output.stdout)
            .map_err(|_| broken(&format!("`{}` printed no JSON", arguments.join(" "))))
    }

    /// The age file of a record.
    pub(super) fn sealed(&self, reference: &str) -> Result<Vec<u8>, Failure> {
        Ok(self.output(&["record", "show", reference, "--sealed"], "")?.stdout)
    }

    fn output(&self, arguments: &[&str], stdin: &str) -> Result<Output, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .arg("--home")
            .arg(&self.home)
            .arg("--passphrase-file")
            .arg(&self.passphrase)
            .env_remove("SEALPOST_HOME")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut pipe) = child.stdin.take() {
            // A command that reads nothing may have closed it.
            let _ = pipe.write_all(stdin.as_bytes());
        }
        let output = child.wait_with_output()?;
        if output.status.success() {
            return Ok(output);
        }
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(broken(&format!("`sealpost {}` failed: {words}", arguments.join(" "))))
    }
}

/// A relay process, ended when dropped.
pub(super) struct Relay {
    pub(super) address: String,
    program: PathBuf,
    data: PathBuf,
    child: Child,
}

impl Relay {
    pub(super) fn start(stage: &Stage) -> Result<Self, Failure> {
        let (program, data) = (relay_program()?, stage.0.join("relay"));
        let mut child = Command::new(&program)
            .arg("--data")
            .arg(&data)
            .args(["run", "--init", "--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                Failure::new(Error::Failed, format!("Cannot start {}", program.display()))
                    .because(error)
            })?;
        let stdout = child.stdout.take().expect("it is piped");
        let mut relay = Self { address: String::new(), program, data, child };
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            if line.starts_with("sealpost://") {
                relay.address = line.trim().to_owned();
            } else if line.trim() == "ready" && !relay.address.is_empty() {
                return Ok(relay);
            }
        }
        Err(broken("the relay did not get ready"))
    }

    /// A permit's code: the last word of what `permit new` prints.
    pub(super) fn permit(&self) -> Result<String, Failure> {
        let output = Command::new(&self.program)
            .arg("--data")
            .arg(&self.data)
            .args(["permit", "new"])
            .output()?;
        let words = String::from_utf8_lossy(&output.stdout);
        let code = words.split_whitespace().next_back().filter(|_| output.status.success());
        code.map(str::to_owned).ok_or_else(|| broken("the relay gave no permit"))
    }

    /// Every file the relay keeps: its name below the data folder, and its bytes.
    pub(super) fn files(&self) -> Result<Vec<(PathBuf, Vec<u8>)>, Failure> {
        let mut files = Vec::new();
        collect(&self.data, &self.data, &mut files)?;
        Ok(files)
    }

    /// Stops it as an operator would, and waits until it has.
    pub(super) fn stop(mut self) -> Result<(), Failure> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)
            .map_err(std::io::Error::from)?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(broken("the relay did not stop well")) }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // It has ended already when it was stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(folder: &Path, root: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) -> Result<(), Failure> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let kind = fs::symlink_metadata(&path)?.file_type();
        if kind.is_dir() {
            collect(&path, root, files)?;
        } else if kind.is_file() {
            files.push((below(&path, root).to_owned(), fs::read(&path)?));
        }
    }
    Ok(())
}
