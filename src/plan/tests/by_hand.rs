//! When a person is asked, what is tried, and what is never done, for credentials that slm does not rotate.

use super::*;
use crate::model::rotator::{Manual, Observe};
use crate::model::standing::{Phase, Tried};

const SECOND: Limit = Limit::seconds(1);

fn manual(verify: bool) -> RotatorConfig {
    let step = || serde_json::from_value(serde_json::json!({ "url": "https://v.example/", "headers": { "K": "{{ value }}" } }));
    let verify = verify.then(|| step().unwrap());
    RotatorConfig::Manual(Box::new(Manual { steps: "docs/\n  slack.md".to_owned(), remind_before: Limit::days(14), verify }))
}

fn observe(unused_after: Option<i64>) -> RotatorConfig {
    RotatorConfig::Observe(Observe { rotated_by: None, unused_after: unused_after.map(Limit::days) })
}

/// `slack` of `kind`, due every 90 days, with a value that came about at `since`; `None` for one that nobody has dated.
fn stored(kind: RotatorConfig, since: Option<Timestamp>) -> World {
    let mut facts = vec![("version", text("v1")), ("declared", Value::Bool(true)), ("created", Value::Time(ago(1)))];
    facts.extend(since.map(|since| ("last_rotated", Value::Time(since))));
    world().declared("slack").with(|world| of_kind(world, kind)).secret("app/slack", &facts)
}

fn of_kind(world: &mut World, kind: RotatorConfig) {
    let credential = world.catalog.credentials.get_mut(&CredentialId::from("slack")).unwrap();
    credential.rotator = kind;
    credential.policy.rotate_every = Limit::days(90);
}

/// What was read of its value beside the list.
fn read(facts: &[(&str, Value)]) -> impl FnOnce(&mut World) + use<> {
    let mut all = vec![(Arc::from("credential"), text("slack")), (Arc::from("generation"), text("v1"))];
    all.extend(facts.iter().map(|(name, value)| (Arc::from(*name), value.clone())));
    |world| world.values.resources = vec![Resource::new("slack".into(), all)].into()
}

fn look(world: World) -> (Vec<(String, Reason)>, Standing) {
    world.seen(|input| {
        let plan = plan(input);
        assert_eq!((lint(&plan, input.catalog), plan.held), (vec![], vec![]));
        let standing = standing::standing(input, &input.catalog.credentials[&CredentialId::from("slack")]);
        (plan.actions.into_iter().map(|action| (line(&action.kind), action.reason)).collect(), standing)
    })
}

fn asked(reason: Reason) -> Vec<(String, Reason)> {
    vec![("ask platform slack".to_owned(), reason)]
}

fn by_hand(since: Option<Timestamp>) -> Reason {
    let due = since.map(|since| Limit::days(90).after(since));
    Reason::ByHand { since, due, limit: Limit::days(90), steps: "docs/ slack.md".to_owned() }
}

#[test]
fn a_person_is_asked_from_the_reminder_on_and_not_before() {
    let (a_day, late) = (Limit::seconds(Limit::DAY), Limit::seconds(-1));
    for (since, ask, phase) in [
        (now(), false, Phase::Done),
        (ago(75), false, Phase::Done),
        (SECOND.after(ago(76)), false, Phase::Done),
        (ago(76), true, Phase::Remind),
        (a_day.after(ago(90)), true, Phase::Remind),
        (SECOND.after(ago(90)), true, Phase::Remind),
        (ago(90), true, Phase::Due),
        (late.after(ago(90)), true, Phase::Due),
        (ago(400), true, Phase::Due),
    ] {
        let (plan, standing) = look(stored(manual(false), Some(since)));
        assert_eq!(plan, if ask { asked(by_hand(Some(since))) } else { vec![] }, "{since}");
        assert_eq!((standing.phase, standing.tried), (phase, Some(Tried::Undeclared)), "{since}");
        assert_eq!(standing.due, Some(Limit::days(90).after(since)));
    }
}

