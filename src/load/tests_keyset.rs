//! What is wrong with a set of keys, as declared, is pointed at.

use super::tests::{CREDENTIAL_PATH, World, world};
use crate::model::rotator::{ActivateAfter, Encoding, Keyset, RotatorConfig};
use crate::model::time::Limit;

fn keyset(kind: &str) -> World {
    world().with(CREDENTIAL_PATH, "random = { length = 40, alphabet = \"alnum\" }", kind)
}

#[test]
fn two_keys_of_32_bytes_are_kept_unless_it_is_said() {
    let day = Limit::days(1);
    let said =
        "keyset = { bytes = 64, encoding = \"hex\", keep = 1, drop-after = \"1d\", activate-after = \"accepted-everywhere\" }";
    let activate_after = ActivateAfter::AcceptedEverywhere;
    for (kind, bytes, encoding, keep) in
        [("keyset = { drop-after = \"1d\" }", 32, Encoding::Base64url, 2), (said, 64, Encoding::Hex, 1)]
    {
        let world = keyset(kind);
        assert_eq!(world.found(), []);
        let catalog = world.load().catalog.unwrap();
        let declared = &catalog.credentials.values().next().unwrap().rotator;
        assert_eq!(*declared, RotatorConfig::Keyset(Keyset { bytes, encoding, keep, drop_after: day, activate_after }));
    }
}

#[test]
fn a_sign_of_a_leak_is_for_kinds_that_can_give_it() {
    let with = |text: &str| world().with(CREDENTIAL_PATH, "[policy]", &format!("{text}\n[policy]"));
    let codes = |text: &str| with(text).found().into_iter().map(|(code, _, _)| code).collect::<Vec<_>>();
    assert_eq!(codes("[leak]\ntriggers = [\"aws-quarantine-policy\"]\n"), ["slm::needless-trigger"]);
    assert_eq!(codes("[leak]\ntriggers = [\"github-secret-scanning\"]\n"), ["slm::needless-trigger"]);
    assert_eq!(codes("[leak]\ntriggers = []\n"), [""; 0]);
    let key = "aws-iam-access-key = { user = \"ci\", source = \"prod\" }\n";
    let scanned = with("[leak]\ntriggers = [\"github-secret-scanning\", \"aws-quarantine-policy\"]\n");
    let scanned = scanned.with(CREDENTIAL_PATH, "random = { length = 40, alphabet = \"alnum\" }\n", key);
    let needless = |world: &World| world.found().into_iter().filter(|(code, ..)| *code == "slm::needless-trigger").count();
    assert_eq!(needless(&scanned), 0);
    let nobody = scanned.with("slm.toml", "[source.org]\ngithub = { org = \"acme\", token-env = \"TOKEN\" }\n", "");
    assert_eq!(needless(&nobody), 1, "no organisation could find it");
    assert!(codes("[leak]\ntriggers = [\"rumour\"]\n").contains(&"slm::bad-value"));
}

#[test]
fn what_would_be_guessed_or_refused_is_no_set_of_keys() {
    keyset("keyset = { drop-after = \"1d\", bytes = 15 }").says("slm::short-secret", "15", "16");
    keyset("keyset = { drop-after = \"1d\", keep = 0 }").says("slm::bad-limit", "0", "keep 1");
    keyset("keyset = { drop-after = \"0s\" }").says("slm::bad-limit", "\"0s\"", "longest life");
    keyset("keyset = { drop-after = \"900d\" }").says("slm::bad-limit", "\"900d\"", "rotate less often");
    let codes = |kind: &str| keyset(kind).found().into_iter().map(|(code, _, _)| code).collect::<Vec<_>>();
    assert!(codes("keyset = { drop-after = \"1d\", activate-after = \"published\" }").contains(&"slm::bad-value"));
    assert!(codes("keyset = { keep = 2 }").contains(&"slm::missing-key"), "how long what is signed lives is for a person to say");
}
