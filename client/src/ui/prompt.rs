//! Asks for a record's required fields, one after the other.

use std::io::{self, BufRead};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::display::Untrusted;
use super::input::{self, InputError};
use super::{Stream, aside};
use crate::kinds::{self, Field, Kind, Type};

/// Asks for everything a person must type. Nothing typed means `unknown`. `now` is what dates that
/// have a default count from.
pub fn record(kind: &Kind, now: Timestamp) -> Result<Value, InputError> {
    if !input::can_ask() {
        return Err(InputError::NobodyToAsk("the record".to_owned()));
    }
    let mut fields = Map::new();
    for field in kind.typed_fields() {
        let value = asked(kind, field, now, || match field.value {
            Type::Md => several_lines(field),
            _ => input::ask(&question(field)),
        })?;
        fields.insert(field.name.clone(), value);
    }
    Ok(Value::Object(fields))
}

/// Asks until the answer fits: one that does not must not cost what was typed for other fields.
fn asked(
    kind: &Kind,
    field: &Field,
    now: Timestamp,
    mut ask: impl FnMut() -> Result<String, InputError>,
) -> Result<Value, InputError> {
    loop {
        let value = kinds::from_typed(field, &ask()?);
        match kind.check(json!({ field.name.as_str(): value }), now) {
            Ok(_) => return Ok(value),
            // A closed stderr is no reason to fail.
            Err(errors) => {
                let line = Untrusted::line(&errors.to_string()).to_string();
                drop(aside(Stream::Err, &format!("{line}\n")));
            }
        }
    }
}

/// The question, with the values of an enum and their numbers.
fn question(field: &Field) -> String {
    let choices = (1..).zip(&field.values);
    let choices: Vec<String> =
        choices.map(|(number, choice)| format!("{number} {}", choice.value())).collect();
    match choices.as_slice() {
        [] => field.ask.clone(),
        choices => format!("{} [{}, other: …, unknown]", field.ask, choices.join(", ")),
    }
}

fn several_lines(field: &Field) -> Result<String, InputError> {
    let unreadable = |error| InputError::Unreadable("stdin".to_owned(), error);
    let question = format!("{} (end with Ctrl-D or a line with a single dot):\n", field.ask);
    aside(Stream::Err, &question).map_err(unreadable)?;
    let mut text = String::new();
    for line in io::stdin().lock().lines() {
        let line = line.map_err(unreadable)?;
        if line == "." {
            break;
        }
        text.push_str(&line);
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
