//! Other crates under the load of the bench; see `peers.sh`.

mod others;

use std::env;
use std::error::Error;
use std::fs;
use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::task::JoinSet;
use zookeeper_client::{Acls, Client, CreateMode, LockOptions, LockPrefix};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// What every client can do.
trait Requests: Send + Sync + 'static {
    /// Makes the node, whatever comes of it.
    fn make(&self, path: &str, data: &[u8]) -> impl Future<Output = ()> + Send;
    fn get(&self, path: &str) -> impl Future<Output = Outcome<()>> + Send;
    fn set(&self, path: &str, data: &[u8]) -> impl Future<Output = Outcome<()>> + Send;
}

impl Requests for Client {
    async fn make(&self, path: &str, data: &[u8]) {
        let options = CreateMode::Persistent.with_acls(Acls::anyone_all());
        let _ = self.create(path, data, &options).await;
    }

    async fn get(&self, path: &str) -> Outcome<()> {
        self.get_data(path).await?;
        Ok(())
    }

    async fn set(&self, path: &str, data: &[u8]) -> Outcome<()> {
        self.set_data(path, data, None).await?;
        Ok(())
    }
}

#[derive(Clone)]
struct Task {
    peer: String,
    mode: String,
    connect: String,
    sessions: usize,
    depth: usize,
    payload: usize,
    begin: Instant,
    end: Instant,
}

impl Task {
    fn from_arguments() -> Outcome<Self> {
        let arguments: Vec<String> = env::args().skip(1).collect();
        let [peer, mode, connect, sessions, depth, payload, warmup, seconds, _] = &arguments[..]
        else {
            return Err("see peers.sh".into());
        };
        let begin = Instant::now() + Duration::try_from_secs_f64(warmup.parse()?)?;
        Ok(Self {
            peer: peer.clone(),
            mode: mode.clone(),
            connect: connect.clone(),
            sessions: sessions.parse()?,
            depth: depth.parse()?,
            payload: payload.parse()?,
            begin,
            end: begin + Duration::try_from_secs_f64(seconds.parse()?)?,
        })
    }

    /// Whether it goes on; what began in time and has ended in time counts.
    fn note(&self, times: &mut Vec<u64>, asked: Instant) -> bool {
        let now = Instant::now();
        if asked >= self.begin && now <= self.end {
            times.push((now - asked).as_nanos() as u64);
        }
        now < self.end
    }

    async fn requests(self, client: impl Requests, path: String) -> Outcome<Vec<u64>> {
        let data = vec![b'x'; self.payload];
        // A server of constant answers has none of it.
        client.make(&path, &data).await;
        let sets = self.mode == "set";
        let ask = async || {
            let asked = Instant::now();
            if sets {
                client.set(&path, &data).await?;
            } else {
                client.get(&path).await?;
            }
            Ok::<_, Box<dyn Error + Send + Sync>>(asked)
        };
        let mut times = Vec::new();
        let mut under_way: FuturesUnordered<_> = (0..self.depth).map(|_| ask()).collect();
        while let Some(asked) = under_way.next().await {
            if !self.note(&mut times, asked?) {
                break;
            }
            under_way.push(ask());
        }
        Ok(times)
    }

    /// It releases by dropping, which nobody can wait for.
    async fn turns(self, client: Client, path: String) -> Outcome<Vec<u64>> {
        let parents = CreateMode::Persistent.with_acls(Acls::anyone_all());
        let mut times = Vec::new();
        loop {
            let asked = Instant::now();
            let options =
                LockOptions::new(Acls::anyone_all()).with_ancestor_options(parents.clone())?;
            drop(client.lock(LockPrefix::new_curator(&path, "latch-")?, b"", options).await?);
            if !self.note(&mut times, asked) {
                return Ok(times);
            }
        }
    }

    async fn run(self) -> Outcome<()> {
        let mut tasks = JoinSet::new();
        let mark = std::process::id();
        for number in 0..self.sessions {
            let (task, own) = (self.clone(), format!("/peer-{mark}-{number}"));
            let kezhuw = async || Client::connect(&self.connect).await;
            match (self.peer.as_str(), self.mode.as_str()) {
                ("zookeeper-client", "get" | "set") => {
                    tasks.spawn(task.requests(kezhuw().await?, own));
                }
                ("zookeeper-client", "lock") => _ = tasks.spawn(task.turns(kezhuw().await?, own)),
                ("zookeeper-client", "contend") => {
                    tasks.spawn(task.turns(kezhuw().await?, format!("/peer-{mark}")));
                }
                ("zookeeper-async", "get" | "set") => {
                    tasks.spawn(task.requests(others::zookeeper_async(&self.connect).await?, own));
                }
                ("tokio-zookeeper", "get" | "set") => {
                    tasks.spawn(task.requests(others::tokio_zookeeper(&self.connect).await?, own));
                }
                (peer, mode) => return Err(format!("{peer} has no {mode} here").into()),
            }
        }
        tokio::time::sleep_until(self.begin.into()).await;
        let before = cpu_seconds();
        let mut all = Vec::new();
        while let Some(times) = tasks.join_next().await {
            all.extend(times??);
        }
        let cpu = cpu_seconds() - before;
        all.sort_unstable();
        let at = |share: f64| all[((all.len() - 1) as f64 * share) as usize] as f64 / 1e3;
        println!(
            "{{\"operations_per_second\":{:.1},\"p50_us\":{:.1},\"p99_us\":{:.1},\
             \"cpu_us_per_operation\":{:.2}}}",
            all.len() as f64 / (self.end - self.begin).as_secs_f64(),
            at(0.5),
            at(0.99),
            cpu * 1e6 / all.len() as f64
        );
        Ok(())
    }
}

fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn main() -> Outcome<()> {
    let mut runtime = if env::var_os("PEER_ONE_THREAD").is_some() {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    runtime.enable_all().build()?.block_on(Task::from_arguments()?.run())
}
