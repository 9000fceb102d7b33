//! One connection of a proxy: bytes in both directions, held up and lost by the rules.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::rules::{Fate, Rules, Triggers};

/// How many bytes are read at once.
const CHUNK_LEN: usize = 16 * 1024;
/// How many chunks may be on their way in one direction, before the sender must wait.
const CHUNKS_MAX: usize = 64;

/// Carries bytes until either side ends, or the rules have it end that were `before` when it was
/// accepted.
pub(super) async fn connection(
    mut client: TcpStream,
    mut server: TcpStream,
    before: &Rules,
    rules: watch::Receiver<Rules>,
    triggers: &Triggers,
) {
    for stream in [&client, &server] {
        // Without this, small frames would wait for each other on top of what is asked for.
        stream.set_nodelay(true).ok();
    }
    let mut reset = false;
    {
        let (client_in, client_out) = client.split();
        let (server_in, server_out) = server.split();
        let mut changes = rules.clone();
        let ended = async {
            let over = |rules: &Rules| (rules.cuts, rules.resets) != (before.cuts, before.resets);
            changes.wait_for(over).await.is_ok_and(|rules| rules.resets != before.resets)
        };
        tokio::select! {
            biased;
            by_reset = ended => reset = by_reset,
            _ = carry(client_in, server_out, rules.clone(), None) => {}
            _ = carry(server_in, client_out, rules.clone(), Some(triggers)) => {}
        }
    }
    if reset {
        for stream in [&client, &server] {
            stream.set_zero_linger().ok();
        }
    }
}

/// Carries one direction to its end. With triggers it is the server's, and looked at by frames.
async fn carry(
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    rules: watch::Receiver<Rules>,
    triggers: Option<&Triggers>,
) -> io::Result<()> {
    let (queue, queued) = mpsc::channel(CHUNKS_MAX);
    let taken = take(from, queue, rules.clone());
    let given = give(to, queued, rules, triggers);
    let (taken, given) = tokio::join!(taken, given);
    taken.and(given)
}

#[expect(clippy::disallowed_methods, reason = "this is a shell: delays are by the clock")]
async fn take(
    mut from: impl AsyncRead + Unpin,
    queue: mpsc::Sender<(Instant, Vec<u8>)>,
    rules: watch::Receiver<Rules>,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_LEN];
    loop {
        let len = from.read(&mut buffer).await?;
        let due = Instant::now() + rules.borrow().latency;
        // An error says that the other end has gone.
        if len == 0 || queue.send((due, buffer[..len].to_vec())).await.is_err() {
            return Ok(());
        }
    }
}

async fn give(
    mut to: impl AsyncWrite + Unpin,
    mut queued: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut rules: watch::Receiver<Rules>,
    triggers: Option<&Triggers>,
) -> io::Result<()> {
    let mut frames = Frames::default();
    while let Some((due, chunk)) = queued.recv().await {
        sleep_until(due).await;
        let Ok(now) = rules.wait_for(|rules| !rules.stalled).await.map(|rules| rules.clone())
        else {
            return Ok(());
        };
        if let Some(bytes_per_second) = now.bytes_per_second {
            sleep(Duration::from_secs(chunk.len() as u64) / bytes_per_second.max(1)).await;
        }
        let Some(triggers) = triggers else {
            to.write_all(&chunk).await?;
            continue;
        };
        if now.half_open {
            continue;
        }
        let (pass, cut) = frames.judge(chunk, triggers);
        to.write_all(&pass).await?;
        if cut {
            to.flush().await?;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
    }
    to.shutdown().await
}

/// Cuts a stream of bytes into frames, each of which is judged when it is whole.
#[derive(Default)]
struct Frames {
    partial: Vec<u8>,
    greeted: bool,
}

impl Frames {
    /// What may pass of the bytes that were waiting and of these, and whether to cut behind it.
    fn judge(&mut self, chunk: Vec<u8>, triggers: &Triggers) -> (Vec<u8>, bool) {
        self.partial.extend(chunk);
        let mut passed = 0;
        while let Some(end) = frame_end(&self.partial[passed..]) {
            let frame = &self.partial[passed + 4..passed + end];
            let fate = triggers.judge(frame, !self.greeted);
            self.greeted = true;
            if fate != Fate::Lost {
                passed += end;
            }
            if fate != Fate::Pass {
                self.partial.truncate(passed);
                return (std::mem::take(&mut self.partial), true);
            }
        }
        let rest = self.partial.split_off(passed);
        (std::mem::replace(&mut self.partial, rest), false)
    }
}

/// Where the first frame ends. What is no frame, as the answer to a four-letter word, is taken for
/// one: it passes.
fn frame_end(bytes: &[u8]) -> Option<usize> {
    let len = bytes.first_chunk::<4>()?;
    let end = match usize::try_from(i32::from_be_bytes(*len)) {
        Ok(len) if len <= znode::proto::FRAME_LEN_MAX * 2 => len + 4,
        _ => bytes.len(),
    };
    (bytes.len() >= end).then_some(end)
}
