//! Writes whose reply is lost: made once, found again, or told to be unknown.

use znode::proto::OpCode;
use znode::{Client, ConnectOptions, CreateMode, ErrorKind, Op, Outcome, SessionId, Version, path};

use crate::ground::{Ground, disconnect, expire, is_pending, soon};
use crate::sweep::{nothing_protected, sweep};
use znode_testing::{InstanceSpec, TestingServer};
use znode_tests::support::Wire;

const PERSISTENT: CreateMode = CreateMode::Persistent;
const EPHEMERAL: CreateMode = CreateMode::Ephemeral;
const MODES: [CreateMode; 4] =
    [PERSISTENT, EPHEMERAL, CreateMode::PersistentSequential, CreateMode::EphemeralSequential];
const CUTS: [fn(&Wire, OpCode); 2] = [Wire::cut_before_reply, Wire::cut_before_arrival];

async fn names(client: &Client) -> Vec<String> {
    soon(client.get_children("/")).await.unwrap()
}

#[tokio::test]
async fn a_protected_node_is_made_once_in_every_mode_whatever_is_lost() {
    let ground = Ground::start().await;
    for mode in MODES {
        for cut in CUTS {
            let (client, wire) = ground.connect_wired().await;
            cut(&wire, OpCode::Create2);
            let created = soon(client.create_protected("/job-", "x", mode)).await.unwrap();
            let name = path::name(&created.path);
            assert!(name.starts_with("_c_") && name[40..].starts_with("job-"), "{name}");
            assert_eq!(path::sequence(name).is_some(), mode.is_sequential());
            assert_eq!(names(&client).await, [name]);
            let owner = if mode.is_ephemeral() { client.session_id() } else { SessionId::NONE };
            assert_eq!(created.stat.ephemeral_owner, owner);
            soon(client.delete(&created.path, Version::ANY)).await.unwrap();
        }
    }
}

/// CURATOR-498 and CURATOR-604: equal seeds draw equal GUIDs.
#[tokio::test]
async fn a_node_with_our_guid_that_belongs_to_another_session_is_not_ours() {
    let ground = Ground::start().await;
    let twin = |wire: &Wire| ConnectOptions::new().seed(7).connector(wire.clone());
    for mode in [EPHEMERAL, CreateMode::EphemeralSequential] {
        let (wire, theirs) = (Wire::tcp(), Wire::tcp());
        let client = ground.connect_with(twin(&wire)).await;
        let other = ground.connect_with(twin(&theirs)).await;
        let name = other.protected_name("a");
        let foreign = soon(other.create(&format!("/{name}"), "", mode)).await.unwrap();
        wire.cut_before_arrival(OpCode::Create2);
        match soon(client.create_protected("/a", "", mode)).await {
            Ok(created) => {
                assert_ne!(created.path, foreign.path);
                assert_eq!(created.stat.ephemeral_owner, client.session_id());
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::NodeExists),
        }
        soon(client.close()).await.unwrap();
        assert_eq!(names(&other).await, [path::name(&foreign.path)]);
        soon(other.close()).await.unwrap();
    }
}

#[tokio::test]
async fn a_protected_node_whose_session_ends_meanwhile_is_unknown() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_short().await;
    wire.cut_before_reply(OpCode::Create2);
    wire.refuse();
    let error = soon(client.create_protected("/a", "", PERSISTENT)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::SessionExpired, Outcome::Unknown));
    assert_eq!(error.op(), "create");
    assert!(error.path().unwrap().starts_with("/_c_"));
}

