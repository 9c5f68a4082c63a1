//! `slm ci` from an edit on a branch to a commit in the locker: real git remotes, a GitHub of pull requests, and crashes between any two calls.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value as Json, json};
use slm::model::time::{Limit, Timestamp};

use crate::pulls_server::{Hub, REPO, TOKEN};
use crate::support::{Ran, World, git};

pub const MARKER: &str = "<!-- slm:plan:default -->";
pub const KEY: &str = "credentials/session-key.toml";

/// A config repo with a remote, its GitHub, and nothing applied yet.
pub struct Project {
    pub world: World,
    pub hub: Hub,
}

impl Project {
    /// Two pull requests, planned and approved before either is merged; the commits of their merges.
    pub fn two_merges(&self) -> [String; 2] {
        let one = self.propose(1, FIRST.0, FIRST.1, FIRST.2);
        self.plan(1).exits(2);
        self.hub.review(1, "bob", "APPROVED", &one);
        let two = self.propose(2, KEY, "title = \"Key", "title = \"The key");
        self.plan(2).exits(2);
        self.hub.review(2, "bob", "APPROVED", &two);
        [self.merge(1), self.merge(2)]
    }

    pub fn new() -> Self {
        let hub = Hub::start();
        let world = World::new().with("GITHUB_TOKEN", TOKEN).with("NO_PROXY", "127.0.0.1");
        world.slm(&["init"]).exits(0);
        world.edit("slm.toml", "branch = \"slm/evidence\"", "remote = \"origin\"\nbranch = \"slm/evidence\"");
        world.commit();
        let origin = world.outside("origin.git");
        git(&world.root(), &["init", "-q", "--bare", origin.to_str().unwrap()]);
        git(&world.root(), &["remote", "add", "origin", origin.to_str().unwrap()]);
        git(&world.root(), &["push", "-q", "origin", "main"]);
        let project = Self { world, hub };
        let tip = project.head();
        project.hub.with(|state| state.tips.insert("main".to_owned(), tip));
        project
    }

    /// Sets a variable for every later call.
    pub fn with(self, name: &str, value: &str) -> Self {
        Self { world: self.world.with(name, value), ..self }
    }

    pub fn head(&self) -> String {
        String::from_utf8(git(&self.world.root(), &["rev-parse", "HEAD"])).unwrap().trim().to_owned()
    }

    /// Edits `path` on a branch of its own and opens pull request `number` of it; gives its commit.
    pub fn propose(&self, number: u64, path: &str, from: &str, to: &str) -> String {
        self.propose_all(number, |world| world.edit(path, from, to))
    }

    /// The same of whatever `edit` does.
    pub fn propose_all(&self, number: u64, edit: impl FnOnce(&World)) -> String {
        let root = self.world.root();
        git(&root, &["checkout", "-q", "-B", &format!("edit-{number}"), "main"]);
        edit(&self.world);
        self.world.commit();
        git(&root, &["push", "-q", "--force", "origin", "HEAD"]);
        let head = self.head();
        self.hub.open(number, "ada", &head, REPO);
        head
    }

    /// Merges pull request `number`; gives the commit.
    pub fn merge(&self, number: u64) -> String {
        let root = self.world.root();
        git(&root, &["checkout", "-q", "main"]);
        let who = ["-c", "user.name=test", "-c", "user.email=test@localhost"];
        let (branch, message) = (format!("edit-{number}"), format!("merge {number}"));
        git(&root, &[who.as_slice(), &["merge", "-q", "--no-ff", "-m", &message, &branch]].concat());
        git(&root, &["push", "-q", "origin", "main"]);
        let commit = self.head();
        self.hub.merge(number, &commit);
        commit
    }

    /// The payload of an event, in a file.
    fn event(&self, payload: &Json) -> PathBuf {
        let path = self.world.outside("event.json");
        std::fs::write(&path, payload.to_string()).unwrap();
        path
    }

