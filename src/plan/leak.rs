//! Signs that a value is in wrong hands, as far as a credential declares which count: a person ends it, at once.

use super::guard::{Share, guard};
use super::needs::user;
use super::{Input, choose};
use crate::model::catalog::{Credential, LeakTrigger};
use crate::model::plan::{Held, HeldBecause, Reason};
use crate::model::rotator::RotatorConfig;
use crate::model::snapshot::{LEAK_ENTITY, Resource};

/// True when it was written down that the value before the one in force is in wrong hands, and that is not ended yet: who asks again asks
/// for its end, and not for that of the value which replaced it.
#[must_use]
pub fn is_under_way(input: &Input<'_>, credential: &Credential) -> bool {
    let version = choose::see(input, credential).resource.and_then(|resource| resource.text("version")).map(Into::into);
    let rotation = version.and_then(|version| choose::rotation_of(input, credential, &version));
    rotation.is_some_and(|rotation| rotation.is("open") && rotation.instant("before_leaked").is_some())
}

/// Rotations that a sign of a leak asks for. None is begun by itself: to end a value while it is in use is for a person, and for the
/// guard that is asked about it.
pub(super) fn suspected(input: &Input<'_>) -> Vec<Held> {
    input.catalog.credentials.values().filter_map(|credential| one(input, credential)).collect()
}

fn one(input: &Input<'_>, credential: &Credential) -> Option<Held> {
    let sign = credential.leak.iter().find_map(|trigger| match trigger {
        LeakTrigger::AwsQuarantinePolicy => quarantined(input, credential),
        LeakTrigger::GithubSecretScanning => scanned(input, credential),
    })?;
    let version = choose::see(input, credential).resource?.text("version")?.into();
    let because = match guard(input.rules, credential, "rotate_leak", Share::default(), input.assessment.at) {
        Ok(_) => HeldBecause::Person(format!("`slm rotate {} --leak` ends it at once, whoever still uses it", credential.id)),
        Err(because) => because,
    };
    Some(Held { kind: choose::rotate(credential, Some(version)), reason: Reason::Leaked { sign }, because, outlook: None })
}

/// What AWS attached to the user whose key it found in public, if it did.
fn quarantined(input: &Input<'_>, credential: &Credential) -> Option<String> {
    let RotatorConfig::AwsIamAccessKey(key) = &credential.rotator else { return None };
    let source = key.source.as_ref().unwrap_or(&credential.secret.source);
    let policy = |user: &Resource| user.text("quarantine").map(str::to_owned);
    let policy = user(input, source, &key.user).and_then(policy).filter(|policy| !policy.is_empty())?;
    Some(format!("AWS has attached `{policy}` to IAM user `{}`; detach it when the key is replaced", key.user))
}

/// Where GitHub found a key of the user, if it did.
fn scanned(input: &Input<'_>, credential: &Credential) -> Option<String> {
    let RotatorConfig::AwsIamAccessKey(key) = &credential.rotator else { return None };
    let of = input.snapshot.populations.iter().filter(|population| population.entity.as_str() == LEAK_ENTITY);
    let mut all = of.flat_map(|population| population.resources.iter());
    let leak = all.find(|leak| leak.text("credential") == Some(credential.id.as_str()))?;
    let (alert, tail, at) = (leak.text("alert")?, leak.text("key")?, leak.instant("found_at")?);
    let user = &key.user;
    Some(format!("GitHub found the key …{tail} of IAM user `{user}` on {at} ({alert}); close the alert when the key is replaced"))
}
