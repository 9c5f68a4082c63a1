//! Proofs about policies, by cvc5 as a child process: a process a question, with a time limit, and nothing of our environment.

#![expect(clippy::disallowed_methods, reason = "a solver is a process, and is looked for where programs are")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cedar_policy::{Authorizer, Decision, PolicySet, RequestEnv, Schema};
use cedar_policy_symcc::err::Error;
use cedar_policy_symcc::solver::LocalSolver;
use cedar_policy_symcc::{CedarSymCompiler, CompiledPolicySet, Env};
use futures::stream::{self, StreamExt as _};
use tokio::process::Command;

use crate::model::difference::{Example, Means, Proof, Way};
use crate::model::time::Timestamp;

/// Names the program, by its path, where it is not in `PATH`.
const VARIABLE: &str = "SLM_CVC5";
/// For one question; what is not decided by then is not proved.
const PATIENCE: Duration = Duration::from_secs(10);
/// For all of them: a pull request waits.
const ALL: Duration = Duration::from_secs(60);
/// Processes at once.
const AT_ONCE: usize = 2;

/// What is asked of the policies of one action.
pub struct Question {
    /// The action, as policies name it.
    pub action: String,
    /// Its policies by the old text.
    pub base: String,
    /// Its policies by the new text.
    pub head: String,
}

/// The solver of this machine.
pub struct Solver {
    path: PathBuf,
    /// For one question.
    patience: Duration,
    /// For all of them.
    all: Duration,
}

impl Solver {
    /// The program that `SLM_CVC5` names, or `cvc5` in `PATH`. No file of a config repo names one: whoever edits it would have it run.
    ///
    /// # Errors
    /// Why there is none.
    pub fn find() -> Result<Self, String> {
        if let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
            let path = PathBuf::from(path);
            let is_there = path.is_absolute() && path.is_file();
            return if is_there { Ok(Self::at(path)) } else { Err(format!("{VARIABLE} names no file by its whole path")) };
        }
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&folders).filter(|folder| folder.is_absolute()).map(|folder| folder.join("cvc5"));
        let found = found.into_iter().find(|path| path.is_file());
        found.map(Self::at).ok_or_else(|| "no cvc5 was found; install Debian's package cvc5".to_owned())
    }

    /// The program at `path`.
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self { path, patience: PATIENCE, all: ALL }
    }

    /// What can be proved of `questions`, each by its action, for everything that `schema` allows.
    pub async fn prove(&self, schema: &str, questions: &[Question]) -> BTreeMap<String, Proof> {
        let schema = match Schema::from_cedarschema_str(schema) {
            Ok((schema, _)) => schema,
            Err(error) => {
                let why = format!("the schema is not understood: {error}");
                return questions.iter().map(|one| (one.action.clone(), Proof::unproved(why.clone()))).collect();
            }
        };
        let (schema, start) = (&schema, Instant::now());
        let asked = questions.iter().map(|one| async move { (one.action.clone(), self.one(schema, one, start).await) });
        stream::iter(asked).buffered(AT_ONCE).collect().await
    }

    async fn one(&self, schema: &Schema, question: &Question, start: Instant) -> Proof {
        let parse = |text: &str| text.parse::<PolicySet>().map_err(|error| format!("the policies are not understood: {error}"));
        let (base, head) = match (parse(&question.base), parse(&question.head)) {
            (Ok(base), Ok(head)) => (base, head),
            (Err(why), _) | (_, Err(why)) => return Proof::unproved(why),
        };
        let mut envs: Vec<RequestEnv> = schema.request_envs().filter(|env| env.action().to_string() == question.action).collect();
        envs.sort_by_key(|env| (env.principal().to_string(), env.resource().to_string()));
        let mut found = Found::default();
        if envs.is_empty() {
            found.open.get_or_insert_with(|| "the new schema does not have the action".to_owned());
        }
        for env in &envs {
            // One that speaks about many kinds of resources would take minutes.
            if start.elapsed() >= self.all {
                found.leave(format!("the {} s for proofs were used up", self.all.as_secs()));
                break;
            }
            self.ask(schema, env, (&base, &head), &mut found).await;
        }
        found.proof()
    }

    /// Asks about one kind of request: what is allowed now and was not, and the reverse.
    async fn ask(&self, schema: &Schema, env: &RequestEnv, (base, head): (&PolicySet, &PolicySet), found: &mut Found) {
        let compile = |set: &PolicySet| CompiledPolicySet::compile(set, env, schema).map_err(|error| told(&error));
        let (old, new) = match (compile(base), compile(head)) {
            (Ok(old), Ok(new)) => (old, new),
            (Err(why), _) => return found.leave(format!("the old policies do not fit the new schema: {why}")),
            (_, Err(why)) => return found.leave(why),
        };
        for (narrow, wide, more) in [(&new, &old, true), (&old, &new, false)] {
            let place = if more { &mut found.allowed } else { &mut found.denied };
            if place.is_some() {
                continue;
            }
            match self.implies(narrow, wide).await {
                Ok(None) => {}
                Ok(Some(one)) if holds(&one, (base, head), more) => *place = Some(example(&one)),
                Ok(Some(_)) => found.leave("the solver's example is none when Cedar decides it".to_owned()),
                Err(why) => found.leave(why),
            }
        }
    }

    /// A request that `narrow` allows and `wide` does not, if there is one.
    async fn implies(&self, narrow: &CompiledPolicySet, wide: &CompiledPolicySet) -> Result<Option<Env>, String> {
        let start = Instant::now();
        let solver = LocalSolver::from_command(&mut self.started()).map_err(|error| told(&Error::from(error)))?;
        let mut compiler = CedarSymCompiler::new(solver).map_err(|error| told(&error))?;
        let asked = compiler.check_implies_with_counterexample_opt(narrow, wide);
        let answer = tokio::time::timeout(self.patience + Duration::from_secs(1), asked).await;
        match answer {
            Ok(Ok(found)) => Ok(found),
            // At its own limit it just ends.
            Ok(Err(error)) if start.elapsed() < self.patience => Err(told(&error)),
            _ => Err(format!("the solver did not decide it in {} s", self.patience.as_secs())),
        }
    }

    /// The program to be started; it ends with us.
    fn started(&self) -> Command {
        let mut command = Command::new(&self.path);
        let limit = format!("--tlimit={}", self.patience.as_millis());
        command.args(["--lang", "smt", &limit]).env_clear().env("LC_ALL", "C").current_dir("/").kill_on_drop(true);
        command
    }
}