    /// The arguments of `slm ci VERB` for the event `name`.
    pub fn arguments(&self, verb: &str, name: &str, payload: &Json) -> Vec<String> {
        let path = |path: PathBuf| path.to_str().unwrap().to_owned();
        let mut all: Vec<String> =
            ["--format", "json", "ci", verb, "--event", name, "--repository", REPO].map(str::to_owned).to_vec();
        all.extend(["--api".to_owned(), self.hub.root.clone(), "--event-path".to_owned(), path(self.event(payload))]);
        all.extend(["--run-id", "5", "--output"].map(str::to_owned));
        all.push(path(self.world.outside("outputs")));
        if verb == "plan" {
            all.extend(["--out".to_owned(), path(self.world.outside("ci"))]);
        }
        all
    }

    fn pull_event(&self, number: u64) -> Json {
        let pull = self.hub.with(|state| state.pulls[&number].clone());
        let main = self.hub.with(|state| state.tips["main"].clone());
        json!({ "pull_request": {
            "number": number, "user": pull["user"], "head": pull["head"],
            "base": { "sha": main, "ref": "main", "repo": { "full_name": REPO } },
        } })
    }

    pub fn plan_arguments(&self, number: u64) -> Vec<String> {
        self.arguments("plan", "pull_request", &self.pull_event(number))
    }

    pub fn plan(&self, number: u64) -> Ran {
        run(&self.world, &self.plan_arguments(number))
    }

    pub fn apply_arguments(&self, before: &str, after: &str) -> Vec<String> {
        self.arguments("apply", "push", &json!({ "before": before, "after": after, "ref": "refs/heads/main" }))
    }

    pub fn apply(&self, before: &str, after: &str) -> Ran {
        run(&self.world, &self.apply_arguments(before, after))
    }

    /// The digest that the comment on `number` asks to approve.
    #[track_caller]
    pub fn asked(&self, number: u64, head: &str) -> String {
        let said = self.hub.said(number);
        assert_eq!(said.len(), 1, "{said:#?}");
        assert!(said[0].starts_with(MARKER), "{}", said[0]);
        let (digest, of) = slm::report::comment::asks(&said[0], "default").expect("it asks for a digest");
        assert_eq!(of, head);
        digest
    }

    /// The last check run of `head`.
    pub fn check(&self, head: &str) -> Json {
        self.hub.with(|state| state.checks.iter().rev().find(|check| check["head_sha"] == head).unwrap().clone())
    }

    /// What was merged is applied.
    pub fn nothing_is_due(&self) {
        self.world.slm(&["plan"]).exits(0).says("Nothing is due.");
    }
}

/// Runs `slm` with `arguments` in `world`.
pub fn run(world: &World, arguments: &[String]) -> Ran {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    world.slm(&arguments)
}

/// Every request that `slm ci` sends, by all its ways.
pub fn requests() -> BTreeSet<[String; 4]> {
    let project = Project::new();
    let before = project.head();
    let issues = || run(&project.world, &project.arguments("issues", "schedule", &json!({})));
    let random = "random = { length = 40, alphabet = \"alnum\" }";
    project.world.edit(KEY, "jitter = \"2d\"\n", "");
    project.world.edit(KEY, random, "manual = { steps = \"ask\" }");
    issues().exits(2);
    project.world.edit(KEY, "\"ask\"", "\"ask again\"");
    issues().exits(2);
    project.world.edit(KEY, "manual = { steps = \"ask again\" }", random);
    issues().exits(0);
    project.propose_all(1, wrong);
    project.plan(1).exits(4);
    let head = project.propose(1, FIRST.0, FIRST.1, FIRST.2);
    project.plan(1).exits(2);
    project.hub.with(|state| {
        let mut twin = state.comments[&1][0].clone();
        twin["id"] = json!(901);
        state.comments.get_mut(&1).unwrap().push(twin);
    });
    project.plan(1).exits(2);
    let fork = json!({ "workflow_run": {
        "id": 77, "event": "pull_request", "head_sha": head, "head_branch": "edit", "head_repository": { "owner": { "login": "acme" } },
        "pull_requests": [{ "number": 1 }],
    } });
    let artefact = project.world.outside("ci/slm-plan.json").to_str().unwrap().to_owned();
    let comment = |event: &Json| {
        let mut arguments = project.arguments("comment", "workflow_run", event);
        arguments.extend(["--artefact".to_owned(), artefact.clone()]);
        run(&project.world, &arguments).exits(0);
    };
    comment(&fork);
    let mut unnamed = fork.clone();
    unnamed["workflow_run"]["pull_requests"] = json!([]);
    comment(&unnamed);
    project.plan(1).exits(2);
    project.hub.review(1, "bob", "APPROVED", &head);
    let after = project.merge(1);
    project.apply(&before, &after).exits(0);
    project.hub.with(|state| std::mem::take(&mut state.sent))
}

