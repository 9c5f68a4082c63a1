//! What is due, and whether it may be done now.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::guard::{Share, guard, shut, unseen};
use super::outlook::outlook;
use super::standing::returns;
use super::{Input, broken, by_hand, managed, preflight, spent, stages};
use crate::model::assessment::{Because, Decision, Status, Subject};
use crate::model::catalog::{Catalog, Credential, Remedy};
use crate::model::id::{ConsumerId, ControlId, CredentialId, CriterionId, FrameworkId, ResourceId, VersionId};
use crate::model::plan::{Action, ActionKind, Held, HeldBecause, Reason};
use crate::model::preflight::Looked;
use crate::model::snapshot::{CONSUMER_ENTITY, Completeness, Population, ROTATION_ENTITY, Resource, SECRET_ENTITIES, Unseen};
use crate::model::time::{Limit, Timestamp};

/// A credential as observed: its store's population, and the resource when it exists.
pub(super) struct Seen<'a> {
    pub population: Option<&'a Population>,
    pub resource: Option<&'a Resource>,
}

/// Rotations and deliveries that are due and permitted; what is due and not permitted goes to `held`.
pub(super) fn credentials(input: &Input<'_>, held: &mut Vec<Held>, looked: &mut Vec<Looked>) -> Vec<Action> {
    let mut due: Vec<(&Credential, ActionKind, Reason, bool)> = Vec::new();
    for credential in input.catalog.credentials.values() {
        let seen = see(input, credential);
        let unseen = unseen(input.snapshot, credential);
        if let Some((kind, reason)) = wanted(input, credential, &seen) {
            due.push((credential, kind, reason, unseen));
        }
    }
    // Oldest first, so that the share limit holds back the youngest.
    due.sort_by(|a, b| urgency(&a.2).cmp(&urgency(&b.2)).then_with(|| a.1.cmp(&b.1)));
    let managed = input.catalog.credentials.values().filter(|one| one.rotator.by_hand().is_none()).count() as u64;
    let allowed = (managed * u64::from(input.catalog.settings.limits.rotate_percent) / 100).max(1);
    let mut admit = Admit { input, managed, allowed, rotations: 0, actions: Vec::new(), held, looked };
    // What is due by itself is not asked about again; what was held is.
    let mut left: BTreeSet<&CredentialId> = input.catalog.credentials.keys().collect();
    for (credential, kind, reason, unseen) in due {
        left.remove(&credential.id);
        admit.one(credential, kind, reason, unseen);
    }
    while let Some((credential, kind, reason)) = follows(input, &admit.actions, &left) {
        left.remove(&credential.id);
        let unseen = unseen(input.snapshot, credential);
        admit.one(credential, kind, reason, unseen);
    }
    admit.actions
}

/// Takes what is due into the plan, or holds it.
struct Admit<'a, 'i> {
    input: &'a Input<'i>,
    managed: u64,
    allowed: u64,
    rotations: u64,
    actions: Vec<Action>,
    held: &'a mut Vec<Held>,
    looked: &'a mut Vec<Looked>,
}

impl Admit<'_, '_> {
    /// Why the next value of a rotation that takes several is not made yet, if so.
    fn too_early(&self, credential: &Credential, kind: &ActionKind, reason: &Reason) -> Option<HeldBecause> {
        let ActionKind::Rotate { generation: Some(version), .. } = kind else { return None };
        stages::held(credential, kind, reason, rotation_of(self.input, credential, version), self.input.assessment.at)
    }

