//! Servers that answer wrongly, too much, or not at all: operations fail with the right outcome,
//! the client goes on, and nothing is taken for what it is not.

use std::error::Error as _;
use std::time::Duration;

use znode::proto::multi::{MultiResponse, MultiResult};
use znode::proto::replies::{Create2Reply, DataReply, PathReply};
use znode::proto::{ErrorCode, JutePut, OpCode, ReplyHeader, Xid, Zxid};
use znode::{
    Client, ConnectOptions, CreateMode, ErrorKind, EventType, Op, Outcome, SessionId, Stat, State,
};

use crate::ground::{reach, soon};
use crate::paused::now;
use crate::script::{Peer, Script, TIMEOUT_MS};

fn timeout() -> Duration {
    Duration::from_millis(u64::try_from(TIMEOUT_MS).unwrap())
}

/// After whatever a server did, the same session works on the next connection.
async fn goes_on(client: &Client, script: &mut Script) -> Peer {
    let mut peer = script.accept().await;
    assert_eq!(peer.greet(7).await.session, SessionId(7));
    let read = client.get_data("/again");
    loop {
        let request = peer.request().await;
        if request.op == OpCode::GetData {
            peer.answer_with(request.xid, 9, &DataReply { data: None, stat: Stat::default() })
                .await;
            break;
        }
    }
    soon(read).await.unwrap();
    peer
}

/// What a server sends in place of an answer breaks the connection, and no more.
async fn breaks_the_connection(bytes: &[u8]) {
    let (client, mut peer, mut script) = Script::connected().await;
    let read = client.get_data("/a");
    peer.expect(OpCode::GetData).await;
    peer.raw(bytes).await;
    let error = soon(read).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::ConnectionLoss, Outcome::Unknown));
    assert_eq!(peer.frame().await, None);
    goes_on(&client, &mut script).await;
}

/// A frame around a payload.
fn frame(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut payload = Vec::new();
    write(&mut payload);
    let mut frame = Vec::new();
    frame.put_buffer(Some(&payload));
    frame
}

