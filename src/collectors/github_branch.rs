//! What guards a default branch: its branch protection and every active ruleset together, whichever is stricter.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::github_graph::{Count, Page};
use super::github_run::known;
use crate::model::snapshot::{Attribute, Value};

/// A default branch.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Branch {
    /// What administrators see of its protection.
    pub branch_protection_rule: Option<Protection>,
    /// What others see of it: that there is one.
    pub ref_update_rule: Option<Hidden>,
    /// Rules of active rulesets of the repository and the organisation that apply to it.
    pub rules: Option<Page<Rule>>,
}

/// A protection without what it says.
#[derive(Deserialize)]
pub struct Hidden {}

/// A branch protection.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the source's shape")]
pub struct Protection {
    /// Whether the branch may be deleted.
    pub allows_deletions: bool,
    /// Whether history may be rewritten.
    pub allows_force_pushes: bool,
    /// Those who may rewrite it all the same.
    pub bypass_force_push_allowances: Option<Count>,
    /// Whether a push takes approvals back.
    pub dismisses_stale_reviews: bool,
    /// Whether the last push needs one.
    pub require_last_push_approval: bool,
    /// How many.
    pub required_approving_review_count: Option<i64>,
    /// Checks that must pass.
    pub required_status_check_contexts: Option<Vec<Option<String>>>,
    /// Whether approvals are needed at all.
    pub requires_approving_reviews: bool,
    /// Whether checks are.
    pub requires_status_checks: bool,
    /// Whether the branch must be up to date.
    pub requires_strict_status_checks: bool,
}

/// A rule of a ruleset.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// `PULL_REQUEST`, `NON_FAST_FORWARD` and so on.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its ruleset.
    pub repository_ruleset: Option<Ruleset>,
    /// What it says.
    pub parameters: Option<Parameters>,
}

/// A ruleset.
#[derive(Deserialize)]
pub struct Ruleset {
    /// `ACTIVE`, `DISABLED` or `EVALUATE`.
    pub enforcement: String,
}

/// What a rule says, of either kind.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameters {
    /// Whether a push takes approvals back.
    pub dismiss_stale_reviews_on_push: Option<bool>,
    /// Whether the last push needs one.
    pub require_last_push_approval: Option<bool>,
    /// How many.
    pub required_approving_review_count: Option<i64>,
    /// Checks that must pass.
    pub required_status_checks: Option<Vec<Check>>,
    /// Whether the branch must be up to date.
    pub strict_required_status_checks_policy: Option<bool>,
}

/// A check.
#[derive(Deserialize)]
pub struct Check {
    /// Its name.
    pub context: String,
}

/// What is known of `branch`, and whether all of it was shown. What a part that was shown forbids is a fact; that nothing forbids it
/// is one only when all parts were shown.
pub fn facts(branch: &Branch) -> (Vec<Attribute>, bool) {
    let protection = branch.branch_protection_rule.as_ref();
    let hidden = protection.is_none() && branch.ref_update_rule.is_some();
    let rules: Vec<&Rule> = branch.rules.iter().flat_map(|page| page.items()).filter(|rule| rule.is_active()).collect();
    let spoken = rules.iter().all(|rule| rule.parameters.is_some() || !matches!(rule.kind.as_str(), PULL_REQUEST | CHECKS));
    let whole = !hidden && spoken && branch.rules.as_ref().is_some_and(|page| page.whole());

    let yes = |shown: bool| if shown || whole { Some(Value::Bool(shown)) } else { None };
    let has = |kind: &str| rules.iter().any(|rule| rule.kind == kind);
    let said = |says: fn(&Parameters) -> bool| rules.iter().filter_map(|rule| rule.parameters.as_ref()).any(says);
    let protects = |says: fn(&Protection) -> bool| protection.is_some_and(says);
    let facts = known([
        ("blocks_deletion", yes(protects(|of| !of.allows_deletions) || has("DELETION"))),
        ("blocks_force_push", yes(protects(Protection::keeps_history) || has("NON_FAST_FORWARD"))),
        ("default_branch_protected", yes(protection.is_some() || hidden || !rules.is_empty())),
        (
            "dismiss_stale_reviews",
            yes(protects(|of| of.requires_approving_reviews && of.dismisses_stale_reviews)
                || said(|of| of.dismiss_stale_reviews_on_push == Some(true))),
        ),
        (
            "last_push_approval",
            yes(protects(|of| of.requires_approving_reviews && of.require_last_push_approval)
                || said(|of| of.require_last_push_approval == Some(true))),
        ),
        ("required_approvals", whole.then(|| Value::Long(approvals(protection, &rules)))),
        ("required_checks", whole.then(|| Value::Long(checks(protection, &rules)))),
        ("strict_checks", yes(protects(|of| of.requires_status_checks && of.requires_strict_status_checks) || said(strict))),
    ]);
    (facts, whole)
}

const PULL_REQUEST: &str = "PULL_REQUEST";
const CHECKS: &str = "REQUIRED_STATUS_CHECKS";

impl Rule {
    fn is_active(&self) -> bool {
        self.repository_ruleset.as_ref().is_none_or(|ruleset| ruleset.enforcement == "ACTIVE")
    }
}

impl Protection {
    /// True when nobody may rewrite history; a count that was not shown is not none.
    fn keeps_history(&self) -> bool {
        !self.allows_force_pushes && self.bypass_force_push_allowances.as_ref().is_some_and(|actors| actors.total_count == 0)
    }
}

