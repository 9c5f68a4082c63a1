//! `slm verify BUNDLE.zip`: the same for a bundle, which has everything in it that is needed.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::verify_anchors::{self, Anchors, Log, Told};
use super::{Exit, Said, Trouble, verify};
use crate::host::clock::SystemClock;
use crate::host::zipped::Zipped;
use crate::model::period::bounds;
use crate::model::time::Limit;
use crate::record::anchored::Shown;
use crate::record::bundle::{Bundle, Checked};
use crate::record::cadence::{self, Window};
use crate::record::keys;
use crate::record::leaf::hex;
use crate::record::log::Verifier;
use crate::record::verify::{Finding, Remark};
use crate::report::words::count;
use crate::world::Clock as _;

/// How a bundle was judged.
struct Judged {
    checked: Checked,
    /// Checkpoints from elsewhere that its log goes on from.
    compared: usize,
    /// What each anchor adds.
    anchors: Vec<Told>,
    remarks: Vec<Remark>,
    /// What was not to be had, so that less is proven.
    unproven: Vec<Remark>,
}

/// Checks the bundle at `path` by whoever is asked for it; its log must have grown from the checkpoints in the files `kept`, and have a run as often
/// as one is due.
pub(super) fn run(path: &Path, asked: &Anchors<'_>, kept: &[PathBuf], cadence: Option<Limit>) -> Result<Said, Trouble> {
    let mut judged = judge(path, asked.pins, kept)?;
    if judged.checked.findings.is_empty() {
        judged.unproven.extend(judged.checked.unvouched());
        judged.unproven.append(&mut judged.checked.unproven);
        judged.remarks.append(&mut judged.checked.notes);
        anchors(asked, &mut judged)?;
        let (gaps, stale) = judged.checked.manifest.as_ref().map_or_else(Default::default, |manifest| {
            let now = SystemClock.now();
            let (from, to) = bounds(manifest.from, manifest.to);
            let end = if now < to { "now".to_owned() } else { format!("the end of {}", manifest.to) };
            cadence::judge(&judged.checked.runs, cadence, &Window { from: Some(from), until: to.min(now), end })
        });
        judged.remarks.extend(gaps);
        judged.unproven.extend(stale);
    }
    let exit = match (judged.checked.findings.is_empty(), judged.unproven.is_empty()) {
        (false, _) => Exit::Integrity,
        (true, false) => Exit::Incomplete,
        (true, true) => Exit::Clean,
    };
    Ok(Said::new(vec![exit], human(path, &judged), to_json(path, &judged)))
}

/// Compares with what anchors said of its checkpoints, and with what they say now when they are to be asked.
fn anchors(asked: &Anchors<'_>, judged: &mut Judged) -> Result<(), Trouble> {
    let checked = &judged.checked;
    let log = Log {
        shown: Shown { entries: checked.leaves.len() as u64, sealed: &checked.sealed },
        keys: &checked.keys,
        files: &checked.anchors,
        extends: &|seen| checked.extends(seen),
    };
    let verify_anchors::Judged { told, findings, remarks, unproven } = verify_anchors::judge(asked, &log)?;
    judged.anchors = told;
    judged.remarks.extend(remarks);
    judged.unproven.extend(unproven);
    judged.checked.findings.extend(findings);
    Ok(())
}

/// Checks what is in the bundle at `path`, with nothing from elsewhere but `pins` and the checkpoints `kept`.
fn judge(path: &Path, pins: &[Verifier], kept: &[PathBuf]) -> Result<Judged, Trouble> {
    let zipped = Zipped::open(path).map_err(|error| format!("`{}` cannot be read as a bundle: {error}", path.display()))?;
    let read = |name: &str| zipped.read(name);
    let mut checked = Bundle { names: zipped.names(), read: &read }.check();
    let doubt =
        zipped.doubt.iter().map(|doubt| Finding::of_all("slm::bundle-strange", format!("the ZIP is not to be trusted: {doubt}")));
    checked.findings.splice(..0, doubt);
    let mut unproven = Vec::new();
    let size = checked.standing.as_ref().map_or(0, |standing| standing.head.size);
    let believed = keys::trusted(&checked.keys, pins, size);
    let keys = if believed.is_ok() { checked.keys.clone() } else { Vec::new() };
    let mut compared = 0;
    if checked.findings.is_empty() {
        let (seen, strange) = verify::seen(kept, &keys, pins)?;
        compared = seen.len();
        checked.findings.extend(seen.iter().filter_map(|seen| checked.extends(seen).err()).collect::<Vec<_>>());
        match believed {
            Ok(true) => {}
            Ok(false) => unproven.push(verify::unpinned(checked.keys.is_empty())),
            Err(error) => checked.findings.push(Finding::of_all("slm::evidence-untrusted-key", error.to_string())),
        }
        checked.findings.extend(strange);
    }
    Ok(Judged { checked, compared, anchors: Vec::new(), remarks: Vec::new(), unproven })
}

