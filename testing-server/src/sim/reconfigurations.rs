//! Who belongs together changes, rule by rule, in worlds in which nothing else happens.

use std::time::Duration;

use znode::proto::requests::ReconfigRequest;
use znode::proto::{ErrorCode, Zxid};

use super::world::{Layout, World};
use crate::node::Node;
use crate::peer::QuorumPeer;
use crate::quorum::QuorumConfig;

/// Some join, some leave.
pub(super) fn request(joining: &str, leaving: &str) -> ReconfigRequest<'static> {
    ReconfigRequest {
        joining: Some(joining.to_owned().into()),
        leaving: Some(leaving.to_owned().into()),
        new_members: None,
        current_config_id: -1,
    }
}

/// So many servers that vote, and others that belong to nobody; servers count from zero here.
fn world(participants: u32, spares: u32) -> World {
    let layout = Layout {
        participants,
        observers: 0,
        spares,
        reconfigures: true,
        clients: 0,
        timeout_ms: 4000,
        in_memory: false,
        committed_log: 500,
        disk_us: 10,
    };
    let mut world = World::quiet(&layout);
    (0..world.servers.len()).for_each(|server| world.start(server));
    settle(&mut world);
    world
}

fn settle(world: &mut World) {
    pass(world, Duration::from_secs(3));
}

fn pass(world: &mut World, time: Duration) {
    let end = world.now + time;
    while world.step(end) {}
}

fn peer(world: &World, server: usize) -> &QuorumPeer {
    let node = world.servers[server].node.as_ref().expect("it is up");
    node.peer.as_deref().expect("it is one of several")
}

fn agreed(world: &World, server: usize) -> &QuorumConfig {
    &peer(world, server).quorums.committed
}

fn voters(world: &World, server: usize) -> Vec<i64> {
    agreed(world, server).voters().map(|sid| sid.0).collect()
}

fn leader(world: &World) -> usize {
    let leads =
        |server: &usize| world.servers[*server].node.as_ref().is_some_and(Node::is_deciding);
    let leaders: Vec<usize> = (0..world.servers.len()).filter(leads).collect();
    assert_eq!(leaders.len(), 1, "{leaders:?}");
    leaders[0]
}

/// A change that there is nothing against.
fn change(world: &mut World, leader: usize, request: &ReconfigRequest<'_>) -> Zxid {
    world.ask_reconfiguration(leader, request).expect("there is nothing against it")
}

/// Nothing that one sends reaches the other until everything is healed.
fn cut(world: &mut World, from: usize, to: usize) {
    world.cut.entry((from, to)).or_default();
}

#[test]
fn zk_1783_what_servers_are_started_with_has_the_version_of_the_first_epoch() {
    let world = world(3, 1);
    for server in 0..4 {
        // The last was told that it is the fourth of four, and nobody else was.
        assert_eq!(voters(&world, server), [1, 2, 3], "{server}");
        assert_eq!(agreed(&world, server).version, Zxid(1 << 32));
    }
    assert_eq!(peer(&world, 3).state(), "following - broadcast");
}

#[test]
fn of_two_changes_the_second_waits() {
    let mut world = world(2, 0);
    let leads = leader(&world);
    cut(&mut world, leads, 1 - leads);
    let moves = request("server.1=h1:1:7;9", "");
    let zxid = change(&mut world, leads, &moves);
    assert_eq!(peer(&world, leads).reconfig_under_way(), Some(zxid));
    let again = world.ask_reconfiguration(leads, &moves);
    assert_eq!(again, Err(ErrorCode::ReconfigInProgress));
    world.mend();
    settle(&mut world);
    assert_eq!(agreed(&world, leads).version, zxid);
    let leads = leader(&world);
    assert!(world.ask_reconfiguration(leads, &request("server.1=h1:1:8;9", "")).is_ok());
}

