//! IAM: an account on moto, and a scripted one that refuses, breaks off, contradicts itself or leaves out what it must say.

use slm::collectors::iam::Iam;
use slm::model::assessment::Status;
use slm::model::receipt::{RawRef, Redacted};
use slm::model::snapshot::{Completeness, Fact, Resource, Unseen};
use slm::model::time::Timestamp;
use slm::world::{Collected, Collector as _};

use crate::aws::{ACCOUNT, CANARY, Noon, cause, config, everything, source};
use crate::aws_script::{
    Answer, END, FIRST, HEAD, MORE, SECOND, Script, assert_populations_unseen, catalog, details, judged, refused, report, rows,
    says, statuses, summary, whole_account,
};
use crate::support::{Server, World, copy, declared};

async fn collect(endpoint: &str) -> Collected {
    Iam::new("prod".into(), &source(endpoint), config(endpoint, "us-east-1", None).await).collect(&Noon).await
}

/// An account with a user of each kind and a policy of each kind, as collected.
pub async fn populated(endpoint: &str) -> Collected {
    let iam = aws_sdk_iam::Client::new(&config(endpoint, "us-east-1", None).await);
    let note = aws_sdk_iam::types::Tag::builder().key("note").value(CANARY).build().unwrap();
    for name in ["alice", "bob"] {
        iam.create_user().user_name(name).tags(note.clone()).send().await.unwrap();
    }
    iam.create_access_key().user_name("alice").send().await.unwrap();
    iam.create_login_profile().user_name("bob").password(CANARY).send().await.unwrap();
    let policy = |action: &str| {
        format!(r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"{action}","Resource":"*"}}]}}"#)
    };
    let all = iam.create_policy().policy_name("all").policy_document(policy("*")).description(CANARY).send().await.unwrap();
    iam.put_user_policy().user_name("alice").policy_name("some").policy_document(policy("s3:*")).send().await.unwrap();
    iam.update_account_password_policy().minimum_password_length(14).password_reuse_prevention(24).send().await.unwrap();
    let key = "token.actions.githubusercontent.com";
    let trust = format!(
        r#"{{"Statement":[{{"Effect":"Allow","Principal":{{"Federated":"arn:aws:iam::{ACCOUNT}:oidc-provider/{key}"}},
        "Action":"sts:AssumeRoleWithWebIdentity","Condition":{{"StringEquals":{{"{key}:aud":"sts.amazonaws.com"}},
        "StringLike":{{"{key}:sub":"repo:o/*"}}}}}}]}}"#
    );
    iam.create_role().role_name("ci").assume_role_policy_document(trust).max_session_duration(7200).send().await.unwrap();
    iam.attach_role_policy().role_name("ci").policy_arn(all.policy.unwrap().arn.unwrap()).send().await.unwrap();
    collect(endpoint).await
}

fn of<'c>(seen: &'c Collected, entity: &str) -> &'c [Resource] {
    &seen.populations.iter().find(|population| population.entity.as_str() == entity).unwrap().resources
}

#[tokio::test]
async fn a_user_that_aws_has_quarantined_is_seen_by_the_policy_it_was_given() {
    let attached = "<AttachedManagedPolicies><member><PolicyArn>arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3</PolicyArn>\
                    </member></AttachedManagedPolicies>";
    for (more, want) in [("", ""), (attached, "AWSCompromisedKeyQuarantineV3")] {
        let (status, body) = details(FIRST, MORE);
        let first = (status, body.replace("</GroupList>", &format!("</GroupList>{more}")));
        let script = whole_account().on("GetAccountAuthorizationDetails", &[first, details(SECOND, END)]);
        let seen = declared(collect(&script.serve()).await);
        assert_eq!(of(&seen, "Aws::User")[0].text("quarantine"), Some(want));
    }
}

