//! How one credential stands: the phase of its rotation, what it waits for and until when. Derived, never stored.

use super::broken::broken;
use super::choose::{acknowledged, consumers_behind, due_after, rotation_of, see};
use super::{Input, by_hand, left, outlook, spent, stages};
use crate::model::catalog::{Consumer, Credential};
use crate::model::id::{ConsumerId, VersionId};
use crate::model::rotator::Overlap;
use crate::model::snapshot::Resource;
use crate::model::standing::{Holding, Phase, Standing, Unread};
use crate::model::time::{Limit, Timestamp};
use crate::model::usage::HISTORY;

/// How `credential` stands by what was observed.
#[must_use]
pub fn standing(input: &Input<'_>, credential: &Credential) -> Standing {
    if let Some(hand) = credential.rotator.by_hand() {
        return by_hand::standing(input, credential, hand);
    }
    let seen = see(input, credential);
    let version = seen.resource.and_then(|resource| resource.text("version")).map(VersionId::from);
    let since = seen.resource.and_then(|resource| resource.instant("last_rotated").or_else(|| resource.instant("created")));
    let rotation = version.as_ref().and_then(|version| rotation_of(input, credential, version));
    let since = rotation.and_then(|rotation| rotation.instant("signed_since")).or(since);
    let due = since.map(|since| due_after(credential).after(since));
    let behind = version.as_ref().map(|version| consumers_behind(input, credential, version)).unwrap_or_default();
    let whole = seen.population.is_some_and(|population| population.completeness.is_complete());
    let managed = credential.rotator.aws_managed();
    let can = credential.rotator.capabilities();
    let watched = managed.is_some() || can.validated() || can.staged();
    let exhausted = spent::attempts(input, credential).is_some();
    let pending = seen.resource.filter(|_| managed.is_none()).is_some_and(|resource| begun(resource, rotation));
    let phase = match (&version, rotation) {
        _ if !whole => Phase::Unseen,
        (_, None) if watched && version.is_some() => Phase::Unseen,
        (_, Some(rotation)) if rotation.get("open").is_none() => Phase::Unseen,
        (_, Some(rotation)) if (rotation.is("open") || can.staged()) && returns(rotation) => Phase::Returning,
        (None, _) if exhausted => Phase::Spent,
        _ if !exhausted && pending => Phase::Prepared,
        (None, _) => Phase::Empty,
        _ if !behind.is_empty() => Phase::Delivering,
        (_, Some(rotation)) if rotation.is("stuck") => Phase::Stuck,
        (_, Some(rotation)) if rotation.instant("pending_since").is_some() => Phase::Rotating,
        (_, Some(rotation)) if can.staged() && (rotation.is("open") || stages::coming(credential, rotation).is_some()) => {
            Phase::Staged
        }
        (_, Some(rotation)) if rotation.is("open") && rotation.instant("disabled").is_some() => Phase::Soaking,
        (_, Some(rotation)) if rotation.is("open") => Phase::Retiring,
        _ if exhausted => Phase::Spent,
        _ if due.is_some_and(|due| due <= input.assessment.at) => Phase::Due,
        _ => Phase::Done,
    };
    let leaked = rotation.and_then(leaked);
    let until = rotation.filter(|_| leaked.is_none()).and_then(|rotation| until(credential, rotation, phase));
    let begun = rotation.and_then(|rotation| rotation.instant("promoted").or_else(|| rotation.instant("made"))).or(since);
    let holding = begun.and_then(|begun| holding(credential, &behind, begun, input.assessment.at));
    let open = rotation.is_some_and(|rotation| rotation.is("open") && !returns(rotation));
    Standing {
        phase,
        generation: version,
        since,
        due,
        until,
        behind,
        unread: unread(input, credential),
        holding,
        broken: broken(input, credential),
        leaked,
        left: left::behind(input, credential),
        tried: None,
        last_used: None,
        quiet: Some(outlook::quieted(input, credential)).filter(|_| open),
        deadline: outlook::deadline(credential, rotation).filter(|_| open),
        validity: outlook::validity(input, credential),
        max_validity: max_validity(credential),
    }
}

