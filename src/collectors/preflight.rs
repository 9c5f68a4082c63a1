//! Asks AWS ahead of a rotation, without changing anything: whether every step is permitted, whether a KMS key can be used, how many
//! access keys a user has just now.

use std::collections::{BTreeMap, BTreeSet};

use aws_config::{Region, SdkConfig};
use aws_sdk_iam::types::{EvaluationResult, PolicyEvaluationDecisionType as Verdict};
use aws_sdk_kms::types::KeyState;

use crate::model::preflight::{Permission, Step};
use crate::transport::aws::{Failure, Tokens, Wire};
use crate::world::ErrorClass;

/// Resources of one request: the answer names each with each action.
const RESOURCES: usize = 40;

/// One account, and how to ask there.
pub struct Ahead<'a> {
    config: &'a SdkConfig,
    wire: Wire,
}

/// Answers by action and resource.
type Answers = BTreeMap<(String, String), Answer>;

/// What IAM said of one step.
struct Answer {
    verdict: Verdict,
    /// Conditions rest on these, which nobody knows beforehand.
    missing: Vec<String>,
    /// False when the organization does not allow it, whatever the account says.
    organization: bool,
}

impl<'a> Ahead<'a> {
    /// Asks with `config`.
    #[must_use]
    pub fn new(config: &'a SdkConfig) -> Self {
        Self { config, wire: Wire::default() }
    }

