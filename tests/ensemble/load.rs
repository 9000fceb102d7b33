//! Clients that write all the time, and keep account of what was acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use znode::{Client, ConnectOptions, CreateMode, Error, ErrorKind, Op, Version};

use crate::ground::{SESSION, soon, until};

/// Everything that is written stands below.
pub(crate) const ROOT: &str = "/load";

/// How long the session of a client lives that falls silent.
const MORTAL: Duration = Duration::from_secs(3);

/// What must have become of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is there, with this data.
    Is(String),
    /// It is not.
    Gone,
    /// Nobody was told whether it is; if it is, this is its data.
    Perhaps(String),
}

/// What one client was told of what it wrote.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) nodes: BTreeMap<String, Fate>,
    /// What its register was set to last by its own account, and what it may have been since.
    pub(crate) register: Vec<String>,
}

/// A client that has written, and whose session goes on.
pub(crate) struct Writer {
    pub(crate) client: Client,
    pub(crate) number: u32,
    pub(crate) account: Account,
}

/// Clients that write.
pub(crate) struct Load {
    connect_string: String,
    writers: JoinSet<Writer>,
    is_over: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    /// Ephemeral nodes of clients that have gone since.
    pub(crate) mortals: Vec<String>,
}

impl Writer {
    pub(crate) fn register(&self) -> String {
        format!("{ROOT}/register-{}", self.number)
    }

    /// A node of the session's own.
    pub(crate) fn ephemeral(&self) -> String {
        format!("{ROOT}/ephemeral-{}", self.number)
    }

    async fn run(mut self, is_over: Arc<AtomicBool>, acknowledged: Arc<AtomicU64>) -> Self {
        let session = self.client.session_id();
        let mut step = 0;
        while !is_over.load(Ordering::Relaxed) {
            step += 1;
            let done = self.step(step).await;
            acknowledged.fetch_add(done, Ordering::Relaxed);
            assert_eq!(self.client.session_id(), session, "a session has not survived");
        }
        self
    }

    /// Writes a little of everything; returns how much of it was acknowledged.
    async fn step(&mut self, step: u32) -> u64 {
        let number = self.number;
        let name = |what: &str| format!("{ROOT}/{what}-{number}-{step}");
        let value = format!("{number}:{step}");
        let (node, pair, brief) = (name("node"), name("pair"), name("brief"));
        let mut done = 0;

        // All of it is on its way at once.
        let created = self.client.create(&node, &value, CreateMode::Persistent);
        let set = self.client.set_data(&self.register(), &value, Version::ANY);
        let both = self.client.multi([
            Op::create(&pair, "pair", in_multi()),
            Op::set_data(&pair, value.as_bytes(), Version::ANY),
        ]);
        let passing = self.client.create(&brief, "", CreateMode::Ephemeral);
        let gone = self.client.delete(&brief, Version::ANY);

        let fate = |known: bool| match known {
            true => Fate::Is(value.clone()),
            false => Fate::Perhaps(value.clone()),
        };
        let created = acknowledged(created.await);
        self.account.nodes.insert(node.clone(), fate(created));
        let set = acknowledged(set.await);
        if set {
            self.account.register.clear();
        }
        self.account.register.push(value.clone());
        let both = acknowledged(both.await);
        self.account.nodes.insert(pair, fate(both));
        let passing = acknowledged(passing.await);
        let gone = match gone.await {
            Err(error) if error.kind() == ErrorKind::NoNode && !passing => false,
            gone => acknowledged(gone),
        };
        let nothing = Fate::Perhaps(String::new());
        self.account.nodes.insert(brief, if gone { Fate::Gone } else { nothing });
        if step.is_multiple_of(3) && created {
            let deleted = acknowledged(self.client.delete(&node, Version(0)).await);
            let fate = if deleted { Fate::Gone } else { Fate::Perhaps(value) };
            self.account.nodes.insert(node, fate);
            done += u64::from(deleted);
        }
        done + [created, set, both, passing, gone].into_iter().map(u64::from).sum::<u64>()
    }
}

