//! One small config repo that is right, and every way to make it wrong.

use proptest::prelude::*;

use super::*;
use crate::model::id::{ControlId, CredentialId};

const SETTINGS_TOML: &str = r#"[source.prod]
aws = { account = "123456789012", regions = ["eu-west-1"] }
[source.org]
github = { org = "acme", token-env = "TOKEN" }
[source.local]
vault = { path = "vault.age", identity = "key.txt" }
"#;
const CONTROL: &str = r#"id = "ROT-01"
title = "Keys are young"
statement = "Every key is younger than 90 days."
kind = "config"
severity = "high"
owner = "platform"
remedy = "rotate"
collect-every = "1d"
evidence-ttl = "26h"
artefact = "list of keys"
api = ["iam:ListAccessKeys"]
[population]
entities = ["Aws::AccessKey"]
definition = "all keys"
[population.where]
active = true
[rule]
requires = ["created"]
[criteria]
soc2 = ["CC6.1"]
[events]
cloudtrail = ["CreateAccessKey"]
"#;
const FRAMEWORK: &str = "id = \"soc2\"\nname = \"SOC 2\"\n[[criterion]]\nid = \"CC6.1\"\ntitle = \"Access\"\n";
pub(super) const CREDENTIAL: &str = r#"title = "Session key"
owner = "platform"
satisfies = ["ROT-01"]
[secret]
source = "local"
name = "app/session-key"
[rotator]
random = { length = 40, alphabet = "alnum" }
[policy]
rotate-every = "30d"
jitter = "2d"
[[consumer]]
id = "app"
file = { path = "run/app.env", template = "KEY={{ value }}", mode = "0600", reload = ["true"] }
[[consumer]]
id = "ci"
github-actions-secret = { source = "org", repo = "acme/app", environment = "prod", name = "SESSION_KEY" }
"#;
const EXCEPTION: &str = r#"control = "ROT-01"
resource = "AKIA1"
reason = "vendor"
compensating = "network rule"
ticket = "SEC-1"
requester = "one"
approver = "two"
approved = 2026-01-01T00:00:00Z
expires = "2026-03-01T00:00:00Z"
"#;
const RULES: &str = r#"// Keys are young
@id("ROT-01")
permit (
  principal is Slm::Collector,
  action == Control::Action::"ROT-01",
  resource is Aws::AccessKey
) when {
  resource has created &&
  resource.created <= context.now && context.now.durationSince(resource.created) <= duration("90d")
};
"#;
const GUARDS: &str = "@id(\"rotate-any\")\npermit (principal, action == Slm::Action::\"rotate\", resource);\n";
const SCHEMA: &str = r#"namespace Aws {
  entity AccessKey = { "active"?: Bool, "created"?: datetime };
}
namespace Slm {
  entity Collector;
  action "rotate" appliesTo { principal: [Collector], resource: [Aws::AccessKey], context: {} };
}
namespace Control {
  action "ROT-01" appliesTo { principal: [Slm::Collector], resource: [Aws::AccessKey], context: { now: datetime } };
}
"#;

const CONTROL_PATH: &str = "controls/rot/ROT-01.toml";
const FRAMEWORK_PATH: &str = "controls/frameworks/soc2.toml";
pub(super) const CREDENTIAL_PATH: &str = "credentials/session.toml";
const EXCEPTION_PATH: &str = "exceptions/old-key.toml";
const RULES_PATH: &str = "policies/rot.cedar";

#[derive(Clone)]
pub(super) struct World(Files);

pub(super) fn world() -> World {
    let files = [
        ("slm.toml", SETTINGS_TOML),
        (CONTROL_PATH, CONTROL),
        (FRAMEWORK_PATH, FRAMEWORK),
        (CREDENTIAL_PATH, CREDENTIAL),
        (EXCEPTION_PATH, EXCEPTION),
        (RULES_PATH, RULES),
        ("policies/guards.cedar", GUARDS),
        (rules::SCHEMA, SCHEMA),
    ];
    World(Files(files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect()))
}

