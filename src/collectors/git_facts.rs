//! What commits, exceptions and documents of the config repository show: who made them, who signed, who approved.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use git2::Oid;

use crate::model::id::ResourceId;
use crate::model::snapshot::{Attribute, Completeness, Resource, Unseen, Value};
use crate::model::time::Timestamp;
use crate::transport::git::{Commit, Git, History, Node, Who};
use crate::transport::git_signature::{AllowedSigners, Signature, fingerprint};
use crate::world::WorldError;

/// What a change must touch to be one of the config.
pub const PATHS: [&str; 6] = ["attestations", "controls", "credentials", "exceptions", "policies", "slm.toml"];
/// Folders of what people declare and another person must approve.
pub const DECLARED: [&str; 2] = ["attestations", "exceptions"];
/// Trailers that name who approved.
const APPROVALS: [&str; 2] = ["approved-by", "reviewed-by"];

/// What everything here is read from.
pub struct Facts<'a> {
    /// The repository.
    pub git: &'a Git,
    /// What its branch contains.
    pub history: &'a History,
    /// Who may sign; `None` when nobody said.
    pub signers: Option<&'a AllowedSigners>,
    /// The config repo inside the work tree, empty or ending in `/`.
    pub prefix: &'a str,
}

/// Who approved a commit, and what landed it.
struct Approval {
    commit: Commit,
    landed: Timestamp,
    signature: Signature,
    approvers: BTreeSet<String>,
    independent: BTreeSet<String>,
}

impl Facts<'_> {
    /// Approvals stand in the commit or in the merge that landed it. A person approves once, and not their own work.
    fn approval(&self, node: &Node) -> Result<Approval, WorldError> {
        let commit = self.git.commit(node.id)?;
        let mut trailers = commit.trailers.clone();
        let mut landed = commit.committed;
        let mut authors = vec![commit.author.clone(), commit.committer.clone()];
        if node.landed != node.id {
            let merge = self.git.commit(node.landed)?;
            trailers.extend(merge.trailers);
            landed = merge.committed;
        }
        let signature = match (&commit.signature, self.signers) {
            (None, _) => Signature::Absent,
            (Some((armour, bytes)), Some(signers)) => signers.check(armour, bytes, commit.committed),
            (Some(_), None) => Signature::Unsupported,
        };
        if let Signature::Good(principals) = &signature {
            authors.extend(principals.split(',').map(|one| Who { name: String::new(), email: one.to_lowercase() }));
        }
        let named = trailers.iter().filter(|(key, _)| APPROVALS.contains(&key.to_lowercase().as_str()));
        let approvers: BTreeSet<String> =
            named.map(|(_, value)| value.trim().to_owned()).filter(|value| !value.is_empty()).collect();
        let independent =
            approvers.iter().filter(|one| !authors.iter().any(|author| is(one, author))).map(|one| key_of(one)).collect();
        Ok(Approval { commit, landed, signature, approvers, independent })
    }
}

/// What tells one person from another: the address, or the name when there is none.
fn key_of(text: &str) -> String {
    let address = text.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(address, _)| address);
    address.unwrap_or(text).trim().to_lowercase()
}

fn is(approver: &str, author: &Who) -> bool {
    let key = key_of(approver);
    let name = approver.split('<').next().unwrap_or_default().trim().to_lowercase();
    key == author.email || (!author.name.is_empty() && [&key, &name].into_iter().any(|one| *one == author.name.to_lowercase()))
}

fn person(who: &Who) -> Value {
    text(format!("{} <{}>", who.name, who.email))
}

fn text(text: impl AsRef<str>) -> Value {
    Value::Text(Arc::from(text.as_ref()))
}

