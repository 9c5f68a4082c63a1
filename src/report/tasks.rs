//! What only people can do, as issues: one for each credential that a person rotates, and one for each rotation that is blocked.

use std::collections::BTreeMap;

use super::markdown::{code, prose};
use super::words;
use crate::model::outcome::{Fate, Outcome};
use crate::model::plan::{ActionKind, HeldBecause, Plan, Reason};

/// What stands first in an issue of slm, before the environment and the task.
const MARK: &str = "<!-- slm:task:";
/// Letters of a title that GitHub takes.
const TITLE: usize = 256;

/// One issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The first line of its text, by which it is found again.
    pub marker: String,
    /// One line.
    pub title: String,
    /// Markdown, the marker first. It holds no instant of now: what has not changed says the same.
    pub body: String,
}

/// The first part of every marker of `environment`.
#[must_use]
pub fn mark(environment: &str) -> String {
    format!("{MARK}{environment}:")
}

/// The tasks that `plan` and the outcomes of the last run leave to people, sorted.
#[must_use]
pub fn tasks(plan: &Plan, outcomes: &[Outcome], environment: &str) -> Vec<Task> {
    let mut all: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
    for action in &plan.actions {
        // That no attempt is left holds a rotation as well, or will: one issue says it.
        let held = |id| plan.held.iter().any(|held| held.kind.credential() == Some(id) && waits_for_a_person(&held.because));
        if let ActionKind::EscalateCredential { credential, owner } = &action.kind
            && !(matches!(action.reason, Reason::AttemptsSpent { .. }) && held(credential))
        {
            let told = all
                .entry(format!("manual/{credential}"))
                .or_insert_with(|| (format!("{credential}: to be done by hand"), vec![format!("Owner: {}.", code(owner))]));
            told.1.push(format!("- {}", asked(&action.reason, plan)));
        }
    }
    let blocked = |id: &dyn std::fmt::Display| format!("{id}: its rotation is blocked");
    for held in &plan.held {
        let (Some(id), true) = (held.kind.credential(), waits_for_a_person(&held.because)) else { continue };
        let told = all.entry(format!("blocked/{id}")).or_insert_with(|| (blocked(id), Vec::new()));
        told.1.push(format!("- {}", prose(&words::held(&held.because))));
    }
    for outcome in outcomes {
        let (Some(id), Fate::Blocked(why)) = (outcome.action.credential(), &outcome.fate) else { continue };
        let told = all.entry(format!("blocked/{id}")).or_insert_with(|| (blocked(id), Vec::new()));
        told.1.push(format!("- {}", prose(why)));
    }
    all.into_iter().map(|(key, (title, lines))| task(environment, &key, &title, lines)).collect()
}

fn task(environment: &str, key: &str, title: &str, mut lines: Vec<String>) -> Task {
    // Nothing of a name may end the comment of HTML that it stands in.
    let plain = |one: char| if one.is_ascii_alphanumeric() || "-._/@".contains(one) { one } else { '_' };
    let marker = format!("{}{} -->", mark(environment), key.chars().map(plain).collect::<String>().replace("--", "-_"));
    lines.dedup();
    let body = format!("{marker}\n{}\n\nslm closes this by itself when it is no longer so.\n", lines.join("\n"));
    Task { marker, title: title.chars().filter(|one| !one.is_control()).take(TITLE).collect(), body }
}

/// What is asked of a person. Ages grow and are left out.
fn asked(reason: &Reason, plan: &Plan) -> String {
    match reason {
        Reason::ByHand { due, steps, .. } => {
            let due = due.map_or_else(String::new, |due| format!(" Due: {due}."));
            format!("{}.{due}", prose(steps))
        }
        Reason::Broken { found, .. } => prose(&found.join(", ")),
        Reason::ValidTooLong { since, limit } | Reason::NotRetiredInTime { since, limit } => {
            format!("since {since}, over its limit of {limit}")
        }
        Reason::Stuck { since } => format!("a rotation that AWS began at {since} is not finished"),
        other => prose(&words::reason(other, plan.at)),
    }
}

