//! A bundle as something to check: what it says of its files, and what of it can be believed.
//!
//! Everything is in it that shows that its evidence is what was logged: all entries of the log, the checkpoint over them, and the keys.
//! So it also shows what was left out.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::anchored::{self, Filed};
use super::bundle_names::strange;
use super::bundle_runs::{self, CHECKPOINTS};
use super::bundle_told::{Lacking, lacking};
use super::bundle_whole::{self, Extent, Looked, begins_later};
use super::keys;
use super::leaf::{Leaf, hex};
use super::ledger::{self, Standing};
use super::log::{Hash, Head, Verifier, leaf_hash, root_of, signature_lines};
use super::objects::{Pointer, SUFFIX};
use super::seen::goes_on;
use super::verify::{Finding, ONCE, Remark, Sealed};
use crate::model::id::EntityType;
use crate::model::period::Date;
use crate::model::time::Timestamp;

/// SHA-256 of every other file, as `sha256sum` writes it.
pub const DIGEST: &str = "digest.txt";
/// What is evidence, and where it stood.
pub const MANIFEST: &str = "manifest.json";
/// Every entry of the log, a line each.
pub const ENTRIES: &str = "log/entries.jsonl";
/// The checkpoint, and the folder of the keys.
pub const CHECKPOINT: &str = "log/checkpoint";

/// The folder of what is too long for git, which files of evidence point to.
pub const OBJECTS: &str = "objects/";

/// What a bundle says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// 1.
    pub format: u32,
    /// The first day.
    pub from: Date,
    /// The last day.
    pub to: Date,
    /// The framework to whose controls it is limited, by its own word.
    #[serde(default)]
    pub framework: Option<String>,
    /// Controls whose decisions are in it, every version of the period.
    pub controls: Vec<String>,
    /// True when everything that sources answered is in it.
    #[serde(default)]
    pub raw: bool,
    /// True when the checkpoint of each run is in it, and everything that anchors said of those.
    #[serde(default)]
    pub anchors: bool,
    /// Every file of evidence.
    pub files: Vec<Packed>,
}

/// A file of evidence in a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// How many bytes it has.
    pub bytes: u64,
    /// Its entry in the log, from 0; `None` when the log began later.
    pub entry: Option<u64>,
    /// Where it stands in the bundle.
    pub file: String,
    /// Where it stands in the locker.
    pub path: String,
    /// SHA-256 of it, in hex.
    pub sha256: String,
}

impl Manifest {
    /// Its text: a line a file, so that it can be read with `sed`.
    #[must_use]
    pub fn text(&self) -> String {
        let line = |one: &Packed| {
            let entry = one.entry.map_or_else(|| "null".to_owned(), |entry| entry.to_string());
            let Packed { bytes, file, path, sha256, .. } = one;
            format!(
                "  {{\"bytes\": {bytes}, \"entry\": {entry}, \"file\": {}, \"path\": {}, \"sha256\": {}}}",
                quoted(file),
                quoted(path),
                quoted(sha256)
            )
        };
        let files: Vec<String> = self.files.iter().map(line).collect();
        let controls: Vec<String> = self.controls.iter().map(|id| quoted(id)).collect();
        format!(
            "{{\"format\": {}, \"from\": \"{}\", \"to\": \"{}\", {}\"controls\": [{}], {}{}\"files\": [\n{}\n]}}\n",
            self.format,
            self.from,
            self.to,
            self.framework.as_deref().map_or_else(String::new, |id| format!("\"framework\": {}, ", quoted(id))),
            controls.join(", "),
            if self.raw { "\"raw\": true, " } else { "" },
            if self.anchors { "\"anchors\": true, " } else { "" },
            files.join(",\n")
        )
    }
}

/// `text` as JSON, which every text has.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// The lines of [`DIGEST`] for `files`.
#[must_use]
pub fn digest(files: &BTreeMap<String, Vec<u8>>) -> String {
    files.iter().map(|(name, bytes)| format!("{}  {name}\n", hex(&Sha256::digest(bytes)))).collect()
}

/// What is read of the file of a run.
#[derive(Deserialize)]
struct RunFile {
    #[serde(default)]
    controls: BTreeMap<String, IgnoredAny>,
    #[serde(default)]
    populations: Vec<Population>,
}

#[derive(Deserialize)]
struct Population {
    entity: EntityType,
}

