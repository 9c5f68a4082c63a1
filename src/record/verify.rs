//! Follows the history of a locker, commit by commit, and says what in it does not hold.
//!
//! Of each commit the leaves are made anew from the files that it changes. They must hash, with all leaves before them, to the
//! root in the signed checkpoint of that very commit; so whatever was edited, put in, left out, renamed or put in another order since
//! leads to another root. What the log cannot show, that there was nothing after its last commit, is shown by a checkpoint that
//! was seen before, or by the time at which a run was due.

use std::collections::BTreeSet;
use std::io;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::cadence;
use super::keys::{self, Key};
use super::leaf::{Leaf, hex};
use super::ledger::{self, CHECKPOINT, FOLDER, LedgerError, Standing};
use super::log::{Frontier, Growing, Hash, Head, Verifier, entries, grown, leaf_hash, signature_lines};
use super::seen;
use crate::model::time::Timestamp;

/// Folders of what is written once: a file there never changes.
pub(super) const ONCE: [&str; 4] = ["runs/", "raw/", "plans/", "anchors/"];

/// How a file came into a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It is new.
    Added,
    /// It was there with other bytes.
    Modified,
    /// It is gone.
    Deleted,
    /// It is there and is no plain file: a link, a program, a repository of its own, a folder without anything in it.
    Strange,
}

impl How {
    /// Whether there are bytes to look at.
    #[must_use]
    pub fn is_file(self) -> bool {
        matches!(self, Self::Added | Self::Modified)
    }
}

/// One file that a commit changes, outside the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// How.
    pub how: How,
    /// The leaf that it must have; of one that is gone, or is no plain file, only the path counts.
    pub leaf: Leaf,
}

/// One commit, as it is looked at.
pub struct Step<'a> {
    /// Its name.
    pub commit: &'a str,
    /// Its message.
    pub message: &'a str,
    /// Its author's date.
    pub author: Timestamp,
    /// Its committer's date.
    pub committer: Timestamp,
    /// How many commits it goes on.
    pub parents: usize,
    /// What it changes, by path; of the first with a log, everything that is in it.
    pub changed: Vec<Changed>,
    /// The file of the run that the message names, when there is one: its path and its bytes.
    pub run: Option<(String, Vec<u8>)>,
    /// What it changes below `log/`, by path there; of the first with a log, everything that is there.
    pub log: Vec<(How, String)>,
    /// Whether such a file has these bytes.
    pub is: &'a dyn Fn(&str, &[u8]) -> bool,
    /// Files of the log in its tree, by their path below `log/`.
    pub read: &'a dyn Fn(&str) -> io::Result<Option<Vec<u8>>>,
}

/// What does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable code.
    pub code: &'static str,
    /// What is wrong, in words.
    pub what: String,
    /// The commit in which it is wrong first; none when it is no commit that is wrong.
    pub commit: Option<String>,
    /// When that commit says it was made.
    pub since: Option<Timestamp>,
}

impl Finding {
    /// Something wrong with no one commit.
    #[must_use]
    pub fn of_all(code: &'static str, what: String) -> Self {
        Self { code, what, commit: None, since: None }
    }
}

/// Something worth knowing that breaks nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Stable code.
    pub code: &'static str,
    /// In words.
    pub what: String,
}

#[derive(Deserialize)]
struct RunFile {
    run: RunHead,
    #[serde(default)]
    result: RunResult,
}

#[derive(Default, Deserialize)]
struct RunResult {
    #[serde(default)]
    outcomes: Vec<RunOutcome>,
}

#[derive(Deserialize)]
struct RunOutcome {
    fate: serde_json::Value,
}

#[derive(Deserialize)]
struct RunHead {
    id: String,
    at: Timestamp,
}

/// A checkpoint that was followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Entries that it covers.
    pub size: u64,
    /// SHA-256 of its file.
    pub sha256: Hash,
    /// When it says that it was made.
    pub received: Timestamp,
}

