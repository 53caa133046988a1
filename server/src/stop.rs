//! The one word that ends everything: "stop".

use tokio::sync::watch;

/// Says stop, once, to all that hold a [`Stop`]. Dropping it says it too.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Waits for the word.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// A stopper and what it stops.
pub fn channel() -> (Stopper, Stop) {
    let (stopper, stop) = watch::channel(false);
    (Stopper(stopper), Stop(stop))
}

impl Stopper {
    /// Says it.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Returns when the word was said, at once if it was said before.
    pub async fn told(&mut self) {
        // An error means that the stopper is gone: nobody is left to keep this running.
        let _ = self.0.wait_for(|said| *said).await;
    }
}