#[test]
fn what_is_only_observed_is_asked_about_when_it_is_too_old_to_the_second() {
    let limit = Limit::days(90);
    for (since, phase) in [(ago(89), Phase::Done), (SECOND.after(ago(90)), Phase::Done), (ago(90), Phase::Due)] {
        let (plan, standing) = look(stored(observe(None), Some(since)));
        let old = asked(Reason::TooOld { since, due_after: limit, limit });
        assert_eq!((plan, standing.phase), (if phase == Phase::Due { old } else { vec![] }, phase), "{since}");
    }
}

#[test]
fn what_was_not_seen_is_no_evidence_and_never_fresh() {
    let cut = |world: &mut World| {
        world.vault.completeness = Completeness::Incomplete { cause: Unseen::Denied, detail: "could not list".to_owned() };
    };
    let undated = "when its value came about was not seen";
    let ahead: Timestamp = Limit::seconds(301).after(now());
    for kind in [manual(false), observe(Some(30))] {
        let none = || world().declared("slack").with(|world| of_kind(world, kind.clone()));
        for (world, detail) in [
            (none().with(cut), "could not list".to_owned()),
            (none().with(|world| world.vault.source = "other".into()), "source `local` was not observed".to_owned()),
            (stored(kind.clone(), None), undated.to_owned()),
            (stored(kind.clone(), Some(ahead)), format!("its value is dated `{ahead}`, in the future")),
        ] {
            let (plan, standing) = look(world);
            assert_eq!((plan, standing.phase), (asked(Reason::NoEvidence(detail)), Phase::Unseen));
            assert_eq!((standing.since, standing.due), (None, None));
        }
        let (plan, standing) = look(stored(kind.clone(), Some(ago(1))).with(cut));
        assert_eq!((plan, standing.phase), (vec![], Phase::Done), "what was seen before the list broke off is a fact");
        let just_now = look(stored(kind.clone(), Some(Limit::seconds(300).after(now()))));
        assert_eq!(just_now.1.phase, Phase::Done, "a clock may be a little ahead");
    }
}

#[test]
fn a_value_that_is_not_there_is_asked_for_and_never_made() {
    let none = |kind: RotatorConfig| look(world().declared("slack").with(|world| of_kind(world, kind)));
    for (seen, reason) in [(none(manual(true)), by_hand(None)), (none(observe(None)), Reason::NoValue)] {
        assert_eq!((seen.0, seen.1.phase), (asked(reason), Phase::Empty));
    }
}

#[test]
fn nothing_rotates_it_whatever_is_asked_and_whatever_was_begun() {
    for kind in [manual(false), observe(None)] {
        let world = stored(kind, Some(ago(400))).fact("slack", "slm_pending", Value::Bool(true));
        let (plan, _) = look(world.with(|world| world.forced.push("slack".into())));
        assert!(plan.iter().all(|(line, _)| line == "ask platform slack") && plan.len() == 1, "{plan:?}");
    }
}

#[test]
fn before_its_first_instant_a_person_is_not_asked_about_its_age() {
    let of = |not_before: Timestamp| {
        let world = stored(manual(false), Some(ago(400))).with(|world| {
            world.catalog.credentials.get_mut(&CredentialId::from("slack")).unwrap().policy.not_before = Some(not_before);
        });
        let (plan, standing) = look(world.breached("ROT-01", "app/slack"));
        (plan.len(), standing.phase)
    };
    assert_eq!(of(ago(-1)), (0, Phase::Due));
    assert_eq!(of(now()), (1, Phase::Due));
}

