//! How fast the client and the server are: `cargo run --release --example bench -- --help`.
//!
//! Measures the embedded server, others, or all of them in turns, so that their ratios come from
//! one run on one machine.

mod constant;
mod embedded;
mod fill;
mod fsync;
mod growth;
mod live;
mod measure;
mod options;
mod ping_pong;
mod report;
mod requests;
mod sessions;
mod target;
mod turns;

use clap::Parser as _;
use tokio::io::AsyncReadExt as _;
use znode::{Client, CreateMode};
use znode_examples::Error;

use crate::options::{Mode, Options};
use crate::report::{Figures, Table};
use crate::target::Target;

/// Where each round has its nodes, with a number behind it.
const HOME: &str = "/bench-";

fn main() -> Result<(), Error> {
    let options = Options::parse();
    let mut runtime = if options.current_thread {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    runtime.enable_all().build()?.block_on(run(&options))
}

async fn run(options: &Options) -> Result<(), Error> {
    if options.serve_constant {
        println!("{}", constant::start(options.payload)?);
        tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
        return Ok(());
    }
    if let Some(what) = options.mode.without_servers() {
        let mut table = Table::new([what.to_owned()]);
        for _ in 0..options.rounds.max(1) {
            table.add(0, alone(options).await?);
        }
        table.print(options);
        return Ok(());
    }
    let targets = Target::all(options).await?;
    let mut table = Table::new(targets.iter().map(Target::name));
    for _ in 0..options.rounds.max(1) {
        for (row, target) in targets.iter().enumerate() {
            table.add(row, measure(options, target).await?);
        }
    }
    table.print(options);
    Ok(())
}

/// One round of what needs no server that runs already.
async fn alone(options: &Options) -> Result<Figures, Error> {
    match options.mode {
        Mode::PingPong => ping_pong::run(options),
        Mode::Fsync => fsync::run(options),
        Mode::Failover => embedded::fail_over(options).await,
        _ => embedded::start(options).await,
    }
}

/// One round on one server: fresh sessions, a home of their own, load, and nothing left behind.
async fn measure(options: &Options, target: &Target) -> Result<Figures, Error> {
    let door = target.door();
    let owner = door.open().await?;
    let home = owner.create(HOME, "", CreateMode::PersistentSequential).await?.path;
    let mut sessions = Vec::new();
    for number in 0..options.mode.sessions(options) {
        let path = options.mode.path(&home, number);
        if number == 0 || path != options.mode.path(&home, 0) {
            options.mode.lay_out(&owner, &path, options.payload).await?;
        }
        sessions.push((door.open().await?, path));
    }
    let figures = match options.mode {
        Mode::Connect | Mode::Churn => sessions::come_and_go(options, target, &home).await?,
        Mode::FanOut => sessions::fan_out(options, &sessions).await?,
        Mode::Lock | Mode::Contend | Mode::Queue | Mode::Counter => {
            turns::run(options, &sessions).await?
        }
        Mode::ContendOnce => turns::bursts(options, &sessions).await?,
        Mode::GrowNodes => growth::nodes(options, &owner, &home).await?,
        Mode::GrowSessions => growth::sessions(options, target).await?,
        Mode::GrowWatches => growth::watches(options, &owner, &home).await?,
        Mode::Plant => fill::plant(&owner, options).await?,
        Mode::Cache => {
            fill::plant(&owner, options).await?;
            fill::fill(options, &door.open().await?).await?
        }
        _ => requests::run(options, &sessions).await?,
    };
    for (client, _) in sessions {
        client.close().await?;
    }
    // A server of constant answers has made nothing, whatever it says; what a server has grown by
    // is looked at afterwards.
    if home.starts_with(HOME) && options.mode != Mode::GrowNodes {
        owner.delete_all(&home).await?;
    }
    owner.close().await?;
    Ok(figures)
}

impl Mode {
    /// What is measured, if it is no server that runs already.
    fn without_servers(self) -> Option<&'static str> {
        match self {
            Self::PingPong => Some("raw loopback"),
            Self::Fsync => Some("raw file"),
            Self::Start => Some("embedded server"),
            Self::StartCluster | Self::Failover => Some("embedded cluster"),
            _ => None,
        }
    }

    /// How many sessions there are beside those that the load opens by itself.
    fn sessions(self, options: &Options) -> usize {
        match self {
            Self::Connect | Self::Churn | Self::Plant | Self::Cache => 0,
            Self::GrowNodes | Self::GrowSessions | Self::GrowWatches => 0,
            Self::Queue => 2 * options.sessions.max(1),
            _ => options.sessions.max(1),
        }
    }

    /// The node of a session: its own, or that of all.
    fn path(self, home: &str, number: usize) -> String {
        match self {
            Self::FanOut | Self::Contend | Self::ContendOnce | Self::Queue | Self::Counter => {
                format!("{home}/all")
            }
            _ => format!("{home}/{number}"),
        }
    }

    /// Makes that node, unless the recipe does so by itself.
    async fn lay_out(self, owner: &Client, path: &str, payload: usize) -> Result<(), Error> {
        let data = match self {
            Self::Counter => return Ok(()),
            Self::Lock | Self::Contend | Self::ContendOnce | Self::Queue => Vec::new(),
            _ => vec![b'x'; payload],
        };
        owner.create(path, data, CreateMode::Persistent).await?;
        Ok(())
    }
}
