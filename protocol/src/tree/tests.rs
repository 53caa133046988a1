use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::*;
use crate::codec;
use crate::id::LeafIndex;
use crate::vectors::{Vector, for_each_vector};

/// Exhaustive tests run over every tree up to this size.
const SIZE_MAX: u64 = 64;

/// The definitions of RFC 6962 §2.1, word for word, recursion and all.
mod naive {
    use super::*;

    pub(super) fn root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(split(leaves.len()));
                node_hash(&root(left), &root(right))
            }
        }
    }

    pub(super) fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let k = split(leaves.len());
        let (left, right) = leaves.split_at(k);
        if index < k {
            [path(index, left), vec![root(right)]].concat()
        } else {
            [path(index - k, right), vec![root(left)]].concat()
        }
    }

    pub(super) fn consistency(old: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
        if old == leaves.len() {
            return if known { Vec::new() } else { vec![root(leaves)] };
        }
        let k = split(leaves.len());
        let (left, right) = leaves.split_at(k);
        if old <= k {
            [consistency(old, left, known), vec![root(right)]].concat()
        } else {
            [consistency(old - k, right, false), vec![root(left)]].concat()
        }
    }

    fn split(len: usize) -> usize {
        len.next_power_of_two() / 2
    }
}

/// A tree with its leaves and its node file.
#[derive(Default)]
struct Tree {
    leaves: Vec<Hash>,
    nodes: Vec<Hash>,
    frontier: Frontier,
}

impl Tree {
    fn of(leaves: impl IntoIterator<Item = Hash>) -> Self {
        let mut tree = Self::default();
        for leaf in leaves {
            assert_eq!(tree.nodes.len() as u64, node_count(tree.frontier.size()));
            tree.nodes.extend(tree.frontier.append(leaf));
            tree.leaves.push(leaf);
        }
        tree
    }

    fn counted(size: u64) -> Self {
        Self::of((0..size).map(|n| leaf_hash(&[&n.to_be_bytes()])))
    }

    fn inclusion(&self, index: u64, size: u64) -> Proof {
        inclusion_proof(LeafIndex(index), TreeSize(size), self.nodes.as_slice()).unwrap()
    }

    fn consistency(&self, old: u64, new: u64) -> Proof {
        consistency_proof(TreeSize(old), TreeSize(new), self.nodes.as_slice()).unwrap()
    }

    fn root(&self, size: u64) -> Hash {
        root_at(TreeSize(size), self.nodes.as_slice()).unwrap()
    }

    fn first(&self, size: u64) -> &[Hash] {
        &self.leaves[..usize::try_from(size).unwrap()]
    }
}

/// The tree that the Certificate Transparency project publishes reference values for.
fn reference_tree() -> Tree {
    let inputs =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"].map(str::to_owned);
    let last: String = (0x60..=0x6f).map(|byte| format!("{byte:02x}")).collect();
    let leaves = inputs.into_iter().chain([last]);
    Tree::of(leaves.map(|hex| leaf_hash(&[&HEXLOWER.decode(hex.as_bytes()).unwrap()])))
}

fn hashes(lines: &str) -> Vec<Hash> {
    lines.split_ascii_whitespace().map(|line| line.parse().unwrap()).collect()
}

fn number(vector: &Vector, field: &str) -> u64 {
    vector.field(field).parse().unwrap()
}

fn hash(vector: &Vector, field: &str) -> Hash {
    vector.field(field).parse().unwrap()
}

#[test]
fn the_published_roots_come_out() {
    let published = hashes(
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
         6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d
         fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125
         aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77
         d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7
         4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4
         76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef
         ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c
         5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    );
    let tree = reference_tree();
    for (size, root) in (0..).zip(&published) {
        assert_eq!(tree.root(size), *root);
        assert_eq!(Tree::of(tree.first(size).to_vec()).frontier.root(), *root);
    }
}

