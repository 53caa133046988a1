use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};

use super::*;
use crate::vault::fixture::{add_committee, create, home};
use crate::vault::steps;

const PIECE: usize = 256 * 1024;

fn bytes(seed: u8, len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).map(|byte: u8| byte ^ seed).collect()
}

/// Puts a blob into the vault as one that was sealed here.
fn put(vault: &mut Vault, no: CommitteeNo, content: &[u8]) -> Blob {
    let blob = Blob { sha256: Hash::of(content), size: content.len() as u64 };
    let lock = vault.hold_sealing().unwrap();
    let (sealing, mut writer) = vault.begin_sealing(&lock, no, blob.size).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap();
    vault.write(|vault| vault.blob_sealed(sealing, &blob)).unwrap();
    blob
}

fn held(vault: &Vault, no: CommitteeNo, blob: &Blob) -> Option<HeldBlob> {
    vault.read(|vault| vault.held_blob(no, &blob.sha256)).unwrap()
}

fn read(vault: &Vault, held: &HeldBlob) -> Vec<u8> {
    let mut content = Vec::new();
    vault.read_blob(held).unwrap().read_to_end(&mut content).unwrap();
    content
}

#[test]
fn what_was_sealed_reads_back_and_a_part_from_any_place() {
    let (_dir, home) = home();
    let (mut vault, _) = create(&home).unwrap();
    let no = add_committee(&mut vault, 1);
    for len in [1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 77] {
        let content = bytes(7, len);
        let blob = put(&mut vault, no, &content);
        let held = held(&vault, no, &blob).unwrap();
        assert_eq!((held.state, held.held, held.size), (Held::Whole, blob.size, blob.size));
        assert_eq!(read(&vault, &held), content);
        for from in [0, 1, len / 2, len] {
            let mut reader = vault.read_blob(&held).unwrap();
            reader.skip_to(from as u64);
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).unwrap();
            assert_eq!(rest, content[from..]);
        }
    }
}

#[test]
fn pieces_that_were_left_serve_the_next_and_nobody_elses_are_touched() {
    let (_dir, home) = home();
    let (mut vault, _) = create(&home).unwrap();
    let no = add_committee(&mut vault, 1);
    let stays = put(&mut vault, no, &bytes(1, 3 * PIECE));
    let goes = put(&mut vault, no, &bytes(2, 20 * PIECE));
    let stays_too = put(&mut vault, no, &bytes(3, 2 * PIECE));
    let len = fs::metadata(home.attachments()).unwrap().len();
    let gone = held(&vault, no, &goes).unwrap();
    vault.discard_blob(gone.no).unwrap();
    assert_eq!(held(&vault, no, &goes), None);
    let next = put(&mut vault, no, &bytes(4, 20 * PIECE));
    assert_eq!(fs::metadata(home.attachments()).unwrap().len(), len);
    for (blob, seed) in [(stays, 1), (stays_too, 3), (next, 4)] {
        let held = held(&vault, no, &blob).unwrap();
        let content = bytes(seed, usize::try_from(blob.size).unwrap());
        assert_eq!(read(&vault, &held), content);
    }
}

/// A piece of the file that is all zeros, or the same as another, would tell what is in use.
fn must_look_alike(file: &[u8]) {
    let mut seen = BTreeSet::new();
    for sector in file.chunks(4_096) {
        assert!(seen.insert(sector), "two sectors are the same");
    }
}

#[test]
fn the_file_grows_in_steps_and_free_pieces_look_like_taken_ones() {
    let (_dir, home) = home();
    let (mut vault, _) = create(&home).unwrap();
    let no = add_committee(&mut vault, 1);
    let sealed = |seed: u8, len: usize| {
        // Ciphertext looks random.
        let mut content = vec![0; len];
        crate::random::filler(&mut content).unwrap();
        content[0] = seed;
        content
    };
    let mut used = 0;
    for (seed, len) in [(1, 1_000), (2, 3 * PIECE + 1), (3, 40 * PIECE)] {
        put(&mut vault, no, &sealed(seed, len));
        used += container::pieces(len as u64) * PIECE_BYTES;
        let file = fs::read(home.attachments()).unwrap();
        assert_eq!(file.len() as u64, steps::step(used));
        must_look_alike(&file);
    }
    // What a command that was killed had reserved and never written.
    let lock = vault.hold_sealing().unwrap();
    vault.begin_sealing(&lock, no, 30 * PIECE_BYTES).unwrap();
    drop(lock);
    vault.drop_unfinished().unwrap();
    must_look_alike(&fs::read(home.attachments()).unwrap());
}

