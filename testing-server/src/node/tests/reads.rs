//! Reads: permissions, null and missing nodes, and the requests that only look around.

use znode::proto::MultiHeader;
use znode::proto::multi::{MultiOp, MultiRequest, MultiResponse, MultiResult};

use super::*;

#[test]
fn children_come_with_and_without_the_stat_of_their_parent() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/p");
    world.create(c, "/p/a");
    world.create(c, "/p/b");
    assert_eq!(world.children(c, "/p"), ["a", "b"]);
    let answer = world.call(c, OpCode::GetChildren2, &read("/p", false));
    let reply: Children2Reply<'_> = answer.read();
    assert_eq!((reply.children.len(), reply.stat.num_children), (2, 2));
}

#[test]
fn reads_need_read_and_a_missing_node_needs_nothing() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/closed");
    world.call(c, OpCode::SetAcl, &set_acl("/closed", acl(Perms::WRITE, "world", "anyone"), -1));
    for op in [OpCode::GetData, OpCode::Exists, OpCode::GetChildren, OpCode::GetChildren2] {
        assert_eq!(world.error(c, op, &read("/closed", true)), ErrorCode::NoAuth, "{op:?}");
        assert_eq!(world.error(c, op, &read("/missing", false)), ErrorCode::NoNode, "{op:?}");
    }
    for op in [OpCode::GetAcl, OpCode::GetAllChildrenNumber] {
        assert_eq!(world.error(c, op, &at("/closed")), ErrorCode::NoAuth, "{op:?}");
        assert_eq!(world.error(c, op, &at("/missing")), ErrorCode::NoNode, "{op:?}");
    }
    // What may not be read leaves no watch.
    assert!(world.node.watch_views().is_empty());
}

#[test]
fn exists_refuses_nul_and_reads_validate_no_path() {
    let mut world = World::new();
    let c = world.connect();
    assert_eq!(world.error(c, OpCode::Exists, &read("/a\0", false)), ErrorCode::BadArguments);
    for path in ["/a\0", "no-slash", "/a//b", "/a/"] {
        assert_eq!(world.error(c, OpCode::GetData, &read(path, false)), ErrorCode::NoNode);
    }
    assert_eq!(world.error(c, OpCode::GetData, &read("", false)), ErrorCode::Ok);
}

#[test]
fn a_body_that_cannot_be_read_is_an_error_and_keeps_the_connection() {
    let mut world = World::new();
    let c = world.connect();
    for op in [
        OpCode::Create,
        OpCode::Delete,
        OpCode::Exists,
        OpCode::GetData,
        OpCode::SetData,
        OpCode::GetAcl,
        OpCode::SetAcl,
        OpCode::GetChildren,
        OpCode::Sync,
        OpCode::GetChildren2,
        OpCode::Multi,
        OpCode::Create2,
        OpCode::Reconfig,
        OpCode::CheckWatches,
        OpCode::RemoveWatches,
        OpCode::CreateContainer,
        OpCode::CreateTtl,
        OpCode::MultiRead,
        OpCode::SetWatches,
        OpCode::SetWatches2,
        OpCode::AddWatch,
        OpCode::GetEphemerals,
        OpCode::GetAllChildrenNumber,
    ] {
        assert_eq!(world.error(c, op, &Raw(b"\0\0")), ErrorCode::MarshallingError, "{op:?}");
    }
    assert!(!world.is_closed(c));
}

#[test]
fn get_acl_hides_hashes_from_whoever_may_not_write_the_list() {
    let mut world = World::new();
    let c = world.connect();
    let list = vec![
        AclRecord::new(Perms::ALL, "digest", "me:hash"),
        AclRecord::new(Perms::READ, "ip", "127.0.0.1"),
    ];
    world.call(c, OpCode::Create, &CreateRequest { acl: Some(list), ..create("/a", 0) });
    let ids = |answer: &Answer| -> Vec<String> {
        let reply: AclReply<'_> = answer.read();
        reply.acl.iter().map(|acl| acl.id.id.as_deref().unwrap().to_owned()).collect()
    };
    let answer = world.call(c, OpCode::GetAcl, &at("/a"));
    assert_eq!(ids(&answer), ["me:x", "127.0.0.1"]);
    world.add_auth(c, "digest", b"super:secret");
    let answer = world.call(c, OpCode::GetAcl, &at("/a"));
    assert_eq!(ids(&answer), ["me:hash", "127.0.0.1"]);
}

