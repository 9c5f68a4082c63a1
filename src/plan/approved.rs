//! Whether a plan does no more than what was approved: people approve one plan, and another is carried out after a merge.

use crate::model::id::{ConsumerId, CredentialId};
use crate::model::plan::{Action, ActionKind, Plan};

/// The actions of `plan` that none of `approved` covers. What changes nothing outside needs nobody's approval.
#[must_use]
pub fn beyond<'p>(plan: &'p Plan, approved: &[&Plan]) -> Vec<&'p Action> {
    let all: Vec<&ActionKind> = approved.iter().flat_map(|plan| &plan.actions).map(|action| &action.kind).collect();
    let covered = |action: &&Action| touches(&action.kind).is_none() || all.iter().any(|kind| covers(kind, &action.kind));
    plan.actions.iter().filter(|action| !covered(action)).collect()
}

/// The credential that an action changes something of.
fn touches(kind: &ActionKind) -> Option<&CredentialId> {
    kind.credential()
}

/// True when whoever approved `approved` approved `wanted`: the same, less of it, or what is left of a rotation that was approved whole.
fn covers(approved: &ActionKind, wanted: &ActionKind) -> bool {
    use ActionKind::{Deliver, Finish, Rotate};
    match (approved, wanted) {
        (
            Rotate { credential, secret, rotation, consumers, generation },
            Rotate { credential: one, secret: place, rotation: name, consumers: to, generation: from },
        ) => (credential, secret, rotation, generation) == (one, place, name, from) && within(to, consumers),
        // Its tail, after a run that was cut off.
        (
            Rotate { credential, secret, rotation, consumers, .. },
            Finish { credential: one, secret: place, rotation: name, consumers: to, .. },
        )
        | (
            Finish { credential, secret, rotation, consumers, .. },
            Finish { credential: one, secret: place, rotation: name, consumers: to, .. },
        ) => (credential, secret, rotation) == (one, place, name) && within(to, consumers),
        // To bring consumers to what is in force is a step of it.
        (
            Rotate { credential, secret, consumers, .. } | Finish { credential, secret, consumers, .. },
            Deliver { credential: one, secret: place, consumers: to, .. },
        ) => (credential, secret) == (one, place) && within(to, consumers),
        (
            Deliver { credential, secret, generation, consumers },
            Deliver { credential: one, secret: place, generation: version, consumers: to },
        ) => (credential, secret, generation) == (one, place, version) && within(to, consumers),
        _ => approved == wanted,
    }
}

