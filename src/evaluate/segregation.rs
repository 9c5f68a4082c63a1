//! Whether one identity can change both policy and evidence, by the rules of their branches at GitHub as they were observed.

use std::collections::BTreeSet;

use crate::model::catalog::{Catalog, GithubConfig, SourceKind};
use crate::model::id::SourceId;
use crate::model::segregation::{EVERYBODY, Segregation, Verdict, is_group, may_be_one};
use crate::model::snapshot::{Completeness, Population, Resource, Snapshot};

/// One for each source that holds the config repo.
#[must_use]
pub fn segregation(catalog: &Catalog, snapshot: &Snapshot) -> Vec<Segregation> {
    let held = catalog.settings.sources.iter().filter_map(|(source, kind)| match kind {
        SourceKind::Github(org) => Some((source, org.config.as_ref()?)),
        _ => None,
    });
    let evidence = |config: &GithubConfig| (config.evidence_repo().to_owned(), catalog.settings.locker.branch.clone());
    held.map(|(source, config)| {
        let (repo, branch) = evidence(config);
        Segregation {
            source: source.clone(),
            policy: format!("{} {}", config.repo, config.branch),
            evidence: format!("{repo} {branch}"),
            verdict: verdict(source, config, snapshot),
        }
    })
    .collect()
}

/// A branch whose rules cannot be seen is unseen, never fine.
fn verdict(source: &SourceId, config: &GithubConfig, snapshot: &Snapshot) -> Verdict {
    let ours = |one: &&Population| one.entity.as_str() == "GitHub::Branch" && one.source == *source;
    let Some(branches) = snapshot.populations.iter().find(ours) else {
        return Verdict::Unseen("GitHub was not asked for the rules of the branches".to_owned());
    };
    let alone = |holds: &str| {
        let branch = branches.resources.iter().find(|branch| branch.text("holds") == Some(holds));
        branch.and_then(names).ok_or_else(|| match &branches.completeness {
            Completeness::Incomplete { detail, .. } => detail.clone(),
            Completeness::Complete => format!("the rules of the branch of the {holds}"),
        })
    };
    match (alone("policy"), alone("evidence")) {
        (Ok(policy), Ok(evidence)) => because(both((&config.repo, &policy), (config.evidence_repo(), &evidence)), branches),
        (Err(unseen), _) | (_, Err(unseen)) => Verdict::Unseen(unseen),
    }
}

/// `verdict` with the reason why the members of teams were not shown, where it is not known.
fn because(verdict: Verdict, branches: &Population) -> Verdict {
    let hidden: BTreeSet<&str> = branches.resources.iter().filter_map(|branch| branch.text("unseen_teams")).collect();
    match verdict {
        Verdict::Unseen(what) if !hidden.is_empty() => {
            Verdict::Unseen(format!("{what}: {}", hidden.into_iter().collect::<Vec<_>>().join("; ")))
        }
        other => other,
    }
}

