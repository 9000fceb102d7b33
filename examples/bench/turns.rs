//! Recipes: what each session does again and again, one after the other.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use znode::Client;
use znode_examples::Error;
use znode_recipes::{Counter, Mutex, SimpleQueue};

use crate::measure::{Counted, Span, Times, Used};
use crate::options::{Mode, Options};
use crate::report::Figures;

/// How many items a queue holds at most: producers wait, or it would be the length of the queue
/// that is measured.
const ITEMS_MAX: usize = 64;

/// What is done in a turn.
enum Turn {
    /// Take the lock, and let it go.
    Lock { mutex: Mutex, dropped: bool },
    /// Put an item into the queue, once there is room for it.
    Put(SimpleQueue, Vec<u8>, Arc<Semaphore>),
    /// Take one out of it, and make room.
    Take(SimpleQueue, Arc<Semaphore>),
    /// Add one.
    Count(Counter<i64>),
}

/// Has all sessions take their turns at once.
///
/// Items are counted when they are taken; whoever produces them is there to keep the others busy,
/// and goes on for as long as they do.
pub(crate) async fn run(
    options: &Options,
    sessions: &[(Client, String)],
) -> Result<Figures, Error> {
    let span = Span::after_warmup(options);
    let (mut counted, mut others) = (JoinSet::new(), JoinSet::new());
    let room = Arc::new(Semaphore::new(ITEMS_MAX));
    for (number, (client, path)) in sessions.iter().enumerate() {
        let turn = match options.mode {
            Mode::Queue => {
                let (queue, room) = (SimpleQueue::new(client, path), Arc::clone(&room));
                match number.is_multiple_of(2) {
                    true => Turn::Put(queue, vec![b'x'; options.payload], room),
                    false => Turn::Take(queue, room),
                }
            }
            Mode::Counter => Turn::Count(Counter::new(client, path)),
            _ => Turn::Lock { mutex: Mutex::new(client, path), dropped: options.dropped },
        };
        match turn {
            Turn::Put(..) => _ = others.spawn(turn.for_ever()),
            _ => _ = counted.spawn(turn.again_and_again(span)),
        }
    }
    let measured = span.measure(options, counted);
    let figures = tokio::select! {
        figures = measured => figures?,
        Some(ended) = others.join_next() => return Err(format!("a producer: {ended:?}").into()),
    };
    others.shutdown().await;
    Ok(figures)
}

/// Has all sessions take the same lock once, again and again: all set out together, and the time is
/// up when the last one has let it go. An operation is one having had it.
#[expect(clippy::disallowed_methods, reason = "programs may read the clock")]
pub(crate) async fn bursts(
    options: &Options,
    sessions: &[(Client, String)],
) -> Result<Figures, Error> {
    let span = Span::after_warmup(options);
    let mutexes = sessions.iter().map(|(client, path)| Arc::new(Mutex::new(client, path)));
    let mutexes: Vec<Arc<Mutex>> = mutexes.collect();
    let (mut counted, mut took) = (Counted::nothing()?, Duration::ZERO);
    let mut before = None;
    while !span.is_over(Instant::now()) {
        if before.is_none() && span.has_begun(Instant::now()) {
            before = Some(Used::by_now(options));
        }
        let began = Instant::now();
        let mut turns = JoinSet::new();
        for mutex in &mutexes {
            let (mutex, dropped) = (Arc::clone(mutex), options.dropped);
            turns.spawn(async move { take_and_release(&mutex, dropped).await });
        }
        while let Some(turn) = turns.join_next().await {
            turn??;
        }
        if before.is_some() {
            took += began.elapsed();
            counted.note(began.elapsed(), mutexes.len())?;
        }
    }
    let before = before.ok_or("the time was too short")?;
    Ok(Figures::new(took, before.until_now(options), &counted))
}

async fn take_and_release(mutex: &Mutex, dropped: bool) -> Result<(), Error> {
    let guard = mutex.lock().await?;
    if dropped {
        drop(guard);
    } else {
        guard.release().await?;
    }
    Ok(())
}

impl Turn {
    #[expect(clippy::disallowed_methods, reason = "programs may read the clock")]
    async fn again_and_again(self, span: Span) -> Result<Times, Error> {
        let mut times = Times::of(span)?;
        loop {
            let asked = Instant::now();
            self.take().await?;
            if !times.record(asked)? {
                return Ok(times);
            }
        }
    }

    async fn for_ever(self) -> Result<(), Error> {
        loop {
            self.take().await?;
        }
    }

    async fn take(&self) -> Result<(), Error> {
        match self {
            Self::Lock { mutex, dropped } => take_and_release(mutex, *dropped).await?,
            Self::Put(queue, item, room) => {
                room.acquire().await?.forget();
                queue.put(item).await?;
            }
            Self::Take(queue, room) => {
                queue.take().await?;
                room.add_permits(1);
            }
            Self::Count(counter) => _ = counter.add(1).await?,
        }
        Ok(())
    }
}
