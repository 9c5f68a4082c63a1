//! What is exported of the evidence in the forms of others: OSCAL, SARIF, OCSF, and samples.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;

use crate::bundle::{bundle, by_hand, files};
use crate::support::World;

#[test]
fn where_nothing_is_open_oscal_sarif_and_ocsf_have_nothing_to_tell() {
    let world = World::scaffolded();
    world.slm(&["apply", "--auto-approve"]).exits(0);
    let out = world.outside("oscal");
    // From an export before, when something was.
    fs::create_dir(&out).unwrap();
    fs::write(out.join("plan-of-action-and-milestones.json"), "{}").unwrap();
    world.slm(&["export", "oscal", "--out", out.to_str().unwrap()]).exits(0).says("assessment-results.json");
    let results: Json = serde_json::from_slice(&fs::read(out.join("assessment-results.json")).unwrap()).unwrap();
    let runs = results["assessment-results"]["results"].as_array().unwrap();
    assert_eq!(runs.len(), 1, "one result a run");
    let findings = runs[0]["findings"].as_array().unwrap();
    let of = |id: &str| findings.iter().find(|one| one["target"]["target-id"] == id).unwrap()["target"]["status"]["state"].clone();
    assert_eq!(of("ROT-01"), "satisfied");
    assert!(!out.join("plan-of-action-and-milestones.json").exists(), "nothing is open");
    let again = world.outside("again");
    world.slm(&["export", "oscal", "--out", again.to_str().unwrap()]).exits(0);
    assert!(fs::read(out.join("assessment-results.json")).unwrap() == fs::read(again.join("assessment-results.json")).unwrap());
    let sarif = world.outside("x.sarif");
    world.slm(&["export", "sarif", "--out", sarif.to_str().unwrap()]).exits(0);
    let sarif: Json = serde_json::from_slice(&fs::read(sarif).unwrap()).unwrap();
    assert_eq!((&sarif["version"], sarif["runs"][0]["results"].as_array().unwrap().len()), (&serde_json::json!("2.1.0"), 0));
    let ocsf = world.outside("x.jsonl");
    world.slm(&["export", "ocsf", "--out", ocsf.to_str().unwrap()]).exits(0);
    assert_eq!(fs::read_to_string(ocsf).unwrap(), "");
}

/// The path of a program that `scripts/emulators.sh install` has brought.
fn installed(name: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/emulators.sh");
    let path = Command::new(script).args(["path", name]).output().unwrap();
    assert!(path.status.success(), "{name} is not installed: run `scripts/emulators.sh install`");
    String::from_utf8(path.stdout).unwrap().trim().to_owned()
}

/// A config repo whose second run found that its secret is older than it may be by then: it may be of no age at all.
fn with_something_open() -> World {
    let world = World::scaffolded();
    world.slm(&["apply", "--auto-approve"]).exits(0);
    world.edit("slm.toml", "standard = \"60d\"", "standard = \"1h\"");
    world.commit();
    let ran = world.slm(&["apply", "--auto-approve"]);
    assert!(ran.out.contains("Recorded as"), "{}{}", ran.out, ran.err);
    world
}

/// Declares a second control with the rule of ROT-02, a title of two lines, and an id that other programs take for something else.
fn odd_control(world: &World, id: &str) {
    let (control, rules) = (world.read("controls/rot/ROT-02.toml"), world.read("policies/rot.cedar"));
    let control = control.replace("id = \"ROT-02\"", &format!("id = \"{id}\"")).replace("title = \"Every", "title = \"One\\nEvery");
    world.write(&format!("controls/rot/{id}.toml"), &control);
    world.write("policies/more.cedar", &rules[rules.find("@id(\"ROT-02").unwrap()..].replace("ROT-02", id));
    world.edit("policies/schema.cedarschema", "action \"ROT-02\"", &format!("action \"ROT-02\", \"{id}\""));
}

