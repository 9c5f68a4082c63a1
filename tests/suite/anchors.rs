//! Anchors: a mirror, a bucket with Object Lock and a real timestamp authority, and what tampering they find that a key does not.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use slm::anchors::git::Mirror;
use slm::anchors::rfc3161::Authority;
use slm::anchors::s3::Bucket;
use slm::host::clock::SystemClock;
use slm::host::git::Locker;
use slm::host::verify::sealed;
use slm::model::catalog::LockerSettings;
use slm::model::locker::S3Anchor;
use slm::model::time::{Limit, Timestamp};
use slm::record::anchored::token_path;
use slm::record::timestamp::authorities;
use slm::world::{Anchor, Clock as _, ErrorClass, Sealed};

use crate::aws::{config, source};
use crate::support::{Ran, Server, World};
use crate::tsa::{Mode, Tsa};
use crate::verify::{BRANCH, git, ledger, repo, slm, vkey};

pub const ANCHORS: &str = "refs/heads/slm/evidence-anchors";

const LOG_KEY: &str = "title = \"Key of the evidence\"\nowner = \"security\"\nsatisfies = [\"ROT-01\"]\n\n[secret]\nsource = \"local\"\n\
                       name = \"slm/log-key\"\n\n[rotator]\nrandom = { length = 43, alphabet = \"alnum\" }\n\n\
                       [policy]\nrotate-every = \"60d\"\njitter = \"2d\"\n";

/// A config repo whose evidence is signed, mirrored and stamped.
pub struct Kept {
    pub world: World,
    pub tsa: Tsa,
    key: OnceCell<String>,
}

impl Kept {
    pub fn new() -> Self {
        let (world, tsa) = (World::scaffolded(), Tsa::start());
        git(world.outside("").as_path(), &["init", "-q", "--bare", "mirror.git"]);
        fs::copy(tsa.root(), world.root().join("tsa.pem")).unwrap();
        let mirror = world.outside("mirror.git");
        let settings = format!(
            "{}\n[locker.log]\norigin = \"acme\"\nkey = {{ source = \"local\", name = \"slm/log-key\" }}\n\n\
             [[locker.anchor]]\nid = \"mirror\"\ngit = {{ remote = \"{}\" }}\n\n\
             [[locker.anchor]]\nid = \"tsa\"\nrfc3161 = {{ url = \"{}\", ca = \"tsa.pem\" }}\n",
            world.read("slm.toml"),
            mirror.display(),
            tsa.url
        );
        world.write("slm.toml", &settings);
        world.write("credentials/log-key.toml", LOG_KEY);
        world.commit();
        world.slm(&["check"]).exits(0);
        Self { world, tsa, key: OnceCell::new() }
    }

    pub fn apply(&self) -> Ran {
        self.world.slm(&["apply", "--auto-approve"])
    }

    /// The verifier key that the log names, as of the first time it is asked.
    pub fn key(&self) -> &str {
        self.key.get_or_init(|| {
            let said = self.world.slm(&["verify", "--no-memory", "--format", "json"]).exits(3).json();
            said["keys"][0]["key"].as_str().unwrap().to_owned()
        })
    }

    pub fn verify(&self, arguments: &[&str]) -> Ran {
        self.world.slm(&[&["verify", "--key", self.key()][..], arguments].concat())
    }

    pub fn files(&self, branch: &str) -> Vec<String> {
        git(&self.world.root(), &["ls-tree", "-r", "--name-only", branch]).lines().map(str::to_owned).collect()
    }
}

