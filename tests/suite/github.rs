//! Actions secrets: delivered sealed, acknowledged after it, and every way not to arrive.

use std::collections::BTreeMap;

use serde_json::json;
use slm::model::id::VersionId;
use slm::model::secret::Secret;
use slm::world::{Consumer, ConsumerView, ErrorClass, WorldError};

use crate::aws_proxy::Proxy;
use crate::faults::{OVER_HTTP, thrown};
use crate::github_server::{CANARY, Server, TOKEN};
use crate::leaks::untold;

const V1: &str = "11111111-1111-5111-8111-111111111111";
const V2: &str = "22222222-2222-5222-8222-222222222222";

fn value(of: &str) -> Secret {
    Secret::new(of.as_bytes().to_vec())
}

fn at(version: &str) -> ConsumerView {
    ConsumerView { stored: Some(version.into()), running: Some(version.into()), ..ConsumerView::default() }
}

fn class<T>(result: Result<T, WorldError>) -> ErrorClass {
    let error = result.err().expect("an error");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(CANARY) && !shown.contains(TOKEN), "{shown}");
    error.class
}

#[tokio::test]
async fn a_delivered_value_arrives_sealed_and_is_acknowledged_after_it() {
    for (repo, environment, home) in [
        (Some("acme/app"), None, "/repos/acme/app/actions"),
        (Some("acme/app"), Some("prod/eu"), "/repos/acme/app/environments/prod%2Feu"),
        (None, None, "/orgs/acme/actions"),
    ] {
        let server = Server::start();
        let secret = server.secret(repo, environment);
        let [v1, v2] = [V1, V2].map(VersionId::from);
        assert_eq!(secret.observe().await.unwrap(), ConsumerView::default());
        assert_eq!(class(secret.activate(&v1).await), ErrorClass::Conflict);
        secret.deliver(&v1, &value(CANARY)).await.unwrap();
        assert_eq!(secret.observe().await.unwrap(), at(V1));
        secret.activate(&v1).await.unwrap();
        secret.deliver(&v1, &value(CANARY)).await.unwrap();
        secret.deliver(&v2, &value("second")).await.unwrap();
        assert_eq!(secret.observe().await.unwrap(), at(V2));
        assert_eq!(class(secret.activate(&v1).await), ErrorClass::Conflict);
        server.with(|state| {
            assert_eq!(state.secrets, BTreeMap::from([(format!("{home}/secrets/SESSION_KEY"), "second".to_owned())]));
            assert_eq!(state.variables, BTreeMap::from([(format!("{home}/variables/SLM_SESSION_KEY"), V2.to_owned())]));
            let place = |wanted: &str| state.seen.iter().position(|seen| seen.starts_with(wanted)).unwrap();
            assert!(place("PUT") < place("PATCH") && place("PATCH") < place("POST"), "{:?}", state.seen);
        });
    }
}

#[tokio::test]
async fn any_call_of_a_secret_that_is_lost_or_refused_is_made_good_by_the_next_run_and_tells_nothing() {
    let made = async || {
        let server = Server::start();
        let proxy = Proxy::before(&server.with(|state| state.root.clone()));
        server.with(|state| state.root.clone_from(&proxy.endpoint));
        (proxy.clone(), (server.secret(Some("acme/app"), None), server, proxy))
    };
    let met = thrown(
        "github-actions-secret",
        &OVER_HTTP,
        made,
        async |(secret, ..)| {
            secret.deliver(&V1.into(), &value(CANARY)).await?;
            secret.activate(&V1.into()).await
        },
        async |(secret, server, proxy), _, when| {
            assert_eq!(secret.observe().await.unwrap(), at(V1), "{when}");
            assert_eq!(server.with(|state| state.secrets.values().cloned().collect::<Vec<_>>()), [CANARY], "{when}");
            untold(when, &proxy.sent(), &[CANARY]);
        },
    )
    .await;
    assert!(met.again >= 10 && met.ended >= 6, "{met:?}");
}

