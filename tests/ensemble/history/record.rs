//! Clients that write down what they do and see.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use znode::{
    Client, ConnectOptions, CreateMode, Error, ErrorKind, ReadOp, ReadResult, Stat, Version,
};

use super::Rng;
use super::checker::{Op, Place, Seen, What};
use crate::ground::{Ensemble, soon, until};
use crate::load::insist;

const CLIENTS: u64 = 8;
const REGISTERS: u32 = 3;

/// Longer than several blows in a row last, also on a machine that has more to do. A third of it
/// is what a client waits for a server that accepts connections, and stands still.
const SESSION: Duration = Duration::from_secs(30);

/// A clock that all clients read.
#[derive(Clone, Copy)]
struct Clock(Instant);

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "real time is what is judged")]
    fn new() -> Self {
        Self(Instant::now())
    }

    fn now(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap()
    }
}

/// One client.
struct Witness {
    client: Client,
    clock: Clock,
    round: u64,
    /// Its values are this, and then numbers of their own.
    next: u64,
    /// The version that each register was last seen to have.
    versions: [i32; REGISTERS as usize],
    ops: Vec<Op>,
}

/// All of them.
pub(super) struct Recorder {
    witnesses: JoinSet<Vec<Op>>,
    first: Vec<Op>,
    clock: Clock,
    round: u64,
    is_over: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

fn path(round: u64, register: u32) -> String {
    format!("/history-{round}-{register}")
}

fn place(stat: &Stat) -> Place {
    Place { zxid: stat.mzxid.0, version: stat.version.0 }
}

/// What was told; nothing if the answer was lost.
fn told<T>(outcome: Result<T, Error>) -> Option<T> {
    match outcome {
        Ok(told) => Some(told),
        Err(error) if error.kind() == ErrorKind::ConnectionLoss => None,
        Err(error) => panic!("{error}"),
    }
}

impl Witness {
    fn note(&mut self, call: u64, back: Option<u64>, what: What) -> usize {
        let session = self.client.session_id().0;
        self.ops.push(Op { session, call, back, what });
        self.ops.len() - 1
    }

    /// Does one thing, drawn by lot.
    async fn act(&mut self, rng: &mut Rng) {
        let register = u32::try_from(rng.below(REGISTERS.into())).unwrap();
        match rng.below(6) {
            0 => self.write(register, false, false).await,
            1 => self.write(register, true, false).await,
            2 => self.write(register, false, true).await,
            3 => self.read(register, false).await,
            4 => self.read(register, true).await,
            _ => self.read_all().await,
        }
    }

    /// Writes, perhaps what must follow a version, perhaps with a read right behind it.
    async fn write(&mut self, register: u32, follows: bool, reads: bool) {
        let value = self.next;
        self.next += 1;
        let path = path(self.round, register);
        let expected = follows.then(|| self.versions[register as usize]);
        let version = expected.map_or(Version::ANY, Version);
        let call = self.clock.now();
        let write = self.client.set_data(&path, value.to_string(), version);
        let read = reads.then(|| self.client.get_data(&path));
        let (outcome, back) = (soon(write).await, self.clock.now());
        match outcome {
            // It has lost its race, and nothing was written.
            Err(error) if error.kind() == ErrorKind::BadVersion && follows => {}
            outcome => {
                let told = told(outcome).map(|stat| place(&stat));
                if let Some(place) = told {
                    self.versions[register as usize] = place.version;
                }
                let what = What::Write { register, value, expected, told };
                self.note(call, told.map(|_| back), what);
            }
        }
        if let Some(read) = read {
            self.was_read(register, call, soon(read).await);
        }
    }

    async fn read(&mut self, register: u32, syncs: bool) {
        let path = path(self.round, register);
        let call = self.clock.now();
        let sync = syncs.then(|| self.client.sync("/"));
        let read = self.client.get_data(&path);
        if let Some(sync) = sync {
            if told(soon(sync).await).is_none() {
                // What comes after may come from anywhere.
                self.was_read(register, call, soon(read).await);
                return;
            }
            let back = self.clock.now();
            self.note(call, Some(back), What::Sync);
        }
        self.was_read(register, call, soon(read).await);
    }

    fn was_read(&mut self, register: u32, call: u64, outcome: Result<(bytes::Bytes, Stat), Error>) {
        let (known, back) = (self.client.last_zxid().0, self.clock.now());
        let Some((data, stat)) = told(outcome) else { return };
        let seen = self.seen(register, &data, &stat);
        self.note(call, Some(back), What::Read { seen: vec![seen], known });
    }

