//! Files read from packs against git itself, which wrote some of the packs and repacked all of them.

#![expect(clippy::disallowed_methods, reason = "tests damage packs, and have git repack them")]

use std::collections::BTreeMap;
use std::process::Command;

use git2::ObjectType;

use super::super::pack::Pack;
use super::super::scratch;
use super::super::tree::{by, with_files};
use super::*;

struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        Self(scratch::bare())
    }

    fn repo(&self) -> Repository {
        Repository::open(self.0.path()).unwrap()
    }

    fn packs(&self) -> Vec<PathBuf> {
        let all = fs::read_dir(self.0.path().join("objects/pack")).unwrap().map(|entry| entry.unwrap().path());
        all.filter(|path| path.extension().is_some_and(|ending| ending == "pack")).collect()
    }

    /// Bytes of `ids` by what is tested.
    fn read(&self, ids: &[Oid]) -> BTreeMap<Oid, Vec<u8>> {
        let repo = self.repo();
        let read = each(repo.path(), &Packs::open(&repo), ids, |bytes| (raw_id(Kind::Blob, bytes), bytes.to_vec())).unwrap();
        assert_eq!(read.len(), ids.len());
        ids.iter().zip(read).filter_map(|(id, bytes)| Some((*id, bytes?))).collect()
    }

    /// Whether a pack alone gives `id`, without libgit2.
    fn packed(&self, id: Oid) -> bool {
        let packs = Packs::open(&self.repo());
        packs.find(&id, 0).is_some_and(|place| Reader::new(&packs).named((Kind::Blob, id), place).is_some())
    }
}

