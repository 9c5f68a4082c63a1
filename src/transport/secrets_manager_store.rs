//! AWS Secrets Manager as the place where managed values live: write-once versions named by us.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use aws_config::{Region, SdkConfig};
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::primitives::DateTime;
use aws_sdk_secretsmanager::types::{ReplicationStatusType, StatusType, Tag};
use aws_sdk_secretsmanager::{Client, config};

use super::aws::{Failure, OWNER_TAG, ROTATED_TAG, Wire};
use crate::model::catalog::SecretRef;
use crate::model::id::{SourceId, VersionId};
use crate::model::secret::Secret;
use crate::model::time::{Limit, Timestamp};
use crate::model::{marker, names};
use crate::world::{CURRENT, ErrorClass, LastUse, PENDING, SecretStore, SecretView, VersionView, WorldError};

/// Secrets Manager of one account or more, one client a source and region.
#[derive(Default)]
pub struct SecretsManagerStore {
    reached: BTreeMap<(SourceId, String), (Client, SdkConfig)>,
    /// The same of regions that are only looked at for a replica.
    elsewhere: Mutex<BTreeMap<(SourceId, String), Client>>,
    /// What was listed of a secret that has not changed since.
    listed: Mutex<BTreeMap<SecretRef, Listed>>,
    /// Who we are, as tags on secrets say it.
    owner: Option<String>,
    /// Replicas are asked which version they serve, each in its region.
    asks_replicas: bool,
}

/// The versions of a secret, and what it said of itself just before they were listed. Every new version takes a label, and every
/// label that moves moves the date, so that the same again means the same versions.
struct Listed {
    changed: DateTime,
    labels: Option<HashMap<String, Vec<String>>>,
    created: BTreeMap<VersionId, Timestamp>,
}

impl SecretsManagerStore {
    /// A store that reaches nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The store with `region` of `source` reached by `config`.
    #[must_use]
    pub fn with(mut self, source: SourceId, region: &str, config: &SdkConfig) -> Self {
        self.reached.insert((source, region.to_owned()), (Client::new(config), config.clone()));
        self
    }

    /// The same, that tags what it writes as `owner`'s.
    #[must_use]
    pub fn owned_by(mut self, owner: Option<&str>) -> Self {
        self.owner = owner.map(str::to_owned);
        self
    }

    /// The same, that asks each replica which version it has in force, and does not take the word of the primary that it is in sync.
    #[must_use]
    pub const fn asking_replicas(mut self) -> Self {
        self.asks_replicas = true;
        self
    }

    fn client(&self, secret: &SecretRef) -> Result<&Client, WorldError> {
        self.reach(secret).map(|(client, _)| client)
    }

    fn reach(&self, secret: &SecretRef) -> Result<&(Client, SdkConfig), WorldError> {
        self.reached.get(&(secret.source.clone(), secret.region.clone())).ok_or_else(|| WorldError {
            class: ErrorClass::Permanent,
            operation: format!("reach {}", secret.name),
            cause: format!("region {} of source {} is not in scope", secret.region, secret.source),
        })
    }

    /// Who asks in `region` for a replica of `secret`.
    fn client_elsewhere(&self, secret: &SecretRef, config: &SdkConfig, region: &str) -> Client {
        let mut elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        let there = || Client::from_conf(config::Builder::from(config).region(Region::new(region.to_owned())).build());
        elsewhere.entry((secret.source.clone(), region.to_owned())).or_insert_with(there).clone()
    }

    /// Replicas that do not serve the version in force of `found`: those that say so, those that have another in force, and those that
    /// were not seen, with the reason.
    async fn behind(&self, secret: &SecretRef, found: &DescribeSecretOutput) -> Result<Vec<String>, WorldError> {
        let (_, config) = self.reach(secret)?;
        let current = labelled(found, CURRENT).next();
        let mut behind = Vec::new();
        for replica in found.replication_status() {
            let region = replica.region().unwrap_or("a region without a name");
            if replica.status() != Some(&StatusType::InSync) {
                behind.push(region.to_owned());
                continue;
            }
            if !self.asks_replicas {
                continue;
            }
            let there = self.client_elsewhere(secret, config, region);
            match there.describe_secret().secret_id(&secret.name).send().await {
                Ok(answer) if labelled(&answer, CURRENT).next() == current => {}
                Ok(_) => behind.push(region.to_owned()),
                Err(error) => behind.push(format!("{region} (not seen: {})", Failure::of(&error))),
            }
        }
        Ok(behind)
    }

