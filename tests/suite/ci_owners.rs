//! Who owns what: CODEOWNERS from the owners of controls, rules and credentials.

use std::collections::BTreeSet;
use std::path::Path;

use crate::ci::{KEY, Project};
use crate::support::{World, copy, git};

#[test]
fn codeowners_are_written_from_the_owners_checked_and_leave_other_lines_alone() {
    let project = Project::new();
    let root = project.world.root();
    project.world.write(".github/CODEOWNERS", "* @acme/all\n");
    let check = ["ci", "codeowners", "--org", "acme", "--check"];
    project.world.slm(&check).exits(2).says("is not as the owners say");
    project.world.slm(&check[..4]).exits(0).says("Wrote `.github/CODEOWNERS`.");
    project.world.slm(&check).exits(0);
    let text = std::fs::read_to_string(root.join(".github/CODEOWNERS")).unwrap();
    assert!(text.starts_with("* @acme/all\n"), "{text}");
    for line in [
        "/controls/rot/ROT-01.toml @acme/security\n",
        "/credentials/session-key.toml @acme/platform\n",
        "/policies/rot.cedar @acme/security\n",
        "/policies/ @acme/security\n",
        "/.github/ @acme/security\n",
        "/deploy/action/ @acme/security\n",
    ] {
        assert!(text.contains(line), "`{line}` is not in {text}");
    }
    project.world.write(".github/CODEOWNERS", &format!("{text}/policies/ @eve\n"));
    project.world.slm(&check).exits(2);
    project.world.slm(&check[..4]).exits(0);
    project.world.slm(&check).exits(0);
    assert!(project.world.read(".github/CODEOWNERS").starts_with("* @acme/all\n/policies/ @eve\n#"), "it takes nothing there");
    project.world.edit(KEY, "owner = \"platform\"", "owner = \"payments\"");
    project.world.slm(&check).exits(2);
}

/// The reference repo has no CODEOWNERS of its own: its owners are teams of whoever copies it.
#[test]
fn of_the_reference_repo_every_control_and_every_file_of_rules_has_a_team_of_whatever_organisation_copies_it() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(!here.join(".github/CODEOWNERS").exists());
    let world = World::new();
    for part in ["controls", "policies"] {
        copy(&here.join(part), &world.root().join(part));
    }
    world.write("slm.toml", &std::fs::read_to_string(here.join("slm.toml")).unwrap());
    world.commit();
    world.slm(&["ci", "codeowners", "--org", "example-org"]).exits(0);
    let text = world.read(".github/CODEOWNERS");
    let teams = ["engineering", "legal", "people", "platform", "security"].map(|team| format!("@example-org/{team}"));
    let owned: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix('/')?.split_once(' ')).map(|(path, _)| path).collect();
    for line in text.lines().filter(|line| line.starts_with('/')) {
        let owners: Vec<&str> = line.split(' ').skip(1).collect();
        assert!(!owners.is_empty() && owners.iter().all(|owner| teams.iter().any(|team| team == owner)), "{line}");
    }
    let tracked = String::from_utf8(git(&world.root(), &["ls-files", "controls", "policies"])).unwrap();
    let of_nobody =
        |path: &&str| !path.starts_with("controls/frameworks/") && **path != *"policies/guards.cedar" && !path.ends_with("schema");
    let missing: Vec<&str> = tracked.lines().filter(of_nobody).filter(|path| !owned.contains(path)).collect();
    assert!(missing.is_empty() && owned.len() > 100, "{missing:?} of {}", owned.len());
}
