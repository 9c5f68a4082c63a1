//! A small Slack with state: it takes messages as Slack documents them, one a second in a channel, and refuses what Slack refuses.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::pulls_server::killed;
use crate::support::Request;

pub const TOKEN: &str = "xoxb-canary-token-7c1d-never-shown";
pub const CHANNEL: &str = "C0123456789";
pub const HOOK: &str = "/services/T000/B000/canary-hook-5e90-never-shown";

/// A message as the channel shows it.
#[derive(Clone, Debug)]
pub struct Shown {
    pub ts: String,
    pub thread: Option<String>,
    pub body: Json,
    /// How often it was changed.
    pub edits: usize,
}

impl Shown {
    pub fn key(&self) -> &str {
        self.body["metadata"]["event_payload"]["key"].as_str().unwrap_or_default()
    }

    pub fn head(&self) -> &str {
        self.body["blocks"][0]["text"]["text"].as_str().unwrap_or_default()
    }
}

/// What the server holds.
pub struct State {
    pub root: String,
    pub shown: Vec<Shown>,
    /// Method of every call that was let in, in order.
    pub calls: Vec<String>,
    /// What was wrong with a message; a test that sends only what is right asserts that it is empty.
    pub wrong: Vec<String>,
    /// Answers given once each, before anything else: status, seconds to come back after.
    pub once: Vec<(u16, u64)>,
    /// Status and `Retry-After` of every answer while it is set.
    pub always: Option<(u16, u64)>,
    /// The clock of the server, in seconds, that messages are dated by.
    pub now: u64,
    serial: u64,
    last: BTreeMap<String, Instant>,
    /// How often somebody came too soon.
    pub too_soon: usize,
    /// Kills the process with this id at the request of this number from now: before it takes effect, or after.
    pub kill: Option<(u32, usize, bool)>,
}

#[derive(Clone)]
pub struct Slack(Arc<Mutex<State>>);

impl Slack {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let state = State {
            root: format!("http://{}", listener.local_addr().unwrap()),
            shown: Vec::new(),
            calls: Vec::new(),
            wrong: Vec::new(),
            once: Vec::new(),
            always: None,
            now: 1_795_500_000,
            serial: 0,
            last: BTreeMap::new(),
            too_soon: 0,
            kill: None,
        };
        let server = Self(Arc::new(Mutex::new(state)));
        let shared = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &shared);
            }
        });
        server
    }

    pub fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    pub fn api(&self) -> String {
        self.with(|state| format!("{}/api", state.root))
    }

    /// Keys of what is shown, in order; those of replies with a dash in front.
    pub fn keys(&self) -> Vec<String> {
        let key = |one: &Shown| format!("{}{}", if one.thread.is_some() { "- " } else { "" }, one.key());
        self.with(|state| state.shown.iter().map(key).collect())
    }

    /// Headers of what is shown, in order.
    pub fn heads(&self) -> Vec<String> {
        self.with(|state| state.shown.iter().map(|one| one.head().to_owned()).collect())
    }
}

fn serve(mut stream: TcpStream, server: &Slack) {
    let Ok(request) = Request::read(&mut stream) else { return };
    let (answer, kill) = server.with(|state| {
        let kill = state.due();
        let spared = !matches!(kill, Some((_, false)));
        (spared.then(|| state.reply(&request)), kill)
    });
    if let Some((process, _)) = kill {
        return killed(process);
    }
    let Some((status, retry, answer)) = answer else { return };
    let retry = retry.map(|seconds| format!("retry-after: {seconds}\r\n")).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\ncontent-type: application/json\r\n{retry}\r\n",
        answer.len()
    );
    let _ = stream.write_all((head + &answer).as_bytes());
}

type Answer = (u16, Option<u64>, String);

fn refuse(error: &str) -> Answer {
    (200, None, json!({ "ok": false, "error": error }).to_string())
}

impl State {
    /// The process that is killed at this request, and whether after it took effect.
    fn due(&mut self) -> Option<(u32, bool)> {
        match &mut self.kill {
            Some((_, left, _)) if *left > 0 => {
                *left -= 1;
                None
            }
            due => due.take().map(|(process, _, after)| (process, after)),
        }
    }

