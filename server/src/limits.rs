//! Every limit of the running relay, in one place, each with its reason. Limits of the formats
//! stand in [`sealpost_protocol::limits`]. All are inclusive.

use std::time::Duration;

/// Streams one connection may have open: a watch, and a few requests beside it. The number sets
/// what an idle connection costs: 39 KB with a small one, 207 KB with 2,048.
pub const STREAMS_MAX: u32 = 16;
/// What may lie unread in a stream or a connection: 2 MB/s at a round trip of 250 ms, and all the
/// memory a peer can fill with gappy fragments.
pub const RECEIVE_WINDOW_BYTES: u32 = 512 * 1024;
/// What may lie unacknowledged on the way to one peer: the same, with room for a fast line.
pub const SEND_WINDOW_BYTES: u64 = 2 * 1024 * 1024;
/// The socket's receive buffer: a burst of a thousand writers fits.
pub const SOCKET_RECEIVE_BYTES: usize = 4 * 1024 * 1024;
/// The largest datagram sent: what Ethernet carries. Larger ones stalled on loopback already.
pub const DATAGRAM_BYTES_MAX: u16 = 1452;
/// What one handshake may send before it has proved anything: a hybrid key share takes 1.2 KB.
pub const HANDSHAKE_BYTES_MAX: usize = 16 * 1024;
/// Replies that may wait for the wire: a pull reads ahead this many frames.
pub const REPLIES_WAITING: usize = 2;
/// Bytes of a blob that wait, when its sender is faster than the disk: with what lies unread in the
/// stream, all the memory an upload takes. Counted among the bytes of unfinished requests.
pub const BODY_BYTES_WAITING: usize = BODY_CHUNKS_WAITING * BODY_CHUNK_BYTES;
/// In so many pieces.
pub const BODY_CHUNKS_WAITING: usize = 8;
/// Each of them.
pub const BODY_CHUNK_BYTES: usize = 64 * 1024;
/// Bytes given to QUIC at a time, so that a deadline measures progress and not the frame's size.
pub const WRITE_STEP_BYTES: usize = 16 * 1024;

/// A connection that the relay breaks off is closed after so long also when the word of it did not
/// get out, because the line is full: a device that is cut off is gone within a second.
pub const BREAK_OFF_GRACE: Duration = Duration::from_millis(500);
/// Whether it did is asked so often: a round trip at home.
pub const BREAK_OFF_LOOKS_EVERY: Duration = Duration::from_millis(5);

/// A peer that is silent for so long is gone. Mobile lines drop out for half a minute.
pub const PEER_SILENT_MAX: Duration = Duration::from_secs(60);

/// What an operator's machine and a test bear differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections in all: 39 KB each when idle.
    pub connections_max: usize,
    /// Connections from one IPv4 address or IPv6 /64 network: whole countries share addresses.
    pub address_connections_max: usize,
    /// Above so many from one address, handshakes must prove the address first.
    pub address_connections_unproven_max: usize,
    /// Connections of strangers, who stay for a question or two. A further one displaces the
    /// oldest of them, so that they never keep devices out.
    pub strangers_max: usize,
    /// Connections of one login key: a watch, a command or two, and what a crash left behind. A
    /// further one displaces the oldest.
    pub key_connections_max: usize,
    /// Handshakes at a time: each costs a signature and a key exchange.
    pub handshakes_max: usize,
    /// Above so many at a time, each must prove its address first. Not before: a retry on every
    /// connection hung 8 of 12,000.
    pub handshakes_unproven_max: usize,
    /// A handshake takes two round trips; one that takes longer is not meant well.
    pub handshake_deadline: Duration,
    /// A request must have begun to flow, and may pause, so long …
    pub request_grace: Duration,
    /// … and beyond that must come at this rate: a worn mobile line gives more.
    pub request_bytes_a_second_min: u32,
    /// Bytes of unfinished requests in all; beyond it peers are told to come back.
    pub requests_bytes_max: usize,
    /// Bytes of unfinished requests of one connection: two large ones.
    pub connection_requests_bytes_max: usize,
    /// A peer that takes not even [`WRITE_STEP_BYTES`] of an answer in this time is gone.
    pub write_deadline: Duration,
    /// A connection with no request running for so long is closed.
    pub connection_idle_max: Duration,
    /// What runs when the relay is told to stop may go on for so long.
    pub stop_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            connections_max: 8_192,
            address_connections_max: 1_024,
            address_connections_unproven_max: 256,
            strangers_max: 1_024,
            key_connections_max: 8,
            handshakes_max: 1_024,
            handshakes_unproven_max: 128,
            handshake_deadline: Duration::from_secs(10),
            request_grace: Duration::from_secs(20),
            request_bytes_a_second_min: 1_024,
            requests_bytes_max: 256 * MIB,
            connection_requests_bytes_max: 8 * MIB,
            write_deadline: Duration::from_secs(20),
            connection_idle_max: Duration::from_secs(300),
            stop_grace: Duration::from_secs(5),
        }
    }
}

