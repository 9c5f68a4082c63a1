//! What values that are made of others mean for a run: the others come first, and are ended last.

use super::wire;
use crate::apply::decide::Mark;
use crate::model::catalog::Credential;
use crate::model::id::VersionId;
use crate::model::names;
use crate::model::outcome::{Fate, Outcome};
use crate::model::plan::{Action, ActionKind};
use crate::model::readers::Readers;
use crate::model::time::Timestamp;
use crate::world::{SecretStore, SecretView, WorldError};

/// Why `action` waits for the next run: what its value is made of was to be rotated before it, and was not by what is `done`.
pub(super) fn before<'a>(
    session: &super::pipeline::Session,
    action: &Action,
    mut done: impl Iterator<Item = &'a Outcome>,
) -> Option<Fate> {
    let ActionKind::Rotate { credential, .. } = &action.kind else { return None };
    let after = &session.catalog.credentials.get(credential)?.after;
    let missed = |outcome: &&Outcome| {
        let promoted = outcome.events.iter().any(|event| event.step == "promoted");
        matches!(outcome.action, ActionKind::Rotate { .. }) && !promoted && !matches!(outcome.fate, Fate::Done | Fate::AlreadySo)
    };
    let first = done.find(|outcome| outcome.action.credential().is_some_and(|id| after.contains(id)) && missed(outcome))?;
    Some(Fate::Waiting(format!("for `{}`, which it is made of", first.action.credential()?)))
}

/// Why what `kind` leaves behind of `credential` is not ended: something made of it does not have the new value, or is not known to.
pub(super) async fn holds(
    reach: &wire::Reach<'_>,
    credential: &Credential,
    kind: &ActionKind,
    store: &dyn SecretStore,
) -> Option<String> {
    let made_of_it = || reach.catalog.credentials.values().filter(|one| one.after.contains(&credential.id));
    match kind {
        // What is not made yet is in nothing.
        ActionKind::Rotate { .. } => made_of_it().next().map(|one| format!("for `{}`, which is made of it", one.id)),
        ActionKind::Finish { .. } => {
            made_of_it().next()?;
            let made = store.describe(&credential.secret).await.map(|view| current(&view).map(|(_, at)| at));
            let since = match made {
                Ok(Some(since)) => since,
                Ok(None) => return Some("until it is known when the version in force was made".to_owned()),
                Err(error) => return Some(format!("until it is known when the version in force was made: {error}")),
            };
            for one in made_of_it() {
                match has(reach, one, since).await {
                    Ok(true) => {}
                    Ok(false) => return Some(format!("for `{}`, which is made of it and has the value before in it", one.id)),
                    Err(error) => return Some(format!("for `{}`, which is made of it and was not seen: {error}", one.id)),
                }
            }
            None
        }
        _ => None,
    }
}

/// True when the value of `one` in force was made at `since` or later, and every consumer of it was seen to run that.
async fn has(reach: &wire::Reach<'_>, one: &Credential, since: Timestamp) -> Result<bool, WorldError> {
    let view = wire::store(reach, one).await?.describe(&one.secret).await?;
    let Some((version, _)) = current(&view).filter(|(_, at)| *at >= since) else { return Ok(false) };
    for (_, consumer) in wire::consumers_of(reach, one).await {
        let seen = consumer.observe().await?;
        if seen.running.as_ref() != Some(version) {
            return Ok(false);
        }
        if let Some(readers) = &seen.readers
            && !read(reach, one, version, readers).await?
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// True when all of `readers` were seen to read `version` of `one` since it is in force, or that is over.
async fn read(reach: &wire::Reach<'_>, one: &Credential, version: &VersionId, readers: &Readers) -> Result<bool, WorldError> {
    let [promoted, done] = [Mark::Promoted, Mark::Done].map(|mark| names::mark(&one.secret, version, mark.as_str()));
    let registers = wire::registers(reach).await;
    let written = registers.read(&names::rotation(&one.id, Some(version)), &[promoted.clone(), done.clone()]).await?;
    let promoted = written.get(&promoted).and_then(|at| at.parse().ok());
    Ok(written.contains_key(&done) || readers.unread(promoted).is_empty())
}

/// The version in force, and when it was made.
fn current(view: &SecretView) -> Option<(&VersionId, Timestamp)> {
    let id = view.current()?;
    Some((id, view.versions.get(id)?.created))
}
