//! `slm explain --at` and `slm report period` of the built binary: the past is told from the evidence, and judged again.

use std::fs;

use serde_json::{Value as Json, json};

use crate::support::{World, git};

/// A repo with one run, and the day of that run.
fn recorded() -> (World, String) {
    let world = World::scaffolded();
    world.slm(&["apply", "--auto-approve"]).exits(0);
    let day = last_day(&world);
    (world, day)
}

fn runs(world: &World) -> Vec<String> {
    let listed = git(&world.root(), &["ls-tree", "-r", "--name-only", "slm/evidence", "runs/"]);
    String::from_utf8(listed).unwrap().lines().map(str::to_owned).collect()
}

/// The day of the last run, as its folder has it.
fn last_day(world: &World) -> String {
    let runs = runs(world);
    let path = runs.last().unwrap().strip_prefix("runs/").unwrap();
    path.split('/').take(3).collect::<Vec<_>>().join("-")
}

fn resource(world: &World) -> String {
    let lines = git(&world.root(), &["show", "slm/evidence:decisions/ROT-01.jsonl"]);
    let line: Json = serde_json::from_slice(lines.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    line["resource"].as_str().unwrap().to_owned()
}

/// Writes the last commit of the evidence anew with `edit` done to its decisions, as whoever may write the repository can.
fn tamper(world: &World, edit: impl FnOnce(&str) -> String) {
    let tree = world.outside("tamper");
    git(&world.root(), &["worktree", "add", "-q", "--force", tree.to_str().unwrap(), "slm/evidence"]);
    let path = tree.join("decisions/ROT-01.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let edited = edit(&text);
    assert_ne!(edited, text);
    fs::write(&path, edited).unwrap();
    let who = ["-c", "user.name=slm", "-c", "user.email=slm@localhost"];
    git(&tree, &[&who[..], &["commit", "-q", "-a", "--amend", "--no-edit"]].concat());
    git(&world.root(), &["worktree", "remove", "--force", tree.to_str().unwrap()]);
}

#[test]
fn a_past_day_is_explained_by_what_was_recorded_and_judged_again_by_the_text_of_then() {
    let (world, day) = recorded();
    world.edit("controls/rot/ROT-01.toml", "title = \"Secrets rotated within their tier limit\"", "title = \"Another title\"");
    world.commit();
    let ran = world.slm(&["explain", "ROT-01", "--at", &day]).exits(0);
    let ran = ran.says("Secrets rotated within their tier limit").says("judged again: the rules of then say the same");
    ran.says("  rests on, in ").says("  decisions/ROT-01.jsonl  ").says("    by test <test@localhost> at ").says("  rule ROT-01  ");
    let name = resource(&world);
    let said = world.slm(&["explain", &name, "--at", &day, "--format", "json"]).exits(0).json();
    let controls: Vec<&str> = said["recorded"].as_array().unwrap().iter().map(|one| one["control"].as_str().unwrap()).collect();
    assert_eq!(controls, ["ROT-01", "ROT-02"]);
    assert_eq!((&said["findings"], &said["unproven"]), (&json!([]), &json!([])));
    assert_eq!(said["config"]["subject"], "change");
    let paths: Vec<&str> = said["artefacts"].as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap()).collect();
    for path in ["decisions/ROT-01.jsonl", "decisions/ROT-02.jsonl", "snapshot/Vault.Secret.jsonl", runs(&world)[0].as_str()] {
        assert!(paths.contains(&path), "{path} is not in {paths:?}");
    }
    let text = said["again"]["rules"][0]["text"].as_str().unwrap();
    assert!(text.contains("resource.max_age_days * 86400000"), "{text}");
    world.slm(&["explain", "ROT-1", "--at", &day]).exits(1).says("did you mean `ROT-01`?");
    world.slm(&["explain", "ROT-01", "--at", "yesterday"]).exits(64).says("is no day and no instant");
}

#[test]
fn a_day_without_a_run_and_a_time_before_the_first_say_so() {
    let (world, _) = recorded();
    world
        .slm(&["explain", "ROT-01", "--at", "2001-01-01"])
        .exits(3)
        .says("no run is recorded on slm/evidence until 2001-01-01T23:59:59");
    let ran = world.slm(&["explain", "ROT-01", "--at", "2999-01-01"]).exits(3);
    ran.says("no run began on 2999-01-01; the last before it is told").says("compliant");
}

#[test]
fn a_decision_that_its_rules_do_not_say_again_is_broken_evidence() {
    let (world, day) = recorded();
    tamper(&world, |text| text.replace("\"status\":\"compliant\"", "\"status\":\"excepted\""));
    let ran = world.slm(&["explain", "ROT-01", "--at", &day]).exits(7).says("error[slm::evidence-not-replayed]");
    ran.says("recorded {").says("\"status\":\"excepted\"");
    // The control is told of as it is recorded, and the run itself counted otherwise.
    let ran = world.slm(&["report", "period", "--from", &day, "--to", &day]).exits(7);
    ran.says("error[slm::evidence-contradicted]").says("`decisions/ROT-01.jsonl` has 1 excepted, and its run counted 1 compliant");
}

#[test]
fn a_config_that_was_never_committed_leaves_the_past_unproven() {
    let world = World::scaffolded();
    world.edit("controls/rot/ROT-01.toml", "title = \"Secrets rotated within their tier limit\"", "title = \"Not committed\"");
    world.slm(&["apply", "--auto-approve"]).exits(0);
    let ran = world.slm(&["explain", "ROT-01", "--at", &last_day(&world)]).exits(3);
    ran.says("was never committed: its rules are not to be had").says("ROT-01  compliant");
}

#[test]
fn a_period_is_told_day_by_day_with_what_another_text_would_have_said() {
    let (world, day) = recorded();
    let of = |arguments: &[&str]| {
        let to = last_day(&world);
        world.slm(&[&["report", "period", "--from", &day, "--to", &to][..], arguments].concat())
    };
    let said = of(&["--format", "json"]).exits(0).json();
    assert_eq!(said["period"]["runs"].as_array().unwrap().len(), 1);
    let first = &said["period"]["controls"][0];
    assert_eq!(first["control"], "ROT-01");
    assert_eq!(first["days"][0], json!({ "judged": { "gravest": "compliant", "tally": { "compliant": 1 } } }));
    assert_eq!((&said["deviations"], &said["texts"]), (&json!([]), &json!([])));
    assert!(said["log"]["size"].as_u64().unwrap() > 3, "{}", said["log"]);
    let lives = String::from_utf8(git(&world.root(), &["ls-tree", "-r", "--name-only", "slm/evidence", "rotations/"])).unwrap();
    let told: Vec<&str> = said["period"]["rotations"].as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap()).collect();
    assert_eq!(told, lives.lines().collect::<Vec<_>>(), "every version was made on this day");
    let life = &said["period"]["rotations"][0];
    let known = (told.len(), life["told"]["made"].is_string(), &life["told"]["run_by"]);
    assert_eq!(known, (1, true, &json!(["app"])), "the value that slm made is told: {life}");

    world.edit(
        "policies/rot.cedar",
        "resource.declared && resource.owner != \"\"",
        "resource.declared && resource.owner == \"nobody\"",
    );
    world.commit();
    world.slm(&["apply", "--auto-approve"]).says("Recorded as ");
    let said = of(&["--format", "json", "--framework", "soc2"]).exits(2).json();
    let text = &said["texts"][0];
    assert_eq!((&text["run"], &text["files"], &text["unseen"]), (&json!(1), &json!(["policies/rot.cedar"]), &json!(null)));
    let otherwise = json!([{ "control": "ROT-02", "before": { "compliant": 1 }, "after": { "non-compliant": 1 } }]);
    assert_eq!(text["otherwise"], otherwise);
    let deviation = &said["deviations"][0];
    assert_eq!(
        (&deviation["control"], &deviation["ending"], &deviation["before"]),
        (&json!("ROT-02"), &json!("open"), &json!(false))
    );
    of(&["--markdown"]).exits(2).says("\n| ROT-02 | ").says("\n#### 3. Deviations");
    of(&["--framework", "soc3"]).exits(1).says("there is no framework `soc3`; there are `soc2`");
}

