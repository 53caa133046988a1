use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use sealpost_protocol::id::UnixMillis;

use super::*;
use crate::vault::committees::CommitteeNo;
use crate::vault::outbox::{NewDraft, What};
use crate::vault::{Home, Vault, fixture};

fn save(vault: &mut Vault, no: CommitteeNo, id: u32, bytes: usize) {
    let new = NewDraft {
        committee: no,
        what: What::Record,
        id: id.to_string(),
        reference: "N-00000000".to_owned(),
        kind: "note".to_owned(),
        draft: vec![b'x'; bytes],
        made: UnixMillis(1_000),
    };
    vault.write(|write| write.save_draft(&new)).expect("there is room");
}

fn size(home: &Home) -> u64 {
    fs::metadata(home.database()).expect("it is there").len()
}

#[test]
fn steps_double_and_then_go_on_by_the_longest() {
    let kib = 1024;
    assert_eq!([0, 1, MIB].map(step), [FIRST_BYTES; 3]);
    assert_eq!([MIB + 4 * kib, 2 * MIB].map(step), [2 * MIB; 2]);
    assert_eq!([33 * MIB, 64 * MIB].map(step), [64 * MIB; 2]);
    assert_eq!([64 * MIB + 4 * kib, 128 * MIB].map(step), [128 * MIB; 2]);
    assert_eq!(step(130 * MIB), 192 * MIB);
}

#[test]
fn a_vault_grows_by_whole_steps_and_never_shrinks() {
    let (_dir, home) = fixture::home();
    let (mut vault, _) = fixture::create(&home).expect("a vault");
    assert_eq!(size(&home), FIRST_BYTES);
    let no = fixture::add_committee(&mut vault, 7);
    let mut sizes = vec![size(&home)];
    for id in 0..24 {
        save(&mut vault, no, id, 400_000);
        sizes.push(size(&home));
    }
    sizes.dedup();
    assert_eq!(sizes, [1, 2, 4, 8, 16].map(|mib| mib * MIB));
    let cleared = vault.write(|write| {
        write.0.transaction.execute("DELETE FROM outbox", [])?;
        Ok::<_, crate::vault::VaultError>(())
    });
    cleared.expect("it is ours");
    assert_eq!(size(&home), 16 * MIB);
    // What was given back is taken again.
    for id in 0..24 {
        save(&mut vault, no, id, 400_000);
    }
    assert_eq!(size(&home), 16 * MIB);
}

#[test]
fn a_page_in_use_and_one_that_is_free_look_alike() {
    let (_dir, home) = fixture::home();
    let (mut vault, _) = fixture::create(&home).expect("a vault");
    let no = fixture::add_committee(&mut vault, 7);
    save(&mut vault, no, 1, 100_000);
    let free = vault.connection.pragma_query_value(None, "freelist_count", |row| row.get(0));
    let free: u32 = free.expect("a count");
    assert!(free > 100, "{free}");
    let bytes = fs::read(home.database()).expect("readable");
    let page = usize::try_from(PAGE_BYTES).expect("a few thousand");
    let mut seen = HashSet::new();
    for page in bytes.chunks(page) {
        // Of 4,096 random bytes about 255 values come up, in no long run.
        let values: HashSet<u8> = page.iter().copied().collect();
        assert!(values.len() > 200, "{} values", values.len());
        assert!(seen.insert(page), "the same page twice");
    }
    // No hole, which would show on the disk itself.
    let blocks = fs::metadata(home.database()).expect("it is there").blocks();
    assert!(blocks * 512 >= FIRST_BYTES, "{blocks} blocks");
}

#[test]
fn an_older_vault_is_filled_by_its_next_write() {
    let (_dir, home) = fixture::home();
    let (vault, secrets) = fixture::create(&home).expect("a vault");
    vault.connection.execute_batch("VACUUM").expect("it is ours");
    drop(vault);
    assert!(size(&home) < FIRST_BYTES / 2, "{}", size(&home));
    let mut vault = Vault::open_with(home.clone(), &secrets).expect("it opens");
    let no = fixture::add_committee(&mut vault, 7);
    save(&mut vault, no, 1, 100);
    assert_eq!(size(&home), FIRST_BYTES);
}
