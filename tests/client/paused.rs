//! What takes hours, in no time: the clock is paused, and moves only when everybody waits.
//!
//! These facts are about moments, and all moments here are virtual. They hold on our server only,
//! over its in-memory links: a real one cannot be made to wait.

use std::time::Duration;

use futures::future::pending;
use tokio::time::{Instant, timeout};
use znode::proto::OpCode;
use znode::{Client, ConnectOptions, Connecting, Connector, HostPort};
use znode::{CreateMode, ErrorKind, EventType, State};
use znode_testing::{InstanceSpec, TestingServer};

use crate::ground::{SHORT, TICK, TIMEOUT_MAX, TIMEOUT_MIN, reach};
use znode_tests::support::Wire;

const HOUR: Duration = Duration::from_secs(3600);
const HALF_MINUTE: Duration = Duration::from_secs(30);
/// Timers are as coarse as this.
const GRAIN: Duration = Duration::from_millis(5);

async fn start() -> TestingServer {
    let spec = InstanceSpec::new().tick(TICK).session_timeout_limits(TIMEOUT_MIN, TIMEOUT_MAX);
    TestingServer::start_with(spec).await.unwrap()
}

async fn connect(server: &TestingServer, session_timeout: Duration) -> (Client, Wire) {
    let wire = Wire::over(server.connector());
    let options = ConnectOptions::new().session_timeout(session_timeout).connector(wire.clone());
    let client = options.connect(&server.connect_string()).await.unwrap();
    (client, wire)
}

#[allow(clippy::disallowed_methods, reason = "the clock is paused: this is the test's own time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Lets virtual time pass.
async fn pass(time: Duration) {
    tokio::time::sleep(time).await; // virtual: the clock is paused
}

async fn patiently<F: Future>(what: F) -> F::Output {
    timeout(HOUR, what).await.expect("it happens within an hour")
}

/// Makes an ephemeral node of a client that is never heard of again, and returns how long another
/// client still saw it, and when, if at all by then, the first one knew that its session is over.
async fn watch_expiry(server: &TestingServer, session: Duration) -> (Duration, Duration) {
    let (client, wire) = connect(server, session).await;
    let (other, _) = connect(server, HALF_MINUTE).await;
    client.create("/e", "", CreateMode::Ephemeral).await.unwrap();
    other.sync("/").await.unwrap();
    let (_, watch) = other.exists_watched("/e").await.unwrap();
    let mut states = client.states();
    client.sync("/").await.unwrap();
    let heard = now();
    wire.stall();
    let known = tokio::spawn(async move {
        loop {
            let change = futures::StreamExt::next(&mut states).await.unwrap();
            if change.state == State::Expired {
                return now();
            }
        }
    });
    let event = patiently(watch).await.unwrap();
    let gone = now() - heard;
    assert_eq!(event.kind, EventType::NodeDeleted);
    let known = patiently(known).await.unwrap() - heard;
    other.close().await.unwrap();
    (gone, known)
}

#[tokio::test(start_paused = true)]
async fn another_client_sees_a_session_of_half_a_minute_expire() {
    let server = start().await;
    let (gone, _) = watch_expiry(&server, HALF_MINUTE).await;
    assert!(gone >= HALF_MINUTE, "{gone:?} is early");
    assert!(gone <= HALF_MINUTE + 2 * TICK, "{gone:?} is late");
}

