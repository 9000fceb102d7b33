//! Who leads, who comes next, and who hears of it.

use std::ops::ControlFlow;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use znode::{Acl, Client, CreateMode, ErrorKind, State, Version, Zxid};
use znode_recipes::{
    Candidacy, CloseMode, LeaderEvent, LeaderEvents, LeaderLatch, LeaderSelector, LockErrorKind,
    LostReason,
};

use crate::ground::{
    Ground, LOCK, children_are, contenders, delete, disconnect, drop_at, reach, soon, state_is,
};

/// The next event, in a word.
async fn next(events: &mut (impl futures::Stream<Item = LeaderEvent> + Unpin)) -> String {
    match soon(events.next()).await {
        Some(LeaderEvent::Elected { .. }) => "elected".to_owned(),
        Some(LeaderEvent::Suspect { .. }) => "suspect".to_owned(),
        Some(LeaderEvent::Reassured { .. }) => "reassured".to_owned(),
        Some(LeaderEvent::Deposed { reason, .. }) => format!("deposed: {reason}"),
        Some(LeaderEvent::Resigned { .. }) => "resigned".to_owned(),
        Some(LeaderEvent::Failed(error)) => format!("failed: {:?}", error.kind()),
        Some(other) => format!("{other:?}"),
        None => "the end".to_owned(),
    }
}

/// A candidacy that leads, and its epoch.
async fn leading(client: &Client, id: &str) -> (Candidacy, Zxid) {
    let candidacy = LeaderLatch::new(client, LOCK).with_id(id).join();
    let epoch = soon(candidacy.until_leader()).await.unwrap();
    (candidacy, epoch)
}

#[tokio::test]
async fn the_first_leads_and_the_next_one_after_it() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let mut epochs = Vec::new();
    let first = soon(LeaderLatch::new(&client, LOCK).lead()).await.unwrap();
    let waiting: Vec<_> =
        (0..3).map(|_| tokio::spawn(LeaderLatch::new(&client, LOCK).lead())).collect();
    children_are(&client, 4).await;
    epochs.push(first.token());
    soon(first.release()).await.unwrap();
    for _ in 0..3 {
        let leader = soon(LeaderLatch::new(&client, LOCK).changes().next()).await.unwrap();
        assert!(leader.unwrap().is_some_and(|leader| leader.epoch > epochs[0]));
    }
    for waiter in waiting {
        let guard = soon(waiter).await.unwrap().unwrap();
        epochs.push(guard.token());
        soon(guard.release()).await.unwrap();
    }
    assert!(epochs.is_sorted(), "{epochs:?}");
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_latch_is_curators_on_the_wire() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let (candidacy, epoch) = leading(&client, "host-1").await;
    let names = contenders(&client).await;
    let (owner, number) = names[0].split_once("-latch-").unwrap();
    assert!(owner.starts_with("_c_") && owner.len() == 3 + 36, "{owner}");
    assert_eq!(number, "0000000000");
    let (data, stat) = soon(client.get_data(&format!("{LOCK}/{}", names[0]))).await.unwrap();
    assert_eq!((&data[..], stat.czxid), (&b"host-1"[..], epoch));
    assert_eq!(stat.ephemeral_owner, client.session_id());
    assert_ne!(ground.is_container(LOCK).await, Some(false));
    soon(candidacy.leave(CloseMode::Silent)).await.unwrap();
    // One of Curator's is ahead, and is waited for.
    let theirs = format!("{LOCK}/_c_6bb83e15-9ac1-4ac3-8ac1-52b3bb3f7d5c-latch-");
    let theirs = client.create(&theirs, "jvm", CreateMode::EphemeralSequential);
    let theirs = soon(theirs).await.unwrap().path;
    let latch = LeaderLatch::new(&client, LOCK);
    let ours = tokio::spawn(latch.lead());
    children_are(&client, 2).await;
    assert_eq!(soon(latch.leader()).await.unwrap().unwrap().id, "jvm");
    assert!(!ours.is_finished());
    delete(&client, &theirs).await.unwrap();
    soon(soon(ours).await.unwrap().unwrap().release()).await.unwrap();
    ground.nothing_left().await;
}

