//! `slm ci doctor`: why AWS does not let a job in, by a policy from a file and by one that IAM tells.

use serde_json::{Value as Json, json};

use crate::support::{Server, World};

const ISSUER: &str = "token.actions.githubusercontent.com";

/// A trust policy that lets subjects like `sub` in.
fn trusts(sub: &str) -> Json {
    json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": { "Federated": format!("arn:aws:iam::123456789012:oidc-provider/{ISSUER}") },
        "Condition": { "StringLike": { format!("{ISSUER}:sub"): sub } },
    }] })
}

/// A world with the claims of a job whose repository has numbers in its subject, and with keys of AWS.
fn of_a_job() -> World {
    let world = World::new()
        .with("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .with("AWS_SECRET_ACCESS_KEY", "canary-key-5b1f-never-shown")
        .with("AWS_EC2_METADATA_DISABLED", "true")
        .with("NO_PROXY", "127.0.0.1");
    let claims = json!({
        "iss": format!("https://{ISSUER}"), "aud": "sts.amazonaws.com", "repository": "acme/slm",
        "sub": "repo:acme@1/slm@2:ref:refs/heads/main", "repository_owner_id": "1", "repository_id": "2",
    });
    world.write("claims.json", &claims.to_string());
    world
}

#[test]
fn the_doctor_explains_a_trust_policy_and_proposes_one_without_showing_the_token() {
    let world = of_a_job();
    let policy = |sub: &str| json!({ "Role": { "AssumeRolePolicyDocument": trusts(sub) } });
    let doctor = ["ci", "doctor", "--claims", "claims.json", "--trust-policy", "policy.json"];
    world.write("policy.json", &policy("repo:acme/slm:*").to_string());
    world
        .slm(&doctor)
        .exits(2)
        .says("It does not let this job in.")
        .says("since 2026-07-15")
        .says("repo:acme@1/slm@2:ref:refs/heads/main");
    world.write("policy.json", &policy("repo:acme@1/slm@2:*").to_string());
    world.slm(&doctor).exits(0).says("It lets this job in.");
    world.slm(&["ci", "doctor"]).exits(1).says("id-token: write");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_asks_iam_for_the_trust_policy_of_a_role_and_explains_both_forms_of_the_subject() {
    let moto = Server::moto();
    let iam = aws_sdk_iam::Client::new(&crate::aws::config(&moto.endpoint, "us-east-1", None).await);
    for (name, sub) in [("plain", "repo:acme/slm:*"), ("numbered", "repo:acme@1/slm@2:*")] {
        iam.create_role().role_name(name).path("/ci/").assume_role_policy_document(trusts(sub).to_string()).send().await.unwrap();
    }
    let world = of_a_job();
    let doctor = |role: &str| {
        let arn = format!("arn:aws:iam::123456789012:role/{role}");
        world.slm(&["ci", "doctor", "--claims", "claims.json", "--role", &arn, "--endpoint", &moto.endpoint])
    };
    doctor("ci/numbered")
        .exits(0)
        .says("The trust policy of `arn:aws:iam::123456789012:role/ci/numbered`:")
        .says("It lets this job in.");
    let said = doctor("ci/plain").exits(2).says("It does not let this job in.").says("since 2026-07-15");
    said.says("\"repo:acme/slm:ref:refs/heads/main\"")
        .says("\"repo:acme@1/slm@2:ref:refs/heads/main\"")
        .says("Take out the form without numbers once your tokens carry them: somebody else can take a name, and no number.");
    // Of another role nothing is told: neither where there is none, nor where the name is of another path.
    doctor("gone")
        .exits(3)
        .says("The trust policy was not seen: could not read the trust policy of")
        .says("NoSuchEntity")
        .says("If these credentials are of account 123456789012, the role has to be made");
    doctor("numbered").exits(3).says("whose role is `arn:aws:iam::123456789012:role/ci/numbered`");
}

#[test]
fn a_doctor_that_may_not_ask_iam_says_so_and_how_the_policy_is_to_be_had() {
    let moto = Server::moto_that_checks_credentials();
    let world = of_a_job();
    let role = "arn:aws:iam::123456789012:role/slm-ci";
    let ask = ["ci", "doctor", "--claims", "claims.json", "--role", role, "--endpoint", &moto.endpoint];
    let said = world.slm(&ask).exits(3).says("The trust policy was not seen: could not read the trust policy of");
    let said = said.says("HTTP 403").says("`aws iam get-role --role-name slm-ci > role.json`").says("`--trust-policy role.json`");
    assert!(said.out.contains("One that lets it in, in both forms of `sub`:"), "{}", said.out);
    assert!(!said.out.contains("canary-key") && !said.err.contains("canary-key"), "{}{}", said.out, said.err);
    let seen = world.slm(&[&["--format", "json"], &ask[..]].concat()).exits(3).json();
    assert!(seen["trust_policy"]["unseen"].as_str().unwrap().contains("403"), "{seen:#}");
    // The file that it names does.
    world.write("role.json", &json!({ "Role": { "AssumeRolePolicyDocument": trusts("repo:acme@1/slm@2:*") } }).to_string());
    world.slm(&["ci", "doctor", "--claims", "claims.json", "--trust-policy", "role.json"]).exits(0).says("It lets this job in.");
    world.slm(&["ci", "doctor", "--role", "slm-ci"]).exits(64).says("write the ARN of a role");
    world.slm(&["ci", "doctor", "--profile", "admin"]).exits(64).says("--role");
}
