//! Secrets of the same name nearer to a workflow: environment before repository before organisation.

use serde::Deserialize;

use super::github_home::{pages, repo_route, route_of};
use crate::model::catalog::{GithubSecretConsumer, GithubStore};
use crate::transport::github::{Failure, Github, segment};

#[derive(Deserialize)]
struct Environments {
    environments: Vec<Named>,
}

#[derive(Deserialize)]
struct Secrets {
    secrets: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// Places that override one of `names` although they may not: `DB_PASSWORD in environment prod`. For an organisation only the
/// repositories that the config names are looked at.
pub(super) async fn shadows(github: &Github, config: &GithubSecretConsumer, names: &[String]) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    match (&config.repo, config.store) {
        (Some(repo), GithubStore::Actions) if config.environment.is_none() => {
            let repo = repo_route(repo);
            let all = pages::<Environments>(github, format!("{repo}/environments?per_page=100")).await?;
            for Named { name } in all.into_iter().flat_map(|page| page.environments) {
                if !config.overridden_in.contains(&name) {
                    let route = format!("{repo}/environments/{}/secrets?per_page=100", segment(&name));
                    found.extend(same(github, route, names, &format!("environment `{name}`")).await?);
                }
            }
        }
        (None, store) => {
            for repo in config.repos.iter().filter(|repo| !config.overridden_in.contains(repo)) {
                let route = format!("{}/{}/secrets?per_page=100", repo_route(repo), route_of(store));
                found.extend(same(github, route, names, &format!("repository `{repo}`")).await?);
            }
        }
        _ => {}
    }
    Ok(found)
}

async fn same(github: &Github, route: String, names: &[String], place: &str) -> Result<Vec<String>, Failure> {
    let all = pages::<Secrets>(github, route).await?;
    let all = all.into_iter().flat_map(|page| page.secrets).filter(|secret| names.contains(&secret.name));
    Ok(all.map(|secret| format!("`{}` in {place}", secret.name)).collect())
}
