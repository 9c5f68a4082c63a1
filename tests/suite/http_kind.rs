//! Credentials that a vendor's HTTP API issues, against a server with state.
//!
//! It has the paths, fields and statuses that Datadog documents for its API keys (v2: create, get, list by page, delete; v1: validate).
//! They are written down from that documentation and were not recorded from the service.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use rustls::ServerConfig;
use serde_json::{Value as Json, json};
use slm::model::outcome::Fate;
use slm::model::rotator::{Http, RotatorConfig};
use slm::model::secret::Secret;
use slm::rotators::http::Vendor;
use slm::world::{ErrorClass, KeyChange, LastUse, Rotator, Target, Trial, WorldError};

use crate::aws_proxy::{At, Proxy};
use crate::elsewhere;
use crate::faults::{Met, OVER_HTTP, thrown_at_kind};
use crate::kinds::{Fault, Rig, target_sweep};
use crate::leaks::{never_told, untold};
use crate::support::{Request, World, shown};
use crate::tls::{self, authority, certificate};
use crate::wire::gone_on;

const APP: &str = "canary-application-key-never-shown";
const API: &str = "canary-api-key-never-shown";
const VALUE: &str = "canary-issued-value-";
const SLOT: &str = "3f2504e0-4f89-51d3-9a0c-0305e82c3301";
const DATE: &str = "Tue, 24 Nov 2026 06:00:00 GMT";

/// A vendor: what it keeps, and what it answers next instead of the truth.
#[derive(Default)]
struct State {
    root: String,
    made: u32,
    keys: BTreeMap<String, Json>,
    disabled: BTreeSet<String>,
    /// By the beginning of a request line: status, a header line, body.
    next: Vec<(&'static str, u16, &'static str, String)>,
    requests: Vec<String>,
}

struct Server(Arc<Mutex<State>>);

impl Server {
    fn start() -> Self {
        Self::serving(None)
    }

    fn serving(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let root = format!("{}://{}", if tls.is_some() { "https" } else { "http" }, listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { root, ..State::default() }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = tls::stream(tls.as_ref(), stream.unwrap());
                let Ok(request) = Request::read(&mut stream) else { continue };
                let header = |name: &str| request.header(name).unwrap_or_default();
                let login = (header("dd-api-key"), header("dd-application-key"));
                let (status, more, answer) = shared.lock().unwrap().answer(request.asked(), login, &request.body);
                let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n{more}\r\n", answer.len());
                let _ = stream.write_all(format!("{head}{answer}").as_bytes());
            }
        });
        Self(state)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The next request whose line begins with `line` is answered so.
    fn script(&self, line: &'static str, status: u16, header: &'static str, body: &str) {
        self.state().next.push((line, status, header, body.to_owned()));
    }
}

impl State {
    fn answer(&mut self, line: &str, (api, app): (&str, &str), body: &[u8]) -> (u16, String, String) {
        self.requests.push(line.to_owned());
        let date = format!("date: {DATE}\r\n");
        if let Some(at) = self.next.iter().position(|(begin, ..)| line.starts_with(begin)) {
            let (_, status, header, body) = self.next.remove(at);
            return (status, format!("{date}{header}"), body);
        }
        let (method, target) = line.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let refused = |status: u16, why: &str| (status, date.clone(), json!({ "errors": [why] }).to_string());
        if path == "/api/v1/validate" {
            let by = |(id, key): (&String, &Json)| key["attributes"]["key"] == api && !self.disabled.contains(id);
            let good = self.keys.iter().any(by);
            return if good { (200, date.clone(), json!({ "valid": true }).to_string()) } else { refused(403, "Forbidden") };
        }
        if (api, app) != (API, APP) {
            return refused(403, "Forbidden");
        }
        let id = path.strip_prefix("/api/v2/api_keys/").unwrap_or_default().to_owned();
        match method {
            "POST" if path == "/api/v2/api_keys" => {
                let asked: Json = serde_json::from_slice(body).unwrap();
                assert_eq!(asked["data"]["type"], "api_keys");
                let key = self.issue(asked["data"]["attributes"]["name"].as_str().unwrap());
                (201, date, json!({ "data": key }).to_string())
            }
            "GET" if path == "/api/v2/api_keys" => (200, date, self.page(query).to_string()),
            "GET" if self.keys.contains_key(&id) => (200, date, json!({ "data": self.keys[&id] }).to_string()),
            "DELETE" if self.keys.remove(&id).is_some() => (204, date, String::new()),
            "PATCH" if self.keys.contains_key(&id) => {
                let asked: Json = serde_json::from_slice(body).unwrap();
                if asked["enabled"] == json!(true) {
                    self.disabled.remove(&id)
                } else {
                    self.disabled.insert(id)
                };
                (200, date, json!({ "ok": true }).to_string())
            }
            _ => refused(404, "Not found"),
        }
    }

