//! Host names in the test's hands: each leads to the server, or nowhere, as the test says.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::Arc;

use tokio::sync::watch;
use znode::{Connecting, Connector, HostPort, TcpConnector};

use crate::ground::soon;

/// Leads every name that is not down to one address; clones share what is known.
#[derive(Clone)]
pub(crate) struct Routes {
    address: HostPort,
    ledger: Arc<watch::Sender<Ledger>>,
}

#[derive(Debug, Default)]
struct Ledger {
    down: BTreeSet<String>,
    /// The name of each attempt.
    tried: Vec<String>,
}

impl Routes {
    /// All names lead to `address`, given as `host:port`.
    pub(crate) fn to(address: &str) -> Self {
        let (host, port) = address.rsplit_once(':').unwrap();
        let address = HostPort::new(host, port.parse().unwrap());
        Self { address, ledger: Arc::new(watch::Sender::new(Ledger::default())) }
    }

    /// Attempts to reach `name` fail from now on.
    pub(crate) fn take_down(&self, name: &str) {
        self.ledger.send_modify(|ledger| ledger.down.extend([name.to_owned()]));
    }

    /// And succeed again.
    pub(crate) fn bring_up(&self, name: &str) {
        self.ledger.send_modify(|ledger| ledger.down.retain(|down| down != name));
    }

    /// The name of each attempt so far.
    pub(crate) fn tried(&self) -> Vec<String> {
        self.ledger.borrow().tried.clone()
    }

    /// Waits until `name` has been tried.
    #[track_caller]
    pub(crate) fn until_tried(&self, name: &str) -> impl Future<Output = ()> {
        let (name, mut ledger) = (name.to_owned(), self.ledger.subscribe());
        soon(async move {
            let tried = ledger.wait_for(|ledger| ledger.tried.contains(&name)).await;
            tried.map(drop).unwrap();
        })
    }
}

impl Connector for Routes {
    fn connect(&self, host: &HostPort) -> Connecting {
        let name = host.host().to_owned();
        let mut is_down = false;
        self.ledger.send_modify(|ledger| {
            is_down = ledger.down.contains(&name);
            ledger.tried.push(name);
        });
        if is_down {
            return Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) });
        }
        TcpConnector.connect(&self.address)
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").field("address", &self.address).finish_non_exhaustive()
    }
}
