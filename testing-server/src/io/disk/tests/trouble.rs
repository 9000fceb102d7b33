//! Disks that fail, directories that are taken, and what crashes leave lying about.

use super::*;

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
