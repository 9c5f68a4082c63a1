//! One collection of the collector `github` under way: lists read page by page, with their operations and raw bytes.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::github_bodies::{redact, redact_graph};
use super::github_graph::Listed;
use crate::model::blob::Blob;
use crate::model::catalog::GithubSource;
use crate::model::id::{ResourceId, SourceId};
use crate::model::receipt::{Operation, RawRef, Receipt, Redacted};
use crate::model::snapshot::{Attribute, Completeness, Population, Resource, Unseen, Value};
use crate::model::time::Timestamp;
use crate::transport::github::{Answer, Failure, Github, Omitted};
use crate::world::{Collected, ErrorClass};

/// Resources of one type, and whether they are all.
pub struct Found {
    pub resources: BTreeMap<ResourceId, Resource>,
    pub seen: Completeness,
}

impl Found {
    pub fn new() -> Self {
        Self { resources: BTreeMap::new(), seen: Completeness::Complete }
    }

    /// Notes that something is missing; the first cause stands.
    pub fn lacks(&mut self, seen: &Completeness) {
        if self.seen.is_complete() {
            self.seen = seen.clone();
        }
    }

    pub fn add(&mut self, id: String, attributes: Vec<Attribute>) {
        let id = ResourceId::from(id);
        self.resources.insert(id.clone(), Resource::new(id, attributes));
    }

    pub fn population(self, source: &SourceId, scope: &str, entity: &str) -> Population {
        Population {
            source: source.clone(),
            scope: scope.to_owned(),
            entity: entity.into(),
            completeness: self.seen,
            resources: self.resources.into_values().collect::<Vec<_>>().into(),
        }
    }
}

/// The pages of one list, what they leave out, and whether they are all.
pub struct Pages<T> {
    pub pages: Vec<T>,
    pub omitted: Vec<Omitted>,
    pub seen: Completeness,
    /// True when a call after it would fail in the same way: throttled, out of reach, our login ended.
    pub over: bool,
    pub operation: Operation,
}

/// What is left of a body, and what was taken away; `None` of one that cannot be read.
type Redact = fn(&[u8]) -> Option<(Vec<u8>, Redacted)>;

/// One collection under way.
pub struct Run<'a> {
    pub source: &'a SourceId,
    pub config: &'a GithubSource,
    pub github: &'a Github,
    pub operations: Vec<Operation>,
    pub raw: Vec<Blob>,
    pub refs: Vec<RawRef>,
    pub clock: Option<Timestamp>,
    /// True once the source took our login.
    pub known: bool,
}

impl<'a> Run<'a> {
    /// One that has read nothing yet.
    pub fn new(source: &'a SourceId, config: &'a GithubSource, github: &'a Github) -> Self {
        Self { source, config, github, operations: Vec::new(), raw: Vec::new(), refs: Vec::new(), clock: None, known: false }
    }

    /// Ends a collection of `collector`, seen by the source as `caller`, with what was `found`. `counted` is a count of its items from
    /// somewhere else than their list.
    pub fn end(
        self,
        collector: &str,
        (caller, counted): (Option<String>, Option<u64>),
        (started, ended): (Timestamp, Timestamp),
        found: Vec<(&str, Found)>,
    ) -> Collected {
        // What was never meant to be read is said by its population; the collection is whole without it.
        let meant = |seen: &&Completeness| !matches!(seen, Completeness::Incomplete { cause: Unseen::NotCollected, .. });
        let broken = found.iter().map(|(_, found)| &found.seen).filter(meant).find(|seen| !seen.is_complete());
        let scope = &self.config.org;
        let receipt = Receipt {
            source: self.source.clone(),
            collector: collector.to_owned(),
            scope: scope.clone(),
            caller,
            completeness: broken.cloned().unwrap_or(Completeness::Complete),
            operations: self.operations,
            independent_count: counted,
            source_clock: self.clock,
            effective: None,
            started,
            ended,
            raw: self.refs,
        };
        let populations = found.into_iter().map(|(entity, found)| found.population(self.source, scope, entity)).collect();
        Collected { populations, receipt, raw: self.raw }
    }
}

