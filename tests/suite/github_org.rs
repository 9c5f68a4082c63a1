//! An organisation of GitHub, and lists of it that break off.

use slm::collectors::github::GithubOrg;
use slm::model::catalog::GithubSource;
use slm::model::secret::Secret;
use slm::model::snapshot::{Completeness, Fact, Unseen, Value};
use slm::model::time::Timestamp;
use slm::transport::github::Login;
use slm::world::{Clock, Collected, Collector};

use crate::github_server::{CANARY, Server, TOKEN};

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }
}

const PAGE_1: &str = "GET /orgs/acme/repos?type=all&per_page=100";
const PAGE_2: &str = "GET /organizations/7/repos?type=all&per_page=100&page=2";

/// An organisation of three repositories over two pages, as its owner sees it.
fn organisation() -> Server {
    let server = Server::start();
    let org = format!(
        r#"{{"login":"acme","two_factor_requirement_enabled":true,"default_repository_permission":"none","public_repos":1,
        "total_private_repos":2,"billing_email":"{CANARY}"}}"#
    );
    let repo = |name: &str, private: bool, scanning: &str| {
        format!(
            r#"{{"full_name":"acme/{name}","private":{private},"archived":false,"temp_clone_token":"{CANARY}","security_and_analysis":
            {{"secret_scanning":{{"status":"{scanning}"}},"secret_scanning_push_protection":{{"status":"disabled"}}}}}}"#
        )
    };
    let next = server.with(|state| format!("link: <{}{}>; rel=\"next\"\r\n", state.root, &PAGE_2[4..]));
    let secrets =
        r#"{"total_count":1,"secrets":[{"name":"K","created_at":"2026-01-01T00:00:00Z","updated_at":"2026-02-01T00:00:00Z"}]}"#;
    for (request, headers, body) in [
        ("GET /user", "", r#"{"login":"reader"}"#.to_owned()),
        ("GET /orgs/acme", "", org),
        ("GET /orgs/acme/members?filter=2fa_disabled&per_page=100", "", r#"[{"login":"late"}]"#.to_owned()),
        ("GET /orgs/acme/actions/permissions", "", r#"{"enabled_repositories":"all","allowed_actions":"selected"}"#.to_owned()),
        (
            "GET /orgs/acme/actions/permissions/workflow",
            "",
            r#"{"default_workflow_permissions":"read","can_approve_pull_request_reviews":false}"#.to_owned(),
        ),
        (PAGE_1, &next, format!("[{},{}]", repo("b", true, "enabled"), repo("a", false, "disabled"))),
        (PAGE_2, "", r#"[{"full_name":"acme/c","private":true}]"#.to_owned()),
        ("GET /orgs/acme/actions/secrets?per_page=100", "", secrets.to_owned()),
    ] {
        server.script(request, 200, headers, &body);
    }
    server
}

async fn collect(server: &Server, token: Option<&str>) -> Collected {
    let config = GithubSource { org: "acme".to_owned(), ..GithubSource::default() };
    let login = Login::Token(token.map(|token| Secret::new(token.as_bytes().to_vec())));
    let seen = GithubOrg::new("org".into(), &config, server.login(login)).collect(&Noon).await;
    let raw: Vec<_> = seen.raw.iter().map(|raw| String::from_utf8_lossy(&raw.bytes().unwrap()).into_owned()).collect();
    let all = format!("{:?} {:?} {raw:?}", seen.populations, seen.receipt);
    assert!(!all.contains(CANARY) && !all.contains(TOKEN), "{all}");
    seen
}

fn cause(of: &Completeness) -> Option<Unseen> {
    match of {
        Completeness::Complete => None,
        Completeness::Incomplete { cause, .. } => Some(*cause),
    }
}

#[tokio::test]
async fn an_organisation_is_read_to_its_last_page() {
    let seen = collect(&organisation(), Some(TOKEN)).await;
    assert_eq!(seen.receipt.completeness, Completeness::Complete);
    assert_eq!((seen.receipt.caller.as_deref(), seen.receipt.independent_count), (Some("reader"), Some(3)));
    assert_eq!((seen.receipt.requests(), seen.receipt.raw.len(), seen.raw.len()), (8, 7, 7));
    assert_eq!(seen.receipt.source_clock, Some("2026-11-24T06:00:00Z".parse().unwrap()));
    let repos = seen.receipt.operations.iter().find(|operation| operation.name == "github:GET /orgs/{org}/repos").unwrap();
    assert_eq!((repos.pages, repos.requests, repos.items), (2, 2, 3));
    let names: std::collections::BTreeSet<_> = seen.receipt.raw.iter().map(|raw| &raw.name).collect();
    assert_eq!(names.len(), 7, "{names:?}");

    let org = &seen.populations[0].resources[0];
    let known = [
        ("actions_can_approve", Value::Bool(false)),
        ("allowed_actions", Value::Text("selected".into())),
        ("base_permission", Value::Text("none".into())),
        ("default_token_read_only", Value::Bool(true)),
        ("members_without_2fa", Value::Long(1)),
        ("two_factor_required", Value::Bool(true)),
    ];
    let seen_of_org: Vec<_> = org.facts().map(|(name, fact)| (&**name, fact.owned())).collect();
    assert_eq!(seen_of_org, known);

    let repos = &seen.populations[1].resources;
    let ids: Vec<_> = repos.iter().map(|repo| repo.id.as_str()).collect();
    assert_eq!(ids, ["github:acme/a", "github:acme/b", "github:acme/c"]);
    assert_eq!((repos[0].is("public"), repos[0].get("secret_scanning")), (true, Some(Fact::Bool(false))));
    assert_eq!((repos[1].is("public"), repos[1].get("secret_scanning")), (false, Some(Fact::Bool(true))));
    for hidden in ["archived", "secret_scanning", "push_protection", "default_branch_protected"] {
        assert_eq!(repos[2].get(hidden), None, "{hidden}");
    }
    let secrets = &seen.populations[2];
    assert_eq!((secrets.resources.len(), cause(&secrets.completeness)), (1, Some(Unseen::NotCollected)));
}

#[tokio::test]
async fn a_list_of_repositories_that_breaks_off_is_incomplete_and_keeps_what_was_seen() {
    let foreign_first = organisation();
    let page = foreign_first.with(|state| state.scripts[PAGE_1].2.clone());
    foreign_first.script(PAGE_1, 200, "link: <http://127.0.0.1:9/repos>; rel=\"next\"\r\n", &page);
    let repos = &collect(&foreign_first, Some(TOKEN)).await.populations[1];
    assert_eq!((cause(&repos.completeness), repos.resources.len()), (Some(Unseen::Inconsistent), 2));

    let foreign = "link: <http://127.0.0.1:9/repos>; rel=\"next\"\r\n".to_owned();
    for (status, headers, body, want, resources) in [
        (403, String::new(), CANARY, Unseen::Denied, 2),
        (401, String::new(), CANARY, Unseen::Denied, 2),
        (403, "retry-after: 60\r\n".to_owned(), CANARY, Unseen::Throttled, 2),
        (429, String::new(), CANARY, Unseen::Throttled, 2),
        (502, String::new(), CANARY, Unseen::Unreachable, 2),
        (200, String::new(), CANARY, Unseen::Inconsistent, 2),
        (200, String::new(), "[]", Unseen::Inconsistent, 2),
        (200, foreign, "[]", Unseen::Inconsistent, 2),
    ] {
        let server = organisation();
        server.script(PAGE_2, status, &headers, body);
        let seen = collect(&server, Some(TOKEN)).await;
        let repos = &seen.populations[1];
        assert_eq!((cause(&repos.completeness), repos.resources.len()), (Some(want), resources), "{status} {headers}");
        assert_eq!(seen.receipt.completeness, repos.completeness);
        assert_eq!(cause(&seen.populations[0].completeness), None);
    }
}

#[tokio::test]
async fn what_only_an_owner_sees_is_absent_for_others() {
    let server = organisation();
    server.script("GET /orgs/acme", 200, "", r#"{"login":"acme","public_repos":1}"#);
    server.script("GET /orgs/acme/members?filter=2fa_disabled&per_page=100", 422, "", CANARY);
    let seen = collect(&server, Some(TOKEN)).await;
    let org = &seen.populations[0];
    assert_eq!(cause(&org.completeness), Some(Unseen::Denied));
    for hidden in ["two_factor_required", "base_permission", "members_without_2fa"] {
        assert_eq!(org.resources[0].get(hidden), None, "{hidden}");
    }
    // Nobody says how many repositories there are: those listed may not be all.
    assert_eq!(cause(&seen.populations[1].completeness), Some(Unseen::Denied));
}

#[tokio::test]
async fn another_organisation_is_not_read_as_this_one() {
    let server = organisation();
    server.script("GET /orgs/acme", 200, "", r#"{"login":"other","two_factor_requirement_enabled":true}"#);
    let org = &collect(&server, Some(TOKEN)).await.populations[0];
    assert_eq!((cause(&org.completeness), org.resources.len()), (Some(Unseen::Inconsistent), 0));
}

#[tokio::test]
async fn without_its_token_nothing_is_asked_and_nothing_is_seen() {
    for token in [None, Some("another")] {
        let server = organisation();
        let seen = collect(&server, token).await;
        for population in &seen.populations {
            assert_eq!((cause(&population.completeness), population.resources.len()), (Some(Unseen::Denied), 0));
        }
        assert_eq!(server.with(|state| state.seen.is_empty()), token.is_none());
    }
}
