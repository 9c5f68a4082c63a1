//! Credentials that slm does not rotate: whom to ask and when, what to try, and how they stand. What was not seen is never fresh.

use super::choose::{Seen, action, ask, consumers_behind, of_its_owner, see, store_detail};
use super::standing::holding;
use super::{Input, left};
use crate::model::catalog::{Control, Credential};
use crate::model::id::{ResourceId, VersionId};
use crate::model::outlook::Validity;
use crate::model::plan::{Action, ActionKind, Reason};
use crate::model::rotator::ByHand;
use crate::model::snapshot::{Population, Resource, VALUE_ENTITY};
use crate::model::standing::{Phase, Standing, Tried};
use crate::model::time::{Limit, Timestamp};

/// How far a store's clock may be ahead of ours: a date further in the future says nothing.
const SKEW: Limit = Limit::seconds(300);

/// What is known of the value in force.
enum Look<'a> {
    /// Not enough, and why.
    Unseen(String),
    /// There is none.
    Empty,
    /// It came about then.
    Dated { since: Timestamp, value: Option<&'a Resource> },
}

fn version(seen: &Seen<'_>) -> Option<VersionId> {
    seen.resource.and_then(|resource| resource.text("version")).map(VersionId::from)
}

/// What was read of the version in force, beside the list of secrets.
fn value<'a>(input: &'a Input<'_>, credential: &Credential, seen: &Seen<'_>) -> Option<&'a Resource> {
    let version = seen.resource?.text("version")?;
    let values = input.snapshot.populations.iter().filter(|population| population.entity.as_str() == VALUE_ENTITY);
    let mut all = values.flat_map(|population| population.resources.iter());
    all.find(|one| one.text("credential") == Some(credential.id.as_str()) && one.text("generation") == Some(version))
}

fn look<'a>(input: &'a Input<'_>, credential: &Credential) -> Look<'a> {
    let seen = see(input, credential);
    let whole = seen.population.is_some_and(|population| population.completeness.is_complete());
    let Some(resource) = seen.resource else {
        return if whole { Look::Empty } else { Look::Unseen(store_detail(input, credential)) };
    };
    if resource.text("version").is_none() {
        return Look::Empty;
    }
    let value = value(input, credential, &seen);
    match resource.instant("last_rotated") {
        None => Look::Unseen("when its value came about was not seen".to_owned()),
        Some(since) if since > SKEW.after(input.assessment.at) => {
            Look::Unseen(format!("its value is dated `{since}`, in the future"))
        }
        Some(since) => Look::Dated { since, value },
    }
}

/// Why the owner of `credential` is asked.
fn asks(input: &Input<'_>, credential: &Credential, hand: ByHand<'_>) -> Vec<Reason> {
    let (at, limit) = (input.assessment.at, credential.policy.rotate_every);
    let early = credential.policy.not_before.is_some_and(|instant| at < instant);
    match (look(input, credential), hand) {
        (Look::Unseen(detail), _) => vec![Reason::NoEvidence(detail)],
        (Look::Empty, ByHand::Manual(manual)) => vec![Reason::ByHand { since: None, due: None, limit, steps: manual.line() }],
        (Look::Empty, ByHand::Observe(_)) => vec![Reason::NoValue],
        (Look::Dated { since, .. }, ByHand::Manual(manual)) => {
            let due = limit.after(since);
            let asked = !early && remind(credential, manual.remind_before).after(since) <= at;
            let reason = || Reason::ByHand { since: Some(since), due: Some(due), limit, steps: manual.line() };
            asked.then(reason).into_iter().collect()
        }
        (Look::Dated { since, value }, ByHand::Observe(observe)) => {
            let old = (!early && limit.after(since) <= at).then_some(Reason::TooOld { since, due_after: limit, limit });
            let idle = observe.unused_after.and_then(|limit| {
                let since = last_use(since, value?)?;
                (limit.after(since) <= at).then_some(Reason::Unused { since, limit })
            });
            let behind = version(&see(input, credential)).is_some_and(|id| !consumers_behind(input, credential, &id).is_empty());
            [old, idle, behind.then_some(Reason::NotAdopted)].into_iter().flatten().collect()
        }
    }
}

/// The age at which its owner is asked for the first time.
fn remind(credential: &Credential, before: Limit) -> Limit {
    Limit::seconds((credential.policy.rotate_every.as_seconds() - before.as_seconds()).max(0))
}

/// When it was used last, or came about if never; `None` when its store does not tell.
fn last_use(since: Timestamp, value: &Resource) -> Option<Timestamp> {
    value.get("used").map(|_| value.instant("last_used").map_or(since, |used| used.max(since)))
}

