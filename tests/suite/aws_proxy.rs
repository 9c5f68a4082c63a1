//! A proxy before moto: it counts calls, loses, repeats or refuses one of them, and mends what moto does otherwise than AWS.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It never arrives.
    RequestLost,
    /// It takes effect and nobody learns of it.
    AnswerLost,
    /// It arrives twice, and the second answer is given.
    Twice,
    /// It is refused with this status and code, and has no effect. A program ends with the status, or replies with the code as class.
    Refused(u16, &'static str),
    /// It arrives so many milliseconds late, and is answered.
    Late(u64),
    /// Who asked gives up; it arrives all the same, after the call that follows: two clients, in the other order.
    Overtaken,
    /// A question is answered as it was the last time it was put, whatever happened since.
    Stale,
}

/// How long a call waits for its like through the other door.
const PATIENCE: Duration = Duration::from_secs(20);

/// True when nothing is changed by a call of this name, which is an action of AWS or the method of a request.
pub fn asks(operation: &str) -> bool {
    operation == "GET" || ["Get", "List", "Describe", "Query", "Simulate"].iter().any(|verb| operation.starts_with(verb))
}

/// A call that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The first one of this operation.
    First(&'static str),
    /// The one with this number.
    Number(usize),
}

#[derive(Default)]
pub struct State {
    /// Operations asked for, in order.
    pub calls: Vec<String>,
    /// The user agent of each of them.
    pub agents: Vec<String>,
    /// Operations whose first call through each door waits for one through the other, but for no longer than [`PATIENCE`].
    pub together: BTreeSet<&'static str>,
    /// The doors that calls of those came through: 0, or 1 for the one [`Proxy::beside`].
    pub came: BTreeMap<&'static str, BTreeSet<usize>>,
    /// Keys that calls of each operation were signed with.
    pub signed: BTreeMap<String, BTreeSet<String>>,
    /// What happens to a call.
    pub fault: Option<(At, Fault)>,
    /// What happens to further calls, by their number.
    pub script: BTreeMap<usize, Fault>,
    /// Kills the process with this id at a call: before it takes effect, or after.
    pub kill: Option<(u32, At, bool)>,
    /// When versions of secrets came about, in seconds: moto lists them as made at the time of asking.
    pub created: BTreeMap<String, i64>,
    /// Operations that are refused for want of permission.
    pub denied: BTreeSet<&'static str>,
    /// Looks at a secret that still find its replica in `us-east-1` behind: moto has none, or one that is never behind.
    pub behind: usize,
    /// So many such looks come with each version that is put in force.
    pub lag: usize,
    /// While set, IAM does not tell yet that a key was used: moto tells at once.
    pub unaware: bool,
    /// A region that knows a key only after it was shown it this often.
    pub late: Option<(&'static str, usize)>,
    /// So often a key that was ended is let in once more: IAM is not everywhere at once.
    pub lingers: usize,
    /// Operations whose answer does not say what time it is.
    pub timeless: BTreeSet<&'static str>,
    /// The call before the next one in order, as it is still on its way.
    overtaken: Option<Request>,
    /// The version that has a label of one's own, by secret and label.
    labels: BTreeMap<String, String>,
    /// The last answer to each question, by who put it where.
    answers: BTreeMap<String, Vec<u8>>,
    /// Everything that was sent, but for the bodies that are for Secrets Manager, where values belong.
    pub sent: String,
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
        Self::door(server, 0, Arc::default())
    }

    /// A second door to the same, for another process.
    pub fn beside(&self, server: &str) -> Self {
        Self::door(server, 1, Arc::clone(&self.state))
    }

