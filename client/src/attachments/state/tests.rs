use sealpost_protocol::entry::Blob;
use sealpost_protocol::hash::Hash;

use super::*;
use crate::vault::Vault;
use crate::vault::fixture::{add_committee, create, home};

fn attachment(no: CommitteeNo, fault: Option<&str>) -> Attachment {
    Attachment {
        committee: no,
        id: "A".to_owned(),
        to: "R".to_owned(),
        blob: Blob { sha256: Hash::of(b"blob"), size: 1_000_000 },
        fault: fault.map(str::to_owned),
    }
}

fn held(vault: &Vault, no: CommitteeNo) -> Option<HeldBlob> {
    vault.read(|vault| vault.held_blob(no, &Hash::of(b"blob"))).unwrap()
}

#[test]
fn what_is_in_the_log_is_here_in_part_missing_or_not_here() {
    let (_dir, home) = home();
    let (mut vault, _) = create(&home).unwrap();
    let no = add_committee(&mut vault, 1);
    let sound = attachment(no, None);
    let faulty = attachment(no, Some("it lied"));
    assert_eq!(State::in_log(&sound, None), State::AtRelay);
    assert_eq!(State::in_log(&faulty, None), State::Faulty("it lied".to_owned()));
    let (fetching, _) = vault.begin_fetching(no, &sound.blob).unwrap();
    assert_eq!(State::in_log(&sound, held(&vault, no).as_ref()), State::AtRelay);
    vault.write(|vault| vault.blob_held(fetching.no, 340_000)).unwrap();
    let in_part = State::in_log(&sound, held(&vault, no).as_ref());
    assert_eq!(in_part, State::InPart { held: 340_000, of: 1_000_000 });
    assert_eq!(in_part.words(), "here in part, 34 %");
    vault.write(|vault| vault.blob_fetched(fetching.no)).unwrap();
    // Once it is here, what was wrong before is over.
    assert_eq!(State::in_log(&faulty, held(&vault, no).as_ref()), State::Here);
}

#[test]
fn what_is_on_its_way_says_how_far() {
    let at = |sent| State::Saved { sent, of: 1_000_000 };
    assert_eq!((at(0).word(), at(0).words().as_str()), ("saved", "saved, not sent yet"));
    assert_eq!((at(999_999).word(), at(999_999).words().as_str()), ("sending", "sending, 99 %"));
    assert_eq!(at(5).progress(), Some((5, 1_000_000)));
    assert_eq!(State::Here.progress(), None);
}
