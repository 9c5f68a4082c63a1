//! Reads the history of a locker for [`crate::record::verify`]: offline, from any clone, hashing on every core.
//!
//! Files are hashed as they lie in the packs of git, ahead of what is followed.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread::{ScopedJoinHandle, scope};

use git2::{Commit, ErrorCode, Oid, Repository, Tree};

use super::caches;
use super::digests;
use super::git::{broken, failed};
use super::locker::WRITER;
use super::logged::read;
use super::pack::{Kind, id_of};
use super::packs::{Files, Packs, each};
use super::seen::{self, Seen};
use super::tiles::Tiles;
use super::tips::{Looked, cut_off, line, looked, whole};
use super::tree::{self, Differs, ReadFolder, differences, is_folder};
use super::twice;
use crate::model::time::Timestamp;
use crate::record::anchored::{self, Filed};
use crate::record::leaf::Leaf;
use crate::record::ledger::{self, CHECKPOINT, FOLDER};
use crate::record::log;
use crate::record::objects::SUFFIX;
use crate::record::verify::{self, Chain, Changed, Finding, How, Remark, Step, run_id};
use crate::world::{ErrorClass, Sealed, WorldError};

/// Files hashed at once, over all commits that they are of; few in tests, so that those are of several.
const BATCH: usize = if cfg!(test) { 100 } else { 20_000 };

/// A locker that was read to its end, or to what does not hold.
pub struct Read {
    /// What was followed.
    pub chain: Chain,
    /// Commits before the log began.
    pub unlogged: usize,
    /// The first thing that does not hold.
    pub finding: Option<Finding>,
    /// Commits of the log before that one, or all of them.
    pub held: u64,
    /// The commit that was looked at: the tip of the branch here or at `origin`.
    pub tip: String,
    /// Which of the two, where they differ.
    pub notes: Vec<Remark>,
    /// What anchors said, as far as it was followed.
    pub anchors: Vec<Filed>,
    /// Pointers to objects, by path.
    pub pointers: Vec<(String, Vec<u8>)>,
}

impl Read {
    /// What goes on from `chain`, up to `tip`.
    pub(super) fn from(chain: Chain, tip: Oid) -> Self {
        let (notes, anchors, pointers) = (Vec::new(), Vec::new(), Vec::new());
        Self { chain, unlogged: 0, finding: None, held: 0, tip: tip.to_string(), notes, anchors, pointers }
    }
}

/// What is asked of the signature of each commit: the armour and the bytes it is over, and the date; gives what is wrong with it.
pub type Signed<'a> = &'a dyn Fn(Option<(&str, &[u8])>, Timestamp) -> Option<String>;

/// SHA-256 and length of files, in the order in which they were asked for; of one that cannot be read none.
pub(super) type Hashes = Vec<Option<(log::Hash, u64)>>;

/// A commit and what it changes, before anything of it was hashed.
pub(super) struct Waiting<'r> {
    commit: Commit<'r>,
    tree: Tree<'r>,
    changed: Vec<Differs>,
    /// The same below `log/`.
    log: Vec<Differs>,
}

/// Commits whose files are being hashed.
struct Ahead<'r, 's> {
    waiting: Vec<Waiting<'r>>,
    hashes: ScopedJoinHandle<'s, Result<Hashes, WorldError>>,
}

/// Why no more commits are looked at.
enum Ended {
    /// What one changes before the log began does not hold.
    Unlogged(Finding),
    /// There are none.
    All,
    /// One cannot be read.
    Damaged(Oid, git2::Error),
}

