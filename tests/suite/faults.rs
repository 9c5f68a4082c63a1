//! One loop for every kind: each fault at each call, and the next run has to end it as if nothing had been.
//!
//! What is called stands behind a proxy, or behind a program that stands before another; both count calls and meet one of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use slm::consumers::self_refreshing::SelfRefreshing;
use slm::model::catalog::SecretRef;
use slm::model::outcome::Fate;
use slm::model::rotator::RotatorConfig;
use slm::model::secret::Secret;
use slm::transport::secrets_manager_store::SecretsManagerStore;
use slm::world::{Consumer, WorldError};

use crate::aws::config;
use crate::aws_proxy::{Fault, Proxy, asks};
use crate::killed::say;
use crate::kinds::{Kind, Rig};
use crate::support::{Server, at};

/// What is thrown at calls over HTTP.
pub const OVER_HTTP: [Fault; 9] = [
    Fault::RequestLost,
    Fault::AnswerLost,
    Fault::Twice,
    Fault::Refused(403, "AccessDenied"),
    Fault::Refused(429, "ThrottlingException"),
    Fault::Refused(500, "InternalFailure"),
    Fault::Late(30),
    Fault::Overtaken,
    Fault::Stale,
];

/// Those of which a consumer that loses what is sent and what is answered may know nothing yet.
pub const OUT_OF_ORDER: [Fault; 5] =
    [Fault::Twice, Fault::Refused(403, "AccessDeniedException"), Fault::Late(30), Fault::Overtaken, Fault::Stale];

/// What is thrown at programs, which are told nothing twice and asked nothing that is older than they are. What they end with is one way
/// to refuse.
pub const OF_PROGRAMS: [Fault; 5] =
    [Fault::RequestLost, Fault::AnswerLost, Fault::Refused(77, ""), Fault::Refused(75, ""), Fault::Late(30)];

/// What a rotator's program replies, the other way: each class that there is.
pub const REPLIED: [Fault; 6] = [
    Fault::Refused(0, "denied"),
    Fault::Refused(0, "conflict"),
    Fault::Refused(0, "unfit"),
    Fault::Refused(0, "not-found"),
    Fault::Refused(0, "transient"),
    Fault::Refused(0, "permanent"),
];

/// Something that can be called, and loses what it is told to.
pub trait Calls {
    /// Forgets the calls so far, and lets `fault` happen to the call with that number from now.
    fn begin(&self, fault: Option<(usize, Fault)>);

    /// The names of the calls since then.
    fn calls(&self) -> Vec<String>;
}

impl Calls for Proxy {
    fn begin(&self, fault: Option<(usize, Fault)>) {
        Self::begin(self, fault);
    }

    fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }
}

/// A program that stands before another, in a folder of its own.
pub struct Before(PathBuf);

/// Writes down which step each call asks for; at the call that is named it ends without the other program, replies that it refuses, throws
/// its reply away, or comes later.
const SCRIPT: &str = r#"at=$1
shift
read -r request
calls=0
while read -r _; do calls=$((calls + 1)); done < "$at/calls"
step=${request#*'"step":"'}
[ "$step" = "$request" ] && step=${request#*'"do":"'}
printf '%s\n' "${step%%'"'*}" >> "$at/calls"
read -r number fault class < "$at/fault"
[ "$calls" = "$number" ] || fault=none
case $fault in
request-lost) exit 1 ;;
late) sleep 0.03 ;;
none | answer-lost) ;;
0) printf '{"error":{"class":"%s","code":"so-it-is"}}' "$class"; exit ;;
*) exit "$fault" ;;
esac
[ "$fault" = answer-lost ] || exec "$@" <<END
$request
END
"$@" > /dev/null <<END
$request
END
exit 1
"#;

impl Before {
    pub fn new(folder: &Path) -> Self {
        std::fs::write(folder.join("before.sh"), SCRIPT).unwrap();
        let before = Self(folder.to_owned());
        before.begin(None);
        before
    }

    /// `command` behind it.
    pub fn command(&self, command: &[String]) -> Vec<String> {
        let own = ["sh".to_owned(), self.0.join("before.sh").display().to_string(), self.0.display().to_string()];
        [own.as_slice(), command].concat()
    }
}

impl Calls for Before {
    fn begin(&self, fault: Option<(usize, Fault)>) {
        let word = |fault| match fault {
            Fault::RequestLost => "request-lost".to_owned(),
            Fault::AnswerLost => "answer-lost".to_owned(),
            Fault::Late(_) => "late".to_owned(),
            Fault::Refused(status, class) => format!("{status} {class}"),
            Fault::Twice | Fault::Overtaken | Fault::Stale => unreachable!("no program is called so"),
        };
        let text = fault.map_or("- none".to_owned(), |(number, fault)| format!("{number} {}", word(fault)));
        std::fs::write(self.0.join("fault"), text + "\n").unwrap();
        std::fs::write(self.0.join("calls"), "").unwrap();
    }

