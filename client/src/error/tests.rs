use super::*;

#[test]
fn the_exit_codes_are_the_designs_and_names_are_unique() {
    let exit = |kind: Kind| kind.exit();
    assert_eq!(exit(Kind::Failed), 1);
    assert_eq!(exit(Kind::Usage), 2);
    assert_eq!(exit(Kind::NotDelivered), 3);
    assert_eq!(exit(Kind::Locked), 4);
    assert_eq!(exit(Kind::NotAllowed), 5);
    assert_eq!((exit(Kind::NotFound), exit(Kind::Ambiguous)), (6, 6));
    assert_eq!(exit(Kind::Verification), 7);
    assert_eq!(exit(Kind::SecondPerson), 8);
    assert_eq!(exit(Kind::Consent), 9);
    assert_eq!(exit(Kind::NoVault), 10);
    assert_eq!(exit(Kind::Unreachable), 11);
    assert_eq!(exit(Kind::TooOld), 12);
    let mut names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Kind::ALL.len());
}

#[test]
fn the_json_object_has_exactly_the_documented_keys() {
    let failure = Failure::new(Kind::DiskFull, "The disk is full")
        .because(io::Error::other("no space"))
        .next("Free some space.");
    let json = serde_json::to_value(failure.to_json()).expect("plain strings");
    assert_eq!(
        json,
        serde_json::json!({
            "error": "disk-full", "exit": 1, "what": "The disk is full: no space",
            "safe": "Nothing was changed.", "next": "Free some space.",
        })
    );
}

#[test]
fn a_vault_that_went_backwards_is_a_lie_and_not_the_networks_fault() {
    let failure = Failure::from(VaultError::Backwards { held: 9, shown: 4 });
    assert_eq!(failure.kind.exit(), 7);
}
