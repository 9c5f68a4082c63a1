//! Rotations of which no attempt is left: a person is asked, since another run would change nothing.

use super::Input;
use super::choose::{ask, see};
use crate::model::catalog::Credential;
use crate::model::id::VersionId;
use crate::model::plan::{Action, ActionKind, HeldBecause, Reason};
use crate::model::snapshot::{Fact, ROTATION_ENTITY, Resource};

/// How many attempts at replacing what is in force were made, when none is left.
pub(super) fn attempts(input: &Input<'_>, credential: &Credential) -> Option<u8> {
    let generation = see(input, credential).resource.and_then(|resource| resource.text("version"));
    let rotations = input.snapshot.populations.iter().filter(|population| population.entity.as_str() == ROTATION_ENTITY);
    let is_it = |rotation: &&Resource| {
        rotation.text("credential") == Some(credential.id.as_str()) && rotation.text("generation") == generation
    };
    let told = rotations.flat_map(|population| population.resources.iter()).find(is_it)?.get("spent")?;
    let Fact::Long(attempts) = told else { return None };
    u8::try_from(attempts).ok()
}

/// Why `kind` is not done, if no attempt is left for it.
pub(super) fn held(input: &Input<'_>, credential: &Credential, kind: &ActionKind) -> Option<HeldBecause> {
    let ActionKind::Rotate { generation, .. } = kind else { return None };
    let now = see(input, credential).resource.and_then(|resource| resource.text("version"));
    let same = generation.as_ref().map(VersionId::as_str) == now;
    attempts(input, credential).filter(|_| same).map(|attempts| HeldBecause::AttemptsSpent { attempts })
}

/// Owners to be asked why every attempt failed.
pub(super) fn findings(input: &Input<'_>) -> Vec<Action> {
    let all = input.catalog.credentials.values().filter_map(|one| Some((one, attempts(input, one)?)));
    all.map(|(credential, attempts)| ask(input, credential, Reason::AttemptsSpent { attempts })).collect()
}
