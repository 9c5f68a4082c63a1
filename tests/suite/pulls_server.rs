//! A GitHub of pull requests, with state: comments, check runs, reviews, merges. It takes what GitHub takes and refuses what GitHub refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};

use crate::github_app::App;
use crate::support::Request;

pub const TOKEN: &str = "canary-token-71cd-never-shown";
pub const REPO: &str = "acme/slm";

/// What the server holds.
#[derive(Default)]
pub struct State {
    /// Pull requests by number.
    pub pulls: BTreeMap<u64, Json>,
    /// By pull request, in order.
    pub comments: BTreeMap<u64, Vec<Json>>,
    pub reviews: BTreeMap<u64, Vec<Json>>,
    /// Check runs in order, with `annotations` of all batches.
    pub checks: Vec<Json>,
    pub issues: Vec<Json>,
    /// Tips of branches.
    pub tips: BTreeMap<String, String>,
    /// Pull requests by the commit that they were merged as.
    pub merged: BTreeMap<String, u64>,
    /// Logins that may write.
    pub writers: BTreeSet<String>,
    /// Method and route of every request.
    pub seen: Vec<String>,
    /// Every request as it came: method, route, media type asked for, body.
    pub sent: BTreeSet<[String; 4]>,
    /// An App, and the tokens that it was given.
    pub app: Option<App>,
    pub tokens: Vec<String>,
    /// The next request of this method to a route that ends so takes effect and is not answered.
    pub lost: Option<(&'static str, &'static str)>,
    /// Answers given once each before anything else: by method, then the end of the route.
    pub once: Vec<(&'static str, &'static str, u16, String)>,
    /// Kills the process with this id at the request of this number from now: before it takes effect, or after.
    pub kill: Option<(u32, usize, bool)>,
    /// Seconds since it began; every write takes one.
    pub second: u64,
    ids: u64,
}

#[derive(Clone)]
pub struct Hub {
    state: Arc<Mutex<State>>,
    pub root: String,
}

impl Hub {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let root = format!("http://{}", listener.local_addr().unwrap());
        let state = State { writers: BTreeSet::from(["bob".to_owned()]), ..State::default() };
        let hub = Self { state: Arc::new(Mutex::new(state)), root };
        let shared = Arc::clone(&hub.state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &shared);
            }
        });
        hub
    }

    pub fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap())
    }

    /// Opens pull request `number` of `author`, or moves it to another commit.
    pub fn open(&self, number: u64, author: &str, head: &str, from: &str) {
        let pull = json!({
            "number": number, "user": { "login": author, "type": "User" }, "merged_at": null, "state": "open",
            "head": { "sha": head, "ref": "edit", "repo": { "full_name": from } },
            "base": { "sha": "b".repeat(40), "ref": "main", "repo": { "full_name": REPO } },
        });
        self.with(|state| state.pulls.insert(number, pull));
    }

    pub fn review(&self, number: u64, by: &str, verdict: &str, commit: &str) {
        self.with(|state| {
            let at = state.tick();
            let review = json!({
                "user": { "login": by, "type": "User" }, "state": verdict, "commit_id": commit, "submitted_at": at, "body": "",
            });
            state.reviews.entry(number).or_default().push(review);
        });
    }

    /// Merges pull request `number` as `commit`.
    pub fn merge(&self, number: u64, commit: &str) {
        self.with(|state| {
            let at = state.tick();
            state.pulls.get_mut(&number).unwrap()["merged_at"] = json!(at);
            state.merged.insert(commit.to_owned(), number);
            state.tips.insert("main".to_owned(), commit.to_owned());
        });
    }

    /// What the comments on `number` say.
    pub fn said(&self, number: u64) -> Vec<String> {
        let text = |comment: &Json| comment["body"].as_str().unwrap().to_owned();
        self.with(|state| state.comments.get(&number).into_iter().flatten().map(text).collect())
    }

    /// Requests since this was asked last.
    pub fn asked(&self) -> Vec<String> {
        self.with(|state| std::mem::take(&mut state.seen))
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    let Ok(request) = Request::read(stream.try_clone().unwrap()) else { return };
    let mut words = request.asked().split(' ').map(str::to_owned);
    let (method, route) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let text = String::from_utf8_lossy(&request.body).into_owned();
    let body: Json = serde_json::from_str(&text).unwrap_or_default();
    let mut state = state.lock().unwrap();
    state.seen.push(format!("{method} {route}"));
    let accept = request.header("accept").unwrap_or_default().to_owned();
    state.sent.insert([method.clone(), route.clone(), accept, text]);
    let due = match state.kill.as_mut() {
        Some((_, left, _)) if *left > 0 => {
            *left -= 1;
            false
        }
        other => other.is_some(),
    };
    let kill = if due { state.kill.take() } else { None };
    if let Some((process, _, false)) = kill {
        return killed(process);
    }
    let bearer = request.header("authorization").and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default().to_owned();
    let (status, answer) = state.answer(&method, &route, &bearer, &body);
    if let Some((process, ..)) = kill {
        return killed(process);
    }
    if state.lost.take_if(|(of, end)| *of == method && route.ends_with(*end)).is_some() {
        return;
    }
    let answer = answer.to_string();
    let wait = if matches!(status, 403 | 429) { "retry-after: 1\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{wait}connection: close\r\n\r\n",
        answer.len()
    );
    let _ = stream.write_all((head + &answer).as_bytes());
}

