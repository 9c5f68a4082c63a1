//! The log of the locker and the keys it is signed with.

use std::path::Path;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Access, Reach, session, store_of};
use crate::cli::pipeline::block_on;
use crate::model::catalog::{Catalog, SecretRef};
use crate::model::locker::LogKey;
use crate::model::secret::Secret;
use crate::record::ledger::Ledger;
use crate::record::log::{Signer, Verifier};
use crate::transport::aws::Sessions;
use crate::transport::kms_key::KmsKey;
use crate::world::{ErrorClass, WorldError};

/// What is hashed before a value to make a key of it: the same value used elsewhere makes another.
const DOMAIN: &[u8] = b"slm log key v1\n";
/// The shortest value that a key is made of.
const SHORTEST: usize = 32;

/// The log that `catalog` asks for. It is not signed when no key is named, or the secret of the key has no value yet.
pub async fn ledger(catalog: &Catalog, root: &Path, sessions: &Sessions) -> Result<Ledger, WorldError> {
    let settings = &catalog.settings.locker.log;
    let unsigned = || Ledger::new(settings.origin.clone(), None, None);
    let reach = Reach { catalog, root, access: Access::Apply("slm-record"), sessions };
    let Some(key) = &settings.key else { return Ok(unsigned()) };
    let Some((signer, previous)) = open(&reach, &settings.origin, key).await? else { return Ok(unsigned()) };
    let before = match &settings.before {
        Some(before) => open(&reach, &settings.origin, before).await?.map(|(signer, _)| signer),
        None => previous,
    };
    let pin = |key: &String| {
        let wrong = |error| WorldError {
            class: ErrorClass::Permanent,
            operation: "read `trust` of the log".to_owned(),
            cause: format!("`{key}` is no key: {error}"),
        };
        Verifier::parse(key).map_err(wrong)
    };
    let pins = settings.trust.iter().map(pin).collect::<Result<_, _>>()?;
    Ok(Ledger::new(settings.origin.clone(), Some(signer), before).trusted_by(pins))
}

/// The signer that `key` names, and the one before it in its store; `None` when its secret has no value yet.
async fn open(reach: &Reach<'_>, origin: &str, key: &LogKey) -> Result<Option<(Signer, Option<Signer>)>, WorldError> {
    let LogKey { source, region, name, kms } = key;
    let region = region.clone().unwrap_or_else(|| ".".to_owned());
    if let Some(kms) = kms {
        let config = session(reach, source, &region).await?;
        return Ok(Some((kept_by_kms(origin, KmsKey::open(&config, kms).await?)?, None)));
    }
    let name = name.clone().unwrap_or_default();
    let secret = SecretRef { source: source.clone(), region, name: name.clone() };
    let store = store_of(reach, &secret).await?;
    let view = store.describe(&secret).await?;
    let Some(current) = view.current() else { return Ok(None) };
    let now = signer(origin, &name, &store.read(&secret, current).await?)?;
    let before = match view.previous().filter(|previous| *previous != current) {
        // Whatever was there before is a key only if the log knows it; that it cannot be read matters only then.
        Some(previous) => store.read(&secret, previous).await.ok().and_then(|value| signer(origin, &name, &value).ok()),
        None => None,
    };
    Ok(Some((now, before)))
}

/// A signer that asks KMS each time.
fn kept_by_kms(origin: &str, key: KmsKey) -> Result<Signer, WorldError> {
    let verifier = Verifier::new(origin, key.public()).map_err(|error| WorldError {
        class: ErrorClass::Permanent,
        operation: "sign the log with a key of KMS".to_owned(),
        cause: error.to_string(),
    })?;
    Ok(Signer::elsewhere(verifier, move |text| {
        // On a thread of its own: whoever records may be waited for by a runtime.
        let asked = std::thread::scope(|scope| {
            scope.spawn(|| block_on(key.sign(text)).map_err(|trouble| trouble.error.to_string())).join()
        });
        asked.map_err(|_| "it ended early".to_owned())??.map_err(|error| error.to_string())
    }))
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
