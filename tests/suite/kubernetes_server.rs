//! A server that keeps Secrets and workloads as an API server of Kubernetes does for server-side apply: owners of fields, resource
//! versions, generations, `PartialObjectMetadata`. No API server can be had here, so that statuses and refusals are in the shapes that
//! version 1.31 answers, with the `terminatingReplicas` of later ones; how far a roll-out is is told by the test.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use serde_json::{Value as Json, json};

use crate::support::Request;
use crate::tls::{self, Stream};

pub const TOKEN: &str = "canary-token-31cd-never-shown";

/// What is done to one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// It never arrives.
    Lost,
    /// It has its effect, and the answer never arrives.
    Silent,
    /// It is refused with this status, and this `Retry-After`.
    Status(u16, Option<u64>),
}

#[derive(Default)]
pub struct State {
    pub secrets: BTreeMap<String, Object>,
    pub workloads: BTreeMap<String, Object>,
    /// `METHOD path`, in order.
    pub seen: Vec<String>,
    pub accepted: Vec<String>,
    /// What is done to the request of this number, the first being 0.
    pub faults: BTreeMap<usize, Fault>,
    /// Statuses of a workload after its template changed, one a look, the last for ever.
    pub course: Vec<Json>,
    /// `metadata` of the pods of the namespace.
    pub pods: Vec<Json>,
    /// How often a template changed.
    pub rollouts: usize,
}

/// An object: what was applied, and who owns which field.
#[derive(Clone, Default)]
pub struct Object {
    pub uid: String,
    pub version: u64,
    pub generation: u64,
    /// By path: `data.PASSWORD`, `annotations.slm.dev/version`.
    pub fields: BTreeMap<String, String>,
    pub owners: BTreeMap<String, BTreeSet<String>>,
    pub spec: Json,
    pub status: Vec<Json>,
}

pub struct Server {
    pub url: String,
    pub state: Arc<Mutex<State>>,
}

/// A Deployment of three pods that are up to date.
pub fn deployment() -> Object {
    Object {
        uid: "0c3e63b2-6c4c-4b41-9f3b-6f3d2b3b1c11".to_owned(),
        version: 100,
        generation: 1,
        spec: json!({ "replicas": 3, "selector": { "matchLabels": { "app": "shop" } }, "strategy": { "type": "RollingUpdate" } }),
        status: vec![status(1, 3, 3, json!([]))],
        ..Object::default()
    }
}

/// The status of a Deployment of three.
pub fn status(observed: u64, all: u64, updated: u64, conditions: Json) -> Json {
    let mut status = json!({
        "observedGeneration": observed, "replicas": all, "updatedReplicas": updated, "readyReplicas": 3, "availableReplicas": 3,
        "terminatingReplicas": 0, "conditions": [{ "type": "Available", "status": "True", "reason": "MinimumReplicasAvailable", "message": "" }],
    });
    status["conditions"].as_array_mut().unwrap().extend(conditions.as_array().unwrap().iter().cloned());
    status
}

impl Server {
    pub fn start() -> Self {
        Self::serving(None)
    }

    /// Over TLS, with the certificate and the key in these PEM files.
    pub fn over_tls(certificate: &str, key: &str) -> Self {
        Self::serving(Some(tls::config(certificate, key)))
    }

    fn serving(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        state.lock().unwrap().workloads.insert("deployments/shop-api".to_owned(), deployment());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that does not trust us breaks off.
                let _ = serve(tls::stream(tls.as_ref(), stream.unwrap()), &shared);
            }
        });
        Self { url, state }
    }

    pub fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap())
    }
}

fn serve(mut stream: Box<dyn Stream>, state: &Mutex<State>) -> std::io::Result<()> {
    let request = Request::read(&mut stream)?;
    let header = |name: &str| request.header(name).unwrap_or_default();
    let Some((method, url)) = request.asked().split_once(' ') else { return Ok(()) };
    let mut state = state.lock().unwrap();
    let fault = state.faults.get(&state.seen.len()).copied();
    state.seen.push(format!("{method} {url}"));
    state.accepted.push(header("accept").to_owned());
    let (status, retry, answer) = match fault {
        Some(Fault::Lost) => return Ok(()),
        Some(Fault::Status(status, retry)) => (status, retry, refusal(status, "", "TooManyRequests", json!([]))),
        _ if header("authorization") != format!("Bearer {TOKEN}") => {
            (401, None, refusal(401, "Unauthorized", "Unauthorized", json!([])))
        }
        _ => {
            let (status, answer) = state.answer(method, url, header("content-type"), header("accept"), &request.body);
            (status, None, answer)
        }
    };
    if fault == Some(Fault::Silent) {
        return Ok(());
    }
    let answer = answer.to_string();
    let retry = retry.map_or_else(String::new, |seconds| format!("retry-after: {seconds}\r\n"));
    let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", answer.len());
    stream.write_all(format!("{head}{retry}connection: close\r\n\r\n{answer}").as_bytes())?;
    stream.flush()
}

