//! Recipes: what each session does again and again, one after the other.

use tokio::task::JoinSet;
use tokio::time::Instant;
use znode::Client;
use znode_examples::Error;
use znode_recipes::{Counter, Mutex, SimpleQueue};

use crate::measure::{Span, Times};
use crate::options::{Mode, Options};
use crate::report::Figures;

/// What is done in a turn.
enum Turn {
    /// Take the lock, and let it go.
    Lock { mutex: Mutex, dropped: bool },
    /// Put an item into the queue.
    Put(SimpleQueue, Vec<u8>),
    /// Take one out of it.
    Take(SimpleQueue),
    /// Add one.
    Count(Counter<i64>),
}

/// Has all sessions take their turns at once.
///
/// Items are counted when they are taken; whoever produces them is there to keep the others busy.
pub(crate) async fn run(
    options: &Options,
    sessions: &[(Client, String)],
) -> Result<Figures, Error> {
    let span = Span::after_warmup(options);
    let (mut counted, mut others) = (JoinSet::new(), JoinSet::new());
    for (number, (client, path)) in sessions.iter().enumerate() {
        let turn = match options.mode {
            Mode::Queue => {
                let queue = SimpleQueue::new(client, path);
                match number.is_multiple_of(2) {
                    true => Turn::Put(queue, vec![b'x'; options.payload]),
                    false => Turn::Take(queue),
                }
            }
            Mode::Counter => Turn::Count(Counter::new(client, path)),
            _ => Turn::Lock { mutex: Mutex::new(client, path), dropped: options.dropped },
        };
        match turn {
            Turn::Put(..) => _ = others.spawn(turn.again_and_again(span)),
            _ => _ = counted.spawn(turn.again_and_again(span)),
        }
    }
    let figures = span.measure(options, counted).await;
    while let Some(ended) = others.join_next().await {
        ended??;
    }
    figures
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

    async fn take(&self) -> Result<(), Error> {
        match self {
            Self::Lock { mutex, dropped } => {
                let guard = mutex.lock().await?;
                if *dropped {
                    drop(guard);
                } else {
                    guard.release().await?;
                }
            }
            Self::Put(queue, item) => queue.put(item).await?,
            Self::Take(queue) => _ = queue.take().await?,
            Self::Count(counter) => _ = counter.add(1).await?,
        }
        Ok(())
    }
}
