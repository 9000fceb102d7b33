//! Who gets the lock, and in which order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as StdMutex};

use futures::future::join_all;
use znode::proto::OpCode;
use znode::{Acl, ConnectOptions, CreateMode, ErrorKind, Op, Perms, Version, Zxid};
use znode_recipes::{GuardState, LockErrorKind, LockOptions, LostReason, Mutex};

use crate::ground::{Ground, LOCK, children_are, contenders, delete, is_pending, make_lock, soon};
use znode_tests::support::Capture;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_contenders_exclude_each_other_and_their_tokens_rise() {
    const ROUNDS: usize = 5;

    let ground = Ground::start().await;
    let inside = Arc::new(AtomicUsize::new(0));
    let tokens = Arc::new(StdMutex::new(Vec::<Zxid>::new()));
    let clients = join_all((0..10).map(|_| ground.connect())).await;
    let contenders = clients.iter().map(|client| {
        let (inside, tokens) = (Arc::clone(&inside), Arc::clone(&tokens));
        let (client, mutex) = (client.clone(), Mutex::new(client, LOCK));
        tokio::spawn(async move {
            for _ in 0..ROUNDS {
                let guard = mutex.lock().await.unwrap();
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "somebody else is inside");
                assert_eq!(guard.state(), GuardState::Held);
                tokens.lock().unwrap().push(guard.token());
                client.sync("/").await.unwrap();
                assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
                guard.release().await.unwrap();
            }
        })
    });
    for contender in soon(join_all(contenders)).await {
        contender.unwrap();
    }
    let tokens = tokens.lock().unwrap().clone();
    assert_eq!(tokens.len(), 10 * ROUNDS);
    assert!(tokens.is_sorted_by(|earlier, later| earlier < later), "{tokens:?}");
    ground.nothing_left().await;
}

#[tokio::test]
async fn fact_14_the_lock_is_granted_in_the_order_in_which_it_was_asked_for() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let holder = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let granted = Arc::new(StdMutex::new(Vec::new()));
    let mut waiters = Vec::new();
    for number in 0..6 {
        let (mutex, granted) = (Mutex::new(&ground.connect().await, LOCK), Arc::clone(&granted));
        waiters.push(tokio::spawn(async move {
            let guard = mutex.lock().await.unwrap();
            granted.lock().unwrap().push(number);
            guard.release().await.unwrap();
        }));
        children_are(&client, number + 2).await;
    }
    assert!(granted.lock().unwrap().is_empty());
    holder.release().await.unwrap();
    soon(join_all(waiters)).await;
    assert_eq!(*granted.lock().unwrap(), [0, 1, 2, 3, 4, 5]);
    ground.nothing_left().await;
}

#[tokio::test]
async fn tasks_of_one_client_exclude_each_other_too() {
    let ground = Ground::start().await;
    let mutex = Mutex::new(&ground.connect().await, LOCK);
    let first = soon(mutex.lock()).await.unwrap();
    let mut second = Box::pin(mutex.clone().lock());
    assert!(is_pending(&mut second));
    assert!(soon(mutex.try_lock()).await.unwrap().is_none());
    first.release().await.unwrap();
    soon(second).await.unwrap().release().await.unwrap();
    ground.nothing_left().await;
}

#[tokio::test]
async fn curator_537_the_token_is_the_czxid_of_the_lock_node() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let stat = soon(client.exists(guard.path())).await.unwrap().unwrap();
    assert_eq!(guard.token(), stat.czxid);
    assert_eq!(stat.ephemeral_owner, client.session_id());
}

#[tokio::test]
async fn fact_02_tokens_rise_also_when_the_parent_is_made_anew() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let mutex = Mutex::new(&client, LOCK);
    let mut last = Zxid::ZERO;
    for _ in 0..3 {
        let guard = soon(mutex.lock()).await.unwrap();
        assert!(guard.path().ends_with("-lock-0000000000"), "{}", guard.path());
        assert!(guard.token() > last);
        last = guard.token();
        guard.release().await.unwrap();
        delete(&client, LOCK).await.unwrap();
    }
}

#[tokio::test]
async fn nothing_happens_before_a_future_is_polled() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let before = wire.requests();
    let mutex = Mutex::new(&client, LOCK);
    drop((mutex.lock(), mutex.try_lock(), mutex.lock_timeout(std::time::Duration::MAX)));
    soon(client.sync("/")).await.unwrap();
    assert_eq!(wire.requests(), before + 1);
}

#[tokio::test]
async fn fact_25_gh_867_guards_can_be_moved_and_released_anywhere() {
    fn is_movable<T: Send + 'static>(what: T) -> T {
        what
    }

    let ground = Ground::start().await;
    let client = ground.connect().await;
    let lock = is_movable(Mutex::new(&client, LOCK).lock());
    let guard = is_movable(soon(tokio::spawn(lock)).await.unwrap().unwrap());
    drop((is_movable(guard.lost()), is_movable(guard.states()), is_movable(guard.client())));
    let released = tokio::spawn(is_movable(guard.release()));
    soon(released).await.unwrap().unwrap();
    ground.nothing_left().await;
}

