//! What a command did: its exit code and its two streams, and what a test may ask of them. Every
//! failed question shows both streams.

use std::fmt;
use std::process::ExitStatus;

use serde_json::Value;

/// A command that has ended.
#[must_use = "a command that was not looked at proves nothing"]
pub struct Ran {
    /// Its command line.
    pub(crate) shown: String,
    /// How it ended.
    pub status: ExitStatus,
    /// All of its stdout.
    pub stdout: Vec<u8>,
    /// All of its stderr.
    pub stderr: Vec<u8>,
}

impl Ran {
    /// Its exit code; none when a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Returns itself when it ended with `code`.
    ///
    /// # Panics
    /// Otherwise.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert!(self.code() == Some(code), "expected exit {code} of {self:?}");
        self
    }

    /// Its stdout as JSON: exactly one value.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is no JSON ({error}): {self:?}"))
    }

    /// The text at `field` of its JSON.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn field(&self, field: &str) -> String {
        let json = self.json();
        let text = json.get(field).and_then(Value::as_str);
        text.unwrap_or_else(|| panic!("no text `{field}` in stdout of {self:?}")).to_owned()
    }

    /// The error object of `--json`: the only JSON on stderr, on its last line, with all five
    /// members and the exit code the process really ended with.
    ///
    /// # Panics
    /// When it is not so.
    #[track_caller]
    pub fn failure(&self) -> Value {
        let stderr = self.stderr_text();
        let objects: Vec<Value> =
            stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let [failure] = objects.as_slice() else { panic!("not one error object: {self:?}") };
        let members: Vec<&str> =
            failure.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        assert_eq!(members, ["error", "exit", "what", "safe", "next"], "{self:?}");
        assert_eq!(failure["exit"].as_i64(), self.code().map(i64::from), "{self:?}");
        for member in ["error", "what", "safe", "next"] {
            let said = failure[member].as_str().is_some_and(|text| !text.is_empty());
            assert!(said, "`{member}` says nothing: {self:?}");
        }
        failure.clone()
    }

    /// Returns itself when it failed with `code` and an error of that name.
    ///
    /// # Panics
    /// Otherwise.
    #[track_caller]
    pub fn fails(self, code: i32, error: &str) -> Self {
        let ran = self.exits(code);
        assert_eq!(ran.failure()["error"], error, "{ran:?}");
        ran
    }

    /// Returns itself when stdout or stderr holds `words`.
    ///
    /// # Panics
    /// Otherwise.
    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        let said = self.stdout_text().contains(words) || self.stderr_text().contains(words);
        assert!(said, "does not say {words:?}: {self:?}");
        self
    }

    /// Its stdout as text.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Its stderr as text.
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

impl fmt::Debug for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shown, status, .. } = self;
        let (stdout, stderr) = (self.stdout_text(), self.stderr_text());
        write!(f, "{shown}: {status}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}
