//! The GraphQL answers the collector `github` reads. Any field may be null: what a caller may not see comes as null beside an error.

use serde::Deserialize;

use super::github_branch::Branch;
use crate::model::time::Timestamp;

/// Fields of GraphQL bodies that are kept, at any depth.
pub const KEPT: [&str; 85] = [
    "actor",
    "allowsDeletions",
    "allowsForcePushes",
    "associatedPullRequests",
    "author",
    "authors",
    "baseRefName",
    "baseRepository",
    "branchProtectionRule",
    "bypassActors",
    "bypassForcePushAllowances",
    "bypassPullRequestAllowances",
    "combinedSlug",
    "commit",
    "commits",
    "committedDate",
    "context",
    "createdAt",
    "data",
    "defaultBranchRef",
    "deployKey",
    "deployKeys",
    "dismissStaleReviewsOnPush",
    "dismissesStaleReviews",
    "endCursor",
    "enforcement",
    "enterpriseOwner",
    "environments",
    "externalIdentities",
    "hasNextPage",
    "hasVulnerabilityAlertsEnabled",
    "headRefOid",
    "history",
    "id",
    "isAdminEnforced",
    "isArchived",
    "latestOpinionatedReviews",
    "lockBranch",
    "login",
    "membersWithRole",
    "mergeCommit",
    "merged",
    "mergedAt",
    "name",
    "nameWithOwner",
    "node",
    "nodes",
    "number",
    "oid",
    "organization",
    "organizationAdmin",
    "pageInfo",
    "parameters",
    "preventSelfReview",
    "protectionRules",
    "pullRequests",
    "pushAllowances",
    "readOnly",
    "ref",
    "refUpdateRule",
    "repositories",
    "repository",
    "repositoryRoleName",
    "repositoryRuleset",
    "requireLastPushApproval",
    "requiredApprovingReviewCount",
    "requiredStatusCheckContexts",
    "requiredStatusChecks",
    "requiresApprovingReviews",
    "requiresSignatures",
    "requiresStatusChecks",
    "requiresStrictStatusChecks",
    "restrictsPushes",
    "reviewers",
    "rules",
    "samlIdentityProvider",
    "slug",
    "state",
    "strictRequiredStatusChecksPolicy",
    "target",
    "totalCount",
    "type",
    "updatedAt",
    "user",
    "viewerCanAdminister",
];

/// A page of a list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// Where it goes on.
    pub page_info: PageInfo,
    /// Its items.
    pub nodes: Option<Vec<Option<T>>>,
    /// How many items all pages have; absent where that was not asked.
    #[serde(default)]
    pub total_count: Option<u64>,
}

/// Where a list goes on.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageInfo {
    /// Whether it does.
    pub has_next_page: bool,
    /// After what.
    pub end_cursor: Option<String>,
}

impl<T> Page<T> {
    /// The cursor of the next page.
    pub fn next(&self) -> Option<String> {
        self.page_info.has_next_page.then(|| self.page_info.end_cursor.clone().unwrap_or_default())
    }

    /// Its items that were shown.
    pub fn items(&self) -> impl Iterator<Item = &T> {
        self.nodes.iter().flatten().flatten()
    }

    /// True when every item of it was shown.
    pub fn shown(&self) -> bool {
        self.nodes.as_ref().is_some_and(|nodes| nodes.iter().all(Option::is_some))
    }

    /// True when it is the whole list.
    pub fn whole(&self) -> bool {
        self.shown() && !self.page_info.has_next_page
    }
}

/// An answer that holds one page of one list.
pub trait Listed {
    /// Where the list goes on.
    fn next(&self) -> Option<String>;
    /// Items of this page.
    fn count(&self) -> usize;
}

impl<T> Listed for Option<&Page<T>> {
    fn next(&self) -> Option<String> {
        self.as_ref().and_then(|page| page.next())
    }

    fn count(&self) -> usize {
        self.as_ref().map_or(0, |page| page.items().count())
    }
}

