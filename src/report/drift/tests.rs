//! Two small runs compared: what is told of them, also of what was not seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::model::assessment::{Because, Decision, Status, Subject, Tally};
use crate::model::catalog::*;
use crate::model::drift::{Compared, Ending};
use crate::model::exception::Exceptions;
use crate::model::id::{ControlId, CredentialId};
use crate::model::made::{self, credential, place};
use crate::model::outcome::{Fate, Outcome};
use crate::model::plan::ActionKind;
use crate::model::receipt::Receipt;
use crate::model::snapshot::{Completeness, Population, Resource, Snapshot, Unseen, Value};
use crate::model::standing::{Phase, Standing};
use crate::policy::Rules;

const SCHEMA: &str = r#"namespace Vault { entity Secret = { "created"?: datetime, "name"?: String }; }
namespace Slm { entity Collector; }
namespace Control {
  action "ROT-01" appliesTo { principal: [Slm::Collector], resource: [Vault::Secret], context: { now: datetime } };
  action "ROT-02" appliesTo { principal: [Slm::Collector], resource: [Vault::Secret], context: { now: datetime } };
}"#;
const RULE: &str = r#"@id("ROT-01")
permit (principal is Slm::Collector, action == Control::Action::"ROT-01", resource is Vault::Secret) when {
  resource has created && resource.created <= context.now && context.now.durationSince(resource.created) <= duration("90d")
};"#;

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn now() -> Timestamp {
    at("2026-11-24T06:00:00Z")
}

fn control(id: &str, severity: Severity) -> Control {
    Control { severity, ..made::control(id) }
}

pub(crate) fn catalog() -> Catalog {
    let file = |path: &str, text: &str| PolicyFile { path: path.to_owned(), text: Arc::from(text) };
    let criterion = Criterion { title: String::new(), group: String::new(), summary: String::new(), manual: false };
    let framework = Framework {
        id: "soc2".into(),
        name: "SOC 2".to_owned(),
        criteria: [("CC6.1".into(), criterion.clone()), ("CC9.9".into(), criterion)].into(),
        place: place(),
    };
    Catalog {
        settings: Settings {
            sources: [("local".into(), SourceKind::Vault(VaultSource { path: String::new(), identity: String::new() }))].into(),
            ..made::settings()
        },
        controls: [("ROT-01".into(), control("ROT-01", Severity::Critical)), ("ROT-02".into(), control("ROT-02", Severity::Low))]
            .into(),
        frameworks: [("soc2".into(), framework)].into(),
        credentials: [("db".into(), credential("db")), ("key".into(), credential("key"))].into(),
        exceptions: [].into(),
        attestations: [].into(),
        policies: vec![file("policies/rot.cedar", RULE)],
        schema: file("policies/schema.cedarschema", SCHEMA),
    }
}

pub(crate) fn subject(id: &str) -> Subject {
    Subject::Resource { entity: "Vault::Secret".into(), id: id.into() }
}

pub(crate) fn decision(control: &str, id: &str, status: Status) -> Decision {
    let because = match status {
        Status::Compliant => Because::Permitted(vec![control.into()]),
        Status::NoEvidence => Because::Missing(vec!["created".into()]),
        _ => Because::NothingPermits,
    };
    Decision { control: control.into(), subject: subject(id), status, because, observed: Vec::new(), flips_at: None }
}

fn compared(id: &str, at: &str) -> Compared {
    let (path, commit) = (format!("runs/2026/11/24/{id}.json"), "ab".repeat(20));
    Compared { id: id.into(), at: self::at(at), config: "c0ffee".to_owned(), path, commit }
}

fn receipt() -> Receipt {
    Receipt {
        source: "local".into(),
        collector: "vault".to_owned(),
        scope: ".".to_owned(),
        caller: None,
        completeness: Completeness::Complete,
        operations: Vec::new(),
        independent_count: None,
        source_clock: None,
        effective: None,
        started: now(),
        ended: at("2026-11-24T05:00:00Z"),
        raw: Vec::new(),
    }
}

/// What a report is made of, to be changed by a test.
pub(crate) struct World {
    pub catalog: Catalog,
    pub snapshot: Snapshot,
    pub decisions: Vec<Decision>,
    pub before: Vec<(ControlId, Subject, Status)>,
    pub receipts_before: Vec<Receipt>,
    pub standings: Vec<(CredentialId, Standing)>,
    pub outcomes: Vec<Outcome>,
    pub exceptions: Exceptions,
    pub broken: Vec<String>,
    pub now: Timestamp,
}

