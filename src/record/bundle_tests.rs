//! A bundle that holds, and everything that can be done to it with an editor.

use super::*;
use crate::record::ledger::Ledger;
use crate::record::log::Signer;

const RUNS: [&str; 3] = ["20260330T050000Z-aaaaaaaa", "20260331T050000Z-bbbbbbbb", "20260402T050000Z-cccccccc"];

type Files = BTreeMap<String, Vec<u8>>;

/// What the run `number` says that it looked at.
fn run_file(number: usize) -> String {
    format!("{{\"controls\":{{\"ROT-01\":{{}}}},\"populations\":[{{\"entity\":\"A\"}}],\"run\":{number}}}\n")
}

/// Where the decisions of the second run stand.
const DECIDED: &str = "controls/ROT-01/decisions/2026-03-31T050000Z/ROT-01.jsonl";

/// A log of three runs, of which the second is on the one day of the bundle.
fn bundle() -> Files {
    let ledger = Ledger::new("acme.example/slm".to_owned(), Some(Signer::new("acme.example/slm", &[1; 32]).unwrap()), None);
    let mut log: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let (mut entries, mut checkpoints) = (Vec::new(), BTreeMap::new());
    for (number, run) in RUNS.iter().enumerate() {
        let leaves = [
            Leaf::of("decisions/ROT-01.jsonl", format!("d{number}\n").as_bytes()),
            Leaf::of(&format!("runs/2026/{run}.json"), run_file(number).as_bytes()),
            Leaf::of("snapshot/A.jsonl", format!("s{number}\n").as_bytes()),
        ];
        let at = RUNS[number].get(..16).unwrap().parse().unwrap();
        let read = |path: &str| Ok(log.get(&format!("log/{path}")).cloned());
        let (changes, _) = ledger.extend(read, &leaves, at).unwrap();
        for (path, file) in changes {
            match file {
                Some(file) => drop(log.insert(path, file.bytes().unwrap().into_owned())),
                None => drop(log.remove(&path)),
            }
        }
        entries.extend(leaves);
        checkpoints.insert(entries.len(), log[CHECKPOINT].clone());
    }
    let text = |leaf: &Leaf| String::from_utf8(leaf.entry()).unwrap() + "\n";
    let packed = |file: &str, entry: u64, bytes: &str| {
        let leaf = &entries[usize::try_from(entry).unwrap()];
        assert_eq!(hex(&leaf.sha256), hex(&Sha256::digest(bytes)));
        Packed { bytes: leaf.bytes, entry: Some(entry), file: file.to_owned(), path: leaf.path.clone(), sha256: hex(&leaf.sha256) }
    };
    let run = format!("evidence/runs/2026/{}.json", RUNS[1]);
    let evidence = [(DECIDED, 3, "d1\n"), (&run, 4, &run_file(1)), ("evidence/snapshot/A.jsonl", 5, "s1\n")];
    let manifest = Manifest {
        format: 1,
        from: "2026-03-31".parse().unwrap(),
        to: "2026-03-31".parse().unwrap(),
        framework: None,
        controls: vec!["ROT-01".to_owned()],
        raw: false,
        anchors: true,
        files: evidence.iter().map(|(file, entry, bytes)| packed(file, *entry, bytes)).collect(),
    };
    let mut files: Files = log.into_iter().filter(|(path, _)| path == CHECKPOINT || path.starts_with("log/keys/")).collect();
    files.insert(ENTRIES.to_owned(), entries.iter().map(text).collect::<String>().into_bytes());
    files.insert(format!("{CHECKPOINTS}6"), checkpoints[&6].clone());
    files.extend(evidence.iter().map(|(file, _, bytes)| ((*file).to_owned(), bytes.as_bytes().to_vec())));
    files.insert("index.html".to_owned(), b"<p>".to_vec());
    files.insert(MANIFEST.to_owned(), manifest.text().into_bytes());
    seal(files)
}

