//! Policy and evidence at GitHub: commits against merged pull requests, and who may change which branch alone.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use slm::collectors::github_config::ConfigAtGithub;
use slm::evaluate::segregation::segregation;
use slm::model::catalog::{GithubConfig, GithubSource, SourceKind};
use slm::model::segregation::Verdict;
use slm::model::snapshot::{Completeness, Fact, Resource, Unseen};
use slm::model::time::{Limit, Timestamp};
use slm::transport::github::Login;
use slm::world::{Clock, Collected, Collector as _};

use crate::github_controls::shipped;
use crate::github_org::everything;
use crate::github_server::{CANARY, Server, TOKEN};
use crate::support::{World, declared, git};

const MAIN: &str = "acme/policy refs/heads/main";
const EVIDENCE: &str = "acme/policy refs/heads/slm/evidence";

/// Who opened a pull request, and what each reviewer said last of which commit.
type Reviews = (&'static str, Vec<(&'static str, &'static str, &'static str)>);

/// Repositories with rules on their branches, one line of commits and the pull requests merged into it.
pub struct Held {
    /// Rules by repository and branch.
    pub branches: BTreeMap<String, Json>,
    /// The newest first: name, when, and the pull request that brought it in.
    pub commits: Vec<(String, Timestamp, Option<u64>)>,
    /// The newest first: number, when merged, and what it became.
    pub merged: Vec<(u64, Timestamp, String)>,
    /// Of a pull request, who opened it and what each reviewer said last of which commit; what is not here is not shown.
    pub reviews: BTreeMap<u64, Reviews>,
    /// Of a pull request, the account of who wrote each of its commits, if it is known; where it is not here, who opened it did.
    pub wrote: BTreeMap<u64, Vec<Option<&'static str>>>,
    /// Items a page.
    pub page: usize,
    /// Who is in each team, by `organisation/team`.
    pub teams: BTreeMap<String, Vec<String>>,
}

impl Held {
    /// Two branches that a pull request and one App may change.
    fn new() -> Self {
        let reviewed = rule("PULL_REQUEST", Some(1), &[]);
        let bound = rule("UPDATE", None, &[json!({ "slug": "slm" })]);
        let branches = [(MAIN.to_owned(), rules(&[reviewed])), (EVIDENCE.to_owned(), rules(&[bound]))];
        Self {
            branches: branches.into(),
            commits: Vec::new(),
            merged: Vec::new(),
            reviews: BTreeMap::new(),
            wrote: BTreeMap::new(),
            page: 2,
            teams: BTreeMap::new(),
        }
    }

    /// A commit on top of `main`, brought in by a pull request or pushed.
    fn lands(&mut self, name: &str, at: Timestamp, pull: Option<u64>) {
        self.commits.insert(0, (name.to_owned(), at, pull));
        if let Some(number) = pull {
            self.merged.retain(|(other, ..)| *other != number);
            self.merged.insert(0, (number, at, name.to_owned()));
        }
    }

    /// A page of the members of a team, and where it goes on below `root`.
    pub fn members(&self, method: &str, route: &str, root: &str) -> Option<(u16, String, Json)> {
        let (path, query) = route.split_once('?').filter(|_| method == "GET")?;
        let (org, slug) = path.strip_prefix("/orgs/")?.strip_suffix("/members")?.split_once("/teams/")?;
        let Some(all) = self.teams.get(&format!("{org}/{slug}")) else { return Some((404, String::new(), json!({}))) };
        let page = query.split('&').find_map(|part| part.strip_prefix("page=")).map_or(1, |page| page.parse().unwrap());
        let left = all.get((page - 1) * self.page..).unwrap_or_default();
        let next = format!("link: <{root}{path}?per_page=100&page={}>; rel=\"next\"\r\n", page + 1);
        let member = |login: &String| json!({ "login": login, "id": 1, "type": "User", "bio": CANARY });
        let shown: Vec<Json> = left.iter().take(self.page).map(member).collect();
        Some((200, if left.len() > self.page { next } else { String::new() }, json!(shown)))
    }