#[tokio::test]
async fn users_roles_credentials_and_policies_come_from_two_reports_and_no_call_per_user() {
    let server = Server::moto();
    let seen = populated(&server.endpoint).await;
    assert_eq!(seen.receipt.completeness, Completeness::Complete);
    let calls: Vec<_> = seen.receipt.operations.iter().map(|of| (of.name.as_str(), of.requests)).collect();
    let want = [
        ("sts:GetCallerIdentity", 1),
        ("iam:GetAccountSummary", 1),
        ("iam:GetAccountPasswordPolicy", 1),
        ("iam:GenerateCredentialReport", 1),
        ("iam:GetCredentialReport", 1),
        ("iam:GetAccountAuthorizationDetails", 1),
        ("iam:ListRoles", 1),
    ];
    assert_eq!((calls.as_slice(), seen.receipt.independent_count), (want.as_slice(), Some(2)));
    let found: Vec<_> = seen.populations.iter().map(|of| (of.entity.as_str(), of.resources.len())).collect();
    let want = [
        ("Aws::AccessKey", 1),
        ("Aws::Account", 1),
        ("Aws::Credential", 2),
        ("Aws::OidcRole", 1),
        ("Aws::Policy", 2),
        ("Aws::Principal", 3),
        ("Aws::User", 2),
    ];
    assert_eq!(found, want);
    let account = &of(&seen, "Aws::Account")[0];
    assert_eq!(account.get("min_password_length"), Some(Fact::Long(14)));
    assert_eq!(account.get("password_reuse_prevention"), Some(Fact::Long(24)));
    assert_eq!(account.get("has_iam_users"), Some(Fact::Bool(true)));
    assert_eq!(account.get("root_credentials_removed"), None, "moto does not know of a root password");
    let [alice, bob] = [0, 1].map(|at| &of(&seen, "Aws::User")[at]);
    assert_eq!((alice.get("active_keys"), alice.get("console_access")), (Some(Fact::Long(1)), Some(Fact::Bool(false))));
    assert_eq!((bob.get("active_keys"), bob.get("console_access")), (Some(Fact::Long(0)), Some(Fact::Bool(true))));
    assert_eq!((alice.get("direct_policies"), bob.get("direct_policies")), (Some(Fact::Long(1)), Some(Fact::Long(0))));
    let stars = of(&seen, "Aws::Policy").iter().map(|policy| policy.get("allows_star_star")).collect::<Vec<_>>();
    assert_eq!(stars, [Some(Fact::Bool(true)), Some(Fact::Bool(false))]);
    let admins: Vec<_> = of(&seen, "Aws::Principal").iter().map(|one| (one.id.as_str(), one.is("is_admin"))).collect();
    let arn = |name: &str| format!("arn:aws:iam::{ACCOUNT}:{name}");
    let (role, first, second) = (arn("role/ci"), arn("user/alice"), arn("user/bob"));
    assert_eq!(admins, [(role.as_str(), true), (first.as_str(), false), (second.as_str(), false)]);
    let ci = &of(&seen, "Aws::OidcRole")[0];
    assert_eq!((ci.is("aud_pinned"), ci.get("sub_pinned")), (true, Some(Fact::Bool(false))));
    assert_eq!(ci.get("max_session_seconds"), Some(Fact::Long(7200)));
    let kept: Vec<_> = seen.receipt.raw.iter().map(|raw| raw.name.rsplit('/').next().unwrap()).collect();
    let want =
        ["account-summary.xml", "password-policy.xml", "credential-report.xml", "authorization-details-0001.xml", "roles-0001.xml"];
    assert_eq!((kept, seen.raw.len()), (want.to_vec(), 5));
    assert!(seen.receipt.effective.is_some(), "the report says when it was made");
    for (reference, kept) in seen.receipt.raw.iter().zip(&seen.raw) {
        let kept = kept.bytes().unwrap();
        let again = RawRef::new(reference.name.clone(), &kept, &kept, Redacted::new());
        assert_eq!(reference.kept_sha256, again.kept_sha256);
        assert_eq!(reference.kept_sha256 == reference.sha256, reference.redacted.is_empty());
    }
    assert!(!everything(&seen).contains(CANARY));
}

