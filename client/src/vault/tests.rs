use std::fs;
use std::os::unix::fs::PermissionsExt;

use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{
    AuthorSeq, DeviceId, Epoch, InvitationId, LeafIndex, TreeSize, UnixMillis,
};
use secrecy::{ExposeSecret, SecretString};

use super::committees::{CommitteeNo, Position, Standing};
use super::entries::StoredEntry;
use super::evidence::{Cosigned, Exhibit};
use super::invitations::{Asking, Invitation, InvitationState, JoinRequest};
use super::outbox::{DraftNo, NewDraft, Refusal, Sending, Signed, What};
use super::own::Own;
use super::records::{Content, Record};
use super::*;

fn vault() -> (tempfile::TempDir, Vault, CommitteeNo) {
    let (dir, home) = fixture::home();
    let (mut vault, _) = fixture::create(&home).expect("a vault");
    let no = fixture::add_committee(&mut vault, 7);
    (dir, vault, no)
}

fn new_draft(committee: CommitteeNo, id: &str) -> NewDraft {
    NewDraft {
        committee,
        what: What::Record,
        id: id.to_owned(),
        reference: "N-00000000".to_owned(),
        kind: "note".to_owned(),
        draft: br#"{"text":"marker-heron"}"#.to_vec(),
        made: UnixMillis(3_000),
    }
}

fn save(vault: &mut Vault, committee: CommitteeNo, id: &str) -> DraftNo {
    vault.write(|write| write.save_draft(&new_draft(committee, id))).expect("saved")
}

fn entry(bytes: &[u8], index: u64) -> StoredEntry<'_> {
    StoredEntry {
        index: LeafIndex(index),
        leaf_hash: Hash::of(bytes),
        author: DeviceId(Hash::of(b"author")),
        author_seq: AuthorSeq(index),
        kind: 2,
        epoch: Epoch(1),
        bytes,
    }
}

#[test]
fn a_vault_opens_again_with_the_same_keys_and_content() {
    let (_dir, home) = fixture::home();
    let (vault, made) = fixture::create(&home).expect("a vault");
    drop(vault);
    let (vault, opened) = Vault::open(home, &fixture::passphrase()).expect("it opens");
    assert_eq!(opened.device.device_id(), made.device.device_id());
    assert_eq!(opened.vault_key, made.vault_key);
    let own = vault.read(Read::own).expect("its own row");
    assert_eq!(
        own,
        Own { handle: "baran".to_owned(), country: "CH".to_owned(), made: UnixMillis(1_000) }
    );
}

#[test]
fn the_wrong_passphrase_and_a_missing_vault_are_told_apart() {
    let (_dir, home) = fixture::home();
    let open = |passphrase: &str| {
        Vault::open(home.clone(), &SecretString::from(passphrase)).map(|_| ()).expect_err("refused")
    };
    assert!(matches!(open("reed heron"), VaultError::NoVault(_)));
    drop(fixture::create(&home).expect("a vault"));
    assert!(matches!(open("reed herons"), VaultError::WrongPassphrase));
    fs::remove_file(home.database()).expect("it is there");
    assert!(matches!(open("reed heron"), VaultError::Missing(_)));
}

#[test]
fn a_second_init_and_a_database_without_its_identity_are_refused() {
    let (_dir, home) = fixture::home();
    drop(fixture::create(&home).expect("a vault"));
    assert!(matches!(fixture::create(&home).err(), Some(VaultError::Exists(_))));
    fs::remove_file(home.identity()).expect("it is there");
    assert!(matches!(fixture::create(&home).err(), Some(VaultError::Orphan(_))));
    assert!(home.database().exists(), "a database whose identity is lost is never removed");
}

#[test]
fn an_init_that_was_killed_at_any_point_can_be_done_again() {
    let (_dir, home) = fixture::home();
    drop(fixture::create(&home).expect("a vault"));
    // Killed before the last rename.
    fs::rename(home.identity(), home.unfinished_identity()).expect("a rename");
    let opened = Vault::open(home.clone(), &fixture::passphrase());
    assert!(matches!(opened.err(), Some(VaultError::NoVault(_))));
    drop(fixture::create(&home).expect("a second attempt"));
    // Killed before the database was made.
    fs::remove_file(home.database()).expect("it is there");
    fs::rename(home.identity(), home.unfinished_identity()).expect("a rename");
    fixture::create(&home).expect("a third attempt");
}

