//! The comment on a pull request: rendered, hostile, and never too long.

use proptest::prelude::*;

use super::*;
use crate::model::plan::{Held, HeldBecause, PLAN_FORMAT, Reason};
use crate::model::time::{Limit, Timestamp};

const HEAD: &str = "aaaaaaaaaaaabbbbbbbbbbbbccccccccccccdddd";
const LINK: &str = "https://github.com/acme/slm/actions/runs/5";

fn now() -> Timestamp {
    "2026-11-24T00:00:00Z".parse().unwrap()
}

fn escalate(control: &str, resource: &str) -> Action {
    let kind = ActionKind::Escalate { control: control.into(), resource: Some(resource.into()), owner: "security".to_owned() };
    let criteria = vec![("soc2".into(), "CC6.1".into())];
    Action { kind, reason: Reason::NonCompliant, controls: vec![control.into()], criteria, permitted_by: Vec::new(), outlook: None }
}

fn rotate(credential: &str) -> Action {
    let kind = ActionKind::Rotate {
        credential: credential.into(),
        secret: crate::model::catalog::SecretRef {
            source: "prod".into(),
            region: "eu-west-1".to_owned(),
            name: credential.to_owned(),
        },
        generation: None,
        rotation: "9f2c41d07ab3".into(),
        consumers: vec!["api".into()],
    };
    let limit = Limit::days(60);
    let reason = Reason::TooOld { since: Limit::days(-90).after(now()), due_after: limit, limit };
    Action {
        kind,
        reason,
        controls: vec!["ROT-01".into()],
        criteria: Vec::new(),
        permitted_by: vec!["rotate-open".into()],
        outlook: None,
    }
}

fn proposal(actions: Vec<Action>) -> Proposal {
    let held =
        Held { kind: rotate("held").kind, reason: Reason::NoValue, because: HeldBecause::ShareLimit { allowed: 1 }, outlook: None };
    let plan = Plan {
        format: PLAN_FORMAT,
        at: now(),
        config: HEAD.to_owned(),
        snapshot: String::new(),
        actions,
        held: vec![held],
        together: Vec::new(),
        preflight: Vec::new(),
        usage: Vec::new(),
    };
    Proposal {
        head: HEAD.to_owned(),
        run: Some(5),
        exit: 5,
        edit: "1 control looser; 2 other verdicts of the last run".to_owned(),
        changes: vec![Change {
            about: "ROT-01".to_owned(),
            verdict: "looser".to_owned(),
            lines: ["30d is 365d now", "2 of 12 secrets flip", "  db  non-compliant -> compliant"].map(str::to_owned).into(),
        }],
        standing: [("ROT-01".into(), [(Status::Compliant, 3), (Status::NonCompliant, 1)].into())].into(),
        unseen: vec!["source prod secrets eu-west-1 was not seen whole".to_owned()],
        plan: Some(plan),
        ..crate::model::proposal::tests::proposal()
    }
}

fn told(proposal: &Proposal, limit: usize) -> String {
    let digest = "d".repeat(64);
    compose(proposal, &About { digest: Some(&digest), link: LINK }, limit)
}

/// Every folded part is opened and closed on a line of its own, one after the other.
fn is_closed(text: &str) -> bool {
    let mut open = false;
    for line in text.lines() {
        if line.starts_with("<details") {
            if open {
                return false;
            }
            open = true;
        } else if line == "</details>" {
            if !open {
                return false;
            }
            open = false;
        }
    }
    !open
}

