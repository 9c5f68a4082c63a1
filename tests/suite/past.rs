//! `slm explain --at` and `slm report period` of the built binary: the past is told from the evidence, and judged again.

use std::fs;
use std::path::Path;
use std::process::Command;

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
    rewrite(world, |tree| {
        let path = tree.join("decisions/ROT-01.jsonl");
        let text = fs::read_to_string(&path).unwrap();
        let edited = edit(&text);
        assert_ne!(edited, text);
        fs::write(&path, edited).unwrap();
    });
}

/// Writes the last commit of the evidence anew with `edit` done to its files.
fn rewrite(world: &World, edit: impl FnOnce(&Path)) {
    let tree = world.outside("tamper");
    git(&world.root(), &["worktree", "add", "-q", "--force", tree.to_str().unwrap(), "slm/evidence"]);
    edit(&tree);
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
fn what_a_run_could_not_see_of_a_population_it_says_of_each_that_was_in_it() {
    let (world, _) = recorded();
    let name = resource(&world);
    let gone = world.outside("gone");
    fs::rename(world.outside("slm.age-identity"), &gone).unwrap();
    world.slm(&["apply", "--auto-approve"]).says("Recorded as ");
    let day = last_day(&world);
    let ran = world.slm(&["explain", &name, "--at", &day]).exits(3);
    let ran = ran.says(&format!("! unproven    `{name}` was seen last by run ")).says("; since then: could not");
    ran.says("  no-evidence   all Vault::Secret of local .  could not").says("judged again: the rules of then say the same");
    let said = world.slm(&["explain", &name, "--at", &day, "--format", "json"]).exits(3).json();
    let told: Vec<(&str, &str)> = said["recorded"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["control"].as_str().unwrap(), one["status"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("ROT-01", "no-evidence"), ("ROT-02", "no-evidence")]);
    assert_eq!(said["unproven"][0]["code"], "slm::past-unseen");
    // A second run without sight asks further back; what nobody ever saw is no member.
    world.slm(&["apply", "--auto-approve"]).says("Recorded as ");
    let day = last_day(&world);
    world.slm(&["explain", &name, "--at", &day]).exits(3).says("was seen last by run ");
    world.slm(&["explain", &format!("{name}-2"), "--at", &day]).exits(1).says("said nothing of ");
    fs::rename(&gone, world.outside("slm.age-identity")).unwrap();
    world.slm(&["apply", "--auto-approve"]).exits(0);
    world.slm(&["explain", &name, "--at", &last_day(&world)]).exits(0).says("compliant");
}

#[test]
fn a_control_that_was_taken_away_later_on_the_day_is_told_by_the_last_run_that_judged_it() {
    let (world, day) = recorded();
    fs::remove_file(world.root().join("controls/rot/ROT-02.toml")).unwrap();
    let rules = world.read("policies/rot.cedar");
    world.write("policies/rot.cedar", &rules[..rules.find("// Every secret is declared").unwrap()]);
    world.edit("credentials/session-key.toml", "[\"ROT-01\", \"ROT-02\"]", "[\"ROT-01\"]");
    world.commit();
    world.slm(&["apply", "--auto-approve"]).exits(0);
    if last_day(&world) != day {
        return; // Midnight came between the two runs: then they are of two days.
    }
    let ran = world.slm(&["explain", "ROT-02", "--at", &day]).exits(0).says("Every secret is declared and has an owner");
    ran.says(", the last of that day, said nothing of it\n").says("judged again: the rules of then say the same");
    let said = world.slm(&["explain", "ROT-01", "--at", &day, "--format", "json"]).exits(0).json();
    assert_eq!((&said["later"], said["recorded"].as_array().unwrap().len()), (&json!(null), 1));
    // Of an instant only one run stands.
    world.slm(&["explain", "ROT-02", "--at", &format!("{day}T23:59:59Z")]).exits(1).says("said nothing of `ROT-02`");
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
fn a_decision_that_was_left_out_is_missed_by_whoever_asks_for_its_resource() {
    let (world, day) = recorded();
    let name = resource(&world);
    tamper(&world, |_| String::new());
    let ran = world.slm(&["explain", &name, "--at", &day]).exits(7).says("error[slm::evidence-not-replayed]");
    let ran = ran.says("recorded nothing, judged again {").says("  recorded then:\n  ROT-02  compliant");
    let ran = ran.says("which is not evidence:\n\nROT-01  ");
    assert!(!ran.out.contains("judged again: the rules of then say the same"), "{}", ran.out);
    let said = world.slm(&["explain", &name, "--at", &day, "--format", "json"]).exits(7).json();
    let told: Vec<&str> = said["recorded"].as_array().unwrap().iter().map(|one| one["control"].as_str().unwrap()).collect();
    assert_eq!(told, ["ROT-02"]);
}

#[test]
fn decisions_that_a_run_counted_and_that_are_gone_are_missing_and_nothing_that_was_never_judged() {
    let (world, day) = recorded();
    let name = resource(&world);
    rewrite(&world, |tree| fs::remove_file(tree.join("decisions/ROT-01.jsonl")).unwrap());
    for asked in ["ROT-01", "ROT-02", &name] {
        let ran = world.slm(&["explain", asked, "--at", &day]).exits(7);
        let ran = ran.says("error[slm::evidence-missing]: `decisions/ROT-01.jsonl` is not there, and run ");
        ran.says(" counted 1 decision in it");
    }
    world.slm(&["explain", "ROT-01", "--at", &day]).exits(7).says("  recorded then:\n  nothing\n");
    rewrite(&world, |tree| fs::remove_file(tree.join("decisions/ROT-02.jsonl")).unwrap());
    world.slm(&["explain", &name, "--at", &day]).exits(7).says("`decisions/ROT-02.jsonl` is not there");
    world.slm(&["explain", "vault:local/none", "--at", &day]).exits(1).says("said nothing of `vault:local/none`; write the id");
}

#[test]
fn whoever_asks_for_a_name_that_is_not_known_is_told_which_are() {
    let (world, day) = recorded();
    let name = resource(&world);
    let end = name.rsplit('/').next().unwrap();
    for asked in [&["explain", end][..], &["explain", end, "--at", &day]] {
        world.slm(asked).exits(1).says(&format!("; did you mean `{name}`?"));
    }
    world.slm(&["explain", "e\u{1b}[2Jx"]).exits(1).says("nothing was judged about `e\u{fffd}[2Jx`; write the id of a control");
    let ran = world.slm(&["explain", "ROT-01", "--at", "2999-01-01T05:00:00Z"]).exits(3);
    ran.says("no run began on 2999-01-01 until 2999-01-01T05:00:00Z; the last before it is told");
    let ran = world.slm(&["report", "period", "--from", "2026-11-30T13:00:00Z"]).exits(64);
    ran.says("is an instant, and a period has whole days of UTC; write `2026-11-30`");
}

#[test]
fn what_stands_in_the_place_of_a_signature_is_not_called_one() {
    let world = World::scaffolded();
    let root = world.root();
    let text = String::from_utf8(git(&root, &["cat-file", "commit", "HEAD"])).unwrap();
    let (head, message) = text.split_once("\n\n").unwrap();
    let junk = world.outside("junk");
    let armour = "gpgsig -----BEGIN SSH SIGNATURE-----\n AAAA\n -----END SSH SIGNATURE-----";
    fs::write(&junk, format!("{head}\n{armour}\n\n{message}")).unwrap();
    let commit = String::from_utf8(git(&root, &["hash-object", "-t", "commit", "-w", junk.to_str().unwrap()])).unwrap();
    git(&root, &["update-ref", "refs/heads/main", commit.trim()]);
    world.slm(&["apply", "--auto-approve"]).exits(0);
    let day = last_day(&world);
    let ran = world.slm(&["explain", "ROT-01", "--at", &day]).exits(0).says("\n    signature not checked\n");
    assert!(!ran.out.contains("    signed"), "{}", ran.out);

    let key = "bo@localhost ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIDI5wu4VUkV6wW4hjTq4xyuGOe4NWqT8DLzpAwUgRgM\n";
    fs::write(world.outside("signers"), key).unwrap();
    let source = "[source.config]\ngit = { path = \".\", allowed-signers = \"../signers\" }\n";
    world.write("slm.toml", &format!("{}\n{source}", world.read("slm.toml")));
    world.commit();
    let text = String::from_utf8(git(&root, &["cat-file", "commit", "HEAD"])).unwrap();
    let (head, message) = text.split_once("\n\n").unwrap();
    fs::write(&junk, format!("{head}\n{armour}\n\n{message}")).unwrap();
    let commit = String::from_utf8(git(&root, &["hash-object", "-t", "commit", "-w", junk.to_str().unwrap()])).unwrap();
    git(&root, &["update-ref", "refs/heads/main", commit.trim()]);
    world.slm(&["apply", "--auto-approve"]).says("Recorded as ");
    let said = world.slm(&["explain", "ROT-01", "--at", &last_day(&world), "--format", "json"]).json();
    assert_eq!(said["config"]["signature"], "bad");
    world.slm(&["explain", "ROT-01", "--at", &last_day(&world)]).says("\n    signature does not hold\n");
}

#[test]
fn who_signed_the_text_of_then_is_named_and_a_key_of_a_stranger_is_nobodys() {
    let world = World::scaffolded();
    let root = world.root();
    let key = |name: &str| {
        let path = world.outside(name);
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(&path).status();
        assert!(made.unwrap().success());
        format!("user.signingkey={}", path.display())
    };
    let (bo, stranger) = (key("bo"), key("stranger"));
    let public = fs::read_to_string(world.outside("bo.pub")).unwrap();
    fs::write(world.outside("signers"), format!("bo@localhost {public}")).unwrap();
    let source = "[source.config]\ngit = { path = \".\", allowed-signers = \"../signers\" }\n";
    world.write("slm.toml", &format!("{}\n{source}", world.read("slm.toml")));
    for (key, signature, told) in [
        (bo, json!({ "good": "bo@localhost" }), "\n    signed by bo@localhost, and the signature holds\n"),
        (stranger, json!("unknown-key"), "\n    signed by a key that is none of the allowed signers\n"),
    ] {
        world.commit();
        let who = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "gpg.format=ssh", "-c", &key];
        git(&root, &[&who[..], &["commit", "-q", "-S", "--amend", "--no-edit", "--allow-empty"]].concat());
        world.slm(&["apply", "--auto-approve"]).says("Recorded as ");
        let said = world.slm(&["explain", "ROT-01", "--at", &last_day(&world), "--format", "json"]).json();
        assert_eq!(said["config"]["signature"], signature);
        world.slm(&["explain", "ROT-01", "--at", &last_day(&world)]).says(told);
    }
}

#[test]
fn what_the_text_before_would_have_said_goes_by_what_that_text_declared() {
    let (world, day) = recorded();
    let declared = world.read("credentials/session-key.toml");
    let apply = || {
        world.commit();
        world.slm(&["apply", "--auto-approve"]).says("Recorded as ");
    };
    fs::remove_file(world.root().join("credentials/session-key.toml")).unwrap();
    apply();
    world.write("credentials/session-key.toml", &declared);
    apply();
    world.edit("slm.toml", "standard = \"60d\"", "standard = \"1h\"");
    apply();
    let ran = world.slm(&["report", "period", "--from", &day, "--to", &last_day(&world), "--format", "json"]);
    let said = ran.json();
    let otherwise = |change: usize, control: &str| {
        let all = said["texts"][change]["otherwise"].as_array().unwrap();
        let one = all.iter().find(|one| one["control"] == control).unwrap_or_else(|| panic!("{control}: {}", said["texts"]));
        (one["before"].clone(), one["after"].clone())
    };
    let (good, bad) = (json!({ "compliant": 1 }), json!({ "non-compliant": 1 }));
    assert_eq!(otherwise(0, "ROT-02"), (good.clone(), bad.clone()), "it was withdrawn");
    assert_eq!(otherwise(1, "ROT-02"), (bad.clone(), good.clone()), "it was put back");
    assert_eq!(otherwise(2, "ROT-01"), (good, bad), "its tier became stricter");
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
fn the_history_of_a_control_tells_each_run_that_changed_what_it_says() {
    let (world, _) = recorded();
    let well = "resource.declared && resource.owner != \"\"";
    world.edit("policies/rot.cedar", well, "resource.declared && resource.owner == \"nobody\"");
    world.commit();
    world.slm(&["apply", "--auto-approve"]).says("Recorded as ");
    world.slm(&["apply", "--auto-approve"]).says("Recorded as ");
    let name = resource(&world);
    let ran = world.slm(&["explain", "ROT-02", "--history"]).exits(0);
    let ran = ran.says("ROT-02 was changed by 2 runs of 3 on slm/evidence, the newest first.");
    let ran = ran.says(&format!("  {name}  non-compliant, no rule permits it; before compliant, permitted by ROT-02\n"));
    ran.says(&format!("  {name}  came: compliant, permitted by ROT-02\n"));
    let said = world.slm(&["explain", "ROT-02", "--history", "--newest", "1", "--format", "json"]).exits(0).json();
    assert_eq!((&said["runs"], &said["changes"], said["steps"].as_array().unwrap().len()), (&json!(3), &json!(2), 1));
    assert_eq!(said["steps"][0]["turns"][0]["after"][0], "non-compliant");
    world.slm(&["explain", "ROT-02", "--history", "--newest", "1"]).says("and 1 before: `--newest 2` has all");
    world.slm(&["explain", "ROT-2", "--history"]).exits(1).says("did you mean `ROT-02`?");
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
fn a_period_that_is_not_over_yet_lacks_no_day() {
    let (world, day) = recorded();
    let today = jiff::Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
    let end = today.checked_add(jiff::Span::new().days(40)).unwrap().to_string();
    let ran = world.slm(&["report", "period", "--from", &day, "--to", &end, "--format", "json"]);
    let said = ran.json();
    let days = said["period"]["days"].as_array().unwrap();
    assert_eq!((&said["period"]["to"], &days[0]["date"]), (&json!(end), &json!(day)));
    // A run of yesterday's last minute may be told today.
    let without = days.iter().filter(|day| day["runs"].as_array().unwrap().is_empty()).count();
    assert_eq!((ran.code, without), if days.len() == 1 { (0, 0) } else { (3, 1) }, "{days:?}");
}

#[test]
fn without_days_a_period_is_from_the_first_run_to_the_last() {
    let (world, day) = recorded();
    let last = last_day(&world);
    world.slm(&["report", "period"]).says(&format!("{day} to {last} on slm/evidence"));
    world.slm(&["report", "period", "--from", &day]).says(&format!("{day} to {last} on slm/evidence"));
}

#[test]
fn a_control_that_was_deleted_while_it_failed_is_told_in_the_report_the_bundle_and_every_export() {
    let world = World::scaffolded();
    world.slm(&["apply", "--auto-approve"]).exits(0);
    world.edit("slm.toml", "standard = \"60d\"", "standard = \"1h\"");
    world.commit();
    world.slm(&["apply", "--auto-approve"]).says("Recorded as");
    let control = world.root().join("controls/rot/ROT-01.toml");
    fs::remove_file(control).unwrap();
    let rules = world.read("policies/rot.cedar");
    let rest = rules.find("@id(\"ROT-02").unwrap_or_else(|| panic!("{rules}"));
    world.write("policies/rot.cedar", &rules[rest..]);
    for path in ["credentials", "exceptions"] {
        let _ = fs::read_dir(world.root().join(path)).map(|files| {
            files.flatten().for_each(|file| {
                let text = fs::read_to_string(file.path()).unwrap();
                fs::write(file.path(), text.replace("\"ROT-01\"", "\"ROT-02\"")).unwrap();
            })
        });
    }
    world.commit();
    world.slm(&["apply", "--auto-approve"]).says("Recorded as");

    let said = world.slm(&["report", "period", "--framework", "soc2", "--format", "json"]).exits(2).json();
    let deviation = &said["deviations"][0];
    assert_eq!((&deviation["control"], &deviation["ending"]), (&json!("ROT-01"), &json!("open")), "{}", said["deviations"]);
    assert_eq!(said["removed"], json!(["ROT-01"]));
    world.slm(&["report", "period"]).exits(2).says("ROT-01 was judged, and is declared no more");
    let out = |verb: &str, name: &str| {
        let path = world.outside(name);
        world.slm(&["export", verb, "--framework", "soc2", "--out", path.to_str().unwrap()]).exits(0);
        path
    };
    let actions = fs::read_to_string(out("oscal", "oscal").join("plan-of-action-and-milestones.json")).unwrap();
    assert!(actions.contains("ROT-01: Secrets rotated within their tier limit"), "{actions}");
    assert!(fs::read_to_string(out("ocsf", "x.jsonl")).unwrap().contains("does not meet ROT-01"));
    let sarif: Json = serde_json::from_slice(&fs::read(out("sarif", "x.sarif")).unwrap()).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "ROT-01");
    let bundle = slm::host::zipped::Zipped::open(&out("bundle", "b.zip")).unwrap();
    let text = |name: &str| String::from_utf8(bundle.read(name).unwrap().unwrap()).unwrap();
    assert!(text("deviations.csv").contains("\r\nROT-01,"), "{}", text("deviations.csv"));
    assert!(text("summary.csv").contains("non-compliant, declared no more"), "{}", text("summary.csv"));
    assert!(bundle.names().iter().any(|name| name.starts_with("controls/ROT-01/decisions/")), "{:?}", bundle.names());
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
