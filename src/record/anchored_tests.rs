//! Tokens of a real authority beside chains whose checkpoint they are over, or are not.

use sha2::{Digest as _, Sha256};

use super::super::leaf::Leaf;
use super::super::ledger::{FOLDER as LOG, Ledger};
use super::super::log::Signer;
use super::super::verify::{Chain, Changed, How, Step};
use super::*;

/// Over the bytes `checkpoint` and a newline, which is the checkpoint of no log.
const TOKEN: &[u8] = include_bytes!("../../fixtures/timestamps/rsa.tsr");
const DATA: &[u8] = b"checkpoint\n";
const ROOT: &[u8] = include_bytes!("../../fixtures/timestamps/rsa.pem");

/// A chain of one run of `began`.
fn chain(began: i64) -> Chain {
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let ledger = Ledger::new("log".to_owned(), Some(Signer::new("log", &[1; 32]).unwrap()), None);
    let run = format!("{{\"run\":{{\"at\":\"{}\",\"id\":\"r1\"}}}}\n", at(began)).into_bytes();
    let leaf = Leaf::of("runs/r1.json", &run);
    let (files, _) = ledger.extend(|_| Ok(None), std::slice::from_ref(&leaf), at(began)).unwrap();
    let read = |path: &str| {
        let file = files.get(&format!("{LOG}{path}")).and_then(Option::as_ref);
        file.map(|blob| blob.bytes().map(std::borrow::Cow::into_owned)).transpose()
    };
    let mut chain = Chain::default();
    let step = Step {
        commit: "c1",
        message: "run r1: 0 of 0 actions done",
        author: at(began),
        committer: at(began),
        parents: 0,
        changed: vec![Changed { how: How::Added, leaf }],
        run: Some(("runs/r1.json".to_owned(), run)),
        log: files.keys().map(|path| (How::Added, path[LOG.len()..].to_owned())).collect(),
        is: &|path, bytes| read(path).is_ok_and(|file| file.as_deref() == Some(bytes)),
        read: &read,
    };
    chain.follow(&step).unwrap();
    chain
}

fn filed(path: &str, bytes: &[u8]) -> Filed {
    Filed { path: path.to_owned(), bytes: bytes.to_vec(), logged: None }
}

fn codes(judged: &Judged) -> Vec<&'static str> {
    judged.findings.iter().map(|finding| finding.code).collect()
}

fn trusting(_: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    Ok(timestamp::authorities(ROOT))
}

fn shown(chain: &Chain) -> Shown<'_> {
    Shown { entries: chain.head().size, sealed: chain.sealed() }
}

#[test]
fn a_token_over_another_log_of_that_size_or_of_a_longer_one_is_a_finding() {
    let chain = chain(1_795_000_000);
    for (size, code) in [(1, "slm::evidence-forked"), (0, "slm::evidence-forked"), (2, "slm::evidence-truncated")] {
        let judged = judge(shown(&chain), &[filed(&token_path("tsa", size, DATA, Timestamp::UNIX_EPOCH), TOKEN)], trusting);
        assert_eq!(codes(&judged), [code], "{size}");
        assert_eq!(judged.vouched, []);
    }
}

#[test]
fn a_token_that_is_none_or_of_nobody_trusted_is_a_finding_and_without_an_authority_nothing_is_proven() {
    let chain = chain(1_795_000_000);
    let nobody = |_: &str| Ok(timestamp::authorities(include_bytes!("../../fixtures/timestamps/ec.pem")));
    assert_eq!(codes(&judge(shown(&chain), &[filed("anchors/tsa/1.tsr", TOKEN)], nobody)), ["slm::evidence-bad-token"]);
    assert_eq!(codes(&judge(shown(&chain), &[filed("anchors/tsa/1.tsr", b"junk")], trusting)), ["slm::evidence-bad-token"]);
    let judged = judge(shown(&chain), &[filed("anchors/tsa/1.tsr", TOKEN)], |_| Err("nobody told".to_owned()));
    assert_eq!((codes(&judged), judged.unproven[0].code), (vec![], "slm::evidence-unjudged-token"));
    assert_eq!(judged.unproven[0].what, "tokens of `tsa`, 1, are not looked at: nobody told");
    assert_eq!(
        judge(shown(&chain), &[filed("anchors/tsa/x.tsr", TOKEN), filed("anchors/1.tsr", TOKEN)], trusting),
        Judged::default()
    );
}

/// A chain as if its only checkpoint, dated `received`, were the bytes that the token is over.
fn over_the_token(received: Timestamp) -> Chain {
    let mut chain = chain(received.as_second());
    chain.seal_as(Sha256::digest(DATA).into());
    chain
}

#[test]
fn what_an_authority_saw_existed_before_and_dates_that_contradict_it_are_found() {
    let seen = timestamp::open(TOKEN, &timestamp::authorities(ROOT)).unwrap().at;
    let at = |later: i64| Timestamp::from_second(seen.as_second() + later).unwrap();
    let file = |logged: Option<Timestamp>| Filed { logged, ..filed("anchors/tsa/1.tsr", TOKEN) };

    let held = judge(shown(&over_the_token(at(-2))), &[file(None), file(Some(at(3_600)))], trusting);
    let vouched = Vouched { anchor: "tsa".into(), authority: "CN=Acme timestamps,O=Acme".into(), tokens: 2, entries: 1, at: seen };
    assert_eq!(held, Judged { vouched: vec![vouched], ..Judged::default() });

    // Dated after it was seen; held by a commit that says it is older than the token.
    assert_eq!(codes(&judge(shown(&over_the_token(at(301))), &[file(None)], trusting)), ["slm::evidence-bad-date"]);
    assert_eq!(codes(&judge(shown(&over_the_token(at(-900))), &[file(Some(at(-301)))], trusting)), ["slm::evidence-bad-date"]);
    assert_eq!(codes(&judge(shown(&over_the_token(at(299))), &[file(Some(at(-299)))], trusting)), [""; 0]);

    // Made long before it was shown to anybody, by its own word.
    let late = judge(shown(&over_the_token(at(-90_000))), &[file(None)], trusting);
    assert_eq!((late.findings.len(), late.vouched.len(), late.remarks[0].code), (0, 1, "slm::evidence-stamped-late"));
    assert!(late.remarks[0].what.starts_with("1 of 1 checkpoints"), "{}", late.remarks[0].what);
}

#[test]
fn what_anchors_did_not_keep_is_told_from_what_was_recorded() {
    let attempt = |run: &str, entries: u64, fate: Kept| Attempt {
        format: 1,
        run: run.to_owned(),
        commit: "c".to_owned(),
        entries,
        anchors: vec![
            Tried { id: "mirror".to_owned(), kind: "git".to_owned(), fate },
            Tried { id: "tsa".to_owned(), kind: "rfc3161".to_owned(), fate: Kept::Kept },
        ],
        signature: None,
    };
    let all = [attempt("r1", 1, Kept::Failed("no answer".into())), attempt("r2", 2, Kept::Kept)];
    let files: Vec<Filed> = all
        .iter()
        .chain(&all)
        .map(|one| filed(&attempt_path(&one.run, Timestamp::UNIX_EPOCH), &serde_json::to_vec(one).unwrap()))
        .collect();
    let remarks = judge(shown(&chain(1_795_000_000)), &files, trusting).remarks;
    let what: Vec<&str> = remarks.iter().map(|remark| remark.what.as_str()).collect();
    assert_eq!(what, ["`mirror` did not keep 1 of 2 runs, the last time after run `r1`: no answer"]);
}
