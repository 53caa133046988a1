//! Relay.

pub mod store;