#[test]
fn a_change_is_of_the_configuration_that_was_read() {
    let mut world = world(3, 0);
    let leads = leader(&world);
    let of = |version| ReconfigRequest { current_config_id: version, ..request("", "1") };
    assert_eq!(world.ask_reconfiguration(leads, &of(0)), Err(ErrorCode::BadVersion));
    assert!(world.ask_reconfiguration(leads, &of(1 << 32)).is_ok());
}

#[test]
fn nobody_is_left_behind_without_a_quorum_that_has_caught_up() {
    let mut world = world(3, 2);
    world.kill(3);
    world.kill(4);
    settle(&mut world);
    let leads = leader(&world);
    // Of {1, 4, 5} one alone follows.
    let other = if leads == 1 { "1,3" } else { "1,2" };
    let join = request("server.4=h4:1:2;9,server.5=h5:1:2;9", other);
    assert_eq!(world.ask_reconfiguration(leads, &join), Err(ErrorCode::NewConfigNoQuorum));
    world.start(3);
    settle(&mut world);
    let leads = leader(&world);
    assert!(world.ask_reconfiguration(leads, &join).is_ok());
}

#[test]
fn a_new_leader_completes_what_the_last_one_has_only_proposed() {
    let mut world = world(3, 0);
    let leads = leader(&world);
    let others: Vec<usize> = (0..3).filter(|server| *server != leads).collect();
    // It is proposed and logged; the acknowledgements never arrive.
    others.iter().for_each(|other| cut(&mut world, *other, leads));
    let leaving = (others[0] + 1).to_string();
    let zxid = change(&mut world, leads, &request("", &leaving));
    pass(&mut world, Duration::from_millis(60));
    assert_eq!(peer(&world, others[1]).reconfig_under_way(), Some(zxid));
    world.kill(leads);
    settle(&mut world);
    // Of the two that are left one is to leave: with the other alone there is no quorum.
    assert!(others.iter().all(|other| !peer(&world, *other).is_serving()));
    world.mend();
    settle(&mut world);
    for server in 0..3 {
        assert_eq!(agreed(&world, server).version, zxid, "{server}");
        assert_eq!(voters(&world, server).len(), 2);
        assert!(peer(&world, server).quorums.proposed.is_none());
    }
}

#[test]
fn what_nobody_else_has_seen_is_forgotten_by_whoever_proposed_it() {
    let mut world = world(3, 0);
    let leads = leader(&world);
    let others: Vec<usize> = (0..3).filter(|server| *server != leads).collect();
    others.iter().for_each(|other| cut(&mut world, leads, *other));
    let leaving = (others[0] + 1).to_string();
    let zxid = change(&mut world, leads, &request("", &leaving));
    pass(&mut world, Duration::from_millis(10));
    world.kill(leads);
    world.cut.clear();
    settle(&mut world);
    assert_eq!(voters(&world, others[0]), [1, 2, 3]);
    world.start(leads);
    assert_eq!(peer(&world, leads).reconfig_under_way(), Some(zxid), "it was written down");
    settle(&mut world);
    assert_eq!((voters(&world, leads), agreed(&world, leads).version.0), (vec![1, 2, 3], 1 << 32));
    assert_eq!(peer(&world, leads).reconfig_under_way(), None);
}

#[test]
fn what_was_lost_with_the_power_is_completed_by_nobody() {
    let mut world = world(3, 0);
    let leads = leader(&world);
    (0..3).for_each(|other| cut(&mut world, leads, other));
    let zxid = change(&mut world, leads, &request("", "1"));
    // The configuration is on the disk, the transaction is not.
    let disk = &mut world.servers[leads].disk;
    disk.complete();
    disk.waiting.clear();
    (0..3).for_each(|server| world.kill(server));
    world.cut.clear();
    (0..3).for_each(|server| world.start(server));
    assert_eq!(peer(&world, leads).reconfig_under_way(), Some(zxid));
    settle(&mut world);
    assert_eq!(leader(&world), leads);
    for server in 0..3 {
        assert_eq!(voters(&world, server), [1, 2, 3], "{server}");
        assert_eq!(peer(&world, server).reconfig_under_way(), None, "{server}");
    }
    let digests = world.digests();
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}

