//! Names derived from what is current now, so that every rotator that sees the same state aims at the same write-once slot.

use uuid::Uuid;

use crate::model::catalog::SecretRef;
use crate::model::id::VersionId;

/// Namespace of every name below. It was drawn once and is part of the stored format: changing it orphans every rotation under way.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f2a_4c1e_93d7_4b58_a0c4_5e1f_8d27_b36a);
/// Stands for the generation of a secret without a value.
const NO_GENERATION: &str = "none";

pub use crate::model::plan::rotation_id as rotation;

/// The version that holds attempt `n` at replacing `generation`.
#[must_use]
pub fn slot(secret: &SecretRef, generation: Option<&VersionId>, n: u8) -> VersionId {
    register(secret, generation, &["slot", &n.to_string()])
}

/// The register that says, once, whether attempt `n` is good.
#[must_use]
pub fn verdict(secret: &SecretRef, generation: Option<&VersionId>, n: u8) -> VersionId {
    register(secret, generation, &["verdict", &n.to_string()])
}

/// The register that says, once, whether what preceded `generation` is retired or comes back.
#[must_use]
pub fn fate(secret: &SecretRef, generation: Option<&VersionId>) -> VersionId {
    register(secret, generation, &["fate"])
}

fn register(secret: &SecretRef, generation: Option<&VersionId>, what: &[&str]) -> VersionId {
    let mut parts = vec![secret.source.as_str(), &secret.region, &secret.name, text(generation)];
    parts.extend_from_slice(what);
    VersionId::from(Uuid::new_v5(&NAMESPACE, &delimited(&parts)).to_string())
}

fn text(generation: Option<&VersionId>) -> &str {
    generation.map_or(NO_GENERATION, VersionId::as_str)
}

/// Each part after its length in eight big-endian bytes, so that no two lists give the same bytes.
fn delimited(parts: &[&str]) -> Vec<u8> {
    parts.iter().flat_map(|part| (part.len() as u64).to_be_bytes().into_iter().chain(part.bytes())).collect()
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
        let names = [slot(&a, Some(&g), 0), slot(&a, Some(&g), 1), slot(&a, None, 0), verdict(&a, Some(&g), 0), fate(&a, Some(&g))];
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
        assert_eq!(names[0], slot(&a, Some(&g), 0));
        assert_eq!(names[0].as_str().len(), 36);
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