/// Versions of a file of lines, of which each is a little other than the one before; each in a pack of its own.
fn versions(world: &World, count: u32) -> BTreeMap<Oid, Vec<u8>> {
    let line = |version: u32, line: u32| {
        let changed = if line % 97 == version % 97 { version } else { 0 };
        format!("{{\"resource\":\"{:08x}\",\"seen\":{changed}}}\n", line.wrapping_mul(2_654_435_761))
    };
    let text = |version: u32| (0..2_000).map(|at| line(version, at)).collect::<String>().into_bytes();
    let mut all = BTreeMap::new();
    for version in 0..count {
        let mut pack = Pack::default();
        for bytes in [text(version), version.to_string().into_bytes()] {
            all.insert(pack.add(Kind::Blob, &bytes).unwrap(), bytes);
        }
        pack.write(&world.0.path().join("objects/pack")).unwrap();
    }
    let odd = [Vec::new(), vec![7; 300_000], (0..100_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()];
    let mut pack = Pack::default();
    all.extend(odd.map(|bytes| (pack.add(Kind::Blob, &bytes).unwrap(), bytes)));
    pack.write(&world.0.path().join("objects/pack")).unwrap();
    all
}

/// Has git make one pack of everything, with differences, whatever is reachable.
fn repack(world: &World, ids: &BTreeMap<Oid, Vec<u8>>, options: &[&str]) {
    let old = world.packs();
    let mut git = Command::new("git");
    git.arg("--git-dir").arg(world.0.path()).args(["pack-objects", "-q", "--window=10", "--depth=50"]).args(options);
    let list = world.0.path().join("list");
    // The name is what git sorts by before it looks for what is alike.
    fs::write(&list, ids.keys().map(|id| format!("{id} a.jsonl\n")).collect::<String>()).unwrap();
    let status = git.arg(world.0.path().join("objects/pack/pack")).stdin(File::open(list).unwrap()).output().unwrap().status;
    assert!(status.success());
    for path in old {
        fs::remove_file(path.with_extension("idx")).unwrap();
        fs::remove_file(path).unwrap();
    }
    assert_eq!(world.packs().len(), 1);
}

#[test]
fn what_slm_packed_and_what_git_repacked_is_read_alike() {
    let world = World::new();
    let all = versions(&world, 60);
    let ids: Vec<Oid> = all.keys().copied().collect();
    assert_eq!(world.read(&ids), all);
    assert!(ids.iter().all(|id| world.packed(*id)));
    for options in [&["--delta-base-offset"][..], &[]] {
        repack(&world, &all, options);
        let size = world.packs()[0].metadata().unwrap().len();
        assert!(size < 600_000, "most of it is told as differences: {size} bytes");
        assert_eq!(world.read(&ids), all, "{options:?}");
        assert!(ids.iter().all(|id| world.packed(*id)), "{options:?}");
    }
}

#[test]
fn a_file_that_is_loose_or_in_an_alternate_is_read_too() {
    let (world, other) = (World::new(), World::new());
    let mut all = versions(&other, 2);
    fs::create_dir_all(world.0.path().join("objects/info")).unwrap();
    fs::write(world.0.path().join("objects/info/alternates"), format!("{}\n", other.0.path().join("objects").display())).unwrap();
    all.insert(world.repo().blob(b"loose").unwrap(), b"loose".to_vec());
    let ids: Vec<Oid> = all.keys().copied().collect();
    assert_eq!(world.read(&ids), all);
    let loose: Vec<&Oid> = ids.iter().filter(|id| !world.packed(**id)).collect();
    assert_eq!(loose, [&Oid::hash_object(ObjectType::Blob, b"loose").unwrap()]);
    let repo = world.repo();
    let packs = Packs::open(&repo);
    let gone = Oid::from_str("5b1e0fd1c0ffee00000000000000000000000001").unwrap();
    assert_eq!(Files::new(repo.path(), &packs).read(gone).unwrap_err().code(), git2::ErrorCode::NotFound);
    assert_eq!(world.read(&[gone]), BTreeMap::new());
}

#[test]
fn only_a_file_is_a_file() {
    let world = World::new();
    let mut pack = Pack::default();
    let (tree, file) = (pack.add(Kind::Tree, b"").unwrap(), pack.add(Kind::Blob, b"").unwrap());
    pack.write(&world.0.path().join("objects/pack")).unwrap();
    assert_eq!(world.read(&[tree]), BTreeMap::new());
    let repo = world.repo();
    let packs = Packs::open(&repo);
    let mut files = Files::new(repo.path(), &packs);
    assert!(files.folder(tree).unwrap().is_empty() && files.read(file).unwrap().is_empty());
    let errors = [files.read(tree), files.folder(file)].map(|read| read.unwrap_err().message().to_owned());
    assert_eq!(errors, [format!("`{tree}` is no file"), format!("`{file}` is no folder")]);
}

#[test]
fn folders_are_read_as_libgit2_reads_them_whole_and_as_differences() {
    let world = World::new();
    let mut all = BTreeMap::new();
    for version in 0..40_u8 {
        let mut pack = Pack::default();
        let files =
            (0..200_u8).map(|at| (format!("{at:03}"), Some(vec![at, if at % 37 == version % 37 { version } else { 0 }].into())));
        let id = with_files(&world.repo(), None, &files.collect(), &mut pack).unwrap();
        pack.write(&world.0.path().join("objects/pack")).unwrap();
        all.insert(id, Vec::new());
    }
    let read = |world: &World| -> Vec<Vec<u8>> {
        let repo = world.repo();
        let packs = Packs::open(&repo);
        let mut files = Files::new(repo.path(), &packs);
        let mut theirs = by(&repo);
        let both = all.keys().map(|id| (files.folder(*id).unwrap(), theirs(*id).unwrap()));
        both.map(|(ours, theirs)| {
            assert_eq!(ours, theirs);
            ours.to_vec()
        })
        .collect()
    };
    let whole = read(&world);
    assert_eq!(whole.len(), 40);
    repack(&world, &all, &["--delta-base-offset"]);
    assert!(world.packs()[0].metadata().unwrap().len() < 40_000, "most of it is told as differences");
    assert_eq!(read(&world), whole);
}

#[test]
fn bytes_that_are_not_what_the_name_says_are_not_told() {
    let world = World::new();
    let mut pack = Pack::default();
    let noise: Vec<u8> = (0..4_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    let ids = [pack.add(Kind::Blob, &noise).unwrap(), pack.add(Kind::Blob, b"a second one").unwrap()];
    pack.write(&world.0.path().join("objects/pack")).unwrap();
    let path = world.packs().remove(0);
    let whole = fs::read(&path).unwrap();
    let (mut damages, mut found) = (0, 0);
    for at in (12..whole.len() - 20).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::remove_file(&path).unwrap();
        fs::write(&path, damaged).unwrap();
        let read = world.read(&ids);
        // Of a stream there are bits that nobody looks at.
        (damages, found) = (damages + 1, found + usize::from(read.len() < 2));
        assert!(read.get(&ids[0]).is_none_or(|bytes| *bytes == noise), "byte {at}");
        assert!(read.get(&ids[1]).is_none_or(|bytes| bytes == b"a second one"), "byte {at}");
    }
    assert!(damages > 200 && found > damages - 3, "{found} of {damages}");
    fs::remove_file(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(world.read(&ids), BTreeMap::new());
}

#[test]
fn a_difference_is_followed_or_refused() {
    let base = b"0123456789";
    // 10 bytes become 7: "345" of it, then "abcd".
    let good = [10, 7, 0x91, 3, 3, 4, b'a', b'b', b'c', b'd'];
    assert_eq!(patched(base, &good).unwrap(), b"345abcd");
    let with = |at: usize, byte: u8| {
        let mut other = good;
        other[at] = byte;
        patched(base, &other)
    };
    let all = [with(0, 9), with(1, 8), with(1, 6), with(3, 8), with(4, 9), with(5, 0), with(5, 5)];
    assert_eq!(all, [const { None }; 7]);
    for end in 0..good.len() {
        assert_eq!(patched(base, &good[..end]), None, "cut after {end}");
    }
}

/// A pack of one object, and its index: `name` is a difference that changes nothing, told by name to `base`.
fn told_by_name(world: &World, name: Oid, base: Oid) {
    let crate::model::blob::Blob::Zlib { stream, length } = crate::model::blob::Blob::compressed(&[10, 10, 0x90, 10]) else {
        panic!("not compressed")
    };
    let mut pack = b"PACK\0\0\0\x02\0\0\0\x01".to_vec();
    pack.push(7 << 4 | u8::try_from(length).unwrap());
    pack.extend_from_slice(base.as_bytes());
    pack.extend_from_slice(&stream);
    let mut index = b"\xfftOc\0\0\0\x02".to_vec();
    (0..=255_u8).for_each(|byte| index.extend_from_slice(&u32::from(byte >= name.as_bytes()[0]).to_be_bytes()));
    index.extend_from_slice(name.as_bytes());
    index.extend_from_slice(&[0; 4]);
    index.extend_from_slice(&12_u32.to_be_bytes());
    index.extend_from_slice(&[0; 40]);
    let path = world.0.path().join(format!("objects/pack/pack-{name}.pack"));
    fs::write(&path, pack).unwrap();
    fs::write(path.with_extension("idx"), index).unwrap();
}

#[test]
fn a_file_that_is_told_as_a_difference_to_itself_is_not_looked_for_without_end() {
    let world = World::new();
    let name = Oid::from_str("5b1e0fd1c0ffee00000000000000000000000001").unwrap();
    told_by_name(&world, name, name);
    assert_eq!(world.read(&[name]), BTreeMap::new());
    let repo = world.repo();
    let error = Files::new(repo.path(), &Packs::open(&repo)).read(name).unwrap_err();
    assert_eq!(error.message(), format!("`{name}` is told as a difference to itself"));
}
