//! `list.*` and `growth.list`: the real collector lists 100 000 secrets of a Secrets Manager that costs it nothing, and what it saw is
//! joined and judged under the shipped catalogue as in `slm plan`, everything of it held until the end.
//!
//! The same binary plays three parts, by argument: the answering side (`serve`) and each client (`measure`) are processes of their
//! own, so that `/proc/self` of a client is about the client alone.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints its figures and stops at the first surprise"
)]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_secretsmanager::config::Credentials;
use slm::collectors::secrets_manager::SecretsManager;
use slm::evaluate::{evaluate, join::join};
use slm::host::clock::SystemClock;
use slm::host::files::read_work_tree;
use slm::load::{Files, Loaded, load};
use slm::model::catalog::AwsSource;
use slm::model::snapshot::Snapshot;
use slm::policy::Rules;
use slm::transport::aws::session_from;
use slm::world::{Clock as _, Collector};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SECRETS: usize = 100_000;
const PAGE: usize = 100;
const ACCOUNT: &str = "123456789012";
const REGION: &str = "eu-west-1";

/// What one client saw of itself.
struct Figures {
    cpu_s: f64,
    judge_s: f64,
    rss_mb: f64,
    requests: u64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let part: Vec<&str> = arguments.iter().map(String::as_str).skip(1).collect();
    match part[..] {
        ["serve"] => serve(),
        ["measure", endpoint, secrets] => measure(endpoint, secrets.parse().unwrap()),
        ["plain", endpoint, secrets] => plain(endpoint, secrets.parse().unwrap()),
        _ => compare(),
    }
}

/// Runs one client for each size against one server and prints what they cost.
fn compare() {
    let (mut server, address) = start_server();
    let mut base = 0.0;
    let bytes = entry(0).len();
    for share in [4, 2, 1] {
        let secrets = SECRETS / share;
        let it = client("measure", &format!("http://{address}/{secrets}"), secrets);
        let us = it.cpu_s * 1e6 / secrets as f64;
        if share == 4 {
            base = us;
        }
        let against = format!("{secrets} secrets of {bytes} bytes");
        if share == 1 {
            let plain = client("plain", &format!("http://{address}/{secrets}"), secrets);
            let sdk = format!("{against}; the SDK's paginator alone, all kept: {:.2} s, {:.0} MB", plain.cpu_s, plain.rss_mb);
            print("list.cpu_s", it.cpu_s, "s", &format!("{sdk}; a goal of 1.2 s"));
            print("list.requests", it.requests as f64, "requests", &against);
            print("list.judge_cpu_s", it.judge_s, "s", &against);
            print("list.rss_mb", it.rss_mb, "MB, listed, joined and judged", &format!("{sdk}; a goal of 60 MB"));
        }
        print(
            "growth.list",
            us / base,
            "cost a secret over that at N",
            &format!("{secrets} secrets, {us:.1} us, {:.0} MB", it.rss_mb),
        );
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

fn print(figure: &str, value: f64, unit: &str, against: &str) {
    println!(r#"{{"figure":"{figure}","value":{value:.2},"unit":"{unit}","against":"{against}"}}"#);
}

fn start_server() -> (Child, String) {
    let me = std::env::current_exe().unwrap();
    let mut server = Command::new(me).arg("serve").stdout(Stdio::piped()).spawn().unwrap();
    let mut address = String::new();
    BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut address).unwrap();
    (server, address.trim().to_owned())
}

/// The median of three clients, figure by figure.
fn client(part: &str, endpoint: &str, secrets: usize) -> Figures {
    let all = [(); 3].map(|()| one_client(part, endpoint, secrets));
    let median = |of: fn(&Figures) -> f64| {
        let mut values = all.each_ref().map(of);
        values.sort_by(f64::total_cmp);
        values[1]
    };
    assert!(all.iter().all(|it| it.requests == all[0].requests), "each sends as many requests");
    Figures {
        cpu_s: median(|it| it.cpu_s),
        judge_s: median(|it| it.judge_s),
        rss_mb: median(|it| it.rss_mb),
        requests: all[0].requests,
    }
}

fn one_client(part: &str, endpoint: &str, secrets: usize) -> Figures {
    let me = std::env::current_exe().unwrap();
    let output = Command::new(me).args([part, endpoint, &secrets.to_string()]).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "the client failed");
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<f64> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
    Figures { cpu_s: numbers[0], judge_s: numbers[1], rss_mb: numbers[2], requests: numbers[3] as u64 }
}

/// Lists and judges once and prints CPU seconds of either, the greatest resident MB and the requests sent.
fn measure(endpoint: &str, secrets: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let now = SystemClock.now();
    let files = Files(read_work_tree(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap());
    let Loaded { catalog, policies, .. } = load(&files, now);
    let catalog = catalog.unwrap();
    let rules = Rules::of(&catalog, &policies).unwrap();
    drop(policies);
    let aws = account(endpoint);
    let config = runtime.block_on(session(&aws));
    let collector = SecretsManager::new("prod".into(), &aws, REGION, config);
    let before = cpu();
    let collected = runtime.block_on(collector.collect(&SystemClock));
    let spent = cpu() - before;
    let population = &collected.populations[0];
    assert!(population.completeness.is_complete(), "{:?}", population.completeness);
    assert_eq!(population.resources.len(), secrets);
    let before = cpu();
    let snapshot = Snapshot { taken: now, populations: collected.populations, receipts: vec![collected.receipt] };
    let joined = join(&catalog, snapshot);
    let assessment = evaluate(&catalog, &rules, &joined, now);
    let judged = cpu() - before;
    assert!(assessment.decisions.len() > 3 * secrets, "{} decisions", assessment.decisions.len());
    println!("{spent} {judged} {} {}", rss_mb(), joined.receipts[0].requests());
    drop(collected.raw);
}

fn account(endpoint: &str) -> AwsSource {
    AwsSource {
        account: ACCOUNT.to_owned(),
        regions: vec![REGION.to_owned()],
        read_role: None,
        apply_role: None,
        profile: None,
        endpoint: Some(endpoint.to_owned()),
        administrators: None,
        events: None,
    }
}

async fn session(aws: &AwsSource) -> SdkConfig {
    let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "test", None, None, "bench");
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).credentials_provider(credentials);
    session_from(loader, aws, REGION, None, "slm-bench").await
}

