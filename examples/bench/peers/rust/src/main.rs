//! Other crates under the load of the bench; see `peers.sh`.

mod others;

use std::env;
use std::error::Error;
use std::fs;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;
use tokio::task::JoinSet;
use zookeeper_client::{Acls, Client, CreateMode, LockOptions, LockPrefix};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// What every client can do.
trait Requests: Send + Sync + 'static {
    /// Makes the node.
    fn make(&self, path: &str, data: &[u8]) -> impl Future<Output = Outcome<()>> + Send;
    fn get(&self, path: &str) -> impl Future<Output = Outcome<()>> + Send;
    fn set(&self, path: &str, data: &[u8]) -> impl Future<Output = Outcome<()>> + Send;
}

impl Requests for Client {
    async fn make(&self, path: &str, data: &[u8]) -> Outcome<()> {
        let options = CreateMode::Persistent.with_acls(Acls::anyone_all());
        self.create(path, data, &options).await?;
        Ok(())
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
    warmup: Duration,
    seconds: Duration,
}

/// From when to when what happens counts.
#[derive(Clone, Copy)]
struct Span {
    begin: Instant,
    end: Instant,
}

/// What has happened: how often, and how long what has also begun in time took.
#[derive(Default)]
struct Times {
    done: u64,
    each: Vec<u64>,
}

impl Times {
    /// Something that was asked is done; whether it goes on.
    fn note(&mut self, span: Span, asked: Instant) -> bool {
        let now = Instant::now();
        if span.begin <= now && now <= span.end {
            self.done += 1;
            if span.begin <= asked {
                self.each.push((now - asked).as_nanos() as u64);
            }
        }
        now < span.end
    }
}

impl Task {
    fn from_arguments() -> Outcome<Self> {
        let arguments: Vec<String> = env::args().skip(1).collect();
        let [peer, mode, connect, sessions, depth, payload, warmup, seconds, _] = &arguments[..]
        else {
            return Err("see peers.sh".into());
        };
        Ok(Self {
            peer: peer.clone(),
            mode: mode.clone(),
            connect: connect.clone(),
            sessions: sessions.parse()?,
            depth: depth.parse()?,
            payload: payload.parse()?,
            warmup: Duration::try_from_secs_f64(warmup.parse()?)?,
            seconds: Duration::try_from_secs_f64(seconds.parse()?)?,
        })
    }

    /// The time begins when every session stands.
    fn span(&self) -> Span {
        let begin = Instant::now() + self.warmup;
        Span { begin, end: begin + self.seconds }
    }

    async fn requests(
        self,
        client: impl Requests,
        path: String,
        started: watch::Receiver<Option<Span>>,
    ) -> Outcome<Times> {
        let data = vec![b'x'; self.payload];
        client.make(&path, &data).await?;
        let span = begun(started).await?;
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
        let mut times = Times::default();
        // One after the other needs nothing to keep several.
        while self.depth == 1 {
            if !times.note(span, ask().await?) {
                return Ok(times);
            }
        }
        let mut under_way: FuturesUnordered<_> = (0..self.depth).map(|_| ask()).collect();
        while let Some(asked) = under_way.next().await {
            if !times.note(span, asked?) {
                break;
            }
            under_way.push(ask());
        }
        Ok(times)
    }

    /// It releases by dropping, which nobody can wait for.
    async fn turns(
        client: Client,
        path: String,
        started: watch::Receiver<Option<Span>>,
    ) -> Outcome<Times> {
        let span = begun(started).await?;
        let mut times = Times::default();
        loop {
            let asked = Instant::now();
            take_and_drop(&client, &path).await?;
            if !times.note(span, asked) {
                return Ok(times);
            }
        }
    }

