//! What others see on the wire, and what we make of theirs.

use znode::{Client, CreateMode, Version};
use znode_recipes::{GuardState, Layout, LockErrorKind, LockOptions, LostReason, Mutex};

use crate::ground::{Ground, LOCK, children_are, contenders, delete, is_pending, make_lock, soon};

const CURATOR: &str = "_c_6c0ae3f5-0f4c-4bd3-a3d2-7e0c2bf9d5c1-lock-";
const GO: &str = "_c_6c0ae3f50f4c4bd3a3d27e0c2bf9d5c1-lock-";
const KAZOO: &str = "0f3a5cdd23f14a94ae1b8b2a52ae3ee0__lock__";

/// Contends as another client does; returns its path.
async fn contend(client: &Client, prefix: &str) -> String {
    let path = format!("{LOCK}/{prefix}");
    soon(client.create(&path, "10.0.0.1", CreateMode::EphemeralSequential)).await.unwrap().path
}

#[tokio::test]
async fn a_contender_is_named_as_curator_names_it() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let mutex = Mutex::new(&client, LOCK);
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..5 {
        let guard = soon(mutex.lock()).await.unwrap();
        let name = guard.path().strip_prefix(&format!("{LOCK}/")).unwrap();
        let (guid, digits) =
            name.strip_prefix("_c_").unwrap().split_once("-lock-").expect("the marker");
        assert_eq!(digits, format!("{number:010}"));
        let groups: Vec<_> = guid.split('-').collect();
        assert_eq!(groups.iter().map(|group| group.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(guid.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f' | '-')), "{guid}");
        assert!(groups[2].starts_with('4'), "{guid} is not of version 4");
        assert!(groups[3].starts_with(['8', '9', 'a', 'b']), "{guid} is not of its variant");
        assert!(seen.insert(guid.to_owned()), "{guid} again");
        guard.release().await.unwrap();
    }
}

#[tokio::test]
async fn a_contender_is_an_empty_ephemeral_node_below_containers() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let (data, stat) = soon(client.get_data(guard.path())).await.unwrap();
    assert!(data.is_empty());
    assert_eq!(stat.ephemeral_owner, client.session_id());
    for parent in ["/locks", LOCK] {
        // What a container is, a server only tells by the flag in its snapshot, and by reaping
        // it; our own server has a view.
        let stat = soon(client.exists(parent)).await.unwrap().unwrap();
        assert!(!stat.is_ephemeral());
        if let Some(is_container) = ground.is_container(parent).await {
            assert!(is_container, "{parent}");
        }
    }
}

#[tokio::test]
async fn parents_that_exist_stay_what_they_are() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/locks", "mine", CreateMode::Persistent)).await.unwrap();
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let (data, stat) = soon(client.get_data("/locks")).await.unwrap();
    assert_eq!((&data[..], stat.version), (&b"mine"[..], Version(0)));
    guard.release().await.unwrap();
}

#[tokio::test]
async fn curator_43_kazoo_cc8ce89_children_that_do_not_contend_are_ignored() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    make_lock(&client).await;
    for name in ["config", "a-lock-", "lock-x", "lock-99999999999", "_c_-__WRIT__", "queue-1"] {
        let path = format!("{LOCK}/{name}");
        soon(client.create(&path, "", CreateMode::Persistent)).await.unwrap();
    }
    let mutex = Mutex::new(&client, LOCK);
    let guard = soon(mutex.lock()).await.unwrap();
    guard.release().await.unwrap();
    assert!(soon(mutex.try_lock()).await.unwrap().is_some());
}

#[tokio::test]
async fn contenders_of_other_clients_are_waited_for() {
    let ground = Ground::start().await;
    for family in [CURATOR, GO, KAZOO] {
        let (client, other) = (ground.connect().await, ground.connect().await);
        if contenders(&client).await.is_empty() && client.exists(LOCK).await.unwrap().is_none() {
            make_lock(&client).await;
        }
        let theirs = contend(&other, family).await;
        let mutex = Mutex::new(&client, LOCK);
        assert!(soon(mutex.try_lock()).await.unwrap().is_none(), "{family}");
        let mut waiter = tokio::spawn(mutex.lock());
        children_are(&other, 2).await;
        assert!(is_pending(&mut waiter), "{family}");
        delete(&other, &theirs).await.unwrap();
        let guard = soon(waiter).await.unwrap().unwrap();

        // Those who come later wait for us.
        let later = contend(&other, family).await;
        let ours = guard.path().rsplit('/').next().unwrap();
        assert_eq!(contenders(&other).await[0], ours);
        assert_eq!(guard.state(), GuardState::Held);
        guard.release().await.unwrap();
        delete(&other, &later).await.unwrap();
    }
    ground.nothing_left().await;
}

