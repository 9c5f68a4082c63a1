//! The config repository itself: its branch as `Git::Repo`, its changes as `Git::Commit`, a local remote as `Git::Remote`, its
//! exceptions as `Slm::Exception`, its policy documents as `Slm::Document`, and of each file that people declare something with who brought it
//! in (`Slm::Declared`). Nothing is written or fetched.

#![expect(clippy::disallowed_methods, reason = "the list of allowed signers is a file")]

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value as Json, json};

use super::git_facts::{self, Facts};
use crate::model::catalog::GitSource;
use crate::model::id::{EntityType, ResourceId, SourceId};
use crate::model::receipt::{Operation, Receipt};
use crate::model::snapshot::{Attribute, Completeness, Population, Resource, Unseen, Value};
use crate::model::time::Timestamp;
use crate::transport::git::{DETACHED, Git, History, remote_tip};
use crate::transport::git_signature::AllowedSigners;
use crate::world::{Clock, Collected, Collector, ErrorClass, WorldError};

/// The remote looked at when none is named.
const REMOTE: &str = "origin";
const REPO: &str = "Git::Repo";
const COMMIT: &str = "Git::Commit";
const DISTANT: &str = "Git::Remote";
const EXCEPTION: &str = "Slm::Exception";
const DOCUMENT: &str = "Slm::Document";
const DECLARED: &str = "Slm::Declared";

/// Entity types and the attributes this collector can observe of them.
pub const EMITS: &[(&str, &[&str])] = &[
    (
        "Git::Commit",
        &[
            "approvers",
            "author",
            "committed_at",
            "committer",
            "independent_approvals",
            "is_merge",
            "landed_at",
            "landed_by",
            "on_remote",
            "self_approved",
            "signature",
            "signature_verified",
            "signer",
            "signing_key",
        ],
    ),
    ("Git::Remote", &["archived", "blocks_deletion", "blocks_force_push"]),
    ("Git::Repo", &["branch", "is_config_repo", "remote_state", "rewound", "tip"]),
    ("Slm::Declared", &["approver", "author", "commit"]),
    ("Slm::Document", &["approved_at", "approver", "author"]),
    ("Slm::Exception", &["approved_at", "approver", "expires", "reason", "requester"]),
];

/// Observes one repository.
pub struct ConfigRepo {
    source: SourceId,
    settings: GitSource,
    root: PathBuf,
    locker: String,
}

impl ConfigRepo {
    /// Observes the repository of `settings` for the config repo at `root`, whose evidence is on the branch `locker`.
    #[must_use]
    pub fn new(source: SourceId, settings: GitSource, root: PathBuf, locker: String) -> Self {
        Self { source, settings, root, locker }
    }
}

/// What was found so far.
#[derive(Default)]
struct Draft {
    operations: Vec<Operation>,
    populations: Vec<(&'static str, Completeness, Vec<Resource>)>,
}

impl Draft {
    fn did(&mut self, name: &str, parameters: Json, items: usize) {
        let (name, items) = (name.to_owned(), items as u64);
        self.operations.push(Operation { name, parameters, pages: 1, requests: 1, items, request_ids: Vec::new() });
    }

    fn put(&mut self, entity: &'static str, found: Result<(Completeness, Vec<Resource>), WorldError>) {
        let (completeness, mut resources) = found.unwrap_or_else(|error| (incomplete(&error), Vec::new()));
        resources.sort_by(|a, b| a.id.cmp(&b.id));
        self.populations.push((entity, completeness, resources));
    }

    fn worst(&self) -> Completeness {
        let partial = self.populations.iter().find(|(_, completeness, _)| !completeness.is_complete());
        partial.map_or(Completeness::Complete, |(_, completeness, _)| completeness.clone())
    }
}

#[async_trait]
impl Collector for ConfigRepo {
    fn name(&self) -> &'static str {
        "git"
    }

    fn source(&self) -> &SourceId {
        &self.source
    }

