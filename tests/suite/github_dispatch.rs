//! A workflow as a consumer: dispatched once a version, awaited, and what it says.

use std::time::Duration;

use serde_json::{Value as Json, json};
use slm::consumers::github_workflow_dispatch::WorkflowDispatch;
use slm::model::catalog::GithubWorkflowConsumer;
use slm::model::secret::Secret;
use slm::world::{Consumer, ErrorClass, WorldError};

use crate::aws_proxy::{Fault, Proxy};
use crate::faults::{OVER_HTTP, thrown};
use crate::github_server::{CANARY, Server, TOKEN};
use crate::support::at;

const V1: &str = "11111111-1111-5111-8111-111111111111";
const V2: &str = "22222222-2222-5222-8222-222222222222";
const LIST: &str = "GET /repos/acme/app/actions/workflows/deploy.yml/runs?event=workflow_dispatch&per_page=100";
const DISPATCH: &str = "POST /repos/acme/app/actions/workflows/deploy.yml/dispatches";

fn workflow(server: &Server) -> WorkflowDispatch {
    let config = "source = \"org\"\nrepo = \"acme/app\"\nworkflow = \"deploy.yml\"\nbranch = \"main\"\ntimeout = \"1s\"";
    let config: GithubWorkflowConsumer = toml::from_str(config).unwrap();
    WorkflowDispatch::new(server.client(), config).looking_every(Duration::from_millis(20))
}

fn run(id: u64, version: &str, status: &str, conclusion: Option<&str>) -> Json {
    json!({ "id": id, "status": status, "conclusion": conclusion, "display_title": format!("deploy {version}") })
}

/// The runs there are, newest first.
fn runs(server: &Server, runs: &[Json]) {
    server.script(LIST, 200, "", &json!({ "workflow_runs": runs }).to_string());
    for run in runs {
        server.script(&format!("GET /repos/acme/app/actions/runs/{}", run["id"]), 200, "", &run.to_string());
    }
}

fn dispatches(server: &Server) -> usize {
    server.with(|state| state.seen.iter().filter(|seen| *seen == DISPATCH).count())
}

fn value() -> Secret {
    Secret::new(CANARY.as_bytes().to_vec())
}

fn class<T>(result: Result<T, WorldError>) -> ErrorClass {
    let error = result.err().expect("an error");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(CANARY) && !shown.contains(TOKEN), "{shown}");
    error.class
}

