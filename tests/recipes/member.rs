//! Nodes that come back, and who is in a group.

use std::collections::BTreeMap;

use futures::{Stream, StreamExt};
use znode::proto::OpCode;
use znode::{Acl, Client, ConnectOptions, CreateMode, ErrorKind, Parents, Perms, Version, Zxid};
use znode_recipes::{
    Group, Layout, Membership, NodeState, NodeStates, PersistentNode, RecipeError, RecipeErrorKind,
};

use crate::ground::{
    CUTS, Ground, delete, disconnect, dropped_at_every_await, is_pending, readmit, reconnect, soon,
};

const NODE: &str = "/members/one";
const GROUP: &str = "/members";

type Begin = fn(&Client, &str, &str) -> Result<PersistentNode, RecipeError>;
const KINDS: [Begin; 2] = [
    |client, path, data| PersistentNode::ephemeral(client, path, data),
    |client, path, data| PersistentNode::persistent(client, path, data),
];

fn ephemeral(client: &Client, data: &str) -> PersistentNode {
    PersistentNode::ephemeral(client, NODE, data).unwrap()
}

async fn data(client: &Client) -> String {
    soon(client.sync("/")).await.unwrap();
    let (data, _) = soon(client.get_data(NODE)).await.unwrap();
    String::from_utf8(data.to_vec()).unwrap()
}

/// Waits until the node stands that is made after `before`.
async fn stands_anew(states: &mut NodeStates, before: Zxid) -> Zxid {
    loop {
        match soon(states.next()).await.expect("it is kept") {
            NodeState::Standing { czxid, .. } if czxid > before => return czxid,
            _ => {}
        }
    }
}

async fn fails(states: &mut NodeStates) -> RecipeError {
    loop {
        if let NodeState::Failed(error) = soon(states.next()).await.expect("it fails") {
            return error;
        }
    }
}

fn is_refusal(error: &RecipeError) -> bool {
    error.client_error().map(znode::Error::kind) == Some(ErrorKind::NoAuth)
}

/// Waits until the group has no member, and nobody watches anything.
async fn nothing_is_left(ground: &Ground, client: &Client) {
    let members = Group::new(client, GROUP);
    while !soon(members.members()).await.unwrap().is_empty() || !ground.watched().await.is_empty() {
        soon(client.sync("/")).await.unwrap();
    }
}

#[tokio::test]
async fn a_node_that_somebody_deletes_comes_back_with_its_data() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    for begin in KINDS {
        let node = begin(&client, NODE, "first").unwrap();
        let mut states = node.states();
        let mut czxid = soon(node.until_created()).await.unwrap();
        for data_now in ["first", "second"] {
            soon(node.set(data_now)).await.unwrap();
            assert_eq!(data(&other).await, data_now);
            delete(&other, NODE).await.unwrap();
            czxid = stands_anew(&mut states, czxid).await;
            assert_eq!(data(&other).await, data_now);
        }
        soon(node.remove()).await.unwrap();
        assert!(soon(other.exists(NODE)).await.unwrap().is_none());
        while soon(states.next()).await.is_some() {}
    }
    nothing_is_left(&ground, &other).await;
}

#[tokio::test]
async fn a_node_is_made_once_and_set_and_removed_though_replies_are_lost() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    for begin in KINDS {
        for cut in CUTS {
            let (client, wire) = ground.connect_wired().await;
            soon(client.ensure_path(GROUP, Parents::Container)).await.unwrap();
            cut(&wire, OpCode::Create2);
            let node = begin(&client, NODE, "first").unwrap();
            let czxid = soon(node.until_created()).await.unwrap();
            let stat = soon(other.exists(NODE)).await.unwrap().unwrap();
            assert_eq!((stat.czxid, stat.version), (czxid, Version(0)));
            cut(&wire, OpCode::Exists);
            soon(node.set("second")).await.unwrap();
            for data_now in ["third", "fourth"] {
                cut(&wire, OpCode::SetData);
                soon(node.set(data_now)).await.unwrap();
                assert_eq!(data(&other).await, data_now);
            }
            let stat = soon(other.exists(NODE)).await.unwrap().unwrap();
            assert_eq!(stat.czxid, czxid, "it was made anew");
            cut(&wire, OpCode::Delete);
            soon(node.remove()).await.unwrap();
            nothing_is_left(&ground, &other).await;
        }
    }
}

