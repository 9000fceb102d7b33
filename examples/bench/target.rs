//! The servers that are measured, and how one gets to them.

use std::sync::Arc;

use znode::{Client, ConnectOptions};
use znode_examples::Error;
use znode_testing::TestingServer;

use crate::constant;
use crate::options::{Options, Over};

/// A server to be measured.
pub(crate) enum Target {
    Embedded(Arc<TestingServer>, Over),
    Constant(String),
    Other(String),
}

/// The way to a server, for whoever opens sessions by itself.
#[derive(Clone)]
pub(crate) struct Door {
    connect_string: String,
    embedded: Option<Arc<TestingServer>>,
}

impl Target {
    /// All that are asked for.
    pub(crate) async fn all(options: &Options) -> Result<Vec<Self>, Error> {
        let mut targets = Vec::new();
        if !options.no_embedded {
            let server = Arc::new(TestingServer::start().await?);
            targets.push(Self::Embedded(server, options.over));
        }
        if options.constant {
            targets.push(Self::Constant(constant::start(options.payload)?.to_string()));
        }
        targets.extend(options.against.iter().cloned().map(Self::Other));
        Ok(targets)
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::Embedded(_, Over::Tcp) => "embedded, TCP".into(),
            Self::Embedded(_, Over::Memory) => "embedded, in memory".into(),
            Self::Constant(_) => "constant replies".into(),
            Self::Other(connect_string) => connect_string.clone(),
        }
    }

    pub(crate) fn door(&self) -> Door {
        let (connect_string, embedded) = match self {
            Self::Embedded(server, Over::Tcp) => (server.connect_string(), None),
            Self::Embedded(server, Over::Memory) => (String::new(), Some(Arc::clone(server))),
            Self::Constant(connect_string) | Self::Other(connect_string) => {
                (connect_string.clone(), None)
            }
        };
        Door { connect_string, embedded }
    }
}

impl Door {
    /// Opens a session.
    pub(crate) async fn open(&self) -> Result<Client, Error> {
        Ok(match &self.embedded {
            Some(server) => server.connect().await?,
            None => ConnectOptions::new().connect(&self.connect_string).await?,
        })
    }
}
