//! Everything that `slm ci` says on a pull request, as a reviewer reads it: each state is a file in `snapshots/`.

use serde_json::{Value as Json, json};
use slm::model::time::{Limit, Timestamp};

use crate::ci::{FIRST, KEY, MARKER, Project, run};
use crate::diff::solver_is_here;
use crate::pulls_server::REPO;
use crate::support::{Ran, World, git};

const RULES: &str = "policies/rot.cedar";
const GUARDS: &str = "policies/guards.cedar";
const CONTROL: &str = "controls/rot/ROT-01.toml";

/// What is another in each run of the tests.
const CHANGING: [(&str, &str); 10] = [
    // How far it is is told where it takes a second.
    (r"(?m)^[^\n]* \d+ s so far\n", ""),
    (r"[0-9a-f]{64}", "DIGEST"),
    (r"[0-9a-f]{40}", "COMMIT"),
    (r"\b\d{8}T\d{6}Z-[0-9a-f]{8}\b", "RUN"),
    (r"\b[0-9a-f]{12}\b", "SHORT"),
    (r"\b\d{4}-\d\d-\d\dT\d\d\\?:\d\d\\?:\d\d(\.\d+)?Z", "INSTANT"),
    (r"\b\d{4}-\d\d-\d\d\b", "DAY"),
    (r"has [\d,]+ bytes", "has N bytes"),
    (r"http://127\.0\.0\.1:\d+", "GITHUB"),
    (r"/\S*/(slm-plan\.json|slm-check\.sarif)", "FOLDER/$1"),
];

/// Compares `text` with the snapshot `name`; `INSTA_UPDATE=always` writes it anew.
#[track_caller]
fn is_told(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    CHANGING.iter().for_each(|(from, to)| settings.add_filter(from, *to));
    settings.bind(|| insta::assert_snapshot!(format!("ci_{name}"), text));
}

/// A project whose first version was applied and recorded.
fn applied() -> Project {
    let project = Project::new();
    project.world.slm(&["apply", "--auto-approve"]).exits(0);
    git(&project.world.root(), &["fetch", "-q", "origin"]);
    project
}

/// The arguments without the two that ask for JSON.
fn for_people(arguments: &[String]) -> Vec<String> {
    arguments.strip_prefix(&["--format".to_owned(), "json".to_owned()]).unwrap().to_vec()
}

fn headed(title: &str, text: &str) -> String {
    format!("===== {title}\n{}\n", text.trim_end())
}

fn ran(title: &str, ran: &Ran) -> String {
    headed(&format!("{title}, exit {}", ran.code), &format!("{}{}", ran.out, ran.err))
}

/// A check run as it is shown: its artefact is no text for people.
fn check_run(check: &Json) -> String {
    let output = &check["output"];
    let text = output["text"].as_str().unwrap_or_default();
    let text = if text.starts_with("<!-- slm:artefact:") { "(the artefact, as a comment of HTML)" } else { text };
    let annotations = check["annotations"].as_array().into_iter().flatten();
    let annotations: String = annotations.map(|one| format!("{one:#}\n")).collect();
    format!(
        "{}: {}\nlink: {}\ntitle: {}\n\n{}\n{text}\n{annotations}",
        check["name"].as_str().unwrap(),
        check["conclusion"].as_str().unwrap(),
        check["details_url"].as_str().unwrap_or("none"),
        output["title"].as_str().unwrap(),
        output["summary"].as_str().unwrap(),
    )
}

/// What is found wrong, in SARIF.
fn sarif(project: &Project) -> String {
    let log: Json = serde_json::from_slice(&std::fs::read(project.world.outside("ci/slm-check.sarif")).unwrap()).unwrap();
    format!("{:#}", log["runs"][0]["results"])
}

