//! Access keys that GitHub's secret scanning has found: compared with those that IAM lists, told by their last letters, kept nowhere.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};
use slm::collectors::github_leaks::{SecretScanning, Watched};
use slm::model::catalog::GithubSource;
use slm::model::snapshot::{Completeness, Fact, Unseen};
use slm::world::{Collected, Collector as _};

use crate::aws::{Noon, config};
use crate::aws_script::{Answer, Script, refused, says};
use crate::github_org::everything;
use crate::github_server::{CANARY, Server, TOKEN};
use crate::leaks::never_told;
use crate::preflight::{account, world};
use crate::support::declared;

const ALERTS: &str = "GET /orgs/acme/secret-scanning/alerts?state=open&secret_type=aws_access_key_id&per_page=100";
const MORE: &str = "GET /orgs/acme/secret-scanning/alerts?state=open&secret_type=aws_access_key_id&per_page=100&page=2";
/// Ids as AWS makes them; these are nobody's.
const LEAKED: &str = "AKIAQ7CANARYLEAKED01";
const OTHER: &str = "AKIAQ7CANARYOTHERS02";

fn alert(number: u64, found: Option<&str>, day: u64) -> Json {
    let mut alert = json!({
        "number": number, "created_at": format!("2026-11-{day:02}T00:00:00Z"), "state": "open", "secret_type": "aws_access_key_id",
        "secret_type_display_name": "Amazon AWS Access Key ID", "validity": "active", "resolution_comment": CANARY,
        "repository": { "full_name": "acme/app", "description": CANARY },
    });
    if let Some(found) = found {
        alert["secret"] = found.into();
    }
    alert
}

fn listed(keys: &[(&str, &str)]) -> Answer {
    let key = |(id, status): &(&str, &str)| {
        format!(
            "<member><UserName>alice</UserName><AccessKeyId>{id}</AccessKeyId><Status>{status}</Status>\
             <CreateDate>2026-01-01T00:00:00Z</CreateDate></member>"
        )
    };
    let keys: String = keys.iter().map(key).collect();
    says("ListAccessKeys", &format!("<AccessKeyMetadata>{keys}</AccessKeyMetadata><IsTruncated>false</IsTruncated>"))
}

/// A server whose alerts come on these pages.
fn found_on(pages: &[Vec<Json>]) -> Server {
    let server = Server::start();
    let next = server.with(|state| format!("link: <{}{}>; rel=\"next\"\r\n", state.root, &MORE[4..]));
    for (at, (page, asked)) in pages.iter().zip([ALERTS, MORE]).enumerate() {
        let link = if at + 1 < pages.len() { next.as_str() } else { "" };
        server.script(asked, 200, link, &json!(page).to_string());
    }
    server
}

/// What is seen of the keys of alice, when IAM answers so.
async fn collect(server: &Server, iam: &[Answer]) -> Collected {
    let endpoint = Script::new().on("ListAccessKeys", iam).serve();
    let watched =
        Watched { credential: "alice".into(), user: "alice".to_owned(), config: config(&endpoint, "us-east-1", None).await };
    let org = GithubSource { org: "acme".to_owned(), ..GithubSource::default() };
    declared(SecretScanning::new("org".into(), &org, server.client(), vec![watched]).collect(&Noon).await)
}

/// What the credential `alice` is told: the alert and the letters of the key.
fn told(seen: &Collected) -> Option<(String, String)> {
    let [leak] = &seen.populations[0].resources[..] else { return None };
    assert_eq!((leak.text("credential"), leak.id.as_str()), (Some("alice"), "alice"));
    Some((leak.text("alert").unwrap().to_owned(), leak.text("key").unwrap().to_owned()))
}

#[tokio::test]
async fn a_key_that_github_has_found_is_told_by_its_last_letters_and_kept_nowhere() {
    let pages = [vec![alert(7, Some(OTHER), 20)], vec![alert(9, Some(LEAKED), 22), alert(8, Some(LEAKED), 21)]];
    let server = found_on(&pages);
    let seen = collect(&server, &[listed(&[(LEAKED, "Active")])]).await;
    assert_eq!(seen.receipt.completeness, Completeness::Complete);
    assert_eq!(told(&seen), Some(("acme/app, alert 8".to_owned(), "ED01".to_owned())), "the first that found it");
    let at = seen.populations[0].resources[0].get("found_at");
    assert_eq!(at, Some(Fact::Time("2026-11-21T00:00:00Z".parse().unwrap())));
    let calls: Vec<_> = seen.receipt.operations.iter().map(|of| (of.name.as_str(), of.pages, of.requests, of.items)).collect();
    assert_eq!(calls, [("github:GET /orgs/{org}/secret-scanning/alerts", 2, 2, 3), ("iam:ListAccessKeys", 1, 1, 1)]);
    // What was found is in no body that is kept, and the receipt says that it was taken out.
    assert_eq!((seen.raw.len(), seen.receipt.raw.len()), (2, 2));
    for (raw, kept) in seen.raw.iter().zip(&seen.receipt.raw) {
        let text = String::from_utf8(raw.bytes().unwrap().into_owned()).unwrap();
        assert!(text.contains("\"number\"") && !text.contains("AKIA") && !text.contains(CANARY), "{text}");
        let removed: BTreeSet<&str> = kept.redacted.keys().map(String::as_str).collect();
        assert!(removed.contains("/*/secret") && removed.contains("/*/repository"), "{removed:?}");
    }
    let all = format!("{:?} {:?}", seen.receipt, seen.populations);
    assert!(!all.contains(LEAKED) && !all.contains(OTHER));
}

