//! Sharp edges that no other test stands for; elsewhere they have their number in the name too.
//!
//! Of the forty, 34 is a client's (`tests/client/chroot.rs`), 35 that of a configuration file
//! (`config`), 36 is beside what it is about, in `pipeline/prepare`, and 29 in `auth/check`.

use super::*;

#[test]
fn edge_03_containers_and_times_to_live_show_no_owner() {
    let mut world = World::new();
    let c = world.connect();
    world.call(c, OpCode::CreateContainer, &create("/container", 4));
    world.call(c, OpCode::CreateTtl, &create_ttl("/ttl", 5, 1000));
    for path in ["/container", "/ttl"] {
        assert_eq!(world.stat(c, path).unwrap().ephemeral_owner, SessionId::NONE);
        assert_ne!(world.node.tree.node(path.as_bytes()).unwrap().owner, 0);
    }
}

#[test]
fn edge_09_persistent_watches_are_not_made_up_for() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/a");
    world.set_data(c, "/a", b"missed");
    let restored = SetWatches2Request {
        relative_zxid: Zxid::ZERO,
        data: Vec::new(),
        exist: Vec::new(),
        child: Vec::new(),
        persistent: vec!["/a".into()],
        persistent_recursive: vec!["/".into()],
    };
    world.send(c, OpCode::SetWatches2.code(), &restored);
    assert_eq!(world.take(c).unwrap().header.error, ErrorCode::Ok);
    assert!(world.take(c).is_none(), "nothing was told");
    world.send(c, OpCode::SetData.code(), &set_data("/a", b"seen", -1));
    let told = world.take(c).unwrap().event();
    assert_eq!(told, (EventType::NodeDataChanged, "/a".to_owned()));
}

#[test]
fn edge_15_restored_watches_are_answered_in_order_under_any_number() {
    let mut world = World::new();
    let c = world.connect();
    let nothing = || SetWatchesRequest {
        relative_zxid: Zxid::ZERO,
        data: Vec::new(),
        exist: Vec::new(),
        child: Vec::new(),
    };
    let xids = [Xid(5), Xid(-8), Xid(6)];
    for xid in xids {
        world.frame(c, &request(xid, OpCode::SetWatches.code(), &nothing()));
    }
    assert_eq!(xids.map(|_| world.take(c).unwrap().header.xid), xids);
}

#[test]
fn edge_25_a_trailing_slash_is_a_missing_parent_and_legal_for_a_sequence() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/p");
    assert_eq!(world.create_mode(c, "/p/x/", 0), Err(ErrorCode::NoNode));
    assert_eq!(world.create_mode(c, "/p/", 0), Err(ErrorCode::BadArguments));
    assert_eq!(world.create_mode(c, "/p/", 2).unwrap(), "/p/0000000000");
}

#[test]
fn edge_38_surrogates_are_replaced_and_only_paths_are_refused_for_it() {
    const SURROGATES: &[u8] = b"\xed\xa0\xbd\xed\xb8\x80";
    let mut world = World::new();
    let c = world.connect();
    let create_raw = |path: &[u8], id: &[u8]| {
        let mut body = Vec::new();
        body.put_buffer(Some(path));
        body.put_buffer(None);
        body.put(&1);
        body.put(&31);
        body.put_buffer(Some(b"digest"));
        body.put_buffer(Some(id));
        body.put(&0);
        body
    };
    let path = [b"/", SURROGATES].concat();
    let refused = world.error(c, OpCode::Create, &Raw(&create_raw(&path, b"a:b")));
    assert_eq!(refused, ErrorCode::BadArguments);
    let id = [b"a:", SURROGATES].concat();
    assert_eq!(world.error(c, OpCode::Create, &Raw(&create_raw(b"/a", &id))), ErrorCode::Ok);
}
