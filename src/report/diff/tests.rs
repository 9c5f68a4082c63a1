//! Five edits as people see them, and edits whose words are hostile.

use super::*;
use crate::model::assessment::Status;
use crate::model::catalog::SecretRef;
use crate::model::difference::{
    Consequences, ControlChange, CredentialChange, CriterionChange, DueChange, Effort, Example, ExceptionChange, Flip, GuardChange,
    Guarded, Means, Proof, Replay, Replayed, Side, Step, StepChange,
};
use crate::model::past::Noted;
use crate::model::plan::{ActionKind, HeldBecause, Reason};
use crate::model::time::{Limit, Timestamp};

fn now() -> Timestamp {
    "2026-11-24T00:00:00Z".parse().unwrap()
}

fn difference() -> Difference {
    let side = |name: &str, config: &str| Side { name: name.to_owned(), config: config.to_owned() };
    Difference {
        base: side("main", "c0ffee"),
        head: side("edit", "beef"),
        controls: Vec::new(),
        settings: Vec::new(),
        credentials: Vec::new(),
        exceptions: Vec::new(),
        criteria_lost: Vec::new(),
        criteria_gained: Vec::new(),
        guards: Vec::new(),
        consequences: None,
        replay: None,
        unseen: Vec::new(),
        files: vec!["policies/rot.cedar".to_owned()],
    }
}

fn control(way: Way, proof: Option<Proof>) -> ControlChange {
    let title = "IAM access keys no older than 90 days".to_owned();
    ControlChange { control: "ROT-03".into(), title, fate: Fate::Changed, way, edits: Vec::new(), proof }
}

fn proof(way: Way, means: Means) -> Proof {
    Proof { way, means, newly_allowed: None, newly_denied: None }
}

fn example(age: &str) -> Example {
    let facts = [("active", "true"), ("context.now", "2026-11-24T00:00:00Z"), ("created", age)];
    let facts = facts.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Example { resource: "Aws::AccessKey::\"\"".to_owned(), facts }
}

fn edit(what: &str, before: &str, after: &str, way: Way) -> Edit {
    Edit { what: what.to_owned(), before: Some(before.to_owned()), after: Some(after.to_owned()), way: Some(way) }
}

fn flip(id: &str, before: Option<Status>, after: Status) -> Flip {
    Flip { entity: "Aws::AccessKey".into(), resource: Some(id.into()), before, after: Some(after) }
}

fn replay(flips: Vec<Flip>) -> Replay {
    let date = |text: &str| text.parse().unwrap();
    let days = vec![(date("2026-11-20"), 2), (date("2026-11-24"), flips.len() as u64)];
    Replay {
        from: date("2026-08-27"),
        to: date("2026-11-24"),
        days: 80,
        days_without_run: 10,
        unknown: Vec::new(),
        judged: vec!["ROT-03".into()],
        controls: vec![Replayed { control: "ROT-03".into(), flips, days }],
        effort: Effort { made: 4, kept: 100 },
    }
}

fn looser() -> Difference {
    let proof = Proof { newly_allowed: Some(example("2025-12-01T00:00:00Z")), ..proof(Way::Looser, Means::Solver) };
    Difference {
        controls: vec![ControlChange {
            edits: vec![edit("evidence-ttl", "26h", "30d", Way::Looser)],
            ..control(Way::Looser, Some(proof))
        }],
        settings: vec![edit("tiers.limits.standard", "60d", "365d", Way::Looser)],
        replay: Some(replay(vec![flip("AKIA1", Some(Status::NonCompliant), Status::Compliant)])),
        ..difference()
    }
}

/// What both texts plan, where the new one makes a rotation due.
fn follows() -> Consequences {
    let rotate = ActionKind::Rotate {
        credential: "deployer".into(),
        secret: SecretRef { source: "prod".into(), region: "eu-west-1".to_owned(), name: "ci/deployer".to_owned() },
        generation: Some("v1".into()),
        rotation: "0123456789ab".into(),
        consumers: vec!["ci".into()],
    };
    let since = Limit::days(-60).after(now());
    // Nobody plans by parts of a second.
    let judged = "2026-11-24T00:00:00.58817923Z".parse().unwrap();
    let reason = Reason::TooOld { since, due_after: Limit::days(30), limit: Limit::days(30) };
    let held = Some(Step::Held(HeldBecause::NothingPermits));
    let collect = ActionKind::Collect { control: "ROT-03".into() };
    let due = DueChange {
        credential: "deployer".into(),
        before: Some(Limit::days(30).after(now())),
        after: Some(Limit::days(-30).after(now())),
        newly_due: true,
    };
    Consequences {
        run: "20261124T000000Z-00000001".into(),
        at: judged,
        due: vec![due],
        steps: vec![
            StepChange { kind: rotate, reason, before: None, after: Some(Step::Planned) },
            StepChange { kind: collect, reason: Reason::NonCompliant, before: Some(Step::Planned), after: held },
        ],
        consumers: vec![("deployer".into(), "ci".into())],
        restarts: vec!["ecs prod/api".to_owned()],
        spared: Vec::new(),
    }
}

