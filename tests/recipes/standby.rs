//! Work that is taken over from where it was.

use std::ops::ControlFlow;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use znode::proto::OpCode;
use znode::{Client, CreateMode, ErrorKind, State, WatcherType};
use znode_recipes::{ColdStandby, HotStandby, LockErrorKind, LostReason, Shift};

use crate::ground::{Ground, Wire, delete, drop_at, soon, state_is};

const JOB: &str = "/jobs/import";

/// An instance whose shifts are handed to the test, and end when that drops them.
fn instance(client: &Client, id: &str) -> (UnboundedReceiver<Shift>, tokio::task::JoinHandle<()>) {
    let (told, shifts) = unbounded_channel();
    let standby = HotStandby::new(client, JOB).with_id(id);
    let task = tokio::spawn(async move {
        let ended = standby
            .run(|shift| {
                told.send(shift).unwrap();
                std::future::pending::<ControlFlow<()>>()
            })
            .await;
        assert!(ended.unwrap_err().is_session_over());
    });
    (shifts, task)
}

#[tokio::test]
async fn the_next_instance_goes_on_from_the_last_checkpoint() {
    let ground = Ground::start().await;
    let observer = ground.connect().await;
    let standby = HotStandby::new(&observer, JOB);
    assert_eq!(soon(standby.checkpoint()).await.unwrap(), None);
    assert_eq!(soon(standby.instances()).await.unwrap(), []);
    let mut epoch = znode::Zxid(0);
    for round in 0..4_u8 {
        let client = ground.connect().await;
        let (mut shifts, task) = instance(&client, &round.to_string());
        let shift = soon(shifts.recv()).await.unwrap();
        assert!(shift.epoch() > epoch);
        assert_eq!(shift.path(), JOB);
        epoch = shift.epoch();
        let expected = round.checked_sub(1).map(|before| vec![before; 3]);
        assert_eq!(shift.checkpoint(), expected.as_deref());
        for _ in 0..2 {
            soon(shift.save([round; 3])).await.unwrap();
        }
        let instances = soon(standby.instances()).await.unwrap();
        assert_eq!(instances[0].id, round.to_string());
        // The instance is gone, and its session.
        soon(client.close()).await.unwrap();
        soon(task).await.unwrap();
        assert_eq!(soon(standby.checkpoint()).await.unwrap(), Some(vec![round; 3]));
    }
}

#[tokio::test]
async fn whoever_was_overtaken_does_not_set_the_work_back() {
    let ground = Ground::start().await;
    let (one, other) = (ground.connect().await, ground.connect().await);
    let (mut shifts, _task) = instance(&one, "one");
    let first = soon(shifts.recv()).await.unwrap();
    soon(first.save("1")).await.unwrap();
    let (mut others, _task) = instance(&other, "other");
    let standby = HotStandby::new(&other, JOB);
    while soon(standby.instances()).await.unwrap().len() < 2 {}
    let holder = soon(standby.instances()).await.unwrap().remove(0);
    delete(&other, &holder.path).await.unwrap();
    let second = soon(others.recv()).await.unwrap();
    assert_eq!(second.checkpoint(), Some(&b"1"[..]));
    soon(second.save("2")).await.unwrap();
    assert_eq!(soon(first.term().lost()).await, LostReason::Deleted);
    let error = soon(first.save("1 again")).await.unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::LockLost);
    assert_eq!(soon(standby.checkpoint()).await.unwrap(), Some(b"2".to_vec()));
    // The first one stands by again, and is next.
    soon(other.close()).await.unwrap();
    let third = soon(shifts.recv()).await.unwrap();
    assert_eq!(third.checkpoint(), Some(&b"2"[..]));
    assert!(third.epoch() > second.epoch());
}

#[tokio::test]
async fn work_that_is_done_says_so_and_one_that_may_not_be_done_too() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let done = HotStandby::new(&client, JOB)
        .run(|shift| async move { ControlFlow::Break(shift.save("all").await.is_ok()) });
    assert!(soon(done).await.unwrap());
    let nothing = |_: Shift| async { ControlFlow::Break(()) };
    for path in ["jobs", "/a//b"] {
        let error = soon(HotStandby::new(&client, path).run(nothing)).await.unwrap_err();
        assert_eq!(error.kind(), LockErrorKind::InvalidPath);
        let error = soon(ColdStandby::new(&client, path).run(nothing)).await.unwrap_err();
        assert_eq!(error.kind(), LockErrorKind::InvalidPath);
    }
    let acl = vec![znode::Acl::read_only()];
    let sealed = client.with_default_acl(acl).create("/sealed", "", CreateMode::Persistent);
    soon(sealed).await.unwrap();
    let error = soon(HotStandby::new(&client, "/sealed/job").run(nothing)).await.unwrap_err();
    assert_eq!(error.client_error().map(znode::Error::kind), Some(ErrorKind::NoAuth));
    ground.nothing_left().await;
}