impl World {
    /// Replaces the first `from` in the file by `to`.
    pub(super) fn with(mut self, path: &str, from: &str, to: &str) -> Self {
        let text = self.0.0.get_mut(path).unwrap();
        assert!(text.contains(from), "{from}");
        *text = text.replacen(from, to, 1);
        self
    }

    pub(super) fn file(mut self, path: &str, text: &str) -> Self {
        self.0.0.insert(path.to_owned(), text.to_owned());
        self
    }

    fn without(mut self, path: &str) -> Self {
        self.0.0.remove(path).unwrap();
        self
    }

    pub(super) fn load(&self) -> Loaded {
        load(&self.0, "2026-02-01T00:00:00Z".parse().unwrap())
    }

    /// Code, words pointed at, and help of every complaint.
    pub(super) fn found(&self) -> Vec<(&'static str, String, String)> {
        let loaded = self.load();
        assert_eq!(loaded.catalog.is_some(), loaded.diagnostics.iter().all(|found| found.severity == Severity::Warning));
        let words = |place: &Place| self.0.0.get(&place.file).map_or("", |text| &text[place.span.clone()]).to_owned();
        loaded.diagnostics.iter().map(|found| (found.code, words(&found.place), found.help.clone().unwrap_or_default())).collect()
    }

    /// Asserts exactly one complaint.
    pub(super) fn says(&self, code: &str, words: &str, help: &str) {
        let found = self.found();
        assert!(found.len() == 1 && found[0].0 == code && found[0].1 == words && found[0].2.contains(help), "{found:#?}");
    }

    /// Asserts that `code` is among the complaints.
    pub(super) fn mentions(&self, code: &str, words: &str, help: &str) {
        let found = self.found();
        assert!(found.iter().any(|found| found.0 == code && found.1 == words && found.2.contains(help)), "{found:#?}");
    }
}

#[test]
fn a_repo_that_is_right_becomes_the_catalog() {
    let loaded = world().load();
    assert_eq!(loaded.diagnostics, []);
    let catalog = loaded.catalog.unwrap();
    let control = &catalog.controls[&ControlId::from("ROT-01")];
    assert_eq!((control.evidence_ttl.as_seconds(), control.requires.len(), control.applies_where.len()), (26 * 3_600, 1, 1));
    assert_eq!(control.events["cloudtrail"], ["CreateAccessKey"]);
    let credential = &catalog.credentials[&CredentialId::from("session")];
    assert_eq!((credential.secret.region.as_str(), credential.policy.attempts, credential.consumers.len()), (".", 5, 2));
    assert_eq!((catalog.settings.tiers.len(), catalog.settings.default_tier.as_str()), (3, "standard"));
    assert_eq!(catalog.policies.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["policies/guards.cedar", RULES_PATH]);
    assert_eq!(catalog.exceptions.len(), 1);
}

#[test]
fn a_missing_settings_or_schema_file_is_one_complaint() {
    world().without("slm.toml").says("slm::missing-file", "", "slm init");
    world().without(rules::SCHEMA).says("slm::missing-file", "", "slm init");
}

#[test]
fn toml_that_does_not_parse_is_pointed_at() {
    let found = world().with(FRAMEWORK_PATH, "name = \"SOC 2\"", "name = = 2").found();
    assert!(found.iter().all(|found| found.0 == "slm::toml-syntax") && !found.is_empty(), "{found:?}");
}

