//! Which alerts are due by a report of drift, and which that were given are over. Pure.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::drift::{against, share};
use super::words::age;
use crate::model::assessment::Status;
use crate::model::catalog::Severity;
use crate::model::drift::{Drift, Finding, Next, Seen};
use crate::model::notify::{AlertOn, AlertSettings, Given};
use crate::model::time::{Limit, Timestamp};

/// An alert that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firing {
    /// The same alert again has the same key.
    pub key: String,
    /// On what.
    pub on: AlertOn,
    /// The control or credential, or empty.
    pub about: String,
    /// The resource, or empty.
    pub resource: String,
    /// How much it matters.
    pub severity: Severity,
    /// Who answers for it, or empty.
    pub owner: String,
    /// What is so, as a clause.
    pub what: String,
    /// What to do.
    pub next: Next,
}

impl Firing {
    /// True when somebody is called for it: a rotation that failed, a critical finding that is overdue, broken evidence.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        match self.on {
            AlertOn::RotationFailed | AlertOn::Integrity => true,
            AlertOn::Overdue => self.severity == Severity::Critical,
            _ => false,
        }
    }

    /// True when its owner is mentioned.
    #[must_use]
    pub fn mentions(&self) -> bool {
        self.is_urgent() && self.on != AlertOn::Integrity
    }
}

/// Every alert that `name` is to give by `drift`, by key: one that two settings ask for is one.
#[must_use]
pub fn firing(drift: &Drift, alerts: &[AlertSettings], name: &str) -> BTreeMap<String, Firing> {
    let own = alerts.iter().filter(|alert| alert.to.iter().any(|to| to == name));
    own.flat_map(|alert| of(drift, alert)).map(|firing| (firing.key.clone(), firing)).collect()
}

fn of(drift: &Drift, alert: &AlertSettings) -> Vec<Firing> {
    let all = match alert.on {
        AlertOn::RotationFailed => failed(drift),
        AlertOn::HalfDone => half_done(drift, alert.after),
        AlertOn::Overdue => drift
            .findings()
            .into_iter()
            .filter(|one| one.identity.status == Status::NonCompliant)
            .map(|one| overdue(one, drift.at))
            .collect(),
        AlertOn::Expiring => expiring(drift, alert.within),
        AlertOn::Coverage => coverage(drift, alert.below),
        AlertOn::StaleEvidence => stale(drift),
        AlertOn::Integrity => integrity(drift),
        AlertOn::Silent => silent(drift),
        AlertOn::ExceptionExpired => lapsed(drift),
    };
    let least = alert.severity.unwrap_or(if alert.on == AlertOn::Overdue { Severity::Critical } else { Severity::Low });
    let owned = |firing: &Firing| alert.owner.is_empty() || firing.owner.is_empty() || alert.owner.contains(&firing.owner);
    all.into_iter().filter(|firing| firing.severity >= least && owned(firing)).collect()
}

/// The name of an alert that is the same each time.
fn key(on: AlertOn, about: &str, resource: &str, status: &str) -> String {
    let mut hash = Sha256::new();
    for part in [on.as_str(), about, resource, status] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let hex: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("alert-{hex}")
}

/// One with everything but what it is of.
struct Of<'a> {
    about: &'a str,
    resource: &'a str,
    status: &'a str,
    severity: Severity,
    owner: &'a str,
}

impl Of<'_> {
    fn firing(&self, on: AlertOn, what: String, next: Next) -> Firing {
        Firing {
            key: key(on, self.about, self.resource, self.status),
            on,
            about: self.about.to_owned(),
            resource: self.resource.to_owned(),
            severity: self.severity,
            owner: self.owner.to_owned(),
            what,
            next,
        }
    }
}

fn failed(drift: &Drift) -> Vec<Firing> {
    let one = |one: &crate::model::drift::Failed| {
        let of = Of { about: one.credential.as_str(), resource: "", status: one.how, severity: Severity::High, owner: &one.owner };
        of.firing(AlertOn::RotationFailed, format!("{}: {}", one.how, one.why), one.next.clone())
    };
    drift.failed.iter().map(one).collect()
}

