//! The collector of the config repository against repositories made with real git.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use slm::collectors::git::ConfigRepo;
use slm::model::catalog::GitSource;
use slm::model::snapshot::{Completeness, Fact, Population, Resource, Unseen};
use slm::model::time::{Limit, Timestamp};
use slm::world::{Clock, Collected, Collector as _};

use crate::support::{World, declared};

struct At(Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// The day of the tests; commits count days before it.
const TODAY: i64 = 1_795_000_000;

struct Repo {
    folder: tempfile::TempDir,
}

impl Repo {
    fn new() -> Self {
        let repo = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(repo.root()).unwrap();
        repo.git(0, &["init", "-q", "-b", "main"]);
        repo
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs git as somebody called `who` would, `days` ago.
    fn git_as(&self, who: &str, days: i64, arguments: &[&str]) -> String {
        let date = format!("{} +0000", TODAY - days * Limit::DAY);
        let mut command = Command::new("git");
        command.current_dir(self.root()).args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), who).env(format!("GIT_{role}_EMAIL"), format!("{who}@Example.org"));
            command.env(format!("GIT_{role}_DATE"), &date);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn git(&self, days: i64, arguments: &[&str]) -> String {
        self.git_as("ann", days, arguments)
    }

    /// Writes `path` and commits it `days` ago; returns the commit.
    fn change(&self, days: i64, path: &str, message: &str, more: &[&str]) -> String {
        let file = self.root().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, format!("{message} {days}\n")).unwrap();
        self.git(days, &["add", "-A"]);
        self.git(days, &[&["commit", "-q", "-m", message], more].concat());
        self.git(days, &["rev-parse", "HEAD"])
    }

    /// A key pair beside the repository; returns the arguments that sign with it.
    fn key(&self, name: &str) -> Vec<String> {
        let path = self.beside(name);
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(&path).status();
        assert!(made.unwrap().success());
        vec!["-c".into(), "gpg.format=ssh".into(), "-c".into(), format!("user.signingkey={}", path.display())]
    }

    fn signed(&self, key: &[String], days: i64, path: &str, message: &str) -> String {
        fs::create_dir_all(self.root().join(path).parent().unwrap()).unwrap();
        fs::write(self.root().join(path), message).unwrap();
        self.git(days, &["add", "-A"]);
        let mut arguments: Vec<&str> = key.iter().map(String::as_str).collect();
        arguments.extend(["commit", "-q", "-S", "-m", message]);
        self.git(days, &arguments);
        self.git(days, &["rev-parse", "HEAD"])
    }

    fn public(&self, name: &str) -> String {
        fs::read_to_string(self.beside(&format!("{name}.pub"))).unwrap()
    }

    async fn look(&self, settings: GitSource) -> Collected {
        let at = At(Timestamp::from_second(TODAY).unwrap());
        declared(ConfigRepo::new("repo".into(), settings, self.root(), "slm/evidence".to_owned()).collect(&at).await)
    }
}

fn settings() -> GitSource {
    GitSource {
        path: ".".to_owned(),
        branch: None,
        remote: None,
        allowed_signers: None,
        window: Limit::days(365),
        max_commits: 1_000,
        documents: Vec::new(),
    }
}

#[track_caller]
fn of<'a>(seen: &'a Collected, entity: &str) -> &'a Population {
    seen.populations.iter().find(|population| population.entity.as_str() == entity).unwrap_or_else(|| panic!("no {entity}"))
}

#[track_caller]
fn commit<'a>(seen: &'a Collected, id: &str) -> &'a Resource {
    let found = of(seen, "Git::Commit").resources.iter().find(|one| one.id.as_str() == format!("git:{id}"));
    found.unwrap_or_else(|| panic!("{id} is not in {:#?}", of(seen, "Git::Commit")))
}

#[track_caller]
fn cause(population: &Population) -> Unseen {
    match &population.completeness {
        Completeness::Incomplete { cause, .. } => *cause,
        Completeness::Complete => panic!("{} is complete", population.entity),
    }
}