/// Curator makes every node anew, or tries to, whenever the connection is.
#[tokio::test]
async fn a_new_connection_costs_no_request_and_shows_what_was_missed() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    let node = ephemeral(&client, "first");
    let mut states = node.states();
    let czxid = soon(node.until_created()).await.unwrap();
    wire.until(OpCode::Exists, 1).await;
    soon(client.sync("/")).await.unwrap();
    let count = || {
        let asked = [OpCode::Create2, OpCode::Exists, OpCode::SetData, OpCode::Delete];
        asked.map(|op| wire.count(op))
    };
    let before = count();
    for _ in 0..3 {
        reconnect(&client, &wire).await;
        soon(client.sync("/")).await.unwrap();
    }
    assert_eq!(count(), before);
    // A change of data is a write, and a look that leaves the next watch.
    let before = wire.requests();
    soon(node.set("second")).await.unwrap();
    wire.until(OpCode::Exists, 2).await;
    soon(client.sync("/")).await.unwrap();
    assert_eq!(wire.requests() - before, 3);
    assert!(matches!(node.state(), NodeState::Standing { czxid: now, .. } if now == czxid));
    disconnect(&client, &wire).await;
    delete(&other, NODE).await.unwrap();
    readmit(&client, &wire).await;
    stands_anew(&mut states, czxid).await;
    drop(node);
    nothing_is_left(&ground, &other).await;
}

/// Curator writes to it, takes it for its own, and is without one when the other session ends.
#[tokio::test]
async fn curator_604_a_dying_sessions_node_is_waited_out() {
    let ground = Ground::start().await;
    let (before, wire) = ground.connect_wired().await;
    let client = ground.connect().await;
    let theirs = ephemeral(&before, "theirs");
    soon(theirs.until_created()).await.unwrap();
    for begin in KINDS {
        let node = begin(&client, NODE, "ours").unwrap();
        let mut states = node.states();
        loop {
            match soon(states.next()).await.unwrap() {
                NodeState::Absent => {}
                NodeState::Occupied { owner, .. } => {
                    assert_eq!(owner, before.session_id());
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(data(&client).await, "theirs");
        // It is not ours to delete.
        soon(node.remove()).await.unwrap();
        assert_eq!(data(&client).await, "theirs");
    }
    let node = ephemeral(&client, "ours");
    let mut created = Box::pin(node.until_created());
    soon(client.sync("/")).await.unwrap();
    assert!(is_pending(&mut created));
    ground.end_session(&before, &wire).await;
    soon(created).await.unwrap();
    let stat = soon(client.exists(NODE)).await.unwrap().unwrap();
    assert_eq!(stat.ephemeral_owner, client.session_id());
    assert!(soon(theirs.remove()).await.unwrap_err().is_session_over());
    assert_eq!(data(&client).await, "ours");
}

/// Whose it is cannot be known, nor when it is gone.
#[tokio::test]
async fn what_may_not_be_seen_is_an_error_and_not_waited_for() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    soon(client.ensure_path(GROUP, Parents::Container)).await.unwrap();
    let nobodys = "nobody:IMKSGt+vlVPIkYkKqmwnSTmUzoE=";
    let hidden = vec![Acl::new(Perms::ALL, "digest", nobodys).unwrap()];
    let theirs = other.with_default_acl(hidden);
    soon(theirs.create(NODE, "theirs", CreateMode::Ephemeral)).await.unwrap();
    for begin in KINDS {
        let node = begin(&client, NODE, "ours").unwrap();
        assert!(is_refusal(&soon(node.until_created()).await.unwrap_err()));
    }
    assert!(soon(other.get_children(GROUP)).await.unwrap().contains(&"one".to_owned()));
}

#[tokio::test]
async fn what_somebody_else_puts_in_its_place_is_not_deleted() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    for is_removed in [false, true] {
        let node = ephemeral(&client, "ours");
        soon(node.until_created()).await.unwrap();
        let mut states = node.states();
        disconnect(&client, &wire).await;
        delete(&other, NODE).await.unwrap();
        soon(other.create(NODE, "theirs", CreateMode::Ephemeral)).await.unwrap();
        if is_removed {
            let removing = tokio::spawn(node.remove());
            readmit(&client, &wire).await;
            soon(removing).await.unwrap().unwrap();
        } else {
            drop(node);
            while soon(states.next()).await.is_some() {}
            readmit(&client, &wire).await;
        }
        for _ in 0..3 {
            soon(client.sync("/")).await.unwrap();
        }
        assert_eq!(data(&other).await, "theirs");
        delete(&other, NODE).await.unwrap();
    }
}

#[tokio::test]
async fn a_node_that_is_there_is_given_the_data_unless_it_has_it() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for (data_now, version) in [("first", 0), ("first", 0), ("second", 1)] {
        let node = PersistentNode::persistent(&client, NODE, data_now).unwrap();
        soon(node.until_created()).await.unwrap();
        // It stays when this is dropped.
        drop(node);
        let stat = soon(client.exists(NODE)).await.unwrap().unwrap();
        assert_eq!((data(&client).await.as_str(), stat.version), (data_now, Version(version)));
    }
    let node = ephemeral(&client, "third");
    let error = soon(node.until_created()).await.unwrap_err();
    assert_eq!((error.kind(), error.path()), (RecipeErrorKind::Foreign, NODE));
    assert_eq!(soon(node.set("x")).await.unwrap_err().kind(), RecipeErrorKind::Foreign);
    assert_eq!(data(&client).await, "second");
}

