//! The sidecar `<path>.slm` of a rendered file: which version the file holds, which was loaded, and as what it was declared then.

#![expect(clippy::disallowed_methods, reason = "it stands beside a file of an application")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::{fs, io};

use sha2::{Digest as _, Sha256};

use super::file::RenderedFile;
use crate::model::catalog::FileConsumer;
use crate::model::id::VersionId;
use crate::transport::atomic;
use crate::world::ConsumerView;

impl RenderedFile {
    pub(super) fn sidecar(&self) -> PathBuf {
        let mut path = self.path.as_os_str().to_owned();
        path.push(".slm");
        PathBuf::from(path)
    }

    /// What it says, or nothing when there is no file, or one that was written before it was declared as it is now: it is written anew then,
    /// and loaded.
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
        let declared = text.lines().find_map(|line| line.strip_prefix("as "));
        let same = match declared {
            Some(declared) => declared == self.declared(),
            // By an older slm, which did not say as what. Of those the mode alone tells.
            None => fs::metadata(&self.path)?.permissions().mode() & 0o777 & !self.mode == 0,
        };
        if !same {
            return Ok(ConsumerView::default());
        }
        Ok(ConsumerView { stored: line("stored"), running: line("running"), ..ConsumerView::default() })
    }

    /// A digest of what the config repo says of how the file is written; nothing of a value is in it.
    fn declared(&self) -> String {
        let FileConsumer { template, owner, group, .. } = &self.config;
        let text = |text: &Option<String>| text.as_ref().map_or_else(String::new, |text| format!("{}:{text}", text.len()));
        let all = format!("{:o} {} {} {}", self.mode, text(owner), text(group), text(template));
        let digest = Sha256::digest(all.as_bytes());
        digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Has it say `view`.
    pub(super) fn note(&self, view: &ConsumerView) -> io::Result<()> {
        let line = |key: &str, id: &Option<VersionId>| id.as_ref().map_or_else(String::new, |id| format!("{key} {id}\n"));
        let text = line("stored", &view.stored) + &line("running", &view.running) + &format!("as {}\n", self.declared());
        atomic::replace(&self.sidecar(), text.as_bytes(), 0o644)
    }
}
