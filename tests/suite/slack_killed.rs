//! The built binary is killed at every call that it makes while it tells Slack, to Slack and to git; and two of them tell at once. Whatever
//! happens, after the next run everything was told and nothing is shown twice.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value as Json;
use slm::model::time::Timestamp;

use crate::slack_server::{CHANNEL, Shown, Slack, TOKEN};
use crate::support::{Ran, World, ended, git};

const KEY: &str = "credentials/session-key.toml";
const RULES: &str = "policies/rot.cedar";
const PATH: &str = "path = \"run/session.env\"";
/// It can be written there, and is never taken into use.
const UNUSED: &str = "reload = [\"false\"], path = \"run/other.env\"";
const OWNED: &str = "resource.owner != \"\"";

/// A `git` that counts what it is asked for, and ends who asks at the call that is written in a file beside it: before it takes effect,
/// or after.
const GIT: &str = r#"#!/bin/sh
here=$(dirname "$0")
n=$(cat "$here/count" 2>/dev/null || echo 0)
echo $((n + 1)) > "$here/count"
if [ "$n" = "$(cat "$here/at" 2>/dev/null)" ]; then
  rm "$here/at"
  [ -e "$here/after" ] && @GIT@ "$@"
  kill -9 $PPID
  exit 1
fi
exec @GIT@ "$@"
"#;

/// The zone in which it is day now, so that no midnight comes between two runs.
pub fn daylight() -> &'static str {
    let hour = Timestamp::now().strftime("%H").to_string().parse::<u8>().unwrap();
    if hour < 12 { "Etc/GMT-6" } else { "Etc/GMT+6" }
}

/// `[notify.ops]` at `slack`, and its alerts.
pub fn notifier(slack: &Slack) -> String {
    format!(
        "\n[notify.ops]\nkind = \"slack\"\nchannel = \"{CHANNEL}\"\ntoken-env = \"SLACK_TOKEN\"\nenvironment = \"prod\"\n\
         zone = \"{}\"\nbase-url = \"{}\"\n\n[[alert]]\non = \"rotation-failed\"\nto = [\"ops\"]\n\n[[alert]]\non = \"overdue\"\n\
         severity = \"medium\"\nto = [\"ops\"]\n",
        daylight(),
        slack.api()
    )
}

/// A config repo with a remote whose first run was told, and a `git` that can be told to kill.
struct Killed {
    slack: Slack,
    world: World,
}

/// Whose call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Slack,
    Git,
}

/// The call at which a process is killed.
#[derive(Clone, Copy, Debug)]
struct At {
    of: Of,
    number: usize,
    after: bool,
}

impl Killed {
    fn new() -> Self {
        let slack = Slack::start();
        let world = World::new();
        let bin = world.outside("bin");
        fs::create_dir(&bin).unwrap();
        let path = std::env::var("PATH").unwrap();
        let real = std::env::split_paths(&path).map(|folder| folder.join("git")).find(|program| program.exists()).unwrap();
        fs::write(bin.join("git"), GIT.replace("@GIT@", real.to_str().unwrap())).unwrap();
        fs::set_permissions(bin.join("git"), fs::Permissions::from_mode(0o755)).unwrap();
        let world = world.with("SLACK_TOKEN", TOKEN).with("PATH", &format!("{}:{path}", bin.display()));
        world.slm(&["init"]).exits(0);
        world.edit("slm.toml", "branch = \"slm/evidence\"", "remote = \"origin\"\nbranch = \"slm/evidence\"");
        world.write("slm.toml", &(world.read("slm.toml") + &notifier(&slack)));
        world.commit();
        let origin = world.outside("origin.git");
        git(&world.root(), &["init", "-q", "--bare", origin.to_str().unwrap()]);
        git(&world.root(), &["remote", "add", "origin", origin.to_str().unwrap()]);
        world.slm(&["apply", "--auto-approve"]).exits(0).says("`ops` was told: ");
        Self { slack, world }
    }

    /// A policy that the secret does not meet any more, and a consumer that takes nothing into use.
    fn worse(&self) {
        self.world.edit(RULES, OWNED, "resource.owner == \"nobody\"");
        self.world.edit(KEY, PATH, UNUSED);
        self.world.commit();
    }

    fn better(&self) {
        self.world.edit(RULES, "resource.owner == \"nobody\"", OWNED);
        self.world.edit(KEY, UNUSED, PATH);
        self.world.commit();
    }

