//! One of ours, who does what the others do.

use std::ops::ControlFlow;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use znode::{Client, Zxid};
use znode_recipes::{
    Layout, LeaderLatch, LeaderSelector, LockOptions, Mutex, ReadWriteLock, Semaphore,
};

use crate::Others;

/// The line to the referee.
struct Line {
    told: Lines<BufReader<OwnedReadHalf>>,
    tell: OwnedWriteHalf,
}

impl Line {
    async fn to(referee: &str) -> Self {
        let stream = TcpStream::connect(referee).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (from, tell) = stream.into_split();
        Self { told: BufReader::new(from).lines(), tell }
    }

    async fn say(&mut self, what: String) {
        self.tell.write_all(what.as_bytes()).await.unwrap();
        self.told.next_line().await.unwrap().expect("the referee stays");
    }

    async fn turn(&mut self, how: &str, token: Zxid) {
        self.say(format!("enter {how} {}\n", token.0)).await;
        tokio::task::yield_now().await;
        self.say("leave\n".to_owned()).await;
    }
}

/// Contends for as long as it is polled. Nothing that a leader's death does to it is an error.
pub(crate) async fn contend(
    client: Client,
    others: Others,
    recipe: &'static str,
    path: String,
    referee: String,
) {
    let layout = match others {
        Others::Curator => Layout::Curator,
        Others::Kazoo => Layout::Kazoo,
    };
    let options = LockOptions::new().layout(layout);
    let mut line = Line::to(&referee).await;
    match (others, recipe) {
        (_, "mutex") => {
            let mutex = Mutex::new(&client, path).with_options(options);
            loop {
                let guard = mutex.lock().await.unwrap();
                line.turn("alone", guard.token()).await;
                guard.release().await.unwrap();
            }
        }
        (_, "write") => {
            let lock = ReadWriteLock::new(&client, path).with_options(options);
            loop {
                let guard = lock.write().await.unwrap();
                line.turn("alone", guard.token()).await;
                guard.release().await.unwrap();
            }
        }
        (_, "read") => {
            let lock = ReadWriteLock::new(&client, path).with_options(options);
            loop {
                let guard = lock.read().await.unwrap();
                line.turn("shared", guard.token()).await;
                guard.release().await.unwrap();
            }
        }
        (_, "semaphore-3") => {
            let semaphore = Semaphore::new(&client, path, 3);
            loop {
                let guard = semaphore.acquire().await.unwrap();
                line.turn("one", guard.token()).await;
                guard.release().await.unwrap();
            }
        }
        (Others::Curator, "latch") => {
            let latch = LeaderLatch::new(&client, path).with_id("ours");
            loop {
                let guard = latch.lead().await.unwrap();
                line.turn("alone", guard.token()).await;
                guard.release().await.unwrap();
            }
        }
        (Others::Kazoo, "latch") => {
            let selector = LeaderSelector::new(&client, path).with_options(options);
            loop {
                let (told, mut term) = tokio::sync::mpsc::unbounded_channel();
                let work = |one: znode_recipes::Term| {
                    let told = told.clone();
                    async move {
                        let (done, is_done) = tokio::sync::oneshot::channel();
                        told.send((one.epoch(), done)).unwrap();
                        is_done.await.unwrap();
                        ControlFlow::Break(())
                    }
                };
                let talk = async {
                    let (epoch, done) = term.recv().await.unwrap();
                    line.turn("alone", epoch).await;
                    done.send(()).unwrap();
                };
                let (led, ()) = tokio::join!(selector.run(work), talk);
                led.unwrap();
            }
        }
        other => panic!("{}: nobody knows how", other.1),
    }
}
