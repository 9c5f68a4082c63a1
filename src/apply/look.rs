//! Reads the world and classifies it for [`super::decide`]. Credentials at the target are listed before the store is read, and
//! the store before the consumers: what is seen unrecorded was unrecorded before anything else was looked at.

use std::collections::{BTreeMap, BTreeSet};

use super::contents;
use super::decide::Mark;
use super::gate::{Reading, gate, soaked};
use super::job::{Goal, Job};
use super::observation::{
    Content, Ending, Force, Key, Last, Left, Marks, Observation, Place, Records, Role, Sight, Slot, Verdict, last_use,
};
use crate::model::catalog::{Consumer, OnDeadline};
use crate::model::id::{ConsumerId, RegisterName, VersionId};
use crate::model::names;
use crate::model::outcome::{Fate, Readings};
use crate::model::time::{Limit, Timestamp};
use crate::world::{ConsumerView, ErrorClass, Issuer, KeyView, Listing, Overlap, PENDING, SecretView, WorldError};

/// Where an observation was made from; what is performed on it refers to the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Basis {
    /// The version in force.
    pub generation: Option<VersionId>,
    /// The version in force before, when we promoted this one.
    pub parent: Option<VersionId>,
    /// The store's clock.
    pub now: Timestamp,
    /// The target's clock.
    pub target_now: Timestamp,
    /// The target lists the credential in force, and where that is was not kept yet.
    pub listed: bool,
}

/// What a drive remembers from look to look.
#[derive(Clone, Default, Hash)]
pub(super) struct Known {
    /// What versions hold: a version is written once, so that what was read stays true.
    pub(super) contents: BTreeMap<VersionId, Content>,
    /// Versions whose value some consumer could not take, and why.
    pub(super) unfit: BTreeMap<VersionId, String>,
    /// The version that the target would not take, and why.
    pub declined: Option<(VersionId, String)>,
    /// Versions of which is known whether it was written down that they are in wrong hands.
    leaked: BTreeMap<VersionId, bool>,
}

/// What [`store`] brings back.
pub(super) enum Seen {
    /// To be decided on.
    Whole(Box<(Observation, Basis, Readings)>),
    /// The action does not fit the world any more.
    Stale(Fate),
}

impl Basis {
    /// Fails when the store did not tell its clock: an instant of ours is compared with none of its own.
    fn new(goal: &Goal<'_>, view: &SecretView, listing: &Listing) -> Result<Self, WorldError> {
        let generation = view.current().cloned();
        let made_by_us = |parent: &VersionId| {
            let made = |generation| names::continues(goal.secret, parent, generation, view.versions.keys());
            generation.as_ref().is_some_and(made)
        };
        let parent = view.previous().filter(|parent| made_by_us(parent)).cloned();
        let now = view.now.ok_or_else(|| WorldError {
            class: ErrorClass::Transient,
            operation: format!("look at the versions of {}", goal.secret.name),
            cause: "the store did not say what time it is".to_owned(),
        })?;
        Ok(Self { parent, generation, now, target_now: listing.now, listed: false })
    }
}

/// True when `generation` is what the action was made for, or what carrying it out makes of it.
fn expected(job: &Job<'_>, goal: &Goal<'_>, generation: Option<&VersionId>) -> bool {
    if generation == goal.generation {
        return true;
    }
    let Some(now) = generation else { return false };
    let back = |from: Option<&VersionId>| from.is_some_and(|from| *now == names::rollback(goal.secret, from));
    let mut slots = (0..job.credential.policy.attempts).map(|n| names::slot(goal.secret, goal.generation, n));
    let made = names::attempt(goal.secret, goal.generation, now).is_some();
    back(goal.generation) || (goal.rotate && (made || slots.any(|slot| back(Some(&slot)))))
}

