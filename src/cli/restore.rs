//! `slm restore`: rebuilds the locker from a sink, commit by commit, in a new repository that `slm verify` then judges.
//!
//! A verb of its own, and no flag of `slm verify`: that one only reads, and is what somebody runs who trusts neither copy.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::json;

use super::{Exit, Global, Said, Trouble, pipeline, wire};
use crate::host::mirror::{self, Rebuilt};
use crate::model::locker::SinkSettings;
use crate::model::time::Timestamp;
use crate::report::words::count;

/// Arguments of `slm restore`.
#[derive(clap::Args)]
pub struct Args {
    /// The sink of `slm.toml` to read
    sink: String,
    /// Where the new repository goes; nothing may be there yet
    folder: PathBuf,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    let session = pipeline::open(global, "restore", None)?;
    let locker = &session.catalog.settings.locker;
    let settings = locker.sink.iter().find(|sink| sink.id == args.sink).ok_or_else(|| unknown(&args.sink, &locker.sink))?;
    let Restored { commits, objects, lost } = pipeline::block_on(rebuild(&session, global, settings, args))??;
    let place = args.folder.join(OBJECTS);
    let with = if objects > 0 { format!(" --objects {}", place.display()) } else { String::new() };
    let and = if objects > 0 { format!(", and {} to {}", count(objects, "object"), place.display()) } else { String::new() };
    let mut human =
        format!("Restored {} of {} to {}{and}.\n", count(commits.len() as u64, "commit"), locker.branch, args.folder.display());
    for name in &lost {
        human.push_str(&format!("! object `{name}` is not in sink `{}`, or is not what its name says\n", args.sink));
    }
    human.push_str(&format!("Next: `slm verify {} --key VKEY{with}` says whether it holds.\n", args.folder.display()));
    let last = commits.last().cloned();
    let json = json!({
        "folder": args.folder, "branch": locker.branch, "commits": commits.len(), "tip": last, "objects": objects, "lost": lost,
    });
    Ok(Said::new(vec![if lost.is_empty() { Exit::Clean } else { Exit::Incomplete }], human, json))
}

/// Where objects go in the new repository: git looks at nothing there.
const OBJECTS: &str = "slm/objects";

/// What was restored.
struct Restored {
    /// Names of the commits, the oldest first.
    commits: Vec<String>,
    /// How many objects.
    objects: u64,
    /// Names of those that could not be.
    lost: BTreeSet<String>,
}

fn unknown(sink: &str, sinks: &[SinkSettings]) -> Trouble {
    let names: Vec<String> = sinks.iter().map(|sink| format!("`{}`", sink.id)).collect();
    let known = if names.is_empty() { "there are none".to_owned() } else { format!("there are {}", names.join(", ")) };
    Trouble { exit: Exit::Failed, error: format!("no sink `{sink}` in `slm.toml`; {known}").into() }
}

async fn rebuild(session: &pipeline::Session, global: &Global, settings: &SinkSettings, args: &Args) -> Result<Restored, Trouble> {
    let sink = wire::sink(&wire::Reach::to_look(session, &global.root), settings).await?;
    let held = sink.held().await?;
    if held.is_empty() {
        return Err(format!("sink `{}` holds no commit", settings.id).into());
    }
    if let Some((wanted, _)) = (0_u64..).zip(held.keys()).find(|(wanted, number)| wanted != *number) {
        let error = format!("sink `{}` lacks commit {wanted} of {}: nothing was restored", settings.id, held.len());
        return Err(Trouble { exit: Exit::Incomplete, error: error.into() });
    }
    let mut rebuilt = Rebuilt::begin(&args.folder)?;
    for (number, commit) in &held {
        rebuilt.add(commit, &sink.get(*number, commit).await?)?;
    }
    let mut restored = Restored { commits: held.into_values().collect(), objects: 0, lost: BTreeSet::new() };
    let (from, to) = (sink.objects(Timestamp::UNIX_EPOCH), wire::folder_of(&rebuilt.path().join(OBJECTS)));
    for commit in &restored.commits {
        for pointer in mirror::pointers(rebuilt.path(), commit)? {
            let name = pointer.object();
            match from.get(&name).await?.filter(|object| pointer.unpacked(object).is_ok()) {
                // What two commits point to is there once.
                Some(object) => restored.objects += u64::from(to.put(&name, object).await?),
                None => drop(restored.lost.insert(name)),
            }
        }
    }
    rebuilt.end(&session.catalog.settings.locker.branch)?;
    Ok(restored)
}
