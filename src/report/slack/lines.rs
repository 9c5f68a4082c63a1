//! Lines of messages: each has what it is about, its owner, its age against the limit, what to do, and where the evidence is.

use super::text::Shy;
use crate::model::drift::{Drift, Finding, Gone, Measured, Next};
use crate::model::notify::{AlertOn, NotifySettings};
use crate::model::time::Timestamp;
use crate::report::alerts::Firing;
use crate::report::drift::{coverage, phase, severity, span};

/// Lines of one kind on a message that has others too.
const SHOWN: usize = 10;

/// What lines are made with.
#[derive(Clone, Copy)]
pub(super) struct Lines<'a> {
    pub shy: Shy<'a>,
    pub settings: &'a NotifySettings,
    pub drift: &'a Drift,
}

/// What an alert is on, in words.
pub(super) const fn title(on: AlertOn) -> &'static str {
    match on {
        AlertOn::RotationFailed => "a rotation failed",
        AlertOn::HalfDone => "a rotation is half done",
        AlertOn::Overdue => "overdue",
        AlertOn::Expiring => "expires soon",
        AlertOn::Coverage => "coverage is low",
        AlertOn::StaleEvidence => "evidence is stale",
        AlertOn::Integrity => "the evidence does not hold",
        AlertOn::Silent => "not seen",
        AlertOn::ExceptionExpired => "an exception lapsed in use",
    }
}

/// Our own words, with what of others is in them made plain: it stands where no code span may.
pub(super) fn own(text: &str) -> String {
    super::text::escaped(&text.replace(['*', '_', '~', '`'], " "))
}

