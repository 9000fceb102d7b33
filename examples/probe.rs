//! A health check of every server of an ensemble: `cargo run --example probe -- host:port,…`, or on
//! an embedded ensemble of three without it.
//!
//! Through each server a node is written that all others watch: each must be told, and read the
//! same. Then it tells how many reads and writes a second each server takes. It ends with an error
//! if a server does not do what it should within the time.

#![expect(clippy::disallowed_methods, reason = "it measures how long things take")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use futures::future::{join_all, try_join_all};
use tokio::time::timeout;
use znode::{Client, ConnectOptions, ConnectString, CreateMode, Version};
use znode_examples::Error;
use znode_testing::TestingCluster;

/// Asks each server of an ensemble whether it works.
#[derive(Parser)]
struct Options {
    /// `host:port[,host:port…]`; an embedded ensemble, or that of `ZNODE_CONNECT`, without
    connect_string: Option<String>,
    /// Requests whose rate is measured
    #[arg(long, default_value_t = 1000)]
    requests: u32,
    /// Seconds that anything may take
    #[arg(long, default_value_t = 5.0)]
    patience: f64,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Error> {
    let options = Options::parse();
    let named = options.connect_string.clone().or_else(|| std::env::var("ZNODE_CONNECT").ok());
    let (connect_string, _cluster) = match named {
        Some(connect_string) => (connect_string, None),
        None => {
            let cluster = TestingCluster::start(3).await?;
            (cluster.connect_string(), Some(cluster))
        }
    };
    let ensemble: ConnectString = connect_string.parse()?;
    let hosts: Vec<String> = ensemble.hosts().iter().map(ToString::to_string).collect();
    let patience = Duration::try_from_secs_f64(options.patience)?;
    let connects = hosts.iter().map(async |host| {
        let connect_string = format!("{host}{}", ensemble.chroot().as_str().trim_end_matches('/'));
        let connect = ConnectOptions::new().connect(&connect_string);
        Ok::<_, Error>(timeout(patience, connect).await.map_err(|_| "does not answer")??)
    });
    let mut servers = Vec::new();
    let mut faults = 0;
    let connected = join_all(connects).await;
    for (host, connected) in hosts.into_iter().zip(connected) {
        match connected {
            Ok(client) => servers.push((host, client)),
            Err(error) => {
                println!("{host:<22} FAULT  cannot be reached: {error}");
                faults += 1;
            }
        }
    }
    let Some((_, first)) = servers.first() else { return Ok(ExitCode::FAILURE) };
    let home = first.create("/probe-", "", CreateMode::PersistentSequential).await?.path;
    for place in 0..servers.len() {
        let (host, client) = &servers[place];
        let checked = timeout(patience, check(&servers, place, &home)).await;
        let told = match checked.unwrap_or_else(|_| Err("takes too long".into())) {
            Ok(told) => told,
            Err(error) => {
                println!("{host:<22} FAULT  {error}");
                faults += 1;
                continue;
            }
        };
        let rates = rates(client, &home, options.requests).await?;
        println!("{host:<22} ok     {told}; {rates}");
    }
    first.delete_all(&home).await?;
    println!("{} servers, {faults} faults", servers.len());
    for (_, client) in servers {
        client.close().await?;
    }
    Ok(if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Creates a node through one server and publishes a value: all others are told, and read it.
async fn check(servers: &[(String, Client)], place: usize, home: &str) -> Result<String, Error> {
    let (_, client) = &servers[place];
    let (path, value) = (format!("{home}/{place}"), format!("published by {place}"));
    let began = Instant::now();
    client.create(&path, "", CreateMode::Persistent).await?;
    let created = began.elapsed();
    let watches = servers.iter().map(async |(host, client)| {
        client.sync(&path).await?;
        let (data, _, watcher) = client.get_data_watched(&path).await?;
        if data.is_empty() { Ok((host, client, watcher)) } else { Err(Error::from("is not empty")) }
    });
    let watches = try_join_all(watches).await?;
    let began = Instant::now();
    client.set_data(&path, &value, Version(0)).await?;
    let published = began.elapsed();
    let told = watches.into_iter().map(async |(host, client, watcher)| {
        watcher.await?;
        let told = began.elapsed();
        let (data, stat) = client.get_data(&path).await?;
        if data != value.as_bytes() || stat.version != Version(1) {
            return Err(Error::from(format!("{host} has read {data:?}")));
        }
        Ok(told)
    });
    let told = try_join_all(told).await?;
    let last = told.into_iter().max().unwrap_or_default();
    Ok(format!("created {created:.1?}, published {published:.1?}, last told {last:.1?}"))
}

/// So many reads, and so many writes, all on their way at once.
async fn rates(client: &Client, home: &str, requests: u32) -> Result<String, Error> {
    let rate = |began: Instant| f64::from(requests) / began.elapsed().as_secs_f64();
    let began = Instant::now();
    try_join_all((0..requests).map(|_| client.get_data(home))).await?;
    let reads = rate(began);
    let began = Instant::now();
    try_join_all((0..requests).map(|_| client.set_data(home, "", Version::ANY))).await?;
    Ok(format!("{reads:.0} reads/s, {:.0} writes/s", rate(began)))
}
