//! What is wrong with the order between credentials is pointed at.

use super::tests::{CREDENTIAL, CREDENTIAL_PATH, World, world};
use crate::model::id::CredentialId;

const SATISFIES: &str = "satisfies = [\"ROT-01\"]\n";

/// `session` after `first`, and `second` after `other`, each as in TOML.
fn made(first: &str, other: &str) -> World {
    let after = |list: &str| format!("{SATISFIES}after = {list}\n");
    let text = CREDENTIAL.replace("app/session-key", "app/second").replace("run/app.env", "run/second.env");
    let text = text[..text.rfind("[[consumer]]").unwrap()].replacen(SATISFIES, &after(other), 1);
    world().with(CREDENTIAL_PATH, SATISFIES, &after(first)).file("credentials/second.toml", &text)
}

#[test]
fn a_value_is_made_of_others_that_are_declared() {
    let right = made("[]", "[\"session\"]");
    assert_eq!(right.found(), []);
    assert_eq!(right.load().catalog.unwrap().credentials[&CredentialId::from("second")].after, ["session".into()]);
    made("[\"secnod\"]", "[]").says("slm::unknown-credential", "\"secnod\"", "did you mean `second`?");
    made("[\"second\", \"nothing\"]", "[]").says("slm::unknown-credential", "\"nothing\"", "");
}

#[test]
fn no_value_is_made_of_itself() {
    made("[\"session\"]", "[]").says("slm::circular-order", "\"session\"", "leave out");
    let found = made("[\"second\"]", "[\"session\"]").load().diagnostics;
    let said: Vec<_> = found.iter().map(|found| (found.code, found.message.as_str())).collect();
    let circle = |way: &'static str| ("slm::circular-order", way);
    assert_eq!(
        said,
        [
            circle("a value cannot be made of itself: `second` after `session` after `second`"),
            circle("a value cannot be made of itself: `session` after `second` after `session`"),
        ]
    );
}

#[test]
fn what_a_person_rotates_follows_nothing() {
    let random = "random = { length = 40, alphabet = \"alnum\" }";
    let observed =
        made("[\"second\"]", "[]").with(CREDENTIAL_PATH, random, "observe = {}").with(CREDENTIAL_PATH, "jitter = \"2d\"\n", "");
    observed.mentions("slm::impossible-order", "[\"second\"]", "in the steps");
}
