//! Readers and writers: who holds beside whom, and how one becomes the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use znode::proto::OpCode;
use znode::{Client, CreateMode, Op, Version};
use znode_recipes::{
    Layout, LockErrorKind, LockOptions, LostReason, Mode, ReadGuard, ReadWriteLock, Upgrade,
    WriteGuard,
};

use crate::ground::{
    Ground, LOCK, children_are, contenders, delete, drop_at, is_pending, make_lock, soon,
};
use znode_tests::support::Wire;

fn lock(client: &Client) -> ReadWriteLock {
    ReadWriteLock::new(client, LOCK)
}

/// A node as another client would make it.
async fn contend(client: &Client, prefix: &str) -> String {
    let path = format!("{LOCK}/{prefix}");
    soon(client.create(&path, "", CreateMode::EphemeralSequential)).await.unwrap().path
}

async fn upgraded(reader: ReadGuard) -> WriteGuard {
    match soon(reader.try_upgrade()).await.unwrap() {
        Upgrade::Done(writer) => writer,
        Upgrade::Refused(_) => panic!("somebody else reads"),
    }
}

async fn refused(reader: ReadGuard) -> ReadGuard {
    match soon(reader.try_upgrade()).await.unwrap() {
        Upgrade::Refused(reader) => reader,
        Upgrade::Done(_) => panic!("it writes beside a reader"),
    }
}

#[tokio::test]
async fn readers_hold_together_and_a_writer_alone() {
    let ground = Ground::start().await;
    let (one, other) = (ground.connect().await, ground.connect().await);
    let readers =
        [soon(lock(&one).read()).await.unwrap(), soon(lock(&other).read()).await.unwrap()];
    assert!(readers[1].token() > readers[0].token());
    assert_eq!((readers[0].mode(), readers[0].sequencer().mode()), (Mode::Shared, Mode::Shared));
    assert!(soon(lock(&one).try_write()).await.unwrap().is_none());
    let mut writer = tokio::spawn(lock(&other).write());
    children_are(&one, 3).await;
    for reader in readers {
        assert!(is_pending(&mut writer));
        soon(reader.release()).await.unwrap();
    }
    let writer = soon(writer).await.unwrap().unwrap();
    assert_eq!(writer.mode(), Mode::Exclusive);
    assert!(soon(lock(&one).try_read()).await.unwrap().is_none());
    assert!(soon(lock(&one).try_write()).await.unwrap().is_none());
    assert!(soon(lock(&one).read_timeout(Duration::from_millis(5))).await.unwrap().is_none());
    assert!(soon(lock(&one).write_timeout(Duration::ZERO)).await.unwrap().is_none());
    soon(writer.release()).await.unwrap();
    drop(soon(lock(&one).write_timeout(Duration::MAX)).await.unwrap().unwrap());
    drop(soon(lock(&one).read_timeout(Duration::MAX)).await.unwrap().unwrap());
    ground.nothing_left().await;
}

#[tokio::test]
async fn nodes_are_named_as_curator_names_them() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let reader = soon(lock(&client).read()).await.unwrap();
    assert!(reader.path().ends_with("-__READ__0000000000"), "{}", reader.path());
    soon(reader.release()).await.unwrap();
    let writer = soon(lock(&client).write()).await.unwrap();
    assert!(writer.path().ends_with("-__WRIT__0000000001"), "{}", writer.path());
    let stat = soon(client.exists(writer.path())).await.unwrap().unwrap();
    assert_eq!((stat.ephemeral_owner, stat.czxid), (client.session_id(), writer.token()));
    let reader = soon(writer.downgrade()).await.unwrap();
    // The same number: it keeps the place.
    assert!(reader.path().ends_with("-__READ__0000000001"), "{}", reader.path());
    assert_eq!(reader.token(), stat.czxid);
    let participants = soon(lock(&client).participants()).await.unwrap();
    assert_eq!(participants, [(Mode::Shared, reader.path().to_owned())]);
}