fn half_done(drift: &Drift, after: Limit) -> Vec<Firing> {
    // Since when is not known is no reason to wait.
    let old = |since: Option<Timestamp>| since.is_none_or(|since| after.after(since) <= drift.at);
    let late = drift.half_done.iter().filter(|one| one.late && old(one.since));
    let one = |one: &crate::model::drift::HalfDone| {
        let of = Of { about: one.credential.as_str(), resource: "", status: "", severity: Severity::High, owner: &one.owner };
        let since = one.since.map_or_else(|| "since when is not known".to_owned(), |since| format!("for {}", age(since, drift.at)));
        of.firing(AlertOn::HalfDone, since, one.next.clone())
    };
    late.map(one).collect()
}

fn overdue(one: &Finding, now: Timestamp) -> Firing {
    let identity = &one.identity;
    let (about, status) = (identity.control.as_str(), identity.status.word());
    let of = Of { about, resource: &identity.resource, status, severity: one.severity, owner: &one.owner };
    of.firing(AlertOn::Overdue, format!("{status}, {}", against(one, now)), one.next.clone())
}

fn expiring(drift: &Drift, within: Limit) -> Vec<Firing> {
    let end = within.after(drift.at);
    let soon = drift.breaches.iter().filter(|one| !one.managed && one.at <= end);
    let breach = soon.map(|one| {
        let of = Of { about: one.control.as_str(), resource: &one.resource, status: "", severity: one.severity, owner: &one.owner };
        let what = format!("it stops being met on {}, in {}", one.at, age(drift.at, one.at));
        of.firing(AlertOn::Expiring, what, Next::Run(format!("slm explain {}", super::drift::quoted(&one.resource))))
    });
    let ends = drift.exceptions.iter().filter(|one| !one.in_use && one.expires <= end).map(|one| {
        let of = Of {
            about: one.control.as_str(),
            resource: &one.resource,
            status: one.id.as_str(),
            severity: Severity::Medium,
            owner: &one.owner,
        };
        let what = format!("exception {} ends on {}, in {}", one.id, one.expires, age(drift.at, one.expires));
        of.firing(AlertOn::Expiring, what, Next::Do("meet the control, or have it approved again".to_owned()))
    });
    breach.chain(ends).collect()
}

fn coverage(drift: &Drift, below: u8) -> Vec<Firing> {
    let is = drift.coverage.compliant;
    if is.percent() >= u64::from(below) {
        return Vec::new();
    }
    let of = Of { about: "", resource: "", status: "", severity: Severity::High, owner: "" };
    let what = format!("{} of the decisions are met or lifted, under the floor of {below}%", share(is));
    vec![of.firing(AlertOn::Coverage, what, Next::Run("slm status".to_owned()))]
}

fn stale(drift: &Drift) -> Vec<Firing> {
    let one = |one: &crate::model::drift::Stale| {
        let of = Of { about: one.control.as_str(), resource: "", status: "", severity: one.severity, owner: &one.owner };
        let what = format!("its evidence was taken {} ago and may be {} old", age(one.taken, drift.at), one.limit);
        of.firing(AlertOn::StaleEvidence, what, Next::Run("slm apply".to_owned()))
    };
    drift.stale.iter().map(one).collect()
}

fn integrity(drift: &Drift) -> Vec<Firing> {
    let of = Of { about: "", resource: "", status: "", severity: Severity::Critical, owner: "" };
    let why = drift.broken.first().map(|why| of.firing(AlertOn::Integrity, why.clone(), Next::Run("slm verify".to_owned())));
    why.into_iter().collect()
}

fn silent(drift: &Drift) -> Vec<Firing> {
    let run = drift.silent.map(|silent| {
        let of = Of { about: "", resource: "", status: "", severity: Severity::High, owner: "" };
        of.firing(
            AlertOn::Silent,
            format!("there was no run for {}", super::drift::span(silent)),
            Next::Run("slm apply".to_owned()),
        )
    });
    let sources = drift.unseen.iter().map(|one| {
        let resource = read_by(&one.collector, &one.scope);
        let of = Of { about: one.source.as_str(), resource: &resource, status: "", severity: Severity::High, owner: "" };
        of.firing(AlertOn::Silent, format!("it was not seen whole: {}", one.detail), Next::Run("slm status".to_owned()))
    });
    run.into_iter().chain(sources).collect()
}

/// What of a source was read, as an alert names it.
fn read_by(collector: &str, scope: &str) -> String {
    format!("{collector} {scope}")
}

