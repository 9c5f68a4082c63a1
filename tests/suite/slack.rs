//! What a channel of Slack shows over runs: in every state, after a crash between any two calls, within its limits.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use slm::model::assessment::Status;
use slm::model::catalog::Severity;
use slm::model::drift::{Compared, Coverage, Drift, Failed, Finding, Gone, Identity, Measured, Next, Share, Unmanaged};
use slm::model::notify::{AlertOn, AlertSettings, Credentials, Notice, NotifySettings, NotifyWay, SlackWay, Told, Zone};
use slm::model::secret::Secret;
use slm::model::time::{Limit, Timestamp};
use slm::notifiers::slack::Channel;
use slm::notifiers::slack_webhook::Hook;
use slm::notifiers::tell::{Sender, finish, tell};
use slm::report::alerts::firing;
use slm::report::slack::{Say, steps};
use slm::world::{ErrorClass, Notifier, WorldError};

use crate::slack_server::{CHANNEL, HOOK, Slack, TOKEN};
use crate::support::{World, git, shown};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn settings() -> NotifySettings {
    NotifySettings {
        environment: "prod".to_owned(),
        link: Some("https://git.example.com/evidence/blob/{commit}/{path}".to_owned()),
        confidential: vec!["acme/board/".to_owned()],
        quiet: Vec::new(),
        zone: Zone::utc(),
        report: true,
        mention: [("platform".to_owned(), "S0123ABCD".to_owned())].into(),
        base_url: None,
        way: NotifyWay::Slack(SlackWay::Bot { channel: CHANNEL.to_owned(), token: Credentials::Env("T".to_owned()) }),
    }
}

fn alerts() -> Vec<AlertSettings> {
    [AlertOn::Overdue, AlertOn::RotationFailed].map(|on| AlertSettings::new(on, vec!["ops".to_owned()])).into()
}

fn identity(control: &str, resource: &str) -> Identity {
    Identity { control: control.into(), resource: resource.to_owned(), status: Status::NonCompliant }
}

fn finding(control: &str, resource: &str, severity: Severity) -> Finding {
    Finding {
        identity: identity(control, resource),
        title: "Secrets are young".to_owned(),
        severity,
        owner: "platform".to_owned(),
        since: at("2026-11-20T05:00:00Z"),
        measured: Some(Measured { what: "age of created".to_owned(), is: Limit::days(120), limit: Limit::days(90) }),
        because: "no rule permits it".to_owned(),
        next: Next::Run(format!("slm rotate {resource}")),
    }
}

fn gone(control: &str, resource: &str) -> Gone {
    Gone { identity: identity(control, resource), owner: "platform".to_owned(), now: "compliant".to_owned() }
}

/// A run at `now` in which nothing is wrong.
fn clean(run: &str, now: &str) -> Drift {
    let of = |id: &str| Compared {
        id: id.into(),
        at: at(now),
        config: "c0ffee".to_owned(),
        path: format!("runs/{id}.json"),
        commit: slm::record::leaf::hex(&<sha2::Sha256 as sha2::Digest>::digest(id))[..40].to_owned(),
    };
    Drift {
        before: Some(of("r0")),
        unmanaged: Unmanaged { seen: 3, names: vec!["stray".to_owned()] },
        coverage: Coverage { compliant: Share { part: 9, whole: 10 }, ..Coverage::default() },
        ..Drift::of(at(now), of(run))
    }
}

/// Runs in turn: all is clean, a critical finding and a failed rotation come, both go, the next day.
fn story() -> Vec<Drift> {
    let bad = || finding("ROT-01", "db", Severity::Critical);
    let failed = || Failed {
        credential: "key".into(),
        owner: "platform".to_owned(),
        how: "failed",
        why: "the target refused it".to_owned(),
        next: Next::Run("slm resume key".to_owned()),
    };
    vec![
        clean("r1", "2026-11-24T06:00:00Z"),
        clean("r2", "2026-11-24T07:00:00Z"),
        Drift { new: vec![bad()], failed: vec![failed()], ..clean("r3", "2026-11-24T08:00:00Z") },
        Drift { open: vec![bad()], ..clean("r4", "2026-11-24T09:00:00Z") },
        Drift { resolved: vec![gone("ROT-01", "db")], ..clean("r5", "2026-11-24T10:00:00Z") },
        clean("r6", "2026-11-25T06:00:00Z"),
    ]
}

