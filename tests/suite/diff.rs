//! `slm diff` of the built binary on a real git repo with a locker: five edits, by both texts, by what was seen and by what is recorded.

use std::path::Path;

use serde_json::{Value as Json, json};
use slm::host::solver::Solver;
use slm::model::time::{Limit, Timestamp};

use crate::support::{Ran, World};

const RULES: &str = "policies/rot.cedar";
const CONTROL: &str = "controls/rot/ROT-02.toml";

/// A repo with one run whose text is tagged `base`.
fn recorded() -> World {
    let world = World::scaffolded();
    world.slm(&["apply", "--auto-approve"]).exits(0);
    world
}

/// A repo whose commits no solver is asked about.
fn without_solver() -> World {
    recorded().with("SLM_CVC5", "/nonexistent/cvc5")
}

/// True where there is a solver; says so where there is none.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub fn solver_is_here() -> bool {
    let is_here = Solver::find().is_ok();
    if !is_here {
        eprintln!("skipped: there is no cvc5; `scripts/emulators.sh install` as root installs it");
    }
    is_here
}

/// What the last commit means, with `arguments`.
fn last_edit(world: &World, arguments: &[&str]) -> Ran {
    world.commit();
    world.slm(&[&["diff", "HEAD~1..HEAD"], arguments].concat())
}

fn of(ran: &Ran) -> Json {
    ran.json()["difference"].clone()
}

#[test]
fn a_refactored_rule_is_proved_equal_and_is_no_change() {
    if !solver_is_here() {
        return;
    }
    let world = recorded();
    world.edit(
        RULES,
        "resource.declared && resource.owner != \"\"",
        "(if resource.declared then !(resource.owner == \"\") else false)",
    );
    let ran = last_edit(&world, &["--format", "json"]).exits(0);
    let said = of(&ran);
    let control = &said["controls"][0];
    assert_eq!(
        (&control["control"], &control["way"], &control["proof"]["means"]),
        (&json!("ROT-02"), &json!("equal"), &json!("solver"))
    );
    assert_eq!((&said["replay"], &said["consequences"], &said["unseen"]), (&json!(null), &json!(null), &json!([])));
    world
        .slm(&["diff", "HEAD~1..HEAD"])
        .exits(0)
        .says("HEAD~1 to HEAD: 1 control equal")
        .says("proved for everything that the schema allows");
}

#[test]
fn a_looser_and_a_tighter_rule_are_proved_with_an_example_and_recorded_days_are_judged_by_both() {
    if !solver_is_here() {
        return;
    }
    let world = recorded();
    world.edit(RULES, "resource.owner != \"\"", "resource.owner == \"nobody\"");
    let said = of(&last_edit(&world, &["--format", "json"]).exits(2));
    let control = &said["controls"][0];
    assert_eq!((&control["way"], &control["proof"]["newly_allowed"]), (&json!("tighter"), &json!(null)));
    let denied = &control["proof"]["newly_denied"];
    assert!(denied["resource"].as_str().unwrap().starts_with("Vault::Secret::"), "{denied}");
    assert!(denied["facts"].as_array().unwrap().contains(&json!(["declared", "true"])), "{denied}");
    let replay = &said["replay"];
    assert_eq!((&replay["judged"], &replay["days"], &replay["days_without_run"]), (&json!(["ROT-02"]), &json!(1), &json!(89)));
    let flip = &replay["controls"][0]["flips"][0];
    assert_eq!((&flip["before"], &flip["after"]), (&json!("compliant"), &json!("non-compliant")));
    assert_eq!(replay["controls"][0]["days"].as_array().unwrap().len(), 1);

    world.edit(RULES, "resource.owner == \"nobody\"", "true");
    let ran = last_edit(&world, &[])
        .exits(2)
        .says("HEAD~1 to HEAD: 1 control looser; 1 other verdict of the last run; 1 of 1 days read differently");
    ran.says("met now and not before: Vault::Secret::").says("non-compliant -> compliant");
}

#[test]
fn without_a_solver_nothing_is_claimed_and_the_rest_is_told() {
    let world = without_solver();
    world.edit(RULES, "resource.owner != \"\"", "resource.owner == \"nobody\"");
    let ran = last_edit(&world, &[]).exits(2).says("1 control not proved; 1 other verdict of the last run");
    ran.says("rules not proved: SLM_CVC5 names no file by its whole path").says("compliant -> non-compliant");
    // Another form needs no proof.
    world.edit(RULES, "resource.declared && resource.owner", "resource.declared &&\n  // why\n  resource.owner");
    last_edit(&world, &[]).exits(0).says("1 control equal").says("the same policies in another form");
}

