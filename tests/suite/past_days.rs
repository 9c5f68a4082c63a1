//! Days of the past that nothing vouches for: runs that are dated back, days without a run, days to come, controls that were taken away.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value as Json, json};

use crate::support::{World, git};

/// So many days before today, as it is written in git, in a path and as a day.
fn ago(days: i64) -> (String, String, String) {
    let then = jiff::Timestamp::now().as_second() - days * 86_400;
    let at = jiff::Timestamp::from_second(then).unwrap();
    (at.to_string(), at.strftime("%Y/%m/%d").to_string(), at.strftime("%Y-%m-%d").to_string())
}

/// Runs git in `at` with the index and the dates that are given.
fn git_dated(at: &Path, index: &Path, [author, committer]: [&str; 2], arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(at).args(["-c", "user.name=slm", "-c", "user.email=slm@localhost"]).args(arguments);
    command.env("GIT_INDEX_FILE", index).env("GIT_AUTHOR_DATE", author).env("GIT_COMMITTER_DATE", committer);
    let output = command.env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Writes the runs of the evidence anew, the first first, each as one that says it began so many days ago and was recorded so many days
/// ago: what whoever may write the repository can do.
fn dated(world: &World, days: &[(i64, i64)]) {
    let (root, index) = (world.root(), world.outside("index"));
    let listed = String::from_utf8(git(&root, &["rev-list", "--reverse", "slm/evidence"])).unwrap();
    let mut parent: Option<String> = None;
    for (commit, (at, received)) in listed.lines().zip(days) {
        let ((at, folder, _), (received, ..)) = (ago(*at), ago(*received));
        let run = |arguments: &[&str]| git_dated(&root, &index, [&at, &received], arguments);
        run(&["read-tree", commit]);
        let message = run(&["log", "-1", "--format=%B", commit]);
        let id = message.strip_prefix("run ").unwrap().split(':').next().unwrap().to_owned();
        let paths = run(&["ls-files", &format!("runs/*/{id}.json")]);
        let mut file: Json = serde_json::from_str(&run(&["cat-file", "blob", &format!("{commit}:{paths}")])).unwrap();
        file["run"]["at"] = json!(at);
        let text = world.outside("run.json");
        fs::write(&text, file.to_string()).unwrap();
        let blob = run(&["hash-object", "-w", text.to_str().unwrap()]);
        run(&["update-index", "--force-remove", &paths]);
        run(&["update-index", "--add", "--cacheinfo", &format!("100644,{blob},runs/{folder}/{id}.json")]);
        let tree = run(&["write-tree"]);
        let on = parent.iter().flat_map(|parent| ["-p", parent.as_str()]).collect::<Vec<_>>();
        parent = Some(run(&[&["commit-tree", &tree, "-m", &message][..], &on].concat()));
    }
    git(&root, &["update-ref", "refs/heads/slm/evidence", &parent.unwrap()]);
}

/// A repo with so many runs, all of today.
fn recorded(runs: usize) -> World {
    let world = World::scaffolded();
    for _ in 0..runs {
        world.slm(&["apply", "--auto-approve"]).exits(0);
    }
    world
}

#[test]
fn a_run_that_is_dated_back_stands_for_no_day_and_is_told() {
    let world = recorded(4);
    // Six days ago, five, today; then one that says it began four days ago, on a day that had none.
    dated(&world, &[(6, 6), (5, 5), (0, 0), (4, 0)]);
    let (_, _, missed) = ago(4);
    let told = "! unproven    run ";
    let period = ["report", "period", "--from", &ago(6).2, "--to", &missed];
    let ran = world.slm(&period).exits(3).says(told).says(": it stands for no day").says("1 day without a run: ");
    ran.says(&missed).says("2 compliant, 1 no run");
    let said = world.slm(&[&period[..], &["--format", "json"]].concat()).exits(3).json();
    assert_eq!(said["period"]["days"][2], json!({ "date": missed, "runs": [] }));
    assert_eq!((said["period"]["runs"].as_array().unwrap().len(), &said["unproven"][0]["code"]), (2, &json!("slm::evidence-late")));
    world.slm(&["report", "period", "--from", &missed, "--to", &missed]).exits(3).says("no run began in these days").says(told);

    let ran = world.slm(&["explain", "ROT-01", "--at", &missed]).exits(3).says(told).says(&format!("no run began on {missed}"));
    ran.says(&format!("began {}", ago(5).2));

    let zip = world.outside("late.zip");
    let days = ["--from", &ago(6).2, "--to", &missed];
    let out = ["export", "bundle", "--out", zip.to_str().unwrap()];
    world.slm(&[&out[..], &days].concat()).exits(3).says(told).says(", 2 runs, ");
    let bundle = slm::host::zipped::Zipped::open(&zip).unwrap();
    let view: Json = serde_json::from_slice(&bundle.read("summary.json").unwrap().unwrap()).unwrap();
    assert_eq!((&view["days"], &view["seen"]), (&json!(3), &json!(2)), "days looked at");
    assert!(view["unproven"].as_str().unwrap().contains("it stands for no day"), "{}", view["unproven"]);
    let kept = bundle.names().into_iter().filter(|name| name.starts_with("evidence/runs/")).count();
    assert_eq!(kept, 3, "what it wrote is not left out: {:?}", bundle.names());
    let draw = ["sample", "--control", "ROT-01", "--n", "1", "--nonce", "a"];
    world.slm(&[&draw[..], &days].concat()).exits(3).says(told);
    world
        .slm(&["export", "ocsf", "--out", zip.with_extension("ocsf").to_str().unwrap(), days[0], days[1], days[2], days[3]])
        .exits(3);
}

#[test]
fn runs_side_by_side_are_of_their_days_whichever_was_recorded_first() {
    let world = recorded(2);
    dated(&world, &[(1, 1), (1, 1)]);
    let (_, _, day) = ago(1);
    world.slm(&["report", "period", "--from", &day, "--to", &day]).exits(0).says("1 day, 2 runs").says("a run on every day");
}

#[test]
fn of_days_to_come_and_of_days_without_a_run_nothing_is_known() {
    let world = recorded(1);
    let ran = world.slm(&["report", "period", "--from", "2999-01-01", "--to", "2999-01-07"]).exits(3);
    let ran = ran.says("0 days, 0 runs, 7 days to come").says("no run began in these days: nothing is known of them");
    for lie in ["nothing was seen to be non-compliant", "a run on every day", "policy: not changed", "collector: slm ,"] {
        assert!(!ran.out.contains(lie), "{}", ran.out);
    }
    // What was open when somebody looked last is open.
    world.edit("slm.toml", "standard = \"60d\"", "standard = \"1h\"");
    world.commit();
    world.slm(&["apply", "--auto-approve"]).says("Recorded as");
    dated(&world, &[(9, 9), (8, 8)]);
    let ran = world.slm(&["report", "period", "--from", &ago(7).2, "--to", &ago(6).2, "--format", "json"]).exits(3);
    let said = ran.json();
    let deviation = &said["deviations"][0];
    let is = (&deviation["control"], &deviation["ending"], &deviation["before"], &deviation["run"]);
    assert_eq!(is, (&json!("ROT-01"), &json!("open"), &json!(true), &json!(null)), "{}", said["deviations"]);
    assert!(!said["criteria"].as_array().unwrap().is_empty(), "the text of the run before is known");
}

/// Declares ROT-01 no more.
fn take_away(world: &World) {
    fs::remove_file(world.root().join("controls/rot/ROT-01.toml")).unwrap();
    let rules = world.read("policies/rot.cedar");
    world.write("policies/rot.cedar", &rules[rules.find("@id(\"ROT-02").unwrap()..]);
    world.edit("credentials/session-key.toml", "[\"ROT-01\", \"ROT-02\"]", "[\"ROT-02\"]");
    world.commit();
}

#[test]
fn what_a_control_left_open_that_was_taken_away_before_the_period_is_open_in_it() {
    let world = recorded(1);
    world.edit("slm.toml", "standard = \"60d\"", "standard = \"1h\"");
    world.commit();
    world.slm(&["apply", "--auto-approve"]).says("Recorded as");
    take_away(&world);
    for _ in 0..3 {
        world.slm(&["apply", "--auto-approve"]).says("Recorded as");
    }
    dated(&world, &[(5, 5), (4, 4), (3, 3), (2, 2), (1, 1)]);
    let days = ["--from", &ago(2).2, "--to", &ago(1).2];
    let ran = world.slm(&[&["report", "period"], &days[..]].concat()).exits(2);
    let ran = ran.says("  ROT-01   --  2 not judged").says("ROT-01 was judged, and is declared no more");
    ran.says("(before the period), open, not seen since ");
    let sample = ["sample", "--control", "ROT-01", "--n", "1", "--nonce", "x"];
    let none = format!("no run from {} to {} judged a control `ROT-01`", days[1], days[3]);
    world.slm(&[&sample[..], &days[..]].concat()).exits(3).says(&none);
    let zip = world.outside("removed.zip");
    world.slm(&[&["export", "bundle", "--out", zip.to_str().unwrap()], &days[..]].concat()).exits(0);
    let bundle = slm::host::zipped::Zipped::open(&zip).unwrap();
    let text = |name: &str| String::from_utf8(bundle.read(name).unwrap().unwrap()).unwrap();
    assert!(text("deviations.csv").contains("\r\nROT-01,") && text("deviations.csv").contains("open at the end"));
    let members = text("members.csv");
    let line = members.lines().find(|line| line.starts_with("ROT-01,")).unwrap();
    assert!(line.contains(",2,not-judged,"), "{line}");
    assert!(text("summary.csv").contains("Secrets rotated within their tier limit"), "by the last config that had it");

    // Where it is gone, which a run saw since, there is nothing to repair.
    world.slm(&["explain", "ROT-01", "--at", &ago(4).2]).says("non-compliant");
}

/// A repo whose vault has a second secret that no file declares, the vault as it was before that, and who may write them.
fn with_another_secret() -> (World, Vec<u8>) {
    let world = recorded(1);
    let vault = fs::read(world.root().join("vault.age")).unwrap();
    let other = world.read("credentials/session-key.toml").replace("app/session-key", "app/other");
    world.write("credentials/other.toml", &other[..other.find("[[consumer]]").unwrap()]);
    world.commit();
    world.slm(&["apply", "--auto-approve"]).exits(0);
    fs::remove_file(world.root().join("credentials/other.toml")).unwrap();
    world.commit();
    world.slm(&["apply", "--auto-approve"]).exits(2);
    (world, vault)
}

#[test]
fn who_was_lost_from_sight_before_the_period_and_is_gone_when_all_of_it_is_seen_has_gone_in_it() {
    let (world, vault) = with_another_secret();
    let (identity, away) = (world.outside("slm.age-identity"), world.outside("away"));
    fs::rename(&identity, &away).unwrap();
    for _ in 0..2 {
        world.slm(&["apply", "--auto-approve"]).says("Recorded as");
    }
    fs::rename(&away, &identity).unwrap();
    fs::write(world.root().join("vault.age"), vault).unwrap();
    world.slm(&["apply", "--auto-approve"]).exits(0).says("Recorded as");
    dated(&world, &[(6, 6), (5, 5), (4, 4), (3, 3), (2, 2), (1, 1)]);
    let days = ["report", "period", "--from", &ago(1).2, "--to", &ago(1).2];
    let said = world.slm(&[&days[..], &["--format", "json"]].concat()).json();
    let of_vault = |one: &&Json| one["entity"] == "Vault::Secret";
    let changes = said["period"]["populations"].as_array().unwrap().iter().find(of_vault).unwrap()["changes"].clone();
    let gone = |one: &&Json| one["came"] == false;
    let told: Vec<_> = changes.as_array().unwrap().iter().filter(gone).map(|one| (&one["id"], &one["explained"])).collect();
    assert_eq!(told, [(&json!("vault:local/app/other"), &Json::Null)], "the other was there all the time: {changes}");
    world.slm(&days).exits(2).says("! vault:local/app/other of local . went by ");
}

#[test]
fn who_went_after_its_control_was_taken_away_is_not_open_any_more_and_who_is_there_is() {
    let (world, vault) = with_another_secret();
    world.edit("slm.toml", "standard = \"60d\"", "standard = \"1h\"");
    world.commit();
    let apply = || world.slm(&["apply", "--auto-approve"]).says("Recorded as");
    apply();
    take_away(&world);
    apply();
    fs::write(world.root().join("vault.age"), vault).unwrap();
    apply();
    apply();
    dated(&world, &[(7, 7), (6, 6), (5, 5), (4, 4), (3, 3), (2, 2), (1, 1)]);
    let open = |from: i64, to: i64| {
        let said = world.slm(&["report", "period", "--from", &ago(from).2, "--to", &ago(to).2, "--format", "json"]).json();
        let all = said["deviations"].as_array().unwrap().iter();
        let of_it = all.filter(|one| one["control"] == "ROT-01" && one["ending"] == "open");
        of_it.map(|one| one["subject"]["resource"]["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (other, own) = ("vault:local/app/other".to_owned(), "vault:local/app/session-key".to_owned());
    assert_eq!(open(3, 3), [other, own.clone()], "both were there when the control was gone");
    assert_eq!(open(1, 1), [own], "nobody repairs what a run saw to be gone");
}

#[test]
fn times_without_a_run_and_the_time_since_the_last_are_no_clean_report() {
    let world = recorded(2);
    // Each day has a run, and the cadence of 26 hours is not kept: the first began at the beginning of its day.
    dated(&world, &[(4, 4), (3, 3)]);
    let (first, last) = (ago(4).2, ago(3).2);
    world.slm(&["report", "period", "--from", &first, "--to", &last]).exits(0).says("a run on every day");
    let ran = world.slm(&["report", "period", "--from", &first]).exits(3).says(&format!("{first} to {last} on slm/evidence"));
    ran.says(", 3d, longer than 26h: no run came since");
    world.slm(&["report", "period"]).exits(3).says(", 3d, longer than 26h: no run came since");
    world.write("slm.toml", &(world.read("slm.toml") + "\n[locker.log]\norigin = \"o\"\ncadence = \"1h\"\n"));
    let ran = world.slm(&["report", "period", "--from", &first, "--to", &last]).exits(3);
    ran.says("a run on every day").says(", longer than 1h: nothing was recorded, and nothing says why");
}
