//! What every collector of AWS does the same way: it asks who it is, keeps what was asked and answered, and notes what it did not see.

use std::borrow::Cow;

use aws_config::SdkConfig;
use serde_json::Value as Json;

use crate::model::blob::Blob;
use crate::model::catalog::AwsSource;
use crate::model::id::SourceId;
use crate::model::receipt::{Operation, RawRef, Receipt, Redacted};
use crate::model::snapshot::{Completeness, Population, Resource, Unseen};
use crate::model::time::Timestamp;
use crate::transport::aws::{Failure, Wire, WireLog, identity};
use crate::world::{Clock, Collected};

/// Why something was not seen: the class, and one line for people.
pub(super) type Gap = (Unseen, String);

/// What is kept of an answer and what was taken away; `None` keeps nothing of it.
pub(super) type Kept<'a> = Option<(Cow<'a, [u8]>, Redacted)>;

/// Keeps all of an answer that holds numbers and instants alone.
pub(super) fn all_of(body: &[u8]) -> Kept<'_> {
    Some((body.into(), Redacted::new()))
}

/// One account and region, or `global`: where the answers belong, and how to ask.
pub(super) struct Place {
    pub(super) source: SourceId,
    pub(super) account: String,
    pub(super) scope: String,
    pub(super) config: SdkConfig,
}

/// One collection under way.
pub(super) struct Collection<'p> {
    place: &'p Place,
    collector: &'static str,
    started: Timestamp,
    caller: Option<String>,
    source_clock: Option<Timestamp>,
    /// As of when what was read was so, when that is older than the answers.
    pub(super) effective: Option<Timestamp>,
    foreign: bool,
    operations: Vec<Operation>,
    raw: Vec<Blob>,
    refs: Vec<RawRef>,
    gap: Option<Gap>,
    /// A count of the items from somewhere else than their list.
    pub(super) count: Option<u64>,
}

impl Place {
    /// `region` of `aws`, which is the source `source`, called with `config`.
    pub(super) fn new(source: SourceId, aws: &AwsSource, region: &str, config: SdkConfig) -> Self {
        Self { source, account: aws.account.clone(), scope: format!("{}/{region}", aws.account), config }
    }

    /// Begins a collection by asking who we are there.
    pub(super) async fn begin(&self, collector: &'static str, clock: &dyn Clock) -> Collection<'_> {
        let started = clock.now();
        let (caller, who, asked) = identity(&self.config, &self.account, &self.scope).await;
        let gap = match who {
            Completeness::Complete => None,
            Completeness::Incomplete { cause, detail } => Some((cause, detail)),
        };
        let mut collection = Collection {
            place: self,
            collector,
            started,
            source_clock: None,
            effective: None,
            foreign: matches!(gap, Some((Unseen::Inconsistent, _))),
            operations: Vec::new(),
            raw: Vec::new(),
            refs: Vec::new(),
            gap,
            count: None,
            caller,
        };
        let items = u64::from(collection.caller.is_some());
        collection.log("sts:GetCallerIdentity", Json::Object(serde_json::Map::new()), items, asked);
        collection
    }
}

impl Collection<'_> {
    /// False when the credentials belong to another account.
    ///
    /// INVARIANT: another account is never read as this one.
    pub(super) fn may_read(&self) -> bool {
        !self.foreign
    }

    /// Notes an operation; its answers are its pages.
    pub(super) fn log(&mut self, name: &str, parameters: Json, items: u64, log: WireLog) {
        self.source_clock = self.source_clock.or(log.clock);
        let pages = log.answers;
        self.operations.push(log.operation(name, parameters, pages, items));
    }

    /// Keeps the last answer as `name`, less what `redact` takes away. Of one that was not `understood`, or that `redact` cannot read,
    /// the digest alone is kept: what may be in it is not known. A refusal is no answer.
    pub(super) fn keep(&mut self, wire: &Wire, name: &str, understood: bool, redact: impl FnOnce(&[u8]) -> Kept<'_>) {
        let Some(body) = wire.take_body() else { return };
        let read = if understood { redact(&body.bytes) } else { None };
        let (kept, redacted) = read.unwrap_or_else(|| (Cow::Borrowed(&[]), RawRef::unread()));
        let name = format!("{}/{}/{}/{name}", self.place.source, self.collector, self.place.scope);
        self.refs.push(RawRef::hashed(name, (body.sha256, body.bytes.len() as u64), &kept, redacted));
        self.raw.push(Blob::compressed(&kept));
    }

    /// Notes that something was not seen; the first such thing is the one reported.
    pub(super) fn miss(&mut self, gap: Gap) {
        self.gap.get_or_insert(gap);
    }

    /// Notes an answer that contradicts itself or lacks what it must have.
    pub(super) fn doubt(&mut self, what: &str) {
        self.miss((Unseen::Inconsistent, format!("{what} in {}", self.place.scope)));
    }

    /// Notes that `doing` did not work.
    pub(super) fn failed(&mut self, doing: &str, failure: &Failure) {
        self.miss((failure.unseen(), format!("could not {doing} of {}: {failure}", self.place.scope)));
    }

    /// Ends the collection with what was found; every population is as complete as the whole.
    pub(super) fn end(self, clock: &dyn Clock, found: Vec<(&str, Vec<Resource>)>) -> Collected {
        let completeness = match self.gap {
            None => Completeness::Complete,
            Some((cause, detail)) => Completeness::Incomplete { cause, detail },
        };
        let (source, scope) = (&self.place.source, &self.place.scope);
        let population = |(entity, mut resources): (&str, Vec<Resource>)| {
            resources.sort_by(|a, b| a.id.cmp(&b.id));
            let (source, scope, completeness) = (source.clone(), scope.clone(), completeness.clone());
            Population { source, scope, entity: entity.into(), completeness, resources: resources.into() }
        };
        let populations = found.into_iter().map(population).collect();
        let receipt = Receipt {
            source: source.clone(),
            collector: self.collector.to_owned(),
            scope: scope.clone(),
            caller: self.caller,
            completeness,
            operations: self.operations,
            independent_count: self.count,
            source_clock: self.source_clock,
            effective: self.effective,
            started: self.started,
            ended: clock.now(),
            raw: self.refs,
        };
        Collected { populations, receipt, raw: self.raw }
    }
}
