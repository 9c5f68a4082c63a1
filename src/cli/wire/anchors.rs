//! The places that are shown each checkpoint.

use std::path::Path;

use super::{Access, Reach};
use crate::anchors::git::Mirror;
use crate::anchors::rfc3161::Authority;
use crate::anchors::s3::Bucket;
use crate::model::catalog::{Catalog, SourceKind};
use crate::model::locker;
use crate::record::timestamp;
use crate::transport::aws::Sessions;
use crate::world::{Anchor, ErrorClass, WorldError};

/// The anchor that `settings` name, to be written when `write` says so, otherwise to be asked what it keeps.
pub async fn anchor(
    catalog: &Catalog,
    root: &Path,
    sessions: &Sessions,
    settings: &locker::Anchor,
    write: bool,
) -> Result<Box<dyn Anchor>, WorldError> {
    let locker::Anchor { id, git, s3, rfc3161 } = settings;
    let failed = |cause: String| WorldError { class: ErrorClass::Permanent, operation: format!("open the anchor `{id}`"), cause };
    if let Some(git) = git {
        return Ok(Box::new(Mirror::open(root, id, &catalog.settings.locker.branch, &git.remote)?));
    }
    if let Some(s3) = s3 {
        let access = if write { Access::Apply("slm-record") } else { Access::Read };
        let reach = Reach { catalog, root, access, sessions };
        let config = super::session(&reach, &s3.source, &s3.region).await?;
        let Some(SourceKind::Aws(account)) = catalog.settings.sources.get(&s3.source) else {
            return Err(failed(format!("source `{}` is not an AWS account", s3.source)));
        };
        return Ok(Box::new(Bucket::new(id, s3.clone(), &catalog.settings.locker.log.origin, account, &config)));
    }
    let Some(authority) = rfc3161 else { return Err(failed("it is of no kind".to_owned())) };
    let pem = std::fs::read(root.join(&authority.ca));
    let pem = pem.map_err(|cause| failed(format!("`{}` cannot be read: {}", authority.ca, cause.kind())))?;
    let roots = timestamp::authorities(&pem);
    if roots.is_empty() {
        return Err(failed(format!("`{}` holds no certificates in PEM", authority.ca)));
    }
    Ok(Box::new(Authority::new(id, &authority.url, roots)))
}
