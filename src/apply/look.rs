//! Reads the world and classifies it for [`super::decide`]. Credentials at the target are listed before the store is read, and
//! the store before the consumers: what is seen unrecorded was unrecorded before anything else was looked at.

use std::collections::{BTreeMap, BTreeSet};

use zeroize::Zeroizing;

use super::decide::Mark;
use super::gate::{Reading, gate, soaked};
use super::job::{Goal, Job};
use super::observation::{
    Content, Ending, Force, Key, Last, Marks, Observation, Place, Records, Role, Sight, Slot, Verdict, last_use,
};
use crate::model::catalog::{Letters, OnDeadline};
use crate::model::id::{ConsumerId, RegisterName, VersionId};
use crate::model::marker;
use crate::model::names;
use crate::model::outcome::{Fate, Readings};
use crate::model::secret::Secret;
use crate::model::time::{Limit, Timestamp};
use crate::world::{ConsumerView, ErrorClass, Issuer, KeyView, Listing, Overlap, SecretView, WorldError};

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
}

/// What a drive remembers from look to look.
#[derive(Clone, Default, Hash)]
pub(super) struct Known {
    /// What versions hold: a version is written once, so that what was read stays true.
    contents: BTreeMap<VersionId, Content>,
    /// Versions whose value some consumer could not take, and why.
    unfit: BTreeMap<VersionId, String>,
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
    fn new(job: &Job<'_>, goal: &Goal<'_>, view: &SecretView, listing: &Listing) -> Result<Self, WorldError> {
        let generation = view.current().cloned();
        let attempts = job.credential.policy.attempts;
        let made_by_us = |parent: &VersionId| {
            generation.as_ref().is_some_and(|generation| {
                *generation == names::rollback(goal.secret, parent)
                    || (0..attempts).any(|n| *generation == names::slot(goal.secret, Some(parent), n))
            })
        };
        let parent = view.previous().filter(|parent| made_by_us(parent)).cloned();
        let now = view.now.ok_or_else(|| WorldError {
            class: ErrorClass::Transient,
            operation: format!("look at the versions of {}", goal.secret.name),
            cause: "the store did not say what time it is".to_owned(),
        })?;
        Ok(Self { parent, generation, now, target_now: listing.now })
    }
}