    fn issue(&mut self, name: &str) -> Json {
        self.made += 1;
        let (id, value) = (format!("00000000-aaaa-bbbb-cccc-{:012}", self.made), format!("{VALUE}{:04}", self.made));
        let attributes = json!({
            "created_at": "2026-11-24T05:00:00.123456+00:00", "modified_at": "2026-11-24T05:00:00.123456+00:00",
            "date_last_used": null, "name": name, "key": value, "last4": &value[value.len() - 4..], "remote_config_read_enabled": false,
        });
        let key = json!({ "id": id, "type": "api_keys", "attributes": attributes, "relationships": {} });
        self.keys.insert(id, key.clone());
        key
    }

    /// Two a page, without values.
    fn page(&self, query: &str) -> Json {
        let of = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let (number, filter) = (of("page[number]").unwrap().parse::<usize>().unwrap(), of("filter").unwrap());
        let all: Vec<Json> =
            self.keys.values().filter(|key| key["attributes"]["name"].as_str().unwrap().contains(filter)).cloned().collect();
        let shown = all.iter().skip(number * 2).take(2).cloned().map(|mut key| {
            key["attributes"].as_object_mut().unwrap().remove("key");
            key["attributes"]["enabled"] = json!(!self.disabled.contains(key["id"].as_str().unwrap()));
            key
        });
        json!({ "data": shown.collect::<Vec<_>>(), "meta": { "max_allowed": 50, "page": { "total_filtered_count": all.len() } } })
    }
}

/// As the documentation shows it, with the server's address in place of Datadog's.
fn tables(root: &str) -> String {
    let config = include_str!("../../docs/config.md");
    let begin = config.find("[rotator.http]").expect("the documentation shows one");
    let example = config[begin..].split("```").next().unwrap();
    let example = example.split("\n[").filter(|table| table.starts_with("rotator.http") || table.starts_with("[rotator.http]"));
    let tables: Vec<String> = example.map(|table| table.replace("https://api.datadoghq.com", root)).collect();
    tables.join("\n[")
}

/// The same without the name of its table.
fn text(root: &str) -> String {
    tables(root).replace("[rotator.http]\n", "").replace("[rotator.http.", "[")
}