/// What the story leaves in the channel: replies with a dash in front.
const STORY: [&str; 9] = [
    "state:prod:2026-11-24",
    "- details:prod:2026-11-24",
    "- changes:prod:r3",
    "alert overdue",
    "alert failed",
    "- over failed",
    "- changes:prod:r5",
    "- over overdue",
    "state:prod:2026-11-25",
];

fn channel(slack: &Slack) -> Channel {
    Channel::new(Some(&slack.api()), CHANNEL, Some(Secret::new(TOKEN.as_bytes().to_vec()))).unwrap()
}

/// A process that ends at one of the things it does to the world: before it takes effect, or after.
struct Process<'a> {
    inner: &'a dyn Notifier,
    /// How many it does before it ends.
    ends: usize,
    after: bool,
    done: AtomicUsize,
}

impl<'a> Process<'a> {
    fn whole(inner: &'a dyn Notifier) -> Self {
        Self { inner, ends: usize::MAX, after: false, done: AtomicUsize::new(0) }
    }

    /// Whether it goes on: before, and after what it does now.
    fn step(&self) -> (bool, bool) {
        let number = self.done.fetch_add(1, Ordering::Relaxed);
        match number.cmp(&self.ends) {
            std::cmp::Ordering::Less => (true, true),
            std::cmp::Ordering::Equal => (self.after, false),
            std::cmp::Ordering::Greater => (false, false),
        }
    }

    fn ended() -> WorldError {
        WorldError { class: ErrorClass::Transient, operation: "go on".to_owned(), cause: "the process ended".to_owned() }
    }

    async fn doing<T>(&self, work: impl Future<Output = Result<T, WorldError>>) -> Result<T, WorldError> {
        let (before, after) = self.step();
        if !before {
            return Err(Self::ended());
        }
        let done = work.await?;
        if after { Ok(done) } else { Err(Self::ended()) }
    }
}

#[async_trait]
impl Notifier for Process<'_> {
    fn edits(&self) -> bool {
        self.inner.edits()
    }

    async fn show(&self, notice: &Notice, thread: Option<&str>) -> Result<String, WorldError> {
        self.doing(self.inner.show(notice, thread)).await
    }

    async fn change(&self, place: &str, notice: &Notice) -> Result<(), WorldError> {
        self.doing(self.inner.change(place, notice)).await
    }

    async fn find(&self, key: &str, thread: Option<&str>, since: Timestamp) -> Result<Option<String>, WorldError> {
        self.doing(self.inner.find(key, thread, since)).await
    }
}

/// One run of slm: what it was told before is read, and what it tells is kept.
async fn run(process: &Process<'_>, kept: &mut Told, drift: &Drift, settings: &NotifySettings) -> Result<(), WorldError> {
    let mut told = kept.clone();
    let mut keep = |told: &Told| {
        let (before, after) = process.step();
        if before {
            *kept = told.clone();
        }
        if after { Ok(()) } else { Err(Process::ended()) }
    };
    let today = settings.zone.day(drift.at);
    finish(process, &mut told, today, &mut keep).await?;
    // What was told already is compared with itself.
    let same = told.run.as_ref() == Some(&drift.run.id);
    let open = [&drift.open[..], &drift.new].concat();
    let drift = &if same { Drift { open, new: Vec::new(), resolved: Vec::new(), ..drift.clone() } } else { drift.clone() };
    let alerts = firing(drift, &alerts(), "ops");
    let all = steps(&Say { drift, settings, told: &told, alerts, edits: process.edits(), asked: false });
    let sender = Sender { run: drift.run.id.clone(), at: drift.at, date: today };
    tell(process, &mut told, all, &sender, &mut keep).await
}

/// Names in place of the hashes of alerts.
fn named(keys: Vec<String>, slack: &Slack) -> Vec<String> {
    let name = |key: String, head: &str| match (key.contains("over:alert-"), key.starts_with("alert-")) {
        (true, _) => {
            if key.contains(&failed_key()) {
                "- over failed".to_owned()
            } else {
                "- over overdue".to_owned()
            }
        }
        (_, true) if head.contains("rotation failed") => "alert failed".to_owned(),
        (_, true) => "alert overdue".to_owned(),
        _ => key,
    };
    keys.into_iter().zip(slack.heads()).map(|(key, head)| name(key, &head)).collect()
}