    fn calls(&self) -> Vec<String> {
        std::fs::read_to_string(self.0.join("calls")).unwrap().lines().map(str::to_owned).collect()
    }
}

/// What became of the runs that met a fault.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Met {
    /// They ended all the same.
    pub ended: usize,
    /// The next one ended it.
    pub again: usize,
    /// Calls that met one and are no questions.
    pub changes: BTreeSet<String>,
}

impl Met {
    /// One more, which ended `at_once` or not.
    pub fn note(&mut self, at_once: bool) {
        if at_once {
            self.ended += 1;
        } else {
            self.again += 1;
        }
    }

    /// Prints what became of them as a figure of `kind`.
    pub fn tell(&self, kind: &str) {
        let (runs, ended, again) = (self.ended + self.again, self.ended, self.again);
        // What is measured is found by how its line begins.
        say(format_args!(
            "{{\"figure\": \"faults.{kind}.runs\", \"value\": {runs}, \"unit\": \"runs\", \
             \"against\": \"{ended} ended all the same, {again} by the next run; 0 lost anything\"}}"
        ));
    }
}

/// The numbers of those of `calls` that `fault` happens to, the `turn`th of several: each that changes something, and every `every`th
/// question. Only a question can be answered as before.
pub fn chosen(calls: &[String], (turn, fault): (usize, Fault), every: usize) -> Vec<usize> {
    let question = |number: &usize| asks(&calls[*number]) || ["list", "verify", "reread"].contains(&calls[*number].as_str());
    let (questions, changes): (Vec<usize>, Vec<usize>) = (0..calls.len()).partition(question);
    let changes = if fault == Fault::Stale { Vec::new() } else { changes };
    questions.into_iter().skip(turn % every).step_by(every).chain(changes).collect()
}

#[test]
fn whatever_is_left_out_of_a_sample_changes_nothing() {
    let calls = ["List", "Put", "Get", "Get", "GET", "DELETE", "Get"].map(str::to_owned);
    assert_eq!(chosen(&calls, (0, Fault::Twice), 3), [0, 4, 1, 5]);
    assert_eq!(chosen(&calls, (4, Fault::Twice), 3), [2, 6, 1, 5]);
    assert_eq!(chosen(&calls, (9, Fault::Stale), 3), [0, 4]);
    assert_eq!(chosen(&calls, (9, Fault::Late(1)), 1).len(), calls.len());
    assert_eq!(chosen(&["list", "install", "verify"].map(str::to_owned), (1, Fault::RequestLost), 2), [2, 1]);
}

/// Throws each of `faults` at each call of `run`, in a world that `made` makes for it; runs until that ends, and once more, which has to
/// change nothing; then `check` looks.
pub async fn thrown<C: Calls, W>(
    kind: &str,
    faults: &[Fault],
    made: impl AsyncFn() -> (C, W),
    run: impl AsyncFn(&W) -> Result<(), WorldError>,
    check: impl AsyncFn(&W, Fault, &str),
) -> Met {
    let mut met = Met::default();
    for fault in faults {
        for number in 0.. {
            let (calls, world) = made().await;
            let when = format!("{kind}: {fault:?} at call {number}");
            let first = meets(&calls, (number, *fault), run(&world), &when).await;
            let Some(first) = first else {
                assert!(number > 0, "{kind}: nothing is called");
                break;
            };
            met.note(ended(first, &run, &world, &when).await);
            check(&world, *fault, &when).await;
        }
    }
    met.tell(kind);
    met
}

/// The same at each call that changes something, and at every `every`th question.
pub async fn thrown_at_changes<C: Calls, W>(
    (kind, faults, every): (&str, &[Fault], usize),
    made: impl AsyncFn() -> (C, W),
    run: impl AsyncFn(&W) -> Result<(), WorldError>,
    check: impl AsyncFn(&W, Fault, &str),
) -> Met {
    let (calls, world) = made().await;
    calls.begin(None);
    run(&world).await.unwrap();
    let whole = calls.calls();
    let mut met = Met::default();
    for (turn, fault) in faults.iter().enumerate() {
        for number in chosen(&whole, (turn, *fault), every) {
            let (calls, world) = made().await;
            let when = format!("{kind}: {fault:?} at call {number}, {}", whole[number]);
            let first = meets(&calls, (number, *fault), run(&world), &when).await.expect("there is such a call");
            met.note(ended(first, &run, &world, &when).await);
            check(&world, *fault, &when).await;
            if chosen(&whole[number..=number], (0, Fault::Stale), 1).is_empty() {
                met.changes.insert(whole[number].clone());
            }
        }
    }
    met.tell(kind);
    met
}

