//! `slm check` over a config repo with Terraform beside it.

use crate::support::World;

const KEPT: &str = "resource \"random_password\" \"session_key\" {\n  length = 32\n}\n";

#[test]
fn check_warns_of_what_terraform_keeps_in_the_work_tree_and_at_a_revision() {
    let world = World::scaffolded();
    world.slm(&["check"]).exits(0);
    world.write("infra/db/main.tf", KEPT);
    world.write("infra/large.tf", &format!("# {}\n{KEPT}", "x".repeat(1 << 20)));
    world.slm(&["check"]).exits(0);
    world.commit();
    for arguments in [&["check"][..], &["check", "--rev", "HEAD"]] {
        let ran = world.slm(arguments).exits(2).says("slm::terraform-state").says("infra/db/main.tf:1");
        assert!(!ran.out.contains("large.tf") && !ran.err.contains("large.tf"), "{}{}", ran.out, ran.err);
    }
    let json = world.slm(&["check", "--format", "json"]).exits(2).json();
    assert_eq!(json["diagnostics"][0]["code"], "slm::terraform-state");
    world.slm(&["plan"]).exits(2).says("session-key");
    world.write("infra/db/main.tf", "");
    world.slm(&["check"]).exits(0);
    world.slm(&["check", "--rev", "HEAD"]).exits(2);
}
