//! Credentials that slm does not rotate, for people: when each is due, whom to ask, and whether its value was tried.

use std::fmt::Write as _;

use super::words;
use crate::model::catalog::Credential;
use crate::model::rotator::ByHand;
use crate::model::standing::{Phase, Standing, Tried};
use crate::model::time::{Limit, Timestamp};

/// Why a person is asked, as a clause: what it is, by when, and the steps.
#[must_use]
pub fn reason(since: Option<Timestamp>, due: Option<Timestamp>, (limit, steps): (Limit, &str), now: Timestamp) -> String {
    let (Some(since), Some(due)) = (since, due) else { return format!("it has no value yet; steps: {steps}") };
    let age = words::age(since, now);
    format!("age {age} of {limit}, due {due}, {}; steps: {steps}", until(due, now))
}

/// `in 3d`, or `overdue for 3d`.
fn until(due: Timestamp, now: Timestamp) -> String {
    if due <= now { format!("overdue for {}", words::age(due, now)) } else { format!("in {}", words::age(now, due)) }
}

/// The standing of `credential` at `now`.
#[must_use]
pub fn human(credential: &Credential, hand: ByHand<'_>, standing: &Standing, now: Timestamp) -> String {
    let (kind, owner) = (credential.rotator.kind(), &credential.owner);
    let mut text = format!("{}  {}  ({kind})\n", credential.id, credential.title);
    let _ = writeln!(text, "  phase      {kind}: {}", phase(standing, now));
    if let Some(generation) = &standing.generation {
        let age = standing.since.map_or_else(|| ", age not seen".to_owned(), |since| format!(", {} old", words::age(since, now)));
        let _ = writeln!(text, "  in force   version {generation}{age}");
    }
    if let Some(due) = standing.due {
        let _ = writeln!(text, "  due        {due}; every {}", credential.policy.rotate_every);
    }
    match hand {
        ByHand::Manual(manual) => {
            let _ = writeln!(text, "  verified   {}", tried(standing.tried));
            let _ = writeln!(text, "  rotated by {owner}: {}", manual.line());
        }
        ByHand::Observe(observe) => {
            let used = standing.last_used.map_or_else(|| "not told by its store, or never".to_owned(), |at| format!("by {at}"));
            let _ = writeln!(text, "  last read  {used}");
            let _ = writeln!(text, "  rotated by {}; slm never acts on it", observe.rotated_by.as_ref().unwrap_or(owner));
        }
    }
    for consumer in &credential.consumers {
        let behind = standing.behind.contains(&consumer.id);
        let _ = writeln!(text, "  consumer   {}: {}", consumer.id, if behind { "does not run it yet" } else { "not seen behind" });
    }
    text.push_str(&words::left_behind(standing));
    text.push_str(&words::held_up(standing, now));
    text
}

fn phase(standing: &Standing, now: Timestamp) -> String {
    let due = standing.due.map_or_else(String::new, |due| match until(due, now) {
        late if due <= now => late,
        soon => format!("due {soon}"),
    });
    match standing.phase {
        Phase::Unseen => "unknown, for when its value came about was not seen".to_owned(),
        Phase::Empty => "it has no value yet".to_owned(),
        Phase::Remind => format!("{due}; its owner is asked"),
        Phase::Untried => format!("{due}; the next `slm apply` tries the value"),
        Phase::Delivering => {
            let behind = words::count(standing.behind.len() as u64, "consumer");
            format!("{due}; {behind} without the version in force")
        }
        // The others are of rotations that slm carries out.
        _ => due,
    }
}

fn tried(tried: Option<Tried>) -> String {
    match tried {
        None | Some(Tried::Undeclared) => "not verified: no `verify` is declared".to_owned(),
        Some(Tried::NotYet) => "not verified: the value in force was not seen to work".to_owned(),
        Some(Tried::At(at)) => format!("it was seen to work {at}"),
    }
}
