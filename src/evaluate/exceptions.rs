//! How the exceptions stand beside what was judged. They are never taken out of a population: what one lifts is counted in it.

use std::collections::{BTreeMap, BTreeSet};

use super::approvals::approval;
use crate::model::approval::Approval;
use crate::model::assessment::{Assessment, Because, Status, Subject};
use crate::model::catalog::{Catalog, Exception};
use crate::model::exception::{Exceptions, Finding, Hollow, Standing};
use crate::model::id::{ControlId, ExceptionId, ResourceId};
use crate::model::snapshot::Snapshot;

/// The entity type of an exception as its branch has it.
const ON_BRANCH: &str = "Slm::Exception";

/// Every exception of `catalog` as of `assessment`, and what is wrong with it.
#[must_use]
pub fn exceptions(catalog: &Catalog, snapshot: &Snapshot, assessment: &Assessment) -> Exceptions {
    let lifts = lifts(assessment);
    let wanted = wanted(catalog, assessment);
    let own = self_approved(snapshot);
    let standing = |exception: &Exception| {
        let lifts = lifts.get(&exception.id).copied().unwrap_or(0);
        let approval = approval(snapshot, &exception.place.file);
        let finding = if own.contains(exception.id.as_str()) {
            Some(Finding::SelfApproved)
        } else if approval == Approval::Nobody {
            Some(Finding::Unapproved)
        } else if exception.expires <= assessment.at {
            let needed = wanted.contains(&(exception.control.clone(), exception.resource.clone()));
            Some(if needed { Finding::ExpiredInUse } else { Finding::Expired })
        } else if exception.approved > assessment.at {
            Some(Finding::Ahead)
        } else {
            match lifts {
                0 => Some(Finding::Unused),
                1 => None,
                _ => Some(Finding::OverBroad),
            }
        };
        Standing {
            id: exception.id.clone(),
            control: exception.control.clone(),
            resource: exception.resource.clone(),
            requester: exception.requester.clone(),
            approver: exception.approver.clone(),
            approval,
            ticket: exception.ticket.clone(),
            expires: exception.expires,
            approvals: exception.earlier.len() + 1,
            lifts,
            finding,
        }
    };
    Exceptions { standings: catalog.exceptions.values().map(standing).collect(), hollow: hollow(catalog, assessment) }
}

fn lifts(assessment: &Assessment) -> BTreeMap<ExceptionId, u64> {
    let mut lifts = BTreeMap::new();
    for (_, _, because) in assessment.decisions.reasons() {
        if let Because::Exception(id) = because {
            *lifts.entry(id.clone()).or_default() += 1;
        }
    }
    lifts
}

/// What does not meet a control that an exception is for.
fn wanted(catalog: &Catalog, assessment: &Assessment) -> BTreeSet<(ControlId, ResourceId)> {
    let controls: BTreeSet<&ControlId> =
        catalog.exceptions.values().filter(|one| one.expires <= assessment.at).map(|one| &one.control).collect();
    let decisions = assessment.decisions.select(|control, status, _| status == Status::NonCompliant && controls.contains(control));
    let pair = |subject: Subject, control: ControlId| match subject {
        Subject::Resource { id, .. } => Some((control, id)),
        Subject::Population { .. } => None,
    };
    decisions.filter_map(|decision| pair(decision.subject, decision.control)).collect()
}

/// Exceptions whose file on the branch names one person twice, whatever the work tree says by now.
fn self_approved(snapshot: &Snapshot) -> BTreeSet<&str> {
    let seen = snapshot.populations.iter().filter(|population| population.entity.as_str() == ON_BRANCH);
    let all = seen.flat_map(|population| population.resources.iter());
    let own = all.filter(|one| {
        let (requester, approver) = (one.text("requester"), one.text("approver"));
        requester.zip(approver).is_some_and(|(one, other)| one.to_lowercase() == other.to_lowercase())
    });
    own.filter_map(|one| one.id.as_str().strip_prefix("exception:")).collect()
}

fn hollow(catalog: &Catalog, assessment: &Assessment) -> Vec<Hollow> {
    let mut counts = BTreeMap::<&ControlId, (u64, u64)>::new();
    for (control, status, _) in assessment.decisions.reasons() {
        let (excepted, population) = counts.entry(control).or_default();
        *excepted += u64::from(status == Status::Excepted);
        *population += u64::from(status != Status::NotApplicable);
    }
    // Of one member alone, all or nothing is lifted: that says nothing of the control.
    let little = |excepted: u64, all: u64| all > 1 && excepted * 2 > all;
    let known =
        counts.into_iter().filter(|(control, (excepted, all))| little(*excepted, *all) && catalog.controls.contains_key(*control));
    known.map(|(control, (excepted, population))| Hollow { control: control.clone(), excepted, population }).collect()
}
