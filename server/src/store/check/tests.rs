use super::super::disk::faulty::FaultyDisk;
use super::*;

struct Blind;

impl Look for Blind {
    fn entry(&mut self, _: CommitteeId, _: LeafIndex, _: &StoredEntry) -> Option<String> {
        None
    }

    fn forgetting(&mut self, _: CommitteeId) -> Option<Forgetting> {
        None
    }

    fn checkpoint(&mut self, _: CommitteeId, _: TreeSize, _: &str) -> Option<String> {
        None
    }
}

#[test]
fn any_number_of_spoiled_nodes_does_not_hide_what_is_lost() {
    let disk: Arc<dyn Disk> = Arc::new(FaultyDisk::new());
    let mut check = Check {
        disk: &disk,
        root: Path::new("/"),
        look: &mut Blind,
        logs: BTreeMap::new(),
        notes: BTreeMap::new(),
        last_sequence: 0,
        findings: Vec::new(),
    };
    for offset in 0..2 * FINDINGS_MAX as u64 {
        check.find("tiles/x".to_owned(), offset, Fault::Cache("a tree node is damaged"));
    }
    check.find("journal/00000001".to_owned(), 44, Fault::Damaged);
    assert_eq!(check.findings.len(), FINDINGS_MAX + 1);
    assert!(!check.findings[FINDINGS_MAX].fault.is_mended());
}

#[test]
fn a_finding_says_file_and_byte() {
    let finding = Finding { file: segment_name(3), offset: 44, fault: Fault::Damaged };
    assert_eq!(finding.to_string(), "journal/00000003 at byte 44: damaged");
    let finding = Finding { fault: Fault::RolledBack(TreeSize(7)), ..finding };
    assert!(finding.to_string().ends_with("a checkpoint was signed for 7 entries"));
}
