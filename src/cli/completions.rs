//! `slm completions`: shell completions and the man page, from the argument parser itself.

use clap::{CommandFactory as _, ValueEnum};
use serde_json::json;

use super::{Cli, Exit, Global, Said, Trouble};

/// Arguments of `slm completions`.
#[derive(clap::Args)]
pub struct Args {
    /// The shell, or `man` for the man page
    #[arg(value_enum)]
    target: Target,
}

#[derive(Clone, Copy, ValueEnum)]
enum Target {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
    Man,
}

pub(super) fn run(args: &Args, _: &Global) -> Result<Said, Trouble> {
    use clap_complete::Shell;
    let mut command = Cli::command();
    let mut bytes = Vec::new();
    let shell = match args.target {
        Target::Bash => Some(Shell::Bash),
        Target::Elvish => Some(Shell::Elvish),
        Target::Fish => Some(Shell::Fish),
        Target::Powershell => Some(Shell::PowerShell),
        Target::Zsh => Some(Shell::Zsh),
        Target::Man => None,
    };
    match shell {
        Some(shell) => clap_complete::generate(shell, &mut command, "slm", &mut bytes),
        None => clap_mangen::Man::new(command).render(&mut bytes)?,
    }
    let text = String::from_utf8(bytes)?;
    Ok(Said::new(vec![Exit::Clean], text.clone(), json!({ "text": text })))
}
