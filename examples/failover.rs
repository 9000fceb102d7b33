//! An ensemble that loses its leader, again and again: `cargo run --release --example failover`.
//!
//! One client writes as fast as it can while the leader is killed under it. The program tells how
//! long the ensemble took to start, how long each time nobody could write, and checks at the end
//! that every server holds everything that was acknowledged. `--rounds N` kills N leaders.

#![expect(clippy::disallowed_methods, reason = "it measures how long things take")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use clap::Parser;
use znode::{Client, CreateMode, ErrorKind};
use znode_examples::Error;
use znode_testing::TestingCluster;

/// Kills leaders and measures how soon there is another.
#[derive(Parser)]
struct Args {
    /// Servers that vote.
    #[arg(long, default_value_t = 3)]
    servers: u64,
    /// Leaders to be killed.
    #[arg(long, default_value_t = 10)]
    rounds: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let Args { servers, rounds } = Args::parse();
    let started = Instant::now();
    let cluster = TestingCluster::start(servers).await?;
    let client = cluster.connect().await?;
    client.create("/writes", "", CreateMode::Persistent).await?;
    println!("{servers} servers: first write acknowledged after {:.1?}", started.elapsed());

    let session = client.session_id();
    let mut acknowledged = BTreeSet::new();
    let mut pauses = Vec::new();
    for round in 1..=rounds {
        let before = Instant::now();
        while before.elapsed() < Duration::from_millis(50) {
            write(&client, &mut acknowledged).await?;
        }
        let leader = cluster.leader().await;
        let killed = Instant::now();
        cluster.kill(leader).await;
        write(&client, &mut acknowledged).await?;
        let pause = killed.elapsed();
        pauses.push(pause);
        println!("leader {leader} killed ({round}): the next write took {pause:.1?}");
        cluster.restart(leader).await?;
        cluster.await_converged().await;
    }
    pauses.sort_unstable();
    let (median, max) = (pauses[pauses.len() / 2], pauses[pauses.len() - 1]);
    println!("median {median:.1?}, max {max:.1?}; {} writes acknowledged", acknowledged.len());

    if client.session_id() != session {
        return Err("the session did not survive".into());
    }
    for id in cluster.ids() {
        let held = cluster.server(id).znode_count().await;
        for path in &acknowledged {
            if cluster.server(id).node(path).await.is_none() {
                return Err(format!("server {id} has lost {path}").into());
            }
        }
        println!("server {id} holds {held} nodes, and every acknowledged write among them");
    }
    Ok(())
}

/// Writes a node of its own, and again until it is known to be there.
async fn write(client: &Client, acknowledged: &mut BTreeSet<String>) -> Result<(), Error> {
    let path = format!("/writes/{:08}", acknowledged.len());
    loop {
        match client.create(&path, "", CreateMode::Persistent).await {
            Ok(_) => break,
            Err(error) if error.kind() == ErrorKind::NodeExists => break,
            Err(error) if error.kind() == ErrorKind::ConnectionLoss => {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    acknowledged.insert(path);
    Ok(())
}
