//! Where the agent keeps the secrets: in one place, out of swap where that is allowed.

use std::io::{self, Read};

use region::LockGuard;
use zeroize::Zeroizing;

use crate::guard;
use crate::vault::SECRETS_BYTES;

/// The secrets. Wiped when dropped, while still locked.
pub(super) struct Kept {
    bytes: Zeroizing<Box<[u8]>>,
    page: Option<LockGuard>,
}

impl Kept {
    /// Reads them, straight to where they stay.
    pub(super) fn read(mut from: impl Read) -> io::Result<Self> {
        let mut bytes = Zeroizing::new(vec![0; SECRETS_BYTES].into_boxed_slice());
        let page = region::lock(bytes.as_ptr(), bytes.len()).ok();
        from.read_exact(&mut bytes)?;
        Ok(Self { bytes, page })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether they are kept out of swap.
    pub(super) fn is_locked(&self) -> bool {
        self.page.is_some() || guard::lock_memory()
    }
}
