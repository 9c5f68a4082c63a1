//! Whether git shows the objects that are checked: each name stands for the same bytes wherever it is, and nothing is shown in its place.
//!
//! A fetch writes no object under a name that is not its own, but a clone that is handed over as a folder may hold any. Where a name is in
//! two packs, `slm verify` and git may each take another one.

#![expect(clippy::disallowed_methods, reason = "packs and loose objects are files")]

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use flate2::read::ZlibDecoder;
use git2::{ObjectType, Oid, Repository};

use super::caches;
use super::git::failed;
use super::packs::{Packs, Place, on_every_core};
use crate::record::verify::Finding;
use crate::world::{ErrorClass, WorldError};

const OPERATION: &str = "read the objects of git";
/// A loose object beyond this is no part of evidence, and its length asks for no memory.
const LARGEST: u64 = 1 << 28;
/// Copies that one core reads before it asks for more.
const TOGETHER: usize = 512;

/// What makes git show something else than the commits `line` of `branch`, which are checked; `None` when nothing does.
///
/// # Errors
/// When the repository cannot be read.
pub(super) fn finding(repo: &Repository, packs: &Packs, branch: &str, line: &[Oid]) -> Result<Option<Finding>, WorldError> {
    let replaced = replaced(repo).or_else(|| called_alike(repo, branch)).or_else(|| caches::wrong(repo, line));
    if let Some(what) = replaced {
        return Ok(Some(Finding::of_all("slm::evidence-replaced", what)));
    }
    let of = |id: Oid| {
        let what = format!("`{id}` is in the repository more than once, and one of them is not what its name says");
        Finding::of_all("slm::evidence-damaged", what)
    };
    let copies = packs.twice();
    let parts: Vec<_> = copies.chunks(TOGETHER).collect();
    let wrong = on_every_core(repo.path(), packs, &parts, |files, part| {
        // Git may pack everything anew meanwhile: what is gone by then is shown by nobody.
        let mut other = |id: Oid, place: Place| !files.is_named(id, place) && packs.is_there(place);
        Ok(part.iter().copied().find(|(id, place)| other(*id, *place)).map(|(id, _)| id))
    })?;
    if let Some(id) = wrong.into_iter().flatten().next() {
        return Ok(Some(of(id)));
    }
    Ok(loose(repo, packs)?.map(of))
}

/// Objects or parents that git takes for others.
fn replaced(repo: &Repository) -> Option<String> {
    let names = repo.references_glob("refs/replace/*").ok()?;
    if let Some(name) = names.filter_map(|found| found.ok()?.name().map(str::to_owned).ok()).next() {
        let id = name.trim_start_matches("refs/replace/");
        return Some(format!("git shows another object in the place of `{id}` (`{name}`); `git replace -d {id}` ends that"));
    }
    let grafts = repo.commondir().join("info/grafts");
    let set = fs::read_to_string(&grafts).is_ok_and(|text| !text.trim().is_empty());
    set.then(|| "git shows commits with other parents than they have (`info/grafts`); without that file it does not".to_owned())
}

/// What git takes the name of the branch for before the branch, here or at `origin`: a tag, and whatever else is called alike.
fn called_alike(repo: &Repository, branch: &str) -> Option<String> {
    let origin = format!("origin/{branch}");
    let is_here = repo.find_reference(&format!("refs/heads/{branch}")).is_ok();
    for (name, last) in [(branch, if is_here { None } else { Some("remotes/") }), (&origin, Some("heads/"))] {
        let files = [repo.path(), repo.commondir()].map(|folder| folder.join(name));
        if let Some(path) = files.iter().find(|path| fs::read_to_string(path).is_ok_and(|text| is_ref(text.trim()))) {
            return Some(format!("git takes `{name}` for what is in `{}`; without that file it does not", path.display()));
        }
        let mut refs = ["", "tags/"].into_iter().chain(last).map(|folder| format!("refs/{folder}{name}"));
        if let Some(other) = refs.find(|other| repo.find_reference(other).is_ok()) {
            return Some(format!(
                "git takes `{name}` for `{other}`, and not for the branch; `git update-ref -d {other}` ends that"
            ));
        }
    }
    None
}

/// Whether git reads `text` as what a ref is.
fn is_ref(text: &str) -> bool {
    text.starts_with("ref:") || (text.len() == 40 && Oid::from_str(text).is_ok())
}