#[test]
fn the_comment_says_first_what_matters_and_folds_the_rest_by_control() {
    insta::assert_snapshot!(told(&proposal(vec![rotate("db"), escalate("ACC-02", "arn:aws:iam::1:user/ada")]), LIMIT), @r"
    <!-- slm:plan:production -->
    <!-- slm:digest:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd head:aaaaaaaaaaaabbbbbbbbbbbbccccccccccccdddd -->
    ### slm: production

    **Edit: 1 control looser; 2 other verdicts of the last run. Plan: 1 to rotate, 1 to escalate, 1 held.**

    <details open><summary>ROT-01: looser</summary>

    - 30d is 365d now
    - 2 of 12 secrets flip
      - db  non-compliant -&gt; compliant

    </details>

    <details open><summary>not seen: 1</summary>

    - source prod secrets eu-west-1 was not seen whole

    </details>

    <details><summary>ACC-02: 1 to escalate</summary>

    - escalate `ACC-02 arn:aws:iam::1:user/ada`: non-compliant (serves `soc2:CC6.1`)

    </details>

    <details><summary>ROT-01: 1 of 4 non-compliant, 1 to rotate</summary>

    - rotate `db`: age 90d is over 60d \(limit 60d\)

    </details>

    <details><summary>held: 1</summary>

    - rotate `held`: it has no value yet; this run rotates at most 1

    </details>

    An approval of this pull request approves the plan with the digest `dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd`, and no larger one.

    Made for `aaaaaaaaaaaa`. [Artefact and log](https://github.com/acme/slm/actions/runs/5)
    ");
}

#[test]
fn what_a_comment_asks_to_approve_is_read_back_of_our_own_environment_alone() {
    let text = told(&proposal(Vec::new()), LIMIT);
    assert_eq!(asks(&text, "production"), Some(("d".repeat(64), HEAD.to_owned())));
    assert_eq!(asks(&text, "staging"), None);
    let about = About { digest: Some(&"d".repeat(64)), link: LINK };
    assert_eq!(asks(&nothing(&proposal(Vec::new()), &about), "production"), None);
    let quoted = format!("> {}", text.replace('\n', "\n> "));
    assert_eq!(asks(&quoted, "production"), None);
    let untrusted = compose(&proposal(Vec::new()), &About { digest: None, link: LINK }, LIMIT);
    assert!(untrusted.contains("approves no plan") && asks(&untrusted, "production").is_none(), "{untrusted}");
}

#[test]
fn what_has_no_room_is_left_out_whole_and_counted() {
    let actions: Vec<Action> = (0..400).map(|n| escalate(&format!("ACC-{n:03}"), &format!("{}{n}", "x".repeat(300)))).collect();
    let text = told(&proposal(actions), LIMIT);
    assert!(text.len() <= LIMIT && text.len() > LIMIT - 2_000, "{}", text.len());
    assert!(is_closed(&text));
    let left: usize =
        text.lines().find(|line| line.contains("had no room here")).unwrap().split(' ').next().unwrap().parse().unwrap();
    let shown = text.lines().filter(|line| line.starts_with("<details") || *line == "- ROT-01: 1 of 4 non-compliant").count();
    // 400 of the plan, the edit, ROT-01, what is held and what was not seen.
    assert_eq!(left + shown, 404);
    let many = told(&proposal((0..100).map(|n| escalate("ACC-02", &n.to_string())).collect()), LIMIT);
    assert!(many.contains("- and 60 more lines in the artefact"), "{many}");
}

#[test]
fn a_comment_without_room_for_all_ends_between_two_sections_and_says_where_the_rest_is() {
    let actions = ["ACC-01", "ACC-02", "ACC-03", "ACC-04"].map(|control| escalate(control, "arn:aws:iam::1:user/ada"));
    let text = told(&proposal(actions.into()), 1_400);
    let last = text.split_once("<details><summary>ACC-02").unwrap().1;
    insta::assert_snapshot!(format!("<details><summary>ACC-02{last}"), @r"
    <details><summary>ACC-02: 1 to escalate</summary>

    - escalate `ACC-02 arn:aws:iam::1:user/ada`: non-compliant (serves `soc2:CC6.1`)

    </details>

    - ROT-01: 1 of 4 non-compliant

    3 of 8 sections had no room here; [all of it is in the artefact](https://github.com/acme/slm/actions/runs/5).

    An approval of this pull request approves the plan with the digest `dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd`, and no larger one.

    Made for `aaaaaaaaaaaa`. [Artefact and log](https://github.com/acme/slm/actions/runs/5)
    ");
    assert!(is_closed(&text));
}

#[test]
fn what_the_edit_means_stands_above_everything_and_what_is_nothing_is_left_out() {
    let first = |made: &Proposal| told(made, LIMIT).lines().find(|line| line.starts_with("**")).unwrap().to_owned();
    let mut made = proposal(vec![rotate("db"), rotate("api"), escalate("ACC-02", "ada")]);
    let edit = "1 control looser; 2 other verdicts of the last run";
    assert_eq!(first(&made), format!("**Edit: {edit}. Plan: 2 to rotate, 1 to escalate, 1 held.**"));
    assert_eq!(glance(&made), format!("Edit: {edit}. Plan: 2 to rotate, 1 to escalate, 1 held."));
    made.edit = "@acme/all".to_owned();
    assert_eq!(first(&made), "**Edit: @&#8203;acme/all. Plan: 2 to rotate, 1 to escalate, 1 held.**");
    made.edit.clear();
    made.complaints = complaint(false);
    made.plan.as_mut().unwrap().actions.clear();
    made.plan.as_mut().unwrap().held.clear();
    assert_eq!(first(&made), "**Check: 1 warning. Plan: nothing that was seen is due.**");
    made.plan = None;
    assert_eq!(first(&made), "**Check: 1 warning. Plan: none, there is no recorded run.**");
    made.complaints.extend(complaint(true));
    assert_eq!(first(&made), "**Check: 1 error, 1 warning. Plan: none, the config cannot be used.**");
}

/// A proposal with nothing in it, of which `unseen` was not seen.
fn quiet(unseen: &[&str]) -> Proposal {
    let mut made = proposal(Vec::new());
    made.plan.as_mut().unwrap().held.clear();
    (made.edit, made.changes, made.standing) = (String::new(), Vec::new(), BTreeMap::new());
    made.unseen = unseen.iter().map(ToString::to_string).collect();
    assert!(made.is_quiet());
    made
}

#[test]
fn of_what_was_not_seen_nobody_is_told_that_nothing_is_due_or_changes() {
    let digest = "d".repeat(64);
    let about = About { digest: Some(&digest), link: LINK };
    assert_eq!(glance(&quiet(&[])), "Plan: nothing is due.");
    assert!(nothing(&quiet(&[]), &about).contains("\nNothing changes any more as of `aaaaaaaaaaaa`.\n"));
    let blind = quiet(&["source prod was denied"]);
    assert_eq!(glance(&blind), "Plan: nothing that was seen is due.");
    insta::assert_snapshot!(nothing(&blind, &about), @r"
    <!-- slm:plan:production -->
    ### slm: production

    Nothing that was seen changes any more as of `aaaaaaaaaaaa`.

    <details open><summary>not seen: 1</summary>

    - source prod was denied

    </details>

    Nothing that was seen changes, so that there is no plan to approve.

    Made for `aaaaaaaaaaaa`. [Artefact and log](https://github.com/acme/slm/actions/runs/5)
    ");
    let much = vec!["x".repeat(400); 1_000];
    let said = nothing(&quiet(&much.iter().map(String::as_str).collect::<Vec<_>>()), &about);
    assert!(said.len() <= LIMIT && said.contains("<summary>not seen: 1000</summary>"), "{} bytes", said.len());
}

#[test]
fn a_plan_of_what_was_recorded_says_as_of_when_and_a_fork_that_changes_nothing_approves_none() {
    let mut made = quiet(&[]);
    made.sight = Sight::Recorded { run: "r1".to_owned(), at: now() };
    assert_eq!(glance(&made), "Plan as of 2026-11-24T00:00:00Z: nothing is due.");
    let said = nothing(&made, &About { digest: None, link: LINK });
    assert!(said.contains("approves no plan: whoever made this one could have made any."), "{said}");
    assert!(said.contains("was taken from the recorded run `r1` of 2026-11-24T00:00:00Z; no source was asked."), "{said}");
    made.plan.as_mut().unwrap().actions.push(rotate("db"));
    assert_eq!(glance(&made), "Plan as of 2026-11-24T00:00:00Z: 1 to rotate.");
}

fn complaint(error: bool) -> Vec<Complaint> {
    let (code, file, message) = ("slm::bad-rule".to_owned(), "policies/rot.cedar".to_owned(), "it is no rule".to_owned());
    vec![Complaint { code, error, file, line: 1, end_line: 1, message, help: None }]
}

#[test]
fn names_from_outside_are_no_markup_no_mention_and_close_nothing() {
    let hostile = "x`</details>\n</details>\n@acme/all [a](https://evil) #1 <!-- slm:plan:production -->";
    let mut made = proposal(vec![escalate(hostile, hostile), rotate(hostile)]);
    made.edit = hostile.to_owned();
    made.changes = vec![Change { about: hostile.to_owned(), verdict: hostile.to_owned(), lines: vec![hostile.to_owned()] }];
    made.unseen = vec![hostile.to_owned()];
    made.complaints = vec![Complaint {
        code: hostile.to_owned(),
        error: true,
        file: hostile.to_owned(),
        line: 1,
        end_line: 1,
        message: hostile.to_owned(),
        help: Some(hostile.to_owned()),
    }];
    let text = told(&made, LIMIT);
    assert!(is_closed(&text), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("<!--")).count(), 2);
    // What stands outside of code is defused.
    let outside: String = text.lines().filter(|line| !line.contains('`')).collect();
    assert!(!outside.contains("@acme") && !outside.contains("(https://evil)"), "{outside}");
}

fn anything() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,60}", "\\PC{0,60}", Just("</details>\n".to_owned()), Just("`".repeat(30)), Just("é".repeat(700))]
}

proptest! {
    #[test]
    fn no_proposal_makes_it_longer_than_its_limit_or_leaves_a_part_open(
        names in prop::collection::vec((anything(), anything()), 0..25),
        lines in prop::collection::vec(anything(), 0..25),
        limit in 3_000_usize..20_000,
    ) {
        let mut made = proposal(names.iter().map(|(control, resource)| escalate(control, resource)).collect());
        made.changes = names.iter().map(|(about, verdict)| Change { about: about.clone(), verdict: verdict.clone(), lines: lines.clone() }).collect();
        made.edit = lines.concat();
        made.unseen = lines;
        made.environment = "production".to_owned();
        let text = told(&made, limit.max(6_000));
        prop_assert!(text.len() <= limit.max(6_000), "{} over {limit}", text.len());
        prop_assert!(is_closed(&text), "{text}");
        prop_assert_eq!(asks(&text, "production"), Some(("d".repeat(64), HEAD.to_owned())));
    }
}
