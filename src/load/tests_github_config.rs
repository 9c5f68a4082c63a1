//! Where an organisation holds the config repo.

use super::tests::world;

#[test]
fn the_repository_of_the_config_is_the_organisations_and_a_commit_without_a_pull_request_is_explained() {
    let token = "token-env = \"TOKEN\"";
    let sha = "3f1c20aa8b5e3f1c20aa8b5e3f1c20aa8b5e3f1c";
    let config = |text: &str| world().with("slm.toml", token, &format!("{token}, config = {{ {text} }}"));
    let whole = format!(
        "repo = \"acme/policy\", evidence-repo = \"acme/evidence\", explained = {{ {sha} = \"SEC-1\", \"#7\" = \"SEC-2\" }}"
    );
    assert_eq!(config(&whole).found(), []);
    config("repo = \"other/policy\"").says("slm::bad-repo", "\"other/policy\"", "write `acme/NAME`");
    config("repo = \"acme/policy\", evidence-repo = \"x\"").says("slm::bad-repo", "\"x\"", "write `acme/NAME`");
    let of = |key: &str, why: &str| config(&format!("repo = \"acme/policy\", explained = {{ {key} = \"{why}\" }}"));
    of("3f1c20a", "SEC-1").says("slm::bad-commit", "\"SEC-1\"", "git rev-parse");
    of(sha, " ").says("slm::bad-commit", "\" \"", "where that was agreed");
}
