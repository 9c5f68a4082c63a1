//! `period.*`: a year of daily runs over 5,000 resources through the real pipeline with an injected clock, then the report of that year.
//!
//! Only what is observed is made up: a few of the resources change a day, some come, some go. Everything after that is what a run does.
//! `cargo bench --bench period -- 40 20` does the same for 40 days and a twentieth of the resources.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints its figures and stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use slm::evaluate::{evaluate, join::join};
use slm::host::files::read_work_tree;
use slm::host::history::History;
use slm::host::locker::Locker;
use slm::host::repo;
use slm::load::{Files, load_against};
use slm::model::blob::Blob;
use slm::model::catalog::{Catalog, LockerSettings};
use slm::model::id::SourceId;
use slm::model::outcome::Run;
use slm::model::preflight::Facts;
use slm::model::receipt::{RawRef, Receipt, Redacted};
use slm::model::snapshot::{Completeness, Population, Resource, Value};
use slm::model::time::{Limit, Timestamp};
use slm::observe::observe;
use slm::plan::{Input, plan};
use slm::policy::Rules;
use slm::record::ledger::Ledger;
use slm::record::log::Signer;
use slm::record::{RunRecord, artefacts, canonical};
use slm::world::{Clock, Collected, Collector};

#[path = "parts/cpu.rs"]
mod cpu;

const DAYS: i64 = 365;
const SECRETS: usize = 4_000;
const USERS: usize = 1_000;
/// The last day that is measured apart from the whole year.
const QUARTER: i64 = 90;
/// Days on which nothing ran.
const MISSED: [i64; 3] = [100, 101, 250];
const SCOPE: &str = "111122223333/eu-west-1";

/// A clock that is set.
struct Set(Mutex<Timestamp>);

impl Clock for Set {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

fn day(number: i64) -> Timestamp {
    let first: Timestamp = "2026-01-01T05:00:00Z".parse().unwrap();
    Timestamp::from_second(first.as_second() + number * Limit::DAY + number % 7 * 60).unwrap()
}

#[derive(Clone)]
struct Secret {
    name: usize,
    created: Timestamp,
    rotated: Timestamp,
    deleting: bool,
    rotates: bool,
}

/// The world that is observed.
struct World {
    secrets: Vec<Secret>,
    users: usize,
    without_mfa: Vec<usize>,
    next: usize,
    dice: u64,
    /// Who went without a word.
    vanished: usize,
}

impl World {
    fn new(share: usize) -> Self {
        let count = SECRETS / share;
        let secret = |name: usize| Secret {
            name,
            created: day(-400 + i64::try_from(name % 300).unwrap()),
            rotated: day(-i64::try_from(name % 55).unwrap()),
            deleting: false,
            rotates: !name.is_multiple_of(97),
        };
        Self {
            secrets: (0..count).map(secret).collect(),
            users: USERS / share,
            without_mfa: vec![3, 5],
            next: count,
            dice: 0x9e37_79b9_7f4a_7c15,
            vanished: 0,
        }
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        usize::try_from(self.dice % u64::try_from(sides).unwrap()).unwrap()
    }

    /// What a day brings: those that are due are rotated but for a few, one comes, one is deleted, and now and then one vanishes.
    fn live(&mut self, number: i64) {
        let now = day(number);
        self.secrets.retain(|secret| !secret.deleting);
        let limit = now.as_second() - 55 * Limit::DAY;
        let late = self.roll(60);
        for (at, secret) in self.secrets.iter_mut().enumerate() {
            if secret.rotates && secret.rotated.as_second() < limit && at % 60 != late {
                secret.rotated = Timestamp::from_second(now.as_second() - 3_600).unwrap();
            }
        }
        let made = Timestamp::from_second(now.as_second() - 7_200).unwrap();
        self.secrets.push(Secret { name: self.next, created: made, rotated: made, deleting: false, rotates: true });
        self.next += 1;
        let at = self.roll(self.secrets.len() - 1);
        self.secrets[at].deleting = true;
        if number % 30 == 17 {
            let at = self.roll(self.secrets.len() - 1);
            if !self.secrets[at].deleting {
                self.secrets.remove(at);
                self.vanished += 1;
            }
        }
        if number % 11 == 0 {
            let user = self.roll(self.users);
            self.without_mfa = vec![user];
        }
    }

