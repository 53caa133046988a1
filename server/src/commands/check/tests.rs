use sealpost_protocol::id::TreeSize;

use super::*;

fn findings(faults: &[Fault]) -> Vec<Finding> {
    let finding = |fault: &Fault| Finding {
        file: "journal/00000001".to_owned(),
        offset: 44,
        fault: fault.clone(),
    };
    faults.iter().map(finding).collect()
}

#[test]
fn what_the_next_start_mends_is_no_failure() {
    assert!(verdict(&[]).is_ok());
    assert!(verdict(&findings(&[Fault::Torn, Fault::Cache("the index")])).is_ok());
}

#[test]
fn whatever_else_is_a_failure_and_the_worst_is_named() {
    let said = |faults: &[Fault]| {
        let failure = verdict(&findings(faults)).unwrap_err();
        serde_json::to_value(failure.to_json()).unwrap()
    };
    let kind = |faults: &[Fault]| said(faults)["error"].clone();
    let rolled_back = Fault::RolledBack(TreeSize(8));
    assert_eq!(kind(&[Fault::Torn, rolled_back.clone()]), Kind::RolledBack.name());
    assert_eq!(kind(&[rolled_back.clone(), Fault::Damaged]), Kind::Damaged.name());
    for fault in [Fault::Damaged, Fault::OutOfOrder, Fault::Entry("a lie".to_owned())] {
        assert_eq!(kind(&[fault]), Kind::Damaged.name());
    }
    let two = said(&[Fault::Damaged, rolled_back])["what"].to_string();
    assert!(two.contains("in 2 places; first journal/00000001 at byte 44: damaged"), "{two}");
}
