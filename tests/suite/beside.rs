//! What somebody else puts on the branch where what anchors said waits to be logged, changes on it, or takes from it.

use std::fs;

use crate::anchors::{ANCHORS, Kept, put};
use crate::support::Ran;
use crate::tsa::Mode;
use crate::verify::{BRANCH, git};

/// Puts a file with `text` at `path` of that branch, as anybody who may push can.
fn plant(kept: &Kept, path: &str, text: &[u8]) {
    let (root, file) = (kept.world.root(), kept.world.outside("planted"));
    fs::write(&file, text).unwrap();
    put(&root, path, &git(&root, &["hash-object", "-w", &file.to_string_lossy()]));
}

/// Where what became of the last run waits, and what it says.
fn attempt(kept: &Kept) -> (String, String) {
    let logged = kept.files(BRANCH);
    let path = kept.files(ANCHORS).into_iter().find(|path| path.ends_with(".json") && !logged.contains(path)).unwrap();
    let text = git(&kept.world.root(), &["show", &format!("{ANCHORS}:{path}")]) + "\n";
    (path, text)
}

fn period(kept: &Kept) -> Ran {
    kept.world.slm(&["report", "period"])
}

#[test]
fn what_somebody_else_puts_beside_the_evidence_is_a_finding_and_goes_into_no_log() {
    let kept = Kept::new();
    kept.apply().exits(0);
    let genuine = kept.files(ANCHORS);
    kept.key();
    let before = git(&kept.world.root(), &["rev-parse", ANCHORS]);
    let day = "2026/01/01";
    let planted = [
        format!("runs/{day}/20260101T050000Z-deadbeef.json"),
        "decisions/ROT-99.jsonl".to_owned(),
        "exceptions/forged.toml".to_owned(),
        "rotations/x/y.json".to_owned(),
        format!("raw/{day}/x/list.json"),
        "attestations/ROT-01/2026.toml".to_owned(),
        "snapshot/Slm.Credential.jsonl".to_owned(),
        format!("anchors/{day}/20260101T050000Z-deadbeef.json"),
        "anchors/notes.txt".to_owned(),
    ];
    planted.iter().for_each(|path| plant(&kept, path, b"{}\n"));

    let said = kept.apply().exits(7).says("Recorded as ").says(
        "error[slm::evidence-strange-file]: `anchors/2026/01/01/20260101T050000Z-deadbeef.json` on `slm/evidence-anchors` is not what slm puts there",
    );
    assert_eq!(
        said.out.matches("is not what slm puts there: slm writes no such file; it is not logged").count(),
        5,
        "{}",
        said.out
    );
    assert!(said.out.contains("error[slm::evidence-strange-file]: and 4 more\n"), "{}", said.out);
    let logged = kept.files(BRANCH);
    assert!(genuine.iter().all(|path| logged.contains(path)), "what slm put there is logged all the same: {logged:?}");
    assert!(!planted.iter().any(|path| logged.contains(path)), "{logged:?}");
    kept.verify(&[]).exits(0).says("Everything on slm/evidence holds: 2 commits");
    let drift = kept.world.slm(&["report", "drift"]).exits(7).says("You must act: the evidence does not hold");
    assert!(drift.out.contains("on `slm/evidence-anchors` is not what slm puts there"), "{}", drift.out);
    kept.apply().exits(7);

    // Tokens of no authority, over no checkpoint of ours and in the name of one that is.
    git(&kept.world.root(), &["update-ref", ANCHORS, &before]);
    kept.apply().exits(0);
    let newest = kept.files(ANCHORS).into_iter().find(|path| path.ends_with(".tsr") && !kept.files(BRANCH).contains(path)).unwrap();
    let whole = git(&kept.world.root(), &["rev-parse", ANCHORS]);
    for (path, why) in [
        (newest.clone(), "proves nothing: it is no answer of a timestamp authority"),
        (format!("anchors/tsa/{day}/1-deadbeef.tsr"), "no checkpoint of the log has 1 entries"),
    ] {
        plant(&kept, &path, b"junk");
        kept.apply().exits(7).says(&format!("`{path}` on `slm/evidence-anchors` is not what slm puts there: ")).says(why);
        assert!(!kept.files(BRANCH).contains(&path), "{path}");
        git(&kept.world.root(), &["update-ref", ANCHORS, &whole]);
    }
    kept.apply().exits(0);
    assert!(kept.files(BRANCH).contains(&newest), "nothing was lost by that");
    kept.verify(&[]).exits(0);
}

