//! What a rotation asks of AWS beside the secret and its kind: consumers that it changes there, and the registers it writes.

use super::Input;
use super::needs::{account, partition};
use crate::model::catalog::{AwsSource, ConsumerKind, Credential};
use crate::model::id::SourceId;
use crate::model::preflight::Step;
use crate::model::time::Limit;

/// What is asked of a service itself.
const SERVICE: [&str; 2] = ["ecs:DescribeServices", "ecs:UpdateService"];
/// What is asked of the tasks that it stops: of which of them is known when they are listed.
const STOPPING: [&str; 2] = ["ecs:ListTasks", "ecs:DescribeTasks"];
/// What is asked of the tasks of a service: of which family and with which roles is known when it is read.
const TASKS: [&str; 4] = ["ecs:DescribeTaskDefinition", "ecs:RegisterTaskDefinition", "ecs:TagResource", "iam:PassRole"];
/// What is asked of a function.
const FUNCTION: [&str; 2] = ["lambda:GetFunctionConfiguration", "lambda:UpdateFunctionConfiguration"];
/// What is asked of it besides when an alias is moved.
const ALIAS: [&str; 4] =
    ["lambda:GetAlias", "lambda:GetProvisionedConcurrencyConfig", "lambda:PublishVersion", "lambda:UpdateAlias"];
/// What is asked of the log of calls where a consumer is known by who was seen to read for it; it knows no resources.
const LOG: [&str; 1] = ["cloudtrail:LookupEvents"];
/// Stands for what is not known beforehand.
const ANY: &str = "*";

/// Every step of `credential` on its consumers and on the registers, by the account it is taken in.
pub(super) fn steps(input: &Input<'_>, credential: &Credential) -> Vec<(SourceId, Step)> {
    let mut steps = Vec::new();
    for consumer in &credential.consumers {
        match &consumer.kind {
            ConsumerKind::EcsService(one) => {
                let place = place(input, credential, one.source.as_ref(), one.region.as_ref());
                let Some((source, account, region)) = place else { continue };
                let arn = format!("{}:service/{}/{}", arn(account, "ecs", region), one.cluster, one.service);
                add(&mut steps, source, &SERVICE, &arn);
                add(&mut steps, source, &TASKS, ANY);
                if consumer.max_staleness <= Limit::seconds(0) {
                    add(&mut steps, source, &STOPPING, ANY);
                }
            }
            ConsumerKind::Lambda(one) if one.extension_ttl.is_none() => {
                let place = place(input, credential, one.source.as_ref(), one.region.as_ref());
                let Some((source, account, region)) = place else { continue };
                let arn = format!("{}:function:{}", arn(account, "lambda", region), one.function);
                add(&mut steps, source, &FUNCTION, &arn);
                if one.alias.is_some() {
                    add(&mut steps, source, &ALIAS, &arn);
                }
            }
            _ if consumer.is_seen_to_read() && account(input, &credential.secret.source).is_some() => {
                add(&mut steps, &credential.secret.source, &LOG, ANY);
            }
            _ => {}
        }
    }
    let can = credential.rotator.capabilities();
    if can.validated() || can.staged() || credential.consumers.iter().any(|consumer| consumer.canary) {
        registers(input, &mut steps);
    }
    steps
}

fn registers(input: &Input<'_>, steps: &mut Vec<(SourceId, Step)>) {
    let settings = &input.catalog.settings.registers;
    if let Some((bucket, account)) = settings.s3.as_ref().and_then(|one| Some((one, account(input, &one.source)?))) {
        let arn = format!("arn:{}:s3:::{}", partition(account), bucket.bucket);
        add(steps, &bucket.source, &["s3:ListBucket"], &arn);
        // The name of one that could be.
        add(steps, &bucket.source, &["s3:GetObject", "s3:PutObject"], &format!("{arn}/{}000000000000/done", bucket.prefix));
    }
    if let Some((table, account)) = settings.dynamodb.as_ref().and_then(|one| Some((one, account(input, &one.source)?))) {
        let arn = format!("{}:table/{}", arn(account, "dynamodb", &table.region), table.table);
        add(steps, &table.source, &["dynamodb:Query", "dynamodb:PutItem"], &arn);
    }
}

/// The account and region of a consumer: those of the secret unless it says otherwise.
fn place<'a>(
    input: &'a Input<'_>,
    credential: &'a Credential,
    source: Option<&'a SourceId>,
    region: Option<&'a String>,
) -> Option<(&'a SourceId, &'a AwsSource, &'a str)> {
    let source = source.unwrap_or(&credential.secret.source);
    Some((source, account(input, source)?, region.unwrap_or(&credential.secret.region)))
}

fn arn(account: &AwsSource, service: &str, region: &str) -> String {
    format!("arn:{}:{service}:{region}:{}", partition(account), account.account)
}

fn add(steps: &mut Vec<(SourceId, Step)>, source: &SourceId, actions: &[&'static str], resource: &str) {
    steps.extend(actions.iter().copied().map(|action| (source.clone(), Step { action, resource: resource.to_owned() })));
}
