//! The numbers of the operations that travel in a request header.

use super::jute::DecodeError;

macro_rules! op_codes {
    ($($(#[$meta:meta])* $name:ident = $code:literal,)*) => {
        /// What a request asks for; the names are ZooKeeper's own (`ZooDefs.OpCode`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(i32)]
        pub enum OpCode {
            $($(#[$meta])* $name = $code,)*
        }

        impl OpCode {
            /// Every operation, in the order of its declaration.
            pub const ALL: &'static [OpCode] = &[$(OpCode::$name,)*];
        }

        impl TryFrom<i32> for OpCode {
            type Error = DecodeError;

            fn try_from(code: i32) -> Result<Self, DecodeError> {
                match code {
                    $($code => Ok(Self::$name),)*
                    _ => Err(DecodeError::UnknownValue {
                        what: "operation code",
                        value: i64::from(code),
                    }),
                }
            }
        }
    };
}

op_codes! {
    /// Reserved for notifications; invalid from a client.
    Notification = 0,
    /// Creates a node and answers with its path.
    Create = 1,
    /// Deletes a node without children.
    Delete = 2,
    /// Reads the `Stat` of a node that may not exist.
    Exists = 3,
    /// Reads data and `Stat`.
    GetData = 4,
    /// Writes data.
    SetData = 5,
    /// Reads the access control list.
    GetAcl = 6,
    /// Writes the access control list.
    SetAcl = 7,
    /// Lists children.
    GetChildren = 8,
    /// Waits until this server has caught up with its leader.
    Sync = 9,
    /// Keeps the session alive.
    Ping = 11,
    /// Lists children and reads the `Stat` of their parent.
    GetChildren2 = 12,
    /// Compares a version; allowed in a multi only.
    Check = 13,
    /// Several writes as one transaction.
    Multi = 14,
    /// Creates a node and answers with its path and `Stat`.
    Create2 = 15,
    /// Changes the membership of the ensemble.
    Reconfig = 16,
    /// Asks whether a watch stands.
    CheckWatches = 17,
    /// Removes watches.
    RemoveWatches = 18,
    /// Creates a container, which the server deletes once it has lost its last child.
    CreateContainer = 19,
    /// The container reaper's own deletion; never accepted from a client here.
    DeleteContainer = 20,
    /// Creates a node that the server deletes when it was not written for a time.
    CreateTtl = 21,
    /// Several independent reads.
    MultiRead = 22,
    /// Adds an identity to the connection.
    Auth = 100,
    /// Restores one-shot watches after a reconnect.
    SetWatches = 101,
    /// One step of a SASL exchange.
    Sasl = 102,
    /// Lists this session's ephemeral nodes.
    GetEphemerals = 103,
    /// Counts all descendants.
    GetAllChildrenNumber = 104,
    /// Restores watches of every kind after a reconnect.
    SetWatches2 = 105,
    /// Adds a persistent watch.
    AddWatch = 106,
    /// Lists the identities of the connection.
    WhoAmI = 107,
    /// Internal: opens a session.
    CreateSession = -10,
    /// Closes the session.
    CloseSession = -11,
    /// Internal: the transaction of a write that failed.
    Error = -1,
}

impl OpCode {
    /// The number on the wire.
    pub fn code(self) -> i32 {
        self as i32
    }

    /// Whether the operation makes a transaction, and so takes a zxid even when it fails.
    pub fn is_write(self) -> bool {
        matches!(
            self,
            Self::Create
                | Self::Delete
                | Self::SetData
                | Self::SetAcl
                | Self::Check
                | Self::Multi
                | Self::Create2
                | Self::Reconfig
                | Self::CreateContainer
                | Self::DeleteContainer
                | Self::CreateTtl
                | Self::CreateSession
                | Self::CloseSession
        )
    }

    /// Whether a client may ask for it by itself, and it changes nodes if it succeeds.
    pub fn changes_nodes(self) -> bool {
        matches!(
            self,
            Self::Create
                | Self::Create2
                | Self::CreateContainer
                | Self::CreateTtl
                | Self::Delete
                | Self::SetData
                | Self::SetAcl
                | Self::Multi
                | Self::Reconfig
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back_as_itself() {
        for op in OpCode::ALL {
            assert_eq!(OpCode::try_from(op.code()), Ok(*op));
        }
        assert!(OpCode::try_from(10).is_err());
    }
}
