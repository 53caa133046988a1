//! What a person writes is nowhere but in what they are shown: not in frames, datagrams, the
//! relay's folder, logs and metrics, nor in anybody's home. And the search is not blind: with
//! sealing taken out it finds everything.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use sealpost::kinds::{Class, Field, Kind, Type};
use sealpost_protocol::frame::{self, PushRequest, Request};
use sealpost_protocol::world::record_file;
use sealpost_tests::agent::{self, Running};
use sealpost_tests::home::Home;
use sealpost_tests::invented::{Invented, login};
use sealpost_tests::peer::{Manner, Peer};
use sealpost_tests::process::Process;
use sealpost_tests::proxy::{Direction, Proxy};
use sealpost_tests::relay::{Options, Relay};
use sealpost_tests::scan::{Found, Marker};
use sealpost_tests::tap::Tap;
use serde_json::{Map, Value, json};

use crate::programs;

/// What must be found nowhere.
struct Markers {
    /// Stands in every text.
    text: Marker,
    /// A language tag takes no other.
    language: Marker,
}

impl Markers {
    fn new() -> Self {
        let letters = Marker::random().text().to_owned();
        let language = Marker::of(&format!("{}-{}", &letters[..8], &letters[8..16]));
        Self { text: Marker::random(), language }
    }

    fn all(&self) -> [&Marker; 2] {
        [&self.text, &self.language]
    }

    fn in_folder(&self, folder: &Path) -> Vec<Found> {
        self.all().into_iter().flat_map(|marker| marker.in_folder(folder)).collect()
    }

    fn in_all(&self, what: &str, pieces: &[&[u8]]) -> Vec<Found> {
        let found = |marker: &Marker| marker.in_all(what, pieces.iter().copied());
        self.all().into_iter().flat_map(found).collect()
    }

    /// A value for a field that holds the marker, wherever the field's type lets one stand.
    fn value(&self, field: &Field) -> Value {
        match field.value {
            Type::List => json!([self.single(field, field.item.unwrap_or(Type::Text))]),
            single => self.single(field, single),
        }
    }

    fn single(&self, field: &Field, value: Type) -> Value {
        let text = format!("{} {}", field.name, self.text.text());
        match value {
            Type::Text | Type::Md | Type::Ref => json!(text),
            Type::Date => json!({ "as_written": text, "calendar": text, "value": "2026-03-11" }),
            Type::Int => json!(61),
            Type::Bool3 => json!("yes"),
            Type::Enum if field.closed => json!(field.values[0].value()),
            Type::Enum => json!({ "other": text }),
            Type::Lang => json!(format!("qaa-x-{}", self.language.text())),
            Type::Object => Value::Object(self.fields(&field.fields)),
            Type::List | Type::Class => panic!("{} holds {value:?}", field.name),
        }
    }

    fn fields<'f>(&self, fields: impl IntoIterator<Item = &'f Field>) -> Map<String, Value> {
        // The class takes no words, and the program raises it by itself.
        let wordy = fields.into_iter().filter(|field| field.value != Type::Class);
        wordy.map(|field| (field.name.clone(), self.value(field))).collect()
    }

    /// A record of a kind with every field filled in, the envelope's and those for named readers
    /// too.
    fn record(&self, kind: &Kind) -> Value {
        Value::Object(self.fields(kind.all_fields()))
    }
}

/// Everything people can write, written: handles, the committee's name, every field of every
/// kind, from a file whose name says it too; then who is in and with which devices, and a new lock.
fn write_it_all(markers: &Markers, people: &People, address: &str, permit: &str) {
    let (isla, baran) = (&people.isla, &people.baran);
    let name = format!("Harbour {}", markers.text.text());
    let committee = isla.found(address, permit, &name);
    isla.let_in(&committee, baran);
    let outside = tempfile::tempdir().expect("the temporary folder is writable");
    let reader = baran.status()["handle"].as_str().expect("a handle").to_owned();
    for kind in Kind::all() {
        let record = markers.record(&kind);
        let file = outside.path().join(format!("{}.json", markers.text.text()));
        std::fs::write(&file, record.to_string()).expect("it is ours");
        let file = file.to_str().expect("a plain path");
        let mut arguments =
            vec!["record", "new", &kind.kind, "--committee", &committee, "--from", file];
        if kind.all_fields().any(strict) {
            arguments.extend(["--reader", &reader]);
        }
        let reference = isla.run(&arguments).exits(0).field("ref");
        baran.sync();
        // It was really written: the reader sees every field of it.
        let shown = baran.show(&reference);
        for (name, value) in record.as_object().into_iter().flatten() {
            let parts = [&shown["record"][name], &shown["record"]["sealed"][name]];
            assert!(parts.contains(&value), "{name} of {}: {shown}", kind.kind);
        }
        isla.record_later(&kind.kind, &committee, &record);
    }
    change_it_all(isla, baran, &committee, &reader);
    let note = json!({ "text": markers.text.text() });
    add_and_retire(baran, &people.phone, &committee, &note);
    isla.let_in(&committee, &people.olga);
    lose_and_come_back(people, &committee, &note);
    let _ = isla.run(&["committee", "lock", &committee, "--yes"]).exits(0);
    isla.sync();
    baran.sync();
    isla.status();
    assert!(!baran.records().is_empty());
}

