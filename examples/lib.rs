//! What the runnable programs have in common: where the ensemble is, and a timeline to read.

mod cable;

use std::env;

use tokio::time::Instant;
use znode::{Client, ConnectOptions};
use znode_testing::TestingServer;

pub use cable::Cable;

/// How long a session of a program lives without its connection.
const SESSION: std::time::Duration = std::time::Duration::from_millis(500);

/// Whatever a program can fail with.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The ensemble that a program works on: a real one, or one inside this process.
pub struct Ensemble {
    connect_string: String,
    /// Stops when it is dropped.
    embedded: Option<TestingServer>,
}

impl Ensemble {
    /// The ensemble at `ZNODE_CONNECT` (`host:port[,host:port…][/chroot]`), or an embedded server.
    ///
    /// A chroot is created if it does not exist.
    ///
    /// # Errors
    /// The server cannot be started or reached.
    pub async fn from_env() -> Result<Self, Error> {
        match env::var("ZNODE_CONNECT") {
            Ok(connect_string) => {
                make_chroot(&connect_string).await?;
                Ok(Self { connect_string, embedded: None })
            }
            Err(_) => {
                let server = TestingServer::start().await?;
                Ok(Self { connect_string: server.connect_string(), embedded: Some(server) })
            }
        }
    }

    /// Where clients connect to.
    pub fn connect_string(&self) -> &str {
        &self.connect_string
    }

    /// The embedded server, if there is one.
    pub fn embedded(&self) -> Option<&TestingServer> {
        self.embedded.as_ref()
    }

    /// What this ensemble is, in words.
    pub fn describe(&self) -> String {
        let kind = if self.embedded.is_some() { "embedded server" } else { "ensemble" };
        format!("{kind} at {}", self.connect_string)
    }

    /// Opens a session.
    ///
    /// # Errors
    /// Those of [`ConnectOptions::connect`].
    pub async fn connect(&self, options: ConnectOptions) -> Result<Client, znode::Error> {
        options.connect(&self.connect_string).await
    }

    /// Makes a node for one run of a program, below which its clients live.
    ///
    /// # Errors
    /// The ensemble cannot be reached, or refuses.
    pub async fn home(&self, program: &str) -> Result<String, Error> {
        let client = self.connect(ConnectOptions::new()).await?;
        let name = format!("/{program}-");
        let home = client.create(&name, "", znode::CreateMode::PersistentSequential).await?;
        client.close().await?;
        Ok(home.path)
    }

    /// Opens a session of which `/` is a node that [`home`](Self::home) has made; it ends soon
    /// without its connection.
    ///
    /// # Errors
    /// Those of [`ConnectOptions::connect`].
    pub async fn connect_at(&self, home: &str, cable: &Cable) -> Result<Client, Error> {
        let options = ConnectOptions::new().session_timeout(SESSION).connector(cable.clone());
        Ok(self.connect(options).await?.with_chroot(home)?)
    }
}

/// A chroot is never created by a client itself, so that a typing error stays visible.
async fn make_chroot(connect_string: &str) -> Result<(), Error> {
    let ensemble: znode::ConnectString = connect_string.parse()?;
    if ensemble.chroot().is_root() {
        return Ok(());
    }
    let hosts: Vec<String> = ensemble.hosts().iter().map(ToString::to_string).collect();
    let client = Client::connect(&hosts.join(",")).await?;
    let mut path = String::new();
    for component in ensemble.chroot().as_str().split('/').skip(1) {
        path.push('/');
        path.push_str(component);
        match client.create(&path, "", znode::CreateMode::Persistent).await {
            Err(error) if error.kind() != znode::ErrorKind::NodeExists => return Err(error.into()),
            _ => {}
        }
    }
    client.close().await?;
    Ok(())
}

/// Prints what happens with the time since the start.
#[derive(Debug, Clone, Copy)]
pub struct Timeline {
    start: Instant,
}

impl Timeline {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "programs may read the clock")]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Prints a line.
    pub fn say(&self, who: &str, what: impl AsRef<str>) {
        println!(
            "{:>8.1} ms  {who:<12} {}",
            self.start.elapsed().as_secs_f64() * 1e3,
            what.as_ref()
        );
    }
}
