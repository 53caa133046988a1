//! The network between client and relay: a UDP proxy in user space that loses, doubles, delays and
//! throttles by a seed, can be cut, and keeps a copy of every datagram.
//!
//! One thread does all of it. What happens to the n-th datagram of a direction depends on the seed,
//! on n and on nothing else; when datagrams come is up to the two ends.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use crate::seed::Seeded;

/// A burst of a thousand datagrams waits here while the thread is elsewhere.
const SOCKET_BYTES: usize = 4 * 1024 * 1024;
/// Clients at a time; the one unheard of for longest makes room for another.
const FLOWS_MAX: usize = 256;

/// Which way a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From a client to the relay.
    ToRelay,
    /// From the relay to a client.
    ToClient,
}

/// What the network does to datagrams. The default does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// Decides the fate of each datagram.
    pub seed: u64,
    /// Of a thousand, so many are lost.
    pub lost: u32,
    /// Of a thousand, so many come twice.
    pub doubled: u32,
    /// Of a thousand, so many are overtaken: they take twice the delay and 20 ms more.
    pub overtaken: u32,
    /// How long each takes.
    pub delay: Duration,
    /// What the line carries each way, when that is limited.
    pub bytes_a_second: Option<u32>,
    /// Longer datagrams are lost.
    pub datagram_bytes_max: usize,
    /// When the line is cut, again and again.
    pub cuts: Option<Cuts>,
}

/// A line that works for some time and then does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cuts {
    /// For so long it works.
    pub up: Duration,
    /// And then for so long nothing passes.
    pub down: Duration,
}

impl Cuts {
    /// Whether the line is cut, so long after the weather began.
    fn cut(self, since: Duration) -> bool {
        since.as_millis() % (self.up + self.down).as_millis().max(1) >= self.up.as_millis()
    }
}

impl Default for Weather {
    fn default() -> Self {
        Self {
            seed: 0,
            lost: 0,
            doubled: 0,
            overtaken: 0,
            delay: Duration::ZERO,
            bytes_a_second: None,
            datagram_bytes_max: usize::MAX,
            cuts: None,
        }
    }
}

/// A datagram as the network saw it, lost ones included.
#[derive(Clone, PartialEq, Eq)]
pub struct Datagram {
    /// Which way it went.
    pub direction: Direction,
    /// Its payload.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Datagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} B", self.direction, self.bytes.len())
    }
}

/// A running proxy. Dropping it ends it.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    /// A datagram to itself wakes the thread.
    waker: UdpSocket,
    thread: Option<JoinHandle<()>>,
}

/// What a test does at a certain datagram.
type Action = Box<dyn FnOnce() + Send>;

struct Shared {
    relay: SocketAddr,
    weather: Weather,
    /// When this weather began.
    since: Instant,
    cut: bool,
    ended: bool,
    /// Copies of all datagrams, unless they would be too many.
    recorded: Option<Vec<Datagram>>,
    passed: HashMap<Direction, u64>,
    carried: HashMap<Direction, u64>,
    actions: Vec<(Direction, u64, Action)>,
}

impl Proxy {
    /// A proxy in front of the relay at `relay`, in fair weather.
    ///
    /// # Panics
    /// When loopback has no port left.
    pub fn start(relay: SocketAddr) -> Self {
        Self::start_in(relay, Weather::default())
    }

    /// As [`Proxy::start`], in that weather.
    ///
    /// # Panics
    /// When loopback has no port left.
    pub fn start_in(relay: SocketAddr, weather: Weather) -> Self {
        let front = socket();
        let waker = socket();
        let address = front.local_addr().expect("it is bound");
        let shared = Arc::new(Mutex::new(Shared {
            relay,
            weather,
            since: Instant::now(),
            cut: false,
            ended: false,
            recorded: Some(Vec::new()),
            passed: HashMap::new(),
            carried: HashMap::new(),
            actions: Vec::new(),
        }));
        let pump = Pump {
            front,
            woken: waker.try_clone().expect("a descriptor is left"),
            flows: HashMap::new(),
            lines: HashMap::new(),
            due: BinaryHeap::new(),
            order: 0,
            shared: shared.clone(),
        };
        let thread = Some(thread::spawn(|| pump.run()));
        Self { address, shared, waker, thread }
    }

