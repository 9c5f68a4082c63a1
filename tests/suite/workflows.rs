//! The shipped workflows: judged by actionlint and zizmor, and run for real by act, against a GitHub with state.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value as Json, json};

use crate::ci::Project;
use crate::pulls_server::{REPO, TOKEN};
use crate::slack::judged;
use crate::slack_killed::notifier;
use crate::slack_server::{self, Shown, Slack};
use crate::support::{World, copy, git};

const KEY: &str = "credentials/session-key.toml";
/// What there is no network for: the step that uploads copies to a folder instead.
const UPLOAD: &str = "name: upload\ninputs:\n  name:\n    required: true\n  path:\n    required: true\nruns:\n  using: composite\n  steps:\n    - shell: bash\n      env:\n        NAME: ${{ inputs.name }}\n        FOLDER: ${{ inputs.path }}\n      run: mkdir -p \"$ARTEFACTS/$NAME\" && cp -r \"$FOLDER/.\" \"$ARTEFACTS/$NAME/\"\n";
/// And the one that downloads has nothing to do: the folder is there.
const DOWNLOAD: &str = "name: download\ninputs:\n  name:\n    required: true\n  path:\n    required: true\n  run-id:\n    required: true\n  github-token:\n    required: true\nruns:\n  using: composite\n  steps:\n    - shell: bash\n      env:\n        NAME: ${{ inputs.name }}\n        FOLDER: ${{ inputs.path }}\n      run: mkdir -p \"$FOLDER\" && cp -r \"$ARTEFACTS/$NAME/.\" \"$FOLDER/\"\n";

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The program `name`, or `None` where it could not be installed.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn tool(name: &str) -> Option<PathBuf> {
    let path = Command::new(here().join("scripts/emulators.sh")).args(["path", name]).output().unwrap();
    if !path.status.success() {
        eprintln!("skipped: {name} is not installed");
        return None;
    }
    Some(String::from_utf8(path.stdout).unwrap().trim().into())
}

