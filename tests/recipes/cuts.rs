//! Every recipe with its link cut once, at every boundary: before each request is written, and
//! before each answer is read. It is carried through all the same; or it is given up there, or its
//! session ends there, and nothing is left of it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use znode::{Client, ConnectOptions, Connecting, Connector, HostPort, TcpConnector, Transport};
use znode_recipes::{LockError, LockOptions, MultiLock, Mutex, ReadWriteLock, Semaphore, Upgrade};

use crate::ground::{Ground, LOCK, children_are, soon};
use znode_tests::support::Raw;

/// More boundaries than any scenario has.
const BOUNDARIES_MAX: usize = 500;
const RW: &str = "/locks/rw";
const SEMAPHORE: &str = "/locks/semaphore";
const COUNT: &str = "/locks/semaphore-count";

/// Cuts a connection once, at a boundary.
#[derive(Debug, Clone, Default)]
struct Scissors {
    /// How many boundaries were passed.
    passed: Arc<AtomicUsize>,
    /// Where to cut.
    at: Arc<AtomicUsize>,
    has_cut: Arc<Notify>,
    /// Whether the cut link is the last one for now.
    is_final: bool,
    refuses: Arc<AtomicBool>,
}

/// What becomes of a scenario once its link is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It goes on over another link.
    GoesOn,
    /// Whoever wanted it gives up.
    IsGivenUp,
    /// Its session ends.
    Dies,
}

impl Scissors {
    /// Is to cut so many boundaries from here.
    fn arm(&self, after: usize) {
        let boundary = self.passed.load(Ordering::SeqCst) + after + 1;
        self.at.store(boundary, Ordering::SeqCst);
    }

    /// Passes a boundary; `true` if it is the one.
    fn cuts_here(&self) -> bool {
        let boundary = self.passed.fetch_add(1, Ordering::SeqCst) + 1;
        let is_it = self.at.load(Ordering::SeqCst) == boundary;
        if is_it {
            self.refuses.store(self.is_final, Ordering::SeqCst);
            self.has_cut.notify_one();
        }
        is_it
    }

    fn is_blunt(&self) -> bool {
        self.passed.load(Ordering::SeqCst) < self.at.load(Ordering::SeqCst)
    }
}

impl Connector for Scissors {
    fn connect(&self, host: &HostPort) -> Connecting {
        let (connecting, scissors) = (TcpConnector.connect(host), self.clone());
        Box::pin(async move {
            if scissors.refuses.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let link = Some(connecting.await?);
            Ok(Box::new(Link { link, scissors }) as Box<dyn Transport>)
        })
    }
}

/// A link; none once it is cut.
struct Link {
    link: Option<Box<dyn Transport>>,
    scissors: Scissors,
}