/// Reads the store, the registers and the consumers.
pub(super) async fn store(
    job: &Job<'_>,
    goal: &Goal<'_>,
    listing: Listing,
    known: &mut Known,
    consumers: impl AsyncFnOnce() -> Vec<Place>,
) -> Result<Seen, WorldError> {
    let view = job.store.describe(goal.secret).await?;
    let mut basis = Basis::new(goal, &view, &listing)?;
    let generation = basis.generation.clone();
    let generation = generation.as_ref();
    if !expected(job, goal, generation) {
        let now = generation.map_or_else(|| "nothing".to_owned(), |id| format!("version {id}"));
        return Ok(Seen::Stale(Fate::Stale(format!("{now} is current in `{}` now", goal.secret.name))));
    }
    let due = goal.rotate && generation == goal.generation;
    let ids = slots_of(job, goal, &view, generation);
    let near = near(job, goal, &view, &basis, &ids);
    let contents = contents::of(job, goal, (&view, &listing), (&ids, &near), due, known).await?;
    let registers = registers(job, goal, generation, ids.len()).await?;
    let leak = leaked(job, goal, &basis, (&registers, due), known).await?;
    basis.listed = is_seen_first(job, generation, &listing, &contents, &registers);
    let consumers = consumers().await;
    let read = Read { job, goal, basis: &basis, view: &view, listing: &listing, contents, known, registers, due, leak };
    let (observation, readings) = read.observation(ids, consumers);
    Ok(Seen::Whole(Box::new((observation, basis, readings))))
}

/// Everything that was read, to be classified.
struct Read<'a> {
    job: &'a Job<'a>,
    goal: &'a Goal<'a>,
    basis: &'a Basis,
    view: &'a SecretView,
    listing: &'a Listing,
    contents: BTreeMap<VersionId, Content>,
    known: &'a Known,
    registers: BTreeMap<RegisterName, String>,
    due: bool,
    leak: Leak,
}

/// What is known of values in wrong hands.
struct Leak {
    /// True when one that is to be ended, or to be left, is.
    known: bool,
    /// One of which only this run knows.
    untold: Option<VersionId>,
}

