//! A workload of Kubernetes as a consumer: its Secret is applied, its roll-out awaited, once a version.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use slm::consumers::kubernetes_workload::Workload;
use slm::model::catalog::KubernetesConsumer;
use slm::model::secret::Secret;
use slm::world::{Consumer, ErrorClass, WorldError};

use crate::aws_proxy::Proxy;
use crate::faults::{OUT_OF_ORDER, thrown};
use crate::kubernetes_server::{Fault, Object, Server, TOKEN, status};
use crate::leaks::{kept, never_told};
use crate::support::{World, at, shown};
use crate::tls::{authority, certificate};

const CANARY: &str = r#"{"user":"shop","password":"canary-value-6fd0-never-shown"}"#;
const V1: &str = "11111111-1111-5111-8111-111111111111";
const V2: &str = "22222222-2222-5222-8222-222222222222";
const KEYS: &str =
    r#"keys = { DATABASE_URL = "postgres://{{ json.user }}:{{ json.password }}@db/shop", VERSION = "{{ version }}" }"#;

fn config(server: &Server, rest: &str) -> KubernetesConsumer {
    let fixed = "token-env = \"KUBE_TOKEN\"\nnamespace = \"shop\"\nworkload = \"deployment/shop-api\"\nsecret = \"shop-db\"\n";
    toml::from_str(&format!("server = \"{}\"\n{fixed}timeout = \"1s\"\n{rest}", server.url)).unwrap()
}

fn opened(config: KubernetesConsumer) -> Result<Workload, WorldError> {
    let token = Some(Secret::new(TOKEN.as_bytes().to_vec()));
    Workload::new(Path::new("/"), "db".into(), config, token).map(|one| one.looking_every(Duration::from_millis(10)))
}

fn workload(server: &Server) -> Workload {
    opened(config(server, KEYS)).unwrap()
}

fn value() -> Secret {
    Secret::new(CANARY.as_bytes().to_vec())
}

/// A roll-out of three pods as a Deployment goes through it.
fn goes_well(server: &Server, generation: u64) {
    server.with(|state| {
        let before = status(generation - 1, 3, 3, json!([]));
        state.course = vec![before, status(generation, 4, 1, json!([])), status(generation, 3, 3, json!([]))];
    });
}

#[tokio::test]
async fn a_secret_is_applied_and_the_roll_out_of_its_version_awaited_once() {
    let server = Server::start();
    let workload = workload(&server);
    assert_eq!(workload.observe().await.unwrap(), at(None, None));
    assert_eq!(shown(workload.activate(&V1.into()).await).0, ErrorClass::Conflict);
    goes_well(&server, 2);
    for _ in 0..2 {
        workload.deliver(&V1.into(), &value()).await.unwrap();
        assert_eq!(workload.observe().await.unwrap(), at(Some(V1), None));
    }
    for _ in 0..2 {
        workload.activate(&V1.into()).await.unwrap();
        assert_eq!(workload.observe().await.unwrap(), at(Some(V1), Some(V1)));
    }
    goes_well(&server, 3);
    workload.deliver(&V2.into(), &value()).await.unwrap();
    assert_eq!(workload.observe().await.unwrap(), at(Some(V2), Some(V1)));
    workload.activate(&V2.into()).await.unwrap();
    assert_eq!(workload.observe().await.unwrap(), at(Some(V2), Some(V2)));
    server.with(|state| {
        assert_eq!(state.rollouts, 2);
        assert_eq!(state.seen.iter().filter(|seen| seen.starts_with("PATCH")).count(), 4);
        let secret = &state.secrets["shop-db"];
        let url = STANDARD.decode(&secret.fields["data.DATABASE_URL"]).unwrap();
        assert_eq!(url, b"postgres://shop:canary-value-6fd0-never-shown@db/shop");
        assert_eq!(STANDARD.decode(&secret.fields["data.VERSION"]).unwrap(), V2.as_bytes());
        // The content of the Secret was never asked for.
        let of_secrets = state.seen.iter().zip(&state.accepted).filter(|(seen, _)| seen.contains("/secrets/"));
        assert!(
            of_secrets.clone().count() > 4 && of_secrets.into_iter().all(|(_, accept)| accept.contains("PartialObjectMetadata"))
        );
    });
}

