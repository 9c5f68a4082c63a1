//! What a clone remembers, what it lacks, what its origin became, and what a run goes on with.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use slm::host::git::Locker;
use slm::model::catalog::LockerSettings;

use crate::bundle::recorded;
use crate::tampers::{Made, all, dated, forget, forget_appended, rebuild};
use crate::verify::{
    At, BRANCH, DAY, at, commits, evidence, git, ledger, not_pushed, record, repo, run_of, slm, verified, vkey, with_remote,
};

#[test]
fn a_clone_remembers_what_it_saw_and_a_forced_push_is_found_by_it() {
    let (folder, url, writer) = with_remote();
    (0..3).for_each(|number| drop(record(writer.path(), number, Some(&url), ledger(Some(1), None))));
    let auditor = folder.path().join("auditor");
    git(folder.path(), &["clone", "-q", "--no-checkout", &url, "auditor"]);
    verified(&auditor).exits(0);
    let seen = git(&auditor, &["show", "origin/slm/evidence:log/checkpoint"]) + "\n";
    std::fs::write(folder.path().join("seen"), seen).unwrap();

    let tip = git(writer.path(), &["rev-parse", "slm/evidence~1"]);
    git(writer.path(), &["update-ref", BRANCH, &tip]);
    git(writer.path(), &["push", "-q", "--force", &url, "slm/evidence"]);
    git(&auditor, &["fetch", "-q", "--force", "origin", "+refs/heads/*:refs/remotes/origin/*"]);
    verified(&auditor).exits(7).says("error[slm::evidence-truncated]: the log has ");
    let fresh = folder.path().join("fresh");
    git(folder.path(), &["clone", "-q", "--no-checkout", &url, "fresh"]);
    verified(&fresh).exits(0).says("2 commits");
    slm(&fresh, &["--key", &vkey(1), "--no-memory", "--checkpoint", "../seen"]).exits(7).says("slm::evidence-truncated");
}

