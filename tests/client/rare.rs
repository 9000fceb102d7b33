//! Operations that few programs need: many reads at once, and the ensemble's own configuration.

use znode::{Acl, CreateMode, ErrorKind, Outcome, ReadOp, ReadResult, Reconfig};

use crate::ground::{Ground, settle, soon};

const PERSISTENT: CreateMode = CreateMode::Persistent;

#[tokio::test]
async fn each_read_of_a_multi_read_succeeds_or_fails_for_itself() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/a", "x", PERSISTENT)).await.unwrap();
    let create = soon(client.create("/a/b", "", PERSISTENT)).await.unwrap();
    let results = soon(client.multi_read([
        ReadOp::get_data("/a"),
        ReadOp::get_data("/none"),
        ReadOp::get_children("/a"),
        ReadOp::get_children("/none"),
        ReadOp::get_data(&create.path),
    ]))
    .await
    .unwrap();
    assert_eq!(results.len(), 5);
    assert!(matches!(&results[0], Ok(ReadResult::Data(data, stat))
        if &data[..] == b"x" && stat.num_children == 1));
    assert!(matches!(&results[2], Ok(ReadResult::Children(names)) if names == &["b"]));
    assert!(matches!(&results[4], Ok(ReadResult::Data(_, stat)) if *stat == create.stat));
    for index in [1, 3] {
        let error = results[index].as_ref().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoNode);
        assert_eq!(error.op_index(), Some(index));
        assert_eq!(error.path(), Some("/none"));
    }
}

#[tokio::test]
async fn a_multi_read_of_nothing_reads_nothing() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    assert!(soon(client.multi_read([])).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_invalid_path_in_a_multi_read_is_named_before_anything_is_sent() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    settle(&client).await;
    let sent = wire.requests();
    let error = soon(client.multi_read([ReadOp::get_data("/"), ReadOp::get_children("a")]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidPath);
    assert_eq!(error.op_index(), Some(1));
    assert_eq!(error.outcome(), Outcome::NotSent);
    assert_eq!(wire.requests(), sent);
}

#[tokio::test]
async fn the_configuration_is_outside_every_chroot_and_names_the_servers_if_there_are_several() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let (config, _) = soon(client.get_config()).await.unwrap();
    let config = std::str::from_utf8(&config).unwrap();
    let among = std::env::var_os("ZNODE_TEST_CLUSTER").is_some();
    assert_eq!(config.contains("server.1="), among, "{config}");
    assert_eq!(config.is_empty(), !among);
    drop(soon(client.get_config_watched()).await.unwrap());
    settle(&client).await;
}

#[tokio::test]
async fn a_server_alone_is_not_reconfigured_and_an_ensemble_not_by_anybody() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let change = Reconfig::incremental(["server.9=localhost:1:2:observer;3"], [0; 0]);
    let error = soon(client.reconfig(&change)).await.unwrap_err();
    let among = std::env::var_os("ZNODE_TEST_CLUSTER").is_some();
    let expected = if among { ErrorKind::NoAuth } else { ErrorKind::Unimplemented };
    assert_eq!(error.kind(), expected);
    assert_eq!(error.op(), "reconfig");
    assert_eq!(error.outcome(), Outcome::Rejected);
}

#[tokio::test]
async fn the_super_user_passes_every_list() {
    let ground = Ground::start().await;
    let ann = ground.connect().await;
    soon(ann.add_auth("digest", "ann:secret")).await.unwrap();
    let create = ann.create_with_acl("/a", "x", PERSISTENT, &[Acl::creator_all()]);
    soon(create).await.unwrap();
    let root = ground.connect().await;
    soon(root.add_auth("digest", "super:secret")).await.unwrap();
    soon(root.set_data("/a", "y", 0)).await.unwrap();
    soon(root.set_acl("/a", &[Acl::open()], 0)).await.unwrap();
    let identities = soon(root.who_am_i()).await.unwrap();
    assert!(identities.iter().any(|info| info.scheme == "super"));
}
