//! Files that are either the old ones or the new ones, never something between, with nothing half-written left behind.
//!
//! A writer holds a lock on its temporary file from its first byte until it is renamed. A lock ends with its process, so a temporary
//! file that can be locked belongs to a writer that was killed, and the next writer in that folder removes it.

use std::fs::{File, Metadata, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::{fs, os};

use tempfile::NamedTempFile;

use crate::world::{ErrorClass, WorldError};

/// How the name of a temporary file begins. It is in no name a person would choose.
const PREFIX: &str = ".slm-partial-";
/// Letters and digits that follow.
const RANDOM: usize = 12;
/// Write permission of anybody but the owner.
const SHARED: u32 = 0o022;

/// Replaces `path` by `content`: a temporary file beside it, its owner's alone, is written, gets `mode` and the owner of the file it
/// replaces, is flushed, then renamed. What killed writers left in the folder is removed.
///
/// # Errors
/// Of the file system, or when the owner cannot be kept; `path` is then untouched, or already replaced when only flushing its folder
/// failed.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    replace_owned(path, content, mode, Owner::default())
}

/// What a failure of the file system during `operation` means to who depends on the file.
#[must_use]
pub fn failure(operation: &str, cause: &io::Error) -> WorldError {
    let class = if cause.kind() == io::ErrorKind::PermissionDenied { ErrorClass::Denied } else { ErrorClass::Transient };
    WorldError { class, operation: operation.to_owned(), cause: cause.to_string() }
}

/// User and group of a file; the ones it has where none is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// Numeric id of the user.
    pub user: Option<u32>,
    /// Numeric id of the group.
    pub group: Option<u32>,
}

impl Owner {
    /// The user and group of these names, or of the numbers they are.
    ///
    /// # Errors
    /// Which of them this machine does not know.
    pub fn named(user: Option<&str>, group: Option<&str>) -> Result<Self, String> {
        let id = |name: Option<&str>, list: &str| name.map(|name| number(name, list)).transpose();
        Ok(Self { user: id(user, "/etc/passwd")?, group: id(group, "/etc/group")? })
    }
}

/// The number of the user or group `name`: itself, or the third field of its line in `list`.
fn number(name: &str, list: &str) -> Result<u32, String> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let text = fs::read_to_string(list).map_err(|cause| format!("{list}: {cause}"))?;
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = lines.find(|fields| fields.first() == Some(&name)).and_then(|fields| fields.get(2)?.parse().ok());
    found.ok_or_else(|| format!("`{name}` is not in {list}"))
}

/// As [`replace`], with `owner` set before anybody else may read it.
///
/// # Errors
/// As [`replace`], and when the owner cannot be given.
pub fn replace_owned(path: &Path, content: &[u8], mode: u32, owner: Owner) -> io::Result<()> {
    written(path, content, mode, owner)?.persist(path).map_err(|error| error.error)?;
    flush(path)
}

/// As [`replace`], for a file that must not be there yet.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when it is, or of the file system.
pub fn create(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    written(path, content, mode, Owner::default())?.persist_noclobber(path).map_err(|error| error.error)?;
    flush(path)
}

/// A temporary file with everything `path` shall have.
fn written(path: &Path, content: &[u8], mode: u32, owner: Owner) -> io::Result<NamedTempFile> {
    let mut file = begin(folder(path))?;
    let ours = file.as_file().metadata()?;
    let old = fs::symlink_metadata(path).ok().filter(Metadata::is_file);
    sweep(folder(path), &[ours.uid(), old.as_ref().map_or(ours.uid(), Metadata::uid)]);
    file.write_all(content)?;
    if let Some(old) = old {
        keep_owner(&old, &ours, folder(path), file.as_file())?;
    }
    if owner != Owner::default() {
        os::unix::fs::fchown(file.as_file(), owner.user, owner.group)?;
    }
    // The process mask does not apply to this call, so the mode is exact; it comes last, so that nobody reads a half.
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// A new temporary file in `folder`, locked before anybody may take it for a dead writer's.
fn begin(folder: &Path) -> io::Result<NamedTempFile> {
    loop {
        let mut builder = tempfile::Builder::new();
        let file = builder.prefix(PREFIX).rand_bytes(RANDOM).permissions(Permissions::from_mode(0o600)).tempfile_in(folder)?;
        let swept = match file.as_file().try_lock() {
            Err(TryLockError::WouldBlock) => true,
            // Where files cannot be locked nobody sweeps either.
            Ok(()) | Err(TryLockError::Error(_)) => file.as_file().metadata()?.nlink() == 0,
        };
        if !swept {
            return Ok(file);
        }
    }
}

/// Gives `file` the owner and group of the `old` one, unless others may write in `folder` and could have planted that one.
fn keep_owner(old: &Metadata, ours: &Metadata, folder: &Path, file: &File) -> io::Result<()> {
    let uid = (old.uid() != ours.uid()).then(|| old.uid());
    let gid = (old.gid() != ours.gid()).then(|| old.gid());
    if (uid.is_none() && gid.is_none()) || fs::metadata(folder)?.mode() & SHARED != 0 {
        return Ok(());
    }
    os::unix::fs::fchown(file, uid, gid)
}

/// Removes the temporary files of killed writers. A folder that cannot be listed, or a file that cannot be removed, stays as it is.
fn sweep(folder: &Path, owners: &[u32]) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(is_ours) {
            let _ = remove_if_dead(&entry.path(), owners);
        }
    }
}