/// Ends `process` as nothing can be caught.
pub fn killed(process: u32) {
    let killed = std::process::Command::new("kill").args(["-9", &process.to_string()]).status().unwrap();
    assert!(killed.success(), "the process was gone already");
}

impl State {
    /// The instant of a write.
    fn tick(&mut self) -> String {
        self.second += 1;
        format!("2026-11-24T{:02}:{:02}:{:02}Z", 6 + self.second / 3600, self.second / 60 % 60, self.second % 60)
    }

    fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// What the holder of `bearer` is answered. An Enterprise Server has the same below a path of its own.
    fn answer(&mut self, method: &str, route: &str, bearer: &str, body: &Json) -> (u16, Json) {
        let route = route.strip_prefix("/api/v3").unwrap_or(route);
        if let Some(app) = self.app.as_mut().filter(|app| route == format!("/app/installations/{}/access_tokens", app.installation))
        {
            let (status, token, answer) = app.token(bearer);
            self.tokens.extend(token);
            return (status, answer);
        }
        let known = bearer == TOKEN || self.tokens.iter().any(|token| token == bearer);
        if known { self.reply(method, route, body) } else { (401, json!({ "message": "Bad credentials" })) }
    }

    fn reply(&mut self, method: &str, route: &str, body: &Json) -> (u16, Json) {
        if let Some(at) = self.once.iter().position(|(of, end, ..)| *of == method && route.ends_with(end)) {
            let (_, _, status, answer) = self.once.remove(at);
            return (status, serde_json::from_str(&answer).unwrap_or_default());
        }
        let (path, query) = route.split_once('?').unwrap_or((route, ""));
        let Some(rest) = path.strip_prefix(&format!("/repos/{REPO}/")) else { return (404, json!({ "message": "Not Found" })) };
        let parts: Vec<&str> = rest.split('/').collect();
        let answer = match (method, parts.as_slice()) {
            ("GET", ["branches", branch]) => self.tips.get(*branch).map(|tip| (200, json!({ "commit": { "sha": tip } }))),
            ("GET", ["commits", commit, "pulls"]) => {
                let found: Vec<&Json> = self.merged.get(*commit).and_then(|number| self.pulls.get(number)).into_iter().collect();
                Some((200, json!(found)))
            }
            ("GET", ["commits", commit, "check-runs"]) => Some((200, self.latest(commit, query))),
            ("GET", ["pulls"]) => {
                let head = plain(query, "head");
                let branch = |pull: &&Json| {
                    let owner =
                        pull["head"]["repo"]["full_name"].as_str().unwrap_or_default().split('/').next().unwrap_or_default();
                    head == format!("{owner}:{}", pull["head"]["ref"].as_str().unwrap()) && pull["merged_at"].is_null()
                };
                Some((200, json!(self.pulls.values().filter(branch).collect::<Vec<_>>())))
            }
            ("GET", ["pulls", number]) => self.pulls.get(&number.parse().unwrap()).map(|pull| (200, pull.clone())),
            ("GET", ["pulls", number, "reviews"]) => {
                Some((200, json!(self.reviews.get(&number.parse().unwrap()).cloned().unwrap_or_default())))
            }
            ("GET", ["collaborators", login, "permission"]) => {
                Some((200, json!({ "permission": if self.writers.contains(*login) { "write" } else { "read" } })))
            }
            ("GET", ["issues", number, "comments"]) => {
                Some((200, json!(self.comments.get(&number.parse().unwrap()).cloned().unwrap_or_default())))
            }
            ("POST", ["issues", number, "comments"]) => Some(self.comment(number.parse().unwrap(), body)),
            ("PATCH" | "DELETE", ["issues", "comments", id]) => self.change(method, id.parse().unwrap(), body),
            ("POST", ["check-runs"]) => Some(self.check(body)),
            ("PATCH", ["check-runs", id]) => self.annotate(id.parse().unwrap(), body),
            _ => self.issue(method, &parts, body),
        };
        answer.unwrap_or((404, json!({ "message": "Not Found" })))
    }

