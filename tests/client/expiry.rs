//! The end of a session that nobody asked for.

use std::time::Duration;

use futures::StreamExt;
use znode::{Client, ConnectOptions, CreateMode, Error, ErrorKind, EventType, Outcome};
use znode::{SessionTicket, State};

use crate::ground::{Ground, SHORT, expire, reach, soon};

const PERSISTENT: CreateMode = CreateMode::Persistent;

#[tokio::test]
async fn expiry_is_raised_here_while_the_link_is_stalled() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_short().await;
    let states = client.states();
    wire.stall();
    let states: Vec<State> = soon(states.map(|change| change.state).collect()).await;
    assert_eq!(states, [State::Connected, State::Suspect, State::Expired]);
    assert!(State::Expired.is_terminal());
}

#[tokio::test]
async fn expiry_is_raised_here_while_no_server_can_be_reached() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_short().await;
    let states = client.states();
    wire.refuse();
    wire.cut();
    let states: Vec<State> = soon(states.map(|change| change.state).collect()).await;
    assert_eq!(states, [State::Connected, State::Suspect, State::Expired]);
}

#[tokio::test]
async fn expiry_at_the_server_is_learned_from_the_handshake() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let states = client.states();
    soon(client.create("/e", "", CreateMode::Ephemeral)).await.unwrap();
    ground.end_session(&client, &wire).await;
    let states: Vec<State> = soon(states.map(|change| change.state).collect()).await;
    assert_eq!(states, [State::Connected, State::Suspect, State::Expired]);
    let error = soon(client.exists("/e")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionExpired);
    let other = ground.connect().await;
    assert_eq!(soon(other.exists("/e")).await.unwrap(), None);
}

#[tokio::test]
async fn another_client_sees_the_ephemeral_nodes_of_an_expired_session_go() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_short().await;
    let other = ground.connect().await;
    soon(client.create("/e", "", CreateMode::Ephemeral)).await.unwrap();
    soon(client.create("/p", "", PERSISTENT)).await.unwrap();
    soon(other.sync("/")).await.unwrap();
    let (stat, watch) = soon(other.exists_watched("/e")).await.unwrap();
    assert!(stat.is_some());
    expire(&client, &wire).await;
    assert_eq!(soon(watch).await.unwrap().kind, EventType::NodeDeleted);
    assert!(soon(other.exists("/p")).await.unwrap().is_some());
}

#[tokio::test]
async fn no_other_session_takes_the_place_of_an_expired_one() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_short().await;
    let session = client.session_id();
    expire(&client, &wire).await;
    wire.admit();
    let handshakes = wire.handshakes();
    soon(client.get_data("/")).await.unwrap_err();
    assert_eq!(client.session_id(), session);
    assert_eq!(wire.handshakes(), handshakes);
    let asked: Vec<_> = handshakes.iter().map(|shake| shake.session).collect();
    assert_eq!(asked.iter().filter(|asked| asked.0 == 0).count(), 1);
}

#[tokio::test]
async fn after_expiry_everything_fails_for_good() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_short().await;
    expire(&client, &wire).await;
    wire.admit();
    for _ in 0..2 {
        for error in every_operation(&client).await {
            assert_eq!(error.kind(), ErrorKind::SessionExpired, "{error}");
            assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
            assert!(error.is_session_over(), "{error}");
        }
    }
    assert_eq!(client.state(), State::Expired);
    let states: Vec<State> = soon(client.states().map(|change| change.state).collect()).await;
    assert_eq!(states, [State::Expired]);
}

async fn every_operation(client: &Client) -> Vec<Error> {
    let open = [znode::Acl::open()];
    let errors = [
        soon(client.create("/a", "", PERSISTENT)).await.err(),
        soon(client.delete("/a", -1)).await.err(),
        soon(client.exists("/a")).await.err(),
        soon(client.exists_watched("/a")).await.err(),
        soon(client.get_data("/a")).await.err(),
        soon(client.get_data_watched("/a")).await.err(),
        soon(client.set_data("/a", "", -1)).await.err(),
        soon(client.get_children("/a")).await.err(),
        soon(client.get_children_watched("/a")).await.err(),
        soon(client.sync("/a")).await.err(),
        soon(client.multi([znode::Op::check("/a", 0)])).await.err(),
        soon(client.add_watch("/a", znode::AddWatchMode::Persistent)).await.err(),
        soon(client.get_acl("/a")).await.err(),
        soon(client.set_acl("/a", &open, -1)).await.err(),
        soon(client.add_auth("digest", "a:b")).await.err(),
        soon(client.who_am_i()).await.err(),
        soon(client.get_ephemerals("/")).await.err(),
        soon(client.get_all_children_number("/")).await.err(),
    ];
    errors
        .into_iter()
        .enumerate()
        .map(|(i, error)| error.unwrap_or_else(|| panic!("operation {i} succeeds")))
        .collect()
}

#[tokio::test]
async fn watchers_learn_that_the_session_is_over() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_short().await;
    let (_, watch) = soon(client.exists_watched("/a")).await.unwrap();
    let mut events = client.events();
    expire(&client, &wire).await;
    let error = soon(watch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionExpired);
    assert!(error.is_session_over());
    let mut last = None;
    while let Some(event) = soon(events.next()).await {
        last = Some(event);
    }
    assert!(matches!(
        last,
        Some(znode::ClientEvent::State(change)) if change.state == State::Expired
    ));
}

#[tokio::test]
async fn a_session_that_has_expired_cannot_be_resumed() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let (password, session) = (client.session_password(), client.session_id());
    let raw = znode_tests::support::Raw::resume(ground.address(), session, &password[..]);
    wire.refuse();
    let raw = raw.await;
    // The server has handed the session to us, and so the client's link is cut.
    reach(&mut client.states(), State::Suspect).await;
    let ticket = soon(client.detach()).await.unwrap();
    raw.close_session().await;
    let error = ground.try_connect(ConnectOptions::new().resume(ticket)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionExpired);
    assert!(error.is_session_over());
}

#[tokio::test]
async fn a_session_in_use_does_not_expire() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_short().await;
    soon(client.create("/e", "", CreateMode::Ephemeral)).await.unwrap();
    // Two timeouts pass, told by the pings of another session.
    let (_idle, clock) = ground.connect_short().await;
    for pings in 1..=6 {
        clock.until(znode::proto::OpCode::Ping, pings).await;
        soon(client.get_data("/e")).await.unwrap();
    }
    assert_eq!(client.session_timeout(), SHORT);
    assert_eq!(wire.handshakes().len(), 1);
    assert_eq!(client.state(), State::Connected);
}

#[tokio::test]
async fn a_session_expires_while_others_go_on() {
    let ground = Ground::start().await;
    let (one, wire) = ground.connect_short().await;
    let options = ConnectOptions::new().session_timeout(Duration::from_millis(600));
    let other = ground.connect_with(options).await;
    expire(&one, &wire).await;
    soon(other.get_data("/")).await.unwrap();
    assert_eq!(other.state(), State::Connected);
}

#[tokio::test]
async fn a_wrong_password_resumes_nothing() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let ticket = SessionTicket::from_parts(client.session_id(), [7; 16], client.last_zxid());
    let error = ground.try_connect(ConnectOptions::new().resume(ticket)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionExpired);
    soon(client.get_data("/")).await.unwrap();
}
