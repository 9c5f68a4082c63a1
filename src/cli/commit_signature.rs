//! Whether the signature of a commit of the config holds, by those whom a git source of the config allows to sign.

#![expect(clippy::disallowed_methods, reason = "the list of allowed signers is a file")]

use git2::Oid;

use super::Global;
use crate::model::catalog::{Catalog, SourceKind};
use crate::model::past::Signature;
use crate::transport::git::Git;
use crate::transport::git_signature::{self, AllowedSigners};

/// What the signature of `commit` comes to by the signers that `catalog` names for a repository that has it; `found` where it names none, or
/// their file cannot be read.
pub(super) fn check(global: &Global, catalog: &Catalog, commit: &str, found: Signature) -> Signature {
    let Ok(id) = Oid::from_str(commit) else { return found };
    for kind in catalog.settings.sources.values() {
        let SourceKind::Git(source) = kind else { continue };
        let Some(path) = &source.allowed_signers else { continue };
        let text = std::fs::read_to_string(global.root.join(path)).unwrap_or_default();
        let Ok(commit) = Git::open(&global.root.join(&source.path)).and_then(|git| git.commit(id)) else { continue };
        let signers = AllowedSigners::parse(&text).ok().filter(|_| !text.is_empty());
        if let Some((signers, (armour, bytes))) = signers.zip(commit.signature) {
            return checked(signers.check(&armour, &bytes, commit.committed));
        }
    }
    found
}

fn checked(signature: git_signature::Signature) -> Signature {
    match signature {
        git_signature::Signature::Absent => Signature::None,
        git_signature::Signature::Good(principals) => Signature::Good(principals),
        git_signature::Signature::UnknownKey => Signature::UnknownKey,
        git_signature::Signature::Bad => Signature::Bad,
        git_signature::Signature::Unsupported => Signature::Unchecked,
    }
}
