//! Names derived from what is current now, so that every rotator that sees the same state aims at the same write-once slot.

use uuid::Uuid;

use super::catalog::SecretRef;
use super::id::{RegisterName, VersionId};

/// Namespace of every name below. It was drawn once and is part of the stored format: changing it orphans every rotation under way.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f2a_4c1e_93d7_4b58_a0c4_5e1f_8d27_b36a);
/// What a value says of what comes after it, by [`mark`]; written before it is in force.
pub const STAGE: &str = "stage";
/// Stands for the generation of a secret without a value.
const NO_GENERATION: &str = "none";

pub use super::plan::rotation_id as rotation;

/// The version that holds attempt `n` at replacing `generation`.
#[must_use]
pub fn slot(secret: &SecretRef, generation: Option<&VersionId>, n: u8) -> VersionId {
    VersionId::from(derived(secret, generation, &["slot", &n.to_string()]).to_string())
}

/// Says, once, where the value of `version` was seen to be let in. The name of its source and of the secret are left out of it, so that
/// it is found under another.
#[must_use]
pub fn place(version: &VersionId) -> RegisterName {
    register("place", Uuid::new_v5(&NAMESPACE, &delimited(&["place", version.as_str()])))
}

/// Which attempt at replacing `generation` is `version`, whatever number of them is declared; `None` when it is none.
#[must_use]
pub fn attempt(secret: &SecretRef, generation: Option<&VersionId>, version: &VersionId) -> Option<u8> {
    if !is_derived(version) {
        return None;
    }
    (0..=u8::MAX).find(|n| slot(secret, generation, *n) == *version)
}

/// True when a rotation of ours made `version` of what `before` left: an attempt at replacing it, or its way back.
#[must_use]
pub fn follows(secret: &SecretRef, before: &VersionId, version: &VersionId) -> bool {
    *version == rollback(secret, before) || attempt(secret, Some(before), version).is_some()
}

/// True when a rotation of ours made `version` of what `before` left, of the two that are labelled among `all`: also under another name
/// of the source or the secret, by which it cannot be derived any more. What was made of another version, or by AWS at our request, was
/// not made of `before`, nor was what `before` was made of.
#[must_use]
pub fn continues<'a>(
    secret: &SecretRef,
    before: &VersionId,
    version: &VersionId,
    all: impl Iterator<Item = &'a VersionId> + Clone,
) -> bool {
    if follows(secret, before, version) {
        return true;
    }
    let by_aws = |from: Option<&VersionId>| (0..=u8::MAX).any(|n| asked(secret, from, n) == *version);
    is_derived(version)
        && attempt(secret, None, version).is_none()
        && !follows(secret, version, before)
        && !by_aws(None)
        && !all.into_iter().any(|from| follows(secret, from, version) || by_aws(Some(from)))
}

/// False for a name that cannot be one of those below: so that most are told without deriving any.
fn is_derived(version: &VersionId) -> bool {
    Uuid::try_parse(version.as_str()).is_ok_and(|name| name.get_version_num() == 5)
}

/// The version that holds the place of a first value. It is the same in every secret and under every name of its source, so that whoever
/// looks knows it without reading a value.
#[must_use]
pub fn placeholder() -> VersionId {
    VersionId::from(Uuid::new_v5(&NAMESPACE, b"placeholder").to_string())
}

/// The version that a store which replaces `generation` by itself is asked to make, the `n`-th time it is asked afresh.
#[must_use]
pub fn asked(secret: &SecretRef, generation: Option<&VersionId>, n: u8) -> VersionId {
    VersionId::from(derived(secret, generation, &["asked", &n.to_string()]).to_string())
}

/// The version that brings back the value that `generation` replaced.
#[must_use]
pub fn rollback(secret: &SecretRef, generation: &VersionId) -> VersionId {
    VersionId::from(derived(secret, Some(generation), &["rollback"]).to_string())
}

/// Says, once, whether attempt `n` is good: `approve <instant>` or `reject <instant> <why>`.
#[must_use]
pub fn verdict(secret: &SecretRef, generation: Option<&VersionId>, n: u8) -> RegisterName {
    register("verdict", derived(secret, generation, &["verdict", &n.to_string()]))
}

/// Says, once, that none of `attempts` at replacing `generation` is left: whoever allows more asks another register.
#[must_use]
pub fn spent(secret: &SecretRef, generation: Option<&VersionId>, attempts: u8) -> RegisterName {
    register("spent", derived(secret, generation, &["spent", &attempts.to_string()]))
}

/// Says, once, whether what preceded `generation` is retired or comes back: `retire` or `rollback`.
#[must_use]
pub fn fate(secret: &SecretRef, generation: &VersionId) -> RegisterName {
    register("fate", derived(secret, Some(generation), &["fate"]))
}

/// Says, once, that the value of `generation` is in wrong hands, whoever replaces it: the instant at which that was written down.
#[must_use]
pub fn leak(secret: &SecretRef, generation: &VersionId) -> RegisterName {
    register("leak", derived(secret, Some(generation), &["leak"]))
}

/// Says, once, whether what preceded `generation`, and was being ended, is deleted or comes back all the same: `delete` or
/// `revive <instant>`.
#[must_use]
pub fn last(secret: &SecretRef, generation: &VersionId) -> RegisterName {
    register("last", derived(secret, Some(generation), &["last"]))
}

