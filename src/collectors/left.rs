//! What another kind of rotator left behind: a value before that it put out of force, and whose end it did not note. The kind that is
//! declared now ends nothing.

use crate::model::catalog::SecretRef;
use crate::model::id::{CredentialId, VersionId};
use crate::model::names;
use crate::world::{Registers, SecretView, WorldError};

/// The version before `generation`, when a rotation of slm made that from it and its end was begun and not noted. Of what a person or AWS
/// put in force no register is read.
pub(super) async fn behind(
    registers: &dyn Registers,
    credential: &CredentialId,
    secret: &SecretRef,
    (view, generation): (&SecretView, &VersionId),
) -> Result<Option<VersionId>, WorldError> {
    let before = view.previous().filter(|before| names::continues(secret, before, generation, view.versions.keys()));
    let Some(before) = before else { return Ok(None) };
    let mark = |mark| names::mark(secret, generation, mark);
    let (promoted, done, fate) = (mark("promoted"), mark("done"), names::fate(secret, generation));
    let wanted = [promoted.clone(), done.clone(), fate.clone()];
    let written = registers.read(&names::rotation(credential, Some(generation)), &wanted).await?;
    let begun = written.contains_key(&promoted) || written.get(&fate).is_some_and(|fate| fate == "retire");
    Ok((begun && !written.contains_key(&done)).then(|| before.clone()))
}