/// Whom to ask, and what to try. Nothing outside is changed, so no guard is asked.
pub(super) fn actions(input: &Input<'_>) -> Vec<Action> {
    let mut actions = Vec::new();
    for credential in input.catalog.credentials.values() {
        let Some(hand) = credential.rotator.by_hand() else { continue };
        actions.extend(asks(input, credential, hand).into_iter().map(|reason| ask(input, credential, reason)));
        let trial = trial(input, credential, hand);
        actions.extend(trial.map(|(kind, reason)| of_its_owner(input, credential, kind, reason)));
    }
    actions
}

/// The trial of a value that was not tried yet.
fn trial(input: &Input<'_>, credential: &Credential, hand: ByHand<'_>) -> Option<(ActionKind, Reason)> {
    let seen = see(input, credential);
    let generation = version(&seen)?;
    let value = value(input, credential, &seen)?;
    let (credential, secret) = (credential.id.clone(), credential.secret.clone());
    let kind = ActionKind::Verify { credential, secret, generation };
    (tried(hand, Some(value)) == Tried::NotYet).then_some((kind, Reason::Untried))
}

fn tried(hand: ByHand<'_>, value: Option<&Resource>) -> Tried {
    match hand {
        ByHand::Manual(manual) if manual.verify.is_some() => {
            value.and_then(|value| value.instant("verified")).map_or(Tried::NotYet, Tried::At)
        }
        _ => Tried::Undeclared,
    }
}

/// What a person stored is brought to its consumers; what is only observed is not.
pub(super) fn delivery(input: &Input<'_>, credential: &Credential, hand: ByHand<'_>) -> Option<(ActionKind, Reason)> {
    let generation = version(&see(input, credential))?;
    let consumers = consumers_behind(input, credential, &generation);
    if matches!(hand, ByHand::Observe(_)) || consumers.is_empty() {
        return None;
    }
    let (credential, secret) = (credential.id.clone(), credential.secret.clone());
    Some((ActionKind::Deliver { credential, secret, generation, consumers }, Reason::NotAdopted))
}

/// Who is asked when `control` is breached by a secret that slm does not rotate; `None` when slm rotates it, or asks already.
pub(super) fn breach(input: &Input<'_>, control: &Control, entity: &str, id: &ResourceId) -> Option<Action> {
    let secret = |population: &&Population| population.holds_secrets() && population.entity.as_str() == entity;
    let mut populations = input.snapshot.populations.iter().filter(secret);
    let credential = populations.find_map(|population| {
        let at = population.resources.binary_search_by(|resource| resource.id.cmp(id)).ok()?;
        input.catalog.declared_as(population, population.resources.get(at)?)
    })?;
    let hand = credential.rotator.by_hand()?;
    let early = credential.policy.not_before.is_some_and(|instant| input.assessment.at < instant);
    if early || !asks(input, credential, hand).is_empty() {
        return None;
    }
    let owner = credential.owner.clone();
    let kind = ActionKind::Escalate { control: control.id.clone(), resource: Some(id.clone()), owner };
    Some(action(input, kind, Reason::NonCompliant, &control.id))
}

/// How `credential` stands.
pub(super) fn standing(input: &Input<'_>, credential: &Credential, hand: ByHand<'_>) -> Standing {
    let (seen, at, max_validity) = (see(input, credential), input.assessment.at, credential.policy.rotate_every);
    let generation = version(&seen);
    let behind = generation.as_ref().map(|id| consumers_behind(input, credential, id)).unwrap_or_default();
    let value = value(input, credential, &seen);
    let tried = tried(hand, value);
    let since = match look(input, credential) {
        Look::Dated { since, .. } => Some(since),
        Look::Unseen(_) | Look::Empty => None,
    };
    let asked = asks(input, credential, hand);
    let due = since.map(|since| max_validity.after(since));
    let phase = match look(input, credential) {
        Look::Unseen(_) => Phase::Unseen,
        Look::Empty => Phase::Empty,
        Look::Dated { .. } if due.is_some_and(|due| due <= at) => Phase::Due,
        Look::Dated { .. } if asked.iter().any(|reason| *reason != Reason::NotAdopted) => Phase::Remind,
        Look::Dated { .. } if tried == Tried::NotYet => Phase::Untried,
        Look::Dated { .. } if !behind.is_empty() => Phase::Delivering,
        Look::Dated { .. } => Phase::Done,
    };
    let last_used = value.and_then(|value| value.instant("last_used"));
    let holding = since.and_then(|since| holding(credential, &behind, since, at));
    Standing {
        phase,
        generation,
        since,
        due,
        until: None,
        behind,
        unread: Vec::new(),
        holding,
        broken: None,
        leaked: None,
        left: left::behind(input, credential),
        tried: Some(tried),
        last_used,
        quiet: None,
        deadline: None,
        validity: Validity { made: since, before: None, period: credential.policy.rotate_every, allowed: None },
        max_validity,
    }
}
