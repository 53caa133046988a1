use super::*;

#[test]
fn every_kind_has_a_name_of_its_own_and_an_exit_code_that_means_failure() {
    for kind in Kind::ALL {
        let same = Kind::ALL.iter().filter(|other| other.name() == kind.name()).count();
        assert_eq!(same, 1, "{}", kind.name());
        assert!(matches!(kind.exit(), 1 | 2 | 6 | 7 | 12), "{}", kind.name());
    }
}

#[test]
fn what_to_type_next_names_the_folder_as_a_shell_takes_it() {
    for (folder, typed) in [
        ("/var/lib/sealpost", "sealpost-relay --data /var/lib/sealpost check"),
        ("/srv/a b", "sealpost-relay --data '/srv/a b' check"),
        ("it's", r"sealpost-relay --data 'it'\''s' check"),
        ("$HOME", "sealpost-relay --data '$HOME' check"),
    ] {
        let damaged = StoreError::StoreDamaged { segment: 3, offset: 44 };
        let failure = Failure::from(damaged).about(Path::new(folder));
        assert_eq!(failure.next, typed);
    }
}

#[test]
fn a_full_or_unwritable_disk_is_told_from_a_broken_one() {
    let io = |kind: io::ErrorKind| StoreError::StoreIo {
        doing: "opening the index",
        error: std::sync::Arc::new(kind.into()),
    };
    for (kind, told) in [
        (io::ErrorKind::StorageFull, Kind::DiskFull),
        (io::ErrorKind::QuotaExceeded, Kind::DiskFull),
        (io::ErrorKind::PermissionDenied, Kind::NotWritable),
        (io::ErrorKind::ReadOnlyFilesystem, Kind::NotWritable),
        (io::ErrorKind::Other, Kind::Failed),
    ] {
        assert_eq!(Failure::from(io(kind)).kind, told, "{kind:?}");
    }
}

#[test]
fn the_committee_is_named_on_the_terminal_and_in_no_error_that_is_logged() {
    use sealpost_protocol::id::{CommitteeId, LeafIndex, TreeSize};
    let committee = CommitteeId(sealpost_protocol::hash::Hash([0xab; 32]));
    let rolled_back =
        StoreError::StoreRolledBack { committee, signed: TreeSize(2), held: TreeSize(1) };
    let why = "the author's chain".to_owned();
    let inadmissible = FoldError::StoreInadmissible { committee, index: LeafIndex(7), why };
    let forked = FoldError::StoreForked { committee, size: TreeSize(7) };
    for (logged, failure) in [
        (rolled_back.to_string(), Failure::from(rolled_back.clone())),
        (FoldError::from(rolled_back.clone()).to_string(), Failure::from(rolled_back)),
        (inadmissible.to_string(), Failure::from(inadmissible)),
        (forked.to_string(), Failure::from(forked)),
    ] {
        assert!(!logged.contains("abab"), "{logged}");
        assert!(failure.what.contains(&committee.to_string()), "{}", failure.what);
        assert_eq!(failure.kind.exit(), 7);
    }
}
