//! A proxy before moto: it counts calls, loses, repeats or refuses one of them, and mends what moto does otherwise than AWS.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It never arrives.
    RequestLost,
    /// It takes effect and nobody learns of it.
    AnswerLost,
    /// It arrives twice, and the second answer is given.
    Twice,
    /// It is refused with this status and code, and has no effect.
    Refused(u16, &'static str),
}

#[derive(Default)]
pub struct State {
    /// Operations asked for, in order.
    pub calls: Vec<String>,
    /// The user agent of each of them.
    pub agents: Vec<String>,
    /// What happens to the call with this number.
    pub fault: Option<(usize, Fault)>,
    /// Kills the process with this id at the first call of this operation: before it takes effect, or after.
    pub kill: Option<(u32, &'static str, bool)>,
    /// When versions of secrets came about, in seconds: moto lists them as made at the time of asking.
    pub created: BTreeMap<String, i64>,
    /// Operations that are refused for want of permission.
    pub denied: BTreeSet<&'static str>,
    /// A region that knows a key only after it was shown it this often.
    pub late: Option<(&'static str, usize)>,
    /// Operations whose answer does not say what time it is.
    pub timeless: BTreeSet<&'static str>,
    /// Access keys that moto lets in although AWS would not.
    ended: BTreeSet<String>,
    /// Held by a conditional write: moto looks first and writes afterwards, and AWS does both at once.
    writing: Arc<Mutex<()>>,
}

/// One proxy; it ends with the process.
#[derive(Clone)]
pub struct Proxy {
    pub endpoint: String,
    state: Arc<Mutex<State>>,
}

impl Proxy {
    pub fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let proxy = Self { endpoint, state: Arc::default() };
        let (state, server) = (Arc::clone(&proxy.state), server.trim_start_matches("http://").to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (state, server) = (Arc::clone(&state), server.clone());
                std::thread::spawn(move || serve(client.unwrap(), &server, &state));
            }
        });
        proxy
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Forgets the calls so far, and lets `fault` happen to the call with that number from now.
    pub fn begin(&self, fault: Option<(usize, Fault)>) {
        let mut state = self.state();
        (state.calls, state.agents, state.fault) = (Vec::new(), Vec::new(), fault);
    }
}

struct Request {
    /// As it came, with `connection: close`.
    bytes: Vec<u8>,
    operation: String,
    /// The key it is signed with.
    key: String,
    /// The region it is signed for.
    region: String,
    agent: String,
    body: String,
}

