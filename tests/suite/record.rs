//! The locker branch against real git: what is appended is sound, signed, a union, and never lost.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use slm::host::git::{Locker, Signer, config_is_clean, head_commit, read_tree};
use slm::model::blob::Blob;
use slm::model::catalog::LockerSettings;
use slm::model::time::Timestamp;

fn git(at: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").current_dir(at).args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn repo() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["init", "-q", "-b", "main"]);
    git(folder.path(), &["config", "gc.auto", "0"]);
    folder
}

fn commit_all(at: &Path) {
    git(at, &["add", "-A"]);
    git(at, &["-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-q", "-m", "change"]);
}

fn locker(at: &Path, remote: Option<&str>, signer: Option<Signer>) -> Locker {
    let settings = LockerSettings { remote: remote.map(str::to_owned), ..LockerSettings::default() };
    Locker::open(at, &settings, signer).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

fn files(run: &str, status: &str) -> BTreeMap<String, Vec<u8>> {
    let decision = format!("{{\"resource\":\"a\",\"status\":\"{status}\"}}\n");
    BTreeMap::from([
        (format!("runs/{run}.json"), format!("{{\"run\":\"{run}\"}}\n").into_bytes()),
        ("decisions/ROT-01.jsonl".to_owned(), decision.into_bytes()),
        ("snapshot/Aws.Secret.jsonl".to_owned(), Vec::new()),
    ])
}

fn listing(at: &Path, revision: &str) -> Vec<String> {
    git(at, &["ls-tree", "-r", "--name-only", revision]).lines().map(str::to_owned).collect()
}

fn fsck(at: &Path) {
    git(at, &["fsck", "--full", "--strict", "--no-dangling"]);
}

#[test]
fn an_appended_commit_is_sound_and_leaves_no_loose_object() {
    let repo = repo();
    let locker = locker(repo.path(), None, None);
    let first = locker.append(|_| files("r1", "compliant"), "run r1", at(0)).unwrap();
    fsck(repo.path());
    assert_eq!(listing(repo.path(), &first), ["decisions/ROT-01.jsonl", "runs/r1.json", "snapshot/Aws.Secret.jsonl"]);
    assert!(git(repo.path(), &["count-objects"]).starts_with("0 objects"));
    assert_eq!(git(repo.path(), &["log", "--format=%an <%ae> %at %s", "slm/evidence"]), "slm <slm@localhost> 1795000000 run r1\n");
}

#[test]
fn a_second_identical_run_changes_only_its_run_file() {
    let repo = repo();
    let locker = locker(repo.path(), None, None);
    locker.append(|_| files("r1", "compliant"), "run r1", at(0)).unwrap();
    let second =
        locker.append(|tree| if tree.is_some() { files("r2", "compliant") } else { BTreeMap::new() }, "run r2", at(60)).unwrap();
    fsck(repo.path());
    assert_eq!(git(repo.path(), &["diff", "--name-status", &format!("{second}^"), &second]), "A\truns/r2.json\n");
    locker.append(|_| files("r3", "non-compliant"), "run r3", at(120)).unwrap();
    let history = git(repo.path(), &["log", "--format=%s", "slm/evidence", "--", "decisions/ROT-01.jsonl"]);
    assert_eq!(history, "run r3\nrun r1\n");
}

#[test]
fn a_file_beside_the_same_run_is_kept() {
    let repo = repo();
    let locker = locker(repo.path(), None, None);
    locker.append(|_| BTreeMap::from([("decisions/A-1.jsonl".to_owned(), b"{}\n".to_vec())]), "a", at(0)).unwrap();
    locker.append(|_| BTreeMap::from([("decisions/B-1.jsonl".to_owned(), b"{}\n".to_vec())]), "b", at(1)).unwrap();
    assert_eq!(listing(repo.path(), "slm/evidence"), ["decisions/A-1.jsonl", "decisions/B-1.jsonl"]);
}

#[test]
fn what_was_compressed_before_is_read_back_as_it_was() {
    let repo = repo();
    let locker = locker(repo.path(), None, None);
    let page = r#"{"SecretList":[]}"#.repeat(9_000);
    let files = BTreeMap::from([("raw/r1/page.json".to_owned(), Blob::compressed(page.as_bytes()))]);
    locker.append(|_| files.clone(), "run r1", at(0)).unwrap();
    fsck(repo.path());
    assert_eq!(git(repo.path(), &["show", "slm/evidence:raw/r1/page.json"]), page);
    assert_eq!(git(repo.path(), &["cat-file", "-s", "slm/evidence:raw/r1/page.json"]), format!("{}\n", page.len()));
}

#[test]
fn a_path_that_leaves_the_tree_is_refused() {
    let repo = repo();
    let locker = locker(repo.path(), None, None);
    for path in ["../x", "a//b", "/x", "a/.GIT/config", "a/./b"] {
        assert!(locker.append(|_| BTreeMap::from([(path.to_owned(), Vec::<u8>::new())]), "x", at(0)).is_err(), "{path}");
    }
}

#[test]
fn a_writer_that_comes_first_is_kept_and_we_build_on_it() {
    let repo = repo();
    let (ours, theirs) = (locker(repo.path(), None, None), locker(repo.path(), None, None));
    ours.append(|_| files("r0", "compliant"), "run r0", at(0)).unwrap();
    let raced = std::cell::Cell::new(false);
    let build = |_: Option<&git2::Tree<'_>>| {
        if !raced.replace(true) {
            theirs.append(|_| files("theirs", "compliant"), "run theirs", at(1)).unwrap();
        }
        files("ours", "compliant")
    };
    ours.append(build, "run ours", at(2)).unwrap();
    fsck(repo.path());
    assert_eq!(git(repo.path(), &["log", "--format=%s", "slm/evidence"]), "run ours\nrun theirs\nrun r0\n");
    assert_eq!(listing(repo.path(), "slm/evidence").iter().filter(|path| path.starts_with("runs/")).count(), 3);
}

