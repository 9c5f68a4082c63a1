//! Tells notifiers of a run once it is recorded. Whatever becomes of that, the run is recorded; what could not be told is said, and told by
//! the next run.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::anchor::{self, Anchored};
use super::drift::{self, Since};
use super::past::When;
use super::{Exit, Global, Said, Trouble, carry, pipeline, wire};
use crate::host::clock::SystemClock;
use crate::host::lease::{Holder, Lease, Leases, Taken};
use crate::host::locker::Locker;
use crate::model::catalog::LockerSettings;
use crate::model::drift::{Compared, Drift};
use crate::model::id::{CredentialId, RunId};
use crate::model::notify::{AlertOn, Given, NotifySettings, Step, TOLD_FORMAT, Told};
use crate::model::time::{Limit, Timestamp};
use crate::notifiers::tell::{Sender, finish, tell};
use crate::record::canonical;
use crate::report::alerts::{Firing, firing};
use crate::report::slack::{Say, steps};
use crate::report::words::count;
use crate::world::{Clock as _, ErrorClass, Notifier, WorldError};

/// How long one run may take to tell one notifier before another may.
const LEASE: Limit = Limit::seconds(600);
/// It lets go before that: what it leaves is looked for by the next run.
const TELLING: Duration = Duration::from_secs(540);

/// What became of telling one notifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Notified {
    /// Its name.
    name: String,
    /// How many messages were sent or changed.
    messages: usize,
    /// Why not all were, if so.
    failed: Option<String>,
}

impl Notified {
    /// `name` was told by `messages`, or was not told everything, for a reason.
    pub(super) fn of(name: &str, told: Result<usize, String>) -> Self {
        let (messages, failed) = told.map_or_else(|why| (0, Some(why)), |messages| (messages, None));
        Self { name: name.to_owned(), messages, failed }
    }
}

/// One notifier with everything that telling it takes.
struct Telling<'a> {
    session: &'a pipeline::Session,
    global: &'a Global,
    name: &'a str,
    settings: &'a NotifySettings,
}

/// Tells every notifier of the run that was just recorded, and shown to its anchors.
pub(super) fn after_run(session: &pipeline::Session, global: &Global, anchored: &Anchored) -> Vec<Notified> {
    let all = &session.catalog.settings.notify;
    if all.is_empty() {
        return Vec::new();
    }
    let _progress = global.progress(format!("telling {}", count(all.len() as u64, "notifier")), 0);
    let asked = Asked::Run { proven: anchor::all_answered(anchored) };
    all.iter().map(|(name, settings)| Telling { session, global, name, settings }.notified(&asked)).collect()
}

/// Tells every notifier that nothing could be recorded, for the evidence does not hold.
pub(super) fn evidence_broken(session: &pipeline::Session, global: &Global, why: &str) {
    for (name, settings) in &session.catalog.settings.notify {
        let notified = Telling { session, global, name, settings }.notified(&Asked::Broken(why));
        if let Some(why) = notified.failed {
            tracing::warn!(name, why, "the notifier was not told that the evidence does not hold");
        }
    }
}

/// Why somebody is told.
enum Asked<'a> {
    /// A run was recorded.
    Run {
        /// Whether every anchor said what it has.
        proven: bool,
    },
    /// A person asks for it, compared with what stood then.
    Person(Option<When>),
    /// The evidence does not hold.
    Broken(&'a str),
}

