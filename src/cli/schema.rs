//! `slm schema`: JSON Schemas of the TOML files for editors, that of the agent as well, and the Cedar schema of the repo.

use std::path::PathBuf;

use serde_json::json;

use super::{Exit, Global, Said, Trouble};
use crate::record::canonical;

/// Arguments of `slm schema`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder to write to; printed when absent
    #[arg(long)]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    let mut files = crate::load::json_schemas();
    files.insert("agent", schemars::schema_for!(crate::agent::config::Config).to_value());
    let cedar = std::fs::read_to_string(global.root.join("policies/schema.cedarschema"))
        .unwrap_or_else(|_| super::init::CEDAR_SCHEMA.to_owned());
    let Some(folder) = &args.out else {
        let human = format!("{:#}\n", json!(files));
        return Ok(Said::new(vec![Exit::Clean], human, json!({ "schemas": files, "cedar": cedar })));
    };
    std::fs::create_dir_all(folder)?;
    let mut human = String::new();
    for (name, schema) in &files {
        let path = folder.join(format!("{name}.schema.json"));
        std::fs::write(&path, canonical::json(schema)?)?;
        human.push_str(&format!("Wrote {}.\n", path.display()));
    }
    std::fs::write(folder.join("slm.cedarschema"), cedar)?;
    human.push_str(&format!("Wrote {}.\n", folder.join("slm.cedarschema").display()));
    Ok(Said::new(vec![Exit::Clean], human, json!({ "folder": folder })))
}