fn yes(one: &Resource, name: &str) -> Option<bool> {
    match one.get(name) {
        Some(Fact::Bool(yes)) => Some(yes),
        _ => None,
    }
}

#[tokio::test]
async fn a_signature_counts_only_under_an_allowed_key_and_over_this_commit() {
    let repo = Repo::new();
    let (known, stranger) = (repo.key("known"), repo.key("stranger"));
    let good = repo.signed(&known, 9, "controls/a.toml", "good");
    let foreign = repo.signed(&stranger, 8, "controls/a.toml", "foreign");
    let bare = repo.change(7, "controls/a.toml", "bare", &[]);
    // The signature of `good` on a commit of other content.
    let text = repo.git(6, &["cat-file", "commit", &good]).replace("\n\ngood", "\n\nforged");
    fs::write(repo.beside("forged"), format!("{text}\n")).unwrap();
    let forged = repo.git(6, &["hash-object", "-t", "commit", "-w", repo.beside("forged").to_str().unwrap()]);
    repo.git(6, &["merge", "-q", "--no-ff", "--allow-unrelated-histories", "-s", "ours", "-m", "join", &forged]);
    fs::write(repo.beside("signers"), format!("# who\nann@example.org namespaces=\"git,file\" {}", repo.public("known"))).unwrap();

    let seen = repo.look(GitSource { allowed_signers: Some("../signers".to_owned()), ..settings() }).await;
    assert_eq!(seen.receipt.completeness, Completeness::Complete);
    for (id, word, verified) in
        [(&good, "good", true), (&foreign, "unknown-key", false), (&bare, "none", false), (&forged, "bad", false)]
    {
        let one = commit(&seen, id);
        assert_eq!((one.text("signature"), yes(one, "signature_verified")), (Some(word), Some(verified)), "{id}");
    }
    assert_eq!(commit(&seen, &good).text("signer"), Some("ann@example.org"));
    assert!(commit(&seen, &foreign).text("signing_key").unwrap().starts_with("SHA256:"));

    let unchecked = repo.look(settings()).await;
    let one = commit(&unchecked, &good);
    assert_eq!((one.text("signature"), yes(one, "signature_verified")), (Some("unchecked"), None), "nobody said whose key counts");
    assert_eq!(yes(commit(&unchecked, &bare), "signature_verified"), Some(false));
}

#[tokio::test]
async fn a_key_allowed_for_another_time_or_namespace_allows_nothing() {
    let repo = Repo::new();
    let key = repo.key("known");
    let id = repo.signed(&key, 0, "slm.toml", "x");
    let day = |days: i64| Timestamp::from_second(TODAY + days * Limit::DAY).unwrap().strftime("%Y%m%d").to_string();
    for (options, word) in [
        (String::new(), "good"),
        (format!("valid-before=\"{}\" ", day(2)), "good"),
        (format!("valid-before=\"{}\" ", day(-2)), "unknown-key"),
        (format!("valid-after={},valid-before=\"{}\" ", day(2), day(9)), "unknown-key"),
        ("namespaces=\"file\" ".to_owned(), "unknown-key"),
        ("cert-authority ".to_owned(), "unknown-key"),
    ] {
        fs::write(repo.beside("signers"), format!("\"ann@example.org,a b\" {options}{}", repo.public("known"))).unwrap();
        let seen = repo.look(GitSource { allowed_signers: Some("../signers".to_owned()), ..settings() }).await;
        assert_eq!(commit(&seen, &id).text("signature"), Some(word), "{options}");
    }
    for text in ["ann@example.org", "ann@example.org frobnicate ssh-ed25519 AAAA", "ann@example.org ssh-ed25519 nokey"] {
        fs::write(repo.beside("signers"), text).unwrap();
        let seen = repo.look(GitSource { allowed_signers: Some("../signers".to_owned()), ..settings() }).await;
        assert_eq!(cause(of(&seen, "Git::Commit")), Unseen::Unreachable, "{text}");
        assert_eq!(yes(commit(&seen, &id), "signature_verified"), None, "{text}");
    }
}

