//! Artefacts that are like real ones: JSON, in a hundred folders, with ids and digests that do not compress away.

use std::collections::BTreeMap;

/// Bytes of one, about what a decision or a receipt takes.
const SIZE: usize = 640;

/// As many as `count` of the run `id`; another `seed` makes others.
pub fn artefacts(id: &str, seed: u64, count: usize) -> BTreeMap<String, Vec<u8>> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ seed;
    let mut word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut one = |at: usize| {
        let mut text =
            format!("{{\"resource\":\"arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/db-{at}\",\"digests\":[");
        while text.len() < SIZE - 40 {
            text.push_str(&format!("\"{:016x}\",{},", word(), word() % 1000));
        }
        text.push_str("0],\"status\":\"compliant\"}\n");
        (format!("raw/{id}/{:02}/{at:06}.json", at % 100), text.into_bytes())
    };
    (0..count).map(&mut one).collect()
}
