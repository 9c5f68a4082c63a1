//! The part of `iam` that reads who has which policy and whom each role trusts: `GetAccountAuthorizationDetails`, one list of pages for
//! a whole account, and `ListRoles` when a role trusts GitHub, for the length of its sessions.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_iam::Client;
use aws_sdk_iam::operation::get_account_authorization_details::GetAccountAuthorizationDetailsOutput as Page;
use aws_sdk_iam::types::{AttachedPolicy, EntityType, ManagedPolicyDetail, PolicyDetail, RoleDetail, UserDetail};
use serde_json::json;

use super::aws::{Collection, Kept};
use super::iam_policy::{Trust, allows_star_star, any, github_trust, grants_admin};
use crate::model::receipt::Redacted;
use crate::model::snapshot::{Attribute, Resource, Value};
use crate::transport::aws::{Failure, Tokens, Wire};

/// Items a page: the most that the operations give.
const PAGE: i32 = 1000;
/// What is asked for. AWS lists those of its own policies that are attached, which says what their holders may do.
const KINDS: [EntityType; 5] =
    [EntityType::User, EntityType::Group, EntityType::Role, EntityType::LocalManagedPolicy, EntityType::AwsManagedPolicy];
/// What the lists of [`KINDS`] are called.
const LISTS: [&str; 4] = ["users", "groups", "roles", "policies"];
/// What the policies of AWS are called that it attaches to a user whose key it found in public; a version follows.
const QUARANTINE: &str = "AWSCompromisedKeyQuarantine";
/// Elements that may hold anything; removed before an answer is kept.
const FREE: [&str; 3] = ["AssumeRolePolicyDocument", "Description", "Tags"];

/// What the pages read so far gave.
#[derive(Default)]
pub(super) struct Details {
    /// What is attached to or embedded in each user, by ARN.
    pub(super) users: HashMap<String, Direct>,
    /// `Aws::Policy`: customer managed and inline.
    pub(super) policies: Vec<Resource>,
    /// Roles that trust GitHub, by ARN.
    trusts: BTreeMap<String, Trust>,
    /// Longest session of those, in seconds.
    sessions: HashMap<String, i64>,
    /// What the managed policies grant, by ARN, and groups by name.
    managed: HashMap<String, Option<bool>>,
    groups: HashMap<String, Holds>,
    /// Users and roles by ARN.
    holders: Vec<(String, Holds)>,
    /// Which of [`LISTS`] any page had.
    lists: [bool; LISTS.len()],
}

/// The policies of one user that it has by itself.
pub(super) struct Direct {
    /// How many there are.
    pub(super) count: i64,
    /// The one that AWS attaches when it finds a key of the user in public; empty when there is none.
    pub(super) quarantine: String,
}

/// The policies of one user, group or role.
#[derive(Default)]
struct Holds {
    inline: Vec<Option<bool>>,
    managed: Vec<String>,
    groups: Vec<String>,
}

/// Reads every page; what breaks off or is missing is noted in `collection`.
pub(super) async fn read(client: &Client, wire: &Wire, collection: &mut Collection<'_>) -> Details {
    let mut details = Details::default();
    let whole = details.pages(client, wire, collection).await;
    let items = (details.holders.len() + details.groups.len() + details.managed.len()) as u64;
    let kinds: Vec<_> = KINDS.iter().map(EntityType::as_str).collect();
    collection.log("iam:GetAccountAuthorizationDetails", json!({ "Filter": kinds, "MaxItems": PAGE }), items, wire.take());
    if whole && let Some(at) = details.lists.iter().position(|had| !had) {
        collection.doubt(&format!("the authorization details have no list of {}", LISTS[at]));
    }
    if !details.trusts.is_empty() {
        details.sessions(client, wire, collection).await;
        let items = details.sessions.len() as u64;
        collection.log("iam:ListRoles", json!({ "MaxItems": PAGE }), items, wire.take());
    }
    details
}

impl Details {
    /// True when the list was read to its end.
    async fn pages(&mut self, client: &Client, wire: &Wire, collection: &mut Collection<'_>) -> bool {
        let (mut marker, mut tokens, mut number) = (None, Tokens::default(), 0);
        loop {
            number += 1;
            let request = client.get_account_authorization_details().max_items(PAGE).set_filter(Some(KINDS.to_vec()));
            let answer = request.set_marker(marker).send().await;
            collection.keep(wire, &format!("authorization-details-{number:04}.xml"), answer.is_ok(), redact);
            let page = match answer {
                Ok(page) => page,
                Err(error) => {
                    collection.failed(&format!("list the authorization details, page {number},"), &Failure::of(&error));
                    return false;
                }
            };
            self.page(&page, collection);
            match tokens.next(page.is_truncated(), page.marker()) {
                Ok(None) => return true,
                Ok(next) => marker = next,
                Err(wrong) => {
                    collection.doubt(&format!("the list of authorization details cannot be followed: {wrong} on page {number}"));
                    return false;
                }
            }
        }
    }

