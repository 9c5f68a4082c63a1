//! How GitHub is logged in to and how fast it is called: Apps whose signatures are really checked, tokens that end, limits.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value as Json, json};
use slm::model::secret::Secret;
use slm::transport::github::{Failure, Github, Login};

use crate::github_server::{CANARY, Server, TOKEN};

/// An App with a key of its own, and what its tokens are like.
pub struct App {
    pub id: u64,
    pub installation: u64,
    /// How long a token lives, in seconds.
    pub life: i64,
    pub made: u32,
    /// What the installation was given.
    pub permissions: Json,
    /// Since when nothing is let through, if so.
    pub suspended_at: Option<&'static str>,
    folder: tempfile::TempDir,
}

fn openssl(arguments: &[&str]) -> bool {
    Command::new("openssl").args(arguments).output().unwrap().status.success()
}

impl App {
    pub fn new(life: i64) -> Self {
        let (permissions, folder) = (json!({}), tempfile::tempdir().unwrap());
        let app = Self { id: 4242, installation: 100, life, made: 0, permissions, suspended_at: None, folder };
        let [private, public] = ["private.pem", "public.pem"].map(|name| app.path(name).display().to_string());
        assert!(openssl(&["genrsa", "-out", &private, "2048"]));
        assert!(openssl(&["rsa", "-in", &private, "-pubout", "-out", &public]));
        app
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn key(&self) -> Secret {
        Secret::new(std::fs::read(self.path("private.pem")).unwrap())
    }

    /// True of a JWT that this App signed and that is in force at the second `now`.
    fn signed(&self, bearer: &str, now: i64) -> bool {
        let (signed, signature) = bearer.rsplit_once('.').unwrap_or_default();
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
        let claim = |part: &str| serde_json::from_slice::<Json>(&decode(part)).unwrap_or_default();
        let (head, body) = signed.split_once('.').unwrap_or_default();
        let [text, seal, public] = ["signed", "signature", "public.pem"].map(|name| self.path(name));
        std::fs::write(&text, signed).unwrap();
        std::fs::write(&seal, decode(signature)).unwrap();
        let [text, seal, public] = [text, seal, public].map(|path| path.display().to_string());
        let claims = claim(body);
        let [issued, ends] = ["iat", "exp"].map(|name| claims[name].as_i64().unwrap_or_default());
        claim(head)["alg"] == "RS256"
            && claims["iss"] == self.id
            && issued <= now
            && (now..=now + 600).contains(&ends)
            && openssl(&["dgst", "-sha256", "-verify", &public, "-signature", &seal, &text])
    }

    /// What the installation was given, for the App itself.
    pub fn installed(&self, bearer: &str) -> (u16, Json) {
        if !self.signed(bearer, jiff::Timestamp::now().as_second()) {
            return (401, json!({ "message": CANARY }));
        }
        let said = json!({ "id": self.installation, "permissions": self.permissions, "suspended_at": self.suspended_at });
        (200, said)
    }

    /// A token for the bearer of a JWT that this App signed and that is in force: status, token, body.
    pub fn token(&mut self, bearer: &str) -> (u16, Option<String>, Json) {
        let now = jiff::Timestamp::now().as_second();
        if !self.signed(bearer, now) {
            return (401, None, json!({ "message": CANARY }));
        }
        self.made += 1;
        let token = format!("ghs_{}_{CANARY}", self.made);
        let until = jiff::Timestamp::from_second(now + self.life).unwrap().to_string();
        (201, Some(token.clone()), json!({ "token": token, "expires_at": until, "permissions": self.permissions }))
    }
}

fn server_with(app: App) -> (Server, Secret) {
    let (server, key) = (Server::start(), app.key());
    server.with(|state| {
        state.app = Some(app);
        state.tokens.clear();
    });
    server.script("GET /x", 200, "", "{}");
    (server, key)
}

fn log_in(server: &Server, key: Option<Secret>) -> Github {
    server.login(Login::App { id: 4242, installation: 100, key })
}

fn made(server: &Server) -> u32 {
    server.with(|state| state.app.as_ref().unwrap().made)
}

#[tokio::test]
async fn an_app_signs_for_a_token_and_uses_it_while_it_lives() {
    let (server, key) = server_with(App::new(3600));
    let github = log_in(&server, Some(key));
    for _ in 0..3 {
        github.get("/x").await.unwrap();
    }
    assert_eq!((made(&server), github.take_log().requests), (1, 3));
    assert_eq!(github.app().as_deref(), Some("app 4242, installation 100"));
    assert!(!format!("{github:?}").contains(CANARY));
}

#[tokio::test]
async fn a_token_about_to_end_is_replaced_before_it_is_used() {
    let (server, key) = server_with(App::new(20));
    let github = log_in(&server, Some(key));
    github.get("/x").await.unwrap();
    github.get("/x").await.unwrap();
    assert_eq!(made(&server), 2);
}

#[tokio::test]
async fn a_token_that_is_taken_back_is_replaced_once() {
    let (server, key) = server_with(App::new(3600));
    let github = log_in(&server, Some(key));
    github.get("/x").await.unwrap();
    server.with(|state| state.tokens.clear());
    github.get("/x").await.unwrap();
    assert_eq!(made(&server), 2);
}

#[tokio::test]
async fn an_app_with_another_key_or_none_sees_nothing() {
    let (server, _) = server_with(App::new(3600));
    let foreign = log_in(&server, Some(App::new(3600).key()));
    assert_eq!(foreign.get("/x").await.unwrap_err(), Failure::Status(401));
    for key in [None, Some(Secret::new(TOKEN.as_bytes().to_vec()))] {
        assert_eq!(log_in(&server, key).get("/x").await.unwrap_err(), Failure::NoKey);
    }
    assert_eq!(made(&server), 0);
    assert!(server.with(|state| state.seen.iter().all(|seen| seen.starts_with("POST /app/installations/100/"))));
}

#[tokio::test]
async fn a_limit_is_waited_for_as_long_as_the_source_says() {
    for (asked, status, headers, body) in [
        ("GET /x", 403, "retry-after: 1\r\n", "{}"),
        ("GET /x", 429, "retry-after: 1\r\n", "{}"),
        ("GET /x", 403, "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 1795500001\r\n", "{}"),
        ("POST /graphql Q -", 200, "retry-after: 1\r\n", r#"{"errors":[{"type":"RATE_LIMITED","message":"spent"}]}"#),
    ] {
        let (server, began) = (Server::start(), Instant::now());
        for asked in ["GET /x", "POST /graphql Q -"] {
            server.script(asked, 200, "", "{}");
        }
        server.with(|state| state.once.insert(asked.to_owned(), vec![(status, headers.to_owned(), body.to_owned())]));
        let github = server.client();
        let answer =
            if asked.starts_with("GET") { github.get("/x").await } else { github.query("query Q { x }", &json!({})).await };
        assert_eq!(answer.map(|answer| answer.body).as_deref(), Ok("{}"), "{asked} {status}");
        assert!(began.elapsed() >= Duration::from_secs(1), "{asked} {status} {headers}");
        assert_eq!(github.take_log().requests, 2);
    }
}

#[tokio::test]
async fn a_limit_that_lasts_ends_as_throttled_when_the_budget_is_spent() {
    let spoken = r#"{"message":"You have exceeded a secondary rate limit. Please wait."}"#;
    for (status, headers, body, requests) in
        [(429, "retry-after: 3600\r\n", "{}", 1), (403, "retry-after: 1\r\n", "{}", 4), (403, "", spoken, 1), (429, "", "{}", 1)]
    {
        let server = Server::start();
        server.script("GET /x", status, headers, body);
        let github = server.client();
        assert_eq!(github.get("/x").await.unwrap_err(), Failure::Throttled(status), "{headers}");
        assert_eq!(github.take_log().requests, requests, "{headers}");
    }
}

#[tokio::test]
async fn enterprise_server_has_graphql_beside_its_rest_api() {
    let server = Server::start();
    server.with(|state| state.root += "/api/v3");
    server.script("GET /api/v3/x", 200, "", "{}");
    server.script("POST /api/graphql Q -", 200, "", "{}");
    let github = server.client();
    github.get("/x").await.unwrap();
    github.query("query Q { x }", &json!({})).await.unwrap();
    assert!(github.is_server() && !Server::start().client().is_server());
}