#[tokio::test]
async fn all_who_take_part_are_told_in_their_order() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let latch = LeaderLatch::new(&client, LOCK);
    assert_eq!(soon(latch.participants()).await.unwrap(), []);
    assert_eq!(soon(latch.leader()).await.unwrap(), None);
    let mut changes = latch.changes();
    assert_eq!(soon(changes.next()).await.unwrap().unwrap(), None);
    let (first, epoch) = leading(&client, "a").await;
    let others: Vec<_> =
        ["b", "c"].into_iter().enumerate().map(|(i, id)| (i, latch.clone().with_id(id))).collect();
    let mut joined = Vec::new();
    for (i, latch) in others {
        joined.push(latch.join());
        children_are(&client, i + 2).await;
    }
    let all = soon(latch.participants()).await.unwrap();
    let told: Vec<_> = all.iter().map(|one| (one.id.as_str(), one.is_leader)).collect();
    assert_eq!(told, [("a", true), ("b", false), ("c", false)]);
    assert_eq!((all[0].epoch, all[0].session), (epoch, client.session_id()));
    assert_eq!(soon(changes.next()).await.unwrap().unwrap().unwrap().id, "a");
    soon(first.leave(CloseMode::Silent)).await.unwrap();
    let next = soon(changes.next()).await.unwrap().unwrap().unwrap();
    assert_eq!((next.id.as_str(), next.path.as_str()), ("b", all[1].path.as_str()));
    assert!(next.epoch > epoch);
    drop(joined);
    while soon(changes.next()).await.unwrap().unwrap().is_some() {}
    drop(changes);
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_candidacy_tells_what_becomes_of_it() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for mode in [CloseMode::Silent, CloseMode::NotifyLeader] {
        let candidacy = LeaderLatch::new(&client, LOCK).join();
        let mut early = candidacy.events();
        let epoch = soon(candidacy.until_leader()).await.unwrap();
        assert!(candidacy.is_leader());
        assert_eq!(candidacy.epoch(), Some(epoch));
        let mut late = candidacy.events();
        for events in [&mut early, &mut late] {
            assert_eq!(next(events).await, "elected");
        }
        let writer = candidacy.client().unwrap();
        soon(writer.create("/led", "", CreateMode::Persistent)).await.unwrap();
        soon(candidacy.leave(mode)).await.unwrap();
        for events in [&mut early, &mut late] {
            if mode == CloseMode::NotifyLeader {
                assert_eq!(next(events).await, "resigned");
            }
            assert_eq!(next(events).await, "the end");
        }
        // Its writer writes nothing any more.
        let error = soon(writer.delete("/led", Version::ANY)).await.unwrap_err();
        assert_eq!(error.kind(), LockErrorKind::LockLost);
        delete(&client, "/led").await.unwrap();
        ground.nothing_left().await;
    }
}

/// CURATOR-498, 620, 653: Curator's latch has led on after its node was gone.
#[tokio::test]
async fn curator_620_a_latch_whose_node_was_deleted_leads_no_more_and_stands_in_line_again() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let (candidacy, epoch) = leading(&client, "a").await;
    let (mut events, writer) = (candidacy.events(), candidacy.client().unwrap());
    assert_eq!(next(&mut events).await, "elected");
    let next_one = tokio::spawn(LeaderLatch::new(&other, LOCK).lead());
    children_are(&other, 2).await;
    let node = soon(LeaderLatch::new(&other, LOCK).leader()).await.unwrap().unwrap().path;
    delete(&other, &node).await.unwrap();
    assert_eq!(next(&mut events).await, format!("deposed: {}", LostReason::Deleted));
    let guard = soon(next_one).await.unwrap().unwrap();
    assert!(guard.token() > epoch);
    assert!(!candidacy.is_leader());
    let error = soon(writer.create("/stale", "", CreateMode::Persistent)).await.unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::LockLost);
    children_are(&other, 2).await;
    let second = guard.token();
    soon(guard.release()).await.unwrap();
    assert_eq!(next(&mut events).await, "elected");
    assert!(soon(candidacy.until_leader()).await.unwrap() > second);
    soon(candidacy.leave(CloseMode::Silent)).await.unwrap();
    ground.nothing_left().await;
}

