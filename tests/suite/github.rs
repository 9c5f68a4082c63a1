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
use slm::consumers::github_actions_secret::ActionsSecret;
use slm::model::catalog::GithubSecretConsumer;
use slm::model::id::VersionId;
use slm::model::secret::Secret;
use slm::transport::github::Github;
use slm::world::{Consumer, ConsumerView, ErrorClass, WorldError};

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
        (403, "x-ratelimit-remaining: 0\r\n", ErrorClass::Transient, 3),
        (429, "", ErrorClass::Transient, 3),
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
