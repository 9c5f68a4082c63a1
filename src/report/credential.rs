//! How one credential stands, for a terminal.

use std::fmt::Write as _;

use super::{by_hand, outlook, words};
use crate::model::catalog::Credential;
use crate::model::standing::{Phase, Standing};
use crate::model::time::Timestamp;

/// The standing of `credential` at `now`.
#[must_use]
pub fn human(credential: &Credential, standing: &Standing, now: Timestamp) -> String {
    if let Some(hand) = credential.rotator.by_hand() {
        return by_hand::human(credential, hand, standing, now);
    }
    let mut text = String::new();
    let _ = writeln!(text, "{}  {}  ({})", credential.id, credential.title, credential.rotator.kind());
    let _ = writeln!(text, "  phase      {}", phase(standing));
    if let Some(generation) = &standing.generation {
        let age = standing.since.map_or_else(String::new, |since| format!(", {} old", words::age(since, now)));
        let _ = writeln!(text, "  in force   version {generation}{age}");
    }
    if let Some(due) = standing.due {
        let when = if due <= now { format!("since {due}") } else { format!("{due}, in {}", words::age(now, due)) };
        let _ = writeln!(text, "  due        {when}; every {}", credential.policy.rotate_every);
    }
    for consumer in &credential.consumers {
        let unread = standing.unread.iter().any(|unread| unread.consumer == consumer.id);
        let how = match standing.behind.contains(&consumer.id) {
            _ if unread => "nobody was seen to read it since",
            true => "does not run it yet",
            false => "not seen behind",
        };
        let _ = writeln!(text, "  consumer   {}: {how}", consumer.id);
    }
    for unread in &standing.unread {
        text.push_str(&words::unread(&credential.id, unread, now));
    }
    text.push_str(&words::left_behind(standing));
    text.push_str(&words::held_up(standing, now));
    if let Some(broken) = &standing.broken {
        let _ =
            writeln!(text, "  broken     {}, and the value before is disabled since {}", broken.found.join(", "), broken.disabled);
        let _ = writeln!(text, "  next       `slm rollback {}` brings the value before back until it is deleted", credential.id);
    }
    if let Some(quiet) = &standing.quiet {
        let _ = writeln!(text, "  quiet      {}", outlook::quieted(quiet));
    }
    if let Some(deadline) = &standing.deadline {
        let _ = writeln!(text, "  deadline   {}", outlook::deadline(deadline));
    }
    let _ = writeln!(text, "  valid      {}", outlook::validity(&standing.validity, now));
    let _ = writeln!(text, "  validity   {} at most, when runs are on time", standing.max_validity);
    text
}

fn phase(standing: &Standing) -> String {
    let until = standing.until.map_or_else(String::new, |until| format!("; not before {until}"));
    if let Some(since) = standing.leaked {
        return format!("a value of it is known to be in wrong hands since {since}; `slm resume` ends that, and waits for nobody");
    }
    match standing.phase {
        Phase::Unseen => "unknown: its store or its rotation was not seen whole".to_owned(),
        Phase::Empty => "it has no value yet; the next `slm apply` makes one".to_owned(),
        Phase::Prepared => "a new value is kept and not in force yet; `slm resume` goes on".to_owned(),
        Phase::Spent => "no attempt at a new value is left; find out why none was put in force, then raise `attempts`".to_owned(),
        Phase::Rotating => {
            let until = standing.until.map_or_else(String::new, |until| format!(", and may take until {until}"));
            format!("AWS has begun to rotate it{until}")
        }
        Phase::Stuck => "AWS has begun to rotate it and not finished in time; `slm resume` asks again".to_owned(),
        Phase::Delivering => {
            format!(
                "{} not run the version in force yet",
                words::count(standing.behind.len() as u64, "consumer") + if standing.behind.len() == 1 { " does" } else { " do" }
            )
        }
        Phase::Retiring => format!("the value before still works and waits to be unused{until}"),
        Phase::Staged => format!("a rotation that takes several values is on its way; `slm apply` goes on{until}"),
        Phase::Soaking => format!("the value before is disabled and waits to be deleted{until}"),
        Phase::Returning => "the value before comes back; `slm resume` goes on".to_owned(),
        Phase::Due => "it is older than it may be; the next `slm apply` rotates it".to_owned(),
        // Only of what slm does not rotate.
        Phase::Remind | Phase::Untried => "a person is asked".to_owned(),
        Phase::Done => "nothing is left to do".to_owned(),
    }
}