/// A run that meets a fault; `None` when it has no such call.
async fn meets<C: Calls>(
    calls: &C,
    (number, fault): (usize, Fault),
    run: impl Future<Output = Result<(), WorldError>>,
    when: &str,
) -> Option<Result<(), WorldError>> {
    calls.begin(Some((number, fault)));
    let first = run.await;
    if calls.calls().len() <= number {
        first.unwrap_or_else(|error| panic!("{when}: nothing was lost, and yet {error}"));
        return None;
    }
    calls.begin(None);
    Some(first)
}

/// What a run came to, gone on from until it ends, and made once more; true when it ended at once.
async fn ended<W>(first: Result<(), WorldError>, run: &impl AsyncFn(&W) -> Result<(), WorldError>, world: &W, when: &str) -> bool {
    let at_once = first.is_ok();
    if let Err(error) = first {
        assert!(!format!("{error} {error:?}").contains("canary"), "{when}: {error}");
        until_it_ends(run, world, when).await;
    }
    run(world).await.unwrap_or_else(|error| panic!("{when}: it is not so once more: {error}"));
    at_once
}

async fn until_it_ends<W>(run: &impl AsyncFn(&W) -> Result<(), WorldError>, world: &W, when: &str) {
    for _ in 0..4 {
        match run(world).await {
            Ok(()) => return,
            Err(error) => assert!(!format!("{error} {error:?}").contains("canary"), "{when}: {error}"),
        }
    }
    panic!("{when}: it does not end");
}

/// Throws each of `faults` at each call of a rotation of `kind` that changes something and at every `every`th question, each in a further
/// rotation of one world. Gives what became of them, and everything that was told.
pub async fn thrown_at_kind(
    config: &RotatorConfig,
    calls: &dyn Calls,
    kind: &dyn Kind,
    faults: &[Fault],
    every: usize,
) -> (Met, String) {
    let rig = Rig::new(config.clone());
    let mut met = Met::default();
    rig.settle(kind, None, "the first").await;
    let run = async |fault| {
        let generation = rig.current().await;
        calls.begin(fault);
        let (outcome, _) = rig.run(kind, generation.as_ref(), crate::kinds::Fault::never()).await;
        let seen = calls.calls();
        calls.begin(None);
        (generation, matches!(outcome.fate, Fate::Done), seen)
    };
    let (_, done, whole) = run(None).await;
    assert!(done, "{}: nothing is lost, and yet it does not end", config.kind());
    for (turn, fault) in faults.iter().enumerate() {
        for number in chosen(&whole, (turn, *fault), every) {
            let context = format!("{}: {fault:?} at call {number}, {}", config.kind(), whole[number]);
            let (generation, done, seen) = run(Some((number, *fault))).await;
            assert_eq!(seen.get(number), Some(&whole[number]), "{context}: the calls are others");
            rig.alive(kind, &context).await;
            rig.settle(kind, generation.as_ref(), &context).await;
            met.note(done);
            if chosen(&whole[number..=number], (0, Fault::Stale), 1).is_empty() {
                met.changes.insert(whole[number].clone());
            }
        }
    }
    let told = rig.told.lock().unwrap().clone();
    (met, told)
}

#[tokio::test]
async fn a_reader_of_the_store_is_asked_again_and_nothing_is_sent_to_it() {
    let server = Server::moto();
    let straight = config(&server.endpoint, "eu-west-1", None).await;
    let client = aws_sdk_secretsmanager::Client::new(&straight);
    let made = client.create_secret().name("read").secret_string("x").send().await.unwrap().version_id.unwrap();
    let reader = async || {
        let proxy = Proxy::before(&server.endpoint);
        let through = config(&proxy.endpoint, "eu-west-1", None).await.into_builder();
        let once = through.retry_config(aws_config::retry::RetryConfig::disabled()).build();
        let store = Arc::new(SecretsManagerStore::new().with("prod".into(), "eu-west-1", &once));
        let secret = SecretRef { source: "prod".into(), region: "eu-west-1".to_owned(), name: "read".to_owned() };
        (proxy.clone(), (proxy, SelfRefreshing::new(store, secret)))
    };
    let value = Secret::new(b"x".to_vec());
    let met = thrown(
        "self-refreshing",
        &OVER_HTTP,
        reader,
        async |(_, reader)| {
            reader.deliver(&made.as_str().into(), &value).await?;
            reader.activate(&made.as_str().into()).await
        },
        async |(proxy, reader), _, when| {
            assert_eq!(reader.observe().await.unwrap(), at(Some(&made), Some(&made)), "{when}");
            let writes = proxy.state().calls.iter().filter(|call| call.starts_with("Put") || call.starts_with("Update")).count();
            assert_eq!(writes, 0, "{when}");
        },
    )
    .await;
    assert!(met.again >= 4 && met.ended >= 4, "{met:?}");
}
