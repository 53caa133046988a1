//! What the helpers of this device's member are to say in a drill, for the spare it made last.

use rusqlite::params;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{DeviceId, UnixMillis};

use super::committees::CommitteeNo;
use super::sql::{int, millis};
use super::{Read, VaultError, Write};

/// A helper's drill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drill {
    /// The helper's device.
    pub helper: DeviceId,
    /// The code, from which nothing of the share follows.
    pub code: String,
    /// When it was last said.
    pub passed: Option<UnixMillis>,
}

impl Read<'_> {
    /// The drills of a spare in committee `no`, by helper; none for one that another device made.
    pub fn drills(&self, no: CommitteeNo, spare: DeviceId) -> Result<Vec<Drill>, VaultError> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT helper, code, passed_ms FROM drill
             WHERE committee = ?1 AND spare = ?2 ORDER BY helper",
        )?;
        let rows = statement.query_map(params![no.0, spare.as_bytes()], |row| {
            Ok(Drill {
                helper: DeviceId(Hash(row.get(0)?)),
                code: row.get(1)?,
                passed: row.get::<_, Option<i64>>(2)?.map(millis),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Write<'_> {
    /// Keeps the drills of a new spare, in place of an older one's.
    pub fn put_drills(
        &self,
        no: CommitteeNo,
        spare: DeviceId,
        drills: &[Drill],
    ) -> Result<(), VaultError> {
        self.transaction.execute("DELETE FROM drill WHERE committee = ?1", [no.0])?;
        for drill in drills {
            self.transaction.execute(
                "INSERT INTO drill VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    no.0,
                    spare.as_bytes(),
                    drill.helper.as_bytes(),
                    drill.code,
                    drill.passed.map(|at| int(at.0)),
                ],
            )?;
        }
        Ok(())
    }

    /// Notes that a helper said its code.
    pub fn pass_drill(
        &self,
        no: CommitteeNo,
        helper: DeviceId,
        at: UnixMillis,
    ) -> Result<(), VaultError> {
        self.transaction.execute(
            "UPDATE drill SET passed_ms = ?3 WHERE committee = ?1 AND helper = ?2",
            params![no.0, helper.as_bytes(), int(at.0)],
        )?;
        Ok(())
    }
}