    /// What is answered to one of the queries for it.
    pub fn answer(&self, body: &Json) -> Option<Json> {
        let (query, given) = (body["query"].as_str()?, &body["variables"]);
        let repo = format!("{}/{}", given["owner"].as_str()?, given["name"].as_str()?);
        let after = given["after"].as_str().map_or(0, |after| after.parse().unwrap());
        let page = |nodes: Vec<Json>| {
            let (end, all) = ((after + self.page).min(nodes.len()), nodes.len());
            let shown = &nodes[after.min(end)..end];
            json!({ "totalCount": all, "pageInfo": { "hasNextPage": end < all, "endCursor": end.to_string() }, "nodes": shown })
        };
        let found = if query.starts_with("query ConfigBranch(") {
            json!({ "ref": self.branches.get(&format!("{repo} {}", given["branch"].as_str()?)) })
        } else if query.starts_with("query ConfigCommits(") {
            let since: Timestamp = given["since"].as_str()?.parse().unwrap();
            let base = json!({ "nameWithOwner": repo });
            let of = |(oid, at, pull): &(String, Timestamp, Option<u64>)| {
                let pulls: Vec<Json> = pull
                    .iter()
                    .map(|number| json!({ "number": number, "merged": true, "baseRefName": "main", "baseRepository": base }))
                    .collect();
                let info = json!({ "hasNextPage": false, "endCursor": null });
                let pulls = json!({ "pageInfo": info, "nodes": pulls });
                json!({ "oid": oid, "committedDate": at, "message": CANARY, "associatedPullRequests": pulls })
            };
            let recent = self.commits.iter().filter(|(_, at, _)| *at >= since);
            json!({ "ref": { "target": { "history": page(recent.map(of).collect()) } } })
        } else if query.starts_with("query ConfigPulls(") {
            let of = |(number, at, oid): &(u64, Timestamp, String)| {
                let mut pull = json!({ "number": number, "updatedAt": at, "mergedAt": at, "mergeCommit": { "oid": oid } });
                if let Some((author, reviews)) = self.reviews.get(number) {
                    let review = |(who, state, commit): &(&str, &str, &str)| json!({ "state": state, "author": { "login": who }, "commit": { "oid": commit }, "body": CANARY });
                    let nodes: Vec<Json> = reviews.iter().map(review).collect();
                    (pull["headRefOid"], pull["author"]) = ("head".into(), json!({ "login": author }));
                    let all = |nodes: Vec<Json>| json!({ "pageInfo": { "hasNextPage": false, "endCursor": null }, "nodes": nodes });
                    pull["latestOpinionatedReviews"] = all(nodes);
                    let wrote = self.wrote.get(number).cloned().unwrap_or_else(|| vec![Some(author)]);
                    let by =
                        |who: Option<&str>| all(vec![json!({ "user": who.map(|who| json!({ "login": who })), "email": CANARY })]);
                    let commits = wrote.into_iter().take(20).map(|who| json!({ "commit": { "authors": by(who) } }));
                    pull["commits"] = all(commits.collect());
                    pull["commits"]["pageInfo"]["hasNextPage"] =
                        self.wrote.get(number).is_some_and(|wrote| wrote.len() > 20).into();
                }
                pull
            };
            json!({ "pullRequests": page(self.merged.iter().map(of).collect()) })
        } else {
            return None;
        };
        let mut repository = found;
        repository["nameWithOwner"] = repo.into();
        Some(json!({ "data": { "repository": repository } }))
    }
}

fn rules(all: &[Json]) -> Json {
    json!({
        "branchProtectionRule": null, "refUpdateRule": null,
        "rules": { "pageInfo": { "hasNextPage": false, "endCursor": null }, "nodes": all },
    })
}

fn rule(kind: &str, approvals: Option<u64>, bypass: &[Json]) -> Json {
    let actor = |actor: &Json| json!({ "actor": actor, "deployKey": false, "enterpriseOwner": false, "organizationAdmin": false, "repositoryRoleName": null });
    let actors: Vec<Json> = bypass.iter().map(actor).collect();
    let actors = json!({ "pageInfo": { "hasNextPage": false, "endCursor": null }, "nodes": actors });
    let said = approvals.map(|count| json!({ "requiredApprovingReviewCount": count }));
    json!({ "type": kind, "parameters": said, "repositoryRuleset": { "enforcement": "ACTIVE", "bypassActors": actors } })
}

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        day(24)
    }
}

