//! What slm sends to GitHub, against GitHub's own published descriptions: OpenAPI for REST, the schema for GraphQL.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use slm::model::catalog::GithubSource;
use slm::model::id::VersionId;
use slm::model::secret::Secret;
use slm::world::{Consumer, KeyChange, Rotator, Target};

use crate::deploy_key;
use crate::github_org::{collect_as, everything};
use crate::github_server::{Server, TOKEN};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The file of Prism, or `None` when GitHub's descriptions are not installed.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn prism() -> Option<PathBuf> {
    let path = Command::new(root().join("scripts/emulators.sh")).args(["path", "github"]).output().unwrap();
    if !path.status.success() {
        eprintln!("skipped: GitHub's descriptions are not installed");
        return None;
    }
    Some(String::from_utf8(path.stdout).unwrap().trim().into())
}

fn contract(arguments: &[&str]) {
    let ran = Command::new("node").current_dir(root()).arg("scripts/github-contract.cjs").args(arguments).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn every_query_is_valid_under_the_published_schema() {
    if prism().is_none() {
        return;
    }
    let folder = root().join("src/collectors");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let queries: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "graphql")).collect();
    let names: Vec<&str> = queries.iter().map(|path| path.to_str().unwrap()).collect();
    assert!(names.len() >= 7);
    contract(&[&["queries"], names.as_slice()].concat());
}

/// Prism on a port of its own, ended on drop.
struct Prism(Child, u16);

impl Prism {
    fn start(file: &Path, description: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("node");
        command.arg(file).args(["mock", "-h", "127.0.0.1", "-p", &port.to_string()]).arg(description);
        let prism = Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(), port);
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "Prism did not start listening");
            std::thread::sleep(Duration::from_millis(100));
        }
        prism
    }

    /// Status and body.
    fn send(&self, [method, route, accept, body]: &[String; 4]) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.1)).unwrap();
        let kind = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
        let head = format!("{method} {route} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\naccept: {accept}\r\n{kind}");
        write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
    }
}

