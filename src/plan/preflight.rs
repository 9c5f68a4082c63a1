//! Looks ahead before a rotation is begun: what would stop it half-way, from what was observed. What was begun goes on whatever is
//! found, for half done is the worse state; what was not seen holds nothing and is said to be unseen, but for consumers: without seeing
//! them nothing is made.

use super::Input;
use super::choose::{Seen, rotation_of};
use super::{fit, github, needs, rights};
use crate::model::catalog::Credential;
use crate::model::id::VersionId;
use crate::model::plan::Reason;
use crate::model::preflight::{Check, Code, Looked, Obstacle, Sighting};
use crate::model::rotator::{IamAccessKey, RotatorConfig};
use crate::model::snapshot::{CONSUMER_ENTITY, Completeness, Fact, Population, Resource};

/// What a look ahead came to.
#[derive(Default)]
pub(super) struct Found {
    /// What would stop the rotation; empty when nothing is known to.
    pub obstacles: Vec<Obstacle>,
    /// What was looked at, and whether it was seen.
    pub looked: Vec<Looked>,
}

impl Found {
    pub(super) fn stop(&mut self, code: Code, found: String, next: String) {
        self.obstacles.push(Obstacle { code, found, next });
    }

    pub(super) fn note(&mut self, check: Check, about: &str, result: Sighting) {
        self.looked.push(Looked { check, about: about.to_owned(), result });
    }
}

/// Looks ahead of the rotation of `credential`, which is due for `reason` and was `seen`.
pub(super) fn ahead(input: &Input<'_>, credential: &Credential, seen: &Seen<'_>, reason: &Reason) -> Found {
    let mut found = Found::default();
    if matches!(reason, Reason::HalfDone | Reason::InWrongHands { .. }) {
        return found;
    }
    if let Some(resource) = seen.resource {
        store(credential, resource, &mut found);
        owner(input, credential, resource, &mut found);
    }
    let version = seen.resource.and_then(|resource| resource.text("version")).map(VersionId::from);
    let last = version.as_ref().and_then(|version| rotation_of(input, credential, version));
    if version.is_some() && credential.rotator.capabilities().validated() {
        replicas(credential, last, &mut found);
    }
    if let RotatorConfig::AwsIamAccessKey(key) = &credential.rotator {
        // What the last rotation left is ended first, and makes room.
        let ended = last.is_some_and(|rotation| rotation.get("open") == Some(Fact::Bool(false)));
        access_keys(input, credential, key, ended || version.is_none(), &mut found);
    }
    consumers(input, credential, &mut found);
    fit::fit(credential, &mut found);
    needs::answered(input, credential, &mut found);
    rights::answered(input, credential, version.is_some(), &mut found);
    github::answered(input, credential, &mut found);
    found
}

/// The file that declares `credential`.
pub(super) fn file(credential: &Credential) -> String {
    format!("credentials/{}.toml", credential.id)
}

/// Nobody but slm may write where the value lives.
fn store(credential: &Credential, secret: &Resource, found: &mut Found) {
    let (name, file) = (&credential.secret.name, file(credential));
    let by_aws = credential.rotator.aws_managed().is_some();
    if secret.is("rotation_enabled") && !by_aws {
        found.stop(
            Code::RotatedByAws,
            format!("AWS rotates `{name}` itself"),
            format!("run `aws secretsmanager cancel-rotate-secret --secret-id {name}`, or remove `{file}`"),
        );
    }
    if let Some(service) = secret.text("managed_by").filter(|service| !service.is_empty()) {
        found.stop(Code::OwnedByAws, format!("`{name}` belongs to the AWS service `{service}`"), format!("remove `{file}`"));
    }
    if secret.is("deleting") {
        found.stop(
            Code::BeingDeleted,
            format!("`{name}` is to be deleted"),
            format!("run `aws secretsmanager restore-secret --secret-id {name}`, or remove `{file}`"),
        );
    }
    if secret.is("is_replica") {
        found.stop(
            Code::Replica,
            format!("`{name}` in {} is a replica, and only its primary can be written", credential.secret.region),
            format!("name the region of the primary in `{file}`"),
        );
    }
}

/// What another repo writes would be written by two, each against the other.
fn owner(input: &Input<'_>, credential: &Credential, secret: &Resource, found: &mut Found) {
    let own = input.catalog.settings.owner.as_deref();
    let Some(theirs) = secret.text("slm_owner").filter(|theirs| Some(*theirs) != own) else { return };
    let name = &credential.secret.name;
    let next = match own {
        Some(own) => format!(
            "remove `{}` there or here; to take it over, run `aws secretsmanager tag-resource --secret-id {name} --tags Key=slm:owner,Value={own}`",
            file(credential)
        ),
        None => format!("remove `{}`, or say `owner = \"{theirs}\"` in `slm.toml` if this is its repo", file(credential)),
    };
    let who = own.map_or_else(|| "`slm.toml` names no `owner`".to_owned(), |own| format!("this is `{own}`"));
    found.stop(Code::OwnedByAnother, format!("`{name}` belongs to `{theirs}`, as its tag `slm:owner` says, and {who}"), next);
}

