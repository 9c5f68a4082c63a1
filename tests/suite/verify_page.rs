//! The page for auditors, `docs/verify.md`: what stands on it is run as it stands there, on evidence that holds and on every way to tamper.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use slm::host::git::{Locker, Signer};
use slm::model::catalog::LockerSettings;
use slm::record::ledger::Ledger;
use slm::record::objects::{Pointer, packed};

use crate::support::World;
use crate::tampers::TAMPERS;
use crate::verify::{At, BRANCH, DAY, at, commits, evidence_of, git, ledger, repo, slm, vkey};

/// Ways to tamper that `slm verify` finds and the page does not, and why.
const CANNOT: [(&str, &str); 0] = [];

/// The commands of the page, as one script.
pub fn page() -> String {
    let page = include_str!("../../docs/verify.md");
    let blocks: Vec<&str> = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 10, "a page with other commands");
    blocks.concat()
}

/// Whether the page holds the evidence in `repo` for whole, and what it says.
pub fn by_hand(repo: &Path, told: &[(&str, &str)]) -> (bool, String) {
    let mut command = Command::new("bash");
    command.arg("-c").arg(page()).current_dir(repo).env("branch", "slm/evidence").envs(told.iter().copied());
    let output = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

/// The checkpoint at the tip of the evidence, kept in a file.
fn kept(repo: &Path, name: &str) -> String {
    let path = repo.join(name);
    fs::write(&path, git(repo, &["show", &format!("{BRANCH}:log/checkpoint")]) + "\n").unwrap();
    path.to_string_lossy().into_owned()
}

#[test]
fn the_page_finds_whatever_slm_finds() {
    let waiting = Mutex::new(TAMPERS.iter());
    let wrong = Mutex::new(Vec::new());
    let next = || waiting.lock().unwrap().next();
    let work = || {
        while let Some(tamper) = next() {
            let repo = evidence_of(tamper.of);
            let key = tamper.of.trusted();
            let (seen, noted) = (kept(repo.path(), "seen"), git(repo.path(), &["rev-parse", BRANCH]));
            slm(repo.path(), &["--key", &key]).exits(0);
            (tamper.by)(repo.path(), &commits(repo.path()));
            // Who forgot what was seen has no file of it either.
            let remembers = !git(repo.path(), &["for-each-ref", "refs/slm/verified"]).is_empty();
            let [seen, noted] = [&seen, &noted].map(|kept| if remembers { kept } else { "" });
            let (held, said) = by_hand(repo.path(), &[("vkey", &key), ("seen", seen), ("noted", noted)]);
            let cannot = CANNOT.iter().any(|(name, _)| *name == tamper.name);
            if held != cannot || !(held || said.contains("not so: ")) {
                wrong.lock().unwrap().push(format!("{}: {held}, {said}", tamper.name));
            }
        }
    };
    std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
    let strange = CANNOT.iter().filter(|(name, _)| !TAMPERS.iter().any(|tamper| tamper.name == *name));
    assert_eq!(strange.count(), 0, "a name that is none");
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Records run `number` with an answer that is too long for git, in a commit signed by the key at `key`.
fn record(repo: &Path, number: usize, ledger: Ledger, key: &Path) {
    let began = number as i64 * 3_600;
    let id = format!("20261118T0{number}0000Z-aaaa{number:04}");
    let answer = format!("[{number}]").repeat(2_000).into_bytes();
    let pointer = Pointer::to(&answer);
    let object = repo.join("objects").join(pointer.object());
    fs::create_dir_all(object.parent().unwrap()).unwrap();
    fs::write(object, packed(&answer).unwrap()).unwrap();
    let run = format!("{{\"format\":1,\"run\":{{\"at\":\"{}\",\"id\":\"{id}\"}}}}\n", at(began));
    let files = BTreeMap::from([
        (format!("runs/{DAY}/{id}.json"), run.into_bytes()),
        (format!("raw/{DAY}/{id}/page.json.object"), pointer.file().unwrap()),
        ("decisions/ROT-01.jsonl".to_owned(), format!("{{\"status\":\"{number} 100% ü \\\\\"}}\n").into_bytes()),
        ("snapshot/Aws.Ünit.jsonl".to_owned(), b"{}\n".to_vec()),
    ]);
    let signer = Signer::open(key).unwrap();
    let locker = Locker::open(repo, &LockerSettings::default(), Some(signer)).unwrap();
    let locker = locker.logged(ledger, std::sync::Arc::new(At(began + 60)));
    locker.append(|_| files.clone(), &format!("run {id}: 0 of 0 actions done\n"), at(began)).unwrap();
}

/// A key pair of ssh called `name`, and a file in which it may sign as `ann`.
fn ssh(repo: &Path, name: &str) -> (std::path::PathBuf, String) {
    let key = repo.join(name);
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().unwrap();
    assert!(made.success());
    let signers = repo.join(format!("{name}.signers"));
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    fs::write(&signers, format!("ann@example.org namespaces=\"git\" {public}")).unwrap();
    (key, signers.to_string_lossy().into_owned())
}

#[test]
fn the_page_for_auditors_is_right_to_the_letter() {
    let repo = repo();
    let repo = repo.path();
    let ((key, signers), (_, others)) = (ssh(repo, "ann"), ssh(repo, "bo"));
    record(repo, 0, ledger(None, None), &key);
    record(repo, 1, ledger(Some(1), None), &key);
    let seen = kept(repo, "seen");
    record(repo, 3, ledger(Some(1), None), &key);
    record(repo, 4, ledger(Some(2), Some(1)), &key);
    record(repo, 5, ledger(Some(2), None), &key);
    let objects = repo.join("objects").to_string_lossy().into_owned();
    let all: &[(&str, &str)] = &[("seen", &seen), ("signers", &signers), ("objects", &objects), ("cadence", "3600")];
    for (number, key) in [(1, vkey(1)), (2, vkey(2))] {
        let (held, said) = by_hand(repo, &[&[("vkey", key.as_str())][..], all].concat());
        assert!(held, "{said}");
        for line in [
            format!("key {number} of 2 is the one you trust\n").as_str(),
            "the 16 entries of 5 commits are those that were signed, one commit after the other\n",
            "the log goes on from the 7 entries seen before\n",
            "no run for 7200 seconds after 1795003600\n",
            "every commit is signed by one of ",
            "5 objects hold what was received\n",
        ] {
            assert!(said.contains(line), "`{line}` is not in {said}");
        }
        slm(repo, &["--key", &key, "--no-memory", "--checkpoint", &seen, "--signers", &signers, "--objects", &objects]).exits(0);
    }
    let refused = |told: &[(&str, &str)], by: &str| {
        let (held, said) = by_hand(repo, &[&[("vkey", vkey(2).as_str())][..], told].concat());
        assert!(!held && said.contains(by), "{said}");
    };
    refused(&[("vkey", &vkey(3))], "not so: no key that signs this log is acme.example/slm+");
    refused(&[("signers", &others)], "is signed by none of ");
    slm(repo, &["--key", &vkey(2), "--signers", &others]).exits(7).says("error[slm::evidence-bad-commit-signature]");
    fs::write(repo.join("objects").join(Pointer::to("[1]".repeat(2_000).as_bytes()).object()), packed(b"x").unwrap()).unwrap();
    refused(&[("objects", &objects)], "page.json.object has other bytes in it");
    fs::remove_dir_all(&objects).unwrap();
    refused(&[("objects", &objects)], "page.json.object is gone or broken");
    let (newest, tip) = (kept(repo, "newest"), git(repo, &["rev-parse", BRANCH]));
    assert!(by_hand(repo, &[("vkey", &vkey(2)), ("noted", &tip)]).1.contains(&format!("the branch goes on from {tip}\n")));
    git(repo, &["update-ref", BRANCH, &format!("{BRANCH}~1")]);
    refused(&[("seen", &newest)], "not so: the log does not go on from ");
    refused(&[("noted", &tip)], &format!("not so: the branch does not go on from {tip}"));
    let shallow = repo.join("shallow");
    git(
        repo,
        &["clone", "-q", "--no-checkout", "--depth=1", "-b", "slm/evidence", &format!("file://{}", repo.display()), "shallow"],
    );
    let (held, said) = by_hand(&shallow, &[("vkey", &vkey(2))]);
    assert!(!held && said.contains("git fetch --unshallow"), "{said}");
}

#[test]
fn the_page_for_auditors_holds_what_real_runs_recorded_with_all_that_they_did() {
    let (world, key): (World, String) = crate::bundle::recorded();
    let (held, said) = by_hand(&world.root(), &[("vkey", &key)]);
    assert!(held, "{said}");
    assert!(
        said.contains("key 1 of 1 is the one you trust") && said.contains(" of 2 commits are those that were signed"),
        "{said}"
    );
    let messages = git(&world.root(), &["log", "--format=%s", BRANCH]);
    assert!(
        messages.contains(" actions done") && !messages.lines().all(|line| line.ends_with(": 0 of 0 actions done")),
        "{messages}"
    );
}
