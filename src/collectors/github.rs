//! One GitHub organisation: its settings, its repositories and its Actions secrets by name, never a value.
//!
//! What lists do not answer is absent: rules of branches, deploy keys, and secrets of repositories and environments.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::github_bodies::{Actions, Feature, Member, Named, Org, Repo, Secrets, User, Workflow, redact};
use crate::model::blob::Blob;
use crate::model::catalog::GithubSource;
use crate::model::id::{ResourceId, SourceId};
use crate::model::receipt::{Operation, RawRef, Receipt};
use crate::model::snapshot::{Attribute, Completeness, Population, Resource, Unseen, Value};
use crate::model::time::Timestamp;
use crate::transport::github::{Answer, Failure, Github, segment};
use crate::world::{Clock, Collected, Collector};

/// Entity types and the attributes this collector can observe of them.
pub const EMITS: &[(&str, &[&str])] = &[
    (
        "GitHub::Org",
        &[
            "actions_can_approve",
            "allowed_actions",
            "base_permission",
            "default_token_read_only",
            "members_without_2fa",
            "two_factor_required",
        ],
    ),
    ("GitHub::Repo", &["archived", "public", "push_protection", "secret_scanning"]),
    ("GitHub::Secret", &["updated_at"]),
];

/// Reads one organisation.
pub struct GithubOrg {
    source: SourceId,
    org: String,
    github: Github,
}

/// One collection under way.
struct Run<'a> {
    of: &'a GithubOrg,
    operations: Vec<Operation>,
    raw: Vec<Blob>,
    refs: Vec<RawRef>,
    clock: Option<Timestamp>,
}

impl GithubOrg {
    /// A collector of the organisation of `config`, named `source`, that calls with `github`.
    #[must_use]
    pub fn new(source: SourceId, config: &GithubSource, github: Github) -> Self {
        Self { source, org: config.org.clone(), github }
    }

    fn population(&self, entity: &str, completeness: Completeness, resources: BTreeMap<ResourceId, Resource>) -> Population {
        Population {
            source: self.source.clone(),
            scope: self.org.clone(),
            entity: entity.into(),
            completeness,
            resources: resources.into_values().collect(),
        }
    }
}

#[async_trait]
impl Collector for GithubOrg {
    fn name(&self) -> &'static str {
        "github"
    }

    fn source(&self) -> &SourceId {
        &self.source
    }

    fn scope(&self) -> &str {
        &self.org
    }

    async fn collect(&self, clock: &dyn Clock) -> Collected {
        let started = clock.now();
        let mut run = Run { of: self, operations: Vec::new(), raw: Vec::new(), refs: Vec::new(), clock: None };
        let caller = run.caller().await;
        let (org, org_seen, expected) = run.org().await;
        let (repos, repos_seen) = run.repos(expected).await;
        let (secrets, secrets_seen) = run.secrets().await;
        let all = [&org_seen, &repos_seen, &secrets_seen];
        let completeness = all.into_iter().find(|seen| !seen.is_complete()).cloned().unwrap_or(Completeness::Complete);
        let beyond =
            incomplete(Unseen::NotCollected, "secrets of repositories, environments and Dependabot are not read".to_owned());
        let secrets_seen = if secrets_seen.is_complete() { beyond } else { secrets_seen };
        let populations = vec![
            self.population("GitHub::Org", org_seen, org),
            self.population("GitHub::Repo", repos_seen, repos),
            self.population("GitHub::Secret", secrets_seen, secrets),
        ];
        let receipt = Receipt {
            source: self.source.clone(),
            collector: self.name().to_owned(),
            scope: self.org.clone(),
            caller,
            completeness,
            operations: run.operations,
            independent_count: expected,
            source_clock: run.clock,
            started,
            ended: clock.now(),
            raw: run.refs,
        };
        Collected { populations, receipt, raw: run.raw }
    }
}

type Seen = (BTreeMap<ResourceId, Resource>, Completeness);