/// Makes 120 files that cannot be used.
pub fn wrong(world: &World) {
    for n in 100..220 {
        world.write(&format!("controls/bad/BAD-{n}.toml"), "# nothing\n\nwrong = 1\n");
    }
}

/// The edit that every test begins with: what was never applied before is planned by it as well.
pub const FIRST: (&str, &str, &str) = (KEY, "rotate-every = \"30d\"", "rotate-every = \"20d\"");

#[test]
fn an_edit_is_planned_approved_merged_applied_and_recorded_and_so_is_the_next() {
    let project = Project::new();
    let before = project.head();
    let head = project.propose(1, FIRST.0, FIRST.1, FIRST.2);
    let planned = project.plan(1).exits(2).json();
    assert_eq!(planned["api_calls"], 4, "{planned:#}");
    let digest = project.asked(1, &head);
    assert_eq!(planned["digest"], digest.as_str());
    let check = project.check(&head);
    assert_eq!((&check["external_id"], &check["conclusion"]), (&json!(digest), &json!("neutral")));
    let artefact = std::fs::read(project.world.outside("ci/slm-plan.json")).unwrap();
    assert_eq!(slm::record::leaf::hex(&<sha2::Sha256 as sha2::Digest>::digest(&artefact)), digest);
    let outputs = std::fs::read_to_string(project.world.outside("outputs")).unwrap();
    assert!(outputs.contains(&format!("digest={digest}\n")) && outputs.contains("exit-code=2\n"), "{outputs}");
    project.hub.review(1, "bob", "APPROVED", &head);
    let after = project.merge(1);
    let applied = project.apply(&before, &after).exits(0).json();
    assert_eq!(applied["outcomes"][0]["fate"], "done", "{applied:#}");
    // The evidence says who approved which digest, at the remote as well.
    let origin = project.world.outside("origin.git");
    let runs = String::from_utf8(git(&origin, &["ls-tree", "-r", "--name-only", "slm/evidence", "runs/"])).unwrap();
    let last = git(&origin, &["show", &format!("slm/evidence:{}", runs.lines().last().unwrap())]);
    let last: Json = serde_json::from_slice(&last).unwrap();
    assert_eq!(last["result"]["approved"], json!([{ "pull": 1, "by": ["bob"], "digest": digest }]));
    project.nothing_is_due();

    let head = project.propose(2, KEY, "jitter = \"2d\"", "jitter = \"1d\"");
    project.plan(2).exits(2);
    project.hub.review(2, "bob", "APPROVED", &head);
    let next = project.merge(2);
    project.apply(&after, &next).exits(0);
    // A job that is run again does nothing twice.
    project.apply(&after, &next).exits(0);
    project.nothing_is_due();
}

