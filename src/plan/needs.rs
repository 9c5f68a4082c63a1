//! What a rotation needs of AWS, step by step to its end, and what the answers of AWS mean for it. Pure.

use super::Input;
use super::choose::{rotation_of, see};
use super::preflight::Found;
use super::{github, reach};
use crate::model::catalog::{AwsSource, Credential, SourceKind};
use crate::model::id::{CredentialId, SourceId, VersionId};
use crate::model::plan::{ActionKind, HeldBecause, Plan, Reason};
use crate::model::preflight::{Check, Code, Permission, Sighting, Simulated, Step};
use crate::model::rotator::{IamAccessKey, Overlap, RotatorConfig};
use crate::model::snapshot::Resource;

/// What is done to a secret that exists.
const KEEP: [&str; 6] = [
    "secretsmanager:DescribeSecret",
    "secretsmanager:ListSecretVersionIds",
    "secretsmanager:GetSecretValue",
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecretVersionStage",
    "secretsmanager:TagResource",
];
/// What is done to one that AWS rotates.
const ASK_AWS: [&str; 4] = [
    "secretsmanager:DescribeSecret",
    "secretsmanager:ListSecretVersionIds",
    "secretsmanager:GetSecretValue",
    "secretsmanager:RotateSecret",
];
/// What is done to one that does not, besides.
const CREATE: &str = "secretsmanager:CreateSecret";
/// What Secrets Manager does with a key, in the name of whoever calls.
const ENCRYPT: [&str; 2] = ["kms:Decrypt", "kms:GenerateDataKey"];
/// What is done to the keys of a user, their end included.
const KEYS: [&str; 5] =
    ["iam:ListAccessKeys", "iam:GetAccessKeyLastUsed", "iam:CreateAccessKey", "iam:UpdateAccessKey", "iam:DeleteAccessKey"];

/// Something to ask ahead of a rotation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Steps by the account they are taken in.
    pub steps: Vec<(SourceId, Step)>,
    /// The KMS keys of the secret and of its replicas: source, region and name of each.
    pub keys: Vec<(SourceId, String, String)>,
    /// The IAM user whose keys are as many as may be by a list that may be hours old.
    pub crowded: Option<(SourceId, String)>,
    /// Sources of GitHub that something is changed at, each with the repository, or `None` for the organisation.
    pub places: Vec<(SourceId, Option<String>)>,
}

/// Credentials of `plan` that nobody asked for yet: those that are rotated, and those held for want of a slot by an old list.
#[must_use]
pub fn open(plan: &Plan, input: &Input<'_>) -> Vec<CredentialId> {
    let begun = |reason: &Reason| matches!(reason, Reason::HalfDone | Reason::InWrongHands { .. });
    let planned = plan.actions.iter().filter(|action| !begun(&action.reason)).map(|action| &action.kind);
    let crowded = plan.held.iter().filter(|held| match &held.because {
        HeldBecause::Preflight(obstacles) => obstacles.iter().all(|obstacle| obstacle.code == Code::NoFreeSlot),
        _ => false,
    });
    let all = planned.chain(crowded.map(|held| &held.kind)).filter_map(|kind| match kind {
        ActionKind::Rotate { credential, .. } => Some(credential),
        _ => None,
    });
    all.filter(|id| !input.facts.asked.contains(*id)).cloned().collect()
}

