//! Checks that no two consumers write one place: each would undo what the other wrote, run after run.

use std::collections::BTreeMap;

use super::checks::Repo;
use super::raw_managed::Consumer;
use super::text::{Doc, Item, error};
use crate::model::catalog::{GithubSecretConsumer, GithubStore, Visibility};
use crate::model::diagnostic::Diagnostic;

/// What a consumer writes: one place of those that are told apart by `at` and `name`.
struct Written {
    code: &'static str,
    /// The keys that lead to it, below the consumer.
    keys: [&'static str; 2],
    /// Where it is, in letters by which the same place is the same text.
    at: String,
    name: String,
    /// It, for people.
    shown: String,
}

/// Who writes a place: the credential's id, the file that says so, and the consumer in it.
type Writer<'a> = (&'a str, &'a str, &'a str);

/// No two consumers write one file, one secret or variable of GitHub, or run one workflow for two credentials.
pub fn shared(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    let mut taken: BTreeMap<(String, String), Writer<'_>> = BTreeMap::new();
    for Item { doc, raw } in &repo.credentials {
        for (index, consumer) in raw.consumer.iter().enumerate() {
            let own = (doc.stem, doc.path, consumer.id.as_str());
            let mut said = false;
            for one in written(repo, consumer) {
                let first = *taken.entry((one.at.clone(), one.name.clone())).or_insert(own);
                // Two consumers of one credential wait for one run of a workflow.
                let together = one.code == "slm::shared-workflow" && first.0 == own.0;
                if first != own && !together && !said {
                    said = true;
                    complain(doc, &index.to_string(), &one, first, out);
                }
            }
        }
    }
}

fn complain(doc: &Doc<'_>, index: &str, one: &Written, (_, file, id): Writer<'_>, out: &mut Vec<Diagnostic>) {
    let message = format!("{} already belongs to consumer `{id}` of `{file}`", one.shown);
    let help = "give each consumer a place of its own: each would undo what the other wrote, run after run".to_owned();
    let [kind, key] = one.keys;
    out.push(error(one.code, doc.at(&["consumer", index, kind, key]), message, Some(help)));
}

/// Every place that `consumer` writes and another could write as well. Those of Kubernetes and AWS are compared where they are checked.
fn written(repo: &Repo<'_>, consumer: &Consumer) -> Vec<Written> {
    let mut all = Vec::new();
    if let Some(file) = &consumer.file {
        // Beside it stands which version it holds.
        all.extend(["", ".slm"].map(|end| Written {
            code: "slm::shared-file",
            keys: ["file", "path"],
            at: "file".to_owned(),
            name: plain_path(&file.path) + end,
            shown: format!("`{}{end}`", file.path),
        }));
    }
    if let Some(secret) = &consumer.github_actions_secret
        && let Some(home) = Home::of(repo, secret)
    {
        all.extend(of_github(&home, secret));
    }
    if let Some(flow) = &consumer.github_workflow_dispatch
        && let Some((api, _)) = organisation(repo, flow.source.as_str())
    {
        all.push(Written {
            code: "slm::shared-workflow",
            keys: ["github-workflow-dispatch", "workflow"],
            at: format!("workflow {api} {}", flow.repo.to_lowercase()),
            name: flow.workflow.clone(),
            shown: format!("workflow `{}` of `{}`", flow.workflow, flow.repo),
        });
    }
    all
}

/// The secrets and the variables that are written for `secret`.
fn of_github(home: &Home, secret: &GithubSecretConsumer) -> Vec<Written> {
    let key = if secret.set.is_empty() { "name" } else { "set" };
    let one = |sort: &str, at: String, key: &'static str, name: String| Written {
        code: "slm::shared-secret",
        keys: ["github-actions-secret", key],
        at,
        shown: format!("{sort} `{name}` of {}", home.shown(secret)),
        name,
    };
    let secrets = secrets(secret).into_iter().map(|name| one("secret", home.secrets(secret.store), key, name));
    let variables = variables(secret).into_iter().map(|name| one("variable", home.variables(), "name", name));
    secrets.chain(variables).collect()
}

/// A consumer that writes a secret of GitHub.
struct Kept<'a> {
    doc: &'a Doc<'a>,
    index: usize,
    id: &'a str,
    home: Home,
    secret: &'a GithubSecretConsumer,
}