#[tokio::test]
async fn approvals_count_once_and_not_by_those_who_made_the_change() {
    let repo = Repo::new();
    let own = repo.change(9, "controls/a.toml", "own\n\nApproved-by: Ann <ANN@example.org>", &[]);
    let by_name = repo.change(8, "controls/a.toml", "name\n\nReviewed-by: ann", &[]);
    let other =
        repo.change(7, "controls/a.toml", "other\n\nReviewed-by: Bob <bob@example.org>\nApproved-by: B <Bob@example.org>", &[]);
    let elsewhere = repo.change(6, "README.md", "elsewhere", &[]);
    repo.git(5, &["checkout", "-q", "-b", "topic"]);
    let brought = repo.change(5, "policies/a.cedar", "brought", &[]);
    repo.git(4, &["checkout", "-q", "main"]);
    repo.change(4, "README.md", "aside", &[]);
    repo.git_as("cid", 3, &["merge", "-q", "--no-ff", "-m", "merge\n\nApproved-by: Cid <cid@example.org>", "topic"]);
    let merge = repo.git(3, &["rev-parse", "HEAD"]);

    let seen = repo.look(settings()).await;
    for (id, count, own) in [(&own, 0, true), (&by_name, 0, true), (&other, 1, false), (&brought, 1, false)] {
        let one = commit(&seen, id);
        assert_eq!((one.get("independent_approvals"), yes(one, "self_approved")), (Some(Fact::Long(count)), Some(own)), "{id}");
    }
    assert_eq!(commit(&seen, &brought).text("landed_by"), Some(merge.as_str()));
    assert_eq!(commit(&seen, &brought).text("author"), Some("ann <ann@example.org>"));
    let ids: Vec<&str> = of(&seen, "Git::Commit").resources.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids.len(), 4, "{ids:?}: neither {elsewhere} nor the merge changes the config");
}

#[tokio::test]
async fn a_commit_with_its_clock_set_back_is_still_seen_and_an_old_one_is_not() {
    let repo = Repo::new();
    let old = repo.change(500, "controls/a.toml", "old", &[]);
    let young = repo.change(10, "controls/a.toml", "young", &[]);
    let set_back = repo.change(4_000, "controls/a.toml", "set back", &[]);
    let seen = repo.look(settings()).await;
    commit(&seen, &young);
    commit(&seen, &set_back);
    assert_eq!(of(&seen, "Git::Commit").resources.len(), 2, "{old} is outside the window");
    let walk = &seen.receipt.operations[0];
    assert_eq!((walk.name.as_str(), walk.items), ("git:rev-list", 3));
    assert_eq!((walk.parameters["from"].as_str(), walk.parameters["to"].as_str()), (Some(set_back.as_str()), Some(old.as_str())));
}

#[tokio::test]
async fn what_cannot_be_read_to_its_end_is_incomplete_and_never_empty() {
    let repo = Repo::new();
    for days in [3, 2, 1] {
        repo.change(days, "controls/a.toml", "change", &[]);
    }
    let seen = repo.look(GitSource { max_commits: 2, ..settings() }).await;
    assert_eq!((cause(of(&seen, "Git::Commit")), of(&seen, "Git::Commit").resources.len()), (Unseen::NotCollected, 2));
    assert!(
        matches!(&seen.receipt.completeness, Completeness::Incomplete { detail, .. } if detail.contains("raise `max-commits`"))
    );

    let url = format!("file://{}", repo.root().display());
    repo.git(0, &["clone", "-q", "--depth", "1", &url, repo.beside("shallow").to_str().unwrap()]);
    let seen = repo.look(GitSource { path: "../shallow".to_owned(), ..settings() }).await;
    assert_eq!(cause(of(&seen, "Git::Commit")), Unseen::NotCollected);

    for wrong in
        [GitSource { path: "../nowhere".to_owned(), ..settings() }, GitSource { branch: Some("nope".to_owned()), ..settings() }]
    {
        let seen = repo.look(GitSource { documents: vec!["docs".to_owned()], ..wrong }).await;
        for entity in ["Git::Repo", "Git::Commit", "Slm::Exception", "Slm::Document"] {
            assert_eq!(cause(of(&seen, entity)), Unseen::Unreachable, "{entity}");
        }
    }
    let objects = repo.root().join(".git/objects");
    let lost = repo.git(0, &["rev-parse", "HEAD~1"]);
    fs::remove_file(objects.join(&lost[..2]).join(&lost[2..])).unwrap();
    let seen = repo.look(settings()).await;
    assert!(!of(&seen, "Git::Commit").completeness.is_complete(), "an object is gone");
}

