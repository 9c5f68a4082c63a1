//! What restarts the same workload is carried out together, so that it is restarted once.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use super::carry::{self, Haste};
use super::{Global, lease, pipeline, ready, wire};
use crate::apply::together::{Meeting as Met, drive_all};
use crate::host::clock::SystemClock;
use crate::model::id::CredentialId;
use crate::model::outcome::Outcome;
use crate::model::plan::{ActionKind, Plan};
use crate::plan::together::{Meeting, meetings};
use crate::world::Shared;

/// Actions that are carried out together, and what they restart.
pub(super) struct Group {
    /// Their numbers in the plan.
    pub numbers: Vec<usize>,
    meetings: Vec<Meeting>,
}

impl Group {
    /// The number of its one action, which restarts nothing for several consumers.
    pub(super) fn alone(&self) -> Option<usize> {
        self.numbers.first().copied().filter(|_| self.numbers.len() == 1 && self.meetings.is_empty())
    }
}

/// The actions of `plan` in groups, each where its first action is. What is in wrong hands waits for nobody.
pub(super) fn groups(session: &pipeline::Session, plan: &Plan, haste: Haste) -> Vec<Group> {
    let mut groups: Vec<Group> =
        (0..plan.actions.len()).map(|number| Group { numbers: vec![number], meetings: Vec::new() }).collect();
    if haste == Haste::Leaked {
        return groups;
    }
    for meeting in meetings(&session.catalog, &plan.actions) {
        let member = |number: &usize| {
            let kind = &plan.actions[*number].kind;
            let brings = !matches!(kind, ActionKind::Verify { .. });
            brings && kind.credential().is_some_and(|id| meeting.members.iter().any(|(member, _)| member == id))
        };
        let is_in = |group: &mut Group| group.numbers.iter().any(member);
        let mut joined = Group { numbers: Vec::new(), meetings: vec![meeting.clone()] };
        for group in groups.extract_if(.., is_in) {
            joined.numbers.extend(group.numbers);
            joined.meetings.extend(group.meetings);
        }
        groups.push(joined);
    }
    for group in &mut groups {
        group.numbers.sort_unstable();
    }
    groups.sort_by_key(|group| group.numbers.first().copied());
    groups
}

/// Carries out the actions of `group`, those that another run does not work on; gives their outcomes by number.
pub(super) async fn carry_out(
    session: &pipeline::Session,
    global: &Global,
    plan: &Plan,
    group: &Group,
    haste: Haste,
    stop: &AtomicBool,
) -> BTreeMap<usize, Outcome> {
    let (mut outcomes, mut leases, mut all) = (BTreeMap::new(), Vec::new(), Vec::new());
    for number in group.numbers.iter().copied() {
        let action = &plan.actions[number];
        match carry::take(session, global, action, haste).await {
            Ok(lease) => leases.extend(lease),
            Err(outcome) => {
                outcomes.insert(number, outcome);
                continue;
            }
        }
        match ready::make(session, global, action, false).await {
            Ok(ready) => all.push((number, ready)),
            Err(outcome) => drop(outcomes.insert(number, *outcome)),
        }
    }
    let jobs: Vec<_> = all.iter().map(|(_, ready)| ready.job()).collect();
    let shared = shared(session, global, group).await;
    let met: Vec<Met<'_>> = shared
        .iter()
        .map(|(meeting, shared)| {
            let job = |id: &CredentialId| all.iter().position(|(_, ready)| ready.credential.id == *id);
            let members = meeting.members.iter().filter_map(|(id, consumer)| Some((job(id)?, consumer.clone())));
            Met { members: members.collect(), at: meeting.workload.at, shared: shared.as_ref() }
        })
        .collect();
    let renew = |job: usize| all[job].1.renew();
    let done = drive_all(&jobs, &met, &renew, &SystemClock, stop).await;
    outcomes.extend(all.iter().map(|(number, _)| *number).zip(done));
    for (credential, ours) in leases {
        lease::give_back(session, global, credential, ours).await;
    }
    outcomes
}

/// What the members of each meeting restart; where that cannot be reached, each goes by itself and says why.
async fn shared<'g>(session: &pipeline::Session, global: &Global, group: &'g Group) -> Vec<(&'g Meeting, Box<dyn Shared>)> {
    let access = wire::Access::Apply("slm-apply");
    let reach = wire::Reach { catalog: &session.catalog, root: &global.root, access, sessions: &session.sessions };
    let mut shared = Vec::new();
    for meeting in &group.meetings {
        match wire::shared(&reach, meeting).await {
            Ok(one) => shared.push((meeting, one)),
            Err(error) => tracing::warn!("{error}; nothing is restarted together"),
        }
    }
    shared
}
