//! Every way the core may touch the world, as traits of at most four methods.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::model::blob::Blob;
use crate::model::catalog::SecretRef;
use crate::model::id::{ConsumerId, CredentialId, KeyId, RegisterName, RotationId, SourceId, VersionId};
use crate::model::notify::Notice;
use crate::model::readers::Readers;
use crate::model::receipt::Receipt;
pub use crate::model::rotator::{Capabilities, Issuer, Overlap};
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
    /// The value itself is refused for good, and another one may do. Only of [`Target::install`].
    Unfit,
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
    /// The store's clock when it answered; `None` when it does not tell.
    pub now: Option<Timestamp>,
    /// Replicas that do not serve the current version yet, or were not seen to.
    pub behind: Vec<String>,
    /// KMS keys of replicas, each with its region.
    pub replica_keys: Vec<(String, String)>,
    /// When somebody read a value of it last.
    pub read: LastUse,
    /// Why nobody but its owner may write it, if so.
    pub shut: Option<String>,
    /// Its whole name, where it has one beside its own: an ARN.
    pub arn: Option<String>,
}

impl SecretView {
    /// The version that carries the label of the current one.
    #[must_use]
    pub fn current(&self) -> Option<&VersionId> {
        self.labelled(CURRENT)
    }

    /// The version that was in force before.
    #[must_use]
    pub fn previous(&self) -> Option<&VersionId> {
        self.labelled(PREVIOUS)
    }

    /// The version that AWS is about to put in force, and has not.
    #[must_use]
    pub fn under_way(&self) -> Option<(&VersionId, Timestamp)> {
        let is = |labels: &[String], label: &str| labels.iter().any(|have| have == label);
        let mut found = self.versions.iter().filter(|(_, view)| is(&view.labels, AWS_PENDING) && !is(&view.labels, CURRENT));
        found.next().map(|(id, view)| (id, view.created))
    }

    /// The version that carries `label`.
    #[must_use]
    pub fn labelled(&self, label: &str) -> Option<&VersionId> {
        self.versions.iter().find(|(_, view)| view.labels.iter().any(|have| have == label)).map(|(id, _)| id)
    }
}

/// Label of the version in force.
pub const CURRENT: &str = "AWSCURRENT";
/// Label of the version that was in force before.
pub const PREVIOUS: &str = "AWSPREVIOUS";
/// Label of a version that AWS is about to put in force; never touched by us.
pub const AWS_PENDING: &str = "AWSPENDING";
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
    /// no change; another value under a taken id is [`ErrorClass::Conflict`]. Nothing that is written is in force by that, the first
    /// version neither: a store that sees to that itself has something of its own there before, and shows it to nobody.
    async fn put(&self, secret: &SecretRef, version: &VersionId, value: &Secret) -> Result<(), WorldError>;
    /// Moves [`CURRENT`] from `from` to `to`; [`ErrorClass::Conflict`] when it is not on `from`.
    async fn promote(&self, secret: &SecretRef, from: Option<&VersionId>, to: &VersionId) -> Result<(), WorldError>;
}

/// A new credential.
pub struct Fresh {
    /// As its target names it; `None` when there is no target.
    pub key: Option<KeyId>,
    /// What is stored.
    pub value: Secret,
}

/// What the target says to a credential that is shown to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trial {
    /// It lets it in.
    Accepted,
    /// It refuses it, for this reason; never the value.
    Refused(String),
    /// It lets it in as something else than is declared, which is neither ours to use nor to end, and no refusal.
    Elsewhere(String),
    /// It does not refuse it, and what is declared of it does not work, for this reason: of no use, and not seen to be dead.
    Useless(String),
}

