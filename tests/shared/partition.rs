//! Parts that ours and kazoo's divide among themselves: nobody uses what somebody else does, and
//! each part is somebody's.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use znode::{Client, CreateMode, Version};
use znode_recipes::{Part, Partitioner, Share, ShareStates};
use znode_tests::support::soon;

use crate::Site;
use crate::worker::{Others, Worker};

const PARTS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Who has a share, and uses what is in it.
enum Member {
    Ours { states: ShareStates, used: UnboundedReceiver<(String, bool)>, task: JoinHandle<()> },
    Theirs(Box<Worker>),
}

impl Member {
    async fn ours(site: &Site, path: &str, id: &str) -> Self {
        let client = site.connect().await;
        let tables = Partitioner::new(&client, path, PARTS).unwrap();
        let share = soon(tables.with_settling(Duration::ZERO).join(id)).await.unwrap();
        let (tell, used) = unbounded_channel();
        let (states, uses) = (share.states(), format!("{path}-uses"));
        Self::Ours { states, used, task: tokio::spawn(use_all(client, share, uses, tell)) }
    }

    async fn kazoos(site: &Site, path: &str, id: &str) -> Self {
        let mut worker = site.worker(Others::Kazoo, "partitioner", path).await;
        assert_eq!(worker.does(&format!("join {id} {}", PARTS.join(","))).await, [""; 0]);
        Self::Theirs(Box::new(worker))
    }

    /// Waits until it uses these parts and no others.
    async fn uses(&mut self, parts: &[&str]) {
        match self {
            Self::Theirs(worker) => {
                let said = worker.does(&format!("uses {}", parts.join(","))).await;
                assert_eq!(said, [""; 0]);
            }
            Self::Ours { states, .. } => {
                let is_it = |state: &znode_recipes::ShareState| {
                    state.is_settled() && state.held.iter().eq(parts)
                };
                while !is_it(&soon(states.next()).await.expect("it goes on")) {}
            }
        }
    }

    async fn leave(self) {
        match self {
            Self::Theirs(mut worker) => {
                assert_eq!(worker.does("leave").await, [""; 0]);
                worker.end().await;
            }
            Self::Ours { mut used, task, .. } => {
                task.abort();
                let mut uses = BTreeMap::new();
                while let Some((part, is_used)) = soon(used.recv()).await {
                    uses.insert(part, is_used);
                }
                assert!(uses.values().all(|is_used| !is_used), "{uses:?}");
            }
        }
    }
}

/// Uses every part of a share for as long as that is due.
async fn use_all(
    client: Client,
    mut share: Share,
    uses: String,
    tell: UnboundedSender<(String, bool)>,
) {
    while let Some(part) = share.next().await {
        let part: Part = part.unwrap();
        let (client, tell, used) =
            (client.clone(), tell.clone(), format!("{uses}/{}", part.name()));
        tokio::spawn(async move {
            // Fails if somebody else uses it.
            client.create(&used, "ours", CreateMode::Ephemeral).await.unwrap();
            tell.send((part.name().to_owned(), true)).unwrap();
            part.recalled().await;
            client.delete(&used, Version::ANY).await.unwrap();
            tell.send((part.name().to_owned(), false)).unwrap();
            part.release().await.unwrap();
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_parts_of_kazoos_and_ours_have_one_user_each() {
    let Some(mut site) = Site::open().await else { return };
    while let Some(path) = site.next_path() {
        site.make(&path).await;
        site.make(&format!("{path}-uses")).await;
        let mut first = Member::kazoos(&site, &path, "host-1").await;
        first.uses(&PARTS).await;
        let mut third = Member::ours(&site, &path, "host-3").await;
        first.uses(&["a", "c", "e"]).await;
        third.uses(&["b", "d"]).await;
        // In the order of their names, whenever they come.
        let mut second = Member::ours(&site, &path, "host-2").await;
        first.uses(&["a", "d"]).await;
        second.uses(&["b", "e"]).await;
        third.uses(&["c"]).await;
        let mut zeroth = Member::kazoos(&site, &path, "host-0").await;
        zeroth.uses(&["a", "e"]).await;
        first.uses(&["b"]).await;
        second.uses(&["c"]).await;
        third.uses(&["d"]).await;
        second.leave().await;
        zeroth.uses(&["a", "d"]).await;
        first.uses(&["b", "e"]).await;
        third.uses(&["c"]).await;
        zeroth.leave().await;
        first.leave().await;
        third.uses(&PARTS).await;
        third.leave().await;
        let left = site.connect().await.get_children(&format!("{path}-uses")).await.unwrap();
        assert_eq!(left, [""; 0]);
    }
}
