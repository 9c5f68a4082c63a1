//! `slm watch`: one screen of problems, checked again whenever a file is saved.

use std::io::Write as _;
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
        let touches = |event: &notify::Event| {
            let names = event.paths.iter().filter_map(|path| path.strip_prefix(&base).ok());
            !event.kind.is_access() && names.into_iter().any(|path| files::is_config(&path.to_string_lossy()))
        };
        if event.is_ok_and(|event| touches(&event)) {
            let _ = sender.send(());
        }
    })?;
    watcher.watch(&root, RecursiveMode::NonRecursive)?;
    for (folder, _) in files::FOLDERS {
        if root.join(folder).is_dir() {
            watcher.watch(&root.join(folder), RecursiveMode::Recursive)?;
        }
    }
    let mut checks = 0;
    loop {
        screen(global)?;
        checks += 1;
        if args.times.is_some_and(|times| checks >= times) || saves.recv().is_err() {
            return Ok(Said::new(vec![Exit::Clean], String::new(), json!({ "checks": checks })));
        }
        while saves.recv_timeout(SETTLE).is_ok() {}
    }
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
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}
