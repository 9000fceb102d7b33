//! Requests by themselves: each session keeps so many under way, or asks them when they are due.

use std::collections::VecDeque;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use znode::{Client, CreateMode, Created, Reply, Stat, Version};
use znode_examples::Error;

use crate::measure::{Span, Times};
use crate::options::{Mode, Options};
use crate::report::Figures;

/// One session's requests, on a node of its own.
struct Load {
    client: Client,
    path: String,
    mode: Mode,
    data: Vec<u8>,
    asked: u64,
}

/// A request under way.
enum Request {
    Get(Reply<(Bytes, Stat)>),
    Set(Reply<Stat>),
    Create(Reply<Created>),
    Delete(Reply<()>),
}

/// Loads all sessions at once.
pub(crate) async fn run(
    options: &Options,
    sessions: &[(Client, String)],
) -> Result<Figures, Error> {
    let span = Span::after_warmup(options);
    let mut tasks = JoinSet::new();
    let mut bells = Vec::new();
    for (client, path) in sessions {
        let load = Load {
            client: client.clone(),
            path: path.clone(),
            mode: options.mode,
            data: vec![b'x'; options.payload],
            asked: 0,
        };
        if options.unordered {
            tasks.spawn(load.ask_whoever_answers(span, options.depth.max(1)));
        } else if options.rate.is_some() {
            let (bell, due) = mpsc::unbounded_channel();
            bells.push(bell);
            tasks.spawn(load.ask_when_due(span, due));
        } else {
            tasks.spawn(load.ask_when_answered(span, options.depth.max(1)));
        }
    }
    if let Some(rate) = options.rate {
        let each = Duration::try_from_secs_f64(rate.recip())?;
        thread::spawn(move || ring(span, each, &bells));
    }
    span.measure(options, tasks).await
}

/// Tells one session after the other when a request is due. By the system's clock: that of the
/// runtime is as fine as a millisecond, and would be what is measured.
#[expect(clippy::disallowed_methods, reason = "programs may read the clock")]
fn ring(span: Span, each: Duration, bells: &[mpsc::UnboundedSender<Instant>]) {
    let mut due = Instant::now();
    for bell in bells.iter().cycle() {
        due += each;
        if span.is_over(due) {
            return;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if bell.send(due).is_err() {
            return;
        }
    }
}

impl Load {
    /// Closed loop: the next request is asked when one is answered.
    #[expect(clippy::disallowed_methods, reason = "programs may read the clock")]
    async fn ask_when_answered(mut self, span: Span, depth: usize) -> Result<Times, Error> {
        let mut times = Times::of(span)?;
        let mut under_way = VecDeque::with_capacity(depth);
        loop {
            while under_way.len() < depth {
                under_way.push_back((Instant::now(), self.ask()));
            }
            let Some((asked, request)) = under_way.pop_front() else { break };
            request.answered().await?;
            if !times.record(asked)? {
                break;
            }
        }
        for (_, request) in under_way {
            request.answered().await?;
        }
        Ok(times)
    }

    /// The same by futures that are awaited in no order, each polled by itself: how clients are
    /// driven whose requests are not in line before they are polled.
    #[expect(clippy::disallowed_methods, reason = "programs may read the clock")]
    async fn ask_whoever_answers(mut self, span: Span, depth: usize) -> Result<Times, Error> {
        let mut times = Times::of(span)?;
        let mut ask = || {
            let (asked, request) = (Instant::now(), self.ask());
            async move { request.answered().await.map(|()| asked) }
        };
        let mut under_way: FuturesUnordered<_> = (0..depth).map(|_| ask()).collect();
        while let Some(asked) = under_way.next().await {
            if !times.record(asked?)? {
                break;
            }
            under_way.push(ask());
        }
        Ok(times)
    }

    /// Open loop: a request is late from when it was due, whether or not it could be asked then.
    async fn ask_when_due(
        mut self,
        span: Span,
        mut bell: mpsc::UnboundedReceiver<Instant>,
    ) -> Result<Times, Error> {
        let mut times = Times::of(span)?;
        let mut under_way: VecDeque<(Instant, Request)> = VecDeque::new();
        loop {
            let due = match under_way.front_mut() {
                None => bell.recv().await,
                Some((asked, request)) => tokio::select! {
                    biased;
                    due = bell.recv() => due,
                    answered = request.answer() => {
                        answered?;
                        times.record_due(*asked)?;
                        under_way.pop_front();
                        continue;
                    }
                },
            };
            let Some(due) = due else { break };
            under_way.push_back((due, self.ask()));
        }
        for (asked, request) in under_way {
            request.answered().await?;
            times.record_due(asked)?;
        }
        Ok(times)
    }

    fn ask(&mut self) -> Request {
        let (client, path) = (&self.client, &self.path);
        let number = self.asked;
        self.asked += 1;
        let set = || Request::Set(client.set_data(path, &self.data, Version::ANY));
        match self.mode {
            Mode::Set => set(),
            Mode::Mixed if number % 10 >= 7 => set(),
            Mode::CreateDelete => {
                let node = format!("{path}/{}", number / 2);
                match number.is_multiple_of(2) {
                    true => {
                        Request::Create(client.create(&node, &self.data, CreateMode::Persistent))
                    }
                    false => Request::Delete(client.delete(&node, Version::ANY)),
                }
            }
            _ => Request::Get(client.get_data(path)),
        }
    }
}

impl Request {
    async fn answered(mut self) -> Result<(), znode::Error> {
        self.answer().await
    }

    async fn answer(&mut self) -> Result<(), znode::Error> {
        match self {
            Self::Get(reply) => reply.await.map(drop),
            Self::Set(reply) => reply.await.map(drop),
            Self::Create(reply) => reply.await.map(drop),
            Self::Delete(reply) => reply.await,
        }
    }
}
