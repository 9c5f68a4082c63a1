//! `slm ci` cut off at any call and run twice at once: one comment, one check run that vouches for it, one issue, one rotation.

use serde_json::{Value as Json, json};

use crate::ci::{FIRST, KEY, Project, run, wrong};
use crate::github_app::App;
use crate::leaks::{kept, never_told, untold};
use crate::pulls_server::{REPO, TOKEN};
use crate::support::{Ran, ended};

/// Both sides of the first `calls` calls.
fn cuts(calls: usize) -> impl Iterator<Item = (usize, bool)> {
    (0..calls).flat_map(|at| [(at, false), (at, true)])
}

/// Runs `slm` with `arguments` and kills it at call `at`: before the call takes effect, or after.
#[track_caller]
fn killed(project: &Project, arguments: &[String], (at, after): (usize, bool)) {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ran = project.world.slm_watched(&arguments, |process| project.hub.with(|state| state.kill = Some((process, at, after))));
    assert!(ran.is_none(), "there is no call {at}");
}

/// Starts `slm` twice with the same arguments and waits for both.
fn at_once(project: &Project, arguments: &[String]) -> [Ran; 2] {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    [project.world.start(&arguments), project.world.start(&arguments)].map(ended)
}

/// The arguments of `slm ci comment` for the fork of `head`, whose job has left its artefact.
fn comments(project: &Project, head: &str) -> Vec<String> {
    let event = json!({ "workflow_run": {
        "id": 77, "event": "pull_request", "head_sha": head, "head_branch": "edit", "head_repository": { "owner": { "login": "eve" } },
        "pull_requests": [],
    } });
    let mut arguments = project.arguments("comment", "workflow_run", &event);
    arguments.extend(["--artefact".to_owned(), project.world.outside("ci/slm-plan.json").to_str().unwrap().to_owned()]);
    arguments
}

#[test]
fn a_comment_on_a_fork_that_is_killed_at_any_call_is_there_once_after_the_next() {
    let project = Project::new();
    // Which pull request it is, what is said there, and the comment.
    for (number, cut) in (1..).zip(cuts(3)) {
        let head = project.propose(number, FIRST.0, FIRST.1, &format!("rotate-every = \"{}d\"", 10 + number));
        project.hub.open(number, "eve", &head, "eve/slm");
        project.hub.with(|state| state.pulls.get_mut(&number).unwrap()["head"]["ref"] = json!("edit"));
        project.plan(number).exits(3);
        let arguments = comments(&project, &head);
        killed(&project, &arguments, cut);
        run(&project.world, &arguments).exits(0);
        let said = project.hub.said(number);
        assert!(said.len() == 1 && said[0].contains(&head[..12]), "killed at {cut:?}: {said:#?}");
        // The same of a comment that is edited: what was said before is of another commit.
        let stale = said[0].replace(&head[..12], "cccccccccccc");
        project.hub.with(|state| state.comments.get_mut(&number).unwrap()[0]["body"] = json!(stale));
        killed(&project, &arguments, cut);
        run(&project.world, &arguments).exits(0);
        assert_eq!(project.hub.said(number), said, "killed at {cut:?}");
        // Each pull request has a branch of this name, and one at a time is open.
        project.hub.with(|state| state.pulls.get_mut(&number).unwrap()["merged_at"] = json!("2026-11-24T06:00:00Z"));
    }
}

#[test]
fn a_check_run_that_is_killed_between_two_batches_has_every_annotation_after_the_next() {
    let project = Project::new();
    let head = project.propose_all(1, wrong);
    // The last check run, the new one with fifty annotations, fifty more, and the rest: after the second, and on both sides of the third.
    for cut in cuts(3).skip(3) {
        project.hub.with(|state| state.checks.clear());
        killed(&project, &project.plan_arguments(1), cut);
        let said = project.plan(1).exits(4).json();
        let wanted = said["proposal"]["complaints"].as_array().unwrap().len();
        let check = project.check(&head);
        let there = check["annotations"].as_array().unwrap().len();
        assert!(there == wanted && wanted > 100, "killed at {cut:?}: {there} of {wanted}");
        assert_eq!(check["external_id"], said["digest"]);
    }
}