#[tokio::test]
async fn a_key_replaced_meanwhile_is_read_again_once() {
    let (server, v1) = (Server::start(), VersionId::from(V1));
    let secret = server.secret(Some("acme/app"), None);
    server.with(|state| state.stale = 1);
    secret.deliver(&v1, &value(CANARY)).await.unwrap();
    assert_eq!(server.with(|state| state.secrets.values().next().cloned()).as_deref(), Some(CANARY));

    server.with(|state| state.stale = 2);
    let v2 = VersionId::from(V2);
    let error = secret.deliver(&v2, &value(CANARY)).await.unwrap_err();
    assert_eq!(error.to_string(), "could not write Actions secret `acme/app/SESSION_KEY`: HTTP 422");
    assert_eq!(class(Err::<(), _>(error)), ErrorClass::Permanent);
    assert_eq!(secret.observe().await.unwrap(), at(V1));
}

#[tokio::test]
async fn a_secret_that_did_not_arrive_is_not_acknowledged() {
    let put = "PUT /repos/acme/app/actions/secrets/SESSION_KEY";
    for (status, headers, want, requests) in [
        (403, "", ErrorClass::Denied, 1),
        (403, "x-ratelimit-remaining: 0\r\n", ErrorClass::Transient, 1),
        (429, "", ErrorClass::Transient, 1),
        (503, "", ErrorClass::Transient, 3),
        (404, "", ErrorClass::NotFound, 1),
    ] {
        let server = Server::start();
        let secret = server.secret(Some("acme/app"), None);
        server.script(put, status, headers, CANARY);
        assert_eq!(class(secret.deliver(&V1.into(), &value(CANARY)).await), want, "{status}");
        assert_eq!(secret.observe().await.unwrap(), ConsumerView::default());
        assert_eq!(server.with(|state| state.seen.iter().filter(|seen| *seen == put).count()), requests, "{status}");
    }
}

