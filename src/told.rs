//! What a client tells of its session: what it is, how it is, and whatever happens to it.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_stream::stream;
use futures::Stream;
use tokio::time::Instant;

use crate::client::Client;
use crate::io::stats::ClientStats;
use crate::proto::{SessionId, Zxid};
use crate::state::{State, StateChange};
use crate::watcher::ClientEvent;

impl Client {
    /// The number of the session.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let created = client.create("/alive", "", znode::CreateMode::Ephemeral).await?;
    /// assert_eq!(created.stat.ephemeral_owner, client.session_id());
    /// println!("expires after {:?} of silence", client.session_timeout());
    /// println!("as of transaction {}, {}", client.last_zxid(), client.state());
    /// # Ok(())
    /// # }
    /// ```
    pub fn session_id(&self) -> SessionId {
        self.shared().established().session_id
    }

    /// The password by which the session can be resumed.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let (id, password) = (client.session_id(), client.session_password());
    /// let ticket = znode::SessionTicket::from_parts(id, password, client.last_zxid());
    /// # Ok(())
    /// # }
    /// ```
    pub fn session_password(&self) -> Vec<u8> {
        self.shared().established().password.expose().to_vec()
    }

    /// The session timeout that the server granted.
    pub fn session_timeout(&self) -> Duration {
        self.shared().established().timeout
    }

    /// The state of the session as of now.
    pub fn state(&self) -> State {
        self.shared().change().state
    }

    /// The state of the session, then each change of it, none left out; ends after a terminal
    /// state.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use futures::StreamExt;
    ///
    /// let mut states = client.states();
    /// while let Some(change) = states.next().await {
    ///     println!("{}: {}", change.generation, change.state);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn states(&self) -> StateStream {
        let (now, mut changes) = self.shared().states();
        StateStream(Box::pin(stream! {
            yield now;
            while let Some(change) = changes.recv().await {
                yield change;
            }
        }))
    }

    /// What ZooKeeper's default watcher hears, from now on: each change of state, and the events
    /// of reads made through [`default_watch`](Self::default_watch). Ends after a terminal state.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use futures::StreamExt;
    ///
    /// let mut events = client.events();
    /// while let Some(event) = events.next().await {
    ///     println!("{event:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn events(&self) -> EventStream {
        let mut events = self.shared().events(self.chroot.clone());
        EventStream(Box::pin(stream! {
            while let Some(event) = events.recv().await {
                yield event;
            }
        }))
    }

    /// The newest transaction that an answer to this session has shown.
    pub fn last_zxid(&self) -> Zxid {
        self.shared().last_zxid()
    }

    /// Until when the ensemble certainly keeps this session alive, by this process' own clock, if
    /// it is not ended on purpose. Past the moment it may well live on.
    ///
    /// An answer to a ping or a read proves little, since a follower gives it by itself. So this
    /// moves with each write that succeeds, and with each handshake: it is when that was *sent*,
    /// plus the [session timeout](Self::session_timeout) `T`, less `T/3` and half a tick, for which
    /// the leader may have waited for news of the session; or earlier, where answers were slow.
    /// The leader's clock may be faster than ours: subtract what may be the difference.
    /// [`ConnectOptions::tick_time`](crate::ConnectOptions::tick_time) says how long a tick is.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// client.set_data("/alive", "", znode::Version::ANY).await?;
    /// let left = client.assured_until() - tokio::time::Instant::now();
    /// println!("whatever happens, this session's nodes stand for {left:?}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn assured_until(&self) -> Instant {
        self.shared().assured_until()
    }

    /// The newest change of the state, and until when a connection that stands may be believed in
    /// without another answer. For the recipes.
    ///
    /// ```no_run
    /// # fn example(client: znode::Client) {
    /// let (change, until) = client.liveness();
    /// println!("{} until {until:?}, unless something is answered", change.state);
    /// # }
    /// ```
    #[doc(hidden)]
    pub fn liveness(&self) -> (StateChange, Instant) {
        (self.shared().change(), self.shared().live_until())
    }

    /// What this session has done so far, and what it is doing: counted always, and cheap to read.
    ///
    /// ```no_run
    /// # fn example(client: znode::Client) {
    /// let stats = client.stats();
    /// println!("{} in flight, {} reconnects", stats.in_flight, stats.reconnects);
    /// # }
    /// ```
    pub fn stats(&self) -> ClientStats {
        self.shared().stats.read()
    }
}

/// The changes of a session's state; see [`Client::states`].
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
/// use futures::StreamExt;
///
/// let mut states: znode::StateStream = client.states();
/// println!("{:?}", states.next().await);
/// # Ok(())
/// # }
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct StateStream(Pin<Box<dyn Stream<Item = StateChange> + Send>>);

/// What the default watcher hears; see [`Client::events`].
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
/// use futures::StreamExt;
/// use znode::ClientEvent;
///
/// let mut events = client.events();
/// client.default_watch().get_data("/rate").await?;
/// while let Some(event) = events.next().await {
///     if let ClientEvent::Node(changed) = event {
///         println!("{:?} of {}", changed.kind, changed.path);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct EventStream(Pin<Box<dyn Stream<Item = ClientEvent> + Send>>);

impl Stream for StateStream {
    type Item = StateChange;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<StateChange>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl Stream for EventStream {
    type Item = ClientEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ClientEvent>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for StateStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StateStream")
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventStream")
    }
}