fn day(of: u64) -> Timestamp {
    format!("2026-11-{of:02}T12:00:00Z").parse().unwrap()
}

fn config() -> GithubConfig {
    GithubConfig { repo: "acme/policy".to_owned(), branch: "main".to_owned(), evidence_repo: None, explained: BTreeMap::new() }
}

async fn collect(server: &Server) -> Collected {
    let org = GithubSource { org: "acme".to_owned(), config: Some(config()), ..GithubSource::default() };
    let login = server.login(Login::Token(Some(slm::model::secret::Secret::new(TOKEN.as_bytes().to_vec()))));
    let held = ("slm/evidence", Limit::days(30));
    let seen = declared(ConfigAtGithub::new("org".into(), &org, &config(), held, login).collect(&Noon).await);
    let raw: Vec<_> = seen.raw.iter().map(|raw| String::from_utf8_lossy(&raw.bytes().unwrap()).into_owned()).collect();
    assert!(!format!("{:?} {raw:?}", seen.receipt).contains(CANARY));
    seen
}

/// A server that holds `held`.
fn serving(held: Held) -> Server {
    let server = Server::start();
    server.with(|state| state.held = Some(held));
    server
}

fn of<'s>(seen: &'s Collected, entity: &str) -> (&'s [Resource], Option<Unseen>) {
    let population = seen.populations.iter().find(|one| one.entity.as_str() == entity).unwrap();
    let cause = match &population.completeness {
        Completeness::Complete => None,
        Completeness::Incomplete { cause, .. } => Some(*cause),
    };
    (&population.resources, cause)
}

#[tokio::test]
async fn commits_and_pull_requests_are_read_page_by_page_and_not_one_by_one() {
    let mut held = Held::new();
    held.lands("0ld", "2026-09-01T00:00:00Z".parse().unwrap(), Some(1));
    for (at, name) in ["a", "b", "c", "d", "e"].iter().enumerate() {
        held.lands(name, day(10 + at as u64), (*name != "c").then_some(2 + at as u64));
    }
    let server = serving(held);
    let seen = collect(&server).await;
    assert_eq!(seen.receipt.completeness, Completeness::Complete);
    let (commits, cause) = of(&seen, "GitHub::Commit");
    let told: Vec<_> = commits.iter().map(|one| (one.id.as_str().rsplit('/').next().unwrap(), one.text("merged_by"))).collect();
    assert_eq!(told, [("a", Some("#2")), ("b", Some("#3")), ("c", Some("")), ("d", Some("#5")), ("e", Some("#6"))]);
    assert_eq!((cause, seen.receipt.independent_count), (None, Some(5)));
    let (branches, cause) = of(&seen, "GitHub::Branch");
    let policy = branches.iter().find(|one| one.text("holds") == Some("policy")).unwrap();
    assert_eq!((policy.get("merged_pulls"), policy.text("lost_merges"), cause), (Some(Fact::Long(4)), Some(""), None));
    // Two branches, five commits and five pull requests in pages of two, the last of which is older than the window.
    assert_eq!(seen.receipt.requests(), 2 + 3 + 3);
    assert_eq!(seen.receipt.raw.len(), 8);
}