impl Link {
    fn cut(&mut self) -> Poll<io::Result<usize>> {
        self.link = None;
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let Some(link) = &mut self.link else { return self.cut().map_ok(drop) };
        let read = std::task::ready!(Pin::new(link).poll_read(cx, buf));
        if buf.filled().len() > before && self.scissors.cuts_here() {
            return self.cut().map_ok(drop);
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.link.is_some() && self.scissors.cuts_here() {
            return self.cut();
        }
        match &mut self.link {
            Some(link) => Pin::new(link).poll_write(cx, bytes),
            None => self.cut(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.link {
            Some(link) => Pin::new(link).poll_flush(cx),
            None => self.cut().map_ok(drop),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.link {
            Some(link) => Pin::new(link).poll_shutdown(cx),
            None => self.cut().map_ok(drop),
        }
    }
}

/// Runs a scenario with a cut at each boundary in turn, to each of its ends.
async fn sweep<F>(scenario: impl Fn(Client, Client) -> F)
where
    F: Future<Output = Result<(), LockError>> + Send + 'static,
{
    let ground = Ground::start().await;
    let other = ground.connect().await;
    everybody_can(&other, Fate::GoesOn).await;
    for fate in [Fate::GoesOn, Fate::IsGivenUp, Fate::Dies] {
        for after in 0..BOUNDARIES_MAX {
            let scissors = Scissors { is_final: fate == Fate::Dies, ..Scissors::default() };
            let options = ConnectOptions::new().connector(scissors.clone());
            let client = ground.connect_with(options).await;
            scissors.arm(after);
            let task = tokio::spawn(scenario(client.clone(), other.clone()));
            let abort = task.abort_handle();
            let blow = tokio::spawn(blow(scissors.clone(), fate, client.clone(), abort, &ground));
            match soon(task).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) if fate == Fate::Dies => assert!(error.is_session_over(), "{error}"),
                Ok(Err(error)) => panic!("{fate:?}, cut at {after}: {error:?}"),
                Err(ended) => assert!(ended.is_cancelled() && fate == Fate::IsGivenUp, "{ended}"),
            }
            let is_over = scissors.is_blunt();
            if is_over {
                blow.abort();
            } else {
                soon(blow).await.unwrap();
            }
            everybody_can(&other, fate).await;
            if is_over {
                assert!(after > 5, "nothing was cut");
                break;
            }
            assert!(after + 1 < BOUNDARIES_MAX, "it never ends");
        }
    }
}

/// Waits for the cut, and does what is to come with it.
fn blow(
    scissors: Scissors,
    fate: Fate,
    client: Client,
    abort: AbortHandle,
    ground: &Ground,
) -> impl Future<Output = ()> + use<> {
    let address = ground.connect_string();
    async move {
        scissors.has_cut.notified().await;
        match fate {
            Fate::GoesOn => {}
            Fate::IsGivenUp => abort.abort(),
            Fate::Dies => {
                let (address, _) = address.split_once('/').unwrap();
                let password = client.session_password();
                let raw = Raw::resume(address, client.session_id(), &password[..]).await;
                raw.close_session().await;
                scissors.refuses.store(false, Ordering::SeqCst);
            }
        }
    }
}

/// Others have all of it at once, and find nothing left.
async fn everybody_can(other: &Client, fate: Fate) {
    let delayed = Mutex::new(other, LOCK).with_lock_delay(Duration::ZERO);
    let guard = soon(delayed.lock()).await.unwrap();
    assert!(guard.unclean_death().is_none() || fate == Fate::Dies);
    soon(guard.release()).await.unwrap();
    soon(soon(ReadWriteLock::new(other, RW).write()).await.unwrap().release()).await.unwrap();
    let semaphore = Semaphore::with_shared_limit(other, SEMAPHORE, COUNT, 3);
    let all = soon(semaphore.acquire_many(3)).await.unwrap();
    soon(all.release()).await.unwrap();
    children_are(other, 0).await;
}

#[tokio::test]
async fn a_mutex_survives_a_cut_at_every_boundary() {
    sweep(|client, _| async move {
        let mutex = Mutex::new(&client, LOCK);
        let guard = mutex.lock().await?;
        guard.renew().await?;
        guard.release().await?;
        let guard = mutex.try_lock().await?;
        guard.expect("nobody else is there").release().await
    })
    .await;
}

#[tokio::test]
async fn a_waiter_survives_a_cut_at_every_boundary() {
    sweep(|client, other| async move {
        let holder = Mutex::new(&other, LOCK).lock().await?;
        let second = Mutex::new(&client, LOCK);
        assert!(second.try_lock().await?.is_none());
        let release = tokio::spawn(async move {
            children_are(&other, 2).await;
            holder.release().await
        });
        let guard = second.lock().await;
        if guard.is_err() {
            // Who has died will never be the second in line.
            release.abort();
        }
        let released = release.await;
        guard?.release().await?;
        released.expect("it does not panic")
    })
    .await;
}

#[tokio::test]
async fn a_strict_lock_with_a_delay_survives_a_cut_at_every_boundary() {
    sweep(|client, _| async move {
        let strict = LockOptions::new().strict();
        let mutex = Mutex::new(&client, LOCK).with_options(strict);
        mutex.lock().await?.release().await?;
        let guard = mutex.with_lock_delay(Duration::ZERO).lock().await?;
        assert_eq!(guard.unclean_death(), None);
        guard.release().await
    })
    .await;
}

#[tokio::test]
async fn readers_and_writers_survive_a_cut_at_every_boundary() {
    sweep(|client, _| async move {
        let lock = ReadWriteLock::new(&client, RW);
        let reader = lock.write().await?.downgrade().await?;
        let second = lock.read().await?;
        let Upgrade::Refused(reader) = reader.try_upgrade().await? else {
            panic!("there is another reader");
        };
        second.release().await?;
        let Upgrade::Done(writer) = reader.try_upgrade().await? else {
            panic!("there is no other reader");
        };
        writer.release().await
    })
    .await;
}

#[tokio::test]
async fn a_semaphore_survives_a_cut_at_every_boundary() {
    sweep(|client, _| async move {
        let semaphore = Semaphore::with_shared_limit(&client, SEMAPHORE, COUNT, 3);
        let two = semaphore.acquire_many(2).await?;
        assert!(semaphore.try_acquire_many(2).await?.is_none());
        let one = semaphore.acquire().await?;
        two.release().await?;
        one.release().await
    })
    .await;
}

#[tokio::test]
async fn several_locks_survive_a_cut_at_every_boundary() {
    sweep(|client, _| async move {
        let rw = ReadWriteLock::new(&client, RW);
        let both = MultiLock::new().write(&rw).mutex(&Mutex::new(&client, LOCK));
        both.lock().await?.release().await
    })
    .await;
}