#[test]
fn the_published_proofs_come_out_and_verify() {
    let tree = reference_tree();
    for_each_vector("inclusion", |vector| {
        let (index, size) = (number(vector, "index"), number(vector, "size"));
        let proof = Proof::from(hashes(vector.body_text()));
        let (leaf, root) = (hash(vector, "leaf"), hash(vector, "root"));
        let verified = verify_inclusion(&leaf, LeafIndex(index), TreeSize(size), &proof, &root);
        if vector.assert(verified).is_some() {
            assert_eq!(tree.inclusion(index, size), proof, "{}", vector.name);
        }
    });
    for_each_vector("consistency", |vector| {
        let (old, new) = (number(vector, "old"), number(vector, "new"));
        let proof = Proof::from(hashes(vector.body_text()));
        let (old_root, new_root) = (hash(vector, "old-root"), hash(vector, "new-root"));
        let verified =
            verify_consistency(TreeSize(old), TreeSize(new), &proof, &old_root, &new_root);
        if vector.assert(verified).is_some() {
            assert_eq!(tree.consistency(old, new), proof, "{}", vector.name);
        }
    });
}

#[test]
fn roots_and_proofs_are_those_of_the_definition() {
    let tree = Tree::counted(SIZE_MAX);
    for size in 0..=SIZE_MAX {
        let leaves = tree.first(size);
        let root = naive::root(leaves);
        assert_eq!(tree.root(size), root);
        for (index, leaf) in (0..).zip(leaves) {
            let proof = tree.inclusion(index, size);
            let expected = naive::path(usize::try_from(index).unwrap(), leaves);
            assert_eq!(proof.hashes(), expected);
            assert_eq!(
                verify_inclusion(leaf, LeafIndex(index), TreeSize(size), &proof, &root),
                Ok(())
            );
        }
        for old in 0..=size {
            let proof = tree.consistency(old, size);
            let expected = match usize::try_from(old).unwrap() {
                0 => Vec::new(),
                old => naive::consistency(old, leaves, true),
            };
            assert_eq!(proof.hashes(), expected);
            let old_root = naive::root(tree.first(old));
            assert_eq!(
                verify_consistency(TreeSize(old), TreeSize(size), &proof, &old_root, &root),
                Ok(())
            );
        }
    }
}

#[test]
fn an_inclusion_proof_shows_one_leaf_at_one_index_only() {
    let tree = Tree::counted(SIZE_MAX);
    for size in 1..=SIZE_MAX {
        let root = tree.root(size);
        for index in 0..size {
            let proof = tree.inclusion(index, size);
            let leaf = tree.leaves[usize::try_from(index).unwrap()];
            for other in (0..size).filter(|other| *other != index) {
                let other_index =
                    verify_inclusion(&leaf, LeafIndex(other), TreeSize(size), &proof, &root);
                assert!(other_index.is_err(), "{index} shown at {other} of {size}");
                let other_leaf = tree.leaves[usize::try_from(other).unwrap()];
                let verified =
                    verify_inclusion(&other_leaf, LeafIndex(index), TreeSize(size), &proof, &root);
                assert_eq!(verified, Err(PeerProofError::Root));
            }
            let beyond = verify_inclusion(&leaf, LeafIndex(size), TreeSize(size), &proof, &root);
            assert_eq!(beyond, Err(PeerProofError::Range { asked: size, size: TreeSize(size) }));
        }
    }
}

/// Every proof with one bit wrong, one hash less or one more.
fn damaged(proof: &Proof) -> Vec<Proof> {
    let hashes = proof.hashes();
    let mut all = vec![Proof::from([hashes, &[Hash::ZERO]].concat())];
    for at in 0..hashes.len() {
        all.push(Proof::from([&hashes[..at], &hashes[at + 1..]].concat()));
        all.push(Proof::from([&hashes[..at], &hashes[at..=at], &hashes[at..]].concat()));
        for bit in 0..256 {
            let mut changed = hashes.to_vec();
            changed[at].0[bit / 8] ^= 1 << (bit % 8);
            all.push(Proof::from(changed));
        }
    }
    all
}