#[test]
fn each_run_is_kept_by_every_anchor_and_the_next_one_logs_what_they_said() {
    let kept = Kept::new();
    kept.apply().exits(0).says("It is kept by `mirror`, `tsa`.");
    let root = kept.world.root();
    let tip = |at: &Path| git(at, &["rev-parse", BRANCH]);
    assert_eq!(tip(&root), tip(&kept.world.outside("mirror.git")));
    let first: Vec<String> = kept.files(ANCHORS);
    assert_eq!(first.iter().filter(|path| path.ends_with(".tsr")).count(), 1, "{first:?}");
    assert!(!kept.files(BRANCH).iter().any(|path| path.starts_with("anchors/")), "it comes after the commit");
    let said = kept.verify(&[]).exits(0).says("they existed before").says("CN=Acme timestamps,O=Acme (1 token)");
    assert!(said.out.contains("`mirror` is not asked; `--online` asks it"), "{}", said.out);
    kept.verify(&["--online"]).exits(0).says("`mirror` keeps the same");

    kept.apply().exits(0);
    for path in &first {
        let bytes = |branch: &str| git(&root, &["rev-parse", &format!("{branch}:{path}")]);
        assert_eq!(bytes(BRANCH), bytes(ANCHORS), "{path}");
    }
    let json = kept.verify(&["--online", "--format", "json"]).exits(0).json();
    let told = json["anchors"].as_array().unwrap();
    let of = |id: &str| told.iter().find(|one| one["id"] == id).unwrap()["entries"].as_u64();
    assert_eq!((of("tsa"), of("mirror")), (json["entries"].as_u64(), json["entries"].as_u64()), "{json}");

    // What anyone sees who clones it, and trusts the authority by a file of their own.
    let clone = kept.world.outside("clone");
    git(&kept.world.outside(""), &["clone", "-q", "--no-checkout", &root.to_string_lossy(), "clone"]);
    let ca = kept.tsa.root();
    let (ca, key) = (ca.to_string_lossy(), kept.key());
    slm(&clone, &["--key", key, "--tsa-ca", &ca]).exits(0).says("(2 tokens)");
    slm(&clone, &["--key", key])
        .exits(3)
        .says("! unproven    tokens of `tsa`, 2, are not looked at: name its authority with `--tsa-ca`");
    slm(&clone, &["--key", key, "--tsa-ca", "gone.pem"]).exits(1).says("`gone.pem` cannot be read");

    // Nor are they looked at where the config repo has lost who vouches for them.
    let declared = root.join("tsa.pem");
    fs::write(&declared, "junk").unwrap();
    kept.verify(&[])
        .exits(3)
        .says("! unproven    tokens of `tsa`, 2, are not looked at")
        .says("tsa.pem` holds no certificates in PEM");
    fs::remove_file(&declared).unwrap();
    kept.verify(&[]).exits(3).says("tsa.pem` cannot be read");
}

