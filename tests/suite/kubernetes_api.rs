//! A workload of Kubernetes against an API server of Kubernetes itself, where one was built (`scripts/emulators.sh kubernetes`). There
//! are no controllers and no pods: what the Deployment controller says of a roll-out is written by the test.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use slm::consumers::kubernetes_workload::Workload;
use slm::consumers::several::Several;
use slm::model::secret::Secret;
use slm::transport::http::Http;
use slm::world::{Consumer, ErrorClass, Shared};

use crate::support::{at, shown};
use crate::tls::{authority, certificate};

const V1: &str = "11111111-1111-5111-8111-111111111111";
const V2: &str = "22222222-2222-5222-8222-222222222222";
const V3: &str = "33333333-3333-5333-8333-333333333333";
const ADMIN: &str = "token-of-the-administrator";
const OURS: &str = "token-of-slm";
const SHOP: &str = "/apis/apps/v1/namespaces/shop/deployments/shop-api";
const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// An API server and its etcd, ended on drop.
struct Cluster {
    folder: tempfile::TempDir,
    programs: Vec<Child>,
    url: String,
    http: Http,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for program in &mut self.programs {
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}

/// The folder with both programs.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn built() -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/emulators.sh");
    let path = Command::new(script).args(["path", "kubernetes"]).output().unwrap();
    if !path.status.success() {
        eprintln!("skipped: there is no API server of Kubernetes; `scripts/emulators.sh kubernetes` builds one, which takes long");
        return None;
    }
    let binary = String::from_utf8(path.stdout).unwrap();
    Path::new(binary.trim()).parent().map(Path::to_owned)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Cluster {
    async fn start() -> Option<Self> {
        let built = built()?;
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        authority(folder.path(), "authority");
        certificate(folder.path(), "authority", "server", "IP:127.0.0.1");
        fs::write(file("tokens"), format!("{ADMIN},admin,1,\"system:masters\"\n{OURS},slm,2\n")).unwrap();
        let run = |program: &str, arguments: &[String]| {
            let log = fs::File::create(file(&format!("{program}.log"))).unwrap();
            let mut command = Command::new(built.join(program));
            command.args(arguments).env_clear().stdin(Stdio::null());
            command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
        };
        let (store, peers, port) = (free_port(), free_port(), free_port());
        let at = |port: u16| format!("http://127.0.0.1:{port}");
        let etcd = [
            format!("--data-dir={}", file("etcd")),
            format!("--listen-client-urls={}", at(store)),
            format!("--advertise-client-urls={}", at(store)),
            format!("--listen-peer-urls={}", at(peers)),
        ];
        let api = [
            format!("--etcd-servers={}", at(store)),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            format!("--cert-dir={}", folder.path().display()),
            format!("--tls-cert-file={}", file("server")),
            format!("--tls-private-key-file={}", file("server.key")),
            format!("--token-auth-file={}", file("tokens")),
            "--authorization-mode=RBAC".to_owned(),
            "--service-account-issuer=https://kubernetes".to_owned(),
            format!("--service-account-key-file={}", file("server")),
            format!("--service-account-signing-key-file={}", file("server.key")),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        ];
        let programs = vec![run("etcd", &etcd), run("kube-apiserver", &api)];
        let http = Http::vouched_for(Duration::from_secs(20), folder.path(), Some("authority")).unwrap();
        let cluster = Self { folder, programs, url: format!("https://127.0.0.1:{port}"), http };
        let began = Instant::now();
        while cluster.ask(ADMIN, "GET", "/readyz", "", "").await.0 != 200 {
            let log = fs::read_to_string(cluster.folder.path().join("kube-apiserver.log")).unwrap();
            assert!(began.elapsed() < Duration::from_secs(240), "{log}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Some(cluster)
    }

    /// The status and the object that `token` is answered; 0 when there was no answer.
    async fn ask(&self, token: &str, method: &str, path: &str, kind: &str, body: &str) -> (u16, Json) {
        let mut headers = vec![("authorization".to_owned(), format!("Bearer {token}"))];
        if !kind.is_empty() {
            headers.push(("content-type".to_owned(), kind.to_owned()));
        }
        let answer = self.http.exchange(method, &format!("{}{path}", self.url), headers, body.as_bytes().to_vec()).await;
        answer.map_or((0, Json::Null), |answer| (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default()))
    }

    /// Done by the administrator.
    async fn done(&self, method: &str, path: &str, kind: &str, body: &Json) -> Json {
        let (status, object) = self.ask(ADMIN, method, path, kind, &body.to_string()).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {object}");
        object
    }

    async fn deployment(&self) -> Json {
        self.done("GET", SHOP, "", &Json::Null).await
    }

    /// A namespace with a Deployment, and a role that may do what the documentation says a token needs.
    async fn prepare(&self) {
        let json = "application/json";
        let named = |name: &str| json!({ "name": name });
        self.done("POST", "/api/v1/namespaces", json, &json!({ "metadata": named("shop") })).await;
        let template = json!({
            "metadata": { "labels": { "app": "shop" } },
            "spec": { "containers": [{ "name": "api", "image": "shop:1", "envFrom": [{ "secretRef": named("shop-db") }] }] },
        });
        let spec = json!({ "replicas": 3, "selector": { "matchLabels": { "app": "shop" } }, "template": template });
        let deployments = SHOP.trim_end_matches("/shop-api");
        self.done("POST", deployments, json, &json!({ "metadata": named("shop-api"), "spec": spec })).await;
        let rules = json!([
            { "apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create", "patch"] },
            { "apiGroups": [""], "resources": ["pods"], "verbs": ["list"] },
            { "apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"] },
        ]);
        let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop";
        self.done("POST", &format!("{roles}/roles"), json, &json!({ "metadata": named("slm"), "rules": rules })).await;
        let group = "rbac.authorization.k8s.io";
        let binding = json!({
            "metadata": named("slm"),
            "roleRef": { "apiGroup": group, "kind": "Role", "name": "slm" },
            "subjects": [{ "apiGroup": group, "kind": "User", "name": "slm" }],
        });
        self.done("POST", &format!("{roles}/rolebindings"), json, &binding).await;
    }

    /// Says of each new template, as the controller does, first that it is seen and then that all pods are of it; never ends.
    async fn control(&self) {
        loop {
            let object = self.deployment().await;
            let generation = &object["metadata"]["generation"];
            if object["status"]["observedGeneration"] != *generation {
                for updated in [1, 3] {
                    let counts = json!({ "observedGeneration": generation, "replicas": 3, "updatedReplicas": updated,
                        "readyReplicas": 3, "availableReplicas": 3 });
                    self.done("PATCH", &format!("{SHOP}/status"), MERGE, &json!({ "status": counts })).await;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn workload(&self, secret: &str, token: &str) -> Workload {
        let config = toml::from_str(&format!(
            "server = \"{}\"\nca-file = \"authority\"\ntoken-env = \"KUBE_TOKEN\"\nnamespace = \"shop\"\n\
             workload = \"deployment/shop-api\"\nsecret = \"{secret}\"\ntimeout = \"60s\"\n\
             keys = {{ DATABASE_URL = \"postgres://{{{{ json.user }}}}@db/shop\", VERSION = \"{{{{ version }}}}\" }}\n",
            self.url
        ));
        let token = Some(Secret::new(token.as_bytes().to_vec()));
        let made = Workload::new(self.folder.path(), secret.into(), config.unwrap(), token).unwrap();
        made.looking_every(Duration::from_millis(50))
    }
}

fn value() -> Secret {
    Secret::new(br#"{"user":"shop"}"#.to_vec())
}

fn annotation<'a>(object: &'a Json, secret: &str) -> &'a Json {
    &object["spec"]["template"]["metadata"]["annotations"][&format!("slm.dev/{secret}-version")]
}

/// From its first version to a roll-back by hand, as its stand-in tells it in `consumer_kubernetes`.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_of_kubernetes_takes_a_secret_and_rolls_each_version_out_once() {
    let Some(cluster) = Cluster::start().await else { return };
    cluster.prepare().await;
    let story = async {
        let workload = cluster.workload("shop-db", OURS);
        let generation = async || cluster.deployment().await["metadata"]["generation"].as_i64().unwrap();
        assert_eq!((workload.observe().await.unwrap(), generation().await), (at(None, None), 1));
        assert_eq!(shown(workload.activate(&V1.into()).await).0, ErrorClass::Conflict, "nothing is delivered");
        for (version, before) in [(V1, None), (V2, Some(V1))] {
            for _ in 0..2 {
                workload.deliver(&version.into(), &value()).await.unwrap();
                assert_eq!(workload.observe().await.unwrap(), at(Some(version), before));
            }
            let began = generation().await;
            for _ in 0..2 {
                workload.activate(&version.into()).await.unwrap();
                assert_eq!(workload.observe().await.unwrap(), at(Some(version), Some(version)));
            }
            let object = cluster.deployment().await;
            assert_eq!((annotation(&object, "shop-db"), generation().await), (&json!(version), began + 1), "one roll-out");
        }
        let secret = cluster.done("GET", "/api/v1/namespaces/shop/secrets/shop-db", "", &Json::Null).await;
        let of = |key: &str| STANDARD.decode(secret["data"][key].as_str().unwrap()).unwrap();
        assert_eq!((of("DATABASE_URL"), of("VERSION")), (b"postgres://shop@db/shop".to_vec(), V2.as_bytes().to_vec()));
        let managers: Vec<&Json> =
            secret["metadata"]["managedFields"].as_array().unwrap().iter().map(|one| &one["manager"]).collect();
        assert_eq!(managers, ["slm"]);

        // What the documentation says a token needs is enough, and no more is permitted here.
        assert_eq!(cluster.ask(OURS, "GET", "/api/v1/namespaces/shop/secrets", "", "").await.0, 403);
        assert_eq!(shown(cluster.workload("shop-db", "another-token").observe().await).0, ErrorClass::Denied);

        // A roll-back by hand is rolled out again; a paused workload is not.
        let began = generation().await;
        let back = json!({ "spec": { "template": { "metadata": { "annotations": { "slm.dev/shop-db-version": V1 } } } } });
        cluster.done("PATCH", &format!("{SHOP}?fieldManager=kubectl-rollout"), MERGE, &back).await;
        assert_eq!(workload.observe().await.unwrap().stored, Some(V2.into()));
        workload.activate(&V2.into()).await.unwrap();
        assert_eq!((workload.observe().await.unwrap(), generation().await), (at(Some(V2), Some(V2)), began + 2));
        workload.deliver(&V3.into(), &value()).await.unwrap();
        cluster.done("PATCH", SHOP, MERGE, &json!({ "spec": { "paused": true } })).await;
        assert_eq!(shown(workload.activate(&V3.into()).await), (ErrorClass::Permanent, "it is paused".to_owned()));
        cluster.done("PATCH", SHOP, MERGE, &json!({ "spec": { "paused": false } })).await;
        workload.activate(&V3.into()).await.unwrap();
    };
    tokio::select! {
        () = story => {}
        () = cluster.control() => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_of_kubernetes_tells_whose_a_key_is_and_takes_two_versions_in_one_patch() {
    let Some(cluster) = Cluster::start().await else { return };
    cluster.prepare().await;
    let story = async {
        let (db, mail) = (cluster.workload("shop-db", OURS), cluster.workload("shop-mail", OURS));
        let generation = async || cluster.deployment().await["metadata"]["generation"].as_i64().unwrap();
        for workload in [&db, &mail] {
            workload.deliver(&V1.into(), &value()).await.unwrap();
        }
        let members = ["shop-db", "shop-mail"].map(|name| (name.into(), name.into()));
        let several = Several(
            members.iter().cloned().zip([cluster.workload("shop-db", OURS), cluster.workload("shop-mail", OURS)]).collect(),
        );
        let began = generation().await;
        for _ in 0..2 {
            // What the controller has written since it was read is not written over: it is read again.
            while let Err(error) = several.begin(&members.clone().map(|member| (member, V1.into()))).await {
                assert_eq!(error.class, ErrorClass::Conflict, "{error}");
            }
        }
        for workload in [&db, &mail] {
            workload.activate(&V1.into()).await.unwrap();
            assert_eq!(workload.observe().await.unwrap(), at(Some(V1), Some(V1)));
        }
        let object = cluster.deployment().await;
        assert_eq!((annotation(&object, "shop-db"), annotation(&object, "shop-mail")), (&json!(V1), &json!(V1)));
        assert_eq!(generation().await, began + 1, "one roll-out for both");

        // Somebody else takes a key over: it is not delivered any more, and not taken back by force.
        let secret = "/api/v1/namespaces/shop/secrets/shop-db";
        let theirs = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "shop-db" },
            "data": { "DATABASE_URL": STANDARD.encode("theirs") } });
        cluster.done("PATCH", &format!("{secret}?fieldManager=helm&force=true"), APPLY, &theirs).await;
        assert_eq!(db.observe().await.unwrap().stored, None);
        let (class, cause) = shown(db.deliver(&V2.into(), &value()).await);
        assert_eq!(class, ErrorClass::Permanent);
        assert!(cause.contains("helm") && cause.contains("DATABASE_URL"), "{cause}");
        let kept = cluster.done("GET", secret, "", &Json::Null).await;
        assert_eq!(kept["data"]["DATABASE_URL"], STANDARD.encode("theirs"));
    };
    tokio::select! {
        () = story => {}
        () = cluster.control() => {}
    }
}
