//! What `slm verify` says where less is proven than could be, or of a bundle by what was kept elsewhere, and that every code has its place on
//! the page.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use slm::host::git::Locker;
use slm::model::catalog::LockerSettings;

use crate::support::{Ran, World};
use crate::verify::{At, at, git, ledger, record, repo, slm, vkey};

/// Long before any day on which this is tested.
const LONG_AGO: i64 = -200_000_000;

/// A locker of a run at each of `hours`, the first with the file `more` as well.
fn recorded(hours: &[i64], more: Option<(&str, &str)>) -> tempfile::TempDir {
    let repo = repo();
    let mut more = more.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    for (number, hour) in hours.iter().enumerate() {
        let began = LONG_AGO + hour * 3_600;
        let id = format!("{}-aaaa{number:04}", at(began).strftime("%Y%m%dT%H%M%SZ"));
        let run = format!("{{\"format\":1,\"run\":{{\"at\":\"{}\",\"id\":\"{id}\"}}}}\n", at(began)).into_bytes();
        let path = format!("runs/{}/{id}.json", at(began).strftime("%Y/%m/%d"));
        let files: BTreeMap<String, Vec<u8>> = more.take().into_iter().chain([(path, run)]).collect();
        let locker = Locker::open(repo.path(), &LockerSettings::default(), None).unwrap();
        let locker = locker.logged(ledger(Some(1), None), Arc::new(At(began + 60)));
        locker.append(|_| files.clone(), &format!("run {id}: 0 of 0 actions done"), at(began)).unwrap();
    }
    repo
}

/// The codes of what is only noted, and of what is unproven.
fn codes(said: &Ran) -> [Vec<String>; 2] {
    let json = said.json();
    let of = |name: &str| {
        let all = json[name].as_array().unwrap();
        all.iter().map(|one| one["code"].as_str().unwrap().trim_start_matches("slm::evidence-").to_owned()).collect()
    };
    [of("remarks"), of("unproven")]
}

#[test]
fn a_time_without_a_run_is_told_by_the_cadence_that_is_given_and_without_one_that_nobody_looked() {
    let repo = recorded(&[0, 24, 72], None);
    let key = vkey(1);
    let verify = |arguments: &[&str]| slm(repo.path(), &[&["--no-memory", "--key", &key], arguments].concat());
    let told = |arguments: &[&str], code: i32| codes(&verify(&[arguments, &["--format", "json"]].concat()).exits(code));
    assert_eq!(told(&[], 0), [vec!["no-cadence"], vec![]]);
    verify(&[]).exits(0).says("  note        how often a run is due is not known here");
    assert_eq!(told(&["--cadence", "36525d"], 0), [vec![""; 0], vec![]]);
    assert_eq!(told(&["--cadence", "48h"], 3), [vec![], vec!["stale"]]);
    assert_eq!(told(&["--cadence", "47h"], 3), [vec!["gap"], vec!["stale"]]);
    let (two, three) = (at(LONG_AGO + 24 * 3_600), at(LONG_AGO + 72 * 3_600));
    verify(&["--cadence", "47h"])
        .exits(3)
        .says(&format!("  note        no run between {two} and {three}: longer than 47h\n"))
        .says(&format!("! unproven    no run between {three} and now: longer than 47h\n"));
    verify(&["--cadence", "soon"]).exits(64);
}

#[test]
fn a_pointer_that_points_to_nothing_is_found() {
    let path = "raw/2020/07/17/x/page.json.object";
    let repo = recorded(&[0], Some((path, "{\"bytes\":1,\"sha256\":\"../../etc\"}\n")));
    slm(repo.path(), &["--key", &vkey(1)]).exits(7).says(&format!("error[slm::evidence-bad-pointer]: `{path}` points to nothing"));
}

#[test]
fn an_anchor_that_vouches_for_nothing_yet_keeps_nothing_or_cannot_be_asked_proves_nothing() {
    let world = World::scaffolded();
    record(&world.root(), 0, None, ledger(Some(1), None));
    fs::copy("fixtures/timestamps/rsa.pem", world.root().join("tsa.pem")).unwrap();
    let mirror = world.outside("mirror.git");
    let settings = format!(
        "{}\n[locker.log]\ncadence = \"36525d\"\n\n[[locker.anchor]]\nid = \"mirror\"\ngit = {{ remote = \"{}\" }}\n\n\
         [[locker.anchor]]\nid = \"tsa\"\nrfc3161 = {{ url = \"http://127.0.0.1:9/\", ca = \"tsa.pem\" }}\n",
        world.read("slm.toml"),
        mirror.display()
    );
    world.write("slm.toml", &settings);
    let key = vkey(1);
    let told = |arguments: &[&str]| {
        let arguments = [&["verify", "--no-memory", "--key", &key, "--format", "json"][..], arguments].concat();
        codes(&world.slm(&arguments).exits(3))
    };
    assert_eq!(told(&[]), [vec![""; 0], vec!["unstamped"]]);
    assert_eq!(told(&["--online"])[1], ["unstamped", "anchor-unseen"]);
    git(&world.outside(""), &["init", "-q", "--bare", "mirror.git"]);
    assert_eq!(told(&["--online"])[1], ["unstamped", "unanchored"]);
    git(&world.outside(""), &["clone", "-q", "--no-checkout", &world.root().to_string_lossy(), "clone"]);
    let clone = world.outside("clone");
    slm(&clone, &["--key", &key]).exits(0);
    let said = slm(&clone, &["--key", &key, "--online", "--format", "json"]).exits(3);
    assert_eq!(codes(&said)[1], ["anchor-unseen"], "nothing here says which anchors there are");
    let (plain, key) = crate::bundle::recorded();
    plain.slm(&["verify", "--key", &key]).exits(0);
    let said = plain.slm(&["verify", "--key", &key, "--online"]).exits(3);
    said.says("`--online` asks anchors that keep checkpoints and a bucket of objects, and `slm.toml` names none; leave it out");
}

