//! What GitHub is asked ahead of a rotation: by the binary, and login by login, against a server that checks the signatures of Apps.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};
use slm::collectors::github_rights::of_github;
use slm::model::rights::{GithubLogin, GithubRepo, GithubRights, GithubRole};
use slm::transport::github::Login;

use crate::github_app::App;
use crate::github_org::everything;
use crate::github_server::{CANARY, Server, TOKEN};
use crate::support::World;

const FILE: &str = "credentials/session-key.toml";
const REPO: &str = "GET /repos/acme/infra";
const MEMBER: &str = "GET /user/memberships/orgs/acme";

fn repo(private: bool, archived: bool, [admin, push]: [bool; 2]) -> String {
    let may = json!({ "admin": admin, "push": push, "pull": true });
    json!({ "full_name": "acme/infra", "private": private, "archived": archived, "permissions": may, "description": CANARY })
        .to_string()
}

/// A repo whose credential is delivered to `consumer` too, with a source that logs in by `login`.
fn world(server: &Server, login: &str, consumer: &str) -> World {
    let world = World::scaffolded();
    let root = server.with(|state| state.root.clone());
    let source = format!("\n[source.org]\ngithub = {{ org = \"acme\", {login}, base-url = \"{root}\" }}\n");
    world.write("slm.toml", &(world.read("slm.toml") + &source));
    world.write(FILE, &format!("{}\n[[consumer]]\nid = \"ci\"\n{consumer}\n", world.read(FILE)));
    world.commit();
    world
}

const SECRET: &str = "github-actions-secret = { source = \"org\", repo = \"acme/infra\", name = \"SESSION_KEY\" }";

/// Requests that change something, of those the server has seen.
fn writes(server: &Server) -> Vec<String> {
    let is_write = |one: &&String| !one.starts_with("GET ") && !one.contains("/graphql") && !one.contains("/access_tokens");
    server.with(|state| state.seen.iter().filter(is_write).cloned().collect())
}

#[test]
fn a_token_without_the_scope_holds_who_applies_with_it_and_is_told_to_who_only_plans() {
    let (server, _) = everything();
    server.script(REPO, 200, "x-oauth-scopes: read:org, gist\r\n", &repo(true, false, [true, true]));
    let world = world(&server, "token-env = \"GITHUB_TOKEN\"", SECRET).with("GITHUB_TOKEN", TOKEN);
    let doubt = "? preflight permissions of session-key  not seen: write Actions secrets of `acme/infra`, write variables of \
        `acme/infra`, list runs of `acme/infra` (not with the token of who plans: scope `repo`; who applies may have another)";
    world.slm(&["plan"]).exits(2).says("rotate    session-key").says(doubt);
    let said = world.slm(&["apply", "--auto-approve", "--format", "json"]).exits(5).json();
    let obstacle = &said["held"][0]["because"]["preflight"][0];
    assert_eq!(obstacle["code"], "not-permitted", "{said}");
    let found = "the login of source `org` may not write Actions secrets of `acme/infra` (scope `repo`), write variables of \
        `acme/infra` (scope `repo`), list runs of `acme/infra` (scope `repo`)";
    assert_eq!(obstacle["found"], found);
    assert_eq!((writes(&server), world.root().join("run/session.env").exists()), (Vec::new(), false), "nothing is begun");
    server.script(REPO, 200, "x-oauth-scopes: repo, workflow\r\n", &repo(true, false, [false, true]));
    world.slm(&["plan"]).exits(2).says("3 of 3 steps permitted to the login of source `org`");
    server.with(|state| state.seen.clear());
    world.slm(&["apply", "--auto-approve"]).exits(0);
    assert_eq!(server.with(|state| state.seen.iter().filter(|one| *one == REPO).count()), 1, "one request a repository");
    assert_eq!(server.with(|state| state.secrets.len()), 1);
}

#[test]
fn what_an_app_was_not_given_holds_whoever_asks_and_nothing_is_begun() {
    let (server, _) = everything();
    let mut app = App::new(3_600);
    app.permissions = json!({ "secrets": "read", "actions": "read", "metadata": "read" });
    let key = String::from_utf8(app.key().expose().to_vec()).unwrap();
    server.with(|state| state.app = Some(app));
    let login = "app = { id = 4242, installation = 100, key-env = \"APP_KEY\" }";
    let world = world(&server, login, SECRET).with("APP_KEY", &key);
    let denied = "the login of source `org` may not write Actions secrets of `acme/infra` (permission `secrets: write` of the App) \
        [not-permitted]: give it what is missing";
    world.slm(&["plan"]).exits(5).says("held      rotate session-key").says(denied);
    world.slm(&["apply", "--auto-approve"]).exits(5).says("1 held");
    assert_eq!(writes(&server), Vec::<String>::new());
    let given = json!({ "secrets": "write", "actions": "read", "actions_variables": "write" });
    server.with(|state| state.app.as_mut().unwrap().permissions = given);
    world.slm(&["plan"]).exits(2).says("3 of 3 steps permitted to the login of source `org`");
    server.with(|state| state.app.as_mut().unwrap().suspended_at = Some("2026-11-01T00:00:00Z"));
    world.slm(&["plan"]).exits(5).says("(the installation is suspended)");
}