#[tokio::test]
async fn a_commit_is_approved_by_who_reviewed_all_of_its_pull_request_and_neither_opened_it_nor_wrote_of_it() {
    let mut held = Held::new();
    for (number, name) in [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e"), (6, "g"), (7, "h"), (8, "i"), (9, "j")] {
        held.lands(name, day(10 + number), Some(number));
    }
    held.lands("f", day(20), None);
    held.reviews = BTreeMap::from([
        (1, ("mallory", vec![("grace", "APPROVED", "head"), ("ada", "APPROVED", "head")])),
        (2, ("mallory", vec![("Mallory", "APPROVED", "head")])),
        (3, ("mallory", vec![("grace", "APPROVED", "before"), ("ada", "CHANGES_REQUESTED", "head")])),
        (4, ("mallory", vec![])),
        // Opened by another for who wrote it.
        (6, ("helper", vec![("mallory", "APPROVED", "head")])),
        (7, ("helper", vec![("mallory", "APPROVED", "head"), ("grace", "APPROVED", "head")])),
        (8, ("helper", vec![("mallory", "APPROVED", "head")])),
        (9, ("helper", vec![("grace", "APPROVED", "head")])),
    ]);
    held.wrote = BTreeMap::from([
        (6, vec![Some("helper"), Some("Mallory")]),
        (7, vec![Some("mallory")]),
        (8, vec![Some("helper"), None]),
        (9, vec![Some("mallory"); 21]),
    ]);
    let server = serving(held);
    let seen = collect(&server).await;
    let (commits, _) = of(&seen, "GitHub::Commit");
    let told: Vec<_> = commits.iter().map(|one| (one.id.as_str().rsplit('/').next().unwrap(), one.text("approved_by"))).collect();
    let first = [("a", Some("ada, grace")), ("b", Some("")), ("c", Some("")), ("d", Some("")), ("e", None), ("f", None)];
    assert_eq!(told[..6], first);
    // Whose account is not known may be the reviewer's, and so may who wrote what was not listed.
    assert_eq!(told[6..], [("g", Some("")), ("h", Some("grace")), ("i", None), ("j", None)]);
    // Asked with the pull requests that are asked for anyway.
    assert_eq!(seen.receipt.requests(), 2 + 5 + 5);
}

#[tokio::test]
async fn a_merge_that_the_branch_has_no_more_is_told() {
    let mut held = Held::new();
    held.lands("a", day(10), Some(1));
    held.lands("b", day(11), Some(2));
    held.commits.retain(|(name, ..)| name != "b");
    let seen = collect(&serving(held)).await;
    let (branches, _) = of(&seen, "GitHub::Branch");
    let policy = branches.iter().find(|one| one.text("holds") == Some("policy")).unwrap();
    assert_eq!((policy.text("lost_merges"), policy.get("merged_pulls")), (Some("#2"), Some(Fact::Long(2))));
}

