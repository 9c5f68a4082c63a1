//! Commits of the config repo against the pull requests that were merged into its branch at GitHub.

use std::collections::BTreeMap;

use crate::model::catalog::{Catalog, GithubConfig, SourceKind};
use crate::model::id::SourceId;
use crate::model::reconcile::{Counter, Reconciled};
use crate::model::snapshot::{Completeness, Population, Resource, Snapshot, Unseen};

const COMMIT: &str = "Git::Commit";
const AT_GITHUB: &str = "GitHub::Commit";
/// Differences told by name.
const TOLD: usize = 20;

/// What GitHub says of the branch that pull requests are merged into.
struct Merged<'c> {
    source: SourceId,
    config: &'c GithubConfig,
    /// By commit, the pull request that brought it in; empty when there is none, `None` when that was not shown.
    by: BTreeMap<String, Option<String>>,
    /// Pull requests whose merge the branch does not have.
    lost: Vec<String>,
    /// Whether the branch and its pull requests were seen whole.
    seen: Completeness,
}

/// Compares the commits at GitHub, and those of the config repo, with merged pull requests; a list that they do not explain is marked as
/// incomplete.
pub(super) fn reconcile(catalog: &Catalog, snapshot: &mut Snapshot) -> Vec<Reconciled> {
    let mut all = Vec::new();
    for (source, kind) in &catalog.settings.sources {
        let SourceKind::Github(org) = kind else { continue };
        let Some(config) = &org.config else { continue };
        let merged = merged(source, config, snapshot);
        let held = config_repos(snapshot);
        let ours = |one: &&mut Population| match one.entity.as_str() {
            AT_GITHUB => one.source == *source,
            COMMIT => held.contains(&one.source),
            _ => false,
        };
        for population in snapshot.populations.iter_mut().filter(ours) {
            let compared = compared(population, &merged);
            // Of a list that was not seen whole nothing is missing for certain, and it is incomplete already.
            if !compared.agrees && population.completeness.is_complete() {
                let detail = format!("merged pull requests do not explain {}", compared.differ.join(", "));
                population.completeness = Completeness::Incomplete { cause: Unseen::Inconsistent, detail };
            }
            all.push(compared);
        }
    }
    all
}

/// Git sources that are the config repo.
fn config_repos(snapshot: &Snapshot) -> Vec<SourceId> {
    let is = |one: &&Population| one.entity.as_str() == "Git::Repo" && one.resources.iter().any(|repo| repo.is("is_config_repo"));
    snapshot.populations.iter().filter(is).map(|one| one.source.clone()).collect()
}

fn merged<'c>(source: &SourceId, config: &'c GithubConfig, snapshot: &Snapshot) -> Merged<'c> {
    let of = |entity: &str| snapshot.populations.iter().find(|one| one.entity.as_str() == entity && one.source == *source);
    let (commits, branches) = (of(AT_GITHUB), of("GitHub::Branch"));
    let policy = branches.and_then(|one| one.resources.iter().find(|branch| branch.text("holds") == Some("policy")));
    let by = commits.into_iter().flat_map(|one| one.resources.iter());
    let by = by.map(|commit| (sha(commit).to_owned(), commit.text("merged_by").map(str::to_owned))).collect();
    let lost = policy.and_then(|branch| branch.text("lost_merges"));
    let nowhere = || Completeness::Incomplete { cause: Unseen::NotCollected, detail: "GitHub was not asked".to_owned() };
    let seen = match (commits.map(|one| &one.completeness), lost) {
        (None, _) => nowhere(),
        (Some(Completeness::Complete), None) => branches.map_or_else(nowhere, |one| match &one.completeness {
            Completeness::Complete => nowhere(),
            unseen @ Completeness::Incomplete { .. } => unseen.clone(),
        }),
        (Some(seen), _) => seen.clone(),
    };
    let lost = lost.into_iter().flat_map(|lost| lost.split(", ")).filter(|pull| !pull.is_empty()).map(str::to_owned).collect();
    Merged { source: source.clone(), config, by, lost, seen }
}

fn compared(population: &Population, merged: &Merged<'_>) -> Reconciled {
    let (mut brought, mut differ, mut explained) = (0_u64, Vec::new(), Vec::new());
    let (repo, branch) = (&merged.config.repo, &merged.config.branch);
    for commit in population.resources.iter() {
        let sha = sha(commit);
        match (merged.by.get(sha), merged.config.explained.get(sha)) {
            (Some(Some(pull)), _) if !pull.is_empty() => brought += 1,
            (Some(_), Some(why)) => explained.push(format!("`{sha}`: {why}")),
            (Some(Some(_)), None) => differ.push(format!("`{sha}`, which no merged pull request brought in")),
            (Some(None), None) => differ.push(format!("`{sha}`, whose pull requests were not shown")),
            (None, _) => differ.push(format!("`{sha}`, which `{branch}` of {repo} does not have")),
        }
    }
    if population.source == merged.source {
        for pull in &merged.lost {
            match merged.config.explained.get(pull) {
                Some(why) => explained.push(format!("{pull}: {why}")),
                None => differ.push(format!("{pull}, whose merge `{branch}` does not have")),
            }
        }
    }
    let whole = merged.seen.is_complete();
    if let Completeness::Incomplete { detail, .. } = &merged.seen {
        differ = vec![format!("anything, as they were not seen whole: {detail}")];
    }
    let more = differ.len().saturating_sub(TOLD);
    differ.truncate(TOLD);
    differ.extend((more > 0).then(|| format!("and {more} more")));
    Reconciled {
        source: population.source.clone(),
        scope: population.scope.clone(),
        entity: population.entity.clone(),
        by: Counter::PullRequests,
        listed: population.resources.len() as u64,
        counted: whole.then_some(brought),
        agrees: differ.is_empty(),
        differ,
        explained,
    }
}