impl Telling<'_> {
    fn notified(&self, asked: &Asked<'_>) -> Notified {
        match self.told(asked) {
            Ok((messages, _)) => Notified { name: self.name.to_owned(), messages, failed: None },
            Err(trouble) => Notified { name: self.name.to_owned(), messages: 0, failed: Some(trouble.error.to_string()) },
        }
    }

    /// Tells it, while no other run does; how many messages that took, and of what.
    fn told(&self, asked: &Asked<'_>) -> Result<(usize, Drift), Trouble> {
        let leases = Leases::open(&self.global.root, self.session.catalog.settings.locker.remote.clone())?;
        let (id, now) = (CredentialId::from(format!("notify-{}", self.name)), SystemClock.now());
        let ours = match leases.take(&id, &Holder::own(self.session.run().id, LEASE.after(now)), now, false)? {
            Taken::Ours(ours) => ours,
            Taken::Theirs(holder) => {
                return Err(format!("run {} tells it just now", holder.run).into());
            }
        };
        let done = self.alone(asked, now);
        give_back(&leases, &id, ours);
        done
    }

    /// The same, when no other run does.
    fn alone(&self, asked: &Asked<'_>, now: Timestamp) -> Result<(usize, Drift), Trouble> {
        let branch = beside(self.session, self.global)?;
        let path = path(self.name);
        let mut stands = branch.standing(&path)?;
        let mut told = read(stands.as_deref(), &path)?;
        let run = self.session.run().id;
        let mut keep = |told: &Told| keep(&branch, &path, &mut stands, told, now);
        let today = self.settings.zone.day(now);
        let (session, global) = (self.session, self.global);
        let reach =
            wire::Reach { catalog: &session.catalog, root: &global.root, access: wire::Access::Read, sessions: &session.sessions };
        // One runtime for all of it: connections end with theirs.
        let telling = async {
            let notifier = wire::notifier(&reach, self.settings).await?;
            finish(notifier.as_ref(), &mut told, today, &mut keep).await?;
            let drift = self.drift(asked, &told, now, &run)?;
            let steps = self.steps(asked, &drift, &told, notifier.as_ref());
            let messages = steps.len();
            let sender = Sender { run: drift.run.id.clone(), at: now, date: today };
            tell(notifier.as_ref(), &mut told, steps, &sender, &mut keep).await?;
            Ok((messages, drift))
        };
        pipeline::block_on(async {
            let late = |_| Err(format!("that took longer than {} s", TELLING.as_secs()).into());
            tokio::time::timeout(TELLING, telling).await.unwrap_or_else(late)
        })?
    }

    fn drift(&self, asked: &Asked<'_>, told: &Told, now: Timestamp, run: &RunId) -> Result<Drift, Trouble> {
        let since = match asked {
            Asked::Broken(why) => return Ok(unrecorded(now, run, &self.session.config, why)),
            Asked::Person(Some(when)) => Since::When(*when),
            _ => told.run.clone().map_or(Since::RunBefore, Since::Run),
        };
        drift::read(self.global, &self.session.catalog.settings.locker, &since)
    }

    /// What is due; when the evidence does not hold, nothing but that: nobody knows of anything else whether it is over. Whether the
    /// evidence holds again is known only by a run whose anchors all answered.
    fn steps(&self, asked: &Asked<'_>, drift: &Drift, told: &Told, notifier: &dyn Notifier) -> Vec<Step> {
        let settings = &self.session.catalog.settings;
        let alerts = firing(drift, &settings.alerts, self.name);
        let (edits, by_hand) = (notifier.edits(), matches!(asked, Asked::Person(_)));
        let silent = NotifySettings { report: false, ..self.settings.clone() };
        let (this, told) = match asked {
            Asked::Broken(_) => (&silent, Told { alerts: looked_at(told, &alerts, |_| false), ..Told::default() }),
            Asked::Run { proven: true } => (self.settings, told.clone()),
            Asked::Run { proven: false } | Asked::Person(_) => {
                let is_known = |on: AlertOn| on != AlertOn::Integrity;
                (self.settings, Told { alerts: looked_at(told, &alerts, is_known), ..told.clone() })
            }
        };
        steps(&Say { drift, settings: this, told: &told, alerts, edits, asked: by_hand })
    }
}

/// The alerts that were given and are due, and of the others those that it `is_known` of whether they are over.
fn looked_at(told: &Told, due: &BTreeMap<String, Firing>, is_known: impl Fn(AlertOn) -> bool) -> BTreeMap<String, Given> {
    let given = told.alerts.iter().filter(|(key, given)| due.contains_key(*key) || is_known(given.on));
    given.map(|(key, given)| (key.clone(), given.clone())).collect()
}

/// A report that says only that the evidence does not hold.
fn unrecorded(now: Timestamp, run: &RunId, config: &str, why: &str) -> Drift {
    let run = Compared { id: run.clone(), at: now, config: config.to_owned(), path: String::new(), commit: String::new() };
    Drift { broken: vec![why.to_owned()], ..Drift::of(now, run) }
}

fn give_back(leases: &Leases, id: &CredentialId, ours: Lease) {
    if let Err(error) = leases.give_back(id, ours) {
        tracing::warn!("{error}; it lapses by itself");
    }
}

/// Where what `name` was told is kept.
fn path(name: &str) -> String {
    format!("notify/{name}.json")
}

/// The branch beside that of the evidence where it is kept: no evidence, and pushed like it.
fn beside(session: &pipeline::Session, global: &Global) -> Result<Locker, Trouble> {
    let settings = &session.catalog.settings.locker;
    let elsewhere = LockerSettings { branch: settings.notify_branch(), ..settings.clone() };
    Ok(Locker::open(&global.root, &elsewhere, carry::signer(settings, global)?)?)
}

/// What was told, as it stands written.
fn read(stands: Option<&[u8]>, path: &str) -> Result<Told, WorldError> {
    let Some(bytes) = stands else { return Ok(Told::default()) };
    let wrong = |cause: &str| WorldError {
        class: ErrorClass::Permanent,
        operation: format!("read `{path}`"),
        cause: format!("{cause}; take it off its branch to begin anew"),
    };
    let told: Told = serde_json::from_slice(bytes).map_err(|_| wrong("it is not as slm writes it"))?;
    if told.format > TOLD_FORMAT { Err(wrong("a later version of slm wrote it")) } else { Ok(told) }
}

