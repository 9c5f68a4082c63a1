//! Whether one identity can write both policy and evidence, as far as the settings show it.

use super::checks::Repo;
use super::raw;
use super::text::{Item, warning};
use crate::model::diagnostic::Diagnostic;

/// The remote of a config repo when none is named.
const REMOTE: &str = "origin";

/// Evidence that goes where policy goes, with nothing of its own that vouches for it, is worth as much as the policy.
pub fn segregation(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    let Some(Item { doc, raw }) = &repo.settings else { return };
    let locker = &raw.locker;
    let own = locker.signing_key.is_some() || locker.log.key.is_some();
    if let Some(remote) = locker.remote.as_deref().filter(|remote| !own && policy_remotes(raw).any(|policy| policy == *remote)) {
        let message = format!("policy and evidence both go to `{remote}`, and no key of its own signs the evidence");
        let help = "whoever may push the one may push the other: add `[locker.log]` with a `key`, a `signing-key`, or a `remote` of its own";
        out.push(warning("slm::not-segregated", doc.at(&["locker", "remote"]), message, Some(help.to_owned())));
    }
    for (name, source) in &raw.source {
        let Some(aws) = &source.aws else { continue };
        let same = aws.read_role.as_ref().zip(aws.apply_role.as_ref()).is_some_and(|(read, apply)| read == apply);
        if same {
            let place = doc.at(&["source", name, "aws", "apply-role"]);
            let message = format!("source `{name}` is read and written by one role");
            let help = "give reading a role of its own: what reports must not be able to change what it reports".to_owned();
            out.push(warning("slm::not-segregated", place, message, Some(help)));
        }
    }
}

/// Remotes that the config repo itself is pushed to, as far as the settings tell.
fn policy_remotes(raw: &raw::Settings) -> impl Iterator<Item = &str> {
    let named = raw.source.values().filter_map(|source| source.git.as_ref()).filter(|git| git.path == ".");
    named.map(|git| git.remote.as_deref().unwrap_or(REMOTE)).chain([REMOTE])
}

#[cfg(test)]
mod tests {
    use super::super::tests::world;

    #[test]
    fn evidence_that_goes_where_policy_goes_has_something_of_its_own() {
        let locker = |text: &str| world().with("slm.toml", "[source.prod]", &format!("{text}\n[source.prod]"));
        let same = "[locker]\nremote = \"origin\"";
        locker(same).says("slm::not-segregated", "\"origin\"", "`[locker.log]` with a `key`");
        assert_eq!(locker("[locker]\nremote = \"evidence\"").found(), []);
        assert_eq!(locker(&format!("{same}\nsigning-key = \"../key\"")).found(), []);
        let key = "[locker.log]\norigin = \"acme.example/slm\"\nkey = { source = \"local\", name = \"slm/log-key\" }";
        assert_eq!(locker(&format!("{same}\n{key}")).found(), []);
        let elsewhere = "[source.config]\ngit = { path = \".\", remote = \"evidence\" }\n[locker]\nremote = \"evidence\"";
        locker(elsewhere).says("slm::not-segregated", "\"evidence\"", "may push the other");
    }

    #[test]
    fn what_reads_an_account_is_not_what_writes_it() {
        let roles = |read: &str, apply: &str| {
            let with = format!("regions = [\"eu-west-1\"], read-role = \"{read}\", apply-role = \"{apply}\"");
            world().with("slm.toml", "regions = [\"eu-west-1\"]", &with)
        };
        roles("arn:aws:iam::1:role/x", "arn:aws:iam::1:role/x").says("slm::not-segregated", "\"arn:aws:iam::1:role/x\"", "reading");
        assert_eq!(roles("arn:aws:iam::1:role/x", "arn:aws:iam::1:role/y").found(), []);
    }
}
