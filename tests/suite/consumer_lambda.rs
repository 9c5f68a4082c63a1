//! A function of Lambda as a consumer: its variable is set, its update awaited, its alias moved, once a version. moto keeps the
//! functions; what it does not play stands in `lambda_front`. No function runs here: that would need containers.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{AliasRoutingConfiguration, Environment, FunctionCode, Runtime};
use serde_json::json;
use slm::consumers::lambda::Function;
use slm::model::catalog::LambdaConsumer;
use slm::model::secret::Secret;
use slm::world::{Consumer, ErrorClass, WorldError};

use crate::aws::{ACCOUNT, CANARY, config};
use crate::aws_proxy::{self, Proxy};
use crate::faults::{OUT_OF_ORDER, thrown_at_changes};
use crate::lambda_front::{Fault, Front};
use crate::leaks::{kept, never_told};
use crate::support::{Server, World, at, shown};

const V1: &str = "11111111-1111-5111-8111-111111111111";
const V2: &str = "22222222-2222-5222-8222-222222222222";
const REGION: &str = "eu-west-1";

/// moto with a role, and its front.
pub struct Rig {
    pub front: Front,
    /// Straight to moto.
    lambda: Client,
    /// Through the front, without retries: every loss is ours to survive.
    through: SdkConfig,
    pub server: Server,
}

impl Rig {
    pub async fn new() -> Self {
        let server = Server::moto();
        let front = Front::before(&server.endpoint);
        let straight = config(&server.endpoint, REGION, None).await;
        let iam = aws_sdk_iam::Client::new(&straight);
        iam.create_role().role_name("fn").assume_role_policy_document("{}").send().await.unwrap();
        let through = config(&front.endpoint, REGION, None).await;
        let through = through.into_builder().retry_config(RetryConfig::disabled()).build();
        Self { front, lambda: Client::new(&straight), through, server }
    }

