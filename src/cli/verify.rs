//! `slm verify`: what of the evidence in a locker can be believed, from a clone alone.

#![expect(clippy::disallowed_methods, reason = "it reads the keys and checkpoints that it is told of")]

use std::path::{Path, PathBuf};

use serde_json::json;

use super::verify_anchors::{self, Anchors, Log, Told};
use super::{Exit, Global, Said, Trouble, objects, pipeline, verify_bundle, wire};
use crate::host::clock::SystemClock;
use crate::host::tips;
use crate::host::verify::{self, Read};
use crate::model::catalog::LockerSettings;
use crate::model::locker::LogSettings;
use crate::model::time::{Limit, Timestamp};
use crate::record::anchored::Shown;
use crate::record::cadence::{self, Window};
use crate::record::keys::{self, Key};
use crate::record::ledger::Standing;
use crate::record::log::Verifier;
use crate::record::seen::{self, Unbelieved};
use crate::record::verify::{Finding, Remark};
use crate::report;
use crate::transport::git_signature::{AllowedSigners, Signature};
use crate::world::{Clock as _, WorldError};

/// Arguments of `slm verify`.
#[derive(clap::Args, Default)]
pub struct Args {
    /// A clone that has the evidence, or a bundle; the config repo itself when absent
    #[arg(value_name = "CLONE|BUNDLE")]
    clone: Option<PathBuf>,
    /// Branch of the evidence; from `slm.toml` when absent
    #[arg(long)]
    branch: Option<String>,
    /// Verifier key to trust, or a file of them, a line each; those of `slm.toml` when absent
    #[arg(long, value_name = "VKEY|FILE")]
    key: Vec<String>,
    /// A checkpoint that was seen before, which the log must go on from
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// Allowed signers, as `ssh-keygen` reads them: every commit must be signed by one of them
    #[arg(long, value_name = "FILE")]
    signers: Option<PathBuf>,
    /// Authorities in PEM that vouch for timestamps; those of each anchor in `slm.toml` when absent
    #[arg(long, value_name = "FILE")]
    tsa_ca: Option<PathBuf>,
    /// How often a run is due, as in `26h`; that of `slm.toml` when absent
    #[arg(long, value_name = "TIME")]
    cadence: Option<Limit>,
    /// Folder with the objects that the evidence points to; the store of `slm.toml` when absent
    #[arg(long, value_name = "FOLDER")]
    objects: Option<PathBuf>,
    /// Ask the anchors of `slm.toml` that keep checkpoints which they have, and its bucket of objects
    #[arg(long)]
    online: bool,
    /// Neither compare with the checkpoint that was verified here before nor remember this one
    #[arg(long)]
    no_memory: bool,
}

impl Args {
    /// Everything in the config repo, by whoever trusts `key`.
    pub(super) fn trusting(key: &str) -> Self {
        Self { key: vec![key.to_owned()], ..Self::default() }
    }
}