#[tokio::test]
async fn those_of_kazoo_are_waited_for() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    make_lock(&client).await;
    let hex = "0f3a5cdd23f14a94ae1b8b2a52ae3ee0";
    let reads = contend(&client, &format!("{hex}__rlock__")).await;
    drop(soon(lock(&client).try_read()).await.unwrap().unwrap());
    assert!(soon(lock(&client).try_write()).await.unwrap().is_none());
    let writes = contend(&client, &format!("{hex}__lock__")).await;
    assert!(soon(lock(&client).try_read()).await.unwrap().is_none());
    delete(&client, &writes).await.unwrap();
    delete(&client, &reads).await.unwrap();
    let options = LockOptions::new().layout(Layout::Kazoo);
    let writer = soon(lock(&client).with_options(options).write()).await.unwrap();
    assert!(writer.path().contains("__lock__00000000"), "{}", writer.path());
    let reader = soon(writer.downgrade()).await.unwrap();
    assert!(reader.path().contains("__rlock__00000000"), "{}", reader.path());
    drop(upgraded(reader).await);
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_release_of_a_writer_wakes_the_readers_behind_it_and_nobody_else() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let writer = soon(lock(&client).write()).await.unwrap();
    let mut waiters = Vec::new();
    for mode in [Mode::Shared, Mode::Shared, Mode::Exclusive, Mode::Shared] {
        let (client, wire) = ground.connect_wired().await;
        let waiter = match mode {
            Mode::Shared => tokio::spawn(async move { lock(&client).read().await.map(drop) }),
            Mode::Exclusive => tokio::spawn(async move { lock(&client).write().await.map(drop) }),
        };
        wire.until(OpCode::GetData, 1).await;
        waiters.push((waiter, wire));
    }
    let told = |at: usize, waiters: &[(_, Wire)]| waiters[at].1.notifications();
    soon(writer.release()).await.unwrap();
    for (waiter, _) in &mut waiters {
        soon(waiter).await.unwrap().unwrap();
    }
    ground.nothing_left().await;
    // The third waited for the second reader, which may have left before the first one did.
    let notified: Vec<_> = (0..4).map(|at| told(at, &waiters)).collect();
    assert_eq!([notified[0], notified[1], notified[3]], [1, 1, 1], "{notified:?}");
    assert!(notified[2] <= 2, "{notified:?}");
}

/// kazoo's read lock counted writers that came later, and waited for ever.
#[tokio::test]
async fn kazoo_649_a_reader_does_not_wait_for_later_writers() {
    let ground = Ground::start().await;
    let (one, other) = (ground.connect().await, ground.connect().await);
    let first = soon(lock(&one).write()).await.unwrap();
    let reader = tokio::spawn(lock(&one).read());
    children_are(&one, 2).await;
    let mut writer = tokio::spawn(lock(&other).write());
    children_are(&one, 3).await;
    soon(first.release()).await.unwrap();
    let reader = soon(reader).await.unwrap().unwrap();
    assert!(is_pending(&mut writer));
    drop(reader);
    drop(soon(writer).await.unwrap().unwrap());
    ground.nothing_left().await;
}

/// Nobody passes anybody: a writer that waits keeps later readers waiting.
#[tokio::test]
async fn nobody_starves() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let first = soon(lock(&client).read()).await.unwrap();
    let mut writer = tokio::spawn(lock(&client).write());
    children_are(&client, 2).await;
    let mut reader = tokio::spawn(lock(&client).read());
    children_are(&client, 3).await;
    soon(client.sync("/")).await.unwrap();
    assert!(is_pending(&mut writer) && is_pending(&mut reader));
    drop(first);
    let writer = soon(writer).await.unwrap().unwrap();
    assert!(is_pending(&mut reader));
    drop(writer);
    drop(soon(reader).await.unwrap().unwrap());
    ground.nothing_left().await;
}

