//! Real files: what a server leaves behind, and what it makes of files that were tampered with.

mod logs;
mod snapshots;
mod trouble;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use znode::proto::{Version, Zxid};
use znode::{Client, ConnectOptions, CreateMode};

use super::DiskOptions;
use super::directory::{Kind, file, files, folder};
use super::load::{Loaded, load};
use super::lock::DirectoryInUse;
use super::storage::Files;
use crate::log::txn_log::{LogReader, Next, put_mark};
use crate::node::settings::Settings;
use crate::{DataFiles, InstanceSpec, TestingServer};

/// A directory that goes with its test.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("znode-disk-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        // Left over from a process of the same number that was killed.
        let _ = fs::remove_dir_all(&dir);
        Self(dir)
    }

    fn spec(&self) -> InstanceSpec {
        let mut spec = InstanceSpec::new().data_dir(&self.0);
        spec.disk_options().preallocate = 16 * 1024;
        spec
    }

    async fn start(&self) -> TestingServer {
        TestingServer::start_with(self.spec()).await.unwrap()
    }

    fn files(&self, kind: Kind) -> Vec<(Zxid, PathBuf)> {
        let files = files(&Files::default(), &self.0, kind).unwrap();
        files.into_iter().map(|named| (named.zxid, named.path)).collect()
    }

    fn load(&self) -> std::io::Result<Loaded> {
        load(&Files::default(), &DiskOptions::new(self.0.clone()), &Settings::fixed())
    }

    /// The error of a start on these files.
    fn refusal(&self) -> String {
        match self.load() {
            Ok(loaded) => panic!("it starts, with {} transactions", loaded.replayed),
            Err(error) => error.to_string(),
        }
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn create(client: &Client, path: &str) {
    client.create(path, b"data", CreateMode::Persistent).await.unwrap();
}

/// A server that has written some nodes, and was stopped.
async fn written(nodes: u32) -> Dir {
    let dir = Dir::new();
    let server = dir.start().await;
    let client = server.connect().await.unwrap();
    for i in 0..nodes {
        create(&client, &format!("/n{i}")).await;
    }
    server.stop().await;
    dir
}

/// Where each record of a log begins, and where the last one ends.
fn starts(log: &Path) -> Vec<usize> {
    let bytes = fs::read(log).unwrap();
    let mut reader = LogReader::new(&bytes).unwrap();
    let mut starts = vec![reader.offset()];
    while let Ok(Next::Entry(_)) = reader.next() {
        starts.push(reader.offset());
    }
    starts
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let dir = Dir::new();
    let server = dir.start().await;
    let client = server.connect().await.unwrap();
    create(&client, "/kept").await;
    client.create("/mine", b"", CreateMode::Ephemeral).await.unwrap();
    client.set_data("/kept", b"changed", Version::ANY).await.unwrap();
    let (zxid, session) = (server.zxid().await, client.session_id());
    server.restart().await.unwrap();
    assert_eq!(server.zxid().await, zxid);
    assert_eq!(server.node("/kept").await.unwrap().data.unwrap(), &b"changed"[..]);
    assert_eq!(server.ephemerals().await[&session], ["/mine"]);
    // Its session goes on.
    assert!(client.exists("/mine").await.unwrap().is_some());
    assert_eq!(client.session_id(), session);
    create(&client, "/more").await;
    server.stop().await;
    let loaded = dir.load().unwrap();
    assert!(loaded.node.node_view("/more").is_some());
    let logs = dir.files(Kind::Log);
    assert_eq!(logs.iter().map(|(zxid, _)| *zxid).collect::<Vec<_>>(), [Zxid(1), Zxid(5)]);
}

#[tokio::test]
async fn many_clients_share_a_sync() {
    let dir = Dir::new();
    let server = dir.start().await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let client = server.connect().await.unwrap();
        writers.spawn(async move {
            for i in 0..25 {
                create(&client, &format!("/w{writer}-{i}")).await;
            }
        });
    }
    writers.join_all().await;
    server.stop().await;
    assert_eq!(dir.load().unwrap().node.tree.len(), 204);
}

#[tokio::test]
async fn old_files_go_by_the_clock() {
    let dir = Dir::new();
    let server = TestingServer::start_with(dir.spec().snap_count(20)).await.unwrap();
    let client = server.connect().await.unwrap();
    for i in 0..200 {
        create(&client, &format!("/n{i}")).await;
    }
    server.stop().await;
    assert!(dir.files(Kind::Snapshot).len() > 5);
    let spec = |interval| {
        let mut spec = dir.spec().snap_count(20).snapshots_kept(4);
        spec.disk_options().purge_interval = Some(Duration::from_millis(interval));
        spec
    };
    let settled = async || {
        while dir.files(Kind::Snapshot).len() != 4 {
            tokio::task::yield_now().await;
        }
    };
    // Once at the start, then not for long.
    let server = TestingServer::start_with(spec(3_600_000)).await.unwrap();
    settled().await;
    let client = server.connect().await.unwrap();
    for i in 200..300 {
        create(&client, &format!("/n{i}")).await;
    }
    server.stop().await;
    assert!(dir.files(Kind::Snapshot).len() > 5);
    // Once at the start, and again and again.
    let server = TestingServer::start_with(spec(10)).await.unwrap();
    let client = server.connect().await.unwrap();
    for i in 300..400 {
        create(&client, &format!("/n{i}")).await;
    }
    settled().await;
    server.stop().await;
    assert_eq!(dir.load().unwrap().node.tree.len(), 404);
}

async fn word(server: &TestingServer, word: &str) -> String {
    let mut stream = TcpStream::connect(server.connect_string()).await.unwrap();
    stream.write_all(word.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn conf_and_dirs_tell_of_the_files() {
    let (dir, logs) = (written(3).await, Dir::new());
    fs::create_dir_all(&logs.0).unwrap();
    fs::rename(folder(&dir.0), logs.0.join("version-2")).unwrap();
    fs::create_dir_all(folder(&dir.0)).unwrap();
    let snapshot = file(&logs.0, Kind::Snapshot, Zxid::ZERO);
    fs::rename(&snapshot, file(&dir.0, Kind::Snapshot, Zxid::ZERO)).unwrap();
    let mut spec = dir.spec();
    spec.disk_options().log_dir.clone_from(&logs.0);
    let server = TestingServer::start_with(spec).await.unwrap();
    let size = |dir: &Path| {
        let sizes = fs::read_dir(folder(dir)).unwrap();
        sizes.map(|entry| entry.unwrap().metadata().unwrap().len()).sum::<u64>()
    };
    let (data_size, log_size) = (size(&dir.0), size(&logs.0));
    assert!(data_size > 100 && log_size > 16 * 1024);
    let told = word(&server, "dirs").await;
    assert_eq!(told, format!("datadir_size: {data_size}\nlogdir_size: {log_size}\n"));
    let told = word(&server, "conf").await;
    let expected = format!(
        "dataDir={}\ndataDirSize={data_size}\ndataLogDir={}\ndataLogSize={log_size}\n",
        folder(&dir.0).display(),
        folder(&logs.0).display()
    );
    assert!(told.contains(&expected), "{told}");
}