/// One secret a day old and one of 120 days, both declared, and one that is not.
pub(crate) fn world() -> World {
    let secret = |name: &str, created: &str| {
        let facts = vec![(Arc::from("created"), Value::Time(at(created))), (Arc::from("name"), Value::Text(name.into()))];
        Resource::new(name.into(), facts)
    };
    let resources = vec![
        secret("app/db", "2026-07-27T06:00:00Z"),
        secret("app/key", "2026-11-23T06:00:00Z"),
        secret("stray", "2026-11-23T06:00:00Z"),
    ];
    let population = Population {
        source: "local".into(),
        scope: ".".to_owned(),
        entity: "Vault::Secret".into(),
        completeness: Completeness::Complete,
        resources: resources.into(),
    };
    World {
        catalog: catalog(),
        snapshot: Snapshot { taken: at("2026-11-24T05:00:00Z"), populations: vec![population], receipts: vec![receipt()] },
        decisions: Vec::new(),
        before: Vec::new(),
        receipts_before: vec![receipt()],
        standings: Vec::new(),
        outcomes: Vec::new(),
        exceptions: Exceptions::default(),
        broken: Vec::new(),
        now: now(),
    }
}

impl World {
    pub(crate) fn is(mut self, control: &str, id: &str, status: Status) -> Self {
        self.decisions.push(decision(control, id, status));
        self
    }

    pub(crate) fn was(mut self, control: &str, id: &str, status: Status) -> Self {
        self.before.push((control.into(), subject(id), status));
        self
    }

    pub(crate) fn stands(mut self, id: &str, phase: Phase) -> Self {
        self.standings.push((id.into(), standing(phase)));
        self
    }

    pub(crate) fn failed(mut self, id: &str, why: &str) -> Self {
        let secret = self.catalog.credentials[id].secret.clone();
        let action =
            ActionKind::Rotate { credential: id.into(), secret, generation: None, rotation: "0".into(), consumers: Vec::new() };
        self.outcomes.push(Outcome { action, fate: Fate::Failed(why.to_owned()), events: Vec::new() });
        self
    }

    /// The vault was not read to its end.
    pub(crate) fn blind(mut self, detail: &str) -> Self {
        let denied = Completeness::Incomplete { cause: Unseen::Denied, detail: detail.to_owned() };
        self.snapshot.populations[0].completeness = denied.clone();
        self.snapshot.receipts[0].completeness = denied;
        self
    }

    pub(crate) fn drift(&self) -> Drift {
        let mut tallies: BTreeMap<String, Tally> = self.catalog.controls.keys().map(|id| (id.to_string(), Tally::new())).collect();
        for decision in &self.decisions {
            *tallies.entry(decision.control.to_string()).or_default().entry(decision.status).or_default() += 1;
        }
        drift(Seen {
            catalog: &self.catalog,
            rules: &Rules::compile(&self.catalog).unwrap(),
            now: self.now,
            run: compared("r2", "2026-11-24T05:00:00Z"),
            judged: at("2026-11-24T05:00:00Z"),
            snapshot: &self.snapshot,
            decisions: &self.decisions,
            tallies: &tallies,
            since: &BTreeMap::from([(("ROT-02".into(), subject("app/key")), at("2026-11-20T05:00:00Z"))]),
            standings: &self.standings,
            exceptions: &self.exceptions,
            outcomes: &self.outcomes,
            before: Some(Before {
                run: compared("r1", "2026-11-23T05:00:00Z"),
                findings: self.before.clone(),
                receipts: self.receipts_before.clone(),
            }),
            cadence: Limit::seconds(26 * 3_600),
            broken: self.broken.clone(),
            notes: Vec::new(),
        })
    }
}

pub(crate) fn standing(phase: Phase) -> Standing {
    Standing {
        phase,
        generation: None,
        since: None,
        due: None,
        until: None,
        behind: Vec::new(),
        unread: Vec::new(),
        holding: None,
        broken: None,
        leaked: None,
        left: None,
        tried: None,
        last_used: None,
        quiet: None,
        deadline: None,
        validity: crate::model::outlook::Validity { made: None, before: None, period: Limit::days(30), allowed: None },
        max_validity: Limit::days(30),
    }
}

/// Something of everything.
pub(crate) fn full() -> World {
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
    world
}

/// An exception that ended, and is needed when it is `in_use`, or that will end.
pub(crate) fn ending(in_use: bool, expires: &str) -> Ending {
    Ending {
        id: "slow-vendor".into(),
        control: "ROT-01".into(),
        resource: "app/db".to_owned(),
        owner: "security".to_owned(),
        requester: "ada".to_owned(),
        expires: at(expires),
        in_use,
    }
}

