//! Ctrl-C while an application is being reloaded, and what is told meanwhile.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::support::{Ran, World, ended, git};

const SESSION_KEY: &str = "credentials/session-key.toml";
const APPLY: [&str; 2] = ["apply", "--auto-approve"];

/// A world whose application reloads until it is let go on, 30 s at most, and a second credential after it.
fn slow() -> World {
    let world = World::scaffolded();
    let later = world.read(SESSION_KEY).replace("app/session-key", "app/z-later").replace("run/session.env", "run/later.env");
    world.write("credentials/z-later.toml", &later);
    world.edit(SESSION_KEY, "mode = \"0600\" }", "mode = \"0600\", reload = [\"./reload.sh\"] }");
    let script = "#!/bin/sh\ntouch run/began\nn=0\nwhile [ ! -e run/go ] && [ $n -lt 300 ]; do sleep 0.1; n=$((n+1)); done\ntouch run/ended\n";
    world.write("reload.sh", script);
    fs::set_permissions(world.root().join("reload.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    world.commit();
    world
}

fn is_there(world: &World, path: &str) -> bool {
    world.root().join(path).exists()
}

/// Lets the application go on.
fn go(world: &World) {
    world.write("run/go", "");
}

/// Begins an apply, and waits until the application is being reloaded.
fn applying(world: &World, more: &[&str]) -> Child {
    let child = world.start(&[&APPLY, more].concat());
    let began = Instant::now();
    while !is_there(world, "run/began") {
        assert!(began.elapsed() < Duration::from_secs(60), "it is not reloaded");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

/// Ctrl-C in a terminal: everything in the group of slm is told.
fn ctrl_c(child: &Child) {
    let told = Command::new("kill").args(["-INT", "--", &format!("-{}", child.id())]).status().unwrap();
    assert!(told.success());
}

/// The next apply does what was left, once.
fn converges(world: &World) {
    world.slm(&APPLY).exits(0).says("rotate    z-later  done");
    world.slm(&["plan"]).exits(0).says("Nothing is due.");
    let text = world.read("run/session.env.slm");
    let lines: Vec<&str> = text.lines().filter_map(|line| line.split_once(' ')).map(|(_, version)| version).collect();
    assert!(lines.len() == 3 && lines[0] == lines[1], "{text}");
    assert!(world.read("run/session.env").len() > 40 && world.read("run/later.env").len() > 40);
    git(&world.root(), &["fsck", "--full", "--strict"]);
}

fn runs(world: &World) -> usize {
    let listed =
        Command::new("git").current_dir(world.root()).args(["ls-tree", "-r", "--name-only", "slm/evidence", "runs/"]).output();
    String::from_utf8(listed.unwrap().stdout).unwrap().lines().count()
}

#[test]
fn ctrl_c_lets_a_reload_end_begins_nothing_more_records_the_run_and_the_next_goes_on() {
    let world = slow();
    let child = applying(&world, &[]);
    ctrl_c(&child);
    std::thread::sleep(Duration::from_millis(300));
    go(&world);
    let ran = ended(child).exits(6).says("stopping at the next safe point; Ctrl-C again ends it at once");
    let ran =
        ran.says("rotate    session-key  stopped: asked to stop; resume will go on  (prepared, promoted, delivered, activated)");
    ran.says("rotate    z-later  stopped: asked to stop; resume will go on\n");
    assert!(is_there(&world, "run/ended"), "the reload was not broken off");
    assert!(!is_there(&world, "run/later.env"));
    assert_eq!(runs(&world), 1, "what was done until then is recorded");
    converges(&world);
    assert_eq!(runs(&world), 2);
}

#[test]
fn ctrl_c_twice_ends_at_once_with_the_code_of_what_resume_goes_on_with() {
    let world = slow();
    let child = applying(&world, &[]);
    let pid = child.id();
    let waits = std::thread::spawn(move || ended(child));
    let began = Instant::now();
    // The second is heard once the first is.
    while !waits.is_finished() {
        assert!(began.elapsed() < Duration::from_secs(20), "it goes on");
        let _ = Command::new("kill").args(["-INT", "--", &format!("-{pid}")]).status().unwrap();
        std::thread::sleep(Duration::from_millis(300));
    }
    let ran: Ran = waits.join().unwrap().exits(6);
    assert!(ran.out.is_empty(), "{}", ran.out);
    assert!(!is_there(&world, "run/ended"), "nothing was waited for");
    assert_eq!(runs(&world), 0);
    go(&world);
    converges(&world);
}

#[test]
fn what_takes_more_than_a_second_is_told_in_plain_lines_off_a_terminal_unless_asked_to_be_quiet() {
    for (more, told) in [(&[][..], true), (&["--quiet"], false), (&["--format", "json"], false), (&["--log-json"], false)] {
        let world = slow();
        let child = applying(&world, more);
        std::thread::sleep(Duration::from_millis(1_500));
        go(&world);
        let ran = ended(child).exits(0);
        let lines: Vec<&str> = ran.err.lines().filter(|line| line.starts_with("applying ")).collect();
        assert_eq!(lines.len(), usize::from(told), "{more:?}: {}", ran.err);
        let is_it = |line: &&str| line.starts_with("applying 2 actions: 0 of 2 done, ") && line.ends_with(" s so far");
        assert!(lines.iter().all(is_it), "{lines:?}");
        assert!(!ran.out.contains("so far"), "{}", ran.out);
        assert!(told || !ran.err.contains("so far"), "{more:?}: {}", ran.err);
    }
}
