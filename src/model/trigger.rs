//! What set a CI job going, as GitHub tells it: a pull request, a merge queue, a push, a run that ended.

use serde::Deserialize;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A pull request was opened or pushed to.
    Pull(Pull),
    /// The merge queue tries a commit of its own.
    Queue {
        /// The commit it tries.
        head: String,
        /// What it would be put on.
        base: String,
    },
    /// A branch moved.
    Push {
        /// Where it was; all zeros when it is new.
        before: String,
        /// Where it is.
        after: String,
        /// Its name, without `refs/heads/`.
        branch: String,
    },
    /// Another workflow run ended.
    Ended(Ended),
}

/// A pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    /// Its number.
    pub number: u64,
    /// The commit that is proposed.
    pub head: String,
    /// The tip of the branch it is for.
    pub base: String,
    /// Who opened it.
    pub author: String,
    /// `owner/name` the commit is in; `None` when that repository is gone.
    pub from: Option<String>,
    /// `owner/name` it is for.
    pub to: String,
}

impl Pull {
    /// True when the commit is in another repository, whose owner decides what runs there.
    #[must_use]
    pub fn is_fork(&self) -> bool {
        self.from.as_ref() != Some(&self.to)
    }
}

/// A workflow run that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The run.
    pub run: u64,
    /// What had set it going.
    pub event: String,
    /// The commit it ran for.
    pub head: String,
    /// The branch of that commit.
    pub branch: String,
    /// The login that owns the repository of that commit.
    pub owner: String,
    /// Pull requests that GitHub names; none for a fork.
    pub pulls: Vec<u64>,
}

#[derive(Deserialize)]
struct RawRepo {
    full_name: String,
}

#[derive(Deserialize)]
struct RawEnd {
    sha: String,
    repo: Option<RawRepo>,
}

#[derive(Deserialize)]
struct RawUser {
    login: String,
}

#[derive(Deserialize)]
struct RawPull {
    number: u64,
    head: RawEnd,
    base: RawEnd,
    user: RawUser,
}

#[derive(Deserialize)]
struct RawPullEvent {
    pull_request: RawPull,
}

#[derive(Deserialize)]
struct RawGroup {
    head_sha: String,
    base_sha: String,
}

#[derive(Deserialize)]
struct RawGroupEvent {
    merge_group: RawGroup,
}

#[derive(Deserialize)]
struct RawPush {
    before: String,
    after: String,
    #[serde(rename = "ref")]
    reference: String,
}

#[derive(Deserialize)]
struct RawNumber {
    number: u64,
}

#[derive(Deserialize)]
struct RawOwner {
    owner: RawUser,
}

#[derive(Deserialize)]
struct RawRun {
    id: u64,
    event: String,
    head_sha: String,
    head_branch: String,
    head_repository: RawOwner,
    #[serde(default)]
    pull_requests: Vec<RawNumber>,
}

#[derive(Deserialize)]
struct RawRunEvent {
    workflow_run: RawRun,
}

/// The event `name` with its `payload`.
///
/// # Errors
/// What is wrong with it, when it is none of those known or has another shape.
pub fn parse(name: &str, payload: &str) -> Result<Trigger, String> {
    let trigger = match name {
        "pull_request" | "pull_request_target" => Trigger::Pull(pull(read::<RawPullEvent>(name, payload)?.pull_request)?),
        "merge_group" => {
            let RawGroup { head_sha, base_sha } = read::<RawGroupEvent>(name, payload)?.merge_group;
            Trigger::Queue { head: commit(head_sha)?, base: commit(base_sha)? }
        }
        "push" => {
            let RawPush { before, after, reference } = read(name, payload)?;
            let branch = reference.strip_prefix("refs/heads/").ok_or_else(|| format!("`{reference}` is no branch"))?;
            Trigger::Push { branch: branch.to_owned(), before: commit(before)?, after: commit(after)? }
        }
        "workflow_run" => {
            let run = read::<RawRunEvent>(name, payload)?.workflow_run;
            Trigger::Ended(Ended {
                run: run.id,
                event: run.event,
                head: commit(run.head_sha)?,
                branch: run.head_branch,
                owner: run.head_repository.owner.login,
                pulls: run.pull_requests.iter().map(|pull| pull.number).collect(),
            })
        }
        _ => {
            return Err(format!(
                "nothing is done for the event `{name}`; there are `pull_request`, `merge_group`, `push` and `workflow_run`"
            ));
        }
    };
    Ok(trigger)
}

