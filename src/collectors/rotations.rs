//! How far the last rotation of each validated credential has come: `Slm::Rotation`, from the store and the registers.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::asked::Asked;
use super::left;
use crate::model::catalog::SecretRef;
use crate::model::id::{CredentialId, RegisterName, ResourceId, SourceId, VersionId};
use crate::model::names;
use crate::model::snapshot::{Attribute, ROTATION_ENTITY, Resource, Value};
use crate::model::time::{Limit, Timestamp};
use crate::world::{Clock, Collected, Collector, PENDING, Registers, SecretStore, SecretView, WorldError};

/// Entity types and the attributes this collector can observe of them.
pub const EMITS: &[(&str, &[&str])] = &[("Slm::Rotation", ROTATION)];
const ROTATION: &[&str] = &[
    "adopted",
    "attempt",
    "before",
    "before_leaked",
    "before_made",
    "behind",
    "credential",
    "disabled",
    "done",
    "fate",
    "generation",
    "last",
    "leaked",
    "left",
    "made",
    "next",
    "open",
    "overdue",
    "pending_since",
    "promoted",
    "refused",
    "replica_keys",
    "restored",
    "signed_since",
    "spent",
    "stuck",
    "verdict",
];

/// Instants that the engine notes, in order.
const MARKS: [&str; 5] = ["promoted", "adopted", "disabled", "refused", "done"];

/// A credential whose rotations leave something behind.
pub struct Watched {
    /// Which.
    pub credential: CredentialId,
    /// Where its value lives.
    pub secret: SecretRef,
    /// Attempts that a rotation may take.
    pub attempts: u8,
    /// By when after the promotion what was replaced should be ended; `None` when nobody is told.
    pub deadline: Option<Limit>,
    /// How long the store may take when it replaces the value by itself; `None` when it does not.
    pub expect_within: Option<Limit>,
    /// Whether a rotation leaves something behind; of others only that their attempts are used up is told.
    pub leaves: bool,
    /// Whether a rotation takes several values, each of which every consumer runs before the next is made.
    pub staged: bool,
    /// Opened for reading.
    pub store: Box<dyn SecretStore>,
}

/// Reads versions and registers; it never reads a value.
pub struct Rotations {
    source: SourceId,
    watched: Vec<Watched>,
    registers: Arc<dyn Registers>,
}

impl Rotations {
    /// Reads how the rotations of `watched` stand in `registers`.
    #[must_use]
    pub fn new(watched: Vec<Watched>, registers: Arc<dyn Registers>) -> Self {
        Self { source: SourceId::from("rotations"), watched, registers }
    }

