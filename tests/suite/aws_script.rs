//! A server that answers each AWS operation from a script, and a whole account that it can play.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use slm::evaluate::{evaluate, join::join};
use slm::host::files::read_work_tree;
use slm::load::{Files, load};
use slm::model::assessment::{Assessment, Decision, Status, Subject};
use slm::model::catalog::{Catalog, SourceKind};
use slm::model::snapshot::Snapshot;
use slm::policy::Rules;
use slm::world::{Clock, Collected};

use crate::aws::{ACCOUNT, CANARY, Noon, identity, source};

pub type Answer = (u16, String);

/// Answers by operation, in order, the last one for ever.
pub struct Script(BTreeMap<String, Vec<Answer>>);

impl Script {
    /// A script that only knows who calls.
    pub fn new() -> Self {
        Self([("GetCallerIdentity".to_owned(), vec![(200, identity())])].into())
    }

    pub fn on(mut self, operation: &str, answers: &[Answer]) -> Self {
        self.0.insert(operation.to_owned(), answers.to_vec());
        self
    }

    /// Serves it for as long as the test runs.
    pub fn serve(self) -> String {
        self.serve_but(|_, _| None)
    }

    /// The same, but for what `hear` answers by the operation and the body of a request.
    pub fn serve_but(self, hear: impl Fn(&str, &str) -> Option<Answer> + Send + 'static) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let mut asked: BTreeMap<String, usize> = BTreeMap::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some((operation, body)) = request(&mut BufReader::new(stream.try_clone().unwrap())) else { continue };
                let at = asked.entry(operation.clone()).or_default();
                let scripted = || match self.0.get(&operation) {
                    Some(answers) => answers[(*at).min(answers.len() - 1)].clone(),
                    None => refused("AccessDenied"),
                };
                let (status, body) = hear(&operation, &body).unwrap_or_else(scripted);
                *at += 1;
                // The true date: the SDK takes a refusal with another one for a skewed clock, and tries again.
                let date = slm::model::time::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
                let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nx-amzn-requestid: r{at}\r\n", body.len());
                let _ = write!(stream, "{head}date: {date}\r\nconnection: close\r\n\r\n{body}");
            }
        });
        endpoint
    }
}

/// The operation that one request asks for, by its target or its body, and the body.
fn request(reader: &mut impl BufRead) -> Option<(String, String)> {
    let (mut length, mut target) = (0, None);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) <= 2 {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "x-amz-target" => target = value.trim().rsplit('.').next().map(str::to_owned),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).unwrap();
    let operation = target.or_else(|| body.split('&').find_map(|pair| pair.strip_prefix("Action=")).map(str::to_owned));
    operation.map(|operation| (operation, body))
}

/// A refusal in XML, as IAM words it.
pub fn refused(code: &str) -> Answer {
    let status = if code == "ReportInProgress" { 410 } else { 400 };
    (
        status,
        format!("<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{CANARY}</Message></Error></ErrorResponse>"),
    )
}

/// What `operation` of IAM answers.
pub fn says(operation: &str, result: &str) -> Answer {
    let space = "https://iam.amazonaws.com/doc/2010-05-08/";
    (200, format!("<{operation}Response xmlns=\"{space}\"><{operation}Result>{result}</{operation}Result></{operation}Response>"))
}

pub const HEAD: &str = "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,mfa_active,\
    access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,access_key_2_active,access_key_2_last_rotated,\
    access_key_2_last_used_date";

/// The rows of root, who never came, and of alice, who has a password and a key.
pub fn rows() -> String {
    let (day, none) = ("2026-11-20T00:00:00+00:00", "false,N/A,N/A");
    format!(
        "<root_account>,arn:aws:iam::{ACCOUNT}:root,{day},not_supported,no_information,not_supported,true,{none},{none}\n\
         alice,arn:aws:iam::{ACCOUNT}:user/alice,{day},true,{day},{day},true,true,{day},{day},{none}\n"
    )
}

pub fn report(text: &str) -> Answer {
    let content = format!("<Content>{}</Content><ReportFormat>text/csv</ReportFormat>", STANDARD.encode(text));
    says("GetCredentialReport", &content)
}

