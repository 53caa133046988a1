//! Bad lines: what is written arrives, once and in order, through whatever weather a seed brings.

use std::time::Duration;

use sealpost_tests::campaign::lines::{self, Line};
use sealpost_tests::proxy::{Direction, Proxy, Weather};
use sealpost_tests::relay::Relay;
use sealpost_tests::scene::Scene;
use serde_json::json;

use crate::programs;

/// Some records go each way through the weather.
fn arrives(weather: Weather) {
    let programs = programs();
    let relay = Relay::start(&programs);
    let proxy = Proxy::start(relay.listens_at());
    let address = relay.address_at(proxy.address());
    let Scene { isla, baran, committee, relay: _relay } = Scene::at(&programs, relay, &address);
    proxy.set_weather(weather);
    // A text of some packets beside short ones.
    let texts = ["short".to_owned(), "long ".repeat(4_000), "and short again".to_owned()];
    for text in &texts {
        isla.record_later("note", &committee, &json!({ "text": text }));
    }
    assert_eq!(isla.sync()["sent"], 3);
    assert_eq!(baran.sync()["received"], 3);
    let records = baran.records();
    let shown: Vec<_> = records
        .iter()
        .map(|row| baran.show(row["ref"].as_str().expect("a ref")))
        .map(|shown| (shown["entry"]["leaf_index"].as_u64(), shown["record"]["text"].clone()))
        .collect();
    let mut in_order = shown;
    in_order.sort_by_key(|(index, _)| *index);
    let arrived: Vec<_> = in_order.iter().map(|(_, text)| text.as_str().expect("text")).collect();
    assert_eq!(arrived, texts);
    assert!(proxy.passed(Direction::ToRelay) > 20);
}

#[test]
fn through_loss_doubling_and_overtaking() {
    let delay = Duration::from_millis(10);
    let weather =
        Weather { seed: 7, lost: 80, doubled: 100, overtaken: 150, delay, ..Weather::default() };
    arrives(weather);
}

#[test]
fn over_a_line_of_long_delay_and_little_room() {
    let weather = Weather {
        delay: Duration::from_millis(150),
        bytes_a_second: Some(64 * 1024),
        ..Weather::default()
    };
    arrives(weather);
}

#[test]
fn over_a_line_that_carries_no_more_than_quic_demands() {
    // 1,200 bytes of payload and not one more: what RFC 9000 demands of every path.
    arrives(Weather { datagram_bytes_max: 1_200, ..Weather::default() });
}

#[test]
fn a_line_that_is_cut_in_the_middle_loses_and_doubles_nothing() {
    let programs = programs();
    let relay = Relay::start(&programs);
    let proxy = std::sync::Arc::new(Proxy::start(relay.listens_at()));
    let address = relay.address_at(proxy.address());
    let Scene { isla, baran, committee, relay: _relay } = Scene::at(&programs, relay, &address);
    // The answer to the push is on its way when the line breaks.
    let cutting = std::sync::Arc::downgrade(&proxy);
    isla.record_later("note", &committee, &json!({ "text": "long ".repeat(4_000) }));
    proxy.at(Direction::ToRelay, 12, move || {
        if let Some(proxy) = cutting.upgrade() {
            proxy.cut();
        }
    });
    let arguments = ["record", "new", "note", "--committee", &committee, "--from", "-"];
    let mut writing = isla.start(&arguments);
    writing.feed(json!({ "text": "short" }).to_string().as_bytes());
    let cut = writing.finish();
    assert_eq!(cut.code(), Some(3), "{cut:?}");
    proxy.restore();
    isla.sync();
    assert_eq!(isla.status()["unsent"], json!([]));
    baran.sync();
    assert_eq!(baran.records().len(), 2, "each once");
}

/// The note is there before its scan, and the scan as it was: `carry` sees to both. How long before,
/// shows with files of full size: `cargo run --release -p sealpost-tests --bin campaign -- lines`.
fn carries(name: &'static str, weather: Weather, bytes: usize) {
    let told = lines::carry(&programs(), &Line { name, weather, bytes });
    println!("{name}: {bytes} bytes, {told:?}");
}

#[test]
fn a_scan_comes_after_its_note_over_64_kbits() {
    carries("64 kbit/s", lines::slow(), 60_000);
}

#[test]
fn a_scan_comes_over_a_line_that_is_cut_again_and_again() {
    carries("cuts", lines::cut(Duration::from_secs(3)), 5_000_000);
}

#[test]
fn a_scan_comes_through_long_delay_and_heavy_loss() {
    carries("400 ms, 10 % lost", lines::lossy(), 60_000);
}