/// The history so far.
#[derive(Default)]
pub struct Chain {
    log: Growing,
    origin: Option<String>,
    keys: Vec<Key>,
    received: Option<Timestamp>,
    runs: Vec<(String, Timestamp)>,
    known: BTreeSet<String>,
    heads: Vec<Head>,
    sealed: Vec<Sealed>,
    artefacts: u64,
    bytes: u64,
    remarks: Vec<Remark>,
}

impl Chain {
    /// What goes on from a commit whose log `read` gives: that log is believed as it stands, if the key in force signed it. Of a commit without a
    /// log nothing is known.
    ///
    /// # Errors
    /// When the log cannot be read, or is not one that can be gone on from.
    pub fn after(read: impl Fn(&str) -> io::Result<Option<Vec<u8>>>) -> Result<Self, LedgerError> {
        let Some(file) = read(CHECKPOINT)? else { return Ok(Self::default()) };
        let claimed = ledger::standing(&file, &[])?;
        let keys = keys::read_all(&claimed.origin, &read)?;
        let signer: Vec<Verifier> = keys::in_force(&keys, claimed.head.size).map(|key| key.verifier.clone()).into_iter().collect();
        let Standing { origin, head, received } = ledger::standing(&file, &signer)?;
        let log = Growing::at(&head, &read)?;
        Ok(Self { log, origin: Some(origin), keys, received: Some(received), heads: vec![head], ..Self::default() })
    }

    /// Follows one commit more.
    ///
    /// # Errors
    /// The first thing about it that does not hold.
    pub fn follow(&mut self, step: &Step<'_>) -> Result<(), Finding> {
        let found = |(code, what): (&'static str, String)| Finding {
            code,
            what,
            commit: Some(step.commit.to_owned()),
            since: Some(step.committer),
        };
        self.step(step).map_err(found)
    }

    fn step(&mut self, step: &Step<'_>) -> Result<(), (&'static str, String)> {
        if step.parents > 1 || (step.parents == 0 && !self.heads.is_empty()) {
            return Err(("slm::evidence-not-one-line", "the commit does not go on one other".to_owned()));
        }
        let before_keys = self.keys.len();
        let (standing, sha256) = self.standing(step)?;
        self.changes(step)?;
        let before = self.log.tree().clone();
        for changed in &step.changed {
            self.log.push(&changed.leaf.entry());
        }
        if self.log.tree().head() != standing.head {
            return Err(difference(step, &before, &standing.head));
        }
        self.below_log(step, before.size(), before_keys)?;
        self.dates(step, &standing)?;
        self.artefacts += step.changed.len() as u64;
        self.bytes += step.changed.iter().map(|changed| changed.leaf.bytes).sum::<u64>();
        self.heads.push(standing.head);
        self.sealed.push(Sealed { size: standing.head.size, sha256, received: standing.received });
        self.received = Some(standing.received);
        self.origin = Some(standing.origin);
        Ok(())
    }

    /// The checkpoint of the commit, believed, and SHA-256 of its file.
    fn standing(&mut self, step: &Step<'_>) -> Result<(Standing, Hash), (&'static str, String)> {
        let unread = |error: io::Error| ("slm::evidence-unread", format!("its log cannot be read: {error}"));
        let file = (step.read)(CHECKPOINT).map_err(unread)?;
        let file = file.ok_or_else(|| ("slm::evidence-no-checkpoint", "it has no `log/checkpoint`".to_owned()))?;
        let wrong = |error: &LedgerError| ("slm::evidence-bad-checkpoint", with_cause(error));
        let claimed = ledger::standing(&file, &[]).map_err(|error| wrong(&error))?;
        if self.origin.as_ref().is_some_and(|origin| *origin != claimed.origin) {
            let what = format!("it is of the log `{}`, and what came before is not", claimed.origin);
            return Err(("slm::evidence-other-log", what));
        }
        let keys = keys::read_all(&claimed.origin, step.read).map_err(|error| ("slm::evidence-bad-key", with_cause(&error)))?;
        if !keys.starts_with(&self.keys) {
            return Err(("slm::evidence-bad-key", "a key of the log is another than before".to_owned()));
        }
        self.handed_over(&keys, claimed.head.size)?;
        self.keys = keys;
        // A key says from which size on it signs; before the first, nobody does.
        let signer: Vec<Verifier> =
            keys::in_force(&self.keys, claimed.head.size).map(|key| key.verifier.clone()).into_iter().collect();
        let standing = ledger::standing(&file, &signer).map_err(|error| ("slm::evidence-bad-signature", with_cause(&error)))?;
        if signature_lines(&file) != signer.len() {
            let what =
                format!("`log/checkpoint` has {} lines of signatures, and slm writes {}", signature_lines(&file), signer.len());
            return Err(("slm::evidence-bad-checkpoint", what));
        }
        Ok((standing, Sha256::digest(&file).into()))
    }

