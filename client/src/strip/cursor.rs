//! Bytes as they are parsed, from their beginning.

use super::StripError;

/// What is left of a file, or of a part of it.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'b> {
    left: &'b [u8],
    /// What it should be, for errors.
    kind: &'static str,
}

impl<'b> Cursor<'b> {
    pub(super) fn new(bytes: &'b [u8], kind: &'static str) -> Self {
        Self { left: bytes, kind }
    }

    /// Of a part of the same file.
    pub(super) fn of(&self, bytes: &'b [u8]) -> Self {
        Self { left: bytes, kind: self.kind }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    pub(super) fn rest(&self) -> &'b [u8] {
        self.left
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'b [u8], StripError> {
        let (taken, left) =
            self.left.split_at_checked(len).ok_or_else(|| self.broken("it ends too early"))?;
        self.left = left;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], StripError> {
        let taken = self.take(N)?;
        Ok(taken.try_into().expect("just as many bytes were taken"))
    }

    pub(super) fn byte(&mut self) -> Result<u8, StripError> {
        Ok(self.array::<1>()?[0])
    }

    /// Takes what must stand here.
    pub(super) fn expect(&mut self, bytes: &[u8], why: &'static str) -> Result<(), StripError> {
        if self.take(bytes.len())? == bytes { Ok(()) } else { Err(self.broken(why)) }
    }

    /// A length of four bytes, big end first.
    pub(super) fn len_be(&mut self) -> Result<usize, StripError> {
        let len = u32::from_be_bytes(self.array()?);
        usize::try_from(len).map_err(|_| self.broken("a length is too large"))
    }

    /// A length of four bytes, little end first.
    pub(super) fn len_le(&mut self) -> Result<usize, StripError> {
        let len = u32::from_le_bytes(self.array()?);
        usize::try_from(len).map_err(|_| self.broken("a length is too large"))
    }

    pub(super) fn broken(&self, why: &'static str) -> StripError {
        StripError::Malformed { kind: self.kind, why }
    }

    pub(super) fn must(&self, holds: bool, why: &'static str) -> Result<(), StripError> {
        if holds { Ok(()) } else { Err(self.broken(why)) }
    }
}
