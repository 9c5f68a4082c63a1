//! Two recorded runs become a report of drift. Pure: what was read comes in.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::assessment::{Because, Decision, Status, Subject, Tally};
use crate::model::catalog::{Catalog, Control, ControlKind, Credential, Remedy};
use crate::model::drift::{
    Blind, Breach, Compared, Coverage, Drift, Ending, Failed, Finding, Gone, HalfDone, Identity, Measured, Next,
    Seen as SourceSeen, Share, Stale, Unmanaged,
};
use crate::model::exception::{Exceptions, Finding as Wrong};
use crate::model::id::{ControlId, CredentialId};
use crate::model::outcome::{Fate, Outcome};
use crate::model::receipt::Receipt;
use crate::model::snapshot::{Completeness, ROTATION_ENTITY, Resource, Snapshot, Unseen};
use crate::model::standing::{Phase, Standing};
use crate::model::time::{Limit, Timestamp};
use crate::policy::{Measure, Rules, Sense};
use crate::report::words;

/// How far ahead a report looks.
pub const AHEAD: Limit = Limit::days(30);

/// Everything a report of drift is made of.
pub struct Seen<'a> {
    /// The config that the last run was judged by.
    pub catalog: &'a Catalog,
    /// Its rules.
    pub rules: &'a Rules,
    /// When the report is made.
    pub now: Timestamp,
    /// The last run.
    pub run: Compared,
    /// The instant that its rules saw as now.
    pub judged: Timestamp,
    /// What it saw.
    pub snapshot: &'a Snapshot,
    /// Of its decisions those that somebody may have to do something about, and those about what was a finding before.
    pub decisions: &'a [Decision],
    /// How many subjects had each status, by control.
    pub tallies: &'a BTreeMap<String, Tally>,
    /// Since when each finding is one.
    pub since: &'a BTreeMap<(ControlId, Subject), Timestamp>,
    /// How the credentials stand.
    pub standings: &'a [(CredentialId, Standing)],
    /// How the exceptions stand.
    pub exceptions: &'a Exceptions,
    /// What became of its actions.
    pub outcomes: &'a [Outcome],
    /// The run that it is compared with.
    pub before: Option<Before>,
    /// A run is due this often.
    pub cadence: Limit,
    /// Why the evidence does not hold.
    pub broken: Vec<String>,
    /// What could not be looked at.
    pub notes: Vec<String>,
}

/// The run that the last one is compared with.
pub struct Before {
    /// Which.
    pub run: Compared,
    /// What it was that was not met or without evidence.
    pub findings: Vec<(ControlId, Subject, Status)>,
    /// What it collected.
    pub receipts: Vec<Receipt>,
}

impl Seen<'_> {
    fn control(&self, id: &ControlId) -> Option<&Control> {
        self.catalog.controls.get(id)
    }

    fn resource(&self, subject: &Subject) -> Option<(&crate::model::snapshot::Population, &Resource)> {
        let Subject::Resource { entity, id } = subject else { return None };
        let populations = self.snapshot.populations.iter().filter(|population| population.entity == *entity);
        populations.into_iter().find_map(|population| {
            let at = population.resources.binary_search_by(|one| one.id.cmp(id)).ok()?;
            Some((population, population.resources.get(at)?))
        })
    }

    fn declared(&self, subject: &Subject) -> Option<&Credential> {
        let (population, resource) = self.resource(subject)?;
        self.catalog.declared_as(population, resource)
    }
}

