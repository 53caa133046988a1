//! A relay's address: its key and where it listens (SPEC.md §15).
//!
//! `sealpost://<key>@host:port[,host:port]`. The key is pinned: whoever holds the address needs no
//! name service and no certificate authority to know the relay. One address has one text, so
//! addresses compare as texts; what is written in any other way is refused, not corrected.

use core::net::{Ipv4Addr, Ipv6Addr};
use core::num::NonZeroU16;
use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use minicbor::{Decoder, Encoder, decode, encode};

use crate::limits::{ADDRESS_BYTES_MAX, ADDRESS_HOSTS_MAX};
use crate::sign::PublicKey;

const SCHEME: &str = "sealpost://";
/// Symbols of the key: 32 bytes in groups of five bits.
const KEY_SYMBOLS: usize = 52;
/// RFC 1035 §2.3.4.
const HOST_NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// A relay's key and the places where it listens, in the order in which they are to be tried.
/// In CBOR its text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RelayAddress {
    key: PublicKey,
    hosts: Vec<Host>,
}

/// One place where a relay listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    name: HostName,
    port: NonZeroU16,
}

/// How a host is named.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostName {
    /// A name to look up: lower-case letters, digits and hyphens.
    Dns(DnsName),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address, in brackets as text.
    V6(Ipv6Addr),
}

/// A host name of lower-case letters, digits and hyphens, made only by parsing one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DnsName(String);

/// Why a text is no relay address. The fault of whoever wrote it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AddressError {
    /// Longer than [`ADDRESS_BYTES_MAX`].
    #[error("{0} bytes, more than an address may have")]
    TooLong(usize),
    /// It does not begin with `sealpost://`.
    #[error("an address begins with sealpost://")]
    Scheme,
    /// No 52 lower-case base32 symbols before `@`.
    #[error("the relay's key must be 52 symbols a-z and 2-7, before @")]
    Key,
    /// The key's bytes are no usable Ed25519 key.
    #[error("the relay's key is no usable Ed25519 key")]
    WeakKey,
    /// A host is no name, IPv4 address or bracketed IPv6 address, or is not written canonically.
    #[error("{0:?} is no host: lower-case name, IPv4, or IPv6 in brackets and shortest form")]
    Host(String),
    /// A port is missing, 0, above 65535 or not written plainly.
    #[error("{0:?} has no port: host:port, from 1 to 65535")]
    Port(String),
    /// No host, or more than [`ADDRESS_HOSTS_MAX`].
    #[error("{0} hosts: an address has 1 to {ADDRESS_HOSTS_MAX}")]
    Hosts(usize),
}

impl RelayAddress {
    /// The address of the relay with `key`, listening at `hosts`.
    pub fn new(key: PublicKey, hosts: Vec<Host>) -> Result<Self, AddressError> {
        key.verifying_key().map_err(|_| AddressError::WeakKey)?;
        if hosts.is_empty() || hosts.len() > ADDRESS_HOSTS_MAX {
            return Err(AddressError::Hosts(hosts.len()));
        }
        let address = Self { key, hosts };
        match address.to_string().len() {
            length if length > ADDRESS_BYTES_MAX => Err(AddressError::TooLong(length)),
            _ => Ok(address),
        }
    }

    /// The relay's key.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Where it listens: at least one place.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }
}

impl fmt::Display for RelayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}@", key_to_text(&self.key))?;
        for (at, host) in self.hosts.iter().enumerate() {
            let separator = if at == 0 { "" } else { "," };
            write!(f, "{separator}{host}")?;
        }
        Ok(())
    }
}

impl FromStr for RelayAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(AddressError::TooLong(text.len()));
        }
        let rest = text.strip_prefix(SCHEME).ok_or(AddressError::Scheme)?;
        let (key, hosts) = rest.split_once('@').ok_or(AddressError::Key)?;
        let key = key_from_text(key).ok_or(AddressError::Key)?;
        let hosts = hosts.split(',').map(Host::from_str).collect::<Result<_, _>>()?;
        Self::new(key, hosts)
    }
}

impl Host {
    /// The host's name or number.
    pub fn name(&self) -> &HostName {
        &self.name
    }

    /// The port, never 0.
    pub fn port(&self) -> u16 {
        self.port.get()
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.port)
    }
}

impl FromStr for Host {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let no_port = || AddressError::Port(text.to_owned());
        let (name, port) = text.rsplit_once(':').ok_or_else(no_port)?;
        let parsed: NonZeroU16 = port.parse().map_err(|_| no_port())?;
        // "+443" and "0443" parse, but are other texts for the same port.
        if parsed.to_string() != port {
            return Err(no_port());
        }
        Ok(Self { name: name.parse()?, port: parsed })
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name.as_str()),
            Self::V4(address) => write!(f, "{address}"),
            Self::V6(address) => write!(f, "[{address}]"),
        }
    }
}

impl FromStr for HostName {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let parsed = match bracketed {
            Some(inner) => inner.parse().ok().map(Self::V6),
            None => text.parse().ok().map(Self::V4).or_else(|| DnsName::parse(text).map(Self::Dns)),
        };
        // An IPv6 address has many texts; only the one of RFC 5952 is taken.
        parsed
            .filter(|name| name.to_string() == text)
            .ok_or_else(|| AddressError::Host(text.to_owned()))
    }
}

impl DnsName {
    /// A last label of digits only is refused: some resolvers read such a name as an IPv4 address.
    fn parse(text: &str) -> Option<Self> {
        let last_label = text.rsplit('.').next()?;
        let sound = text.len() <= HOST_NAME_BYTES_MAX
            && text.split('.').all(is_label)
            && !last_label.bytes().all(|byte| byte.is_ascii_digit());
        sound.then(|| Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_label(label: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    matches!(label.len(), 1..=LABEL_BYTES_MAX)
        && label.bytes().all(letter)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// A relay's key as 52 lower-case base32 symbols (RFC 4648, without padding).
pub fn key_to_text(key: &PublicKey) -> String {
    BASE32_NOPAD.encode(&key.0).to_ascii_lowercase()
}

/// The key that `text` names, or none when it is not the one text of 32 bytes. Whether it is a
/// usable key, [`PublicKey::verifying_key`] says.
pub fn key_from_text(text: &str) -> Option<PublicKey> {
    if text.len() != KEY_SYMBOLS || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let bytes = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok()?;
    bytes.try_into().ok().map(PublicKey)
}

impl<C> minicbor::Encode<C> for RelayAddress {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.str(&self.to_string())?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for RelayAddress {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let at = d.position();
        d.str()?.parse().map_err(|error| decode::Error::message(error).at(at))
    }
}

#[cfg(test)]
mod tests;
