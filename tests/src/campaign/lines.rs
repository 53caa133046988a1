//! A scan over bad lines: whatever the line does, it arrives as it was, and its note long before it.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::home::Home;
use crate::process::Process;
use crate::programs::Programs;
use crate::proxy::{Cuts, Proxy, Weather};
use crate::relay::Relay;
use crate::seed::Seeded;

/// How often it is looked whether the note is there: each takes a moment.
const LOOKS_MAX: u32 = 20_000;
/// A line that was gone for long ends a sync; so many go on with it.
const SYNCS_MAX: u32 = 200;

/// The longest that one sync may take over the worst of these lines.
const SYNC_MAX: Duration = Duration::from_secs(90 * 60);

/// A line, and how large a scan goes over it.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// What it is called.
    pub name: &'static str,
    /// What it does.
    pub weather: Weather,
    /// The scan.
    pub bytes: usize,
}

/// How long it took.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// Until the relay had the note.
    pub note: Duration,
    /// Until the relay had the scan.
    pub scan: Duration,
}

/// The lines that are asked for, with files of their full size: they take up to half an hour.
pub fn lines() -> [Line; 3] {
    [
        Line { name: "64 kbit/s", weather: slow(), bytes: 500 * 1000 },
        Line { name: "cuts every 5 s", weather: cut(Duration::from_secs(5)), bytes: 20_000_000 },
        Line { name: "400 ms, 10 % lost", weather: lossy(), bytes: 20_000_000 },
    ]
}

/// 64 kbit/s each way, 200 ms.
pub fn slow() -> Weather {
    let delay = Duration::from_millis(100);
    Weather { seed: 11, delay, bytes_a_second: Some(8_000), ..Weather::default() }
}

/// A megabyte a second, and gone for two seconds, again and again.
pub fn cut(up: Duration) -> Weather {
    let cuts = Some(Cuts { up, down: Duration::from_secs(2) });
    let delay = Duration::from_millis(20);
    Weather { seed: 12, delay, bytes_a_second: Some(1_000_000), cuts, ..Weather::default() }
}

/// A round trip of 400 ms, and every tenth datagram lost each way.
pub fn lossy() -> Weather {
    let delay = Duration::from_millis(200);
    Weather { seed: 13, lost: 100, doubled: 10, overtaken: 20, delay, ..Weather::default() }
}

/// Has a note and its scan sent over the line.
///
/// # Panics
/// When either does not arrive as it was, or the note not before the scan.
pub fn carry(programs: &Programs, line: &Line) -> Told {
    let relay = Relay::start(programs);
    let proxy = Proxy::start(relay.listens_at());
    proxy.record_no_more();
    let (author, reader) = (Home::of(programs, "isla"), Home::of(programs, "baran"));
    let address = relay.address_at(proxy.address());
    let committee = author.found(&address, &relay.permit(), "Committee of the harbour");
    author.let_in(&committee, &reader);
    let note = author.record_later("note", &committee, &json!({ "text": "with a scan" })).reference;
    let mut dice = Seeded::new(line.weather.seed);
    let content: Vec<u8> = (0..line.bytes).map(|_| dice.number().to_be_bytes()[0]).collect();
    let file = author.file("scan.jpg", &content);
    let file = file.to_str().expect("a plain name");
    let _ = author.run(&["attach", &note, file, "--as", "scan", "--later"]).exits(0);
    proxy.set_weather(line.weather);
    let began = Instant::now();
    let mut sync = author.start(&["sync"]);
    let mut looks = 0..LOOKS_MAX;
    let noted = loop {
        looks.next().expect("the note never arrived");
        let shown = author.show(&note);
        if shown["entry"].is_object() {
            assert_ne!(shown["attachments"][0]["state"], "here", "the scan went before its note");
            break began.elapsed();
        }
    };
    let mut syncs = 0..SYNCS_MAX;
    loop {
        assert!(sync.ends_within(SYNC_MAX), "a sync does not end");
        let ran = Process::finish(sync);
        if ran.code() == Some(0) {
            break;
        }
        syncs.next().expect("the scan never arrived");
        sync = author.start(&["sync"]);
    }
    let scan = began.elapsed();
    proxy.set_weather(Weather::default());
    reader.sync();
    let out = reader.disk().join("out");
    let save = ["save", &note, "--out", out.to_str().expect("a plain name")];
    let saved = reader.run(&save).exits(0).json();
    let path = PathBuf::from(saved[0]["path"].as_str().expect("a path"));
    assert!(fs::read(path).expect("it was saved") == content, "another file came out");
    Told { note: noted, scan }
}