/// Follows the evidence on `branch` of the repository at `root`, or of its `origin` where there is no such branch here.
///
/// # Errors
/// When there is no such branch, or the repository cannot be read.
pub fn history(root: &Path, branch: &str, signed: Option<Signed<'_>>) -> Result<Read, WorldError> {
    let unread = broken("read the locker");
    let repo = Repository::discover(root).map_err(&unread)?;
    let Looked { tip, note, parted, .. } = looked(&repo, branch)?;
    let line = line(&repo, tip).map_err(&unread)?;
    cut_off(&repo, &line)?;
    let read = Read { finding: parted, notes: note.into_iter().collect(), ..Read::from(Chain::default(), tip) };
    if read.finding.is_some() {
        return Ok(read);
    }
    let mut read = followed(&repo, (branch, tip), &line, signed, read)?;
    read.notes.extend(caches::notes(&repo));
    let named = read.finding.as_ref().and_then(|finding| finding.commit.as_deref());
    let at = named.and_then(|named| line.iter().position(|id| id.to_string() == named));
    read.held = at.map_or(read.chain.counts().0, |at| at.saturating_sub(read.unlogged) as u64);
    // What a clone was made without contradicts nothing.
    let unseen = ["slm::evidence-damaged", "slm::evidence-bad-tile", "slm::evidence-unread"];
    if read.finding.as_ref().is_some_and(|finding| unseen.contains(&finding.code)) {
        whole(&repo, tip)?;
    }
    Ok(read)
}

/// Follows `line` up to `tip`, on top of an empty `read`.
fn followed(
    repo: &Repository,
    (branch, tip): (&str, Oid),
    line: &[Oid],
    signed: Option<Signed<'_>>,
    mut read: Read,
) -> Result<Read, WorldError> {
    let packs = Packs::open(repo);
    let (path, packs) = (repo.path(), &packs);
    read.finding = twice::finding(repo, packs, branch, line)?;
    if read.finding.is_some() {
        return Ok(read);
    }
    let mut line = line.iter().copied();
    let tiles = Tiles::at(repo, packs, tip);
    let mut folders = Files::new(path, packs);
    scope(|scope| {
        let mut ahead: Option<Ahead<'_, '_>> = None;
        let mut compared: Option<ScopedJoinHandle<'_, ()>> = None;
        let mut begun = false;
        loop {
            // While the files of some commits are hashed, the next ones are looked at, and those before are followed.
            let folder = &mut |id| folders.folder(id);
            let (waiting, ended) = batch((repo, folder), &mut line, &mut begun, &mut read.unlogged);
            let ids = files(&waiting);
            let hashes = scope.spawn(move || each(path, packs, &ids, hashed));
            let before = ahead.replace(Ahead { waiting, hashes });
            let last = if ended.is_some() { ahead.take() } else { None };
            for Ahead { waiting, hashes } in before.into_iter().chain(last) {
                let hashes =
                    hashes.join().map_err(|_| failed(ErrorClass::Permanent, "read the locker", "a thread ended early"))??;
                read.finding = follow(repo, &mut read, waiting, hashes, signed)?;
                if read.finding.is_some() {
                    return Ok(read);
                }
                // One after another, so that no more than the files of two are in memory.
                if compared.take().is_some_and(|thread| thread.join().is_err()) {
                    tiles.doubt();
                }
                let (tiles, full) = (&tiles, read.chain.log().take_full());
                compared = Some(scope.spawn(move || tiles.compare(&full)));
            }
            read.finding = match ended {
                None => continue,
                Some(Ended::Damaged(id, error)) => Some(damaged(repo, id, &error)),
                Some(Ended::Unlogged(finding)) => Some(finding),
                Some(Ended::All) => {
                    if compared.take().is_some_and(|thread| thread.join().is_err()) {
                        tiles.doubt();
                    }
                    tiles.finding(repo, tip, &mut read.chain)
                }
            };
            return Ok(read);
        }
    })
}

/// What a file is called in git, its SHA-256 and its length.
fn hashed(bytes: &[u8]) -> ([u8; 20], (log::Hash, u64)) {
    let (name, sha256) = digests::of_file(bytes);
    (name, (sha256, bytes.len() as u64))
}

