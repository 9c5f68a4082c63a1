//! A service of ECS as a consumer: a task definition that names the version is registered and rolled out once. moto keeps services and
//! definitions; roll-outs stand in `ecs_front`. No task runs here: that would need containers.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_ecs::Client;
use aws_sdk_ecs::types::{
    Compatibility, ContainerDefinition, EphemeralStorage, NetworkMode, Secret as From, Tag, TaskDefinition, TaskDefinitionField,
    Volume,
};
use slm::consumers::ecs_service::EcsService;
use slm::model::catalog::{EcsConsumer, SecretRef};
use slm::model::secret::Secret;
use slm::world::{Consumer, ErrorClass, WorldError};

use crate::aws::{ACCOUNT, CANARY, config};
use crate::aws_proxy::{self, Proxy};
use crate::ecs_front::{Fault, Front, Look, State};
use crate::faults::{OUT_OF_ORDER, thrown_at_changes};
use crate::support::{Server, at, shown};

const V1: &str = "11111111-1111-5111-8111-111111111111";
const V2: &str = "22222222-2222-5222-8222-222222222222";
const REGION: &str = "eu-west-1";
const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf";

pub struct Rig {
    pub front: Front,
    /// Straight to moto.
    pub ecs: Client,
    /// Through the front, without retries: every loss is ours to survive.
    through: SdkConfig,
    pub server: Server,
}

impl Rig {
    /// A service of two tasks in cluster `prod`.
    pub async fn new() -> Self {
        let server = Server::moto();
        let front = Front::before(&server.endpoint);
        let ecs = Client::new(&config(&server.endpoint, REGION, None).await);
        let through = config(&front.endpoint, REGION, None).await;
        let through = through.into_builder().retry_config(RetryConfig::disabled()).build();
        ecs.create_cluster().cluster_name("prod").send().await.unwrap();
        let rig = Self { front, ecs, through, server };
        rig.again().await;
        rig
    }

    /// The service anew, on a definition without a version.
    async fn again(&self) {
        let _ = self.ecs.delete_service().cluster("prod").service("api").force(true).send().await;
        let secret = From::builder().name("PASSWORD").value_from(format!("{ARN}:password::")).build().unwrap();
        let app = ContainerDefinition::builder().name("app").image("shop/api:7").memory(256).secrets(secret).build();
        let side = ContainerDefinition::builder().name("side").image("shop/side:7").memory(64).build();
        let request = self.ecs.register_task_definition().family("api").container_definitions(app).container_definitions(side);
        let request = request.network_mode(NetworkMode::Awsvpc).requires_compatibilities(Compatibility::Fargate);
        let request = request.cpu("256").memory("512").task_role_arn("arn:aws:iam::123456789012:role/task");
        let request = request.volumes(Volume::builder().name("scratch").build());
        let request = request.ephemeral_storage(EphemeralStorage::builder().size_in_gib(30).build());
        let made = request.tags(Tag::builder().key("team").value("shop").build()).send().await.unwrap();
        let arn = made.task_definition.unwrap().task_definition_arn.unwrap();
        let request = self.ecs.create_service().cluster("prod").service_name("api").task_definition(arn).desired_count(2);
        request.send().await.unwrap();
        self.front.with(|state| *state = State::default());
    }

    fn consumer(&self, rest: &str) -> EcsService {
        Self::consumer_through(&self.through, rest)
    }

    fn consumer_through(through: &SdkConfig, rest: &str) -> EcsService {
        let config: EcsConsumer =
            toml::from_str(&format!("cluster = \"prod\"\nservice = \"api\"\ntimeout = \"1s\"\n{rest}")).unwrap();
        let secret = SecretRef { source: "prod".into(), region: REGION.to_owned(), name: "prod/db".to_owned() };
        let service = EcsService::new(through, &"db".into(), secret, ACCOUNT.to_owned(), config);
        service.looking_every(Duration::from_millis(10))
    }

    pub async fn definition(&self, name: &str) -> (TaskDefinition, Vec<(String, String)>) {
        let request = self.ecs.describe_task_definition().task_definition(name).include(TaskDefinitionField::Tags);
        let answer = request.send().await.unwrap();
        let tags = answer.tags.unwrap_or_default().into_iter().map(|tag| (tag.key.unwrap(), tag.value.unwrap()));
        (answer.task_definition.unwrap(), tags.collect())
    }
}

fn value() -> Secret {
    Secret::new(CANARY.as_bytes().to_vec())
}

async fn brought(service: &EcsService, version: &str) -> Result<(), WorldError> {
    service.deliver(&version.into(), &value()).await?;
    service.activate(&version.into()).await
}

