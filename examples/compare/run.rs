//! One run of one program: ours, or a peer.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use znode_examples::Error;

use crate::Options;
use crate::plan::Row;
use crate::servers::Server;

/// After how many seconds a run is taken for one that hangs.
const TIME_MAX: &str = "300";

/// What a run has told, by name.
pub(crate) type Told = BTreeMap<String, f64>;

/// Who does the work.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Program {
    /// Our client.
    Bench(Driver),
    /// No client at all: this mode of the bench, whatever is asked for.
    Raw(&'static str),
    /// One that `peers.sh` knows.
    Peer(&'static str),
}

/// How our client is driven.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Driver {
    /// Replies are awaited one after the other.
    #[default]
    InOrder,
    /// Everything runs on one thread.
    OneThread,
    /// Replies are awaited in no order, as other clients' have to be.
    Unordered,
    /// Both.
    UnorderedOnOneThread,
    /// Locks are let go by dropping their guards.
    Dropped,
}

impl Driver {
    fn arguments(self, depth: u32) -> Vec<&'static str> {
        // One request at a time needs nothing to keep several, in no program.
        let unordered = (depth > 1).then_some("--unordered");
        match self {
            Self::InOrder => vec![],
            Self::OneThread => vec!["--current-thread"],
            Self::Unordered => unordered.into_iter().collect(),
            Self::UnorderedOnOneThread => {
                unordered.into_iter().chain(["--current-thread"]).collect()
            }
            Self::Dropped => vec!["--dropped"],
        }
    }
}

impl Program {
    /// Whether it has such a recipe.
    pub(crate) fn does(self, mode: &str) -> bool {
        match self {
            Self::Bench(Driver::Dropped) => ["lock", "contend", "contend-once"].contains(&mode),
            Self::Bench(_) | Self::Raw(_) => true,
            Self::Peer("curator") => mode != "failover",
            Self::Peer("kazoo") => mode != "cache",
            Self::Peer("zookeeper-client" | "zookeeper-client-one-thread") => {
                ["get", "set", "lock", "contend", "contend-once"].contains(&mode)
            }
            Self::Peer(_) => ["get", "set"].contains(&mode),
        }
    }

    /// Virtual machines have to get warm.
    fn warmup(self) -> f64 {
        match self {
            Self::Peer("java" | "curator") => 3.0,
            _ => 0.5,
        }
    }

    pub(crate) fn run(
        self,
        row: &Row,
        server: Option<&Server>,
        options: &Options,
    ) -> Result<Told, Error> {
        let Row { mode, sessions, depth, .. } = row;
        let driver = match self {
            Self::Bench(driver) => driver.arguments(*depth),
            _ => vec![],
        };
        let (sessions, depth) = (sessions.to_string(), depth.to_string());
        let (warmup, seconds) = (self.warmup().to_string(), options.seconds.to_string());
        let (payload, nodes) = (
            options.payload.to_string(),
            row.nodes.map_or(options.nodes, |nodes| nodes as usize).to_string(),
        );
        if *mode == "cache" {
            plant(server, options, &nodes)?;
        }
        // What hangs is an error, and not a comparison that never ends.
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", TIME_MAX]);
        match self {
            Self::Bench(_) | Self::Raw(_) => {
                let mode = if let Self::Raw(mode) = self { mode } else { mode };
                command.arg(options.program("examples/bench"));
                command.args(["--json", "--no-embedded", "--mode", mode]);
                command.args(["--sessions", &sessions, "--depth", &depth]);
                command.args(["--payload", &payload, "--nodes", &nodes]);
                command.args(["--warmup", &warmup, "--seconds", &seconds]);
                command.args(["--directory", &options.disk()]).args(driver);
                if let Some(server) = server {
                    command.args(["--against", &server.address]);
                    for pid in &server.pids {
                        command.args(["--server-pid", &pid.to_string()]);
                    }
                }
            }
            Self::Peer(peer) => {
                let address = server.map_or("none", |server| &server.address);
                command.arg(Path::new("examples/bench/peers.sh"));
                command.args(["run", peer, mode, address, &sessions, &depth, &payload]);
                command.args([&warmup, &seconds, &nodes]);
            }
        }
        let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let line = said.lines().find(|line| line.starts_with('{'));
        let Some(line) = line.filter(|_| output.status.success()) else {
            return Err(format!("{self:?} {mode}: {}\n{said}", output.status).into());
        };
        let told: BTreeMap<String, serde_json::Value> = serde_json::from_str(line)?;
        let figures = told.into_iter().filter_map(|(key, value)| Some((key, value.as_f64()?)));
        Ok(figures.collect())
    }
}

/// Has a process of its own lay out the tree that caches are filled with: what is left of that must
/// not be in those whose memory is looked at.
fn plant(server: Option<&Server>, options: &Options, nodes: &str) -> Result<(), Error> {
    let address = server.map_or("none", |server| &server.address);
    let mut command = Command::new(options.program("examples/bench"));
    command.args(["--json", "--no-embedded", "--mode", "plant", "--against", address]);
    command.args(["--payload", &options.payload.to_string(), "--nodes", nodes]);
    let status = command.stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(format!("a tree was not laid out: {status}").into()) }
}
