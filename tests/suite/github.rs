//! GitHub: a small server with state that opens sealed boxes for real, and lists that break off. It stands in recorded true
//! shapes; the server that checks every request against GitHub's own specification comes with a later issue.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto_box::SecretKey;
use rand_core::OsRng;
use serde_json::{Value as Json, json};
use slm::collectors::github::GithubOrg;
use slm::consumers::github_actions_secret::ActionsSecret;
use slm::model::catalog::{GithubSecretConsumer, GithubSource};
use slm::model::id::VersionId;
use slm::model::secret::Secret;
use slm::model::snapshot::{Completeness, Fact, Unseen, Value};
use slm::model::time::Timestamp;
use slm::transport::github::Github;
use slm::world::{Clock, Collected, Collector, Consumer, ConsumerView, ErrorClass, WorldError};

const TOKEN: &str = "canary-token-55aa-never-shown";
const CANARY: &str = "canary-value-91be-never-shown";
const V1: &str = "11111111-1111-5111-8111-111111111111";
const V2: &str = "22222222-2222-5222-8222-222222222222";

/// What the server answers before it looks at its state: status, headers, body.
type Script = (u16, String, String);

/// What the server holds.
struct State {
    root: String,
    key: SecretKey,
    key_id: u32,
    /// Refusals with 422 still to come: the key is replaced each time.
    stale: u32,
    /// Opened values by route.
    secrets: BTreeMap<String, String>,
    /// Bodies of the last write by route, without the sealed value.
    written: BTreeMap<String, Json>,
    variables: BTreeMap<String, String>,
    /// Answers by method and route, before anything else.
    scripts: BTreeMap<String, Script>,
    /// Method and route of every request.
    seen: Vec<String>,
}

/// A server on a port of its own.
#[derive(Clone)]
struct Server {
    state: Arc<Mutex<State>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let root = format!("http://{}", listener.local_addr().unwrap());
        let state = State {
            root,
            key: SecretKey::generate(&mut OsRng),
            key_id: 1,
            stale: 0,
            secrets: BTreeMap::new(),
            written: BTreeMap::new(),
            variables: BTreeMap::new(),
            scripts: BTreeMap::new(),
            seen: Vec::new(),
        };
        let server = Self { state: Arc::new(Mutex::new(state)) };
        let shared = Arc::clone(&server.state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &shared);
            }
        });
        server
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap())
    }

    fn script(&self, request: &str, status: u16, headers: &str, body: &str) {
        let script = (status, headers.to_owned(), body.to_owned());
        self.with(|state| state.scripts.insert(request.to_owned(), script));
    }

    fn client(&self) -> Github {
        Github::new(Some(&self.with(|state| state.root.clone())), Some(Secret::new(TOKEN.as_bytes().to_vec())))
    }

    fn secret(&self, repo: Option<&str>, environment: Option<&str>) -> ActionsSecret {
        let config = GithubSecretConsumer {
            source: "org".into(),
            repo: repo.map(str::to_owned),
            environment: environment.map(str::to_owned),
            name: "SESSION_KEY".to_owned(),
        };
        ActionsSecret::new(self.client(), "acme", &config)
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut first, mut length, mut authorized) = (String::new(), 0, false);
    reader.read_line(&mut first).unwrap_or(0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) <= 2 {
            break;
        }
        authorized |= line
            .trim_end()
            .split_once(": ")
            .is_some_and(|(name, value)| name.eq_ignore_ascii_case("authorization") && value == format!("Bearer {TOKEN}"));
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let mut words = first.split_whitespace();
    let (method, route) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut state = state.lock().unwrap();
    state.seen.push(format!("{method} {route}"));
    let (status, headers, answer) = if authorized {
        let script = state.scripts.get(&format!("{method} {route}")).cloned();
        script.unwrap_or_else(|| {
            let (status, answer) = state.answer(method, route, &serde_json::from_slice(&body).unwrap_or_default());
            (status, String::new(), answer.to_string())
        })
    } else {
        (401, String::new(), "{}".to_owned())
    };
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n{headers}", answer.len());
    let head = format!("{head}date: Tue, 24 Nov 2026 06:00:00 GMT\r\nx-github-request-id: AB:1\r\n\r\n");
    let _ = stream.write_all((head + &answer).as_bytes());
}

