//! Checks on how credentials are rotated: kinds, policies, and what they cannot both be.

use std::collections::BTreeMap;

use super::checks::Repo;
use super::managed::{one_kind, source};
use super::text::{Doc, Item, error};
use super::{by_hand, databases, deadlines, http, raw};
use crate::model::catalog::{GateSettings, LeakTrigger};
use crate::model::diagnostic::Diagnostic;
use crate::model::rotator::{AwsManaged, Exec, GithubDeployKey, IamAccessKey, Keyset, Overlap, RotatorConfig};
use crate::model::time::Limit;

/// Characters below which a random value of any alphabet can be guessed (16 hex digits are 64 bits).
const SHORTEST: u16 = 16;

/// Rotation policies and rotators can be followed.
pub fn rotators(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    for Item { doc, raw } in &repo.credentials {
        let kinds = raw.rotator.kinds();
        let given: Vec<bool> = kinds.iter().map(|(_, kind)| kind.is_some()).collect();
        let names: Vec<String> = kinds.iter().map(|(name, _)| format!("`{name}`")).collect();
        one_kind(doc, &["rotator"], &given, &names.join(", "), out);
        for (name, kind) in kinds.iter().filter_map(|(name, kind)| Some((*name, kind.as_ref()?))) {
            rotator(repo, doc, raw, name, kind, out);
            fits(doc, raw, name, kind, out);
            triggers(repo, doc, raw, (name, kind), out);
        }
        policy(doc, &raw.policy, out);
        deadlines::deadlines(doc, raw, out);
    }
    user_owned_once(repo, out);
    databases::owned_once(repo, out);
    http::named_once(repo, out);
}

fn rotator(repo: &Repo<'_>, doc: &Doc<'_>, raw: &raw::Credential, name: &str, kind: &RotatorConfig, out: &mut Vec<Diagnostic>) {
    match kind {
        RotatorConfig::Random(random) if random.length < SHORTEST => {
            let message = format!("a value of {} characters can be guessed", random.length);
            let help = format!("use {SHORTEST} characters or more");
            out.push(error("slm::short-secret", doc.at(&["rotator", name, "length"]), message, Some(help)));
        }
        RotatorConfig::Random(_) => {}
        RotatorConfig::Keyset(keys) => keyset(doc, raw, keys, out),
        RotatorConfig::AwsIamAccessKey(key) => iam_access_key(repo, doc, raw, key, out),
        RotatorConfig::GithubDeployKey(key) => deploy_key(repo, doc, key, out),
        RotatorConfig::AwsManaged(managed) => aws_managed(repo, doc, raw, managed, out),
        RotatorConfig::Exec(plugin) => exec(doc, plugin, out),
        RotatorConfig::Http(vendor) => http::rotator(doc, raw, vendor, out),
        RotatorConfig::Manual(_) | RotatorConfig::Observe(_) => {
            if let Some(hand) = kind.by_hand() {
                by_hand::rotator(repo, doc, raw, hand, out);
            }
        }
        RotatorConfig::PostgresAlternating(_)
        | RotatorConfig::PostgresPassword(_)
        | RotatorConfig::MysqlAlternating(_)
        | RotatorConfig::MysqlDual(_)
        | RotatorConfig::MysqlPassword(_) => databases::rotator(doc, name, kind, SHORTEST, out),
    }
}

/// The secret is one of AWS, which gets time for a rotation; nobody can try a value that slm does not see.
fn aws_managed(repo: &Repo<'_>, doc: &Doc<'_>, raw: &raw::Credential, managed: &AwsManaged, out: &mut Vec<Diagnostic>) {
    if managed.expect_within <= Limit::seconds(0) {
        let place = doc.at(&["rotator", "aws-managed", "expect-within"]);
        out.push(error("slm::bad-limit", place, "`expect-within` of 0 gives AWS no time", None));
    }
    let found = repo.settings.as_ref().and_then(|settings| settings.raw.source.get(&raw.secret.source));
    if found.is_some_and(|found| found.aws.is_none()) {
        let message = format!("AWS does not rotate what is in source `{}`", raw.secret.source);
        let help = "name a source of kind `aws`, or use another kind".to_owned();
        out.push(error("slm::not-an-account", doc.at(&["secret", "source"]), message, Some(help)));
    }
    for (index, consumer) in raw.consumer.iter().enumerate().filter(|(_, consumer)| consumer.canary) {
        let message = format!("consumer `{}` cannot try a value that AWS puts in force by itself", consumer.id);
        let place = doc.at(&["consumer", &index.to_string(), "canary"]);
        out.push(error("slm::no-canary", place, message, Some("delete `canary`".to_owned())));
    }
}

