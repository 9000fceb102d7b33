//! A process of another kind, which works as it is told, and tells what it does.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use znode_tests::support::soon;

/// Who works, beside ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    Curator,
    Kazoo,
}

/// An item that somebody has taken out of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    /// By the wall clock, in milliseconds since 1970.
    pub(crate) at_ms: i64,
    pub(crate) item: String,
}

/// Killed when it is dropped.
pub(crate) struct Worker {
    process: Child,
    tell: ChildStdin,
    answers: UnboundedReceiver<String>,
    /// What it has taken, whoever it is that takes for [`tally`](Self::tally), too.
    pub(crate) taken: UnboundedReceiver<Taken>,
    pub(crate) tally: UnboundedSender<Taken>,
}

impl Worker {
    /// One who is ready to work.
    pub(crate) async fn start(others: Others, connect: &str, recipe: &str, path: &str) -> Self {
        let interop = concat!(env!("CARGO_MANIFEST_DIR"), "/interop");
        let mut command = match others {
            Others::Curator => {
                let mut command = Command::new(format!("{interop}/curator.sh"));
                command.arg("work");
                command
            }
            Others::Kazoo => {
                let mut command = Command::new(std::env::var("ZNODE_TEST_PYTHON").unwrap());
                command.arg(format!("{interop}/kazoo_worker.py"));
                command
            }
        };
        command.args([connect, recipe, path]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.kill_on_drop(true).spawn().unwrap();
        let tell = process.stdin.take().expect("it was asked for");
        let told = BufReader::new(process.stdout.take().expect("it was asked for")).lines();
        let ((answer, answers), (tally, taken)) = (unbounded_channel(), unbounded_channel());
        tokio::spawn(listen(told, answer, tally.clone()));
        let mut worker = Self { process, tell, answers, taken, tally };
        assert_eq!(worker.answer().await, [""; 0], "it has done nothing yet");
        worker
    }

    /// Gives it something to do.
    pub(crate) async fn tell(&mut self, what: &str) {
        self.tell.write_all(format!("{what}\n").as_bytes()).await.unwrap();
    }

    /// What it says of what it was told to do, once it is done.
    pub(crate) async fn answer(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        loop {
            let line = soon(self.answers.recv()).await.expect("it works until it is told to end");
            if line == "done" {
                return said;
            }
            said.push(line);
        }
    }

    /// Has it do something; returns what it says of that.
    pub(crate) async fn does(&mut self, what: &str) -> Vec<String> {
        self.tell(what).await;
        self.answer().await
    }

    /// Ends it, and returns what was taken that nobody has looked at.
    pub(crate) async fn end(self) -> Vec<Taken> {
        let Self { mut process, tell, mut answers, mut taken, tally } = self;
        drop((tell, tally));
        assert!(soon(process.wait()).await.unwrap().success());
        assert_eq!(soon(answers.recv()).await, None, "it was told nothing");
        let mut rest = Vec::new();
        while let Some(one) = soon(taken.recv()).await {
            rest.push(one);
        }
        rest
    }
}

/// Sorts what it says until it ends.
async fn listen(
    mut told: Lines<BufReader<ChildStdout>>,
    answer: UnboundedSender<String>,
    tally: UnboundedSender<Taken>,
) {
    while let Some(line) = told.next_line().await.unwrap() {
        // Whoever does not listen any more has failed, and says so himself.
        let Some(taken) = line.strip_prefix("took ") else {
            answer.send(line).ok();
            continue;
        };
        let (at, item) = taken.split_once(' ').expect("the time, and what it is");
        tally.send(Taken { at_ms: at.parse().unwrap(), item: item.to_owned() }).ok();
    }
}
