//! Checks on the places outside the locker that are shown its checkpoints.

use std::collections::BTreeSet;

use super::checks::Repo;
use super::registers::{account, is_bucket, is_prefix};
use super::text::{Doc, Item, error};
use crate::model::diagnostic::Diagnostic;
use crate::model::locker::{Anchor, S3Anchor};
use crate::model::time::Limit;

/// Each anchor has a name of its own that can stand in a path, is of one kind, and is somewhere else than the locker.
pub fn anchors(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    let Some(Item { doc, raw }) = &repo.settings else { return };
    let mut seen = BTreeSet::new();
    for (index, anchor) in raw.locker.anchor.iter().enumerate() {
        let index = index.to_string();
        let at = ["locker", "anchor", &index];
        let Anchor { id, git, s3, rfc3161 } = anchor;
        if !is_id(id) {
            let help = "use 1 to 40 of `a-z 0-9 -`, a letter first".to_owned();
            out.push(error("slm::bad-anchor", doc.at(&below(&at, &["id"])), format!("`{id}` cannot name an anchor"), Some(help)));
        }
        if !seen.insert(id) {
            out.push(error("slm::duplicate-id", doc.at(&below(&at, &["id"])), format!("anchor `{id}` is declared twice"), None));
        }
        let kinds = [git.is_some(), s3.is_some(), rfc3161.is_some()].into_iter().filter(|given| *given).count();
        if kinds != 1 {
            let help = "give one of `git`, `s3` and `rfc3161`".to_owned();
            out.push(error(
                "slm::not-one-kind",
                doc.at(&below(&at, &["id"])),
                format!("anchor `{id}` has {kinds} kinds"),
                Some(help),
            ));
        }
        if let Some(git) = git {
            let same = raw.locker.remote.as_deref() == Some(git.remote.as_str());
            if git.remote.is_empty() || git.remote.starts_with('-') || same {
                let help = "name a remote that others keep, not that of the locker".to_owned();
                let message = format!("`{}` vouches for nothing", git.remote);
                out.push(error("slm::bad-anchor", doc.at(&below(&at, &["git", "remote"])), message, Some(help)));
            }
        }
        if let Some(s3) = s3 {
            account(repo, doc, &below(&at, &["s3"]), &s3.source, &s3.region, out);
            bucket(doc, &at, s3, out);
        }
        if let Some(authority) = rfc3161 {
            let http = authority.url.starts_with("https://") || authority.url.starts_with("http://");
            if !http || authority.url.contains('@') {
                let help = "give an `https` or `http` address without credentials".to_owned();
                let message = format!("`{}` is no address of an authority", authority.url);
                out.push(error("slm::bad-anchor", doc.at(&below(&at, &["rfc3161", "url"])), message, Some(help)));
            }
            if authority.ca.is_empty() {
                let help = "name the file with the certificates of whoever vouches for it, in PEM".to_owned();
                out.push(error("slm::bad-anchor", doc.at(&below(&at, &["rfc3161", "ca"])), "`ca` is empty", Some(help)));
            }
        }
    }
}

fn bucket(doc: &Doc<'_>, at: &[&str], s3: &S3Anchor, out: &mut Vec<Diagnostic>) {
    let wrong = [
        ("bucket", &s3.bucket, is_bucket(&s3.bucket), "use 3 to 63 of `a-z 0-9 . -`, as S3 does"),
        ("prefix", &s3.prefix, is_prefix(&s3.prefix), "use `A-Z a-z 0-9 - _ . = /`, no `/` in front"),
    ];
    for (key, name, _, help) in wrong.into_iter().filter(|(.., fine, _)| !fine) {
        let message = format!("`{name}` cannot be a {key}");
        out.push(error("slm::bad-anchor", doc.at(&below(at, &["s3", key])), message, Some(help.to_owned())));
    }
    if s3.retention < Limit::days(1) {
        let help = "Object Lock counts in days; six years are `2190d`".to_owned();
        let place = doc.at(&below(at, &["s3", "retention"]));
        out.push(error("slm::bad-limit", place, format!("a retention of `{}` keeps nothing", s3.retention), Some(help)));
    }
}

