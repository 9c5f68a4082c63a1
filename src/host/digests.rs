//! The two digests of a file of the evidence, made side by side.
//!
//! Each block of either waits for the one before it. Taken by turns, a core works on both at once: a fifth less time than one after the other.

use sha1::compress as compress1;
use sha2::compress256;

use super::pack::{Kind, head};
use crate::record::log::Hash;

/// Bytes that both take at once.
const BLOCK: usize = 64;
/// What the standards (FIPS 180-4, 5.3.1 and 5.3.3) begin with.
const FIRST1: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
const FIRST256: [u32; 8] = [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// What git calls a file of these bytes, and their SHA-256.
pub(super) fn of_file(bytes: &[u8]) -> ([u8; 20], Hash) {
    let (mut name, mut sha256) = (FIRST1, FIRST256);
    let (head, length) = head(Kind::Blob, bytes.len());
    // Git's own bytes stand before those of the file, which so fill the first block of the name only in part.
    let (begin, rest) = bytes.split_at(bytes.len().min(BLOCK - length));
    let mut first = [0; BLOCK];
    first[..length].copy_from_slice(&head[..length]);
    first[length..length + begin.len()].copy_from_slice(begin);
    let (ones, last_one) = rest.as_chunks::<BLOCK>();
    let (twos, last_two) = bytes.as_chunks::<BLOCK>();
    let whole = length + begin.len() == BLOCK;
    if whole {
        compress1(&mut name, &[first.into()]);
    }
    // There are as many blocks of the one as of the other, or one less.
    for (at, two) in twos.iter().enumerate() {
        compress256(&mut sha256, std::slice::from_ref(two.into()));
        if let Some(one) = ones.get(at) {
            compress1(&mut name, std::slice::from_ref(one.into()));
        }
    }
    let last_one = if whole { last_one } else { &first[..length + begin.len()] };
    padded(last_one, length + bytes.len(), |block| compress1(&mut name, std::slice::from_ref(block.into())));
    padded(last_two, bytes.len(), |block| compress256(&mut sha256, std::slice::from_ref(block.into())));
    (in_bytes(&name), in_bytes(&sha256))
}

/// The end of a message of `length` bytes, of which `last` fill no block: a bit, zeros and the length in bits.
fn padded(last: &[u8], length: usize, mut take: impl FnMut(&[u8; BLOCK])) {
    let mut ends = [[0; BLOCK]; 2];
    let [end, more] = &mut ends;
    end[..last.len()].copy_from_slice(last);
    end[last.len()] = 0x80;
    let fits = last.len() + 1 + 8 <= BLOCK;
    let bits = (length as u64 * 8).to_be_bytes();
    (if fits { &mut *end } else { &mut *more })[BLOCK - 8..].copy_from_slice(&bits);
    take(end);
    if !fits {
        take(more);
    }
}

fn in_bytes<const WORDS: usize, const BYTES: usize>(words: &[u32; WORDS]) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    bytes.chunks_exact_mut(4).zip(words).for_each(|(four, word)| four.copy_from_slice(&word.to_be_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::super::pack::raw_id;
    use super::*;

    #[test]
    fn both_digests_are_those_that_are_made_one_after_the_other() {
        let bytes: Vec<u8> = (0..70_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        // Each length around the ends of some blocks, and where git's own bytes become one more.
        for length in (0..400).chain(990..1_100).chain(9_980..10_120).chain([65_536, 70_000]) {
            let bytes = &bytes[..length];
            assert_eq!(of_file(bytes), (raw_id(Kind::Blob, bytes), Sha256::digest(bytes).into()), "{length} bytes");
        }
        assert_eq!(git2::Oid::from_bytes(&of_file(b"").0).unwrap().to_string(), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    }
}
