//! Writes: which error wins, and what names and modes make of a create.

use super::*;

const MODE_TTL: i32 = 5;

#[test]
fn create_names_its_errors_in_apaches_order() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/here");
    world.create_mode(c, "/eph", 1).unwrap();
    world.create(c, "/closed");
    let nobody = acl(Perms::READ, "digest", "a:b");
    assert_eq!(world.error(c, OpCode::SetAcl, &set_acl("/closed", nobody, -1)), ErrorCode::Ok);
    let bad_acl = |path: &'static str, flags| CreateRequest { acl: None, ..create(path, flags) };

    let cases = [
        // Flags come before everything else.
        (bad_acl("no-slash", 7), ErrorCode::BadArguments),
        // A mode with a time to live needs one, and only createTTL can carry it.
        (bad_acl("no-slash", MODE_TTL), ErrorCode::BadArguments),
        // The path is only looked at for a slash and NUL, then the list is.
        (bad_acl("no-slash", 0), ErrorCode::BadArguments),
        (bad_acl("/nul\0", 0), ErrorCode::BadArguments),
        (bad_acl("/missing/x", 0), ErrorCode::InvalidAcl),
        // The parent, then permission on it, then the rest of the path.
        (create("/missing/./x", 0), ErrorCode::NoNode),
        (create("/p/x/", 0), ErrorCode::NoNode),
        (create("/closed/.", 0), ErrorCode::NoAuth),
        (create("/here/.", 0), ErrorCode::BadArguments),
        (create("/here/", 0), ErrorCode::BadArguments),
        (create("/eph/..", 0), ErrorCode::BadArguments),
        // Existence, then the ephemeral parent.
        (create("/here", 0), ErrorCode::NodeExists),
        (create("/", 0), ErrorCode::NodeExists),
        (create("/eph/x", 0), ErrorCode::NoChildrenForEphemerals),
    ];
    for (request, expected) in cases {
        assert_eq!(world.error(c, OpCode::Create, &request), expected, "{request:?}");
    }
}

#[test]
fn a_time_to_live_needs_the_extended_types_before_anything_else() {
    let settings = Settings::ruled(|rules| rules.extended_types = false);
    let mut world = World::with(settings);
    let c = world.connect();
    let error = world.error(c, OpCode::CreateTtl, &create_ttl("no-slash", MODE_TTL, 0));
    assert_eq!(error, ErrorCode::Unimplemented);
    let error = world.error(c, OpCode::CreateTtl, &create_ttl("no-slash", 9, 0));
    assert_eq!(error, ErrorCode::BadArguments);
}

#[test]
fn a_time_to_live_is_between_one_and_forty_bits() {
    let mut world = World::new();
    let c = world.connect();
    for (ttl_ms, expected) in [
        (0, ErrorCode::BadArguments),
        (1 << 40, ErrorCode::BadArguments),
        ((1 << 40) - 1, ErrorCode::Ok),
    ] {
        let error = world.error(c, OpCode::CreateTtl, &create_ttl("/ttl", MODE_TTL, ttl_ms));
        assert_eq!(error, expected, "{ttl_ms}");
    }
    // A time with a mode that has none.
    let error = world.error(c, OpCode::CreateTtl, &create_ttl("/x", 0, 5));
    assert_eq!(error, ErrorCode::BadArguments);
    let view = world.node.node_view("/ttl").unwrap();
    assert_eq!(view.ttl, Some(Duration::from_millis((1 << 40) - 1)));
    assert_eq!(view.stat.ephemeral_owner, SessionId::NONE);
}

#[test]
fn edge_26_delete_names_its_errors_in_apaches_order() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/p");
    world.create(c, "/p/child");
    world.create(c, "/closed");
    world.create(c, "/closed/child");
    let read_only = acl(Perms::READ, "world", "anyone");
    world.call(c, OpCode::SetAcl, &set_acl("/closed", read_only.clone(), -1));
    // The node's own list says nothing about its deletion.
    world.call(c, OpCode::SetAcl, &set_acl("/p/child", read_only, -1));
    for (request, expected) in [
        (delete("no-slash", -1), ErrorCode::BadArguments),
        (delete("", -1), ErrorCode::BadArguments),
        (delete("/", -1), ErrorCode::BadArguments),
        (delete("/zookeeper", -1), ErrorCode::BadArguments),
        (delete("/zookeeper/quota", -1), ErrorCode::BadArguments),
        (delete("/zookeeper/config", -1), ErrorCode::BadArguments),
        (delete("/nul\0", -1), ErrorCode::BadArguments),
        (delete("/missing/x", 5), ErrorCode::NoNode),
        (delete("/closed/missing", 5), ErrorCode::NoAuth),
        (delete("/p/", -1), ErrorCode::NoNode),
        (delete("/p/missing", 5), ErrorCode::NoNode),
        (delete("/p", 5), ErrorCode::BadVersion),
        (delete("/p", 0), ErrorCode::NotEmpty),
        (delete("/p/child", 0), ErrorCode::Ok),
        (delete("/p", 0), ErrorCode::Ok),
    ] {
        assert_eq!(world.error(c, OpCode::Delete, &request), expected, "{request:?}");
    }
}