#[tokio::test]
async fn a_definition_that_names_the_version_is_rolled_out_once_and_everything_else_of_it_stays() {
    let rig = Rig::new().await;
    let api = rig.consumer("");
    assert_eq!(api.observe().await.unwrap(), at(None, None));
    rig.front.with(|state| state.course = vec![Look::Going(0), Look::Going(1), Look::Going(2), Look::Done]);
    for _ in 0..2 {
        api.deliver(&V1.into(), &value()).await.unwrap();
    }
    let going = api.observe().await.unwrap();
    assert_eq!((going.stored, going.running), (Some(V1.into()), None));
    assert_eq!(going.draining, ["2 tasks of an earlier roll-out run still"]);
    for _ in 0..2 {
        api.activate(&V1.into()).await.unwrap();
        assert_eq!(api.observe().await.unwrap(), at(Some(V1), Some(V1)));
    }
    brought(&api, V2).await.unwrap();
    assert_eq!((rig.front.count("RegisterTaskDefinition"), rig.front.count("UpdateService")), (2, 2));
    let ((first, tags), (last, now)) = (rig.definition("api:1").await, rig.definition("api:3").await);
    let from = &last.container_definitions()[0].secrets()[0].value_from;
    assert_eq!(from, &format!("{ARN}:password::{V2}"));
    let mut copy = last.clone();
    copy.container_definitions.as_mut().unwrap()[0].secrets.as_mut().unwrap()[0].value_from = format!("{ARN}:password::");
    (copy.task_definition_arn, copy.revision, copy.registered_at) = (first.task_definition_arn.clone(), 1, first.registered_at);
    assert_eq!(copy, first);
    assert_eq!(tags, [("team".to_owned(), "shop".to_owned())]);
    let named = |key: &str| now.iter().filter(|(have, _)| have == key).map(|(_, value)| value.as_str()).collect::<Vec<_>>();
    assert_eq!((named("team"), named("slm:version:db"), named("slm:service")), (vec!["shop"], vec![V2], vec!["prod/api"]));
    assert_eq!(named("slm:begun"), ["true"]);
    assert!(rig.front.with(|state| state.bodies.contains(V2) && !state.bodies.contains(CANARY)));
}

#[tokio::test]
async fn tasks_of_before_that_are_stopping_still_go_on_with_the_old_value() {
    let rig = Rig::new().await;
    let api = rig.consumer("");
    brought(&api, V1).await.unwrap();
    let draining = async |api: &EcsService| api.observe().await.unwrap().draining;
    rig.front.with(|state| state.stopping = vec![(false, "STOPPED"), (true, "DEACTIVATING"), (false, "DELETED")]);
    assert_eq!(draining(&api).await, [""; 0], "what has ended, and what runs the new value, hold nothing");
    rig.front.with(|state| state.stopping.extend([(false, "DEACTIVATING"), (false, "STOPPING")]));
    let seen = api.observe().await.unwrap();
    assert_eq!(
        (seen.running, &seen.draining[..]),
        (Some(V1.into()), &["2 tasks of an earlier roll-out are stopping".to_owned()][..])
    );
    let deny = || {
        rig.front.with(|state| {
            // After the service and its definition.
            let call = state.seen.len() + 2;
            state.faults.insert(call, Fault::Refused(400, "AccessDeniedException"));
        });
    };
    deny();
    let [said] = &draining(&api).await[..] else { panic!("it is not seen") };
    assert!(said.starts_with("whether tasks of an earlier roll-out are stopping is not seen (AccessDeniedException"), "{said}");
    assert!(
        said.ends_with("permit `ecs:ListTasks` and `ecs:DescribeTasks`, or declare `max-staleness`, no less than they may take")
    );
    deny();
    assert_eq!(draining(&rig.consumer("").bounded(true)).await, [""; 0]);
}

#[tokio::test]
async fn any_request_or_answer_lost_leaves_one_definition_of_a_version() {
    let rig = Rig::new().await;
    let run = |rig: &Rig| rig.front.with(|state| state.course = vec![Look::Going(1), Look::Done]);
    run(&rig);
    brought(&rig.consumer(""), V1).await.unwrap();
    let calls = rig.front.with(|state| state.seen.len());
    assert!(calls >= 10, "{calls}");
    for call in 0..calls {
        for fault in
            [Fault::Lost, Fault::Silent, Fault::Refused(500, "ServerException"), Fault::Refused(400, "ThrottlingException")]
        {
            rig.again().await;
            run(&rig);
            rig.front.with(|state| state.faults.insert(call, fault));
            let api = rig.consumer("");
            assert_eq!(shown(brought(&api, V1).await).0, ErrorClass::Transient, "{fault:?} of call {call}");
            let before = rig.definition("api").await.0.revision;
            brought(&api, V1).await.unwrap();
            assert_eq!(api.observe().await.unwrap(), at(Some(V1), Some(V1)), "{fault:?} of call {call}");
            let (last, tags) = rig.definition("api").await;
            assert!(tags.contains(&("slm:begun".to_owned(), "true".to_owned())), "{fault:?} of call {call}");
            let base =
                tags.iter().find(|(key, _)| key == "slm:from").unwrap().1.rsplit(':').next().unwrap().parse::<i32>().unwrap();
            assert_eq!(last.revision, base + 1, "{fault:?} of call {call}");
            assert!(last.revision - before <= 1);
        }
    }
}