    /// The versions of what was `found`.
    async fn versions(
        &self,
        secret: &SecretRef,
        found: &DescribeSecretOutput,
    ) -> Result<BTreeMap<VersionId, VersionView>, WorldError> {
        if let Some(versions) = self.unchanged(secret, found) {
            return Ok(versions);
        }
        let doing = || format!("list the versions of {}", secret.name);
        let unclear = |cause: &str| WorldError { class: ErrorClass::Transient, operation: doing(), cause: cause.to_owned() };
        let mut versions = BTreeMap::new();
        let request = self.client(secret)?.list_secret_version_ids().secret_id(&secret.name).include_deprecated(true);
        let mut pages = request.into_paginator().page_size(100).send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Failure::of(&error).during(doing()))?;
            for entry in page.versions() {
                let created = entry.created_date().and_then(|at| Timestamp::new(at.secs(), at.subsec_nanos().cast_signed()).ok());
                let (Some(id), Some(created)) = (entry.version_id(), created) else {
                    return Err(unclear("a version without id or date"));
                };
                let mut labels = entry.version_stages().to_vec();
                labels.sort();
                versions.insert(VersionId::from(id), VersionView { labels, created });
            }
        }
        if found.version_ids_to_stages().into_iter().flatten().any(|(id, _)| !versions.contains_key(id.as_str())) {
            return Err(unclear("the two lists of versions disagree"));
        }
        self.note_listed(secret, found, &versions);
        Ok(versions)
    }

    async fn lookup(client: &Client, secret: &SecretRef, doing: &str) -> Result<Option<DescribeSecretOutput>, WorldError> {
        Self::lookup_at(client, secret, doing).await.map(|(found, _)| found)
    }

    /// The secret, and the store's clock when it answered.
    async fn lookup_at(
        client: &Client,
        secret: &SecretRef,
        doing: &str,
    ) -> Result<(Option<DescribeSecretOutput>, Option<Timestamp>), WorldError> {
        let wire = Wire::default();
        let asked = client.describe_secret().secret_id(&secret.name).customize().interceptor(wire.clone()).send().await;
        let found = match asked {
            Ok(answer) => Ok(Some(answer)),
            Err(error) => match Failure::of(&error) {
                failure if failure.class() == ErrorClass::NotFound => Ok(None),
                failure => Err(failure.during(doing.to_owned())),
            },
        };
        found.map(|found| (found, wire.take().clock))
    }

    /// The versions as they were listed, with the labels of now, when `found` says what it said then.
    fn unchanged(&self, secret: &SecretRef, found: &DescribeSecretOutput) -> Option<BTreeMap<VersionId, VersionView>> {
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let known = listed.get(secret)?;
        if found.last_changed_date() != Some(&known.changed) || found.version_ids_to_stages() != known.labels.as_ref() {
            return None;
        }
        let labels = |id: &VersionId| {
            let mut labels = known.labels.as_ref().and_then(|all| all.get(id.as_str())).cloned().unwrap_or_default();
            labels.sort();
            labels
        };
        Some(
            known.created.iter().map(|(id, created)| (id.clone(), VersionView { labels: labels(id), created: *created })).collect(),
        )
    }

    /// What `found` says, with `versions` of it. What only holds the place of a first value is none of them, and so nothing is in force
    /// while that is labelled so, nor was anything before the first value.
    fn view(
        &self,
        found: &DescribeSecretOutput,
        mut versions: BTreeMap<VersionId, VersionView>,
        now: Option<Timestamp>,
        region: &str,
    ) -> SecretView {
        versions.remove(&names::placeholder());
        SecretView {
            exists: true,
            versions,
            now,
            replica_keys: replica_keys(found),
            read: last_read(found),
            shut: shut(found, region).or_else(|| self.anothers(found)),
            arn: found.arn().map(str::to_owned),
            behind: Vec::new(),
        }
    }

    /// Why somebody else's secret is not ours to write: the tag that its owner put on it.
    fn anothers(&self, found: &DescribeSecretOutput) -> Option<String> {
        let tag = found.tags().iter().find(|tag| tag.key() == Some(OWNER_TAG))?.value().unwrap_or_default();
        (self.owner.as_deref() != Some(tag)).then(|| format!("the secret belongs to `{tag}`, as its tag `{OWNER_TAG}` says"))
    }

    /// Refuses what is not ours.
    fn ours(&self, found: &DescribeSecretOutput, doing: String) -> Result<(), WorldError> {
        not_rotated_by_aws(found, doing.clone())?;
        self.anothers(found).map_or(Ok(()), |cause| Err(WorldError { class: ErrorClass::Permanent, operation: doing, cause }))
    }

    /// `own` and the tag that says whose the secret is.
    fn tags(&self, own: Tag) -> Vec<Tag> {
        let owner = self.owner.as_ref().map(|owner| Tag::builder().key(OWNER_TAG).value(owner).build());
        std::iter::once(own).chain(owner).collect()
    }

    fn note_listed(&self, secret: &SecretRef, found: &DescribeSecretOutput, versions: &BTreeMap<VersionId, VersionView>) {
        let Some(changed) = found.last_changed_date() else { return };
        let created = versions.iter().map(|(id, view)| (id.clone(), view.created)).collect();
        let known = Listed { changed: *changed, labels: found.version_ids_to_stages().cloned(), created };
        self.listed.lock().unwrap_or_else(PoisonError::into_inner).insert(secret.clone(), known);
    }

    /// Creates the secret without a value: a value given here would become current at once.
    async fn create(&self, client: &Client, secret: &SecretRef) -> Result<(), WorldError> {
        let tags = self.tags(Tag::builder().key("slm:managed").value("true").build());
        match client.create_secret().name(&secret.name).set_tags(Some(tags)).send().await {
            Ok(_) => Ok(()),
            Err(error) => match Failure::of(&error) {
                // Somebody else created it meanwhile: as good.
                failure if failure.class() == ErrorClass::Conflict => Ok(()),
                failure => Err(failure.during(format!("create secret {}", secret.name))),
            },
        }
    }

    /// Writes what holds the place of a first value. AWS puts in force whatever is written first, with any label: that must be nothing that
    /// was neither let in nor tried. Where another version has a label already, none is moved by this.
    async fn hold_place(client: &Client, secret: &SecretRef) -> Result<(), WorldError> {
        let doing = || format!("hold the place of the first value of {}", secret.name);
        let wrong = |cause: String| WorldError { class: ErrorClass::Permanent, operation: doing(), cause };
        let place = marker::placeholder().map_err(|cause| wrong(cause.to_string()))?;
        let text = place.expose_text().map_err(|cause| wrong(cause.to_string()))?;
        let request = client.put_secret_value().secret_id(&secret.name).client_request_token(names::placeholder().as_str());
        let request = request.secret_string(text).version_stages(marker::PLACEHOLDER_LABEL);
        request.send().await.map(drop).map_err(|error| Failure::of(&error).during(doing()))
    }

    /// Notes on the secret when the version about to be current came about: `ListSecrets` says neither that nor a rotation that AWS
    /// did not drive. Written before the promotion, and true only while that version is the current one.
    async fn note_rotation(&self, secret: &SecretRef, found: &DescribeSecretOutput, to: &VersionId) -> Result<(), WorldError> {
        let (client, versions) = (self.client(secret)?, self.versions(secret, found).await?);
        let Some(version) = versions.get(to) else { return Ok(()) };
        let doing = || format!("tag {}", secret.name);
        let tag = Tag::builder().key(ROTATED_TAG).value(format!("{to} {}", version.created)).build();
        client
            .tag_resource()
            .secret_id(&secret.name)
            .set_tags(Some(self.tags(tag)))
            .send()
            .await
            .map_err(|error| Failure::of(&error).during(doing()))?;
        Ok(())
    }

    /// Takes [`PENDING`] off `old`, which the write of `version` should have done already.
    async fn settle(client: &Client, secret: &SecretRef, old: &str, version: &VersionId) -> Result<(), WorldError> {
        let doing = format!("move {PENDING} to version {} of {}", short(version), secret.name);
        let now = Self::lookup(client, secret, &doing).await?;
        if !now.as_ref().is_some_and(|now| labelled(now, PENDING).any(|id| id == old)) {
            return Ok(());
        }
        let on_new = now.as_ref().is_some_and(|now| labelled(now, PENDING).any(|id| id == version.as_str()));
        let request =
            client.update_secret_version_stage().secret_id(&secret.name).version_stage(PENDING).remove_from_version_id(old);
        let request = if on_new { request } else { request.move_to_version_id(version.as_str()) };
        request.send().await.map(drop).map_err(|error| Failure::of(&error).during(doing))
    }
}