    fn reply(&mut self, request: &Request) -> Answer {
        if let Some((status, after)) = self.always.or_else(|| self.once.pop()) {
            return (status, Some(after), "{}".to_owned());
        }
        let (method, route) = request.asked().split_once(' ').unwrap_or_default();
        let body: Json = serde_json::from_slice(&request.body).unwrap_or_default();
        if method != "POST" || !request.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
            return refuse("invalid_post_type");
        }
        if route == HOOK {
            self.calls.push("webhook".to_owned());
            return self.post("webhook", &body, false);
        }
        let Some(call) = route.strip_prefix("/api/") else { return (404, None, "{}".to_owned()) };
        if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
            return refuse("invalid_auth");
        }
        if body["channel"] != CHANNEL {
            return refuse("channel_not_found");
        }
        self.calls.push(call.to_owned());
        match call {
            "chat.postMessage" => self.post(CHANNEL, &body, true),
            "chat.update" => self.update(&body),
            "conversations.history" => self.list(&body, None),
            "conversations.replies" if !self.shown.iter().any(|one| body["ts"] == one.ts.as_str()) => refuse("thread_not_found"),
            "conversations.replies" => self.list(&body, body["ts"].as_str()),
            _ => refuse("unknown_method"),
        }
    }

    /// One message a second in a channel.
    fn paced(&mut self, channel: &str) -> Option<Answer> {
        let soon = self.last.get(channel).is_some_and(|last| last.elapsed() < Duration::from_secs(1));
        if soon {
            self.too_soon += 1;
            return Some((429, Some(1), json!({ "ok": false, "error": "ratelimited" }).to_string()));
        }
        self.last.insert(channel.to_owned(), Instant::now());
        None
    }

    fn post(&mut self, channel: &str, body: &Json, by_bot: bool) -> Answer {
        if let Some(answer) = self.paced(channel) {
            return answer;
        }
        if let Err(why) = valid(body, by_bot) {
            self.wrong.push(why);
            return if by_bot { refuse("invalid_blocks") } else { (400, None, "invalid_blocks".to_owned()) };
        }
        let thread = body["thread_ts"].as_str().map(str::to_owned);
        if thread.as_ref().is_some_and(|thread| !self.shown.iter().any(|one| one.ts == *thread)) {
            return refuse("thread_not_found");
        }
        self.serial += 1;
        let ts = format!("{}.{:06}", self.now, self.serial);
        self.shown.push(Shown { ts: ts.clone(), thread, body: body.clone(), edits: 0 });
        let answer = if by_bot { json!({ "ok": true, "channel": channel, "ts": ts }).to_string() } else { "ok".to_owned() };
        (200, None, answer)
    }

    fn update(&mut self, body: &Json) -> Answer {
        if let Err(why) = valid(body, true) {
            self.wrong.push(why);
            return refuse("invalid_blocks");
        }
        let Some(shown) = self.shown.iter_mut().find(|one| body["ts"] == one.ts.as_str()) else {
            return refuse("message_not_found");
        };
        shown.body = body.clone();
        shown.edits += 1;
        (200, None, json!({ "ok": true, "ts": shown.ts }).to_string())
    }

    /// Newest first, replies only below their thread; metadata only for who asks.
    fn list(&self, body: &Json, thread: Option<&str>) -> Answer {
        let oldest: f64 = body["oldest"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0.0);
        let all = self.shown.iter().rev().filter(|one| match thread {
            Some(thread) => one.ts == thread || one.thread.as_deref() == Some(thread),
            None => one.thread.is_none(),
        });
        let new = all.filter(|one| one.ts.parse::<f64>().unwrap() >= oldest);
        let told = new.map(|one| {
            let mut message = json!({ "type": "message", "ts": one.ts, "text": one.body["text"] });
            if body["include_all_metadata"] == true {
                message["metadata"] = one.body["metadata"].clone();
            }
            message
        });
        (
            200,
            None,
            json!({ "ok": true, "messages": told.collect::<Vec<_>>(), "response_metadata": { "next_cursor": "" } }).to_string(),
        )
    }
}

/// Keys of a message by a bot, and of one by a webhook.
const BOT: [&str; 12] = [
    "channel",
    "text",
    "blocks",
    "metadata",
    "thread_ts",
    "ts",
    "parse",
    "link_names",
    "unfurl_links",
    "unfurl_media",
    "reply_broadcast",
    "mrkdwn",
];
const WEBHOOK: [&str; 2] = ["text", "blocks"];

