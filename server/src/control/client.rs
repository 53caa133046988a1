//! The command's side: blocking, with a deadline.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use sealpost_protocol::codec;
use zeroize::Zeroizing;

use super::socket::Reachable;
use super::{Answer, Ask, ControlError, framed, length};
use crate::limits::{CONTROL_BYTES_MAX, LOCAL_DEADLINE};

/// Asks the relay that serves the data folder at `root`; `None` when none listens there.
pub fn ask(root: &Path, ask: &Ask) -> Result<Option<Answer>, ControlError> {
    let socket = match Reachable::of(root) {
        Err(error) if is_absent(&error) => return Ok(None),
        socket => socket?,
    };
    let stream = match UnixStream::connect(socket.path()) {
        Err(error) if is_absent(&error) => return Ok(None),
        stream => stream?,
    };
    let answer = exchange(stream, ask).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ControlError::LocalTooSlow,
        _ => error.into(),
    })?;
    // Nothing at all: it began to stop.
    if answer.is_empty() {
        return Ok(None);
    }
    match codec::decode(&answer, CONTROL_BYTES_MAX) {
        Ok(Answer::Refused(refusal)) => Err(ControlError::Refused(refusal.into())),
        Ok(answer) => Ok(Some(answer)),
        Err(error) => Err(ControlError::LocalForeign(error.to_string())),
    }
}

/// No socket, or one whose relay is gone.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// The relay's answer; nothing when it closed the connection without one.
fn exchange(mut stream: UnixStream, ask: &Ask) -> io::Result<Zeroizing<Vec<u8>>> {
    stream.set_read_timeout(Some(LOCAL_DEADLINE))?;
    stream.set_write_timeout(Some(LOCAL_DEADLINE))?;
    let mut head = [0; 4];
    match stream.write_all(&framed(ask)).and_then(|()| stream.read_exact(&mut head)) {
        Err(error) if is_closed(&error) => return Ok(Zeroizing::default()),
        exchanged => exchanged?,
    }
    let mut answer = Zeroizing::new(vec![0; length(head)?]);
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof
    )
}