impl Drop for Prism {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is asked when a value is delivered to each kind of place.
async fn deliveries() -> BTreeSet<[String; 4]> {
    let mut sent = BTreeSet::new();
    for (repo, environment) in [(Some("acme/app"), None), (Some("acme/app"), Some("prod/eu")), (None, None)] {
        let server = Server::start();
        let secret = server.secret(repo, environment);
        for version in ["11111111-1111-5111-8111-111111111111", "22222222-2222-5222-8222-222222222222"] {
            secret.deliver(&VersionId::from(version), &Secret::new(b"value".to_vec())).await.unwrap();
        }
        sent.extend(server.with(|state| std::mem::take(&mut state.sent)));
    }
    for config in [
        "name = \"KEY\"\nvisibility = \"all\"",
        "name = \"KEY\"\nvisibility = \"selected\"\nrepos = [\"acme/app\"]",
        "name = \"KEY\"\nstore = \"dependabot\"\nvisibility = \"selected\"\nrepos = [\"acme/app\"]",
        "name = \"KEY\"\nrepo = \"acme/app\"\nstore = \"dependabot\"",
        "name = \"KEY\"\nstore = \"dependabot\"",
        "name = \"KEY\"\nrepo = \"acme/app\"\nstore = \"codespaces\"",
        "name = \"KEY\"\nstore = \"codespaces\"",
        "name = \"X\"\nrepo = \"acme/app\"\nset = { KEY = \"{{ value }}\" }",
    ] {
        let server = Server::start();
        server.with(|state| state.environments.insert("/repos/acme/app".to_owned(), vec!["prod".to_owned()]));
        server.with(|state| state.repositories.insert(7, "acme/app".to_owned()));
        let secret = server.secret_of(config);
        secret.deliver(&"11111111".into(), &Secret::new(b"1".to_vec())).await.unwrap();
        secret.observe().await.unwrap();
        sent.extend(server.with(|state| std::mem::take(&mut state.sent)));
    }
    sent
}

/// Permissions of an App, each with its level, that the docs ask for to see who writes policy and evidence.
fn asked_for() -> Vec<(String, String)> {
    let docs = std::fs::read_to_string(root().join("docs/config.md")).unwrap();
    let table = docs.split("What the login needs for all of").nth(1).unwrap().split("\n\n").nth(1).unwrap();
    let cells = table.lines().skip(2).map(|row| row.split('|').nth(2).unwrap().trim().trim_matches('`').to_owned());
    let all: Vec<_> =
        cells.map(|cell| cell.split_once(": ").map(|(name, level)| (name.to_owned(), level.to_owned())).unwrap()).collect();
    assert!(all.len() >= 6, "{all:?}");
    all
}

#[tokio::test]
async fn every_request_is_one_that_the_published_description_knows() {
    let Some(file) = prism() else { return };
    let folder = tempfile::tempdir().unwrap();
    let description = folder.path().join("github.json");
    contract(&["slice", description.to_str().unwrap()]);
    let prism = Prism::start(&file, &description);

    let (server, config) = everything();
    collect_as(&server, Some(TOKEN), &GithubSource { repo_secrets: true, ..config }).await;
    let mut sent = server.with(|state| std::mem::take(&mut state.sent));
    sent.extend(deliveries().await);
    let server = Server::start();
    let keys = deploy_key::keys(&server);
    let value = keys.create(&"slot".into(), None).await.unwrap().value;
    keys.install(&value, &"11111111-1111-5111-8111-111111111111".into(), None).await.unwrap();
    keys.change(&keys.identify(&value).unwrap(), None, KeyChange::Delete).await.unwrap();
    sent.extend(server.with(|state| std::mem::take(&mut state.sent)));
    sent.extend(crate::github_dispatch::requests().await);
    sent.extend(crate::github_rights::requests().await);
    sent.extend(crate::github_leaks::requests().await);
    sent.extend(crate::github_config::requests().await);
    sent.extend(crate::ci::requests());
    for list in [
        "/orgs/acme/secret-scanning/alerts?state=open",
        "/orgs/acme/teams/sec/members?per_page=100",
        "/app/installations/100",
        "/repos/acme/slm/check-runs/",
        "/repos/acme/slm/issues/comments/",
        "/repos/acme/slm/issues?",
        "/repos/acme/slm/collaborators/bob/permission",
        "/user/memberships/orgs/acme",
        "/orgs/acme/actions/secrets/KEY/repositories",
        "/orgs/acme/dependabot/secrets/KEY/repositories",
    ] {
        assert!(sent.iter().any(|[_, route, ..]| route.starts_with(list)), "{list} was not asked for");
    }
    // GitHub's own links go where its description does not reach.
    let described: Vec<_> = sent.iter().filter(|[_, route, ..]| !route.starts_with("/organizations/")).collect();
    assert!(described.len() > 30, "{}", described.len());
    let refused: Vec<String> = described
        .iter()
        .map(|request| (request, prism.send(request)))
        .filter(|(_, (status, _))| !(200..=299).contains(status))
        .map(|(request, (status, answer))| format!("{request:?}: {status} {answer}"))
        .collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));

    // An App that was not given something is told so by what GitHub describes alone.
    let described_file = std::fs::read_to_string(&description).unwrap();
    let published: serde_json::Value = serde_json::from_str(&described_file).unwrap();
    let permissions = &published["components"]["schemas"]["app-permissions"]["properties"];
    let strange: Vec<_> = slm::plan::github::DESCRIBED.iter().filter(|name| permissions.get(*name).is_none()).collect();
    assert!(strange.is_empty(), "{strange:?}");

    let strange = asked_for().into_iter().filter(|(name, level)| {
        let levels = permissions[name.as_str()]["enum"].as_array();
        !levels.is_some_and(|levels| levels.iter().any(|one| one == level.as_str()))
    });
    assert_eq!(strange.collect::<Vec<_>>(), []);

    // The judge is awake: a write without the id of its key is refused.
    let put = described.iter().find(|[method, ..]| method == "PUT").unwrap();
    let without = [put[0].clone(), put[1].clone(), put[2].clone(), r#"{"encrypted_value":"aGk="}"#.to_owned()];
    assert_eq!(prism.send(&without).0, 422);
}