impl State {
    fn answer(&mut self, method: &str, route: &str, body: &Json) -> (u16, Json) {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        if method == "GET" && route.ends_with("/secrets/public-key") {
            let key = STANDARD.encode(self.key.public_key().as_bytes());
            return (200, json!({ "key_id": self.key_id.to_string(), "key": key }));
        }
        if method == "PUT" && route.contains("/secrets/") {
            if self.stale > 0 {
                self.stale -= 1;
                self.key_id += 1;
                self.key = SecretKey::generate(&mut OsRng);
            }
            let shared = route.starts_with("/orgs/");
            if text("key_id") != self.key_id.to_string() || shared != body["visibility"].is_string() {
                return (422, json!({ "message": CANARY }));
            }
            let value = self.key.unseal(&STANDARD.decode(text("encrypted_value")).unwrap()).unwrap();
            let known = self.secrets.insert(route.to_owned(), String::from_utf8(value).unwrap()).is_some();
            let mut rest = body.clone();
            rest.as_object_mut().unwrap().remove("encrypted_value");
            self.written.insert(route.to_owned(), rest);
            return (if known { 204 } else { 201 }, json!({}));
        }
        let named = format!("{route}/{}", text("name"));
        match method {
            "GET" if route.contains("/variables/") => match self.variables.get(route) {
                Some(value) => {
                    (200, json!({ "name": route.rsplit('/').next(), "value": value, "updated_at": "2026-11-24T06:00:00Z" }))
                }
                None => (404, json!({ "message": "Not Found" })),
            },
            "PATCH" if self.variables.contains_key(route) => {
                self.variables.insert(route.to_owned(), text("value"));
                (204, json!({}))
            }
            "POST" if route.ends_with("/variables") && self.variables.contains_key(&named) => (409, json!({})),
            "POST" if route.ends_with("/variables") => {
                self.variables.insert(named, text("value"));
                (201, json!({}))
            }
            _ => (404, json!({ "message": "Not Found" })),
        }
    }
}

fn value(of: &str) -> Secret {
    Secret::new(of.as_bytes().to_vec())
}

fn at(version: &str) -> ConsumerView {
    ConsumerView { stored: Some(version.into()), running: Some(version.into()) }
}

fn class<T>(result: Result<T, WorldError>) -> ErrorClass {
    let error = result.err().expect("an error");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(CANARY) && !shown.contains(TOKEN), "{shown}");
    error.class
}

#[tokio::test]
async fn a_delivered_value_arrives_sealed_and_is_acknowledged_after_it() {
    for (repo, environment, home) in [
        (Some("acme/app"), None, "/repos/acme/app/actions"),
        (Some("acme/app"), Some("prod/eu"), "/repos/acme/app/environments/prod%2Feu"),
        (None, None, "/orgs/acme/actions"),
    ] {
        let server = Server::start();
        let secret = server.secret(repo, environment);
        let [v1, v2] = [V1, V2].map(VersionId::from);
        assert_eq!(secret.observe().await.unwrap(), ConsumerView::default());
        assert_eq!(class(secret.activate(&v1).await), ErrorClass::Conflict);
        secret.deliver(&v1, &value(CANARY)).await.unwrap();
        assert_eq!(secret.observe().await.unwrap(), at(V1));
        secret.activate(&v1).await.unwrap();
        secret.deliver(&v1, &value(CANARY)).await.unwrap();
        secret.deliver(&v2, &value("second")).await.unwrap();
        assert_eq!(secret.observe().await.unwrap(), at(V2));
        assert_eq!(class(secret.activate(&v1).await), ErrorClass::Conflict);
        server.with(|state| {
            assert_eq!(state.secrets, BTreeMap::from([(format!("{home}/secrets/SESSION_KEY"), "second".to_owned())]));
            assert_eq!(state.variables, BTreeMap::from([(format!("{home}/variables/SLM_SESSION_KEY"), V2.to_owned())]));
            let place = |wanted: &str| state.seen.iter().position(|seen| seen.starts_with(wanted)).unwrap();
            assert!(place("PUT") < place("PATCH") && place("PATCH") < place("POST"), "{:?}", state.seen);
        });
    }
}

