//! What is wrong with a secret that AWS rotates, as declared, is pointed at.

use super::tests::{CREDENTIAL_PATH, World, world};
use crate::model::rotator::{AwsManaged, RotatorConfig};
use crate::model::time::Limit;

/// A secret in an account, rotated by AWS as `kind` says.
fn managed(kind: &str) -> World {
    let random = "random = { length = 40, alphabet = \"alnum\" }";
    let prod = "source = \"prod\"\nregion = \"eu-west-1\"";
    world().with(CREDENTIAL_PATH, random, kind).with(CREDENTIAL_PATH, "source = \"local\"", prod)
}

#[test]
fn aws_gets_half_an_hour_unless_it_is_said() {
    for (kind, seconds) in [("aws-managed = {}", 1800), ("aws-managed = { expect-within = \"2h\" }", 7200)] {
        let world = managed(kind);
        assert_eq!(world.found(), []);
        let catalog = world.load().catalog.unwrap();
        let declared = catalog.credentials.values().next().unwrap();
        let expected = AwsManaged { expect_within: Limit::seconds(seconds) };
        assert_eq!(declared.rotator, RotatorConfig::AwsManaged(expected));
    }
}

#[test]
fn what_aws_cannot_do_is_refused() {
    managed("aws-managed = { expect-within = \"0s\" }").says("slm::bad-limit", "\"0s\"", "");
    managed("aws-managed = { within = \"1h\" }").says("slm::unknown-key", "within", "`expect-within`");
    let vault = "source = \"prod\"\nregion = \"eu-west-1\"";
    managed("aws-managed = {}").with(CREDENTIAL_PATH, vault, "source = \"local\"").mentions(
        "slm::not-an-account",
        "\"local\"",
        "kind `aws`",
    );
    let canary = "id = \"app\"\ncanary = true";
    managed("aws-managed = {}").with(CREDENTIAL_PATH, "id = \"app\"", canary).says("slm::no-canary", "true", "delete `canary`");
    managed("aws-managed = {}\nrandom = { length = 40 }").mentions("slm::not-one-kind", "rotator", "`aws-managed`");
}