#[test]
fn a_bundle_of_a_log_that_was_forked_or_cut_off_is_found_by_a_checkpoint_that_was_kept() {
    let (world, key) = crate::bundle::recorded();
    let root = world.root();
    let kept = world.outside("kept");
    fs::write(&kept, crate::support::git(&root, &["show", "slm/evidence:log/checkpoint"])).unwrap();
    let verify = |name: &str| {
        let path = crate::bundle::bundle(&world, name);
        world.slm(&["verify", path.to_str().unwrap(), "--key", &key, "--checkpoint", kept.to_str().unwrap()])
    };
    verify("same.zip").exits(0).says("goes on     from 1 checkpoint seen before");
    world.slm(&["apply", "--auto-approve"]).exits(0);
    verify("longer.zip").exits(0).says("goes on     from 1 checkpoint seen before");

    // What this clone knows of its log goes as well: by it, nothing would be appended.
    let known = crate::support::git(&root, &["for-each-ref", "--format=%(refname)", "refs/slm/appended", "refs/slm/verified"]);
    for name in String::from_utf8(known).unwrap().lines() {
        crate::support::git(&root, &["update-ref", "-d", name]);
    }
    crate::support::git(&root, &["update-ref", "refs/heads/slm/evidence", "refs/heads/slm/evidence~2"]);
    verify("shorter.zip").exits(7).says("error[slm::evidence-truncated]: the log has ");
    (0..3).for_each(|_| drop(world.slm(&["apply", "--auto-approve"]).exits(0)));
    verify("forked.zip").exits(7).says("error[slm::evidence-forked]: the log is not the one whose ");

    let strange = world.outside("strange");
    let note = fs::read_to_string(&kept).unwrap();
    fs::write(&strange, note.split("\n\n").next().unwrap().to_owned() + "\n").unwrap();
    let path = world.outside("forked.zip");
    let arguments = ["verify", path.to_str().unwrap(), "--key", &key, "--checkpoint", strange.to_str().unwrap()];
    world
        .slm(&arguments)
        .exits(7)
        .says("error[slm::evidence-bad-checkpoint]")
        .says("strange` cannot be compared with: no key of the log");
    fs::write(&strange, "x").unwrap();
    world.slm(&arguments).exits(1).says("strange` cannot be compared with: it is no checkpoint");
}

/// Every code of evidence or of bundles in `text`.
fn named(text: &str) -> BTreeSet<&str> {
    let code = |rest: &str| rest.find(|one: char| !(one.is_ascii_lowercase() || one == '-')).unwrap_or(rest.len());
    let all = text.split("slm::").skip(1).map(|rest| &rest[..code(rest)]);
    all.filter(|code| code.starts_with("evidence-") || code.starts_with("bundle-")).collect()
}

fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.path() {
            path if path.is_dir() => sources(&path, text),
            path if path.extension().is_some_and(|end| end == "rs") => text.push_str(&fs::read_to_string(path).unwrap()),
            _ => {}
        }
    }
}

#[test]
fn every_code_of_evidence_stands_in_a_table_of_the_page_and_no_other_does() {
    let mut text = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
    let rows = |page: &'static str| page.lines().filter(|line| line.starts_with('|')).collect::<Vec<_>>().join("\n");
    let (verify, evidence) = (rows(include_str!("../../docs/verify.md")), rows(include_str!("../../docs/evidence.md")));
    // Those of a past day that is judged again stand where that is told.
    let past = ["evidence-contradicted", "evidence-not-replayed"];
    let told: BTreeSet<&str> = named(&verify).into_iter().chain(named(&evidence)).chain(past).collect();
    let source = named(&text);
    let (untold, unknown): (Vec<_>, Vec<_>) = (source.difference(&told).collect(), told.difference(&source).collect());
    assert!(untold.is_empty() && unknown.is_empty(), "in no table: {untold:?}; of no source: {unknown:?}");
    assert!(source.len() > 40, "{source:?}");
    let missing: Vec<_> = source.iter().filter(|code| code.starts_with("evidence-") && !past.contains(code)).collect();
    let missing: Vec<_> = missing.into_iter().filter(|code| !named(&verify).contains(**code)).collect();
    assert!(missing.is_empty(), "not on the page of slm verify: {missing:?}");
}
