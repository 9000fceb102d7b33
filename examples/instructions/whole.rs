//! Everything at once: client and server in one process, over a pipe in memory, on one thread.

use futures::future::join_all;
use tokio::runtime::{Builder, Runtime};
use znode::{Client, CreateMode, Version};
use znode_recipes::Mutex;
use znode_testing::TestingServer;
use znode_testing::counting::{Ready, Work};

/// What callers do.
pub(crate) const WORKS: &[(&str, Ready)] = &[
    ("whole: get", get),
    ("whole: 64 gets at once", gets),
    ("whole: set", set),
    ("whole: create and delete", create_delete),
    ("whole: lock and release", lock),
];

const PATH: &str = "/node";
const DATA: &[u8] = &[b'x'; 100];

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A client of a server in memory.
fn alone() -> (Runtime, TestingServer, Client) {
    let runtime = runtime();
    let (server, client) = runtime.block_on(async {
        let server = TestingServer::start().await.expect("a server");
        let client = server.connect().await.expect("a session");
        client.create(PATH, DATA, CreateMode::Persistent).await.expect("a node");
        (server, client)
    });
    (runtime, server, client)
}

fn get() -> Work {
    let (runtime, server, client) = alone();
    Box::new(move || {
        let _ = &server;
        runtime.block_on(client.get_data(PATH)).expect("its data");
    })
}

fn gets() -> Work {
    let (runtime, server, client) = alone();
    Box::new(move || {
        let _ = &server;
        let all =
            runtime.block_on(async { join_all((0..64).map(|_| client.get_data(PATH))).await });
        all.into_iter().for_each(|one| _ = one.expect("its data"));
    })
}

fn set() -> Work {
    let (runtime, server, client) = alone();
    Box::new(move || {
        let _ = &server;
        runtime.block_on(client.set_data(PATH, DATA, Version::ANY)).expect("a write");
    })
}

fn create_delete() -> Work {
    let (runtime, server, client) = alone();
    Box::new(move || {
        let _ = &server;
        runtime.block_on(async {
            client.create("/other", DATA, CreateMode::Ephemeral).await.expect("a node");
            client.delete("/other", Version::ANY).await.expect("its end");
        });
    })
}

fn lock() -> Work {
    let (runtime, server, client) = alone();
    let mutex = Mutex::new(&client, "/lock");
    Box::new(move || {
        let _ = &server;
        runtime.block_on(async {
            let guard = mutex.lock().await.expect("the lock");
            guard.release().await.expect("its release");
        });
    })
}
