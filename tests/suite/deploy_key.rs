//! Deploy keys of a repository, against a GitHub with state.

use serde_json::json;
use slm::model::id::VersionId;
use slm::model::outcome::Fate;
use slm::model::rotator::{GithubDeployKey, RotatorConfig};
use slm::model::secret::Secret;
use slm::rotators::github_deploy_key::DeployKeys;
use slm::world::{ErrorClass, KeyChange, LastUse, Rotator, SecretStore as _, Target, Trial};

use crate::aws_proxy::Proxy;
use crate::elsewhere;
use crate::faults::{Met, OVER_HTTP, thrown_at_kind};
use crate::github_server::{Server, TOKEN};
use crate::kinds::{Fault, Kind, Rig, sweep};

fn declared(read_only: bool) -> GithubDeployKey {
    GithubDeployKey { source: "org".into(), repo: "acme/infra".to_owned(), read_only }
}

pub fn keys(server: &Server) -> DeployKeys {
    DeployKeys::new(server.client(), &declared(true))
}

async fn fresh(keys: &DeployKeys) -> Secret {
    keys.create(&"slot".into(), None).await.unwrap().value
}

const ONE: &str = "11111111-1111-5111-8111-111111111111";

#[tokio::test]
async fn a_rotation_that_loses_any_effect_ends_with_one_key() {
    let config = RotatorConfig::GithubDeployKey(declared(true));
    let foreign = json!({ "id": 900, "key": "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7", "title": "ci by hand",
        "created_at": "2020-01-01T00:00:00Z", "read_only": false });
    let servers = std::sync::Mutex::new(Vec::new());
    let made = async || {
        let server = Server::start();
        server.with(|state| state.deploy_keys.insert(("acme/infra".to_owned(), 900), foreign.clone()));
        let made = Box::new(keys(&server)) as Box<dyn Kind>;
        servers.lock().unwrap().push(server);
        made
    };
    let (effects, told) = sweep(&config, made).await;
    assert!(effects >= 8, "{effects}");
    for text in ["PRIVATE KEY", TOKEN] {
        assert!(!told.contains(text));
    }
    for server in servers.into_inner().unwrap() {
        server.with(|state| assert_eq!(state.deploy_keys[&("acme/infra".to_owned(), 900)], foreign));
    }
}

/// A repository behind a proxy, and each change of it and every `every`th question to it lost, repeated, refused, late or answered as before.
async fn thrown(every: usize) -> Met {
    let server = Server::start();
    let proxy = Proxy::before(&server.with(|state| state.root.clone()));
    server.with(|state| state.root.clone_from(&proxy.endpoint));
    let config = RotatorConfig::GithubDeployKey(declared(true));
    let (met, told) = thrown_at_kind(&config, &proxy, &keys(&server), &OVER_HTTP, every).await;
    for text in ["PRIVATE KEY", TOKEN] {
        assert!(!told.contains(text) && (text == TOKEN || !proxy.state().sent.contains(text)), "{text}");
    }
    assert!(met.ended > 0, "what is late is in time: {met:?}");
    assert_eq!(Vec::from_iter(&met.changes), ["DELETE", "POST"]);
    met
}

#[tokio::test]
async fn a_call_of_a_repository_that_is_lost_refused_or_late_loses_no_key() {
    let met = thrown(9).await;
    assert!(met.ended + met.again >= 2 * (OVER_HTTP.len() - 1), "{met:?}");
}

#[tokio::test]
#[ignore = "minutes: each call, where the test above takes what changes something and every ninth question; `scripts/figures faults` runs it"]
async fn each_call_of_a_repository_that_is_lost_refused_or_late_loses_no_key() {
    let met = thrown(1).await;
    assert!(met.ended + met.again >= OVER_HTTP.len() * 8, "{met:?}");
    met.tell("github-deploy-key");
}

#[tokio::test]
async fn what_another_repository_lets_in_is_not_taken_for_refused() {
    let server = Server::start();
    let other = GithubDeployKey { repo: "acme/other".to_owned(), ..declared(true) };
    let after = DeployKeys::new(server.client(), &other);
    let said = elsewhere::moved(RotatorConfig::GithubDeployKey(declared(true)), &keys(&server), &after).await;
    assert!(said.contains("let in by repository acme/infra, and repository acme/other is declared now"), "{said}");
    server.with(|state| assert_eq!(state.deploy_keys.keys().filter(|(repo, _)| repo == "acme/infra").count(), 1));
}