/// The KMS keys that replicas name, each with its region.
fn replica_keys(found: &DescribeSecretOutput) -> Vec<(String, String)> {
    let key = |replica: &ReplicationStatusType| Some((replica.region()?.to_owned(), replica.kms_key_id()?.to_owned()));
    found.replication_status().iter().filter_map(key).collect()
}

/// AWS tells the day, by UTC, and nothing of a secret that was never read: a day counts as its last second.
fn last_read(found: &DescribeSecretOutput) -> LastUse {
    let Some(day) = found.last_accessed_date() else { return LastUse::Never };
    let last = day.secs() - day.secs().rem_euclid(Limit::DAY) + Limit::DAY - 1;
    Timestamp::from_second(last).map_or(LastUse::Untold, |at| LastUse::At(at, "somebody".to_owned()))
}

/// Why nobody but its owner may write it.
fn shut(found: &DescribeSecretOutput, region: &str) -> Option<String> {
    let elsewhere = found.primary_region().filter(|primary| *primary != region);
    match (found.owning_service().filter(|service| !service.is_empty()), elsewhere) {
        _ if found.deleted_date().is_some() => Some("the secret is to be deleted".to_owned()),
        _ if found.rotation_enabled() == Some(true) => Some("AWS rotates the secret itself".to_owned()),
        (Some(service), _) => Some(format!("the secret belongs to the AWS service `{service}`")),
        (None, Some(primary)) => Some(format!("the secret is a replica of the one in {primary}")),
        (None, None) => None,
    }
}