    fn one(&mut self, credential: &Credential, kind: ActionKind, reason: Reason, unseen: bool) {
        let (input, allowed) = (self.input, self.allowed);
        let counts = matches!(kind, ActionKind::Rotate { .. })
            && !matches!(reason, Reason::HalfDone | Reason::InWrongHands { .. } | Reason::Stuck { .. } | Reason::Staged);
        let because = if unseen {
            Err(HeldBecause::Unseen(store_detail(input, credential)))
        } else if let Some(because) = managed::held(credential, &kind, see(input, credential).resource) {
            Err(because)
        } else if let Some(because) = spent::held(input, credential, &kind)
            .or_else(|| self.too_early(credential, &kind, &reason))
            .or_else(|| broken::held(input, credential, &kind))
        {
            Err(because)
        } else if counts && self.rotations >= allowed {
            Err(HeldBecause::ShareLimit { allowed })
        } else if let Some(because) = shut(&input.catalog.settings, credential, &kind, &reason, input.assessment.at) {
            Err(because)
        } else {
            let verb = match kind {
                ActionKind::Deliver { .. } => "deliver",
                _ if matches!(reason, Reason::InWrongHands { .. }) => "rotate_leak",
                // What comes back is put in force, and nothing is ended.
                ActionKind::Finish { .. } if !matches!(reason, Reason::RolledBack | Reason::Staged) => "retire",
                _ => "rotate",
            };
            let share = Share { rotations: self.rotations, managed: self.managed, incomplete: unseen };
            let permitted = guard(input.rules, credential, verb, share, input.assessment.at);
            permitted.and_then(|rules| look_ahead(input, credential, &kind, &reason, self.looked).map(|()| rules))
        };
        match because {
            Err(because) => self.held.push(Held { outlook: outlook(input, credential, &kind, &reason), kind, reason, because }),
            Ok(permitted_by) => {
                self.rotations += u64::from(counts);
                let controls = credential.satisfies.clone();
                let criteria = criteria(input.catalog, &controls);
                let outlook = outlook(input, credential, &kind, &reason);
                self.actions.push(Action { kind, reason, controls, criteria, permitted_by, outlook });
            }
        }
    }
}

/// Looks ahead of a rotation that is permitted; what is in order or unseen goes to `looked`.
fn look_ahead(
    input: &Input<'_>,
    credential: &Credential,
    kind: &ActionKind,
    reason: &Reason,
    looked: &mut Vec<Looked>,
) -> Result<(), HeldBecause> {
    if !matches!(kind, ActionKind::Rotate { .. }) {
        return Ok(());
    }
    let found = preflight::ahead(input, credential, &see(input, credential), reason);
    if !found.obstacles.is_empty() {
        return Err(HeldBecause::Preflight(found.obstacles));
    }
    looked.extend(found.looked);
    Ok(())
}

fn urgency(reason: &Reason) -> (u8, i64) {
    match reason {
        Reason::HalfDone | Reason::InWrongHands { .. } | Reason::Stuck { .. } | Reason::Staged => (0, 0),
        Reason::Forced => (1, 0),
        Reason::NoValue => (2, 0),
        Reason::TooOld { since, .. } => (3, since.as_second()),
        _ => (4, 0),
    }
}

pub(super) fn see<'a>(input: &'a Input<'_>, credential: &Credential) -> Seen<'a> {
    let population = input.snapshot.populations.iter().find(|population| credential.secret.is_in(population));
    let resource = population.and_then(|population| {
        // A secret has one owner, so that its name in its store is enough.
        population.resources.iter().find(|resource| resource.text("name") == Some(&credential.secret.name))
    });
    Seen { population, resource }
}

pub(super) fn store_detail(input: &Input<'_>, credential: &Credential) -> String {
    match see(input, credential).population.map(|population| &population.completeness) {
        Some(Completeness::Incomplete { detail, .. }) => detail.clone(),
        _ => format!("source `{}` was not observed", credential.secret.source),
    }
}

