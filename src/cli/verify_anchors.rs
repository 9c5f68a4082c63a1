//! What each anchor adds to evidence that holds: the tokens of authorities offline, the others when they are to be asked.

#![expect(clippy::disallowed_methods, reason = "it reads the authorities that the config repo names")]

use std::path::Path;

use rustls::pki_types::CertificateDer;
use serde::Serialize;

use super::{Global, Trouble, pipeline, wire};
use crate::host::verify;
use crate::model::catalog::LockerSettings;
use crate::model::locker::Anchor;
use crate::record::anchored::{self, Filed, Shown, Vouched};
use crate::record::keys::Key;
use crate::record::ledger::Standing;
use crate::record::log::Verifier;
use crate::record::seen;
use crate::record::timestamp;
use crate::record::verify::{Finding, Remark};
use crate::report::words::count;
use crate::world::WorldError;

/// What is looked at, and by whom.
pub(super) struct Anchors<'a> {
    pub global: &'a Global,
    /// The config repo, when there is one.
    pub session: Option<&'a pipeline::Session>,
    pub pins: &'a [Verifier],
    /// Authorities, instead of those of the settings.
    pub ca: Option<Vec<CertificateDer<'static>>>,
    pub online: bool,
}

/// The log that they were shown, and what they said of it.
pub(super) struct Log<'a> {
    pub shown: Shown<'a>,
    pub keys: &'a [Key],
    pub files: &'a [Filed],
    /// Whether it goes on from a checkpoint.
    pub extends: &'a dyn Fn(&Standing) -> Result<(), Finding>,
}

/// What one anchor adds.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    pub id: String,
    pub kind: &'static str,
    /// In words.
    pub says: String,
    /// The entries that it vouches for, when it was asked.
    pub entries: Option<u64>,
}

/// What they add together.
#[derive(Default)]
pub(super) struct Judged {
    pub told: Vec<Told>,
    pub findings: Vec<Finding>,
    pub remarks: Vec<Remark>,
    pub unproven: Vec<Remark>,
}

/// Compares what is there with what the anchors said, and with what they say now when they are to be asked.
pub(super) fn judge(asked: &Anchors<'_>, log: &Log<'_>) -> Result<Judged, Trouble> {
    let settings = asked.session.map(|session| session.catalog.settings.locker.clone()).unwrap_or_default();
    let mut judged = tokens(asked, &settings, log);
    judged.unproven.extend(if asked.online { nobody(asked, &settings) } else { None });
    for anchor in settings.anchor.iter().filter(|anchor| anchor.rfc3161.is_none()) {
        let (id, kind) = (anchor.id.clone(), anchor.kind());
        let (Some(session), true) = (asked.session, asked.online) else {
            judged.told.push(Told { id, kind, says: "is not asked; `--online` asks it".to_owned(), entries: None });
            continue;
        };
        let newest = pipeline::block_on(newest(asked, session, anchor))?;
        compare(asked, log, anchor, newest, &mut judged);
    }
    Ok(judged)
}

/// That `--online` has nobody to ask.
fn nobody(asked: &Anchors<'_>, settings: &LockerSettings) -> Option<Remark> {
    let anchor = settings.anchor.iter().any(|anchor| anchor.rfc3161.is_none());
    let bucket = settings.objects.as_ref().is_some_and(|objects| objects.s3.is_some());
    let what = match asked.session {
        None => {
            "`--online` asks the anchors of `slm.toml`, and there is none here; run it in the config repo, or name that with `--root`"
        }
        Some(_) if anchor || bucket => return None,
        Some(_) => "`--online` asks anchors that keep checkpoints and a bucket of objects, and `slm.toml` names none; leave it out",
    };
    Some(Remark { code: "slm::evidence-anchor-unseen", what: what.to_owned() })
}

async fn newest(asked: &Anchors<'_>, session: &pipeline::Session, anchor: &Anchor) -> Result<Option<Vec<u8>>, WorldError> {
    wire::anchor(&session.catalog, &asked.global.root, &session.sessions, anchor, false).await?.newest().await
}

