//! What is known of a request whose reply never came.

use futures::future::join_all;
use znode::proto::OpCode;
use znode::{ConnectOptions, CreateMode, ErrorKind, Op, Outcome};

use crate::ground::{Ground, disconnect, expire, reach, reconnect, settle, soon};
use znode_tests::support::Wire;

const PERSISTENT: CreateMode = CreateMode::Persistent;

#[tokio::test]
async fn a_write_whose_reply_is_lost_is_unknown_and_not_sent_again() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    wire.cut_before_reply(OpCode::Create2);
    let error = soon(client.create("/a", "", PERSISTENT)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLoss);
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!((error.op(), error.path()), ("create", Some("/a")));
    assert!(!error.is_session_over());
    // This one has taken effect.
    assert!(soon(client.exists("/a")).await.unwrap().is_some());
    assert_eq!(wire.count(OpCode::Create2), 1);
}

#[tokio::test]
async fn a_write_that_never_arrived_is_unknown_too() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    wire.cut_before_arrival(OpCode::Create2);
    let error = soon(client.create("/a", "", PERSISTENT)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLoss);
    assert_eq!(error.outcome(), Outcome::Unknown);
    // This one has not.
    assert_eq!(soon(client.exists("/a")).await.unwrap(), None);
    assert_eq!(wire.count(OpCode::Create2), 0);
}

#[tokio::test]
async fn every_kind_of_write_is_sent_once() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    wire.cut_before_reply(OpCode::SetData);
    let error = soon(client.set_data("/a", "x", 0)).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    wire.cut_before_reply(OpCode::SetAcl);
    let error = soon(client.set_acl("/a", &[znode::Acl::open()], 0)).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    wire.cut_before_reply(OpCode::Multi);
    let error = soon(client.multi([Op::set_data("/a", "y", 1)])).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    let stat = soon(client.exists("/a")).await.unwrap().unwrap();
    assert_eq!((stat.version.0, stat.aversion.0), (2, 1));
    wire.cut_before_reply(OpCode::Delete);
    let error = soon(client.delete("/a", 2)).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(soon(client.exists("/a")).await.unwrap(), None);
    for op in [OpCode::SetData, OpCode::SetAcl, OpCode::Multi, OpCode::Delete] {
        assert_eq!(wire.count(op), 1, "{op:?}");
    }
}

#[tokio::test]
async fn a_read_whose_reply_is_lost_says_so() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    wire.cut_before_reply(OpCode::GetData);
    let error = soon(client.get_data("/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLoss);
    assert_eq!((error.op(), error.path()), ("get_data", Some("/")));
    assert_eq!(wire.count(OpCode::GetData), 1);
    soon(client.get_data("/")).await.unwrap();
}

#[tokio::test]
async fn what_was_in_flight_is_a_prefix_of_what_was_asked() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    soon(client.create("/p", "", PERSISTENT)).await.unwrap();
    wire.cut_before_arrival(OpCode::Delete);
    let before: Vec<_> =
        (0..20).map(|_| client.create("/p/n-", "", CreateMode::PersistentSequential)).collect();
    let cut = client.delete("/p", -1);
    let after: Vec<_> =
        (0..20).map(|_| client.create("/p/n-", "", CreateMode::PersistentSequential)).collect();
    let error = soon(cut).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    let before = soon(join_all(before)).await;
    let after = soon(join_all(after)).await;
    // Each reply that came is true; of the rest nothing is known, or nothing was sent yet.
    settle(&client).await;
    let created = soon(client.get_children("/p")).await.unwrap();
    let known = before.iter().chain(&after).filter(|reply| reply.is_ok());
    assert!(created.len() >= known.count());
    for reply in before.iter().chain(&after) {
        match reply {
            Ok(node) => {
                let name = node.path["/p/".len()..].to_owned();
                assert!(created.contains(&name));
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionLoss),
        }
    }
}

#[tokio::test]
async fn everything_in_flight_is_unknown_when_the_link_breaks() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    wire.hold_replies();
    let writes: Vec<_> = (0..10).map(|i| client.set_data("/", "x", i)).collect();
    wire.until(OpCode::SetData, 10).await;
    wire.cut();
    wire.resume();
    for error in soon(join_all(writes)).await {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionLoss);
        assert_eq!(error.outcome(), Outcome::Unknown);
    }
    soon(client.get_data("/")).await.unwrap();
    assert_eq!(wire.count(OpCode::SetData), 10);
}

#[tokio::test]
async fn what_was_never_sent_is_told_so_when_the_session_ends() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_short().await;
    disconnect(&client, &wire).await;
    let queued: Vec<_> = (0..5).map(|_| client.create("/a", "", PERSISTENT)).collect();
    let watch = client.exists_watched("/b");
    for error in soon(join_all(queued)).await {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SessionExpired);
        assert_eq!(error.outcome(), Outcome::NotSent);
        assert_eq!((error.op(), error.path()), ("create", Some("/a")));
        assert!(error.is_session_over());
    }
    let error = soon(watch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionExpired);
    assert_eq!(wire.count(OpCode::Create2), 0);
}

#[tokio::test]
async fn what_was_in_flight_when_the_session_ended_is_unknown() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_short().await;
    let mut states = client.states();
    wire.hold_replies();
    wire.refuse();
    let write = client.create("/a", "", PERSISTENT);
    wire.until(OpCode::Create2, 1).await;
    let error = soon(write).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    reach(&mut states, znode::State::Expired).await;
    let other = ground.connect().await;
    assert!(soon(other.exists("/a")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_session_that_is_over_sends_nothing() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_short().await;
    expire(&client, &wire).await;
    wire.admit();
    let (sent, attempts) = (wire.requests(), wire.attempts());
    let error = soon(client.create("/a", "", PERSISTENT)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionExpired);
    assert_eq!(error.outcome(), Outcome::NotSent);
    assert_eq!((wire.requests(), wire.attempts()), (sent, attempts));
}

#[tokio::test]
async fn a_refused_write_is_known_to_have_done_nothing() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    reconnect(&client, &wire).await;
    let error = soon(client.set_data("/", "x", 7)).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Rejected);
}

/// Were they sent on the next connection, they could take effect where those before them did not.
#[tokio::test]
async fn requests_beyond_the_bound_are_told_that_they_were_not_sent() {
    let ground = Ground::start().await;
    let wire = Wire::tcp();
    let options = ConnectOptions::new().connector(wire.clone()).in_flight_max(2);
    let client = ground.connect_with(options).await;
    wire.hold_replies();
    let mut writes: Vec<_> = (0..10).map(|i| client.set_data("/", "x", i)).collect();
    wire.until(OpCode::SetData, 2).await;
    wire.cut();
    wire.resume();
    let waiting = writes.split_off(2);
    for (writes, outcome) in [(writes, Outcome::Unknown), (waiting, Outcome::NotSent)] {
        for error in soon(join_all(writes)).await {
            let error = error.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionLoss);
            assert_eq!(error.outcome(), outcome);
        }
    }
    settle(&client).await;
    assert_eq!(wire.count(OpCode::SetData), 2);
}

#[tokio::test]
async fn requests_beyond_the_bound_are_sent_in_their_order() {
    let ground = Ground::start().await;
    let options = ConnectOptions::new().in_flight_max(3);
    let client = ground.connect_with(options).await;
    let writes: Vec<_> = (0..100).map(|i| client.set_data("/", "x", i)).collect();
    for stat in soon(join_all(writes)).await {
        stat.unwrap();
    }
}