/// Every change of who is in, in which role, with which lock.
fn change_it_all(isla: &Home, baran: &Home, committee: &str, handle: &str) {
    let role = |role: &str| {
        let _ = isla.run(&["member", "role", handle, role, "--committee", committee]).exits(0);
    };
    role("reader");
    role("coordinator");
    let _ = isla.run(&["committee", "policy", committee, "--lease-days", "14"]).exits(0);
    let _ = isla.run(&["member", "suspend", handle, "--yes"]).exits(0);
    let _ = baran.run(&["sync"]).exits(5);
    let _ = isla.run(&["member", "restore", handle]).exits(0);
    let _ = isla.run(&["committee", "lock", committee, "--from-now", "--yes"]).exits(0);
    let _ = isla.run(&["member", "grant", handle, "--lock", "1"]).exits(0);
    baran.sync();
    let _ = isla.run(&["committee", "audit", committee]).exits(0);
    let _ = isla.run(&["member", "exposure", handle]).exits(0);
}

/// A second device, from the first word to the last; a backup of the first one, and its vault unlocked.
fn add_and_retire(laptop: &Home, phone: &Home, committee: &str, note: &Value) {
    let added = laptop.adds(phone);
    let gone = added[0]["ref"].as_str().expect("a REF");
    phone.sync();
    let _ = phone.record_new("note", committee, note);
    let backup = ["device", "backup", "--out", "backup.age", "--danger-work-factor", "1"];
    for home in [laptop, phone] {
        let _ = home.run(&backup).exits(0);
        let agent = Running::unlock(home, &[]);
        let mut synced = agent::without_passphrase(home, &["sync"]);
        let _ = Process::spawn(&mut synced).finish().exits(0);
        let _ = home.run(&["device", "show"]).exits(0);
        let _ = home.run(&["lockup"]).exits(0);
        agent.is_gone_within(Duration::ZERO);
    }
    let _ = laptop.run(&["device", "retire", gone, "--yes"]).exits(0);
    let _ = phone.run(&["sync"]).exits(5);
}

/// Olga shares a spare between the two others, who drill it; then she loses her device and comes back.
fn lose_and_come_back(people: &People, committee: &str, note: &Value) {
    let People { isla, baran, olga, again, .. } = people;
    let handle = |home: &Home| home.status()["handle"].as_str().expect("a handle").to_owned();
    let helpers = [isla, baran];
    let names = helpers.map(handle);
    let set = ["recovery", "set", "--same-country", "--threshold", "2", "--helpers"];
    let _ = olga.run(&[&set[..], &[&names[0], &names[1]]].concat()).exits(0);
    let _ = olga.record_new("note", committee, note);
    for (helper, name) in helpers.iter().zip(&names) {
        helper.sync();
        let shown = helper.run(&["recovery", "show"]).exits(0).json();
        let code = shown[0]["drill_code"].as_str().expect("twenty digits");
        let _ = olga.run(&["recovery", "drill", name, "--code", code]).exits(0);
    }
    for helper in helpers {
        let code = helper.run(&["recovery", "help", &handle(olga)]).exits(0).field("code");
        let _ = again.run_with(&["recovery", "claim"], code.as_bytes()).exits(0);
        helper.sync();
        let asking = &helper.asking()[0];
        let number = ["--safety-number", &asking.safety_number];
        let help = [&["recovery", "help", &asking.reference][..], &number].concat();
        assert_eq!(helper.run(&help).exits(0).field("state"), "given");
    }
    let back = again.run_with(&["recovery", "claim"], b"").exits(0).json();
    assert_eq!(back[0]["state"], "in");
    let _ = olga.run(&["sync"]).exits(5);
    assert!(!again.records().is_empty());
}

/// Whether a field, or one within it, is for named readers alone.
fn strict(field: &Field) -> bool {
    field.class > Class::H1 || field.fields.iter().any(strict)
}

/// People whose handles are marked, and their devices.
struct People {
    isla: Home,
    baran: Home,
    /// Baran's second device.
    phone: Home,
    olga: Home,
    /// The device that Olga comes back on.
    again: Home,
}

impl People {
    fn of(markers: &Markers) -> Self {
        let home = |name: &str| Home::of(&programs(), &format!("{name}-{}", markers.text.text()));
        Self {
            isla: home("isla"),
            baran: home("baran"),
            phone: home("baran"),
            olga: home("olga"),
            again: home("olga"),
        }
    }