#[tokio::test]
async fn an_account_seen_whole_has_its_controls_decided() {
    let seen = collect(&whole_account().serve()).await;
    assert_eq!(seen.receipt.completeness, Completeness::Complete);
    assert_eq!(seen.receipt.requests(), 5 + 2 + 1, "a fixed five, two pages of details, one of roles");
    let judged = judged(&catalog(), &[&seen]);
    for (control, want) in [
        ("IAM-01", &[Status::Compliant][..]),
        ("IAM-02", &[Status::Compliant]),
        ("IAM-03", &[Status::Compliant]),
        ("IAM-04", &[Status::Compliant]),
        ("IAM-05", &[Status::Compliant, Status::Compliant]),
        ("IAM-06", &[Status::Compliant]),
        ("IAM-07", &[Status::Compliant]),
        ("IAM-08", &[Status::Compliant]),
        ("IAM-09", &[Status::NotApplicable, Status::Compliant]),
        ("IAM-10", &[Status::Compliant]),
    ] {
        assert_eq!(statuses(&judged, control), want, "{control}: {:?}", judged.gaps);
    }
}

#[tokio::test]
async fn removed_root_credentials_count_where_the_organisation_keeps_them_away() {
    let none: Vec<_> =
        ["AccountMFAEnabled", "AccountPasswordPresent", "AccountAccessKeysPresent", "AccountSigningCertificatesPresent"]
            .iter()
            .map(|&part| (part, 0))
            .chain([("Users", 1)])
            .collect();
    let features = |inner: &str| says("ListOrganizationsFeatures", &format!("<EnabledFeatures>{inner}</EnabledFeatures>"));
    let kept = features("<member>RootCredentialsManagement</member>");
    let without = |part: &str| none.iter().copied().filter(|(name, _)| *name != part).collect::<Vec<_>>();
    for (counts, answer, want) in [
        (none.clone(), kept.clone(), Status::Compliant),
        (none.clone(), features("<member>RootSessions</member>"), Status::NonCompliant),
        (none.clone(), refused("OrganizationNotFoundException"), Status::NonCompliant),
        (none.clone(), refused("AccountNotManagementOrDelegatedAdministratorException"), Status::NoEvidence),
        (none.clone(), refused("AccessDenied"), Status::NoEvidence),
        (none.clone(), says("ListOrganizationsFeatures", ""), Status::NoEvidence),
        (without("AccountPasswordPresent"), kept.clone(), Status::NoEvidence),
        (vec![("AccountMFAEnabled", 0), ("AccountPasswordPresent", 1), ("Users", 1)], kept.clone(), Status::NonCompliant),
    ] {
        let script = whole_account()
            .on("GetAccountSummary", &[summary(&counts)])
            .on("ListOrganizationsFeatures", std::slice::from_ref(&answer));
        let seen = collect(&script.serve()).await;
        assert_eq!(seen.receipt.completeness, Completeness::Complete, "one attribute at most is unseen: {answer:?}");
        assert_eq!(statuses(&judged(&catalog(), &[&seen]), "IAM-02"), [want], "{counts:?} {answer:?}");
    }
}

/// One thing wrong with an account: what is answered instead, why it is not seen, requests of that operation, and the controls that
/// must not decide about anything.
struct Wrong<'w> {
    operation: &'w str,
    answers: Vec<Answer>,
    cause: Unseen,
    requests: u64,
    undecided: &'w [&'w str],
}

/// Collects a whole account but for `wrong`, and asserts that nothing is made of what was not seen.
async fn goes(wrong: Wrong<'_>) {
    let Wrong { operation, answers, cause: why, requests, undecided } = wrong;
    let seen = collect(&whole_account().on(operation, &answers).serve()).await;
    let what = format!("{operation} {why:?} {:?}", seen.receipt.completeness);
    assert_eq!(cause(&seen), why, "{what}");
    let found = seen.receipt.operations.iter().find(|of| of.name == format!("iam:{operation}")).expect(&what);
    assert_eq!(found.requests, requests, "{what}");
    let catalog = catalog();
    let judged = judged(&catalog, &[&seen]);
    assert_populations_unseen(&catalog, &judged, &seen, &what);
    for control in undecided {
        let decided = statuses(&judged, control).into_iter().filter(|status| *status != Status::NoEvidence).count();
        assert_eq!(decided, 0, "{what}: {control}");
    }
    assert!(!everything(&seen).contains(CANARY), "{what}");
}

