//! The relay's side.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::Mode;
use sealpost_protocol::codec;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use super::socket::Reachable;
use super::{Answer, Ask, Refusal, framed, length, perform};
use crate::limits::{ACCEPT_PAUSE, CONTROL_BYTES_MAX, CONTROL_CONNECTIONS_MAX, LOCAL_DEADLINE};
use crate::service::Clock;
use crate::stop::Stop;
use crate::store::NoteStore;

/// The bound socket; its file goes when this goes.
pub struct Control {
    listener: UnixListener,
    socket: Reachable,
}

impl Control {
    /// Binds the socket of the data folder at `root`, which this process must hold: a socket that
    /// is there is a dead relay's.
    pub fn bind(root: &Path) -> io::Result<Self> {
        let socket = Reachable::of(root)?;
        match std::fs::remove_file(socket.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
        let listener = UnixListener::bind(socket.path())?;
        // The folder keeps others out already.
        rustix::fs::chmod(socket.path(), Mode::RUSR | Mode::WUSR)?;
        Ok(Self { listener, socket })
    }

    /// Answers commands until told to stop.
    pub async fn serve<S: NoteStore>(
        self,
        store: Arc<S>,
        address: String,
        clock: Clock,
        mut stop: Stop,
    ) {
        let address: Arc<str> = address.into();
        let mut running = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = stop.told() => break,
                Some(_) = running.join_next() => {}
                accepted = self.listener.accept(), if running.len() < CONTROL_CONNECTIONS_MAX => {
                    let Ok((stream, _)) = accepted else {
                        sleep(ACCEPT_PAUSE).await;
                        continue;
                    };
                    let (store, address) = (store.clone(), address.clone());
                    running.spawn(async move {
                        let answered = answer(stream, store.as_ref(), &address, clock);
                        let _ = timeout(LOCAL_DEADLINE, answered).await;
                    });
                }
            }
        }
        while running.join_next().await.is_some() {}
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // One that stays is taken for a dead relay's, which it then is.
        let _ = std::fs::remove_file(self.socket.path());
    }
}

async fn answer<S: NoteStore>(
    mut stream: UnixStream,
    store: &S,
    address: &str,
    clock: Clock,
) -> io::Result<()> {
    let us = rustix::process::geteuid().as_raw();
    if !may_command(stream.peer_cred()?.uid(), us) {
        tracing::warn!("another user of this machine tried to command the relay: refused");
        return Ok(());
    }
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let mut asked = vec![0; length(head)?];
    stream.read_exact(&mut asked).await?;
    let ask: Ask = codec::decode(&asked, CONTROL_BYTES_MAX).map_err(io::Error::other)?;
    let answer = match perform(store, ask, address, clock()).await {
        Ok(answer) => answer,
        Err(error) => Answer::Refused(Refusal::from(&error)),
    };
    stream.write_all(&Zeroizing::new(framed(&answer))).await?;
    stream.shutdown().await
}

/// The relay's own user, and root.
pub(super) fn may_command(peer: u32, us: u32) -> bool {
    peer == 0 || peer == us
}
