//! Servers of either kind, each a process with a directory of its own.

use std::fs::{self, File};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::interval;
use znode::{Client, ConnectOptions};
use znode_tests::support::GUARD;
pub(crate) use znode_tests::support::soon;

use crate::words;

/// How often a server is asked that cannot tell by itself.
const LOOK: Duration = Duration::from_millis(20);

/// How long sessions live here without their clients.
pub(crate) const SESSION: Duration = Duration::from_secs(20);

/// How long servers wait for a leader that stands still, in ticks of 100 milliseconds: one that
/// they follow, and one that they are about to.
pub(crate) const IMPATIENT: [&str; 2] = ["syncLimit=10", "initLimit=30"];

/// What is killed leaves what it has written to the system: where only that is judged, nobody need
/// wait for a disk, which may be slow for reasons of its own.
pub(crate) const UNSYNCED: &str = "forceSync=no";

/// Who wrote a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Apache,
    Ours,
}

/// Tests with many processes take turns: otherwise they would time each other's servers out.
pub(crate) async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

/// Whether servers of Apache's are asked for.
pub(crate) fn wants_apache() -> bool {
    std::env::var_os("ZNODE_TEST_APACHE").is_some()
}

/// A number that the environment may set.
pub(crate) fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |value| value.parse().expect("it is a number"))
}

/// Looks again and again until there is something to be seen.
#[track_caller]
pub(crate) fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> impl Future<Output = T> {
    soon(async move {
        let mut ticks = interval(LOOK);
        loop {
            ticks.tick().await;
            if let Some(seen) = look().await {
                return seen;
            }
        }
    })
}

/// One server.
pub(crate) struct Member {
    pub(crate) kind: Kind,
    /// `host:port` for clients.
    pub(crate) address: String,
    directory: PathBuf,
    process: Option<Child>,
    starts: u32,
}

/// Apache's server does not start any more once it was killed between making the file for its epoch
/// and writing it: what it was about to write is the epoch that it had accepted.
fn complete_epoch(data: &Path) {
    let unwritten = data.join("currentEpoch.tmp");
    if fs::read(&unwritten).is_ok_and(|epoch| epoch.is_empty()) {
        fs::copy(data.join("acceptedEpoch"), unwritten).unwrap();
    }
}

/// The servers of one ensemble, numbered from 1.
pub(crate) struct Ensemble {
    directory: PathBuf,
    pub(crate) members: Vec<Member>,
}

fn script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/zookeeper.sh"))
}

impl Member {
    /// Starts the process; it serves by and by.
    pub(crate) fn start(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.address);
        self.starts += 1;
        let config = self.directory.join("zoo.cfg");
        let mut command = match self.kind {
            Kind::Ours => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_znode-server-under-test"));
                command.arg(config);
                command
            }
            Kind::Apache => {
                complete_epoch(&self.directory.join("data/version-2"));
                let mut command = script();
                command.arg("run").arg(&self.directory);
                command
            }
        };
        let log = File::create(self.log()).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.process = Some(command.spawn().unwrap());
    }

    /// What the present process has to tell, or the last one had.
    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join(format!("server-{}.log", self.starts))
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.join("data/version-2")
    }

    /// `host:port` where other servers come: to follow, and for elections.
    pub(crate) fn peer_ports(&self, number: usize) -> (String, String) {
        let mut config = fs::read_to_string(self.directory.join("zoo.cfg")).unwrap();
        // Once servers have agreed on them, members stand in a file of their own.
        if let Some((_, dynamic)) = config.split_once("dynamicConfigFile=") {
            config = fs::read_to_string(dynamic.trim()).unwrap();
        }
        let key = format!("server.{number}=");
        let line = config.lines().find_map(|line| line.strip_prefix(&key)).unwrap();
        let mut parts = line.split(':');
        let mut part = || parts.next().unwrap();
        let (host, quorum, election) = (part(), part(), part());
        (format!("{host}:{quorum}"), format!("{host}:{election}"))
    }

    /// Has it started differently from now on.
    #[cfg(feature = "tls")]
    pub(crate) fn rewrite(&self, change: impl FnOnce(String) -> String) {
        let path = self.directory.join("zoo.cfg");
        let config = fs::read_to_string(&path).unwrap();
        fs::write(path, change(config)).unwrap();
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Ends it as an operator does.
    pub(crate) async fn stop(&mut self) {
        self.signal("-TERM");
        self.ended().await;
    }

    /// Waits for the process to end, and says how it did.
    pub(crate) async fn ended(&mut self) -> std::process::ExitStatus {
        let mut process = self.process.take().expect("it runs");
        until(async || process.try_wait().unwrap()).await
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| process.try_wait().unwrap().is_none())
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.process.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        // A thread that was running may go on for a moment.
        while signal == "-STOP" && !stands_still(&pid) {
            std::thread::yield_now();
        }
    }

    /// A client of this server alone.
    pub(crate) async fn connect(&self) -> Client {
        let options = ConnectOptions::new().connect_timeout(GUARD).session_timeout(SESSION);
        soon(options.connect(&self.address)).await.unwrap()
    }
}

