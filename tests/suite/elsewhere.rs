//! What a rotation leaves behind when its declaration changes on the way: another target, fewer attempts, another name of the source,
//! another kind, or versions that nobody may read any more. A live value before is never noted as ended, and never forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use slm::apply::engine::{StopFlag, drive};
use slm::apply::job::{Budget, Job};
use slm::host::clock::SystemClock;
use slm::model::catalog::SecretRef;
use slm::model::id::{RegisterName, RotationId, VersionId};
use slm::model::names;
use slm::model::outcome::{Fate, Outcome};
use slm::model::plan::ActionKind;
use slm::model::rotator::{Alphabet, DeclaredIssuer, RandomValue, RotatorConfig};
use slm::model::secret::Secret;
use slm::rotators::random::Random;
use slm::transport::vault::Vault;
use slm::world::{ErrorClass, Registers, Rotator, SecretStore, SecretView, Target, Trial, WorldError};

use crate::exec_kind::{declared, plugin};
use crate::kinds::{Fault, Kind, Rig};

/// No run noted an end.
fn open(outcome: &Outcome) -> bool {
    outcome.events.iter().all(|event| !["refused", "done"].contains(&event.step.as_str()))
}

/// A value is made by `before`, which is then declared as `after`, and rotated. Gives why the rotation is blocked, after a person has said
/// that the value before is ended, by which it ends.
pub async fn moved(config: RotatorConfig, before: &dyn Kind, after: &dyn Kind) -> String {
    let mut rig = Rig::new(config);
    rig.settle(before, None, "the first").await;
    let old = rig.current().await.unwrap();
    let (outcome, _) = rig.run(after, Some(&old), Fault::never()).await;
    let Fate::Blocked(said) = outcome.fate.clone() else { panic!("{outcome:?}") };
    assert!(open(&outcome), "{outcome:?}");
    let (again, _) = rig.run(after, Some(&old), Fault::never()).await;
    assert!(open(&again) && again.fate == outcome.fate, "{again:?}");
    assert!(said.contains(&format!("then add {old} to `ended-elsewhere` of `[policy]`")), "{said}");
    rig.credential.policy.ended_elsewhere.push(old.clone());
    let (ended, _) = rig.run(after, Some(&old), Fault::never()).await;
    assert_eq!(ended.fate, Fate::Done, "{ended:?}");
    said
}

#[tokio::test]
async fn what_a_program_says_is_let_in_elsewhere_is_neither_refused_nor_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger");
    let config = declared(&ledger, DeclaredIssuer::Client, "");
    let (kind, rig) = (plugin(&config), Rig::new(RotatorConfig::Exec(config)));
    rig.settle(&kind, None, "the first").await;
    let old = rig.current().await.unwrap();
    let name = kind.identify(&rig.value().await).unwrap();
    std::fs::write(folder.path().join("ledger.elsewhere"), name.as_str()).unwrap();
    assert_eq!(kind.verify(&rig.value().await).await.unwrap(), Trial::Elsewhere("it is let in elsewhere: other-tenant".to_owned()));
    let (outcome, _) = rig.run(&kind, Some(&old), Fault::never()).await;
    let Fate::Blocked(said) = &outcome.fate else { panic!("{outcome:?}") };
    assert!(said.contains("it is let in elsewhere: other-tenant; end it there") && open(&outcome), "{outcome:?}");
    std::fs::remove_file(folder.path().join("ledger.elsewhere")).unwrap();
    assert_eq!(rig.run(&kind, Some(&old), Fault::never()).await.0.fate, Fate::Done);
}

/// A rig whose version in force is attempt `n` at replacing the one before, which is let in still; the programs that let them in.
async fn half_way(ledger: &std::path::Path, n: u8) -> (Rig, slm::rotators::exec::Plugin, VersionId) {
    let config = declared(ledger, DeclaredIssuer::Client, "");
    let (kind, rig) = (plugin(&config), Rig::new(RotatorConfig::Exec(config)));
    rig.settle(&kind, None, "the first").await;
    let (secret, first) = (rig.credential.secret.clone(), rig.current().await.unwrap());
    let slot = names::slot(&secret, Some(&first), n);
    let value = kind.create(&slot, None).await.unwrap().value;
    kind.install(&value, &slot, None).await.unwrap();
    rig.vault.put(&secret, &slot, &value).await.unwrap();
    rig.vault.promote(&secret, Some(&first), &slot).await.unwrap();
    assert_eq!(kind.list().await.unwrap().keys.len(), 2);
    (rig, kind, first)
}

