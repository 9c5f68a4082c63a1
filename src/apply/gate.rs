//! Whether what an earlier generation left behind may be ended now; pure.

use crate::model::id::ConsumerId;
use crate::model::outcome::Readings;
use crate::model::outlook::LastUsed;
use crate::model::time::{Limit, Timestamp};

/// An answer of the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It may.
    Open,
    /// Not before this instant, for this reason.
    Until(Timestamp, String),
    /// Not before something happens.
    Shut(String),
}

/// What the gate looks at, all of one observation.
#[derive(Debug)]
pub struct Reading<'a> {
    /// The store's clock.
    pub now: Timestamp,
    /// When the generation was in force at the latest, by the store's clock.
    pub promoted: Option<Timestamp>,
    /// No run has effects for longer than this.
    pub lease: Limit,
    /// The longest time for which a consumer goes on with what it has read.
    pub staleness: Limit,
    /// When every consumer was seen to run the version in force, by the store's clock.
    pub adopted: Option<Timestamp>,
    /// The longest time for which a consumer goes on with what it had before it took the version in force.
    pub lingers: Limit,
    /// Consumers whose readers were not all seen to read the new version, one line each.
    pub unread: &'a [String],
    /// Work begun with the old value and not ended.
    pub draining: &'a [String],
    /// The target's clock.
    pub target_now: Timestamp,
    /// The last use of the old credential and by what, by the target's clock.
    pub last_use: Option<(Timestamp, String)>,
    /// It must have been unused for this long.
    pub quiet: Limit,
    /// Replicas that do not serve the current version.
    pub behind: &'a [String],
    /// Why nobody permits it, if so.
    pub held: Option<&'a str>,
    /// True when the old credential is in wrong hands: who may still use it does not count.
    pub leak: bool,
    /// True when it is to be ended by now whoever was seen to use it: neither use nor work begun with it counts.
    pub overdue: bool,
}

impl Reading<'_> {
    /// From when neither a run nor a consumer can hold the version before.
    fn settled(&self, promoted: Timestamp) -> Timestamp {
        let held = self.lease.max(self.staleness).after(promoted);
        if self.lingers <= Limit::seconds(0) { held } else { held.max(self.lingers.after(self.adopted.unwrap_or(self.now))) }
    }

    /// The same to be kept as evidence, with the consumers that were seen to run the version in force and who was seen to read it.
    #[must_use]
    pub fn noted(&self, running: Vec<ConsumerId>, read: Vec<String>) -> Readings {
        Readings {
            running,
            read,
            now: self.now,
            promoted: self.promoted,
            settled: self.promoted.map(|promoted| self.settled(promoted)),
            draining: self.draining.to_vec(),
            target_now: self.target_now,
            last_use: self.last_use.clone().map(|(at, by)| LastUsed { at, by }),
            quiet: self.quiet,
            behind: self.behind.to_vec(),
            held: self.held.map(str::to_owned),
            leak: self.leak,
            overdue: self.overdue,
        }
    }
}

/// Whether the old credential may be ended. That every consumer runs the current version was checked before.
#[must_use]
pub fn gate(of: &Reading<'_>) -> Gate {
    let Some(promoted) = of.promoted else {
        return Gate::Shut("it is not known since when the new version is in force".to_owned());
    };
    if let Some(why) = of.held {
        return Gate::Shut(why.to_owned());
    }
    if !of.behind.is_empty() {
        return Gate::Shut(format!("replicas are behind: {}", of.behind.join(", ")));
    }
    if of.leak {
        return Gate::Open;
    }
    let late = of.settled(promoted);
    if of.now < late {
        return Gate::Until(late, "a run or a consumer may still hold the old version".to_owned());
    }
    if !of.unread.is_empty() {
        return Gate::Shut(format!("for {}; CloudTrail comes some minutes late", of.unread.join("; ")));
    }
    if of.overdue {
        return Gate::Open;
    }
    if !of.draining.is_empty() {
        return Gate::Shut(format!("work begun with the old version goes on: {}", of.draining.join(", ")));
    }
    match &of.last_use {
        Some((at, by)) if of.quiet.after(*at) > of.target_now => Gate::Until(of.quiet.after(*at), format!("used at {at} by {by}")),
        _ => Gate::Open,
    }
}

