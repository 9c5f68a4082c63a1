//! A small GitHub with state: it opens sealed boxes, checks the tokens of Apps and answers recorded true shapes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto_box::SecretKey;
use rand_core::OsRng;
use serde_json::{Value as Json, json};
use slm::consumers::github_actions_secret::ActionsSecret;
use slm::model::catalog::GithubSecretConsumer;
use slm::model::secret::Secret;
use slm::transport::github::{Github, Login};

use crate::github_app::App;
use crate::github_config::Held;

pub const TOKEN: &str = "canary-token-55aa-never-shown";
pub const CANARY: &str = "canary-value-91be-never-shown";

/// What the server answers before it looks at its state: status, headers, body.
type Script = (u16, String, String);

/// A run of a workflow: what it was told, what it read when it was queued, and how far it is.
pub struct Dispatched {
    pub repo: String,
    pub file: String,
    pub version: String,
    /// Secrets and variables of the repository by name.
    pub read: BTreeMap<String, String>,
    /// Looks at it until it ends.
    pub left: u32,
}

impl Dispatched {
    fn json(&self, at: usize) -> Json {
        let (status, conclusion) = if self.left == 0 { ("completed", Some("success")) } else { ("in_progress", None) };
        json!({
            "id": at + 1, "status": status, "conclusion": conclusion, "display_title": format!("deploy {}", self.version),
            "path": format!(".github/workflows/{}", self.file), "created_at": "2026-11-24T06:00:01Z",
        })
    }
}

/// What the server holds.
pub struct State {
    pub root: String,
    /// Tokens it takes.
    pub tokens: Vec<String>,
    /// The App whose tokens it makes.
    pub app: Option<App>,
    key: SecretKey,
    key_id: u32,
    /// Refusals with 422 still to come: the key is replaced each time.
    pub stale: u32,
    /// Opened values by route.
    pub secrets: BTreeMap<String, String>,
    /// Bodies of the last write by route, without the sealed value.
    pub written: BTreeMap<String, Json>,
    pub variables: BTreeMap<String, String>,
    /// Environments by route of the repository.
    pub environments: BTreeMap<String, Vec<String>>,
    /// Repositories by number.
    pub repositories: BTreeMap<u64, String>,
    /// Workflow runs: repository, id, status, file, created at.
    pub runs: Vec<(&'static str, u64, &'static str, &'static str, &'static str)>,
    /// Runs that were dispatched, newest last.
    pub dispatched: Vec<Dispatched>,
    /// Deploy keys by repository route and number, as GitHub lists them.
    pub deploy_keys: BTreeMap<(String, u64), Json>,
    /// Keys a page.
    pub page: usize,
    /// The repositories of policy and evidence, as GraphQL tells of them.
    pub held: Option<Held>,
    /// Answers by method and route, before anything else.
    pub scripts: BTreeMap<String, Script>,
    /// Answers given once each, before those.
    pub once: BTreeMap<String, Vec<Script>>,
    /// Every request of REST as it came: method, route, media type asked for, body.
    pub sent: BTreeSet<[String; 4]>,
    /// Method and route of every request.
    pub seen: Vec<String>,
    /// Kills the process with this id at the first request like this: before it takes effect, or after.
    pub kill: Option<(u32, &'static str, bool)>,
}

/// A server on a port of its own.
#[derive(Clone)]
pub struct Server {
    state: Arc<Mutex<State>>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let root = format!("http://{}", listener.local_addr().unwrap());
        let state = State {
            root,
            tokens: vec![TOKEN.to_owned()],
            app: None,
            key: SecretKey::generate(&mut OsRng),
            key_id: 1,
            stale: 0,
            secrets: BTreeMap::new(),
            written: BTreeMap::new(),
            variables: BTreeMap::new(),
            environments: BTreeMap::new(),
            repositories: BTreeMap::new(),
            runs: Vec::new(),
            dispatched: Vec::new(),
            deploy_keys: BTreeMap::new(),
            page: 2,
            held: None,
            scripts: BTreeMap::new(),
            once: BTreeMap::new(),
            sent: BTreeSet::new(),
            seen: Vec::new(),
            kill: None,
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

    pub fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap())
    }

