//! What a copy of a home tells whoever cannot open it: not how much is in it, but for the documented steps
//! in which its database grows.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sealpost::vault::home::Home as VaultHome;
use sealpost::vault::outbox::NewDraft;
use sealpost::vault::steps::{FIRST_BYTES, step};
use sealpost::vault::{Vault, VaultError};
use sealpost_protocol::reference::Ref;
use sealpost_tests::home::{Home, PASSPHRASE};
use sealpost_tests::scene::Scene;
use serde_json::json;

use crate::programs;

const DATABASE: &str = "vault/vault.db";

/// The names of all files of a home, and their sizes.
fn copied(home: &Home) -> BTreeMap<String, u64> {
    let mut files = BTreeMap::new();
    let mut folders = vec![home.disk().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("a file").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(name(home.disk(), &path), path.metadata().expect("it is there").len());
            }
        }
    }
    files
}

fn name(disk: &Path, path: &Path) -> String {
    let name = path.strip_prefix(disk).expect("it is below");
    name.to_str().expect("a plain name").to_owned()
}

/// Has somebody write so many notes, each of about as many letters as a note has, and send them.
fn writes(home: &Home, committee: &str, notes: usize) {
    let text = "The hearing was moved to Monday. ".repeat(20);
    let first = home.record_later("note", committee, &json!({ "text": text }));
    let opened = Vault::open(VaultHome::new(home.vault()), &PASSPHRASE.to_owned().into());
    let (mut vault, _) = opened.unwrap_or_else(|error| panic!("our own vault: {error}"));
    let draft = vault.read(|read| read.draft(&first.id)).expect("reads").expect("it was saved").new;
    let text = String::from_utf8(draft.draft.clone()).expect("JSON");
    let saved = vault.write(|write| {
        for number in 1..notes {
            // A ULID ends in letters that are drawn.
            let id = format!("{}{number:06}", &first.id[..first.id.len() - 6]);
            let new = NewDraft {
                draft: text.replace(&first.id, &id).into_bytes(),
                reference: Ref::new("N", id.as_bytes()).to_string(),
                id,
                ..draft.clone()
            };
            write.save_draft(&new)?;
        }
        Ok::<_, VaultError>(())
    });
    saved.expect("there is room");
    drop(vault);
    assert_eq!(home.sync()["unsent"], 0);
}

/// The homes of who wrote so many notes and of who got them.
fn homes(notes: usize) -> [BTreeMap<String, u64>; 2] {
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    writes(&isla, &committee, notes);
    baran.sync();
    [&isla, &baran].map(|home| {
        assert_eq!(home.records().len(), notes);
        copied(home)
    })
}

#[test]
fn homes_with_ten_and_with_a_thousand_records_differ_by_documented_steps_alone() {
    let (few, many) = (homes(10), homes(1_000));
    for (few, many) in few.iter().zip(&many) {
        let names = |files: &BTreeMap<String, u64>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(few), names(many));
        for (name, size) in many.iter().filter(|(name, _)| *name != DATABASE) {
            assert_eq!(few[name], *size, "{name}");
        }
        assert_eq!(few["vault/vault.db-journal"], 0);
        assert_eq!(few[DATABASE], FIRST_BYTES);
        assert_eq!(step(many[DATABASE]), many[DATABASE]);
    }
    assert_eq!(few[0], few[1], "who wrote and who read");
}

#[test]
fn what_is_in_a_vault_does_not_show_in_its_size() {
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    let before = copied(&isla);
    assert_eq!(before, copied(&baran), "a founder's and a member's");
    let _ = isla.record_new("note", &committee, &json!({ "text": "a long word ".repeat(1_000) }));
    let _ = isla.record_later("note", &committee, &json!({ "text": "not sent" }));
    let _ = isla.run(&["device", "add"]).exits(0);
    baran.sync();
    assert_eq!([copied(&isla), copied(&baran)], [before.clone(), before]);
    assert_eq!(copied(&Home::of(&programs(), "mira"))[DATABASE], FIRST_BYTES);
}