#[test]
fn a_finding_is_new_open_or_resolved_by_control_resource_and_status() {
    let drift = world()
        .was("ROT-01", "app/db", Status::NonCompliant)
        .was("ROT-02", "app/db", Status::NonCompliant)
        .was("ROT-02", "stray", Status::NonCompliant)
        .is("ROT-01", "app/db", Status::NonCompliant)
        .is("ROT-02", "app/db", Status::Compliant)
        .is("ROT-02", "app/key", Status::NonCompliant)
        .drift();
    let names =
        |all: &[Finding]| all.iter().map(|one| format!("{} {}", one.identity.control, one.identity.resource)).collect::<Vec<_>>();
    assert_eq!((names(&drift.new), names(&drift.open)), (vec!["ROT-02 app/key".to_owned()], vec!["ROT-01 app/db".to_owned()]));
    let resolved: Vec<_> = drift.resolved.iter().map(|one| (one.identity.resource.as_str(), one.now.as_str())).collect();
    assert_eq!(resolved, [("app/db", "compliant"), ("stray", "it is not there any more")]);
    assert_eq!(drift.lost, []);
    let (what, act) = headline(&drift);
    assert_eq!(what, "+1 new, -2 resolved, =1 open since 2026-11-23T05:00:00Z, 1d ago.");
    assert_eq!(act, "You must act: 1 critical finding.");
}

#[test]
fn what_was_not_seen_is_never_resolved_and_is_in_the_first_two_lines() {
    let drift = world()
        .was("ROT-01", "app/gone", Status::NonCompliant)
        .was("ROT-01", "app/db", Status::NonCompliant)
        .is("ROT-01", "app/db", Status::NoEvidence)
        .blind("list secrets: denied")
        .drift();
    assert_eq!(drift.resolved, []);
    let lost: Vec<_> = drift.lost.iter().map(|one| (one.identity.resource.as_str(), one.now.as_str())).collect();
    assert_eq!(lost, [("app/gone", "list secrets: denied"), ("app/db", "not observed: created")]);
    assert!(drift.is_blind());
    assert_eq!(headline(&drift).1, "You must act: 1 critical finding. NOT SEEN: source local, 2 earlier findings.");
    let quiet = world().blind("list secrets: denied").drift();
    assert_eq!(headline(&quiet).1, "NOT SEEN: source local; what is there may not be fine.");
    let mut gone = world();
    gone.snapshot.receipts.clear();
    let gone = gone.drift();
    assert_eq!(gone.unseen[0].detail, "it was read by the run before and not by this one");
}

#[test]
fn when_all_is_clean_that_is_a_line_too() {
    let (what, act) = headline(&world().drift());
    assert_eq!(what, "+0 new, -0 resolved, =0 open since 2026-11-23T05:00:00Z, 1d ago.");
    assert_eq!(act, "Nothing must be done: everything in scope was seen, and no finding is open.");
}

#[test]
fn a_finding_has_its_owner_its_age_against_the_limit_and_the_safe_next_command() {
    let drift = world()
        .is("ROT-01", "app/db", Status::NonCompliant)
        .is("ROT-01", "stray", Status::NonCompliant)
        .is("ROT-02", "app/key", Status::NonCompliant)
        .drift();
    let lines: Vec<String> =
        drift.new.iter().map(|one| format!("{} {} {}", one.owner, against(one, drift.at), next(&one.next))).collect();
    // The critical one that is over its limit weighs most, and each finding without a limit counts since it is one.
    assert_eq!(
        lines,
        [
            "security age of created 120d of 90d `slm rotate db`",
            "security so for 1h `slm adopt stray`",
            "security so for 4d `slm rotate key`"
        ]
    );
}

#[test]
fn half_done_rotations_and_failures_name_what_is_safe_to_type() {
    let mut world = world().stands("db", Phase::Prepared).stands("key", Phase::Soaking).failed("db", "denied");
    world.standings[1].1.until = Some(at("2026-11-24T18:00:00Z"));
    let drift = world.drift();
    let lines: Vec<_> = drift.half_done.iter().map(|one| (one.credential.as_str(), one.late, next(&one.next))).collect();
    let wait = "wait until 2026-11-24T18:00:00Z, then `slm resume key`".to_owned();
    assert_eq!(lines, [("db", true, "`slm resume db`".to_owned()), ("key", false, wait)]);
    assert_eq!(drift.failed.iter().map(|one| next(&one.next)).collect::<Vec<_>>(), ["`slm resume db`"]);
    assert_eq!(headline(&drift).1, "You must act: 1 rotation did not end, 1 rotation is half done.");
}