#[test]
fn planning_again_posts_nothing_and_leaves_an_approval_standing_and_another_commit_asks_anew() {
    let project = Project::new();
    let head = project.propose(1, FIRST.0, FIRST.1, FIRST.2);
    project.plan(1).exits(2);
    let digest = project.asked(1, &head);
    // An older one of another suite is listed first.
    project.hub.with(|state| {
        let mut old = state.checks[0].clone();
        (old["id"], old["external_id"], old["output"]["text"]) = (json!(0), json!("0".repeat(64)), json!(""));
        state.checks.insert(0, old);
    });
    project.hub.asked();
    let again = project.plan(1).exits(2).json();
    assert_eq!((&again["digest"], &again["api_calls"]), (&json!(digest), &json!(2)), "{again:#}");
    assert!(project.hub.asked().iter().all(|asked| asked.starts_with("GET ")), "nothing was written");
    let later = project.propose(1, FIRST.0, FIRST.1, "rotate-every = \"19d\"");
    project.plan(1).exits(2);
    assert_ne!(project.asked(1, &later), digest);
}

#[test]
fn nothing_is_applied_that_nobody_else_approved_for_this_very_commit() {
    let project = Project::new();
    let before = project.head();
    let head = project.propose(1, FIRST.0, FIRST.1, FIRST.2);
    project.plan(1).exits(2);
    for (by, commit, why) in [
        ("ada", head.clone(), "it is the author's own"),
        ("cay", "c".repeat(40), "it was given for an earlier commit"),
        ("eve", head.clone(), "nobody who approved it may write to the repository"),
    ] {
        project.hub.with(|state| state.reviews.clear());
        project.hub.review(1, by, "APPROVED", &commit);
        if project.hub.with(|state| state.pulls[&1]["merged_at"].is_null()) {
            project.merge(1);
        }
        let held = project.apply(&before, &project.head()).exits(5).json();
        assert!(held["missing"].to_string().contains(why), "{held:#} has no `{why}`");
        assert_eq!((&held["applied"], &held["beyond"]), (&json!(false), &json!(["rotate session-key"])));
    }
    assert!(!project.world.root().join("run/session.env").exists());
    // Somebody edits the comment: it shows another plan above the same digest, or asks for another digest than the check run vouches for.
    project.hub.review(1, "bob", "APPROVED", &head);
    let digest = project.asked(1, &head);
    let zeros = "0".repeat(64);
    for (there, instead, why) in [
        ("to rotate", "to collect", "its comment does not say what slm says of its plan"),
        (digest.as_str(), zeros.as_str(), "its comment does not ask for the plan that its check run vouches for"),
    ] {
        let said = project.hub.said(1).remove(0);
        assert!(said.contains(there), "`{there}` is not in {said}");
        let edited = said.replace(there, instead);
        project.hub.with(|state| state.comments.get_mut(&1).unwrap()[0]["body"] = json!(edited));
        let held = project.apply(&before, &project.head()).exits(5).json();
        assert!(held["missing"].to_string().contains(why), "{held:#} has no `{why}`");
        project.hub.with(|state| state.comments.get_mut(&1).unwrap()[0]["body"] = json!(said));
    }
}

#[test]
fn a_plan_that_grew_since_its_approval_is_held_whole() {
    let project = Project::new();
    let before = project.head();
    let head = project.propose(1, FIRST.0, FIRST.1, FIRST.2);
    project.plan(1).exits(2);
    project.hub.review(1, "bob", "APPROVED", &head);
    // Another credential comes by another way.
    git(&project.world.root(), &["checkout", "-q", "main"]);
    let key = project.world.read(KEY);
    project
        .world
        .write("credentials/other-key.toml", &key.replace("app/session-key", "app/other-key").replace("session.env", "other.env"));
    project.world.commit();
    let after = project.merge(1);
    let held = project.apply(&before, &after).exits(5).json();
    assert_eq!(held["beyond"], json!(["rotate other-key"]), "{held:#}");
    assert!(held["missing"].to_string().contains("came by no pull request"), "{held:#}");
    assert!(!project.world.root().join("run/session.env").exists(), "what was approved is not applied either");
}