#[test]
fn what_a_person_stored_is_tried_once_and_before_it_is_delivered() {
    let behind = |world: World| world.acknowledged("slack", "app", "v0", "v0").acknowledged("slack", "worker", "v1", "v1");
    let (plan, standing) = look(behind(stored(manual(true), Some(ago(1))).with(read(&[]))));
    let (verify, deliver) = ("verify slack v1".to_owned(), "deliver slack v1 app".to_owned());
    assert_eq!(plan, [(verify, Reason::Untried), (deliver.clone(), Reason::NotAdopted)]);
    assert_eq!((standing.phase, standing.tried), (Phase::Untried, Some(Tried::NotYet)));
    let verified = read(&[("verified", Value::Time(ago(1)))]);
    let (plan, standing) = look(behind(stored(manual(true), Some(ago(1))).with(verified)));
    assert_eq!(plan, [(deliver, Reason::NotAdopted)]);
    assert_eq!((standing.phase, standing.tried), (Phase::Delivering, Some(Tried::At(ago(1)))));
    assert_eq!(standing.behind, ["app".into()]);
    let (plan, standing) = look(stored(manual(true), Some(ago(1))));
    assert_eq!(plan, [], "whether it was tried is not known");
    assert_eq!((standing.phase, standing.tried), (Phase::Untried, Some(Tried::NotYet)));
}

#[test]
fn another_version_is_to_be_tried_again() {
    let tried = read(&[("verified", Value::Time(ago(1)))]);
    let (_, standing) = look(stored(manual(true), Some(ago(1))).with(tried).fact("slack", "version", text("v2")));
    assert_eq!(standing.tried, Some(Tried::NotYet));
}

#[test]
fn what_is_only_observed_is_not_delivered_and_a_consumer_behind_is_told() {
    let world = stored(observe(None), Some(ago(1))).acknowledged("slack", "app", "v0", "v0");
    let (plan, standing) = look(world);
    assert_eq!((plan, standing.phase), (asked(Reason::NotAdopted), Phase::Delivering));
}

#[test]
fn what_nobody_reads_is_asked_about_where_the_store_tells() {
    let seen = |facts: &[(&str, Value)], since| look(stored(observe(Some(30)), Some(since)).with(read(facts)));
    let used = |at| [("used", Value::Bool(true)), ("last_used", Value::Time(at))];
    let (idle, never) = (Reason::Unused { since: ago(30), limit: Limit::days(30) }, [("used", Value::Bool(false))]);
    assert_eq!(seen(&used(ago(30)), ago(60)).0, asked(idle.clone()));
    assert_eq!(seen(&used(SECOND.after(ago(30))), ago(60)).0, []);
    assert_eq!(seen(&never, ago(30)).0, asked(idle), "it came about then and was never read");
    assert_eq!(seen(&never, ago(29)).0, []);
    assert_eq!(seen(&used(ago(60)), ago(3)).0, [], "the value is younger than its last use says");
    assert_eq!(seen(&[], ago(60)).0, [], "its store does not tell");
}

#[test]
fn a_control_that_is_breached_asks_its_owner_unless_it_is_asked_already() {
    let of = |kind: RotatorConfig, days| {
        let (plan, _) = look(stored(kind, Some(ago(days))).breached("ROT-01", "app/slack"));
        plan.into_iter().map(|(line, _)| line).collect::<Vec<_>>()
    };
    for kind in [manual(false), observe(None)] {
        assert_eq!(of(kind.clone(), 70), ["escalate ROT-01 app/slack platform"]);
        assert_eq!(of(kind, 90), ["ask platform slack"]);
    }
}

#[test]
fn credentials_that_slm_does_not_rotate_are_no_share_of_a_run() {
    let quarter = |world: &mut World| world.catalog.settings.limits.rotate_percent = 50;
    let world = stored(manual(false), Some(ago(1))).aged("a", 90).aged("b", 90).with(quarter);
    let plan = world.plan();
    assert_eq!((actions(&plan).len(), plan.held.len()), (1, 1), "half of two, not of three");
}

