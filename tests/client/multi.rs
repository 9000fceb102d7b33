//! Several operations as one transaction.

use std::time::Duration;

use znode::{CreateMode, ErrorKind, Op, OpResult, Outcome, Version};

use crate::ground::{Ground, soon};

const PERSISTENT: CreateMode = CreateMode::Persistent;

#[tokio::test]
async fn a_multi_gives_its_results_in_order() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/old", "", PERSISTENT)).await.unwrap();
    let results = soon(client.multi([
        Op::create("/a", "x", PERSISTENT),
        Op::check("/old", 0),
        Op::set_data("/old", "new", 0),
        Op::delete("/old", 1),
    ]))
    .await
    .unwrap();
    assert_eq!(results.len(), 4);
    assert!(matches!(&results[0], OpResult::Created(created) if created.path == "/a"));
    assert!(matches!(results[1], OpResult::Checked));
    assert!(matches!(&results[2], OpResult::DataSet(stat) if stat.version == Version(1)));
    assert!(matches!(results[3], OpResult::Deleted));
    assert_eq!(soon(client.exists("/old")).await.unwrap(), None);
}

#[tokio::test]
async fn a_multi_that_fails_names_the_operation_that_failed() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let error = soon(client.multi([
        Op::create("/a", "", PERSISTENT),
        Op::create("/b", "", PERSISTENT),
        Op::delete("/none", -1),
        Op::create("/c", "", PERSISTENT),
    ]))
    .await
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoNode);
    assert_eq!(error.op_index(), Some(2));
    assert_eq!(error.path(), Some("/none"));
    assert_eq!(error.outcome(), Outcome::Rejected);
}

#[tokio::test]
async fn a_multi_that_fails_changes_nothing() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/a", "old", PERSISTENT)).await.unwrap();
    soon(client.multi([
        Op::set_data("/a", "new", 0),
        Op::create("/b", "", PERSISTENT),
        Op::check("/a", 0),
    ]))
    .await
    .unwrap_err();
    let (data, stat) = soon(client.get_data("/a")).await.unwrap();
    assert_eq!((&data[..], stat.version), (&b"old"[..], Version(0)));
    assert_eq!(soon(client.exists("/b")).await.unwrap(), None);
}

#[tokio::test]
async fn each_failure_in_a_multi_has_its_kind() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    soon(client.create("/a/b", "", PERSISTENT)).await.unwrap();
    soon(client.create("/e", "", CreateMode::Ephemeral)).await.unwrap();
    for (op, kind) in [
        (Op::create("/a", "", PERSISTENT), ErrorKind::NodeExists),
        (Op::create("/none/x", "", PERSISTENT), ErrorKind::NoNode),
        (Op::create("/e/x", "", PERSISTENT), ErrorKind::NoChildrenForEphemerals),
        (Op::delete("/a", -1), ErrorKind::NotEmpty),
        (Op::delete("/a/b", 3), ErrorKind::BadVersion),
        (Op::set_data("/a", "", 3), ErrorKind::BadVersion),
        (Op::check("/a", 3), ErrorKind::BadVersion),
        (Op::check("/none", -1), ErrorKind::NoNode),
    ] {
        let error = soon(client.multi([Op::check("/a", 0), op])).await.unwrap_err();
        assert_eq!((error.kind(), error.op_index()), (kind, Some(1)));
    }
}

#[tokio::test]
async fn later_operations_see_what_earlier_ones_did() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let results = soon(client.multi([
        Op::create("/p", "", PERSISTENT),
        Op::create("/p/a", "", PERSISTENT),
        Op::set_data("/p/a", "x", 0),
        Op::set_data("/p/a", "y", 1),
        Op::delete("/p/a", 2),
        Op::create("/p/n-", "", CreateMode::PersistentSequential),
    ]))
    .await
    .unwrap();
    assert!(matches!(
        results.last(),
        Some(OpResult::Created(created)) if created.path == "/p/n-0000000001"
    ));
}

#[tokio::test]
async fn everything_in_a_multi_is_one_transaction() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.multi([Op::create("/a", "", PERSISTENT), Op::create("/b", "", PERSISTENT)]))
        .await
        .unwrap();
    let a = soon(client.exists("/a")).await.unwrap().unwrap();
    let b = soon(client.exists("/b")).await.unwrap().unwrap();
    assert_eq!((a.czxid, a.ctime), (b.czxid, b.ctime));
}

#[tokio::test]
async fn an_empty_multi_does_nothing() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    assert!(soon(client.multi([])).await.unwrap().is_empty());
    soon(client.exists("/")).await.unwrap();
}

#[tokio::test]
async fn every_mode_can_be_created_in_a_multi() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let ttl = Duration::from_secs(3600);
    let modes = [
        CreateMode::Persistent,
        CreateMode::PersistentSequential,
        CreateMode::Ephemeral,
        CreateMode::EphemeralSequential,
        CreateMode::Container,
        CreateMode::PersistentTtl { ttl },
        CreateMode::PersistentSequentialTtl { ttl },
    ];
    let creates =
        modes.iter().enumerate().map(|(i, mode)| Op::create(format!("/n{i}-"), "", *mode));
    let results = soon(client.multi(creates)).await.unwrap();
    for (i, result) in results.iter().enumerate() {
        let OpResult::Created(created) = result else {
            panic!("{result:?} is no creation");
        };
        assert!(created.path.starts_with(&format!("/n{i}-")));
        let stat = soon(client.exists(&created.path)).await.unwrap().unwrap();
        let owned = matches!(modes[i], CreateMode::Ephemeral | CreateMode::EphemeralSequential);
        assert_eq!(stat.is_ephemeral(), owned, "{:?}", modes[i]);
    }
    assert_eq!(results.len(), modes.len());
}

#[tokio::test]
async fn a_check_alone_is_a_multi() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    let results = soon(client.multi([Op::check("/a", 0)])).await.unwrap();
    assert!(matches!(results[..], [OpResult::Checked]));
}

#[tokio::test]
async fn a_failed_multi_takes_no_sequence_number() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(
        client.multi([
            Op::create("/n-", "", CreateMode::PersistentSequential),
            Op::check("/none", -1),
        ]),
    )
    .await
    .unwrap_err();
    let created = soon(client.create("/n-", "", CreateMode::PersistentSequential)).await.unwrap();
    assert_eq!(created.path, "/n-0000000000");
}

#[tokio::test]
async fn a_multi_of_a_thousand_operations_is_one() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let creates = (0..1000).map(|i| Op::create(format!("/{i}"), "", PERSISTENT));
    let results = soon(client.multi(creates)).await.unwrap();
    assert_eq!(results.len(), 1000);
    let counted = soon(client.get_all_children_number("/")).await.unwrap();
    assert_eq!(counted, 1000);
}
