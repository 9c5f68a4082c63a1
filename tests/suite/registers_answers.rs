//! Registers of S3 and DynamoDB against a scripted service: what it refuses, or does not tell to the end, is never absent.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use slm::model::id::RotationId;
use slm::model::time::Timestamp;
use slm::world::{ErrorClass, WorldError};

use crate::registers::{bucket, name, names, table};
use crate::support::Request;

/// A service that gives `answers` in order, the last one for ever, and notes each request in small letters.
fn answers(answers: Vec<(u16, String)>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let notes = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Ok(request) = Request::read(&stream) else { continue };
            let at = {
                let mut notes = notes.lock().unwrap();
                notes.push((request.lines.join("\n") + "\n" + &String::from_utf8_lossy(&request.body)).to_lowercase());
                notes.len() - 1
            };
            let (status, body) = &answers[at.min(answers.len() - 1)];
            let date = Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            let head =
                format!("HTTP/1.1 {status} X\r\ndate: {date}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all((head + body).as_bytes());
        }
    });
    (endpoint, asked)
}

fn s3_error(status: u16, code: &str) -> (u16, String) {
    (status, format!("<Error><Code>{code}</Code><Message>no</Message></Error>"))
}

fn dynamodb_error(status: u16, code: &str) -> (u16, String) {
    (status, format!("{{\"__type\":\"com.amazonaws.dynamodb.v20120810#{code}\",\"message\":\"no\"}}"))
}

fn class<T: std::fmt::Debug>(result: Result<T, WorldError>) -> ErrorClass {
    result.expect_err("an error").class
}

#[tokio::test]
async fn what_s3_does_not_tell_is_never_absent() {
    let (rotation, wanted) = (RotationId::from("9f2c41d07ab3"), names(&["fate-1", "fate-2"]));
    for (answer, want) in [
        (s3_error(403, "AccessDenied"), ErrorClass::Denied),
        (s3_error(404, "NoSuchBucket"), ErrorClass::Permanent),
        ((404, String::new()), ErrorClass::Permanent),
        (s3_error(503, "SlowDown"), ErrorClass::Transient),
        (s3_error(500, "InternalError"), ErrorClass::Transient),
        (s3_error(301, "PermanentRedirect"), ErrorClass::Permanent),
    ] {
        let (endpoint, _) = answers(vec![answer.clone()]);
        let registers = bucket(&endpoint).await;
        assert_eq!(class(registers.read(&rotation, &wanted).await), want, "{answer:?}");
        assert_eq!(class(registers.write_once(&rotation, &wanted[0], "retire").await), want, "{answer:?}");
    }
    let (endpoint, asked) = answers(vec![listing(&[], "false")]);
    assert_eq!(bucket(&endpoint).await.read(&rotation, &wanted).await.unwrap(), BTreeMap::new());
    assert_eq!(asked.lock().unwrap().len(), 1, "one request, whatever is asked for");
}

/// A page of a list of S3: the registers with these names, and whether more follow.
fn listing(names: &[&str], truncated: &str) -> (u16, String) {
    let of = |name: &&str| format!("<Contents><Key>slm/9f2c41d07ab3/{name}</Key></Contents>");
    let contents: String = names.iter().map(of).collect();
    (200, format!("<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{contents}</ListBucketResult>"))
}

/// The same with more after the token `next`.
fn more(names: &[&str], next: &str) -> (u16, String) {
    let (status, page) = listing(names, "true");
    let token = format!("<NextContinuationToken>{next}</NextContinuationToken></ListBucketResult>");
    (status, page.replace("</ListBucketResult>", &token))
}