/// Whether the next value of `secret` is on its way: what has our label is no value that was to come back and did not, or what is in force is
/// in wrong hands, as `rotation` tells.
fn begun(secret: &Resource, rotation: Option<&Resource>) -> bool {
    let tells = |fact: &dyn Fn(&Resource) -> bool| rotation.is_some_and(fact);
    let labelled = secret.is("slm_pending") && !tells(&|rotation| rotation.is("restored"));
    labelled || tells(&|rotation| rotation.instant("leaked").is_some())
}

/// Since when it is known that what `rotation` ends, or the value in force, is in wrong hands.
fn leaked(rotation: &Resource) -> Option<Timestamp> {
    let before = || rotation.instant("before_leaked").filter(|_| rotation.is("open"));
    rotation.instant("leaked").or_else(before)
}

/// Who of `behind` keeps the value before in use `at` this instant for longer than it may be, while others run the one in force.
pub(super) fn holding(credential: &Credential, behind: &[ConsumerId], since: Timestamp, at: Timestamp) -> Option<Holding> {
    let limit = credential.gate.adopt_within;
    let held = !behind.is_empty() && behind.len() < credential.consumers.len() && limit.after(since) <= at;
    held.then(|| Holding { consumers: behind.to_vec(), since, limit })
}

/// How late the log may be that tells who read: it is said to take some minutes.
const LATE: i64 = 3_600;

/// Consumers of `credential` that others read for, where those were not seen to read the version in force.
fn unread(input: &Input<'_>, credential: &Credential) -> Vec<Unread> {
    let said = acknowledged(input, credential);
    let of = |consumer: &Consumer| {
        let seen = said.get(consumer.id.as_str())?;
        let since = seen.instant("unread_since");
        let patience = Limit::seconds(consumer.max_staleness.as_seconds() + LATE);
        Some(Unread {
            consumer: consumer.id.clone(),
            principals: seen.text("unread")?.split(", ").map(str::to_owned).collect(),
            since,
            unseen: seen.text("read_unseen").map(str::to_owned),
            expected: since.map(|since| patience.after(since)),
            forgotten: since.is_some_and(|since| HISTORY.after(since) <= input.assessment.at),
        })
    };
    credential.consumers.iter().filter_map(of).collect()
}

/// True when it was decided that the value before `rotation` comes back.
pub(super) fn returns(rotation: &Resource) -> bool {
    rotation.text("fate") == Some("rollback") || rotation.text("last").is_some_and(|last| last.starts_with("revive "))
}

fn until(credential: &Credential, rotation: &Resource, phase: Phase) -> Option<Timestamp> {
    match phase {
        Phase::Retiring => settled(credential, rotation),
        Phase::Staged if rotation.is("open") => settled(credential, rotation),
        Phase::Staged => stages::coming(credential, rotation)?.1,
        Phase::Rotating => Some(credential.rotator.aws_managed()?.expect_within.after(rotation.instant("pending_since")?)),
        Phase::Soaking => Some(credential.gate.soak.after(rotation.instant("disabled")?)),
        _ => None,
    }
}

/// From when neither a run nor a consumer can hold the value before, as far as it is known when the consumers took the one in force.
pub(super) fn settled(credential: &Credential, rotation: &Resource) -> Option<Timestamp> {
    let promoted = rotation.instant("promoted")?;
    let lingers = credential.consumers.iter().map(Consumer::lingers).max().unwrap_or(Limit::seconds(0));
    let adopted = rotation.instant("adopted").unwrap_or(promoted);
    Some(held(credential).after(promoted).max(lingers.after(adopted)))
}

/// The longest for which a run or a consumer goes on with a value it has read.
pub(super) fn held(credential: &Credential) -> Limit {
    let stale = credential.consumers.iter().map(|consumer| consumer.max_staleness).max();
    credential.policy.lease.max(stale.unwrap_or(Limit::seconds(0)))
}

/// The period, and for how long a value is let in after that: used until nobody can hold it any more, and unused since. In place, a new
/// one ends it; what is disabled is refused before it soaks.
fn max_validity(credential: &Credential) -> Limit {
    if let Some(limit) = stages::max_validity(credential, held(credential)) {
        return limit;
    }
    let can = credential.rotator.capabilities();
    let tail = if can.validated() && can.overlap != Overlap::Single {
        held(credential).as_seconds() + credential.gate.longest_quiet().as_seconds()
    } else {
        0
    };
    Limit::seconds(credential.policy.rotate_every.as_seconds() + tail)
}
