//! Figures of a session that are always there: counted by the send task, read by anybody.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! stats {
    ($($(#[$meta:meta])* $name:ident,)*) => {
        /// What a client has done so far, and what it is doing; see
        /// [`Client::stats`](crate::Client::stats).
        ///
        /// The figures are of one moment each, but not all of the same.
        ///
        /// ```no_run
        /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
        /// use znode::ClientStats;
        ///
        /// let before: ClientStats = client.stats();
        /// client.sync("/").await?;
        /// let now = client.stats();
        /// println!("{} bytes were sent", now.bytes_sent - before.bytes_sent);
        /// println!("answered within {} us", now.last_latency_us);
        /// # Ok(())
        /// # }
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct ClientStats {
            $($(#[$meta])* pub $name: u64,)*
        }

        /// The same, for many readers and one writer.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub(crate) struct Published {
            $($name: AtomicU64,)*
        }

        impl Published {
            pub(crate) fn read(&self) -> ClientStats {
                ClientStats { $($name: self.$name.load(Ordering::Relaxed),)* }
            }

            /// Replaces all figures. Only the send task does that, so nothing needs to be added
            /// atomically, and a turn with a hundred answers costs no more than one with one.
            pub(super) fn write(&self, stats: &ClientStats) {
                $(self.$name.store(stats.$name, Ordering::Relaxed);)*
            }
        }
    };
}

stats! {
    /// Requests that a server has carried out.
    requests_ok,
    /// Requests that a server has refused.
    requests_rejected,
    /// Requests that failed and were never sent.
    requests_not_sent,
    /// Requests that failed after they were sent: they may have taken effect.
    requests_unknown,
    /// Requests that are sent and not answered.
    in_flight,
    /// Requests that wait for their turn.
    waiting,
    /// Watchers that stand.
    watches,
    /// Times that a watcher, or the default watcher, was told of an event.
    events,
    /// Bytes of frames that were sent, their lengths included.
    bytes_sent,
    /// Bytes of frames that were received, their lengths included.
    bytes_received,
    /// Attempts to connect.
    attempts,
    /// Connections on which a server has confirmed the session.
    connections,
    /// Connections after the first one.
    reconnects,
    /// Whether the session has expired: 0 or 1.
    expiries,
    /// Pings that were sent.
    pings,
    /// The time between the last ping and its answer, in microseconds.
    last_ping_us,
    /// The time between the sending of a request and its answer, of the newest answer, in
    /// microseconds.
    last_latency_us,
    /// The longest such time so far.
    max_latency_us,
}
