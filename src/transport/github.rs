//! GitHub's REST API: one authenticated client, a log of what was sent, and bounded retries.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use octocrab::Octocrab;
use octocrab::service::middleware::retry::RetryConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use super::github_failure::Failure;
use crate::model::secret::Secret;
use crate::model::time::Timestamp;

/// The API root of github.com.
const PUBLIC: &str = "https://api.github.com";
/// Attempts for one request, the first included.
const ATTEMPTS: u32 = 3;
/// Wait before the second attempt; it doubles from there.
const BACKOFF: Duration = Duration::from_millis(200);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(20);

/// A client for one API root and one token. It calls nobody when it has no token: what an anonymous caller sees is never taken
/// for the whole.
pub struct Github {
    base: String,
    token: Option<Secret>,
    client: OnceLock<Octocrab>,
    log: Mutex<GithubLog>,
}

/// What was sent since the log was last taken.
#[derive(Default)]
pub struct GithubLog {
    /// Requests sent, retries included.
    pub requests: u64,
    /// Request ids of the answers, in order.
    pub request_ids: Vec<String>,
    /// The source's clock at the first answer.
    pub clock: Option<Timestamp>,
}

/// An answer with a status below 300.
pub struct Answer {
    /// The body as received.
    pub body: String,
    /// The route of the next page; [`Failure::ForeignLink`] when it is not below our own root.
    pub next: Option<Result<String, Failure>>,
}

impl std::fmt::Debug for Github {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Github").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Github {
    /// A client of `base_url`, or of github.com, that calls with `token`. Nothing is sent yet.
    #[must_use]
    pub fn new(base_url: Option<&str>, token: Option<Secret>) -> Self {
        let base = base_url.unwrap_or(PUBLIC).trim_end_matches('/').to_owned();
        Self { base, token, client: OnceLock::new(), log: Mutex::default() }
    }

    /// Takes the log and begins a new one.
    #[must_use]
    pub fn take_log(&self) -> GithubLog {
        std::mem::take(&mut *self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads `route`, which begins with `/`.
    ///
    /// # Errors
    /// Any status but 2xx, and no answer.
    pub async fn get(&self, route: &str) -> Result<Answer, Failure> {
        self.send("GET", route, None).await
    }

    /// Sends `body` to `route` by `method`: `PUT`, `POST` or `PATCH`.
    ///
    /// # Errors
    /// Any status but 2xx, and no answer; a lost answer may have taken effect.
    pub async fn write(&self, method: &str, route: &str, body: &impl Serialize) -> Result<Answer, Failure> {
        let body = serde_json::to_value(body).map_err(|_| Failure::Shape)?;
        self.send(method, route, Some(&body)).await
    }

    async fn send(&self, method: &str, route: &str, body: Option<&serde_json::Value>) -> Result<Answer, Failure> {
        let client = self.client()?;
        let mut wait = BACKOFF;
        let mut attempt = 1;
        loop {
            let sent = tokio::time::timeout(ANSWER, self.once(client, method, route, body)).await;
            match sent.unwrap_or(Err(Failure::NoAnswer)) {
                Err(failure) if failure.may_pass() && attempt < ATTEMPTS => {
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                    attempt += 1;
                }
                ended => return ended,
            }
        }
    }

    async fn once(
        &self,
        client: &Octocrab,
        method: &str,
        route: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<Answer, Failure> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).requests += 1;
        let answer = match method {
            "GET" => client._get(route).await,
            "PUT" => client._put(route, body).await,
            "PATCH" => client._patch(route, body).await,
            _ => client._post(route, body).await,
        };
        let answer = answer.map_err(|_| Failure::NoAnswer)?;
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        self.note(header("x-github-request-id"), header("date"));
        let status = answer.status().as_u16();
        let limited = header("retry-after").is_some() || header("x-ratelimit-remaining") == Some("0");
        match status {
            200..=299 => {}
            429 => return Err(Failure::Throttled(status)),
            403 if limited => return Err(Failure::Throttled(status)),
            _ => return Err(Failure::Status(status)),
        }
        let next = header("link").and_then(next_link).map(|link| self.route(link));
        let body = client.body_to_string(answer).await.map_err(|_| Failure::NoAnswer)?;
        Ok(Answer { body, next })
    }

    fn note(&self, id: Option<&str>, date: Option<&str>) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let plain =
            |id: &&str| id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b':'));
        log.request_ids.extend(id.filter(plain).map(str::to_owned));
        if log.clock.is_none() {
            log.clock = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp());
        }
    }

    /// The route of an absolute `link` below our own root; the token never follows one elsewhere.
    fn route(&self, link: &str) -> Result<String, Failure> {
        let route = link.strip_prefix(&self.base).filter(|route| route.starts_with('/'));
        route.map(str::to_owned).ok_or(Failure::ForeignLink)
    }

    fn client(&self) -> Result<&Octocrab, Failure> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        if !self.base.starts_with("https://") && !is_local(&self.base) {
            return Err(Failure::BadRoot);
        }
        let token = self.token.as_ref().and_then(|token| token.expose_text().ok()).map(str::trim);
        // A token that is no header text would make the client panic.
        let usable = |token: &&str| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let token = token.filter(usable).ok_or(Failure::NoToken)?;
        // It fails only when a provider is installed, which is as good.
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let builder = Octocrab::builder().base_uri(self.base.as_str()).map_err(|_| Failure::BadRoot)?;
        let client = builder
            .personal_token(token.to_owned())
            .add_retry_config(RetryConfig::None)
            .set_connect_timeout(Some(Duration::from_secs(3)))
            .build()
            .map_err(|_| Failure::BadRoot)?;
        Ok(self.client.get_or_init(|| client))
    }
}

