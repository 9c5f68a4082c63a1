//! Who may change a branch without another's approval, as its protection and its rulesets say it together.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::github_graph::Page;
use crate::model::segregation::{DEPLOY_KEYS, EVERYBODY, may_be_one};

/// A branch.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Branch {
    /// What administrators see of its protection.
    branch_protection_rule: Option<Protection>,
    /// What others see of it: that there is one.
    ref_update_rule: Option<Hidden>,
    /// Rules of rulesets that apply to it.
    rules: Option<Page<Rule>>,
}

#[derive(Deserialize)]
struct Hidden {}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the source's shape")]
struct Protection {
    bypass_pull_request_allowances: Option<Page<Allowance>>,
    is_admin_enforced: bool,
    lock_branch: bool,
    push_allowances: Option<Page<Allowance>>,
    required_approving_review_count: Option<i64>,
    requires_approving_reviews: bool,
    restricts_pushes: bool,
}

#[derive(Deserialize)]
struct Allowance {
    actor: Option<Actor>,
}

/// An app, a team or a user: each shows one of these.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Actor {
    slug: Option<String>,
    combined_slug: Option<String>,
    login: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(rename = "type")]
    kind: String,
    parameters: Option<Parameters>,
    repository_ruleset: Option<Ruleset>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    required_approving_review_count: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ruleset {
    enforcement: String,
    bypass_actors: Option<Page<Bypass>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bypass {
    actor: Option<Actor>,
    deploy_key: bool,
    enterprise_owner: bool,
    organization_admin: bool,
    repository_role_name: Option<String>,
}

/// Names of identities.
type Names = BTreeSet<String>;
/// Who is in each team that was shown, by `organisation/team`.
pub type Teams = BTreeMap<String, Names>;

/// Teams that the rules of `branch` let through, as `organisation/team`.
pub fn teams(branch: &Branch) -> Names {
    let named = limits(branch).into_iter().flatten().flatten();
    named.filter_map(|name| name.strip_prefix(TEAM).map(str::to_owned)).collect()
}

/// Who may change `branch` without anybody's approval: nobody, some, or everybody who may push; `None` when its rules were not all
/// shown. A team of `teams` stands for whoever is in it.
pub fn alone(branch: &Branch, teams: &Teams) -> Option<Names> {
    let limits = limits(branch)?;
    if limits.is_empty() {
        return Some(Names::from([EVERYBODY.to_owned()]));
    }
    let people = |name: String| match name.strip_prefix(TEAM).and_then(|team| teams.get(team)) {
        Some(members) => members.iter().map(|login| format!("user {login}")).collect(),
        None => vec![name],
    };
    let limits: Vec<Names> = limits.into_iter().map(|limit| limit.into_iter().flat_map(people).collect()).collect();
    // Each limit must be passed; who is in another group is not shown, so whoever may be counts as being.
    let passes = |name: &str, limit: &Names| limit.iter().any(|one| may_be_one(one, name));
    let all = limits.iter().flatten().filter(|name| limits.iter().all(|limit| passes(name, limit)));
    Some(all.cloned().collect())
}

/// For each rule that keeps people from changing the branch alone, whom it lets through.
fn limits(branch: &Branch) -> Option<Vec<Names>> {
    let protection = branch.branch_protection_rule.as_ref();
    if protection.is_none() && branch.ref_update_rule.is_some() {
        return None;
    }
    let mut limits = Vec::new();
    if let Some(of) = protection {
        let admins = || if of.is_admin_enforced { Names::new() } else { Names::from(["administrators".to_owned()]) };
        let and_admins = |names: Names| names.into_iter().chain(admins()).collect::<Names>();
        if of.lock_branch {
            limits.push(admins());
        }
        if of.restricts_pushes {
            limits.push(and_admins(allowed(of.push_allowances.as_ref())?));
        }
        if of.requires_approving_reviews && of.required_approving_review_count.is_none_or(|count| count > 0) {
            limits.push(and_admins(allowed(of.bypass_pull_request_allowances.as_ref())?));
        }
    }
    for rule in branch.rules.as_ref().filter(|page| page.whole())?.items() {
        let ruleset = rule.repository_ruleset.as_ref();
        if ruleset.is_some_and(|ruleset| ruleset.enforcement != "ACTIVE") || !rule.limits()? {
            continue;
        }
        let actors = ruleset?.bypass_actors.as_ref().filter(|page| page.whole())?;
        limits.push(actors.items().map(Bypass::name).collect::<Option<Names>>()?);
    }
    Some(limits)
}

fn allowed(page: Option<&Page<Allowance>>) -> Option<Names> {
    page.filter(|page| page.whole())?.items().map(|allowance| allowance.actor.as_ref()?.name()).collect()
}

impl Rule {
    /// Whether it keeps anybody from changing the branch alone; `None` when what it says was not shown.
    fn limits(&self) -> Option<bool> {
        match self.kind.as_str() {
            "UPDATE" | "LOCK_BRANCH" => Some(true),
            "PULL_REQUEST" => Some(self.parameters.as_ref()?.required_approving_review_count? > 0),
            _ => Some(false),
        }
    }
}

/// How a team is named among identities.
const TEAM: &str = "team ";

impl Actor {
    fn name(&self) -> Option<String> {
        let Self { slug, combined_slug, login } = self;
        let named = |word: &str, name: &Option<String>| name.as_ref().map(|name| format!("{word}{name}"));
        named("app ", slug).or_else(|| named(TEAM, combined_slug)).or_else(|| named("user ", login))
    }
}

impl Bypass {
    fn name(&self) -> Option<String> {
        if let Some(actor) = &self.actor {
            return actor.name();
        }
        let flags = [
            (self.deploy_key, DEPLOY_KEYS),
            (self.enterprise_owner, "owners of the enterprise"),
            (self.organization_admin, "owners of the organisation"),
        ];
        let flag = flags.into_iter().find(|(set, _)| *set).map(|(_, name)| name.to_owned());
        flag.or_else(|| self.repository_role_name.as_ref().map(|role| format!("role {role}")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn page(nodes: Json) -> Json {
        json!({ "pageInfo": { "hasNextPage": false }, "nodes": nodes })
    }

    fn of(branch: Json) -> Option<Vec<String>> {
        let branch: Branch = serde_json::from_value(branch).unwrap();
        alone(&branch, &Teams::new()).map(|names| names.into_iter().collect())
    }

    fn protection(admins: bool, reviews: bool, pushers: Option<Json>) -> Json {
        json!({
            "bypassPullRequestAllowances": page(json!([])), "isAdminEnforced": admins, "lockBranch": false,
            "pushAllowances": page(pushers.clone().unwrap_or_else(|| json!([]))), "requiredApprovingReviewCount": 1,
            "requiresApprovingReviews": reviews, "restrictsPushes": pushers.is_some()
        })
    }

    fn rule(kind: &str, approvals: Option<i64>, bypass: Json) -> Json {
        json!({ "type": kind, "parameters": approvals.map(|count| json!({ "requiredApprovingReviewCount": count })),
            "repositoryRuleset": { "enforcement": "ACTIVE", "bypassActors": bypass } })
    }

    fn actor(actor: Json) -> Json {
        json!({ "actor": actor, "deployKey": false, "enterpriseOwner": false, "organizationAdmin": false, "repositoryRoleName": null })
    }

    fn want(names: &[&str]) -> Option<Vec<String>> {
        Some(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn a_branch_without_a_limit_is_changed_by_whoever_may_push() {
        assert_eq!(of(json!({ "rules": page(json!([])) })), want(&["*"]));
        let merely = page(json!([rule("PULL_REQUEST", Some(0), page(json!([]))), rule("DELETION", None, page(json!([])))]));
        assert_eq!(of(json!({ "rules": merely })), want(&["*"]), "a pull request of one's own needs nobody");
    }

    #[test]
    fn whom_the_limits_let_through_is_named() {
        let none = page(json!([]));
        let bare = |protection: Json| of(json!({ "branchProtectionRule": protection, "rules": none }));
        assert_eq!(bare(protection(true, true, None)), want(&[]));
        assert_eq!(bare(protection(false, true, None)), want(&["administrators"]));
        let app = json!([{ "actor": { "slug": "slm" } }]);
        assert_eq!(bare(protection(true, false, Some(app.clone()))), want(&["app slm"]));
        assert_eq!(bare(protection(true, true, Some(app))), want(&[]), "it may push, and not without an approval");
        let mut locked = protection(true, false, None);
        locked["lockBranch"] = json!(true);
        assert_eq!(bare(locked), want(&[]), "it is read-only");
        let team = actor(json!({ "combinedSlug": "acme/sec" }));
        let mut owners = actor(json!(null));
        owners["organizationAdmin"] = json!(true);
        let rules = page(json!([
            rule("UPDATE", None, page(json!([team.clone(), owners]))),
            rule("PULL_REQUEST", Some(1), page(json!([team])))
        ]));
        assert_eq!(of(json!({ "rules": rules })), want(&["owners of the organisation", "team acme/sec"]));
    }

    #[test]
    fn a_team_that_was_shown_stands_for_whoever_is_in_it() {
        let none = page(json!([]));
        let team = actor(json!({ "combinedSlug": "acme/sec" }));
        let user = |login: &str| json!([{ "actor": { "login": login } }]);
        let one = page(json!([rule("UPDATE", None, page(json!([team.clone()])))]));
        let both = json!({ "branchProtectionRule": protection(true, false, Some(user("ada"))), "rules": one });
        let read = |branch: &Json| serde_json::from_value::<Branch>(branch.clone()).unwrap();
        let of = |branch: &Json, members: Option<&[&str]>| {
            let named = |all: &[&str]| all.iter().map(|&name| name.to_owned()).collect::<Names>();
            let shown = members.map(|all| ("acme/sec".to_owned(), named(all)));
            alone(&read(branch), &shown.into_iter().collect()).map(|names| names.into_iter().collect::<Vec<_>>())
        };
        assert_eq!(teams(&read(&both)), Names::from(["acme/sec".to_owned()]));
        assert_eq!(teams(&read(&json!({ "rules": none }))), Names::new());
        let alone = json!({ "rules": one });
        assert_eq!(of(&alone, None), want(&["team acme/sec"]));
        assert_eq!(of(&alone, Some(&["ada", "bo"])), want(&["user ada", "user bo"]));
        assert_eq!(of(&alone, Some(&[])), want(&[]), "nobody is in it");
        assert_eq!(of(&both, None), want(&["team acme/sec", "user ada"]), "she may be in it");
        assert_eq!(of(&both, Some(&["ada", "bo"])), want(&["user ada"]));
        assert_eq!(of(&both, Some(&["bo"])), want(&[]), "each rule lets through somebody else");
    }

    #[test]
    fn what_was_not_shown_is_no_limit_and_no_freedom() {
        let none = page(json!([]));
        let hidden = rule("UPDATE", None, json!(null));
        let nobody = actor(json!(null));
        for unseen in [
            json!({ "refUpdateRule": {}, "rules": none }),
            json!({ "rules": null }),
            json!({ "rules": page(json!([hidden])) }),
            json!({ "rules": page(json!([rule("UPDATE", None, page(json!([nobody])))])) }),
            json!({ "rules": page(json!([rule("PULL_REQUEST", None, none.clone())])) }),
            json!({ "branchProtectionRule": protection(true, false, Some(json!([{ "actor": null }]))), "rules": none }),
        ] {
            assert_eq!(of(unseen.clone()), None, "{unseen}");
        }
        let tried = json!({ "type": "UPDATE", "repositoryRuleset": { "enforcement": "EVALUATE", "bypassActors": null } });
        assert_eq!(of(json!({ "rules": page(json!([tried])) })), want(&["*"]), "what only tries a rule out limits nobody");
    }
}