fn lapsed(drift: &Drift) -> Vec<Firing> {
    let used = drift.exceptions.iter().filter(|one| one.in_use);
    let one = |one: &crate::model::drift::Ending| {
        let of = Of {
            about: one.control.as_str(),
            resource: &one.resource,
            status: one.id.as_str(),
            severity: Severity::High,
            owner: &one.owner,
        };
        let what = format!("exception {} lapsed {} ago and is still needed", one.id, age(one.expires, drift.at));
        of.firing(AlertOn::ExceptionExpired, what, Next::Do("meet the control, or have it approved again".to_owned()))
    };
    used.map(one).collect()
}

/// True when nobody can say by `drift` that what `given` is about is over.
#[must_use]
pub fn unknown(drift: &Drift, given: &Given) -> bool {
    let Given { on, about, resource, .. } = given;
    match on {
        // A rotation that did not end is not well because the last run did not try it again.
        AlertOn::RotationFailed if drift.half_done.iter().any(|one| one.late && one.credential.as_str() == about) => true,
        AlertOn::RotationFailed | AlertOn::HalfDone => drift.unseen_rotations.iter().any(|id| id.as_str() == about),
        AlertOn::Overdue | AlertOn::Expiring | AlertOn::ExceptionExpired => {
            let lost = drift.lost.iter().any(|one| one.identity.control.as_str() == about && one.identity.resource == *resource);
            let unseen = |one: &&Finding| one.identity.control.as_str() == about && one.identity.status == Status::NoEvidence;
            lost || drift.findings().iter().any(unseen)
        }
        // What no run reads any more is not seen either, however many runs that is ago.
        AlertOn::Silent if !about.is_empty() => {
            let read = |one: &Seen| one.source.as_str() == about && read_by(&one.collector, &one.scope) == *resource;
            !drift.sources.iter().any(read)
        }
        // Where nothing was decided, nothing is covered.
        AlertOn::Coverage => drift.coverage.compliant.whole == 0,
        AlertOn::StaleEvidence | AlertOn::Integrity | AlertOn::Silent => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::drift::tests::{at, ending, world};
    use super::*;
    use crate::model::drift::Share;
    use crate::model::standing::Phase;

    pub(crate) fn on(on: AlertOn) -> AlertSettings {
        AlertSettings { below: 95, ..AlertSettings::new(on, vec!["ops".to_owned()]) }
    }

    fn fired(drift: &Drift, alert: AlertSettings) -> Vec<(String, String)> {
        firing(drift, &[alert], "ops")
            .into_values()
            .map(|one| (format!("{} {}", one.about, one.resource).trim().to_owned(), one.what))
            .collect()
    }

    #[test]
    fn an_overdue_finding_is_critical_unless_said_otherwise_and_goes_to_its_owner() {
        let drift = world().is("ROT-01", "app/db", Status::NonCompliant).is("ROT-02", "app/db", Status::NonCompliant).drift();
        let critical = [("ROT-01 app/db".to_owned(), "non-compliant, age of created 120d of 90d".to_owned())];
        assert_eq!(fired(&drift, on(AlertOn::Overdue)), critical);
        assert_eq!(fired(&drift, AlertSettings { severity: Some(Severity::Low), ..on(AlertOn::Overdue) }).len(), 2);
        assert_eq!(fired(&drift, AlertSettings { owner: vec!["platform".to_owned()], ..on(AlertOn::Overdue) }), []);
        assert_eq!(firing(&drift, &[on(AlertOn::Overdue)], "other").len(), 0);
        let twice = firing(&drift, &[on(AlertOn::Overdue), on(AlertOn::Overdue)], "ops");
        assert_eq!(twice.len(), 1, "what two settings ask for is one alert");
        assert!(twice.values().all(|one| one.is_urgent() && one.mentions()));
    }

    #[test]
    fn each_condition_fires_on_what_it_says_and_on_nothing_else() {
        let calm = world().drift();
        assert!(AlertOn::ALL.into_iter().all(|one| fired(&calm, on(one)).is_empty()));
        let failed = world().failed("db", "denied").drift();
        assert_eq!(fired(&failed, on(AlertOn::RotationFailed)), [("db".to_owned(), "failed: denied".to_owned())]);
        let blind = world().blind("list: denied").drift();
        assert_eq!(
            fired(&blind, on(AlertOn::Silent)),
            [("local vault .".to_owned(), "it was not seen whole: list: denied".to_owned())]
        );
        let mut late = world();
        late.now = at("2026-11-26T06:00:00Z");
        assert_eq!(fired(&late.drift(), on(AlertOn::StaleEvidence)).len(), 2);
        assert_eq!(fired(&late.drift(), on(AlertOn::Silent)), [(String::new(), "there was no run for 2d".to_owned())]);
        let mut broken = world();
        broken.broken = vec!["`x` is missing".to_owned()];
        assert_eq!(fired(&broken.drift(), on(AlertOn::Integrity)), [(String::new(), "`x` is missing".to_owned())]);
    }

    #[test]
    fn half_done_waits_for_its_hour_and_a_planned_wait_is_no_alert() {
        let mut world = world().stands("db", Phase::Delivering).stands("key", Phase::Soaking);
        world.standings[0].1.since = Some(at("2026-11-24T05:30:00Z"));
        assert_eq!(fired(&world.drift(), on(AlertOn::HalfDone)), []);
        world.standings[0].1.since = Some(at("2026-11-24T05:00:00Z"));
        assert_eq!(fired(&world.drift(), on(AlertOn::HalfDone)), [("db".to_owned(), "for 1h".to_owned())]);
        world.standings[0].1.phase = Phase::Prepared;
        assert_eq!(fired(&world.drift(), on(AlertOn::HalfDone))[0].1, "since when is not known");
    }

    #[test]
    fn a_floor_is_a_floor_and_an_exception_in_use_is_told() {
        let mut drift = world().drift();
        drift.coverage.compliant = Share { part: 94, whole: 100 };
        assert_eq!(
            fired(&drift, on(AlertOn::Coverage))[0].1,
            "94 of 100 (94%) of the decisions are met or lifted, under the floor of 95%"
        );
        drift.coverage.compliant = Share { part: 95, whole: 100 };
        assert_eq!(fired(&drift, on(AlertOn::Coverage)), []);
        drift.exceptions = vec![
            ending(true, "2026-11-20T06:00:00Z"),
            ending(false, "2026-11-30T06:00:00Z"),
            ending(false, "2026-12-20T06:00:00Z"),
        ];
        assert_eq!(fired(&drift, on(AlertOn::ExceptionExpired))[0].1, "exception slow-vendor lapsed 4d ago and is still needed");
        let others = AlertSettings { owner: vec!["platform".to_owned()], ..on(AlertOn::ExceptionExpired) };
        assert_eq!(fired(&drift, others), [], "it goes to who answers for the control");
        assert_eq!(fired(&drift, on(AlertOn::Expiring)).len(), 1, "the one of 20 December is further than 14 days ahead");
    }

    #[test]
    fn what_is_not_seen_is_not_over() {
        let given = |on, about: &str, resource: &str| Given {
            key: String::new(),
            on,
            about: about.to_owned(),
            resource: resource.to_owned(),
            owner: String::new(),
            line: String::new(),
            at: at("2026-11-24T06:00:00Z"),
            place: String::new(),
        };
        let blind = world().was("ROT-01", "app/gone", Status::NonCompliant).stands("db", Phase::Unseen).blind("denied").drift();
        assert!(unknown(&blind, &given(AlertOn::Overdue, "ROT-01", "app/gone")));
        assert!(unknown(&blind, &given(AlertOn::RotationFailed, "db", "")));
        assert!(!unknown(&blind, &given(AlertOn::RotationFailed, "key", "")));
        assert!(!unknown(&world().drift(), &given(AlertOn::Overdue, "ROT-01", "app/gone")));
        let half = world().stands("db", Phase::Delivering).drift();
        assert!(unknown(&half, &given(AlertOn::RotationFailed, "db", "")), "no run tried it again, and it is half done");
        let waits = world().stands("db", Phase::Soaking).drift();
        assert!(!unknown(&waits, &given(AlertOn::RotationFailed, "db", "")), "it went on, and waits as planned");
        let vault = given(AlertOn::Silent, "local", "vault .");
        assert!(!unknown(&world().drift(), &vault), "it is read again");
        let mut unread = world();
        (unread.snapshot.receipts, unread.receipts_before) = (Vec::new(), Vec::new());
        assert!(unknown(&unread.drift(), &vault), "neither this run nor the one before read it");
        assert!(!unknown(&unread.drift(), &given(AlertOn::Silent, "", "")), "there is a run again");
        assert!(unknown(&world().drift(), &given(AlertOn::Coverage, "", "")), "nothing was decided");
        let decided = world().is("ROT-01", "app/key", Status::Compliant).drift();
        assert!(!unknown(&decided, &given(AlertOn::Coverage, "", "")));
    }
}
