//! Who gets in: how many handshakes and connections there may be, in all, from one network and of
//! one login key.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sealpost_protocol::sign::PublicKey;
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
    next_number: u64,
}

#[derive(Debug)]
struct Displaceable {
    number: u64,
    displace: oneshot::Sender<()>,
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

impl Pass {
    /// The handshake is done. The receiver hears when a newer connection of the same key takes
    /// this one's place.
    pub(super) fn log_in(&mut self, peer: PublicKey) -> oneshot::Receiver<()> {
        let (displace, displaced) = oneshot::channel();
        let mut counts = self.gate.counts();
        let number = counts.next_number;
        counts.next_number += 1;
        counts.handshakes -= 1;
        let of_key = counts.by_key.entry(peer).or_default();
        of_key.push_back(Displaceable { number, displace });
        let oldest = if of_key.len() > self.gate.limits.key_connections_max {
            of_key.pop_front()
        } else {
            None
        };
        drop(counts);
        if let Some(oldest) = oldest {
            // It may just have ended by itself.
            let _ = oldest.displace.send(());
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
        if let Some(of_key) = counts.by_key.get_mut(&peer) {
            of_key.retain(|other| other.number != number);
            if of_key.is_empty() {
                counts.by_key.remove(&peer);
            }
        }
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