/// Whether every thread of a process is stopped.
fn stands_still(pid: &str) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the process is there");
    threads.flatten().all(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
    })
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Ensemble {
    /// Lays down what servers of these kinds start from, the last of them without a vote, and
    /// starts none.
    pub(crate) fn prepare(kinds: &[Kind], observers: usize, lines: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("znode-ensemble-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let told = script()
            .arg("prepare")
            .arg(&directory)
            .arg(kinds.len().to_string())
            .args(["preAllocSize=64", "maxSessionTimeout=60000"])
            .args(lines)
            .env("ZK_OBSERVERS", observers.to_string())
            .output()
            .unwrap();
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        let addresses = String::from_utf8(told.stdout).unwrap();
        let members = kinds.iter().zip(addresses.lines()).enumerate();
        let members = members.map(|(i, (kind, address))| Member {
            kind: *kind,
            address: address.to_owned(),
            directory: directory.join((i + 1).to_string()),
            process: None,
            starts: 0,
        });
        Self { members: members.collect(), directory }
    }

    /// As [`prepare`](Self::prepare), and all of them serve.
    pub(crate) async fn start(kinds: &[Kind], observers: usize, lines: &[&str]) -> Self {
        let mut ensemble = Self::prepare(kinds, observers, lines);
        ensemble.members.iter_mut().for_each(Member::start);
        ensemble.all_serve().await;
        ensemble
    }

    /// One by its number.
    pub(crate) fn member(&mut self, number: usize) -> &mut Member {
        &mut self.members[number - 1]
    }

    pub(crate) fn connect_string(&self) -> String {
        let addresses: Vec<&str> = self.members.iter().map(|member| &*member.address).collect();
        addresses.join(",")
    }

    /// Waits until this one serves, and says as what.
    pub(crate) async fn serves(&mut self, number: usize) -> String {
        let member = self.member(number);
        let (address, log) = (member.address.clone(), member.log());
        until(async || {
            let running = member.is_running();
            assert!(running, "{number} has ended: {}", fs::read_to_string(&log).unwrap());
            words::mode(&address).await
        })
        .await
    }

    pub(crate) async fn all_serve(&mut self) {
        for number in 1..=self.members.len() {
            self.serves(number).await;
        }
    }

    /// The `zoo.cfg` of one.
    pub(crate) fn config(&self, number: usize) -> PathBuf {
        self.members[number - 1].directory.join("zoo.cfg")
    }

    /// A file that goes with the ensemble.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Everything that its servers had to tell.
    pub(crate) fn logs(&self) -> Vec<PathBuf> {
        let logs = self.members.iter().flat_map(|member| {
            (1..=member.starts).map(|start| member.directory.join(format!("server-{start}.log")))
        });
        logs.collect()
    }

    /// The number of the leader, waited for; of those that run, but for one.
    pub(crate) async fn leader_but(&mut self, but: Option<usize>) -> usize {
        let members = &mut self.members;
        let running = members.iter_mut().map(Member::is_running).collect::<Vec<_>>();
        let members = &self.members;
        until(async || {
            for (i, member) in members.iter().enumerate() {
                let asked = running[i] && but != Some(i + 1);
                if asked && words::mode(&member.address).await.as_deref() == Some("leader") {
                    return Some(i + 1);
                }
            }
            None
        })
        .await
    }

    /// The number of the leader, waited for.
    pub(crate) async fn leader(&mut self) -> usize {
        self.leader_but(None).await
    }
}

impl Drop for Ensemble {
    fn drop(&mut self) {
        self.members.clear();
        if std::thread::panicking() {
            eprintln!("logs and data are left in {}", self.directory.display());
        } else {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}