/// An error of the analysis on one line, without all that a program that is no solver may say.
fn told(error: &Error) -> String {
    if matches!(error, Error::SolverUnknown) {
        return "the solver cannot decide it".to_owned();
    }
    let (mut text, mut cause) = (error.to_string(), std::error::Error::source(error));
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text.split_whitespace().flat_map(|word| [" ", word]).collect::<String>().trim_start().chars().take(300).collect()
}

/// What was found so far.
#[derive(Default)]
struct Found {
    allowed: Option<Example>,
    denied: Option<Example>,
    /// Why it is not known of all.
    open: Option<String>,
}

impl Found {
    fn leave(&mut self, why: String) {
        self.open.get_or_insert(why);
    }

    fn proof(self) -> Proof {
        let Self { allowed, denied, open } = self;
        let (way, means) = match (Way::by(allowed.is_some(), denied.is_some()), open) {
            // With both found, nothing that is open can change it.
            (Way::Incomparable, _) => (Way::Incomparable, Means::Solver),
            (way, None) => (way, Means::Solver),
            (_, Some(why)) => (Way::NotProved, Means::Unproved(why)),
        };
        Proof { way, means, newly_allowed: allowed, newly_denied: denied }
    }
}

/// True when Cedar itself decides `env` as the solver says.
fn holds(env: &Env, (base, head): (&PolicySet, &PolicySet), more: bool) -> bool {
    let allows = |set| Authorizer::new().is_authorized(&env.request, set, &env.entities).decision() == Decision::Allow;
    (allows(base), allows(head)) == (!more, more)
}

/// The request as people read it.
fn example(env: &Env) -> Example {
    let Some(resource) = env.request.resource() else { return Example { resource: String::new(), facts: Vec::new() } };
    let entity = env.entities.get(resource);
    let attributes = entity.into_iter().flat_map(|entity| entity.attrs());
    let mut facts: Vec<(String, String)> =
        attributes.filter_map(|(name, value)| Some((name.to_owned(), shown(&value.ok()?.to_string())))).collect();
    // What the schemas of controls and of guards have.
    for name in ["now", "share_percent", "incomplete"] {
        let value = env.request.context().and_then(|context| context.get(name));
        facts.extend(value.map(|value| (format!("context.{name}"), shown(&value.to_string()))));
    }
    facts.sort();
    Example { resource: resource.to_string(), facts }
}

/// A value as Cedar writes it, an instant as people do.
fn shown(value: &str) -> String {
    let since = value.strip_prefix("datetime(\"1970-01-01\").offset(duration(\"").and_then(|rest| rest.strip_suffix("ms\"))"));
    let instant = since.and_then(|ms| Timestamp::from_millisecond(ms.parse().ok()?).ok());
    instant.map_or_else(|| value.to_owned(), |instant| instant.to_string())
}

#[cfg(test)]
#[path = "solver_tests.rs"]
mod tests;
