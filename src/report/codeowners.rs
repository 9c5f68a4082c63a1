//! CODEOWNERS: who has to review a control, its rules, a credential or an exception, from the owners that these name.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::catalog::{Catalog, PolicyFile};

/// Before what slm writes in the file; what stands outside is left alone.
const BEGIN: &str = "# slm: from here on written by `slm ci codeowners`\n";
const END: &str = "# slm: up to here\n";

/// What the owners are in GitHub.
pub struct Of<'a> {
    /// The organisation whose teams they are.
    pub org: &'a str,
    /// Who owns what no control does: settings, guards, the schema, workflows and the action.
    pub default: &'a str,
    /// Where the config repo is in its repository: empty, or a path that ends in `/`.
    pub prefix: &'a str,
}

/// The file with our part of it made anew: `text` is the file as it is, empty when there is none.
///
/// # Errors
/// When a name is no owner of GitHub, or the file ends in the middle of our part.
pub fn codeowners(text: &str, catalog: &Catalog, of: &Of<'_>) -> Result<String, String> {
    spliced(text, &part(catalog, of)?)
}

/// `text` with `part` at its end and our part nowhere else: the last line that matches decides, and one below ours would take from it.
fn spliced(text: &str, part: &str) -> Result<String, String> {
    let others = match text.split_once(BEGIN) {
        None => text.to_owned(),
        Some((before, rest)) => {
            let (_, after) = rest.split_once(END).ok_or("CODEOWNERS has the beginning of what slm writes and not its end")?;
            format!("{before}{after}")
        }
    };
    let gap = if others.is_empty() || others.ends_with('\n') { "" } else { "\n" };
    Ok(format!("{others}{gap}{BEGIN}{part}{END}"))
}

fn part(catalog: &Catalog, of: &Of<'_>) -> Result<String, String> {
    let default = handle(of.default, of.org)?;
    let mut lines: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut add = |path: &str, owner: &str| -> Result<(), String> {
        lines.entry(path.to_owned()).or_default().insert(handle(owner, of.org)?);
        Ok(())
    };
    for control in catalog.controls.values() {
        add(&control.place.file, &control.owner)?;
    }
    for credential in catalog.credentials.values() {
        add(&credential.place.file, &credential.owner)?;
    }
    // Whoever answers for a promise answers for what is excepted from it.
    for exception in catalog.exceptions.values() {
        let owner = catalog.controls.get(&exception.control).map_or(of.default, |control| control.owner.as_str());
        add(&exception.place.file, owner)?;
    }
    for policy in &catalog.policies {
        for owner in owners(catalog, policy) {
            add(&policy.path, owner)?;
        }
    }
    let mut text = String::new();
    // What comes later decides, so that the whole comes before its parts.
    for folder in ["attestations/", "controls/", "credentials/", "exceptions/", "policies/", "slm.toml"] {
        text.push_str(&format!("/{} {default}\n", escaped(&format!("{}{folder}", of.prefix))));
    }
    // Workflows, and the action beside them: what they run has the applying role.
    for folder in [".github/", "deploy/action/"] {
        text.push_str(&format!("/{folder} {default}\n"));
    }
    for (path, owners) in lines {
        let owners: Vec<String> = owners.into_iter().collect();
        text.push_str(&format!("/{} {}\n", escaped(&format!("{}{path}", of.prefix)), owners.join(" ")));
    }
    Ok(text)
}

/// The owners of the controls whose rules are in a file.
fn owners<'c>(catalog: &'c Catalog, policy: &PolicyFile) -> BTreeSet<&'c str> {
    let ids = policy.text.split("@id(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let of = |id: &str| {
        let whole =
            |control: &str| id.strip_prefix(control).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.', '/']));
        catalog.controls.values().find(|control| whole(control.id.as_str())).map(|control| control.owner.as_str())
    };
    ids.filter_map(of).collect()
}

/// An owner as GitHub writes it: a handle or an address as it is, a plain word as a team of `org`.
fn handle(owner: &str, org: &str) -> Result<String, String> {
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let known = match owner.split_once('@') {
        Some(("", handle)) => handle.split('/').all(plain) && handle.split('/').count() <= 2,
        Some((local, domain)) => plain(local) && plain(domain),
        None => false,
    };
    if known {
        Ok(owner.to_owned())
    } else if plain(owner) && plain(org) {
        Ok(format!("@{org}/{owner}"))
    } else {
        Err(format!("owner `{owner}` is no handle, no address and no team of `{org}`"))
    }
}

/// A path in which a space or a `#` ends nothing.
fn escaped(path: &str) -> String {
    path.replace('\\', "\\\\").replace(' ', "\\ ").replace('#', "\\#")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_a_team_of_the_organisation_unless_it_is_a_handle_or_an_address() {
        for (owner, handle) in [
            ("security", "@acme/security"),
            ("@ada", "@ada"),
            ("@other/team", "@other/team"),
            ("ada@example.com", "ada@example.com"),
        ] {
            assert_eq!(super::handle(owner, "acme"), Ok(handle.to_owned()));
        }
        for wrong in ["two words", "@a/b/c", "@", "x\n* @eve", "a@b@c"] {
            assert_eq!(handle(wrong, "acme"), Err(format!("owner `{wrong}` is no handle, no address and no team of `acme`")));
        }
    }

    #[test]
    fn what_stands_outside_of_our_part_is_left_as_it_is_and_twice_is_once_and_nothing_takes_from_ours() {
        let first = spliced("* @acme/all", "/x @acme/security\n").unwrap();
        assert_eq!(first, format!("* @acme/all\n{BEGIN}/x @acme/security\n{END}"));
        let more = format!("{first}/docs/ @acme/docs\n/controls/ @eve");
        let second = spliced(&more, "/y @acme/platform\n").unwrap();
        assert_eq!(second, format!("* @acme/all\n/docs/ @acme/docs\n/controls/ @eve\n{BEGIN}/y @acme/platform\n{END}"));
        assert_eq!(spliced(&second, "/y @acme/platform\n"), Ok(second.clone()));
        assert!(spliced(BEGIN, "").unwrap_err().contains("not its end"));
    }

    #[test]
    fn a_space_or_a_hash_in_a_path_ends_nothing() {
        assert_eq!(escaped("a b#c"), "a\\ b\\#c");
    }
}