#[test]
fn a_sample_of_a_control_whose_id_has_signs_in_it_is_checked_by_its_page_and_its_bundle_by_slm() {
    let world = World::scaffolded();
    odd_control(&world, "it's 2 \u{dc}#1");
    world.commit();
    world.slm(&["apply", "--auto-approve"]).exits(0);
    let folder = world.outside("odd");
    let sample = ["sample", "--control", "it's 2 \u{dc}#1", "--n", "2", "--nonce", "it's blue", "--out"];
    world.slm(&[&sample[..], &[folder.to_str().unwrap()]].concat()).exits(0).says("Drew 1 of 1 for it's 2");
    let page = fs::read_to_string(folder.join("README.md")).unwrap();
    let (held, said) = by_hand(&folder, &page, "");
    assert!(held && !said.contains("not so"), "{said}");
    for line in ["the seed is right", "the draw is right", "every proof was climbed"] {
        assert!(said.contains(line), "`{line}` is not in {said}");
    }
    let all = files(&bundle(&world, "odd.zip"));
    assert!(all.contains_key("controls/it's 2 \u{dc}#1/index.html"), "{:?}", all.keys());
}

#[test]
fn trestle_accepts_what_is_exported_as_oscal() {
    let trestle = installed("trestle");
    let world = with_something_open();
    // A control whose id is no token, and whose title has two lines; and days that it was not there.
    odd_control(&world, "2 \u{dc}#1");
    world.commit();
    world.slm(&["apply", "--auto-approve"]).says("Recorded as");
    let out = world.outside("oscal");
    world.slm(&["export", "oscal", "--out", out.to_str().unwrap()]).exits(0).says("plan-of-action-and-milestones.json");
    let workspace = world.outside("workspace");
    fs::create_dir(&workspace).unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(&trestle).args(arguments).current_dir(&workspace).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), said)
    };
    let (made, said) = run(&["init"]);
    assert!(made, "{said}");
    let models = [
        ("assessment-plans", "assessment-plan"),
        ("assessment-results", "assessment-results"),
        ("plan-of-action-and-milestones", "plan-of-action-and-milestones"),
    ];
    for (folder, model) in models {
        let folder = workspace.join(folder).join("it");
        fs::create_dir_all(&folder).unwrap();
        fs::copy(out.join(format!("{model}.json")), folder.join(format!("{model}.json"))).unwrap();
    }
    let (valid, said) = run(&["validate", "-a"]);
    assert!(valid && said.matches("VALID: Model ").count() == models.len() && !said.contains("INVALID"), "{said}");
}

/// What `export` wrote of `verb`.
fn exported(world: &World, verb: &str, name: &str) -> PathBuf {
    let out = world.outside(name);
    world.slm(&["export", verb, "--out", out.to_str().unwrap()]).exits(0);
    out
}

/// Control and subject of what is open in the plan of action, in SARIF and in OCSF.
fn open_in_each(world: &World, name: &str) -> [BTreeSet<(String, String)>; 3] {
    let text = |value: &Json| value.as_str().unwrap().to_owned();
    let actions = exported(world, "oscal", &format!("{name}-oscal")).join("plan-of-action-and-milestones.json");
    let actions: Json = serde_json::from_slice(&fs::read(actions).unwrap()).unwrap();
    let items = actions["plan-of-action-and-milestones"]["poam-items"].as_array().unwrap();
    let item = |one: &Json| {
        let (control, subject) = (text(&one["title"]), text(&one["description"]));
        (control.split(':').next().unwrap().to_owned(), subject.split(" does not meet ").next().unwrap().to_owned())
    };
    let sarif = exported(world, "sarif", &format!("{name}.sarif"));
    let sarif: Json = serde_json::from_slice(&fs::read(sarif).unwrap()).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let failing = results.iter().filter(|one| one["kind"] == "fail" && one["suppressions"].is_null());
    let failed = |one: &Json| (text(&one["ruleId"]), text(&one["locations"][0]["logicalLocations"][0]["fullyQualifiedName"]));
    let ocsf = fs::read_to_string(exported(world, "ocsf", &format!("{name}.jsonl"))).unwrap();
    let mut findings = BTreeMap::new();
    for line in ocsf.lines() {
        let one: Json = serde_json::from_str(line).unwrap();
        let what = (text(&one["compliance"]["control"]), text(&one["resources"][0]["uid"]));
        match one["activity_id"].as_u64().unwrap() {
            1 => drop(findings.insert(text(&one["finding_info"]["uid"]), what)),
            _ => drop(findings.remove(one["finding_info"]["uid"].as_str().unwrap())),
        }
    }
    [items.iter().map(item).collect(), failing.map(failed).collect(), findings.into_values().collect()]
}