/// Who may change the branch alone.
fn names(branch: &Resource) -> Option<BTreeSet<String>> {
    Some(branch.text("alone")?.split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// Who is in both, each with the repository it is of.
fn both((policy_repo, policy): (&str, &BTreeSet<String>), (evidence_repo, evidence): (&str, &BTreeSet<String>)) -> Verdict {
    if policy.is_empty() || evidence.is_empty() {
        return Verdict::Apart;
    }
    let one_repo = policy_repo.eq_ignore_ascii_case(evidence_repo);
    let (free, bound) = if policy.contains(EVERYBODY) { (policy_repo, evidence) } else { (evidence_repo, policy) };
    match (policy.contains(EVERYBODY), evidence.contains(EVERYBODY)) {
        (true, true) if one_repo => Verdict::Shared([format!("whoever may push to {policy_repo}")].into()),
        (true, true) => {
            Verdict::Unseen(format!("who may push to {policy_repo} and to {evidence_repo} is not shown by their rules"))
        }
        // Whoever may push to a branch may push to any other of its repository that has no rules.
        (true, false) | (false, true) if one_repo => Verdict::Shared(bound.clone()),
        (true, false) | (false, true) => {
            Verdict::Unseen(format!("whether {} may push to {free} is not shown by its rules", listed(bound)))
        }
        (false, false) => named(policy, evidence, one_repo),
    }
}

fn named(policy: &BTreeSet<String>, evidence: &BTreeSet<String>, one_repo: bool) -> Verdict {
    // A role, an administrator or a deploy key of one repository is none of another.
    let everywhere = |name: &str| ["user ", "app ", "team ", "owners "].iter().any(|word| name.starts_with(word));
    let shared: BTreeSet<String> = policy.intersection(evidence).filter(|name| one_repo || everywhere(name)).cloned().collect();
    if !shared.is_empty() {
        return Verdict::Shared(shared);
    }
    let pairs = policy.iter().flat_map(|one| evidence.iter().map(move |other| (one, other)));
    let maybe = pairs.filter(|(one, other)| is_group(one) || is_group(other)).find(|(one, other)| may_be_one(one, other));
    match maybe {
        Some((one, other)) => Verdict::Unseen(format!("whether anybody is both {one} and {other} is not shown")),
        None => Verdict::Apart,
    }
}

fn listed(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::evaluate::tests::world;
    use crate::model::catalog::GithubSource;
    use crate::model::snapshot::{Unseen, Value};
    use crate::model::time::Timestamp;

    /// The verdict where the branches may be changed by these alone; `None` was not shown.
    fn of(policy: Option<&str>, evidence: Option<&str>, elsewhere: bool) -> Verdict {
        let mut catalog = world().catalog;
        let config = GithubConfig {
            repo: "acme/policy".to_owned(),
            branch: "main".to_owned(),
            evidence_repo: elsewhere.then(|| "acme/evidence".to_owned()),
            explained: Default::default(),
        };
        let org = GithubSource { org: "acme".to_owned(), config: Some(config), ..GithubSource::default() };
        catalog.settings.sources.insert("org".into(), SourceKind::Github(org));
        let branch = |holds: &str, alone: Option<&str>| {
            let mut facts = vec![("holds".into(), Value::Text(holds.into()))];
            facts.extend(alone.map(|alone| ("alone".into(), Value::Text(alone.into()))));
            Resource::new(holds.into(), facts)
        };
        let unseen = Completeness::Incomplete { cause: Unseen::Denied, detail: "rules were not shown".to_owned() };
        let branches = Population {
            source: "org".into(),
            scope: "acme".to_owned(),
            entity: "GitHub::Branch".into(),
            completeness: if policy.and(evidence).is_some() { Completeness::Complete } else { unseen },
            resources: Arc::new(vec![branch("policy", policy), branch("evidence", evidence)]),
        };
        let snapshot = Snapshot { taken: Timestamp::UNIX_EPOCH, populations: vec![branches], receipts: Vec::new() };
        let all = segregation(&catalog, &snapshot);
        assert_eq!((all.len(), all[0].policy.as_str()), (1, "acme/policy main"));
        all[0].verdict.clone()
    }

    fn shared(names: &[&str]) -> Verdict {
        Verdict::Shared(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn one_identity_that_may_change_policy_and_evidence_alone_is_named() {
        assert_eq!(of(Some("*"), Some("*"), false), shared(&["whoever may push to acme/policy"]));
        assert_eq!(of(Some("*"), Some("app slm"), false), shared(&["app slm"]), "nothing guards the policy from it");
        assert_eq!(of(Some("app bot, app slm"), Some("app slm"), true), shared(&["app slm"]));
        assert_eq!(of(Some("administrators"), Some("administrators"), false), shared(&["administrators"]));
    }

    #[test]
    fn branches_that_nobody_may_both_change_alone_are_apart() {
        assert_eq!(of(Some(""), Some("*"), false), Verdict::Apart, "policy needs an approval of whoever changes it");
        assert_eq!(of(Some("user ada"), Some("app slm"), false), Verdict::Apart);
        assert_eq!(of(Some("team acme/sec"), Some("app slm"), false), Verdict::Apart, "an app is in no team");
    }

    #[test]
    fn why_the_members_of_a_team_were_not_shown_is_said_where_it_matters() {
        let branch = |why: Option<&str>| {
            let why = why.map(|why| ("unseen_teams".into(), Value::Text(why.into())));
            Resource::new(format!("{why:?}").into(), why.into_iter().collect())
        };
        let branches = Population {
            source: "org".into(),
            scope: "acme".to_owned(),
            entity: "GitHub::Branch".into(),
            completeness: Completeness::Complete,
            resources: Arc::new(vec![branch(None), branch(Some("status 403"))]),
        };
        assert_eq!(
            because(Verdict::Unseen("not shown".to_owned()), &branches),
            Verdict::Unseen("not shown: status 403".to_owned())
        );
        assert_eq!(because(Verdict::Apart, &branches), Verdict::Apart);
        assert_eq!(because(shared(&["app slm"]), &branches), shared(&["app slm"]));
    }

    #[test]
    fn what_the_rules_do_not_show_is_unseen_and_never_fine() {
        assert_eq!(of(None, Some("app slm"), false), Verdict::Unseen("rules were not shown".to_owned()));
        assert_eq!(of(Some(""), None, false), Verdict::Unseen("rules were not shown".to_owned()));
        for (policy, evidence, elsewhere, part) in [
            ("*", "*", true, "who may push to acme/policy and to acme/evidence"),
            ("*", "app slm", true, "whether app slm may push to acme/policy"),
            ("team acme/sec", "user ada", false, "both team acme/sec and user ada"),
            ("administrators", "administrators", true, "both administrators and administrators"),
        ] {
            let Verdict::Unseen(why) = of(Some(policy), Some(evidence), elsewhere) else { panic!("{policy} {evidence}") };
            assert!(why.contains(part), "{why}");
        }
    }
}