#[tokio::test]
async fn it_goes_on_with_its_own_sessions_node() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.ensure_path(GROUP, Parents::Container)).await.unwrap();
    let before = soon(client.create(NODE, "first", CreateMode::Ephemeral)).await.unwrap();
    for (data_now, version) in [("first", 0), ("second", 1)] {
        // What is dropped would take it away.
        let node = std::mem::ManuallyDrop::new(ephemeral(&client, data_now));
        assert_eq!(soon(node.until_created()).await.unwrap(), before.stat.czxid);
        let stat = soon(client.exists(NODE)).await.unwrap().unwrap();
        assert_eq!((data(&client).await.as_str(), stat.version), (data_now, Version(version)));
    }
    let node = ephemeral(&client, "second");
    soon(node.until_created()).await.unwrap();
    let ticket = soon(client.detach()).await.unwrap();
    drop(node);
    let resumed = ground.connect_with(ConnectOptions::new().resume(ticket)).await;
    let node = ephemeral(&resumed, "third");
    assert_eq!(soon(node.until_created()).await.unwrap(), before.stat.czxid);
    soon(node.remove()).await.unwrap();
    assert!(soon(resumed.exists(NODE)).await.unwrap().is_none());
}

/// It was deleted while other data was asked for, and that data is refused.
#[tokio::test]
async fn a_node_that_cannot_be_made_with_other_data_is_made_with_what_it_had() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    let node = ephemeral(&client, "first");
    let mut states = node.states();
    let first = stands_anew(&mut states, Zxid::ZERO).await;
    disconnect(&client, &wire).await;
    delete(&other, NODE).await.unwrap();
    let mut setting = Box::pin(node.set(vec![b'x'; 4 << 20]));
    assert!(is_pending(&mut setting));
    wire.admit();
    let error = soon(setting).await.unwrap_err();
    assert_eq!(error.client_error().map(znode::Error::kind), Some(ErrorKind::TooLarge), "{error}");
    if soon(other.exists(NODE)).await.unwrap().is_none() {
        stands_anew(&mut states, first).await;
    }
    assert_eq!(data(&other).await, "first");
    soon(node.set("second")).await.unwrap();
    assert_eq!(data(&other).await, "second");
}

#[tokio::test]
async fn a_node_is_kept_where_too_much_waits() {
    let ground = Ground::start().await;
    let options = ConnectOptions::new().waiting_max(1);
    let (client, wire) = ground.connect_wired_with(options).await;
    disconnect(&client, &wire).await;
    let waiting = client.exists("/");
    let refused = soon(client.exists("/")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    let node = ephemeral(&client, "first");
    let mut made = Box::pin(node.until_created());
    for _ in 0..10 {
        assert!(is_pending(&mut made));
        tokio::task::yield_now().await;
    }
    wire.admit();
    soon(waiting).await.unwrap();
    soon(made).await.unwrap();
    soon(node.remove()).await.unwrap();
}

/// A member that others may not see keeps nobody from seeing the others.
#[tokio::test]
async fn a_member_that_cannot_be_read_is_passed_over() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let group = Group::new(&client, GROUP);
    let member = soon(group.join("ours", "x")).await.unwrap();
    let secret = [Acl::new(Perms::ALL, "digest", "nobody:x").unwrap()];
    let path = format!("{GROUP}/theirs");
    let made = other.create_with_acl(&path, "y", CreateMode::Ephemeral, &secret);
    soon(made).await.unwrap();
    soon(client.sync("/")).await.unwrap();
    let members = soon(group.members()).await.unwrap();
    assert_eq!(members, BTreeMap::from([("ours".to_owned(), b"x".to_vec())]));
    let mut changes = group.changes();
    members_are(&mut changes, &[("ours", "x")]).await;
    soon(member.set("z")).await.unwrap();
    members_are(&mut changes, &[("ours", "z")]).await;
    soon(member.leave()).await.unwrap();
}

