//! `drift.s` and `growth.drift`: `slm report drift` over 30 recorded days of 10,000 resources, one in 25 of them overdue and some others
//! each day, by the built binary on a real git repo. `cargo bench --bench drift -- 10` does the same for a tenth of them.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints its figures and stops at the first surprise"
)]

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::{Value as Json, json};
use slm::model::time::{Limit, Timestamp};

#[path = "parts/cpu.rs"]
mod cpu;
#[path = "parts/locker.rs"]
mod locker;

use locker::{Evidence, commit, git};

const DAYS: i64 = 30;
const RESOURCES: usize = 10_000;
/// One resource of so many is overdue.
const OVERDUE: usize = 25;
/// And one of so many comes to be so or stops being so from a day to the next.
const CHANGES: usize = 250;

fn main() {
    let share = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1);
    let whole = RESOURCES / share;
    let [quarter, half, all] = [whole / 4, whole / 2, whole].map(measured);
    println!(
        r#"{{"figure":"drift.s","value":{:.2},"unit":"s of a whole process for {whole} resources and {DAYS} days","cpu_s":{:.2},"without_index_s":{:.2},"findings":{}}}"#,
        all.warm, all.cpu, all.cold, all.findings
    );
    println!(
        r#"{{"figure":"growth.drift","value":{:.2},"unit":"CPU a resource at 4N over N","at_2n":{:.2},"against":"N = {}"}}"#,
        all.cpu / quarter.cpu / 4.0,
        half.cpu / quarter.cpu / 2.0,
        whole / 4
    );
}

/// Seconds of one report.
struct Took {
    /// With the index of the locker made before.
    warm: f64,
    /// The same, of CPU.
    cpu: f64,
    /// Without it.
    cold: f64,
    findings: usize,
}

fn measured(resources: usize) -> Took {
    let folder = tempfile::tempdir().unwrap();
    // What opens the vault is put beside the config repo.
    let root = &folder.path().join("config");
    std::fs::create_dir(root).unwrap();
    slm(root, &["init"], 0);
    git(root, &["init", "-q", "-b", "main"]);
    commit(root, "base");
    record(root, resources);
    let (cold, _) = report(root);
    let before = cpu::cpu().1;
    let (warm, _) = report(root);
    let (again, said) = report(root);
    let cpu = (cpu::cpu().1 - before) / 2.0;
    let count = |kind: &str| said[kind].as_array().unwrap().len();
    let (new, resolved, open) = (count("new"), count("resolved"), count("open"));
    assert_eq!((new, resolved, new + open), (resources / CHANGES, resources / CHANGES, resources / OVERDUE));
    Took { warm: warm.min(again), cpu, cold, findings: new + open }
}

/// True for one resource in 25; of each 250 another one is each day.
fn is_overdue(member: usize, day: usize) -> bool {
    let (block, place) = (member / CHANGES, member % CHANGES);
    (place + CHANGES - (day + block) % CHANGES) % CHANGES < CHANGES / OVERDUE
}

/// Evidence of the days, in the shape that runs leave behind.
fn record(root: &Path, resources: usize) {
    let config = String::from_utf8(git(root, &["rev-parse", "main"])).unwrap();
    let last = Limit::seconds(-300).after(Timestamp::now());
    let mut evidence = Evidence::of(root);
    for day in 0..DAYS {
        let at = Limit::days(day + 1 - DAYS).after(last);
        let id = evidence.run(at);
        let (mut snapshot, mut young, mut declared, mut bad) = (String::new(), String::new(), String::new(), 0);
        for member in 0..resources {
            let overdue = is_overdue(member, usize::try_from(day).unwrap());
            bad += usize::from(overdue);
            let [one, aged, known] = lines(member, overdue, last);
            snapshot.push_str(&one);
            young.push_str(&aged);
            declared.push_str(&known);
        }
        let place = |more: Json| {
            let mut place = json!({ "source": "local", "scope": ".", "completeness": "complete" });
            place.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            place
        };
        let run = json!({
            "format": 1, "run": { "id": id, "verb": "apply", "slm": "bench", "config": config.trim(), "at": at }, "taken": at, "judged": at,
            "controls": { "ROT-01": { "compliant": resources - bad, "non-compliant": bad }, "ROT-02": { "compliant": resources } },
            "populations": [place(json!({ "entity": "Vault::Secret", "resources": resources }))],
            "receipts": [place(json!({
                "collector": "vault", "caller": null, "operations": [], "raw": [], "independent_count": resources, "source_clock": null,
                "started": at, "ended": at,
            }))],
            "raw": [], "gaps": [],
        });
        evidence.file(&format!("runs/{}/{id}.json", at.strftime("%Y/%m/%d")), &run.to_string());
        evidence.file("snapshot/Vault.Secret.jsonl", &snapshot);
        evidence.file("decisions/ROT-01.jsonl", &young);
        evidence.file("decisions/ROT-02.jsonl", &declared);
    }
    evidence.done();
}

/// A secret as observed, and both decisions on it.
fn lines(member: usize, overdue: bool, last: Timestamp) -> [String; 3] {
    let days = i64::try_from(member % 25).unwrap() + if overdue { 70 } else { 5 };
    let created = Limit::days(-days).after(last);
    let (id, name) = (format!("vault:local/app/{member:06}"), format!("app/{member:06}"));
    let observed = json!({ "created": created, "last_rotated": created, "max_age_days": 60 });
    let secret = json!({ "id": id, "scope": ".", "source": "local", "attributes": {
        "created": { "time": created }, "last_rotated": { "time": created }, "max_age_days": { "long": 60 }, "name": { "text": name },
        "declared": { "bool": true }, "owner": { "text": "platform" }, "deleting": { "bool": false },
    } });
    let (because, status, flips) = match overdue {
        true => (json!("nothing-permits"), "non-compliant", json!(null)),
        false => (json!({ "permitted": ["ROT-01"] }), "compliant", json!(Limit::days(60).after(created))),
    };
    let decision = |because: Json, flips: Json, observed: Json, status: &str| json!({ "because": because, "entity": "Vault::Secret", "flips_at": flips, "observed": observed, "resource": id, "status": status });
    let owned = json!({ "declared": true, "owner": "platform" });
    let declared = decision(json!({ "permitted": ["ROT-02"] }), json!(null), owned, "compliant");
    [secret, decision(because, flips, observed, status), declared].map(|line| format!("{line}\n"))
}

fn report(root: &Path) -> (f64, Json) {
    let start = Instant::now();
    let said = slm(root, &["report", "drift", "--format", "json"], 2);
    (start.elapsed().as_secs_f64(), serde_json::from_slice(&said).unwrap())
}

fn slm(root: &Path, arguments: &[&str], code: i32) -> Vec<u8> {
    let output = Command::new(env!("CARGO_BIN_EXE_slm")).current_dir(root).args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
