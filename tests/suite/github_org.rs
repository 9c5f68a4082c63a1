//! An organisation of GitHub, and lists of it that break off.

use serde_json::{Value as Json, json};
use slm::collectors::github::GithubOrg;
use slm::model::catalog::{GithubApproved, GithubSource};
use slm::model::receipt::RawRef;
use slm::model::secret::Secret;
use slm::model::snapshot::{Completeness, Fact, Population, Resource, Unseen, Value};
use slm::model::time::Timestamp;
use slm::transport::github::Login;
use slm::world::{Clock, Collected, Collector};

use crate::github_server::{CANARY, Server, TOKEN};
use crate::support::declared;

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }
}

const PAGE_1: &str = "GET /orgs/acme/repos?type=all&per_page=100";
const GRAPH_1: &str = "POST /graphql Repositories -";
const GRAPH_2: &str = "POST /graphql Repositories c1";
const SAML: &str = "POST /graphql Saml -";
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
    let empty = r#"{"total_count":0,"secrets":[]}"#;
    for (request, headers, body) in [
        ("GET /user", "", r#"{"login":"reader"}"#.to_owned()),
        ("GET /orgs/acme", "", org),
        ("GET /orgs/acme/members?filter=2fa_disabled&per_page=100", "", r#"[{"login":"late"}]"#.to_owned()),
        ("GET /orgs/acme/outside_collaborators?per_page=100", "", r#"[{"login":"Guest"},{"login":"stranger"}]"#.to_owned()),
        ("GET /orgs/acme/actions/permissions", "", r#"{"enabled_repositories":"all","allowed_actions":"selected"}"#.to_owned()),
        (
            "GET /orgs/acme/actions/permissions/workflow",
            "",
            r#"{"default_workflow_permissions":"read","can_approve_pull_request_reviews":false}"#.to_owned(),
        ),
        (PAGE_1, &next, format!("[{},{}]", repo("b", true, "enabled"), repo("a", false, "disabled"))),
        (PAGE_2, "", r#"[{"full_name":"acme/c","private":true}]"#.to_owned()),
        (GRAPH_1, "", graph(&[details("b"), details("a")], Some("c1"))),
        (GRAPH_2, "", graph(&[details("c")], None)),
        (
            SAML,
            "",
            r#"{"data":{"organization":{"login":"acme","viewerCanAdminister":true,"samlIdentityProvider":null}}}"#.to_owned(),
        ),
        ("GET /orgs/acme/actions/secrets?per_page=100", "", secrets.to_owned()),
        ("GET /orgs/acme/dependabot/secrets?per_page=100", "", empty.to_owned()),
        ("GET /orgs/acme/codespaces/secrets?per_page=100", "", empty.to_owned()),
    ] {
        server.script(request, 200, headers, &body);
    }
    server
}

/// What GraphQL says of one repository: one deploy key, one environment.
fn details(name: &str) -> Json {
    let page = |nodes: Json| json!({ "pageInfo": { "hasNextPage": false, "endCursor": null }, "nodes": nodes });
    let gates = json!([
        { "type": "BRANCH_POLICY", "preventSelfReview": null, "reviewers": { "totalCount": 0 } },
        { "type": "REQUIRED_REVIEWERS", "preventSelfReview": true, "reviewers": { "totalCount": 2 } },
    ]);
    json!({
        "id": format!("R_{name}"), "nameWithOwner": format!("acme/{name}"), "isArchived": false, "hasVulnerabilityAlertsEnabled": true,
        "description": CANARY,
        "defaultBranchRef": { "branchProtectionRule": null, "refUpdateRule": null, "rules": page(json!([
            { "type": "PULL_REQUEST", "repositoryRuleset": { "enforcement": "ACTIVE" }, "parameters": {
                "requiredApprovingReviewCount": 1, "dismissStaleReviewsOnPush": true, "requireLastPushApproval": false } },
        ])) },
        "deployKeys": page(json!([{ "id": format!("K_{name}"), "createdAt": "2026-10-01T00:00:00Z", "readOnly": name != "a" }])),
        "environments": page(json!([{ "name": "Production", "protectionRules": page(gates) }])),
    })
}

fn graph(repositories: &[Json], after: Option<&str>) -> String {
    let page = json!({ "hasNextPage": after.is_some(), "endCursor": after });
    json!({ "data": { "organization": { "login": "acme", "repositories": { "pageInfo": page, "nodes": repositories } } } })
        .to_string()
}

/// The organisation with single sign-on and secrets everywhere, so that every attribute there is can be seen.
pub fn everything() -> (Server, GithubSource) {
    let server = organisation();
    let identities = json!({ "pageInfo": { "hasNextPage": false }, "nodes": [{ "user": { "login": "late" } }] });
    let saml = json!({ "login": "acme", "membersWithRole": { "totalCount": 1 }, "samlIdentityProvider": { "externalIdentities": identities } });
    server.script(SAML, 200, "", &json!({ "data": { "organization": saml } }).to_string());
    let guest = ("guest".to_owned(), "2027-01-01T00:00:00Z".parse().unwrap());
    (server, GithubSource { approved: GithubApproved { collaborators: [guest].into(), ..GithubApproved::default() }, ..source() })
}

fn source() -> GithubSource {
    GithubSource { org: "acme".to_owned(), ..GithubSource::default() }
}

async fn collect(server: &Server, token: Option<&str>) -> Collected {
    collect_as(server, token, &source()).await
}

pub async fn collect_as(server: &Server, token: Option<&str>, config: &GithubSource) -> Collected {
    let login = Login::Token(token.map(|token| Secret::new(token.as_bytes().to_vec())));
    let seen = declared(GithubOrg::new("org".into(), config, server.login(login)).collect(&Noon).await);
    let raw: Vec<_> = seen.raw.iter().map(|raw| String::from_utf8_lossy(&raw.bytes().unwrap()).into_owned()).collect();
    let all = format!("{:?} {:?} {raw:?}", seen.populations, seen.receipt);
    assert!(!all.contains(CANARY) && !all.contains(TOKEN), "{all}");
    seen
}

#[tokio::test]
async fn members_are_listed_for_a_people_file_alone_and_are_whole_when_they_are_as_many_as_the_organisation_counts() {
    let listed = async |count: Option<u64>| {
        let server = organisation();
        server.script("GET /orgs/acme/members?per_page=100", 200, "", r#"[{"login":"Ada"},{"login":"late"}]"#);
        let counted = json!({ "login": "acme", "membersWithRole": count.map(|count| json!({ "totalCount": count })) });
        server.script("POST /graphql Members -", 200, "", &json!({ "data": { "organization": counted } }).to_string());
        let login = Login::Token(Some(Secret::new(TOKEN.as_bytes().to_vec())));
        let reader = GithubOrg::new("org".into(), &source(), server.login(login)).with_members();
        declared(reader.collect(&Noon).await)
    };
    let seen = listed(Some(2)).await;
    let all = of(&seen, "Member");
    let names: Vec<_> = all.resources.iter().map(|one| (one.id.as_str(), one.text("login"))).collect();
    assert_eq!(names, [("github:acme/members/Ada", Some("Ada")), ("github:acme/members/late", Some("late"))]);
    assert_eq!(all.completeness, Completeness::Complete);
    let detail = |seen: &Collected| match &of(seen, "Member").completeness {
        Completeness::Complete => String::new(),
        Completeness::Incomplete { detail, .. } => detail.clone(),
    };
    assert_eq!(detail(&listed(Some(3)).await), "acme counts 3 members, and lists 2");
    assert_eq!(detail(&listed(None).await), "how many members acme has was not shown");
    let without = collect(&organisation(), Some(TOKEN)).await;
    assert!(!without.populations.iter().any(|one| one.entity.as_str() == "GitHub::Member"), "nobody asked for them");
}

/// The population of one type.
fn of<'s>(seen: &'s Collected, entity: &str) -> &'s Population {
    seen.populations.iter().find(|population| population.entity.as_str() == format!("GitHub::{entity}")).unwrap()
}

fn resource<'s>(seen: &'s Collected, entity: &str, id: &str) -> &'s Resource {
    let resources = &of(seen, entity).resources;
    resources.iter().find(|resource| resource.id.as_str() == format!("github:{id}")).unwrap_or_else(|| panic!("{resources:?}"))
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
    assert_eq!((seen.receipt.requests(), seen.receipt.raw.len(), seen.raw.len()), (14, 13, 13));
    assert_eq!(seen.receipt.source_clock, Some("2026-11-24T06:00:00Z".parse().unwrap()));
    let repos = seen.receipt.operations.iter().find(|operation| operation.name == "github:GET /orgs/{org}/repos").unwrap();
    assert_eq!((repos.pages, repos.requests, repos.items), (2, 2, 3));
    let names: std::collections::BTreeSet<_> = seen.receipt.raw.iter().map(|raw| &raw.name).collect();
    assert_eq!(names.len(), 13, "{names:?}");

    let org = &of(&seen, "Org").resources[0];
    let known = [
        ("actions_can_approve", Value::Bool(false)),
        ("allowed_actions", Value::Text("selected".into())),
        ("base_permission", Value::Text("none".into())),
        ("default_token_read_only", Value::Bool(true)),
        ("members_without_2fa", Value::Long(1)),
        ("saml_enabled", Value::Bool(false)),
        ("two_factor_required", Value::Bool(true)),
    ];
    let seen_of_org: Vec<_> = org.facts().map(|(name, fact)| (&**name, fact.owned())).collect();
    assert_eq!(seen_of_org, known);

    let repos = &of(&seen, "Repo").resources;
    let ids: Vec<_> = repos.iter().map(|repo| repo.id.as_str()).collect();
    assert_eq!(ids, ["github:acme/a", "github:acme/b", "github:acme/c"]);
    assert_eq!((repos[0].is("public"), repos[0].get("secret_scanning")), (true, Some(Fact::Bool(false))));
    assert_eq!((repos[1].is("public"), repos[1].get("secret_scanning")), (false, Some(Fact::Bool(true))));
    for hidden in ["archived", "secret_scanning", "push_protection", "public_approved"] {
        assert_eq!(repos[2].get(hidden), None, "{hidden}");
    }
    let secrets = of(&seen, "Secret");
    assert_eq!((secrets.resources.len(), cause(&secrets.completeness)), (1, Some(Unseen::NotCollected)));
}

#[tokio::test]
async fn a_list_of_repositories_that_breaks_off_is_incomplete_and_keeps_what_was_seen() {
    let foreign_first = organisation();
    let page = foreign_first.with(|state| state.scripts[PAGE_1].2.clone());
    foreign_first.script(PAGE_1, 200, "link: <http://127.0.0.1:9/repos>; rel=\"next\"\r\n", &page);
    let seen = collect(&foreign_first, Some(TOKEN)).await;
    let repos = of(&seen, "Repo");
    assert_eq!((cause(&repos.completeness), repos.resources.len()), (Some(Unseen::Inconsistent), 2));

    let foreign = "link: <http://127.0.0.1:9/repos>; rel=\"next\"\r\n".to_owned();
    for (status, headers, body, want, resources) in [
        (403, String::new(), CANARY, Unseen::Denied, 2),
        (401, String::new(), CANARY, Unseen::Expired, 2),
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
        let repos = of(&seen, "Repo");
        assert_eq!((cause(&repos.completeness), repos.resources.len()), (Some(want), resources), "{status} {headers}");
        assert_eq!(seen.receipt.completeness, repos.completeness);
        assert_eq!(cause(&of(&seen, "Org").completeness), None);
        // Of an answer that cannot be read its digest stays, and nothing of what is in it.
        let unread: Vec<_> = seen.receipt.raw.iter().filter(|raw| raw.redacted == RawRef::unread()).collect();
        assert_eq!(unread.len(), usize::from((status, body) == (200, CANARY)), "{status} {headers}");
        for raw in unread {
            assert_eq!(*raw, RawRef::new(raw.name.clone(), CANARY.as_bytes(), b"", RawRef::unread()));
        }
    }
}

#[tokio::test]
async fn a_list_whose_next_page_leads_back_ends_and_is_incomplete() {
    // The second page leads to itself, and to the first.
    for to in [PAGE_2, PAGE_1] {
        let server = organisation();
        let link = server.with(|state| format!("link: <{}{}>; rel=\"next\"\r\n", state.root, &to[4..]));
        server.script(PAGE_2, 200, &link, r#"[{"full_name":"acme/c","private":true}]"#);
        let seen = collect(&server, Some(TOKEN)).await;
        let repos = of(&seen, "Repo");
        assert_eq!((cause(&repos.completeness), repos.resources.len()), (Some(Unseen::Inconsistent), 3));
        assert!(format!("{:?}", repos.completeness).contains("leads back"), "{:?}", repos.completeness);
        assert_eq!(seen.receipt.completeness, repos.completeness);
        let asked = server.with(|state| state.seen.iter().filter(|one| [PAGE_1, PAGE_2].contains(&one.as_str())).count());
        assert_eq!(asked, 2, "nothing is asked for twice");
    }
}

#[tokio::test]
async fn what_only_an_owner_sees_is_absent_for_others() {
    let server = organisation();
    server.script("GET /orgs/acme", 200, "", r#"{"login":"acme","public_repos":1}"#);
    server.script("GET /orgs/acme/members?filter=2fa_disabled&per_page=100", 422, "", CANARY);
    let seen = collect(&server, Some(TOKEN)).await;
    let org = of(&seen, "Org");
    assert_eq!(cause(&org.completeness), Some(Unseen::Denied));
    for hidden in ["two_factor_required", "base_permission", "members_without_2fa"] {
        assert_eq!(org.resources[0].get(hidden), None, "{hidden}");
    }
    // Nobody says how many repositories there are: those listed may not be all.
    assert_eq!(cause(&of(&seen, "Repo").completeness), Some(Unseen::Denied));
}

#[tokio::test]
async fn another_organisation_is_not_read_as_this_one() {
    let server = organisation();
    server.script("GET /orgs/acme", 200, "", r#"{"login":"other","two_factor_requirement_enabled":true}"#);
    let seen = collect(&server, Some(TOKEN)).await;
    let org = of(&seen, "Org");
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

#[tokio::test]
async fn what_guards_repositories_is_read_without_a_call_for_each() {
    let server = organisation();
    let config = GithubSource {
        critical_repos: vec!["acme/B".to_owned()],
        approved: GithubApproved {
            public_repos: vec!["acme/a".to_owned()],
            write_keys: vec!["github:acme/a/deploy-keys/K_a".to_owned()],
            collaborators: [("guest".to_owned(), "2027-01-01T00:00:00Z".parse().unwrap())].into(),
        },
        ..source()
    };
    let seen = collect_as(&server, Some(TOKEN), &config).await;
    assert_eq!(seen.receipt.completeness, Completeness::Complete);
    let [a, b] = ["acme/a", "acme/b"].map(|id| resource(&seen, "Repo", id));
    for (name, value) in [("default_branch_protected", true), ("dismiss_stale_reviews", true), ("last_push_approval", false)] {
        assert_eq!(a.get(name), Some(Fact::Bool(value)), "{name}");
    }
    let numbers = |repo: &Resource| {
        ["min_approvals", "required_approvals", "required_checks"].map(|name| repo.get(name).map(|fact| fact.owned()))
    };
    assert_eq!(numbers(a), [1, 1, 0].map(|number| Some(Value::Long(number))));
    assert_eq!(numbers(b)[0], Some(Value::Long(2)));
    assert!(a.is("public_approved") && a.is("dependabot_alerts"));
    let key = |name: &str| resource(&seen, "DeployKey", &format!("acme/{name}/deploy-keys/K_{name}"));
    assert_eq!((key("a").is("read_only"), key("a").is("write_approved")), (false, true));
    assert_eq!((key("b").is("read_only"), key("b").is("write_approved")), (true, false));
    let environment = resource(&seen, "Environment", "acme/c/environments/Production");
    assert!(["branch_restricted", "prevent_self_review", "production"].iter().all(|name| environment.is(name)));
    assert_eq!(environment.get("required_reviewers"), Some(Fact::Long(2)));
    let person = |login: &str| resource(&seen, "Collaborator", &format!("acme/collaborators/{login}"));
    assert_eq!((person("Guest").is("approved"), person("stranger").is("approved")), (true, false));
    assert_eq!(person("Guest").get("end_date"), Some(Fact::Time("2027-01-01T00:00:00Z".parse().unwrap())));
    let calls =
        server.with(|state| state.seen.iter().filter(|seen| seen.contains("/repos/") || seen.contains("DeployKeys")).count());
    assert_eq!(calls, 0);
}

#[tokio::test]
async fn lists_inside_a_repository_are_followed_to_their_end() {
    let server = organisation();
    let mut b = details("b");
    for list in ["deployKeys", "environments"] {
        b[list]["pageInfo"] = json!({ "hasNextPage": true, "endCursor": "n1" });
    }
    server.script(GRAPH_1, 200, "", &graph(&[b, details("a")], Some("c1")));
    let more = |list: &str, node: Json, next: bool| {
        let page = json!({ "hasNextPage": next, "endCursor": "n2" });
        json!({ "data": { "node": { list: { "pageInfo": page, "nodes": [node] } } } }).to_string()
    };
    let key = |id: &str| json!({ "id": id, "createdAt": "2026-10-01T00:00:00Z", "readOnly": true });
    server.script("POST /graphql DeployKeys n1", 200, "", &more("deployKeys", key("K2"), true));
    server.script("POST /graphql DeployKeys n2", 200, "", &more("deployKeys", key("K3"), false));
    server.script("POST /graphql Environments n1", 200, "", &more("environments", json!({ "name": "eu" }), false));
    let seen = collect(&server, Some(TOKEN)).await;
    assert_eq!((of(&seen, "DeployKey").resources.len(), cause(&of(&seen, "DeployKey").completeness)), (5, None));
    // The rules of `eu` were not shown: it is known, and nothing of it is guessed.
    let eu = resource(&seen, "Environment", "acme/b/environments/eu");
    assert_eq!((eu.is("production"), eu.get("production").is_some(), eu.facts().len()), (false, true, 1));
    assert_eq!(cause(&of(&seen, "Environment").completeness), Some(Unseen::Denied));

    server.script("POST /graphql DeployKeys n2", 200, "", &more("deployKeys", key("K3"), true));
    let seen = collect(&server, Some(TOKEN)).await;
    assert_eq!(
        (of(&seen, "DeployKey").resources.len(), cause(&of(&seen, "DeployKey").completeness)),
        (5, Some(Unseen::Inconsistent))
    );
}

#[tokio::test]
async fn a_graphql_answer_with_errors_is_incomplete_and_never_empty() {
    let error = |kind: &str, path: Json| json!({ "type": kind, "path": path, "message": CANARY });
    let with = |field: &str, errors: Json| {
        let mut repo = details("c");
        repo[field] = Json::Null;
        let mut answer: Json = serde_json::from_str(&graph(&[repo], None)).unwrap();
        answer["errors"] = errors;
        answer.to_string()
    };
    let forbidden = |field: &str| error("FORBIDDEN", json!(["organization", "repositories", "nodes", 0, field]));
    let nothing = |errors: Json| json!({ "data": null, "errors": errors }).to_string();
    let denied = Some(Unseen::Denied);
    for (body, repos, keys, environments) in [
        (with("deployKeys", json!([forbidden("deployKeys")])), None, denied, None),
        (with("deployKeys", json!([])), None, denied, None),
        (with("environments", json!([forbidden("environments")])), None, None, denied),
        (with("defaultBranchRef", json!([forbidden("defaultBranchRef")])), denied, denied, denied),
        (nothing(json!([error("FORBIDDEN", json!([]))])), denied, denied, denied),
        (
            nothing(json!([{ "message": "Something went wrong" }])),
            Some(Unseen::Unreachable),
            Some(Unseen::Unreachable),
            Some(Unseen::Unreachable),
        ),
        (r#"{"data":{"organization":null}}"#.to_owned(), denied, denied, denied),
        (graph(&[], Some("c1")), Some(Unseen::Inconsistent), Some(Unseen::Inconsistent), Some(Unseen::Inconsistent)),
        (graph(&[], None), Some(Unseen::Inconsistent), Some(Unseen::Inconsistent), Some(Unseen::Inconsistent)),
        (
            graph(&[details("c"), details("d")], None),
            Some(Unseen::Inconsistent),
            Some(Unseen::Inconsistent),
            Some(Unseen::Inconsistent),
        ),
        (
            json!({ "errors": [error("RATE_LIMITED", json!([]))] }).to_string(),
            Some(Unseen::Throttled),
            Some(Unseen::Throttled),
            Some(Unseen::Throttled),
        ),
    ] {
        let server = organisation();
        server.script(GRAPH_2, 200, "", &body);
        let seen = collect(&server, Some(TOKEN)).await;
        let causes = ["Repo", "DeployKey", "Environment"].map(|entity| cause(&of(&seen, entity).completeness));
        assert_eq!(causes, [repos, keys, environments], "{body}");
        assert!(!seen.receipt.completeness.is_complete());
        assert_eq!(
            resource(&seen, "Repo", "acme/c").get("default_branch_protected").is_some(),
            repos.is_none() || body.contains("acme/d")
        );
        assert!(resource(&seen, "Repo", "acme/a").is("default_branch_protected"));
    }
}

#[tokio::test]
async fn secrets_below_the_organisation_are_read_on_request_with_their_cost_in_the_receipt() {
    let server = organisation();
    let secret = r#"{"total_count":1,"secrets":[{"name":"K","updated_at":"2026-02-01T00:00:00Z"}]}"#;
    for repo in ["a", "b", "c"] {
        for place in ["actions", "dependabot", "codespaces", "environments/Production"] {
            server.script(&format!("GET /repos/acme/{repo}/{place}/secrets?per_page=100"), 200, "", secret);
        }
    }
    let config = GithubSource { repo_secrets: true, ..source() };
    let seen = collect_as(&server, Some(TOKEN), &config).await;
    let secrets = of(&seen, "Secret");
    assert_eq!((secrets.resources.len(), cause(&secrets.completeness)), (13, None));
    assert!(resource(&seen, "Secret", "acme/c/environments/Production/K").get("updated_at").is_some());
    let below = seen.receipt.operations.iter().filter(|operation| operation.name.contains("{repo}"));
    assert_eq!(below.map(|operation| (operation.requests, operation.items)).collect::<Vec<_>>(), [(3, 3); 4]);

    let actions = |repo: &str| format!("GET /repos/acme/{repo}/actions/secrets?per_page=100");
    for (status, asked, count) in [(403, true, 12), (429, false, 10)] {
        server.script(&actions("a"), status, "", CANARY);
        server.with(|state| state.seen.clear());
        let seen = collect_as(&server, Some(TOKEN), &config).await;
        assert_eq!(of(&seen, "Secret").resources.len(), count, "{status}");
        assert!(!of(&seen, "Secret").completeness.is_complete());
        assert_eq!(server.with(|state| state.seen.contains(&actions("b"))), asked, "{status}");
    }
}

#[tokio::test]
async fn single_sign_on_is_judged_when_it_is_shown_and_not_guessed_otherwise() {
    let answer = |admin: bool, provider: Json| {
        json!({ "data": { "organization": {
            "login": "acme", "viewerCanAdminister": admin, "membersWithRole": { "totalCount": 3 }, "samlIdentityProvider": provider,
        } } })
        .to_string()
    };
    let identities = |nodes: Json, next: bool| json!({ "externalIdentities": { "pageInfo": { "hasNextPage": next, "endCursor": "i1" }, "nodes": nodes } });
    let server = organisation();
    server.script(SAML, 200, "", &answer(false, Json::Null));
    let seen = collect(&server, Some(TOKEN)).await;
    assert_eq!((of(&seen, "Org").resources[0].get("saml_enabled"), cause(&of(&seen, "Org").completeness)), (None, None));

    server.script(SAML, 200, "", &answer(false, identities(json!([{ "user": { "login": "a" } }]), true)));
    let last = identities(json!([{ "user": null }, { "user": { "login": "b" } }, { "user": { "login": "A" } }]), false);
    server.script("POST /graphql Saml i1", 200, "", &answer(false, last));
    let seen = collect(&server, Some(TOKEN)).await;
    let org = &of(&seen, "Org").resources[0];
    assert_eq!((org.is("saml_enabled"), org.get("members_unlinked")), (true, Some(Fact::Long(1))));

    server.script("POST /graphql Saml i1", 403, "", CANARY);
    let seen = collect(&server, Some(TOKEN)).await;
    assert_eq!(
        (of(&seen, "Org").resources[0].get("members_unlinked"), cause(&of(&seen, "Org").completeness)),
        (None, Some(Unseen::Denied))
    );
}

#[tokio::test]
async fn a_critical_repository_that_is_not_there_is_no_silent_loss() {
    let config = GithubSource { critical_repos: vec!["acme/gone".to_owned()], ..source() };
    let seen = collect_as(&organisation(), Some(TOKEN), &config).await;
    assert_eq!(cause(&of(&seen, "Repo").completeness), Some(Unseen::Inconsistent));
}
