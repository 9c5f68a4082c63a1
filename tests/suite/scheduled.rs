//! Several faults in one rotation of an access key, at calls and of kinds that a seed chooses. `SLM_SEED` repeats a run, `SLM_KILLS` says how
//! many; a seed that fails is written down here.

use std::collections::BTreeMap;

use crate::aws_proxy::Proxy;
use crate::faults::OVER_HTTP;
use crate::killed::{Dice, kills, seed};
use crate::rotation_faults::Rig;
use crate::support::Server;

/// Past seeds, which stay.
const SEEDS: [u64; 3] = [11, 29, 47];
/// Faults of one schedule.
const FAULTS: usize = 4;
/// The first so many calls may meet one. A rotation that meets none takes some sixty.
const CALLS: u64 = 100;

/// A rotation that meets what `dice` choose ends in one key, and whatever was in use was let in after each run; how many faults it met.
async fn survived(server: &Server, mut dice: Dice, name: &str) -> usize {
    let mut schedule = BTreeMap::new();
    while schedule.len() < FAULTS {
        let fault = OVER_HTTP[usize::try_from(dice.below(OVER_HTTP.len() as u64)).unwrap()];
        schedule.insert(usize::try_from(dice.below(CALLS)).unwrap(), fault);
    }
    let when = format!("{name}: {schedule:?}");
    let proxy = Proxy::before(&server.endpoint);
    let rig = Rig::new(server, &proxy, name).await;
    proxy.begin(None);
    proxy.state().script = schedule;
    rig.converge(&when).await;
    FAULTS - proxy.state().script.len()
}

#[tokio::test]
async fn schedules_of_faults_that_were_met_before_lose_no_key() {
    let server = Server::moto();
    let mut met = 0;
    for seed in SEEDS {
        met += survived(&server, Dice::of(seed), &format!("seed-{seed}")).await;
    }
    assert!(met >= 2 * SEEDS.len(), "{met}");
}

#[tokio::test]
async fn a_schedule_of_faults_that_nobody_saw_before_loses_no_key() {
    let server = Server::moto();
    // Each says the seed that repeats it first.
    let seed = seed();
    for number in 0..kills(2) {
        survived(&server, Dice::of(seed + number), &format!("seed-{}", seed + number)).await;
    }
}