    pub fn script(&self, request: &str, status: u16, headers: &str, body: &str) {
        let script = (status, headers.to_owned(), body.to_owned());
        self.with(|state| state.scripts.insert(request.to_owned(), script));
    }

    pub fn client(&self) -> Github {
        self.login(Login::Token(Some(Secret::new(TOKEN.as_bytes().to_vec()))))
    }

    /// A client that waits three seconds for rate limits at most.
    pub fn login(&self, login: Login) -> Github {
        Github::new(Some(&self.with(|state| state.root.clone())), login).waiting(Duration::from_secs(3))
    }

    pub fn secret(&self, repo: Option<&str>, environment: Option<&str>) -> ActionsSecret {
        let line = |key: &str, value: Option<&str>| value.map(|value| format!("{key} = \"{value}\"\n")).unwrap_or_default();
        self.secret_of(&format!("name = \"SESSION_KEY\"\n{}{}", line("repo", repo), line("environment", environment)))
    }

    /// The consumer of `config`, written as in TOML.
    pub fn secret_of(&self, config: &str) -> ActionsSecret {
        let config: GithubSecretConsumer = toml::from_str(&format!("source = \"org\"\n{config}")).unwrap();
        ActionsSecret::new(self.client(), "acme", &config)
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut first, mut length, mut bearer, mut accept) = (String::new(), 0, String::new(), String::new());
    reader.read_line(&mut first).unwrap_or(0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) <= 2 {
            break;
        }
        if let Some(("authorization", value)) = line.trim_end().split_once(": ") {
            bearer = value.strip_prefix("Bearer ").unwrap_or_default().to_owned();
        }
        if let Some(("accept", value)) = line.trim_end().split_once(": ") {
            value.clone_into(&mut accept);
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let mut words = first.split_whitespace();
    let (method, route) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let text = String::from_utf8_lossy(&body).into_owned();
    let body: Json = serde_json::from_slice(&body).unwrap_or_default();
    let asked = match graphql(&body) {
        Some(asked) => format!("{method} {route} {asked}"),
        None => format!("{method} {route}"),
    };
    let mut state = state.lock().unwrap();
    state.seen.push(asked.clone());
    if route != "/graphql" {
        state.sent.insert([method.to_owned(), route.to_owned(), accept, text]);
    }
    let kill = state.kill.take_if(|(_, request, _)| *request == asked);
    if let Some((process, _, false)) = kill {
        return killed(process);
    }
    let (status, headers, answer) = state.reply(method, route, &asked, &bearer, &body);
    if let Some((process, ..)) = kill {
        return killed(process);
    }
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n{headers}", answer.len());
    let head = format!("{head}date: Tue, 24 Nov 2026 06:00:00 GMT\r\nx-github-request-id: AB:1\r\n\r\n");
    let _ = stream.write_all((head + &answer).as_bytes());
}

fn killed(process: u32) {
    let killed = std::process::Command::new("kill").args(["-9", &process.to_string()]).status().unwrap();
    assert!(killed.success(), "the process was gone already");
}

/// The name of the query in `body` and where it goes on.
fn graphql(body: &Json) -> Option<String> {
    let name = body["query"].as_str()?.strip_prefix("query ")?.split(|character: char| !character.is_alphanumeric()).next()?;
    Some(format!("{name} {}", body["variables"]["after"].as_str().unwrap_or("-")))
}

impl State {
    fn reply(&mut self, method: &str, route: &str, asked: &str, bearer: &str, body: &Json) -> Script {
        if let Some(script) = self.once.get_mut(asked).and_then(Vec::pop) {
            return script;
        }
        if let Some(app) =
            self.app.as_mut().filter(|app| route.ends_with(&format!("/app/installations/{}/access_tokens", app.installation)))
        {
            let (status, token, answer) = app.token(bearer);
            self.tokens.extend(token);
            return (status, String::new(), answer.to_string());
        }
        if let Some(app) = self.app.as_ref().filter(|app| route == format!("/app/installations/{}", app.installation)) {
            let (status, answer) = app.installed(bearer);
            return (status, String::new(), answer.to_string());
        }
        if !self.tokens.iter().any(|token| token == bearer) {
            return (401, String::new(), "{}".to_owned());
        }
        if let Some(script) = self.scripts.get(asked) {
            return script.clone();
        }
        if let Some(answer) = self.held.as_ref().and_then(|held| held.answer(body)) {
            return (200, String::new(), answer.to_string());
        }
        if let Some((status, link, answer)) = self.held.as_ref().and_then(|held| held.members(method, route, &self.root)) {
            return (status, link, answer.to_string());
        }
        if let Some((status, link, answer)) = self.keys(method, route, body).or_else(|| self.readers(method, route)) {
            return (status, link, answer.to_string());
        }
        if let Some(answer) = self.workflows(method, route, body) {
            return (200, String::new(), answer.to_string());
        }
        let (status, answer) = self.answer(method, route, body);
        (status, String::new(), answer.to_string())
    }

