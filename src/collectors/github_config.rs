//! The repositories at GitHub that hold policy and evidence: who may change each branch alone, and which merged pull request brought in
//! each commit of the policy.
//!
//! Requests: one for each of the two branches, one a hundred members of each team that their rules name, one a hundred commits in the
//! window and one a hundred pull requests that were touched in it; none for an item.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::json;

use super::github_bodies::Member;
use super::github_graph::{Listed, Page};
use super::github_run::{Found, Run, incomplete, known, text};
use super::github_writers::{Branch, Teams, alone, teams};
use crate::model::catalog::{GithubConfig, GithubSource};
use crate::model::id::SourceId;
use crate::model::snapshot::{Completeness, Unseen, Value};
use crate::model::time::{Limit, Timestamp};
use crate::transport::github::{Github, segment};
use crate::world::{Clock, Collected, Collector};

const BRANCH: &str = include_str!("github_config_branch.graphql");
const COMMITS: &str = include_str!("github_config_commits.graphql");
const PULLS: &str = include_str!("github_config_pulls.graphql");
/// Pages of commits, and of pull requests, that are read at most: ten thousand of either.
const PAGES: usize = 100;
/// A day more than is compared: two clocks are never at the same instant.
const MARGIN: i64 = 86_400;

/// Entity types and the attributes this collector can observe of them.
pub const EMITS: &[(&str, &[&str])] = &[
    ("GitHub::Branch", &["alone", "branch", "holds", "lost_merges", "merged_pulls", "repo", "unseen_teams"]),
    ("GitHub::Commit", &["approved_by", "committed_at", "merged_by"]),
];

/// Reads what holds the config repo of one organisation, and its evidence.
pub struct ConfigAtGithub {
    source: SourceId,
    org: GithubSource,
    config: GithubConfig,
    evidence: String,
    window: Limit,
    github: Github,
}

/// What a query of one repository answers: of its branch the rules, or the commits.
#[derive(Deserialize)]
struct Answer<R> {
    repository: Option<Repository<R>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Repository<R> {
    name_with_owner: String,
    #[serde(rename = "ref")]
    reference: Option<R>,
    pull_requests: Option<Page<Merged>>,
}

/// A branch and what it points at.
#[derive(Deserialize)]
struct Tip {
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    history: Option<Page<Commit>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Commit {
    oid: String,
    committed_date: Timestamp,
    associated_pull_requests: Option<Page<Pull>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pull {
    number: u64,
    merged: bool,
    base_ref_name: String,
    base_repository: Option<Named>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    name_with_owner: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Merged {
    number: u64,
    updated_at: Timestamp,
    merged_at: Option<Timestamp>,
    merge_commit: Option<Oid>,
    head_ref_oid: Option<String>,
    author: Option<Author>,
    latest_opinionated_reviews: Option<Page<Review>>,
    commits: Option<Page<Written>>,
}

/// A commit of a pull request, and the accounts of those who wrote it, as far as GitHub knows them.
#[derive(Deserialize)]
struct Written {
    commit: Option<By>,
}

#[derive(Deserialize)]
struct By {
    authors: Option<Page<Person>>,
}

#[derive(Deserialize)]
struct Person {
    user: Option<Author>,
}

#[derive(Deserialize)]
struct Author {
    login: String,
}

/// What a reviewer said last.
#[derive(Deserialize)]
struct Review {
    state: String,
    author: Option<Author>,
    commit: Option<Oid>,
}

#[derive(Deserialize)]
struct Oid {
    oid: String,
}

impl Answer<Tip> {
    fn commits(&self) -> Option<&Page<Commit>> {
        self.repository.as_ref()?.reference.as_ref()?.target.as_ref()?.history.as_ref()
    }

    fn pulls(&self) -> Option<&Page<Merged>> {
        self.repository.as_ref()?.pull_requests.as_ref()
    }
}

impl Listed for Answer<Branch> {
    fn next(&self) -> Option<String> {
        None
    }

    fn count(&self) -> usize {
        usize::from(self.repository.as_ref().is_some_and(|repository| repository.reference.is_some()))
    }
}

impl Listed for Answer<Tip> {
    fn next(&self) -> Option<String> {
        self.commits().next().or_else(|| self.pulls().next())
    }

    fn count(&self) -> usize {
        self.commits().count() + self.pulls().count()
    }
}

impl ConfigAtGithub {
    /// A collector of what holds the config repo as `org` says it, named `source`, whose evidence is on the branch `evidence`; commits
    /// are read as far back as `window`.
    #[must_use]
    pub fn new(
        source: SourceId,
        org: &GithubSource,
        config: &GithubConfig,
        (evidence, window): (&str, Limit),
        github: Github,
    ) -> Self {
        let (org, config, evidence) = (org.clone(), config.clone(), evidence.to_owned());
        Self { source, org, config, evidence, window, github }
    }
}

#[async_trait]
impl Collector for ConfigAtGithub {
    fn name(&self) -> &'static str {
        "github-config"
    }

    fn source(&self) -> &SourceId {
        &self.source
    }

    fn scope(&self) -> &str {
        &self.org.org
    }

    async fn collect(&self, clock: &dyn Clock) -> Collected {
        let started = clock.now();
        let since = started.as_second().saturating_sub(self.window.as_seconds()).saturating_sub(MARGIN);
        let since = Timestamp::from_second(since).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut run = Run::new(&self.source, &self.org, &self.github);
        let (mut branches, mut commits) = (Found::new(), Found::new());
        let policy = Place { repo: &self.config.repo, branch: &self.config.branch, holds: "policy" };
        let evidence = Place { repo: self.config.evidence_repo(), branch: &self.evidence, holds: "evidence" };
        let mut shown = Vec::new();
        for place in [&policy, &evidence] {
            let rules = run.branch(place, &mut branches).await;
            shown.extend(rules.map(|rules| (place, rules)));
        }
        let members = run.teams(shown.iter().flat_map(|(_, rules)| teams(rules)).collect()).await;
        for (place, rules) in &shown {
            write(place, rules, &members, &mut branches);
        }
        let counted = run.commits(&policy, since, &mut commits).await;
        let since = Timestamp::from_second(since.as_second().saturating_add(MARGIN)).unwrap_or(since);
        run.pulls(&policy, since, &mut branches, &mut commits).await;
        let found = vec![("GitHub::Branch", branches), ("GitHub::Commit", commits)];
        run.end(self.name(), (self.github.app(), counted), (started, clock.now()), found)
    }
}

/// A branch, and what it holds.
struct Place<'a> {
    repo: &'a str,
    branch: &'a str,
    holds: &'static str,
}

impl Place<'_> {
    fn id(&self) -> String {
        format!("github:{}/branches/{}", self.repo, self.branch)
    }