/// A secret that another consumer hides from some of its readers: the nearer one is what their jobs read.
pub fn hidden(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    let mut all = Vec::new();
    for Item { doc, raw } in &repo.credentials {
        all.extend(raw.consumer.iter().enumerate().filter_map(|(index, one)| {
            let secret = one.github_actions_secret.as_ref()?;
            Some(Kept { doc, index, id: &one.id, home: Home::of(repo, secret)?, secret })
        }));
    }
    // Who may be nearer, by what a job asks for: a secret of a store, or a variable.
    let mut near: BTreeMap<(Option<GithubStore>, String), Vec<usize>> = BTreeMap::new();
    for (at, one) in all.iter().enumerate().filter(|(_, one)| one.home.repo.is_some()) {
        for name in secrets(one.secret) {
            near.entry((Some(one.secret.store), name)).or_default().push(at);
        }
        for name in variables(one.secret) {
            near.entry((None, name)).or_default().push(at);
        }
    }
    for wide in &all {
        let read = secrets(wide.secret).into_iter().map(|name| (Some(wide.secret.store), name));
        let chosen = (!wide.secret.set.is_empty()).then(|| (None, wide.secret.variable()));
        let asked = read.chain(chosen).filter_map(|name| near.get(&name)).flatten();
        let Some(other) = asked.filter_map(|at| all.get(*at)).find(|near| wide.home.is_hidden_by(&near.home, wide.secret)) else {
            continue;
        };
        let may = match (&wide.home.repo, &other.home.repo, &other.home.environment) {
            (None, Some(repo), None) => repo.clone(),
            (None, Some(repo), Some(environment)) => format!("{repo}/{environment}"),
            (_, _, environment) => environment.clone().unwrap_or_default(),
        };
        let message =
            format!("consumer `{}` of `{}` hides `{}` where it is nearer to a job", other.id, other.doc.path, wide.secret.name);
        let help = format!("give it another name, or add `overridden-in = [\"{may}\"]` if that is meant");
        let place = wide.doc.at(&["consumer", &wide.index.to_string(), "github-actions-secret", "name"]);
        out.push(error("slm::hidden-secret", place, message, Some(help)));
    }
}

/// Where GitHub keeps something, in letters by which the same place is the same text: it takes `Acme` for `acme`.
pub(super) struct Home {
    /// The API root and the organisation of its source.
    pub(super) org: (String, String),
    /// The repository; `None` for the organisation itself.
    pub(super) repo: Option<String>,
    pub(super) environment: Option<String>,
}

impl Home {
    /// Where `secret` is kept; `None` when its source is not known, of which is complained elsewhere.
    pub(super) fn of(repo: &Repo<'_>, secret: &GithubSecretConsumer) -> Option<Self> {
        let lower = |text: &Option<String>| text.as_ref().map(|text| text.to_lowercase());
        let org = organisation(repo, secret.source.as_str())?;
        Some(Self { org, repo: lower(&secret.repo), environment: lower(&secret.environment) })
    }

    /// True when jobs that read `secret` of here read one of `near` instead, and that is not declared.
    fn is_hidden_by(&self, near: &Self, secret: &GithubSecretConsumer) -> bool {
        let may = |place: &str| secret.overridden_in.iter().any(|one| one.to_lowercase() == place);
        let Some(repo) = near.repo.as_ref().filter(|_| self.org == near.org) else { return false };
        match (&self.repo, &self.environment) {
            (None, _) => {
                let given = secret.visibility != Some(Visibility::Selected);
                let read = given || secret.repos.iter().any(|one| one.to_lowercase() == *repo);
                let own = near.environment.as_ref().is_some_and(|name| may(&format!("{repo}/{name}")));
                repo.split('/').next() == Some(self.org.1.as_str()) && read && !may(repo) && !own
            }
            (Some(own), None) => own == repo && near.environment.as_ref().is_some_and(|name| !may(name)),
            (Some(_), Some(_)) => false,
        }
    }

    fn place(&self) -> String {
        let (api, org) = &self.org;
        let owner = self.repo.as_ref().unwrap_or(org);
        format!("{api} {owner} {}", self.environment.as_deref().unwrap_or_default())
    }

    fn secrets(&self, store: GithubStore) -> String {
        format!("secrets {} {store:?}", self.place())
    }

    /// Those of Dependabot and Codespaces are Actions' own.
    fn variables(&self) -> String {
        format!("variables {}", self.place())
    }

    fn shown(&self, secret: &GithubSecretConsumer) -> String {
        let owner = secret.repo.as_deref().unwrap_or(&self.org.1);
        match &secret.environment {
            Some(name) => format!("environment `{name}` of `{owner}`"),
            None => format!("`{owner}`"),
        }
    }
}

/// The API root and the organisation of source `name`.
fn organisation(repo: &Repo<'_>, name: &str) -> Option<(String, String)> {
    let github = repo.settings.as_ref()?.raw.source.get(name)?.github.as_ref()?;
    let api = github.base_url.as_deref().unwrap_or_default().trim_end_matches('/');
    Some((api.to_owned(), github.org.to_lowercase()))
}

/// Names of the secrets that are written.
pub(super) fn secrets(secret: &GithubSecretConsumer) -> Vec<String> {
    match secret.set.is_empty() {
        true => vec![secret.name.clone()],
        false => secret.set.keys().flat_map(|name| ["A", "B"].map(|slot| format!("{name}_{slot}"))).collect(),
    }
}

/// Names of the variables that are written: what it holds, and of a set also what each half holds.
pub(super) fn variables(secret: &GithubSecretConsumer) -> Vec<String> {
    let name = secret.variable();
    match secret.set.is_empty() {
        true => vec![name],
        false => vec![format!("{name}_A"), format!("{name}_B"), name],
    }
}

/// The same file by the same letters: `./run//key` is `run/key`.
fn plain_path(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    format!("{}{}", if path.starts_with('/') { "/" } else { "" }, parts.join("/"))
}
