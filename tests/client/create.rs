//! What a create makes, in every mode, and what it refuses.

use std::time::Duration;

use znode::proto::{AclRecord, FRAME_LEN_MAX, Perms};
use znode::proto::{OpCode, requests::CreateRequest};
use znode::{CreateMode, ErrorKind, Outcome, SessionId};

use crate::ground::{Ground, settle, soon};
use znode_tests::support::Raw;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn create_returns_the_path_and_the_stat_of_the_new_node() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let created = soon(client.create("/a", b"data", CreateMode::Persistent)).await.unwrap();
    assert_eq!(created.path, "/a");
    let (data, stat) = soon(client.get_data("/a")).await.unwrap();
    assert_eq!(&data[..], b"data");
    assert_eq!(created.stat, stat);
    assert_eq!((stat.czxid, stat.czxid), (stat.mzxid, stat.pzxid));
    assert_eq!(stat.ctime, stat.mtime);
    assert_eq!((stat.version.0, stat.cversion, stat.aversion.0), (0, 0, 0));
    assert_eq!((stat.data_length, stat.num_children), (4, 0));
    assert_eq!(stat.ephemeral_owner, SessionId::NONE);
}

#[tokio::test]
async fn every_mode_creates_a_node() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for (i, mode) in [
        CreateMode::Persistent,
        CreateMode::PersistentSequential,
        CreateMode::Ephemeral,
        CreateMode::EphemeralSequential,
        CreateMode::Container,
        CreateMode::PersistentTtl { ttl: HOUR },
        CreateMode::PersistentSequentialTtl { ttl: HOUR },
    ]
    .into_iter()
    .enumerate()
    {
        let asked = format!("/node-{i}-");
        let created = soon(client.create(&asked, "x", mode)).await.unwrap();
        assert!(created.path.starts_with(&asked), "{mode:?}");
        let stat = soon(client.exists(&created.path)).await.unwrap();
        assert_eq!(stat, Some(created.stat), "{mode:?}");
    }
}

#[tokio::test]
async fn sequence_numbers_have_ten_digits_and_rise() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for expected in ["/job-0000000000", "/job-0000000001", "/job-0000000002"] {
        let created =
            soon(client.create("/job-", "", CreateMode::PersistentSequential)).await.unwrap();
        assert_eq!(created.path, expected);
    }
}

#[tokio::test]
async fn sequence_numbers_count_every_child_that_was_ever_created() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for path in ["/a", "/b"] {
        soon(client.create(path, "", CreateMode::Persistent)).await.unwrap();
        soon(client.delete(path, -1)).await.unwrap();
    }
    let ttl = CreateMode::PersistentSequentialTtl { ttl: HOUR };
    for (mode, expected) in [
        (CreateMode::EphemeralSequential, "/n0000000002"),
        (CreateMode::PersistentSequential, "/n0000000003"),
        (ttl, "/n0000000004"),
    ] {
        let created = soon(client.create("/n", "", mode)).await.unwrap();
        assert_eq!(created.path, expected);
    }
}

#[tokio::test]
async fn a_sequential_path_may_end_with_a_slash() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/queue", "", CreateMode::Persistent)).await.unwrap();
    let created =
        soon(client.create("/queue/", "", CreateMode::PersistentSequential)).await.unwrap();
    assert_eq!(created.path, "/queue/0000000000");
}

#[tokio::test]
async fn an_ephemeral_node_is_owned_by_its_session() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for mode in [CreateMode::Ephemeral, CreateMode::EphemeralSequential] {
        let created = soon(client.create("/e", "", mode)).await.unwrap();
        assert_eq!(created.stat.ephemeral_owner, client.session_id());
        assert!(created.stat.is_ephemeral());
    }
}

#[tokio::test]
async fn an_ephemeral_node_cannot_have_children() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/e", "", CreateMode::Ephemeral)).await.unwrap();
    let error = soon(client.create("/e/child", "", CreateMode::Persistent)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoChildrenForEphemerals);
    assert_eq!(error.path(), Some("/e/child"));
}

