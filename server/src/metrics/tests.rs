use sealpost_protocol::frame::{Pushed, Refused};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::stop;
use crate::store::ForgetCounts;
use crate::store::disk::Disk;
use crate::store::disk::faulty::FaultyDisk;
use crate::store::{Options, Store};

const RESERVE: u64 = 10_000;

/// An empty store, on a disk that can be filled.
fn store() -> (FaultyDisk, Arc<Store>) {
    let disk = FaultyDisk::new();
    let options = Options { segment_bytes: 16 * 1024, reserve_bytes: RESERVE, ..Options::DEFAULT };
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    (disk, Arc::new(Store::create(&shared, "/data".as_ref(), options).unwrap()))
}

fn has(metrics: &Metrics, line: &str) -> bool {
    metrics.text().lines().any(|found| found == line)
}

#[test]
fn accepted_entries_are_counted() {
    let metrics = Metrics::new();
    let accepted = sealpost_protocol::frame::Accepted {
        index: sealpost_protocol::id::LeafIndex(0),
        proof: sealpost_protocol::tree::Proof::default(),
    };
    let results = vec![PushResult::Accepted(accepted)];
    metrics.saw(&Reply::Pushed(Pushed { results, checkpoint: String::new() }));
    metrics.saw(&Reply::Refused(Refused { code: Code::Full }));
    assert!(has(&metrics, "sealpost_relay_entries_accepted_total 1"));
}

#[test]
fn what_the_store_counted_of_blobs_is_shown() {
    let metrics = Metrics::new();
    let counts =
        BlobCounts { received_bytes: 7, read_bytes: 5, running: 2, damaged: 1, collected: 3 };
    metrics.note_blobs(&counts);
    metrics.note_blobs(&BlobCounts { received_bytes: 9, running: 0, ..counts });
    for line in [
        "blobs_received_bytes_total 9",
        "blobs_sent_bytes_total 5",
        "uploads_running 0",
        "blobs_damaged 1",
        "uploads_collected_total 3",
    ] {
        assert!(has(&metrics, &format!("sealpost_relay_{line}")), "{line}: {}", metrics.text());
    }
}

#[test]
fn what_is_forgotten_is_shown_as_numbers() {
    let metrics = Metrics::new();
    metrics.note_forgotten(&ForgetCounts { dropped: 3, pending: 2, failed: 1 });
    metrics.note_forgotten(&ForgetCounts { dropped: 5, pending: 0, failed: 1 });
    for line in ["payloads_dropped_total 5", "drops_pending 0", "drops_failed_total 1"] {
        assert!(has(&metrics, &format!("sealpost_relay_{line}")), "{line}: {}", metrics.text());
    }
}

#[tokio::test]
async fn metrics_are_for_this_machine_only() {
    let bound = bind("0.0.0.0:0".parse().unwrap()).await;
    assert!(matches!(bound, Err(MetricsError::LocalNotLoopback(_))));
}

#[tokio::test]
async fn a_scraper_gets_the_text() {
    let metrics = Arc::new(Metrics::new());
    metrics.answered("hello", Outcome::Answered, Some(Duration::from_millis(2)));
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stopper, stop) = stop::channel();
    let (disk, store) = store();
    let serving = tokio::spawn(serve(listener, metrics, store, stop));
    let page = get(address, "/metrics").await;
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    let line = r#"sealpost_relay_requests_total{request="hello",outcome="Answered"} 1"#;
    assert!(page.contains(line), "{page}");
    assert!(page.ends_with("# EOF\n"), "{page}");
    assert!(get(address, "/other").await.starts_with("HTTP/1.1 404 "));
    for (free, full) in [(u64::MAX, 0), (RESERVE - 1, 1), (RESERVE, 0)] {
        disk.set_free_bytes(free);
        let page = get(address, "/metrics").await;
        assert!(page.contains(&format!("sealpost_relay_disk_full {full}\n")), "{free}: {page}");
        assert!(page.contains("sealpost_relay_writing_stopped 0\n"), "{page}");
        assert!(page.contains("sealpost_relay_blobs_damaged 0\n"), "{page}");
    }
    stopper.stop();
    serving.await.unwrap();
}

async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).await.unwrap();
    page
}
