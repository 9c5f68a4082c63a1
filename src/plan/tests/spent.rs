//! When no attempt is left a person is asked, and what the credential has is still brought where it belongs and ended.

use super::*;
use crate::model::standing::Phase;

const SPENT: HeldBecause = HeldBecause::AttemptsSpent { attempts: 3 };

/// A rotation of `id`, which is in `generation`, of which no attempt is left.
fn spent(id: &str, generation: Option<&str>, facts: &[(&str, Value)]) -> Resource {
    let mut all: Vec<_> = vec![(Arc::from("credential"), text(id)), (Arc::from("spent"), Value::Long(3))];
    all.extend(generation.map(|generation| (Arc::from("generation"), text(generation))));
    all.extend(facts.iter().map(|(name, value)| (Arc::from(*name), value.clone())));
    Resource::new(id.into(), all)
}

/// `db`, so many days old, with an attempt in its store, of which none is left.
fn tried(days: i64) -> World {
    world().aged("db", days).fact("db", "slm_pending", Value::Bool(true)).with(|world| {
        world.rotations = Some(spent("db", Some("v-db"), &[("open", Value::Bool(false))]));
    })
}

#[test]
fn a_rotation_without_an_attempt_left_is_held_and_its_owner_is_asked() {
    let plan = tried(45).plan();
    assert_eq!(held(&plan), [("rotate db v-db".to_owned(), SPENT)]);
    assert_eq!(actions(&plan), ["ask platform db"]);
    assert_eq!(plan.actions[0].reason, Reason::AttemptsSpent { attempts: 3 });
    let asked = tried(1).with(|world| world.forced = vec!["db".into()]).plan();
    assert_eq!(held(&asked), [("rotate db v-db".to_owned(), SPENT)], "whoever asks");
}

#[test]
fn before_it_is_due_its_owner_is_asked_and_nothing_is_held() {
    let plan = tried(1).plan();
    assert_eq!((actions(&plan), held(&plan)), (vec!["ask platform db".to_owned()], vec![]));
}

#[test]
fn a_first_value_without_an_attempt_left_is_held_too() {
    let plan = world().declared("db").secret("app/db", &[("slm_pending", Value::Bool(true))]);
    let plan = plan.with(|world| world.rotations = Some(spent("db", None, &[]))).plan();
    assert_eq!((actions(&plan), held(&plan)), (vec!["ask platform db".to_owned()], vec![("rotate db none".to_owned(), SPENT)]));
}

#[test]
fn what_is_in_force_is_still_brought_to_whoever_lacks_it() {
    let plan = tried(45).acknowledged("db", "app", "old", "old").plan();
    assert_eq!((actions(&plan), held(&plan)), (vec!["deliver db v-db app".to_owned(), "ask platform db".to_owned()], vec![]));
}

#[test]
fn of_another_generation_it_says_nothing() {
    let plan = tried(45).with(|world| world.rotations = Some(spent("db", Some("v-old"), &[]))).plan();
    assert_eq!((actions(&plan), held(&plan)), (vec!["rotate db v-db".to_owned()], vec![]));
}

#[test]
fn status_tells_that_no_attempt_is_left() {
    let rotation = |facts: &[(&str, Value)]| spent("db", Some("v-db"), facts);
    let closed = [("open", Value::Bool(false))];
    assert_eq!(tried(1).standing("db", rotation(&closed)).phase, Phase::Spent);
    let open = [("open", Value::Bool(true))];
    assert_eq!(tried(1).standing("db", rotation(&open)).phase, Phase::Retiring, "what is under way comes first");
    let empty = world().declared("db").secret("app/db", &[("slm_pending", Value::Bool(true))]);
    assert_eq!(empty.standing("db", spent("db", None, &closed)).phase, Phase::Spent);
}