fn is_ours(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|rest| rest.len() == RANDOM && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Removes the regular file at `path` when one of `owners` has it, it has no second name, and nobody is writing it.
fn remove_if_dead(path: &Path, owners: &[u32]) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    if !found.is_file() || found.nlink() != 1 || !owners.contains(&found.uid()) {
        return Ok(());
    }
    let file = File::open(path)?;
    let same = |other: Metadata| (other.dev(), other.ino()) == (found.dev(), found.ino());
    // Compared again under the lock: its writer may have renamed it meanwhile.
    if same(file.metadata()?) && file.try_lock().is_ok() && same(fs::symlink_metadata(path)?) {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// Makes the new name in the folder of `path` last.
fn flush(path: &Path) -> io::Result<()> {
    File::open(folder(path))?.sync_all()
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEAD: &str = ".slm-partial-abcdefGHI012";

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn owners_are_names_or_numbers() {
        let owner = |user, group| Owner { user, group };
        assert_eq!(Owner::named(Some("root"), Some("77")), Ok(owner(Some(0), Some(77))));
        assert_eq!(Owner::named(None, None), Ok(Owner::default()));
        assert!(Owner::named(Some("no-such-user"), None).unwrap_err().contains("`no-such-user`"));
    }

    #[test]
    fn what_a_killed_writer_left_is_removed_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(DEAD), "half").unwrap();
        replace(&folder.path().join("a"), b"new", 0o600).unwrap();
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn what_is_being_written_or_is_not_ours_stays() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let alive = begin(folder.path()).unwrap();
        let others = [".slm-partial-short", ".slm-partial-abcdefGHI01_", ".slm-abcdef", "slm-partial-abcdefGHI012", "keep"];
        others.iter().for_each(|name| fs::write(at(name), "x").unwrap());
        os::unix::fs::symlink(at("keep"), at(".slm-partial-symlinksymli")).unwrap();
        fs::hard_link(at("keep"), at(".slm-partial-hardlinkhard")).unwrap();
        fs::create_dir(at(".slm-partial-folderfolder")).unwrap();
        let before = names(folder.path());
        replace(&at("keep"), b"y", 0o600).unwrap();
        assert_eq!(names(folder.path()), before);
        drop(alive);
        assert_eq!(names(folder.path()).len(), before.len() - 1);
        // The first name is gone, so the second is no longer one of two, and nobody writes it.
        replace(&at("keep"), b"z", 0o600).unwrap();
        assert_eq!(names(folder.path()).len(), before.len() - 2);
    }

    #[test]
    fn a_file_of_another_user_keeps_its_owner_unless_it_may_be_planted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "old").unwrap();
        let ours = fs::metadata(&path).unwrap().uid();
        if os::unix::fs::chown(&path, Some(54_321), Some(54_322)).is_err() {
            return; // only root can give a file away
        }
        fs::write(folder.path().join(DEAD), "half").unwrap();
        os::unix::fs::chown(folder.path().join(DEAD), Some(54_321), None).unwrap();
        replace(&path, b"new", 0o640).unwrap();
        let new = fs::metadata(&path).unwrap();
        assert_eq!((new.uid(), new.gid(), new.mode() & 0o777, fs::read(&path).unwrap()), (54_321, 54_322, 0o640, b"new".to_vec()));
        assert_eq!(names(folder.path()), ["a"]);
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        replace(&path, b"ours", 0o640).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().uid(), ours);
    }

    #[test]
    fn an_owner_that_is_given_is_set_and_one_that_may_not_be_given_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "old").unwrap();
        let ours = fs::metadata(&path).unwrap().gid();
        let owner = Owner { user: None, group: Some(ours.wrapping_add(4_321)) };
        match replace_owned(&path, b"new", 0o640, owner) {
            Ok(()) => assert_eq!(fs::metadata(&path).unwrap().gid(), ours.wrapping_add(4_321)),
            Err(_) => assert_eq!(fs::read(&path).unwrap(), b"old"),
        }
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn a_file_that_is_there_is_not_created() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        create(&path, b"1", 0o600).unwrap();
        assert_eq!(create(&path, b"2", 0o600).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!((names(folder.path()), fs::read(&path).unwrap()), (vec!["a".to_owned()], b"1".to_vec()));
    }

    #[test]
    fn writers_at_once_do_not_sweep_each_other() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for n in 0..4 {
                let path = folder.path().join(format!("f{n}"));
                scope.spawn(move || (0..100).for_each(|_| replace(&path, b"x", 0o600).unwrap()));
            }
        });
        assert_eq!(names(folder.path()), ["f0", "f1", "f2", "f3"]);
    }
}