#[test]
fn only_the_owner_may_read_the_folder_and_its_files() {
    let (_dir, mut vault, no) = vault();
    save(&mut vault, no, "1");
    let _lock = SyncLock::take(vault.home()).expect("nobody syncs");
    let mode = |path: &std::path::Path| {
        fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    };
    assert_eq!(mode(vault.home().path()), 0o700);
    for file in fs::read_dir(vault.home().path()).expect("a folder") {
        let path = file.expect("a file").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_folder_open_to_others_is_taken_only_when_empty() {
    let (_dir, home) = fixture::home();
    fs::create_dir(home.path()).expect("a folder");
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    fs::write(home.path().join("other"), "x").expect("a file");
    assert!(matches!(fixture::create(&home).err(), Some(VaultError::NotWritable { .. })));
    fs::remove_file(home.path().join("other")).expect("it is there");
    fixture::create(&home).expect("an empty folder is taken");
}

#[test]
fn nothing_written_shows_on_disk_and_the_names_are_fixed() {
    let (_dir, mut vault, no) = vault();
    save(&mut vault, no, "1");
    let _lock = SyncLock::take(vault.home()).expect("nobody syncs");
    let mut names = Vec::new();
    for file in fs::read_dir(vault.home().path()).expect("a folder") {
        let path = file.expect("a file").path();
        let bytes = fs::read(&path).expect("readable");
        for marker in [b"marker-heron".as_slice(), b"baran", b"SQLite format", b"outbox"] {
            let shows = bytes.windows(marker.len()).any(|window| window == marker);
            assert!(!shows, "{} shows {:?}", path.display(), std::str::from_utf8(marker));
        }
        names.push(path.file_name().expect("a name").to_string_lossy().into_owned());
    }
    names.sort();
    assert_eq!(names, ["identity.age", "lock", "vault.db", "vault.db-journal"]);
}

#[test]
fn a_newer_vault_and_a_foreign_or_damaged_database_are_named() {
    let (_dir, home) = fixture::home();
    let (vault, secrets) = fixture::create(&home).expect("a vault");
    vault.connection.pragma_update(None, "user_version", SCHEMA + 1).expect("a pragma");
    drop(vault);
    let opened = Vault::open(home.clone(), &fixture::passphrase());
    let newer = VaultError::Newer { found: SCHEMA + 1, known: SCHEMA };
    assert_eq!(opened.err().expect("refused").to_string(), newer.to_string());
    let other = Secrets::generate().expect("random bytes");
    assert!(matches!(
        database::open(&home.database(), &other.vault_key),
        Err(VaultError::Damaged(_))
    ));
    let mut bytes = fs::read(home.database()).expect("readable");
    bytes[100] ^= 1;
    fs::write(home.database(), bytes).expect("writable");
    assert!(matches!(
        database::open(&home.database(), &secrets.vault_key),
        Err(VaultError::Damaged(_))
    ));
}

#[test]
fn a_damaged_identity_is_not_taken_for_a_wrong_passphrase() {
    let (_dir, home) = fixture::home();
    drop(fixture::create(&home).expect("a vault"));
    let whole = fs::read(home.identity()).expect("readable");
    for cut in [whole.len() - 1, 20] {
        fs::write(home.identity(), &whole[..cut]).expect("writable");
        let opened = Vault::open(home.clone(), &fixture::passphrase());
        assert!(matches!(opened.err(), Some(VaultError::Damaged(_))), "cut to {cut}");
    }
}

#[test]
fn a_full_disk_is_named_and_loses_nothing() {
    let (_dir, mut vault, no) = vault();
    save(&mut vault, no, "1");
    let pages: u32 =
        vault.connection.pragma_query_value(None, "page_count", |row| row.get(0)).expect("a count");
    vault.connection.pragma_update(None, "max_page_count", pages).expect("a pragma");
    let mut large = new_draft(no, "2");
    // More than what is left of the step.
    large.draft = vec![b'x'; 8 << 20];
    let refused = vault.write(|write| write.save_draft(&large));
    assert!(matches!(refused, Err(VaultError::DiskFull)), "{refused:?}");
    assert_eq!(vault.read(Read::drafts).expect("readable").len(), 1);
}

#[test]
fn what_a_failed_transaction_wrote_is_not_there() {
    let (_dir, mut vault, no) = vault();
    let failed: Result<(), VaultError> = vault.write(|write| {
        write.put_entry(no, &entry(b"one", 0))?;
        write.set_position(no, &position(1))?;
        Err(VaultError::Busy)
    });
    assert!(matches!(failed, Err(VaultError::Busy)));
    let (entry, position) = vault
        .read(|read| Ok::<_, VaultError>((read.entry(no, LeafIndex(0))?, read.position(no)?)))
        .expect("readable");
    assert_eq!((entry, position), (None, None));
}

#[test]
fn two_writers_take_turns_and_two_syncs_do_not_run() {
    let (_dir, mut first, no) = vault();
    let home = first.home().clone();
    let (mut second, _) = Vault::open(home.clone(), &fixture::passphrase()).expect("opens twice");
    second.connection.busy_timeout(std::time::Duration::ZERO).expect("a setting");
    first
        .write(|_| {
            let meanwhile = second.write(|write| write.save_draft(&new_draft(no, "2")));
            assert!(matches!(meanwhile, Err(VaultError::Busy)), "{meanwhile:?}");
            Ok::<_, VaultError>(())
        })
        .expect("the first has its turn");
    save(&mut second, no, "2");
    assert_eq!(first.read(Read::drafts).expect("readable").len(), 1);
    let lock = SyncLock::take(&home).expect("nobody syncs");
    assert!(matches!(SyncLock::take(&home), Err(VaultError::SyncRunning)));
    drop(lock);
    SyncLock::take(&home).expect("the first is over");
}

#[test]
fn the_database_syncs_every_commit_and_keeps_temporary_data_in_memory() {
    let (_dir, vault, _) = vault();
    let text = |pragma: &str| -> String {
        vault.connection.pragma_query_value(None, pragma, |row| row.get(0)).expect("a pragma")
    };
    let number = |pragma: &str| -> i64 {
        vault.connection.pragma_query_value(None, pragma, |row| row.get(0)).expect("a pragma")
    };
    assert_eq!(text("journal_mode"), "truncate");
    assert_eq!(number("synchronous"), 2, "FULL");
    assert_eq!(number("temp_store"), 2, "MEMORY");
    assert_eq!(number("foreign_keys"), 1);
    assert_eq!(number("secure_delete"), 1);
    assert_eq!(text("cipher_memory_security"), "1");
    vault
        .connection
        .execute_batch("CREATE VIRTUAL TABLE temp.words USING fts5(word)")
        .expect("full text search is built in");
}

fn position(size: u64) -> Position {
    Position { size: TreeSize(size), note: b"note".to_vec(), fold: b"fold".to_vec() }
}

#[test]
fn a_position_never_goes_back() {
    let (_dir, mut vault, no) = vault();
    vault.write(|write| write.set_position(no, &position(5))).expect("forward");
    vault.write(|write| write.set_position(no, &position(5))).expect("the same again");
    let back = vault.write(|write| write.set_position(no, &position(4)));
    assert!(matches!(back, Err(VaultError::Backwards { held: 5, shown: 4 })));
    assert_eq!(vault.read(|read| read.position(no)).expect("readable"), Some(position(5)));
}

#[test]
fn entries_and_nodes_come_back_as_they_were_and_are_never_overwritten() {
    let (_dir, mut vault, no) = vault();
    let nodes: Vec<Hash> = (0..3).map(|seed| Hash([seed; 32])).collect();
    vault
        .write(|write| {
            write.put_entry(no, &entry(b"zero", 0))?;
            write.put_entry(no, &entry(b"one", 1))?;
            write.put_nodes(no, 0, &nodes)
        })
        .expect("stored");
    let overwritten = vault.write(|write| write.put_entry(no, &entry(b"other", 1)));
    assert!(matches!(overwritten, Err(VaultError::Sql(_))));
    vault
        .read(|read| {
            assert_eq!(read.entry(no, LeafIndex(1))?.as_deref(), Some(b"one".as_slice()));
            assert_eq!(read.entry(no, LeafIndex(2))?, None);
            assert_eq!((read.node(no, 2)?, read.node(no, 3)?), (Some(nodes[2]), None));
            Ok::<_, VaultError>(())
        })
        .expect("readable");
}

#[test]
fn a_signed_draft_keeps_its_bytes_until_it_is_delivered_or_unsigned() {
    let (_dir, mut vault, no) = vault();
    let draft = save(&mut vault, no, "1");
    let later = save(&mut vault, no, "2");
    let signed = Signed { leaf_hash: Hash::of(b"entry"), author_seq: AuthorSeq(4) };
    let bytes = |vault: &Vault| vault.read(|read| read.signed_entry(draft)).expect("readable");
    assert_eq!(bytes(&vault), None);
    vault.write(|write| write.sign_draft(draft, b"entry", &signed)).expect("signed");
    let again = vault.write(|write| write.sign_draft(draft, b"other", &signed));
    assert!(again.is_err(), "signed once");
    assert_eq!(bytes(&vault), Some(b"entry".to_vec()));
    let next = |vault: &Vault| vault.read(|read| read.unsent(no)).expect("readable").remove(0);
    let first = next(&vault);
    assert_eq!((first.no, first.sending, first.signed), (draft, Sending::Sending, Some(signed)));
    let refusal = Refusal { why: "StaleEpoch".to_owned(), at: UnixMillis(9) };
    vault.write(|write| write.unsign_draft(draft, &refusal)).expect("unsigned");
    let first = next(&vault);
    assert_eq!(
        (first.sending, first.signed, first.refusal),
        (Sending::Saved, None, Some(refusal.clone()))
    );
    assert_eq!(bytes(&vault), None);
    vault.write(|write| write.refuse_draft(draft, &refusal)).expect("refused");
    assert_eq!(next(&vault).no, later);
    vault.write(|write| write.remove_draft(later)).expect("delivered");
    assert!(vault.write(|write| write.remove_draft(later)).is_err(), "delivered once");
}

#[test]
fn committees_records_and_secrets_come_back_as_they_were() {
    let (_dir, mut vault, no) = vault();
    let record = |index, content| Record {
        committee: no,
        index: LeafIndex(index),
        id: "01J".to_owned(),
        reference: "N-00000000".to_owned(),
        kind: "note".to_owned(),
        author: DeviceId(Hash::of(b"author")),
        epoch: Epoch(1),
        made: UnixMillis(u64::MAX),
        content,
    };
    let secret = SecretString::from("AGE-SECRET-KEY-PQ-1");
    vault
        .write(|write| {
            write.put_record(&record(3, Content::Unopened("no key".to_owned())))?;
            write.put_record(&record(3, Content::Opened("{}".to_owned())))?;
            write.put_record(&record(4, Content::Opened("{}".to_owned())))?;
            write.put_epoch_secret(no, Epoch(1), &secret)?;
            write.put_epoch_secret(no, Epoch(1), &SecretString::from("another"))?;
            write.set_label(no, b"label")?;
            write.set_answered(no, true, UnixMillis(5))?;
            write.set_standing(no, Standing::Ended)
        })
        .expect("stored");
    vault
        .read(|read| {
            let records = read.records(no)?;
            assert_eq!(records.len(), 2);
            assert_eq!(records[0].content, Content::Opened("{}".to_owned()));
            assert_eq!(records[0].made, UnixMillis(i64::MAX as u64), "a claimed time saturates");
            let author = DeviceId(Hash::of(b"author"));
            assert_eq!(read.record_count(no, author, TreeSize(9))?, (2, 2));
            assert_eq!(read.record_count(no, author, TreeSize(4))?, (2, 1), "of two, one below");
            assert_eq!(read.record_count(no, DeviceId(Hash::ZERO), TreeSize(9))?, (0, 0));
            assert_eq!(read.records_by_id("01J")?.len(), 2);
            assert_eq!(read.records_by_ref("N-00000000")?.len(), 2);
            let held = read.epoch_secret(no, Epoch(1))?.expect("held");
            assert_eq!(held.expose_secret(), secret.expose_secret());
            assert_eq!(read.epochs_held(no)?, [Epoch(1)]);
            let committee = read.committee(&fixture::committee_id(7))?.expect("known");
            assert_eq!(committee.standing, Standing::Ended);
            assert_eq!(
                (committee.label, committee.answered),
                (Some(b"label".to_vec()), Some(true))
            );
            Ok::<_, VaultError>(())
        })
        .expect("readable");
}

#[test]
fn invitations_requests_and_marks_come_back_as_they_were() {
    let (_dir, mut vault, no) = vault();
    let invitation = Invitation {
        id: InvitationId(Hash::of(b"invitation")),
        committee: no,
        text: "sealpost1".to_owned(),
        role: "member".to_owned(),
        uses: 1,
        expires: UnixMillis(9),
        made: UnixMillis(8),
        state: InvitationState::Making,
    };
    let elsewhere = Invitation {
        id: InvitationId(Hash::of(b"elsewhere")),
        committee: fixture::add_committee(&mut vault, 8),
        ..invitation.clone()
    };
    let request = JoinRequest {
        device: DeviceId(Hash::of(b"isla")),
        invitation: invitation.id,
        request: b"request".to_vec(),
        handle: "isla".to_owned(),
        safety_number: "73018449170258631190".to_owned(),
        asking: Asking::Asking,
        seen: UnixMillis(10),
    };
    let mark = |size| Cosigned {
        signer: "d/isla".to_owned(),
        size: TreeSize(size),
        root: Hash([7; 32]),
        at: UnixMillis(3_600_000),
        line: "line".to_owned(),
    };
    vault
        .write(|write| {
            write.put_invitation(&invitation)?;
            write.put_invitation(&Invitation {
                state: InvitationState::Open,
                ..invitation.clone()
            })?;
            write.put_join_request(&request)?;
            write.put_invitation(&elsewhere)?;
            write.put_join_request(&JoinRequest { invitation: elsewhere.id, ..request.clone() })?;
            write.set_asking(no, &request.device, Asking::Admitted)?;
            write.put_join_request(&request)?;
            write.put_cosignature(no, &mark(5))?;
            write.put_cosignature(no, &mark(4))?;
            write.keep_evidence(no, Exhibit::Note, b"note", UnixMillis(1))?;
            write.keep_evidence(no, Exhibit::Note, b"note", UnixMillis(2))
        })
        .expect("stored");
    vault
        .read(|read| {
            let states = read.invitations()?.into_iter().map(|kept| (kept.id, kept.state));
            assert!(states.into_iter().any(|kept| kept == (invitation.id, InvitationState::Open)));
            let of = |no| {
                read.join_requests().map(|all| {
                    let invitation =
                        if no == elsewhere.committee { elsewhere.id } else { invitation.id };
                    let found = all.into_iter().find(|request| request.invitation == invitation);
                    found.expect("kept").asking
                })
            };
            assert_eq!(of(no)?, Asking::Admitted);
            assert_eq!(of(elsewhere.committee)?, Asking::Asking, "asks there still");
            assert_eq!(read.cosignatures(no)?, [mark(5)], "an older mark replaces none");
            assert_eq!(read.evidence_count(no)?, 1);
            Ok::<_, VaultError>(())
        })
        .expect("readable");
}

#[test]
fn a_vault_of_the_version_before_is_brought_up() {
    let (_dir, home) = fixture::home();
    let (vault, _) = fixture::create(&home).expect("made");
    let old = "DROP INDEX entry_by_kind; DROP INDEX record_unopened; DROP INDEX record_by_id;
        CREATE INDEX record_by_id ON record (committee, id); DROP TABLE broken_link; DROP TABLE drill;
        DROP INDEX record_by_author; DROP TABLE heard; DROP TABLE receipt; DROP TABLE stop;
        PRAGMA user_version = 1;";
    vault.connection.execute_batch(old).expect("as it was");
    drop(vault);
    for _ in 0..2 {
        let (vault, _) = Vault::open(home.clone(), &fixture::passphrase()).expect("opened");
        let version: u32 = vault
            .connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .expect("a pragma");
        assert_eq!(version, SCHEMA);
        let no = CommitteeNo(1);
        assert_eq!(vault.read(|vault| vault.broken_links(no)).expect("a table"), []);
        let spare = DeviceId(Hash([1; 32]));
        assert_eq!(vault.read(|vault| vault.drills(no, spare)).expect("a table"), []);
        assert_eq!(vault.read(|vault| vault.receipts(no)).expect("a table"), []);
        assert_eq!(vault.read(|vault| vault.stop(no)).expect("a table"), None);
        let plan = |query: &str| -> String {
            let query = format!("EXPLAIN QUERY PLAN {query}");
            vault.connection.query_row(&query, [], |row| row.get(3)).expect("a plan")
        };
        let last = plan(
            "SELECT leaf_index FROM entry WHERE committee = 1 AND kind = 1 AND leaf_index < 9
             ORDER BY leaf_index DESC LIMIT 1",
        );
        assert!(last.contains("entry_by_kind"), "{last}");
        let by_id = plan("SELECT json FROM record WHERE id = 'x' ORDER BY committee, leaf_index");
        assert!(by_id.contains("record_by_id"), "{by_id}");
        let unopened = plan(
            "SELECT json FROM record WHERE committee = 1 AND epoch = 1 AND unopened IS NOT NULL
             ORDER BY leaf_index",
        );
        assert!(unopened.contains("record_unopened"), "{unopened}");
        let counted = plan(
            "SELECT count(*), count(*) FILTER (WHERE leaf_index < 9) FROM record
             WHERE committee = 1 AND author = x'00' AND unopened IS NULL",
        );
        assert!(counted.contains("COVERING INDEX record_by_author"), "{counted}");
        assert_eq!(vault.read(|vault| vault.heard(no)).expect("a table"), None);
    }
}

fn opens(home: &Home, passphrase: &str) -> bool {
    match Vault::open(home.clone(), &passphrase.to_owned().into()) {
        Ok(_) => true,
        Err(VaultError::WrongPassphrase) => false,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_changed_passphrase_opens_the_same_vault_and_the_old_one_nothing() {
    let (_dir, home) = fixture::home();
    let (mut vault, secrets) = fixture::create(&home).expect("made");
    let no = fixture::add_committee(&mut vault, 7);
    // A change that was killed before its end left this.
    fs::write(home.unfinished_identity(), b"age-encryption.org/v1\nhalf").expect("ours");
    let alone = SyncLock::take(&home).expect("alone");
    let new = "winter light".to_owned().into();
    vault.change_passphrase(&alone, &secrets, &new, 2).expect("changed");
    drop((vault, alone));
    assert!(!opens(&home, "reed heron") && opens(&home, "winter light"));
    let (vault, again) = Vault::open(home.clone(), &new).expect("opens");
    assert_eq!(again.device.device_id(), secrets.device.device_id());
    assert_eq!(again.vault_key, secrets.vault_key);
    assert_eq!(vault.read(Read::committees).expect("reads")[0].no, no);
    assert_eq!(Vault::guess(&home).expect("guessed"), 2);
    let mut names: Vec<_> = fs::read_dir(home.path())
        .expect("listed")
        .map(|entry| entry.expect("listed").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    assert_eq!(names, ["identity.age", "lock", "vault.db", "vault.db-journal"]);
}

#[test]
fn a_change_that_cannot_be_finished_leaves_the_old_passphrase() {
    let (_dir, home) = fixture::home();
    let (vault, secrets) = fixture::create(&home).expect("made");
    let alone = SyncLock::take(&home).expect("alone");
    // Nothing can be put where a folder with something in it stands.
    fs::create_dir(home.unfinished_identity()).expect("ours");
    fs::write(home.unfinished_identity().join("file"), b"").expect("ours");
    let new = "winter light".to_owned().into();
    let error = vault.change_passphrase(&alone, &secrets, &new, 1).expect_err("in the way");
    assert!(matches!(error, VaultError::NotWritable { .. }), "{error}");
    assert!(opens(&home, "reed heron") && !opens(&home, "winter light"));
}