fn declared(root: &str, more: &str) -> Http {
    let text = format!("{}\n{more}", text(root));
    toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn vendor(server: &Server, change: impl FnOnce(&mut Http)) -> Vendor {
    let mut config = declared(&server.state().root.clone(), "");
    change(&mut config);
    opened(&config)
}

fn opened(config: &Http) -> Vendor {
    let secret = |text: &str| Some(Secret::new(text.as_bytes().to_vec()));
    let auth = [("api".to_owned(), secret(API)), ("app".to_owned(), secret(APP))].into();
    Vendor::new(config, Path::new("/"), &"one".into(), auth).unwrap()
}

/// With the two steps Datadog has not.
fn with_disable(config: &mut Http) {
    let step = |to: bool| {
        let url = config.delete.url.clone();
        let step = json!({ "method": "PATCH", "url": url, "json": { "enabled": to }, "expect": { "/ok": true } });
        Some(serde_json::from_value(step).unwrap())
    };
    (config.disable, config.enable) = (step(false), step(true));
    config.listed.active = [("/attributes/enabled".to_owned(), json!(true))].into();
}

fn silent(text: &str) {
    for secret in [APP, API, VALUE] {
        assert!(!text.contains(secret), "{text}");
    }
}

fn class(error: WorldError) -> (ErrorClass, String) {
    silent(&format!("{error} {error:?}"));
    (error.class, error.cause)
}

#[tokio::test]
async fn a_rotation_that_loses_an_effect_ends_with_one_key_and_leaves_others_alone() {
    for (change, effects) in [((|_| ()) as fn(&mut Http), 2), (|config| config.read = None, 2), (with_disable, 3)] {
        let server = Server::start();
        let others = ["made by hand", "slm-other-3f2504e0-4f89-51d3-9a0c-0305e82c3301", "slm-one-by-hand"];
        others.iter().for_each(|name| drop(server.state().issue(name)));
        let mut config = declared(&server.state().root.clone(), "");
        change(&mut config);
        let (met, told) = target_sweep(&RotatorConfig::Http(Box::new(config.clone())), &opened(&config)).await;
        assert_eq!(met, effects); // create, disable where there is one, delete
        silent(&told);
        let state = server.state();
        let names: Vec<&str> = state.keys.values().map(|key| key["attributes"]["name"].as_str().unwrap()).collect();
        assert!(others.iter().all(|other| names.contains(other)) && names.len() == 4, "{names:?}");
        silent(&state.requests.join("\n"));
    }
}

#[test]
fn a_key_of_a_vendor_is_replaced_by_the_binary_and_told_nowhere() {
    let server = Server::start();
    let file = "credentials/session-key.toml";
    let world = World::scaffolded().with("SLM_DATADOG_API_KEY", API).with("SLM_DATADOG_APP_KEY", APP);
    world.edit(file, "[rotator]\nrandom = { length = 40, alphabet = \"alnum\" }", &tables(&server.state().root.clone()));
    world.commit();
    let (mut said, mut values) = (Vec::new(), Vec::new());
    said.push(world.heard(&["plan"]).exits(2));
    for (arguments, code) in [(["apply", "--auto-approve"], 0), (["rotate", "session-key"], 2)] {
        said.push(world.heard(&arguments).exits(code));
        values.push(world.read("run/session.env"));
    }
    said.push(world.heard(&["status", "session-key"]).exits(2));
    assert!(values[0].contains("0001") && values[1].contains("0002"), "two were made, and each arrived");
    let values = [format!("{VALUE}0001"), format!("{VALUE}0002")];
    never_told(&world, &said, &[&values[0], &values[1], API, APP]);
    untold("the addresses asked for", &server.state().requests.join("\n"), &[&values[0], &values[1], API, APP]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_after_a_vendor_issued_a_key_is_gone_on_with() {
    let server = Server::start();
    let proxy = Proxy::before(&server.state().root.clone());
    let file = "credentials/session-key.toml";
    let world = World::scaffolded().with("SLM_DATADOG_API_KEY", API).with("SLM_DATADOG_APP_KEY", APP);
    world.edit(file, "[rotator]\nrandom = { length = 40, alphabet = \"alnum\" }", &tables(&proxy.endpoint));
    world.edit(file, "[policy]\n", "[policy]\nlease = \"35s\"\n");
    world.commit();
    world.slm(&["apply", "--auto-approve"]).exits(0);
    let kill = |process| proxy.state().kill = Some((process, At::First("POST"), true));
    assert!(tokio::task::block_in_place(|| world.slm_watched(&["rotate", "session-key"], kill)).is_none(), "it was not killed");
    assert_eq!(server.state().made, 2, "it was issued, and nobody was told");
    let works = async |text: String| {
        let state = server.state();
        state.keys.iter().any(|(id, key)| !state.disabled.contains(id) && text.contains(key["attributes"]["key"].as_str().unwrap()))
    };
    let (_, _, said) = gone_on(&world, "run/session.env", works).await;
    let values: Vec<String> = (1..=server.state().made).map(|made| format!("{VALUE}{made:04}")).collect();
    never_told(&world, &said, &values.iter().map(String::as_str).chain([APP, API]).collect::<Vec<_>>());
}

/// A vendor behind a proxy, and each change of it and every `every`th question to it lost, repeated, refused, late or answered as before.
async fn thrown(every: usize) -> Met {
    let server = Server::start();
    let proxy = Proxy::before(&server.state().root.clone());
    server.state().root.clone_from(&proxy.endpoint);
    let mut config = declared(&proxy.endpoint, "");
    with_disable(&mut config);
    let (met, told) =
        thrown_at_kind(&RotatorConfig::Http(Box::new(config.clone())), &proxy, &opened(&config), &OVER_HTTP, every).await;
    silent(&told);
    let values: Vec<String> = (1..=server.state().made).map(|made| format!("{VALUE}{made:04}")).collect();
    // Where a value is tried it has to be sent; nowhere else is one, nor in an address.
    untold("what slm told", &told, &values.iter().map(String::as_str).chain([APP, API]).collect::<Vec<_>>());
    silent(&server.state().requests.join("\n"));
    assert!(met.ended > 0, "what is late is in time: {met:?}");
    assert_eq!(Vec::from_iter(&met.changes), ["DELETE", "PATCH", "POST"]);
    met
}

#[tokio::test]
async fn a_call_of_a_vendor_that_is_lost_refused_or_late_loses_no_key() {
    let met = thrown(9).await;
    assert!(met.ended + met.again >= 3 * (OVER_HTTP.len() - 1), "{met:?}");
}

#[tokio::test]
#[ignore = "minutes: each call, where the test above takes what changes something and every ninth question; `scripts/figures faults` runs it"]
async fn each_call_of_a_vendor_that_is_lost_refused_or_late_loses_no_key() {
    let met = thrown(1).await;
    assert!(met.ended + met.again >= OVER_HTTP.len() * 10, "{met:?}");
    met.tell("http");
}

#[tokio::test]
async fn what_another_account_of_a_vendor_lets_in_is_not_taken_for_refused() {
    let (first, second) = (Server::start(), Server::start());
    // No key of the one is one of the other.
    second.state().made = 100;
    let config = declared(&first.state().root.clone(), "");
    let (before, after) = (vendor(&first, |_| ()), vendor(&second, |_| ()));
    let said = elsewhere::moved(RotatorConfig::Http(Box::new(config)), &before, &after).await;
    let (from, to) = (first.state().root.clone(), second.state().root.clone());
    assert!(said.contains(&format!("let in by {from}/api/v2/api_keys, and {to}/api/v2/api_keys is declared now")), "{said}");
    assert_eq!(first.state().keys.len(), 1, "it is a person's to end");
}

#[test]
fn where_a_key_is_let_in_is_told_without_what_else_stands_in_the_address() {
    let address = "https://ada:canary@vendor.example/keys?page=1".to_owned();
    let vendor = vendor(&Server::start(), |config| config.list.url = address);
    assert_eq!(vendor.place().as_deref(), Some("https://vendor.example/keys"));
}

#[tokio::test]
async fn a_key_is_issued_under_the_name_of_its_slot_tried_shown_again_and_deleted() {
    let server = Server::start();
    let vendor = vendor(&server, |_| ());
    let fresh = vendor.create(&SLOT.into(), None).await.unwrap();
    let key = fresh.key.unwrap();
    assert_eq!(vendor.identify(&fresh.value).as_ref(), Some(&key));
    assert_eq!(server.state().keys[key.as_str()]["attributes"]["name"], format!("slm-one-{SLOT}"));
    assert_eq!(vendor.verify(&fresh.value).await.unwrap(), Trial::Accepted);
    assert!(vendor.reread(&key).await.unwrap().expose() == fresh.value.expose());
    let listing = vendor.list().await.unwrap();
    let [seen] = &listing.keys[..] else { panic!("{listing:?}") };
    assert_eq!((listing.now.to_string().as_str(), seen.ours, seen.active), ("2026-11-24T06:00:00Z", true, true));
    assert_eq!((&seen.id, &seen.last_used), (&key, &LastUse::Never));
    assert_eq!(seen.created.unwrap().to_string(), "2026-11-24T05:00:00.123456Z");
    for _ in 0..2 {
        vendor.change(&key, None, KeyChange::Delete).await.unwrap();
    }
    assert_eq!(vendor.verify(&fresh.value).await.unwrap(), Trial::Refused("HTTP 403".to_owned()));
    assert_eq!(class(vendor.reread(&key).await.err().unwrap()).0, ErrorClass::NotFound);
    assert_eq!(class(vendor.change(&key, None, KeyChange::Disable).await.unwrap_err()).0, ErrorClass::Permanent);
}

#[tokio::test]
async fn a_disabled_key_is_refused_and_let_in_again() {
    let server = Server::start();
    let vendor = vendor(&server, with_disable);
    let fresh = vendor.create(&SLOT.into(), None).await.unwrap();
    let key = fresh.key.unwrap();
    for (change, trial) in [(KeyChange::Disable, Trial::Refused("HTTP 403".to_owned())), (KeyChange::Enable, Trial::Accepted)] {
        for _ in 0..2 {
            vendor.change(&key, None, change).await.unwrap();
        }
        assert_eq!(vendor.verify(&fresh.value).await.unwrap(), trial);
        assert_eq!(vendor.list().await.unwrap().keys[0].active, change == KeyChange::Enable);
    }
    server.script("PATCH", 200, "", r#"{"ok":false,"error":"canary-issued-value-"}"#);
    let (class, cause) = class(vendor.change(&key, None, KeyChange::Disable).await.unwrap_err());
    assert_eq!((class, cause.as_str()), (ErrorClass::Permanent, "the answer does not show what `expect` says"));
    let gone = vendor.change(&"nobody".into(), None, KeyChange::Enable).await.unwrap_err();
    assert_eq!(gone.class, ErrorClass::NotFound);
}

#[tokio::test]
async fn a_list_that_is_not_whole_is_an_error_and_never_an_absence() {
    let server = Server::start();
    for number in 0..5 {
        server.state().issue(&format!("slm-one-{number}"));
    }
    let vendor = vendor(&server, |_| ());
    assert_eq!(vendor.list().await.unwrap().keys.len(), 5);
    let pages: Vec<String> = std::mem::take(&mut server.state().requests);
    assert_eq!(pages.len(), 3, "{pages:?}");
    let item = server.state().page("page[number]=0&filter=slm-")["data"][0].clone();
    let one = |total: u32| json!({ "data": [item], "meta": { "page": { "total_filtered_count": total } } }).to_string();
    let twice = json!({ "data": [item, item], "meta": { "page": { "total_filtered_count": 2 } } }).to_string();
    let mut nameless = item.clone();
    nameless.as_object_mut().unwrap().remove("id");
    let nameless = json!({ "data": [nameless], "meta": { "page": { "total_filtered_count": 1 } } }).to_string();
    for (page, status, body, wanted) in [
        ("number]=0", 200, one(0), ErrorClass::Transient),
        ("number]=0", 200, twice, ErrorClass::Transient),
        (
            "number]=2",
            200,
            json!({ "data": [], "meta": { "page": { "total_filtered_count": 5 } } }).to_string(),
            ErrorClass::Transient,
        ),
        ("number]=1", 200, json!({ "data": [] }).to_string(), ErrorClass::Transient),
        ("number]=1", 502, VALUE.to_owned(), ErrorClass::Transient),
        ("number]=1", 403, VALUE.to_owned(), ErrorClass::Denied),
        ("number]=0", 200, VALUE.to_owned(), ErrorClass::Permanent),
        ("number]=0", 200, json!({ "errors": [VALUE] }).to_string(), ErrorClass::Permanent),
        ("number]=0", 200, nameless, ErrorClass::Permanent),
    ] {
        let line = match page {
            "number]=0" => "GET /api/v2/api_keys?page[size]=100&page[number]=0",
            "number]=1" => "GET /api/v2/api_keys?page[size]=100&page[number]=1",
            _ => "GET /api/v2/api_keys?page[size]=100&page[number]=2",
        };
        server.script(line, status, "", &body);
        assert_eq!(class(vendor.list().await.unwrap_err()).0, wanted, "{status} {body}");
        assert!(server.state().next.is_empty(), "{body}");
    }
}

#[tokio::test]
async fn pages_lead_to_each_other_by_an_address_or_by_a_cursor() {
    let server = Server::start();
    let root = server.state().root.clone();
    let page = |id: &str, next: Json| json!({ "keys": [{ "id": id, "label": "x" }], "next": next }).to_string();
    let listed = |config: &mut Http, url: &str| {
        config.list.url = format!("{root}{url}");
        let listed = json!({ "items": "/keys", "id": "/id", "name": "/label", "next": "/next" });
        config.listed = serde_json::from_value(listed).unwrap();
    };
    let ids = async |vendor: &Vendor| {
        vendor.list().await.map(|listing| listing.keys.into_iter().map(|key| key.id.to_string()).collect::<Vec<_>>())
    };
    let by_address = vendor(&server, |config| listed(config, "/keys"));
    for second in [format!("{root}/more?at=2"), "/more?at=2".to_owned()] {
        server.script("GET /keys", 200, "", &page("a", json!(second)));
        server.script("GET /more?at=2", 200, "", &page("b", Json::Null));
        assert_eq!(ids(&by_address).await.unwrap(), ["a", "b"]);
    }
    // The login would be sent there.
    for elsewhere in ["https://evil.example/keys".to_owned(), root.replace("http://", "https://"), format!("{root}.evil.example/")]
    {
        server.script("GET /keys", 200, "", &page("a", json!(elsewhere)));
        assert_eq!(class(by_address.list().await.unwrap_err()).0, ErrorClass::Permanent, "{elsewhere}");
    }
    let by_cursor = vendor(&server, |config| listed(config, "/keys?after={{ next }}"));
    server.script("GET /keys?after=", 200, "", &page("a", json!("x&y=1")));
    server.script("GET /keys?after=x%26y%3D1", 200, "", &page("b", json!("")));
    assert_eq!(ids(&by_cursor).await.unwrap(), ["a", "b"]);
    for _ in 0..2 {
        server.script("GET /keys?after=", 200, "", &page("a", json!("same")));
    }
    assert_eq!(class(by_cursor.list().await.unwrap_err()).1, "a page leads to itself");
}

#[tokio::test]
async fn every_way_to_fail_has_its_class_and_repeats_nothing() {
    let server = Server::start();
    let vendor = vendor(&server, |_| ());
    for (status, body, wanted, cause) in [
        (401, VALUE, ErrorClass::Denied, "HTTP 401"),
        (403, VALUE, ErrorClass::Denied, "HTTP 403"),
        (409, VALUE, ErrorClass::Conflict, "HTTP 409"),
        (429, VALUE, ErrorClass::Transient, "HTTP 429"),
        (500, VALUE, ErrorClass::Transient, "HTTP 500"),
        (302, VALUE, ErrorClass::Permanent, "HTTP 302"),
        (400, VALUE, ErrorClass::Permanent, "HTTP 400"),
        (201, VALUE, ErrorClass::Permanent, "the answer is not JSON"),
        (201, r#"{"data":{"id":"x"}}"#, ErrorClass::Permanent, "no credential stands in the answer where `issued` says"),
    ] {
        server.script("POST", status, "", body);
        assert_eq!(class(vendor.create(&SLOT.into(), None).await.err().unwrap()), (wanted, cause.to_owned()), "{status}");
    }
    assert!(server.state().keys.is_empty());
    let value = Secret::new(format!(r#"{{"id":"x","value":"{VALUE}"}}"#).into_bytes());
    server.script("GET /api/v1/validate", 500, "", VALUE);
    assert_eq!(class(vendor.verify(&value).await.unwrap_err()).0, ErrorClass::Transient);
    server.script("GET /api/v1/validate", 200, "", r#"{"valid":false}"#);
    let unlike = "the answer does not show what `expect` says".to_owned();
    assert_eq!(vendor.verify(&value).await.unwrap(), Trial::Useless(unlike), "it is no refusal, unless that is declared");
    let bare = Secret::new(VALUE.as_bytes().to_vec());
    assert_eq!((vendor.identify(&bare), class(vendor.verify(&bare).await.unwrap_err()).0), (None, ErrorClass::Permanent));
}

#[tokio::test]
async fn an_answer_of_2xx_refuses_a_value_when_it_shows_what_is_declared_to() {
    let server = Server::start();
    let says = |entry: Json| serde_json::from_value(entry).unwrap();
    let entries = vec![says(json!({ "/ok": false, "/error": "invalid_auth" })), says(json!({ "/error": "token_revoked" }))];
    let vendor = vendor(&server, |config| {
        config.refused_when = entries;
        config.validate.expect.clear();
    });
    let value = Secret::new(format!(r#"{{"id":"x","value":"{VALUE}"}}"#).into_bytes());
    let refused = || Trial::Refused("the answer shows what `refused-when` says".to_owned());
    for (body, trial) in [
        (r#"{"ok":false,"error":"invalid_auth"}"#, refused()),
        (r#"{"ok":false,"error":"token_revoked"}"#, refused()),
        (r#"{"ok":true,"error":"invalid_auth"}"#, Trial::Accepted),
    ] {
        server.script("GET /api/v1/validate", 200, "", body);
        assert_eq!(vendor.verify(&value).await.unwrap(), trial, "{body}");
    }
}

/// A firewall before the vendor refuses everybody, and it is down, and it answers otherwise than declared: none of it shows that the old
/// key is dead.
#[tokio::test]
async fn what_may_be_the_word_of_something_before_the_vendor_is_no_proof_that_a_key_is_dead() {
    let server = Server::start();
    let kind = vendor(&server, |_| ());
    let rig = Rig::new(RotatorConfig::Http(Box::new(declared(&server.state().root.clone(), ""))));
    rig.settle(&kind, None, "the first").await;
    let old = rig.current().await.unwrap();
    let validate = "GET /api/v1/validate";
    // The new one is let in when it is tried; what follows are answers to the old one and, beside it, to the one in force.
    server.script(validate, 200, "", r#"{"valid":true}"#);
    for (status, body, why) in [
        (403, "<html>", "(HTTP 403), but so is the version in force, and whatever stands in the way may do that"),
        (502, "", "HTTP 502"),
        (200, r#"{"valid":false}"#, "the answer does not show what `expect` says, and that is no refusal"),
    ] {
        (0..20).for_each(|_| server.script(validate, status, "", body));
        let (outcome, _) = rig.run(&kind, Some(&old), Fault::never()).await;
        server.state().next.clear();
        assert!(matches!(&outcome.fate, Fate::Failed(said) if said.contains(why)), "{why}: {outcome:?}");
        assert!(outcome.events.iter().all(|event| !["refused", "done"].contains(&event.step.as_str())), "{outcome:?}");
    }
    let (outcome, _) = rig.run(&kind, Some(&old), Fault::never()).await;
    assert_eq!(outcome.fate, Fate::Done, "{outcome:?}");
    assert!(outcome.events.iter().any(|event| event.step == "refused"), "{outcome:?}");
}

#[tokio::test]
async fn a_vendor_that_is_too_busy_is_waited_for_but_never_with_a_creation() {
    let server = Server::start();
    let vendor = vendor(&server, |_| ());
    server.script("GET /api/v2/api_keys", 429, "retry-after: 1\r\n", "{}");
    let began = std::time::Instant::now();
    vendor.list().await.unwrap();
    assert!(began.elapsed().as_millis() >= 1_000);
    // Longer than the step may take.
    server.script("GET /api/v2/api_keys", 429, "retry-after: 3600\r\n", "{}");
    assert_eq!(class(vendor.list().await.unwrap_err()).1, "HTTP 429");
    server.script("POST", 429, "retry-after: 1\r\n", "{}");
    assert_eq!(class(vendor.create(&SLOT.into(), None).await.err().unwrap()).1, "HTTP 429");
    assert!(server.state().keys.is_empty());
}

#[tokio::test]
async fn an_end_that_the_list_does_not_show_is_no_end() {
    let server = Server::start();
    let key = server.state().issue("by hand, slm-")["id"].as_str().unwrap().to_owned();
    let vendor = vendor(&server, |config| config.delete.url = format!("{}/nowhere/{{{{ id }}}}", config.create.url));
    assert_eq!(class(vendor.change(&key.as_str().into(), None, KeyChange::Delete).await.unwrap_err()).0, ErrorClass::Transient);
    vendor.change(&"gone/../x".into(), None, KeyChange::Delete).await.unwrap();
    assert!(server.state().requests.iter().any(|line| line.ends_with("/nowhere/gone%2F..%2Fx")));
}

#[tokio::test]
async fn nothing_is_sent_without_the_login_or_where_others_read_along() {
    let server = Server::start();
    let config = declared(&server.state().root.clone(), "");
    let without =
        Vendor::new(&config, Path::new("/"), &"one".into(), [("api".to_owned(), None), ("app".to_owned(), None)].into()).unwrap();
    assert_eq!(
        class(without.list().await.unwrap_err()),
        (ErrorClass::Denied, "variable `SLM_DATADOG_API_KEY` is not set".to_owned())
    );
    let open = vendor(&server, |config| config.create.url = "http://api.example.com/keys".to_owned());
    assert_eq!(class(open.create(&SLOT.into(), None).await.err().unwrap()).0, ErrorClass::Permanent);
    assert!(server.state().requests.is_empty());
}

#[tokio::test]
async fn over_tls_only_a_vendor_that_the_declared_authority_vouches_for_gets_the_login() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    ["ours", "other"].iter().for_each(|name| authority(folder.path(), name));
    certificate(folder.path(), "ours", "here", "IP:127.0.0.1");
    certificate(folder.path(), "ours", "elsewhere", "DNS:api.example.com");
    let listed = async |name: &str, ca: &str| {
        let server = Server::serving(Some(tls::config(&file(name), &file(&format!("{name}.key")))));
        let listing = vendor(&server, |config| config.ca_file = Some(file(ca))).list().await;
        (listing, server.state().requests.len())
    };
    let (listing, asked) = listed("here", "ours").await;
    assert_eq!((listing.unwrap().keys.len(), asked), (0, 1));
    for (name, ca, says) in [("here", "other", "no authority that is trusted"), ("elsewhere", "ours", "for another host")] {
        let (listing, asked) = listed(name, ca).await;
        let (class, cause) = shown(listing);
        assert!(class == ErrorClass::Transient && cause.contains(says) && asked == 0, "{cause}");
    }
    let nobody = Http { ca_file: Some(file("none")), ..declared("https://127.0.0.1:9", "") };
    let error = Vendor::new(&nobody, Path::new("/"), &"one".into(), BTreeMap::new()).err().unwrap();
    assert!(error.class == ErrorClass::Permanent && error.to_string().contains("`ca-file` cannot be read"), "{error}");
}
