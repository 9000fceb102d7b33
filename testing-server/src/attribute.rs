//! What `#[znode_testing::test]` is made of: a runtime, servers, and the test's own function.

use std::io;

use tokio::runtime::{Builder, Runtime};
use znode::Client;

use crate::{ClusterSpec, InstanceSpec, TestingCluster, TestingServer};

/// A test that is given a server, a client of one, or both.
#[diagnostic::on_unimplemented(
    message = "a test is given `TestingServer`, `Client`, or both in this order"
)]
pub trait ServerTest<Given> {
    /// What the test returns.
    type Output;

    /// Runs it.
    fn run(self, server: TestingServer) -> impl Future<Output = Self::Output>;
}

/// A test that is given a cluster, a client of one, or both.
#[diagnostic::on_unimplemented(
    message = "a test with `servers` is given `TestingCluster`, `Client`, or both in this order"
)]
pub trait ClusterTest<Given> {
    /// What the test returns.
    type Output;

    /// Runs it.
    fn run(self, cluster: TestingCluster) -> impl Future<Output = Self::Output>;
}

macro_rules! tests {
    ($test:ident, $servers:ident) => {
        impl<F: FnOnce($servers) -> R, R: Future> $test<($servers,)> for F {
            type Output = R::Output;

            async fn run(self, servers: $servers) -> R::Output {
                self(servers).await
            }
        }

        impl<F: FnOnce(Client) -> R, R: Future> $test<(Client,)> for F {
            type Output = R::Output;

            async fn run(self, servers: $servers) -> R::Output {
                let client = servers.connect().await.expect("the server lets a client in");
                // The server lives for as long as the test.
                let output = self(client).await;
                drop(servers);
                output
            }
        }

        impl<F: FnOnce($servers, Client) -> R, R: Future> $test<($servers, Client)> for F {
            type Output = R::Output;

            async fn run(self, servers: $servers) -> R::Output {
                let client = servers.connect().await.expect("the server lets a client in");
                self(servers, client).await
            }
        }
    };
}

tests!(ServerTest, TestingServer);
tests!(ClusterTest, TestingCluster);

/// The runtime of one test.
///
/// # Errors
/// The operating system refuses what it needs.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Runs a test with a server of its own.
///
/// # Panics
/// The server does not start.
pub async fn with_server<Given, T: ServerTest<Given>>(spec: InstanceSpec, test: T) -> T::Output {
    let server = TestingServer::start_with(spec).await.expect("a server starts");
    test.run(server).await
}

/// Runs a test with a cluster of its own.
///
/// # Panics
/// The cluster does not start.
pub async fn with_cluster<Given, T: ClusterTest<Given>>(spec: ClusterSpec, test: T) -> T::Output {
    let cluster = TestingCluster::start_with(spec).await.expect("a cluster starts");
    test.run(cluster).await
}
