//! What holds a rotation for want of permission at GitHub, login by login.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::model::catalog::SelfRefreshingConsumer;
use crate::model::preflight::{Check, Code, Obstacle, Sighting};
use crate::model::rights::{GithubLogin, GithubRepo, GithubRights, GithubRole};
use crate::model::rotator::GithubDeployKey;

fn app(permissions: &[(&str, &str)]) -> GithubLogin {
    let permissions = permissions.iter().map(|(name, level)| ((*name).to_owned(), (*level).to_owned())).collect();
    GithubLogin::App { permissions, suspended: false }
}

fn classic(scopes: &[&str]) -> GithubLogin {
    GithubLogin::Classic(scopes.iter().map(|scope| (*scope).to_owned()).collect())
}

fn untold() -> GithubLogin {
    GithubLogin::Untold("of this one it does not".to_owned())
}

/// A private repository in which the holder of a token is `role`.
fn as_role(role: GithubRole) -> GithubRepo {
    GithubRepo { archived: false, public: false, role: Some(role) }
}

/// A look at `acme/app` by `login`.
fn seen(login: GithubLogin, repo: GithubRepo) -> GithubRights {
    GithubRights { login, repos: BTreeMap::from([("acme/app".to_owned(), Ok(Some(repo)))]), owner: None }
}

/// A credential that is due and delivered to `kinds`, whose source of GitHub was `seen` so by who `applies` or not.
fn plan(kinds: Vec<ConsumerKind>, seen: GithubRights, applies: bool) -> Plan {
    let told = |world: &mut World| {
        let credential = world.catalog.credentials.get_mut("db").unwrap();
        credential.consumers =
            kinds.into_iter().enumerate().map(|(at, kind)| Consumer { kind, ..consumer(&format!("c{at}")) }).collect();
        world.facts.github.insert("org".into(), seen);
        world.facts.applies = applies;
    };
    world().aged("db", 90).with(told).plan()
}

/// What is denied; empty when the rotation is planned.
fn denied(plan: &Plan) -> String {
    let found = plan.held.iter().flat_map(|held| match &held.because {
        HeldBecause::Preflight(obstacles) => obstacles.clone(),
        because => panic!("{because:?}"),
    });
    let found: Vec<Obstacle> = found.collect();
    assert_eq!(actions(plan).len(), usize::from(found.is_empty()));
    assert!(found.iter().all(|one| one.code == Code::NotPermitted), "{found:?}");
    found.first().map(|one| one.found.replace("the login of source `org` may not ", "")).unwrap_or_default()
}

fn unseen(plan: &Plan) -> &str {
    assert_eq!(denied(plan), "");
    match &plan.preflight.iter().find(|looked| looked.check == Check::Permissions).unwrap().result {
        Sighting::Unseen(why) => why,
        other => panic!("{other:?}"),
    }
}