#[test]
fn set_data_names_its_errors_in_apaches_order() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/a");
    world.create(c, "/closed");
    let read_only = acl(Perms::READ, "world", "anyone");
    world.call(c, OpCode::SetAcl, &set_acl("/closed", read_only, -1));
    for (request, expected) in [
        (set_data("/a/", b"", 9), ErrorCode::BadArguments),
        (set_data("", b"", 9), ErrorCode::BadArguments),
        (set_data("/missing", b"", 9), ErrorCode::NoNode),
        (set_data("/closed", b"", 9), ErrorCode::NoAuth),
        (set_data("/a", b"", 9), ErrorCode::BadVersion),
        (set_data("/a", b"", 0), ErrorCode::Ok),
    ] {
        assert_eq!(world.error(c, OpCode::SetData, &request), expected, "{request:?}");
    }
}

#[test]
fn set_acl_names_its_errors_in_apaches_order() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/a");
    world.create(c, "/closed");
    let read_only = || acl(Perms::READ, "world", "anyone");
    world.call(c, OpCode::SetAcl, &set_acl("/closed", read_only(), -1));
    for (request, expected) in [
        (set_acl("/a/", vec![], 9), ErrorCode::BadArguments),
        (set_acl("/missing", vec![], 9), ErrorCode::InvalidAcl),
        (set_acl("/missing", acl(Perms::ALL, "nobody", "x"), 9), ErrorCode::InvalidAcl),
        (set_acl("/missing", acl(Perms::ALL, "auth", ""), 9), ErrorCode::InvalidAcl),
        (set_acl("/missing", read_only(), 9), ErrorCode::NoNode),
        (set_acl("/closed", read_only(), 9), ErrorCode::NoAuth),
        (set_acl("/a", read_only(), 9), ErrorCode::BadVersion),
        (set_acl("/a", acl(Perms::NONE, "world", "anyone"), 0), ErrorCode::Ok),
    ] {
        assert_eq!(world.error(c, OpCode::SetAcl, &request), expected, "{request:?}");
    }
}

#[test]
fn sequential_names_count_every_child_ever_created() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/q");
    world.create(c, "/q/plain");
    world.delete(c, "/q/plain");
    assert_eq!(world.create_mode(c, "/q/n-", 2).unwrap(), "/q/n-0000000001");
    assert_eq!(world.create_mode(c, "/q/", 3).unwrap(), "/q/0000000002");
    assert_eq!(world.create_mode(c, "/q/.", 2).unwrap(), "/q/.0000000003");
    assert_eq!(world.create_mode(c, "q", 2), Err(ErrorCode::BadArguments));
}

#[test]
fn edge_37_the_sequence_sticks_where_thirty_two_bits_end() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/q");
    world.node.tree.force_cversion(b"/q", i32::MAX);
    assert_eq!(world.create_mode(c, "/q/n", 2).unwrap(), "/q/n2147483647");
    assert_eq!(world.create_mode(c, "/q/n", 2), Err(ErrorCode::NodeExists));
}

#[test]
fn edge_04_the_container_flag_makes_a_container_only_by_its_own_operation() {
    let mut world = World::new();
    let c = world.connect();
    world.create_mode(c, "/plain", 4).unwrap();
    assert!(!world.node.node_view("/plain").unwrap().is_container);
    let answer = world.call(c, OpCode::CreateContainer, &create("/container", 4));
    let reply: Create2Reply<'_> = answer.read();
    assert_eq!(reply.stat.ephemeral_owner, SessionId::NONE);
    assert!(world.node.node_view("/container").unwrap().is_container);
    // Unlike an ephemeral one, a container may have children.
    world.create(c, "/container/child");
}

