//! Before moto, what it does not play of ECS: roll-outs. moto keeps the services, the task definitions and their tags; how far a roll-out
//! is, and that it is taken back, is told by the test, in the shapes of `DescribeServices`.

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
}

/// How far a roll-out is at one look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Look {
    /// So many of two tasks are new.
    Going(u64),
    /// All of them are.
    Done,
    /// It failed and was not taken back.
    Failed,
    /// The circuit breaker has it name the definition of before again.
    Back,
}

#[derive(Default)]
pub struct State {
    /// Operations asked for, in order.
    pub seen: Vec<String>,
    /// Every body that came.
    pub bodies: String,
    /// What is done to the request of this number, the first being 0.
    pub faults: BTreeMap<usize, Fault>,
    /// Looks after the next update, one each, the last for ever.
    pub course: Vec<Look>,
    looks: Vec<Look>,
    /// Tasks that are to stop: whether of the definition that is named, and their last status.
    pub stopping: Vec<(bool, &'static str)>,
    /// The definition before the last update, and the one that it named.
    before: String,
    named: String,
}

/// One front; it ends with the process.
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

    /// How often `operation` was asked for.
    pub fn count(&self, operation: &str) -> usize {
        self.with(|state| state.seen.iter().filter(|seen| *seen == operation).count())
    }
}

fn serve(mut client: TcpStream, server: &str, state: &mut State) {
    let Ok(request) = Request::read(client.try_clone().unwrap()) else { return };
    let operation = request.header("x-amz-target").unwrap_or_default().rsplit('.').next().unwrap().to_owned();
    let fault = state.faults.remove(&state.seen.len());
    state.seen.push(operation.clone());
    state.bodies.push_str(&String::from_utf8_lossy(&request.body));
    if fault == Some(Fault::Lost) {
        return;
    }
    let (status, answer) = match fault {
        Some(Fault::Refused(status, code)) => (status, json!({ "__type": code, "message": CANARY })),
        _ => state.answer(server, &operation, &request),
    };
    if fault == Some(Fault::Silent) {
        return;
    }
    let answer = answer.to_string();
    let date = slm::model::time::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let head = format!("HTTP/1.1 {status} X\r\ndate: {date}\r\ncontent-type: application/x-amz-json-1.1\r\n");
    let _ = write!(client, "{head}content-length: {}\r\nconnection: close\r\n\r\n{answer}", answer.len());
}

impl State {
    fn answer(&mut self, server: &str, operation: &str, request: &Request) -> (u16, Json) {
        let body: Json = serde_json::from_slice(&request.body).unwrap_or_default();
        if operation == "DescribeTasks" {
            return (200, self.tasks());
        }
        let (status, mut answer) = request.forwarded(server);
        if status >= 300 {
            return (status, answer);
        }
        if operation == "UpdateService" {
            self.before = std::mem::replace(&mut self.named, body["taskDefinition"].as_str().unwrap().to_owned());
            self.looks = self.course.clone();
        }
        if operation == "DescribeServices" && !answer["services"][0].is_null() {
            let look = if self.looks.len() > 1 { self.looks.remove(0) } else { *self.looks.first().unwrap_or(&Look::Done) };
            let service = &mut answer["services"][0];
            if self.named.is_empty() {
                self.named = service["taskDefinition"].as_str().unwrap().to_owned();
            }
            if look == Look::Back {
                service["taskDefinition"] = self.before.clone().into();
            }
            service["deployments"] = self.deployments(look);
        }
        let arn = |at: usize| format!("arn:aws:ecs:eu-west-1:123456789012:task/prod/{at}");
        if operation == "ListTasks" {
            assert!(body["desiredStatus"] == "STOPPED" && body["serviceName"].is_string(), "{body}");
            answer = json!({ "taskArns": (0..self.stopping.len()).map(arn).collect::<Vec<_>>() });
        }
        (status, answer)
    }

    fn tasks(&self) -> Json {
        let one = |(new, status): &(bool, &str)| {
            let definition = if *new { &self.named } else { &self.before };
            json!({ "taskDefinitionArn": definition, "desiredStatus": "STOPPED", "lastStatus": status })
        };
        json!({ "tasks": self.stopping.iter().map(one).collect::<Vec<_>>(), "failures": [] })
    }

    fn deployments(&self, look: Look) -> Json {
        let one = |status: &str, definition: &str, running: u64, state: &str| {
            json!({
                "id": format!("ecs-svc/{}", definition.len()), "status": status, "taskDefinition": definition, "desiredCount": 2,
                "pendingCount": 0, "runningCount": running, "failedTasks": 0, "rolloutState": state, "rolloutStateReason": CANARY,
            })
        };
        match look {
            Look::Done => json!([one("PRIMARY", &self.named, 2, "COMPLETED")]),
            Look::Going(new) => {
                json!([one("PRIMARY", &self.named, new, "IN_PROGRESS"), one("ACTIVE", &self.before, 2, "COMPLETED")])
            }
            Look::Failed => json!([one("PRIMARY", &self.named, 0, "FAILED"), one("ACTIVE", &self.before, 2, "COMPLETED")]),
            Look::Back => json!([one("PRIMARY", &self.before, 2, "COMPLETED"), one("INACTIVE", &self.named, 0, "FAILED")]),
        }
    }
}