/// Whether Slack takes `body`: known keys, required parts, lengths.
pub fn valid(body: &Json, by_bot: bool) -> Result<(), String> {
    let known = if by_bot { &BOT[..] } else { &WEBHOOK[..] };
    keys(body, known, &["text", "blocks"])?;
    let text = body["text"].as_str().ok_or("`text` is no text")?;
    let blocks = body["blocks"].as_array().ok_or("`blocks` is no list")?;
    if blocks.is_empty() || blocks.len() > 50 {
        return Err(format!("{} blocks", blocks.len()));
    }
    let mut all = text.chars().count();
    for block in blocks {
        all += match block["type"].as_str() {
            Some("header") => {
                keys(block, &["type", "text", "block_id"], &["text"])?;
                words(&block["text"], "plain_text", 150)?
            }
            Some("section") => {
                keys(block, &["type", "text", "block_id", "fields", "accessory", "expand"], &["text"])?;
                words(&block["text"], "mrkdwn", 3_000)?
            }
            Some("context") => {
                keys(block, &["type", "elements", "block_id"], &["elements"])?;
                let elements = block["elements"].as_array().ok_or("elements are no list")?;
                if elements.is_empty() || elements.len() > 10 {
                    return Err(format!("{} elements", elements.len()));
                }
                elements.iter().map(|one| words(one, "mrkdwn", 3_000)).sum::<Result<usize, String>>()?
            }
            Some("divider") => 0,
            other => return Err(format!("a block of type {other:?}")),
        };
    }
    if by_bot && !body["metadata"].is_null() {
        keys(&body["metadata"], &["event_type", "event_payload"], &["event_type", "event_payload"])?;
    }
    if all > 10_000 { Err(format!("{all} characters")) } else { Ok(()) }
}

/// A text object of this type and no more than `most` characters.
fn words(object: &Json, kind: &str, most: usize) -> Result<usize, String> {
    let known = if kind == "plain_text" { &["type", "text", "emoji"][..] } else { &["type", "text", "verbatim"] };
    keys(object, known, &["type", "text"])?;
    let text = object["text"].as_str().ok_or("a text is none")?;
    let length = text.chars().count();
    if object["type"] != kind || length == 0 || length > most {
        return Err(format!("{} of {length} characters where {kind} of 1 to {most} belongs", object["type"]));
    }
    Ok(length)
}

fn keys(object: &Json, known: &[&str], required: &[&str]) -> Result<(), String> {
    let object = object.as_object().ok_or("no object")?;
    if let Some(strange) = object.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!("unknown key `{strange}`"));
    }
    match required.iter().find(|key| !object.contains_key(**key)) {
        Some(missing) => Err(format!("no `{missing}`")),
        None => Ok(()),
    }
}

#[test]
fn it_refuses_what_slack_refuses() {
    let block = |block: Json| valid(&json!({ "text": "t", "blocks": [block] }), false);
    let section = |text: &str| json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } });
    assert_eq!(block(section("x")), Ok(()));
    let wrong = |found: Result<(), String>| found.unwrap_err();
    let (long, none) = (section(&"x".repeat(3_001)), section(""));
    assert_eq!(wrong(block(long)), "\"mrkdwn\" of 3001 characters where mrkdwn of 1 to 3000 belongs");
    assert_eq!(wrong(block(none)), "\"mrkdwn\" of 0 characters where mrkdwn of 1 to 3000 belongs");
    let header = |kind: &str, text: &str| json!({ "type": "header", "text": { "type": kind, "text": text } });
    assert_eq!(wrong(block(header("mrkdwn", "x"))), "\"mrkdwn\" of 1 characters where plain_text of 1 to 150 belongs");
    let most = "x".repeat(151);
    assert_eq!(wrong(block(header("plain_text", &most))), "\"plain_text\" of 151 characters where plain_text of 1 to 150 belongs");
    let coloured = json!({ "type": "section", "text": { "type": "mrkdwn", "text": "x" }, "colour": 1 });
    assert_eq!(wrong(block(coloured)), "unknown key `colour`");
    assert_eq!(wrong(block(json!({ "type": "fancy" }))), "a block of type Some(\"fancy\")");
    let many = |blocks: Vec<Json>| valid(&json!({ "text": "t", "blocks": blocks }), false);
    assert_eq!(wrong(many(vec![section("x"); 51])), "51 blocks");
    assert_eq!(wrong(many(vec![section(&"x".repeat(2_600)); 4])), "10401 characters");
    assert_eq!(wrong(valid(&json!({ "text": "t", "blocks": [section("x")], "channel": "C" }), false)), "unknown key `channel`");
}
