use super::*;

#[test]
fn what_was_saved_is_said_to_be_whatever_keeps_it_from_being_sent() {
    delivered(Delivery::Accepted, "N-1").expect("it was sent");
    let told = |kind| {
        let waits = Delivery::Waiting(Failure::new(kind, "something happened"));
        delivered(waits, "N-1").expect_err("it was not")
    };
    let full = told(Kind::DiskFull);
    assert_eq!((full.kind, full.safe.as_str()), (Kind::DiskFull, "N-1 is saved in the vault."));
    for kind in [Kind::Unreachable, Kind::Busy, Kind::NotWritable] {
        let failure = told(kind);
        assert_eq!(failure.kind, Kind::NotDelivered);
        assert!(failure.what.starts_with("N-1 is saved"), "{}", failure.what);
    }
    assert_eq!(told(Kind::Verification).kind, Kind::Verification);
}
