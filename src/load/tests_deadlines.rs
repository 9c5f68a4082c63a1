//! What cannot be kept together is said with its sum: waits and their deadline, periods and the validity of a value.

use super::tests::{CREDENTIAL_PATH, World, world};
use crate::model::catalog::{OnDeadline, Quiet};
use crate::model::id::CredentialId;
use crate::model::time::Limit;

const RANDOM: &str = "random = { length = 40, alphabet = \"alnum\" }";
const POLICY: &str = "jitter = \"2d\"\n";

/// The key of an IAM user with `policy` and `gate`, each as in TOML.
fn key(policy: &str, gate: &str) -> World {
    let iam = "aws-iam-access-key = { source = \"prod\", user = \"ci\" }";
    world().with(CREDENTIAL_PATH, RANDOM, iam).with(CREDENTIAL_PATH, POLICY, &format!("{POLICY}{policy}\n[gate]\n{gate}\n"))
}

fn codes(world: &World) -> Vec<&'static str> {
    world.load().diagnostics.iter().map(|found| found.code).collect()
}

#[test]
fn what_is_learnt_has_a_cap_and_a_deadline_says_what_follows_it() {
    let world =
        key("max-validity = \"42d\"", "quiet = \"auto\"\nquiet-max = \"3d\"\ndeadline = \"10d\"\non-deadline = \"escalate\"");
    assert_eq!(codes(&world), [""; 0]);
    let catalog = world.load().catalog.unwrap();
    let credential = &catalog.credentials[&CredentialId::from("session")];
    let gate = credential.gate;
    assert_eq!((gate.quiet, gate.quiet_max, gate.deadline), (Quiet::Auto, Limit::days(3), Some(Limit::days(10))));
    assert_eq!((gate.on_deadline, credential.policy.max_validity), (OnDeadline::Escalate, Some(Limit::days(42))));
    key("", "quiet = \"auto\"\nquiet-max = \"3h\"").says("slm::bad-limit", "\"3h\"", "raise it");
    key("", "on-deadline = \"retire\"").says("slm::no-deadline", "\"retire\"", "add `deadline`");
    key("", "quiet = \"automatic\"").mentions("slm::bad-value", "\"automatic\"", "");
}

#[test]
fn a_deadline_comes_after_the_waits_before_it() {
    assert_eq!(codes(&key("lease = \"1h\"", "quiet = \"4h\"\ndeadline = \"5h\"")), [""; 0]);
    let short = key("lease = \"1h\"", "quiet = \"4h\"\ndeadline = \"299m\"");
    short.says("slm::deadline-too-short", "\"299m\"", "allow `5h` or more");
    assert!(short.load().diagnostics[0].message.contains("`lease` 1h + `quiet` 4h come to 5h"));
    let auto = key("lease = \"1h\"", "quiet = \"auto\"\ndeadline = \"7d\"");
    assert!(auto.load().diagnostics[0].message.contains("`lease` 1h + `quiet-max` 7d come to 169h"), "it may come to that");
}

#[test]
fn a_validity_is_no_shorter_than_the_period_and_the_end_together() {
    let gate = "quiet = \"4h\"\ndeadline = \"10d\"\nsoak = \"1d\"";
    assert_eq!(codes(&key("max-validity = \"40d\"", gate)), [""; 0], "it is refused before it soaks");
    let short = key("max-validity = \"39d\"", gate);
    short.says("slm::validity-cannot-be-met", "\"39d\"", "allow `40d` or more");
    assert!(short.load().diagnostics[0].message.contains("`rotate-every` 30d + `deadline` 10d come to 40d"));
    let waits = key("max-validity = \"31d\"\nlease = \"2h\"", "quiet = \"79201s\"\nsoak = \"1d\"");
    assert!(waits.load().diagnostics[0].message.contains("`rotate-every` 30d + `lease` 2h + `quiet` 79201s come to"));
    assert_eq!(codes(&key("max-validity = \"31d\"\nlease = \"2h\"", "quiet = \"22h\"\nsoak = \"1d\"")), [""; 0]);
}

#[test]
fn a_value_that_nobody_refuses_has_no_validity() {
    let random = world().with(CREDENTIAL_PATH, POLICY, &format!("{POLICY}max-validity = \"60d\"\n"));
    random.says("slm::needless-max-validity", "\"60d\"", "delete `max-validity`");
}

#[test]
fn a_step_that_may_take_longer_than_the_lease_is_pointed_at() {
    let old = "github-actions-secret = { source = \"org\", repo = \"acme/app\", environment = \"prod\", name = \"SESSION_KEY\" }";
    let bring = |timeout: &str| format!("exec = {{ command = [\"./bring\"]{timeout} }}");
    let leased = |consumer: &str| {
        let world = world().with(CREDENTIAL_PATH, "jitter = \"2d\"", "lease = \"1m\"");
        world.with(CREDENTIAL_PATH, old, consumer)
    };
    leased(&bring(", timeout = \"30m\"")).says("slm::bad-limit", "\"30m\"", "a longer `lease`");
    leased(&bring(", timeout = \"1m\"")).says("slm::bad-limit", "\"1m\"", "a shorter `timeout`");
    assert_eq!(leased(&bring(", timeout = \"59s\"")).found(), []);
    assert_eq!(leased(&bring("")).found(), [], "what nobody chose is broken off with the lease");
    let hook = "webhook = { url = \"https://h.example.com\", sign-env = \"K\", timeout = \"2m\" }";
    leased(hook).says("slm::bad-limit", "\"2m\"", "a longer `lease`");
    leased("agent = { url = \"http://a:1/\", key-env = \"K\", timeout = \"2m\" }").says("slm::bad-limit", "\"2m\"", "");
    let plugin = |timeout: &str| {
        let caps = "caps = { issuer = \"client\", overlap = \"dual\", max = 2, disable = true, delete = true, reread = false }";
        let exec = format!("exec = {{ command = [\"./p\"], timeout = \"{timeout}\", {caps} }}");
        let world = world().with(CREDENTIAL_PATH, "random = { length = 40, alphabet = \"alnum\" }", &exec);
        world.with(CREDENTIAL_PATH, "jitter = \"2d\"", "lease = \"5m\"")
    };
    plugin("10m").says("slm::bad-limit", "\"10m\"", "a longer `lease`");
    assert_eq!(plugin("4m").found(), []);
}