impl Run<'_> {
    /// Who we are; an App has no user, so that a refusal here says nothing.
    async fn caller(&mut self) -> Option<String> {
        let (pages, _) = self.pages::<User>("GET /user", "/user", |_| 1, false).await;
        pages.into_iter().next().map(|user| user.login)
    }

    /// The organisation, and how many repositories it says it has.
    async fn org(&mut self) -> (BTreeMap<ResourceId, Resource>, Completeness, Option<u64>) {
        let home = format!("/orgs/{}", segment(&self.of.org));
        let (orgs, seen) = self.pages::<Org>("GET /orgs/{org}", &home, |_| 1, true).await;
        let mut causes = vec![seen];
        let Some(org) = orgs.into_iter().next() else {
            return (BTreeMap::new(), first(causes), None);
        };
        // INVARIANT: another organisation's settings are never read as this one's.
        if !org.login.eq_ignore_ascii_case(&self.of.org) {
            causes.push(incomplete(
                Unseen::Inconsistent,
                format!("the source answers for another organisation than {}", self.of.org),
            ));
            return (BTreeMap::new(), first(causes), None);
        }
        let mut attributes: Vec<Attribute> = Vec::new();
        let mut set = |name: &str, value: Option<Value>| attributes.extend(value.map(|value| (name.into(), value)));
        set("two_factor_required", org.two_factor_requirement_enabled.map(Value::Bool));
        set("base_permission", org.default_repository_permission.as_deref().map(text));

        let route = format!("{home}/members?filter=2fa_disabled&per_page=100");
        let name = "GET /orgs/{org}/members";
        let (members, seen) = self.pages::<Vec<Member>>(name, &route, |page| page.len() as u64, true).await;
        let count: usize = members.iter().map(Vec::len).sum();
        set("members_without_2fa", i64::try_from(count).ok().filter(|_| seen.is_complete()).map(Value::Long));
        causes.push(seen);

        let route = format!("{home}/actions/permissions");
        let (found, seen) = self.pages::<Actions>("GET /orgs/{org}/actions/permissions", &route, |_| 1, true).await;
        causes.push(seen);
        set("allowed_actions", found.first().and_then(|found| found.allowed_actions.as_deref()).map(text));

        let route = format!("{route}/workflow");
        let (found, seen) = self.pages::<Workflow>("GET /orgs/{org}/actions/permissions/workflow", &route, |_| 1, true).await;
        causes.push(seen);
        let flow = found.first();
        set("default_token_read_only", flow.map(|flow| Value::Bool(flow.default_workflow_permissions == "read")));
        set("actions_can_approve", flow.map(|flow| Value::Bool(flow.can_approve_pull_request_reviews)));

        let id = ResourceId::from(format!("github:{}", org.login));
        let expected = org.public_repos.zip(org.total_private_repos).map(|(public, private)| public + private);
        (BTreeMap::from([(id.clone(), Resource::new(id, attributes))]), first(causes), expected)
    }

    async fn repos(&mut self, expected: Option<u64>) -> Seen {
        let route = format!("/orgs/{}/repos?type=all&per_page=100", segment(&self.of.org));
        let (pages, mut seen) = self.pages::<Vec<Repo>>("GET /orgs/{org}/repos", &route, |page| page.len() as u64, true).await;
        let repos: BTreeMap<_, _> = pages.iter().flatten().map(repository).collect();
        if seen.is_complete() {
            seen = match expected {
                // GitHub leaves out what the caller may not see, without a word.
                None => incomplete(Unseen::Denied, format!("the token may not know how many repositories {} has", self.of.org)),
                Some(count) if count != repos.len() as u64 => {
                    let detail = format!("{} says it has {count} repositories, the list holds {}", self.of.org, repos.len());
                    incomplete(Unseen::Inconsistent, detail)
                }
                Some(_) => seen,
            };
        }
        (repos, seen)
    }

    async fn secrets(&mut self) -> Seen {
        let route = format!("/orgs/{}/actions/secrets?per_page=100", segment(&self.of.org));
        let name = "GET /orgs/{org}/actions/secrets";
        let (pages, mut seen) = self.pages::<Secrets>(name, &route, |page| page.secrets.len() as u64, true).await;
        let resource = |secret: &Named| {
            let id = ResourceId::from(format!("github:{}/actions/{}", self.of.org, secret.name));
            (id.clone(), Resource::new(id, vec![("updated_at".into(), Value::Time(secret.updated_at))]))
        };
        let secrets: BTreeMap<_, _> = pages.iter().flat_map(|page| &page.secrets).map(resource).collect();
        let counted = pages.last().is_none_or(|page| page.total_count == secrets.len() as u64);
        if seen.is_complete() && !counted {
            seen = incomplete(Unseen::Inconsistent, format!("the count of the secrets of {} differs from their list", self.of.org));
        }
        (secrets, seen)
    }

    /// Reads `route` and what follows it to the end; bodies are kept when `keep` is set.
    async fn pages<T: DeserializeOwned>(
        &mut self,
        name: &str,
        route: &str,
        count: fn(&T) -> u64,
        keep: bool,
    ) -> (Vec<T>, Completeness) {
        let (mut pages, mut items) = (Vec::new(), 0);
        let mut followed = BTreeSet::new();
        let mut next = route.to_owned();
        let completeness = loop {
            let number = pages.len() + 1;
            let failed = |failure: Failure| {
                incomplete(failure.unseen(), format!("could not {name} of {}, page {number}: {failure}", self.of.org))
            };
            let answer = match self.of.github.get(&next).await {
                Ok(answer) => answer,
                Err(failure) => break failed(failure),
            };
            let page: T = match answer.read() {
                Ok(page) => page,
                Err(failure) => break failed(failure),
            };
            if keep {
                self.keep(name, number, &answer);
            }
            items += count(&page);
            pages.push(page);
            let link = match answer.next {
                None => break Completeness::Complete,
                Some(Err(failure)) => break failed(failure),
                Some(Ok(link)) => link,
            };
            followed.insert(std::mem::replace(&mut next, link));
            if followed.contains(&next) {
                let detail = format!("page {number} of {name} of {} leads back", self.of.org);
                break incomplete(Unseen::Inconsistent, detail);
            }
        };
        let log = self.of.github.take_log();
        self.clock = self.clock.or(log.clock);
        self.operations.push(Operation {
            name: format!("github:{name}"),
            parameters: json!({ "route": route }),
            pages: pages.len() as u64,
            requests: log.requests,
            items,
            request_ids: log.request_ids,
        });
        (pages, completeness)
    }

    fn keep(&mut self, name: &str, number: usize, answer: &Answer) {
        let Some((kept, redacted)) = redact(answer.body.as_bytes()) else { return };
        let stem = name.rsplit('}').next().map(|end| end.trim_matches('/').replace('/', "-")).filter(|stem| !stem.is_empty());
        let stem = stem.unwrap_or_else(|| "org".to_owned());
        let name = format!("{}/github/{}/{stem}-{number:04}.json", self.of.source, self.of.org);
        self.refs.push(RawRef::new(name, answer.body.as_bytes(), &kept, redacted));
        self.raw.push(Blob::compressed(&kept));
    }
}

fn incomplete(cause: Unseen, detail: String) -> Completeness {
    Completeness::Incomplete { cause, detail }
}

fn first(all: Vec<Completeness>) -> Completeness {
    all.into_iter().find(|seen| !seen.is_complete()).unwrap_or(Completeness::Complete)
}

fn text(of: &str) -> Value {
    Value::Text(of.into())
}

fn repository(repo: &Repo) -> (ResourceId, Resource) {
    let id = ResourceId::from(format!("github:{}", repo.full_name));
    let security = repo.security_and_analysis.as_ref();
    let on = |feature: &Feature| Value::Bool(feature.status == "enabled");
    let attributes = [
        ("archived", repo.archived.map(Value::Bool)),
        ("public", Some(Value::Bool(!repo.private))),
        ("push_protection", security.and_then(|of| of.secret_scanning_push_protection.as_ref()).map(on)),
        ("secret_scanning", security.and_then(|of| of.secret_scanning.as_ref()).map(on)),
    ];
    let known = attributes.into_iter().filter_map(|(name, value)| value.map(|value| (name.into(), value))).collect();
    (id.clone(), Resource::new(id, known))
}