    /// A new key of `keys` signs the very commit of `size` entries that brings it; only that of the first commit says that it signs everything.
    fn handed_over(&mut self, keys: &[Key], size: u64) -> Result<(), (&'static str, String)> {
        for (number, key) in (1..).zip(keys).skip(self.keys.len()) {
            let everything = self.heads.is_empty() && key.from == 0;
            if key.from != size && !everything {
                let what =
                    format!("`{FOLDER}{}` takes over from entry {}, and comes with entry {size}", keys::path(number), key.from);
                return Err(("slm::evidence-bad-key", what));
            }
            if number == 1 && !everything {
                let what = format!(
                    "nobody signed before entry {size}: until then the dates of commits are the word of whoever wrote them"
                );
                self.remarks.push(Remark { code: "slm::evidence-unsigned", what });
            }
        }
        Ok(())
    }

    /// What is written once stays, and nothing goes.
    fn changes(&self, step: &Step<'_>) -> Result<(), (&'static str, String)> {
        for Changed { how, leaf } in &step.changed {
            let once = ONCE.iter().any(|folder| leaf.path.starts_with(folder));
            match how {
                How::Deleted => return Err(("slm::evidence-deleted", format!("`{}` is gone", leaf.path))),
                How::Strange => {
                    return Err((
                        "slm::evidence-strange-file",
                        format!("`{}` is no plain file, and slm writes no other", leaf.path),
                    ));
                }
                How::Modified if once => {
                    return Err((
                        "slm::evidence-rewritten",
                        format!("`{}` was there before and is never written twice", leaf.path),
                    ));
                }
                How::Added | How::Modified => {}
            }
        }
        Ok(())
    }

    /// Whose run it is, and that its dates agree with each other and with those before.
    fn dates(&mut self, step: &Step<'_>, standing: &Standing) -> Result<(), (&'static str, String)> {
        let wrong = |what: String| Err(("slm::evidence-bad-date", what));
        if standing.received != step.committer {
            return wrong(format!("its committer's date is not that of its checkpoint, {}", standing.received));
        }
        if self.received.is_some_and(|before| before > standing.received) {
            return wrong("it is dated before the commit it goes on".to_owned());
        }
        let Some((path, file)) = &step.run else {
            return Err(("slm::evidence-no-run", "it holds no file of the run that its message names".to_owned()));
        };
        let Ok(RunFile { run: RunHead { id, at }, result }) = serde_json::from_slice(file) else {
            return Err(("slm::evidence-bad-run", format!("`{path}` is not as slm writes it")));
        };
        // The first commit of a log has the runs of those before it as well.
        let runs = step.changed.iter().filter(|changed| run_id(&changed.leaf.path).is_some()).count();
        if run_id(path) != Some(id.as_str()) || (runs != 1 && !self.heads.is_empty()) {
            return Err(("slm::evidence-bad-run", format!("its run calls itself `{id}`, and the commit or the file does not")));
        }
        let (says, makes) = (step.message.trim_end(), message(&id, &result));
        if says != makes {
            return Err((
                "slm::evidence-bad-run",
                format!("its message is `{}`, and its run makes it `{makes}`", says.escape_debug()),
            ));
        }
        if !self.known.insert(id.clone()) {
            return Err(("slm::evidence-run-twice", format!("the run `{id}` is there already")));
        }
        if at.as_second() != step.author.as_second() {
            return wrong(format!("its author's date is not that of its run, {at}"));
        }
        if at.as_second() > standing.received.as_second() {
            return wrong(format!("its run is of {at}, after it was recorded"));
        }
        match cadence::late(at, standing.received, self.received) {
            Some(recorded) => {
                let hours = (recorded.as_second() - at.as_second()) / 3_600;
                let what = format!("run `{id}` of {at} was recorded at {recorded}, {hours} hours later: it fills no gap");
                self.remarks.push(Remark { code: "slm::evidence-late", what });
            }
            None => self.runs.push((id, at)),
        }
        Ok(())
    }

