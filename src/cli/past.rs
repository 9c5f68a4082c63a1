//! The past as verbs need it: the run that stood at an instant, what it left, and what its rules say again of what it saw.

use std::collections::BTreeMap;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use super::{Exit, Global, Trouble, commit_signature, pipeline};
use crate::evaluate::{evaluate, join};
use crate::host::history::{History, Recorded};
use crate::host::{git, repo};
use crate::model::assessment::Assessment;
use crate::model::catalog::Catalog;
use crate::model::past::{Artefact, Authored, Noted};
use crate::model::period::{Date, Late, RunNote, before_midnight, day};
use crate::model::snapshot::{Fact, Snapshot};
use crate::model::time::Timestamp;
use crate::policy::Rules;
use crate::record::leaf::hex;
use crate::record::past::{Placed, RunFile};

/// A day of UTC, which means its end, or an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// `2026-03-31`.
    Day(Date),
    /// `2026-03-31T05:00:00Z`.
    Instant(Timestamp),
}

impl When {
    pub(super) fn instant(self) -> Timestamp {
        match self {
            Self::Day(date) => before_midnight(date),
            Self::Instant(at) => at,
        }
    }

    pub(super) fn date(self) -> Date {
        match self {
            Self::Day(date) => date,
            Self::Instant(at) => day(at),
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self::Instant(at));
        }
        // What is longer than a date would be read as one with its time left out.
        let date = if text.len() == 10 { text.parse().ok() } else { None };
        date.map(Self::Day)
            .ok_or_else(|| format!("`{text}` is no day and no instant; write `2026-03-31` or `2026-03-31T05:00:00Z`"))
    }
}

/// A run of the past.
pub(super) struct Past<'a> {
    pub(super) history: &'a History,
    /// Its commit.
    pub(super) recorded: Recorded,
    pub(super) file: RunFile,
    pub(super) note: RunNote,
}

/// The last run on `branch` that had begun by `when`, as each says of itself.
pub(super) fn at<'a>(history: &'a History, branch: &str, when: When) -> Result<Past<'a>, Trouble> {
    newest(history, branch, when, |_| true)
}

/// The run that stood at `when` on `branch`: the last that had begun by then, of those that more than their own word puts there; and
/// what the others say that would stand there.
pub(super) fn stood<'a>(history: &'a History, branch: &str, when: When) -> Result<(Past<'a>, Vec<Noted>), Trouble> {
    let past = newest(history, branch, when, |one| one.late.is_none())?;
    let claims = |one: &&Recorded| one.run.is_some() && past.recorded.at <= one.at && one.at <= when.instant();
    let mut noted = Vec::new();
    for one in history.commits().iter().filter(claims) {
        let Some(recorded) = one.late else { continue };
        let late = Late { run: run(history, one)?.1, recorded };
        noted.push(Noted { code: "slm::evidence-late", what: late.told() });
    }
    Ok((past, noted))
}

fn newest<'a>(history: &'a History, branch: &str, when: When, wanted: impl Fn(&Recorded) -> bool) -> Result<Past<'a>, Trouble> {
    let begun = history.commits().iter().filter(|one| one.run.is_some() && one.at <= when.instant() && wanted(one));
    let Some(recorded) = begun.max_by_key(|one| one.at).cloned() else {
        let error = format!("no run is recorded on {branch} until {}; nothing is known of that time", when.instant());
        return Err(Trouble { exit: Exit::Incomplete, error: error.into() });
    };
    let (file, note) = run(history, &recorded)?;
    Ok(Past { history, recorded, file, note })
}

/// The run that was recorded as `recorded`.
pub(super) fn run(history: &History, recorded: &Recorded) -> Result<(RunFile, RunNote), Trouble> {
    let path = recorded.run.as_deref().unwrap_or_default();
    let bytes = history.file(recorded.commit, path)?.ok_or_else(|| broken(format!("`{path}` is not in its commit")))?;
    let file = RunFile::parse(path, &bytes).map_err(|error| broken(error.to_string()))?;
    let outcomes = file.outcomes.as_ref().map(|path| history.file(recorded.commit, path)).transpose()?.flatten();
    let placed = Placed { commit: &recorded.commit.to_string(), received: recorded.received, path };
    let note = file.note(&placed, outcomes.as_deref());
    Ok((file, note))
}

/// What the run that was recorded as `recorded` saw.
pub(super) fn snapshot(history: &History, recorded: &Recorded, file: &RunFile) -> Result<Snapshot, Trouble> {
    let mut files = BTreeMap::new();
    for path in file.snapshot_paths() {
        if let Some(bytes) = history.file(recorded.commit, &path)? {
            files.insert(path, bytes);
        }
    }
    file.snapshot(&files).map_err(|error| broken(error.to_string()))
}

/// Evidence that is not as slm wrote it.
pub(super) fn broken(what: String) -> Trouble {
    Trouble { exit: Exit::Integrity, error: format!("the evidence is broken: {what}; `slm verify` says since when").into() }
}

/// A past day judged again.
pub(super) struct Again {
    pub(super) catalog: Catalog,
    pub(super) rules: Rules,
    pub(super) assessment: Assessment,
}

