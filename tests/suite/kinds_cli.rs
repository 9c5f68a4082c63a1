//! Deploy keys and programs through the built binary: planned, applied, killed once and gone on with, recorded, and never told.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use ssh_key::PrivateKey;

use crate::github_org::everything;
use crate::github_server::{Server, TOKEN};
use crate::leaks::{kept, never_told, untold};
use crate::support::{Ran, World, lives};

const FILE: &str = "credentials/session-key.toml";
const VALUE: &str = "run/session.env";
const LEASE: Duration = Duration::from_secs(20);

/// A repo whose credential is rotated as `rotator` says and arrives as it is; what was made before is ended as soon as it may.
fn world(rotator: &str) -> World {
    let world = World::scaffolded();
    world.edit(FILE, "[rotator]\nrandom = { length = 40, alphabet = \"alnum\" }", rotator);
    world.edit(FILE, "[policy]\n", "[gate]\nquiet = \"0s\"\nsoak = \"0s\"\n\n[policy]\nlease = \"20s\"\n");
    world.edit(FILE, "SESSION_KEY={{ value }}\\n", "{{ value }}");
    world
}

/// A verb whose words are kept for the search of secrets, with all that it logs.
fn hear(world: &World, said: &mut Vec<Ran>, arguments: &[&str], code: i32, text: &str) {
    said.push(world.heard(arguments).exits(code).says(text));
}

/// What is planned, begun, waited for and ended of a second rotation, and what is recorded of it; the first value.
fn rotated(world: &World, said: &mut Vec<Ran>, keys: &dyn Fn() -> Vec<String>) -> String {
    hear(world, said, &["plan"], 2, "rotate");
    hear(world, said, &["apply", "--auto-approve"], 0, "rotate    session-key  done");
    let (first, value) = (keys(), world.read(VALUE));
    assert_eq!(first.len(), 1);
    hear(world, said, &["plan"], 0, "Nothing is due");
    hear(world, said, &["apply", "--auto-approve", "--force", "session-key"], 2, "waits until");
    let promoted = Instant::now();
    assert_eq!(keys().len(), 2, "the old one is let in while a run may still hand it out");
    hear(world, said, &["status", "session-key"], 2, "waits to be unused; not before");
    std::thread::sleep((LEASE + Duration::from_secs(1)).saturating_sub(promoted.elapsed()));
    hear(world, said, &["apply", "--auto-approve"], 0, "finish    session-key  done");
    let last = keys();
    assert!(last.len() == 1 && last != first, "{last:?}");
    hear(world, said, &["status", "session-key"], 0, "nothing is left to do");
    let lives = lives(world, "session-key");
    let life = lives.iter().find(|life| life["before"].is_string()).unwrap_or_else(|| panic!("{lives:?}"));
    assert_eq!((&life["fate"], &life["run_by"]), (&json!("retire"), &json!(["app"])), "{life}");
    assert!(["made", "promoted", "done"].iter().all(|step| life[*step].is_string()), "{life}");
    value
}

/// After a run was killed: `resume` goes on, `rotate` where nothing was recorded, until another value than `before` is in force.
fn goes_on(world: &World, said: &mut Vec<Ran>, before: &str, keys: &dyn Fn() -> Vec<String>) {
    for _ in 0..12 {
        assert_eq!(world.read(VALUE), before, "what was not promoted goes nowhere");
        said.push(world.heard(&["rotate", "session-key"]));
        if world.read(VALUE) != before {
            assert_eq!(keys().len(), 2, "the old one waits, and nothing else is left: {}", said.last().unwrap().out);
            std::thread::sleep(LEASE + Duration::from_secs(1));
            hear(world, said, &["resume"], 0, "session-key");
            assert_eq!(keys().len(), 1);
            return;
        }
        std::thread::sleep(Duration::from_secs(3));
    }
    panic!("the new value never came into force: {}", said.last().unwrap().out);
}

/// A repo with a deploy key of its own, and one that a person made.
fn deploying(server: &Server) -> World {
    let foreign = json!({ "id": 900, "key": "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7", "title": "ci by hand",
        "created_at": "2020-01-01T00:00:00Z", "read_only": false });
    server.with(|state| state.deploy_keys.insert(("acme/infra".to_owned(), 900), foreign));
    let world = world("[rotator]\ngithub-deploy-key = { source = \"org\", repo = \"acme/infra\" }").with("GITHUB_TOKEN", TOKEN);
    let root = server.with(|state| state.root.clone());
    let source = format!("\n[source.org]\ngithub = {{ org = \"acme\", token-env = \"GITHUB_TOKEN\", base-url = \"{root}\" }}\n");
    world.write("slm.toml", &(world.read("slm.toml") + &source));
    world.slm(&["check"]).exits(0);
    world.commit();
    world
}

/// The keys that a person did not make.
fn deploy_keys(server: &Server) -> Vec<String> {
    server.with(|state| {
        assert!(state.deploy_keys.contains_key(&("acme/infra".to_owned(), 900)), "the key of a person is gone");
        let ours = state.deploy_keys.iter().filter(|((_, id), _)| *id != 900);
        ours.map(|(_, key)| key["key"].as_str().unwrap().to_owned()).collect()
    })
}