fn permitted(plan: &Plan) -> &str {
    assert_eq!(denied(plan), "");
    match &plan.preflight.iter().find(|looked| looked.check == Check::Permissions).unwrap().result {
        Sighting::Seen(what) => what.split(" permitted").next().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn secret(repo: Option<&str>, environment: Option<&str>, store: GithubStore) -> ConsumerKind {
    ConsumerKind::GithubActionsSecret(GithubSecretConsumer {
        source: "org".into(),
        repo: repo.map(str::to_owned),
        environment: environment.map(str::to_owned),
        name: "DB".to_owned(),
        store,
        visibility: None,
        repos: Vec::new(),
        set: [].into(),
        overridden_in: Vec::new(),
        template: None,
    })
}

fn in_repo() -> Vec<ConsumerKind> {
    vec![secret(Some("acme/app"), None, GithubStore::Actions)]
}

#[test]
fn an_app_needs_the_permission_of_each_place_by_name() {
    let all = [("actions", "read"), ("actions_variables", "write")];
    for (store, name, described) in [
        (GithubStore::Actions, "secrets", true),
        (GithubStore::Dependabot, "dependabot_secrets", true),
        (GithubStore::Codespaces, "codespaces_secrets", false),
    ] {
        let of = |permissions: &[(&str, &str)]| {
            let kinds = vec![secret(Some("acme/app"), None, store)];
            plan(kinds, seen(app(permissions), as_role(GithubRole::Read)), false)
        };
        permitted(&of(&[&all[..], &[(name, "write")]].concat()));
        let read = denied(&of(&[&all[..], &[(name, "read")]].concat()));
        assert!(read.ends_with(&format!("secrets of `acme/app` (permission `{name}: write` of the App)")), "{read}");
        // Of what GitHub does not describe nobody knows whether it would be told.
        let none = of(&all);
        if described {
            assert_eq!(denied(&none), read);
        } else {
            assert!(unseen(&none).contains("GitHub may not tell of permission `codespaces_secrets`"));
        }
    }
    let environment = || vec![secret(Some("acme/app"), Some("prod"), GithubStore::Actions)];
    let given = |permissions: &[(&str, &str)]| plan(environment(), seen(app(permissions), as_role(GithubRole::Read)), false);
    assert_eq!(permitted(&given(&[("environments", "write"), ("actions", "read")])), "2 of 2 steps");
    let want = "write secrets and variables of environment `prod` of `acme/app` (permission `environments: write` of the App)";
    assert_eq!(denied(&given(&[("secrets", "write"), ("actions", "write")])), want);
}

#[test]
fn a_classic_token_needs_its_scope_and_its_holder_a_role() {
    let as_holder = |login, role| plan(in_repo(), seen(login, as_role(role)), true);
    assert_eq!(permitted(&as_holder(classic(&["repo"]), GithubRole::Write)), "3 of 3 steps");
    let scope = denied(&as_holder(classic(&["gist", "public_repo"]), GithubRole::Admin));
    assert!(scope.starts_with("write Actions secrets of `acme/app` (scope `repo`)"), "{scope}");
    let role = "write Actions secrets of `acme/app` (role `write` of the token's holder), \
        write variables of `acme/app` (role `write` of the token's holder)";
    assert_eq!(denied(&as_holder(classic(&["repo"]), GithubRole::Read)), role);
    let public = GithubRepo { public: true, ..as_role(GithubRole::Admin) };
    let narrow = plan(in_repo(), seen(classic(&["public_repo"]), public), true);
    assert!(unseen(&narrow).contains("scope `public_repo` may be enough"));
    let nobody = GithubRepo { role: None, ..as_role(GithubRole::Read) };
    assert!(unseen(&plan(in_repo(), seen(classic(&["repo"]), nobody), true)).contains("is not told"));
}

#[test]
fn a_token_that_does_not_tell_is_not_seen_and_one_that_only_plans_holds_nothing() {
    let whoever = plan(in_repo(), seen(untold(), as_role(GithubRole::Read)), true);
    let all = "write Actions secrets of `acme/app`, write variables of `acme/app`, list runs of `acme/app`";
    assert_eq!(unseen(&whoever), format!("{all} (of this one it does not) for the login of source `org`"));
    let planner = plan(in_repo(), seen(classic(&[]), as_role(GithubRole::Admin)), false);
    let why = "(not with the token of who plans: scope `repo`; who applies may have another)";
    assert_eq!(unseen(&planner), format!("{all} {why} for the login of source `org`"));
    let suspended = GithubLogin::App { permissions: [].into(), suspended: true };
    let of_app = denied(&plan(in_repo(), seen(suspended, as_role(GithubRole::Admin)), false));
    assert!(of_app.contains("(the installation is suspended)"), "an App is the same whoever plans: {of_app}");
}

#[test]
fn a_repository_that_is_not_shown_or_archived_holds_and_one_that_was_not_seen_does_not() {
    let of = |repo: Result<Option<GithubRepo>, String>| {
        let repos = BTreeMap::from([("acme/app".to_owned(), repo)]);
        plan(in_repo(), GithubRights { login: untold(), repos, owner: None }, true)
    };
    assert!(denied(&of(Ok(None))).contains("(the repository is not there, or not shown to it)"));
    let archived = GithubRepo { archived: true, ..as_role(GithubRole::Admin) };
    assert!(denied(&of(Ok(Some(archived)))).contains("(the repository is archived)"));
    assert!(unseen(&of(Err("HTTP 502".to_owned()))).contains("HTTP 502"));
}

#[test]
fn a_secret_of_an_organisation_needs_an_owner_as_far_as_roles_are_told() {
    let of = |login: GithubLogin, owner: Option<Result<bool, String>>| {
        let kinds = vec![secret(None, None, GithubStore::Actions)];
        plan(kinds, GithubRights { login, repos: BTreeMap::new(), owner }, true)
    };
    assert_eq!(permitted(&of(classic(&["admin:org"]), Some(Ok(true)))), "2 of 2 steps");
    assert!(unseen(&of(classic(&["admin:org"]), Some(Ok(false)))).contains("another role may permit it"));
    assert!(unseen(&of(classic(&["admin:org"]), Some(Err("HTTP 403".to_owned())))).contains("HTTP 403"));
    let want =
        "write Actions secrets of the organisation (scope `admin:org`), write variables of the organisation (scope `admin:org`)";
    assert_eq!(denied(&of(classic(&["repo", "read:org"]), Some(Ok(true)))), want);
    let both = [("organization_secrets", "write"), ("organization_actions_variables", "write")];
    assert_eq!(permitted(&of(app(&both), None)), "2 of 2 steps");
    let want = "write Actions secrets of the organisation (permission `organization_secrets: write` of the App)";
    assert_eq!(denied(&of(app(&both[1..]), None)), want);
}

#[test]
fn deploy_keys_need_an_administrator_and_a_dispatch_somebody_who_writes() {
    let deploy = |login, role| {
        let told = |world: &mut World| {
            let credential = world.catalog.credentials.get_mut("db").unwrap();
            let (source, repo) = ("org".into(), "acme/app".to_owned());
            credential.rotator = RotatorConfig::GithubDeployKey(GithubDeployKey { source, repo, read_only: true });
            world.facts.github.insert("org".into(), seen(login, as_role(role)));
            world.facts.applies = true;
        };
        world().aged("db", 90).with(told).plan()
    };
    assert_eq!(permitted(&deploy(classic(&["repo"]), GithubRole::Admin)), "1 of 1 steps");
    let want = "manage deploy keys of `acme/app` (role `admin` of the token's holder)";
    assert_eq!(denied(&deploy(classic(&["repo"]), GithubRole::Write)), want);
    let want = "manage deploy keys of `acme/app` (permission `administration: write` of the App)";
    assert_eq!(denied(&deploy(app(&[("administration", "read")]), GithubRole::Admin)), want);
    let workflow = || {
        let declared = r#"{"source":"org","repo":"acme/app","workflow":"deploy.yml","branch":"main"}"#;
        vec![ConsumerKind::GithubWorkflowDispatch(serde_json::from_str(declared).unwrap())]
    };
    assert_eq!(permitted(&plan(workflow(), seen(classic(&["repo"]), as_role(GithubRole::Write)), true)), "1 of 1 steps");
    let want = "dispatch `deploy.yml` of `acme/app` (permission `actions: write` of the App)";
    assert_eq!(denied(&plan(workflow(), seen(app(&[("actions", "read")]), as_role(GithubRole::Write)), true)), want);
}

#[test]
fn every_place_is_asked_for_once_and_what_is_not_at_github_nowhere() {
    let kinds = [in_repo(), in_repo(), vec![secret(None, None, GithubStore::Dependabot)]].concat();
    let places = |kinds: Vec<ConsumerKind>| {
        let set = |world: &mut World| {
            let credential = world.catalog.credentials.get_mut("db").unwrap();
            credential.consumers = kinds.into_iter().map(|kind| Consumer { kind, ..consumer("c") }).collect();
        };
        let asked = world()
            .aged("db", 90)
            .with(set)
            .seen(|input| crate::plan::needs::needs(input, &input.catalog.credentials["db"]).places);
        asked.into_iter().map(|(source, repo)| (source.to_string(), repo)).collect::<BTreeSet<_>>()
    };
    let want = [None, Some("acme/app")].map(|repo| ("org".to_owned(), repo.map(str::to_owned)));
    assert_eq!(places(kinds), want.into());
    assert_eq!(places(vec![ConsumerKind::SelfRefreshing(SelfRefreshingConsumer::default())]), BTreeSet::new());
}
