//! Who still uses a value that is to be ended, and who reads one without being declared: what to ask, and what the answers mean. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::Input;
use super::choose::{rotation_of, see};
use crate::model::catalog::{Credential, Quiet, SourceKind};
use crate::model::id::{CredentialId, SourceId, VersionId};
use crate::model::plan::{Action, ActionKind, Held, Plan};
use crate::model::rotator::{Overlap, RotatorConfig};
use crate::model::snapshot::Resource;
use crate::model::time::{Limit, Timestamp};
use crate::model::usage::{Call, Calls, OldKey, Usage, Used, User, longest_pause};

/// Users of one thing that are named; of more the number is told.
const NAMED: usize = 12;
/// What slm itself asks of a key when it tries it, and what tells nothing of how often it works.
pub(super) const WHO_AM_I: &str = "GetCallerIdentity";

/// What to ask about the uses of one credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The user whose keys are looked at, where, and when the version was written that holds the one in force.
    pub keys: Option<(SourceId, String, Timestamp)>,
    /// The secret whose readings are looked at: its source, region, name and ARN.
    pub secret: Option<(SourceId, String, String, String)>,
}

/// Credentials of `plan` whose uses matter and were not asked for: what they replaced is to be ended, or they are to be replaced.
#[must_use]
pub fn open(plan: &Plan, input: &Input<'_>) -> Vec<CredentialId> {
    let mut all: Vec<CredentialId> = Vec::new();
    for id in touched(&plan.actions, &plan.held) {
        if !input.facts.uses.contains_key(id) && !all.contains(id) {
            all.push(id.clone());
        }
    }
    all
}

/// Those whose end comes first, then those to be replaced.
fn touched<'a>(actions: &'a [Action], held: &'a [Held]) -> impl Iterator<Item = &'a CredentialId> {
    let kinds = || actions.iter().map(|action| &action.kind).chain(held.iter().map(|held| &held.kind));
    let ended = kinds().filter_map(|kind| match kind {
        ActionKind::Finish { credential, .. } => Some(credential),
        _ => None,
    });
    let replaced = kinds().filter_map(|kind| match kind {
        ActionKind::Rotate { credential, .. } => Some(credential),
        _ => None,
    });
    ended.chain(replaced)
}

/// What to ask about the uses of `credential`; nothing when no log tells of them.
#[must_use]
pub fn wanted(input: &Input<'_>, credential: &Credential) -> Option<Wanted> {
    let is_aws = |source: &SourceId| matches!(input.catalog.settings.sources.get(source), Some(SourceKind::Aws(_)));
    let rotation = rotation(input, credential).filter(|rotation| rotation.is("open"));
    let keys = match &credential.rotator {
        RotatorConfig::AwsIamAccessKey(key) => {
            let source = key.source.as_ref().unwrap_or(&credential.secret.source);
            let made = rotation.and_then(|rotation| rotation.instant("made"));
            made.filter(|_| is_aws(source)).map(|made| (source.clone(), key.user.clone(), made))
        }
        _ => None,
    };
    let place = &credential.secret;
    let secret = see(input, credential).resource.filter(|_| is_aws(&place.source));
    let secret = secret.map(|it| (place.source.clone(), place.region.clone(), place.name.clone(), it.id.to_string()));
    (keys.is_some() || secret.is_some()).then_some(Wanted { keys, secret })
}

fn rotation<'a>(input: &'a Input<'_>, credential: &Credential) -> Option<&'a Resource> {
    let version = see(input, credential).resource.and_then(|resource| resource.text("version")).map(VersionId::from)?;
    rotation_of(input, credential, &version)
}

/// Who uses what a plan of these ends or replaces.
pub(super) fn of_plan(input: &Input<'_>, actions: &[Action], held: &[Held]) -> Vec<Usage> {
    let mut all: Vec<&CredentialId> = touched(actions, held).collect();
    all.sort();
    all.dedup();
    all.into_iter().filter_map(|id| input.catalog.credentials.get(id)).flat_map(|credential| usage(input, credential)).collect()
}

