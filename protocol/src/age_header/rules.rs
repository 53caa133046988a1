//! Which stanzas a file of Sealpost may have.

use data_encoding::BASE64_NOPAD;

use super::{
    AgeHeader, AgeStanza, HYBRID_SHARE_BYTES, HYBRID_STANZA, MAC_BYTES, PeerAgeHeaderError,
    SCRYPT_SALT_BYTES, SCRYPT_STANZA, VERSION_LINE, WRAPPED_FILE_KEY_BYTES, base64_exact, parse,
    parse_head,
};
use crate::limits;

/// The passphrases carry 256 bits, so stretching them buys nothing; above it waits a CPU bomb.
const SCRYPT_WORK_FACTOR: &str = "1";
const GREASE_SUFFIX: &str = "-grease";

/// Checks the payload of a record: one scrypt stanza of work factor 1 and nothing else.
pub fn check_record(payload: &[u8]) -> Result<AgeHeader<'_>, PeerAgeHeaderError> {
    check_attachment(payload, payload.len() as u64)
}

/// As [`check_record`], of a file of `file_bytes` that begins with `head`: its first
/// [`limits::RECORD_AGE_HEADER_BYTES_MAX`] bytes are enough.
pub fn check_attachment(head: &[u8], file_bytes: u64) -> Result<AgeHeader<'_>, PeerAgeHeaderError> {
    let header = parse_head(head, file_bytes, limits::RECORD_AGE_HEADER_BYTES_MAX)?;
    let [stanza] = header.stanzas() else {
        return Err(PeerAgeHeaderError::NotOneScrypt);
    };
    if stanza.kind() != SCRYPT_STANZA {
        return Err(PeerAgeHeaderError::NotOneScrypt);
    }
    let mut args = stanza.args();
    let (Some(salt), Some(work_factor), None) = (args.next(), args.next(), args.next()) else {
        return Err(PeerAgeHeaderError::ScryptArguments);
    };
    if base64_exact::<SCRYPT_SALT_BYTES>(salt.as_bytes()).is_none() {
        return Err(PeerAgeHeaderError::Salt);
    }
    if work_factor != SCRYPT_WORK_FACTOR {
        return Err(PeerAgeHeaderError::WorkFactor);
    }
    check_file_key(stanza)?;
    header.plaintext_bytes()?;
    Ok(header)
}

/// Checks a file sealed to hybrid recipients: 1 to `readers_max` hybrid stanzas, and at most one of
/// grease. Grants, links and labels have one reader, named-reader files up to
/// [`limits::NAMED_READERS_MAX`].
pub fn check_hybrid(file: &[u8], readers_max: usize) -> Result<AgeHeader<'_>, PeerAgeHeaderError> {
    let stanzas_max = readers_max.min(limits::NAMED_READERS_MAX) + 1;
    let ends = VERSION_LINE.len() + "--- \n".len() + BASE64_NOPAD.encode_len(MAC_BYTES);
    let header = parse(file, stanzas_max * limits::STANZA_BYTES_MAX + ends)?;
    let (mut hybrid, mut grease) = (0, 0);
    for stanza in header.stanzas() {
        if stanza.kind() == HYBRID_STANZA {
            check_hybrid_stanza(stanza)?;
            hybrid += 1;
        } else if stanza.kind().ends_with(GREASE_SUFFIX) {
            grease += 1;
        } else {
            return Err(PeerAgeHeaderError::ForeignStanza);
        }
    }
    if hybrid == 0 || hybrid > readers_max {
        return Err(PeerAgeHeaderError::HybridStanzas { max: readers_max });
    }
    if grease > 1 {
        return Err(PeerAgeHeaderError::Grease);
    }
    header.plaintext_bytes()?;
    Ok(header)
}

fn check_hybrid_stanza(stanza: &AgeStanza<'_>) -> Result<(), PeerAgeHeaderError> {
    let mut args = stanza.args();
    let (Some(share), None) = (args.next(), args.next()) else {
        return Err(PeerAgeHeaderError::Share);
    };
    if base64_exact::<HYBRID_SHARE_BYTES>(share.as_bytes()).is_none() {
        return Err(PeerAgeHeaderError::Share);
    }
    check_file_key(stanza)
}

/// Fixed, so that no body can be made that opens under many keys.
fn check_file_key(stanza: &AgeStanza<'_>) -> Result<(), PeerAgeHeaderError> {
    if stanza.body_bytes() != WRAPPED_FILE_KEY_BYTES {
        return Err(PeerAgeHeaderError::FileKey);
    }
    Ok(())
}