#[test]
fn limits_are_compared_as_numbers_and_what_follows_is_planned_by_both() {
    let world = without_solver();
    world.edit("slm.toml", "standard = \"60d\"", "standard = \"365d\"");
    world.edit(CONTROL, "evidence-ttl = \"26h\"", "evidence-ttl = \"25h\"");
    world.edit("credentials/session-key.toml", "rotate-every = \"30d\"", "rotate-every = \"60d\"");
    let said = of(&last_edit(&world, &["--format", "json"]).exits(2));
    let setting = json!([{ "what": "tiers.limits.standard", "before": "60d", "after": "365d", "way": "looser" }]);
    assert_eq!(said["settings"], setting);
    let control = &said["controls"][0];
    assert_eq!(
        (&control["way"], &control["edits"][0]["after"], &control["proof"]),
        (&json!("tighter"), &json!("25h"), &json!(null))
    );
    assert_eq!(
        said["credentials"][0]["edits"][0],
        json!({ "what": "policy.rotate-every", "before": "30d", "after": "60d", "way": "looser" })
    );
    let due = &said["consequences"]["due"][0];
    assert_eq!((&due["credential"], &due["newly_due"]), (&json!("session-key"), &json!(false)));
    assert!(due["before"].as_str().unwrap() < due["after"].as_str().unwrap(), "{due}");
    assert_eq!((&said["consequences"]["steps"], &said["consequences"]["restarts"]), (&json!([]), &json!([])));
    world.slm(&["diff", "HEAD~1..HEAD"]).exits(2).says("1 control tighter; 2 limits looser").says("rotation of session-key due ");
}

#[test]
fn a_guard_that_holds_what_it_permitted_says_so() {
    let world = without_solver();
    world.edit("policies/guards.cedar", "context.share_percent <= 100", "context.share_percent <= 10");
    let ran = last_edit(&world, &[]).exits(2).says("1 guard not proved");
    ran.says("holds now, permitted before: session-key at shares of 25 to 100 %, which the last plan had, by guard-rotate");
    let ran = world.slm(&["diff", "HEAD..HEAD~1"]).exits(2);
    ran.says("permits now, held before: session-key at shares of 25 to 100 %, which the last plan had, by guard-rotate");
}

#[test]
fn a_new_control_and_its_removal_are_told_with_the_criteria_they_serve() {
    let world = without_solver();
    let new = world.read(CONTROL).replace("ROT-02", "ROT-09");
    world.write("controls/rot/ROT-09.toml", &new);
    let rule = "@id(\"ROT-09\")\npermit (\n  principal is Slm::Collector,\n  action == Control::Action::\"ROT-09\",\n  resource\n) when {\n  resource has declared && resource has owner && resource.declared && resource.owner == \"nobody\"\n};\n";
    world.write(RULES, &format!("{}\n{rule}", world.read(RULES)));
    let schema = world.read("policies/schema.cedarschema");
    let action = schema.lines().find(|line| line.contains("action \"ROT-02\"")).unwrap();
    world.edit("policies/schema.cedarschema", action, &format!("{action}\n{}", action.replace("ROT-02", "ROT-09")));
    let said = of(&last_edit(&world, &["--format", "json"]).exits(2));
    let control = &said["controls"][0];
    assert_eq!((&control["control"], &control["fate"], &control["way"]), (&json!("ROT-09"), &json!("added"), &json!("tighter")));
    let flip = &said["replay"]["controls"][0]["flips"][0];
    assert_eq!((&flip["before"], &flip["after"]), (&json!(null), &json!("non-compliant")));
    let ran = world.slm(&["diff", "HEAD..HEAD~1", "--markdown"]).exits(2);
    ran.says("### slm diff\n\n1 control removed; ").says("\n#### Controls\n\n- `ROT-09`  removed  ");
}

#[test]
fn a_new_exception_loosens_its_control_for_one_resource() {
    let world = without_solver();
    let text = "control = \"ROT-02\"\nresource = \"vault:local/app/session-key\"\nreason = \"The vendor has no second user\"\ncompensating = \"watched\"\nticket = \"T-1\"\nrequester = \"ann\"\napprover = \"bob\"\napproved = \"2026-11-20T00:00:00Z\"\nexpires = \"2026-12-20T00:00:00Z\"\n";
    world.write("exceptions/vendor.toml", text);
    // As of a time before the only run: nothing is recorded, and that is said.
    let ran = last_edit(&world, &["--at", "2026-11-24T00:00:00Z", "--format", "json"]);
    let said = of(&ran);
    let one = &said["exceptions"][0];
    assert_eq!((&one["exception"], &one["fate"], &one["way"]), (&json!("vendor"), &json!("added"), &json!("looser")));
    assert_eq!((&said["controls"][0]["way"], &said["controls"][0]["proof"]["means"]), (&json!("looser"), &json!("dates")));
    assert!(ran.json()["summary"].as_str().unwrap().starts_with("1 control looser; 1 exception added"), "{}", ran.out);
}

