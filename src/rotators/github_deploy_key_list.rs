//! The deploy keys of a repository, as GitHub lists them.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};

use crate::model::id::{KeyId, VersionId};
use crate::model::time::{Limit, Timestamp};
use crate::transport::github::Failure;
use crate::world::{KeyView, LastUse};

/// What titles of our own begin with; the version follows.
pub(super) const TITLE: &str = "slm ";

/// A key as GitHub lists it.
#[derive(Deserialize)]
pub(super) struct Listed {
    pub(super) id: u64,
    key: String,
    title: String,
    created_at: Timestamp,
    pub(super) read_only: bool,
    /// False where the organisation does not let deploy keys in.
    #[serde(default = "enabled")]
    pub(super) enabled: bool,
    /// `None` when the answer has no such field.
    #[serde(default, deserialize_with = "told")]
    last_used: Option<Option<Timestamp>>,
}

fn enabled() -> bool {
    true
}

fn told<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Timestamp>>, D::Error> {
    Option::<Timestamp>::deserialize(deserializer).map(Some)
}

impl Listed {
    /// The fingerprint of the key, of whatever algorithm, as `ssh-keygen -l` shows it.
    pub(super) fn name(&self) -> Result<KeyId, Failure> {
        let blob = self.key.split_whitespace().nth(1).and_then(|text| STANDARD.decode(text).ok()).ok_or(Failure::Shape)?;
        Ok(KeyId::from(format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))))
    }

    pub(super) fn version(&self) -> Option<VersionId> {
        self.title.strip_prefix(TITLE).map(VersionId::from)
    }

    pub(super) fn view(&self) -> Result<KeyView, Failure> {
        let last_used = match self.last_used {
            None => LastUse::Untold,
            Some(None) => LastUse::Never,
            // GitHub tells the day; it may have been its last second.
            Some(Some(at)) => LastUse::At(end_of_day(at), "somebody: GitHub tells the day alone".to_owned()),
        };
        Ok(KeyView {
            id: self.name()?,
            active: self.enabled,
            version: self.version(),
            created: Some(self.created_at),
            last_used,
            ours: self.version().is_some(),
        })
    }
}

fn end_of_day(at: Timestamp) -> Timestamp {
    let left = Limit::DAY - 1 - at.as_second().rem_euclid(Limit::DAY);
    Limit::seconds(left).after(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_counts_until_the_end_of_its_day() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(end_of_day(at("2026-11-24T00:00:00Z")), at("2026-11-24T23:59:59Z"));
        assert_eq!(end_of_day(at("2026-11-24T23:59:59Z")), at("2026-11-24T23:59:59Z"));
    }

    #[test]
    fn a_missing_last_use_is_not_never() {
        let read = |rest: &str| {
            let text = format!(
                r#"{{"id":1,"key":"ssh-rsa AAAA","title":"x","created_at":"2026-01-01T00:00:00Z","read_only":true{rest}}}"#
            );
            serde_json::from_str::<Listed>(&text).unwrap().view().unwrap()
        };
        assert_eq!(read("").last_used, LastUse::Untold);
        assert_eq!(read(r#","last_used":null"#).last_used, LastUse::Never);
        assert!(matches!(read(r#","last_used":"2026-01-02T00:00:00Z""#).last_used, LastUse::At(..)));
        assert!(!read(r#","enabled":false"#).active);
    }
}
