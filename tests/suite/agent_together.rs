//! Several secrets of one application beside `slm agent`: what is found changed in one look is one reload.

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use slm::model::catalog::SecretRef;
use slm::model::id::VersionId;
use slm::model::secret::Secret;
use slm::world::SecretStore;

use crate::agent::{KEY, Machine, Running, block_on, free_port, wait_for};
use crate::support::World;

/// Writes down what an application finds in its files; ends the agent that runs it, once, when it is to.
const RELOAD: &str = "test -e kill && rm kill && kill -9 $PPID\necho $(cat run/db.env) $(cat run/mail.env) >> reloads\n";

/// An application with two secrets, which is not well with a value that is bad.
fn machine() -> Machine {
    let machine = Machine::new("");
    let watched = |name: &str| {
        format!(
            "[[secret]]\ncredential = \"{name}\"\nconsumer = \"web\"\nsource = \"s\"\nname = \"app/{name}\"\n\
             reload = {{ command = [\"sh\", \"reload\"] }}\n\
             health = {{ command = [\"sh\", \"-c\", \"! grep -q bad run/{name}.env\"], within = \"1s\" }}\n\
             [[secret.file]]\npath = \"run/{name}.env\"\n"
        )
    };
    let source = "poll = \"1h\"\n[source.s.vault]\npath = \"vault.age\"\nidentity = \"id\"\n";
    fs::write(machine.at("agent.toml"), format!("{source}{}{}", watched("db"), watched("mail"))).unwrap();
    fs::write(machine.at("reload"), RELOAD).unwrap();
    put(&machine, "db", "d1");
    put(&machine, "mail", "m1");
    machine
}

/// Puts `value` in force for `name`, as the version of that name.
fn put(machine: &Machine, name: &str, value: &str) {
    let secret = SecretRef { source: "s".into(), region: ".".to_owned(), name: format!("app/{name}") };
    let (vault, version) = (&machine.vault, VersionId::from(value));
    block_on(async {
        let before = vault.describe(&secret).await.unwrap().current().cloned();
        vault.put(&secret, &version, &Secret::new(value.as_bytes().to_vec())).await.unwrap();
        vault.promote(&secret, before.as_ref(), &version).await.unwrap();
    });
}

/// Puts both values in force while the agent stands still, so that its next look finds both.
fn put_both(machine: &Machine, running: &Running, db: &str, mail: &str) {
    // It looks at nothing by then.
    std::thread::sleep(Duration::from_millis(500));
    running.signal("-STOP");
    put(machine, "db", db);
    put(machine, "mail", mail);
    running.signal("-CONT");
}

#[track_caller]
fn runs(machine: &Machine, db: &str, mail: &str) {
    for (name, version) in [("db", db), ("mail", mail)] {
        wait_for(version, || machine.read(&format!("run/{name}.env.slm")) == format!("stored {version}\nrunning {version}\n"));
        assert_eq!(machine.read(&format!("run/{name}.env")), version);
    }
}

#[test]
fn two_values_that_one_look_finds_changed_are_one_reload() {
    let machine = machine();
    let running = machine.start();
    runs(&machine, "d1", "m1");
    assert_eq!(machine.read("reloads"), "d1 m1\n", "the first of both as well: {}", running.log());
    put_both(&machine, &running, "d2", "m2");
    runs(&machine, "d2", "m2");
    put(&machine, "mail", "m3");
    runs(&machine, "d2", "m3");
    assert_eq!(machine.read("reloads"), "d1 m1\nd2 m2\nd2 m3\n", "{}", running.log());
    wait_for("tidiness", || fs::read_dir(machine.at("run")).unwrap().count() == 4);
}

#[test]
fn of_two_values_loaded_at_once_the_bad_one_is_gone_back_from_and_the_other_stays() {
    let machine = machine();
    let running = machine.start();
    runs(&machine, "d1", "m1");
    put_both(&machine, &running, "d2", "bad");
    wait_for("the way back", || machine.read("run/mail.env.slm") == "stored m1\nrunning m1\nrefused bad\n");
    wait_for("the other", || machine.read("run/db.env.slm") == "stored d2\nrunning d2\n");
    assert_eq!((machine.read("run/db.env").as_str(), machine.read("run/mail.env").as_str()), ("d2", "m1"));
    // Both at once, then each by itself: which of them it was is known only so.
    assert_eq!(machine.read("reloads"), "d1 m1\nd2 bad\nd2 m1\nd2 bad\nd2 m1\n", "{}", running.log());
    put(&machine, "mail", "m2");
    runs(&machine, "d2", "m2");
}