/// How the evidence was judged.
struct Judged {
    read: Read,
    findings: Vec<Finding>,
    remarks: Vec<Remark>,
    /// What was not to be had, so that less is proven.
    unproven: Vec<Remark>,
    compared: usize,
    /// What each anchor adds.
    anchors: Vec<Told>,
    /// Objects that hold what they must, and bytes in them.
    objects: (u64, u64),
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    let root = args.clone.as_deref().unwrap_or(&global.root);
    let session = session(global)?;
    let settings = session.as_ref().map(|session| session.catalog.settings.locker.clone()).unwrap_or_default();
    let branch = args.branch.as_deref().unwrap_or(&settings.branch);
    let pins = pins(args, &settings.log)?;
    let cadence = args.cadence.or(settings.log.cadence);
    let ca = args.tsa_ca.as_deref().map(verify_anchors::authorities).transpose()?;
    let asked = Anchors { global, session: session.as_ref(), pins: &pins, ca, online: args.online };
    if root.is_file() {
        of_clones(args)?;
        return verify_bundle::run(root, &asked, &args.checkpoint, cadence);
    }
    let signers =
        args.signers.as_ref().map(|path| -> Result<_, Trouble> { Ok(AllowedSigners::parse(&std::fs::read_to_string(path)?)?) });
    let signers = signers.transpose()?;
    let signed = |signature: Option<(&str, &[u8])>, at: Timestamp| bad_signature(signers.as_ref()?, signature, at);
    let read = verify::history(root, branch, signers.is_some().then_some(&signed)).map_err(unseen)?;
    let mut judged = judge(args, root, branch, cadence, &pins, read)?;
    if judged.findings.is_empty() && judged.read.chain.origin().is_some() {
        let chain = &judged.read.chain;
        let files = verify_anchors::filed(root, branch, &judged.read.anchors)?;
        let log = Log {
            shown: Shown { entries: chain.head().size, sealed: chain.sealed() },
            keys: chain.keys(),
            files: &files,
            extends: &|seen| chain.extends(seen),
        };
        let verify_anchors::Judged { told, findings, remarks, unproven } = verify_anchors::judge(&asked, &log)?;
        judged.anchors = told;
        judged.findings.extend(findings);
        judged.remarks.extend(remarks);
        judged.unproven.extend(unproven);
        let objects::Judged { findings, unproven, held } = objects::judge(&judged.read, store(args, global, session.as_ref())?)?;
        judged.findings.extend(findings);
        judged.unproven.extend(unproven);
        judged.objects = held;
    }
    let mut exits = Vec::new();
    if !judged.findings.is_empty() {
        exits.push(Exit::Integrity);
    } else if !judged.unproven.is_empty() {
        exits.push(Exit::Incomplete);
    } else {
        exits.push(Exit::Clean);
        if !args.no_memory
            && let Some(commit) = tips::published(root, branch, &judged.read.tip)?
        {
            verify::remember(root, branch, commit)?;
        }
    }
    let human = human(branch, &judged);
    Ok(Said::new(exits, human, to_json(branch, &judged)))
}

/// A clone that has not all of the evidence shows nothing, neither that it holds nor that it does not.
fn unseen(error: WorldError) -> Trouble {
    let exit = if error.operation == tips::PARTLY { Exit::Incomplete } else { Exit::Failed };
    Trouble { exit, error: error.into() }
}

/// The locker of the config repo; of a clone without one, what is so by default.
pub(super) fn settings(global: &Global) -> Result<LockerSettings, Trouble> {
    Ok(session(global)?.map(|session| session.catalog.settings.locker).unwrap_or_default())
}

/// The config repo; `None` in a clone without one, for which everything is so by default.
fn session(global: &Global) -> Result<Option<pipeline::Session>, Trouble> {
    if !global.root.join("slm.toml").exists() {
        return Ok(None);
    }
    pipeline::open(global, "verify", None).map(Some)
}

/// Where the objects are that the evidence points to.
fn store<'a>(args: &Args, global: &Global, session: Option<&pipeline::Session>) -> Result<objects::Place<'a>, Trouble> {
    if let Some(folder) = &args.objects {
        return Ok(objects::Place::Store(Ok(wire::folder_of(folder))));
    }
    let declared = session.and_then(|session| Some((session, session.catalog.settings.locker.objects.as_ref()?)));
    let Some((session, settings)) = declared else {
        return Ok(objects::Place::Nowhere("no store of objects is known here; give a copy of it with `--objects`"));
    };
    if settings.s3.is_some() && !args.online {
        return Ok(objects::Place::Nowhere("they are in a bucket; `--online` asks it, `--objects` looks at a copy"));
    }
    let reach = wire::Reach::to_look(session, &global.root);
    Ok(objects::Place::Store(pipeline::block_on(wire::objects(&reach, settings))?))
}

fn pins(args: &Args, log: &LogSettings) -> Result<Vec<Verifier>, Trouble> {
    let mut lines = Vec::new();
    for key in &args.key {
        match std::fs::read_to_string(key) {
            Ok(text) => lines.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned)),
            Err(_) => lines.push(key.clone()),
        }
    }
    let lines = if args.key.is_empty() { log.trust.clone() } else { lines };
    let parse = |line: &String| Verifier::parse(line).map_err(|error| format!("`{line}` cannot be trusted: {error}").into());
    lines.iter().map(parse).collect()
}

