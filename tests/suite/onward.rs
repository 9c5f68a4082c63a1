//! What a run goes on with: commits of somebody else on the branch, at its remote, or only here are not gone on with, and nothing is signed.

use std::path::Path;

use crate::bundle::recorded;
use crate::tampers::{Made, all, forget_appended, rebuild};
use crate::verify::{
    BRANCH, DAY, commits, evidence, git, ledger, not_pushed, record, repo, run_of, slm, verified, vkey, with_remote,
};
use crate::verify_clones::refused;

const FORGED: &str = "{\"resource\":\"a\",\"status\":\"compliant\"}\n";

/// Puts a commit on top of the branch of `repo` that changes a decision and lifts something, and logs neither.
fn forge(repo: &Path) -> String {
    let all_of = commits(repo);
    let newest = Made::of(all_of.last().unwrap()).with("decisions/ROT-01.jsonl", Some(FORGED)).with("exceptions/y.toml", Some("x"));
    rebuild(repo, [all(&all_of), vec![newest]].concat());
    git(repo, &["rev-parse", BRANCH])
}

#[test]
fn a_run_goes_on_with_no_commit_that_the_log_does_not_cover_and_says_which() {
    // On the branch here: by what was seen before, by the newest commit alone, and below another one.
    let alone = evidence();
    let sound = git(alone.path(), &["rev-parse", BRANCH]);
    let forged = forge(alone.path());
    let said = refused(alone.path(), 5, None);
    let named =
        format!("is in the commit and not in the log, in the commit `{}`; the one before it is `{}`", &forged[..12], &sound[..12]);
    assert!(said.starts_with("`decisions/ROT-01.jsonl` ") && said.contains(&named), "{said}");
    assert!(said.ends_with("no run goes on until it is taken from `refs/heads/slm/evidence`"), "{said}");
    forge(alone.path());
    assert!(refused(alone.path(), 5, None).contains(&named), "the first of two is named");
    // The newest alone, which changes nothing of what the one before it forged.
    forget_appended(alone.path());
    assert!(refused(alone.path(), 5, None).starts_with("it holds no file of the run that its message names"));
    git(alone.path(), &["update-ref", BRANCH, &sound]);
    record(alone.path(), 5, None, ledger(Some(1), None));
    verified(alone.path()).exits(0).says("6 commits");

    // In the place of the newest commit, whose checkpoint is as it was seen.
    let mut history = all(&commits(alone.path()));
    let last = history.pop().unwrap().with("decisions/ROT-01.jsonl", Some(FORGED));
    rebuild(alone.path(), [history, vec![last]].concat());
    assert!(refused(alone.path(), 6, None).contains("are in another commit by now, which may be dated anew"));
    // Where that commit is not remembered, by what is in it.
    git(alone.path(), &["update-ref", "-d", "refs/slm/appended/slm/evidence"]);
    git(alone.path(), &["update-ref", "-d", "refs/slm/verified/slm/evidence"]);
    assert!(refused(alone.path(), 6, None).starts_with("`decisions/ROT-01.jsonl` is not what the log says: "));

    // By somebody who may push, on a machine that knows the branch and on one that sees it for the first time.
    let (folder, url, here) = with_remote();
    (0..2).for_each(|number| drop(record(here.path(), number, Some(&url), ledger(Some(1), None))));
    let bare = folder.path().join("locker.git");
    git(folder.path(), &["clone", "-q", "--no-checkout", "-b", "slm/evidence", &url, "other"]);
    let other = folder.path().join("other");
    forge(&other);
    git(&other, &["push", "-q", "origin", "slm/evidence"]);
    assert!(refused(here.path(), 2, Some(&url)).contains("and not in the log"));
    git(&other, &["push", "-q", "--force", "origin", "slm/evidence~1:slm/evidence"]);
    record(here.path(), 2, Some(&url), ledger(Some(1), None));
    verified(&bare).exits(0).says("3 commits");
}

#[test]
fn a_log_that_was_taken_away_is_not_begun_anew() {
    let alone = evidence();
    forget_appended(alone.path());
    let all_of = commits(alone.path());
    let listed = git(alone.path(), &["ls-tree", "-r", "--name-only", &all_of[4], "log"]);
    let without = listed.lines().fold(Made::of(&all_of[4]), |made, path| made.with(path, None));
    rebuild(alone.path(), [all(&all_of), vec![without]].concat());
    assert!(refused(alone.path(), 5, None).starts_with("it has no `log/checkpoint`, and the one before it has"));
}