    /// That below `log/` nothing is changed but what more entries than `size` and more keys than `keys` make.
    fn below_log(&self, step: &Step<'_>, size: u64, keys: usize) -> Result<(), (&'static str, String)> {
        let strange = |path: &str, what: &str| Err(("slm::evidence-strange-file", format!("`{FOLDER}{path}` {what}")));
        let bad = |path: &str, what: &str| Err(("slm::evidence-bad-tile", format!("`{FOLDER}{path}` {what}")));
        let (mut come, mut go) = grown(size, self.head().size);
        come.extend((1..).take(self.keys.len()).skip(keys).map(keys::path));
        come.extend(self.heads.is_empty().then(|| CHECKPOINT.to_owned()));
        for (how, path) in &step.log {
            match how {
                How::Modified if path == CHECKPOINT => {}
                How::Added if come.remove(path) => {}
                How::Deleted if go.remove(path) => {}
                How::Added => return strange(path, "is no file of the log"),
                How::Strange => return strange(path, "is no plain file"),
                How::Modified | How::Deleted if !path.starts_with("tile/") => {
                    return strange(path, "was written once, and is another or gone");
                }
                How::Modified => return bad(path, "was full, or is as before, and has other bytes"),
                How::Deleted => return bad(path, "is gone"),
            }
        }
        if let Some(path) = come.first() {
            return bad(path, "is not there");
        }
        if let Some(path) = go.first() {
            return strange(path, "is left from before");
        }
        let changed = |path: &str| step.log.iter().any(|(_, changed)| changed == path);
        match self.log.partial().iter().find(|(path, bytes)| changed(path) && !(step.is)(path, bytes)) {
            Some((path, _)) => bad(path, "does not hold what its entries make it"),
            None => Ok(()),
        }
    }

    /// The log as of the last commit followed.
    #[must_use]
    pub fn head(&self) -> Head {
        self.log.tree().head()
    }

    /// The log itself, with the files that its entries make.
    pub fn log(&mut self) -> &mut Growing {
        &mut self.log
    }

    /// The log, once a commit was followed.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// Its keys.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The checkpoint of each commit followed, the oldest first.
    #[must_use]
    pub fn sealed(&self) -> &[Sealed] {
        &self.sealed
    }

    /// Has the last checkpoint be one whose file hashes to `sha256`: no log has the bytes that a token of a test is over.
    #[cfg(test)]
    pub(super) fn seal_as(&mut self, sha256: Hash) {
        if let Some(last) = self.sealed.last_mut() {
            last.sha256 = sha256;
        }
    }

    /// Commits followed, artefacts in them, and bytes of those.
    #[must_use]
    pub fn counts(&self) -> (u64, u64, u64) {
        (self.heads.len() as u64, self.artefacts, self.bytes)
    }

    /// When the last commit was made.
    #[must_use]
    pub fn received(&self) -> Option<Timestamp> {
        self.received
    }

    /// The runs in it, the oldest commit first: id, when it began.
    #[must_use]
    pub fn runs(&self) -> &[(String, Timestamp)] {
        &self.runs
    }

    /// What was worth knowing.
    #[must_use]
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// Whether the log still says what `seen`, a checkpoint from elsewhere, says.
    ///
    /// # Errors
    /// When it is shorter by now, or another, or dated otherwise.
    pub fn extends(&self, seen: &Standing) -> Result<(), Finding> {
        let origin = self.origin.as_deref().unwrap_or(&seen.origin);
        let all = self.heads.iter().zip(&self.sealed);
        let at = |size: u64| all.clone().find(|(head, _)| head.size == size).map(|(head, one)| (*head, Some(one.received)));
        seen::goes_on(origin, &self.head(), at, seen)
    }
}

