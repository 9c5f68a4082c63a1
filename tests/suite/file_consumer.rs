//! Rendered files under writers that are killed: the file is the old one or the new one, and the next run tidies up.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use slm::consumers::file::RenderedFile;
use slm::host::clock::SystemClock;
use slm::model::catalog::{FileConsumer, SecretRef};
use slm::model::id::VersionId;
use slm::model::secret::Secret;
use slm::transport::vault::Vault;
use slm::world::{Consumer, ErrorClass, SecretStore};

use crate::killed::{Dice, Victim, kills, partial, say, told};
use crate::support::World;

const CHILD: &str = "file_consumer::delivers_until_it_is_killed";
const PATH: &str = "run/app.conf";
/// Longest time a child lives after its first word, in microseconds: some ten deliveries.
const LIFE: u64 = 40_000;
/// Large enough to be written in many steps.
const SIZE: usize = 200_000;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn consumer(root: &Path) -> RenderedFile {
    let config = FileConsumer {
        path: PATH.to_owned(),
        template: Some("{{ version }} {{ value }} {{ version }}\n".to_owned()),
        mode: Some("0640".to_owned()),
        ..FileConsumer::default()
    };
    RenderedFile::new(root.to_owned(), "app".into(), config).unwrap()
}

/// Brings the file to `version`; another writer may come between the two steps.
fn bring(file: &RenderedFile, version: &str) {
    let id = VersionId::from(version);
    block_on(file.deliver(&id, &Secret::new(vec![b'x'; SIZE]))).unwrap();
    say(format_args!("delivered {version}"));
    match block_on(file.activate(&id)) {
        Ok(()) => say(format_args!("activated {version}")),
        Err(error) => assert_eq!(error.class, ErrorClass::Conflict, "{error}"),
    }
}

#[test]
#[ignore = "a child of the other tests"]
fn delivers_until_it_is_killed() {
    let Some((folder, order)) = told() else { return };
    let mut order = order.split(' ');
    let (worker, first, last) = (order.next().unwrap(), order.next().unwrap(), order.next().unwrap());
    let file = consumer(&folder);
    for n in first.parse::<u32>().unwrap()..last.parse().unwrap() {
        bring(&file, &format!("{worker}-{n}"));
    }
}

/// The version that `bytes` is the whole file of.
#[track_caller]
fn version_of(bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes).unwrap();
    let version = text.split(' ').next().unwrap();
    assert_eq!(text.len(), SIZE + 2 * version.len() + 3, "{version} is a half");
    assert!(text.ends_with(&format!("x {version}\n")), "{version} is mixed up");
    version.to_owned()
}

/// Asserts that what lies beside the file lets nobody read a half.
fn halves_are_ours_alone(folder: &Path) -> usize {
    let left = partial(folder);
    for path in &left {
        let (mode, bytes) = (fs::metadata(path).unwrap().permissions().mode() & 0o777, fs::read(path).unwrap());
        let sidecar = bytes.starts_with(b"stored ");
        assert!(mode == 0o600 || sidecar || bytes.len() > SIZE, "{mode:o} {} bytes", bytes.len());
    }
    left.len()
}

/// Set when it goes out of scope, also by a failed assertion.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_killed_delivery_leaves_the_old_file_or_the_new_one() {
    let mut dice = Dice::new();
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join(PATH);
    let file = consumer(root.path());
    bring(&file, "a-0");
    let owner = |path: &Path| fs::metadata(path).map(|data| (data.uid(), data.gid(), data.mode() & 0o7777)).unwrap();
    let first = owner(&path);
    assert_eq!(first.2, 0o640);
    let done = AtomicBool::new(false);
    let (mut next, mut caught, mut reads, total) = (1, 0, 0, kills(60));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0_u64;
            while !done.load(Ordering::Relaxed) {
                version_of(&fs::read(&path).unwrap());
                reads += 1;
            }
            reads
        });
        let stop = Done(&done);
        for _ in 0..total {
            let said = Victim::start(CHILD, root.path(), &format!("a {next} 99999")).kill_after(dice.pause(LIFE));
            let number = |line: &String| line.rsplit_once("-").unwrap().1.parse::<u32>().unwrap();
            let delivered = said.iter().filter(|line| line.starts_with("delivered")).map(number).next_back().unwrap();
            let holds = version_of(&fs::read(&path).unwrap());
            assert!(holds == format!("a-{delivered}") || holds == format!("a-{}", delivered + 1), "{holds} after {delivered}");
            assert_eq!(owner(&path), first);
            caught += halves_are_ours_alone(path.parent().unwrap());
            // Running again converges, also on what was done and not said.
            next = delivered + 1;
            bring(&file, &format!("a-{next}"));
            let view = block_on(file.observe()).unwrap();
            let version = VersionId::from(format!("a-{next}"));
            assert_eq!((view.stored.as_ref(), view.running.as_ref()), (Some(&version), Some(&version)));
            assert_eq!(version_of(&fs::read(&path).unwrap()), version.as_str());
            assert_eq!(partial(path.parent().unwrap()), Vec::<std::path::PathBuf>::new());
            next += 1;
        }
        drop(stop);
        reads = reader.join().unwrap();
    });
    say(format_args!("{total} kills, {caught} temporary files met and removed, {reads} reads between, all whole"));
}

