//! What a holder can write, and a former holder cannot.

use znode::proto::OpCode;
use znode::{Acl, CreateMode, ErrorKind, Op, OpResult, Outcome, Version};
use znode_recipes::{LockErrorKind, Mutex};

use crate::ground::{Ground, LOCK, delete, soon};

const PERSISTENT: CreateMode = CreateMode::Persistent;

#[tokio::test]
async fn the_holder_writes() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let writer = guard.client();
    let created = soon(writer.create("/a", "1", PERSISTENT)).await.unwrap();
    assert_eq!(created.path, "/a");
    let sequential = writer.create("/a/n-", "", CreateMode::PersistentSequential);
    assert_eq!(soon(sequential).await.unwrap().path, "/a/n-0000000000");
    let open = [Acl::open()];
    soon(writer.create_with_acl("/b", "", PERSISTENT, &open)).await.unwrap();
    let stat = soon(writer.set_data("/a", "2", 0)).await.unwrap();
    assert_eq!(stat.version, Version(1));
    soon(writer.delete("/b", Version::ANY)).await.unwrap();
    let results = soon(writer.multi([
        Op::check("/a", 1),
        Op::set_data("/a", "3", 1),
        Op::delete("/a/n-0000000000", Version::ANY),
    ]));
    let results = results.await.unwrap();
    assert!(
        matches!(&results[..], [OpResult::Checked, OpResult::DataSet(_), OpResult::Deleted]),
        "{results:?}"
    );
    assert_eq!(soon(writer.multi([])).await.unwrap(), []);
    let (data, stat) = soon(client.get_data("/a")).await.unwrap();
    assert_eq!((&data[..], stat.num_children), (&b"3"[..], 0));
    guard.release().await.unwrap();
}

#[tokio::test]
async fn what_the_client_meets_is_told_as_it_is() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let writer = guard.client();
    let error = soon(writer.set_data("/none", "", Version::ANY)).await.unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::Client, "a missing node is not a missing lock");
    assert_eq!(error.client_error().unwrap().kind(), ErrorKind::NoNode);
    assert_eq!((error.op_index(), error.outcome()), (Some(0), Outcome::Rejected));
    let ops = [Op::create("/a", "", PERSISTENT), Op::create("/a", "", PERSISTENT)];
    let error = soon(writer.multi(ops)).await.unwrap_err();
    assert_eq!(error.client_error().unwrap().kind(), ErrorKind::NodeExists);
    assert_eq!(error.op_index(), Some(1));
    let error = soon(writer.delete("not a path", Version::ANY)).await.unwrap_err();
    assert_eq!(error.client_error().unwrap().kind(), ErrorKind::InvalidPath);
    assert_eq!((error.op_index(), error.outcome()), (Some(0), Outcome::NotSent));
    guard.release().await.unwrap();
}

#[tokio::test]
async fn a_former_holder_whose_node_was_deleted_changes_nothing() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    soon(client.create("/a", "before", PERSISTENT)).await.unwrap();
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let writer = guard.client();
    delete(&other, guard.path()).await.unwrap();
    // Whether the guard knows by now does not matter.
    let error = soon(writer.set_data("/a", "after", Version::ANY)).await.unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::LockLost);
    assert_eq!(error.op_index(), None);
    assert_ne!(error.outcome(), Outcome::Unknown);
    let error = soon(writer.create("/b", "", PERSISTENT)).await.unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::LockLost);
    let error = soon(writer.delete("/a", Version::ANY)).await.unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::LockLost);
    let error = soon(writer.multi([])).await.unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::LockLost);
    let (data, stat) = soon(other.get_data("/a")).await.unwrap();
    assert_eq!((&data[..], stat.version), (&b"before"[..], Version(0)));
    assert_eq!(soon(other.exists("/b")).await.unwrap(), None);
}

#[tokio::test]
async fn a_write_that_arrives_late_changes_nothing() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    soon(client.create("/a", "before", PERSISTENT)).await.unwrap();
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let other = ground.connect().await;
    wire.stall();
    let write = guard.client().set_data("/a", "after", Version::ANY);
    delete(&other, guard.path()).await.unwrap();
    let next = soon(Mutex::new(&other, LOCK).lock()).await.unwrap();
    soon(next.client().set_data("/a", "next", Version::ANY)).await.unwrap();
    wire.resume();
    assert_eq!(soon(write).await.unwrap_err().kind(), LockErrorKind::LockLost);
    let (data, _) = soon(other.get_data("/a")).await.unwrap();
    assert_eq!(&data[..], b"next");
}

#[tokio::test]
async fn fact_04_a_guarded_write_after_the_loss_fails_and_changes_nothing() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    ground.end_session(&client, &wire).await;
    soon(guard.lost()).await;
    let error = soon(guard.client().create("/a", "", PERSISTENT)).await.unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::LockLost);
    assert!(error.is_session_over());
    let other = ground.connect().await;
    assert_eq!(soon(other.exists("/a")).await.unwrap(), None);
}

#[tokio::test]
async fn a_guarded_client_outlives_its_guard_and_writes_no_more() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let mutex = Mutex::new(&client, LOCK);
    let guard = soon(mutex.lock()).await.unwrap();
    let writer = guard.client();
    guard.release().await.unwrap();
    // Nor while the same client holds the same lock again.
    let again = soon(mutex.lock()).await.unwrap();
    let error = soon(writer.create("/a", "", PERSISTENT)).await.unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::LockLost);
    soon(again.client().create("/a", "", PERSISTENT)).await.unwrap();
    drop(again);
}

#[tokio::test]
async fn a_note_in_the_lock_node_does_not_stop_its_holder() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    soon(client.set_data(guard.path(), "a note", Version::ANY)).await.unwrap();
    soon(guard.client().create("/a", "", PERSISTENT)).await.unwrap();
    guard.release().await.unwrap();
}

#[tokio::test]
async fn a_guarded_write_whose_reply_is_lost_is_unknown() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    wire.cut_before_reply(OpCode::Multi);
    let error = soon(guard.client().create("/a", "", PERSISTENT)).await.unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::Client);
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(wire.count(OpCode::Multi), 1, "it is not sent again");
    guard.release().await.unwrap();
}