/// That a commit from before the log changes what was there as one with a log may: nothing that is written once goes or is another, and decisions
/// and what was seen come with a run. So whatever run is shown there is in the log, which began with everything that was there; `changed` are
/// its files, and `begins` is true of the commit with which the log begins.
///
/// # Errors
/// The first that is not so.
pub fn before_log(changed: &[(How, &str)], begins: bool) -> Result<(), (&'static str, String)> {
    for (how, path) in changed {
        let once = ONCE.iter().any(|folder| path.starts_with(folder));
        match how {
            How::Strange => {
                return Err(("slm::evidence-strange-file", format!("`{path}` is no plain file, and slm writes no other")));
            }
            How::Deleted if once => return Err(("slm::evidence-deleted", format!("`{path}` is gone"))),
            How::Modified if once => {
                return Err(("slm::evidence-rewritten", format!("`{path}` was there before and is never written twice")));
            }
            How::Added | How::Modified | How::Deleted => {}
        }
    }
    let judged = changed.iter().find(|(_, path)| ["decisions/", "snapshot/"].iter().any(|folder| path.starts_with(folder)));
    match judged.filter(|_| !begins && !changed.iter().any(|(_, path)| run_id(path).is_some())) {
        Some((_, path)) => Err(("slm::evidence-no-run", format!("`{path}` is another, and no run comes with it"))),
        None => Ok(()),
    }
}

/// The id of the run that the file at `path` is of.
#[must_use]
pub fn run_id(path: &str) -> Option<&str> {
    path.strip_prefix("runs/")?.strip_suffix(".json")?.rsplit('/').next()
}

/// What slm says of a run in its commit.
fn message(id: &str, result: &RunResult) -> String {
    let done = result.outcomes.iter().filter(|outcome| outcome.fate == "done").count();
    format!("run {id}: {done} of {} actions done", result.outcomes.len())
}

fn with_cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// In which file the log and the commit differ first; by size and root alone nobody could say.
fn difference(step: &Step<'_>, before: &Frontier, claimed: &Head) -> (&'static str, String) {
    let other = || ("slm::evidence-other-root", "its log does not go on from the log before".to_owned());
    if claimed.size < before.size() {
        return other();
    }
    let Ok(logged) = entries(claimed.size, before.size()..claimed.size, step.read) else { return other() };
    let logged: Vec<Option<Leaf>> = logged.map(|entry| Leaf::parse(&entry.ok()?)).collect();
    let mut frontier = before.clone();
    logged.iter().flatten().for_each(|leaf| frontier.push(leaf_hash(&leaf.entry())));
    if frontier.head() != *claimed {
        return other();
    }
    let logged: Vec<&Leaf> = logged.iter().flatten().collect();
    let runs = logged.iter().filter(|leaf| run_id(&leaf.path).is_some()).count();
    if runs > 1 && before.size() > 0 {
        let what = format!("its log goes on by the entries of {runs} runs: commits before it are missing, or in another order");
        return ("slm::evidence-other-root", what);
    }
    for Changed { leaf, .. } in &step.changed {
        match logged.iter().find(|known| known.path == leaf.path) {
            None => return ("slm::evidence-unlogged", format!("`{}` is in the commit and not in the log", leaf.path)),
            Some(known) if **known != *leaf => {
                let what = format!(
                    "`{}` is not what the log says: SHA-256 {}, logged {}",
                    leaf.path,
                    hex(&leaf.sha256),
                    hex(&known.sha256)
                );
                return ("slm::evidence-edited", what);
            }
            Some(_) => {}
        }
    }
    match logged.iter().find(|known| !step.changed.iter().any(|changed| changed.leaf.path == known.path)) {
        Some(leaf) => ("slm::evidence-missing", format!("`{}` is in the log and not in the commit", leaf.path)),
        None => ("slm::evidence-reordered", "its entries are not in the order of their paths".to_owned()),
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
