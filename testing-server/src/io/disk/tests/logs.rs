//! Logs: cut, torn, damaged, missing and empty.

use super::*;

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
