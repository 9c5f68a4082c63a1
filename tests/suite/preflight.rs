//! What is asked of AWS ahead of a rotation: by the binary, and answer by answer, against a server that simulates policies.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use slm::collectors::preflight::Ahead;
use slm::model::preflight::{Permission, Step};

use crate::aws::{ACCOUNT, config};
use crate::aws_script::{Answer, END, FIRST, MORE, SECOND, Script, details, refused, says, whole_account};
use crate::support::World;

pub const VERSION: &str = "11111111-1111-5111-8111-111111111111";
const ROLE: &str = "arn:aws:iam::123456789012:role/slm-apply";
const USER: &str = "arn:aws:iam::123456789012:user/alice";
pub const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app/key-AbCdEf";
pub const KMS: &str = "arn:aws:kms:eu-west-1:123456789012:key/k1";

/// The values of `name` in the body of a request, or of its members.
fn fields(body: &str, name: &str) -> Vec<String> {
    let of = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        let is_it = key == name || key.strip_prefix(name).is_some_and(|rest| rest.starts_with(".member."));
        is_it.then(|| value.replace("%3A", ":").replace("%2F", "/"))
    };
    body.split('&').filter_map(of).collect()
}

/// One result, with the parts `more` of it.
fn result(action: &str, resource: &str, verdict: &str, more: &str) -> String {
    format!(
        "<member><EvalActionName>{action}</EvalActionName><EvalResourceName>{resource}</EvalResourceName>\
         <EvalDecision>{verdict}</EvalDecision>{more}</member>"
    )
}

fn simulated(results: &str, end: &str) -> Answer {
    says("SimulatePrincipalPolicy", &format!("<EvaluationResults>{results}</EvaluationResults>{end}"))
}

/// What was simulated: the principal, an action and a resource.
type Heard = Arc<Mutex<Vec<(String, String, String)>>>;

/// Simulates every action as allowed but for `denied`, and keeps what it was asked, a request at a time.
fn simulator(
    denied: &'static [&'static str],
    heard: &Heard,
    count: &Arc<Mutex<usize>>,
) -> impl Fn(&str, &str) -> Option<Answer> + use<> {
    let (heard, count) = (Arc::clone(heard), Arc::clone(count));
    move |operation, body| {
        if operation != "SimulatePrincipalPolicy" {
            return None;
        }
        *count.lock().unwrap() += 1;
        let mut results = String::new();
        for action in fields(body, "ActionNames") {
            for resource in fields(body, "ResourceArns") {
                let verdict = if denied.contains(&action.as_str()) { "implicitDeny" } else { "allowed" };
                results.push_str(&result(&action, &resource, verdict, ""));
                let source = fields(body, "PolicySourceArn").remove(0);
                heard.lock().unwrap().push((source, action.clone(), resource));
            }
        }
        Some(simulated(&results, END))
    }
}

/// The whole account, with an overdue secret that holds alice's key and is encrypted by a key of its own in `state`.
pub fn account(state: &str) -> Script {
    let secret = format!(
        r#"{{"SecretList":[{{"ARN":"{SECRET}","Name":"app/key","CreatedDate":1600000000,"KmsKeyId":"{KMS}",
        "SecretVersionsToStages":{{"{VERSION}":["AWSCURRENT"]}}}}]}}"#
    );
    let described = format!(r#"{{"ARN":"{SECRET}","Name":"app/key","VersionIdsToStages":{{"{VERSION}":["AWSCURRENT"]}}}}"#);
    let versions = format!(
        r#"{{"ARN":"{SECRET}","Versions":[{{"VersionId":"{VERSION}","VersionStages":["AWSCURRENT"],"CreatedDate":1600000000}}]}}"#
    );
    let key = format!(r#"{{"KeyMetadata":{{"KeyId":"k1","Arn":"{KMS}","KeyState":"{state}","Enabled":true}}}}"#);
    whole_account()
        .on("GetAccountAuthorizationDetails", &[details(&[FIRST, SECOND].concat(), END)])
        .on("ListSecrets", &[(200, secret)])
        .on("DescribeSecret", &[(200, described)])
        .on("ListSecretVersionIds", &[(200, versions)])
        .on("DescribeKey", &[(200, key)])
}

/// A config repo that rotates alice's key in the account at `endpoint`, with `more` said of the account.
pub fn world(endpoint: &str, more: &str) -> World {
    let signed_in = World::new().with("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE").with("AWS_SECRET_ACCESS_KEY", "test");
    world_of(signed_in, endpoint, more)
}

/// The same, signed in as `world` is.
pub fn world_of(world: World, endpoint: &str, more: &str) -> World {
    let world = world.with("AWS_EC2_METADATA_DISABLED", "true").with("NO_PROXY", "127.0.0.1");
    world.ship(&["ROT-01"]);
    let source = format!("aws = {{ account = \"{ACCOUNT}\", regions = [\"eu-west-1\"], endpoint = \"{endpoint}\"{more} }}");
    let tiers = "[tiers]\ndefault = \"standard\"\nlimits = { standard = \"60d\" }\n";
    world.write("slm.toml", &format!("[source.prod]\n{source}\n\n{tiers}"));
    world.write(
        "credentials/alice.toml",
        r#"title = "Access key of alice"
owner = "platform"
satisfies = ["ROT-01"]

[secret]
source = "prod"
region = "eu-west-1"
name = "app/key"

[rotator]
aws-iam-access-key = { user = "alice" }

[policy]
rotate-every = "30d"
"#,
    );
    world.commit();
    world
}

const APPLY: &str = ", apply-role = \"arn:aws:iam::123456789012:role/slm-apply\"";

#[test]
fn every_step_is_simulated_for_who_applies_in_one_request_a_service() {
    let (heard, count) = (Heard::default(), Arc::default());
    let world = world(&account("Enabled").serve_but(simulator(&[], &heard, &count)), APPLY);
    let ran = world.slm(&["plan"]).exits(2);
    let ran = ran.says("rotate    alice").says(&format!("preflight permissions of alice  13 of 13 steps permitted to `{ROLE}`"));
    ran.says("preflight KMS key of alice  it can be used");
    assert_eq!(*count.lock().unwrap(), 3, "Secrets Manager, IAM and KMS");
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 13, "no action is simulated on what it has nothing to do with");
    for (principal, action, resource) in heard.iter() {
        let of = [("secretsmanager:", SECRET), ("iam:", USER), ("kms:", KMS)];
        assert!(principal == ROLE && of.iter().any(|(service, arn)| action.starts_with(service) && resource == arn), "{action}");
    }
}