/// Curator before 5.5 let a waiting writer in between.
#[tokio::test]
async fn curator_621_a_downgrade_lets_in_no_writer() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let writer = soon(lock(&client).write()).await.unwrap();
    let mut next = tokio::spawn(lock(&other).write());
    children_are(&client, 2).await;
    let token = writer.token();
    let (lost, stale) = (writer.lost(), writer.client());
    let reader = soon(writer.downgrade()).await.unwrap();
    assert_eq!(reader.token(), token, "whoever waits would have a lower one");
    assert!(soon(reader.sequencer().verify(&other)).await.unwrap());
    soon(other.sync("/")).await.unwrap();
    assert!(is_pending(&mut next), "a writer beside a reader");
    assert_eq!(contenders(&client).await.len(), 2, "it has one node, and not two");
    // Who reads may not write in the writer's name.
    assert_eq!(soon(lost).await, LostReason::Released);
    let error = soon(stale.create("/a", "", CreateMode::Persistent)).await.unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::LockLost);
    soon(reader.client().create("/a", "", CreateMode::Persistent)).await.unwrap();
    soon(reader.release()).await.unwrap();
    let next = soon(next).await.unwrap().unwrap();
    assert!(next.token() > token);
    drop(next);
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_downgrade_lets_in_the_readers_behind() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let writer = soon(lock(&client).write()).await.unwrap();
    let waiting = tokio::spawn(lock(&other).read());
    children_are(&client, 2).await;
    let reader = soon(writer.downgrade()).await.unwrap();
    let waiting = soon(waiting).await.unwrap().unwrap();
    drop((reader, waiting));
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_sole_reader_becomes_a_writer() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let reader = soon(lock(&client).read()).await.unwrap();
    let token = reader.token();
    let writer = upgraded(reader).await;
    assert!(writer.token() > token && writer.mode() == Mode::Exclusive);
    assert_eq!(contenders(&client).await.len(), 1);
    let mut waiting = tokio::spawn(lock(&other).write());
    children_are(&client, 2).await;
    soon(other.sync("/")).await.unwrap();
    assert!(is_pending(&mut waiting), "two write");
    soon(writer.client().create("/a", "", CreateMode::Persistent)).await.unwrap();
    let token = writer.token();
    soon(writer.release()).await.unwrap();
    let next = soon(waiting).await.unwrap().unwrap();
    assert!(next.token() > token);
    // And back, any number of times.
    let reader = soon(next.downgrade()).await.unwrap();
    let writer = upgraded(reader).await;
    soon(soon(writer.downgrade()).await.unwrap().release()).await.unwrap();
    ground.nothing_left().await;
}

/// The token of a writer who waits is lower than that of a node made now, and it holds later: a
/// resource that remembers the highest would shut it out, or let in whoever is overtaken.
#[tokio::test]
async fn nobody_becomes_a_writer_before_one_who_waits_with_a_lower_token() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let reader = soon(lock(&client).read()).await.unwrap();
    let waiting = tokio::spawn(lock(&other).write());
    children_are(&client, 2).await;
    let reader = refused(reader).await;
    let token = reader.token();
    soon(reader.release()).await.unwrap();
    let writer = soon(waiting).await.unwrap().unwrap();
    assert!(writer.token() > token);
    drop(writer);
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_reader_that_is_not_alone_is_refused_and_reads_on() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let (first, second) =
        (soon(lock(&client).read()).await.unwrap(), soon(lock(&other).read()).await.unwrap());
    let (path, mut lost) = (first.path().to_owned(), first.lost());
    let first = refused(first).await;
    assert_eq!(first.path(), path, "everything is as before");
    assert!(is_pending(&mut lost));
    let second = refused(second).await;
    assert_eq!(contenders(&client).await.len(), 2);
    soon(second.release()).await.unwrap();
    let first = upgraded(first).await;
    let mut reader = tokio::spawn(lock(&other).read());
    children_are(&client, 2).await;
    soon(other.sync("/")).await.unwrap();
    assert!(is_pending(&mut reader), "a reader beside a writer");
    drop(first);
    drop(soon(reader).await.unwrap().unwrap());
    ground.nothing_left().await;
}

