//! Names in a bundle.

use super::*;

#[test]
fn a_name_leads_to_the_same_place_wherever_it_is_unpacked() {
    for name in ["index.html", "evidence/raw/2026/x/list é.json", "a:b"] {
        assert!(plain(name), "{name}");
    }
    for name in ["", "/a", "a/", "a//b", "./a", "a/../b", "a\\b", "a\nb"] {
        assert!(!plain(name), "{name:?}");
    }
}

#[test]
fn large_and_small_letters_lead_to_the_same_folder() {
    assert!(under("evidence/x", "evidence/") && under("EVIDENCE/x", "evidence/"));
    assert!(!under("evidences/x", "evidence/") && !under("evid", "evidence/") && !under("é", "e/"));
}

#[test]
fn the_log_of_a_bundle_has_as_many_keys_as_sign_it() {
    for name in ["log/checkpoint", "log/entries.jsonl", "log/checkpoints/6", "log/keys/1", "log/keys/2"] {
        assert!(of_log(name, 2), "{name}");
    }
    for name in ["log/keys/3", "log/keys/01", "log/keys/x", "log/tile/0/000", "log/x"] {
        assert!(!of_log(name, 2), "{name}");
    }
}