    /// Workflows that can be dispatched, and their runs.
    fn workflows(&mut self, method: &str, route: &str, body: &Json) -> Option<Json> {
        let (repo, rest) = route.strip_prefix("/repos/")?.split_once("/actions/")?;
        if let Some(file) = rest.strip_prefix("workflows/").and_then(|rest| rest.strip_suffix("/dispatches")) {
            let named = |all: &BTreeMap<String, String>, kind: &str| -> Vec<(String, String)> {
                let of = format!("/repos/{repo}/actions/{kind}/");
                all.iter().filter_map(|(route, value)| Some((route.strip_prefix(&of)?.to_owned(), value.clone()))).collect()
            };
            let read = named(&self.secrets, "secrets").into_iter().chain(named(&self.variables, "variables")).collect();
            let version = body["inputs"]["version"].as_str().unwrap().to_owned();
            self.dispatched.push(Dispatched { repo: repo.to_owned(), file: file.to_owned(), version, read, left: 2 });
            return Some(json!({ "workflow_run_id": self.dispatched.len() }));
        }
        if let Some(file) = rest.strip_prefix("workflows/").and_then(|rest| rest.split_once("/runs?")).map(|(file, _)| file) {
            let all = self.dispatched.iter().enumerate().rev().filter(|(_, run)| run.repo == repo && run.file == file);
            return Some(json!({ "workflow_runs": all.map(|(at, run)| run.json(at)).collect::<Vec<_>>() }));
        }
        let at = rest.strip_prefix("runs/").filter(|_| method == "GET")?.parse::<usize>().ok()?.checked_sub(1)?;
        let run = self.dispatched.get_mut(at).filter(|run| run.repo == repo)?;
        run.left = run.left.saturating_sub(1);
        Some(run.json(at))
    }

    /// A repository; an organisation's secret, and in pages the repositories that it was given to.
    fn readers(&self, method: &str, route: &str) -> Option<(u16, String, Json)> {
        let (path, query) = route.split_once('?').unwrap_or((route, ""));
        let named = |(id, name): (&u64, &String)| json!({ "id": id, "full_name": name });
        if let Some(repo) = path.strip_prefix("/repos/").filter(|_| method == "GET") {
            let found = self.repositories.iter().find(|(_, name)| *name == repo).map(|(id, _)| *id);
            // Where none is named every one is there.
            let any = (self.repositories.is_empty() && repo.matches('/').count() == 1).then_some(1);
            let may = json!({ "admin": true, "push": true, "pull": true });
            let shown = json!({ "id": found.or(any)?, "full_name": repo, "private": true, "archived": false, "permissions": may });
            return Some((200, String::new(), shown));
        }
        let secret = path.strip_suffix("/repositories").unwrap_or(path);
        let audience = self.written.get(secret).filter(|_| method == "GET" && path.starts_with("/orgs/"))?;
        if path == secret {
            let shown = json!({ "name": path.rsplit('/').next(), "visibility": audience["visibility"] });
            return Some((200, String::new(), shown));
        }
        let page = query.split('&').find_map(|part| part.strip_prefix("page=")).map_or(1, |page| page.parse().unwrap());
        let ids = audience["selected_repository_ids"].as_array()?;
        let all: Vec<Json> =
            self.repositories.iter().filter(|(id, _)| ids.contains(&json!(id))).map(named).skip((page - 1) * self.page).collect();
        let next = format!("link: <{}{path}?per_page=100&page={}>; rel=\"next\"\r\n", self.root, page + 1);
        let more = if all.len() > self.page { next } else { String::new() };
        Some((200, more, json!({ "total_count": ids.len(), "repositories": all.iter().take(self.page).collect::<Vec<_>>() })))
    }

