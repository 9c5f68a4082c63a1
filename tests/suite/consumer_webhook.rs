//! A service of ours as a consumer: a server that checks signatures and keeps the versions it was told.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use hmac::{Hmac, Mac};
use rustls::ServerConfig;
use serde_json::{Value, json};
use sha2::Sha256;
use slm::consumers::webhook::Webhook;
use slm::model::catalog::{SecretRef, WebhookConsumer};
use slm::model::secret::Secret;
use slm::world::{Consumer, ErrorClass};

use crate::aws_proxy::{Fault, Proxy};
use crate::faults::{OVER_HTTP, thrown};
use crate::leaks::{kept, never_told, untold};
use crate::support::{Request, World, at, shown};
use crate::tls::{self, authority, certificate};

const CANARY: &str = "canary-value-19ab-never-shown";
const KEY: &str = "canary-key-20bc-never-shown";

#[derive(Default)]
struct State {
    root: String,
    stored: Option<String>,
    running: Option<String>,
    /// Status and body of the next answers, given after the event took effect.
    next: Vec<(u16, String)>,
    bodies: Vec<Value>,
    keys: Vec<String>,
}

fn start() -> Arc<Mutex<State>> {
    serving(None)
}

fn serving(tls: Option<Arc<ServerConfig>>) -> Arc<Mutex<State>> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let root = format!("{}://{}", if tls.is_some() { "https" } else { "http" }, listener.local_addr().unwrap());
    let state = Arc::new(Mutex::new(State { root, ..State::default() }));
    let shared = Arc::clone(&state);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = tls::stream(tls.as_ref(), stream.unwrap());
            let Ok(request) = Request::read(&mut stream) else { continue };
            let url = request.asked().split(' ').nth(1).unwrap_or_default();
            let header = |name: &str| request.header(name).map(str::to_owned);
            let mut state = shared.lock().unwrap();
            let (status, answer) = state.answer(url, &request.body, header("x-slm-signature-256"), header("idempotency-key"));
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n", answer.len());
            let moved = if status == 302 { "location: /elsewhere\r\n" } else { "" };
            let _ = stream.write_all(format!("{head}{moved}\r\n{answer}").as_bytes());
        }
    });
    state
}

impl State {
    fn answer(&mut self, url: &str, body: &[u8], signature: Option<String>, key: Option<String>) -> (u16, String) {
        let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
        mac.update(if body.is_empty() { format!("{}{url}", self.root).into_bytes() } else { body.to_vec() }.as_slice());
        let want: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        if signature != Some(format!("sha256={want}")) {
            return (401, CANARY.to_owned());
        }
        if !body.is_empty() {
            let event: Value = serde_json::from_slice(body).unwrap();
            let version = event["version"].as_str().map(str::to_owned);
            match event["event"].as_str() {
                Some("deliver") => self.stored = version,
                Some("activate") => self.running = version,
                _ => {}
            }
            self.bodies.push(event);
            self.keys.extend(key);
        }
        self.next
            .pop()
            .unwrap_or_else(|| (200, json!({ "stored": self.stored, "running": self.running, "draining": 0 }).to_string()))
    }
}

/// With more patience than a busy machine needs, unless `rest` has less.
fn hook(url: &str, rest: &str, key: Option<&str>) -> Result<Webhook, slm::world::WorldError> {
    let timeout = if rest.contains("timeout") { "" } else { "timeout = \"60s\"\n" };
    let config: WebhookConsumer = toml::from_str(&format!("url = \"{url}\"\nsign-env = \"HOOK_KEY\"\n{timeout}{rest}")).unwrap();
    let secret = SecretRef { source: "aws".into(), region: "eu-west-1".to_owned(), name: "prod/db".to_owned() };
    Webhook::new(Path::new("/"), "db".into(), secret, "partner".into(), config, key.map(|key| Secret::new(key.as_bytes().to_vec())))
}

fn value() -> Secret {
    Secret::new(CANARY.as_bytes().to_vec())
}