/// Curator's latch and node log it, and stay as they are.
#[tokio::test]
async fn refusals_are_errors_and_not_silence() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let sealed = client.with_default_acl(vec![Acl::read_only()]);
    soon(sealed.create("/sealed", "", CreateMode::Persistent)).await.unwrap();
    for begin in KINDS {
        let node = begin(&client, "/sealed/one", "").unwrap();
        let mut states = node.states();
        assert!(is_refusal(&soon(node.until_created()).await.unwrap_err()));
        assert!(is_refusal(&fails(&mut states).await));
        assert!(soon(states.next()).await.is_none());
        assert!(is_refusal(&soon(node.set("x")).await.unwrap_err()));
        assert!(is_refusal(&soon(node.remove()).await.unwrap_err()));
    }
    assert!(is_refusal(&soon(Group::new(&client, "/sealed").join("a", "")).await.unwrap_err()));
    // Data that is refused is not that which it comes back with.
    soon(client.ensure_path(GROUP, Parents::Container)).await.unwrap();
    let node = ephemeral(&sealed, "first");
    let mut states = node.states();
    let czxid = soon(node.until_created()).await.unwrap();
    for _ in 0..2 {
        assert!(is_refusal(&soon(node.set("refused")).await.unwrap_err()));
    }
    delete(&client, NODE).await.unwrap();
    stands_anew(&mut states, czxid).await;
    assert_eq!(data(&client).await, "first");
}

#[tokio::test]
async fn the_end_of_the_session_is_told() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    for begin in KINDS {
        let (client, wire) = ground.connect_wired().await;
        let node = begin(&client, NODE, "").unwrap();
        let mut states = node.states();
        soon(node.until_created()).await.unwrap();
        ground.end_session(&client, &wire).await;
        assert!(fails(&mut states).await.is_session_over());
        assert!(soon(states.next()).await.is_none());
        for error in [node.until_created().await.unwrap_err(), node.set("x").await.unwrap_err()] {
            assert!(error.is_session_over());
        }
        assert!(matches!(node.state(), NodeState::Failed(_)));
        assert!(soon(node.remove()).await.unwrap_err().is_session_over());
    }
    delete(&other, NODE).await.unwrap();
    nothing_is_left(&ground, &other).await;
}

#[tokio::test]
async fn what_cannot_be_a_node_is_refused_by_the_call_that_asks_for_it() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for begin in KINDS {
        let error = begin(&client, "a", "").unwrap_err();
        assert_eq!((error.kind(), error.path()), (RecipeErrorKind::InvalidPath, "a"));
        let error = begin(&client, "/", "").unwrap_err();
        assert_eq!(error.kind(), RecipeErrorKind::InvalidArgument);
    }
    for id in ["", "a/b", ".", ".."] {
        let error = soon(Group::new(&client, GROUP).join(id, "")).await.unwrap_err();
        assert_eq!(error.kind(), RecipeErrorKind::InvalidArgument, "{id}");
    }
    let nowhere = Group::new(&client, "a");
    let errors = [
        soon(nowhere.members()).await.unwrap_err(),
        soon(nowhere.join("a", "")).await.unwrap_err(),
    ];
    assert!(errors.iter().all(|error| error.kind() == RecipeErrorKind::InvalidPath));
    let error = soon(nowhere.changes().next()).await.unwrap().unwrap_err();
    assert!(error.client_error().is_some());
}

async fn members_are<S>(changes: &mut S, wanted: &[(&str, &str)])
where
    S: Stream<Item = Result<BTreeMap<String, Vec<u8>>, RecipeError>> + Unpin,
{
    let wanted: BTreeMap<String, Vec<u8>> =
        wanted.iter().map(|(id, data)| ((*id).to_owned(), data.as_bytes().to_vec())).collect();
    while soon(changes.next()).await.expect("the stream goes on").unwrap() != wanted {}
}