#[tokio::test]
async fn a_request_that_is_repeated_denied_late_or_answered_as_before_ends_with_the_version() {
    let made = async || {
        let server = Server::start();
        goes_well(&server, 2);
        let proxy = Proxy::before(&server.url);
        let workload = opened(KubernetesConsumer { server: proxy.endpoint.clone(), ..config(&server, KEYS) }).unwrap();
        (proxy, (workload, server))
    };
    let check = async |(workload, server): &(Workload, Server), _, when: &str| {
        assert_eq!(workload.observe().await.unwrap(), at(Some(V1), Some(V1)), "{when}");
        assert_eq!(server.with(|state| state.rollouts), 1, "{when}");
    };
    let run = async |(workload, _): &(Workload, Server)| {
        workload.deliver(&V1.into(), &value()).await?;
        workload.activate(&V1.into()).await
    };
    let met = thrown("kubernetes-workload", &OUT_OF_ORDER, made, run, check).await;
    assert!(met.again >= 10 && met.ended >= 10, "{met:?}");
}

#[tokio::test]
async fn any_request_or_answer_lost_leaves_one_roll_out_of_a_version() {
    let run = async |server: &Server| -> Result<(), WorldError> {
        let workload = workload(server);
        workload.deliver(&V1.into(), &value()).await?;
        workload.activate(&V1.into()).await
    };
    let whole = Server::start();
    goes_well(&whole, 2);
    run(&whole).await.unwrap();
    let calls = whole.with(|state| state.seen.len());
    assert!(calls >= 7, "{calls}");
    for call in 0..calls {
        for fault in [Fault::Lost, Fault::Silent, Fault::Status(500, None), Fault::Status(429, Some(3600))] {
            let server = Server::start();
            goes_well(&server, 2);
            server.with(|state| state.faults.insert(call, fault));
            let class = shown(run(&server).await).0;
            assert_eq!(class, ErrorClass::Transient, "{fault:?} of call {call}");
            run(&server).await.unwrap();
            assert_eq!(workload(&server).observe().await.unwrap(), at(Some(V1), Some(V1)));
            assert_eq!(server.with(|state| state.rollouts), 1, "{fault:?} of call {call}");
        }
    }
}

#[tokio::test]
async fn a_server_with_too_much_to_do_is_asked_again_when_it_says() {
    let server = Server::start();
    goes_well(&server, 2);
    server.with(|state| state.faults.extend([(1, Fault::Status(429, Some(0))), (2, Fault::Status(429, Some(0)))]));
    workload(&server).deliver(&V1.into(), &value()).await.unwrap();
    assert_eq!(server.with(|state| state.seen.len()), 4);
    for (status, class) in [(401, ErrorClass::Denied), (403, ErrorClass::Denied), (422, ErrorClass::Permanent)] {
        let server = Server::start();
        server.with(|state| state.faults.insert(1, Fault::Status(status, None)));
        let refused = shown(workload(&server).deliver(&V1.into(), &value()).await);
        assert_eq!(refused, (class, format!("HTTP {status}")));
    }
}