/// What the same list costs a program that keeps what the SDK makes of it and looks at nothing.
fn plain(endpoint: &str, secrets: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let client = aws_sdk_secretsmanager::Client::new(&runtime.block_on(session(&account(endpoint))));
    let before = cpu();
    let all = runtime.block_on(async {
        let (mut all, mut pages) = (Vec::new(), client.list_secrets().max_results(PAGE as i32).into_paginator().send());
        while let Some(page) = pages.next().await {
            all.extend(page.unwrap().secret_list.unwrap());
        }
        all
    });
    assert_eq!(all.len(), secrets);
    println!("{} 0 {} {}", cpu() - before, rss_mb(), secrets.div_ceil(PAGE));
}

/// Answers `POST /<secrets>/` on any port; the address is printed first. A page is made once and costs a copy after that.
fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap());
    let pages: Arc<Vec<String>> = Arc::new((0..SECRETS / PAGE).map(page).collect());
    for stream in listener.incoming() {
        let pages = pages.clone();
        std::thread::spawn(move || answer(stream.unwrap(), &pages));
    }
}

/// Answers every request of one connection.
fn answer(mut stream: TcpStream, pages: &[String]) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some((head, body)) = request(&mut reader) {
        let text = if head.contains("secretsmanager.listsecrets") { list(&head, &body, pages) } else { identity() };
        let kind = if text.starts_with('{') { "application/x-amz-json-1.1" } else { "text/xml" };
        let headers = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nx-amzn-requestid: 5b1e6c0a-0000-4000-8000-000000000000\r\n\
             date: Tue, 24 Nov 2026 00:00:00 GMT\r\ncontent-length: {}\r\n\r\n",
            text.len()
        );
        if stream.write_all(&[headers.as_bytes(), text.as_bytes()].concat()).is_err() {
            return;
        }
    }
}

/// Request line and headers in lower case, and the body; `None` at the end of the connection.
fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_ascii_lowercase();
    let length = head.split_once("content-length: ")?.1.lines().next()?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8(body).ok()?))
}

fn list(head: &str, body: &str, pages: &[String]) -> String {
    let secrets: usize = head.split('/').nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let request: serde_json::Value = serde_json::from_str(body).unwrap();
    let at: usize = request.get("NextToken").map_or(0, |token| token.as_str().unwrap().parse().unwrap());
    let last = (at + 1) * PAGE >= secrets;
    let next = if last { String::new() } else { format!(r#","NextToken":"{}""#, at + 1) };
    format!("{}{next}}}", pages[at])
}

fn identity() -> String {
    format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{ACCOUNT}:user/bench</Arn><UserId>AIDA</UserId><Account>{ACCOUNT}</Account></GetCallerIdentityResult>\
         <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    )
}

/// A page of the list, its last brace and the token left out.
fn page(number: usize) -> String {
    let mut text = String::from(r#"{"SecretList":["#);
    for index in number * PAGE..(number + 1) * PAGE {
        let comma = if index % PAGE == 0 { "" } else { "," };
        let _ = write!(text, "{comma}{}", entry(index));
    }
    text + "]"
}

/// One secret as the service lists it: a tag we keep, one we do not, and two versions.
fn entry(index: usize) -> String {
    let name = format!("prod/team-{:03}/service-{index:06}", index % 200);
    format!(
        "{{\"ARN\":\"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-AbCdEf\",\"CreatedDate\":1.7{:08}E9,\
         \"LastAccessedDate\":1.7638E9,\"LastChangedDate\":1.7601234E9,\"LastRotatedDate\":1.7601234E9,\"Name\":\"{name}\",\
         \"RotationEnabled\":false,\"SecretVersionsToStages\":{{\"11111111-2222-4333-8444-{index:012}\":[\"AWSCURRENT\"],\
         \"55555555-6666-4777-8888-{index:012}\":[\"AWSPREVIOUS\"]}},\
         \"Tags\":[{{\"Key\":\"owner\",\"Value\":\"team-{:03}\"}},{{\"Key\":\"stack\",\"Value\":\"core\"}}]}}",
        index % 100_000_000,
        index % 200
    )
}

/// CPU seconds of this process, user and system; a tick is 10 ms.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

/// The most memory this process has held, in MB of a million bytes.
fn rss_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<f64>().unwrap() * 1024.0 / 1e6
}
