//! Repositories of an organisation with the rules of their default branches, their deploy keys and their environments, without a call
//! for each: one list of REST, one of GraphQL, and whatever continues a list inside a repository.

use serde_json::json;

use super::github_bodies::{Feature, Repo};
use super::github_branch::facts;
use super::github_graph::{DeployKey, Environment, Gate, More, Page, Repositories, Repository};
use super::github_run::{Found, Pages, Run, incomplete, known};
use crate::model::snapshot::{Completeness, Unseen, Value};
use crate::transport::github::segment;

const REPOSITORIES: &str = include_str!("github_repositories.graphql");
const DEPLOY_KEYS: &str = include_str!("github_deploy_keys.graphql");
const ENVIRONMENTS: &str = include_str!("github_environments.graphql");
/// Names of production environments unless others are declared.
const PRODUCTION: &str = "production";

/// Everything below the organisation that lists answer.
pub struct Below {
    /// Repositories.
    pub repos: Found,
    /// Deploy keys of those that are not archived.
    pub keys: Found,
    /// Environments.
    pub environments: Found,
    /// `owner/name` and environment.
    pub places: Vec<(String, String)>,
}

impl Below {
    /// Notes what `read` leaves out, and for which of them.
    fn lacks<T>(&mut self, read: &Pages<T>) {
        for omitted in &read.omitted {
            let (seen, of) = (read.left_out(omitted), |part: &str| omitted.path.iter().any(|name| name == part));
            match (of("deployKeys"), of("environments")) {
                (true, _) => self.keys.lacks(&seen),
                (_, true) => self.environments.lacks(&seen),
                _ => self.all_lack(&seen),
            }
        }
        self.all_lack(&read.seen);
    }

    fn all_lack(&mut self, seen: &Completeness) {
        [&mut self.repos, &mut self.keys, &mut self.environments].into_iter().for_each(|found| found.lacks(seen));
    }
}

