//! What Terraform would keep or write of a credential is pointed at, and nothing else.

use super::tests::{CREDENTIAL_PATH, World, world};

const SECRET: &str = "resource \"aws_secretsmanager_secret\" \"db\" {\n  name = \"prod/db\"\n}\n";

/// A credential of AWS with its consumer in GitHub, and `text` in a file of Terraform.
fn beside(text: &str) -> World {
    let world = world().with(CREDENTIAL_PATH, "source = \"local\"", "source = \"prod\"\nregion = \"eu-west-1\"").with(
        CREDENTIAL_PATH,
        "app/session-key",
        "prod/db",
    );
    assert_eq!(world.found(), []);
    world.file("infra/main.tf", text)
}

fn clean(text: &str) {
    assert_eq!(beside(text).found(), [], "{text}");
}

fn kept(text: &str, at: &str) {
    beside(text).says("slm::terraform-state", at, "removed");
}

fn owned(text: &str, at: &str) {
    beside(text).says("slm::terraform-owner", at, "observe");
}

fn version(of: &str, more: &str) -> String {
    format!("{SECRET}resource \"aws_secretsmanager_secret_version\" \"db\" {{\n  secret_id = {of}\n  {more}\n}}\n")
}

#[test]
fn a_version_of_a_managed_secret_stands_in_the_state() {
    clean(SECRET);
    let value = "secret_string = var.password";
    let arn = "\"arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf\"";
    for of in [
        "aws_secretsmanager_secret.db.id",
        "aws_secretsmanager_secret.db[0].arn",
        "\"prod/db\"",
        "\"${aws_secretsmanager_secret.db.id}\"",
        arn,
    ] {
        kept(&version(of, value), "secret_string");
    }
    kept(&version("\"prod/db\"", "secret_binary = filebase64(\"key\")"), "secret_binary");
    for of in ["\"prod/other\"", "aws_secretsmanager_secret.other.id", "var.secret", "\"${aws_secretsmanager_secret.db.id}x\""] {
        clean(&version(of, value));
    }
    let data = "data \"aws_secretsmanager_secret\" \"it\" {\n  name = \"prod/db\"\n}\n";
    kept(&format!("{data}{}", version("data.aws_secretsmanager_secret.it.id", value)), "secret_string");
}

#[test]
fn what_is_written_once_is_no_version_of_slm_and_what_is_not_kept_has_two_owners_all_the_same() {
    for ignored in ["[secret_string]", "all"] {
        clean(&version("\"prod/db\"", &format!("secret_string = \"first\"\n  lifecycle {{\n    ignore_changes = {ignored}\n  }}")));
    }
    kept(
        &version("\"prod/db\"", "secret_string = \"x\"\n  lifecycle {\n    ignore_changes = [version_stages]\n  }"),
        "secret_string",
    );
    owned(&version("\"prod/db\"", "secret_string_wo = ephemeral.random_password.db.result"), "secret_string_wo");
    let rotation = "resource \"aws_secretsmanager_secret_rotation\" \"db\" {\n  secret_id = aws_secretsmanager_secret.db.id\n}\n";
    owned(&format!("{SECRET}{rotation}"), "resource");
    owned(&SECRET.replace("}", "  rotation_lambda_arn = var.lambda\n}"), "rotation_lambda_arn");
    let managed = beside(&format!("{SECRET}{rotation}")).with(
        CREDENTIAL_PATH,
        "random = { length = 40, alphabet = \"alnum\" }",
        "aws-managed = { expect-within = \"30m\" }",
    );
    assert!(!managed.found().iter().any(|found| found.0.contains("terraform")), "{:?}", managed.found());
}

#[test]
fn passwords_and_keys_that_terraform_makes_stand_in_the_state() {
    let password = |label: &str| format!("resource \"random_password\" \"{label}\" {{\n  length = 32\n}}\n");
    for label in ["session", "prod_db"] {
        kept(&password(label), "resource");
    }
    clean(&password("other"));
    clean(&password("session").replace("resource", "ephemeral"));
    let used = "secret_string = jsonencode({ password = random_password.other.result })";
    let found = beside(&format!("{}{}", password("other"), version("\"prod/db\"", used))).found();
    assert_eq!(found.iter().filter(|found| found.0 == "slm::terraform-state").count(), 2, "{found:?}");
    let first = "secret_string = random_password.session.result\n  lifecycle {\n    ignore_changes = [secret_string]\n  }";
    clean(&format!("{}{}", password("session"), version("\"prod/db\"", first)));

    let keyed = |text: &str| {
        let user = "aws-iam-access-key = { user = \"ci\", exclusive = true }";
        beside(text).with(CREDENTIAL_PATH, "random = { length = 40, alphabet = \"alnum\" }", user)
    };
    let user = "resource \"aws_iam_user\" \"it\" {\n  name = \"ci\"\n}\n";
    let key = |user: &str, more: &str| format!("resource \"aws_iam_access_key\" \"it\" {{\n  user = {user}\n{more}}}\n");
    keyed(&format!("{user}{}", key("aws_iam_user.it.name", ""))).mentions("slm::terraform-state", "resource", "removed");
    keyed(&key("\"ci\"", "  pgp_key = \"keybase:x\"\n")).mentions("slm::terraform-owner", "resource", "observe");
    let other = keyed(&key("\"other\"", "")).found();
    assert!(!other.iter().any(|found| found.0.contains("terraform")), "{other:?}");
}

#[test]
fn a_secret_of_github_that_terraform_writes_is_the_one_that_slm_delivers() {
    let secret = |kind: &str, more: &str| {
        format!("resource \"{kind}\" \"it\" {{\n  repository = \"app\"\n  environment = \"prod\"\n  {more}\n}}\n")
    };
    let kind = "github_actions_environment_secret";
    kept(&secret(kind, "secret_name = \"SESSION_KEY\"\n  plaintext_value = var.key"), "plaintext_value");
    kept(&secret(kind, "secret_name = \"session_key\"\n  value = var.key"), "value");
    owned(&secret(kind, "secret_name = \"SESSION_KEY\"\n  encrypted_value = var.key"), "encrypted_value");
    clean(&secret(kind, "secret_name = \"OTHER\"\n  plaintext_value = var.key"));
    for kind in ["github_actions_secret", "github_actions_organization_secret", "github_dependabot_secret"] {
        clean(&secret(kind, "secret_name = \"SESSION_KEY\"\n  plaintext_value = var.key"));
    }
}

#[test]
fn a_file_that_cannot_be_read_is_said_and_one_that_names_none_of_it_is_not_looked_at() {
    let found = beside("resource \"random_password\" {").found();
    assert_eq!(found.iter().map(|found| found.0).collect::<Vec<_>>(), ["slm::terraform-syntax"]);
    clean("resource \"aws_instance\" {");
    let observed = beside(&version("\"prod/db\"", "secret_string = \"x\"")).with(
        CREDENTIAL_PATH,
        "random = { length = 40, alphabet = \"alnum\" }",
        "observe = { rotated-by = \"Terraform\" }",
    );
    assert!(!observed.found().iter().any(|found| found.0.contains("terraform")), "{:?}", observed.found());
}
