//! How a password is let in at an account of MySQL that keeps two: beside the one it was made after, in place of a rejected attempt,
//! or not at all. Pure.

use super::mysql::{Found, UNSET};
use crate::model::id::VersionId;

impl Found {
    pub(super) fn first(&self) -> &str {
        self.version.as_ref().map_or(UNSET, VersionId::as_str)
    }

    /// The old password, when it is another one.
    pub(super) fn second(&self) -> Option<&str> {
        self.old.as_ref().map(VersionId::as_str).filter(|old| *old != self.first())
    }
}

/// How a value is let in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It is.
    There,
    /// The one in force becomes the old one.
    Beside,
    /// An attempt that was rejected makes way, and the old one stays.
    Instead,
}

/// How `version`, made after `follows`, may be let in at an account like `found`.
pub(super) fn way(found: &Found, version: &str, follows: &str) -> Result<Way, String> {
    let (first, second) = (found.first(), found.second());
    if first == version {
        return Ok(Way::There);
    }
    if found.gone.iter().any(|gone| gone == version) {
        return Err("it was there, and made way since".to_owned());
    }
    match second {
        // What nobody set through slm and is not the one before is not ours to keep for ever.
        None | Some(UNSET) if first == follows => Ok(Way::Beside),
        Some(second) if second == follows => Ok(Way::Instead),
        Some(second) if first == follows => Err(format!("version {second} is still there beside {first}")),
        _ => Err(format!("version {first} is there, and it was made to follow {follows}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(first: Option<&str>, old: Option<&str>, gone: &[&str]) -> Found {
        let gone = gone.iter().map(|gone| (*gone).to_owned()).collect();
        Found { active: true, version: first.map(VersionId::from), old: old.map(VersionId::from), gone }
    }

    #[test]
    fn a_value_is_let_in_beside_the_one_it_was_made_after_and_beside_no_other() {
        let beside =
            [(found(Some("1"), None, &[]), "1"), (found(None, None, &[]), UNSET), (found(Some("1"), Some(UNSET), &[]), "1")];
        for (found, follows) in beside {
            assert_eq!(way(&found, "2", follows), Ok(Way::Beside));
        }
        // What was discarded by halves is the same password twice.
        assert_eq!(way(&found(Some("1"), Some("1"), &["x"]), "2", "1"), Ok(Way::Beside));
        assert_eq!(way(&found(Some("2"), Some("1"), &[]), "2", "1"), Ok(Way::There));
        assert_eq!(way(&found(Some("rejected"), Some("1"), &[]), "2", "1"), Ok(Way::Instead));
        let late = [
            (found(Some("3"), Some("2"), &[]), "1"),
            (found(Some("3"), None, &[]), "1"),
            (found(Some("1"), Some("0"), &[]), "1"),
            (found(Some("3"), Some("1"), &["2"]), "1"),
            (found(Some("1"), None, &["2"]), "1"),
            (found(None, None, &[]), "1"),
        ];
        for (found, follows) in late {
            assert!(way(&found, "2", follows).is_err(), "{} {:?}", found.first(), found.second());
        }
    }
}