#[tokio::test]
async fn whoever_is_in_a_group_is_known_with_what_it_says_of_itself() {
    let ground = Ground::start().await;
    let (one, wire) = ground.connect_wired().await;
    let (two, observer) = (ground.connect().await, ground.connect().await);
    let group = Group::new(&observer, GROUP);
    let mut changes = group.changes();
    members_are(&mut changes, &[]).await;
    let first = soon(Group::new(&one, GROUP).join("a", "idle")).await.unwrap();
    members_are(&mut changes, &[("a", "idle")]).await;
    let second: Membership = soon(Group::new(&two, GROUP).join("b", "idle")).await.unwrap();
    assert_eq!((second.id(), second.path()), ("b", "/members/b"));
    soon(first.set("busy")).await.unwrap();
    members_are(&mut changes, &[("a", "busy"), ("b", "idle")]).await;
    // Deleted, it comes back.
    delete(&observer, "/members/b").await.unwrap();
    members_are(&mut changes, &[("a", "busy"), ("b", "idle")]).await;
    let members = soon(group.members()).await.unwrap();
    assert_eq!(members["a"], b"busy");
    soon(second.leave()).await.unwrap();
    members_are(&mut changes, &[("a", "busy")]).await;
    ground.end_session(&one, &wire).await;
    members_are(&mut changes, &[]).await;
    assert!(fails(&mut first.states()).await.is_session_over());
    drop((first, changes));
    nothing_is_left(&ground, &observer).await;
}

#[tokio::test]
async fn a_member_of_a_party_stands_there_as_kazoo_makes_it() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let party = Group::new(&client, GROUP).with_layout(Layout::Kazoo);
    let error = soon(party.join("host/1", "idle")).await.unwrap_err();
    assert_eq!((error.kind(), error.path()), (RecipeErrorKind::InvalidArgument, GROUP));
    let membership = soon(party.join("host/1", "")).await.unwrap();
    let (parent, node) = membership.path().rsplit_once('/').unwrap();
    let hex = node.strip_suffix("__party__").expect("the marker");
    assert!(hex.len() == 32 && hex.chars().all(|c| c.is_ascii_hexdigit()), "{hex}");
    assert_eq!((parent, membership.id()), (GROUP, "host/1"));
    let (data, stat) = soon(client.get_data(membership.path())).await.unwrap();
    assert_eq!((&data[..], stat.ephemeral_owner), (&b"host/1"[..], client.session_id()));
    assert_ne!(ground.is_container(GROUP).await, Some(true));
    let error = soon(membership.set("busy")).await.unwrap_err();
    assert_eq!((error.kind(), error.path()), (RecipeErrorKind::InvalidArgument, GROUP));
    soon(membership.set("")).await.unwrap();
    // Others are called alike, or are no members; one's own node comes back.
    let theirs = Group::new(&other, GROUP).with_layout(Layout::Kazoo);
    let again = soon(theirs.join("host/1", "")).await.unwrap();
    soon(other.create("/members/stranger", "x", CreateMode::Ephemeral)).await.unwrap();
    let mut changes = party.changes();
    members_are(&mut changes, &[("host/1", "")]).await;
    assert_eq!(soon(party.members()).await.unwrap().len(), 1);
    let mut states = membership.states();
    delete(&other, membership.path()).await.unwrap();
    stands_anew(&mut states, stat.czxid).await;
    soon(membership.leave()).await.unwrap();
    members_are(&mut changes, &[("host/1", "")]).await;
    soon(again.leave()).await.unwrap();
    members_are(&mut changes, &[]).await;
    assert_eq!(soon(other.get_children(GROUP)).await.unwrap(), ["stranger"]);
}

#[tokio::test]
async fn joining_and_setting_and_leaving_can_be_dropped_at_every_await() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    let all = async |client: &Client| {
        let membership = Group::new(client, GROUP).join("a", "first").await?;
        membership.set("second").await?;
        membership.leave().await
    };
    for cut in [None, Some((CUTS[0], OpCode::Create2)), Some((CUTS[1], OpCode::Create2))] {
        let clean = async || nothing_is_left(&ground, &other).await;
        let dropped = dropped_at_every_await(&ground, cut, all, clean).await;
        assert!(dropped > 2, "nothing was dropped");
    }
}

#[tokio::test]
async fn curator_45_a_node_that_is_dropped_while_it_is_made_leaves_no_ghost() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    for cut in [None, Some(CUTS[0]), Some(CUTS[1])] {
        for yields in 0..20 {
            let (client, wire) = ground.connect_wired().await;
            if let Some(cut) = cut {
                cut(&wire, OpCode::Create2);
            }
            let node = ephemeral(&client, "");
            let mut states = node.states();
            for _ in 0..yields {
                tokio::task::yield_now().await;
            }
            drop(node);
            // The task has ended when its states have.
            while soon(states.next()).await.is_some() {}
            nothing_is_left(&ground, &other).await;
        }
    }
}
