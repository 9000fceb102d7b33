//! Real files: what a server leaves behind, and what it makes of files that were tampered with.

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
        self.load().unwrap_err().to_string()
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
async fn snapshots_begin_new_logs_and_old_files_go() {
    let dir = Dir::new();
    let spec = dir.spec().snap_count(20).snapshots_kept(3);
    let server = TestingServer::start_with(spec).await.unwrap();
    let client = server.connect().await.unwrap();
    for i in 0..400 {
        create(&client, &format!("/n{i}")).await;
    }
    server.stop().await;
    let snapshots = dir.files(Kind::Snapshot);
    assert_eq!(snapshots.len(), 3, "{snapshots:?}");
    assert!(dir.files(Kind::Log).len() <= 5, "{:?}", dir.files(Kind::Log));
    // Any of the snapshots that are left will do.
    for (_, newest) in snapshots.iter().rev() {
        let loaded = dir.load().unwrap();
        assert_eq!(loaded.node.last_processed, Zxid(401));
        assert_eq!(loaded.node.tree.len(), 404);
        fs::remove_file(newest).unwrap();
    }
    assert!(dir.refusal().contains("no snapshot that they follow"));
}

#[tokio::test]
async fn a_log_cut_at_every_byte_of_its_last_records_starts() {
    let dir = written(6).await;
    let log = dir.files(Kind::Log).pop().unwrap().1;
    let (bytes, starts) = (fs::read(&log).unwrap(), starts(&log));
    let records = starts.len() - 1;
    for cut in starts[records - 2]..=starts[records] {
        for padding in [0, 8192] {
            let mut torn = bytes[..cut].to_vec();
            torn.resize(cut + padding, 0);
            fs::write(&log, torn).unwrap();
            let loaded = dir.load().unwrap();
            let whole = starts.iter().filter(|start| **start <= cut).count() - 1;
            assert_eq!(loaded.replayed, whole as u64, "cut at {cut}");
            // What was torn is gone, so that nothing takes it for damage once more is written.
            let again = dir.load().unwrap();
            assert_eq!(again.node.last_processed, loaded.node.last_processed);
        }
    }
}

