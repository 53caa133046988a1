//! The sizes of `vault.db` and `attachments` go up in steps, so that a copy of them shows no count.
//!
//! What fills a step of the database is written like everything else, encrypted, and given back to SQLite, which takes
//! from it before it makes the file longer. So a page in use and one that is free look alike, and the
//! file is never cut.

use rusqlite::Connection;

const MIB: u64 = 1024 * 1024;
/// The size of a new vault: some hundred records.
pub const FIRST_BYTES: u64 = MIB;
/// A step doubles the size, up to this; from then on each adds as much.
pub const STEP_BYTES_MAX: u64 = 64 * MIB;

/// A page of SQLCipher's: it opens no database of other pages unless told to.
const PAGE_BYTES: u64 = 4096;
/// What SQLCipher keeps of each page for itself, and SQLite of each page of a long value.
const PAGE_OVERHEAD_BYTES: u64 = 80 + 4;

/// The size of a file that needs so many bytes.
pub fn step(bytes: u64) -> u64 {
    if bytes > STEP_BYTES_MAX {
        return bytes.next_multiple_of(STEP_BYTES_MAX);
    }
    bytes.next_power_of_two().max(FIRST_BYTES)
}

/// Fills the step that a transaction has begun. Within that transaction: it is on disk together with what
/// began the step, or neither is.
pub(super) fn fill(transaction: &Connection) -> rusqlite::Result<()> {
    if lacking(transaction)? == 0 {
        return Ok(());
    }
    transaction.execute_batch("CREATE TABLE filling (bytes BLOB) STRICT")?;
    loop {
        // The table took a page, and a value takes what is free before it takes more.
        let lacking = lacking(transaction)?;
        if lacking == 0 {
            break;
        }
        let bytes = lacking * (PAGE_BYTES - PAGE_OVERHEAD_BYTES);
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        transaction.execute("INSERT INTO filling VALUES (zeroblob(?1))", [bytes])?;
    }
    // `secure_delete` has the pages written all the same.
    transaction.execute_batch("DROP TABLE filling")
}

/// The pages by which the database falls short of its step.
fn lacking(connection: &Connection) -> rusqlite::Result<u64> {
    let pages: u32 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
    let pages = u64::from(pages);
    Ok(step(pages * PAGE_BYTES) / PAGE_BYTES - pages)
}

#[cfg(test)]
mod tests;