#[tokio::test]
async fn a_run_is_dispatched_once_awaited_and_its_success_is_what_runs() {
    let server = Server::start();
    let workflow = workflow(&server);
    runs(&server, &[]);
    assert_eq!(workflow.observe().await.unwrap(), at(None, None));
    assert_eq!(class(workflow.activate(&V1.into()).await), ErrorClass::Conflict);
    server.script(DISPATCH, 200, "", r#"{"workflow_run_id":7,"run_url":"x","html_url":"x"}"#);
    // Listed only at the third look.
    let listed = json!({ "workflow_runs": [run(7, V1, "queued", None)] }).to_string();
    let empty = || (200, String::new(), json!({ "workflow_runs": [] }).to_string());
    server.script(LIST, 200, "", &listed);
    server.with(|state| state.once.insert(LIST.to_owned(), vec![empty(), empty()]));
    workflow.deliver(&V1.into(), &value()).await.unwrap();
    assert_eq!(workflow.observe().await.unwrap(), at(Some(V1), None));
    let sent = server.with(|state| state.sent.iter().find(|sent| sent[0] == "POST").cloned()).unwrap();
    let body: Json = serde_json::from_str(&sent[3]).unwrap();
    assert_eq!(body, json!({ "ref": "main", "inputs": { "version": V1 }, "return_run_details": true }));

    runs(&server, &[run(7, V1, "in_progress", None)]);
    let error = workflow.activate(&V1.into()).await.unwrap_err();
    assert_eq!((error.class, error.cause.as_str()), (ErrorClass::Transient, "run 7 goes on still"));
    runs(&server, &[run(7, V1, "completed", Some("success"))]);
    for _ in 0..2 {
        workflow.deliver(&V1.into(), &value()).await.unwrap();
        workflow.activate(&V1.into()).await.unwrap();
    }
    assert_eq!(workflow.observe().await.unwrap(), at(Some(V1), Some(V1)));
    assert_eq!(dispatches(&server), 1);
}

#[tokio::test]
async fn a_run_whose_dispatch_got_no_answer_is_found_by_its_name() {
    let server = Server::start();
    runs(&server, &[run(6, V1, "completed", Some("success"))]);
    server.script(DISPATCH, 502, "", CANARY);
    assert_eq!(class(workflow(&server).deliver(&V2.into(), &value()).await), ErrorClass::Transient);
    assert_eq!(dispatches(&server), 1);
    runs(&server, &[run(7, V2, "completed", Some("success")), run(6, V1, "completed", Some("success"))]);
    let after = workflow(&server);
    after.deliver(&V2.into(), &value()).await.unwrap();
    after.activate(&V2.into()).await.unwrap();
    assert_eq!((after.observe().await.unwrap(), dispatches(&server)), (at(Some(V2), Some(V2)), 1));
}

#[tokio::test]
async fn any_call_of_a_dispatch_that_is_lost_or_refused_is_made_good_by_the_next_run() {
    let made = async || {
        let server = Server::start();
        let proxy = Proxy::before(&server.with(|state| state.root.clone()));
        server.with(|state| state.root.clone_from(&proxy.endpoint));
        (proxy, (workflow(&server), server))
    };
    let run = async |(workflow, _): &(WorkflowDispatch, Server)| {
        workflow.deliver(&V1.into(), &value()).await?;
        workflow.activate(&V1.into()).await
    };
    let check = async |(workflow, server): &(WorkflowDispatch, Server), fault: Fault, when: &str| {
        let seen = workflow.observe().await.unwrap();
        assert_eq!((seen.stored, seen.running), (Some(V1.into()), Some(V1.into())), "{when}");
        let dispatched = server.with(|state| state.dispatched.len());
        // What arrives twice or late begins twice: a run of the same version, which does no harm.
        let most = if matches!(fault, Fault::Twice | Fault::Overtaken) { 2 } else { 1 };
        assert!((1..=most).contains(&dispatched), "{when}: {dispatched}");
    };
    let met = thrown("github-workflow-dispatch", &OVER_HTTP, made, run, check).await;
    assert!(met.again >= 10 && met.ended >= 10, "{met:?}");
}

#[tokio::test]
async fn an_older_server_is_asked_without_run_details() {
    let server = Server::start();
    runs(&server, &[]);
    server.with(|state| {
        let answers = vec![(204, String::new(), String::new()), (422, String::new(), "{}".to_owned())];
        state.once.insert(DISPATCH.to_owned(), answers);
        let listed = (200, String::new(), json!({ "workflow_runs": [run(7, V1, "queued", None)] }).to_string());
        let empty = (200, String::new(), json!({ "workflow_runs": [] }).to_string());
        state.once.insert(LIST.to_owned(), vec![listed, empty]);
    });
    workflow(&server).deliver(&V1.into(), &value()).await.unwrap();
    let bodies =
        server.with(|state| state.sent.iter().filter(|sent| sent[0] == "POST").map(|sent| sent[3].len()).collect::<Vec<_>>());
    assert!(bodies.len() == 2 && dispatches(&server) == 2, "{bodies:?}");
}

#[tokio::test]
async fn a_run_that_failed_is_not_adopted_and_may_be_started_again() {
    let server = Server::start();
    runs(&server, &[run(7, V2, "in_progress", None), run(6, V1, "completed", Some("success"))]);
    let workflow = workflow(&server);
    assert_eq!(workflow.observe().await.unwrap(), at(Some(V2), Some(V1)));
    let list = json!({ "workflow_runs": [run(7, V2, "in_progress", None)] }).to_string();
    server.script("GET /repos/acme/app/actions/runs/7", 200, "", &run(7, V2, "completed", Some("failure")).to_string());
    server.script(LIST, 200, "", &list);
    let error = workflow.activate(&V2.into()).await.unwrap_err();
    assert_eq!((error.class, error.cause.as_str()), (ErrorClass::Transient, "run 7 did not go well"));
    // How far it came is not known, nor what runs by now.
    runs(&server, &[run(7, V2, "completed", Some("failure")), run(6, V1, "completed", Some("success"))]);
    assert_eq!(workflow.observe().await.unwrap(), at(None, None));
    runs(&server, &[run(7, V2, "completed", Some("failure")), run(6, V2, "completed", Some("success"))]);
    assert_eq!(workflow.observe().await.unwrap(), at(Some(V2), Some(V2)));
    runs(&server, &[run(8, V2, "queued", None), run(5, V1, "in_progress", None)]);
    assert_eq!(workflow.observe().await.unwrap().draining, ["run 5 of `deploy.yml` goes on"]);
}

/// The same, made at `created`, whose last attempt began at `started`.
fn dated(run: Json, created: &str, started: &str) -> Json {
    let mut run = run;
    (run["created_at"], run["run_started_at"]) = (created.into(), started.into());
    run
}

#[tokio::test]
async fn an_older_run_that_is_run_again_is_what_was_deployed_last() {
    let server = Server::start();
    let (nine, ten, noon) = ("2026-11-24T09:00:00Z", "2026-11-24T10:00:00Z", "2026-11-24T12:00:00Z");
    let newer = || dated(run(7, V2, "completed", Some("success")), ten, ten);
    let older = |status, conclusion| dated(run(6, V1, status, conclusion), nine, noon);
    let workflow = workflow(&server);
    runs(&server, &[newer(), dated(run(6, V1, "completed", Some("success")), nine, nine)]);
    assert_eq!(workflow.observe().await.unwrap(), at(Some(V2), Some(V2)));
    runs(&server, &[newer(), older("completed", Some("success"))]);
    assert_eq!(workflow.observe().await.unwrap(), at(Some(V1), Some(V1)), "it deployed the older version again");
    runs(&server, &[newer(), older("in_progress", None)]);
    assert_eq!(workflow.observe().await.unwrap(), at(Some(V1), Some(V2)));
    runs(&server, &[newer(), older("completed", Some("failure"))]);
    assert_eq!(workflow.observe().await.unwrap(), at(None, None), "how far it came is not known");
}

#[tokio::test]
async fn a_run_that_began_before_the_secret_it_reads_was_there_has_deployed_another_version() {
    let server = Server::start();
    let variable = "GET /repos/acme/app/actions/variables/SLM_SESSION_KEY";
    let holds = |version: &str, since: &str| {
        let body = json!({ "name": "SLM_SESSION_KEY", "value": version, "updated_at": since }).to_string();
        server.script(variable, 200, "", &body);
    };
    let (nine, ten) = ("2026-11-24T09:00:00Z", "2026-11-24T10:00:00Z");
    let workflow = || workflow(&server).reading(vec![server.secret(Some("acme/app"), None)]);
    holds(V1, nine);
    runs(&server, &[]);
    let error = workflow().deliver(&V2.into(), &value()).await.unwrap_err();
    let cause = "secret `acme/app/SESSION_KEY` that it reads does not hold the version";
    assert_eq!((error.class, error.cause.as_str()), (ErrorClass::Permanent, cause));
    assert_eq!(dispatches(&server), 0, "it would deploy the value before under the name of this one");

    holds(V2, ten);
    let dates = [nine, ten, "2026-11-24T10:00:01Z"];
    let [before, same, after] = dates.map(|created| dated(run(7, V2, "completed", Some("success")), created, created));
    // Of the second of the push, a run may have begun before it.
    for stale in [&before, &same] {
        runs(&server, std::slice::from_ref(stale));
        assert_eq!(workflow().observe().await.unwrap(), at(None, None));
    }
    runs(&server, &[after.clone(), before]);
    assert_eq!(workflow().observe().await.unwrap(), at(Some(V2), Some(V2)));
    let going = dated(run(8, V2, "in_progress", None), nine, "2026-11-24T11:00:00Z");
    runs(&server, &[after, going]);
    assert_eq!(workflow().observe().await.unwrap().draining, ["run 8 of `deploy.yml` goes on"], "what it reads is not known");
    // What is not seen to hold it does not.
    server.script(variable, 403, "", CANARY);
    assert_eq!(class(workflow().observe().await), ErrorClass::Denied);
}

#[tokio::test]
async fn a_version_that_a_hundred_other_runs_came_after_still_runs_and_is_not_deployed_again() {
    let server = Server::start();
    let others: Vec<Json> = (100..200).rev().map(|id| run(id, "by hand", "completed", Some("success"))).collect();
    let second = format!("{LIST}&page=2");
    let page = |from: &str, to: Option<&str>, runs: &[Json]| {
        let link = to.map(|to| server.with(|state| format!("link: <{}{}>; rel=\"next\"\r\n", state.root, &to[4..])));
        server.script(from, 200, &link.unwrap_or_default(), &json!({ "workflow_runs": runs }).to_string());
    };
    page(LIST, Some(&second), &others);
    page(&second, Some(&format!("{LIST}&page=3")), &[run(7, V1, "completed", Some("success")), run(6, V2, "completed", None)]);
    let workflow = workflow(&server);
    assert_eq!(workflow.observe().await.unwrap(), at(Some(V1), Some(V1)));
    workflow.deliver(&V1.into(), &value()).await.unwrap();
    server.script("GET /repos/acme/app/actions/runs/7", 200, "", &run(7, V1, "completed", Some("success")).to_string());
    workflow.activate(&V1.into()).await.unwrap();
    assert_eq!(dispatches(&server), 0);
    let asked = |end: &str| server.with(|state| state.seen.iter().filter(|seen| seen.ends_with(end)).count());
    assert!(asked("&page=2") > 0 && asked("&page=3") == 0, "no page is asked for after the one that has it");
    // One that leads to itself ends.
    page(&second, Some(&second), &others);
    server.with(|state| state.seen.clear());
    assert_eq!(workflow.observe().await.unwrap(), at(None, None));
    assert_eq!((asked("&per_page=100"), asked("&page=2")), (1, 9));
}

#[tokio::test]
async fn a_refusal_says_its_class_and_no_answer() {
    for (status, want) in [(403, ErrorClass::Denied), (404, ErrorClass::NotFound), (422, ErrorClass::Permanent)] {
        let server = Server::start();
        runs(&server, &[]);
        server.script(DISPATCH, status, "", CANARY);
        assert_eq!(class(workflow(&server).deliver(&V1.into(), &value()).await), want);
    }
}

/// Every request a rotation sends, for the contract.
pub async fn requests() -> std::collections::BTreeSet<[String; 4]> {
    let server = Server::start();
    runs(&server, &[run(7, V1, "completed", Some("success"))]);
    let empty = (200, String::new(), json!({ "workflow_runs": [] }).to_string());
    server.with(|state| state.once.insert(LIST.to_owned(), vec![empty]));
    server.script(DISPATCH, 200, "", r#"{"workflow_run_id":7}"#);
    let workflow = workflow(&server);
    workflow.deliver(&V1.into(), &value()).await.unwrap();
    workflow.activate(&V1.into()).await.unwrap();
    server.with(|state| std::mem::take(&mut state.sent))
}
