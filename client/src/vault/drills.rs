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

    /// The spares that this device made for committee `no` and did not forget.
    pub fn spares_made(&self, no: CommitteeNo) -> Result<Vec<DeviceId>, VaultError> {
        let mut statement = self
            .transaction
            .prepare_cached("SELECT DISTINCT spare FROM drill WHERE committee = ?1")?;
        let rows = statement.query_map([no.0], |row| Ok(DeviceId(Hash(row.get(0)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Write<'_> {
    /// Keeps the drills of a new spare beside those of the one in force, which it may never replace.
    pub fn put_drills(
        &self,
        no: CommitteeNo,
        in_force: Option<DeviceId>,
        spare: DeviceId,
        drills: &[Drill],
    ) -> Result<(), VaultError> {
        let in_force = in_force.unwrap_or(spare);
        self.transaction.execute(
            "DELETE FROM drill WHERE committee = ?1 AND spare <> ?2",
            params![no.0, in_force.as_bytes()],
        )?;
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
        spare: DeviceId,
        helper: DeviceId,
        at: UnixMillis,
    ) -> Result<(), VaultError> {
        self.transaction.execute(
            "UPDATE drill SET passed_ms = ?4 WHERE committee = ?1 AND spare = ?2 AND helper = ?3",
            params![no.0, spare.as_bytes(), helper.as_bytes(), int(at.0)],
        )?;
        Ok(())
    }
}
