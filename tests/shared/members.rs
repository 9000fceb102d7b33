//! Nodes that come back, and groups, of Curator's, kazoo's and ours: whoever goes, the other's
//! takes the place, and everybody sees everybody.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use znode::{Client, EventType, Version};
use znode_recipes::{Group, GroupChanges, Layout, NodeState, NodeStates, PersistentNode, TtlNode};
use znode_tests::support::soon;

use crate::Site;
use crate::worker::Others;

/// Waits until our node is as it should be.
async fn becomes(states: &mut NodeStates, is_it: impl Fn(&NodeState) -> bool) {
    while !is_it(&soon(states.next()).await.expect("it is kept")) {}
}

fn stands(state: &NodeState) -> bool {
    matches!(state, NodeState::Standing { .. })
}

fn is_occupied(state: &NodeState) -> bool {
    matches!(state, NodeState::Occupied { .. })
}

/// What stands there, and whether it is our session's.
async fn look(client: &Client, path: &str) -> (String, bool) {
    soon(client.sync("/")).await.unwrap();
    let (data, stat) = soon(client.get_data(path)).await.unwrap();
    let data = String::from_utf8(data.to_vec()).unwrap();
    (data, stat.ephemeral_owner == client.session_id())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_a_node_of_curators_and_ours_comes_back_when_the_others_goes() {
    let Some(mut site) = Site::open().await else { return };
    while let Some(path) = site.next_path() {
        let (client, other) = (site.connect().await, site.connect().await);
        let mut theirs = site.worker(Others::Curator, "node", &path).await;
        assert_eq!(theirs.does("keep theirs").await, [""; 0]);
        assert_eq!(theirs.does("stands").await, [""; 0]);
        assert_eq!(look(&client, &path).await, ("theirs".to_owned(), false));

        let ours = PersistentNode::ephemeral(&client, &path, "ours").unwrap();
        let mut states = ours.states();
        becomes(&mut states, is_occupied).await;
        assert_eq!(look(&client, &path).await.0, "theirs", "it was written to");
        // Curator's goes, and ours comes.
        assert_eq!(theirs.does("go").await, [""; 0]);
        becomes(&mut states, stands).await;
        assert_eq!(look(&client, &path).await, ("ours".to_owned(), true));
        // Curator's writes to ours, and comes when that goes.
        assert_eq!(theirs.does("keep theirs-again").await, [""; 0]);
        assert_eq!(theirs.does("stands").await, [""; 0]);
        assert_eq!(look(&client, &path).await, ("theirs-again".to_owned(), true));
        soon(ours.remove()).await.unwrap();
        until_made(&client, &path).await;
        assert_eq!(look(&client, &path).await, ("theirs-again".to_owned(), false));

        // Whoever of both is first makes it anew, and the other one when that is gone.
        let ours = PersistentNode::ephemeral(&client, &path, "ours").unwrap();
        let mut states = ours.states();
        becomes(&mut states, is_occupied).await;
        soon(other.delete(&path, Version::ANY)).await.unwrap();
        becomes(&mut states, |state| stands(state) || is_occupied(state)).await;
        assert_eq!(theirs.does("go").await, [""; 0]);
        while !matches!(look_if_any(&client, &path).await, Some((data, true)) if data == "ours") {}
        soon(ours.remove()).await.unwrap();
        theirs.end().await;
    }
}

async fn until_made(client: &Client, path: &str) {
    while soon(client.exists(path)).await.unwrap().is_none() {}
}

async fn look_if_any(client: &Client, path: &str) -> Option<(String, bool)> {
    until_made(client, path).await;
    let (data, stat) = soon(client.get_data(path)).await.ok()?;
    let data = String::from_utf8(data.to_vec()).unwrap();
    Some((data, stat.ephemeral_owner == client.session_id()))
}

/// It lives as long as one of both keeps it, whoever made it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_a_node_with_a_time_to_live_of_curators_and_ours_is_kept_by_both() {
    let Some(mut site) = Site::open().await else { return };
    let ttl = Duration::from_millis(100);
    let keep = format!("keep {} theirs", ttl.as_millis());
    while let Some(path) = site.next_path() {
        let client = site.connect().await;
        let mut theirs = site.worker(Others::Curator, "ttl-node", &path).await;
        assert_eq!(theirs.does(&keep).await, [""; 0]);
        let made = soon(client.exists(&path)).await.unwrap().expect("it was made").czxid;
        let ours = TtlNode::new(&client, &path, ttl, "ours").unwrap();
        assert_eq!(soon(ours.until_created()).await.unwrap(), made);
        assert_eq!(theirs.does("go").await, [""; 0]);
        touched(&client, &path, 5).await;
        assert_eq!(theirs.does(&keep).await, [""; 0]);
        drop(ours);
        touched(&client, &path, 5).await;
        let (stat, gone) = soon(client.exists_watched(&path)).await.unwrap();
        assert_eq!(stat.expect("it was never gone").czxid, made);
        assert_eq!(theirs.does("go").await, [""; 0]);
        assert_eq!(soon(gone).await.unwrap().kind, EventType::NodeDeleted);
        theirs.end().await;
    }
}