    /// All take the same lock once, and again when the last one has let it go.
    async fn bursts(&self, clients: Vec<Client>, path: &str) -> Outcome<()> {
        let span = self.span();
        let (mut done, mut took, mut before) = (0, Duration::ZERO, None);
        while Instant::now() < span.end {
            if before.is_none() && Instant::now() >= span.begin {
                before = Some(cpu_seconds());
            }
            let began = Instant::now();
            let mut turns = JoinSet::new();
            for client in &clients {
                let (client, path) = (client.clone(), path.to_owned());
                turns.spawn(async move { take_and_drop(&client, &path).await });
            }
            while let Some(turn) = turns.join_next().await {
                turn??;
            }
            if before.is_some() {
                done += clients.len() as u64;
                took += began.elapsed();
            }
        }
        let cpu = cpu_seconds() - before.ok_or("the time was too short")?;
        let each = took.as_nanos() as u64 / done.max(1);
        report(Times { done, each: vec![each] }, took, cpu);
        Ok(())
    }

    async fn run(self) -> Outcome<()> {
        let mut tasks = JoinSet::new();
        let mark = std::process::id();
        let (start, started) = watch::channel(None);
        if self.mode == "contend-once" {
            let connecting = (0..self.sessions).map(|_| Client::connect(&self.connect));
            return self.bursts(try_join_all(connecting).await?, &format!("/peer-{mark}")).await;
        }
        for number in 0..self.sessions {
            let (task, own) = (self.clone(), format!("/peer-{mark}-{number}"));
            let kezhuw = async || Client::connect(&self.connect).await;
            match (self.peer.as_str(), self.mode.as_str()) {
                ("zookeeper-client", "get" | "set") => {
                    tasks.spawn(task.requests(kezhuw().await?, own, started.clone()));
                }
                ("zookeeper-client", "lock") => {
                    tasks.spawn(Self::turns(kezhuw().await?, own, started.clone()));
                }
                ("zookeeper-client", "contend") => {
                    let all = format!("/peer-{mark}");
                    tasks.spawn(Self::turns(kezhuw().await?, all, started.clone()));
                }
                ("zookeeper-async", "get" | "set") => {
                    let client = others::zookeeper_async(&self.connect).await?;
                    tasks.spawn(task.requests(client, own, started.clone()));
                }
                ("tokio-zookeeper", "get" | "set") => {
                    let client = others::tokio_zookeeper(&self.connect).await?;
                    tasks.spawn(task.requests(client, own, started.clone()));
                }
                (peer, mode) => return Err(format!("{peer} has no {mode} here").into()),
            }
        }
        let span = self.span();
        start.send(Some(span))?;
        tokio::time::sleep_until(span.begin.into()).await;
        let before = cpu_seconds();
        let mut all = Times::default();
        while let Some(times) = tasks.join_next().await {
            let Times { done, each } = times??;
            all.done += done;
            all.each.extend(each);
        }
        report(all, self.seconds, cpu_seconds() - before);
        Ok(())
    }
}

/// Waits until every session stands.
async fn begun(mut started: watch::Receiver<Option<Span>>) -> Outcome<Span> {
    let span = *started.wait_for(Option::is_some).await?;
    Ok(span.ok_or("nobody has begun")?)
}

async fn take_and_drop(client: &Client, path: &str) -> Outcome<()> {
    let parents = CreateMode::Persistent.with_acls(Acls::anyone_all());
    let options = LockOptions::new(Acls::anyone_all()).with_ancestor_options(parents)?;
    drop(client.lock(LockPrefix::new_curator(path, "latch-")?, b"", options).await?);
    Ok(())
}

fn report(mut times: Times, took: Duration, cpu: f64) {
    times.each.sort_unstable();
    let last = (times.each.len() - 1) as f64;
    let at = |share: f64| times.each[(last * share) as usize] as f64 / 1e3;
    println!(
        "{{\"operations_per_second\":{:.1},\"p50_us\":{:.1},\"p99_us\":{:.1},\
         \"cpu_us_per_operation\":{:.2}}}",
        times.done as f64 / took.as_secs_f64(),
        at(0.5),
        at(0.99),
        cpu * 1e6 / times.done as f64
    );
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
