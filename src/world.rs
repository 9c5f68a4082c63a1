//! Every way the core may touch the world, as traits of at most four methods.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::model::blob::Blob;
use crate::model::catalog::SecretRef;
use crate::model::id::{SourceId, VersionId};
use crate::model::receipt::Receipt;
use crate::model::secret::Secret;
use crate::model::snapshot::Population;
use crate::model::time::Timestamp;

/// Our own clock.
pub trait Clock: Send + Sync {
    /// Now, in UTC.
    fn now(&self) -> Timestamp;
}

/// What one collection brought home. It never fails: what was not seen is marked so in the receipt and the populations.
pub struct Collected {
    /// Populations of one scope, resources sorted by id.
    pub populations: Vec<Population>,
    /// Proof of the collection.
    pub receipt: Receipt,
    /// Bytes as received, in the order of `receipt.raw`.
    pub raw: Vec<Blob>,
}

/// Reads facts from one scope of one source.
#[async_trait]
pub trait Collector: Send + Sync {
    /// The collector's name: `secrets-manager`.
    fn name(&self) -> &'static str;
    /// The source it reads.
    fn source(&self) -> &SourceId;
    /// Account and region, organisation, or `.`.
    fn scope(&self) -> &str;
    /// Reads everything in scope.
    async fn collect(&self, clock: &dyn Clock) -> Collected;
}

/// Why touching the world did not work.
#[derive(Debug)]
pub struct WorldError {
    /// The class decides what may be done next.
    pub class: ErrorClass,
    /// The operation and its object: `put version 5b1e… of prod/db`; never a value or a response body.
    pub operation: String,
    /// The vendor's code or one line of cause.
    pub cause: String,
}

/// Classes of failure, by what may be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// Refused for want of permission: hold, ask a person.
    Denied,
    /// The thing named does not exist.
    NotFound,
    /// A compare-and-swap lost, or a write-once name is taken by another value: observe again.
    Conflict,
    /// May work later: throttled, unreachable, lost answer. Whether it took effect is unknown.
    Transient,
    /// Will never work like this: a person must change something.
    Permanent,
}

impl std::fmt::Display for WorldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "could not {}: {}", self.operation, self.cause)
    }
}

impl std::error::Error for WorldError {}

/// One version of a secret as its store lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionView {
    /// Labels attached: `AWSCURRENT`, `AWSPREVIOUS`, `SLM-PENDING`.
    pub labels: Vec<String>,
    /// When it was written, by the store's clock.
    pub created: Timestamp,
}

/// A secret as its store lists it; no value in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretView {
    /// True when the secret itself exists.
    pub exists: bool,
    /// Versions by id. A listed version may still have no value.
    pub versions: BTreeMap<VersionId, VersionView>,
}

impl SecretView {
    /// The version that carries the label of the current one.
    #[must_use]
    pub fn current(&self) -> Option<&VersionId> {
        self.labelled(CURRENT)
    }

    /// The version that carries `label`.
    #[must_use]
    pub fn labelled(&self, label: &str) -> Option<&VersionId> {
        self.versions.iter().find(|(_, view)| view.labels.iter().any(|have| have == label)).map(|(id, _)| id)
    }
}

/// Label of the version in force.
pub const CURRENT: &str = "AWSCURRENT";
/// Label of our own slot; `AWSPENDING` belongs to AWS and is never touched.
pub const PENDING: &str = "SLM-PENDING";

/// A place that keeps secret values in write-once versions.
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// Lists the versions of `secret`; a secret that does not exist is a view with `exists` false.
    async fn describe(&self, secret: &SecretRef) -> Result<SecretView, WorldError>;
    /// Reads one version by id.
    async fn read(&self, secret: &SecretRef, version: &VersionId) -> Result<Secret, WorldError>;
    /// Writes `value` as `version` with the label [`PENDING`], creating the secret when it does not exist. The same value again is
    /// no change; another value under a taken id is [`ErrorClass::Conflict`].
    async fn put(&self, secret: &SecretRef, version: &VersionId, value: &Secret) -> Result<(), WorldError>;
    /// Moves [`CURRENT`] from `from` to `to`; [`ErrorClass::Conflict`] when it is not on `from`.
    async fn promote(&self, secret: &SecretRef, from: Option<&VersionId>, to: &VersionId) -> Result<(), WorldError>;
}

/// What a rotator kind can do; the engine looks at nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Who chooses the value.
    pub issuer: Issuer,
    /// Credentials valid at once.
    pub max_active: u8,
    /// Whether somebody else validates the value, so that it can be tried before promotion.
    pub verifiable: bool,
}

/// Who chooses the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// We do; it can be stored before it takes effect.
    Client,
    /// The server does; it is shown once.
    Server,
}

/// Makes new values for one credential.
#[async_trait]
pub trait Rotator: Send + Sync {
    /// What this kind can do.
    fn capabilities(&self) -> Capabilities;
    /// A new value. For [`Issuer::Client`] this changes nothing outside.
    async fn create(&self) -> Result<Secret, WorldError>;
}

/// What a consumer reports about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerView {
    /// The version that was delivered to it.
    pub stored: Option<VersionId>,
    /// The version it runs.
    pub running: Option<VersionId>,
}

/// A place where a new value must arrive.
#[async_trait]
pub trait Consumer: Send + Sync {
    /// Reads its acknowledgement.
    async fn observe(&self) -> Result<ConsumerView, WorldError>;
    /// Stores `value` as `version`; the same again is no change.
    async fn deliver(&self, version: &VersionId, value: &Secret) -> Result<(), WorldError>;
    /// Has it take `version` into use; the same again is no change.
    async fn activate(&self, version: &VersionId) -> Result<(), WorldError>;
}
