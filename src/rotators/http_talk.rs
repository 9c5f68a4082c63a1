//! One declared step is asked of a vendor: where it goes, what fills it in, for how long it is tried, and what its answer must show.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use minijinja::context;
use serde_json::Value as Json;

use super::http::Vendor;
use super::http_answer::{Answer, origin};
use super::http_step::{UNEXPECTED, body, headers};
use crate::model::rotator::{Http as Declared, HttpStep};
use crate::transport::github::segment;
use crate::transport::http::{Reply, class, is_safe};
use crate::transport::template::render;
use crate::world::{ErrorClass, WorldError};

/// What a step's templates are filled with; what is empty is not known there.
#[derive(Clone, Copy, Default)]
pub(super) struct Known<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) id: Option<&'a str>,
    pub(super) value: Option<&'a str>,
    pub(super) next: Option<&'a str>,
    pub(super) page: Option<u32>,
}

/// For how long a step is tried.
pub(super) fn timeout(config: &Declared) -> Duration {
    Duration::from_secs(config.timeout.as_seconds().unsigned_abs())
}

impl Vendor {
    fn context(&self, step: &str, known: Known<'_>) -> Result<minijinja::Value, WorldError> {
        let mut auth = BTreeMap::new();
        for (name, secret) in &self.auth {
            let variable = self.config.auth_env.get(name).map_or("", String::as_str);
            let missing = || self.wrong(ErrorClass::Denied, step, &format!("variable `{variable}` is not set"));
            let secret = secret.as_ref().and_then(|secret| secret.expose_text().ok()).filter(|text| !text.is_empty());
            auth.insert(name.as_str(), secret.ok_or_else(missing)?);
        }
        let Known { name, id, value, next, page } = known;
        let given = [("name", name), ("id", id), ("value", value), ("next", next)];
        let mut all: BTreeMap<&str, minijinja::Value> =
            given.into_iter().filter_map(|(key, text)| Some((key, minijinja::Value::from(text?)))).collect();
        all.extend(page.map(|page| ("page", minijinja::Value::from(page))));
        all.insert("auth", minijinja::Value::from_pairs(auth));
        Ok(minijinja::Value::from_pairs(all))
    }

    /// The address of `step`; what is filled in is encoded, and no secret is.
    pub(super) fn address(&self, name: &str, step: &HttpStep, known: Known<'_>) -> Result<String, WorldError> {
        let [id, title, next] = [known.id, known.name, known.next].map(|text| text.map(segment));
        let filled = match (&id, &title, &next) {
            (Some(id), _, _) => context! { id },
            (_, Some(name), _) => context! { name },
            (_, _, next) => context! { page => known.page, next => next.as_deref().unwrap_or_default() },
        };
        let url = render(&step.url, filled).map_err(|cause| self.wrong(ErrorClass::Permanent, name, &cause))?;
        Ok(url.to_string())
    }

    /// Sends `step` to `url`. Where that harms nothing and the time of the step allows it, a vendor that is too busy is waited for.
    pub(super) async fn talk(&self, name: &str, step: &HttpStep, url: &str, known: Known<'_>) -> Result<Reply, WorldError> {
        if !is_safe(url) || origin(url) != origin(&step.url) {
            return Err(self.wrong(ErrorClass::Permanent, name, "its address is not `https`, or another host's"));
        }
        let filled = self.context(name, known)?;
        let failed = |cause: String| self.wrong(ErrorClass::Permanent, name, &cause);
        let shared = self.config.headers.iter().filter(|(header, _)| name != "validate" && !step.headers.contains_key(*header));
        let mut headers = headers(shared.chain(&step.headers), &filled).map_err(failed)?;
        let body = body(step, &filled).map_err(failed)?;
        headers.extend(body.as_ref().map(|(kind, _)| ("content-type".to_owned(), (*kind).to_owned())));
        let body = body.map(|(_, body)| body).unwrap_or_default();
        let end = Instant::now() + timeout(&self.config);
        loop {
            let sent = self.http.exchange(step.method.as_str(), url, headers.clone(), body.clone());
            let left = end.saturating_duration_since(Instant::now());
            let reply = tokio::time::timeout(left, sent).await.unwrap_or_else(|_| Err("no answer in time".to_owned()));
            let reply = reply.map_err(|cause| self.wrong(ErrorClass::Transient, name, &cause))?;
            let pause = Duration::from_secs(reply.retry_after.unwrap_or(0));
            if reply.status != 429 || name == "create" || pause.is_zero() || Instant::now() + pause >= end {
                return Ok(reply);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// What `reply` says when its status is one of 2xx.
    pub(super) fn answer(&self, name: &str, reply: &Reply) -> Result<Answer, WorldError> {
        if let Some(class) = class(reply.status) {
            return Err(self.wrong(class, name, &format!("HTTP {}", reply.status)));
        }
        let json = if reply.body.is_empty() { Ok(Json::Null) } else { serde_json::from_slice(&reply.body) };
        let json = json.map_err(|_| self.wrong(ErrorClass::Permanent, name, "the answer is not JSON"))?;
        Ok(Answer { now: reply.date, json })
    }

    /// What `reply` says when it is of 2xx and shows what it must.
    pub(super) fn done(&self, name: &str, step: &HttpStep, reply: &Reply) -> Result<Answer, WorldError> {
        let answer = self.answer(name, reply)?;
        if answer.shows(&step.expect) { Ok(answer) } else { Err(self.wrong(ErrorClass::Permanent, name, UNEXPECTED)) }
    }

    /// Has `step` done to what is `known`.
    pub(super) async fn act(&self, name: &str, step: &HttpStep, known: Known<'_>) -> Result<Reply, WorldError> {
        let url = self.address(name, step, known)?;
        self.talk(name, step, &url, known).await
    }
}
