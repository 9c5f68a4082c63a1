//! Checks on how the locker keeps its log.

use super::checks::Repo;
use super::managed::source;
use super::near;
use super::text::{Doc, Item, error};
use crate::model::diagnostic::Diagnostic;
use crate::model::locker::LogKey;
use crate::model::time::Limit;

/// The log has a name that can stand in a checkpoint, a key that a source can store, and keys to be trusted that could be keys.
pub fn log(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    let Some(Item { doc, raw }) = &repo.settings else { return };
    let log = &raw.locker.log;
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    if log.origin.is_empty() || !log.origin.chars().all(plain) {
        let help = "use a name without spaces or `+`, best an address of yours: `acme.example/slm`".to_owned();
        let message = format!("`{}` cannot name a log", log.origin.escape_debug());
        out.push(error("slm::bad-log", doc.at(&["locker", "log", "origin"]), message, Some(help)));
    }
    for (index, key) in log.trust.iter().enumerate().filter(|(_, key)| !is_key(key)) {
        let help = "copy it as `slm verify` prints it: name, eight hex digits and base64, with `+` between".to_owned();
        let place = doc.at(&["locker", "log", "trust", &index.to_string()]);
        out.push(error("slm::bad-log", place, format!("`{key}` is no verifier key"), Some(help)));
    }
    if log.cadence.is_some_and(|cadence| cadence <= Limit::seconds(0)) {
        out.push(error("slm::bad-limit", doc.at(&["locker", "log", "cadence"]), "a cadence of nothing is never kept", None));
    }
    for (name, key) in [("key", &log.key), ("before", &log.before)] {
        if let Some(key) = key {
            can_sign(repo, doc, name, key, out);
        }
    }
    if log.before.is_some() && log.key.is_none() {
        let help = Some("name the one that takes over as `key`".to_owned());
        out.push(error("slm::bad-log", doc.at(&["locker", "log", "before"]), "there is a key before and none after it", help));
    }
}

/// The key `name` is one secret that its source can store, or one key of KMS.
fn can_sign(repo: &Repo<'_>, doc: &Doc<'_>, name: &str, key: &LogKey, out: &mut Vec<Diagnostic>) {
    let at = ["locker", "log", name];
    if key.name.is_some() == key.kms.is_some() {
        let help = Some("give `name` for a secret, or `kms` for a key of KMS".to_owned());
        out.push(error("slm::not-one-kind", doc.at(&at), format!("`{name}` of the log is not one key"), help));
    }
    let keys = ["locker", "log", name, "source"];
    let Some(found) = source(repo, doc, &keys, key.source.as_str(), out) else { return };
    match (&found.aws, &found.vault, &key.region) {
        (Some(aws), _, Some(region)) if aws.regions.contains(region) => {}
        (Some(aws), _, region) => {
            let regions = || aws.regions.iter().map(String::as_str);
            let help = Some(format!("its regions are {}", near::list(regions())));
            let message = match region {
                Some(region) => format!("region `{region}` is not in scope of source `{}`", key.source),
                None => format!("the key is in an AWS account, `{}`, and its region is not given", key.source),
            };
            out.push(error("slm::unknown-region", doc.at(&at), message, help));
        }
        (None, Some(_), _) if key.kms.is_none() => {}
        (None, vault, _) => {
            let (help, what) = match vault {
                Some(_) => ("use a source of kind `aws`", "is not an AWS account, and KMS is one of AWS"),
                None => ("use a source of kind `aws` or `vault`", "cannot store secrets"),
            };
            let message = format!("source `{}` {what}", key.source);
            out.push(error("slm::wrong-source-kind", doc.at(&keys), message, Some(help.to_owned())));
        }
    }
}

fn is_key(text: &str) -> bool {
    let [name, id, key] = text.splitn(3, '+').collect::<Vec<_>>()[..] else { return false };
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    !name.is_empty() && id.len() == 8 && id.bytes().all(hex) && key.len() == 44 && key.bytes().all(base64)
}

#[cfg(test)]
mod tests {
    use super::super::tests::world;

    const LOCAL: &str = "[source.keep]\nvault = { path = \"v.age\", identity = \"../i\" }\n\n";
    const KEY: &str = "slm+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    const KMS: &str = "key = { source = \"prod\", region = \"eu-west-1\", kms = \"alias/log\" }";

    fn said(lines: &str) -> Vec<&'static str> {
        let world = world().with("slm.toml", "[source.prod]", &format!("[locker.log]\n{lines}\n\n{LOCAL}[source.prod]"));
        world.found().into_iter().map(|(code, ..)| code).collect()
    }

    #[test]
    fn a_log_has_a_name_a_key_that_can_be_kept_and_keys_to_be_trusted() {
        let vault = "key = { source = \"keep\", name = \"slm/log\" }";
        let aws = |region: &str| format!("key = {{ source = \"prod\", {region}name = \"slm/log\" }}");
        for fine in [
            String::new(),
            vault.to_owned(),
            aws("region = \"eu-west-1\", "),
            KMS.to_owned(),
            format!("{vault}\n{}", KMS.replacen("key", "before", 1)),
            format!("origin = \"acme.example/slm\"\ncadence = \"1d\"\ntrust = [\"{KEY}\"]\n{vault}"),
        ] {
            assert!(said(&fine).is_empty(), "{fine}: {:?}", said(&fine));
        }
        for (wrong, code) in [
            ("origin = \"\"".to_owned(), "slm::bad-log"),
            ("origin = \"a b\"".to_owned(), "slm::bad-log"),
            ("origin = \"a+b\"".to_owned(), "slm::bad-log"),
            (format!("trust = [\"{}\"]", &KEY[..50]), "slm::bad-log"),
            ("cadence = \"0d\"".to_owned(), "slm::bad-limit"),
            (aws(""), "slm::unknown-region"),
            (aws("region = \"mars-1\", "), "slm::unknown-region"),
            ("key = { source = \"kep\", name = \"x\" }".to_owned(), "slm::unknown-source"),
            (KMS.replace("kms = ", "name = \"x\", kms = "), "slm::not-one-kind"),
            ("key = { source = \"keep\" }".to_owned(), "slm::not-one-kind"),
            ("key = { source = \"keep\", kms = \"alias/log\" }".to_owned(), "slm::wrong-source-kind"),
            (KMS.replacen("key", "before", 1), "slm::bad-log"),
        ] {
            assert_eq!(said(&wrong), [code], "{wrong}");
        }
    }
}