    /// A function with two variables of its own, published as 1 under the alias `live`.
    pub async fn function(&self, name: &str) {
        let code = FunctionCode::builder().zip_file(Blob::new(b"code".to_vec())).build();
        let own = [("MODE", "fast"), ("TABLE", "orders")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        let environment = Environment::builder().set_variables(Some(HashMap::from(own))).build();
        let role = format!("arn:aws:iam::{ACCOUNT}:role/fn");
        let made = self.lambda.create_function().function_name(name).role(role).code(code).handler("app.main").timeout(9);
        made.runtime(Runtime::Python312).environment(environment).publish(true).send().await.unwrap();
        self.lambda.create_alias().function_name(name).name("live").function_version("1").send().await.unwrap();
    }

    fn consumer(&self, name: &str, rest: &str) -> Function {
        Self::consumer_through(&self.through, name, rest)
    }

    fn consumer_through(through: &SdkConfig, name: &str, rest: &str) -> Function {
        let config: LambdaConsumer = toml::from_str(&format!("function = \"{name}\"\ntimeout = \"1s\"\n{rest}")).unwrap();
        Function::new(through, config).looking_every(Duration::from_millis(10))
    }

    pub async fn variables(&self, name: &str, qualifier: &str) -> Vec<(String, String)> {
        let read = self.lambda.get_function_configuration().function_name(name).qualifier(qualifier).send().await.unwrap();
        let mut all: Vec<_> = read.environment.unwrap().variables.unwrap().into_iter().collect();
        all.sort();
        assert_eq!((read.timeout, read.handler.as_deref()), (Some(9), Some("app.main")));
        all
    }

    pub async fn published(&self, name: &str) -> usize {
        self.lambda.list_versions_by_function().function_name(name).send().await.unwrap().versions().len() - 1
    }
}

fn with(version: &str) -> Vec<(String, String)> {
    [("MODE", "fast"), ("SLM_SECRET_VERSION", version), ("TABLE", "orders")].map(|(a, b)| (a.to_owned(), b.to_owned())).into()
}

fn value() -> Secret {
    Secret::new(CANARY.as_bytes().to_vec())
}

async fn brought(function: &Function, version: &str) -> Result<(), WorldError> {
    function.deliver(&version.into(), &value()).await?;
    function.activate(&version.into()).await
}

#[tokio::test]
async fn a_variable_names_the_version_and_everything_else_of_the_function_stays() {
    let rig = Rig::new().await;
    rig.function("reports").await;
    let reports = rig.consumer("reports", "");
    assert_eq!(reports.observe().await.unwrap(), at(None, None));
    let going = json!({ "LastUpdateStatus": "InProgress" });
    rig.front.with(|state| state.course = vec![going.clone(), going, json!({ "LastUpdateStatus": "Successful" })]);
    for _ in 0..2 {
        reports.deliver(&V1.into(), &value()).await.unwrap();
    }
    assert_eq!(reports.observe().await.unwrap(), at(Some(V1), None));
    for _ in 0..2 {
        reports.activate(&V1.into()).await.unwrap();
        assert_eq!(reports.observe().await.unwrap(), at(Some(V1), Some(V1)));
    }
    assert_eq!(shown(reports.activate(&V2.into()).await).0, ErrorClass::Conflict);
    brought(&reports, V2).await.unwrap();
    assert_eq!(rig.front.count("PUT configuration"), 2);
    assert_eq!(rig.variables("reports", "$LATEST").await, with(V2));
    // What is published is not touched, and the value is sent nowhere.
    assert_eq!(rig.variables("reports", "1").await.len(), 2);
    assert_eq!((rig.front.count("POST versions"), rig.front.count("PUT aliases")), (0, 0));
    assert!(rig.front.with(|state| state.bodies.contains(V2) && !state.bodies.contains(CANARY)));
}

#[tokio::test]
async fn an_alias_is_moved_to_what_is_published_once_a_version() {
    let rig = Rig::new().await;
    rig.function("reports").await;
    let reports = rig.consumer("reports", "alias = \"live\"\nvariable = \"DB_VERSION\"");
    for (version, number) in [(V1, "2"), (V2, "3")] {
        reports.deliver(&version.into(), &value()).await.unwrap();
        let before = reports.observe().await.unwrap();
        assert!(before.stored == Some(version.into()) && before.running != before.stored, "{before:?}");
        for _ in 0..2 {
            reports.activate(&version.into()).await.unwrap();
            assert_eq!(reports.observe().await.unwrap(), at(Some(version), Some(version)));
        }
        let alias = rig.lambda.get_alias().function_name("reports").name("live").send().await.unwrap();
        assert_eq!(alias.function_version(), Some(number));
        let variable = ("DB_VERSION".to_owned(), version.to_owned());
        assert!(rig.variables("reports", number).await.contains(&variable));
    }
    assert_eq!((rig.published("reports").await, rig.front.count("PUT aliases")), (3, 2));

    // An alias of what is not published needs nothing but the variable.
    rig.lambda.create_alias().function_name("reports").name("head").function_version("$LATEST").send().await.unwrap();
    let head = rig.consumer("reports", "alias = \"head\"\nvariable = \"DB_VERSION\"");
    brought(&head, V1).await.unwrap();
    assert_eq!(head.observe().await.unwrap(), at(Some(V1), Some(V1)));
    assert_eq!((rig.published("reports").await, rig.front.count("PUT aliases")), (3, 2));
}

#[tokio::test]
async fn any_request_or_answer_lost_leaves_one_update_of_a_version() {
    let rig = Rig::new().await;
    for (kind, rest) in [("plain", ""), ("aliased", "alias = \"live\"")] {
        rig.function(kind).await;
        let before = rig.front.with(|state| state.seen.len());
        brought(&rig.consumer(kind, rest), V1).await.unwrap();
        let calls = rig.front.with(|state| state.seen.len()) - before;
        assert!(calls >= if rest.is_empty() { 3 } else { 15 }, "{calls}");
        for call in 0..calls {
            let busy = if call % 2 == 0 {
                Fault::Refused(500, "ServiceException")
            } else {
                Fault::Refused(429, "TooManyRequestsException")
            };
            for fault in [Fault::Lost, Fault::Silent, busy] {
                let name = format!("{kind}-{call}-{}", format!("{fault:?}").replace(|c: char| !c.is_alphanumeric(), ""));
                rig.function(&name).await;
                let before = rig.front.with(|state| {
                    state.faults.insert(state.seen.len() + call, fault);
                    state.seen.len()
                });
                let function = rig.consumer(&name, rest);
                assert_eq!(shown(brought(&function, V1).await).0, ErrorClass::Transient, "{fault:?} of call {call}");
                brought(&function, V1).await.unwrap();
                assert_eq!(function.observe().await.unwrap(), at(Some(V1), Some(V1)), "{fault:?} of call {call}");
                let updates = rig.front.with(|state| {
                    let of = state.seen[before..].iter().filter(|seen| *seen == "PUT configuration").count();
                    assert!(state.faults.is_empty());
                    of
                });
                assert!(updates <= 2, "{fault:?} of call {call}");
                assert_eq!(rig.variables(&name, "$LATEST").await, with(V1));
                assert_eq!(rig.published(&name).await, if rest.is_empty() { 1 } else { 2 }, "{fault:?} of call {call}");
            }
        }
    }
}

#[tokio::test]
async fn a_request_that_is_repeated_denied_late_or_answered_as_before_ends_with_the_version() {
    let rig = Rig::new().await;
    let number = std::sync::atomic::AtomicUsize::new(0);
    let made = async || {
        let name = format!("fn-{}", number.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        rig.function(&name).await;
        rig.front.with(|state| state.bodies.clear());
        let proxy = Proxy::before(&rig.front.endpoint);
        let through = config(&proxy.endpoint, REGION, None).await.into_builder();
        let through = through.retry_config(RetryConfig::disabled()).build();
        (proxy, (Rig::consumer_through(&through, &name, "alias = \"live\""), name))
    };
    let check = async |(function, name): &(Function, String), fault, when: &str| {
        assert_eq!(function.observe().await.unwrap(), at(Some(V1), Some(V1)), "{when}");
        let (now, published) = (rig.variables(name, "$LATEST").await, rig.published(name).await);
        assert_eq!(now, with(V1), "{when}");
        assert!(
            published == 2 || (published == 3 && matches!(fault, aws_proxy::Fault::Twice | aws_proxy::Fault::Overtaken)),
            "{when}: {published}"
        );
        assert!(rig.front.with(|state| !state.bodies.contains(CANARY)), "{when}");
    };
    let run = async |(function, _): &(Function, String)| brought(function, V1).await;
    let met = thrown_at_changes(("lambda", &OUT_OF_ORDER, 7), made, run, check).await;
    assert!(met.changes.len() >= 2 && met.again >= 3 && met.ended >= 4, "{met:?}");
}

#[tokio::test]
async fn an_update_that_the_client_library_sends_again_is_no_second_one() {
    let rig = Rig::new().await;
    rig.function("reports").await;
    let through = config(&rig.front.endpoint, REGION, None).await;
    let settings: LambdaConsumer = toml::from_str("function = \"reports\"\nalias = \"live\"").unwrap();
    let reports = Function::new(&through, settings).looking_every(Duration::from_millis(10));
    // Every third answer is lost on its way back; the library sends what it asked again by itself.
    rig.front.with(|state| {
        let at = state.seen.len();
        state.faults.extend((at..at + 40).filter(|call| call % 3 == 0).map(|call| (call, Fault::Silent)));
    });
    let mut last = Ok(());
    for _ in 0..6 {
        last = brought(&reports, V1).await;
        match &last {
            Ok(()) => break,
            Err(error) => assert!(matches!(error.class, ErrorClass::Conflict | ErrorClass::Transient), "{error}"),
        }
    }
    last.unwrap();
    assert_eq!(reports.observe().await.unwrap(), at(Some(V1), Some(V1)));
    assert_eq!((rig.published("reports").await, rig.variables("reports", "$LATEST").await), (2, with(V1)));
}

#[tokio::test]
async fn variables_that_cannot_be_read_are_not_wiped_and_another_change_is_not_undone() {
    let rig = Rig::new().await;
    rig.function("reports").await;
    let reports = rig.consumer("reports", "");
    for (code, class) in [
        ("AccessDeniedException", ErrorClass::Denied),
        ("KMSDisabledException", ErrorClass::Permanent),
        ("KMSThrottling canary", ErrorClass::Permanent),
    ] {
        rig.front.with(|state| state.unreadable = Some(code));
        let said = if code.contains(' ') { "no code" } else { code };
        let refused = (class, format!("its variables cannot be read: {said}"));
        assert_eq!(shown(reports.observe().await), refused);
        assert_eq!(shown(reports.deliver(&V1.into(), &value()).await), refused);
        assert_eq!(shown(reports.activate(&V1.into()).await), refused);
    }
    assert_eq!((rig.front.count("PUT configuration"), rig.variables("reports", "$LATEST").await.len()), (0, 2));
    rig.front.with(|state| state.unreadable = None);

    for fault in [Fault::Late, Fault::Refused(409, "ResourceConflictException")] {
        rig.front.with(|state| state.faults.insert(state.seen.len() + 1, fault));
        assert_eq!(shown(reports.deliver(&V1.into(), &value()).await).0, ErrorClass::Conflict, "{fault:?}");
        assert_eq!(rig.variables("reports", "$LATEST").await.len(), 2, "{fault:?}");
    }
    brought(&reports, V1).await.unwrap();
    assert_eq!(rig.variables("reports", "$LATEST").await, with(V1));
    assert_eq!(shown(rig.consumer("nobody", "").observe().await).0, ErrorClass::NotFound);
}

#[tokio::test]
async fn an_update_that_fails_or_takes_too_long_is_not_taken_for_one_that_went_well() {
    let rig = Rig::new().await;
    rig.function("reports").await;
    let reports = rig.consumer("reports", "");
    rig.front.with(|state| state.course = vec![json!({ "LastUpdateStatus": "InProgress" })]);
    let late = shown(brought(&reports, V1).await);
    assert_eq!(late, (ErrorClass::Transient, "its update goes on still".to_owned()));
    let cases = [
        (
            json!({ "LastUpdateStatus": "Failed", "LastUpdateStatusReasonCode": "InvalidSubnet" }),
            "its update failed: InvalidSubnet",
        ),
        (json!({ "LastUpdateStatus": "Failed", "LastUpdateStatusReason": CANARY }), "its update failed: no reason was given"),
        (json!({ "State": "Failed", "StateReasonCode": "ImageDeleted" }), "it cannot run: ImageDeleted"),
    ];
    for (version, (status, said)) in [V2, V1, V2].into_iter().zip(cases) {
        rig.front.with(|state| state.course = vec![status]);
        for _ in 0..2 {
            assert_eq!(shown(brought(&reports, version).await), (ErrorClass::Permanent, said.to_owned()));
            assert_eq!(reports.observe().await.unwrap(), at(Some(version), None));
        }
    }
    assert_eq!(rig.front.count("PUT configuration"), 4);
    rig.front.with(|state| state.course = vec![json!({ "State": "Inactive" })]);
    brought(&reports, V1).await.unwrap();
    assert_eq!(reports.observe().await.unwrap(), at(Some(V1), Some(V1)));
}

#[tokio::test]
async fn nothing_is_released_by_an_alias_but_the_version() {
    let rig = Rig::new().await;
    rig.function("code").await;
    rig.lambda.update_function_code().function_name("code").zip_file(Blob::new(b"next".to_vec())).send().await.unwrap();
    rig.function("mode").await;
    let other = Environment::builder().variables("MODE", "slow").build();
    rig.lambda.update_function_configuration().function_name("mode").environment(other).send().await.unwrap();
    rig.function("memory").await;
    rig.lambda.update_function_configuration().function_name("memory").memory_size(512).send().await.unwrap();
    for (name, what) in [("code", "code"), ("mode", "variables"), ("memory", "settings")] {
        let refused = shown(brought(&rig.consumer(name, "alias = \"live\""), V1).await);
        let said = format!("`$LATEST` has {what} that its alias does not run; release it first, or take it back");
        assert_eq!(refused, (ErrorClass::Permanent, said));
    }
    rig.function("half").await;
    let half = AliasRoutingConfiguration::builder().additional_version_weights("1", 0.5).build();
    rig.lambda.update_alias().function_name("half").name("live").routing_config(half).send().await.unwrap();
    let divided = rig.consumer("half", "alias = \"live\"");
    assert_eq!(shown(brought(&divided, V1).await).0, ErrorClass::Conflict);
    assert_eq!((rig.front.count("PUT configuration"), rig.front.count("POST versions")), (0, 0));
    assert_eq!(shown(rig.consumer("half", "alias = \"none\"").observe().await).0, ErrorClass::NotFound);
}

#[tokio::test]
async fn an_alias_with_provisioned_concurrency_runs_a_version_once_that_is_there() {
    let rig = Rig::new().await;
    rig.function("reports").await;
    let reports = rig.consumer("reports", "alias = \"live\"");
    rig.front.with(|state| state.provisioned = vec!["READY", "READY", "IN_PROGRESS", "IN_PROGRESS", "READY"]);
    brought(&reports, V1).await.unwrap();
    assert_eq!(rig.front.with(|state| state.provisioned.len()), 1);
    rig.front.with(|state| state.provisioned = vec!["IN_PROGRESS"]);
    assert_eq!(reports.observe().await.unwrap(), at(Some(V1), None));
    assert_eq!(shown(reports.activate(&V1.into()).await).0, ErrorClass::Transient);
    rig.front.with(|state| state.provisioned = vec!["FAILED"]);
    assert_eq!(reports.observe().await.unwrap(), at(Some(V1), None));
    assert_eq!(shown(reports.activate(&V1.into()).await).0, ErrorClass::Permanent);
    assert_eq!((rig.published("reports").await, rig.front.count("PUT aliases")), (2, 1));
}

#[tokio::test]
async fn a_rotation_tells_a_function_the_version_and_says_the_value_nowhere() {
    let rig = Rig::new().await;
    rig.function("reports").await;
    let key = "canary-aws-key-55e0-never-shown";
    let world = World::scaffolded()
        .with("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .with("AWS_SECRET_ACCESS_KEY", key)
        .with("AWS_EC2_METADATA_DISABLED", "true")
        .with("NO_PROXY", "127.0.0.1");
    let settings = world.read("slm.toml");
    let account = format!("account = \"{ACCOUNT}\", regions = [\"{REGION}\"], endpoint = \"{}\"", rig.front.endpoint);
    world.write("slm.toml", &format!("{settings}\n[source.prod]\naws = {{ {account} }}\n"));
    let text = world.read("credentials/session-key.toml");
    let start = text.find("[[consumer]]").unwrap();
    let kind = format!("lambda = {{ source = \"prod\", region = \"{REGION}\", function = \"reports\", alias = \"live\" }}\n");
    world.write("credentials/session-key.toml", &format!("{}[[consumer]]\nid = \"fn\"\n{kind}", &text[..start]));
    world.commit();
    // What moto does not play of the account is missing evidence, and no matter here.
    let ran = world.heard(&["apply", "--auto-approve"]).exits(3).says("delivered, activated, adopted, done");
    let variables = rig.variables("reports", "2").await;
    let version = &variables.iter().find(|(name, _)| name == "SLM_SECRET_VERSION").unwrap().1;
    assert!(version.len() == 36 && variables.len() == 3, "{variables:?}");
    let values = kept(&world, "app/session-key");
    never_told(&world, &[ran], &values.iter().map(String::as_str).chain([key]).collect::<Vec<_>>());
    world.slm(&["apply", "--auto-approve"]).exits(3);
    assert_eq!((rig.front.count("PUT configuration"), rig.front.count("PUT aliases")), (1, 1));
}