#[test]
fn a_signed_commit_verifies_with_git() {
    let repo = repo();
    let keys = tempfile::tempdir().unwrap();
    let key = keys.path().join("key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(&key).status().unwrap();
    assert!(made.success());
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let allowed = keys.path().join("allowed");
    std::fs::write(&allowed, format!("slm@localhost {public}")).unwrap();
    let locker = locker(repo.path(), None, Some(Signer::open(&key).unwrap()));
    let commit = locker.append(|_| files("r1", "compliant"), "run r1", at(0)).unwrap();
    fsck(repo.path());
    let setting = format!("gpg.ssh.allowedSignersFile={}", allowed.display());
    let output = Command::new("git").current_dir(repo.path()).args(["-c", &setting, "verify-commit", &commit]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("Good \"git\" signature for slm@localhost"), "{said}");
}

const WRITERS: usize = 10;
const RUNS_EACH: usize = 2;

/// Clones of `writers`, each with `settings`, push to one remote at once; afterwards every run is there.
fn all_at_once(writers: usize, bare: &Path, remote: &str, settings: &[(&str, &str)]) {
    std::thread::scope(|scope| {
        for writer in 0..writers {
            scope.spawn(move || {
                let clone = repo();
                git(clone.path(), &["remote", "add", "origin", remote]);
                settings.iter().for_each(|(key, value)| drop(git(clone.path(), &["config", key, value])));
                let locker = locker(clone.path(), Some("origin"), None);
                for run in 0..RUNS_EACH {
                    locker.append(|_| files(&format!("w{writer}-{run}"), "compliant"), "run", at(0)).unwrap();
                }
                fsck(clone.path());
            });
        }
    });
    fsck(bare);
    let runs = listing(bare, "slm/evidence").into_iter().filter(|path| path.starts_with("runs/")).count();
    assert_eq!(runs, writers * RUNS_EACH);
    let commits = git(bare, &["rev-list", "--count", "--no-merges", "slm/evidence"]);
    assert_eq!(commits.trim(), (writers * RUNS_EACH).to_string());
}

fn bare() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["init", "-q", "--bare", "-b", "main", "locker.git"]);
    let bare = folder.path().join("locker.git");
    for (key, value) in [("http.receivepack", "true"), ("gc.auto", "0"), ("receive.autogc", "false")] {
        git(&bare, &["config", key, value]);
    }
    folder
}

#[test]
fn ten_writers_over_file_lose_nothing() {
    let folder = bare();
    let bare = folder.path().join("locker.git");
    all_at_once(WRITERS, &bare, &format!("file://{}", bare.display()), &[]);
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn ten_writers_over_smart_http_lose_nothing() {
    let folder = bare();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/git_http.py");
    let mut server = Server(Command::new("python3").arg(script).arg(folder.path()).stdout(Stdio::piped()).spawn().unwrap());
    let mut port = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut port).unwrap();
    all_at_once(WRITERS, &folder.path().join("locker.git"), &format!("http://127.0.0.1:{}/locker.git", port.trim()), &[]);
}

/// An OpenSSH server that lets one new key run git in `folder`, and the command that reaches it; `None` where there is no server.
fn sshd(folder: &Path) -> Option<(Server, u16, String)> {
    let program = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].into_iter().map(Path::new).find(|path| path.exists())?;
    let key = |name: &str| {
        let path = folder.join(name);
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(&path).status();
        assert!(made.unwrap().success());
        std::fs::read_to_string(path.with_extension("pub")).unwrap()
    };
    let (host, id) = (key("host"), key("id"));
    let shell = Command::new("git").arg("--exec-path").output().unwrap();
    let shell = Path::new(String::from_utf8(shell.stdout).unwrap().trim()).join("git-shell");
    let allowed = format!("restrict,command=\"{} -c \\\"$SSH_ORIGINAL_COMMAND\\\"\" {id}", shell.display());
    std::fs::write(folder.join("authorized_keys"), allowed).unwrap();
    // Where a server that was started by root keeps what it gives up.
    let _ = std::fs::create_dir_all("/run/sshd");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let at = folder.display();
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host\nAuthorizedKeysFile {at}/authorized_keys\nPidFile none\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nStrictModes no\n\
         UsePAM no\nMaxStartups 100\n"
    );
    std::fs::write(folder.join("sshd_config"), config).unwrap();
    std::fs::write(folder.join("known_hosts"), format!("[127.0.0.1]:{port} {host}")).unwrap();
    let log = std::fs::File::create(folder.join("sshd.log")).unwrap();
    let child = Command::new(program).args(["-D", "-e", "-f"]).arg(folder.join("sshd_config")).stderr(log).spawn().unwrap();
    let server = Server(child);
    let began = std::time::Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        let log = || std::fs::read_to_string(folder.join("sshd.log")).unwrap();
        assert!(began.elapsed().as_secs() < 20, "sshd does not listen: {}", log());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let reach = format!("ssh -F none -i {at}/id -o UserKnownHostsFile={at}/known_hosts -o IdentitiesOnly=yes -o BatchMode=yes");
    Some((server, port, reach))
}

