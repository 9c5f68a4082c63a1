//! `judge.*` and `growth.judge`: a million (control, resource) pairs of the shipped catalogue, and plain Cedar on a sample of them.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints its figures and stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use slm::host::files::read_work_tree;
use slm::load::{Files, load};
use slm::model::catalog::Catalog;
use slm::model::id::{ControlId, EntityType, ResourceId};
use slm::model::snapshot::{Resource, Value};
use slm::model::time::{Limit, Timestamp};
use slm::policy::{Rules, Verdict, oracle};

const PAIRS: usize = 1_000_000;
const SAMPLE: usize = 10_000;
/// How often Cedar is asked about the sample: the clock of a process ticks every 10 ms.
const ROUNDS: usize = 20;

struct Pair {
    control: ControlId,
    entity: EntityType,
    resource: Resource,
}

fn main() {
    let now: Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
    let catalog = shipped(now);
    let rules = Rules::compile(&catalog).unwrap();
    let (native, all) = rules.native_share();
    let pairs = pairs(&catalog, now);
    let mut base = 0.0;
    for share in [4, 2, 1] {
        let count = PAIRS / share;
        let before = cpu();
        let permitted = judge(&rules, &pairs, count, now);
        let ns = (cpu() - before) * 1e9 / count as f64;
        if share == 4 {
            base = ns;
        }
        if share == 1 {
            let (oracle_ns, disagreements) = compare(&rules, &pairs, now);
            println!(
                r#"{{"figure":"judge.ns_per_pair","value":{ns:.0},"unit":"ns","against":"plain Cedar, is_authorized alone, {oracle_ns:.0} ns; a goal of 1,000 ns","permitted":{permitted},"native":"{native} of {all} policies"}}"#
            );
            println!(
                r#"{{"figure":"judge.disagreements","value":{disagreements},"unit":"of {SAMPLE} pairs","against":"is_authorized"}}"#
            );
            println!(
                r#"{{"figure":"growth.judge","value":{:.2},"unit":"cost a pair at 4N over N","against":"N = {}"}}"#,
                ns / base,
                PAIRS / 4
            );
        }
    }
}

fn shipped(now: Timestamp) -> Catalog {
    let files = Files(read_work_tree(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap());
    load(&files, now).catalog.unwrap()
}

/// Resources with every attribute the control requires, spread over values that permit and values that do not.
fn pairs(catalog: &Catalog, now: Timestamp) -> Vec<Pair> {
    let tables = cases();
    let mut pairs = Vec::new();
    for index in 0..PAIRS / 100 {
        for (control, cases) in &tables {
            if !catalog.controls.contains_key(control) {
                continue;
            }
            let (entity, attributes) = &cases[index % cases.len()];
            let shift = Limit::seconds((index as i64 % 977) * 61);
            let moved = attributes.iter().map(|(name, value)| {
                let value = match value {
                    Value::Time(instant) => Value::Time(Timestamp::from_second(instant.as_second() - shift.as_seconds()).unwrap()),
                    other => other.clone(),
                };
                (name.clone(), value)
            });
            pairs.push(Pair {
                control: control.clone(),
                entity: entity.clone(),
                resource: Resource::new(ResourceId::from("it"), moved.collect()),
            });
        }
    }
    let _ = now;
    pairs
}

type Case = (EntityType, Vec<(Arc<str>, Value)>);

fn cases() -> BTreeMap<ControlId, Vec<Case>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/rules");
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let table: toml::Table = toml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let cases = table["case"].as_array().unwrap().iter().map(case).collect();
        all.insert(ControlId::from(path.file_stem().unwrap().to_string_lossy()), cases);
    }
    all
}

fn case(case: &toml::Value) -> Case {
    let value = |raw: &toml::Value| match raw {
        toml::Value::Boolean(yes) => Value::Bool(*yes),
        toml::Value::Integer(number) => Value::Long(*number),
        toml::Value::String(text) => Value::Text(Arc::from(text.as_str())),
        other => Value::Time(other.as_datetime().unwrap().to_string().parse().unwrap()),
    };
    let empty = toml::Table::new();
    let attributes = case.get("attributes").and_then(toml::Value::as_table).unwrap_or(&empty);
    let attributes = attributes.iter().map(|(name, raw)| (Arc::from(name.as_str()), value(raw))).collect();
    (EntityType::from(case["entity"].as_str().unwrap()), attributes)
}

fn action(control: &ControlId) -> String {
    format!("Control::Action::{:?}", control.as_str())
}

fn judge(rules: &Rules, pairs: &[Pair], count: usize, now: Timestamp) -> usize {
    let slices: BTreeMap<&ControlId, _> =
        pairs.iter().take(200).map(|pair| (&pair.control, rules.slice(&action(&pair.control)))).collect();
    let judged = pairs.iter().cycle().take(count);
    judged
        .filter(|pair| matches!(Rules::judge(slices[&pair.control], &pair.entity, &pair.resource, now), Verdict::Permitted(_)))
        .count()
}

/// CPU nanoseconds a pair under plain Cedar with the rules sliced and everything it is given made before, and how often the two
/// disagree.
fn compare(rules: &Rules, pairs: &[Pair], now: Timestamp) -> (f64, usize) {
    let step = (pairs.len() / SAMPLE).max(1);
    let sample: Vec<&Pair> = pairs.iter().step_by(step).take(SAMPLE).collect();
    let sets: BTreeMap<&ControlId, _> =
        sample.iter().map(|pair| (&pair.control, oracle::policies(rules, &action(&pair.control)).unwrap())).collect();
    let question = |pair: &&Pair| oracle::question(&action(&pair.control), &pair.entity, &pair.resource, now).unwrap();
    let asked: Vec<_> = sample.iter().map(|pair| (question(pair), &sets[&pair.control])).collect();
    let authorizer = cedar_policy::Authorizer::new();
    let before = cpu();
    for _ in 0..ROUNDS {
        for ((request, entities), set) in &asked {
            black_box(authorizer.is_authorized(request, set, entities));
        }
    }
    let ns = (cpu() - before) * 1e9 / (sample.len() * ROUNDS) as f64;
    let theirs = asked.iter().map(|((request, entities), set)| oracle::answer(&authorizer.is_authorized(request, set, entities)));
    let ours = sample.iter().map(|pair| Rules::judge(rules.slice(&action(&pair.control)), &pair.entity, &pair.resource, now));
    let differs = |(ours, theirs): &(Verdict, Result<_, String>)| match theirs {
        Ok((cedar_policy::Decision::Allow, _)) => !matches!(ours, Verdict::Permitted(_)),
        Ok((cedar_policy::Decision::Deny, _)) => !matches!(ours, Verdict::NothingPermits | Verdict::Forbidden(_)),
        Err(_) => !matches!(ours, Verdict::Error(_)),
    };
    (ns, ours.zip(theirs).filter(differs).count())
}

/// CPU seconds of this process, user and system.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
