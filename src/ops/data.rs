//! Reading and writing the data of nodes.

use bytes::Bytes;

use crate::client::Client;
use crate::error::Error;
use crate::proto::replies::{DataReply, StatReply};
use crate::proto::requests::{ReadRequest, SetDataRequest};
use crate::proto::{JutePut, OpCode, Stat, Version};
use crate::reply::{Call, Reply};
use crate::session::{Answer, Want};
use crate::watcher::OneshotWatcher;

/// From this size on data is handed out as a part of the buffer that it was read into. Less is
/// copied: a few bytes that are kept must not keep a whole read buffer with them.
const SHARED_LEN_MIN: usize = 8 * 1024;

impl Client {
    /// The data and metadata of a node. Null data, which other clients can write, reads as empty.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let (rate, stat) = client.get_data("/rates/eur").await?;
    /// println!("{rate:?}, version {}", stat.version);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`.
    pub fn get_data(&self, path: &str) -> Reply<(Bytes, Stat)> {
        self.on_path(
            OpCode::GetData,
            GET,
            path,
            |path, out| out.put(&ReadRequest { path, watch: false }),
            |call, answer| decode(call, answer),
        )
    }

    /// As [`get_data`](Self::get_data), and leaves a watch for the next write or the deletion.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// loop {
    ///     let (rate, _, changed) = client.get_data_watched("/rates/eur").await?;
    ///     println!("{rate:?}");
    ///     changed.await?;
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`get_data`](Self::get_data); then no watch stands.
    pub fn get_data_watched(&self, path: &str) -> Reply<(Bytes, Stat, OneshotWatcher)> {
        self.watching(
            OpCode::GetData,
            GET,
            path,
            Want::Data,
            |path, out| out.put(&ReadRequest { path, watch: true }),
            |call, answer| {
                let (data, stat) = decode(call, answer)?;
                Ok((data, stat, call.watcher().oneshot()))
            },
        )
    }

    /// Writes the data of a node if it has the expected version; [`Version::ANY`] expects none.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let (_, stat) = client.get_data("/rates/eur").await?;
    /// client.set_data("/rates/eur", "1.07", stat.version).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NoNode`, `BadVersion`, `NoAuth`, `QuotaExceeded`; `TooLarge` before anything is sent.
    /// After `ConnectionLoss` it may be written.
    pub fn set_data(
        &self,
        path: &str,
        data: impl AsRef<[u8]>,
        version: impl Into<Version>,
    ) -> Reply<Stat> {
        let (version, data) = (version.into(), self.codec.encode(data.as_ref()));
        self.on_path(
            OpCode::SetData,
            "set_data",
            path,
            |path, out| out.put(&SetDataRequest { path, data: Some(&data), version }),
            |call, answer| call.read::<StatReply>(answer).map(|reply| reply.stat),
        )
    }
}

pub(super) const GET: &str = "get_data";

pub(super) fn decode(call: &Call, answer: &Answer) -> Result<(Bytes, Stat), Error> {
    let DataReply { data, stat } = call.read(answer)?;
    Ok((call.decoded(owned(data, answer))?, stat))
}

/// The data of an answer, as its caller may keep it.
pub(super) fn owned(data: Option<&[u8]>, answer: &Answer) -> Bytes {
    match data {
        Some(data) if data.len() >= SHARED_LEN_MIN => answer.body.slice_ref(data),
        Some(data) => Bytes::copy_from_slice(data),
        None => Bytes::new(),
    }
}
