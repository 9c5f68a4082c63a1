//! An application that breaks after the old key was disabled: told by the binary, against moto, while the key can still come back.

use std::time::Duration;

use aws_sdk_iam::Client as Iam;
use aws_sdk_iam::types::StatusType;

use crate::aws::config;
use crate::aws_proxy::Proxy;
use crate::rotation::{LEASE, world};
use crate::support::Server;

const FILE: &str = "credentials/deployer.toml";
const SOAK: Duration = Duration::from_secs(30);

/// The keys of the user, and which of them are let in.
async fn keys(iam: &Iam) -> (usize, usize) {
    let listed = iam.list_access_keys().user_name("ci-deployer").send().await.unwrap().access_key_metadata;
    (listed.len(), listed.iter().filter(|key| key.status == Some(StatusType::Active)).count())
}

#[tokio::test]
async fn whoever_is_not_well_after_the_old_key_was_disabled_is_told_and_the_key_is_not_deleted() {
    let moto = Server::moto();
    let proxy = Proxy::before(&moto.endpoint);
    let iam = Iam::new(&config(&moto.endpoint, "eu-west-1", None).await);
    iam.create_user().user_name("ci-deployer").send().await.unwrap();
    let world = world(&proxy.endpoint);
    let health = "health = { command = [\"sh\", \"-c\", \"test ! -e run/sick\"], within = \"1s\" }";
    world.edit(FILE, "path = \"run/key.json\" }", &format!("path = \"run/key.json\", {health} }}"));
    world.edit(FILE, "soak = \"0s\"", "soak = \"30s\"");
    world.slm(&["check"]).exits(0);
    world.commit();
    world.slm(&["rotate", "deployer"]).exits(0).says("done");
    world.slm(&["rotate", "deployer"]).exits(2).says("waits until");
    tokio::time::sleep(LEASE + Duration::from_secs(2)).await;
    world.slm(&["resume", "deployer"]).exits(2).says("disabled").says("waits until");
    assert_eq!(keys(&iam).await, (2, 1));
    let well = world.slm(&["status", "deployer"]).exits(2).says("is disabled and waits to be deleted");
    assert!(!well.out.contains("broken"), "{}", well.out);

    world.write("run/sick", "");
    let found = "whoever reads `app` is not well: its health command ended with exit status: 1";
    let standing = world.slm(&["status", "deployer"]).exits(2).says(&format!("broken     {found}"));
    standing.says("next       `slm rollback deployer` brings the value before back until it is deleted");
    tokio::time::sleep(SOAK).await;
    let plan = world.slm(&["plan"]).says("held      finish deployer").says("escalate  deployer to platform").says(found);
    plan.says("`slm rollback deployer` brings the value before back, and `slm retire deployer` ends it all the same");
    world.slm(&["apply", "--auto-approve"]).says("1 held");
    world.slm(&["resume", "deployer"]).says("1 held");
    assert_eq!(keys(&iam).await, (2, 1), "its time is over, and it is not deleted");
    world.slm(&["rollback", "deployer"]).exits(2).says("enabled");
    assert_eq!(keys(&iam).await, (2, 2), "it is let in again");
    let back = world.slm(&["status", "deployer"]).exits(2).says("the value before comes back");
    assert!(!back.out.contains("broken"), "{}", back.out);
}

#[tokio::test]
async fn a_key_that_broke_something_is_ended_all_the_same_when_a_person_asks_for_it() {
    let moto = Server::moto();
    let proxy = Proxy::before(&moto.endpoint);
    let iam = Iam::new(&config(&moto.endpoint, "eu-west-1", None).await);
    iam.create_user().user_name("ci-deployer").send().await.unwrap();
    let world = world(&proxy.endpoint);
    let health = "health = { command = [\"sh\", \"-c\", \"test ! -e run/sick\"], within = \"1s\" }";
    world.edit(FILE, "path = \"run/key.json\" }", &format!("path = \"run/key.json\", {health} }}"));
    world.edit(FILE, "soak = \"0s\"", "soak = \"10s\"");
    world.commit();
    world.slm(&["rotate", "deployer"]).exits(0).says("done");
    world.slm(&["rotate", "deployer"]).exits(2).says("waits until");
    tokio::time::sleep(LEASE + Duration::from_secs(2)).await;
    world.slm(&["resume", "deployer"]).says("disabled");
    world.write("run/sick", "");
    tokio::time::sleep(Duration::from_secs(11)).await;
    let (listed, _) = keys(&iam).await;
    world.slm(&["retire", "deployer"]).exits(0).says("deleted");
    assert_eq!((listed, keys(&iam).await), (2, (1, 1)));
}

#[tokio::test]
async fn a_value_whose_credential_is_gone_is_not_rolled_back_to_and_nothing_is_decided() {
    let moto = Server::moto();
    let proxy = Proxy::before(&moto.endpoint);
    let iam = Iam::new(&config(&moto.endpoint, "eu-west-1", None).await);
    iam.create_user().user_name("ci-deployer").send().await.unwrap();
    let world = world(&proxy.endpoint);
    world.slm(&["rotate", "deployer"]).exits(0).says("done");
    let first: serde_json::Value = serde_json::from_str(&world.read("run/key.json")).unwrap();
    world.slm(&["rotate", "deployer"]).exits(2).says("waits until");
    let old = first["access_key_id"].as_str().unwrap();
    // Through the proxy, which knows then that it is gone: moto would let it in.
    let through = Iam::new(&config(&proxy.endpoint, "eu-west-1", None).await);
    through.delete_access_key().user_name("ci-deployer").access_key_id(old).send().await.unwrap();
    let second = world.read("run/key.json");
    let said = world.slm(&["rollback", "deployer"]).exits(5).says("`deployer` is not rolled back: the credential of version");
    said.says("is gone; rotate forward instead: `slm rotate deployer`");
    // Nothing was decided, nothing is kept, and the rotation ends as ever.
    world.slm(&["resume", "deployer"]).exits(0).says("done");
    let status = world.slm(&["status", "deployer"]).exits(0);
    assert!(!status.out.contains("not in force yet"), "{}", status.out);
    assert_eq!((keys(&iam).await, world.read("run/key.json")), ((1, 1), second));
}
