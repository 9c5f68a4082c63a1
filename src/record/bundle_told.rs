//! What a bundle has not, and what is less proven by it for that.

use super::bundle::Manifest;
use super::bundle_whole::{Extent, Looked};
use super::verify::Remark;

/// Controls that are named at most where many are left out.
const NAMED: usize = 5;

/// What a bundle has not.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lacking {
    /// What leaves something unproven.
    pub unproven: Vec<Remark>,
    /// What it need not have.
    pub notes: Vec<Remark>,
}

/// What `manifest` has not of its period: controls that its runs judged, the checkpoints of those, what sources answered; and runs that stand for
/// no day.
pub(super) fn lacking(manifest: &Manifest, extent: &Extent<'_>, looked: &Looked, left_out: &[String]) -> Lacking {
    let mut lacking = Lacking::default();
    if !left_out.is_empty() {
        let all = looked.controls.len();
        let (held, names) = (all - left_out.len(), named(left_out));
        match &manifest.framework {
            Some(framework) => lacking.notes.push(Remark {
                code: "slm::bundle-of-framework",
                what: format!(
                    "{held} of the {all} controls that were judged are in it, those that serve `{framework}` by its own word, and not {names}"
                ),
            }),
            None => lacking.unproven.push(Remark {
                code: "slm::bundle-partial",
                what: format!(
                    "{held} of the {all} controls that were judged are in it, and it names no framework that these serve: not {names}"
                ),
            }),
        }
    }
    if !manifest.anchors {
        let what = "it does not say that the checkpoint of each run is in it: when a run was recorded, and what anchors said, is not shown";
        lacking.unproven.push(Remark { code: "slm::bundle-partial", what: what.to_owned() });
    }
    for run in &extent.runs {
        let Some(recorded) = run.late else { continue };
        let what = format!(
            "run {} says that it began at {}, and was recorded no sooner than {recorded}: it stands for no day",
            run.id, run.began
        );
        lacking.unproven.push(Remark { code: "slm::evidence-late", what });
    }
    let answers = if manifest.raw { 0 } else { extent.answers().len() };
    if answers > 0 {
        let what =
            format!("what sources answered, {answers} in the log of these runs, is not in it: `slm export bundle --raw` packs it");
        lacking.notes.push(Remark { code: "slm::bundle-without-raw", what });
    }
    lacking
}

/// The first of `ids`, and how many there are more.
fn named(ids: &[String]) -> String {
    let more = ids.len().saturating_sub(NAMED);
    let first = ids.iter().take(NAMED).map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{first} and {more} more") } else { first }
}