/// What is wrong with the signature of a commit, if anything.
fn bad_signature(allowed: &AllowedSigners, signature: Option<(&str, &[u8])>, at: Timestamp) -> Option<String> {
    let checked = signature.map_or(Signature::Absent, |(armour, bytes)| allowed.check(armour, bytes, at));
    (!matches!(checked, Signature::Good(_))).then(|| format!("the signature of the commit is: {}", checked.word()))
}

/// Refuses what a bundle has nothing for, rather than to look as if it had been looked at.
fn of_clones(args: &Args) -> Result<(), Trouble> {
    let Args { branch, signers, objects, .. } = args;
    let given = [("--branch", branch.is_some()), ("--signers", signers.is_some()), ("--objects", objects.is_some())];
    let why = "looks at a clone, and a bundle has no commits and brings its own objects; give it with a clone of the locker";
    let refused = given.iter().find(|(_, given)| *given);
    refused.map_or(Ok(()), |(flag, _)| Err(Trouble { exit: Exit::Usage, error: format!("`{flag}` {why}").into() }))
}

fn judge(args: &Args, root: &Path, branch: &str, cadence: Option<Limit>, pins: &[Verifier], read: Read) -> Result<Judged, Trouble> {
    let mut findings: Vec<Finding> = read.finding.clone().into_iter().collect();
    let (mut remarks, mut unproven) = ([read.notes.clone(), read.chain.remarks().to_vec()].concat(), Vec::new());
    let mut compared = 0;
    if findings.is_empty() {
        let believed = keys::trusted(read.chain.keys(), pins, read.chain.head().size);
        let keys = if believed.is_ok() { read.chain.keys() } else { &[] };
        let (mut seen, strange) = seen(&args.checkpoint, keys, pins)?;
        if !args.no_memory
            && let Some(remembered) = verify::remembered(root, branch)?
        {
            // It was believed when it was written down.
            seen.push(remembered.standing);
        }
        compared = seen.len();
        findings.extend(seen.iter().filter_map(|seen| read.chain.extends(seen).err()));
        findings.extend(if args.no_memory { None } else { tips::set_back(root, branch)? });
        if findings.is_empty() && !args.no_memory {
            findings.extend(tips::made_anew(root, branch, &read.tip)?);
        }
        match believed {
            Ok(true) => {}
            Ok(false) => unproven.push(unpinned(read.chain.keys().is_empty())),
            Err(error) => findings.push(Finding::of_all("slm::evidence-untrusted-key", error.to_string())),
        }
        findings.extend(strange);
        if read.chain.origin().is_none() && pins.is_empty() {
            unproven.push(Remark {
                code: "slm::evidence-without-log",
                what: "the locker has no log yet: nothing in it is proven".to_owned(),
            });
        }
    }
    if read.unlogged > 0 {
        let what = format!(
            "{} before the log began, each vouched for only as it was then",
            report::words::count(read.unlogged as u64, "commit")
        );
        remarks.push(Remark { code: "slm::evidence-before-log", what });
    }
    let window = Window { from: None, until: SystemClock.now(), end: "now".to_owned() };
    let (gaps, stale) = cadence::judge(read.chain.runs(), cadence, &window);
    remarks.extend(gaps);
    unproven.extend(stale);
    Ok(Judged { read, findings, remarks, unproven, compared, anchors: Vec::new(), objects: (0, 0) })
}

pub(super) fn unpinned(unsigned: bool) -> Remark {
    let what = if unsigned {
        "no key signs the log: whoever may write it may have made all of it anew"
    } else {
        "the key of the log is the log's own word: give the one you were told elsewhere with `--key`"
    };
    Remark { code: "slm::evidence-unpinned", what: what.to_owned() }
}

