//! The stages in order, as verbs need them: read, load, observe, evaluate, plan.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{Exit, Global, Trouble, approvals, attested, wire};
use crate::evaluate::{
    attestations::manual, evaluate, exceptions::exceptions, join::join, reconcile::reconcile, segregation::segregation,
};
use crate::host::clock::SystemClock;
use crate::host::{files, git, repo};
use crate::load::Files;
use crate::model::assessment::Assessment;
use crate::model::attestation::Manual;
use crate::model::blob::Blob;
use crate::model::catalog::Catalog;
use crate::model::diagnostic::{Diagnostic, Severity};
use crate::model::exception::Exceptions;
use crate::model::id::{CredentialId, RunId};
use crate::model::outcome::Run;
use crate::model::past::Noted;
use crate::model::plan::Plan;
use crate::model::preflight::Facts;
use crate::model::receipt::Receipt;
use crate::model::reconcile::Reconciled;
use crate::model::segregation::Segregation;
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use crate::observe::{Observed, observe};
use crate::plan::{Input, lint, plan};
use crate::policy::Rules;
use crate::policy::parse::Parsed;
use crate::record::canonical;
use crate::transport::aws::Sessions;
use crate::world::Clock as _;

/// What `slm check` looks at.
pub(super) struct Checked {
    pub files: BTreeMap<String, String>,
    pub catalog: Option<Catalog>,
    pub policies: Vec<Parsed>,
    pub diagnostics: Vec<Diagnostic>,
}

/// A config repo ready for use.
pub(super) struct Session {
    /// The verb it is for.
    pub verb: &'static str,
    pub catalog: Catalog,
    pub rules: Rules,
    /// The commit of the config repo, or `work-tree-` and a digest.
    pub config: String,
    /// What people declared about evidence: files of exceptions and attestations, each kept with every run.
    pub declared: BTreeMap<String, Blob>,
    pub at: Timestamp,
    /// How AWS is called.
    pub sessions: Sessions,
}

/// One look at the world, judged.
pub(super) struct Judged {
    /// What was observed, joined with the catalog.
    pub snapshot: Snapshot,
    /// SHA-256 of it as it was observed, without instants of our own clock.
    pub digest: String,
    /// Raw bytes by name, as named in the receipts.
    pub raw: Vec<(String, Blob)>,
    pub assessment: Assessment,
    /// What exceptions lift of it, and what is wrong with them.
    pub exceptions: Exceptions,
    /// What only a person can say, and whether one did.
    pub manual: Vec<Manual>,
    /// Attestations that name a population which the evidence does not have.
    pub unfounded: Vec<Noted>,
    /// Lists compared with what counts them independently.
    pub reconciled: Vec<Reconciled>,
    /// Whether one identity can change both policy and evidence.
    pub segregation: Vec<Segregation>,
    /// What was asked ahead of rotations.
    pub facts: Facts,
}

impl Judged {
    /// Requests sent to see this, by its receipts and for what was asked ahead of rotations.
    pub(super) fn requests(&self) -> u64 {
        self.snapshot.receipts.iter().map(Receipt::requests).sum::<u64>() + self.facts.requests
    }
}

/// The config files and those of Terraform, of the work tree or of `rev`.
pub(super) fn files_and_terraform(global: &Global, rev: Option<&str>) -> Result<BTreeMap<String, String>, Trouble> {
    if let Some(rev) = rev {
        return found(global, git::read_tree_with(&global.root, rev, files::is_terraform)?);
    }
    let mut all = files(global, None)?;
    all.extend(files::read_texts(&global.root, git::tracked(&global.root, files::TERRAFORM)?));
    Ok(all)
}

/// The config files of the work tree, or of `rev`.
pub(super) fn files(global: &Global, rev: Option<&str>) -> Result<BTreeMap<String, String>, Trouble> {
    let files = match rev {
        Some(rev) => git::read_tree(&global.root, rev)?,
        None => files::read_work_tree(&global.root)?,
    };
    found(global, files)
}

