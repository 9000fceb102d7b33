//! A process that holds a lock, for tests that stop it, continue it and kill it:
//! `lock-holder-under-test CONNECT TIMEOUT_MS hold|count`.
//!
//! `hold` takes the lock, tells so, and writes under it when it is told to by a line of input.
//! `count` adds one to a counter under the lock, again and again, in a new session whenever the
//! last one is over. What it has done it tells in lines of output.

use std::env;
use std::error::Error;
use std::io::Write;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use znode::{Client, ConnectOptions, Outcome, Version};
use znode_recipes::{LockError, LockErrorKind, Mutex};

const LOCK: &str = "/locks/one";
const COUNTER: &str = "/counter";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [connect, timeout_ms, what] = &args[..] else {
        return Err("usage: lock-holder-under-test CONNECT TIMEOUT_MS hold|count".into());
    };
    let options = ConnectOptions::new().session_timeout(Duration::from_millis(timeout_ms.parse()?));
    match &what[..] {
        "hold" => hold(&options.connect(connect).await?).await,
        "count" => loop {
            // It may be stopped while it connects, too.
            if let Ok(client) = options.clone().connect(connect).await {
                count(&client).await?;
            }
        },
        other => Err(format!("{other}: must be hold or count").into()),
    }
}

fn tell(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

async fn hold(client: &Client) -> Result<()> {
    let guard = Mutex::new(client, LOCK).lock().await?;
    let lost = guard.lost();
    tell(&format!("held {}", guard.token().0))?;
    BufReader::new(stdin()).read_line(&mut String::new()).await?;
    match guard.client().set_data("/record", guard.token().0.to_string(), Version::ANY).await {
        Ok(_) => tell("written")?,
        Err(error) => tell(&format!("refused {:?} {:?}", error.kind(), error.outcome()))?,
    }
    tell(&format!("lost {:?}", lost.await))
}

/// Counts until the session is over.
async fn count(client: &Client) -> Result<()> {
    let mutex = Mutex::new(client, LOCK);
    loop {
        match add_one(client, &mutex).await {
            Ok(token) => tell(&format!("done {token}"))?,
            Err(error) if error.outcome() == Outcome::Unknown => tell("unknown")?,
            Err(error) if error.is_session_over() => return Ok(()),
            Err(error) if error.kind() == LockErrorKind::LockLost => {}
            Err(error) => return Err(error.into()),
        }
        if client.state().is_terminal() {
            return Ok(());
        }
    }
}

/// Reads and writes without any version: only the lock sees to it that nothing comes between.
async fn add_one(client: &Client, mutex: &Mutex) -> std::result::Result<i64, LockError> {
    let guard = mutex.lock().await?;
    let read = client.until_answered(|| client.get_data(COUNTER)).await;
    let Ok((data, _)) = read else { return Err(guard.lost().await.into()) };
    let value: u64 =
        std::str::from_utf8(&data).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    guard.client().set_data(COUNTER, (value + 1).to_string(), Version::ANY).await?;
    let token = guard.token().0;
    // If that fails, the session's end will tell.
    let _ = guard.release().await;
    Ok(token)
}
