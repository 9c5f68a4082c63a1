//! Actions secrets: delivered sealed, acknowledged after it, and every way not to arrive.

use std::collections::BTreeMap;

use serde_json::json;
use slm::model::id::VersionId;
use slm::model::secret::Secret;
use slm::world::{Consumer, ConsumerView, ErrorClass, WorldError};

use crate::github_server::{CANARY, Server, TOKEN};

const V1: &str = "11111111-1111-5111-8111-111111111111";
const V2: &str = "22222222-2222-5222-8222-222222222222";

fn value(of: &str) -> Secret {
    Secret::new(of.as_bytes().to_vec())
}

fn at(version: &str) -> ConsumerView {
    ConsumerView { stored: Some(version.into()), running: Some(version.into()), draining: Vec::new() }
}

fn class<T>(result: Result<T, WorldError>) -> ErrorClass {
    let error = result.err().expect("an error");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(CANARY) && !shown.contains(TOKEN), "{shown}");
    error.class
}

#[tokio::test]
async fn a_delivered_value_arrives_sealed_and_is_acknowledged_after_it() {
    for (repo, environment, home) in [
        (Some("acme/app"), None, "/repos/acme/app/actions"),
        (Some("acme/app"), Some("prod/eu"), "/repos/acme/app/environments/prod%2Feu"),
        (None, None, "/orgs/acme/actions"),
    ] {
        let server = Server::start();
        let secret = server.secret(repo, environment);
        let [v1, v2] = [V1, V2].map(VersionId::from);
        assert_eq!(secret.observe().await.unwrap(), ConsumerView::default());
        assert_eq!(class(secret.activate(&v1).await), ErrorClass::Conflict);
        secret.deliver(&v1, &value(CANARY)).await.unwrap();
        assert_eq!(secret.observe().await.unwrap(), at(V1));
        secret.activate(&v1).await.unwrap();
        secret.deliver(&v1, &value(CANARY)).await.unwrap();
        secret.deliver(&v2, &value("second")).await.unwrap();
        assert_eq!(secret.observe().await.unwrap(), at(V2));
        assert_eq!(class(secret.activate(&v1).await), ErrorClass::Conflict);
        server.with(|state| {
            assert_eq!(state.secrets, BTreeMap::from([(format!("{home}/secrets/SESSION_KEY"), "second".to_owned())]));
            assert_eq!(state.variables, BTreeMap::from([(format!("{home}/variables/SLM_SESSION_KEY"), V2.to_owned())]));
            let place = |wanted: &str| state.seen.iter().position(|seen| seen.starts_with(wanted)).unwrap();
            assert!(place("PUT") < place("PATCH") && place("PATCH") < place("POST"), "{:?}", state.seen);
        });
    }
}

#[tokio::test]
async fn a_key_replaced_meanwhile_is_read_again_once() {
    let (server, v1) = (Server::start(), VersionId::from(V1));
    let secret = server.secret(Some("acme/app"), None);
    server.with(|state| state.stale = 1);
    secret.deliver(&v1, &value(CANARY)).await.unwrap();
    assert_eq!(server.with(|state| state.secrets.values().next().cloned()).as_deref(), Some(CANARY));

    server.with(|state| state.stale = 2);
    let v2 = VersionId::from(V2);
    let error = secret.deliver(&v2, &value(CANARY)).await.unwrap_err();
    assert_eq!(error.to_string(), "could not write Actions secret `acme/app/SESSION_KEY`: HTTP 422");
    assert_eq!(class(Err::<(), _>(error)), ErrorClass::Permanent);
    assert_eq!(secret.observe().await.unwrap(), at(V1));
}

#[tokio::test]
async fn a_secret_that_did_not_arrive_is_not_acknowledged() {
    let put = "PUT /repos/acme/app/actions/secrets/SESSION_KEY";
    for (status, headers, want, requests) in [
        (403, "", ErrorClass::Denied, 1),
        (403, "x-ratelimit-remaining: 0\r\n", ErrorClass::Transient, 1),
        (429, "", ErrorClass::Transient, 1),
        (503, "", ErrorClass::Transient, 3),
        (404, "", ErrorClass::NotFound, 1),
    ] {
        let server = Server::start();
        let secret = server.secret(Some("acme/app"), None);
        server.script(put, status, headers, CANARY);
        assert_eq!(class(secret.deliver(&V1.into(), &value(CANARY)).await), want, "{status}");
        assert_eq!(secret.observe().await.unwrap(), ConsumerView::default());
        assert_eq!(server.with(|state| state.seen.iter().filter(|seen| *seen == put).count()), requests, "{status}");
    }
}

#[tokio::test]
async fn an_organisation_secret_keeps_those_who_may_see_it() {
    let server = Server::start();
    let secret = server.secret(None, None);
    let home = "/orgs/acme/actions/secrets/SESSION_KEY";
    secret.deliver(&V1.into(), &value(CANARY)).await.unwrap();
    assert_eq!(server.with(|state| state.written[home]["visibility"].clone()), "private");

    server.script(&format!("GET {home}"), 200, "", r#"{"name":"SESSION_KEY","visibility":"selected"}"#);
    let next = server.with(|state| format!("link: <{}{home}/repositories?per_page=100&page=2>; rel=\"next\"\r\n", state.root));
    server.script(&format!("GET {home}/repositories?per_page=100"), 200, &next, r#"{"repositories":[{"id":7}]}"#);
    server.script(&format!("GET {home}/repositories?per_page=100&page=2"), 200, "", r#"{"repositories":[{"id":9}]}"#);
    secret.deliver(&V2.into(), &value(CANARY)).await.unwrap();
    let written = server.with(|state| state.written[home].clone());
    assert_eq!((&written["visibility"], &written["selected_repository_ids"]), (&json!("selected"), &json!([7, 9])));
}

#[tokio::test]
async fn a_variable_that_names_no_version_acknowledges_nothing() {
    let server = Server::start();
    let secret = server.secret(Some("acme/app"), None);
    for text in ["", "not a version", &"a".repeat(65)] {
        let route = "/repos/acme/app/actions/variables/SLM_SESSION_KEY".to_owned();
        server.with(|state| state.variables.insert(route, text.to_owned()));
        assert_eq!(secret.observe().await.unwrap(), ConsumerView::default(), "{text}");
    }
}

#[tokio::test]
async fn a_value_too_long_is_not_sent() {
    let server = Server::start();
    let secret = server.secret(Some("acme/app"), None);
    assert_eq!(class(secret.deliver(&V1.into(), &value(&"x".repeat(48 * 1024 + 1))).await), ErrorClass::Permanent);
    assert!(server.with(|state| state.seen.is_empty()));
    assert!(!format!("{:?}", server.client()).contains(TOKEN));
}
