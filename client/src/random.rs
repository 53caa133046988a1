//! Randomness of the operating system. The only place that draws it, besides the age crate and TLS.

use std::io;

use zeroize::Zeroizing;

use crate::vault::VaultError;

/// `N` fresh random bytes that are secret.
pub fn secret<const N: usize>() -> Result<Zeroizing<[u8; N]>, VaultError> {
    let mut bytes = Zeroizing::new([0; N]);
    fill(bytes.as_mut_slice())?;
    Ok(bytes)
}

/// `N` fresh random bytes.
pub fn bytes<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// Fills what nobody reads, so that it looks like what is sealed.
pub fn filler(bytes: &mut [u8]) -> io::Result<()> {
    getrandom::fill(bytes).map_err(|error| io::Error::other(error.to_string()))
}

fn fill(bytes: &mut [u8]) -> Result<(), VaultError> {
    getrandom::fill(bytes).map_err(|error| VaultError::Random(error.to_string()))
}
