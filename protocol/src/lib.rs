//! Sealpost's formats and rules, as `SPEC.md` beside this crate states them.
//!
//! The flow: a client seals a record (`seal`, `record`; feature `seal`), signs an
//! [`entry::Header`] over the sealed bytes and pushes the [`entry::Entry`]. Relay and client read
//! it back as an [`entry::UnverifiedEntry`]; only [`committee::Committee::admit`] turns that into
//! an `Entry` again, by one pure function over the folded log. A [`checkpoint`] is the relay's
//! signed word on what it keeps; a [`tree::Proof`] ties entries to it.
//!
//! Nothing here opens a socket or a file, reads a clock or draws randomness: times and random
//! bytes are arguments. The one exception is sealing, where the age crate draws its own file keys.

pub mod address;
pub mod age_header;
pub mod card;
pub mod change;
pub mod checkpoint;
pub mod code;
pub mod codec;
pub mod committee;
pub mod entry;
pub mod evidence;
pub mod export;
pub mod forget;
pub mod frame;
pub mod hash;
pub mod id;
pub mod invitation;
pub mod limits;
pub mod permit;
pub mod reference;
pub mod roster;
pub mod sign;
pub mod tree;
pub mod wire;

#[cfg(feature = "seal")]
pub mod hybrid;
#[cfg(feature = "seal")]
pub mod identity;
#[cfg(feature = "seal")]
pub mod passphrase;
#[cfg(feature = "seal")]
pub mod proof;
#[cfg(feature = "seal")]
pub mod record;
#[cfg(feature = "seal")]
pub mod recovery;
#[cfg(feature = "seal")]
pub mod seal;

#[cfg(test)]
pub(crate) mod vectors;
#[cfg(any(test, feature = "testing"))]
pub mod world;