#[tokio::test]
async fn keys_of_others_and_keys_that_are_let_in_no_more_are_no_leak() {
    let server = found_on(&[vec![alert(7, Some(LEAKED), 20)]]);
    for keys in [&[(OTHER, "Active")][..], &[(LEAKED, "Inactive"), (OTHER, "Active")], &[]] {
        let seen = collect(&server, &[listed(keys)]).await;
        assert_eq!((told(&seen), &seen.receipt.completeness), (None, &Completeness::Complete), "{keys:?}");
    }
    // An alert of another kind or that is closed, should GitHub list one all the same.
    let mut closed = alert(7, Some(LEAKED), 20);
    closed["state"] = "resolved".into();
    let mut other = alert(8, Some(LEAKED), 20);
    other["secret_type"] = "github_personal_access_token".into();
    assert_eq!(told(&collect(&found_on(&[vec![closed, other]]), &[listed(&[(LEAKED, "Active")])]).await), None);
    let mut encoded = alert(9, Some("QUtJQVE3Q0FOQVJZTEVBS0VEMDE="), 20);
    encoded["is_base64_encoded"] = true.into();
    let seen = collect(&found_on(&[vec![encoded]]), &[listed(&[(LEAKED, "Active")])]).await;
    assert_eq!(told(&seen), Some(("acme/app, alert 9".to_owned(), "ED01".to_owned())));
    // Where nothing was found IAM is not asked.
    let seen = collect(&found_on(&[Vec::new()]), &[refused("AccessDenied")]).await;
    assert_eq!((seen.receipt.completeness, seen.receipt.operations[1].requests), (Completeness::Complete, 0));
}

#[tokio::test]
async fn what_was_not_seen_of_alerts_is_said_and_is_no_sign() {
    let active = || [listed(&[(LEAKED, "Active")])];
    let cause = |seen: &Collected| match &seen.receipt.completeness {
        Completeness::Incomplete { cause, detail } => {
            assert_eq!(seen.populations[0].completeness, seen.receipt.completeness);
            assert!(!detail.contains(CANARY) && !detail.contains(LEAKED), "{detail}");
            *cause
        }
        Completeness::Complete => panic!("it was seen whole"),
    };
    for (status, want) in [(404, Unseen::Denied), (403, Unseen::Denied), (503, Unseen::Unreachable)] {
        let server = Server::start();
        server.script(ALERTS, status, "", &json!({ "message": CANARY }).to_string());
        let seen = collect(&server, &active()).await;
        assert_eq!((told(&seen), cause(&seen)), (None, want), "{status}");
    }
    // What was seen before the list broke off counts.
    let broken = found_on(&[vec![alert(7, Some(LEAKED), 20)], Vec::new()]);
    broken.script(MORE, 502, "", CANARY);
    let seen = collect(&broken, &active()).await;
    assert_eq!((told(&seen).map(|(alert, _)| alert).as_deref(), cause(&seen)), (Some("acme/app, alert 7"), Unseen::Unreachable));
    let hidden = collect(&found_on(&[vec![alert(7, None, 20)]]), &active()).await;
    assert_eq!((told(&hidden), cause(&hidden)), (None, Unseen::Denied));
    let denied = collect(&found_on(&[vec![alert(7, Some(LEAKED), 20)]]), &[refused("AccessDenied")]).await;
    assert_eq!((told(&denied), cause(&denied)), (None, Unseen::Unreachable));
}

/// Every request for alerts, as it came.
pub async fn requests() -> BTreeSet<[String; 4]> {
    let server = found_on(&[vec![alert(7, Some(OTHER), 20)]]);
    collect(&server, &[listed(&[])]).await;
    server.with(|state| std::mem::take(&mut state.sent))
}

#[test]
fn a_key_found_by_github_is_for_a_person_to_end_at_once_and_its_id_is_told_nowhere() {
    let (server, _) = everything();
    server.script(ALERTS, 200, "", &json!([alert(12, Some(LEAKED), 20)]).to_string());
    let endpoint = account("Enabled").on("ListAccessKeys", &[listed(&[(LEAKED, "Active")])]).serve();
    let world = world(&endpoint, "").with("GITHUB_TOKEN", TOKEN);
    let root = server.with(|state| state.root.clone());
    let source = format!("\n[source.org]\ngithub = {{ org = \"acme\", token-env = \"GITHUB_TOKEN\", base-url = \"{root}\" }}\n");
    world.write("slm.toml", &(world.read("slm.toml") + &source));
    world.edit("credentials/alice.toml", "[policy]\n", "[leak]\ntriggers = [\"github-secret-scanning\"]\n\n[policy]\n");
    world.slm(&["check"]).exits(0);
    world.commit();
    let sign = "GitHub found the key …ED01 of IAM user `alice` on 2026-11-20T00:00:00Z (acme/app, alert 12)";
    let said = [world.heard(&["plan"]).says("held      rotate alice").says(sign), world.heard(&["status"])];
    never_told(&world, &said, &[LEAKED]);
    server.script(ALERTS, 404, "", "{}");
    let unseen = world.slm(&["plan"]).says("Source org secret-scanning acme was not seen whole");
    assert!(!unseen.out.contains("GitHub found"), "{}", unseen.out);
}
