//! One run of one program: ours, or a peer.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use znode_examples::Error;

use crate::Options;
use crate::plan::Row;
use crate::servers::Server;

/// What a run has told, by name.
pub(crate) type Told = BTreeMap<String, f64>;

/// Who does the work.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Program {
    /// Our client.
    Bench { one_thread: bool, dropped: bool },
    /// One that `peers.sh` knows.
    Peer(&'static str),
}

impl Program {
    /// Whether it has such a recipe.
    pub(crate) fn does(self, mode: &str) -> bool {
        match self {
            Self::Bench { dropped: true, .. } => ["lock", "contend"].contains(&mode),
            Self::Bench { .. } => true,
            Self::Peer("curator") => {
                ["lock", "contend", "queue", "counter", "cache"].contains(&mode)
            }
            Self::Peer("kazoo") => mode != "cache",
            Self::Peer("zookeeper-client" | "zookeeper-client-one-thread") => {
                ["get", "set", "lock", "contend"].contains(&mode)
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

    pub(crate) fn run(self, row: &Row, server: &Server, options: &Options) -> Result<Told, Error> {
        let Row { mode, sessions, depth, .. } = row;
        let (sessions, depth) = (sessions.to_string(), depth.to_string());
        let (warmup, seconds) = (self.warmup().to_string(), options.seconds.to_string());
        let (payload, nodes) = (options.payload.to_string(), options.nodes.to_string());
        let mut command = match self {
            Self::Bench { one_thread, dropped } => {
                let mut command = Command::new(options.program("examples/bench"));
                command.args(["--json", "--no-embedded", "--mode", mode, "--against"]);
                command.args([&server.address, "--sessions", &sessions, "--depth", &depth]);
                command.args(["--payload", &payload, "--nodes", &nodes]);
                command.args(["--warmup", &warmup, "--seconds", &seconds]);
                for pid in &server.pids {
                    command.args(["--server-pid", &pid.to_string()]);
                }
                command.args(one_thread.then_some("--current-thread"));
                command.args(dropped.then_some("--dropped"));
                command
            }
            Self::Peer(peer) => {
                let mut command = Command::new(Path::new("examples/bench/peers.sh"));
                command.args(["run", peer, mode, &server.address, &sessions, &depth, &payload]);
                command.args([&warmup, &seconds, &nodes]);
                command
            }
        };
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