/// What `credential` needs, whether or not it is permitted.
fn wanted(input: &Input<'_>, credential: &Credential, seen: &Seen<'_>) -> Option<(ActionKind, Reason)> {
    if let Some(hand) = credential.rotator.by_hand() {
        return by_hand::delivery(input, credential, hand);
    }
    let at = input.assessment.at;
    let Some(resource) = seen.resource else { return Some((rotate(credential, None), Reason::NoValue)) };
    let Some(version) = resource.text("version").map(VersionId::from) else {
        return Some((rotate(credential, None), if resource.is("slm_pending") { Reason::HalfDone } else { Reason::NoValue }));
    };
    let rotation = rotation_of(input, credential, &version);
    let (can, open) = (credential.rotator.capabilities(), rotation.is_some_and(|rotation| rotation.is("open")));
    if (open || can.staged()) && rotation.is_some_and(returns) {
        return Some((finish(credential, version, None), Reason::RolledBack));
    }
    // `AWSPENDING` is AWS's; only our own slot label makes a rotation of ours half done. It stays on an attempt that was rejected.
    let spent = spent::attempts(input, credential).is_some();
    // So it does on a value that was to come back and did not, since its credential is gone.
    let restored = rotation.is_some_and(|rotation| rotation.is("restored"));
    let wrong_hands = |fact| Some(Reason::InWrongHands { since: rotation?.instant(fact)? });
    if let Some(reason) = wrong_hands("leaked").filter(|_| !spent) {
        return Some((rotate(credential, Some(version)), reason));
    }
    if resource.is("slm_pending") && credential.rotator.aws_managed().is_none() && !spent && !restored {
        return Some((rotate(credential, Some(version)), Reason::HalfDone));
    }
    // A rotation that is asked for ends first what the last one left behind.
    let behind = consumers_behind(input, credential, &version);
    let ready = if can.staged() { !open } else { behind.is_empty() || can.validated() };
    if ready && input.forced.contains(&credential.id) {
        return Some((rotate(credential, Some(version)), Reason::Forced));
    }
    if open {
        let usual = if can.staged() { Reason::Staged } else { Reason::NotRetired };
        return Some((finish(credential, version, before(rotation)), wrong_hands("before_leaked").unwrap_or(usual)));
    }
    if !behind.is_empty() {
        let secret = credential.secret.clone();
        let kind = ActionKind::Deliver { credential: credential.id.clone(), secret, generation: version, consumers: behind };
        return Some((kind, Reason::NotAdopted));
    }
    if let Some(since) = rotation.and_then(managed::stuck) {
        return Some((rotate(credential, Some(version)), Reason::Stuck { since }));
    }
    if let Some((_, not_before)) = rotation.and_then(|rotation| stages::coming(credential, rotation)) {
        let made = not_before.is_none_or(|instant| instant <= at);
        return made.then(|| (rotate(credential, Some(version)), Reason::Staged));
    }
    // What AWS has begun is not asked for again while it may take that long.
    let under_way = rotation.is_some_and(|rotation| rotation.instant("pending_since").is_some());
    if under_way || credential.policy.not_before.is_some_and(|instant| at < instant) {
        return None;
    }
    let signed = rotation.and_then(|rotation| rotation.instant("signed_since"));
    let since = signed.or_else(|| resource.instant("last_rotated")).or_else(|| resource.instant("created"))?;
    let due_after = due_after(credential);
    let limit = credential.policy.rotate_every;
    if due_after.after(since) <= at {
        return Some((rotate(credential, Some(version)), Reason::TooOld { since, due_after, limit }));
    }
    Some((rotate(credential, Some(version)), outdated(input, credential, since)?))
}

/// Why `credential`, whose value is of `since`, is to be made anew of what it is made of, if so.
fn outdated(input: &Input<'_>, credential: &Credential, since: Timestamp) -> Option<Reason> {
    let made_of = credential.after.iter().filter_map(|id| input.catalog.credentials.get(id));
    let later = made_of.filter_map(|other| {
        let at = see(input, other).resource?.instant("last_rotated").filter(|at| *at > since)?;
        Some((at, &other.id))
    });
    later.max().map(|(at, from)| Reason::Derived { from: from.clone(), since: Some(at) })
}

/// A credential that is not in the plan, and that something it is made of is rotated before.
fn follows<'a>(
    input: &Input<'a>,
    actions: &[Action],
    left: &BTreeSet<&CredentialId>,
) -> Option<(&'a Credential, ActionKind, Reason)> {
    let rotated: BTreeSet<&CredentialId> = actions
        .iter()
        .filter_map(|action| match &action.kind {
            ActionKind::Rotate { credential, .. } => Some(credential),
            _ => None,
        })
        .collect();
    let all = input.catalog.credentials.values().filter(|one| !one.after.is_empty() && left.contains(&one.id));
    let mut later = all.filter(|one| one.policy.not_before.is_none_or(|instant| instant <= input.assessment.at));
    later.find_map(|one| {
        let from = one.after.iter().find(|id| rotated.contains(id))?.clone();
        let version = see(input, one).resource?.text("version").map(VersionId::from)?;
        Some((one, rotate(one, Some(version)), Reason::Derived { from, since: None }))
    })
}

