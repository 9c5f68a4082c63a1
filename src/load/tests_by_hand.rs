//! What is wrong with a credential that slm does not rotate is pointed at.

use super::tests::{CREDENTIAL_PATH, World, world};

const MANUAL: &str = r#"
[rotator.manual]
steps = "docs/slack.md"
remind-before = "10d"
verify = { method = "POST", url = "https://v.example/test", headers = { K = "{{ value }}" }, expect = { "/ok" = true } }
"#;

fn by_hand(rotator: &str) -> World {
    let random = "[rotator]\nrandom = { length = 40, alphabet = \"alnum\" }\n";
    world().with(CREDENTIAL_PATH, random, rotator).with(CREDENTIAL_PATH, "jitter = \"2d\"\n", "")
}

/// The manual one with the first `from` replaced by `to`.
fn manual(from: &str, to: &str) -> World {
    assert!(MANUAL.contains(from), "{from}");
    by_hand(&MANUAL.replacen(from, to, 1))
}

fn observe(more: &str) -> World {
    by_hand(&format!("[rotator]\nobserve = {{ {more} }}\n"))
}

const IN_AWS: (&str, &str) = ("source = \"local\"\n", "source = \"prod\"\nregion = \"eu-west-1\"\n");

#[test]
fn a_person_has_steps_and_is_asked_in_time() {
    assert_eq!(manual("", "").found(), []);
    assert_eq!(manual("remind-before = \"10d\"\n", "").found(), [], "14 of 30 days");
    manual("docs/slack.md", " ").says("slm::no-steps", "\" \"", "docs/runbooks");
    assert_eq!(manual("steps = \"docs/slack.md\"", "").found()[0].0, "slm::missing-key");
    for (remind, wrong) in [("29d", false), ("30d", true), ("31d", true)] {
        let found = manual("10d", remind).found();
        assert_eq!(found.iter().any(|found| found.0 == "slm::bad-limit"), wrong, "{remind}: {found:?}");
    }
    let silent = manual("remind-before = \"10d\"\n", "").with(CREDENTIAL_PATH, "30d", "14d").found();
    assert!(silent.len() == 1 && silent[0].0 == "slm::bad-limit" && silent[0].2.contains("`14d` when absent"), "{silent:?}");
    manual("remind-before", "remind").mentions("slm::unknown-key", "remind", "`remind-before`");
}

#[test]
fn what_tries_a_value_shows_it_where_nobody_reads_along_and_nothing_else() {
    for filled in ["{{ json.token }}", "{{ value }}", "Bearer {{ value | upper }}"] {
        assert_eq!(manual("{{ value }}", filled).found(), [], "{filled}");
    }
    let body = "json = { secret = \"{{ json.secret }}\", grant = \"x\" }";
    assert_eq!(manual("headers = { K = \"{{ value }}\" }", body).found(), []);
    manual("{{ value }}", "nothing").says("slm::missing-variable", "verify", "in a header");
    manual("{{ value }}", "{{ value }} {{ valeu }}").mentions("slm::unknown-variable", "\"{{ value }} {{ valeu }}\"", "`value`");
    manual("{{ value }}", "{{ value }").says("slm::bad-template", "\"{{ value }\"", "");
    manual("test\"", "test?k={{ value }}\"").mentions("slm::unknown-variable", "\"https://v.example/test?k={{ value }}\"", "logs");
    for url in ["http://v.example/", "https://", "https://a@b/"] {
        manual("https://v.example/test", url).mentions("slm::unsafe-address", &format!("\"{url}\""), "");
    }
    manual("\"/ok\"", "\"$.ok\"").says("slm::bad-pointer", "expect", "`/ok`");
    manual("expect", "json = {}, form = {}, expect").says("slm::two-bodies", "form", "");
}

#[test]
fn the_use_of_what_is_only_observed_is_asked_of_a_store_that_tells() {
    assert_eq!(observe("").found(), []);
    assert_eq!(observe("rotated-by = \"the vendor\"").found(), []);
    observe("unused-after = \"30d\"").says("slm::untold-use", "\"30d\"", "delete");
    assert_eq!(observe("unused-after = \"30d\"").with(CREDENTIAL_PATH, IN_AWS.0, IN_AWS.1).found(), []);
    let short = observe("unused-after = \"47h\"").with(CREDENTIAL_PATH, IN_AWS.0, IN_AWS.1);
    short.says("slm::bad-limit", "\"47h\"", "2d");
    observe("steps = \"x\"").mentions("slm::unknown-key", "steps", "");
}

#[test]
fn what_only_a_rotation_by_slm_would_heed_is_refused() {
    for kind in [manual("", ""), observe("")] {
        let with = |line: &str| kind.clone().with(CREDENTIAL_PATH, "[policy]\n", &format!("[policy]\n{line}\n"));
        for (line, key) in [
            ("jitter = \"2d\"", "\"2d\""),
            ("windows = [\"Mon 07:00-15:00 UTC\"]", "[\"Mon 07:00-15:00 UTC\"]"),
            ("freeze = [\"2026-12-18/2027-01-04\"]", "[\"2026-12-18/2027-01-04\"]"),
        ] {
            with(line).says("slm::needless-key", key, "delete");
        }
        with("allow-gap = \"1m\"").says("slm::needless-gap", "\"1m\"", "delete");
        assert_eq!(with("not-before = 2026-12-01T00:00:00Z").found(), [], "an adopted one has it");
        let gate = kind.clone().with(CREDENTIAL_PATH, "[policy]\n", "[gate]\nsoak = \"1d\"\n[policy]\n");
        gate.says("slm::needless-gate", "gate", "delete");
        let canary = kind.clone().with(CREDENTIAL_PATH, "id = \"app\"\n", "id = \"app\"\ncanary = true\n");
        canary.says("slm::no-canary", "true", "delete");
    }
    let both = manual("[rotator.manual]", "[rotator]\nobserve = {}\n[rotator.manual]");
    assert_eq!(both.found()[0].0, "slm::not-one-kind");
}
