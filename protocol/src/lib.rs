//! Sealpost's formats and rules, as `SPEC.md` beside this crate states them.

pub mod age_header;
pub mod card;
pub mod codec;
pub mod hash;
#[cfg(feature = "seal")]
pub mod hybrid;
pub mod id;
#[cfg(feature = "seal")]
pub mod identity;
pub mod limits;
#[cfg(feature = "seal")]
pub mod record;
pub mod reference;
#[cfg(feature = "seal")]
pub mod seal;
pub mod sign;

#[cfg(test)]
pub(crate) mod vectors;