#[test]
fn two_deliveries_at_once_leave_a_file_and_a_note_of_the_same_version() {
    let root = tempfile::tempdir().unwrap();
    for round in 0..kills(60) {
        std::thread::scope(|scope| {
            for worker in ["a", "b"] {
                let file = consumer(root.path());
                scope.spawn(move || {
                    block_on(file.deliver(&format!("{worker}-{round}").into(), &Secret::new(vec![b'x'; SIZE]))).unwrap()
                });
            }
        });
        let stored = block_on(consumer(root.path()).observe()).unwrap().stored.unwrap();
        assert_eq!(version_of(&fs::read(root.path().join(PATH)).unwrap()), stored.as_str());
    }
    assert_eq!(partial(&root.path().join("run")), Vec::<std::path::PathBuf>::new());
}

/// Versions of the demo's key, by the vault itself.
fn versions(world: &World) -> (Vec<VersionId>, Option<(VersionId, Vec<u8>)>) {
    let vault = Vault::open(world.root().join("vault.age"), world.outside("slm.age-identity"), Arc::new(SystemClock));
    let secret = SecretRef { source: "local".into(), region: ".".to_owned(), name: "app/session-key".to_owned() };
    let view = block_on(vault.describe(&secret)).unwrap();
    let current = view.current().map(|id| (id.clone(), block_on(vault.read(&secret, id)).unwrap().expose().to_vec()));
    (view.versions.into_keys().collect(), current)
}

#[test]
fn an_apply_killed_anywhere_is_finished_by_the_next() {
    let mut dice = Dice::new();
    let world = World::scaffolded();
    world.slm(&["apply", "--auto-approve"]).exits(0);
    let began = std::time::Instant::now();
    world.slm(&["apply", "--auto-approve", "--force", "session-key"]).exits(0);
    let takes = u64::try_from(began.elapsed().as_micros()).unwrap();
    let (mut have, total) = (versions(&world).0, kills(40).div_ceil(4));
    for _ in 0..total {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slm"));
        command
            .current_dir(world.root())
            .args(["apply", "--auto-approve", "--force", "session-key"])
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(dice.pause(takes));
        child.kill().unwrap();
        child.wait().unwrap();
        let (now, _) = versions(&world);
        assert!(have.iter().all(|id| now.contains(id)), "a version was lost");
        let text = world.read("run/session.env");
        assert!(text.starts_with("SESSION_KEY=") && text.ends_with('\n') && text.len() == 53, "a half: {} bytes", text.len());

        world.slm(&["apply", "--auto-approve"]).exits(0);
        world.slm(&["plan"]).exits(0).says("Nothing is due.");
        let (after, current) = versions(&world);
        let (id, value) = current.unwrap();
        assert_eq!(world.read("run/session.env").as_bytes(), [b"SESSION_KEY=", value.as_slice(), b"\n"].concat());
        assert!(world.read("run/session.env.slm").starts_with(&format!("stored {id}\nrunning {id}\nas ")));
        assert_eq!(fs::metadata(world.root().join("run/session.env")).unwrap().permissions().mode() & 0o777, 0o600);
        have = after;
    }
    world.slm(&["apply", "--auto-approve", "--force", "session-key"]).exits(0);
    for folder in [world.root(), world.root().join("run")] {
        assert_eq!(partial(&folder), Vec::<std::path::PathBuf>::new());
    }
    say(format_args!("{total} kills of slm apply within {takes} us, {} versions, none lost", have.len()));
}
