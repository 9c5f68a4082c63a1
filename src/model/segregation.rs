//! Whether one identity can change both policy and evidence, by the rules of their branches that were observed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::id::SourceId;

/// What stands in a list of identities for everybody who may push to the repository.
pub const EVERYBODY: &str = "*";

/// The branch of the policy and the branch of the evidence, and who can change both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segregation {
    /// The source that shows the rules.
    pub source: SourceId,
    /// Repository and branch of the policy.
    pub policy: String,
    /// Repository and branch of the evidence.
    pub evidence: String,
    /// Who can change both.
    pub verdict: Verdict,
}

/// Who can change both of two branches without another's approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nobody.
    Apart,
    /// These.
    Shared(BTreeSet<String>),
    /// Not known, and why.
    Unseen(String),
}

/// True when `one` is a group of people: a team, a role, those who administer something.
#[must_use]
pub fn is_group(one: &str) -> bool {
    !one.starts_with("user ") && !one.starts_with("app ") && one != DEPLOY_KEYS
}

/// What stands for the deploy keys of a repository that may write.
pub const DEPLOY_KEYS: &str = "deploy keys";

/// True when somebody may be both `one` and `other`, as the names alone tell: an app is in no team.
#[must_use]
pub fn may_be_one(one: &str, other: &str) -> bool {
    let person = |name: &str| name.starts_with("user ");
    match (is_group(one), is_group(other)) {
        (true, true) => true,
        (true, false) => person(other),
        (false, true) => person(one),
        (false, false) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_may_be_in_any_group_and_an_app_is_in_none() {
        for (one, other, may) in [
            ("user ada", "user ada", true),
            ("user ada", "user bo", false),
            ("user ada", "team acme/sec", true),
            ("team acme/sec", "role maintain", true),
            ("app slm", "team acme/sec", false),
            ("app slm", "app slm", true),
            (DEPLOY_KEYS, "administrators", false),
            (DEPLOY_KEYS, DEPLOY_KEYS, true),
        ] {
            assert_eq!((may_be_one(one, other), may_be_one(other, one)), (may, may), "{one} {other}");
        }
    }
}
