//! How fast the client and the server are: `cargo run --release --example bench -- --help`.
//!
//! Measures the embedded server, others, or all of them in turns, so that their ratios come from
//! one run on one machine.

mod constant;
mod report;
mod workload;

use std::time::Duration;

use clap::{Parser, ValueEnum};
use znode::{Client, ConnectOptions, CreateMode, Version};
use znode_examples::Error;
use znode_testing::TestingServer;

use crate::report::{Figures, Table};
use crate::workload::Workload;

/// Closed-loop load over the znode client: every session keeps `depth` requests under way.
#[derive(Debug, Parser)]
struct Options {
    /// What each request does
    #[arg(long, value_enum, default_value_t = Mode::Get)]
    mode: Mode,
    /// Requests under way in each session
    #[arg(long, default_value_t = 64)]
    depth: usize,
    /// Sessions, each with a connection of its own
    #[arg(long, default_value_t = 1)]
    sessions: usize,
    /// Bytes of data in each node
    #[arg(long, default_value_t = 100)]
    payload: usize,
    /// Seconds that are measured in each round
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Seconds before them that are not
    #[arg(long, default_value_t = 0.5)]
    warmup: f64,
    /// Rounds; several servers take turns
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Another server, as host:port, measured beside the embedded one; may be given several
    /// times. Ratios are to the last one.
    #[arg(long)]
    against: Vec<String>,
    /// Do not measure the embedded server
    #[arg(long)]
    no_embedded: bool,
    /// Measure a server that answers everything with the same bytes, too: the client's own cost
    #[arg(long)]
    constant: bool,
    /// How the embedded server is reached
    #[arg(long, value_enum, default_value_t = Over::Tcp)]
    over: Over,
    /// Run everything on one thread instead of one for each core
    #[arg(long)]
    current_thread: bool,
    /// Print JSON, one object for each server
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Read the data of a node
    Get,
    /// Write the data of a node
    Set,
    /// Take a lock and release it; each session has a lock of its own
    Lock,
    /// The same, and all sessions want the same lock
    Contend,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Over {
    /// The loopback interface
    Tcp,
    /// A pipe within this process
    Memory,
}

/// A server to be measured.
enum Target {
    Embedded(Box<TestingServer>, Over),
    Constant(String),
    Other(String),
}

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
    let mut targets = Vec::new();
    if !options.no_embedded {
        let server = Box::new(TestingServer::start().await?);
        targets.push(Target::Embedded(server, options.over));
    }
    if options.constant {
        targets.push(Target::Constant(constant::start(options.payload)?.to_string()));
    }
    targets.extend(options.against.iter().cloned().map(Target::Other));
    let mut table = Table::new(targets.iter().map(Target::name));
    for _ in 0..options.rounds.max(1) {
        for (row, target) in targets.iter().enumerate() {
            table.add(row, measure(options, target).await?);
        }
    }
    if options.json {
        table.print_json();
    } else {
        table.print_text(&options.describe());
    }
    Ok(())
}

/// One round on one server: fresh sessions, a node for each, load, and nothing left behind.
async fn measure(options: &Options, target: &Target) -> Result<Figures, Error> {
    let owner = target.connect().await?;
    let home = owner.create("/bench-", "", CreateMode::PersistentSequential).await?.path;
    let mut sessions = Vec::new();
    for number in 0..options.sessions.max(1) {
        let path = match options.mode {
            Mode::Get | Mode::Set => format!("{home}/{number}"),
            Mode::Lock => format!("{home}/lock-of-{number}"),
            Mode::Contend => format!("{home}/lock"),
        };
        if !options.mode.is_of_locks() {
            owner.create(&path, vec![b'x'; options.payload], CreateMode::Ephemeral).await?;
        } else if owner.exists(&path).await?.is_none() {
            owner.create(&path, "", CreateMode::Persistent).await?;
        }
        sessions.push((target.connect().await?, path));
    }
    let workload = Workload {
        mode: options.mode,
        depth: options.depth.max(1),
        payload: options.payload,
        warmup: Duration::from_secs_f64(options.warmup),
        measured: Duration::from_secs_f64(options.seconds),
    };
    let figures = workload.run(&sessions).await?;
    for (client, path) in sessions {
        client.close().await?;
        if owner.exists(&path).await?.is_some_and(|stat| stat.num_children == 0) {
            owner.delete(&path, Version::ANY).await?;
        }
    }
    owner.delete(&home, Version::ANY).await?;
    owner.close().await?;
    Ok(figures)
}

impl Mode {
    fn is_of_locks(self) -> bool {
        matches!(self, Self::Lock | Self::Contend)
    }
}

impl Target {
    fn name(&self) -> String {
        match self {
            Self::Embedded(_, Over::Tcp) => "embedded, TCP".into(),
            Self::Embedded(_, Over::Memory) => "embedded, in memory".into(),
            Self::Constant(_) => "constant replies".into(),
            Self::Other(connect_string) => connect_string.clone(),
        }
    }

    async fn connect(&self) -> Result<Client, Error> {
        let options = ConnectOptions::new();
        Ok(match self {
            Self::Embedded(server, Over::Tcp) => options.connect(&server.connect_string()).await?,
            Self::Embedded(server, Over::Memory) => server.connect().await?,
            Self::Constant(connect_string) | Self::Other(connect_string) => {
                options.connect(connect_string).await?
            }
        })
    }
}

impl Options {
    fn describe(&self) -> String {
        let threads = if self.current_thread { "one thread" } else { "a thread for each core" };
        format!(
            "{:?}, {} session(s), depth {}, {} bytes, {} round(s) of {} s, {threads}",
            self.mode, self.sessions, self.depth, self.payload, self.rounds, self.seconds
        )
    }
}