    fn secrets(&self) -> Vec<Resource> {
        let text = |text: &str| Value::Text(text.into());
        let one = |secret: &Secret| {
            let attributes = [
                ("created", Value::Time(secret.created)),
                ("deleting", Value::Bool(secret.deleting)),
                ("has_pending", Value::Bool(false)),
                ("is_replica", Value::Bool(false)),
                ("last_changed", Value::Time(secret.rotated)),
                ("last_rotated", Value::Time(secret.rotated)),
                ("managed_by", text("")),
                ("owner", text(&format!("team-{}", secret.name % 40))),
                ("policy_public", Value::Bool(false)),
                ("rotation_days", Value::Long(30)),
                ("rotation_enabled", Value::Bool(secret.rotates)),
                ("tier", text("standard")),
            ];
            let id = format!(
                "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/app-{:05}/key-{:06x}",
                secret.name,
                secret.name * 7_919 % 0x00ff_ffff
            );
            Resource::new(id.into(), attributes.map(|(name, value)| (Arc::from(name), value)).to_vec())
        };
        let mut all: Vec<Resource> = self.secrets.iter().map(one).collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    fn users(&self) -> Vec<Resource> {
        let one = |number: usize| {
            let attributes = [
                ("active_keys", Value::Long(1)),
                ("console_access", Value::Bool(true)),
                ("direct_policies", Value::Long(0)),
                ("mfa_active", Value::Bool(!self.without_mfa.contains(&number))),
                ("newest_key_created", Value::Time(day(-100))),
            ];
            let id = format!("arn:aws:iam::111122223333:user/person-{number:04}");
            Resource::new(id.into(), attributes.map(|(name, value)| (Arc::from(name), value)).to_vec())
        };
        (0..self.users).map(one).collect()
    }
}

/// Brings home what the world has.
struct Made {
    source: SourceId,
    populations: Mutex<Vec<Population>>,
}

#[async_trait]
impl Collector for Made {
    fn name(&self) -> &'static str {
        "made"
    }

    fn source(&self) -> &SourceId {
        &self.source
    }

    fn scope(&self) -> &str {
        SCOPE
    }

