//! What each anchor adds to evidence that holds: the tokens of authorities offline, the others when they are to be asked.

#![expect(clippy::disallowed_methods, reason = "it reads the authorities that the config repo names")]

use std::collections::BTreeSet;
use std::path::Path;

use rustls::pki_types::CertificateDer;
use serde::Serialize;

use super::{Global, Trouble, pipeline, wire};
use crate::host::verify::{self, Read};
use crate::model::catalog::LockerSettings;
use crate::model::locker::Anchor;
use crate::record::anchored::{self, Filed, Vouched};
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
    /// The clone.
    pub root: &'a Path,
    pub branch: &'a str,
    pub pins: &'a [Verifier],
    /// Authorities in PEM, instead of those of the settings.
    pub ca: Option<Vec<u8>>,
    pub online: bool,
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
pub(super) fn judge(asked: &Anchors<'_>, read: &Read) -> Result<Judged, Trouble> {
    let settings = asked.session.map(|session| session.catalog.settings.locker.clone()).unwrap_or_default();
    let mut judged = tokens(asked, &settings, read)?;
    for anchor in settings.anchor.iter().filter(|anchor| anchor.rfc3161.is_none()) {
        let (id, kind) = (anchor.id.clone(), anchor.kind());
        let (Some(session), true) = (asked.session, asked.online) else {
            judged.told.push(Told { id, kind, says: "is not asked; `--online` asks it".to_owned(), entries: None });
            continue;
        };
        let newest = pipeline::block_on(newest(asked, session, anchor))?;
        compare(asked, read, anchor, newest, &mut judged);
    }
    Ok(judged)
}

async fn newest(asked: &Anchors<'_>, session: &pipeline::Session, anchor: &Anchor) -> Result<Option<Vec<u8>>, WorldError> {
    wire::anchor(&session.catalog, &asked.global.root, &session.sessions, anchor, false).await?.newest().await
}

/// What the tokens prove that are in the log, or wait to be.
fn tokens(asked: &Anchors<'_>, settings: &LockerSettings, read: &Read) -> Result<Judged, Trouble> {
    let beside = LockerSettings { branch: asked.branch.to_owned(), ..LockerSettings::default() }.anchors_branch();
    let logged: BTreeSet<(&str, &[u8])> = read.anchors.iter().map(|file| (file.path.as_str(), &*file.bytes)).collect();
    let waiting = verify::beside(asked.root, &beside)?;
    let waiting = waiting.into_iter().filter(|file| !logged.contains(&(file.path.as_str(), &*file.bytes)));
    let files: Vec<Filed> = read.anchors.iter().cloned().chain(waiting).collect();
    let anchored::Judged { vouched, findings, remarks } = anchored::judge(&read.chain, &files, |id| trusted(asked, settings, id));
    let total = read.chain.head().size;
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
    let silent = settings.anchor.iter().filter(|anchor| anchor.rfc3161.is_some() && findings.is_empty());
    let silent = silent.filter(|anchor| !told.iter().any(|told| told.id == anchor.id));
    let unproven = silent.map(|anchor| Remark {
        code: "slm::evidence-unstamped",
        what: format!("nothing is vouched for by anchor `{}` yet", anchor.id),
    });
    Ok(Judged { unproven: unproven.collect(), told, findings, remarks })
}

/// Who vouches for the tokens of the anchor `id`.
fn trusted(asked: &Anchors<'_>, settings: &LockerSettings, id: &str) -> Vec<CertificateDer<'static>> {
    if let Some(pem) = &asked.ca {
        return timestamp::authorities(pem);
    }
    let declared = settings.anchor.iter().find(|anchor| anchor.id == id).and_then(|anchor| anchor.rfc3161.as_ref());
    let pem = declared.and_then(|authority| std::fs::read(asked.global.root.join(&authority.ca)).ok());
    pem.map(|pem| timestamp::authorities(&pem)).unwrap_or_default()
}

/// What the newest checkpoint of `anchor` says of the log that is here.
fn compare(asked: &Anchors<'_>, read: &Read, anchor: &Anchor, newest: Result<Option<Vec<u8>>, WorldError>, judged: &mut Judged) {
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
    let seen = match seen::believed(&note, read.chain.keys(), asked.pins) {
        Ok(seen) => seen,
        Err(error) => {
            let what =
                format!("what anchor `{id}` keeps cannot be believed: {error}; if this clone is only old, fetch and look again");
            judged.findings.push(Finding::of_all("slm::evidence-bad-checkpoint", what));
            return;
        }
    };
    if let Err(finding) = read.chain.extends(&seen) {
        let what = format!("by anchor `{id}`, {}; if this clone is only old, fetch and look again", finding.what);
        judged.findings.push(Finding { what, ..finding });
        return;
    }
    let (here, there) = (read.chain.head().size, seen.head.size);
    let says = if here == there {
        format!("keeps the same {here} entries, received {}", seen.received)
    } else {
        format!("keeps {there} of {here} entries and is behind: its newest was received {}", seen.received)
    };
    judged.told.push(Told { id: id.clone(), kind: anchor.kind(), says, entries: Some(there) });
}
