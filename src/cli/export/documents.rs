//! `slm export oscal`, `sarif` and `ocsf`: what a period says, in the words of others.

#![expect(clippy::disallowed_methods, reason = "it makes the folder that it was told of")]

use super::super::gather::{self, gather};
use super::super::{Global, Said, Trouble};
use super::{Asked, write, written};
use crate::evaluate::attestations::manual;
use crate::host::archive::Archive;
use crate::model::snapshot::Snapshot;
use crate::record::canonical;
use crate::record::leaf::hex;
use crate::report::interchange::{Told, ocsf as as_ocsf, oscal as as_oscal, sarif as as_sarif};

/// Reads what was asked for and hands it over.
fn told<T>(asked: &Asked, global: &Global, tell: impl FnOnce(&Told<'_>) -> Result<T, Trouble>) -> Result<T, Trouble> {
    let gathered = gather(global, &asked.days)?;
    let framework = asked.framework.as_deref().map(|id| gather::framework(&gathered.catalog, id)).transpose()?;
    let archive = Archive::open(&gathered.collected.history)?;
    let period = &gathered.collected.period;
    let at = period.bounds().1;
    let manual = manual(&gathered.catalog, &Snapshot { taken: at, populations: Vec::new(), receipts: Vec::new() }, at);
    tell(&Told {
        catalog: &gathered.catalog,
        period,
        origin: &archive.standing.origin,
        root: &hex(&archive.standing.head.root),
        framework: framework.as_ref(),
        manual: &manual,
    })
}

pub(super) fn oscal(asked: &Asked, global: &Global) -> Result<Said, Trouble> {
    told(asked, global, |told| {
        std::fs::create_dir_all(&asked.out)?;
        let mut files = Vec::new();
        for (name, document) in as_oscal(told) {
            let (path, bytes) = (asked.out.join(name), canonical::json(&document)?);
            write(&path, &bytes)?;
            files.push((path, bytes.len()));
        }
        Ok(written("OSCAL", &files))
    })
}

pub(super) fn sarif(asked: &Asked, global: &Global) -> Result<Said, Trouble> {
    told(asked, global, |told| {
        let bytes = canonical::json(&as_sarif(told))?;
        write(&asked.out, &bytes)?;
        Ok(written("SARIF", &[(asked.out.clone(), bytes.len())]))
    })
}

pub(super) fn ocsf(asked: &Asked, global: &Global) -> Result<Said, Trouble> {
    told(asked, global, |told| {
        let mut bytes = Vec::new();
        for finding in as_ocsf(told) {
            bytes.extend(canonical::json(&finding)?);
        }
        write(&asked.out, &bytes)?;
        Ok(written("OCSF", &[(asked.out.clone(), bytes.len())]))
    })
}