#[test]
fn unknown_keys_are_all_reported_with_the_near_one() {
    let found = world().with(CONTROL_PATH, "owner", "ownr").with(CONTROL_PATH, "definition", "definitoin").found();
    let codes: Vec<_> = found.iter().map(|found| (found.0, found.1.as_str(), found.2.as_str())).collect();
    assert!(codes.contains(&("slm::unknown-key", "ownr", "did you mean `owner`?")), "{codes:?}");
    assert!(codes.contains(&("slm::unknown-key", "definitoin", "did you mean `definition`?")), "{codes:?}");
    world().with(CREDENTIAL_PATH, "mode =", "moed =").says("slm::unknown-key", "moed", "did you mean `mode`?");
    world().with("slm.toml", "regions", "region").mentions("slm::unknown-key", "region", "did you mean `regions`?");
}

#[test]
fn missing_keys_are_reported_with_what_they_are() {
    for (line, help) in [
        ("owner = \"platform\"\n", "`owner`: Who answers for it"),
        ("collect-every = \"1d\"\n", "`collect-every`"),
        ("evidence-ttl = \"26h\"\n", "`evidence-ttl`"),
    ] {
        world().with(CONTROL_PATH, line, "").says("slm::missing-key", "", help);
    }
    world().with(CONTROL_PATH, "definition = \"all keys\"\n", "").says("slm::missing-key", "population", "`definition`");
    let population =
        "[population]\nentities = [\"Aws::AccessKey\"]\ndefinition = \"all keys\"\n[population.where]\nactive = true\n";
    world().with(CONTROL_PATH, population, "").says("slm::missing-key", "", "`population`");
}

#[test]
fn values_of_the_wrong_kind_are_pointed_at() {
    world().with(CONTROL_PATH, "\"high\"", "\"hihg\"").says("slm::bad-value", "\"hihg\"", "did you mean `high`?");
    world().with(CONTROL_PATH, "\"26h\"", "\"26 hours\"").says("slm::bad-value", "\"26 hours\"", "");
    world().with(EXCEPTION_PATH, "\"2026-03-01T00:00:00Z\"", "\"soon\"").says("slm::bad-value", "\"soon\"", "");
}

#[test]
fn ids_are_stems_and_unique() {
    world().file("controls/other/ROT-01.toml", CONTROL).says("slm::duplicate-id", "\"ROT-01\"", "");
    let text = FRAMEWORK.replace("\"soc2\"", "\"soc-2\"");
    world().file(FRAMEWORK_PATH, &text).mentions("slm::id-is-not-stem", "\"soc-2\"", "soc-2.toml");
    world().file(FRAMEWORK_PATH, &format!("{FRAMEWORK}[[criterion]]\nid = \"CC6.1\"\ntitle = \"x\"\n")).says(
        "slm::duplicate-id",
        "\"CC6.1\"",
        "",
    );
    world().with(CREDENTIAL_PATH, "id = \"ci\"", "id = \"app\"").says("slm::duplicate-id", "\"app\"", "");
}

#[test]
fn criteria_exist() {
    world().with(CONTROL_PATH, "soc2 =", "soc =").says("slm::unknown-framework", "soc", "did you mean `soc2`?");
    world().with(CONTROL_PATH, "CC6.1", "CC6.11").says("slm::unknown-criterion", "\"CC6.11\"", "did you mean `CC6.1`?");
}

#[test]
fn controls_can_be_met() {
    world().with(CONTROL_PATH, "26h", "23h").says("slm::unmeetable-freshness", "\"23h\"", "`1d`");
    world().with(CONTROL_PATH, "\"platform\"", "\" \"").says("slm::missing-owner", "\" \"", "");
    world().with(CONTROL_PATH, "[\"Aws::AccessKey\"]", "[]").says("slm::empty-population", "[]", "Aws::Secret");
    world().with(CONTROL_PATH, "Keys are young", &"x".repeat(61)).mentions(
        "slm::long-title",
        &format!("\"{}\"", "x".repeat(61)),
        "",
    );
}

