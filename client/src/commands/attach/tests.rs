use serde_json::json;

use super::*;

fn made(removed: Option<&[&'static str]>) -> Made {
    let working = removed.map(|removed| Working {
        reference: "AT-2".to_owned(),
        id: "B".to_owned(),
        size: 900,
        sha256: "77".to_owned(),
        removed: removed.to_vec(),
    });
    Made {
        reference: "AT-1".to_owned(),
        id: "A".to_owned(),
        to: "N-1".to_owned(),
        state: "saved",
        media: "image/jpeg",
        size: 1_000,
        sha256: "3f".to_owned(),
        working,
    }
}

#[test]
fn a_working_copy_is_told_with_what_was_removed() {
    let words = made(Some(&["exif", "xmp"])).words();
    assert_eq!(
        words,
        "AT-1  saved  image/jpeg  1000 B\n\
         The file is unchanged, and the original keeps everything. sha256 3f\n\
         AT-2  saved  image/jpeg  900 B  working copy\n\
         In it removed: exif, xmp. sha256 77"
    );
    assert!(made(Some(&[])).words().contains("nothing was there to remove"));
    assert!(!made(None).words().contains("working"));
}

#[test]
fn for_scripts_there_is_a_working_copy_or_null() {
    let json = |made: Made| serde_json::to_value(made).unwrap()["working"].clone();
    assert_eq!(json(made(None)), json!(null));
    let working = json!({
        "ref": "AT-2", "id": "B", "size": 900, "sha256": "77", "removed": ["exif"],
    });
    assert_eq!(json(made(Some(&["exif"]))), working);
}