/// The full name of a commit: what follows the last `/` or `:` of its id.
fn sha(commit: &Resource) -> &str {
    commit.id.as_str().rsplit(['/', ':']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::evaluate::reconcile::reconcile;
    use crate::evaluate::tests::world;
    use crate::model::catalog::GithubSource;
    use crate::model::snapshot::Value;
    use crate::model::time::Timestamp;

    fn population(source: &str, entity: &str, resources: Vec<Resource>) -> Population {
        Population {
            source: source.into(),
            scope: ".".to_owned(),
            entity: entity.into(),
            completeness: Completeness::Complete,
            resources: Arc::new(resources),
        }
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    /// Commits `a b c` here; at GitHub those of `there` with their pull requests, and merges that the branch has lost.
    fn seen(there: &[(&str, &str)], lost: Option<&str>, direct: &[(&str, &str)]) -> (Snapshot, Vec<Reconciled>) {
        let mut catalog = world().catalog;
        let config = GithubConfig {
            repo: "acme/policy".to_owned(),
            branch: "main".to_owned(),
            evidence_repo: None,
            explained: direct.iter().map(|&(sha, why)| (sha.to_owned(), why.to_owned())).collect(),
        };
        let org = GithubSource { org: "acme".to_owned(), config: Some(config), ..GithubSource::default() };
        catalog.settings.sources.insert("org".into(), SourceKind::Github(org));
        let here = ["a", "b", "c"].map(|sha| Resource::new(format!("git:{sha}").as_str().into(), Vec::new())).to_vec();
        let of = |&(sha, pull): &(&str, &str)| {
            Resource::new(format!("github:acme/policy/commits/{sha}").as_str().into(), vec![("merged_by".into(), text(pull))])
        };
        let mut branch = vec![("holds".into(), text("policy"))];
        branch.extend(lost.map(|lost| ("lost_merges".into(), text(lost))));
        let repo = Resource::new("git:config/main".into(), vec![("is_config_repo".into(), Value::Bool(true))]);
        let populations = vec![
            population("config", COMMIT, here),
            population("config", "Git::Repo", vec![repo]),
            population("org", "GitHub::Branch", vec![Resource::new("github:acme/policy/branches/main".into(), branch)]),
            population("org", AT_GITHUB, there.iter().map(of).collect()),
        ];
        let mut snapshot = Snapshot { taken: Timestamp::UNIX_EPOCH, populations, receipts: Vec::new() };
        let all = reconcile(&catalog, &mut snapshot);
        (snapshot, all)
    }

    fn complete(snapshot: &Snapshot) -> [bool; 2] {
        [0, 3].map(|at| snapshot.populations[at].completeness.is_complete())
    }

    #[test]
    fn commits_that_merged_pull_requests_brought_in_agree_with_them() {
        let (snapshot, all) = seen(&[("a", "#1"), ("b", "#1"), ("c", "#2")], Some(""), &[]);
        let told: Vec<_> = all.iter().map(|one| (one.entity.as_str(), one.by, one.listed, one.counted, one.agrees)).collect();
        let by = Counter::PullRequests;
        assert_eq!(told, [(COMMIT, by, 3, Some(3), true), (AT_GITHUB, by, 3, Some(3), true)]);
        assert_eq!(complete(&snapshot), [true, true]);
    }

    #[test]
    fn a_commit_that_no_merged_pull_request_explains_is_named_and_makes_its_population_incomplete() {
        let (snapshot, all) = seen(&[("a", "#1"), ("b", "")], Some("#7"), &[]);
        assert_eq!(
            all[0].differ,
            ["`b`, which no merged pull request brought in", "`c`, which `main` of acme/policy does not have"]
        );
        assert_eq!(all[1].differ, ["`b`, which no merged pull request brought in", "#7, whose merge `main` does not have"]);
        assert_eq!((all[0].counted, all[1].counted), (Some(1), Some(1)));
        assert_eq!(complete(&snapshot), [false, false]);
        let Completeness::Incomplete { detail, .. } = &snapshot.populations[0].completeness else { panic!("complete") };
        assert!(detail.starts_with("merged pull requests do not explain `b`"), "{detail}");
    }

    #[test]
    fn a_commit_that_the_config_explains_is_told_with_its_reason() {
        let direct = [("b", "the first commit, SEC-1"), ("c", "SEC-2"), ("#7", "taken back, SEC-3")];
        let (snapshot, all) = seen(&[("a", "#1"), ("b", ""), ("c", "")], Some("#7"), &direct);
        assert_eq!(all[0].explained, ["`b`: the first commit, SEC-1", "`c`: SEC-2"]);
        assert_eq!((all[1].explained.last().map(String::as_str), all[1].agrees), (Some("#7: taken back, SEC-3"), true));
        assert_eq!((all[0].counted, all[0].agrees, complete(&snapshot)), (Some(1), true, [true, true]));
    }

    #[test]
    fn pull_requests_that_were_not_seen_explain_nothing() {
        let (snapshot, all) = seen(&[("a", "#1"), ("b", "#1"), ("c", "#2")], None, &[]);
        assert_eq!((all[0].counted, all[0].agrees, complete(&snapshot)), (None, false, [false, false]));
        assert!(all[0].differ[0].contains("not seen whole"), "{:?}", all[0].differ);
    }
}