#[test]
fn controls_and_rules_belong_together() {
    world().without(RULES_PATH).says("slm::control-without-rule", "\"ROT-01\"", "permit");
    let rule = RULES.trim_start_matches("// Keys are young\n").trim_end();
    world().without(CONTROL_PATH).without(EXCEPTION_PATH).with(CREDENTIAL_PATH, "\"ROT-01\"", "").says(
        "slm::rule-without-control",
        rule,
        "ROT-01.toml",
    );
    world().with(RULES_PATH, "@id(\"ROT-01\")\n", "").mentions(
        "slm::policy-without-id",
        &rule.replace("@id(\"ROT-01\")\n", ""),
        "@id",
    );
    world().file("policies/zz.cedar", RULES).says("slm::duplicate-rule", rule, "");
    let open = "@id(\"x\")\nforbid (principal, action, resource);";
    world().file("policies/zz.cedar", open).says("slm::policy-without-action", open, "Slm::Action");
}

#[test]
fn an_unreadable_control_does_not_orphan_its_rule() {
    let found = world().with(CONTROL_PATH, "id = ", "id == ").found();
    assert!(found.iter().all(|found| found.0 == "slm::toml-syntax"), "{found:?}");
}

#[test]
fn cedar_that_does_not_parse_is_pointed_at() {
    let found = world().with(RULES_PATH, "resource has created &&", "resource has created & &").found();
    assert!(found.iter().any(|found| found.0 == "slm::cedar-syntax" && found.1.starts_with('&')), "{found:?}");
    let found = world().with(rules::SCHEMA, "entity Collector;", "entity Collector").found();
    assert!(found.iter().any(|found| found.0 == "slm::cedar-schema" && !found.1.is_empty()), "{found:?}");
    let template = "@id(\"t\")\npermit (principal == ?principal, action, resource);";
    world().file("policies/zz.cedar", template).says("slm::cedar-template", template, "slot");
}

#[test]
fn strict_validation_is_pointed_at() {
    world().with(RULES_PATH, "resource has created &&\n", "").mentions("slm::cedar-type", "resource.created", "");
    world().with(RULES_PATH, "resource.created <= context.now &&", "resource.creatd <= context.now &&").mentions(
        "slm::cedar-type",
        "resource.creatd",
        "did you mean",
    );
    let found = world().with(RULES_PATH, "resource is Aws::AccessKey", "resource is Slm::Collector").found();
    assert!(found.iter().any(|found| found.0 == "slm::cedar-warning"), "{found:?}");
}

#[test]
fn validation_names_the_rule_and_not_its_position() {
    let loaded = world().with(RULES_PATH, "resource has created &&\n", "").load();
    assert!(loaded.diagnostics.iter().all(|found| !found.message.contains("policy0")), "{:?}", loaded.diagnostics);
}

#[test]
fn populations_and_attributes_are_in_the_schema() {
    world().with(CONTROL_PATH, "[\"created\"]", "[\"craeted\"]").says(
        "slm::unknown-attribute",
        "\"craeted\"",
        "did you mean `created`?",
    );
    world().with(CONTROL_PATH, "active = true", "actve = true").says("slm::unknown-attribute", "actve", "did you mean `active`?");
    world().with(CONTROL_PATH, "Aws::AccessKey", "Aws::AcessKey").says(
        "slm::unknown-entity",
        "\"Aws::AcessKey\"",
        "did you mean `Aws::AccessKey`?",
    );
    world().with(CONTROL_PATH, "[\"Aws::AccessKey\"]", "[\"Aws::AccessKey\", \"Slm::Collector\"]").mentions(
        "slm::entity-not-judged",
        "\"Slm::Collector\"",
        "appliesTo",
    );
    world().with(rules::SCHEMA, "action \"ROT-01\"", "action \"ROT-02\"").mentions(
        "slm::unknown-action",
        "\"ROT-01\"",
        rules::SCHEMA,
    );
}

