//! Values that are followed: the present one first, never an old one last.

use futures::FutureExt;
use futures::future::join_all;
use znode::proto::OpCode;
use znode::{Client, CreateMode, ErrorKind, Stat, Version, Watched, Zxid};

use crate::ground::{Ground, disconnect, expire, readmit, reconnect, settle, soon};
use crate::sweep::sweep;

const PERSISTENT: CreateMode = CreateMode::Persistent;

/// The next value, which must come.
async fn next<T>(values: &mut Watched<T>) -> Option<T> {
    soon(values.recv()).await.expect("the stream goes on").unwrap()
}

/// The data and its transaction.
async fn next_data(values: &mut Watched<(bytes::Bytes, Stat)>) -> Option<(Vec<u8>, Zxid)> {
    next(values).await.map(|(data, stat)| (data.to_vec(), stat.mzxid))
}

/// Nothing has come, also after everything that the server had to tell has.
async fn is_silent<T>(client: &Client, values: &mut Watched<T>) -> bool {
    // The first poll reads an event that has come and asks again; the second takes the answer.
    for _ in 0..3 {
        settle(client).await;
        if values.recv().now_or_never().is_some() {
            return false;
        }
    }
    true
}

#[tokio::test]
async fn the_present_value_comes_first_then_each_that_is_waited_for() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    soon(other.create("/a", "0", PERSISTENT)).await.unwrap();
    let mut values = client.watch_data("/a");
    assert_eq!(next_data(&mut values).await.unwrap().0, b"0");
    for i in 0..10 {
        assert!(is_silent(&client, &mut values).await);
        let stat = soon(other.set_data("/a", i.to_string(), i)).await.unwrap();
        let expected = (i.to_string().into_bytes(), stat.mzxid);
        assert_eq!(next_data(&mut values).await, Some(expected));
    }
}

#[tokio::test]
async fn creation_deletion_and_re_creation_are_told() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let mut values = client.watch_data("/a");
    assert_eq!(next(&mut values).await, None);
    let first = soon(other.create("/a", "same", PERSISTENT)).await.unwrap().stat;
    assert_eq!(next(&mut values).await.unwrap().1.czxid, first.czxid);
    soon(other.delete("/a", Version::ANY)).await.unwrap();
    assert_eq!(next(&mut values).await, None);
    let second = soon(other.create("/a", "same", PERSISTENT)).await.unwrap().stat;
    assert_eq!(next(&mut values).await.unwrap().1.czxid, second.czxid);
    // A node in the place of another, with nothing seen in between.
    soon(other.delete("/a", Version::ANY)).await.unwrap();
    let third = soon(other.create("/a", "same", PERSISTENT)).await.unwrap().stat;
    loop {
        if let Some((_, stat)) = next(&mut values).await {
            assert_eq!(stat.czxid, third.czxid);
            break;
        }
    }
}

#[tokio::test]
async fn a_reconnect_costs_no_read_and_gives_no_value_unless_something_changed() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    soon(client.create("/a", "0", PERSISTENT)).await.unwrap();
    let mut data = client.watch_data("/a");
    let mut missing = client.watch_data("/b");
    let mut children = client.watch_children("/");
    next(&mut data).await.unwrap();
    assert_eq!(next(&mut missing).await, None);
    next(&mut children).await.unwrap();
    let reads = || wire.count(OpCode::GetData) + wire.count(OpCode::GetChildren2);
    let before = reads();
    for _ in 0..3 {
        reconnect(&client, &wire).await;
        assert!(is_silent(&client, &mut data).await && is_silent(&client, &mut missing).await);
        assert!(is_silent(&client, &mut children).await);
    }
    assert_eq!(reads(), before);
    disconnect(&client, &wire).await;
    soon(other.set_data("/a", "1", 0)).await.unwrap();
    soon(other.create("/b", "2", PERSISTENT)).await.unwrap();
    readmit(&client, &wire).await;
    assert_eq!(next_data(&mut data).await.unwrap().0, b"1");
    assert_eq!(next_data(&mut missing).await.unwrap().0, b"2");
    assert_eq!(next(&mut children).await.unwrap().0, ["a", "b"]);
}