#[tokio::test]
async fn numbers_are_compared_and_not_text() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    make_lock(&client).await;
    // Hexadecimal digits sort after `_c_` and before it: Curator, which compares whole names when
    // it finds no marker of its own, lets kazoo wait for ever or never.
    let first = contend(&other, "ffffffffffffffffffffffffffffffff__lock__").await;
    let mut waiter = tokio::spawn(Mutex::new(&client, LOCK).lock());
    children_are(&other, 2).await;
    let third = contend(&other, "00000000000000000000000000000000__lock__").await;
    assert!(is_pending(&mut waiter));
    delete(&other, &first).await.unwrap();
    let guard = soon(waiter).await.unwrap().unwrap();
    drop(guard);
    delete(&other, &third).await.unwrap();
    ground.nothing_left().await;
}

#[tokio::test]
async fn fact_28_go_zookeeper_21b4929_numbers_that_have_rolled_over_are_refused() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    make_lock(&client).await;
    let rolled = format!("{LOCK}/{CURATOR}-2147483648");
    soon(client.create(&rolled, "", CreateMode::Ephemeral)).await.unwrap();
    for _ in 0..2 {
        let error = soon(Mutex::new(&client, LOCK).lock()).await.unwrap_err();
        assert_eq!(error.kind(), LockErrorKind::SequenceExhausted);
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("rolled over"));
    }
    delete(&client, &rolled).await.unwrap();
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_note_written_into_a_contender_disturbs_nobody() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let mut waiter = tokio::spawn(Mutex::new(&other, LOCK).lock());
    children_are(&client, 2).await;
    // Curator asks a holder to let go in this way.
    for _ in 0..5 {
        soon(client.set_data(guard.path(), "__REVOKE__", Version::ANY)).await.unwrap();
    }
    soon(other.sync("/")).await.unwrap();
    assert!(is_pending(&mut waiter));
    assert_eq!(guard.state(), GuardState::Held);
    // Both still see what happens next.
    delete(&other, guard.path()).await.unwrap();
    assert_eq!(soon(guard.lost()).await, LostReason::Deleted);
    drop(soon(waiter).await.unwrap().unwrap());
    ground.nothing_left().await;
}

#[tokio::test]
async fn in_the_layouts_of_others_we_are_named_as_they_are() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for (layout, before, after) in
        [(Layout::Kazoo, "", "__lock__"), (Layout::GoZookeeper, "_c_", "-lock-")]
    {
        let options = LockOptions::new().layout(layout).data("me:17");
        let mutex = Mutex::new(&client, "/theirs/one").with_options(options);
        let guard = soon(mutex.lock()).await.unwrap();
        let name = guard.path().strip_prefix("/theirs/one/").unwrap();
        let (hex, digits) = name.strip_prefix(before).unwrap().split_once(after).unwrap();
        assert_eq!((hex.len(), digits.len()), (32, 10), "{name}");
        assert!(hex.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')), "{name}");
        let (data, _) = soon(client.get_data(guard.path())).await.unwrap();
        assert_eq!(&data[..], b"me:17");
        // They do not make their path anew once it was reaped.
        if let Some(is_container) = ground.is_container("/theirs/one").await {
            assert!(!is_container);
        }
        guard.release().await.unwrap();
    }
}

#[tokio::test]
async fn those_of_different_layouts_exclude_each_other() {
    let ground = Ground::start().await;
    let layouts = [Layout::Kazoo, Layout::Curator, Layout::GoZookeeper, Layout::Kazoo];
    let client = ground.connect().await;
    make_lock(&client).await;
    let mut waiters = std::collections::VecDeque::new();
    for (number, layout) in layouts.into_iter().enumerate() {
        let options = LockOptions::new().layout(layout);
        let mutex = Mutex::new(&ground.connect().await, LOCK).with_options(options);
        waiters.push_back(tokio::spawn(mutex.lock()));
        children_are(&client, number + 1).await;
    }
    while let Some(first) = waiters.pop_front() {
        let guard = soon(first).await.unwrap().unwrap();
        soon(client.sync("/")).await.unwrap();
        assert!(waiters.iter_mut().all(is_pending), "two hold");
        guard.release().await.unwrap();
    }
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_path_of_another_recipe_is_refused_and_nothing_is_left_there() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    make_lock(&client).await;
    for theirs in ["_c_x-__WRIT__", "_c_x-latch-", "_c_x-lease-", "queue-", "x__rlock__"] {
        let path = format!("{LOCK}/{theirs}");
        let made = client.create(&path, "", CreateMode::PersistentSequential);
        let made = soon(made).await.unwrap().path;
        let mutex = Mutex::new(&client, LOCK);
        for error in [
            soon(mutex.lock()).await.unwrap_err(),
            soon(mutex.try_lock()).await.unwrap_err(),
            soon(mutex.participants()).await.unwrap_err(),
        ] {
            assert_eq!((error.kind(), error.path()), (LockErrorKind::OtherRecipe, Some(LOCK)));
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains(theirs), "{source}");
        }
        delete(&client, &made).await.unwrap();
        ground.nothing_left().await;
    }
    // A semaphore's path is known by its children.
    for child in ["locks", "leases"] {
        soon(client.create(&format!("{LOCK}/{child}"), "", CreateMode::Container)).await.unwrap();
    }
    let error = soon(Mutex::new(&client, LOCK).lock()).await.unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::OtherRecipe);
}
