//! The files of a server, read by another: ours by Apache's, Apache's by ours, and back again.
//!
//! `tests/interop/files.sh` runs this with Apache ZooKeeper as the other server. By itself it goes
//! from ours to ours.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use znode::{Acl, Client, ConnectOptions, CreateMode, Op, Perms, Quota, SessionTicket, Version};
use znode_testing::{InstanceSpec, TestingServer};

/// A session that is nobody's for so long lives through the change of servers.
const TIMEOUT: Duration = Duration::from_secs(60);

/// `super:secret`, as Apache's server is configured by `zookeeper.sh`.
const SUPER_DIGEST: &str = "super:lK75jTNcA+U9vtVEw5vB51mj/w4=";

/// All that can be seen of a node.
type Seen = (Vec<u8>, String, String);

/// A server on the files of a directory.
enum Server {
    Ours(Box<TestingServer>),
    Apache { dir: PathBuf, address: String },
}

impl Server {
    /// Ours, with snapshots that are compressed or not.
    async fn ours(dir: &Path, compressed: bool) -> Self {
        let spec = InstanceSpec::new()
            .super_digest(SUPER_DIGEST)
            .data_dir(dir.join("data"))
            .snap_count(60)
            .compress_snapshots(compressed);
        Self::Ours(Box::new(TestingServer::start_with(spec).await.unwrap()))
    }

    /// Apache's server; ours if it is not wanted.
    async fn other(dir: &Path, compressed: bool) -> Self {
        if std::env::var_os("ZNODE_TEST_FILES").is_none() {
            return Self::ours(dir, false).await;
        }
        let mut start = Command::new(script());
        start.arg("start").arg(dir).arg("snapCount=60").env("ZK_KEEP_DATA", "1");
        if compressed {
            start.arg("snapshot.compression.method=gz");
        }
        let output = start.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let address = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        Self::Apache { dir: dir.to_owned(), address }
    }

    fn address(&self) -> String {
        match self {
            Self::Ours(server) => server.connect_string(),
            Self::Apache { address, .. } => address.clone(),
        }
    }

    async fn connect(&self, options: ConnectOptions) -> Client {
        options.session_timeout(TIMEOUT).connect(&self.address()).await.unwrap()
    }

    /// Every node, as the super user sees it.
    async fn tree(&self) -> BTreeMap<String, Seen> {
        let client = self.connect(ConnectOptions::new().auth("digest", "super:secret")).await;
        let mut waiting = vec!["/".to_owned()];
        let mut tree = BTreeMap::new();
        while let Some(path) = waiting.pop() {
            let (names, _) = client.get_children_with_stat(&path).await.unwrap();
            let above = if path == "/" { "" } else { &path };
            waiting.extend(names.iter().map(|name| format!("{above}/{name}")));
            let (data, stat) = client.get_data(&path).await.unwrap();
            let (acl, _) = client.get_acl(&path).await.unwrap();
            tree.insert(path, (data.to_vec(), format!("{stat:?}"), format!("{acl:?}")));
        }
        client.close().await.unwrap();
        tree
    }

    /// The digest of the tree: of Apache's server, that of the tree that it has loaded.
    async fn digest(&self) -> i64 {
        let dir = match self {
            Self::Ours(server) => return server.digest().await,
            Self::Apache { dir, .. } => dir,
        };
        let log = fs::read_to_string(dir.join("server.log")).unwrap();
        let (_, told) = log.rsplit_once("digest is ").expect("a server says what it has loaded");
        told.lines().next().unwrap().trim().parse().unwrap()
    }

    async fn stop(self) {
        assert_eq!(digest_mismatches(&self.address()).await, Some(0));
        match self {
            Self::Ours(server) => server.stop().await,
            Self::Apache { dir, .. } => {
                let stopped = Command::new(script()).arg("stop").arg(dir).status();
                assert!(stopped.unwrap().success());
            }
        }
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/zookeeper.sh")
}

/// How often a server has found a digest that was not that of its tree.
async fn digest_mismatches(address: &str) -> Option<u64> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"mntr").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let line = answer.lines().find(|line| line.starts_with("zk_digest_mismatches_count"))?;
    line.split_whitespace().next_back()?.parse().ok()
}

