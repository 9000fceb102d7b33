//! The connections between the servers of an ensemble.
//!
//! | room | what it does |
//! |---|---|
//! | [`arrivals`] | those that have come and are not known yet |
//! | [`switchboard`] | servers of one process, without sockets, and what goes wrong between them |
//! | [`tcp`] | servers anywhere |
//!
//! The server says to whom it wants a connection, and whether learners may come. A task of its own
//! makes that so; each connection then has a task like any client's, and is no other thing to the
//! engine.

mod arrivals;
pub(crate) mod switchboard;
pub(crate) mod tcp;

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

use super::connection::Connection;
use super::engine::Shared;
use crate::node::input::{Input, LinkKind};
use crate::quorum::Sid;
use crate::quorum::member::MemberAddress;
use arrivals::Arrivals;
use switchboard::{Incoming, Plug};
use tcp::TcpPeers;

/// What the server wants of the task.
#[derive(Debug)]
pub(crate) enum Command {
    /// A connection.
    Dial {
        /// What for.
        kind: LinkKind,
        /// To whom.
        to: Sid,
        /// Where it may be.
        addresses: Vec<(String, u16)>,
    },
    /// Learners, or none any more.
    Listen(bool),
    /// To be found elsewhere.
    Move(Vec<MemberAddress>),
}

/// How the other servers are reached.
#[derive(Debug, Clone)]
pub(crate) enum Network {
    /// They are in this process.
    Memory(Plug),
    /// They are somewhere.
    Tcp(TcpPeers),
}

/// The task's own.
struct Task {
    shared: Arc<Shared>,
    links: JoinSet<()>,
}

/// Connects this server to others until the task is dropped, or the server wants nothing more.
pub(crate) async fn run(
    shared: Arc<Shared>,
    network: Network,
    commands: UnboundedReceiver<Command>,
) {
    let task = Task { shared, links: JoinSet::new() };
    match network {
        Network::Memory(plug) => task.in_memory(plug, commands).await,
        Network::Tcp(peers) => task.over_tcp(peers, commands).await,
    }
}

impl Task {
    async fn in_memory(mut self, mut plug: Plug, mut commands: UnboundedReceiver<Command>) {
        let mut incoming = plug.plug_in();
        loop {
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    None => return,
                    Some(Command::Listen(open)) => plug.listen(open),
                    // Here servers are found by their numbers.
                    Some(Command::Move(_)) => {}
                    Some(Command::Dial { kind, to, .. }) => {
                        self.dialed(kind, to, plug.dial(kind, to)).await;
                    }
                },
                Some(Incoming { kind, wire }) = incoming.recv() => {
                    self.accepted(kind, wire).await;
                }
                Some(_) = self.links.join_next() => {}
            }
        }
    }

    async fn over_tcp(mut self, mut peers: TcpPeers, mut commands: UnboundedReceiver<Command>) {
        let (mut dials, mut arrivals) = (JoinSet::new(), Arrivals::new());
        let mut doors = peers.open().await;
        loop {
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    None => return,
                    Some(Command::Listen(open)) => doors.listen(open).await,
                    Some(Command::Move(addresses)) => {
                        peers.addresses = addresses;
                        doors.reopen(&peers).await;
                    }
                    Some(Command::Dial { kind, to, addresses }) => {
                        let dial = peers.dial(addresses);
                        dials.spawn(async move { (kind, to, dial.await) });
                    }
                },
                Some((kind, stream)) = arrivals.next() => {
                    if let Some(stream) = stream {
                        self.accepted(kind, stream).await;
                    }
                }
                Some(Ok((kind, to, stream))) = dials.join_next() => {
                    self.dialed(kind, to, stream).await;
                }
                Some(_) = self.links.join_next() => {}
                // The last: however many come, those that are known are served first.
                (kind, stream) = doors.accept() => {
                    let arrival = peers.clone().accepted(stream);
                    arrivals.add(async move { (kind, arrival.await) });
                }
            }
        }
    }

    async fn accepted(
        &mut self,
        kind: LinkKind,
        wire: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) {
        self.shared.goes_on().await;
        let link = self.shared.open_link();
        let greets = kind == LinkKind::Election;
        self.links.spawn(Connection::link(Arc::clone(&self.shared), link, kind, greets, wire));
        self.shared.run([Input::LinkAccepted { link, kind }]);
    }

    async fn dialed(
        &mut self,
        kind: LinkKind,
        to: Sid,
        wire: Option<impl AsyncRead + AsyncWrite + Unpin + Send + 'static>,
    ) {
        self.shared.goes_on().await;
        let link = wire.map(|wire| {
            let link = self.shared.open_link();
            self.links.spawn(Connection::link(Arc::clone(&self.shared), link, kind, false, wire));
            link
        });
        self.shared.run([Input::LinkDialed { kind, to, link }]);
    }
}