#[tokio::test]
async fn a_service_is_told_where_the_value_is_and_answers_what_it_runs() {
    for status in [false, true] {
        let state = start();
        let root = state.lock().unwrap().root.clone();
        let rest = if status { format!("status-url = \"{root}/status\"") } else { String::new() };
        let hook = hook(&format!("{root}/slm"), &rest, Some(KEY)).unwrap();
        assert_eq!(hook.observe().await.unwrap(), at(None, None));
        for _ in 0..2 {
            hook.deliver(&"v1".into(), &value()).await.unwrap();
            assert_eq!(hook.observe().await.unwrap(), at(Some("v1"), None));
        }
        for _ in 0..2 {
            hook.activate(&"v1".into()).await.unwrap();
            assert_eq!(hook.observe().await.unwrap(), at(Some("v1"), Some("v1")));
        }
        let state = state.lock().unwrap();
        let sent = Value::from(state.bodies.clone()).to_string();
        assert!(!sent.contains(CANARY) && sent.contains(r#""name":"prod/db""#), "{sent}");
        let delivered: Vec<&String> = state.keys.iter().filter(|key| key.ends_with("/deliver")).collect();
        assert_eq!(delivered, ["db/partner/v1/deliver", "db/partner/v1/deliver"]);
        assert_eq!(state.bodies.iter().any(|body| body["event"] == "observe"), !status);
    }
}

#[tokio::test]
async fn the_value_is_sent_when_the_config_says_so_and_with_a_delivery_alone() {
    let state = start();
    let root = state.lock().unwrap().root.clone();
    let hook = hook(&root, "send = \"value\"", Some(KEY)).unwrap();
    hook.deliver(&"v1".into(), &value()).await.unwrap();
    hook.activate(&"v1".into()).await.unwrap();
    let bodies = state.lock().unwrap().bodies.clone();
    assert_eq!((&bodies[0]["value"], bodies[1].get("value")), (&json!(CANARY), None));
}

/// The program is given the value and the service where it is; then the program fails.
#[test]
fn a_value_that_is_given_to_a_program_beside_a_service_is_told_nowhere_else() {
    let state = start();
    let root = state.lock().unwrap().root.clone();
    let world = World::scaffolded().with("HOOK_KEY", KEY);
    let text = world.read("credentials/session-key.toml");
    let webhook = format!("webhook = {{ url = \"{root}/slm\", sign-env = \"HOOK_KEY\" }}");
    let consumers = format!(
        "[[consumer]]\nid = \"partner\"\n{webhook}\n\n[[consumer]]\nid = \"vm\"\nexec = {{ command = [\"sh\", \"bring.sh\"] }}\n"
    );
    world.write("credentials/session-key.toml", &format!("{}{consumers}", &text[..text.find("[[consumer]]").unwrap()]));
    world.write("bring.sh", crate::consumer_exec::SCRIPT);
    world.write(".gitignore", &(world.read(".gitignore") + "/requests\n/environment\n/stored\n/running\n"));
    world.commit();
    let mut said = vec![world.heard(&["plan"]).exits(2), world.heard(&["apply", "--auto-approve"]).exits(0)];
    let given = world.read("requests");
    assert!(state.lock().unwrap().bodies.iter().any(|body| body["event"] == "deliver"), "the service was told");
    // It babbles what it was given, and refuses it.
    let refusing = crate::consumer_exec::SCRIPT.replace("printf '%s' \"$version\" > stored ;;", "echo \"$request\"; exit 78 ;;");
    assert_ne!(refusing, crate::consumer_exec::SCRIPT);
    world.write("bring.sh", &refusing);
    world.commit();
    said.push(world.heard(&["rotate", "session-key"]).exits(6).says("it ended with 78"));
    let values = kept(&world, "app/session-key");
    assert!(values.iter().any(|value| given.contains(value)) && values.len() >= 2, "it was given");
    let secrets: Vec<&str> = values.iter().map(String::as_str).chain([KEY, CANARY]).collect();
    never_told(&world, &said, &secrets);
    untold("what the service was told", &Value::from(state.lock().unwrap().bodies.clone()).to_string(), &secrets);
}

#[tokio::test]
async fn an_answer_that_got_lost_is_seen_by_the_next_look() {
    let state = start();
    let hook = hook(&state.lock().unwrap().root, "", Some(KEY)).unwrap();
    state.lock().unwrap().next.push((503, CANARY.to_owned()));
    assert_eq!(hook.deliver(&"v1".into(), &value()).await.unwrap_err().class, ErrorClass::Transient);
    assert_eq!(hook.observe().await.unwrap(), at(Some("v1"), None));
}

#[tokio::test]
async fn any_call_of_a_service_that_is_lost_or_refused_is_made_good_by_the_next_run() {
    for status in [false, true] {
        let made = async || {
            let state = start();
            let proxy = Proxy::before(&state.lock().unwrap().root);
            let root = proxy.endpoint.clone();
            // What is signed is the address that was asked for.
            state.lock().unwrap().root.clone_from(&root);
            let rest = if status { format!("status-url = \"{root}/status\"") } else { String::new() };
            (proxy, (hook(&format!("{root}/slm"), &rest, Some(KEY)).unwrap(), state))
        };
        let run = async |(hook, _): &(Webhook, Arc<Mutex<State>>)| {
            hook.deliver(&"v1".into(), &value()).await?;
            hook.activate(&"v1".into()).await
        };
        let check = async |(hook, state): &(Webhook, Arc<Mutex<State>>), fault: Fault, when: &str| {
            assert_eq!(hook.observe().await.unwrap(), at(Some("v1"), Some("v1")), "{when}");
            let bodies = Value::from(state.lock().unwrap().bodies.clone()).to_string();
            assert!(!bodies.contains(CANARY) && bodies.contains("v1"), "{when} {fault:?}");
        };
        let met = thrown(if status { "webhook.status" } else { "webhook" }, &OVER_HTTP, made, run, check).await;
        assert!(met.again >= 8 && met.ended >= 4, "{met:?}");
    }
}

#[tokio::test]
async fn every_way_to_fail_says_its_class_and_nothing_that_was_sent_or_received() {
    let other = r#"{"stored":"v0"}"#.to_owned();
    let long = "x".repeat(65 * 1024);
    for (status, body, class, cause) in [
        (401, CANARY, ErrorClass::Denied, "HTTP 401"),
        (404, CANARY, ErrorClass::NotFound, "HTTP 404"),
        (409, CANARY, ErrorClass::Conflict, "HTTP 409"),
        (302, CANARY, ErrorClass::Permanent, "HTTP 302"),
        (429, CANARY, ErrorClass::Transient, "HTTP 429"),
        (200, CANARY, ErrorClass::Permanent, "the reply is not the JSON object agreed on"),
        (200, other.as_str(), ErrorClass::Transient, "the reply names another version"),
        (200, long.as_str(), ErrorClass::Transient, "the answer is longer than 64 KB"),
    ] {
        let state = start();
        let hook = hook(&state.lock().unwrap().root, "send = \"value\"", Some(KEY)).unwrap();
        state.lock().unwrap().next.push((status, body.to_owned()));
        let error = hook.deliver(&"v1".into(), &value()).await.unwrap_err();
        assert_eq!((error.class, error.cause.as_str()), (class, cause), "{status}");
        let shown = format!("{error} {error:?} {hook:?}");
        assert!(!shown.contains(CANARY) && !shown.contains(KEY), "{shown}");
    }
    let down = hook("http://127.0.0.1:9/", "", Some(KEY)).unwrap();
    assert_eq!(down.observe().await.unwrap_err().class, ErrorClass::Transient);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_hook = hook(&format!("http://{}/", silent.local_addr().unwrap()), "timeout = \"1s\"", Some(KEY)).unwrap();
    assert_eq!(silent_hook.observe().await.unwrap_err().cause, "no answer in time");
}

#[test]
fn nothing_is_sent_without_a_key_or_where_others_can_read_it() {
    let class = |url: &str, rest: &str, key| hook(url, rest, key).err().map(|error| error.class);
    assert_eq!(class("https://h.example.com", "", None), Some(ErrorClass::Denied));
    assert_eq!(class("https://h.example.com", "", Some("")), Some(ErrorClass::Denied));
    assert_eq!(class("http://h.example.com", "", Some(KEY)), Some(ErrorClass::Permanent));
    assert_eq!(class("https://h.example.com", "status-url = \"http://127.0.0.1.evil/\"", Some(KEY)), Some(ErrorClass::Permanent));
    assert_eq!(class("https://h.example.com", "", Some(KEY)), None);
}

#[tokio::test]
async fn over_tls_only_a_service_that_the_declared_authority_vouches_for_by_its_name_is_told_anything() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    ["ours", "other"].iter().for_each(|name| authority(folder.path(), name));
    certificate(folder.path(), "ours", "here", "IP:127.0.0.1");
    certificate(folder.path(), "ours", "elsewhere", "DNS:hooks.example.com");
    let started = |name: &str| serving(Some(tls::config(&file(name), &file(&format!("{name}.key")))));
    let trusting = |state: &Mutex<State>, ca: &str| {
        let root = state.lock().unwrap().root.clone();
        hook(&format!("{root}/slm"), &format!("send = \"value\"\n{ca}"), Some(KEY)).unwrap()
    };
    let ours = format!("ca-file = \"{}\"", file("ours"));

    let here = started("here");
    let trusted = trusting(&here, &ours);
    trusted.deliver(&"v1".into(), &value()).await.unwrap();
    assert_eq!(trusted.observe().await.unwrap(), at(Some("v1"), None));
    let told = here.lock().unwrap().bodies.len();
    let unknown = "no authority that is trusted vouches for its certificate; `ca-file` names the file of another one";
    for ca in [String::new(), format!("ca-file = \"{}\"", file("other"))] {
        let refused = trusting(&here, &ca).deliver(&"v2".into(), &value()).await;
        assert_eq!(shown(refused), (ErrorClass::Transient, unknown.to_owned()));
    }
    assert_eq!(here.lock().unwrap().bodies.len(), told);

    let elsewhere = started("elsewhere");
    let refused = trusting(&elsewhere, &ours).deliver(&"v1".into(), &value()).await;
    let other_host = "its certificate is for another host than the one in the address";
    assert_eq!(shown(refused), (ErrorClass::Transient, other_host.to_owned()));
    assert!(elsewhere.lock().unwrap().bodies.is_empty());

    std::fs::write(file("empty"), "").unwrap();
    for (name, says) in
        [("empty", "`ca-file` holds no certificates in PEM"), ("none", "`ca-file` cannot be read: entity not found")]
    {
        let error = hook("https://h.example.com", &format!("ca-file = \"{}\"", file(name)), Some(KEY)).unwrap_err();
        assert_eq!((error.class, error.cause.as_str()), (ErrorClass::Permanent, says));
    }
}
