//! The bodies the collector `github` reads, reduced to what it needs.

use serde::Deserialize;

use super::github_graph;
use crate::model::receipt::Redacted;
use crate::model::time::Timestamp;

/// Fields of bodies that are kept; all others may hold anything: descriptions, addresses, clone tokens.
const KEPT: [&str; 26] = [
    "allowed_actions",
    "archived",
    "can_approve_pull_request_reviews",
    "created_at",
    "default_branch",
    "default_repository_permission",
    "default_workflow_permissions",
    "enabled_repositories",
    "full_name",
    "id",
    "login",
    "name",
    "number",
    "private",
    "public_repos",
    "secrets",
    "secret_type",
    "security_and_analysis",
    "state",
    "total_count",
    "total_private_repos",
    "two_factor_requirement_enabled",
    "type",
    "updated_at",
    "validity",
    "visibility",
];

/// Who calls.
#[derive(Deserialize)]
pub struct User {
    /// Its login.
    pub login: String,
}

/// The organisation; owners alone see the optional fields.
#[derive(Deserialize)]
pub struct Org {
    /// Its login.
    pub login: String,
    /// Whether members must have a second factor.
    #[serde(default)]
    pub two_factor_requirement_enabled: Option<bool>,
    /// What members may do with every repository.
    #[serde(default)]
    pub default_repository_permission: Option<String>,
    /// Public repositories.
    #[serde(default)]
    pub public_repos: Option<u64>,
    /// Other repositories.
    #[serde(default)]
    pub total_private_repos: Option<u64>,
}

/// One member, or one who is none but has access.
#[derive(Deserialize)]
pub struct Member {
    /// Its login.
    pub login: String,
}

/// What may run.
#[derive(Deserialize)]
pub struct Actions {
    /// `all`, `local_only` or `selected`.
    #[serde(default)]
    pub allowed_actions: Option<String>,
}

/// What the token of a run may do.
#[derive(Deserialize)]
pub struct Workflow {
    /// `read` or `write`.
    pub default_workflow_permissions: String,
    /// Whether it may approve.
    pub can_approve_pull_request_reviews: bool,
}

/// One repository.
#[derive(Deserialize)]
pub struct Repo {
    /// `owner/name`.
    pub full_name: String,
    /// False when anybody may read it.
    pub private: bool,
    /// Whether it is read-only.
    #[serde(default)]
    pub archived: Option<bool>,
    /// Its features.
    #[serde(default)]
    pub security_and_analysis: Option<Security>,
}

/// Features of a repository, seen by those who administer it.
#[derive(Deserialize)]
pub struct Security {
    /// Whether secrets in it are looked for.
    #[serde(default)]
    pub secret_scanning: Option<Feature>,
    /// Whether a push with a secret is refused.
    #[serde(default)]
    pub secret_scanning_push_protection: Option<Feature>,
}

/// One feature.
#[derive(Deserialize)]
pub struct Feature {
    /// `enabled` or `disabled`.
    pub status: String,
}

/// One page of secrets.
#[derive(Deserialize)]
pub struct Secrets {
    /// How many there are over all pages.
    pub total_count: u64,
    /// Those of this page.
    pub secrets: Vec<Named>,
}

/// One secret without its value.
#[derive(Deserialize)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// When it was last written.
    pub updated_at: Timestamp,
}

/// `body` with the fields of [`KEPT`] alone, and the pointers of what was removed, `*` for any index. A body with nothing to
/// remove is kept byte by byte; one that is not JSON is not kept.
pub fn redact(body: &[u8]) -> Option<(Vec<u8>, Redacted)> {
    let mut page: serde_json::Value = serde_json::from_slice(body).ok()?;
    let mut removed = Redacted::new();
    strip(&mut page, "", &mut removed);
    let kept = if removed.is_empty() { body.to_vec() } else { serde_json::to_vec(&page).ok()? };
    Some((kept, removed))
}

/// `body` of GraphQL with the fields of [`github_graph::KEPT`] alone, at any depth; otherwise as [`redact`].
pub fn redact_graph(body: &[u8]) -> Option<(Vec<u8>, Redacted)> {
    let mut answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    let mut removed = Redacted::new();
    strip_deep(&mut answer, "", &mut removed);
    let kept = if removed.is_empty() { body.to_vec() } else { serde_json::to_vec(&answer).ok()? };
    Some((kept, removed))
}

fn strip_deep(value: &mut serde_json::Value, at: &str, removed: &mut Redacted) {
    match value {
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| strip_deep(item, &format!("{at}/*"), removed)),
        serde_json::Value::Object(fields) => {
            fields.retain(|name, _| retain(&github_graph::KEPT, name, at, removed));
            fields.iter_mut().for_each(|(name, value)| strip_deep(value, &format!("{at}/{name}"), removed));
        }
        _ => {}
    }
}

/// True when `name` is in `kept`; otherwise its pointer below `at` is noted.
fn retain(kept: &[&str], name: &str, at: &str, removed: &mut Redacted) -> bool {
    let keep = kept.contains(&name);
    if !keep {
        *removed.entry(format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))).or_default() += 1;
    }
    keep
}

fn strip(value: &mut serde_json::Value, at: &str, removed: &mut Redacted) {
    match value {
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| strip(item, &format!("{at}/*"), removed)),
        serde_json::Value::Object(fields) => {
            fields.retain(|name, _| retain(&KEPT, name, at, removed));
            if let Some(secrets) = fields.get_mut("secrets") {
                strip(secrets, &format!("{at}/secrets"), removed);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_hold_anything_is_removed_and_named() {
        let body = br#"[{"full_name":"a/b","temp_clone_token":"x1","description":"x2","owner":{"login":"x3"}}]"#;
        let (kept, redacted) = redact(body).unwrap();
        assert_eq!(String::from_utf8(kept).unwrap(), r#"[{"full_name":"a/b"}]"#);
        assert_eq!(redacted, ["/*/description", "/*/owner", "/*/temp_clone_token"].map(|path| (path.to_owned(), 1)).into());
    }

    #[test]
    fn a_graphql_body_is_reduced_at_any_depth() {
        let body = br#"{"data":{"node":{"deployKeys":{"nodes":[{"id":"K","title":"x"}]}}},"errors":[{"message":"y"}]}"#;
        let (kept, redacted) = redact_graph(body).unwrap();
        assert_eq!(String::from_utf8(kept).unwrap(), r#"{"data":{"node":{"deployKeys":{"nodes":[{"id":"K"}]}}}}"#);
        assert_eq!(redacted, ["/data/node/deployKeys/nodes/*/title", "/errors"].map(|path| (path.to_owned(), 1)).into());
    }

    #[test]
    fn a_list_of_secrets_is_reduced_inside() {
        let body = br#"{"total_count":1,"secrets":[{"name":"K","selected_repositories_url":"x"}]}"#;
        let (kept, redacted) = redact(body).unwrap();
        assert_eq!(String::from_utf8(kept).unwrap(), r#"{"total_count":1,"secrets":[{"name":"K"}]}"#);
        assert_eq!(redacted, ["/secrets/*/selected_repositories_url"].map(|path| (path.to_owned(), 1)).into());
        let body = br#"{ "total_count" : 0 }"#;
        assert_eq!(redact(body).unwrap(), (body.to_vec(), Redacted::new()));
    }
}
