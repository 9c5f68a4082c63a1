//! What a rotation asks of GitHub, and whether the login of a source may do it, as far as GitHub tells. Pure.

use std::collections::BTreeMap;

use super::Input;
use super::preflight::Found;
use crate::model::catalog::{ConsumerKind, Credential, GithubSecretConsumer, GithubStore};
use crate::model::id::SourceId;
use crate::model::preflight::{Check, Code, Sighting};
use crate::model::rights::{GithubLogin, GithubRepo, GithubRights, GithubRole};
use crate::model::rotator::RotatorConfig;

/// Permissions of Apps that GitHub's description of an installation names, of those that slm needs: what is not among those of an
/// installation was not given. Of others that is not known.
pub const DESCRIBED: [&str; 6] =
    ["actions", "administration", "dependabot_secrets", "environments", "organization_secrets", "secrets"];

/// One thing that is done at GitHub.
struct Right<'a> {
    source: &'a SourceId,
    /// `owner/name`, or `None` for the organisation.
    repo: Option<&'a str>,
    what: String,
    /// The permission that an App needs, and whether to write.
    permission: (&'static str, bool),
    /// What the holder of a token has to be in the repository.
    role: GithubRole,
}

/// Whether something may be done.
enum Verdict {
    May,
    /// Not without this.
    MayNot(String),
    /// That is not known, for this reason.
    Unknown(String),
}

/// Where the rotation of `credential` changes something at GitHub: source, and repository or `None` for the organisation.
pub(super) fn places(credential: &Credential) -> Vec<(SourceId, Option<String>)> {
    let mut all: Vec<_> = rights(credential).iter().map(|right| (right.source.clone(), right.repo.map(str::to_owned))).collect();
    all.sort();
    all.dedup();
    all
}

/// What the answers of GitHub say about the rotation of `credential`; nothing when nothing is done there, or nobody asked.
pub(super) fn answered(input: &Input<'_>, credential: &Credential, found: &mut Found) {
    let all = rights(credential);
    let mut sources: Vec<&SourceId> = all.iter().map(|right| right.source).collect();
    sources.sort();
    sources.dedup();
    for source in sources {
        if let Some(rights) = input.facts.github.get(source) {
            let all: Vec<&Right<'_>> = all.iter().filter(|right| right.source == source).collect();
            tell(credential, source, &all, &|right| may(right, rights, input.facts.applies), found);
        }
    }
}

/// Holds what may not be done; what is not known is said, and so is how much is.
fn tell(credential: &Credential, source: &SourceId, all: &[&Right<'_>], may: &dyn Fn(&Right<'_>) -> Verdict, found: &mut Found) {
    let (mut denied, mut doubts) = (Vec::new(), BTreeMap::<String, Vec<&str>>::new());
    for right in all {
        match may(right) {
            Verdict::May => {}
            Verdict::MayNot(without) => denied.push(format!("{} ({without})", right.what)),
            Verdict::Unknown(why) => doubts.entry(why).or_default().push(&right.what),
        }
    }
    if !denied.is_empty() {
        let what = format!("the login of source `{source}` may not {}", denied.join(", "));
        return found.stop(Code::NotPermitted, what, "give it what is missing, or it would stop half-way".to_owned());
    }
    let sighting = if doubts.is_empty() {
        Sighting::Seen(format!("{0} of {0} steps permitted to the login of source `{source}`", all.len()))
    } else {
        let doubts: Vec<String> = doubts.iter().map(|(why, what)| format!("{} ({why})", what.join(", "))).collect();
        Sighting::Unseen(format!("{} for the login of source `{source}`", doubts.join("; ")))
    };
    found.note(Check::Permissions, credential.id.as_str(), sighting);
}

/// Everything that the rotation of `credential` does at GitHub.
fn rights(credential: &Credential) -> Vec<Right<'_>> {
    let mut all = Vec::new();
    if let RotatorConfig::GithubDeployKey(key) = &credential.rotator {
        let what = format!("manage deploy keys of `{}`", key.repo);
        let permission = ("administration", true);
        all.push(Right { source: &key.source, repo: Some(&key.repo), what, permission, role: GithubRole::Admin });
    }
    for consumer in &credential.consumers {
        match &consumer.kind {
            ConsumerKind::GithubActionsSecret(secret) => all.extend(secret_rights(secret)),
            ConsumerKind::GithubWorkflowDispatch(workflow) => all.push(Right {
                source: &workflow.source,
                repo: Some(&workflow.repo),
                what: format!("dispatch `{}` of `{}`", workflow.workflow, workflow.repo),
                permission: ("actions", true),
                role: GithubRole::Write,
            }),
            _ => {}
        }
    }
    all
}

