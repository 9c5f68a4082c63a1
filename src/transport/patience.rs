//! How long a database may take.

use std::time::Duration;

use crate::world::{ErrorClass, WorldError};

/// How long a server may take to let somebody in.
pub(super) const CONNECT: Duration = Duration::from_secs(10);
/// How long everything that is asked in one connection may take.
const CALL: Duration = Duration::from_secs(30);

/// Waits for `asked`, within reason. What was asked too late may have taken effect all the same.
///
/// # Errors
/// When the server refuses, or does not answer in time.
pub async fn within<T>(operation: &str, asked: impl Future<Output = Result<T, WorldError>>) -> Result<T, WorldError> {
    tokio::time::timeout(CALL, asked).await.unwrap_or_else(|_| Err(late(operation, CALL)))
}

pub(super) fn late(operation: &str, limit: Duration) -> WorldError {
    let cause = format!("the server took more than {} s", limit.as_secs());
    WorldError { class: ErrorClass::Transient, operation: operation.to_owned(), cause }
}
