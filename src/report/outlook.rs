//! What lies ahead of one rotation, a few labelled lines below its own.

use super::words;
use crate::model::gate::{Learnt, OnDeadline, Quieted};
use crate::model::outlook::{Deadline, LastUsed, Outlook, Stride, Validity};
use crate::model::plan::{Action, ActionKind, Held};
use crate::model::time::{Limit, Timestamp};

/// A label and what belongs to it.
pub(super) type Line = (&'static str, String);

/// What lies ahead of `action` in a plan made `at` that instant; nothing when nothing is rotated or ended.
pub(super) fn of_action(action: &Action, at: Timestamp) -> Vec<Line> {
    let Some(outlook) = &action.outlook else { return Vec::new() };
    let rules = action.permitted_by.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    lines(&action.kind, outlook, format!("{rules}; blocked by none"), at)
}

/// What would lie ahead of what is held.
pub(super) fn of_held(held: &Held, at: Timestamp) -> Vec<Line> {
    let Some(outlook) = &held.outlook else { return Vec::new() };
    lines(&held.kind, outlook, format!("none; blocked by: {}", words::held(&held.because)), at)
}

fn lines(kind: &ActionKind, outlook: &Outlook, permits: String, at: Timestamp) -> Vec<Line> {
    let Outlook { will, quiet, deadline, restarts, last_used, not_before, validity } = outlook;
    let mut lines = Vec::new();
    if let ActionKind::Rotate { rotation, generation, .. } = kind {
        lines.push(("rotation", rotation.to_string()));
        lines.push(("now", now(generation.as_ref().map(ToString::to_string), validity, last_used.as_ref(), at)));
    } else if let ActionKind::Finish { rotation, generation, .. } = kind {
        lines.push(("rotation", rotation.to_string()));
        lines.push(("now", now(Some(generation.to_string()), validity, last_used.as_ref(), at)));
    }
    lines.push(("will", will.iter().map(stride).collect::<Vec<_>>().join(" → ")));
    lines.extend(quiet.as_ref().map(|one| ("quiet", quieted(one))));
    lines.extend(deadline.as_ref().map(|one| ("deadline", self::deadline(one))));
    let restarts = if restarts.is_empty() { "none".to_owned() } else { restarts.join(", ") };
    lines.push(("restarts", restarts));
    lines.push(("permits", permits));
    lines.extend(not_before.map(|instant| ("earliest", format!("nothing is ended before {instant}"))));
    lines.push(("validity", self::validity(validity, at)));
    lines
}

fn now(version: Option<String>, validity: &Validity, last: Option<&LastUsed>, at: Timestamp) -> String {
    let version = version.map_or_else(|| "no value".to_owned(), |version| format!("version {version}"));
    let made = validity.made.map_or_else(String::new, |made| format!(", made {} ago", words::age(made, at)));
    let used = last.map_or_else(
        || "no use was looked at".to_owned(),
        |last| format!("last used {} ago: {}", words::age(last.at, at), last.by),
    );
    format!("{version}{made}; {used}")
}

fn stride(stride: &Stride) -> String {
    let names = |ids: &[crate::model::id::ConsumerId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match stride {
        Stride::Ask => "ask AWS".to_owned(),
        Stride::Lost => "close on and delete a key that is recorded nowhere, unless it was used".to_owned(),
        Stride::Create => "create".to_owned(),
        Stride::LetIn => "let in".to_owned(),
        Stride::Verify { regions } if regions.is_empty() => "verify".to_owned(),
        Stride::Verify { regions } => format!("verify in {}", regions.join(", ")),
        Stride::Canary(ids) => format!("canary {}", names(ids)),
        Stride::Promote => "promote".to_owned(),
        Stride::Consumers(ids) => names(ids),
        Stride::Settle(limit) => format!("wait {limit}"),
        Stride::Quiet(limit) => format!("unused for {limit}"),
        Stride::Disable => "disable".to_owned(),
        Stride::Soak(limit) => format!("soak {limit}"),
        Stride::Delete => "delete".to_owned(),
    }
}

/// How long what is replaced must be unused, and why.
pub(super) fn quieted(quiet: &Quieted) -> String {
    let Quieted { limit, why } = quiet;
    let why = match why {
        Learnt::Declared => "as declared".to_owned(),
        Learnt::Rest { longest } => format!("longest rest seen {}", short(*longest)),
        Learnt::Capped { longest } => format!("`quiet-max`: the longest rest seen, {}, would ask for more", short(*longest)),
        Learnt::Unknown(why) => format!("`quiet-max`: its uses were not seen whole: {why}"),
    };
    format!("{limit} ({why})")
}

/// By when it should be ended, and what follows.
pub(super) fn deadline(deadline: &Deadline) -> String {
    let Deadline { limit, then, at } = deadline;
    let then = match then {
        OnDeadline::Hold => "it goes on waiting",
        OnDeadline::Escalate => "its owner is asked",
        OnDeadline::Retire => "it is ended whoever was seen to use it, once every consumer runs the new one",
    };
    at.map_or_else(|| format!("{limit} after the promotion; then {then}"), |at| format!("{at}; then {then}"))
}

/// For how long values were valid, are, and may be.
pub(super) fn validity(validity: &Validity, at: Timestamp) -> String {
    let Validity { before, period, allowed, .. } = validity;
    let today = validity.today(at).map_or_else(|| "not seen today".to_owned(), |today| format!("{} today", short(today)));
    let before = match before {
        Some(before) if before.at.is_some() => format!(", {} for the value before", short(before.lasted(at))),
        _ => String::new(),
    };
    let allowed = allowed.map_or_else(|| "no `max-validity`".to_owned(), |allowed| format!("{allowed} allowed"));
    format!("{today}{before}, {allowed}, every {period}")
}

/// Two units at most: `3h50m`, `41d`, `8s`.
fn short(limit: Limit) -> String {
    let seconds = limit.as_seconds().max(0);
    let two = |unit: i64, letter: char, next: i64, small: char| {
        let rest = seconds % unit / next;
        let rest = if rest == 0 { String::new() } else { format!("{rest}{small}") };
        format!("{}{letter}{rest}", seconds / unit)
    };
    match seconds {
        86_400.. => two(86_400, 'd', 3_600, 'h'),
        3_600.. => two(3_600, 'h', 60, 'm'),
        60.. => two(60, 'm', 1, 's'),
        _ => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::SecretRef;
    use crate::model::outlook::Ended;

    #[test]
    fn a_length_is_told_in_its_two_largest_units() {
        for (seconds, told) in [(8, "8s"), (60, "1m"), (13_800, "3h50m"), (86_400, "1d"), (90_061, "1d1h"), (-5, "0s")] {
            assert_eq!(short(Limit::seconds(seconds)), told);
        }
    }

    #[test]
    fn why_it_must_be_unused_for_that_long_is_said() {
        let of = |why| quieted(&Quieted { limit: Limit::seconds(21_600), why });
        assert_eq!(of(Learnt::Declared), "6h (as declared)");
        assert_eq!(of(Learnt::Rest { longest: Limit::seconds(13_800) }), "6h (longest rest seen 3h50m)");
        assert!(of(Learnt::Capped { longest: Limit::days(30) }).contains("the longest rest seen, 30d, would ask for more"));
        assert!(of(Learnt::Unknown("AccessDenied".to_owned())).ends_with("not seen whole: AccessDenied)"));
    }

    fn day(number: i64) -> Timestamp {
        Limit::days(number).after("2026-11-01T00:00:00Z".parse().unwrap())
    }

    #[test]
    fn what_lies_ahead_is_a_few_labelled_lines() {
        let secret = SecretRef { source: "prod".into(), region: "eu-west-1".to_owned(), name: "key".to_owned() };
        let finish = ActionKind::Finish {
            credential: "key".into(),
            secret,
            generation: "v-key".into(),
            rotation: "9f2c41d07ab3".into(),
            consumers: Vec::new(),
        };
        let outlook = Outlook {
            will: vec![
                Stride::Settle(Limit::seconds(3_600)),
                Stride::Quiet(Limit::seconds(36 * 3_600)),
                Stride::Disable,
                Stride::Soak(Limit::days(1)),
                Stride::Delete,
            ],
            quiet: Some(Quieted { limit: Limit::seconds(36 * 3_600), why: Learnt::Rest { longest: Limit::days(1) } }),
            deadline: Some(Deadline { limit: Limit::days(20), then: OnDeadline::Escalate, at: Some(day(30)) }),
            restarts: Vec::new(),
            last_used: Some(LastUsed { at: day(19), by: "s3 in eu-west-1".to_owned() }),
            not_before: Some(day(21)),
            validity: Validity {
                made: Some(day(9)),
                before: Some(Ended { made: Limit::days(-40).after(day(0)), at: None }),
                period: Limit::days(30),
                allowed: Some(Limit::days(90)),
            },
        };
        let told = lines(&finish, &outlook, "may-retire; blocked by none".to_owned(), day(20));
        let told: Vec<String> = told.into_iter().map(|(label, text)| format!("{label}: {text}")).collect();
        assert_eq!(
            told,
            [
                "rotation: 9f2c41d07ab3",
                "now: version v-key, made 11d ago; last used 1d ago: s3 in eu-west-1",
                "will: wait 1h → unused for 36h → disable → soak 1d → delete",
                "quiet: 36h (longest rest seen 1d)",
                "deadline: 2026-12-01T00:00:00Z; then its owner is asked",
                "restarts: none",
                "permits: may-retire; blocked by none",
                "earliest: nothing is ended before 2026-11-22T00:00:00Z",
                "validity: 60d today, 90d allowed, every 30d",
            ]
        );
    }
}
