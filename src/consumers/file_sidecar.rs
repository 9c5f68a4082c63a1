//! The sidecar `<path>.slm` of a rendered file: which version the file holds, and which was loaded.

#![expect(clippy::disallowed_methods, reason = "it stands beside a file of an application")]

use std::path::PathBuf;
use std::{fs, io};

use super::file::RenderedFile;
use crate::model::id::VersionId;
use crate::transport::atomic;
use crate::world::ConsumerView;

impl RenderedFile {
    pub(super) fn sidecar(&self) -> PathBuf {
        let mut path = self.path.as_os_str().to_owned();
        path.push(".slm");
        PathBuf::from(path)
    }

    /// What it says, or nothing when there is no file.
    pub(super) fn view(&self) -> io::Result<ConsumerView> {
        if !self.path.try_exists()? {
            return Ok(ConsumerView::default());
        }
        let text = match fs::read_to_string(self.sidecar()) {
            Ok(text) => text,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(ConsumerView::default()),
            Err(cause) => return Err(cause),
        };
        let line = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')).map(VersionId::from);
        Ok(ConsumerView { stored: line("stored"), running: line("running"), ..ConsumerView::default() })
    }

    /// Has it say `view`.
    pub(super) fn note(&self, view: &ConsumerView) -> io::Result<()> {
        let line = |key: &str, id: &Option<VersionId>| id.as_ref().map_or_else(String::new, |id| format!("{key} {id}\n"));
        let text = line("stored", &view.stored) + &line("running", &view.running);
        atomic::replace(&self.sidecar(), text.as_bytes(), 0o644)
    }
}
