//! What bundles, reports and samples say of a period, and what they say they do not know.

use std::fs;
use std::process::Command;

use serde_json::{Value as Json, json};
use slm::model::time::Timestamp;

use crate::bundle::{bundle, files, recorded};
use crate::support::{World, contains, git};

#[test]
fn a_bundle_calls_signed_what_slm_status_calls_signed() {
    let (world, _) = recorded();
    let criterion = "\n[[criterion]]\nid = \"CC1.1\"\ngroup = \"security\"\ntitle = \"Integrity\"\nmanual = true\n";
    world.write("controls/frameworks/soc2.toml", &(world.read("controls/frameworks/soc2.toml") + criterion));
    let now = Timestamp::now();
    let day = now.strftime("%Y-%m-%d").to_string();
    let drawn = ["sample", "--control", "ROT-01", "--n", "1", "--nonce", "a", "--format", "json"];
    let log = world.slm(&drawn).json()["log"]["root"].as_str().unwrap().to_owned();
    let signature = |root: &str, name: &str| {
        let text = format!(
            "statement = \"Looked at.\"\nauthor = \"ada\"\napprover = \"bo\"\nsigned = {now}\npopulation-root = \"{root}\"\n"
        );
        world.write(&format!("attestations/soc2.CC1.1/{day}.toml"), &text);
        world.commit();
        world.slm(&["apply", "--auto-approve"]).says("Recorded as ");
        let all = files(&bundle(&world, name));
        let view: Json = serde_json::from_slice(&all["summary.json"]).unwrap();
        let criteria = view["frameworks"][0]["criteria"].as_array().unwrap().clone();
        let one = criteria.into_iter().find(|one| one["id"] == "CC1.1").unwrap();
        (one["signature"].as_str().unwrap().to_owned(), world.slm(&["status", "--format", "json"]).json()["manual"].to_string())
    };
    let (signed, status) = signature(&log, "signed.zip");
    assert!(signed.contains("by bo") && status.contains("\"for\""), "{signed} {status}");
    let (hollow, status) = signature(&"0".repeat(64), "hollow.zip");
    assert!(hollow.starts_with("manual, signed for ") && hollow.contains(" over what no run recorded: root 0000"), "{hollow}");
    assert!(status.contains("\"unfounded\""), "{status}");
}

#[test]
fn a_bundle_has_no_text_that_was_never_committed_and_says_whose_text_it_has() {
    let (world, _) = recorded();
    let title = "title = \"Secrets rotated within their tier limit\"";
    world.edit("controls/rot/ROT-01.toml", title, "title = \"Never committed\"");
    world.slm(&["apply", "--auto-approve"]).says("Recorded as ");
    let path = world.outside("work-tree.zip");
    let ran =
        world.slm(&["export", "bundle", "--out", path.to_str().unwrap()]).exits(3).says("! unproven    the config `work-tree-");
    let ran = ran.says("was never committed: its rules are not to be had; titles and criteria are those of the config ");
    assert!(ran.out.contains("Wrote "), "{}", ran.out);
    let all = files(&path);
    for (name, bytes) in &all {
        assert!(!contains(bytes, "Never committed"), "{name}");
    }
    for page in ["index.html", "README.md"] {
        let text = String::from_utf8_lossy(&all[page]);
        assert!(text.contains("<strong>Not shown:</strong>") || text.contains("**Not shown:**"), "{page}: {text}");
    }
    let oscal = world.outside("oscal");
    world.slm(&["export", "oscal", "--out", oscal.to_str().unwrap()]).exits(3).says("! unproven    the config `work-tree-");
    // A sample needs no titles.
    world.slm(&["sample", "--control", "ROT-01", "--n", "1", "--nonce", "a"]).exits(0).says("Drew 1 of 2");
}