/// What changed, and what needs somebody.
#[must_use]
pub fn drift(seen: Seen<'_>) -> Drift {
    let before: BTreeSet<Identity> = seen.before.iter().flat_map(|before| &before.findings).map(identity).collect();
    let mut all: Vec<Finding> = seen.decisions.iter().filter_map(|decision| finding(&seen, decision)).collect();
    all.sort_by(|a, b| b.weight(seen.now).cmp(&a.weight(seen.now)).then_with(|| a.identity.cmp(&b.identity)));
    let (open, new): (Vec<Finding>, Vec<Finding>) = all.into_iter().partition(|one| before.contains(&one.identity));
    let (resolved, lost) = gone(&seen);
    let silent = seen.now.as_second() - seen.run.at.as_second();
    Drift {
        at: seen.now,
        new,
        open,
        resolved,
        lost,
        breaches: breaches(&seen),
        half_done: seen.standings.iter().filter_map(|(id, standing)| half_done(&seen, id, standing)).collect(),
        failed: seen.outcomes.iter().filter_map(|outcome| failed(&seen, outcome)).collect(),
        stale: stale(&seen),
        unseen: unseen(&seen),
        unseen_rotations: unseen_rotations(&seen),
        exceptions: ending(&seen),
        unmanaged: unmanaged(&seen),
        coverage: coverage(&seen),
        sources: sources(seen.snapshot),
        silent: (silent > seen.cadence.as_seconds()).then(|| Limit::seconds(silent)),
        run: seen.run,
        before: seen.before.map(|before| before.run),
        broken: seen.broken,
        notes: seen.notes,
    }
}

fn identity((control, subject, status): &(ControlId, Subject, Status)) -> Identity {
    Identity { control: control.clone(), resource: words::subject(subject), status: *status }
}

fn is_finding(status: Status) -> bool {
    matches!(status, Status::NonCompliant | Status::NoEvidence)
}

/// What nobody observes yet, or only a person attests, is a gap of the catalogue: it is in the coverage, and no finding of a run.
fn is_observed(control: &Control, because: &Because) -> bool {
    let unseen = matches!(because, Because::Unseen { cause: Unseen::NotCollected, .. });
    !unseen || (control.needs.is_none() && control.kind != ControlKind::Attestation)
}

fn finding(seen: &Seen<'_>, decision: &Decision) -> Option<Finding> {
    let control = seen.control(&decision.control)?;
    if !is_finding(decision.status) || !is_observed(control, &decision.because) {
        return None;
    }
    let key = (decision.control.clone(), decision.subject.clone());
    Some(Finding {
        identity: identity(&(decision.control.clone(), decision.subject.clone(), decision.status)),
        title: control.title.clone(),
        severity: control.severity,
        owner: control.owner.clone(),
        since: seen.since.get(&key).copied().unwrap_or(seen.judged),
        measured: measured(seen, control, decision),
        because: words::because(decision),
        next: next(seen, control, decision),
    })
}

/// The age that is furthest over its limit, if a rule bounds one.
fn measured(seen: &Seen<'_>, control: &Control, decision: &Decision) -> Option<Measured> {
    let Subject::Resource { entity, .. } = &decision.subject else { return None };
    if decision.status != Status::NonCompliant {
        return None;
    }
    let (_, resource) = seen.resource(&decision.subject)?;
    let slice = seen.rules.slice(&format!("Control::Action::{:?}", control.id.as_str()));
    let rules = slice.iter().filter(|rule| rule.exception.is_none());
    let bounds = rules.flat_map(|rule| rule.bounds(entity, resource, seen.now));
    let ages = bounds.filter(|bound| bound.measure == Measure::Age && matches!(bound.sense, Sense::AtMost | Sense::Under));
    let over = ages.filter_map(|bound| {
        let is = Limit::seconds(seen.now.as_second() - resource.instant(&bound.attribute)?.as_second());
        let limit = Limit::seconds(bound.limit / 1000);
        (is > limit).then(|| Measured { what: format!("age of {}", bound.attribute), is, limit })
    });
    over.max_by_key(|one| one.is.as_seconds() - one.limit.as_seconds())
}

/// What is safe to do about it.
fn next(seen: &Seen<'_>, control: &Control, decision: &Decision) -> Next {
    let explain = |name: &str| Next::Run(format!("slm explain {}", quoted(name)));
    let Subject::Resource { id, .. } = &decision.subject else {
        return match &decision.because {
            Because::Unseen { cause: Unseen::Denied, .. } => Next::Do("let it be read, then `slm apply`".to_owned()),
            _ => explain(control.id.as_str()),
        };
    };
    match (control.remedy, seen.declared(&decision.subject)) {
        (Remedy::Rotate, Some(credential)) if decision.status == Status::NonCompliant => {
            if credential.rotator.by_hand().is_some() {
                return Next::Run(format!("slm status {}", quoted(credential.id.as_str())));
            }
            Next::Run(format!("slm rotate {}", quoted(credential.id.as_str())))
        }
        (Remedy::Rotate, None)
            if decision.status == Status::NonCompliant
                && seen.resource(&decision.subject).is_some_and(|(population, _)| population.holds_secrets()) =>
        {
            Next::Run(format!("slm adopt {}", quoted(id.as_str())))
        }
        (Remedy::Collect, _) => Next::Run("slm apply".to_owned()),
        _ => explain(id.as_str()),
    }
}