/// The same with what `change` does to it, sealed anew.
fn with(change: impl FnOnce(&mut Manifest, &mut Files)) -> Files {
    let mut files = bundle();
    let mut manifest: Manifest = serde_json::from_slice(&files[MANIFEST]).unwrap();
    change(&mut manifest, &mut files);
    files.insert(MANIFEST.to_owned(), manifest.text().into_bytes());
    seal(files)
}

/// What is found in `files`, by code and in words.
fn found(files: &Files) -> Vec<(&'static str, String)> {
    check(files).findings.into_iter().map(|one| (one.code, one.what)).collect()
}

/// With its digest made anew, as whoever changes a bundle can.
fn seal(mut files: Files) -> Files {
    files.remove(DIGEST);
    let digest = digest(&files);
    files.insert(DIGEST.to_owned(), digest.into_bytes());
    files
}

fn check(files: &Files) -> Checked {
    let read = |name: &str| Ok(files.get(name).cloned());
    Bundle { names: files.keys().cloned().collect(), read: &read }.check()
}

fn codes(files: &Files) -> Vec<&'static str> {
    check(files).findings.into_iter().map(|finding| finding.code).collect()
}

fn changed(name: &str, from: &str, to: &str) -> Files {
    let mut files = bundle();
    let text = String::from_utf8(files[name].clone()).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    files.insert(name.to_owned(), text.replacen(from, to, 1).into_bytes());
    files
}

#[test]
fn a_bundle_that_holds_says_what_it_proves() {
    let checked = check(&bundle());
    assert_eq!(checked.findings, []);
    assert_eq!((checked.files, checked.proven, checked.older), (10, 3, 0));
    let standing = checked.standing.unwrap();
    assert_eq!((standing.origin.as_str(), standing.head.size, checked.keys.len()), ("acme.example/slm", 9, 1));
    assert_eq!((checked.unproven, checked.notes, checked.left_out), (Vec::new(), Vec::new(), Vec::new()));
    assert_eq!(checked.period, ["2026-03-31T05:00:00Z".parse().unwrap()]);
}

#[test]
fn a_checkpoint_that_was_kept_holds_a_bundle_to_its_entries_and_where_it_has_that_one_to_its_date() {
    let checked = check(&bundle());
    let standing = checked.standing.clone().unwrap();
    assert_eq!(checked.extends(&standing), Ok(()));
    let dated = |head: Head| Standing { head, received: "2026-04-01T05:00:00Z".parse().unwrap(), ..standing.clone() };
    let finding = checked.extends(&dated(standing.head)).unwrap_err();
    let what = "the log came to 9 entries at 2026-04-01T05:00:00Z when that was seen, and at 2026-04-02T05:00:00Z by now";
    assert_eq!((finding.code, finding.what.as_str()), ("slm::evidence-forked", what));
    // Nothing in it says when it came to five.
    let five = Head { size: 5, root: root_of(&checked.leaves[..5]) };
    assert_eq!(checked.extends(&dated(five)), Ok(()));
}

#[test]
fn a_manifest_is_read_as_it_was_written() {
    let text = bundle()[MANIFEST].clone();
    let read: Manifest = serde_json::from_slice(&text).unwrap();
    assert_eq!(read.text().into_bytes(), text);
}

#[test]
fn a_page_that_was_changed_is_not_what_was_packed() {
    assert_eq!(codes(&changed("index.html", "<p>", "<q>")), ["slm::bundle-changed"]);
}