#[test]
fn of_two_merges_at_once_the_last_applies_both_and_one_apply_keeps_another_away() {
    let project = Project::new();
    let before = project.head();
    let [first, second] = project.two_merges();
    let root = project.world.root();
    git(&root, &["checkout", "-q", &first]);
    let superseded = project.apply(&before, &first).exits(0).json();
    assert_eq!(superseded["superseded_by"], second.as_str());
    git(&root, &["checkout", "-q", "main"]);
    // Another job is at it.
    let held = json!({ "run": "other", "until": "2999-01-01T00:00:00Z", "process": null }).to_string();
    project.world.write("holder.json", &held);
    let blob = String::from_utf8(git(&root, &["hash-object", "-w", "holder.json"])).unwrap();
    std::fs::remove_file(root.join("holder.json")).unwrap();
    let lease = "refs/slm/leases/@apply-default/holder";
    git(&root, &["push", "-q", "origin", &format!("{}:{lease}", blob.trim())]);
    let waits = project.apply(&first, &second).exits(5).json();
    assert_eq!((&waits["applied"], &waits["held_by"]), (&json!(false), &json!("other")));
    git(&root, &["push", "-q", "origin", &format!(":{lease}")]);
    let applied = project.apply(&first, &second).exits(0).json();
    assert_eq!(applied["outcomes"][0]["fate"], "done");
    project.nothing_is_due();
}

#[test]
fn a_plan_that_is_killed_at_any_call_leaves_one_comment_that_its_check_run_vouches_for_after_the_next() {
    let project = Project::new();
    for (number, (at, after)) in (0..4).flat_map(|at| [(at, false), (at, true)]).enumerate() {
        let number = number as u64 + 1;
        let head = project.propose(number, FIRST.0, FIRST.1, &format!("rotate-every = \"{}d\"", 10 + number));
        let arguments = project.plan_arguments(number);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ran =
            project.world.slm_watched(&arguments, |process| project.hub.with(|state| state.kill = Some((process, at, after))));
        assert!(ran.is_none(), "call {at} was not the last one");
        project.plan(number).exits(2);
        let digest = project.asked(number, &head);
        assert_eq!(project.check(&head)["external_id"], digest.as_str(), "killed at call {at}, after it: {after}");
    }
}

#[test]
fn an_apply_that_is_killed_at_any_call_is_made_up_for_by_the_next_and_rotates_once() {
    // The tip, the pull request, its check run, its comments, its reviews, what the approver may do, and at last the check run.
    for (at, after) in (0..7).flat_map(|at| [(at, false), (at, true)]) {
        let project = Project::new();
        let before = project.head();
        let head = project.propose(1, FIRST.0, FIRST.1, FIRST.2);
        project.plan(1).exits(2);
        project.hub.review(1, "bob", "APPROVED", &head);
        let merged = project.merge(1);
        let arguments = project.apply_arguments(&before, &merged);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ran =
            project.world.slm_watched(&arguments, |process| project.hub.with(|state| state.kill = Some((process, at, after))));
        assert!(ran.is_none(), "call {at} was not the last one");
        project.apply(&before, &merged).exits(0);
        project.nothing_is_due();
        let delivered = project.world.read("run/session.env");
        project.apply(&before, &merged).exits(0);
        assert_eq!(project.world.read("run/session.env"), delivered, "killed at call {at}, after it: {after}");
    }
}

