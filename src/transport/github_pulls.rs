//! Pull requests as GitHub has them: the one comment, check runs, reviews, and what was merged.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::github::{Failure, Github, segment};
use crate::model::time::Timestamp;
use crate::world::{ErrorClass, WorldError};

/// Pages of one list that are read at most.
const PAGES: u32 = 20;
/// Annotations in one request.
const BATCH: usize = 50;

/// The pull requests of one repository.
pub struct Pulls {
    github: Github,
    repo: String,
}

/// A pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its number.
    pub number: u64,
    /// Who opened it.
    pub author: String,
    /// The commit that was proposed last.
    pub head: String,
    /// The branch it is for.
    pub base: String,
    /// True once it is merged.
    pub merged: bool,
}

/// A comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Its number.
    pub id: u64,
    /// When it was changed last.
    pub updated: Timestamp,
    /// What it says.
    pub body: String,
}

/// What became of the comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// There is none and none was wanted.
    Nothing,
    /// It says so already.
    Already(u64),
    /// It was posted.
    Posted(u64),
    /// It was edited.
    Edited(u64),
}

impl Said {
    /// In one word or two.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Nothing => "not wanted",
            Self::Already(_) => "says so already",
            Self::Posted(_) => "posted",
            Self::Edited(_) => "edited",
        }
    }
}

/// A check run to be made.
pub struct Check<'a> {
    /// Its name, by which it is required and found again.
    pub name: &'a str,
    /// The commit.
    pub head: &'a str,
    /// `success`, `neutral` or `failure`.
    pub conclusion: &'a str,
    /// Ours: a digest.
    pub external: &'a str,
    /// Where the log is.
    pub link: &'a str,
    /// One line.
    pub title: &'a str,
    /// Markdown.
    pub summary: &'a str,
    /// More of it.
    pub text: &'a str,
    /// At lines.
    pub annotations: &'a [Json],
}

/// A check run that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Ours: a digest.
    pub external: String,
    /// How it ended.
    pub conclusion: String,
    /// What it says.
    pub text: String,
}

/// A review as GitHub lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Who gave it.
    pub by: String,
    /// `User` or `Bot`.
    pub kind: String,
    /// `APPROVED`, `CHANGES_REQUESTED`, `COMMENTED`, `DISMISSED`.
    pub state: String,
    /// For which commit.
    pub commit: String,
    /// When.
    pub at: Timestamp,
    /// What was written with it.
    pub text: String,
}

#[derive(Deserialize)]
struct RawUser {
    login: String,
    #[serde(rename = "type", default)]
    kind: String,
}

/// Who wrote a comment or an issue.
#[derive(Deserialize)]
pub(super) struct Author {
    user: Option<RawUser>,
    author_association: Option<String>,
}

#[derive(Deserialize)]
struct RawEnd {
    sha: String,
    #[serde(rename = "ref")]
    name: String,
}

#[derive(Deserialize)]
struct RawPull {
    number: u64,
    user: RawUser,
    head: RawEnd,
    base: RawEnd,
    merged_at: Option<String>,
}

#[derive(Deserialize)]
struct RawComment {
    id: u64,
    #[serde(flatten)]
    author: Author,
    updated_at: Timestamp,
    body: Option<String>,
}

#[derive(Deserialize)]
struct RawReview {
    user: Option<RawUser>,
    state: String,
    commit_id: Option<String>,
    submitted_at: Option<Timestamp>,
    body: Option<String>,
}

#[derive(Deserialize)]
struct RawId {
    id: u64,
}

#[derive(Deserialize)]
struct RawOutput {
    text: Option<String>,
}

#[derive(Deserialize)]
struct RawCheck {
    id: u64,
    external_id: Option<String>,
    conclusion: Option<String>,
    output: RawOutput,
}

#[derive(Deserialize)]
struct RawChecks {
    check_runs: Vec<RawCheck>,
}

#[derive(Deserialize)]
struct RawRole {
    permission: String,
}

#[derive(Deserialize)]
struct RawCommit {
    sha: String,
}

#[derive(Deserialize)]
struct RawBranch {
    commit: RawCommit,
}

impl From<RawPull> for Found {
    fn from(raw: RawPull) -> Self {
        let (author, head, base) = (raw.user.login, raw.head.sha, raw.base.name);
        Self { number: raw.number, author, head, base, merged: raw.merged_at.is_some() }
    }
}

