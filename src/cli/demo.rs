//! `slm demo`: the whole pipeline in a scratch folder, through the same verbs a user types.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Exit, Format, Global, Said, Trouble, apply, check, init, plan, status, verify};
use crate::host::repo;
use crate::host::verify::history;

/// Added to the settings of a new repo: evidence is signed, by a key that is rotated like any other.
const LOG: &str = "\n[locker.log]\norigin = \"demo\"\nkey = { source = \"local\", name = \"slm/log-key\" }\n";
/// The credential of that key.
const LOG_KEY: &str = "# What the log of the evidence is signed with.\ntitle = \"Key of the evidence\"\nowner = \"security\"\n\
    satisfies = [\"ROT-01\"]\n\n[secret]\nsource = \"local\"\nname = \"slm/log-key\"\n\n[rotator]\nrandom = { length = 43, alphabet = \"alnum\" }\n\n\
    [policy]\nrotate-every = \"60d\"\njitter = \"2d\"\n";

/// Arguments of `slm demo`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder to work in; a new one below the system's temporary folder when absent
    #[arg(long)]
    dir: Option<PathBuf>,
}

struct Step {
    command: String,
    meaning: &'static str,
    said: Said,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    let folder = match &args.dir {
        Some(folder) => {
            std::fs::create_dir_all(folder)?;
            folder.clone()
        }
        None => tempfile::Builder::new().prefix("slm-demo-").tempdir()?.keep(),
    };
    let root = folder.join("config");
    std::fs::create_dir_all(&root)?;
    let inner = Global { root: root.clone(), format: Format::Human, ..global.clone() };
    let steps = walk(&inner, &root)?;
    let wrong = steps.last().is_some_and(|step| step.said.exits.iter().any(|exit| *exit != Exit::Clean));
    let exits = vec![if wrong { Exit::Failed } else { Exit::Clean }];
    let mut human = String::new();
    for step in &steps {
        human.push_str(&format!("\n$ {}\n# {}\n{}", step.command, step.meaning, step.said.human));
    }
    human.push_str(&format!(
        "\nThe folder stays for a look: {}\n  git -C {} log -p slm/evidence -- decisions/ROT-01.jsonl\n",
        folder.display(),
        root.display()
    ));
    let steps: Vec<_> =
        steps.iter().map(|step| json!({ "command": step.command, "exits": step.said.exits, "result": step.said.json })).collect();
    Ok(Said::new(exits, human, json!({ "folder": folder, "steps": steps })))
}

fn walk(global: &Global, root: &Path) -> Result<Vec<Step>, Trouble> {
    let mut steps = Vec::new();
    let mut take =
        |command: &str, meaning: &'static str, said: Said| steps.push(Step { command: command.to_owned(), meaning, said });
    let made = init::run(&init::Args {}, global)?;
    take("slm init", "a config repo: controls in TOML, rules in Cedar, a local vault, one credential", made);
    let settings = root.join("slm.toml");
    std::fs::write(&settings, std::fs::read_to_string(&settings)? + LOG)?;
    std::fs::write(root.join("credentials/log-key.toml"), LOG_KEY)?;
    let said =
        Said::new(vec![Exit::Clean], format!("{LOG}\n{LOG_KEY}"), json!({ "wrote": ["slm.toml", "credentials/log-key.toml"] }));
    take("edit slm.toml credentials/log-key.toml", "the evidence will be signed, by a key that is rotated like any other", said);
    let commit =
        repo::init_and_commit(root, "config: the starter of slm init", crate::world::Clock::now(&crate::host::clock::SystemClock))?;
    let said =
        Said::new(vec![Exit::Clean], format!("Committed {}.\n", &commit[..12.min(commit.len())]), json!({ "commit": commit }));
    take("git init && git add -A && git commit", "policy lives in git; everything below refers to this commit", said);
    take("slm check", "every problem of the repo at once; here none", check::run(&check::Args::default(), global)?);
    take(
        "slm plan",
        "observe, judge, and say what is due: the declared key has no value yet",
        plan::run(&plan::Args::default(), global)?,
    );
    let applied = apply::run(&apply::Args::approved(), global)?;
    take(
        "slm apply --auto-approve",
        "the value is written to a slot, promoted, delivered to the app, acknowledged, recorded",
        applied,
    );
    take(
        "slm status",
        "where every control and criterion stands, with denominators",
        status::run(&status::Args::default(), global)?,
    );
    let proof = repo::verify(root, "slm/evidence")?;
    take(
        "git fsck --full && git log slm/evidence",
        "the evidence is one commit a run on a branch of its own, whole by git's own check",
        Said::new(vec![Exit::Clean], proof.clone(), json!({ "log": proof })),
    );
    let key = history(root, "slm/evidence", None)?.chain.keys().last().map(|key| key.verifier.vkey()).unwrap_or_default();
    let checked = verify::run(&verify::Args::trusting(&key), global)?;
    take(
        &format!("slm verify --key {key}"),
        "every file of every commit is in the signed log, and nothing else; an auditor does this with a clone and a key told elsewhere",
        checked,
    );
    take("slm plan", "the second plan is empty: the world is as the repo says", plan::run(&plan::Args::default(), global)?);
    Ok(steps)
}