#[test]
fn deep_nesting_is_a_complaint_and_not_the_end() {
    let (open, close) = ("[".repeat(20_000), "]".repeat(20_000));
    let found = world().with(CONTROL_PATH, "[\"Aws::AccessKey\"]", &format!("{open}{close}")).found();
    assert!(!found.is_empty());
    for (left, right) in [("(", ")"), ("[", "]"), ("!(", ")"), ("if true then true else ", ""), ("true && ", "")] {
        let body = format!("{} true {}", left.repeat(3_000), right.repeat(3_000));
        let rule = format!("@id(\"x\")\nforbid (principal, action == Slm::Action::\"rotate\", resource) when {{ {body} }};");
        let loaded = world().file("policies/zz.cedar", &rule).load();
        assert_eq!(loaded.diagnostics.iter().map(|found| found.code).collect::<Vec<_>>(), ["slm::too-deep"], "{left}");
    }
}

#[test]
fn the_heaviest_policies_that_are_read_are_still_validated() {
    let brackets = format!("{}1 + true{}", "[".repeat(15), "]".repeat(15));
    let operators = format!("{}true", "1 + ".repeat(66));
    let mixed = format!("{}{}true{}", "1 + (".repeat(8), "1 + ".repeat(28), ")".repeat(8));
    for wrong in [format!("{brackets} == []"), format!("{operators} == 1"), format!("{mixed} == 1")] {
        let rule = format!("@id(\"x\")\nforbid (principal, action == Slm::Action::\"rotate\", resource) when {{ {wrong} }};");
        let found = world().file("policies/zz.cedar", &rule).found();
        assert!(found.iter().any(|found| found.0 == "slm::cedar-type"), "{wrong} {found:?}");
    }
}

#[test]
fn traps_with_instants_are_pointed_at() {
    world().with(RULES_PATH, "resource.created <= context.now && ", "").says(
        "slm::future-passes",
        "durationSince(resource.created)",
        "resource.created <= context.now",
    );
    world().with(RULES_PATH, ") <= duration(\"90d\")", ").toDays() <= 90").says(
        "slm::truncating-duration",
        "toDays(",
        "duration(\"90d\")",
    );
}

#[test]
fn settings_and_sources_are_in_range() {
    world().with("slm.toml", "123456789012", "1234").says("slm::bad-account", "\"1234\"", "twelve");
    world().with("slm.toml", "[\"eu-west-1\"]", "[]").says("slm::no-regions", "[]", "regions");
    world().with("slm.toml", "github = { org = \"acme\", token-env = \"TOKEN\" }\n", "").mentions(
        "slm::not-one-kind",
        "org",
        "exactly one",
    );
    let owned = |owner: &str| world().with("slm.toml", "[source.prod]", &format!("owner = \"{owner}\"\n[source.prod]"));
    for owner in ["", "acme/a b", "acme/ü"] {
        owned(owner).says("slm::bad-owner", &format!("\"{owner}\""), "which a tag of AWS takes");
    }
    assert_eq!(owned("acme/security:prod").load().catalog.unwrap().settings.owner.as_deref(), Some("acme/security:prod"));
    world().with("slm.toml", "[source.prod]", "[limits]\nrotate-percent = 101\n[source.prod]").says("slm::bad-limit", "101", "");
    for key in ["window = \"0s\"", "max-commits = 0"] {
        let git = format!("[source.here]\ngit = {{ path = \".\", {key} }}\n[source.prod]");
        let value = key.rsplit(' ').next().unwrap();
        world().with("slm.toml", "[source.prod]", &git).says("slm::bad-limit", value, "");
    }
    world().with("slm.toml", "[source.prod]", "[limits]\nconcurrency = 0\n[source.prod]").says("slm::bad-limit", "0", "");
    world().with("slm.toml", "[source.prod]", "[tiers]\ndefault = \"standrd\"\n[source.prod]").says(
        "slm::unknown-tier",
        "\"standrd\"",
        "did you mean `standard`?",
    );
}

