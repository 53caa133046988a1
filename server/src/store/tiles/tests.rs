use sealpost_protocol::tree;

use super::super::disk::faulty::FaultyDisk;
use super::*;

fn committee() -> CommitteeId {
    CommitteeId(Hash([1; 32]))
}

fn leaf(index: u64) -> Hash {
    Hash::of(&index.to_be_bytes())
}

fn leaves(range: std::ops::Range<u64>) -> Vec<Hash> {
    range.map(leaf).collect()
}

/// What the protocol's tree says, leaf by leaf.
fn expected(size: u64) -> Vec<Hash> {
    let mut tree = tree::Frontier::default();
    (0..size).flat_map(|index| tree.append(leaf(index))).collect()
}

fn tiles() -> (FaultyDisk, Tiles) {
    let disk = FaultyDisk::new();
    (disk.clone(), Tiles::new(Arc::new(disk), "/".into()))
}

fn none(_: LeafIndex) -> Result<Vec<Hash>, StoreError> {
    panic!("nothing is asked for that is in the file")
}

#[test]
fn nodes_and_their_places_are_the_protocols() {
    for size in 0..200 {
        let expected = expected(size);
        assert_eq!(node_count(size), expected.len() as u64);
        assert_eq!(node_count(size), tree::node_count(TreeSize(size)));
        let edge: Vec<Hash> = edge_positions(size)
            .into_iter()
            .map(|position| expected[usize::try_from(position).unwrap()])
            .collect();
        let root = edge.iter().rev().copied().reduce(|right, left| tree::node_hash(&left, &right));
        let known = tree::root_at(TreeSize(size), expected.as_slice()).unwrap();
        assert_eq!(root.unwrap_or_else(tree::empty_root), known, "size {size}");
    }
}

#[test]
fn a_file_cut_anywhere_holds_the_leaves_whose_nodes_are_whole() {
    let mut size = 0;
    for nodes in 0..5_000 {
        while node_count(size + 1) <= nodes {
            size += 1;
        }
        assert_eq!(leaves_within(nodes), size, "{nodes} nodes");
    }
}

#[test]
fn appended_in_any_steps_the_file_is_the_same() {
    for step in [1, 2, 7, 50] {
        let (_, tiles) = tiles();
        for first in (0..50).step_by(step) {
            let end = (first + step as u64).min(50);
            tiles.append(committee(), LeafIndex(first), &leaves(first..end), &none);
        }
        for (position, node) in (0..).zip(expected(50)) {
            assert_eq!(tiles.node(committee(), TreeSize(50), position, &none).unwrap(), node);
        }
        let beyond = tiles.node(committee(), TreeSize(50), node_count(50), &none);
        assert!(matches!(beyond, Err(StoreError::StoreIo { .. })), "{beyond:?}");
    }
}

#[test]
fn leaves_of_a_log_that_is_no_more_are_taken_back() {
    let (_, tiles) = tiles();
    tiles.append(committee(), LeafIndex(0), &leaves(0..20), &none);
    let other: Vec<Hash> = (0..5).map(|index| leaf(1_000 + index)).collect();
    tiles.append(committee(), LeafIndex(11), &other, &none);
    let mut tree = tree::Frontier::default();
    let all = leaves(0..11).into_iter().chain(other);
    for (position, node) in (0..).zip(all.flat_map(|leaf| tree.append(leaf)).collect::<Vec<_>>()) {
        let found = tiles.node(committee(), TreeSize(16), position, &none).unwrap();
        assert_eq!(found, node, "position {position}");
    }
}

#[test]
fn a_flip_of_any_byte_is_made_good_from_the_leaves() {
    let (disk, tiles) = tiles();
    tiles.append(committee(), LeafIndex(0), &leaves(0..7), &none);
    let path = tiles.path(committee());
    let whole = disk.contents(&path).unwrap();
    let from_journal = |from: LeafIndex| Ok(leaves(from.0..7));
    for byte in 0..whole.len() {
        disk.tamper(&path, |bytes| bytes[byte] ^= 1);
        // As a restart finds it.
        let tiles = Tiles::new(Arc::new(disk.clone()), "/".into());
        for (position, node) in (0..).zip(expected(7)) {
            let found = tiles.node(committee(), TreeSize(7), position, &from_journal).unwrap();
            assert_eq!(found, node, "byte {byte} position {position}");
        }
        assert_eq!(disk.contents(&path).unwrap(), whole, "byte {byte}");
    }
}

#[test]
fn the_node_of_the_spec_comes_out() {
    let committee = CommitteeId(Hash([0xc0; 32]));
    let node = encode_node(committee, 2, &Hash([0x1e; 32]));
    assert_eq!(data_encoding::HEXLOWER.encode(&node), format!("{}b017d75a", "1e".repeat(32)));
}