/// Large answers being made for one device: it may pull several logs at once.
pub const ANSWERS_A_DEVICE_MAX: usize = 8;
/// Large answers being made in all: each may hold a few frames of 512 KiB, so this bounds memory.
pub const ANSWERS_MAX: usize = 256;
/// Notes that one device may put in a row: cosignatures, invitations. Each may cost a write.
pub const NOTES_AT_ONCE_MAX: u32 = 256;
/// How long until it may put one more.
pub const NOTES_EVERY: Duration = Duration::from_millis(250);
/// Roster changes that others sign against which one member who is no coordinator may make in
/// [`ROSTER_CHANGES_WITHIN`]. Each makes a coordinator's suspension sign anew: nobody starves one. A
/// member changes locks after a removal, and own devices, a few times a year. Who comes back from a loss
/// makes the most of them: the new device in, four old ones and the spare out, a lock, and a new spare
/// shared.
pub const ROSTER_CHANGES_MAX: usize = 10;
/// How long a change counts.
pub const ROSTER_CHANGES_WITHIN: Duration = Duration::from_secs(60 * 60);
/// Join requests waiting in one committee, over all its invitations: they fit one frame, and no
/// committee fills the notes of all.
pub const JOIN_REQUESTS_COMMITTEE_MAX: usize = 128;

/// Invitations that one device of who is no coordinator may have here, ended ones included: for the next
/// device of its own, and once more when one went astray.
pub const MEMBER_INVITATIONS_MAX: usize = 8;

/// How long after an invitation's end those who asked in time are kept for its maker, who may have
/// been without a network.
pub const INVITATION_REMEMBERED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Uploads that nobody came to name are looked for so often.
pub const COLLECT_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// Bytes a second at which blobs are read again to find damage: a tenth of what an old disk gives, and a
/// TiB in a day and a half.
pub const SCRUB_BYTES_A_SECOND: u64 = 8 * 1024 * 1024;
/// How long after its start, and after each round, a relay begins to read blobs again: a start has
/// other work, and few blobs need not be read all day.
pub const SCRUB_PAUSE: Duration = Duration::from_secs(60 * 60);

/// Requests for metrics at a time: one scraper, and one that hangs.
pub const METRICS_REQUESTS_MAX: usize = 4;
/// A request for metrics: a line and a few headers.
pub const METRICS_REQUEST_BYTES_MAX: usize = 8 * 1024;
/// A scraper or an operator's command on the same machine answers at once.
pub const LOCAL_DEADLINE: Duration = Duration::from_secs(5);
/// Until an accept that failed is tried again: the process has too many files open.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A command to a running relay, or its answer: a list of all permits.
pub const CONTROL_BYTES_MAX: usize = 1024 * 1024;
/// Commands to a running relay at a time.
pub const CONTROL_CONNECTIONS_MAX: usize = 8;
/// Permits a relay keeps: one list of them fits an answer.
pub const PERMITS_MAX: usize = 4_096;
/// An operator's note on a permit.
pub const PERMIT_LABEL_BYTES_MAX: usize = 128;
/// The settings file: three lines and comments.
pub const CONFIG_BYTES_MAX: usize = 64 * 1024;
/// The key file: three lines.
pub const KEY_FILE_BYTES_MAX: usize = 1024;
