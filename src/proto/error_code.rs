//! The numbers of the errors that travel in a reply header.

use super::jute::{Decode, DecodeError, Decoder, Encode};

macro_rules! error_codes {
    ($($(#[$meta:meta])* $name:ident = $code:literal $text:literal,)*) => {
        /// What a server answers instead of a result; the names are ZooKeeper's own.
        ///
        /// ```
        /// use znode::ErrorCode;
        ///
        /// assert_eq!(ErrorCode::from(-101), ErrorCode::NoNode);
        /// assert_eq!(ErrorCode::NoNode.to_string(), "node does not exist");
        /// assert_eq!(ErrorCode::Other(-999).code(), -999);
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$meta])* #[error($text)] $name,)*
            /// A number that ZooKeeper 3.9 does not define.
            #[error("unknown error code {0}")]
            Other(i32),
        }

        impl ErrorCode {
            /// Every code that ZooKeeper 3.9 defines.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$name,)*];

            /// The number on the wire.
            pub fn code(self) -> i32 {
                match self {
                    $(Self::$name => $code,)*
                    Self::Other(code) => code,
                }
            }
        }

        impl From<i32> for ErrorCode {
            fn from(code: i32) -> Self {
                match code {
                    $($code => Self::$name,)*
                    code => Self::Other(code),
                }
            }
        }
    };
}

error_codes! {
    /// No error.
    Ok = 0 "ok",
    /// Marks the range of system errors.
    SystemError = -1 "system error",
    /// An operation of a multi that stands after the one that failed.
    RuntimeInconsistency = -2 "not attempted because an earlier operation failed",
    /// Defined, never sent.
    DataInconsistency = -3 "data inconsistency",
    /// Raised by clients.
    ConnectionLoss = -4 "connection lost",
    /// The server could not read the request, or failed on it.
    MarshallingError = -5 "the server could not decode the request",
    /// The server does not know, or does not allow, the operation.
    Unimplemented = -6 "the server does not implement the operation",
    /// Defined, never sent.
    OperationTimeout = -7 "operation timed out",
    /// A path, flag or time to live that cannot be.
    BadArguments = -8 "bad arguments",
    /// Internal: the session is not tracked.
    UnknownSession = -12 "unknown session",
    /// A reconfiguration whose new quorum has not caught up.
    NewConfigNoQuorum = -13 "no quorum of the new configuration is in sync",
    /// Another reconfiguration is under way.
    ReconfigInProgress = -14 "another reconfiguration is in progress",
    /// Marks the range of API errors.
    ApiError = -100 "api error",
    /// The node does not exist.
    NoNode = -101 "node does not exist",
    /// The access control list denies it.
    NoAuth = -102 "not authorised",
    /// The version is not the expected one.
    BadVersion = -103 "version does not match",
    /// The parent is ephemeral.
    NoChildrenForEphemerals = -108 "ephemeral nodes cannot have children",
    /// The node exists already.
    NodeExists = -110 "node exists already",
    /// The node has children.
    NotEmpty = -111 "node has children",
    /// The session has expired or is closing.
    SessionExpired = -112 "session expired",
    /// Raised by clients.
    InvalidCallback = -113 "invalid callback",
    /// The access control list is empty, malformed, or names nobody.
    InvalidAcl = -114 "invalid access control list",
    /// Authentication failed.
    AuthFailed = -115 "authentication failed",
    /// The session now lives on another connection.
    SessionMoved = -118 "session moved to another server",
    /// A write to a read-only server.
    NotReadOnly = -119 "the server is read-only",
    /// An ephemeral in a local session that may not be upgraded.
    EphemeralOnLocalSession = -120 "ephemeral nodes need a global session",
    /// No such watch stands.
    NoWatcher = -121 "no such watch",
    /// Raised by clients.
    RequestTimeout = -122 "request timed out",
    /// Reconfiguration is switched off.
    ReconfigDisabled = -123 "reconfiguration is disabled",
    /// The server wants authentication first, and closes the session.
    SessionClosedRequireSaslAuth = -124 "authentication is required",
    /// A hard quota would be exceeded.
    QuotaExceeded = -125 "quota exceeded",
    /// The request waited too long in a throttled server.
    ThrottledOp = -127 "operation was throttled",
}

impl Decode<'_> for ErrorCode {
    const MIN_LEN: usize = 4;

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        i32::decode(from).map(Self::from)
    }
}

impl Encode for ErrorCode {
    fn encode(&self, out: &mut Vec<u8>) {
        self.code().encode(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back_as_itself() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from(code.code()), *code);
        }
        assert_eq!(ErrorCode::from(-999).code(), -999);
    }
}
