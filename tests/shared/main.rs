//! Work of these recipes, of Curator's and of kazoo's at the same nodes of one server, whose
//! containers go as soon as they are empty: every addition counts once, every item is taken once,
//! nobody passes a barrier alone, no part has two users, and whoever is there is seen by all.
//!
//! `ZNODE_TEST_SHARED=SECONDS` says for how long each is repeated; without it nothing is shared,
//! and that is told.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where it stood")]

mod barriers;
mod counters;
#[cfg(feature = "discovery")]
mod discovery;
mod members;
mod partition;
mod queues;
mod worker;

use std::io::{self, Write as _};
use std::sync::Once;
use std::time::Duration;

use tokio::time::Instant;
use znode::{Client, CreateMode, Version};
use znode_testing::{InstanceSpec, TestingServer};
use znode_tests::support::soon;

use worker::{Others, Worker};

/// How often the server looks for containers that are empty.
const SWEEP: Duration = Duration::from_millis(10);

/// Where it is worked, and for how long.
pub(crate) struct Site {
    pub(crate) server: TestingServer,
    ends: Instant,
    rounds: usize,
}

impl Site {
    /// A server, if work is asked for.
    pub(crate) async fn open() -> Option<Self> {
        static TOLD: Once = Once::new();
        let Ok(seconds) = std::env::var("ZNODE_TEST_SHARED") else {
            // Not by `println!`, of which nothing is seen when a test passes.
            let told = "no work was shared: ZNODE_TEST_SHARED=SECONDS asks for it\n";
            TOLD.call_once(|| io::stderr().write_all(told.as_bytes()).unwrap());
            return None;
        };
        let seconds = seconds.parse().expect("a number of seconds");
        let spec = InstanceSpec::new().container_checks(SWEEP).containers_per_minute(1_000_000);
        let server = TestingServer::start_with(spec).await.unwrap();
        let ends = now() + Duration::from_secs(seconds);
        let site = Self { server, ends, rounds: 0 };
        site.make("/all").await;
        Some(site)
    }

    /// A path for the next round of work, until the time is up; at least one.
    pub(crate) fn next_path(&mut self) -> Option<String> {
        if self.rounds > 0 && now() >= self.ends {
            return None;
        }
        self.rounds += 1;
        Some(format!("/all/{}", self.rounds))
    }

    pub(crate) async fn connect(&self) -> Client {
        soon(self.server.connect()).await.unwrap()
    }

    pub(crate) async fn worker(&self, others: Others, recipe: &str, path: &str) -> Worker {
        Worker::start(others, &self.server.connect_string(), recipe, path).await
    }

    /// Makes a node that stays: when a container goes while kazoo's make one below, theirs fails.
    pub(crate) async fn make(&self, path: &str) {
        soon(self.connect().await.create(path, "", CreateMode::Persistent)).await.unwrap();
    }

    /// Waits until every container is gone that is empty by now.
    pub(crate) async fn sweep(&self) {
        let client = self.connect().await;
        // They are looked at in the order of their paths.
        soon(client.create("/z", "", CreateMode::Container)).await.unwrap();
        soon(client.create("/z/z", "", CreateMode::Persistent)).await.unwrap();
        let (_, gone) = soon(client.exists_watched("/z")).await.unwrap();
        soon(client.delete("/z/z", Version::ANY)).await.unwrap();
        soon(gone).await.unwrap();
        soon(client.close()).await.unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "it is asked for so much time")]
fn now() -> Instant {
    Instant::now()
}