/// What a multi may create. Of all that leaders of 3.9 write, learners of 3.8.0 cannot apply one
/// thing: a `create2` within a multi ("Invalid type of op: 15").
fn in_multi() -> CreateMode {
    match std::env::var("ZK_SOURCE").is_ok_and(|source| source == "debian") {
        true => CreateMode::Container,
        false => CreateMode::Persistent,
    }
}

/// Whether a write was acknowledged. It may have got lost with its connection, nothing else.
fn acknowledged<T>(outcome: Result<T, Error>) -> bool {
    match outcome {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::ConnectionLoss => false,
        Err(error) => panic!("{error}"),
    }
}

/// Tries again for as long as the connection is the trouble.
pub(crate) async fn insist<T>(mut what: impl AsyncFnMut() -> Result<T, Error>) -> T {
    until(async || match what().await {
        Ok(done) => Some(done),
        Err(error) if error.kind() == ErrorKind::ConnectionLoss => None,
        Err(error) => panic!("{error}"),
    })
    .await
}

async fn connect(connect_string: &str, session: Duration) -> Client {
    soon(async {
        loop {
            let options = ConnectOptions::new().session_timeout(session);
            match options.connect(connect_string).await {
                Ok(client) => return client,
                Err(error) => assert_ne!(error.kind(), ErrorKind::AuthFailed, "{error}"),
            }
        }
    })
    .await
}

impl Load {
    /// Has so many clients write, each with a session of its own.
    pub(crate) async fn start(connect_string: String, writers: u32) -> Self {
        let first = connect(&connect_string, SESSION).await;
        insist(async || match first.create(ROOT, "", CreateMode::Persistent).await {
            Err(error) if error.kind() == ErrorKind::NodeExists => Ok(()),
            created => created.map(drop),
        })
        .await;
        let mut load = Self {
            connect_string,
            writers: JoinSet::new(),
            is_over: Arc::default(),
            acknowledged: Arc::default(),
            mortals: Vec::new(),
        };
        for number in 0..writers {
            let client = connect(&load.connect_string, SESSION).await;
            let account = Account { register: vec!["new".to_owned()], ..Account::default() };
            let writer = Writer { client, number, account };
            let register = writer.register();
            let created = writer.client.create(&register, "new", CreateMode::Persistent);
            soon(created).await.unwrap();
            let created = writer.client.create(&writer.ephemeral(), "", CreateMode::Ephemeral);
            soon(created).await.unwrap();
            let (is_over, acknowledged) = (&load.is_over, &load.acknowledged);
            load.writers.spawn(writer.run(Arc::clone(is_over), Arc::clone(acknowledged)));
        }
        soon(first.close()).await.unwrap();
        load
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until so many more writes were acknowledged.
    pub(crate) async fn goes_on(&mut self, more: u64) {
        let enough = self.acknowledged() + more;
        until(async || {
            if let Some(ended) = self.writers.try_join_next() {
                panic!("a writer has ended: {:?}", ended.map(|_| ()));
            }
            (self.acknowledged() >= enough).then_some(())
        })
        .await;
    }

    /// Leaves two more ephemeral nodes behind: one of a session that is closed, one of a session
    /// whose client falls silent.
    pub(crate) async fn leave_something(&mut self) {
        for closes in [true, false] {
            let client = connect(&self.connect_string, MORTAL).await;
            let path = format!("{ROOT}/mortal-{}", self.mortals.len());
            let made = async || match client.create(&path, "", CreateMode::Ephemeral).await {
                Err(error) if error.kind() == ErrorKind::NodeExists => Ok(()),
                made => made.map(drop),
            };
            insist(made).await;
            if closes {
                // Whether that arrives or not: after its time the session has ended.
                let _ = soon(client.close()).await;
            } else {
                drop(soon(client.detach()).await);
            }
            self.mortals.push(path);
        }
    }

    /// Has the clients stop writing; their sessions go on.
    pub(crate) async fn finish(mut self) -> (Vec<Writer>, Vec<String>) {
        self.is_over.store(true, Ordering::Relaxed);
        let mut writers = Vec::new();
        while let Some(writer) = soon(self.writers.join_next()).await {
            writers.push(writer.unwrap());
        }
        writers.sort_by_key(|writer| writer.number);
        (writers, self.mortals)
    }
}
