//! Patience that ends with a time.

use std::future::Future;
use std::time::Duration;

use crate::error::LockError;

/// Waits no longer than `limit`, for all of it; `None` if that was not long enough. A limit of zero
/// tries once.
pub(super) async fn within<T>(
    limit: Duration,
    wait: impl Future<Output = Result<T, LockError>>,
    once: impl Future<Output = Result<Option<T>, LockError>>,
) -> Result<Option<T>, LockError> {
    if limit.is_zero() {
        return once.await;
    }
    tokio::time::timeout(limit, wait).await.ok().transpose()
}
