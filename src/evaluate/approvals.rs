//! Who was seen to approve a file of exceptions or attestations: by the pull request that brought it in, or by what its commit says.

use crate::model::approval::Approval;
use crate::model::snapshot::{Resource, Snapshot};

/// A file that people declare something with, and the commit that changed it last.
const DECLARED: &str = "Slm::Declared";
/// A file whose approvals stand in its commits, because a git source says so.
const DOCUMENT: &str = "Slm::Document";
/// A commit, and the pull request that brought it in.
const AT_GITHUB: &str = "GitHub::Commit";

/// Entity types that show who approved a file.
pub const SHOWN_BY: [&str; 3] = [DECLARED, DOCUMENT, AT_GITHUB];

/// What `snapshot` shows of who approved the file at `path`. GitHub counts before a trailer, which is a claim of whoever made the commit.
#[must_use]
pub fn approval(snapshot: &Snapshot, path: &str) -> Approval {
    let file = all(snapshot, DECLARED).find(|one| one.id.as_str().strip_prefix("declared:") == Some(path));
    if let Some(commit) = file.and_then(|file| file.text("commit")) {
        let end = format!("/commits/{commit}");
        if let Some(landed) = all(snapshot, AT_GITHUB).find(|one| one.id.as_str().ends_with(&end)) {
            return match (landed.text("merged_by"), landed.text("approved_by")) {
                (Some(""), _) | (_, Some("")) => Approval::Nobody,
                (_, Some(who)) => Approval::By(who.to_owned()),
                (_, None) => Approval::NotSeen,
            };
        }
    }
    let listed = all(snapshot, DOCUMENT).find(|one| one.id.as_str().strip_prefix("document:") == Some(path));
    // Where no source says that approvals stand in commits, that there is none in one shows nothing.
    let claimed = file.and_then(|file| file.text("approver")).filter(|who| !who.is_empty());
    match listed.and_then(|file| file.text("approver")).or(claimed) {
        None => Approval::NotSeen,
        Some("") => Approval::Nobody,
        Some(who) => Approval::By(who.to_owned()),
    }
}

fn all<'s>(snapshot: &'s Snapshot, entity: &'static str) -> impl Iterator<Item = &'s Resource> {
    snapshot.populations.iter().filter(move |one| one.entity.as_str() == entity).flat_map(|one| one.resources.iter())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::snapshot::{Completeness, Population, Value};
    use crate::model::time::Timestamp;

    const PATH: &str = "exceptions/slow.toml";

    /// What is seen of the file when each of these was: entity, id, facts.
    fn seen(all: &[Seen<'_>]) -> Approval {
        let population = |(entity, id, facts): &Seen<'_>| {
            let facts = facts.iter().map(|(name, text)| (Arc::from(*name), Value::Text((*text).into()))).collect();
            Population {
                source: "one".into(),
                scope: ".".to_owned(),
                entity: (*entity).into(),
                completeness: Completeness::Complete,
                resources: Arc::new(vec![Resource::new((*id).into(), facts)]),
            }
        };
        let populations = all.iter().map(population).collect();
        approval(&Snapshot { taken: Timestamp::UNIX_EPOCH, populations, receipts: Vec::new() }, PATH)
    }

    /// An entity, its id, and its facts.
    type Seen<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

    const FILE: Seen<'_> = (DECLARED, "declared:exceptions/slow.toml", &[("commit", "c0ffee"), ("approver", "bo")]);
    const UNCLAIMED: Seen<'_> = (DECLARED, "declared:exceptions/slow.toml", &[("commit", "c0ffee"), ("approver", "")]);

    fn landed(facts: &'static [(&'static str, &'static str)]) -> Seen<'static> {
        (AT_GITHUB, "github:acme/policy/commits/c0ffee", facts)
    }

    fn listed(facts: &'static [(&'static str, &'static str)]) -> Seen<'static> {
        (DOCUMENT, "document:exceptions/slow.toml", facts)
    }

    #[test]
    fn who_approved_a_file_is_what_its_pull_request_shows_whatever_its_commit_claims() {
        let by = |who: &str| Approval::By(who.to_owned());
        assert_eq!(seen(&[UNCLAIMED, landed(&[("merged_by", "#7"), ("approved_by", "grace")])]), by("grace"));
        assert_eq!(seen(&[FILE, landed(&[("merged_by", "#7"), ("approved_by", "")])]), Approval::Nobody);
        assert_eq!(seen(&[FILE, landed(&[("merged_by", "")])]), Approval::Nobody, "it was pushed past every pull request");
        assert_eq!(seen(&[FILE, landed(&[("merged_by", "#7")])]), Approval::NotSeen, "reviews were not shown");
    }

    #[test]
    fn without_its_pull_request_only_what_says_who_approved_counts_and_silence_is_not_seen() {
        assert_eq!(seen(&[]), Approval::NotSeen);
        assert_eq!(seen(&[UNCLAIMED]), Approval::NotSeen);
        assert_eq!(seen(&[FILE]), Approval::By("bo".to_owned()));
        let other: &[(&str, &str)] = &[("merged_by", "#7"), ("approved_by", "grace")];
        assert_eq!(seen(&[UNCLAIMED, (AT_GITHUB, "github:acme/policy/commits/0ther", other)]), Approval::NotSeen);
        assert_eq!(
            seen(&[UNCLAIMED, listed(&[("approver", "")])]),
            Approval::Nobody,
            "its source says that approvals stand in commits"
        );
        assert_eq!(seen(&[listed(&[("approver", "bo")])]), Approval::By("bo".to_owned()));
    }
}
