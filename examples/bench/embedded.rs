//! Servers within a test: how soon they are there, and how soon they go on without their leader.

use std::time::Duration;

use tokio::time::Instant;
use znode::{Client, ConnectOptions, CreateMode, ErrorKind};
use znode_examples::Error;
use znode_testing::{TestingCluster, TestingServer};

use crate::measure::{Counted, Used, resident_mib};
use crate::options::{Mode, Options};
use crate::report::Figures;

/// How many servers vote.
const VOTERS: u64 = 3;
/// After what a write is not tried again.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Starts them again and again, each time until a first write is acknowledged, and stops them.
#[expect(clippy::disallowed_methods, reason = "programs may read the clock")]
pub(crate) async fn start(options: &Options) -> Result<Figures, Error> {
    let mut counted = Counted::nothing()?;
    let mut resident = f64::NAN;
    let (before, all_began) = (Used::by_now(options), Instant::now());
    while all_began.elapsed() < options.measured() {
        let resident_before = resident_mib("self");
        let began = Instant::now();
        if options.mode == Mode::StartCluster {
            let cluster = TestingCluster::start(VOTERS).await?;
            first_write(&cluster.connect_string()).await?;
            counted.note(began.elapsed(), 1)?;
            // What a first one takes, and what others find there already.
            resident = resident.max(resident_mib("self") - resident_before);
            drop(cluster);
        } else {
            let server = TestingServer::start().await?;
            first_write(&server.connect_string()).await?;
            counted.note(began.elapsed(), 1)?;
            resident = resident.max(resident_mib("self") - resident_before);
            server.stop().await;
        }
    }
    let cost = before.until_now(options);
    Ok(Figures::new(all_began.elapsed(), cost, &counted).with_memory(resident, f64::NAN))
}

/// Over TCP, as a program of its own would.
async fn first_write(servers: &str) -> Result<Client, Error> {
    let client = ConnectOptions::new().connect(servers).await?;
    client.create("/first", "", CreateMode::Persistent).await?;
    Ok(client)
}

/// Has one leader after the other die; what is timed is from its death to the next write that is
/// acknowledged in the same session.
#[expect(clippy::disallowed_methods, reason = "programs may read the clock")]
pub(crate) async fn fail_over(options: &Options) -> Result<Figures, Error> {
    let cluster = TestingCluster::start(VOTERS).await?;
    let client = first_write(&cluster.connect_string()).await?;
    let session = client.session_id();
    let mut counted = Counted::nothing()?;
    let mut waited = Duration::ZERO;
    let (before, began) = (Used::by_now(options), Instant::now());
    while began.elapsed() < options.measured() {
        let leader = cluster.leader().await;
        let killed = Instant::now();
        cluster.kill(leader).await;
        write(&client).await?;
        waited += killed.elapsed();
        counted.note(killed.elapsed(), 1)?;
        cluster.restart(leader).await?;
        cluster.await_converged().await;
    }
    if client.session_id() != session {
        return Err("the session did not survive".into());
    }
    Ok(Figures::new(waited, before.until_now(options), &counted))
}

/// Writes until a server has acknowledged it.
#[expect(clippy::disallowed_methods, reason = "programs may read the clock")]
async fn write(client: &Client) -> Result<(), Error> {
    let began = Instant::now();
    loop {
        match client.create("/next-", "", CreateMode::PersistentSequential).await {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionLoss => {
                if began.elapsed() > PAUSE_MAX {
                    return Err(error.into());
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