impl Author {
    /// True when whoever wrote it may change what others wrote, so that it could be ours as well as not: a stranger's is never.
    pub(super) fn may_be_us(&self) -> bool {
        let bot = self.user.as_ref().is_some_and(|user| user.kind == "Bot");
        bot || matches!(self.author_association.as_deref(), Some("OWNER" | "MEMBER" | "COLLABORATOR"))
    }
}

impl Pulls {
    /// The pull requests of `repo`, which is `owner/name`.
    ///
    /// # Errors
    /// When it is another text.
    pub fn new(github: Github, repo: &str) -> Result<Self, WorldError> {
        Self::is_repository(repo)?;
        Ok(Self { github, repo: repo.to_owned() })
    }

    /// Refuses what is not `owner/name`.
    pub(super) fn is_repository(repo: &str) -> Result<(), WorldError> {
        let plain = |part: &str| {
            let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            !part.is_empty() && part != "." && part != ".." && part.bytes().all(fine)
        };
        let parts: Vec<&str> = repo.split('/').collect();
        if parts.len() == 2 && parts.iter().all(|part| plain(part)) {
            return Ok(());
        }
        let cause = "a repository is written `owner/name`".to_owned();
        Err(WorldError { class: ErrorClass::Permanent, operation: format!("reach the repository `{repo}`"), cause })
    }

