//! What the bench is asked to do.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Load over the znode client, on the embedded server, on others, or on all of them in turns.
#[derive(Debug, Clone, Parser)]
pub(crate) struct Options {
    /// What is done
    #[arg(long, value_enum, default_value_t = Mode::Get)]
    pub(crate) mode: Mode,
    /// Requests under way in each session, where the mode keeps several
    #[arg(long, default_value_t = 64)]
    pub(crate) depth: usize,
    /// Sessions, each with a connection of its own; producers, and as many consumers, of a queue
    #[arg(long, default_value_t = 1)]
    pub(crate) sessions: usize,
    /// Bytes of data in each node
    #[arg(long, default_value_t = 100)]
    pub(crate) payload: usize,
    /// Nodes of the tree that a cache is filled with
    #[arg(long, default_value_t = 100_000)]
    pub(crate) nodes: usize,
    /// Seconds that are measured in each round
    #[arg(long, default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// Seconds before them that are not
    #[arg(long, default_value_t = 0.5)]
    pub(crate) warmup: f64,
    /// Rounds; several servers take turns
    #[arg(long, default_value_t = 1)]
    pub(crate) rounds: usize,
    /// Requests a second of all sessions together, each timed from when it was due: open loop, for
    /// get, set and mixed. Without it, a request is asked when another one is answered
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Await requests in no order, each by itself, instead of one after the other
    #[arg(long)]
    pub(crate) unordered: bool,
    /// Let a lock go by dropping its guard, which nobody waits for
    #[arg(long)]
    pub(crate) dropped: bool,
    /// Another server, as host:port, measured beside the embedded one; may be given several
    /// times. Ratios are to the last one
    #[arg(long)]
    pub(crate) against: Vec<String>,
    /// Do not measure the embedded server
    #[arg(long)]
    pub(crate) no_embedded: bool,
    /// Measure a server that answers everything with the same bytes, too: the client's own cost
    #[arg(long)]
    pub(crate) constant: bool,
    /// How the embedded server is reached
    #[arg(long, value_enum, default_value_t = Over::Tcp)]
    pub(crate) over: Over,
    /// Run everything on one thread instead of one for each core
    #[arg(long)]
    pub(crate) current_thread: bool,
    /// A process whose processor time is told, too: that of a server; may be given several times
    #[arg(long)]
    pub(crate) server_pid: Vec<u32>,
    /// Print JSON, one object for each server
    #[arg(long)]
    pub(crate) json: bool,
    /// Where the file lies that is synced
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    pub(crate) directory: PathBuf,
    /// Serve constant answers until standard input ends, on the address that is printed
    #[arg(long)]
    pub(crate) serve_constant: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Read the data of a node
    Get,
    /// Write the data of a node
    Set,
    /// Seven reads to three writes
    Mixed,
    /// Create a node and delete it: two requests
    CreateDelete,
    /// Open a session and close it
    Connect,
    /// Open a session, create an ephemeral node, and close the session
    Churn,
    /// Change a node that all sessions watch, until all of them know
    FanOut,
    /// Take a lock and release it; each session has a lock of its own
    Lock,
    /// The same, and all sessions want the same lock
    Contend,
    /// The same, and each takes it once: from when all set out until the last has let it go
    ContendOnce,
    /// Put items into a queue and take them out again
    Queue,
    /// Add one to a counter that all sessions share
    Counter,
    /// Lay out the tree at `/cache-tree` that a cache is filled with, unless it is there
    Plant,
    /// Fill a cache of that tree; if another process has laid it out, that has left no memory here
    Cache,
    /// Make nodes: what the server's memory grows by
    GrowNodes,
    /// Open sessions, and leave them be: the same
    GrowSessions,
    /// Watch every node of so many: the same
    GrowWatches,
    /// Start an embedded server, until it has acknowledged a first write
    Start,
    /// The same with three servers that vote
    StartCluster,
    /// Have the leader of three servers die, until a session that stood before has written again
    Failover,
    /// Send a byte to and fro over a raw socket: what no request can beat
    PingPong,
    /// Append so many records at a time to a file, and sync it: what no durable write can beat
    Fsync,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Over {
    /// The loopback interface
    Tcp,
    /// A pipe within this process
    Memory,
}

impl Options {
    pub(crate) fn warmup(&self) -> Duration {
        Duration::from_secs_f64(self.warmup)
    }

    pub(crate) fn measured(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    pub(crate) fn describe(&self) -> String {
        let threads = if self.current_thread { "one thread" } else { "a thread for each core" };
        let load = match self.rate {
            Some(rate) => format!("{rate} requests a second"),
            None => format!("depth {}", self.depth),
        };
        format!(
            "{:?}, {} session(s), {load}, {} bytes, {} round(s) of {} s, {threads}",
            self.mode, self.sessions, self.payload, self.rounds, self.seconds
        )
    }
}