impl Past<'_> {
    /// What its own config says again of what the run saw, as of when it judged; or why that is not to be known.
    pub(super) fn judge_again(&self, global: &Global) -> Result<Result<Again, Noted>, Trouble> {
        let (judged, (catalog, rules)) = match self.judged().and_then(|at| Ok((at, config_at(global, &self.note.config, at)?))) {
            Ok(found) => found,
            Err(noted) => return Ok(Err(noted)),
        };
        let snapshot = self.snapshot()?;
        let assessment = evaluate(&catalog, &rules, &snapshot, judged);
        Ok(Ok(Again { catalog, rules, assessment }))
    }

    /// What `config` would have said of it, which adds what it declares itself in place of what the config of the run added; or why that
    /// is not to be known.
    pub(super) fn judge_otherwise(&self, global: &Global, config: &str) -> Result<Result<Assessment, Noted>, Trouble> {
        let both = |at| Ok((at, config_at(global, &self.note.config, at)?, config_at(global, config, at)?));
        let (judged, (own, _), (catalog, rules)) = match self.judged().and_then(both) {
            Ok(found) => found,
            Err(noted) => return Ok(Err(noted)),
        };
        let snapshot = join::again(&own, &catalog, self.snapshot()?);
        Ok(Ok(evaluate(&catalog, &rules, &snapshot, judged)))
    }

    /// When the run judged.
    fn judged(&self) -> Result<Timestamp, Noted> {
        self.file.judged.ok_or_else(|| Noted {
            code: "slm::past-undated",
            what: format!("run {} was recorded by slm {}, which did not write down when it judged", self.note.id, self.note.slm),
        })
    }

    /// What the run saw.
    pub(super) fn snapshot(&self) -> Result<Snapshot, Trouble> {
        snapshot(self.history, &self.recorded, &self.file)
    }

    /// The file at `path` as it stood, with its digest.
    pub(super) fn artefact(&self, path: &str) -> Result<Option<(Artefact, Vec<u8>)>, Trouble> {
        let Some(bytes) = self.history.file(self.recorded.commit, path)? else { return Ok(None) };
        let artefact =
            Artefact { path: path.to_owned(), sha256: hex(&Sha256::digest(&bytes)), bytes: bytes.len() as u64, object: None };
        Ok(Some((artefact, bytes)))
    }

    /// Who made the config of the run: as git has it, with its signature as the signers of `catalog` make it out, and as the run saw it.
    pub(super) fn authored(&self, global: &Global, catalog: Option<&Catalog>) -> Result<Option<Authored>, Trouble> {
        let Ok(mut authored) = repo::authored(&global.root, &self.note.config) else { return Ok(None) };
        if let Some(catalog) = catalog {
            authored.signature = commit_signature::check(global, catalog, &authored.commit, authored.signature);
        }
        let snapshot = self.snapshot()?;
        let commits = snapshot.populations.iter().filter(|population| population.entity.as_str() == "Git::Commit");
        let mut resources = commits.flat_map(|population| population.resources.iter());
        if let Some(seen) = resources.find(|resource| resource.id.as_str().ends_with(&authored.commit)) {
            authored.observed = seen.facts().map(|(name, fact)| (name.to_string(), plain(fact))).collect();
        }
        Ok(Some(authored))
    }
}

fn plain(fact: Fact<'_>) -> String {
    match fact {
        Fact::Bool(yes) => yes.to_string(),
        Fact::Long(number) => number.to_string(),
        Fact::Text(text) => text.to_owned(),
        Fact::Time(at) => at.to_string(),
    }
}

/// The config of the commit `config` as it was at `at`; or why it is not to be had.
pub(super) fn config_at(global: &Global, config: &str, at: Timestamp) -> Result<(Catalog, Rules), Noted> {
    let unseen = |what: String| Noted { code: "slm::past-config-unseen", what };
    if config.starts_with("work-tree-") {
        return Err(unseen(format!("the config `{config}` was never committed: its rules are not to be had")));
    }
    let files = git::read_tree(&global.root, config)
        .map_err(|error| unseen(format!("the config commit {config} is not here: {}; fetch it", error.cause)))?;
    let checked = pipeline::load_at(files, at);
    let Some(catalog) = checked.catalog else {
        return Err(unseen(format!("slm {} finds errors in the config of {config}", env!("CARGO_PKG_VERSION"))));
    };
    let rules = Rules::of(&catalog, &checked.policies);
    let rules = rules.map_err(|error| unseen(format!("the rules of {config} cannot be compiled: {error}")))?;
    Ok((catalog, rules))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_means_its_end_and_an_instant_itself() {
        let day: When = "2026-03-31".parse().unwrap();
        assert_eq!(day.instant().to_string(), "2026-03-31T23:59:59.999999999Z");
        let instant: When = "2026-03-31T05:00:00Z".parse().unwrap();
        assert_eq!((instant.instant().to_string(), instant.date()), ("2026-03-31T05:00:00Z".to_owned(), day.date()));
        for wrong in ["", "yesterday", "2026-03", "2026-02-30", "2026-03-31T05:00"] {
            let said = wrong.parse::<When>().unwrap_err();
            assert_eq!(said, format!("`{wrong}` is no day and no instant; write `2026-03-31` or `2026-03-31T05:00:00Z`"));
        }
    }
}