#[test]
fn no_bundle_is_made_where_no_text_of_the_period_is_to_be_had() {
    let world = World::scaffolded();
    world.edit("controls/rot/ROT-01.toml", "owner = \"security\"", "owner = \"nobody\"");
    world.slm(&["apply", "--auto-approve"]).says("Recorded as ");
    let path = world.outside("none.zip");
    let ran = world.slm(&["export", "bundle", "--out", path.to_str().unwrap()]).exits(3);
    ran.says("the text that ")
        .says("was judged by is not to be had: the config `work-tree-")
        .says("`slm report period` tells of these days");
    assert!(!path.exists());
}

#[test]
fn a_sample_of_what_nobody_ever_looked_at_is_unproven() {
    let world = World::scaffolded();
    fs::remove_dir_all(world.root().join("controls/rot")).unwrap();
    fs::remove_file(world.root().join("policies/rot.cedar")).unwrap();
    world.ship(&["ROT-01", "ROT-02", "CAP-01"]);
    world.commit();
    world.slm(&["apply", "--auto-approve"]).says("Recorded as ");
    let drawn = ["sample", "--control", "CAP-01", "--n", "25", "--nonce", "a"];
    world.slm(&drawn).exits(3).says("Drew 0 of 0 for CAP-01").says("! unproven    1 of 1 runs did not see the population whole");
    let drawn = ["sample", "--control", "ROT-02", "--n", "1", "--nonce", "a"];
    world.slm(&drawn).exits(0).says("Drew 1 of 1 for ROT-02");
}

#[test]
fn an_exception_is_told_as_it_was_in_force_with_every_approval_that_runs_saw() {
    let world = World::scaffolded();
    world.edit("policies/rot.cedar", "resource.declared && resource.owner != \"\"", "resource.declared && resource.owner == \"x\"");
    let now = Timestamp::now().as_second();
    let at = |seconds: i64| Timestamp::from_second(now + seconds).unwrap();
    let approved = |ago: i64| {
        let text = format!(
            "control = \"ROT-02\"\nresource = \"vault:local/app/session-key\"\nreason = \"r\"\ncompensating = \"c\"\nticket = \"T-1\"\n\
             requester = \"ada\"\napprover = \"grace\"\napproved = {}\nexpires = {}\n",
            at(-ago),
            at(30 * 86_400)
        );
        world.write("exceptions/slow.toml", &text);
        world.commit();
        world.slm(&["apply", "--auto-approve"]).says("Recorded as ");
    };
    approved(7_200);
    world.slm(&["status"]).says("exception slow: lifts ROT-02").says("approved by grace as its file says (not seen), ");
    approved(3_600);
    let told = "Exception slow was approved 2 times, and its file does not say so; write the times before into `earlier`.";
    world.slm(&["status"]).says(told);
    let one = world.slm(&["status", "--format", "json"]).json()["exceptions"]["standings"][0].clone();
    assert_eq!((&one["approvals"], &one["approval"]), (&json!(2), &json!("not-seen")), "{one}");
    fs::remove_file(world.root().join("exceptions/slow.toml")).unwrap();
    world.commit();
    world.slm(&["apply", "--auto-approve"]).says("Recorded as ");

    let told = format!("asked for by ada, by its file approved by grace, 2 approvals, until {}", at(30 * 86_400));
    world.slm(&["report", "period"]).says("exception slow: ").says(&told);
    let waiver = world.slm(&["report", "period", "--format", "json"]).json()["waivers"][0].clone();
    assert_eq!((&waiver["approver"], &waiver["approvals"]), (&json!("grace"), &json!(2)), "{waiver}");
    let page = String::from_utf8(files(&bundle(&world, "gone.zip"))["controls/ROT-02/index.html"].clone()).unwrap();
    assert!(
        page.contains("asked for by ada, by its file approved by grace until ") && page.contains(", renewed 1 times"),
        "{page}"
    );
}

