//! Puts raw bytes that are too long for git into the object store, and looks at what is there.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;

use super::{Exit, Global, Trouble, pipeline, wire};
use crate::host::verify::Read;
use crate::model::blob::Blob;
use crate::model::locker::ObjectsSettings;
use crate::record::objects::{Pointer, SUFFIX, Wrong, packed};
use crate::record::verify::{Finding, Remark};
use crate::world::{ObjectStore, WorldError};

/// Objects asked for at once.
const AT_ONCE: usize = 8;

/// Puts what of `files` is raw and too long into the object store, a pointer in its place. What cannot be put stays in git, and why is
/// told: nothing is lost by it.
pub(super) fn put(session: &pipeline::Session, global: &Global, files: &mut BTreeMap<String, Blob>) -> Option<String> {
    let settings = session.catalog.settings.locker.objects.as_ref()?;
    let large: Vec<String> = files
        .iter()
        .filter(|(path, file)| path.starts_with("raw/") && file.length() as u64 > settings.over)
        .map(|(path, _)| path.clone())
        .collect();
    if large.is_empty() {
        return None;
    }
    match pipeline::block_on(put_all(session, global, settings, files, &large)) {
        Ok(why) => why,
        Err(trouble) => Some(trouble.error.to_string()),
    }
}

async fn put_all(
    session: &pipeline::Session,
    global: &Global,
    settings: &ObjectsSettings,
    files: &mut BTreeMap<String, Blob>,
    large: &[String],
) -> Option<String> {
    let reach = wire::Reach::to_record(session, &global.root);
    let store = match wire::objects(&reach, settings).await {
        Ok(store) => store,
        Err(error) => return Some(error.to_string()),
    };
    for path in large {
        let Some(file) = files.get(path) else { continue };
        match put_one(&*store, file).await {
            Ok(pointer) => {
                files.remove(path);
                files.insert(format!("{path}{SUFFIX}"), pointer.into());
            }
            // The others would most likely fail the same way.
            Err(why) => return Some(why),
        }
    }
    None
}

/// The file of the pointer to `file`, which is in `store` then.
async fn put_one(store: &dyn ObjectStore, file: &Blob) -> Result<Vec<u8>, String> {
    let bytes = file.bytes().map_err(|error| error.to_string())?;
    let pointer = Pointer::to(&bytes);
    let object = packed(&bytes).map_err(|error| error.to_string())?;
    let name = pointer.object();
    if !store.put(&name, object).await.map_err(|error| error.to_string())? {
        // Whoever put it: what is believed of it is what is in it.
        let there = store.get(&name).await.map_err(|error| error.to_string())?;
        if there.is_none_or(|object| pointer.unpacked(&object).is_err()) {
            return Err(format!("object `{name}` is there and is not what its name says"));
        }
    }
    pointer.file().map_err(|error| error.to_string())
}

/// The same for people, and how it ends.
pub(super) fn told(why: Option<&String>) -> (String, Option<Exit>) {
    let told = |why: &String| format!("! what is too long for git was left in git: {why}\n");
    (why.map(told).unwrap_or_default(), why.map(|_| Exit::Incomplete))
}

/// What became of the objects that the evidence points to.
#[derive(Default)]
pub(super) struct Judged {
    pub findings: Vec<Finding>,
    pub unproven: Vec<Remark>,
    /// Objects that hold what they must, and bytes in them.
    pub held: (u64, u64),
}

/// Where objects are looked for.
pub(super) enum Place<'a> {
    /// In this store.
    Store(Result<Box<dyn ObjectStore>, WorldError>),
    /// Nowhere, for this reason.
    Nowhere(&'a str),
}

/// Looks at every object that `read` points to; each once, whatever points to it.
pub(super) fn judge(read: &Read, place: Place<'_>) -> Result<Judged, Trouble> {
    let mut judged = Judged::default();
    let mut pointers = BTreeMap::new();
    for (path, file) in &read.pointers {
        match Pointer::parse(file) {
            Some(pointer) => drop(pointers.entry(pointer.object()).or_insert((pointer, path.as_str()))),
            None => {
                let what = format!("`{path}` points to nothing");
                judged.findings.push(Finding::of_all("slm::evidence-bad-pointer", what));
            }
        }
    }
    if pointers.is_empty() {
        return Ok(judged);
    }
    let unseen = |why: String| {
        let what = format!("{} too long for git: {why}", crate::report::words::count(pointers.len() as u64, "file"));
        Remark { code: "slm::evidence-objects-unseen", what: format!("not looked at are {what}") }
    };
    let store = match place {
        Place::Nowhere(why) => {
            judged.unproven.push(unseen(why.to_owned()));
            return Ok(judged);
        }
        Place::Store(Err(error)) => {
            judged.unproven.push(unseen(error.to_string()));
            return Ok(judged);
        }
        Place::Store(Ok(store)) => store,
    };
    let store = &*store;
    let looked = pipeline::block_on(async {
        let all = pointers.iter().map(|(name, (pointer, path))| async move { (*path, pointer, name, store.get(name).await) });
        futures::stream::iter(all)
            .buffered(AT_ONCE)
            .map(|(path, pointer, name, got)| (path, pointer, name, of_one(pointer, got)))
            .collect::<Vec<_>>()
            .await
    })?;
    let mut silent = BTreeSet::new();
    for (path, pointer, name, state) in looked {
        match state {
            Ok(()) => judged.held = (judged.held.0 + 1, judged.held.1 + pointer.bytes),
            Err(State::Missing) => {
                let what = format!("object `{name}`, which `{path}` points to, is gone");
                judged.findings.push(Finding::of_all("slm::evidence-object-missing", what));
            }
            Err(State::Wrong(wrong)) => {
                let how = if wrong == Wrong::Broken { "cannot be unpacked" } else { "has other bytes in it" };
                let what = format!("object `{name}`, which `{path}` points to, {how}");
                judged.findings.push(Finding::of_all("slm::evidence-object-changed", what));
            }
            Err(State::Unseen(why)) => drop(silent.insert(why)),
        }
    }
    judged.unproven.extend(silent.into_iter().map(|why| Remark { code: "slm::evidence-objects-unseen", what: why }));
    Ok(judged)
}

/// What is wrong with one object.
enum State {
    Missing,
    Wrong(Wrong),
    Unseen(String),
}

fn of_one(pointer: &Pointer, got: Result<Option<Vec<u8>>, WorldError>) -> Result<(), State> {
    match got {
        Ok(Some(object)) => pointer.unpacked(&object).map(drop).map_err(State::Wrong),
        Ok(None) => Err(State::Missing),
        Err(error) => Err(State::Unseen(error.to_string())),
    }
}