    fn scope(&self) -> &'static str {
        "."
    }

    async fn collect(&self, clock: &dyn Clock) -> Collected {
        let started = clock.now();
        // Asked first and by name alone, because nothing of libgit2 may be held over an await.
        let remote = self.ask_remote().await;
        let mut draft = Draft::default();
        if let Err(error) = self.read(&mut draft, remote, started) {
            for entity in [REPO, COMMIT, EXCEPTION, DECLARED] {
                draft.populations.push((entity, incomplete(&error), Vec::new()));
            }
            if !self.settings.documents.is_empty() {
                draft.populations.push((DOCUMENT, incomplete(&error), Vec::new()));
            }
        }
        let completeness = draft.worst();
        let of = |(entity, completeness, resources)| Population {
            source: self.source.clone(),
            scope: self.scope().to_owned(),
            entity: EntityType::from(entity),
            completeness,
            resources: Arc::new(resources),
        };
        let receipt = Receipt {
            source: self.source.clone(),
            collector: self.name().to_owned(),
            scope: self.scope().to_owned(),
            caller: None,
            completeness,
            operations: draft.operations,
            independent_count: None,
            source_clock: None,
            effective: None,
            started,
            ended: clock.now(),
            raw: Vec::new(),
        };
        Collected { populations: draft.populations.into_iter().map(of).collect(), receipt, raw: Vec::new() }
    }
}

/// The remote's name and where its branch is; `None` without a remote.
type Remote = Option<(String, Result<Option<git2::Oid>, WorldError>)>;

impl ConfigRepo {
    fn path(&self) -> PathBuf {
        self.root.join(&self.settings.path)
    }

    async fn ask_remote(&self) -> Remote {
        let (name, branch) = {
            let git = Git::open(&self.path()).ok()?;
            let name = self.settings.remote.clone().or_else(|| git.knows(REMOTE).then(|| REMOTE.to_owned()))?;
            let branch = git.tip(self.settings.branch.as_deref(), Some(&name)).ok()?.0;
            (name, branch)
        };
        if branch == DETACHED {
            let (operation, cause) = (format!("compare with the remote `{name}`"), "no branch is checked out: name one".to_owned());
            return Some((name, Err(WorldError { class: ErrorClass::Permanent, operation, cause })));
        }
        let tip = remote_tip(&self.path(), &name, &branch).await;
        Some((name, tip))
    }

    fn read(&self, draft: &mut Draft, remote: Remote, now: Timestamp) -> Result<(), WorldError> {
        let git = Git::open(&self.path())?;
        let name = remote.as_ref().map(|(name, _)| name.as_str());
        let (branch, tip) = git.tip(self.settings.branch.as_deref(), name)?;
        let history = git.history(tip, self.settings.max_commits as usize)?;
        let since = now.as_second().saturating_sub(self.settings.window.as_seconds());
        let parameters = json!({
            "branch": branch, "from": tip.to_string(), "since": Timestamp::from_second(since).ok(),
            "max-commits": self.settings.max_commits, "to": history.nodes.last().map(|node| node.id.to_string()),
        });
        draft.did("git:rev-list", parameters, history.nodes.len());
        let theirs = match &remote {
            Some((name, answer)) => {
                let tip = answer.as_ref().ok().copied().flatten();
                let parameters = json!({ "remote": name, "branch": branch, "tip": tip.map(|id| id.to_string()) });
                draft.did("git:ls-remote", parameters, usize::from(tip.is_some()));
                Some(answer.as_ref().copied())
            }
            None => None,
        };
        let seen = self.seen(&git, &history);
        let (signers, unreadable) = self.signers();
        let prefix = git.prefix(&self.root);
        let facts =
            Facts { git: &git, history: &history, signers: signers.as_ref(), prefix: prefix.as_deref().unwrap_or_default() };
        draft.put(
            REPO,
            self.repo(&git, (&branch, tip), theirs, prefix.is_some()).map(|(partial, found)| (worse(seen.clone(), partial), found)),
        );
        let commits = git_facts::commits(&facts, since, theirs.and_then(Result::ok).flatten());
        draft.did(
            "git:cat-file",
            json!({ "paths": git_facts::PATHS, "since": Timestamp::from_second(since).ok() }),
            commits.as_ref().map_or(0, Vec::len),
        );
        draft.put(COMMIT, commits.map(|found| (worse(seen.clone(), unreadable), found)));
        let exceptions = git_facts::exceptions(&facts, tip);
        draft.did("git:cat-file", json!({ "folder": "exceptions" }), exceptions.as_ref().map_or(0, |(_, found)| found.len()));
        draft.put(EXCEPTION, exceptions);
        let declared = git_facts::declared(&facts, tip);
        draft.did("git:log", json!({ "folders": git_facts::DECLARED }), declared.as_ref().map_or(0, Vec::len));
        draft.put(DECLARED, declared.map(|found| (seen.clone(), found)));
        if !self.settings.documents.is_empty() {
            let documents = git_facts::documents(&facts, tip, &self.settings.documents);
            let count = documents.as_ref().map_or(0, Vec::len);
            draft.did("git:log", json!({ "documents": self.settings.documents }), count);
            draft.put(DOCUMENT, documents.map(|found| (seen, found)));
        }
        if let Some(name) = name {
            self.remote(&git, name, draft);
        }
        Ok(())
    }

