//! What is seen of values that slm does not make.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::by_hand::{ByHand, Kept};
use crate::model::catalog::SecretRef;
use crate::model::id::{RegisterName, RotationId, VersionId};
use crate::model::names;
use crate::model::secret::Secret;
use crate::model::snapshot::{Completeness, Fact, Population, Unseen};
use crate::model::time::Timestamp;
use crate::world::{Clock, Collector, ErrorClass, LastUse, Registers, SecretStore, SecretView, VersionView, WorldError};

struct Fixed;
impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// What is written; every reading of it is refused when there is none.
struct Written(Option<BTreeMap<RegisterName, String>>);

#[async_trait]
impl Registers for Written {
    async fn read(&self, _: &RotationId, names: &[RegisterName]) -> Result<BTreeMap<RegisterName, String>, WorldError> {
        let refused = || WorldError { class: ErrorClass::Transient, operation: "read".to_owned(), cause: "no route".to_owned() };
        let all = self.0.as_ref().ok_or_else(refused)?;
        Ok(names.iter().filter_map(|name| Some((name.clone(), all.get(name)?.clone()))).collect())
    }

    async fn write_once(&self, _: &RotationId, _: &RegisterName, _: &str) -> Result<String, WorldError> {
        panic!("a look wrote")
    }
}

/// A store of one secret, by what describing it gives.
struct Described(Result<SecretView, ErrorClass>);

#[async_trait]
impl SecretStore for Described {
    async fn describe(&self, _: &SecretRef) -> Result<SecretView, WorldError> {
        let refused = |class: &ErrorClass| WorldError { class: *class, operation: "describe".to_owned(), cause: "no".to_owned() };
        self.0.clone().map_err(|class| refused(&class))
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

fn secret() -> SecretRef {
    SecretRef { source: "v".into(), region: ".".to_owned(), name: "slack".to_owned() }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn view(labels: &[(&str, &str)], read: LastUse) -> Result<SecretView, ErrorClass> {
    let version = |(at_second, (id, label)): (i64, &(&str, &str))| {
        (VersionId::from(*id), VersionView { labels: vec![(*label).to_owned()], created: at(at_second) })
    };
    Ok(SecretView { exists: true, versions: (1..).zip(labels).map(version).collect(), read, ..SecretView::default() })
}

async fn look(seen: Result<SecretView, ErrorClass>, tried: bool, written: Written) -> Population {
    let kept = vec![Kept { credential: "slack".into(), secret: secret(), tried, store: Box::new(Described(seen)) }];
    ByHand::new(kept, Arc::new(written)).collect(&Fixed).await.populations.remove(0)
}

#[tokio::test]
async fn a_value_is_dated_by_the_version_in_force() {
    let labels = [("old", "AWSPREVIOUS"), ("new", "AWSCURRENT"), ("next", "SLM-PENDING")];
    for (read, used, last) in [
        (LastUse::Untold, None, None),
        (LastUse::Never, Some(Fact::Bool(false)), None),
        (LastUse::At(at(9), "somebody".to_owned()), Some(Fact::Bool(true)), Some(at(9))),
    ] {
        let seen = look(view(&labels, read), false, Written(None)).await;
        let [value] = &seen.resources[..] else { panic!("{seen:?}") };
        assert_eq!((value.text("generation"), value.instant("created")), (Some("new"), Some(at(2))));
        assert_eq!((value.get("used"), value.instant("last_used"), value.get("verified")), (used, last, None));
    }
    let none = look(view(&[("next", "SLM-PENDING")], LastUse::Never), true, Written(None)).await;
    assert_eq!((none.resources.len(), none.completeness), (0, Completeness::Complete), "there is no value yet");
}

#[tokio::test]
async fn whether_it_was_tried_is_that_of_the_version_in_force() {
    let name = |version: &str| names::mark(&secret(), &version.into(), "verified");
    let written = || Written(Some([(name("v1"), at(5).to_string())].into()));
    for (current, verified) in [("v1", Some(at(5))), ("v2", None)] {
        let seen = look(view(&[(current, "AWSCURRENT")], LastUse::Untold), true, written()).await;
        assert_eq!(seen.resources[0].instant("verified"), verified);
    }
    let unread = look(view(&[("v1", "AWSCURRENT")], LastUse::Untold), true, Written(None)).await;
    assert!(unread.resources.is_empty() && !unread.completeness.is_complete());
}

#[tokio::test]
async fn a_store_that_does_not_tell_leaves_the_population_incomplete() {
    for (class, cause) in [(ErrorClass::Denied, Unseen::Denied), (ErrorClass::Transient, Unseen::Unreachable)] {
        let seen = look(Err(class), false, Written(None)).await;
        let Completeness::Incomplete { cause: was, detail } = seen.completeness else { panic!("complete") };
        assert_eq!((was, seen.resources.len()), (cause, 0));
        assert!(detail.contains("value of `slack`"), "{detail}");
    }
}

#[tokio::test]
async fn what_another_kind_promoted_and_did_not_see_ended_is_told_of_what_slm_made() {
    let made = names::slot(&secret(), Some(&"old".into()), 0);
    let mark = |mark: &str| (names::mark(&secret(), &made, mark), at(5).to_string());
    let left = async |current: &str, written: &[&str]| {
        let labels = [("old", "AWSPREVIOUS"), (current, "AWSCURRENT")];
        let written = Written(Some(written.iter().map(|word| mark(word)).collect()));
        look(view(&labels, LastUse::Untold), false, written).await.resources[0].text("left").map(str::to_owned)
    };
    assert_eq!(left(made.as_str(), &["promoted"]).await.as_deref(), Some("old"));
    assert_eq!((left(made.as_str(), &["promoted", "done"]).await, left(made.as_str(), &[]).await), (None, None));
    assert_eq!(left("by-hand", &["promoted"]).await, None);
    let labels = [("old", "AWSPREVIOUS"), (made.as_str(), "AWSCURRENT")];
    let unseen = look(view(&labels, LastUse::Untold), false, Written(None)).await;
    assert!(unseen.resources.is_empty() && !unseen.completeness.is_complete(), "what is not seen is not nothing");
}
