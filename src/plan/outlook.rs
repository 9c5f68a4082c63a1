//! What lies ahead of a rotation, how long what it replaces must be unused, and which values are let in for too long. Pure.

use super::Input;
use super::choose::{ask, consumers_behind, rotation_of, see};
use super::needs::{is_full, listed_keys, user};
use super::standing::{held, returns, settled};
use super::usage::{WHO_AM_I, unseen_use};
use crate::model::catalog::{Credential, OnDeadline, Quiet, SourceKind};
use crate::model::gate::Quieted;
use crate::model::id::{ConsumerId, VersionId};
use crate::model::outlook::{Deadline, Ended, LastUsed, Outlook, Stride, Validity};
use crate::model::plan::{Action, ActionKind, Reason};
use crate::model::rotator::{Issuer, Overlap, RotatorConfig};
use crate::model::snapshot::{Fact, Resource};
use crate::model::time::{Limit, Timestamp};
use crate::model::usage::{HISTORY, OldKey, longest_pause};

/// What lies ahead of `kind`; `None` when nothing is rotated or ended by it.
pub(super) fn outlook(input: &Input<'_>, credential: &Credential, kind: &ActionKind, reason: &Reason) -> Option<Outlook> {
    let rotates = match kind {
        ActionKind::Rotate { .. } => true,
        ActionKind::Finish { .. } if *reason != Reason::RolledBack => false,
        _ => return None,
    };
    let rotation = rotation(input, credential);
    let behind = match kind {
        ActionKind::Finish { generation, .. } => consumers_behind(input, credential, generation),
        _ => credential.consumers.iter().map(|consumer| consumer.id.clone()).collect(),
    };
    let quiet = ends(credential).then(|| if rotates { of_replaced(credential) } else { quieted(input, credential) });
    let brought = credential.consumers.iter().filter(|consumer| behind.contains(&consumer.id));
    let mut restarts: Vec<String> =
        brought.filter_map(|consumer| consumer.kind.workload(&credential.secret)).map(|workload| workload.name).collect();
    restarts.sort();
    restarts.dedup();
    let last_used = last_used(input, credential);
    let hurried = matches!(reason, Reason::InWrongHands { .. });
    let not_before = quiet.as_ref().filter(|_| !hurried).and_then(|quiet| {
        let last = last_used.as_ref().filter(|_| !rotates).map(|last| last.at);
        not_before(input, credential, rotation.filter(|_| !rotates), (quiet.limit, last))
    });
    Some(Outlook {
        will: will(input, credential, (rotates, hurried), &behind, (rotation, quiet.as_ref())),
        deadline: deadline(credential, rotation.filter(|_| !rotates)).filter(|_| quiet.is_some()),
        quiet,
        restarts,
        last_used,
        not_before,
        validity: validity(input, credential),
    })
}

fn rotation<'a>(input: &'a Input<'_>, credential: &Credential) -> Option<&'a Resource> {
    let version = see(input, credential).resource.and_then(|resource| resource.text("version")).map(VersionId::from)?;
    rotation_of(input, credential, &version)
}

/// True when a rotation of `credential` leaves something behind that is ended afterwards.
fn ends(credential: &Credential) -> bool {
    matches!(credential.rotator.capabilities().overlap, Overlap::Dual { .. }) && credential.rotator.aws_managed().is_none()
}