fn joined(names: &BTreeSet<String>) -> Value {
    text(names.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
}

/// The commits made since `since` that change the config, as `Git::Commit`. `theirs` is the tip of the remote.
pub fn commits(facts: &Facts<'_>, since: i64, theirs: Option<Oid>) -> Result<Vec<Resource>, WorldError> {
    let paths: Vec<String> = PATHS.iter().map(|path| format!("{}{path}", facts.prefix)).collect();
    let mut found = Vec::new();
    for node in facts.history.nodes.iter().filter(|node| node.seconds >= since) {
        if !facts.git.changed(node.id, paths.iter().map(String::as_str))?.is_empty() {
            found.push(commit(facts, node, theirs)?);
        }
    }
    Ok(found)
}

fn commit(facts: &Facts<'_>, node: &Node, theirs: Option<Oid>) -> Result<Resource, WorldError> {
    let Approval { commit, landed, signature, approvers, independent } = facts.approval(node)?;
    let independent = i64::try_from(independent.len()).unwrap_or(i64::MAX);
    let own = approvers.iter().any(|one| is(one, &commit.author));
    // A signature that nobody said how to check is neither good nor bad.
    let unchecked = commit.signature.is_some() && facts.signers.is_none();
    let word = if unchecked { "unchecked" } else { signature.word() };
    let mut attributes: Vec<Attribute> = vec![
        ("author".into(), person(&commit.author)),
        ("committer".into(), person(&commit.committer)),
        ("committed_at".into(), Value::Time(commit.committed)),
        ("landed_at".into(), Value::Time(landed)),
        ("landed_by".into(), text(node.landed.to_string())),
        ("is_merge".into(), Value::Bool(commit.parents > 1)),
        ("approvers".into(), joined(&approvers)),
        ("independent_approvals".into(), Value::Long(independent)),
        ("self_approved".into(), Value::Bool(own)),
        ("signature".into(), text(word)),
    ];
    match &signature {
        Signature::Good(principal) => attributes.push(("signer".into(), text(principal))),
        Signature::Absent | Signature::UnknownKey | Signature::Bad | Signature::Unsupported => {}
    }
    let key = commit.signature.as_ref().and_then(|(armour, _)| fingerprint(armour));
    attributes.extend(key.map(|key| ("signing_key".into(), text(key))));
    if signature != Signature::Unsupported {
        attributes.push(("signature_verified".into(), Value::Bool(matches!(signature, Signature::Good(_)))));
    }
    let pushed = theirs.and_then(|theirs| facts.git.contains(theirs, node.id));
    attributes.extend(pushed.map(|pushed| ("on_remote".into(), Value::Bool(pushed))));
    Ok(Resource::new(ResourceId::from(format!("git:{}", node.id)), attributes))
}

/// The exceptions on the branch, as `Slm::Exception`: what their files say.
pub fn exceptions(facts: &Facts<'_>, tip: Oid) -> Result<(Completeness, Vec<Resource>), WorldError> {
    let mut found = Vec::new();
    let mut completeness = Completeness::Complete;
    for (path, content) in facts.git.files(tip, &format!("{}exceptions", facts.prefix))? {
        let Some(stem) = path.rsplit('/').next().and_then(|name| name.strip_suffix(".toml")) else { continue };
        match toml::from_str::<toml::Table>(&facts.git.text(content)?) {
            Ok(table) => found.push(Resource::new(ResourceId::from(format!("exception:{stem}")), exception(&table))),
            Err(_) => {
                let detail = format!("`{path}` on the branch is no TOML");
                completeness = Completeness::Incomplete { cause: Unseen::Inconsistent, detail };
            }
        }
    }
    Ok((completeness, found))
}

fn exception(table: &toml::Table) -> Vec<Attribute> {
    let words = ["approver", "reason", "requester"].into_iter().filter_map(|name| {
        let value = table.get(name)?.as_str()?.trim();
        Some((Arc::from(name), text(value)))
    });
    let instants = [("approved_at", "approved"), ("expires", "expires")].into_iter().filter_map(|(name, key)| {
        let written = match table.get(key)? {
            toml::Value::Datetime(instant) => instant.to_string(),
            other => other.as_str()?.to_owned(),
        };
        Some((Arc::from(name), Value::Time(written.parse().ok()?)))
    });
    words.chain(instants).collect()
}

/// The files below `folders` on the branch, as `Slm::Document`: who last changed each, and who approved that.
pub fn documents(facts: &Facts<'_>, tip: Oid, folders: &[String]) -> Result<Vec<Resource>, WorldError> {
    let mut found = Vec::new();
    let beyond =
        last_changes(facts, tip, folders.iter().map(String::as_str), |path, _, approval| found.push(document(path, approval)))?;
    // Beyond the end of the walk: who changed it is not known, so nothing is said of it but that it is there.
    found.extend(beyond.iter().map(|path| Resource::new(ResourceId::from(format!("document:{path}")), Vec::new())));
    Ok(found)
}

/// The files on the branch that people declare something with, as `Slm::Declared`: who last changed each, by which commit, and who that
/// names as approvers. Paths are those of the config repo.
pub fn declared(facts: &Facts<'_>, tip: Oid) -> Result<Vec<Resource>, WorldError> {
    let mut found = Vec::new();
    let id = |path: &str| ResourceId::from(format!("declared:{}", path.strip_prefix(facts.prefix).unwrap_or(path)));
    let beyond = last_changes(facts, tip, DECLARED.into_iter(), |path, changed, Approval { commit, independent, .. }| {
        let attributes = vec![
            ("approver".into(), joined(independent)),
            ("author".into(), text(&commit.author.email)),
            ("commit".into(), text(changed.to_string())),
        ];
        found.push(Resource::new(id(path), attributes));
    })?;
    found.extend(beyond.iter().map(|path| Resource::new(id(path), Vec::new())));
    Ok(found)
}

/// Tells `each` of every file below `folders` on the branch with the commit that changed it last; files that none of the walk changed are
/// given back.
fn last_changes<'f>(
    facts: &Facts<'_>,
    tip: Oid,
    folders: impl Iterator<Item = &'f str>,
    mut each: impl FnMut(&str, Oid, &Approval),
) -> Result<BTreeSet<String>, WorldError> {
    let mut open = BTreeMap::new();
    for folder in folders {
        open.extend(facts.git.files(tip, &format!("{}{folder}", facts.prefix))?);
    }
    let mut open: BTreeSet<String> = open.into_keys().collect();
    for node in &facts.history.nodes {
        if open.is_empty() {
            break;
        }
        let touched: Vec<String> =
            facts.git.changed(node.id, open.iter().map(String::as_str))?.into_iter().map(str::to_owned).collect();
        if touched.is_empty() {
            continue;
        }
        let approval = facts.approval(node)?;
        for path in touched {
            open.remove(&path);
            each(&path, node.id, &approval);
        }
    }
    Ok(open)
}

fn document(path: &str, approval: &Approval) -> Resource {
    let mut attributes: Vec<Attribute> = vec![
        ("author".into(), text(&approval.commit.author.email)),
        // Empty when nobody but its author approved it.
        ("approver".into(), joined(&approval.independent)),
    ];
    if !approval.independent.is_empty() {
        attributes.push(("approved_at".into(), Value::Time(approval.landed)));
    }
    Resource::new(ResourceId::from(format!("document:{path}")), attributes)
}

/// The tip of the branch `id` as the last run recorded it in the locker.
pub fn last_tip(git: &Git, locker: &str, id: &ResourceId) -> Option<Oid> {
    let lines = git.text_on(locker, "snapshot/Git.Repo.jsonl")?;
    let mut lines = lines.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let line = lines.find(|line| line["id"] == id.as_str())?;
    Oid::from_str(line["attributes"]["tip"]["text"].as_str()?).ok()
}