    fn door(server: &str, door: usize, state: Arc<Mutex<State>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let proxy = Self { endpoint, state };
        let (state, server) = (Arc::clone(&proxy.state), server.trim_start_matches("http://").to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (state, server) = (Arc::clone(&state), server.clone());
                std::thread::spawn(move || serve(client.unwrap(), &server, door, &state));
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
        (state.calls, state.agents, state.fault) =
            (Vec::new(), Vec::new(), fault.map(|(number, fault)| (At::Number(number), fault)));
    }

    /// The same for the first call of `operation`.
    pub fn begin_at(&self, operation: &'static str, fault: Fault) {
        let mut state = self.state();
        (state.calls, state.agents, state.fault) = (Vec::new(), Vec::new(), Some((At::First(operation), fault)));
    }

    /// What was sent so far, and forgets it.
    pub fn sent(&self) -> String {
        std::mem::take(&mut self.state().sent)
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
    head: String,
    body: String,
}

impl Request {
    /// True when nothing is changed by it.
    fn asks(&self) -> bool {
        asks(&self.operation)
    }

    /// True when it is slm's and leaves to AWS which labels a value gets or which version is read, or takes the label of AWS itself.
    fn astray(&self) -> bool {
        let says = |word: &str| self.body.contains(&format!("\"{word}\""));
        let wrong = match self.operation.as_str() {
            "PutSecretValue" => !says("VersionStages") || says("AWSPENDING"),
            "UpdateSecretVersionStage" => says("AWSPENDING"),
            "GetSecretValue" => !says("VersionId") && !says("VersionStage"),
            _ => false,
        };
        wrong && self.agent.contains("app/slm-")
    }

    /// What is asked, where, and by whom.
    fn question(&self) -> String {
        format!("{} {} {} {}", self.key, self.region, self.head.lines().next().unwrap_or_default(), self.body)
    }
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
    let mut bytes = head.clone().into_bytes();
    bytes.extend_from_slice(b"connection: close\r\n\r\n");
    bytes.extend_from_slice(&body);
    Some(Request { bytes, operation, key, region, agent, head, body: text })
}

fn ask(server: &str, request: &Request) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.write_all(&request.bytes).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

fn refusal(status: u16, code: &str, request: &Request) -> Vec<u8> {
    // Whoever is asked by a query, and S3, answers in XML; the SDK of each finds its own, and a header says it to those that look there.
    let json = request.head.to_lowercase().contains("x-amz-target:") || request.head.contains("/functions/");
    let body = if json {
        format!("{{\"__type\":\"{code}\",\"message\":\"no\"}}")
    } else {
        format!("<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>")
    };
    let head = format!("HTTP/1.1 {status} No\r\ndate: Tue, 24 Nov 2026 12:00:00 GMT\r\nx-amzn-errortype: {code}\r\n");
    format!("{head}connection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Lets the first call of some operations through each door go on when one came through the other.
fn wait_for_the_other(request: &Request, door: usize, state: &Mutex<State>) {
    let began = Instant::now();
    let others = || {
        let mut state = state.lock().unwrap();
        let operation = state.together.get(request.operation.as_str()).copied()?;
        let came = state.came.entry(operation).or_default();
        came.insert(door);
        Some(came.len())
    };
    while others() == Some(1) && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn serve(mut client: TcpStream, server: &str, door: usize, state: &Mutex<State>) {
    client.set_nodelay(true).unwrap();
    let Some(request) = read(&client) else { return };
    let (fault, refused, before, kill) = state.lock().unwrap().meet(&request);
    wait_for_the_other(&request, door, state);
    if let Some((process, _, after)) = kill {
        if after {
            delivered(&request, server, state);
        }
        let killed = std::process::Command::new("kill").args(["-9", &process.to_string()]).status().unwrap();
        assert!(killed.success(), "the process was gone already");
        return;
    }
    let answer = match (fault, refused) {
        (_, Some(refusal)) => refusal,
        (Some(Fault::RequestLost), _) => return,
        (Some(Fault::Refused(status, code)), _) => refusal(status, code, &request),
        (Some(Fault::Overtaken), _) => {
            state.lock().unwrap().overtaken = Some(request);
            return;
        }
        (Some(Fault::Stale), _) if request.asks() && state.lock().unwrap().answers.contains_key(&request.question()) => {
            state.lock().unwrap().answers[&request.question()].clone()
        }
        _ => {
            if let Some(Fault::Late(milliseconds)) = fault {
                std::thread::sleep(Duration::from_millis(milliseconds));
            }
            if fault == Some(Fault::Twice) {
                delivered(&request, server, state);
            }
            let answer = delivered(&request, server, state);
            if fault == Some(Fault::AnswerLost) {
                return;
            }
            answer
        }
    };
    if let Some(before) = before {
        delivered(&before, server, state);
    }
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

/// Lets `request` take effect; what the server says to it, as AWS would say it.
fn delivered(request: &Request, server: &str, state: &Mutex<State>) -> Vec<u8> {
    let writing = Arc::clone(&state.lock().unwrap().writing);
    let staging = request.operation == "UpdateSecretVersionStage";
    let alone = (staging || matches!(request.operation.as_str(), "PUT" | "PutItem" | "PutSecretValue" | "CreateAccessKey"))
        .then(|| writing.lock().unwrap());
    if staging && let Some(refusal) = taken(request, &state.lock().unwrap()) {
        return refusal;
    }
    let mut answer = ask(server, request);
    drop(alone);
    let mut state = state.lock().unwrap();
    state.learn(request, &answer);
    match request.operation.as_str() {
        "ListSecretVersionIds" => answer = changed(&answer, |json| dated(json, &state.created)),
        "DescribeSecret" if state.behind > 0 => {
            state.behind -= 1;
            answer =
                changed(&answer, |json| json["ReplicationStatus"] = json!([{ "Region": "us-east-1", "Status": "InProgress" }]));
        }
        "GetAccessKeyLastUsed" if state.unaware => answer = without(&answer, "LastUsedDate"),
        _ => {}
    }
    if request.asks() {
        state.answers.insert(request.question(), answer.clone());
    }
    answer
}

/// `answer` with its JSON changed; as it is when it has none.
fn changed(answer: &[u8], change: impl FnOnce(&mut Json)) -> Vec<u8> {
    let text = String::from_utf8(answer.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let Ok(mut json) = serde_json::from_str::<Json>(body) else { return answer.to_vec() };
    change(&mut json);
    with_body(head, &json.to_string())
}

fn with_body(head: &str, body: &str) -> Vec<u8> {
    let head = head.lines().filter(|line| !line.to_lowercase().starts_with("content-length:")).collect::<Vec<_>>().join("\r\n");
    format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// The versions as old as `created` says.
fn dated(json: &mut Json, created: &BTreeMap<String, i64>) {
    for version in json["Versions"].as_array_mut().into_iter().flatten() {
        if let Some(at) = created.get(version["VersionId"].as_str().unwrap()) {
            version["CreatedDate"] = (*at).into();
        }
    }
}

/// `answer` without the XML element `name`.
fn without(answer: &[u8], name: &str) -> Vec<u8> {
    let text = String::from_utf8(answer.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let (from, to) = (body.find(&format!("<{name}>")), body.find(&format!("</{name}>")));
    let (Some(from), Some(to)) = (from, to) else { return answer.to_vec() };
    with_body(head, &format!("{}{}", &body[..from], &body[to + name.len() + 3..]))
}

/// The refusal of a label of one's own that another version has, unless it is named to give it up: moto leaves it with both.
fn taken(request: &Request, state: &State) -> Option<Vec<u8>> {
    let asked: Json = serde_json::from_str(&request.body).ok()?;
    let (label, to) = (asked["VersionStage"].as_str()?, asked["MoveToVersionId"].as_str()?);
    let owner = state.labels.get(&label_of(&asked, label))?;
    let given = asked["RemoveFromVersionId"].as_str() == Some(owner);
    (owner != to && !given).then(|| refusal(400, "InvalidParameterException", request))
}

/// A label of a secret.
fn label_of(asked: &Json, label: &str) -> String {
    format!("{} {label}", asked["SecretId"].as_str().unwrap_or_default())
}

type Meeting = (Option<Fault>, Option<Vec<u8>>, Option<Request>, Option<(u32, At, bool)>);

impl State {
    /// Counts `request`; what happens to it, how it is refused in any case, what arrives after it, and who is killed at it.
    fn meet(&mut self, request: &Request) -> Meeting {
        let number = self.calls.len();
        let is = |at: At| match at {
            At::First(operation) => operation == request.operation,
            At::Number(at) => at == number,
        };
        let kill = self.kill.take_if(|(_, at, _)| is(*at));
        let fault = self.fault.take_if(|(at, _)| is(*at)).map(|(_, fault)| fault);
        let fault = fault.or_else(|| self.script.remove(&number));
        self.calls.push(request.operation.clone());
        self.agents.push(request.agent.clone());
        self.signed.entry(request.operation.clone()).or_default().insert(request.key.clone());
        self.sent.push_str(&request.head);
        // Where values belong.
        if !request.head.to_lowercase().contains("x-amz-target: secretsmanager.") {
            self.sent.push_str(&request.body);
        }
        let asks = request.operation == "GetCallerIdentity";
        let late = self.late.as_mut().filter(|(region, left)| asks && *region == request.region && *left > 0);
        let late = late.map(|(_, left)| *left -= 1).is_some();
        let lingers = asks && self.lingers > 0 && self.ended.contains(&request.key);
        self.lingers -= usize::from(lingers);
        let refused = if self.denied.contains(request.operation.as_str()) {
            Some(refusal(400, "AccessDeniedException", request))
        } else if request.astray() {
            Some(refusal(400, "InvalidParameterException", request))
        } else if late || (self.ended.contains(&request.key) && !lingers) {
            // An inactive or deleted key: moto would let it in.
            Some(refusal(403, "InvalidClientTokenId", request))
        } else {
            None
        };
        (fault, refused, self.overtaken.take(), kill)
    }

    /// Notes which keys AWS would not let in any more, and which version has a label of one's own.
    fn learn(&mut self, request: &Request, answer: &[u8]) {
        let field = |name: &str| request.body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap_or("");
        let key = field("AccessKeyId").to_owned();
        match (request.operation.as_str(), field("Status")) {
            ("UpdateAccessKey", "Inactive") | ("DeleteAccessKey", _) => drop(self.ended.insert(key)),
            ("UpdateAccessKey", _) => drop(self.ended.remove(&key)),
            ("UpdateSecretVersionStage", _) if request.body.contains("AWSCURRENT") => self.behind = self.behind.max(self.lag),
            ("PutSecretValue" | "UpdateSecretVersionStage", _) if answer.starts_with(b"HTTP/1.1 200") => self.label(&request.body),
            _ => {}
        }
    }

    fn label(&mut self, body: &str) {
        let Ok(asked) = serde_json::from_str::<Json>(body) else { return };
        let stages = asked["VersionStages"].as_array().cloned().unwrap_or_else(|| vec![asked["VersionStage"].clone()]);
        for stage in stages.iter().filter_map(Json::as_str).filter(|stage| !stage.starts_with("AWS")) {
            let label = label_of(&asked, stage);
            match asked["MoveToVersionId"].as_str().or(asked["ClientRequestToken"].as_str()) {
                Some(version) => drop(self.labels.insert(label, version.to_owned())),
                None if self.labels.get(&label).map(String::as_str) == asked["RemoveFromVersionId"].as_str() => {
                    self.labels.remove(&label);
                }
                None => {}
            }
        }
    }
}
