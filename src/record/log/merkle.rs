//! The Merkle tree of RFC 6962 and RFC 9162: hashing, proving, and checking what was proved.

use std::fmt;

use sha2::{Digest, Sha256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// A tree at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How many leaves.
    pub size: u64,
    /// What they hash to.
    pub root: Hash,
}

/// Why there is no proof, or why one proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofError {
    /// A leaf or an older tree lies outside the tree.
    OutOfRange,
    /// The proof has more or fewer hashes than its place in the tree asks for.
    Length,
    /// The proof leads to another root than that of the older tree.
    OldRoot,
    /// The proof leads to another root than that of the tree.
    Root,
}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfRange => "the tree is not that large",
            Self::Length => "the proof has the wrong length",
            Self::OldRoot => "the proof does not lead to the root of the older tree",
            Self::Root => "the proof does not lead to the root of the tree",
        })
    }
}

impl std::error::Error for ProofError {}

/// The hash of the leaf that holds `data`.
#[must_use]
pub fn leaf_hash(data: &[u8]) -> Hash {
    Sha256::new_with_prefix([0]).chain_update(data).finalize().into()
}

/// The hash of the node above `left` and `right`.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new_with_prefix([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of the tree over `leaves`, which are hashes already. Of no leaves it is the hash of nothing.
#[must_use]
pub fn root_of(leaves: &[Hash]) -> Hash {
    let mut row = leaves.to_vec();
    while row.len() > 1 {
        // An odd hash at the end rises as it is: that is the shape RFC 6962 defines from the top.
        row = row.chunks(2).map(|pair| if let [left, right] = pair { node_hash(left, right) } else { pair[0] }).collect();
    }
    row.first().copied().unwrap_or_else(|| Sha256::digest([]).into())
}

/// The root of a tree of `size` leaves. `hash` gives complete subtrees: `(level, index)` covers the leaves
/// `index << level .. (index + 1) << level`.
///
/// # Errors
/// Those of `hash`.
pub fn root<E>(size: u64, mut hash: impl FnMut(u32, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    range(0, size, &mut hash)
}

/// The proof that leaf `index` is in the tree of `size` leaves, lowest hash first; `hash` as for [`root`].
///
/// # Errors
/// When there is no such leaf, and those of `hash`.
pub fn prove_inclusion<E: From<ProofError>>(
    index: u64,
    size: u64,
    mut hash: impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    if index >= size {
        return Err(ProofError::OutOfRange.into());
    }
    let (mut start, mut end, mut proof) = (0, size, Vec::new());
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            proof.push(range(middle, end, &mut hash)?);
            end = middle;
        } else {
            proof.push(range(start, middle, &mut hash)?);
            start = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The proof that the tree of `new` leaves continues that of its first `old` ones, lowest hash first; `hash` as for [`root`].
/// Empty when `old` is zero or `new`.
///
/// # Errors
/// When `old` is larger than `new`, and those of `hash`.
pub fn prove_consistency<E: From<ProofError>>(
    old: u64,
    new: u64,
    mut hash: impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    if old > new {
        return Err(ProofError::OutOfRange.into());
    }
    let (mut start, mut end, mut proof) = (0, new, Vec::new());
    while old > 0 && old != end {
        let middle = start + split(end - start);
        if old <= middle {
            proof.push(range(middle, end, &mut hash)?);
            end = middle;
        } else {
            proof.push(range(start, middle, &mut hash)?);
            start = middle;
        }
    }
    // Whoever checks knows the old root already; it is left out where it is a whole subtree from the first leaf on.
    if start > 0 {
        proof.push(range(start, end, &mut hash)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Checks that `leaf`, a hash, is leaf `index` of `head` (RFC 9162, section 2.1.3.2). A proof does not show how large the tree is:
/// take the head from a checkpoint whose signature holds.
///
/// # Errors
/// When the proof does not show it.
pub fn verify_inclusion(leaf: &Hash, index: u64, head: &Head, proof: &[Hash]) -> Result<(), ProofError> {
    if index >= head.size {
        return Err(ProofError::OutOfRange);
    }
    let (mut node, mut last, mut root) = (index, head.size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if is_right_or_edge(&mut node, &mut last) {
            root = node_hash(sibling, &root);
        } else {
            root = node_hash(&root, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    match (last, root == head.root) {
        (1.., _) => Err(ProofError::Length),
        (0, false) => Err(ProofError::Root),
        (0, true) => Ok(()),
    }
}

/// Checks that the tree of `new` continues that of `old` (RFC 9162, section 2.1.4.2). Beyond the RFC: any tree continues the
/// empty one and itself, and the proof of that is empty.
///
/// # Errors
/// When the proof does not show it.
pub fn verify_consistency(old: &Head, new: &Head, proof: &[Hash]) -> Result<(), ProofError> {
    if old.size > new.size {
        return Err(ProofError::OutOfRange);
    }
    if old.size == 0 || old.size == new.size {
        return verify_trivial(old, new, proof);
    }
    let (mut node, mut last) = (old.size - 1, new.size - 1);
    let whole = node.trailing_ones();
    (node, last) = (node >> whole, last >> whole);
    // A power of two: the old root is a subtree of the new tree, and stands before the proof.
    let (seed, rest) =
        if old.size.is_power_of_two() { (&old.root, proof) } else { proof.split_first().ok_or(ProofError::Length)? };
    let (mut old_root, mut new_root) = (*seed, *seed);
    for sibling in rest {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if is_right_or_edge(&mut node, &mut last) {
            old_root = node_hash(sibling, &old_root);
            new_root = node_hash(sibling, &new_root);
        } else {
            new_root = node_hash(&new_root, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    match (last, old_root == old.root, new_root == new.root) {
        (1.., _, _) => Err(ProofError::Length),
        (0, false, _) => Err(ProofError::OldRoot),
        (0, true, false) => Err(ProofError::Root),
        (0, true, true) => Ok(()),
    }
}

fn verify_trivial(old: &Head, new: &Head, proof: &[Hash]) -> Result<(), ProofError> {
    let expected = if old.size == 0 { root_of(&[]) } else { new.root };
    match (proof.is_empty(), old.root == expected) {
        (false, _) => Err(ProofError::Length),
        (true, false) => Err(ProofError::OldRoot),
        (true, true) if new.size == 0 && new.root != expected => Err(ProofError::Root),
        (true, true) => Ok(()),
    }
}

/// Whether the sibling of `node` is to its left; on the right edge both rise first to where it has one.
fn is_right_or_edge(node: &mut u64, last: &mut u64) -> bool {
    if *node & 1 == 0 && node != last {
        return false;
    }
    while *node & 1 == 0 && *node != 0 {
        (*node, *last) = (*node >> 1, *last >> 1);
    }
    true
}

/// The largest power of two below `size`, which is two or more.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The root over the leaves `start..end`.
///
/// INVARIANT: `start` is a multiple of the largest power of two up to `end - start`, as in every split of the tree.
fn range<E>(start: u64, end: u64, hash: &mut impl FnMut(u32, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    let (mut end, mut root) = (end, None);
    while end > start {
        let level = (end - start).trailing_zeros();
        end -= 1 << level;
        let left = hash(level, end >> level)?;
        root = Some(root.map_or(left, |right| node_hash(&left, &right)));
    }
    Ok(root.unwrap_or_else(|| root_of(&[])))
}

#[cfg(test)]
#[path = "merkle_tests.rs"]
mod tests;