/// What anchors said of the evidence on `branch` of the clone at `root`: `logged`, and what waits beside it to be.
pub(super) fn filed(root: &Path, branch: &str, logged: &[Filed]) -> Result<Vec<Filed>, Trouble> {
    let beside = LockerSettings { branch: branch.to_owned(), ..LockerSettings::default() }.anchors_branch();
    let mut known: Vec<(&str, &[u8])> = logged.iter().map(|file| (file.path.as_str(), &*file.bytes)).collect();
    known.sort_unstable();
    let waiting = verify::beside(root, &beside)?.into_iter();
    let waiting = waiting.filter(|file| known.binary_search(&(file.path.as_str(), &*file.bytes)).is_err());
    Ok(logged.iter().cloned().chain(waiting).collect())
}

/// What the tokens prove that are in the log, or wait to be.
fn tokens(asked: &Anchors<'_>, settings: &LockerSettings, log: &Log<'_>) -> Judged {
    let judged = anchored::judge(log.shown, log.files, |id| trusted(asked, settings, id));
    let anchored::Judged { vouched, findings, remarks, mut unproven } = judged;
    let total = log.shown.entries;
    let told = |Vouched { anchor, authority, tokens, entries, at }: &Vouched| Told {
        id: anchor.clone(),
        kind: "rfc3161",
        says: format!(
            "vouches for {entries} of {total} entries: they existed before {at}, says {authority} ({})",
            count(*tokens, "token")
        ),
        entries: Some(*entries),
    };
    let told: Vec<Told> = vouched.iter().map(told).collect();
    let silent = settings.anchor.iter().filter(|anchor| anchor.rfc3161.is_some() && findings.is_empty() && unproven.is_empty());
    let silent = silent.filter(|anchor| !told.iter().any(|told| told.id == anchor.id));
    let silent: Vec<Remark> = silent
        .map(|anchor| Remark {
            code: "slm::evidence-unstamped",
            what: format!("nothing is vouched for by anchor `{}` yet", anchor.id),
        })
        .collect();
    unproven.extend(silent);
    Judged { told, findings, remarks, unproven }
}

/// Who vouches for the tokens of the anchor `id`, or why nobody is known to.
fn trusted(asked: &Anchors<'_>, settings: &LockerSettings, id: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    if let Some(authorities) = &asked.ca {
        return Ok(authorities.clone());
    }
    let declared = settings.anchor.iter().find(|anchor| anchor.id == id).and_then(|anchor| anchor.rfc3161.as_ref());
    let authority = declared.ok_or("name its authority with `--tsa-ca`")?;
    authorities(&asked.global.root.join(&authority.ca))
}

/// The authorities in the file at `path`.
pub(super) fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = std::fs::read(path).map_err(|error| format!("`{}` cannot be read: {error}", path.display()))?;
    let authorities = timestamp::authorities(&pem);
    if authorities.is_empty() {
        return Err(format!("`{}` holds no certificates in PEM", path.display()));
    }
    Ok(authorities)
}

/// What the newest checkpoint of `anchor` says of the log that is here.
fn compare(asked: &Anchors<'_>, log: &Log<'_>, anchor: &Anchor, newest: Result<Option<Vec<u8>>, WorldError>, judged: &mut Judged) {
    let Anchor { id, .. } = anchor;
    let unproven = |code, what: String| Remark { code, what };
    let note = match newest {
        Ok(Some(note)) => note,
        Ok(None) => {
            judged.unproven.push(unproven("slm::evidence-unanchored", format!("anchor `{id}` keeps no checkpoint yet")));
            return;
        }
        Err(error) => {
            judged.unproven.push(unproven("slm::evidence-anchor-unseen", format!("anchor `{id}` could not be asked: {error}")));
            return;
        }
    };
    let seen = match seen::believed(&note, log.keys, asked.pins) {
        Ok(seen) => seen,
        Err(error) => {
            let what =
                format!("what anchor `{id}` keeps cannot be believed: {error}; if this clone is only old, fetch and look again");
            judged.findings.push(Finding::of_all("slm::evidence-bad-checkpoint", what));
            return;
        }
    };
    if let Err(finding) = (log.extends)(&seen) {
        let what = format!("by anchor `{id}`, {}; if this clone is only old, fetch and look again", finding.what);
        judged.findings.push(Finding { what, ..finding });
        return;
    }
    let (here, there) = (log.shown.entries, seen.head.size);
    let says = if here == there {
        format!("keeps the same {here} entries, received {}", seen.received)
    } else {
        format!("keeps {there} of {here} entries and is behind: its newest was received {}", seen.received)
    };
    judged.told.push(Told { id: id.clone(), kind: anchor.kind(), says, entries: Some(there) });
}