    fn homes(&self) -> [&Home; 5] {
        [&self.isla, &self.baran, &self.phone, &self.olga, &self.again]
    }
}

#[test]
fn nothing_written_is_in_datagrams_the_relays_folder_logs_metrics_or_a_home() {
    let programs = programs();
    let markers = Markers::new();
    let metrics = free_port();
    let mut options = Options::tracing();
    options.arguments = vec!["--metrics".to_owned(), metrics.to_string()];
    let mut relay = Relay::start_with(&programs, options);
    let proxy = Proxy::start(relay.listens_at());
    let people = People::of(&markers);
    let address = relay.address_at(proxy.address());
    write_it_all(&markers, &people, &address, &relay.permit());

    let scraped = scrape(metrics);
    assert!(scraped.contains("sealpost_relay_"), "{scraped}");
    assert_eq!(markers.in_all("metrics", &[scraped.as_bytes()]), []);
    relay.stop();
    let log = relay.log();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "everything was logged:\n{log}");
    assert_eq!(markers.in_all("log", &[log.as_bytes()]), []);
    assert_eq!(markers.in_folder(&relay.data()), []);
    let datagrams = proxy.recorded();
    let bytes: Vec<&[u8]> = datagrams.iter().map(|datagram| &*datagram.bytes).collect();
    assert!(bytes.len() > 100, "{} datagrams", bytes.len());
    assert_eq!(markers.in_all("datagram", &bytes), []);
    for home in people.homes() {
        assert_eq!(markers.in_folder(home.disk()), []);
    }
}

#[test]
fn nothing_written_is_in_a_frame_inside_the_transports_encryption() {
    let markers = Markers::new();
    let relay = Tap::start();
    let people = People::of(&markers);
    write_it_all(&markers, &people, relay.address(), &relay.permit());
    let frames = relay.frames();
    let bytes: Vec<&[u8]> = frames.iter().map(|frame| &*frame.bytes).collect();
    assert!(bytes.len() > 50, "{} frames", bytes.len());
    assert_eq!(markers.in_all("frame", &bytes), []);
    assert_eq!(markers.in_all("metrics", &[relay.metrics().as_bytes()]), []);
    assert_eq!(markers.in_folder(&relay.data()), []);
}

#[test]
fn with_sealing_taken_out_the_search_finds_it_everywhere() {
    let markers = Markers::new();
    let relay = Tap::start();
    // A record of the right shape whose body was left as it is: the relay cannot tell.
    let invented = Invented::found(relay.address(), &relay.permit(), 1);
    let kind = Kind::named("note").expect("it is built in");
    let unsealed = [record_file(), markers.record(&kind).to_string().into_bytes()].concat();
    let push = Request::Push(PushRequest {
        committee: invented.committee,
        entries: vec![invented.record_of(unsealed).into()],
    });
    let plain = frame::encode(&push);
    let peer = Peer::connect(relay.address(), &Manner::of(&login(1))).expect("a member may");
    peer.ask(&push);

    let frames = relay.frames();
    let bytes: Vec<&[u8]> = frames.iter().map(|frame| &*frame.bytes).collect();
    assert!(!markers.in_all("frame", &bytes).is_empty(), "in the frames");
    assert!(!markers.in_folder(&relay.data()).is_empty(), "in the relay's folder");

    // The same frame without the transport's encryption.
    let proxy = Proxy::start(sink());
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    let (seen, was_seen) = mpsc::channel();
    proxy.at(Direction::ToRelay, 1, move || seen.send(()).unwrap());
    socket.send_to(&plain, proxy.address()).expect("it fits a datagram");
    was_seen.recv().expect("the proxy takes it");
    let datagrams = proxy.recorded();
    let bytes: Vec<&[u8]> = datagrams.iter().map(|datagram| &*datagram.bytes).collect();
    assert!(!markers.in_all("datagram", &bytes).is_empty(), "in the datagrams");

    // What a home would hold if what is shown were stored as it is shown.
    let people = People::of(&markers);
    write_it_all(&markers, &people, relay.address(), &relay.permit());
    let (isla, baran) = (&people.isla, &people.baran);
    let reference = isla.records()[0]["ref"].as_str().expect("a ref").to_owned();
    isla.file("shown.json", isla.show(&reference).to_string().as_bytes());
    assert_eq!(markers.text.in_folder(isla.disk()).len(), 1, "in the home");
    baran.file(markers.text.text(), b"");
    assert_eq!(markers.text.in_folder(baran.disk()).len(), 1, "in a file's name");
}

/// A place where datagrams end.
fn sink() -> SocketAddr {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    socket.local_addr().expect("it is bound")
}

/// A port that was free a moment ago.
fn free_port() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    listener.local_addr().expect("it is bound")
}

/// The metrics, as Prometheus fetches them.
fn scrape(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).expect("metrics are served");
    let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).expect("it listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers in text");
    answer
}