/// AWS and slm would rotate it against each other.
fn not_rotated_by_aws(found: &DescribeSecretOutput, doing: String) -> Result<(), WorldError> {
    if found.rotation_enabled() == Some(true) {
        let cause = "AWS rotates this secret itself; turn that off, or declare it as such".to_owned();
        return Err(WorldError { class: ErrorClass::Permanent, operation: doing, cause });
    }
    Ok(())
}

/// True when what is written next is not put in force by AWS itself, because it is not the first.
fn is_begun(found: &DescribeSecretOutput) -> bool {
    let listed = found.version_ids_to_stages().is_some_and(|versions| versions.contains_key(names::placeholder().as_str()));
    listed || labelled(found, CURRENT).next().is_some()
}

fn labelled<'a>(answer: &'a DescribeSecretOutput, label: &'a str) -> impl Iterator<Item = &'a str> {
    let versions = answer.version_ids_to_stages().into_iter().flatten();
    versions.filter(move |(_, labels)| labels.iter().any(|have| have == label)).map(|(id, _)| id.as_str())
}

fn short(version: &VersionId) -> String {
    format!("{}…", version.as_str().chars().take(8).collect::<String>())
}

fn conflict(operation: String, cause: &str) -> WorldError {
    WorldError { class: ErrorClass::Conflict, operation, cause: cause.to_owned() }
}

#[async_trait]
impl SecretStore for SecretsManagerStore {
    async fn describe(&self, secret: &SecretRef) -> Result<SecretView, WorldError> {
        let client = self.client(secret)?;
        let doing = || format!("list the versions of {}", secret.name);
        let (found, now) = Self::lookup_at(client, secret, &doing()).await?;
        let Some(found) = found else { return Ok(SecretView { now, ..SecretView::default() }) };
        let versions = self.versions(secret, &found).await?;
        let behind = self.behind(secret, &found).await?;
        Ok(SecretView { behind, ..self.view(&found, versions, now, &secret.region) })
    }