#[test]
fn an_exception_under_another_name_or_in_a_folder_is_approved_again_and_keeps_its_approver() {
    let world = World::scaffolded();
    world.edit("policies/rot.cedar", "resource.declared && resource.owner != \"\"", "resource.declared && resource.owner == \"x\"");
    let now = Timestamp::now().as_second();
    let at = |seconds: i64| Timestamp::from_second(now + seconds).unwrap();
    let approved = |path: &str, ago: i64| {
        let text = format!(
            "control = \"ROT-02\"\nresource = \"vault:local/app/session-key\"\nreason = \"r\"\ncompensating = \"c\"\nticket = \"T-1\"\n\
             requester = \"ada\"\napprover = \"grace\"\napproved = {}\nexpires = {}\n",
            at(-ago),
            at(30 * 86_400)
        );
        world.write(path, &text);
    };
    let apply = || {
        world.commit();
        world.slm(&["apply", "--auto-approve"]).says("Recorded as ");
    };
    let remove = |path: &str| fs::remove_file(world.root().join(path)).unwrap();
    approved("exceptions/one.toml", 7_200);
    apply();
    remove("exceptions/one.toml");
    approved("exceptions/sub/two.toml", 3_600);
    apply();
    let told = |times: u64| {
        format!("Exception two was approved {times} times, and its file does not say so; write the times before into `earlier`.")
    };
    world.slm(&["status"]).says(&told(2));
    approved("exceptions/sub/two.toml", 1_800);
    apply();
    world.slm(&["status"]).says(&told(3));
    remove("exceptions/sub/two.toml");
    // One whose path is longer than the name of any file may be.
    let deep = format!("exceptions/{}/two.toml", ["a-folder-with-a-name-of-some-length"; 8].join("/"));
    approved(&deep, 900);
    apply();
    world.slm(&["status"]).says(&told(4));
    remove(&deep);
    apply();
    world.slm(&["status"]).exits(2);

    let ran = world.slm(&["report", "period"]);
    let ran = ran.says(&format!("asked for by ada, by its file approved by grace, 4 approvals, until {}", at(30 * 86_400)));
    assert!(!ran.out.contains("has its file"), "{}", ran.out);
    let waivers = world.slm(&["report", "period", "--format", "json"]).json()["waivers"].clone();
    let told: Vec<_> =
        waivers.as_array().unwrap().iter().map(|one| (&one["exception"], &one["approver"], &one["approvals"])).collect();
    assert_eq!(told, [(&json!("one"), &json!("grace"), &json!(1)), (&json!("two"), &json!("grace"), &json!(4))]);
}

/// Writes the first run on the branch as if it had been made on `day`, and the later ones after it.
fn set_back(world: &World, first: &str, day: &str) {
    let (root, tree) = (world.root(), world.outside("set-back"));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let all = text(git(&root, &["rev-list", "--reverse", "slm/evidence"]));
    git(&root, &["worktree", "add", "-q", "--detach", tree.to_str().unwrap(), all.lines().next().unwrap()]);
    git(&tree, &["checkout", "-q", "--orphan", "again"]);
    let folder = |day: &str| tree.join(format!("runs/{}", day.replace('-', "/")));
    for (place, commit) in all.lines().enumerate() {
        git(&tree, &["rm", "-rqf", "--ignore-unmatch", "."]);
        git(&tree, &["checkout", commit, "--", "."]);
        let run = text(git(&root, &["log", "-1", "--format=%s", all.lines().next().unwrap()]));
        let id = run.strip_prefix("run ").unwrap().split(':').next().unwrap().to_owned();
        let file = folder(first).join(format!("{id}.json"));
        let moved = fs::read_to_string(&file).unwrap().replace(&format!("\"{first}T"), &format!("\"{day}T"));
        fs::create_dir_all(folder(day)).unwrap();
        fs::write(folder(day).join(format!("{id}.json")), moved).unwrap();
        fs::remove_file(file).unwrap();
        git(&tree, &["add", "-A"]);
        let made = text(git(&root, &["log", "-1", "--format=%aI", commit]));
        let date = if place == 0 { made.trim().replace(first, day) } else { made.trim().to_owned() };
        let who = ["-c", "user.name=slm", "-c", "user.email=slm@localhost", "commit", "-q", "-C", commit, "--date", &date];
        // It was recorded then as well: what was recorded later stands for no day.
        let made = Command::new("git").current_dir(&tree).args(who).env("GIT_COMMITTER_DATE", &date).status().unwrap();
        assert!(made.success());
    }
    git(&tree, &["update-ref", "refs/heads/slm/evidence", "HEAD"]);
    git(&root, &["worktree", "remove", "--force", tree.to_str().unwrap()]);
}

