//! `slm adopt`: take a secret that was found under management, without rotating it: writes its file under `credentials/`.

#![expect(clippy::disallowed_methods, reason = "it writes the file of a credential")]

use serde_json::json;

use super::{Exit, Global, Said, Trouble, pipeline};
use crate::host::clock::SystemClock;
use crate::model::catalog::Credential;
use crate::model::diagnostic::Severity;
use crate::model::snapshot::{Population, Resource, Snapshot};
use crate::model::time::Limit;
use crate::report::diagnostics;
use crate::world::Clock as _;

/// Arguments of `slm adopt`.
#[derive(clap::Args)]
pub struct Args {
    /// The resource as `slm plan` names it: an ARN, or `vault:SOURCE/NAME`
    resource: String,
    /// How a new value will come about, as under `[rotator]`: `random = { length = 32 }`
    #[arg(long, value_name = "TOML")]
    rotator: String,
    /// Id of the credential and stem of its file; from the secret's name when absent
    #[arg(long)]
    id: Option<String>,
    /// Who answers for it; as observed when absent
    #[arg(long)]
    owner: Option<String>,
    /// Greatest age before it is due
    #[arg(long, default_value = "90d", value_parser = limit)]
    rotate_every: Limit,
    /// It is not rotated for this long from now, however old it is
    #[arg(long, default_value = "7d", value_parser = limit)]
    grace: Limit,
}

fn limit(text: &str) -> Result<Limit, String> {
    text.parse().map_err(|_| "write a duration, as in `30d`".to_owned())
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    let session = pipeline::open(global, "adopt", None)?;
    let judged = pipeline::block_on(session.judge(global))??;
    let Some((population, resource)) = find(&judged.snapshot, &args.resource) else {
        let error = format!("no secret `{}` was seen; `slm plan` names those that are not declared", args.resource);
        return Err(Trouble { exit: Exit::Incomplete, error: error.into() });
    };
    if let Some(declared) = session.catalog.declared_as(population, resource) {
        return Err(format!("`{}` is declared already, as `{}`", args.resource, declared.id).into());
    }
    let name = resource.text("name").unwrap_or(&args.resource);
    let id = args.id.clone().unwrap_or_else(|| stem(name));
    let path = format!("credentials/{id}.toml");
    let text = file(args, population, resource, name)?;
    let mut files = pipeline::files(global, None)?;
    if files.insert(path.clone(), text.clone()).is_some() {
        return Err(format!("`{path}` exists already; give another `--id`").into());
    }
    let checked = pipeline::load(files);
    if checked.diagnostics.iter().any(|one| one.severity == Severity::Error) {
        let mut human = diagnostics::human(&checked.diagnostics, &checked.files, global.colored());
        human.push_str("Nothing was written.\n");
        let json = json!({ "diagnostics": diagnostics::json(&checked.diagnostics, &checked.files) });
        return Ok(Said::new(vec![Exit::Invalid], human, json).painted());
    }
    let target = global.root.join(&path);
    std::fs::create_dir_all(global.root.join("credentials"))?;
    std::fs::write(target, &text)?;
    let mut human = format!("Wrote {path}:\n\n{text}\nAdd its consumers and commit it. It is not rotated for {}.\n", args.grace);
    let adopted = checked.catalog.as_ref().and_then(|catalog| catalog.credentials.get(id.as_str()));
    human.extend(adopted.and_then(shaped));
    Ok(Said::new(vec![Exit::Clean], human, json!({ "wrote": path, "text": text })))
}

/// How the value in force has to be stored, where it must say which credential it is; no value is read here.
fn shaped(adopted: &Credential) -> Option<String> {
    let shape = adopted.rotator.shape();
    let validated = adopted.rotator.capabilities().validated();
    validated
        .then(|| format!("Its value must be {shape}. While it has another shape, nothing of it is rotated and nothing ended.\n"))
}

fn find<'s>(snapshot: &'s Snapshot, id: &str) -> Option<(&'s Population, &'s Resource)> {
    let secrets = snapshot.populations.iter().filter(|population| population.holds_secrets());
    let mut found = secrets.filter_map(|population| {
        let resource = population.resources.iter().find(|resource| resource.id.as_str() == id)?;
        Some((population, resource))
    });
    found.next()
}

fn file(args: &Args, population: &Population, resource: &Resource, name: &str) -> Result<String, Trouble> {
    let observed = resource.text("owner").filter(|owner| !owner.is_empty());
    let owner = args.owner.as_deref().or(observed).ok_or("nobody is known to own it; name the team with `--owner`")?;
    let rotator: toml::Table = args.rotator.parse().map_err(|error: toml::de::Error| {
        format!("`--rotator` is not TOML: {}; write it as in `random = {{ length = 32 }}`", error.message())
    })?;
    let text = |value: &str| toml::Value::String(value.to_owned());
    let region = population.region();
    let place = if population.scope == "." { String::new() } else { format!("region = {}\n", text(region)) };
    let jitter = match ["manual", "observe"].iter().any(|kind| rotator.contains_key(*kind)) {
        // slm begins no rotation of those.
        true => String::new(),
        false => format!(
            "# It becomes due up to this much earlier, at a point fixed by its name: what is adopted on one day is not due on one day.\n\
             jitter = {}\n",
            text(&jitter(args.rotate_every).to_string())
        ),
    };
    let not_before = args.grace.after(SystemClock.now()).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    Ok(format!(
        "title = {}\nowner = {}\nsatisfies = []\n\n[secret]\nsource = {}\n{place}name = {}\n\n[rotator]\n{}\n[policy]\nrotate-every = {}\n{jitter}\
         # Adopted: it is not rotated before, however old it is. The line may go then.\nnot-before = {}\n",
        text(name),
        text(owner),
        text(population.source.as_str()),
        text(name),
        rotator_text(&rotator),
        text(&args.rotate_every.to_string()),
        text(&not_before),
    ))
}

/// A tenth of the period, in the greatest unit that is not finer than it needs.
fn jitter(period: Limit) -> Limit {
    let tenth = period.as_seconds() / 10;
    let unit = [Limit::DAY, 3_600, 60].into_iter().find(|unit| tenth >= *unit).unwrap_or(1);
    Limit::seconds(tenth - tenth % unit)
}

/// Each kind on a line of its own, as people write it.
fn rotator_text(rotator: &toml::Table) -> String {
    rotator.iter().map(|(kind, value)| format!("{kind} = {value}\n")).collect()
}

/// `app/db` becomes `app-db`.
fn stem(name: &str) -> String {
    let plain = |one: char| if one.is_ascii_alphanumeric() { one.to_ascii_lowercase() } else { '-' };
    let stem: String = name.chars().map(plain).collect();
    stem.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}