/// What became of checking a bundle.
#[derive(Debug, Default)]
pub struct Checked {
    /// What it says of itself, once that could be read.
    pub manifest: Option<Manifest>,
    /// The log it is of.
    pub standing: Option<Standing>,
    /// Keys of that log.
    pub keys: Vec<keys::Key>,
    /// The hash of each of its entries.
    pub leaves: Vec<Hash>,
    /// Files in it.
    pub files: u64,
    /// The checkpoints that are in it.
    pub sealed: Vec<Sealed>,
    /// Runs in the log that were not recorded late: name, and when each began by that.
    pub runs: Vec<(String, Timestamp)>,
    /// When the runs of the period began, in the order of the log.
    pub period: Vec<Timestamp>,
    /// Controls that were judged in the period and are not in it.
    pub left_out: Vec<String>,
    /// What anchors said.
    pub anchors: Vec<Filed>,
    /// Files of evidence that are what was logged.
    pub proven: u64,
    /// Files of evidence from before the log began.
    pub older: u64,
    /// Files that are too long for git, and are what the evidence points to.
    pub objects: u64,
    /// What does not hold.
    pub findings: Vec<Finding>,
    /// What it has not, so that less is proven.
    pub unproven: Vec<Remark>,
    /// What it has not and need not have.
    pub notes: Vec<Remark>,
}

impl Checked {
    /// That files of it are from before the log, which nobody vouches for.
    #[must_use]
    pub fn unvouched(&self) -> Option<Remark> {
        let (files, are) = if self.older == 1 { ("file", "is") } else { ("files", "are") };
        let what = || format!("{} {files} {are} older than the log, vouched for by nobody", self.older);
        (self.older > 0).then(|| Remark { code: "slm::bundle-before-log", what: what() })
    }

    /// Whether the log still says what `seen`, a checkpoint from elsewhere, says.
    ///
    /// # Errors
    /// When it is shorter by now, or another, or dated otherwise, as far as the checkpoint of that size is in it.
    pub fn extends(&self, seen: &Standing) -> Result<(), Finding> {
        let Some(standing) = &self.standing else { return Ok(()) };
        let first = |size: u64| self.leaves.get(..usize::try_from(size).ok()?);
        let dated = |size: u64| self.sealed.iter().find(|one| one.size == size).map(|one| one.received);
        let at = |size: u64| first(size).map(|leaves| (Head { size, root: root_of(leaves) }, dated(size)));
        goes_on(&standing.origin, &standing.head, at, seen)
    }
}

/// What a bundle is read through: its names, and each file.
pub struct Bundle<'a> {
    /// Names of its files.
    pub names: BTreeSet<String>,
    /// One of them.
    pub read: &'a dyn Fn(&str) -> io::Result<Option<Vec<u8>>>,
}

