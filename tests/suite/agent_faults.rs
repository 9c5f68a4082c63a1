//! Each fault at each call of slm to an agent beside an application.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use slm::consumers::agent::Agent;
use slm::model::id::VersionId;
use slm::model::secret::Secret;
use slm::world::{Consumer, SecretStore};

use crate::agent::{KEY, Machine, consumer_at, secret, wait_for};
use crate::aws_proxy::Proxy;
use crate::faults::{OVER_HTTP, thrown};
use crate::leaks::untold;

#[tokio::test(flavor = "multi_thread")]
async fn any_call_of_an_agent_that_is_lost_or_refused_is_made_good_by_the_next_run() {
    let machine = Machine::new("");
    let at = secret("s", ".");
    let value = || Secret::new(b"canary-of-an-agent".to_vec());
    let (count, last) = (AtomicU32::new(0), Mutex::new(None));
    // A version of its own for each, in force.
    let next = async || {
        let version = VersionId::from(format!("v{}", count.fetch_add(1, Ordering::SeqCst)));
        machine.vault.put(&at, &version, &value()).await.unwrap();
        let before = last.lock().unwrap().replace(version.clone());
        machine.vault.promote(&at, before.as_ref(), &version).await.unwrap();
        version
    };
    next().await;
    let running = machine.start();
    wait_for("v0", || machine.read("run/db.env.slm").contains("running v0"));
    let made = async || {
        let proxy = Proxy::before(&format!("http://127.0.0.1:{}", machine.port));
        let asked = consumer_at(&format!("{}/", proxy.endpoint), KEY, Some(&machine.vault));
        (proxy, (asked, next().await))
    };
    let run = async |(asked, version): &(Agent, VersionId)| {
        asked.deliver(version, &value()).await?;
        asked.activate(version).await
    };
    let check = async |(asked, version): &(Agent, VersionId), _, when: &str| {
        assert_eq!(asked.observe().await.unwrap().running.as_ref(), Some(version), "{when}");
        assert_eq!(machine.version(), version.as_str(), "{when}");
    };
    let met = thrown("agent", &OVER_HTTP, made, run, check).await;
    assert!(met.again >= 8 && met.ended >= 4, "{met:?}");
    untold("its log", &running.log(), &["canary-of-an-agent", KEY]);
}
