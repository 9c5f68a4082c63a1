//! `slm export bundle`: everything of a period in one file, with what proves it.

use std::collections::BTreeMap;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::super::gather::{self, Artefact, Gathered, gather};
use super::super::{Global, Said, Trouble};
use super::{Asked, raw, sealed, write};
use crate::host::archive::Archive;
use crate::host::history::{History, Kept};
use crate::host::zipped;
use crate::model::attestation::Manual;
use crate::model::events::EVENT_ENTITY;
use crate::model::id::{ControlId, FrameworkId};
use crate::model::period::{At, Late, Period};
use crate::record::bundle::{CHECKPOINT, DIGEST, ENTRIES, MANIFEST, Manifest, OBJECTS, Packed, digest};
use crate::record::bundle_runs::CHECKPOINTS;
use crate::record::bundle_whole::{SIGNED, folders, is_signed_of, rotated};
use crate::record::{EXCEPTIONS, decisions_path, leaf::hex, snapshot_path};
use crate::report::bundle::{self as pages, Log, Made, Version, View};
use crate::report::words;

/// The page about a clone of the whole locker.
const VERIFY: &str = include_str!("../../../docs/verify.md");

/// What goes into a bundle.
#[derive(Default)]
struct Files {
    files: BTreeMap<String, Vec<u8>>,
    packed: Vec<Packed>,
}

impl Files {
    /// Adds evidence at `file`, once.
    fn evidence(&mut self, file: String, artefact: Artefact) {
        let packed = Packed {
            bytes: artefact.bytes.len() as u64,
            entry: artefact.entry,
            file: file.clone(),
            path: artefact.path.clone(),
            sha256: artefact.digest(),
        };
        if self.files.insert(file, artefact.bytes).is_none() {
            self.packed.push(packed);
        }
    }

    fn add(&mut self, file: &str, bytes: impl Into<Vec<u8>>) {
        self.files.insert(file.to_owned(), bytes.into());
    }
}

pub(super) fn run(asked: &Asked, raw: bool, global: &Global) -> Result<Said, Trouble> {
    let mut gathered = gather(global, &asked.days)?;
    let framework = asked.framework.as_deref().map(|id| gather::framework(&gathered.catalog, id)).transpose()?;
    let raw = if raw { Some(raw::Raw::read(global, &gathered)?) } else { None };
    let manual = gather::signatures(global, &mut gathered)?;
    let files = files(global, &mut gathered, framework.as_ref(), raw, &manual)?;
    let zip = zipped::pack(&files)?;
    write(&asked.out, &zip)?;
    let sha256 = hex(&Sha256::digest(&zip));
    let period = &gathered.collected.period;
    let (runs, count) = (period.runs.len(), files.len());
    let human = format!(
        "Wrote {}: {} to {}, {}, {count} files, {} bytes.\n  SHA-256     {sha256}\n\
         Open index.html in it, or check it with `slm verify {}`.\n",
        asked.out.display(),
        period.from,
        period.to,
        words::count(runs as u64, "run"),
        zip.len(),
        asked.out.display()
    );
    let (unproven, exit) = gather::told(&gathered.unproven);
    let human = human + &unproven;
    let json = json!({
        "path": asked.out, "from": period.from, "to": period.to, "runs": runs, "files": count, "bytes": zip.len(), "sha256": sha256,
        "unproven": gathered.unproven,
    });
    Ok(Said::new(vec![exit], human, json))
}

