//! The command line: one file a verb; a verb makes a value, and this module alone prints it.

mod adopt;
mod agent;
mod ahead;
mod anchor;
mod apply;
mod approvals;
mod attested;
mod away;
mod by_hand;
mod carry;
mod check;
mod ci;
mod commit_signature;
mod completions;
mod demo;
mod derived;
mod diff;
mod drift;
mod earlier;
mod exit;
mod explain;
mod explain_at;
mod explain_found;
mod explain_history;
mod export;
mod gaps;
mod gather;
mod init;
mod lease;
mod notify;
mod objects;
mod past;
mod period;
mod pipeline;
mod plan;
mod progress;
mod ready;
mod removed;
mod replay;
mod report;
mod restore;
mod resume;
mod retire;
mod rollback;
mod rotate;
mod sample;
mod schema;
mod serving;
mod sink;
mod status;
mod tasks;
mod together;
mod unkept;
mod verify;
mod verify_anchors;
mod verify_bundle;
mod watch;
mod wire;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use serde_json::{Value as Json, json};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

pub use exit::Exit;

use crate::report::markdown::printable;

/// Declarative policy engine: rotates credentials without losing one and keeps evidence an auditor can verify.
#[derive(Parser)]
#[command(name = "slm", version, about, disable_help_subcommand = true, after_help = exit::help())]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// The command line of the one verb that stays beside an application: what describes the others is no part of its memory.
#[derive(Parser)]
#[command(name = "slm", version, about, disable_help_subcommand = true)]
struct Beside {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Staying,
}

#[derive(Subcommand)]
enum Staying {
    /// Take new versions into use beside an application, and prove it
    Agent(agent::Args),
}

impl Cli {
    /// What the arguments of this process say.
    fn given() -> Result<Self, clap::Error> {
        if std::env::args_os().nth(1).is_none_or(|first| first != "agent") {
            return Self::try_parse();
        }
        let Beside { global, verb: Staying::Agent(args) } = Beside::try_parse()?;
        Ok(Self { global, verb: Verb::Agent(args) })
    }
}

/// Flags of every verb.
#[derive(clap::Args, Clone)]
pub struct Global {
    /// Root of the config repo
    #[arg(long, global = true, default_value = ".", env = "SLM_ROOT")]
    root: PathBuf,
    /// How to print the result
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    color: Color,
    /// Print only the result
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Log more to standard error; three times for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Write the log as JSON lines
    #[arg(long, global = true)]
    log_json: bool,
}

/// How to print the result.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Human,
    /// For programs.
    Json,
}

/// When to use colour.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Subcommand)]
enum Verb {
    /// Scaffold a config repo that passes `slm check`
    Init(init::Args),
    /// Report every problem of the config repo at once
    Check(check::Args),
    /// Compare two texts of the config repo: what an edit means
    Diff(diff::Args),
    /// Observe, judge and print what is due
    Plan(plan::Args),
    /// Apply a saved plan, or plan and apply
    Apply(apply::Args),
    /// Rotate credentials now, due or not
    Rotate(rotate::Args),
    /// Go on with what was begun, and begin nothing
    Resume(resume::Args),
    /// Bring back the value before the one in force, as a new version
    Rollback(rollback::Args),
    /// End what the last rotation of a credential replaced
    Retire(retire::Args),
    /// Take a secret that was found under management, without rotating it
    Adopt(adopt::Args),
    /// Take new versions into use beside an application, and prove it
    Agent(agent::Args),
    /// Show where every control and criterion stands
    Status(status::Args),
    /// Explain a control or a resource in depth
    Explain(explain::Args),
    /// Report what the evidence says of a stretch of days
    Report(report::Args),
    /// Check the evidence of a locker, offline, and say what in it does not hold
    Verify(verify::Args),
    /// Draw members of a population that nobody could choose, with their proof
    Sample(sample::Args),
    /// Write evidence as others want it: a bundle for auditors, OSCAL, SARIF, OCSF
    Export(export::Args),
    /// Rebuild the locker from a sink that mirrors it
    Restore(restore::Args),
    /// Plan on pull requests and apply on merge, in a CI job of GitHub
    Ci(ci::Args),
    /// Write the schemas of the config files for editors
    Schema(schema::Args),
    /// Check again whenever a file is saved
    Watch(watch::Args),
    /// Run the whole pipeline in a scratch folder
    Demo(demo::Args),
    /// Print shell completions or the man page
    Completions(completions::Args),
}

/// What a verb has to say.
pub struct Said {
    /// Every way it ended.
    exits: Vec<Exit>,
    /// For people.
    human: String,
    /// For programs.
    json: Json,
    /// True when it is a complaint rather than a result.
    trouble: bool,
    /// True when colours of our own are in it.
    painted: bool,
}

impl Said {
    fn new(exits: Vec<Exit>, human: String, json: Json) -> Self {
        Self { exits, human, json, trouble: false, painted: false }
    }

    /// The same with colours of our own in it; whatever it shows of files was made harmless where it was read.
    fn painted(self) -> Self {
        Self { painted: true, ..self }
    }

