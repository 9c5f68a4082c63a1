//! Checks on where raw bytes go that are too long for git.

use super::checks::Repo;
use super::registers::{account, is_bucket, is_prefix};
use super::text::{Item, error};
use crate::model::diagnostic::Diagnostic;
use crate::model::locker::ObjectsSettings;

/// The least that is worth a place of its own.
const LEAST: u64 = 4_096;

/// There is one place, it could be one, and it is not in the config repo.
pub fn objects(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    let Some(Item { doc, raw }) = &repo.settings else { return };
    let Some(ObjectsSettings { over, folder, s3 }) = &raw.locker.objects else { return };
    let at = ["locker", "objects"];
    let below = |keys: &[&'static str]| [&at[..], keys].concat();
    let kinds = [folder.is_some(), s3.is_some()].into_iter().filter(|given| *given).count();
    if kinds != 1 {
        let help = "give one of `folder` and `s3`".to_owned();
        out.push(error("slm::not-one-kind", doc.key(&at), format!("`locker.objects` has {kinds} kinds"), Some(help)));
    }
    if *over < LEAST {
        let help = format!("use `{LEAST}` or more: what is shorter stands well in git");
        out.push(error("slm::bad-limit", doc.at(&below(&["over"])), format!("`over` of {over} bytes is too little"), Some(help)));
    }
    if let Some(folder) = folder.as_ref().filter(|folder| !folder.starts_with("../") && !folder.starts_with('/')) {
        let help = "name a folder outside the config repo, as in `../objects`".to_owned();
        let message = format!("`{folder}` is inside the config repo");
        out.push(error("slm::bad-objects", doc.at(&below(&["folder"])), message, Some(help)));
    }
    let Some(s3) = s3 else { return };
    account(repo, doc, &below(&["s3"]), &s3.source, &s3.region, out);
    let wrong = [
        ("bucket", &s3.bucket, is_bucket(&s3.bucket), "use 3 to 63 of `a-z 0-9 . -`, as S3 does"),
        ("prefix", &s3.prefix, is_prefix(&s3.prefix), "use `A-Z a-z 0-9 - _ . = /`, no `/` in front"),
    ];
    for (key, name, _, help) in wrong.into_iter().filter(|(.., fine, _)| !fine) {
        let message = format!("`{name}` cannot be a {key}");
        out.push(error("slm::bad-objects", doc.at(&below(&["s3", key])), message, Some(help.to_owned())));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{World, world};

    const FOLDER: &str = "folder = \"../objects\"";
    const S3: &str = "s3 = { source = \"prod\", region = \"eu-west-1\", bucket = \"acme-objects\" }";

    fn with(lines: &str) -> World {
        world().with("slm.toml", "[source.prod]", &format!("[locker.objects]\n{lines}\n\n[source.prod]"))
    }

    #[test]
    fn what_is_too_long_for_git_goes_to_a_folder_outside_or_to_a_bucket() {
        for fine in [FOLDER, S3, "folder = \"/var/lib/objects\"", "over = 4096\nfolder = \"../o\""] {
            assert_eq!(with(fine).found(), [], "{fine}");
        }
        with(&format!("{FOLDER}\n{S3}")).says("slm::not-one-kind", "objects", "give one of");
        with("over = 5000").says("slm::not-one-kind", "objects", "give one of `folder` and `s3`");
        with("folder = \"objects\"").says("slm::bad-objects", "\"objects\"", "outside the config repo");
        with(&format!("over = 100\n{FOLDER}")).says("slm::bad-limit", "100", "use `4096` or more");
        with(&S3.replace("acme-objects", "A")).says("slm::bad-objects", "\"A\"", "3 to 63");
        with(&S3.replace("eu-west-1", "mars-1")).mentions("slm::unknown-region", "\"mars-1\"", "its regions are");
    }
}
