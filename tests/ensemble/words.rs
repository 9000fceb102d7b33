//! What servers answer to four-letter words.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A server that stands still accepts connections and answers nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a server answers; nothing if it does not.
pub(crate) async fn ask(address: &str, word: &str) -> Option<String> {
    let answer = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(word.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    };
    timeout(PATIENCE, answer).await.ok().flatten()
}

/// `leader`, `follower` or `observer`, if it serves.
pub(crate) async fn mode(address: &str) -> Option<String> {
    let told = ask(address, "srvr").await?;
    told.lines().find_map(|line| line.strip_prefix("Mode: ")).map(str::to_owned)
}

/// One figure out of `mntr`.
pub(crate) async fn figure(address: &str, name: &str) -> Option<u64> {
    let told = ask(address, "mntr").await?;
    let figures = told.lines().filter_map(|line| line.split_once('\t'));
    figures.into_iter().find_map(|(found, value)| (found == name).then(|| value.parse().ok())?)
}
