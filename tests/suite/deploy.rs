//! The unit of the agent, judged by systemd.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of `name` below `root`, wherever a distribution has it.
fn folder_of(root: &Path, name: &str) -> Option<PathBuf> {
    let entries: Vec<PathBuf> = fs::read_dir(root).ok()?.map(|entry| entry.unwrap().path()).collect();
    let here = entries.iter().any(|path| path.file_name().unwrap().to_string_lossy().starts_with(name));
    if here {
        return Some(root.to_owned());
    }
    entries.iter().filter(|path| path.is_dir() && !path.is_symlink()).find_map(|path| folder_of(path, name))
}

#[test]
fn the_unit_of_the_agent_says_nothing_that_systemd_does_not_know() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = Command::new(here.join("scripts/emulators.sh")).args(["path", "systemd"]).output().unwrap();
    if !path.status.success() {
        eprintln!("skipped: systemd is not unpacked");
        return;
    }
    let program = PathBuf::from(String::from_utf8(path.stdout).unwrap().trim());
    let root = program.ancestors().nth(3).unwrap();
    let (libraries, units) = (folder_of(root, "libsystemd-shared-").unwrap(), folder_of(root, "multi-user.target").unwrap());
    let folder = tempfile::tempdir().unwrap();
    let unit = fs::read_to_string(here.join("deploy/slm-agent.service")).unwrap();
    // Where it is tried, slm is elsewhere.
    let unit = unit.replace("ExecStart=/usr/bin/slm ", "ExecStart=/bin/sh ");
    let verified = |text: &str| {
        let file = folder.path().join("slm-agent.service");
        fs::write(&file, text).unwrap();
        let mut command = Command::new(&program);
        command.args(["verify", "--recursive-errors=no", "--man=no"]).arg(&file).env("LD_LIBRARY_PATH", &libraries);
        let paths = format!("{}:{}", folder.path().display(), units.display());
        let ran = command.env("SYSTEMD_UNIT_PATH", paths).output().unwrap();
        (ran.status.success(), String::from_utf8(ran.stderr).unwrap())
    };
    assert_eq!(verified(&unit), (true, String::new()));
    let (fine, said) = verified(&unit.replace("ProtectClock=", "ProtectClocks="));
    assert!(!fine && said.contains("ProtectClocks"), "{said}");
}