    /// `None` when there is no value yet.
    async fn look(&self, one: &Watched) -> Result<Option<Resource>, WorldError> {
        let view = one.store.describe(&one.secret).await?;
        let Some(generation) = view.current() else { return self.never_made(one).await };
        if let Some(limit) = one.expect_within {
            let left = left::behind(self.registers.as_ref(), &one.credential, &one.secret, (&view, generation)).await?;
            return Ok(Some(kept(&one.credential, generation, (&view, left), limit)));
        }
        let made_from = |parent: &&VersionId| names::continues(&one.secret, parent, generation, view.versions.keys());
        // A generation that somebody else made left nothing of ours behind.
        let before = view.previous().filter(made_from);
        let ours = before.is_some();
        // Without the label of the one before, only a first value is known to have left nothing.
        let first = view.versions.len() <= 1 || names::attempt(&one.secret, None, generation).is_some();
        let known = first || view.previous().is_some();
        let of_mark = |mark: &str| names::mark(&one.secret, generation, mark);
        let fate = names::fate(&one.secret, generation);
        let last = names::last(&one.secret, generation);
        let stage = names::mark(&one.secret, generation, names::STAGE);
        let spent = names::spent(&one.secret, Some(generation), one.attempts);
        let mut instants: Vec<(&str, RegisterName)> = MARKS.iter().map(|mark| (*mark, of_mark(mark))).collect();
        instants.push(("leaked", names::leak(&one.secret, generation)));
        let once = [fate.clone(), last.clone(), spent.clone()].into_iter().chain(one.staged.then(|| stage.clone()));
        let wanted: Vec<RegisterName> = instants.iter().map(|(_, name)| name.clone()).chain(once).collect();
        let written = self.registers.read(&names::rotation(&one.credential, Some(generation)), &wanted).await?;
        let text = |value: &str| Value::Text(Arc::from(value));
        let done = written.contains_key(&of_mark("done"));
        // What was begun while another kind was declared is open until its end is noted, whatever this kind leaves behind.
        let retired = written.get(&fate).is_some_and(|fate| fate == "retire");
        let begun = written.contains_key(&of_mark("promoted")) || retired;
        if !one.leaves && (done || !begun) {
            return Ok(written.contains_key(&spent).then(|| exhausted(one, Some(generation))));
        }
        let mut facts: Vec<Attribute> =
            vec![("credential".into(), text(one.credential.as_str())), ("generation".into(), text(generation.as_str()))];
        facts.push(("behind".into(), text(&view.behind.join(", "))));
        let back = names::rollback(&one.secret, generation);
        facts.extend((view.labelled(PENDING) == Some(&back)).then(|| (Arc::from("restored"), Value::Bool(true))));
        let keys: Vec<String> = view.replica_keys.iter().map(|(region, key)| format!("{region} {key}")).collect();
        facts.extend((!keys.is_empty()).then(|| (Arc::from("replica_keys"), text(&keys.join(", ")))));
        facts.extend(view.versions.get(generation).map(|made| (Arc::from("made"), Value::Time(made.created))));
        facts.extend(before.map(|before| (Arc::from("before"), text(before.as_str()))));
        let before_made = before.and_then(|before| view.versions.get(before));
        facts.extend(before_made.map(|made| (Arc::from("before_made"), Value::Time(made.created))));
        facts.extend(self.attempt(one, before, generation).await?);
        facts.extend(written.contains_key(&spent).then(|| (Arc::from("spent"), Value::Long(i64::from(one.attempts)))));
        // Whoever made a value, the next one is made when every consumer runs it.
        let open = if one.staged { Some(!done) } else { (known || begun).then_some((ours || begun) && !done) };
        facts.extend(open.map(|open| (Arc::from("open"), Value::Bool(open))));
        if let Some(written) = written.get(&stage).filter(|_| one.staged) {
            let (next, signs) = written.split_once(' ').unwrap_or((written.as_str(), ""));
            facts.push(("next".into(), text(next)));
            let signs = view.versions.get(&VersionId::from(signs));
            facts.extend(signs.map(|version| (Arc::from("signed_since"), Value::Time(version.created))));
        }
        let told = |(name, register): &(&str, RegisterName)| Some((Arc::from(*name), Value::Time(instant(&written, register)?)));
        facts.extend(instants.iter().filter_map(told));
        // Both instants are the store's; without its clock nothing is known to be late.
        let promoted = instant(&written, &of_mark("promoted"));
        let overdue = one.deadline.zip(promoted).zip(view.now).map(|((limit, since), now)| limit.after(since) <= now);
        facts.extend(overdue.map(|late| (Arc::from("overdue"), Value::Bool(late))));
        for (name, register) in [("fate", &fate), ("last", &last)] {
            facts.extend(written.get(register).map(|written| (Arc::from(name), text(written))));
        }
        Ok(Some(Resource::new(ResourceId::from(one.credential.to_string()), facts)))
    }

    /// What is told before there is a value: that no attempt at making one is left, if so.
    async fn never_made(&self, one: &Watched) -> Result<Option<Resource>, WorldError> {
        let spent = names::spent(&one.secret, None, one.attempts);
        let written = self.registers.read(&names::rotation(&one.credential, None), std::slice::from_ref(&spent)).await?;
        Ok(written.contains_key(&spent).then(|| exhausted(one, None)))
    }