/// Every file of the bundle.
fn files(
    global: &Global,
    gathered: &mut Gathered,
    framework: Option<&FrameworkId>,
    raw: Option<raw::Raw>,
    manual: &[Manual],
) -> Result<BTreeMap<String, Vec<u8>>, Trouble> {
    let controls = gather::controls(&gathered.catalog, framework);
    let mut kept: BTreeMap<ControlId, Vec<(At, usize, Kept)>> = BTreeMap::new();
    let mut late: BTreeMap<ControlId, Vec<(At, usize, Kept)>> = BTreeMap::new();
    let period = &gathered.collected.period;
    for control in &controls {
        let (history, path) = (&mut gathered.collected.history, decisions_path(control));
        kept.insert(control.clone(), gather::versions(history, &period.runs, &path)?);
        let late_runs = period.late.iter().map(|late| &late.run);
        late.insert(control.clone(), gather::versions(history, late_runs, &path)?);
    }
    let (history, period, catalog) = (&gathered.collected.history, &gathered.collected.period, &gathered.catalog);
    let archive = Archive::open(history)?;
    let mut files = Files::default();
    let (versions, texts) = decisions(&archive, history, period, &kept, &mut files)?;
    decisions_of_late(&archive, history, period, &late, &mut files)?;
    evidence(&archive, history, period, &mut files)?;
    let sealed::Sealed { checkpoints, logged, waiting } = sealed::read(global, &archive, history, period)?;
    logged.into_iter().for_each(|artefact| files.evidence(format!("evidence/{}", artefact.path), artefact));
    checkpoints.into_iter().for_each(|(size, file)| files.add(&format!("{CHECKPOINTS}{size}"), file));
    waiting.into_iter().for_each(|(path, token)| files.add(&path, token));
    let with_raw = raw.is_some();
    if let Some(raw::Raw { answers, objects }) = raw {
        answers.into_iter().for_each(|artefact| files.evidence(format!("evidence/{}", artefact.path), artefact));
        objects.into_iter().for_each(|(name, object)| files.add(&format!("{OBJECTS}{name}"), object));
    }
    let log = log(&archive);
    let (removed, unproven) = (&gathered.removed, &gathered.unproven);
    let made = Made { catalog, period, log: &log, versions: &versions, manual, unproven, framework, removed };
    let view = pages::view(&made);
    packets(&made, &view, &texts, &mut files)?;
    drawn(&made, &view, &mut files)?;
    proofs(&archive, &mut files);
    let mut packed = std::mem::take(&mut files.packed);
    packed.sort_by(|a, b| a.file.cmp(&b.file));
    let controls = controls.iter().map(ToString::to_string).collect();
    let (from, to, framework) = (period.from, period.to, framework.map(ToString::to_string));
    let manifest = Manifest { format: 1, from, to, framework, controls, raw: with_raw, anchors: true, files: packed };
    files.add(MANIFEST, manifest.text());
    let digest = digest(&files.files);
    files.add(DIGEST, digest);
    Ok(files.files)
}

type Texts = BTreeMap<String, String>;

/// Every version of the decisions of each control, and its text by its place in the bundle.
fn decisions(
    archive: &Archive<'_>,
    history: &History,
    period: &Period,
    kept: &BTreeMap<ControlId, Vec<(At, usize, Kept)>>,
    files: &mut Files,
) -> Result<(BTreeMap<ControlId, Vec<Version>>, Texts), Trouble> {
    let (mut versions, mut texts) = (BTreeMap::new(), Texts::new());
    for (control, kept) in kept {
        let mut all = Vec::new();
        for artefact in gather::artefacts(archive, history, &decisions_path(control), kept)? {
            let Some(run) = period.runs.get(artefact.from) else { continue };
            let places = folders(run.id.as_str(), run.at).map(|name| format!("controls/{control}/decisions/{name}"));
            let free = |folder: &&String| !files.files.contains_key(&format!("{folder}/{control}.jsonl"));
            let Some(folder) = places.iter().find(free) else { continue };
            let file = format!("{folder}/{control}.jsonl");
            let (sha256, entry, from) = (artefact.digest(), artefact.entry, artefact.from);
            texts.insert(file.clone(), String::from_utf8_lossy(&artefact.bytes).into_owned());
            files.evidence(file.clone(), artefact);
            all.push(Version { from, file, page: format!("{folder}/index.html"), sha256, entry });
        }
        versions.insert(control.clone(), all);
    }
    Ok((versions, texts))
}

/// What runs that stand for no day said: nothing is told of it, and nothing is left out.
fn decisions_of_late(
    archive: &Archive<'_>,
    history: &History,
    period: &Period,
    kept: &BTreeMap<ControlId, Vec<(At, usize, Kept)>>,
    files: &mut Files,
) -> Result<(), Trouble> {
    for (control, kept) in kept {
        for artefact in gather::artefacts(archive, history, &decisions_path(control), kept)? {
            let Some(Late { run, .. }) = period.late.get(artefact.from) else { continue };
            let known = |one: &Packed| one.path == artefact.path && one.entry == artefact.entry && artefact.entry.is_some();
            if !files.packed.iter().any(known) {
                files.evidence(format!("controls/{control}/decisions/late/{}/{control}.jsonl", run.id), artefact);
            }
        }
    }
    Ok(())
}