    async fn read(&self, secret: &SecretRef, version: &VersionId) -> Result<Secret, WorldError> {
        let doing = || format!("read version {} of {}", short(version), secret.name);
        let request = self.client(secret)?.get_secret_value().secret_id(&secret.name).version_id(version.as_str());
        let answer = request.send().await.map_err(|error| Failure::of(&error).during(doing()))?;
        let wrong = |class, cause: &str| Err(WorldError { class, operation: doing(), cause: cause.to_owned() });
        match answer.secret_string.map(|value| Secret::new(value.into_bytes())) {
            // By its content: a secret that was copied has it under another name.
            Some(value) if marker::is_placeholder(&value) => {
                wrong(ErrorClass::Permanent, "it only holds the place of a first value; store one")
            }
            Some(value) => Ok(value),
            None => wrong(ErrorClass::NotFound, "the version holds no text"),
        }
    }

    async fn put(&self, secret: &SecretRef, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        let client = self.client(secret)?;
        let doing = || format!("put version {} of {}", short(version), secret.name);
        let text = value.expose_text().map_err(|cause| WorldError {
            class: ErrorClass::Permanent,
            operation: doing(),
            cause: cause.to_string(),
        })?;
        let mut before = None;
        match Self::lookup(client, secret, &doing()).await? {
            None => {
                self.create(client, secret).await?;
                Self::hold_place(client, secret).await?;
            }
            Some(found) => {
                self.ours(&found, doing())?;
                // A version that is listed may be current by now: it is compared, never written again.
                if found.version_ids_to_stages().is_some_and(|versions| versions.contains_key(version.as_str())) {
                    match self.read(secret, version).await {
                        Ok(have) if have.expose() == value.expose() => return Ok(()),
                        Ok(_) => return Err(conflict(doing(), "the version holds another value")),
                        Err(error) if error.class == ErrorClass::NotFound => {}
                        Err(error) => return Err(error),
                    }
                }
                before = labelled(&found, PENDING).find(|id| *id != version.as_str()).map(str::to_owned);
                if !is_begun(&found) {
                    Self::hold_place(client, secret).await?;
                }
            }
        }
        let request = client.put_secret_value().secret_id(&secret.name).client_request_token(version.as_str());
        let request = request.secret_string(text).version_stages(PENDING);
        request.send().await.map_err(|error| Failure::of(&error).during(doing()))?;
        match before {
            Some(old) => Self::settle(client, secret, &old, version).await,
            None => Ok(()),
        }
    }

    async fn promote(&self, secret: &SecretRef, from: Option<&VersionId>, to: &VersionId) -> Result<(), WorldError> {
        let client = self.client(secret)?;
        let doing = || format!("promote version {} of {}", short(to), secret.name);
        let missing = || WorldError { class: ErrorClass::NotFound, operation: doing(), cause: "no such secret".to_owned() };
        let found = Self::lookup(client, secret, &doing()).await?.ok_or_else(missing)?;
        self.ours(&found, doing())?;
        let (now, place) = (labelled(&found, CURRENT).next(), names::placeholder());
        if now.filter(|now| *now != place.as_str()) != from.map(VersionId::as_str) {
            return Err(conflict(doing(), "another version is current"));
        }
        self.note_rotation(secret, &found, to).await?;
        let request = client.update_secret_version_stage().secret_id(&secret.name).version_stage(CURRENT);
        let request = request.move_to_version_id(to.as_str()).set_remove_from_version_id(now.map(str::to_owned));
        request.send().await.map(drop).map_err(|error| match Failure::of(&error) {
            failure if matches!(failure.code.as_deref(), Some("InvalidParameterException" | "InvalidRequestException")) => {
                conflict(doing(), &failure.to_string())
            }
            failure => failure.during(doing()),
        })
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_secretsmanager::primitives::DateTime;

    use super::*;

    #[test]
    fn the_day_of_the_last_reading_counts_to_its_end() {
        let read = |at: Option<i64>| {
            let found = DescribeSecretOutput::builder().set_last_accessed_date(at.map(DateTime::from_secs)).build();
            last_read(&found)
        };
        let midnight = 1_795_478_400; // 2026-11-24T00:00:00Z
        for second in [0, 1, 86_399] {
            let LastUse::At(at, _) = read(Some(midnight + second)) else { panic!("not told") };
            assert_eq!(at.to_string(), "2026-11-24T23:59:59Z");
        }
        assert_eq!(read(None), LastUse::Never);
    }
}