const OF_SUMMARY: &[&str] = &["IAM-01", "IAM-02", "IAM-06"];
const OF_REPORT: &[&str] = &["IAM-03", "IAM-04", "IAM-05", "IAM-08", "ROT-03", "ROT-04"];
/// Alice's group is on the second page, so whether she is an administrator is not known.
const OF_SECOND: &[&str] = &["IAM-09"];

#[tokio::test]
async fn a_refusal_anywhere_is_no_evidence() {
    let pages = |second: Answer| vec![details(&["user"], MORE), second];
    for (operation, answers, cause, requests, undecided) in [
        ("GetAccountSummary", vec![refused("AccessDenied")], Unseen::Denied, 1, OF_SUMMARY),
        ("GetAccountSummary", vec![refused("Throttling")], Unseen::Throttled, 4, OF_SUMMARY),
        ("GetAccountSummary", vec![refused("ExpiredToken")], Unseen::Expired, 1, OF_SUMMARY),
        ("GetAccountPasswordPolicy", vec![refused("AccessDenied")], Unseen::Denied, 1, &["IAM-06"]),
        ("GenerateCredentialReport", vec![refused("AccessDenied")], Unseen::Denied, 1, OF_REPORT),
        ("GetCredentialReport", vec![refused("AccessDenied")], Unseen::Denied, 1, OF_REPORT),
        ("GetCredentialReport", vec![refused("ReportInProgress"), refused("ExpiredToken")], Unseen::Expired, 2, OF_REPORT),
        ("GetAccountAuthorizationDetails", vec![refused("AccessDenied")], Unseen::Denied, 1, &["IAM-07", "IAM-09", "IAM-10"]),
        ("GetAccountAuthorizationDetails", pages(refused("AccessDenied")), Unseen::Denied, 2, OF_SECOND),
        ("GetAccountAuthorizationDetails", pages(refused("ExpiredToken")), Unseen::Expired, 2, OF_SECOND),
        ("GetAccountAuthorizationDetails", pages(refused("Throttling")), Unseen::Throttled, 5, OF_SECOND),
        ("ListRoles", vec![refused("AccessDenied")], Unseen::Denied, 1, &["IAM-10"]),
    ] {
        goes(Wrong { operation, answers, cause, requests, undecided }).await;
    }
}

#[tokio::test]
async fn a_credential_report_that_is_never_ready_is_no_evidence() {
    let (operation, answers, cause) = ("GetCredentialReport", vec![refused("ReportInProgress")], Unseen::NotReady);
    goes(Wrong { operation, answers, cause, requests: 6, undecided: OF_REPORT }).await;
}

#[tokio::test]
async fn a_list_of_pages_that_cannot_be_followed_is_no_evidence() {
    let cut = "<IsTruncated>true</IsTruncated>";
    let operation = "GetAccountAuthorizationDetails";
    for (second, requests) in [(details(&[], MORE), 2), (details(&[], cut), 2)] {
        let answers = vec![details(&["user"], MORE), second];
        goes(Wrong { operation, answers, cause: Unseen::Inconsistent, requests, undecided: OF_SECOND }).await;
    }
    let answers = vec![says("ListRoles", &format!("<Roles/>{cut}"))];
    goes(Wrong { operation: "ListRoles", answers, cause: Unseen::Inconsistent, requests: 1, undecided: &["IAM-10"] }).await;
}