#[test]
fn a_step_that_is_denied_holds_the_rotation_in_every_rendering_and_nothing_is_begun() {
    let endpoint = account("Enabled").serve_but(simulator(&["iam:DeleteAccessKey"], &Heard::default(), &Arc::default()));
    let world = world(&endpoint, APPLY);
    let want = format!("`{ROLE}` may not iam:DeleteAccessKey [not-permitted]: permit it");
    world.slm(&["plan"]).exits(5).says("held      rotate alice").says(&want);
    world.slm(&["plan", "--markdown"]).exits(5).says("rotate alice: ").says(&want);
    let said = world.slm(&["plan", "--format", "json", "--out", "p.json"]).exits(5).json();
    let obstacle = &said["plan"]["held"][0]["because"]["preflight"][0];
    assert_eq!(obstacle["code"], "not-permitted");
    assert_eq!(said["plan"]["actions"], serde_json::json!([]));
    world.slm(&["apply", "p.json"]).exits(5).says("Nothing was due").says("1 held");
}

#[test]
fn what_is_not_simulated_is_told_and_holds_nothing() {
    let denied = world(&account("Enabled").serve(), APPLY);
    let want = "? preflight permissions of prod  not seen: not simulated, AccessDenied (HTTP 400)";
    denied.slm(&["plan"]).exits(2).says("rotate    alice").says(want);
    denied.slm(&["plan", "--markdown"]).exits(2).says("Preflight:").says("not simulated, AccessDenied");
    let count = Arc::default();
    let nobody = world(&account("Enabled").serve_but(simulator(&[], &Heard::default(), &count)), "");
    nobody.slm(&["plan"]).exits(2).says("rotate    alice").says("no `apply-role` in `slm.toml` says who applies");
    assert_eq!(*count.lock().unwrap(), 0);
}

#[test]
fn who_plans_and_applies_is_simulated_itself() {
    let heard = Heard::default();
    let endpoint = account("Enabled").serve_but(simulator(&["iam:CreateAccessKey"], &heard, &Arc::default()));
    world(&endpoint, "").slm(&["rotate", "alice"]).exits(5).says("1 held");
    assert_eq!(heard.lock().unwrap()[0].0, "arn:aws:iam::123456789012:user/reader");
}

#[test]
fn a_kms_key_that_is_switched_off_holds_the_rotation() {
    let endpoint = account("Disabled").serve_but(simulator(&[], &Heard::default(), &Arc::default()));
    let want = "the KMS key of `app/key` cannot be used: it is in state Disabled [key-unusable]";
    world(&endpoint, APPLY).slm(&["plan"]).exits(5).says(want);
}

/// What `answer` to the simulation of `action` comes to; the secret has a policy of its own when `policy` says so.
async fn permission(action: &'static str, verdict: &str, more: &str, policy: Answer) -> Option<Permission> {
    let resource = match action {
        "iam:PassRole" => "*",
        action if action.starts_with("iam:") => USER,
        _ => SECRET,
    };
    let answer = simulated(&result(action, resource, verdict, more), END);
    let script = Script::new().on("SimulatePrincipalPolicy", &[answer]).on("GetResourcePolicy", &[policy]);
    let config = config(&script.serve(), "us-east-1", None).await;
    let step = Step { action, resource: resource.to_owned() };
    let ahead = Ahead::new(&config);
    let found = ahead.simulate(ROLE, &BTreeSet::from([step.clone()])).await.unwrap().remove(&step);
    assert!(ahead.requests() > 0);
    found
}

