//! What each write does to the `Stat` of its node and of the parent.

use super::*;

fn later(world: &mut World) {
    world.now += Duration::from_millis(7);
}

#[test]
fn a_create_sets_every_zxid_and_time_of_the_node() {
    let mut world = World::new();
    let c = world.connect();
    later(&mut world);
    let zxid = world.call(c, OpCode::Create, &create("/a", 0)).header.zxid;
    let stat = world.stat(c, "/a").unwrap();
    assert_eq!(
        stat,
        Stat {
            czxid: zxid,
            mzxid: zxid,
            ctime: 1_700_000_000_007,
            mtime: 1_700_000_000_007,
            version: Version(0),
            cversion: 0,
            aversion: Version(0),
            ephemeral_owner: SessionId::NONE,
            data_length: 4,
            num_children: 0,
            pzxid: zxid,
        }
    );
}

#[test]
fn edge_01_creating_and_deleting_a_child_raise_the_parents_cversion_and_pzxid_only() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/p");
    let before = world.stat(c, "/p").unwrap();
    later(&mut world);
    let created = world.call(c, OpCode::Create, &create("/p/c", 0)).header.zxid;
    let stat = world.stat(c, "/p").unwrap();
    assert_eq!(stat, Stat { cversion: 1, num_children: 1, pzxid: created, ..before });
    let deleted = world.call(c, OpCode::Delete, &delete("/p/c", -1)).header.zxid;
    let stat = world.stat(c, "/p").unwrap();
    assert_eq!(stat, Stat { cversion: 2, num_children: 0, pzxid: deleted, ..before });
}

#[test]
fn set_data_raises_version_and_mzxid_and_leaves_the_children_alone() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/a");
    let before = world.stat(c, "/a").unwrap();
    later(&mut world);
    let answer = world.call(c, OpCode::SetData, &set_data("/a", b"longer", 0));
    let stat = answer.read::<StatReply>().stat;
    assert_eq!(
        stat,
        Stat {
            mzxid: answer.header.zxid,
            mtime: before.mtime + 7,
            version: Version(1),
            data_length: 6,
            ..before
        }
    );
    assert_eq!(world.stat(c, "/a"), Some(stat));
}

#[test]
fn set_acl_raises_aversion_only() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/a");
    let before = world.stat(c, "/a").unwrap();
    later(&mut world);
    let answer = world.call(c, OpCode::SetAcl, &set_acl("/a", open(), 0));
    let stat = answer.read::<StatReply>().stat;
    assert_eq!(stat, Stat { aversion: Version(1), ..before });
}

#[test]
fn an_ephemeral_node_shows_its_owner_and_goes_as_a_deletion() {
    let mut world = World::new();
    let (owner, session, _) = world.connect_for(10_000);
    let c = world.connect();
    world.create(c, "/p");
    world.create_mode(owner, "/p/e", 1).unwrap();
    assert_eq!(world.stat(c, "/p/e").unwrap().ephemeral_owner, session);
    let closed = world.call(owner, OpCode::CloseSession, &Empty).header;
    assert_eq!(closed.error, ErrorCode::Ok);
    assert_eq!(world.stat(c, "/p/e"), None);
    let parent = world.stat(c, "/p").unwrap();
    assert_eq!((parent.pzxid, parent.cversion), (closed.zxid, 2));
}

#[test]
fn null_data_stays_null() {
    let mut world = World::new();
    let c = world.connect();
    world.call(c, OpCode::Create, &CreateRequest { data: None, ..create("/null", 0) });
    let answer = world.call(c, OpCode::GetData, &read("/null", false));
    let reply: DataReply<'_> = answer.read();
    assert_eq!((reply.data, reply.stat.data_length), (None, 0));
}

#[test]
fn edge_02_a_fresh_server_shows_apaches_numbers() {
    let mut world = World::new();
    let c = world.connect();
    assert_eq!(world.stat(c, "/").unwrap().cversion, -1);
    assert_eq!(world.stat(c, "/zookeeper").unwrap().cversion, -2);
    assert_eq!(world.stat(c, "/zookeeper/config").unwrap().aversion, Version(-1));
    let answer = world.call(c, OpCode::GetAllChildrenNumber, &at("/"));
    assert_eq!(answer.read::<CountReply>().count, 3);
}
