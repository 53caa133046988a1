use super::*;
use crate::store::disk::Disk;
use crate::store::disk::faulty::FaultyDisk;
use crate::store::{Options, Store};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn store() -> Store {
    let disk: std::sync::Arc<dyn Disk> = std::sync::Arc::new(FaultyDisk::new());
    let options = Options { segment_bytes: 2 * 1024 * 1024, reserve_bytes: 0, ..Options::DEFAULT };
    Store::create(&disk, "/data".as_ref(), options).unwrap()
}

fn code(number: u16) -> PermitCode {
    let mut code = [0; 16];
    code[..2].copy_from_slice(&number.to_be_bytes());
    code.into()
}

fn committee(seed: u8) -> CommitteeId {
    CommitteeId(Hash([seed; 32]))
}

#[tokio::test]
async fn a_permit_is_listed_with_its_label_used_once_and_then_not_revoked() {
    let store = store();
    let id = issue(&store, &code(1), Some("for the lawyers".to_owned()), NOW).await.unwrap();
    let label = Some("for the lawyers".to_owned());
    let mut permit = Permit { issued: NOW, founded: None, label };
    assert_eq!(list(&store).await.unwrap(), [Listed { id, permit: permit.clone() }]);
    redeem(&store, &code(1), committee(1)).await.unwrap();
    permit.founded = Some(committee(1));
    assert_eq!(list(&store).await.unwrap(), [Listed { id, permit }]);
    assert_eq!(redeem(&store, &code(1), committee(2)).await, Err(Code::AlreadyFounded));
    let revoked = revoke(&store, &id.to_string()).await;
    assert!(matches!(revoked, Err(PermitError::LocalUnknown)), "{revoked:?}");
}

#[tokio::test]
async fn a_revoked_permit_founds_nothing() {
    let store = store();
    let id = issue(&store, &code(1), None, NOW).await.unwrap();
    let short = revoke(&store, &id.to_string()[..7]).await;
    assert!(matches!(short, Err(PermitError::LocalUnknown)), "too short to be meant: {short:?}");
    let typed = id.to_string()[..8].to_uppercase();
    assert_eq!(revoke(&store, &typed).await.unwrap(), id);
    assert_eq!(redeem(&store, &code(1), committee(1)).await, Err(Code::NotFound));
    assert!(list(&store).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_label_has_a_limit_and_one_line() {
    let store = store();
    for label in ["x".repeat(PERMIT_LABEL_BYTES_MAX + 1), "two\nlines".to_owned()] {
        let issued = issue(&store, &code(1), Some(label), NOW).await;
        assert!(matches!(issued, Err(PermitError::LocalLabel)), "{issued:?}");
    }
    issue(&store, &code(1), Some("x".repeat(PERMIT_LABEL_BYTES_MAX)), NOW).await.unwrap();
}

#[test]
fn used_permits_make_room_the_oldest_first_and_unused_ones_do_not() {
    let listed = |number: u16, founded| Listed {
        id: Hash::of(code(number).as_slice()),
        permit: Permit { issued: UnixMillis(number.into()), founded, label: None },
    };
    let most = u16::try_from(PERMITS_MAX).unwrap();
    let unused: Vec<Listed> = (0..most).map(|number| listed(number, None)).collect();
    assert!(make_room(unused[1..].to_vec()).unwrap().is_empty());
    assert!(matches!(make_room(unused.clone()), Err(PermitError::LocalTooMany)));
    let mut some_used = unused;
    for number in [9, 4] {
        some_used[usize::from(number)] = listed(number, Some(committee(1)));
    }
    let gone = make_room(some_used.clone()).unwrap();
    assert_eq!(gone, [key_of(Hash::of(code(4).as_slice()))]);
}