    /// The deploy keys of a repository, in pages of two; a key can be in one repository alone.
    fn keys(&mut self, method: &str, route: &str, body: &Json) -> Option<(u16, String, Json)> {
        let (path, query) = route.split_once('?').unwrap_or((route, ""));
        let (repo, number) = path.strip_prefix("/repos/")?.split_once("/keys")?;
        let number: Option<u64> = number.strip_prefix('/').and_then(|text| text.parse().ok());
        let plain = |status, answer| Some((status, String::new(), answer));
        match (method, number) {
            ("GET", None) => {
                let page = query.split('&').find_map(|part| part.strip_prefix("page=")).map_or(1, |page| page.parse().unwrap());
                let all: Vec<&Json> = self.deploy_keys.iter().filter(|((of, _), _)| of == repo).map(|(_, key)| key).collect();
                let shown: Vec<&Json> = all.iter().skip((page - 1) * self.page).take(self.page).copied().collect();
                let more = all.len() > page * self.page;
                let next = format!("link: <{}{path}?per_page=100&page={}>; rel=\"next\"\r\n", self.root, page + 1);
                Some((200, if more { next } else { String::new() }, json!(shown)))
            }
            ("POST", None) => {
                let words = |key: &str| key.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>();
                let key = words(body["key"].as_str().unwrap());
                if self.deploy_keys.values().any(|have| words(have["key"].as_str().unwrap()) == key) {
                    return plain(422, json!({ "message": "key is already in use" }));
                }
                let id = self.deploy_keys.keys().map(|(_, id)| id + 1).max().unwrap_or(1);
                let made = json!({
                    "id": id, "key": key.join(" "), "title": body["title"], "read_only": body["read_only"], "verified": true,
                    "created_at": "2026-11-24T06:00:00Z", "last_used": null, "enabled": true, "added_by": "slm",
                    "url": format!("{}{path}/{id}", self.root),
                });
                self.deploy_keys.insert((repo.to_owned(), id), made.clone());
                plain(201, made)
            }
            ("DELETE", Some(id)) => match self.deploy_keys.remove(&(repo.to_owned(), id)) {
                Some(_) => plain(204, json!({})),
                None => plain(404, json!({})),
            },
            _ => None,
        }
    }

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
        if let Some(listed) = self.list(method, route) {
            return (200, listed);
        }
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

    /// The lists of a repository.
    fn list(&self, method: &str, route: &str) -> Option<Json> {
        let (path, query) = route.split_once('?').filter(|_| method == "GET")?;
        if let Some(repo) = path.strip_suffix("/environments") {
            let environments: Vec<Json> =
                self.environments.get(repo).into_iter().flatten().map(|name| json!({ "name": name })).collect();
            return Some(json!({ "total_count": environments.len(), "environments": environments }));
        }
        if let Some(status) = path.strip_suffix("/actions/runs").and(query.strip_prefix("status=")) {
            let status = status.split('&').next();
            let open = self.runs.iter().filter(|run| path == format!("/repos/{}/actions/runs", run.0) && status == Some(run.2));
            let runs = open
                .map(|(_, id, status, path, created)| json!({ "id": id, "status": status, "path": path, "created_at": created }));
            return Some(json!({ "workflow_runs": runs.collect::<Vec<_>>() }));
        }
        if path.starts_with("/repos/") && path.ends_with("/secrets") {
            let names = self.secrets.keys().filter_map(|secret| secret.strip_prefix(path)?.strip_prefix('/'));
            return Some(json!({ "secrets": names.map(|name| json!({ "name": name })).collect::<Vec<_>>() }));
        }
        None
    }
}