fn tighter() -> Difference {
    let asked = Guarded {
        credential: "deployer".into(),
        incomplete: false,
        share: (26, 50),
        rules: vec!["guard-rotate".into()],
        planned: true,
    };
    let unproved = Proof::unproved("no cvc5 was found; install Debian's package cvc5".to_owned());
    let denied = Proof { newly_denied: Some(example("2026-09-01T00:00:00Z")), ..proof(Way::Tighter, Means::Solver) };
    let flips = ["AKIA1", "AKIA2"].map(|id| flip(id, Some(Status::Compliant), Status::NonCompliant));
    Difference {
        controls: vec![control(Way::Tighter, Some(denied))],
        credentials: vec![CredentialChange {
            credential: "deployer".into(),
            fate: Fate::Changed,
            edits: vec![edit("policy.rotate-every", "90d", "30d", Way::Tighter)],
        }],
        guards: vec![GuardChange { action: "rotate".to_owned(), proof: unproved, permits: vec![asked], holds: Vec::new() }],
        consequences: Some(follows()),
        replay: Some(replay(flips.into())),
        ..difference()
    }
}

fn refactor() -> Difference {
    Difference { controls: vec![control(Way::Equal, Some(proof(Way::Equal, Means::Solver)))], ..difference() }
}

fn new_control() -> Difference {
    let serves = CriterionChange {
        framework: "soc2".into(),
        criterion: "CC6.1".into(),
        title: "Logical access".to_owned(),
        before: Vec::new(),
        after: vec!["ROT-03".into()],
    };
    Difference {
        controls: vec![ControlChange { fate: Fate::Added, ..control(Way::Tighter, None) }],
        criteria_gained: vec![serves],
        replay: Some(replay(vec![flip("AKIA1", None, Status::NonCompliant)])),
        ..difference()
    }
}

fn new_exception() -> Difference {
    Difference {
        controls: vec![control(Way::Looser, Some(proof(Way::Looser, Means::Dates)))],
        exceptions: vec![ExceptionChange {
            exception: "legacy-key".into(),
            control: "ROT-03".into(),
            resource: "AKIA1".into(),
            fate: Fate::Added,
            way: Way::Looser,
            before: None,
            after: Some((Limit::days(-1).after(now()), Limit::days(30).after(now()))),
            approver: "bob".to_owned(),
            edits: Vec::new(),
        }],
        unseen: vec![Noted { code: "slm::diff-nothing-recorded", what: "nothing was replayed: no run is recorded".to_owned() }],
        ..difference()
    }
}

#[test]
fn five_edits_are_told_to_people() {
    for (name, difference) in [
        ("looser", looser()),
        ("tighter", tighter()),
        ("refactor", refactor()),
        ("new_control", new_control()),
        ("new_exception", new_exception()),
    ] {
        insta::assert_snapshot!(format!("{name}_human"), human(&difference));
        insta::assert_snapshot!(format!("{name}_markdown"), markdown(&difference));
    }
}