#[test]
fn issues_that_are_killed_at_any_call_are_there_once_after_the_next() {
    let project = Project::new();
    let arguments = project.arguments("issues", "schedule", &json!({}));
    project.world.edit(KEY, "jitter = \"2d\"\n", "");
    project.world.edit(KEY, "random = { length = 40, alphabet = \"alnum\" }", "manual = { steps = \"ask\" }");
    let open = || project.hub.with(|state| state.issues.iter().filter(|issue| issue["state"] == "open").count());
    // The list and the new issue; then the list and the edit.
    for (at, cut) in cuts(2).enumerate() {
        project.hub.with(|state| state.issues.clear());
        killed(&project, &arguments, cut);
        run(&project.world, &arguments).exits(2);
        assert_eq!(open(), 1, "killed at {cut:?}");
        let before = project.world.read(KEY);
        project.world.edit(KEY, "steps = \"ask", &format!("steps = \"ask {at} "));
        killed(&project, &arguments, cut);
        run(&project.world, &arguments).exits(2);
        let said = project.hub.with(|state| state.issues[0]["body"].as_str().unwrap().to_owned());
        assert!(open() == 1 && said.contains(&format!("ask {at}")), "killed at {cut:?}: {said}");
        project.world.write(KEY, &before);
    }
}

#[test]
fn what_took_effect_and_was_not_answered_is_found_and_not_done_twice() {
    let project = Project::new();
    let head = project.propose(1, FIRST.0, FIRST.1, FIRST.2);
    project.hub.with(|state| state.lost = Some(("POST", "/comments")));
    let said = project.plan(1).exits(2).json();
    // The last check run, a new one, the comments, a new one, and the comments again.
    assert_eq!(said["api_calls"], 5, "{said:#}");
    project.asked(1, &head);
    let issues = project.arguments("issues", "schedule", &json!({}));
    project.world.edit(KEY, "jitter = \"2d\"\n", "");
    project.world.edit(KEY, "random = { length = 40, alphabet = \"alnum\" }", "manual = { steps = \"ask\" }");
    project.hub.with(|state| state.lost = Some(("POST", "/issues")));
    assert_eq!(run(&project.world, &issues).exits(2).json()["opened"], 1);
    assert_eq!(project.hub.with(|state| state.issues.len()), 1);
}

#[test]
fn an_issue_that_was_closed_by_hand_is_opened_anew_and_none_is_closed_where_something_was_not_seen() {
    let project = Project::new();
    let issues = || run(&project.world, &project.arguments("issues", "schedule", &json!({})));
    let random = "random = { length = 40, alphabet = \"alnum\" }";
    project.world.edit(KEY, "jitter = \"2d\"\n", "");
    project.world.edit(KEY, random, "manual = { steps = \"ask\" }");
    issues().exits(2);
    project.hub.with(|state| state.issues[0]["state"] = json!("closed"));
    assert_eq!(issues().exits(2).json()["opened"], 1);
    // It is over by now, and the vault cannot be read.
    project.world.edit(KEY, "manual = { steps = \"ask\" }", random);
    let (identity, away) = (project.world.outside("slm.age-identity"), project.world.outside("away"));
    std::fs::rename(&identity, &away).unwrap();
    assert_eq!(issues().json()["closed"], 0);
    std::fs::rename(&away, &identity).unwrap();
    // VEN-01 is attested by people, and nobody signed it; no collector brings what LOG-10 needs.
    project.world.ship(&["ROT-01", "ROT-02", "VEN-01", "LOG-10"]);
    std::fs::remove_file(project.world.root().join("policies/rot.cedar")).unwrap();
    assert_eq!(issues().exits(3).json()["closed"], 1);
}

#[test]
fn two_plans_of_one_commit_at_once_leave_one_comment_that_the_check_run_vouches_for_after_the_next() {
    let project = Project::new();
    let head = project.propose(1, FIRST.0, FIRST.1, FIRST.2);
    for ran in at_once(&project, &project.plan_arguments(1)) {
        ran.exits(2);
    }
    project.plan(1).exits(2);
    assert_eq!(project.asked(1, &head), project.check(&head)["external_id"].as_str().unwrap());
}

#[test]
fn of_two_applies_of_two_merges_at_once_one_applies_both_and_the_other_waits_or_finds_it_done() {
    let project = Project::new();
    let before = project.head();
    let [_, last] = project.two_merges();
    let all = at_once(&project, &project.apply_arguments(&before, &last));
    let rotated = |ran: &Ran| ran.json()["outcomes"].as_array().is_some_and(|all| all.iter().any(|one| one["fate"] == "done"));
    let done = all.iter().filter(|ran| rotated(ran)).count();
    assert_eq!(done, 1, "{}{}{}{}", all[0].out, all[0].err, all[1].out, all[1].err);
    let other = all.iter().find(|ran| !rotated(ran)).unwrap();
    let held = other.code == 5 && other.json()["held_by"].is_string();
    assert!(held || other.code == 0, "{}{}", other.out, other.err);
    let delivered = project.world.read("run/session.env");
    project.apply(&before, &last).exits(0);
    project.nothing_is_due();
    assert_eq!(project.world.read("run/session.env"), delivered, "nothing was rotated twice");
}

