//! What can be done to a bundle with an editor, and what it can keep quiet: by slm, and by the page that is in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use slm::host::zipped::pack;
use slm::record::bundle::{Manifest, Packed};

use crate::bundle::{bundle, by_hand, files, recorded, sealed, unpack};
use crate::support::{Ran, World};

type Files = BTreeMap<String, Vec<u8>>;

/// A bundle of two runs, and who checks it.
struct Held {
    world: World,
    key: String,
    files: Files,
}

impl Held {
    fn new() -> Self {
        let (world, key) = recorded();
        let files = files(&bundle(&world, "one.zip"));
        Self { world, key, files }
    }

    /// The bundle with what `change` does to it, sealed anew as whoever changes one can.
    fn with(&self, change: impl FnOnce(&mut Manifest, &mut Files)) -> Files {
        let mut files = self.files.clone();
        let mut manifest: Manifest = serde_json::from_slice(&files["manifest.json"]).unwrap();
        change(&mut manifest, &mut files);
        files.insert("manifest.json".to_owned(), manifest.text().into_bytes());
        sealed(files)
    }

    fn written(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.world.outside(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// `slm verify` of `files`, with more arguments.
    fn verify(&self, files: &Files, more: &[&str]) -> Ran {
        let path = self.written("changed.zip", &pack(files).unwrap());
        self.world.slm(&[&["verify", path.to_str().unwrap(), "--key", &self.key], more].concat())
    }

    /// What the page in `files` says of them, unpacked at `name`.
    fn by_hand(&self, files: &Files, name: &str) -> String {
        let folder = self.world.outside(name);
        unpack(files, &folder);
        let page = String::from_utf8(self.files["README.md"].clone()).unwrap();
        let (held, said) = by_hand(&folder, &page, &format!("vkey='{}'", self.key));
        assert!(held && said.contains("every file was looked up"), "{said}");
        said
    }

    /// The place of the decisions of `control`.
    fn decided(&self, control: &str) -> String {
        let name = format!("/{control}.jsonl");
        self.files.keys().find(|file| file.ends_with(&name)).unwrap().clone()
    }
}

fn packed<'a>(manifest: &'a mut Manifest, file: &str) -> &'a mut Packed {
    manifest.files.iter_mut().find(|one| one.file == file).unwrap()
}

#[test]
fn forged_evidence_is_found_wherever_it_is_put_by_slm_and_by_the_page() {
    let held = Held::new();
    let (one, two) = (held.decided("ROT-01"), held.decided("ROT-02"));
    let said = held.by_hand(&held.files, "genuine");
    assert!(!said.contains("not so") && !said.contains("left out"), "{said}");

    // Beside what the manifest names.
    let strange = [
        "evidence/exceptions/ok.toml",
        "evidence/runs/2026/11/29/20261129T000000Z-00000000.json",
        "controls/ROT-01/decisions/2026-11-30T235900Z/ROT-01.jsonl",
    ];
    let beside = held.with(|_, files| strange.iter().for_each(|name| drop(files.insert((*name).to_owned(), b"{}\n".to_vec()))));
    let ran = held.verify(&beside, &[]).exits(7);
    let said = held.by_hand(&beside, "beside");
    for name in strange {
        assert!(ran.out.contains(&format!("error[slm::evidence-unlogged]: `{name}` stands where evidence does")), "{}", ran.out);
        assert!(said.contains(&format!("not so: {name}\n")), "{said}");
    }

    // Two controls that changed places.
    let swapped = held.with(|manifest, files| {
        let (first, second) = (files[&one].clone(), files[&two].clone());
        files.extend([(one.clone(), second), (two.clone(), first)]);
        packed(manifest, &one).file = "-".to_owned();
        packed(manifest, &two).file = one.clone();
        packed(manifest, "-").file = two.clone();
    });
    held.verify(&swapped, &[]).exits(7).says(&format!("error[slm::bundle-misplaced]: `{two}` is what belongs at `{one}`"));
    let said = held.by_hand(&swapped, "swapped");
    assert!(said.contains(&format!("not so: {one}\n")) && said.contains(&format!("not so: {two}\n")), "{said}");

    // A forged one in its place, and the genuine one where nobody looks.
    let moved = held.with(|manifest, files| {
        let genuine = files.insert(one.clone(), b"{}\n".to_vec()).unwrap();
        files.insert("log/x.bin".to_owned(), genuine);
        packed(manifest, &one).file = "log/x.bin".to_owned();
    });
    let ran =
        held.verify(&moved, &[]).exits(7).says(&format!("error[slm::bundle-misplaced]: `log/x.bin` is what belongs at `{one}`"));
    ran.says(&format!("error[slm::evidence-unlogged]: `{one}` stands where evidence does"));
    let said = held.by_hand(&moved, "moved");
    assert!(said.contains(&format!("not so: {one}\n")), "{said}");

    // A run that is gone, for whoever has no slm.
    let run = held.files.keys().find(|name| name.starts_with("evidence/runs/")).unwrap();
    let mut without = held.files.clone();
    without.remove(run);
    let said = held.by_hand(&sealed(without), "without");
    assert!(said.contains(&format!("left out: {run}\n")) && !said.contains("not so"), "{said}");
}