fn read(client: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let (mut head, mut line, mut length) = (String::new(), String::new(), 0);
    let (mut operation, mut key, mut region, mut agent) = (String::new(), String::new(), String::new(), String::new());
    while reader.read_line(&mut line).ok().filter(|read| *read > 2).is_some() {
        let lower = line.to_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if lower.starts_with("user-agent:") {
            agent = line[11..].trim().to_owned();
        }
        if lower.starts_with("x-amz-target:") {
            operation = line.rsplit('.').next().unwrap().trim().to_owned();
        }
        if let Some(at) = line.find("Credential=") {
            let mut scope = line[at + 11..].split('/');
            key = scope.next().unwrap().to_owned();
            region = scope.nth(1).unwrap_or_default().to_owned();
        }
        if !lower.starts_with("connection:") {
            head.push_str(&line);
        }
        line.clear();
    }
    if head.is_empty() {
        return None;
    }
    // S3 names no operation but by its method.
    if operation.is_empty() {
        operation = head.split(' ').next().unwrap_or_default().to_owned();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let text = String::from_utf8_lossy(&body).into_owned();
    if let Some(action) = text.split('&').find_map(|pair| pair.strip_prefix("Action=")) {
        operation = action.to_owned();
    }
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(b"connection: close\r\n\r\n");
    bytes.extend_from_slice(&body);
    Some(Request { bytes, operation, key, region, agent, body: text })
}

fn ask(server: &str, request: &Request) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.write_all(&request.bytes).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

fn refusal(status: u16, code: &str, operation: &str) -> Vec<u8> {
    // Secrets Manager speaks JSON, IAM and STS XML; the SDK of either finds its own.
    let body = if operation.contains("Secret") || operation.contains("Resource") {
        format!("{{\"__type\":\"{code}\",\"message\":\"no\"}}")
    } else {
        format!("<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>")
    };
    format!(
        "HTTP/1.1 {status} No\r\ndate: Tue, 24 Nov 2026 12:00:00 GMT\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn serve(mut client: TcpStream, server: &str, state: &Mutex<State>) {
    client.set_nodelay(true).unwrap();
    let Some(request) = read(&client) else { return };
    let (fault, ended, denied, late) = {
        let mut state = state.lock().unwrap();
        let number = state.calls.len();
        state.calls.push(request.operation.clone());
        state.agents.push(request.agent.clone());
        let fault = state.fault.filter(|(at, _)| *at == number).map(|(_, fault)| fault);
        let asks = request.operation == "GetCallerIdentity";
        let late = state.late.as_mut().filter(|(region, left)| asks && *region == request.region && *left > 0);
        let late = late.map(|(_, left)| *left -= 1).is_some();
        (fault, state.ended.contains(&request.key), state.denied.contains(request.operation.as_str()), late)
    };
    let kill = state.lock().unwrap().kill.take_if(|(_, operation, _)| *operation == request.operation);
    if let Some((process, _, after)) = kill {
        if after {
            ask(server, &request);
            learn(&request, &mut state.lock().unwrap());
        }
        let killed = std::process::Command::new("kill").args(["-9", &process.to_string()]).status().unwrap();
        assert!(killed.success(), "the process was gone already");
        return;
    }
    let answer = match fault {
        _ if denied => refusal(400, "AccessDeniedException", &request.operation),
        // An inactive or deleted key: moto would let it in.
        _ if ended || late => refusal(403, "InvalidClientTokenId", &request.operation),
        Some(Fault::RequestLost) => return,
        Some(Fault::Refused(status, code)) => refusal(status, code, &request.operation),
        _ => {
            let writing = Arc::clone(&state.lock().unwrap().writing);
            let alone = matches!(request.operation.as_str(), "PUT" | "PutItem").then(|| writing.lock().unwrap());
            let mut answer = ask(server, &request);
            drop(alone);
            if fault == Some(Fault::Twice) {
                answer = ask(server, &request);
            }
            learn(&request, &mut state.lock().unwrap());
            if request.operation == "ListSecretVersionIds" {
                answer = dated(&answer, &state.lock().unwrap().created);
            }
            if fault == Some(Fault::AnswerLost) {
                return;
            }
            answer
        }
    };
    let timeless = state.lock().unwrap().timeless.contains(request.operation.as_str());
    let _ = client.write_all(&if timeless { without_date(&answer) } else { answer });
}

/// `answer` without the header that says when it was given.
fn without_date(answer: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(answer.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let head = head.lines().filter(|line| !line.to_lowercase().starts_with("date:")).collect::<Vec<_>>().join("\r\n");
    format!("{head}\r\n\r\n{body}").into_bytes()
}

/// `answer` with the versions as old as `created` says.
fn dated(answer: &[u8], created: &BTreeMap<String, i64>) -> Vec<u8> {
    let text = String::from_utf8(answer.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let Ok(mut json) = serde_json::from_str::<serde_json::Value>(body) else { return answer.to_vec() };
    for version in json["Versions"].as_array_mut().into_iter().flatten() {
        if let Some(at) = created.get(version["VersionId"].as_str().unwrap()) {
            version["CreatedDate"] = (*at).into();
        }
    }
    let body = json.to_string();
    let head = head.lines().filter(|line| !line.to_lowercase().starts_with("content-length:")).collect::<Vec<_>>().join("\r\n");
    format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Notes which keys AWS would not let in any more.
fn learn(request: &Request, state: &mut State) {
    let field = |name: &str| request.body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap_or("");
    let key = field("AccessKeyId").to_owned();
    match (request.operation.as_str(), field("Status")) {
        ("UpdateAccessKey", "Inactive") | ("DeleteAccessKey", _) => drop(state.ended.insert(key)),
        ("UpdateAccessKey", _) => drop(state.ended.remove(&key)),
        _ => {}
    }
}