#[test]
fn a_bundle_brings_what_anchors_said_and_can_leave_none_of_it_out() {
    let kept = Kept::new();
    (0..3).for_each(|_| drop(kept.apply().exits(0)));
    let path = kept.world.outside("one.zip");
    let path = path.to_string_lossy().into_owned();
    kept.world.slm(&["export", "bundle", "--out", &path]).exits(0);
    let verify = |arguments: &[&str]| kept.verify(&[&[path.as_str()], arguments].concat());
    let said = verify(&[]).exits(0).says("anchor      `tsa` vouches for ").says("CN=Acme timestamps,O=Acme (3 tokens)");
    assert!(said.out.contains("`mirror` is not asked; `--online` asks it"), "{}", said.out);
    assert!(said.out.contains("how often a run is due is not known here"), "{}", said.out);
    let json = verify(&["--online", "--cadence", "36525d", "--format", "json"]).exits(0).json();
    assert_eq!((&json["checkpoints"], &json["remarks"]), (&3.into(), &serde_json::json!([])), "{json}");
    let of = |id: &str| json["anchors"].as_array().unwrap().iter().find(|one| one["id"] == id).unwrap()["entries"].as_u64();
    assert_eq!((of("tsa"), of("mirror")), (json["entries"].as_u64(), json["entries"].as_u64()), "{json}");
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    verify(&["--cadence", "0s"]).exits(3).says("and now: longer than 0s");

    // By somebody who has the bundle and the certificates of the authority alone.
    let key = kept.key();
    let elsewhere = |arguments: &[&str]| slm(&kept.world.outside(""), &[&[path.as_str(), "--key", key], arguments].concat());
    elsewhere(&["--tsa-ca", &kept.tsa.root().to_string_lossy()]).exits(0).says("(3 tokens)");
    elsewhere(&[]).exits(3).says("! unproven    tokens of `tsa`, 3, are not looked at: name its authority with `--tsa-ca`");
    elsewhere(&["--tsa-ca", &Tsa::start().root().to_string_lossy()]).exits(7).says("error[slm::evidence-bad-token]");
    elsewhere(&["--tsa-ca", &kept.tsa.root().to_string_lossy(), "--online"]).exits(3).says("there is none here");
    for flag in ["--signers", "--branch", "--objects"] {
        elsewhere(&[flag, "/dev/null"]).exits(64).says(&format!("`{flag}` looks at a clone"));
    }

    let all = crate::bundle::files(Path::new(&path));
    let folder = kept.world.outside("unpacked");
    crate::bundle::unpack(&all, &folder);
    let page = String::from_utf8(all["README.md"].clone()).unwrap();
    let by_hand = |ca: &Path| {
        let (held, said) = crate::bundle::by_hand(&folder, &page, &format!("vkey='{key}' tsa_ca='{}'", ca.display()));
        assert!(held && said.contains("every token was looked up"), "{said}");
        said.matches("not so: ").count()
    };
    assert_eq!((by_hand(&kept.tsa.root()), by_hand(&Tsa::start().root())), (0, 3));
    let names = |folder: &str, end: &str| -> Vec<String> {
        all.keys().filter(|name| name.starts_with(folder) && name.ends_with(end)).cloned().collect()
    };
    let (logged, waiting) = (names("evidence/anchors/", ".tsr"), names("anchors/", ".tsr"));
    assert_eq!((logged.len(), waiting.len(), names("log/checkpoints/", "").len()), (2, 1, 3), "{:?}", all.keys());
    let without = |name: &str| crate::bundle::without(&all, name);
    let judged = |name: &str, files: &BTreeMap<String, Vec<u8>>| {
        fs::write(kept.world.outside(name), slm::host::zipped::pack(files).unwrap()).unwrap();
        kept.verify(&[&kept.world.outside(name).to_string_lossy()])
    };
    judged("token.zip", &without(&logged[0])).exits(7).says("error[slm::bundle-withheld]").says(".tsr`, is of the period");
    let mut sizes: Vec<u64> = names("log/checkpoints/", "").iter().map(|name| name[16..].parse().unwrap()).collect();
    sizes.sort_unstable();
    let middle = format!("log/checkpoints/{}", sizes[1]);
    judged("middle.zip", &without(&middle)).exits(7).says("error[slm::bundle-withheld]: the checkpoint of run ");
    let mut swapped = without(&middle);
    swapped.insert(middle, all[&format!("log/checkpoints/{}", sizes[0])].clone());
    judged("swapped.zip", &crate::bundle::sealed(swapped)).exits(7).says("error[slm::evidence-bad-checkpoint]");
    // The newest token waits and is in no log: without it, less is vouched for.
    judged("waiting.zip", &without(&waiting[0])).exits(0).says(&format!("vouches for {} of {} entries", sizes[1], sizes[2]));
}

#[test]
fn an_anchor_that_fails_is_a_gap_of_that_run_and_told_by_later_ones_and_loses_nothing() {
    let kept = Kept::new();
    let ways = [
        (Mode::Down, "HTTP 503"),
        (Mode::Junk, "no answer of a timestamp authority"),
        (Mode::OtherBytes, "answers another question"),
    ];
    for (mode, why) in ways {
        kept.tsa.answers(mode);
        kept.apply().exits(3).says("Recorded as ").says("! `tsa` does not keep it: ").says(why);
    }
    let mirror = kept.world.outside("mirror.git");
    let away = kept.world.outside("away.git");
    fs::rename(&mirror, &away).unwrap();
    kept.tsa.answers(Mode::Fine);
    let said = kept.apply().exits(3).says("! `mirror` does not keep it: ").says("kept by `tsa`");
    assert!(!said.out.contains("has another log"), "what is away was not rewritten: {}", said.out);
    fs::rename(&away, &mirror).unwrap();
    kept.tsa.answers(Mode::Again);
    kept.apply().exits(3).says("answers another question");
    kept.tsa.answers(Mode::Fine);
    kept.apply().exits(0).says("kept by `mirror`, `tsa`");
    let said = kept.verify(&["--online"]).exits(0).says("`mirror` keeps the same");
    assert!(said.out.contains("`tsa` did not keep 4 of 6 runs"), "{}", said.out);
    assert!(said.out.contains("`mirror` did not keep 1 of 6 runs"), "{}", said.out);
    assert_eq!(git(&kept.world.root(), &["rev-list", "--count", BRANCH]), "6");
    fs::copy(kept.world.root().join("slm.toml"), kept.world.root().join("tsa.pem")).unwrap();
    kept.apply().exits(3).says("`tsa.pem` holds no certificates in PEM");
}