impl Bundle<'_> {
    fn file(&self, name: &str) -> Result<Vec<u8>, Finding> {
        let lacks = |what: String| Finding::of_all("slm::bundle-lacks", what);
        let file = (self.read)(name).map_err(|error| lacks(format!("`{name}` cannot be read: {error}")))?;
        file.ok_or_else(|| lacks(format!("there is no `{name}`")))
    }

    /// Checks everything; what does not hold is in what comes back.
    #[must_use]
    pub fn check(&self) -> Checked {
        let mut checked = Checked { files: self.names.len() as u64, ..Checked::default() };
        if let Err(finding) = self.all(&mut checked) {
            checked.findings.push(finding);
        }
        checked
    }

    fn all(&self, checked: &mut Checked) -> Result<(), Finding> {
        let packed = self.packed(checked)?;
        let entries = self.log(checked)?;
        let manifest = self.file(MANIFEST)?;
        let manifest: Manifest = serde_json::from_slice(&manifest)
            .map_err(|error| Finding::of_all("slm::bundle-lacks", format!("`{MANIFEST}` is not as slm writes it: {error}")))?;
        if manifest.to < manifest.from {
            let what = format!("`{MANIFEST}` is of {} to {}, which has no day", manifest.from, manifest.to);
            return Err(Finding::of_all("slm::bundle-empty", what));
        }
        let older = begins_later(&entries);
        for one in &manifest.files {
            match logged(one, &packed, &entries, older) {
                Ok(true) => checked.proven += 1,
                Ok(false) => checked.older += 1,
                Err(finding) => checked.findings.push(finding),
            }
        }
        self.runs(&manifest, &entries, checked)?;
        let mut objects = BTreeSet::new();
        for one in manifest.files.iter().filter(|one| one.path.ends_with(SUFFIX)) {
            match self.object(one, &mut objects) {
                Ok(()) => checked.objects += 1,
                Err(finding) => checked.findings.push(finding),
            }
        }
        checked.findings.extend(strange(&self.names, &manifest, checked.keys.len(), &objects));
        checked.manifest = Some(manifest);
        Ok(())
    }

    /// Each run by its checkpoint, what anchors said, and whether everything of the period is here and in its place.
    fn runs(&self, manifest: &Manifest, entries: &[Leaf], checked: &mut Checked) -> Result<(), Finding> {
        let Some(standing) = &checked.standing else { return Ok(()) };
        let names = self.names.iter().filter_map(|name| name.strip_prefix(CHECKPOINTS));
        let files = names.map(|name| Ok((name.to_owned(), self.file(&format!("{CHECKPOINTS}{name}"))?)));
        let files: BTreeMap<String, Vec<u8>> = files.collect::<Result<_, Finding>>()?;
        let newest = Sha256::digest(self.file(CHECKPOINT)?).into();
        let log = bundle_runs::Log { keys: &checked.keys, standing, newest, leaves: &checked.leaves };
        let sealed = bundle_runs::sealed(&log, &files)?;
        let runs = bundle_whole::runs(entries, &sealed);
        for one in manifest.files.iter().filter(|one| one.path.starts_with(anchored::FOLDER)) {
            let logged = one.entry.and_then(|at| bundle_runs::logged(&sealed, at));
            checked.anchors.push(Filed { path: one.path.clone(), bytes: self.file(&one.file)?, logged });
        }
        for name in self.names.iter().filter(|name| name.starts_with(anchored::FOLDER)) {
            checked.anchors.push(Filed { path: name.clone(), bytes: self.file(name)?, logged: None });
        }
        checked.findings.extend(bundle_runs::dates(&sealed, &runs));
        checked.findings.extend(bundle_runs::withheld(manifest, &sealed, entries, &runs));
        checked.findings.extend(bundle_runs::over_nothing(&sealed, &checked.anchors));
        self.whole(manifest, &Extent::of(manifest, entries, &runs), checked)?;
        let in_time = runs.iter().filter(|run| run.late.is_none()).map(|run| (run.id.to_owned(), run.began));
        (checked.runs, checked.sealed) = (in_time.collect(), sealed);
        Ok(())
    }

    /// Whether everything of the period is here, and each file where it belongs.
    fn whole(&self, manifest: &Manifest, extent: &Extent<'_>, checked: &mut Checked) -> Result<(), Finding> {
        if extent.runs.is_empty() {
            let what = format!("the log has no run of {} to {}, and no bundle is made of such days", manifest.from, manifest.to);
            return Err(Finding::of_all("slm::bundle-empty", what));
        }
        let looked = self.looked(manifest, extent)?;
        checked.findings.extend(manifest.files.iter().filter_map(|one| extent.misplaced(one)));
        checked.findings.extend(extent.withheld(manifest, &looked));
        checked.left_out = looked.controls.iter().filter(|id| !manifest.controls.contains(id)).cloned().collect();
        let Lacking { unproven, notes } = lacking(manifest, extent, &looked, &checked.left_out);
        checked.unproven.extend(unproven);
        checked.notes.extend(notes);
        checked.period = extent.runs.iter().map(|run| run.began).collect();
        Ok(())
    }

    /// What the runs of the period that are here say that they looked at.
    fn looked(&self, manifest: &Manifest, extent: &Extent<'_>) -> Result<Looked, Finding> {
        let late: BTreeMap<u64, bool> = extent.runs.iter().map(|run| (run.at, run.late.is_some())).collect();
        let mut looked = Looked::default();
        for (one, late) in manifest.files.iter().filter_map(|one| Some((one, *late.get(&one.entry?)?))) {
            let bad = |_| Finding::of_all("slm::evidence-bad-run", format!("`{}` is not as slm writes it", one.file));
            let file: RunFile = serde_json::from_slice(&self.file(&one.file)?).map_err(bad)?;
            looked.controls.extend(file.controls.into_keys());
            // What a run that stands for no day saw is no state at the end.
            looked.entities.extend(file.populations.into_iter().filter(|_| !late).map(|population| population.entity));
        }
        Ok(looked)
    }

    /// Whether the object that a file of evidence points to is in it, and is that one; adds its name to `names`.
    fn object(&self, one: &Packed, names: &mut BTreeSet<String>) -> Result<(), Finding> {
        let bad = || Finding::of_all("slm::evidence-bad-pointer", format!("`{}` points to nothing", one.file));
        let pointer = Pointer::parse(&self.file(&one.file)?).ok_or_else(bad)?;
        let name = format!("{OBJECTS}{}", pointer.object());
        let other = || {
            let what = format!("`{name}` is not what `{}` points to", one.file);
            Finding::of_all("slm::evidence-object-changed", what)
        };
        names.insert(name.clone());
        pointer.unpacked(&self.file(&name)?).map(drop).map_err(|_| other())
    }

    /// SHA-256 of each file, compared with [`DIGEST`].
    fn packed(&self, checked: &mut Checked) -> Result<BTreeMap<String, String>, Finding> {
        let text = self.file(DIGEST)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let said: BTreeMap<&str, &str> =
            text.lines().filter_map(|line| line.split_once("  ")).map(|(hash, name)| (name, hash)).collect();
        let mut packed = BTreeMap::new();
        for name in self.names.iter().filter(|name| *name != DIGEST) {
            let is = hex(&Sha256::digest(self.file(name)?));
            match said.get(name.as_str()) {
                None => checked.findings.push(Finding::of_all("slm::bundle-strange", format!("`{name}` is not in `{DIGEST}`"))),
                Some(hash) if **hash != is => {
                    let what = format!("`{name}` is not what was packed: SHA-256 {is}, packed {hash}");
                    checked.findings.push(Finding::of_all("slm::bundle-changed", what));
                }
                Some(_) => {}
            }
            packed.insert(name.clone(), is);
        }
        let lost = said.keys().filter(|name| !self.names.contains(**name));
        checked.findings.extend(lost.map(|name| Finding::of_all("slm::bundle-lacks", format!("there is no `{name}`"))));
        Ok(packed)
    }

    /// The entries of the log, when they hash to the root of a checkpoint that the key in force signed.
    fn log(&self, checked: &mut Checked) -> Result<Vec<Leaf>, Finding> {
        let bad = |error: &dyn std::error::Error| {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            Finding::of_all("slm::evidence-bad-checkpoint", format!("{error}{cause}"))
        };
        let file = self.file(CHECKPOINT)?;
        let claimed = ledger::standing(&file, &[]).map_err(|error| bad(&error))?;
        let read = |path: &str| (self.read)(&format!("{}{path}", ledger::FOLDER));
        let all = keys::read_all(&claimed.origin, read).map_err(|error| bad(&error))?;
        keys::fits(&all, claimed.head.size).map_err(|error| Finding::of_all("slm::evidence-bad-key", error.to_string()))?;
        let signer: Vec<Verifier> = keys::in_force(&all, claimed.head.size).map(|key| key.verifier.clone()).into_iter().collect();
        let standing = ledger::standing(&file, &signer).map_err(|error| bad(&error))?;
        if signature_lines(&file) != signer.len() {
            let what =
                format!("`{CHECKPOINT}` has {} lines of signatures, and slm writes {}", signature_lines(&file), signer.len());
            return Err(Finding::of_all("slm::evidence-bad-checkpoint", what));
        }
        let text = self.file(ENTRIES)?;
        let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        let hashes: Vec<_> = lines.iter().map(|line| leaf_hash(line)).collect();
        if hashes.len() as u64 != standing.head.size || root_of(&hashes) != standing.head.root {
            let what = format!("the {} entries in `{ENTRIES}` do not hash to the root of the checkpoint", hashes.len());
            return Err(Finding::of_all("slm::evidence-other-root", what));
        }
        (checked.standing, checked.keys, checked.leaves) = (Some(standing), all, hashes);
        let leaf = |line: &&[u8]| {
            let other = || Finding::of_all("slm::evidence-other-root", format!("`{ENTRIES}` has an entry that slm does not write"));
            Leaf::parse(line).ok_or_else(other)
        };
        lines.iter().map(leaf).collect()
    }
}