impl Lines<'_> {
    fn at(at: Timestamp) -> String {
        at.strftime("%Y-%m-%d %H:%M UTC").to_string()
    }

    /// The command, unless something in it is not to be shown.
    pub(super) fn next(self, next: &Next) -> String {
        match next {
            Next::Run(command) if !self.shy.shows(command) => "next: `slm report drift` names it".to_owned(),
            Next::Run(command) => format!("next {}", self.shy.code(command)),
            Next::Do(what) => format!("next: {}", self.spoken(what)),
        }
    }

    /// A clause of ours; what stands in backticks there is a command.
    fn spoken(self, what: &str) -> String {
        let part = |(number, part): (usize, &str)| match number % 2 {
            0 => own(&self.shy.hush(part)),
            _ if self.shy.shows(part) => self.shy.code(part),
            _ => "the command that `slm report drift` names".to_owned(),
        };
        what.split('`').enumerate().map(part).collect()
    }

    /// ` · <…|evidence>`, when there is an address for it.
    fn link(self, control: &str) -> String {
        self.linked(&format!("decisions/{control}.jsonl"), control)
    }

    /// The same of the run, where that is what the evidence is; an address that needs a control has none.
    fn link_of_run(self) -> String {
        let is_of_control = self.settings.link.as_ref().is_some_and(|link| link.contains("{control}"));
        let path = &self.drift.run.path;
        if is_of_control || path.is_empty() { String::new() } else { self.linked(path, "") }
    }

    fn linked(self, path: &str, control: &str) -> String {
        let Some(link) = &self.settings.link else { return String::new() };
        let filled = [("{commit}", self.drift.run.commit.as_str()), ("{path}", path), ("{control}", control)]
            .iter()
            .fold(link.clone(), |link, (name, value)| link.replace(name, &encoded(value)));
        format!(" · <{}|evidence>", filled.replace('&', "&amp;"))
    }

    /// The handle of `owner`.
    pub(super) fn mention(self, owner: &str) -> Option<String> {
        let id = self.settings.mention.get(owner)?;
        Some(if id.starts_with('S') { format!("<!subteam^{id}>") } else { format!("<@{id}>") })
    }

    pub(super) fn findings<'f>(self, findings: impl Iterator<Item = &'f Finding>) -> Vec<String> {
        findings.map(|one| self.finding(one)).collect()
    }

    fn finding(self, one: &Finding) -> String {
        let identity = &one.identity;
        // Instants and not ages, where no limit is: an age is another at each run, and every run would be an edit.
        let how = match &one.measured {
            Some(Measured { what, is, limit }) => format!("{what} {} of {limit}", span(*is)),
            None => format!("since {}", Self::at(one.since)),
        };
        format!(
            "• *{}* {} {} · {} · {} · owner {} · {}{}",
            severity(one.severity),
            self.shy.code(identity.control.as_str()),
            self.shy.code(&identity.resource),
            identity.status.word(),
            self.shy.code(&how),
            self.shy.code(&one.owner),
            self.next(&one.next),
            self.link(identity.control.as_str())
        )
    }

    /// What is resolved: there is nothing to do.
    pub(super) fn resolved(self) -> Vec<String> {
        self.drift.resolved.iter().map(|one| self.gone(one, "")).collect()
    }

    /// What nobody knows any more.
    pub(super) fn lost(self) -> Vec<String> {
        self.drift.lost.iter().map(|one| self.gone(one, " · next `slm status`")).collect()
    }

    fn gone(self, one: &Gone, next: &str) -> String {
        let identity = &one.identity;
        let (control, resource) = (self.shy.code(identity.control.as_str()), self.shy.code(&identity.resource));
        let (was, now, owner) = (identity.status.word(), self.shy.code(&one.now), self.shy.code(&one.owner));
        format!("• {control} {resource} · was {was}, now {now} · owner {owner}{next}{}", self.link(identity.control.as_str()))
    }

    pub(super) fn firing(self, firing: &Firing) -> String {
        let names = [&firing.about, &firing.resource].into_iter().filter(|name| !name.is_empty());
        let about: String = names.map(|name| format!(" {}", self.shy.code(name))).collect();
        let owner = if firing.owner.is_empty() { String::new() } else { format!(" · owner {}", self.shy.code(&firing.owner)) };
        let is_control =
            matches!(firing.on, AlertOn::Overdue | AlertOn::Expiring | AlertOn::StaleEvidence | AlertOn::ExceptionExpired);
        let link = match firing.on {
            _ if is_control => self.link(&firing.about),
            // What does not hold proves nothing.
            AlertOn::Integrity => String::new(),
            _ => self.link_of_run(),
        };
        format!(
            "*{}*{about} · {}{owner} · {}{link}",
            severity(firing.severity),
            self.shy.code(&firing.what),
            self.next(&firing.next)
        )
    }

    pub(super) fn broken(self) -> Vec<String> {
        self.drift.broken.iter().map(|why| format!("• {} · next `slm verify`", self.shy.code(why))).collect()
    }

    /// What failed, and what is half done.
    pub(super) fn rotations(self) -> Vec<String> {
        let failed = self.drift.failed.iter().map(|one| {
            let (name, owner) = (self.shy.code(one.credential.as_str()), self.shy.code(&one.owner));
            let (why, next) = (self.shy.code(&one.why), self.next(&one.next));
            format!("• {name} {}: {why} · owner {owner} · {next}{}", one.how, self.link_of_run())
        });
        let half = self.drift.half_done.iter().map(|one| {
            let since =
                one.since.map_or_else(|| "since when is not known".to_owned(), |since| format!("since {}", Self::at(since)));
            let (name, owner) = (self.shy.code(one.credential.as_str()), self.shy.code(&one.owner));
            format!("• {name} {}, {since} · owner {owner} · {}{}", phase(one.phase), self.next(&one.next), self.link_of_run())
        });
        failed.chain(half).collect()
    }

    pub(super) fn blind(self) -> Vec<String> {
        let sources = self.drift.unseen.iter().map(|one| {
            let what = format!("{} {} {}", one.source, one.collector, one.scope);
            format!("• {}: {} · next `slm status`{}", self.shy.code(&what), self.shy.code(&one.detail), self.link_of_run())
        });
        let rotations = self
            .drift
            .unseen_rotations
            .iter()
            .map(|id| format!("• the rotation of {} · next `slm status`{}", self.shy.code(id.as_str()), self.link_of_run()));
        let stale = self.drift.stale.iter().map(|one| {
            let (control, owner) = (self.shy.code(one.control.as_str()), self.shy.code(&one.owner));
            let (taken, link) = (Self::at(one.taken), self.link(one.control.as_str()));
            format!("• {control}: evidence of {taken}, may be {} old · owner {owner} · next `slm apply`{link}", one.limit)
        });
        let notes = self.drift.notes.iter().map(|note| format!("• {}", self.shy.code(note)));
        let all: Vec<String> = sources.chain(rotations).chain(stale).chain(notes).collect();
        let more = all.len().saturating_sub(SHOWN);
        let rest = (more > 0).then(|| format!("and {more} more that were not seen: `slm report drift` has all"));
        all.into_iter().take(SHOWN).chain(rest).collect()
    }

    /// Breaches ahead in numbers, and the first `most` of them.
    pub(super) fn ahead(self, most: usize) -> Vec<String> {
        let drift = self.drift;
        if drift.breaches.is_empty() {
            return Vec::new();
        }
        let numbers = format!("{} within 7 days, {} within 14, {} within 30", drift.within(7), drift.within(14), drift.within(30));
        let one = |one: &crate::model::drift::Breach| {
            let (control, resource) = (self.shy.code(one.control.as_str()), self.shy.code(&one.resource));
            let explain = || Next::Run(format!("slm explain {}", crate::report::drift::quoted(&one.resource)));
            let by = if one.managed { "slm rotates it before".to_owned() } else { self.next(&explain()) };
            format!(
                "• {} {control} {resource} · owner {} · {by}{}",
                Self::at(one.at),
                self.shy.code(&one.owner),
                self.link(one.control.as_str())
            )
        };
        std::iter::once(numbers).chain(drift.breaches.iter().take(most).map(one)).collect()
    }

    pub(super) fn exceptions(self) -> Vec<String> {
        let one = |one: &crate::model::drift::Ending| {
            let when = if one.in_use { "lapsed, and is needed:" } else { "ends" };
            let (id, control, resource) =
                (self.shy.code(one.id.as_str()), self.shy.code(one.control.as_str()), self.shy.code(&one.resource));
            let (at, link) = (Self::at(one.expires), self.link(one.control.as_str()));
            let who = format!("owner {} · asked for by {}", self.shy.code(&one.owner), self.shy.code(&one.requester));
            format!("• {id} {when} {at} · {control} {resource} · {who} · next: meet it, or have it approved again{link}")
        };
        self.drift.exceptions.iter().map(one).collect()
    }

    pub(super) fn unmanaged(self) -> Vec<String> {
        let names = &self.drift.unmanaged.names;
        if names.is_empty() {
            return Vec::new();
        }
        let first = format!("{} of {} secrets · next `slm adopt`", names.len(), self.drift.unmanaged.seen);
        std::iter::once(first).chain(names.iter().take(SHOWN).map(|name| format!("• {}", self.shy.code(name)))).collect()
    }

    pub(super) fn coverage(self) -> Vec<String> {
        coverage(self.drift).iter().map(|line| own(&self.shy.hush(line))).collect()
    }
}

/// `value` as a part of an address.
fn encoded(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    value.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