/// An exception for the key, in force.
fn excepted() -> String {
    let day = |days: i64| Limit::days(days).after(Timestamp::now()).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    format!(
        "control = \"ROT-02\"\nresource = \"vault:local/app/session-key\"\nreason = \"The vendor has no second user\"\n\
         compensating = \"watched\"\nticket = \"T-1\"\nrequester = \"ann\"\napprover = \"bob\"\napproved = \"{}\"\nexpires = \"{}\"\n",
        day(-1),
        day(20)
    )
}

#[test]
fn a_forbid_is_proved_together_with_the_permits_of_exceptions_that_it_takes_back() {
    if !solver_is_here() {
        return;
    }
    let world = recorded();
    let plain = world.read(RULES);
    let forbid = "\n@id(\"ROT-02-nobody\")\nforbid (\n  principal is Slm::Collector,\n  action == Control::Action::\"ROT-02\",\n  \
                  resource\n) when {\n  resource has owner && resource.owner == \"\"\n};\n";
    // What the rule does not permit anyway is not taken back.
    world.write(RULES, &format!("{plain}{forbid}"));
    let said = of(&last_edit(&world, &["--format", "json"]).exits(0));
    let control = &said["controls"][0];
    assert_eq!((&control["way"], &control["proof"]["means"]), (&json!("equal"), &json!("solver")));
    // What an exception permits is.
    world.write(RULES, &plain);
    world.write("exceptions/vendor.toml", &excepted());
    world.commit();
    world.write(RULES, &format!("{plain}{forbid}"));
    let said = of(&last_edit(&world, &["--format", "json"]).exits(2));
    let control = &said["controls"][0];
    assert_eq!((&control["way"], &control["proof"]["means"]), (&json!("tighter"), &json!("solver")));
    let denied = &control["proof"]["newly_denied"];
    assert_eq!(denied["resource"], "Vault::Secret::\"vault:local/app/session-key\"", "{denied:#}");
    assert!(denied["facts"].as_array().unwrap().contains(&json!(["owner", "\"\""])), "{denied:#}");
}

#[test]
fn what_was_not_recorded_is_said_and_has_its_own_exit_code() {
    let world = World::scaffolded().with("SLM_CVC5", "/nonexistent/cvc5");
    world.edit(CONTROL, "evidence-ttl = \"26h\"", "evidence-ttl = \"25h\"");
    let ran = last_edit(&world, &[]).exits(3).says("1 control tighter").says("Not seen\n  nothing was replayed: ");
    assert!(!ran.out.contains("Recorded days"), "{}", ran.out);
    // What means the same would be read the same, recorded or not.
    world.edit(CONTROL, "evidence-ttl = \"25h\"", "evidence-ttl = \"25h\"   # why");
    last_edit(&world, &[]).exits(0).says("nothing of what is compared changed in 1 file");
    world.slm(&["diff", "HEAD..HEAD"]).exits(0).says("HEAD to HEAD: nothing changed");
}

#[test]
fn an_invalid_side_is_named_with_its_problems() {
    let world = World::scaffolded();
    world.edit(CONTROL, "evidence-ttl = \"26h\"", "evidence-ttl = \"often\"");
    let ran = last_edit(&world, &[]).exits(4).says("The config of `HEAD` is invalid.").says("controls/rot/ROT-02.toml");
    assert!(!ran.out.contains("`HEAD~1`"), "{}", ran.out);
    let said = world.slm(&["diff", "HEAD..HEAD~1", "--format", "json"]).exits(4).json();
    assert_eq!((&said["invalid"][0]["side"], said["invalid"].as_array().unwrap().len()), (&json!("HEAD"), 1));
}

#[test]
fn a_base_alone_is_compared_with_the_work_tree_and_three_dots_begin_where_the_branches_parted() {
    let world = without_solver();
    world.edit(CONTROL, "evidence-ttl = \"26h\"", "evidence-ttl = \"25h\"");
    world.slm(&["diff", "HEAD"]).exits(2).says("HEAD to work tree: 1 control tighter");
    let git = |arguments: &[&str]| drop(crate::support::git(&world.root(), arguments));
    git(&["checkout", "-q", "-b", "edit"]);
    world.commit();
    git(&["checkout", "-q", "main"]);
    world.edit("slm.toml", "standard = \"60d\"", "standard = \"365d\"");
    world.commit();
    let two = world.slm(&["diff", "main..edit"]).exits(2).says("1 control tighter; 1 limit tighter");
    assert!(two.out.contains("main to edit"), "{}", two.out);
    let three = world.slm(&["diff", "main...edit"]).exits(2).says("1 control tighter");
    assert!(!three.out.contains("limit"), "{}", three.out);
    world.slm(&["diff", "nothing..edit"]).exits(1).says("nothing");
    world.slm(&["diff", "main..edit", "--at", "yesterday"]).exits(64).says("is no day and no instant");
}