#[test]
fn a_clone_that_has_not_everything_contradicts_nothing_and_says_what_brings_the_rest() {
    let source = evidence();
    git(source.path(), &["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", source.path().display());
    let folder = tempfile::tempdir().unwrap();
    for (name, filter, says, fetch) in [
        ("one", &["--depth", "1"][..], "it is shallow, and begins 1 commit before the newest", &["fetch", "-q", "--unshallow"][..]),
        ("two", &["--depth", "2"], "it is shallow, and begins 2 commits before the newest", &["fetch", "-q", "--unshallow"]),
        ("blobs", &["--filter=blob:none"], "it was made with a filter", &["fetch", "-q", "--refetch", "--no-filter"]),
        ("trees", &["--filter=tree:0"], "it was made with a filter", &["fetch", "-q", "--refetch", "--no-filter"]),
        ("large", &["--filter=blob:limit=4k"], "it was made with a filter", &["fetch", "-q", "--refetch", "--no-filter"]),
    ] {
        let clone = [&["clone", "-q", "--no-checkout", "-b", "slm/evidence"], filter, &[&url, name]].concat();
        git(folder.path(), &clone);
        let at = folder.path().join(name);
        let said = verified(&at);
        assert_eq!((said.code, said.out.as_str()), (3, ""), "{name}: {}", said.err);
        let told = format!("could not follow the evidence in a clone that has not all of it: {says}");
        let command = format!("`git {}`", fetch.join(" ").replace(" -q", ""));
        assert!(said.err.contains(&told) && said.err.contains(&command), "{name}: {}", said.err);
        git(&at, fetch);
        verified(&at).exits(0).says("5 commits");
    }
    // Shallow, and none of it below the evidence; and with a filter, but damaged all the same.
    let whole = folder.path().join("two");
    std::fs::write(whole.join(".git/shallow"), format!("{}\n", commits(source.path())[0])).unwrap();
    verified(&whole).exits(0).says("5 commits");
    let mut history = all(&commits(source.path()));
    history[4] = Made::of(&commits(source.path())[4]).with("decisions/ROT-01.jsonl", Some("{}\n"));
    rebuild(source.path(), history);
    git(folder.path(), &["clone", "-q", "--no-checkout", "-b", "slm/evidence", "--filter=blob:limit=1g", &url, "edited"]);
    verified(&folder.path().join("edited")).exits(7).says("error[slm::evidence-edited]");
}

#[test]
fn the_branch_of_a_clone_hides_nothing_of_what_became_of_that_of_its_origin() {
    let source = evidence();
    let all = commits(source.path());
    let url = format!("file://{}", source.path().display());
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("clone");
    git(folder.path(), &["clone", "-q", "--no-checkout", "-b", "slm/evidence", &url, "clone"]);
    let forced = |to: &str| {
        git(source.path(), &["update-ref", BRANCH, to]);
        git(&at, &["fetch", "-q", "--force", "origin", "+refs/heads/*:refs/remotes/origin/*"]);
    };
    // Before anything was verified here, either may be the one that is right.
    forced(&all[2]);
    let fresh = slm(&at, &["--key", &vkey(1), "--no-memory"]).exits(0).says("5 commits");
    fresh.says("note        looked at is the branch here, which is 2 commits ahead of that of `origin`: not pushed yet, or taken away there");
    forced(&all[4]);
    verified(&at).exits(0).says("5 commits");
    forced(&all[2]);
    let said = verified(&at).exits(7);
    said.says("error[slm::evidence-truncated]: the log has 217 entries at `origin`, and had 361 when it was seen at ");
    // What origin has more is looked at.
    forced(&all[4]);
    git(&at, &["update-ref", BRANCH, &all[1]]);
    verified(&at).exits(0).says("5 commits");
    verified(&at).says("note        looked at is the branch of `origin`, which is 3 commits ahead of the one here");
    // Another history at origin, each commit of it sound.
    git(&at, &["update-ref", BRANCH, &all[4]]);
    git(source.path(), &["update-ref", BRANCH, &all[2]]);
    forget_appended(source.path());
    let other = record(source.path(), 5, None, ledger(Some(1), None));
    forced(&other);
    let said = verified(&at).exits(7);
    said.says("error[slm::evidence-forked]: the branch here and that of `origin` are two histories, with 2 commits only here and 1 commit only there");
}

#[test]
fn a_run_that_was_not_pushed_yet_may_be_made_anew_and_is_not_what_is_remembered() {
    let ((folder, url, here), there) = (with_remote(), repo());
    let (bare, away) = (folder.path().join("locker.git"), folder.path().join("away.git"));
    (0..2).for_each(|number| drop(record(here.path(), number, Some(&url), ledger(Some(1), None))));
    std::fs::rename(&bare, &away).unwrap();
    not_pushed(here.path(), 2, &url);
    verified(here.path()).exits(0).says("3 commits");
    std::fs::rename(&away, &bare).unwrap();
    record(there.path(), 3, Some(&url), ledger(Some(1), None));
    record(here.path(), 4, Some(&url), ledger(Some(1), None));
    verified(here.path()).exits(0).says("5 commits").says("goes on     from 1 checkpoint seen before");
}

/// Why neither a run is begun in `repo` nor a commit appended.
pub fn refused(repo: &Path, number: usize, remote: Option<&str>) -> String {
    let settings = LockerSettings { remote: remote.map(str::to_owned), ..LockerSettings::default() };
    let locker = || Locker::open(repo, &settings, None).unwrap().logged(ledger(Some(1), None), Arc::new(At(99_999)));
    let before = git(repo, &["rev-parse", BRANCH]);
    let asked = locker().continues().unwrap_err();
    let files = BTreeMap::from([(format!("runs/{DAY}/{}.json", run_of(number)), b"{}\n".to_vec())]);
    let appended = locker().append(|_| files.clone(), "run", at(99_999)).unwrap_err();
    assert_eq!((asked.operation.as_str(), &asked.cause), (slm::host::locker::GOES_ON, &appended.cause));
    assert_eq!(git(repo, &["rev-parse", BRANCH]), before, "nothing was appended");
    asked.cause
}

#[test]
fn what_was_set_back_or_rewritten_is_not_signed_anew_by_the_next_run() {
    // A branch that is only here.
    let alone = evidence();
    let all = commits(alone.path());
    git(alone.path(), &["update-ref", BRANCH, &all[3]]);
    let said = refused(alone.path(), 5, None);
    assert!(
        said.starts_with("the log has 289 entries, and had 361 when it was seen here before; `slm verify` says more"),
        "{said}"
    );
    assert!(said.contains("`git update-ref -d refs/slm/appended/slm/evidence` forgets what was seen"), "{said}");
    git(alone.path(), &["update-ref", "-d", BRANCH]);
    git(alone.path(), &["update-ref", BRANCH, &all[4]]);
    record(alone.path(), 5, None, ledger(Some(1), None));

    // One that others write as well: what was pushed or verified here is in it, or it is another.
    for by in ["refs/slm/pushed/slm/evidence", "refs/slm/verified/slm/evidence"] {
        let (folder, url, here) = with_remote();
        (0..3).for_each(|number| drop(record(here.path(), number, Some(&url), ledger(Some(1), None))));
        verified(here.path()).exits(0);
        for name in ["refs/slm/pushed/slm/evidence", "refs/slm/verified/slm/evidence"] {
            if name != by {
                git(here.path(), &["update-ref", "-d", name]);
            }
        }
        let (bare, there) = (folder.path().join("locker.git"), repo());
        let first = git(&bare, &["rev-list", "--reverse", BRANCH]).lines().next().unwrap().to_owned();
        git(&bare, &["update-ref", BRANCH, &first]);
        (4..6).for_each(|number| drop(record(there.path(), number, Some(&url), ledger(Some(1), None))));
        let said = refused(here.path(), 6, Some(&url));
        assert!(said.starts_with("the log is not the one whose 217 entries were seen here before") && said.contains(by), "{said}");
        git(here.path(), &["update-ref", "-d", by]);
        record(here.path(), 6, Some(&url), ledger(Some(1), None));
    }

    // Only set back, the remote gets again what was taken away.
    let (folder, url, here) = with_remote();
    (0..3).for_each(|number| drop(record(here.path(), number, Some(&url), ledger(Some(1), None))));
    let bare = folder.path().join("locker.git");
    git(&bare, &["update-ref", BRANCH, &format!("{BRANCH}~2")]);
    record(here.path(), 3, Some(&url), ledger(Some(1), None));
    assert_eq!(git(&bare, &["rev-list", "--count", BRANCH]), "4");
    // A fresh clone of a writer knows of nothing: it goes on with what is there.
    git(&bare, &["update-ref", BRANCH, &format!("{BRANCH}~2")]);
    let fresh = repo();
    record(fresh.path(), 4, Some(&url), ledger(Some(1), None));
    assert_eq!(git(&bare, &["rev-list", "--count", BRANCH]), "3");
}

#[test]
fn commits_that_were_dated_anew_are_found_by_whoever_saw_them_and_gone_on_with_by_nobody_who_did() {
    let repo = evidence();
    let repo = repo.path();
    let all = commits(repo);
    verified(repo).exits(0);
    let (kept, verified_ref) = (repo.join("kept"), "refs/slm/verified/slm/evidence");
    assert_eq!(git(repo, &["rev-parse", verified_ref]), all[4], "the commit is remembered, and so kept");
    let seen = |at: usize| {
        std::fs::write(&kept, git(repo, &["show", &format!("{}:log/checkpoint", all[at])]) + "\n").unwrap();
        slm(repo, &["--key", &vkey(1), "--no-memory", "--checkpoint", "kept"])
    };
    dated(repo, &all, 1, 1);
    // A checkpoint knows of its own date.
    seen(4).exits(0).says("goes on     from 1 checkpoint seen before");
    seen(1).exits(7).says("error[slm::evidence-forked]: the log came to 145 entries at ").says(" by now");
    let said = verified(repo).exits(7);
    said.says("error[slm::evidence-forked]: the log has the entries that it had when it was seen at ")
        .says(&format!("does not go on from {}", all[4]))
        .says("`git update-ref -d refs/slm/verified/slm/evidence` forgets what was seen");
    let cause = refused(repo, 5, None);
    assert!(
        cause.starts_with("the 361 entries that were seen here before are in another commit by now, which may be dated anew"),
        "{cause}"
    );

    // What an older slm remembered is a checkpoint, and the next look remembers the commit.
    let blob = git(repo, &["rev-parse", &format!("{}:log/checkpoint", all[4])]);
    for name in [verified_ref, "refs/slm/appended/slm/evidence"] {
        git(repo, &["update-ref", name, &blob]);
    }
    verified(repo).exits(0).says("goes on     from 1 checkpoint seen before");
    assert_eq!(git(repo, &["rev-parse", verified_ref]), git(repo, &["rev-parse", BRANCH]));
    record(repo, 5, None, ledger(Some(1), None));
    forget(repo);
    git(repo, &["update-ref", BRANCH, &all[4]]);
    dated(repo, &all, 4, 1);
    git(repo, &["update-ref", "refs/slm/appended/slm/evidence", &blob]);
    assert!(refused(repo, 5, None).starts_with("the 361 entries that were seen here before are in another commit by now"));
    // What is no checkpoint is named, and what forgets it.
    std::fs::write(&kept, "x").unwrap();
    git(repo, &["update-ref", verified_ref, &git(repo, &["hash-object", "-w", "kept"])]);
    let forgets = "`git update-ref -d refs/slm/verified/slm/evidence` forgets what was seen";
    verified(repo).exits(1).says("`refs/slm/verified/slm/evidence`: `log/checkpoint` is not as slm writes it").says(forgets);
}

#[test]
fn a_run_in_a_shallow_clone_goes_on_as_far_as_that_has_the_log() {
    let source = evidence();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", source.path().display());
    git(folder.path(), &["clone", "-q", "--no-checkout", "--depth=1", "-b", "slm/evidence", &url, "runner"]);
    let runner = folder.path().join("runner");
    for at in [4, 2] {
        std::fs::write(runner.join("kept"), git(source.path(), &["show", &format!("{BRANCH}~{}:log/checkpoint", 4 - at)]) + "\n")
            .unwrap();
        let blob = git(&runner, &["hash-object", "-w", "kept"]);
        git(&runner, &["update-ref", "refs/slm/appended/slm/evidence", &blob]);
        let locker = Locker::open(&runner, &LockerSettings::default(), None).unwrap();
        let locker = locker.logged(ledger(Some(1), None), Arc::new(At(99_999)));
        locker.continues().unwrap();
    }
}

#[test]
fn a_run_goes_on_with_no_log_that_no_trusted_key_signed_and_with_no_trust_that_is_misspelt() {
    let (world, key) = recorded();
    let text = world.read("slm.toml");
    let trusting = |key: &str| {
        world.write("slm.toml", &text.replace("\n[locker.log]\n", &format!("\n[locker.log]\ntrust = [\"{key}\"]\n")));
        world.commit();
    };
    trusting(&key);
    world.slm(&["apply", "--auto-approve"]).exits(0);
    // One letter is another: the id of the key is no more that of its bytes.
    let (head, last) = key.split_at(key.len() - 1);
    let other = format!("{head}{}", if last == "A" { "B" } else { "A" });
    trusting(&other);
    world.slm(&["apply", "--auto-approve"]).exits(1).says(&format!("`{other}` is no key"));
    // Somebody puts a log that nobody signed in the place of ours, on a machine that saw none before.
    let root = world.root();
    let unsigned: String = text.lines().filter(|line| !line.starts_with("key = ")).map(|line| format!("{line}\n")).collect();
    for name in git(&root, &["for-each-ref", "--format=%(refname)", "refs/slm/appended", "refs/slm/verified", BRANCH]).lines() {
        git(&root, &["update-ref", "-d", name]);
    }
    world.write("slm.toml", &unsigned);
    world.commit();
    world.slm(&["apply", "--auto-approve"]).exits(0);
    git(&root, &["update-ref", "-d", "refs/slm/appended/slm/evidence"]);
    let tip = git(&root, &["rev-parse", BRANCH]);
    trusting(&key);
    world.slm(&["apply", "--auto-approve"]).exits(7).says("no key in `trust` signed the log that is there");
    assert_eq!(git(&root, &["rev-parse", BRANCH]), tip, "nothing was signed");
}