/// Keys cannot be guessed, one stays, and the oldest is gone before the next one comes.
fn keyset(doc: &Doc<'_>, raw: &raw::Credential, keys: &Keyset, out: &mut Vec<Diagnostic>) {
    let at = |name: &str| doc.at(&["rotator", "keyset", name]);
    if keys.bytes < SHORTEST {
        let message = format!("a key of {} bytes can be guessed", keys.bytes);
        out.push(error("slm::short-secret", at("bytes"), message, Some(format!("use {SHORTEST} bytes or more"))));
    }
    if keys.keep == 0 {
        let help = "keep 1, or 2 to accept by the key before for a whole period".to_owned();
        out.push(error("slm::bad-limit", at("keep"), "`keep` of 0 leaves no key to sign with", Some(help)));
    }
    if keys.drop_after <= Limit::seconds(0) {
        let help = "write the longest life of what is signed, as in `drop-after = \"1d\"`".to_owned();
        out.push(error("slm::bad-limit", at("drop-after"), "a `drop-after` of 0 refuses what was just signed", Some(help)));
    } else if keys.drop_after >= raw.policy.rotate_every {
        let message =
            format!("`drop-after` of `{}` is not less than `rotate-every` of `{}`", keys.drop_after, raw.policy.rotate_every);
        out.push(error(
            "slm::bad-limit",
            at("drop-after"),
            message,
            Some("rotate less often, or sign for a shorter time".to_owned()),
        ));
    }
}

/// There is a program, and what it says it can do goes together.
fn exec(doc: &Doc<'_>, plugin: &Exec, out: &mut Vec<Diagnostic>) {
    let at = |name: &str| doc.at(&["rotator", "exec", name]);
    if plugin.command.first().is_none_or(|program| program.trim().is_empty()) {
        let help = "name a program, as in `command = [\"./plugins/sap-user\"]`".to_owned();
        out.push(error("slm::empty-command", at("command"), "no command is given", Some(help)));
    }
    if plugin.timeout <= Limit::seconds(0) {
        out.push(error("slm::bad-limit", at("timeout"), "a `timeout` of 0 lets no step happen", None));
    }
    if let Some(why) = plugin.caps.contradiction() {
        out.push(error("slm::bad-capabilities", at("caps"), why, None));
    }
}

/// The repository lives in a GitHub organisation that is in scope.
fn deploy_key(repo: &Repo<'_>, doc: &Doc<'_>, key: &GithubDeployKey, out: &mut Vec<Diagnostic>) {
    let at = |name: &'static str| ["rotator", "github-deploy-key", name];
    let parts: Vec<&str> = key.repo.split('/').collect();
    if parts.len() != 2 || parts.iter().any(|part| matches!(*part, "" | "." | "..") || part.contains(char::is_whitespace)) {
        let help = "write `owner/name`, as in `repo = \"acme/infra-live\"`".to_owned();
        out.push(error("slm::bad-repo", doc.at(&at("repo")), format!("`{}` is no repository", key.repo), Some(help)));
    }
    let found = source(repo, doc, &at("source"), key.source.as_str(), out);
    if found.is_some_and(|found| found.github.is_none()) {
        let message = format!("source `{}` has no repositories", key.source);
        let help = "name a source of kind `github`".to_owned();
        out.push(error("slm::wrong-source-kind", doc.at(&at("source")), message, Some(help)));
    }
}

/// The user lives in an AWS account that is in scope.
fn iam_access_key(repo: &Repo<'_>, doc: &Doc<'_>, raw: &raw::Credential, key: &IamAccessKey, out: &mut Vec<Diagnostic>) {
    let at = |name: &str| doc.at(&["rotator", "aws-iam-access-key", name]);
    if key.user.trim().is_empty() {
        let help = "write the name of the IAM user, as in `user = \"ci-deployer\"`".to_owned();
        out.push(error("slm::bad-user", at("user"), "name of the user is empty", Some(help)));
    }
    let keys: &[&str] = if key.source.is_some() { &["rotator", "aws-iam-access-key", "source"] } else { &["secret", "source"] };
    let id = key.source.as_ref().map_or(raw.secret.source.as_str(), |source| source.as_str());
    // The source of the secret is complained about where it is named.
    let found = match &key.source {
        Some(_) => source(repo, doc, keys, id, out),
        None => repo.settings.as_ref().and_then(|settings| settings.raw.source.get(id)),
    };
    if found.is_some_and(|found| found.aws.is_none()) {
        let message = format!("source `{id}` has no IAM users");
        let help = "name a source of kind `aws` as `source` of the rotator".to_owned();
        out.push(error("slm::not-an-account", doc.at(keys), message, Some(help)));
    }
}

/// No two credentials have the keys of one IAM user: what the one has in force, the other would take for a key of its own that was lost.
fn user_owned_once(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    let mut taken = BTreeMap::new();
    for Item { doc, raw } in &repo.credentials {
        let Some(RotatorConfig::AwsIamAccessKey(key)) = raw.rotator.kind() else { continue };
        let source = key.source.as_ref().map_or(raw.secret.source.as_str(), |source| source.as_str());
        let declared = repo.settings.as_ref().and_then(|settings| settings.raw.source.get(source));
        // Two sources may read one account, and IAM does not tell letters of either case apart.
        let account = declared.and_then(|declared| declared.aws.as_ref()).map_or(source, |aws| aws.account.as_str());
        let first = *taken.entry((account.to_owned(), key.user.to_lowercase())).or_insert(doc.path);
        if first != doc.path {
            let message = format!("the keys of IAM user `{}` already belong to `{first}`", key.user);
            let help = "give each credential a user of its own: each would end the key that the other has in force".to_owned();
            out.push(error("slm::user-owned-twice", doc.at(&["rotator", "aws-iam-access-key", "user"]), message, Some(help)));
        }
    }
}