/// Everything that is said of pull request `number`, which is planned first.
fn told(project: &Project, number: u64) -> String {
    let planned = run(&project.world, &for_people(&project.plan_arguments(number)));
    let head = project.head();
    let comments = project.hub.said(number);
    let mut text = ran("slm ci plan", &planned);
    for comment in &comments {
        text.push_str(&headed("comment", comment));
    }
    if comments.is_empty() {
        text.push_str("===== no comment\n");
    }
    let check = project.hub.with(|state| state.checks.iter().rev().find(|check| check["head_sha"] == head).cloned());
    text.push_str(&check.map_or_else(|| "===== no check run\n".to_owned(), |check| headed("check run", &check_run(&check))));
    text.push_str(&headed("SARIF", &sarif(project)));
    text + &ran("slm diff main...HEAD", &project.world.slm(&["diff", "main...HEAD"]))
}

fn looser(world: &World) {
    world.edit(RULES, "resource.declared && resource.owner != \"\"", "resource.declared");
    world.edit("slm.toml", "standard = \"60d\"", "standard = \"365d\"");
}

fn tighter(world: &World) {
    world.edit(RULES, "resource.owner != \"\"", "resource.owner == \"payments\"");
    world.edit(KEY, "rotate-every = \"30d\"", "rotate-every = \"20d\"");
}

fn refactor(world: &World) {
    let plain = "resource.declared && resource.owner != \"\"";
    world.edit(RULES, plain, "(if resource.declared then !(resource.owner == \"\") else false)");
}

fn new_control(world: &World) {
    let control = world.read("controls/rot/ROT-02.toml").replace("ROT-02", "ROT-03");
    world.write("controls/rot/ROT-03.toml", &control);
    let rules = world.read(RULES);
    let rule = &rules[rules.find("@id(\"ROT-02\")").unwrap()..];
    let rule = rule.replace("ROT-02", "ROT-03").replace("resource.owner != \"\"", "resource.owner == \"payments\"");
    world.write("policies/rot3.cedar", &rule);
    let schema = world.read("policies/schema.cedarschema");
    let action = schema.lines().find(|line| line.contains("action \"ROT-02\"")).unwrap();
    world.edit("policies/schema.cedarschema", action, &format!("{action}\n{}", action.replace("ROT-02", "ROT-03")));
}

fn new_exception(world: &World) {
    let day = |days: i64| Limit::days(days).after(Timestamp::now()).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let text = format!(
        "control = \"ROT-01\"\nresource = \"vault:local/app/session-key\"\nreason = \"the vendor has no second user\"\n\
         compensating = \"every use is watched\"\nticket = \"SEC-1\"\nrequester = \"ann\"\napprover = \"bob\"\n\
         approved = \"{}\"\nexpires = \"{}\"\n",
        day(-1),
        day(20)
    );
    world.write("exceptions/session-key.toml", &text);
}

#[test]
fn five_edits_are_told_on_their_pull_requests_as_the_snapshots_say() {
    if !solver_is_here() {
        return;
    }
    let project = applied();
    type Edit = fn(&World);
    let edits: [(&str, Edit); 5] = [
        ("looser", looser),
        ("tighter", tighter),
        ("refactor", refactor),
        ("new_control", new_control),
        ("new_exception", new_exception),
    ];
    for (number, (name, edit)) in (1..).zip(edits) {
        project.propose_all(number, edit);
        is_told(name, &told(&project, number));
    }
}