#[test]
fn a_limit_of_the_rate_is_waited_for_a_stranger_is_left_alone_and_of_two_comments_one_stays() {
    let project = Project::new();
    let head = project.propose(1, FIRST.0, FIRST.1, FIRST.2);
    project.hub.with(|state| {
        state.once.push(("POST", "/check-runs", 429, json!({ "message": "secondary rate limit" }).to_string()));
        state.comments.insert(
            1,
            vec![json!({
                "id": 900, "user": { "login": "eve", "type": "User" }, "author_association": "NONE",
                "updated_at": "2026-11-24T05:00:00Z", "body": format!("{MARKER}\nnot ours"),
            })],
        );
    });
    project.plan(1).exits(2);
    let said = project.hub.said(1);
    assert_eq!(said.len(), 2);
    assert_eq!(said[0], format!("{MARKER}\nnot ours"), "a stranger's comment is left alone");
    assert_eq!(slm::report::comment::asks(&said[1], "default").unwrap().1, head);
    // Of two that were posted at once the first stays.
    project.hub.with(|state| {
        let mut twin = state.comments[&1][1].clone();
        twin["id"] = json!(901);
        state.comments.get_mut(&1).unwrap().push(twin);
    });
    project.plan(1).exits(2);
    assert_eq!(project.hub.said(1).len(), 2);
}

#[test]
fn what_changes_nothing_is_not_talked_about_and_what_was_said_before_is_taken_back() {
    let project = Project::new();
    project.world.slm(&["apply", "--auto-approve"]).exits(0);
    let root = project.world.root();
    git(&root, &["checkout", "-q", "-B", "edit-1", "main"]);
    project.world.write("README.md", "nothing of the config\n");
    project.world.commit();
    project.hub.open(1, "ada", &project.head(), REPO);
    let quiet = project.plan(1).exits(0).json();
    assert_eq!(quiet["changed"], false);
    assert!(project.hub.said(1).is_empty());
    assert_eq!(project.check(&project.head())["conclusion"], "success");
    project.hub.with(|state| {
        state.comments.insert(
            1,
            vec![json!({
                "id": 900, "user": { "login": "github-actions[bot]", "type": "Bot" }, "author_association": "NONE",
                "updated_at": "2026-11-24T05:00:00Z", "body": format!("{MARKER}\nmuch changes"),
            })],
        );
    });
    project.plan(1).exits(0);
    let said = project.hub.said(1);
    assert!(said.len() == 1 && said[0].contains("Nothing changes any more"), "{said:?}");
    assert_eq!(slm::report::comment::asks(&said[0], "default"), None);
}

#[test]
fn a_config_that_cannot_be_used_is_told_at_its_lines_in_batches_of_fifty() {
    let project = Project::new();
    let head = project.propose_all(1, wrong);
    let said = project.plan(1).exits(4).json();
    let check = project.check(&head);
    let complaints = said["proposal"]["complaints"].as_array().unwrap();
    let annotations = check["annotations"].as_array().unwrap();
    assert_eq!((&check["conclusion"], annotations.len()), (&json!("failure"), complaints.len()));
    assert!(complaints.len() >= 120, "{}", complaints.len());
    for (annotation, complaint) in annotations.iter().zip(complaints) {
        assert_eq!((&annotation["path"], &annotation["start_line"]), (&complaint["file"], &complaint["line"]));
    }
    assert!(annotations.iter().any(|one| one["path"] == "controls/bad/BAD-219.toml" && one["annotation_level"] == "failure"));
    let comment = project.hub.said(1).remove(0);
    assert!(comment.contains("Plan: none, the config cannot be used."), "{comment}");
    let sarif: Json = serde_json::from_slice(&std::fs::read(project.world.outside("ci/slm-check.sarif")).unwrap()).unwrap();
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), complaints.len());
}

#[test]
fn the_merge_queue_gets_a_check_run_and_no_comment() {
    let project = Project::new();
    let base = project.head();
    let head = project.propose(1, FIRST.0, FIRST.1, FIRST.2);
    let event = json!({ "merge_group": { "head_sha": head, "base_sha": base } });
    run(&project.world, &project.arguments("plan", "merge_group", &event)).exits(2);
    assert_eq!(project.check(&head)["name"], "slm plan (default)");
    assert!(project.hub.said(1).is_empty());
}

