//! Who uses a credential, as the source's own log of calls tells: what was found there, and what it means.

use serde::{Deserialize, Serialize};

use super::id::CredentialId;
use super::time::{Limit, Timestamp};

/// How far back the log of calls goes that is asked.
pub const HISTORY: Limit = Limit::days(90);

/// One call that a source logged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// When, by the source's clock.
    pub at: Timestamp,
    /// Who called: an ARN, that of the role for a session of one.
    pub principal: String,
    /// What it said it called with.
    pub user_agent: String,
    /// Where it called from: an address, or a service of AWS.
    pub source_ip: String,
    /// What it called: `ListBuckets`.
    pub event: String,
    /// Where.
    pub region: String,
}

/// Calls that were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// All of them, in no order.
    pub calls: Vec<Call>,
    /// Regions in which only calls since an instant were looked at, since there were too many.
    pub cut: Vec<(String, Timestamp)>,
    /// What was not looked at, and why, one clause each.
    pub unseen: Vec<String>,
}

/// A key that was there before the one in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldKey {
    /// The last letters of its id.
    pub tail: String,
    /// When it was made, by the target's clock.
    pub created: Timestamp,
    /// Its last use by whatever service, as the target tells.
    pub last_used: Option<(Timestamp, String)>,
    /// Calls that it signed.
    pub calls: Calls,
}

/// What was asked about the uses of one credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Keys that were there before the one in force, or why they are not known; `None` when the kind has none.
    pub keys: Option<Result<Vec<OldKey>, String>>,
    /// Readings of the value where it is stored; `None` when its store keeps no log.
    pub reads: Option<Calls>,
}

/// Who uses one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Usage {
    /// Of which credential.
    pub credential: CredentialId,
    /// What is used.
    pub of: Used,
    /// Who, the latest first: everybody for an old key, those who are no declared consumer for a value.
    pub users: Vec<User>,
    /// What a person should know, one clause each.
    pub warnings: Vec<String>,
    /// What was not seen, and why: whoever is not named here may still be a user.
    pub unseen: Vec<String>,
    /// A consumer in TOML that reads as those users, to be pasted; empty when there is none to be declared.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub declare: String,
}

/// What is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Used {
    /// A key that was there before the one in force.
    OldKey {
        /// The last letters of its id; none when it is not known which.
        tail: Option<String>,
        /// Its last use, as the target tells.
        last_used: Option<Timestamp>,
        /// By which of its services.
        service: Option<String>,
        /// Since when uses are listed.
        since: Timestamp,
    },
    /// The value, where it is stored.
    Value,
}

/// Somebody who uses it, in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct User {
    /// An ARN.
    pub principal: String,
    /// What it said it called with.
    pub user_agent: String,
    /// Where it called from.
    pub source_ip: String,
    /// Its last call.
    pub event: String,
    /// Where that was.
    pub region: String,
    /// When that was, by the source's clock.
    pub last: Timestamp,
    /// Calls found.
    pub times: u64,
}

impl Calls {
    /// The instant from which all calls were looked at, as far as they were at all.
    #[must_use]
    pub fn whole_since(&self) -> Option<Timestamp> {
        self.cut.iter().map(|(_, since)| *since).max()
    }
}

/// The longest pause between two of `instants`, which need no order.
#[must_use]
pub fn longest_pause(mut instants: Vec<Timestamp>) -> Option<Limit> {
    instants.sort_unstable();
    let pauses = instants.windows(2).map(|two| two[1].as_second() - two[0].as_second());
    pauses.max().map(Limit::seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_pause_lies_between_neighbours_whatever_their_order() {
        let at = |second| Timestamp::new(second, 0).unwrap();
        assert_eq!(longest_pause(vec![at(50), at(10), at(20)]), Some(Limit::seconds(30)));
        assert_eq!(longest_pause(vec![at(50)]), None);
        assert_eq!(longest_pause(Vec::new()), None);
    }
}
