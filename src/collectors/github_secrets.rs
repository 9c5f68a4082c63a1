//! Secrets of an organisation by name, never a value: its own, and on request those of its repositories and environments.

use serde_json::json;

use super::github_bodies::{Named, Secrets};
use super::github_repos::Below;
use super::github_run::{Found, Pages, Run, incomplete};
use crate::model::receipt::Operation;
use crate::model::snapshot::{Unseen, Value};
use crate::transport::github::segment;

/// Places that keep secrets for one part of GitHub each.
const KINDS: [&str; 3] = ["actions", "dependabot", "codespaces"];

impl Run<'_> {
    /// Reads them; `below` says which repositories and environments there are.
    pub async fn secrets(&mut self, below: &Below) -> Found {
        let mut found = Found::new();
        for kind in self.kinds() {
            let route = format!("/orgs/{}/{kind}/secrets?per_page=100", segment(&self.config.org));
            let name = format!("GET /orgs/{{org}}/{kind}/secrets");
            let read = self.list::<Secrets>(&name, &route, |page| page.secrets.len() as u64, true).await;
            add(&mut found, &format!("{}/{kind}", self.config.org), &read);
        }
        if self.config.repo_secrets {
            self.secrets_below(&mut found, below).await;
        } else {
            let detail = "secrets of repositories and environments are not read; set `repo-secrets = true`";
            found.lacks(&incomplete(Unseen::NotCollected, detail.to_owned()));
        }
        found
    }

    /// GitHub Enterprise Server has no Codespaces.
    fn kinds(&self) -> impl Iterator<Item = &'static str> + use<> {
        let server = self.github.is_server();
        KINDS.into_iter().filter(move |kind| !server || *kind != "codespaces")
    }

    /// No list spans repositories: this is a call for each of them and each environment, all noted as one operation a kind.
    async fn secrets_below(&mut self, found: &mut Found, below: &Below) {
        let repos: Vec<String> =
            below.repos.resources.keys().map(|id| id.as_str().trim_start_matches("github:").to_owned()).collect();
        let path = |repo: &str| repo.split('/').map(segment).collect::<Vec<_>>().join("/");
        for kind in self.kinds() {
            let places = repos.iter().map(|repo| (format!("{repo}/{kind}"), format!("/repos/{}/{kind}/secrets", path(repo))));
            self.each(found, &format!("GET /repos/{{owner}}/{{repo}}/{kind}/secrets"), places.collect()).await;
        }
        let places = below.places.iter().map(|(repo, environment)| {
            let route = format!("/repos/{}/environments/{}/secrets", path(repo), segment(environment));
            (format!("{repo}/environments/{environment}"), route)
        });
        self.each(found, "GET /repos/{owner}/{repo}/environments/{environment_name}/secrets", places.collect()).await;
        found.lacks(&below.repos.seen);
        found.lacks(&below.environments.seen);
    }

    /// Reads the list of each of `places`, until one is throttled, ended or out of reach: the next would be too.
    async fn each(&mut self, found: &mut Found, name: &str, places: Vec<(String, String)>) {
        let mut all = Operation {
            name: format!("github:{name}"),
            parameters: json!({ "lists": places.len() }),
            pages: 0,
            requests: 0,
            items: 0,
            request_ids: Vec::new(),
        };
        for (place, route) in places {
            let first = usize::try_from(all.pages).unwrap_or(usize::MAX).saturating_add(1);
            let count = |page: &Secrets| page.secrets.len() as u64;
            let read = self.list_from(name, &format!("{route}?per_page=100"), count, Some(first)).await;
            all.pages += read.operation.pages;
            all.requests += read.operation.requests;
            all.items += read.operation.items;
            all.request_ids.extend(read.operation.request_ids.iter().cloned());
            add(found, &place, &read);
            if read.over {
                break;
            }
        }
        self.operations.push(all);
    }
}

fn add(found: &mut Found, place: &str, read: &Pages<Secrets>) {
    let named =
        |secret: &Named| (format!("github:{place}/{}", secret.name), vec![("updated_at".into(), Value::Time(secret.updated_at))]);
    let mut count = 0;
    for (id, attributes) in read.pages.iter().flat_map(|page| &page.secrets).map(named) {
        count += 1;
        found.add(id, attributes);
    }
    found.lacks(&read.seen);
    if read.pages.last().is_some_and(|page| page.total_count != count) {
        found.lacks(&incomplete(Unseen::Inconsistent, format!("the count of the secrets of {place} differs from their list")));
    }
}