fn found(global: &Global, files: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Trouble> {
    if files.is_empty() {
        let error = format!("`{}` holds no config repo; run `slm init` there, or name one with `--root`", global.root.display());
        return Err(Trouble { exit: Exit::Invalid, error: error.into() });
    }
    Ok(files)
}

/// The commit that `files` are, or a name made of what is in them. Asking git whether the work tree is clean costs more than
/// checking the config, so only what is bound to a commit asks.
pub(super) fn name(global: &Global, rev: Option<&str>, files: &BTreeMap<String, String>) -> Result<String, Trouble> {
    if let Some(rev) = rev {
        return Ok(repo::resolve(&global.root, rev)?);
    }
    let clean = git::head_commit(&global.root)?.filter(|_| git::config_is_clean(&global.root).unwrap_or(false));
    clean.map_or_else(|| work_tree(files), Ok)
}

/// Names a config that is no commit by what is in it, so that a saved plan is bound to it all the same.
fn work_tree(files: &BTreeMap<String, String>) -> Result<String, Trouble> {
    Ok(format!("work-tree-{}", hex(&Sha256::digest(canonical::json(files)?))))
}

/// Loads `files` as of now.
pub(super) fn load(files: BTreeMap<String, String>) -> Checked {
    load_at(files, SystemClock.now())
}

/// Loads `files` as of `at`.
pub(super) fn load_at(files: BTreeMap<String, String>, at: Timestamp) -> Checked {
    let files = Files(files);
    let loaded = crate::load::load_against(&files, at, Some(&wire::observed()));
    Checked { files: files.0, catalog: loaded.catalog, policies: loaded.policies, diagnostics: loaded.diagnostics }
}

/// A session of `verb` on a valid config repo.
pub(super) fn open(global: &Global, verb: &'static str, rev: Option<&str>) -> Result<Session, Trouble> {
    let files = files(global, rev)?;
    let config = name(global, rev, &files)?;
    let declared = files
        .iter()
        .filter(|(path, _)| is_declared(path))
        .map(|(path, text)| (path.clone(), Blob::from(text.clone().into_bytes())));
    let declared = declared.collect();
    let checked = load(files);
    let Some(catalog) = checked.catalog else {
        let errors = checked.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count() as u64;
        let error = format!("the config repo has {}; run `slm check`", crate::report::words::count(errors, "error"));
        return Err(Trouble { exit: Exit::Invalid, error: error.into() });
    };
    let rules = Rules::of(&catalog, &checked.policies)?;
    let sessions = wire::sessions(&catalog);
    Ok(Session { verb, catalog, rules, config, declared, at: SystemClock.now(), sessions })
}

fn is_declared(path: &str) -> bool {
    ["exceptions/", "attestations/"].iter().any(|folder| path.starts_with(folder)) && path.ends_with(".toml")
}

impl Session {
    /// Observes everything in scope and judges it as of when all was seen: what comes about while a run looks is not in its future.
    pub(super) async fn judge(&self, global: &Global) -> Result<Judged, Trouble> {
        let collectors = wire::collectors(&self.catalog, &global.root, &self.sessions).await;
        let stage = format!("observing {}", crate::report::words::count(collectors.len() as u64, "scope"));
        let progress = global.progress(stage, collectors.len());
        let concurrency = usize::from(self.catalog.settings.limits.concurrency);
        let Observed { snapshot, raw } = observe(&collectors, &SystemClock, concurrency, &|| progress.tick(1)).await;
        drop(progress);
        for receipt in &snapshot.receipts {
            let (complete, requests) = (receipt.completeness.is_complete(), receipt.requests());
            tracing::info!(source = %receipt.source, collector = receipt.collector, scope = receipt.scope, complete, requests, "collected");
        }
        let digest = digest(&snapshot)?;
        let mut snapshot = join(&self.catalog, snapshot);
        let reconciled = reconcile(&self.catalog, &mut snapshot);
        let segregation = segregation(&self.catalog, &snapshot);
        // INVARIANT: `slm check` judges by what collectors declare, so what they bring home is declared.
        debug_assert!(wire::undeclared(&snapshot).is_empty(), "not declared: {:?}", wire::undeclared(&snapshot));
        let assessment = evaluate(&self.catalog, &self.rules, &snapshot, SystemClock.now());
        let mut exceptions = exceptions(&self.catalog, &snapshot, &assessment);
        approvals::count(&global.root, &self.catalog.settings.locker.branch, &self.catalog, &mut exceptions);
        let mut manual = manual(&self.catalog, &snapshot, assessment.at);
        let unfounded = attested::confirm(&global.root, &self.catalog, assessment.at, &mut manual);
        let facts = Facts::default();
        Ok(Judged { snapshot, digest, raw, assessment, exceptions, manual, unfounded, reconciled, segregation, facts })
    }

    /// Requests to AWS and to GitHub up to now, whatever for: roles assumed, and what was asked by applying, as well.
    pub(super) fn sent(&self) -> u64 {
        self.sessions.budget().taken()
    }

    /// What a plan is made from.
    pub(super) fn input<'a>(&'a self, judged: &'a Judged, forced: &'a [CredentialId]) -> Input<'a> {
        Input {
            catalog: &self.catalog,
            rules: &self.rules,
            snapshot: &judged.snapshot,
            assessment: &judged.assessment,
            config: self.config.clone(),
            digest: judged.digest.clone(),
            forced,
            facts: &judged.facts,
        }
    }

    /// Makes and lints the plan.
    pub(super) fn plan(&self, judged: &Judged, forced: &[CredentialId]) -> Result<Plan, Trouble> {
        let made = plan(&self.input(judged, forced));
        refuse_bad(&made, &self.catalog)?;
        Ok(made)
    }

    /// The run that this is.
    pub(super) fn run(&self) -> Run {
        let verb = self.verb;
        let stamp = self.at.strftime("%Y%m%dT%H%M%SZ").to_string();
        let hash = Sha256::digest(format!("{verb} {} {} {}", self.config, self.at, std::process::id()));
        let id = RunId::from(format!("{stamp}-{}", hex(&hash[..4])));
        Run { id, verb: verb.to_owned(), slm: env!("CARGO_PKG_VERSION").to_owned(), config: self.config.clone(), at: self.at }
    }
}