#[tokio::test]
async fn damage_is_refused_and_named() {
    let dir = written(6).await;
    let log = dir.files(Kind::Log).pop().unwrap().1;
    let (bytes, starts) = (fs::read(&log).unwrap(), starts(&log));
    for record in 0..starts.len() - 1 {
        let mut bent = bytes.clone();
        bent[starts[record] + 40] ^= 4;
        fs::write(&log, bent).unwrap();
        let refusal = dir.refusal();
        assert!(refusal.contains("log.1"), "{refusal}");
        assert!(refusal.contains(&format!("at offset {}", starts[record])), "{refusal}");
    }
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_read_makes_way_for_the_one_before() {
    let dir = Dir::new();
    let spec = dir.spec().snap_count(10);
    let server = TestingServer::start_with(spec).await.unwrap();
    let client = server.connect().await.unwrap();
    for i in 0..40 {
        create(&client, &format!("/n{i}")).await;
    }
    server.stop().await;
    let newest = dir.files(Kind::Snapshot).pop().unwrap().1;
    let mut bytes = fs::read(&newest).unwrap();
    bytes.truncate(bytes.len() / 2);
    fs::write(&newest, &bytes).unwrap();
    assert_eq!(dir.load().unwrap().node.tree.len(), 44);
    // Without the logs between, what was acknowledged cannot be had.
    let logs = dir.files(Kind::Log);
    let (zxid, missing) = &logs[logs.len() - 2];
    fs::remove_file(missing).unwrap();
    let refusal = dir.refusal();
    assert!(refusal.contains(&format!("between {:#x} and", zxid.0 - 1)), "{refusal}");
    fs::remove_file(dir.files(Kind::Snapshot).remove(0).1).unwrap();
}

#[tokio::test]
async fn leftovers_of_a_crash_are_no_obstacle() {
    let dir = written(2).await;
    fs::write(folder(&dir.0).join("snapshot.7.tmp"), b"half").unwrap();
    fs::write(file(&dir.0, Kind::Log, Zxid(4)), b"").unwrap();
    assert_eq!(dir.load().unwrap().node.last_processed, Zxid(3));
    assert_eq!(dir.files(Kind::Log).len(), 1);
    assert_eq!(fs::read_dir(folder(&dir.0)).unwrap().count(), 2);
}

#[tokio::test]
async fn a_server_whose_disk_fails_acknowledges_nothing_and_says_why() {
    let dir = written(1).await;
    let server = dir.start().await;
    fs::remove_dir_all(&dir.0).unwrap();
    let options = ConnectOptions::new()
        .connect_timeout(Duration::from_millis(300))
        .session_timeout(Duration::from_secs(1));
    let options = options.connector(server.connector());
    assert!(options.connect(&server.connect_string()).await.is_err());
    let error = server.failed().await.to_string();
    assert!(error.contains("log.3"), "{error}");
    assert_eq!(server.zxid().await, Zxid(2));
    server.stop().await;
    server.restart().await.unwrap();
    assert_eq!(server.zxid().await, Zxid(0));
    create(&server.connect().await.unwrap(), "/again").await;
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

fn in_use(error: &std::io::Error) -> &Path {
    let inner = error.get_ref().expect("an error of ours is in there");
    inner.downcast_ref::<DirectoryInUse>().expect("it is this one").directory()
}

#[tokio::test]
async fn a_second_server_on_the_same_files_is_refused_until_the_first_has_stopped() {
    let (dir, logs) = (Dir::new(), Dir::new());
    let spec = || {
        let mut spec = dir.spec();
        spec.disk_options().log_dir.clone_from(&logs.0);
        spec
    };
    let first = TestingServer::start_with(spec()).await.unwrap();
    let refused = TestingServer::start_with(spec()).await.unwrap_err();
    assert_eq!(in_use(&refused), dir.0);
    assert!(refused.to_string().contains("another server runs on the files"), "{refused}");
    // Also if it is only one of the directories.
    let mut other = InstanceSpec::new().data_dir(dir.0.join("other"));
    other.disk_options().log_dir.clone_from(&logs.0);
    assert_eq!(in_use(&TestingServer::start_with(other).await.unwrap_err()), logs.0);
    create(&first.connect().await.unwrap(), "/unharmed").await;
    first.restart().await.unwrap();
    first.stop().await;
    let second = TestingServer::start_with(spec()).await.unwrap();
    assert!(second.node("/unharmed").await.is_some());
    assert_eq!(in_use(&first.restart().await.unwrap_err()), dir.0);
}

#[tokio::test]
async fn compressed_snapshots_are_read_whatever_is_set() {
    let dir = Dir::new();
    let spec = dir.spec().snap_count(20).compress_snapshots(true);
    let server = TestingServer::start_with(spec).await.unwrap();
    let client = server.connect().await.unwrap();
    for i in 0..100 {
        create(&client, &format!("/n{i}")).await;
    }
    server.stop().await;
    let snapshots = dir.files(Kind::Snapshot);
    assert!(snapshots.len() > 3);
    assert!(snapshots.iter().all(|(_, path)| path.extension().is_some_and(|ext| ext == "gz")));
    let server = TestingServer::start_with(dir.spec().snap_count(20)).await.unwrap();
    assert_eq!(server.znode_count().await, 104);
    let client = server.connect().await.unwrap();
    for i in 100..140 {
        create(&client, &format!("/n{i}")).await;
    }
    server.stop().await;
    // Each that is cut makes way for the one before, of either kind.
    for (_, path) in dir.files(Kind::Snapshot).into_iter().skip(1).rev() {
        assert_eq!(dir.load().unwrap().node.tree.len(), 144);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
    }
    assert_eq!(dir.load().unwrap().node.tree.len(), 144);
}

#[tokio::test]
async fn cut_snapshots_are_not_counted_as_kept() {
    let dir = Dir::new();
    let spec = || dir.spec().snap_count(20).snapshots_kept(3).compress_snapshots(true);
    let server = TestingServer::start_with(spec()).await.unwrap();
    let client = server.connect().await.unwrap();
    for i in 0..100 {
        create(&client, &format!("/n{i}")).await;
    }
    server.stop().await;
    let before = dir.files(Kind::Snapshot);
    for (_, path) in &before[1..] {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    }
    let server = TestingServer::start_with(spec()).await.unwrap();
    let client = server.connect().await.unwrap();
    for i in 100..115 {
        create(&client, &format!("/n{i}")).await;
    }
    server.stop().await;
    // The only one that was whole is still needed.
    let left = dir.files(Kind::Snapshot);
    assert!(left.contains(&before[0]), "{left:?}");
    assert!(left.len() > before.len(), "{left:?}");
}

#[tokio::test]
async fn a_snapshot_in_a_compression_that_is_not_known_is_refused_by_name() {
    let dir = written(2).await;
    let snapshot = dir.files(Kind::Snapshot).pop().unwrap().1;
    let snappy = snapshot.with_extension("0.snappy");
    fs::rename(&snapshot, &snappy).unwrap();
    let refusal = dir.refusal();
    assert!(refusal.contains("snapshot.0.snappy: compression with snappy is not"), "{refusal}");
}

#[tokio::test]
async fn a_log_that_is_long_enough_makes_way_for_another() {
    let dir = Dir::new();
    let mut spec = dir.spec();
    spec.disk_options().log_size_max = Some(4000);
    let server = TestingServer::start_with(spec).await.unwrap();
    let client = server.connect().await.unwrap();
    for i in 0..100 {
        create(&client, &format!("/n{i}")).await;
    }
    server.stop().await;
    let logs = dir.files(Kind::Log);
    assert!(logs.len() > 2, "{logs:?}");
    for (_, log) in &logs {
        assert!(*starts(log).last().unwrap() < 4400);
    }
    assert_eq!(dir.load().unwrap().replayed, 101);
}

#[tokio::test]
async fn a_snapshot_is_due_after_so_many_bytes_too() {
    let dir = Dir::new();
    let mut spec = dir.spec();
    spec.disk_options().snap_size = Some(40_000);
    let server = TestingServer::start_with(spec).await.unwrap();
    let client = server.connect().await.unwrap();
    client.create("/a", b"", CreateMode::Persistent).await.unwrap();
    for _ in 0..30 {
        client.set_data("/a", [7; 4000], Version::ANY).await.unwrap();
    }
    server.stop().await;
    let snapshots = dir.files(Kind::Snapshot);
    assert!((3..8).contains(&snapshots.len()), "{snapshots:?}");
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

/// A power cut has torn the first of two records that were written at once, and kept the second.
#[tokio::test]
async fn a_torn_write_is_cut_off_and_its_log_is_whole_again() {
    let dir = written(6).await;
    let log = dir.files(Kind::Log).pop().unwrap().1;
    let (mut bytes, starts) = (fs::read(&log).unwrap(), starts(&log));
    let (at, end) = (starts[4], *starts.last().unwrap());
    bytes.truncate(end);
    put_mark(at as u64, &mut bytes);
    bytes[at + 20..at + 30].fill(0);
    fs::write(&log, &bytes).unwrap();
    assert_eq!(dir.load().unwrap().replayed, 4);
    let cut = fs::read(&log).unwrap();
    assert_eq!(cut[..at], bytes[..at]);
    // What is left is known to be on the disk: were it to go bad now, that would be damage.
    let mut bent = cut;
    bent[starts[3] + 20] ^= 1;
    fs::write(&log, bent).unwrap();
    assert!(dir.refusal().contains("it was synced"), "{}", dir.refusal());
}

/// ZOOKEEPER-3701: what was torn could not be cut off, and the server went on all the same.
#[tokio::test]
async fn disk_edge_15_a_server_that_cannot_cut_off_what_is_torn_does_not_start() {
    let dir = written(6).await;
    let server = TestingServer::start_with(dir.spec()).await.unwrap();
    server.stop().await;
    let log = server.files().unwrap().logs().unwrap().pop().unwrap();
    log.truncate(log.used_len().unwrap() - 40).unwrap();
    let torn = fs::read(log.path()).unwrap();
    server.fill_disk();
    let refused = server.restart().await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::StorageFull);
    assert!(refused.to_string().contains("log.1"), "{refused}");
    server.free_disk();
    server.break_disk();
    assert!(server.restart().await.unwrap_err().to_string().contains("does not answer"));
    server.mend_disk();
    assert_eq!(fs::read(log.path()).unwrap(), torn, "a failure has changed nothing");
    server.restart().await.unwrap();
    assert_eq!(server.znode_count().await, 4 + 5);
}

/// ZOOKEEPER-1489, 1154, 1156: what was written behind a cut stood at the wrong place.
#[tokio::test]
async fn disk_edge_16_behind_a_cut_another_log_begins() {
    let dir = written(6).await;
    let server = TestingServer::start_with(dir.spec()).await.unwrap();
    server.stop().await;
    for round in 0..4 {
        let log = server.files().unwrap().logs().unwrap().pop().unwrap();
        log.truncate(log.used_len().unwrap() - 33).unwrap();
        server.restart().await.unwrap();
        let zxid = server.zxid().await;
        let client = server.connect().await.unwrap();
        for i in 0..3 {
            create(&client, &format!("/r{round}-{i}")).await;
        }
        server.stop().await;
        let newest = server.files().unwrap().logs().unwrap().pop().unwrap();
        assert_eq!(newest.zxid(), Zxid(zxid.0 + 1));
        assert_ne!(newest, log);
        let count = server.znode_count().await;
        assert_eq!(dir.load().unwrap().node.tree.len(), count);
    }
}

/// ZOOKEEPER-2325 and 3056: with every snapshot gone a server began anew, with nothing.
#[tokio::test]
async fn disk_edge_23_logs_without_a_snapshot_are_refused_unless_they_are_trusted() {
    let dir = written(3).await;
    for snapshot in DataFiles::in_dir(&dir.0).snapshots().unwrap() {
        snapshot.remove().unwrap();
    }
    assert!(dir.refusal().contains("log.1: there are transactions, but no snapshot"));
    assert!(DataFiles::in_dir(&dir.0).snapshots().unwrap().is_empty(), "nothing was begun");
    let mut options = DiskOptions::new(dir.0.clone());
    options.trust_empty = true;
    let loaded = load(&Files::default(), &options, &Settings::fixed()).unwrap();
    assert_eq!(loaded.node.tree.len(), 7);
}

/// ZOOKEEPER-2249 and 2332: padding shorter than a record, and a last log without a byte.
#[tokio::test]
async fn disk_edge_25_records_longer_than_the_padding_and_an_empty_log_are_read() {
    for preallocate in [0, 1, 64, 5000] {
        let dir = Dir::new();
        let mut spec = dir.spec();
        spec.disk_options().preallocate = preallocate;
        let server = TestingServer::start_with(spec).await.unwrap();
        let client = server.connect().await.unwrap();
        for i in 0..5 {
            let data = vec![7; 9000 * i];
            client.create(&format!("/n{i}"), data, CreateMode::Persistent).await.unwrap();
        }
        server.stop().await;
        let empty = file(&dir.0, Kind::Log, Zxid(7));
        for len in [0, 10, 16, 48] {
            let log = fs::read(file(&dir.0, Kind::Log, Zxid(1))).unwrap();
            fs::write(&empty, &log[..len]).unwrap();
            let loaded = dir.load().unwrap();
            assert_eq!((loaded.replayed, loaded.node.tree.len()), (6, 9), "{preallocate}");
            assert!(!empty.exists());
        }
    }
}

/// Apache's server ends at a log that is torn, and goes on with the next: what was between is gone.
#[tokio::test]
async fn disk_edge_26_a_log_that_ends_before_the_next_one_begins_is_refused() {
    let dir = Dir::new();
    let server = dir.start().await;
    for round in 0..3 {
        let client = server.connect().await.unwrap();
        for i in 0..4 {
            create(&client, &format!("/r{round}-{i}")).await;
        }
        server.restart().await.unwrap();
    }
    server.stop().await;
    let files = DataFiles::in_dir(&dir.0);
    let middle = &files.logs().unwrap()[1];
    let whole = fs::read(middle.path()).unwrap();
    middle.truncate(starts(middle.path())[3] as u64 + 20).unwrap();
    let refusal = dir.refusal();
    assert!(refusal.contains("are missing"), "{refusal}");
    // So is one that has gone altogether, and one that ends between two records.
    middle.truncate(starts(middle.path())[2] as u64).unwrap();
    assert!(dir.refusal().contains("are missing"));
    middle.clone().remove().unwrap();
    assert!(dir.refusal().contains("are missing"));
    fs::write(middle.path(), whole).unwrap();
    assert_eq!(dir.load().unwrap().node.tree.len(), 4 + 12);
}

async fn writes_until_the_server_stops(server: &TestingServer, prefix: &str) -> usize {
    let options = ConnectOptions::new().session_timeout(Duration::from_secs(1));
    let options = options.connector(server.connector());
    let client = options.connect(&server.connect_string()).await.unwrap();
    let mut acknowledged = 0;
    let path = |number| format!("/{prefix}-{number}");
    while client.create(&path(acknowledged), [7; 700], CreateMode::Persistent).await.is_ok() {
        acknowledged += 1;
        if acknowledged == 20 {
            match prefix {
                "full" => server.fill_disk(),
                _ => server.break_disk(),
            }
        }
    }
    acknowledged
}

#[tokio::test]
async fn a_disk_that_is_full_or_broken_stops_the_server_and_takes_nothing() {
    let dir = Dir::new();
    let server = dir.start().await;
    for prefix in ["full", "broken"] {
        let acknowledged = writes_until_the_server_stops(&server, prefix).await;
        assert_eq!(acknowledged, 20);
        let error = server.failed().await.to_string();
        assert!(error.contains("log."), "{error}");
        server.stop().await;
        server.free_disk();
        server.mend_disk();
        server.restart().await.unwrap();
        for i in 0..acknowledged {
            assert!(server.node(&format!("/{prefix}-{i}")).await.is_some());
        }
    }
    // A server without files has no disk.
    let server = TestingServer::start().await.unwrap();
    server.fill_disk();
    assert!(server.files().is_none());
    create(&server.connect().await.unwrap(), "/a").await;
}

#[tokio::test]
async fn files_are_changed_where_a_test_says() {
    let dir = written(2).await;
    let files = DataFiles::in_dir(&dir.0);
    let log = files.logs().unwrap().remove(0);
    let before = fs::read(log.path()).unwrap();
    log.flip_bit(100, 5).unwrap();
    log.overwrite(7, &[9, 9]).unwrap();
    let mut expected = before.clone();
    expected[100] ^= 32;
    expected[7..9].fill(9);
    assert_eq!(fs::read(log.path()).unwrap(), expected);
    let outside = log.flip_bit(before.len() as u64, 0).unwrap_err();
    assert!(outside.to_string().contains("log.1"), "{outside}");
    assert_eq!(files.snapshots().unwrap().len(), 1);
    log.clone().remove().unwrap();
    assert!(files.logs().unwrap().is_empty() && log.truncate(3).is_err());
}

#[tokio::test]
async fn an_idle_server_marks_its_log_as_synced() {
    let dir = Dir::new();
    let server = dir.start().await;
    let client = server.connect().await.unwrap();
    create(&client, "/a").await;
    let log = dir.files(Kind::Log).pop().unwrap().1;
    let is_marked = || {
        let bytes = fs::read(&log).unwrap();
        let mut reader = LogReader::new(&bytes).unwrap();
        let mut count = 0;
        while let Ok(Next::Entry(_)) = reader.next() {
            count += 1;
        }
        count == 2 && reader.is_synced()
    };
    while !is_marked() {
        tokio::task::yield_now().await;
    }
    drop(client);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_that_are_taken_under_load_are_exact() {
    let dir = Dir::new();
    let server = TestingServer::start_with(dir.spec().snap_count(100)).await.unwrap();
    let first = server.connect().await.unwrap();
    for i in 0..300 {
        create(&first, &format!("/n{i}")).await;
    }
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let client = server.connect().await.unwrap();
        writers.spawn(async move {
            for i in 0..250 {
                let path = format!("/n{}", (i * 7 + writer * 13) % 300);
                client.set_data(&path, vec![7; i], Version::ANY).await.unwrap();
                let path = format!("/w{writer}-{}", i / 2);
                if i % 2 == 0 {
                    create(&client, &path).await;
                } else {
                    client.delete(&path, Version::ANY).await.unwrap();
                }
            }
        });
    }
    writers.join_all().await;
    let digest = server.digest().await;
    server.stop().await;
    let snapshots = dir.files(Kind::Snapshot);
    assert!(snapshots.len() > 5, "{snapshots:?}");
    // Each of them, and what the logs say behind it, with every digest on the way.
    for (_, path) in snapshots.into_iter().rev() {
        let mut loaded = dir.load().unwrap();
        assert_eq!(loaded.node.stats.digest_mismatches, 0, "{}", path.display());
        assert_eq!(loaded.node.tree.digest().cast_signed(), digest, "{}", path.display());
        fs::remove_file(path).unwrap();
    }
}
