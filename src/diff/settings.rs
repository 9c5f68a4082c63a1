//! `slm.toml` and the files of credentials in two texts.

use std::collections::{BTreeMap, BTreeSet};

use super::edits::{Absent, Edits};
use crate::model::catalog::{
    AwsSource, Catalog, Credential, GateSettings, LeakTrigger, RotationPolicy, RunLimits, Settings, SourceKind,
};
use crate::model::difference::{CredentialChange, Edit, Fate, Way};
use crate::model::id::{CredentialId, SourceId};
use crate::model::time::Limit;

/// Keys of `slm.toml` that are other. What is read of fewer places asks for less.
pub(super) fn settings(before: &Settings, after: &Settings) -> Vec<Edit> {
    let Settings { owner, locker, limits, tiers, default_tier, registers, sources, people, notify, issues, alerts } = before;
    let mut edits = Edits::default();
    tiers_of(&mut edits, tiers, &after.tiers);
    edits.turned("tiers.default", default_tier, &after.default_tier, Some(default_way(before, after)));
    limits_of(&mut edits, limits, &after.limits);
    sources_of(&mut edits, sources, &after.sources);
    edits.other("people", people, &after.people, Some(Way::Incomparable));
    let text = |owner: &Option<String>| owner.clone().unwrap_or_default();
    edits.word("owner", &text(owner), &text(&after.owner));
    edits.word("locker.branch", &locker.branch, &after.locker.branch);
    let rest = |of: &Settings| {
        let mut rest = of.locker.clone();
        rest.branch.clear();
        rest
    };
    edits.other("locker", &rest(before), &rest(after), None);
    edits.other("registers", registers, &after.registers, None);
    edits.other("notify", &(notify, issues), &(&after.notify, &after.issues), None);
    edits.other("alert", alerts, &after.alerts, None);
    edits.0
}

fn limits_of(edits: &mut Edits, before: &RunLimits, after: &RunLimits) {
    let RunLimits { rotate_percent, concurrency, requests_per_second, freeze } = before;
    edits.limit("limits.rotate-percent", rotate_percent, &after.rotate_percent, Way::Looser);
    edits.word("limits.concurrency", concurrency, &after.concurrency);
    edits.word("limits.requests-per-second", requests_per_second, &after.requests_per_second);
    edits.set("limits.freeze", freeze.iter().map(ToString::to_string), after.freeze.iter().map(ToString::to_string), None);
}

/// A tier that has no limit yields no evidence: neither more nor less than one that has.
fn tiers_of(edits: &mut Edits, before: &BTreeMap<String, Limit>, after: &BTreeMap<String, Limit>) {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let what = format!("tiers.limits.{name}");
        match (before.get(name), after.get(name)) {
            (Some(old), Some(new)) => edits.limit(&what, old, new, Way::Looser),
            (old, new) => {
                edits.push(&what, old.map(ToString::to_string), new.map(ToString::to_string), Some(Way::Incomparable));
            }
        }
    }
}

/// Which way it goes for what has no tier of its own.
fn default_way(before: &Settings, after: &Settings) -> Way {
    match (before.tiers.get(&before.default_tier), after.tiers.get(&after.default_tier)) {
        (Some(old), Some(new)) => Way::by(new > old, new < old),
        _ => Way::Incomparable,
    }
}

fn sources_of(edits: &mut Edits, before: &BTreeMap<SourceId, SourceKind>, after: &BTreeMap<SourceId, SourceKind>) {
    edits.set("source", before.keys(), after.keys(), Some(Way::Tighter));
    for (name, old) in before {
        let what = format!("source.{name}");
        match (old, after.get(name)) {
            (SourceKind::Aws(old), Some(SourceKind::Aws(new))) => aws(edits, &what, old, new),
            (_, Some(new)) => edits.other(&what, old, new, Some(Way::Incomparable)),
            (_, None) => {}
        }
    }
}

fn aws(edits: &mut Edits, what: &str, before: &AwsSource, after: &AwsSource) {
    let AwsSource { account, regions, read_role, apply_role, profile, endpoint, administrators, events } = before;
    edits.turned(&format!("{what}.account"), account, &after.account, Some(Way::Incomparable));
    edits.set(&format!("{what}.regions"), regions, &after.regions, Some(Way::Tighter));
    match (administrators, &after.administrators) {
        (Some(old), Some(new)) => edits.set(&format!("{what}.administrators"), old, new, Some(Way::Looser)),
        (old, new) => edits.other(&format!("{what}.administrators"), old, new, Some(Way::Incomparable)),
    }
    let access = (read_role, apply_role, profile, endpoint, events);
    let new = (&after.read_role, &after.apply_role, &after.profile, &after.endpoint, &after.events);
    edits.other(&format!("{what}.access"), &access, &new, None);
}

/// Credentials that came, went or are other.
pub(super) fn credentials(base: &Catalog, head: &Catalog) -> Vec<CredentialChange> {
    let ids: BTreeSet<&CredentialId> = base.credentials.keys().chain(head.credentials.keys()).collect();
    let one = |id: &CredentialId| {
        let (fate, edits) = match (base.credentials.get(id), head.credentials.get(id)) {
            (Some(before), Some(after)) => (Fate::Changed, credential(before, after)),
            (Some(_), None) => (Fate::Removed, Vec::new()),
            (None, _) => (Fate::Added, Vec::new()),
        };
        (fate != Fate::Changed || !edits.is_empty()).then(|| CredentialChange { credential: id.clone(), fate, edits })
    };
    ids.into_iter().filter_map(one).collect()
}

