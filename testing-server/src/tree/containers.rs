//! What the stored owner of a node says: a session, a container, a time to live, or nothing.

use znode::proto::SessionId;

/// The owner that marks a container.
const CONTAINER: i64 = i64::MIN;
/// The top byte that marks a time to live.
const TTL_MASK: i64 = 0xff << 56;
/// The longest time to live: forty bits of milliseconds.
pub(crate) const TTL_MS_MAX: i64 = (1 << 40) - 1;

/// The meaning of a stored owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnerKind {
    /// An ordinary node.
    Nobody,
    /// An ephemeral node.
    Session(SessionId),
    /// A container, which is deleted once it has lost its last child.
    Container,
    /// A node with a time to live, in milliseconds.
    Ttl(i64),
}

impl OwnerKind {
    /// Reads the stored encoding.
    pub(crate) fn of(owner: i64) -> Self {
        match owner {
            0 => Self::Nobody,
            CONTAINER => Self::Container,
            owner if owner & TTL_MASK == TTL_MASK => Self::Ttl(owner & TTL_MS_MAX),
            owner => Self::Session(SessionId(owner)),
        }
    }

    /// The stored encoding.
    pub(crate) fn encode(self) -> i64 {
        match self {
            Self::Nobody => 0,
            Self::Session(session) => session.0,
            Self::Container => CONTAINER,
            Self::Ttl(ttl_ms) => TTL_MASK | ttl_ms,
        }
    }

    /// Whether the node goes with its session.
    pub(crate) fn is_ephemeral(self) -> bool {
        matches!(self, Self::Session(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_owner_reads_back() {
        let kinds = [
            OwnerKind::Nobody,
            OwnerKind::Session(SessionId(0x0100_0000_0000_0001)),
            OwnerKind::Container,
            OwnerKind::Ttl(1),
            OwnerKind::Ttl(TTL_MS_MAX),
        ];
        for kind in kinds {
            assert_eq!(OwnerKind::of(kind.encode()), kind);
        }
    }

    #[test]
    fn the_encoding_is_apaches() {
        assert_eq!(OwnerKind::Container.encode().cast_unsigned(), 0x8000_0000_0000_0000);
        assert_eq!(OwnerKind::Ttl(0x1234).encode().cast_unsigned(), 0xff00_0000_0000_1234);
    }
}