/// A `Status` as the API server answers it.
pub fn refusal(code: u16, message: &str, reason: &str, causes: Json) -> Json {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason,
        "details": { "causes": causes }, "code": code,
    })
}

impl State {
    /// The pods that the selector in `query` chooses, one a page.
    fn listed(&self, query: &str, accept: &str) -> (u16, Json) {
        assert!(accept.contains("as=PartialObjectMetadataList"), "{accept}");
        assert!(query.starts_with("labelSelector=app%3Dshop&limit="), "{query}");
        let from: usize = query.split_once("continue=").map_or(0, |(_, from)| from.parse().unwrap());
        let items: Vec<Json> = self.pods.iter().skip(from).take(1).map(|pod| json!({ "metadata": pod })).collect();
        let next = if from + 1 < self.pods.len() { (from + 1).to_string() } else { String::new() };
        (200, json!({ "kind": "PartialObjectMetadataList", "metadata": { "continue": next }, "items": items }))
    }

    fn answer(&mut self, method: &str, url: &str, content: &str, accept: &str, body: &[u8]) -> (u16, Json) {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        if path == "/api/v1/namespaces/shop/pods" {
            return self.listed(query, accept);
        }
        let place = path.rsplit('/').take(2).collect::<Vec<_>>();
        let key = format!("{}/{}", place[1], place[0]);
        let is_secret = path.starts_with("/api/v1/namespaces/shop/secrets/");
        assert!(is_secret || path.starts_with("/apis/apps/v1/namespaces/shop/"), "{path}");
        let found = if is_secret { self.secrets.get(place[0]).cloned() } else { self.workloads.get(&key).cloned() };
        if method == "GET" {
            let Some(mut object) = found else {
                return (404, refusal(404, &format!("{key} not found"), "NotFound", json!([])));
            };
            let shown = object.shown(is_secret, accept.contains("as=PartialObjectMetadata"));
            if object.status.len() > 1 {
                object.status.remove(0);
                self.workloads.insert(key, object);
            }
            return (200, shown);
        }
        let merged = content == "application/merge-patch+json";
        assert!(method == "PATCH" && (merged && !is_secret || content == "application/apply-patch+yaml"), "{method} {content}");
        let applied: Json = serde_json::from_slice(body).unwrap();
        let mut query = query.split('&').filter_map(|pair| pair.split_once('='));
        let manager = query.next().unwrap().1.to_owned();
        let force = query.next().is_some_and(|(_, force)| force == "true");
        let object = match found {
            Some(object) => object,
            None if applied["metadata"]["uid"].is_null() && is_secret => Object { uid: "5e".to_owned(), ..Object::default() },
            None => return (409, refusal(409, "uid mismatch", "Conflict", json!([]))),
        };
        match if merged { object.merge(&applied, &manager) } else { object.apply(&applied, &manager, force) } {
            Err(refusal) => (409, refusal),
            Ok(mut object) => {
                if is_secret {
                    self.secrets.insert(place[0].to_owned(), object.clone());
                } else {
                    if object.generation > self.workloads[&key].generation {
                        self.rollouts += 1;
                        object.status = self.course.clone();
                    }
                    self.workloads.insert(key, object.clone());
                }
                (200, object.shown(is_secret, true))
            }
        }
    }
}

/// The fields of an applied object by path, those that matter here.
fn fields(applied: &Json) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let places = [("data", &applied["data"]), ("annotations", &applied["metadata"]["annotations"])];
    let template = ("template", &applied["spec"]["template"]["metadata"]["annotations"]);
    for (name, map) in places.into_iter().chain([template]) {
        for (key, value) in map.as_object().into_iter().flatten() {
            fields.insert(format!("{name}.{key}"), value.as_str().unwrap().to_owned());
        }
    }
    fields
}