impl Repositories {
    /// The page it holds.
    pub fn page(&self) -> Option<&Page<Repository>> {
        self.organization.as_ref()?.repositories.as_ref()
    }
}

impl Listed for Repositories {
    fn next(&self) -> Option<String> {
        self.page().next()
    }

    fn count(&self) -> usize {
        self.page().count()
    }
}

impl More {
    /// The deploy keys it holds.
    pub fn keys(&self) -> Option<&Page<DeployKey>> {
        self.node.as_ref()?.deploy_keys.as_ref()
    }

    /// The environments it holds.
    pub fn environments(&self) -> Option<&Page<Environment>> {
        self.node.as_ref()?.environments.as_ref()
    }
}

impl Listed for More {
    fn next(&self) -> Option<String> {
        self.keys().next().or_else(|| self.environments().next())
    }

    fn count(&self) -> usize {
        self.keys().count() + self.environments().count()
    }
}

impl Saml {
    /// The identities it holds.
    pub fn identities(&self) -> Option<&Page<Identity>> {
        self.organization.as_ref()?.saml_identity_provider.as_ref()?.external_identities.as_ref()
    }
}

impl Listed for Saml {
    fn next(&self) -> Option<String> {
        self.identities().next()
    }

    fn count(&self) -> usize {
        self.identities().count()
    }
}

/// Only how many there are.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Count {
    /// How many.
    pub total_count: i64,
}

/// What `Repositories` answers.
#[derive(Deserialize)]
pub struct Repositories {
    /// The organisation.
    pub organization: Option<Owner>,
}

/// The organisation in [`Repositories`].
#[derive(Deserialize)]
pub struct Owner {
    /// Its login.
    pub login: String,
    /// A page of its repositories.
    pub repositories: Option<Page<Repository>>,
}

/// One repository.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Repository {
    /// Its node.
    pub id: String,
    /// `owner/name`.
    pub name_with_owner: String,
    /// Whether it is read-only.
    pub is_archived: Option<bool>,
    /// Whether Dependabot looks at it.
    pub has_vulnerability_alerts_enabled: Option<bool>,
    /// Its default branch; null before the first commit.
    pub default_branch_ref: Option<Branch>,
    /// Its deploy keys.
    pub deploy_keys: Option<Page<DeployKey>>,
    /// Its environments.
    pub environments: Option<Page<Environment>>,
}

/// A deploy key without its key.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeployKey {
    /// Its node.
    pub id: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// Whether it can only read.
    pub read_only: bool,
}

/// An environment.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// What protects it.
    pub protection_rules: Option<Page<Gate>>,
}

/// One rule of an environment.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// `BRANCH_POLICY`, `REQUIRED_REVIEWERS` or `WAIT_TIMER`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether who starts a deployment cannot approve it.
    pub prevent_self_review: Option<bool>,
    /// Who can.
    pub reviewers: Option<Count>,
}

/// What `DeployKeys` and `Environments` answer.
#[derive(Deserialize)]
pub struct More {
    /// The repository.
    pub node: Option<MoreOf>,
}

/// The repository in [`More`]: one of both.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MoreOf {
    /// More deploy keys.
    pub deploy_keys: Option<Page<DeployKey>>,
    /// More environments.
    pub environments: Option<Page<Environment>>,
}

/// What `Saml` answers.
#[derive(Deserialize)]
pub struct Saml {
    /// The organisation.
    pub organization: Option<Federated>,
}

/// The organisation in [`Saml`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Federated {
    /// Whether the caller owns it: then no provider means that there is none.
    pub viewer_can_administer: Option<bool>,
    /// Its members.
    pub members_with_role: Option<Count>,
    /// Its provider.
    pub saml_identity_provider: Option<Provider>,
}

/// An identity provider.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provider {
    /// Identities of members.
    pub external_identities: Option<Page<Identity>>,
}

/// An identity.
#[derive(Deserialize)]
pub struct Identity {
    /// Whose it is; nobody's until linked.
    pub user: Option<Linked>,
}

/// A member.
#[derive(Deserialize)]
pub struct Linked {
    /// Its login.
    pub login: String,
}