#[test]
fn a_signature_counts_for_days_that_were_over_when_it_was_made_also_when_its_file_is_gone() {
    let world = World::scaffolded();
    fs::remove_dir_all(world.root().join("controls/rot")).unwrap();
    fs::remove_file(world.root().join("policies/rot.cedar")).unwrap();
    world.ship(&["ROT-01", "ROT-02", "BCP-02"]);
    let apply = || {
        world.commit();
        world.slm(&["apply", "--auto-approve"]).says("Recorded as ");
    };
    apply();
    let now = Timestamp::now();
    let day = |back: i64| (now - jiff::SignedDuration::from_hours(24 * back)).strftime("%Y-%m-%d").to_string();
    let [today, yesterday, first, before] = [0, 1, 2, 3].map(day);
    let signed = |name: &str, at: &str| {
        let text = format!("statement = \"Looked at.\"\nauthor = \"ada\"\napprover = \"bo\"\nsigned = {at}\n");
        world.write(&format!("attestations/BCP-02/{name}.toml"), &text);
    };
    let early = format!("{yesterday}_{today}");
    signed(&format!("{before}_{first}"), &now.to_string());
    signed(&early, &format!("{yesterday}T00:00:01Z"));
    apply();
    fs::remove_dir_all(world.root().join("attestations")).unwrap();
    apply();
    set_back(&world, &today, &first);

    let cells = |to: &str| {
        let ran = world.slm(&["report", "period", "--from", &first, "--to", to]);
        let line = ran.out.lines().find(|line| line.starts_with("  BCP-02 ")).unwrap_or_else(|| panic!("{}{}", ran.out, ran.err));
        (line.split_whitespace().nth(1).unwrap().to_owned(), ran)
    };
    let (strip, ran) = cells(&first);
    assert_eq!((strip.as_str(), ran.out.contains("not yet signed")), ("s", false), "{}", ran.out);
    let (strip, ran) = cells(&today);
    assert_eq!(strip, "s_m", "{}", ran.out);
    let path = format!("attestations/BCP-02/{early}.toml");
    ran.exits(3)
        .says(&format!("! unproven    `{path}` was signed on {yesterday}: what came after that, until {today}, is not yet signed"));
    let ran = world.slm(&["explain", "BCP-02", "--at", &first]);
    ran.says(&format!("  signed for {before}/{first} by bo as its file says (not seen)"));
    let told = format!("  manual, signed for {yesterday}/{today} by bo on {yesterday}: the days after it are not yet signed");
    world.slm(&["explain", "BCP-02", "--at", &today]).says(&told);

    let out = world.outside("first.zip");
    world.slm(&["export", "bundle", "--from", &first, "--to", &first, "--out", out.to_str().unwrap()]).says("Wrote ");
    let all = files(&out);
    assert!(all.contains_key(&format!("evidence/attestations/BCP-02/{before}_{first}.toml")), "{:?}", all.keys());
    let view: Json = serde_json::from_slice(&all["summary.json"]).unwrap();
    let control = view["controls"].as_array().unwrap().iter().find(|one| one["id"] == "BCP-02").unwrap();
    assert_eq!(control["word"], "signed");
}
