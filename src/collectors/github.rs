//! One GitHub organisation: its settings, people from outside, repositories with what guards them, and secrets by name, never a value.
//!
//! Requests: 12, two more where members are listed, and one a further page of each list; R repositories take R/100 of REST and R/50 of GraphQL.
//! Secrets of repositories and environments are read on request alone, with a call for each.

use async_trait::async_trait;
use serde_json::json;

use super::github_bodies::{Actions, Member, Org, User, Workflow};
use super::github_graph::Saml;
use super::github_run::{Found, Run, incomplete, known, text};
use crate::model::catalog::GithubSource;
use crate::model::id::SourceId;
use crate::model::snapshot::{Attribute, Unseen, Value};
use crate::transport::github::{Github, segment};
use crate::world::{Clock, Collected, Collector};

const MEMBERS: &str = include_str!("github_members.graphql");
const SAML: &str = include_str!("github_saml.graphql");

/// Entity types and the attributes this collector can observe of them.
pub const EMITS: &[(&str, &[&str])] = &[
    ("GitHub::Collaborator", &["approved", "end_date"]),
    ("GitHub::DeployKey", &["created_at", "read_only", "write_approved"]),
    ("GitHub::Environment", &["branch_restricted", "prevent_self_review", "production", "required_reviewers"]),
    ("GitHub::Member", &["login"]),
    (
        "GitHub::Org",
        &[
            "actions_can_approve",
            "allowed_actions",
            "base_permission",
            "default_token_read_only",
            "members_unlinked",
            "members_without_2fa",
            "saml_enabled",
            "two_factor_required",
        ],
    ),
    (
        "GitHub::Repo",
        &[
            "archived",
            "blocks_deletion",
            "blocks_force_push",
            "default_branch_protected",
            "dependabot_alerts",
            "dismiss_stale_reviews",
            "last_push_approval",
            "min_approvals",
            "public",
            "public_approved",
            "push_protection",
            "required_approvals",
            "required_checks",
            "secret_scanning",
            "strict_checks",
        ],
    ),
    ("GitHub::Secret", &["updated_at"]),
];

/// Reads one organisation.
pub struct GithubOrg {
    source: SourceId,
    config: GithubSource,
    github: Github,
    members: bool,
}

impl GithubOrg {
    /// A collector of the organisation of `config`, named `source`, that calls with `github`.
    #[must_use]
    pub fn new(source: SourceId, config: &GithubSource, github: Github) -> Self {
        Self { source, config: config.clone(), github, members: false }
    }

    /// The same, that lists the members as well: for a people file to be compared with.
    #[must_use]
    pub fn with_members(self) -> Self {
        Self { members: true, ..self }
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
        &self.config.org
    }

    async fn collect(&self, clock: &dyn Clock) -> Collected {
        let started = clock.now();
        let mut run = Run::new(&self.source, &self.config, &self.github);
        let caller = run.caller().await;
        let (org, expected) = run.org().await;
        let below = run.below(expected).await;
        let people = run.collaborators().await;
        let secrets = run.secrets(&below).await;
        let mut found = vec![
            ("GitHub::Collaborator", people),
            ("GitHub::DeployKey", below.keys),
            ("GitHub::Environment", below.environments),
            ("GitHub::Org", org),
            ("GitHub::Repo", below.repos),
            ("GitHub::Secret", secrets),
        ];
        if self.members {
            found.push(("GitHub::Member", run.members().await));
        }
        run.end(self.name(), (caller, expected), (started, clock.now()), found)
    }
}

