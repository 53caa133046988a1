//! Checks a record's fields against its kind, and fills in what has a value of its own.

use std::collections::BTreeSet;
use std::fmt;

use sealpost_protocol::reference::{Ref, RefError};
use serde_json::{Map, Value, json};

use super::{Class, Field, Kind, Need, Type, UNKNOWN, date};
use crate::ui::digits;
use crate::ui::display::Untrusted;

/// What the program writes itself; nobody types it.
const OWN_FIELDS: &[&str] = &[
    "id",
    "kind",
    "schema",
    "committee",
    "author",
    "created",
    "received",
    "epoch",
    "salt",
    "content",
    "sealed",
    "readers",
    "attachments",
];
/// What stays outside when the rest of a record is for named readers: how it is to be handled.
const HANDLING_FIELDS: &[&str] = &["lang", "status", "class"];
const DAY_MILLIS: i64 = 86_400_000;

/// Fields that passed.
#[derive(Debug)]
pub struct Checked {
    /// The fields, defaults filled in.
    pub fields: Map<String, Value>,
    /// Those of them that are for named readers alone.
    pub apart: Map<String, Value>,
    /// The handling class that they ask for.
    pub class: Class,
    /// Required fields that had no value and are `unknown` now.
    pub unknown: Vec<String>,
}

/// A field that is not right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Which, as a path: `present.judges[0]`.
    pub field: String,
    /// What is wrong.
    pub wrong: &'static str,
    /// What is allowed.
    pub allowed: String,
}

/// All fields that are not right.
#[derive(Debug, PartialEq, Eq)]
pub struct FieldErrors(pub Vec<FieldError>);

impl std::error::Error for FieldErrors {}

impl fmt::Display for FieldErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, error) in self.0.iter().enumerate() {
            let gap = if number == 0 { "" } else { "; " };
            let field = Untrusted::line(&error.field);
            write!(f, "{gap}{field} {}, allowed: {}", error.wrong, error.allowed)?;
        }
        Ok(())
    }
}

impl Kind {
    /// Checks `given`, an object of this kind's fields and the envelope's. `now` is what dates
    /// that have a default count from.
    pub fn check(&self, given: Value, now: jiff::Timestamp) -> Result<Checked, FieldErrors> {
        let mut check = Check {
            now,
            class: self.class,
            top: String::new(),
            apart: BTreeSet::new(),
            unknown: Vec::new(),
            errors: Vec::new(),
        };
        let Value::Object(mut given) = given else {
            check.wrong("record", "is not an object", "a JSON object of the kind's fields");
            return Err(FieldErrors(check.errors));
        };
        check.own_fields(&given);
        if given.values().all(is_empty) {
            check.wrong("record", "is empty", self.names());
        }
        let asked_for = given.get("class").and_then(Value::as_str).and_then(class_of);
        check.class = asked_for.unwrap_or(self.class);
        let whole = check.class >= Class::H2;
        let known: Vec<&Field> = self.all_fields().collect();
        let fields = check.object("", &mut given, &known);
        if !check.errors.is_empty() {
            return Err(FieldErrors(check.errors));
        }
        let Check { class, unknown, apart: strict, .. } = check;
        let is_apart = |name: &String| {
            let all = whole || strict.contains(ALL_FIELDS);
            (all && !HANDLING_FIELDS.contains(&name.as_str())) || strict.contains(name)
        };
        let (apart, mut fields): (Map<_, _>, Map<_, _>) =
            fields.into_iter().partition(|(name, _)| is_apart(name));
        fields.insert("class".to_owned(), json!(class.to_string()));
        Ok(Checked { fields, apart, class, unknown })
    }