/// The next commits of `line` with a log, as many as are hashed at once, and what ended them.
fn batch<'r>(
    (repo, folder): (&'r Repository, ReadFolder<'_>),
    line: &mut impl Iterator<Item = Oid>,
    begun: &mut bool,
    unlogged: &mut usize,
) -> (Vec<Waiting<'r>>, Option<Ended>) {
    let (mut waiting, mut files) = (Vec::new(), 0);
    for id in line {
        match looked_at((repo, folder), id, !*begun) {
            Ok(None) => match before_log((repo, folder), id, false) {
                None => *unlogged += 1,
                ended => return (waiting, ended),
            },
            Ok(Some(next)) => {
                if let Some(ended) = if *begun { None } else { before_log((repo, folder), id, true) } {
                    return (waiting, Some(ended));
                }
                *begun = true;
                files += next.changed.len();
                waiting.push(next);
            }
            // What came before is judged first: it may be what is wrong.
            Err(error) => return (waiting, Some(Ended::Damaged(id, error))),
        }
        if files >= BATCH {
            return (waiting, None);
        }
    }
    (waiting, Some(Ended::All))
}

/// What is wrong with what the commit `id` changes, which has no log yet, or with which the log begins.
fn before_log((repo, folder): (&Repository, ReadFolder<'_>), id: Oid, begins: bool) -> Option<Ended> {
    let mut changed = || -> Result<Option<(Timestamp, Vec<Differs>)>, git2::Error> {
        let commit = repo.find_commit(id)?;
        let Some(before) = commit.parents().next() else { return Ok(None) };
        let since = Timestamp::from_second(commit.time().seconds()).unwrap_or_default();
        Ok(Some((since, differences(folder, Some(before.tree_id()), Some(commit.tree_id()), FOLDER)?)))
    };
    match changed() {
        Ok(None) => None,
        Ok(Some((since, changed))) => {
            let changed: Vec<(How, &str)> = changed.iter().map(|(how, path, _)| (*how, path.as_str())).collect();
            let (code, what) = verify::before_log(&changed, begins).err()?;
            Some(Ended::Unlogged(Finding { code, what, commit: Some(id.to_string()), since: Some(since) }))
        }
        Err(error) => Some(Ended::Damaged(id, error)),
    }
}

/// The files that are there after `waiting`, in the order of the commits: what one commit wrote is in one pack.
pub(super) fn files(waiting: &[Waiting<'_>]) -> Vec<Oid> {
    let there = waiting.iter().flat_map(|one| &one.changed).filter(|(how, ..)| how.is_file());
    there.map(|(_, _, id)| *id).collect()
}

/// The commit `id` with what it changes; `None` while there is no log yet.
pub(super) fn looked_at<'r>(
    (repo, folder): (&'r Repository, ReadFolder<'_>),
    id: Oid,
    first: bool,
) -> Result<Option<Waiting<'r>>, git2::Error> {
    let commit = repo.find_commit(id)?;
    let tree = commit.tree()?;
    let logged = match tree.get_path(format!("{FOLDER}{CHECKPOINT}").as_ref()) {
        Ok(_) => true,
        Err(error) if error.code() == ErrorCode::NotFound => false,
        Err(error) => return Err(error),
    };
    if first && !logged {
        return Ok(None);
    }
    // Of two folders of one name each reader takes another, and what is in the log's is compared with nothing.
    let log = FOLDER.trim_end_matches('/');
    if tree.iter().filter(|entry| entry.name_bytes() == log.as_bytes()).count() > 1 {
        return Err(git2::Error::from_str(&format!("`{log}` is there twice")));
    }
    // The first leaves of a log are of everything that was there.
    let before = if first { None } else { commit.parents().next().map(|parent| parent.tree()).transpose()? };
    let mut changed = differences(folder, before.as_ref().map(Tree::id), Some(tree.id()), FOLDER)?;
    changed.sort_unstable_by(|one, two| one.1.cmp(&two.1));
    let below = |tree: &Tree<'_>| tree.get_name(log).filter(is_folder).map(|entry| entry.id());
    let log = differences(folder, before.as_ref().and_then(below), below(&tree), "")?;
    Ok(Some(Waiting { commit, tree, changed, log }))
}

pub(super) fn damaged(repo: &Repository, id: Oid, error: &git2::Error) -> Finding {
    let since = repo.find_commit(id).ok().and_then(|commit| Timestamp::from_second(commit.time().seconds()).ok());
    let what = format!("git cannot read it: {}", error.message());
    Finding { code: "slm::evidence-damaged", what, commit: Some(id.to_string()), since }
}