#[tokio::test]
async fn only_what_nothing_else_may_permit_is_denied() {
    let put = "secretsmanager:PutSecretValue";
    let none = || (200, format!(r#"{{"ARN":"{SECRET}","Name":"app/key"}}"#));
    let some = || (200, format!(r#"{{"ARN":"{SECRET}","Name":"app/key","ResourcePolicy":"{{}}"}}"#));
    let error = |code: &str| (400, format!(r#"{{"__type":"{code}"}}"#));
    let (gone, refused) = (error("ResourceNotFoundException"), error("AccessDeniedException"));
    let rests = "<MissingContextValues><member>aws:CurrentTime</member></MissingContextValues>";
    let away = "<OrganizationsDecisionDetail><AllowedByOrganizations>false</AllowedByOrganizations></OrganizationsDecisionDetail>";
    for (action, verdict, more, policy, want) in [
        (put, "allowed", "", none(), "allowed"),
        (put, "explicitDeny", "", some(), "denied"),
        (put, "implicitDeny", "", none(), "denied"),
        (put, "implicitDeny", "", gone, "denied"),
        (put, "implicitDeny", "", some(), "the policy of the secret may permit it"),
        (put, "implicitDeny", "", refused, "the policy of the secret was not seen, AccessDenied"),
        (put, "implicitDeny", away, some(), "denied"),
        (put, "explicitDeny", rests, none(), "it rests on aws:CurrentTime"),
        ("kms:Decrypt", "implicitDeny", "", none(), "the policy of the key may permit it"),
        ("kms:Decrypt", "explicitDeny", "", none(), "denied"),
        ("iam:CreateAccessKey", "implicitDeny", "", some(), "denied"),
        ("ecs:UpdateService", "implicitDeny", "", some(), "denied"),
        ("lambda:UpdateAlias", "implicitDeny", "", none(), "the policy of what it is done to may permit it"),
        ("s3:PutObject", "implicitDeny", "", none(), "the policy of what it is done to may permit it"),
        ("iam:PassRole", "implicitDeny", "", none(), "it may be permitted on what it is done to"),
        ("iam:PassRole", "explicitDeny", "", none(), "denied"),
    ] {
        let found = match permission(action, verdict, more, policy).await.unwrap() {
            Permission::Allowed => "allowed".to_owned(),
            Permission::Denied => "denied".to_owned(),
            Permission::Unsure(why) => why,
        };
        assert!(found.starts_with(want), "{action} {verdict} {more}: {found}");
    }
}

#[tokio::test]
async fn every_page_of_a_simulation_is_read_and_each_resource_counts_by_itself() {
    let [create, delete] = ["iam:CreateAccessKey", "iam:DeleteAccessKey"];
    let other = format!("{USER}-2");
    let each = |resource: &str, verdict: &str| {
        format!(
            "<member><EvalResourceName>{resource}</EvalResourceName>\
             <EvalResourceDecision>{verdict}</EvalResourceDecision></member>"
        )
    };
    let both =
        format!("<ResourceSpecificResults>{}{}</ResourceSpecificResults>", each(USER, "allowed"), each(&other, "explicitDeny"));
    let first = simulated(&result(create, "*", "allowed", &both), MORE);
    let second = simulated(&result(delete, USER, "allowed", ""), END);
    let steps: BTreeSet<Step> = [(create, USER), (create, other.as_str()), (delete, USER)]
        .map(|(action, resource)| Step { action, resource: resource.to_owned() })
        .into();
    let script = |second: Answer| Script::new().on("SimulatePrincipalPolicy", &[first.clone(), second]);
    let one_user: BTreeSet<Step> = steps.iter().filter(|step| step.resource == USER).cloned().collect();
    let whole = config(&script(second).serve(), "us-east-1", None).await;
    let found = Ahead::new(&whole).simulate(ROLE, &one_user).await.unwrap();
    assert_eq!(found.values().collect::<Vec<_>>(), [&Permission::Allowed, &Permission::Allowed]);
    let lost = config(&script(refused("ServiceFailure")).serve(), "us-east-1", None).await;
    let why = Ahead::new(&lost).simulate(ROLE, &one_user).await.unwrap_err();
    assert!(why.contains("ServiceFailure"), "{why}");
    let once = Script::new().on("SimulatePrincipalPolicy", &[simulated(&result(create, "*", "allowed", &both), "")]);
    let config = config(&once.serve(), "us-east-1", None).await;
    let creates: BTreeSet<Step> = steps.into_iter().filter(|step| step.action == create).collect();
    let found = Ahead::new(&config).simulate(ROLE, &creates).await.unwrap();
    assert_eq!(found.values().collect::<Vec<_>>(), [&Permission::Allowed, &Permission::Denied]);
}