#[test]
fn evidence_that_was_edited_is_found_though_everything_is_sealed_anew() {
    let edited = changed(DECIDED, "d1", "dX");
    assert_eq!(codes(&seal(edited.clone())), ["slm::evidence-edited"]);
    // With the manifest made to fit as well.
    let mut edited = edited;
    let (is, was) = (hex(&Sha256::digest("dX\n")), hex(&Sha256::digest("d1\n")));
    let manifest = String::from_utf8(edited[MANIFEST].clone()).unwrap().replace(&was, &is);
    edited.insert(MANIFEST.to_owned(), manifest.into_bytes());
    assert_eq!(codes(&seal(edited.clone())), ["slm::evidence-edited"]);
    // And the entry.
    let entries = String::from_utf8(edited[ENTRIES].clone()).unwrap().replace(&was, &is);
    edited.insert(ENTRIES.to_owned(), entries.into_bytes());
    assert_eq!(codes(&seal(edited)), ["slm::evidence-other-root"]);
}

#[test]
fn what_was_left_out_is_found() {
    let mut files = bundle();
    let mut manifest: Manifest = serde_json::from_slice(&files[MANIFEST]).unwrap();
    let gone = manifest.files.remove(0);
    files.remove(&gone.file);
    files.insert(MANIFEST.to_owned(), manifest.text().into_bytes());
    let found = check(&seal(files)).findings;
    assert_eq!(found.iter().map(|one| one.code).collect::<Vec<_>>(), ["slm::bundle-withheld"]);
    assert_eq!(found[0].what, "entry 3, `decisions/ROT-01.jsonl`, is of the period and was left out");
    let mut lost = bundle();
    lost.remove("index.html");
    assert_eq!(codes(&lost), ["slm::bundle-lacks"]);
}

#[test]
fn a_longer_period_wants_what_is_of_it() {
    let later = with(|manifest, _| manifest.to = "2026-04-02".parse().unwrap());
    assert_eq!(
        found(&later).into_iter().map(|(_, what)| what).collect::<Vec<_>>(),
        [
            "`evidence/snapshot/A.jsonl` is another version of `snapshot/A.jsonl` than was in force in the last run of the period"
                .to_owned(),
            "entry 6, `decisions/ROT-01.jsonl`, is of the period and was left out".to_owned(),
            format!("entry 7, `runs/2026/{}.json`, is of the period and was left out", RUNS[2]),
            "entry 8, `snapshot/A.jsonl`, is of the period and was left out".to_owned(),
        ]
    );
    let earlier = with(|manifest, _| manifest.from = "2026-03-30".parse().unwrap());
    assert_eq!(
        found(&earlier).into_iter().map(|(_, what)| what).collect::<Vec<_>>(),
        [
            format!("the checkpoint of run `{}` is of the period and was left out", RUNS[0]),
            "entry 0, `decisions/ROT-01.jsonl`, is of the period and was left out".to_owned(),
            format!("entry 1, `runs/2026/{}.json`, is of the period and was left out", RUNS[0]),
        ]
    );
}

#[test]
fn a_period_has_a_day_and_a_run() {
    let of = |from: &str, to: &str| {
        found(&with(|manifest, files| {
            (manifest.from, manifest.to) = (from.parse().unwrap(), to.parse().unwrap());
            manifest.controls.clear();
            manifest.files.clear();
            files.retain(|name, _| !name.starts_with("controls/") && !name.starts_with("evidence/"));
        }))
    };
    let none = "the log has no run of 2025-01-01 to 2025-12-31, and no bundle is made of such days";
    assert_eq!(of("2025-01-01", "2025-12-31"), [("slm::bundle-empty", none.to_owned())]);
    let turned = "`manifest.json` is of 2026-12-31 to 2026-01-01, which has no day";
    assert_eq!(of("2026-12-31", "2026-01-01"), [("slm::bundle-empty", turned.to_owned())]);
}