#[test]
fn damaged_inclusion_proofs_are_refused() {
    let tree = Tree::counted(13);
    let root = tree.root(13);
    for (index, leaf) in (0..).zip(&tree.leaves) {
        let proof = tree.inclusion(index, 13);
        for wrong in damaged(&proof) {
            let expected = match wrong.hashes().len() == proof.hashes().len() {
                true => PeerProofError::Root,
                false => PeerProofError::Length(wrong.hashes().len()),
            };
            let verified = verify_inclusion(leaf, LeafIndex(index), TreeSize(13), &wrong, &root);
            assert_eq!(verified, Err(expected));
        }
    }
}

#[test]
fn damaged_consistency_proofs_are_refused() {
    let tree = Tree::counted(13);
    let new_root = tree.root(13);
    for old in 0..=13 {
        let (proof, old_root) = (tree.consistency(old, 13), tree.root(old));
        let verify = |proof: &Proof, old_root: &Hash, new_root: &Hash| {
            verify_consistency(TreeSize(old), TreeSize(13), proof, old_root, new_root)
        };
        for wrong in damaged(&proof) {
            let verified = verify(&wrong, &old_root, &new_root);
            if wrong.hashes().len() == proof.hashes().len() {
                let lies = [Err(PeerProofError::Root), Err(PeerProofError::OldRoot)];
                assert!(lies.contains(&verified), "{old}: {verified:?}");
            } else {
                assert_eq!(verified, Err(PeerProofError::Length(wrong.hashes().len())));
            }
        }
        assert!(verify(&proof, &Hash::ZERO, &new_root).is_err());
        // Nothing of the new root can be checked from an empty old tree.
        assert_eq!(verify(&proof, &old_root, &Hash::ZERO).is_ok(), old == 0);
    }
}

#[test]
fn a_rewritten_history_is_not_consistent() {
    let (honest, mut rewritten) = (Tree::counted(20), Tree::counted(20).leaves);
    rewritten[3] = leaf_hash(&[b"not what was here"]);
    let forged = Tree::of(rewritten);
    for old in 4..20 {
        let verified = verify_consistency(
            TreeSize(old),
            TreeSize(20),
            &forged.consistency(old, 20),
            &honest.root(old),
            &forged.root(20),
        );
        assert!(verified.is_err(), "{old}");
    }
}

#[test]
fn what_lies_outside_the_tree_is_the_askers_fault() {
    let tree = Tree::counted(5);
    let nodes = tree.nodes.as_slice();
    let range = |asked, size| Err(MakeProofError::PeerRange { asked, size: TreeSize(size) });
    assert_eq!(inclusion_proof(LeafIndex(5), TreeSize(5), nodes), range(5, 5));
    assert_eq!(inclusion_proof(LeafIndex(0), TreeSize(0), nodes), range(0, 0));
    assert_eq!(consistency_proof(TreeSize(5), TreeSize(4), nodes), range(5, 4));
    assert_eq!(inclusion_proof(LeafIndex(0), TreeSize(u64::MAX), nodes), range(0, u64::MAX));
    let no_root = MakeProofError::PeerRange { asked: u64::MAX, size: TREE_SIZE_MAX };
    assert_eq!(root_at(TreeSize(u64::MAX), nodes), Err(no_root));
    // A file shorter than the tree is the store's.
    let missing = Err(MakeProofError::StoreNodes(NoNode(node_position(1, 2))));
    assert_eq!(root_at(TreeSize(6), nodes), missing);
}

#[test]
fn positions_are_those_at_which_append_hands_nodes_out() {
    let tree = Tree::counted(SIZE_MAX);
    for level in 0..=6_u32 {
        for index in 0..SIZE_MAX >> level {
            let leaves = usize::try_from(index << level).unwrap()..;
            let leaves = &tree.leaves[leaves][..1 << level];
            let position = node_position(level, index);
            assert_eq!(tree.nodes.as_slice().node(position), Ok(naive::root(leaves)));
        }
    }
    assert_eq!(node_count(TreeSize(SIZE_MAX)), tree.nodes.len() as u64);
    assert_eq!(node_position(u32::MAX, u64::MAX), u64::MAX);
}

