//! `slm sample`: members of a population that nobody could choose, each with its evidence and its proof.

#![expect(clippy::disallowed_methods, reason = "it packs a sample where it is told")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::gather::{self, Artefact, Days};
use super::period::{Collected, late};
use super::{Exit, Global, Said, Trouble};
use crate::host::archive::Archive;
use crate::model::assessment::Subject;
use crate::model::attestation::Stretch;
use crate::model::catalog::Catalog;
use crate::model::id::{ControlId, EntityType};
use crate::model::period::{At, Cell, Member, RunNote, Series};
use crate::record::log::Hash;
use crate::record::sample::{Frozen, Item, Seed};
use crate::record::{decisions_path, leaf::hex, snapshot_path};
use crate::report::sample as pages;

/// Arguments of `slm sample`.
#[derive(clap::Args)]
pub struct Args {
    /// The control whose population is drawn from
    #[arg(long, value_name = "CONTROL")]
    control: String,
    /// How many to draw
    #[arg(long, value_name = "COUNT")]
    n: usize,
    /// A line of text that the auditor chose after the period was over
    #[arg(long, value_name = "TEXT")]
    nonce: String,
    #[command(flatten)]
    days: Days,
    /// Pack what was drawn into this folder, which must not exist
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// One item that was drawn.
struct Drawn<'a> {
    rank: String,
    item: &'a Item,
    /// The last run of the period that judged it.
    run: At,
    /// Its line of decisions and its line of what was seen, by the file that they stand in.
    files: Vec<(Artefact, String)>,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    let mut collected = gather::read(global, &args.days)?;
    let control = ControlId::from(&args.control);
    let series = collected.period.controls.iter().find(|series| series.control == control).cloned();
    let (from, to) = (collected.period.from, collected.period.to);
    let none = |exit| Trouble { exit, error: format!("no run from {from} to {to} judged a control `{control}`").into() };
    let series = series.ok_or_else(|| none(Exit::Failed))?;
    // One that was taken away may have left something open, and has no member that a run of these days judged.
    if !series.days.iter().any(|day| matches!(day, Cell::Judged { .. })) {
        return Err(none(Exit::Incomplete));
    }
    let stretch = Stretch { from, to };
    let frozen = Frozen::of(&series);
    let seed = Seed::new(&control, &stretch, &frozen, &args.nonce)?;
    let chosen = frozen.draw(&seed, args.n);
    let drawn = evidence(&mut collected, &series, chosen)?;
    let archive = Archive::open(&collected.history)?;
    // What a control speaks about is in what was judged of it as well, where its text is not to be had.
    let catalog = gather::config(global, &collected.period).ok().map(|(catalog, _)| catalog);
    let unseen = unseen(&collected, catalog.as_ref(), &series);
    let unproven = Vec::from_iter(late(&collected.period));
    let head = json!({
        "control": control, "period": stretch, "population": frozen.items().len(), "population_root": frozen.root(),
        "nonce": args.nonce, "seed": seed.as_str(), "asked": args.n, "drawn": drawn.len(),
        "log": { "origin": archive.standing.origin, "entries": archive.standing.head.size, "root": hex(&archive.standing.head.root) },
        "runs": collected.period.runs.len(), "unproven": unproven, "runs_that_did_not_see_it_whole": unseen,
    });
    let mut proofs = BTreeMap::new();
    for (artefact, _) in drawn.iter().flat_map(|one| &one.files) {
        if let Some(entry) = artefact.entry {
            proofs.insert(entry, archive.prove(entry)?);
        }
    }
    let items: Vec<Json> = drawn.iter().map(|one| item(&collected, one, &proofs)).collect();
    let mut json = head;
    json["items"] = json!(items);
    let mut human = pages::human(&json);
    if let Some(folder) = &args.out {
        pack(folder, &json, &frozen, &drawn, &archive, &proofs)?;
        human.push_str(&format!("Packed into {}: README.md there says how to check it by hand.\n", folder.display()));
    }
    let (told, exit) = gather::told(&unproven);
    human.push_str(&told);
    let exits = vec![exit, if unseen == 0 { Exit::Clean } else { Exit::Incomplete }];
    Ok(Said::new(exits, human, json))
}

/// Runs of the period in which the population was not seen whole: who was never seen cannot be drawn. A run that looked at none of the
/// places it could be in saw nothing of it.
fn unseen(collected: &Collected, catalog: Option<&Catalog>, series: &Series) -> usize {
    let declared = catalog.and_then(|catalog| catalog.controls.get(&series.control)).map(|control| &control.entities);
    let judged = series.members.iter().map(|member| match &member.subject {
        Subject::Resource { entity, .. } | Subject::Population { entity, .. } => entity,
    });
    let entities: BTreeSet<&EntityType> = declared.into_iter().flatten().chain(judged).collect();
    let whole = |run: &RunNote| {
        let mut seen = run.seen.iter().filter(|seen| entities.contains(&seen.entity)).peekable();
        seen.peek().is_some() && seen.all(|seen| seen.completeness.is_complete())
    };
    collected.period.runs.iter().filter(|run| !whole(run)).count()
}