#[test]
fn days_without_a_run_are_told_and_a_period_without_a_day_is_refused() {
    let (world, day) = recorded();
    let ran = world.slm(&["report", "period", "--from", "2001-01-01", "--to", "2001-01-03"]).exits(3);
    ran.says("3 days without a run: 2001-01-01, 2001-01-02, 2001-01-03").says("the locker had no run yet");
    let ran = world.slm(&["report", "period", "--from", &day, "--to", "2001-01-01"]).exits(1);
    ran.says("has no day; write the earlier day first");
}

#[test]
fn without_days_a_period_is_from_the_first_run_to_the_last() {
    let (world, day) = recorded();
    let last = last_day(&world);
    world.slm(&["report", "period"]).says(&format!("{day} to {last} on slm/evidence"));
    world.slm(&["report", "period", "--from", &day]).says(&format!("{day} to {last} on slm/evidence"));
}

#[test]
fn an_auditor_with_a_clone_is_told_the_same() {
    let (world, day) = recorded();
    let clone = world.outside("clone");
    git(&world.outside(""), &["clone", "-q", world.root().to_str().unwrap(), clone.to_str().unwrap()]);
    let at = ["explain", "ROT-01", "--at", &day, "--format", "json"];
    let here = world.slm(&at).exits(0).json();
    let there = world.slm(&[&at[..], &["--root", clone.to_str().unwrap()]].concat()).exits(0).json();
    assert_eq!(here, there);
}