#[tokio::test]
async fn a_key_of_another_field_manager_is_not_taken_and_a_changed_one_is_not_ours_any_more() {
    let server = Server::start();
    let mut secret = Object { uid: "5e".to_owned(), version: 7, ..Object::default() };
    secret.fields.insert("data.DATABASE_URL".to_owned(), "b3RoZXI=".to_owned());
    secret.owners.insert("external-secrets".to_owned(), ["data.DATABASE_URL".to_owned()].into());
    server.with(|state| state.secrets.insert("shop-db".to_owned(), secret));
    let said = "field `.data.DATABASE_URL` belongs to field manager `external-secrets`";
    let refused = shown(workload(&server).deliver(&V1.into(), &value()).await);
    assert_eq!(refused, (ErrorClass::Permanent, said.to_owned()));

    let server = Server::start();
    workload(&server).deliver(&V1.into(), &value()).await.unwrap();
    server.with(|state| {
        let secret = state.secrets.get_mut("shop-db").unwrap();
        let key = || "data.DATABASE_URL".to_owned();
        secret.fields.insert(key(), "aGFuZA==".to_owned());
        secret.owners.get_mut("slm").unwrap().remove(&key());
        secret.owners.insert("kubectl-edit".to_owned(), [key()].into());
    });
    assert_eq!(workload(&server).observe().await.unwrap(), at(None, None));
    assert_eq!(shown(workload(&server).activate(&V1.into()).await).0, ErrorClass::Conflict);
    let refused = shown(workload(&server).deliver(&V1.into(), &value()).await);
    assert!(refused.0 == ErrorClass::Permanent && refused.1.contains("kubectl-edit"), "{refused:?}");
    assert_eq!(server.with(|state| state.rollouts), 0);
}

#[tokio::test]
async fn a_roll_out_that_fails_is_refused_and_not_begun_again() {
    let server = Server::start();
    let late = json!([{
        "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
        "message": "ReplicaSet \"shop-api-6d4b\" has timed out progressing.",
    }]);
    server.with(|state| state.course = vec![status(2, 4, 1, json!([])), status(2, 4, 1, late)]);
    let workload = workload(&server);
    workload.deliver(&V1.into(), &value()).await.unwrap();
    for _ in 0..2 {
        let refused = shown(workload.activate(&V1.into()).await);
        assert_eq!(refused, (ErrorClass::Permanent, "its progress deadline is exceeded".to_owned()));
        assert_eq!(workload.observe().await.unwrap(), at(Some(V1), None));
    }
    assert_eq!(server.with(|state| state.rollouts), 1);

    server.with(|state| state.workloads.get_mut("deployments/shop-api").unwrap().status = vec![status(2, 4, 1, json!([]))]);
    let late = shown(workload.activate(&V1.into()).await);
    assert_eq!(late, (ErrorClass::Transient, "1 of 3 pods are rolled out so far".to_owned()));
    server.with(|state| state.workloads.clear());
    let gone = shown(workload.activate(&V1.into()).await);
    assert_eq!(gone, (ErrorClass::NotFound, "it does not exist".to_owned()));
    assert!(server.with(|state| state.workloads.is_empty()), "it was made by applying to it");
}

#[tokio::test]
async fn a_paused_workload_is_not_touched_and_a_roll_back_by_hand_is_rolled_out_again() {
    let server = Server::start();
    goes_well(&server, 2);
    let workload = workload(&server);
    workload.deliver(&V1.into(), &value()).await.unwrap();
    let paused = |state: &mut crate::kubernetes_server::State, paused: bool| {
        state.workloads.get_mut("deployments/shop-api").unwrap().spec["paused"] = paused.into();
    };
    server.with(|state| paused(state, true));
    assert_eq!(shown(workload.activate(&V1.into()).await), (ErrorClass::Permanent, "it is paused".to_owned()));
    assert_eq!(
        server.with(|state| {
            paused(state, false);
            state.rollouts
        }),
        0
    );
    workload.activate(&V1.into()).await.unwrap();
    // `kubectl rollout undo` takes the annotation over and back.
    server.with(|state| {
        let object = state.workloads.get_mut("deployments/shop-api").unwrap();
        let path = "template.slm.dev/shop-db-version".to_owned();
        object.fields.insert(path.clone(), "older".to_owned());
        object.owners = [("kubectl-rollout".to_owned(), [path].into())].into();
        (object.generation, object.status) = (3, vec![status(3, 3, 3, json!([]))]);
    });
    assert_eq!(workload.observe().await.unwrap(), at(Some(V1), Some("older")));
    goes_well(&server, 4);
    workload.activate(&V1.into()).await.unwrap();
    assert_eq!(workload.observe().await.unwrap(), at(Some(V1), Some(V1)));
    assert_eq!(server.with(|state| state.rollouts), 2);
}

