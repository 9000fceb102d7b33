//! Members whose access control lists change, and nodes at which replies, servers and hands meet.

use std::collections::BTreeMap;

use futures::StreamExt;
use znode::{Acl, CreateMode, Op, Parents, Perms, Version};
use znode_recipes::{Group, GroupChanges};

use crate::ground::{Ground, soon};

const GROUP: &str = "/members";

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
