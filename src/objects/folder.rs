//! A folder of this machine, or one that is mounted: a file for each object.

#![expect(clippy::disallowed_methods, reason = "it is told which folder")]

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::world::{ErrorClass, ObjectStore, WorldError};

/// Objects below one folder.
pub struct Folder(PathBuf);

fn failed(operation: String, error: &std::io::Error) -> WorldError {
    let class = if error.kind() == ErrorKind::PermissionDenied { ErrorClass::Denied } else { ErrorClass::Transient };
    WorldError { class, operation, cause: error.kind().to_string() }
}

impl Folder {
    /// The objects below `folder`, which is made when something is put.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// False when it is there already. It has its name only when all of it is on the disk.
    fn write(path: &Path, bytes: &[u8]) -> std::io::Result<bool> {
        let folder = path.parent().unwrap_or(path);
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(path) {
            Ok(_) => {
                std::fs::File::open(folder)?.sync_all()?;
                Ok(true)
            }
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.error),
        }
    }
}

#[async_trait]
impl ObjectStore for Folder {
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<bool, WorldError> {
        Self::write(&self.0.join(name), &bytes).map_err(|error| failed(format!("keep object `{name}`"), &error))
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, WorldError> {
        let doing = || format!("read object `{name}`");
        match std::fs::read(self.0.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            // A folder that is not there, as when nothing is mounted, has lost nothing.
            Err(error) if error.kind() == ErrorKind::NotFound && self.0.is_dir() => Ok(None),
            Err(error) => Err(failed(doing(), &error)),
        }
    }
}