/// The age at which `credential` is due: its period less a share of its jitter fixed by its id, so that a fleet spreads out and
/// every run agrees.
pub(super) fn due_after(credential: &Credential) -> Limit {
    let digest = Sha256::digest(credential.id.as_str().as_bytes());
    let fraction = i64::from(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) >> 1);
    let jitter = credential.policy.jitter.as_seconds();
    let earlier = i64::try_from(i128::from(jitter) * i128::from(fraction) / i128::from(i32::MAX)).unwrap_or(0);
    Limit::seconds((credential.policy.rotate_every.as_seconds() - earlier).max(0))
}

pub(super) fn rotate(credential: &Credential, generation: Option<VersionId>) -> ActionKind {
    ActionKind::Rotate {
        credential: credential.id.clone(),
        secret: credential.secret.clone(),
        rotation: crate::model::plan::rotation_id(&credential.id, generation.as_ref()),
        generation,
        consumers: credential.consumers.iter().map(|consumer| consumer.id.clone()).collect(),
    }
}

/// How far the rotation that made `version` current was seen to have come.
pub(super) fn rotation_of<'a>(input: &'a Input<'_>, credential: &Credential, version: &VersionId) -> Option<&'a Resource> {
    let rotations = input.snapshot.populations.iter().filter(|population| population.entity.as_str() == ROTATION_ENTITY);
    let mut found = rotations.flat_map(|population| population.resources.iter());
    found.find(|resource| {
        let is_it = resource.text("credential") == Some(credential.id.as_str());
        is_it && resource.text("generation") == Some(version.as_str())
    })
}

/// The version that the one in force replaced, when slm promoted that.
fn before(rotation: Option<&Resource>) -> Option<VersionId> {
    rotation?.text("before").map(VersionId::from)
}

/// The end of the rotation that made `generation` current: it has the name of that, from the version `before`. Without one it is named
/// by the version that is left, as a roll-back is.
pub(super) fn finish(credential: &Credential, generation: VersionId, before: Option<VersionId>) -> ActionKind {
    ActionKind::Finish {
        credential: credential.id.clone(),
        secret: credential.secret.clone(),
        rotation: crate::model::plan::rotation_id(&credential.id, Some(before.as_ref().unwrap_or(&generation))),
        generation,
        consumers: credential.consumers.iter().map(|consumer| consumer.id.clone()).collect(),
    }
}

/// What the consumers of `credential` were seen to say, by their ids.
pub(super) fn acknowledged<'a>(input: &'a Input<'_>, credential: &Credential) -> BTreeMap<&'a str, &'a Resource> {
    let all = input.snapshot.populations.iter().filter(|population| population.entity.as_str() == CONSUMER_ENTITY);
    all.flat_map(|population| population.resources.iter())
        .filter(|resource| resource.text("credential") == Some(credential.id.as_str()))
        .filter_map(|resource| resource.text("consumer").map(|id| (id, resource)))
        .collect()
}

pub(super) fn consumers_behind(input: &Input<'_>, credential: &Credential, version: &VersionId) -> Vec<ConsumerId> {
    let acknowledged = acknowledged(input, credential);
    let behind = |id: &&ConsumerId| {
        let seen = acknowledged.get(id.as_str());
        // Bringing it to a place that another one overrides brings it nowhere.
        let reached = seen.filter(|resource| resource.text("overridden").is_none());
        reached.is_some_and(|resource| ["stored", "running"].iter().any(|name| resource.text(name) != Some(version.as_str())))
    };
    credential.consumers.iter().map(|consumer| &consumer.id).filter(behind).cloned().collect()
}

pub(super) fn criteria(catalog: &Catalog, controls: &[ControlId]) -> Vec<(FrameworkId, CriterionId)> {
    let mut all = BTreeSet::new();
    for control in controls.iter().filter_map(|id| catalog.controls.get(id)) {
        for (framework, ids) in &control.criteria {
            all.extend(ids.iter().map(|id| (framework.clone(), id.clone())));
        }
    }
    all.into_iter().collect()
}