/// `name` as a shell takes it for one word.
pub(crate) fn quoted(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@+=%,".contains(&byte);
    if !name.is_empty() && !name.starts_with('-') && name.bytes().all(plain) {
        return name.to_owned();
    }
    let text: String = name.chars().filter(|letter| !letter.is_control()).collect();
    let word = format!("'{}'", text.replace('\'', "'\\''"));
    if name.starts_with('-') { format!("-- {word}") } else { word }
}

/// What was a finding and is none: what is resolved, and what nobody knows of.
fn gone(seen: &Seen<'_>) -> (Vec<Gone>, Vec<Gone>) {
    let (mut resolved, mut lost) = (Vec::new(), Vec::new());
    let now: BTreeMap<(&ControlId, &Subject), &Decision> =
        seen.decisions.iter().map(|decision| ((&decision.control, &decision.subject), decision)).collect();
    for (control, subject, status) in seen.before.iter().flat_map(|before| &before.findings) {
        let is = now.get(&(control, subject)).copied();
        if is.is_some_and(|decision| decision.status == *status) {
            continue;
        }
        let owner = seen.control(control).map_or_else(String::new, |control| control.owner.clone());
        let gone =
            |now: String| Gone { identity: identity(&(control.clone(), subject.clone(), *status)), owner: owner.clone(), now };
        match is {
            Some(decision) if decision.status == Status::NoEvidence => lost.push(gone(words::because(decision))),
            Some(decision) => resolved.push(gone(decision.status.word().to_owned())),
            None if !seen.tallies.contains_key(control.as_str()) => {
                lost.push(gone("the control is not judged any more".to_owned()))
            }
            None => match not_seen(seen, subject) {
                Some(why) => lost.push(gone(why)),
                None => resolved.push(gone("it is not there any more".to_owned())),
            },
        }
    }
    (resolved, lost)
}

/// Why it is not known whether `subject` is still there, if so.
fn not_seen(seen: &Seen<'_>, subject: &Subject) -> Option<String> {
    let entity = match subject {
        Subject::Resource { entity, .. } | Subject::Population { entity, .. } => entity,
    };
    let mut populations = seen.snapshot.populations.iter().filter(|population| population.entity == *entity).peekable();
    if populations.peek().is_none() {
        return Some(format!("nothing of {entity} was seen"));
    }
    populations.find_map(|population| match &population.completeness {
        Completeness::Complete => None,
        Completeness::Incomplete { detail, .. } => Some(detail.clone()),
    })
}

fn breaches(seen: &Seen<'_>) -> Vec<Breach> {
    let end = AHEAD.after(seen.now);
    let flips = seen.decisions.iter().filter(|decision| matches!(decision.status, Status::Compliant | Status::Excepted));
    let breach = |decision: &Decision| {
        let at = decision.flips_at.filter(|at| *at <= end)?;
        let control = seen.control(&decision.control)?;
        let rotated = |credential: &Credential| credential.rotator.by_hand().is_none();
        Some(Breach {
            at,
            control: control.id.clone(),
            resource: words::subject(&decision.subject),
            severity: control.severity,
            owner: control.owner.clone(),
            managed: control.remedy == Remedy::Rotate && seen.declared(&decision.subject).is_some_and(rotated),
        })
    };
    let mut all: Vec<Breach> = flips.filter_map(breach).collect();
    all.sort();
    all
}