/// What to ask ahead of the rotation of `credential`.
#[must_use]
pub fn needs(input: &Input<'_>, credential: &Credential) -> Needs {
    let mut needs = Needs::default();
    let secret = see(input, credential).resource;
    let source = &credential.secret.source;
    if let Some(account) = account(input, source) {
        let arn = secret.map_or_else(|| new_secret(account, credential), |secret| secret.id.to_string());
        let create = secret.is_none().then_some(CREATE);
        let kept: &[&str] = if credential.rotator.aws_managed().is_some() { &ASK_AWS } else { &KEEP };
        let keep = kept.iter().copied().chain(create).map(|action| Step { action, resource: arn.clone() });
        needs.steps.extend(keep.map(|step| (source.clone(), step)));
        if let Some(key) = secret.and_then(|secret| secret.text("kms_key")) {
            needs.keys.push((source.clone(), credential.secret.region.clone(), key.to_owned()));
            let keyed = ENCRYPT.into_iter().filter(|_| key.contains(":key/"));
            needs.steps.extend(keyed.map(|action| (source.clone(), Step { action, resource: key.to_owned() })));
        }
        needs.keys.extend(replica_keys(input, credential, secret).map(|(region, key)| (source.clone(), region, key)));
    }
    if let RotatorConfig::AwsIamAccessKey(key) = &credential.rotator {
        let source = key.source.as_ref().unwrap_or(source);
        if let Some(account) = account(input, source) {
            let known = user(input, source, &key.user).map(|user| user.id.to_string());
            let arn = known.unwrap_or_else(|| format!("arn:{}:iam::{}:user/{}", partition(account), account.account, key.user));
            needs.crowded = is_full(listed_keys(input, source, &arn)).then(|| (source.clone(), key.user.clone()));
            needs.steps.extend(KEYS.map(|action| (source.clone(), Step { action, resource: arn.clone() })));
        }
    }
    needs.steps.extend(reach::steps(input, credential));
    needs.places = github::places(credential);
    needs
}

/// The keys of the replicas of `secret`, each with its region; those that AWS keeps itself cannot be switched off.
fn replica_keys(input: &Input<'_>, credential: &Credential, secret: Option<&Resource>) -> impl Iterator<Item = (String, String)> {
    let version = secret.and_then(|secret| secret.text("version")).map(VersionId::from);
    let last = version.as_ref().and_then(|version| rotation_of(input, credential, version));
    let keys = last.and_then(|rotation| rotation.text("replica_keys")).unwrap_or_default();
    let pair = |pair: &str| pair.split_once(' ').map(|(region, key)| (region.to_owned(), key.to_owned()));
    let all: Vec<_> = keys.split(", ").filter_map(pair).filter(|(_, key)| !key.contains("alias/aws/")).collect();
    all.into_iter()
}

pub(super) fn account<'a>(input: &'a Input<'_>, source: &SourceId) -> Option<&'a AwsSource> {
    match input.catalog.settings.sources.get(source) {
        Some(SourceKind::Aws(account)) => Some(account),
        _ => None,
    }
}

/// The user `name` of `source`, as IAM's report lists it.
pub(super) fn user<'a>(input: &'a Input<'_>, source: &SourceId, name: &str) -> Option<&'a Resource> {
    let of = input.snapshot.populations.iter().filter(|one| one.entity.as_str() == "Aws::User" && one.source == *source);
    let is_it = |user: &&Resource| user.id.as_str().contains(":user/") && user.id.as_str().rsplit('/').next() == Some(name);
    of.flat_map(|population| population.resources.iter()).find(is_it)
}

/// The access keys of the user `arn`, as the same report lists them.
pub(super) fn listed_keys(input: &Input<'_>, source: &SourceId, arn: &str) -> usize {
    let of = input.snapshot.populations.iter().filter(|one| one.entity.as_str() == "Aws::AccessKey" && one.source == *source);
    let is_its = |key: &&Resource| key.id.as_str().strip_prefix(arn).is_some_and(|slot| slot.starts_with('#'));
    of.flat_map(|population| population.resources.iter()).filter(is_its).count()
}

/// True when IAM lets a user with `count` access keys have no further one.
pub(super) fn is_full(count: usize) -> bool {
    matches!(IamAccessKey::CAPABILITIES.overlap, Overlap::Dual { max } if count >= usize::from(max))
}

/// The ARN of a secret that does not exist yet, with six letters in place of those that AWS will choose.
fn new_secret(account: &AwsSource, credential: &Credential) -> String {
    let (region, name) = (&credential.secret.region, &credential.secret.name);
    format!("arn:{}:secretsmanager:{region}:{}:secret:{name}-aBcDeF", partition(account), account.account)
}

