//! GitHub's REST and GraphQL APIs: one authenticated client, a log of what was sent, bounded retries and bounded waiting.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use octocrab::Octocrab;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::budget::Budget;
pub use super::github_failure::Failure;
use super::github_failure::{Ended, not_sent, refused};
pub use super::github_graphql::Omitted;
use super::github_graphql::limited;
pub use super::github_login::Login;
use super::github_pace::{self as pace, Pace};
use crate::model::time::Timestamp;

/// The API root of github.com.
const PUBLIC: &str = "https://api.github.com";
/// Where the REST API of GitHub Enterprise Server is below its `/api`; GraphQL is beside it.
const SERVER: &str = "/v3";
/// Attempts for one request, the first included; waiting for a rate limit is none.
const ATTEMPTS: u32 = 3;
/// Wait before the second attempt; it doubles from there.
const BACKOFF: Duration = Duration::from_millis(200);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(20);

/// A client for one API root and one login.
pub struct Github {
    base: String,
    login: Login,
    rest: OnceLock<Octocrab>,
    graph: OnceLock<Octocrab>,
    pace: Pace,
    budget: Option<Budget>,
    log: Mutex<GithubLog>,
}

/// What was sent since the log was last taken.
#[derive(Default)]
pub struct GithubLog {
    /// Requests sent, retries included; those by which an App fetches its tokens are not.
    pub requests: u64,
    /// Request ids of the answers, in order.
    pub request_ids: Vec<String>,
    /// The source's clock at the first answer.
    pub clock: Option<Timestamp>,
}

/// An answer with a status below 300.
#[derive(Debug)]
pub struct Answer {
    /// The body as received.
    pub body: String,
    /// The route of the next page; [`Failure::ForeignLink`] when it is not below our own root.
    pub next: Option<Result<String, Failure>>,
    /// What the token may do, as GitHub tells of classic ones alone.
    pub scopes: Option<String>,
}

impl std::fmt::Debug for Github {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Github").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Github {
    /// A client of `base_url`, or of github.com, that calls as `login`. Nothing is sent yet.
    #[must_use]
    pub fn new(base_url: Option<&str>, login: Login) -> Self {
        let base = base_url.unwrap_or(PUBLIC).trim_end_matches('/').to_owned();
        Self {
            base,
            login,
            rest: OnceLock::new(),
            graph: OnceLock::new(),
            pace: Pace::default(),
            budget: None,
            log: Mutex::default(),
        }
    }

    /// Waits `budget` at most for rate limits, over all calls; two minutes unless set.
    #[must_use]
    pub fn waiting(mut self, budget: Duration) -> Self {
        self.pace = Pace::of(budget);
        self
    }

