//! One handle across sessions: what is made anew, and what is told of it.

use futures::{Stream, StreamExt};
use znode::{
    AddWatchMode, Client, ConnectOptions, CreateMode, ErrorKind, EventType, SessionId, Stat, State,
    Supervisor, SupervisorEvent, Version, WatchUpdate,
};

use crate::ground::{Ground, SHORT, next_event, soon};
use znode_tests::support::Wire;

async fn supervise(ground: &Ground) -> (Supervisor, Wire) {
    let wire = Wire::tcp();
    let options = ConnectOptions::new().connector(wire.clone()).session_timeout(SHORT);
    let supervisor = soon(Supervisor::connect(options, &ground.connect_string())).await.unwrap();
    (supervisor, wire)
}

/// Reads events up to one that is wanted.
async fn until<T>(
    events: &mut (impl Stream<Item = SupervisorEvent> + Unpin),
    wanted: impl Fn(&SupervisorEvent) -> Option<T>,
) -> T {
    soon(async {
        loop {
            let event = events.next().await.expect("the supervisor goes on");
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    })
    .await
}

fn stands(event: &SupervisorEvent) -> Option<u64> {
    match event {
        SupervisorEvent::EphemeralStands { generation, .. } => Some(*generation),
        _ => None,
    }
}

fn opened(event: &SupervisorEvent) -> Option<(u64, SessionId)> {
    match event {
        SupervisorEvent::SessionOpened { generation, session_id } => {
            Some((*generation, *session_id))
        }
        _ => None,
    }
}

fn lost(event: &SupervisorEvent) -> Option<(u64, State)> {
    match event {
        SupervisorEvent::SessionLost { generation, state } => Some((*generation, *state)),
        _ => None,
    }
}

async fn stat(client: &Client, path: &str) -> Option<Stat> {
    soon(client.exists(path)).await.unwrap()
}

#[tokio::test]
async fn a_session_that_expires_is_followed_by_another_and_each_step_is_told() {
    let ground = Ground::start().await;
    let (supervisor, wire) = supervise(&ground).await;
    let mut events = supervisor.events();
    let _here = supervisor.ephemeral("/here", "x").unwrap();
    assert_eq!(until(&mut events, stands).await, 0);
    let first = supervisor.client();
    ground.end_session(&first, &wire).await;
    assert_eq!(until(&mut events, lost).await, (0, State::Expired));
    let (generation, second) = until(&mut events, opened).await;
    assert_eq!(until(&mut events, stands).await, 1);
    assert_eq!((supervisor.generation(), generation), (1, 1));
    assert_ne!(first.session_id(), second);
    let other = ground.connect().await;
    assert_eq!(stat(&other, "/here").await.unwrap().ephemeral_owner, second);
    let refused = soon(first.get_data("/here")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::SessionExpired);
}

/// The client gives its session up before the server does, and finds its own old node in the way.
#[tokio::test]
async fn the_node_of_the_session_before_is_no_obstacle() {
    let ground = Ground::start().await;
    let (supervisor, wire) = supervise(&ground).await;
    let mut events = supervisor.events();
    let _here = supervisor.ephemeral("/here", "x").unwrap();
    until(&mut events, stands).await;
    wire.stall();
    until(&mut events, lost).await;
    wire.cut();
    wire.resume();
    assert_eq!(until(&mut events, stands).await, 1);
    let other = ground.connect().await;
    let owner = stat(&other, "/here").await.unwrap().ephemeral_owner;
    assert_eq!(owner, supervisor.client().session_id());
}

#[tokio::test]
async fn a_node_that_others_delete_comes_back() {
    let ground = Ground::start().await;
    let (supervisor, _wire) = supervise(&ground).await;
    let mut events = supervisor.events();
    let _here = supervisor.ephemeral("/here", "x").unwrap();
    until(&mut events, stands).await;
    let other = ground.connect().await;
    soon(other.delete("/here", Version::ANY)).await.unwrap();
    until(&mut events, stands).await;
    assert!(stat(&other, "/here").await.is_some());
}

#[tokio::test]
async fn a_path_that_is_taken_is_told_and_had_once_it_is_free() {
    let ground = Ground::start().await;
    let (supervisor, _wire) = supervise(&ground).await;
    let other = ground.connect().await;
    soon(other.create("/here", "", CreateMode::Ephemeral)).await.unwrap();
    let mut events = supervisor.events();
    let _here = supervisor.ephemeral("/here", "x").unwrap();
    let owner = until(&mut events, |event| match event {
        SupervisorEvent::EphemeralTaken { owner, .. } => Some(*owner),
        _ => None,
    });
    assert_eq!(owner.await, other.session_id());
    soon(other.delete("/here", Version::ANY)).await.unwrap();
    until(&mut events, stands).await;
}

#[tokio::test]
async fn a_refusal_is_told() {
    let ground = Ground::start().await;
    let (supervisor, _wire) = supervise(&ground).await;
    let mut events = supervisor.events();
    let _here = supervisor.ephemeral("/no/parent", "x").unwrap();
    let kind = until(&mut events, |event| match event {
        SupervisorEvent::EphemeralRefused { error, .. } => Some(error.kind()),
        _ => None,
    });
    assert_eq!(kind.await, ErrorKind::NoNode);
    let invalid = supervisor.ephemeral("no path", "x").unwrap_err();
    assert_eq!(invalid.kind(), ErrorKind::InvalidPath);
}

#[tokio::test]
async fn a_registration_that_is_dropped_takes_its_node_with_it() {
    let ground = Ground::start().await;
    let (supervisor, wire) = supervise(&ground).await;
    let mut events = supervisor.events();
    let here = supervisor.ephemeral("/here", "x").unwrap();
    until(&mut events, stands).await;
    let other = ground.connect().await;
    let (_, gone) = soon(other.exists_watched("/here")).await.unwrap();
    drop(here);
    assert_eq!(soon(gone).await.unwrap().kind, EventType::NodeDeleted);
    ground.end_session(&supervisor.client(), &wire).await;
    until(&mut events, opened).await;
    soon(supervisor.client().sync("/")).await.unwrap();
    assert_eq!(stat(&other, "/here").await, None);
}

#[tokio::test]
async fn a_watch_goes_on_in_the_next_session_after_a_gap() {
    let ground = Ground::start().await;
    let (supervisor, wire) = supervise(&ground).await;
    let other = ground.connect().await;
    let mut updates = supervisor.watch("/a", AddWatchMode::Persistent).unwrap();
    // The watch is in line; a read behind it shows that it stands.
    soon(supervisor.client().sync("/")).await.unwrap();
    soon(other.create("/a", "", CreateMode::Persistent)).await.unwrap();
    soon(other.set_data("/a", "x", Version::ANY)).await.unwrap();
    next_event(&mut updates).await;
    ground.end_session(&supervisor.client(), &wire).await;
    while soon(updates.recv()).await.unwrap() != WatchUpdate::Gap {}
    soon(other.delete("/a", Version::ANY)).await.unwrap();
    assert_eq!(next_event(&mut updates).await.kind, EventType::NodeDeleted);
}

#[tokio::test]
async fn a_supervisor_that_is_closed_opens_no_other_session() {
    let ground = Ground::start().await;
    let (supervisor, wire) = supervise(&ground).await;
    let mut events = supervisor.events();
    let _here = supervisor.ephemeral("/here", "x").unwrap();
    let mut updates = supervisor.watch("/a", AddWatchMode::Persistent).unwrap();
    until(&mut events, stands).await;
    soon(supervisor.close()).await.unwrap();
    assert_eq!(supervisor.client().state(), State::Closed);
    assert_eq!(soon(updates.recv()).await, None);
    let other = ground.connect().await;
    assert_eq!(stat(&other, "/here").await, None);
    assert_eq!(wire.handshakes().len(), 1);
    soon(supervisor.close()).await.unwrap();
}

#[tokio::test]
async fn letting_go_of_a_supervisor_closes_its_session() {
    let ground = Ground::start().await;
    let (supervisor, _wire) = supervise(&ground).await;
    let client = supervisor.client();
    let mut states = client.states();
    drop(supervisor);
    crate::ground::reach(&mut states, State::Closed).await;
}
