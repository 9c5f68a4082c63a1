//! Questions to the solver of this machine, where there is one; `scripts/emulators.sh missing` says where not.

use super::*;

const SCHEMA: &str = r#"
namespace Slm { entity Collector; }
namespace Control { action "A-1" appliesTo { principal: Slm::Collector, resource: [Key, Other], context: { now: __cedar::datetime } }; }
entity Key = { created?: __cedar::datetime, active?: Bool, number?: Long };
entity Other = { number?: Long };
"#;

fn rule(condition: &str) -> String {
    format!("permit (principal is Slm::Collector, action == Control::Action::\"A-1\", resource is Key) when {{ {condition} }};")
}

async fn proved(base: &str, head: &str) -> Option<Proof> {
    let solver = Solver::find().ok()?;
    let action = "Control::Action::\"A-1\"".to_owned();
    let asked = Question { action: action.clone(), base: base.to_owned(), head: head.to_owned() };
    solver.prove(SCHEMA, &[asked]).await.remove(&action)
}

const YOUNG: &str =
    "resource has created && resource.created <= context.now && context.now.durationSince(resource.created) <= duration(\"90d\")";

#[tokio::test]
async fn a_rule_is_looser_tighter_equal_or_neither_and_an_example_shows_it() {
    let longer = YOUNG.replace("90d", "365d");
    let refactored = YOUNG.replace("<= duration(\"90d\")", "< duration(\"90d1ms\")");
    let ways = [
        (rule(YOUNG), rule(&longer), Way::Looser),
        (rule(&longer), rule(YOUNG), Way::Tighter),
        (rule(YOUNG), rule(&refactored), Way::Equal),
        (rule(YOUNG), rule("resource has active && resource.active"), Way::Incomparable),
        (rule("resource has number && resource.number > 30"), rule("resource has number && resource.number >= 31"), Way::Equal),
    ];
    for (base, head, way) in ways {
        let Some(proof) = proved(&base, &head).await else { return };
        assert_eq!((proof.way, &proof.means), (way, &Means::Solver), "{base} {head}");
        let shown = (proof.newly_allowed.is_some(), proof.newly_denied.is_some());
        assert_eq!(Way::by(shown.0, shown.1), way);
        if let Some(example) = proof.newly_allowed {
            assert!(example.resource.starts_with("Key::"), "{example:?}");
            assert!(example.facts.iter().any(|(name, _)| name == "context.now"), "{example:?}");
        }
    }
}

#[tokio::test]
async fn the_whole_decision_is_compared_forbids_and_exceptions_with_it() {
    let forbid =
        "forbid (principal, action == Control::Action::\"A-1\", resource is Key) when { resource has active && !resource.active };";
    let except = "permit (principal, action == Control::Action::\"A-1\", resource == Key::\"k\") when { context.now < datetime(\"2027-01-01\") };";
    let (plain, number) = (rule(YOUNG), rule("resource has number && resource.number > 0"));
    for (base, head, way) in [
        (plain.clone(), format!("{plain}{forbid}"), Way::Tighter),
        (plain.clone(), format!("{plain}{except}"), Way::Looser),
        // A permit that a forbid takes back is none.
        (format!("{number}{forbid}"), format!("{number}{forbid}{}", rule("resource has active && !resource.active")), Way::Equal),
    ] {
        let Some(proof) = proved(&base, &head).await else { return };
        assert_eq!(proof.way, way, "{base} {head}");
    }
}

#[tokio::test]
async fn what_is_not_understood_is_not_proved_and_says_why() {
    let Some(proof) = proved("permit (", &rule(YOUNG)).await else { return };
    assert!(matches!(&proof.means, Means::Unproved(why) if why.starts_with("the policies are not understood")), "{proof:?}");
    // What may not have been observed is read without asking whether it was.
    let unknown = rule("resource.number > 1");
    let Some(proof) = proved(&unknown, &rule(YOUNG)).await else { return };
    assert_eq!(proof.way, Way::NotProved);
    assert!(matches!(&proof.means, Means::Unproved(why) if why.contains("do not fit the new schema")), "{proof:?}");
}

#[tokio::test]
async fn a_program_that_is_no_solver_proves_nothing() {
    let action = "Control::Action::\"A-1\"".to_owned();
    let asked = Question { action: action.clone(), base: rule(YOUNG), head: rule("resource has active && resource.active") };
    for program in ["/bin/true", "/bin/cat"] {
        let solver = Solver::at(program.into());
        let proof = solver.prove(SCHEMA, std::slice::from_ref(&asked)).await.remove(&action).unwrap();
        assert_eq!(proof.way, Way::NotProved, "{program} {proof:?}");
        assert!(matches!(&proof.means, Means::Unproved(why) if !why.is_empty()), "{proof:?}");
    }
    let none = Solver { all: Duration::ZERO, ..Solver::at("/bin/true".into()) };
    let proof = none.prove(SCHEMA, std::slice::from_ref(&asked)).await.remove(&action).unwrap();
    assert_eq!(proof, Proof::unproved("the 0 s for proofs were used up".to_owned()));
}

/// The program notes its number and waits for ever; the first kind of resource uses up all the time there is.
#[tokio::test]
async fn a_solver_that_never_answers_is_ended_and_takes_no_time_that_is_used_up() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (program, pids) = (folder.path().join("waits"), folder.path().join("pids"));
    std::fs::write(&program, format!("#!/bin/sh\necho $$ >> {}\nexec /bin/sleep 600\n", pids.display())).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let any = |condition: &str| {
        format!("permit (principal, action == Control::Action::\"A-1\", resource) when {{ resource has number && {condition} }};")
    };
    let action = "Control::Action::\"A-1\"".to_owned();
    let asked = Question { action: action.clone(), base: any("resource.number > 1"), head: any("resource.number > 2") };
    let solver = Solver { path: program, patience: Duration::from_millis(100), all: Duration::from_secs(1) };
    let proof = solver.prove(SCHEMA, &[asked]).await.remove(&action).unwrap();
    assert_eq!(proof, Proof::unproved("the solver did not decide it in 0 s".to_owned()));
    let pids = std::fs::read_to_string(pids).unwrap();
    assert_eq!(pids.lines().count(), 2, "both directions of one kind, and none of the other");
    let runs = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|status| !status.contains(") Z "));
    for _ in 0..500 {
        if !pids.lines().any(runs) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("still running: {pids}");
}

#[test]
fn an_instant_is_shown_as_people_read_it_and_anything_else_as_cedar_writes_it() {
    let since = |ms: &str| format!("datetime(\"1970-01-01\").offset(duration(\"{ms}ms\"))");
    assert_eq!(shown(&since("8053063679")), "1970-04-04T04:57:43.679Z");
    for other in [since("-4611686018427387905").as_str(), "true", "\"a\"", "duration(\"1ms\")"] {
        assert_eq!(shown(other), other);
    }
}