#[tokio::test]
async fn a_list_of_s3_is_read_to_its_last_page_and_again_when_something_was_there() {
    let (rotation, wanted) = (RotationId::from("9f2c41d07ab3"), names(&["fate-1", "promoted-1"]));
    let there = |text: &str| (200, text.to_owned());
    let promoted = || listing(&["promoted-1"], "false");
    // `fate-1` is written between the two lists, and before `promoted-1` is.
    let pages = vec![more(&["other-1"], "t1"), promoted(), there("then"), more(&["fate-1"], "t1"), promoted(), there("retire")];
    let (endpoint, asked) = answers(pages);
    let read = bucket(&endpoint).await.read(&rotation, &wanted).await.unwrap();
    assert_eq!(read.into_values().collect::<Vec<_>>(), ["retire", "then"]);
    {
        let asked = asked.lock().unwrap();
        let tokens: Vec<bool> = asked.iter().map(|request| request.contains("continuation-token=t1")).collect();
        assert_eq!(tokens, [false, true, false, false, true, false]);
        assert!(
            asked[0].contains("prefix=slm%2f9f2c41d07ab3%2f") && asked[2].starts_with("get /acme-slm/slm/9f2c41d07ab3/promoted-1")
        );
        assert!(asked.iter().all(|request| request.contains("x-amz-expected-bucket-owner: 123456789012")), "{asked:?}");
    }

    // A list that breaks off or stays where it is is no list, and what was there cannot go.
    for (told, want) in [
        (vec![more(&["fate-1"], "t1"), s3_error(403, "AccessDenied")], ErrorClass::Denied),
        (vec![more(&["fate-1"], "t1"), s3_error(503, "SlowDown")], ErrorClass::Transient),
        (vec![more(&["fate-1"], "t1"), more(&["fate-1"], "t1"), promoted()], ErrorClass::Transient),
        (vec![listing(&[], "true")], ErrorClass::Transient),
        (vec![(200, "<ListBucketResult></ListBucketResult>".to_owned())], ErrorClass::Transient),
        (vec![promoted(), s3_error(403, "AccessDenied")], ErrorClass::Denied),
        (vec![promoted(), s3_error(404, "NoSuchKey")], ErrorClass::Permanent),
        (vec![promoted(), there("then"), listing(&[], "false")], ErrorClass::Permanent),
    ] {
        let (endpoint, _) = answers(told.clone());
        assert_eq!(class(bucket(&endpoint).await.read(&rotation, &wanted).await), want, "{told:?}");
    }
}

#[tokio::test]
async fn a_write_of_s3_that_another_is_in_the_way_of_is_looked_at_and_tried_again() {
    let (rotation, register) = (RotationId::from("9f2c41d07ab3"), name("fate-1"));
    let conflict = || s3_error(409, "ConditionalRequestConflict");
    let absent = || s3_error(404, "NoSuchKey");
    let there = || (200, "rollback".to_owned());
    for (told, want, requests) in [
        (vec![conflict(), there()], Ok("rollback"), 2),
        (vec![conflict(), absent(), (200, String::new())], Ok("retire"), 3),
        (vec![s3_error(412, "PreconditionFailed"), there()], Ok("rollback"), 2),
        (
            vec![conflict(), absent(), conflict(), absent(), conflict(), absent(), conflict(), absent()],
            Err(ErrorClass::Transient),
            8,
        ),
        (vec![conflict(), s3_error(403, "AccessDenied")], Err(ErrorClass::Denied), 2),
    ] {
        let (endpoint, asked) = answers(told.clone());
        let got = bucket(&endpoint).await.write_once(&rotation, &register, "retire").await;
        assert_eq!(got.as_deref().map_err(|error| error.class), want, "{told:?}");
        let asked = asked.lock().unwrap();
        assert_eq!(asked.len(), requests, "{told:?}");
        assert!(asked[0].starts_with("put /acme-slm/slm/9f2c41d07ab3/fate-1"), "{}", asked[0]);
        assert!(asked[0].contains("if-none-match: *") && asked[0].contains("x-amz-expected-bucket-owner: 123456789012"));
    }
}

