//! Asks sources of GitHub ahead of rotations what their logins may do: each place once.

use std::collections::{BTreeMap, BTreeSet};

use super::{Asker, github};
use crate::collectors::github_rights::of_github;
use crate::model::catalog::SourceKind;
use crate::model::id::SourceId;
use crate::model::preflight::Facts;

impl Asker<'_> {
    /// Asks for each of `places`, a repository of a source or its organisation, and adds the answers to `facts`.
    pub(super) async fn github_rights(&self, places: impl Iterator<Item = &(SourceId, Option<String>)>, facts: &mut Facts) {
        let mut wanted: BTreeMap<&SourceId, (BTreeSet<String>, bool)> = BTreeMap::new();
        for (source, repo) in places {
            let (repos, org) = wanted.entry(source).or_default();
            match repo {
                Some(repo) => drop(repos.insert(repo.clone())),
                None => *org = true,
            }
        }
        for (source, (mut repos, org)) in wanted {
            let Some(SourceKind::Github(settings)) = self.catalog.settings.sources.get(source) else { continue };
            let known = facts.github.remove(source);
            repos.retain(|repo| known.as_ref().is_none_or(|known| !known.repos.contains_key(repo)));
            let org = (org && known.as_ref().is_none_or(|known| known.owner.is_none())).then_some(settings.org.as_str());
            let client = github(settings, self.sessions);
            let mut found = of_github(&client, &repos, org).await;
            if let Some(known) = known {
                found.repos.extend(known.repos);
                found.owner = found.owner.or(known.owner);
                found.login = known.login.better(found.login);
            }
            facts.requests += client.take_log().requests;
            facts.github.insert(source.clone(), found);
        }
    }
}