    /// Requests sent since this was asked last, retries included.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.github.take_log().requests
    }

    /// The tip of `branch`.
    ///
    /// # Errors
    /// Any answer but the one asked for.
    pub async fn tip(&self, branch: &str) -> Result<String, WorldError> {
        let route = format!("/repos/{}/branches/{}", self.repo, segment(branch));
        let found: RawBranch = self.read(&route, || format!("find the tip of `{branch}`")).await?;
        Ok(found.commit.sha)
    }

    /// The pull requests that `commit` was merged by.
    ///
    /// # Errors
    /// Any answer but the one asked for.
    pub async fn of_commit(&self, commit: &str) -> Result<Vec<Found>, WorldError> {
        let route = format!("/repos/{}/commits/{}/pulls?per_page=100", self.repo, segment(commit));
        let found: Vec<RawPull> = self.read(&route, || format!("find what `{commit}` was merged by")).await?;
        Ok(found.into_iter().map(Found::from).collect())
    }

    /// The open pull requests of the branch `branch` of `owner`, who may be a stranger.
    ///
    /// # Errors
    /// Any answer but the one asked for.
    pub async fn of_branch(&self, owner: &str, branch: &str) -> Result<Vec<Found>, WorldError> {
        let head = segment(&format!("{owner}:{branch}"));
        let route = format!("/repos/{}/pulls?state=open&per_page=100&head={head}", self.repo);
        let found: Vec<RawPull> = self.read(&route, || format!("find the pull requests of `{branch}`")).await?;
        Ok(found.into_iter().map(Found::from).collect())
    }

    /// The pull request `number`.
    ///
    /// # Errors
    /// Any answer but the one asked for.
    pub async fn pull(&self, number: u64) -> Result<Found, WorldError> {
        let route = format!("/repos/{}/pulls/{number}", self.repo);
        let found: RawPull = self.read(&route, || format!("read pull request {number}")).await?;
        Ok(found.into())
    }

    /// The reviews of pull request `number`, the first first.
    ///
    /// # Errors
    /// Any answer but the one asked for.
    pub async fn reviews(&self, number: u64) -> Result<Vec<Given>, WorldError> {
        let route = format!("/repos/{}/pulls/{number}/reviews?per_page=100", self.repo);
        let all: Vec<RawReview> =
            pages(&self.github, &route, || format!("read the reviews of pull request {number}"), |_: &[RawReview]| false).await?;
        let given = |raw: RawReview| {
            let user = raw.user?;
            let (commit, text) = (raw.commit_id.unwrap_or_default(), raw.body.unwrap_or_default());
            Some(Given { by: user.login, kind: user.kind, state: raw.state, commit, at: raw.submitted_at?, text })
        };
        Ok(all.into_iter().filter_map(given).collect())
    }

    /// True when `login` may write to the repository.
    ///
    /// # Errors
    /// Any answer but the one asked for.
    pub async fn may_write(&self, login: &str) -> Result<bool, WorldError> {
        let route = format!("/repos/{}/collaborators/{}/permission", self.repo, segment(login));
        let operation = || format!("ask what `{login}` may do");
        match self.read::<RawRole>(&route, operation).await {
            Ok(role) => Ok(matches!(role.permission.as_str(), "admin" | "maintain" | "write")),
            Err(error) if error.class == ErrorClass::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The comment on `number` whose first line is `marker`; the first of several.
    ///
    /// # Errors
    /// Any answer but the one asked for.
    pub async fn comment(&self, number: u64, marker: &str) -> Result<Option<Comment>, WorldError> {
        Ok(self.comments(number, marker).await?.into_iter().next())
    }

    /// Has the one comment whose first line is `marker` say `body`. With `quiet` none is posted where there is none.
    ///
    /// # Errors
    /// When GitHub refuses. A comment whose posting was not answered is found by the next call and not posted twice.
    pub async fn say(&self, number: u64, marker: &str, body: &str, quiet: bool) -> Result<Said, WorldError> {
        let mut there = self.comments(number, marker).await?.into_iter();
        let first = there.next();
        // Two that were posted at once: one is enough.
        for more in there {
            self.remove(more.id).await?;
        }
        match first {
            None if quiet => Ok(Said::Nothing),
            None => self.post(number, marker, body).await,
            Some(comment) if same(&comment.body, body) => Ok(Said::Already(comment.id)),
            Some(comment) => {
                let route = format!("/repos/{}/issues/comments/{}", self.repo, comment.id);
                let edited = self.github.write("PATCH", &route, &json!({ "body": body })).await;
                edited.map_err(|failure| failure.during(format!("edit the comment on pull request {number}")))?;
                Ok(Said::Edited(comment.id))
            }
        }
    }

    async fn post(&self, number: u64, marker: &str, body: &str) -> Result<Said, WorldError> {
        let operation = || format!("comment on pull request {number}");
        let route = format!("/repos/{}/issues/{number}/comments", self.repo);
        match self.github.create(&route, &json!({ "body": body })).await {
            Ok(answer) => Ok(Said::Posted(answer.read::<RawId>().map_err(|failure| failure.during(operation()))?.id)),
            // The answer may be what was lost, and not the comment.
            Err(failure @ (Failure::NoAnswer | Failure::Status(500..=599))) => match self.comment(number, marker).await? {
                Some(comment) => Ok(Said::Posted(comment.id)),
                None => Err(failure.during(operation())),
            },
            Err(failure) => Err(failure.during(operation())),
        }
    }

    async fn remove(&self, comment: u64) -> Result<(), WorldError> {
        let route = format!("/repos/{}/issues/comments/{comment}", self.repo);
        match self.github.delete(&route).await {
            Ok(_) | Err(Failure::Status(404)) => Ok(()),
            Err(failure) => Err(failure.during(format!("delete comment {comment}"))),
        }
    }

    /// Comments whose first line is `marker`, the first first; one page when it is there already.
    async fn comments(&self, number: u64, marker: &str) -> Result<Vec<Comment>, WorldError> {
        let route = format!("/repos/{}/issues/{number}/comments?per_page=100", self.repo);
        let ours =
            |raw: &RawComment| raw.author.may_be_us() && raw.body.as_deref().and_then(|body| body.lines().next()) == Some(marker);
        let found = |page: &[RawComment]| page.iter().any(ours);
        let all = pages(&self.github, &route, || format!("read the comments on pull request {number}"), found).await?;
        let comment = |raw: RawComment| Comment { id: raw.id, updated: raw.updated_at, body: raw.body.unwrap_or_default() };
        let mut ours: Vec<Comment> = all.into_iter().filter(|raw| ours(raw)).map(comment).collect();
        ours.sort_by_key(|comment| comment.id);
        Ok(ours)
    }

    /// Makes a check run that has ended, with its annotations in batches.
    ///
    /// # Errors
    /// When GitHub refuses. One that was made and not answered stays, and the next of its name stands for it.
    pub async fn check(&self, check: &Check<'_>) -> Result<u64, WorldError> {
        let operation = || format!("make the check run `{}`", check.name);
        let mut batches = check.annotations.chunks(BATCH).peekable();
        let first = batches.next().unwrap_or_default();
        // Its text comes with the last batch: one that was cut off before has none, and does not stand for the whole.
        let output = |batch: &[Json], last: bool| {
            let text = if last { check.text } else { "" };
            json!({ "title": check.title, "summary": check.summary, "text": text, "annotations": batch })
        };
        let made = json!({
            "name": check.name, "head_sha": check.head, "status": "completed", "conclusion": check.conclusion,
            "external_id": check.external, "details_url": check.link, "output": output(first, batches.peek().is_none()),
        });
        let route = format!("/repos/{}/check-runs", self.repo);
        let answer = self.github.create(&route, &made).await.map_err(|failure| failure.during(operation()))?;
        let RawId { id } = answer.read().map_err(|failure| failure.during(operation()))?;
        let route = format!("/repos/{}/check-runs/{id}", self.repo);
        while let Some(batch) = batches.next() {
            let more = json!({ "output": output(batch, batches.peek().is_none()) });
            self.github.write("PATCH", &route, &more).await.map_err(|failure| failure.during(operation()))?;
        }
        Ok(id)
    }

    /// The last check run `name` of `head`.
    ///
    /// # Errors
    /// Any answer but the one asked for.
    pub async fn last_check(&self, head: &str, name: &str) -> Result<Option<Checked>, WorldError> {
        let (head, wanted) = (segment(head), segment(name));
        let route = format!("/repos/{}/commits/{head}/check-runs?check_name={wanted}&filter=latest&per_page=100", self.repo);
        let found: RawChecks = self.read(&route, || format!("find the check run `{name}`")).await?;
        // There may be one of each of several suites, in an order that GitHub does not promise.
        Ok(found.check_runs.into_iter().max_by_key(|raw| raw.id).map(|raw| Checked {
            external: raw.external_id.unwrap_or_default(),
            conclusion: raw.conclusion.unwrap_or_default(),
            text: raw.output.text.unwrap_or_default(),
        }))
    }

    async fn read<T: serde::de::DeserializeOwned>(&self, route: &str, operation: impl Fn() -> String) -> Result<T, WorldError> {
        let answer = self.github.get(route).await.map_err(|failure| failure.during(operation()))?;
        answer.read().map_err(|failure| failure.during(operation()))
    }
}

/// The items of the list at `route`, page by page until `enough`.
///
/// # Errors
/// Any answer but the one asked for, and more pages than are read.
pub(super) async fn pages<T: serde::de::DeserializeOwned>(
    github: &Github,
    route: &str,
    operation: impl Fn() -> String,
    enough: impl Fn(&[T]) -> bool,
) -> Result<Vec<T>, WorldError> {
    let (mut all, mut route) = (Vec::new(), route.to_owned());
    for _ in 0..PAGES {
        let answer = github.get(&route).await.map_err(|failure| failure.during(operation()))?;
        let page: Vec<T> = answer.read().map_err(|failure| failure.during(operation()))?;
        let done = enough(&page);
        all.extend(page);
        match answer.next {
            Some(next) if !done => route = next.map_err(|failure| failure.during(operation()))?,
            _ => return Ok(all),
        }
    }
    Err(WorldError { class: ErrorClass::Permanent, operation: operation(), cause: format!("it has more than {PAGES} pages") })
}

/// True when a text that GitHub has says `wanted`: it keeps line ends of its own.
#[must_use]
pub fn same(there: &str, wanted: &str) -> bool {
    there.replace("\r\n", "\n").trim_end() == wanted.trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::github::Login;

    #[test]
    fn a_repository_is_an_owner_and_a_name_and_nothing_that_leads_elsewhere() {
        let made = |repo: &str| Pulls::new(Github::new(None, Login::Token(None)), repo).err().map(|error| error.to_string());
        assert_eq!(made("acme/slm-config.v2"), None);
        for wrong in ["acme", "acme/slm/x", "acme/..", "/slm", "acme/s m", "acme/slm?x", "acme/slm%2f"] {
            let said = made(wrong).unwrap();
            assert_eq!(said, format!("could not reach the repository `{wrong}`: a repository is written `owner/name`"));
        }
    }

    #[test]
    fn a_comment_of_a_stranger_is_never_taken_for_ours() {
        let by = |kind: &str, association: &str| {
            let text = json!({
                "id": 1, "user": { "login": "x", "type": kind }, "author_association": association,
                "updated_at": "1970-01-01T00:00:00Z", "body": null,
            });
            serde_json::from_value::<RawComment>(text).unwrap().author.may_be_us()
        };
        let ours = [by("Bot", "NONE"), by("User", "MEMBER"), by("User", "CONTRIBUTOR"), by("User", "NONE")];
        assert_eq!(ours, [true, true, false, false]);
    }
}
