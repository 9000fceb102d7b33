//! The metadata of a node.

use super::ids::{SessionId, Version, Zxid};

record! {
    packed
    /// The metadata of a node, as every read and most writes return it.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// if let Some(stat) = client.exists("/job").await? {
    ///     println!("written {} times, last in transaction {}", stat.version, stat.mzxid);
    ///     if stat.is_ephemeral() {
    ///         println!("by a session that lives: {}", stat.ephemeral_owner);
    ///     }
    ///     // Only if nobody else has written since.
    ///     client.set_data("/job", "done", stat.version).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[derive(Copy, Default)]
    pub struct Stat {
        /// The transaction that created the node. Never repeats, so it tells a node from another
        /// that was later created under the same path.
        pub czxid: Zxid,
        /// The transaction that last wrote the data.
        pub mzxid: Zxid,
        /// When the node was created: milliseconds since 1970 by the leader's clock.
        pub ctime: i64,
        /// When the data was last written: milliseconds since 1970 by the leader's clock.
        pub mtime: i64,
        /// How often the data was written since creation.
        pub version: Version,
        /// How often a child was created or deleted.
        pub cversion: i32,
        /// How often the access control list was written.
        pub aversion: Version,
        /// The session that owns this ephemeral node, or [`SessionId::NONE`]; containers and
        /// nodes with a time to live show none.
        pub ephemeral_owner: SessionId,
        /// The length of the data in bytes.
        pub data_length: i32,
        /// The number of children.
        pub num_children: i32,
        /// The transaction that last created or deleted a child.
        pub pzxid: Zxid,
    }
}

impl Stat {
    /// How many bytes a `Stat` takes on the wire.
    pub const LEN: usize = 68;

    /// Whether the node goes with the session that created it.
    pub fn is_ephemeral(&self) -> bool {
        self.ephemeral_owner != SessionId::NONE
    }
}