#[test]
fn that_an_anchor_failed_cannot_become_that_it_kept_a_run_while_that_waits_to_be_logged() {
    let kept = Kept::new();
    kept.apply().exits(0);
    kept.key();
    assert!(!period(&kept).out.contains("anchor `tsa`"));
    kept.tsa.answers(Mode::Down);
    kept.apply().exits(3).says("! `tsa` does not keep it: ");
    kept.tsa.answers(Mode::Fine);
    period(&kept).exits(3).says("! unproven    anchor `tsa` did not keep 1 run of ").says("HTTP 503");
    let (path, text) = attempt(&kept);
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let tried = json["anchors"].as_array().unwrap().iter().position(|one| one["id"] == "tsa").unwrap();
    assert!(json["anchors"][tried]["fate"]["failed"].is_string() && json["signature"].is_string(), "{json}");
    json["anchors"][tried]["fate"] = "kept".into();
    let changed = json.to_string() + "\n";
    json.as_object_mut().unwrap().remove("signature");
    let unsigned = json.to_string() + "\n";

    for (lie, why) in [(changed, "its signature is not of the key that signed its checkpoint"), (unsigned, "nobody signed it")] {
        plant(&kept, &path, lie.as_bytes());
        period(&kept).exits(3).says("! unproven    nobody knows whether anchor `tsa` kept 1 run of ");
        kept.apply().exits(7).says(&format!("`{path}` on `slm/evidence-anchors` is not what slm puts there: {why}"));
        assert!(!kept.files(BRANCH).contains(&path));
    }
    // As it was, it is logged.
    plant(&kept, &path, text.as_bytes());
    kept.apply().exits(0);
    assert!(kept.files(BRANCH).contains(&path));
    period(&kept).exits(3).says("! unproven    anchor `tsa` did not keep 1 run of ").says(" caught up");
    kept.verify(&[]).exits(0).says("`tsa` did not keep 1 of ");
}

#[test]
fn what_became_of_a_run_and_was_taken_away_before_it_was_logged_is_a_gap() {
    let kept = Kept::new();
    kept.apply().exits(0);
    kept.tsa.answers(Mode::Down);
    kept.apply().exits(3);
    kept.tsa.answers(Mode::Fine);
    git(&kept.world.root(), &["update-ref", "-d", ANCHORS]);
    let lost = "! unproven    nobody knows whether anchor `tsa` kept 1 run of ";
    let why = ": what it said is in no log and does not wait here to be; ";
    period(&kept).exits(3).says(lost).says(&format!("{why}no later run says that it has all before"));
    kept.world.slm(&["status"]).exits(3).says("! nobody knows whether anchor `mirror` kept 1 run of ");
    kept.apply().exits(0);
    period(&kept).exits(3).says(lost).says(" caught up");
    let status = kept.world.slm(&["status"]);
    assert!(!status.out.contains("nobody knows"), "{}", status.out);
}

#[test]
fn what_an_older_slm_wrote_down_without_a_signature_is_logged_as_before() {
    // Without a key nobody signs, as before there were signatures.
    let kept = Kept::new();
    kept.world.edit("slm.toml", "key = { source = \"local\", name = \"slm/log-key\" }\n", "");
    kept.world.commit();
    kept.tsa.answers(Mode::Down);
    kept.apply().exits(3);
    let (path, text) = attempt(&kept);
    assert!(!text.contains("signature"), "{text}");
    kept.tsa.answers(Mode::Fine);
    // The key comes with the run that logs it.
    let settings = "origin = \"acme\"\n";
    kept.world.edit("slm.toml", settings, &format!("{settings}key = {{ source = \"local\", name = \"slm/log-key\" }}\n"));
    kept.world.commit();
    kept.apply().exits(0);
    assert!(kept.files(BRANCH).contains(&path));
    kept.apply().exits(0);
    kept.verify(&[]).exits(0).says("`tsa` did not keep 1 of 3 runs");
}