#[tokio::test]
async fn a_key_replaced_meanwhile_is_read_again_once() {
    let (server, v1) = (Server::start(), VersionId::from(V1));
    let secret = server.secret(Some("acme/app"), None);
    server.with(|state| state.stale = 1);
    secret.deliver(&v1, &value(CANARY)).await.unwrap();
    assert_eq!(server.with(|state| state.secrets.values().next().cloned()).as_deref(), Some(CANARY));

    server.with(|state| state.stale = 2);
    let v2 = VersionId::from(V2);
    let error = secret.deliver(&v2, &value(CANARY)).await.unwrap_err();
    assert_eq!(error.to_string(), "could not write Actions secret `acme/app/SESSION_KEY`: HTTP 422");
    assert_eq!(class(Err::<(), _>(error)), ErrorClass::Permanent);
    assert_eq!(secret.observe().await.unwrap(), at(V1));
}

#[tokio::test]
async fn a_secret_that_did_not_arrive_is_not_acknowledged() {
    let put = "PUT /repos/acme/app/actions/secrets/SESSION_KEY";
    for (status, headers, want, requests) in [
        (403, "", ErrorClass::Denied, 1),
        (403, "x-ratelimit-remaining: 0\r\n", ErrorClass::Transient, 1),
        (429, "", ErrorClass::Transient, 1),
        (503, "", ErrorClass::Transient, 3),
        (404, "", ErrorClass::NotFound, 1),
    ] {
        let server = Server::start();
        let secret = server.secret(Some("acme/app"), None);
        server.script(put, status, headers, CANARY);
        assert_eq!(class(secret.deliver(&V1.into(), &value(CANARY)).await), want, "{status}");
        assert_eq!(secret.observe().await.unwrap(), ConsumerView::default());
        assert_eq!(server.with(|state| state.seen.iter().filter(|seen| *seen == put).count()), requests, "{status}");
    }
}

#[tokio::test]
async fn an_organisation_secret_keeps_those_who_may_see_it() {
    let server = Server::start();
    let secret = server.secret(None, None);
    let home = "/orgs/acme/actions/secrets/SESSION_KEY";
    secret.deliver(&V1.into(), &value(CANARY)).await.unwrap();
    assert_eq!(server.with(|state| state.written[home]["visibility"].clone()), "private");

    server.script(&format!("GET {home}"), 200, "", r#"{"name":"SESSION_KEY","visibility":"selected"}"#);
    let next = server.with(|state| format!("link: <{}{home}/repositories?per_page=100&page=2>; rel=\"next\"\r\n", state.root));
    server.script(&format!("GET {home}/repositories?per_page=100"), 200, &next, r#"{"repositories":[{"id":7}]}"#);
    server.script(&format!("GET {home}/repositories?per_page=100&page=2"), 200, "", r#"{"repositories":[{"id":9}]}"#);
    secret.deliver(&V2.into(), &value(CANARY)).await.unwrap();
    let written = server.with(|state| state.written[home].clone());
    assert_eq!((&written["visibility"], &written["selected_repository_ids"]), (&json!("selected"), &json!([7, 9])));
}

#[tokio::test]
async fn a_variable_that_names_no_version_acknowledges_nothing() {
    let server = Server::start();
    let secret = server.secret(Some("acme/app"), None);
    for text in ["", "not a version", &"a".repeat(65)] {
        let route = "/repos/acme/app/actions/variables/SLM_SESSION_KEY".to_owned();
        server.with(|state| state.variables.insert(route, text.to_owned()));
        assert_eq!(secret.observe().await.unwrap(), ConsumerView::default(), "{text}");
    }
}

#[tokio::test]
async fn a_value_too_long_is_not_sent() {
    let server = Server::start();
    let secret = server.secret(Some("acme/app"), None);
    assert_eq!(class(secret.deliver(&V1.into(), &value(&"x".repeat(48 * 1024 + 1))).await), ErrorClass::Permanent);
    assert!(server.with(|state| state.seen.is_empty()));
    assert!(!format!("{:?}", server.client()).contains(TOKEN));
}

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
    let root = server.with(|state| state.root.clone());
    let config = GithubSource { org: "acme".to_owned(), token_env: "T".to_owned(), base_url: Some(root.clone()) };
    let token = token.map(|token| Secret::new(token.as_bytes().to_vec()));
    let seen = GithubOrg::new("org".into(), &config, Github::new(Some(&root), token)).collect(&Noon).await;
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