#[tokio::test]
async fn what_breaks_off_or_is_not_shown_is_incomplete_and_says_nothing_of_what_is_missing() {
    let full = || {
        let mut held = Held::new();
        (1..=4).for_each(|at| held.lands(&format!("c{at}"), day(10 + at), Some(at)));
        serving(held)
    };
    for (request, status, body, entity, cause) in [
        ("POST /graphql ConfigCommits 2", 403, CANARY, "GitHub::Commit", Unseen::Denied),
        ("POST /graphql ConfigCommits -", 200, r#"{"data":{"repository":null}}"#, "GitHub::Commit", Unseen::Denied),
        ("POST /graphql ConfigCommits 2", 200, CANARY, "GitHub::Commit", Unseen::Inconsistent),
        ("POST /graphql ConfigPulls 2", 502, CANARY, "GitHub::Branch", Unseen::Unreachable),
        (
            "POST /graphql ConfigBranch -",
            200,
            r#"{"data":{"repository":{"nameWithOwner":"acme/other","ref":null}}}"#,
            "GitHub::Branch",
            Unseen::Inconsistent,
        ),
    ] {
        let server = full();
        server.script(request, status, "", body);
        let seen = collect(&server).await;
        assert_eq!(of(&seen, entity).1, Some(cause), "{request} {body}");
        assert!(!seen.receipt.completeness.is_complete(), "{request}");
        let (branches, _) = of(&seen, "GitHub::Branch");
        let policy = branches.iter().find(|one| one.text("holds") == Some("policy")).unwrap();
        let known = request.contains("Branch");
        assert_eq!(policy.text("lost_merges").is_some(), known, "{request}");
        assert_eq!(policy.text("alone").is_some(), !known, "{request}");
    }
}

#[tokio::test]
async fn who_may_change_both_branches_alone_is_found_by_their_rules_and_what_is_hidden_is_unseen() {
    let mut catalog = shipped();
    let org = GithubSource { org: "acme".to_owned(), config: Some(config()), ..GithubSource::default() };
    catalog.settings.sources.insert("org".into(), SourceKind::Github(org));
    let bare = rules(&[]);
    let hidden = json!({ "branchProtectionRule": null, "refUpdateRule": { "requiresSignatures": false }, "rules": bare["rules"] });
    let app = rules(&[rule("PULL_REQUEST", Some(1), &[json!({ "slug": "slm" })])]);
    let shared = |name: &str| Some(vec![name.to_owned()]);
    for (main, want) in
        [(None, Some(vec![])), (Some(bare), shared("app slm")), (Some(app), shared("app slm")), (Some(hidden), None)]
    {
        let mut held = Held::new();
        held.branches.extend(main.map(|rules| (MAIN.to_owned(), rules)));
        let seen = collect(&serving(held)).await;
        let snapshot =
            slm::model::snapshot::Snapshot { taken: day(24), populations: seen.populations, receipts: vec![seen.receipt] };
        let all = segregation(&catalog, &snapshot);
        let told = match &all[0].verdict {
            Verdict::Apart => Some(vec![]),
            Verdict::Shared(names) => Some(names.iter().cloned().collect::<Vec<_>>()),
            Verdict::Unseen(why) => {
                assert!(why.contains("the rules of `main` of acme/policy were not all shown"), "{why}");
                None
            }
        };
        assert_eq!((all.len(), told), (1, want));
    }
}

#[tokio::test]
async fn who_is_in_a_team_that_the_rules_name_is_read_page_by_page_and_a_team_that_is_hidden_is_not_seen() {
    let mut catalog = shipped();
    let org = GithubSource { org: "acme".to_owned(), config: Some(config()), ..GithubSource::default() };
    catalog.settings.sources.insert("org".into(), SourceKind::Github(org));
    let people = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let hidden = "whether anybody is both team acme/sec and user ada is not shown: could not GET /orgs/{org}/teams/sec/members of acme, page 1";
    for (members, alone, want) in [
        (Some(people(&["bo", "cy", "di"])), "user bo, user cy, user di", Verdict::Apart),
        (Some(people(&["bo", "cy", "ada"])), "user ada, user bo, user cy", Verdict::Shared(["user ada".to_owned()].into())),
        (None, "team acme/sec", Verdict::Unseen(hidden.to_owned())),
    ] {
        let mut held = Held::new();
        let team = rules(&[rule("PULL_REQUEST", Some(1), &[json!({ "combinedSlug": "acme/sec" })])]);
        let user = json!({ "branchProtectionRule": {
            "bypassPullRequestAllowances": empty(), "isAdminEnforced": true, "lockBranch": false,
            "pushAllowances": { "pageInfo": { "hasNextPage": false, "endCursor": null }, "nodes": [{ "actor": { "login": "ada" } }] },
            "requiredApprovingReviewCount": null, "requiresApprovingReviews": false, "restrictsPushes": true,
        }, "refUpdateRule": null, "rules": empty() });
        held.branches = [(MAIN.to_owned(), team), (EVIDENCE.to_owned(), user)].into();
        held.teams.extend(members.clone().map(|members| ("acme/sec".to_owned(), members)));
        let server = serving(held);
        let seen = collect(&server).await;
        // One who is not let in where teams are listed sees the rest all the same.
        assert_eq!(seen.receipt.completeness, Completeness::Complete);
        let (branches, _) = of(&seen, "GitHub::Branch");
        let policy = branches.iter().find(|one| one.text("holds") == Some("policy")).unwrap();
        assert_eq!((policy.text("alone"), policy.text("unseen_teams").is_some()), (Some(alone), members.is_none()));
        let asked = server.with(|state| state.seen.iter().filter(|request| request.contains("/teams/")).count());
        assert_eq!(asked, if members.is_some() { 2 } else { 1 }, "three members in pages of two, once for the one team");
        let snapshot =
            slm::model::snapshot::Snapshot { taken: day(24), populations: seen.populations, receipts: vec![seen.receipt] };
        match (&segregation(&catalog, &snapshot)[0].verdict, want) {
            (Verdict::Unseen(why), Verdict::Unseen(part)) => assert!(why.starts_with(&part), "{why}"),
            (told, want) => assert_eq!(*told, want),
        }
    }
}

/// What is asked of a team.
pub async fn requests() -> std::collections::BTreeSet<[String; 4]> {
    let mut held = Held::new();
    held.branches.insert(MAIN.to_owned(), rules(&[rule("UPDATE", None, &[json!({ "combinedSlug": "acme/sec" })])]));
    held.teams.insert("acme/sec".to_owned(), vec!["bo".to_owned()]);
    let server = serving(held);
    collect(&server).await;
    server.with(|state| std::mem::take(&mut state.sent))
}

fn empty() -> Json {
    json!({ "pageInfo": { "hasNextPage": false, "endCursor": null }, "nodes": [] })
}

/// A config repo at GitHub, whose commits so far came by pull requests.
fn world(server: &Server) -> World {
    let world = World::scaffolded().with("GITHUB_TOKEN", TOKEN);
    let root = server.with(|state| state.root.clone());
    let sources = format!(
        "\n[source.config]\ngit = {{ path = \".\", branch = \"main\" }}\n\n[source.org.github]\norg = \"acme\"\n\
         token-env = \"GITHUB_TOKEN\"\nbase-url = \"{root}\"\n\n[source.org.github.config]\nrepo = \"acme/policy\"\n"
    );
    world.write("slm.toml", &(world.read("slm.toml") + &sources));
    world.commit();
    world
}

/// Tells the server of the commits of `world`, by pull request `pull` where it does not know them.
fn push(world: &World, server: &Server, pull: Option<u64>) -> String {
    let log = String::from_utf8(git(&world.root(), &["log", "--reverse", "--format=%H %cI", "main"])).unwrap();
    let mut last = String::new();
    for line in log.lines() {
        let (name, at) = line.split_once(' ').unwrap();
        let at = at.parse().unwrap();
        server.with(|state| {
            let held = state.held.as_mut().unwrap();
            if !held.commits.iter().any(|(known, ..)| known == name) {
                held.lands(name, at, pull);
            }
        });
        name.clone_into(&mut last);
    }
    last
}

#[test]
fn a_commit_that_no_merged_pull_request_explains_is_named_until_the_config_explains_it() {
    let (server, _) = everything();
    server.with(|state| state.held = Some(Held { page: 100, ..Held::new() }));
    let world = world(&server);
    push(&world, &server, Some(1));
    let count = |entity: &str| {
        let said = world.slm(&["status", "--format", "json"]).json();
        let all = said["reconciled"].as_array().unwrap().clone();
        all.into_iter().find(|one| one["entity"] == entity && one["by"] == "pull-requests").unwrap()
    };
    let whole = count("Git::Commit");
    assert_eq!((&whole["agrees"], &whole["listed"], &whole["counted"]), (&json!(true), &json!(2), &json!(2)));
    world
        .slm(&["status"])
        .says("writers  org policy acme/policy main, evidence acme/policy slm/evidence: nobody can change both alone");

    let head = world.read("slm.toml");
    world.write("slm.toml", &format!("# in haste\n{head}"));
    world.commit();
    let stray = push(&world, &server, None);
    let said = world.slm(&["status"]);
    let said = said.says(&format!(
        "count! config . Git::Commit: 3 listed, 2 by merged pull requests; `{stray}`, which no merged pull request brought in"
    ));
    said.says("count! org acme GitHub::Commit: 3 listed, 2 by merged pull requests");
    assert_eq!(count("GitHub::Commit")["agrees"], json!(false));

    world.write("slm.toml", &(world.read("slm.toml") + &format!("explained = {{ {stray} = \"an outage, INC-7\" }}\n")));
    world.slm(&["check"]).exits(0);
    world.commit();
    push(&world, &server, Some(2));
    let explained = count("Git::Commit");
    assert_eq!((&explained["agrees"], &explained["counted"]), (&json!(true), &json!(3)));
    assert_eq!(explained["explained"], json!([format!("`{stray}`: an outage, INC-7")]));
}

#[test]
fn an_exception_that_its_author_merged_alone_is_a_finding_without_anybody_listing_its_folder() {
    let (server, _) = everything();
    server.with(|state| state.held = Some(Held { page: 100, ..Held::new() }));
    let world = world(&server);
    push(&world, &server, Some(1));
    let at = |seconds: i64| Timestamp::from_second(Timestamp::now().as_second() + seconds).unwrap();
    let text = format!(
        "control = \"ROT-02\"\nresource = \"vault:local/app/session-key\"\nreason = \"r\"\ncompensating = \"c\"\nticket = \"T-1\"\n\
         requester = \"ada\"\napprover = \"grace\"\napproved = {}\nexpires = {}\n",
        at(-3_600),
        at(30 * 86_400)
    );
    world.write("exceptions/slow.toml", &text);
    world.slm(&["check"]).exits(0);
    let seen = || {
        let one = world.slm(&["status", "--format", "json"]).json()["exceptions"]["standings"][0].clone();
        (one["approval"].clone(), one["finding"].clone())
    };
    assert_eq!(seen(), (json!("not-seen"), json!("unused")), "it is on no branch yet");
    world.commit();
    push(&world, &server, Some(2));
    assert_eq!(seen(), (json!("not-seen"), json!("unused")), "reviews were not shown");
    let reviewed = |reviews| server.with(|state| state.held.as_mut().unwrap().reviews.insert(2, ("mallory", reviews)));
    reviewed(Vec::new());
    assert_eq!(seen(), (json!("nobody"), json!("unapproved")));
    let told = "Exception slow says that grace approved it, and nobody but its author did when it was brought in";
    world.slm(&["status"]).says(told);
    reviewed(vec![("grace", "APPROVED", "head")]);
    assert_eq!(seen(), (json!({ "by": "grace" }), json!("unused")));
}

#[test]
fn plan_status_and_the_report_of_a_period_say_who_may_change_policy_and_evidence() {
    let (server, _) = everything();
    let mut held = Held { page: 100, ..Held::new() };
    held.branches.insert(MAIN.to_owned(), rules(&[]));
    server.with(|state| state.held = Some(held));
    let world = world(&server);
    push(&world, &server, Some(1));
    let told = "writers! org policy acme/policy main, evidence acme/policy slm/evidence: both can be changed alone by app slm";
    for verb in ["status", "plan"] {
        world.slm(&[verb]).says(told);
    }
    world.slm(&["check"]).exits(0);
    world.slm(&["apply", "--auto-approve"]);
    // Offline, as the run saw it.
    world.slm(&["check"]).exits(2).says(told).says("the newest run that is recorded here");
    let observed = &world.slm(&["check", "--format", "json"]).json()["observed"];
    assert_eq!(observed["segregation"][0]["verdict"], json!({ "shared": ["app slm"] }));
    let today = Timestamp::now().strftime("%Y-%m-%d").to_string();
    world.slm(&["report", "period", "--from", &today, "--to", &today]).says(told);
    server.with(|state| state.held.as_mut().unwrap().branches.remove(EVIDENCE));
    world.slm(&["plan"]).says("NOT SEEN whether one identity can change both: acme/policy shows no branch `slm/evidence`");
    // The newest run is made another one, which cannot be read.
    let evidence = world.outside("evidence");
    git(&world.root(), &["worktree", "add", "-q", evidence.to_str().unwrap(), "slm/evidence"]);
    let files =
        String::from_utf8(git(&evidence, &["diff-tree", "-r", "--root", "--no-commit-id", "--name-only", "HEAD", "runs"])).unwrap();
    std::fs::write(evidence.join(files.lines().last().unwrap()), "{").unwrap();
    git(&evidence, &["-c", "user.name=x", "-c", "user.email=x@localhost", "commit", "-q", "-a", "--amend", "--no-edit"]);
    let said = "Who may change policy and evidence was NOT SEEN in the newest run that is recorded here: the evidence is broken";
    world.slm(&["check"]).exits(7).says(said);
}
