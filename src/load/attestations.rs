//! Attestations: `attestations/<control>/<period>.toml`, or `attestations/<framework>.<criterion>/…` for a criterion that only a person
//! can attest.

use std::collections::BTreeMap;

use super::checks::Repo;
use super::text::{Doc, Item, error, warning};
use super::{ATTESTATIONS, near, raw};
use crate::model::attestation::{About, Attestation, Stretch};
use crate::model::catalog::ControlKind;
use crate::model::diagnostic::Diagnostic;
use crate::model::period::midnight;
use crate::model::time::Timestamp;

/// What the folder of a file says that it is about; `None` unless the file stands in one folder below `attestations/`.
fn folder<'a>(doc: &Doc<'a>) -> Option<&'a str> {
    let (folder, file) = doc.path.strip_prefix(ATTESTATIONS)?.split_once('/')?;
    (!file.contains('/')).then_some(folder)
}

/// A control, when the name could be that of one; otherwise a criterion of a framework.
fn about(folder: &str) -> About {
    match folder.split_once('.') {
        Some((framework, criterion)) => About::Criterion(framework.into(), criterion.into()),
        None => About::Control(folder.into()),
    }
}

/// The attestation of a file that the checks passed.
pub fn attestation(Item { doc, raw }: &Item<'_, raw::Attestation>) -> Option<Attestation> {
    Some(Attestation {
        about: about(folder(doc)?),
        covers: Stretch::parse(doc.stem)?,
        statement: raw.statement.clone(),
        author: raw.author.clone(),
        approver: raw.approver.clone(),
        signed: raw.signed,
        population_root: raw.population_root.clone(),
        evidence: raw.evidence.clone(),
        place: doc.whole(),
    })
}

/// Everything that is wrong with attestations.
pub fn attestations(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    let mut known = BTreeMap::<&str, Vec<(Stretch, &str)>>::new();
    for Item { doc, raw } in &repo.attestations {
        let Some(folder) = folder(doc) else {
            let help = "move it to `attestations/<control>/<period>.toml`".to_owned();
            out.push(error("slm::attestation-astray", doc.whole(), "nothing says what it attests", Some(help)));
            continue;
        };
        subject(repo, doc, folder, raw, out);
        signed(doc, raw, repo.at, out);
        let Some(covers) = Stretch::parse(doc.stem) else {
            let help = "name the file `2026.toml`, `2026-H1.toml`, `2026-Q1.toml`, `2026-03.toml` or `2026-01-15_2026-03-31.toml`";
            let message = format!("`{}` is not a period", doc.stem);
            out.push(error("slm::bad-period", doc.whole(), message, Some(help.to_owned())));
            continue;
        };
        if raw.signed < midnight(covers.from) {
            let message = format!("signed `{}`, before the period begins that it is about", raw.signed);
            out.push(error("slm::signed-before", doc.at(&["signed"]), message, None));
        }
        let others = known.entry(folder).or_default();
        if let Some((_, other)) = others.iter().find(|(other, _)| other.meets(&covers)) {
            let help = "give each day one attestation: two could say different things".to_owned();
            out.push(error("slm::attested-twice", doc.whole(), format!("`{other}` covers days of it already"), Some(help)));
        }
        others.push((covers, doc.path));
    }
}

/// It is about a control, or about a criterion that is marked as manual.
fn subject(repo: &Repo<'_>, doc: &Doc<'_>, folder: &str, raw: &raw::Attestation, out: &mut Vec<Diagnostic>) {
    match about(folder) {
        About::Control(id) => {
            let known = repo.control_ids();
            if !known.contains(id.as_str()) {
                let help = near::did_you_mean(folder, known.iter().copied());
                out.push(error("slm::unknown-control", doc.whole(), format!("unknown control `{folder}`"), help));
            }
            let observed = repo.controls.iter().any(|item| item.raw.id == id.as_str() && item.raw.kind != ControlKind::Attestation);
            if observed && raw.population_root.is_none() {
                let help = "add `population-root` as `slm sample` prints it: a signature must say what was looked at".to_owned();
                out.push(error("slm::attestation-of-nothing", doc.whole(), "it names no population", Some(help)));
            }
        }
        About::Criterion(framework, criterion) => {
            let known = repo.frameworks.iter().find(|item| item.raw.id == framework.as_str());
            let found = known.and_then(|item| item.raw.criterion.iter().find(|one| one.id == criterion.as_str()));
            match found {
                Some(found) if found.manual == Some(true) => {}
                Some(_) => {
                    let message = format!("criterion `{criterion}` of `{framework}` is met by controls and not by a signature");
                    let help = "attest its controls, or mark the criterion as `manual = true`".to_owned();
                    out.push(warning("slm::needless-attestation", doc.whole(), message, Some(help)));
                }
                None => {
                    let help = known.and_then(|item| {
                        near::did_you_mean(criterion.as_str(), item.raw.criterion.iter().map(|one| one.id.as_str()))
                    });
                    let message = format!("unknown criterion `{criterion}` of framework `{framework}`");
                    out.push(error("slm::unknown-criterion", doc.whole(), message, help));
                }
            }
        }
    }
    if let Some(root) = raw.population_root.as_ref().filter(|root| !is_root(root)) {
        let help = "copy the 64 hex digits that `slm sample` prints".to_owned();
        out.push(error("slm::bad-root", doc.at(&["population-root"]), format!("`{root}` is not a root"), Some(help)));
    }
}

fn is_root(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// It says something, and another person than its author signed it.
fn signed(doc: &Doc<'_>, raw: &raw::Attestation, at: Timestamp, out: &mut Vec<Diagnostic>) {
    for (key, text) in [("statement", &raw.statement), ("author", &raw.author), ("approver", &raw.approver)] {
        if text.trim().is_empty() {
            let help = match key {
                "statement" => "say what was looked at and what was found",
                "author" => "name the person who looked",
                _ => "name the person who signed it, other than the author",
            };
            let message = format!("`{key}` of the attestation is empty");
            out.push(error("slm::attestation-unsigned", doc.at(&[key]), message, Some(help.to_owned())));
        }
    }
    let (author, approver) = (raw.author.trim().to_lowercase(), raw.approver.trim().to_lowercase());
    if !approver.is_empty() && author == approver {
        let message = format!("`{}` signed their own statement", raw.approver);
        let help = "ask another person to sign it".to_owned();
        out.push(error("slm::self-approved", doc.at(&["approver"]), message, Some(help)));
    }
    if raw.signed > at {
        let message = format!("signed as of `{}`, which is still to come", raw.signed);
        out.push(error("slm::signed-ahead", doc.at(&["signed"]), message, None));
    }
}
