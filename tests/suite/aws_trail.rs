//! CloudTrail: a trail on moto, and a scripted account that refuses, breaks off or has no trail at all.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use slm::collectors::cloudtrail::CloudTrail;
use slm::collectors::iam::Iam;
use slm::model::assessment::Status;
use slm::model::catalog::{AwsSource, SourceKind};
use slm::model::snapshot::{Completeness, Fact, Unseen};
use slm::world::{Clock as _, Collected, Collector as _};

use crate::aws::{ACCOUNT, CANARY, Noon, cause, config, everything, source};
use crate::aws_iam::populated;
use crate::aws_script::{Answer, Script, assert_populations_unseen, catalog, judged, statuses, trail, trails, whole_account};
use crate::support::Server;

async fn collect_region(aws: &AwsSource, region: &str) -> Collected {
    let config = config(aws.endpoint.as_deref().unwrap(), region, None).await;
    CloudTrail::new("prod".into(), aws, region, config).collect(&Noon).await
}

async fn collect(script: Script) -> Collected {
    collect_region(&source(&script.serve()), "eu-west-1").await
}

async fn account() -> Collected {
    let endpoint = whole_account().serve();
    Iam::new("prod".into(), &source(&endpoint), config(&endpoint, "eu-west-1", None).await).collect(&Noon).await
}

