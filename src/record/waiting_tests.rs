//! What waits beside the evidence, as slm put it there and as somebody else did.

use sha2::{Digest as _, Sha256};

use super::super::anchored::{Kept, Tried};
use super::super::log::Signer;
use super::super::timestamp::authorities;
use super::*;
use crate::model::time::Timestamp;

/// Over the bytes `checkpoint` and a newline.
const TOKEN: &[u8] = include_bytes!("../../fixtures/timestamps/rsa.tsr");
const NOTE: &[u8] = b"checkpoint\n";
const ROOT: &[u8] = include_bytes!("../../fixtures/timestamps/rsa.pem");

fn signer(seed: u8) -> Signer {
    Signer::new("log", &[seed; 32]).unwrap()
}

/// When the authority saw it.
fn received() -> Timestamp {
    super::super::timestamp::open(TOKEN, &authorities(ROOT)).unwrap().at
}

/// A log of 9 entries, of which key 1 signed the first 4 and key 2 what came after, and one run of 7 in it.
fn log(signed: bool) -> Log {
    let key = |seed: u8, from: u64| Key { verifier: signer(seed).verifier().clone(), from };
    let shown = world::Sealed { commit: "c7".to_owned(), size: 7, note: NOTE.to_vec(), received: received() };
    let sealed = Sealed { size: 7, sha256: Sha256::digest(NOTE).into(), received: received() };
    let runs = vec![Logged { run: "r7".to_owned(), shown, sealed, signed }];
    Log { origin: "log".to_owned(), keys: vec![key(1, 0), key(2, 5)], entries: 9, runs, cut_off: false }
}

fn filed(path: &str, bytes: &[u8]) -> Filed {
    Filed { path: path.to_owned(), bytes: bytes.to_vec(), logged: None }
}

/// What became of a run, signed by the key `seed`.
fn attempt_by(seed: Option<u8>, change: impl Fn(&mut Attempt)) -> Attempt {
    let anchors = vec![Tried { id: "tsa".to_owned(), kind: "rfc3161".to_owned(), fate: Kept::Failed("no answer".to_owned()) }];
    let mut attempt = Attempt { format: 1, run: "r7".to_owned(), commit: "c7".to_owned(), entries: 7, anchors, signature: None };
    change(&mut attempt);
    if let Some(seed) = seed {
        let text = attempt.text("log").unwrap();
        let note = super::super::log::compose(&text, &[signer(seed).sign(&text).unwrap()]).unwrap();
        attempt.signature = Some(note[text.len()..].trim().to_owned());
    }
    attempt
}

fn fit(log: &Log, attempt: &Attempt) -> Fit {
    judge(log, &filed(&attempt_path(&attempt.run, received()), &canonical::json(attempt).unwrap()), &|_| None)
}

fn is_strange(fit: &Fit, why: &str) -> bool {
    matches!(fit, Fit::Strange(said) if said.contains(why))
}

#[test]
fn what_became_of_a_run_is_believed_when_the_key_that_signed_its_checkpoint_signed_it() {
    let as_it_was = |_: &mut Attempt| {};
    let kept = |attempt: &mut Attempt| attempt.anchors[0].fate = Kept::Kept;
    assert_eq!(fit(&log(true), &attempt_by(Some(2), as_it_was)), Fit::Ours);
    // By a key that was not in force then, and by none.
    for seed in [1, 3] {
        assert!(is_strange(&fit(&log(true), &attempt_by(Some(seed), as_it_was)), "signature is not of the key"), "{seed}");
    }
    assert!(is_strange(&fit(&log(true), &attempt_by(None, kept)), "nobody signed it"));
    // Another fate below the same signature.
    let mut changed = attempt_by(Some(2), as_it_was);
    kept(&mut changed);
    assert!(is_strange(&fit(&log(true), &changed), "signature is not of the key"));
    // An older slm signed none.
    assert_eq!(fit(&log(false), &attempt_by(None, as_it_was)), Fit::Ours);
}

