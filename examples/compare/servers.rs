//! The servers under the load, each a process that ends with this program.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use znode_examples::Error;

use crate::Options;

/// Where files lie in memory.
const MEMORY: &str = "/dev/shm";

/// How servers of Apache's are run.
const JVM: &str = "-Xmx1g -XX:+UseG1GC";
const ROOMY_JVM: &str = "-Xmx4g -XX:+UseG1GC";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    ApacheInMemory,
    /// The same with a heap that a million nodes fit into.
    ApacheRoomy,
    ApacheOnDisk,
    ApacheEnsemble,
    OursInMemory,
    OursOnDisk,
    OursEnsemble,
    /// Answers everything with the same bytes.
    Constant,
}

/// A server, or an ensemble.
pub(crate) struct Server {
    /// What clients connect to.
    pub(crate) address: String,
    pub(crate) pids: Vec<u32>,
    running: Running,
}

enum Running {
    /// Started by the script, with these directories.
    Apache(Vec<PathBuf>, PathBuf),
    /// Runs until its standard input ends.
    Child(Child, Option<ChildStdin>, Option<PathBuf>),
}

impl Server {
    pub(crate) fn start(kind: Kind, options: &Options) -> Result<Self, Error> {
        match kind {
            Kind::ApacheInMemory => Self::apache(1, &fresh(MEMORY)?, "no", JVM)?.warmed(options),
            Kind::ApacheRoomy => Self::apache(1, &fresh(MEMORY)?, "no", ROOMY_JVM),
            Kind::ApacheEnsemble => Self::apache(3, &fresh(MEMORY)?, "no", JVM)?.warmed(options),
            Kind::ApacheOnDisk => {
                Self::apache(1, &fresh(&options.disk())?, "yes", JVM)?.warmed(options)
            }
            Kind::OursInMemory => Self::child(options, "znode-server", &["--ephemeral", "1"], None),
            Kind::OursEnsemble => Self::child(options, "znode-server", &["--ephemeral", "3"], None),
            Kind::OursOnDisk => {
                let directory = fresh(&options.disk())?;
                let file = directory.join("zoo.cfg");
                let lines = format!(
                    "dataDir={}\nclientPort=0\nclientPortAddress=127.0.0.1\ntickTime=2000\n\
                     maxClientCnxns=0\n",
                    directory.join("data").display()
                );
                fs::write(&file, lines)?;
                let file = file.to_string_lossy().into_owned();
                Self::child(options, "znode-server", &[&file], Some(directory))
            }
            Kind::Constant => {
                let payload = options.payload.to_string();
                let arguments = ["--serve-constant", "--payload", &payload];
                Self::child(options, "examples/bench", &arguments, None)
            }
        }
    }

    /// A virtual machine has compiled by then what it will be measured by.
    fn warmed(self, options: &Options) -> Result<Self, Error> {
        for mode in ["mixed", "create-delete"] {
            let mut load = Command::new(options.program("examples/bench"));
            load.args(["--json", "--no-embedded", "--mode", mode, "--sessions", "8"]);
            load.args(["--seconds", "0.1", "--warmup", "4", "--against", &self.address]);
            let status = load.stdout(Stdio::null()).status()?;
            if !status.success() {
                return Err(format!("what was to warm a server up: {status}").into());
            }
        }
        Ok(self)
    }

    fn apache(servers: u32, directory: &Path, sync: &str, jvm: &str) -> Result<Self, Error> {
        let mut command = script();
        let homes: Vec<PathBuf> = match servers {
            1 => vec![directory.join("1")],
            _ => (1..=servers).map(|id| directory.join(id.to_string())).collect(),
        };
        match servers {
            1 => command.arg("start").arg(&homes[0]),
            _ => command.arg("ensemble").arg(directory).arg(servers.to_string()),
        };
        command.args([&format!("forceSync={sync}"), "tickTime=2000"]).env("ZK_JVM_FLAGS", jvm);
        let output = command.stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(format!("Apache ZooKeeper has not started: {}", output.status).into());
        }
        let told = String::from_utf8(output.stdout)?;
        let address = told.split_whitespace().collect::<Vec<_>>().join(",");
        let pids = homes
            .iter()
            .map(|home| Ok::<_, Error>(fs::read_to_string(home.join("pid"))?.trim().parse()?));
        let pids = pids.collect::<Result<_, _>>()?;
        Ok(Self { address, pids, running: Running::Apache(homes, directory.to_owned()) })
    }

    fn child(
        options: &Options,
        program: &str,
        arguments: &[&str],
        directory: Option<PathBuf>,
    ) -> Result<Self, Error> {
        let mut command = Command::new(options.program(program));
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or("its output is not to be had")?;
        let mut address = String::new();
        BufReader::new(output).read_line(&mut address)?;
        let (address, pids) = (address.trim().to_owned(), vec![child.id()]);
        Ok(Self { address, pids, running: Running::Child(child, input, directory) })
    }

    /// What of its processes is in memory, in MiB.
    pub(crate) fn resident_mib(&self) -> f64 {
        let each = self.pids.iter().map(|pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            kib.unwrap_or(f64::NAN) / 1024.0
        });
        each.sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        match &mut self.running {
            Running::Apache(homes, directory) => {
                for home in homes {
                    let _ = script().arg("stop").arg(home).output();
                }
                let _ = fs::remove_dir_all(directory);
            }
            Running::Child(child, input, directory) => {
                drop(input.take());
                // A server on a disk does not look at its input.
                let _ = child.kill();
                let _ = child.wait();
                if let Some(directory) = directory {
                    let _ = fs::remove_dir_all(directory);
                }
            }
        }
    }
}

fn script() -> Command {
    Command::new("tests/interop/zookeeper.sh")
}

/// A directory of its own, on the disk or in memory.
fn fresh(parent: &str) -> Result<PathBuf, Error> {
    let directory = (0..1000)
        .map(|number| {
            Path::new(parent).join(format!("znode-compare-{}-{number}", std::process::id()))
        })
        .find(|directory| !directory.exists())
        .ok_or("no name is free")?;
    fs::create_dir_all(&directory)?;
    Ok(directory)
}