#[test]
fn a_job_calls_an_enterprise_server_as_an_app_and_shows_neither_its_key_nor_its_token() {
    let app = App::new(3600);
    let key = String::from_utf8(app.key().expose().to_vec()).unwrap();
    let project = Project::new().with("SLM_APP_KEY", &key).with("GITHUB_TOKEN", "canary-other-token-3ac8");
    let head = project.propose(1, FIRST.0, FIRST.1, FIRST.2);
    project.hub.with(|state| state.app = Some(app));
    let mut arguments = project.plan_arguments(1);
    let root = arguments.iter().position(|argument| *argument == project.hub.root).unwrap();
    arguments[root].push_str("/api/v3");
    arguments.extend(["--app", "4242:100", "-vvv"].map(str::to_owned));
    let ran = run(&project.world, &arguments).exits(2);
    project.asked(1, &head);
    let asked = project.hub.asked();
    assert_eq!(asked[0], "POST /api/v3/app/installations/100/access_tokens", "{asked:?}");
    assert!(asked[1..].iter().all(|asked| asked.contains(&format!(" /api/v3/repos/{REPO}/"))), "{asked:?}");
    let secret = key.lines().nth(1).unwrap();
    for text in [&ran.out, &ran.err] {
        assert!(!text.contains(secret) && !text.contains("ghs_") && !text.contains("canary-other-token"), "{text}");
    }
}

#[test]
fn both_limits_of_the_rate_are_waited_for_and_what_was_asked_is_done_once() {
    let project = Project::new();
    let head = project.propose(1, FIRST.0, FIRST.1, FIRST.2);
    let said = |text: &str| json!({ "message": text }).to_string();
    project.hub.with(|state| {
        state.once.push(("GET", "per_page=100", 403, said("API rate limit exceeded")));
        state.once.push(("POST", "/check-runs", 403, said("You have exceeded a secondary rate limit")));
        state.once.push(("POST", "/comments", 429, said("You have exceeded a secondary rate limit")));
    });
    let began = std::time::Instant::now();
    let ran = project.plan(1).exits(2).json();
    assert!(began.elapsed() >= std::time::Duration::from_secs(3), "each was waited for");
    assert_eq!(ran["api_calls"], 7, "{ran:#}");
    project.asked(1, &head);
    let checks: Vec<Json> = project.hub.with(|state| state.checks.clone());
    assert_eq!(checks.len(), 1);
}

#[test]
fn no_verb_of_ci_tells_a_value_or_its_token_however_it_ends() {
    let project = Project::new();
    let (before, mut said) = (project.head(), Vec::new());
    let mut heard = |arguments: &[String], code: i32| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        said.push(project.world.heard(&arguments).exits(code));
    };
    project.propose_all(1, wrong);
    heard(&project.plan_arguments(1), 4);
    let head = project.propose(1, FIRST.0, FIRST.1, FIRST.2);
    project.hub.with(|state| state.once.push(("POST", "/check-runs", 422, r#"{"message":"Validation Failed"}"#.to_owned())));
    heard(&project.plan_arguments(1), 1);
    heard(&project.plan_arguments(1), 2);
    // Nobody of another organisation proposes it.
    heard(&comments(&project, &head), 1);
    heard(&project.plan_arguments(1), 2);
    project.hub.review(1, "bob", "APPROVED", &head);
    let after = project.merge(1);
    heard(&project.apply_arguments(&before, &after), 0);
    heard(&project.apply_arguments(&before, &after), 0);
    heard(&project.arguments("issues", "schedule", &json!({})), 0);
    let mut values = kept(&project.world, "app/session-key");
    assert_eq!(values.len(), 1, "one was made");
    values.push(TOKEN.to_owned());
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    never_told(&project.world, &said, &values);
    let sent = project.hub.with(|state| state.sent.iter().flatten().cloned().collect::<Vec<_>>());
    assert!(sent.iter().any(|part| part.contains("rotate")), "the plan was sent");
    untold("what GitHub was sent", &sent.join("\n"), &values);
    for left in ["outputs", "ci/slm-plan.json", "ci/slm-check.sarif", "ci/slm-comment.md"] {
        let text = std::fs::read(project.world.outside(left)).unwrap();
        untold(left, &String::from_utf8_lossy(&text), &values);
    }
}
