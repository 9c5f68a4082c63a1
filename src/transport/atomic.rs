//! Files that are either the old ones or the new ones, never something between.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Replaces `path` by `content`: a temporary file beside it gets its mode before its content, is flushed, then renamed.
///
/// # Errors
/// Of the file system; `path` is then untouched, or already replaced when only flushing its folder failed.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new().prefix(".slm-").permissions(Permissions::from_mode(0o600)).tempfile_in(folder)?;
    // The process mask does not apply to this call, so the mode is exact.
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}