#[tokio::test]
async fn containers_and_nodes_with_a_time_to_live_show_no_owner_and_have_children() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let ttl = CreateMode::PersistentTtl { ttl: HOUR };
    for (path, mode) in [("/container", CreateMode::Container), ("/ttl", ttl)] {
        let created = soon(client.create(path, "", mode)).await.unwrap();
        assert_eq!(created.stat.ephemeral_owner, SessionId::NONE);
        let child = format!("{path}/child");
        soon(client.create(&child, "", CreateMode::Persistent)).await.unwrap();
    }
}

#[tokio::test]
async fn a_time_to_live_that_cannot_be_is_refused() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for ttl in [Duration::ZERO, Duration::from_millis(1 << 40)] {
        let mode = CreateMode::PersistentTtl { ttl };
        let error = soon(client.create("/ttl", "", mode)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidTtl, "{ttl:?}");
        assert_eq!(error.outcome(), Outcome::NotSent, "{ttl:?}");
    }
    assert_eq!(soon(client.exists("/ttl")).await.unwrap(), None);
}

#[tokio::test]
async fn a_parent_must_be_there() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let error = soon(client.create("/no/child", "", CreateMode::Persistent)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoNode);
    assert_eq!(error.path(), Some("/no/child"));
}

#[tokio::test]
async fn a_node_is_created_once() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for path in ["/a", "/"] {
        let _first = soon(client.create(path, "", CreateMode::Persistent)).await;
        let error = soon(client.create(path, "", CreateMode::Persistent)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NodeExists, "{path}");
    }
}

#[tokio::test]
async fn names_may_hold_any_letters() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for path in ["/größe", "/漢字", "/with space", "/a.b..c", "/..."] {
        let created = soon(client.create(path, path, CreateMode::Persistent)).await.unwrap();
        assert_eq!(created.path, path);
        let (data, _) = soon(client.get_data(path)).await.unwrap();
        assert_eq!(&data[..], path.as_bytes());
    }
    assert_eq!(soon(client.get_children("/")).await.unwrap().len(), 5);
}

#[tokio::test]
async fn nearly_a_mebibyte_of_data_comes_back_as_it_was() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let data: Vec<u8> = (0..1_000_000u32).map(|i| i.to_le_bytes()[0]).collect();
    soon(client.create("/big", &data, CreateMode::Persistent)).await.unwrap();
    let (read, stat) = soon(client.get_data("/big")).await.unwrap();
    assert!(read == data);
    assert_eq!(stat.data_length, 1_000_000);
}

#[tokio::test]
async fn a_frame_that_the_server_would_refuse_is_not_sent() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    settle(&client).await;
    let sent = wire.requests();
    let data = vec![7; FRAME_LEN_MAX];
    let error = soon(client.create("/big", &data, CreateMode::Persistent)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(error.outcome(), Outcome::NotSent);
    assert_eq!(error.path(), Some("/big"));
    assert_eq!(wire.requests(), sent);
    // The session goes on as if nothing had been asked.
    assert_eq!(soon(client.exists("/big")).await.unwrap(), None);
    assert_eq!(wire.attempts(), 1);
}

#[tokio::test]
async fn the_largest_frame_that_the_server_accepts_is_sent() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    soon(client.create("/big", "", CreateMode::Persistent)).await.unwrap();
    // Header, path, the length of the data, the version.
    let around = 8 + (4 + ground.root().len() + "/big".len()) + 4 + 4;
    let mut data = vec![7; FRAME_LEN_MAX - around];
    let stat = soon(client.set_data("/big", &data, -1)).await.unwrap();
    assert_eq!(wire.request_len_max(), FRAME_LEN_MAX);
    assert_eq!(usize::try_from(stat.data_length).unwrap(), data.len());
    data.push(7);
    let error = soon(client.set_data("/big", &data, -1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn null_data_and_empty_data_both_read_as_empty() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let mut raw = Raw::open(ground.address()).await;
    for (name, data) in [("null", None), ("empty", Some(&b""[..]))] {
        let create = CreateRequest {
            path: format!("{}/{name}", ground.root()).into(),
            data,
            acl: Some(vec![AclRecord::new(Perms::ALL, "world", "anyone")]),
            flags: 0,
        };
        raw.request(OpCode::Create, &create).await;
        let (read, stat) = soon(client.get_data(&format!("/{name}"))).await.unwrap();
        assert!(read.is_empty(), "{name}");
        assert_eq!(stat.data_length, 0, "{name}");
    }
    raw.close_session().await;
}
