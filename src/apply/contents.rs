//! What is in the versions of a secret, as far as it matters: those near to the one in force, and others only when the target lists a
//! credential that none of those explains.

use std::collections::{BTreeMap, BTreeSet};

use zeroize::Zeroizing;

use super::job::{Goal, Job};
use super::look::Known;
use super::observation::Content;
use crate::model::catalog::Letters;
use crate::model::id::VersionId;
use crate::model::marker;
use crate::model::names;
use crate::model::secret::Secret;
use crate::world::{ErrorClass, Issuer, Listing, Overlap, SecretView, WorldError};

/// What is in the versions that matter: those `near` when the target lists credentials, else the `slots`.
///
/// # Errors
/// When one that is needed could not be read.
pub(super) async fn of(
    job: &Job<'_>,
    goal: &Goal<'_>,
    (view, listing): (&SecretView, &Listing),
    (slots, near): (&[VersionId], &BTreeSet<VersionId>),
    due: bool,
    known: &mut Known,
) -> Result<BTreeMap<VersionId, Content>, WorldError> {
    let validated = job.rotator.capabilities().overlap != Overlap::Unvalidated;
    let back = view.current().filter(|_| goal.tail).map(|generation| names::rollback(goal.secret, generation));
    let keys = validated && (goal.tail || due);
    let matters = |id: &&VersionId| {
        if validated { keys && near.contains(*id) } else { (due && slots.contains(id)) || back.as_ref() == Some(*id) }
    };
    let mut contents = BTreeMap::new();
    for id in view.versions.keys().filter(matters) {
        contents.insert(id.clone(), content(job, goal, view, id, known).await?);
    }
    // The youngest first: what is left behind was made last.
    let mut further: Vec<_> = view.versions.iter().filter(|(id, _)| keys && !near.contains(*id)).collect();
    further.sort_by_key(|(_, version)| std::cmp::Reverse(version.created));
    for (id, _) in further {
        if is_explained(job, listing, &contents) {
            break;
        }
        contents.insert(id.clone(), content(job, goal, view, id, known).await?);
    }
    Ok(contents)
}

/// True when each credential that may be ours, or takes a place that one of ours needs, is in a version that was read.
fn is_explained(job: &Job<'_>, listing: &Listing, contents: &BTreeMap<VersionId, Content>) -> bool {
    let full = match job.rotator.capabilities().overlap {
        Overlap::Dual { max } => job.rotator.capabilities().issuer == Issuer::Server && listing.keys.len() >= usize::from(max),
        Overlap::Single | Overlap::Unvalidated => false,
    };
    listing.keys.iter().filter(|key| key.ours || full).all(|key| {
        contents.values().any(|content| match content {
            Content::Value(name) => name.as_ref() == Some(&key.id),
            Content::Tombstone(condemned) => condemned.contains(&key.id),
            Content::Absent | Content::Empty | Content::Unreadable => false,
        })
    })
}

/// What is in version `id`.
async fn content(
    job: &Job<'_>,
    goal: &Goal<'_>,
    view: &SecretView,
    id: &VersionId,
    known: &mut Known,
) -> Result<Content, WorldError> {
    if let Some(content) = known.contents.get(id) {
        return Ok(content.clone());
    }
    let in_force = [view.current(), view.previous()];
    let unlabelled = view.versions.get(id).is_some_and(|version| version.labels.is_empty());
    let content = match job.store.read(goal.secret, id).await {
        Ok(value) if !marker::may_be_a_credential(&value) => Content::Tombstone(marker::condemned(&value).unwrap_or_default()),
        Ok(value) => {
            known.unfit.extend(unfit(job, &value).map(|why| (id.clone(), why)));
            Content::Value(job.rotator.identify(&value))
        }
        // What is or was in force has a value: not to find it is to be told by a place that is behind, and no absence.
        Err(error) if error.class == ErrorClass::NotFound && !in_force.contains(&Some(id)) => Content::Empty,
        // AWS does not encrypt again what has no label: a key that is switched off one day must not hold up everything after it.
        Err(error) if unlabelled && matches!(error.class, ErrorClass::Denied | ErrorClass::Permanent) => Content::Unreadable,
        Err(error) => return Err(error),
    };
    if content != Content::Empty {
        known.contents.insert(id.clone(), content.clone());
    }
    Ok(content)
}

/// Why some consumer of `job` cannot take `value`, by its letters. What slm makes itself is made of letters that fit.
fn unfit(job: &Job<'_>, value: &Secret) -> Option<String> {
    let server = job.rotator.capabilities().issuer == Issuer::Server;
    let mut narrow = job.credential.consumers.iter().filter_map(|consumer| Some((consumer, consumer.letters?))).filter(|_| server);
    let (consumer, letters) = narrow.find(|(_, letters)| !spelled(value, *letters))?;
    Some(format!("consumer `{}` takes `{}` alone", consumer.id, letters.as_str()))
}

/// True when every text in `value` is of `letters`: the fields of an object, else the whole.
fn spelled(value: &Secret, letters: Letters) -> bool {
    let Ok(fields) = serde_json::from_slice::<BTreeMap<String, serde_json::Value>>(value.expose()) else {
        return value.expose_text().is_ok_and(|text| letters.spell(text));
    };
    let texts = fields.into_values().filter_map(|field| match field {
        serde_json::Value::String(text) => Some(Zeroizing::new(text)),
        _ => None,
    });
    texts.fold(true, |all, text| all & letters.spell(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_of_a_value_must_be_spelled_with_the_letters_and_what_is_no_text_need_not() {
        let key = Secret::new(br#"{"access_key_id":"AKIA1","secret_access_key":"a/b+c=","port":5432}"#.to_vec());
        assert!(spelled(&key, Letters::Base64) && !spelled(&key, Letters::Base64url) && !spelled(&key, Letters::Alnum));
        let plain = Secret::new(b"a-b_c".to_vec());
        assert!(spelled(&plain, Letters::Base64url) && !spelled(&plain, Letters::Base64));
        assert!(!spelled(&Secret::new(vec![0xff]), Letters::Alnum) && spelled(&Secret::new(b"Az9".to_vec()), Letters::Alnum));
    }
}
