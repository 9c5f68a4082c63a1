//! Credentials that are made of others, through the built binary.

use std::time::{Duration, Instant};

use aws_sdk_iam::Client as Iam;

use crate::aws::config;
use crate::aws_proxy::Proxy;
use crate::rotation::{LEASE, world};
use crate::support::{Server, World};

/// `db`, and `dsn` that is made of it, each in a file; `canary` is what reloads the first, before it is promoted.
fn made(canary: &str) -> World {
    let world = World::scaffolded();
    let text = world.read("credentials/session-key.toml");
    std::fs::remove_file(world.root().join("credentials/session-key.toml")).unwrap();
    let start = text.find("[[consumer]]").unwrap();
    let declare = |id: &str, after: &str, consumer: &str| {
        let own = text[..start].replace("session-key", id).replacen("\n\n[secret]", &format!("\n{after}\n[secret]"), 1);
        let file = format!("[[consumer]]\nid = \"app\"\nfile = {{ path = \"run/{id}\", {consumer}\n");
        world.write(&format!("credentials/{id}.toml"), &(own + &file));
    };
    declare("db", "", &format!("reload = [\"sh\", \"-c\", \"{canary}\"] }}\ncanary = true"));
    declare("dsn", "after = [\"db\"]\n", "mode = \"0600\" }");
    world.commit();
    world
}

#[test]
fn what_is_made_of_a_value_follows_it_in_one_run_or_in_the_next() {
    let world = made("true");
    world.slm(&["check"]).exits(0);
    world.slm(&["apply", "--auto-approve"]).exits(0);
    world.slm(&["plan"]).exits(0).says("Nothing is due");
    let (db, dsn) = (world.read("run/db"), world.read("run/dsn"));
    let said = world.slm(&["plan", "--force", "db"]).says("made of `db`, which is rotated before it");
    assert!(said.out.find("rotate    db").unwrap() < said.out.find("rotate    dsn").unwrap(), "{}", said.out);
    world.slm(&["apply", "--auto-approve", "--force", "db"]).exits(0).says("rotate    db  done").says("rotate    dsn  done");
    assert!(db != world.read("run/db") && dsn != world.read("run/dsn"));
    world.slm(&["plan"]).exits(0).says("Nothing is due");
    // Alone, as a person asks for it, it is followed in the next run.
    let dsn = world.read("run/dsn");
    world.slm(&["rotate", "db"]).exits(0);
    assert_eq!(world.read("run/dsn"), dsn);
    world.slm(&["plan"]).says("made of `db`, which was rotated");
    world.slm(&["apply", "--auto-approve"]).exits(0).says("rotate    dsn  done");
    assert_ne!(world.read("run/dsn"), dsn);
    world.slm(&["plan"]).exits(0).says("Nothing is due");
}

#[test]
fn nothing_is_made_of_a_value_that_was_not_promoted() {
    let world = made("test ! -e refuse");
    world.slm(&["apply", "--auto-approve"]).exits(0);
    let dsn = world.read("run/dsn");
    world.write("refuse", "");
    world.slm(&["apply", "--auto-approve", "--force", "db"]).says("waits for `db`, which it is made of");
    assert_eq!(world.read("run/dsn"), dsn);
}

#[tokio::test]
async fn a_key_is_not_ended_while_something_made_of_it_has_the_one_before() {
    let moto = Server::moto();
    let iam = Iam::new(&config(&moto.endpoint, "eu-west-1", None).await);
    iam.create_user().user_name("ci-deployer").send().await.unwrap();
    let proxy = Proxy::before(&moto.endpoint);
    let world = world(&proxy.endpoint);
    world.edit("policies/guards.cedar", "context.share_percent <= 25", "context.share_percent <= 100");
    let settings = world.read("slm.toml");
    world.write("slm.toml", &format!("{settings}\n[limits]\nrotate-percent = 100\n"));
    world.write(
        "credentials/bundle.toml",
        "title = \"Bundle\"\nowner = \"platform\"\nsatisfies = [\"ROT-01\"]\nafter = [\"deployer\"]\n\n[secret]\nsource = \"prod\"\n\
         region = \"eu-west-1\"\nname = \"prod/bundle\"\n\n[rotator]\nrandom = { length = 24 }\n\n[policy]\nrotate-every = \"30d\"\n\n\
         [[consumer]]\nid = \"app\"\nfile = { path = \"run/bundle\", reload = [\"test\", \"!\", \"-e\", \"refuse\"] }\n",
    );
    world.commit();
    let keys = async || iam.list_access_keys().user_name("ci-deployer").send().await.unwrap().access_key_metadata.len();
    world.slm(&["apply", "--auto-approve"]).says("rotate    bundle  done");
    world.write("refuse", "");
    world.slm(&["apply", "--auto-approve", "--force", "deployer"]).says("rotate    bundle  failed");
    let promoted = Instant::now();
    std::thread::sleep((LEASE + Duration::from_secs(2)).saturating_sub(promoted.elapsed()));
    world.slm(&["retire", "deployer"]).says("waits for `bundle`, which is made of it and has the value before in it");
    assert_eq!(keys().await, 2);
    std::fs::remove_file(world.root().join("refuse")).unwrap();
    world.slm(&["apply", "--auto-approve"]);
    world.slm(&["apply", "--auto-approve"]);
    assert_eq!(keys().await, 1);
}