#[tokio::test]
async fn a_value_before_is_ended_when_fewer_attempts_are_declared_by_then() {
    let folder = tempfile::tempdir().unwrap();
    let (mut rig, kind, first) = half_way(&folder.path().join("ledger"), 3).await;
    rig.credential.policy.attempts = 1;
    rig.settle(&kind, Some(&first), "attempts lowered").await;
}

#[tokio::test]
async fn a_value_before_is_ended_when_its_source_has_another_name_by_then() {
    let folder = tempfile::tempdir().unwrap();
    let (mut rig, kind, _) = half_way(&folder.path().join("ledger"), 0).await;
    let now = rig.current().await.unwrap();
    rig.credential.secret.source = "renamed".into();
    assert_ne!(names::slot(&rig.credential.secret, None, 0), now);
    rig.settle(&kind, Some(&now), "source renamed").await;
}

/// Registers in memory.
#[derive(Default)]
struct Notes(Mutex<BTreeMap<RegisterName, String>>);

#[async_trait]
impl Registers for Notes {
    async fn read(&self, _: &RotationId, names: &[RegisterName]) -> Result<BTreeMap<RegisterName, String>, WorldError> {
        let all = self.0.lock().unwrap();
        Ok(names.iter().filter_map(|name| Some((name.clone(), all.get(name)?.clone()))).collect())
    }

    async fn write_once(&self, _: &RotationId, name: &RegisterName, value: &str) -> Result<String, WorldError> {
        Ok(self.0.lock().unwrap().entry(name.clone()).or_insert_with(|| value.to_owned()).clone())
    }
}

/// A vault of which some versions cannot be read.
struct Dark<'a>(&'a Vault, BTreeSet<VersionId>);

#[async_trait]
impl SecretStore for Dark<'_> {
    async fn describe(&self, secret: &SecretRef) -> Result<SecretView, WorldError> {
        self.0.describe(secret).await
    }

    async fn read(&self, secret: &SecretRef, version: &VersionId) -> Result<Secret, WorldError> {
        if self.1.contains(version) {
            let (operation, cause) = (format!("read version {version}"), "DecryptionFailure".to_owned());
            return Err(WorldError { class: ErrorClass::Permanent, operation, cause });
        }
        self.0.read(secret, version).await
    }

    async fn put(&self, secret: &SecretRef, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        self.0.put(secret, version, value).await
    }

    async fn promote(&self, secret: &SecretRef, from: Option<&VersionId>, to: &VersionId) -> Result<(), WorldError> {
        self.0.promote(secret, from, to).await
    }
}

/// One run without consumers.
async fn run(
    rig: &Rig,
    action: &ActionKind,
    (store, notes): (&dyn SecretStore, &Notes),
    (rotator, target): (&dyn Rotator, Option<&dyn Target>),
    leak: bool,
) -> Outcome {
    let job = Job {
        action,
        credential: &rig.credential,
        store,
        rotator,
        target,
        registers: notes,
        consumers: &[],
        fence: &|| true,
        retire_held: None,
        leak,
        budget: Budget { retries: 1, pause: Duration::ZERO, trials: 1, between: Duration::ZERO, settle: 0 },
    };
    drive(&job, &SystemClock, &StopFlag::new(false)).await
}

fn rotate(rig: &Rig, generation: &VersionId) -> ActionKind {
    let (credential, secret) = (rig.credential.id.clone(), rig.credential.secret.clone());
    let rotation = names::rotation(&credential, Some(generation));
    ActionKind::Rotate { credential, secret, rotation, generation: Some(generation.clone()), consumers: Vec::new() }
}

#[tokio::test]
async fn a_value_before_is_not_forgotten_when_a_kind_that_nobody_validates_is_declared_by_then() {
    let folder = tempfile::tempdir().unwrap();
    let (mut rig, _, first) = half_way(&folder.path().join("ledger"), 0).await;
    let (notes, now) = (Notes::default(), rig.current().await.unwrap());
    let mark = |what: &str| names::mark(&rig.credential.secret, &now, what);
    let (promoted, done) = (mark("promoted"), mark("done"));
    notes.write_once(&names::rotation(&rig.credential.id, Some(&now)), &promoted, "2026-01-01T00:00:00Z").await.unwrap();
    let random = Random::new(&RandomValue { length: 20, alphabet: Alphabet::Hex });
    let action = rotate(&rig, &now);
    let outcome = run(&rig, &action, (&rig.vault, &notes), (&random, None), false).await;
    let Fate::Blocked(said) = &outcome.fate else { panic!("{outcome:?}") };
    assert!(said.contains(&format!("version {first} was let in while another kind was declared")), "{said}");
    assert!(said.contains(&format!("add {first} to `ended-elsewhere` of `[policy]`")), "{said}");
    assert_eq!((rig.current().await, notes.0.lock().unwrap().get(&done)), (Some(now.clone()), None));
    rig.credential.policy.ended_elsewhere.push(first);
    let outcome = run(&rig, &action, (&rig.vault, &notes), (&random, None), false).await;
    assert_eq!(outcome.fate, Fate::Done, "{outcome:?}");
    assert!(rig.current().await != Some(now) && notes.0.lock().unwrap().contains_key(&done));
}

