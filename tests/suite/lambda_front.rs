//! Before moto, what it does not play of Lambda: revisions that are compared, updates that take their time or fail, variables that
//! cannot be decrypted, provisioned concurrency. moto keeps the functions, their published versions and their aliases.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};

use crate::aws::CANARY;
use crate::support::Request;

/// What is done to one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// It never arrives.
    Lost,
    /// It has its effect, and the answer never arrives.
    Silent,
    /// It is refused with this status and code.
    Refused(u16, &'static str),
    /// Somebody else updates the function before it arrives.
    Late,
}

#[derive(Default)]
pub struct State {
    /// `METHOD what`, in order: `PUT configuration`.
    pub seen: Vec<String>,
    /// Every body that came.
    pub bodies: String,
    /// What is done to the request of this number, the first being 0.
    pub faults: BTreeMap<usize, Fault>,
    /// What is answered of the function after an update, one a look, the last for ever.
    pub course: Vec<Json>,
    /// Why its variables cannot be read.
    pub unreadable: Option<&'static str>,
    /// States of the concurrency that is provisioned, one a look, the last for ever; none is when empty.
    pub provisioned: Vec<&'static str>,
    status: Vec<Json>,
    revision: usize,
    alias: usize,
}

/// One front; it ends with the process.
#[derive(Clone)]
pub struct Front {
    pub endpoint: String,
    state: Arc<Mutex<State>>,
}

impl Front {
    pub fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let front = Self { endpoint, state: Arc::default() };
        let (state, server) = (Arc::clone(&front.state), server.trim_start_matches("http://").to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                serve(client.unwrap(), &server, &mut state.lock().unwrap());
            }
        });
        front
    }

    pub fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap())
    }

    /// How often `METHOD what` was asked for and had its effect.
    pub fn count(&self, what: &str) -> usize {
        self.with(|state| state.seen.iter().filter(|seen| *seen == what).count())
    }
}

fn serve(mut client: TcpStream, server: &str, state: &mut State) {
    client.set_nodelay(true).unwrap();
    let Ok(request) = Request::read(client.try_clone().unwrap()) else { return };
    let Some((method, url)) = request.asked().split_once(' ') else { return };
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let what = *parts.get(3).unwrap_or(&"other");
    let fault = state.faults.remove(&state.seen.len());
    state.seen.push(format!("{method} {what}"));
    state.bodies.push_str(&String::from_utf8_lossy(&request.body));
    match fault {
        Some(Fault::Lost) => return,
        Some(Fault::Late) => state.revision += 1,
        _ => {}
    }
    let (status, code, answer) = match fault {
        Some(Fault::Refused(status, code)) => (status, code, json!({ "Type": "User", "message": CANARY })),
        _ => state.answer(server, (method, what, query), &request),
    };
    if fault == Some(Fault::Silent) {
        return;
    }
    let answer = answer.to_string();
    let date = slm::model::time::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let kind = if code.is_empty() { String::new() } else { format!("x-amzn-errortype: {code}\r\n") };
    let head = format!("HTTP/1.1 {status} X\r\ndate: {date}\r\ncontent-type: application/json\r\n{kind}");
    let _ = write!(client, "{head}content-length: {}\r\nconnection: close\r\n\r\n{answer}", answer.len());
}

/// The first of `course`, which goes on unless it is the last.
fn next<T: Clone>(course: &mut Vec<T>) -> Option<T> {
    if course.len() > 1 { Some(course.remove(0)) } else { course.first().cloned() }
}

impl State {
    fn answer(&mut self, server: &str, asked: (&str, &str, &str), request: &Request) -> (u16, &'static str, Json) {
        let body: Json = serde_json::from_slice(&request.body).unwrap_or_default();
        let refused = |status, code| (status, code, json!({ "Type": "User", "message": CANARY }));
        let of = |letter: &str, number: usize| format!("{letter}-{number}");
        let lost = |have: String| body["RevisionId"].as_str().is_some_and(|want| want != have);
        match asked {
            ("GET", "provisioned-concurrency", _) => {
                return match next(&mut self.provisioned) {
                    Some(status) => (200, "", json!({ "Status": status })),
                    None => refused(404, "ProvisionedConcurrencyConfigNotFoundException"),
                };
            }
            ("PUT", "configuration", _) | ("POST", "versions", _) if lost(of("f", self.revision)) => {
                return refused(412, "PreconditionFailedException");
            }
            ("PUT", "aliases", _) if lost(of("a", self.alias)) => return refused(412, "PreconditionFailedException"),
            _ => {}
        }
        let (status, mut answer) = request.forwarded(server);
        if status >= 300 && asked.1 == "other" {
            return (status, "", answer);
        }
        if status >= 300 {
            return (status, if status == 404 { "ResourceNotFoundException" } else { "InvalidParameterValueException" }, answer);
        }
        match asked {
            ("GET", "aliases", _) => answer["RevisionId"] = of("a", self.alias).into(),
            ("PUT", "aliases", _) => self.alias += 1,
            ("PUT", "configuration", _) => {
                (self.revision, self.status) = (self.revision + 1, self.course.clone());
            }
            // Publishing may touch what is not published: the harder case for whoever compares.
            ("POST", "versions", _) => self.revision += 1,
            ("GET", "configuration", query) => {
                answer["LastUpdateStatus"] = "Successful".into();
                answer["RevisionId"] = of("p", 0).into();
                if query.is_empty() || query.ends_with("LATEST") {
                    answer["RevisionId"] = of("f", self.revision).into();
                    for (key, value) in next(&mut self.status).iter().flat_map(|status| status.as_object().unwrap()) {
                        answer[key] = value.clone();
                    }
                }
                if let Some(code) = self.unreadable {
                    answer["Environment"] = json!({ "Error": { "ErrorCode": code, "Message": CANARY } });
                }
            }
            _ => {}
        }
        (status, "", answer)
    }
}
