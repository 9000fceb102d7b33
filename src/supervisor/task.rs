//! The task behind a supervisor: lives through one session after the other.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::ephemeral::{self, EphemeralSpec};
use super::watch::{self, WatchSpec};
use super::{Shared, SupervisorEvent};
use crate::client::Client;
use crate::error::Error;
use crate::options::{ConnectOptions, SessionTicket};

/// How long to wait after no session could be opened; the attempts themselves back off, too.
const REOPEN_PAUSE: Duration = Duration::from_millis(100);

/// How long closing the session before may hold up the next one.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What a supervisor's handles ask for.
#[derive(Debug)]
pub(super) enum Command {
    Add(u64, Spec),
    Remove(u64),
    Close(oneshot::Sender<Result<(), Error>>),
}

/// Something to be made in every session.
#[derive(Debug, Clone)]
pub(super) enum Spec {
    Ephemeral(EphemeralSpec),
    Watch(WatchSpec),
}

/// How the life of one session has ended.
enum LifeEnd {
    /// The session is over, the supervisor is not.
    Lost,
    /// Nobody holds the supervisor any more, or it was closed.
    Done(Option<oneshot::Sender<Result<(), Error>>>),
}

pub(super) struct Task {
    shared: Weak<Shared>,
    options: ConnectOptions,
    connect_string: String,
    commands: mpsc::UnboundedReceiver<Command>,
    specs: BTreeMap<u64, Spec>,
    /// What keeps each of them in the present session.
    keepers: BTreeMap<u64, JoinHandle<()>>,
}

impl Task {
    pub(super) fn new(
        shared: Weak<Shared>,
        options: ConnectOptions,
        connect_string: &str,
        commands: mpsc::UnboundedReceiver<Command>,
    ) -> Self {
        let (specs, keepers) = (BTreeMap::new(), BTreeMap::new());
        let connect_string = connect_string.to_owned();
        Self { shared, options, connect_string, commands, specs, keepers }
    }

    /// Runs from the first session on until the supervisor is over.
    pub(super) async fn run(mut self, mut client: Client) {
        loop {
            let end = self.live(&client).await;
            self.keepers.values().for_each(JoinHandle::abort);
            self.keepers.clear();
            if let LifeEnd::Done(closed) = end {
                let result = client.close().await;
                if let Some(closed) = closed {
                    drop(closed.send(result));
                }
                return;
            }
            self.tell(|generation| SupervisorEvent::SessionLost {
                generation,
                state: client.state(),
            });
            self.close_behind(&client).await;
            match self.reopen().await {
                Ok(next) => client = next,
                Err(closed) => {
                    if let Some(closed) = closed {
                        drop(closed.send(Ok(())));
                    }
                    return;
                }
            }
        }
    }

    /// Keeps everything standing in one session, until that or the supervisor is over.
    async fn live(&mut self, client: &Client) -> LifeEnd {
        for (id, spec) in self.specs.clone() {
            self.keep(client, id, &spec, true);
        }
        let mut states = client.states();
        loop {
            tokio::select! {
                biased;
                change = states.next() => {
                    if change.is_none_or(|change| change.state.is_terminal()) {
                        return LifeEnd::Lost;
                    }
                }
                command = self.commands.recv() => match command {
                    Some(Command::Add(id, spec)) => {
                        self.keep(client, id, &spec, false);
                        self.specs.insert(id, spec);
                    }
                    Some(Command::Remove(id)) => self.remove(client, id),
                    Some(Command::Close(closed)) => return LifeEnd::Done(Some(closed)),
                    None => return LifeEnd::Done(None),
                },
            }
        }
    }

    fn keep(&mut self, client: &Client, id: u64, spec: &Spec, again: bool) {
        let (client, shared) = (client.clone(), Weak::clone(&self.shared));
        let keeper = match spec.clone() {
            Spec::Ephemeral(spec) => tokio::spawn(ephemeral::keep(client, shared, spec)),
            Spec::Watch(spec) => tokio::spawn(watch::keep(client, shared, spec, again)),
        };
        self.keepers.insert(id, keeper);
    }

    fn remove(&mut self, client: &Client, id: u64) {
        if let Some(keeper) = self.keepers.remove(&id) {
            keeper.abort();
        }
        if let Some(Spec::Ephemeral(spec)) = self.specs.remove(&id) {
            // Behind whatever its keeper has in line.
            tokio::spawn(ephemeral::withdraw(client.clone(), spec));
        }
    }

    /// Closes the session that counts as lost here: its server may not have missed it yet, and its
    /// ephemeral nodes would stand in the way. This is exact, where deleting them by their paths
    /// might hit somebody else's.
    async fn close_behind(&self, client: &Client) {
        let ticket = SessionTicket::from_parts(
            client.session_id(),
            client.session_password(),
            client.last_zxid(),
        );
        let options = self.options.clone().resume(ticket).connect_timeout(CLOSE_TIMEOUT);
        if let Ok(behind) = options.connect(&self.connect_string).await {
            let _ = behind.close().await;
        }
    }

    /// Opens the next session, however long it takes; `Err` if the supervisor is over first.
    async fn reopen(&mut self) -> Result<Client, Option<oneshot::Sender<Result<(), Error>>>> {
        loop {
            let opening = self.options.clone().connect(&self.connect_string);
            tokio::pin!(opening);
            let opened = loop {
                tokio::select! {
                    biased;
                    opened = &mut opening => break opened,
                    command = self.commands.recv() => match command {
                        Some(Command::Add(id, spec)) => drop(self.specs.insert(id, spec)),
                        Some(Command::Remove(id)) => drop(self.specs.remove(&id)),
                        Some(Command::Close(closed)) => return Err(Some(closed)),
                        None => return Err(None),
                    },
                }
            };
            match opened {
                Ok(client) => {
                    let Some(shared) = self.shared.upgrade() else { return Err(None) };
                    let mut present = shared.present();
                    present.client = client.clone();
                    present.generation += 1;
                    drop(present);
                    let session_id = client.session_id();
                    self.tell(|generation| SupervisorEvent::SessionOpened {
                        generation,
                        session_id,
                    });
                    return Ok(client);
                }
                Err(error) => {
                    self.tell(|_| SupervisorEvent::Unreachable { error });
                    tokio::time::sleep(REOPEN_PAUSE).await;
                }
            }
        }
    }

    fn tell(&self, event: impl FnOnce(u64) -> SupervisorEvent) {
        tell(&self.shared, event);
    }
}

/// Whoever listens to a watch learns that nothing will come any more.
impl Drop for Task {
    fn drop(&mut self) {
        self.keepers.values().for_each(JoinHandle::abort);
        for spec in self.specs.values() {
            if let Spec::Watch(watch) = spec {
                watch.end();
            }
        }
    }
}

/// Tells an event of the present generation, if the supervisor still lives.
pub(super) fn tell(shared: &Weak<Shared>, event: impl FnOnce(u64) -> SupervisorEvent) {
    if let Some(shared) = shared.upgrade() {
        let generation = shared.present().generation;
        Arc::as_ref(&shared).tell(&event(generation));
    }
}
