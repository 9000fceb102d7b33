//! How long an answer is waited for, and what is known when that time is over.

use std::time::Duration;

use futures::StreamExt;
use znode::proto::OpCode;
use znode::{CreateMode, ErrorKind, Outcome, Parents, Version};

use crate::ground::{Ground, disconnect, readmit, reconnect, settle, soon};
use crate::sweep::nothing_protected;

const PERSISTENT: CreateMode = CreateMode::Persistent;
const SOON: Duration = Duration::from_millis(20);
const LATER: Duration = Duration::from_secs(60);

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_unknown_and_its_request_stays() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    wire.hold_replies();
    let error = soon(client.create("/a", "", PERSISTENT).timeout(SOON)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::Unknown));
    assert_eq!((error.op(), error.path()), ("create", Some("/a")));
    assert!(!error.is_session_over() && !error.is_safe_to_retry());
    wire.resume();
    assert!(soon(client.exists("/a").timeout(LATER)).await.unwrap().is_some());
    assert_eq!(wire.count(OpCode::Create2), 1);
}

#[tokio::test]
async fn what_was_not_written_yet_is_not_withdrawn_either() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    disconnect(&client, &wire).await;
    let create = client.create("/a", "", PERSISTENT).timeout(SOON);
    let behind = client.set_data("/a", "x", 0);
    let error = soon(create).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::Unknown));
    readmit(&client, &wire).await;
    soon(behind).await.unwrap();
}

#[tokio::test]
async fn what_was_refused_is_told_at_once_and_was_not_sent() {
    let ground = Ground::start().await;
    let client = ground.connect().await.with_deadline(LATER);
    let error = soon(client.get_data("a").timeout(LATER)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::InvalidPath, Outcome::NotSent));
}

#[tokio::test]
async fn a_deadline_of_a_handle_holds_for_each_of_its_requests_alone() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let hasty = client.with_deadline(SOON);
    soon(hasty.with_deadline(LATER).get_data("/")).await.unwrap();
    wire.hold_replies();
    let (patient, told_otherwise) = (client.get_data("/"), hasty.get_data("/").timeout(LATER));
    let unbounded = hasty.without_deadline().get_data("/");
    let error = soon(hasty.get_data("/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    wire.resume();
    for answer in [patient, told_otherwise, unbounded] {
        soon(answer).await.unwrap();
    }
}

#[tokio::test]
async fn a_read_that_is_given_up_leaves_no_watch() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    wire.hold_replies();
    let mut read = client.exists_watched("/a").timeout(SOON);
    let error = soon(&mut read).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    wire.resume();
    wire.until(OpCode::RemoveWatches, 1).await;
    settle(&client).await;
    reconnect(&client, &wire).await;
    settle(&client).await;
    assert_eq!(wire.count(OpCode::SetWatches), 0);
    drop(read);
}

#[tokio::test]
async fn an_answer_that_is_there_is_taken_whatever_the_time() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let read = client.get_data("/").timeout(Duration::ZERO);
    settle(&client).await;
    soon(read).await.unwrap();
}

#[tokio::test]
async fn what_is_made_of_several_requests_stops_at_the_first_that_is_late() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let hasty = client.with_deadline(SOON);
    wire.hold_replies();
    let error = soon(hasty.ensure_path("/a/b", Parents::Persistent)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    // What it would leave is cleaned up all the same, however long that takes.
    let error = soon(hasty.create_protected("/p", "", PERSISTENT)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::Unknown));
    let mut values = hasty.watch_data("/v");
    let first = async { values.next().await };
    tokio::pin!(first);
    assert!(tokio::time::timeout(2 * SOON, &mut first).await.is_err());
    wire.resume();
    assert!(soon(first).await.unwrap().unwrap().is_none());
    wire.until(OpCode::Delete, 1).await;
    nothing_protected(&client, "/").await;
    soon(client.create("/v", "", PERSISTENT)).await.unwrap();
    soon(client.delete("/v", Version::ANY)).await.unwrap();
}