/// What is done with a secret, with the variable beside it, and with the runs that read it.
fn secret_rights(secret: &GithubSecretConsumer) -> Vec<Right<'_>> {
    let repo = secret.repo.as_deref();
    let place = match (repo, &secret.environment) {
        (None, _) => "the organisation".to_owned(),
        (Some(repo), None) => format!("`{repo}`"),
        (Some(repo), Some(environment)) => format!("environment `{environment}` of `{repo}`"),
    };
    let right = |what: &str, permission, role| {
        let what = format!("{what} of {place}");
        Right { source: &secret.source, repo, what, permission, role }
    };
    if secret.environment.is_some() {
        let home = right("write secrets and variables", ("environments", true), GithubRole::Write);
        return vec![home, right("list runs", ("actions", false), GithubRole::Read)];
    }
    let (what, in_repo, in_org) = match secret.store {
        GithubStore::Actions => ("write Actions secrets", "secrets", "organization_secrets"),
        GithubStore::Dependabot => ("write Dependabot secrets", "dependabot_secrets", "organization_dependabot_secrets"),
        GithubStore::Codespaces => ("write Codespaces secrets", "codespaces_secrets", "organization_codespaces_secrets"),
    };
    if repo.is_none() {
        let variables = right("write variables", ("organization_actions_variables", true), GithubRole::Admin);
        return vec![right(what, (in_org, true), GithubRole::Admin), variables];
    }
    let mut all = vec![
        right(what, (in_repo, true), GithubRole::Write),
        right("write variables", ("actions_variables", true), GithubRole::Write),
    ];
    if secret.store != GithubStore::Codespaces {
        all.push(right("list runs", ("actions", false), GithubRole::Read));
    }
    all
}

/// Whether `right` may be exercised by whoever `applies`. A token that only plans may be another one than that.
fn may(right: &Right<'_>, rights: &GithubRights, applies: bool) -> Verdict {
    let verdict = match right.repo.map(|repo| rights.repos.get(repo)) {
        None => by_login(right, rights, None),
        Some(None) => Verdict::Unknown("it was not asked for".to_owned()),
        Some(Some(Err(why))) => Verdict::Unknown(why.clone()),
        Some(Some(Ok(None))) => Verdict::MayNot("the repository is not there, or not shown to it".to_owned()),
        Some(Some(Ok(Some(repo)))) if repo.archived => Verdict::MayNot("the repository is archived".to_owned()),
        Some(Some(Ok(Some(repo)))) => by_login(right, rights, Some(repo)),
    };
    match (verdict, &rights.login) {
        (verdict @ Verdict::MayNot(_), GithubLogin::App { .. }) => verdict,
        (Verdict::MayNot(without), _) if !applies => {
            Verdict::Unknown(format!("not with the token of who plans: {without}; who applies may have another"))
        }
        (verdict, _) => verdict,
    }
}

/// Whether who is logged in may, in a repository that is shown to it.
fn by_login(right: &Right<'_>, rights: &GithubRights, repo: Option<&GithubRepo>) -> Verdict {
    match &rights.login {
        GithubLogin::App { suspended: true, .. } => Verdict::MayNot("the installation is suspended".to_owned()),
        GithubLogin::App { permissions, .. } => by_permission(right.permission, permissions),
        GithubLogin::Untold(why) => Verdict::Unknown(why.clone()),
        GithubLogin::Classic(scopes) => {
            let needed = if repo.is_some() { "repo" } else { "admin:org" };
            let open = repo.is_some_and(|repo| repo.public) && scopes.contains("public_repo");
            match (scopes.contains(needed), repo) {
                (false, _) if open => Verdict::Unknown("scope `public_repo` may be enough".to_owned()),
                (false, _) => Verdict::MayNot(format!("scope `{needed}`")),
                (true, Some(repo)) => by_role(right.role, repo.role),
                (true, None) => match &rights.owner {
                    Some(Ok(true)) => Verdict::May,
                    Some(Ok(false)) => Verdict::Unknown("its holder is no owner; another role may permit it".to_owned()),
                    Some(Err(why)) => Verdict::Unknown(why.clone()),
                    None => Verdict::Unknown("it was not asked for".to_owned()),
                },
            }
        }
    }
}

fn by_permission((name, write): (&'static str, bool), permissions: &BTreeMap<String, String>) -> Verdict {
    let level = if write { "write" } else { "read" };
    match permissions.get(name).map(String::as_str) {
        Some("write" | "admin") => Verdict::May,
        Some("read") if !write => Verdict::May,
        None if !DESCRIBED.contains(&name) => Verdict::Unknown(format!("GitHub may not tell of permission `{name}`")),
        _ => Verdict::MayNot(format!("permission `{name}: {level}` of the App")),
    }
}

fn by_role(needed: GithubRole, role: Option<GithubRole>) -> Verdict {
    let name = match needed {
        GithubRole::Read => "read",
        GithubRole::Write => "write",
        GithubRole::Admin => "admin",
    };
    match role {
        Some(role) if role >= needed => Verdict::May,
        Some(_) => Verdict::MayNot(format!("role `{name}` of the token's holder")),
        None => Verdict::Unknown("the role of the token's holder is not told".to_owned()),
    }
}
