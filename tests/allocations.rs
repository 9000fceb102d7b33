//! What the client allocates, counted: for an operation, for a watcher that nobody reads, for a
//! session that has nothing to do, and for a node in a cache.
//!
//! Everything of the client runs on the test's own thread, and only that thread is counted; the
//! server has one of its own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where it stood")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::VecDeque;

use znode::{AddWatchMode, Client, ConnectOptions, CreateMode, Op, Reply, Version, WatchUpdate};
use znode_recipes::Cache;
use znode_testing::{InstanceSpec, TestingServer};

struct Counting;

thread_local! {
    /// How often this thread has allocated.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// How many bytes it has allocated more than it has freed; others may free what it allocated.
    static LIVE_BYTES: Cell<i64> = const { Cell::new(0) };
}

fn count(allocations: u64, bytes: usize, sign: i64) {
    let bytes = sign * i64::try_from(bytes).expect("no allocation is that large");
    // While the thread ends there is nothing to count with, and nothing to count.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + allocations));
    let _ = LIVE_BYTES.try_with(|live| live.set(live.get() + bytes));
}

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size(), 1);
        // SAFETY: the caller keeps the contract of `alloc`, which is the system's as well.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size(), -1);
        // SAFETY: the pointer came from `alloc` above, and so from the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The feature `metrics` costs every request a note of what it is about, and a list of labels.
const FOR_METRICS: f64 = if cfg!(feature = "metrics") { 2.0 } else { 0.0 };

/// Runs on one thread, with a server on another.
fn run<F: Future>(test: impl FnOnce(TestingServer) -> F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        test(TestingServer::start_with(InstanceSpec::new().own_thread()).await.unwrap()).await
    })
}

async fn connect(server: &TestingServer) -> Client {
    ConnectOptions::new().connect(&server.connect_string()).await.unwrap()
}

/// Keeps 64 requests under way; returns what each has allocated.
async fn per_operation<T>(ask: impl Fn() -> Reply<T>) -> f64 {
    const WARM_UP: u32 = 1_000;
    const COUNTED: u32 = 20_000;

    let mut under_way: VecDeque<Reply<T>> = VecDeque::with_capacity(64);
    let mut before = 0;
    for number in 0..WARM_UP + COUNTED {
        if number == WARM_UP {
            before = ALLOCATIONS.get();
        }
        if under_way.len() == 64
            && let Some(oldest) = under_way.pop_front()
        {
            drop(oldest.await.unwrap());
        }
        under_way.push_back(ask());
    }
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let allocations = (ALLOCATIONS.get() - before) as f64;
    allocations / f64::from(COUNTED)
}

#[test]
fn a_read_allocates_for_its_answer_its_path_and_its_data() {
    run(async |server| {
        let client = connect(&server).await;
        client.create("/a", [7; 100], CreateMode::Persistent).await.unwrap();
        let read = per_operation(|| client.get_data("/a")).await;
        println!("{read:.2} allocations for a read");
        // The data is the caller's; a new read buffer now and then.
        assert!(read <= 3.1 + FOR_METRICS, "{read}");
    });
}

#[test]
fn a_write_allocates_for_its_answer_and_its_path() {
    run(async |server| {
        let client = connect(&server).await;
        client.create("/a", [7; 100], CreateMode::Persistent).await.unwrap();
        let written = per_operation(|| client.set_data("/a", [7; 100], Version::ANY)).await;
        println!("{written:.2} allocations for a write");
        assert!(written <= 2.1 + FOR_METRICS, "{written}");
    });
}

#[test]
fn an_idle_session_holds_little() {
    const SESSIONS: i64 = 64;

    run(async |server| {
        // The first session pays for what all of them share.
        let _first = connect(&server).await;
        let before = LIVE_BYTES.get();
        let mut clients = Vec::new();
        for _ in 0..SESSIONS {
            clients.push(connect(&server).await);
        }
        for client in &clients {
            client.sync("/").await.unwrap();
        }
        let each = (LIVE_BYTES.get() - before) / SESSIONS;
        println!("{} KiB for an idle session", each / 1024);
        assert!(each <= 64 * 1024, "{each} bytes");
    });
}

#[test]
fn a_watcher_that_nobody_reads_does_not_grow_past_its_bound() {
    const WRITES: u64 = 200_000;

    run(async |server| {
        let (watcher, writer) = (connect(&server).await, connect(&server).await);
        writer.create("/a", "", CreateMode::Persistent).await.unwrap();
        let mut updates = watcher.add_watch("/a", AddWatchMode::Persistent).await.unwrap();
        let mut peak = 0;
        let before = LIVE_BYTES.get();
        for _ in 0..WRITES / 500 {
            let writes: Vec<_> =
                (0..500).map(|_| writer.set_data("/a", "", Version::ANY)).collect();
            for written in writes {
                written.await.unwrap();
            }
            watcher.sync("/").await.unwrap();
            peak = peak.max(LIVE_BYTES.get() - before);
        }
        println!("{} KiB for {WRITES} updates that nobody read", peak / 1024);
        assert!(peak < 2 * 1024 * 1024, "{peak} bytes");

        let mut told = 0;
        let lagged = loop {
            match updates.recv().await.unwrap() {
                WatchUpdate::Event(_) => told += 1,
                WatchUpdate::Lagged(lagged) => break lagged,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(told + lagged, WRITES, "every update is told or counted");
    });
}

/// Its path, its data, and its metadata, which alone is 72 bytes to whoever asks.
#[test]
fn a_cached_node_holds_little_more_than_its_path_and_data() {
    const NODES: i64 = 10_000;
    const DATA: [u8; 100] = [7; 100];

    run(async |server| {
        let (client, owner) = (connect(&server).await, connect(&server).await);
        owner.create("/cached", "", CreateMode::Persistent).await.unwrap();
        let path = |number| format!("/cached/{number:010}");
        let create = |number| Op::create(path(number), DATA, CreateMode::Persistent);
        for first in (0..NODES).step_by(1_000) {
            let creates: Vec<_> = (first..first + 1_000).map(create).collect();
            owner.multi(creates).await.unwrap();
        }
        let before = LIVE_BYTES.get();
        let cache = Cache::tree(&client, "/cached").start().await.unwrap();
        let each = (LIVE_BYTES.get() - before) / NODES;
        println!("{each} bytes for a cached node");
        assert_eq!(*cache.get(&path(NODES - 1)).unwrap().data, DATA);
        let told = i64::try_from(path(0).len() + DATA.len()).unwrap();
        assert!(each <= told + 130, "{each} bytes");
    });
}