/// Who uses `credential`, by what was asked: its old keys, then its value. Nothing when there is nothing to tell.
#[must_use]
pub fn usage(input: &Input<'_>, credential: &Credential) -> Vec<Usage> {
    let Some(asked) = input.facts.uses.get(&credential.id) else { return Vec::new() };
    let rotation = rotation(input, credential);
    let since = rotation.and_then(|it| it.instant("promoted").or_else(|| it.instant("made"))).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut all = match &asked.keys {
        None => Vec::new(),
        Some(Ok(keys)) => keys.iter().map(|key| old_key(credential, key, since)).collect(),
        Some(Err(why)) => {
            let of = Used::OldKey { tail: None, last_used: None, service: None, since };
            vec![Usage { unseen: vec![why.clone()], ..empty(credential, of) }]
        }
    };
    all.extend(asked.reads.as_ref().map(|reads| readers(input, credential, reads)).filter(worth_telling));
    all
}

fn worth_telling(usage: &Usage) -> bool {
    !(usage.users.is_empty() && usage.warnings.is_empty() && usage.unseen.is_empty())
}

fn empty(credential: &Credential, of: Used) -> Usage {
    Usage {
        credential: credential.id.clone(),
        of,
        users: Vec::new(),
        warnings: Vec::new(),
        unseen: Vec::new(),
        declare: String::new(),
    }
}

/// Who used `key` since the one in force was promoted.
fn old_key(credential: &Credential, key: &OldKey, since: Timestamp) -> Usage {
    let calls = &key.calls;
    let late: Vec<&Call> = calls.calls.iter().filter(|call| call.at >= since).collect();
    let last_used = key.last_used.as_ref();
    let of = Used::OldKey {
        tail: Some(key.tail.clone()),
        last_used: last_used.map(|(at, _)| *at),
        service: last_used.map(|(_, service)| service.clone()),
        since,
    };
    let mut usage = Usage { unseen: unseen(calls, since), ..empty(credential, of) };
    if let Some((at, service)) = unseen_use(key, since) {
        let what = "no call that CloudTrail has shown: it has each some minutes late, and none on data, such as objects of S3";
        usage.warnings.push(format!("its last use at {at} ({service}) is {what}"));
    }
    usage.warnings.extend(quiet(credential, calls));
    name(&late, &mut usage);
    usage
}

/// The last use of `key` that its target tells, when it is not before `since` and no call that was logged since can be it.
pub(super) fn unseen_use(key: &OldKey, since: Timestamp) -> Option<&(Timestamp, String)> {
    let minute = |at: &Timestamp| at.as_second().div_euclid(60);
    let logged = |at: &Timestamp| key.calls.calls.iter().any(|call| call.at >= since && minute(&call.at) >= minute(at));
    key.last_used.as_ref().filter(|(at, _)| *at >= since && !logged(at))
}

/// A key that rests for longer than it must is quiet proves nothing by being quiet.
fn quiet(credential: &Credential, calls: &Calls) -> Option<String> {
    let whole = calls.whole_since().unwrap_or(Timestamp::MIN);
    let work = calls.calls.iter().filter(|call| call.at >= whole && call.event != WHO_AM_I);
    let pause = longest_pause(work.map(|call| call.at).collect())?;
    let quiet = credential.gate.longest_quiet();
    let key = if credential.gate.quiet == Quiet::Auto { "quiet-max" } else { "quiet" };
    (quiet < pause).then(|| {
        let hours = Limit::seconds((pause.as_seconds() + 3_599) / 3_600 * 3_600);
        format!("it has rested for up to {hours} between two uses: `{key} = \"{quiet}\"` under `[gate]` would take such a rest for its end")
    })
}

/// Who reads the value and is neither slm nor declared as a consumer's.
fn readers(input: &Input<'_>, credential: &Credential, reads: &Calls) -> Usage {
    let source = &credential.secret.source;
    let own = ours(input, source);
    let declared = |who: &str| credential.consumers.iter().any(|consumer| consumer.principals.iter().any(|one| one == who));
    let strange: Vec<&Call> =
        reads.calls.iter().filter(|call| !declared(&call.principal) && !own.contains(&call.principal)).collect();
    let mut usage = Usage { unseen: unseen(reads, Timestamp::MIN), ..empty(credential, Used::Value) };
    let unnamed: Vec<String> =
        credential.consumers.iter().filter(|one| one.reads_unnamed()).map(|one| format!("`{}`", one.id)).collect();
    if !strange.is_empty() {
        let file = format!("credentials/{}.toml", credential.id);
        usage.warnings.push(if unnamed.is_empty() {
            format!("name whoever may read it in `principals` of a consumer in `{file}`: what reads it undeclared is waited for by nobody")
        } else {
            format!("it may be {}, which names no `principals` in `{file}`", unnamed.join(", "))
        });
    }
    name(&strange, &mut usage);
    if unnamed.is_empty() {
        usage.declare = stanza(credential, &usage.users);
    }
    usage
}

