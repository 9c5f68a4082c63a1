//! `slm export` and `slm sample` on evidence that was really recorded, and what can be done to it afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;
use slm::host::zipped::{Zipped, pack};
use slm::record::bundle::{DIGEST, digest};

use crate::support::World;

const KEY: &str = "title = \"Key of the log\"\nowner = \"platform\"\nsatisfies = [\"ROT-01\"]\n\n[secret]\nsource = \"local\"\nname = \"slm/log-key\"\n\n\
                   [rotator]\nrandom = { length = 43, alphabet = \"alnum\" }\n\n[policy]\nrotate-every = \"30d\"\njitter = \"0d\"\n";

/// A config repo with two runs in its locker, whose log is signed.
pub fn recorded() -> (World, String) {
    let world = World::scaffolded();
    let log = "\n[locker.log]\norigin = \"acme.example/slm\"\nkey = { source = \"local\", name = \"slm/log-key\" }\n";
    world.write("slm.toml", &(world.read("slm.toml") + log));
    world.write("credentials/log-key.toml", KEY);
    world.commit();
    for _ in 0..2 {
        let ran = world.slm(&["apply", "--auto-approve"]);
        assert!(ran.out.contains("Recorded as"), "{}{}", ran.out, ran.err);
    }
    let said = world.slm(&["verify", "--no-memory", "--format", "json"]).json();
    let key = said["keys"][0]["key"].as_str().unwrap().to_owned();
    (world, key)
}

pub fn bundle(world: &World, name: &str) -> PathBuf {
    let path = world.outside(name);
    world.slm(&["export", "bundle", "--out", path.to_str().unwrap()]).exits(0).says("Wrote ");
    path
}

pub fn files(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let zipped = Zipped::open(path).unwrap();
    zipped.names().into_iter().map(|name| (name.clone(), zipped.read(&name).unwrap().unwrap())).collect()
}

/// With its digest made anew, as whoever changes a bundle can.
pub fn sealed(mut files: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    files.remove(DIGEST);
    let text = digest(&files);
    files.insert(DIGEST.to_owned(), text.into_bytes());
    files
}

/// Without `name`, of which nothing in it says any more that it was there.
pub fn without(files: &BTreeMap<String, Vec<u8>>, name: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files = files.clone();
    files.remove(name);
    let mut manifest: slm::record::bundle::Manifest = serde_json::from_slice(&files["manifest.json"]).unwrap();
    manifest.files.retain(|one| one.file != name);
    files.insert("manifest.json".to_owned(), manifest.text().into_bytes());
    sealed(files)
}

