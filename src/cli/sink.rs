//! Brings the sinks of the locker up to the commit of a run. What a sink did not get, the next complete run brings.

use super::{Global, pipeline, wire};
use crate::host::mirror;
use crate::model::locker::SinkSettings;
use crate::record::anchored::{Kept, Tried};
use crate::world::{ErrorClass, ObjectStore, WorldError};

/// Syncs every sink up to `commit`, unless something in scope was not seen by the run that ends with it: no mirror is written from an
/// incomplete population.
pub(super) async fn sync(session: &pipeline::Session, global: &Global, commit: &str, complete: bool) -> Vec<Tried> {
    let sinks = &session.catalog.settings.locker.sink;
    let mut tried = Vec::new();
    for settings in sinks {
        let fate = if complete {
            fate(one(session, global, settings, commit).await)
        } else {
            Kept::Failed("it waits for a run that sees everything in scope".to_owned())
        };
        tried.push(Tried { id: settings.id.clone(), kind: settings.kind().to_owned(), fate });
    }
    tried
}

fn fate(synced: Result<(), WorldError>) -> Kept {
    match synced {
        Ok(()) => Kept::Kept,
        Err(error) if error.class == ErrorClass::Conflict => Kept::Differs(error.to_string()),
        Err(error) => Kept::Failed(error.to_string()),
    }
}

async fn one(session: &pipeline::Session, global: &Global, settings: &SinkSettings, commit: &str) -> Result<(), WorldError> {
    let sink = wire::sink(&wire::Reach::to_record(session, &global.root), settings).await?;
    let line = mirror::line(&global.root, commit)?;
    let held = sink.held().await?;
    let conflict =
        |cause: String| WorldError { class: ErrorClass::Conflict, operation: format!("go on with sink `{}`", settings.id), cause };
    for (number, commit) in &held {
        // One that is ahead of us was brought there by a later run.
        let ours = usize::try_from(*number).ok().and_then(|number| line.get(number));
        if ours.is_some_and(|ours| ours != commit) {
            return Err(conflict(format!("its commit {number} is {}, and ours is another", &commit[..12.min(commit.len())])));
        }
    }
    for (number, commit) in (0_u64..).zip(&line) {
        if !held.contains_key(&number) {
            let packet = mirror::packet(&global.root, number, commit)?;
            // Before the commit: a commit that is there has all that it points to.
            objects(session, global, &*sink.objects(packet.received), commit).await?;
            sink.put(&packet).await?;
        }
    }
    Ok(())
}

/// Brings what `commit` points to from the store of this machine to that of the sink.
async fn objects(session: &pipeline::Session, global: &Global, to: &dyn ObjectStore, commit: &str) -> Result<(), WorldError> {
    let pointers = mirror::pointers(&global.root, commit)?;
    if pointers.is_empty() {
        return Ok(());
    }
    let failed = |name: &str, class, cause: &str| WorldError {
        class,
        operation: format!("mirror object `{name}`"),
        cause: cause.to_owned(),
    };
    let Some(settings) = &session.catalog.settings.locker.objects else {
        return Err(failed(&pointers[0].object(), ErrorClass::Permanent, "`slm.toml` names no store that it could be in"));
    };
    let from = wire::objects(&wire::Reach::to_record(session, &global.root), settings).await?;
    for pointer in pointers {
        let name = pointer.object();
        let object =
            from.get(&name).await?.ok_or_else(|| failed(&name, ErrorClass::NotFound, "it is gone; `slm verify` says so too"))?;
        if pointer.unpacked(&object).is_err() {
            return Err(failed(&name, ErrorClass::Conflict, "it has other bytes in it; `slm verify` says so too"));
        }
        if !to.put(&name, object).await? {
            // Whoever put it: what is believed of it is what is in it.
            let there = to.get(&name).await?;
            if there.is_none_or(|there| pointer.unpacked(&there).is_err()) {
                return Err(failed(&name, ErrorClass::Conflict, "another one is there in its place"));
            }
        }
    }
    Ok(())
}
