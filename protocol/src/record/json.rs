//! Reads JSON within limits: what serde_json alone would take (two members with one name, a million
//! values, deep nesting) is refused while reading, before it takes memory.

use std::io;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::{Fields, PeerRecordError, RecordFault};
use crate::limits::{RECORD_DEPTH_MAX, RECORD_LEAVES_MAX};

/// Reads the one JSON object that `text` is.
pub(super) fn parse(text: &[u8]) -> Result<Fields, PeerRecordError> {
    let mut budget = Budget { leaves: 0, fault: None };
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = Node { budget: &mut budget, depth: 0 }
        .deserialize(&mut json)
        .and_then(|value| json.end().map(|()| value));
    match (value, budget.fault) {
        (_, Some(fault)) => Err(fault.into()),
        (Ok(Value::Object(fields)), None) => Ok(fields),
        _ => Err(PeerRecordError::Json),
    }
}

/// Whether `text` is the compact form of `fields`: no spaces, every character written in one way.
pub(super) fn is_compact(text: &[u8], fields: &Fields) -> bool {
    let mut rest = Matching(text);
    serde_json::to_writer(&mut rest, fields).is_ok() && rest.0.is_empty()
}

/// How long the compact form is.
pub(super) fn compact_len(fields: &Fields) -> usize {
    let mut written = Counted(0);
    serde_json::to_writer(&mut written, fields).expect("counting cannot fail");
    written.0
}

/// Takes only what it expects to be written.
struct Matching<'a>(&'a [u8]);

impl io::Write for Matching<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.strip_prefix(bytes).ok_or(io::ErrorKind::InvalidData)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Counts what is written.
struct Counted(usize);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is left to spend, and why it ended: serde's errors cannot carry ours.
struct Budget {
    leaves: usize,
    fault: Option<RecordFault>,
}

impl Budget {
    fn refuse<E: Error>(&mut self, fault: RecordFault) -> E {
        self.fault = Some(fault);
        E::custom(fault)
    }

    fn leaf<E: Error>(&mut self, value: Value) -> Result<Value, E> {
        self.leaves += 1;
        // One more than leaves: the salt is a value, and no leaf.
        if self.leaves > RECORD_LEAVES_MAX + 1 {
            return Err(self.refuse(RecordFault::Leaves));
        }
        Ok(value)
    }
}

/// A value to be read, inside `depth` containers.
struct Node<'b> {
    budget: &'b mut Budget,
    depth: usize,
}

impl Node<'_> {
    fn inside<E: Error>(&mut self) -> Result<Node<'_>, E> {
        if self.depth == RECORD_DEPTH_MAX {
            return Err(self.budget.refuse(RecordFault::Depth));
        }
        Ok(Node { budget: &mut *self.budget, depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.budget.leaf(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.budget.leaf(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.budget.leaf(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.budget.leaf(value.into())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Value, E> {
        Err(self.budget.refuse(RecordFault::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.budget.leaf(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<Value, A::Error> {
        let mut inside = self.inside()?;
        let mut array = Vec::new();
        while let Some(value) = elements.next_element_seed(inside.again())? {
            array.push(value);
        }
        if array.is_empty() { self.budget.leaf(Value::Array(array)) } else { Ok(array.into()) }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Value, A::Error> {
        let mut inside = self.inside()?;
        let mut object = Fields::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(inside.budget.refuse(RecordFault::Duplicate));
            }
            let value = members.next_value_seed(inside.again())?;
            object.insert(name, value);
        }
        if object.is_empty() { self.budget.leaf(Value::Object(object)) } else { Ok(object.into()) }
    }
}

impl Node<'_> {
    /// The same place for the next value.
    fn again(&mut self) -> Node<'_> {
        Node { budget: &mut *self.budget, depth: self.depth }
    }
}