#[tokio::test]
async fn what_is_left_out_of_an_answer_is_not_read_as_nothing() {
    let lists = "GetAccountAuthorizationDetails";
    for (operation, answers, requests, undecided) in [
        ("GetAccountSummary", vec![says("GetAccountSummary", "")], 1, OF_SUMMARY),
        ("GetAccountSummary", vec![summary(&[])], 1, OF_SUMMARY),
        ("GetAccountPasswordPolicy", vec![says("GetAccountPasswordPolicy", "")], 1, &["IAM-06"][..]),
        ("GetCredentialReport", vec![says("GetCredentialReport", "")], 1, OF_REPORT),
        ("GetCredentialReport", vec![report("")], 1, OF_REPORT),
        ("GetCredentialReport", vec![report(&rows())], 1, OF_REPORT),
        ("GetCredentialReport", vec![report(&HEAD.replace("mfa_active", "mfa"))], 1, OF_REPORT),
        (
            "GetCredentialReport",
            vec![report(&format!("{HEAD}\n{}", rows().replace(",true,true", ",true")))],
            1,
            &["IAM-04", "ROT-03"],
        ),
        (lists, vec![says(lists, END)], 1, &["IAM-07", "IAM-09", "IAM-10"]),
        (lists, vec![says(lists, &format!("<UserDetailList/><GroupDetailList/><Policies/>{END}"))], 1, &["IAM-09", "IAM-10"]),
    ] {
        goes(Wrong { operation, answers, cause: Unseen::Inconsistent, requests, undecided }).await;
    }
}

#[tokio::test]
async fn of_an_answer_that_cannot_be_read_the_digest_as_it_came_is_in_the_receipt() {
    for (operation, name) in [
        ("GetAccountSummary", "account-summary.xml"),
        ("GetAccountPasswordPolicy", "password-policy.xml"),
        ("GetCredentialReport", "credential-report.xml"),
        ("GetAccountAuthorizationDetails", "authorization-details-0001.xml"),
    ] {
        let body = format!("<{operation}Response><cut>{CANARY}");
        let seen = collect(&whole_account().on(operation, &[(200, body.clone())]).serve()).await;
        assert_eq!(cause(&seen), Unseen::Inconsistent, "{operation}");
        let at = seen.receipt.raw.iter().position(|raw| raw.name.ends_with(name)).expect(operation);
        let reference = &seen.receipt.raw[at];
        assert_eq!(*reference, RawRef::new(reference.name.clone(), body.as_bytes(), b"", RawRef::unread()), "{operation}");
        assert_eq!(seen.raw[at].length(), 0, "{operation}");
        assert!(!everything(&seen).contains(CANARY), "{operation}");
    }
}

#[tokio::test]
async fn lists_spread_over_pages_are_one_list() {
    let script = whole_account().on("GetAccountAuthorizationDetails", &[details(FIRST, MORE), details(SECOND, END)]);
    let seen = collect(&script.serve()).await;
    assert_eq!(of(&seen, "Aws::Principal").iter().filter(|one| one.is("is_admin")).count(), 1);
}