#[test]
fn evidence_that_nobody_logged_is_found_though_no_manifest_names_it() {
    for name in [
        "evidence/exceptions/ok.toml",
        "evidence/runs/2026/20260331T000000Z-00000000.json",
        "evidence/forged.html",
        "controls/ROT-01/decisions/2026-03-31T235900Z/ROT-01.jsonl",
        "controls/ROT-01/decisions/2026-03-31T050000Z/ROT-01.json",
        "log/x.bin",
        "log/keys/9",
        "objects/aa/bb.zst",
        "anchors/2026/03/31/x.json",
    ] {
        let files = with(|_, files| drop(files.insert(name.to_owned(), b"forged".to_vec())));
        let what = format!("`{name}` stands where evidence does, and is none: nothing in the log is of it");
        assert_eq!(found(&files), [("slm::evidence-unlogged", what)]);
    }
    // Where another machine unpacks it there.
    for name in
        ["Evidence/exceptions/ok.toml", "./evidence/ok.toml", "x/../evidence/ok.toml", "evidence\\ok.toml", "x//y", "a\u{1b}"]
    {
        let files = with(|_, files| drop(files.insert(name.to_owned(), b"forged".to_vec())));
        let what = format!("`{}` is no name that slm gives", name.escape_debug());
        assert_eq!(found(&files), [("slm::bundle-strange", what)]);
    }
    let page = with(|_, files| drop(files.insert("controls/ROT-01/index.html".to_owned(), b"<p>".to_vec())));
    assert_eq!(found(&page), [], "a page is what was packed and no more");
}

#[test]
fn a_file_of_evidence_stands_nowhere_but_in_its_place() {
    // The genuine one elsewhere, and a forged one where it was.
    let moved = with(|manifest, files| {
        let genuine = files.insert(DECIDED.to_owned(), b"forged".to_vec()).unwrap();
        files.insert("log/x.bin".to_owned(), genuine);
        manifest.files[0].file = "log/x.bin".to_owned();
    });
    let place = format!("`log/x.bin` is what belongs at `{DECIDED}`");
    let none = format!("`{DECIDED}` stands where evidence does, and is none: nothing in the log is of it");
    assert_eq!(found(&moved), [("slm::bundle-misplaced", place), ("slm::evidence-unlogged", none)]);
    // Two that changed places.
    let swapped = with(|manifest, files| {
        let (run, seen) = (manifest.files[1].file.clone(), manifest.files[2].file.clone());
        let bytes = files.insert(run.clone(), files[&seen].clone()).unwrap();
        files.insert(seen.clone(), bytes);
        (manifest.files[1].file, manifest.files[2].file) = (seen, run);
    });
    let codes: Vec<_> = found(&swapped).into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, ["slm::bundle-misplaced", "slm::bundle-misplaced"]);
    // One that is named twice.
    let twice = with(|manifest, _| manifest.files.push(manifest.files[0].clone()));
    assert_eq!(found(&twice), [("slm::evidence-unlogged", format!("`{DECIDED}` is named twice, and is one file"))]);
}

#[test]
fn a_version_from_another_day_is_not_that_of_the_run() {
    // What the run of the day before said, in the place of what this one said, and beside it.
    let older = |manifest: &mut Manifest, files: &mut Files, at: usize, (entry, bytes): (u64, &str)| {
        let sha256 = hex(&Sha256::digest(bytes));
        let packed = Packed { entry: Some(entry), bytes: bytes.len() as u64, sha256, ..manifest.files[at].clone() };
        files.insert(packed.file.clone(), bytes.as_bytes().to_vec());
        manifest.files[at] = packed;
    };
    let decided = with(|manifest, files| older(manifest, files, 0, (0, "d0\n")));
    assert_eq!(
        found(&decided),
        [
            (
                "slm::bundle-misplaced",
                format!("`{DECIDED}` is a version of `decisions/ROT-01.jsonl` that was in force in no run of the period")
            ),
            ("slm::bundle-withheld", "entry 3, `decisions/ROT-01.jsonl`, is of the period and was left out".to_owned())
        ]
    );
    for (entry, bytes) in [(2, "s0\n"), (8, "s2\n")] {
        let seen = with(|manifest, files| older(manifest, files, 2, (entry, bytes)));
        let codes: Vec<_> = found(&seen).into_iter().map(|(code, _)| code).collect();
        assert_eq!(codes, ["slm::bundle-misplaced", "slm::bundle-withheld"], "{bytes}");
    }
}

