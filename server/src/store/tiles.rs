//! The nodes of each committee's tree, one append-only file a committee: any old root and any
//! proof in O(log n) reads (SPEC.md §20.5).
//!
//! A pure cache, never synced. Every node carries its own checksum, bound to its committee and
//! position; a file that is short, or whose right edge does not check, is continued or made anew
//! from the leaf hashes in the journal.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sealpost_protocol::hash::{HASH_BYTES, Hash};
use sealpost_protocol::id::{CommitteeId, LeafIndex, TreeSize};

use super::disk::{self, Disk, DiskFile};
use super::embedded::Inner;
use super::{Nodes, StoreError};

/// A node and its checksum.
pub(super) const NODE_BYTES: usize = HASH_BYTES + 4;
/// Files kept open, with their right edges.
const OPEN_TILES_MAX: usize = 256;

/// Gives leaf hashes from an index on: at least one, as long as there are more.
pub(super) type Leaves<'l> = &'l dyn Fn(LeafIndex) -> Result<Vec<Hash>, StoreError>;

/// The node files of all committees.
#[derive(Debug)]
pub(super) struct Tiles {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    open: Mutex<HashMap<CommitteeId, Arc<Mutex<Tile>>>>,
}

/// One file and the roots of its complete subtrees, the largest first.
#[derive(Debug)]
struct Tile {
    committee: CommitteeId,
    file: Box<dyn DiskFile>,
    size: u64,
    edge: Vec<Hash>,
}

impl Tiles {
    pub(super) fn new(disk: Arc<dyn Disk>, folder: PathBuf) -> Self {
        Self { disk, folder, open: Mutex::default() }
    }

    /// Adds leaves; the file is brought up to `first` before. Trouble costs the cached file, no
    /// more: the next use makes it good.
    pub(super) fn append(
        &self,
        committee: CommitteeId,
        first: LeafIndex,
        leaves: &[Hash],
        earlier: Leaves<'_>,
    ) {
        let appended = self.tile(committee, first.0, earlier).and_then(|tile| {
            let mut tile = lock(&tile);
            tile.cut(first.0)?;
            tile.push(leaves).map_err(StoreError::io("writing tree nodes"))
        });
        if let Err(error) = appended {
            tracing::warn!(%error, "tree nodes were not written: they will be made anew");
            self.forget(committee);
        }
    }

    /// The node at `position` of a tree of `size` leaves.
    pub(super) fn node(
        &self,
        committee: CommitteeId,
        size: TreeSize,
        position: u64,
        leaves: Leaves<'_>,
    ) -> Result<Hash, StoreError> {
        if position >= node_count(size.0) {
            return Err(StoreError::io("reading a tree node")(io::ErrorKind::NotFound.into()));
        }
        let tile = self.tile(committee, size.0, leaves)?;
        if let Some(node) = lock(&tile).node(position)? {
            return Ok(node);
        }
        tracing::warn!("tree nodes are damaged: made anew from the journal");
        self.forget(committee);
        let tile = self.tile(committee, size.0, leaves)?;
        let node = lock(&tile).node(position)?;
        node.ok_or_else(|| StoreError::io("reading a tree node")(io::ErrorKind::InvalidData.into()))
    }

    fn path(&self, committee: CommitteeId) -> PathBuf {
        self.folder.join(committee.to_string())
    }

    fn open_tiles(&self) -> MutexGuard<'_, HashMap<CommitteeId, Arc<Mutex<Tile>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Throws the file away. If that fails, what is wrong in it stays to be noticed.
    pub(super) fn forget(&self, committee: CommitteeId) {
        self.open_tiles().remove(&committee);
        let _ = disk::remove_if_there(self.disk.as_ref(), &self.path(committee));
    }

    /// The file with at least `size` leaves in it.
    fn tile(
        &self,
        committee: CommitteeId,
        size: u64,
        leaves: Leaves<'_>,
    ) -> Result<Arc<Mutex<Tile>>, StoreError> {
        let mut open = self.open_tiles();
        let tile = match open.get(&committee) {
            Some(tile) => Arc::clone(tile),
            None => {
                if open.len() >= OPEN_TILES_MAX {
                    open.clear();
                }
                let opened = Tile::open(self.disk.as_ref(), &self.path(committee), committee, size)
                    .map_err(StoreError::io("opening tree nodes"))?;
                let tile = Arc::new(Mutex::new(opened));
                open.insert(committee, Arc::clone(&tile));
                tile
            }
        };
        drop(open);
        lock(&tile).catch_up(size, leaves)?;
        Ok(tile)
    }
}

