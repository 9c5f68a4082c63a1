//! `diff.s` and `growth.diff`: an edit that touches every shipped control, over 90 recorded days of 10,000 resources, by the built binary on
//! a real git repo.
//!
//! Resources are the cases of `fixtures/rules`, spread over every entity type that has some; each day two of a hundred change. `cargo bench
//! --bench diff -- 9 10` does the same for nine days and a tenth of the resources.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints its figures and stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::{Value as Json, json};
use slm::model::time::{Limit, Timestamp};

#[path = "parts/locker.rs"]
mod locker;

use locker::{Evidence, commit, git};

const DAYS: i64 = 90;
const RESOURCES: usize = 10_000;
const SCOPE: &str = "111122223333/eu-west-1";
/// One of so many resources changes a day.
const CHANGES: usize = 50;

/// Attributes of one case, as the locker has them.
type Attributes = BTreeMap<String, Json>;

fn day(number: i64) -> Timestamp {
    let last: Timestamp = "2026-11-24T05:00:00Z".parse().unwrap();
    Limit::days(number + 1 - DAYS).after(last)
}

fn main() {
    let mut asked = std::env::args().skip(1).filter_map(|argument| argument.parse::<i64>().ok());
    let days = asked.next().unwrap_or(DAYS);
    let share = usize::try_from(asked.next().unwrap_or(1)).unwrap();
    let (quarter, _) = measured(days, RESOURCES / share / 4);
    let (whole, said) = measured(days, RESOURCES / share);
    let replay = &said["difference"]["replay"];
    let (judged, effort) = (replay["judged"].as_array().unwrap().len(), &replay["effort"]);
    let verdicts = effort["made"].as_u64().unwrap() + effort["kept"].as_u64().unwrap();
    assert_eq!(replay["days"], days);
    println!(
        r#"{{"figure":"diff.s","value":{:.2},"unit":"s of a whole process for {judged} controls, {} resources and {days} days","cpu_s":{:.2},"without_index_s":{:.2},"verdicts":{verdicts},"made":{},"against":"a goal of 10 s"}}"#,
        whole.warm,
        RESOURCES / share,
        whole.cpu,
        whole.cold,
        effort["made"]
    );
    println!(
        r#"{{"figure":"growth.diff","value":{:.2},"unit":"CPU a resource at 4N over N","against":"N = {}"}}"#,
        whole.cpu / quarter.cpu / 4.0,
        RESOURCES / share / 4
    );
}

/// Seconds of one comparison.
struct Took {
    /// With the index of the locker made before.
    warm: f64,
    /// The same, of CPU.
    cpu: f64,
    /// Without it.
    cold: f64,
}

fn measured(days: i64, resources: usize) -> (Took, Json) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    config(root);
    record(root, days, resources);
    let (cold, _) = diff(root, days);
    let before = children();
    let (warm, said) = diff(root, days);
    (Took { warm, cpu: children() - before, cold }, said)
}

/// A repo of the shipped catalogue, and an edit of every control.
fn config(root: &Path) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = slm::host::files::read_work_tree(here).unwrap();
    let write = |edit: fn(&str) -> String| {
        for (path, text) in &files {
            let file = root.join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            let is_control = path.starts_with("controls/") && !path.starts_with("controls/frameworks/");
            std::fs::write(file, if is_control { edit(text) } else { text.clone() }).unwrap();
        }
    };
    git(root, &["init", "-q"]);
    write(str::to_owned);
    commit(root, "base");
    write(|text| {
        let line = |line: &str| {
            if line.starts_with("evidence-ttl = ") { "evidence-ttl = \"400d\"\n".to_owned() } else { format!("{line}\n") }
        };
        text.lines().map(line).collect()
    });
    commit(root, "head");
}

/// Evidence of `days` runs, in the shape that runs leave behind.
fn record(root: &Path, days: i64, resources: usize) {
    let cases = cases();
    let mut evidence = Evidence::of(root);
    for number in DAYS - days..DAYS {
        let at = day(number);
        let id = evidence.run(at);
        let mut heads = Vec::new();
        for (place, (entity, kind)) in cases.iter().enumerate() {
            let members: Vec<usize> = (place..resources).step_by(cases.len()).collect();
            let text: String = members.iter().map(|member| line(kind, *member, number)).collect();
            heads.push(json!({ "source": "prod", "scope": SCOPE, "entity": entity, "completeness": "complete", "resources": members.len() }));
            evidence.file(&format!("snapshot/{}.jsonl", entity.replace("::", ".")), &text);
        }
        let run = json!({
            "format": 1, "run": { "id": id, "verb": "apply", "slm": "bench", "config": "bench", "at": at }, "taken": at, "judged": at,
            "receipts": [], "populations": heads, "raw": [],
        });
        evidence.file(&format!("runs/{}/{id}.json", at.strftime("%Y/%m/%d")), &run.to_string());
    }
    evidence.done();
}

/// A member as it is on a day: one of the cases, another one since the day on which it changed.
fn line(cases: &[Attributes], member: usize, number: i64) -> String {
    let changed = usize::try_from(number).unwrap() + CHANGES - member % CHANGES;
    let case = &cases[(member / 7 + changed / CHANGES) % cases.len()];
    let mut text = String::new();
    let attributes = serde_json::to_string(case).unwrap();
    let _ = writeln!(text, r#"{{"attributes":{attributes},"id":"it-{member:06}","scope":"{SCOPE}","source":"prod"}}"#);
    text
}

/// Attributes of the cases of every rule, by entity type.
fn cases() -> BTreeMap<String, Vec<Attributes>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/rules");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut all: BTreeMap<String, Vec<Attributes>> = BTreeMap::new();
    for path in paths {
        let table: toml::Table = toml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for case in table["case"].as_array().unwrap() {
            let attributes = case.get("attributes").and_then(toml::Value::as_table).cloned().unwrap_or_default();
            let attributes = attributes.iter().map(|(name, raw)| (name.clone(), value(raw))).collect();
            all.entry(case["entity"].as_str().unwrap().to_owned()).or_default().push(attributes);
        }
    }
    all
}

fn value(raw: &toml::Value) -> Json {
    match raw {
        toml::Value::Boolean(yes) => json!({ "bool": yes }),
        toml::Value::Integer(number) => json!({ "long": number }),
        toml::Value::String(text) => json!({ "text": text }),
        other => json!({ "time": other.as_datetime().unwrap().to_string() }),
    }
}

/// Seconds of one comparison, and what it says.
fn diff(root: &Path, days: i64) -> (f64, Json) {
    let start = Instant::now();
    let arguments = ["diff", "HEAD~1..HEAD", "--at", "2026-11-24", "--format", "json", "--days", &days.to_string()];
    let output = Command::new(env!("CARGO_BIN_EXE_slm")).current_dir(root).args(arguments).output().unwrap();
    let took = start.elapsed().as_secs_f64();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    (took, serde_json::from_slice(&output.stdout).unwrap())
}

/// CPU seconds of processes that ended, user and system.
fn children() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[13].parse::<f64>().unwrap() + fields[14].parse::<f64>().unwrap()) / 100.0
}
