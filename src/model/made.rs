//! Domain data as tests of every stage want it: whole, small and in force; a test says only what it changes.

use super::catalog::{
    Consumer, ConsumerKind, Control, ControlKind, ControlLines, Credential, Exception, FileConsumer, GateSettings, LockerSettings,
    Remedy, RotationPolicy, RunLimits, SecretRef, Settings, Severity,
};
use super::diagnostic::Place;
use super::registers::RegistersSettings;
use super::rotator::{Alphabet, RandomValue, RotatorConfig};
use super::time::{Limit, Timestamp};

/// The instant of the tests.
pub(crate) fn now() -> Timestamp {
    "2026-11-24T00:00:00Z".parse().unwrap()
}

/// So many days before.
pub(crate) fn ago(days: i64) -> Timestamp {
    Limit::days(-days).after(now())
}

/// Nowhere.
pub(crate) fn place() -> Place {
    Place { file: String::new(), span: 0..0 }
}

/// A control of the vault's secrets that asks for nothing in particular.
pub(crate) fn control(id: &str) -> Control {
    Control {
        id: id.into(),
        title: format!("title of {id}"),
        statement: String::new(),
        kind: ControlKind::Config,
        severity: Severity::High,
        owner: "security".to_owned(),
        remedy: Remedy::Rotate,
        collect_every: Limit::days(1),
        evidence_ttl: Limit::days(1),
        entities: vec!["Vault::Secret".into()],
        population: String::new(),
        applies_where: Vec::new(),
        requires: Vec::new(),
        criteria: [("soc2".into(), vec!["CC6.1".into()])].into(),
        criteria_reviewer: None,
        artefact: String::new(),
        api: Vec::new(),
        events: [].into(),
        needs: None,
        place: place(),
        lines: ControlLines::default(),
    }
}

/// A random value of the vault, `app/ID`, that nobody consumes.
pub(crate) fn credential(id: &str) -> Credential {
    Credential {
        id: id.into(),
        title: id.to_owned(),
        owner: "platform".to_owned(),
        satisfies: vec!["ROT-01".into()],
        secret: SecretRef { source: "local".into(), region: ".".to_owned(), name: format!("app/{id}") },
        rotator: RotatorConfig::Random(RandomValue { length: 40, alphabet: Alphabet::Alnum }),
        policy: every(30),
        gate: GateSettings::default(),
        consumers: Vec::new(),
        leak: Vec::new(),
        after: Vec::new(),
        place: place(),
    }
}

/// An exception of `ROT-01` for `s100`, approved ten days ago for forty.
pub(crate) fn exception(id: &str) -> Exception {
    Exception {
        id: id.into(),
        control: "ROT-01".into(),
        resource: "s100".into(),
        reason: "why".to_owned(),
        compensating: "that".to_owned(),
        ticket: "T-1".to_owned(),
        requester: "one".to_owned(),
        approver: "two".to_owned(),
        approved: ago(10),
        earlier: Vec::new(),
        expires: ago(-30),
        place: place(),
    }
}

/// A rotation every so many days, and no other wish.
pub(crate) fn every(days: i64) -> RotationPolicy {
    RotationPolicy {
        rotate_every: Limit::days(days),
        jitter: Limit::days(0),
        attempts: 3,
        lease: Limit::seconds(3600),
        allow_gap: None,
        max_validity: None,
        not_before: None,
        windows: Vec::new(),
        freeze: Vec::new(),
        ended_elsewhere: Vec::new(),
    }
}

/// A file of its name.
pub(crate) fn consumer(id: &str) -> Consumer {
    Consumer {
        id: id.into(),
        kind: ConsumerKind::File(FileConsumer { path: id.to_owned(), ..FileConsumer::default() }),
        canary: false,
        max_staleness: Limit::seconds(0),
        letters: None,
        principals: Vec::new(),
    }
}

/// What `slm.toml` says when it says next to nothing.
pub(crate) fn settings() -> Settings {
    Settings {
        owner: None,
        locker: LockerSettings::default(),
        limits: RunLimits::default(),
        tiers: [].into(),
        default_tier: "standard".to_owned(),
        registers: RegistersSettings::default(),
        sources: [].into(),
        people: [].into(),
        notify: [].into(),
        issues: [].into(),
        alerts: Vec::new(),
    }
}