#[test]
fn commits_that_are_only_here_are_made_anew_when_a_key_that_is_known_signed_them_and_never_otherwise() {
    let (folder, url, here) = with_remote();
    let (bare, there) = (folder.path().join("locker.git"), repo());
    record(here.path(), 0, Some(&url), ledger(Some(1), None));
    // A run of a past day, by plain git, in the clone of the runner; another one pushes meanwhile.
    let id = run_of(1);
    let run = format!("{{\"format\":1,\"run\":{{\"at\":\"2026-11-18T01:00:00Z\",\"id\":\"{id}\"}}}}\n");
    let sound = git(here.path(), &["rev-parse", BRANCH]);
    let invented = Made::of(&sound).with(&format!("runs/{DAY}/{id}.json"), Some(&run)).with("exceptions/y.toml", Some("x"));
    rebuild(here.path(), vec![Made::of(&sound), invented]);
    record(there.path(), 2, Some(&url), ledger(Some(1), None));
    let said = refused(here.path(), 3, Some(&url));
    assert!(said.starts_with("commits that are only here would be made anew, and do not hold: `exceptions/y.toml` is in the commit and not in the log"), "{said}");
    // The way out that it names.
    let theirs = git(&bare, &["rev-parse", BRANCH]);
    assert!(said.ends_with(&format!("`git update-ref {BRANCH} {theirs}` leaves them out")), "{said}");
    git(here.path(), &["update-ref", BRANCH, &theirs]);
    record(here.path(), 3, Some(&url), ledger(Some(1), None));
    verified(&bare).exits(0).says("3 commits");

    // A log of its own, each commit of it sound: signed by somebody's key, and by nobody.
    for (seed, why) in [
        (Some(9), "it is signed by a key that the log does not know"),
        (None, "nobody signed it, and the log it is to go into is signed"),
    ] {
        let other = repo();
        record(other.path(), 4, None, ledger(seed, None));
        forget_appended(other.path());
        let said = refused(other.path(), 5, Some(&url));
        assert!(said.contains(why), "{said}");
    }
    // A history of its own without a log.
    let other = repo();
    let who = ["-c", "user.name=slm", "-c", "user.email=slm@localhost"];
    std::fs::write(other.path().join("exceptions.toml"), "x").unwrap();
    git(other.path(), &["add", "exceptions.toml"]);
    git(other.path(), &[&who[..], &["commit", "-q", "-m", "run"]].concat());
    git(other.path(), &["update-ref", BRANCH, "HEAD"]);
    assert!(refused(other.path(), 5, Some(&url)).contains("nobody signed it, and the log it is to go into is signed"));
    // Ours is joined, also when it began by itself.
    let away = folder.path().join("away.git");
    std::fs::rename(&bare, &away).unwrap();
    let ours = repo();
    not_pushed(ours.path(), 6, &url);
    std::fs::rename(&away, &bare).unwrap();
    record(ours.path(), 7, Some(&url), ledger(Some(1), None));
    verified(&bare).exits(0).says("5 commits");
}

#[test]
fn a_run_that_was_made_anew_and_pushed_is_not_made_anew_again_by_whoever_was_stopped_before_its_branch_moved() {
    let ((folder, url, here), there) = (with_remote(), repo());
    let (bare, away) = (folder.path().join("locker.git"), folder.path().join("away.git"));
    record(here.path(), 0, Some(&url), ledger(Some(1), None));
    std::fs::rename(&bare, &away).unwrap();
    not_pushed(here.path(), 1, &url);
    std::fs::rename(&away, &bare).unwrap();
    let kept = git(here.path(), &["rev-parse", BRANCH]);
    record(there.path(), 2, Some(&url), ledger(Some(1), None));
    record(here.path(), 3, Some(&url), ledger(Some(1), None));
    git(here.path(), &["update-ref", BRANCH, &kept]);
    record(here.path(), 4, Some(&url), ledger(Some(1), None));
    let order = git(&bare, &["log", "--reverse", "--format=%s", "slm/evidence"]);
    assert_eq!(order.lines().map(|line| &line[14..15]).collect::<Vec<_>>(), ["0", "2", "1", "3", "4"]);
    verified(&bare).exits(0).says("5 commits");
}