/// The lint of a plan that does `kind` to `slack` of kind `of`.
fn refused(of: RotatorConfig, kind: ActionKind) -> Vec<String> {
    let world = stored(of, Some(ago(1)));
    let catalog = world.catalog.clone();
    let mut plan = world.plan();
    let permitted_by = vec!["may-rotate".into()];
    plan.actions =
        vec![Action { kind, reason: Reason::Forced, controls: Vec::new(), criteria: Vec::new(), permitted_by, outlook: None }];
    lint(&plan, &catalog)
}

#[test]
fn a_plan_that_would_act_where_slm_does_not_is_refused() {
    let (credential, secret) = (CredentialId::from("slack"), credential("slack").secret);
    let generation = VersionId::from("v1");
    let rotation = rotation_id(&credential, Some(&generation));
    let rotate = ActionKind::Rotate {
        credential: credential.clone(),
        secret: secret.clone(),
        generation: Some(generation.clone()),
        rotation: rotation.clone(),
        consumers: Vec::new(),
    };
    let finish = ActionKind::Finish {
        credential: credential.clone(),
        secret: secret.clone(),
        generation: generation.clone(),
        rotation,
        consumers: Vec::new(),
    };
    let deliver = ActionKind::Deliver {
        credential: credential.clone(),
        secret: secret.clone(),
        generation: generation.clone(),
        consumers: Vec::new(),
    };
    let verify = ActionKind::Verify { credential: credential.clone(), secret, generation };
    let ask = |owner: &str| ActionKind::EscalateCredential { credential: credential.clone(), owner: owner.to_owned() };
    let random = || RotatorConfig::Random(RandomValue { length: 40, alphabet: Alphabet::Alnum });
    let by_person = "credential `slack` is of kind `manual`: a person rotates it";
    let never = "credential `slack` is of kind `observe`: slm never acts on it";
    let nothing = "credential `slack` declares nothing that tries its value";
    for (of, kind, wanted) in [
        (manual(true), &rotate, Some(by_person)),
        (manual(true), &finish, Some(by_person)),
        (manual(true), &deliver, None),
        (manual(true), &verify, None),
        (manual(true), &ask("platform"), None),
        (manual(true), &ask("nobody"), Some("credential `slack` belongs to `platform`, not to `nobody`")),
        (manual(false), &verify, Some(nothing)),
        (observe(None), &rotate, Some(never)),
        (observe(None), &finish, Some(never)),
        (observe(None), &deliver, Some(never)),
        (observe(None), &verify, Some(nothing)),
        (random(), &verify, Some(nothing)),
        (random(), &ask("platform"), Some("credential `slack` is rotated by slm")),
    ] {
        assert_eq!(refused(of, kind.clone()), wanted.into_iter().collect::<Vec<_>>(), "{kind:?}");
    }
    let mut elsewhere = verify;
    let ActionKind::Verify { secret, .. } = &mut elsewhere else { unreachable!() };
    secret.name = "app/other".to_owned();
    assert_eq!(refused(manual(true), elsewhere), ["credential `slack` lives in `app/slack` now"]);
}

#[test]
fn what_another_kind_left_let_in_is_for_its_owner_to_end_until_that_is_said_to_be_done() {
    for kind in [manual(false), observe(None)] {
        let left = |before: &str, ended: &[&str]| {
            let ended: Vec<VersionId> = ended.iter().map(|id| (*id).into()).collect();
            let say = |world: &mut World| {
                let credential = world.catalog.credentials.get_mut(&CredentialId::from("slack")).unwrap();
                credential.policy.ended_elsewhere = ended;
            };
            look(stored(kind.clone(), Some(ago(1))).with(read(&[("left", text(before))])).with(say))
        };
        let (found, standing) = left("v0", &["v9"]);
        assert_eq!((found, standing.left), (asked(Reason::LeftLetIn { version: "v0".into() }), Some("v0".into())));
        let (found, standing) = left("v0", &["v0"]);
        assert_eq!((found, standing.left), (vec![], None));
    }
}