#[test]
fn what_a_killed_command_was_sealing_is_let_go_and_what_a_living_one_seals_is_not() {
    let (_dir, home) = home();
    let (mut vault, secrets) = create(&home).unwrap();
    let no = add_committee(&mut vault, 1);
    let mut other = Vault::open_with(home.clone(), &secrets).unwrap();
    let lock = other.hold_sealing().unwrap();
    let (sealing, mut writer) = other.begin_sealing(&lock, no, 10 * PIECE_BYTES).unwrap();
    let content = bytes(9, 10 * PIECE);
    writer.write_all(&content[..PIECE]).unwrap();
    put(&mut vault, no, &bytes(1, PIECE));
    writer.write_all(&content[PIECE..]).unwrap();
    writer.finish().unwrap();
    let blob = Blob { sha256: Hash::of(&content), size: content.len() as u64 };
    other.write(|vault| vault.blob_sealed(sealing, &blob)).unwrap();
    assert_eq!(read(&vault, &held(&vault, no, &blob).unwrap()), content);

    let (sealing, _) = other.begin_sealing(&lock, no, 10 * PIECE_BYTES).unwrap();
    drop(lock);
    put(&mut vault, no, &bytes(2, PIECE));
    let lost = Blob { sha256: Hash::of(b"lost"), size: 4 };
    let late = other.write(|vault| vault.blob_sealed(sealing, &lost));
    assert!(matches!(late, Err(VaultError::Damaged(_))), "{late:?}");
}

#[test]
fn fetching_goes_on_with_the_whole_pieces_that_are_on_disk() {
    let (_dir, home) = home();
    let (mut vault, _) = create(&home).unwrap();
    let no = add_committee(&mut vault, 1);
    let content = bytes(5, 3 * PIECE + 10);
    let blob = Blob { sha256: Hash::of(&content), size: content.len() as u64 };
    let (fetching, mut writer) = vault.begin_fetching(no, &blob).unwrap();
    vault.reserve_more(&fetching, &mut writer).unwrap();
    assert_eq!((fetching.state, fetching.held), (Held::Fetching, 0));
    writer.write_all(&content[..2 * PIECE + 5]).unwrap();
    let on_disk = writer.sync().unwrap();
    assert_eq!(on_disk, 2 * PIECE_BYTES);
    vault.write(|vault| vault.blob_held(fetching.no, on_disk)).unwrap();
    drop(writer);
    let (again, mut writer) = vault.begin_fetching(no, &blob).unwrap();
    assert_eq!(writer.room(), 2 * PIECE_BYTES);
    assert_eq!((again.no, again.held), (fetching.no, on_disk));
    assert_eq!(read(&vault, &again), content[..2 * PIECE]);
    writer.write_all(&content[2 * PIECE..]).unwrap();
    writer.finish().unwrap();
    vault.write(|vault| vault.blob_fetched(again.no)).unwrap();
    assert_eq!(read(&vault, &held(&vault, no, &blob).unwrap()), content);
}

#[test]
fn more_than_was_reserved_is_never_written() {
    let (_dir, home) = home();
    let (mut vault, _) = create(&home).unwrap();
    let no = add_committee(&mut vault, 1);
    let lock = vault.hold_sealing().unwrap();
    let (_, mut writer) = vault.begin_sealing(&lock, no, PIECE_BYTES).unwrap();
    writer.write_all(&bytes(1, PIECE)).unwrap();
    let refused = writer.write_all(&bytes(2, PIECE)).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::WriteZero);
}

#[test]
fn attachments_are_found_by_their_record_and_lack_what_is_not_whole() {
    let (_dir, home) = home();
    let (mut vault, _) = create(&home).unwrap();
    let no = add_committee(&mut vault, 1);
    let here = put(&mut vault, no, &bytes(1, 900));
    let attachment = |id: &str, blob: Blob| Attachment {
        committee: no,
        id: id.to_owned(),
        to: "RECORD".to_owned(),
        blob,
        fault: None,
    };
    let large = Blob { sha256: Hash::of(b"large"), size: 10_000 };
    let small = Blob { sha256: Hash::of(b"small"), size: 10 };
    let all = [attachment("A", here), attachment("B", large), attachment("C", small)];
    vault
        .write(|vault| {
            // A record is met twice: when it is written, and when the log has it.
            all.iter().chain(&all).try_for_each(|one| vault.put_attachment(one))
        })
        .unwrap();
    let (found, lacking) = vault
        .read(|vault| {
            Ok::<_, VaultError>((
                vault.attachments_to(no, "RECORD")?,
                vault.attachments_lacking(no)?,
            ))
        })
        .unwrap();
    assert_eq!(found, all);
    assert_eq!(lacking, [all[2].clone(), all[1].clone()]);
    vault.write(|vault| vault.note_blob_fault(no, &small, Some("it lied"))).unwrap();
    let noted = vault.read(|vault| vault.attachment(no, "C")).unwrap().unwrap();
    assert_eq!(noted.fault.as_deref(), Some("it lied"));
    vault.write(|vault| vault.note_blob_fault(no, &small, None)).unwrap();
    assert_eq!(vault.read(|vault| vault.attachment(no, "C")).unwrap().unwrap().fault, None);
}