#[tokio::test]
async fn fact_09_a_leader_is_suspect_while_its_connection_is_down() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let (candidacy, epoch) = leading(&client, "a").await;
    let mut events = candidacy.events();
    assert_eq!(next(&mut events).await, "elected");
    disconnect(&client, &wire).await;
    assert_eq!(next(&mut events).await, "suspect");
    assert!(!candidacy.is_leader());
    assert_eq!(candidacy.epoch(), Some(epoch), "it may lead still");
    wire.admit();
    assert_eq!(next(&mut events).await, "reassured");
    assert_eq!(soon(candidacy.until_leader()).await.unwrap(), epoch, "nobody else has led");
    soon(candidacy.leave(CloseMode::Silent)).await.unwrap();
    ground.nothing_left().await;
}

/// Curator's latches have both led after a session had ended (CURATOR-444, 504, 652, 696).
#[tokio::test]
async fn curator_696_a_latch_whose_session_has_ended_leads_no_more_and_says_so() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    let (candidacy, epoch) = leading(&client, "a").await;
    let mut events = candidacy.events();
    assert_eq!(next(&mut events).await, "elected");
    let heir = tokio::spawn(LeaderLatch::new(&other, LOCK).lead());
    children_are(&other, 2).await;
    ground.end_session(&client, &wire).await;
    let heir = soon(heir).await.unwrap().unwrap();
    assert!(heir.token() > epoch);
    state_is(&client, State::Expired).await;
    let told = next(&mut events).await;
    let told = if told == "suspect" { next(&mut events).await } else { told };
    assert_eq!(told, format!("deposed: {}", LostReason::SessionExpired));
    assert_eq!(next(&mut events).await, "failed: Client");
    assert_eq!(next(&mut events).await, "the end");
    let error = soon(candidacy.until_leader()).await.unwrap_err();
    assert!(error.is_session_over());
    assert!(soon(candidacy.leave(CloseMode::Silent)).await.unwrap_err().is_session_over());
    soon(heir.release()).await.unwrap();
    ground.nothing_left().await;
}

/// In Curator such a latch is started, never leads, and says nothing.
#[tokio::test]
async fn a_latch_that_may_not_take_part_says_so() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/sealed", "", CreateMode::Persistent)).await.unwrap();
    soon(client.set_acl("/sealed", &[Acl::read_only()], Version::ANY)).await.unwrap();
    let latch = LeaderLatch::new(&client, "/sealed");
    let refused = |error: &znode_recipes::LockError| {
        error.client_error().map(znode::Error::kind) == Some(ErrorKind::NoAuth)
    };
    assert!(refused(&soon(latch.lead()).await.unwrap_err()));
    let candidacy = latch.join();
    assert!(refused(&soon(candidacy.until_leader()).await.unwrap_err()));
    assert_eq!(next(&mut candidacy.events()).await, "failed: Client");
    assert!(refused(&soon(candidacy.leave(CloseMode::Silent)).await.unwrap_err()));
    for path in ["leaders", "/a//b"] {
        let error = soon(LeaderLatch::new(&client, path).lead()).await.unwrap_err();
        assert_eq!(error.kind(), LockErrorKind::InvalidPath);
    }
    // A path at which something else contends.
    let lock = soon(znode_recipes::Mutex::new(&client, LOCK).lock()).await.unwrap();
    let error = soon(LeaderLatch::new(&client, LOCK).lead()).await.unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::OtherRecipe);
    soon(lock.release()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_begins_to_listen_while_it_is_suspect_is_told_of_that_once() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let candidacy = LeaderLatch::new(&client, LOCK).join();
    soon(candidacy.until_leader()).await.unwrap();
    wire.refuse();
    wire.cut();
    // Also before the task that tells of it has had its turn.
    while candidacy.is_leader() {
        std::hint::spin_loop();
    }
    let late: Vec<LeaderEvents> = [(); 20].map(|()| candidacy.events()).into();
    let mut last = candidacy.events();
    assert_eq!(next(&mut last).await, "elected");
    assert_eq!(next(&mut last).await, "suspect");
    wire.admit();
    for mut events in late {
        for expected in ["elected", "suspect", "reassured"] {
            assert_eq!(next(&mut events).await, expected);
        }
    }
    soon(candidacy.leave(CloseMode::Silent)).await.unwrap();
}