fn failed_key() -> String {
    let firing = firing(&story()[2], &alerts(), "ops");
    firing.into_values().find(|one| one.on == AlertOn::RotationFailed).unwrap().key
}

fn sorted(mut all: Vec<String>) -> Vec<String> {
    all.sort();
    all
}

#[tokio::test]
async fn a_day_is_one_message_that_is_edited_with_its_changes_below_it() {
    let slack = Slack::start();
    let (channel, mut kept) = (channel(&slack), Told::default());
    let process = Process::whole(&channel);
    for drift in story() {
        run(&process, &mut kept, &drift, &settings()).await.unwrap();
    }
    let expected = sorted(STORY.iter().map(|one| (*one).to_owned()).chain(["- details:prod:2026-11-25".to_owned()]).collect());
    assert_eq!(sorted(named(slack.keys(), &slack)), expected);
    let (edits, wrong, soon) = slack.with(|state| (state.shown[0].edits, state.wrong.clone(), state.too_soon));
    assert_eq!(
        (edits, wrong, soon),
        (3, Vec::new(), 0),
        "edited when a finding came, when the failure went, and when all was well"
    );
    assert_eq!(slack.heads()[0], "prod 2026-11-24: OK");
    assert_eq!((kept.alerts.len(), &kept.sending), (0, &None));
    // Nothing changed: nothing is called.
    let calls = slack.with(|state| state.calls.len());
    run(&process, &mut kept, &clean("r7", "2026-11-25T07:00:00Z"), &settings()).await.unwrap();
    assert_eq!(slack.with(|state| state.calls.len()), calls);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_a_run_ends_in_everything_is_shown_once() {
    let expected = sorted(STORY.iter().map(|one| (*one).to_owned()).chain(["- details:prod:2026-11-25".to_owned()]).collect());
    let mut tried = Vec::new();
    // The run with the most to tell is ended at each thing that it does, before and after that took effect.
    for ends in 0..8 {
        for after in [false, true] {
            for victim in [0, 2, 4] {
                tried.push(tokio::spawn(ended_at(victim, ends, after)));
            }
        }
    }
    let mut ended = 0;
    for one in tried {
        let (keys, did_end, what) = one.await.unwrap();
        ended += usize::from(did_end);
        assert_eq!(keys, expected, "{what}");
    }
    assert!(ended >= 30, "only {ended} of the runs were ended");
}

/// The story with the run `victim` ended at the thing number `ends` that it does, and begun again a minute later.
async fn ended_at(victim: usize, ends: usize, after: bool) -> (Vec<String>, bool, String) {
    let slack = Slack::start();
    let (channel, mut kept, mut did_end) = (channel(&slack), Told::default(), false);
    for (number, drift) in story().into_iter().enumerate() {
        slack.with(|state| state.now = u64::try_from(drift.at.as_second()).unwrap());
        if number == victim {
            let process = Process { inner: &channel, ends, after, done: AtomicUsize::new(0) };
            did_end = run(&process, &mut kept, &drift, &settings()).await.is_err();
            slack.with(|state| state.now += 60);
        }
        let again = Drift { at: Limit::seconds(60).after(drift.at), ..drift };
        run(&Process::whole(&channel), &mut kept, &again, &settings()).await.unwrap();
    }
    assert_eq!(slack.with(|state| state.wrong.clone()), Vec::<String>::new());
    (sorted(named(slack.keys(), &slack)), did_end, format!("run {victim} ended at {ends}, after: {after}"))
}

#[tokio::test]
async fn a_webhook_tells_everything_at_least_once_and_nothing_is_edited() {
    let slack = Slack::start();
    let address = slack.with(|state| format!("{}{HOOK}", state.root));
    let hook = Hook::new(Some(Secret::new(address.into_bytes()))).unwrap();
    let mut kept = Told::default();
    for drift in &story()[..3] {
        run(&Process::whole(&hook), &mut kept, drift, &settings()).await.unwrap();
    }
    let expected = ["prod 2026-11-24: OK", "prod: +1 new, -0 resolved, =0 open", "prod: a rotation failed", "prod: overdue"];
    // The order of alerts is that of their keys, which are hashes.
    assert_eq!(sorted(slack.heads()), sorted(expected.map(str::to_owned).into()));
    let shown = slack.with(|state| state.shown.len());
    // Nobody can look: what was on its way is sent again.
    let process = Process { inner: &hook, ends: 1, after: true, done: AtomicUsize::new(0) };
    run(&process, &mut kept, &story()[4], &settings()).await.unwrap_err();
    run(&Process::whole(&hook), &mut kept, &story()[4], &settings()).await.unwrap();
    let heads = slack.heads();
    assert_eq!(heads[shown..].iter().filter(|head| head.contains("-1 resolved")).count(), 2, "{heads:?}");
    assert_eq!(slack.with(|state| (state.wrong.clone(), state.too_soon)), (Vec::new(), 0));
}

#[tokio::test]
async fn slack_is_given_the_time_it_asks_for_and_no_more_than_that_is_waited() {
    let slack = Slack::start();
    slack.with(|state| state.once = vec![(429, 2)]);
    let notice = |key: &str| Notice {
        key: key.to_owned(),
        text: "x".to_owned(),
        body: json!({ "text": "x", "blocks": [{ "type": "section", "text": { "type": "mrkdwn", "text": "x" } }] }),
    };
    let (channel, began) = (channel(&slack), std::time::Instant::now());
    channel.show(&notice("a"), None).await.unwrap();
    assert!(began.elapsed() >= std::time::Duration::from_secs(2));
    slack.with(|state| state.always = Some((429, 600)));
    let refused = shown(channel.show(&notice("b"), None).await);
    assert_eq!(refused, (ErrorClass::Transient, "Slack takes no more for 600 s".to_owned()));
    slack.with(|state| state.always = Some((503, 0)));
    assert_eq!(shown(channel.show(&notice("b"), None).await), (ErrorClass::Transient, "HTTP 503".to_owned()));
    slack.with(|state| state.always = None);
    assert_eq!(slack.keys(), ["a"]);
    let gone = channel.change("1.000001", &notice("a")).await;
    assert_eq!(shown(gone), (ErrorClass::NotFound, "Slack says `message_not_found`".to_owned()));
}

#[tokio::test]
async fn the_token_is_in_no_error() {
    let slack = Slack::start();
    let wrong = "xoxb-canary-wrong-token-19c2";
    let notice = Notice { key: "a".to_owned(), text: "x".to_owned(), body: json!({}) };
    let of = |base: String, token: &str| Channel::new(Some(&base), CHANNEL, Some(Secret::new(token.as_bytes().to_vec()))).unwrap();
    let denied = of(slack.api(), wrong).show(&notice, None).await;
    assert_eq!(shown(denied), (ErrorClass::Denied, "Slack says `invalid_auth`".to_owned()));
    let nobody = of("http://127.0.0.1:1/api".to_owned(), wrong).show(&notice, None).await;
    assert_eq!(shown(nobody).0, ErrorClass::Transient);
    let address = format!("http://127.0.0.1:1{HOOK}");
    let hook = Hook::new(Some(Secret::new(address.into_bytes()))).unwrap();
    assert_eq!(shown(hook.show(&notice, None).await), (ErrorClass::Transient, "no answer".to_owned()));
}

#[tokio::test]
async fn what_somebody_deleted_is_shown_anew() {
    let slack = Slack::start();
    let (channel, mut kept) = (channel(&slack), Told::default());
    run(&Process::whole(&channel), &mut kept, &story()[0], &settings()).await.unwrap();
    slack.with(|state| state.shown.clear());
    run(
        &Process::whole(&channel),
        &mut kept,
        &Drift { open: vec![finding("ROT-02", "x", Severity::Low)], ..story()[1].clone() },
        &settings(),
    )
    .await
    .unwrap();
    assert_eq!(slack.keys(), ["state:prod:2026-11-24"]);
}

#[tokio::test]
async fn what_belongs_below_something_deleted_stands_for_itself() {
    let slack = Slack::start();
    let (channel, mut kept) = (channel(&slack), Told::default());
    let story = story();
    for drift in &story[..3] {
        run(&Process::whole(&channel), &mut kept, drift, &settings()).await.unwrap();
    }
    slack.with(|state| state.shown.retain(|one| one.key().starts_with("state:")));
    // The run ends before the reply to an alert that is deleted, and the next one looks for it there.
    let process = Process { inner: &channel, ends: 3, after: false, done: AtomicUsize::new(0) };
    run(&process, &mut kept, &story[3], &settings()).await.unwrap_err();
    run(&Process::whole(&channel), &mut kept, &story[3], &settings()).await.unwrap();
    let over = format!("over:{}:r4", failed_key());
    assert_eq!(slack.keys(), ["state:prod:2026-11-24".to_owned(), over]);
    assert!(kept.sending.is_none() && !kept.alerts.contains_key(&failed_key()), "{kept:?}");
}

/// What a day of hourly runs costs: eight runs in which something came or went, sixteen in which nothing did.
#[tokio::test]
async fn a_day_of_hourly_runs_calls_slack_a_few_times() {
    let slack = Slack::start();
    let (channel, mut kept) = (channel(&slack), Told::default());
    let mut open: Vec<Finding> = Vec::new();
    for hour in 0..24 {
        let mut drift = clean(&format!("r{hour:02}"), &format!("2026-11-24T{hour:02}:05:00Z"));
        drift.open = open.clone();
        match hour {
            3 | 5 | 9 | 11 => drift.new = vec![finding("ROT-02", &format!("s{hour}"), Severity::High)],
            12 | 15 | 18 | 21 => {
                let one = drift.open.remove(0);
                drift.resolved = vec![gone("ROT-02", &one.identity.resource)];
            }
            _ => {}
        }
        open = drift.open.iter().chain(&drift.new).cloned().collect();
        run(&Process::whole(&channel), &mut kept, &drift, &settings()).await.unwrap();
    }
    let calls = slack.with(|state| state.calls.clone());
    let of = |method: &str| calls.iter().filter(|call| *call == method).count();
    println!(
        r#"{{"figure":"slack.calls_per_day","value":{},"unit":"calls","against":"24 hourly runs, 8 of them with a change"}}"#,
        calls.len()
    );
    assert_eq!((of("chat.postMessage"), of("chat.update"), of("conversations.history")), (10, 8, 0));
    assert_eq!(
        slack.with(|state| (state.wrong.clone(), state.too_soon, state.shown.iter().filter(|one| one.thread.is_none()).count())),
        (Vec::new(), 0, 1)
    );
}

/// A config repo that tells `slack`.
fn telling(slack: &Slack) -> World {
    let world = World::scaffolded().with("SLACK_TOKEN", TOKEN);
    let notify = format!(
        "\n[notify.ops]\nkind = \"slack\"\nchannel = \"{CHANNEL}\"\ntoken-env = \"SLACK_TOKEN\"\nenvironment = \"prod\"\nbase-url = \"{}\"\n\n[[alert]]\non = \"rotation-failed\"\nto = [\"ops\"]\n",
        slack.api()
    );
    let settings = world.read("slm.toml") + &notify;
    world.write("slm.toml", &settings);
    world.commit();
    world
}

#[test]
fn a_run_tells_the_channel_and_one_in_which_nothing_changed_calls_nobody() {
    let slack = Slack::start();
    let world = telling(&slack);
    world.slm(&["check"]).exits(0);
    let ran = world.slm(&["apply", "--auto-approve"]).exits(0).says("`ops` was told: ");
    assert!(!ran.out.contains("canary"), "{}", ran.out);
    let heads = slack.heads();
    assert!(heads[0].starts_with("prod 20") && slack.with(|state| state.wrong.is_empty()), "{heads:?}");
    let calls = slack.with(|state| state.calls.len());
    let said = world.slm(&["apply", "--auto-approve", "--format", "json"]).exits(0).json();
    assert_eq!(said["notified"], json!([{ "name": "ops", "messages": 0, "failed": null }]));
    assert_eq!(slack.with(|state| state.calls.len()), calls);
    let kept: Json = serde_json::from_slice(&git(&world.root(), &["show", "slm/evidence-notify:notify/ops.json"])).unwrap();
    assert_eq!(
        (&kept["format"], kept["day"]["place"].as_str()),
        (&json!(1), slack.with(|state| state.shown[0].ts.clone()).as_str().into())
    );
    assert!(!crate::support::contains(&world.git_objects(), "canary-token"));
}

#[test]
fn what_could_not_be_told_is_a_gap_that_the_next_run_closes() {
    let slack = Slack::start();
    let world = telling(&slack);
    slack.with(|state| state.always = Some((503, 0)));
    let ran = world.slm(&["apply", "--auto-approve"]).exits(3);
    let ran = ran.says(
        "! `ops` was not told everything: could not post to channel `C0123456789` of Slack: HTTP 503; the next run tells the rest",
    );
    assert!(ran.out.contains("Recorded as "), "the run is recorded all the same: {}", ran.out);
    slack.with(|state| state.always = None);
    world.slm(&["apply", "--auto-approve"]).exits(0);
    let states = slack.keys().into_iter().filter(|key| key.starts_with("state:prod:")).count();
    assert_eq!(states, 1, "{:?}", slack.keys());
}

#[test]
fn a_report_of_drift_says_first_what_changed_and_whether_to_act() {
    let slack = Slack::start();
    let world = telling(&slack);
    world.slm(&["report", "drift"]).exits(3).says("no run is recorded on slm/evidence; `slm apply` makes one");
    world.slm(&["apply", "--auto-approve"]).exits(0);
    let ran = world.slm(&["report", "drift"]).exits(0);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].starts_with("+0 new, -0 resolved, =0 open since 20"), "{}", lines[0]);
    assert_eq!(lines[1], "Nothing must be done: everything in scope was seen, and no finding is open.");
    let markdown = world.slm(&["report", "drift", "--markdown"]).exits(0).out;
    assert!(
        markdown.starts_with("**+0 new, -0 resolved, =0 open since ") && markdown.contains("\n\n**Nothing must be done"),
        "{markdown}"
    );
    world.slm(&["apply", "--auto-approve"]).exits(0);
    let json = world.slm(&["report", "drift", "--format", "json"]).exits(0).json();
    assert_eq!((&json["new"], &json["open"], json["before"].is_object()), (&json!([]), &json!([]), true));
    let calls = slack.with(|state| state.calls.len());
    world.slm(&["report", "drift", "--to", "slack"]).exits(0).says("`ops` was told: 0 messages.");
    assert_eq!(slack.with(|state| state.calls.len()), calls, "the state of today is shown already");
    world.slm(&["report", "drift", "--to", "opz"]).exits(1).says("there is no notifier `opz`; there are `ops`");
}