#[test]
fn what_is_about_a_run_that_is_not_here_waits_and_about_none_is_strange() {
    let of = |seed: Option<u8>, entries: u64, run: &str| {
        attempt_by(seed, |attempt| {
            (attempt.entries, attempt.run) = (entries, run.to_owned());
        })
    };
    let log = log(false);
    assert_eq!(fit(&log, &of(None, 10, "r10")), Fit::Unknown);
    assert_eq!(fit(&log, &of(Some(2), 10, "r10")), Fit::Unknown);
    assert!(is_strange(&fit(&log, &of(None, 6, "r6")), "no checkpoint of the log has 6 entries"));
    assert!(is_strange(&fit(&log, &of(None, 7, "r6")), "about no run"));
    assert_eq!(fit(&log, &of(Some(2), 6, "r6")), Fit::Unknown, "we signed it, and the run is gone");
    assert_eq!(fit(&Log { cut_off: true, ..self::log(false) }, &of(None, 6, "r6")), Fit::Unknown);
    // In another place, in another spelling, and with something beside it.
    let attempt = attempt_by(Some(2), |_| {});
    let bytes = canonical::json(&attempt).unwrap();
    assert_eq!(judge(&log, &filed("anchors/1999/01/01/r7.json", &bytes), &|_| None), Fit::Unknown);
    let spaced = [&bytes[..], b"\n"].concat();
    for (path, bytes) in [(attempt_path("r7", received()), &spaced[..]), ("runs/2026/11/29/r9.json".to_owned(), b"{}\n")] {
        assert!(is_strange(&judge(&log, &filed(&path, bytes), &|_| None), "slm writes no such file"), "{path}");
    }
}

#[test]
fn a_token_is_taken_when_it_is_over_a_checkpoint_of_ours_and_by_whom_its_anchor_trusts() {
    let log = log(true);
    let trusting = |anchor: &str| (anchor == "tsa").then(|| authorities(ROOT));
    let of = |anchor: &str, size: u64, note: &[u8], bytes: &[u8]| {
        judge(&log, &filed(&token_path(anchor, size, note, received()), bytes), &trusting)
    };
    assert_eq!(of("tsa", 7, NOTE, TOKEN), Fit::Ours);
    assert_eq!(of("gone", 7, NOTE, TOKEN), Fit::Unknown, "no such anchor is declared");
    assert_eq!(of("tsa", 10, NOTE, TOKEN), Fit::Unknown, "another run may have made that checkpoint");
    assert!(is_strange(&of("tsa", 7, NOTE, b"junk"), "proves nothing"));
    assert!(is_strange(&of("tsa", 7, b"another\n", TOKEN), "not that of a token over our checkpoint of 7 entries"));
    assert!(is_strange(&of("gone", 3, NOTE, b"junk"), "no checkpoint of the log has 3 entries"));
    // Over another checkpoint, below the name of ours.
    let mut other = self::log(true);
    (other.runs[0].shown.note, other.runs[0].sealed.sha256) = (b"other\n".to_vec(), Sha256::digest(b"other\n").into());
    let path = token_path("tsa", 7, b"other\n", received());
    assert!(is_strange(&judge(&other, &filed(&path, TOKEN), &trusting), "the log is not the one whose 7 entries"));
}

#[test]
fn the_file_of_a_run_says_whom_it_shows_its_checkpoint_to() {
    let run = br#"{"format":1,"result":{"outcomes":[],"shown":{"signed":true,"to":[{"id":"tsa","kind":"rfc3161"}]}},"run":{}}"#;
    let to = vec![Place { id: "tsa".to_owned(), kind: "rfc3161".to_owned() }];
    assert_eq!(shown_to(run), Some(ShownTo { to, signed: true }));
    assert_eq!(shown_to(br#"{"format":1,"result":{"outcomes":[]}}"#), None);
}
