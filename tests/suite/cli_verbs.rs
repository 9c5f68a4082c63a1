//! Verbs and flags around the pipeline: what is recorded of each, `watch`, `schema`, `completions`, `--rev`, the help, the log.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value as Json;
use slm::cli::Exit;
use slm::model::time::Timestamp;

use crate::support::{World, contains, git, slm};

const SESSION_KEY: &str = "credentials/session-key.toml";
const VERBS: [&str; 23] = [
    "init",
    "check",
    "diff",
    "plan",
    "apply",
    "ci",
    "rotate",
    "resume",
    "rollback",
    "retire",
    "adopt",
    "agent",
    "status",
    "explain",
    "schema",
    "watch",
    "demo",
    "completions",
    "report",
    "sample",
    "export",
    "restore",
    "verify",
];

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The verb of the last run that was recorded.
fn recorded(world: &World, seen: &mut BTreeSet<String>) -> String {
    let listed = git(&world.root(), &["ls-tree", "-r", "--name-only", "slm/evidence", "runs/"]);
    let listed = String::from_utf8(listed).unwrap();
    let new: Vec<&str> = listed.lines().filter(|path| seen.insert((*path).to_owned())).collect();
    let [new] = new[..] else { panic!("{new:?}") };
    let run: Json = serde_json::from_slice(&git(&world.root(), &["show", &format!("slm/evidence:{new}")])).unwrap();
    run["run"]["verb"].as_str().unwrap().to_owned()
}

#[test]
fn a_run_is_recorded_as_the_verb_it_was_and_counts_its_requests() {
    let world = World::scaffolded();
    let mut seen = BTreeSet::new();
    let calls = [
        &["apply", "--auto-approve"][..],
        &["rotate", "session-key"],
        &["resume"],
        &["retire", "session-key"],
        &["rollback", "session-key"],
    ];
    for call in calls {
        let said = world.slm(&[call, &["--format", "json"]].concat()).exits(0).json();
        assert_eq!(recorded(&world, &mut seen), call[0]);
        // Of the vault, git and the files before and after; nothing of it goes to AWS or to GitHub.
        assert!(said["requests"].as_u64().unwrap() > 1, "{call:?}: {said}");
        assert_eq!(said["sent"], 0, "{call:?}");
    }
    for call in [&["plan"][..], &["status"], &["status", "session-key"], &["explain", "ROT-01"], &["apply"]] {
        let ran = world.slm(&[call, &["--format", "json"]].concat());
        let said = ran.json();
        assert!(said["requests"].as_u64().unwrap() > 0 && said["sent"] == 0, "{call:?}: {said}");
    }
    let listed = String::from_utf8(git(&world.root(), &["ls-tree", "-r", "--name-only", "slm/evidence", "runs/"])).unwrap();
    assert_eq!(listed.lines().count(), seen.len(), "nothing else was recorded");
}

/// A canary that is there and takes no value.
const WARY: &str = "read line\ncase \"$line\" in *observe*) echo '{}';; *) exit 77;; esac\n";

#[test]
fn when_every_attempt_was_rejected_a_person_is_asked_until_more_are_allowed() {
    let world = World::scaffolded();
    world.write("wary", WARY);
    let file = world.read(SESSION_KEY);
    let (head, _) = file.split_once("[[consumer]]").unwrap();
    let head = head.replace("[policy]\n", "[policy]\nattempts = 1\n");
    world.write(
        SESSION_KEY,
        &format!("{head}[[consumer]]\nid = \"app\"\ncanary = true\nexec = {{ command = [\"sh\", \"wary\"] }}\n"),
    );
    world.commit();
    world.slm(&["apply", "--auto-approve"]).says("all 1 attempts are used up");
    let asked = "its 1 attempt is used up; a person must look: find out why none was put in force, then raise `attempts`";
    let plan = world.slm(&["plan"]).exits(5).says(asked).says("1 to escalate").says("1 held");
    assert!(!plan.out.contains("1 to rotate"), "{}", plan.out);
    let status = world.slm(&["status", "session-key"]).exits(2).says("no attempt at a new value is left");
    assert!(!status.out.contains("slm resume"), "{}", status.out);
    // Another run changes nothing of it; another attempt does.
    world.slm(&["apply", "--auto-approve"]).says("escalate  session-key to platform  waits for platform").says("1 held");
    world.edit(SESSION_KEY, "attempts = 1", "attempts = 2");
    world.commit();
    world.slm(&["plan"]).says("Plan: 1 to rotate");
    world.slm(&["status", "session-key"]).exits(2).says("a new value is kept and not in force yet");
}