    /// Every request takes from `budget` before it is sent, retries included; the one an hour by which an App fetches its token does
    /// not.
    #[must_use]
    pub fn under(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// The App and installation it calls as; `None` for a token, whose holder only the source knows.
    #[must_use]
    pub fn app(&self) -> Option<String> {
        match self.login {
            Login::App { id, installation, .. } => Some(format!("app {id}, installation {installation}")),
            Login::Token(_) => None,
        }
    }

    /// True for GitHub Enterprise Server, which has no Codespaces.
    #[must_use]
    pub fn is_server(&self) -> bool {
        self.base.ends_with(SERVER)
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

    /// Deletes `route`; gone already is [`Failure::Status`] 404.
    ///
    /// # Errors
    /// Any status but 2xx, and no answer; a lost answer may have taken effect.
    pub async fn delete(&self, route: &str) -> Result<Answer, Failure> {
        self.send("DELETE", route, None).await
    }

    /// Sends `body` to `route` once and never again by itself, for what must not happen twice.
    ///
    /// # Errors
    /// As for [`Self::write`].
    pub async fn write_once(&self, method: &str, route: &str, body: &impl Serialize) -> Result<Answer, Failure> {
        let body = serde_json::to_value(body).map_err(|_| Failure::Shape)?;
        let client = self.client(method)?;
        if let Some(budget) = &self.budget {
            budget.take().await;
        }
        tracing::debug!(method, route, "request");
        let sent = tokio::time::timeout(ANSWER, self.once(client, method, route, Some(&body))).await;
        sent.unwrap_or_else(|_| Err(Failure::NoAnswer.into())).map_err(|Ended(failure, _)| failure)
    }

    /// Sends `body` to `route` by `POST`, and again only after a refusal for the rate, by which nothing was made.
    ///
    /// # Errors
    /// As for [`Self::write`].
    pub async fn create(&self, route: &str, body: &impl Serialize) -> Result<Answer, Failure> {
        let body = serde_json::to_value(body).map_err(|_| Failure::Shape)?;
        self.send_by(self.client("POST")?, ("POST", route), Some(&body), 1).await
    }

    /// Asks `query`, which changes nothing. An answer may hold errors beside data or without: see [`Answer::graph`].
    ///
    /// # Errors
    /// Any status but 2xx, no answer, and a rate limit, which GraphQL tells with status 200.
    pub async fn query(&self, query: &str, variables: &serde_json::Value) -> Result<Answer, Failure> {
        self.send("QUERY", "/graphql", Some(&json!({ "query": query, "variables": variables }))).await
    }

    /// What the App was given in its installation, as the App itself is told; `None` for a token.
    ///
    /// # Errors
    /// Any status but 2xx, and no answer.
    pub async fn installation(&self) -> Result<Option<Answer>, Failure> {
        let Login::App { installation, .. } = &self.login else { return Ok(None) };
        if let Some(client) = self.login.as_app(self.root()?)? {
            let route = format!("/app/installations/{installation}");
            return self.send_by(&client, ("GET", &route), None, ATTEMPTS).await.map(Some);
        }
        Ok(None)
    }

    async fn send(&self, method: &str, route: &str, body: Option<&serde_json::Value>) -> Result<Answer, Failure> {
        self.send_by(self.client(method)?, (method, route), body, ATTEMPTS).await
    }

    async fn send_by(
        &self,
        client: &Octocrab,
        (method, route): (&str, &str),
        body: Option<&serde_json::Value>,
        attempts: u32,
    ) -> Result<Answer, Failure> {
        let mut backoff = BACKOFF;
        let mut attempt = 1;
        loop {
            // Waiting for the budget is not waiting for the answer.
            if let Some(budget) = &self.budget {
                budget.take().await;
            }
            tracing::debug!(method, route, attempt, "request");
            let sent = tokio::time::timeout(ANSWER, self.once(client, method, route, body)).await;
            match sent.unwrap_or_else(|_| Err(Failure::NoAnswer.into())) {
                Err(Ended(_, Some(wait))) if self.pace.take(wait) => tokio::time::sleep(wait).await,
                Err(Ended(failure, _)) if failure.may_pass() && attempt < attempts => {
                    tokio::time::sleep(backoff).await;
                    backoff *= 2;
                    attempt += 1;
                }
                ended => return ended.map_err(|Ended(failure, _)| failure),
            }
        }
    }

    async fn once(&self, client: &Octocrab, method: &str, route: &str, body: Option<&serde_json::Value>) -> Result<Answer, Ended> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).requests += 1;
        let answer = match method {
            "GET" => client._get(route).await,
            "PUT" => client._put(route, body).await,
            "PATCH" => client._patch(route, body).await,
            "DELETE" => client._delete(route, body).await,
            _ => client._post(route, body).await,
        };
        let answer = answer.map_err(|error| not_sent(&error))?;
        let headers = answer.headers().clone();
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        self.note(header("x-github-request-id"), header("date"));
        let status = answer.status().as_u16();
        let body = client.body_to_string(answer).await.map_err(|_| Failure::NoAnswer)?;
        if !(200..=299).contains(&status) {
            return Err(refused(status, header, &body));
        }
        let next = header("link").and_then(next_link).map(|link| self.route(link));
        if method == "QUERY" && limited(&body) {
            return Err(Ended(Failure::Throttled(status), pace::asked(header).or(Some(pace::UNSAID))));
        }
        Ok(Answer { body, next, scopes: header("x-oauth-scopes").map(str::to_owned) })
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

    fn client(&self, method: &str) -> Result<&Octocrab, Failure> {
        let beside = self.base.strip_suffix(SERVER).filter(|_| method == "QUERY");
        let (made, base) = beside.map_or((&self.rest, self.base.as_str()), |base| (&self.graph, base));
        if let Some(client) = made.get() {
            return Ok(client);
        }
        self.root()?;
        let client = self.login.client(base)?;
        Ok(made.get_or_init(|| client))
    }

    /// The API root, when a login may be shown there.
    fn root(&self) -> Result<&str, Failure> {
        if self.base.starts_with("https://") || is_local(&self.base) { Ok(&self.base) } else { Err(Failure::BadRoot) }
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
pub(super) fn is_local(base: &str) -> bool {
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
    use crate::model::secret::Secret;

    #[test]
    fn a_next_page_is_followed_on_our_own_host_alone() {
        let github = Github::new(Some("https://ghe.example.com/api/v3/"), Login::Token(None));
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
            let github = Github::new(Some("http://127.0.0.1:9"), Login::Token(token));
            assert_eq!(github.get("/user").await.err(), Some(Failure::NoToken));
            assert_eq!(github.take_log().requests, 0);
        }
    }

    #[tokio::test]
    async fn every_attempt_takes_from_the_budget() {
        let budget = Budget::slow(100);
        let login = Login::Token(Some(Secret::new(b"token".to_vec())));
        let github = Github::new(Some("http://127.0.0.1:9"), login).under(budget.clone());
        assert_eq!(github.get("/user").await.err(), Some(Failure::NoAnswer));
        assert_eq!((budget.taken(), github.take_log().requests), (u64::from(ATTEMPTS), u64::from(ATTEMPTS)));
    }

    #[test]
    fn a_segment_cannot_become_two() {
        assert_eq!(segment("a/b ü?"), "a%2Fb%20%C3%BC%3F");
    }
}