#[tokio::test]
async fn what_is_not_proven_when_the_session_ends_is_unknown() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    soon(other.create("/w", "", PERSISTENT)).await.unwrap();
    let stat = soon(other.create("/a", "", PERSISTENT)).await.unwrap().stat;
    for op in [OpCode::Create2, OpCode::SetData, OpCode::Multi, OpCode::Delete] {
        let (client, wire) = ground.connect_short().await;
        wire.cut_before_reply(op);
        wire.refuse();
        let error = match op {
            OpCode::Create2 => soon(client.create_proven("/e", "", EPHEMERAL)).await.unwrap_err(),
            OpCode::SetData => soon(client.set_data_proven("/a", "", &stat)).await.unwrap_err(),
            OpCode::Multi => soon(client.multi_proven([], "/w")).await.unwrap_err(),
            _ => soon(client.delete_guaranteed("/a")).await.unwrap_err(),
        };
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::SessionExpired, Outcome::Unknown));
        assert!(error.op() != "sync" && error.path().unwrap().len() > 1, "{error}");
    }
}

#[tokio::test]
async fn a_protected_create_can_be_given_up_at_every_await() {
    let ground = Ground::start().await;
    for mode in [CreateMode::EphemeralSequential, PERSISTENT] {
        let ops = [OpCode::Create2, OpCode::GetChildren, OpCode::Exists];
        let make = |client: Client| async move { client.create_protected("/n-", "", mode).await };
        sweep(&ground, &ops, make, async |other, output| {
            if let Some(created) = output {
                let path = created.unwrap().path;
                soon(other.delete(&path, Version::ANY)).await.unwrap();
            }
            nothing_protected(other, "/").await;
        })
        .await;
    }
}

/// A server whose frame limit is lower than the client's answers by closing the connection, which
/// is a lost reply each time.
#[tokio::test]
async fn what_a_server_closes_the_connection_at_is_not_asked_for_for_ever() {
    let spec = InstanceSpec::new().frame_len_max(16 << 10);
    let server = TestingServer::start_with(spec).await.unwrap();
    let client = server.connect().await.unwrap();
    let big = vec![b'x'; 32 << 10];
    let lost = [
        soon(client.create_proven("/big", &big, PERSISTENT)).await.map(drop),
        soon(client.create_proven("/big", &big, EPHEMERAL)).await.map(drop),
        soon(client.multi_proven([Op::create("/big", &big, PERSISTENT)], "/")).await.map(drop),
    ];
    soon(client.create("/big", "small", PERSISTENT)).await.unwrap();
    let (_, read) = soon(client.get_data("/big")).await.unwrap();
    let written = soon(client.set_data_proven("/big", &big, &read)).await.map(drop);
    for result in lost.into_iter().chain([written]) {
        let error = result.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::ConnectionLoss, Outcome::Unknown));
    }
    assert_eq!(&soon(client.get_data("/big")).await.unwrap().0[..], b"small");
    assert!(names(&client).await.iter().all(|name| ["big", "zookeeper"].contains(&&**name)));
}

#[tokio::test]
async fn an_ephemeral_node_is_proven_by_its_owner() {
    let ground = Ground::start().await;
    for cut in CUTS {
        let (client, wire) = ground.connect_wired().await;
        cut(&wire, OpCode::Create2);
        let created = soon(client.create_proven("/a", "x", EPHEMERAL)).await.unwrap();
        assert_eq!(created.stat.ephemeral_owner, client.session_id());
        // What is there already was not made by a later call, though it is ours, too.
        cut(&wire, OpCode::Create2);
        let error = soon(client.create_proven("/a", "x", EPHEMERAL)).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::NodeExists, Outcome::Rejected));
        soon(client.close()).await.unwrap();
    }
}

#[tokio::test]
async fn a_persistent_node_that_may_be_somebody_elses_is_not_claimed() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    wire.cut_before_arrival(OpCode::Create2);
    assert_eq!(soon(client.create_proven("/a", "x", PERSISTENT)).await.unwrap().path, "/a");
    wire.cut_before_reply(OpCode::Create2);
    let error = soon(client.create_proven("/b", "x", PERSISTENT)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::ConnectionLoss, Outcome::Unknown));
    let mode = CreateMode::PersistentSequential;
    let error = soon(client.create_proven("/c", "x", mode)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::BadArguments, Outcome::NotSent));
}

