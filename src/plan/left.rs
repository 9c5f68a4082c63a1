//! What another kind of rotator left let in, where the kind that is declared now ends nothing: its owner is asked.

use super::Input;
use super::choose::{ask, see};
use crate::model::catalog::Credential;
use crate::model::id::VersionId;
use crate::model::plan::{Action, Reason};
use crate::model::snapshot::{ROTATION_ENTITY, Resource, VALUE_ENTITY};

/// The version before, when its end was begun while another kind was declared and nobody says that it came.
pub(super) fn behind(input: &Input<'_>, credential: &Credential) -> Option<VersionId> {
    let generation = see(input, credential).resource.and_then(|resource| resource.text("version"))?;
    let told =
        |one: &&Resource| one.text("credential") == Some(credential.id.as_str()) && one.text("generation") == Some(generation);
    let of = input.snapshot.populations.iter().filter(|of| [VALUE_ENTITY, ROTATION_ENTITY].contains(&of.entity.as_str()));
    let left = of.flat_map(|of| of.resources.iter()).filter(told).find_map(|one| one.text("left")).map(VersionId::from)?;
    (!credential.policy.ended_elsewhere.contains(&left)).then_some(left)
}

/// Owners to be asked to end it. Nothing outside is changed, so no guard is asked.
pub(super) fn findings(input: &Input<'_>) -> Vec<Action> {
    let all = input.catalog.credentials.values().filter_map(|one| Some((one, behind(input, one)?)));
    all.map(|(credential, version)| ask(input, credential, Reason::LeftLetIn { version })).collect()
}
