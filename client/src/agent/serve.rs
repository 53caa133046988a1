//! The agent's own process.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{geteuid, setsid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::folder::{Folder, SocketId};
use super::kept::Kept;
use super::life::{Life, since_boot};
use super::wire::{self, Answer, Ask, Terms};
use super::{AgentError, DEADLINE};
use crate::vault::Home;

/// How many are answered at once.
const CONNECTIONS_MAX: usize = 8;
/// How long at most until it looks at the clock and for its socket: timers do not count the time a
/// machine slept, and an agent that no `lockup` reaches must not stay.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Until connections are taken again, when the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes terms and secrets on stdin, and serves the vault in `home` until it is over. Stderr is
/// closed when it serves; what stood in the way was written there.
pub fn serve(home: &Home) -> Result<(), AgentError> {
    close_inherited()?;
    // Not the buffered stdin, where a copy of the secrets would stay.
    let mut stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let terms: Terms = wire::receive(&mut stdin)?;
    let kept = Kept::read(stdin)?;
    let _ = setsid();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    let (bound, stop) = (Bound::bind(home)?, told_to_end()?);
    drop(entered);
    std::env::set_current_dir("/")?;
    detach()?;
    let agent = Arc::new(Agent::new(&terms, kept));
    runtime.block_on(bound.serve(&agent, stop))
}

/// Waits until the process is told to end.
fn told_to_end() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}

/// What the shell, or whoever typed `unlock`, had open: a passphrase's file, or a pipe whose end
/// somebody waits for.
fn close_inherited() -> io::Result<()> {
    let mut open = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        open.extend(entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()));
    }
    for number in open.into_iter().filter(|number| *number > 2) {
        // One of them was the list itself.
        let _ = nix::unistd::close(number);
    }
    Ok(())
}

/// The bound socket.
pub(super) struct Bound {
    folder: Folder,
    listener: UnixListener,
    socket: SocketId,
}

impl Bound {
    /// Binds it; needs a runtime.
    pub(super) fn bind(home: &Home) -> Result<Self, AgentError> {
        let gone = || AgentError::Io(io::ErrorKind::NotFound.into());
        let folder = Folder::open(home)?.ok_or_else(gone)?;
        folder.must_be_ours()?;
        // `unlock` has ended whom it could reach: what is left is a dead one's.
        folder.remove_socket()?;
        let listener = UnixListener::bind(folder.socket_path())?;
        folder.close_socket_to_others()?;
        let socket = folder.socket()?.ok_or_else(gone)?;
        Ok(Self { folder, listener, socket })
    }

    /// Answers until it is over, or `stop` is.
    pub(super) async fn serve(
        self,
        agent: &Arc<Agent>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), AgentError> {
        let mut stop = pin!(stop);
        let mut running = JoinSet::new();
        while !agent.is_over() && self.is_in_place() {
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(answered) = running.join_next() => {
                    if matches!(answered, Ok(Ok(Ok(Then::End)))) {
                        break;
                    }
                }
                accepted = self.listener.accept(), if running.len() < CONNECTIONS_MAX => {
                    match accepted {
                        Ok((stream, _)) => {
                            let agent = agent.clone();
                            running.spawn(async move {
                                timeout(DEADLINE, agent.answer(stream)).await
                            });
                        }
                        Err(_) => sleep(ACCEPT_PAUSE).await,
                    }
                }
                () = sleep(agent.left().min(LOOK_EVERY)) => {}
            }
        }
        if self.is_in_place() {
            self.folder.remove_socket()?;
        }
        Ok(())
    }

    /// Whether its socket is still where it put it.
    fn is_in_place(&self) -> bool {
        matches!(self.folder.socket(), Ok(Some(socket)) if socket == self.socket)
    }
}

/// Leaves the terminal and whoever waits for stderr to end.
fn detach() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    Ok(())
}

/// What an answer is followed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Stay,
    End,
}

/// What it holds, and for how long.
pub(super) struct Agent {
    terms: Terms,
    kept: Kept,
    life: Mutex<Life>,
}

impl Agent {
    pub(super) fn new(terms: &Terms, kept: Kept) -> Self {
        let life = Mutex::new(Life::begin(terms, since_boot()));
        Self { terms: *terms, kept, life }
    }

    /// Answers the one question of a connection.
    pub(super) async fn answer(&self, mut stream: UnixStream) -> io::Result<Then> {
        if stream.peer_cred()?.uid() != geteuid().as_raw() {
            return Ok(Then::Stay);
        }
        let mut head = [0; 4];
        stream.read_exact(&mut head).await?;
        let mut asked = vec![0; wire::length(head)?];
        stream.read_exact(&mut asked).await?;
        let now = since_boot();
        let (answer, then) = self.decide(wire::parse(&asked)?, now);
        stream.write_all(&wire::framed(&answer)).await?;
        if answer == Answer::Secrets {
            stream.write_all(self.kept.bytes()).await?;
        }
        stream.shutdown().await?;
        Ok(then)
    }

    /// The answer at the time `now`. Only secrets that were given out count as a use: looking at
    /// the state keeps nothing alive.
    pub(super) fn decide(&self, ask: Ask, now: Duration) -> (Answer, Then) {
        let mut life = self.life();
        match ask {
            // It slept past its end and has not looked at the clock yet.
            _ if life.is_over(now) => (Answer::Ending, Then::End),
            Ask::State => (Answer::State(life.state(now, self.kept.is_locked())), Then::Stay),
            Ask::Secrets(identity) if identity == self.terms.identity => {
                life.touch(now);
                (Answer::Secrets, Then::Stay)
            }
            Ask::Secrets(_) => (Answer::Other, Then::End),
            Ask::End => (Answer::Ending, Then::End),
        }
    }

    fn left(&self) -> Duration {
        self.life().left(since_boot())
    }

    fn is_over(&self) -> bool {
        self.life().is_over(since_boot())
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