    fn given(&self) -> serde_json::Value {
        let (owner, name) = self.repo.split_once('/').unwrap_or(("", self.repo));
        json!({ "owner": owner, "name": name, "branch": format!("refs/heads/{}", self.branch), "after": null })
    }

    fn unseen(&self, what: &str) -> Completeness {
        incomplete(Unseen::Denied, format!("{what} of `{}` of {} were not all shown", self.branch, self.repo))
    }

    /// INVARIANT: another repository is never read as this one, as one that was renamed would be.
    fn is<R>(&self, answer: &Answer<R>) -> bool {
        answer.repository.as_ref().is_some_and(|found| found.name_with_owner.eq_ignore_ascii_case(self.repo))
    }
}

/// Who is in each team that was asked for, and why that of others was not shown.
struct Asked {
    teams: Teams,
    unseen: BTreeMap<String, String>,
}

/// Says of `place` in `found` who may change it alone by its `rules`.
fn write(place: &Place<'_>, rules: &Branch, asked: &Asked, found: &mut Found) {
    let Some(names) = alone(rules, &asked.teams) else {
        found.lacks(&place.unseen("the rules"));
        return;
    };
    let Some(branch) = found.resources.get_mut(place.id().as_str()) else { return };
    branch.set("alone", text(&names.into_iter().collect::<Vec<_>>().join(", ")));
    let unseen: Vec<&str> = teams(rules).iter().filter_map(|team| asked.unseen.get(team).map(String::as_str)).collect();
    if !unseen.is_empty() {
        branch.set("unseen_teams", text(&unseen.join("; ")));
    }
}

impl Run<'_> {
    /// The rules of `place`, when they were shown.
    async fn branch(&mut self, place: &Place<'_>, found: &mut Found) -> Option<Branch> {
        let mut read = self.ask::<Answer<Branch>>(&format!("graphql-config-{}", place.holds), BRANCH, place.given()).await;
        read.omitted.iter().for_each(|omitted| found.lacks(&read.left_out(omitted)));
        found.lacks(&read.seen);
        let first = if read.pages.is_empty() { None } else { Some(read.pages.swap_remove(0)) };
        let reference = first.filter(|answer| place.is(answer)).and_then(|answer| answer.repository?.reference);
        if reference.is_none() && read.seen.is_complete() {
            found.lacks(&incomplete(Unseen::Inconsistent, format!("{} shows no branch `{}`", place.repo, place.branch)));
        }
        if reference.is_some() && !read.omitted.is_empty() {
            found.lacks(&place.unseen("the rules"));
        }
        let attributes =
            known([("branch", Some(text(place.branch))), ("holds", Some(text(place.holds))), ("repo", Some(text(place.repo)))]);
        found.add(place.id(), attributes);
        reference.filter(|_| read.omitted.is_empty())
    }