#[test]
fn what_an_edit_writes_cannot_speak_for_slm_in_markdown() {
    let world = without_solver();
    world.edit(CONTROL, "owner = \"security\"", "owner = \"@everyone <img src=x> `x` [a](https://b)\"");
    let ran = last_edit(&world, &["--markdown"]).exits(2);
    ran.says("`security` -> ``@everyone <img src=x> `x` [a](https://b)``");
}

/// A program in place of the solver sees nothing of our environment.
#[test]
fn a_solver_gets_nothing_of_the_environment() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = recorded();
    let (program, seen) = (world.outside("cvc5"), world.outside("seen"));
    std::fs::write(&program, format!("#!/bin/sh\nenv > {}\n", seen.display())).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let world = world.with("SLM_CVC5", program.to_str().unwrap()).with("AWS_SECRET_ACCESS_KEY", "canary");
    world.edit(RULES, "resource.owner != \"\"", "resource.owner == \"nobody\"");
    last_edit(&world, &[]).exits(2).says("1 control not proved");
    let environment = std::fs::read_to_string(seen).unwrap();
    assert!(environment.contains("LC_ALL=C") && !environment.contains("canary") && !environment.contains("HOME"), "{environment}");
}

/// The share of edits to the shipped rules that get a verdict: a number up, a number down, another form. Many minutes in a debug build.
#[test]
fn most_edits_of_the_shipped_rules_are_decided() {
    if !solver_is_here() {
        return;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let schema = std::fs::read_to_string(here.join("policies/schema.cedarschema")).unwrap();
    let (mut all, mut decided, mut undecided) = (0, 0, Vec::new());
    let solver = Solver::find().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for question in edits(here) {
        let (id, way) = (question.0, question.1);
        let proofs = runtime.block_on(solver.prove(&schema, &[question.2]));
        let proof = proofs.into_values().next().unwrap();
        all += 1;
        if proof.way == slm::model::difference::Way::NotProved {
            undecided.push(format!("{id} {way}"));
        } else {
            decided += 1;
        }
        if way == "form" && proof.way != slm::model::difference::Way::NotProved {
            assert_eq!(proof.way, slm::model::difference::Way::Equal, "{id}");
        }
    }
    let share = 100 * decided / all;
    println!(
        r#"{{"figure":"diff.proved_share","value":{share},"unit":"% of {all} edits of the shipped rules","against":"not proved: {}"}}"#,
        undecided.join(", ")
    );
    assert!(share >= 90, "{undecided:?}");
}

/// Edits of each rule of a control: its first number one and a half times as much, half as much, and its condition said otherwise.
fn edits(here: &Path) -> Vec<(String, &'static str, slm::host::solver::Question)> {
    let files = slm::host::files::read_work_tree(here).unwrap();
    let loaded = slm::load::load(&slm::load::Files(files), "2026-11-24T00:00:00Z".parse().unwrap());
    let catalog = loaded.catalog.unwrap();
    let rules = slm::policy::Rules::of(&catalog, &loaded.policies).unwrap();
    let mut edits = Vec::new();
    for id in catalog.controls.keys() {
        let action = format!("Control::Action::{:?}", id.as_str());
        let text: String = rules.slice(&action).iter().map(|rule| format!("{}\n", rule.text)).collect();
        let mut ask = |way, head: Option<String>| {
            let question = head.map(|head| slm::host::solver::Question { action: action.clone(), base: text.clone(), head });
            edits.extend(question.map(|question| (id.to_string(), way, question)));
        };
        ask("up", with_number(&text, |number| number + number / 2 + 1));
        ask("down", with_number(&text, |number| number / 2));
        ask(
            "form",
            text.find("when {").and_then(|at| {
                let (end, from) = (text[at..].find("\n};")? + at, at + 6);
                Some(format!("{}if ({}) then true else false{}", &text[..from], &text[from..end], &text[end..]))
            }),
        );
    }
    edits
}

/// `text` with its first number behind `when` changed; `None` without one, or when that is as it was.
fn with_number(text: &str, change: impl Fn(i64) -> i64) -> Option<String> {
    let start = text.find("when {")?;
    let bytes = text.as_bytes();
    let is_number = |at: &usize| bytes[*at].is_ascii_digit() && !bytes[*at - 1].is_ascii_alphanumeric() && bytes[*at - 1] != b'_';
    let from = (start..text.len()).find(is_number)?;
    let length = text[from..].bytes().take_while(u8::is_ascii_digit).count();
    let number: i64 = text[from..from + length].parse().ok()?;
    let changed = change(number);
    (changed != number).then(|| format!("{}{changed}{}", &text[..from], &text[from + length..]))
}
