//! Somebody who is no part of ZooKeeper, and sees who is in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// Whoever tells him of their turns, line by line: `enter alone|shared|one TOKEN` and `leave`. He
/// answers each once it is noted.
#[derive(Clone)]
pub(crate) struct Referee {
    address: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Who is in, and how, by connection.
    inside: BTreeMap<usize, How>,
    /// The last token of those who are alone.
    newest: i64,
    /// How many turns each connection has had that is not gone.
    turns: BTreeMap<usize, usize>,
    all: usize,
    /// What must not be.
    foul: Option<String>,
}

/// Beside whom somebody may be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Alone,
    Shared,
    /// One of three.
    One,
}

const PERMITS: usize = 3;

impl State {
    fn enter(&mut self, who: usize, how: How, token: i64) {
        let others = self.inside.len();
        let is_fair = match how {
            How::Alone => others == 0 && token > self.newest,
            How::Shared => self.inside.values().all(|other| *other == How::Shared),
            How::One => others < PERMITS,
        };
        if !is_fair {
            let (inside, newest) = (&self.inside, self.newest);
            let what = format!("{who} comes in {how:?} with {token}: {inside:?}, newest {newest}");
            self.foul.get_or_insert(what);
        }
        if how == How::Alone {
            self.newest = token;
        }
        self.inside.insert(who, how);
        *self.turns.entry(who).or_default() += 1;
        self.all += 1;
    }
}

impl Referee {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared::default());
        let of_all = Arc::clone(&shared);
        tokio::spawn(async move {
            for who in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(listen(Arc::clone(&of_all), who, stream));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    /// How many turns there were.
    pub(crate) fn turns(&self) -> usize {
        self.lock().all
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(foul) = &state.foul {
            panic!("{foul}");
        }
        state
    }

    /// Waits until so many have had a turn, of those who are not gone.
    pub(crate) async fn until_seen(&self, count: usize) {
        loop {
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            if self.lock().turns.len() >= count {
                return;
            }
            changed.await;
        }
    }

    /// Waits until so many have had a turn from now on.
    pub(crate) async fn until_seen_again(&self, count: usize) {
        self.lock().turns.clear();
        self.until_seen(count).await;
    }
}

async fn listen(shared: Arc<Shared>, who: usize, stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let (from, mut to) = stream.into_split();
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        {
            let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["enter", how, token] => {
                    let how = match how {
                        "alone" => How::Alone,
                        "shared" => How::Shared,
                        _ => How::One,
                    };
                    state.enter(who, how, token.parse().unwrap());
                }
                ["leave"] => assert!(state.inside.remove(&who).is_some(), "{who} was not in"),
                _ => panic!("{line}"),
            }
        }
        shared.changed.notify_waiters();
        if to.write_all(b"noted\n").await.is_err() {
            break;
        }
    }
    // Whoever was killed has left.
    let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
    state.inside.remove(&who);
    state.turns.remove(&who);
}