#[test]
fn one_stale_action_of_a_saved_plan_is_refused_and_the_other_is_done() {
    let world = World::scaffolded();
    let other = world.read(SESSION_KEY).replace("app/session-key", "app/other").replace("run/session.env", "run/other.env");
    world.write("credentials/other.toml", &other);
    world.commit();
    world.slm(&["plan", "--out", "p.json"]).exits(2).says("Plan: 2 to rotate");
    for _ in 0..2 {
        world.slm(&["rotate", "session-key"]).exits(0);
    }
    let before = (world.read("run/session.env"), world.read("run/session.env.slm"));
    assert!(!world.root().join("run/other.env").exists());
    let ran = world.slm(&["apply", "p.json"]).exits(6).says("rotate    session-key  stale: version ");
    ran.says("rotate    other  done  (prepared, promoted, delivered, activated, adopted, done)");
    assert_eq!((world.read("run/session.env"), world.read("run/session.env.slm")), before);
    assert_eq!(world.read("run/other.env").len(), before.0.len());
}

#[test]
fn an_exception_that_decides_nothing_is_named_by_status_and_plan() {
    let world = World::scaffolded();
    world.slm(&["apply", "--auto-approve"]).exits(0);
    let said = world.slm(&["status", "--format", "json"]).exits(0).json();
    assert_eq!(said["unused-exceptions"], serde_json::json!([]));
    let now = Timestamp::now();
    let day = |days: i64| (now + jiff_days(days)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    world.write(
        "exceptions/not-needed.toml",
        &format!(
            "control = \"ROT-01\"\nresource = \"vault:local/app/session-key\"\nreason = \"r\"\ncompensating = \"c\"\nticket = \"T-1\"\n\
             requester = \"platform\"\napprover = \"security\"\napproved = \"{}\"\nexpires = \"{}\"\n",
            day(-1),
            day(10)
        ),
    );
    world.commit();
    world.slm(&["check"]).exits(0);
    let line = "Exception not-needed decides nothing now; remove its file if it is not needed any more.\n";
    for call in [&["status"][..], &["plan"], &["plan", "--markdown"]] {
        world.slm(call).exits(0).says(line);
    }
    world.slm(&["plan", "--markdown"]).says(&format!("\n\n{line}"));
    for call in ["status", "plan"] {
        let said = world.slm(&[call, "--format", "json"]).exits(0).json();
        assert_eq!(said["unused-exceptions"], serde_json::json!(["not-needed"]), "{call}");
    }
}

fn jiff_days(days: i64) -> jiff::SignedDuration {
    jiff::SignedDuration::from_hours(24 * days)
}

/// Lines of a process as they come.
fn lines(child: &mut Child) -> Receiver<String> {
    let (sender, lines) = channel();
    let out = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    lines
}

/// Waits for a line with `text`.
#[track_caller]
fn wait_for(lines: &Receiver<String>, text: &str) {
    let mut before = Vec::new();
    loop {
        match lines.recv_timeout(Duration::from_secs(30)) {
            Ok(line) if line.contains(text) => return,
            Ok(line) => before.push(line),
            Err(_) => panic!("`{text}` was not said after {before:#?}"),
        }
    }
}

#[test]
fn watch_checks_again_at_each_save_and_ends_after_as_many_checks_as_asked() {
    let world = World::scaffolded();
    let mut child = world.start(&["watch", "--times", "2"]);
    let said = lines(&mut child);
    wait_for(&said, "The config repo is clean.");
    // As editors save: in one step.
    world.write("saved", &world.read(SESSION_KEY).replace("owner = \"platform\"", "owner = platform"));
    fs::rename(world.root().join("saved"), world.root().join(SESSION_KEY)).unwrap();
    wait_for(&said, "credentials/session-key.toml:3");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn watch_sees_the_first_file_of_a_folder_that_was_made_after_it_began() {
    let world = World::scaffolded();
    assert!(!world.root().join("exceptions").exists());
    let mut child = world.start(&["watch"]);
    let said = lines(&mut child);
    wait_for(&said, "The config repo is clean.");
    world.write("exceptions/first.toml", "nope = 1\n");
    wait_for(&said, "exceptions/first.toml:1");
    // And those after it, there and in a folder inside one that is watched.
    world.write("exceptions/second.toml", "nope = 1\n");
    wait_for(&said, "exceptions/second.toml:1");
    world.write("controls/new/NEW-01.toml", "nope = 1\n");
    wait_for(&said, "controls/new/NEW-01.toml:1");
    for path in ["exceptions", "controls/new"] {
        fs::remove_dir_all(world.root().join(path)).unwrap();
    }
    wait_for(&said, "The config repo is clean.");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Every `$ref` of `schema` is in it.
fn refers_to_itself(schema: &Json, root: &Json) -> bool {
    match schema {
        Json::Object(all) => all.iter().all(|(key, inner)| match (key.as_str(), inner) {
            ("$ref", Json::String(to)) => to.strip_prefix('#').is_some_and(|to| root.pointer(to).is_some()),
            _ => refers_to_itself(inner, root),
        }),
        Json::Array(all) => all.iter().all(|inner| refers_to_itself(inner, root)),
        _ => true,
    }
}

/// Keys at the top of the TOML files below `folder`.
fn keys(folder: &Path, out: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            if !entry.ends_with("frameworks") || folder.ends_with("frameworks") {
                keys(&entry, out);
            }
        } else if entry.extension().is_some_and(|end| end == "toml") {
            out.extend(fs::read_to_string(entry).unwrap().parse::<toml::Table>().unwrap().keys().cloned());
        }
    }
}

#[test]
fn schema_prints_a_json_schema_of_each_kind_of_file_that_knows_the_keys_of_those_that_are_shipped() {
    let world = World::scaffolded();
    let printed: Json = serde_json::from_str(&world.slm(&["schema"]).exits(0).out).unwrap();
    let kinds: Vec<&str> = printed.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(kinds, ["agent", "attestation", "control", "credential", "exception", "framework", "slm"]);
    for kind in kinds {
        let schema = &printed[kind];
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{kind}");
        assert_eq!((&schema["type"], &schema["additionalProperties"]), (&"object".into(), &false.into()), "{kind}");
        assert!(refers_to_itself(schema, schema), "{kind}");
    }
    let known = |kind: &str, wanted: &BTreeSet<String>| {
        let properties = printed[kind]["properties"].as_object().unwrap();
        let unknown: Vec<&String> = wanted.iter().filter(|key| !properties.contains_key(*key)).collect();
        assert!(!wanted.is_empty() && unknown.is_empty(), "{kind}: {unknown:?}");
    };
    for (kind, folder) in [("control", "controls"), ("framework", "controls/frameworks"), ("credential", "credentials")] {
        let (shipped, starter) = (here().join(folder), world.root().join(folder));
        let mut wanted = BTreeSet::new();
        keys(&shipped, &mut wanted);
        keys(&starter, &mut wanted);
        known(kind, &wanted);
    }
    known("slm", &here_toml("slm.toml"));
    known("exception", &["control", "resource", "reason", "approver", "expires"].map(str::to_owned).into());
    let docs = fs::read_to_string(here().join("docs/agent.md")).unwrap();
    let example = docs.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    known("agent", &example.parse::<toml::Table>().unwrap().keys().cloned().collect());
    assert!(!printed["agent"]["properties"].as_object().unwrap().contains_key("folder"), "it is not written in the file");
}

fn here_toml(path: &str) -> BTreeSet<String> {
    fs::read_to_string(here().join(path)).unwrap().parse::<toml::Table>().unwrap().keys().cloned().collect()
}

#[test]
fn schema_writes_each_to_a_file_and_the_cedar_schema_of_the_repo_beside_them() {
    let world = World::scaffolded();
    let printed: Json = serde_json::from_str(&world.slm(&["schema"]).exits(0).out).unwrap();
    world
        .slm(&["schema", "--out", "editor"])
        .exits(0)
        .says("Wrote editor/agent.schema.json.")
        .says("Wrote editor/slm.cedarschema.");
    for (kind, schema) in printed.as_object().unwrap() {
        let written: Json = serde_json::from_str(&world.read(&format!("editor/{kind}.schema.json"))).unwrap();
        assert_eq!(written, *schema, "{kind}");
    }
    assert_eq!(world.read("editor/slm.cedarschema"), world.read("policies/schema.cedarschema"));
    assert_eq!(fs::read_dir(world.root().join("editor")).unwrap().count(), printed.as_object().unwrap().len() + 1);
}

#[test]
fn completions_and_the_man_page_name_every_verb() {
    let world = World::new();
    for target in ["bash", "zsh", "fish", "elvish", "powershell", "man"] {
        let said = world.slm(&["completions", target]).exits(0).out;
        for verb in VERBS {
            assert!(said.contains(verb), "{target}: {verb}");
        }
        if target == "bash" {
            world.write("slm.bash", &said);
            let script = world.root().join("slm.bash");
            assert!(Command::new("bash").arg("-n").arg(&script).status().unwrap().success());
            // As a shell would at `slm ro<tab>`.
            let ask = "source ./slm.bash; COMP_WORDS=(slm ro); COMP_CWORD=1; _slm slm ro slm; echo \"${COMPREPLY[@]}\"";
            let answer = Command::new("bash").current_dir(world.root()).args(["-c", ask]).output().unwrap();
            assert_eq!(String::from_utf8(answer.stdout).unwrap().trim(), "rotate rollback");
        }
    }
}

#[test]
fn plan_status_and_explain_take_the_config_of_a_revision() {
    let world = World::scaffolded();
    world.slm(&["apply", "--auto-approve"]).exits(0);
    let first = String::from_utf8(git(&world.root(), &["rev-parse", "HEAD"])).unwrap().trim().to_owned();
    world.edit(SESSION_KEY, "rotate-every = \"30d\"\njitter = \"2d\"", "rotate-every = \"1s\"\njitter = \"0s\"");
    world.edit("controls/rot/ROT-01.toml", "Secrets rotated within their tier limit", "Secrets are fresh");
    world.commit();
    std::thread::sleep(Duration::from_millis(1_100));
    world.slm(&["plan"]).exits(2).says("rotate    session-key");
    world.slm(&["plan", "--rev", "HEAD~1", "--out", "p.json"]).exits(0).says("Nothing is due.");
    let saved: Json = serde_json::from_str(&world.read("p.json")).unwrap();
    assert_eq!(saved["config"], first.as_str());
    world.slm(&["status"]).exits(2).says("Secrets are fresh").says("1 due, 0 held");
    let before = world.slm(&["status", "--rev", "HEAD~1"]).exits(0).says("Secrets rotated within their tier limit");
    assert!(before.says("0 due, 0 held").out.contains("1 of 1 compliant"));
    world.slm(&["explain", "ROT-01"]).exits(0).says("ROT-01  Secrets are fresh");
    world.slm(&["explain", "ROT-01", "--rev", "HEAD~1"]).exits(0).says("ROT-01  Secrets rotated within their tier limit");
    // What is saved for an earlier commit is not applied to this one.
    world.slm(&["apply", "p.json"]).exits(1).says("the plan was made for config");
}

#[test]
fn the_help_and_the_readme_say_each_exit_code_as_the_code_does() {
    let readme = include_str!("../../README.md");
    let mut table = "| code | meaning |\n|---|---|\n".to_owned();
    let help = slm(here(), &["--help"], &[]).exits(0).out;
    for exit in Exit::by_code() {
        table.push_str(&format!("| {} | {} |\n", exit.code(), exit.meaning()));
        let line = format!("{:>4}  {}\n", exit.code(), exit.meaning());
        assert!(help.contains(&line), "{line:?} is not in {help}");
    }
    assert!(readme.contains(&format!("\n{table}\n")), "the README does not hold\n{table}");
    let grave = Exit::ALL.into_iter().rev().filter(|exit| ![Exit::Clean, Exit::Usage].contains(exit));
    let order: Vec<String> = grave.map(|exit| exit.code().to_string()).collect();
    assert!(readme.contains(&format!("the gravest wins: {}.", order.join(", "))), "{order:?}");
}

#[test]
fn twice_verbose_tells_each_step_and_how_it_ended_and_never_the_value() {
    let world = World::scaffolded();
    let said = world.slm(&["apply", "--auto-approve", "-vv", "--log-json"]).exits(0);
    let logged: Vec<Json> = said.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let steps: Vec<&str> = logged.iter().filter_map(|line| line["fields"]["step"].as_str()).collect();
    assert_eq!(steps, ["prepared", "promoted", "delivered", "activated", "adopted", "done"]);
    let ends: Vec<&Json> = logged.iter().filter(|line| line["fields"]["message"] == "ended").collect();
    assert_eq!((ends.len(), &ends[0]["fields"]["fate"], &ends[0]["level"]), (1, &"Done".into(), &"DEBUG".into()));
    let file = world.read("run/session.env");
    let value = file.strip_prefix("SESSION_KEY=").unwrap().trim_end();
    assert!(value.len() == 40 && !contains(said.err.as_bytes(), value));
    let once = world.slm(&["apply", "--auto-approve", "--force", "session-key", "-v"]).exits(0);
    assert!(once.err.contains("collected") && !once.err.contains("promoted"), "{}", once.err);
}

#[test]
fn what_could_not_be_installed_is_said_to_be_skipped_and_why() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("scripts")).unwrap();
    let script = folder.path().join("scripts/emulators.sh");
    fs::copy(here().join("scripts/emulators.sh"), &script).unwrap();
    // A machine with nothing but a shell, and nothing in `.cache`.
    let tools = folder.path().join("tools");
    fs::create_dir(&tools).unwrap();
    for tool in ["id", "dirname", "ls"] {
        let at = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(tool)).into_iter().find(|path| path.exists()).unwrap();
        std::os::unix::fs::symlink(at, tools.join(tool)).unwrap();
    }
    let said = Command::new("/bin/sh").arg(&script).arg("missing").env("PATH", &tools).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    for line in [
        "skipped: MySQL tests, because there is no apt-get to fetch a server from Debian with",
        "skipped: tests against GitHub's descriptions, because there is no npm to fetch them with",
        "skipped: the test of the agent's unit, because there is no apt-get to fetch systemd with",
    ] {
        assert!(said.lines().any(|one| one == line), "{line}\n{said}");
    }
    // Here, it is said of what is not here and of nothing else.
    let said = Command::new(here().join("scripts/emulators.sh")).arg("missing").output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let postgres = fs::read_dir("/usr/lib/postgresql").is_ok_and(|mut versions| versions.next().is_some());
    for (name, is_here) in [
        ("MySQL", here().join(".cache/mysql/data").is_dir()),
        ("PostgreSQL", postgres),
        ("over ssh", Path::new("/usr/sbin/sshd").exists()),
    ] {
        assert_eq!(said.contains(name), !is_here, "{name}: {said}");
    }
    let test = fs::read_to_string(here().join("scripts/test")).unwrap();
    assert!(
        test.find("emulators.sh install").unwrap() < test.find("cargo nextest run").unwrap(),
        "before the runner, which closes"
    );
}