/// The lines of the private half in `value`, but for those of which half a line is of the public one, which it holds as well.
fn private(value: &str) -> impl Iterator<Item = &str> {
    let public = public(value);
    let is_public = move |line: &str| {
        let (one, other) = line.split_at(line.len() / 2);
        public.contains(one) || public.contains(other)
    };
    let lines = value.lines().filter(|line| !line.starts_with("-----") && line.len() > 12);
    let lines: Vec<&str> = lines.filter(|line| !is_public(line)).collect();
    assert!(lines.len() >= 3, "the private half is looked for");
    lines.into_iter()
}

fn public(value: &str) -> String {
    PrivateKey::from_openssh(value).unwrap().public_key().to_openssh().unwrap()
}

#[test]
fn a_deploy_key_is_replaced_and_the_old_one_deleted_when_nobody_can_hold_it() {
    let (server, _) = everything();
    let (world, mut said) = (deploying(&server), Vec::new());
    let first = rotated(&world, &mut said, &|| deploy_keys(&server));
    let last = world.read(VALUE);
    assert_eq!(deploy_keys(&server), [public(&last)], "the consumer holds the other half of what is let in");
    let sent = server.with(|state| format!("{:?}", state.sent));
    assert!(sent.contains("ssh-ed25519"), "the other half was sent");
    untold("what GitHub was sent", &sent, &private(&first).chain(private(&last)).collect::<Vec<_>>());
    never_told(&world, &said, &private(&first).chain(private(&last)).chain([TOKEN]).collect::<Vec<_>>());
}

#[test]
fn what_a_repository_is_given_arrives_sealed_and_is_told_nowhere() {
    let (server, _) = everything();
    let world = World::scaffolded().with("GITHUB_TOKEN", TOKEN);
    let root = server.with(|state| state.root.clone());
    let source = format!("\n[source.org]\ngithub = {{ org = \"acme\", token-env = \"GITHUB_TOKEN\", base-url = \"{root}\" }}\n");
    world.write("slm.toml", &(world.read("slm.toml") + &source));
    let consumer = "github-actions-secret = { source = \"org\", repo = \"acme/infra\", name = \"SESSION_KEY\" }";
    world.write(FILE, &(world.read(FILE) + "\n[[consumer]]\nid = \"ci\"\n" + consumer + "\n"));
    world.commit();
    let said = [world.heard(&["plan"]).exits(2), world.heard(&["apply", "--auto-approve"]).exits(0), world.heard(&["status"])];
    let file = world.read(VALUE);
    let value = file.strip_prefix("SESSION_KEY=").unwrap().trim();
    let arrived = server.with(|state| state.secrets.get("/repos/acme/infra/actions/secrets/SESSION_KEY").cloned());
    assert_eq!(arrived.as_deref(), Some(value));
    never_told(&world, &said, &[value, TOKEN]);
    let sent = server.with(|state| format!("{:?}", state.sent));
    assert!(sent.contains("encrypted_value"), "a sealed value was sent");
    untold("what GitHub was sent", &sent, &[value]);
}

#[test]
fn a_run_killed_around_the_addition_of_a_deploy_key_is_gone_on_with() {
    let killed = |after: bool| {
        let (server, _) = everything();
        let (world, mut said) = (deploying(&server), Vec::new());
        world.slm(&["apply", "--auto-approve"]).exits(0);
        let before = world.read(VALUE);
        let ran = world.slm_watched(&["rotate", "session-key"], |process| {
            server.with(|state| state.kill = Some((process, "POST /repos/acme/infra/keys", after)));
        });
        assert!(ran.is_none(), "it was not killed");
        assert!(deploy_keys(&server).contains(&public(&before)), "the key in use is gone");
        goes_on(&world, &mut said, &before, &|| deploy_keys(&server));
        assert_eq!(deploy_keys(&server), [public(&world.read(VALUE))]);
        let last = world.read(VALUE);
        never_told(&world, &said, &private(&before).chain(private(&last)).chain([TOKEN]).collect::<Vec<_>>());
    };
    std::thread::scope(|scope| [false, true].map(|after| scope.spawn(move || killed(after))).map(drop));
}

/// A repo whose program keeps a ledger of who chooses the value.
fn programmed(issuer: &str) -> World {
    let rotator = format!(
        "[rotator.exec]\ncommand = [\"./ledger.py\", \"run/ledger\", \"{issuer}\"]\nenv = [\"MOOD\"]\n\
         caps = {{ issuer = \"{issuer}\", overlap = \"dual\", disable = true, delete = true }}"
    );
    let world = world(&rotator);
    world.write("ledger.py", include_str!("../../fixtures/plugins/ledger.py"));
    std::fs::create_dir(world.root().join("run")).unwrap();
    std::fs::set_permissions(world.root().join("ledger.py"), std::fs::Permissions::from_mode(0o755)).unwrap();
    world.slm(&["check"]).exits(0);
    world.commit();
    world
}