/// True when the file is what its entry says; false when it is older than the log, which only begins later than the locker where `older`.
fn logged(one: &Packed, packed: &BTreeMap<String, String>, entries: &[Leaf], older: bool) -> Result<bool, Finding> {
    let found = |code, what| Finding::of_all(code, what);
    let Some(is) = packed.get(&one.file) else { return Err(found("slm::bundle-lacks", format!("there is no `{}`", one.file))) };
    if *is != one.sha256 {
        return Err(found("slm::evidence-edited", format!("`{}` is not what `{MANIFEST}` says: SHA-256 {is}", one.file)));
    }
    let Some(entry) = one.entry else {
        // Before the log only what never got an entry: whatever has one is named by it, and what is written once has one.
        let known = entries.iter().any(|leaf| leaf.path == one.path && hex(&leaf.sha256) == one.sha256);
        let once = ONCE.iter().any(|folder| one.path.starts_with(folder));
        return match (known, older && !once) {
            (true, _) => {
                let what = format!("`{}` is in the log, and `{MANIFEST}` does not say where", one.file);
                Err(found("slm::evidence-unlogged", what))
            }
            (false, false) => Err(found("slm::evidence-unlogged", format!("`{}` is in no entry of the log", one.file))),
            (false, true) => Ok(false),
        };
    };
    let leaf = usize::try_from(entry).ok().and_then(|at| entries.get(at));
    match leaf {
        Some(leaf) if leaf.path == one.path && hex(&leaf.sha256) == one.sha256 && leaf.bytes == one.bytes => Ok(true),
        _ => Err(found(
            "slm::evidence-edited",
            format!("`{}` is not what entry {entry} of the log says of `{}`", one.file, one.path),
        )),
    }
}

#[cfg(test)]
#[path = "bundle_tests.rs"]
mod tests;