/// The first loose object with the name of one in a pack that is not what it says.
fn loose(repo: &Repository, packs: &Packs) -> Result<Option<Oid>, WorldError> {
    let unread = |error: std::io::Error| failed(ErrorClass::Permanent, OPERATION, error);
    let folders = caches::folders(repo);
    let places = folders.iter().flat_map(|folder| (0..=255_u8).map(move |first| (folder, format!("{first:02x}"))));
    for (folder, first) in places {
        let Ok(names) = fs::read_dir(folder.join(&first)) else { continue };
        for name in names {
            let path = name.map_err(unread)?.path();
            let rest = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Ok(id) = Oid::from_str(&format!("{first}{rest}")) else { continue };
            if rest.len() == 38 && packs.find(&id, 0).is_some() && !is_named(&path, id) && path.exists() {
                return Ok(Some(id));
            }
        }
    }
    Ok(None)
}

/// Whether the loose object at `path` is what `id` says.
fn is_named(path: &Path, id: Oid) -> bool {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| ZlibDecoder::new(file).take(LARGEST).read_to_end(&mut bytes));
    let Some(at) = bytes.iter().position(|byte| *byte == 0).filter(|_| read.is_ok()) else { return false };
    let kind = match bytes.split(|byte| *byte == b' ').next() {
        Some(b"blob") => ObjectType::Blob,
        Some(b"tree") => ObjectType::Tree,
        Some(b"commit") => ObjectType::Commit,
        Some(b"tag") => ObjectType::Tag,
        _ => return false,
    };
    let head = format!("{kind} {}", bytes.len() - at - 1);
    bytes.get(..at) == Some(head.as_bytes()) && Oid::hash_object(kind, &bytes[at + 1..]).is_ok_and(|named| named == id)
}

/// The name that an object of a pack has by its bytes; none where they are made to have that of others, for which libgit2 looks.
pub(super) fn name_of(kind: u8, bytes: &[u8]) -> Option<Oid> {
    match kind {
        1 => Oid::hash_object(ObjectType::Commit, bytes).ok(),
        2 => Oid::hash_object(ObjectType::Tree, bytes).ok(),
        3 => Oid::hash_object(ObjectType::Blob, bytes).ok(),
        4 => Oid::hash_object(ObjectType::Tag, bytes).ok(),
        _ => None,
    }
}