    /// The issues that are open, one that is opened, and one that is changed.
    fn issue(&mut self, method: &str, parts: &[&str], body: &Json) -> Option<(u16, Json)> {
        match (method, parts) {
            ("GET", ["issues"]) => {
                Some((200, json!(self.issues.iter().filter(|issue| issue["state"] == "open").collect::<Vec<_>>())))
            }
            ("POST", ["issues"]) => {
                let id = self.id();
                let user = json!({ "login": "github-actions[bot]", "type": "Bot" });
                let made = json!({
                    "number": id, "state": "open", "title": body["title"], "body": body["body"], "labels": body["labels"], "user": user,
                });
                self.issues.push(made.clone());
                Some((201, made))
            }
            ("PATCH", ["issues", number]) => {
                let number: u64 = number.parse().ok()?;
                let issue = self.issues.iter_mut().find(|issue| issue["number"] == number)?;
                for (key, value) in body.as_object()? {
                    issue[key] = value.clone();
                }
                Some((200, issue.clone()))
            }
            _ => None,
        }
    }

    fn comment(&mut self, number: u64, body: &Json) -> (u16, Json) {
        let (id, at) = (self.id(), self.tick());
        let Some(text) = body["body"].as_str().filter(|text| text.chars().count() <= 65_536) else {
            return (422, json!({ "message": "Body is too long (maximum is 65536 characters)" }));
        };
        let made = json!({
            "id": id, "user": { "login": "github-actions[bot]", "type": "Bot" }, "author_association": "CONTRIBUTOR",
            "created_at": at, "updated_at": at, "body": text,
        });
        self.comments.entry(number).or_default().push(made.clone());
        (201, made)
    }

    fn change(&mut self, method: &str, id: u64, body: &Json) -> Option<(u16, Json)> {
        let at = self.tick();
        for all in self.comments.values_mut() {
            let Some(place) = all.iter().position(|comment| comment["id"] == id) else { continue };
            if method == "DELETE" {
                all.remove(place);
                return Some((204, json!({})));
            }
            let text = body["body"].as_str().filter(|text| text.chars().count() <= 65_536)?;
            all[place]["body"] = json!(text);
            all[place]["updated_at"] = json!(at);
            return Some((200, all[place].clone()));
        }
        None
    }

    fn check(&mut self, body: &Json) -> (u16, Json) {
        let annotations = body["output"]["annotations"].as_array().map_or(0, Vec::len);
        let text = body["output"]["text"].as_str().map_or(0, |text| text.chars().count());
        if annotations > 50 || text > 65_535 || !body["head_sha"].is_string() || body["output"]["summary"].as_str().is_none() {
            return (422, json!({ "message": "Invalid request" }));
        }
        let mut made = body.clone();
        made["id"] = json!(self.id());
        made["annotations"] = body["output"]["annotations"].clone();
        self.tick();
        self.checks.push(made.clone());
        (201, made)
    }

    fn annotate(&mut self, id: u64, body: &Json) -> Option<(u16, Json)> {
        let more = body["output"]["annotations"].as_array().filter(|all| all.len() <= 50)?.clone();
        let check = self.checks.iter_mut().find(|check| check["id"] == id)?;
        check["annotations"].as_array_mut()?.extend(more);
        for part in ["title", "summary", "text"] {
            check["output"][part] = body["output"][part].clone();
        }
        Some((200, check.clone()))
    }

    fn latest(&self, commit: &str, query: &str) -> Json {
        let name = plain(query, "check_name");
        let of = |check: &&Json| check["head_sha"] == commit && check["name"] == name.as_str();
        // One of each suite, in no order that is promised.
        let found: Vec<&Json> = self.checks.iter().filter(of).collect();
        json!({ "total_count": found.len(), "check_runs": found })
    }
}

/// The value of `name` in `query`, decoded.
fn plain(query: &str, name: &str) -> String {
    let value = query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default();
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap(), rest.next().unwrap()];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}