#[test]
fn a_mirror_that_was_rewritten_or_that_ours_does_not_go_on_from_breaks_the_evidence() {
    let kept = Kept::new();
    (0..2).for_each(|_| drop(kept.apply().exits(0)));
    let (root, mirror) = (kept.world.root(), kept.world.outside("mirror.git"));
    kept.verify(&[]).exits(0);
    // Ours goes back a run, and on from there.
    let tip = git(&root, &["rev-parse", BRANCH]);
    git(&root, &["update-ref", BRANCH, &format!("{tip}~1")]);
    kept.verify(&["--no-memory", "--online"]).exits(7).says("slm::evidence-truncated").says("by anchor `mirror`");
    // Whoever knows what was there does not; a clone that never saw it does.
    let refused = kept.apply().exits(7);
    assert!(
        refused.err.contains("when it was seen here before") && !refused.out.contains("Recorded as "),
        "{}{}",
        refused.out,
        refused.err
    );
    for seen in ["verified", "appended"] {
        git(&root, &["update-ref", "-d", &format!("refs/slm/{seen}/slm/evidence")]);
    }
    kept.apply().exits(7).says("Recorded as ").says("`mirror` has another log").says("one of the two was rewritten");
    assert_eq!(git(&mirror, &["rev-parse", BRANCH]), tip, "nothing is forced");
    let drift = kept.world.slm(&["report", "drift"]).exits(7).says("You must act: the evidence does not hold");
    assert!(drift.out.contains("`mirror` has another log: "), "without asking it again: {}", drift.out);
    kept.verify(&["--no-memory", "--online"]).exits(7).says("slm::evidence-forked");
    // The mirror is another's.
    git(&root, &["update-ref", BRANCH, &tip]);
    git(&root, &["update-ref", "-d", "refs/slm/appended/slm/evidence"]);
    git(&root, &["update-ref", "-d", ANCHORS]);
    let tree = format!("{tip}^{{tree}}");
    let other = git(&mirror, &["-c", "user.name=x", "-c", "user.email=x@localhost", "commit-tree", "-m", "x", &tree]);
    git(&mirror, &["update-ref", BRANCH, &other]);
    kept.apply().exits(7).says("`mirror` has another log");
}

#[test]
fn what_was_kept_before_a_key_took_over_counts_by_whichever_key_is_trusted() {
    let world = World::scaffolded();
    let root = world.root();
    let record = |number: usize, seed: u8, before: Option<u8>| {
        crate::verify::record(&root, number, None, ledger(Some(seed), before));
        let kept = world.outside(&format!("kept-{number}"));
        fs::write(&kept, git(&root, &["show", "slm/evidence:log/checkpoint"]) + "\n").unwrap();
        kept.to_string_lossy().into_owned()
    };
    let mirror = world.outside("mirror.git");
    git(&world.outside(""), &["init", "-q", "--bare", "mirror.git"]);
    let push = || git(&root, &["push", "-q", &mirror.to_string_lossy(), BRANCH]);
    let anchor = format!("\n[[locker.anchor]]\nid = \"mirror\"\ngit = {{ remote = \"{}\" }}\n", mirror.display());
    world.write("slm.toml", &(world.read("slm.toml") + &anchor));
    let first = record(0, 1, None);
    push();
    let second = record(1, 2, Some(1));
    for key in [vkey(1), vkey(2)] {
        let verify = |arguments: &[&str]| world.slm(&[&["verify", "--no-memory", "--key", &key][..], arguments].concat());
        verify(&["--online"]).exits(0).says("`mirror` keeps 73 of 145 entries and is behind");
        verify(&["--checkpoint", &first, "--checkpoint", &second]).exits(0).says("goes on     from 2 checkpoints seen before");
    }
    push();
    world.slm(&["verify", "--key", &vkey(1), "--online"]).exits(0).says("`mirror` keeps the same 145 entries");

    // Cut off before the key took over: nothing here knows who signed what was kept.
    git(&root, &["update-ref", BRANCH, &format!("{BRANCH}~1")]);
    let verify = |arguments: &[&str]| world.slm(&[&["verify", "--no-memory", "--key", &vkey(1)][..], arguments].concat());
    verify(&["--checkpoint", &second]).exits(7).says("error[slm::evidence-bad-checkpoint]").says("kept-1` cannot be compared with");
    verify(&["--online"]).exits(7).says("error[slm::evidence-bad-checkpoint]: what anchor `mirror` keeps cannot be believed");
    verify(&["--checkpoint", "none"]).exits(1).says("`none` cannot be compared with");
}

