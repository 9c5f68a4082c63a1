//! What cannot be met together is pointed at, and what just can is not.

use super::tests::{CREDENTIAL, CREDENTIAL_PATH, World, world};

const EVERY: &str = "rotate-every = \"30d\"\njitter = \"2d\"\n";

/// The control reads the limit of a tier, of which the widest is 90 days; the credential is due every `days`.
fn every(days: &str) -> World {
    world()
        .with("controls/rot/ROT-01.toml", "[\"created\"]", "[\"created\", \"max_age_days\"]")
        .with("policies/schema.cedarschema", "\"created\"?: datetime", "\"created\"?: datetime, \"max_age_days\"?: Long")
        .with("policies/rot.cedar", "resource has created &&", "resource has created && resource has max_age_days &&")
        .with(CREDENTIAL_PATH, EVERY, &format!("rotate-every = \"{days}\"\n"))
}

#[test]
fn a_credential_is_due_before_every_tier_has_run_out() {
    assert_eq!(every("90d").found(), []);
    every("91d").says("slm::due-after-breach", "\"91d\"", "rotate it every `90d` or sooner, or take `ROT-01` out of `satisfies`");
    let message = every("2161h").load().diagnostics[0].message.clone();
    assert_eq!(message, "due every `2161h`, it breaks `ROT-01` before: no tier allows more than `90d`, of `low`");
    assert_eq!(every("91d").with(CREDENTIAL_PATH, "[\"ROT-01\"]", "[]").found(), []);
    let wider = "[tiers]\ndefault = \"any\"\nlimits = { any = \"91d\" }\n[source.prod]";
    assert_eq!(every("91d").with("slm.toml", "[source.prod]", wider).found(), []);
    // Nor is anything said where no control reads the limit.
    assert_eq!(world().with(CREDENTIAL_PATH, EVERY, "rotate-every = \"91d\"\n").found(), []);
}

/// A key that is disabled and deleted, due every `hours`, with more in the file.
fn key(hours: &str, more: &str) -> World {
    let text = CREDENTIAL
        .replace("source = \"local\"", "source = \"prod\"\nregion = \"eu-west-1\"")
        .replace("random = { length = 40, alphabet = \"alnum\" }", "aws-iam-access-key = { user = \"ci\" }")
        .replace(EVERY, &format!("rotate-every = \"{hours}\"\n{more}"));
    world().file(CREDENTIAL_PATH, &text)
}

#[test]
fn a_rotation_is_over_before_the_next_one_is_due() {
    // Four hours unused, then a day disabled.
    assert_eq!(key("29h", "").found(), []);
    key("28h", "").says("slm::due-before-ended", "\"28h\"", "shorten `quiet` and `soak`");
    let message = key("1d", "").load().diagnostics[0].message.clone();
    assert_eq!(message, "due every `1d`, it is due again before the value before is ended, `28h` after it");
    let gate = |soak: &str| format!("lease = \"5h\"\n[gate]\nquiet = \"1h\"\nsoak = \"{soak}\"\n");
    assert_eq!(key("7h", &gate("1h")).found(), []);
    key("7h", &gate("2h")).says("slm::due-before-ended", "\"7h\"", "");
    let stale = key("29h", "").with(CREDENTIAL_PATH, "id = \"app\"\n", "id = \"app\"\nmax-staleness = \"5h\"\n");
    stale.says("slm::due-before-ended", "\"29h\"", "`max-staleness`");
    // What leaves nothing behind has nothing to end.
    assert_eq!(world().with(CREDENTIAL_PATH, EVERY, "rotate-every = \"1h\"\n").found(), []);
}