    /// Which attempt at replacing `before` the version in force is, counted from 1, and what was decided about it; a version that
    /// brought a value back is none.
    async fn attempt(
        &self,
        one: &Watched,
        before: Option<&VersionId>,
        generation: &VersionId,
    ) -> Result<Vec<Attribute>, WorldError> {
        let Some(n) = names::attempt(&one.secret, before, generation) else { return Ok(Vec::new()) };
        let verdict = names::verdict(&one.secret, before, n);
        let leak = before.map(|before| names::leak(&one.secret, before));
        let wanted: Vec<RegisterName> = [verdict.clone()].into_iter().chain(leak.clone()).collect();
        let written = self.registers.read(&names::rotation(&one.credential, before), &wanted).await?;
        let mut facts: Vec<Attribute> = vec![("attempt".into(), Value::Long(i64::from(n) + 1))];
        facts.extend(written.get(&verdict).map(|text| (Arc::from("verdict"), Value::Text(Arc::from(text.as_str())))));
        let leaked = leak.and_then(|leak| instant(&written, &leak));
        facts.extend(leaked.map(|at| (Arc::from("before_leaked"), Value::Time(at))));
        Ok(facts)
    }
}

/// The instant that was written down under `name`.
fn instant(written: &BTreeMap<RegisterName, String>, name: &RegisterName) -> Option<Timestamp> {
    written.get(name)?.parse().ok()
}

/// No attempt at replacing `generation` is left, and nothing else of its rotation is told.
fn exhausted(one: &Watched, generation: Option<&VersionId>) -> Resource {
    let text = |value: &str| Value::Text(Arc::from(value));
    let mut facts: Vec<Attribute> = vec![
        ("credential".into(), text(one.credential.as_str())),
        ("open".into(), Value::Bool(false)),
        ("spent".into(), Value::Long(i64::from(one.attempts))),
    ];
    facts.extend(generation.map(|generation| (Arc::from("generation"), text(generation.as_str()))));
    Resource::new(ResourceId::from(one.credential.to_string()), facts)
}

/// How the rotation of a store that replaces `generation` by itself stands: nothing of it is for slm to end.
fn kept(
    credential: &CredentialId,
    generation: &VersionId,
    (view, left): (&SecretView, Option<VersionId>),
    limit: Limit,
) -> Resource {
    let text = |value: &str| Value::Text(Arc::from(value));
    let mut facts: Vec<Attribute> = vec![
        ("credential".into(), text(credential.as_str())),
        ("generation".into(), text(generation.as_str())),
        ("open".into(), Value::Bool(false)),
    ];
    facts.extend(view.versions.get(generation).map(|made| (Arc::from("made"), Value::Time(made.created))));
    facts.extend(left.map(|before| (Arc::from("left"), text(before.as_str()))));
    if let Some((_, since)) = view.under_way() {
        // Both instants are the store's; without its clock nothing is known to be late.
        let stuck = view.now.is_some_and(|now| limit.after(since) <= now);
        facts.extend([("pending_since".into(), Value::Time(since)), ("stuck".into(), Value::Bool(stuck))]);
    }
    Resource::new(ResourceId::from(credential.to_string()), facts)
}