/// Writes down what was told, where nobody else did since it `stands` so.
fn keep(branch: &Locker, path: &str, stands: &mut Option<Vec<u8>>, told: &Told, now: Timestamp) -> Result<(), WorldError> {
    let failed = |class, cause: String| WorldError { class, operation: format!("write `{path}`"), cause };
    let told = Told { format: TOLD_FORMAT, ..told.clone() };
    let bytes = canonical::json(&told).map_err(|error| failed(ErrorClass::Permanent, error.to_string()))?;
    if !branch.swap(path, [stands.as_deref(), Some(&bytes)], "what was told", now)? {
        return Err(failed(ErrorClass::Conflict, "another run wrote it meanwhile".to_owned()));
    }
    *stands = Some(bytes);
    Ok(())
}

/// The last run that anybody was told of.
pub(super) fn last_told(global: &Global, settings: &LockerSettings) -> Result<Option<RunId>, Trouble> {
    let elsewhere = LockerSettings { branch: settings.notify_branch(), ..settings.clone() };
    let files = Locker::open(&global.root, &elsewhere, None)?.below("notify/")?;
    // Names of runs begin with their instant.
    Ok(files.into_values().filter_map(|bytes| serde_json::from_slice::<Told>(&bytes).ok()?.run).max())
}

/// How it ended: what was not told is a gap.
pub(super) fn exits(notified: &[Notified]) -> Vec<Exit> {
    notified.iter().filter(|one| one.failed.is_some()).map(|_| Exit::Incomplete).collect()
}

/// The same for people; empty when there are no notifiers.
pub(super) fn said(notified: &[Notified]) -> String {
    let line = |Notified { name, messages, failed }: &Notified| match failed {
        None if *messages == 0 => String::new(),
        None => format!("`{name}` was told: {}.\n", count(*messages as u64, "message")),
        Some(why) => format!("! `{name}` was not told everything: {why}; the next run tells the rest\n"),
    };
    notified.iter().map(line).collect()
}

/// `slm report drift --to NAME`.
pub(super) fn told_by_hand(global: &Global, name: &str, since: Option<When>) -> Result<Said, Trouble> {
    let session = pipeline::open(global, "report", None)?;
    let (name, settings) = named(&session.catalog.settings.notify, name)?;
    let telling = Telling { session: &session, global, name, settings };
    let (messages, drift) = telling.told(&Asked::Person(since)).map_err(|trouble| Trouble {
        exit: Exit::Incomplete,
        error: format!("`{name}` was not told everything: {}; the next run tells the rest", trouble.error).into(),
    })?;
    let (what, act) = crate::report::drift::headline(&drift);
    let human = format!("{what}\n{act}\n`{name}` was told: {}.\n", count(messages as u64, "message"));
    let mut json = crate::report::drift::json(&drift);
    json["notified"] = json!([Notified { name: name.to_owned(), messages, failed: None }]);
    Ok(Said::new(drift::exits(&drift), human, json))
}

/// The notifier of this name, or the only one of this kind.
fn named<'a>(all: &'a BTreeMap<String, NotifySettings>, name: &str) -> Result<(&'a str, &'a NotifySettings), Trouble> {
    if let Some((name, settings)) = all.get_key_value(name) {
        return Ok((name, settings));
    }
    let of_kind: Vec<_> = all.iter().filter(|(_, settings)| settings.kind().as_str() == name).collect();
    match of_kind[..] {
        [(name, settings)] => Ok((name, settings)),
        [] if all.is_empty() => Err(format!("there is no notifier `{name}`; declare `[notify.{name}]` in `slm.toml`").into()),
        [] => {
            let known: Vec<&str> = all.keys().map(String::as_str).collect();
            Err(format!("there is no notifier `{name}`; there are `{}`", known.join("`, `")).into())
        }
        _ => {
            let known: Vec<&str> = of_kind.iter().map(|(name, _)| name.as_str()).collect();
            Err(format!("there are {} notifiers of kind `{name}`; name one of `{}`", known.len(), known.join("`, `")).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_of_which_nobody_looked_whether_it_is_over_stays() {
        let given = |on: AlertOn| Given {
            key: on.as_str().to_owned(),
            on,
            about: String::new(),
            resource: String::new(),
            owner: String::new(),
            line: String::new(),
            at: Timestamp::UNIX_EPOCH,
            place: String::new(),
        };
        let all = [AlertOn::Integrity, AlertOn::Silent].map(|on| (on.as_str().to_owned(), given(on)));
        let told = Told { alerts: all.into(), ..Told::default() };
        let of = |is_known: fn(AlertOn) -> bool| looked_at(&told, &BTreeMap::new(), is_known).into_keys().collect::<Vec<_>>();
        assert_eq!(of(|on| on != AlertOn::Integrity), ["silent"], "what is not among them is neither closed nor forgotten");
        assert_eq!(of(|_| false), Vec::<String>::new());
        assert_eq!(of(|_| true), ["integrity", "silent"]);
    }
}