#[tokio::test]
async fn a_key_that_no_list_ever_had_is_not_taken_for_refused_and_one_that_a_person_deleted_is() {
    let server = Server::start();
    let rig = Rig::new(RotatorConfig::GithubDeployKey(declared(true)));
    let secret = rig.credential.secret.clone();
    // In use somewhere, and never in this repository.
    let elsewhere = fresh(&keys(&server)).await;
    rig.vault.put(&secret, &"hand".into(), &elsewhere).await.unwrap();
    rig.vault.promote(&secret, None, &"hand".into()).await.unwrap();
    let (outcome, _) = rig.run(&keys(&server), Some(&"hand".into()), Fault::never()).await;
    let Fate::Blocked(said) = &outcome.fate else { panic!("{outcome:?}") };
    assert!(said.contains("repository acme/infra was never seen to let it in"), "{said}");
    assert!(outcome.events.iter().all(|event| !["refused", "done"].contains(&event.step.as_str())), "{outcome:?}");
    // In use here, and deleted by hand before it is replaced.
    let server = Server::start();
    let rig = Rig::new(RotatorConfig::GithubDeployKey(declared(true)));
    rig.settle(&keys(&server), None, "the first").await;
    let first = rig.current().await;
    let name = keys(&server).identify(&rig.value().await).unwrap();
    keys(&server).change(&name, None, KeyChange::Delete).await.unwrap();
    let (outcome, _) = rig.run(&keys(&server), first.as_ref(), Fault::never()).await;
    assert_eq!(outcome.fate, Fate::Done, "{outcome:?}");
}

#[tokio::test]
async fn a_key_is_added_once_and_named_by_its_version() {
    let server = Server::start();
    let keys = keys(&server);
    let (value, version) = (fresh(&keys).await, VersionId::from(ONE));
    assert!(matches!(keys.verify(&value).await.unwrap(), Trial::Refused(_)));
    for _ in 0..2 {
        keys.install(&value, &version, None).await.unwrap();
    }
    assert_eq!(keys.verify(&value).await.unwrap(), Trial::Accepted);
    let listing = keys.list().await.unwrap();
    assert_eq!(listing.now.to_string(), "2026-11-24T06:00:00Z");
    let [key] = &listing.keys[..] else { panic!("{listing:?}") };
    assert_eq!((Some(&key.id), key.version.as_ref(), key.ours), (keys.identify(&value).as_ref(), Some(&version), true));
    assert!(key.id.as_str().starts_with("SHA256:") && key.active && key.last_used == LastUse::Never);
    let other = keys.install(&value, &"22222222".into(), None).await.unwrap_err();
    assert_eq!(other.class, ErrorClass::Conflict);
    for _ in 0..2 {
        keys.change(&key.id, None, KeyChange::Delete).await.unwrap();
    }
    assert!(keys.list().await.unwrap().keys.is_empty());
}

#[tokio::test]
async fn a_key_of_another_repository_or_with_another_right_is_refused() {
    let server = Server::start();
    let writer = DeployKeys::new(server.client(), &declared(false));
    let value = fresh(&writer).await;
    writer.install(&value, &ONE.into(), None).await.unwrap();
    assert!(matches!(keys(&server).verify(&value).await.unwrap(), Trial::Useless(why) if why.contains("write")));
    let elsewhere = DeployKeys::new(server.client(), &GithubDeployKey { repo: "acme/other".to_owned(), ..declared(true) });
    assert_eq!(elsewhere.install(&value, &ONE.into(), None).await.unwrap_err().class, ErrorClass::Permanent);
    let text = Secret::new(b"CANARY no key".to_vec());
    let error = elsewhere.install(&text, &ONE.into(), None).await.unwrap_err();
    assert!(
        elsewhere.identify(&text).is_none() && error.class == ErrorClass::Permanent && !format!("{error:?}").contains("CANARY")
    );
}

#[tokio::test]
async fn a_list_that_is_cut_short_is_an_error() {
    let server = Server::start();
    let keys = keys(&server);
    let mut values = Vec::new();
    for number in 0..5 {
        let value = fresh(&keys).await;
        keys.install(&value, &format!("v{number}").into(), None).await.unwrap();
        values.push(value);
    }
    assert_eq!(keys.list().await.unwrap().keys.len(), 5); // three pages
    server.script("GET /repos/acme/infra/keys?per_page=100&page=3", 502, "", "{}");
    assert_eq!(keys.list().await.unwrap_err().class, ErrorClass::Transient);
    let gone = keys.identify(&values[4]).unwrap();
    assert!(keys.change(&gone, None, KeyChange::Delete).await.is_err());
    assert!(keys.verify(&values[4]).await.is_err());
}

#[tokio::test]
async fn nothing_is_changed_without_permission() {
    let server = Server::start();
    let keys = keys(&server);
    server.script("POST /repos/acme/infra/keys", 403, "", "{}");
    let value = fresh(&keys).await;
    assert_eq!(keys.install(&value, &ONE.into(), None).await.unwrap_err().class, ErrorClass::Denied);
    let error = keys.change(&"SHA256:x".into(), None, KeyChange::Disable).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
}
