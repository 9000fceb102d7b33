//! Connections within the process, without a socket.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc::UnboundedSender;
use znode::{Connecting, Connector, HostPort, Transport};

/// How many bytes a pipe holds in each direction before its writer must wait.
const PIPE_LEN: usize = 64 * 1024;

/// Connects clients of the same process to a [`TestingServer`](crate::TestingServer) through pipes
/// in memory, whatever host they ask for.
///
/// It outlives a stop of the server: until the restart, connecting is refused, as it is over TCP.
/// To the server such a client comes from 127.0.0.1.
#[derive(Debug, Clone)]
pub struct MemoryConnector {
    /// Where the server's end of each pipe goes; nothing while the server is stopped.
    door: Arc<Mutex<Option<UnboundedSender<DuplexStream>>>>,
}

impl MemoryConnector {
    pub(crate) fn new() -> Self {
        Self { door: Arc::default() }
    }

    /// Lets connections in, or, with `None`, refuses them.
    pub(crate) fn open(&self, door: Option<UnboundedSender<DuplexStream>>) {
        *self.door.lock().unwrap_or_else(PoisonError::into_inner) = door;
    }

    fn pipe(&self) -> io::Result<DuplexStream> {
        let (ours, theirs) = duplex(PIPE_LEN);
        let door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        let accepted = door.as_ref().is_some_and(|door| door.send(theirs).is_ok());
        if accepted { Ok(ours) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
    }
}

impl Connector for MemoryConnector {
    fn connect(&self, _host: &HostPort) -> Connecting {
        let pipe = self.pipe();
        Box::pin(async move { pipe.map(|pipe| Box::new(pipe) as Box<dyn Transport>) })
    }
}
