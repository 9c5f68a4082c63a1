//! What is wrong with a vendor's HTTP API as declared is pointed at.

use super::tests::{CREDENTIAL, CREDENTIAL_PATH, World, world};

const VENDOR: &str = r#"
[rotator.http]
auth-env = { app = "APP" }
headers = { X-App = "{{ auth.app }}" }
create = { method = "POST", url = "https://v.example/keys", json = { name = "{{ name }}" } }
validate = { url = "https://v.example/ok", headers = { X-Key = "{{ value }}" } }
list = { url = "https://v.example/keys?page={{ page }}" }
delete = { method = "DELETE", url = "https://v.example/keys/{{ id }}" }
issued = { id = "/id", value = "/key" }
listed = { items = "", id = "/id", name = "/name" }
"#;

/// The vendor with the first `from` replaced by `to`.
fn vendor(from: &str, to: &str) -> World {
    assert!(VENDOR.contains(from), "{from}");
    let random = "[rotator]\nrandom = { length = 40, alphabet = \"alnum\" }\n";
    world().with(CREDENTIAL_PATH, random, &VENDOR.replacen(from, to, 1))
}

#[test]
fn a_vendor_can_do_what_its_steps_say() {
    assert_eq!(vendor("", "").found(), []);
    let both =
        "disable = { url = \"https://v.example/off/{{ id }}\" }\nenable = { url = \"https://v.example/on/{{ id }}\" }\ndelete";
    let active = "name = \"/name\", active = { \"/on\" = true } }";
    assert_eq!(vendor("delete", both).with(CREDENTIAL_PATH, "name = \"/name\" }", active).found(), []);
    vendor("delete", both).says("slm::bad-capabilities", "listed", "");
    let one = "enable = { url = \"https://v.example/on/{{ id }}\" }\ndelete";
    assert_eq!(vendor("delete", one).found()[0].0, "slm::bad-capabilities");
    for (from, to) in [
        ("?page={{ page }}", ""),
        ("name = \"/name\"", "name = \"/name\", next = \"/next\""),
        ("name = \"/name\"", "name = \"/name\", whole = true"),
        ("?page={{ page }}", "?after={{ next }}"),
        ("{{ name }}", "key"),
        ("[rotator.http]", "[rotator.http]\nmax = 1"),
    ] {
        assert!(vendor(from, to).found().iter().any(|found| found.0 == "slm::bad-capabilities"), "{from} {to}");
    }
    for (to, more) in
        [("", ", whole = true"), ("", ", total = \"/n\""), ("", ", next = \"/next\""), ("?after={{ next }}", ", next = \"/next\"")]
    {
        let listed = vendor("?page={{ page }}", to).with(CREDENTIAL_PATH, "\"/name\" }", &format!("\"/name\"{more} }}"));
        assert_eq!(listed.found(), [], "{to} {more}");
    }
}

#[test]
fn a_step_says_which_credential_and_names_only_what_is_known() {
    vendor("/{{ id }}", "").says("slm::missing-variable", "delete", "");
    vendor("{{ value }}", "x").says("slm::missing-variable", "validate", "");
    vendor("{{ auth.app }}", "{{ auth.ap }}").says("slm::unknown-variable", "\"{{ auth.ap }}\"", "`auth.app`");
    vendor("{{ auth.app }}", "{{ auth.app }").says("slm::bad-template", "\"{{ auth.app }\"", "");
    vendor("keys/{{ id }}", "keys/{{ id }}?key={{ auth.app }}").mentions(
        "slm::unknown-variable",
        "\"https://v.example/keys/{{ id }}?key={{ auth.app }}\"",
        "`id`",
    );
    vendor("ok\"", "ok?key={{ value }}\"").mentions("slm::unknown-variable", "\"https://v.example/ok?key={{ value }}\"", "`id`");
}

#[test]
fn a_vendor_is_reached_where_nobody_reads_along_and_by_a_host_that_is_written_down() {
    for url in ["http://v.example/keys", "v.example", "https://", "https://{{ name }}/keys", "https://v.example@evil.example/"] {
        vendor("https://v.example/keys\"", &format!("{url}\"")).mentions("slm::unsafe-address", &format!("\"{url}\""), "");
    }
    assert_eq!(vendor("https://v.example/keys\"", "http://127.0.0.1:80/keys\"").found(), []);
}

#[test]
fn what_a_vendor_is_declared_with_can_be() {
    vendor("\"/key\"", "\"$.data.key\"").says("slm::bad-pointer", "\"$.data.key\"", "`/data/key`");
    vendor("[rotator.http]", "[rotator.http]\ntimeout = \"15m\"").says("slm::bad-limit", "\"15m\"", "30s");
    vendor("[rotator.http]", "[rotator.http]\nprefix = \"a b\"").says("slm::bad-prefix", "\"a b\"", "letters");
    vendor("\"APP\"", "\"\"").says("slm::bad-variable", "\"\"", "");
    vendor("{{ name }}\" } }", "{{ name }}\" }, form = {} }").says("slm::two-bodies", "form", "");
    vendor("issued = {", "issued = { ids = \"/x\", ").says("slm::unknown-key", "ids", "`id`");
}

#[test]
fn no_two_credentials_take_each_others_for_their_own() {
    let random = "[rotator]\nrandom = { length = 40, alphabet = \"alnum\" }\n";
    let other = |prefix: &str| {
        let more = VENDOR.replace("[rotator.http]", &format!("[rotator.http]\n{prefix}"));
        let text = CREDENTIAL.replacen(random, &more, 1).replace("app/session-key", "app/other");
        let text = text.split("[[consumer]]").next().unwrap();
        vendor("", "").file("credentials/other.toml", text)
    };
    assert_eq!(other("").found(), []);
    assert_eq!(other("prefix = \"slm-session-2\"").found(), []);
    let same = other("prefix = \"slm-session\"").found();
    assert!(same.len() == 1 && same[0].0 == "slm::prefix-owned-twice" && same[0].2.contains("end what the other made"), "{same:?}");
}
