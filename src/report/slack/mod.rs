//! What a channel of Slack is told by a report of drift, and in which order: one message a day with the state, edited in place, what changed
//! below it, and alerts that are closed when they are over. Pure: what was told before comes in, messages come out.

mod lines;
mod message;
#[cfg(test)]
mod pictures;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;

use lines::Lines;
pub use message::{BLOCKS, BUDGET, HEADER, Message, SECTION};
pub use text::Shy;

use super::alerts::{Firing, unknown};
use super::drift::headline;
use super::words::age;
use crate::model::drift::Drift;
use crate::model::notify::{Day, Effect, Given, Notice, NotifySettings, Step, Told, Way};
use text::escaped;

/// Findings on the message of the day; the rest is below it.
const TOP: usize = 5;

/// Everything that messages are made of.
pub struct Say<'a> {
    /// What is so.
    pub drift: &'a Drift,
    /// Whom it is for.
    pub settings: &'a NotifySettings,
    /// What was told before.
    pub told: &'a Told,
    /// Alerts that are due, by key.
    pub alerts: BTreeMap<String, Firing>,
    /// Whether what is shown can be changed, and something put below it.
    pub edits: bool,
    /// Whether a person asks for it, so that nothing waits for the end of quiet hours.
    pub asked: bool,
}

impl<'a> Say<'a> {
    fn shy(&self) -> Shy<'a> {
        Shy { confidential: &self.settings.confidential }
    }

    fn lines(&self) -> Lines<'a> {
        Lines { shy: self.shy(), settings: self.settings, drift: self.drift }
    }

    /// The environment as a header shows it.
    fn environment(&self) -> String {
        self.settings.environment.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(40).collect()
    }

    /// What waits for the end of quiet hours waits.
    fn quiet(&self) -> bool {
        !self.asked && self.settings.is_quiet(self.drift.at)
    }

    fn context(&self) -> String {
        let drift = self.drift;
        format!("run {} of {}; written {}", drift.run.id, drift.run.at, self.settings.zone.clock(drift.at))
    }

    /// What is new since what was told; nothing is when nothing was told yet.
    fn changed(&self) -> bool {
        let drift = self.drift;
        self.told.run.is_some() && !(drift.new.is_empty() && drift.resolved.is_empty() && drift.lost.is_empty())
    }
}

/// The messages that are due, in the order in which they are sent.
#[must_use]
pub fn steps(say: &Say<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    let key = day_key(say);
    if say.settings.report {
        day(say, &key, &mut steps);
    }
    if say.changed() && !say.quiet() {
        let below = say.edits && say.settings.report;
        steps.push(changes(say, if below { Way::Below(key) } else { Way::Show }));
    }
    for firing in say.alerts.values().filter(|firing| !say.told.alerts.contains_key(&firing.key)) {
        if !say.quiet() || firing.is_urgent() {
            steps.push(alert(say, firing));
        }
    }
    let over = say.told.alerts.values().filter(|given| !say.alerts.contains_key(&given.key) && !unknown(say.drift, given));
    for given in over.filter(|_| !say.quiet()) {
        close(say, given, &mut steps);
    }
    steps
}

fn day_key(say: &Say<'_>) -> String {
    format!("state:{}:{}", say.environment(), say.settings.zone.day(say.drift.at))
}

