//! The report of drift in every state, for a terminal, as markdown and as JSON, as files beside this one.

use super::tests::{World, at, ending, full, world};
use super::*;
use crate::model::assessment::Status;

/// Something of everything, with exceptions that ended and will.
fn whole() -> Drift {
    Drift { exceptions: vec![ending(true, "2026-11-20T06:00:00Z"), ending(false, "2026-12-01T06:00:00Z")], ..full().drift() }
}

fn states() -> Vec<(&'static str, Drift)> {
    let open = || world().was("ROT-01", "app/db", Status::NonCompliant);
    let mut broken = world();
    broken.broken = vec!["`runs/2026/11/23/r1.json` is not what the log has".to_owned()];
    let mut old = world();
    old.now = at("2026-11-26T06:00:00Z");
    let of = |world: World| world.drift();
    vec![
        ("clean", of(world())),
        ("first_run", Drift { before: None, ..of(world().is("ROT-01", "app/db", Status::NonCompliant)) }),
        ("full", whole()),
        ("better", of(open().is("ROT-01", "app/db", Status::Compliant))),
        ("nothing_seen", of(open().is("ROT-01", "app/db", Status::NoEvidence).blind("list secrets: denied"))),
        ("data_is_old", of(old)),
        ("broken", of(broken)),
    ]
}

#[test]
fn the_report_in_every_state() {
    for (name, drift) in states() {
        insta::assert_snapshot!(format!("{name}_human"), human(&drift));
        insta::assert_snapshot!(format!("{name}_markdown"), markdown(&drift));
        insta::assert_snapshot!(format!("{name}_json"), serde_json::to_string_pretty(&json(&drift)).unwrap());
    }
}