#[tokio::test]
async fn an_impossible_path_is_refused_before_anything_is_sent() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let before = wire.requests();
    for path in ["", "locks", "/locks/", "/a//b", "/a/../b", "/a\0"] {
        let mutex = Mutex::new(&client, path);
        let error = soon(mutex.lock()).await.unwrap_err();
        assert_eq!(error.kind(), LockErrorKind::InvalidPath, "{path}");
        assert_eq!(error.path(), Some(path));
        let error = soon(mutex.try_lock()).await.unwrap_err();
        assert_eq!(error.kind(), LockErrorKind::InvalidPath, "{path}");
    }
    assert_eq!(wire.requests(), before);
}

#[tokio::test]
async fn fact_18_a_denial_is_an_error_and_not_silence() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let kind = |path| {
        let mutex = Mutex::new(&client, path);
        async move {
            let error = soon(mutex.lock()).await.unwrap_err();
            assert_eq!((error.kind(), error.path()), (LockErrorKind::Client, Some(path)));
            error.client_error().unwrap().kind()
        }
    };
    let read_only = [Acl::read_only()];
    let made = client.create_with_acl("/closed", "", CreateMode::Persistent, &read_only);
    soon(made).await.unwrap();
    assert_eq!(kind("/closed").await, ErrorKind::NoAuth);
    assert_eq!(kind("/closed/below").await, ErrorKind::NoAuth);

    // Who may create and not list cannot stand in line: the node does not stay.
    let unlisted = [Acl::new(Perms::CREATE | Perms::DELETE, "world", "anyone").unwrap()];
    let made = client.create_with_acl("/unlisted", "", CreateMode::Persistent, &unlisted);
    soon(made).await.unwrap();
    assert_eq!(kind("/unlisted").await, ErrorKind::NoAuth);
    assert_eq!(soon(client.get_ephemerals("/unlisted")).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_chroot_that_does_not_exist_is_an_error() {
    let ground = Ground::start().await;
    let client = ground.connect().await.with_chroot("/nowhere").unwrap();
    for path in ["/", "/a/b"] {
        let error = soon(Mutex::new(&client, path).lock()).await.unwrap_err();
        assert_eq!(error.client_error().unwrap().kind(), ErrorKind::NoNode);
    }
}

#[tokio::test]
async fn views_of_different_depth_contend_for_the_same_lock() {
    let ground = Ground::start().await;
    let (above, below) = (ground.connect().await, ground.connect().await);
    make_lock(&above).await;
    let below = below.with_chroot(LOCK).unwrap();
    let guard = soon(Mutex::new(&below, "/").lock()).await.unwrap();
    assert!(guard.path().starts_with("/_c_"), "{}", guard.path());
    let mutex = Mutex::new(&above, LOCK);
    assert!(soon(mutex.try_lock()).await.unwrap().is_none());
    guard.release().await.unwrap();
    soon(mutex.lock()).await.unwrap().release().await.unwrap();
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_session_that_is_over_cannot_lock() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.close()).await.unwrap();
    let error = soon(Mutex::new(&client, LOCK).lock()).await.unwrap_err();
    assert!(error.is_session_over());
    assert_eq!(error.client_error().unwrap().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn a_waiter_whose_session_ends_learns_it() {
    let ground = Ground::start().await;
    let holder = soon(Mutex::new(&ground.connect().await, LOCK).lock()).await.unwrap();
    let (client, wire) = ground.connect_short().await;
    let waiter = tokio::spawn(Mutex::new(&client, LOCK).lock());
    wire.until(OpCode::GetData, 1).await;
    wire.refuse();
    wire.cut();
    let error = soon(waiter).await.unwrap().unwrap_err();
    assert!(error.is_session_over());
    assert_eq!(holder.state(), GuardState::Held);
}

#[tokio::test]
async fn a_waiter_whose_node_was_deleted_takes_a_new_place() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let holder = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let second = tokio::spawn(Mutex::new(&ground.connect().await, LOCK).lock());
    children_are(&client, 2).await;
    let third = tokio::spawn(Mutex::new(&ground.connect().await, LOCK).lock());
    children_are(&client, 3).await;
    let place = contenders(&client).await.pop().unwrap();
    delete(&client, &format!("{LOCK}/{place}")).await.unwrap();
    holder.release().await.unwrap();
    soon(second).await.unwrap().unwrap().release().await.unwrap();
    let guard = soon(third).await.unwrap().unwrap();
    assert!(!guard.path().ends_with(&place));
    drop(guard);
    ground.nothing_left().await;
}

/// The second in line does not list again, so it learns of it as a holder does.
#[tokio::test]
async fn the_second_in_line_whose_node_was_deleted_has_lost_what_it_is_granted() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let holder = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let second = tokio::spawn(Mutex::new(&ground.connect().await, LOCK).lock());
    children_are(&client, 2).await;
    let place = contenders(&client).await.pop().unwrap();
    delete(&client, &format!("{LOCK}/{place}")).await.unwrap();
    holder.release().await.unwrap();
    let guard = soon(second).await.unwrap().unwrap();
    let written = guard.client().create("/a", "", CreateMode::Persistent);
    assert_eq!(soon(written).await.unwrap_err().kind(), LockErrorKind::LockLost);
    assert_eq!(soon(guard.lost()).await, LostReason::Deleted);
    // A strict one proves its place before it is granted, and takes a new one.
    let holder = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let strict = LockOptions::new().strict();
    let mutex = Mutex::new(&ground.connect().await, LOCK).with_options(strict);
    let second = tokio::spawn(mutex.lock());
    children_are(&client, 2).await;
    let place = contenders(&client).await.pop().unwrap();
    delete(&client, &format!("{LOCK}/{place}")).await.unwrap();
    holder.release().await.unwrap();
    let guard = soon(second).await.unwrap().unwrap();
    assert!(!guard.path().ends_with(&place));
    soon(guard.client().create("/a", "", CreateMode::Persistent)).await.unwrap();
    drop(guard);
    ground.nothing_left().await;
}