#[tokio::test(start_paused = true)]
async fn expiry_is_never_early_and_at_most_two_ticks_late() {
    let server = start().await;
    for millis in [200, 250, 333, 1000, 1234, 9999, 60_000] {
        // Each starts at another point between two ticks.
        for offset in [0, 1, 49, 50, 99] {
            pass(Duration::from_millis(offset)).await;
            let session = Duration::from_millis(millis);
            let (gone, _) = watch_expiry(&server, session).await;
            assert!(gone >= session, "{session:?}: {gone:?} is early");
            assert!(gone <= session + 2 * TICK, "{session:?}: {gone:?} is late");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_knows_that_its_session_is_over_before_others_can() {
    let server = start().await;
    for session in [TIMEOUT_MIN, SHORT, HALF_MINUTE, TIMEOUT_MAX] {
        let (gone, known) = watch_expiry(&server, session).await;
        assert!(known <= gone, "{session:?}: known at {known:?}");
        assert!(known <= session + GRAIN, "{session:?}: known at {known:?}");
        assert!(known + GRAIN >= session, "{session:?}: known at {known:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn expiry_is_raised_in_time_also_while_no_server_can_be_reached() {
    let server = start().await;
    let (client, wire) = connect(&server, HALF_MINUTE).await;
    let mut states = client.states();
    client.sync("/").await.unwrap();
    let heard = now();
    wire.refuse();
    wire.cut();
    let waiting = client.get_data("/");
    let error = patiently(waiting).await.unwrap_err();
    let known = now() - heard;
    assert_eq!(error.kind(), ErrorKind::SessionExpired);
    assert!(known <= HALF_MINUTE + GRAIN, "known at {known:?}");
    assert!(known + GRAIN >= HALF_MINUTE, "known at {known:?}");
    reach(&mut states, State::Expired).await;
}

#[tokio::test(start_paused = true)]
async fn silence_is_suspicious_after_two_thirds_of_the_timeout() {
    let server = start().await;
    let (client, wire) = connect(&server, HALF_MINUTE).await;
    let mut states = client.states();
    client.sync("/").await.unwrap();
    let heard = now();
    wire.stall();
    loop {
        let change = patiently(futures::StreamExt::next(&mut states)).await;
        if change.unwrap().state == State::Suspect {
            break;
        }
    }
    let silent = now() - heard;
    assert!(silent + GRAIN >= HALF_MINUTE * 2 / 3, "after {silent:?}");
    assert!(silent <= HALF_MINUTE * 2 / 3 + GRAIN, "after {silent:?}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_is_kept_alive_for_an_hour() {
    let server = start().await;
    let (client, wire) = connect(&server, HALF_MINUTE).await;
    let session = client.session_id();
    client.create("/e", "", CreateMode::Ephemeral).await.unwrap();
    pass(HOUR).await;
    assert_eq!(client.state(), State::Connected);
    assert_eq!(client.session_id(), session);
    assert_eq!(wire.handshakes().len(), 1);
    assert!(client.exists("/e").await.unwrap().is_some());
    // About one each third of the timeout, and no shower of them.
    let pings = wire.count(OpCode::Ping);
    assert!((350..=400).contains(&pings), "{pings} pings");
}

#[tokio::test(start_paused = true)]
async fn a_link_that_comes_back_in_time_brings_the_session_back() {
    let server = start().await;
    let (client, wire) = connect(&server, HALF_MINUTE).await;
    client.create("/e", "", CreateMode::Ephemeral).await.unwrap();
    for _ in 0..10 {
        wire.refuse();
        wire.cut();
        pass(HALF_MINUTE * 2 / 3).await;
        assert_eq!(client.state(), State::Suspect);
        wire.admit();
        let stat = patiently(client.exists("/e")).await.unwrap();
        assert!(stat.is_some());
    }
    assert_eq!(client.state(), State::Connected);
}

#[tokio::test(start_paused = true)]
async fn a_client_does_not_hammer_a_server_that_refuses_it() {
    let server = start().await;
    let (client, wire) = connect(&server, TIMEOUT_MAX).await;
    let attempts = wire.attempts();
    wire.refuse();
    wire.cut();
    pass(TIMEOUT_MAX / 2).await;
    assert_eq!(client.state(), State::Suspect);
    let attempts = wire.attempts() - attempts;
    assert!((5..=300).contains(&attempts), "{attempts} attempts");
}

/// Attempts of it never come to anything.
#[derive(Debug)]
struct Nowhere;

impl Connector for Nowhere {
    fn connect(&self, _: &HostPort) -> Connecting {
        Box::pin(pending())
    }
}

#[tokio::test(start_paused = true)]
async fn connect_gives_up_when_its_time_is_over() {
    for limit in [Duration::from_millis(50), HALF_MINUTE, HOUR / 2] {
        let asked = now();
        let error = patiently(
            ConnectOptions::new()
                .connector(Nowhere)
                .connect_timeout(limit)
                .connect("nowhere:1,nobody:2"),
        )
        .await
        .unwrap_err();
        let waited = now() - asked;
        assert_eq!(error.kind(), ErrorKind::ConnectTimeout);
        assert!(waited + GRAIN >= limit, "{limit:?}: after {waited:?}");
        assert!(waited <= limit + GRAIN, "{limit:?}: after {waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restarted_server_gives_every_session_its_whole_timeout() {
    let server = start().await;
    let (client, _wire) = connect(&server, HALF_MINUTE).await;
    client.create("/e", "x", CreateMode::Ephemeral).await.unwrap();
    server.stop().await;
    pass(HALF_MINUTE / 2).await;
    assert_eq!(client.state(), State::Suspect);
    server.restart().await.unwrap();
    let (data, stat) = patiently(client.get_data("/e")).await.unwrap();
    assert_eq!(&data[..], b"x");
    assert_eq!(stat.ephemeral_owner, client.session_id());
    pass(HOUR).await;
    assert!(client.exists("/e").await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_the_server_expires_is_over_for_all() {
    let server = start().await;
    let (client, _wire) = connect(&server, HALF_MINUTE).await;
    let (other, _) = connect(&server, HALF_MINUTE).await;
    client.create("/e", "", CreateMode::Ephemeral).await.unwrap();
    other.sync("/").await.unwrap();
    let (_, watch) = other.exists_watched("/e").await.unwrap();
    assert!(server.expire(client.session_id()).await);
    assert_eq!(patiently(watch).await.unwrap().kind, EventType::NodeDeleted);
    let error = loop {
        // What was in flight when the link went is unknown; the next one is told.
        match patiently(client.get_data("/")).await {
            Err(error) if error.kind() == ErrorKind::ConnectionLoss => {}
            other => break other.unwrap_err(),
        }
    };
    assert_eq!(error.kind(), ErrorKind::SessionExpired);
    assert!(!server.expire(client.session_id()).await);
}