#[test]
fn an_organisation_is_logged_in_to_in_one_way_and_names_its_own_repositories() {
    let app = "app = { id = 1, installation = 2, key-env = \"KEY\" }";
    let token = "token-env = \"TOKEN\"";
    assert_eq!(world().with("slm.toml", token, app).found(), []);
    world().with("slm.toml", &format!(", {token}"), "").says("slm::not-one-kind", "github", "`token-env` or `app`");
    world().with("slm.toml", token, &format!("{token}, {app}")).says("slm::not-one-kind", "github", "exactly one");
    let critical = |repo: &str| world().with("slm.toml", token, &format!("{token}, critical-repos = [\"{repo}\"]"));
    assert_eq!(critical("Acme/app").found(), []);
    for foreign in ["app", "other/app", "acme/", "acme/a/b"] {
        critical(foreign).says("slm::bad-repo", &format!("\"{foreign}\""), "write `acme/NAME`");
    }
    let public = format!("{token}, approved = {{ public-repos = [\"other/app\"] }}");
    world().with("slm.toml", token, &public).says("slm::bad-repo", "\"other/app\"", "write `acme/NAME`");
}

#[test]
fn a_secret_has_one_owner_and_a_store() {
    let alone = CREDENTIAL.split("[[consumer]]").next().unwrap();
    world().file("credentials/two.toml", alone).says("slm::secret-owned-twice", "\"app/session-key\"", "one owner");
    world().with(CREDENTIAL_PATH, "\"local\"", "\"locl\"").says("slm::unknown-source", "\"locl\"", "did you mean `local`?");
    world().with(CREDENTIAL_PATH, "\"local\"", "\"org\"").says("slm::cannot-store-secrets", "\"org\"", "vault");
    world().with(CREDENTIAL_PATH, "\"local\"", "\"prod\"").says("slm::missing-region", "secret", "eu-west-1");
    world().with(CREDENTIAL_PATH, "\"local\"", "\"local\"\nregion = \"x\"").says("slm::needless-region", "\"x\"", "delete");
    world().with(CREDENTIAL_PATH, "\"local\"", "\"prod\"\nregion = \"eu-west-2\"").says(
        "slm::unknown-region",
        "\"eu-west-2\"",
        "`eu-west-1`",
    );
    world().with(CREDENTIAL_PATH, "\"ROT-01\"", "\"ROT-1\"").says("slm::unknown-control", "\"ROT-1\"", "did you mean `ROT-01`?");
    world().with(CREDENTIAL_PATH, "\"platform\"", "\"\"").says("slm::missing-owner", "\"\"", "");
    world().with(CREDENTIAL_PATH, "\"app/session-key\"", "\"\"").says("slm::bad-secret-name", "\"\"", "");
}

#[test]
fn rotation_policies_can_be_followed() {
    world().with(CREDENTIAL_PATH, "\"2d\"", "\"30d\"").says("slm::jitter-too-long", "\"30d\"", "");
    world().with(CREDENTIAL_PATH, "length = 40", "length = 15").says("slm::short-secret", "15", "16");
    world().with(CREDENTIAL_PATH, "random = { length = 40, alphabet = \"alnum\" }\n", "").says(
        "slm::not-one-kind",
        "rotator",
        "`random`",
    );
    world().with(CREDENTIAL_PATH, "jitter = \"2d\"", "attempts = 0").says("slm::bad-limit", "0", "");
}

fn rotated(by: &str) -> World {
    world().with(CREDENTIAL_PATH, "random = { length = 40, alphabet = \"alnum\" }\n", by)
}

#[test]
fn a_deploy_key_belongs_to_a_repository_of_a_github_source() {
    let key = |source: &str, repo: &str| rotated(&format!("github-deploy-key = {{ source = \"{source}\", repo = \"{repo}\" }}\n"));
    assert_eq!(key("org", "acme/infra").found(), []);
    for repo in ["acme", "acme/", "acme/in fra", "acme/a/b", "../x"] {
        key("org", repo).says("slm::bad-repo", &format!("\"{repo}\""), "owner/name");
    }
    key("local", "acme/infra").says("slm::wrong-source-kind", "\"local\"", "github");
    key("orgs", "acme/infra").says("slm::unknown-source", "\"orgs\"", "`org`");
}