    /// Where clients find the relay.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the weather.
    pub fn set_weather(&self, weather: Weather) {
        let mut shared = self.shared();
        shared.weather = weather;
        shared.since = Instant::now();
    }

    /// Cuts the line: nothing passes any more.
    pub fn cut(&self) {
        self.shared().cut = true;
    }

    /// Mends it.
    pub fn restore(&self) {
        self.shared().cut = false;
    }

    /// Another relay, or another place of the same one.
    pub fn set_relay(&self, relay: SocketAddr) {
        self.shared().relay = relay;
    }

    /// How many datagrams came from that side so far.
    pub fn passed(&self, direction: Direction) -> u64 {
        self.shared().passed.get(&direction).copied().unwrap_or_default()
    }

    /// How many bytes of datagrams came from that side so far.
    pub fn carried(&self, direction: Direction) -> u64 {
        self.shared().carried.get(&direction).copied().unwrap_or_default()
    }

    /// All datagrams so far.
    pub fn recorded(&self) -> Vec<Datagram> {
        self.shared().recorded.clone().unwrap_or_default()
    }

    /// Keeps no copies from now on, and drops those there are: files of megabytes pass.
    pub fn record_no_more(&self) {
        self.shared().recorded = None;
    }

    /// Does something when the n-th datagram from now on comes from that side (the next one is the
    /// first), before it is passed on.
    pub fn at(&self, direction: Direction, n: u64, action: impl FnOnce() + Send + 'static) {
        let mut shared = self.shared();
        let passed = shared.passed.get(&direction).copied().unwrap_or_default();
        shared.actions.push((direction, passed + n, Box::new(action)));
    }