/// Both have made a writer's node before either has looked.
#[tokio::test]
async fn of_two_who_try_at_the_same_time_both_are_refused() {
    let ground = Ground::start().await;
    let observer = ground.connect().await;
    let (mut attempts, mut wires) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let (client, wire) = ground.connect_wired().await;
        attempts.push(soon(lock(&client).read()).await.unwrap());
        wires.push(wire);
    }
    let attempts: Vec<_> = (attempts.into_iter().zip(&wires))
        .map(|(reader, wire)| {
            wire.hold_replies();
            tokio::spawn(reader.try_upgrade())
        })
        .collect();
    children_are(&observer, 4).await;
    wires.iter().for_each(Wire::resume);
    // Who is refused first reads on until the other is, too.
    for attempt in soon(join_all(attempts)).await {
        match attempt.unwrap().unwrap() {
            Upgrade::Refused(reader) => assert!(reader.state().is_held()),
            Upgrade::Done(_) => panic!("it writes beside a reader"),
        }
    }
    ground.nothing_left().await;
}

/// In Curator a reader who wants to write waits for itself; two, for each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_who_all_want_to_write_never_deadlock_and_never_two_succeed() {
    let ground = Ground::start().await;
    let clients = join_all((0..4).map(|_| ground.connect())).await;
    let writing = Arc::new(AtomicIsize::new(0));
    let tasks = clients.iter().map(|client| {
        let (client, writing) = (client.clone(), Arc::clone(&writing));
        tokio::spawn(async move {
            let mut upgrades = 0;
            for _ in 0..25 {
                let reader = lock(&client).read().await.unwrap();
                assert_eq!(writing.load(Ordering::SeqCst), 0, "a reader beside a writer");
                match reader.try_upgrade().await.unwrap() {
                    Upgrade::Done(writer) => {
                        upgrades += 1;
                        assert_eq!(writing.fetch_add(1, Ordering::SeqCst), 0, "two write");
                        client.sync("/").await.unwrap();
                        writing.fetch_sub(1, Ordering::SeqCst);
                        let reader = writer.downgrade().await.unwrap();
                        reader.release().await.unwrap();
                    }
                    Upgrade::Refused(reader) => reader.release().await.unwrap(),
                }
            }
            upgrades
        })
    });
    let upgrades: Vec<i32> = soon(join_all(tasks)).await.into_iter().map(Result::unwrap).collect();
    println!("upgrades: {upgrades:?}");
    drop(upgraded(soon(lock(&clients[0]).read()).await.unwrap()).await);
    ground.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_07_there_is_never_a_writer_beside_anybody_else() {
    let ground = Ground::start().await;
    // How many read; or −1 while somebody writes.
    let inside = Arc::new(AtomicIsize::new(0));
    let clients = join_all((0..6).map(|_| ground.connect())).await;
    let tasks = clients.iter().enumerate().map(|(number, client)| {
        let (client, inside) = (client.clone(), Arc::clone(&inside));
        tokio::spawn(async move {
            for round in 0..15 {
                if (round + number) % 3 == 0 {
                    let writer = lock(&client).write().await.unwrap();
                    let before = inside.swap(-1, Ordering::SeqCst);
                    assert_eq!(before, 0, "a writer beside somebody");
                    client.sync("/").await.unwrap();
                    assert_eq!(inside.swap(1, Ordering::SeqCst), -1);
                    let reader = writer.downgrade().await.unwrap();
                    assert!(inside.fetch_sub(1, Ordering::SeqCst) >= 1);
                    reader.release().await.unwrap();
                } else {
                    let reader = lock(&client).read().await.unwrap();
                    assert!(inside.fetch_add(1, Ordering::SeqCst) >= 0, "beside a writer");
                    client.sync("/").await.unwrap();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    reader.release().await.unwrap();
                }
            }
        })
    });
    for task in soon(join_all(tasks)).await {
        task.unwrap();
    }
    ground.nothing_left().await;
}

#[tokio::test]
async fn an_exchange_whose_reply_is_lost_is_found_and_one_that_never_arrived_is_made() {
    let ground = Ground::start().await;
    for cut in [Wire::cut_before_reply as fn(&Wire, OpCode), Wire::cut_before_arrival] {
        let (client, wire) = ground.connect_wired().await;
        let writer = soon(lock(&client).write()).await.unwrap();
        cut(&wire, OpCode::Multi);
        let reader = soon(writer.downgrade()).await.unwrap();
        let names = contenders(&client).await;
        assert_eq!(names.len(), 1, "{names:?}");
        assert!(reader.path().ends_with(&names[0]));
        for op in [OpCode::Multi, OpCode::GetChildren, OpCode::Delete] {
            let reader = soon(lock(&client).read()).await.unwrap();
            cut(&wire, op);
            let reader = refused(reader).await;
            soon(reader.release()).await.unwrap();
        }
        let mut reader = reader;
        for op in [OpCode::Multi, OpCode::GetChildren, OpCode::Delete] {
            cut(&wire, op);
            let writer = upgraded(reader).await;
            let stat = soon(client.exists(writer.path())).await.unwrap().unwrap();
            assert_eq!(stat.czxid, writer.token());
            assert_eq!(contenders(&client).await.len(), 1);
            reader = soon(writer.downgrade()).await.unwrap();
        }
        drop(reader);
        ground.nothing_left().await;
    }
}

