//! What holds a rotation before it is begun, one obstacle at a time: found, and not.

use super::*;
use crate::model::plan::Held;
use crate::model::preflight::{Check, Code, Looked, Obstacle, Sighting};
use crate::model::rotator::{GithubDeployKey, IamAccessKey};

const USER: &str = "arn:aws:iam::1:user/ci/deployer";

/// The codes of what holds, or nothing when the one rotation is planned.
fn codes(plan: &Plan) -> Vec<Code> {
    match &plan.held[..] {
        [] => {
            assert_eq!(actions(plan).len(), 1, "{:?}", actions(plan));
            Vec::new()
        }
        [Held { because: HeldBecause::Preflight(obstacles), .. }] => {
            assert_eq!(actions(plan), Vec::<String>::new());
            obstacles.iter().map(|obstacle| obstacle.code).collect()
        }
        held => panic!("{held:?}"),
    }
}

fn one(plan: &Plan) -> &Obstacle {
    match &plan.held[..] {
        [Held { because: HeldBecause::Preflight(obstacles), .. }] if obstacles.len() == 1 => &obstacles[0],
        held => panic!("{held:?}"),
    }
}

fn look(plan: &Plan, check: Check) -> Option<&Sighting> {
    plan.preflight.iter().find(|looked| looked.check == check).map(|looked| &looked.result)
}

fn unseen(plan: &Plan, check: Check, with: &str) {
    let seen = look(plan, check);
    assert!(matches!(seen, Some(Sighting::Unseen(why)) if why.contains(with)), "{seen:?}");
}

/// An access key of an IAM user, due, whose last rotation is `open` or not; the user has as many keys as `keys`.
fn iam(keys: usize, open: Option<bool>) -> World {
    let rotator = |world: &mut World| {
        let key = IamAccessKey { user: "deployer".to_owned(), source: None, exclusive: false };
        world.catalog.credentials.get_mut("key").unwrap().rotator = RotatorConfig::AwsIamAccessKey(key);
        let facts = [("behind", Some(text(""))), ("open", open.map(Value::Bool))];
        world.rotations = Some(rotation(facts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()));
        let mut users = population("Aws::User");
        users.resources = vec![Resource::new(USER.into(), Vec::new())].into();
        let mut all = population("Aws::AccessKey");
        let named = (0..keys).map(|at| Resource::new(format!("{USER}#access_key_{at}").into(), Vec::new()));
        all.resources =
            named.chain([Resource::new(format!("{USER}-2#access_key_1").into(), Vec::new())]).collect::<Vec<_>>().into();
        world.others = vec![users, all];
    };
    world().aged("key", 90).with(rotator)
}

fn rotation(mut facts: Vec<(&str, Value)>) -> Resource {
    facts.extend([("credential", text("key")), ("generation", text("v-key"))]);
    Resource::new("key".into(), facts.into_iter().map(|(name, value)| (Arc::from(name), value)).collect())
}

#[test]
fn what_somebody_else_writes_or_deletes_is_not_begun_and_says_what_to_do() {
    for (fact, code, next) in [
        (("rotation_enabled", Value::Bool(true)), Code::RotatedByAws, "cancel-rotate-secret --secret-id app/db"),
        (("managed_by", text("rds")), Code::OwnedByAws, "remove `credentials/db.toml`"),
        (("deleting", Value::Bool(true)), Code::BeingDeleted, "restore-secret --secret-id app/db"),
        (("is_replica", Value::Bool(true)), Code::Replica, "name the region of the primary"),
    ] {
        let plan = world().aged("db", 90).fact("db", fact.0, fact.1).plan();
        let Obstacle { code: found, found: what, next: step } = one(&plan);
        assert_eq!(*found, code);
        assert!(what.contains("`app/db`") && step.contains(next), "{what}: {step}");
    }
    for fact in ["rotation_enabled", "deleting", "is_replica"] {
        assert_eq!(codes(&world().aged("db", 90).fact("db", fact, Value::Bool(false)).plan()), [], "{fact}");
    }
    assert_eq!(codes(&world().aged("db", 90).fact("db", "managed_by", text("")).plan()), []);
}

