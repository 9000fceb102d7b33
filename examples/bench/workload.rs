//! The load: each session keeps so many requests under way, and every answer is timed.

use std::collections::VecDeque;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::Instant;
use znode::{Client, Reply, Stat, Version};
use znode_examples::Error;
use znode_recipes::Mutex;

use crate::Mode;
use crate::report::{Figures, cpu_seconds};

/// What is asked, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) mode: Mode,
    pub(crate) depth: usize,
    pub(crate) payload: usize,
    pub(crate) warmup: Duration,
    pub(crate) measured: Duration,
}

/// A request under way.
enum Request {
    Get(Reply<(bytes::Bytes, Stat)>),
    Set(Reply<Stat>),
}

impl Workload {
    /// Loads all sessions at once, each on a node of its own.
    #[expect(clippy::disallowed_methods, reason = "programs may read the clock")]
    pub(crate) async fn run(self, sessions: &[(Client, String)]) -> Result<Figures, Error> {
        let begin = Instant::now() + self.warmup;
        let mut tasks = JoinSet::new();
        for (client, path) in sessions {
            tasks.spawn(self.load(client.clone(), path.clone(), begin));
        }
        tokio::time::sleep_until(begin).await;
        let cpu_before = cpu_seconds();
        let mut latencies = Histogram::new(3)?;
        while let Some(loaded) = tasks.join_next().await {
            latencies.add(loaded??)?;
        }
        let cpu = cpu_seconds() - cpu_before;
        Ok(Figures::new(self.measured, cpu, &latencies))
    }

    #[expect(clippy::disallowed_methods, reason = "programs may read the clock")]
    async fn load(
        self,
        client: Client,
        path: String,
        begin: Instant,
    ) -> Result<Histogram<u64>, Error> {
        if self.mode.is_of_locks() {
            return self.take_turns(&Mutex::new(&client, path), begin).await;
        }
        let data = vec![b'x'; self.payload];
        let mut latencies = Histogram::new(3)?;
        let mut under_way = VecDeque::with_capacity(self.depth);
        let end = begin + self.measured;
        loop {
            let now = Instant::now();
            if now >= end {
                break;
            }
            while under_way.len() < self.depth {
                under_way.push_back((Instant::now(), self.ask(&client, &path, &data)));
            }
            let Some((asked, request)) = under_way.pop_front() else { break };
            request.answered().await?;
            let answered = Instant::now();
            if asked >= begin && answered <= end {
                latencies.record(u64::try_from((answered - asked).as_nanos())?)?;
            }
        }
        for (_, request) in under_way {
            request.answered().await?;
        }
        Ok(latencies)
    }

    /// Takes a lock and releases it, again and again; what is timed is both together.
    #[expect(clippy::disallowed_methods, reason = "programs may read the clock")]
    async fn take_turns(self, mutex: &Mutex, begin: Instant) -> Result<Histogram<u64>, Error> {
        let mut latencies = Histogram::new(3)?;
        let end = begin + self.measured;
        while Instant::now() < end {
            let asked = Instant::now();
            mutex.lock().await?.release().await?;
            let answered = Instant::now();
            if asked >= begin && answered <= end {
                latencies.record(u64::try_from((answered - asked).as_nanos())?)?;
            }
        }
        Ok(latencies)
    }

    fn ask(self, client: &Client, path: &str, data: &[u8]) -> Request {
        match self.mode {
            Mode::Set => Request::Set(client.set_data(path, data, Version::ANY)),
            _ => Request::Get(client.get_data(path)),
        }
    }
}

impl Request {
    async fn answered(self) -> Result<(), znode::Error> {
        match self {
            Self::Get(reply) => reply.await.map(drop),
            Self::Set(reply) => reply.await.map(drop),
        }
    }
}