/// Writes whatever can be written, below a node of that name.
async fn fill(client: &Client, top: &str) {
    let path = |name: &str| format!("/{top}/{name}");
    let ttl = CreateMode::PersistentTtl { ttl: Duration::from_secs(3600) };
    client.create(&format!("/{top}"), b"", CreateMode::Persistent).await.unwrap();
    let quota = Quota { count: Some(1000), bytes: Some(1_000_000), ..Quota::default() };
    client.set_quota(&format!("/{top}"), &quota).await.unwrap();
    for (name, mode) in [
        ("plain", CreateMode::Persistent),
        ("s-", CreateMode::PersistentSequential),
        ("s-", CreateMode::PersistentSequential),
        ("e", CreateMode::Ephemeral),
        ("e-", CreateMode::EphemeralSequential),
        ("container", CreateMode::Container),
        ("container/child", CreateMode::Persistent),
        ("ttl", ttl),
        ("gone", CreateMode::Persistent),
        ("\u{fc}ber", CreateMode::Persistent),
    ] {
        client.create(&path(name), name.as_bytes(), mode).await.unwrap();
    }
    let owner = Acl::new(Perms::ALL, "digest", "user:smGaoVKd/cQkjm7b88GyorAUz20=").unwrap();
    let anyone = Acl::new(Perms::READ, "world", "anyone").unwrap();
    let list = [owner, anyone];
    client.create_with_acl(&path("mine"), b"x", CreateMode::Persistent, &list).await.unwrap();
    client.set_acl(&path("plain"), &list, Version::ANY).await.unwrap();
    client.delete(&path("gone"), Version::ANY).await.unwrap();
    for i in 0..30_u8 {
        client.set_data(&path("ttl"), vec![i; 3000], Version::ANY).await.unwrap();
    }
    let ops = [
        Op::check(path("ttl"), 30),
        Op::create(path("m"), b"1", CreateMode::Persistent),
        Op::create(path("m/n"), b"", CreateMode::Ephemeral),
        Op::set_data(path("m"), b"2", 0),
        Op::delete(path("container/child"), Version::ANY),
        Op::create(path("container/child"), b"again", CreateMode::Persistent),
    ];
    client.multi(ops.clone()).await.unwrap();
    assert!(client.multi(ops).await.is_err());
    assert!(client.delete("/nothing", Version::ANY).await.is_err());
}

/// Hands the files to the next server, which must show the same.
async fn hand_over(
    (from, tree, ticket): (Server, BTreeMap<String, Seen>, SessionTicket),
    to: impl AsyncFnOnce() -> Server,
    top: &str,
) -> (Server, BTreeMap<String, Seen>, SessionTicket) {
    // What Apache's server tells is the digest of what it has loaded, not of what it has written
    // since.
    let digest = match &from {
        Server::Ours(server) => Some(server.digest().await),
        Server::Apache { .. } => None,
    };
    from.stop().await;
    let server = to().await;
    if let Some(digest) = digest {
        assert_eq!(server.digest().await, digest, "before {top}");
    }
    let found = server.tree().await;
    for (path, seen) in &tree {
        assert_eq!(found.get(path), Some(seen), "{path}, before {top}");
    }
    assert_eq!(found.len(), tree.len(), "before {top}");
    let session = ticket.session_id();
    let client = server.connect(ConnectOptions::new().resume(ticket)).await;
    assert_eq!(client.session_id(), session, "before {top}");
    fill(&client, top).await;
    let ticket = client.detach().await.unwrap();
    let tree = server.tree().await;
    (server, tree, ticket)
}

#[tokio::test]
async fn a_tree_and_its_sessions_go_to_and_fro_between_servers() {
    let (dir, kept) = match std::env::var_os("ZNODE_TEST_FILES") {
        Some(dir) => (PathBuf::from(dir), true),
        None => (std::env::temp_dir().join(format!("znode-files-{}", std::process::id())), false),
    };
    let server = Server::ours(&dir, false).await;
    let client = server.connect(ConnectOptions::new()).await;
    fill(&client, "first").await;
    let ticket = client.detach().await.unwrap();
    let tree = server.tree().await;
    let mut state = (server, tree, ticket);
    state = hand_over(state, async || Server::other(&dir, false).await, "second").await;
    state = hand_over(state, async || Server::ours(&dir, true).await, "third").await;
    state = hand_over(state, async || Server::other(&dir, true).await, "fourth").await;
    state = hand_over(state, async || Server::ours(&dir, false).await, "fifth").await;
    assert!(state.1.contains_key("/first/m/n"));
    state.0.stop().await;
    if !kept {
        fs::remove_dir_all(dir).unwrap();
    }
}