#[tokio::test]
async fn a_remote_shows_what_is_local_only_and_what_it_refuses() {
    let repo = Repo::new();
    let first = repo.change(3, "controls/a.toml", "first", &[]);
    assert_eq!(of(&repo.look(settings()).await, "Git::Repo").resources[0].text("remote_state"), Some("none"));
    let bare = repo.beside("bare.git");
    repo.git(0, &["init", "-q", "--bare", "-b", "main", bare.to_str().unwrap()]);
    repo.git(0, &["remote", "add", "origin", bare.to_str().unwrap()]);
    let state = |seen: &Collected| of(seen, "Git::Repo").resources[0].text("remote_state").map(str::to_owned);
    assert_eq!(state(&repo.look(settings()).await).as_deref(), Some("lacks-branch"));
    repo.git(0, &["push", "-q", "origin", "main"]);
    assert_eq!(state(&repo.look(settings()).await).as_deref(), Some("contains-all"));
    let second = repo.change(1, "controls/a.toml", "second", &[]);
    let seen = repo.look(settings()).await;
    assert_eq!(state(&seen).as_deref(), Some("lacks-commits"));
    assert_eq!((yes(commit(&seen, &first), "on_remote"), yes(commit(&seen, &second), "on_remote")), (Some(true), Some(false)));
    let refuses = |seen: &Collected| {
        let one = &of(seen, "Git::Remote").resources[0];
        (yes(one, "blocks_force_push"), yes(one, "blocks_deletion"), yes(one, "archived"))
    };
    assert_eq!(refuses(&seen), (Some(false), Some(false), Some(false)));
    let set = |key: &str| repo.git(0, &["--git-dir", bare.to_str().unwrap(), "config", key, "true"]);
    set("receive.denyNonFastForwards");
    assert_eq!(refuses(&repo.look(settings()).await), (Some(true), Some(false), Some(false)));
    set("receive.denyDeletes");
    assert_eq!(refuses(&repo.look(settings()).await), (Some(true), Some(true), Some(false)));

    // Somebody else pushed: whether all of ours is in it cannot be told before it is fetched.
    let other = repo.beside("other");
    repo.git(0, &["clone", "-q", bare.to_str().unwrap(), other.to_str().unwrap()]);
    repo.git(0, &["-C", other.to_str().unwrap(), "commit", "-q", "--allow-empty", "-m", "theirs"]);
    repo.git(0, &["-C", other.to_str().unwrap(), "push", "-q", "origin", "main"]);
    let seen = repo.look(settings()).await;
    assert_eq!((cause(of(&seen, "Git::Repo")), state(&seen)), (Unseen::NotReady, None));
    assert_eq!(yes(commit(&seen, &first), "on_remote"), None);

    fs::rename(&bare, repo.beside("away")).unwrap();
    let seen = repo.look(settings()).await;
    assert_eq!((cause(of(&seen, "Git::Repo")), state(&seen)), (Unseen::Unreachable, None));
    assert_eq!(of(&seen, "Git::Commit").completeness, Completeness::Complete, "the commits are here");
    assert!(!of(&seen, "Git::Remote").completeness.is_complete());
}