    /// Whether the walk saw all there is.
    fn seen(&self, git: &Git, history: &History) -> Completeness {
        let cut = |detail: String| Completeness::Incomplete { cause: Unseen::NotCollected, detail };
        if git.is_shallow() {
            return cut("the clone is shallow: fetch all of its history".to_owned());
        }
        if history.bounded {
            let oldest = history.nodes.last().map(|node| node.id.to_string()).unwrap_or_default();
            return cut(format!("stopped after {} commits at {oldest}: raise `max-commits`", self.settings.max_commits));
        }
        Completeness::Complete
    }

    /// The allowed signers; without a file signatures are only found, not checked.
    fn signers(&self) -> (Option<AllowedSigners>, Completeness) {
        let Some(path) = &self.settings.allowed_signers else { return (None, Completeness::Complete) };
        let text = std::fs::read_to_string(self.root.join(path)).map_err(|error| error.to_string());
        match text.and_then(|text| AllowedSigners::parse(&text)) {
            Ok(signers) => (Some(signers), Completeness::Complete),
            Err(error) => {
                let detail = format!("could not read the allowed signers `{path}`: {error}");
                (None, Completeness::Incomplete { cause: Unseen::Unreachable, detail })
            }
        }
    }

    fn repo(
        &self,
        git: &Git,
        (branch, tip): (&str, git2::Oid),
        theirs: Option<Result<Option<git2::Oid>, &WorldError>>,
        is_config_repo: bool,
    ) -> Result<(Completeness, Vec<Resource>), WorldError> {
        let id = ResourceId::from(format!("git:{}/{branch}", self.source));
        let text = |text: &str| Value::Text(Arc::from(text));
        let mut attributes: Vec<Attribute> = vec![
            ("branch".into(), text(branch)),
            ("tip".into(), text(&tip.to_string())),
            ("is_config_repo".into(), Value::Bool(is_config_repo)),
        ];
        let rewound = git_facts::last_tip(git, &self.locker, &id).filter(|_| !git.is_shallow());
        attributes.extend(rewound.map(|last| ("rewound".into(), Value::Bool(git.contains(tip, last) != Some(true)))));
        let (state, partial) = match theirs {
            None => (Some("none"), Completeness::Complete),
            Some(Err(error)) => (None, incomplete(error)),
            Some(Ok(None)) => (Some("lacks-branch"), Completeness::Complete),
            Some(Ok(Some(theirs))) => match git.contains(theirs, tip) {
                Some(true) => (Some("contains-all"), Completeness::Complete),
                Some(false) => (Some("lacks-commits"), Completeness::Complete),
                None => (None, unfetched()),
            },
        };
        attributes.extend(state.map(|state| ("remote_state".into(), text(state))));
        Ok((partial, vec![Resource::new(id, attributes)]))
    }

    /// A remote on this machine says what it refuses; another is for a collector of its host.
    fn remote(&self, git: &Git, name: &str, draft: &mut Draft) {
        let found = match git.refuses(name) {
            Ok(None) => return,
            Ok(Some(refuses)) => {
                let attributes: Vec<Attribute> = vec![
                    ("archived".into(), Value::Bool(false)),
                    ("blocks_deletion".into(), Value::Bool(refuses.deleting)),
                    ("blocks_force_push".into(), Value::Bool(refuses.rewinding)),
                ];
                let id = ResourceId::from(format!("git:{}/remotes/{name}", self.source));
                Ok((Completeness::Complete, vec![Resource::new(id, attributes)]))
            }
            Err(error) => Err(error),
        };
        draft.did("git:config", json!({ "remote": name, "keys": ["receive.denyNonFastForwards", "receive.denyDeletes"] }), 1);
        draft.put(DISTANT, found);
    }
}

fn unfetched() -> Completeness {
    let detail = "the remote's branch has commits that are not here: fetch them".to_owned();
    Completeness::Incomplete { cause: Unseen::NotReady, detail }
}

fn worse(one: Completeness, other: Completeness) -> Completeness {
    if one.is_complete() { other } else { one }
}

fn incomplete(error: &WorldError) -> Completeness {
    let cause = match error.class {
        ErrorClass::Denied => Unseen::Denied,
        ErrorClass::Permanent | ErrorClass::Unfit => Unseen::Inconsistent,
        ErrorClass::NotFound | ErrorClass::Conflict | ErrorClass::Transient => Unseen::Unreachable,
    };
    Completeness::Incomplete { cause, detail: error.to_string() }
}
