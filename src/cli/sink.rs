//! Brings the sinks of the locker up to the commit of a run. What a sink did not get, the next complete run brings.

use super::{Global, pipeline, wire};
use crate::host::mirror;
use crate::model::locker::SinkSettings;
use crate::record::anchored::{Kept, Tried};
use crate::world::{ErrorClass, Sink, WorldError};

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
            put(&*sink, global, number, commit).await?;
        }
    }
    Ok(())
}

async fn put(sink: &dyn Sink, global: &Global, number: u64, commit: &str) -> Result<(), WorldError> {
    sink.put(&mirror::packet(&global.root, number, commit)?).await
}