#[test]
fn every_obstacle_is_told_at_once_and_policy_is_told_first() {
    let twice =
        || world().aged("db", 90).fact("db", "deleting", Value::Bool(true)).fact("db", "rotation_enabled", Value::Bool(true));
    assert_eq!(codes(&twice().plan()), [Code::RotatedByAws, Code::BeingDeleted]);
    assert_eq!(held(&twice().guards("").plan())[0].1, HeldBecause::NothingPermits);
}

#[test]
fn what_is_begun_goes_on_whatever_stands_in_its_way() {
    let plan = world().aged("db", 90).fact("db", "slm_pending", Value::Bool(true)).fact("db", "deleting", Value::Bool(true)).plan();
    assert_eq!((codes(&plan), &plan.preflight), (vec![], &vec![]));
}

#[test]
fn what_is_held_ahead_is_no_share_of_the_run() {
    let half = |world: &mut World| world.catalog.settings.limits.rotate_percent = 50;
    let plan = world().aged("a", 90).aged("b", 80).with(half).fact("a", "deleting", Value::Bool(true)).plan();
    assert_eq!(actions(&plan), ["rotate b v-b"]);
}

#[test]
fn a_replica_that_is_behind_is_waited_for_and_one_that_was_not_seen_is_said_to_be() {
    let behind = |regions: &'static str| {
        let late = move |world: &mut World| {
            world.rotations = Some(rotation(vec![("behind", text(regions)), ("open", Value::Bool(false))]));
        };
        iam(1, None).with(late).plan()
    };
    assert!(one(&behind("us-east-1")).found.contains("in us-east-1"));
    assert_eq!((codes(&behind("")), look(&behind(""), Check::Replicas)), (vec![], None));
    let plan = iam(1, None).with(|world| world.rotations = None).plan();
    assert_eq!(codes(&plan), []);
    unseen(&plan, Check::Replicas, "not listed");
}

#[test]
fn a_user_with_two_keys_has_no_room_unless_slm_makes_it() {
    let full = iam(2, Some(false)).plan();
    let Obstacle { code, found, next } = one(&full);
    assert_eq!(*code, Code::NoFreeSlot);
    assert!(found.contains("`deployer` has 2 access keys") && next.contains("exclusive = true"), "{found}: {next}");
    assert_eq!(codes(&iam(1, Some(false)).plan()), [], "one more is let in; the keys of `deployer-2` are another's");
    let forced = |open| iam(2, open).with(|world| world.forced = vec!["key".into()]).plan();
    assert_eq!(codes(&forced(Some(true))), [], "what the last rotation left is ended first");
    assert_eq!(codes(&forced(None)), [], "it may have left something");
    let ours = |world: &mut World| {
        let key = IamAccessKey { user: "deployer".to_owned(), source: None, exclusive: true };
        world.catalog.credentials.get_mut("key").unwrap().rotator = RotatorConfig::AwsIamAccessKey(key);
    };
    assert_eq!(codes(&iam(2, Some(false)).with(ours).plan()), [], "the rotation takes away what is its own");
}

#[test]
fn the_key_that_slm_signs_in_with_is_not_rotated_by_it() {
    let as_caller = |caller: &'static str| {
        let called = move |world: &mut World| {
            world.receipts.push(called_as("local", caller));
        };
        iam(1, Some(false)).with(called).plan()
    };
    let own = as_caller(USER);
    assert_eq!(codes(&own), [Code::OwnKey]);
    assert!(one(&own).found.contains("a key of `deployer` itself") && one(&own).next.contains("assume a role"));
    assert_eq!(codes(&as_caller("arn:aws:iam::1:user/ci/deployer-2")), []);
    assert_eq!(codes(&as_caller("arn:aws:sts::1:assumed-role/deployer/x")), []);
    assert!(!Code::OwnKey.holds_a_leak());
}