/// Makes new credentials and tries them.
#[async_trait]
pub trait Rotator: Send + Sync {
    /// What this kind can do.
    fn capabilities(&self) -> Capabilities;
    /// The name under which the target lists the credential in `value`; `None` when it cannot be told or there is no target.
    fn identify(&self, value: &Secret) -> Option<KeyId>;
    /// A new credential to be kept in `slot`. For [`Issuer::Client`] this changes nothing outside; for [`Issuer::Server`] it must
    /// be sent once and never again by itself. `current` is the value in force.
    async fn create(&self, slot: &VersionId, current: Option<&Secret>) -> Result<Fresh, WorldError>;
    /// Shows `value` to the target.
    async fn verify(&self, value: &Secret) -> Result<Trial, WorldError>;
    /// Where values are let in, as declared, when a refusal there says nothing of what is let in elsewhere; never a value.
    fn place(&self) -> Option<String> {
        None
    }
    /// True when something before the target may refuse for it: a refusal then says nothing of a value while the one in force is
    /// not let in.
    fn refused_on_the_way(&self) -> bool {
        false
    }
}

/// A store that replaces a value by itself when it is asked to; nobody else sees the new value before it is in force.
#[async_trait]
pub trait Keeper: Send + Sync {
    /// Asks for a new value of `secret`, to be kept as `version`; the same again is no change, and one under way is gone on with.
    async fn rotate(&self, secret: &SecretRef, version: &VersionId) -> Result<(), WorldError>;
}

/// One credential as its target lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyView {
    /// Its name there.
    pub id: KeyId,
    /// False when it is refused although it exists.
    pub active: bool,
    /// The version it was made or installed for, when the target keeps that.
    pub version: Option<VersionId>,
    /// When it came about, by the target's clock.
    pub created: Option<Timestamp>,
    /// Its last use by anybody.
    pub last_used: LastUse,
    /// True when it is provably ours to remove.
    pub ours: bool,
}

/// When a credential was used last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LastUse {
    /// The target does not tell.
    #[default]
    Untold,
    /// Never.
    Never,
    /// At this instant by the target's clock, by what it says.
    At(Timestamp, String),
}

/// Every credential at a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The target's clock.
    pub now: Timestamp,
    /// All of them: an incomplete list is an error.
    pub keys: Vec<KeyView>,
}

/// What is done to a credential at its target. Each is the same when done twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyChange {
    /// Refused from now, can be undone.
    Disable,
    /// Let in again.
    Enable,
    /// Gone for ever.
    Delete,
}

/// Where credentials are valid.
#[async_trait]
pub trait Target: Send + Sync {
    /// Lists every credential there.
    async fn list(&self) -> Result<Listing, WorldError>;
    /// Has `value` let in as `version`, over the version `over` that was seen under the same name; [`ErrorClass::Conflict`] when
    /// another is there by now. Only for [`Issuer::Client`].
    async fn install(&self, value: &Secret, version: &VersionId, over: Option<&VersionId>) -> Result<(), WorldError>;
    /// Reads again what was issued as `key`. Only with [`Capabilities::reread`].
    async fn reread(&self, key: &KeyId) -> Result<Secret, WorldError>;
    /// Changes the state of `key`, under which the version `seen` was listed; [`ErrorClass::Conflict`] when another is there by now.
    /// One that does not exist is gone.
    async fn change(&self, key: &KeyId, seen: Option<&VersionId>, change: KeyChange) -> Result<(), WorldError>;
}

/// Names that are written once and never change: who decides first decides for all.
#[async_trait]
pub trait Registers: Send + Sync {
    /// Reads those of `names` that were written.
    async fn read(&self, rotation: &RotationId, names: &[RegisterName]) -> Result<BTreeMap<RegisterName, String>, WorldError>;
    /// Writes `value` unless the register was written; gives what is in it now.
    async fn write_once(&self, rotation: &RotationId, name: &RegisterName, value: &str) -> Result<String, WorldError>;
}

/// One consumer of one credential.
pub type Member = (CredentialId, ConsumerId);

/// Something that several consumers restart, of one credential or of several.
#[async_trait]
pub trait Shared: Send + Sync {
    /// Begins, in one restart, what each of `members` would begin by itself; what was begun is not begun again. That each of them
    /// got there is asked of it afterwards.
    async fn begin(&self, members: &[(Member, VersionId)]) -> Result<(), WorldError>;
}