#[test]
fn a_runner_in_a_shallow_clone_goes_on_with_what_it_cannot_look_behind() {
    let (folder, url, here) = with_remote();
    (0..3).for_each(|number| drop(record(here.path(), number, Some(&url), ledger(Some(1), None))));
    git(folder.path(), &["clone", "-q", "--no-checkout", "--depth", "1", "-b", "slm/evidence", &url, "shallow"]);
    let shallow = folder.path().join("shallow");
    assert_eq!(git(&shallow, &["rev-list", "--count", BRANCH]), "1");
    (3..5).for_each(|number| drop(record(&shallow, number, Some(&url), ledger(Some(1), None))));
    verified(&folder.path().join("locker.git")).exits(0).says("5 commits");
    // What came since it begins is looked at there as well.
    forge_in_shallow(&shallow);
    let said = refused(&shallow, 5, Some(&url));
    assert!(said.contains("and not in the log"), "{said}");
}

/// The same as [`forge`] in a clone whose first commit has no parent here.
fn forge_in_shallow(repo: &Path) {
    let tree = |path: &str| git(repo, &["rev-parse", &format!("{BRANCH}:{path}")]);
    let decisions = git(
        repo,
        &["hash-object", "-w", &{
            std::fs::write(repo.join("forged"), FORGED).unwrap();
            "forged".to_owned()
        }],
    );
    let listed = format!("100644 blob {decisions}\tROT-01.jsonl\n");
    let made = |text: &str| {
        std::fs::write(repo.join("tree"), text).unwrap();
        let script = format!("git mktree < {}", repo.join("tree").display());
        let output = std::process::Command::new("sh").current_dir(repo).args(["-c", &script]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let folder = made(&listed);
    let root = git(repo, &["ls-tree", BRANCH]).replace(&tree("decisions"), &folder) + "\n";
    let root = made(&root);
    let who = ["-c", "user.name=slm", "-c", "user.email=slm@localhost"];
    let commit = git(repo, &[&who[..], &["commit-tree", &root, "-p", BRANCH, "-m", "x"]].concat());
    git(repo, &["update-ref", BRANCH, &commit]);
}

#[test]
fn a_run_on_broken_evidence_exits_by_that_and_records_nothing() {
    let (world, key) = recorded();
    let root = world.root();
    world.slm(&["verify", "--key", &key]).exits(0);
    let sound = git(&root, &["rev-parse", BRANCH]);
    let forged = forge(&root);
    let said = world.slm(&["apply", "--auto-approve"]).exits(7).says("and not in the log");
    assert!(!said.out.contains("Recorded as ") && said.err.contains(&sound[..12]), "{}{}", said.out, said.err);
    assert_eq!(git(&root, &["rev-parse", BRANCH]), forged, "nothing was signed on top of it");
    git(&root, &["update-ref", BRANCH, &sound]);
    world.slm(&["apply", "--auto-approve"]).exits(0).says("Recorded as ");
    world.slm(&["verify", "--key", &key]).exits(0);
}

#[test]
fn a_ref_that_remembers_no_checkpoint_is_named_with_what_forgets_it() {
    let alone = evidence();
    verified(alone.path()).exits(0);
    let junk = alone.path().join("junk");
    std::fs::write(&junk, "junk\n").unwrap();
    let junk = git(alone.path(), &["hash-object", "-w", &junk.to_string_lossy()]);
    for (name, target) in [("verified", &junk), ("appended", &junk)] {
        let name = format!("refs/slm/{name}/slm/evidence");
        let was = git(alone.path(), &["rev-parse", &name]);
        git(alone.path(), &["update-ref", &name, target]);
        let told = format!("`git update-ref -d {name}` forgets what was seen");
        let said = refused(alone.path(), 5, None);
        assert!(said.contains(&told), "{said}");
        if name.contains("verified") {
            verified(alone.path()).exits(1).says(&told);
            slm(alone.path(), &["--key", &vkey(1), "--no-memory"]).exits(0);
        }
        git(alone.path(), &["update-ref", "-d", &name]);
        verified(alone.path()).exits(0);
        git(alone.path(), &["update-ref", &name, &was]);
    }
}
