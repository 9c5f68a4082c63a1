//! Drives a rotation that the store itself carries out: ask once, watch until another version is in force, then bring that to the
//! consumers. Nothing is made, tried, promoted or ended by slm, and no label is touched.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::engine::{self, StopFlag};
use super::job::Job;
use crate::model::catalog::SecretRef;
use crate::model::id::{RotationId, VersionId};
use crate::model::names;
use crate::model::outcome::{Event, Fate, Outcome};
use crate::model::plan::ActionKind;
use crate::model::time::Limit;
use crate::world::{Clock, ErrorClass, Keeper, SecretView, WorldError};

/// Looks of one run that see no change before it leaves the rest to the next run: with pauses doubled up to the 64th, 40 s.
const LOOKS: u8 = 8;

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Another version is in force.
    Arrived(VersionId),
    /// Ask for this version.
    Ask(VersionId),
    /// The store is at it.
    Wait(String),
    /// A person must act.
    Blocked(String),
}

/// What is asked for.
struct Wanted<'a> {
    secret: &'a SecretRef,
    /// In force when it was planned.
    generation: Option<&'a VersionId>,
    attempts: u8,
    expect_within: Limit,
}

/// What to do about `view`. `asked` when this run has asked already.
fn decide(wanted: &Wanted<'_>, view: &SecretView, asked: bool) -> Step {
    if !view.exists {
        return Step::Blocked(format!("there is no secret `{}`, and AWS rotates only what is there", wanted.secret.name));
    }
    if let Some(now) = view.current().filter(|now| Some(*now) != wanted.generation) {
        return Step::Arrived(now.clone());
    }
    if let Some((version, since)) = view.under_way() {
        // Both instants are the store's; without its clock nothing is known to be late.
        let late = view.now.is_some_and(|now| wanted.expect_within.after(since) <= now);
        return if late && !asked {
            Step::Ask(version.clone())
        } else {
            Step::Wait(format!("for AWS, which has begun version {version} at {since}"))
        };
    }
    if asked {
        return Step::Wait("for AWS, which was asked to rotate it".to_owned());
    }
    let names = (0..wanted.attempts).map(|n| names::asked(wanted.secret, wanted.generation, n));
    match names.into_iter().find(|id| !view.versions.contains_key(id)) {
        Some(version) => Step::Ask(version),
        None => Step::Blocked(format!("AWS has given up {} versions; a person must look", wanted.attempts)),
    }
}

/// Drives the rotation of `job`, which `keeper` carries out, to its end or to where the next run goes on.
pub async fn drive(job: &Job<'_>, keeper: &dyn Keeper, clock: &dyn Clock, stop: &StopFlag) -> Outcome {
    let action = job.action.clone();
    let ActionKind::Rotate { secret, generation, rotation, .. } = job.action else {
        return Outcome { action, fate: Fate::Blocked("only rotations are driven here".to_owned()), events: Vec::new() };
    };
    let expect_within = job.credential.rotator.aws_managed().map_or(Limit::seconds(0), |managed| managed.expect_within);
    let wanted = Wanted { secret, generation: generation.as_ref(), attempts: job.credential.policy.attempts, expect_within };
    let mut events = Vec::new();
    let arrived = watch(job, keeper, &wanted, stop, |step, version| {
        events.push(event(job, clock, rotation, step, version));
    });
    match arrived.await {
        Err(fate) => Outcome { action, fate, events },
        Ok(version) => {
            let mut outcome = bring(job, clock, stop, &version).await;
            events.append(&mut outcome.events);
            let fate = if outcome.fate == Fate::AlreadySo && !events.is_empty() { Fate::Done } else { outcome.fate };
            Outcome { action, fate, events }
        }
    }
}

/// Asks for another version and waits until it is in force.
async fn watch(
    job: &Job<'_>,
    keeper: &dyn Keeper,
    wanted: &Wanted<'_>,
    stop: &StopFlag,
    mut tell: impl FnMut(&'static str, &VersionId),
) -> Result<VersionId, Fate> {
    let (mut asked, mut seen, mut looks, mut failures) = (false, false, 0_u8, 0_u8);
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(engine::stopped());
        }
        let done = match job.store.describe(wanted.secret).await {
            Err(error) => Err(error),
            Ok(view) => match decide(wanted, &view, asked) {
                Step::Arrived(version) => {
                    if asked || seen {
                        tell("rotated", &version);
                    }
                    return Ok(version);
                }
                Step::Blocked(why) => return Err(Fate::Blocked(why)),
                Step::Ask(_) if !(job.fence)() => return Err(Fate::Waiting("the lease is spent".to_owned())),
                Step::Ask(version) => {
                    let told = keeper.rotate(wanted.secret, &version).await;
                    told.map(|()| {
                        asked = true;
                        tell("asked", &version);
                    })
                }
                Step::Wait(why) if looks >= LOOKS || !(job.fence)() => return Err(Fate::Waiting(why)),
                Step::Wait(_) => {
                    seen = true;
                    looks += 1;
                    Ok(())
                }
            },
        };
        match done {
            Ok(()) => failures = 0,
            Err(error) => failures = failed(job, &error, failures)?,
        }
        tokio::time::sleep(pause(job, looks.max(failures))).await;
    }
}

