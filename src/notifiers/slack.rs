//! A bot in a channel of Slack: it posts, edits what it posted, and finds it again by the key in its metadata.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::time::Instant;

use crate::model::notify::Notice;
use crate::model::secret::Secret;
use crate::model::time::{Limit, Timestamp};
use crate::transport::http::{Http, class, is_safe};
use crate::world::{ErrorClass, Notifier, WorldError};

/// The API of Slack.
const API: &str = "https://slack.com/api";
/// How long one call may take.
const CALL: Duration = Duration::from_secs(20);
/// The longest answer read: a page of a history with the text of each message.
const LIMIT: usize = 4 << 20;
/// Slack takes one message a second in a channel.
const PACE: Duration = Duration::from_millis(1_050);
/// Waiting that one notifier does in all because Slack asks for it.
const PATIENCE: Duration = Duration::from_secs(120);
/// What is waited for when Slack does not say.
const UNSAID: Duration = Duration::from_secs(30);
/// The kind of metadata that messages of ours carry.
const EVENT: &str = "slm_notice";
/// How far before our clock a message of ours may be dated by theirs.
const SKEW: i64 = 300;
/// Pages of a history that are looked at.
const PAGES: usize = 10;

/// One channel.
pub struct Channel {
    http: Http,
    api: String,
    channel: String,
    token: Secret,
    pace: Mutex<Pace>,
}

/// When the next message may go out, and what is left of the waiting.
struct Pace {
    next: Option<Instant>,
    left: Duration,
}

/// What of an answer is looked at.
#[derive(Deserialize)]
struct Answer {
    ok: bool,
    error: Option<String>,
    ts: Option<String>,
    #[serde(default)]
    messages: Vec<Message>,
    response_metadata: Option<Cursor>,
}

#[derive(Deserialize)]
struct Message {
    ts: String,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    event_type: String,
    #[serde(default)]
    event_payload: Json,
}

#[derive(Deserialize)]
struct Cursor {
    #[serde(default)]
    next_cursor: String,
}

impl Channel {
    /// The channel with the id `channel`, posted to with `token`, at the API root `base`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorClass::Denied`] without a token that could be one, [`ErrorClass::Permanent`] when the API root is not `https`.
    pub fn new(base: Option<&str>, channel: &str, token: Option<Secret>) -> Result<Self, WorldError> {
        let failed = |class, cause: &str| WorldError { class, operation: "reach Slack".to_owned(), cause: cause.to_owned() };
        let api = base.unwrap_or(API).trim_end_matches('/').to_owned();
        if !is_safe(&api) {
            return Err(failed(ErrorClass::Permanent, "its address is not `https`"));
        }
        let usable = |token: &Secret| {
            token.expose_text().is_ok_and(|text| !text.trim().is_empty() && text.trim().bytes().all(|byte| byte.is_ascii_graphic()))
        };
        let token = token
            .filter(usable)
            .ok_or_else(|| failed(ErrorClass::Denied, "there is no token; set the variable or the secret that `slm.toml` names"))?;
        let pace = Mutex::new(Pace { next: None, left: PATIENCE });
        Ok(Self { http: Http::new(CALL).up_to(LIMIT), api, channel: channel.to_owned(), token, pace })
    }

    /// Calls `method` with `body`, as often as Slack asks to come back and there is patience.
    async fn call(&self, method: &str, body: &Json, operation: &str) -> Result<Answer, WorldError> {
        let failed = |class, cause: String| WorldError { class, operation: operation.to_owned(), cause };
        let bearer = format!("Bearer {}", self.token.expose_text().unwrap_or_default().trim());
        let bytes = serde_json::to_vec(body).map_err(|_| failed(ErrorClass::Permanent, "it has no JSON".to_owned()))?;
        loop {
            let headers = vec![
                ("authorization".to_owned(), bearer.clone()),
                ("content-type".to_owned(), "application/json; charset=utf-8".to_owned()),
            ];
            tracing::debug!(method, operation, "request");
            let sent = self.http.exchange("POST", &format!("{}/{method}", self.api), headers, bytes.clone()).await;
            let reply = sent.map_err(|cause| failed(ErrorClass::Transient, cause))?;
            if reply.status == 429 {
                let wait = reply.retry_after.map_or(UNSAID, Duration::from_secs).max(Duration::from_secs(1));
                if self.spend(wait) {
                    tokio::time::sleep(wait).await;
                    continue;
                }
                return Err(failed(ErrorClass::Transient, format!("Slack takes no more for {} s", wait.as_secs())));
            }
            if let Some(class) = class(reply.status) {
                return Err(failed(class, format!("HTTP {}", reply.status)));
            }
            let answer: Answer = serde_json::from_slice(&reply.body)
                .map_err(|_| failed(ErrorClass::Transient, "the answer is not as Slack writes it".to_owned()))?;
            return if answer.ok { Ok(answer) } else { Err(refused(answer.error.as_deref(), operation)) };
        }
    }

    /// Takes `wait` from the patience; false when there is less.
    fn spend(&self, wait: Duration) -> bool {
        let mut pace = self.pace.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match pace.left.checked_sub(wait) {
            Some(left) => {
                pace.left = left;
                true
            }
            None => false,
        }
    }

    /// Waits until a message may go out.
    async fn turn(&self) {
        let now = Instant::now();
        let at = {
            let mut pace = self.pace.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let at = pace.next.map_or(now, |next| next.max(now));
            pace.next = Some(at + PACE);
            at
        };
        tokio::time::sleep_until(at).await;
    }

