//! `vault.db`: one SQLCipher database under a raw 32-byte key.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use data_encoding::HEXLOWER;
use rusqlite::{Connection, OpenFlags};
use zeroize::Zeroizing;

use super::{VaultError, disk};
use crate::guard;

/// The version of the tables, in `user_version`.
pub const SCHEMA: u32 = 6;

/// How long a command waits for another one's transaction. Most take milliseconds; a sync that
/// stores a long pull takes seconds, and whoever writes meanwhile must not lose what was typed.
const BUSY_WAIT: Duration = Duration::from_secs(60);

/// The raw key of the database.
pub(super) type Key = Zeroizing<[u8; 32]>;

/// Makes the database at `path`, which must not hold one.
pub(super) fn create(path: &Path, key: &Key) -> Result<Connection, VaultError> {
    // Made here and not by SQLite, which would let the group read it.
    disk::touch(path)?;
    let connection = connect(path, key)?;
    make_tables(&connection, "")?;
    Ok(connection)
}

/// Makes the tables, or what of them an earlier version lacks, all at once. Two commands may come to it.
fn make_tables(connection: &Connection, before: &str) -> Result<(), VaultError> {
    let tables = include_str!("schema.sql");
    let batch =
        format!("BEGIN IMMEDIATE; {before} {tables} PRAGMA user_version = {SCHEMA}; COMMIT;");
    Ok(connection.execute_batch(&batch)?)
}

/// Opens the database at `path`.
pub(super) fn open(path: &Path, key: &Key) -> Result<Connection, VaultError> {
    let connection = connect(path, key)?;
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match version {
        SCHEMA => Ok(connection),
        1..SCHEMA => {
            // It had an index of that name over other columns.
            let outdated = if version == 1 { "DROP INDEX IF EXISTS record_by_id;" } else { "" };
            make_tables(&connection, outdated)?;
            Ok(connection)
        }
        0 => Err(VaultError::Damaged("vault.db is empty".to_owned())),
        found => Err(VaultError::Newer { found, known: SCHEMA }),
    }
}

/// SQLCipher sets itself up at the first key it is given, and two threads that come first at once
/// have failed there.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn connect(path: &Path, key: &Key) -> Result<Connection, VaultError> {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    // SQLCipher would write to stderr by itself.
    connection.pragma_update(None, "cipher_log_level", "NONE")?;
    // Locks each piece of memory that SQLite takes, and unlocks it again, with all else on its pages:
    // where the whole process is locked that would open it.
    connection.pragma_update(None, "cipher_memory_security", !guard::is_all_locked())?;
    let hex = Zeroizing::new(HEXLOWER.encode(key.as_slice()));
    let raw = Zeroizing::new(format!("x'{}'", hex.as_str()));
    connection.pragma_update(None, "key", raw.as_str())?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // A rollback journal that is cut, not removed: each commit syncs the journal, the database and
    // the cut, so nothing accepted is lost by a power cut, and reading needs no space on a full
    // disk, which the write-ahead log's shared memory would.
    let _: String =
        connection.pragma_update_and_check(None, "journal_mode", "TRUNCATE", |row| row.get(0))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // What is deleted is overwritten; and pages that were never used are written too (steps.rs).
    let _: bool =
        connection.pragma_update_and_check(None, "secure_delete", true, |row| row.get(0))?;
    Ok(connection)
}
