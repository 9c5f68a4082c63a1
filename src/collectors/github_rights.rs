//! Asks GitHub ahead of a rotation what a login may do, without changing anything: one request a repository, one for an
//! organisation, and one for an App.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::model::rights::{GithubLogin, GithubRepo, GithubRights, GithubRole};
use crate::transport::github::{Answer, Failure, Github, segment};

#[derive(Deserialize)]
struct Installation {
    permissions: BTreeMap<String, String>,
    #[serde(default)]
    suspended_at: Option<String>,
}

#[derive(Deserialize)]
struct Repository {
    #[serde(default)]
    archived: bool,
    /// Counts as private when it is not told, which permits less.
    #[serde(default)]
    private: Option<bool>,
    #[serde(default)]
    permissions: Option<Roles>,
}

#[derive(Deserialize)]
struct Roles {
    admin: bool,
    push: bool,
}

#[derive(Deserialize)]
struct Membership {
    state: String,
    role: String,
}

impl Repository {
    fn seen(&self) -> GithubRepo {
        let role = self.permissions.as_ref().map(|roles| match roles {
            Roles { admin: true, .. } => GithubRole::Admin,
            Roles { push: true, .. } => GithubRole::Write,
            Roles { .. } => GithubRole::Read,
        });
        GithubRepo { archived: self.archived, public: self.private == Some(false), role }
    }
}

/// What the login of `github` may do in `repos`, and in the organisation `org` when something is changed there.
pub async fn of_github(github: &Github, repos: &BTreeSet<String>, org: Option<&str>) -> GithubRights {
    let mut scopes = None;
    let mut asked = BTreeMap::new();
    for repo in repos {
        let route = format!("/repos/{}", repo.split('/').map(segment).collect::<Vec<_>>().join("/"));
        let seen = match github.get(&route).await {
            Ok(answer) => {
                scopes = scopes.or_else(|| told(&answer));
                let seen = answer.read::<Repository>().map(|repo| Some(repo.seen()));
                seen.map_err(|failure| format!("repository `{repo}` was not seen: {failure}"))
            }
            Err(Failure::Status(404)) => Ok(None),
            Err(failure) => Err(format!("repository `{repo}` was not seen: {failure}")),
        };
        asked.insert(repo.clone(), seen);
    }
    if github.app().is_some() {
        return GithubRights { login: installed(github).await, repos: asked, owner: None };
    }
    let owner = match org {
        None => None,
        Some(org) => Some(match github.get(&format!("/user/memberships/orgs/{}", segment(org))).await {
            Ok(answer) => {
                scopes = scopes.or_else(|| told(&answer));
                let seen = answer.read::<Membership>().map(|it| it.state == "active" && it.role == "admin");
                seen.map_err(|failure| format!("the membership in `{org}` was not seen: {failure}"))
            }
            Err(failure) => Err(format!("the membership in `{org}` was not seen: {failure}")),
        }),
    };
    let untold = "GitHub tells what classic tokens may do, and of this one it does not".to_owned();
    GithubRights { login: scopes.map_or(GithubLogin::Untold(untold), GithubLogin::Classic), repos: asked, owner }
}

/// What the App was given.
async fn installed(github: &Github) -> GithubLogin {
    let read = match github.installation().await {
        Ok(Some(answer)) => answer.read::<Installation>(),
        Ok(None) => Err(Failure::NoKey),
        Err(failure) => Err(failure),
    };
    match read {
        Ok(it) => GithubLogin::App { permissions: it.permissions, suspended: it.suspended_at.is_some() },
        Err(failure) => GithubLogin::Untold(format!("the installation of the App was not seen: {failure}")),
    }
}

/// The scopes of a classic token. Tokens that have none say so with an empty list or with no list at all.
fn told(answer: &Answer) -> Option<BTreeSet<String>> {
    let all: BTreeSet<String> = answer.scopes.as_deref()?.split(',').map(|scope| scope.trim().to_owned()).collect();
    if all.iter().all(String::is_empty) { None } else { Some(all) }
}
