//! What the person sees: results on stdout, talk on stderr, nothing else anywhere.
//!
//! Text from others is shown through [`display::Untrusted`] only: by whoever lays it out, where a line
//! break in it must not look like ours, and once more here, over all that is said, so that what a
//! caller forgot does no harm. What is not text ([`Ui::bytes`]) is the only exception.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::error::Failure;

pub mod digits;
pub mod display;
pub mod input;
pub mod json;
pub mod passphrase;
pub mod progress;
pub mod prompt;
pub mod time;

use display::Untrusted;

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Words,
    /// For scripts: one line of JSON.
    Json,
}

/// The two streams and how to write to them.
pub struct Ui {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    format: Format,
    terminal: bool,
}

impl Ui {
    /// On the process's own stdout and stderr.
    pub fn of_process(format: Format) -> Self {
        let terminal = io::stdout().is_terminal();
        Self { terminal, ..Self::new(Box::new(io::stdout()), Box::new(io::stderr()), format) }
    }

    /// On any two streams.
    pub fn new(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>, format: Format) -> Self {
        Self { out, err, format, terminal: false }
    }

    /// Whether results go to somebody's eyes and not to a file or a program.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// How results are written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// A result: `json` for scripts, `words` for people. The words may have several lines: whoever
    /// makes them shows strings of others through [`Untrusted`], or theirs would be laid out too.
    pub fn result<T: Serialize>(&mut self, json: &T, words: &str) -> io::Result<()> {
        match self.format {
            Format::Json => {
                let line = json::to_line(json)?;
                self.bytes(&line)
            }
            Format::Words if words.is_empty() => Ok(()),
            Format::Words => self.bytes(format!("{}\n", Untrusted::text(words)).as_bytes()),
        }
    }

    /// A line of a tale that is a result as a whole.
    pub fn line(&mut self, line: &str) -> io::Result<()> {
        self.bytes(format!("{}\n", Untrusted::line(line)).as_bytes())
    }

    /// A result that is no text: a sealed file, a man page.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.out.write_all(bytes).and_then(|()| self.out.flush());
        match written {
            // Whoever read it has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// A line of talk, for people: a script's stderr holds an error's one object or nothing. A
    /// closed stderr is no reason to fail.
    pub fn talk(&mut self, line: &str) {
        if self.format == Format::Words {
            self.warn(line);
        }
    }

    /// A line that nobody must miss, a script's author neither. Never said by a command that fails.
    pub fn warn(&mut self, line: &str) {
        let _ = writeln!(self.err, "{}", Untrusted::line(line));
    }

    /// Tells a failure: what happened, what is safe, what to do next.
    pub fn fail(&mut self, failure: &Failure) {
        if self.format == Format::Json {
            if let Ok(line) = json::to_line(&failure.to_json()) {
                let _ = self.err.write_all(&line);
            }
            return;
        }
        self.talk(&format!("sealpost: {}.", failure.story().trim_end_matches('.')));
        for line in [&failure.safe, &failure.next] {
            if !line.is_empty() {
                self.talk(&format!("  {line}"));
            }
        }
    }
}

/// A stream of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// What was asked for.
    Out,
    /// Talk.
    Err,
}

/// Says something before there is a [`Ui`], or beside one: a usage error, a question, a defect.
pub fn aside(stream: Stream, words: &str) -> io::Result<()> {
    match stream {
        Stream::Out => show(&mut io::stdout(), words),
        Stream::Err => show(&mut io::stderr(), words),
    }
}

fn show(out: &mut dyn Write, words: &str) -> io::Result<()> {
    write!(out, "{}", Untrusted::text(words)).and_then(|()| out.flush())
}

/// A table for people, its cells made safe. Without rows it is empty.
pub fn table(headers: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(headers);
    for row in rows {
        table.add_row(row.iter().map(|cell| Untrusted::line(cell).to_string()));
    }
    table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
pub(crate) mod capture;
#[cfg(test)]
mod tests;
