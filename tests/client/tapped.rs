//! What a tap sees: every frame, whatever the operation, and no secret in any.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use znode::proto::OpCode;
use znode::{
    Acl, AddWatchMode, Client, ConnectOptions, CreateMode, Direction, Op, ReadOp, TappedFrame,
    TappedKind, TextTap, WatcherType, WireTap,
};

use crate::ground::{Ground, reconnect, settle, soon};
use znode_tests::support::Wire;

/// What was seen: which way, what, and the line that it prints as.
type Seen = (Direction, TappedKind, String);

#[derive(Clone, Default)]
struct Tap(Arc<Mutex<Vec<Seen>>>);

impl WireTap for Tap {
    fn frame(&self, frame: &TappedFrame<'_>) {
        let line = frame.to_string();
        self.0.lock().unwrap().push((frame.direction, frame.kind, line));
    }
}

impl Tap {
    fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap().clone()
    }

    #[track_caller]
    fn assert_line(&self, parts: &[&str]) {
        let seen = self.seen();
        let found = seen.iter().any(|(_, _, line)| parts.iter().all(|part| line.contains(part)));
        assert!(found, "{parts:?} is in none of {seen:#?}");
    }
}

async fn reads_and_writes(client: &Client) {
    soon(client.create("/a", "some data", CreateMode::Persistent)).await.unwrap();
    soon(client.set_data("/a", vec![b'x'; 1000], 0)).await.unwrap();
    soon(client.get_data("/a")).await.unwrap();
    soon(client.exists("/missing")).await.unwrap();
    soon(client.get_children("/")).await.unwrap();
    soon(client.get_children_with_stat("/")).await.unwrap();
    soon(client.get_all_children_number("/")).await.unwrap();
    soon(client.get_ephemerals("/")).await.unwrap();
    soon(client.get_acl("/a")).await.unwrap();
    soon(client.set_acl("/a", &[Acl::open()], -1)).await.unwrap();
    soon(client.get_config()).await.unwrap_or_default();
    let write = |path| Op::set_data(path, "in a multi", -1);
    soon(client.multi([write("/a"), Op::check("/a", -1)])).await.unwrap();
    soon(client.multi([write("/a"), write("/missing")])).await.unwrap_err();
    soon(client.multi_read([ReadOp::get_data("/a"), ReadOp::get_children("/")])).await.unwrap();
    soon(client.add_auth("digest", "bob:planted-secret")).await.unwrap();
    soon(client.who_am_i()).await.unwrap();
    settle(client).await;
}

#[tokio::test]
async fn every_frame_is_seen_and_can_be_read() {
    let ground = Ground::start().await;
    let (tap, wire) = (Tap::default(), Wire::tcp());
    let options = ConnectOptions::new().wire_tap(tap.clone()).connector(wire.clone());
    let client = ground.connect_with(options).await;
    reads_and_writes(&client).await;
    let watcher = soon(client.add_watch("/a", AddWatchMode::Persistent)).await.unwrap();
    let (_, changed) = soon(client.exists_watched("/b")).await.unwrap();
    reconnect(&client, &wire).await;
    soon(client.create("/b", "", CreateMode::Ephemeral)).await.unwrap();
    soon(changed).await.unwrap();
    soon(client.remove_watches("/a", WatcherType::Any)).await.unwrap();
    drop(watcher);
    soon(client.delete("/b", -1)).await.unwrap();
    soon(client.close()).await.unwrap();

    let seen = tap.seen();
    for (_, kind, line) in &seen {
        assert!(*kind != TappedKind::Garbled && !line.contains("garbled"), "{line}");
        assert!(!line.contains("planted-secret"), "{line}");
    }
    let greeted = seen.iter().filter(|(_, kind, _)| *kind == TappedKind::Handshake).count();
    assert_eq!(greeted, 4);
    let asked = |(direction, kind, _): &Seen| match kind {
        TappedKind::Request { xid, op } => {
            assert_eq!(*direction, Direction::Sent);
            Some((*xid, op.unwrap()))
        }
        _ => None,
    };
    let answered = |(direction, kind, _): &Seen| match kind {
        TappedKind::Reply { xid, op, .. } => {
            assert_eq!(*direction, Direction::Received);
            Some((*xid, op.unwrap()))
        }
        _ => None,
    };
    let mut asked: Vec<_> = seen.iter().filter_map(asked).collect();
    let mut answered: Vec<_> = seen.iter().filter_map(answered).collect();
    asked.sort_unstable();
    answered.sort_unstable();
    assert_eq!(asked, answered);
    for op in [OpCode::SetWatches2, OpCode::MultiRead, OpCode::WhoAmI, OpCode::CloseSession] {
        assert!(asked.iter().any(|(_, asked)| *asked == op), "{op:?} is in none of {asked:?}");
    }
    tap.assert_line(&["->", "Create2", "/a", "data[9]=\"some data\""]);
    tap.assert_line(&["->", "SetData", "data[1000]=\"xxx", "xxx…\""]);
    tap.assert_line(&["->", "Multi", "data[10]=\"in a multi\"", "Check"]);
    tap.assert_line(&["<-", "Multi", "NoNode"]);
    tap.assert_line(&["->", "Auth", "digest", "***"]);
    tap.assert_line(&["<-", "event", "/b"]);
    tap.assert_line(&["->", "handshake", "password: ***"]);
}

/// A place to print to.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_text_tap_prints_a_line_for_each_frame() {
    let ground = Ground::start().await;
    let page = Page::default();
    let options = ConnectOptions::new().wire_tap(TextTap::new(page.clone()));
    let client = ground.connect_with(options).await;
    soon(client.exists("/")).await.unwrap();
    let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(text.contains("#1 Exists Ok zxid=0x"), "{text}");
}