#[test]
fn a_frontier_is_decoded_only_with_the_hashes_its_size_needs() {
    for size in 0..=SIZE_MAX {
        let frontier = Tree::counted(size).frontier;
        let bytes = codec::encode(&frontier);
        let mut decoded: Frontier = codec::decode(&bytes, 4096).unwrap();
        assert_eq!(decoded, frontier);
        decoded.append(Hash::ZERO);
        let mut grown = frontier.clone();
        grown.append(Hash::ZERO);
        assert_eq!(decoded.root(), grown.root());
    }
    let encoded = |size: u64, hashes: usize| {
        let hash = [[0x58, 0x20].as_slice(), &[7; 32]].concat();
        let count = [0x80 | u8::try_from(hashes).unwrap()];
        [&[0x82], minicbor::to_vec(size).unwrap().as_slice(), &count, &hash.repeat(hashes)].concat()
    };
    assert!(codec::decode::<Frontier>(&encoded(5, 2), 4096).is_ok());
    assert!(codec::decode::<Frontier>(&encoded(1 << 62, 1), 4096).is_ok());
    for (size, hashes) in [((1 << 62) + 1, 2), (5, 1), (5, 3), (0, 1), (1 << 63, 1), (u64::MAX, 3)]
    {
        let refused = codec::decode::<Frontier>(&encoded(size, hashes), 4096);
        assert!(matches!(refused, Err(codec::PeerCodecError::Malformed(_))), "{size} {hashes}");
    }
}

#[test]
fn a_proof_of_more_hashes_than_levels_is_not_even_read() {
    let longest = Proof::from(vec![Hash::ZERO; PROOF_HASHES_MAX]);
    assert_eq!(codec::decode(&codec::encode(&longest), 4096), Ok(longest));
    let longer = Proof::from(vec![Hash::ZERO; PROOF_HASHES_MAX + 1]);
    assert!(codec::decode::<Proof>(&codec::encode(&longer), 4096).is_err());
    assert!(
        codec::decode::<Proof>(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 9).is_err()
    );
    let (zero, max) = (Hash::ZERO, TreeSize(u64::MAX));
    let refused = verify_inclusion(&zero, LeafIndex(0), max, &longer, &zero);
    assert_eq!(refused, Err(PeerProofError::Length(PROOF_HASHES_MAX + 1)));
}

proptest! {
    #[test]
    fn no_numbers_and_hashes_make_verification_panic_or_accept(
        a in any::<u64>(),
        b in any::<u64>(),
        shift in 0..64_u32,
        seeds in prop::collection::vec(any::<[u8; 32]>(), 0..70),
    ) {
        let proof = Proof::from(seeds.into_iter().map(Hash).collect::<Vec<_>>());
        let (index, size) = (a >> shift, b >> shift);
        let (x, y) = (Hash([1; 32]), Hash([2; 32]));
        prop_assert!(
            verify_inclusion(&x, LeafIndex(index), TreeSize(size), &proof, &y).is_err()
        );
        let consistent = verify_consistency(TreeSize(index), TreeSize(size), &proof, &x, &y);
        prop_assert!(consistent.is_err());
        let nodes = proof.hashes();
        let _ = inclusion_proof(LeafIndex(index), TreeSize(size), nodes);
        let _ = consistency_proof(TreeSize(index), TreeSize(size), nodes);
        prop_assert!(node_position(shift, a) >= a);
    }

    #[test]
    fn large_trees_prove_what_they_hold(
        size in 1..3_000_u64,
        a in any::<u64>(),
        b in any::<u64>(),
    ) {
        let tree = Tree::counted(size);
        let (index, old) = (a % size, b % (size + 1));
        let root = tree.frontier.root();
        let leaf = tree.leaves[usize::try_from(index).unwrap()];
        let inclusion = tree.inclusion(index, size);
        prop_assert_eq!(
            verify_inclusion(&leaf, LeafIndex(index), TreeSize(size), &inclusion, &root), Ok(())
        );
        let (consistency, old_root) = (tree.consistency(old, size), tree.root(old));
        prop_assert_eq!(
            verify_consistency(TreeSize(old), TreeSize(size), &consistency, &old_root, &root),
            Ok(())
        );
    }
}
