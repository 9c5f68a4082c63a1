//! `slm verify BUNDLE.zip`: the same for a bundle, which has everything in it that is needed.

use std::path::Path;

use serde_json::json;

use super::{Exit, Said, Trouble};
use crate::host::zipped::Zipped;
use crate::record::bundle::{Bundle, Checked};
use crate::record::keys;
use crate::record::leaf::hex;
use crate::record::ledger::Standing;
use crate::record::log::Verifier;
use crate::record::verify::{Finding, Remark};
use crate::report::words::count;

/// Checks the bundle at `path` by whoever trusts `pins`; `seen` are checkpoints that its log must have grown from.
pub(super) fn run(path: &Path, pins: &[Verifier], seen: &[Standing]) -> Result<Said, Trouble> {
    let zipped = Zipped::open(path).map_err(|error| format!("`{}` cannot be read as a bundle: {error}", path.display()))?;
    let read = |name: &str| zipped.read(name);
    let mut checked = Bundle { names: zipped.names(), read: &read }.check();
    let older: Vec<Finding> = seen.iter().filter_map(|seen| older(&checked, seen)).collect();
    checked.findings.extend(older);
    let mut unproven = Vec::new();
    if checked.findings.is_empty() {
        match keys::trusted(&checked.keys, pins, checked.standing.as_ref().map_or(0, |standing| standing.head.size)) {
            Ok(true) => {}
            Ok(false) => unproven.push(super::verify::unpinned(checked.keys.is_empty())),
            Err(error) => checked.findings.push(Finding::of_all("slm::evidence-untrusted-key", error.to_string())),
        }
    }
    let exit = match (checked.findings.is_empty(), unproven.is_empty()) {
        (false, _) => Exit::Integrity,
        (true, false) => Exit::Incomplete,
        (true, true) => Exit::Clean,
    };
    Ok(Said::new(vec![exit], human(path, &checked, &unproven), to_json(path, &checked, &unproven)))
}

/// A log that is shorter than it was seen, or another.
fn older(checked: &Checked, seen: &Standing) -> Option<Finding> {
    let standing = checked.standing.as_ref()?;
    if standing.origin != seen.origin {
        let what = format!("the log is `{}`, and what was seen before is `{}`", standing.origin, seen.origin);
        return Some(Finding::of_all("slm::evidence-other-log", what));
    }
    let shorter =
        seen.head.size > standing.head.size || (seen.head.size == standing.head.size && seen.head.root != standing.head.root);
    let what =
        format!("the log has {} entries, and had {} when it was seen at {}", standing.head.size, seen.head.size, seen.received);
    shorter.then(|| Finding::of_all("slm::evidence-truncated", what))
}

fn human(path: &Path, checked: &Checked, unproven: &[Remark]) -> String {
    let mut text = String::new();
    for Finding { code, what, .. } in &checked.findings {
        text.push_str(&format!("error[{code}]: {what}\n"));
    }
    if let (Some(manifest), true) = (&checked.manifest, checked.findings.is_empty()) {
        text.push_str(&format!(
            "Everything in {} holds: {} to {}, {}, each in the log; no run and no decision of the period was left out.\n",
            path.display(),
            manifest.from,
            manifest.to,
            count(checked.proven, "file") + " of evidence"
        ));
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
    if checked.objects > 0 {
        text.push_str(&format!("  objects     {} hold what was received\n", count(checked.objects, "file")));
    }
    if checked.older > 0 {
        text.push_str(&format!("  note        {} older than the log, vouched for by nobody\n", count(checked.older, "file")));
    }
    if checked.findings.is_empty() {
        text.push_str(
            "  note        pages and tables are only what was packed: what is proven are the files under controls/ and evidence/, and objects that these point to\n",
        );
    }
    for Remark { what, .. } in unproven {
        text.push_str(&format!("! unproven    {what}\n"));
    }
    text
}

fn to_json(path: &Path, checked: &Checked, unproven: &[Remark]) -> serde_json::Value {
    let finding = |one: &Finding| json!({ "code": one.code, "what": one.what });
    let remark = |one: &Remark| json!({ "code": one.code, "what": one.what });
    let standing = checked.standing.as_ref();
    json!({
        "bundle": path,
        "from": checked.manifest.as_ref().map(|manifest| manifest.from),
        "to": checked.manifest.as_ref().map(|manifest| manifest.to),
        "files": checked.files,
        "proven": checked.proven,
        "older": checked.older,
        "objects": checked.objects,
        "origin": standing.map(|one| &one.origin),
        "entries": standing.map(|one| one.head.size),
        "root": standing.map(|one| hex(&one.head.root)),
        "keys": checked.keys.iter().map(|key| key.verifier.vkey()).collect::<Vec<_>>(),
        "findings": checked.findings.iter().map(finding).collect::<Vec<_>>(),
        "unproven": unproven.iter().map(remark).collect::<Vec<_>>(),
    })
}