fn half_done(seen: &Seen<'_>, id: &CredentialId, standing: &Standing) -> Option<HalfDone> {
    let credential = seen.catalog.credentials.get(id)?;
    let waits = standing.until.is_some_and(|until| until > seen.now);
    let name = quoted(id.as_str());
    let resume = || Next::Run(format!("slm resume {name}"));
    let (stuck, go_on) = match standing.phase {
        Phase::Prepared | Phase::Delivering | Phase::Returning => (true, resume()),
        Phase::Stuck => (true, Next::Run(format!("slm resume {name}"))),
        Phase::Spent => {
            (true, Next::Do(format!("find out why no attempt was put in force, then raise `attempts` in `credentials/{id}.toml`")))
        }
        Phase::Rotating => (!waits, Next::Run(format!("slm status {name}"))),
        Phase::Staged | Phase::Retiring | Phase::Soaking => (false, resume()),
        _ => return None,
    };
    let overdue = standing.deadline.as_ref().and_then(|deadline| deadline.at).is_some_and(|at| at <= seen.now);
    let next = match (&standing.broken, standing.until) {
        (Some(_), _) => Next::Run(format!("slm rollback {name}")),
        (None, Some(until)) if waits => Next::Do(format!("wait until {until}, then `slm resume {name}`")),
        _ => go_on,
    };
    Some(HalfDone {
        credential: id.clone(),
        owner: credential.owner.clone(),
        phase: standing.phase,
        since: begun(seen, credential, standing),
        until: standing.until,
        late: stuck || overdue || standing.holding.is_some() || standing.broken.is_some(),
        next,
    })
}

/// When the rotation was begun, as far as its store or the registers tell.
fn begun(seen: &Seen<'_>, credential: &Credential, standing: &Standing) -> Option<Timestamp> {
    let rotations = seen.snapshot.populations.iter().filter(|population| population.entity.as_str() == ROTATION_ENTITY);
    let mut all = rotations.flat_map(|population| population.resources.iter());
    let of = |one: &&Resource| one.text("credential") == Some(credential.id.as_str());
    let rotation = all.find(of);
    let dated =
        rotation.and_then(|one| one.instant("pending_since").or_else(|| one.instant("promoted")).or_else(|| one.instant("made")));
    // A value that was put in force and not delivered is as old as the rotation; one in a slot was not dated by anybody.
    dated.or(if matches!(standing.phase, Phase::Prepared | Phase::Spent) { None } else { standing.since })
}

fn failed(seen: &Seen<'_>, outcome: &Outcome) -> Option<Failed> {
    let (how, why) = match &outcome.fate {
        Fate::Failed(why) => ("failed", why),
        Fate::Blocked(why) => ("blocked", why),
        _ => return None,
    };
    let credential = outcome.action.credential()?;
    let owner = seen.catalog.credentials.get(credential).map_or_else(String::new, |one| one.owner.clone());
    let name = quoted(credential.as_str());
    let next = if how == "failed" { format!("slm resume {name}") } else { format!("slm status {name}") };
    Some(Failed { credential: credential.clone(), owner, how, why: why.clone(), next: Next::Run(next) })
}

fn stale(seen: &Seen<'_>) -> Vec<Stale> {
    let taken = seen.snapshot.taken;
    let judged = seen.catalog.controls.values().filter(|control| seen.tallies.contains_key(control.id.as_str()));
    let observed = judged.filter(|control| control.needs.is_none() && control.kind != ControlKind::Attestation);
    observed
        .filter(|control| control.evidence_ttl.after(taken) <= seen.now)
        .map(|control| Stale {
            control: control.id.clone(),
            severity: control.severity,
            owner: control.owner.clone(),
            taken,
            limit: control.evidence_ttl,
        })
        .collect()
}

/// What was not seen whole, and what the run before read and this one did not.
fn unseen(seen: &Seen<'_>) -> Vec<Blind> {
    let blind = |receipt: &Receipt| match &receipt.completeness {
        Completeness::Complete => None,
        Completeness::Incomplete { cause, detail } => Some(of(receipt, *cause, detail.clone())),
    };
    let mut all: Vec<Blind> = seen.snapshot.receipts.iter().filter_map(blind).collect();
    let read = |one: &Receipt| {
        let same = |other: &Receipt| (&one.source, &one.collector, &one.scope) == (&other.source, &other.collector, &other.scope);
        seen.snapshot.receipts.iter().any(same)
    };
    let silent = seen.before.iter().flat_map(|before| &before.receipts).filter(|receipt| !read(receipt));
    let silent = silent.filter(|receipt| seen.catalog.settings.sources.contains_key(&receipt.source));
    let why = "it was read by the run before and not by this one";
    all.extend(silent.map(|receipt| of(receipt, Unseen::NotCollected, why.to_owned())));
    all.sort();
    all.dedup();
    all
}