/// Waits until its child was written so often.
async fn touched(client: &Client, path: &str, times: usize) {
    let touch = format!("{path}/touch");
    let mut last = None;
    for _ in 0..=times {
        let before = last;
        while last == before {
            last = soon(client.exists(&touch)).await.unwrap().map(|stat| stat.mzxid);
        }
    }
}

/// Waits until we see these, and no others.
async fn see(changes: &mut GroupChanges, wanted: &[(&str, &str)]) {
    let wanted: BTreeMap<String, Vec<u8>> =
        wanted.iter().map(|(id, data)| ((*id).to_owned(), data.as_bytes().to_vec())).collect();
    while soon(changes.next()).await.expect("it goes on").unwrap() != wanted {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_members_of_curators_group_and_ours_see_each_other() {
    let Some(mut site) = Site::open().await else { return };
    while let Some(path) = site.next_path() {
        site.make(&path).await;
        let client = site.connect().await;
        let group = Group::new(&client, &path);
        let mut changes = group.changes();
        let mut theirs = site.worker(Others::Curator, "group", &path).await;
        assert_eq!(theirs.does("join theirs idle").await, [""; 0]);
        see(&mut changes, &[("theirs", "idle")]).await;
        let ours = soon(group.join("ours", "idle")).await.unwrap();
        see(&mut changes, &[("ours", "idle"), ("theirs", "idle")]).await;
        assert_eq!(theirs.does("sees ours=idle,theirs=idle").await, [""; 0]);
        soon(ours.set("busy")).await.unwrap();
        assert_eq!(theirs.does("sees ours=busy,theirs=idle").await, [""; 0]);
        soon(ours.leave()).await.unwrap();
        assert_eq!(theirs.does("sees theirs=idle").await, [""; 0]);
        assert_eq!(theirs.does("leave").await, [""; 0]);
        see(&mut changes, &[]).await;
        theirs.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_members_of_kazoos_party_and_ours_see_each_other() {
    let Some(mut site) = Site::open().await else { return };
    while let Some(path) = site.next_path() {
        let client = site.connect().await;
        let party = Group::new(&client, &path).with_layout(Layout::Kazoo);
        let mut changes = party.changes();
        let ours = soon(party.join("ours", "")).await.unwrap();
        // Nobody has made the path for kazoo's: a container would be gone when ours leaves.
        let mut theirs = site.worker(Others::Kazoo, "party", &path).await;
        for told in ["join one", "join other", "sees one,other,ours"] {
            assert_eq!(theirs.does(told).await, [""; 0], "{told}");
        }
        see(&mut changes, &[("one", ""), ("other", ""), ("ours", "")]).await;
        let members = soon(party.members()).await.unwrap();
        assert_eq!(members.keys().collect::<Vec<_>>(), ["one", "other", "ours"]);
        soon(ours.leave()).await.unwrap();
        for told in ["sees one,other", "leave other", "sees one", "leave one"] {
            assert_eq!(theirs.does(told).await, [""; 0], "{told}");
        }
        see(&mut changes, &[]).await;
        site.sweep().await;
        assert_eq!(theirs.does("join last").await, [""; 0]);
        see(&mut changes, &[("last", "")]).await;
        theirs.end().await;
    }
}