fn human(path: &Path, judged: &Judged) -> String {
    let Judged { checked, compared, anchors, remarks, unproven } = judged;
    let mut text = String::new();
    for Finding { code, what, .. } in &checked.findings {
        text.push_str(&format!("error[{code}]: {what}\n"));
    }
    if let (Some(manifest), true) = (&checked.manifest, checked.findings.is_empty()) {
        let left_out = match checked.left_out.len() {
            0 => "no run and no decision of the period was left out".to_owned(),
            _ => format!(
                "no run of the period was left out, and no decision of the {} in it",
                count(manifest.controls.len() as u64, "control")
            ),
        };
        text.push_str(&format!(
            "Everything in {} holds: {} to {}, {}, each in the log; {left_out}.\n",
            path.display(),
            manifest.from,
            manifest.to,
            count(checked.proven, "file") + " of evidence",
        ));
        if let (Some(first), Some(last)) = (checked.period.iter().min(), checked.period.iter().max()) {
            text.push_str(&format!("  runs        {}, the first of {first}, the last of {last}\n", checked.period.len()));
        }
    }
    if let Some(standing) = &checked.standing {
        let root = hex(&standing.head.root[..6]);
        text.push_str(&format!(
            "  log         {}, {} entries, root {root}…, received {}\n",
            standing.origin, standing.head.size, standing.received
        ));
    }
    for key in &checked.keys {
        text.push_str(&format!("  key         {} from entry {}\n", key.verifier.vkey(), key.from));
    }
    if *compared > 0 && checked.findings.is_empty() {
        text.push_str(&format!("  goes on     from {} seen before\n", count(*compared as u64, "checkpoint")));
    }
    for Told { id, says, .. } in anchors {
        text.push_str(&format!("  anchor      `{id}` {says}\n"));
    }
    if checked.objects > 0 {
        text.push_str(&format!("  objects     {} hold what was received\n", count(checked.objects, "file")));
    }
    if checked.findings.is_empty() {
        text.push_str(
            "  note        pages and tables are only what was packed: what is proven are the decisions (*.jsonl) under controls/, the files under evidence/, and objects that these point to\n",
        );
    }
    for Remark { what, .. } in remarks {
        text.push_str(&format!("  note        {what}\n"));
    }
    for Remark { what, .. } in unproven {
        text.push_str(&format!("! unproven    {what}\n"));
    }
    text
}

fn to_json(path: &Path, judged: &Judged) -> serde_json::Value {
    let Judged { checked, compared, anchors, remarks, unproven } = judged;
    let finding = |one: &Finding| json!({ "code": one.code, "what": one.what });
    let remark = |one: &Remark| json!({ "code": one.code, "what": one.what });
    let standing = checked.standing.as_ref();
    json!({
        "bundle": path,
        "from": checked.manifest.as_ref().map(|manifest| manifest.from),
        "to": checked.manifest.as_ref().map(|manifest| manifest.to),
        "runs": checked.period.len(),
        "framework": checked.manifest.as_ref().and_then(|manifest| manifest.framework.as_ref()),
        "controls_left_out": checked.left_out,
        "files": checked.files,
        "proven": checked.proven,
        "older": checked.older,
        "objects": checked.objects,
        "compared": compared,
        "anchors": anchors,
        "checkpoints": checked.sealed.len(),
        "origin": standing.map(|one| &one.origin),
        "entries": standing.map(|one| one.head.size),
        "root": standing.map(|one| hex(&one.head.root)),
        "keys": checked.keys.iter().map(|key| key.verifier.vkey()).collect::<Vec<_>>(),
        "findings": checked.findings.iter().map(finding).collect::<Vec<_>>(),
        "unproven": unproven.iter().map(remark).collect::<Vec<_>>(),
        "remarks": remarks.iter().map(remark).collect::<Vec<_>>(),
    })
}