#[tokio::test]
async fn a_mirror_that_another_run_has_brought_further_keeps_ours_as_well() {
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["init", "-q", "--bare", "mirror.git"]);
    let remote = folder.path().join("mirror.git").to_string_lossy().into_owned();
    let repo = repo();
    let first = crate::verify::record(repo.path(), 0, None, ledger(Some(1), None));
    let second = crate::verify::record(repo.path(), 1, None, ledger(Some(1), None));
    let mirror = Mirror::open(repo.path(), "mirror", "slm/evidence", &remote).unwrap();
    let of = |commit: &str| sealed(repo.path(), commit).unwrap().unwrap();
    assert_eq!(mirror.newest().await.unwrap(), None);
    assert_eq!(mirror.keep(&of(&second)).await.unwrap(), None);
    assert_eq!(mirror.keep(&of(&first)).await.unwrap(), None, "what came later goes on from it");
    assert_eq!(mirror.newest().await.unwrap(), Some(of(&second).note));
    let gone = Mirror::open(repo.path(), "mirror", "slm/evidence", "/nowhere/mirror.git").unwrap();
    assert_eq!(gone.keep(&of(&second)).await.unwrap_err().class, ErrorClass::Transient);
}

/// Records run `number`, with `status` in it and the tokens that wait, then has it stamped.
async fn stamped(repo: &Path, number: usize, status: &str, received: Option<Timestamp>, tsa: &Tsa) {
    let at = received.unwrap_or_else(|| Timestamp::from_second(SystemClock.now().as_second()).unwrap());
    let clock: Arc<dyn slm::world::Clock> = Arc::new(At(at));
    let settings = LockerSettings::default();
    let beside = LockerSettings { branch: settings.anchors_branch(), ..settings.clone() };
    let locker = Locker::open(repo, &settings, None).unwrap().logged(ledger(Some(1), None), clock);
    let waiting = Locker::open(repo, &beside, None).unwrap();
    let trusted = authorities(&fs::read(tsa.root()).unwrap());
    let id = format!("20261118T0{number}0000Z-aaaa{number:04}");
    let mut files = waiting.waiting(&locker, true, &|_| Some(trusted.clone())).unwrap().ours;
    let run = format!("{{\"format\":1,\"run\":{{\"at\":\"{at}\",\"id\":\"{id}\"}}}}\n");
    files.insert(format!("runs/{id}.json"), run.into_bytes());
    files.insert("decisions/ROT-01.jsonl".to_owned(), format!("{{\"status\":\"{status} {number}\"}}\n").into_bytes());
    let commit = locker.append(|_| files.clone(), &format!("run {id}: 0 of 0 actions done"), at).unwrap();
    let sealed: Sealed = sealed(repo, &commit).unwrap().unwrap();
    let authority = Authority::new("tsa", &tsa.url, authorities(&fs::read(tsa.root()).unwrap()));
    let token = authority.keep(&sealed).await.unwrap().unwrap();
    let token = BTreeMap::from([(token_path("tsa", sealed.size, &sealed.note, sealed.received), token)]);
    waiting.append(|_| token.clone(), "anchors", at).unwrap();
}

struct At(Timestamp);

impl slm::world::Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

async fn three_runs(tsa: &Tsa) -> tempfile::TempDir {
    let repo = repo();
    for number in 0..3 {
        stamped(repo.path(), number, "compliant", None, tsa).await;
    }
    repo
}

fn judged(repo: &Path, tsa: &Tsa) -> Ran {
    slm(repo, &["--no-memory", "--key", &vkey(1), "--tsa-ca", &tsa.root().to_string_lossy()])
}