/// A replica that is behind would be handed two changes at once, and the old value could not be ended.
fn replicas(credential: &Credential, last: Option<&Resource>, found: &mut Found) {
    match last.and_then(|rotation| rotation.text("behind")) {
        Some("") => {}
        Some(regions) => found.stop(
            Code::ReplicaBehind,
            format!("the replica of `{}` in {regions} does not serve the current version", credential.secret.name),
            "wait until `aws secretsmanager describe-secret` says InSync, or replicate it again".to_owned(),
        ),
        None => found.note(Check::Replicas, credential.id.as_str(), Sighting::Unseen("its versions were not listed".to_owned())),
    }
}

/// IAM must know the user and let one more key in, once what the last rotation left is `ended`.
fn access_keys(input: &Input<'_>, credential: &Credential, key: &IamAccessKey, ended: bool, found: &mut Found) {
    let source = key.source.as_ref().unwrap_or(&credential.secret.source);
    let seen = |entity: &str| -> Result<(), String> {
        let mut all = input.snapshot.populations.iter();
        match all.find(|population| population.entity.as_str() == entity && population.source == *source) {
            None => Err(format!("IAM of source `{source}` was not observed")),
            Some(Population { completeness: Completeness::Incomplete { detail, .. }, .. }) => Err(detail.clone()),
            Some(_) => Ok(()),
        }
    };
    if let Err(why) = seen("Aws::User").and_then(|()| seen("Aws::AccessKey")) {
        return found.note(Check::Slot, credential.id.as_str(), Sighting::Unseen(why));
    }
    let Some(user) = needs::user(input, source, &key.user) else {
        let mend = format!("create the user, or mend `user` in `{}`", file(credential));
        return found.stop(Code::NoSuchUser, format!("source `{source}` has no IAM user `{}`", key.user), mend);
    };
    own_key(input, user.id.as_str(), key, found);
    // The report may be hours old; what was counted just now goes before it.
    let count = match input.facts.counts.get(&credential.id) {
        Some(Ok(now)) => *now,
        _ => needs::listed_keys(input, source, user.id.as_str()),
    };
    // What nobody else can have made is taken away by the rotation itself.
    if needs::is_full(count) && ended && !key.exclusive {
        found.stop(
            Code::NoFreeSlot,
            format!("IAM user `{}` has {count} access keys, all that IAM lets be, and one at least is not slm's", key.user),
            format!(
                "delete the one that nobody uses, or say `exclusive = true` in `{}` if slm alone makes keys there",
                file(credential)
            ),
        );
    }
}

/// A run that signs in with a key of `user` would end its own session on the way.
fn own_key(input: &Input<'_>, user: &str, key: &IamAccessKey, found: &mut Found) {
    if input.snapshot.receipts.iter().any(|receipt| receipt.caller.as_deref() == Some(user)) {
        found.stop(
            Code::OwnKey,
            format!("slm signs in to AWS with a key of `{}` itself", key.user),
            "have it assume a role, or rotate this one from where another identity signs in".to_owned(),
        );
    }
}

/// A value that another one overrides reaches nobody, and where a consumer was asked and not seen nothing is made for it. Where none was
/// asked that is said.
fn consumers(input: &Input<'_>, credential: &Credential, found: &mut Found) {
    let asked: Vec<&Population> =
        input.snapshot.populations.iter().filter(|population| population.entity.as_str() == CONSUMER_ENTITY).collect();
    let seen = |id: &str| {
        let mut all = asked.iter().flat_map(|population| population.resources.iter());
        all.find(|it| it.text("credential") == Some(credential.id.as_str()) && it.text("consumer") == Some(id))
    };
    let is_cut = asked.iter().any(|population| !population.completeness.is_complete());
    let mut unseen = Vec::new();
    for consumer in &credential.consumers {
        match seen(consumer.id.as_str()) {
            None if is_cut => {
                let next = "what the plan says of the source `consumers` has the reason; have it answer".to_owned();
                found.stop(Code::ConsumerUnseen, format!("consumer `{}` was not seen", consumer.id), next);
            }
            None => unseen.push(format!("`{}`", consumer.id)),
            Some(resource) => {
                if let Some(places) = resource.text("overridden") {
                    let next = format!("delete what overrides it, or name the place in `overridden-in` in `{}`", file(credential));
                    found.stop(Code::Overridden, format!("consumer `{}` is overridden by {places}", consumer.id), next);
                }
                if let Some(why) = resource.text("overridden_unseen") {
                    let why = format!("whether `{}` is overridden: {why}", consumer.id);
                    found.note(Check::Consumers, credential.id.as_str(), Sighting::Unseen(why));
                }
            }
        }
    }
    if !unseen.is_empty() {
        found.note(Check::Consumers, credential.id.as_str(), Sighting::Unseen(unseen.join(", ")));
    }
}