/// What is asked for goes with what the kind can do.
fn fits(doc: &Doc<'_>, raw: &raw::Credential, name: &str, kind: &RotatorConfig, out: &mut Vec<Diagnostic>) {
    let can = kind.capabilities();
    if can.overlap == Overlap::Single && raw.policy.allow_gap.is_none() {
        let message = format!("`{name}` replaces its value in place, and nobody can log in for a moment");
        let help =
            "add `allow-gap = \"1m\"` to `[policy]` when that is acceptable, or use a kind that lets two values in".to_owned();
        out.push(error("slm::needs-allow-gap", doc.key(&["policy"]), message, Some(help)));
    }
    if can.overlap != Overlap::Single && raw.policy.allow_gap.is_some() {
        let message = format!("`{name}` never leaves a gap");
        out.push(error("slm::needless-gap", doc.at(&["policy", "allow-gap"]), message, Some("delete `allow-gap`".to_owned())));
    }
    for (index, consumer) in raw.consumer.iter().enumerate() {
        let (Some(allowed), Some(stale)) = (raw.policy.allow_gap, consumer.max_staleness) else { continue };
        if can.overlap == Overlap::Single && stale > allowed {
            let message =
                format!("consumer `{}` may go on with the old value for `{stale}`, and `allow-gap` is `{allowed}`", consumer.id);
            let place = doc.at(&["consumer", &index.to_string(), "max-staleness"]);
            out.push(error(
                "slm::gap-too-short",
                place,
                message,
                Some(format!("allow a gap of `{stale}`, or have it read sooner")),
            ));
        }
    }
    // How long a consumer may go without the new value is asked of every kind.
    let alone = |gate: GateSettings| gate == GateSettings { adopt_within: gate.adopt_within, ..GateSettings::default() };
    let one_day = GateSettings::default().adopt_within;
    if !can.validated() && raw.gate.is_some_and(|gate| !alone(gate) || gate.adopt_within == one_day) {
        let message = format!("`{name}` leaves nothing behind that could be retired");
        out.push(error("slm::needless-gate", doc.key(&["gate"]), message, Some("delete `[gate]`".to_owned())));
    }
    for (index, consumer) in raw.consumer.iter().enumerate().filter(|(_, consumer)| consumer.canary) {
        if can.overlap == Overlap::Single {
            let message = format!("consumer `{}` cannot try a value of `{name}` before everybody must have it", consumer.id);
            let place = doc.at(&["consumer", &index.to_string(), "canary"]);
            out.push(error("slm::no-canary", place, message, Some("delete `canary`".to_owned())));
        }
    }
}

/// Somebody could see each sign of a leak that counts.
fn triggers(
    repo: &Repo<'_>,
    doc: &Doc<'_>,
    raw: &raw::Credential,
    (name, kind): (&str, &RotatorConfig),
    out: &mut Vec<Diagnostic>,
) {
    let scanned = repo.settings.as_ref().is_none_or(|settings| settings.raw.source.values().any(|one| one.github.is_some()));
    for (index, trigger) in raw.leak.triggers.iter().enumerate() {
        let is_key = matches!(kind, RotatorConfig::AwsIamAccessKey(_));
        let (message, help) = match trigger {
            LeakTrigger::AwsQuarantinePolicy if !is_key => {
                (format!("`{name}` has no IAM user that AWS could quarantine"), "delete it")
            }
            LeakTrigger::GithubSecretScanning if !is_key => {
                (format!("`{name}` has no access key that GitHub could find"), "delete it")
            }
            LeakTrigger::GithubSecretScanning if !scanned => {
                let message = "no organisation of GitHub is in `slm.toml` that could find the key".to_owned();
                (message, "add a source of kind `github`, or delete it")
            }
            _ => continue,
        };
        let place = doc.at(&["leak", "triggers", &index.to_string()]);
        out.push(error("slm::needless-trigger", place, message, Some(help.to_owned())));
    }
}

fn policy(doc: &Doc<'_>, policy: &raw::Policy, out: &mut Vec<Diagnostic>) {
    if policy.rotate_every <= Limit::seconds(0) {
        out.push(error("slm::bad-limit", doc.at(&["policy", "rotate-every"]), "`rotate-every` is zero", None));
    } else if policy.jitter >= policy.rotate_every {
        let message = format!("jitter `{}` is not less than `rotate-every` of `{}`", policy.jitter, policy.rotate_every);
        out.push(error("slm::jitter-too-long", doc.at(&["policy", "jitter"]), message, None));
    }
    if policy.attempts == 0 {
        out.push(error("slm::bad-limit", doc.at(&["policy", "attempts"]), "`attempts` of 0 lets no rotation happen", None));
    }
    if policy.lease <= Limit::seconds(0) {
        out.push(error("slm::bad-limit", doc.at(&["policy", "lease"]), "a `lease` of 0 lets no run do anything", None));
    }
}
