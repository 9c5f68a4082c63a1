//! What two credentials cannot both have at IAM is pointed at.

use super::tests::{CREDENTIAL, CREDENTIAL_PATH, World, world};

const RANDOM: &str = "random = { length = 40, alphabet = \"alnum\" }";

/// The key of a user of `prod`, and another credential with the key that `other` declares, in a repo with a second source of the same
/// account.
fn two(other: &str) -> World {
    let key = "aws-iam-access-key = { source = \"prod\", user = \"ci\" }";
    let alone = CREDENTIAL.split("[[consumer]]").next().unwrap();
    let second = alone.replacen(RANDOM, other, 1).replace("app/session-key", "app/other");
    world().with(CREDENTIAL_PATH, RANDOM, key).file("credentials/other.toml", &second)
}

#[test]
fn no_two_credentials_have_the_keys_of_one_user() {
    assert_eq!(two("aws-iam-access-key = { source = \"prod\", user = \"batch\" }").found(), []);
    for user in ["ci", "CI"] {
        let found = two(&format!("aws-iam-access-key = {{ source = \"prod\", user = \"{user}\", exclusive = true }}")).found();
        // The files are read by name, so that the other one comes first.
        assert!(found.len() == 1 && found[0].0 == "slm::user-owned-twice" && found[0].1 == "\"ci\"", "{found:?}");
        assert!(found[0].2.contains("each would end the key that the other has in force"), "{found:?}");
    }
}

#[test]
fn a_user_is_one_by_whichever_source_its_account_is_read() {
    let second = |account: &str| {
        let source = format!("[source.again]\naws = {{ account = \"{account}\", regions = [\"eu-west-1\"] }}\n[source.org]");
        let world = two("aws-iam-access-key = { source = \"again\", user = \"ci\" }").with("slm.toml", "[source.org]", &source);
        world.load().diagnostics.iter().any(|found| found.code == "slm::user-owned-twice")
    };
    assert!(second("123456789012") && !second("210987654321"));
}