/// A worker of a group, which is told when to be done with a piece.
fn worker(
    client: &Client,
    name: &'static str,
    told: UnboundedSender<(&'static str, Shift, tokio::sync::oneshot::Sender<bool>)>,
) -> tokio::task::JoinHandle<&'static str> {
    let group = ColdStandby::new(client, "/group").with_id(name);
    tokio::spawn(async move {
        let worked = group
            .run(|shift| {
                let (sender, receiver) = tokio::sync::oneshot::channel();
                told.send((name, shift, sender)).unwrap();
                async move {
                    match receiver.await {
                        Ok(true) => ControlFlow::Break(name),
                        _ => ControlFlow::Continue(()),
                    }
                }
            })
            .await;
        worked.unwrap()
    })
}

#[tokio::test]
async fn few_work_at_many_pieces_and_none_lies_while_somebody_is_free() {
    let ground = Ground::start().await;
    let (one, other, boss) =
        (ground.connect().await, ground.connect().await, ground.connect().await);
    let (told, mut shifts) = unbounded_channel();
    // Nothing is there yet, not even the group.
    let workers = [worker(&one, "one", told.clone()), worker(&other, "other", told)];
    soon(boss.create("/group", "", CreateMode::Persistent)).await.unwrap();
    for piece in ["/group/a", "/group/b", "/group/c"] {
        soon(boss.create(piece, "", CreateMode::Persistent)).await.unwrap();
    }
    let (first, second) = (soon(shifts.recv()).await.unwrap(), soon(shifts.recv()).await.unwrap());
    assert_ne!(first.0, second.0);
    assert_ne!(first.1.path(), second.1.path());
    soon(first.1.save("half")).await.unwrap();
    // Whoever is done goes on with the piece that lies there.
    let (name, piece) = (first.0, first.1.path().to_owned());
    drop(first.2);
    let third = soon(shifts.recv()).await.unwrap();
    assert_eq!(third.0, name);
    assert!(![second.1.path(), &*piece].contains(&third.1.path()));
    // And then with the first one, from its checkpoint.
    drop(third.2);
    let fourth = soon(shifts.recv()).await.unwrap();
    assert_eq!((fourth.0, fourth.1.path()), (name, &*piece));
    assert_eq!(fourth.1.checkpoint(), Some(&b"half"[..]));
    // One more piece makes the one who waits no busier: nobody waits. With the end of one worker
    // the other takes its piece up.
    fourth.2.send(true).unwrap();
    let left = second.0;
    drop(second.2);
    let fifth = soon(shifts.recv()).await.unwrap();
    assert_eq!(fifth.0, left);
    fifth.2.send(true).unwrap();
    for worker in workers {
        soon(worker).await.unwrap();
    }
}

#[tokio::test]
async fn those_who_wait_for_a_piece_are_quiet() {
    let ground = Ground::start().await;
    let (busy, boss) = (ground.connect().await, ground.connect().await);
    for path in ["/group", "/group/a"] {
        soon(boss.create(path, "", CreateMode::Persistent)).await.unwrap();
    }
    let (told, mut shifts) = unbounded_channel();
    let _holder = worker(&busy, "busy", told.clone());
    let held = soon(shifts.recv()).await.unwrap();
    let (idle, wire) = ground.connect_wired().await;
    let _idle = [worker(&idle, "idle", told.clone()), worker(&idle, "idle", told)];
    wire.until(OpCode::GetChildren, 4).await;
    soon(idle.sync("/")).await.unwrap();
    let creates = wire.count(OpCode::Create2);
    assert_eq!(creates, 0, "they have stood in line to see that there is one");
    soon(held.1.save("x")).await.unwrap();
    soon(idle.sync("/")).await.unwrap();
    assert_eq!(wire.count(OpCode::Create2), 0);
    drop(held.2);
    assert_eq!(soon(shifts.recv()).await.unwrap().1.path(), "/group/a");
}

