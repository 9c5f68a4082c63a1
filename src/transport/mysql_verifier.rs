//! What MySQL keeps of a password under `caching_sha2_password`, made here so that the server is sent no password: SHA-crypt with
//! SHA-256, as its author specifies it, over a salt of 20 characters.

use sha2::{Digest, Sha256};

/// What the server writes before the salt: SHA-256, and thousands of rounds in hex.
const METHOD: &str = "$A$005$";
const ROUNDS: usize = 5_000;
/// Bytes of a salt.
pub const SALT: usize = 20;
const LETTERS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The verifier of `password`, which is plain text as long as `salt` is.
#[must_use]
pub fn verifier(password: &[u8], salt: &str) -> String {
    format!("{METHOD}{salt}{}", encode(&digest(password, salt.as_bytes(), ROUNDS)))
}

fn digest(password: &[u8], salt: &[u8], rounds: usize) -> [u8; 32] {
    let second: [u8; 32] = Sha256::new().chain_update(password).chain_update(salt).chain_update(password).finalize().into();
    let mut first = Sha256::new().chain_update(password).chain_update(salt).chain_update(repeated(&second, password.len()));
    let mut bits = password.len();
    while bits > 0 {
        first = if bits & 1 == 1 { first.chain_update(second) } else { first.chain_update(password) };
        bits >>= 1;
    }
    let mut last: [u8; 32] = first.finalize().into();
    let passwords: [u8; 32] = password.iter().fold(Sha256::new(), |hash, _| hash.chain_update(password)).finalize().into();
    let passwords = repeated(&passwords, password.len());
    let salts: [u8; 32] = (0..16 + usize::from(last[0])).fold(Sha256::new(), |hash, _| hash.chain_update(salt)).finalize().into();
    let salts = repeated(&salts, salt.len());
    for round in 0..rounds {
        let odd = round % 2 == 1;
        let mut hash = if odd { Sha256::new().chain_update(&passwords) } else { Sha256::new().chain_update(last) };
        if round % 3 != 0 {
            hash = hash.chain_update(&salts);
        }
        if round % 7 != 0 {
            hash = hash.chain_update(&passwords);
        }
        last = if odd { hash.chain_update(last) } else { hash.chain_update(&passwords) }.finalize().into();
    }
    last
}

/// The first `length` bytes of `block`, over and over.
fn repeated(block: &[u8; 32], length: usize) -> zeroize::Zeroizing<Vec<u8>> {
    zeroize::Zeroizing::new(block.iter().copied().cycle().take(length).collect())
}

/// Three bytes as four letters, the bytes in the order that the specification gives.
fn encode(hash: &[u8; 32]) -> String {
    let mut text = String::with_capacity(43);
    let mut letters = |bytes: [u8; 3], count: usize| {
        let mut bits = u32::from(bytes[0]) << 16 | u32::from(bytes[1]) << 8 | u32::from(bytes[2]);
        for _ in 0..count {
            text.push(char::from(LETTERS[(bits & 0x3f) as usize]));
            bits >>= 6;
        }
    };
    let mut at = [0, 10, 20];
    for _ in 0..10 {
        letters(at.map(|byte: usize| hash[byte]), 4);
        at = [at[2] + 1, at[0] + 1, at[1] + 1];
    }
    letters([0, hash[31], hash[30]], 3);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `crypt` of the C library: rounds, salt, password, hash. It takes 16 letters of a salt; that the server takes ours of 20 is
    /// shown on a server.
    #[test]
    fn it_is_the_sha_crypt_of_the_specification() {
        let vectors = [
            (5_000, "saltstring", "Hello world!", "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
            (10_000, "saltstringsaltst", "Hello world!", "3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA"),
            (1_000, "roundstoolow", "the minimum number is still observed", "yfvwcWrQ8l/K0DAWyuPMDNHpIVlTQebY9l/gL972bIC"),
        ];
        for (rounds, salt, password, hash) in vectors {
            assert_eq!(encode(&digest(password.as_bytes(), salt.as_bytes(), rounds)), hash);
        }
    }

    #[test]
    fn a_verifier_is_plain_text_as_long_as_the_server_wants_it() {
        let made = verifier(b"a password", "abcdefghijklmnopqrst");
        assert_eq!(made.len(), 7 + SALT + 43);
        assert!(made.starts_with("$A$005$abcdefghijklmnopqrst") && made.is_ascii() && !made.contains('\''));
    }
}