#[tokio::test]
async fn a_request_that_is_repeated_denied_late_or_answered_as_before_ends_with_the_version() {
    let rig = Rig::new().await;
    let made = async || {
        rig.again().await;
        rig.front.with(|state| state.course = vec![Look::Going(1), Look::Done]);
        let proxy = Proxy::before(&rig.front.endpoint);
        let through = config(&proxy.endpoint, REGION, None).await.into_builder();
        (proxy, Rig::consumer_through(&through.retry_config(RetryConfig::disabled()).build(), ""))
    };
    let check = async |api: &EcsService, fault, when: &str| {
        assert_eq!(api.observe().await.unwrap(), at(Some(V1), Some(V1)), "{when}");
        let (updates, tells) = (rig.front.count("UpdateService"), rig.front.with(|state| state.bodies.contains(CANARY)));
        let twice = matches!(fault, aws_proxy::Fault::Twice | aws_proxy::Fault::Overtaken);
        assert!(updates == 1 || (updates == 2 && twice), "{when}: {updates} roll-outs");
        assert!(!tells, "{when}");
    };
    let met = thrown_at_changes(("ecs-service", &OUT_OF_ORDER, 5), made, async |api| brought(api, V1).await, check).await;
    assert!(met.changes.len() >= 3 && met.again >= 3 && met.ended >= 4, "{met:?}");
}

#[tokio::test]
async fn a_roll_out_that_is_taken_back_or_fails_is_reported_and_not_begun_again() {
    let rig = Rig::new().await;
    let api = rig.consumer("");
    rig.front.with(|state| state.course = vec![Look::Going(0), Look::Back]);
    let back = (ErrorClass::Permanent, "revision 2 of `api` was rolled out and taken back".to_owned());
    assert_eq!(shown(brought(&api, V1).await), back);
    // Another process sees it by the tags alone.
    for _ in 0..2 {
        let later = rig.consumer("");
        assert_eq!(later.observe().await.unwrap(), at(None, None));
        assert_eq!(shown(later.deliver(&V1.into(), &value()).await), back);
        assert_eq!(shown(later.activate(&V1.into()).await), back);
    }
    assert_eq!((rig.front.count("RegisterTaskDefinition"), rig.front.count("UpdateService")), (1, 1));

    rig.again().await;
    rig.front.with(|state| state.course = vec![Look::Going(0), Look::Failed]);
    for _ in 0..2 {
        assert_eq!(shown(brought(&api, V1).await), (ErrorClass::Permanent, "its roll-out failed".to_owned()));
        assert_eq!(api.observe().await.unwrap().running, None);
    }
    assert_eq!((rig.front.count("RegisterTaskDefinition"), rig.front.count("UpdateService")), (1, 1));

    rig.again().await;
    rig.front.with(|state| state.course = vec![Look::Going(1)]);
    assert_eq!(shown(brought(&api, V1).await).0, ErrorClass::Transient);
    rig.front.with(|state| state.faults.insert(state.seen.len(), Fault::Refused(400, "ServiceNotFoundException")));
    assert_eq!(shown(api.observe().await).0, ErrorClass::NotFound);
}

#[tokio::test]
async fn a_variable_names_the_version_where_a_task_does_not_take_the_secret() {
    let rig = Rig::new().await;
    let refused = shown(rig.consumer("container = \"side\"").deliver(&V1.into(), &value()).await);
    assert_eq!(refused, (ErrorClass::Permanent, "no container of it takes `prod/db` by its ARN".to_owned()));
    let side = rig.consumer("container = \"side\"\nvariable = \"DB_VERSION\"");
    brought(&side, V1).await.unwrap();
    assert_eq!(side.observe().await.unwrap(), at(Some(V1), Some(V1)));
    assert_eq!(shown(side.activate(&V2.into()).await), (ErrorClass::Conflict, "it names another version".to_owned()));
    let (last, _) = rig.definition("api").await;
    let containers = last.container_definitions();
    assert_eq!(containers[1].environment()[0].value(), Some(V1));
    assert!(containers[0].environment().is_empty() && containers[0].secrets()[0].value_from.ends_with(":password::"));
}