pub fn summary(counts: &[(&str, u8)]) -> Answer {
    let entry = |(key, value): &(&str, u8)| format!("<entry><key>{key}</key><value>{value}</value></entry>");
    says("GetAccountSummary", &format!("<SummaryMap>{}</SummaryMap>", counts.iter().map(entry).collect::<String>()))
}

fn encoded(json: &str) -> String {
    json.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn policy(action: &str) -> String {
    encoded(&format!(r#"{{"Statement":{{"Effect":"Allow","Action":"{action}","Resource":"*"}}}}"#))
}

/// The first page of the authorization details: alice, who is in a group, and a role that a workflow may assume.
pub const FIRST: &[&str] = &["user", "role"];
/// The second one: her group, and the policy of AWS that makes its members administrators.
pub const SECOND: &[&str] = &["group", "policies"];

/// A page with `parts` of [`FIRST`] and [`SECOND`], that ends with `end`.
pub fn details(parts: &[&str], end: &str) -> Answer {
    let has = |part: &str, inner: String| if parts.contains(&part) { inner } else { String::new() };
    let user = format!(
        "<member><UserName>alice</UserName><Arn>arn:aws:iam::{ACCOUNT}:user/alice</Arn>\
         <GroupList><member>admins</member></GroupList></member>"
    );
    let key = "token.actions.githubusercontent.com";
    let trust = encoded(&format!(
        r#"{{"Statement":{{"Effect":"Allow","Principal":{{"Federated":"arn:aws:iam::{ACCOUNT}:oidc-provider/{key}"}},
        "Condition":{{"StringEquals":{{"{key}:aud":"sts.amazonaws.com","{key}:sub":"repo:o/r:ref:refs/heads/main"}}}}}}}}"#
    ));
    let role = format!(
        "<member><RoleName>ci</RoleName><Arn>arn:aws:iam::{ACCOUNT}:role/ci</Arn>\
         <AssumeRolePolicyDocument>{trust}</AssumeRolePolicyDocument><RolePolicyList><member><PolicyName>deploy</PolicyName>\
         <PolicyDocument>{}</PolicyDocument></member></RolePolicyList></member>",
        policy("s3:*")
    );
    let group = format!(
        "<member><GroupName>admins</GroupName><Arn>arn:aws:iam::{ACCOUNT}:group/admins</Arn><AttachedManagedPolicies><member>\
         <PolicyArn>arn:aws:iam::aws:policy/AdministratorAccess</PolicyArn></member></AttachedManagedPolicies></member>"
    );
    let aws = format!(
        "<member><Arn>arn:aws:iam::aws:policy/AdministratorAccess</Arn><PolicyVersionList><member><IsDefaultVersion>true\
         </IsDefaultVersion><Document>{}</Document></member></PolicyVersionList></member>",
        policy("*")
    );
    let lists =
        [("UserDetailList", has("user", user)), ("GroupDetailList", has("group", group)), ("RoleDetailList", has("role", role))];
    let lists = lists.into_iter().chain([("Policies", has("policies", aws))]);
    let lists: String = lists.map(|(name, inner)| format!("<{name}>{inner}</{name}>")).collect();
    says("GetAccountAuthorizationDetails", &(lists + end))
}

pub const MORE: &str = "<IsTruncated>true</IsTruncated><Marker>m1</Marker>";
pub const END: &str = "<IsTruncated>false</IsTruncated>";

pub fn trail(name: &str, home: &str) -> String {
    format!(
        r#"{{"Name":"{name}","TrailARN":"arn:aws:cloudtrail:{home}:{ACCOUNT}:trail/{name}","HomeRegion":"{home}",
        "IsMultiRegionTrail":true,"IncludeGlobalServiceEvents":true,"LogFileValidationEnabled":true,"KmsKeyId":"k"}}"#
    )
}