    /// One run, killed at `at`; how many calls of either kind it made, and whether it was killed.
    fn run(&self, at: Option<At>) -> ([usize; 2], bool) {
        let bin = self.world.outside("bin");
        fs::write(bin.join("count"), "0").unwrap();
        for left in ["at", "after"] {
            let _ = fs::remove_file(bin.join(left));
        }
        if let Some(At { of: Of::Git, number, after }) = at {
            fs::write(bin.join("at"), number.to_string()).unwrap();
            if after {
                fs::write(bin.join("after"), "").unwrap();
            }
        }
        // What was shown is looked for by the clock of the run that showed it.
        let calls = self.slack.with(|state| {
            state.now = u64::try_from(Timestamp::now().as_second()).unwrap();
            state.calls.len()
        });
        let ran = self.world.slm_watched(&["apply", "--auto-approve"], |process| {
            if let Some(At { of: Of::Slack, number, after }) = at {
                self.slack.with(|state| state.kill = Some((process, number, after)));
            }
        });
        self.slack.with(|state| state.kill = None);
        let calls = self.slack.with(|state| state.calls.len()) - calls;
        let asked = fs::read_to_string(bin.join("count")).unwrap().trim().parse().unwrap();
        ([calls, asked], ran.is_none())
    }

    /// What a notifier was told, as the remote has it.
    fn told(&self) -> Json {
        told(&self.world)
    }
}

fn told(world: &World) -> Json {
    serde_json::from_slice(&git(&world.outside("origin.git"), &["show", "slm/evidence-notify:notify/ops.json"])).unwrap()
}

/// What each message is, without the run and the hash in its key, and its header; sorted.
fn shown(slack: &Slack) -> Vec<String> {
    let kind = |one: &Shown| {
        let below = if one.thread.is_some() { "- " } else { "" };
        format!("{below}{}: {}", one.key().split([':', '-']).next().unwrap(), head(one))
    };
    let mut all: Vec<String> = slack.with(|state| state.shown.iter().map(kind).collect());
    all.sort();
    all
}

/// The header without the day of a state.
fn head(one: &Shown) -> String {
    match one.key().strip_prefix("state:prod:") {
        Some(day) => one.head().replace(day, "TODAY"),
        None => one.head().to_owned(),
    }
}

/// Keys of all messages: none is there twice.
fn unique(slack: &Slack) -> bool {
    let mut keys = slack.keys();
    let all = keys.len();
    keys.sort();
    keys.dedup();
    keys.len() == all
}

/// After the world became worse.
const WORSE: [&str; 4] = [
    "- changes: prod: +1 new, -0 resolved, =0 open",
    "alert: prod: a rotation failed",
    "alert: prod: overdue",
    "state: prod TODAY: ACT",
];
/// And better again.
const BETTER: [&str; 7] = [
    "- changes: prod: +0 new, -1 resolved, =0 open",
    "- changes: prod: +1 new, -0 resolved, =0 open",
    "- over: Over after",
    "- over: Over after",
    "alert: prod: over: a rotation failed",
    "alert: prod: over: overdue",
    "state: prod TODAY: OK",
];

/// Both kinds of run, each killed at `at` and run again; how many calls each made, and which were killed.
fn story(at: Option<At>) -> ([[usize; 2]; 2], [bool; 2]) {
    let it = Killed::new();
    let (mut calls, mut killed) = ([[0; 2]; 2], [false; 2]);
    for (number, expected) in [WORSE.as_slice(), &BETTER].into_iter().enumerate() {
        if number == 0 {
            it.worse()
        } else {
            it.better()
        }
        (calls[number], killed[number]) = it.run(at);
        it.run(None);
        // How long it lasted depends on the machine.
        let seen: Vec<String> = shown(&it.slack)
            .into_iter()
            .map(|one| one.split_once(" after ").map_or(one.clone(), |(head, _)| format!("{head} after")))
            .collect();
        assert_eq!(seen, expected, "{at:?} of run {number}");
        assert!(unique(&it.slack), "{at:?} of run {number}: {:?}", it.slack.keys());
        let told = it.told();
        assert!(told["sending"].is_null(), "{at:?} of run {number}: {told:#}");
        assert_eq!(told["alerts"].as_object().unwrap().len(), [2, 0][number], "{at:?} of run {number}");
    }
    // Nothing is left to say.
    let ([calls_then, _], _) = it.run(None);
    assert_eq!(calls_then, 0, "{at:?}");
    assert_eq!(it.slack.with(|state| state.wrong.clone()), Vec::<String>::new());
    (calls, killed)
}

