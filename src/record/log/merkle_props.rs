//! Of any tree: a proof that was tampered with, or is taken for another leaf or tree, is refused.

use proptest::prelude::*;

use super::*;

fn spoil(hashes: &mut Vec<Hash>, how: usize, at: prop::sample::Index, bit: u8) {
    let length = hashes.len();
    match how {
        0 if length > 0 => hashes[at.index(length)][usize::from(bit / 8)] ^= 1 << (bit % 8),
        1 if length > 0 => drop(hashes.remove(at.index(length))),
        _ => hashes.insert(at.index(length + 1), [bit; 32]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_spoilt_inclusion_proof_is_refused(
        size in 1usize..300, at: prop::sample::Index, how in 0usize..3, place: prop::sample::Index, bit: u8,
    ) {
        let leaves = leaves(size as u64);
        let (index, head) = (at.index(size), head(&leaves));
        let proof = inclusion(&leaves, index);
        prop_assert_eq!(verify_inclusion(&leaves[index], index as u64, &head, &proof), Ok(()));
        let mut spoilt = proof.clone();
        spoil(&mut spoilt, how, place, bit);
        prop_assert!(verify_inclusion(&leaves[index], index as u64, &head, &spoilt).is_err());
        let mut leaf = vec![leaves[index]];
        spoil(&mut leaf, 0, place, bit);
        prop_assert_eq!(verify_inclusion(&leaf[0], index as u64, &head, &proof), Err(ProofError::Root));
        let mut other = head;
        other.root[usize::from(bit / 8)] ^= 1 << (bit % 8);
        prop_assert_eq!(verify_inclusion(&leaves[index], index as u64, &other, &proof), Err(ProofError::Root));
    }

    #[test]
    fn an_inclusion_proof_holds_in_no_other_tree_and_for_no_other_leaf(size in 1u64..100, other in 1u64..100, at: prop::sample::Index, wrong: u64) {
        let all = leaves(100);
        let index = at.index(size as usize);
        let proof = inclusion(&all[..size as usize], index);
        let held = verify_inclusion(&all[index], index as u64, &head(&all[..other as usize]), &proof).is_ok();
        prop_assert_eq!(held, size == other);
        for wrong in [wrong, wrong % 100] {
            let held = verify_inclusion(&all[index], wrong, &head(&all[..size as usize]), &proof).is_ok();
            prop_assert_eq!(held, wrong == index as u64);
        }
    }

    #[test]
    fn a_spoilt_consistency_proof_is_refused(
        size in 2usize..300, at: prop::sample::Index, how in 0usize..3, place: prop::sample::Index, bit: u8,
    ) {
        let leaves = leaves(size as u64);
        let old_size = 1 + at.index(size - 1);
        let (old, new) = (head(&leaves[..old_size]), head(&leaves));
        let proof = consistency(&leaves, old_size);
        prop_assert_eq!(verify_consistency(&old, &new, &proof), Ok(()));
        let mut spoilt = proof.clone();
        spoil(&mut spoilt, how, place, bit);
        prop_assert!(verify_consistency(&old, &new, &spoilt).is_err());
        for (side, error) in [(0, ProofError::OldRoot), (1, ProofError::Root)] {
            let mut heads = [old, new];
            heads[side].root[usize::from(bit / 8)] ^= 1 << (bit % 8);
            let refused = verify_consistency(&heads[0], &heads[1], &proof);
            // The old root is itself the first hash of the proof when its size is a power of two.
            prop_assert!(refused == Err(error) || (side == 0 && old_size.is_power_of_two() && refused == Err(ProofError::Root)), "{:?}", refused);
        }
    }

    #[test]
    fn a_rewritten_past_has_no_consistency_proof(size in 2u64..300, at: prop::sample::Index, changed: prop::sample::Index) {
        let before = leaves(size);
        let old_size = 1 + at.index(size as usize - 1);
        let mut after = before.clone();
        after[changed.index(old_size)] = leaf_hash(b"another");
        let old = head(&before[..old_size]);
        prop_assert!(verify_consistency(&old, &head(&after), &consistency(&after, old_size)).is_err());
        prop_assert!(verify_consistency(&old, &head(&after), &consistency(&before, old_size)).is_err());
    }
}