/// What a consumer reports about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerView {
    /// The version that was delivered to it.
    pub stored: Option<VersionId>,
    /// The version it runs.
    pub running: Option<VersionId>,
    /// Work begun with an earlier version and not ended, one line each.
    pub draining: Vec<String>,
    /// Who must have read the version it runs since that is in force, or it may be running an earlier one; `None` when its word will do.
    pub readers: Option<Readers>,
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
    /// Places that override what is delivered to it, so that nobody would read that; an error says what was not looked at.
    async fn overridden(&self) -> Result<Vec<String>, WorldError> {
        Ok(Vec::new())
    }
}

/// The checkpoint of a commit that was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The commit that it covers.
    pub commit: String,
    /// Entries of the log in it.
    pub size: u64,
    /// Its file.
    pub note: Vec<u8>,
    /// When it says that it was made.
    pub received: Timestamp,
}

/// A place outside the locker that is shown each checkpoint of it.
#[async_trait]
pub trait Anchor: Send + Sync {
    /// Has `sealed` kept or vouched for; the same again is no change. What is given is to be kept in the locker.
    /// [`ErrorClass::Conflict`] when it has another log than ours.
    async fn keep(&self, sealed: &Sealed) -> Result<Option<Vec<u8>>, WorldError>;
    /// The file of the newest checkpoint that it keeps; `None` when there is none, or it keeps nothing itself.
    async fn newest(&self) -> Result<Option<Vec<u8>>, WorldError>;
}

/// A place for bytes that are too long for git, by a name that is made of what is in them.
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// Keeps `bytes` as `name`; false when there is one of that name, which stays as it is.
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<bool, WorldError>;
    /// What is kept as `name`.
    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, WorldError>;
}

/// What one commit adds to the evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// How many commits come before it.
    pub number: u64,
    /// Its name.
    pub commit: String,
    /// Its date.
    pub received: Timestamp,
    /// Its objects that no commit before it has, as git packs them.
    pub pack: Vec<u8>,
    /// The run that it is of.
    pub run: String,
    /// How many resources had which status, in JSON, by control.
    pub controls: Vec<(String, String)>,
}

/// A mirror of the evidence, that it can be rebuilt from.
#[async_trait]
pub trait Sink: Send + Sync {
    /// The commits that are there whole, by number. [`ErrorClass::Conflict`] when two are there under one.
    async fn held(&self) -> Result<BTreeMap<u64, String>, WorldError>;
    /// Keeps `packet`; the same commit again is no change. [`ErrorClass::Conflict`] when another has its number.
    async fn put(&self, packet: &Packet) -> Result<(), WorldError>;
    /// The pack of the commit `number`, which is `commit`.
    async fn get(&self, number: u64, commit: &str) -> Result<Vec<u8>, WorldError>;
    /// Where it keeps what commits point to; what is put there is kept for as long as a commit that was received at `received`.
    fn objects<'a>(&'a self, received: Timestamp) -> Box<dyn ObjectStore + 'a>;
}

/// Tells people.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// True when what is shown can be changed, be found again, and have something below it.
    fn edits(&self) -> bool;
    /// Shows `notice`, below what is at `thread` when that is given; gives where it is. After [`ErrorClass::Transient`] it may be shown
    /// all the same.
    async fn show(&self, notice: &Notice, thread: Option<&str>) -> Result<String, WorldError>;
    /// Makes what is at `place` say `notice`; the same again is no change. [`ErrorClass::NotFound`] when nothing is there any more.
    async fn change(&self, place: &str, notice: &Notice) -> Result<(), WorldError>;
    /// Where a notice with `key` is that was shown since `since`, below `thread` when that is given.
    async fn find(&self, key: &str, thread: Option<&str>, since: Timestamp) -> Result<Option<String>, WorldError>;
}