fn within(some: &[ConsumerId], all: &[ConsumerId]) -> bool {
    some.iter().all(|one| all.contains(one))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::catalog::{Credential, SecretRef};
    use crate::model::made;
    use crate::model::plan::{PLAN_FORMAT, Reason};
    use crate::model::time::Timestamp;
    use crate::plan::choose;

    fn secret(name: &str) -> SecretRef {
        SecretRef { source: "prod".into(), region: "eu-west-1".to_owned(), name: name.to_owned() }
    }

    fn declared(credential: &str, consumers: &[&str]) -> Credential {
        let consumers = consumers.iter().map(|id| made::consumer(id)).collect();
        Credential { secret: secret(credential), consumers, ..made::credential(credential) }
    }

    /// As a plan has it, while version `generation` is in force.
    fn rotate(credential: &str, generation: &str, consumers: &[&str]) -> ActionKind {
        choose::rotate(&declared(credential, consumers), Some(generation.into()))
    }

    /// As a plan has it, after `generation` was replaced by slm.
    fn finish(credential: &str, generation: &str, consumers: &[&str]) -> ActionKind {
        choose::finish(&declared(credential, consumers), "new".into(), Some(generation.into()))
    }

    fn deliver(credential: &str, generation: &str, consumers: &[&str]) -> ActionKind {
        ActionKind::Deliver {
            credential: credential.into(),
            secret: secret(credential),
            generation: generation.into(),
            consumers: consumers.iter().map(ConsumerId::from).collect(),
        }
    }

    fn escalate(control: &str) -> ActionKind {
        ActionKind::Escalate { control: control.into(), resource: None, owner: "security".to_owned() }
    }

    fn plan(kinds: Vec<ActionKind>) -> Plan {
        let action = |kind| Action {
            kind,
            reason: Reason::Forced,
            controls: Vec::new(),
            criteria: Vec::new(),
            permitted_by: Vec::new(),
            outlook: None,
        };
        Plan {
            format: PLAN_FORMAT,
            at: Timestamp::UNIX_EPOCH,
            config: String::new(),
            snapshot: String::new(),
            actions: kinds.into_iter().map(action).collect(),
            held: Vec::new(),
            together: Vec::new(),
            preflight: Vec::new(),
            usage: Vec::new(),
        }
    }

    fn allows(approved: &ActionKind, wanted: &ActionKind) -> bool {
        beyond(&plan(vec![wanted.clone()]), &[&plan(vec![approved.clone()])]).is_empty()
    }

    #[test]
    fn less_of_what_was_approved_and_its_tail_are_covered_and_more_of_it_is_not() {
        let approved = rotate("db", "1", &["api", "web"]);
        for (wanted, covered) in [
            (rotate("db", "1", &["api", "web"]), true),
            (rotate("db", "1", &["api"]), true),
            (rotate("db", "1", &["api", "job"]), false),
            // Somebody rotated it meanwhile: what was approved is not what would be replaced.
            (rotate("db", "2", &["api"]), false),
            (rotate("other", "1", &["api"]), false),
            (finish("db", "1", &["api", "web"]), true),
            (finish("db", "2", &["api", "web"]), false),
            (deliver("db", "new", &["web"]), true),
            (deliver("db", "new", &["job"]), false),
        ] {
            assert_eq!(allows(&approved, &wanted), covered, "{wanted:?}");
        }
        assert!(!allows(&finish("db", "1", &["api"]), &rotate("db", "1", &["api"])), "the end of a rotation is no rotation");
        assert!(!allows(&deliver("db", "1", &["api"]), &deliver("db", "2", &["api"])));
    }

    #[test]
    fn what_changes_nothing_outside_needs_no_approval_and_several_approvals_add_up() {
        let wanted = plan(vec![rotate("a", "1", &[]), escalate("ACC-02"), rotate("b", "1", &[])]);
        let (a, b) = (plan(vec![rotate("a", "1", &[])]), plan(vec![rotate("b", "1", &[])]));
        assert_eq!(beyond(&wanted, &[&a, &b]), Vec::<&Action>::new());
        let more: Vec<_> = beyond(&wanted, &[&a]).iter().map(|action| action.kind.clone()).collect();
        assert_eq!(more, [rotate("b", "1", &[])]);
        assert_eq!(beyond(&wanted, &[]).len(), 2);
    }

    fn any_kind() -> impl Strategy<Value = ActionKind> {
        let consumers = || prop::sample::subsequence(vec!["x", "y", "z"], 0..=3);
        prop_oneof![
            ("[ab]", "[12]", consumers()).prop_map(|(id, from, to)| rotate(&id, &from, &to)),
            ("[ab]", "[12]", consumers()).prop_map(|(id, from, to)| finish(&id, &from, &to)),
            ("[ab]", "[12]", consumers()).prop_map(|(id, from, to)| deliver(&id, &from, &to)),
            "[AB]".prop_map(|control| escalate(&control)),
        ]
    }

    proptest! {
        #[test]
        fn a_plan_is_covered_by_itself_and_more_approvals_never_hold_more(
            one in prop::collection::vec(any_kind(), 0..6),
            other in prop::collection::vec(any_kind(), 0..6),
        ) {
            let (one, other) = (plan(one), plan(other));
            prop_assert!(beyond(&one, &[&one]).is_empty());
            prop_assert!(beyond(&one, &[&other, &one]).is_empty());
            prop_assert!(beyond(&one, &[&other]).len() <= beyond(&one, &[]).len());
            let held = beyond(&one, &[&other]);
            prop_assert!(held.iter().all(|action| action.kind.credential().is_some()));
        }
    }
}
