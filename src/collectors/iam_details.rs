//! The part of `iam` that reads who has which policy: `GetAccountAuthorizationDetails`, one list of pages for a whole account.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_iam::Client;
use aws_sdk_iam::types::{EntityType, PolicyDetail};

use crate::model::blob::Blob;
use crate::model::receipt::RawRef;
use crate::model::snapshot::{Resource, Unseen, Value};
use crate::transport::aws::{Failure, Wire};

/// Entities a page: the most that the operation gives.
pub(super) const PAGE: i32 = 1000;
/// Elements that may hold anything; removed before an answer is kept.
const FREE: [&str; 3] = ["AssumeRolePolicyDocument", "Description", "Tags"];

/// What the pages read so far gave.
#[derive(Default)]
pub(super) struct Details {
    /// Policies attached to or embedded in a user, by ARN.
    pub(super) users: HashMap<String, i64>,
    /// `Aws::Policy`: customer managed and inline.
    pub(super) policies: Vec<Resource>,
    pub(super) pages: u64,
    pub(super) raw: Vec<Blob>,
    pub(super) refs: Vec<RawRef>,
}

/// Reads every page; `folder` is where the answers are kept. The gap is the reason why the list broke off.
pub(super) async fn read(client: &Client, wire: &Wire, scope: &str, folder: &str) -> (Details, Option<(Unseen, String)>) {
    let mut details = Details::default();
    let mut marker = None;
    let mut seen = BTreeSet::new();
    let kinds = [EntityType::User, EntityType::Group, EntityType::Role, EntityType::LocalManagedPolicy];
    loop {
        let request = client.get_account_authorization_details().max_items(PAGE).set_filter(Some(kinds.to_vec()));
        let page = match request.set_marker(marker).send().await {
            Ok(page) => page,
            Err(error) => {
                let (failure, number) = (Failure::of(&error), details.pages + 1);
                let detail = format!("could not list the authorization details of {scope}, page {number}: {failure}");
                return (details, Some((failure.unseen(), detail)));
            }
        };
        details.pages += 1;
        if let Some(body) = wire.take_body() {
            let (kept, redacted) = redact(&String::from_utf8_lossy(&body));
            let name = format!("{folder}/authorization-details-{:04}.xml", details.pages);
            details.refs.push(RawRef::new(name, &body, kept.as_bytes(), redacted));
            details.raw.push(Blob::compressed(kept.as_bytes()));
        }
        for user in page.user_detail_list() {
            let arn = user.arn().unwrap_or_default();
            let direct = user.user_policy_list().len() + user.attached_managed_policies().len();
            details.users.insert(arn.to_owned(), i64::try_from(direct).unwrap_or(i64::MAX));
            details.inline(arn, user.user_policy_list());
        }
        for group in page.group_detail_list() {
            details.inline(group.arn().unwrap_or_default(), group.group_policy_list());
        }
        for role in page.role_detail_list() {
            details.inline(role.arn().unwrap_or_default(), role.role_policy_list());
        }
        for policy in page.policies() {
            let version = policy.policy_version_list().iter().find(|version| version.is_default_version());
            details.policy(policy.arn().unwrap_or_default(), version.and_then(|version| version.document()));
        }
        let next = page.marker().filter(|_| page.is_truncated());
        let Some(next) = next else {
            let cut = page.is_truncated();
            let detail = || (Unseen::Inconsistent, format!("the authorization details of {scope} stop without a marker"));
            return (details, cut.then(detail));
        };
        if !seen.insert(next.to_owned()) {
            let detail = format!("page {} of the authorization details of {scope} repeats a marker", details.pages);
            return (details, Some((Unseen::Inconsistent, detail)));
        }
        marker = Some(next.to_owned());
    }
}

impl Details {
    fn inline(&mut self, owner: &str, policies: &[PolicyDetail]) {
        for policy in policies {
            self.policy(&format!("{owner}#{}", policy.policy_name().unwrap_or_default()), policy.policy_document());
        }
    }

    fn policy(&mut self, id: &str, document: Option<&str>) {
        let all = document.and_then(allows_star_star).map(|all| ("allows_star_star".into(), Value::Bool(all)));
        self.policies.push(Resource::new(id.into(), all.into_iter().collect()));
    }
}

/// Whether a policy document grants every action on every resource; a condition does not excuse it. `None` when it cannot be read.
fn allows_star_star(document: &str) -> Option<bool> {
    let json = if document.starts_with('{') { document.to_owned() } else { decoded(document)? };
    let policy: serde_json::Value = serde_json::from_str(&json).ok()?;
    let statements = match policy.get("Statement")? {
        serde_json::Value::Array(all) => all.iter().collect(),
        one => vec![one],
    };
    let all = |statement: &serde_json::Value, key: &str| match statement.get(key) {
        Some(serde_json::Value::String(one)) => is_all(one),
        Some(serde_json::Value::Array(many)) => many.iter().filter_map(|one| one.as_str()).any(is_all),
        _ => false,
    };
    let allows = |statement: &&serde_json::Value| statement.get("Effect").and_then(|effect| effect.as_str()) == Some("Allow");
    Some(statements.into_iter().filter(allows).any(|statement| all(statement, "Action") && all(statement, "Resource")))
}

/// True for `*`, `*:*` and their like.
fn is_all(pattern: &str) -> bool {
    pattern.contains('*') && pattern.bytes().all(|byte| byte == b'*' || byte == b':')
}

/// `text` without percent encoding.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(part.get(2..)?.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// `body` without the content of [`FREE`] elements, and the names of those found. Content in XML never holds a bare `<`.
fn redact(body: &str) -> (String, Vec<String>) {
    let (mut kept, mut removed) = (body.to_owned(), Vec::new());
    for name in FREE {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let mut parts = kept.split(&open);
        let mut rest = parts.next().unwrap_or_default().to_owned();
        let mut found = false;
        for part in parts {
            found = true;
            rest.push_str(part.split_once(&close).map_or("", |(_, after)| after));
        }
        if found {
            removed.push(name.to_owned());
        }
        kept = rest;
    }
    (kept, removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_all_actions_on_all_resources_is_an_administrator() {
        for (statement, want) in [
            (r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#, true),
            (r#"[{"Effect":"Allow","Action":["s3:Get*","*:*"],"Resource":["*"]}]"#, true),
            (r#"[{"Effect":"Deny","Action":"*","Resource":"*"}]"#, false),
            (r#"[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]"#, false),
            (r#"[{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::a"}]"#, false),
        ] {
            assert_eq!(allows_star_star(&format!(r#"{{"Statement":{statement}}}"#)), Some(want), "{statement}");
        }
        let encoded =
            "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22*%22%2C%22Resource%22%3A%22*%22%7D%7D";
        assert_eq!(allows_star_star(encoded), Some(true));
        assert_eq!((allows_star_star("%7B%"), allows_star_star("{")), (None, None));
    }

    #[test]
    fn what_may_hold_anything_is_removed_and_named() {
        let (kept, removed) = redact("<U><Tags><m>x</m></Tags><Arn>a</Arn><Tags>y</Tags></U>");
        assert_eq!((kept.as_str(), removed), ("<U><Arn>a</Arn></U>", vec!["Tags".to_owned()]));
    }
}