#[test]
fn a_server_that_was_away_learns_whom_to_ask() {
    let mut world = world(2, 3);
    let leads = leader(&world);
    change(&mut world, leads, &request("server.3=h3:1:2;9", ""));
    settle(&mut world);
    // The third one sleeps while everybody else is exchanged.
    world.kill(2);
    settle(&mut world);
    let leads = leader(&world);
    let join = request("server.4=h4:1:2;9,server.5=h5:1:2;9", "1,2");
    change(&mut world, leads, &join);
    settle(&mut world);
    assert_eq!(voters(&world, 3), [3, 4, 5]);
    world.start(2);
    assert_eq!(voters(&world, 2), [1, 2, 3]);
    settle(&mut world);
    assert_eq!(voters(&world, 2), [3, 4, 5]);
    assert!(world.is_settled());
}

#[test]
fn whoever_is_no_member_follows_and_does_not_count() {
    let mut world = world(3, 0);
    let leads = leader(&world);
    let follower = (leads + 1) % 3;
    let leaving = (follower + 1).to_string();
    change(&mut world, leads, &request("", &leaving));
    settle(&mut world);
    assert_eq!(peer(&world, follower).state(), "following - broadcast");
    // Two of two are needed now, and the one that has left is none of them.
    let other = (leads + 2) % 3;
    world.kill(other);
    settle(&mut world);
    assert!(!peer(&world, leads).is_serving() && !peer(&world, follower).is_serving());
}

#[test]
fn whoever_is_to_vote_and_does_not_know_it_helps_all_the_same() {
    let mut world = world(1, 1);
    cut(&mut world, 0, 1);
    let zxid = change(&mut world, 0, &request("server.2=h2:1:2;9", ""));
    settle(&mut world);
    assert!(!peer(&world, 0).is_serving(), "two of two are needed");
    assert_eq!(peer(&world, 1).reconfig_under_way(), None);
    // And it is ahead of the other in rounds.
    world.kill(0);
    settle(&mut world);
    world.mend();
    settle(&mut world);
    assert_eq!((agreed(&world, 0).version, voters(&world, 1)), (zxid, vec![1, 2]));
    assert!(world.is_settled());
}

#[test]
fn whoever_is_to_vote_is_no_candidate_for_those_who_do_not_know_it() {
    let mut world = world(2, 1);
    let leads = leader(&world);
    let other = 1 - leads;
    // The third one logs what the second one never hears of, and has the largest number.
    cut(&mut world, leads, other);
    let leaving = (other + 1).to_string();
    let zxid = change(&mut world, leads, &request("server.3=h3:1:2;9", &leaving));
    pass(&mut world, Duration::from_millis(60));
    assert_eq!(peer(&world, 2).reconfig_under_way(), Some(zxid));
    assert_eq!(peer(&world, other).reconfig_under_way(), None);
    world.kill(leads);
    world.cut.clear();
    world.start(leads);
    settle(&mut world);
    assert!(world.is_settled());
    assert_eq!(voters(&world, other), voters(&world, leads));
    assert_eq!(agreed(&world, other).version, zxid);
}

#[cfg(feature = "admin")]
#[test]
fn operators_are_told_who_votes() {
    use crate::admin::json::Json;
    let mut world = world(2, 1);
    let leads = leader(&world);
    change(&mut world, leads, &request("server.3=h3:1:2:observer;9,server.1=h1:5:2;9", ""));
    settle(&mut world);
    let node = world.servers[1].node.as_ref().expect("it is up");
    assert_eq!(
        Json::Map(node.voting_view()).print(),
        r#"{
  "current_config" : {
    "1" : {
      "serverAddresses" : [ "h1:5" ],
      "electionAddresses" : [ "h1:2" ],
      "clientAddress" : "0.0.0.0:9",
      "learnerType" : "participant"
    },
    "2" : {
      "serverAddresses" : [ "h2:1" ],
      "electionAddresses" : [ "h2:2" ],
      "clientAddress" : "0.0.0.0:9",
      "learnerType" : "participant"
    }
  }
}"#
    );
}