#[tokio::test]
async fn an_organisation_secret_keeps_those_who_may_see_it() {
    let server = Server::start();
    let secret = server.secret(None, None);
    let home = "/orgs/acme/actions/secrets/SESSION_KEY";
    secret.deliver(&V1.into(), &value(CANARY)).await.unwrap();
    assert_eq!(server.with(|state| state.written[home]["visibility"].clone()), "private");

    server.script(&format!("GET {home}"), 200, "", r#"{"name":"SESSION_KEY","visibility":"selected"}"#);
    let next = server.with(|state| format!("link: <{}{home}/repositories?per_page=100&page=2>; rel=\"next\"\r\n", state.root));
    server.script(&format!("GET {home}/repositories?per_page=100"), 200, &next, r#"{"repositories":[{"id":7}]}"#);
    server.script(&format!("GET {home}/repositories?per_page=100&page=2"), 200, "", r#"{"repositories":[{"id":9}]}"#);
    secret.deliver(&V2.into(), &value(CANARY)).await.unwrap();
    let written = server.with(|state| state.written[home].clone());
    assert_eq!((&written["visibility"], &written["selected_repository_ids"]), (&json!("selected"), &json!([7, 9])));
}

#[tokio::test]
async fn a_variable_that_names_no_version_acknowledges_nothing() {
    let server = Server::start();
    let secret = server.secret(Some("acme/app"), None);
    for text in ["", "not a version", &"a".repeat(65)] {
        let route = "/repos/acme/app/actions/variables/SLM_SESSION_KEY".to_owned();
        server.with(|state| state.variables.insert(route, text.to_owned()));
        assert_eq!(secret.observe().await.unwrap(), ConsumerView::default(), "{text}");
    }
}

#[tokio::test]
async fn a_value_too_long_is_not_sent() {
    let server = Server::start();
    let secret = server.secret(Some("acme/app"), None);
    assert_eq!(class(secret.deliver(&V1.into(), &value(&"x".repeat(48 * 1024 + 1))).await), ErrorClass::Permanent);
    assert!(server.with(|state| state.seen.is_empty()));
    assert!(!format!("{:?}", server.client()).contains(TOKEN));
}

#[tokio::test]
async fn dependabot_and_codespaces_keep_their_own_and_acknowledge_in_a_variable_of_actions() {
    for (store, place) in [("dependabot", "SLM_DEPENDABOT_SESSION_KEY"), ("codespaces", "SLM_CODESPACES_SESSION_KEY")] {
        for (scope, home) in [("repo = \"acme/app\"\n", "/repos/acme/app"), ("", "/orgs/acme")] {
            let server = Server::start();
            let secret = server.secret_of(&format!("{scope}name = \"SESSION_KEY\"\nstore = \"{store}\""));
            secret.deliver(&V1.into(), &value(CANARY)).await.unwrap();
            secret.deliver(&V1.into(), &value(CANARY)).await.unwrap();
            assert_eq!(secret.observe().await.unwrap(), at(V1));
            secret.activate(&V1.into()).await.unwrap();
            server.with(|state| {
                assert_eq!(state.secrets, BTreeMap::from([(format!("{home}/{store}/secrets/SESSION_KEY"), CANARY.to_owned())]));
                assert_eq!(state.variables, BTreeMap::from([(format!("{home}/actions/variables/{place}"), V1.to_owned())]));
            });
        }
    }
}

#[tokio::test]
async fn the_declared_repositories_see_an_organisation_secret_and_its_variable() {
    let server = Server::start();
    let config = "name = \"SESSION_KEY\"\nvisibility = \"selected\"\nrepos = [\"acme/app\", \"acme/web\"]";
    server.script("GET /repos/acme/app", 200, "", r#"{"id":7}"#);
    server.script("GET /repos/acme/web", 200, "", r#"{"id":9}"#);
    let secret = server.secret_of(config);
    secret.deliver(&V1.into(), &value(CANARY)).await.unwrap();
    assert_eq!(secret.observe().await.unwrap(), at(V1));
    let written = server.with(|state| state.written["/orgs/acme/actions/secrets/SESSION_KEY"].clone());
    assert_eq!((&written["visibility"], &written["selected_repository_ids"]), (&json!("selected"), &json!([7, 9])));
    let variable = server.with(|state| state.sent.iter().find(|sent| sent[0] == "POST").cloned()).unwrap();
    assert!(variable[3].contains(r#""selected_repository_ids":[7,9]"#), "{variable:?}");

    let theirs = "/repos/acme/web/actions/secrets/SESSION_KEY".to_owned();
    server.with(|state| state.secrets.insert(theirs, "theirs".to_owned()));
    let error = server.secret_of(config).observe().await.unwrap_err();
    assert!(error.cause.contains("`SESSION_KEY` in repository `acme/web`"), "{error}");
}

#[tokio::test]
async fn runs_created_before_the_push_and_not_ended_are_draining() {
    let server = Server::start();
    let secret = server.secret(Some("acme/app"), None);
    let file = ".github/workflows/release.yml";
    server.with(|state| {
        state.runs = vec![
            ("acme/app", 1, "waiting", file, "2026-11-24T05:00:00Z"),
            ("acme/app", 2, "in_progress", file, "2026-11-24T06:00:00Z"),
            ("acme/app", 3, "in_progress", file, "2026-11-24T06:00:01Z"),
            ("acme/app", 4, "completed", file, "2026-11-24T05:00:00Z"),
        ];
    });
    assert_eq!(secret.observe().await.unwrap(), ConsumerView::default());
    secret.deliver(&V1.into(), &value(CANARY)).await.unwrap();
    let draining = secret.observe().await.unwrap().draining;
    let want = ["run 2 of `release.yml` in `acme/app` is in_progress", "run 1 of `release.yml` in `acme/app` is waiting"]
        .map(str::to_owned);
    assert_eq!(draining, want);

    server.script("GET /repos/acme/app/actions/runs?status=queued&per_page=100", 403, "", CANARY);
    let view = secret.observe().await.unwrap();
    assert_eq!((view.stored.as_ref(), view.draining.len()), (Some(&VersionId::from(V1)), 3));
    assert_eq!(view.draining[0], "the queued runs of `acme/app` cannot be listed: HTTP 403");
}

#[tokio::test]
async fn runs_of_every_repository_that_an_organisation_gave_it_to_are_draining() {
    let file = ".github/workflows/release.yml";
    let set = "name = \"SESSION\"\nset = { SESSION_KEY = \"{{ value }}\" }";
    for named in ["name = \"SESSION_KEY\"", set] {
        let server = Server::start();
        server.with(|state| {
            state.repositories = (1..=5).map(|id| (id, format!("acme/r{id}"))).collect();
            state.runs = vec![
                ("acme/r1", 1, "waiting", file, "2026-11-24T05:00:00Z"),
                ("acme/r3", 2, "in_progress", file, "2026-11-24T06:00:00Z"),
                ("acme/r3", 3, "in_progress", file, "2026-11-24T06:00:01Z"),
                ("acme/r5", 4, "queued", file, "2026-11-24T05:00:00Z"),
                ("acme/other", 5, "queued", file, "2026-11-24T05:00:00Z"),
            ];
        });
        let config = format!("{named}\nvisibility = \"selected\"\nrepos = [\"acme/r1\", \"acme/r3\", \"acme/r5\"]");
        server.secret_of(&config).deliver(&V1.into(), &value("{\"json\":1}")).await.unwrap();
        let in_r5 = "run 4 of `release.yml` in `acme/r5` is queued";
        let want = ["run 1 of `release.yml` in `acme/r1` is waiting", "run 2 of `release.yml` in `acme/r3` is in_progress", in_r5];
        // Whoever declares nothing is told all the same.
        for config in [config.as_str(), named] {
            let view = server.secret_of(config).observe().await.unwrap();
            assert_eq!((view.running.as_ref(), view.draining), (Some(&VersionId::from(V1)), want.map(str::to_owned).to_vec()));
        }
        // Nobody lists who reads what every private repository may.
        let private = format!("{named}\nvisibility = \"private\"\nrepos = [\"acme/r5\"]");
        server.secret_of(&private).deliver(&V2.into(), &value("{\"json\":2}")).await.unwrap();
        assert_eq!(server.secret_of(&private).observe().await.unwrap().draining, [in_r5]);
        assert_eq!(server.secret_of(named).observe().await.unwrap().draining, Vec::<String>::new());
    }
}

#[tokio::test]
async fn more_repositories_than_are_looked_at_are_said_and_hold() {
    let server = Server::start();
    server.with(|state| state.repositories = (1..=53).map(|id| (id, format!("acme/r{id}"))).collect());
    server.with(|state| state.page = 20);
    let repos: Vec<String> = (1..=53).map(|id| format!("\"acme/r{id}\"")).collect();
    let config = format!("name = \"SESSION_KEY\"\nvisibility = \"selected\"\nrepos = [{}]", repos.join(", "));
    server.secret_of(&config).deliver(&V1.into(), &value(CANARY)).await.unwrap();
    server.with(|state| state.seen.clear());
    let plain = server.secret_of("name = \"SESSION_KEY\"");
    let draining = plain.observe().await.unwrap().draining;
    assert_eq!(draining, ["the runs of 3 of the repositories that see it are not looked at"]);
    let looks = server.with(|state| state.seen.iter().filter(|asked| asked.contains("/actions/runs?")).count());
    assert_eq!(looks, 50 * 5);

    let lists = "GET /orgs/acme/actions/secrets/SESSION_KEY/repositories?per_page=100";
    server.script(lists, 403, "", CANARY);
    let draining = plain.observe().await.unwrap().draining;
    assert_eq!(draining, ["the repositories that see `acme/SESSION_KEY` cannot be listed: HTTP 403"]);
}

#[tokio::test]
async fn a_list_of_readers_that_leads_back_ends_and_holds() {
    let server = Server::start();
    let config = "name = \"SESSION_KEY\"\nvisibility = \"selected\"\nrepos = [\"acme/r1\"]";
    server.with(|state| drop(state.repositories.insert(1, "acme/r1".to_owned())));
    server.secret_of(config).deliver(&V1.into(), &value(CANARY)).await.unwrap();
    let list = "GET /orgs/acme/actions/secrets/SESSION_KEY/repositories?per_page=100";
    let second = &*format!("{list}&page=2");
    let page = r#"{"total_count":2,"repositories":[{"id":1,"full_name":"acme/r1"}]}"#;
    // To itself, and to the first by way of a second.
    for (ways, asked) in [(&[(list, list)][..], 1), (&[(list, second), (second, list)], 2)] {
        for (from, to) in ways {
            let link = server.with(|state| format!("link: <{}{}>; rel=\"next\"\r\n", state.root, &to[4..]));
            server.script(from, 200, &link, page);
        }
        server.with(|state| state.seen.clear());
        let draining = server.secret_of("name = \"SESSION_KEY\"").observe().await.unwrap().draining;
        let why = "the repositories that see `acme/SESSION_KEY` cannot be listed: ";
        assert!(draining.len() == 1 && draining[0].starts_with(why), "{draining:?}");
        // Once for what overrides it and once for runs.
        assert_eq!(server.with(|state| state.seen.iter().filter(|one| one.starts_with(list)).count()), 2 * asked);
    }
}

#[tokio::test]
async fn a_secret_of_an_environment_overrides_its_repositorys_unless_it_may() {
    let server = Server::start();
    server.with(|state| {
        state.environments.insert("/repos/acme/app".to_owned(), vec!["staging".to_owned(), "prod/eu".to_owned()]);
        state.secrets.insert("/repos/acme/app/environments/prod%2Feu/secrets/SESSION_KEY".to_owned(), "theirs".to_owned());
    });
    let error = server.secret(Some("acme/app"), None).observe().await.unwrap_err();
    let want = "could not use Actions secret `acme/app/SESSION_KEY`: it is overridden by `SESSION_KEY` in environment `prod/eu`";
    assert_eq!((error.to_string().as_str(), error.class), (want, ErrorClass::Permanent));
    let places = server.secret(Some("acme/app"), None).overridden().await.unwrap();
    assert_eq!(places, ["`SESSION_KEY` in environment `prod/eu`"]);
    let allowed = "name = \"SESSION_KEY\"\nrepo = \"acme/app\"\noverridden-in = [\"prod/eu\"]";
    assert_eq!(server.secret_of(allowed).observe().await.unwrap(), ConsumerView::default());
    assert_eq!(server.secret_of(allowed).overridden().await.unwrap(), Vec::<String>::new());
    assert_eq!(server.secret(Some("acme/app"), Some("prod/eu")).observe().await.unwrap(), ConsumerView::default());
}

#[tokio::test]
async fn a_secret_of_an_organisation_is_overridden_by_environments_too_wherever_it_is_read() {
    let server = Server::start();
    server.with(|state| {
        state.repositories = (1..=2).map(|id| (id, format!("acme/r{id}"))).collect();
        state.environments.insert("/repos/acme/r2".to_owned(), vec!["prod".to_owned()]);
    });
    let chosen = "name = \"SESSION_KEY\"\nvisibility = \"selected\"\nrepos = [\"acme/r1\", \"acme/r2\"]";
    server.secret_of(chosen).deliver(&V1.into(), &value(CANARY)).await.unwrap();
    let theirs = "/repos/acme/r2/environments/prod/secrets/SESSION_KEY".to_owned();
    server.with(|state| state.secrets.insert(theirs, "theirs".to_owned()));
    let found = ["`SESSION_KEY` in environment `prod` of `acme/r2`"];
    // Also where nothing is declared: GitHub lists whom it was given to.
    for config in [chosen, "name = \"SESSION_KEY\""] {
        assert_eq!(server.secret_of(config).overridden().await.unwrap(), found);
        let error = server.secret_of(config).observe().await.unwrap_err();
        assert!(error.cause.ends_with(found[0]), "{error}");
    }
    for may in ["acme/r2/prod", "acme/r2"] {
        let allowed = format!("name = \"SESSION_KEY\"\noverridden-in = [\"{may}\"]");
        assert_eq!(server.secret_of(&allowed).overridden().await.unwrap(), Vec::<String>::new(), "{may}");
        assert_eq!(server.secret_of(&allowed).observe().await.unwrap(), at(V1), "{may}");
    }
}

#[tokio::test]
async fn what_overrides_a_secret_that_nobody_lists_the_readers_of_is_not_seen_and_holds_nothing() {
    let server = Server::start();
    let private = "name = \"SESSION_KEY\"\nvisibility = \"private\"";
    let secret = server.secret_of(private);
    let error = secret.overridden().await.unwrap_err();
    assert_eq!(error.cause, "nobody lists which repositories read it; name those that do in `repos`");
    secret.deliver(&V1.into(), &value(CANARY)).await.unwrap();
    assert_eq!(secret.observe().await.unwrap(), at(V1));
    let named = server.secret_of(&format!("{private}\nrepos = [\"acme/r1\"]"));
    assert_eq!(named.overridden().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn the_variable_that_chooses_a_half_of_a_set_is_overridden_like_a_secret() {
    let choice = "/repos/acme/app/environments/prod/variables/SLM_DEPLOYER";
    let org = PAIR.replace("repo = \"acme/app\"", "visibility = \"private\"\nrepos = [\"acme/app\"]");
    for (config, place) in [(PAIR, "environment `prod`"), (org.as_str(), "environment `prod` of `acme/app`")] {
        let server = Server::start();
        server.with(|state| {
            state.environments.insert("/repos/acme/app".to_owned(), vec!["prod".to_owned()]);
            state.variables.insert("/repos/acme/app/environments/prod/variables/OTHER".to_owned(), "A".to_owned());
        });
        assert_eq!(server.secret_of(config).overridden().await.unwrap(), Vec::<String>::new());
        server.with(|state| state.variables.insert(choice.to_owned(), "A".to_owned()));
        let found = server.secret_of(config).overridden().await.unwrap();
        assert_eq!(found, [format!("variable `SLM_DEPLOYER` in {place}")]);
    }
    let server = Server::start();
    let near = "/repos/acme/app/actions/variables/SLM_DEPLOYER".to_owned();
    server.with(|state| state.variables.insert(near, "B".to_owned()));
    let found = server.secret_of(&org).overridden().await.unwrap();
    assert_eq!(found, ["variable `SLM_DEPLOYER` in repository `acme/app`"]);
}

#[tokio::test]
async fn one_secret_takes_a_field_of_a_value_by_its_template() {
    for (store, home) in [("actions", "/repos/acme/app/actions"), ("codespaces", "/repos/acme/app/codespaces")] {
        let server = Server::start();
        let config =
            |template: &str| format!("name = \"DD_API_KEY\"\nrepo = \"acme/app\"\nstore = \"{store}\"\ntemplate = \"{template}\"");
        let secret = server.secret_of(&config("{{ json.value }}"));
        secret.deliver(&V1.into(), &value(&format!("{{\"id\": \"k1\", \"value\": \"{CANARY}\"}}"))).await.unwrap();
        assert_eq!(secret.observe().await.unwrap().running, Some(V1.into()));
        let written = || server.with(|state| state.secrets.clone());
        assert_eq!(written(), BTreeMap::from([(format!("{home}/secrets/DD_API_KEY"), CANARY.to_owned())]));
        // What it names and the value has not is no empty secret.
        let error = secret.deliver(&V2.into(), &value("{\"id\": \"k2\"}")).await.unwrap_err();
        assert_eq!((error.class, written().len()), (ErrorClass::Permanent, 1), "{error}");
        assert_eq!(class(secret.deliver(&V2.into(), &value("no JSON")).await), ErrorClass::Permanent);
        server.secret_of(&config("{{ value }} of {{ version }}")).deliver(&V2.into(), &value("it")).await.unwrap();
        assert_eq!(written()[&format!("{home}/secrets/DD_API_KEY")], format!("it of {V2}"));
    }
}

/// A pair from one JSON value.
const PAIR: &str = "name = \"DEPLOYER\"\nrepo = \"acme/app\"\n[set]\nKEY_ID = \"{{ value.id }}\"\nKEY = \"{{ value.secret }}\"";

/// What a workflow reads by `secrets[format('…_{0}', vars.SLM_DEPLOYER)]`.
fn pair(server: &Server) -> Option<(String, String)> {
    server.with(|state| {
        let home = "/repos/acme/app/actions";
        let slot = state.variables.get(&format!("{home}/variables/SLM_DEPLOYER"))?;
        let read = |name: &str| state.secrets[&format!("{home}/secrets/{name}_{slot}")].clone();
        Some((read("KEY_ID"), read("KEY")))
    })
}

#[tokio::test]
async fn a_pair_is_never_torn_whichever_write_is_the_last_one() {
    let server = Server::start();
    let secret = server.secret_of(PAIR);
    let [old, new] = ["1", "2"].map(|n| value(&format!(r#"{{"id":"id{n}","secret":"secret{n}"}}"#)));
    let [first, second] = ["1", "2"].map(|n| Some((format!("id{n}"), format!("secret{n}"))));
    secret.deliver(&V1.into(), &old).await.unwrap();
    assert_eq!((secret.observe().await.unwrap(), pair(&server)), (at(V1), first.clone()));

    let home = "/repos/acme/app/actions";
    let writes = ["PUT secrets/KEY_B", "PUT secrets/KEY_ID_B", "PATCH variables/SLM_DEPLOYER_B", "PATCH variables/SLM_DEPLOYER"];
    for request in writes.map(|request| request.replace(' ', &format!(" {home}/"))) {
        server.script(&request, 403, "", CANARY);
        assert_eq!(class(secret.deliver(&V2.into(), &new).await), ErrorClass::Denied, "{request}");
        assert_eq!((secret.observe().await.unwrap(), pair(&server)), (at(V1), first.clone()), "{request}");
        server.with(|state| state.scripts.clear());
    }
    secret.deliver(&V2.into(), &new).await.unwrap();
    assert_eq!((secret.observe().await.unwrap(), pair(&server)), (at(V2), second));
    secret.activate(&V2.into()).await.unwrap();
    assert_eq!(class(secret.activate(&V1.into()).await), ErrorClass::Conflict);

    let before = server.with(|state| state.seen.len());
    secret.deliver(&V2.into(), &new).await.unwrap();
    assert!(server.with(|state| state.seen[before..].iter().all(|seen| seen.starts_with("GET "))));
    secret.deliver(&V1.into(), &old).await.unwrap();
    assert_eq!((secret.observe().await.unwrap(), pair(&server)), (at(V1), first));
}

#[tokio::test]
async fn a_lost_answer_is_seen_by_the_next_look() {
    let server = Server::start();
    let secret = server.secret(Some("acme/app"), None);
    secret.deliver(&V1.into(), &value(CANARY)).await.unwrap();
    // The variable was written, and the answer said otherwise.
    let route = "/repos/acme/app/actions/variables/SLM_SESSION_KEY";
    server.script(&format!("PATCH {route}"), 502, "", CANARY);
    assert_eq!(class(secret.deliver(&V2.into(), &value("second")).await), ErrorClass::Transient);
    assert_eq!(secret.observe().await.unwrap(), at(V1));
    server.with(|state| state.variables.insert(route.to_owned(), V2.to_owned()));
    assert_eq!(secret.observe().await.unwrap(), at(V2));
}

#[tokio::test]
async fn a_set_from_what_is_no_json_or_lacks_a_field_sends_nothing() {
    let server = Server::start();
    for text in [CANARY.to_owned(), format!(r#"{{"id":"{CANARY}"}}"#)] {
        assert_eq!(class(server.secret_of(PAIR).deliver(&V1.into(), &value(&text)).await), ErrorClass::Permanent);
    }
    assert!(server.with(|state| state.seen.is_empty()));
}