/// CURATOR-45, 79: a latch that is closed while it starts leaves its node.
#[tokio::test]
async fn curator_45_a_candidacy_that_is_dropped_at_once_leaves_nothing() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for _ in 0..20 {
        drop(LeaderLatch::new(&client, LOCK).join());
        let candidacy = LeaderLatch::new(&client, LOCK).join();
        soon(candidacy.leave(CloseMode::Silent)).await.unwrap();
        tokio::task::yield_now().await;
    }
    ground.nothing_left().await;
}

#[tokio::test]
async fn fact_19_every_future_of_an_election_can_be_dropped_at_every_await() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let latch = LeaderLatch::new(&client, LOCK).with_id("x");
    let selector = LeaderSelector::new(&client, LOCK).with_id("x");
    let work = |_| async { ControlFlow::Break(()) };
    for pending in 1..100 {
        let (candidacy, _) = leading(&client, "y").await;
        let dropped = [
            soon(drop_at(pending, latch.participants())).await.is_none(),
            soon(drop_at(pending, latch.leader())).await.is_none(),
            soon(drop_at(pending, latch.changes().next())).await.is_none(),
            soon(drop_at(pending, candidacy.until_leader())).await.is_none(),
            soon(drop_at(pending, candidacy.leave(CloseMode::NotifyLeader))).await.is_none(),
        ];
        ground.nothing_left().await;
        let led = soon(drop_at(pending, latch.lead())).await;
        let was_led = led.is_some();
        drop(led);
        ground.nothing_left().await;
        let worked = soon(drop_at(pending, selector.run(work))).await;
        ground.nothing_left().await;
        if was_led && worked.is_some() && !dropped.contains(&true) {
            assert!(pending > 1, "nothing was dropped");
            return;
        }
    }
    panic!("it never completes");
}

#[tokio::test]
async fn selectors_take_turns() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let (told, mut turns) = tokio::sync::mpsc::unbounded_channel();
    let worker = |id: usize| {
        let selector = LeaderSelector::new(&client, LOCK).with_id(id.to_string());
        let (told, mut rounds) = (told.clone(), 0);
        tokio::spawn(async move {
            let work = |term: znode_recipes::Term| {
                rounds += 1;
                let (told, rounds) = (told.clone(), rounds);
                async move {
                    told.send((id, term.epoch())).unwrap();
                    if rounds == 3 { ControlFlow::Break(id) } else { ControlFlow::Continue(()) }
                }
            };
            selector.run(work).await
        })
    };
    let holder = soon(LeaderSelector::new(&client, LOCK).participants()).await.unwrap();
    assert_eq!(holder, []);
    let first = soon(znode_recipes::Mutex::new(&client, LOCK).lock()).await.unwrap();
    let mut workers = Vec::new();
    for id in 0..2 {
        workers.push(worker(id));
        children_are(&client, id + 2).await;
    }
    let all = soon(LeaderSelector::new(&client, LOCK).participants()).await.unwrap();
    assert_eq!(all.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["", "0", "1"]);
    soon(first.release()).await.unwrap();
    for (id, worker) in workers.into_iter().enumerate() {
        assert_eq!(soon(worker).await.unwrap().unwrap(), id);
    }
    let mut seen = Vec::new();
    while let Ok(turn) = turns.try_recv() {
        seen.push(turn);
    }
    assert_eq!(seen.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [0, 1, 0, 1, 0, 1]);
    assert!(seen.is_sorted_by_key(|(_, epoch)| *epoch));
    ground.nothing_left().await;
}

