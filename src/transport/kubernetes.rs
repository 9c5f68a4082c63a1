//! The API of Kubernetes over plain HTTPS: reading one object, server-side apply, and merging into an object that was read.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::http::{Http, Reply, class};
use crate::model::secret::Secret;
use crate::world::{ErrorClass, WorldError};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The longest object read: etcd keeps none above 1.5 MB.
const LIMIT: usize = 2 * 1024 * 1024;
/// Requests sent for one, when the server has too much to do.
const TRIES: u32 = 3;
/// The longest pause it may ask for; a longer one is left to a later run.
const PATIENCE: Duration = Duration::from_secs(5);
/// What is read of an object whose content nobody needs to see: a Secret.
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/// The same of a list.
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// A method, with the type of what is sent.
type Verb = (&'static str, &'static str);
const GET: Verb = ("GET", "");
const APPLY: Verb = ("PATCH", "application/apply-patch+yaml");
const MERGE: Verb = ("PATCH", "application/merge-patch+json");

/// One API server.
pub struct Kubernetes {
    http: Http,
    server: String,
    token: Secret,
}

/// What is applied: the fields in `body`, and nothing else of the object.
pub struct Applied<'a> {
    /// Under this name the fields are ours.
    pub manager: &'a str,
    /// Takes them from whoever has them.
    pub force: bool,
    /// The object, as JSON.
    pub body: Zeroizing<String>,
}

/// The part of a refusal that is looked at.
#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    details: Details,
}

#[derive(Default, Deserialize)]
struct Details {
    #[serde(default)]
    causes: Vec<Cause>,
}

#[derive(Deserialize)]
struct Cause {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    field: String,
}

impl Kubernetes {
    /// The server at `server`, vouched for by the certificates in `ca_file`, a path from `root`, or by the roots of this machine.
    ///
    /// # Errors
    /// Why the file vouches for nobody, in a few words.
    pub fn new(server: &str, root: &Path, ca_file: Option<&str>, token: Secret) -> Result<Self, String> {
        let http = Http::vouched_for(TIMEOUT, root, ca_file)?;
        Ok(Self { http: http.up_to(LIMIT), server: server.trim_end_matches('/').to_owned(), token })
    }

    /// The object at `path`; `None` when there is none.
    ///
    /// # Errors
    /// A refusal or no answer, by class; an object of another shape is [`ErrorClass::Permanent`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str, operation: &str) -> Result<Option<T>, WorldError> {
        self.read(path, "application/json", operation).await
    }

    /// The metadata of the object at `path`; its content is not sent.
    ///
    /// # Errors
    /// As [`Kubernetes::get`].
    pub async fn metadata<T: DeserializeOwned>(&self, path: &str, operation: &str) -> Result<Option<T>, WorldError> {
        self.read(path, METADATA, operation).await
    }

    /// The metadata of the objects that `path` lists; `None` when there is no such list.
    ///
    /// # Errors
    /// As [`Kubernetes::get`].
    pub async fn list<T: DeserializeOwned>(&self, path: &str, operation: &str) -> Result<Option<T>, WorldError> {
        self.read(path, METADATA_LIST, operation).await
    }

    async fn read<T: DeserializeOwned>(&self, path: &str, accept: &str, operation: &str) -> Result<Option<T>, WorldError> {
        let answer = self.send(GET, path, accept, "", operation).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        let answer = checked(answer, operation)?;
        let object = serde_json::from_slice(&answer.body);
        object.map(Some).map_err(|_| failed(ErrorClass::Permanent, operation, "the object has another shape".to_owned()))
    }

    /// Applies `what` to the object at `path`.
    ///
    /// # Errors
    /// [`ErrorClass::Permanent`] when a field belongs to another manager; [`ErrorClass::Conflict`] when the object is not the one it
    /// was; any other refusal by class.
    pub async fn apply(&self, path: &str, what: Applied<'_>, operation: &str) -> Result<(), WorldError> {
        let path = format!("{path}?fieldManager={}&force={}", what.manager, what.force);
        checked(self.send(APPLY, &path, METADATA, &what.body, operation).await?, operation).map(drop)
    }

    /// Merges `body` into the object at `path`, over the version of it that `body` names.
    ///
    /// # Errors
    /// [`ErrorClass::Conflict`] when the object is not the one it was; any other refusal by class.
    pub async fn merge(&self, path: &str, manager: &str, body: &str, operation: &str) -> Result<(), WorldError> {
        let path = format!("{path}?fieldManager={manager}");
        checked(self.send(MERGE, &path, METADATA, body, operation).await?, operation).map(drop)
    }

    /// Sends one request; again when the server says how soon. Reading and applying are the same when done twice, and what is merged
    /// names the version it is merged over.
    async fn send(&self, verb: Verb, path: &str, accept: &str, body: &str, what: &str) -> Result<Reply, WorldError> {
        let token = self.token.expose_text().map_err(|error| failed(ErrorClass::Denied, what, error.to_string()))?;
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut headers = vec![header("authorization", &format!("Bearer {token}")), header("accept", accept)];
        let (method, content) = verb;
        if !content.is_empty() {
            headers.push(header("content-type", content));
        }
        let url = format!("{}{path}", self.server);
        let mut tries = 1;
        loop {
            let answer = self.http.exchange(method, &url, headers.clone(), body.as_bytes().to_vec()).await;
            let answer = answer.map_err(|cause| failed(ErrorClass::Transient, what, cause))?;
            match answer.retry_after.map(Duration::from_secs).filter(|pause| *pause <= PATIENCE) {
                Some(pause) if matches!(answer.status, 429 | 503) && tries < TRIES => tokio::time::sleep(pause).await,
                _ => return Ok(answer),
            }
            tries += 1;
        }
    }
}

fn failed(class: ErrorClass, operation: &str, cause: String) -> WorldError {
    WorldError { class, operation: operation.to_owned(), cause }
}

/// `answer`, unless it is a refusal.
fn checked(answer: Reply, operation: &str) -> Result<Reply, WorldError> {
    let Some(class) = class(answer.status) else { return Ok(answer) };
    if answer.status == 409
        && let Some(owner) = serde_json::from_slice(&answer.body).ok().and_then(foreign)
    {
        return Err(failed(ErrorClass::Permanent, operation, owner));
    }
    Err(failed(class, operation, format!("HTTP {}", answer.status)))
}

/// Whose field was to be written; names alone, and none with letters that names do not have.
fn foreign(status: Status) -> Option<String> {
    let cause = status.details.causes.into_iter().find(|cause| cause.reason == "FieldManagerConflict")?;
    let plain = |text: &str| {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
        !text.is_empty() && text.len() <= 128 && text.bytes().all(good)
    };
    let owner = cause.message.split('"').nth(1).filter(|owner| plain(owner)).unwrap_or("another");
    let field = if plain(&cause.field) { cause.field.as_str() } else { "of it" };
    Some(format!("field `{field}` belongs to field manager `{owner}`"))
}
