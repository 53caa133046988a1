//! As much HTTP as a scraper needs: `GET /metrics`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Metrics;
use crate::limits::{
    ACCEPT_PAUSE, LOCAL_DEADLINE, METRICS_REQUEST_BYTES_MAX, METRICS_REQUESTS_MAX,
};
use crate::stop::Stop;
use crate::store::{BlobStore, LogStore};

/// Why metrics cannot be served. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// Others could read them.
    #[error("metrics are for this machine only: {0} is no loopback address")]
    LocalNotLoopback(SocketAddr),
    /// In use, or not this machine's.
    #[error("cannot serve metrics on {address}: {error}")]
    LocalAddress {
        /// What was asked for.
        address: SocketAddr,
        /// What the operating system says.
        error: Arc<io::Error>,
    },
}

/// Answers scrapers until told to stop. The state of the store is looked up for each.
pub async fn serve<S: LogStore + BlobStore>(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    store: Arc<S>,
    mut stop: Stop,
) {
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.told() => break,
            Some(_) = running.join_next() => {}
            accepted = listener.accept(), if running.len() < METRICS_REQUESTS_MAX => {
                let Ok((stream, _)) = accepted else {
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                let (metrics, store) = (metrics.clone(), store.clone());
                running.spawn(async move {
                    metrics.note_store(&store.ready());
                    metrics.note_blobs(&store.blob_counts());
                    metrics.note_forgotten(&store.forget_counts());
                    let _ = timeout(LOCAL_DEADLINE, answer(stream, &metrics)).await;
                });
            }
        }
    }
}

async fn answer(mut stream: TcpStream, metrics: &Metrics) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if request.len() > METRICS_REQUEST_BYTES_MAX || stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let reply = match request.split(|byte| *byte == b' ').take(2).collect::<Vec<_>>()[..] {
        [b"GET", b"/metrics"] => page("200 OK", &metrics.text()),
        _ => page("404 Not Found", "see /metrics\n"),
    };
    stream.write_all(reply.as_bytes()).await?;
    stream.shutdown().await
}

fn page(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n\
         Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n\
         Content-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}