#[test]
fn the_pull_request_of_a_fork_is_planned_on_what_was_recorded_and_commented_on_from_its_artefact_alone() {
    let project = Project::new();
    project.world.slm(&["apply", "--auto-approve"]).exits(0);
    git(&project.world.root(), &["fetch", "-q", "origin"]);
    let head = project.propose(1, FIRST.0, FIRST.1, FIRST.2);
    project.hub.open(1, "eve", &head, "eve/slm");
    // The sources cannot be reached, and nobody tries.
    let identity = project.world.outside("slm.age-identity");
    std::fs::rename(&identity, project.world.outside("away")).unwrap();
    let planned = project.plan(1).json();
    std::fs::rename(project.world.outside("away"), identity).unwrap();
    assert_eq!(project.hub.asked(), Vec::<String>::new(), "no token is used");
    assert!(planned["proposal"]["sight"]["recorded"]["run"].is_string(), "{planned:#}");
    let artefact = project.world.outside("ci/slm-plan.json");
    let event = json!({ "workflow_run": {
        "id": 77, "event": "pull_request", "head_sha": head, "head_branch": "edit", "head_repository": { "owner": { "login": "eve" } },
        "pull_requests": [],
    } });
    let mut arguments = project.arguments("comment", "workflow_run", &event);
    arguments.extend(["--artefact".to_owned(), artefact.to_str().unwrap().to_owned()]);
    run(&project.world, &arguments).exits(0);
    let said = project.hub.said(1);
    assert!(said.len() == 1 && said[0].contains("approves no plan") && said[0].contains("/actions/runs/77"), "{said:?}");
    assert_eq!(slm::report::comment::asks(&said[0], "default"), None);
    // What the fork wrote in it is shown and does nothing.
    let honest: Json = serde_json::from_slice(&std::fs::read(&artefact).unwrap()).unwrap();
    let mut hostile = honest.clone();
    let words = "@acme/all </details><img src=x> [a](javascript:b) <!-- slm:digest:x -->";
    hostile["changes"] = json!([{ "about": words, "verdict": words, "lines": [words] }]);
    hostile["unseen"] = json!([words]);
    std::fs::write(&artefact, hostile.to_string()).unwrap();
    run(&project.world, &arguments).exits(0);
    let said = project.hub.said(1).remove(0);
    for wrong in ["@acme", "<img", "<!-- slm:digest"] {
        assert!(!said.contains(wrong), "`{wrong}` is in {said}");
    }
    // Markdown is not read in the title of what is folded.
    let mut read = said.lines().filter(|line| !line.contains("<summary>"));
    assert!(read.all(|line| !line.contains("(javascript:")), "{said}");
    // What is of another commit, of another shape or too long is refused.
    let refused = |artefact_text: &str, why: &str| {
        std::fs::write(&artefact, artefact_text).unwrap();
        run(&project.world, &arguments).exits(1).says(why);
    };
    let mut other = honest.clone();
    other["head"] = json!("c".repeat(40));
    refused(&other.to_string(), "of another commit");
    other = honest;
    other["pull"] = json!(99);
    refused(&other.to_string(), "unknown field `pull`");
    refused(&" ".repeat(5 << 20), "more than 4194304 bytes");
    assert_eq!(project.hub.said(1).remove(0), said, "and nothing was posted");
}

#[test]
fn a_plan_that_is_made_again_after_a_recorded_run_asks_for_the_same_digest() {
    let project = Project::new();
    project.world.slm(&["apply", "--auto-approve"]).exits(0);
    git(&project.world.root(), &["fetch", "-q", "origin"]);
    let head = project.propose(1, "controls/rot/ROT-01.toml", "\"26h\"", "\"72h\"");
    project.plan(1).exits(2);
    let first = project.asked(1, &head);
    // Nothing that is approved tells the time.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    project.plan(1).exits(2);
    assert_eq!(project.asked(1, &head), first);
}