#[test]
fn evidence_grows_stale_and_silence_is_told() {
    let mut late = world();
    late.now = at("2026-11-26T06:00:00Z");
    let drift = late.drift();
    assert_eq!(drift.stale.iter().map(|one| one.control.as_str()).collect::<Vec<_>>(), ["ROT-01", "ROT-02"]);
    assert_eq!(headline(&drift).1, "NOT SEEN: no run for 2d, 2 controls with stale evidence; what is there may not be fine.");
}

#[test]
fn what_flips_is_counted_within_7_14_and_30_days() {
    let mut world = world();
    for (id, flips) in [("app/db", "2026-11-25T06:00:00Z"), ("app/key", "2026-12-06T06:00:00Z"), ("stray", "2026-12-20T06:00:00Z")]
    {
        world.decisions.push(Decision { flips_at: Some(at(flips)), ..decision("ROT-01", id, Status::Compliant) });
    }
    let drift = world.drift();
    assert_eq!((drift.within(7), drift.within(14), drift.within(30)), (1, 2, 3));
    assert_eq!(drift.breaches.iter().map(|one| one.managed).collect::<Vec<_>>(), [true, true, false]);
}

#[test]
fn numbers_have_their_denominators() {
    let drift = world().is("ROT-01", "app/db", Status::NonCompliant).is("ROT-01", "app/key", Status::Compliant).drift();
    let lines = human::coverage(&drift);
    assert_eq!(lines[0], "decisions met or lifted: 1 of 2 (50%)");
    assert_eq!(lines[1], "controls with evidence for everything in them: 2 of 2 (100%)");
    assert_eq!(lines[2], "secrets under management: 2 of 3 (66%)");
    assert_eq!(lines[3], "criteria of soc2 with a control: 1 of 2 (50%)");
    assert_eq!(drift.unmanaged.names, ["stray"]);
}

#[test]
fn the_report_is_told_to_people_as_this() {
    let drift = world()
        .was("ROT-02", "app/db", Status::NonCompliant)
        .is("ROT-01", "app/db", Status::NonCompliant)
        .is("ROT-02", "app/db", Status::Compliant)
        .stands("key", Phase::Prepared)
        .failed("key", "the target refused it")
        .drift();
    insta::assert_snapshot!(human(&drift), @r#"
    +1 new, -1 resolved, =0 open since 2026-11-23T05:00:00Z, 1d ago.
    You must act: 1 rotation did not end, 1 critical finding, 1 rotation is half done.

    New
      critical ROT-01 app/db  non-compliant, age of created 120d of 90d; owner security; next `slm rotate db`

    Resolved
      ROT-02 app/db  was non-compliant, now: compliant; owner security

    Top, by severity and by how long overdue
      critical ROT-01 app/db  non-compliant, age of created 120d of 90d; owner security; next `slm rotate db`

    Rotations that did not end
      key  failed: the target refused it; owner platform; next `slm resume key`

    Rotations half done
      key  a new value is kept and not in force, since when is not known, nothing planned explains it; owner platform; next `slm resume key`

    Credentials that nobody declared
      1 of 3 secrets; `slm adopt` takes one under management
      stray

    Coverage
      decisions met or lifted: 1 of 2 (50%)
      controls with evidence for everything in them: 2 of 2 (100%)
      secrets under management: 2 of 3 (66%)
      criteria of soc2 with a control: 1 of 2 (50%)

    Age of what is known
      local vault .: 1h old
    "#);
}

#[test]
fn markdown_holds_no_tag_no_mention_and_no_link_of_what_was_observed() {
    let mut world = world().is("ROT-01", "app/db", Status::NonCompliant);
    world.catalog.controls.get_mut("ROT-01").unwrap().owner =
        "@acme/all <img src=x> [x](https://evil.example) ```@team`".to_owned();
    let text = markdown(&world.drift());
    assert!(!text.contains("@acme") && !text.contains("<img") && !text.contains("](") && !text.contains("://"), "{text}");
}

#[test]
fn a_name_is_one_word_for_a_shell() {
    assert_eq!(make::quoted("arn:aws:secretsmanager:eu-west-1:1:secret:a/b"), "arn:aws:secretsmanager:eu-west-1:1:secret:a/b");
    assert_eq!(make::quoted("a b; rm -rf ~"), "'a b; rm -rf ~'");
    assert_eq!(make::quoted("it's\n"), "'it'\\''s'");
    assert_eq!(make::quoted("--all"), "-- '--all'");
}