#[tokio::test]
async fn what_the_holder_of_the_key_does_to_a_stamped_log_is_found() {
    let tsa = Tsa::start();
    let repo = three_runs(&tsa).await;
    let repo = repo.path();
    judged(repo, &tsa).exits(0).says("(3 tokens)").says("vouches for 8 of 8 entries");
    let tip = git(repo, &["rev-parse", BRANCH]);
    let tokens = git(repo, &["rev-parse", ANCHORS]);
    let back = || {
        git(repo, &["update-ref", BRANCH, &tip]);
        git(repo, &["update-ref", ANCHORS, &tokens]);
        judged(repo, &tsa).exits(0);
    };

    // The tail is cut off.
    git(repo, &["update-ref", BRANCH, &format!("{tip}~1")]);
    judged(repo, &tsa).exits(7).says("error[slm::evidence-truncated]: the log has 5 entries, and had 8 when `tsa` saw it at ");
    back();

    // All of it is made anew, with the right key and the same sizes; the tokens stay where they waited.
    git(repo, &["update-ref", "-d", BRANCH]);
    git(repo, &["update-ref", "-d", "refs/slm/appended/slm/evidence"]);
    git(repo, &["update-ref", "-d", ANCHORS]);
    for number in 0..3 {
        stamped(repo, number, "excepted", None, &tsa).await;
    }
    let remade = git(repo, &["rev-parse", BRANCH]);
    judged(repo, &tsa).exits(0);
    git(repo, &["update-ref", ANCHORS, &tokens]);
    judged(repo, &tsa).exits(7).says("error[slm::evidence-forked]: the log is not the one whose 2 entries `tsa` saw at ");
    back();
    assert_ne!(remade, tip);

    // A token is put in the place of another, and one of another authority.
    let listed = git(repo, &["ls-tree", "-r", "--name-only", ANCHORS]);
    let of =
        |size: &str| listed.lines().find(|path| path.starts_with("anchors/tsa/") && path.contains(&format!("/{size}-"))).unwrap();
    put(repo, of("8"), &git(repo, &["rev-parse", &format!("{ANCHORS}:{}", of("2"))]));
    judged(repo, &tsa).exits(7).says("error[slm::evidence-forked]: the log is not the one whose 8 entries");
    back();
    let other = Tsa::start();
    slm(repo, &["--no-memory", "--key", &vkey(1), "--tsa-ca", &other.root().to_string_lossy()])
        .exits(7)
        .says("error[slm::evidence-bad-token]")
        .says("none of the authorities in `ca` vouches for its certificate");
}

/// Puts the object `blob` at `path` of the branch of what anchors said.
pub fn put(repo: &Path, path: &str, blob: &str) {
    let index = repo.join(".git/anchor-index");
    let run = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.current_dir(repo).args(arguments).env("GIT_INDEX_FILE", &index);
        for (name, value) in [("NAME", "x"), ("EMAIL", "x@localhost")] {
            command.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    run(&["read-tree", ANCHORS]);
    run(&["update-index", "--add", "--cacheinfo", &format!("100644,{blob},{path}")]);
    let tree = run(&["write-tree"]);
    let commit = run(&["commit-tree", "-p", ANCHORS, "-m", "x", &tree]);
    git(repo, &["update-ref", ANCHORS, &commit]);
}

#[tokio::test]
async fn a_run_dated_back_is_found_by_the_token_it_holds_or_told_by_the_first_that_covers_it() {
    let tsa = Tsa::start();
    let now = SystemClock.now().as_second();
    let before = |seconds: i64| Some(Timestamp::from_second(now - seconds).unwrap());
    // Its token is of now, and the next commit, which holds that, says that it is older.
    let repo = repo();
    stamped(repo.path(), 0, "compliant", before(4_000), &tsa).await;
    judged(repo.path(), &tsa).exits(0);
    stamped(repo.path(), 1, "compliant", before(3_000), &tsa).await;
    judged(repo.path(), &tsa).exits(7).says("error[slm::evidence-bad-date]").says("it was dated back");
    // Nobody saw it for months, by its own date.
    let old = crate::verify::repo();
    stamped(old.path(), 0, "compliant", before(90 * 86_400), &tsa).await;
    let said = judged(old.path(), &tsa).exits(0);
    assert!(
        said.out.contains("1 of 1 checkpoints are older than a day by their own dates when `tsa` first saw them"),
        "{}",
        said.out
    );
    // Dated after the authority saw it.
    let ahead = crate::verify::repo();
    stamped(ahead.path(), 0, "compliant", before(-4_000), &tsa).await;
    judged(ahead.path(), &tsa).exits(7).says("error[slm::evidence-bad-date]").says("saw it at");
}

#[tokio::test]
async fn the_page_for_auditors_checks_tokens_with_openssl_alone() {
    let tsa = Tsa::start();
    let repo = three_runs(&tsa).await;
    let by_hand = |ca: &Path| {
        let ca = ca.to_string_lossy();
        crate::verify_page::by_hand(repo.path(), &[("vkey", &vkey(1)), ("tsa", "tsa"), ("tsa_ca", &ca)])
    };
    let (held, said) = by_hand(&tsa.root());
    assert!(held, "{said}");
    assert_eq!(said.matches("Verification: OK").count(), 2, "two of three are in the log: {said}");
    let (held, said) = by_hand(&Tsa::start().root());
    assert!(!held && said.contains("Verification: FAILED"), "{said}");
}

async fn bucket(endpoint: &str, name: &str, lock: bool) -> (aws_sdk_s3::Client, Bucket) {
    let config = config(endpoint, "eu-west-1", None).await;
    let client = aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build());
    let place = CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::EuWest1).build();
    let made = client.create_bucket().bucket(name).create_bucket_configuration(place).object_lock_enabled_for_bucket(lock);
    made.send().await.unwrap();
    let settings = S3Anchor {
        source: "prod".into(),
        region: "eu-west-1".to_owned(),
        bucket: name.to_owned(),
        prefix: "slm/anchors/".to_owned(),
        retention: Limit::days(2_190),
    };
    (client, Bucket::new("offsite", settings, "acme.example/slm", &source(endpoint), &config))
}

