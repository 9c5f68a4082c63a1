//! `slm init`: a config repo that passes `slm check`, with a vault of its own.

#![expect(clippy::disallowed_methods, reason = "it writes the first files of a config repo")]

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::{Exit, Global, Said, Trouble};
use crate::host::clock::SystemClock;
use crate::transport::vault::Vault;

/// The Cedar schema a new repo starts with.
pub(super) const CEDAR_SCHEMA: &str = include_str!("starter/schema.cedarschema");

/// Every file a new repo starts with.
const STARTER: [(&str, &str); 9] = [
    ("slm.toml", include_str!("starter/slm.toml")),
    (".gitignore", "/run/\n/vault.age\n*.age-identity\n"),
    ("controls/frameworks/soc2.toml", include_str!("starter/soc2.toml")),
    ("controls/rot/ROT-01.toml", include_str!("starter/ROT-01.toml")),
    ("controls/rot/ROT-02.toml", include_str!("starter/ROT-02.toml")),
    ("credentials/session-key.toml", include_str!("starter/session-key.toml")),
    ("policies/guards.cedar", include_str!("starter/guards.cedar")),
    ("policies/rot.cedar", include_str!("starter/rot.cedar")),
    ("policies/schema.cedarschema", CEDAR_SCHEMA),
];

/// Where the starter's vault and identity stand, from the root of the repo.
const VAULT: &str = "vault.age";
const IDENTITY: &str = "../slm.age-identity";

/// Arguments of `slm init`.
#[derive(clap::Args)]
pub struct Args {}

pub(super) fn run(_: &Args, global: &Global) -> Result<Said, Trouble> {
    let written = scaffold(&global.root)?;
    let mut human = String::new();
    for path in &written {
        human.push_str(&format!("Wrote {path}.\n"));
    }
    human.push_str("\nNext: `git init && git add -A && git commit`, then `slm check`, `slm plan`, `slm apply --auto-approve`.\n");
    Ok(Said::new(vec![Exit::Clean], human, json!({ "written": written })))
}

/// Writes the starter below `root`; refuses to overwrite anything.
pub(super) fn scaffold(root: &Path) -> Result<Vec<String>, Trouble> {
    let taken = STARTER.iter().map(|(path, _)| *path).chain([VAULT, IDENTITY]).find(|path| root.join(path).exists());
    if let Some(path) = taken {
        return Err(format!("`{path}` exists already; `slm init` wants a folder without a config repo").into());
    }
    let mut written = Vec::new();
    for (path, text) in STARTER {
        let file = root.join(path);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&file, text)?;
        written.push(path.to_owned());
    }
    Vault::create(root.join(VAULT), root.join(IDENTITY), Arc::new(SystemClock))?;
    written.extend([VAULT.to_owned(), IDENTITY.to_owned()]);
    Ok(written)
}
