//! `slm export oscal`, `sarif` and `ocsf`: what a period says, in the words of others.

#![expect(clippy::disallowed_methods, reason = "it makes the folder that it was told of")]

use std::io::ErrorKind;
use std::path::PathBuf;

use super::super::gather::{self, gather};
use super::super::{Global, Said, Trouble};
use super::{Asked, write, written};
use crate::host::archive::Archive;
use crate::record::canonical;
use crate::record::leaf::hex;
use crate::report::interchange::{ACTIONS, Told, ocsf as as_ocsf, oscal as as_oscal, sarif as as_sarif};

/// What was written, and how long each file is.
type Written = (&'static str, Vec<(PathBuf, usize)>);

/// Reads what was asked for and hands it over.
fn told(asked: &Asked, global: &Global, tell: impl FnOnce(&Told<'_>) -> Result<Written, Trouble>) -> Result<Said, Trouble> {
    let mut gathered = gather(global, &asked.days)?;
    let framework = asked.framework.as_deref().map(|id| gather::framework(&gathered.catalog, id)).transpose()?;
    let manual = gather::signatures(global, &mut gathered)?;
    let archive = Archive::open(&gathered.collected.history)?;
    let period = &gathered.collected.period;
    let (what, files) = tell(&Told {
        catalog: &gathered.catalog,
        period,
        origin: &archive.standing.origin,
        root: &hex(&archive.standing.head.root),
        framework: framework.as_ref(),
        manual: &manual,
        unproven: &gathered.unproven,
    })?;
    Ok(written(what, &files, &gathered.unproven))
}

pub(super) fn oscal(asked: &Asked, global: &Global) -> Result<Said, Trouble> {
    told(asked, global, |told| {
        std::fs::create_dir_all(&asked.out)?;
        let (mut files, documents) = (Vec::new(), as_oscal(told));
        // What was open in an export before is not beside what nothing is open in.
        if !documents.contains_key(ACTIONS) {
            match std::fs::remove_file(asked.out.join(ACTIONS)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        for (name, document) in documents {
            let (path, bytes) = (asked.out.join(name), canonical::json(&document)?);
            write(&path, &bytes)?;
            files.push((path, bytes.len()));
        }
        Ok(("OSCAL", files))
    })
}

pub(super) fn sarif(asked: &Asked, global: &Global) -> Result<Said, Trouble> {
    told(asked, global, |told| {
        let bytes = canonical::json(&as_sarif(told))?;
        write(&asked.out, &bytes)?;
        Ok(("SARIF", vec![(asked.out.clone(), bytes.len())]))
    })
}

pub(super) fn ocsf(asked: &Asked, global: &Global) -> Result<Said, Trouble> {
    told(asked, global, |told| {
        let mut bytes = Vec::new();
        for finding in as_ocsf(told) {
            bytes.extend(canonical::json(&finding)?);
        }
        write(&asked.out, &bytes)?;
        Ok(("OCSF", vec![(asked.out.clone(), bytes.len())]))
    })
}
