//! The peer for a first pull: an ordered consumer of NATS JetStream, which is sent the messages of a stream
//! from the first one on. The client is ours and does what any must and no more: it reads every message,
//! looks whether its sequence number is the next, and answers when the server asks how far it has come.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

/// Messages that the stream has not acknowledged yet: the server drops what it cannot keep up with.
const UNACKNOWLEDGED: usize = 1_000;
const BUFFER_BYTES: usize = 256 * 1024;
/// Where the server answers this connection, and where it sends messages.
const ANSWERS: &str = "_INBOX.bench.answers";
const DELIVERIES: &str = "_INBOX.bench.deliveries";

/// A stream of so many messages on a server, and a connection to it.
pub(crate) struct Stream {
    reader: BufReader<TcpStream>,
    messages: u64,
    readers: u32,
    read_bytes: u64,
    line: String,
    body: Vec<u8>,
}

/// What one reading took.
#[derive(Clone, Copy)]
pub(crate) struct Delivered {
    pub(crate) seconds: f64,
    /// All that the server sent, TCP's and IP's headers not counted.
    pub(crate) bytes: u64,
}

/// What the line before a message says; the message itself is in [`Stream::body`].
struct Arrived {
    reply_to: Option<String>,
    /// A word of the server's own about flow or time, no message of the stream.
    is_control: bool,
}

impl Stream {
    /// Makes a stream of `messages` random messages on the server at `address`.
    ///
    /// # Panics
    /// When the server does not do as it should.
    pub(crate) fn filled(address: SocketAddr, messages: u64, message_bytes: usize) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("it is TCP");
        let reader = BufReader::with_capacity(BUFFER_BYTES, stream);
        let (line, body) = (String::new(), Vec::new());
        let mut stream = Self { reader, messages, readers: 0, read_bytes: 0, line, body };
        stream.send(
            format!(
                "CONNECT {{\"verbose\":false,\"headers\":true}}\r\n\
                 SUB {ANSWERS} 1\r\nSUB {DELIVERIES} 2\r\n"
            )
            .as_bytes(),
        );
        let config =
            r#"{"name":"RECORDS","subjects":["records"],"storage":"file","num_replicas":1}"#;
        stream.ask("$JS.API.STREAM.CREATE.RECORDS", config);
        let mut message = vec![0; message_bytes];
        for first in (0..messages).step_by(UNACKNOWLEDGED) {
            let some = (messages - first).min(UNACKNOWLEDGED as u64);
            let mut publish = Vec::new();
            for _ in 0..some {
                getrandom::fill(&mut message).expect("the system has randomness");
                publish.extend(format!("PUB records {ANSWERS} {message_bytes}\r\n").as_bytes());
                publish.extend(&message);
                publish.extend(b"\r\n");
            }
            stream.send(&publish);
            for _ in 0..some {
                stream.must_be_done();
            }
        }
        stream
    }

    /// Has all of it sent by a new ordered consumer.
    ///
    /// # Panics
    /// When a message is missing or out of order.
    pub(crate) fn read(&mut self) -> Delivered {
        self.readers += 1;
        let before = self.read_bytes;
        let began = Instant::now();
        let name = format!("bench{}", self.readers);
        let config = format!(
            r#"{{"stream_name":"RECORDS","config":{{"name":"{name}","deliver_subject":"{DELIVERIES}",
            "deliver_policy":"all","ack_policy":"none","max_deliver":1,"flow_control":true,
            "idle_heartbeat":5000000000,"mem_storage":true,"num_replicas":1}}}}"#
        );
        self.publish(&format!("$JS.API.CONSUMER.CREATE.RECORDS.{name}"), &config);
        let mut next = 1;
        while next <= self.messages {
            let Arrived { reply_to, is_control } = self.arrived();
            match reply_to {
                // How far this has read.
                Some(flow) if is_control => self.send(format!("PUB {flow} 0\r\n\r\n").as_bytes()),
                // $JS.ACK.stream.consumer.delivered.sequence.…
                Some(place) => {
                    let sequence = place.split('.').nth(5).and_then(|number| number.parse().ok());
                    assert_eq!(sequence, Some(next), "{place}");
                    next += 1;
                }
                // That the consumer is there, or that nothing is new.
                None => assert!(!self.is_error(), "{}", String::from_utf8_lossy(&self.body)),
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        self.ask(&format!("$JS.API.CONSUMER.DELETE.RECORDS.{name}"), "");
        Delivered { seconds, bytes: self.read_bytes - before }
    }

    /// Sends a request to the server and waits until it has done it.
    fn ask(&mut self, subject: &str, json: &str) {
        self.publish(subject, json);
        self.must_be_done();
    }

    fn must_be_done(&mut self) {
        self.arrived();
        assert!(!self.is_error(), "{}", String::from_utf8_lossy(&self.body));
    }

    fn is_error(&self) -> bool {
        self.body.windows(8).any(|word| word == b"\"error\":")
    }

    fn publish(&mut self, subject: &str, json: &str) {
        self.send(format!("PUB {subject} {ANSWERS} {}\r\n{json}\r\n", json.len()).as_bytes());
    }

    fn send(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).expect("the server reads");
    }

    /// The next message, whatever it is about.
    fn arrived(&mut self) -> Arrived {
        loop {
            self.line.clear();
            let read = self.reader.read_line(&mut self.line).expect("the server sends text");
            assert!(read > 0, "the server closed the connection");
            self.read_bytes += read as u64;
            let mut words = self.line.split_ascii_whitespace();
            let is_control = match words.next() {
                Some("MSG") => false,
                Some("HMSG") => true,
                Some("PING") => {
                    self.send(b"PONG\r\n");
                    continue;
                }
                Some("-ERR") => panic!("{}", self.line),
                _ => continue,
            };
            let words: Vec<&str> = words.collect();
            let numbers = if is_control { 2 } else { 1 };
            let reply_to = words.get(2).filter(|_| words.len() == 3 + numbers);
            let reply_to = reply_to.map(|&subject| subject.to_owned());
            let bytes: usize = words[words.len() - 1].parse().expect("a message has a length");
            self.body.resize(bytes + 2, 0);
            self.reader.read_exact(&mut self.body).expect("the server sends all of it");
            self.read_bytes += self.body.len() as u64;
            return Arrived { reply_to, is_control };
        }
    }
}