    async fn collect(&self, clock: &dyn Clock) -> Collected {
        let populations = std::mem::take(&mut *self.populations.lock().unwrap());
        let page = format!("{{\"listed\":{},\"at\":\"{}\"}}\n", populations.len(), clock.now()).into_bytes();
        let receipt = Receipt {
            source: self.source.clone(),
            collector: "made".to_owned(),
            scope: SCOPE.to_owned(),
            caller: Some("arn:aws:sts::111122223333:assumed-role/slm-read/bench".to_owned()),
            completeness: Completeness::Complete,
            operations: Vec::new(),
            independent_count: None,
            source_clock: None,
            started: clock.now(),
            ended: clock.now(),
            effective: Some(clock.now()),
            raw: vec![RawRef::new("prod/made/page-1.json".to_owned(), &page, &page, Redacted::new())],
        };
        Collected { populations, receipt, raw: vec![Blob::from(page)] }
    }
}

fn main() {
    let mut asked = std::env::args().skip(1).filter_map(|argument| argument.parse::<i64>().ok());
    let days = asked.next().unwrap_or(DAYS);
    let share = usize::try_from(asked.next().unwrap_or(1)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let config = configure(root);
    let now = day(0);
    let files = Files(read_work_tree(root).unwrap());
    let loaded = load_against(&files, now, None);
    let catalog = loaded.catalog.unwrap();
    let rules = Rules::of(&catalog, &loaded.policies).unwrap();
    let mut world = World::new(share);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let clock = Arc::new(Set(Mutex::new(now)));
    let (mut cpu_s, mut gathered) = (Vec::new(), Vec::new());
    for number in 0..days {
        world.live(number);
        if MISSED.contains(&number) {
            continue;
        }
        *clock.0.lock().unwrap() = day(number);
        let seen = populations(&world);
        let before = cpu();
        runtime.block_on(run(root, &catalog, &rules, &config, &clock, seen));
        let recorded = cpu();
        repo::tidy(root).unwrap();
        cpu_s.push(recorded - before);
        gathered.push(cpu() - recorded);
    }
    figures(root, &world, (&cpu_s, &gathered), days);
}

fn populations(world: &World) -> Vec<Population> {
    let population = |entity: &str, resources: Vec<Resource>| Population {
        source: "prod".into(),
        scope: SCOPE.to_owned(),
        entity: entity.into(),
        completeness: Completeness::Complete,
        resources: Arc::new(resources),
    };
    vec![population("Aws::Secret", world.secrets()), population("Aws::User", world.users())]
}

/// What a run does after its collectors are opened.
async fn run(root: &Path, catalog: &Catalog, rules: &Rules, config: &str, clock: &Arc<Set>, seen: Vec<Population>) {
    let at = clock.now();
    let made = Made { source: "prod".into(), populations: Mutex::new(seen) };
    let collectors: Vec<Box<dyn Collector>> = vec![Box::new(made)];
    let observed = observe(&collectors, &**clock, 1, &|| ()).await;
    let mut digest = 0_usize;
    canonical::populations(&observed.snapshot.populations, |bytes| digest += bytes.len()).unwrap();
    let snapshot = join(catalog, observed.snapshot);
    let assessment = evaluate(catalog, rules, &snapshot, at);
    let facts = Facts::default();
    let planned = plan(&Input {
        catalog,
        rules,
        snapshot: &snapshot,
        assessment: &assessment,
        config: config.to_owned(),
        digest: digest.to_string(),
        forced: &[],
        facts: &facts,
    });
    let id = format!("{}-{:08x}", at.strftime("%Y%m%dT%H%M%SZ"), at.as_second() % 0xffff);
    let run = Run {
        id: id.as_str().into(),
        verb: "apply".to_owned(),
        slm: env!("CARGO_PKG_VERSION").to_owned(),
        config: config.to_owned(),
        at,
    };
    let result = json!({ "outcomes": [], "gaps": [] });
    let record = RunRecord {
        run: &run,
        snapshot: &snapshot,
        raw: &observed.raw,
        assessment: Some(&assessment),
        plan: Some(&planned),
        outcomes: &[],
        result: &result,
    };
    let files = artefacts(&record).unwrap();
    let signer = Signer::new("bench", &[7; 32]).unwrap();
    let ledger = Ledger::new("bench".to_owned(), Some(signer), None);
    let locker = Locker::open(root, &LockerSettings::default(), None).unwrap().logged(ledger, clock.clone());
    locker.append(|_| files.clone(), &format!("run {id}: 0 of 0 actions done"), at).unwrap();
    History::open(root, "slm/evidence").unwrap();
}

/// The shipped config as a repository of its own; its commit.
fn configure(root: &Path) -> String {
    let files = read_work_tree(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    for (path, text) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    repo::init_and_commit(root, "config", day(-1)).unwrap()
}

fn figures(root: &Path, world: &World, (cpu_s, gathered): (&[f64], &[f64]), days: i64) {
    let (runs, resources) = (cpu_s.len(), world.secrets.len() + world.users);
    let git = |arguments: &[&str]| assert!(Command::new("git").arg("-C").arg(root).args(arguments).status().unwrap().success());
    let written = megabytes(&root.join(".git/objects"));
    git(&["gc", "--quiet"]);
    let packed = megabytes(&root.join(".git/objects"));
    let index = megabytes(&root.join(".git/slm"));
    print(
        "period.locker_mb",
        written,
        "MB",
        &format!("after `git gc` {packed:.1} MB, index {index:.1} MB; {runs} runs of {resources} resources"),
    );
    let mut sorted: Vec<f64> = cpu_s.iter().zip(gathered).map(|(run, gathering)| run + gathering).collect();
    sorted.sort_by(f64::total_cmp);
    let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
    let part = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
    print(
        "period.run_s",
        mean,
        "s",
        &format!("CPU with children, mean; median {:.2} s, last decile {:.2} s, most {:.2} s", part(0.5), part(0.9), part(1.0)),
    );
    let tenth = (cpu_s.len() / 10).max(2);
    let first = cpu_s[1..tenth].iter().sum::<f64>() / (tenth - 1) as f64;
    let last = cpu_s[cpu_s.len() - tenth..].iter().sum::<f64>() / tenth as f64;
    // Gathering packs takes a tenth of a second or some seconds, and falls into some tenths of the year and not into others.
    let gatherings: Vec<f64> = gathered.iter().copied().filter(|took| *took > 0.1).collect();
    let [earliest, latest] = [gatherings.first(), gatherings.last()].map(|took| took.copied().unwrap_or_default());
    print(
        "growth.period_run",
        last / first,
        "x",
        &format!(
            "the last tenth of the year over the first: {last:.2} s, {first:.2} s; without the {} times that packs were gathered, the first {earliest:.2} s, the last {latest:.2} s",
            gatherings.len()
        ),
    );
    let (year, told) = report(root, days - 1);
    check(&told, world, days);
    let (quarter, _) = report(root, (days - 1).min(QUARTER - 1));
    print("period.report_s", year, "s", &format!("a year; its first quarter {quarter:.2} s; wall"));
    bundle(root, days - 1);
    let began = Instant::now();
    std::fs::remove_dir_all(root.join(".git/slm")).unwrap();
    History::open(root, "slm/evidence").unwrap();
    print("period.index_s", began.elapsed().as_secs_f64(), "s", "the index of that year made anew from git alone");
}

/// Seconds of the report from the first day to the day `to`, and what it says.
fn report(root: &Path, to: i64) -> (f64, Json) {
    let [from, to] = [0, to].map(|number| day(number).strftime("%Y-%m-%d").to_string());
    let began = Instant::now();
    let ran = Command::new(env!("CARGO_BIN_EXE_slm"))
        .args(["report", "period", "--from", &from, "--to", &to, "--format", "json", "--root"])
        .arg(root)
        .output()
        .unwrap();
    let took = began.elapsed().as_secs_f64();
    let told = serde_json::from_slice(&ran.stdout);
    (took, told.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&ran.stderr))))
}