/// Collections, escalations and adoptions the assessment asks for. They change nothing outside, so no guard is asked.
pub(super) fn findings(input: &Input<'_>) -> Vec<Action> {
    let mut actions = Vec::new();
    for gap in &input.assessment.gaps {
        let observable = input.catalog.controls.get(&gap.control).is_some_and(|control| control.needs.is_none());
        let mut reasons = input.assessment.decisions.reasons_of(&gap.control);
        if observable && reasons.any(|(status, because)| retry_helps(status, because)) {
            let kind = ActionKind::Collect { control: gap.control.clone() };
            actions.push(action(input, kind, Reason::NoEvidence(gap.reason.clone()), &gap.control));
        }
    }
    for decision in input.assessment.decisions.select(|_, status, _| status == Status::NonCompliant) {
        actions.extend(breach(input, &decision));
    }
    actions
}

/// Whether reading again can close the gap: not when no source holds the population.
fn retry_helps(status: Status, because: &Because) -> bool {
    status == Status::NoEvidence && !matches!(because, Because::Unseen { cause: Unseen::NotCollected, .. })
}

fn breach(input: &Input<'_>, decision: &Decision) -> Option<Action> {
    let control = input.catalog.controls.get(&decision.control)?;
    let Subject::Resource { entity, id } = &decision.subject else { return None };
    let declared = declared(input, entity.as_str(), id);
    let kind = match (control.remedy, declared) {
        // The rotation or delivery itself is in the plan or in `held`; where slm does neither, a person is asked.
        (Remedy::Rotate | Remedy::Redeploy, true) => return by_hand::breach(input, control, entity.as_str(), id),
        (Remedy::Rotate, false) if resource_is(input, entity.as_str(), id, "rotation_enabled") => {
            // AWS rotates it, or should: a person looks at why it does not.
            ActionKind::Escalate { control: control.id.clone(), resource: Some(id.clone()), owner: control.owner.clone() }
        }
        (Remedy::Rotate, false) if SECRET_ENTITIES.contains(&entity.as_str()) => {
            return Some(action(
                input,
                ActionKind::Adopt { resource: id.clone(), control: control.id.clone() },
                Reason::Undeclared,
                &control.id,
            ));
        }
        (Remedy::Collect, _) => ActionKind::Collect { control: control.id.clone() },
        _ => ActionKind::Escalate { control: control.id.clone(), resource: Some(id.clone()), owner: control.owner.clone() },
    };
    Some(action(input, kind, Reason::NonCompliant, &control.id))
}

fn declared(input: &Input<'_>, entity: &str, id: &ResourceId) -> bool {
    entity == CONSUMER_ENTITY || resource_is(input, entity, id, "declared")
}

fn resource_is(input: &Input<'_>, entity: &str, id: &ResourceId, name: &str) -> bool {
    let populations = input.snapshot.populations.iter().filter(|population| population.entity.as_str() == entity);
    let mut found = populations.filter_map(|population| {
        let at = population.resources.binary_search_by(|resource| resource.id.cmp(id)).ok()?;
        population.resources.get(at)
    });
    found.any(|resource| resource.is(name))
}

/// What is asked of the owner of `credential`, or tried of it. Nothing outside is changed, so no guard is asked.
pub(super) fn of_its_owner(input: &Input<'_>, credential: &Credential, kind: ActionKind, reason: Reason) -> Action {
    let controls = credential.satisfies.clone();
    let criteria = criteria(input.catalog, &controls);
    Action { kind, reason, controls, criteria, permitted_by: Vec::new(), outlook: None }
}

/// The owner of `credential` is asked, for this reason.
pub(super) fn ask(input: &Input<'_>, credential: &Credential, reason: Reason) -> Action {
    let kind = ActionKind::EscalateCredential { credential: credential.id.clone(), owner: credential.owner.clone() };
    of_its_owner(input, credential, kind, reason)
}

pub(super) fn action(input: &Input<'_>, kind: ActionKind, reason: Reason, control: &ControlId) -> Action {
    let controls = vec![control.clone()];
    let criteria = criteria(input.catalog, &controls);
    Action { kind, reason, controls, criteria, permitted_by: Vec::new(), outlook: None }
}