fn strict(of: &Parameters) -> bool {
    of.strict_required_status_checks_policy == Some(true) && of.required_status_checks.as_ref().is_some_and(|all| !all.is_empty())
}

fn approvals(protection: Option<&Protection>, rules: &[&Rule]) -> i64 {
    let classic = protection.filter(|of| of.requires_approving_reviews).and_then(|of| of.required_approving_review_count);
    let ruled = rules.iter().filter_map(|rule| rule.parameters.as_ref()?.required_approving_review_count);
    ruled.chain(classic).max().unwrap_or(0)
}

fn checks(protection: Option<&Protection>, rules: &[&Rule]) -> i64 {
    let classic = protection.filter(|of| of.requires_status_checks).and_then(|of| of.required_status_check_contexts.as_ref());
    let ruled = rules.iter().filter_map(|rule| rule.parameters.as_ref()?.required_status_checks.as_ref()).flatten();
    let classic = classic.into_iter().flatten().flatten().map(String::as_str);
    let all: BTreeSet<&str> = classic.chain(ruled.map(|check| check.context.as_str())).collect();
    i64::try_from(all.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(branch: serde_json::Value) -> (Vec<String>, bool) {
        let (facts, whole) = facts(&serde_json::from_value(branch).unwrap());
        let shown = |(name, value): (std::sync::Arc<str>, Value)| match value {
            Value::Bool(yes) => format!("{name} {yes}"),
            Value::Long(number) => format!("{name} {number}"),
            other => format!("{name} {other:?}"),
        };
        (facts.into_iter().map(shown).collect(), whole)
    }

    fn protection() -> serde_json::Value {
        json!({
            "allowsDeletions": false, "allowsForcePushes": false, "bypassForcePushAllowances": {"totalCount": 0},
            "dismissesStaleReviews": true, "requireLastPushApproval": false, "requiredApprovingReviewCount": 1,
            "requiredStatusCheckContexts": ["build"], "requiresApprovingReviews": true, "requiresStatusChecks": true,
            "requiresStrictStatusChecks": false
        })
    }

    fn rules(nodes: serde_json::Value) -> serde_json::Value {
        json!({ "pageInfo": {"hasNextPage": false}, "nodes": nodes })
    }

    #[test]
    fn protection_and_rulesets_count_together() {
        let ruled = rules(json!([
            {"type": "PULL_REQUEST", "repositoryRuleset": {"enforcement": "ACTIVE"}, "parameters":
                {"requiredApprovingReviewCount": 2, "dismissStaleReviewsOnPush": false, "requireLastPushApproval": true}},
            {"type": "REQUIRED_STATUS_CHECKS", "repositoryRuleset": {"enforcement": "ACTIVE"}, "parameters":
                {"requiredStatusChecks": [{"context": "build"}, {"context": "lint"}], "strictRequiredStatusChecksPolicy": true}}
        ]));
        let (facts, whole) = of(json!({ "branchProtectionRule": protection(), "rules": ruled }));
        let want = [
            "blocks_deletion true",
            "blocks_force_push true",
            "default_branch_protected true",
            "dismiss_stale_reviews true",
            "last_push_approval true",
            "required_approvals 2",
            "required_checks 2",
            "strict_checks true",
        ];
        assert_eq!((facts, whole), (want.map(str::to_owned).to_vec(), true));
    }

    #[test]
    fn a_branch_without_rules_is_seen_to_be_bare() {
        let (facts, whole) = of(json!({ "rules": rules(json!([])) }));
        assert!(whole && facts.iter().all(|fact| fact.ends_with(" false") || fact.ends_with(" 0")), "{facts:?}");
        assert_eq!(facts.len(), 8);
    }

    #[test]
    fn what_only_tries_a_rule_out_guards_nothing() {
        let tried = rules(json!([{"type": "DELETION", "repositoryRuleset": {"enforcement": "EVALUATE"}, "parameters": null}]));
        let (facts, _) = of(json!({ "rules": tried }));
        assert!(
            facts.contains(&"blocks_deletion false".to_owned()) && facts.contains(&"default_branch_protected false".to_owned())
        );
    }

    #[test]
    fn a_protection_that_is_hidden_leaves_only_what_is_certain() {
        let deletion = rules(json!([{"type": "DELETION", "parameters": null}]));
        let hidden = of(json!({ "refUpdateRule": {"requiresSignatures": false}, "rules": deletion }));
        assert_eq!(hidden, (vec!["blocks_deletion true".to_owned(), "default_branch_protected true".to_owned()], false));
        let silent = rules(json!([{"type": "PULL_REQUEST", "parameters": null}]));
        assert_eq!(of(json!({ "rules": silent })), (vec!["default_branch_protected true".to_owned()], false));
        assert_eq!(of(json!({ "rules": null })), (vec![], false));
    }

    #[test]
    fn somebody_who_may_rewrite_history_is_not_overlooked() {
        let mut loose = protection();
        for allowances in [json!({"totalCount": 1}), json!(null)] {
            loose["bypassForcePushAllowances"] = allowances;
            let (facts, _) = of(json!({ "branchProtectionRule": loose, "rules": rules(json!([])) }));
            assert!(facts.contains(&"blocks_force_push false".to_owned()));
        }
        let (facts, _) = of(json!({ "branchProtectionRule": loose, "rules": rules(json!([{"type": "NON_FAST_FORWARD"}])) }));
        assert!(facts.contains(&"blocks_force_push true".to_owned()));
    }
}
