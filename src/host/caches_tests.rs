//! What git made to find objects faster, as it made it and as somebody changed it.

use std::process::Command;

use super::super::packs::Packs;
use super::super::{scratch, twice};
use super::*;

struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        Self(scratch::bare())
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.arg("--git-dir").arg(self.0.path()).args(["-c", "user.name=a", "-c", "user.email=a@example.org"]).args(arguments);
        for person in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{person}_DATE"), "@1795000000 +0000");
        }
        let out = command.output().unwrap();
        assert!(out.status.success(), "{out:?}");
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join("objects").join(below)
    }

    fn blob(&self, text: &str) -> String {
        fs::write(self.0.path().join("text"), text).unwrap();
        self.git(&["hash-object", "-w", self.0.path().join("text").to_str().unwrap()])
    }

    /// Three commits, each in a pack of its own; the oldest first.
    fn with_commits() -> (Self, Vec<Oid>) {
        let world = Self::new();
        let mut line: Vec<Oid> = Vec::new();
        for number in 0..3 {
            let blob = world.blob(&number.to_string());
            let index = world.0.path().join("index");
            drop(fs::remove_file(&index));
            let add = ["update-index", "--add", "--cacheinfo", &format!("100644,{blob},file")];
            world.git(&add);
            let tree = world.git(&["write-tree"]);
            let parent = line.last().map(Oid::to_string);
            let mut commit = vec!["commit-tree", &tree, "-m", "run"];
            commit.extend(parent.iter().flat_map(|parent| ["-p", parent.as_str()]));
            line.push(Oid::from_str(&world.git(&commit)).unwrap());
            world.git(&["update-ref", "refs/heads/slm/evidence", &line[number].to_string()]);
            world.git(&["repack", "-q", "-d"]);
        }
        (world, line)
    }

    /// What git says that the newest commit changes.
    fn newest(&self) -> String {
        self.git(&["log", "-1", "-p", "--format=", "refs/heads/slm/evidence"])
    }

    fn found(&self, line: &[Oid]) -> Option<String> {
        let repo = Repository::open(self.0.path()).unwrap();
        let found = twice::finding(&repo, &Packs::open(&repo), "slm/evidence", line).unwrap();
        found.map(|finding| format!("{}: {}", finding.code, finding.what.replace(&self.0.path().display().to_string(), "")))
    }

    /// Has the file below `objects` say `to` where it says `from`.
    fn says(&self, below: &str, from: &[u8], to: &[u8]) {
        let mut bytes = fs::read(self.path(below)).unwrap();
        let at = bytes.windows(from.len()).position(|part| part == from).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to);
        fs::remove_file(self.path(below)).unwrap();
        fs::write(self.path(below), bytes).unwrap();
    }
}

#[test]
fn what_git_keeps_to_be_faster_is_no_finding_while_it_is_as_git_made_it() {
    let (world, line) = World::with_commits();
    for cache in [
        &["multi-pack-index", "write"][..],
        &["commit-graph", "write", "--reachable"],
        &["commit-graph", "write", "--reachable", "--split=no-merge"],
    ] {
        world.git(cache);
        assert_eq!(world.found(&line), None, "{cache:?}");
    }
    let repo = Repository::open(world.0.path()).unwrap();
    assert_eq!(notes(&repo), []);
    drop(fs::remove_file(world.path("info/commit-graph")));
    world.git(&["commit-graph", "write", "--reachable", "--changed-paths"]);
    assert_eq!(world.found(&line), None);
    let said = notes(&repo);
    assert!(said.len() == 1 && said[0].code == "slm::evidence-unread-filter", "{said:?}");
}

#[test]
fn a_commit_graph_that_says_something_else_of_a_commit_is_found() {
    let (world, line) = World::with_commits();
    world.git(&["commit-graph", "write", "--reachable"]);
    let repo = Repository::open(world.0.path()).unwrap();
    let tree = |at: usize| repo.find_commit(line[at]).unwrap().tree_id();
    world.says("info/commit-graph", tree(2).as_bytes(), tree(0).as_bytes());
    assert!(world.newest().ends_with("-1\n\\ No newline at end of file\n+0\n\\ No newline at end of file"), "git goes by it");
    let said = format!(
        "slm::evidence-replaced: the graph of commits in `/objects/info` says something else of `{}` than that commit; \
         `git commit-graph write --reachable` makes it anew",
        line[2]
    );
    assert_eq!(world.found(&line), Some(said));
    fs::remove_file(world.path("info/commit-graph")).unwrap();
    assert_eq!(world.found(&line), None);
    // Of parts, and one that nobody can read.
    world.git(&["commit-graph", "write", "--reachable", "--split"]);
    let chain = fs::read_to_string(world.path("info/commit-graphs/commit-graph-chain")).unwrap();
    let part = format!("info/commit-graphs/graph-{}.graph", chain.trim());
    world.says(&part, tree(1).as_bytes(), tree(0).as_bytes());
    assert!(world.found(&line).unwrap().contains(&format!("says something else of `{}`", line[1])));
    world.says(&part, b"CGPH\x01\x01", b"CGPH\x02\x01");
    assert!(world.found(&line).unwrap().contains("is not as git writes it"));
}

