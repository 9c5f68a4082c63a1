//! Small pieces of text that several reports share.

use std::fmt::Write as _;

use super::by_hand;
use crate::model::assessment::{Because, Decision, Subject};
use crate::model::id::{CredentialId, VersionId};
use crate::model::plan::{ActionKind, HeldBecause, Reason, Together};
use crate::model::preflight::{Check, Looked, Obstacle, Sighting};
use crate::model::snapshot::Value;
use crate::model::standing::{Holding, Standing, Unread};
use crate::model::time::Timestamp;
use crate::policy::{Bound, Measure, Sense};

/// An age as people say it: `3d`, `5h`, `12m`, `8s`; `0s` for a future instant.
#[must_use]
pub fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(since.as_second()).max(0);
    match seconds {
        seconds if seconds >= 86_400 => format!("{}d", seconds / 86_400),
        seconds if seconds >= 3_600 => format!("{}h", seconds / 3_600),
        seconds if seconds >= 60 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

/// An instant to the second, by which people plan.
#[must_use]
pub fn second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `1 secret`, `2 secrets`.
#[must_use]
pub fn count(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// Lines of one list for a terminal; what is more is counted, and is in the JSON.
const SHOWN: usize = 40;

/// No more than `SHOWN` of `lines`, each about `one` of something.
#[must_use]
pub fn bounded(mut lines: Vec<String>, one: &str) -> Vec<String> {
    let more = lines.len().saturating_sub(SHOWN);
    lines.truncate(SHOWN);
    lines.extend((more > 0).then(|| format!("and {}: `--format json` has all", count(more as u64, &format!("more {one}")))));
    lines
}

/// What a decision is about, in one word.
#[must_use]
pub fn subject(subject: &Subject) -> String {
    match subject {
        Subject::Resource { id, .. } => id.to_string(),
        Subject::Population { entity, source: Some(source), scope } => format!("all {entity} of {source} {scope}"),
        Subject::Population { entity, source: None, .. } => format!("all {entity}"),
    }
}

/// Why a decision is what it is, as a clause.
#[must_use]
pub fn because(decision: &Decision) -> String {
    reason_of(&decision.because)
}

/// Why something was judged as it was, as a clause.
#[must_use]
pub fn reason_of(because: &Because) -> String {
    match because {
        Because::Permitted(rules) => format!("permitted by {}", list(rules)),
        Because::NothingPermits => "no rule permits it".to_owned(),
        Because::Forbidden(rules) => format!("forbidden by {}", list(rules)),
        Because::Exception(id) => format!("only exception {id} permits it"),
        Because::Missing(names) => format!("not observed: {}", names.join(", ")),
        Because::EvaluationError(error) => format!("the rule failed: {error}"),
        Because::Unseen { detail, .. } => detail.clone(),
        Because::Stale => "the evidence is older than the control allows".to_owned(),
        Because::OutOfScope => "outside the population".to_owned(),
    }
}

/// An observed value.
#[must_use]
pub fn value(value: &Value, now: Timestamp) -> String {
    match value {
        Value::Bool(yes) => yes.to_string(),
        Value::Long(number) => number.to_string(),
        Value::Text(text) => format!("{text:?}"),
        Value::Time(instant) if *instant <= now => format!("{instant} ({} ago)", age(*instant, now)),
        Value::Time(instant) => format!("{instant} (in {})", age(now, *instant)),
    }
}

/// The verb and object of an action.
#[must_use]
pub fn action(kind: &ActionKind) -> (&'static str, String) {
    match kind {
        ActionKind::Rotate { credential, .. } => ("rotate", credential.to_string()),
        ActionKind::Deliver { credential, .. } => ("deliver", credential.to_string()),
        ActionKind::Finish { credential, .. } => ("finish", credential.to_string()),
        ActionKind::Collect { control } => ("collect", control.to_string()),
        ActionKind::Escalate { control, resource: Some(resource), .. } => ("escalate", format!("{control} {resource}")),
        ActionKind::Escalate { control, resource: None, .. } => ("escalate", control.to_string()),
        ActionKind::EscalateCredential { credential, owner } => ("escalate", format!("{credential} to {owner}")),
        ActionKind::Verify { credential, .. } => ("verify", credential.to_string()),
        ActionKind::Adopt { resource, .. } => ("adopt", resource.to_string()),
    }
}

/// Why an action is due, as a clause.
#[must_use]
pub fn reason(reason: &Reason, now: Timestamp) -> String {
    match reason {
        Reason::NoValue => "it has no value yet".to_owned(),
        Reason::HalfDone => "a rotation was begun and not finished".to_owned(),
        Reason::InWrongHands { since } => format!("the value that it ends is known to be in wrong hands since {since}"),
        Reason::Stuck { since } => format!("AWS has begun a rotation {} ago and not finished it", age(*since, now)),
        Reason::Staged => "a rotation that takes several values is on its way".to_owned(),
        Reason::NotRetired => "what the last rotation replaced is not ended yet".to_owned(),
        Reason::NotRetiredInTime { since, limit } => format!(
            "what was replaced {} ago is not ended yet, over its deadline of {limit}; `slm status` of it says what holds it",
            age(*since, now)
        ),
        Reason::Broken { found, disabled } => format!(
            "{}, and what they used before is disabled since {disabled}; `slm rollback` of it brings that back until it is deleted",
            found.join(", ")
        ),
        Reason::ValidTooLong { since, limit } => {
            format!("a value made {} ago ({since}) is still let in, over `max-validity` of {limit}", age(*since, now))
        }
        Reason::TooOld { since, due_after, limit } => format!("age {} is over {due_after} (limit {limit})", age(*since, now)),
        Reason::Derived { from, since: Some(since) } => format!("made of `{from}`, which was rotated {} ago", age(*since, now)),
        Reason::Derived { from, since: None } => format!("made of `{from}`, which is rotated before it"),
        Reason::NonCompliant => "non-compliant".to_owned(),
        Reason::NoEvidence(detail) => format!("no evidence: {detail}"),
        Reason::NotAdopted => "a consumer does not run the current version".to_owned(),
        Reason::Undeclared => "found, but not declared under credentials/".to_owned(),
        Reason::ByHand { since, due, limit, steps } => by_hand::reason(*since, *due, (*limit, steps), now),
        Reason::AttemptsSpent { attempts } => spent(*attempts),
        Reason::LeftLetIn { version } => left(version),
        Reason::Untried => "what a person stored was not tried yet".to_owned(),
        Reason::Unused { since, limit } => format!("nobody has used it since {since}, over {limit} ago"),
        Reason::Leaked { sign } => format!("its value may be in wrong hands: {sign}"),
        Reason::Forced => "asked for".to_owned(),
        Reason::RolledBack => "the value before is asked for".to_owned(),
    }
}

/// Why something due is not done, as a clause.
#[must_use]
pub fn held(because: &HeldBecause) -> String {
    match because {
        HeldBecause::NothingPermits => "no guard permits it".to_owned(),
        HeldBecause::Forbidden(rules) => format!("forbidden by {}", list(rules)),
        HeldBecause::GuardError(error) => format!("the guard failed: {error}"),
        HeldBecause::ShareLimit { allowed } => format!("this run rotates at most {allowed}"),
        HeldBecause::Frozen { until } => format!("a freeze lasts until {until}"),
        HeldBecause::Early { until } => format!("what was signed with the key before may be shown until {until}"),
        HeldBecause::OutsideWindow { opens } => format!("its change window opens {opens}"),
        HeldBecause::Unseen(detail) => format!("its store was not seen: {detail}"),
        HeldBecause::Preflight(obstacles) => obstacles.iter().map(obstacle).collect::<Vec<_>>().join("; "),
        HeldBecause::NoWriter(detail) | HeldBecause::Person(detail) => detail.clone(),
        HeldBecause::AttemptsSpent { attempts } => spent(*attempts),
    }
}

/// That another kind left `before` let in, and what a person does about it.
#[must_use]
pub fn left(before: &VersionId) -> String {
    let found = format!("version {before} was let in while another kind was declared, and its end was not noted");
    format!("{found}; declare that until it is, or end it by hand and add {before} to `ended-elsewhere` of `[policy]`")
}

/// The same as a line of how a credential stands, if it is so.
#[must_use]
pub fn left_behind(standing: &Standing) -> String {
    standing.left.as_ref().map_or_else(String::new, |before| format!("  left       {}\n", left(before)))
}

/// That no attempt is left, and what a person does about it.
#[must_use]
pub fn spent(attempts: u8) -> String {
    let all = if attempts == 1 { "its 1 attempt is".to_owned() } else { format!("all {attempts} attempts are") };
    format!("{all} used up; a person must look: find out why none was put in force, then raise `attempts` of its `[policy]`")
}

/// What would stop a rotation, as a clause with its code and the next step.
#[must_use]
pub fn obstacle(obstacle: &Obstacle) -> String {
    let Obstacle { code, found, next } = obstacle;
    format!("{found} [{}]: {next}", code.as_str())
}

/// What was looked at before a rotation, and what came of it: `?` before what was not seen, `!` before a warning.
#[must_use]
pub fn looked(looked: &Looked) -> (char, String) {
    let Looked { check, about, result } = looked;
    let what = match check {
        Check::Permissions => "permissions",
        Check::Key => "KMS key",
        Check::Slot => "free slot",
        Check::Replicas => "replicas",
        Check::Consumers => "consumers",
        Check::Letters => "letters",
        Check::Session => "session",
    };
    match result {
        Sighting::Seen(seen) => (' ', format!("{what} of {about}  {seen}")),
        Sighting::Unseen(why) => ('?', format!("{what} of {about}  not seen: {why}")),
        Sighting::Warned(why) => ('!', format!("{what} of {about}  {why}")),
    }
}

/// Who holds the end of the value before, and what to do about it.
#[must_use]
pub fn holding(holding: &Holding, now: Timestamp) -> (String, String) {
    let Holding { consumers, since, limit } = holding;
    let names = consumers.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
    let (runs, it, each) = if consumers.len() == 1 { ("does", "it", "") } else { ("do", "them", " each") };
    let held = format!(
        "{names} {runs} not run what is in force since {since}, {} ago; the others do (`adopt-within` {limit})",
        age(*since, now)
    );
    let next =
        format!("give {it} a credential{each} of its own (a secret of its own, then `slm adopt`) and remove {it} from this one");
    (held, next)
}

/// The same as lines about one credential; nothing when nobody does.
#[must_use]
pub fn held_up(standing: &Standing, now: Timestamp) -> String {
    let Some((held, next)) = standing.holding.as_ref().map(|one| holding(one, now)) else { return String::new() };
    format!("  held up    the end of the value before: {held}\n  next       {next}\n")
}

/// Who was not seen to read the version in force for a consumer, and what to do when that takes too long.
#[must_use]
pub fn unread(credential: &CredentialId, unread: &Unread, now: Timestamp) -> String {
    let Unread { consumer, principals, since, unseen, expected, forgotten } = unread;
    let since = since.map_or_else(
        || "since it is in force, which the next run notes".to_owned(),
        |since| format!("since {since}, {} ago", age(since, now)),
    );
    let mut text = String::new();
    for principal in principals {
        let _ =
            writeln!(text, "  unread     {consumer}: {principal} was not seen to read it {since}; the value before is not ended");
    }
    if let Some(why) = unseen {
        let _ = writeln!(text, "  not seen   {why}");
    }
    let first = if *forgotten { ": whoever read it only at first is not seen any more" } else { "" };
    let _ = writeln!(text, "  log        CloudTrail comes some minutes late and forgets after 90 days{first}");
    if *forgotten || expected.is_some_and(|expected| expected <= now) {
        let _ = writeln!(
            text,
            "  next       have it read the secret once more as that, or take who reads it no more out of `principals` of `{consumer}` in `credentials/{credential}.toml`"
        );
    }
    text
}

/// What is restarted once for several credentials, or for several consumers of one.
#[must_use]
pub fn together(together: &Together) -> String {
    match &together.credentials[..] {
        [one] => format!("one restart of {} for several consumers of {one}", together.workload),
        several => format!("one restart of {} for {}", together.workload, list(several)),
    }
}

/// A bound as a clause: `age of created at most 90d`.
#[must_use]
pub fn bound(bound: &Bound) -> String {
    let Bound { attribute, measure, sense, limit } = bound;
    let sense = match sense {
        Sense::AtMost => "at most",
        Sense::Under => "under",
        Sense::AtLeast => "at least",
        Sense::Over => "over",
    };
    match measure {
        Measure::Age => format!("age of {attribute} {sense} {}", span(*limit)),
        Measure::Left => format!("time left until {attribute} {sense} {}", span(*limit)),
        Measure::Number => format!("{attribute} {sense} {limit}"),
    }
}

/// Milliseconds in the greatest unit that holds them exactly.
fn span(ms: i64) -> String {
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let unit = units.into_iter().find(|(_, scale)| ms % scale == 0);
    unit.map_or_else(|| format!("{ms}ms"), |(unit, scale)| format!("{}{unit}", ms / scale))
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = "arn:aws:iam::123456789012:role/app";

    fn told(since: &str, forgotten: bool, unseen: Option<&str>) -> String {
        let since: Option<Timestamp> = since.parse().ok();
        let one = Unread {
            consumer: "app".into(),
            principals: vec![APP.to_owned()],
            since,
            unseen: unseen.map(str::to_owned),
            expected: since,
            forgotten,
        };
        unread(&"db".into(), &one, "2026-11-24T00:00:00Z".parse().unwrap())
    }

    #[test]
    fn who_was_not_seen_to_read_is_named_and_what_helps_is_said_when_it_takes_too_long() {
        let waits = "the value before is not ended";
        let log = "  log        CloudTrail comes some minutes late and forgets after 90 days";
        let first = format!("  unread     app: {APP} was not seen to read it since 2026-11-22T00:00:00Z, 2d ago; {waits}\n");
        let next = "  next       have it read the secret once more as that, or take who reads it no more out of `principals` of `app` in `credentials/db.toml`\n";
        assert_eq!(told("2026-11-22T00:00:00Z", false, None), format!("{first}{log}\n{next}"));
        let early = told("2026-11-24T00:00:01Z", false, Some("CloudTrail of eu-west-1: AccessDenied"));
        assert!(
            early.contains("  not seen   CloudTrail of eu-west-1: AccessDenied\n") && early.ends_with(&format!("{log}\n")),
            "{early}"
        );
        let late = told("2026-08-01T00:00:00Z", true, None);
        assert!(
            late.contains(&format!("{log}: whoever read it only at first is not seen any more\n")) && late.ends_with(next),
            "{late}"
        );
        let unknown = told("", false, None);
        assert!(unknown.contains("since it is in force, which the next run notes; the value before"), "{unknown}");
    }
}