/// What is done, in the order of the engine.
fn will(
    input: &Input<'_>,
    credential: &Credential,
    (rotates, hurried): (bool, bool),
    behind: &[ConsumerId],
    (rotation, quiet): (Option<&Resource>, Option<&Quieted>),
) -> Vec<Stride> {
    let can = credential.rotator.capabilities();
    let canaries: Vec<ConsumerId> =
        credential.consumers.iter().filter(|consumer| consumer.canary).map(|consumer| consumer.id.clone()).collect();
    let mut will = Vec::new();
    will.extend((rotates && may_be_lost(input, credential, rotation)).then_some(Stride::Lost));
    if rotates && credential.rotator.aws_managed().is_some() {
        will.push(Stride::Ask);
    } else if rotates {
        will.push(Stride::Create);
        will.extend((can.validated() && can.issuer == Issuer::Client).then_some(Stride::LetIn));
        will.extend((!canaries.is_empty()).then(|| Stride::Canary(canaries.clone())));
        will.extend(can.validated().then(|| Stride::Verify { regions: regions(input, credential) }));
        will.push(Stride::Promote);
    }
    let rest: Vec<ConsumerId> = behind.iter().filter(|id| !(rotates && canaries.contains(id))).cloned().collect();
    will.extend((!rest.is_empty()).then_some(Stride::Consumers(rest)));
    let Some(quiet) = quiet else { return will };
    if rotates || rotation.is_none_or(|rotation| rotation.instant("disabled").is_none()) {
        let waits = [Stride::Settle(held(credential)), Stride::Quiet(quiet.limit)];
        will.extend(waits.into_iter().filter(|_| !hurried));
        will.extend(can.disable.then_some(Stride::Disable));
    }
    will.extend((can.disable && can.delete && !hurried).then_some(Stride::Soak(credential.gate.soak)));
    will.extend(can.delete.then_some(Stride::Delete));
    will
}

/// True when the user has all the keys that IAM lets be, nothing of ours is to be ended, and slm alone makes keys there: one of them is
/// recorded nowhere.
fn may_be_lost(input: &Input<'_>, credential: &Credential, rotation: Option<&Resource>) -> bool {
    let RotatorConfig::AwsIamAccessKey(key) = &credential.rotator else { return false };
    let source = key.source.as_ref().unwrap_or(&credential.secret.source);
    let ended = rotation.is_some_and(|rotation| rotation.get("open") == Some(Fact::Bool(false)));
    let count = || match input.facts.counts.get(&credential.id) {
        Some(Ok(now)) => *now,
        _ => user(input, source, &key.user).map_or(0, |user| listed_keys(input, source, user.id.as_str())),
    };
    key.exclusive && ended && is_full(count())
}

/// Where a value is tried, when that is more than one place.
fn regions(input: &Input<'_>, credential: &Credential) -> Vec<String> {
    let RotatorConfig::AwsIamAccessKey(key) = &credential.rotator else { return Vec::new() };
    let source = key.source.as_ref().unwrap_or(&credential.secret.source);
    match input.catalog.settings.sources.get(source) {
        Some(SourceKind::Aws(account)) if account.regions.len() > 1 => account.regions.clone(),
        _ => Vec::new(),
    }
}

/// The instant before which nothing is ended, as far as it is known now.
fn not_before(
    input: &Input<'_>,
    credential: &Credential,
    rotation: Option<&Resource>,
    (quiet, last): (Limit, Option<Timestamp>),
) -> Option<Timestamp> {
    let Some(rotation) = rotation else { return Some(held(credential).after(input.assessment.at)) };
    if let Some(disabled) = rotation.instant("disabled") {
        return Some(credential.gate.soak.after(disabled));
    }
    let settled = settled(credential, rotation)?;
    // Two clocks: what is ended is decided by each at its own server.
    Some(last.map_or(settled, |last| quiet.after(last).max(settled)))
}

/// How long what `credential` replaced must be unused.
#[must_use]
pub fn quieted(input: &Input<'_>, credential: &Credential) -> Quieted {
    credential.gate.quieted(longest_rest(input, credential))
}

/// The same, of what is in force now: its uses are looked at when it is ended.
fn of_replaced(credential: &Credential) -> Quieted {
    credential.gate.quieted(Err("its uses are looked at when it is ended".to_owned()))
}

/// The longest rest between two uses of what is to be ended, if all of them were seen.
fn longest_rest(input: &Input<'_>, credential: &Credential) -> Result<Limit, String> {
    let asked = input.facts.uses.get(&credential.id).and_then(|asked| asked.keys.as_ref());
    let keys = asked.ok_or_else(|| "no log tells of its uses".to_owned())?.as_ref().map_err(Clone::clone)?;
    let start = Limit::seconds(-HISTORY.as_seconds()).after(input.assessment.at);
    let rests: Vec<Limit> = keys.iter().map(|key| rest(key, start)).collect::<Result<_, _>>()?;
    rests.into_iter().max().ok_or_else(|| "no key from before was found".to_owned())
}