#[test]
fn a_control_that_was_judged_and_is_left_out_leaves_something_unproven() {
    let without = |framework: Option<&str>| {
        let files = with(|manifest, files| {
            manifest.controls.clear();
            manifest.framework = framework.map(str::to_owned);
            manifest.files.remove(0);
            files.remove(DECIDED);
        });
        let Checked { findings, unproven, notes, left_out, .. } = check(&files);
        assert_eq!((findings, left_out), (Vec::new(), vec!["ROT-01".to_owned()]));
        let told = |all: Vec<Remark>| all.into_iter().map(|one| (one.code, one.what)).collect::<Vec<_>>();
        (told(unproven), told(notes))
    };
    let none = "0 of the 1 controls that were judged are in it, and it names no framework that these serve: not `ROT-01`";
    assert_eq!(without(None), (vec![("slm::bundle-partial", none.to_owned())], Vec::new()));
    let soc2 = "0 of the 1 controls that were judged are in it, those that serve `soc2` by its own word, and not `ROT-01`";
    assert_eq!(without(Some("soc2")), (Vec::new(), vec![("slm::bundle-of-framework", soc2.to_owned())]));
}

#[test]
fn without_the_checkpoints_of_its_runs_a_bundle_shows_no_dates() {
    let gone = with(|_, files| drop(files.remove(&format!("{CHECKPOINTS}6"))));
    let left_out = format!("the checkpoint of run `{}` is of the period and was left out", RUNS[1]);
    assert_eq!(found(&gone), [("slm::bundle-withheld", left_out)]);
    let silent = check(&with(|manifest, files| {
        manifest.anchors = false;
        files.remove(&format!("{CHECKPOINTS}6"));
    }));
    assert_eq!(silent.findings, []);
    assert_eq!(silent.unproven.iter().map(|one| one.code).collect::<Vec<_>>(), ["slm::bundle-partial"]);
    assert!(silent.unproven[0].what.contains("when a run was recorded"), "{}", silent.unproven[0].what);
}

#[test]
fn what_the_last_run_saw_cannot_be_left_out() {
    let unseen = with(|manifest, files| {
        manifest.files.remove(2);
        files.remove("evidence/snapshot/A.jsonl");
    });
    let left_out = "entry 5, `snapshot/A.jsonl`, is of the period and was left out".to_owned();
    assert_eq!(found(&unseen), [("slm::bundle-withheld", left_out)]);
}

#[test]
fn a_file_that_nobody_packed_and_a_checkpoint_of_another_key_are_found() {
    let mut files = bundle();
    files.insert("more.txt".to_owned(), Vec::new());
    assert_eq!(codes(&files), ["slm::bundle-strange"]);
    let text = String::from_utf8(bundle()[CHECKPOINT].clone()).unwrap();
    let signature = text.lines().last().unwrap().to_owned();
    let forged = signature.chars().rev().collect::<String>();
    assert_eq!(codes(&seal(changed(CHECKPOINT, &signature, &forged))), ["slm::evidence-bad-checkpoint"]);
}

