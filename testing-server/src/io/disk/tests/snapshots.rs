//! Snapshots: when they are taken, which one counts, and what becomes of old ones.

use super::*;

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
    // Without the logs between, what was acknowledged cannot be had; from a snapshot it could.
    let logs = dir.files(Kind::Log);
    let (zxid, missing) = &logs[logs.len() - 2];
    let later = dir.files(Kind::Snapshot).into_iter().filter(|(at, _)| at >= zxid);
    later.for_each(|(_, path)| fs::remove_file(path).unwrap());
    fs::remove_file(missing).unwrap();
    let refusal = dir.refusal();
    assert!(refusal.contains(&format!("between {:#x} and", zxid.0 - 1)), "{refusal}");
    fs::remove_file(dir.files(Kind::Snapshot).remove(0).1).unwrap();
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
