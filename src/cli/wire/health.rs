//! Looks at consumers whose health is declared while what they used before is disabled.

use std::path::Path;

use futures::future::join_all;

use crate::consumers::health::well;
use crate::model::catalog::Health;
use crate::model::id::{ConsumerId, CredentialId};
use crate::model::preflight::Facts;
use crate::model::time::Limit;

/// How long one may take to be seen well.
const WITHIN: Limit = Limit::seconds(5);

/// Looks at each of `wanted`, with commands run in `root`, and adds what was seen to `facts`.
pub(in crate::cli) async fn health(wanted: &[(&CredentialId, &ConsumerId, &Health)], root: &Path, facts: &mut Facts) {
    let looks = wanted.iter().map(|&(credential, consumer, health)| async move {
        let within = Some(health.within.map_or(WITHIN, |declared| declared.min(WITHIN)));
        let seen = well(&Health { within, ..health.clone() }, root).await;
        ((credential.clone(), consumer.clone()), seen)
    });
    facts.health.extend(join_all(looks).await);
}
