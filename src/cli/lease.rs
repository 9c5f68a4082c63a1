//! The courtesy between runs: one at a time works on a credential, and without it nothing is lost.

use super::{Global, pipeline};
use crate::host::clock::SystemClock;
use crate::host::lease::{Holder, Leases};
pub(super) use crate::host::lease::{Lease, Taken};
use crate::model::catalog::Credential;
use crate::model::id::CredentialId;
use crate::model::time::Limit;
use crate::world::{Clock as _, WorldError};

/// Takes the lease on `credential`, with `over` whoever has it; `None` when it cannot be told, and then the run goes on.
pub(super) async fn take(session: &pipeline::Session, global: &Global, credential: &Credential, over: bool) -> Option<Taken> {
    taken(session, global, &credential.id, credential.policy.lease, over).await
}

/// Takes the lease `name`, which no credential can have, for as long as `lasts`; `None` as of [`take`].
pub(super) async fn take_named(session: &pipeline::Session, global: &Global, name: &CredentialId, lasts: Limit) -> Option<Taken> {
    taken(session, global, name, lasts, false).await
}

async fn taken(session: &pipeline::Session, global: &Global, id: &CredentialId, lasts: Limit, over: bool) -> Option<Taken> {
    let now = SystemClock.now();
    let (id, holder) = (id.clone(), Holder::own(session.run().id, lasts.after(now)));
    let taken = aside(session, global, move |leases| leases.take(&id, &holder, now, over)).await;
    taken.inspect_err(|error| tracing::warn!("{error}; going on without it")).ok()
}

/// Gives it back; one that stays lapses by itself.
pub(super) async fn give_back(session: &pipeline::Session, global: &Global, credential: &Credential, ours: Lease) {
    give_back_named(session, global, &credential.id, ours).await;
}

/// Gives the lease `name` back, as [`give_back`].
pub(super) async fn give_back_named(session: &pipeline::Session, global: &Global, name: &CredentialId, ours: Lease) {
    let id = name.clone();
    if let Err(error) = aside(session, global, move |leases| leases.give_back(&id, ours)).await {
        tracing::warn!("{error}; it lapses by itself");
    }
}

/// Runs `work` where waiting for `git` holds nobody up.
async fn aside<T: Send + 'static>(
    session: &pipeline::Session,
    global: &Global,
    work: impl FnOnce(&Leases) -> Result<T, WorldError> + Send + 'static,
) -> Result<T, WorldError> {
    let leases = Leases::open(&global.root, session.catalog.settings.locker.remote.clone())?;
    let done = tokio::task::spawn_blocking(move || work(&leases)).await;
    done.map_err(|error| WorldError {
        class: crate::world::ErrorClass::Transient,
        operation: "reach the leases".to_owned(),
        cause: error.to_string(),
    })?
}