/// CURATOR-518, 671: a selector whose leadership was lost has not stood in line again.
#[tokio::test]
async fn curator_518_work_ends_with_the_leadership_and_is_done_again_under_the_next() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let other = ground.connect().await;
    let (told, mut terms) = tokio::sync::mpsc::unbounded_channel();
    let selector = LeaderSelector::new(&client, LOCK);
    let running = tokio::spawn(async move {
        selector
            .run(|term| {
                told.send(term).unwrap();
                // Until it is dropped.
                std::future::pending::<ControlFlow<()>>()
            })
            .await
    });
    let mut epochs = Vec::new();
    for _ in 0..3 {
        let term = soon(terms.recv()).await.unwrap();
        epochs.push(term.epoch());
        assert!(soon(term.sequencer().verify(&other)).await.unwrap());
        let leader = soon(LeaderSelector::new(&other, LOCK).leader()).await.unwrap().unwrap();
        assert_eq!(leader.epoch, term.epoch());
        delete(&other, &leader.path).await.unwrap();
        assert_eq!(soon(term.lost()).await, LostReason::Deleted);
        let error = soon(term.client().create("/x", "", CreateMode::Persistent)).await.unwrap_err();
        assert_eq!(error.kind(), LockErrorKind::LockLost);
    }
    assert!(epochs.is_sorted());
    // The end of the session is the end of it.
    soon(terms.recv()).await.unwrap();
    soon(client.close()).await.unwrap();
    assert!(soon(running).await.unwrap().unwrap_err().is_session_over());
    ground.nothing_left().await;
}

/// After the process stood still the one who asks may have its turn before the one who watches.
#[tokio::test(start_paused = true)]
async fn a_strict_candidacy_that_stood_still_does_not_say_that_it_leads() {
    let server = znode_testing::TestingServer::start().await.unwrap();
    let options = znode::ConnectOptions::new()
        .session_timeout(Duration::from_secs(30))
        .tick_time(Duration::from_millis(100))
        .connector(server.connector());
    let client = options.connect(&server.connect_string()).await.unwrap();
    let strict = znode_recipes::LockOptions::new().strict();
    let candidacy = LeaderLatch::new(&client, LOCK).with_options(strict).join();
    candidacy.until_leader().await.unwrap();
    assert!(candidacy.is_leader());
    // Nobody else has a turn meanwhile.
    tokio::time::advance(Duration::from_secs(31)).now_or_never();
    assert!(!candidacy.is_leader());
    assert!(candidacy.until_leader().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_leader_is_deposed_before_the_next_one_leads() {
    let server = znode_testing::TestingServer::start().await.unwrap();
    let wire = znode_tests::support::Wire::over(server.connector());
    let options = znode::ConnectOptions::new()
        .session_timeout(Duration::from_secs(30))
        .connector(wire.clone());
    let client = options.connect(&server.connect_string()).await.unwrap();
    let (candidacy, _) = leading(&client, "a").await;
    let other = server.connect().await.unwrap();
    let heir = tokio::spawn(LeaderLatch::new(&other, LOCK).lead());
    children_are(&other, 2).await;
    wire.stall();
    let mut states = client.states().map(|change| change.state);
    reach(&mut states, State::Expired).await;
    assert_eq!(candidacy.epoch(), None);
    assert!(!heir.is_finished(), "somebody leads already");
    heir.await.unwrap().unwrap().release().await.unwrap();
}