/// A bundle of two runs between which what ROT-01 says changed, and its two versions: the older and the newer.
fn changed() -> (Held, [String; 2]) {
    let (world, key) = recorded();
    world.edit("slm.toml", "standard = \"60d\"", "standard = \"1h\"");
    world.commit();
    // Of runs that began in one second the page takes what was in force in either.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let ran = world.slm(&["apply", "--auto-approve"]);
    assert!(ran.out.contains("Recorded as"), "{}{}", ran.out, ran.err);
    let files = files(&bundle(&world, "one.zip"));
    let versions: Vec<String> = files.keys().filter(|name| name.ends_with("/ROT-01.jsonl")).cloned().collect();
    let versions: [String; 2] = [versions.first().unwrap().clone(), versions.last().unwrap().clone()];
    assert_ne!(versions[0], versions[1]);
    (Held { world, key, files }, versions)
}

#[test]
fn an_older_version_does_not_stand_at_a_newer_run() {
    let (held, [older, newer]) = changed();
    let said = held.by_hand(&held.files, "genuine");
    assert!(!said.contains("not so"), "{said}");
    held.verify(&held.files, &[]).exits(0);
    let swapped = held.with(|manifest, files| {
        let (first, second) = (files[&older].clone(), files[&newer].clone());
        files.extend([(older.clone(), second), (newer.clone(), first)]);
        packed(manifest, &older).file = "-".to_owned();
        packed(manifest, &newer).file = older.clone();
        packed(manifest, "-").file = newer.clone();
    });
    held.verify(&swapped, &[]).exits(7).says(&format!("error[slm::bundle-misplaced]: `{older}` is what belongs at `{newer}`"));
    let said = held.by_hand(&swapped, "swapped");
    assert!(said.contains(&format!("not so: {older}\n")) && said.contains(&format!("not so: {newer}\n")), "{said}");
}

#[test]
fn a_bundle_says_what_it_keeps_quiet() {
    let held = Held::new();
    let gone = |manifest: &mut Manifest, files: &mut Files, folder: &str| {
        files.retain(|name, _| !name.starts_with(folder));
        manifest.files.retain(|one| !one.file.starts_with(folder));
    };
    // A control, or all of them.
    let without = held.with(|manifest, files| {
        gone(manifest, files, "controls/ROT-01/");
        manifest.controls.retain(|id| id != "ROT-01");
    });
    held.verify(&without, &[])
        .exits(3)
        .says("! unproven    1 of the 2 controls that were judged are in it, and it names no framework that these serve: not `ROT-01`")
        .says("no decision of the 1 control in it");
    let none = held.with(|manifest, files| {
        gone(manifest, files, "controls/");
        manifest.controls.clear();
    });
    held.verify(&none, &[]).exits(3).says("not `ROT-01`, `ROT-02`");
    // When its runs were recorded.
    let dates = held.with(|manifest, files| {
        gone(manifest, files, "log/checkpoints/");
        manifest.anchors = false;
    });
    held.verify(&dates, &[]).exits(3).says("! unproven    it does not say that the checkpoint of each run is in it");
    let unsaid = held.with(|manifest, files| gone(manifest, files, "log/checkpoints/"));
    held.verify(&unsaid, &[]).exits(7).says("error[slm::bundle-withheld]: the checkpoint of run ");
    // What was seen, and lives of versions.
    for folder in ["evidence/snapshot/", "evidence/rotations/"] {
        assert!(held.files.keys().any(|name| name.starts_with(folder)), "{folder}");
        let unseen = held.with(|manifest, files| gone(manifest, files, folder));
        held.verify(&unseen, &[]).exits(7).says("error[slm::bundle-withheld]: entry ");
    }
}

