//! AWS as what rotates a secret by a function. moto does not play that: its RotateSecret moves `AWSCURRENT` at once, runs none of the
//! four steps, and it dates every version to now. So this stands before one secret of moto, whose values and labels remain moto's, and
//! answers RotateSecret as AWS does; what the function would do happens between two looks of slm.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value as Json, json};
use slm::model::time::Timestamp;

use crate::support::Request;

pub const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;
/// What moto answers otherwise than AWS for a secret that AWS rotates.
const MENDED: [&str; 3] = ["DescribeSecret", "ListSecrets", "ListSecretVersionIds"];

/// What the rotation function does when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Nothing: the version that AWS named has no value.
    Dies,
    /// createSecret, and no further.
    Creates,
    /// All four steps, when AWS has been looked at this many times since.
    Finishes(usize),
}

pub struct State {
    /// False when nobody set up a rotation.
    pub enabled: bool,
    function: Function,
    /// True when the function has been asked since it is as it is.
    asked: bool,
    /// The code with which a rotation is refused.
    pub refuses: Option<&'static str>,
    /// Versions that rotations were begun for, in order.
    pub begun: Vec<String>,
    /// How often the rotation under way was attempted again.
    pub again: usize,
    /// When a version was begun, where that is not long ago; seconds since 1970.
    dates: BTreeMap<String, i64>,
    /// Labelled `AWSPENDING` and not in force.
    pending: Option<String>,
    /// False while the version under way has no value.
    valued: bool,
    rotated: i64,
    looks: usize,
}

/// One secret of moto, rotated by AWS; it ends with the process.
#[derive(Clone)]
pub struct Rotating {
    pub endpoint: String,
    secret: String,
    moto: String,
    state: Arc<Mutex<State>>,
}

pub fn now() -> i64 {
    Timestamp::now().as_second()
}

/// What the function makes of it the `n`-th time.
pub fn value(n: usize) -> String {
    format!("made-by-the-function-{n}")
}