    /// Requests sent since it was asked last.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.wire.take().requests
    }

    /// Whether the policies of `principal` permit `steps`.
    ///
    /// # Errors
    /// Why that could not be asked, in one line.
    pub async fn simulate(&self, principal: &str, steps: &BTreeSet<Step>) -> Result<BTreeMap<Step, Permission>, String> {
        let iam = aws_sdk_iam::config::Builder::from(self.config).interceptor(self.wire.clone()).build();
        let iam = aws_sdk_iam::Client::from_conf(iam);
        let mut answers = Answers::new();
        for (actions, resources) in grouped(steps) {
            for some in resources.chunks(RESOURCES) {
                self.page_through(&iam, principal, &actions, some, &mut answers).await?;
            }
        }
        let mut permissions = BTreeMap::new();
        for step in steps {
            if let Some(answer) = answers.get(&(step.action.to_owned(), step.resource.clone())) {
                permissions.insert(step.clone(), self.permission(step, answer).await);
            }
        }
        Ok(permissions)
    }

    async fn page_through(
        &self,
        iam: &aws_sdk_iam::Client,
        principal: &str,
        actions: &[&str],
        resources: &[&str],
        answers: &mut Answers,
    ) -> Result<(), String> {
        let (mut marker, mut tokens) = (None, Tokens::default());
        loop {
            let request = iam.simulate_principal_policy().policy_source_arn(principal).set_marker(marker);
            let request = request.set_action_names(Some(owned(actions))).set_resource_arns(Some(owned(resources)));
            let page = request.send().await.map_err(|error| format!("not simulated, {}", Failure::of(&error)))?;
            page.evaluation_results().iter().for_each(|result| note(result, answers));
            match tokens.next(page.is_truncated(), page.marker()) {
                Ok(None) => return Ok(()),
                Ok(next) => marker = next,
                Err(wrong) => return Err(format!("not simulated to the end: {wrong}")),
            }
        }
    }

    /// What an answer means. What a resource permits by itself is no part of a simulation: for most that cannot be told, and for
    /// secrets it is looked up whether they say anything.
    async fn permission(&self, step: &Step, answer: &Answer) -> Permission {
        match &answer.verdict {
            Verdict::Allowed => return Permission::Allowed,
            _ if !answer.missing.is_empty() => {
                return Permission::Unsure(format!("it rests on {}", answer.missing.join(", ")));
            }
            Verdict::ImplicitDeny if answer.organization => {}
            _ => return Permission::Denied,
        }
        if step.resource == "*" {
            return Permission::Unsure("it may be permitted on what it is done to, which is not known beforehand".to_owned());
        }
        if ["lambda:", "s3:", "dynamodb:"].iter().any(|service| step.action.starts_with(service)) {
            return Permission::Unsure("the policy of what it is done to may permit it".to_owned());
        }
        if step.action.starts_with("kms:") {
            return Permission::Unsure("the policy of the key may permit it".to_owned());
        }
        if !step.action.starts_with("secretsmanager:") {
            return Permission::Denied;
        }
        match self.has_policy(&step.resource).await {
            Ok(false) => Permission::Denied,
            Ok(true) => Permission::Unsure("the policy of the secret may permit it".to_owned()),
            Err(failure) => Permission::Unsure(format!("the policy of the secret was not seen, {failure}")),
        }
    }

    /// Whether the secret has a policy of its own.
    async fn has_policy(&self, secret: &str) -> Result<bool, Failure> {
        let region = secret.split(':').nth(3).unwrap_or_default().to_owned();
        let config = aws_sdk_secretsmanager::config::Builder::from(self.config).region(Region::new(region));
        let client = aws_sdk_secretsmanager::Client::from_conf(config.interceptor(self.wire.clone()).build());
        match client.get_resource_policy().secret_id(secret).send().await {
            Ok(answer) => Ok(answer.resource_policy().is_some()),
            Err(error) => match Failure::of(&error) {
                failure if failure.class() == ErrorClass::NotFound => Ok(false),
                failure => Err(failure),
            },
        }
    }

    /// Why `key` cannot be used, if so.
    ///
    /// # Errors
    /// Why that could not be asked, in one line.
    pub async fn key(&self, key: &str) -> Result<Option<String>, String> {
        let kms = aws_sdk_kms::config::Builder::from(self.config).interceptor(self.wire.clone()).build();
        let failure = match aws_sdk_kms::Client::from_conf(kms).describe_key().key_id(key).send().await {
            Ok(answer) => {
                let state = answer.key_metadata().and_then(|key| key.key_state());
                return match state {
                    Some(KeyState::Enabled) => Ok(None),
                    Some(state) => Ok(Some(format!("it is in state {}", state.as_str()))),
                    None => Err("its state is not told".to_owned()),
                };
            }
            Err(error) => Failure::of(&error),
        };
        match failure.code.as_deref() {
            Some("NotFoundException") => Ok(Some("it does not exist".to_owned())),
            _ => Err(failure.to_string()),
        }
    }

    /// How many access keys `user` has.
    ///
    /// # Errors
    /// Why that could not be asked, in one line.
    pub async fn access_keys(&self, user: &str) -> Result<usize, String> {
        let iam = aws_sdk_iam::config::Builder::from(self.config).interceptor(self.wire.clone()).build();
        let listed = aws_sdk_iam::Client::from_conf(iam).list_access_keys().user_name(user).send().await;
        listed.map(|answer| answer.access_key_metadata().len()).map_err(|error| Failure::of(&error).to_string())
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Resources by the actions on them, so that no action is asked of a resource it has nothing to do with.
fn grouped(steps: &BTreeSet<Step>) -> BTreeMap<Vec<&str>, Vec<&str>> {
    let mut actions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    steps.iter().for_each(|step| actions.entry(&step.resource).or_default().push(step.action));
    let mut groups: BTreeMap<Vec<&str>, Vec<&str>> = BTreeMap::new();
    actions.into_iter().for_each(|(resource, actions)| groups.entry(actions).or_default().push(resource));
    groups
}

/// Keeps what `result` says of its resources, each by itself when it lists them.
fn note(result: &EvaluationResult, answers: &mut Answers) {
    let action = result.eval_action_name();
    let organization = result.organizations_decision_detail().is_none_or(|detail| detail.allowed_by_organizations());
    let mut keep = |resource: &str, verdict: &Verdict, missing: &[String]| {
        let answer = Answer { verdict: verdict.clone(), missing: missing.to_vec(), organization };
        answers.insert((action.to_owned(), resource.to_owned()), answer);
    };
    if let Some(resource) = result.eval_resource_name() {
        keep(resource, result.eval_decision(), result.missing_context_values());
    }
    for each in result.resource_specific_results() {
        keep(each.eval_resource_name(), each.eval_resource_decision(), each.missing_context_values());
    }
}