/// A consumer that reads as the roles and users among `users`.
fn stanza(credential: &Credential, users: &[User]) -> String {
    let named = |one: &&User| one.principal.contains(":role/") || one.principal.contains(":user/");
    let principals: BTreeSet<&str> = users.iter().filter(named).map(|one| one.principal.as_str()).collect();
    let Some(first) = principals.first() else { return String::new() };
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    let mut id: String = first.rsplit('/').next().unwrap_or_default().chars().map(plain).collect();
    while credential.consumers.iter().any(|consumer| consumer.id.as_str() == id) {
        id.push_str("-too");
    }
    let quoted: Vec<String> = principals.iter().map(|principal| format!("\"{principal}\"")).collect();
    let ends =
        credential.rotator.capabilities().validated() && !matches!(credential.rotator.capabilities().overlap, Overlap::Single);
    let seen = if ends { "{ acknowledged-by = \"cloudtrail\" }" } else { "{}" };
    format!(
        "[[consumer]]\nid = \"{id}\"\nself-refreshing = {seen}\nmax-staleness = \"1h\"   # for as long as it goes on with what it read\nprincipals = [{}]\n",
        quoted.join(", ")
    )
}

/// The roles and the user that slm calls `source` as.
fn ours(input: &Input<'_>, source: &SourceId) -> Vec<String> {
    let mut own = Vec::new();
    if let Some(SourceKind::Aws(account)) = input.catalog.settings.sources.get(source) {
        own.extend(account.read_role.iter().chain(&account.apply_role).cloned());
    }
    let callers = input.snapshot.receipts.iter().filter(|receipt| receipt.source == *source);
    for caller in callers.filter_map(|receipt| receipt.caller.as_deref()) {
        own.push(caller.to_owned());
        // A session of a role is logged as the role, without whatever path that has.
        let session = caller
            .split_once(":assumed-role/")
            .and_then(|(head, rest)| Some(format!("{}:role/{}", head.replacen(":sts:", ":iam:", 1), rest.split('/').next()?)));
        own.extend(session);
    }
    own
}

/// What was not looked at and would have counted from `since` on.
fn unseen(calls: &Calls, since: Timestamp) -> Vec<String> {
    let cut = calls.cut.iter().filter(|(_, from)| *from > since);
    let cut = cut.map(|(region, from)| format!("CloudTrail of {region}: too many calls to look at those before {from}"));
    calls.unseen.iter().cloned().chain(cut).collect()
}

/// Names who made `calls`, the latest first.
fn name(calls: &[&Call], usage: &mut Usage) {
    let mut by: BTreeMap<(&str, &str, &str), (u64, &Call)> = BTreeMap::new();
    for &call in calls {
        let (times, last) = by.entry((&call.principal, &call.user_agent, &call.source_ip)).or_insert((0, call));
        *times += 1;
        if call.at > last.at {
            *last = call;
        }
    }
    let user = |(times, last): (u64, &Call)| User {
        principal: last.principal.clone(),
        user_agent: last.user_agent.clone(),
        source_ip: last.source_ip.clone(),
        event: last.event.clone(),
        region: last.region.clone(),
        last: last.at,
        times,
    };
    let mut users: Vec<User> = by.into_values().map(user).collect();
    users.sort_by(|a, b| b.last.cmp(&a.last).then_with(|| a.principal.cmp(&b.principal)));
    if users.len() > NAMED {
        usage.warnings.push(format!("{} more are not named here", users.len() - NAMED));
        users.truncate(NAMED);
    }
    usage.users = users;
}