#[tokio::test]
async fn what_dynamodb_does_not_tell_is_never_absent() {
    let (rotation, wanted) = (RotationId::from("9f2c41d07ab3"), names(&["fate-1"]));
    for (answer, want) in [
        (dynamodb_error(400, "AccessDeniedException"), ErrorClass::Denied),
        ((403, "<html>".to_owned()), ErrorClass::Denied),
        (dynamodb_error(400, "ResourceNotFoundException"), ErrorClass::NotFound),
        (dynamodb_error(400, "ProvisionedThroughputExceededException"), ErrorClass::Transient),
        (dynamodb_error(400, "ThrottlingException"), ErrorClass::Transient),
        (dynamodb_error(500, "InternalServerError"), ErrorClass::Transient),
    ] {
        let (endpoint, _) = answers(vec![answer.clone()]);
        let registers = table(&endpoint).await;
        assert_eq!(class(registers.read(&rotation, &wanted).await), want, "{answer:?}");
        assert_eq!(class(registers.write_once(&rotation, &wanted[0], "retire").await), want, "{answer:?}");
    }
    // Somebody deletes registers.
    let taken = dynamodb_error(400, "ConditionalCheckFailedException");
    let (endpoint, _) = answers(vec![taken, (200, r#"{"Items":[],"Count":0}"#.to_owned())]);
    let error = table(&endpoint).await.write_once(&rotation, &wanted[0], "retire").await.unwrap_err();
    assert_eq!(
        (error.class, error.cause.as_str()),
        (ErrorClass::Permanent, "register fate-1 was written, and is gone: registers must not be deleted")
    );
}

/// One item of a table as DynamoDB tells it.
fn item(name: &str, value: &str) -> String {
    format!(r#"{{"rotation":{{"S":"9f2c41d07ab3"}},"name":{{"S":"{name}"}},"value":{{"S":"{value}"}}}}"#)
}

/// A page of a list, with more after the name `more`.
fn page(items: &[String], more: Option<&str>) -> (u16, String) {
    let key = |at| format!(r#","LastEvaluatedKey":{{"rotation":{{"S":"9f2c41d07ab3"}},"name":{{"S":"{at}"}}}}"#);
    (200, format!(r#"{{"Items":[{}],"Count":{}{}}}"#, items.join(","), items.len(), more.map_or_else(String::new, key)))
}

#[tokio::test]
async fn a_list_of_dynamodb_is_read_to_its_last_page_and_as_it_is_now() {
    let (rotation, wanted) = (RotationId::from("9f2c41d07ab3"), names(&["fate-1", "promoted-1"]));
    let fate = |more| page(&[item("fate-1", "retire")], more);
    let promoted = || page(&[item("promoted-1", "then")], None);
    let pages = vec![fate(Some("fate-1")), page(&[], Some("other-1")), promoted()];
    let (endpoint, asked) = answers(pages);
    let read = table(&endpoint).await.read(&rotation, &wanted).await.unwrap();
    assert_eq!(read.into_values().collect::<Vec<_>>(), ["retire", "then"]);
    {
        let asked = asked.lock().unwrap();
        assert_eq!(asked.len(), 3);
        assert!(asked.iter().all(|request| request.contains(r#""consistentread":true"#)), "{asked:?}");
        let begun: Vec<bool> = asked.iter().map(|request| request.contains("exclusivestartkey")).collect();
        assert_eq!(begun, [false, true, true]);
    }

    // A list that breaks off or stays where it is is no list, an item of another shape no register, and what was there cannot go.
    for (told, want) in [
        (vec![fate(Some("fate-1")), dynamodb_error(400, "AccessDeniedException")], ErrorClass::Denied),
        (vec![fate(Some("fate-1")), dynamodb_error(400, "ThrottlingException")], ErrorClass::Transient),
        (vec![fate(Some("fate-1")), fate(Some("fate-1")), promoted()], ErrorClass::Transient),
        (vec![page(&[item("fate-1", "retire").replace("value", "text")], None)], ErrorClass::Permanent),
        (vec![(200, "{}".to_owned())], ErrorClass::Transient),
        (vec![fate(None), promoted()], ErrorClass::Permanent),
        (vec![fate(None), page(&[], None)], ErrorClass::Permanent),
        (vec![fate(None), page(&[item("fate-1", "rollback")], None)], ErrorClass::Permanent),
    ] {
        let (endpoint, _) = answers(told.clone());
        assert_eq!(class(table(&endpoint).await.read(&rotation, &wanted).await), want, "{told:?}");
    }
}