    async fn sessions(&mut self, client: &Client, wire: &Wire, collection: &mut Collection<'_>) {
        let (mut marker, mut tokens, mut number) = (None, Tokens::default(), 0);
        loop {
            number += 1;
            let answer = client.list_roles().max_items(PAGE).set_marker(marker).send().await;
            collection.keep(wire, &format!("roles-{number:04}.xml"), answer.is_ok(), redact);
            let page = match answer {
                Ok(page) => page,
                Err(error) => return collection.failed(&format!("list the roles, page {number},"), &Failure::of(&error)),
            };
            let known = page.roles().iter().filter_map(|role| Some((role.arn().to_owned(), role.max_session_duration()?.into())));
            self.sessions.extend(known);
            match tokens.next(page.is_truncated(), page.marker()) {
                Ok(None) => return,
                Ok(next) => marker = next,
                Err(wrong) => return collection.doubt(&format!("the list of roles cannot be followed: {wrong} on page {number}")),
            }
        }
    }

    fn page(&mut self, page: &Page, collection: &mut Collection<'_>) {
        let had = [
            page.user_detail_list.is_some(),
            page.group_detail_list.is_some(),
            page.role_detail_list.is_some(),
            page.policies.is_some(),
        ];
        self.lists.iter_mut().zip(had).for_each(|(list, had)| *list |= had);
        let mut named = true;
        for user in page.user_detail_list() {
            named &= self.user(user).is_some();
        }
        for group in page.group_detail_list() {
            let (Some(arn), Some(name)) = (group.arn(), group.group_name()) else {
                named = false;
                continue;
            };
            match self.holds(arn, group.group_policy_list(), group.attached_managed_policies()) {
                Some(holds) => drop(self.groups.insert(name.to_owned(), holds)),
                None => named = false,
            }
        }
        for role in page.role_detail_list() {
            match self.role(role) {
                Some(true) => {}
                Some(false) => collection.doubt("the trust policy of a role cannot be read"),
                None => named = false,
            }
        }
        for policy in page.policies() {
            named &= self.managed(policy).is_some();
        }
        if !named {
            collection.doubt("the authorization details hold something without a name");
        }
    }

    /// A list that is absent from an entry is empty: AWS leaves it out.
    fn user(&mut self, user: &UserDetail) -> Option<()> {
        let arn = user.arn()?;
        let count = user.user_policy_list().len() + user.attached_managed_policies().len();
        let attached = user.attached_managed_policies().iter().filter_map(|policy| policy.policy_arn());
        let quarantine = attached.filter_map(|policy| policy.split_once(":iam::aws:policy/").map(|(_, name)| name));
        let quarantine = quarantine.filter(|name| name.starts_with(QUARANTINE)).min().unwrap_or_default().to_owned();
        self.users.insert(arn.to_owned(), Direct { count: i64::try_from(count).ok()?, quarantine });
        let mut holds = self.holds(arn, user.user_policy_list(), user.attached_managed_policies())?;
        holds.groups = user.group_list().to_vec();
        self.holders.push((arn.to_owned(), holds));
        Some(())
    }

    /// Whether its trust policy could be read; `None` without a name.
    fn role(&mut self, role: &RoleDetail) -> Option<bool> {
        let arn = role.arn()?;
        let holds = self.holds(arn, role.role_policy_list(), role.attached_managed_policies())?;
        self.holders.push((arn.to_owned(), holds));
        let Some(trust) = role.assume_role_policy_document().and_then(github_trust) else { return Some(false) };
        self.trusts.extend(trust.map(|trust| (arn.to_owned(), trust)));
        Some(true)
    }

    fn managed(&mut self, policy: &ManagedPolicyDetail) -> Option<()> {
        let arn = policy.arn()?;
        let version = policy.policy_version_list().iter().find(|version| version.is_default_version());
        let document = version.and_then(|version| version.document());
        // The policies of AWS itself are nobody's to change.
        if !arn.contains(":iam::aws:") {
            self.policy(arn, document);
        }
        self.managed.insert(arn.to_owned(), document.and_then(grants_admin));
        Some(())
    }

