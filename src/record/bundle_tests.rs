//! A bundle that holds, and everything that can be done to it with an editor.

use super::*;
use crate::record::ledger::Ledger;
use crate::record::log::Signer;

const RUNS: [&str; 3] = ["20260330T050000Z-aaaaaaaa", "20260331T050000Z-bbbbbbbb", "20260402T050000Z-cccccccc"];

type Files = BTreeMap<String, Vec<u8>>;

/// A log of three runs, of which the second is on the one day of the bundle; its last run changed nothing of the control.
fn bundle() -> Files {
    let ledger = Ledger::new("acme.example/slm".to_owned(), Some(Signer::new("acme.example/slm", &[1; 32]).unwrap()), None);
    let mut log: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut entries = Vec::new();
    for (number, run) in RUNS.iter().enumerate() {
        let leaves = [
            Leaf::of("decisions/ROT-01.jsonl", format!("d{number}\n").as_bytes()),
            Leaf::of(&format!("runs/2026/{run}.json"), format!("r{number}\n").as_bytes()),
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
    }
    let text = |leaf: &Leaf| String::from_utf8(leaf.entry()).unwrap() + "\n";
    let packed = |file: &str, entry: u64, bytes: &str| {
        let leaf = &entries[usize::try_from(entry).unwrap()];
        assert_eq!(hex(&leaf.sha256), hex(&Sha256::digest(bytes)));
        Packed { bytes: leaf.bytes, entry: Some(entry), file: file.to_owned(), path: leaf.path.clone(), sha256: hex(&leaf.sha256) }
    };
    let manifest = Manifest {
        format: 1,
        from: "2026-03-31".parse().unwrap(),
        to: "2026-03-31".parse().unwrap(),
        controls: vec!["ROT-01".to_owned()],
        raw: false,
        anchors: true,
        files: vec![packed("controls/ROT-01/d.jsonl", 3, "d1\n"), packed("evidence/run.json", 4, "r1\n")],
    };
    let mut files: Files = log.into_iter().filter(|(path, _)| path == CHECKPOINT || path.starts_with("log/keys/")).collect();
    files.insert(ENTRIES.to_owned(), entries.iter().map(text).collect::<String>().into_bytes());
    files.insert("controls/ROT-01/d.jsonl".to_owned(), b"d1\n".to_vec());
    files.insert("evidence/run.json".to_owned(), b"r1\n".to_vec());
    files.insert("index.html".to_owned(), b"<p>".to_vec());
    files.insert(MANIFEST.to_owned(), manifest.text().into_bytes());
    seal(files)
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
    assert_eq!((checked.files, checked.proven, checked.older), (8, 2, 0));
    let standing = checked.standing.unwrap();
    assert_eq!((standing.origin.as_str(), standing.head.size, checked.keys.len()), ("acme.example/slm", 9, 1));
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
    // Nothing in it says when it came to six.
    let six = Head { size: 6, root: root_of(&checked.leaves[..6]) };
    assert_eq!(checked.extends(&dated(six)), Ok(()));
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
    let edited = changed("controls/ROT-01/d.jsonl", "d1", "dX");
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
    let longer = seal(changed(MANIFEST, "\"to\": \"2026-03-31\"", "\"to\": \"2026-04-02\""));
    assert_eq!(codes(&longer), ["slm::bundle-withheld", "slm::bundle-withheld"]);
    let earlier = seal(changed(MANIFEST, "\"from\": \"2026-03-31\"", "\"from\": \"2026-03-30\""));
    assert_eq!(codes(&earlier), ["slm::bundle-withheld", "slm::bundle-withheld"]);
}

#[test]
fn what_was_in_force_when_the_period_began_belongs_to_it() {
    let files =
        changed(MANIFEST, "\"from\": \"2026-03-31\", \"to\": \"2026-03-31\"", "\"from\": \"2026-04-02\", \"to\": \"2026-04-02\"");
    // Its one run wrote decisions anew, so that only those and the run are missing.
    assert_eq!(codes(&seal(files)), ["slm::bundle-withheld", "slm::bundle-withheld"]);
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
        let mut files = bundle();
        let mut manifest: Manifest = serde_json::from_slice(&files[MANIFEST]).unwrap();
        let sha256 = hex(&Sha256::digest("made up\n"));
        manifest.files.push(Packed { bytes: 8, entry: None, file: "evidence/more".to_owned(), path: path.to_owned(), sha256 });
        files.insert("evidence/more".to_owned(), b"made up\n".to_vec());
        files.insert(MANIFEST.to_owned(), manifest.text().into_bytes());
        check(&seal(files)).findings
    };
    for path in ["decisions/ROT-01.jsonl", "runs/2026/20260331T060000Z-dddddddd.json", "raw/x"] {
        let found = with(path);
        assert_eq!(
            found.iter().map(|one| (one.code, one.what.as_str())).collect::<Vec<_>>(),
            [("slm::evidence-unlogged", "`evidence/more` is in no entry of the log")]
        );
    }
}

#[test]
fn a_log_that_began_later_has_nothing_of_what_was_replaced_by_then() {
    let leaf = |path: &str| Leaf::of(path, b"x");
    let first = [leaf("decisions/A-1.jsonl"), leaf("runs/2026/1.json"), leaf("runs/2026/2.json"), leaf("snapshot/A.jsonl")];
    let second = [leaf("decisions/A-1.jsonl"), leaf("runs/2026/3.json")];
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