#[test]
fn a_key_that_is_only_copied_into_a_bundle_has_signed_nothing() {
    let signer = |seed: u8| Signer::new("acme.example/slm", &[seed; 32]).unwrap();
    let (text, _) = ledger::text_of(&bundle()[CHECKPOINT]).map(|(text, had)| (text.to_owned(), had)).unwrap();
    let with = |checkpoint: &str, keys: &[&str]| {
        let mut files = bundle();
        files.retain(|name, _| !name.starts_with("log/keys/"));
        files.insert(CHECKPOINT.to_owned(), checkpoint.as_bytes().to_vec());
        files.extend((1..).zip(keys).map(|(number, note)| (format!("log/keys/{number}"), note.as_bytes().to_vec())));
        check(&seal(files))
    };
    let note = |number: u32, seed: u8, from: u64, before: Option<u8>| {
        keys::handover("acme.example/slm", number, &signer(seed), from, before.map(signer).as_ref()).unwrap()
    };
    // By nobody's key, or by a retired one.
    let early = with(&text, &[&note(1, 1, 16, None)]);
    let signed = super::super::log::compose(&text, &[signer(1).sign(&text).unwrap()]).unwrap();
    let retired = with(&signed, &[&note(1, 1, 0, None), &note(2, 2, 31, Some(1))]);
    for (checked, file, from) in [(early, "keys/1", 16), (retired, "keys/2", 31)] {
        let [Finding { code, what, .. }] = &checked.findings[..] else { panic!("{:?}", checked.findings) };
        assert_eq!(
            (*code, what.clone()),
            ("slm::evidence-bad-key", format!("`{file}` takes over from entry {from}, and is kept in a log of 9"))
        );
    }
    let past = with(&signed, &[&note(1, 1, 0, None), &note(2, 2, 8, Some(1))]);
    assert_eq!(past.findings[0].code, "slm::evidence-bad-checkpoint", "the heir signs from entry 8 on, and did not");
    assert_eq!(with(&signed, &[&note(1, 1, 0, None)]).findings, []);
}

#[test]
fn what_nobody_logged_is_not_older_than_a_log_that_began_with_the_locker() {
    let with = |path: &str| {
        check(&with(|manifest, files| {
            let sha256 = hex(&Sha256::digest("made up\n"));
            manifest.files.push(Packed { bytes: 8, entry: None, file: format!("evidence/{path}"), path: path.to_owned(), sha256 });
            files.insert(format!("evidence/{path}"), b"made up\n".to_vec());
        }))
        .findings
    };
    for path in ["exceptions/x.toml", "runs/2026/20260331T060000Z-dddddddd.json", "raw/x"] {
        let found = with(path);
        assert_eq!(
            found.iter().map(|one| (one.code, one.what.as_str())).collect::<Vec<_>>(),
            [("slm::evidence-unlogged", format!("`evidence/{path}` is in no entry of the log").as_str())]
        );
    }
}

#[test]
fn a_log_that_began_later_has_nothing_of_what_was_replaced_by_then() {
    let leaf = |path: &str| Leaf::of(path, b"x");
    let first = [
        leaf("decisions/A-1.jsonl"),
        leaf("runs/2026/20260101T050000Z-1.json"),
        leaf("runs/2026/20260102T050000Z-2.json"),
        leaf("snapshot/A.jsonl"),
    ];
    let second = [leaf("decisions/A-1.jsonl"), leaf("runs/2026/20260103T050000Z-3.json")];
    let entries = [&first[..], &second].concat();
    assert_eq!((begins_later(&entries), begins_later(&second), begins_later(&[])), (true, false, false));
    let one = |path: &str| Packed { bytes: 1, entry: None, file: "f".to_owned(), path: path.to_owned(), sha256: "aa".to_owned() };
    let packed = BTreeMap::from([("f".to_owned(), "aa".to_owned())]);
    let told = |path: &str| logged(&one(path), &packed, &entries, true).map_err(|finding| finding.code);
    assert_eq!(told("decisions/A-1.jsonl"), Ok(false), "a version from before the log");
    assert_eq!(told("runs/2026/0.json"), Err("slm::evidence-unlogged"), "what is written once was there when it began");
    let said = |older| Checked { older, ..Checked::default() }.unvouched().map(|remark| remark.what);
    assert_eq!(said(0), None);
    assert_eq!(said(1).as_deref(), Some("1 file is older than the log, vouched for by nobody"));
    assert_eq!(said(2).as_deref(), Some("2 files are older than the log, vouched for by nobody"));
}
