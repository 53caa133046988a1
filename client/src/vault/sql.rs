//! Values as columns: numbers that SQLite holds signed, and states as words.

use rusqlite::types::{FromSqlError, FromSqlResult, ValueRef};
use sealpost_protocol::id::UnixMillis;

/// As SQLite holds it. What does not fit is a claimed time in a far future: saturated.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Back. Nothing negative is ever stored.
pub(super) fn uint(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A column of milliseconds.
pub(super) fn millis(number: i64) -> UnixMillis {
    UnixMillis(uint(number))
}

/// The word in a column, through `parse`.
pub(super) fn word<T>(value: ValueRef<'_>, parse: fn(&str) -> Option<T>) -> FromSqlResult<T> {
    parse(value.as_str()?).ok_or(FromSqlError::InvalidType)
}

/// Defines an enum whose values are stored, and printed, as one word each.
macro_rules! words {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident { $( $(#[$vmeta:meta])* $variant:ident = $word:literal, )+ }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $name { $( $(#[$vmeta])* $variant, )+ }

        impl $name {
            /// The word.
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )+ }
            }

            fn from_word(word: &str) -> Option<Self> {
                match word { $( $word => Some(Self::$variant), )+ _ => None }
            }
        }

        impl rusqlite::types::FromSql for $name {
            fn column_result(
                value: rusqlite::types::ValueRef<'_>,
            ) -> rusqlite::types::FromSqlResult<Self> {
                $crate::vault::sql::word(value, Self::from_word)
            }
        }

        impl rusqlite::types::ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }
    };
}
pub(super) use words;
