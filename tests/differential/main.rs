//! One stream of operations, two servers, no difference: Apache ZooKeeper, which
//! `ZNODE_TEST_CONNECT=host:port` names, and ours. Without that variable ours is compared with
//! itself, so that at least this harness is tried.
//!
//! | rooms | what they hold |
//! |---|---|
//! | `rng`, `plan` | a seed; actions that depend on nothing but it |
//! | `generate`, `requests`, `draw` | drawing them: actions, requests, paths and lists |
//! | `link`, `drive` | playing them on one server and writing down what it answers |
//! | `render` | answers as text that two servers should agree on |
//! | `words` | the same for four-letter words |
//! | `shrink` | the shortest stream on which they still do not |
//!
//! `ZNODE_SEED` is the first seed (1 by default), `ZNODE_DIFF_SEEDS` how many follow each other,
//! `ZNODE_DIFF_OPS` how many actions each makes. What differs on purpose is never sent, or is
//! masked, and this is the whole list:
//!
//! - `deleteContainer` (20) and `createSession` (-10) from a client: Apache takes them, we refuse.
//! - `createTTL` (21) with a mode that has no time to live and a time below zero: it ends Apache's
//!   process; we answer -8.
//! - The version after `i32::MAX` writes, which skips -1 as later Apaches do: out of reach.
//! - The order of children, ephemerals and identities, also where they stand for `auth`, and of the
//!   deletions that the end of a session makes: Apache promises none.
//! - A resume with a wrong password, while the session's client is connected: Apache cuts that
//!   client off, we do not.
//! - An unknown operation behind others in one write: Apache may close before it answers those.
//! - `createContainer` with an ephemeral mode: what comes right behind it, in Apache, may meet an
//!   ephemeral node.
//! - What comes right behind a `setACL`: Apache still checks it against the old list.
//! - Characters beyond the basic plane, where a path is echoed: Java's encoding is no UTF-8.
//! - `hash`: we keep no digest of the tree. What `envi` and `conf` say of Java and of directories.
//! - Times, and what `/` and ZooKeeper's own nodes remember from before the stream.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where it stood")]

mod draw;
mod drive;
mod generate;
mod link;
mod plan;
mod render;
mod requests;
mod rng;
mod shrink;
mod words;

use std::env;
use std::time::Duration;

use tokio::sync::Mutex;
use znode_testing::{InstanceSpec, TestingServer};

use shrink::{Pair, root};

/// What `super:secret` computes to on both servers.
const SUPER_DIGEST: &str = "super:lK75jTNcA+U9vtVEw5vB51mj/w4=";

async fn ours() -> TestingServer {
    let spec = InstanceSpec::new()
        .tick(Duration::from_millis(100))
        .session_timeout_limits(Duration::from_millis(200), Duration::from_secs(60))
        .super_digest(SUPER_DIGEST)
        .enforce_quota(true)
        // A stream may take minutes, and what the reaper deletes takes zxids.
        .container_checks(Duration::from_secs(100_000))
        .own_thread();
    TestingServer::start_with(spec).await.unwrap()
}

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().expect("a decimal number"))
}

/// One stream at a time: a second one would take zxids.
static STAGE: Mutex<()> = Mutex::const_new(());

#[tokio::test]
async fn two_servers_answer_the_same_stream_alike() {
    let _stage = STAGE.lock().await;
    let server = ours().await;
    let other = ours().await;
    let theirs = env::var("ZNODE_TEST_CONNECT").unwrap_or_else(|_| other.connect_string());
    let (first, seeds) = (setting("ZNODE_SEED", 1), setting("ZNODE_DIFF_SEEDS", 3));
    let len = usize::try_from(setting("ZNODE_DIFF_OPS", 500)).unwrap();
    let mut pair = Pair::new(theirs, server.connect_string());
    // In the second half there are quotas.
    let halves = [false, true]
        .into_iter()
        .flat_map(|quotas| (first..first + seeds).map(move |seed| (quotas, seed)));
    for (quotas, seed) in halves {
        let actions = generate::stream(seed, len, quotas);
        if let Some(difference) = pair.compare(&actions) {
            let shrunk = pair.shrink(&actions, &difference);
            panic!("ZNODE_SEED={seed} ZNODE_DIFF_OPS={len}, quotas {quotas}:\n{shrunk}");
        }
        println!("seed {seed}: {len} actions alike");
    }
    println!("{} answers, events and ends of connections compared", pair.compared);
    println!("answers by error: {:?}", pair.errors);
}

#[tokio::test]
async fn four_letter_words_are_answered_in_the_same_shape() {
    let _stage = STAGE.lock().await;
    let (server, other) = (ours().await, ours().await);
    let theirs = env::var("ZNODE_TEST_CONNECT").unwrap_or_else(|_| other.connect_string());
    let root = root(1);
    let theirs = words::answers(&theirs, &root);
    let ours = words::answers(&server.connect_string(), &root);
    for (theirs, ours) in theirs.iter().zip(&ours) {
        assert_eq!(theirs, ours, "theirs, ours");
    }
}
