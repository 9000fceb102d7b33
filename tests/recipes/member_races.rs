//! Members whose access control lists change, and nodes at which replies, servers and hands meet.

use std::collections::BTreeMap;

use std::time::Duration;

use futures::StreamExt;
use znode::proto::OpCode;
use znode::{Acl, Client, CreateMode, ErrorKind, Op, Outcome, Parents, Perms, State, Version};
use znode_recipes::{Group, GroupChanges, PersistentNode, RecipeError, TtlNode};
use znode_testing::{InstanceSpec, TestingServer};

use crate::ground::{Ground, readmit, soon, state_is};

const GROUP: &str = "/members";
const NODE: &str = "/members/one";
const HOUR: Duration = Duration::from_secs(3600);

/// Whether this is the client's own lost connection, with nothing known of what was asked.
fn is_loss(error: &RecipeError) -> bool {
    let kind = error.client_error().map(znode::Error::kind);
    kind == Some(ErrorKind::ConnectionLoss) && error.outcome() == Outcome::Unknown
}

/// Waits until these are the members, each with its name for data.
async fn members_are(changes: &mut GroupChanges, wanted: &[&str]) {
    let wanted: BTreeMap<_, _> =
        wanted.iter().map(|id| ((*id).to_owned(), id.as_bytes().to_vec())).collect();
    while soon(changes.next()).await.expect("the stream goes on").unwrap() != wanted {}
}

/// In another's place, under the same name; and where its access control list was set right.
#[tokio::test]
async fn a_member_that_could_not_be_read_once_is_told_of_when_it_can() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    soon(other.ensure_path(GROUP, Parents::Container)).await.unwrap();
    let sealed = [Acl::new(Perms::ADMIN, "world", "anyone").unwrap()];
    for name in ["a", "b"] {
        let path = format!("{GROUP}/{name}");
        let made = other.create_with_acl(&path, name, CreateMode::Ephemeral, &sealed);
        soon(made).await.unwrap();
    }
    let group = Group::new(&client, GROUP);
    let mut changes = group.changes();
    members_are(&mut changes, &[]).await;
    let anew = [
        Op::delete("/members/a", Version::ANY),
        Op::create("/members/a", "a", CreateMode::Ephemeral),
    ];
    soon(other.multi(anew)).await.unwrap();
    members_are(&mut changes, &["a"]).await;
    // Nothing tells of that before something else happens.
    soon(other.set_acl("/members/b", &[Acl::open()], Version::ANY)).await.unwrap();
    soon(other.create("/members/c", "c", CreateMode::Ephemeral)).await.unwrap();
    members_are(&mut changes, &["a", "b", "c"]).await;
    assert_eq!(soon(group.members()).await.unwrap().len(), 3);
}

/// Its limit is lower than the client's, and a closed connection is its answer: for ever, to
/// whoever asks for ever. On our server only.
#[tokio::test(start_paused = true)]
async fn data_at_which_a_server_closes_the_connection_is_refused_and_not_written_for_ever() {
    let spec = InstanceSpec::new().frame_len_max(16 << 10);
    let server = TestingServer::start_with(spec).await.unwrap();
    let client: Client = server.connect().await.unwrap();
    let big = vec![b'x'; 32 << 10];
    let ephemeral = |data: &[u8]| PersistentNode::ephemeral(&client, NODE, data).unwrap();
    let persistent = |data: &[u8]| PersistentNode::persistent(&client, NODE, data).unwrap();
    for node in [ephemeral(&big), persistent(&big)] {
        assert!(is_loss(&soon(node.until_created()).await.unwrap_err()));
    }
    let lease = TtlNode::new(&client, NODE, HOUR, &big).unwrap();
    assert!(is_loss(&soon(lease.until_created()).await.unwrap_err()));
    assert!(soon(client.exists(NODE)).await.unwrap().is_none());
    for node in [ephemeral(b"first"), persistent(b"first")] {
        soon(node.until_created()).await.unwrap();
        for next in ["second", "third"] {
            assert!(is_loss(&soon(node.set(&big)).await.unwrap_err()));
            soon(node.set(next)).await.unwrap();
            assert_eq!(&soon(client.get_data(NODE)).await.unwrap().0[..], next.as_bytes());
        }
        soon(node.remove()).await.unwrap();
    }
}

/// A server that is behind shows nothing of a create whose reply was lost, and carries it out
/// later: a look says that there is nothing only behind a `sync`.
#[tokio::test]
async fn a_removal_does_not_believe_a_server_that_is_behind() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    soon(other.ensure_path(NODE, Parents::Container)).await.unwrap();
    let node = "/members/one/node";
    for is_lease in [false, true] {
        let (client, wire) = ground.connect_wired().await;
        let suspect = state_is(&client, State::Suspect);
        wire.refuse();
        let removing = if is_lease {
            wire.cut_before_reply(OpCode::CreateTtl);
            let lease = TtlNode::new(&client, node, HOUR, "").unwrap();
            suspect.await;
            tokio::spawn(lease.remove())
        } else {
            wire.cut_before_reply(OpCode::Create2);
            let kept = PersistentNode::persistent(&client, node, "").unwrap();
            suspect.await;
            tokio::spawn(kept.remove())
        };
        readmit(&client, &wire).await;
        soon(removing).await.unwrap().unwrap();
        // Of a lease's child, too.
        let looks = if is_lease { 2 } else { 1 };
        assert_eq!(wire.count(OpCode::Sync), looks);
        assert_eq!(soon(other.get_children(NODE)).await.unwrap(), [""; 0]);
    }
}
