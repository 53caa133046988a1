use super::*;
use crate::vault::VaultError;
use crate::vault::fixture;

fn kind_of(typed: Option<&str>, committees: &[u8]) -> Result<CommitteeId, Kind> {
    let (_dir, home) = fixture::home();
    let (mut vault, _) = fixture::create(&home).expect("a vault");
    for seed in committees {
        fixture::add_committee(&mut vault, *seed);
    }
    let found = vault.read(|read| committee(read, typed));
    found.map(|known| known.id).map_err(|failure| failure.kind)
}

#[test]
fn a_committee_is_named_by_ref_by_full_id_or_by_being_the_only_one() {
    let id = fixture::committee_id(1);
    let reference = committee_ref(&id).to_string();
    assert_eq!(kind_of(Some(&reference), &[1, 2]), Ok(id));
    assert_eq!(kind_of(Some(&reference.to_lowercase()), &[1, 2]), Ok(id));
    assert_eq!(kind_of(Some(&id.to_string()), &[1, 2]), Ok(id));
    assert_eq!(kind_of(None, &[1]), Ok(id));
}

#[test]
fn what_is_mistyped_missing_or_unclear_has_its_own_exit_code() {
    let reference = committee_ref(&fixture::committee_id(1)).to_string();
    let mut mistyped = reference.clone();
    let last = mistyped.pop().expect("a check symbol");
    mistyped.push(if last == '7' { '8' } else { '7' });
    assert_eq!(kind_of(Some(&mistyped), &[1]), Err(Kind::Usage));
    assert_eq!(kind_of(Some("common"), &[1]), Err(Kind::Usage));
    let device = Ref::new("DV", b"device").to_string();
    assert_eq!(kind_of(Some(&device), &[1]), Err(Kind::Usage));
    assert_eq!(kind_of(Some(&reference), &[2]), Err(Kind::NotFound));
    assert_eq!(kind_of(None, &[]), Err(Kind::NotFound));
    assert_eq!(kind_of(None, &[1, 2]), Err(Kind::Ambiguous));
}

#[test]
fn an_ambiguous_ref_is_told_with_the_full_ids() {
    let wanted = Wanted::parse_any(&Ref::new("N", b"same").to_string()).expect("a REF");
    let two = ["first-id", "second-id"];
    let found = wanted.one_of(two, |id| (*id).to_owned(), |_| Ref::new("N", b"same"));
    let failure = found.expect_err("two fit");
    assert_eq!(failure.kind, Kind::Ambiguous);
    assert!(failure.what.contains("first-id, second-id"), "{}", failure.what);
}

#[test]
fn handles_are_normalised_and_hide_nothing() {
    assert_eq!(handle(" s\u{327}irin ").expect("sound"), "şirin");
    let piled = format!("a{}", "\u{301}".repeat(9));
    let long = "x".repeat(65);
    for unsound in [
        "",
        "  ",
        "ba\u{202e}ran",
        "ba\u{200b}ran",
        "a\nb",
        "a\u{a0}b",
        "a\u{3164}b",
        "a\u{fe0f}",
        "\u{301}a",
        &piled,
        &long,
    ] {
        assert_eq!(handle(unsound).expect_err("refused").kind, Kind::Usage, "{unsound:?}");
    }
}

#[test]
fn a_vaults_own_trouble_is_no_missing_committee() {
    let failure = Failure::from(VaultError::Busy);
    assert_eq!(failure.kind, Kind::Busy);
}

#[test]
fn handles_that_read_the_same_are_the_same() {
    assert!(is_same_handle("s\u{327}irin", " \u{15f}irin"));
    assert!(is_same_handle("Örn", "örn"));
    assert!(!is_same_handle("baran", "barân"));
}

#[test]
fn full_ids_are_taken_in_any_case_and_nothing_else_is_repeated() {
    let full = |typed: &str| Wanted::parse_any(typed).map(|wanted| wanted.to_string());
    let (ulid, hash) = ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "ab".repeat(32));
    assert_eq!(full(&ulid.to_lowercase()).expect("a ULID"), ulid);
    assert_eq!(full(&hash.to_uppercase()).expect("a hash"), hash);
    for other in ["sealpost1qqqsyqcyq5rqwzqfpg9scrgwpugpzysn", &"xy".repeat(32), "short"] {
        let failure = full(other).expect_err("no id");
        assert_eq!(failure.kind, Kind::Usage);
        assert!(!failure.story().contains(other), "{}", failure.story());
    }
}

#[test]
fn who_cannot_be_typed_is_typed_by_ref() {
    let devices = [DeviceId(Hash::of(b"a device"))];
    let reference = device_ref(&devices[0]).to_string();
    assert_eq!(typable("baran", &devices), "baran");
    for called in ["", " baran", "ba\u{200b}ran", "ba\u{1b}[2Jran"] {
        assert_eq!(typable(called, &devices), reference, "{called:?}");
    }
}