fn read<'p, T: Deserialize<'p>>(name: &str, payload: &'p str) -> Result<T, String> {
    serde_json::from_str(payload).map_err(|error| format!("the payload of `{name}` has another shape: {error}"))
}

fn pull(raw: RawPull) -> Result<Pull, String> {
    let to = raw.base.repo.ok_or("the pull request is for no repository")?.full_name;
    Ok(Pull {
        number: raw.number,
        head: commit(raw.head.sha)?,
        base: commit(raw.base.sha)?,
        author: raw.user.login,
        from: raw.head.repo.map(|repo| repo.full_name),
        to,
    })
}

/// `text`, when it is the full name of a commit.
fn commit(text: String) -> Result<String, String> {
    let full = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if full { Ok(text) } else { Err(format!("`{}` is no commit", text.chars().take(64).collect::<String>())) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn pull_from(repo: serde_json::Value) -> Pull {
        let payload = json!({ "action": "opened", "pull_request": {
            "number": 7, "user": { "login": "ada" }, "head": { "sha": A, "repo": repo },
            "base": { "sha": B, "repo": { "full_name": "acme/slm" } },
        } });
        match parse("pull_request", &payload.to_string()) {
            Ok(Trigger::Pull(pull)) => pull,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_pull_request_of_another_repository_or_of_one_that_is_gone_is_a_fork() {
        let own = pull_from(json!({ "full_name": "acme/slm" }));
        assert_eq!((own.number, own.head.as_str(), own.base.as_str(), own.author.as_str()), (7, A, B, "ada"));
        assert!(!own.is_fork());
        assert!(pull_from(json!({ "full_name": "eve/slm" })).is_fork());
        assert!(pull_from(json!(null)).is_fork());
    }

    #[test]
    fn a_push_a_queue_and_a_run_that_ended_are_read() {
        let push = json!({ "before": A, "after": B, "ref": "refs/heads/main" }).to_string();
        let branch = "main".to_owned();
        assert_eq!(parse("push", &push), Ok(Trigger::Push { before: A.to_owned(), after: B.to_owned(), branch }));
        let group = json!({ "merge_group": { "head_sha": A, "base_sha": B } }).to_string();
        assert_eq!(parse("merge_group", &group), Ok(Trigger::Queue { head: A.to_owned(), base: B.to_owned() }));
        let run = json!({ "workflow_run": {
            "id": 5, "event": "pull_request", "head_sha": A, "head_branch": "x", "head_repository": { "owner": { "login": "eve" } },
            "pull_requests": [],
        } });
        let Ok(Trigger::Ended(ended)) = parse("workflow_run", &run.to_string()) else { panic!("it is one") };
        assert_eq!((ended.run, ended.owner.as_str(), ended.pulls.len()), (5, "eve", 0));
    }

    #[test]
    fn what_is_no_commit_no_branch_or_no_known_event_is_refused_with_what_there_is() {
        let tag = json!({ "before": A, "after": B, "ref": "refs/tags/v1" }).to_string();
        assert_eq!(parse("push", &tag), Err("`refs/tags/v1` is no branch".to_owned()));
        let odd = json!({ "before": "$(id)", "after": B, "ref": "refs/heads/main" }).to_string();
        assert_eq!(parse("push", &odd), Err("`$(id)` is no commit".to_owned()));
        assert!(parse("issues", "{}").unwrap_err().starts_with("nothing is done for the event `issues`"));
        assert!(parse("push", "{").unwrap_err().starts_with("the payload of `push` has another shape"));
    }
}
