//! A server of ours: alone, or the one of an ensemble that the environment asks for.

use std::env;

use znode_testing::{ClusterSpec, InstanceSpec, TestingCluster, TestingServer};

/// It stops when it is dropped.
pub enum Ours {
    /// It has no others.
    Alone(Box<TestingServer>),
    /// An ensemble, and the number of the server that the test meets.
    Among(Box<TestingCluster>, u64),
}

impl Ours {
    /// Starts one server; or, if `ZNODE_TEST_CLUSTER` says `leader`, `follower` or `observer`, an
    /// ensemble, of which the test meets the server that is one.
    pub async fn start(spec: InstanceSpec) -> Self {
        let Ok(role) = env::var("ZNODE_TEST_CLUSTER") else {
            return Self::Alone(Box::new(TestingServer::start_with(spec).await.unwrap()));
        };
        let spec = ClusterSpec::new(3).observers(1).each(spec);
        let cluster = TestingCluster::start_with(spec).await.unwrap();
        let leader = cluster.leader().await;
        let id = match role.as_str() {
            "leader" => leader,
            "follower" => (1..=3).find(|id| *id != leader).unwrap(),
            "observer" => 4,
            other => panic!("ZNODE_TEST_CLUSTER={other}: must be leader, follower or observer"),
        };
        Self::Among(Box::new(cluster), id)
    }

    /// The server that the test meets.
    pub fn server(&self) -> &TestingServer {
        match self {
            Self::Alone(server) => server,
            Self::Among(cluster, id) => cluster.server(*id),
        }
    }
}