fn refusal(code: &str) -> Answer {
    (400, format!(r#"{{"__type":"{code}","message":"{CANARY}"}}"#))
}

/// A trail that logs, as collected.
async fn trailed(endpoint: &str) -> Collected {
    let mut aws = source(endpoint);
    aws.regions = vec!["us-east-1".to_owned()];
    let trails = aws_sdk_cloudtrail::Client::new(&config(endpoint, "us-east-1", None).await);
    // A bucket, for which no SDK is linked.
    let host = endpoint.trim_start_matches("http://");
    let mut s3 = TcpStream::connect(host).unwrap();
    write!(s3, "PUT /logs HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    s3.read_to_end(&mut Vec::new()).unwrap();
    let request = trails.create_trail().name("main").s3_bucket_name("logs").is_multi_region_trail(true);
    request.send().await.unwrap();
    trails.start_logging().name("main").send().await.unwrap();
    let all = aws_sdk_cloudtrail::types::EventSelector::builder()
        .read_write_type(aws_sdk_cloudtrail::types::ReadWriteType::All)
        .include_management_events(true);
    trails.put_event_selectors().trail_name("main").event_selectors(all.build()).send().await.unwrap();
    collect_region(&aws, "us-east-1").await
}

#[tokio::test]
async fn every_control_that_needs_nothing_more_finds_its_attributes_on_a_full_resource() {
    let server = Server::moto();
    let (iam, trail, whole) = (populated(&server.endpoint).await, trailed(&server.endpoint).await, account().await);
    assert_eq!(trail.receipt.completeness, Completeness::Complete);
    assert_eq!(trail.receipt.requests(), 2 + 2, "a fixed two, and two for each trail");
    let mut catalog = catalog();
    if let Some(SourceKind::Aws(aws)) = catalog.settings.sources.get_mut("prod") {
        aws.regions = vec!["us-east-1".to_owned()];
    }
    let snapshot = |seen: &[&Collected]| {
        let populations = seen.iter().flat_map(|one| one.populations.clone()).collect();
        let seen = slm::model::snapshot::Snapshot { taken: Noon.now(), populations, receipts: Vec::new() };
        slm::evaluate::join::join(&catalog, seen)
    };
    // Moto has no root user in its report and no root password in its summary, as AWS does.
    let (moto, scripted) = (snapshot(&[&iam, &trail]), snapshot(&[&whole, &trail]));
    let mut wrong = Vec::new();
    let mut looked = 0;
    for control in catalog.controls.values().filter(|control| control.needs.is_none()) {
        let root = ["IAM-02", "IAM-03"].contains(&control.id.as_str());
        for population in if root { &scripted } else { &moto }.populations.iter() {
            if !control.entities.contains(&population.entity) {
                continue;
            }
            looked += 1;
            let wanted: Vec<_> = control.requires.iter().chain(control.applies_where.iter().map(|(name, _)| name)).collect();
            let full = population.resources.iter().any(|one| wanted.iter().all(|name| one.get(name).is_some()));
            if !full {
                wrong.push(format!("{}: {wanted:?} of {}", control.id, population.entity));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(looked, 15);
    let judged = judged(&catalog, &[&iam, &trail]);
    assert_eq!(statuses(&judged, "LOG-01"), [Status::Compliant], "{:?}", moto.populations);
}

#[tokio::test]
async fn an_account_without_a_trail_fails_and_one_with_a_wide_trail_does_not() {
    let (catalog, account) = (catalog(), account().await);
    for (script, want) in [
        (whole_account(), Status::Compliant),
        (whole_account().on("DescribeTrails", &[trails(&[])]), Status::NonCompliant),
        (whole_account().on("GetTrailStatus", &[(200, r#"{"IsLogging":false}"#.to_owned())]), Status::NonCompliant),
    ] {
        let seen = collect(script).await;
        assert_eq!(seen.receipt.completeness, Completeness::Complete);
        assert_eq!(statuses(&judged(&catalog, &[&account, &seen]), "LOG-01"), [want]);
    }
}

#[tokio::test]
async fn what_was_not_seen_of_the_trails_is_no_evidence() {
    let (catalog, account) = (catalog(), account().await);
    let good = (200, r#"{"IsLogging":true,"LatestDeliveryTime":1795521000}"#.to_owned());
    let two = trails(&[trail("main", "eu-west-1"), trail("second", "eu-west-1")]);
    let empty = || (200, "{}".to_owned());
    let nameless = trails(&[trail("main", "eu-west-1").replace("TrailARN", "Trail")]);
    for (operation, answers, why, trails, requests) in [
        ("DescribeTrails", vec![refusal("AccessDeniedException")], Unseen::Denied, 0, 1),
        ("DescribeTrails", vec![refusal("ThrottlingException")], Unseen::Throttled, 0, 4),
        ("DescribeTrails", vec![refusal("ExpiredTokenException")], Unseen::Expired, 0, 1),
        ("DescribeTrails", vec![empty()], Unseen::Inconsistent, 0, 1),
        ("DescribeTrails", vec![nameless], Unseen::Inconsistent, 0, 1),
        ("GetTrailStatus", vec![good, refusal("AccessDeniedException")], Unseen::Denied, 2, 2),
        ("GetTrailStatus", vec![refusal("ExpiredTokenException")], Unseen::Expired, 2, 2),
        ("GetTrailStatus", vec![refusal("TrailNotFoundException")], Unseen::Inconsistent, 2, 2),
        ("GetTrailStatus", vec![empty()], Unseen::Inconsistent, 2, 2),
        ("GetEventSelectors", vec![refusal("AccessDeniedException")], Unseen::Denied, 2, 2),
        ("GetEventSelectors", vec![empty()], Unseen::Inconsistent, 2, 2),
    ] {
        let seen = collect(whole_account().on("DescribeTrails", std::slice::from_ref(&two)).on(operation, &answers)).await;
        let what = format!("{operation} {why:?} {:?}", seen.receipt.completeness);
        assert_eq!((cause(&seen), seen.populations[0].resources.len()), (why, trails), "{what}");
        let found = seen.receipt.operations.iter().find(|of| of.name == format!("cloudtrail:{operation}")).expect(&what);
        assert_eq!(found.requests, requests, "{what}");
        let judged = judged(&catalog, &[&account, &seen]);
        assert_populations_unseen(&catalog, &judged, &seen, &what);
        assert_eq!(statuses(&judged, "LOG-01"), [Status::NoEvidence], "{what}");
        assert!(!everything(&seen).contains(CANARY), "{what}");
    }
}

#[tokio::test]
async fn a_trail_is_read_once_in_its_home_or_in_the_first_region_and_an_organisations_in_each_account() {
    let foreign = trail("org", "us-east-1").replace(ACCOUNT, "999999999999");
    let all = [trail("main", "eu-west-1"), trail("second", "us-east-1"), trail("far", "ap-south-1"), foreign];
    let mut aws = source(&whole_account().on("DescribeTrails", &[trails(&all)]).serve());
    aws.regions = vec!["eu-west-1".to_owned(), "us-east-1".to_owned()];
    let arn = |region: &str, name: &str| format!("arn:aws:cloudtrail:{region}:{ACCOUNT}:trail/{name}");
    let org = format!("{}#{ACCOUNT}", arn("us-east-1", "org").replace(ACCOUNT, "999999999999"));
    for (region, want) in [
        ("eu-west-1", vec![arn("ap-south-1", "far"), arn("eu-west-1", "main")]),
        ("us-east-1", vec![arn("us-east-1", "second"), org]),
    ] {
        let seen = collect_region(&aws, region).await;
        let ids: Vec<&str> = seen.populations[0].resources.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(ids, want, "{region}");
        assert_eq!(seen.populations[0].resources[0].get("read_write"), Some(Fact::Text("All")));
    }
}