/// The state of the day: new on a new day, changed in place when it is another.
fn day(say: &Say<'_>, key: &str, steps: &mut Vec<Step>) {
    let date = say.settings.zone.day(say.drift.at);
    let before = say.told.day.as_ref().filter(|day| day.date == date);
    let told_now = say.changed() && !say.quiet();
    let counted = |before: u64, now: usize| before + if told_now { now as u64 } else { 0 };
    let came = counted(before.map_or(0, |day| day.came), say.drift.new.len());
    let went = counted(before.map_or(0, |day| day.went), say.drift.resolved.len());
    let message = state(say, came, went);
    // The addresses of evidence have the commit of the run in them: another one is nothing that changed.
    let nowhere = NotifySettings { link: None, ..say.settings.clone() };
    let digest = state(&Say { settings: &nowhere, alerts: BTreeMap::new(), ..*say }, came, went).digest();
    let way = match before {
        None if say.quiet() => return,
        None => Way::Show,
        Some(day) if !say.edits || day.digest == digest => return,
        Some(day) => Way::Change(day.place.clone()),
    };
    let is_new = way == Way::Show;
    let (text, body) = message.done(&plain(say, &opened(say, came, went)), &say.context());
    let effect = Effect::Day(Day { date, key: key.to_owned(), place: String::new(), digest, came, went });
    steps.push(Step { way, effect, notice: Notice { key: key.to_owned(), text, body }, place: None });
    if is_new && say.edits && !details_of(say).is_empty() {
        steps.push(details(say, key));
    }
}

/// What changed and whether somebody must act, for where blocks are not shown.
fn plain(say: &Say<'_>, what: &str) -> String {
    escaped(&format!("{}: {what} {}", say.environment(), say.shy().hush(&headline(say.drift).1)))
}

/// Whether somebody must act.
fn act(say: &Say<'_>) -> String {
    format!("*{}*", lines::own(&say.shy().hush(&headline(say.drift).1)))
}

/// How many came and went today, and how many are open.
fn opened(say: &Say<'_>, came: u64, went: u64) -> String {
    // Of what was not seen, or is not as it was recorded, nobody can say that nothing is open.
    let known = if say.drift.is_blind() || !say.drift.broken.is_empty() { "known to be open" } else { "open" };
    let open = match say.drift.new.len() + say.drift.open.len() {
        0 => format!("No finding is {known}."),
        1 => format!("1 finding is {known}."),
        many => format!("{many} findings are {known}."),
    };
    if came + went > 0 { format!("Today +{came} new, -{went} resolved. {open}") } else { open }
}

/// One word for it.
fn word(drift: &Drift) -> &'static str {
    match (drift.must().is_empty(), drift.is_blind(), drift.new.len() + drift.open.len()) {
        (false, ..) => "ACT",
        (true, true, _) => "NOT SEEN",
        (true, false, 0) => "OK",
        (true, false, _) => "open",
    }
}

fn state(say: &Say<'_>, came: u64, went: u64) -> Message {
    let (drift, lines) = (say.drift, say.lines());
    let date = say.settings.zone.day(drift.at);
    let mut message = Message::headed(&format!("{} {date}: {}", say.environment(), word(drift)));
    message.section("", &[opened(say, came, went), act(say)]);
    message.section("Evidence", &lines.broken());
    message.section("Rotations", &lines.rotations());
    message.section("Top", &lines.findings(drift.findings().into_iter().take(TOP)));
    message.section("Not seen", &lines.blind());
    message.section("Ahead", &lines.ahead(0));
    message.section("Coverage", &lines.coverage());
    message
}

/// Everything that is open, below the message of the day.
fn details(say: &Say<'_>, key: &str) -> Step {
    let mut message = Message::headed(&format!("{}: what else is open or ahead", say.environment()));
    for (title, lines) in details_of(say) {
        message.section(title, &lines);
    }
    let (text, body) = message.done(&plain(say, &opened(say, 0, 0)), "");
    let own = format!("details:{}:{}", say.environment(), say.settings.zone.day(say.drift.at));
    Step { way: Way::Below(key.to_owned()), effect: Effect::Nothing, notice: Notice { key: own, text, body }, place: None }
}

fn details_of(say: &Say<'_>) -> Vec<(&'static str, Vec<String>)> {
    let lines = say.lines();
    let all = [
        ("Findings", lines.findings(say.drift.findings().into_iter().skip(TOP))),
        ("Breaches ahead", lines.ahead(usize::MAX)),
        ("Exceptions that end", lines.exceptions()),
        ("Nobody declared", lines.unmanaged()),
    ];
    all.into_iter().filter(|(_, lines)| !lines.is_empty()).collect()
}