/// Refuses a plan that breaks an invariant.
pub(super) fn refuse_bad(plan: &Plan, catalog: &Catalog) -> Result<(), Trouble> {
    let wrong = lint::lint(plan, catalog);
    if wrong.is_empty() { Ok(()) } else { Err(format!("the plan is not sound: {}", wrong.join("; ")).into()) }
}

/// SHA-256 of what was observed, without instants of our own clock.
fn digest(snapshot: &Snapshot) -> Result<String, Trouble> {
    let mut hash = Sha256::new();
    canonical::populations(&snapshot.populations, |bytes| hash.update(bytes))?;
    Ok(hex(&hash.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How a look at the world ended: incomplete when a source was not seen whole, or a control has no evidence.
pub(super) fn exits(judged: &Judged) -> Vec<Exit> {
    let unseen = judged.snapshot.receipts.iter().any(|receipt| !receipt.completeness.is_complete());
    if unseen || !judged.assessment.gaps.is_empty() { vec![Exit::Incomplete] } else { vec![Exit::Clean] }
}

/// What was not seen, for people; empty when everything was.
pub(super) fn blind_spots(judged: &Judged, controls: usize) -> String {
    let mut text = String::new();
    for receipt in judged.snapshot.receipts.iter().filter(|receipt| !receipt.completeness.is_complete()) {
        text.push_str(&format!("Source {} {} {} was not seen whole.\n", receipt.source, receipt.collector, receipt.scope));
    }
    if !judged.assessment.gaps.is_empty() {
        text.push_str(&format!("{} of {controls} controls have no evidence; see `slm status`.\n", judged.assessment.gaps.len()));
    }
    text
}

/// Runs `future` on a runtime of its own.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Trouble> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    Ok(runtime.block_on(future))
}
