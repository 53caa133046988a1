//! What keeps this process's memory from others on the machine: from files that a crash would
//! write, from whoever may trace it, and from swap.

use std::sync::OnceLock;

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

/// Whether all memory of this process is kept out of swap; said once, when it begins.
static ALL_LOCKED: OnceLock<bool> = OnceLock::new();

/// Guards this process, before it holds a secret. Where something cannot be had the rest still
/// works.
pub fn process() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = setrlimit(Resource::Core, none);
    // Not of this user either: no ptrace, no /proc/PID/mem, no crash handler that the limit above
    // does not bind.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = ALL_LOCKED.set(lock_memory());
}

/// Whether all memory of this process is kept out of swap.
pub fn is_all_locked() -> bool {
    ALL_LOCKED.get().is_some_and(|locked| *locked)
}

/// Keeps all memory of this process out of swap, what it takes later too. Whether that was allowed.
///
/// Only where no limit can run out: under one, opening a vault would fail for want of lockable
/// memory, 256 MiB of it, which is worse than what it prevents.
pub fn lock_memory() -> bool {
    // Locked when first used: the runtime's stacks are never filled.
    let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    let limit = getrlimit(Resource::Memlock);
    if limit.current.is_none() {
        return mlockall(all).is_ok();
    }
    // Under a limit of nothing it is allowed only to those whom no limit binds: the kernel knows
    // who that is, also in a container.
    let nothing = Rlimit { current: Some(0), ..limit };
    if setrlimit(Resource::Memlock, nothing).is_err() {
        return false;
    }
    let locked = mlockall(all).is_ok();
    let _ = setrlimit(Resource::Memlock, limit);
    locked
}