#[tokio::test]
async fn a_write_is_refused_repeated_or_unknown_as_the_node_shows() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    let read = soon(client.create("/a", "0", PERSISTENT)).await.unwrap().stat;
    // Nobody has written it: it is asked for again.
    wire.cut_before_arrival(OpCode::SetData);
    let read = soon(client.set_data_proven("/a", "1", &read)).await.unwrap();
    assert_eq!(read.version, Version(1));
    // It was written with our data, perhaps by us.
    wire.cut_before_reply(OpCode::SetData);
    let error = soon(client.set_data_proven("/a", "2", &read)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::ConnectionLoss, Outcome::Unknown));
    // It was written with other data: not by us.
    let (_, read) = soon(client.get_data("/a")).await.unwrap();
    soon(other.set_data("/a", "theirs", read.version)).await.unwrap();
    wire.cut_before_reply(OpCode::SetData);
    let error = soon(client.set_data_proven("/a", "3", &read)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::BadVersion, Outcome::Rejected));
    // It was written with our data, but before we asked.
    let (_, read) = soon(client.get_data("/a")).await.unwrap();
    soon(other.set_data("/a", "4", read.version)).await.unwrap();
    soon(client.sync("/")).await.unwrap();
    soon(client.exists("/")).await.unwrap();
    wire.cut_before_reply(OpCode::SetData);
    let error = soon(client.set_data_proven("/a", "4", &read)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::BadVersion, Outcome::Rejected));
}

#[tokio::test]
async fn a_node_made_anew_proves_nothing_of_the_old_one() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let read = soon(client.create("/a", "0", PERSISTENT)).await.unwrap().stat;
    soon(client.delete("/a", Version::ANY)).await.unwrap();
    soon(client.create("/a", "0", PERSISTENT)).await.unwrap();
    wire.cut_before_arrival(OpCode::SetData);
    let error = soon(client.set_data_proven("/a", "1", &read)).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
}

#[tokio::test]
async fn a_witnessed_transaction_takes_effect_once_whatever_is_lost() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    soon(other.create("/a", "0", PERSISTENT)).await.unwrap();
    soon(other.create("/w", "", PERSISTENT)).await.unwrap();
    for (version, cut) in (0..).zip(CUTS) {
        let (client, wire) = ground.connect_wired().await;
        cut(&wire, OpCode::Multi);
        let ops = [Op::set_data("/a", "same", Version::ANY)];
        let zxid = soon(client.multi_proven(ops, "/w")).await.unwrap();
        let stat = soon(client.exists("/a")).await.unwrap().unwrap();
        assert_eq!((stat.version, stat.mzxid), (Version(version + 1), zxid));
        nothing_protected(&other, "/w").await;
    }
    let error = soon(other.multi_proven([], "/none")).await.unwrap_err();
    assert_eq!((error.kind(), error.op_index()), (ErrorKind::NoNode, Some(0)));
    let error = soon(other.multi_proven([Op::check("/a", 9)], "/w")).await.unwrap_err();
    assert_eq!((error.kind(), error.op_index()), (ErrorKind::BadVersion, Some(0)));
}

#[tokio::test]
async fn a_witnessed_transaction_can_be_given_up_at_every_await() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/w", "", PERSISTENT)).await.unwrap();
    let make = |client: Client| async move {
        client.multi_proven([Op::create("/a", "", PERSISTENT)], "/w").await
    };
    sweep(&ground, &[OpCode::Multi, OpCode::Exists], make, async |other, output| {
        let is_complete = output.is_some();
        if let Some(done) = output {
            done.unwrap();
        }
        nothing_protected(other, "/w").await;
        let deleted = soon(other.delete("/a", Version::ANY)).await;
        assert!(deleted.is_ok() || !is_complete);
    })
    .await;
}

