//! The published vectors of RFC 6962, its recursive definition for every small tree; what holds of any proof is in `merkle_props.rs`.

use super::super::test_log::leaves;
use super::*;

#[path = "merkle_props.rs"]
mod props;

/// The leaves of the tests of Certificate Transparency, in hex, and the root of each of their beginnings.
const PUBLISHED: [(&str, &str); 8] = [
    ("", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
    ("00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
    ("10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
    ("2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
    ("3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
    ("40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
    ("5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
    ("606162636465666768696a6b6c6d6e6f", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
];
const A: &str = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
const B: &str = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
const C: &str = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";
const D: &str = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
const E: &str = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
const F: &str = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";

const LEAF_6: &str = "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f";

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn hash(text: &str) -> Hash {
    hex(text).try_into().unwrap()
}

fn published() -> Vec<Hash> {
    PUBLISHED.iter().map(|(leaf, _)| leaf_hash(&hex(leaf))).collect()
}

/// Complete subtrees of `leaves`; nothing else is asked for.
fn reader(leaves: &[Hash]) -> impl FnMut(u32, u64) -> Result<Hash, ProofError> + use<> {
    let mut rows = vec![leaves.to_vec()];
    while let Some(row) = rows.last().filter(|row| row.len() > 1) {
        rows.push(row.as_chunks().0.iter().map(|[left, right]| node_hash(left, right)).collect());
    }
    move |level, index| Ok(rows[level as usize][index as usize])
}

fn head(leaves: &[Hash]) -> Head {
    Head { size: leaves.len() as u64, root: root_of(leaves) }
}

fn inclusion(leaves: &[Hash], index: usize) -> Vec<Hash> {
    prove_inclusion(index as u64, leaves.len() as u64, reader(leaves)).unwrap()
}

fn consistency(leaves: &[Hash], old: usize) -> Vec<Hash> {
    prove_consistency(old as u64, leaves.len() as u64, reader(leaves)).unwrap()
}

/// `MTH` of RFC 6962, section 2.1, word for word.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(naive_split(leaves.len()));
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

/// `PATH` of section 2.1.1.
fn naive_path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return vec![];
    }
    let middle = naive_split(leaves.len());
    let (left, right) = leaves.split_at(middle);
    if index < middle {
        [naive_path(index, left), vec![naive_root(right)]].concat()
    } else {
        [naive_path(index - middle, right), vec![naive_root(left)]].concat()
    }
}

/// `SUBPROOF` of section 2.1.2.
fn naive_subproof(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole { vec![] } else { vec![naive_root(leaves)] };
    }
    let middle = naive_split(leaves.len());
    let (left, right) = leaves.split_at(middle);
    if old <= middle {
        [naive_subproof(old, left, whole), vec![naive_root(right)]].concat()
    } else {
        [naive_subproof(old - middle, right, false), vec![naive_root(left)]].concat()
    }
}

fn naive_split(size: usize) -> usize {
    (0..).map(|power| 1 << power).take_while(|power| *power < size).last().unwrap()
}

/// From the leaf up, whether the sibling is to the left.
fn turns(index: u64, size: u64) -> Vec<bool> {
    if size == 1 {
        return vec![];
    }
    let middle = naive_split(size as usize) as u64;
    let right = index >= middle;
    let mut turns = if right { turns(index - middle, size - middle) } else { turns(index, middle) };
    turns.push(right);
    turns
}

#[test]
fn the_published_leaves_have_the_published_roots() {
    let leaves = published();
    assert_eq!(root_of(&[]), hash("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    for (at, (_, published)) in PUBLISHED.iter().enumerate() {
        assert_eq!(root_of(&leaves[..=at]), hash(published), "size {}", at + 1);
        assert_eq!(root(at as u64 + 1, reader(&leaves)), Ok(hash(published)), "size {}", at + 1);
    }
    assert_eq!((leaves[1], leaves[4]), (hash(A), hash(D)));
    assert_eq!(
        (root_of(&leaves[2..4]), root_of(&leaves[4..6]), root_of(&leaves[6..]), root_of(&leaves[4..])),
        (hash(B), hash(F), hash(E), hash(C))
    );
}

#[test]
fn the_published_inclusion_proofs_are_made_and_hold() {
    let (one, two, four) = (PUBLISHED[0].1, PUBLISHED[1].1, PUBLISHED[3].1);
    let cases: [(usize, usize, &[&str]); 6] =
        [(0, 1, &[]), (0, 8, &[A, B, C]), (5, 8, &[D, E, four]), (2, 3, &[two]), (1, 5, &[one, B, D]), (7, 8, &[LEAF_6, F, four])];
    for (index, size, proof) in cases {
        let leaves = &published()[..size];
        let proof: Vec<_> = proof.iter().map(|text| hash(text)).collect();
        assert_eq!(inclusion(leaves, index), proof, "{index} of {size}");
        assert_eq!(verify_inclusion(&leaves[index], index as u64, &head(leaves), &proof), Ok(()), "{index} of {size}");
    }
}

#[test]
fn the_published_consistency_proofs_are_made_and_hold() {
    let four = PUBLISHED[3].1;
    let cases: [(usize, usize, &[&str]); 5] =
        [(1, 1, &[]), (1, 8, &[A, B, C]), (6, 8, &[F, E, four]), (2, 5, &[B, D]), (2, 8, &[B, C])];
    for (old, new, proof) in cases {
        let leaves = &published()[..new];
        let proof: Vec<_> = proof.iter().map(|text| hash(text)).collect();
        assert_eq!(consistency(leaves, old), proof, "{old} to {new}");
        assert_eq!(verify_consistency(&head(&leaves[..old]), &head(leaves), &proof), Ok(()), "{old} to {new}");
    }
}

#[test]
fn every_tree_up_to_64_is_as_rfc_6962_defines_it() {
    let all = leaves(64);
    let heads: Vec<_> = (0..=64).map(|size| head(&all[..size])).collect();
    for (size, head) in heads.iter().enumerate() {
        let leaves = &all[..size];
        assert_eq!(head.root, naive_root(leaves), "{size}");
        assert_eq!(root(size as u64, reader(leaves)), Ok(head.root), "{size}");
        // Of the larger ones, every fifth leaf is claimed to be every other; that is most of the work.
        for index in 0..size {
            let proof = inclusion(leaves, index);
            assert_eq!(proof, naive_path(index, leaves), "{index} of {size}");
            let claims = if size < 20 || index % 5 == 0 { 0..=65 } else { index as u64..=index as u64 };
            for claimed in claims {
                let held = verify_inclusion(&leaves[index], claimed, head, &proof).is_ok();
                assert_eq!(held, claimed == index as u64, "{index} of {size} as {claimed}");
            }
        }
        for old in 1..=size {
            let proof = consistency(leaves, old);
            assert_eq!(proof, naive_subproof(old, leaves, true), "{old} to {size}");
            let claims = if size < 20 || old % 5 == 0 { 0..=size } else { old..=old };
            for claimed in claims {
                let fits = claimed == old || (proof.is_empty() && claimed == 0);
                assert_eq!(verify_consistency(&heads[claimed], head, &proof).is_ok(), fits, "{old} to {size} as {claimed}");
            }
        }
    }
}

/// Why a head is signed: a proof shows where a leaf hangs under a root, not how many leaves there are.
#[test]
fn a_lie_about_the_size_passes_only_where_the_way_up_is_the_same() {
    let all = leaves(20);
    for size in 1..=20 {
        for index in 0..size {
            let proof = inclusion(&all[..size], index);
            for claimed in 1..=40 {
                let lie = Head { size: claimed, root: root_of(&all[..size]) };
                let same = index < claimed as usize && turns(index as u64, claimed) == turns(index as u64, size as u64);
                let held = verify_inclusion(&all[index], index as u64, &lie, &proof).is_ok();
                assert_eq!(held, same, "{index} of {size} as of {claimed}");
            }
        }
    }
}

#[test]
fn what_lies_outside_the_tree_has_no_proof() {
    let all = leaves(9);
    assert_eq!(prove_inclusion(9, 9, reader(&all)), Err(ProofError::OutOfRange));
    assert_eq!(prove_inclusion(0, 0, reader(&all)), Err(ProofError::OutOfRange));
    assert_eq!(prove_consistency(10, 9, reader(&all)), Err(ProofError::OutOfRange));
    assert_eq!(verify_inclusion(&all[0], 0, &head(&[]), &[]), Err(ProofError::OutOfRange));
    assert_eq!(verify_consistency(&head(&all), &head(&all[..8]), &[]), Err(ProofError::OutOfRange));
}

/// Roots made to fit a proof that goes on above the top of the tree.
#[test]
fn a_proof_that_rises_above_the_root_is_too_long() {
    let [b, c, d, above] = [1, 2, 3, 4].map(|byte| [byte; 32]);
    let forged = Head { size: 1, root: node_hash(&above, &c) };
    assert_eq!(verify_inclusion(&c, 0, &forged, &[above]), Err(ProofError::Length));
    let old = Head { size: 3, root: node_hash(&above, &node_hash(&b, &c)) };
    let new = Head { size: 4, root: node_hash(&above, &node_hash(&b, &node_hash(&c, &d))) };
    assert_eq!(verify_consistency(&old, &new, &[c, d, b, above]), Err(ProofError::Length));
}

#[test]
fn a_proof_that_stops_below_the_root_is_too_short() {
    let all = leaves(2);
    let lie = Head { size: 4, root: root_of(&all) };
    assert_eq!(verify_inclusion(&all[0], 0, &lie, &all[1..]), Err(ProofError::Length));
    assert_eq!(verify_consistency(&head(&all[..1]), &lie, &all[1..]), Err(ProofError::Length));
}

#[test]
fn any_tree_continues_the_empty_one_and_itself_with_an_empty_proof() {
    let (empty, seven) = (head(&[]), head(&leaves(7)));
    assert_eq!(prove_consistency(0, 7, reader(&leaves(7))), Ok(vec![]));
    assert_eq!(verify_consistency(&empty, &seven, &[]), Ok(()));
    assert_eq!(verify_consistency(&seven, &seven, &[]), Ok(()));
    assert_eq!(verify_consistency(&empty, &empty, &[]), Ok(()));
    assert_eq!(verify_consistency(&empty, &seven, &[[0; 32]]), Err(ProofError::Length));
    assert_eq!(verify_consistency(&Head { size: 7, ..empty }, &seven, &[]), Err(ProofError::OldRoot));
    assert_eq!(verify_consistency(&Head { size: 0, ..seven }, &seven, &[]), Err(ProofError::OldRoot));
    let (forged, old) = (Head { size: 0, ..seven }, head(&leaves(3)));
    assert!(verify_consistency(&empty, &forged, &[]).is_err());
    assert_eq!(verify_consistency(&old, &seven, &[]), Err(ProofError::Length));
}

#[test]
fn the_largest_sizes_do_not_overflow() {
    let any = |level: u32, index: u64| Ok::<_, ProofError>(leaf_hash(&[&level.to_be_bytes()[..], &index.to_be_bytes()].concat()));
    let new = Head { size: u64::MAX, root: root(u64::MAX, any).unwrap() };
    let proof = prove_inclusion(u64::MAX - 1, u64::MAX, any).unwrap();
    assert_eq!(verify_inclusion(&any(0, u64::MAX - 1).unwrap(), u64::MAX - 1, &new, &proof), Ok(()));
    let old = Head { size: u64::MAX - 1, root: root(u64::MAX - 1, any).unwrap() };
    let proof = prove_consistency(u64::MAX - 1, u64::MAX, any).unwrap();
    assert_eq!(verify_consistency(&old, &new, &proof), Ok(()));
}