#[test]
fn a_program_can_do_what_it_says() {
    let program = |caps: &str| rotated(&format!("exec = {{ command = [\"./p\"], caps = {{ {caps} }} }}\n"));
    for caps in [
        "issuer = \"client\", overlap = \"dual\", delete = true",
        "issuer = \"server\", overlap = \"dual\", max = 3, delete = true, disable = true, reread = true",
    ] {
        assert_eq!(program(caps).found(), [], "{caps}");
    }
    for caps in [
        "issuer = \"server\", overlap = \"single\"",
        "issuer = \"server\", overlap = \"dual\", disable = true",
        "issuer = \"client\", overlap = \"dual\"",
        "issuer = \"client\", overlap = \"dual\", delete = true, reread = true",
        "issuer = \"client\", overlap = \"dual\", delete = true, max = 1",
    ] {
        assert!(program(caps).found().iter().any(|found| found.0 == "slm::bad-capabilities"), "{caps}");
    }
    let good = program("issuer = \"client\", overlap = \"dual\", delete = true");
    good.with(CREDENTIAL_PATH, "[\"./p\"]", "[]").says("slm::empty-command", "[]", "program");
}

#[test]
fn exceptions_are_approved_short_and_for_a_control() {
    world().with(EXCEPTION_PATH, "ROT-01", "ROT-10").says("slm::unknown-control", "\"ROT-10\"", "did you mean `ROT-01`?");
    world().with(EXCEPTION_PATH, "\"two\"", "\"One\"").says("slm::self-approved", "\"One\"", "another");
    world().with(EXCEPTION_PATH, "\"two\"", "\"\"").says("slm::unapproved", "\"\"", "person");
    world().with(EXCEPTION_PATH, "2026-03-01", "2026-01-31").says("slm::expired-exception", "\"2026-01-31T00:00:00Z\"", "delete");
    world().with(EXCEPTION_PATH, "2026-03-01", "2026-04-02").says(
        "slm::exception-too-long",
        "\"2026-04-02T00:00:00Z\"",
        "2026-04-01",
    );
    world().with(EXCEPTION_PATH, "2026-03-01", "2025-12-31").mentions(
        "slm::expires-before-approved",
        "\"2025-12-31T00:00:00Z\"",
        "",
    );
}

#[test]
fn names_with_control_characters_stay_on_one_line() {
    let loaded = world().with(CREDENTIAL_PATH, "\"ROT-01\"", r#""ROT\n\u001b[31m""#).load();
    assert_eq!(loaded.diagnostics[0].message, r"unknown control `ROT\n\u{1b}[31m`");
}

#[test]
fn everything_wrong_is_reported_at_once_and_sorted() {
    let loaded =
        world().with(CONTROL_PATH, "26h", "1h").with(CREDENTIAL_PATH, "\"2d\"", "\"40d\"").with("slm.toml", "1234567", "x").load();
    let codes: Vec<_> = loaded.diagnostics.iter().map(|found| found.code).collect();
    assert_eq!(codes, ["slm::unmeetable-freshness", "slm::jitter-too-long", "slm::bad-account"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_gives_complaints_or_a_catalog(
        which in 0_usize..8,
        cut in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), "[ -~\\n\"\\[\\]={}é;@|&]{0,6}"), 0..4),
        lines in prop::collection::vec("[a-z.-]{1,9} = ([0-9]{1,3}|\"[A-Za-z0-9.: é-]{0,9}\"|\\[\\]|\\{\\}|true)|\\[{1,2}[a-z.]{1,9}\\]{1,2}", 0..3),
        truncate in any::<bool>(),
    ) {
        let mut world = world();
        let text = world.0.0.values_mut().nth(which).unwrap();
        let mut characters: Vec<char> = text.chars().collect();
        if truncate {
            characters.truncate(cut.index(characters.len()));
        }
        for (at, new) in edits {
            let at = at.index(characters.len().max(1));
            let end = (at + 1).min(characters.len());
            characters.splice(at.min(end)..end, new.chars());
        }
        *text = characters.into_iter().chain(lines.iter().flat_map(|line| "\n".chars().chain(line.chars()))).collect();
        let loaded = world.load();
        prop_assert!(loaded.catalog.is_some() != loaded.diagnostics.iter().any(|found| found.severity == Severity::Error));
        for found in &loaded.diagnostics {
            prop_assert!(!found.message.contains('\n'));
            if let Some(text) = world.0.0.get(&found.place.file) {
                prop_assert!(text.get(found.place.span.clone()).is_some(), "{found:?}");
            }
        }
    }
}