/// Whether what was disabled by `disabled` may be deleted.
#[must_use]
pub fn soaked(disabled: Timestamp, soak: Limit, now: Timestamp) -> Gate {
    let late = soak.after(disabled);
    if now < late { Gate::Until(late, "it stays disabled for a while before it is deleted".to_owned()) } else { Gate::Open }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::new(second, 0).unwrap()
    }

    fn reading() -> Reading<'static> {
        Reading {
            now: at(100),
            promoted: Some(at(0)),
            lease: Limit::seconds(60),
            staleness: Limit::seconds(100),
            adopted: None,
            lingers: Limit::seconds(0),
            unread: &[],
            draining: &[],
            target_now: at(1_000),
            last_use: Some((at(900), "job".to_owned())),
            quiet: Limit::seconds(100),
            behind: &[],
            held: None,
            leak: false,
            overdue: false,
        }
    }

    #[test]
    fn it_opens_only_when_every_condition_holds() {
        assert_eq!(gate(&reading()), Gate::Open);
        assert!(matches!(gate(&Reading { now: at(99), ..reading() }), Gate::Until(late, _) if late == at(100)));
        assert!(matches!(gate(&Reading { lease: Limit::seconds(200), ..reading() }), Gate::Until(late, _) if late == at(200)));
        assert!(
            matches!(gate(&Reading { target_now: at(999), ..reading() }), Gate::Until(late, why) if late == at(1_000) && why.contains("job"))
        );
        assert!(matches!(gate(&Reading { promoted: None, ..reading() }), Gate::Shut(_)));
        assert!(matches!(gate(&Reading { held: Some("frozen"), ..reading() }), Gate::Shut(why) if why == "frozen"));
        let lingers = |adopted: Option<i64>| Reading { adopted: adopted.map(at), lingers: Limit::seconds(30), ..reading() };
        assert_eq!(gate(&lingers(Some(70))), Gate::Open, "its time counts from when everybody runs the new one");
        assert!(matches!(gate(&lingers(Some(71))), Gate::Until(late, _) if late == at(101)));
        assert!(matches!(gate(&lingers(None)), Gate::Until(late, _) if late == at(130)), "and has not begun before");
        assert_eq!(lingers(Some(90)).noted(Vec::new(), Vec::new()).settled, Some(at(120)));
        let run = ["run 1".to_owned()];
        assert!(matches!(gate(&Reading { draining: &run, ..reading() }), Gate::Shut(why) if why.contains("run 1")));
        assert!(matches!(gate(&Reading { behind: &run, ..reading() }), Gate::Shut(_)));
        let reader = ["consumer `app`: it".to_owned()];
        assert!(
            matches!(gate(&Reading { unread: &reader, ..reading() }), Gate::Shut(why) if why.starts_with("for consumer `app`: it;"))
        );
        assert!(matches!(gate(&Reading { unread: &reader, now: at(99), ..reading() }), Gate::Until(late, _) if late == at(100)));
        assert_eq!(gate(&Reading { last_use: None, ..reading() }), Gate::Open);
        let leaked = || Reading { now: at(0), target_now: at(0), draining: &run, unread: &reader, leak: true, ..reading() };
        assert_eq!(gate(&leaked()), Gate::Open);
        assert!(matches!(gate(&Reading { held: Some("frozen"), ..leaked() }), Gate::Shut(why) if why == "frozen"));
        assert!(matches!(gate(&Reading { behind: &run, ..leaked() }), Gate::Shut(why) if why.contains("behind")));
        assert!(matches!(gate(&Reading { promoted: None, ..leaked() }), Gate::Shut(_)));
    }

    #[test]
    fn past_its_deadline_neither_use_nor_work_counts_and_everything_else_does() {
        let run = ["run 1".to_owned()];
        let late = || Reading { overdue: true, draining: &run, target_now: at(901), ..reading() };
        assert_eq!(gate(&late()), Gate::Open);
        assert!(matches!(gate(&Reading { overdue: false, ..late() }), Gate::Shut(why) if why.contains("run 1")));
        assert!(matches!(gate(&Reading { held: Some("frozen"), ..late() }), Gate::Shut(why) if why == "frozen"));
        assert!(matches!(gate(&Reading { behind: &run, ..late() }), Gate::Shut(why) if why.contains("behind")));
        assert!(matches!(gate(&Reading { promoted: None, ..late() }), Gate::Shut(_)));
        assert!(matches!(gate(&Reading { unread: &run, ..late() }), Gate::Shut(why) if why.contains("run 1")));
        assert!(matches!(gate(&Reading { lease: Limit::seconds(200), ..late() }), Gate::Until(until, _) if until == at(200)));
        assert!(matches!(gate(&Reading { staleness: Limit::seconds(300), ..late() }), Gate::Until(until, _) if until == at(300)));
    }

    proptest::proptest! {
        /// Each condition is needed, none is read from another clock, and time only opens.
        #[test]
        fn it_is_open_exactly_when_every_condition_holds(
            now in 0_i64..300, promoted in proptest::option::of(0_i64..200), lease in 0_i64..100, staleness in 0_i64..100,
            target_now in 0_i64..300, used in proptest::option::of(0_i64..300), quiet in 0_i64..100, late: [bool; 4],
            leak: bool, overdue: bool, adopted in proptest::option::of(0_i64..200), lingers in 0_i64..100,
        ) {
            let some = ["x".to_owned()];
            let list = |full: bool| if full { &some[..] } else { &[] };
            let reading = Reading {
                now: at(now),
                promoted: promoted.map(at),
                lease: Limit::seconds(lease),
                staleness: Limit::seconds(staleness),
                adopted: adopted.map(at),
                lingers: Limit::seconds(lingers),
                unread: list(late[3]),
                draining: list(late[0]),
                target_now: at(target_now),
                last_use: used.map(|used| (at(used), "job".to_owned())),
                quiet: Limit::seconds(quiet),
                behind: list(late[1]),
                held: late[2].then_some("frozen"),
                leak,
                overdue,
            };
            let taken = lingers == 0 || adopted.is_some_and(|adopted| now >= adopted + lingers);
            let old = taken && promoted.is_some_and(|promoted| now >= promoted + lease && now >= promoted + staleness);
            let unused = used.is_none_or(|used| used + quiet <= target_now);
            let allowed = promoted.is_some() && !late[1] && !late[2];
            let idle = overdue || (unused && !late[0]);
            proptest::prop_assert_eq!(gate(&reading) == Gate::Open, allowed && (leak || (old && !late[3] && idle)));
            if let (Gate::Until(instant, _), true) = (gate(&reading), lingers == 0 || adopted.is_some()) {
                let later = Reading { now: instant.max(at(now)), target_now: instant.max(at(target_now)), ..reading };
                proptest::prop_assert!(!matches!(gate(&later), Gate::Until(next, _) if next <= instant));
            }
        }
    }

    #[test]
    fn soaking_ends_at_its_limit() {
        assert!(matches!(soaked(at(0), Limit::seconds(10), at(9)), Gate::Until(late, _) if late == at(10)));
        assert_eq!(soaked(at(0), Limit::seconds(10), at(10)), Gate::Open);
    }
}