#[test]
fn a_user_that_is_not_there_is_told_and_users_that_were_not_seen_hold_nothing() {
    let none = |world: &mut World| world.others[0].resources = Arc::default();
    assert_eq!(codes(&iam(2, Some(false)).with(none).plan()), [Code::NoSuchUser]);
    let cut = |world: &mut World| {
        let detail = "AccessDenied (HTTP 403)".to_owned();
        world.others[0].completeness = Completeness::Incomplete { cause: Unseen::Denied, detail };
    };
    let plan = iam(2, Some(false)).with(cut).plan();
    assert_eq!(codes(&plan), []);
    unseen(&plan, Check::Slot, "AccessDenied");
    let plan = iam(2, Some(false)).with(|world| world.others.clear()).plan();
    assert_eq!(codes(&plan), []);
    unseen(&plan, Check::Slot, "IAM of source `local` was not observed");
}

#[test]
fn where_nobody_looked_for_what_overrides_a_consumer_that_is_said_and_holds_nothing() {
    let why = "nobody lists which repositories read it";
    let fact = |world: &mut World| {
        let facts =
            [("credential", "db"), ("consumer", "app"), ("running", "v-db"), ("stored", "v-db"), ("overridden_unseen", why)];
        let facts = facts.map(|(name, value)| (Arc::from(name), text(value)));
        Arc::make_mut(&mut world.consumers.resources).push(Resource::new("db/app".into(), facts.into()));
    };
    let plan = world().aged("db", 90).acknowledged("db", "worker", "v-db", "v-db").with(fact).plan();
    assert_eq!((actions(&plan), held(&plan)), (vec!["rotate db v-db".to_owned()], vec![]));
    unseen(&plan, Check::Consumers, &format!("whether `app` is overridden: {why}"));
}

#[test]
fn a_consumer_that_another_place_overrides_holds_and_is_not_delivered_to() {
    let overridden = |days| {
        let fact = |world: &mut World| {
            let facts = [("credential", "db"), ("consumer", "app"), ("overridden", "`DB` in environment `prod`")];
            let facts = facts.map(|(name, value)| (Arc::from(name), text(value)));
            Arc::make_mut(&mut world.consumers.resources).push(Resource::new("db/app".into(), facts.into()));
        };
        world().aged("db", days).acknowledged("db", "worker", "v-db", "v-db").with(fact).plan()
    };
    let old = overridden(90);
    let Obstacle { code, found, next } = one(&old);
    assert_eq!(*code, Code::Overridden);
    assert!(
        found.contains("`app` is overridden by `DB` in environment `prod`") && next.contains("overridden-in"),
        "{found}: {next}"
    );
    let young = overridden(1);
    assert_eq!((actions(&young), held(&young)), (vec![], vec![]));
}

#[test]
fn a_consumer_that_was_asked_and_not_seen_holds_and_is_named() {
    let seen = || world().aged("db", 90).acknowledged("db", "worker", "v-db", "v-db");
    let cut = |world: &mut World| {
        let detail = "db/app: no answer".to_owned();
        world.consumers.completeness = Completeness::Incomplete { cause: Unseen::Unreachable, detail };
    };
    let plan = seen().with(cut).plan();
    let Obstacle { code, found, next } = one(&plan);
    assert_eq!((*code, found.as_str()), (Code::ConsumerUnseen, "consumer `app` was not seen"));
    assert!(next.contains("source `consumers`"), "{next}");
    assert!(!Code::ConsumerUnseen.holds_a_leak(), "a value in wrong hands does not wait for it");
    let plan = seen().with(cut).acknowledged("db", "app", "v-db", "v-db").plan();
    assert_eq!((codes(&plan), plan.preflight), (vec![], vec![]), "what another one does not say is nothing to it");
    let plan = seen().plan();
    assert_eq!(codes(&plan), [], "where it was not asked at all that is said");
    let result = Sighting::Unseen("`app`".to_owned());
    assert_eq!(plan.preflight, [Looked { check: Check::Consumers, about: "db".to_owned(), result }]);
}

#[test]
fn a_value_longer_than_its_place_is_not_made() {
    let of = |length: u16, set: &[(&str, &str)]| {
        let set = set.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let secret = GithubSecretConsumer {
            source: "org".into(),
            repo: None,
            environment: None,
            name: "DB".to_owned(),
            store: GithubStore::Actions,
            visibility: None,
            repos: Vec::new(),
            set,
            overridden_in: Vec::new(),
            template: None,
        };
        let long = move |world: &mut World| {
            let credential = world.catalog.credentials.get_mut("db").unwrap();
            credential.rotator = RotatorConfig::Random(RandomValue { length, alphabet: Alphabet::Alnum });
            credential.consumers[0].kind = ConsumerKind::GithubActionsSecret(secret);
        };
        codes(&world().aged("db", 90).with(long).plan())
    };
    assert_eq!(of(49_153, &[]), [Code::TooLong]);
    assert_eq!(of(49_152, &[]), []);
    assert_eq!(of(49_153, &[("A", "{{ value.a }}")]), [], "what a part of it is as long as nobody knows yet");
}

