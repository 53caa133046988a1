//! Numbers and names that must not be mixed up, each a type of its own.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};

use crate::hash::{Hash, NotAHash};

macro_rules! hash_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        #[cbor(transparent)]
        pub struct $name(#[n(0)] pub Hash);

        impl $name {
            /// The 32 bytes.
            pub fn as_bytes(&self) -> &[u8; 32] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = NotAHash;

            fn from_str(text: &str) -> Result<Self, NotAHash> {
                text.parse().map(Self)
            }
        }
    };
}

macro_rules! number {
    ($(#[$meta:meta])* $name:ident($inner:ty)) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode,
        )]
        #[cbor(transparent)]
        pub struct $name(#[n(0)] pub $inner);

        impl $name {
            /// The one after this. Saturates: no log lives to see it.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

hash_id! {
    /// A committee: the leaf hash of its founding entry.
    CommitteeId
}
hash_id! {
    /// A device: the SHA-256 of its card's keys.
    DeviceId
}
hash_id! {
    /// An invitation: 32 random bytes drawn by the device that made it.
    InvitationId
}

impl CommitteeId {
    /// What the founding entry writes where other headers name their committee.
    pub const NONE: Self = Self(Hash::ZERO);
}

number! {
    /// The place of an entry in its committee's log, from 0.
    LeafIndex(u64)
}
number! {
    /// How many entries a log has.
    TreeSize(u64)
}
number! {
    /// Which secret of the committee; the founding lock is 1. People are shown it as "lock".
    Epoch(u32)
}
number! {
    /// Which home relay orders the log, counted from 1.
    Term(u32)
}
number! {
    /// A member within one committee, from 1.
    MemberNumber(u32)
}
number! {
    /// The place of an entry in its author's own chain, from 0.
    AuthorSeq(u64)
}

impl TreeSize {
    /// The index the next entry will take.
    pub fn next_index(self) -> LeafIndex {
        LeafIndex(self.0)
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct UnixMillis(#[n(0)] pub u64);

/// An ISO 3166-1 alpha-2 code: two upper-case letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

/// The text is not two letters A to Z.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a country is written as two letters, like CH")]
pub struct NotACountry;

impl FromStr for Country {
    type Err = NotACountry;

    fn from_str(text: &str) -> Result<Self, NotACountry> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => Ok(Self([*a, *b])),
            _ => Err(NotACountry),
        }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", char::from(self.0[0]), char::from(self.0[1]))
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<C> Encode<C> for Country {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(&self.to_string())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Country {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let at = d.position();
        let text = d.str()?;
        text.parse().map_err(|error: NotACountry| {
            minicbor::decode::Error::message(error.to_string()).at(at)
        })
    }
}