    /// Forgets what was to be done at datagrams that did not come.
    pub fn forget_actions(&self) {
        self.shared().actions.clear();
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared().ended = true;
        let woken = self.waker.local_addr().and_then(|own| self.waker.send_to(&[0], own));
        if let (Ok(_), Some(thread)) = (woken, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proxy at {}", self.address)
    }
}

/// One client's own socket towards the relay, which tells clients apart by it.
struct Flow {
    socket: UdpSocket,
    heard: Instant,
}

/// One direction of the line.
struct Line {
    fates: Seeded,
    seed: u64,
    /// When a throttled line has room again.
    free: Instant,
}

/// A datagram on its way: when it arrives, its place among those of the same moment, the client
/// it is from or to, and itself.
type Due = Reverse<(Instant, u64, Direction, SocketAddr, Vec<u8>)>;

struct Pump {
    front: UdpSocket,
    woken: UdpSocket,
    flows: HashMap<SocketAddr, Flow>,
    lines: HashMap<Direction, Line>,
    due: BinaryHeap<Due>,
    order: u64,
    shared: Arc<Mutex<Shared>>,
}

impl Pump {
    fn run(mut self) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            self.deliver();
            self.wait();
            while self.woken.recv_from(&mut buffer).is_ok() {}
            if self.shared().ended {
                return;
            }
            while let Ok((length, client)) = self.front.recv_from(&mut buffer) {
                self.take(Direction::ToRelay, client, &buffer[..length]);
            }
            for (client, bytes) in self.answers(&mut buffer) {
                self.take(Direction::ToClient, client, &bytes);
            }
        }
    }

    /// Waits until a datagram comes, or one is due.
    fn wait(&self) {
        let sockets = [&self.front, &self.woken];
        let sockets = sockets.into_iter().chain(self.flows.values().map(|flow| &flow.socket));
        let mut fds: Vec<_> = sockets.map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
        let next = self.due.peek().map(|Reverse((due, ..))| *due);
        let left = next.map(|due| due.saturating_duration_since(Instant::now()));
        let left = left.map(|left| left.try_into().expect("delays are seconds"));
        // An interrupted wait is a short one.
        let _ = poll(&mut fds, left.as_ref());
    }

    /// What the relay sent, by client.
    fn answers(&self, buffer: &mut [u8]) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut answers = Vec::new();
        for (client, flow) in &self.flows {
            while let Ok((length, _)) = flow.socket.recv_from(buffer) {
                answers.push((*client, buffer[..length].to_vec()));
            }
        }
        answers
    }

    /// Records a datagram and decides when it arrives, if it does.
    fn take(&mut self, direction: Direction, client: SocketAddr, bytes: &[u8]) {
        let (weather, cut, actions) = {
            let mut shared = self.shared();
            if let Some(recorded) = &mut shared.recorded {
                recorded.push(Datagram { direction, bytes: bytes.to_vec() });
            }
            *shared.carried.entry(direction).or_default() += bytes.len() as u64;
            let passed = shared.passed.entry(direction).or_default();
            *passed += 1;
            let reached = *passed;
            let due = |(at, n, _): &mut (Direction, u64, Action)| *at == direction && *n <= reached;
            let actions: Vec<_> = shared.actions.extract_if(.., due).collect();
            let cuts = shared.weather.cuts;
            let cut = shared.cut || cuts.is_some_and(|cuts| cuts.cut(shared.since.elapsed()));
            (shared.weather, cut, actions)
        };
        for (.., action) in actions {
            action();
        }
        let now = Instant::now();
        let line = self.lines.entry(direction).or_insert_with(|| Line::of(&weather, direction));
        if line.seed != weather.seed {
            *line = Line::of(&weather, direction);
        }
        // Drawn for every datagram, so that one rate does not shift what another decides.
        let [lost, doubled, overtaken] = std::array::from_fn(|_| line.fates.below(1_000));
        if cut || bytes.len() > weather.datagram_bytes_max || lost < weather.lost.into() {
            return;
        }
        let mut delay = weather.delay;
        if overtaken < weather.overtaken.into() {
            delay = delay * 2 + Duration::from_millis(20);
        }
        let arrival = line.departure(now, bytes.len(), &weather) + delay;
        let copies = if doubled < weather.doubled.into() { 2 } else { 1 };
        for _ in 0..copies {
            self.order += 1;
            self.due.push(Reverse((arrival, self.order, direction, client, bytes.to_vec())));
        }
    }

    /// Passes on what is due.
    fn deliver(&mut self) {
        let now = Instant::now();
        let relay = self.shared().relay;
        while let Some(Reverse((due, ..))) = self.due.peek() {
            if *due > now {
                return;
            }
            let Some(Reverse((.., direction, client, bytes))) = self.due.pop() else { return };
            // A datagram that cannot be sent is a lost one.
            let _ = match direction {
                Direction::ToClient => self.front.send_to(&bytes, client),
                Direction::ToRelay => self.flow(client).send_to(&bytes, relay),
            };
        }
    }

    fn flow(&mut self, client: SocketAddr) -> &UdpSocket {
        if self.flows.len() >= FLOWS_MAX && !self.flows.contains_key(&client) {
            let stale = self.flows.iter().min_by_key(|(_, flow)| flow.heard).map(|(at, _)| *at);
            stale.and_then(|stale| self.flows.remove(&stale));
        }
        let now = Instant::now();
        let flow =
            self.flows.entry(client).or_insert_with(|| Flow { socket: socket(), heard: now });
        flow.heard = now;
        &flow.socket
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn of(weather: &Weather, direction: Direction) -> Self {
        // The two directions of one seed differ.
        let own = weather.seed ^ if direction == Direction::ToRelay { 0 } else { u64::MAX };
        Self { fates: Seeded::new(own), seed: weather.seed, free: Instant::now() }
    }

    fn departure(&mut self, now: Instant, length: usize, weather: &Weather) -> Instant {
        let Some(rate) = weather.bytes_a_second else { return now };
        let departure = self.free.max(now);
        self.free = departure + Duration::from_secs(length as u64) / rate.max(1);
        departure
    }
}

/// A socket on loopback that never makes its reader wait.
fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    socket.set_nonblocking(true).expect("sockets can");
    // Less than asked for is no reason to fail.
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BYTES);
    socket
}

#[cfg(test)]
mod tests;