impl Rotating {
    /// Before `secret` of `moto`, last rotated 40 days ago.
    pub fn before(moto: &str, secret: &str, function: Function) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let rotated = now() - 40 * DAY;
        let (begun, dates) = (Vec::new(), BTreeMap::new());
        let state = State {
            enabled: true,
            function,
            asked: false,
            refuses: None,
            begun,
            again: 0,
            dates,
            pending: None,
            valued: false,
            rotated,
            looks: 0,
        };
        let moto = moto.trim_start_matches("http://").to_owned();
        let server = Self { endpoint, secret: secret.to_owned(), moto, state: Arc::new(Mutex::new(state)) };
        let served = server.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (server, client) = (served.clone(), client.unwrap());
                std::thread::spawn(move || server.serve(client));
            }
        });
        server
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Has the function do this from when it is asked the next time.
    pub fn repair(&self, function: Function) {
        let mut state = self.state();
        (state.function, state.asked) = (function, false);
    }

    /// Rotations begun, and how often one was attempted again.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.state();
        (state.begun.len(), state.again)
    }

    /// Has what is under way be `hours` old.
    pub fn age(&self, hours: i64) {
        let mut state = self.state();
        let pending = state.pending.clone().expect("a rotation is under way");
        state.dates.insert(pending, now() - hours * HOUR);
    }

    /// The version that carries `label` in moto.
    pub fn labelled(&self, label: &str) -> Option<String> {
        let found = self.ask("DescribeSecret", json!({ "SecretId": self.secret }));
        let versions = found["VersionIdsToStages"].as_object().unwrap().iter();
        let mut carry = versions.filter(|(_, labels)| labels.as_array().unwrap().iter().any(|have| have == label));
        carry.next().map(|(id, _)| id.clone())
    }

    fn serve(&self, mut client: TcpStream) {
        let Ok(request) = Request::read(client.try_clone().unwrap()) else { return };
        let operation = request.header("x-amz-target").and_then(|target| target.strip_prefix("secretsmanager."));
        // Nobody else may look in between: one answer is of one instant.
        let mut state = self.state();
        let answer = match operation {
            Some("RotateSecret") => {
                let (status, body) = self.rotate(&mut state, &serde_json::from_slice(&request.body).unwrap());
                answer(status, &body)
            }
            Some(operation) => {
                if operation == "DescribeSecret" {
                    self.play(&mut state);
                }
                let whole = self.pass(&request);
                if MENDED.contains(&operation) { mended(&whole, |body| state.mend(operation, body)) } else { whole }
            }
            None => self.pass(&request),
        };
        drop(state);
        let _ = client.write_all(&answer);
    }

    /// Begins a rotation, or goes on with the one under way, as AWS does.
    fn rotate(&self, state: &mut State, asked: &Json) -> (u16, Json) {
        let token = asked["ClientRequestToken"].as_str().unwrap().to_owned();
        assert_eq!((asked["SecretId"].as_str(), asked["RotateImmediately"].as_bool()), (Some(self.secret.as_str()), Some(true)));
        if let Some(code) = state.refuses {
            return (400, json!({ "__type": code, "Message": "no" }));
        }
        (state.asked, state.looks) = (true, 0);
        if state.pending.is_some() {
            state.again += 1;
            let message = "A previous rotation isn't complete. That rotation will be reattempted.";
            return (400, json!({ "__type": "InvalidRequestException", "Message": message }));
        }
        state.begun.push(token.clone());
        state.dates.insert(token.clone(), now());
        (state.pending, state.valued) = (Some(token.clone()), false);
        (
            200,
            json!({ "ARN": format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{}", self.secret), "Name": self.secret, "VersionId": token }),
        )
    }

    /// Plays what the function has done since the last look.
    fn play(&self, state: &mut State) {
        let Some(pending) = state.pending.clone().filter(|_| state.asked) else { return };
        state.looks += 1;
        let finishes = matches!(state.function, Function::Finishes(looks) if state.looks > looks);
        if !state.valued && (finishes || state.function == Function::Creates) {
            let value = value(state.begun.len());
            let put = json!({ "SecretId": self.secret, "ClientRequestToken": pending, "SecretString": value, "VersionStages": ["AWSPENDING"] });
            self.ask("PutSecretValue", put);
            state.valued = true;
        }
        if finishes {
            let current = self.labelled("AWSCURRENT").unwrap();
            let label = json!({ "SecretId": self.secret, "VersionStage": "AWSCURRENT", "MoveToVersionId": pending, "RemoveFromVersionId": current });
            // As in the templates of AWS, `AWSPENDING` stays on the version that is in force now.
            self.ask("UpdateSecretVersionStage", label);
            (state.pending, state.rotated) = (None, now());
        }
    }

    fn ask(&self, operation: &str, body: Json) -> Json {
        let scope = "AKIAIOSFODNN7EXAMPLE/20261124/eu-west-1/secretsmanager/aws4_request";
        let lines = vec![
            "POST / HTTP/1.1".to_owned(),
            format!("host: {}", self.moto),
            format!("x-amz-target: secretsmanager.{operation}"),
            "content-type: application/x-amz-json-1.1".to_owned(),
            format!("authorization: AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
            format!("content-length: {}", body.to_string().len()),
        ];
        let whole = self.pass(&Request { lines, body: body.to_string().into_bytes() });
        let (head, body) = halves(&whole);
        assert!(head.starts_with("HTTP/1.1 200"), "{operation}: {head}{}", String::from_utf8_lossy(body));
        serde_json::from_slice(body).unwrap()
    }

    /// What moto answers.
    fn pass(&self, request: &Request) -> Vec<u8> {
        let lines = request.lines.iter().filter(|line| !line.to_lowercase().starts_with("connection:"));
        let mut bytes: Vec<u8> = lines.flat_map(|line| format!("{line}\r\n").into_bytes()).collect();
        bytes.extend_from_slice(b"connection: close\r\n\r\n");
        bytes.extend_from_slice(&request.body);
        let mut stream = TcpStream::connect(&self.moto).unwrap();
        stream.write_all(&bytes).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    }
}

impl State {
    /// Adds to an answer of moto what AWS would say as well.
    fn mend(&self, operation: &str, body: &mut Json) {
        let empty = self.pending.as_ref().filter(|_| !self.valued);
        match operation {
            "DescribeSecret" => self.mend_secret(body, "VersionIdsToStages"),
            "ListSecrets" => {
                let listed = body["SecretList"].as_array_mut().unwrap();
                listed.iter_mut().for_each(|secret| self.mend_secret(secret, "SecretVersionsToStages"));
            }
            "ListSecretVersionIds" => {
                let versions = body["Versions"].as_array_mut().unwrap();
                versions.extend(empty.map(|id| json!({ "VersionId": id, "VersionStages": ["AWSPENDING"] })));
                for version in versions {
                    let begun = self.dates.get(version["VersionId"].as_str().unwrap());
                    version["CreatedDate"] = json!(begun.copied().unwrap_or(now() - 40 * DAY));
                }
            }
            _ => unreachable!("{operation} is not mended"),
        }
    }

    fn mend_secret(&self, secret: &mut Json, versions: &str) {
        if let Some(id) = self.pending.as_ref().filter(|_| !self.valued) {
            secret[versions][id] = json!(["AWSPENDING"]);
        }
        secret["RotationEnabled"] = json!(self.enabled);
        secret["LastRotatedDate"] = json!(self.rotated);
    }
}

fn halves(whole: &[u8]) -> (String, &[u8]) {
    let at = whole.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    (String::from_utf8_lossy(&whole[..at]).into_owned(), &whole[at + 4..])
}

/// `whole` with its body changed, when it is a success.
fn mended(whole: &[u8], mend: impl FnOnce(&mut Json)) -> Vec<u8> {
    let (head, body) = halves(whole);
    if !head.starts_with("HTTP/1.1 200") {
        return whole.to_vec();
    }
    let mut body: Json = serde_json::from_slice(body).unwrap();
    mend(&mut body);
    answer(200, &body)
}

fn answer(status: u16, body: &Json) -> Vec<u8> {
    let (body, date) = (body.to_string(), Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
    let head = format!("HTTP/1.1 {status} X\r\ndate: {date}\r\ncontent-type: application/x-amz-json-1.1\r\nconnection: close\r\n");
    format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