/// A workload rolled out with `V1`, whose status then says `ending` of pods that are ending.
async fn rolled_out(server: &Server, ending: Option<i64>) -> Workload {
    goes_well(server, 2);
    let workload = workload(server);
    workload.deliver(&V1.into(), &value()).await.unwrap();
    workload.activate(&V1.into()).await.unwrap();
    server.with(|state| {
        let mut last = status(2, 3, 3, json!([]));
        let _ = last.as_object_mut().unwrap().remove("terminatingReplicas");
        if let Some(pods) = ending {
            last["terminatingReplicas"] = pods.into();
        }
        state.workloads.get_mut("deployments/shop-api").unwrap().status = vec![last];
    });
    workload
}

#[tokio::test]
async fn pods_that_are_ending_hold_the_value_before_as_their_deployment_tells() {
    let server = Server::start();
    let workload = rolled_out(&server, Some(2)).await;
    let view = workload.observe().await.unwrap();
    assert_eq!((view.running, view.draining), (Some(V1.into()), vec!["2 pods of deployment/shop-api are ending".to_owned()]));
    assert!(server.with(|state| state.seen.iter().all(|seen| !seen.contains("/pods"))), "nothing more is asked");
}

#[tokio::test]
async fn where_no_status_tells_of_pods_that_are_ending_they_are_listed() {
    let server = Server::start();
    let workload = rolled_out(&server, None).await;
    let draining = async || workload.observe().await.unwrap().draining;
    let pod = |ends: Option<&str>| json!({ "name": "shop-api-1", "deletionTimestamp": ends });
    assert_eq!(draining().await, [""; 0]);
    server.with(|state| state.pods = vec![pod(None), pod(None), pod(None)]);
    assert_eq!(draining().await, [""; 0]);
    server.with(|state| state.pods.push(pod(Some("2026-02-01T01:00:00Z"))));
    assert_eq!(draining().await, ["1 pods of deployment/shop-api are ending"]);
}

#[tokio::test]
async fn pods_that_cannot_be_listed_are_not_taken_for_ended_unless_it_is_declared_how_long_they_take() {
    let server = Server::start();
    let opened = rolled_out(&server, None).await;
    let deny = || {
        server.with(|state| {
            let next = state.seen.len() + 2;
            state.faults.insert(next, Fault::Status(403, None));
        })
    };
    deny();
    let view = opened.observe().await.unwrap();
    let next = "let its token `list` pods, or declare `max-staleness`, no less than their grace period";
    let said = format!("whether pods of deployment/shop-api are ending is not seen (HTTP 403): {next}");
    assert_eq!((view.running, view.draining), (Some(V1.into()), vec![said]));
    let bounded = workload(&server).bounded(true);
    deny();
    assert_eq!(bounded.observe().await.unwrap().draining, [""; 0]);
}

#[tokio::test]
async fn a_template_keeps_the_version_of_another_secret_beside_its_own() {
    let server = Server::start();
    let workload = workload(&server);
    // The other Secret's annotation as its own consumer applied it.
    server.with(|state| {
        let object = state.workloads.get_mut("deployments/shop-api").unwrap();
        object.fields.insert("template.slm.dev/api-key-version".to_owned(), V2.to_owned());
        object.owners.insert("slm-api-key".to_owned(), ["template.slm.dev/api-key-version".to_owned()].into());
    });
    goes_well(&server, 2);
    workload.deliver(&V1.into(), &value()).await.unwrap();
    workload.activate(&V1.into()).await.unwrap();
    server.with(|state| {
        let fields = &state.workloads["deployments/shop-api"].fields;
        assert_eq!(fields["template.slm.dev/api-key-version"], V2);
        assert_eq!(fields["template.slm.dev/shop-db-version"], V1);
        assert_eq!(state.rollouts, 1);
    });
}