/// Keeps an instant of `generation` by the store's clock, written after the fact and so never too early: `promoted`, `disabled`,
/// `refused`, `done`, `verified`.
#[must_use]
pub fn mark(secret: &SecretRef, generation: &VersionId, what: &str) -> RegisterName {
    register(what, derived(secret, Some(generation), &["mark", what]))
}

fn register(what: &str, name: Uuid) -> RegisterName {
    RegisterName::from(format!("{what}-{name}"))
}

fn derived(secret: &SecretRef, generation: Option<&VersionId>, what: &[&str]) -> Uuid {
    let mut parts = vec![secret.source.as_str(), &secret.region, &secret.name, text(generation)];
    parts.extend_from_slice(what);
    Uuid::new_v5(&NAMESPACE, &delimited(&parts))
}

fn text(generation: Option<&VersionId>) -> &str {
    generation.map_or(NO_GENERATION, VersionId::as_str)
}

/// Each part after its length in eight big-endian bytes, so that no two lists give the same bytes.
fn delimited(parts: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(region: &str, name: &str) -> SecretRef {
        SecretRef { source: "v".into(), region: region.to_owned(), name: name.to_owned() }
    }

    #[test]
    fn names_are_stable_and_each_register_has_its_own() {
        let (a, g) = (secret("r", "x"), VersionId::from("g"));
        let versions = [
            slot(&a, Some(&g), 0),
            slot(&a, Some(&g), 1),
            slot(&a, None, 0),
            rollback(&a, &g),
            asked(&a, Some(&g), 0),
            placeholder(),
        ];
        let registers = [
            verdict(&a, Some(&g), 0),
            verdict(&a, Some(&g), 1),
            fate(&a, &g),
            last(&a, &g),
            leak(&a, &g),
            mark(&a, &g, "done"),
            mark(&a, &g, "fate"),
            spent(&a, Some(&g), 3),
            spent(&a, Some(&g), 4),
            spent(&a, None, 3),
            place(&g),
        ];
        let uuid = |name: &str| name[name.len() - 36..].to_owned();
        let all = versions.iter().map(|id| uuid(id.as_str())).chain(registers.iter().map(|name| uuid(name.as_str())));
        assert_eq!(all.collect::<std::collections::BTreeSet<_>>().len(), versions.len() + registers.len());
        assert_eq!(versions[0].as_str(), slot(&a, Some(&g), 0).as_str());
        assert_eq!(versions[0].as_str().len(), 36);
    }

    #[test]
    fn an_attempt_is_known_for_one_whatever_number_of_them_is_declared() {
        let (a, g) = (secret("r", "x"), VersionId::from("g"));
        for n in [0, 1, 7, u8::MAX] {
            assert_eq!(attempt(&a, Some(&g), &slot(&a, Some(&g), n)), Some(n));
            assert!(follows(&a, &g, &slot(&a, Some(&g), n)));
        }
        assert_eq!(attempt(&a, None, &slot(&a, None, 3)), Some(3));
        assert!(follows(&a, &g, &rollback(&a, &g)) && attempt(&a, Some(&g), &rollback(&a, &g)).is_none());
        // Another generation's, another secret's, of another source, and one that a person made.
        let renamed = SecretRef { source: "w".into(), ..a.clone() };
        for other in
            [slot(&a, Some(&"h".into()), 0), slot(&secret("r", "y"), Some(&g), 0), slot(&renamed, Some(&g), 0), "g2".into()]
        {
            assert!(!follows(&a, &g, &other), "{other}");
        }
    }

    #[test]
    fn what_was_made_under_another_name_of_the_source_goes_on_from_the_version_before() {
        let (a, g) = (secret("r", "x"), VersionId::from("g"));
        let renamed = SecretRef { source: "w".into(), ..a.clone() };
        let made = slot(&renamed, Some(&g), 4);
        let all = |more: &[&VersionId]| more.iter().map(|id| (*id).clone()).chain([g.clone(), made.clone()]).collect::<Vec<_>>();
        assert!(continues(&a, &g, &made, all(&[]).iter()) && continues(&renamed, &g, &made, all(&[]).iter()));
        // A person made it; the label was moved back; it was made of another version; AWS made it; it was the first.
        let (h, later) = (VersionId::from("h"), slot(&a, Some(&made), 0));
        assert!(!continues(&a, &g, &h, all(&[&h]).iter()));
        assert!(!continues(&a, &later, &made, all(&[&later]).iter()));
        assert!(!continues(&a, &g, &slot(&a, Some(&h), 9), all(&[&h]).iter()));
        assert!(!continues(&a, &g, &asked(&a, Some(&h), 1), all(&[&h]).iter()));
        assert!(!continues(&a, &g, &slot(&a, None, 0), all(&[]).iter()));
    }

    #[test]
    fn moving_a_boundary_between_parts_changes_the_name() {
        assert_ne!(slot(&secret("ab", "c"), None, 0), slot(&secret("a", "bc"), None, 0));
        assert_ne!(rotation(&"ab".into(), Some(&"c".into())), rotation(&"a".into(), Some(&"bc".into())));
    }

    #[test]
    fn a_rotation_is_named_by_twelve_hex_digits() {
        let name = rotation(&"db".into(), None);
        assert!(name.as_str().len() == 12 && name.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