pub(super) fn partition(account: &AwsSource) -> &'static str {
    match account.regions.first().map(String::as_str) {
        Some(region) if region.starts_with("cn-") => "aws-cn",
        Some(region) if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// What the answers say about the rotation of `credential`; nothing when it was not asked for.
pub(super) fn answered(input: &Input<'_>, credential: &Credential, found: &mut Found) {
    if !input.facts.asked.contains(&credential.id) {
        return;
    }
    let needs = needs(input, credential);
    let mut sources: Vec<&SourceId> = needs.steps.iter().map(|(source, _)| source).collect();
    sources.sort();
    sources.dedup();
    for source in sources {
        session(input, credential, source, found);
        let steps: Vec<&Step> = needs.steps.iter().filter(|(of, _)| of == source).map(|(_, step)| step).collect();
        match input.facts.permissions.get(source) {
            Some(Ok(simulated)) => permissions(credential, simulated, &steps, found),
            Some(Err(why)) => found.note(Check::Permissions, source.as_str(), Sighting::Unseen(why.clone())),
            None => found.note(Check::Permissions, source.as_str(), Sighting::Unseen("not simulated".to_owned())),
        }
    }
    let own = &credential.secret.region;
    let of = |region: &String| if region == own { String::new() } else { format!("that of the replica in {region}: ") };
    for (_, region, key) in &needs.keys {
        let whose = if region == own { String::new() } else { format!("the replica in {region} of ") };
        match input.facts.keys.get(&(region.clone(), key.clone())) {
            Some(Ok(None)) => {
                found.note(Check::Key, credential.id.as_str(), Sighting::Seen(format!("{}it can be used", of(region))))
            }
            Some(Ok(Some(state))) => found.stop(
                Code::KeyUnusable,
                format!("the KMS key of {whose}`{}` cannot be used: {state}", credential.secret.name),
                "enable it, or have the secret encrypted by another one".to_owned(),
            ),
            Some(Err(why)) => found.note(Check::Key, credential.id.as_str(), Sighting::Unseen(format!("{}{why}", of(region)))),
            None => found.note(Check::Key, credential.id.as_str(), Sighting::Unseen(format!("{}not described", of(region)))),
        }
    }
}

/// A session that ends sooner than a rotation may take cuts it off; where that is, the next run goes on.
fn session(input: &Input<'_>, credential: &Credential, source: &SourceId, found: &mut Found) {
    let lease = credential.policy.lease;
    let sighting = match input.facts.sessions.get(source) {
        Some(Ok(Some(end))) if lease.after(input.assessment.at) > *end => Sighting::Warned(format!(
            "it ends at {end}, and a rotation may take until {}, its lease: sign in again before, or what is cut off goes on with the next run or `slm resume`",
            lease.after(input.assessment.at)
        )),
        // Whoever applies a saved plan signs in by itself.
        Some(Err(why)) if input.facts.applies => Sighting::Unseen(why.clone()),
        _ => return,
    };
    found.note(Check::Session, source.as_str(), sighting);
}

/// Holds what is denied; what a simulation cannot tell is said, and so is how much it could.
fn permissions(credential: &Credential, simulated: &Simulated, steps: &[&Step], found: &mut Found) {
    let of = |step: &&&Step| simulated.steps.get(**step);
    let denied: Vec<&str> = steps.iter().filter(|step| of(step) == Some(&Permission::Denied)).map(|step| step.action).collect();
    let principal = &simulated.principal;
    if !denied.is_empty() {
        return found.stop(
            Code::NotPermitted,
            format!("`{principal}` may not {}", denied.join(", ")),
            format!("permit it, or it would stop half-way; slm needs {} steps there", steps.len()),
        );
    }
    let doubts: Vec<String> = steps
        .iter()
        .filter_map(|step| match simulated.steps.get(*step) {
            Some(Permission::Unsure(why)) => Some(format!("{} ({why})", step.action)),
            None => Some(format!("{} (no answer)", step.action)),
            _ => None,
        })
        .collect();
    let sighting = if doubts.is_empty() {
        Sighting::Seen(format!("{0} of {0} steps permitted to `{principal}`", steps.len()))
    } else {
        Sighting::Unseen(format!("{} for `{principal}`", doubts.join(", ")))
    };
    found.note(Check::Permissions, credential.id.as_str(), sighting);
}