fn credential(before: &Credential, after: &Credential) -> Vec<Edit> {
    let Credential { id: _, title, owner, satisfies, secret, rotator, policy, gate, consumers, leak, after: made_of, place: _ } =
        before;
    let mut edits = Edits::default();
    rotation(&mut edits, policy, &after.policy);
    waiting(&mut edits, gate, &after.gate);
    edits.set("satisfies", satisfies, &after.satisfies, None);
    edits.set("leak.triggers", leak.iter().map(trigger), after.leak.iter().map(trigger), Some(Way::Tighter));
    edits.set("after", made_of, &after.after, None);
    let ids = |of: &Credential| -> Vec<String> { of.consumers.iter().map(|one| one.id.to_string()).collect() };
    edits.set("consumer", ids(before), ids(after), None);
    if BTreeSet::from_iter(ids(before)) == BTreeSet::from_iter(ids(after)) {
        // A new value is delivered in this order.
        edits.word("consumer", &ids(before).join(", "), &ids(after).join(", "));
    }
    for old in consumers {
        if let Some(new) = after.consumers.iter().find(|new| new.id == old.id) {
            edits.other(&format!("consumer.{}", old.id), old, new, None);
        }
    }
    edits.other("secret", secret, &after.secret, None);
    edits.word("rotator", &rotator.kind(), &after.rotator.kind());
    if rotator.kind() == after.rotator.kind() {
        edits.other("rotator", rotator, &after.rotator, None);
    }
    edits.word("owner", owner, &after.owner);
    edits.word("title", title, &after.title);
    edits.0
}

fn rotation(edits: &mut Edits, before: &RotationPolicy, after: &RotationPolicy) {
    let RotationPolicy {
        rotate_every,
        jitter,
        attempts,
        lease,
        allow_gap,
        max_validity,
        not_before,
        windows,
        freeze,
        ended_elsewhere,
    } = before;
    edits.limit("policy.rotate-every", rotate_every, &after.rotate_every, Way::Looser);
    // It is due up to so much earlier.
    edits.limit("policy.jitter", jitter, &after.jitter, Way::Tighter);
    let validity = (max_validity.as_ref(), after.max_validity.as_ref());
    edits.optional("policy.max-validity", validity, Way::Looser, Absent::Greatest);
    edits.optional("policy.allow-gap", (allow_gap.as_ref(), after.allow_gap.as_ref()), Way::Looser, Absent::Least);
    edits.optional("policy.not-before", (not_before.as_ref(), after.not_before.as_ref()), Way::Looser, Absent::Least);
    edits.word("policy.attempts", attempts, &after.attempts);
    edits.word("policy.lease", lease, &after.lease);
    edits.set("policy.windows", windows.iter().map(ToString::to_string), after.windows.iter().map(ToString::to_string), None);
    edits.set("policy.freeze", freeze.iter().map(ToString::to_string), after.freeze.iter().map(ToString::to_string), None);
    edits.set("policy.ended-elsewhere", ended_elsewhere, &after.ended_elsewhere, None);
}

/// A longer wait spares whoever still uses the value before and lets it live longer: neither looser nor tighter.
fn waiting(edits: &mut Edits, before: &GateSettings, after: &GateSettings) {
    let GateSettings { quiet, quiet_max, drain, soak, adopt_within, deadline, on_deadline } = before;
    edits.optional("gate.deadline", (deadline.as_ref(), after.deadline.as_ref()), Way::Looser, Absent::Greatest);
    edits.limit("gate.adopt-within", adopt_within, &after.adopt_within, Way::Looser);
    edits.word("gate.quiet", quiet, &after.quiet);
    edits.word("gate.quiet-max", quiet_max, &after.quiet_max);
    edits.word("gate.soak", soak, &after.soak);
    edits.word("gate.drain", drain, &after.drain);
    edits.word("gate.on-deadline", &on_deadline.as_str(), &after.on_deadline.as_str());
}

fn trigger(trigger: &LeakTrigger) -> &'static str {
    match trigger {
        LeakTrigger::AwsQuarantinePolicy => "aws-quarantine-policy",
        LeakTrigger::GithubSecretScanning => "github-secret-scanning",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> AwsSource {
        AwsSource { account: "111122223333".to_owned(), regions: vec!["eu-west-1".to_owned()], ..AwsSource::default() }
    }

    /// What is done to an account, and what is told of it.
    type Case = (fn(&mut AwsSource), &'static str, Option<Way>);

    #[test]
    fn every_key_of_an_account_is_compared() {
        let cases: [Case; 9] = [
            (|one| one.account = "444455556666".to_owned(), "account", Some(Way::Incomparable)),
            (|one| one.regions.push("eu-west-2".to_owned()), "regions", Some(Way::Tighter)),
            (|one| one.regions.clear(), "regions", Some(Way::Looser)),
            (|one| one.administrators = Some(Vec::new()), "administrators", Some(Way::Incomparable)),
            (|one| one.read_role = Some("r".to_owned()), "access", None),
            (|one| one.apply_role = Some("r".to_owned()), "access", None),
            (|one| one.profile = Some("p".to_owned()), "access", None),
            (|one| one.endpoint = Some("http://localhost".to_owned()), "access", None),
            (|one| one.events = Some(Limit::days(1)), "access", None),
        ];
        for (change, key, way) in cases {
            let (mut edits, mut after) = (Edits::default(), account());
            change(&mut after);
            aws(&mut edits, "source.prod", &account(), &after);
            let told: Vec<_> = edits.0.into_iter().map(|edit| (edit.what, edit.way)).collect();
            assert_eq!(told, [(format!("source.prod.{key}"), way)]);
        }
    }
}
