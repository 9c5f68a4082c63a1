//! The place for what is too long for git.

use std::path::{Path, PathBuf};

use super::{Access, Reach};
use crate::model::catalog::SourceKind;
use crate::model::locker::ObjectsSettings;
use crate::objects::folder::Folder;
use crate::objects::s3::Bucket;
use crate::world::{ErrorClass, ObjectStore, WorldError};

/// The object store that `settings` name, opened as `reach` says.
pub async fn objects(reach: &Reach<'_>, settings: &ObjectsSettings) -> Result<Box<dyn ObjectStore>, WorldError> {
    if let Some(folder) = &settings.folder {
        return Ok(folder_of(&reach.root.join(folder)));
    }
    let failed = |cause: String| WorldError { class: ErrorClass::Permanent, operation: "open the object store".to_owned(), cause };
    let s3 = settings.s3.as_ref().ok_or_else(|| failed("it is of no kind".to_owned()))?;
    let config = super::session(reach, &s3.source, &s3.region).await?;
    match reach.catalog.settings.sources.get(&s3.source) {
        Some(SourceKind::Aws(account)) => Ok(Box::new(Bucket::new(s3.clone(), account, &config))),
        _ => Err(failed(format!("source `{}` is not an AWS account", s3.source))),
    }
}

/// The objects below `folder`.
pub fn folder_of(folder: &Path) -> Box<dyn ObjectStore> {
    Box::new(Folder::new(PathBuf::from(folder)))
}

impl<'a> Reach<'a> {
    /// As the run that records.
    pub fn to_record(session: &'a crate::cli::pipeline::Session, root: &'a Path) -> Self {
        let access = Access::Apply("slm-record");
        Self { catalog: &session.catalog, root, access, sessions: &session.sessions }
    }

    /// As one that only looks.
    pub fn to_look(session: &'a crate::cli::pipeline::Session, root: &'a Path) -> Self {
        Self { catalog: &session.catalog, root, access: Access::Read, sessions: &session.sessions }
    }

    /// Whether it only looks.
    pub(super) fn looks(&self) -> bool {
        matches!(self.access, Access::Read)
    }
}
