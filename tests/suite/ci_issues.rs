//! Issues for what only a person can do, in the repository whose pull requests `ci.rs` plans.

use serde_json::{Value as Json, json};

use crate::ci::{KEY, Project, run};
use crate::pulls_server::REPO;
use crate::support::git;

#[test]
fn what_only_a_person_can_do_is_one_issue_that_is_opened_edited_and_closed_by_state() {
    let project = Project::new();
    project.world.edit(KEY, "jitter = \"2d\"\n", "");
    project.world.edit(KEY, "random = { length = 40, alphabet = \"alnum\" }", "manual = { steps = \"ask @vendor\" }");
    let arguments = project.arguments("issues", "schedule", &json!({}));
    let issues = || run(&project.world, &arguments);
    let open = || -> Vec<Json> {
        project.hub.with(|state| state.issues.iter().filter(|issue| issue["state"] == "open").cloned().collect())
    };
    let said = issues().exits(2).json();
    assert_eq!((&said["opened"], &said["api_calls"]), (&json!(1), &json!(2)), "{said:#}");
    let [issue] = &open()[..] else { panic!("{:#?}", open()) };
    assert_eq!((&issue["title"], &issue["labels"]), (&json!("session-key: to be done by hand"), &json!(["slm"])));
    let body = issue["body"].as_str().unwrap();
    assert!(body.starts_with("<!-- slm:task:default:manual/session-key -->\n") && body.contains("ask @&#8203;vendor"), "{body}");
    // Again, and with a twin and the issue of a stranger beside it.
    assert_eq!(issues().exits(2).json()["kept"], 1);
    project.hub.with(|state| {
        let mut twin = state.issues[0].clone();
        twin["number"] = json!(900);
        let mut strange = twin.clone();
        strange["number"] = json!(901);
        strange["user"] = json!({ "login": "eve", "type": "User" });
        strange["author_association"] = json!("NONE");
        state.issues.extend([twin, strange]);
    });
    assert_eq!(issues().exits(2).json()["closed"], 1);
    assert_eq!(open().len(), 2);
    project.world.edit(KEY, "ask @vendor", "ask somebody else");
    assert_eq!(issues().exits(2).json()["edited"], 1);
    project.world.edit(KEY, "manual = { steps = \"ask somebody else\" }", "random = { length = 40, alphabet = \"alnum\" }");
    let said = issues().exits(0).json();
    assert_eq!((&said["closed"], &said["opened"]), (&json!(1), &json!(0)), "{said:#}");
    let left: Vec<Json> = open().iter().map(|issue| issue["number"].clone()).collect();
    assert_eq!(left, [json!(901)], "a stranger's is left alone");
}

#[test]
fn an_issue_is_not_closed_by_evidence_that_is_not_here_or_cannot_be_read() {
    let project = Project::new();
    project.world.slm(&["apply", "--auto-approve"]).exits(0);
    let (root, arguments) = (project.world.root(), project.arguments("issues", "schedule", &json!({})));
    let issues = || run(&project.world, &arguments);
    issues().exits(0);
    assert_eq!(project.hub.asked().len(), 1);
    std::fs::write(root.join(".git/refs/heads/slm/evidence"), format!("{}\n", "f".repeat(40))).unwrap();
    let broken = issues();
    assert!(broken.code == 1 && broken.out.contains("could not read the"), "{} {}", broken.code, broken.out);
    for name in ["refs/heads/slm/evidence", "refs/remotes/origin/slm/evidence"] {
        git(&root, &["update-ref", "-d", name]);
    }
    let gone = issues().exits(3);
    let said =
        "the remote has evidence on `slm/evidence` and this clone has none; `git fetch origin slm/evidence:slm/evidence` brings it";
    assert!(gone.out.contains(said), "{}", gone.out);
    assert_eq!(project.hub.asked(), [""; 0], "nothing is asked of GitHub");
    git(&root, &["fetch", "-q", "origin", "slm/evidence:slm/evidence"]);
    issues().exits(0);
}

#[test]
fn a_notifier_of_kind_github_keeps_the_issues_after_each_recorded_run() {
    let project = Project::new();
    let notifier = format!(
        "\n[notify.tasks]\nkind = \"github\"\nrepo = \"{REPO}\"\ntoken-env = \"GITHUB_TOKEN\"\nenvironment = \"prod\"\nbase-url = \"{}\"\n",
        project.hub.root
    );
    let settings = project.world.read("slm.toml");
    project.world.write("slm.toml", &(settings + &notifier));
    let random = "random = { length = 40, alphabet = \"alnum\" }";
    project.world.edit(KEY, "jitter = \"2d\"\n", "");
    project.world.edit(KEY, random, "manual = { steps = \"ask the vendor\" }");
    project.world.commit();
    let open = || project.hub.with(|state| state.issues.iter().filter(|issue| issue["state"] == "open").count());
    project.world.slm(&["apply", "--auto-approve"]).says("`tasks` was told: 1 message.");
    assert_eq!(open(), 1);
    let issue = project.hub.with(|state| state.issues[0].clone());
    assert!(issue["body"].as_str().unwrap().starts_with("<!-- slm:task:prod:manual/session-key -->"), "{issue:#}");
    project.hub.asked();
    project.world.slm(&["apply", "--auto-approve"]);
    assert_eq!(project.hub.asked(), ["GET /repos/acme/slm/issues?state=open&labels=slm&per_page=100"], "what is so is left alone");
    project.world.edit(KEY, "manual = { steps = \"ask the vendor\" }", random);
    project.world.commit();
    project.world.slm(&["apply", "--auto-approve"]).exits(0).says("`tasks` was told: 1 message.");
    assert_eq!(open(), 0);
}