    fn names(&self) -> String {
        self.fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// In [`Check::apart`]: a value that makes the whole record one for named readers.
const ALL_FIELDS: &str = "*";

struct Check {
    now: jiff::Timestamp,
    class: Class,
    /// The field of the record itself that is being checked.
    top: String,
    /// Fields of the record itself that are for named readers.
    apart: BTreeSet<String>,
    unknown: Vec<String>,
    errors: Vec<FieldError>,
}

impl Check {
    fn wrong(&mut self, field: &str, wrong: &'static str, allowed: impl Into<String>) {
        let (field, allowed) = (field.to_owned(), allowed.into());
        self.errors.push(FieldError { field, wrong, allowed });
    }

    /// What is for named readers goes apart, `what` of it; what is milder changes nothing.
    fn raise(&mut self, class: Class, what: String) {
        if class >= Class::H2 {
            self.class = self.class.max(class);
            self.apart.insert(what);
        }
    }

    fn own_fields(&mut self, given: &Map<String, Value>) {
        for name in OWN_FIELDS {
            if given.contains_key(*name) {
                self.wrong(name, "is written by the program", "leave it out");
            }
        }
    }

    fn object(
        &mut self,
        path: &str,
        given: &mut Map<String, Value>,
        known: &[&Field],
    ) -> Map<String, Value> {
        let mut checked = Map::new();
        for field in known {
            let at =
                if path.is_empty() { field.name.clone() } else { format!("{path}.{}", field.name) };
            if path.is_empty() {
                self.top.clone_from(&field.name);
            }
            let value = given.remove(&field.name).filter(|value| !is_empty(value));
            let wanted = field.when.as_ref().is_none_or(|when| {
                checked.get(&when.field).and_then(Value::as_str) == Some(when.is.as_str())
            });
            let value = match value {
                Some(value) => self.value(&at, value, field),
                None if wanted => self.missing(&at, field),
                None => continue,
            };
            if let Some(value) = value {
                checked.insert(field.name.clone(), value);
            }
        }
        for name in given.keys().filter(|name| !OWN_FIELDS.contains(&name.as_str())) {
            let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let names: Vec<&str> = known.iter().map(|field| field.name.as_str()).collect();
            self.wrong(&at, "is no field of this kind", names.join(", "));
        }
        checked
    }

    /// What a field without a value gets.
    fn missing(&mut self, at: &str, field: &Field) -> Option<Value> {
        if let Some(days) = field.default_days {
            let due = self.now.as_millisecond() + i64::from(days) * DAY_MILLIS;
            let due = jiff::Timestamp::from_millisecond(due).unwrap_or(jiff::Timestamp::MAX);
            return Some(json!(due.strftime("%Y-%m-%d").to_string()));
        }
        if let Some(default) = &field.default {
            return Some(json!(default));
        }
        if field.need != Need::Must {
            return None;
        }
        if field.value == Type::Object {
            let known: Vec<&Field> = field.fields.iter().collect();
            return Some(Value::Object(self.object(at, &mut Map::new(), &known)));
        }
        self.unknown.push(at.to_owned());
        Some(json!(UNKNOWN))
    }

    fn value(&mut self, at: &str, value: Value, field: &Field) -> Option<Value> {
        if value == UNKNOWN {
            return Some(value);
        }
        self.raise(field.class, self.top.clone());
        if field.value != Type::List {
            return self.single(at, value, field, field.value);
        }
        let item = field.item.unwrap_or(Type::Text);
        let Value::Array(items) = value else {
            self.wrong(at, "is not a list", "a JSON array");
            return None;
        };
        let checked = items.into_iter().enumerate();
        let checked = checked.filter_map(|(number, value)| {
            self.single(&format!("{at}[{number}]"), value, field, item)
        });
        Some(Value::Array(checked.collect()))
    }

    fn single(&mut self, at: &str, value: Value, field: &Field, value_type: Type) -> Option<Value> {
        if value == UNKNOWN {
            return Some(value);
        }
        let refused: (&'static str, String) = match value_type {
            Type::Object => return self.nested(at, value, field),
            Type::Enum => return self.choice(at, value, field),
            Type::Date => return self.date(at, value),
            Type::Md if value.is_string() => return Some(value),
            Type::Text if value.as_str().is_some_and(|text| !text.contains('\n')) => {
                return Some(value);
            }
            Type::Int if value.is_i64() || value.is_u64() => return Some(value),
            Type::Bool3 => match three(&value) {
                Some(word) => return Some(json!(word)),
                None => ("is none of the three", "yes, no, unknown".to_owned()),
            },
            Type::Lang if value.as_str().is_some_and(is_lang) => return Some(value),
            Type::Class if value.as_str().and_then(class_of).is_some() => return Some(value),
            Type::Ref => match value.as_str().map(|text| reference(text, &field.of)) {
                Some(Ok(text)) => return Some(json!(text)),
                Some(Err(wrong)) => {
                    (wrong, format!("a REF of {}, words, unknown", field.of.join(" or ")))
                }
                None => ("is no text", "a REF, words, unknown".to_owned()),
            },
            Type::Md => ("is no text", "text, unknown".to_owned()),
            Type::Text => ("is not one line of text", "one line, unknown".to_owned()),
            Type::Int => ("is no whole number", "a whole number, unknown".to_owned()),
            Type::Lang => ("is no language tag", "for example tr, fa, ku-Arab, und".to_owned()),
            Type::Class => ("is no handling class", "H0, H1, H2, H3".to_owned()),
            Type::List => ("is a list in a list", "one value".to_owned()),
        };
        self.wrong(at, refused.0, refused.1);
        None
    }

    fn nested(&mut self, at: &str, value: Value, field: &Field) -> Option<Value> {
        let Value::Object(mut given) = value else {
            self.wrong(at, "is not an object", "a JSON object");
            return None;
        };
        let known: Vec<&Field> = field.fields.iter().collect();
        Some(Value::Object(self.object(at, &mut given, &known)))
    }

    fn choice(&mut self, at: &str, value: Value, field: &Field) -> Option<Value> {
        let chosen = field.values.iter().find(|choice| value == choice.value());
        if let Some(choice) = chosen {
            // A word like `hiv` tells by its presence alone: the record is apart as a whole.
            self.raise(choice.class(), ALL_FIELDS.to_owned());
            return Some(value);
        }
        let other = value.get("other").and_then(Value::as_str).is_some_and(|text| !text.is_empty())
            && value.as_object().is_some_and(|object| object.len() == 1);
        if !field.closed && (other || value == "other") {
            return Some(value);
        }
        let mut allowed: Vec<&str> = field.values.iter().map(super::Choice::value).collect();
        if !field.closed {
            allowed.push("{\"other\": \"words\"}");
        }
        allowed.push(UNKNOWN);
        self.wrong(at, "is none of the values", allowed.join(", "));
        None
    }

    /// A date as text, or as `{as_written, calendar, value}` when it was written in another way.
    fn date(&mut self, at: &str, value: Value) -> Option<Value> {
        const ALLOWED: &str = "2026, 2026-03, 2026-03-11, 2026-03-~14, \
             {\"as_written\", \"calendar\", \"value\"}, unknown";
        if let Some(text) = value.as_str() {
            let latin = digits::to_latin(text);
            if date::is_date(&latin) {
                let same = latin == text;
                return Some(if same {
                    value
                } else {
                    json!({"value": latin, "as_written": text})
                });
            }
        }
        if let Some(object) = value.as_object() {
            let texts = |name: &str| object.get(name).is_none_or(Value::is_string);
            let sound = object.get("as_written").is_some_and(Value::is_string)
                && object.keys().all(|key| ["as_written", "calendar", "value"].contains(&&**key))
                && texts("calendar")
                && object.get("value").is_none_or(|date| date.as_str().is_some_and(date::is_date));
            if sound {
                return Some(value);
            }
        }
        self.wrong(at, "is no date", ALLOWED);
        None
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

fn three(value: &Value) -> Option<&str> {
    match value {
        Value::Bool(true) => Some("yes"),
        Value::Bool(false) => Some("no"),
        Value::String(text) if text == "yes" || text == "no" => Some(text),
        _ => None,
    }
}

fn class_of(text: &str) -> Option<Class> {
    [Class::H0, Class::H1, Class::H2, Class::H3].into_iter().find(|class| class.to_string() == text)
}

fn is_lang(text: &str) -> bool {
    let mut parts = text.split('-');
    let first = parts.next().unwrap_or_default();
    (2..=8).contains(&first.len())
        && first.bytes().all(|byte| byte.is_ascii_alphabetic())
        && parts.all(|part| {
            (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
}

/// A REF in its one spelling, or words as they are. What looks like a REF must be a sound one.
fn reference(text: &str, of: &[String]) -> Result<String, &'static str> {
    match text.trim().parse::<Ref>() {
        Ok(found) if of.is_empty() || of.iter().any(|prefix| prefix == found.prefix()) => {
            Ok(found.to_string())
        }
        Ok(_) => Err("is a REF of another kind"),
        Err(RefError::Check) => Err("is a REF with a mistyped symbol"),
        Err(RefError::Shape) => Ok(text.to_owned()),
    }
}
