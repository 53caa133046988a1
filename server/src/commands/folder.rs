//! The data folder, as commands come to it: over a running relay, or directly.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;

use crate::clock;
use crate::control::{self, Answer, Ask, ControlError};
use crate::error::{Failure, Kind};
use crate::key::{self, KeyError};
use crate::limits::LOCAL_DEADLINE;
use crate::store::disk::Disk;
use crate::store::{Options, Store, StoreError};

/// Between two looks at a relay that is starting or stopping.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Refuses a folder of another user: what root makes in it, its relay could not write any more.
pub(super) fn must_be_ours(disk: &dyn Disk, data: &Path) -> Result<(), Failure> {
    let Some(folder) = disk.host_folder(data) else { return Ok(()) };
    // What is not there, or cannot be looked at, is named by whoever opens it.
    let Ok(found) = std::fs::metadata(folder) else { return Ok(()) };
    let (owner, user) = (found.uid(), rustix::process::geteuid().as_raw());
    if owner == user {
        return Ok(());
    }
    let what = format!("{} belongs to user {owner}, and this is user {user}", data.display());
    Err(Failure::new(Kind::NotWritable, what)
        .next(format!("Type it as that user: sudo -u '#{owner}' sealpost-relay …")))
}

/// The relay's key; there must be one.
pub(super) fn key_of(disk: &dyn Disk, data: &Path) -> Result<SigningKey, Failure> {
    Ok(key::read(disk, data)?.ok_or(KeyError::LocalMissing)?)
}

/// Asks the relay that serves the folder, if one does.
pub(super) fn ask_running(
    disk: &dyn Disk,
    data: &Path,
    ask: &Ask,
) -> Result<Option<Answer>, Failure> {
    match disk.host_folder(data) {
        Some(folder) => Ok(control::ask(&folder, ask)?),
        None => Ok(None),
    }
}

/// Has it done by the relay that serves the folder, else does it in the folder itself. A relay
/// that is starting or stopping is waited for.
pub(super) fn perform(disk: &Arc<dyn Disk>, data: &Path, ask: &Ask) -> Result<Answer, Failure> {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask_running(disk.as_ref(), data, ask)? {
            return Ok(answer);
        }
        must_be_ours(disk.as_ref(), data)?;
        match Store::open(disk, data, Options::default()) {
            Ok(store) => return perform_in(&store, ask),
            Err(StoreError::LocalInUse(_)) if began.elapsed() < LOCAL_DEADLINE => {
                #[expect(clippy::disallowed_methods, reason = "no runtime runs in this process")]
                std::thread::sleep(LOOK_EVERY);
            }
            Err(StoreError::LocalInUse(_)) => return Err(ControlError::LocalStopping.into()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn perform_in(store: &Store, ask: &Ask) -> Result<Answer, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| Failure::io("starting", &error))?;
    let answer = runtime.block_on(control::perform(store, ask.clone(), "", clock::now()))?;
    Ok(answer)
}
