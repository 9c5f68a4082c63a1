//! The log of the locker and the keys it is signed with.

use std::path::Path;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Access, Reach, store_of};
use crate::model::catalog::{Catalog, SecretRef};
use crate::model::locker::LogKey;
use crate::model::secret::Secret;
use crate::record::ledger::Ledger;
use crate::record::log::Signer;
use crate::transport::aws::Sessions;
use crate::world::{ErrorClass, WorldError};

/// What is hashed before a value to make a key of it: the same value used elsewhere makes another.
const DOMAIN: &[u8] = b"slm log key v1\n";
/// The shortest value that a key is made of.
const SHORTEST: usize = 32;

/// The log that `catalog` asks for. It is not signed when no key is named, or the secret of the key has no value yet.
pub async fn ledger(catalog: &Catalog, root: &Path, sessions: &Sessions) -> Result<Ledger, WorldError> {
    let settings = &catalog.settings.locker.log;
    let unsigned = || Ledger::new(settings.origin.clone(), None, None);
    let Some(LogKey { source, region, name }) = &settings.key else { return Ok(unsigned()) };
    let region = region.clone().unwrap_or_else(|| ".".to_owned());
    let secret = SecretRef { source: source.clone(), region, name: name.clone() };
    let reach = Reach { catalog, root, access: Access::Apply("slm-record"), sessions };
    let store = store_of(&reach, &secret).await?;
    let view = store.describe(&secret).await?;
    let Some(current) = view.current() else { return Ok(unsigned()) };
    let signer = signer(&settings.origin, name, &store.read(&secret, current).await?)?;
    let before = match view.previous().filter(|previous| *previous != current) {
        // Whatever was there before is a key only if the log knows it; that it cannot be read matters only then.
        Some(previous) => {
            store.read(&secret, previous).await.ok().and_then(|value| self::signer(&settings.origin, name, &value).ok())
        }
        None => None,
    };
    Ok(Ledger::new(settings.origin.clone(), Some(signer), before))
}

/// The key that is made of `value`.
fn signer(origin: &str, name: &str, value: &Secret) -> Result<Signer, WorldError> {
    let failed =
        |cause: String| WorldError { class: ErrorClass::Permanent, operation: format!("sign the log with `{name}`"), cause };
    if value.expose().len() < SHORTEST {
        return Err(failed(format!("its value has fewer than {SHORTEST} characters")));
    }
    let seed = Zeroizing::new(<[u8; 32]>::from(Sha256::new_with_prefix(DOMAIN).chain_update(value.expose()).finalize()));
    Signer::new(origin, &seed).map_err(|error| failed(error.to_string()))
}
