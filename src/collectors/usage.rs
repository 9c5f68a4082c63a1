//! Asks IAM which keys a user had before the one in force, and when each was used last.

use aws_config::SdkConfig;

use crate::model::time::{Limit, Timestamp};
use crate::transport::aws::Failure;
use crate::transport::cloudtrail::plain;

/// A key is created this much later than the version that holds it, when two clocks of AWS differ at most.
const SKEW: Limit = Limit::seconds(60);

/// A key of an IAM user.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// Its whole id, which is not to be shown.
    pub id: String,
    /// When it was made.
    pub created: Timestamp,
    /// It is let in.
    pub active: bool,
}

/// The keys of `user`, and when each was made.
///
/// # Errors
/// Why they are not known, in one line.
pub async fn keys(config: &SdkConfig, user: &str) -> Result<Vec<Key>, String> {
    let listed = aws_sdk_iam::Client::new(config).list_access_keys().user_name(user).send().await;
    let listed = listed.map_err(|error| format!("the keys of {user}: {}", Failure::of(&error)))?;
    let key = |key: &aws_sdk_iam::types::AccessKeyMetadata| {
        let created = key.create_date().and_then(|at| Timestamp::from_second(at.secs()).ok())?;
        let active = key.status() != Some(&aws_sdk_iam::types::StatusType::Inactive);
        Some(Key { id: key.access_key_id()?.to_owned(), created, active })
    };
    let keys: Option<Vec<Key>> = listed.access_key_metadata().iter().map(key).collect();
    keys.ok_or_else(|| format!("the keys of {user}: one has no id or no date"))
}

/// Those of `keys` that were there before the one which is held by a version written at `made`.
#[must_use]
pub fn before(keys: &[Key], made: Timestamp) -> Vec<&Key> {
    let current = keys.iter().map(|key| key.created).filter(|created| *created <= SKEW.after(made)).max();
    keys.iter().filter(|key| current.is_some_and(|current| key.created < current)).collect()
}

/// When the key `id` was used last and by what, and the region of that when it has one.
///
/// # Errors
/// Why that is not known, in one line.
pub async fn last_used(config: &SdkConfig, id: &str) -> Result<Option<(Timestamp, String, Option<String>)>, String> {
    let asked = aws_sdk_iam::Client::new(config).get_access_key_last_used().access_key_id(id).send().await;
    let answer = asked.map_err(|error| format!("the last use of a key: {}", Failure::of(&error)))?;
    let used = answer.access_key_last_used();
    Ok(used.and_then(|used| {
        let at = used.last_used_date().and_then(|at| Timestamp::from_second(at.secs()).ok())?;
        let is_region = |region: &str| region.contains('-') && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let region = Some(used.region()).filter(|region| is_region(region)).map(str::to_owned);
        Some((at, plain(&format!("{} in {}", used.service_name(), used.region())), region))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::new(second, 0).unwrap()
    }

    #[test]
    fn keys_made_before_the_one_in_force_are_old_and_those_made_later_are_not() {
        let key = |id: &str, created| Key { id: id.to_owned(), created: at(created), active: true };
        let ids = |keys: &[Key], made| before(keys, at(made)).into_iter().map(|key| key.id.clone()).collect::<Vec<_>>();
        let both = [key("new", 1_000), key("old", 10)];
        assert_eq!(ids(&both, 1_002), ["old"]);
        assert_eq!(ids(&both, 990), ["old"], "clocks may differ by a minute");
        assert_eq!(ids(&both, 500), [""; 0], "the older one is in force, the other is on its way");
        assert_eq!(ids(&both, 5_000_000_000), ["old"]);
        assert_eq!(ids(&both[..1], 1_002), [""; 0]);
    }
}
