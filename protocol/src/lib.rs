//! Sealpost's formats and rules, as `SPEC.md` beside this crate states them.

pub mod address;
pub mod checkpoint;
pub mod codec;
pub mod hash;
pub mod id;
pub mod invitation;
pub mod limits;
pub mod reference;
pub mod sign;
pub mod tree;

#[cfg(test)]
pub(crate) mod vectors;