#[tokio::test]
async fn an_exchange_can_be_given_up_at_every_await() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    for is_cut in [false, true] {
        for upgrades in [false, true] {
            for pending in 1..100 {
                let (client, wire) = ground.connect_wired().await;
                let reader = if upgrades { Some(lock(&client).read()) } else { None };
                let output = match reader {
                    Some(reader) => {
                        let reader = soon(reader).await.unwrap();
                        if is_cut {
                            wire.cut_before_reply(OpCode::Multi);
                        }
                        soon(drop_at(pending, reader.try_upgrade())).await.map(|it| it.map(drop))
                    }
                    None => {
                        let writer = soon(lock(&client).write()).await.unwrap();
                        if is_cut {
                            wire.cut_before_reply(OpCode::Multi);
                        }
                        soon(drop_at(pending, writer.downgrade())).await.map(|it| it.map(drop))
                    }
                };
                soon(lock(&other).write()).await.unwrap().release().await.unwrap();
                ground.nothing_left().await;
                if let Some(output) = output {
                    output.unwrap();
                    assert!(pending > 1, "nothing was dropped");
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn readers_and_writers_can_be_given_up_at_every_await() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let holder = soon(lock(&other).write()).await.unwrap();
    for pending in 1..8 {
        assert!(soon(drop_at(pending.min(2), lock(&client).read())).await.is_none());
        assert!(soon(drop_at(pending.min(2), lock(&client).write())).await.is_none());
        drop(soon(drop_at(pending, lock(&client).try_read())).await);
        drop(soon(drop_at(pending, lock(&client).try_write())).await);
        let limited = lock(&client).write_timeout(Duration::from_millis(1));
        drop(soon(drop_at(pending, limited)).await);
        children_are(&other, 1).await;
    }
    drop(holder);
    ground.nothing_left().await;
}

#[tokio::test]
async fn what_is_lost_is_not_exchanged() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for is_known in [false, true] {
        let writer = soon(lock(&client).write()).await.unwrap();
        delete(&client, writer.path()).await.unwrap();
        if is_known {
            soon(writer.lost()).await;
        }
        let error = soon(writer.downgrade()).await.unwrap_err();
        assert_eq!((error.kind(), error.path()), (LockErrorKind::LockLost, Some(LOCK)));
        let reader = soon(lock(&client).read()).await.unwrap();
        delete(&client, reader.path()).await.unwrap();
        if is_known {
            soon(reader.lost()).await;
        }
        let error = soon(reader.try_upgrade()).await.unwrap_err();
        assert_eq!(error.kind(), LockErrorKind::LockLost);
        ground.nothing_left().await;
    }
}

#[tokio::test]
async fn every_holder_is_asked_to_let_go_and_nobody_who_waits() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let lock = lock(&client);
    let readers = [soon(lock.read()).await.unwrap(), soon(lock.read()).await.unwrap()];
    let waiter = tokio::spawn(lock.write());
    children_are(&client, 3).await;
    assert_eq!(soon(lock.revoke()).await.unwrap(), 2);
    for reader in readers {
        soon(reader.revoked()).await;
        drop(reader);
    }
    let writer = soon(waiter).await.unwrap().unwrap();
    assert!(is_pending(&mut writer.revoked()));
    soon(client.multi([Op::check(writer.path(), Version(0))])).await.unwrap();
    assert_eq!(soon(lock.revoke()).await.unwrap(), 1);
    soon(writer.revoked()).await;
}