#[test]
fn an_agent_killed_while_two_values_are_loaded_goes_on_with_both() {
    let machine = machine();
    let mut running = machine.start();
    runs(&machine, "d1", "m1");
    fs::write(machine.at("kill"), "").unwrap();
    put_both(&machine, &running, "d2", "m2");
    assert!(!running.child.wait().unwrap().success(), "it was killed");
    for (name, version) in [("db", "d2"), ("mail", "m2")] {
        assert!(machine.read(&format!("run/{name}.env.slm")).contains(&format!("trying {version}")), "it is on trial");
        assert_eq!(machine.read(&format!("run/{name}.env")), version, "a whole file");
    }
    let next = machine.start();
    runs(&machine, "d2", "m2");
    assert_eq!(machine.read("reloads").lines().last(), Some("d2 m2"), "{}", next.log());
    wait_for("tidiness", || fs::read_dir(machine.at("run")).unwrap().count() == 4);
}

#[test]
fn two_credentials_of_one_agent_are_one_reload_of_its_application() {
    let world = World::scaffolded().with("SLM_AGENT_KEY", KEY);
    let port = free_port();
    let text = world.read("credentials/session-key.toml");
    let start = text.find("[[consumer]]").unwrap();
    fs::remove_file(world.root().join("credentials/session-key.toml")).unwrap();
    let url = format!("http://127.0.0.1:{port}/");
    let agent = format!("agent = {{ url = \"{url}\", key-env = \"SLM_AGENT_KEY\", timeout = \"20s\" }}");
    // A change of the vault alone is waited out, for the other value may follow.
    let mut config = format!(
        "poll = \"1h\"\nsettle = \"1m\"\n[source.local.vault]\npath = \"{}\"\nidentity = \"slm.age-identity\"\n\
         [attest]\nlisten = \"127.0.0.1:{port}\"\nkey-file = \"agent.key\"\n",
        world.root().join("vault.age").display()
    );
    for id in ["one", "two"] {
        let declared = text[..start].replace("session-key", id);
        world.write(&format!("credentials/{id}.toml"), &format!("{declared}[[consumer]]\nid = \"app\"\n{agent}\n"));
        config.push_str(&format!(
            "[[secret]]\ncredential = \"{id}\"\nconsumer = \"app\"\nsource = \"local\"\nname = \"app/{id}\"\n\
             reload = {{ command = [\"sh\", \"reload\"] }}\n[[secret.file]]\npath = \"app/{id}\"\n"
        ));
    }
    world.commit();
    fs::write(world.outside("agent.toml"), config).unwrap();
    fs::write(world.outside("agent.key"), format!("{KEY}\n")).unwrap();
    fs::write(world.outside("reload"), "cat app/one app/two | wc -c >> reloads\n").unwrap();
    let reloads = || fs::read_to_string(world.outside("reloads")).unwrap_or_default();
    let mut child =
        Command::new(env!("CARGO_BIN_EXE_slm")).args(["agent", "--config"]).arg(world.outside("agent.toml")).spawn().unwrap();
    wait_for("the agent", || TcpStream::connect(("127.0.0.1", port)).is_ok());

    let shared = format!("one restart of what agent `http://127.0.0.1:{port}` reloads for one, two");
    world.slm(&["plan"]).says(&shared);
    let ran = world.slm(&["apply", "--auto-approve"]).exits(0);
    assert_eq!(ran.out.matches("delivered, adopted, done").count(), 2, "{}", ran.out);
    assert_eq!(reloads(), "80\n", "both files were there when it ran");
    world.slm(&["rotate", "one", "two"]).exits(0);
    assert_eq!(reloads(), "80\n80\n");
    // One that rotates alone is loaded alone.
    world.slm(&["rotate", "two"]).exits(0);
    assert_eq!(reloads(), "80\n80\n80\n");
    world.slm(&["plan"]).exits(0).says("Nothing is due.");
    child.kill().unwrap();
    child.wait().unwrap();
}
