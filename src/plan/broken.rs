//! What breaks after the value before was disabled and before it is deleted: a roll-back still mends it, so that its owner is told. Pure.

use super::Input;
use super::choose::{ask, consumers_behind, rotation_of, see};
use super::standing::returns;
use crate::model::catalog::{ConsumerKind, Credential, Health};
use crate::model::id::{ConsumerId, CredentialId, VersionId};
use crate::model::plan::{Action, ActionKind, HeldBecause, Reason};
use crate::model::standing::Broken;
use crate::model::time::Timestamp;

/// The word of the register by which the value before is on its way to be deleted, and comes back no more.
const DELETE: &str = "delete";

/// Since when the value before the one in force is disabled, while it can still come back; and the version in force.
fn soaking(input: &Input<'_>, credential: &Credential) -> Option<(Timestamp, VersionId)> {
    let can = credential.rotator.capabilities();
    let version = see(input, credential).resource?.text("version").map(VersionId::from)?;
    let rotation = rotation_of(input, credential, &version)?;
    let back = can.disable && can.delete && rotation.is("open") && rotation.text("last") != Some(DELETE);
    let disabled = rotation.instant("disabled").filter(|_| back && !returns(rotation))?;
    Some((disabled, version))
}

/// Consumers to look at now, and how: a health is declared, and the value before is disabled.
#[must_use]
pub fn watched<'a>(input: &Input<'a>) -> Vec<(&'a CredentialId, &'a ConsumerId, &'a Health)> {
    let all = input.catalog.credentials.values().filter(|one| soaking(input, one).is_some());
    let health = |credential: &'a Credential| {
        credential.consumers.iter().filter_map(move |consumer| match &consumer.kind {
            ConsumerKind::File(file) => Some((&credential.id, &consumer.id, file.health.as_ref()?)),
            _ => None,
        })
    };
    all.flat_map(health).collect()
}

/// Who of the consumers of `credential` does not go on with the one in force, and how that shows.
pub(super) fn broken(input: &Input<'_>, credential: &Credential) -> Option<Broken> {
    let (disabled, version) = soaking(input, credential)?;
    let behind = consumers_behind(input, credential, &version);
    let mut found: Vec<String> = behind.iter().map(|id| format!("`{id}` does not run the version in force")).collect();
    found.extend(unwell(input, credential));
    (!found.is_empty()).then_some(Broken { found, disabled })
}

fn unwell(input: &Input<'_>, credential: &Credential) -> impl Iterator<Item = String> {
    credential.consumers.iter().filter_map(move |consumer| {
        let looked = input.facts.health.get(&(credential.id.clone(), consumer.id.clone()))?;
        looked.as_ref().err().map(|why| format!("whoever reads `{}` is not well: {why}", consumer.id))
    })
}

/// Why the value before is not deleted although nothing else stands in the way: it may be what is missed. Who does not run the version
/// in force stops the run by itself.
pub(super) fn held(input: &Input<'_>, credential: &Credential, kind: &ActionKind) -> Option<HeldBecause> {
    let ends = matches!(kind, ActionKind::Finish { .. }) && soaking(input, credential).is_some();
    let why: Vec<String> = unwell(input, credential).filter(|_| ends).collect();
    let (id, why) = (&credential.id, (!why.is_empty()).then(|| why.join(", "))?);
    let next = format!("`slm rollback {id}` brings the value before back, and `slm retire {id}` ends it all the same");
    Some(HeldBecause::Person(format!("{why}; {next}")))
}

/// Owners to be asked because something broke.
pub(super) fn findings(input: &Input<'_>) -> Vec<Action> {
    let all = input.catalog.credentials.values().filter_map(|one| Some((one, broken(input, one)?)));
    all.map(|(credential, broken)| ask(input, credential, Reason::Broken { found: broken.found, disabled: broken.disabled }))
        .collect()
}
