//! Processes that are killed, and those that hear of it.

use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::sync::mpsc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::home::Home;
use crate::proxy::{Direction, Proxy};

/// How long a client may take to hear from the next life of its relay that the connection is gone.
/// One that has sent everything and only waits hears it later, when it asks whether the line still
/// lives; it is killed too, as in a house without power.
pub(super) const HEARS_OF_IT_WITHIN: Duration = Duration::from_millis(250);
/// Lets the client sync and kills it at that datagram; whether it came so far.
pub(super) fn killed_at(proxy: &Proxy, direction: Direction, n: u64, home: &Home) -> bool {
    let (tell, told) = mpsc::channel();
    proxy.at(direction, n, move || {
        // The datagram may be there before this side knows whose it is.
        if let Ok(victim) = told.recv() {
            kill(&victim);
        }
    });
    let client = home.start(&["sync"]);
    tell.send(pidfd(client.pid())).expect("the proxy waits");
    let ran = client.finish();
    proxy.forget_actions();
    let killed = ran.status.signal() == Some(Signal::KILL.as_raw());
    let _ = if killed { ran } else { ran.exits(0) };
    killed
}

pub(super) fn kill(victim: &OwnedFd) {
    // An error means that it has ended by itself.
    let _ = pidfd_send_signal(victim, Signal::KILL);
}

/// A name for a process that no later process can get.
pub(super) fn pidfd(pid: Pid) -> OwnedFd {
    pidfd_open(pid, PidfdFlags::empty()).expect("our child, not waited for yet")
}

/// Which of these processes ends first, if any does in that time.
pub(super) fn first_to_end(processes: &[&OwnedFd], time: Duration) -> Option<usize> {
    let mut fds: Vec<_> = processes.iter().map(|fd| PollFd::new(*fd, PollFlags::IN)).collect();
    let time = time.try_into().expect("seconds");
    poll(&mut fds, Some(&time)).expect("descriptors of processes can be polled");
    fds.iter().position(|fd| fd.revents().contains(PollFlags::IN))
}