#[tokio::test]
async fn whoever_is_sent_away_again_and_again_goes() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    make_lock(&client).await;
    // It only has to stand ahead, and to be written to.
    let ahead = format!("{LOCK}/ahead-lock-");
    let ahead = client.create(&ahead, "", CreateMode::PersistentSequential);
    let ahead = soon(ahead).await.unwrap().path;
    let (waiting, wire) = ground.connect_wired().await;
    let mut waiter = tokio::spawn(Mutex::new(&waiting, LOCK).lock());
    for watches in 1..=3 {
        wire.until(OpCode::GetData, watches).await;
        // Once this is answered, so is that, and the watch stands.
        soon(waiting.sync("/")).await.unwrap();
        let place = contenders(&client).await.pop().unwrap();
        let place = Op::delete(format!("{LOCK}/{place}"), Version::ANY);
        let nudge = Op::set_data(&ahead, "", Version::ANY);
        soon(client.multi([place, nudge])).await.unwrap();
    }
    let error = soon(&mut waiter).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::PlaceDeleted);
    assert_eq!(contenders(&client).await.len(), 1);
}

#[tokio::test]
async fn fact_16_a_lock_whose_parents_are_swept_away_is_made_anew() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let holder = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let second = tokio::spawn(Mutex::new(&ground.connect().await, LOCK).lock());
    children_are(&client, 2).await;
    let waiter = tokio::spawn(Mutex::new(&ground.connect().await, LOCK).lock());
    children_are(&client, 3).await;
    let places = contenders(&client).await;
    let places = places.iter().map(|name| Op::delete(format!("{LOCK}/{name}"), Version::ANY));
    let parents = [LOCK, "/locks"].map(|path| Op::delete(path, Version::ANY));
    soon(client.multi(places.chain(parents))).await.unwrap();
    assert_eq!(soon(holder.lost()).await, LostReason::Deleted);
    let guard = soon(waiter).await.unwrap().unwrap();
    assert!(guard.token() > holder.token());
    assert_eq!(soon(soon(second).await.unwrap().unwrap().lost()).await, LostReason::Deleted);
    drop((guard, holder));
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_mutex_of_a_resumed_session_works_and_knows_no_former_guard() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let ticket = soon(client.detach()).await.unwrap();
    assert_eq!(soon(guard.lost()).await, LostReason::Closed);
    let resumed = ground.connect_with(ConnectOptions::new().resume(ticket)).await;
    let mutex = Mutex::new(&resumed, LOCK);
    // The node of the former guard stands: it is the session's, and not this mutex's.
    assert!(soon(mutex.try_lock()).await.unwrap().is_none());
    delete(&resumed, guard.path()).await.unwrap();
    soon(mutex.lock()).await.unwrap().release().await.unwrap();
}

/// Neither a holder's nor a waiter's: it is there for whoever resumes the session, and is told of.
#[tokio::test]
async fn what_a_detached_client_leaves_behind_is_not_left_silently() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let mutex = Mutex::new(&client, LOCK);
    let guard = soon(mutex.lock()).await.unwrap();
    let waiter = tokio::spawn(Mutex::new(&client, LOCK).lock());
    children_are(&client, 2).await;
    let (capture, _recording) = Capture::start();
    let ticket = soon(client.detach()).await.unwrap();
    assert!(client.is_detached());
    let held = guard.path().to_owned();
    assert!(soon(waiter).await.unwrap().is_err());
    drop(guard);
    let warnings = capture.text();
    let warnings: Vec<&str> =
        warnings.lines().filter(|line| line.contains("left a node to whoever resumes")).collect();
    assert!(warnings.iter().all(|line| line.starts_with("WARN znode_recipes")), "{warnings:?}");
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let resumed = ground.connect_with(ConnectOptions::new().resume(ticket)).await;
    assert!(!resumed.is_detached());
    let names = contenders(&resumed).await;
    assert_eq!(names.len(), 2, "both stand, {names:?}");
    assert!(names.iter().any(|name| held.ends_with(name)));
    // Who closes a session, or lets it expire, leaves nothing.
    soon(resumed.close()).await.unwrap();
    ground.nothing_left().await;
}