impl Read<'_> {
    fn observation(&self, ids: Vec<VersionId>, consumers: Vec<Place>) -> (Observation, Readings) {
        let (job, goal, listing) = (self.job, self.goal, self.listing);
        let generation = self.basis.generation.as_ref();
        let capabilities = job.rotator.capabilities();
        let (slots, restore) = self.slots(&ids);
        let keys = self.keys(&ids, &slots, restore.as_ref());
        let marks = generation.map(|generation| marks(goal, generation, &self.registers)).unwrap_or_default();
        let single = capabilities.overlap == Overlap::Single;
        let old = listing.keys.iter().zip(&keys).filter(|(_, key)| key.role == Role::Older).map(|(view, _)| view);
        let draining = draining(&consumers, job);
        let unread: Vec<String> = consumers.iter().filter_map(|place| waited_for(place, marks.promoted)).collect();
        let none = Limit::seconds(0);
        let lingers = longest(job, Consumer::lingers);
        let reading = Reading {
            now: self.basis.now,
            promoted: marks.promoted,
            lease: job.credential.policy.lease,
            staleness: longest(job, |consumer| if consumer.lingers() == none { consumer.max_staleness } else { none }),
            adopted: marks.adopted,
            lingers,
            unread: &unread,
            draining: &draining,
            target_now: listing.now,
            last_use: last_use(old),
            quiet: job.credential.gate.longest_quiet(),
            behind: &self.view.behind,
            // No freeze keeps a value in wrong hands alive, nor does what is made of it.
            held: job.retire_held.as_deref().filter(|_| !self.leak.known),
            leak: self.leak.known,
            overdue: overdue(job, marks.promoted, self.basis.now),
        };
        let (readings, gate) = (reading.noted(self.running(&consumers, &marks), read(&consumers)), gate(&reading));
        let soak = job.credential.gate.soak;
        let ((fate, last), gone, left) = (self.ending(), self.gone(restore.as_ref()), self.left(&marks));
        let observation = Observation {
            capabilities,
            generation: generation.cloned(),
            force: self.force(),
            due: self.due,
            leak: self.leak.known,
            untold: self.leak.untold.clone(),
            tail: goal.tail,
            lingers: lingers > none,
            soaked: marks.disabled.map(|since| soaked(since, soak, self.basis.now)),
            slots,
            restore,
            fate,
            last,
            keys,
            installed: listing.keys.iter().filter(|_| single).find_map(|key| key.version.clone()),
            gone,
            left,
            unreadable: self.unreadable(),
            consumers,
            marks,
            gate,
            shut: self.view.shut.clone(),
            behind: self.view.behind.clone(),
            leased: (job.fence)(),
        };
        (observation, readings)
    }

    /// Consumers that run the version in force, as far as anybody waits for it.
    fn running(&self, consumers: &[Place], marks: &Marks) -> Vec<ConsumerId> {
        let generation = self.basis.generation.as_ref();
        let runs = |place: &&Place| {
            let is_it = |view: &ConsumerView| generation.is_some() && view.running.as_ref() == generation;
            matches!(&place.sight, Sight::Seen(view) if is_it(view)) && waited_for(place, marks.promoted).is_none()
        };
        consumers.iter().filter(runs).map(|place| place.id.clone()).collect()
    }

    /// What the version in force holds.
    fn force(&self) -> Force {
        let validated = self.job.rotator.capabilities().validated();
        match self.basis.generation.as_ref().and_then(|generation| self.contents.get(generation)) {
            Some(Content::Tombstone(_)) => Force::Nothing,
            Some(Content::Value(None)) if validated => Force::Nameless(self.job.credential.rotator.shape()),
            _ => Force::Value,
        }
    }

    /// What was decided about the value before.
    fn ending(&self) -> (Option<Ending>, Option<Last>) {
        let Some(generation) = &self.basis.generation else { return (None, None) };
        let fate = self.registers.get(&names::fate(self.goal.secret, generation)).and_then(|text| Ending::read(text));
        let last = self.registers.get(&names::last(self.goal.secret, generation));
        (fate, last.and_then(|text| Last::read(text, self.job.credential.policy.lease, self.basis.now)))
    }

    fn unreadable(&self) -> Vec<VersionId> {
        let unread = self.contents.iter().filter(|(_, content)| **content == Content::Unreadable);
        unread.map(|(id, _)| id.clone()).collect()
    }

    /// True when the value before names a credential that its target does not list.
    fn gone(&self, restore: Option<&Slot>) -> bool {
        let side_by_side = matches!(self.job.rotator.capabilities().overlap, Overlap::Dual { .. });
        let kept = restore.map(|slot| &slot.content).filter(|content| matches!(content, Content::Value(_)));
        let before = kept.or_else(|| self.contents.get(self.basis.parent.as_ref()?)).filter(|_| side_by_side && restore.is_some());
        matches!(before, Some(Content::Value(Some(_)))) && before.and_then(|before| listed(before, self.listing)).is_none()
    }

    /// Where nobody validates a value now, what somebody did is still to be ended when that was begun and its end not noted.
    fn left(&self, marks: &Marks) -> Option<Left> {
        let capabilities = self.job.rotator.capabilities();
        let begun = marks.promoted.is_some() || self.ending().0 == Some(Ending::Retire);
        let is_it = begun && marks.done.is_none() && !capabilities.validated() && !capabilities.staged();
        let version = self.basis.parent.clone();
        let ended = version.as_ref().is_some_and(|version| self.job.credential.policy.ended_elsewhere.contains(version));
        is_it.then_some(Left { version, ended })
    }

    /// Slots matter when something is to be made, and when something is to be ended; a bare delivery looks at none.
    fn slots(&self, ids: &[VersionId]) -> (Vec<Slot>, Option<Slot>) {
        let generation = self.basis.generation.as_ref();
        let slot = |id: VersionId, verdict| {
            let content = self.contents.get(&id).cloned().unwrap_or(Content::Absent);
            let unfit = self.known.unfit.get(&id).cloned();
            let refused = self.known.declined.as_ref().filter(|(declined, _)| *declined == id).map(|(_, why)| why.clone());
            let mut slot = Slot { id, content, verdict, over: None, installed: false, unfit, refused };
            stand(&mut slot, self.listing);
            slot
        };
        let lease = self.job.credential.policy.lease;
        let verdict = |n| {
            let text = self.registers.get(&names::verdict(self.goal.secret, generation, n))?;
            verdict(text, lease, self.basis.now)
        };
        let numbered = (0..).zip(ids).filter(|_| self.due || self.goal.tail);
        let slots = numbered.map(|(n, id)| slot(id.clone(), verdict(n))).collect();
        let restore = self.basis.parent.as_ref().zip(generation).map(|(parent, generation)| {
            let restore = slot(names::rollback(self.goal.secret, generation), None);
            // Until it is kept there, the value is in the version before.
            let before = self.contents.get(parent).filter(|_| !matches!(restore.content, Content::Value(_)));
            let over = before.and_then(|content| listed(content, self.listing)).and_then(|key| key.version.clone());
            Slot { over: over.or(restore.over), ..restore }
        });
        (slots, restore)
    }

    /// Every version that was read and that only slm writes into this secret.
    fn ours(&self, attempts: u8) -> BTreeSet<VersionId> {
        let (goal, versions) = (self.goal, &self.view.versions);
        if !goal.tail {
            return BTreeSet::new();
        }
        let derived = versions.keys().map(Some).chain([None]).flat_map(|generation| {
            let slots = (0..attempts).map(move |n| names::slot(goal.secret, generation, n));
            slots.chain(generation.map(|generation| names::rollback(goal.secret, generation)))
        });
        let mut ours: BTreeSet<VersionId> = derived.filter(|id| self.contents.contains_key(id)).collect();
        // There may have been more attempts than are declared now.
        let more = |id: &VersionId| {
            let made = |generation: Option<&VersionId>| names::attempt(goal.secret, generation, id).is_some();
            made(None) || versions.keys().any(|generation| made(Some(generation)))
        };
        let known = |id: &VersionId| ours.contains(id) || Some(id) == self.basis.generation.as_ref();
        let unknown: Vec<VersionId> = self.contents.keys().filter(|id| !known(id) && more(id)).cloned().collect();
        ours.extend(unknown);
        ours
    }

    fn keys(&self, ids: &[VersionId], slots: &[Slot], restore: Option<&Slot>) -> Vec<Key> {
        let generation = self.basis.generation.as_ref();
        let explained = |id: &VersionId| Some(id) == generation || ids.contains(id);
        let all_explained = self.contents.keys().all(explained);
        let attempts = self.job.credential.policy.attempts;
        let ours = if all_explained { BTreeSet::new() } else { self.ours(attempts) };
        let records =
            Records { generation, parent: self.basis.parent.as_ref(), contents: &self.contents, ours: &ours, slots, restore };
        let server = self.job.rotator.capabilities().issuer == Issuer::Server;
        let lease = self.job.credential.policy.lease;
        let now = self.listing.now;
        let role = |key: &KeyView| {
            let gone = key.created.map_or(Timestamp::MAX, |created| lease.after(created));
            records.role(key, server, (now < gone).then_some(gone))
        };
        self.listing
            .keys
            .iter()
            .map(|key| Key { id: key.id.clone(), active: key.active, version: key.version.clone(), role: role(key) })
            .collect()
    }
}