#[tokio::test]
async fn children_are_told_sorted_and_only_when_they_change() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let mut children = client.watch_children("/p");
    assert_eq!(next(&mut children).await, None);
    soon(other.create("/p", "", PERSISTENT)).await.unwrap();
    assert!(next(&mut children).await.unwrap().0.is_empty());
    for name in ["c", "a", "b"] {
        soon(other.create(&format!("/p/{name}"), "", PERSISTENT)).await.unwrap();
    }
    while next(&mut children).await.unwrap().0 != ["a", "b", "c"] {}
    soon(other.set_data("/p", "x", 0)).await.unwrap();
    soon(other.set_data("/p/a", "x", 0)).await.unwrap();
    assert!(is_silent(&client, &mut children).await);
    for name in ["c", "a", "b"] {
        soon(other.delete(&format!("/p/{name}"), Version::ANY)).await.unwrap();
    }
    while !next(&mut children).await.unwrap().0.is_empty() {}
    soon(other.delete("/p", Version::ANY)).await.unwrap();
    assert_eq!(next(&mut children).await, None);
}

#[tokio::test]
async fn a_hammering_writer_and_a_flapping_link_never_leave_an_old_value() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    soon(client.create("/a", "0", PERSISTENT)).await.unwrap();
    for round in 1..=5 {
        let mut values = client.watch_data("/a");
        let mut children = client.watch_children("/");
        let writer = {
            let other = other.clone();
            tokio::spawn(async move {
                for i in 0..50 {
                    let path = format!("/{round}-{i}");
                    let made = other.create(&path, "", CreateMode::Ephemeral);
                    let put = other.set_data("/a", format!("{round}-{i}"), Version::ANY);
                    let asked = (made.await.unwrap(), put.await.unwrap());
                    if i % 10 == 5 {
                        let gone = other.delete("/a", Version::ANY);
                        let back = other.create("/a", "", PERSISTENT);
                        gone.await.unwrap();
                        back.await.unwrap();
                    }
                    drop(asked);
                }
                other.set_data("/a", format!("{round}-last"), Version::ANY).await.unwrap();
                other.create(&format!("/{round}-last"), "", PERSISTENT).await.unwrap();
            })
        };
        let flapping = async {
            for _ in 0..5 {
                wire.cut();
                wire.until_handshakes(wire.handshakes().len() + 1).await;
            }
        };
        let last = format!("{round}-last");
        let mut newest = Zxid::ZERO;
        let data = async {
            loop {
                let Some((data, stat)) = next(&mut values).await else { continue };
                assert!(stat.mzxid > newest, "an old value, or the same one again");
                newest = stat.mzxid;
                if data == last {
                    break;
                }
            }
        };
        let names = async { while !next(&mut children).await.unwrap().0.contains(&last) {} };
        tokio::join!(flapping, data, names);
        soon(writer).await.unwrap();
    }
}

#[tokio::test]
async fn a_node_that_comes_between_two_looks_is_read() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    let mut values = client.watch_data("/a");
    wire.hold_replies();
    let late = async {
        // The read has found nothing, and nobody has looked for a creation yet.
        wire.until(OpCode::GetData, 1).await;
        soon(other.create("/a", "late", PERSISTENT)).await.unwrap();
        wire.resume();
    };
    let (value, ()) = tokio::join!(next_data(&mut values), late);
    // Nothing is told, or what is there; in the end what is there.
    let value = match value {
        Some(value) => value,
        None => next_data(&mut values).await.unwrap(),
    };
    assert_eq!(value.0, b"late");
    assert!(is_silent(&client, &mut values).await);
    drop(values);
    settle(&client).await;
    reconnect(&client, &wire).await;
    assert_eq!(wire.count(OpCode::SetWatches), 0);
}