/// The longest rest of `key` since the `start` of its history, the one before its first use counted.
fn rest(key: &OldKey, start: Timestamp) -> Result<Limit, String> {
    if let Some(why) = key.calls.unseen.first() {
        return Err(why.clone());
    }
    if !key.calls.cut.is_empty() {
        return Err("it has more calls than are looked at".to_owned());
    }
    let work: Vec<Timestamp> = key.calls.calls.iter().filter(|call| call.event != WHO_AM_I).map(|call| call.at).collect();
    if unseen_use(key, Timestamp::MIN).is_some() {
        return Err("IAM tells of a use that CloudTrail does not show".to_owned());
    }
    if work.len() < 2 {
        return Err(format!("CloudTrail shows {} of it", if work.is_empty() { "no use" } else { "one use" }));
    }
    let begun = key.created.max(start);
    longest_pause(work.into_iter().chain([begun]).collect()).ok_or_else(|| "CloudTrail shows no use of it".to_owned())
}

/// By when what `rotation` replaced should be ended.
pub(super) fn deadline(credential: &Credential, rotation: Option<&Resource>) -> Option<Deadline> {
    let limit = credential.gate.deadline?;
    let at = rotation.and_then(|rotation| rotation.instant("promoted")).map(|promoted| limit.after(promoted));
    Some(Deadline { limit, then: credential.gate.on_deadline, at })
}

/// The last use of what is ended, else the last reading of the value.
fn last_used(input: &Input<'_>, credential: &Credential) -> Option<LastUsed> {
    let asked = input.facts.uses.get(&credential.id)?;
    let keys = asked.keys.as_ref().and_then(|keys| keys.as_ref().ok()).into_iter().flatten();
    let used = keys.filter_map(|key| key.last_used.clone()).max().map(|(at, by)| LastUsed { at, by });
    let read = || {
        let last = asked.reads.as_ref()?.calls.iter().max()?;
        Some(LastUsed { at: last.at, by: format!("{}, which read it", last.principal) })
    };
    used.or_else(read)
}

/// For how long values of `credential` have been valid, by what was seen of them.
pub(super) fn validity(input: &Input<'_>, credential: &Credential) -> Validity {
    let rotation = rotation(input, credential);
    let resource = see(input, credential).resource;
    let since = || resource.and_then(|resource| resource.instant("last_rotated").or_else(|| resource.instant("created")));
    let before = rotation.and_then(|rotation| {
        // Where somebody lets values in, the end of a rotation ends none: refused or disabled it must have been.
        let ends: &[&str] = if credential.rotator.capabilities().validated() { &["refused", "disabled"] } else { &["done"] };
        let at = ends.iter().find_map(|mark| rotation.instant(mark));
        Some(Ended { made: rotation.instant("before_made")?, at })
    });
    Validity {
        made: rotation.and_then(|rotation| rotation.instant("made")).or_else(since),
        before,
        period: credential.policy.rotate_every,
        allowed: credential.policy.max_validity,
    }
}

/// Owners to be asked because something is let in for longer than it may be. Nothing outside is changed, so no guard is asked.
pub(super) fn late(input: &Input<'_>) -> Vec<Action> {
    let all = input.catalog.credentials.values().filter(|one| one.rotator.by_hand().is_none());
    let reasons = all.flat_map(|credential| {
        let exceeded = validity(input, credential).exceeded(input.assessment.at);
        let valid = exceeded.map(|(since, limit)| Reason::ValidTooLong { since, limit });
        [valid, overdue(input, credential)].into_iter().flatten().map(move |reason| (credential, reason))
    });
    reasons.map(|(credential, reason)| ask(input, credential, reason)).collect()
}

/// Why the owner is asked at the deadline; that it has passed is told by the store's clock.
fn overdue(input: &Input<'_>, credential: &Credential) -> Option<Reason> {
    let limit = credential.gate.deadline.filter(|_| credential.gate.on_deadline == OnDeadline::Escalate)?;
    let late = rotation(input, credential).filter(|one| one.is("open") && one.is("overdue") && !returns(one))?;
    Some(Reason::NotRetiredInTime { since: late.instant("promoted")?, limit })
}

/// True when how long it must be unused is learnt from what a log tells.
#[must_use]
pub fn learns(credential: &Credential) -> bool {
    credential.gate.quiet == Quiet::Auto
}
