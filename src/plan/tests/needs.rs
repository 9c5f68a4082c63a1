//! What is asked ahead of a rotation, and what the answers do to the plan.

use super::*;
use crate::model::preflight::{Check, Code, Facts, Looked, Permission, Sighting, Simulated, Step};
use crate::model::rotator::IamAccessKey;
use crate::plan::needs::{Needs, needs, open};

const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:1:secret:app/key-AbCdEf";
const USER: &str = "arn:aws:iam::1:user/ci/deployer";
const KMS: &str = "arn:aws:kms:eu-west-1:1:key/k1";
const ROLE: &str = "arn:aws:iam::1:role/slm";

/// An access key of an IAM user, kept in AWS and due; its secret is encrypted by a key.
pub(super) fn keyed() -> World {
    world().with(|world| {
        let account = AwsSource {
            account: "1".to_owned(),
            regions: vec!["eu-west-1".to_owned()],
            read_role: None,
            apply_role: None,
            profile: None,
            endpoint: None,
            administrators: None,
        };
        world.catalog.settings.sources.insert("prod".into(), SourceKind::Aws(account));
        let mut declared = credential("key");
        declared.secret = SecretRef { source: "prod".into(), region: "eu-west-1".to_owned(), name: "app/key".to_owned() };
        declared.consumers.clear();
        let key = IamAccessKey { user: "deployer".to_owned(), source: None, exclusive: false };
        declared.rotator = RotatorConfig::AwsIamAccessKey(key);
        world.catalog.credentials.insert("key".into(), declared);
        let facts =
            [("name", text("app/key")), ("version", text("v-key")), ("last_rotated", Value::Time(ago(90))), ("kms_key", text(KMS))];
        let facts = facts.into_iter().map(|(name, value)| (Arc::from(name), value)).collect();
        world.others = vec![
            of("Aws::Secret", vec![Resource::new(SECRET.into(), facts)]),
            of("Aws::User", vec![Resource::new(USER.into(), Vec::new())]),
            of("Aws::AccessKey", vec![Resource::new(format!("{USER}#access_key_1").into(), Vec::new())]),
        ];
        let facts =
            [("behind", text("")), ("open", Value::Bool(false)), ("credential", text("key")), ("generation", text("v-key"))];
        let facts = facts.into_iter().map(|(name, value)| (Arc::from(name), value)).collect();
        world.rotations = Some(Resource::new("key".into(), facts));
    })
}

fn of(entity: &str, resources: Vec<Resource>) -> Population {
    let mut population = population(entity);
    (population.source, population.scope) = ("prod".into(), "1/eu-west-1".to_owned());
    population.resources = resources.into();
    population
}

fn needed(world: World) -> Needs {
    world.seen(|input| needs(input, &input.catalog.credentials[&CredentialId::from("key")]))
}

fn short(needs: &Needs) -> Vec<(&str, &str)> {
    let all = needs.steps.iter().map(|(_, step)| (step.action.split(':').next_back().unwrap(), step.resource.as_str()));
    all.collect()
}

/// The plan after everything needed was found to be `permission`, but for what `change` makes of it.
fn asked(world: World, change: impl FnOnce(&mut Facts)) -> Plan {
    let needs = needed(keyed());
    let steps = needs.steps.iter().map(|(_, step)| (step.clone(), Permission::Allowed)).collect();
    let simulated = Simulated { principal: ROLE.to_owned(), steps };
    let mut facts = Facts {
        asked: ["key".into()].into(),
        permissions: [("prod".into(), Ok(simulated))].into(),
        keys: [(KMS.to_owned(), Ok(None))].into(),
        ..Facts::default()
    };
    change(&mut facts);
    world.with(|world| world.facts = facts).plan()
}

fn set(action: &'static str, resource: &str, permission: Permission) -> impl FnOnce(&mut Facts) {
    let step = Step { action, resource: resource.to_owned() };
    move |facts| {
        let simulated = facts.permissions.get_mut("prod").unwrap().as_mut().unwrap();
        assert!(simulated.steps.insert(step, permission).is_some(), "{action} is one of the steps");
    }
}

fn codes(plan: &Plan) -> Vec<Code> {
    let obstacles = plan.held.iter().flat_map(|held| match &held.because {
        HeldBecause::Preflight(obstacles) => obstacles.iter().map(|obstacle| obstacle.code).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    });
    obstacles.collect()
}

fn saw(plan: &Plan, check: Check) -> Vec<&Sighting> {
    plan.preflight.iter().filter(|looked| looked.check == check).map(|looked| &looked.result).collect()
}