fn changes(say: &Say<'_>, way: Way) -> Step {
    let (drift, lines) = (say.drift, say.lines());
    let (new, gone, lost) = (drift.new.len(), drift.resolved.len(), drift.lost.len());
    let unknown = if lost > 0 { format!(", {lost} not known any more") } else { String::new() };
    let what = format!("+{new} new, -{gone} resolved{unknown}, ={} open", drift.open.len());
    let mut message = Message::headed(&format!("{}: {what}", say.environment()));
    message.section("", &[act(say)]);
    message.section("New", &lines.findings(drift.new.iter()));
    message.section("Resolved", &lines.resolved());
    message.section("Not known any more", &lines.lost());
    let (text, body) = message.done(&plain(say, &format!("{what}.")), &say.context());
    let key = format!("changes:{}:{}", say.environment(), drift.run.id);
    Step { way, effect: Effect::Changes(drift.run.id.clone()), notice: Notice { key, text, body }, place: None }
}

fn alert(say: &Say<'_>, firing: &Firing) -> Step {
    let (lines, title) = (say.lines(), lines::title(firing.on));
    let line = lines.firing(firing);
    let mut message = Message::headed(&format!("{}: {title}", say.environment()));
    let mention = if firing.mentions() { lines.mention(&firing.owner) } else { None };
    message.section("", &[mention.map_or_else(|| line.clone(), |who| format!("{who} {line}"))]);
    let plain = format!("{}: {title}{}: {}", say.environment(), of(&firing.about, &firing.resource), firing.what);
    let (text, body) = message.done(&escaped(&say.shy().hush(&plain)), &say.context());
    let given = Given {
        key: firing.key.clone(),
        on: firing.on,
        about: firing.about.clone(),
        resource: firing.resource.clone(),
        owner: firing.owner.clone(),
        line,
        at: say.drift.at,
        place: String::new(),
    };
    Step { way: Way::Show, effect: Effect::Alert(given), notice: Notice { key: firing.key.clone(), text, body }, place: None }
}

/// What an alert is of, by name.
fn of(about: &str, resource: &str) -> String {
    let names: Vec<&str> = [about, resource].into_iter().filter(|name| !name.is_empty()).collect();
    if names.is_empty() { String::new() } else { format!(": {}", names.join(" ")) }
}

/// What was an alert is shown as over, and that it is over is said below it.
fn close(say: &Say<'_>, given: &Given, steps: &mut Vec<Step>) {
    let title = lines::title(given.on);
    let lasted = age(given.at, say.drift.at);
    let mut message = Message::headed(&format!("{}: over: {title}", say.environment()));
    message.section("", &[format!("Over after {lasted}, nothing is to be done. It said:"), given.line.clone()]);
    let plain = format!("{}: over after {lasted}: {title}{}", say.environment(), of(&given.about, &given.resource));
    let plain = escaped(&say.shy().hush(&plain));
    let (text, body) = message.done(&plain, &say.context());
    if !say.edits {
        let key = format!("over:{}:{}", given.key, say.drift.run.id);
        let (way, effect) = (Way::Show, Effect::Over(given.key.clone()));
        steps.push(Step { way, effect, notice: Notice { key, text, body }, place: None });
        return;
    }
    let notice = Notice { key: given.key.clone(), text, body };
    steps.push(Step { way: Way::Change(given.place.clone()), effect: Effect::Nothing, notice, place: None });
    let mut reply = Message::headed(&format!("Over after {lasted}"));
    reply.section("", &[format!("Run `{}` does not find it any more.", say.drift.run.id)]);
    let (text, body) = reply.done(&plain, "");
    let key = format!("over:{}:{}", given.key, say.drift.run.id);
    let (way, effect) = (Way::Below(given.key.clone()), Effect::Over(given.key.clone()));
    steps.push(Step { way, effect, notice: Notice { key, text, body }, place: None });
}