#[tokio::test]
async fn a_guaranteed_deletion_outlives_its_future_and_the_connection() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    for cut in CUTS {
        for is_dropped in [false, true] {
            soon(other.create("/a", "", PERSISTENT)).await.unwrap();
            let (_, gone) = soon(other.exists_watched("/a")).await.unwrap();
            let (client, wire) = ground.connect_wired().await;
            cut(&wire, OpCode::Delete);
            let deleted = client.delete_guaranteed("/a");
            // The task holds the session open until it is done.
            drop(client);
            if is_dropped {
                drop(deleted);
            } else {
                soon(deleted).await.unwrap();
            }
            soon(gone).await.unwrap();
            wire.until(OpCode::CloseSession, 1).await;
        }
    }
}

/// Where too many requests wait already, it waits as well, and is not given up.
#[tokio::test]
async fn a_guaranteed_deletion_is_not_lost_where_too_much_waits() {
    let ground = Ground::start().await;
    let wire = Wire::tcp();
    let options = ConnectOptions::new().waiting_max(1).connector(wire.clone());
    let client = ground.connect_with(options).await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    disconnect(&client, &wire).await;
    let waiting = client.get_data("/a");
    let refused = soon(client.get_data("/a")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    let mut deleted = Box::pin(client.delete_guaranteed("/a"));
    assert!(is_pending(&mut deleted));
    wire.admit();
    soon(waiting).await.unwrap();
    soon(deleted).await.unwrap();
    assert_eq!(soon(client.exists("/a")).await.unwrap(), None);
}

#[tokio::test]
async fn a_guaranteed_deletion_passes_on_a_refusal() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_short().await;
    let error = soon(client.delete_guaranteed("/a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoNode);
    let error = soon(client.delete_guaranteed("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidPath);
    expire(&client, &wire).await;
    let error = soon(client.delete_guaranteed("/a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionExpired);
}

#[tokio::test]
async fn a_counter_that_all_update_counts_each_of_them() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/n", "0", PERSISTENT)).await.unwrap();
    let mut tasks = Vec::new();
    for _ in 0..6 {
        let client = ground.connect().await;
        tasks.push(tokio::spawn(async move {
            for _ in 0..10 {
                let next = |data: &bytes::Bytes| {
                    let n: u32 = std::str::from_utf8(data).unwrap().parse().unwrap();
                    (n + 1).to_string()
                };
                client.update("/n", next).await.unwrap();
            }
        }));
    }
    for task in tasks {
        soon(task).await.unwrap();
    }
    let (data, stat) = soon(client.get_data("/n")).await.unwrap();
    assert_eq!((&data[..], stat.version), (&b"60"[..], Version(60)));
    let error = soon(client.update("/none", bytes::Bytes::clone)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoNode);
}

#[tokio::test]
async fn an_update_that_is_always_too_late_gives_up() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    soon(client.create("/n", "", PERSISTENT)).await.unwrap();
    // A write that is in line before ours, each time.
    let late = client.update("/n", |_| {
        drop(client.set_data("/n", "", Version::ANY));
        ""
    });
    let error = soon(late).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::BadVersion, Outcome::Rejected));
    assert_eq!(wire.count(OpCode::SetData), 200);
}

#[tokio::test]
async fn updates_and_stores_can_be_given_up_at_every_await() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/n", "0", PERSISTENT)).await.unwrap();
    let ops = [OpCode::SetData, OpCode::GetData];
    let make = |client: Client| async move { client.update("/n", |_| "x").await };
    sweep(&ground, &ops, make, async |_, output| {
        if let Some(Err(error)) = output {
            assert_eq!(error.outcome(), Outcome::Unknown);
        }
    })
    .await;
    let make = |client: Client| async move { client.create_or_set("/n", "x", PERSISTENT).await };
    sweep(&ground, &[OpCode::SetData], make, async |_, _| {}).await;
    let make = |client: Client| async move { client.create_proven("/e", "x", EPHEMERAL).await };
    sweep(&ground, &[OpCode::Create2, OpCode::Exists], make, async |_, _| {}).await;
    let make = |client: Client| async move {
        let (_, read) = client.until_answered(|| client.get_data("/n")).await?;
        client.set_data_proven("/n", "x", &read).await
    };
    sweep(&ground, &ops, make, async |_, _| {}).await;
}
