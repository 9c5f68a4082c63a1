//! The role of a job, which it takes by its own identity.

use std::io::Write as _;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::support::{Request, Server, World};

/// What was asked, each with its authorization.
type Asked = Arc<Mutex<Vec<(String, Option<String>)>>>;

/// The service of the runner that gives a job its token: where it is, and what it was asked.
fn runner() -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/token?api-version=2", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let request = Request::read(stream.try_clone().unwrap()).unwrap();
            shared.lock().unwrap().push((request.asked().to_owned(), request.header("authorization").map(str::to_owned)));
            let body = json!({ "value": format!("{JWT}.e30.x") }).to_string();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).unwrap();
        }
    });
    (url, asked)
}

const JWT: &str = "canary-jwt-82ab-never-shown";
const BEARER: &str = "canary-bearer-17fe-never-shown";

#[test]
fn a_job_takes_its_role_by_its_own_identity_and_neither_token_is_shown() {
    let moto = Server::moto();
    let (url, asked) = runner();
    let world = World::new()
        .with("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/slm-ci")
        .with("ACTIONS_ID_TOKEN_REQUEST_URL", &url)
        .with("ACTIONS_ID_TOKEN_REQUEST_TOKEN", BEARER)
        .with("AWS_EC2_METADATA_DISABLED", "true")
        .with("NO_PROXY", "127.0.0.1");
    world.looks_at(&moto.endpoint);
    world.commit();
    let ran = world.slm(&["plan", "--format", "json", "-vvv", "--log-json"]);
    assert!(ran.out.contains("assumed-role/slm-ci/slm-read"), "{}{}", ran.out, ran.err);
    let asked = asked.lock().unwrap();
    let wanted = ("GET /token?api-version=2&audience=sts.amazonaws.com".to_owned(), Some(format!("Bearer {BEARER}")));
    assert!(!asked.is_empty() && asked.iter().all(|one| *one == wanted), "{asked:?}");
    for canary in [JWT, BEARER] {
        assert!(!ran.out.contains(canary) && !ran.err.contains(canary), "{canary} is shown");
    }
    drop(asked);
    let said = world.slm(&["ci", "doctor", "-vvv"]).exits(0).says("The token says:");
    assert!(!said.out.contains(JWT) && !said.err.contains(JWT) && !said.err.contains(BEARER), "{}{}", said.out, said.err);
}