#[test]
fn a_repository_that_is_not_shown_or_archived_is_not_begun_at() {
    let (server, _) = everything();
    let world = world(&server, "token-env = \"GITHUB_TOKEN\"", SECRET).with("GITHUB_TOKEN", TOKEN);
    for (status, body, want) in [
        (404, "{}".to_owned(), "(the repository is not there, or not shown to it)"),
        (200, repo(true, true, [true, true]), "(the repository is archived)"),
    ] {
        server.script(REPO, status, "", &body);
        let said = world.slm(&["apply", "--auto-approve", "--format", "json"]).exits(5).json();
        let found = said["held"][0]["because"]["preflight"][0]["found"].as_str().unwrap_or_default().to_owned();
        assert!(found.contains(want), "{said}");
    }
    server.script(REPO, 502, "", CANARY);
    world.slm(&["apply", "--auto-approve"]).exits(0).says("rotate    session-key  done");
    assert_eq!(server.with(|state| state.secrets.len()), 1, "what was not seen holds nothing");
}

/// What the login of a token is told of `acme/infra` and of the organisation.
async fn asked(server: &Server) -> GithubRights {
    of_github(&server.client(), &BTreeSet::from(["acme/infra".to_owned()]), Some("acme")).await
}

#[tokio::test]
async fn scopes_are_those_of_classic_tokens_and_roles_are_told_of_anybody() {
    let server = Server::start();
    let answer = |headers: &str, may: [bool; 2]| server.script(REPO, 200, headers, &repo(false, false, may));
    let role = |seen: &GithubRights| seen.repos["acme/infra"].clone().unwrap().unwrap();
    for (may, want) in [([true, true], GithubRole::Admin), ([false, true], GithubRole::Write), ([false, false], GithubRole::Read)] {
        answer("x-oauth-scopes: repo, admin:org\r\n", may);
        let seen = asked(&server).await;
        assert_eq!(seen.login, GithubLogin::Classic(["admin:org", "repo"].map(str::to_owned).into()));
        assert_eq!(role(&seen), GithubRepo { archived: false, public: true, role: Some(want) });
    }
    for untold in ["", "x-oauth-scopes: \r\n"] {
        answer(untold, [true, true]);
        assert!(matches!(asked(&server).await.login, GithubLogin::Untold(_)), "{untold}");
    }
    for (status, body, want) in [
        (200, r#"{"state":"active","role":"admin"}"#, Some(Ok(true))),
        (200, r#"{"state":"active","role":"member"}"#, Some(Ok(false))),
        (200, r#"{"state":"pending","role":"admin"}"#, Some(Ok(false))),
        (403, CANARY, Some(Err("the membership in `acme` was not seen: HTTP 403".to_owned()))),
    ] {
        server.script(MEMBER, status, "", body);
        assert_eq!(asked(&server).await.owner, want);
    }
    server.script(REPO, 403, "", CANARY);
    let seen = asked(&server).await.repos["acme/infra"].clone();
    assert_eq!(seen, Err("repository `acme/infra` was not seen: HTTP 403".to_owned()));
}

#[tokio::test]
async fn an_app_is_told_what_it_was_given_when_its_signature_is_right_and_an_owner_is_not_asked_for() {
    let server = Server::start();
    let mut app = App::new(3_600);
    app.permissions = json!({ "secrets": "write" });
    let key = app.key();
    server.with(|state| state.app = Some(app));
    let as_app = |key| server.login(Login::App { id: 4242, installation: 100, key: Some(key) });
    let repos = BTreeSet::from(["acme/infra".to_owned()]);
    let seen = of_github(&as_app(key), &repos, Some("acme")).await;
    let permissions = BTreeMap::from([("secrets".to_owned(), "write".to_owned())]);
    assert_eq!((seen.login, seen.owner), (GithubLogin::App { permissions, suspended: false }, None));
    assert!(matches!(seen.repos["acme/infra"], Ok(Some(_))));
    let foreign = of_github(&as_app(App::new(3_600).key()), &BTreeSet::new(), None).await;
    assert_eq!(foreign.login, GithubLogin::Untold("the installation of the App was not seen: HTTP 401".to_owned()));
}

/// Every request that a look ahead makes, as it came.
pub async fn requests() -> BTreeSet<[String; 4]> {
    let server = Server::start();
    asked(&server).await;
    let app = App::new(3_600);
    let key = app.key();
    server.with(|state| state.app = Some(app));
    let github = server.login(Login::App { id: 4242, installation: 100, key: Some(key) });
    of_github(&github, &BTreeSet::new(), None).await;
    server
        .with(|state| std::mem::take(&mut state.sent))
        .into_iter()
        .filter(|[_, route, ..]| !route.ends_with("/access_tokens"))
        .collect()
}

#[test]
fn what_is_sent_ahead_changes_nothing() {
    let sent = tokio::runtime::Runtime::new().unwrap().block_on(requests());
    let asked: Vec<Json> = sent.iter().map(|[method, route, ..]| json!([method, route])).collect();
    let want = ["/app/installations/100", "/repos/acme/infra", "/user/memberships/orgs/acme"];
    assert_eq!(asked, want.map(|route| json!(["GET", route])));
}
