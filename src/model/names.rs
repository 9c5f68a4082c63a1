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
        ];
        let uuid = |name: &str| name[name.len() - 36..].to_owned();
        let all = versions.iter().map(|id| uuid(id.as_str())).chain(registers.iter().map(|name| uuid(name.as_str())));
        assert_eq!(all.collect::<std::collections::BTreeSet<_>>().len(), versions.len() + registers.len());
        assert_eq!(versions[0].as_str(), slot(&a, Some(&g), 0).as_str());
        assert_eq!(versions[0].as_str().len(), 36);
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