    /// Who is in each team of `named`. One that is not shown to the login leaves the team a name: what rests on it is not seen, and
    /// nothing else.
    async fn teams(&mut self, named: BTreeSet<String>) -> Asked {
        let mut asked = Asked { teams: Teams::new(), unseen: BTreeMap::new() };
        for team in named {
            let Some((org, slug)) = team.split_once('/') else { continue };
            let name = format!("GET /orgs/{{org}}/teams/{slug}/members");
            let route = format!("/orgs/{}/teams/{}/members?per_page=100", segment(org), segment(slug));
            let read = self.list::<Vec<Member>>(&name, &route, |page| page.len() as u64, true).await;
            match &read.seen {
                Completeness::Complete => {
                    asked.teams.insert(team, read.pages.into_iter().flatten().map(|member| member.login).collect());
                }
                Completeness::Incomplete { detail, .. } => drop(asked.unseen.insert(team, detail.clone())),
            }
        }
        asked
    }

    /// The commits of `place` since `since` with the pull requests that brought them in; how many the source counts.
    async fn commits(&mut self, place: &Place<'_>, since: Timestamp, found: &mut Found) -> Option<u64> {
        let mut given = place.given();
        given["since"] = since.to_string().into();
        let read = self.ask_while::<Answer<Tip>>("graphql-config-commits", COMMITS, given, |pages| pages.len() < PAGES).await;
        read.omitted.iter().for_each(|omitted| found.lacks(&read.left_out(omitted)));
        found.lacks(&read.seen);
        let pages: Vec<&Page<Commit>> = read.pages.iter().filter(|answer| place.is(answer)).filter_map(Answer::commits).collect();
        if pages.len() < read.pages.len().max(1) || !pages.iter().all(|page| page.shown()) {
            found.lacks(&place.unseen("the commits"));
        }
        if pages.last().is_some_and(|page| page.page_info.has_next_page) && read.seen.is_complete() {
            let detail = format!("stopped after {} commits of {}: shorten `window` of its git source", PAGES * 100, place.repo);
            found.lacks(&incomplete(Unseen::Unreachable, detail));
        }
        for commit in pages.iter().flat_map(|page| page.items()) {
            let merged_by = commit.merged_by(place);
            if merged_by.is_none() {
                found.lacks(&place.unseen("the pull requests of a commit"));
            }
            let attributes =
                known([("committed_at", Some(Value::Time(commit.committed_date))), ("merged_by", merged_by.as_deref().map(text))]);
            found.add(format!("github:{}/commits/{}", place.repo, commit.oid), attributes);
        }
        let counted = pages.first().and_then(|page| page.total_count);
        let listed = found.resources.len() as u64;
        if let Some(counted) = counted.filter(|counted| *counted != listed) {
            let detail = format!("{} counts {counted} commits, and lists {listed}", place.repo);
            found.lacks(&incomplete(Unseen::Inconsistent, detail));
        }
        counted
    }

