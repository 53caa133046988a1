use std::collections::BTreeSet;

use super::*;

const TEXT: &str = "cedar over the harbour";

#[test]
fn a_marker_is_found_in_every_form_and_at_every_place() {
    let marker = Marker::of(TEXT);
    let wrapped = |before: usize| format!("{}{TEXT} and more", "x".repeat(before));
    for before in 0..15 {
        let wrapped = wrapped(before);
        let bytes = wrapped.as_bytes();
        assert_eq!(marker.in_bytes(bytes), Some("plain"));
        assert_eq!(marker.in_bytes(HEXLOWER.encode(bytes).as_bytes()), Some("hex"));
        assert_eq!(marker.in_bytes(HEXUPPER.encode(bytes).as_bytes()), Some("hex"));
        assert_eq!(marker.in_bytes(BASE64_NOPAD.encode(bytes).as_bytes()), Some("base64"));
        assert_eq!(marker.in_bytes(BASE32_NOPAD.encode(bytes).as_bytes()), Some("base32"));
        let lower = BASE32_NOPAD.encode(bytes).to_lowercase();
        assert_eq!(marker.in_bytes(lower.as_bytes()), Some("base32"));
        let utf16: Vec<u8> = wrapped.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(marker.in_bytes(&utf16).is_some_and(|form| form.starts_with("UTF-16")));
    }
    let without = wrapped(3).replace("cedar", "birch");
    assert_eq!(marker.in_bytes(without.as_bytes()), None);
}

#[test]
fn file_names_and_folders_are_searched_too() {
    let marker = Marker::random();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("deep")).unwrap();
    fs::write(folder.path().join("deep/plain"), "nothing").unwrap();
    assert_eq!(marker.in_folder(folder.path()), []);
    let named = format!("deep/{}.json", marker.text());
    fs::write(folder.path().join(&named), "nothing").unwrap();
    fs::write(folder.path().join("deep/plain"), format!("so: {}", marker.text())).unwrap();
    let found = marker.in_folder(folder.path());
    let places: BTreeSet<_> = found.iter().map(|found| found.place.as_str()).collect();
    assert_eq!(places, BTreeSet::from(["deep/plain", named.as_str()]));
}