fn of(receipt: &Receipt, cause: Unseen, detail: String) -> Blind {
    let (source, collector, scope) = (receipt.source.clone(), receipt.collector.clone(), receipt.scope.clone());
    Blind { source, collector, scope, cause, detail }
}

fn unseen_rotations(seen: &Seen<'_>) -> Vec<CredentialId> {
    seen.standings.iter().filter(|(_, standing)| standing.phase == Phase::Unseen).map(|(id, _)| id.clone()).collect()
}

fn ending(seen: &Seen<'_>) -> Vec<Ending> {
    let end = AHEAD.after(seen.now);
    let mut all: Vec<Ending> = seen
        .exceptions
        .standings
        .iter()
        .filter(|one| one.finding == Some(Wrong::ExpiredInUse) || (one.lifts > 0 && one.expires <= end))
        .map(|one| Ending {
            id: one.id.clone(),
            control: one.control.clone(),
            resource: one.resource.to_string(),
            owner: seen.control(&one.control).map_or_else(String::new, |control| control.owner.clone()),
            requester: one.requester.clone(),
            expires: one.expires,
            in_use: one.finding == Some(Wrong::ExpiredInUse),
        })
        .collect();
    all.sort_by(|a, b| (a.expires, &a.id).cmp(&(b.expires, &b.id)));
    all
}

fn unmanaged(seen: &Seen<'_>) -> Unmanaged {
    let declared: BTreeSet<(&str, &str, &str)> = seen
        .catalog
        .credentials
        .values()
        .map(|one| (one.secret.source.as_str(), one.secret.region.as_str(), one.secret.name.as_str()))
        .collect();
    let mut found = Unmanaged::default();
    for population in seen.snapshot.populations.iter().filter(|population| population.holds_secrets()) {
        for resource in population.resources.iter() {
            found.seen += 1;
            let name = resource.text("name").unwrap_or(resource.id.as_str());
            let is_in = |region: &str| declared.contains(&(population.source.as_str(), region, name));
            if !is_in(population.region()) && !is_in(".") {
                found.names.push(name.to_owned());
            }
        }
    }
    found.names.sort();
    found
}

fn coverage(seen: &Seen<'_>) -> Coverage {
    let of = |tally: &Tally, wanted: &[Status]| wanted.iter().filter_map(|status| tally.get(status)).sum::<u64>();
    let mut compliant = Share::default();
    for tally in seen.tallies.values() {
        compliant.part += of(tally, &[Status::Compliant, Status::Excepted]);
        compliant.whole += of(tally, &[Status::Compliant, Status::Excepted, Status::NonCompliant, Status::NoEvidence]);
    }
    let evidenced =
        |control: &&Control| seen.tallies.get(control.id.as_str()).is_some_and(|tally| !tally.contains_key(&Status::NoEvidence));
    let part = seen.catalog.controls.values().filter(evidenced).count() as u64;
    let unmanaged = unmanaged(seen);
    let criteria = seen.catalog.frameworks.values().map(|framework| {
        let served = |id: &&crate::model::id::CriterionId| {
            let serves = |control: &&Control| control.criteria.get(&framework.id).is_some_and(|ids| ids.contains(id));
            seen.catalog.controls.values().filter(serves).any(|control| control.needs.is_none())
        };
        let part = framework.criteria.keys().filter(served).count() as u64;
        (framework.id.clone(), Share { part, whole: framework.criteria.len() as u64 })
    });
    Coverage {
        compliant,
        evidenced: Share { part, whole: seen.catalog.controls.len() as u64 },
        managed: Share { part: unmanaged.seen - unmanaged.names.len() as u64, whole: unmanaged.seen },
        criteria: criteria.collect(),
    }
}

fn sources(snapshot: &Snapshot) -> Vec<SourceSeen> {
    let seen = |receipt: &Receipt| SourceSeen {
        source: receipt.source.clone(),
        collector: receipt.collector.clone(),
        scope: receipt.scope.clone(),
        as_of: receipt.effective.unwrap_or(receipt.ended),
        whole: receipt.completeness.is_complete(),
    };
    snapshot.receipts.iter().map(seen).collect()
}