/// Every story of `all`, six at a time.
fn stories(all: &[At]) -> Vec<(At, [bool; 2])> {
    let (queue, done) = (Mutex::new(all.iter().copied()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some(at) = { queue.lock().unwrap().next() } {
                    let (_, killed) = story(Some(at));
                    done.lock().unwrap().push((at, killed));
                }
            });
        }
    });
    done.into_inner().unwrap()
}

/// A run that is killed at any call of a kind, of which one run makes `least` at the least: before it and, where `after`, after it as well.
fn killed_at_any(of: Of, least: usize, after: &[bool]) {
    let (calls, killed) = story(None);
    assert_eq!(killed, [false, false]);
    let made: Vec<usize> = calls.iter().map(|[slack, git]| if of == Of::Slack { *slack } else { *git }).collect();
    let most = *made.iter().max().unwrap();
    assert!(most >= least, "{calls:?}");
    let all: Vec<At> = (0..most).flat_map(|number| after.iter().map(move |after| At { of, number, after: *after })).collect();
    let ends = stories(&all);
    let killed = ends.iter().flat_map(|(_, killed)| killed).filter(|killed| **killed).count();
    assert_eq!(killed, after.len() * made.iter().sum::<usize>(), "{ends:?}");
}

#[test]
fn a_run_that_is_killed_at_any_call_to_slack_leaves_everything_told_once_after_the_next() {
    killed_at_any(Of::Slack, 4, &[false, true]);
}

/// What a call to git left behind is what the next finds, or the next to Slack, around each of which it is killed as well.
#[test]
fn a_run_that_is_killed_before_any_call_to_git_leaves_everything_told_once_after_the_next() {
    killed_at_any(Of::Git, 8, &[false]);
}

/// Another clone of the config repo of `it`, with the same vault, the same remote and the same channel.
fn clone(it: &Killed) -> World {
    let world = World::new().with("SLACK_TOKEN", TOKEN);
    let outside = it.world.outside("origin.git");
    git(&it.world.root(), &["push", "-q", "origin", "main"]);
    let folder = world.root();
    fs::remove_dir(&folder).unwrap();
    git(world.outside("").as_path(), &["clone", "-q", "-b", "main", outside.to_str().unwrap(), folder.to_str().unwrap()]);
    git(&folder, &["fetch", "-q", "origin", "slm/evidence:slm/evidence"]);
    world
}

#[test]
fn of_two_runs_that_tell_at_once_one_tells_and_the_other_leaves_it_to_the_next() {
    let it = Killed::new();
    // Both see the same: the vault and what is delivered lie outside of either clone.
    for (name, there) in [("vault.age", "vault.age"), ("../slm.age-identity", "slm.age-identity")] {
        let outside = it.world.outside(there);
        if name == "vault.age" {
            fs::rename(it.world.root().join(name), &outside).unwrap();
        }
        it.world.edit("slm.toml", &format!("\"{name}\""), &format!("\"{}\"", outside.display()));
    }
    it.world.commit();
    it.world.slm(&["apply", "--auto-approve"]);
    it.worse();
    let other = clone(&it);
    // Whoever tells first is kept at it until the other has come and gone.
    it.slack.with(|state| state.always = Some((429, 1)));
    let mut both = [&it.world, &other].map(|world| world.start(&["apply", "--auto-approve"]));
    while both.iter_mut().all(|child| child.try_wait().unwrap().is_none()) {
        std::thread::sleep(Duration::from_millis(20));
    }
    it.slack.with(|state| state.always = None);
    let both: Vec<Ran> = both.map(ended).into();
    let waits: Vec<&Ran> = both.iter().filter(|ran| ran.out.contains("tells it just now; the next run tells the rest")).collect();
    let said: String = both.iter().map(|ran| format!("{}{}", ran.out, ran.err)).collect();
    assert_eq!(waits.len(), 1, "{said}");
    // Six where it is the one whose delivery failed.
    assert!([3, 6].contains(&waits[0].code), "{said}");
    it.world.slm(&["apply", "--auto-approve"]);
    other.slm(&["apply", "--auto-approve"]);
    assert_eq!(shown(&it.slack), WORSE);
    assert!(unique(&it.slack), "{:?}", it.slack.keys());
    assert!(told(&it.world)["sending"].is_null());
}