#[test]
fn oscal_sarif_and_ocsf_say_the_same_of_what_is_open_also_when_nobody_can_look_any_more() {
    let world = with_something_open();
    let [actions, sarif, ocsf] = open_in_each(&world, "seen");
    assert_eq!((&actions, &actions), (&sarif, &ocsf));
    let controls: BTreeSet<&str> = actions.iter().map(|(control, _)| control.as_str()).collect();
    assert_eq!(controls, BTreeSet::from(["ROT-01"]), "{actions:?}");

    let (identity, away) = (world.outside("slm.age-identity"), world.outside("away"));
    fs::rename(&identity, &away).unwrap();
    let ran = world.slm(&["apply", "--auto-approve"]);
    assert!(ran.out.contains("Recorded as"), "{}{}", ran.out, ran.err);
    assert_eq!(open_in_each(&world, "unseen"), [actions.clone(), actions.clone(), actions.clone()]);
    let said = world.slm(&["report", "period", "--format", "json"]).exits(3).json();
    let told = said["deviations"].as_array().unwrap();
    assert!(told.iter().all(|one| one["ending"] == "open" && one["fixed"].is_null() && one["unseen"].is_string()), "{told:?}");

    fs::rename(&away, &identity).unwrap();
    let ran = world.slm(&["apply", "--auto-approve"]);
    assert!(ran.out.contains("Recorded as"), "{}{}", ran.out, ran.err);
    let said = world.slm(&["report", "period", "--format", "json"]).json();
    let again = said["deviations"].as_array().unwrap();
    let places = |all: &[Json]| all.iter().map(|one| (one["subject"].clone(), one["detected"].clone())).collect::<Vec<_>>();
    assert_eq!(places(again), places(told), "they are the same, and not others");
}