#[tokio::test]
async fn a_slow_subscriber_is_spared_what_is_old_already() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    let mut values = client.watch_data("/a");
    next(&mut values).await.unwrap();
    let writes: Vec<_> =
        (0..100).map(|i| client.set_data("/a", i.to_string(), Version::ANY)).collect();
    assert!(soon(join_all(writes)).await.iter().all(Result::is_ok));
    assert_eq!(next_data(&mut values).await.unwrap().0, b"99");
    assert_eq!((wire.notifications(), wire.count(OpCode::GetData)), (1, 2));
}

#[tokio::test]
async fn the_end_of_the_session_and_refusals_are_told_and_end_the_stream() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_short().await;
    let mut values = client.watch_data("/a");
    let mut children = client.watch_children("/");
    assert_eq!(next(&mut values).await, None);
    next(&mut children).await.unwrap();
    let mut invalid = client.watch_data("a");
    let error = soon(invalid.recv()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidPath);
    assert!(soon(invalid.recv()).await.is_none());
    expire(&client, &wire).await;
    for ended in
        [soon(values.recv()).await.map(drop_value), soon(children.recv()).await.map(drop_value)]
    {
        assert_eq!(ended, Some(Err(ErrorKind::SessionExpired)));
    }
    assert!(soon(values.recv()).await.is_none() && soon(children.recv()).await.is_none());
}

fn drop_value<T>(result: Result<Option<T>, znode::Error>) -> Result<(), ErrorKind> {
    result.map(drop).map_err(|error| error.kind())
}

#[tokio::test]
async fn a_dropped_stream_leaves_no_watch_wherever_it_stood() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    for path in ["/", "/none"] {
        for taken in 0..3 {
            let (client, wire) = ground.connect_wired().await;
            let mut values = client.watch_data(path);
            for _ in 0..taken {
                // The second of them waits, and is given up.
                drop(values.recv().now_or_never());
                settle(&client).await;
            }
            drop(values);
            settle(&client).await;
            reconnect(&client, &wire).await;
            settle(&client).await;
            assert_eq!(wire.count(OpCode::SetWatches), 0, "{path} {taken}");
        }
    }
    drop(other);
}

#[tokio::test]
async fn removing_the_watches_of_a_path_does_not_blind_who_follows_it() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/a", "0", PERSISTENT)).await.unwrap();
    let mut values = client.watch_data("/a");
    next(&mut values).await.unwrap();
    soon(client.remove_watches("/a", znode::WatcherType::Any)).await.unwrap();
    assert!(is_silent(&client, &mut values).await);
    soon(client.set_data("/a", "1", 0)).await.unwrap();
    assert_eq!(next_data(&mut values).await.unwrap().0, b"1");
}

#[tokio::test]
async fn a_stream_can_be_given_up_at_every_await() {
    let ground = Ground::start().await;
    let maker = ground.connect().await;
    soon(maker.create("/a", "", PERSISTENT)).await.unwrap();
    let ops = [OpCode::GetData, OpCode::Exists, OpCode::GetChildren2];
    let make = |client: Client| async move {
        let mut data = client.watch_data("/a");
        let mut missing = client.watch_data("/none");
        let mut children = client.watch_children("/");
        assert!(data.recv().await.unwrap()?.is_some());
        assert!(missing.recv().await.unwrap()?.is_none());
        children.recv().await.unwrap()?;
        client.until_answered(|| client.set_data("/a", "x", Version::ANY)).await?;
        data.recv().await.unwrap()
    };
    sweep(&ground, &ops, make, async |_, output| {
        if let Some(last) = output {
            assert_eq!(last.unwrap().unwrap().0, "x");
        }
        soon(maker.set_data("/a", "", Version::ANY)).await.unwrap();
    })
    .await;
}