#[tokio::test]
async fn exceptions_and_documents_show_who_asked_and_who_approved() {
    let repo = Repo::new();
    let file = "control = \"ROT-01\"\nreason = \"vendor\"\nrequester = \"one\"\napprover = \" two \"\napproved = 2026-01-01T00:00:00Z\nexpires = \"2026-03-01T00:00:00Z\"\n";
    repo.change(9, "docs/handbook/old.md", "old", &[]);
    repo.change(8, "docs/handbook/access.md", "access\n\nApproved-by: Bob <bob@example.org>", &[]);
    fs::create_dir_all(repo.root().join("exceptions")).unwrap();
    fs::write(repo.root().join("exceptions/vendor.toml"), file).unwrap();
    repo.change(7, "docs/other.md", "other", &[]);
    let documents = vec!["docs/handbook/".to_owned()];
    let seen = repo.look(GitSource { documents: documents.clone(), ..settings() }).await;
    let one = &of(&seen, "Slm::Exception").resources[0];
    assert_eq!(one.id.as_str(), "exception:vendor");
    assert_eq!((one.text("requester"), one.text("approver"), one.text("reason")), (Some("one"), Some("two"), Some("vendor")));
    assert_eq!(one.instant("approved_at"), Some("2026-01-01T00:00:00Z".parse().unwrap()));
    assert_eq!(one.instant("expires"), Some("2026-03-01T00:00:00Z".parse().unwrap()));
    let found: Vec<_> = of(&seen, "Slm::Document").resources.iter().map(|one| (one.id.as_str(), one.text("approver"))).collect();
    assert_eq!(found, [("document:docs/handbook/access.md", Some("bob@example.org")), ("document:docs/handbook/old.md", Some(""))]);
    let approved = of(&seen, "Slm::Document").resources[0].instant("approved_at").unwrap();
    assert_eq!(approved.as_second(), TODAY - 8 * Limit::DAY);
    fs::write(repo.root().join("exceptions/broken.toml"), "reason = ").unwrap();
    repo.change(6, "docs/other.md", "again", &[]);
    let seen = repo.look(settings()).await;
    assert_eq!(cause(of(&seen, "Slm::Exception")), Unseen::Inconsistent, "a file that is no TOML hides an exception");
    assert_eq!(of(&seen, "Slm::Exception").resources.len(), 1);
    assert!(!seen.populations.iter().any(|one| one.entity.as_str() == "Slm::Document"), "nobody said where documents are");
}

#[tokio::test]
async fn files_that_people_declare_something_with_show_who_brought_them_in_without_being_asked_for() {
    let repo = Repo::new();
    repo.change(9, "exceptions/slow.toml", "slow", &[]);
    repo.change(8, "attestations/GOV-01/2026.toml", "signed\n\nApproved-by: Bob <bob@example.org>", &[]);
    repo.change(7, "exceptions/slow.toml", "renewed", &[]);
    let tip = String::from_utf8(crate::support::git(&repo.root(), &["rev-parse", "HEAD"])).unwrap();
    let seen = repo.look(settings()).await;
    let found: Vec<_> = of(&seen, "Slm::Declared").resources.iter().map(|one| (one.id.as_str(), one.text("approver"))).collect();
    assert_eq!(
        found,
        [("declared:attestations/GOV-01/2026.toml", Some("bob@example.org")), ("declared:exceptions/slow.toml", Some(""))]
    );
    assert_eq!(of(&seen, "Slm::Declared").resources[1].text("commit"), Some(tip.trim()), "the one that changed it last");
}

#[test]
fn a_branch_that_was_rewound_since_the_last_run_is_a_breach() {
    let world = World::new();
    world.ship(&["CHG-16"]);
    world.write("slm.toml", "[source.here]\ngit = { path = \".\" }\n[tiers]\ndefault = \"a\"\nlimits = { a = \"30d\" }\n");
    world.commit();
    let status = || {
        let said = world.slm(&["status", "--format", "json"]).json();
        let controls = said["controls"].as_array().unwrap();
        controls.iter().find(|control| control["id"] == "CHG-16").unwrap()["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(status(), "no-evidence", "there is no earlier run to compare with");
    world.write("note", "1");
    world.commit();
    world.slm(&["apply", "--auto-approve"]);
    assert_eq!(status(), "compliant");
    world.write("note", "2");
    world.commit();
    assert_eq!(status(), "compliant", "it went on from what was seen");
    crate::support::git(&world.root(), &["reset", "-q", "--hard", "HEAD~2"]);
    assert_eq!(status(), "non-compliant");
    world.slm(&["explain", "CHG-16"]).says("rewound");
}