impl Run<'_> {
    /// Reads the list `route` of REST to its end; bodies are kept when `keep` is set.
    pub async fn list<T: DeserializeOwned>(&mut self, name: &str, route: &str, count: fn(&T) -> u64, keep: bool) -> Pages<T> {
        let first = if keep { Some(1) } else { None };
        let read = self.list_from(name, route, count, first).await;
        self.operations.push(read.operation.clone());
        read
    }

    /// The same without noting the operation; bodies are kept under numbers from `first` on.
    pub async fn list_from<T: DeserializeOwned>(
        &mut self,
        name: &str,
        route: &str,
        count: fn(&T) -> u64,
        first: Option<usize>,
    ) -> Pages<T> {
        let mut read = Pages::new(name, json!({ "route": route }));
        let mut followed = BTreeSet::new();
        let mut next = Some(route.to_owned());
        while let Some(route) = next.take() {
            let number = read.pages.len() + 1;
            if !followed.insert(route.clone()) {
                read.seen = leads_back(name, &self.config.org, number - 1);
                break;
            }
            let answer = self.github.get(&route).await;
            let page = answer.and_then(|answer| {
                let page = answer.read::<T>();
                if let Some(first) = first {
                    self.keep(name, first + number - 1, &answer, redact, page.is_ok());
                }
                page.map(|page| (answer, page))
            });
            let (answer, page) = match page {
                Ok(read) => read,
                Err(failure) => {
                    read.seen = self.failed(name, number, failure);
                    read.over = failure.class() == ErrorClass::Transient || failure == Failure::Status(401);
                    break;
                }
            };
            self.known = true;
            read.operation.items += count(&page);
            read.pages.push(page);
            match answer.next.transpose() {
                Ok(link) => next = link,
                Err(failure) => read.seen = self.failed(name, number, failure),
            }
        }
        self.close(&mut read);
        read
    }

    /// Asks `query` of GraphQL with `given` for page after page; bodies are kept under `stem`.
    pub async fn ask<T: DeserializeOwned + Listed>(&mut self, stem: &str, query: &str, given: Json) -> Pages<T> {
        self.ask_while(stem, query, given, |_| true).await
    }

    /// The same for as long as `go_on` says so of the pages read: whether they are all is for the caller to see.
    pub async fn ask_while<T: DeserializeOwned + Listed>(
        &mut self,
        stem: &str,
        query: &str,
        mut given: Json,
        go_on: impl Fn(&[T]) -> bool,
    ) -> Pages<T> {
        let name = format!("POST /graphql {}", query.split(['(', ' ']).nth(1).unwrap_or_default());
        let mut read = Pages::new(&name, given.clone());
        let mut followed = BTreeSet::new();
        loop {
            let number = read.pages.len() + 1;
            let answer = self.github.query(query, &given).await;
            let page = answer.and_then(|answer| {
                let page = answer.graph::<T>();
                self.keep(stem, number, &answer, redact_graph, page.is_ok());
                page
            });
            let (page, omitted) = match page {
                Ok(read) => read,
                Err(failure) => {
                    read.seen = self.failed(&name, number, failure);
                    break;
                }
            };
            self.known = true;
            let cursor = page.next();
            read.operation.items += page.count() as u64;
            read.omitted.extend(omitted);
            read.pages.push(page);
            let Some(cursor) = cursor.filter(|_| go_on(&read.pages)) else { break };
            if cursor.is_empty() || !followed.insert(cursor.clone()) {
                read.seen = leads_back(&name, &self.config.org, number);
                break;
            }
            given["after"] = cursor.into();
        }
        self.close(&mut read);
        self.operations.push(read.operation.clone());
        read
    }

    /// What it means that page `number` of `name` failed. A login that was taken before and is not any more has ended.
    fn failed(&self, name: &str, number: usize, failure: Failure) -> Completeness {
        let ended = self.known && failure == Failure::Status(401);
        let cause = if ended { Unseen::Expired } else { failure.unseen() };
        incomplete(cause, format!("could not {name} of {}, page {number}: {failure}", self.config.org))
    }

    fn close<T>(&mut self, read: &mut Pages<T>) {
        let log = self.github.take_log();
        self.clock = self.clock.or(log.clock);
        read.operation.pages = read.pages.len() as u64;
        read.operation.requests = log.requests;
        read.operation.request_ids = log.request_ids;
    }

    /// Keeps what `redact` leaves of `answer`; of one that was not `understood` the digest alone: what may be in it is not known.
    fn keep(&mut self, name: &str, number: usize, answer: &Answer, redact: Redact, understood: bool) {
        let body = answer.body.as_bytes();
        let read = if understood { redact(body) } else { None };
        let (kept, removed) = read.unwrap_or_else(|| (Vec::new(), RawRef::unread()));
        let stem = name.rsplit('}').next().map(|end| end.trim_matches('/').replace('/', "-")).filter(|stem| !stem.is_empty());
        let stem = stem.unwrap_or_else(|| "org".to_owned());
        let below = if name.contains("{repo}") { "repo-" } else { "" };
        let name = format!("{}/github/{}/{below}{stem}-{number:04}.json", self.source, self.config.org);
        self.refs.push(RawRef::new(name, body, &kept, removed));
        self.raw.push(Blob::compressed(&kept));
    }
}

impl<T> Pages<T> {
    fn new(name: &str, parameters: Json) -> Self {
        let operation =
            Operation { name: format!("github:{name}"), parameters, pages: 0, requests: 0, items: 0, request_ids: Vec::new() };
        Self { pages: Vec::new(), omitted: Vec::new(), seen: Completeness::Complete, over: false, operation }
    }

    /// What it means that GraphQL left `omitted` out.
    pub fn left_out(&self, omitted: &Omitted) -> Completeness {
        let name = self.operation.name.trim_start_matches("github:");
        incomplete(omitted.failure.unseen(), format!("{name}: `{}`: {}", omitted.path.join("."), omitted.failure))
    }
}

fn leads_back(name: &str, org: &str, number: usize) -> Completeness {
    incomplete(Unseen::Inconsistent, format!("page {number} of {name} of {org} leads back"))
}

pub fn incomplete(cause: Unseen, detail: String) -> Completeness {
    Completeness::Incomplete { cause, detail }
}

pub fn text(of: &str) -> Value {
    Value::Text(of.into())
}

/// The attributes that are known.
pub fn known<const N: usize>(all: [(&str, Option<Value>); N]) -> Vec<Attribute> {
    all.into_iter().filter_map(|(name, value)| Some((name.into(), value?))).collect()
}