pub fn trails(all: &[String]) -> Answer {
    (200, format!(r#"{{"trailList":[{}]}}"#, all.join(",")))
}

/// An account where everything can be seen: alice is an administrator by her group, a role of CI, a trail, no secret.
pub fn whole_account() -> Script {
    let present =
        [("Users", 1), ("AccountMFAEnabled", 1), ("AccountPasswordPresent", 1), ("AccountAccessKeysPresent", 0), ("Roles", 1)];
    let length = "<MinimumPasswordLength>14</MinimumPasswordLength><PasswordReusePrevention>24</PasswordReusePrevention>";
    let role = format!(
        "<Roles><member><Path>/</Path><RoleName>ci</RoleName><RoleId>R</RoleId><Arn>arn:aws:iam::{ACCOUNT}:role/ci</Arn>\
         <CreateDate>2026-01-01T00:00:00Z</CreateDate><MaxSessionDuration>3600</MaxSessionDuration></member></Roles>{END}"
    );
    let selectors =
        r#"{"EventSelectors":[{"ReadWriteType":"All","IncludeManagementEvents":true,"ExcludeManagementEventSources":[]}]}"#;
    Script::new()
        .on("GetAccountSummary", &[summary(&present)])
        .on("GetAccountPasswordPolicy", &[says("GetAccountPasswordPolicy", &format!("<PasswordPolicy>{length}</PasswordPolicy>"))])
        .on("GenerateCredentialReport", &[says("GenerateCredentialReport", "<State>COMPLETE</State>")])
        .on("GetCredentialReport", &[report(&format!("{HEAD}\n{}", rows()))])
        .on("GetAccountAuthorizationDetails", &[details(FIRST, MORE), details(SECOND, END)])
        .on("ListRoles", &[says("ListRoles", &role)])
        .on("DescribeTrails", &[trails(&[trail("main", "eu-west-1")])])
        .on("GetTrailStatus", &[(200, r#"{"IsLogging":true,"LatestDeliveryTime":1795521000}"#.to_owned())])
        .on("GetEventSelectors", &[(200, selectors.to_owned())])
        .on("ListSecrets", &[(200, r#"{"SecretList":[]}"#.to_owned())])
}

/// The shipped catalogue over one account, whose one approved administrator is alice.
pub fn catalog() -> Catalog {
    let files = Files(read_work_tree(std::path::Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap());
    let mut catalog = load(&files, Noon.now()).catalog.unwrap();
    let mut account = source("http://127.0.0.1:9");
    account.administrators = Some(vec![format!("arn:aws:iam::{ACCOUNT}:user/alice")]);
    catalog.settings.sources.insert("prod".into(), SourceKind::Aws(account));
    catalog
}

/// What was seen, joined and judged at noon.
pub fn judged(catalog: &Catalog, seen: &[&Collected]) -> Assessment {
    let populations = seen.iter().flat_map(|one| one.populations.clone()).collect();
    let snapshot = Snapshot { taken: Noon.now(), populations, receipts: Vec::new() };
    evaluate(catalog, &Rules::compile(catalog).unwrap(), &join(catalog, snapshot), Noon.now())
}

/// The statuses that resources have under `control`.
pub fn statuses(assessment: &Assessment, control: &str) -> Vec<Status> {
    let of = |one: &Decision| one.control.as_str() == control && matches!(one.subject, Subject::Resource { .. });
    assessment.decisions.iter().filter(of).map(|one| one.status).collect()
}

/// Asserts that every control over what `seen` holds has no evidence for the population as a whole.
#[track_caller]
pub fn assert_populations_unseen(catalog: &Catalog, assessment: &Assessment, seen: &Collected, what: &str) {
    let mut looked = 0;
    for control in catalog.controls.values() {
        for population in seen.populations.iter().filter(|population| control.entities.contains(&population.entity)) {
            assert!(!population.completeness.is_complete(), "{what}: {}", population.entity);
            let whole = |one: &Decision| {
                one.control == control.id
                    && matches!(&one.subject, Subject::Population { entity, .. } if *entity == population.entity)
            };
            let found: Vec<Status> = assessment.decisions.iter().filter(whole).map(|one| one.status).collect();
            assert_eq!(found, [Status::NoEvidence], "{what}: {}", control.id);
            assert!(assessment.gaps.iter().any(|gap| gap.control == control.id), "{what}: {}", control.id);
            looked += 1;
        }
    }
    assert!(looked > 1, "{what}");
}