/// The logins of the ledger.
fn logins(world: &World) -> Vec<String> {
    let ledger: Json = serde_json::from_str(&world.read("run/ledger")).unwrap();
    ledger.as_object().unwrap().keys().cloned().collect()
}

fn part(value: &str, name: &str) -> String {
    serde_json::from_str::<Json>(value).unwrap()[name].as_str().unwrap().to_owned()
}

#[test]
fn what_a_program_issues_or_lets_in_is_replaced_and_the_old_one_ended() {
    let replaced = |issuer: &str| {
        let (world, mut said) = (programmed(issuer), Vec::new());
        let first = rotated(&world, &mut said, &|| logins(&world));
        let last = world.read(VALUE);
        assert_eq!(logins(&world), [part(&last, "key")]);
        never_told(&world, &said, &[&part(&first, "password"), &part(&last, "password")]);
    };
    std::thread::scope(|scope| ["client", "server"].map(|issuer| scope.spawn(move || replaced(issuer))).map(drop));
}

#[test]
fn a_run_killed_around_any_step_of_a_program_is_gone_on_with() {
    let points = [("client", "before-create"), ("client", "after-install"), ("server", "after-create"), ("server", "after-verify")];
    let killed = |(issuer, point): (&str, &str)| {
        let world = programmed(issuer);
        world.slm(&["apply", "--auto-approve"]).exits(0);
        let (before, mut said) = (world.read(VALUE), Vec::new());
        let world = world.with("MOOD", &format!("kills-slm-{point}"));
        assert!(world.slm_watched(&["rotate", "session-key"], |_| ()).is_none(), "{point}: it was not killed");
        assert!(logins(&world).contains(&part(&before, "key")), "{point}: the login in use is gone");
        let world = world.with("MOOD", "");
        goes_on(&world, &mut said, &before, &|| logins(&world));
        assert_eq!(logins(&world), [part(&world.read(VALUE), "key")], "{point}");
        never_told(&world, &said, &[&part(&before, "password"), &part(&world.read(VALUE), "password")]);
    };
    std::thread::scope(|scope| points.map(|point| scope.spawn(move || killed(point))).map(drop));
}

/// A frozen repo, and one that is not.
fn frozen(world: &World, now: bool) {
    let (open, shut) = ("[limits]\n", "[limits]\nfreeze = [\"2020-01-01/2099-12-31\"]\n");
    world.edit("slm.toml", if now { open } else { shut }, if now { shut } else { open });
    world.commit();
}

#[test]
fn no_verb_tells_a_value_however_it_ends() {
    let (world, mut said) = (programmed("client"), Vec::new());
    let name = world.read(FILE).split("name = \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let mut values = Vec::new();
    for (arguments, code) in [
        (["check"].as_slice(), 0),
        (&["plan", "--markdown"], 2),
        (&["apply", "--auto-approve"], 0),
        (&["explain", "ROT-01"], 0),
        (&["status", "session-key"], 0),
        (&["verify"], 3),
    ] {
        said.push(world.heard(arguments).exits(code));
    }
    frozen(&world, true);
    for arguments in [["plan", "--force", "session-key"].as_slice(), &["rotate", "session-key"]] {
        said.push(world.heard(arguments).exits(5).says("held"));
    }
    frozen(&world, false);
    // What is refused is made all the same, and kept.
    let world = world.with("MOOD", "refuses-install");
    said.push(world.heard(&["rotate", "session-key"]).exits(6).says("it says `no code`"));
    said.push(world.heard(&["resume", "session-key"]).exits(2));
    let world = world.with("MOOD", "");
    for (arguments, code) in [
        (["rotate", "session-key"].as_slice(), 2),
        (&["rollback", "session-key"], 2),
        (&["retire", "session-key"], 2),
        (&["resume"], 2),
    ] {
        said.push(world.heard(arguments).exits(code));
    }
    values.append(&mut kept(&world, &name));
    // On a busy machine it does all of this under more than one lease.
    let leaked = world.heard(&["rotate", "session-key", "--leak"]).says("retire, disabled, refused, delete, deleted");
    assert!([0, 2].contains(&leaked.code), "{}{}", leaked.out, leaked.err);
    said.push(leaked);
    values.append(&mut kept(&world, &name));
    std::fs::remove_file(world.root().join(FILE)).unwrap();
    world.commit();
    let adopt = ["adopt", &format!("vault:local/{name}"), "--owner", "platform", "--rotator", "random = { length = 32 }"];
    said.push(world.heard(&adopt).exits(0));
    let passwords: Vec<String> = values.iter().map(|value| part(value, "password")).collect();
    assert!(passwords.len() >= 3, "they were read: {}", passwords.len());
    never_told(&world, &said, &passwords.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn what_a_program_refuses_or_says_is_not_repeated() {
    let world = programmed("client").with("MOOD", "refuses-install");
    let ran = world.heard(&["apply", "--auto-approve"]).exits(6).says("it says `no code`");
    assert!(!ran.out.contains("password") && !ran.err.contains("password"), "{}{}", ran.out, ran.err);
}
