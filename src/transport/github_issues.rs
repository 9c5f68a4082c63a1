//! Issues that stand for a state: opened when it comes about, edited when it changes, closed when it is over.

use serde::Deserialize;
use serde_json::json;

use super::github::{Failure, Github};
use super::github_pulls::{Author, Pulls, pages, same};
use crate::world::WorldError;

/// The label of every issue of slm, by which they are listed.
const LABEL: &str = "slm";

/// The issues of one repository.
pub struct Issues {
    github: Github,
    repo: String,
}

/// An issue as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The first line of its text.
    pub marker: String,
    /// One line.
    pub title: String,
    /// Markdown, the marker first.
    pub body: String,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Issues that were opened.
    pub opened: u64,
    /// Issues that say something else now.
    pub edited: u64,
    /// Issues that were closed.
    pub closed: u64,
    /// Issues that stay as they are.
    pub kept: u64,
}

#[derive(Deserialize)]
struct RawIssue {
    number: u64,
    title: String,
    body: Option<String>,
    #[serde(flatten)]
    author: Author,
    /// Pull requests are listed among issues.
    pull_request: Option<serde_json::Value>,
}

impl RawIssue {
    fn marker(&self) -> &str {
        self.body.as_deref().and_then(|body| body.lines().next()).unwrap_or_default()
    }

    fn says(&self, wanted: &Wanted) -> bool {
        self.title == wanted.title && same(self.body.as_deref().unwrap_or_default(), &wanted.body)
    }
}

impl Issues {
    /// The issues of `repo`, which is `owner/name`.
    ///
    /// # Errors
    /// When it is another text.
    pub fn new(github: Github, repo: &str) -> Result<Self, WorldError> {
        Pulls::is_repository(repo)?;
        Ok(Self { github, repo: repo.to_owned() })
    }

    /// Requests sent since this was asked last, retries included.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.github.take_log().requests
    }

    /// Has the open issues whose first line begins with `mark` be those `wanted`, and no others when it `closes`. To do so again changes
    /// nothing.
    ///
    /// # Errors
    /// When GitHub refuses; what was done by then is not done again.
    pub async fn reconcile(&self, mark: &str, wanted: &[Wanted], closes: bool) -> Result<Done, WorldError> {
        let there = self.open(mark).await?;
        let mut done = Done::default();
        for issue in wanted {
            let mut same = there.iter().filter(|one| one.marker() == issue.marker);
            match same.next() {
                None => {
                    self.post(mark, issue).await?;
                    done.opened += 1;
                }
                Some(one) if one.says(issue) => done.kept += 1,
                Some(one) => {
                    self.patch(one.number, &json!({ "title": issue.title, "body": issue.body })).await?;
                    done.edited += 1;
                }
            }
            // Of two that were opened at once the first stays.
            for twin in same {
                self.patch(twin.number, &json!({ "state": "closed", "state_reason": "not_planned" })).await?;
                done.closed += 1;
            }
        }
        let over = |one: &&RawIssue| closes && !wanted.iter().any(|issue| issue.marker == one.marker());
        for over in there.iter().filter(over) {
            self.patch(over.number, &json!({ "state": "closed", "state_reason": "completed" })).await?;
            done.closed += 1;
        }
        Ok(done)
    }

    async fn open(&self, mark: &str) -> Result<Vec<RawIssue>, WorldError> {
        let route = format!("/repos/{}/issues?state=open&labels={LABEL}&per_page=100", self.repo);
        let mut all: Vec<RawIssue> = pages(&self.github, &route, || "list the issues of slm".to_owned(), |_| false).await?;
        all.retain(|one| one.pull_request.is_none() && one.marker().starts_with(mark) && one.author.may_be_us());
        all.sort_by_key(|one| one.number);
        Ok(all)
    }

    async fn post(&self, mark: &str, issue: &Wanted) -> Result<(), WorldError> {
        let operation = || format!("open the issue `{}`", issue.title);
        let route = format!("/repos/{}/issues", self.repo);
        let made = json!({ "title": issue.title, "body": issue.body, "labels": [LABEL] });
        match self.github.create(&route, &made).await {
            Ok(_) => Ok(()),
            // The answer may be what was lost, and not the issue.
            Err(failure @ (Failure::NoAnswer | Failure::Status(500..=599))) => {
                let there = self.open(mark).await?;
                if there.iter().any(|one| one.marker() == issue.marker) { Ok(()) } else { Err(failure.during(operation())) }
            }
            Err(failure) => Err(failure.during(operation())),
        }
    }

    async fn patch(&self, number: u64, change: &serde_json::Value) -> Result<(), WorldError> {
        let route = format!("/repos/{}/issues/{number}", self.repo);
        let done = self.github.write("PATCH", &route, change).await;
        done.map(drop).map_err(|failure| failure.during(format!("change issue {number}")))
    }
}
