//! Attestations, and every way to make one wrong.

use super::tests::{World, world};
use crate::model::attestation::About;

const PATH: &str = "attestations/ROT-01/2025-Q4.toml";
const ROOT: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn text() -> String {
    format!(
        "statement = \"every key was looked at\"\nauthor = \"one\"\napprover = \"two\"\nsigned = 2026-01-10T00:00:00Z\n\
         population-root = \"{ROOT}\"\n"
    )
}

fn attested(path: &str) -> World {
    world().file(path, &text())
}

#[test]
fn an_attestation_says_what_and_when_by_its_path() {
    let loaded = attested(PATH).load();
    assert_eq!(loaded.diagnostics, []);
    let catalog = loaded.catalog.unwrap();
    let one = &catalog.attestations[PATH];
    assert_eq!((&one.about, one.covers.to_string().as_str()), (&About::Control("ROT-01".into()), "2025-10-01/2025-12-31"));
    assert_eq!((one.author.as_str(), one.approver.as_str(), one.population_root.as_deref()), ("one", "two", Some(ROOT)));
}

#[test]
fn an_attestation_is_about_something_that_exists_and_a_period() {
    attested("attestations/ROT-02/2025-Q4.toml").says("slm::unknown-control", "", "did you mean `ROT-01`?");
    attested("attestations/2025-Q4.toml").says("slm::attestation-astray", "", "<control>");
    attested("attestations/ROT-01/later/2025-Q4.toml").says("slm::attestation-astray", "", "<control>");
    attested("attestations/ROT-01/spring.toml").says("slm::bad-period", "", "2026-Q1");
    attested("attestations/soc2.CC6.2/2025-Q4.toml").says("slm::unknown-criterion", "", "did you mean `CC6.1`?");
    attested("attestations/soc2.CC6.1/2025-Q4.toml").says("slm::needless-attestation", "", "manual = true");
    let manual =
        |world: World| world.with("controls/frameworks/soc2.toml", "title = \"Access\"", "title = \"Access\"\nmanual = true");
    assert_eq!(manual(attested("attestations/soc2.CC6.1/2025-Q4.toml")).found(), []);
}

#[test]
fn an_attestation_is_signed_by_another_person_after_it_began_and_not_ahead() {
    attested(PATH).with(PATH, "\"two\"", "\" One\"").says("slm::self-approved", "\" One\"", "another");
    attested(PATH).with(PATH, "\"two\"", "\"\"").says("slm::attestation-unsigned", "\"\"", "other than the author");
    attested(PATH).with(PATH, "\"every key was looked at\"", "\"\"").says("slm::attestation-unsigned", "\"\"", "what was found");
    attested(PATH).with(PATH, "2026-01-10", "2025-09-10").says("slm::signed-before", "2025-09-10T00:00:00Z", "");
    attested(PATH).with(PATH, "2026-01-10", "2026-02-10").says("slm::signed-ahead", "2026-02-10T00:00:00Z", "");
}

#[test]
fn an_attestation_names_the_population_that_was_looked_at() {
    let line = format!("population-root = \"{ROOT}\"\n");
    attested(PATH).with(PATH, &line, "").says("slm::attestation-of-nothing", "", "population-root");
    attested(PATH).with(PATH, ROOT, "abc").says("slm::bad-root", "\"abc\"", "64 hex digits");
    let by_hand = attested(PATH).with("controls/rot/ROT-01.toml", "\"config\"", "\"attestation\"");
    assert_eq!(by_hand.with(PATH, &line, "").found(), [], "nobody observes the population of a control that is attested");
}

#[test]
fn no_day_is_attested_twice() {
    attested(PATH).file("attestations/ROT-01/2025-12.toml", &text()).says("slm::attested-twice", "", "one attestation");
    assert_eq!(attested(PATH).file("attestations/ROT-01/2026-01.toml", &text()).found(), []);
}

#[test]
fn everything_wrong_with_an_attestation_is_told_at_once() {
    let all = attested("attestations/ROT-02/soon.toml").with("attestations/ROT-02/soon.toml", "\"two\"", "\"one\"").found();
    let codes: Vec<&str> = all.iter().map(|(code, ..)| *code).collect();
    assert_eq!(codes, ["slm::bad-period", "slm::unknown-control", "slm::self-approved"]);
}