#[test]
fn a_bundle_of_days_without_runs_is_none_and_days_before_the_first_run_are_told() {
    let held = Held::new();
    let of = |from: &str, to: &str| {
        held.with(|manifest, files| {
            (manifest.from, manifest.to) = (from.parse().unwrap(), to.parse().unwrap());
            manifest.controls.clear();
            manifest.files.clear();
            files.retain(|name, _| !name.starts_with("controls/") && !name.starts_with("evidence/"));
        })
    };
    let empty = of("2001-01-01", "2001-12-31");
    held.verify(&empty, &["--cadence", "26h"])
        .exits(7)
        .says("error[slm::bundle-empty]: the log has no run of 2001-01-01 to 2001-12-31");
    let turned = of("2002-12-31", "2002-01-01");
    held.verify(&turned, &["--cadence", "26h"])
        .exits(7)
        .says("error[slm::bundle-empty]: `manifest.json` is of 2002-12-31 to 2002-01-01");
    // As it is exported too.
    let path = held.world.outside("early.zip");
    let from = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(30 * 24)).strftime("%Y-%m-%d").to_string();
    held.world.slm(&["export", "bundle", "--from", &from, "--out", path.to_str().unwrap()]).exits(0);
    let early = files(&path);
    held.verify(&early, &["--cadence", "26h"]).exits(0).says(&format!("note        no run between {from}T00:00:00Z and "));
    held.verify(&early, &[]).exits(0).says("how often a run is due is not known here").says("  runs        2, the first of 2");
}

#[test]
fn a_bundle_of_a_framework_names_it_and_the_controls_that_are_not_in_it() {
    let (world, key) = recorded();
    let path = world.outside("soc2.zip");
    world.slm(&["export", "bundle", "--framework", "soc2", "--out", path.to_str().unwrap()]).exits(0);
    let files = files(&path);
    let held = Held { world, key, files };
    let manifest: Manifest = serde_json::from_slice(&held.files["manifest.json"]).unwrap();
    assert_eq!(manifest.framework.as_deref(), Some("soc2"));
    let all = held.verify(&held.files, &["--format", "json"]).exits(0).json();
    assert_eq!((&all["framework"], &all["controls_left_out"]), (&"soc2".into(), &serde_json::json!([])), "{all}");
    let fewer = held.with(|manifest, files| {
        manifest.controls.retain(|id| id != "ROT-01");
        manifest.files.retain(|one| !one.file.starts_with("controls/ROT-01/"));
        files.retain(|name, _| !name.starts_with("controls/ROT-01/"));
    });
    held.verify(&fewer, &[]).exits(0).says(
        "note        1 of the 2 controls that were judged are in it, those that serve `soc2` by its own word, and not `ROT-01`",
    );
}

#[test]
fn a_zip_that_has_a_file_twice_is_not_trusted() {
    let held = Held::new();
    let genuine = held.decided("ROT-01");
    // Another name that is as long, sorted before, so that whoever takes the first has the forged one.
    let other = format!("a{}", &genuine[1..]);
    let mut files = held.files.clone();
    files.insert(other.clone(), b"{\"status\":\"compliant\"}\n".to_vec());
    let mut bytes = pack(&files).unwrap();
    while let Some(at) = bytes.windows(other.len()).position(|part| part == other.as_bytes()) {
        bytes[at..at + other.len()].copy_from_slice(genuine.as_bytes());
    }
    let path = held.written("twice.zip", &bytes);
    held.world
        .slm(&["verify", path.to_str().unwrap(), "--key", &held.key])
        .exits(7)
        .says(&format!("error[slm::bundle-strange]: the ZIP is not to be trusted: it has `{genuine}` twice"));
}
