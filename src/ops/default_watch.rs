//! Reads whose events go to the default watcher.

use bytes::Bytes;

use super::{children, data, exists};
use crate::client::Client;
use crate::error::Error;
use crate::path;
use crate::proto::requests::ReadRequest;
use crate::proto::{JutePut, OpCode, Stat};
use crate::reply::{DecodeFn, Reply};
use crate::session::{Registration, Want, WatchEffect, WatcherId};

/// The reads of a client, leaving one-shot watches whose events [`Client::events`] yields.
///
/// Such a watch has no handle of its own, so it cannot be removed one by one; however often it
/// is left at one place, it gives one event.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
/// use futures::StreamExt;
/// use znode::DefaultWatch;
///
/// let mut events = client.events();
/// let watch: DefaultWatch = client.default_watch();
/// let ready = watch.exists("/ready").await?;
/// let (rate, _) = watch.get_data("/rate").await?;
/// let (workers, _) = watch.get_children("/workers").await?;
/// println!("{:?}", events.next().await); // whichever of the three changes first
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct DefaultWatch {
    client: Client,
}

impl Client {
    /// Reads whose events go to the stream of [`events`](Self::events).
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use futures::StreamExt;
    ///
    /// let mut events = client.events();
    /// client.default_watch().exists("/ready").await?;
    /// println!("{:?}", events.next().await);
    /// # Ok(())
    /// # }
    /// ```
    pub fn default_watch(&self) -> DefaultWatch {
        DefaultWatch { client: self.clone() }
    }
}

impl DefaultWatch {
    /// As [`Client::exists`].
    ///
    /// # Errors
    /// As [`Client::exists`]; then no watch stands.
    pub fn exists(&self, path: &str) -> Reply<Option<Stat>> {
        let decode = |call: &mut _, answer: &_| exists::decode(call, answer);
        self.read(OpCode::Exists, exists::NAME, path, Want::Existence, decode)
    }

    /// As [`Client::get_data`].
    ///
    /// # Errors
    /// As [`Client::get_data`]; then no watch stands.
    pub fn get_data(&self, path: &str) -> Reply<(Bytes, Stat)> {
        let decode = |call: &mut _, answer: &_| data::decode(call, answer);
        self.read(OpCode::GetData, data::GET, path, Want::Data, decode)
    }

    /// As [`Client::get_children_with_stat`].
    ///
    /// # Errors
    /// As [`Client::get_children`]; then no watch stands.
    pub fn get_children(&self, path: &str) -> Reply<(Vec<String>, Stat)> {
        let decode = |call: &mut _, answer: &_| children::decode(call, answer);
        self.read(OpCode::GetChildren2, children::NAME, path, Want::Children, decode)
    }

    fn read<T>(
        &self,
        op: OpCode,
        name: &'static str,
        path: &str,
        want: Want,
        decode: DecodeFn<T>,
    ) -> Reply<T> {
        if let Err(invalid) = path::validate(path) {
            return Reply::refused(Error::invalid_path(name, invalid));
        }
        let full = self.client.chroot.full(path);
        let watch = WatchEffect::Register(Registration {
            path: (*full).into(),
            want,
            watcher: WatcherId::DEFAULT,
        });
        let encode = |out: &mut Vec<u8>| out.put(&ReadRequest { path: full, watch: true });
        self.client.call(op, name, Some(path), watch, encode, decode)
    }
}