#[test]
fn letters_that_a_consumer_cannot_take_hold_and_those_nobody_can_tell_do_not() {
    let key = || RotatorConfig::AwsIamAccessKey(IamAccessKey { user: "deployer".to_owned(), source: None, exclusive: false });
    let random = |alphabet| RotatorConfig::Random(RandomValue { length: 40, alphabet });
    let ssh = || RotatorConfig::GithubDeployKey(GithubDeployKey { source: "org".into(), repo: "a/b".to_owned(), read_only: true });
    for (rotator, letters, fits) in [
        (random(Alphabet::Hex), Letters::Alnum, true),
        (random(Alphabet::Alnum), Letters::Base64, true),
        (random(Alphabet::Base64url), Letters::Base64url, true),
        (random(Alphabet::Base64url), Letters::Alnum, false),
        (random(Alphabet::Base64url), Letters::Base64, false),
        (key(), Letters::Base64, true),
        (key(), Letters::Base64url, true),
        (ssh(), Letters::Base64, false),
    ] {
        let narrow = |world: &mut World| {
            let credential = world.catalog.credentials.get_mut("db").unwrap();
            credential.rotator = rotator;
            credential.consumers[1].letters = Some(letters);
        };
        let users = |world: &mut World| {
            let mut users = population("Aws::User");
            users.resources = vec![Resource::new(USER.into(), Vec::new())].into();
            world.others = vec![users, population("Aws::AccessKey")];
        };
        let want: &[Code] = if fits { &[] } else { &[Code::WrongLetters] };
        assert_eq!(codes(&world().aged("db", 90).with(users).with(narrow).plan()), want, "{letters:?}");
    }
}

#[test]
fn whether_the_values_of_a_program_fit_is_not_known() {
    let program = |world: &mut World| {
        let exec = r#"{"command":["./x"],"caps":{"issuer":"client","overlap":"single"}}"#;
        let credential = world.catalog.credentials.get_mut("db").unwrap();
        credential.rotator = RotatorConfig::Exec(serde_json::from_str(exec).unwrap());
        credential.consumers[0].letters = Some(Letters::Alnum);
    };
    let plan = world().aged("db", 90).with(program).plan();
    assert_eq!(codes(&plan), []);
    unseen(&plan, Check::Letters, "as `app` asks");
}

#[test]
fn a_secret_that_carries_anothers_tag_is_held_and_ones_own_or_none_is_not() {
    let tagged = |own: Option<&str>, tag: Option<&str>| {
        let mut world = world().aged("db", 90);
        if let Some(tag) = tag {
            world = world.fact("db", "slm_owner", text(tag));
        }
        let own = own.map(str::to_owned);
        world.with(|world| world.catalog.settings.owner = own).plan()
    };
    for (own, tag) in [(Some("acme/a"), Some("acme/a")), (Some("acme/a"), None), (None, None)] {
        assert_eq!(codes(&tagged(own, tag)), [], "{own:?} {tag:?}");
    }
    let theirs = tagged(Some("acme/a"), Some("acme/b"));
    assert_eq!(codes(&theirs), [Code::OwnedByAnother]);
    assert!(one(&theirs).found.contains("`app/db` belongs to `acme/b`") && one(&theirs).found.contains("this is `acme/a`"));
    assert!(one(&theirs).next.contains("tag-resource --secret-id app/db --tags Key=slm:owner,Value=acme/a"));
    let unnamed = tagged(None, Some("acme/b"));
    assert!(one(&unnamed).next.contains("`owner = \"acme/b\"` in `slm.toml`"), "{:?}", one(&unnamed));
    assert!(Code::OwnedByAnother.holds_a_leak(), "nobody but its owner ends it");
}
