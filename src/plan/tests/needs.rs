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
        let account = AwsSource { account: "1".to_owned(), regions: vec!["eu-west-1".to_owned()], ..AwsSource::default() };
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

/// A key as a secret of the only region names it.
fn at_home(key: &str) -> (String, String) {
    ("eu-west-1".to_owned(), key.to_owned())
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
        keys: [(at_home(KMS), Ok(None))].into(),
        sessions: [("prod".into(), Ok(None))].into(),
        applies: true,
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
    assert_eq!(needs.keys, [("prod".into(), "eu-west-1".to_owned(), KMS.to_owned())]);
}

#[test]
fn a_secret_and_a_user_that_were_not_seen_are_asked_for_by_the_names_they_would_have() {
    let none = |world: &mut World| world.others.iter_mut().for_each(|population| population.resources = Arc::default());
    let needs = needed(keyed().with(none));
    assert!(short(&needs).contains(&("CreateSecret", "arn:aws:secretsmanager:eu-west-1:1:secret:app/key-aBcDeF")));
    assert!(short(&needs).contains(&("DeleteAccessKey", "arn:aws:iam::1:user/deployer")));
    assert_eq!(needs.keys, [], "what is not there yet is encrypted by the key of AWS");
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
fn what_is_asked_of_consumers_and_registers_in_aws_is_asked_for_on_each() {
    let with = |world: &mut World| {
        world.catalog.settings.registers =
            toml::from_str("s3 = { source = \"prod\", region = \"eu-west-1\", bucket = \"acme\" }").unwrap();
        let service = "cluster = \"main\"\nservice = \"web\"";
        let function = "function = \"reports\"\nalias = \"live\"\nregion = \"eu-west-2\"";
        let kinds = [
            ConsumerKind::EcsService(toml::from_str(service).unwrap()),
            ConsumerKind::Lambda(toml::from_str(function).unwrap()),
            ConsumerKind::Lambda(toml::from_str("function = \"reader\"\nextension-ttl = \"300s\"").unwrap()),
        ];
        let all = kinds.into_iter().map(|kind| Consumer { kind, ..consumer("x") });
        world.catalog.credentials.get_mut(&CredentialId::from("key")).unwrap().consumers = all.collect();
    };
    let needs = needed(keyed().with(with));
    let service = "arn:aws:ecs:eu-west-1:1:service/main/web";
    let function = "arn:aws:lambda:eu-west-2:1:function:reports";
    let mut want = vec![("DescribeServices", service), ("UpdateService", service)];
    want.extend(["DescribeTaskDefinition", "RegisterTaskDefinition", "TagResource", "PassRole"].map(|action| (action, "*")));
    want.extend(["ListTasks", "DescribeTasks"].map(|action| (action, "*")));
    want.extend(["GetFunctionConfiguration", "UpdateFunctionConfiguration"].map(|action| (action, function)));
    let alias = ["GetAlias", "GetProvisionedConcurrencyConfig", "PublishVersion", "UpdateAlias"];
    want.extend(alias.map(|action| (action, function)));
    let object = "arn:aws:s3:::acme/slm/registers/000000000000/done";
    want.extend([("ListBucket", "arn:aws:s3:::acme"), ("GetObject", object), ("PutObject", object)]);
    assert_eq!(short(&needs)[13..], want[..], "after what is asked of the secret, its key and the user");
    let bounded = |world: &mut World| {
        let consumers = &mut world.catalog.credentials.get_mut(&CredentialId::from("key")).unwrap().consumers;
        consumers.iter_mut().for_each(|one| one.max_staleness = Limit::seconds(60));
    };
    let asked = needed(keyed().with(with).with(bounded));
    assert!(short(&asked).iter().all(|(action, _)| *action != "ListTasks"), "how long they may take is declared");
    let table = |world: &mut World| {
        world.catalog.settings.registers =
            toml::from_str("dynamodb = { source = \"prod\", region = \"eu-west-1\", table = \"slm\" }").unwrap();
    };
    let needs = needed(keyed().with(table));
    let arn = "arn:aws:dynamodb:eu-west-1:1:table/slm";
    assert_eq!(short(&needs)[13..], [("Query", arn), ("PutItem", arn)]);
    let random = |world: &mut World| {
        let value = crate::model::rotator::RandomValue { length: 40, alphabet: Alphabet::Alnum };
        world.catalog.credentials.get_mut(&CredentialId::from("key")).unwrap().rotator = RotatorConfig::Random(value);
    };
    let needs = needed(keyed().with(table).with(random));
    assert!(short(&needs).iter().all(|(_, of)| *of != arn), "what nobody validates writes no register");
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
    let off = |facts: &mut Facts| _ = facts.keys.insert(at_home(KMS), Ok(Some("it is in state Disabled".to_owned())));
    assert_eq!(codes(&asked(keyed(), off)), [Code::KeyUnusable]);
    let denied = |facts: &mut Facts| _ = facts.keys.insert(at_home(KMS), Err("AccessDeniedException".to_owned()));
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

#[test]
fn the_key_of_a_replica_is_asked_for_in_its_region_and_holds_when_it_cannot_be_used() {
    let replicated =
        |keys: &'static str| keyed().with(move |world| world.rotations.as_mut().unwrap().set("replica_keys", text(keys)));
    let theirs = "arn:aws:kms:eu-central-1:1:key/k2";
    let world = || replicated("eu-central-1 arn:aws:kms:eu-central-1:1:key/k2, us-east-1 alias/aws/secretsmanager");
    let keys = needed(world()).keys;
    let named = keys.iter().map(|(_, region, key)| (region.as_str(), key.as_str())).collect::<Vec<_>>();
    assert_eq!(named, [("eu-west-1", KMS), ("eu-central-1", theirs)], "a key that AWS keeps cannot be switched off");
    let place = || ("eu-central-1".to_owned(), theirs.to_owned());
    let off = asked(world(), |facts| _ = facts.keys.insert(place(), Ok(Some("it is in state PendingDeletion".to_owned()))));
    assert_eq!(codes(&off), [Code::KeyUnusable]);
    let found = words(&off);
    assert!(
        found.contains("the KMS key of the replica in eu-central-1 of `app/key` cannot be used: it is in state PendingDeletion"),
        "{found}"
    );
    let fine = asked(world(), |facts| _ = facts.keys.insert(place(), Ok(None)));
    assert_eq!(saw(&fine, Check::Key).len(), 2);
    let unseen = asked(world(), |_| ());
    assert!(
        saw(&unseen, Check::Key)
            .iter()
            .any(|seen| matches!(seen, Sighting::Unseen(why) if why.contains("replica in eu-central-1: not described")))
    );
    assert_eq!(actions(&unseen), ["rotate key v-key"], "what was not seen holds nothing");
}

/// What obstacles say.
fn words(plan: &Plan) -> String {
    let obstacles = plan.held.iter().filter_map(|held| match &held.because {
        HeldBecause::Preflight(obstacles) => Some(obstacles),
        _ => None,
    });
    obstacles.flatten().map(|obstacle| obstacle.found.as_str()).collect()
}

#[test]
fn a_session_that_ends_before_a_rotation_may_is_warned_of_and_holds_nothing() {
    let ends = |seconds: i64, applies: bool| {
        let end = Timestamp::new(now().as_second() + seconds, 0).unwrap();
        asked(keyed(), |facts| {
            facts.applies = applies;
            facts.sessions.insert("prod".into(), Ok(Some(end)));
        })
    };
    for applies in [true, false] {
        let plan = ends(3_599, applies);
        assert_eq!(actions(&plan), ["rotate key v-key"]);
        let [Sighting::Warned(why)] = saw(&plan, Check::Session)[..] else { panic!("{:?}", plan.preflight) };
        assert!(why.contains("a rotation may take until") && why.contains("`slm resume`"), "{why}");
        assert!(saw(&ends(3_600, applies), Check::Session).is_empty());
    }
    let untold = |applies| {
        let plan = asked(keyed(), |facts| {
            facts.applies = applies;
            facts.sessions.insert("prod".into(), Err("it does not say when it ends".to_owned()));
        });
        saw(&plan, Check::Session).len()
    };
    assert_eq!((untold(true), untold(false)), (1, 0), "whoever applies a saved plan signs in by itself");
    assert!(saw(&asked(keyed(), |_| ()), Check::Session).is_empty(), "what does not end is not told of");
}