#[test]
fn what_is_not_seen_not_proved_not_valid_or_not_changed_is_told_as_the_snapshots_say() {
    let project = Project::new().with("SLM_CVC5", "/nonexistent/cvc5");
    // Nothing was ever recorded, and the first rotation is due.
    project.propose(1, FIRST.0, FIRST.1, FIRST.2);
    is_told("nothing_recorded", &told(&project, 1));
    git(&project.world.root(), &["checkout", "-q", "main"]);
    project.world.slm(&["apply", "--auto-approve"]).exits(0);
    git(&project.world.root(), &["fetch", "-q", "origin"]);
    project.propose_all(2, |world| {
        world.edit(RULES, "resource.owner != \"\"", "resource.owner == \"payments\"");
        world.edit(GUARDS, "context.share_percent <= 100", "context.share_percent <= 10");
    });
    is_told("no_solver", &told(&project, 2));
    project.propose_all(3, |world| world.write("README.md", "nothing of the config\n"));
    is_told("nothing_changed", &told(&project, 3));
    let old = json!({
        "id": 900, "user": { "login": "github-actions[bot]", "type": "Bot" }, "author_association": "NONE",
        "updated_at": "2026-11-24T05:00:00Z", "body": format!("{MARKER}\nmuch changes"),
    });
    project.hub.with(|state| state.comments.insert(3, vec![old]));
    is_told("nothing_changed_any_more", &told(&project, 3));
    project.propose_all(4, |world| {
        world.edit(CONTROL, "evidence-ttl = \"26h\"", "evidence-ttl = \"<b>often</b> @everyone\"");
        world.edit(RULES, "resource.owner != \"\"", "resource.ownr != \"\"");
    });
    is_told("broken", &told(&project, 4));
}

#[test]
fn a_fork_and_the_merge_queue_are_told_what_they_may_be_told_as_the_snapshots_say() {
    let project = applied().with("SLM_CVC5", "/nonexistent/cvc5");
    let head = project.propose(1, FIRST.0, FIRST.1, FIRST.2);
    project.hub.open(1, "eve", &head, "eve/slm");
    let planned = told(&project, 1);
    let event = json!({ "workflow_run": {
        "id": 77, "event": "pull_request", "head_sha": head, "head_branch": "edit", "head_repository": { "owner": { "login": "eve" } },
        "pull_requests": [],
    } });
    let mut arguments = for_people(&project.arguments("comment", "workflow_run", &event));
    arguments.extend(["--artefact".to_owned(), project.world.outside("ci/slm-plan.json").to_str().unwrap().to_owned()]);
    let commented = ran("slm ci comment", &run(&project.world, &arguments));
    let comment = headed("comment", &project.hub.said(1).remove(0));
    is_told("fork", &format!("{planned}{commented}{comment}"));
    let event = json!({ "merge_group": { "head_sha": head, "base_sha": project.hub.with(|state| state.tips["main"].clone()) } });
    let queued = ran("slm ci plan", &run(&project.world, &for_people(&project.arguments("plan", "merge_group", &event))));
    let check = headed("check run", &check_run(&project.check(&head)));
    is_told("merge_queue", &format!("{queued}{check}"));
}

#[test]
fn an_apply_tells_what_it_did_and_what_nobody_approved_as_the_snapshots_say() {
    let project = Project::new();
    let before = project.head();
    let head = project.propose(1, FIRST.0, FIRST.1, FIRST.2);
    project.plan(1).exits(2);
    let first = project.merge(1);
    let apply = |after: &str| {
        project.hub.with(|state| state.checks.retain(|check| check["name"] != "slm apply (default)"));
        let said = ran("slm ci apply", &run(&project.world, &for_people(&project.apply_arguments(&before, after))));
        let check = project.hub.with(|state| {
            let of = |check: &&Json| check["head_sha"] == after && check["name"] == "slm apply (default)";
            state.checks.iter().rev().find(of).cloned()
        });
        said + &check.map_or_else(|| "===== no check run\n".to_owned(), |check| headed("check run", &check_run(&check)))
    };
    is_told("not_approved", &apply(&first));
    project.hub.with(|state| state.tips.insert("main".to_owned(), "e".repeat(40)));
    is_told("superseded", &apply(&first));
    project.hub.with(|state| state.tips.insert("main".to_owned(), first.clone()));
    project.hub.review(1, "bob", "APPROVED", &head);
    is_told("applied", &apply(&first));
    assert_eq!(project.hub.with(|state| state.pulls[&1]["base"]["repo"]["full_name"].clone()), json!(REPO));
}
