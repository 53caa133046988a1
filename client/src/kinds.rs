//! Record kinds: what a record of each kind contains, as data.
//!
//! One TOML file a kind under `kinds/`, and `envelope.toml` for what all have in common. Required
//! fields are few, and `unknown` is a value everywhere: what nobody knows must not keep a record
//! from being saved.

use std::fmt;

use serde::Deserialize;

use crate::attachments;

mod check;
mod date;
mod typed;

pub use check::{Checked, FieldError, FieldErrors};
pub use typed::from_typed;

const ENVELOPE: &str = include_str!("kinds/envelope.toml");
const KINDS: &[&str] = &[
    include_str!("kinds/note.toml"),
    include_str!("kinds/trial-note.toml"),
    include_str!("kinds/health-report.toml"),
];

/// The letters of records whose kind this program does not know, or that do not open.
const OTHER_PREFIX: &str = "Z";

/// The letters before the dash in the REF of a record of that kind.
pub fn prefix_of(kind: &str) -> String {
    if kind == attachments::KIND {
        return attachments::PREFIX.to_owned();
    }
    let known = Kind::named(kind).map(|kind| kind.prefix);
    known.unwrap_or_else(|_| OTHER_PREFIX.to_owned())
}

/// The value that stands for what nobody knows, in a field of any type.
pub const UNKNOWN: &str = "unknown";

/// A record kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    /// Its name, as typed after `record new`.
    pub kind: String,
    /// The letters before the dash in its records' REFs.
    pub prefix: String,
    /// The version of its fields.
    pub schema: u32,
    /// What it is for.
    pub about: String,
    /// The handling class unless something in the record asks for a stricter one.
    pub class: Class,
    /// Its own fields, in the order they are asked.
    #[serde(rename = "field")]
    pub fields: Vec<Field>,
    #[serde(skip)]
    envelope: Vec<Field>,
}

/// Who may know: decides to whom a record is sealed and what may leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Class {
    /// The committee.
    H0,
    /// The committee; blanked in lists and notifications.
    #[default]
    H1,
    /// Named readers only.
    H2,
    /// Lawyer and client.
    H3,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// How much a field is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// Without a value it becomes `unknown`.
    Must,
    /// Asked for.
    Ask,
    /// May be given.
    #[default]
    Optional,
}

/// The type of a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Type {
    /// One line.
    Text,
    /// Text of any length.
    Md,
    /// A date, perhaps partial.
    Date,
    /// A whole number.
    Int,
    /// Yes, no or unknown.
    Bool3,
    /// One of the listed values, `other` with words, or unknown.
    Enum,
    /// A REF, or words.
    Ref,
    /// A BCP-47 language tag.
    Lang,
    /// A handling class.
    Class,
    /// Several values of the type `item`.
    List,
    /// Named values.
    Object,
}

/// A field of a kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its key in the JSON.
    pub name: String,
    /// The type of its value.
    #[serde(rename = "type")]
    pub value: Type,
    /// For a list: the type of what is in it.
    pub item: Option<Type>,
    /// For an enum: the values.
    #[serde(default)]
    pub values: Vec<Choice>,
    /// For an enum: nothing but the values, not even `other`.
    #[serde(default)]
    pub closed: bool,
    /// For a ref: the prefixes it may have; none means any.
    #[serde(default)]
    pub of: Vec<String>,
    /// For an object: what is in it.
    #[serde(default)]
    pub fields: Vec<Field>,
    /// How much it is wanted.
    #[serde(default)]
    pub need: Need,
    /// Wanted only when another field has this value.
    pub when: Option<When>,
    /// Its value when none is given.
    pub default: Option<String>,
    /// Its value when none is given: this many days after the record was made.
    pub default_days: Option<u32>,
    /// The class a record with this field has at least.
    #[serde(default)]
    pub class: Class,
    /// The question.
    pub ask: String,
}

/// A value of an enum.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Choice {
    /// The value.
    Plain(String),
    /// A value that asks for a stricter class.
    Classed {
        /// The value.
        value: String,
        /// The class a record with it has at least.
        class: Class,
    },
}

impl Choice {
    /// The value.
    pub fn value(&self) -> &str {
        match self {
            Self::Plain(value) | Self::Classed { value, .. } => value,
        }
    }

    fn class(&self) -> Class {
        match self {
            Self::Plain(_) => Class::default(),
            Self::Classed { class, .. } => *class,
        }
    }
}

/// A condition on another field of the same object.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// The other field.
    pub field: String,
    /// Its value.
    pub is: String,
}

/// There is no kind of that name.
#[derive(Debug, thiserror::Error)]
#[error("there is no record kind {name}; there are: {known}")]
pub struct UnknownKind {
    name: String,
    known: String,
}

impl Kind {
    /// All kinds, in the order they are listed.
    pub fn all() -> Vec<Self> {
        #[derive(Deserialize)]
        struct Envelope {
            field: Vec<Field>,
        }
        let envelope: Envelope = toml::from_str(ENVELOPE).expect("a test reads it");
        let parse = |text: &&str| {
            let kind: Self = toml::from_str(text).expect("a test reads every one");
            Self { envelope: envelope.field.clone(), ..kind }
        };
        KINDS.iter().map(parse).collect()
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Result<Self, UnknownKind> {
        let all = Self::all();
        let known = || all.iter().map(|kind| kind.kind.as_str()).collect::<Vec<_>>().join(", ");
        all.iter()
            .find(|kind| kind.kind == name)
            .cloned()
            .ok_or_else(|| UnknownKind { name: name.to_owned(), known: known() })
    }

    /// Every field its records may have: those of all kinds, then its own.
    pub fn all_fields(&self) -> impl Iterator<Item = &Field> {
        self.envelope.iter().chain(&self.fields)
    }

    /// The fields a person is asked for: required, and without a value of their own.
    pub fn typed_fields(&self) -> impl Iterator<Item = &Field> {
        let is_typed = |field: &&Field| {
            field.need == Need::Must && field.default.is_none() && field.when.is_none()
        };
        self.fields.iter().filter(is_typed)
    }
}

#[cfg(test)]
mod tests;