/// Follows each of `waiting`, whose files hash to `hashes`.
pub(super) fn follow(
    repo: &Repository,
    read_so_far: &mut Read,
    waiting: Vec<Waiting<'_>>,
    hashes: Hashes,
    signed: Option<Signed<'_>>,
) -> Result<Option<Finding>, WorldError> {
    let mut hashes = hashes.into_iter();
    let Read { chain, anchors, pointers, .. } = read_so_far;
    for Waiting { commit, tree, changed, log } in waiting {
        let date = |time: git2::Time| Timestamp::from_second(time.seconds()).unwrap_or_default();
        let id = commit.id().to_string();
        let here = |code, what| Finding { code, what, commit: Some(id.clone()), since: Some(date(commit.time())) };
        let mut known = Vec::with_capacity(changed.len());
        for (how, path, _) in &changed {
            known.push(match how.is_file().then(|| hashes.next().flatten()) {
                None => ([0; 32], 0),
                Some(Some(known)) => known,
                Some(None) => return Ok(Some(here("slm::evidence-damaged", format!("git cannot read `{path}`")))),
            });
        }
        let mut leaves = Vec::with_capacity(changed.len());
        let mut run = None;
        let unread = broken("read the locker");
        let logged = date(commit.time());
        let filed = |(path, bytes)| Filed { path, bytes, logged: Some(logged) };
        anchors.extend(new(repo, &changed, |path| path.starts_with(anchored::FOLDER)).map_err(&unread)?.into_iter().map(filed));
        pointers.extend(new(repo, &changed, |path| path.starts_with("raw/") && path.ends_with(SUFFIX)).map_err(&unread)?);
        let message = commit.message().unwrap_or_default();
        for ((how, path, file), (sha256, bytes)) in changed.into_iter().zip(known) {
            if how.is_file() && run_id(&path).is_some_and(|id| message.contains(id)) {
                run.get_or_insert((path.clone(), file));
            }
            leaves.push(Changed { how, leaf: Leaf { path, sha256, bytes } });
        }
        let run = run.map(|(path, id)| repo.find_blob(id).map(|blob| (path, blob.content().to_vec()))).transpose();
        let run = run.map_err(&unread)?;
        let step = Step {
            commit: &id,
            message,
            author: date(commit.author().when()),
            committer: date(commit.time()),
            parents: commit.parent_count(),
            changed: leaves,
            run,
            log: log.iter().map(|(how, path, _)| (*how, path.clone())).collect(),
            is: &|path, bytes| {
                log.iter().any(|(_, known, id)| known == path && id_of(Kind::Blob, bytes).is_ok_and(|named| named == *id))
            },
            read: &|path| read(repo, Some(&tree), &format!("{FOLDER}{path}")),
        };
        if let Some(what) = signed.and_then(|signed| unsigned(repo, &commit, signed)) {
            return Ok(Some(here("slm::evidence-bad-commit-signature", what)));
        }
        if let Some(what) = strange_head(&commit) {
            return Ok(Some(here("slm::evidence-strange-commit", what)));
        }
        if let Err(finding) = chain.follow(&step) {
            return Ok(Some(finding));
        }
    }
    Ok(None)
}

/// What is wrong with the signature of `commit`.
fn unsigned(repo: &Repository, commit: &Commit<'_>, signed: Signed<'_>) -> Option<String> {
    let signature = repo.extract_signature(&commit.id(), None).ok();
    let armour = signature.as_ref().and_then(|(armour, bytes)| Some((std::str::from_utf8(armour).ok()?, &**bytes)));
    signed(armour, Timestamp::from_second(commit.time().seconds()).unwrap_or_default())
}

