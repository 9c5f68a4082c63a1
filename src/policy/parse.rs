//! Cedar's own parser, one door behind its public interface, which makes its lexer anew for every text and keeps more of it.

use cedar_policy::{ParseErrors, PolicyId, PolicySet};
use cedar_policy_core::ast;
use cedar_policy_core::parser::parse_policyset;

/// The policies of one text.
pub struct Parsed {
    /// Named `policy0…` by position.
    pub set: PolicySet,
}

/// Parses policies.
///
/// # Errors
/// Everything wrong with the text.
#[expect(clippy::result_large_err, reason = "Cedar's own error; there is one a file at most")]
pub fn parse(text: &str) -> Result<Parsed, ParseErrors> {
    Ok(Parsed { set: parse_policyset(text)?.into() })
}

/// Parses policies file by file, and at once where that is the same: Cedar makes its lexer anew for every text. A file that is
/// complained about is parsed alone for the places of the complaints.
#[expect(clippy::result_large_err, reason = "Cedar's own error; there is one a file at most")]
pub fn parse_all(texts: &[&str]) -> Vec<Result<Parsed, ParseErrors>> {
    match together(texts) {
        Some(all) => all.into_iter().map(Ok).collect(),
        None => texts.iter().map(|text| parse(text)).collect(),
    }
}

/// `None` when a text is wrong, holds a template or runs into the next.
fn together(texts: &[&str]) -> Option<Vec<Parsed>> {
    let set = parse_policyset(&texts.join("\n")).ok()?;
    if set.templates().next().is_some() {
        return None;
    }
    let name = |position: usize| ast::PolicyID::from_string(format!("policy{position}"));
    let (mut first, mut start) = (0, 0);
    let mut part = |text: &&str| {
        let end = start + text.len();
        let (mut own, mut count) = (ast::PolicySet::new(), 0);
        while let Some(policy) = set.get(&name(first + count)) {
            let place = policy.loc()?;
            if place.start() >= end {
                break;
            }
            if place.end() > end {
                return None;
            }
            own.add(policy.new_id(name(count))).ok()?;
            count += 1;
        }
        first += count;
        start = end + 1;
        Some(Parsed { set: own.into() })
    };
    let parts = texts.iter().map(&mut part).collect::<Option<Vec<_>>>()?;
    (first == set.policies().count()).then_some(parts)
}

impl Parsed {
    /// A policy as it was written.
    #[must_use]
    pub fn text(&self, policy: &PolicyId) -> Option<&str> {
        AsRef::<ast::PolicySet>::as_ref(&self.set).get(policy.as_ref())?.loc()?.snippet()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "@id(\"a\")\npermit (principal is U, action == Action::\"a\", resource is A) when { resource has n };";
    const TWO: &str = "forbid (principal, action == Action::\"b\", resource);";

    #[test]
    fn files_are_parsed_at_once_as_they_are_alone() {
        let texts = [format!("// {{\n{ONE}{TWO}// end;"), String::new(), TWO.to_owned()];
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let all = together(&texts).unwrap();
        assert_eq!(all.len(), texts.len());
        for (text, parsed) in texts.iter().zip(all) {
            let alone: PolicySet = text.parse().unwrap();
            assert_eq!(parsed.set, alone);
            for policy in alone.policies() {
                assert_eq!(parsed.text(policy.id()), policy.to_cedar().as_deref());
            }
        }
    }

    #[test]
    fn a_policy_does_not_run_into_the_next_file() {
        for halves in [
            ["permit (principal, action,", "resource);"],
            ["permit (principal, action, resource) when { \"", "\" == \"\" };"],
            ["permit (principal, action, resource)", ";"],
            ["@id(\"x\")", "permit (principal, action, resource);"],
        ] {
            assert_eq!(parse(&halves.join("\n")).unwrap().set.policies().count(), 1, "{halves:?}");
            assert!(parse_all(&halves).iter().any(Result::is_err), "{halves:?}");
        }
    }
}
