//! What tests have the server do to its clients.

use super::*;
use crate::node::faults::{Loss, Release};

impl World {
    fn lose(&mut self, op: Option<OpCode>, path: Option<&str>, spared: u32) {
        let path = path.map(|path| path.as_bytes().into());
        self.out.losses.add(Loss { op, path, spared });
    }
}

#[test]
fn the_reply_to_the_nth_matching_write_is_lost_and_its_connection_with_it() {
    let mut world = World::new();
    let (c, session, password) = world.connect_for(10_000);
    let other = world.connect();
    world.lose(Some(OpCode::Create), Some("/a/n-"), 1);
    world.create(c, "/a");
    // What fails has done nothing, and is not counted.
    assert_eq!(world.error(c, OpCode::Delete, &delete("/a/n-", -1)), ErrorCode::NoNode);
    world.create_mode(c, "/a/n-", 2).unwrap();
    world.call(other, OpCode::GetChildren, &read("/a", true));
    world.send(c, OpCode::Create.code(), &create("/a/n-", 2));
    assert!(world.is_closed(c) && world.take(c).is_none());
    assert_eq!(world.children(other, "/a").len(), 2, "it has happened");
    assert_eq!(world.out.losses.count(), 1);
    // The session lives, and the next one has its reply.
    let again = world.accept();
    world.handshake(again, &hello(10_000, session, &password));
    assert_eq!(world.connect_response(again).0, session);
    world.create_mode(again, "/a/n-", 2).unwrap();
    assert!(world.node.watch_views().is_empty());
}

#[test]
fn a_lost_reply_of_a_slow_disk_is_lost_after_the_commit_and_nothing_follows_it() {
    let mut world = World::new();
    let (c, other) = (world.connect(), world.connect());
    world.slow_disk = true;
    world.lose(None, Some("/b"), 0);
    world.send(c, OpCode::Create.code(), &create("/a", 0));
    let ops =
        vec![MultiOp::Create(OpCode::Create, create("/b", 0)), MultiOp::Delete(delete("/a", -1))];
    world.send(c, OpCode::Multi.code(), &MultiRequest { ops });
    world.send(c, OpCode::Exists.code(), &read("/b", false));
    assert!(!world.is_closed(c));
    world.slow_disk = false;
    world.persist();
    assert!(world.is_closed(c));
    assert_eq!(world.take(c).map(|answer| answer.header.error), Some(ErrorCode::Ok), "/a");
    assert!(world.take(c).is_none(), "nothing behind the lost one");
    assert!(world.stat(other, "/b").is_some() && world.stat(other, "/a").is_none());
}

#[test]
fn an_older_release_refuses_what_it_does_not_know() {
    for (release, unknown) in [
        (Release::V3_4, vec![OpCode::Create2, OpCode::CreateTtl, OpCode::RemoveWatches]),
        (Release::V3_5, vec![OpCode::AddWatch, OpCode::MultiRead, OpCode::SetWatches2]),
        (Release::V3_6, vec![OpCode::WhoAmI]),
        (Release::V3_9, vec![]),
    ] {
        let mut world = World::with(Settings::ruled(|rules| rules.release = release));
        for op in unknown {
            let c = world.connect();
            assert_eq!(world.error(c, op, &create("/a", 0)), ErrorCode::Unimplemented, "{op:?}");
            assert!(world.is_closed(c));
        }
        let c = world.connect();
        world.create(c, "/a");
        let knows_it = release >= Release::V3_5;
        let ops = vec![MultiOp::Create(OpCode::Create2, create("/b", 0))];
        let answer = world.call(c, OpCode::Multi, &MultiRequest { ops });
        let expected = if knows_it { ErrorCode::Ok } else { ErrorCode::MarshallingError };
        assert_eq!(answer.header.error, expected, "{release:?}");
        assert_eq!(world.stat(c, "/b").is_some(), knows_it);
    }
}