/// True when time alone does not help.
const fn waits_for_a_person(because: &HeldBecause) -> bool {
    match because {
        HeldBecause::Person(_) | HeldBecause::Preflight(_) | HeldBecause::AttemptsSpent { .. } | HeldBecause::NoWriter(_) => true,
        HeldBecause::NothingPermits
        | HeldBecause::Forbidden(_)
        | HeldBecause::GuardError(_)
        | HeldBecause::ShareLimit { .. }
        | HeldBecause::Frozen { .. }
        | HeldBecause::Early { .. }
        | HeldBecause::OutsideWindow { .. }
        | HeldBecause::Unseen(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::SecretRef;
    use crate::model::plan::{Action, Held, PLAN_FORMAT};
    use crate::model::time::{Limit, Timestamp};

    fn at(day: i64) -> Timestamp {
        Limit::days(day).after("2026-11-24T00:00:00Z".parse().unwrap())
    }

    fn rotate(credential: &str) -> ActionKind {
        let secret = SecretRef { source: "prod".into(), region: "eu-west-1".to_owned(), name: credential.to_owned() };
        ActionKind::Rotate { credential: credential.into(), secret, generation: None, rotation: "r".into(), consumers: Vec::new() }
    }

    fn plan(day: i64, owner: &str) -> Plan {
        let kind = ActionKind::EscalateCredential { credential: "vendor".into(), owner: owner.to_owned() };
        let reason = Reason::ByHand {
            since: Some(at(-80)),
            due: Some(at(10)),
            limit: Limit::days(90),
            steps: "open @vendor and press <b>new</b>".to_owned(),
        };
        let held = |credential: &str, because| Held { kind: rotate(credential), reason: Reason::NoValue, because, outlook: None };
        Plan {
            format: PLAN_FORMAT,
            at: at(day),
            config: String::new(),
            snapshot: String::new(),
            actions: vec![Action {
                kind,
                reason,
                controls: Vec::new(),
                criteria: Vec::new(),
                permitted_by: Vec::new(),
                outlook: None,
            }],
            held: vec![
                held("db", HeldBecause::AttemptsSpent { attempts: 3 }),
                held("later", HeldBecause::ShareLimit { allowed: 1 }),
            ],
            together: Vec::new(),
            preflight: Vec::new(),
            usage: Vec::new(),
        }
    }

    #[test]
    fn what_time_brings_is_no_task_and_the_text_of_a_task_does_not_age() {
        let outcomes = [Outcome { action: rotate("db"), fate: Fate::Blocked("the slot is taken".to_owned()), events: Vec::new() }];
        let all = tasks(&plan(0, "platform"), &outcomes, "production");
        assert_eq!(
            all.iter().map(|task| task.title.as_str()).collect::<Vec<_>>(),
            ["db: its rotation is blocked", "vendor: to be done by hand"]
        );
        insta::assert_snapshot!(all[0].body, @r"
        <!-- slm:task:production:blocked/db -->
        - all 3 attempts are used up; a person must look\: find out why none was put in force, then raise \`attempts\` of its \`\[policy\]\`
        - the slot is taken

        slm closes this by itself when it is no longer so.
        ");
        insta::assert_snapshot!(all[1].body, @r"
        <!-- slm:task:production:manual/vendor -->
        Owner: `platform`.
        - open @&#8203;vendor and press &lt;b&gt;new&lt;/b&gt;. Due: 2026-12-04T00:00:00Z.

        slm closes this by itself when it is no longer so.
        ");
        assert_eq!(tasks(&plan(5, "platform"), &outcomes, "production"), all);
    }

    #[test]
    fn no_name_ends_the_marker_that_it_stands_in() {
        let made = task("production", "manual/--><script>", "x\ny", Vec::new());
        assert_eq!(made.marker, "<!-- slm:task:production:manual/-___script_ -->");
        assert_eq!(made.title, "xy");
    }
}