/// How the credential in `slot` stands at the target.
fn stand(slot: &mut Slot, listing: &Listing) {
    if let Some(key) = listed(&slot.content, listing) {
        slot.installed = key.active && key.version.as_ref().is_none_or(|version| *version == slot.id);
        slot.over = key.version.clone();
    }
}

/// The credential in `content` as the target lists it.
fn listed<'a>(content: &Content, listing: &'a Listing) -> Option<&'a KeyView> {
    let Content::Value(Some(name)) = content else { return None };
    listing.keys.iter().find(|key| key.id == *name)
}

/// True when the value before is to be ended by now, whoever was seen to use it; both instants are the store's.
fn overdue(job: &Job<'_>, promoted: Option<Timestamp>, now: Timestamp) -> bool {
    let gate = &job.credential.gate;
    gate.on_deadline == OnDeadline::Retire && promoted.is_some_and(|promoted| gate.overdue(promoted, now))
}

/// The longest of what `limit` says of each consumer.
fn longest(job: &Job<'_>, limit: impl Fn(&Consumer) -> Limit) -> Limit {
    job.credential.consumers.iter().map(limit).max().unwrap_or(Limit::seconds(0))
}

fn draining(consumers: &[Place], job: &Job<'_>) -> Vec<String> {
    let work = consumers.iter().filter_map(|place| match &place.sight {
        Sight::Seen(view) if job.credential.gate.drain => Some(view.draining.iter().cloned()),
        _ => None,
    });
    work.flatten().collect()
}

/// Who must have read the version in force for `place`, and was not seen to since it was `promoted`; `None` when nobody is waited for.
fn waited_for(place: &Place, promoted: Option<Timestamp>) -> Option<String> {
    let Sight::Seen(view) = &place.sight else { return None };
    view.readers.as_ref()?.missing(promoted).map(|who| format!("consumer `{}`: {who}", place.id))
}

/// Who was seen to read the version in force, and when last: for the evidence.
fn read(consumers: &[Place]) -> Vec<String> {
    let seen = consumers.iter().filter_map(|place| match &place.sight {
        Sight::Seen(view) => Some((&place.id, view.readers.as_ref()?)),
        _ => None,
    });
    let line = |id: &ConsumerId, who: &String, at: Timestamp| format!("{id}: {who} at {at}");
    seen.flat_map(|(id, readers)| readers.last.iter().filter_map(move |(who, at)| Some(line(id, who, (*at)?)))).collect()
}

