//! A terminal that writes down what it is told, and what it was told too much.

use vte::{Params, Parser, Perform};

/// What a terminal may be told, beside printing: line feed, carriage return, tab.
pub const LAYOUT: [&str; 3] = ["execute 0x0a", "execute 0x0d", "execute 0x09"];

/// What a terminal printed and did.
#[derive(Debug, Default)]
pub struct Terminal {
    /// The characters, in their order.
    pub printed: String,
    /// Everything else.
    pub actions: Vec<String>,
}

impl Terminal {
    /// One that gets these bytes.
    pub fn gets(bytes: &[u8]) -> Self {
        let mut terminal = Self::default();
        Parser::new().advance(&mut terminal, bytes);
        terminal
    }

    /// The actions that are not among the allowed.
    pub fn beyond(&self, allowed: &[&str]) -> Vec<&String> {
        self.actions.iter().filter(|action| !allowed.contains(&action.as_str())).collect()
    }

    /// What is wrong with bytes that are to print and end lines, and do nothing else.
    pub fn harm_in(bytes: &[u8]) -> Option<String> {
        if std::str::from_utf8(bytes).is_err() {
            return Some("no UTF-8".to_owned());
        }
        // What is unfinished would swallow the bar.
        let terminal = Self::gets(&[bytes, b"|"].concat());
        let beyond = terminal.beyond(&LAYOUT);
        if !beyond.is_empty() {
            return Some(format!("{beyond:?}"));
        }
        if !terminal.printed.ends_with('|') {
            return Some("something is unfinished".to_owned());
        }
        let deceptive = terminal.printed.chars().find(|char| deceives(*char))?;
        Some(format!("U+{:04X} is printed", u32::from(deceptive)))
    }
}

impl Perform for Terminal {
    fn print(&mut self, char: char) {
        self.printed.push(char);
    }
    fn execute(&mut self, byte: u8) {
        self.actions.push(format!("execute {byte:#04x}"));
    }
    fn hook(&mut self, _: &Params, _: &[u8], _: bool, action: char) {
        self.actions.push(format!("DCS {action}"));
    }
    fn osc_dispatch(&mut self, _: &[&[u8]], _: bool) {
        self.actions.push("OSC".to_owned());
    }
    fn csi_dispatch(&mut self, _: &Params, intermediates: &[u8], _: bool, action: char) {
        let private = String::from_utf8_lossy(intermediates);
        self.actions.push(format!("CSI {private}{action}"));
    }
    fn esc_dispatch(&mut self, _: &[u8], _: bool, byte: u8) {
        self.actions.push(format!("ESC {byte:#04x}"));
    }
}

/// Characters that print nothing of themselves and change how others are read. A list of its own, that
/// the program's is held against.
pub fn deceives(char: char) -> bool {
    matches!(char,
        '\u{ad}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{200b}' | '\u{200e}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e01ef}')
}