#[test]
fn an_index_over_all_packs_that_places_an_object_elsewhere_is_found() {
    let (world, line) = World::with_commits();
    world.git(&["multi-pack-index", "write"]);
    let repo = Repository::open(world.0.path()).unwrap();
    let blob = |at: usize| repo.find_commit(line[at]).unwrap().tree().unwrap().get_name("file").unwrap().id();
    // It has the names in order, and the place of each in the same order.
    let file = fs::read(world.path("pack/multi-pack-index")).unwrap();
    let chunks = Chunks::of(&file, 12).unwrap();
    let place = |id: Oid| {
        let at = chunks.names().unwrap().iter().position(|name| name == id.as_bytes()).unwrap();
        chunks.get(*b"OOFF").unwrap().as_chunks::<8>().0[at]
    };
    world.says("pack/multi-pack-index", &place(blob(2)), &place(blob(0)));
    let said = format!(
        "slm::evidence-replaced: `/objects/pack/multi-pack-index` says that `{}` is elsewhere than its pack does; \
         `git multi-pack-index write` makes it anew",
        blob(2)
    );
    assert_eq!(world.found(&line), Some(said));
    // Without the index of its own a pack is read all the same.
    fs::write(world.path("pack/multi-pack-index"), &file).unwrap();
    let packs: Vec<PathBuf> = fs::read_dir(world.path("pack")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let index = packs.iter().find(|path| path.extension().is_some_and(|ending| ending == "idx")).unwrap();
    fs::remove_file(index).unwrap();
    assert!(world.found(&line).unwrap().contains("is elsewhere than its pack does"));
    fs::create_dir_all(world.path("pack/multi-pack-index.d")).unwrap();
    fs::write(world.path("pack/multi-pack-index.d/multi-pack-index-chain"), "x\n").unwrap();
    assert!(world.found(&line).unwrap().contains("is compared with nothing, and git goes by it"));
}

#[test]
fn a_pack_with_an_index_of_version_1_is_compared_like_any_other() {
    let (world, line) = World::with_commits();
    let packs: Vec<PathBuf> = fs::read_dir(world.path("pack")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let pack = packs.iter().find(|path| path.extension().is_some_and(|ending| ending == "pack")).unwrap();
    let older = pack.with_extension("idx");
    let newer = fs::read(&older).unwrap();
    fs::remove_file(&older).unwrap();
    world.git(&["index-pack", "--index-version=1", pack.to_str().unwrap()]);
    let bytes = fs::read(&older).unwrap();
    assert!(!bytes.starts_with(b"\xfftOc"), "git wrote version 1");
    let [one, two] = [index(bytes.clone()), index(newer)].map(Option::unwrap);
    let count = word(&one, 8 + 4 * 255).unwrap() as usize;
    let names = 8 + 1_024 + 20 * count;
    assert_eq!(one[..names], two[..names]);
    assert_eq!(one[names + 4 * count..], two[names + 4 * count..names + 8 * count], "beside the checksums");
    assert_eq!(world.found(&line), None);
    // A forged file in it has the name of a genuine one; both names begin alike, so that it stays in order.
    let genuine = Oid::from_str(&world.blob("2")).unwrap();
    let id = |text: &String| Oid::hash_object(git2::ObjectType::Blob, text.as_bytes()).unwrap();
    let text = (0..).map(|at| format!("forged {at}")).find(|text| id(text).as_bytes()[0] == genuine.as_bytes()[0]).unwrap();
    let forged = id(&text);
    let mut pack = super::super::pack::Pack::default();
    pack.add(super::super::pack::Kind::Blob, text.as_bytes()).unwrap();
    let before: Vec<PathBuf> = fs::read_dir(world.path("pack")).unwrap().map(|entry| entry.unwrap().path()).collect();
    pack.write(&world.path("pack")).unwrap();
    let after = fs::read_dir(world.path("pack")).unwrap().map(|entry| entry.unwrap().path());
    let new: Vec<PathBuf> = after.filter(|path| !before.contains(path)).collect();
    let new = new.iter().find(|path| path.extension().is_some_and(|ending| ending == "pack")).unwrap();
    fs::remove_file(new.with_extension("idx")).unwrap();
    world.git(&["index-pack", "--index-version=1", new.to_str().unwrap()]);
    let name = format!("pack/{}", new.with_extension("idx").file_name().unwrap().to_str().unwrap());
    world.says(&name, forged.as_bytes(), genuine.as_bytes());
    let said = format!(
        "slm::evidence-damaged: `{genuine}` is in the repository more than once, and one of them is not what its name says"
    );
    assert_eq!(world.found(&line), Some(said));
}

#[test]
fn what_a_clone_borrows_from_is_looked_at_as_well() {
    let (lender, line) = World::with_commits();
    let world = World::new();
    fs::write(world.path("info/alternates"), format!("{}\n", lender.path("").display())).unwrap();
    world.git(&["update-ref", "refs/heads/slm/evidence", &line[2].to_string()]);
    assert_eq!(world.found(&line), None);
    lender.git(&["commit-graph", "write", "--reachable"]);
    let repo = Repository::open(lender.0.path()).unwrap();
    let tree = |at: usize| repo.find_commit(line[at]).unwrap().tree_id();
    lender.says("info/commit-graph", tree(2).as_bytes(), tree(0).as_bytes());
    assert!(world.newest().contains("\n+0\n"), "git goes by it");
    assert!(world.found(&line).unwrap().contains("says something else of"));
}