    fn trouble(trouble: &Trouble) -> Self {
        let chain = chain(trouble.error.as_ref());
        let refused = trouble.error.downcast_ref::<by_hand::Refusal>();
        let code = refused.map_or_else(String::new, |refused| format!("[{}]", refused.code));
        let help = refused.map_or_else(String::new, |refused| format!("  help: {}\n", refused.help));
        let human = format!("error{code}: {}\n{help}", chain.join("\n  cause: "));
        let mut json = json!({ "error": chain });
        if let Some(by_hand::Refusal { code, help, .. }) = refused {
            (json["code"], json["help"]) = (json!(code), json!(help));
        }
        Self { exits: vec![trouble.exit], human, json, trouble: true, painted: false }
    }

    /// Every way it ended, from the mildest to the gravest; clean only when nothing else holds.
    fn all(&self) -> Vec<Exit> {
        let mut all: Vec<Exit> = self.exits.iter().copied().filter(|exit| *exit != Exit::Clean).collect();
        all.sort();
        all.dedup();
        if all.is_empty() { vec![Exit::Clean] } else { all }
    }

    fn exit(&self) -> Exit {
        self.exits.iter().copied().max().unwrap_or(Exit::Clean)
    }
}

/// Why a verb could not say anything; printed with its chain of causes.
pub struct Trouble {
    exit: Exit,
    error: Box<dyn std::error::Error + Send + Sync>,
}

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self { exit: Exit::Failed, error: error.into() }
    }
}

/// Parses the arguments, runs one verb and prints what it says.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::given() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Exit::Usage } else { Exit::Clean }.code());
        }
    };
    start_log(&cli.global);
    let said = dispatch(&cli).unwrap_or_else(|trouble| Said::trouble(&trouble));
    print(&cli.global, &said);
    ExitCode::from(said.exit().code())
}

fn dispatch(cli: &Cli) -> Result<Said, Trouble> {
    let global = &cli.global;
    match &cli.verb {
        Verb::Init(args) => init::run(args, global),
        Verb::Check(args) => check::run(args, global),
        Verb::Diff(args) => diff::run(args, global),
        Verb::Plan(args) => plan::run(args, global),
        Verb::Apply(args) => apply::run(args, global),
        Verb::Rotate(args) => rotate::run(args, global),
        Verb::Resume(args) => resume::run(args, global),
        Verb::Rollback(args) => rollback::run(args, global),
        Verb::Retire(args) => retire::run(args, global),
        Verb::Adopt(args) => adopt::run(args, global),
        Verb::Agent(args) => agent::run(args, global),
        Verb::Status(args) => status::run(args, global),
        Verb::Explain(args) => explain::run(args, global),
        Verb::Report(args) => report::run(args, global),
        Verb::Verify(args) => verify::run(args, global),
        Verb::Sample(args) => sample::run(args, global),
        Verb::Export(args) => export::run(args, global),
        Verb::Restore(args) => restore::run(args, global),
        Verb::Ci(args) => ci::run(args, global),
        Verb::Schema(args) => schema::run(args, global),
        Verb::Watch(args) => watch::run(args, global),
        Verb::Demo(args) => demo::run(args, global),
        Verb::Completions(args) => completions::run(args, global),
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    let mut chain = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        chain.push(cause.to_string());
        next = cause.source();
    }
    chain
}

/// Results go to standard output, troubles to standard error. A closed pipe is not an error of ours.
fn print(global: &Global, said: &Said) {
    let text = match global.format {
        Format::Human if said.painted => said.human.clone(),
        // Names and subjects are whatever somebody called them.
        Format::Human => printable(&said.human),
        Format::Json => {
            let mut json = said.json.clone();
            if let Json::Object(object) = &mut json {
                object.insert("exit".to_owned(), json!({ "code": said.exit().code(), "all": said.all() }));
            }
            format!("{json:#}\n")
        }
    };
    let failed = said.trouble && global.format == Format::Human;
    let _ = if failed { std::io::stderr().write_all(text.as_bytes()) } else { std::io::stdout().write_all(text.as_bytes()) };
}

/// Logs go to standard error; our own crate only, at any level: what a client logs of headers and bodies is not ours to vouch for.
fn start_log(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, 2) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
    let ours = Targets::new().with_target("slm", level);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(global.colored());
    let log = tracing_subscriber::registry();
    let _ = if global.log_json {
        log.with(lines.json().with_filter(ours)).try_init()
    } else {
        log.with(lines.with_filter(ours)).try_init()
    };
}

impl Global {
    fn colored(&self) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => std::io::stdout().is_terminal(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_agent_is_told_the_same_by_its_own_command_line() {
        let of = |mut all: clap::Command| {
            all.build();
            let agent = all.find_subcommand_mut("agent").unwrap();
            (agent.render_long_help().to_string(), agent.render_usage().to_string())
        };
        let whole = of(Cli::command());
        assert!(whole.0.contains("Take new versions into use beside an application"), "{}", whole.0);
        assert_eq!(of(Beside::command()), whole);
    }
}