/// Where the evidence of each item stands: as of the last run of the period that judged it.
fn evidence<'a>(collected: &mut Collected, series: &Series, chosen: Vec<(String, &'a Item)>) -> Result<Vec<Drawn<'a>>, Trouble> {
    let mut paths = vec![decisions_path(&series.control)];
    paths.extend(chosen.iter().map(|(_, item)| snapshot_path(&item.entity)));
    paths.sort();
    paths.dedup();
    let mut kept = BTreeMap::new();
    for path in paths {
        kept.insert(path.clone(), gather::versions(&mut collected.history, &collected.period.runs, &path)?);
    }
    let archive = Archive::open(&collected.history)?;
    let mut drawn = Vec::new();
    for (rank, item) in chosen {
        let run = last(series, item);
        let mut files = Vec::new();
        for path in [decisions_path(&series.control), snapshot_path(&item.entity)] {
            let version = kept[&path].iter().rev().find(|(from, ..)| *from <= run);
            let found =
                gather::artefacts(&archive, &collected.history, &path, version.map(std::slice::from_ref).unwrap_or_default())?;
            for artefact in found {
                let line = line(&artefact.bytes, item);
                files.push((artefact, line));
            }
        }
        drawn.push(Drawn { rank, item, run, files });
    }
    Ok(drawn)
}

/// The last run that judged `item`.
fn last(series: &Series, item: &Item) -> At {
    let is = |member: &&Member| matches!(&member.subject, Subject::Resource { entity, id } if *entity == item.entity && *id == item.resource);
    let spans = series.members.iter().find(is).map(|member| &member.spans);
    spans.and_then(|spans| spans.last()).map_or(0, |span| span.until.saturating_sub(1))
}

/// The line of a file that is about `item`.
fn line(bytes: &[u8], item: &Item) -> String {
    let text = String::from_utf8_lossy(bytes);
    let about = |line: &&str| {
        let json: Json = serde_json::from_str(line).unwrap_or_default();
        let id = json["resource"].as_str().or(json["id"].as_str());
        id == Some(item.resource.as_str())
    };
    text.lines().find(about).unwrap_or_default().to_owned()
}

fn item(collected: &Collected, drawn: &Drawn<'_>, proofs: &BTreeMap<u64, Vec<Hash>>) -> Json {
    let Drawn { rank, item, run, files } = drawn;
    let evidence: Vec<Json> = files
        .iter()
        .map(|(artefact, line)| {
            let proof = artefact
                .entry
                .and_then(|entry| proofs.get(&entry))
                .map(|proof| proof.iter().map(|hash| hex(hash)).collect::<Vec<_>>());
            let said: Json = serde_json::from_str(line).unwrap_or_default();
            json!({
                "path": artefact.path, "commit": artefact.commit, "bytes": artefact.bytes.len(), "sha256": artefact.digest(),
                "entry": artefact.entry, "proof": proof, "file": packed(artefact), "line": said,
            })
        })
        .collect();
    let run = collected.period.runs.get(*run);
    json!({ "rank": rank, "entity": item.entity, "resource": item.resource, "run": run.map(|run| &run.id), "at": run.map(|run| run.at), "evidence": evidence })
}

/// Where a file stands in what is packed: by its bytes, so that each is there once.
fn packed(artefact: &Artefact) -> String {
    let name = artefact.path.rsplit('/').next().unwrap_or_default();
    format!("evidence/{}/{name}", artefact.digest().get(..16).unwrap_or_default())
}

/// Packs just what was drawn, the list it was drawn from, and a page that says how to check it.
fn pack(
    folder: &Path,
    json: &Json,
    frozen: &Frozen,
    drawn: &[Drawn<'_>],
    archive: &Archive<'_>,
    proofs: &BTreeMap<u64, Vec<Hash>>,
) -> Result<(), Trouble> {
    if folder.exists() {
        return Err(format!("`{}` exists already; name a folder that does not", folder.display()).into());
    }
    let mut files = BTreeMap::from([
        ("population.jsonl".to_owned(), frozen.list().into_bytes()),
        ("sample.json".to_owned(), format!("{json:#}\n").into_bytes()),
        (
            "sample.txt".to_owned(),
            drawn.iter().map(|one| format!("{} {}\n", one.rank, one.item.line())).collect::<String>().into_bytes(),
        ),
        ("README.md".to_owned(), pages::readme(json)?.into_bytes()),
        ("checkpoint".to_owned(), archive.checkpoint.clone()),
    ]);
    let mut lines = BTreeSet::new();
    for (artefact, _) in drawn.iter().flat_map(|one| &one.files) {
        files.insert(packed(artefact), artefact.bytes.clone());
        if let Some((entry, proof)) = artefact.entry.and_then(|entry| Some((entry, proofs.get(&entry)?))) {
            let hashes: Vec<String> = proof.iter().map(|hash| hex(hash)).collect();
            // A path may have spaces in it.
            lines.insert(format!("{entry}\t{}\t{}\t{}\n", packed(artefact), artefact.path, hashes.join(" ")));
        }
    }
    files.insert("proofs.txt".to_owned(), lines.into_iter().collect::<String>().into_bytes());
    for (name, bytes) in files {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, bytes)?;
    }
    Ok(())
}