fn header(xid: i32) -> ReplyHeader {
    ReplyHeader { xid: Xid(xid), zxid: Zxid(1), error: ErrorCode::Ok }
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_another_request_breaks_the_connection() {
    breaks_the_connection(&frame(|out| out.put(&header(5)))).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_no_identity_breaks_the_connection() {
    breaks_the_connection(&frame(|out| out.put(&header(-4)))).await;
}

#[tokio::test(start_paused = true)]
async fn a_frame_without_a_whole_header_breaks_the_connection() {
    breaks_the_connection(&frame(|out| out.put(&1i32))).await;
    breaks_the_connection(&frame(|_| {})).await;
}

#[tokio::test(start_paused = true)]
async fn a_length_that_no_frame_has_breaks_the_connection() {
    breaks_the_connection(&(-1i32).to_be_bytes()).await;
    breaks_the_connection(&i32::MIN.to_be_bytes()).await;
    breaks_the_connection(&i32::MAX.to_be_bytes()).await;
    breaks_the_connection(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_waits_for_breaks_the_connection() {
    let (client, mut peer, mut script) = Script::connected().await;
    peer.answer(1, 1, ErrorCode::Ok).await;
    assert_eq!(peer.frame().await, None);
    goes_on(&client, &mut script).await;
}

#[tokio::test(start_paused = true)]
async fn a_ping_that_nobody_has_sent_is_no_harm() {
    let (client, mut peer, _script) = Script::connected().await;
    peer.answer(-2, 0, ErrorCode::Ok).await;
    let read = client.get_data("/a");
    let request = peer.expect(OpCode::GetData).await;
    peer.answer(request.xid, 1, ErrorCode::NoNode).await;
    assert_eq!(soon(read).await.unwrap_err().kind(), ErrorKind::NoNode);
    assert_eq!(client.state(), State::Connected);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_error_is_passed_on_as_it_is() {
    let (client, mut peer, _script) = Script::connected().await;
    let read = client.get_data("/a");
    let request = peer.expect(OpCode::GetData).await;
    peer.answer(request.xid, 1, ErrorCode::Other(-999)).await;
    let error = soon(read).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other(ErrorCode::Other(-999)));
    assert_eq!(error.outcome(), Outcome::Rejected);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_short_fails_its_request_alone() {
    let (client, mut peer, _script) = Script::connected().await;
    let (created, read) = (client.create("/a", "", CreateMode::Persistent), client.get_data("/a"));
    let request = peer.expect(OpCode::Create2).await;
    peer.answer_with(request.xid, 1, &PathReply { path: "/a".into() }).await;
    let request = peer.expect(OpCode::GetData).await;
    peer.answer_with(request.xid, 2, &DataReply { data: Some(b"x"), stat: Stat::default() }).await;
    let error = soon(created).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Protocol, Outcome::Unknown));
    assert_eq!(&soon(read).await.unwrap().0[..], b"x");
}

#[tokio::test(start_paused = true)]
async fn a_count_beyond_the_frame_is_no_list() {
    let (client, mut peer, _script) = Script::connected().await;
    let listed = client.get_children("/");
    let request = peer.expect(OpCode::GetChildren).await;
    peer.answer_with(request.xid, 1, &i32::MAX).await;
    assert_eq!(soon(listed).await.unwrap_err().kind(), ErrorKind::Protocol);
}

#[tokio::test(start_paused = true)]
async fn a_negative_count_of_descendants_is_no_count() {
    let (client, mut peer, _script) = Script::connected().await;
    let counted = client.get_all_children_number("/");
    let request = peer.expect(OpCode::GetAllChildrenNumber).await;
    peer.answer_with(request.xid, 1, &-3i32).await;
    assert_eq!(soon(counted).await.unwrap_err().kind(), ErrorKind::Protocol);
}

#[tokio::test(start_paused = true)]
async fn a_path_from_outside_the_chroot_is_not_taken_for_one_inside() {
    let (options, script) = Script::new();
    let (client, mut peer, _script) = script.connected_with(options, "script:1/app").await;
    let created = client.create("/a", "", CreateMode::Persistent);
    let request = peer.expect(OpCode::Create2).await;
    let reply = Create2Reply { path: "/apple".into(), stat: Stat::default() };
    peer.answer_with(request.xid, 1, &reply).await;
    assert_eq!(soon(created).await.unwrap_err().kind(), ErrorKind::Protocol);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_with_too_few_results_is_not_taken_for_done() {
    let (client, mut peer, _script) = Script::connected().await;
    let done = client.multi([Op::delete("/a", -1), Op::delete("/b", -1)]);
    let request = peer.expect(OpCode::Multi).await;
    let reply = MultiResponse { results: vec![MultiResult::Delete] };
    peer.answer_with(request.xid, 1, &reply).await;
    let error = soon(done).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Protocol, Outcome::Unknown));
}

#[tokio::test(start_paused = true)]
async fn a_notification_that_cannot_be_read_is_passed_over() {
    let (client, mut peer, _script) = Script::connected().await;
    peer.send(|out| {
        out.put(&header(-1));
        out.put(&77i32);
    })
    .await;
    peer.notify(1, EventType::PersistentWatchRemoved, "/never/watched").await;
    let read = client.get_data("/a");
    let request = peer.expect(OpCode::GetData).await;
    peer.answer(request.xid, 1, ErrorCode::NoNode).await;
    assert_eq!(soon(read).await.unwrap_err().kind(), ErrorKind::NoNode);
}

#[tokio::test(start_paused = true)]
async fn silence_fails_a_request_after_two_thirds_and_the_session_after_all_of_its_timeout() {
    let (client, mut peer, mut script) = Script::connected().await;
    let mut states = client.states();
    let started = now();
    let read = client.get_data("/a");
    peer.expect(OpCode::GetData).await;
    let error = read.await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::ConnectionLoss, Outcome::Unknown));
    assert_eq!(started.elapsed(), timeout() * 2 / 3);
    // The next server takes the connection and is as silent.
    let mut mute = script.accept().await;
    mute.hello().await;
    reach(&mut states, State::Expired).await;
    assert_eq!(started.elapsed(), timeout());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_talks_nonsense_before_a_session_is_not_asked_again_at_once() {
    let (options, mut script) = Script::new();
    let options = options.connect_timeout(Duration::from_secs(5));
    let connecting = tokio::spawn(async move { options.connect("script:1").await });
    let mut attempts = 0;
    while let Some(mut peer) = script.next().await {
        attempts += 1;
        peer.send(|out| out.put_string("not a handshake")).await;
    }
    let error = connecting.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectTimeout);
    assert!((5..40).contains(&attempts), "{attempts} attempts");
}

#[tokio::test(start_paused = true)]
async fn why_no_session_could_be_had_is_told() {
    let options = ConnectOptions::new().connect_timeout(Duration::from_millis(200));
    // A port of this machine that nobody listens on: it was ours and is closed.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    tokio::time::resume();
    let error = soon(options.connect(&address)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectTimeout);
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains("refused"), "{cause}");
}
