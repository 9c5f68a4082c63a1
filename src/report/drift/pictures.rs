//! The report of drift in every state, for a terminal, as markdown and as JSON, as files beside this one.

use super::tests::{World, at, decision, world};
use super::*;
use crate::model::assessment::{Decision, Status};
use crate::model::drift::Ending;
use crate::model::standing::Phase;

/// Something of everything.
fn full() -> Drift {
    let mut world = world()
        .is("ROT-01", "app/db", Status::NonCompliant)
        .was("ROT-02", "app/db", Status::NonCompliant)
        .is("ROT-02", "app/db", Status::Compliant)
        .was("ROT-02", "app/key", Status::NonCompliant)
        .is("ROT-02", "app/key", Status::NonCompliant)
        .stands("key", Phase::Prepared)
        .stands("db", Phase::Soaking)
        .failed("key", "the target refused it");
    world.standings[1].1.until = Some(at("2026-11-24T18:00:00Z"));
    for (id, flips) in [("app/key", "2026-11-26T06:00:00Z"), ("stray", "2026-12-20T06:00:00Z")] {
        world.decisions.push(Decision { flips_at: Some(at(flips)), ..decision("ROT-01", id, Status::Compliant) });
    }
    let ending = |in_use, expires: &str| Ending {
        id: "slow-vendor".into(),
        control: "ROT-01".into(),
        resource: "app/db".to_owned(),
        owner: "security".to_owned(),
        requester: "ada".to_owned(),
        expires: at(expires),
        in_use,
    };
    Drift { exceptions: vec![ending(true, "2026-11-20T06:00:00Z"), ending(false, "2026-12-01T06:00:00Z")], ..world.drift() }
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
        ("full", full()),
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
