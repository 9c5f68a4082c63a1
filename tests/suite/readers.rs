//! A consumer that counts as running a version when CloudTrail saw its role read it, by the binary against a scripted account.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;
use slm::host::registers::GitRegisters;
use slm::model::names;
use slm::model::time::Timestamp;
use slm::world::Registers as _;

use crate::aws::CANARY;
use crate::preflight::SECRET;
use crate::support::World;
use crate::usage::{account, event, in_force, page};

const APP: &str = "arn:aws:iam::123456789012:role/app";

/// Declares that `APP` must have been seen to read alice's key, which is in force for so many seconds.
async fn acknowledged(world: &World, seconds: i64) -> Timestamp {
    world.edit(
        "credentials/alice.toml",
        "[policy]",
        &format!(
            "[[consumer]]\nid = \"app\"\nself-refreshing = {{ acknowledged-by = \"cloudtrail\" }}\nmax-staleness = \"10m\"\n\
             principals = [\"{APP}\"]\n\n[policy]"
        ),
    );
    world.commit();
    let promoted = Timestamp::from_second(Timestamp::now().as_second() - seconds).unwrap();
    let (secret, version) = in_force();
    let mark = names::mark(&secret, &version, "promoted");
    let registers = GitRegisters::open(&world.root(), None).unwrap();
    let rotation = names::rotation(&"alice".into(), Some(&version));
    assert_eq!(registers.write_once(&rotation, &mark, &promoted.to_string()).await.unwrap(), promoted.to_string());
    promoted
}

#[tokio::test]
async fn the_value_before_is_not_ended_until_the_role_was_seen_to_read_the_new_one() {
    let seen = Arc::new(AtomicBool::new(false));
    let (now, logs) = (Timestamp::now().as_second(), Arc::clone(&seen));
    let heard = Arc::default();
    let world = account(
        move |key, value, _| {
            let asked = |more: &str| json!({ "requestParameters": { "secretId": SECRET, "versionStage": more } });
            let mut all = vec![event("GetSecretValue", now - 60, APP, asked("AWSPREVIOUS"))];
            if logs.load(Ordering::SeqCst) {
                all.push(event("GetSecretValue", now - 120, APP, asked("AWSCURRENT")));
            }
            if (key, value) == ("ResourceName", SECRET) { page(&all, None) } else { page(&[], None) }
        },
        &heard,
    );
    let promoted = acknowledged(&world, 7_000).await;
    world.slm(&["check"]).exits(0);
    let ran = world.slm(&["status", "alice"]).exits(2).says("consumer   app: nobody was seen to read it since");
    let ran = ran.says(&format!("unread     app: {APP} was not seen to read it since {promoted}"));
    let ran = ran.says("CloudTrail comes some minutes late and forgets after 90 days");
    ran.says("have it read the secret once more as that");
    let standing = world.slm(&["status", "alice", "--format", "json"]).exits(2).json();
    let told = standing.to_string();
    assert!(told.contains("\"unread\":[{\"") && told.contains(&format!("\"principals\":[\"{APP}\"]")), "{told}");

    let waits = format!("for consumer `app`: {APP} not seen to read it since {promoted}; CloudTrail comes some minutes late");
    world.slm(&["apply", "--auto-approve"]).exits(2).says("finish    alice").says(&waits);
    seen.store(true, Ordering::SeqCst);
    let ran = world.slm(&["apply", "--auto-approve"]).exits(2).says("used at ");
    assert!(!ran.out.contains(&waits), "{}", ran.out);
    let ran = world.slm(&["status", "alice"]).exits(2).says("consumer   app: not seen behind");
    assert!(!ran.out.contains("unread"), "{}", ran.out);
}

#[tokio::test]
async fn a_log_that_is_denied_or_has_forgotten_shows_nobody_and_says_so() {
    let denied = || (400, json!({ "__type": "AccessDeniedException", "message": CANARY }).to_string());
    let heard: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let world = account(move |_, _, _| denied(), &heard);
    let promoted = acknowledged(&world, 91 * 86_400).await;
    let ran = world.slm(&["status", "alice"]).exits(2);
    let ran = ran.says(&format!("unread     app: {APP} was not seen to read it since {promoted}, 91d ago"));
    let ran = ran.says("not seen   CloudTrail of eu-west-1: AccessDeniedException (HTTP 400)");
    let ran = ran.says("forgets after 90 days: whoever read it only at first is not seen any more");
    let ran = ran.says("out of `principals` of `app` in `credentials/alice.toml`");
    assert!(!ran.out.contains(CANARY));
}
