//! The bodies of requests, in the order of their operation codes.

use std::borrow::Cow;

use super::acl::AclRecord;
use super::ids::{Version, Zxid};

record! {
    /// The body of `create`, `create2` and `createContainer`.
    pub struct CreateRequest<'a> {
        /// The path; of a sequential node, its beginning.
        pub path: Cow<'a, str>,
        /// The data; null is kept apart from empty.
        pub data: Option<&'a [u8]>,
        /// The access control list.
        pub acl: Option<Vec<AclRecord<'a>>>,
        /// The create mode's number.
        pub flags: i32,
    }
}

record! {
    /// The body of `createTTL`.
    pub struct CreateTtlRequest<'a> {
        /// The path; of a sequential node, its beginning.
        pub path: Cow<'a, str>,
        /// The data; null is kept apart from empty.
        pub data: Option<&'a [u8]>,
        /// The access control list.
        pub acl: Option<Vec<AclRecord<'a>>>,
        /// The create mode's number.
        pub flags: i32,
        /// The time to live, in milliseconds.
        pub ttl_ms: i64,
    }
}

record! {
    /// The body of `delete`.
    pub struct DeleteRequest<'a> {
        /// The node.
        pub path: Cow<'a, str>,
        /// The version that the data must have.
        pub version: Version,
    }
}

record! {
    /// The body of `exists`, `getData`, `getChildren` and `getChildren2`.
    pub struct ReadRequest<'a> {
        /// The node.
        pub path: Cow<'a, str>,
        /// Whether to leave a one-shot watch.
        pub watch: bool,
    }
}

record! {
    /// The body of `setData`.
    pub struct SetDataRequest<'a> {
        /// The node.
        pub path: Cow<'a, str>,
        /// The data; null is kept apart from empty.
        pub data: Option<&'a [u8]>,
        /// The version that the data must have.
        pub version: Version,
    }
}

record! {
    /// The body of operations that name a path and nothing else: `getACL`, `sync`,
    /// `getAllChildrenNumber`, and of `getEphemerals`, where it is a prefix.
    pub struct PathRequest<'a> {
        /// The node; null is legal where Apache tolerates it.
        pub path: Option<Cow<'a, str>>,
    }
}

record! {
    /// The body of `setACL`.
    pub struct SetAclRequest<'a> {
        /// The node.
        pub path: Cow<'a, str>,
        /// The access control list.
        pub acl: Option<Vec<AclRecord<'a>>>,
        /// The version that the access control list must have (the `aversion`).
        pub version: Version,
    }
}

record! {
    /// The body of `check`.
    pub struct CheckVersionRequest<'a> {
        /// The node.
        pub path: Cow<'a, str>,
        /// The version that the data must have.
        pub version: Version,
    }
}

record! {
    /// The body of `reconfig`.
    pub struct ReconfigRequest<'a> {
        /// Servers that join, comma separated.
        pub joining: Option<Cow<'a, str>>,
        /// Ids of servers that leave, comma separated.
        pub leaving: Option<Cow<'a, str>>,
        /// The whole new membership, instead of the two above.
        pub new_members: Option<Cow<'a, str>>,
        /// The configuration that must be current; -1 for any.
        pub current_config_id: i64,
    }
}

record! {
    /// The body of `checkWatches` and `removeWatches`.
    pub struct WatchesRequest<'a> {
        /// The node.
        pub path: Cow<'a, str>,
        /// A [`WatcherType`](super::WatcherType) if it is known.
        pub kind: i32,
    }
}

record! {
    /// The body of `deleteContainer`, which clients have no business to send.
    pub struct DeleteContainerRequest<'a> {
        /// The path in UTF-8.
        pub path: Option<&'a [u8]>,
    }
}

record! {
    secret
    /// The body of `auth`.
    pub struct AuthRequest<'a> {
        /// Always 0.
        pub kind: i32,
        /// The scheme, as `digest`.
        pub scheme: Cow<'a, str>,
        /// What the scheme asks for, as `user:password`.
        pub auth: Option<&'a [u8]>,
    }
}

record! {
    /// The body of `setWatches`.
    pub struct SetWatchesRequest<'a> {
        /// Changes after this transaction are told at once.
        pub relative_zxid: Zxid,
        /// Nodes whose data was read.
        pub data: Vec<Cow<'a, str>>,
        /// Nodes that did not exist when asked.
        pub exist: Vec<Cow<'a, str>>,
        /// Nodes whose children were listed.
        pub child: Vec<Cow<'a, str>>,
    }
}

record! {
    /// The body of `setWatches2`.
    pub struct SetWatches2Request<'a> {
        /// Changes after this transaction are told at once.
        pub relative_zxid: Zxid,
        /// Nodes whose data was read.
        pub data: Vec<Cow<'a, str>>,
        /// Nodes that did not exist when asked.
        pub exist: Vec<Cow<'a, str>>,
        /// Nodes whose children were listed.
        pub child: Vec<Cow<'a, str>>,
        /// Nodes with a persistent watch.
        pub persistent: Vec<Cow<'a, str>>,
        /// Nodes with a persistent recursive watch.
        pub persistent_recursive: Vec<Cow<'a, str>>,
    }
}

record! {
    secret
    /// The body of `sasl`, in both directions.
    pub struct SaslRequest<'a> {
        /// One step of the mechanism.
        pub token: Option<&'a [u8]>,
    }
}

record! {
    /// The body of `addWatch`.
    pub struct AddWatchRequest<'a> {
        /// The node, which need not exist.
        pub path: Cow<'a, str>,
        /// 0 persistent, 1 persistent recursive.
        pub mode: i32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Decoder, Encode};

    #[test]
    fn a_create_borrows_path_data_and_acl_from_its_frame() {
        let sent = CreateRequest {
            path: "/a".into(),
            data: Some(b"x"),
            acl: Some(vec![AclRecord::new(crate::proto::Perms::ALL, "world", "anyone")]),
            flags: 3,
        };
        let mut frame = Vec::new();
        sent.encode(&mut frame);
        let read: CreateRequest<'_> = Decoder::new(&frame).read().unwrap();
        assert_eq!(read, sent);
        assert!(matches!(read.path, Cow::Borrowed(_)));
    }

    #[test]
    fn a_null_path_is_refused() {
        let mut frame = Vec::new();
        (-1i32).encode(&mut frame);
        true.encode(&mut frame);
        assert!(Decoder::new(&frame).read::<ReadRequest<'_>>().is_err());
    }
}