impl Object {
    /// Server-side apply: fields of others are refused unless forced, and what this manager applied before and not now is taken away.
    fn apply(mut self, applied: &Json, manager: &str, force: bool) -> Result<Self, Json> {
        let same = |key: &str, have: &str| applied["metadata"][key].as_str().is_none_or(|want| want == have);
        if !same("uid", &self.uid) || !same("resourceVersion", &self.version.to_string()) {
            let message = "the object has been modified; please apply your changes to the latest version and try again";
            return Err(refusal(409, message, "Conflict", json!([])));
        }
        let new = fields(applied);
        for (path, value) in &new {
            let other =
                self.owners.iter().find(|(name, paths)| *name != manager && paths.contains(path)).map(|(name, _)| name.clone());
            let Some(other) = other.filter(|_| self.fields.get(path) != Some(value)) else { continue };
            if !force {
                let cause = json!({
                    "reason": "FieldManagerConflict", "message": format!("conflict with \"{other}\" using v1"), "field": format!(".{path}"),
                });
                let message = format!("Apply failed with 1 conflict: conflict with \"{other}\" using v1: .{path}");
                return Err(refusal(409, &message, "Conflict", json!([cause])));
            }
            self.owners.entry(other).or_default().remove(path);
        }
        let before = self.fields.clone();
        for gone in self.owners.insert(manager.to_owned(), new.keys().cloned().collect()).unwrap_or_default() {
            if !new.contains_key(&gone) && !self.owners.values().any(|paths| paths.contains(&gone)) {
                self.fields.remove(&gone);
            }
        }
        self.fields.extend(new);
        self.changed(&before);
        Ok(self)
    }

    /// A merge patch: who changes a field has it from now, and nobody else.
    fn merge(mut self, patch: &Json, manager: &str) -> Result<Self, Json> {
        if patch["metadata"]["resourceVersion"].as_str() != Some(self.version.to_string().as_str()) {
            return Err(refusal(409, "the object has been modified", "Conflict", json!([])));
        }
        let before = self.fields.clone();
        for (path, value) in fields(patch) {
            if self.fields.insert(path.clone(), value.clone()) != Some(value) {
                self.owners.values_mut().for_each(|paths| {
                    paths.remove(&path);
                });
                self.owners.entry(format!("{manager} by Update")).or_default().insert(path);
            }
        }
        self.changed(&before);
        Ok(self)
    }

    fn changed(&mut self, before: &BTreeMap<String, String>) {
        let template = |fields: &BTreeMap<String, String>| {
            let of = fields.iter().filter(|(path, _)| path.starts_with("template."));
            of.map(|(a, b)| (a.clone(), b.clone())).collect::<Vec<_>>()
        };
        self.version += u64::from(self.fields != *before);
        self.generation += u64::from(template(&self.fields) != template(before));
    }

    fn map(&self, start: &str) -> Json {
        let inside = self.fields.iter().filter_map(|(path, value)| Some((path.strip_prefix(start)?.to_owned(), json!(value))));
        Json::Object(inside.collect())
    }

    fn shown(&self, is_secret: bool, metadata_only: bool) -> Json {
        let managed = self.owners.iter().map(|(manager, paths)| {
            let under = |start: &str| -> Json {
                let keys = paths.iter().filter_map(|path| path.strip_prefix(start));
                Json::Object(keys.map(|key| (format!("f:{key}"), json!({}))).collect())
            };
            let operation = if manager.starts_with("slm") && !manager.ends_with("Update") { "Apply" } else { "Update" };
            json!({
                "manager": manager, "operation": operation, "apiVersion": "v1", "time": "2026-02-01T00:00:00Z", "fieldsType": "FieldsV1",
                "fieldsV1": { "f:data": under("data."), "f:metadata": { "f:annotations": under("annotations.") } },
            })
        });
        let mut object = json!({ "metadata": {
            "name": "x", "namespace": "shop", "uid": self.uid, "resourceVersion": self.version.to_string(), "generation": self.generation,
            "annotations": self.map("annotations."), "managedFields": managed.collect::<Vec<_>>(),
        } });
        if !metadata_only && is_secret {
            object["data"] = self.map("data.");
        } else if !metadata_only {
            object["spec"] = self.spec.clone();
            object["spec"]["template"] =
                json!({ "metadata": { "annotations": self.map("template.") }, "spec": { "containers": [] } });
            object["status"] = self.status[0].clone();
        }
        object
    }
}
