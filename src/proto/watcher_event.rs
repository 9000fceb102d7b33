//! Notifications, and the numbers of event types, watcher types and connection states.

use std::borrow::Cow;

use super::jute::DecodeError;

macro_rules! numbers {
    ($what:literal, $(#[$meta:meta])* $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $code:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(i32)]
        pub enum $name {
            $($(#[$variant_meta])* $variant = $code,)*
        }

        impl $name {
            /// The number on the wire.
            pub fn code(self) -> i32 {
                self as i32
            }
        }

        impl TryFrom<i32> for $name {
            type Error = DecodeError;

            fn try_from(code: i32) -> Result<Self, DecodeError> {
                match code {
                    $($code => Ok(Self::$variant),)*
                    _ => Err(DecodeError::UnknownValue { what: $what, value: i64::from(code) }),
                }
            }
        }
    };
}

record! {
    /// The body of a notification.
    pub struct WatcherEvent<'a> {
        /// An [`EventType`] if it is known.
        pub kind: i32,
        /// A [`KeeperState`] if it is known; servers always send `SyncConnected`.
        pub state: i32,
        /// The node that changed.
        pub path: Cow<'a, str>,
    }
}

numbers! { "event type",
    /// What happened to a node, or to a watch.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let (_, watcher) = client.exists_watched("/leader").await?;
    /// match watcher.await?.kind {
    ///     znode::EventType::NodeDeleted => println!("nobody leads"),
    ///     other => println!("{other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    EventType {
        /// The state of the connection changed; no node is meant.
        None = -1,
        /// The node was created.
        NodeCreated = 1,
        /// The node was deleted.
        NodeDeleted = 2,
        /// The node's data was written.
        NodeDataChanged = 3,
        /// A child was created or deleted.
        NodeChildrenChanged = 4,
        /// A data watch was removed; told by the client itself.
        DataWatchRemoved = 5,
        /// A child watch was removed; told by the client itself.
        ChildWatchRemoved = 6,
        /// A persistent watch was removed; told by the client itself.
        PersistentWatchRemoved = 7,
    }
}

numbers! { "keeper state",
    /// The state of a connection as ZooKeeper numbers it.
    KeeperState {
        /// The connection was lost.
        Disconnected = 0,
        /// Connected to a server that takes part in a quorum.
        SyncConnected = 3,
        /// Authentication failed for good.
        AuthFailed = 4,
        /// Connected to a read-only server.
        ConnectedReadOnly = 5,
        /// A SASL exchange has succeeded.
        SaslAuthenticated = 6,
        /// The session was closed.
        Closed = 7,
        /// The session has expired.
        Expired = -112,
    }
}

numbers! { "watcher type",
    /// Which watches `checkWatches` and `removeWatches` mean.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// client.remove_watches("/leader", znode::WatcherType::Any).await?;
    /// # Ok(())
    /// # }
    /// ```
    WatcherType {
        /// Watches left by listing children.
        Children = 1,
        /// Watches left by reading data or by `exists`.
        Data = 2,
        /// Every watch on the node.
        Any = 3,
        /// Persistent watches.
        Persistent = 4,
        /// Persistent recursive watches.
        PersistentRecursive = 5,
    }
}
