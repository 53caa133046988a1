//! Relay.

pub mod hub;
pub mod permit;
pub mod service;
pub mod store;
