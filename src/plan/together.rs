//! Which actions of a plan restart the same workload, or restart it for several consumers, so that it is restarted once for all of them.

use std::collections::{BTreeMap, BTreeSet};

use super::Input;
use super::choose::consumers_behind;
use crate::model::catalog::{Catalog, Credential, Workload};
use crate::model::id::{ConsumerId, CredentialId};
use crate::model::plan::{Action, ActionKind, Together};

/// A workload, and whose consumers restart it: credential and consumer, in the order of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meeting {
    /// What is restarted.
    pub workload: Workload,
    /// For which.
    pub members: Vec<(CredentialId, ConsumerId)>,
}

/// Workloads that more than one consumer of the credentials of `actions` restarts.
#[must_use]
pub fn meetings(catalog: &Catalog, actions: &[Action]) -> Vec<Meeting> {
    meet(catalog, actions, |_, _, _| true)
}

/// What the plan says of them: where it is known that a consumer has the version, nothing is restarted for it.
pub(super) fn told(input: &Input<'_>, actions: &[Action]) -> Vec<Together> {
    let restarts = |credential: &Credential, kind: &ActionKind, consumer: &ConsumerId| match kind {
        ActionKind::Finish { generation, .. } => consumers_behind(input, credential, generation).contains(consumer),
        _ => true,
    };
    let met = meet(input.catalog, actions, restarts).into_iter().map(|meeting| {
        let credentials: BTreeSet<CredentialId> = meeting.members.into_iter().map(|(credential, _)| credential).collect();
        Together { workload: meeting.workload.name, credentials: credentials.into_iter().collect() }
    });
    let mut told: Vec<Together> = met.collect();
    told.sort();
    told
}

fn meet(catalog: &Catalog, actions: &[Action], restarts: impl Fn(&Credential, &ActionKind, &ConsumerId) -> bool) -> Vec<Meeting> {
    let mut all: BTreeMap<Workload, Vec<(CredentialId, ConsumerId)>> = BTreeMap::new();
    for kind in actions.iter().map(|action| &action.kind) {
        let Some((credential, consumers)) = brought(catalog, kind).filter(|(one, _)| !waits(one, actions)) else { continue };
        let declared = credential.consumers.iter().filter(|consumer| consumers.contains(&consumer.id));
        for consumer in declared.filter(|consumer| restarts(credential, kind, &consumer.id)) {
            if let Some(workload) = consumer.kind.workload(&credential.secret) {
                all.entry(workload).or_default().push((credential.id.clone(), consumer.id.clone()));
            }
        }
    }
    let met = all.into_iter().filter(|(_, members)| members.len() > 1);
    met.map(|(workload, members)| Meeting { workload, members }).collect()
}

/// True when another action of the plan comes before anybody is given a value of `credential`: what is made of another waits for that.
fn waits(credential: &Credential, actions: &[Action]) -> bool {
    actions.iter().any(|action| match &action.kind {
        ActionKind::Verify { credential: tried, .. } => *tried == credential.id,
        kind => kind.credential().is_some_and(|id| credential.after.contains(id)),
    })
}

/// The credential that `kind` brings to consumers, and to which. What AWS rotates is waited for apart.
fn brought<'a>(catalog: &'a Catalog, kind: &'a ActionKind) -> Option<(&'a Credential, &'a [ConsumerId])> {
    let (credential, consumers) = match kind {
        ActionKind::Rotate { credential, consumers, .. }
        | ActionKind::Deliver { credential, consumers, .. }
        | ActionKind::Finish { credential, consumers, .. } => (credential, consumers),
        _ => return None,
    };
    let credential = catalog.credentials.get(credential)?;
    let apart = credential.rotator.aws_managed().is_some() && matches!(kind, ActionKind::Rotate { .. });
    Some((credential, consumers.as_slice())).filter(|_| !apart)
}