/// Copies the action and the workflows to where a config repo has them.
fn ship(root: &Path) {
    copy(&here().join("deploy/action"), &root.join("deploy/action"));
    copy(&here().join("deploy/workflows"), &root.join(".github/workflows"));
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_workflows_are_clean_of_what_actionlint_and_zizmor_find_and_both_are_awake() {
    let (Some(actionlint), Some(zizmor)) = (tool("actionlint"), tool("zizmor")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    ship(root);
    git(root, &["init", "-q"]);
    let files = |root: &Path| -> Vec<PathBuf> {
        fs::read_dir(root.join(".github/workflows")).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let judged = || {
        let lint = Command::new(&actionlint).current_dir(root).arg("-no-color").args(files(root)).output().unwrap();
        let mut audit = Command::new(&zizmor);
        audit.current_dir(root).args(["--offline", "--no-progress", "--color=never", "--persona=pedantic", "--config"]);
        let audit = audit.arg(here().join("deploy/zizmor.yml")).arg(".").output().unwrap();
        (lint, audit)
    };
    let (lint, audit) = judged();
    assert!(lint.status.success(), "{}", text(&lint));
    assert!(audit.status.success(), "{}", text(&audit));
    let plan = root.join(".github/workflows/plan.yml");
    let shipped = fs::read_to_string(&plan).unwrap();
    let worse = shipped.replace("persist-credentials: false", "persist-credentials: ${{ github.nothing.here }}");
    fs::write(&plan, worse.replace("@11bd71901bbe5b1630ceea73d27597364c9af683", "@v4")).unwrap();
    let (lint, audit) = judged();
    assert!(text(&lint).contains("nothing"), "{}", text(&lint));
    assert!(!audit.status.success() && text(&audit).contains("unpinned-uses"), "{}", text(&audit));
}

#[test]
fn every_action_of_others_is_pinned_by_its_commit_and_no_job_has_more_than_it_says_why() {
    for name in ["plan", "apply", "comment", "drift"] {
        let text = fs::read_to_string(here().join(format!("deploy/workflows/{name}.yml"))).unwrap();
        assert!(text.contains("\npermissions: {}\n"), "{name} takes what the organisation gives");
        for line in text.lines().filter_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix("uses: ")) {
            let pinned =
                line.split_once('@').is_some_and(|(_, rest)| rest.split(' ').next().unwrap().len() == 40 && rest.contains(" # v"));
            assert!(pinned || line == "./deploy/action", "{name}: {line}");
        }
        for line in text.lines().filter(|line| line.trim_end().contains(": write")) {
            assert!(line.contains(" # "), "{name} does not say what `{}` is for", line.trim());
        }
    }
}

#[test]
fn no_workflow_takes_the_place_of_an_apply_that_waits_and_every_pull_request_and_every_merge_has_its_job() {
    let text = |name: &str| fs::read_to_string(here().join(format!("deploy/workflows/{name}.yml"))).unwrap();
    let groups = ["plan", "apply", "comment", "drift"].map(|name| {
        let text = text(name);
        text.lines().find_map(|line| line.strip_prefix("  group: ")).unwrap().to_owned()
    });
    assert_eq!(groups[1], "slm-apply-production");
    assert_eq!(groups.iter().filter(|group| **group == groups[1]).count(), 1, "{groups:?}");
    // Where no job runs, what an earlier commit was told stands, and what an earlier job left to the tip is never applied.
    assert!(text("plan").contains("\n  pull_request:\n  merge_group:\n"), "{}", text("plan"));
    assert!(text("apply").contains("\n  push:\n    branches: [main]\n\n"), "{}", text("apply"));
}

/// Workflows run on this machine, as a runner runs them.
struct Act<'a> {
    program: PathBuf,
    project: &'a Project,
    folder: tempfile::TempDir,
}

impl<'a> Act<'a> {
    fn new(program: PathBuf, project: &'a Project) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, action) in [("upload", UPLOAD), ("download", DOWNLOAD)] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("action.yml"), action).unwrap();
        }
        fs::create_dir(folder.path().join("bin")).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_slm"), folder.path().join("bin/slm")).unwrap();
        Self { program, project, folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Runs `workflow` for `event`.
    fn run(&self, workflow: &str, event: &str, payload: &Json) -> (bool, String) {
        let root = self.project.world.root();
        // What a checkout with its whole history brings.
        git(&root, &["fetch", "-q", "origin"]);
        let file = self.path("event.json");
        fs::write(&file, payload.to_string()).unwrap();
        let mut command = Command::new(&self.program);
        command.current_dir(&root).env_clear().env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.env("PATH", format!("{}:{}", self.path("bin"), std::env::var("PATH").unwrap()));
        command.env("HOME", self.folder.path());
        command.args([
            event,
            "-W",
            &format!(".github/workflows/{workflow}.yml"),
            "-P",
            "ubuntu-24.04=-self-hosted",
            "--pull=false",
        ]);
        command.args(["-e", &file, "-s", &format!("GITHUB_TOKEN={TOKEN}"), "--var", "SLM_READ_ROLE=", "--var", "SLM_APPLY_ROLE="]);
        command.args(["-s", &format!("SLACK_TOKEN={}", slack_server::TOKEN)]);
        for (name, value) in [
            ("GITHUB_API_URL", self.project.hub.root.clone()),
            ("GITHUB_REPOSITORY", REPO.to_owned()),
            ("ARTEFACTS", self.path("artefacts")),
            ("NO_PROXY", "127.0.0.1".to_owned()),
        ] {
            command.args(["--env", &format!("{name}={value}")]);
        }
        for (of, name) in [
            ("upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02", "upload"),
            ("download-artifact@d3f86a106a0bac45b974a628896c90dbdf5c8093", "download"),
        ] {
            command.args(["--local-repository", &format!("actions/{of}={}", self.path(name))]);
        }
        let output = command.output().unwrap();
        let said = text(&output);
        for token in [TOKEN, slack_server::TOKEN] {
            assert!(!said.contains(token), "a token is shown: {said}");
        }
        (output.status.success(), said)
    }

    fn pull(&self, number: u64) -> Json {
        let pull = self.project.hub.with(|state| state.pulls[&number].clone());
        let main = self.project.hub.with(|state| state.tips["main"].clone());
        json!({ "action": "opened", "number": number, "repository": repository(), "pull_request": {
            "number": number, "user": pull["user"], "head": pull["head"],
            "base": { "sha": main, "ref": "main", "repo": { "full_name": REPO } },
        } })
    }
}

fn repository() -> Json {
    json!({ "full_name": REPO, "name": "slm", "owner": { "login": "acme" }, "default_branch": "main" })
}

/// A project whose vault and consumer lie outside of what a checkout copies, with `settings` added.
fn project(settings: &str) -> Project {
    let project = Project::new();
    let outside = |name: &str| project.world.outside(name).to_str().unwrap().to_owned();
    fs::rename(project.world.root().join("vault.age"), outside("vault.age")).unwrap();
    project.world.edit(
        "slm.toml",
        "path = \"vault.age\", identity = \"../slm.age-identity\"",
        &format!("path = \"{}\", identity = \"{}\"", outside("vault.age"), outside("slm.age-identity")),
    );
    project.world.write("slm.toml", &(project.world.read("slm.toml") + settings));
    project.world.edit(KEY, "run/session.env", &outside("session.env"));
    ship(&project.world.root());
    project.world.commit();
    git(&project.world.root(), &["push", "-q", "origin", "main"]);
    let tip = project.head();
    project.hub.with(|state| state.tips.insert("main".to_owned(), tip));
    project
}

/// What is shown in the channel: its key without the run and the hash, how often it was changed, and its header without the day.
fn channel(slack: &Slack) -> Vec<String> {
    let one = |one: &Shown| {
        let kind = one.key().split([':', '-']).next().unwrap();
        let head = one.head().split_once(": ").map_or(one.head(), |(_, rest)| rest);
        let below = if one.thread.is_some() { "- " } else { "" };
        format!("{below}{kind} {}: {head}", one.edits)
    };
    slack.with(|state| state.shown.iter().map(one).collect())
}

/// Takes edit `number` from its branch over a comment, an approval and a merge to the locker; gives the merged commit.
fn through(act: &Act<'_>, number: u64, before: &str, edit: impl FnOnce(&World)) -> String {
    let project = act.project;
    let head = project.propose_all(number, edit);
    let (fine, said) = act.run("plan", "pull_request", &act.pull(number));
    assert!(fine, "{said}");
    let comment = project.hub.said(number).remove(0);
    assert!(slm::report::comment::asks(&comment, "production").is_some(), "{comment}");
    assert!(Path::new(&act.path("artefacts/slm-plan/slm-plan.json")).exists(), "{said}");
    project.hub.review(number, "bob", "APPROVED", &head);
    let after = project.merge(number);
    let push = json!({ "before": before, "after": after, "ref": "refs/heads/main", "repository": repository() });
    let (fine, said) = act.run("apply", "push", &push);
    assert!(fine, "{said}");
    after
}

#[test]
fn the_workflows_take_edits_from_pull_requests_to_the_locker_and_to_slack_and_then_look_for_drift() {
    let Some(act) = tool("act") else { return };
    let slack = Slack::start();
    let project = project(&notifier(&slack));
    let act = Act::new(act, &project);
    let runs = || -> u64 {
        let counted = git(&project.world.outside("origin.git"), &["rev-list", "--count", "slm/evidence"]);
        String::from_utf8(counted).unwrap().trim().parse().unwrap()
    };
    let often = |days: &'static str| {
        move |world: &World| {
            let text = world.read(KEY);
            let line = text.lines().find(|line| line.starts_with("rotate-every")).unwrap().to_owned();
            world.write(KEY, &text.replace(&line, &format!("rotate-every = \"{days}\"")));
        }
    };
    let merged = through(&act, 1, &project.head(), often("20d"));
    let mut recorded = vec![runs()];
    let delivered = fs::read_to_string(project.world.outside("session.env")).unwrap();
    assert!(delivered.starts_with("SESSION_KEY="), "{delivered}");
    assert_eq!(channel(&slack), ["state 0: OK"]);
    // A policy that the secret does not meet: the same message of the day says so, and what came stands below it.
    let owned = |owner: &'static str, instead: &'static str| move |world: &World| world.edit("policies/rot.cedar", owner, instead);
    let merged = through(&act, 2, &merged, owned("resource.owner != \"\"", "resource.owner == \"nobody\""));
    recorded.push(runs());
    let came = ["- changes 0: +1 new, -0 resolved, =0 open", "alert 0: overdue"];
    assert_eq!(channel(&slack), [&["state 1: open"][..], &came].concat());
    // A merge that changes nothing of what is so is recorded, and tells nothing.
    let calls = || slack.with(|state| state.calls.len());
    let before = calls();
    let merged = through(&act, 3, &merged, often("19d"));
    recorded.push(runs());
    assert_eq!((calls(), channel(&slack).len()), (before, 3));
    // The policy is taken back: what was said is closed where it stands.
    through(&act, 4, &merged, owned("resource.owner == \"nobody\"", "resource.owner != \"\""));
    recorded.push(runs());
    let (now, before) = (channel(&slack), calls());
    assert_eq!(now[..4], ["state 2: OK", came[0], "alert 1: over: overdue", "- changes 0: +0 new, -1 resolved, =0 open"]);
    assert!(now.len() == 5 && now[4].starts_with("- over 0: "), "{now:?}");
    let (fine, said) = act.run("drift", "workflow_dispatch", &json!({ "repository": repository() }));
    assert!(fine, "{said}");
    recorded.push(runs());
    assert_eq!(calls(), before, "it looked, and nothing is new");
    assert!(recorded[0] >= 1 && recorded.is_sorted_by(|one, next| one < next), "{recorded:?}");
    assert_eq!(fs::read_to_string(project.world.outside("session.env")).unwrap(), delivered, "nothing was rotated twice");
    let (wrong, bodies) =
        slack.with(|state| (state.wrong.clone(), state.shown.iter().map(|one| format!("{}\n", one.body)).collect::<String>()));
    assert_eq!(wrong, Vec::<String>::new());
    judged(&bodies);
}

#[test]
fn the_workflows_plan_a_fork_without_a_token_and_comment_from_its_artefact_and_an_unapproved_merge_fails() {
    let Some(act) = tool("act") else { return };
    let project = project("");
    let act = Act::new(act, &project);
    let before = project.head();
    let head = project.propose(1, KEY, "rotate-every = \"30d\"", "rotate-every = \"20d\"");
    project.hub.open(1, "eve", &head, "eve/slm");
    project.hub.asked();
    let (fine, said) = act.run("plan", "pull_request", &act.pull(1));
    assert!(fine, "{said}");
    assert_eq!(project.hub.asked(), Vec::<String>::new(), "the job of the fork asked GitHub for something");
    let ended = json!({ "repository": repository(), "action": "completed", "workflow_run": {
        "id": 77, "event": "pull_request", "head_sha": head, "head_branch": "edit", "pull_requests": [],
        "head_repository": { "full_name": "eve/slm", "owner": { "login": "eve" } },
    } });
    let (fine, said) = act.run("comment", "workflow_run", &ended);
    assert!(fine, "{said}");
    let comment = project.hub.said(1).remove(0);
    assert!(comment.contains("approves no plan"), "{comment}");
    project.hub.review(1, "bob", "APPROVED", &head);
    let after = project.merge(1);
    let push = json!({ "before": before, "after": after, "ref": "refs/heads/main", "repository": repository() });
    let (fine, said) = act.run("apply", "push", &push);
    assert!(!fine && said.contains("Nobody approved this"), "{said}");
    assert!(!project.world.outside("session.env").exists());
}