/// Every place of each name that has more than one.
pub(super) type Copies = Vec<(Oid, Place)>;

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::pack::{Kind, Pack};
    use super::*;

    fn git(folder: &Path, arguments: &[&str]) -> String {
        let out = Command::new("git").arg("--git-dir").arg(folder).args(arguments).output().unwrap();
        assert!(out.status.success(), "{out:?}");
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    fn found(folder: &Path) -> Option<String> {
        let repo = Repository::open(folder).unwrap();
        finding(&repo, &Packs::open(&repo), "slm/evidence", &[])
            .unwrap()
            .map(|finding| format!("{}: {}", finding.code, finding.what))
    }

    /// A repository with packs of `packs`, each of files.
    fn repository(packs: &[&[&str]]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        Repository::init_bare(folder.path()).unwrap();
        for files in packs {
            let mut pack = Pack::default();
            for text in *files {
                pack.add(Kind::Blob, text.as_bytes()).unwrap();
            }
            pack.write(&folder.path().join("objects/pack")).unwrap();
        }
        folder
    }

    /// Lets the index of the pack in which `from` is call it `to`; both names begin alike, so that it stays in order.
    fn renamed(folder: &Path, from: Oid, to: Oid) {
        for entry in fs::read_dir(folder.join("objects/pack")).unwrap() {
            let path = entry.unwrap().path();
            let mut bytes = fs::read(&path).unwrap();
            let Some(at) = bytes.windows(20).position(|part| part == from.as_bytes()) else { continue };
            bytes[at..at + 20].copy_from_slice(to.as_bytes());
            fs::remove_file(&path).unwrap();
            fs::write(&path, bytes).unwrap();
        }
    }

    #[test]
    fn one_object_in_two_packs_is_no_finding() {
        let folder = repository(&[&["one", "two"], &["two", "three", "four"], &["two"]]);
        std::fs::write(folder.path().join("text"), "two").unwrap();
        git(folder.path(), &["hash-object", "-w", folder.path().join("text").to_str().unwrap()]);
        let repo = Repository::open(folder.path()).unwrap();
        let copies = Packs::open(&repo).twice();
        let two = Oid::hash_object(ObjectType::Blob, b"two").unwrap();
        assert_eq!(copies.iter().map(|(id, (pack, _))| (*id, *pack)).collect::<Vec<_>>(), [(two, 0), (two, 1), (two, 2)]);
        assert_eq!(found(folder.path()), None);
    }

    #[test]
    fn a_name_in_two_packs_with_other_bytes_is_found() {
        let id = |text: &str| Oid::hash_object(ObjectType::Blob, text.as_bytes()).unwrap();
        let two = id("two");
        // An index counts names by their first byte.
        let text = (0..).map(|at| format!("not two {at}")).find(|text| id(text).as_bytes()[0] == two.as_bytes()[0]).unwrap();
        let folder = repository(&[&["one", "two", "three"], &[&text]]);
        let other = id(&text);
        renamed(folder.path(), other, two);
        let said = format!(
            "slm::evidence-damaged: `{two}` is in the repository more than once, and one of them is not what its name says"
        );
        assert_eq!(found(folder.path()), Some(said));
    }

    #[test]
    fn a_loose_object_with_the_name_of_a_packed_one_and_other_bytes_is_found() {
        let folder = repository(&[&["one", "two", "three"]]);
        let text = folder.path().join("text");
        fs::write(&text, "not two").unwrap();
        let other = git(folder.path(), &["hash-object", "-w", text.to_str().unwrap()]);
        assert_eq!(found(folder.path()), None, "it has its own name");
        let two = Oid::hash_object(ObjectType::Blob, b"two").unwrap().to_string();
        let objects = folder.path().join("objects");
        fs::create_dir_all(objects.join(&two[..2])).unwrap();
        fs::rename(objects.join(&other[..2]).join(&other[2..]), objects.join(&two[..2]).join(&two[2..])).unwrap();
        let said = format!(
            "slm::evidence-damaged: `{two}` is in the repository more than once, and one of them is not what its name says"
        );
        assert_eq!(found(folder.path()), Some(said));
    }

    #[test]
    fn what_git_shows_in_the_place_of_another_object_is_found() {
        let folder = repository(&[&["one", "two"]]);
        let [one, two] = [&b"one"[..], b"two"].map(|text| Oid::hash_object(ObjectType::Blob, text).unwrap().to_string());
        git(folder.path(), &["replace", &one, &two]);
        assert_eq!(git(folder.path(), &["cat-file", "blob", &one]), "two");
        let said = format!(
            "slm::evidence-replaced: git shows another object in the place of `{one}` (`refs/replace/{one}`); `git replace -d {one}` ends that"
        );
        assert_eq!(found(folder.path()), Some(said));
        git(folder.path(), &["replace", "-d", &one]);
        fs::create_dir_all(folder.path().join("info")).unwrap();
        fs::write(folder.path().join("info/grafts"), format!("{one} {two}\n")).unwrap();
        let said = "slm::evidence-replaced: git shows commits with other parents than they have (`info/grafts`); without that file it does not";
        assert_eq!(found(folder.path()).as_deref(), Some(said));
    }

    #[test]
    fn whatever_git_takes_for_the_branch_before_the_branch_is_found() {
        let folder = repository(&[&["one", "two"]]);
        let one = Oid::hash_object(ObjectType::Blob, b"one").unwrap().to_string();
        let said = |name: &str, other: &str| {
            Some(format!(
                "slm::evidence-replaced: git takes `{name}` for `{other}`, and not for the branch; `git update-ref -d {other}` ends that"
            ))
        };
        for (name, other) in [
            ("slm/evidence", "refs/tags/slm/evidence"),
            ("slm/evidence", "refs/slm/evidence"),
            ("slm/evidence", "refs/remotes/slm/evidence"),
            ("origin/slm/evidence", "refs/tags/origin/slm/evidence"),
            ("origin/slm/evidence", "refs/heads/origin/slm/evidence"),
            ("origin/slm/evidence", "refs/origin/slm/evidence"),
        ] {
            let path = folder.path().join(other);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, format!("{one}\n")).unwrap();
            assert_eq!(git(folder.path(), &["-c", "core.warnAmbiguousRefs=false", "rev-parse", name]), one);
            assert_eq!(found(folder.path()), said(name, other));
            fs::remove_file(path).unwrap();
            assert_eq!(found(folder.path()), None);
        }
        fs::create_dir_all(folder.path().join("slm")).unwrap();
        fs::write(folder.path().join("slm/evidence"), format!("{one}\n")).unwrap();
        assert_eq!(git(folder.path(), &["-c", "core.warnAmbiguousRefs=false", "rev-parse", "slm/evidence"]), one);
        let said = found(folder.path()).unwrap();
        assert!(said.starts_with("slm::evidence-replaced: git takes `slm/evidence` for what is in `"), "{said}");
    }
}
