//! What kind of node to create.

use std::time::Duration;

/// How long the longest time to live is: ZooKeeper stores 40 bits of milliseconds, some 34 years.
pub const TTL_MAX: Duration = Duration::from_millis((1 << 40) - 1);

/// What kind of node to create.
///
/// ```
/// use std::time::Duration;
/// use znode::CreateMode;
///
/// let lease = CreateMode::PersistentTtl { ttl: Duration::from_secs(60) };
/// assert!(!lease.is_ephemeral() && !lease.is_sequential());
/// assert!(CreateMode::EphemeralSequential.is_ephemeral());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CreateMode {
    /// Stays until it is deleted.
    Persistent,
    /// Persistent, and ten digits that only rise are appended to its name.
    PersistentSequential,
    /// Deleted by the server when its session ends. Cannot have children.
    Ephemeral,
    /// Ephemeral and sequential.
    EphemeralSequential,
    /// Deleted by the server some time after its last child was.
    Container,
    /// Deleted by the server when it has no children and was not written for `ttl`.
    PersistentTtl {
        /// From 1 ms to [`TTL_MAX`].
        ttl: Duration,
    },
    /// Sequential, with a time to live.
    PersistentSequentialTtl {
        /// From 1 ms to [`TTL_MAX`].
        ttl: Duration,
    },
}

impl CreateMode {
    /// Whether digits are appended to the name.
    pub fn is_sequential(self) -> bool {
        matches!(
            self,
            Self::PersistentSequential
                | Self::EphemeralSequential
                | Self::PersistentSequentialTtl { .. }
        )
    }

    /// Whether the node goes with its session.
    pub fn is_ephemeral(self) -> bool {
        matches!(self, Self::Ephemeral | Self::EphemeralSequential)
    }

    /// The number on the wire.
    pub(crate) fn flags(self) -> i32 {
        match self {
            Self::Persistent => 0,
            Self::Ephemeral => 1,
            Self::PersistentSequential => 2,
            Self::EphemeralSequential => 3,
            Self::Container => 4,
            Self::PersistentTtl { .. } => 5,
            Self::PersistentSequentialTtl { .. } => 6,
        }
    }

    /// The time to live in milliseconds, if the mode has one and it can be.
    pub(crate) fn ttl_ms(self) -> Result<Option<i64>, InvalidTtl> {
        match self {
            Self::PersistentTtl { ttl } | Self::PersistentSequentialTtl { ttl } => {
                match i64::try_from(ttl.as_millis()) {
                    Ok(ttl_ms) if ttl_ms > 0 && ttl <= TTL_MAX => Ok(Some(ttl_ms)),
                    _ => Err(InvalidTtl(ttl)),
                }
            }
            _ => Ok(None),
        }
    }
}

/// A time to live that ZooKeeper cannot store.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
/// use std::error::Error;
/// use std::time::Duration;
/// use znode::{CreateMode, ErrorKind, InvalidTtl};
///
/// let mode = CreateMode::PersistentTtl { ttl: Duration::ZERO };
/// let error = client.create("/lease", "", mode).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidTtl);
/// assert!(error.source().is_some_and(|source| source.is::<InvalidTtl>()));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time to live of {0:?} is not possible; allowed are 1 ms to {TTL_MAX:?}")]
pub struct InvalidTtl(pub(crate) Duration);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_bounded_on_both_sides() {
        let ttl_ms = |ttl| CreateMode::PersistentTtl { ttl }.ttl_ms();
        assert_eq!(ttl_ms(TTL_MAX), Ok(Some((1 << 40) - 1)));
        assert!(ttl_ms(TTL_MAX + Duration::from_millis(1)).is_err());
        assert!(ttl_ms(Duration::from_micros(999)).is_err());
        assert_eq!(CreateMode::Ephemeral.ttl_ms(), Ok(None));
    }
}