/// True when `generation` is what the action was made for, or what carrying it out makes of it.
fn expected(job: &Job<'_>, goal: &Goal<'_>, generation: Option<&VersionId>) -> bool {
    if generation == goal.generation {
        return true;
    }
    let Some(now) = generation else { return false };
    let back = |from: Option<&VersionId>| from.is_some_and(|from| *now == names::rollback(goal.secret, from));
    let slots = (0..job.credential.policy.attempts).map(|n| names::slot(goal.secret, goal.generation, n));
    back(goal.generation) || (goal.rotate && slots.into_iter().any(|slot| *now == slot || back(Some(&slot))))
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
    let basis = Basis::new(job, goal, &view, &listing)?;
    let generation = basis.generation.as_ref();
    if !expected(job, goal, generation) {
        let now = generation.map_or_else(|| "nothing".to_owned(), |id| format!("version {id}"));
        return Ok(Seen::Stale(Fate::Stale(format!("{now} is current in `{}` now", goal.secret.name))));
    }
    let due = goal.rotate && generation == goal.generation;
    let attempts = job.credential.policy.attempts;
    let ids: Vec<VersionId> = (0..attempts).map(|n| names::slot(goal.secret, generation, n)).collect();
    let contents = contents(job, goal, &view, &ids, due, known).await?;
    let registers = registers(job, goal, generation, attempts).await?;
    let leak = leaked(job, goal, &basis, (&registers, due), known).await?;
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
        let reading = Reading {
            now: self.basis.now,
            promoted: marks.promoted,
            lease: job.credential.policy.lease,
            staleness: staleness(job),
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
        let runs = |place: &&Place| {
            let is_it = |view: &ConsumerView| generation.is_some() && view.running.as_ref() == generation;
            matches!(&place.sight, Sight::Seen(view) if is_it(view)) && waited_for(place, marks.promoted).is_none()
        };
        let running = consumers.iter().filter(runs).map(|place| place.id.clone()).collect();
        let (readings, gate) = (reading.noted(running, read(&consumers)), gate(&reading));
        let soak = job.credential.gate.soak;
        let observation = Observation {
            capabilities,
            generation: generation.cloned(),
            force: self.force(),
            due: self.due,
            leak: self.leak.known,
            untold: self.leak.untold.clone(),
            tail: goal.tail,
            soaked: marks.disabled.map(|since| soaked(since, soak, self.basis.now)),
            slots,
            restore,
            fate: generation.and_then(|generation| Ending::read(self.registers.get(&names::fate(goal.secret, generation))?)),
            last: generation.and_then(|generation| {
                let text = self.registers.get(&names::last(goal.secret, generation))?;
                Last::read(text, job.credential.policy.lease, self.basis.now)
            }),
            keys,
            installed: listing.keys.iter().filter(|_| single).find_map(|key| key.version.clone()),
            consumers,
            marks,
            gate,
            shut: self.view.shut.clone(),
            behind: self.view.behind.clone(),
            leased: (job.fence)(),
        };
        (observation, readings)
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

    fn keys(&self, ids: &[VersionId], slots: &[Slot], restore: Option<&Slot>) -> Vec<Key> {
        let generation = self.basis.generation.as_ref();
        let explained = |id: &VersionId| Some(id) == generation || ids.contains(id);
        let all_explained = self.view.versions.keys().all(explained);
        let attempts = self.job.credential.policy.attempts;
        let ours = if all_explained { BTreeSet::new() } else { ours(self.goal, self.view, attempts) };
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

fn staleness(job: &Job<'_>) -> Limit {
    job.credential.consumers.iter().map(|consumer| consumer.max_staleness).max().unwrap_or(Limit::seconds(0))
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

/// Every version that only slm writes into this secret.
fn ours(goal: &Goal<'_>, view: &SecretView, attempts: u8) -> BTreeSet<VersionId> {
    if !goal.tail {
        return BTreeSet::new();
    }
    let from = view.versions.keys().map(Some).chain([None]);
    let derived = from.flat_map(|generation| {
        let slots = (0..attempts).map(move |n| names::slot(goal.secret, generation, n));
        slots.chain(generation.map(|generation| names::rollback(goal.secret, generation)))
    });
    derived.filter(|id| view.versions.contains_key(id)).collect()
}

/// What is in the versions that matter: all of them when the target lists credentials, else the slots.
async fn contents(
    job: &Job<'_>,
    goal: &Goal<'_>,
    view: &SecretView,
    slots: &[VersionId],
    due: bool,
    known: &mut Known,
) -> Result<BTreeMap<VersionId, Content>, WorldError> {
    let validated = job.rotator.capabilities().overlap != Overlap::Unvalidated;
    let back = view.current().filter(|_| goal.tail).map(|generation| names::rollback(goal.secret, generation));
    let matters = |id: &&VersionId| {
        if validated { goal.tail || due } else { (due && slots.contains(id)) || back.as_ref() == Some(*id) }
    };
    let in_force = [view.current(), view.previous()];
    let mut contents = BTreeMap::new();
    for id in view.versions.keys().filter(matters) {
        if let Some(content) = known.contents.get(id) {
            contents.insert(id.clone(), content.clone());
            continue;
        }
        let content = match job.store.read(goal.secret, id).await {
            Ok(value) if !marker::may_be_a_credential(&value) => Content::Tombstone(marker::condemned(&value).unwrap_or_default()),
            Ok(value) => {
                known.unfit.extend(unfit(job, &value).map(|why| (id.clone(), why)));
                Content::Value(job.rotator.identify(&value))
            }
            // What is or was in force has a value: not to find it is to be told by a place that is behind, and no absence.
            Err(error) if error.class == ErrorClass::NotFound && !in_force.contains(&Some(id)) => Content::Empty,
            Err(error) => return Err(error),
        };
        if content != Content::Empty {
            known.contents.insert(id.clone(), content.clone());
        }
        contents.insert(id.clone(), content);
    }
    Ok(contents)
}

/// Why some consumer of `job` cannot take `value`, by its letters. What slm makes itself is made of letters that fit.
fn unfit(job: &Job<'_>, value: &Secret) -> Option<String> {
    let server = job.rotator.capabilities().issuer == Issuer::Server;
    let mut narrow = job.credential.consumers.iter().filter_map(|consumer| Some((consumer, consumer.letters?))).filter(|_| server);
    let (consumer, letters) = narrow.find(|(_, letters)| !spelled(value, *letters))?;
    Some(format!("consumer `{}` takes `{}` alone", consumer.id, letters.as_str()))
}

/// True when every text in `value` is of `letters`: the fields of an object, else the whole.
fn spelled(value: &Secret, letters: Letters) -> bool {
    let Ok(fields) = serde_json::from_slice::<BTreeMap<String, serde_json::Value>>(value.expose()) else {
        return value.expose_text().is_ok_and(|text| letters.spell(text));
    };
    let texts = fields.into_values().filter_map(|field| match field {
        serde_json::Value::String(text) => Some(Zeroizing::new(text)),
        _ => None,
    });
    texts.fold(true, |all, text| all & letters.spell(&text))
}

async fn registers(
    job: &Job<'_>,
    goal: &Goal<'_>,
    generation: Option<&VersionId>,
    attempts: u8,
) -> Result<BTreeMap<RegisterName, String>, WorldError> {
    let validated = job.rotator.capabilities().overlap != Overlap::Unvalidated;
    let canary = job.credential.consumers.iter().any(|consumer| consumer.canary);
    let verdicts = (0..attempts).filter(|_| goal.rotate && (validated || canary));
    let mut wanted: Vec<RegisterName> = verdicts.map(|n| names::verdict(goal.secret, generation, n)).collect();
    wanted.extend(generation.filter(|_| goal.rotate && ends(job)).map(|generation| names::leak(goal.secret, generation)));
    if let Some(generation) = generation.filter(|_| goal.tail) {
        wanted.extend([names::fate(goal.secret, generation), names::last(goal.secret, generation)]);
        let marks = [Mark::Promoted, Mark::Disabled, Mark::Refused, Mark::Done];
        wanted.extend(marks.map(|mark| names::mark(goal.secret, generation, mark.as_str())));
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
    Marks { promoted, disabled, refused, done }
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
    fn every_text_of_a_value_must_be_spelled_with_the_letters_and_what_is_no_text_need_not() {
        let key = Secret::new(br#"{"access_key_id":"AKIA1","secret_access_key":"a/b+c=","port":5432}"#.to_vec());
        assert!(spelled(&key, Letters::Base64) && !spelled(&key, Letters::Base64url) && !spelled(&key, Letters::Alnum));
        let plain = Secret::new(b"a-b_c".to_vec());
        assert!(spelled(&plain, Letters::Base64url) && !spelled(&plain, Letters::Base64));
        assert!(!spelled(&Secret::new(vec![0xff]), Letters::Alnum) && spelled(&Secret::new(b"Az9".to_vec()), Letters::Alnum));
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