/// Slack's own classes for messages.
const JUDGE: &str = r"import sys, json
from slack_sdk.models.blocks import Block
bad = 0
for line in sys.stdin:
    for number, block in enumerate(json.loads(line)['blocks']):
        try:
            parsed = Block.parse(block)
            if parsed is None: raise ValueError('unknown type %r' % block.get('type'))
            parsed.validate_json()
        except Exception as error:
            print(number, error); bad = 1
sys.exit(bad)
";

#[test]
fn the_classes_of_slack_take_every_message() {
    let hostile = ["<!channel>", "*x* `y` _z_", "acme/board/ceo", "a&b<c>", "\u{202e}x", &"long".repeat(400)];
    let many: Vec<Finding> =
        (0..200).map(|number| finding("ROT-02", &format!("{}{number}", hostile[number % hostile.len()]), Severity::High)).collect();
    let mut all = story();
    all.push(Drift { new: many.clone(), resolved: vec![gone("ROT-01", hostile[0]); 80], ..clean("r8", "2026-11-26T06:00:00Z") });
    all.push(Drift { open: many, notes: vec![hostile[1].to_owned()], ..clean("r9", "2026-11-27T06:00:00Z") });
    let told = Told { run: Some("r0".into()), ..Told::default() };
    let mut messages = String::new();
    for drift in &all {
        for edits in [true, false] {
            let alerts: BTreeMap<_, _> = firing(drift, &alerts(), "ops");
            for step in steps(&Say { drift, settings: &settings(), told: &told, alerts, edits, asked: true }) {
                assert_eq!(crate::slack_server::valid(&step.notice.body, false), Ok(()));
                messages.push_str(&step.notice.body.to_string());
                messages.push('\n');
            }
        }
    }
    assert!(messages.lines().count() > 30, "{} messages", messages.lines().count());
    judged(&messages);
}

/// Has Slack's own classes judge `messages`, one in a line.
pub fn judged(messages: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/emulators.sh");
    let path = Command::new(script).args(["path", "slack"]).output().unwrap();
    assert!(path.status.success(), "slack is not installed: run `scripts/emulators.sh install`");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("messages.jsonl");
    fs::write(&file, messages).unwrap();
    let python = String::from_utf8(path.stdout).unwrap();
    let judged = Command::new(python.trim()).args(["-c", JUDGE]).stdin(fs::File::open(&file).unwrap()).output().unwrap();
    assert!(judged.status.success(), "{}{}", String::from_utf8_lossy(&judged.stdout), String::from_utf8_lossy(&judged.stderr));
}