/// The checkpoints in `files`, that the log must go on from, and what is wrong with those that nobody signed who is known here.
pub(super) fn seen(files: &[PathBuf], keys: &[Key], pins: &[Verifier]) -> Result<(Vec<Standing>, Vec<Finding>), Trouble> {
    let (mut all, mut strange) = (Vec::new(), Vec::new());
    for path in files {
        let told = |error: &dyn std::fmt::Display| format!("`{}` cannot be compared with: {error}", path.display());
        let note = std::fs::read(path).map_err(|error| told(&error))?;
        match seen::believed(&note, keys, pins) {
            Ok(standing) => all.push(standing),
            Err(Unbelieved::Strange) => strange.push(Finding::of_all("slm::evidence-bad-checkpoint", told(&Unbelieved::Strange))),
            Err(error) => return Err(told(&error).into()),
        }
    }
    Ok((all, strange))
}

fn human(branch: &str, judged: &Judged) -> String {
    let Judged { read, findings, remarks, unproven, compared, anchors, objects } = judged;
    let (commits, artefacts, bytes) = read.chain.counts();
    let mut text = String::new();
    for Finding { code, what, commit, since } in findings {
        text.push_str(&format!("error[{code}]: {what}\n"));
        if let (Some(commit), Some(since)) = (commit, since) {
            let held = report::words::count(read.held, "commit");
            text.push_str(&format!("  first in {} of {since}; what came before holds: {held}\n", &commit[..12.min(commit.len())]));
        }
    }
    let head = read.chain.head();
    if findings.is_empty() {
        let commits = report::words::count(commits, "commit");
        text.push_str(&format!(
            "Everything on {branch} holds: {commits}, {artefacts} artefacts, {bytes} bytes, each in the log.\n"
        ));
    }
    if let (Some(origin), Some(received)) = (read.chain.origin(), read.chain.received()) {
        let root = crate::record::leaf::hex(&head.root[..6]);
        text.push_str(&format!("  log         {origin}, {} entries, root {root}…, received {received}\n", head.size));
    }
    for key in read.chain.keys() {
        text.push_str(&format!("  key         {} from entry {}\n", key.verifier.vkey(), key.from));
    }
    if *compared > 0 && findings.is_empty() {
        text.push_str(&format!("  goes on     from {} seen before\n", report::words::count(*compared as u64, "checkpoint")));
    }
    for Told { id, says, .. } in anchors {
        text.push_str(&format!("  anchor      `{id}` {says}\n"));
    }
    if objects.0 > 0 {
        let held = report::words::count(objects.0, "object");
        text.push_str(&format!("  objects     {held} with {} bytes hold what was received\n", objects.1));
    }
    for Remark { what, .. } in remarks {
        text.push_str(&format!("  note        {what}\n"));
    }
    for Remark { what, .. } in unproven {
        text.push_str(&format!("! unproven    {what}\n"));
    }
    text
}

fn to_json(branch: &str, judged: &Judged) -> serde_json::Value {
    let Judged { read, findings, remarks, unproven, compared, anchors, objects } = judged;
    let (commits, artefacts, bytes) = read.chain.counts();
    let head = read.chain.head();
    let finding =
        |Finding { code, what, commit, since }: &Finding| json!({ "code": code, "what": what, "commit": commit, "since": since });
    let remark = |Remark { code, what }: &Remark| json!({ "code": code, "what": what });
    let keys: Vec<_> = read.chain.keys().iter().map(|key| json!({ "key": key.verifier.vkey(), "from": key.from })).collect();
    json!({
        "branch": branch,
        "tip": read.tip,
        "origin": read.chain.origin(),
        "entries": head.size,
        "root": crate::record::leaf::hex(&head.root),
        "received": read.chain.received(),
        "keys": keys,
        "commits": commits,
        "unlogged_commits": read.unlogged,
        "artefacts": artefacts,
        "bytes": bytes,
        "compared": compared,
        "anchors": anchors,
        "objects": { "held": objects.0, "bytes": objects.1 },
        "findings": findings.iter().map(finding).collect::<Vec<_>>(),
        "unproven": unproven.iter().map(remark).collect::<Vec<_>>(),
        "remarks": remarks.iter().map(remark).collect::<Vec<_>>(),
    })
}