#[test]
fn the_shape_of_the_reply_follows_the_operation() {
    let mut world = World::new();
    let c = world.connect();
    let answer = world.call(c, OpCode::Create, &create("/1", 0));
    assert_eq!(answer.read::<PathReply<'_>>().path, "/1");
    let answer = world.call(c, OpCode::Create2, &create("/2", 0));
    let reply: Create2Reply<'_> = answer.read();
    assert_eq!((&*reply.path, reply.stat.czxid), ("/2", answer.header.zxid));
    let answer = world.call(c, OpCode::CreateTtl, &create_ttl("/3-", 6, 1000));
    assert_eq!(answer.read::<Create2Reply<'_>>().path, "/3-0000000002");
    assert!(world.call(c, OpCode::Delete, &delete("/1", -1)).body.is_empty());
}

#[test]
fn edge_05_a_write_that_fails_takes_a_zxid_and_one_that_cannot_be_read_does_not() {
    let mut world = World::new();
    let c = world.connect();
    let first = world.call(c, OpCode::Create, &create("/a", 0)).header.zxid;
    let failed = world.call(c, OpCode::Create, &create("/a", 0)).header;
    assert_eq!((failed.zxid, failed.error), (Zxid(first.0 + 1), ErrorCode::NodeExists));
    let unreadable = world.call(c, OpCode::Create, &Raw(b"\0")).header;
    assert_eq!((unreadable.zxid, unreadable.error), (failed.zxid, ErrorCode::MarshallingError));
    let read = world.call(c, OpCode::Exists, &read("/a", false)).header;
    assert_eq!(read.zxid, failed.zxid);
    // A null path can be read; it is what comes of it that fails.
    let null = world.call(c, OpCode::Create, &Raw(&[0xff; 40])).header;
    assert_eq!((null.zxid, null.error), (Zxid(failed.zxid.0 + 1), ErrorCode::MarshallingError));
    assert_eq!(world.delete(c, "/a"), ErrorCode::Ok);
    assert!(!world.is_closed(c));
}

#[test]
fn reconfiguration_is_disabled_on_a_server_that_stands_alone() {
    let mut world = World::new();
    let c = world.connect();
    let request = ReconfigRequest {
        joining: None,
        leaving: Some("3".into()),
        new_members: None,
        current_config_id: -1,
    };
    assert_eq!(world.error(c, OpCode::Reconfig, &request), ErrorCode::ReconfigDisabled);
    // Switched on, there is still nobody to be joined.
    let mut world = World::with(Settings::ruled(|rules| rules.reconfig_enabled = true));
    let c = world.connect();
    assert_eq!(world.error(c, OpCode::Reconfig, &request), ErrorCode::Unimplemented);
}

#[test]
fn edge_27_and_28_operations_that_are_not_a_clients_close_the_connection_and_not_the_session() {
    let container = Raw(b"\0\0\0\x02/c");
    for op in [13, 20, -10, -1, 0, 10, 99] {
        let mut world = World::new();
        let (c, session, password) = world.connect_for(10_000);
        world.call(c, OpCode::CreateContainer, &create("/c", 4));
        let xid = world.send(c, op, &container);
        let answer = world.take(c).unwrap();
        assert_eq!(
            answer.header,
            ReplyHeader { xid, zxid: Zxid(-1), error: ErrorCode::Unimplemented }
        );
        assert!(world.is_closed(c), "{op}");
        assert!(world.node.node_view("/c").is_some());
        let again = world.accept();
        world.handshake(again, &hello(10_000, session, &password));
        assert_eq!(world.connect_response(again).0, session);
    }
}

#[test]
fn lists_are_kept_as_they_were_expanded() {
    let mut world = World::new();
    let c = world.connect();
    assert_eq!(world.add_auth(c, "digest", b"me:pw"), ErrorCode::Ok);
    let request = CreateRequest { acl: Some(acl(Perms::ALL, "auth", "")), ..create("/mine", 0) };
    assert_eq!(world.error(c, OpCode::Create, &request), ErrorCode::Ok);
    let kept = world.node.node_view("/mine").unwrap().acl;
    assert_eq!(kept.len(), 1);
    assert_eq!((&*kept[0].1, kept[0].2.starts_with("me:")), ("digest", true));

    let stranger = world.connect();
    assert_eq!(world.error(stranger, OpCode::GetData, &read("/mine", false)), ErrorCode::NoAuth);
    assert_eq!(world.add_auth(stranger, "digest", b"super:secret"), ErrorCode::Ok);
    assert_eq!(world.error(stranger, OpCode::GetData, &read("/mine", false)), ErrorCode::Ok);
}

#[test]
fn edge_24_a_pending_list_of_the_root_is_seen_by_a_create_below_it() {
    let mut world = World::new();
    let c = world.connect();
    let none = acl(Perms::READ, "world", "anyone");
    assert_eq!(world.error(c, OpCode::SetAcl, &set_acl("/", none, -1)), ErrorCode::Ok);
    assert_eq!(world.create_mode(c, "/x", 0), Err(ErrorCode::NoAuth));
}
