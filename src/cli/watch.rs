//! `slm watch`: one screen of problems, checked again whenever a file is saved.

use std::io::Write as _;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher as _};
use serde_json::json;

use super::{Exit, Global, Said, Trouble, pipeline};
use crate::host::files;
use crate::report::diagnostics;

/// Editors save in several steps; a burst is one save.
const SETTLE: Duration = Duration::from_millis(10);

/// Arguments of `slm watch`.
#[derive(clap::Args)]
pub struct Args {
    /// Stop after this many checks
    #[arg(long)]
    times: Option<u32>,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    let root = global.root.canonicalize()?;
    let (sender, saves) = mpsc::channel();
    let base = root.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if let Some(seen) = event.ok().and_then(|event| seen(&base, &event)) {
            let _ = sender.send(seen);
        }
    })?;
    watcher.watch(&root, RecursiveMode::NonRecursive)?;
    folders(&mut watcher, &root)?;
    screen(global)?;
    let mut checks = 1;
    while args.times.is_none_or(|times| checks < times) {
        let Ok(first) = saves.recv() else { break };
        let mut made = first == Seen::Folder;
        while let Ok(next) = saves.recv_timeout(SETTLE) {
            made |= next == Seen::Folder;
        }
        // What was saved in a new folder before it was watched is read by the check that follows. A folder may go meanwhile; the next
        // event tells of what is there then.
        let watched = if made { folders(&mut watcher, &root) } else { Ok(()) };
        if let Err(trouble) = watched.map_err(Trouble::from).and_then(|()| screen(global)) {
            show(&Said::trouble(&trouble).human)?;
        }
        checks += 1;
    }
    Ok(Said::new(vec![Exit::Clean], String::new(), json!({ "checks": checks })))
}

/// What an event is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// A file of the config.
    File,
    /// A folder that may hold some; it may be new.
    Folder,
}

fn seen(root: &Path, event: &notify::Event) -> Option<Seen> {
    if event.kind.is_access() {
        return None;
    }
    let names = event.paths.iter().filter_map(|path| path.strip_prefix(root).ok());
    let names: Vec<String> = names.map(|path| path.to_string_lossy().into_owned()).collect();
    if names.iter().any(|path| files::is_folder(root, path)) {
        return Some(Seen::Folder);
    }
    names.iter().any(|path| files::is_config(path)).then_some(Seen::File)
}

/// Watches the folders of the config that are there.
fn folders(watcher: &mut impl notify::Watcher, root: &Path) -> notify::Result<()> {
    let there = files::FOLDERS.iter().map(|(folder, _)| root.join(folder)).filter(|folder| folder.is_dir());
    there.into_iter().try_for_each(|folder| watcher.watch(&folder, RecursiveMode::Recursive))
}

/// Clears the terminal and shows the problems as they are now.
fn screen(global: &Global) -> Result<(), Trouble> {
    let files = pipeline::files(global, None)?;
    let checked = pipeline::load(files);
    let mut text = String::new();
    if global.colored() {
        text.push_str("\u{1b}[2J\u{1b}[H");
    }
    if checked.diagnostics.is_empty() {
        text.push_str("The config repo is clean.\n");
    } else {
        text.push_str(&diagnostics::human(&checked.diagnostics, &checked.files, global.colored()));
    }
    show(&text)
}

fn show(text: &str) -> Result<(), Trouble> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}