/// The whole period as a bundle, twice.
fn bundle(root: &Path, to: i64) {
    let [from, to] = [0, to].map(|number| day(number).strftime("%Y-%m-%d").to_string());
    let (folder, began) = (tempfile::tempdir().unwrap(), Instant::now());
    let packed = ["one.zip", "two.zip"].map(|name| {
        let out = folder.path().join(name);
        let mut slm = Command::new(env!("CARGO_BIN_EXE_slm"));
        slm.args(["export", "bundle", "--from", &from, "--to", &to, "--out"]).arg(&out).arg("--root").arg(root);
        let ran = slm.output().unwrap();
        assert!(ran.status.success(), "{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        std::fs::read(out).unwrap()
    });
    let (each, size) = (began.elapsed().as_secs_f64() / 2.0, packed[0].len() as f64 / 1e6);
    let same = f64::from(u8::from(packed[0] == packed[1]));
    print("bundle.same_twice", same, "of 1", &format!("{from} to {to}, {size:.1} MB, {each:.1} s each; wall"));
}

/// What is told is what was done.
fn check(told: &Json, world: &World, days: i64) {
    let missed: Vec<i64> = MISSED.into_iter().filter(|day| *day < days - 1).collect();
    assert_eq!((&told["findings"], &told["unproven"]), (&json!([]), &json!([])));
    let told_days = told["period"]["days"].as_array().unwrap();
    let without = (0..).zip(told_days).filter(|(_, day)| day["runs"] == json!([])).map(|(at, _)| at);
    assert_eq!(without.collect::<Vec<i64>>(), missed);
    // Of those that were deleted while nothing ran, nobody saw it said beforehand either.
    assert_eq!(told["unexplained"], world.vanished + missed.len(), "who went without a word is flagged, and nobody else");
    let names: BTreeMap<&str, usize> = told["period"]["populations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["entity"].as_str().unwrap(), one["changes"].as_array().unwrap().len()))
        .collect();
    assert_eq!(names["Aws::User"], 0);
    assert!(names["Aws::Secret"] > usize::try_from(days).unwrap() && !told["deviations"].as_array().unwrap().is_empty());
}

fn print(figure: &str, value: f64, unit: &str, against: &str) {
    println!("{{\"figure\":\"{figure}\",\"value\":{value:.2},\"unit\":\"{unit}\",\"against\":\"{against}\"}}");
}

/// CPU seconds of this process and of its children that ended.
fn cpu() -> f64 {
    let (own, children) = cpu::cpu();
    own + children
}

fn megabytes(path: &Path) -> f64 {
    let mut sum = 0;
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let meta = entry.metadata().unwrap();
            if meta.is_dir() { folders.push(entry.path()) } else { sum += meta.len() }
        }
    }
    sum as f64 / 1e6
}
