//! Readers together, writers alone, and a reader that becomes a writer:
//! `cargo run --example read_write_lock`.
//!
//! An index stands in two nodes that must agree. Runs on an embedded server, or on the ensemble at
//! `ZNODE_CONNECT=host:port[,…][/chroot]`; ends with an error if a reader has ever seen one of the
//! two nodes without the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;
use znode::{Client, CreateMode, Op, Version};
use znode_examples::{Cable, Ensemble, Error, Timeline};
use znode_recipes::{ReadGuard, ReadWriteLock, Upgrade, WriteGuard};

const READERS: usize = 4;
const WRITERS: usize = 2;
const ROUNDS: usize = 3;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let ensemble = Ensemble::from_env().await?;
    let timeline = Timeline::start();
    let crowd = format!("{READERS} readers and {WRITERS} writers, {}", ensemble.describe());
    timeline.say("main", crowd);
    let home = ensemble.home("read-write-lock").await?;
    let observer = ensemble.connect_at(&home, &Cable::default()).await?;
    for path in ["/index", "/backup"] {
        observer.create(path, "0", CreateMode::Persistent).await?;
    }
    let together = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for number in 1..=READERS {
        let client = ensemble.connect_at(&home, &Cable::default()).await?;
        tasks.spawn(read(client, format!("reader {number}"), Arc::clone(&together), timeline));
    }
    for number in 1..=WRITERS {
        let client = ensemble.connect_at(&home, &Cable::default()).await?;
        tasks.spawn(write(client, format!("writer {number}"), timeline));
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    // Alone, a reader may become a writer, and a writer a reader, without letting anybody in.
    let lock = ReadWriteLock::new(&observer, "/lock");
    let Upgrade::Done(writer) = lock.read().await?.try_upgrade().await? else {
        return Err("nobody else was there".into());
    };
    timeline.say("main", format!("was a reader, and is a writer: token {}", writer.token()));
    let last = advance(&observer, &writer).await?;
    let reader = writer.downgrade().await?;
    timeline.say("main", format!("is a reader again, of {}", compare(&observer, &reader).await?));
    reader.release().await?;
    if last != WRITERS * ROUNDS + 1 {
        return Err(format!("{last} writes are on record").into());
    }
    timeline.say("main", format!("{last} writes, and nobody has seen half of one"));
    Ok(())
}

async fn read(
    client: Client,
    who: String,
    together: Arc<AtomicUsize>,
    timeline: Timeline,
) -> Result<(), Error> {
    for _ in 0..ROUNDS {
        let guard = ReadWriteLock::new(&client, "/lock").read().await?;
        let beside = together.fetch_add(1, Ordering::SeqCst);
        let seen = compare(&client, &guard).await?;
        timeline.say(&who, format!("reads {seen}, beside {beside} others"));
        together.fetch_sub(1, Ordering::SeqCst);
        guard.release().await?;
    }
    Ok(())
}

async fn write(client: Client, who: String, timeline: Timeline) -> Result<(), Error> {
    for _ in 0..ROUNDS {
        let guard = ReadWriteLock::new(&client, "/lock").write().await?;
        let written = advance(&client, &guard).await?;
        timeline.say(&who, format!("writes {written}"));
        guard.release().await?;
    }
    Ok(())
}

/// Writes the next number into both nodes, one after the other, in the writer's name.
async fn advance(client: &Client, guard: &WriteGuard) -> Result<usize, Error> {
    let (data, _) = client.get_data("/index").await?;
    let next = std::str::from_utf8(&data)?.parse::<usize>()? + 1;
    guard.client().set_data("/index", next.to_string(), Version::ANY).await?;
    guard.multi([Op::set_data("/backup", next.to_string(), Version::ANY)]).await?;
    Ok(next)
}

/// Reads both nodes, which no writer changes meanwhile.
async fn compare(client: &Client, _guard: &ReadGuard) -> Result<String, Error> {
    // A server that is behind would show what was there before the lock was had.
    client.sync("/index").await?;
    let (index, _) = client.get_data("/index").await?;
    let (backup, _) = client.get_data("/backup").await?;
    if index != backup {
        return Err(format!("half of a write: {index:?} and {backup:?}").into());
    }
    Ok(String::from_utf8(index.to_vec())?)
}
