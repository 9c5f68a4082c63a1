//! The built binary end to end: exit codes, the demo, determinism, saved plans.

use std::fs;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::support::{World, contains, git, git_objects, slm};

const SESSION_KEY: &str = "credentials/session-key.toml";

/// The ways a call ended, as its JSON output lists them.
fn all(said: &Json) -> Vec<&str> {
    said["exit"]["all"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

/// Names of the actions or held actions of `list` that are about credentials.
fn verbs(list: &Json) -> Vec<String> {
    let kinds = list.as_array().unwrap().iter().map(|item| item["kind"].as_object().unwrap().keys().next().unwrap());
    kinds.filter(|kind| ["rotate", "deliver"].contains(&kind.as_str())).cloned().collect()
}

/// Version the demo app's sidecar calls stored and running.
fn versions(world: &World) -> (String, String) {
    let text = world.read("run/session.env.slm");
    let line = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().trim().to_owned();
    (line("stored"), line("running"))
}

#[test]
fn exit_0_the_repository_itself_is_clean() {
    slm(Path::new(env!("CARGO_MANIFEST_DIR")), &["check"], &[]).exits(0).says("Checked ");
}

#[test]
fn exit_1_a_credential_that_is_not_declared_cannot_be_forced() {
    let world = World::scaffolded();
    for arguments in [&["plan", "--force", "nope"][..], &["apply", "--auto-approve", "--force", "nope"]] {
        world.slm(arguments).exits(1).says("error: credential `nope` is not declared");
    }
}

#[test]
fn exit_2_a_plan_with_something_to_do() {
    let world = World::scaffolded();
    world.slm(&["plan"]).exits(2).says("rotate    session-key  it has no value yet").says("Plan: 1 to rotate");
    let said = world.slm(&["plan", "--format", "json"]).exits(2).json();
    assert_eq!((all(&said), &said["exit"]["code"]), (vec!["changes"], &json!(2)));
}

#[test]
fn exit_3_nothing_is_planned_on_a_source_that_was_not_seen_whole() {
    let world = World::scaffolded();
    fs::remove_file(world.outside("slm.age-identity")).unwrap();
    let vault = fs::read(world.root().join("vault.age")).unwrap();
    world.slm(&["status"]).exits(5).says("NOT seen whole").says("no-evidence").says("1 held, 1 incomplete");
    world.slm(&["plan"]).exits(5).says("was not seen whole").says("held      rotate session-key");
    let said = world.slm(&["plan", "--format", "json"]).exits(5).json();
    assert!(all(&said).contains(&"incomplete") && all(&said).contains(&"held"), "{said}");
    assert_eq!((verbs(&said["plan"]["actions"]), verbs(&said["plan"]["held"])), (vec![], vec!["rotate".to_owned()]));
    assert!(said["plan"]["held"][0]["because"]["unseen"].is_string(), "{said}");

    world.slm(&["apply", "--auto-approve"]).exits(5);
    assert_eq!(fs::read(world.root().join("vault.age")).unwrap(), vault);
    assert!(!world.root().join("run").exists());
}

#[test]
fn status_counts_what_is_due_held_and_incomplete_for_each_control_and_criterion() {
    let world = World::scaffolded();
    let look = |code: i32| {
        let said = world.slm(&["status", "--format", "json"]).exits(code).json();
        let of = |list: &str, id: &str| {
            let found = said[list].as_array().unwrap().iter().find(|one| one["id"] == id).unwrap();
            ["compliant", "judged", "due", "held", "incomplete"].map(|key| found[key].as_u64().unwrap())
        };
        (
            of("controls", "ROT-01"),
            of("criteria", "CC6.1"),
            said["due"].as_array().unwrap().len(),
            said["held"].as_array().unwrap().len(),
        )
    };
    assert_eq!(look(2), ([0, 0, 1, 0, 0], [0, 0, 1, 0, 0], 1, 0), "no value yet");
    world.slm(&["status"]).exits(2).says("0 of 0 compliant; 1 due)").says("soc2 CC6.1");
    world.slm(&["apply", "--auto-approve"]).exits(0);
    assert_eq!(look(0), ([1, 1, 0, 0, 0], [2, 2, 0, 0, 0], 0, 0));
    world.slm(&["status"]).exits(0).says("1 of 1 compliant)").says("2 of 2 controls compliant");
    fs::remove_file(world.outside("slm.age-identity")).unwrap();
    assert_eq!(look(5), ([0, 1, 1, 1, 1], [0, 2, 2, 1, 2], 2, 1), "the rotation is held, both controls want their evidence");
}

#[test]
fn exit_4_a_broken_file_stops_every_verb() {
    let world = World::scaffolded();
    world.edit(SESSION_KEY, "owner = \"platform\"", "owner = platform");
    world.slm(&["check"]).exits(4).says("credentials/session-key.toml:3");
    for verb in [&["plan"][..], &["status"], &["apply", "--auto-approve"], &["explain", "ROT-01"]] {
        world.slm(verb).exits(4).says("the config repo has 1 error; run `slm check`");
    }
    assert!(World::new().slm(&["plan"]).exits(4).says("run `slm init`").out.is_empty());
}

#[test]
fn exit_5_what_no_guard_permits_is_held_and_not_done() {
    let world = World::scaffolded();
    world.edit("policies/guards.cedar", "action == Slm::Action::\"rotate\"", "action == Slm::Action::\"retire\"");
    world.commit();
    world.slm(&["plan"]).exits(5).says("held      rotate session-key").says("Plan: 0 to rotate").says("1 held");
    world.slm(&["apply", "--auto-approve"]).exits(5).says("1 held");
    world.slm(&["apply"]).exits(5);
    assert!(!world.root().join("run").exists());
}

#[test]
fn exit_5_an_apply_that_nobody_approved_does_nothing() {
    let world = World::scaffolded();
    world.slm(&["apply"]).exits(5).says("Nothing was applied.");
    assert!(!world.root().join("run").exists());
}

#[test]
fn exit_6_a_failed_reload_is_resumed_without_a_second_rotation() {
    let world = World::scaffolded();
    world.edit(SESSION_KEY, "mode = \"0600\" }", "mode = \"0600\", reload = [\"./reload.sh\"] }");
    world.commit();
    world.slm(&["apply", "--auto-approve"]).exits(6).says("blocked: ").says("prepared, promoted, delivered");
    let (stored, running) = versions(&world);
    let value = world.read("run/session.env");
    assert_eq!((stored.len(), running.as_str()), (36, ""));
    let said = world.slm(&["plan", "--format", "json"]).exits(2).json();
    assert_eq!(verbs(&said["plan"]["actions"]), ["deliver"]);
    world.slm(&["apply", "--auto-approve"]).exits(6);

    let script = world.root().join("reload.sh");
    fs::copy("/bin/true", &script).unwrap();
    world.slm(&["apply", "--auto-approve"]).exits(0).says("deliver").says("adopted, done");
    assert_eq!((versions(&world), world.read("run/session.env")), ((stored.clone(), stored), value));
    world.slm(&["plan"]).exits(0).says("Nothing is due.");
}

/// Has run `r-1` hold the lease on `session-key` until `until`.
fn hold(world: &World, until: &str) {
    let holder = world.outside("holder.json");
    fs::write(&holder, format!(r#"{{"run":"r-1","until":"{until}","process":null}}"#)).unwrap();
    let blob = String::from_utf8(git(&world.root(), &["hash-object", "-w", &holder.to_string_lossy()])).unwrap();
    git(&world.root(), &["update-ref", "refs/slm/leases/session-key/holder", blob.trim()]);
}

#[test]
fn what_another_run_works_on_is_left_to_it_unless_a_person_resumes() {
    let world = World::scaffolded();
    hold(&world, "2126-01-01T00:00:00Z");
    let held = "rotate    session-key  waits until 2126-01-01T00:00:00Z: run r-1 works on it; `slm resume` goes on at once";
    world.slm(&["apply", "--auto-approve"]).exits(2).says(held);
    world.slm(&["rotate", "session-key"]).exits(2).says(held);
    assert!(!world.root().join("run").exists());
    hold(&world, "2026-01-01T00:00:00Z");
    world.edit(SESSION_KEY, "mode = \"0600\" }", "mode = \"0600\", reload = [\"./reload.sh\"] }");
    world.commit();
    world.slm(&["apply", "--auto-approve"]).exits(6);
    assert!(git(&world.root(), &["for-each-ref", "refs/slm/leases"]).is_empty(), "it is given back");
    hold(&world, "2126-01-01T00:00:00Z");
    fs::copy("/bin/true", world.root().join("reload.sh")).unwrap();
    world.slm(&["apply", "--auto-approve"]).says("run r-1 works on it");
    world.slm(&["resume"]).exits(0).says("deliver").says("adopted, done");
    assert!(git(&world.root(), &["for-each-ref", "refs/slm/leases"]).is_empty());
}

/// What was done counts when it is recorded, and the next run records what one could not.
#[cfg(unix)]
#[test]
fn a_rotation_whose_evidence_could_not_be_written_is_recorded_by_the_next_run() {
    let world = World::scaffolded();
    let bare = world.outside("locker.git");
    git(&world.root(), &["init", "-q", "--bare", bare.to_str().unwrap()]);
    world.edit("slm.toml", "[locker]\n", &format!("[locker]\nremote = \"file://{}\"\n", bare.display()));
    world.commit();
    world.slm(&["apply", "--auto-approve"]).exits(0);
    let before = versions(&world).0;
    let hook = bare.join("hooks/pre-receive");
    fs::write(&hook, "#!/bin/sh\nwhile read _ _ ref; do case \"$ref\" in refs/heads/*) exit 1;; esac; done\n").unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let recorded =
        || String::from_utf8(git(&bare, &["ls-tree", "-r", "--name-only", "slm/evidence", "runs/"])).unwrap().lines().count();
    let kept = recorded();

    world.slm(&["apply", "--auto-approve", "--force", "session-key"]).exits(1).says("could not push the locker branch");
    let rotated = versions(&world);
    assert!(rotated.0 != before && rotated.0 == rotated.1, "the value is a new one, and its consumer has it");
    assert_eq!(recorded(), kept, "and nobody else knows of it");
    world.slm(&["apply", "--auto-approve"]).exits(1).says("could not push the locker branch");

    fs::remove_file(&hook).unwrap();
    world.slm(&["apply", "--auto-approve"]).exits(0).says("Nothing was due.").says("Recorded as");
    assert_eq!(recorded(), kept + 3, "the two that were kept here, and this one");
    assert_eq!(versions(&world), rotated, "it is not rotated twice");
    let snapshot = String::from_utf8(git(&bare, &["show", "slm/evidence:snapshot/Vault.Secret.jsonl"])).unwrap();
    assert!(snapshot.contains(&rotated.0), "{snapshot}");
    world.slm(&["verify"]).says("4 commits").says("each in the log");
}

#[test]
fn exit_7_nothing_is_applied_on_top_of_broken_evidence() {
    let world = World::scaffolded();
    world.slm(&["apply", "--auto-approve"]).exits(0);
    let before = (versions(&world), world.read("run/session.env"));
    let packs = world.root().join(".git/objects/pack");
    for entry in fs::read_dir(&packs).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let force = ["apply", "--auto-approve", "--force", "session-key"];
    world.slm(&force).exits(7).says("could not read the evidence on `slm/evidence`");
    assert_eq!((versions(&world), world.read("run/session.env")), before);

    // One file is gone, and everything else is there.
    let world = World::scaffolded();
    world.slm(&["apply", "--auto-approve"]).exits(0);
    let root = world.root();
    let mut packs = fs::read_dir(root.join(".git/objects/pack")).unwrap().map(|one| one.unwrap().path());
    let pack = packs.find(|path| path.extension().is_some_and(|extension| extension == "pack")).unwrap();
    let loose = world.outside("evidence.pack");
    fs::rename(&pack, &loose).unwrap();
    fs::remove_file(pack.with_extension("idx")).unwrap();
    let input = fs::File::open(&loose).unwrap();
    let unpacked = std::process::Command::new("git").current_dir(&root).args(["unpack-objects", "-q"]).stdin(input).status();
    assert!(unpacked.unwrap().success());
    world.slm(&["plan"]).exits(0);
    let blob = String::from_utf8(git(&root, &["rev-parse", "slm/evidence:decisions/ROT-01.jsonl"])).unwrap();
    let blob = blob.trim();
    fs::remove_file(root.join(".git/objects").join(&blob[..2]).join(&blob[2..])).unwrap();
    world.slm(&force).exits(7).says("`decisions/ROT-01.jsonl` is missing");
}

#[test]
fn exit_64_bad_usage() {
    let world = World::new();
    for arguments in [&["plan", "--nope"][..], &["nope"], &["apply", "p.json", "--auto-approve"], &["explain"], &[]] {
        world.slm(arguments).exits(64).says("Usage: slm");
    }
    world.slm(&["--version"]).exits(0).says("slm ");
}

#[test]
fn the_demo_ends_with_an_empty_plan_and_says_its_secret_nowhere() {
    let world = World::new();
    let said = world.slm(&["demo", "--dir", "demo", "-vvv", "--log-json"]).exits(0).says("git fsck found nothing wrong.");
    let (_, second) = said.out.rsplit_once("$ slm plan").unwrap();
    assert!(second.contains("Nothing is due."), "{second}");
    let root = world.root().join("demo/config");
    git(&root, &["fsck", "--full", "--strict"]);
    git(&root, &["rev-parse", "--verify", "refs/heads/slm/evidence"]);
    slm(&root, &["plan"], &[]).exits(0).says("Nothing is due.");

    let file = fs::read_to_string(root.join("run/session.env")).unwrap();
    let value = file.strip_prefix("SESSION_KEY=").unwrap().trim_end();
    assert_eq!(value.len(), 40);
    let (objects, vault) = (git_objects(&root), fs::read(root.join("vault.age")).unwrap());
    for (place, bytes) in
        [("stdout", said.out.as_bytes()), ("stderr", said.err.as_bytes()), ("git", &objects), ("the vault's file", &vault)]
    {
        assert!(!contains(bytes, value), "the value is in {place}");
    }
    assert!(contains(&objects, "SESSION_KEY={{ value }}"), "the objects were read");
    for line in said.err.lines() {
        assert!(serde_json::from_str::<Json>(line).is_ok(), "{line}");
    }
}

#[test]
fn ten_plans_of_one_world_are_the_same_bytes() {
    let world = World::scaffolded();
    for name in ["b", "z", "a"] {
        let text = world.read(SESSION_KEY).replace("app/session-key", name).replace("run/session.env", &format!("run/{name}"));
        world.write(&format!("credentials/{name}.toml"), &text);
    }
    world.commit();
    world.slm(&["apply", "--auto-approve"]).exits(0);
    world.write("credentials/new.toml", &world.read("credentials/a.toml").replace("\"a\"", "\"new\"").replace("run/a", "run/new"));
    world.commit();
    let look = || {
        let arguments = ["plan", "--format", "json", "--out", "p.json", "--force", "z", "--force", "session-key"];
        let said = world.slm(&arguments).exits(2).json();
        assert_eq!(verbs(&said["plan"]["actions"]), ["rotate"; 3]);
        let mut plan: Json = serde_json::from_str(&world.read("p.json")).unwrap();
        assert_eq!(plan, said["plan"]);
        let at = plan["at"].take();
        let bytes = world.read("p.json").replace(at.as_str().unwrap(), "AT");
        (bytes, world.slm(&["explain", "ROT-01", "--format", "json"]).exits(0).json()["decisions"].take())
    };
    let first = look();
    assert_eq!(first.1.as_array().unwrap().len(), 4);
    for _ in 1..10 {
        assert_eq!(look(), first);
    }
}

#[test]
fn a_saved_plan_is_applied_exactly_and_once() {
    let world = World::scaffolded();
    world.slm(&["plan", "--out", "p.json"]).exits(2);
    let plan: Json = serde_json::from_str(&world.read("p.json")).unwrap();
    let said = world.slm(&["apply", "p.json", "--format", "json"]).exits(0).json();
    let applied: Vec<&Json> = said["outcomes"].as_array().unwrap().iter().map(|outcome| &outcome["action"]).collect();
    let planned: Vec<&Json> = plan["actions"].as_array().unwrap().iter().map(|action| &action["kind"]).collect();
    assert_eq!(applied, planned);
    let first = (versions(&world), world.read("run/session.env"));
    world.slm(&["apply", "p.json"]).exits(0).says("so already");
    assert_eq!((versions(&world), world.read("run/session.env")), first);
}

#[test]
fn a_plan_made_for_another_generation_is_stale() {
    let world = World::scaffolded();
    world.slm(&["plan", "--out", "p.json"]).exits(2);
    world.slm(&["apply", "--auto-approve"]).exits(0);
    world.slm(&["apply", "--auto-approve", "--force", "session-key"]).exits(0);
    let before = versions(&world);
    world.slm(&["apply", "p.json"]).exits(6).says("stale: version ");
    assert_eq!(versions(&world), before);
}

#[test]
fn a_plan_made_for_another_commit_is_refused() {
    let world = World::scaffolded();
    world.slm(&["plan", "--out", "p.json"]).exits(2);
    world.edit(SESSION_KEY, "30d", "29d");
    world.slm(&["apply", "p.json"]).exits(1).says("which is work-tree-").says("plan again");
    world.slm(&["plan", "--out", "dirty.json"]).exits(2);
    world.edit(SESSION_KEY, "29d", "28d");
    world.slm(&["apply", "dirty.json"]).exits(1).says("the plan was made for config work-tree-");
    world.commit();
    world.slm(&["apply", "p.json"]).exits(1).says("the plan was made for config").says("plan again");
    assert!(!world.root().join("run").exists());
}

#[test]
fn what_was_switched_off_after_it_was_planned_is_not_done() {
    let edits = [
        ("slm.toml", "[limits]\n", "[limits]\nfreeze = [\"2020-01-01/2099-12-31\"]\n"),
        ("policies/guards.cedar", "context.share_percent <= 100", "context.share_percent < 0"),
    ];
    for (file, from, to) in edits {
        let world = World::scaffolded();
        world.slm(&["plan", "--out", "p.json"]).exits(2).says("rotate    session-key");
        let text = world.read(file).replacen(from, to, 1);
        assert_ne!(text, world.read(file), "{file}");
        world.write(file, &text);
        world.commit();
        world.slm(&["apply", "p.json"]).exits(1).says("the plan was made for config").says("plan again");
        world.slm(&["plan", "--out", "p.json"]).exits(5).says("held      rotate session-key");
        for arguments in [["apply", "p.json"], ["apply", "--auto-approve"]] {
            world.slm(&arguments).exits(5).says("1 held");
        }
        assert!(!world.root().join("run").exists(), "{file}: nothing was made");
        // Switched on again, it is done.
        world.write(file, &world.read(file).replacen(to, from, 1));
        world.commit();
        world.slm(&["apply", "--auto-approve"]).exits(0).says("rotate    session-key  done");
    }
}

#[test]
fn a_consumer_that_cannot_be_built_is_seen_to_be_missing() {
    let world = World::scaffolded();
    world.slm(&["apply", "--auto-approve"]).exits(0);
    // `slm check` takes it, because it is octal; no file is made executable as its owner, though.
    world.edit(SESSION_KEY, "mode = \"0600\"", "mode = \"4600\"");
    world.commit();
    world.slm(&["check"]).exits(0);
    let said = world.slm(&["plan", "--format", "json"]).exits(3).json();
    assert!(all(&said).contains(&"incomplete"), "{said}");
    let receipts = said["receipts"].as_array().unwrap();
    let receipt = receipts.iter().find(|one| one["collector"] == "consumers").unwrap();
    let detail = receipt["completeness"]["incomplete"]["detail"].as_str().unwrap();
    assert!(detail.contains("session-key/app") && detail.contains("its mode is not octal"), "{detail}");
    assert_eq!((&receipt["operations"][0]["items"], &receipt["independent_count"]), (&json!(0), &json!(1)));
    let value = world.read("run/session.env");
    world.slm(&["apply", "--auto-approve", "--force", "session-key"]).exits(5).says("1 held");
    assert_eq!(world.read("run/session.env"), value);
}

#[test]
fn plans_and_outcomes_go_to_the_branch_that_is_set_for_them() {
    let world = World::scaffolded();
    world.edit("slm.toml", "branch = \"slm/evidence\"", "plans-branch = \"slm/plans\"\nbranch = \"slm/evidence\"");
    world.commit();
    let said = world.slm(&["apply", "--auto-approve", "--format", "json"]).exits(0).json();
    let listing = |branch: &str| String::from_utf8(git(&world.root(), &["ls-tree", "-r", "--name-only", branch])).unwrap();
    let plans = listing("slm/plans");
    let names: Vec<&str> = plans.lines().collect();
    let [plan, outcomes] = names[..] else { panic!("{plans}") };
    let id = plan.strip_prefix("plans/").unwrap().strip_suffix(".json").unwrap();
    assert_eq!(outcomes, format!("plans/{id}.outcomes.json"));
    let read = |branch: &str, path: &str| -> Json {
        serde_json::from_slice(&git(&world.root(), &["show", &format!("{branch}:{path}")])).unwrap()
    };
    assert_eq!(read("slm/plans", plan)["actions"][0]["kind"]["rotate"]["credential"], "session-key");
    assert_eq!(read("slm/plans", outcomes), said["outcomes"]);
    let evidence = listing("slm/evidence");
    // What is verified is in the locker all the same.
    for path in [plan, outcomes] {
        assert_eq!(read("slm/evidence", path), read("slm/plans", path), "{evidence}");
    }
    assert_eq!(id.split('/').count(), 4, "a folder a day: {id}");
    let run = read("slm/evidence", &format!("runs/{id}.json"));
    assert_eq!((&run["plan"], &run["outcomes"]), (&json!(plan), &json!(outcomes)));

    world.slm(&["apply", "--auto-approve"]).exits(0);
    assert_eq!(listing("slm/plans").lines().count(), 4, "each run adds its own");
    git(&world.root(), &["fsck", "--full", "--strict"]);
}

#[test]
fn two_applies_at_once_rotate_once_and_lose_nothing() {
    let world = World::scaffolded();
    world.slm(&["apply", "--auto-approve"]).exits(0);
    let runs = || {
        let listing = git(&world.root(), &["ls-tree", "-r", "--name-only", "slm/evidence", "runs/"]);
        String::from_utf8(listing).unwrap().lines().count()
    };
    let versions_of = || {
        let said = world.slm(&["explain", "ROT-01", "--format", "json"]).exits(0).json();
        assert_eq!(said["decisions"].as_array().unwrap().len(), 1, "{said}");
        versions(&world)
    };
    let mut ids = vec![versions_of().0];
    for round in 1..=3 {
        world.slm(&["plan", "--force", "session-key", "--out", "p.json"]).exits(2);
        let codes: Vec<i32> = std::thread::scope(|scope| {
            let apply = || scope.spawn(|| world.slm(&["apply", "p.json"]).code);
            [apply(), apply()].into_iter().map(|running| running.join().unwrap()).collect()
        });
        // The other finds it done, finds the plan stale, or leaves it to the first.
        assert!(codes.contains(&0) && codes.iter().all(|code| [0, 2, 6].contains(code)), "{codes:?}");
        let (stored, running) = versions_of();
        assert_eq!(stored, running);
        assert!(!ids.contains(&stored), "it was rotated");
        ids.push(stored);
        assert_eq!(runs(), 1 + round * 2, "each of the two is a run");
        world.slm(&["plan"]).exits(0).says("Nothing is due.");
    }
    // A second rotation would have left a version between those two: each generation goes on the one before.
    let history = git(&world.root(), &["log", "-p", "--format=", "slm/evidence", "--", "snapshot/Vault.Secret.jsonl"]);
    let history = String::from_utf8(history).unwrap();
    let mut seen: Vec<&str> = Vec::new();
    for line in history.lines().filter(|line| line.starts_with('+') && !line.starts_with("+++")) {
        let id = line.split("\"version\":{\"text\":\"").nth(1).unwrap().split('"').next().unwrap();
        if !seen.contains(&id) {
            seen.push(id);
        }
    }
    // Which of two that ran at once is recorded first is left to them.
    seen.sort_unstable();
    ids.sort_unstable();
    assert_eq!(seen, ids);
    git(&world.root(), &["fsck", "--full", "--strict"]);
}

#[test]
fn a_secret_that_was_found_is_adopted_without_being_rotated() {
    let world = World::scaffolded();
    let file = fs::read_dir(world.root().join("credentials")).unwrap().map(|entry| entry.unwrap().path());
    let file = file.into_iter().find(|path| path.extension().is_some_and(|end| end == "toml")).unwrap();
    world.slm(&["apply", "--auto-approve"]);
    let declared: toml::Table = fs::read_to_string(&file).unwrap().parse().unwrap();
    let secret = declared["secret"].as_table().unwrap();
    let id = format!("vault:{}/{}", secret["source"].as_str().unwrap(), secret["name"].as_str().unwrap());
    let rotator = "random = { length = 32 }";
    world.slm(&["adopt", &id, "--rotator", rotator]).exits(1).says("is declared already");
    fs::remove_file(&file).unwrap();
    world.commit();
    world.slm(&["adopt", "vault:nowhere/x", "--rotator", rotator]).exits(3).says("no secret `vault:nowhere/x` was seen");
    world.slm(&["adopt", &id, "--rotator", rotator]).exits(1).says("name the team with `--owner`");
    world.slm(&["adopt", &id, "--owner", "platform", "--rotator", "random = { length = 3 }"]).exits(4).says("can be guessed");
    let before = world.slm(&["plan", "--format", "json"]).json();
    // Where somebody validates values, the one in force must say which credential it is.
    let exec = "exec = { command = [\"true\"], caps = { issuer = \"client\", overlap = \"dual\", delete = true } }";
    let adopted = world.slm(&["adopt", &id, "--owner", "platform", "--rotator", exec, "--id", "by-a-program"]).exits(0);
    adopted.says("Its value must be a JSON object with the name of its credential in `key`.").says("nothing ended");
    fs::remove_file(world.root().join("credentials/by-a-program.toml")).unwrap();
    world.slm(&["adopt", &id, "--owner", "platform", "--rotator", rotator, "--id", "taken-over", "--rotate-every", "1s"]).exits(0);
    assert!(world.read("credentials/taken-over.toml").contains("not-before"));
    world.slm(&["check"]).exits(0);
    fs::remove_file(world.root().join("credentials/taken-over.toml")).unwrap();
    for (period, rotator, jitter) in
        [("90d", rotator, Some("9d")), ("45d", rotator, Some("4d")), ("1h", rotator, Some("6m")), ("90d", "observe = {}", None)]
    {
        world
            .slm(&["adopt", &id, "--owner", "platform", "--rotator", rotator, "--id", "spread", "--rotate-every", period])
            .exits(0);
        let adopted: toml::Table = world.read("credentials/spread.toml").parse().unwrap();
        assert_eq!(adopted["policy"].get("jitter").map(|jitter| jitter.as_str().unwrap()), jitter, "{period}");
        fs::remove_file(world.root().join("credentials/spread.toml")).unwrap();
    }
    world.slm(&["adopt", &id, "--owner", "platform", "--rotator", rotator, "--id", "taken-over", "--rotate-every", "1s"]).exits(0);
    let after = world.slm(&["plan", "--format", "json"]).json();
    let rotations =
        |plan: &Json| plan["plan"]["actions"].as_array().unwrap().iter().filter(|one| one["kind"]["rotate"].is_object()).count();
    assert_eq!((rotations(&before), rotations(&after)), (0, 0), "however old it is");
}