#[test]
fn of_a_source_that_was_not_seen_so_it_is_not_said_that_every_day_reads_the_same_alone() {
    let told = |unknown| {
        let replay = Replay { unknown, controls: Vec::new(), ..replay(Vec::new()) };
        let text = human(&Difference { replay: Some(replay), ..difference() });
        text.lines().skip_while(|line| *line != "Recorded days").skip(2).map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(told(Vec::new()), ["every day reads the same"]);
    assert_eq!(
        told(vec!["gh".into(), "prod".into()]),
        ["not known is what would have been seen of gh, prod", "every day reads the same"]
    );
}

#[test]
fn of_one_day_alone_nothing_is_said_twice_and_verdicts_stand_below_their_control() {
    let day = "2026-11-24".parse().unwrap();
    let one = |one: Replayed| Replayed { days: vec![(day, 1)], ..one };
    let whole = replay(vec![flip("AKIA1", None, Status::NonCompliant)]);
    let controls = whole.controls.iter().cloned().map(one).collect();
    let replay = Replay { from: day, to: day, days: 1, days_without_run: 0, controls, ..whole };
    let parts = changes(&Difference { replay: Some(replay), ..difference() });
    let [part] = &parts[..] else { panic!("{parts:?}") };
    assert_eq!((part.about.as_str(), part.verdict.as_str()), ("recorded days", crate::report::comment::TOLD));
    assert_eq!(
        part.lines,
        [
            "1 control judged under both texts for 1 day on 2026-11-24",
            "ROT-03  1 other verdict in the last run, 1 day read differently",
            "  AKIA1  not judged -> non-compliant",
            "  1 verdict on 2026-11-24",
        ]
    );
}

#[test]
fn the_summary_counts_what_is_looser_tighter_and_equal() {
    assert_eq!(summary(&Difference { files: Vec::new(), ..difference() }), "nothing changed");
    assert_eq!(summary(&difference()), "nothing of what is compared changed in 1 file");
    let controls =
        [Way::Looser, Way::Equal, Way::Tighter, Way::Looser, Way::NotProved, Way::Equal, Way::Equal].map(|way| control(way, None));
    assert_eq!(
        summary(&Difference { controls: controls.into(), ..difference() }),
        "2 controls looser, 1 tighter, 1 not proved, 3 equal"
    );
    assert_eq!(
        summary(&looser()),
        "1 control looser; 1 limit looser; 1 other verdict of the last run; 2 of 80 days read differently"
    );
    assert!(refactor().is_equal() && !looser().is_equal() && !new_exception().is_equal());
}

#[test]
fn words_of_an_edit_are_never_mentions_links_tags_or_more_lines() {
    let hostile = "@everyone <img src=x onerror=y> [a](https://b) | `c` #1\n# Approved\u{1b}[2J\u{202e}";
    let mut one = looser();
    one.base.name = hostile.to_owned();
    one.controls[0].control = hostile.into();
    one.controls[0].title = hostile.to_owned();
    one.controls[0].edits = vec![edit(hostile, hostile, hostile, Way::Looser)];
    one.controls[0].proof = Some(Proof::unproved(hostile.to_owned()));
    one.settings = vec![edit(hostile, hostile, hostile, Way::Looser)];
    one.replay = Some(replay(vec![flip(hostile, Some(Status::Compliant), Status::NonCompliant)]));
    one.unseen = vec![Noted { code: "c", what: hostile.to_owned() }];
    let (human, markdown) = (human(&one), markdown(&one));
    assert!(!human.contains('\u{1b}') && !human.contains("\n# Approved") && !human.contains('\u{202e}'), "{human}");
    assert!(!markdown.contains('\u{1b}') && !markdown.contains("\n# Approved") && !markdown.contains('\u{202e}'), "{markdown}");
    assert_eq!(outside_of_code(&markdown), "", "{markdown}");
}

/// What of `markdown` is theirs and stands outside of code: the text without spans of backticks and `<code>`, where anything hostile is.
fn outside_of_code(markdown: &str) -> String {
    let mut rest = String::new();
    for line in markdown.lines() {
        let mut line = line.to_owned();
        while let Some((before, after)) = line.split_once("<code>") {
            let (inside, after) = after.split_once("</code>").unwrap();
            assert!(!inside.contains('<') && !inside.contains('>'), "{inside}");
            line = format!("{before}{after}");
        }
        while let Some(start) = line.find('`') {
            let fence: String = line[start..].chars().take_while(|one| *one == '`').collect();
            let inside = start + fence.len();
            let mut end = inside;
            loop {
                let at = end + line[end..].find('`').unwrap();
                let run = line[at..].chars().take_while(|one| *one == '`').count();
                end = at + run;
                if run == fence.len() {
                    break;
                }
            }
            line = format!("{}{}", &line[..start], &line[end..]);
        }
        for word in ["@", "<img", "](", "#1"] {
            if line.contains(word) {
                rest.push_str(&line);
            }
        }
    }
    rest
}
