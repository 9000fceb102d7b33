//! Clients that have no recipes here.

use std::time::Duration;

use tokio_zookeeper as tokio_zk;
use zookeeper_async as zk_async;

use crate::{Outcome, Requests};

pub(crate) async fn zookeeper_async(connect: &str) -> Outcome<zk_async::ZooKeeper> {
    let timeout = Duration::from_secs(30);
    Ok(zk_async::ZooKeeper::connect(connect, timeout, |_: zk_async::WatchedEvent| {}).await?)
}

impl Requests for zk_async::ZooKeeper {
    async fn make(&self, path: &str, data: &[u8]) -> Outcome<()> {
        let acl = zk_async::Acl::open_unsafe().clone();
        self.create(path, data.to_vec(), acl, zk_async::CreateMode::Persistent).await?;
        Ok(())
    }

    async fn get(&self, path: &str) -> Outcome<()> {
        self.get_data(path, false).await?;
        Ok(())
    }

    async fn set(&self, path: &str, data: &[u8]) -> Outcome<()> {
        self.set_data(path, data.to_vec(), None).await?;
        Ok(())
    }
}

pub(crate) async fn tokio_zookeeper(connect: &str) -> Outcome<tokio_zk::ZooKeeper> {
    let (client, _events) = tokio_zk::ZooKeeper::connect(&connect.parse()?).await?;
    Ok(client)
}

impl Requests for tokio_zk::ZooKeeper {
    async fn make(&self, path: &str, data: &[u8]) -> Outcome<()> {
        let acl = tokio_zk::Acl::open_unsafe();
        self.create(path, data.to_vec(), acl, tokio_zk::CreateMode::Persistent).await??;
        Ok(())
    }

    async fn get(&self, path: &str) -> Outcome<()> {
        self.get_data(path).await?.ok_or("there is no such node")?;
        Ok(())
    }

    async fn set(&self, path: &str, data: &[u8]) -> Outcome<()> {
        self.set_data(path, None, data.to_vec()).await??;
        Ok(())
    }
}