fn failed(job: &Job<'_>, error: &WorldError, failures: u8) -> Result<u8, Fate> {
    match error.class {
        ErrorClass::Denied | ErrorClass::Permanent => Err(Fate::Blocked(error.to_string())),
        _ if failures >= job.budget.retries => Err(Fate::Failed(error.to_string())),
        _ => Ok(failures + 1),
    }
}

fn pause(job: &Job<'_>, times: u8) -> Duration {
    job.budget.pause * (1 << u32::from(times.saturating_sub(1)).min(6))
}

/// Brings `version` to the consumers of the action.
async fn bring(job: &Job<'_>, clock: &dyn Clock, stop: &StopFlag, version: &VersionId) -> Outcome {
    let consumers: Vec<_> = job.credential.consumers.iter().map(|consumer| consumer.id.clone()).collect();
    let action = ActionKind::Deliver {
        credential: job.credential.id.clone(),
        secret: job.credential.secret.clone(),
        generation: version.clone(),
        consumers,
    };
    let delivery = Job { action: &action, retire_held: None, ..*job };
    engine::drive(&delivery, clock, stop).await
}

fn event(job: &Job<'_>, clock: &dyn Clock, rotation: &RotationId, step: &str, version: &VersionId) -> Event {
    Event {
        at: clock.now(),
        credential: job.credential.id.clone(),
        rotation: rotation.clone(),
        step: step.to_owned(),
        version: Some(version.clone()),
        consumer: String::new(),
        readings: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;
    use crate::world::VersionView;

    fn at(second: i64) -> Timestamp {
        Timestamp::new(second, 0).unwrap()
    }

    fn view(now: Option<i64>, versions: &[(&str, &[&str], i64)]) -> SecretView {
        let version = |(id, labels, created): &(&str, &[&str], i64)| {
            let labels = labels.iter().map(|label| (*label).to_owned()).collect();
            (VersionId::from(*id), VersionView { labels, created: at(*created) })
        };
        SecretView {
            exists: true,
            versions: versions.iter().map(version).collect(),
            now: now.map(at),
            behind: Vec::new(),
            ..SecretView::default()
        }
    }

    fn step(view: &SecretView, asked: bool) -> Step {
        let secret = SecretRef { source: "prod".into(), region: "r".to_owned(), name: "db".to_owned() };
        let old = VersionId::from("old");
        decide(&Wanted { secret: &secret, generation: Some(&old), attempts: 2, expect_within: Limit::seconds(60) }, view, asked)
    }

    fn first(n: u8) -> VersionId {
        let secret = SecretRef { source: "prod".into(), region: "r".to_owned(), name: "db".to_owned() };
        names::asked(&secret, Some(&"old".into()), n)
    }

    const CURRENT: &[&str] = &["AWSCURRENT"];
    const PENDING: &[&str] = &["AWSPENDING"];

    #[test]
    fn it_is_asked_once_and_by_a_name_that_is_not_taken() {
        let rested = view(Some(100), &[("old", CURRENT, 0)]);
        assert_eq!(step(&rested, false), Step::Ask(first(0)));
        assert!(matches!(step(&rested, true), Step::Wait(_)));
        let given_up = view(Some(100), &[("old", CURRENT, 0), (first(0).as_str(), &[], 1)]);
        assert_eq!(step(&given_up, false), Step::Ask(first(1)));
        let spent = view(Some(100), &[("old", CURRENT, 0), (first(0).as_str(), &[], 1), (first(1).as_str(), &[], 2)]);
        assert!(matches!(step(&spent, false), Step::Blocked(_)));
        assert!(matches!(step(&SecretView::default(), false), Step::Blocked(_)));
    }

    #[test]
    fn what_is_under_way_for_too_long_by_the_stores_clock_is_asked_for_again_by_its_own_name() {
        let pending = |now, since| view(now, &[("old", CURRENT, 0), ("new", PENDING, since)]);
        assert!(matches!(step(&pending(Some(159), 100), false), Step::Wait(_)));
        assert_eq!(step(&pending(Some(160), 100), false), Step::Ask("new".into()));
        assert!(matches!(step(&pending(Some(160), 100), true), Step::Wait(_)), "once a run");
        assert!(matches!(step(&pending(None, 100), false), Step::Wait(_)), "without its clock nothing is late");
        let left_on = view(Some(900), &[("old", &["AWSCURRENT", "AWSPENDING"], 0)]);
        assert_eq!(step(&left_on, false), Step::Ask(first(0)), "a label left on the version in force is nothing under way");
    }

    #[test]
    fn any_other_version_in_force_is_what_was_wanted() {
        let moved = view(Some(100), &[("old", &["AWSPREVIOUS"], 0), ("new", CURRENT, 50), ("third", PENDING, 60)]);
        assert_eq!(step(&moved, false), Step::Arrived("new".into()));
    }
}
