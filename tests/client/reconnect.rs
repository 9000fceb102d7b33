//! A link that breaks is made again, and the session goes on.

use futures::StreamExt;
use futures::future::join_all;
use znode::proto::OpCode;
use znode::{ClientEvent, CreateMode, State};

use crate::ground::{Ground, SHORT, disconnect, reach, readmit, reconnect, soon};

#[tokio::test]
async fn a_session_survives_a_cut_link() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let session = client.session_id();
    soon(client.create("/e", "", CreateMode::Ephemeral)).await.unwrap();
    for _ in 0..3 {
        reconnect(&client, &wire).await;
    }
    assert_eq!(client.session_id(), session);
    let stat = soon(client.exists("/e")).await.unwrap().unwrap();
    assert_eq!(stat.ephemeral_owner, session);
    let handshakes = wire.handshakes();
    assert_eq!(handshakes.len(), 4);
    assert!(handshakes[1..].iter().all(|shake| shake.session == session));
}

#[tokio::test]
async fn states_are_told_in_order_also_to_those_who_read_late() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let late = client.states();
    for _ in 0..3 {
        reconnect(&client, &wire).await;
    }
    soon(client.close()).await.unwrap();
    let changes: Vec<_> = soon(late.collect()).await;
    let states: Vec<State> = changes.iter().map(|change| change.state).collect();
    let (up, down) = (State::Connected, State::Suspect);
    assert_eq!(states, [up, down, up, down, up, down, up, State::Closed]);
    for pair in changes.windows(2) {
        assert_eq!(pair[1].generation, pair[0].generation + 1);
    }
}

#[tokio::test]
async fn the_state_is_known_at_once_and_first_in_every_stream() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    assert_eq!(client.state(), State::Connected);
    disconnect(&client, &wire).await;
    assert_eq!(client.state(), State::Suspect);
    let first = soon(client.states().next()).await.unwrap();
    assert_eq!(first.state, State::Suspect);
    readmit(&client, &wire).await;
    assert_eq!(client.state(), State::Connected);
    let again = soon(client.states().next()).await.unwrap();
    assert_eq!(again.state, State::Connected);
    assert_eq!(again.generation, first.generation + 1);
    assert!(!again.state.is_terminal());
}

#[tokio::test]
async fn the_default_watcher_hears_states_and_events_in_one_order() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let mut events = client.events();
    soon(client.default_watch().exists("/a")).await.unwrap();
    soon(client.create("/a", "", CreateMode::Persistent)).await.unwrap();
    reconnect(&client, &wire).await;
    soon(client.default_watch().exists("/a")).await.unwrap();
    soon(client.delete("/a", -1)).await.unwrap();
    soon(client.close()).await.unwrap();
    let mut heard = Vec::new();
    while let Some(event) = soon(events.next()).await {
        heard.push(match event {
            ClientEvent::State(change) => format!("{:?}", change.state),
            ClientEvent::Node(event) => format!("{:?}", event.kind),
            other => panic!("{other:?} is no event of this test"),
        });
    }
    if heard.first().is_some_and(|first| first == "Connected") {
        heard.remove(0);
    }
    assert_eq!(heard, ["NodeCreated", "Suspect", "Connected", "NodeDeleted", "Closed"]);
}

#[tokio::test]
async fn requests_made_while_disconnected_are_sent_after_the_reconnect() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    disconnect(&client, &wire).await;
    let creates: Vec<_> =
        (0..10).map(|_| client.create("/n-", "", CreateMode::PersistentSequential)).collect();
    let attempts = wire.attempts();
    wire.until_attempts(attempts + 1).await;
    assert_eq!(wire.count(OpCode::Create2), 0);
    wire.admit();
    for (i, created) in soon(join_all(creates)).await.into_iter().enumerate() {
        assert_eq!(created.unwrap().path, format!("/n-{i:010}"));
    }
}

#[tokio::test]
async fn a_client_keeps_trying_while_its_session_lasts() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    disconnect(&client, &wire).await;
    let attempts = wire.attempts();
    wire.until_attempts(attempts + 2).await;
    assert_eq!(client.state(), State::Suspect);
    readmit(&client, &wire).await;
    soon(client.get_data("/")).await.unwrap();
}

#[tokio::test]
async fn a_link_that_breaks_in_the_handshake_is_made_again() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let mut states = client.states();
    for _ in 0..3 {
        let attempts = wire.attempts();
        wire.stall();
        wire.cut();
        wire.until_attempts(attempts + 1).await;
        wire.cut();
        wire.resume();
        reach(&mut states, State::Suspect).await;
        reach(&mut states, State::Connected).await;
    }
    soon(client.get_data("/")).await.unwrap();
}

#[tokio::test]
async fn a_mute_server_makes_the_client_look_for_another() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_short().await;
    let mut states = client.states();
    wire.stall();
    let attempts = wire.attempts();
    reach(&mut states, State::Suspect).await;
    wire.until_attempts(attempts + 1).await;
    wire.resume();
    // Whether the session still stands depends on how late we are; that it ends is certain.
    let settled = soon(async {
        loop {
            match states.next().await.unwrap().state {
                State::Suspect => {}
                settled => return settled,
            }
        }
    })
    .await;
    assert!(matches!(settled, State::Connected | State::Expired));
}

#[tokio::test]
async fn a_stalled_link_that_recovers_in_time_loses_nothing() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    wire.stall();
    let creates: Vec<_> =
        (0..10).map(|_| client.create("/n-", "", CreateMode::PersistentSequential)).collect();
    tokio::task::yield_now().await;
    wire.resume();
    for created in soon(join_all(creates)).await {
        created.unwrap();
    }
    assert_eq!(wire.attempts(), 1);
}

#[tokio::test]
async fn an_idle_session_is_kept_alive() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_short().await;
    // Pings go out at a third of the timeout: six of them are two timeouts without a request.
    wire.until(OpCode::Ping, 6).await;
    assert_eq!(client.state(), State::Connected);
    assert_eq!(client.session_timeout(), SHORT);
    assert_eq!(wire.handshakes().len(), 1);
    soon(client.get_data("/")).await.unwrap();
}

#[tokio::test]
async fn a_busy_session_needs_no_ping() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    for _ in 0..200 {
        soon(client.exists("/")).await.unwrap();
    }
    assert_eq!(wire.count(OpCode::Ping), 0);
}