/// Runs, what the last of them saw, rotations, and what people declared.
fn evidence(archive: &Archive<'_>, history: &History, period: &Period, files: &mut Files) -> Result<(), Trouble> {
    for run in period.recorded() {
        if let Some(artefact) = gather::once(archive, history, &run.commit, &run.path)? {
            files.evidence(format!("evidence/{}", run.path), artefact);
        }
    }
    let Some(last) = period.runs.last() else { return Ok(()) };
    let mut paths: Vec<String> = period.populations.iter().map(|members| members.path.clone()).collect();
    paths.push(snapshot_path(&EVENT_ENTITY.into()));
    paths.extend(period.rotations.iter().map(|life| life.path.clone()));
    paths.extend(rotated(&archive.leaves, (period.from, period.to)));
    if let Some(commit) = archive.place(&last.commit).and_then(|at| history.commits().get(at)) {
        paths.extend(history.files(commit.commit, EXCEPTIONS)?.into_keys());
    }
    for path in paths {
        if let Some(artefact) = gather::once(archive, history, &last.commit, &path)? {
            files.evidence(format!("evidence/{path}"), artefact);
        }
    }
    signed(archive, history, period, files)
}

/// What people signed of days of the period, as the newest run has it: most of that comes when the period is over.
fn signed(archive: &Archive<'_>, history: &History, period: &Period, files: &mut Files) -> Result<(), Trouble> {
    let Some(tip) = history.commits().last().map(|tip| tip.commit) else { return Ok(()) };
    for path in history.files(tip, SIGNED)?.into_keys().filter(|path| is_signed_of(path, period.to)) {
        if let Some(artefact) = gather::once(archive, history, &tip.to_string(), &path)? {
            files.evidence(format!("evidence/{path}"), artefact);
        }
    }
    Ok(())
}

fn log(archive: &Archive<'_>) -> Log {
    Log {
        origin: archive.standing.origin.clone(),
        entries: archive.standing.head.size,
        root: hex(&archive.standing.head.root),
        received: archive.standing.received,
        keys: archive.keys.iter().map(|key| key.verifier.vkey()).collect(),
    }
}

/// A page for each control, and for each version of its decisions.
fn packets(made: &Made<'_>, view: &View<'_>, texts: &Texts, files: &mut Files) -> Result<(), Trouble> {
    for control in &view.controls {
        files.add(&pages::path(control), pages::control(view, control)?);
        for (path, page) in pages::members(view, control)? {
            files.add(&path, page);
        }
        let id = ControlId::from(&control.id);
        let (Some(declared), Some(all)) = (made.catalog.controls.get(&id), made.versions.get(&id)) else { continue };
        for version in all {
            let text = texts.get(&version.file).map_or("", String::as_str);
            files.add(&version.page, pages::packet(made, (declared, control), version, text)?);
        }
    }
    Ok(())
}

/// Pages and tables of all of it.
fn drawn(made: &Made<'_>, view: &View<'_>, files: &mut Files) -> Result<(), Trouble> {
    files.add("index.html", pages::index(view)?);
    files.add("README.md", pages::readme(view)?);
    files.add("summary.pdf", pages::pdf(view)?);
    files.add("summary.csv", pages::summary_csv(view));
    files.add("deviations.csv", pages::deviations_csv(view));
    files.add("members.csv", pages::members_csv(made));
    files.add("crosswalk.csv", pages::crosswalk_csv(made));
    files.add("summary.json", serde_json::to_vec(view)?);
    files.add("period.json", serde_json::to_vec(made.period)?);
    files.add("VERIFY.md", VERIFY);
    Ok(())
}

/// What shows that evidence is what was logged, and that nothing was left out.
fn proofs(archive: &Archive<'_>, files: &mut Files) {
    files.add(CHECKPOINT, archive.checkpoint.clone());
    for (path, bytes) in &archive.key_files {
        files.add(path, bytes.clone());
    }
    let mut entries = Vec::new();
    for leaf in &archive.leaves {
        entries.extend(leaf.entry());
        entries.push(b'\n');
    }
    files.add(ENTRIES, entries);
}