    /// The pull requests merged into `place` since `since`: how many, and those whose merge is not among `commits`.
    async fn pulls(&mut self, place: &Place<'_>, since: Timestamp, found: &mut Found, commits: &mut Found) {
        let recent = |answer: &Answer<Tip>| answer.pulls().is_some_and(|page| page.items().all(|pull| pull.updated_at >= since));
        let mut given = place.given();
        given["branch"] = place.branch.into();
        let on = |pages: &[Answer<Tip>]| pages.len() < PAGES && pages.last().is_some_and(recent);
        let read = self.ask_while::<Answer<Tip>>("graphql-config-pulls", PULLS, given, on).await;
        read.omitted.iter().for_each(|omitted| found.lacks(&read.left_out(omitted)));
        found.lacks(&read.seen);
        let pages: Vec<_> = read.pages.iter().filter(|answer| place.is(answer)).filter_map(Answer::pulls).collect();
        let cut = pages.last().is_some_and(|page| page.page_info.has_next_page) && read.pages.last().is_some_and(recent);
        let shown = pages.len() == read.pages.len().max(1) && pages.iter().all(|page| page.shown()) && !cut;
        if !shown {
            found.lacks(&place.unseen("the merged pull requests"));
        }
        approve(commits, pages.iter().flat_map(|page| page.items()));
        // Of a list that was not read to its end nothing is said.
        let whole = shown && read.seen.is_complete() && read.omitted.is_empty();
        let Some(branch) = found.resources.get_mut(place.id().as_str()).filter(|_| whole) else { return };
        let merged = |pull: &&Merged| pull.merged_at.is_some_and(|at| at >= since);
        let merged: Vec<&Merged> = pages.iter().flat_map(|page| page.items()).filter(merged).collect();
        let on_branch = |pull: &Merged| {
            let oid = pull.merge_commit.as_ref().map(|commit| &commit.oid);
            oid.is_some_and(|oid| commits.resources.contains_key(format!("github:{}/commits/{oid}", place.repo).as_str()))
        };
        // Of a branch that was not read to its end nothing is missing for certain.
        if commits.seen.is_complete() {
            let lost: BTreeSet<u64> = merged.iter().filter(|pull| !on_branch(pull)).map(|pull| pull.number).collect();
            let lost = lost.iter().map(|number| format!("#{number}")).collect::<Vec<_>>().join(", ");
            branch.set("lost_merges", text(&lost));
        }
        branch.set("merged_pulls", Value::Long(i64::try_from(merged.len()).unwrap_or(i64::MAX)));
    }
}

/// Says of each of `commits` who approved the one of `pulls` that brought it in.
fn approve<'p>(commits: &mut Found, pulls: impl Iterator<Item = &'p Merged>) {
    let approved: BTreeMap<String, String> =
        pulls.filter_map(|pull| Some((format!("#{}", pull.number), pull.approved_by()?))).collect();
    for commit in commits.resources.values_mut() {
        if let Some(by) = commit.text("merged_by").and_then(|pull| approved.get(pull)) {
            commit.set("approved_by", text(by));
        }
    }
}

impl Merged {
    /// Who approved what was merged of it, apart from who opened it and who wrote a commit of it: a review of an earlier state approves
    /// nothing of what came after. Empty when nobody did, `None` when that was not shown, or when it may be one who wrote of it.
    fn approved_by(&self) -> Option<String> {
        let reviews = self.latest_opinionated_reviews.as_ref().filter(|page| page.whole())?;
        let head = self.head_ref_oid.as_ref()?;
        let of_all = |review: &&Review| review.commit.as_ref().is_some_and(|commit| commit.oid == *head);
        let approvals = reviews.items().filter(|review| review.state == "APPROVED").filter(of_all);
        let (known, all_known) = self.writers();
        let names: BTreeSet<&str> = approvals
            .filter_map(|review| Some(review.author.as_ref()?.login.as_str()))
            .filter(|login| !known.contains(&login.to_lowercase()))
            .collect();
        (names.is_empty() || all_known).then(|| names.into_iter().collect::<Vec<_>>().join(", "))
    }

    /// Who opened it and who wrote its commits, in lower case; and whether that is everybody.
    fn writers(&self) -> (BTreeSet<String>, bool) {
        let commits = self.commits.as_ref();
        let authors = || commits.into_iter().flat_map(|page| page.items()).map(|one| one.commit.as_ref()?.authors.as_ref());
        let people = || authors().flatten().flat_map(|page| page.items()).map(|person| person.user.as_ref());
        let whole = commits.is_some_and(Page::whole) && authors().all(|page| page.is_some_and(Page::whole));
        let known = people().flatten().chain(&self.author).map(|author| author.login.to_lowercase());
        (known.collect(), whole && people().all(|user| user.is_some()))
    }
}

impl Commit {
    /// The merged pull request of `place` that brought it in; empty when there is none, `None` when that was not shown.
    fn merged_by(&self, place: &Place<'_>) -> Option<String> {
        let page = self.associated_pull_requests.as_ref().filter(|page| page.shown())?;
        let here = |base: &Named| base.name_with_owner.eq_ignore_ascii_case(place.repo);
        let ours =
            |pull: &&Pull| pull.merged && pull.base_ref_name == place.branch && pull.base_repository.as_ref().is_some_and(here);
        match page.items().find(ours) {
            Some(pull) => Some(format!("#{}", pull.number)),
            None => (!page.page_info.has_next_page).then(String::new),
        }
    }
}