impl Run<'_> {
    /// Who we are; an App has no user.
    async fn caller(&mut self) -> Option<String> {
        if let Some(app) = self.github.app() {
            return Some(app);
        }
        let read = self.list::<User>("GET /user", "/user", |_| 1, false).await;
        read.pages.into_iter().next().map(|user| user.login)
    }

    /// The organisation, and how many repositories it says it has.
    async fn org(&mut self) -> (Found, Option<u64>) {
        let home = format!("/orgs/{}", segment(&self.config.org));
        let read = self.list::<Org>("GET /orgs/{org}", &home, |_| 1, true).await;
        let mut found = Found::new();
        found.lacks(&read.seen);
        let Some(org) = read.pages.into_iter().next() else { return (found, None) };
        // INVARIANT: another organisation's settings are never read as this one's.
        if !org.login.eq_ignore_ascii_case(&self.config.org) {
            let detail = format!("the source answers for another organisation than {}", self.config.org);
            found.lacks(&incomplete(Unseen::Inconsistent, detail));
            return (found, None);
        }
        let route = format!("{home}/members?filter=2fa_disabled&per_page=100");
        let count = |page: &Vec<Member>| page.len() as u64;
        let members = self.list::<Vec<Member>>("GET /orgs/{org}/members", &route, count, true).await;
        found.lacks(&members.seen);
        let without: usize = members.pages.iter().map(Vec::len).sum();
        let mut attributes = known([
            ("base_permission", org.default_repository_permission.as_deref().map(text)),
            ("members_without_2fa", i64::try_from(without).ok().filter(|_| members.seen.is_complete()).map(Value::Long)),
            ("two_factor_required", org.two_factor_requirement_enabled.map(Value::Bool)),
        ]);
        attributes.extend(self.workflows(&mut found, &home).await);
        attributes.extend(self.saml(&mut found).await);
        found.add(format!("github:{}", org.login), attributes);
        (found, org.public_repos.zip(org.total_private_repos).map(|(public, private)| public + private))
    }

    async fn workflows(&mut self, found: &mut Found, home: &str) -> Vec<Attribute> {
        let route = format!("{home}/actions/permissions");
        let actions = self.list::<Actions>("GET /orgs/{org}/actions/permissions", &route, |_| 1, true).await;
        found.lacks(&actions.seen);
        let route = format!("{route}/workflow");
        let flow = self.list::<Workflow>("GET /orgs/{org}/actions/permissions/workflow", &route, |_| 1, true).await;
        found.lacks(&flow.seen);
        let flow = flow.pages.first();
        known([
            ("actions_can_approve", flow.map(|flow| Value::Bool(flow.can_approve_pull_request_reviews))),
            ("allowed_actions", actions.pages.first().and_then(|found| found.allowed_actions.as_deref()).map(text)),
            ("default_token_read_only", flow.map(|flow| Value::Bool(flow.default_workflow_permissions == "read"))),
        ])
    }

    /// Single sign-on. No provider is one that is not shown, unless an owner asks.
    async fn saml(&mut self, found: &mut Found) -> Vec<Attribute> {
        let given = json!({ "org": self.config.org, "after": null });
        let read = self.ask::<Saml>("graphql-saml", SAML, given).await;
        read.omitted.iter().for_each(|omitted| found.lacks(&read.left_out(omitted)));
        found.lacks(&read.seen);
        let Some(org) = read.pages.first().and_then(|page| page.organization.as_ref()) else { return Vec::new() };
        if !read.seen.is_complete() || !read.omitted.is_empty() {
            return Vec::new();
        }
        if org.saml_identity_provider.is_none() {
            let none = (org.viewer_can_administer == Some(true)).then_some(Value::Bool(false));
            return known([("saml_enabled", none)]);
        }
        let whole = read.pages.iter().all(|page| page.identities().is_some_and(|page| page.shown()));
        let linked: std::collections::BTreeSet<String> = read
            .pages
            .iter()
            .filter_map(Saml::identities)
            .flat_map(|page| page.items())
            .filter_map(|identity| identity.user.as_ref().map(|user| user.login.to_ascii_lowercase()))
            .collect();
        let linked = i64::try_from(linked.len()).ok().filter(|_| whole);
        let unlinked =
            org.members_with_role.as_ref().zip(linked).map(|(members, linked)| Value::Long((members.total_count - linked).max(0)));
        known([("members_unlinked", unlinked), ("saml_enabled", Some(Value::Bool(true)))])
    }

    /// Its members, when they are as many as it counts: to whoever is none of them it lists those alone who say so in public.
    async fn members(&mut self) -> Found {
        let route = format!("/orgs/{}/members?per_page=100", segment(&self.config.org));
        let read = self.list::<Vec<Member>>("GET /orgs/{org}/members", &route, |page| page.len() as u64, true).await;
        let mut found = Found::new();
        found.lacks(&read.seen);
        for person in read.pages.iter().flatten() {
            found
                .add(format!("github:{}/members/{}", self.config.org, person.login), known([("login", Some(text(&person.login)))]));
        }
        let given = json!({ "org": self.config.org, "after": null });
        let read = self.ask::<Saml>("graphql-members", MEMBERS, given).await;
        found.lacks(&read.seen);
        let counted = read.pages.first().and_then(|page| page.organization.as_ref()?.members_with_role.as_ref());
        let listed = found.resources.len();
        match counted.map(|count| count.total_count) {
            Some(count) if usize::try_from(count) == Ok(listed) => {}
            Some(count) => {
                let detail = format!("{} counts {count} members, and lists {listed}", self.config.org);
                found.lacks(&incomplete(Unseen::Inconsistent, detail));
            }
            None => found.lacks(&incomplete(Unseen::Denied, format!("how many members {} has was not shown", self.config.org))),
        }
        found
    }

    /// Those who have access without being members.
    async fn collaborators(&mut self) -> Found {
        let route = format!("/orgs/{}/outside_collaborators?per_page=100", segment(&self.config.org));
        let count = |page: &Vec<Member>| page.len() as u64;
        let read = self.list::<Vec<Member>>("GET /orgs/{org}/outside_collaborators", &route, count, true).await;
        let mut found = Found::new();
        found.lacks(&read.seen);
        for person in read.pages.iter().flatten() {
            let mut approvals = self.config.approved.collaborators.iter();
            let until = approvals.find(|(login, _)| login.eq_ignore_ascii_case(&person.login)).map(|(_, until)| *until);
            let attributes = known([("approved", Some(Value::Bool(until.is_some()))), ("end_date", until.map(Value::Time))]);
            found.add(format!("github:{}/collaborators/{}", self.config.org, person.login), attributes);
        }
        found
    }
}