fn below<'a>(at: &[&'a str], keys: &[&'a str]) -> Vec<&'a str> {
    [at, keys].concat()
}

/// True when a folder of the locker can have this name.
pub(super) fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=40).contains(&id.len()) && id.bytes().all(plain) && id.as_bytes()[0].is_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{World, world};

    const GIT: &str = "[[locker.anchor]]\nid = \"mirror\"\ngit = { remote = \"file:///srv/mirror.git\" }\n";
    const S3: &str = "[[locker.anchor]]\nid = \"offsite\"\ns3 = { source = \"prod\", region = \"eu-west-1\", bucket = \"acme-anchors\", \
                      retention = \"2190d\" }\n";
    const TSA: &str = "[[locker.anchor]]\nid = \"tsa\"\nrfc3161 = { url = \"http://tsa.example/\", ca = \"tsa.pem\" }\n";

    fn with(lines: &[&str]) -> World {
        world().with("slm.toml", "[source.prod]", &format!("{}\n[source.prod]", lines.join("")))
    }

    /// The anchor as `line` says, the first `from` in it replaced by `to`.
    fn changed(line: &str, from: &str, to: &str) -> World {
        assert!(line.contains(from), "{from}");
        with(&[&line.replacen(from, to, 1)])
    }

    #[test]
    fn anchors_of_every_kind_stand_side_by_side() {
        assert_eq!(with(&[GIT, S3, TSA]).found(), []);
        assert_eq!(with(&[TSA, &TSA.replace("\"tsa\"", "\"tsa-2\"")]).found(), []);
    }

    #[test]
    fn an_anchor_has_one_kind_and_a_name_of_its_own() {
        with(&[GIT, GIT]).says("slm::duplicate-id", "\"mirror\"", "");
        changed(GIT, "git = {", "rfc3161 = { url = \"http://a\", ca = \"b\" }\ngit = {").says(
            "slm::not-one-kind",
            "\"mirror\"",
            "give one of",
        );
        with(&["[[locker.anchor]]\nid = \"x\"\n"]).says("slm::not-one-kind", "\"x\"", "give one of `git`, `s3` and `rfc3161`");
        for id in ["", "Mirror", "a/b", "1a", "a_b", &"a".repeat(41)] {
            changed(GIT, "mirror", id).says("slm::bad-anchor", &format!("\"{id}\""), "a letter first");
        }
    }

    #[test]
    fn an_anchor_that_could_keep_nothing_is_refused() {
        changed(GIT, "file:///srv/mirror.git", "").says("slm::bad-anchor", "\"\"", "not that of the locker");
        changed(GIT, "file:///srv/mirror.git", "--upload-pack=x").says(
            "slm::bad-anchor",
            "\"--upload-pack=x\"",
            "that others keep",
        );
        changed(S3, "acme-anchors", "Acme").says("slm::bad-anchor", "\"Acme\"", "3 to 63");
        changed(S3, "2190d", "12h").says("slm::bad-limit", "\"12h\"", "Object Lock counts in days; six years are `2190d`");
        changed(S3, "eu-west-1", "eu-west-2").says("slm::unknown-region", "\"eu-west-2\"", "did you mean `eu-west-1`?");
        changed(S3, "prod", "org").says("slm::wrong-source-kind", "\"org\"", "use a source of kind `aws`");
        changed(TSA, "http://tsa.example/", "ftp://tsa").says("slm::bad-anchor", "\"ftp://tsa\"", "without credentials");
        changed(TSA, "http://tsa.example/", "https://a:b@tsa").says(
            "slm::bad-anchor",
            "\"https://a:b@tsa\"",
            "without credentials",
        );
        changed(TSA, "tsa.pem", "").says("slm::bad-anchor", "\"\"", "in PEM");
    }
}