#[test]
fn edge_40_sync_echoes_its_path_and_checks_nothing() {
    let mut world = World::new();
    let c = world.connect();
    let answer = world.call(c, OpCode::Sync, &at("not//a path"));
    assert_eq!(answer.read::<PathReply<'_>>().path, "not//a path");
}

#[test]
fn a_ping_is_answered_with_its_own_number() {
    let mut world = World::new();
    let c = world.connect();
    world.frame(c, &request(Xid::PING, OpCode::Ping.code(), &Empty));
    let answer = world.take(c).unwrap();
    assert_eq!(answer.header, ReplyHeader { xid: Xid::PING, zxid: Zxid(1), error: ErrorCode::Ok });
}

#[test]
fn ephemerals_are_this_sessions_and_the_prefix_is_a_plain_one() {
    let mut world = World::new();
    let (c, other) = (world.connect(), world.connect());
    for path in ["/a", "/ab", "/b"] {
        world.create_mode(c, path, 1).unwrap();
    }
    world.create_mode(other, "/other", 1).unwrap();
    let mut list = |prefix: Option<&str>| -> Vec<String> {
        let body = PathRequest { path: prefix.map(Into::into) };
        let answer = world.call(c, OpCode::GetEphemerals, &body);
        let names = answer.read::<NamesReply<'_>>().names;
        names.into_iter().map(Cow::into_owned).collect()
    };
    for all in [None, Some(""), Some(" "), Some("/")] {
        assert_eq!(list(all), ["/a", "/ab", "/b"]);
    }
    assert_eq!(list(Some("/a")), ["/a", "/ab"]);
}

#[test]
fn who_am_i_shows_names_and_no_secrets() {
    let mut world = World::new();
    let c = world.connect();
    world.add_auth(c, "digest", b"super:secret");
    world.add_auth(c, "digest", b"me:pw");
    world.add_auth(c, "digest", b"me:pw");
    assert_eq!(world.add_auth(c, "ip", b""), ErrorCode::Ok);
    let answer = world.call(c, OpCode::WhoAmI, &Empty);
    let reply: WhoAmIReply<'_> = answer.read();
    let infos: Vec<(&str, &str)> =
        reply.client_info.iter().map(|info| (&*info.scheme, &*info.user)).collect();
    let expected = [("ip", "127.0.0.1"), ("super", ""), ("digest", "super"), ("digest", "me")];
    assert_eq!(infos, expected);
}

#[test]
fn an_unknown_scheme_fails_and_closes() {
    let mut world = World::new();
    let c = world.connect();
    assert_eq!(world.add_auth(c, "x509", b"cert"), ErrorCode::AuthFailed);
    assert!(world.is_closed(c));
}

#[test]
fn sasl_without_a_login_is_answered_with_a_null_token() {
    let mut world = World::new();
    let c = world.connect();
    let answer = world.call(c, OpCode::Sasl, &SaslRequest { token: Some(b"") });
    assert_eq!(answer.header.zxid, Zxid::ZERO);
    assert_eq!(answer.read::<SaslRequest<'_>>().token, None);
}

#[test]
fn reads_of_a_multi_stand_each_for_itself() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/a");
    world.create(c, "/a/b");
    let request = MultiRequest {
        ops: vec![
            MultiOp::GetChildren(read("/a", true)),
            MultiOp::GetData(read("/missing", true)),
            MultiOp::GetData(read("/a", true)),
        ],
    };
    let answer = world.call(c, OpCode::MultiRead, &request);
    let results = answer.read::<MultiResponse<'_>>().results;
    assert!(matches!(&results[0], MultiResult::GetChildren(reply) if reply.names == ["b"]));
    assert_eq!(results[1], MultiResult::Error(ErrorCode::NoNode));
    assert!(matches!(&results[2], MultiResult::GetData(reply) if reply.data == Some(b"data")));
    // The flags of the single reads leave no watch.
    assert!(world.node.watch_views().is_empty());
}

#[test]
fn edge_07_a_multi_read_with_a_write_fails_with_a_body() {
    let mut world = World::new();
    let c = world.connect();
    let request = MultiRequest { ops: vec![MultiOp::Delete(delete("/a", -1))] };
    let answer = world.call(c, OpCode::MultiRead, &request);
    let mut terminator = Vec::new();
    terminator.put(&MultiHeader::DONE);
    assert_eq!((answer.header.error, answer.body), (ErrorCode::MarshallingError, terminator));
}
