//! Who gets in: how many handshakes and connections there may be, in all, from one network and of
//! one login key.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sealpost_protocol::sign::PublicKey;
use sealpost_protocol::wire::CloseCode;
use tokio::sync::oneshot;

use crate::limits::Limits;

/// Counts connections.
#[derive(Debug)]
pub(super) struct Gate {
    limits: Limits,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    handshakes: usize,
    /// Connections, those in their handshake included.
    connections: usize,
    by_network: HashMap<Network, usize>,
    /// Oldest first.
    by_key: HashMap<PublicKey, VecDeque<Displaceable>>,
    /// Those of them who are in no roster, oldest first.
    strangers: VecDeque<(PublicKey, u64)>,
    next_number: u64,
}

#[derive(Debug)]
struct Displaceable {
    number: u64,
    displace: oneshot::Sender<CloseCode>,
}

/// What one operator of addresses usually has: an IPv4 address, or an IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Network {
    V4(Ipv4Addr),
    V6([u16; 4]),
}

/// What to do with a new connection.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Go on with the handshake.
    Admit(Pass),
    /// Let the peer prove first that it receives at its address. Costs no memory here.
    Prove,
    /// Say no.
    Refuse,
}

/// A place in the counts, given back when dropped.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Arc<Gate>,
    network: Network,
    /// None while the handshake lasts.
    logged_in: Option<(PublicKey, u64)>,
}

impl Gate {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, counts: Mutex::default() }
    }

    /// A connection from `address` begins. `proven`: it has shown that it receives there.
    pub(super) fn knock(self: &Arc<Self>, address: IpAddr, proven: bool) -> Verdict {
        let network = Network::of(address);
        let limits = &self.limits;
        let mut counts = self.counts();
        let here = counts.by_network.get(&network).copied().unwrap_or(0);
        // Unproven addresses cannot fill anybody's share: past a part of it they must prove first.
        let crowded = counts.handshakes >= limits.handshakes_unproven_max
            || here >= limits.address_connections_unproven_max;
        if crowded && !proven {
            return Verdict::Prove;
        }
        let full = counts.handshakes >= limits.handshakes_max
            || counts.connections >= limits.connections_max
            || here >= limits.address_connections_max;
        if full {
            return Verdict::Refuse;
        }
        counts.handshakes += 1;
        counts.connections += 1;
        *counts.by_network.entry(network).or_default() += 1;
        drop(counts);
        Verdict::Admit(Pass { gate: self.clone(), network, logged_in: None })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn take(&mut self, peer: PublicKey, number: u64) -> Option<Displaceable> {
        let of_key = self.by_key.get_mut(&peer)?;
        let at = of_key.iter().position(|other| other.number == number)?;
        let taken = of_key.remove(at);
        if of_key.is_empty() {
            self.by_key.remove(&peer);
        }
        taken
    }

    /// Whom a newcomer displaces, and what they are told.
    fn displaced(&mut self, peer: PublicKey, limits: &Limits) -> Vec<(Displaceable, CloseCode)> {
        let mut displaced = Vec::new();
        let of_key = self.by_key.get(&peer).filter(|all| all.len() > limits.key_connections_max);
        if let Some(number) = of_key.and_then(|all| all.front()).map(|oldest| oldest.number) {
            displaced.extend(self.take(peer, number).map(|one| (one, CloseCode::Displaced)));
        }
        if self.strangers.len() > limits.strangers_max
            && let Some((stranger, number)) = self.strangers.pop_front()
        {
            displaced.extend(self.take(stranger, number).map(|one| (one, CloseCode::TooMany)));
        }
        displaced
    }
}

impl Pass {
    /// The handshake is done. The receiver hears when a newer connection takes this one's place,
    /// and the code to close it with.
    pub(super) fn log_in(&mut self, peer: PublicKey, known: bool) -> oneshot::Receiver<CloseCode> {
        let (displace, displaced) = oneshot::channel();
        let mut counts = self.gate.counts();
        let number = counts.next_number;
        counts.next_number += 1;
        counts.handshakes -= 1;
        counts.by_key.entry(peer).or_default().push_back(Displaceable { number, displace });
        if !known {
            counts.strangers.push_back((peer, number));
        }
        let oldest = counts.displaced(peer, &self.gate.limits);
        drop(counts);
        for (oldest, code) in oldest {
            // It may just have ended by itself.
            let _ = oldest.displace.send(code);
        }
        self.logged_in = Some((peer, number));
        displaced
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut counts = self.gate.counts();
        counts.connections -= 1;
        if let Some(here) = counts.by_network.get_mut(&self.network) {
            *here -= 1;
            if *here == 0 {
                counts.by_network.remove(&self.network);
            }
        }
        let Some((peer, number)) = self.logged_in else {
            counts.handshakes -= 1;
            return;
        };
        counts.take(peer, number);
        counts.strangers.retain(|(_, other)| *other != number);
    }
}

impl Network {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

#[cfg(test)]
mod tests;