fn lock(tile: &Mutex<Tile>) -> MutexGuard<'_, Tile> {
    tile.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tile {
    /// Opens the file at the largest tree of at most `size` leaves that is whole at its right
    /// edge.
    fn open(disk: &dyn Disk, path: &Path, committee: CommitteeId, size: u64) -> io::Result<Self> {
        let file = match disk.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => disk.create(path)?,
            opened => opened?,
        };
        let nodes = file.len()? / NODE_BYTES as u64;
        let mut tile = Self { committee, file, size: 0, edge: Vec::new() };
        let whole = leaves_within(nodes).min(size);
        match tile.read_edge(whole)? {
            Some(edge) => (tile.size, tile.edge) = (whole, edge),
            None => tracing::warn!("tree nodes are damaged: made anew from the journal"),
        }
        Ok(tile)
    }

    fn read_edge(&self, size: u64) -> io::Result<Option<Vec<Hash>>> {
        let mut edge = Vec::new();
        for position in edge_positions(size) {
            let Some(node) = self.read(position)? else { return Ok(None) };
            edge.push(node);
        }
        Ok(Some(edge))
    }

    fn read(&self, position: u64) -> io::Result<Option<Hash>> {
        let mut node = [0; NODE_BYTES];
        let offset = position * NODE_BYTES as u64;
        if self.file.read_up_to(&mut node, offset)? < NODE_BYTES {
            return Ok(None);
        }
        Ok(decode_node(self.committee, position, &node))
    }

    fn node(&self, position: u64) -> Result<Option<Hash>, StoreError> {
        self.read(position).map_err(StoreError::io("reading a tree node"))
    }

    fn catch_up(&mut self, size: u64, leaves: Leaves<'_>) -> Result<(), StoreError> {
        while self.size < size {
            let mut next = leaves(LeafIndex(self.size))?;
            next.truncate(usize::try_from(size - self.size).unwrap_or(usize::MAX));
            if next.is_empty() {
                return Err(StoreError::StoreIndex("leaves are missing".to_owned()));
            }
            self.push(&next).map_err(StoreError::io("writing tree nodes"))?;
        }
        Ok(())
    }

    /// Takes leaves beyond `size` back: they were of a log that is no more.
    fn cut(&mut self, size: u64) -> Result<(), StoreError> {
        if self.size > size {
            let edge = self.read_edge(size).map_err(StoreError::io("reading tree nodes"))?;
            self.edge = edge.ok_or_else(|| StoreError::StoreIndex("a bad node".to_owned()))?;
            self.size = size;
        }
        Ok(())
    }

    fn push(&mut self, leaves: &[Hash]) -> io::Result<()> {
        let start = node_count(self.size);
        let (mut size, mut edge) = (self.size, self.edge.clone());
        let mut bytes = Vec::with_capacity(2 * leaves.len() * NODE_BYTES);
        for leaf in leaves {
            let completed = completed_by(*leaf, size, &mut edge);
            for (node, position) in completed.iter().zip(node_count(size)..) {
                bytes.extend_from_slice(&encode_node(self.committee, position, node));
            }
            size += 1;
        }
        self.file.write_all_at(&bytes, start * NODE_BYTES as u64)?;
        (self.size, self.edge) = (size, edge);
        Ok(())
    }
}

pub(super) fn encode_node(committee: CommitteeId, position: u64, node: &Hash) -> [u8; NODE_BYTES] {
    let mut bytes = [0; NODE_BYTES];
    bytes[..HASH_BYTES].copy_from_slice(node.as_bytes());
    bytes[HASH_BYTES..].copy_from_slice(&node_crc(committee, position, node).to_be_bytes());
    bytes
}

fn decode_node(committee: CommitteeId, position: u64, bytes: &[u8; NODE_BYTES]) -> Option<Hash> {
    let node = Hash(*bytes.first_chunk()?);
    (encode_node(committee, position, &node) == *bytes).then_some(node)
}

fn node_crc(committee: CommitteeId, position: u64, node: &Hash) -> u32 {
    let crc = crc32c::crc32c(committee.as_bytes());
    let crc = crc32c::crc32c_append(crc, &position.to_be_bytes());
    crc32c::crc32c_append(crc, node.as_bytes())
}

/// The nodes that the leaf after `size` leaves completes: itself, then its parents, upwards.
pub(super) fn completed_by(leaf: Hash, size: u64, edge: &mut Vec<Hash>) -> Vec<Hash> {
    let mut completed = vec![leaf];
    let mut node = leaf;
    for _ in 0..size.trailing_ones() {
        let left = edge.pop().expect("one root for each bit set in the size");
        node = Hash::of_parts(&[&[0x01], left.as_bytes(), node.as_bytes()]);
        completed.push(node);
    }
    edge.push(node);
    completed
}

/// How many nodes a tree of `size` leaves has: where the next leaf goes.
pub(super) fn node_count(size: u64) -> u64 {
    2 * size - u64::from(size.count_ones())
}

/// The most leaves whose nodes all fit into `nodes`.
fn leaves_within(nodes: u64) -> u64 {
    let mut leaves = nodes / 2;
    while node_count(leaves + 1) <= nodes {
        leaves += 1;
    }
    leaves
}

/// Where the roots of the complete subtrees stand, the largest first.
fn edge_positions(size: u64) -> Vec<u64> {
    let mut positions = Vec::new();
    let mut covered = 0;
    for level in (0..u64::BITS).rev().filter(|level| size >> level & 1 == 1) {
        covered += 1 << level;
        positions.push(node_count(covered - 1) + u64::from(level));
    }
    positions
}

/// The nodes of one committee's tree. Reading one may read the disk, and after damage computes
/// all of them again: call it where blocking is allowed.
#[derive(Clone, Debug)]
pub struct CommitteeNodes {
    inner: Arc<Inner>,
    committee: CommitteeId,
}

impl CommitteeNodes {
    pub(super) fn new(inner: Arc<Inner>, committee: CommitteeId) -> Self {
        Self { inner, committee }
    }
}

impl Nodes for CommitteeNodes {
    fn node(&self, position: u64) -> Result<Hash, StoreError> {
        self.inner.node(self.committee, position)
    }
}

#[cfg(test)]
mod tests;