#[tokio::test]
async fn only_a_server_that_the_declared_authority_vouches_for_gets_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    ["ours", "other"].iter().for_each(|name| authority(folder.path(), name));
    certificate(folder.path(), "ours", "server", "IP:127.0.0.1");
    let server = Server::over_tls(&file("server"), &file("server.key"));
    let trusting = |name: &str| opened(config(&server, &format!("ca-file = \"{}\"\n{KEYS}", file(name))));
    assert_eq!(trusting("ours").unwrap().observe().await.unwrap(), at(None, None));
    let before = server.with(|state| state.seen.len());
    let unknown = "no authority that is trusted vouches for its certificate; `ca-file` names the file of another one";
    assert_eq!(shown(trusting("other").unwrap().observe().await), (ErrorClass::Transient, unknown.to_owned()));
    assert_eq!(shown(workload(&server).observe().await).0, ErrorClass::Transient);
    assert_eq!(server.with(|state| state.seen.len()), before);
    std::fs::write(folder.path().join("empty"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    for (name, says) in
        [("empty", "`ca-file` holds no certificates in PEM"), ("none", "`ca-file` cannot be read: entity not found")]
    {
        assert_eq!(shown(trusting(name)), (ErrorClass::Permanent, says.to_owned()));
    }
    let config = config(&server, KEYS);
    let without = Workload::new(Path::new("/"), "db".into(), config.clone(), Some(Secret::new(Vec::new())));
    assert_eq!(shown(without), (ErrorClass::Denied, "variable `KUBE_TOKEN` is not set".to_owned()));
    let plain = KubernetesConsumer { server: "http://k8s.example.com".to_owned(), ..config };
    assert_eq!(shown(opened(plain)).0, ErrorClass::Permanent);
}

#[test]
fn a_rotation_rolls_its_value_out_and_says_it_nowhere() {
    let server = Server::start();
    goes_well(&server, 2);
    let world = World::scaffolded().with("KUBE_TOKEN", TOKEN);
    let text = world.read("credentials/session-key.toml");
    let kind = format!(
        "kubernetes-workload = {{ server = \"{}\", token-env = \"KUBE_TOKEN\", namespace = \"shop\", workload = \"deployment/shop-api\", secret = \"shop-db\" }}\n",
        server.url
    );
    let start = text.find("[[consumer]]").unwrap();
    world.write("credentials/session-key.toml", &format!("{}[[consumer]]\nid = \"api\"\n{kind}", &text[..start]));
    world.commit();
    let ran = world.heard(&["apply", "--auto-approve"]).exits(0);
    let value = server.with(|state| {
        assert_eq!(state.rollouts, 1);
        String::from_utf8(STANDARD.decode(&state.secrets["shop-db"].fields["data.value"]).unwrap()).unwrap()
    });
    assert_eq!(value.len(), 40);
    world.slm(&["apply", "--auto-approve"]).exits(0);
    assert_eq!(server.with(|state| state.rollouts), 1);
    // Denied, it says so and no more.
    server.with(|state| state.faults.extend((0..80).map(|call| (state.seen.len() + call, Fault::Status(403, None)))));
    let denied = world.heard(&["apply", "--auto-approve", "--force", "session-key"]);
    assert_ne!(denied.code, 0, "{}", denied.out);
    let values = kept(&world, "app/session-key");
    assert!(values.contains(&value));
    never_told(&world, &[ran, denied], &values.iter().map(String::as_str).chain([TOKEN]).collect::<Vec<_>>());
}