#[async_trait]
impl Collector for Rotations {
    fn name(&self) -> &'static str {
        "rotations"
    }

    fn source(&self) -> &SourceId {
        &self.source
    }

    fn scope(&self) -> &'static str {
        "."
    }

    async fn collect(&self, clock: &dyn Clock) -> Collected {
        let mut asked = Asked {
            collector: self.name(),
            operation: "rotation:observe",
            word: "rotation of",
            entity: ROTATION_ENTITY,
            count: 0,
            resources: Vec::new(),
            unseen: Vec::new(),
            started: clock.now(),
        };
        for one in &self.watched {
            asked.answered(one.credential.to_string(), self.look(one).await);
        }
        asked.collected(clock.now())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::model::id::RotationId;
    use crate::model::secret::Secret;
    use crate::model::snapshot::{Completeness, Fact, Population, Unseen};
    use crate::transport::vault::Vault;
    use crate::world::{ErrorClass, VersionView};

    struct Fixed;
    impl Clock for Fixed {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
    }

    #[derive(Default)]
    struct Memory(Mutex<BTreeMap<RegisterName, String>>, bool);

    #[async_trait]
    impl Registers for Memory {
        async fn read(&self, _: &RotationId, names: &[RegisterName]) -> Result<BTreeMap<RegisterName, String>, WorldError> {
            if self.1 {
                let (operation, cause) = ("read the registers".to_owned(), "no route".to_owned());
                return Err(WorldError { class: ErrorClass::Transient, operation, cause });
            }
            let all = self.0.lock().unwrap();
            Ok(names.iter().filter_map(|name| Some((name.clone(), all.get(name)?.clone()))).collect())
        }

        async fn write_once(&self, _: &RotationId, name: &RegisterName, value: &str) -> Result<String, WorldError> {
            Ok(self.0.lock().unwrap().entry(name.clone()).or_insert_with(|| value.to_owned()).clone())
        }
    }

    fn secret() -> SecretRef {
        SecretRef { source: "v".into(), region: ".".to_owned(), name: "db".to_owned() }
    }

    async fn seen(vault: &Vault, registers: &Arc<Memory>) -> Population {
        let store = Box::new(vault.clone());
        let deadline = Some(Limit::seconds(60));
        let watched = vec![Watched {
            credential: "db".into(),
            leaves: true,
            secret: secret(),
            attempts: 3,
            deadline,
            staged: false,
            expect_within: None,
            store,
        }];
        Rotations::new(watched, Arc::clone(registers) as Arc<dyn Registers>).collect(&Fixed).await.populations.remove(0)
    }

    #[tokio::test]
    async fn a_rotation_of_ours_is_open_until_its_end_was_noted() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::create(folder.path().join("v"), folder.path().join("i"), Arc::new(Fixed)).unwrap();
        let registers = Arc::new(Memory::default());
        assert!(seen(&vault, &registers).await.resources.is_empty(), "there is no value yet");
        let (first, secret) = (VersionId::from("made-by-hand"), secret());
        vault.put(&secret, &first, &Secret::new(b"CANARY".to_vec())).await.unwrap();
        vault.promote(&secret, None, &first).await.unwrap();
        assert!(!seen(&vault, &registers).await.resources[0].is("open"), "what a person made leaves nothing of ours behind");
        let slot = names::slot(&secret, Some(&first), 1);
        vault.put(&secret, &slot, &Secret::new(b"CANARY2".to_vec())).await.unwrap();
        vault.promote(&secret, Some(&first), &slot).await.unwrap();
        let population = seen(&vault, &registers).await;
        assert!(population.resources[0].is("open"));
        assert_eq!(population.resources[0].text("generation"), Some(slot.as_str()));
        assert_eq!(population.resources[0].get("attempt"), Some(Fact::Long(2)));
        assert_eq!(population.resources[0].instant("before_made"), Some(Timestamp::UNIX_EPOCH));
        assert_eq!((population.resources[0].get("verdict"), population.resources[0].get("overdue")), (None, None));
        let judged = names::rotation(&"db".into(), Some(&first));
        registers.write_once(&judged, &names::verdict(&secret, Some(&first), 1), "approve").await.unwrap();
        registers.write_once(&judged, &names::leak(&secret, &first), "1969-12-31T23:58:00Z").await.unwrap();
        let rotation = names::rotation(&"db".into(), Some(&slot));
        registers.write_once(&rotation, &names::mark(&secret, &slot, "done"), "2026-01-01T00:00:00Z").await.unwrap();
        registers.write_once(&rotation, &names::fate(&secret, &slot), "retire").await.unwrap();
        registers.write_once(&rotation, &names::mark(&secret, &slot, "promoted"), "1969-12-31T23:59:00Z").await.unwrap();
        let population = seen(&vault, &registers).await;
        assert_eq!((population.resources[0].text("verdict"), population.resources[0].is("overdue")), (Some("approve"), true));
        assert_eq!(population.resources[0].instant("before_leaked"), Timestamp::new(-120, 0).ok());
        assert_eq!(population.resources[0].instant("leaked"), None, "what came before is in wrong hands, and not what is in force");
        registers.write_once(&rotation, &names::leak(&secret, &slot), "1969-12-31T23:59:30Z").await.unwrap();
        assert_eq!(seen(&vault, &registers).await.resources[0].instant("leaked"), Timestamp::new(-30, 0).ok());
        assert!(!population.resources[0].is("open"));
        assert_eq!(population.resources[0].text("fate"), Some("retire"));
        assert!(population.resources[0].instant("done").is_some());
    }

    #[tokio::test]
    async fn that_no_attempt_is_left_is_told_with_a_value_in_force_and_without_and_not_when_more_are_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::create(folder.path().join("v"), folder.path().join("i"), Arc::new(Fixed)).unwrap();
        let (registers, secret) = (Arc::new(Memory::default()), secret());
        let note = async |generation: Option<&VersionId>, attempts: u8| {
            let (rotation, name) = (names::rotation(&"db".into(), generation), names::spent(&secret, generation, attempts));
            registers.write_once(&rotation, &name, "2026-01-01T00:00:00Z").await.unwrap();
        };
        note(None, 2).await;
        assert!(seen(&vault, &registers).await.resources.is_empty(), "3 are allowed by now");
        note(None, 3).await;
        let told = seen(&vault, &registers).await.resources;
        assert_eq!((told[0].get("spent"), told[0].text("generation")), (Some(Fact::Long(3)), None));
        let first = VersionId::from("made-by-hand");
        vault.put(&secret, &first, &Secret::new(b"CANARY".to_vec())).await.unwrap();
        vault.promote(&secret, None, &first).await.unwrap();
        let told = seen(&vault, &registers).await.resources;
        assert_eq!((told[0].get("spent"), told[0].text("generation")), (None, Some("made-by-hand")));
        note(Some(&first), 3).await;
        let told = seen(&vault, &registers).await.resources;
        assert_eq!((told[0].get("spent"), told[0].get("open")), (Some(Fact::Long(3)), Some(Fact::Bool(false))));
        let unwatched = |attempts| Watched {
            credential: "db".into(),
            leaves: false,
            secret: secret.clone(),
            attempts,
            deadline: None,
            staged: false,
            expect_within: None,
            store: Box::new(vault.clone()),
        };
        for (attempts, count) in [(3, 1), (4, 0)] {
            let all = Rotations::new(vec![unwatched(attempts)], Arc::clone(&registers) as Arc<dyn Registers>);
            assert_eq!(all.collect(&Fixed).await.populations[0].resources.len(), count, "{attempts}");
        }
    }

    /// A store of one secret, as its versions are labelled.
    struct Labelled(Vec<(VersionId, &'static str)>, Vec<String>);

    #[async_trait]
    impl SecretStore for Labelled {
        async fn describe(&self, _: &SecretRef) -> Result<SecretView, WorldError> {
            let view = |label: &str| VersionView { labels: vec![label.to_owned()], created: Timestamp::UNIX_EPOCH };
            let versions = self.0.iter().map(|(id, label)| (id.clone(), view(label))).collect();
            Ok(SecretView { exists: true, versions, behind: self.1.clone(), ..SecretView::default() })
        }

        async fn read(&self, _: &SecretRef, _: &VersionId) -> Result<Secret, WorldError> {
            panic!("a value was read")
        }

        async fn put(&self, _: &SecretRef, _: &VersionId, _: &Secret) -> Result<(), WorldError> {
            panic!("a value was written")
        }

        async fn promote(&self, _: &SecretRef, _: Option<&VersionId>, _: &VersionId) -> Result<(), WorldError> {
            panic!("a version was promoted")
        }
    }

    #[tokio::test]
    async fn without_the_version_before_it_is_not_known_whether_anything_is_left() {
        let (old, secret) = (VersionId::from("old"), secret());
        let (first, second) = (names::slot(&secret, None, 1), names::slot(&secret, Some(&old), 0));
        for (versions, open) in [
            (vec![(second.clone(), "AWSCURRENT"), (old.clone(), "AWSPREVIOUS")], Some(true)),
            (vec![(second.clone(), "AWSCURRENT"), (old.clone(), "")], None),
            (vec![(second, "AWSCURRENT")], Some(false)),
            (vec![(first, "AWSCURRENT"), (old, "")], Some(false)),
        ] {
            let store = Box::new(Labelled(versions, Vec::new()));
            let watched = vec![Watched {
                credential: "db".into(),
                leaves: true,
                secret: secret.clone(),
                attempts: 3,
                deadline: None,
                staged: false,
                expect_within: None,
                store,
            }];
            let seen = Rotations::new(watched, Arc::new(Memory::default())).collect(&Fixed).await;
            assert_eq!(seen.populations[0].resources[0].get("open"), open.map(Fact::Bool));
        }
    }

    #[test]
    fn what_the_store_does_by_itself_is_stuck_once_it_took_too_long_by_the_stores_own_clock() {
        let at = |second| Timestamp::new(second, 0).unwrap();
        let seen = |now: Option<i64>, labels: &[(&str, &str)]| {
            let version = |(id, label): &(&str, &str)| {
                let labels = label.split('+').map(str::to_owned).collect();
                (VersionId::from(*id), VersionView { labels, created: at(100) })
            };
            let versions = labels.iter().map(version).collect();
            let view = SecretView { exists: true, versions, now: now.map(at), behind: Vec::new(), ..SecretView::default() };
            let seen = kept(&"db".into(), &"old".into(), (&view, None), Limit::seconds(60));
            assert!(!seen.is("open"), "nothing of it is for slm to end");
            (seen.instant("pending_since"), seen.get("stuck").map(|fact| fact == Fact::Bool(true)))
        };
        let begun = [("old", "AWSCURRENT"), ("new", "AWSPENDING")];
        assert_eq!(seen(Some(159), &begun), (Some(at(100)), Some(false)));
        assert_eq!(seen(Some(160), &begun), (Some(at(100)), Some(true)));
        assert_eq!(seen(None, &begun), (Some(at(100)), Some(false)), "without its clock nothing is late");
        assert_eq!(seen(Some(900), &[("old", "AWSCURRENT+AWSPENDING")]), (None, None));
        assert_eq!(seen(Some(900), &[("old", "AWSCURRENT"), ("ours", "SLM-PENDING")]), (None, None));
    }

    #[tokio::test]
    async fn of_several_values_it_is_told_what_comes_next_and_which_key_signs_without_reading_one() {
        let (first, second) = (VersionId::from("f"), names::slot(&secret(), Some(&"f".into()), 0));
        let labelled = vec![(second.clone(), "AWSCURRENT"), (first, "AWSPREVIOUS")];
        let registers = Arc::new(Memory::default());
        let look = async || {
            let store = Box::new(Labelled(labelled.clone(), Vec::new()));
            let watched = vec![Watched {
                credential: "db".into(),
                leaves: true,
                secret: secret(),
                attempts: 3,
                deadline: None,
                staged: true,
                expect_within: None,
                store,
            }];
            Rotations::new(watched, Arc::clone(&registers) as Arc<dyn Registers>).collect(&Fixed).await.populations.remove(0)
        };
        let seen = look().await;
        assert!(seen.resources[0].is("open") && seen.resources[0].text("next").is_none());
        let rotation = names::rotation(&"db".into(), Some(&second));
        let stage = names::mark(&secret(), &second, names::STAGE);
        registers.write_once(&rotation, &stage, &format!("sign {second}")).await.unwrap();
        registers.write_once(&rotation, &names::mark(&secret(), &second, "done"), "2026-01-01T00:00:00Z").await.unwrap();
        let seen = look().await;
        assert!(!seen.resources[0].is("open"));
        assert_eq!(seen.resources[0].text("next"), Some("sign"));
        assert_eq!(seen.resources[0].instant("signed_since"), Some(Timestamp::UNIX_EPOCH));
    }

    #[tokio::test]
    async fn replicas_that_are_behind_are_named_and_none_is_said_as_well() {
        for (behind, want) in [(vec![], ""), (vec!["a", "b"], "a, b")] {
            let behind = behind.into_iter().map(str::to_owned).collect();
            let store = Box::new(Labelled(vec![("v".into(), "AWSCURRENT")], behind));
            let watched = vec![Watched {
                credential: "db".into(),
                leaves: true,
                secret: secret(),
                attempts: 3,
                deadline: None,
                staged: false,
                expect_within: None,
                store,
            }];
            let seen = Rotations::new(watched, Arc::new(Memory::default())).collect(&Fixed).await;
            assert_eq!(seen.populations[0].resources[0].text("behind"), Some(want));
        }
    }

    #[tokio::test]
    async fn an_open_rotation_is_told_whatever_attempts_source_or_kind_are_declared_by_then() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::create(folder.path().join("v"), folder.path().join("i"), Arc::new(Fixed)).unwrap();
        let (first, last) = (VersionId::from("made-by-hand"), names::slot(&secret(), Some(&"made-by-hand".into()), 7));
        for (id, from) in [(&first, None), (&last, Some(&first))] {
            vault.put(&secret(), id, &Secret::new(id.as_str().as_bytes().to_vec())).await.unwrap();
            vault.promote(&secret(), from, id).await.unwrap();
        }
        let registers = Arc::new(Memory::default());
        let look = async |source: &str, leaves| {
            let watched = vec![Watched {
                credential: "db".into(),
                leaves,
                secret: SecretRef { source: source.into(), ..secret() },
                attempts: 1,
                deadline: None,
                staged: false,
                expect_within: None,
                store: Box::new(vault.clone()),
            }];
            let found = Rotations::new(watched, Arc::clone(&registers) as Arc<dyn Registers>).collect(&Fixed).await;
            found.populations[0].resources.first().cloned()
        };
        for source in ["v", "renamed"] {
            let seen = look(source, true).await.unwrap();
            assert!(seen.is("open") && seen.text("before") == Some(first.as_str()), "{source}");
        }
        assert!(look("v", false).await.is_none(), "nothing was promoted by a kind that leaves anything");
        let rotation = names::rotation(&"db".into(), Some(&last));
        registers.write_once(&rotation, &names::mark(&secret(), &last, "promoted"), "2026-01-01T00:00:00Z").await.unwrap();
        assert!(look("v", false).await.unwrap().is("open"));
        // A store that replaces its value by itself ends nothing of that.
        let kept = async || {
            let view = vault.describe(&secret()).await.unwrap();
            left::behind(registers.as_ref(), &"db".into(), &secret(), (&view, &last)).await.unwrap()
        };
        assert_eq!(kept().await.as_ref(), Some(&first));
        registers.write_once(&rotation, &names::mark(&secret(), &last, "done"), "2026-01-02T00:00:00Z").await.unwrap();
        assert!(look("v", false).await.is_none() && !look("v", true).await.unwrap().is("open"));
        assert_eq!(kept().await, None);
    }

    #[tokio::test]
    async fn what_was_to_come_back_is_told_while_it_has_the_label_of_a_new_value() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::create(folder.path().join("v"), folder.path().join("i"), Arc::new(Fixed)).unwrap();
        let (first, registers) = (VersionId::from("made-by-hand"), Arc::new(Memory::default()));
        vault.put(&secret(), &first, &Secret::new(b"CANARY".to_vec())).await.unwrap();
        vault.promote(&secret(), None, &first).await.unwrap();
        for (id, restored) in [(names::rollback(&secret(), &first), true), (names::slot(&secret(), Some(&first), 0), false)] {
            vault.put(&secret(), &id, &Secret::new(b"CANARY".to_vec())).await.unwrap();
            assert_eq!(seen(&vault, &registers).await.resources[0].is("restored"), restored);
        }
    }

    #[tokio::test]
    async fn registers_that_cannot_be_read_are_not_empty() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::create(folder.path().join("v"), folder.path().join("i"), Arc::new(Fixed)).unwrap();
        vault.put(&secret(), &"a".into(), &Secret::new(b"CANARY".to_vec())).await.unwrap();
        vault.promote(&secret(), None, &"a".into()).await.unwrap();
        let population = seen(&vault, &Arc::new(Memory(Mutex::default(), true))).await;
        let Completeness::Incomplete { cause, detail } = population.completeness else { panic!("complete") };
        assert_eq!(cause, Unseen::Unreachable);
        assert!(detail.contains("db") && detail.contains("no route"), "{detail}");
    }
}