/// The titles of what is folded.
fn titles(comment: &str) -> Vec<&str> {
    let folded = comment.lines().filter(|line| line.starts_with("<details"));
    folded.filter_map(|line| Some(line.split_once("<summary>")?.1.split_once("</summary>")?.0)).collect()
}

#[test]
fn the_comment_says_of_each_kind_of_edit_what_it_means() {
    let project = Project::new();
    project.world.slm(&["apply", "--auto-approve"]).exits(0);
    git(&project.world.root(), &["fetch", "-q", "origin"]);
    let day = |days: i64| Limit::days(days).after(Timestamp::now()).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let exception = format!(
        "control = \"ROT-01\"\nresource = \"vault:local/app/session-key\"\nreason = \"it goes away\"\ncompensating = \"it is watched\"\n\
         ticket = \"SEC-1\"\nrequester = \"one\"\napprover = \"two\"\napproved = \"{}\"\nexpires = \"{}\"\n",
        day(-1),
        day(20)
    );
    let control = project.world.read("controls/rot/ROT-02.toml").replace("ROT-02", "ROT-03");
    type Edit<'a> = Box<dyn Fn(&World) + 'a>;
    let edits: [(&str, Edit<'_>, &str); 5] = [
        ("looser", Box::new(|world| world.edit("controls/rot/ROT-01.toml", "\"26h\"", "\"72h\"")), "ROT-01: looser"),
        ("tighter", Box::new(|world| world.edit("controls/rot/ROT-01.toml", "\"26h\"", "\"25h\"")), "ROT-01: tighter"),
        (
            "refactor",
            Box::new(|world| world.edit("policies/rot.cedar", "  resource.declared &&", "  (resource.declared) &&")),
            "ROT-02: equal",
        ),
        (
            "new control",
            Box::new(|world| {
                world.write("controls/rot/ROT-03.toml", &control);
                let rules = world.read("policies/rot.cedar");
                let rule = &rules[rules.find("@id(\"ROT-02\")").unwrap()..];
                world.write("policies/rot3.cedar", &rule.replace("ROT-02", "ROT-03"));
                let action = "  action \"ROT-02\" appliesTo { principal: [Slm::Collector], resource: [Vault::Secret], context: { now: datetime } };\n";
                world.edit("policies/schema.cedarschema", action, &format!("{action}{}", action.replace("ROT-02", "ROT-03")));
            }),
            "ROT-03: added",
        ),
        ("new exception", Box::new(|world| world.write("exceptions/one.toml", &exception)), "one: exception added"),
    ];
    let mut sizes = Vec::new();
    for (number, (name, edit, title)) in edits.iter().enumerate() {
        let number = number as u64 + 1;
        project.propose_all(number, edit);
        let ran = project.plan(number).exits(2).json();
        let comment = project.hub.said(number).remove(0);
        assert!(titles(&comment).contains(title), "{name}: {title:?} is not in\n{comment}");
        assert!(comment.contains("approves the plan with the digest"), "{name}: {comment}");
        println!("{name}:\n{comment}");
        sizes.push((name, ran["comment_bytes"].as_u64().unwrap(), ran["api_calls"].as_u64().unwrap()));
    }
    assert!(sizes.iter().all(|(_, bytes, calls)| *bytes < 8_000 && *calls == 4), "{sizes:?}");
    let bytes = sizes.iter().map(|(name, bytes, _)| format!("{name} {bytes}")).collect::<Vec<_>>().join(", ");
    let most = sizes.iter().map(|(_, bytes, _)| *bytes).max().unwrap();
    println!(r#"{{"figure":"comment.bytes","value":{most},"unit":"bytes, the longest","against":"{bytes}; a limit of 65,536"}}"#);
    println!(r#"{{"figure":"pr.api_calls","value":4,"unit":"requests","against":"a pull request planned for the first time"}}"#);
}