/// The line in the head of `commit` that slm does not write: it names nobody but itself, in UTC, and a signature at most.
fn strange_head(commit: &Commit<'_>) -> Option<String> {
    let who = |what: &str, time: git2::Time| format!("{what} {WRITER} {} +0000", time.seconds());
    let mut wanted = vec![format!("tree {}", commit.tree_id())];
    wanted.extend(commit.parent_ids().map(|parent| format!("parent {parent}")));
    wanted.extend([who("author", commit.author().when()), who("committer", commit.time())]);
    let head = String::from_utf8_lossy(commit.raw_header_bytes()).into_owned();
    let mut lines = head.lines();
    for wanted in wanted {
        let line = lines.next().unwrap_or_default();
        if line != wanted {
            return Some(format!("its head says `{}`, and slm writes `{wanted}`", line.escape_debug()));
        }
    }
    let more = lines.enumerate().find(|(at, line)| !(line.starts_with(' ') && *at > 0 || line.starts_with("gpgsig ") && *at == 0));
    more.map(|(_, line)| format!("its head says `{}`, which slm does not write", line.escape_debug()))
}

/// The files for which `wanted`, among those that a commit adds; what cannot be read is found by whoever hashes it.
fn new(repo: &Repository, changed: &[(How, String, Oid)], wanted: fn(&str) -> bool) -> Result<Vec<(String, Vec<u8>)>, git2::Error> {
    let new = changed.iter().filter(|(how, path, _)| *how == How::Added && wanted(path));
    let read = new.map(|(_, path, id)| match repo.find_blob(*id) {
        Ok(blob) => Ok(Some((path.clone(), blob.content().to_vec()))),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    });
    read.filter_map(Result::transpose).collect()
}

/// What anchors said on `branch`, which stands beside that of the evidence, here or as last fetched; no such branch has nothing.
///
/// # Errors
/// When it cannot be read.
pub fn beside(root: &Path, branch: &str) -> Result<Vec<Filed>, WorldError> {
    let unread = broken("read what anchors said");
    let repo = Repository::discover(root).map_err(&unread)?;
    let mut all = BTreeSet::new();
    for name in [format!("refs/heads/{branch}"), format!("refs/remotes/origin/{branch}")] {
        let Ok(tip) = repo.refname_to_id(&name) else { continue };
        let tree = repo.find_commit(tip).and_then(|commit| commit.tree()).map_err(&unread)?;
        for (path, id) in tree::files(&repo, &tree).map_err(&unread)? {
            all.insert((path, repo.find_blob(id).map_err(&unread)?.content().to_vec()));
        }
    }
    Ok(all.into_iter().map(|(path, bytes)| Filed { path, bytes, logged: None }).collect())
}

/// The checkpoint of `commit`; `None` when it has no log.
///
/// # Errors
/// When it cannot be read.
pub fn sealed(root: &Path, commit: &str) -> Result<Option<Sealed>, WorldError> {
    let Some(note) = checkpoint(root, commit)? else { return Ok(None) };
    let standing = ledger::standing(&note, &[]).map_err(|error| failed(ErrorClass::Permanent, "read the checkpoint", error))?;
    Ok(Some(Sealed { commit: commit.to_owned(), size: standing.head.size, note, received: standing.received }))
}

/// What was verified of `branch` here last.
///
/// # Errors
/// When it cannot be read.
pub fn remembered(root: &Path, branch: &str) -> Result<Option<Seen>, WorldError> {
    let repo = Repository::discover(root).map_err(broken(seen::OPERATION))?;
    seen::read(&repo, &seen::verified(branch))
}

/// The checkpoint at the tip `commit`.
///
/// # Errors
/// When it cannot be read.
pub fn checkpoint(root: &Path, commit: &str) -> Result<Option<Vec<u8>>, WorldError> {
    let unread = broken("read the checkpoint");
    let repo = Repository::discover(root).map_err(&unread)?;
    let tree = Oid::from_str(commit).and_then(|id| repo.find_commit(id)).and_then(|commit| commit.tree()).map_err(&unread)?;
    read(&repo, Some(&tree), &format!("{FOLDER}{CHECKPOINT}"))
        .map_err(|error| failed(ErrorClass::Permanent, "read the checkpoint", error))
}

/// Remembers `commit` as the one up to which `branch` was verified last.
///
/// # Errors
/// When the repository cannot be written.
pub fn remember(root: &Path, branch: &str, commit: Oid) -> Result<(), WorldError> {
    let write = || seen::write(&Repository::discover(root)?, &seen::verified(branch), commit, "slm: verify");
    write().map_err(broken("remember the checkpoint"))
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