/// A piece that somebody takes away is not made anew by those who wait for it.
#[tokio::test]
async fn a_piece_that_is_taken_away_stays_away() {
    let ground = Ground::start().await;
    let (busy, boss) = (ground.connect().await, ground.connect().await);
    let (idle, wire) = ground.connect_wired().await;
    for path in ["/group", "/group/a", "/group/b"] {
        soon(boss.create(path, "", CreateMode::Persistent)).await.unwrap();
    }
    // What is no piece of work is passed over.
    soon(boss.create("/group/0", "", CreateMode::Ephemeral)).await.unwrap();
    let (told, mut shifts) = unbounded_channel();
    let _holder = worker(&busy, "busy", told.clone());
    let first = soon(shifts.recv()).await.unwrap();
    // One takes the other piece, and one waits for either.
    let _idle = [worker(&idle, "idle", told.clone()), worker(&idle, "idle", told)];
    let second = soon(shifts.recv()).await.unwrap();
    assert_ne!(second.1.path(), first.1.path());
    wire.until(OpCode::GetChildren, 4).await;
    soon(idle.sync("/")).await.unwrap();
    soon(boss.delete_all(first.1.path())).await.unwrap();
    assert_eq!(soon(first.1.term().lost()).await, LostReason::Deleted);
    for _ in 0..20 {
        soon(boss.sync("/")).await.unwrap();
        assert!(soon(boss.exists(first.1.path())).await.unwrap().is_none());
    }
}

/// Node by node, and between two requests of one who wants it.
#[tokio::test]
async fn a_piece_that_goes_while_it_is_taken_is_not_made_anew() {
    let ground = Ground::start().await;
    let boss = ground.connect().await;
    for path in ["/group", "/group/a"] {
        soon(boss.create(path, "", CreateMode::Persistent)).await.unwrap();
    }
    let (idle, wire) = ground.connect_wired().await;
    wire.cut_before_arrival(OpCode::Create2);
    wire.refuse();
    let (told, mut shifts) = unbounded_channel();
    let _idle = worker(&idle, "idle", told);
    state_is(&idle, State::Suspect).await;
    for path in ["/group/a/instances", "/group/a"] {
        delete(&boss, path).await.unwrap();
    }
    wire.admit();
    // The one that was cut is asked again.
    wire.until(OpCode::Create2, 1).await;
    for _ in 0..20 {
        soon(boss.sync("/")).await.unwrap();
        assert!(soon(boss.exists("/group/a")).await.unwrap().is_none());
    }
    soon(boss.create("/group/b", "", CreateMode::Persistent)).await.unwrap();
    assert_eq!(soon(shifts.recv()).await.unwrap().1.path(), "/group/b");
}

/// Somebody else of this session removes the watch, and the link breaks while it is set again.
#[tokio::test]
async fn whoever_waits_for_a_piece_watches_again_over_another_link() {
    let ground = Ground::start().await;
    let boss = ground.connect().await;
    soon(boss.create("/group", "", CreateMode::Persistent)).await.unwrap();
    let (idle, wire) = ground.connect_wired().await;
    let (told, mut shifts) = unbounded_channel();
    let _idle = worker(&idle, "idle", told);
    wire.until(OpCode::GetChildren, 1).await;
    for cut in [Wire::cut_before_arrival as fn(&Wire, OpCode), Wire::cut_before_reply] {
        cut(&wire, OpCode::AddWatch);
        let (attempts, looks) = (wire.attempts(), wire.count(OpCode::GetChildren));
        soon(idle.remove_watches("/group", WatcherType::Any)).await.unwrap();
        wire.until_attempts(attempts + 1).await;
        wire.until(OpCode::GetChildren, looks + 1).await;
    }
    soon(boss.create("/group/b", "", CreateMode::Persistent)).await.unwrap();
    assert_eq!(soon(shifts.recv()).await.unwrap().1.path(), "/group/b");
}

#[tokio::test]
async fn whoever_waits_for_a_piece_hears_of_the_end_of_its_session() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let group = ColdStandby::new(&client, "/group");
    let waiting = tokio::spawn(group.run(|_| async { ControlFlow::Break(()) }));
    wire.until(OpCode::AddWatch, 1).await;
    ground.end_session(&client, &wire).await;
    assert!(soon(waiting).await.unwrap().unwrap_err().is_session_over());
}

#[tokio::test]
async fn fact_19_standing_by_can_be_dropped_at_every_await() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let watch = ground.connect().await;
    let (hot, cold) = (HotStandby::new(&client, JOB), ColdStandby::new(&client, "/jobs"));
    let work = |shift: Shift| async move { ControlFlow::Break(shift.save("x").await.is_ok()) };
    for pending in 1..100 {
        let hot = soon(drop_at(pending, hot.run(work))).await;
        let cold = soon(drop_at(pending, cold.run(work))).await;
        // Whatever is left would be in the way.
        let free = HotStandby::new(&watch, JOB).run(|_| async { ControlFlow::Break(()) });
        soon(free).await.unwrap();
        while !ground.watched().await.is_empty() {
            soon(watch.sync("/")).await.unwrap();
        }
        if let (Some(hot), Some(cold)) = (hot, cold) {
            assert!(hot.unwrap() && cold.unwrap());
            assert!(pending > 3, "nothing was dropped");
            return;
        }
    }
    panic!("it never completes");
}