/// The shipped catalogue over the account that `script` plays.
fn world(script: Script) -> World {
    let world = World::new()
        .with("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .with("AWS_SECRET_ACCESS_KEY", "test")
        .with("AWS_EC2_METADATA_DISABLED", "true")
        .with("NO_PROXY", "127.0.0.1");
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["controls", "policies"] {
        copy(&here.join(folder), &world.root().join(folder));
    }
    let endpoint = script.serve();
    world.write(
        "slm.toml",
        &format!("[source.prod.aws]\naccount = \"{ACCOUNT}\"\nregions = [\"eu-west-1\"]\nendpoint = \"{endpoint}\"\nadministrators = []\n"),
    );
    world
}

#[test]
fn the_binary_says_incomplete_where_it_was_refused_and_decides_nothing_there() {
    let look = |script: Script| world(script).slm(&["status", "--format", "json"]).exits(3).json();
    let decided = |said: &serde_json::Value, control: &str| {
        let controls = said["controls"].as_array().unwrap();
        controls.iter().find(|one| one["id"] == control).unwrap()["decisions"].clone()
    };
    let whole = look(whole_account());
    assert_eq!(decided(&whole, "IAM-01")["compliant"], 1, "the control that is broken below works");
    assert_eq!(decided(&whole, "IAM-09")["non-compliant"], 1, "alice is not on a roster of nobody");
    let counts = decided(&look(whole_account().on("GetAccountSummary", &[refused("AccessDenied")])), "IAM-01");
    assert_eq!(counts["no-evidence"], 2, "the population, and the account in it: {counts}");
    for status in ["compliant", "non-compliant", "excepted", "not-applicable"] {
        assert!(counts[status].as_u64().is_none_or(|count| count == 0), "{counts}");
    }
}

/// One page of secrets with the secret `name`, made an hour ago.
fn secrets(name: &str, next: &str) -> Answer {
    let made = Timestamp::now().as_second() - 3_600;
    let next = if next.is_empty() { String::new() } else { format!(r#","NextToken":"{next}""#) };
    let secret = format!(
        r#"{{"ARN":"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:{name}","Name":"{name}","CreatedDate":{made}.0,
        "Tags":[{{"Key":"tier","Value":"critical"}}]}}"#
    );
    (200, format!(r#"{{"SecretList":[{secret}]{next}}}"#))
}

/// An account whose secrets come in two pages, and whose key was made today.
fn listing(second: Answer) -> Script {
    let today = Timestamp::now().strftime("%Y-%m-%dT00:00:00+00:00").to_string();
    let rows = rows().replace("2026-11-20T00:00:00+00:00", &today);
    let report = report(&format!("{HEAD}\n{rows}"));
    whole_account().on("GetCredentialReport", &[report]).on("ListSecrets", &[secrets("a", "t1"), second])
}

/// How many resources of `control` were decided, how many decisions have no evidence, and how many of these for what was not seen.
fn stands(said: &serde_json::Value, control: &str) -> [u64; 3] {
    let found = said["controls"].as_array().unwrap().iter().find(|one| one["id"] == control).unwrap();
    let count = |status: &str| found["decisions"][status].as_u64().unwrap_or(0);
    let decided: u64 = ["compliant", "non-compliant", "excepted", "not-applicable"].map(count).iter().sum();
    [decided, count("no-evidence"), found["incomplete"].as_u64().unwrap()]
}

/// The account that `script` plays under two shipped controls that all of it satisfies.
fn two_controls(script: Script, code: i32) -> serde_json::Value {
    let world = world(script);
    for folder in ["controls", "policies"] {
        std::fs::remove_dir_all(world.root().join(folder)).unwrap();
    }
    world.ship(&["ROT-01", "ROT-03"]);
    let tiers = "[tiers]\ndefault = \"critical\"\nlimits = { critical = \"30d\" }\n";
    world.write("slm.toml", &format!("{}{tiers}", world.read("slm.toml")));
    world.slm(&["status", "--format", "json"]).exits(code).json()
}

#[test]
fn the_binary_ends_with_3_whatever_cut_a_list_off_and_decides_nothing_of_what_it_did_not_see() {
    let whole = two_controls(listing(secrets("b", "")), 0);
    assert_eq!([stands(&whole, "ROT-01"), stands(&whole, "ROT-03")], [[2, 0, 0], [1, 0, 0]], "{whole}");

    let json = |code: &str| listing((400, format!(r#"{{"__type":"{code}","message":"no"}}"#)));
    let in_progress = listing(secrets("b", "")).on("GetCredentialReport", &[refused("ReportInProgress")]);
    // What was listed before it broke off is judged, and nothing else.
    let causes = [
        ("denied on page 2", json("AccessDeniedException"), "secrets-manager", "denied", [[1, 1, 1], [1, 0, 0]]),
        ("throttled to the end", json("ThrottlingException"), "secrets-manager", "throttled", [[1, 1, 1], [1, 0, 0]]),
        ("a token that expired", json("ExpiredTokenException"), "secrets-manager", "expired", [[1, 1, 1], [1, 0, 0]]),
        ("a repeated token", listing(secrets("b", "t1")), "secrets-manager", "inconsistent", [[2, 1, 1], [1, 0, 0]]),
        ("a report in progress", in_progress, "iam", "not-ready", [[2, 0, 0], [0, 1, 1]]),
    ];
    std::thread::scope(|scope| {
        for (what, script, collector, cause, counts) in causes {
            scope.spawn(move || {
                let said = two_controls(script, 3);
                let receipts = said["receipts"].as_array().unwrap();
                let receipt = receipts.iter().find(|one| one["collector"] == collector).unwrap();
                assert_eq!(receipt["completeness"]["incomplete"]["cause"], cause, "{what}");
                assert_eq!([stands(&said, "ROT-01"), stands(&said, "ROT-03")], counts, "{what}: {said}");
            });
        }
    });
}