pub fn unpack(files: &BTreeMap<String, Vec<u8>>, folder: &Path) {
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// Everything in ```sh blocks of `page`, run in `folder`.
pub fn by_hand(folder: &Path, page: &str, before: &str) -> (bool, String) {
    let mut script = format!("set -e\n{before}\n");
    for block in page.split("```sh\n").skip(1) {
        script.push_str(block.split("```").next().unwrap());
    }
    let output = Command::new("bash").arg("-c").arg(script).current_dir(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

#[test]
fn an_attestation_over_what_no_run_recorded_says_what_was_found_and_counts_for_nothing() {
    let (world, _) = recorded();
    let now = slm::model::time::Timestamp::now();
    let day = now.strftime("%Y-%m-%d").to_string();
    let sign = |root: &str| {
        let text = format!(
            "statement = \"Looked at.\"\nauthor = \"ada\"\napprover = \"bo\"\nsigned = {now}\npopulation-root = \"{root}\"\n"
        );
        world.write(&format!("attestations/ROT-01/{day}.toml"), &text);
        world.slm(&["check"]).exits(0);
        world.slm(&["status"])
    };
    let drawn = ["sample", "--control", "ROT-01", "--n", "1", "--nonce", "a", "--from", &day, "--to", &day, "--format", "json"];
    let drawn = world.slm(&drawn).json();
    let (root, log) = (drawn["population_root"].as_str().unwrap(), drawn["log"]["root"].as_str().unwrap());
    for founded in [root, log] {
        let ran = sign(founded);
        assert!(!ran.out.contains("attestation!") && ran.out.contains("ROT-01"), "{}", ran.out);
    }
    let strange = "0".repeat(64);
    let members = drawn["population"].as_u64().unwrap();
    let told = format!(
        "`attestations/ROT-01/{day}.toml`: root {strange} is neither of a population nor of the log in any run of {day}/{day}; by then ROT-01 \
         was judged for {members} member{}, root {root}; look at what `slm sample` prints for these days, and sign that",
        if members == 1 { "" } else { "s" }
    );
    sign(&strange).says(&format!("attestation! {told}"));
    world.commit();
    world.slm(&["apply", "--auto-approve"]);
    world.slm(&["report", "period", "--from", &day, "--to", &day]).says(&format!("! unproven    {told}"));

    // Of days without a run nothing shows what was looked at.
    std::fs::remove_file(world.root().join(format!("attestations/ROT-01/{day}.toml"))).unwrap();
    let text = "statement = \"Looked at.\"\nauthor = \"ada\"\napprover = \"bo\"\nsigned = 2021-01-02T00:00:00Z\n";
    world.write("attestations/ROT-01/2020-01-01_2099-12-31.toml", &format!("{text}population-root = \"{root}\"\n"));
    world.slm(&["status"]).says("slm/evidence has no run of 2020-01-01/2099-12-31 from before it was signed");
}

/// A locker with large and small answers of AWS, the large ones beside it as objects.
fn with_raw_answers(moto: &crate::support::Server) -> World {
    let endpoint = moto.endpoint.clone();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let config = crate::aws::config(&endpoint, "eu-west-1", None).await;
        let secrets = aws_sdk_secretsmanager::Client::new(&config);
        for number in 0..60 {
            secrets.create_secret().name(format!("plain/{number:03}")).secret_string("x").send().await.unwrap();
        }
    });
    let (world, _) = recorded();
    let world = world.with("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE").with("AWS_SECRET_ACCESS_KEY", "test");
    let world = world.with("AWS_EC2_METADATA_DISABLED", "true").with("NO_PROXY", "127.0.0.1");
    let source = format!(
        "\n[locker.objects]\nover = 4096\nfolder = \"../objects\"\n\n[source.prod.aws]\naccount = \"{}\"\nregions = [\"eu-west-1\"]\n\
         endpoint = \"{endpoint}\"\n",
        crate::aws::ACCOUNT
    );
    world.write("slm.toml", &(world.read("slm.toml") + &source));
    world.commit();
    let ran = world.slm(&["apply", "--auto-approve"]);
    assert!(ran.out.contains("Recorded as"), "{}{}", ran.out, ran.err);
    world
}

#[test]
fn raw_answers_are_packed_when_asked_for_and_none_of_them_can_be_left_out() {
    let moto = crate::support::Server::moto();
    let world = with_raw_answers(&moto);
    let said = world.slm(&["verify", "--no-memory", "--format", "json"]).json();
    let key = said["keys"][0]["key"].as_str().unwrap().to_owned();

    let without = files(&bundle(&world, "without.zip"));
    assert!(without.keys().all(|name| !name.starts_with("evidence/raw/") && !name.starts_with("objects/")), "{:?}", without.keys());
    let export = |name: &str| {
        let path = world.outside(name);
        world.slm(&["export", "bundle", "--raw", "--out", path.to_str().unwrap()]).exits(0);
        path
    };
    let (one, two) = (export("one.zip"), export("two.zip"));
    assert!(fs::read(&one).unwrap() == fs::read(&two).unwrap(), "two exports of the same evidence differ");
    let packed = files(&one);
    let answers: Vec<&String> = packed.keys().filter(|name| name.starts_with("evidence/raw/")).collect();
    let pointer = (*answers.iter().find(|name| name.ends_with(".object")).unwrap()).clone();
    let object = packed.keys().find(|name| name.starts_with("objects/")).unwrap().clone();
    let verify = |files: &BTreeMap<String, Vec<u8>>, name: &str| {
        let path = world.outside(name);
        let mut files = files.clone();
        files.remove(DIGEST);
        let sealed = digest(&files);
        files.insert(DIGEST.to_owned(), sealed.into_bytes());
        fs::write(&path, pack(&files).unwrap()).unwrap();
        world.slm(&["verify", path.to_str().unwrap(), "--key", &key])
    };
    verify(&packed, "same.zip").exits(0).says(" hold what was received");

    let mut changed = packed.clone();
    changed.insert(object.clone(), slm::record::objects::packed(b"other").unwrap());
    verify(&changed, "changed.zip").exits(7).says("error[slm::evidence-object-changed]");
    let mut lost = packed.clone();
    lost.remove(&object);
    verify(&lost, "lost.zip").exits(7).says("error[slm::bundle-lacks]");
    let mut withheld = packed.clone();
    withheld.remove(&pointer);
    let manifest = String::from_utf8(withheld["manifest.json"].clone()).unwrap();
    let lines: Vec<&str> = manifest.lines().filter(|line| !line.contains(&pointer)).collect();
    let last = lines.len() - 2;
    let lines: Vec<String> = lines
        .iter()
        .enumerate()
        .map(|(at, line)| if at == last { line.trim_end_matches(',').to_owned() } else { (*line).to_owned() })
        .collect();
    withheld.insert("manifest.json".to_owned(), (lines.join("\n") + "\n").into_bytes());
    verify(&withheld, "withheld.zip").exits(7).says("error[slm::bundle-withheld]");
}

#[test]
fn a_bundle_is_the_same_bytes_twice_and_holds_by_whoever_knows_the_key() {
    let (world, key) = recorded();
    let (one, two) = (bundle(&world, "one.zip"), bundle(&world, "two.zip"));
    assert!(fs::read(&one).unwrap() == fs::read(&two).unwrap(), "two exports of the same evidence differ");
    let said = world.slm(&["verify", one.to_str().unwrap(), "--key", &key, "--format", "json"]).exits(0).json();
    assert_eq!(
        (&said["findings"], &said["unproven"], &said["older"]),
        (&serde_json::json!([]), &serde_json::json!([]), &serde_json::json!(0))
    );
    assert!(said["proven"].as_u64().unwrap() >= 6, "{said}");
    world.slm(&["verify", one.to_str().unwrap(), "--key", &key]).exits(0).says("no run and no decision of the period was left out");
    world.slm(&["verify", one.to_str().unwrap()]).exits(3).says("give the one you were told elsewhere");
    let other = "acme.example/slm+0a64f3a1+AZxk3q0m7Qm0q1i8mE3n0v2yS5b8f1c4d7e9g2h5j8kL";
    let ran = world.slm(&["verify", one.to_str().unwrap(), "--key", other]);
    assert!(ran.code == 7 || ran.err.contains("cannot be trusted"), "{}{}", ran.out, ran.err);
}

#[test]
fn a_bundle_has_what_an_auditor_opens_and_every_link_in_it_leads_somewhere() {
    let (world, _) = recorded();
    let files = files(&bundle(&world, "one.zip"));
    for name in [
        "README.md",
        "index.html",
        "controls/ROT-01/index.html",
        "summary.pdf",
        "summary.csv",
        "members.csv",
        "deviations.csv",
        "crosswalk.csv",
        "digest.txt",
        "manifest.json",
        "VERIFY.md",
    ] {
        assert!(files.contains_key(name), "there is no {name}");
    }
    assert!(files["summary.pdf"].starts_with(b"%PDF-"));
    let mut links = 0;
    for (name, bytes) in files.iter().filter(|(name, _)| name.ends_with(".html")) {
        let text = String::from_utf8(bytes.clone()).unwrap().replace("&#x2f;", "/");
        for part in text.split("href=\"").skip(1) {
            let href = part.split('"').next().unwrap();
            assert!(!href.contains("://"), "{name} asks {href}");
            let (path, anchor) = href.split_once('#').unwrap_or((href, ""));
            let at = Path::new(name).parent().unwrap().join(path);
            let target = if path.is_empty() { name.clone() } else { normal(&at) };
            let target = files.get(&target).unwrap_or_else(|| panic!("{name} leads to {href}, which is not there"));
            let there = anchor.is_empty() || String::from_utf8_lossy(target).contains(&format!("id=\"{anchor}\""));
            assert!(there, "{name} leads to {href}, and nothing there is called that");
            links += 1;
        }
        for outside in ["<script", "src=", "@import", "url("] {
            assert!(!text.contains(outside), "{name} has {outside}");
        }
    }
    assert!(links > 20, "{links} links");
}

fn normal(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.iter().map(|part| part.to_str().unwrap()) {
        match part {
            ".." => parts.truncate(parts.len() - 1),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn a_bundle_that_was_changed_does_not_hold_even_when_it_is_sealed_anew() {
    let (world, key) = recorded();
    let all = files(&bundle(&world, "one.zip"));
    let verify = |name: &str, files: &BTreeMap<String, Vec<u8>>| {
        let path = world.outside(name);
        fs::write(&path, pack(files).unwrap()).unwrap();
        world.slm(&["verify", path.to_str().unwrap(), "--key", &key])
    };
    let seal = |files: &mut BTreeMap<String, Vec<u8>>| {
        files.remove(DIGEST);
        let text = digest(files);
        files.insert(DIGEST.to_owned(), text.into_bytes());
    };
    let decisions = all.keys().find(|name| name.ends_with("ROT-01.jsonl")).unwrap().clone();
    let mut edited = all.clone();
    edited.get_mut(&decisions).unwrap().push(b'\n');
    verify("edited.zip", &edited).exits(7).says("slm::bundle-changed");
    seal(&mut edited);
    verify("sealed.zip", &edited).exits(7).says("slm::evidence-edited");
    let mut without = all.clone();
    let run = without.keys().find(|name| name.starts_with("evidence/runs/")).unwrap().clone();
    without.remove(&run);
    let manifest = String::from_utf8(without["manifest.json"].clone()).unwrap();
    let lines: Vec<&str> = manifest.lines().filter(|line| !line.contains(&format!("\"file\": \"{run}\""))).collect();
    without.insert("manifest.json".to_owned(), (lines.join("\n") + "\n").into_bytes());
    seal(&mut without);
    verify("without.zip", &without).exits(7).says("is of the period and was left out");
}

#[test]
fn a_bundle_of_what_no_key_signed_is_not_believed_for_a_key_that_was_copied_into_it() {
    let begun = || {
        let world = World::scaffolded();
        world.write("slm.toml", &(world.read("slm.toml") + "\n[locker.log]\norigin = \"acme.example/slm\"\n"));
        world.commit();
        world.slm(&["apply", "--auto-approve"]).exits(0);
        world
    };
    // Its key came later than its log.
    let world = begun();
    world.write("slm.toml", &(world.read("slm.toml") + "key = { source = \"local\", name = \"slm/log-key\" }\n"));
    world.write("credentials/log-key.toml", KEY);
    world.commit();
    let ran = world.slm(&["apply", "--auto-approve"]);
    assert!(ran.out.contains("Recorded as"), "{}{}", ran.out, ran.err);
    let key = world.slm(&["verify", "--no-memory", "--format", "json"]).json()["keys"][0]["key"].as_str().unwrap().to_owned();
    let genuine = files(&bundle(&world, "one.zip"));
    let from = String::from_utf8(genuine["log/keys/1"].clone()).unwrap();
    let from: u64 = from.lines().find_map(|line| line.strip_prefix("from ")).unwrap().parse().unwrap();
    // By somebody without a key: one run of the same log, in which everything is as they like.
    let other = begun();
    let forged = files(&bundle(&other, "forged.zip"));
    let size: u64 = String::from_utf8(forged["log/checkpoint"].clone()).unwrap().lines().nth(1).unwrap().parse().unwrap();
    assert!(size < from, "the key signs from entry {from} on, and the forged log has {size}");
    let verify = |copied: bool| {
        let mut files = forged.clone();
        if copied {
            files.insert("log/keys/1".to_owned(), genuine["log/keys/1"].clone());
        }
        files.remove(DIGEST);
        let sealed = digest(&files);
        files.insert(DIGEST.to_owned(), sealed.into_bytes());
        let path = other.outside("copied.zip");
        fs::write(&path, pack(&files).unwrap()).unwrap();
        other.slm(&["verify", path.to_str().unwrap(), "--key", &key])
    };
    verify(true)
        .exits(7)
        .says(&format!("error[slm::evidence-bad-key]: `keys/1` takes over from entry {from}, and is kept in a log of {size}"));
    verify(false).exits(7).says("error[slm::evidence-untrusted-key]");
    other.slm(&["verify", other.outside("forged.zip").to_str().unwrap()]).exits(3).says("no key signs the log");
}

#[test]
fn the_page_in_a_bundle_is_right_to_the_letter() {
    let (world, key) = recorded();
    let all = files(&bundle(&world, "one.zip"));
    let folder = world.outside("unpacked");
    unpack(&all, &folder);
    let page = String::from_utf8(all["README.md"].clone()).unwrap();
    let (held, said) = by_hand(&folder, &page, &format!("vkey='{key}'"));
    assert!(held, "{said}");
    for line in [
        "the files are those that were packed",
        "Signature Verified Successfully",
        "the entries are those that were signed",
        "every file was looked up",
    ] {
        assert!(said.contains(line), "`{line}` is not in {said}");
    }
    assert!(!said.contains("not so"), "{said}");
    let evidence = all.keys().find(|name| name.starts_with("evidence/runs/")).unwrap();
    fs::write(folder.join(evidence), "x").unwrap();
    let skip = page.replacen("sha256sum --check --quiet digest.txt && ", "", 1);
    let (_, said) = by_hand(&folder, &skip, &format!("vkey='{key}'"));
    assert!(said.contains(&format!("not so: {evidence}")), "{said}");
}

#[test]
fn a_sample_is_reproducible_and_its_page_is_right_to_the_letter() {
    let (world, _) = recorded();
    let draw = |name: &str, nonce: &str| {
        let folder = world.outside(name);
        let arguments = ["sample", "--control", "ROT-01", "--n", "1", "--nonce", nonce, "--out", folder.to_str().unwrap()];
        let json = world.slm(&[&arguments[..], &["--format", "json"]].concat()).exits(0).json();
        (folder, json)
    };
    let (one, first) = draw("one", "it's blue");
    let (two, second) = draw("two", "it's blue");
    assert_eq!(first["items"], second["items"]);
    assert_eq!((&first["drawn"], &first["population"]), (&serde_json::json!(1), &serde_json::json!(2)));
    for name in ["population.jsonl", "sample.json", "sample.txt", "proofs.txt", "README.md"] {
        assert!(fs::read(one.join(name)).unwrap() == fs::read(two.join(name)).unwrap(), "{name} differs");
    }
    let page = fs::read_to_string(one.join("README.md")).unwrap();
    let (held, said) = by_hand(&one, &page, "");
    assert!(held && !said.contains("not so"), "{said}");
    for line in ["the seed is right", "the draw is right", "every proof was climbed"] {
        assert!(said.contains(line), "`{line}` is not in {said}");
    }
    let evidence = fs::read_dir(one.join("evidence")).unwrap().next().unwrap().unwrap().path();
    let file = fs::read_dir(evidence).unwrap().next().unwrap().unwrap().path();
    fs::write(file, "x").unwrap();
    let (_, said) = by_hand(&one, &page, "");
    assert!(said.contains("not so: evidence/"), "{said}");
    let (_, third) = draw("three", "green");
    assert_ne!(third["seed"], first["seed"]);
    world.slm(&["sample", "--control", "ROT-01", "--n", "1", "--nonce", ""]).exits(1).says("the nonce is empty");
    world.slm(&["sample", "--control", "NO-01", "--n", "1", "--nonce", "x"]).exits(1).says("judged a control `NO-01`");
}

#[test]
fn exceptions_and_attestations_have_their_leaf_in_the_log_of_each_run() {
    let world = World::scaffolded();
    world.write(
        "exceptions/vendor.toml",
        "control = \"ROT-01\"\nresource = \"vault:local/app/session-key\"\nreason = \"r\"\ncompensating = \"c\"\nticket = \"T-1\"\nrequester = \"one\"\n\
         approver = \"two\"\napproved = 2026-01-01T00:00:00Z\nexpires = 2026-01-02T00:00:00Z\n",
    );
    // VEN-01 is attested by people, and without evidence by now.
    world.ship(&["ROT-01", "ROT-02", "VEN-01"]);
    fs::remove_file(world.root().join("policies/rot.cedar")).unwrap();
    let attestation = "attestations/VEN-01/2020-01-01_2020-03-31.toml";
    world.write(attestation, "statement = \"Looked at.\"\nauthor = \"ada\"\napprover = \"bo\"\nsigned = 2020-04-02T00:00:00Z\n");
    world.commit();
    world.slm(&["apply", "--auto-approve"]).exits(3);
    let all = files(&bundle(&world, "one.zip"));
    let manifest: Json = serde_json::from_slice(&all["manifest.json"]).unwrap();
    let entries: Vec<Json> =
        std::str::from_utf8(&all["log/entries.jsonl"]).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for path in ["exceptions/vendor.toml", attestation] {
        let packed = manifest["files"].as_array().unwrap().iter().find(|one| one["path"] == path).unwrap();
        let entry = &entries[usize::try_from(packed["entry"].as_u64().unwrap()).unwrap()];
        assert_eq!((&entry["path"], &entry["sha256"], &entry["bytes"]), (&packed["path"], &packed["sha256"], &packed["bytes"]));
        assert_eq!(all[&format!("evidence/{path}")], world.read(path).into_bytes());
    }
    // Changed, it has a leaf of its own in the run that saw it so.
    world.edit(attestation, "Looked at.", "Looked at twice.");
    world.commit();
    world.slm(&["apply", "--auto-approve"]).exits(3);
    let later = files(&bundle(&world, "two.zip"));
    let of =
        |path: &str| std::str::from_utf8(&later["log/entries.jsonl"]).unwrap().matches(&format!("\"path\":\"{path}\"")).count();
    assert_eq!((of("exceptions/vendor.toml"), of(attestation)), (1, 2));
    let run = all.keys().find(|name| name.starts_with("evidence/runs/")).unwrap();
    let run: Json = serde_json::from_slice(&all[run]).unwrap();
    assert_eq!(run["result"]["exceptions"]["standings"][0]["finding"], "expired");
}