#[tokio::test]
async fn a_bucket_with_object_lock_keeps_the_first_checkpoint_of_each_size_for_years() {
    let moto = Server::moto();
    let (client, anchor) = bucket(&moto.endpoint, "acme-anchors", true).await;
    let received = Timestamp::from_second(SystemClock.now().as_second()).unwrap();
    let of = |size: u64, note: &str| Sealed { commit: "c".to_owned(), size, note: note.as_bytes().to_vec(), received };
    assert_eq!(anchor.newest().await.unwrap(), None);
    assert_eq!(anchor.keep(&of(9, "nine")).await.unwrap(), None);
    assert_eq!(anchor.keep(&of(10, "ten")).await.unwrap(), None);
    assert_eq!(anchor.keep(&of(10, "ten")).await.unwrap(), None, "the same again is no change");
    let error = anchor.keep(&of(10, "other")).await.unwrap_err();
    assert_eq!((error.class, error.cause.as_str()), (ErrorClass::Conflict, "it keeps another checkpoint of 10 entries"));
    assert_eq!(anchor.newest().await.unwrap(), Some(b"ten".to_vec()));

    let key = "slm/anchors/acme%2Eexample%2Fslm/00000000000000000010";
    let head = client.head_object().bucket("acme-anchors").key(key).send().await.unwrap();
    assert_eq!(head.object_lock_mode().unwrap().as_str(), "COMPLIANCE");
    assert_eq!(head.object_lock_retain_until_date().unwrap().secs(), received.as_second() + 2_190 * 86_400);
    let version = head.version_id().unwrap();
    client.delete_object().bucket("acme-anchors").key(key).version_id(version).send().await.unwrap_err();
    // Hidden by a marker and by what was put after it, and read all the same.
    client.delete_object().bucket("acme-anchors").key(key).send().await.unwrap();
    assert_eq!(anchor.newest().await.unwrap(), Some(b"ten".to_vec()));
    let body = aws_sdk_s3::primitives::ByteStream::from_static(b"other");
    client.put_object().bucket("acme-anchors").key(key).body(body).send().await.unwrap();
    assert_eq!(anchor.newest().await.unwrap(), Some(b"ten".to_vec()));

    let (_, plain) = bucket(&moto.endpoint, "acme-plain", false).await;
    let error = plain.keep(&of(1, "one")).await.unwrap_err();
    assert_eq!((error.class, error.cause.as_str()), (ErrorClass::Permanent, "InvalidRequest (HTTP 400)"));
}
