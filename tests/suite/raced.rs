//! Two processes of the built binary rotate one access key at once, each on a checkout of its own. No lease keeps either out, so that they
//! contend for room at IAM, for the slot, for the registers, for the label in force and for the end of the old key, at the same instant.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_iam::Client as Iam;
use aws_sdk_iam::types::StatusType;
use aws_sdk_secretsmanager::Client as Secrets;

use crate::aws::config;
use crate::aws_proxy::Proxy;
use crate::registers::{DYNAMODB, S3, make_bucket, make_table};
use crate::rotation::{self, LEASE};
use crate::support::{Ran, Server, World, git};

/// Where registers are, and the settings that say so.
const PLACES: [(&str, &str); 3] = [("s3", S3), ("dynamodb", DYNAMODB), ("git", "\n[locker]\nremote = \"file://REMOTE\"\n")];

/// A remote that takes registers and evidence, and no lease.
const HOOK: &str = "#!/bin/sh\ncase $1 in refs/slm/leases/*) exit 1 ;; esac\n";

/// Two checkouts of one config, and the file of the one application.
struct Race {
    place: &'static str,
    proxy: Proxy,
    worlds: [World; 2],
    folder: tempfile::TempDir,
    iam: Iam,
    secrets: Secrets,
}

impl Race {
    /// In `place`, of a user without a key and a secret without a value.
    async fn new(moto: &Server, (place, settings): (&'static str, &str)) -> Self {
        let straight = config(&moto.endpoint, "eu-west-1", None).await;
        let (iam, secrets) = (Iam::new(&straight), Secrets::new(&straight));
        iam.create_user().user_name(place).send().await.unwrap();
        secrets.create_secret().name(place).send().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let remote = folder.path().join("remote.git");
        git(folder.path(), &["init", "-q", "--bare", remote.to_str().unwrap()]);
        fs::write(remote.join("hooks/update"), HOOK).unwrap();
        fs::set_permissions(remote.join("hooks/update"), fs::Permissions::from_mode(0o755)).unwrap();
        let proxy = Proxy::before(&moto.endpoint);
        let doors = [proxy.clone(), proxy.beside(&moto.endpoint)];
        let worlds = doors.map(|door| {
            let world = rotation::world(&door.endpoint);
            for (from, to) in [("prod/ci/deployer", place), ("ci-deployer", place)] {
                world.edit("credentials/deployer.toml", from, to);
            }
            let file = folder.path().join("app/key.json");
            world.edit("credentials/deployer.toml", "run/key.json", file.to_str().unwrap());
            let settings = settings.replace("REMOTE", remote.to_str().unwrap());
            world.write("slm.toml", &(world.read("slm.toml") + &settings));
            world.commit();
            world
        });
        Self { place, proxy, worlds, folder, iam, secrets }
    }

    /// Runs `first` on one checkout and `second` on the other, `at_once` or when the first is at a call of one of `together`: there each
    /// waits for the other. Gives what they said, having asserted that both were at all of these.
    fn race(&self, first: &[&str], second: &[&str], (at_once, together): (bool, &[&'static str])) -> [Ran; 2] {
        self.proxy.begin(None);
        {
            let mut state = self.proxy.state();
            (state.together, state.came) = (together.iter().copied().collect(), BTreeMap::new());
        }
        let ran = std::thread::scope(|scope| {
            let one = scope.spawn(|| self.worlds[0].slm(first));
            let began = Instant::now();
            while !at_once && self.proxy.state().came.is_empty() && began.elapsed() < Duration::from_secs(60) {
                std::thread::sleep(Duration::from_millis(20));
            }
            let two = scope.spawn(|| self.worlds[1].slm(second));
            [one.join().unwrap(), two.join().unwrap()]
        });
        let mut state = self.proxy.state();
        state.together.clear();
        let said = || format!("{}: {}{}\n{}{}", self.place, ran[0].out, ran[0].err, ran[1].out, ran[1].err);
        for operation in together {
            assert_eq!(state.came.get(operation), Some(&BTreeSet::from([0, 1])), "{operation}: {:?}\n{}", state.calls, said());
        }
        ran
    }

    /// The ids of the keys that are let in.
    async fn active(&self) -> Vec<String> {
        let listed = self.iam.list_access_keys().user_name(self.place).send().await.unwrap().access_key_metadata;
        listed.into_iter().filter(|key| key.status == Some(StatusType::Active)).map(|key| key.access_key_id.unwrap()).collect()
    }

    /// The key in force, which is let in, as is the one that the application holds.
    async fn in_force(&self, when: &str) -> String {
        let id = |text: &str| {
            let value: serde_json::Value = serde_json::from_str(text).unwrap();
            value["access_key_id"].as_str().unwrap().to_owned()
        };
        let read = self.secrets.get_secret_value().secret_id(self.place).version_stage("AWSCURRENT").send().await.unwrap();
        let current = id(read.secret_string().unwrap());
        let held = id(&fs::read_to_string(self.folder.path().join("app/key.json")).unwrap());
        let active = self.active().await;
        for key in [&current, &held] {
            assert!(active.contains(key), "{}: {when}: a key in use is gone", self.place);
        }
        current
    }

    /// Runs on both in turn until nothing is due on either; the one key that is left is in force and in use.
    async fn settled(&self, when: &str) -> String {
        let mut said = String::new();
        for _ in 0..12 {
            let runs = self.worlds.each_ref().map(|world| world.slm(&["apply", "--auto-approve"]));
            let current = self.in_force(when).await;
            said = runs.each_ref().map(|ran| format!("{}{}", ran.out, ran.err)).concat();
            if runs.iter().all(|ran| ran.code == 0) {
                assert_eq!(self.active().await, [current.as_str()], "{}: {when}: a key is left over\n{said}", self.place);
                return current;
            }
            tokio::time::sleep(Duration::from_secs(4)).await;
        }
        panic!("{}: {when}: it does not end\n{said}", self.place);
    }
}

/// A first key, a second, and the end of the first, each by two processes.
async fn raced(moto: Arc<Server>, place: (&'static str, &'static str)) {
    let race = Race::new(&moto, place).await;
    let apply: &[&str] = &["apply", "--auto-approve"];
    race.race(apply, apply, (true, &["CreateAccessKey", "PutSecretValue"]));
    let first = race.settled("a first key").await;

    // The one that comes later finds the slot of the other, and puts the same value in force.
    let promoting: &[&'static str] = &["UpdateSecretVersionStage"];
    race.race(&["rotate", "deployer"], &["resume", "deployer"], (false, promoting));
    let second = race.in_force("a second key").await;
    let active = race.active().await;
    assert!(second != first && active.len() == 2 && active.contains(&first), "{}: {active:?}", race.place);

    tokio::time::sleep(LEASE + Duration::from_secs(2)).await;
    race.race(apply, apply, (true, &["UpdateAccessKey", "DeleteAccessKey"]));
    assert_eq!(race.settled("the end of the first").await, second, "{}", race.place);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn two_processes_that_no_lease_keeps_apart_contend_for_every_step_and_lose_no_key() {
    let moto = Arc::new(Server::moto());
    make_bucket(&moto.endpoint).await;
    make_table(&moto.endpoint).await;
    let all = PLACES.map(|place| tokio::spawn(raced(Arc::clone(&moto), place)));
    futures::future::try_join_all(all).await.unwrap();
}
