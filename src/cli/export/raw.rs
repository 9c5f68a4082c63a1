//! What sources answered in a period, for a bundle: as it was kept, and the objects that it points to.

use std::collections::BTreeMap;

use super::super::gather::{self, Artefact, Gathered};
use super::super::{Exit, Global, Trouble, pipeline, wire};
use crate::host::archive::Archive;
use crate::record::objects::{Pointer, SUFFIX};
use crate::world::ObjectStore;

/// Raw answers of the runs of a period.
pub(super) struct Raw {
    /// Those in git, with pointers to the others.
    pub answers: Vec<Artefact>,
    /// What they point to, by the name of the object.
    pub objects: BTreeMap<String, Vec<u8>>,
}

impl Raw {
    /// Reads every one: a part of them would look like all.
    pub(super) fn read(global: &Global, gathered: &Gathered) -> Result<Self, Trouble> {
        let (history, period) = (&gathered.collected.history, &gathered.collected.period);
        let archive = Archive::open(history)?;
        let mut answers = Vec::new();
        for run in period.recorded() {
            let Some(commit) = archive.place(&run.commit).and_then(|at| history.commits().get(at)) else { continue };
            let folder = run.path.replacen("runs/", "raw/", 1).replacen(".json", "/", 1);
            for path in history.files(commit.commit, &folder)?.into_keys() {
                answers.extend(gather::once(&archive, history, &run.commit, &path)?);
            }
        }
        let mut pointers = BTreeMap::new();
        for one in answers.iter().filter(|one| one.path.ends_with(SUFFIX)) {
            let none = || missing(format!("`{}` points to nothing; `slm verify` says so too", one.path));
            let pointer = Pointer::parse(&one.bytes).ok_or_else(none)?;
            pointers.insert(pointer.object(), (pointer, one.path.clone()));
        }
        let objects = if pointers.is_empty() { BTreeMap::new() } else { pipeline::block_on(objects(global, pointers))?? };
        Ok(Self { answers, objects })
    }
}

async fn objects(global: &Global, pointers: BTreeMap<String, (Pointer, String)>) -> Result<BTreeMap<String, Vec<u8>>, Trouble> {
    let session = pipeline::open(global, "export", None)?;
    let settings = session.catalog.settings.locker.objects.as_ref();
    let settings = settings.ok_or_else(|| missing("`slm.toml` names no store of objects".to_owned()))?;
    let store: Box<dyn ObjectStore> = wire::objects(&wire::Reach::to_look(&session, &global.root), settings).await?;
    let mut all = BTreeMap::new();
    for (name, (pointer, path)) in pointers {
        let object = store.get(&name).await?.filter(|object| pointer.unpacked(object).is_ok());
        let gone =
            || missing(format!("object `{name}`, which `{path}` points to, is gone or is another; `slm verify` says so too"));
        let object = object.ok_or_else(gone)?;
        all.insert(name, object);
    }
    Ok(all)
}

fn missing(what: String) -> Trouble {
    Trouble { exit: Exit::Incomplete, error: format!("the raw answers are not all here: {what}").into() }
}