#[test]
fn writers_over_ssh_lose_nothing() {
    let folder = bare();
    let Some((_server, port, reach)) = sshd(folder.path()) else {
        eprintln!("skipped: there is no sshd; `scripts/emulators.sh install` as root installs it");
        return;
    };
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let bare = folder.path().join("locker.git");
    let remote = format!("ssh://{}@127.0.0.1:{port}{}", user.trim(), bare.display());
    all_at_once(3, &bare, &remote, &[("core.sshCommand", &reach)]);

    // A host with another key is not spoken to, and the run is kept here.
    let other = sshd_key(folder.path(), port);
    let clone = repo();
    git(clone.path(), &["config", "core.sshCommand", &reach.replace("known_hosts", &other)]);
    let ours = locker(clone.path(), Some(&remote), None);
    let error = ours.append(|_| files("mitm", "compliant"), "run", at(9)).unwrap_err();
    assert_eq!(error.class, slm::world::ErrorClass::Transient, "{error}");
    assert_eq!(git(clone.path(), &["rev-list", "--count", "slm/evidence"]).trim(), "1");
    assert!(!listing(&bare, "slm/evidence").contains(&"runs/mitm.json".to_owned()));
}

/// A file of known hosts, inside `folder`, that expects another key at `port`.
fn sshd_key(folder: &Path, port: u16) -> String {
    let id = std::fs::read_to_string(folder.join("id.pub")).unwrap();
    std::fs::write(folder.join("other_hosts"), format!("[127.0.0.1]:{port} {id}")).unwrap();
    "other_hosts".to_owned()
}

#[test]
fn a_run_kept_while_the_remote_was_away_joins_what_came_meanwhile() {
    let folder = bare();
    let bare = folder.path().join("locker.git");
    let url = format!("file://{}", bare.display());
    let (here, there) = (repo(), repo());
    let ours = locker(here.path(), Some(&url), None);
    let away = folder.path().join("away.git");
    std::fs::rename(&bare, &away).unwrap();
    assert!(ours.append(|_| files("offline", "compliant"), "run offline", at(0)).is_err());
    std::fs::rename(&away, &bare).unwrap();
    locker(there.path(), Some(&url), None).append(|_| files("theirs", "compliant"), "run theirs", at(1)).unwrap();
    ours.append(|_| files("back", "compliant"), "run back", at(2)).unwrap();
    fsck(here.path());
    fsck(&bare);
    let runs: Vec<_> = listing(&bare, "slm/evidence").into_iter().filter(|path| path.starts_with("runs/")).collect();
    assert_eq!(runs, ["runs/back.json", "runs/offline.json", "runs/theirs.json"]);
}

#[test]
fn config_files_are_read_at_any_revision_without_a_checkout() {
    let repo = repo();
    let root = repo.path();
    assert_eq!(head_commit(root).unwrap(), None);
    for (path, text) in [
        ("slm.toml", "one"),
        ("controls/aws/ROT-01.toml", "c"),
        ("policies/rot.cedar", "p"),
        ("credentials/db.toml", "d"),
        ("notes.txt", "n"),
    ] {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    commit_all(root);
    let first = head_commit(root).unwrap().unwrap();
    std::fs::write(root.join("notes.txt"), "changed").unwrap();
    assert!(config_is_clean(root).unwrap());
    std::fs::write(root.join("slm.toml"), "two").unwrap();
    assert!(!config_is_clean(root).unwrap());
    commit_all(root);
    let old = read_tree(root, &first).unwrap();
    assert_eq!(
        old.keys().map(String::as_str).collect::<Vec<_>>(),
        ["controls/aws/ROT-01.toml", "credentials/db.toml", "policies/rot.cedar", "slm.toml"]
    );
    assert_eq!((old["slm.toml"].as_str(), read_tree(root, "HEAD").unwrap()["slm.toml"].as_str()), ("one", "two"));
    assert!(read_tree(root, "no-such-branch").is_err());
    std::fs::write(root.join("policies/big.cedar"), vec![b' '; (1 << 20) + 1]).unwrap();
    commit_all(root);
    assert!(read_tree(root, "HEAD").unwrap_err().to_string().contains("larger than 1 MiB"));
}