/// Attempts at replacing `generation`: as many as are declared, and those of them that an earlier declaration allowed besides.
fn slots_of(job: &Job<'_>, goal: &Goal<'_>, view: &SecretView, generation: Option<&VersionId>) -> Vec<VersionId> {
    let slot = |n| names::slot(goal.secret, generation, n);
    let pending = view.labelled(PENDING).and_then(|id| names::attempt(goal.secret, generation, id));
    let declared = job.credential.policy.attempts.max(pending.map_or(0, |n| n.saturating_add(1)));
    let mut slots: Vec<VersionId> = (0..declared).map(slot).collect();
    slots.extend((declared..=u8::MAX).map(slot).take_while(|id| view.versions.contains_key(id)));
    slots
}

/// Versions that may tell of a credential which is still to be ended: what has a label, attempts at this generation and at the one before,
/// and what brings a value back. Where this one did so, the attempts beside the one that was left are as near.
fn near(job: &Job<'_>, goal: &Goal<'_>, view: &SecretView, basis: &Basis, slots: &[VersionId]) -> BTreeSet<VersionId> {
    let labelled = view.versions.iter().filter(|(_, version)| !version.labels.is_empty()).map(|(id, _)| id.clone());
    let mut near: BTreeSet<VersionId> = labelled.chain(slots.iter().cloned()).collect();
    let (generation, parent) = (basis.generation.as_ref(), basis.parent.as_ref());
    near.extend([generation, parent].into_iter().flatten().map(|id| names::rollback(goal.secret, id)));
    if let Some(parent) = parent {
        near.extend(slots_of(job, goal, view, Some(parent)));
        if generation == Some(&names::rollback(goal.secret, parent)) {
            let made = |from: &&VersionId| slots_of(job, goal, view, Some(from)).contains(parent);
            near.extend(view.versions.keys().filter(made).flat_map(|from| slots_of(job, goal, view, Some(from))));
        }
    }
    near
}

/// True when the target lists the credential in force, and where that is was not kept yet.
fn is_seen_first(
    job: &Job<'_>,
    generation: Option<&VersionId>,
    listing: &Listing,
    contents: &BTreeMap<VersionId, Content>,
    registers: &BTreeMap<RegisterName, String>,
) -> bool {
    let Some(generation) = generation.filter(|_| job.rotator.place().is_some()) else { return false };
    let kept = registers.contains_key(&names::place(generation));
    let key = contents.get(generation).and_then(|content| listed(content, listing)).filter(|_| !kept);
    key.is_some_and(|key| key.active && key.version.as_ref().is_none_or(|version| version == generation))
}

async fn registers(
    job: &Job<'_>,
    goal: &Goal<'_>,
    generation: Option<&VersionId>,
    attempts: usize,
) -> Result<BTreeMap<RegisterName, String>, WorldError> {
    let validated = job.rotator.capabilities().overlap != Overlap::Unvalidated;
    let canary = job.credential.consumers.iter().any(|consumer| consumer.canary);
    let verdicts = (0..=u8::MAX).take(attempts).filter(|_| goal.rotate && (validated || canary));
    let mut wanted: Vec<RegisterName> = verdicts.map(|n| names::verdict(goal.secret, generation, n)).collect();
    wanted.extend(generation.filter(|_| goal.rotate && ends(job)).map(|generation| names::leak(goal.secret, generation)));
    if let Some(generation) = generation.filter(|_| goal.tail) {
        wanted.extend([names::fate(goal.secret, generation), names::last(goal.secret, generation)]);
        let lingers = longest(job, Consumer::lingers) > Limit::seconds(0);
        let adopted = Some(Mark::Adopted).filter(|_| lingers);
        let marks = [Mark::Promoted, Mark::Disabled, Mark::Refused, Mark::Done].into_iter().chain(adopted);
        wanted.extend(marks.map(|mark| names::mark(goal.secret, generation, mark.as_str())));
        wanted.extend(job.rotator.place().map(|_| names::place(generation)));
    }
    // What another kind left behind is not forgotten by leaving the generation.
    if let Some(generation) = generation.filter(|_| goal.rotate && !goal.tail) {
        wanted.extend([Mark::Promoted, Mark::Done].map(|mark| names::mark(goal.secret, generation, mark.as_str())));
    }
    if wanted.is_empty() { Ok(BTreeMap::new()) } else { job.registers.read(&goal.namespace(generation), &wanted).await }
}

/// True when a rotation leaves something behind that is ended by itself.
fn ends(job: &Job<'_>) -> bool {
    matches!(job.rotator.capabilities().overlap, Overlap::Dual { .. })
}

