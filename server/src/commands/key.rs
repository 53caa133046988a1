//! `sealpost-relay key`

use std::net::SocketAddr;

use serde::Serialize;

use super::folder;
use crate::cli::Session;
use crate::config::{self, ConfigError, Settings};
use crate::control::{Answer, Ask};
use crate::error::{Failure, Kind};
use crate::key;
use crate::store;

/// Prints the relay's address: what founders are given.
///
/// Beside a running relay it is the one it serves with, else the one of its settings.
#[derive(Debug, clap::Args)]
pub struct Key {}

#[derive(Serialize)]
struct KeyJson<'a> {
    address: &'a str,
}

impl Key {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let data = session.data()?;
        let disk = session.disk.as_ref();
        let address = match folder::ask_running(disk, &data, &Ask::Address)? {
            Some(Answer::Address(address)) => address,
            Some(_) => return Err(Failure::new(Kind::Failed, "The relay answered something else")),
            None => {
                store::must_be_data_folder(disk, &data)?;
                let key = folder::key_of(disk, &data)?;
                let settings = Settings::read(disk, &data.join(config::FILE))?.unwrap_or_default();
                let bound = bound_at(&settings)?;
                settings.address(key::public(&key), bound)?.to_string()
            }
        };
        session.result(&KeyJson { address: &address }, &address)
    }
}

/// Where the relay will listen, when that is settled before it runs.
fn bound_at(settings: &Settings) -> Result<SocketAddr, ConfigError> {
    match settings.listen() {
        listen if listen.port() == 0 && settings.advertise.is_empty() => {
            Err(ConfigError::LocalNoHost(listen))
        }
        listen => Ok(listen),
    }
}
