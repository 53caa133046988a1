//! A vault in a temporary folder, for tests.

use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, UnixMillis};
use secrecy::SecretString;
use tempfile::TempDir;

use super::committees::{CommitteeNo, NewCommittee, Standing};
use super::own::Own;
use super::{Home, Secrets, Vault, VaultError};

/// The passphrase of all of them.
pub(crate) fn passphrase() -> SecretString {
    SecretString::from("reed heron")
}

/// A folder that does not exist yet, inside one that vanishes.
pub(crate) fn home() -> (TempDir, Home) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let home = Home::new(dir.path().join("home"));
    (dir, home)
}

/// A vault of `baran`, and its secrets.
pub(crate) fn create(home: &Home) -> Result<(Vault, Secrets), VaultError> {
    let secrets = Secrets::generate()?;
    let own = Own { handle: "baran".to_owned(), country: "CH".to_owned(), made: UnixMillis(1_000) };
    Vault::create(home.clone(), &passphrase(), 1, &secrets, &own).map(|vault| (vault, secrets))
}

/// Adds a committee whose id is made of `seed`.
pub(crate) fn add_committee(vault: &mut Vault, seed: u8) -> CommitteeNo {
    let new = NewCommittee {
        id: committee_id(seed),
        relay: "sealpost://25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkena@relay.example:443"
            .to_owned(),
        standing: Standing::Active,
        opening: None,
        made: UnixMillis(2_000),
    };
    vault.write(|write| write.add_committee(&new)).expect("a new committee")
}

/// The id that [`add_committee`] gives.
pub(crate) fn committee_id(seed: u8) -> CommitteeId {
    CommitteeId(Hash([seed; 32]))
}