    async fn read_all(&mut self) {
        let reads = (0..REGISTERS).map(|register| ReadOp::get_data(path(self.round, register)));
        let call = self.clock.now();
        let outcome = soon(self.client.multi_read(reads)).await;
        let (known, back) = (self.client.last_zxid().0, self.clock.now());
        let Some(results) = told(outcome) else { return };
        let mut seen = Vec::new();
        for (register, result) in (0..REGISTERS).zip(results) {
            let ReadResult::Data(data, stat) = result.unwrap() else { panic!("no data") };
            seen.push(self.seen(register, &data, &stat));
        }
        self.note(call, Some(back), What::Read { seen, known });
    }

    fn seen(&mut self, register: u32, data: &[u8], stat: &Stat) -> Seen {
        let value = std::str::from_utf8(data).unwrap().parse().unwrap();
        self.versions[register as usize] = stat.version.0;
        Seen { register, value, place: place(stat) }
    }

    async fn run(mut self, seed: u64, is_over: Arc<AtomicBool>, done: Arc<AtomicU64>) -> Vec<Op> {
        let mut rng = Rng(seed);
        while !is_over.load(Ordering::Relaxed) {
            self.act(&mut rng).await;
            done.fetch_add(1, Ordering::Relaxed);
        }
        soon(self.client.close()).await.ok();
        self.ops
    }
}

async fn connect(connect_string: &str) -> Client {
    let options = || ConnectOptions::new().session_timeout(SESSION);
    until(async || options().connect(connect_string).await.ok()).await
}

impl Recorder {
    /// Makes new registers, and has clients work on them.
    pub(super) async fn start(ensemble: &Ensemble, round: u64, seed: u64) -> Self {
        let clock = Clock::new();
        let connect_string = ensemble.connect_string();
        let client = connect(&connect_string).await;
        let mut first = Vec::new();
        for register in 0..REGISTERS {
            let (call, value) = (clock.now(), u64::from(register));
            let path = path(round, register);
            let made = client.create(&path, value.to_string(), CreateMode::Persistent);
            soon(made).await.unwrap();
            let (_, stat) = soon(client.get_data(&path)).await.unwrap();
            let (told, session) = (Some(place(&stat)), client.session_id().0);
            let what = What::Write { register, value, expected: None, told };
            first.push(Op { session, call, back: Some(clock.now()), what });
        }
        let mut witnesses = JoinSet::new();
        let (is_over, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        for number in 1..=CLIENTS {
            let client = connect(&connect_string).await;
            insist(async || client.sync("/").await).await;
            let (next, versions) = (number << 40, [0; REGISTERS as usize]);
            let witness = Witness { client, clock, round, next, versions, ops: Vec::new() };
            let seed = seed.wrapping_add(round << 8).wrapping_add(number);
            witnesses.spawn(witness.run(seed, Arc::clone(&is_over), Arc::clone(&done)));
        }
        soon(client.close()).await.unwrap();
        Self { witnesses, first, clock, round, is_over, done }
    }

    /// Waits until so many more operations were tried.
    pub(super) async fn goes_on(&mut self, more: u64) {
        let enough = self.done.load(Ordering::Relaxed) + more;
        until(async || {
            if let Some(ended) = self.witnesses.try_join_next() {
                panic!("a client has ended: {ended:?}");
            }
            (self.done.load(Ordering::Relaxed) >= enough).then_some(())
        })
        .await;
    }

    /// Everything that was done and seen, and what every server shows in the end.
    pub(super) async fn finish(mut self, ensemble: &Ensemble) -> Vec<Op> {
        self.is_over.store(true, Ordering::Relaxed);
        let mut ops = self.first;
        while let Some(witnessed) = soon(self.witnesses.join_next()).await {
            ops.extend(witnessed.unwrap());
        }
        for member in &ensemble.members {
            let client = member.connect().await;
            let (clock, round, next) = (self.clock, self.round, 0);
            let versions = [0; REGISTERS as usize];
            let mut last = Witness { client, clock, round, next, versions, ops: Vec::new() };
            let call = clock.now();
            insist(async || last.client.sync("/").await).await;
            let back = Some(clock.now());
            last.note(call, back, What::Sync);
            last.read_all().await;
            assert_eq!(last.ops.len(), 2, "{} was not read", member.address);
            soon(last.client.close()).await.unwrap();
            ops.append(&mut last.ops);
        }
        ops
    }
}
