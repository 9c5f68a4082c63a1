//! One loop for every kind: each fault at each call, and the next run has to end it as if nothing had been.
//!
//! What is called stands behind a proxy, or behind a program that stands before another; both count calls and meet one of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use slm::consumers::self_refreshing::SelfRefreshing;
use slm::model::catalog::SecretRef;
use slm::model::rotator::RotatorConfig;
use slm::model::secret::Secret;
use slm::transport::secrets_manager_store::SecretsManagerStore;
use slm::world::{Consumer, WorldError};

use crate::aws::config;
use crate::aws_proxy::{Fault, Proxy};
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

/// What is thrown at programs, which are told nothing twice and asked nothing that is older than they are.
pub const OF_PROGRAMS: [Fault; 5] =
    [Fault::RequestLost, Fault::AnswerLost, Fault::Refused(403, ""), Fault::Refused(500, ""), Fault::Late(30)];

/// Something that can be called, and loses what it is told to.
pub trait Calls {
    /// Forgets the calls so far, and lets `fault` happen to the call with that number from now.
    fn begin(&self, fault: Option<(usize, Fault)>);

    /// Calls since then.
    fn count(&self) -> usize;
}

impl Calls for Proxy {
    fn begin(&self, fault: Option<(usize, Fault)>) {
        Self::begin(self, fault);
    }

    fn count(&self) -> usize {
        self.state().calls.len()
    }
}

/// A program that stands before another, in a folder of its own.
pub struct Before(PathBuf);

/// Counts its calls; at the one that is named it ends without the other program, with its reply thrown away, or later.
const SCRIPT: &str = r#"at=$1
shift
calls=$(cat "$at/calls" 2>/dev/null || echo 0)
echo $((calls + 1)) > "$at/calls"
read -r number fault < "$at/fault"
[ "$calls" = "$number" ] || exec "$@"
case $fault in
request-lost) exit 1 ;;
answer-lost) "$@" > /dev/null; exit 1 ;;
late) sleep 0.03; exec "$@" ;;
*) exit "$fault" ;;
esac
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
            Fault::RequestLost => "request-lost",
            Fault::AnswerLost => "answer-lost",
            Fault::Late(_) => "late",
            Fault::Refused(403, _) => "77",
            Fault::Refused(..) => "75",
            Fault::Twice | Fault::Overtaken | Fault::Stale => unreachable!("no program is called so"),
        };
        let text = fault.map_or("- none".to_owned(), |(number, fault)| format!("{number} {}", word(fault)));
        std::fs::write(self.0.join("fault"), text + "\n").unwrap();
        std::fs::write(self.0.join("calls"), "0\n").unwrap();
    }

    fn count(&self) -> usize {
        std::fs::read_to_string(self.0.join("calls")).unwrap().trim().parse().unwrap()
    }
}

/// What became of the runs that met a fault.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Met {
    /// They ended all the same.
    pub ended: usize,
    /// The next one ended it.
    pub again: usize,
}

impl Met {
    fn tell(self, kind: &str) -> Self {
        let figure = format!("faults.{kind}.runs");
        let against = format!("{} ended all the same, {} by the next run; 0 lost anything", self.ended, self.again);
        println!("{}", json!({ "figure": figure, "value": self.ended + self.again, "unit": "runs", "against": against }));
        self
    }
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
            calls.begin(Some((number, *fault)));
            let first = run(&world).await;
            if calls.count() <= number {
                first.unwrap_or_else(|error| panic!("{when}: nothing was lost, and yet {error}"));
                assert!(number > 0, "{kind}: nothing is called");
                break;
            }
            calls.begin(None);
            match first {
                Ok(()) => met.ended += 1,
                Err(error) => {
                    assert!(!format!("{error} {error:?}").contains("canary"), "{when}: {error}");
                    met.again += 1;
                    until_it_ends(&run, &world, &when).await;
                }
            }
            run(&world).await.unwrap_or_else(|error| panic!("{when}: it is not so once more: {error}"));
            check(&world, *fault, &when).await;
        }
    }
    met.tell(kind)
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

/// Throws each of `faults` at every `every`th call of a rotation of `kind`, each in a further rotation of one world. Gives what became of
/// them, and everything that was told.
pub async fn thrown_at_kind(
    config: &RotatorConfig,
    calls: &dyn Calls,
    kind: &dyn Kind,
    faults: &[Fault],
    every: usize,
) -> (Met, String) {
    let rig = Rig::new(config.clone());
    let mut met = Met::default();
    calls.begin(None);
    rig.settle(kind, None, "the first").await;
    for fault in faults {
        for number in (0..).step_by(every) {
            let context = format!("{}: {fault:?} at call {number}", config.kind());
            let generation = rig.current().await;
            calls.begin(Some((number, *fault)));
            let (outcome, _) = rig.run(kind, generation.as_ref(), crate::kinds::Fault::never()).await;
            let was = calls.count() > number;
            calls.begin(None);
            rig.alive(kind, &context).await;
            rig.settle(kind, generation.as_ref(), &context).await;
            if !was {
                break;
            }
            if matches!(outcome.fate, slm::model::outcome::Fate::Done) {
                met.ended += 1;
            } else {
                met.again += 1;
            }
        }
    }
    let told = rig.told.lock().unwrap().clone();
    (met.tell(config.kind()), told)
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
