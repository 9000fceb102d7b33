//! The bodies of replies, in the order of their operation codes.

use std::borrow::Cow;

use super::acl::AclRecord;
use super::ids::SessionId;
use super::stat::Stat;

record! {
    /// Answers `create`: the path, with the sequence number that the server gave it.
    pub struct PathReply<'a> {
        /// The path of the node.
        pub path: Cow<'a, str>,
    }
}

record! {
    /// Answers `sync`: the path as it was asked, even a null one.
    pub struct SyncReply<'a> {
        /// The path of the request.
        pub path: Option<Cow<'a, str>>,
    }
}

record! {
    /// Answers `create2`, `createContainer` and `createTTL`.
    pub struct Create2Reply<'a> {
        /// The path of the node, with its sequence number.
        pub path: Cow<'a, str>,
        /// Its metadata.
        pub stat: Stat,
    }
}

record! {
    /// Answers `exists`, `setData` and `setACL`.
    pub struct StatReply {
        /// The metadata after the operation.
        pub stat: Stat,
    }
}

record! {
    /// Answers `getData` and `reconfig`.
    pub struct DataReply<'a> {
        /// The data; null is kept apart from empty.
        pub data: Option<&'a [u8]>,
        /// The metadata of the node.
        pub stat: Stat,
    }
}

record! {
    /// Answers `getACL`.
    pub struct AclReply<'a> {
        /// The access control list.
        pub acl: Vec<AclRecord<'a>>,
        /// The metadata of the node.
        pub stat: Stat,
    }
}

record! {
    /// Answers `getChildren`, with names, and `getEphemerals`, with whole paths.
    pub struct NamesReply<'a> {
        /// In no order.
        pub names: Vec<Cow<'a, str>>,
    }
}

record! {
    /// Answers `getChildren2`.
    pub struct Children2Reply<'a> {
        /// The names of the children, in no order.
        pub children: Vec<Cow<'a, str>>,
        /// The metadata of their parent.
        pub stat: Stat,
    }
}

record! {
    /// Answers `getAllChildrenNumber`.
    pub struct CountReply {
        /// How many descendants the node has.
        pub count: i32,
    }
}

record! {
    /// Answers `addWatch`, and is the body of an error in a multi.
    pub struct ErrorReply {
        /// An error code.
        pub error: i32,
    }
}

record! {
    /// One identity of a connection.
    pub struct ClientInfoRecord<'a> {
        /// The scheme that vouched for it.
        pub scheme: Cow<'a, str>,
        /// The name; never a password.
        pub user: Cow<'a, str>,
    }
}

record! {
    /// Answers `whoAmI`.
    pub struct WhoAmIReply<'a> {
        /// Every identity of the connection.
        pub client_info: Vec<ClientInfoRecord<'a>>,
    }
}

record! {
    /// The transaction of a new session, kept here because both logs and tests read it.
    pub struct SessionRecord {
        /// The session.
        pub session_id: SessionId,
        /// Its timeout in milliseconds.
        pub timeout_ms: i32,
    }
}