impl Run<'_> {
    /// Reads it; `expected` is how many repositories the organisation says it has.
    pub async fn below(&mut self, expected: Option<u64>) -> Below {
        let repos = self.repos(expected).await;
        let given = json!({ "org": self.config.org, "after": null });
        let read = self.ask::<Repositories>("graphql-repositories", REPOSITORIES, given).await;
        let mut below = Below { repos, keys: Found::new(), environments: Found::new(), places: Vec::new() };
        below.lacks(&read);
        let whole = |page: &Repositories| page.page().is_some_and(Page::shown);
        if !read.pages.iter().all(whole) {
            below.all_lack(&incomplete(Unseen::Denied, format!("GraphQL does not show every repository of {}", self.config.org)));
        }
        // INVARIANT: another organisation's repositories are never read as this one's.
        let own =
            |page: &&Repositories| page.organization.as_ref().is_some_and(|org| org.login.eq_ignore_ascii_case(&self.config.org));
        let pages: Vec<&Repositories> = read.pages.iter().filter(own).collect();
        let mut detailed = 0_u64;
        for repo in pages.into_iter().filter_map(Repositories::page).flat_map(Page::items) {
            detailed += 1;
            branch(&mut below.repos, repo);
            self.keys(&mut below.keys, repo).await;
            self.environments(&mut below, repo).await;
        }
        let org = &self.config.org;
        match expected {
            // GitHub leaves out what the caller may not see, without a word.
            None => below.all_lack(&incomplete(Unseen::Denied, format!("the login may not know how many repositories {org} has"))),
            Some(expected) if expected != detailed => {
                let detail = format!("{org} says it has {expected} repositories, GraphQL lists {detailed}");
                below.all_lack(&incomplete(Unseen::Inconsistent, detail));
            }
            Some(_) => {}
        }
        below
    }

    async fn repos(&mut self, expected: Option<u64>) -> Found {
        let org = &self.config.org;
        let route = format!("/orgs/{}/repos?type=all&per_page=100", segment(org));
        let read = self.list::<Vec<Repo>>("GET /orgs/{org}/repos", &route, |page| page.len() as u64, true).await;
        let mut found = Found::new();
        for repo in read.pages.iter().flatten() {
            self.repository(&mut found, repo);
        }
        found.lacks(&read.seen);
        let count = found.resources.len() as u64;
        if let Some(expected) = expected.filter(|expected| *expected != count) {
            let detail = format!("{org} says it has {expected} repositories, the list holds {count}");
            found.lacks(&incomplete(Unseen::Inconsistent, detail));
        }
        let listed = |name: &str| read.pages.iter().flatten().any(|repo| repo.full_name.eq_ignore_ascii_case(name));
        if let Some(lost) = self.config.critical_repos.iter().find(|name| !listed(name)) {
            found.lacks(&incomplete(Unseen::Inconsistent, format!("the critical repository {lost} is not in the list of {org}")));
        }
        found
    }

    fn repository(&self, found: &mut Found, repo: &Repo) {
        let named = |all: &[String]| all.iter().any(|name| name.eq_ignore_ascii_case(&repo.full_name));
        let security = repo.security_and_analysis.as_ref();
        let on = |feature: &Feature| Value::Bool(feature.status == "enabled");
        let approvals = if named(&self.config.critical_repos) { 2 } else { 1 };
        let approved = || Value::Bool(named(&self.config.approved.public_repos));
        let attributes = known([
            ("archived", repo.archived.map(Value::Bool)),
            ("min_approvals", Some(Value::Long(approvals))),
            ("public", Some(Value::Bool(!repo.private))),
            ("public_approved", (!repo.private).then(approved)),
            ("push_protection", security.and_then(|of| of.secret_scanning_push_protection.as_ref()).map(on)),
            ("secret_scanning", security.and_then(|of| of.secret_scanning.as_ref()).map(on)),
        ]);
        found.add(format!("github:{}", repo.full_name), attributes);
    }

    /// The deploy keys of a repository that is not archived.
    async fn keys(&mut self, found: &mut Found, repo: &Repository) {
        if repo.is_archived == Some(true) {
            return;
        }
        self.add_keys(found, repo, repo.deploy_keys.as_ref());
        if let Some(after) = repo.deploy_keys.as_ref().and_then(Page::next) {
            let read = self.more(found, "deploy-keys", DEPLOY_KEYS, repo, &after).await;
            read.iter().for_each(|more| self.add_keys(found, repo, more.keys()));
        }
    }

    fn add_keys(&self, found: &mut Found, repo: &Repository, page: Option<&Page<DeployKey>>) {
        if !page.is_some_and(Page::shown) {
            found.lacks(&not_shown("deploy keys", repo));
        }
        for key in page.into_iter().flat_map(Page::items) {
            let id = format!("github:{}/deploy-keys/{}", repo.name_with_owner, key.id);
            let approved = self.config.approved.write_keys.contains(&id);
            let attributes = known([
                ("created_at", Some(Value::Time(key.created_at))),
                ("read_only", Some(Value::Bool(key.read_only))),
                ("write_approved", Some(Value::Bool(approved))),
            ]);
            found.add(id, attributes);
        }
    }

    async fn environments(&mut self, below: &mut Below, repo: &Repository) {
        self.add_environments(below, repo, repo.environments.as_ref());
        if let Some(after) = repo.environments.as_ref().and_then(Page::next) {
            let read = self.more(&mut below.environments, "environments", ENVIRONMENTS, repo, &after).await;
            read.iter().for_each(|more| self.add_environments(below, repo, more.environments()));
        }
    }

    fn add_environments(&self, below: &mut Below, repo: &Repository, page: Option<&Page<Environment>>) {
        if !page.is_some_and(Page::shown) {
            below.environments.lacks(&not_shown("environments", repo));
        }
        for environment in page.into_iter().flat_map(Page::items) {
            let name = &environment.name;
            let declared = self.config.production_environments.as_ref();
            let production = declared.map_or_else(
                || name.eq_ignore_ascii_case(PRODUCTION),
                |all| all.iter().any(|declared| declared.eq_ignore_ascii_case(name)),
            );
            let gates = environment.protection_rules.as_ref().filter(|page| page.whole());
            if gates.is_none() {
                below.environments.lacks(&not_shown("rules of an environment", repo));
            }
            let gates = gates.map(|page| page.items().collect::<Vec<_>>());
            let attributes = known([
                (
                    "branch_restricted",
                    gates.as_ref().map(|gates| Value::Bool(gates.iter().any(|gate| gate.kind == "BRANCH_POLICY"))),
                ),
                (
                    "prevent_self_review",
                    gates.as_ref().map(|gates| Value::Bool(reviews(gates).any(|gate| gate.prevent_self_review == Some(true)))),
                ),
                ("production", Some(Value::Bool(production))),
                ("required_reviewers", gates.as_ref().and_then(|gates| reviewers(gates)).map(Value::Long)),
            ]);
            below.environments.add(format!("github:{}/environments/{name}", repo.name_with_owner), attributes);
            below.places.push((repo.name_with_owner.clone(), name.clone()));
        }
    }

    /// The rest of a list inside `repo`.
    async fn more(&mut self, found: &mut Found, what: &str, query: &str, repo: &Repository, after: &str) -> Vec<More> {
        let name = repo.name_with_owner.rsplit('/').next().unwrap_or_default();
        let given = json!({ "id": repo.id, "after": after });
        let read = self.ask::<More>(&format!("graphql-{what}-{name}"), query, given).await;
        read.omitted.iter().for_each(|omitted| found.lacks(&read.left_out(omitted)));
        found.lacks(&read.seen);
        read.pages
    }
}

/// Adds what guards the default branch of `repo`; it has none before the first commit.
fn branch(repos: &mut Found, repo: &Repository) {
    let (facts, whole) = repo.default_branch_ref.as_ref().map(facts).unwrap_or_default();
    if repo.default_branch_ref.is_some() && !whole {
        repos.lacks(&not_shown("rules of the default branch", repo));
    }
    let alerts = known([("dependabot_alerts", repo.has_vulnerability_alerts_enabled.map(Value::Bool))]);
    match repos.resources.get_mut(format!("github:{}", repo.name_with_owner).as_str()) {
        Some(resource) => facts.into_iter().chain(alerts).for_each(|(name, value)| resource.set(&name, value)),
        None => {
            let detail = format!("{} is not in the list of repositories", repo.name_with_owner);
            repos.lacks(&incomplete(Unseen::Inconsistent, detail));
        }
    }
}

fn reviews<'g>(gates: &'g [&Gate]) -> impl Iterator<Item = &'g Gate> {
    gates.iter().copied().filter(|gate| gate.kind == "REQUIRED_REVIEWERS")
}

/// How many may review; `None` when it was not shown.
fn reviewers(gates: &[&Gate]) -> Option<i64> {
    reviews(gates).map(|gate| gate.reviewers.as_ref().map(|count| count.total_count)).sum()
}

fn not_shown(what: &str, repo: &Repository) -> Completeness {
    incomplete(Unseen::Denied, format!("{what} of {} were not all shown", repo.name_with_owner))
}