    /// The next message goes out later than a second from now: Slack counts from when it took this one, which may be long after it was
    /// sent.
    fn taken(&self) {
        let mut pace = self.pace.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        pace.next = Some(Instant::now() + PACE);
    }

    fn body(&self, notice: &Notice) -> Json {
        let mut body = notice.body.clone();
        body["channel"] = json!(self.channel);
        // Nothing is made a link or a mention that is not written as one, and nothing is fetched to be shown.
        body["parse"] = json!("none");
        body["link_names"] = json!(false);
        body["unfurl_links"] = json!(false);
        body["unfurl_media"] = json!(false);
        body["metadata"] = json!({ "event_type": EVENT, "event_payload": { "key": notice.key } });
        body
    }
}

/// What Slack's word for a refusal means. The word is from its own list, never what was sent.
fn refused(word: Option<&str>, operation: &str) -> WorldError {
    let plain = |word: &&str| {
        word.len() <= 60 && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let word = word.filter(plain).unwrap_or("an error without a name");
    let class = match word {
        "message_not_found" | "thread_not_found" | "cant_update_message" | "edit_window_closed" => ErrorClass::NotFound,
        "ratelimited" | "rate_limited" | "internal_error" | "fatal_error" | "service_unavailable" | "request_timeout" => {
            ErrorClass::Transient
        }
        "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired" | "no_permission"
        | "missing_scope" | "not_in_channel" | "channel_not_found" | "is_archived" | "restricted_action" | "ekm_access_denied" => {
            ErrorClass::Denied
        }
        _ => ErrorClass::Permanent,
    };
    WorldError { class, operation: operation.to_owned(), cause: format!("Slack says `{word}`") }
}

#[async_trait]
impl Notifier for Channel {
    fn edits(&self) -> bool {
        true
    }

    async fn show(&self, notice: &Notice, thread: Option<&str>) -> Result<String, WorldError> {
        let mut body = self.body(notice);
        if let Some(thread) = thread {
            body["thread_ts"] = json!(thread);
        }
        let operation = format!("post to channel `{}` of Slack", self.channel);
        self.turn().await;
        let answer = self.call("chat.postMessage", &body, &operation).await;
        self.taken();
        let answer = answer?;
        answer.ts.ok_or_else(|| WorldError {
            class: ErrorClass::Transient,
            operation,
            cause: "the answer does not say where it is".to_owned(),
        })
    }

    async fn change(&self, place: &str, notice: &Notice) -> Result<(), WorldError> {
        let mut body = self.body(notice);
        body["ts"] = json!(place);
        for only_when_posting in ["unfurl_links", "unfurl_media"] {
            body.as_object_mut().map(|body| body.remove(only_when_posting));
        }
        self.turn().await;
        let operation = format!("change a message in channel `{}` of Slack", self.channel);
        let changed = self.call("chat.update", &body, &operation).await;
        self.taken();
        changed.map(drop)
    }

    async fn find(&self, key: &str, thread: Option<&str>, since: Timestamp) -> Result<Option<String>, WorldError> {
        let operation = format!("look for a message in channel `{}` of Slack", self.channel);
        let oldest = Limit::seconds(-SKEW).after(since).as_second();
        let mut body = json!({
            "channel": self.channel, "oldest": format!("{oldest}.000000"), "limit": 100, "include_all_metadata": true, "inclusive": true,
        });
        let method = if thread.is_some() { "conversations.replies" } else { "conversations.history" };
        if let Some(thread) = thread {
            body["ts"] = json!(thread);
        }
        let is_it = |message: &&Message| {
            message.metadata.as_ref().is_some_and(|of| of.event_type == EVENT && of.event_payload["key"] == key)
        };
        for _ in 0..PAGES {
            let answer = self.call(method, &body, &operation).await?;
            if let Some(found) = answer.messages.iter().find(is_it) {
                return Ok(Some(found.ts.clone()));
            }
            match answer.response_metadata.map(|cursor| cursor.next_cursor).filter(|cursor| !cursor.is_empty()) {
                Some(cursor) => body["cursor"] = json!(cursor),
                None => return Ok(None),
            }
        }
        // Not seen is not absent: whoever asks again may have less to look through.
        let cause = format!("it is not among the last {} messages, and there are more", PAGES * 100);
        Err(WorldError { class: ErrorClass::Transient, operation, cause })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_the_word_of_slack_and_nothing_else() {
        let of = |word| {
            let error = refused(word, "post");
            (error.class, error.cause)
        };
        assert_eq!(of(Some("invalid_auth")), (ErrorClass::Denied, "Slack says `invalid_auth`".to_owned()));
        assert_eq!(of(Some("message_not_found")).0, ErrorClass::NotFound);
        assert_eq!(of(Some("ratelimited")).0, ErrorClass::Transient);
        assert_eq!(of(Some("canary <b>")), (ErrorClass::Permanent, "Slack says `an error without a name`".to_owned()));
        assert_eq!(of(None).0, ErrorClass::Permanent);
    }

    #[test]
    fn without_a_token_or_over_plain_http_nothing_is_reached() {
        let token = |text: &str| Some(Secret::new(text.as_bytes().to_vec()));
        let of = |base, token| Channel::new(base, "C0123456789", token).err().map(|error| (error.class, error.cause));
        assert_eq!(
            of(Some("http://slack.example.com"), token("t")),
            Some((ErrorClass::Permanent, "its address is not `https`".to_owned()))
        );
        for missing in [None, token(""), token("a b\n")] {
            assert_eq!(of(None, missing).map(|(class, _)| class), Some(ErrorClass::Denied));
        }
        assert_eq!(of(None, token("xoxb\n")), None, "a line break at its end is the file's");
    }
}
