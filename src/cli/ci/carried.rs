//! The plan artefact inside the check run that vouches for it, so that whoever applies it needs no other store.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::model::proposal::{PROPOSAL_LIMIT, Proposal};
use crate::record::leaf::hex;

/// What GitHub takes as the text of a check run.
const TEXT: usize = 65_535;
/// Before the artefact; a comment of HTML, so that nobody has to look at it.
const BEGIN: &str = "<!-- slm:artefact:";
const END: &str = " -->";
/// Effort of the compression: plans are alike line by line.
const LEVEL: i32 = 15;

/// SHA-256 of an artefact, in hex.
pub(super) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The text of a check run that carries `bytes`; `None` when they are too long for it.
pub(super) fn pack(bytes: &[u8]) -> Option<String> {
    let packed = zstd::bulk::compress(bytes, LEVEL).ok()?;
    let text = format!("{BEGIN}{}{END}", STANDARD.encode(packed));
    (text.len() <= TEXT).then_some(text)
}

/// The artefact that `text` carries, when it is the one with `digest`.
///
/// # Errors
/// Why there is none, as a clause.
pub(super) fn unpack(text: &str, digest: &str) -> Result<(Vec<u8>, Proposal), String> {
    let packed = text.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END)).map(|(packed, _)| packed);
    let packed = packed.ok_or("the check run carries no artefact; give it with `--artefact`")?;
    let packed = STANDARD.decode(packed).map_err(|_| "what the check run carries is no base64")?;
    let bytes = zstd::bulk::decompress(&packed, PROPOSAL_LIMIT).map_err(|_| "what the check run carries cannot be unpacked")?;
    check(bytes, digest)
}

/// `bytes` as the artefact with `digest`.
///
/// # Errors
/// Why they are not, as a clause.
pub(super) fn check(bytes: Vec<u8>, digest: &str) -> Result<(Vec<u8>, Proposal), String> {
    if self::digest(&bytes) != digest {
        return Err(format!("the artefact is not the one with the digest `{digest}`"));
    }
    let proposal = Proposal::read(&bytes).map_err(|error| error.to_string())?;
    Ok((bytes, proposal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::proposal::tests::proposal;

    fn artefact(unseen: Vec<String>) -> Vec<u8> {
        let made = Proposal { unseen, ..proposal() };
        crate::record::canonical::json(&made).unwrap()
    }

    #[test]
    fn what_is_carried_comes_back_and_another_digest_is_refused() {
        let bytes = artefact(vec!["x".repeat(10_000)]);
        let text = pack(&bytes).unwrap();
        assert!(text.len() < 500, "{}", text.len());
        let (back, proposal) = unpack(&format!("before\n{text}\nafter"), &digest(&bytes)).unwrap();
        assert_eq!((back, proposal.repository.as_str()), (bytes.clone(), "acme/slm"));
        let other = "0".repeat(64);
        assert_eq!(unpack(&text, &other).unwrap_err(), format!("the artefact is not the one with the digest `{other}`"));
    }

    #[test]
    fn what_is_too_long_or_no_artefact_is_said() {
        let noise: Vec<String> = (0_u64..4_000).map(|n| digest(&n.to_be_bytes())).collect();
        assert_eq!(pack(&artefact(noise)), None);
        assert!(unpack("", "").unwrap_err().contains("--artefact"));
        assert_eq!(unpack("<!-- slm:artefact:!! -->", "").unwrap_err(), "what the check run carries is no base64");
        // What grows beyond what is read when it is unpacked.
        let bomb = STANDARD.encode(zstd::bulk::compress(&vec![0; PROPOSAL_LIMIT + 1], 3).unwrap());
        let said = unpack(&format!("{BEGIN}{bomb}{END}"), "").unwrap_err();
        assert_eq!(said, "what the check run carries cannot be unpacked");
    }
}