#[tokio::test]
async fn old_versions_that_cannot_be_read_hold_up_no_rotation_and_what_has_a_label_does() {
    let folder = tempfile::tempdir().unwrap();
    for (name, leak) in [("usual", false), ("leaked", true)] {
        let config = declared(&folder.path().join(name), DeclaredIssuer::Client, "");
        let (kind, rig) = (plugin(&config), Rig::new(RotatorConfig::Exec(config)));
        let notes = Notes::default();
        rig.settle(&kind, None, "the first").await;
        let (secret, first) = (rig.credential.secret.clone(), rig.current().await.unwrap());
        // An attempt that was rejected, and one that a person made.
        let old: BTreeSet<VersionId> = ["by-hand".into(), names::slot(&secret, Some(&first), 4)].into();
        let rejected = (names::rotation(&rig.credential.id, Some(&first)), names::verdict(&secret, Some(&first), 4));
        notes.write_once(&rejected.0, &rejected.1, "reject 2026-01-01T00:00:00Z it was refused").await.unwrap();
        for id in &old {
            rig.vault.put(&secret, id, &Secret::new(br#"{"key":"k-old","password":"x"}"#.to_vec())).await.unwrap();
        }
        rig.vault.put(&secret, &"last".into(), &Secret::new(b"takes the label".to_vec())).await.unwrap();
        let view = rig.vault.describe(&secret).await.unwrap();
        assert!(old.iter().all(|id| view.versions[id].labels.is_empty()), "{view:?}");
        let dark = Dark(&rig.vault, old);
        let outcome = run(&rig, &rotate(&rig, &first), (&dark, &notes), (&kind, Some(&kind)), leak).await;
        assert_eq!(outcome.fate, Fate::Done, "{name}: {outcome:?}");
        assert_eq!(kind.list().await.unwrap().keys.len(), 1, "{name}: the value before is ended");
        // What is in force is needed.
        let second = rig.current().await.unwrap();
        let dark = Dark(&rig.vault, BTreeSet::from([second.clone()]));
        let outcome = run(&rig, &rotate(&rig, &second), (&dark, &notes), (&kind, Some(&kind)), leak).await;
        assert!(matches!(&outcome.fate, Fate::Blocked(why) if why.contains("DecryptionFailure")), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_credential_that_may_be_in_a_version_nobody_can_read_is_not_ended() {
    let folder = tempfile::tempdir().unwrap();
    let config = declared(&folder.path().join("ledger"), DeclaredIssuer::Server, "");
    let (kind, rig) = (plugin(&config), Rig::new(RotatorConfig::Exec(config)));
    let notes = Notes::default();
    rig.settle(&kind, None, "the first").await;
    let (secret, first) = (rig.credential.secret.clone(), rig.current().await.unwrap());
    let lost = kind.create(&"lost".into(), None).await.unwrap();
    rig.vault.put(&secret, &"old".into(), &lost.value).await.unwrap();
    rig.vault.put(&secret, &"last".into(), &Secret::new(b"takes the label".to_vec())).await.unwrap();
    let action = rotate(&rig, &first);
    let dark = Dark(&rig.vault, BTreeSet::from(["old".into()]));
    let outcome = run(&rig, &action, (&dark, &notes), (&kind, Some(&kind)), false).await;
    let Fate::Blocked(said) = &outcome.fate else { panic!("{outcome:?}") };
    assert!(said.contains("is in no version that could be read, and may be in old"), "{said}");
    // Read, it is somebody's: that version is none of ours.
    let outcome = run(&rig, &action, (&rig.vault, &notes), (&kind, Some(&kind)), false).await;
    assert_eq!(outcome.fate, Fate::Done, "{outcome:?}");
    assert!(kind.list().await.unwrap().keys.iter().any(|key| Some(&key.id) == lost.key.as_ref()));
}