#[test]
fn every_step_to_the_end_is_asked_for_on_what_it_is_done_to() {
    let secret = ["DescribeSecret", "ListSecretVersionIds", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"];
    let mut want: Vec<_> = secret.into_iter().chain(["TagResource"]).map(|action| (action, SECRET)).collect();
    want.extend(["Decrypt", "GenerateDataKey"].map(|action| (action, KMS)));
    let keys = ["ListAccessKeys", "GetAccessKeyLastUsed", "CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey"];
    want.extend(keys.map(|action| (action, USER)));
    let needs = needed(keyed());
    assert_eq!(short(&needs), want);
    assert_eq!(needs.crowded, None, "the list says that there is room");
    assert_eq!(needs.key, Some(("prod".into(), "eu-west-1".to_owned(), KMS.to_owned())));
}

#[test]
fn a_secret_and_a_user_that_were_not_seen_are_asked_for_by_the_names_they_would_have() {
    let none = |world: &mut World| world.others.iter_mut().for_each(|population| population.resources = Arc::default());
    let needs = needed(keyed().with(none));
    assert!(short(&needs).contains(&("CreateSecret", "arn:aws:secretsmanager:eu-west-1:1:secret:app/key-aBcDeF")));
    assert!(short(&needs).contains(&("DeleteAccessKey", "arn:aws:iam::1:user/deployer")));
    assert_eq!(needs.key, None, "what is not there yet is encrypted by the key of AWS");
    assert_eq!(world().declared("db").seen(needs_of_vault), Needs::default());
}

fn needs_of_vault(input: &Input<'_>) -> Needs {
    needs(input, &input.catalog.credentials[&CredentialId::from("db")])
}

#[test]
fn what_is_permitted_to_its_end_is_planned_and_says_so() {
    let plan = asked(keyed(), |_| {});
    assert_eq!((actions(&plan), codes(&plan)), (vec!["rotate key v-key".to_owned()], vec![]));
    assert_eq!(saw(&plan, Check::Permissions), [&Sighting::Seen(format!("13 of 13 steps permitted to `{ROLE}`"))]);
    assert_eq!(saw(&plan, Check::Key), [&Sighting::Seen("it can be used".to_owned())]);
}

#[test]
fn a_step_that_is_denied_holds_though_it_is_the_last_one() {
    let plan = asked(keyed(), set("iam:DeleteAccessKey", USER, Permission::Denied));
    assert_eq!((actions(&plan), codes(&plan)), (vec![], vec![Code::NotPermitted]));
    let HeldBecause::Preflight(obstacles) = &plan.held[0].because else { panic!("{:?}", plan.held) };
    assert_eq!(obstacles[0].found, format!("`{ROLE}` may not iam:DeleteAccessKey"));
}

#[test]
fn what_a_simulation_cannot_tell_holds_nothing_and_is_no_pass() {
    let unsure = Permission::Unsure("it rests on aws:CurrentTime".to_owned());
    let plan = asked(keyed(), set("iam:DeleteAccessKey", USER, unsure));
    assert_eq!(codes(&plan), []);
    let [Sighting::Unseen(why)] = saw(&plan, Check::Permissions)[..] else { panic!("{:?}", plan.preflight) };
    assert!(why.starts_with("iam:DeleteAccessKey (it rests on aws:CurrentTime)"), "{why}");
    let plan = asked(keyed(), |facts| facts.permissions.get_mut("prod").unwrap().as_mut().unwrap().steps.clear());
    let [Sighting::Unseen(why)] = saw(&plan, Check::Permissions)[..] else { panic!("{:?}", plan.preflight) };
    assert!(why.contains("iam:CreateAccessKey (no answer)"), "{why}");
}

#[test]
fn what_could_not_be_simulated_is_said_once_for_its_account() {
    let denied = |facts: &mut Facts| _ = facts.permissions.insert("prod".into(), Err("not simulated, AccessDenied".to_owned()));
    let plan = asked(keyed(), denied);
    assert_eq!(codes(&plan), []);
    let result = Sighting::Unseen("not simulated, AccessDenied".to_owned());
    assert!(plan.preflight.contains(&Looked { check: Check::Permissions, about: "prod".to_owned(), result }));
    let unasked = keyed().plan();
    assert_eq!((codes(&unasked), saw(&unasked, Check::Permissions)), (vec![], vec![]));
}

#[test]
fn a_kms_key_that_cannot_be_used_holds_and_one_that_was_not_seen_is_said_to_be() {
    let off = |facts: &mut Facts| _ = facts.keys.insert(KMS.to_owned(), Ok(Some("it is in state Disabled".to_owned())));
    assert_eq!(codes(&asked(keyed(), off)), [Code::KeyUnusable]);
    let denied = |facts: &mut Facts| _ = facts.keys.insert(KMS.to_owned(), Err("AccessDeniedException".to_owned()));
    let plan = asked(keyed(), denied);
    assert_eq!((codes(&plan), saw(&plan, Check::Key)), (vec![], vec![&Sighting::Unseen("AccessDeniedException".to_owned())]));
}

#[test]
fn a_slot_is_free_when_the_keys_counted_just_now_say_so_whatever_an_older_list_says() {
    let two = |world: &mut World| {
        let second = Resource::new(format!("{USER}#access_key_2").into(), Vec::new());
        Arc::make_mut(&mut world.others[2].resources).push(second);
    };
    let counted = |count| asked(keyed().with(two), |facts| _ = facts.counts.insert("key".into(), count));
    assert_eq!(codes(&counted(Ok(1))), []);
    assert_eq!(codes(&counted(Ok(2))), [Code::NoFreeSlot]);
    assert_eq!(codes(&counted(Err("denied".to_owned()))), [Code::NoFreeSlot]);
}

#[test]
fn what_is_planned_or_held_for_want_of_a_slot_is_asked_for_once_and_nothing_else_is() {
    let left = |world: World| world.seen(|input| open(&plan(input), input));
    let two = |world: &mut World| {
        let second = Resource::new(format!("{USER}#access_key_2").into(), Vec::new());
        Arc::make_mut(&mut world.others[2].resources).push(second);
    };
    assert_eq!(left(keyed()), ["key".into()]);
    assert_eq!(left(keyed().with(two)), ["key".into()]);
    assert_eq!(needed(keyed().with(two)).crowded, Some(("prod".into(), "deployer".to_owned())));
    assert_eq!(left(keyed().with(|world| world.facts.asked.extend(["key".into()]))), []);
    assert_eq!(left(keyed().guards("")), []);
    assert_eq!(left(world().aged("db", 90).fact("db", "slm_pending", Value::Bool(true))), []);
    assert_eq!(left(world().aged("db", 90).fact("db", "deleting", Value::Bool(true))), []);
}