impl Answer {
    /// The body as `T`.
    ///
    /// # Errors
    /// [`Failure::Shape`], without the body.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(&self.body).map_err(|_| Failure::Shape)
    }
}

/// One segment of a route, with everything but unreserved characters encoded.
#[must_use]
pub fn segment(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// True when `base` is plain HTTP to this machine, as emulators are.
fn is_local(base: &str) -> bool {
    let authority = base.strip_prefix("http://").and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let host = authority.rsplit_once(':').filter(|(_, last)| port(last)).map_or(authority, |(host, _)| host);
    matches!(host, "127.0.0.1" | "localhost" | "[::1]")
}

/// The `rel="next"` address of a `Link` header.
fn next_link(header: &str) -> Option<&str> {
    header.split(',').find_map(|link| {
        let (address, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        parameters.split(';').any(|parameter| matches!(parameter.trim(), "rel=\"next\"" | "rel=next")).then_some(address)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_next_page_is_followed_on_our_own_host_alone() {
        let github = Github::new(Some("https://ghe.example.com/api/v3/"), None);
        let link = next_link(
            "<https://ghe.example.com/api/v3/x?page=1>; rel=\"prev\", <https://ghe.example.com/api/v3/x?page=3>; rel=\"next\"",
        );
        assert_eq!(github.route(link.unwrap()), Ok("/x?page=3".to_owned()));
        for foreign in ["https://ghe.example.com.evil/api/v3/x", "https://ghe.example.com/api/v3.evil/x", "/x", "https://evil/"] {
            assert_eq!(github.route(foreign), Err(Failure::ForeignLink), "{foreign}");
        }
        assert_eq!(next_link("<https://a/b>; rel=\"last\""), None);
    }

    #[test]
    fn a_token_goes_over_plain_http_to_this_machine_alone() {
        for (base, local) in [
            ("http://127.0.0.1:80", true),
            ("http://localhost/api", true),
            ("http://[::1]:8080", true),
            ("http://127.0.0.1.evil", false),
            ("http://127.0.0.1:80@evil", false),
            ("http://example.com", false),
        ] {
            assert_eq!(is_local(base), local, "{base}");
        }
    }

    #[tokio::test]
    async fn nothing_is_sent_without_a_usable_token() {
        for token in [None, Some(""), Some("two\nlines")] {
            let token = token.map(|token| Secret::new(token.as_bytes().to_vec()));
            let github = Github::new(Some("http://127.0.0.1:9"), token);
            assert_eq!(github.get("/user").await.err(), Some(Failure::NoToken));
            assert_eq!(github.take_log().requests, 0);
        }
    }

    #[test]
    fn a_segment_cannot_become_two() {
        assert_eq!(segment("a/b ü?"), "a%2Fb%20%C3%BC%3F");
    }
}