    /// What `owner` holds; `None` when a policy has no name.
    fn holds(&mut self, owner: &str, inline: &[PolicyDetail], attached: &[AttachedPolicy]) -> Option<Holds> {
        for policy in inline {
            self.policy(&format!("{owner}#{}", policy.policy_name()?), policy.policy_document());
        }
        let inline = inline.iter().map(|policy| policy.policy_document().and_then(grants_admin)).collect();
        let managed = attached.iter().map(|policy| policy.policy_arn().map(str::to_owned)).collect::<Option<_>>()?;
        Some(Holds { inline, managed, groups: Vec::new() })
    }

    fn policy(&mut self, id: &str, document: Option<&str>) {
        let all = document.and_then(allows_star_star).map(|all| ("allows_star_star".into(), Value::Bool(all)));
        self.policies.push(Resource::new(id.into(), all.into_iter().collect()));
    }

    /// Whether `holds` makes an administrator; a policy or a group that was not seen may.
    fn admin(&self, holds: &Holds) -> Option<bool> {
        let managed = |arn: &String| self.managed.get(arn).copied().flatten();
        let groups = holds.groups.iter().map(|name| self.admin(self.groups.get(name)?));
        any(holds.inline.iter().copied().chain(holds.managed.iter().map(managed)).chain(groups))
    }

    /// `Aws::Principal`: users and roles.
    pub(super) fn principals(&self) -> Vec<Resource> {
        let facts = |holds| self.admin(holds).map(|admin| ("is_admin".into(), Value::Bool(admin)));
        self.holders.iter().map(|(arn, holds)| Resource::new(arn.into(), facts(holds).into_iter().collect())).collect()
    }

    /// `Aws::OidcRole`: roles that trust GitHub.
    pub(super) fn oidc_roles(&self) -> Vec<Resource> {
        let resource = |(arn, trust): (&String, &Trust)| {
            let mut facts: Vec<Attribute> =
                vec![("aud_pinned".into(), Value::Bool(trust.aud_pinned)), ("sub_pinned".into(), Value::Bool(trust.sub_pinned))];
            facts.extend(self.sessions.get(arn).map(|seconds| ("max_session_seconds".into(), Value::Long(*seconds))));
            Resource::new(arn.into(), facts)
        };
        self.trusts.iter().map(resource).collect()
    }
}

/// `body` without the content of [`FREE`] elements, and the names of those found. Content in XML never holds a bare `<`.
fn redact(body: &[u8]) -> Kept<'_> {
    let (mut kept, mut removed) = (std::str::from_utf8(body).ok()?.to_owned(), Redacted::new());
    for name in FREE {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let mut parts = kept.split(&open);
        let mut rest = parts.next().unwrap_or_default().to_owned();
        let mut found = 0;
        for part in parts {
            found += 1;
            rest.push_str(part.split_once(&close).map_or("", |(_, after)| after));
        }
        if found > 0 {
            removed.insert(name.to_owned(), found);
        }
        kept = rest;
    }
    Some((kept.into_bytes().into(), removed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_hold_anything_is_removed_and_named() {
        let (kept, removed) = redact(b"<U><Tags><m>x</m></Tags><Arn>a</Arn><Tags>y</Tags></U>").unwrap();
        assert_eq!((&*kept, removed), (b"<U><Arn>a</Arn></U>".as_slice(), Redacted::from([("Tags".to_owned(), 2)])));
    }

    #[test]
    fn a_policy_or_a_group_that_was_not_seen_may_make_an_administrator() {
        let mut details = Details::default();
        details.managed.insert("arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned(), Some(false));
        details.managed.insert("arn:aws:iam::aws:policy/AdministratorAccess".to_owned(), Some(true));
        let holds = |managed: &[&str], groups: &[&str]| Holds {
            inline: vec![Some(false)],
            managed: managed.iter().map(|name| format!("arn:aws:iam::aws:policy/{name}")).collect(),
            groups: groups.iter().map(|&name| name.to_owned()).collect(),
        };
        details.groups.insert("admins".to_owned(), holds(&["AdministratorAccess"], &[]));
        for (managed, groups, want) in [
            (&["ReadOnlyAccess"][..], &[][..], Some(false)),
            (&["ReadOnlyAccess", "AdministratorAccess"], &[], Some(true)),
            (&["ReadOnlyAccess"], &["admins"], Some(true)),
            (&["Unseen"], &[], None),
            (&["ReadOnlyAccess"], &["unseen"], None),
            (&["Unseen", "AdministratorAccess"], &[], Some(true)),
        ] {
            assert_eq!(details.admin(&holds(managed, groups)), want, "{managed:?} {groups:?}");
        }
    }
}