/// Loads with `attributes` of access keys observed; everything it complains about, with the words pointed at.
fn against(world: &World, attributes: &[&'static str]) -> Vec<(&'static str, String, String)> {
    let observed = Observed::from([("Aws::AccessKey", attributes.iter().copied().collect())]);
    let loaded = load_against(&world.0, "2026-02-01T00:00:00Z".parse().unwrap(), Some(&observed));
    assert!(loaded.catalog.is_some(), "the repo can be used all the same");
    let words = |place: &Place| self::words(world, place);
    loaded.diagnostics.iter().map(|found| (found.code, words(&found.place), found.help.clone().unwrap_or_default())).collect()
}

fn words(world: &World, place: &Place) -> String {
    let at = &world.0.0[&place.file][place.span.clone()];
    format!("{}:{at}", place.file.rsplit('/').next().unwrap())
}

#[test]
fn what_nothing_observes_is_pointed_at_where_it_is_read() {
    assert_eq!(against(&world(), &["active", "created"]), []);
    let unobserved = "slm::unobserved-attribute";
    let found = against(&world(), &["active"]);
    assert_eq!(found, [(unobserved, "rot.cedar:created".to_owned(), "say in `needs` of the control what is missing".to_owned())]);
    let found = against(&world(), &["actives", "created"]);
    assert_eq!(found, [(unobserved, "ROT-01.toml:active".to_owned(), "did you mean `actives`?".to_owned())]);
    assert_eq!(against(&world(), &[]).len(), 2);
    // The rule is for access keys alone; that roles have a date is asked by the control.
    let schema = "entity AccessKey = { \"active\"?: Bool, \"created\"?: datetime };";
    let both = world()
        .with(rules::SCHEMA, schema, &format!("{schema}\n  entity Role = {{ \"created\"?: datetime }};"))
        .with(rules::SCHEMA, "resource: [Aws::AccessKey], context: { now", "resource: [Aws::AccessKey, Aws::Role], context: { now")
        .with(CONTROL_PATH, "[\"Aws::AccessKey\"]", "[\"Aws::AccessKey\", \"Aws::Role\"]")
        .with(CONTROL_PATH, "[population.where]\nactive = true\n", "");
    let found = against(&both, &["created"]);
    assert_eq!(
        found.iter().map(|(code, words, _)| (*code, words.as_str())).collect::<Vec<_>>(),
        [(unobserved, "ROT-01.toml:\"created\"")]
    );
}

#[test]
fn a_control_says_what_it_needs_as_long_as_it_does() {
    let needy = || world().with(CONTROL_PATH, "artefact", "needs = \"a collector\"\nartefact");
    assert_eq!(against(&needy(), &["created"]), []);
    let found = against(&needy(), &["active", "created"]);
    assert_eq!(found, [("slm::needless-needs", "ROT-01.toml:\"a collector\"".to_owned(), "delete `needs`".to_owned())]);
    assert_eq!(needy().found(), [], "without a table nothing is said");
}