#[test]
fn what_is_open_leads_to_the_file_of_its_control_and_is_one_finding_that_fails() {
    let world = with_something_open();
    let sarif: Json = serde_json::from_slice(&fs::read(exported(&world, "sarif", "x.sarif")).unwrap()).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let failing: Vec<_> = results.iter().filter(|one| one["ruleId"] == "ROT-01" && one["kind"] == "fail").collect();
    assert_eq!(failing.len(), 1, "{sarif}");
    assert_eq!(failing[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "controls/rot/ROT-01.toml");
    let ocsf = fs::read_to_string(exported(&world, "ocsf", "x.jsonl")).unwrap();
    let findings: Vec<Json> = ocsf.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of: Vec<_> = findings.iter().filter(|one| one["compliance"]["control"] == "ROT-01").collect();
    assert_eq!(
        (of.len(), &of[0]["type_uid"], &of[0]["compliance"]["status"]),
        (1, &serde_json::json!(200_301), &serde_json::json!("Fail"))
    );
}

#[test]
fn a_manual_criterion_is_manual_in_status_and_period_until_another_person_signed_it() {
    let world = World::scaffolded();
    let soc2 = "controls/frameworks/soc2.toml";
    world.write(soc2, &(world.read(soc2) + "\n[[criterion]]\nid = \"CC1.1\"\ntitle = \"Integrity and ethics\"\nmanual = true\n"));
    world.commit();
    world.slm(&["apply", "--auto-approve"]).exits(0);
    world.slm(&["status"]).exits(0).says("soc2 CC1.1: 0 of 0 controls compliant; manual, not signed");
    world.slm(&["report", "period", "--framework", "soc2"]).says("soc2:CC1.1 Integrity and ethics  manual, not signed");
    let now = jiff::Timestamp::now();
    let last_year = now.to_zoned_datetime(jiff::tz::TimeZone::UTC).year() - 1;
    let yesterday = (now - jiff::SignedDuration::from_hours(24)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let path = format!("attestations/soc2.CC1.1/{last_year}.toml");
    let text = |approver: &str| {
        format!(
            "statement = \"the code of conduct was signed by all\"\nauthor = \"ada\"\napprover = \"{approver}\"\nsigned = \"{yesterday}\"\n"
        )
    };
    world.write(&path, &text("Ada"));
    world.slm(&["check"]).exits(4).says("slm::self-approved");
    world.write(&path, &text("bo"));
    world.commit();
    world.slm(&["check"]).exits(0).says("1 attestation");
    world.slm(&["status"]).exits(0).says(&format!("; signed for {last_year}-01-01/{last_year}-12-31 by bo"));
    let said = world.slm(&["status", "--format", "json"]).exits(0).json();
    assert_eq!(said["manual"][0]["state"]["for"]["approver"], "bo");
    world.slm(&["apply", "--auto-approve"]).exits(0);
    let signed = format!("soc2:CC1.1 Integrity and ethics  signed for {last_year}-01-01/{last_year}-12-31 by bo");
    world.slm(&["report", "period", "--framework", "soc2"]).says(&signed);
    world.slm(&["report", "period"]).says("soc2  2 criteria, 1 manual, 0 without a control; `--framework soc2` lists them");
}

/// Runs `script` with `arguments` where the published schemas are.
fn by_schema(script: &str, arguments: &[&str]) -> (bool, String) {
    let python = Path::new(&installed("schemas")).with_file_name("python");
    let output = Command::new(python).arg("-c").arg(script).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

#[test]
fn the_published_schema_of_ocsf_accepts_every_finding() {
    let world = with_something_open();
    let out = world.outside("x.jsonl");
    world.slm(&["export", "ocsf", "--out", out.to_str().unwrap()]).exits(0);
    // What a status means is no part of a schema: each word that has a number of its own must have that.
    let script = "import json, sys, jsonschema\nfrom ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema\n\
                  all = get_ocsf_schema('1.3.0')\n\
                  words = all['objects']['compliance']['attributes']['status_id']['enum']\n\
                  words = {int(number): one['caption'] for number, one in words.items()}\n\
                  schema = OcsfJsonSchemaEmbedded(all).get_class_schema('compliance_finding', profiles=[])\n\
                  judge = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())\n\
                  all = [json.loads(line) for line in open(sys.argv[1])]\n\
                  [judge.validate(one) for one in all]\n\
                  for one in (one['compliance'] for one in all):\n    \
                      assert words[one['status_id']] == ('Other' if one['status_id'] == 99 else one['status']), one\n    \
                      assert one['status_id'] != 99 or one['status'] not in words.values(), one\n\
                  print(len(all), 'valid')\n";
    let (valid, said) = by_schema(script, &[out.to_str().unwrap()]);
    assert!(valid && said.contains("1 valid"), "{said}");
    let text = fs::read_to_string(&out).unwrap().replace("\"class_uid\":2003", "\"class_uid\":\"2003\"");
    fs::write(&out, text).unwrap();
    assert!(!by_schema(script, &[out.to_str().unwrap()]).0, "the schema refuses something");
    // Every way in which a finding is made or closed, as a unit test holds them to what is exported.
    let every = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/ocsf/every-ending.jsonl");
    let (valid, said) = by_schema(script, &[every.to_str().unwrap()]);
    assert!(valid && said.contains("5 valid"), "{said}");
    let text = fs::read_to_string(&every)
        .unwrap()
        .replace("\"status\":\"Excepted\",\"status_id\":99", "\"status\":\"Excepted\",\"status_id\":2");
    fs::write(&out, text).unwrap();
    assert!(!by_schema(script, &[out.to_str().unwrap()]).0, "a warning is something else");
}

#[test]
fn the_published_schema_of_sarif_accepts_what_is_exported() {
    if Command::new("npm").arg("--version").output().is_err() {
        eprintln!("skipped: there is no npm to fetch the schema of SARIF with");
        return;
    }
    let schema = installed("sarif");
    let world = with_something_open();
    // A folder whose name is no part of an address as it stands.
    fs::rename(world.root().join("controls/rot"), world.root().join("controls/my rot")).unwrap();
    world.commit();
    world.slm(&["apply", "--auto-approve"]).says("Recorded as ");
    let out = world.outside("x.sarif");
    world.slm(&["export", "sarif", "--out", out.to_str().unwrap()]).exits(0);
    let script = "import json, sys, jsonschema, rfc3339_validator, rfc3986_validator\nschema = json.load(open(sys.argv[1]))\n\
                  judge = jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker())\n\
                  judge.validate(json.load(open(sys.argv[2])))\nprint('valid')\n";
    let (valid, said) = by_schema(script, &[&schema, out.to_str().unwrap()]);
    assert!(valid && said.contains("valid"), "{said}");
    let text = fs::read_to_string(&out).unwrap();
    assert!(text.contains("controls/my%20rot/ROT-01.toml"), "{text}");
    fs::write(&out, text.replace("my%20rot", "my rot")).unwrap();
    let (valid, said) = by_schema(script, &[&schema, out.to_str().unwrap()]);
    assert!(!valid && said.contains("is not a 'uri-reference'"), "{said}");
}