/// Whether what is to be left when it is `due`, or what the version in force replaced, was said to be in wrong hands, by this run or by
/// one before it.
async fn leaked(
    job: &Job<'_>,
    goal: &Goal<'_>,
    basis: &Basis,
    (registers, due): (&BTreeMap<RegisterName, String>, bool),
    known: &mut Known,
) -> Result<Leak, WorldError> {
    if !ends(job) {
        return Ok(Leak { known: job.leak, untold: None });
    }
    let own = basis.generation.as_ref().filter(|_| due);
    let own_told = own.is_some_and(|own| registers.contains_key(&names::leak(goal.secret, own)));
    let done = basis.generation.as_ref().is_some_and(|now| marks(goal, now, registers).done.is_some());
    let before = basis.parent.as_ref().filter(|_| goal.tail && !done);
    let before_told = match before {
        Some(before) => told(job, goal, before, known).await?,
        None => false,
    };
    // What came between is another's: a value that was brought back meanwhile, say.
    let mine = own.or(before.filter(|before| !due && (!goal.rotate || goal.generation == Some(*before))));
    let untold = mine.filter(|_| job.leak && !(if due { own_told } else { before_told })).cloned();
    Ok(Leak { known: job.leak || own_told || before_told, untold })
}

/// Whether it was written down that `version` is in wrong hands; asked once in a drive that is not to write it itself.
async fn told(job: &Job<'_>, goal: &Goal<'_>, version: &VersionId, known: &mut Known) -> Result<bool, WorldError> {
    if let Some(told) = known.leaked.get(version) {
        return Ok(*told);
    }
    let name = names::leak(goal.secret, version);
    let told = !job.registers.read(&goal.namespace(Some(version)), std::slice::from_ref(&name)).await?.is_empty();
    if told || !job.leak {
        known.leaked.insert(version.clone(), told);
    }
    Ok(told)
}

fn marks(goal: &Goal<'_>, generation: &VersionId, registers: &BTreeMap<RegisterName, String>) -> Marks {
    let read = |mark: Mark| registers.get(&names::mark(goal.secret, generation, mark.as_str()))?.parse().ok();
    let (promoted, disabled, refused, done) = (read(Mark::Promoted), read(Mark::Disabled), read(Mark::Refused), read(Mark::Done));
    Marks { promoted, adopted: read(Mark::Adopted), disabled, refused, done }
}

/// Reads a verdict: `approve`, or `reject <instant> <why>`. A run that was under way when it was written may still hand the value
/// out, and the instant may be a lease older than the writing of it.
fn verdict(text: &str, lease: Limit, now: Timestamp) -> Option<Verdict> {
    let mut words = text.splitn(3, ' ');
    match words.next()? {
        "approve" => Some(Verdict::Approve),
        "reject" => {
            let since: Timestamp = words.next()?.parse().ok()?;
            Some(Verdict::Reject { settled: lease.after(lease.after(since)) <= now })
        }
        _ => None,
    }
}

/// How `id` was seen.
pub(super) fn sight(seen: Result<crate::world::ConsumerView, WorldError>) -> (Sight, Option<WorldError>) {
    match seen {
        Ok(view) => (Sight::Seen(view), None),
        Err(error) => {
            let why = error.to_string();
            let passing = !matches!(error.class, ErrorClass::Denied | ErrorClass::Permanent);
            (Sight::Unseen(why), passing.then_some(error))
        }
    }
}

/// True when `id` is declared to get new values first.
pub(super) fn is_canary(job: &Job<'_>, id: &ConsumerId) -> bool {
    job.credential.consumers.iter().any(|consumer| consumer.id == *id && consumer.canary)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::new(second, 0).unwrap()
    }

    #[test]
    fn a_rejection_is_settled_two_leases_after_it_was_seen_and_nothing_else_is_a_verdict() {
        let read = |text: &str, now| verdict(text, Limit::seconds(60), at(now));
        assert_eq!(read("approve", 0), Some(Verdict::Approve));
        assert_eq!(read("reject 1970-01-01T00:01:40Z it was refused", 219), Some(Verdict::Reject { settled: false }));
        assert_eq!(read("reject 1970-01-01T00:01:40Z it was refused", 220), Some(Verdict::Reject { settled: true }));
        for none in ["", "reject", "reject soon", "Approve", "approved"] {
            assert_eq!(read(none, 0), None, "{none}");
        }
    }
}
