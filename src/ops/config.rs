//! The ensemble's own configuration: reading, watching and changing it.

use std::borrow::Cow;

use bytes::Bytes;

use super::data;
use crate::chroot::Chroot;
use crate::client::Client;
use crate::path::Path;
use crate::proto::replies::DataReply;
use crate::proto::requests::ReconfigRequest;
use crate::proto::{JutePut, OpCode, Stat};
use crate::reply::{Call, Reply};
use crate::session::WatchEffect;
use crate::watcher::OneshotWatcher;

/// Where ZooKeeper keeps its configuration, whatever the chroot of a client.
const CONFIG_PATH: &str = "/zookeeper/config";

/// A change of the ensemble's membership; see [`Client::reconfig`].
///
/// ```
/// use znode::Reconfig;
///
/// let joining = "server.4=zk4:2888:3888:participant;2181";
/// let swap = Reconfig::incremental([joining], [2]);
/// let whole = Reconfig::members(["server.1=zk1:2888:3888:participant;2181", joining]);
/// // Only from the configuration of which the last line is `version=100000000`.
/// let config = i64::from_str_radix("100000000", 16)?;
/// assert_ne!(whole.clone().from_config(config), whole);
/// # let _ = swap;
/// # Ok::<(), std::num::ParseIntError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconfig {
    joining: Option<String>,
    leaving: Option<String>,
    new_members: Option<String>,
    from_config: i64,
}

impl Reconfig {
    /// Servers that join, as `server.5=host:2888:3888:participant;2181`, and the ids of servers
    /// that leave.
    pub fn incremental<J: AsRef<str>>(
        joining: impl IntoIterator<Item = J>,
        leaving: impl IntoIterator<Item = u64>,
    ) -> Self {
        let listed = |items: Vec<String>| (!items.is_empty()).then(|| items.join(","));
        Self {
            joining: listed(joining.into_iter().map(|item| item.as_ref().to_owned()).collect()),
            leaving: listed(leaving.into_iter().map(|id| id.to_string()).collect()),
            new_members: None,
            from_config: -1,
        }
    }

    /// The whole new membership.
    pub fn members<M: AsRef<str>>(members: impl IntoIterator<Item = M>) -> Self {
        let members: Vec<_> =
            members.into_iter().map(|member| member.as_ref().to_owned()).collect();
        let new_members = Some(members.join(","));
        Self { joining: None, leaving: None, new_members, from_config: -1 }
    }

    /// Only if this is the present configuration: the `version` that the configuration shows,
    /// read as hexadecimal.
    #[must_use]
    pub fn from_config(mut self, config: i64) -> Self {
        self.from_config = config;
        self
    }
}

impl Client {
    /// The configuration of the ensemble, one `server.N=…` line for each member and its version;
    /// empty on a server that stands alone. The chroot does not apply.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let (config, _) = client.get_config().await?;
    /// println!("{}", String::from_utf8_lossy(&config));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NoNode` by servers before 3.5.
    pub fn get_config(&self) -> Reply<(Bytes, Stat)> {
        self.unrooted().get_data(CONFIG_PATH)
    }

    /// As [`get_config`](Self::get_config), and leaves a watch for the next change.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let (config, _, changed) = client.get_config_watched().await?;
    /// println!("{config:?} until {:?}", changed.await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`get_config`](Self::get_config); then no watch stands.
    pub fn get_config_watched(&self) -> Reply<(Bytes, Stat, OneshotWatcher)> {
        self.unrooted().get_data_watched(CONFIG_PATH)
    }

    /// Changes the membership of the ensemble; answers with the new configuration once a quorum
    /// of it stands.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use znode::Reconfig;
    ///
    /// let joining = ["server.4=zk4:2888:3888:participant;2181"];
    /// let (config, _) = client.reconfig(&Reconfig::incremental(joining, [2])).await?;
    /// println!("{config:?}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Unimplemented` where reconfiguration is switched off, as it is by default; `NoAuth` (it
    /// takes WRITE on `/zookeeper/config`); `BadVersion` if the configuration is another;
    /// `BadArguments`; [`Other`](crate::ErrorKind::Other) with `NewConfigNoQuorum` or
    /// `ReconfigInProgress`. After `ConnectionLoss` it may be done.
    pub fn reconfig(&self, change: &Reconfig) -> Reply<(Bytes, Stat)> {
        fn borrowed(text: &Option<String>) -> Option<Cow<'_, str>> {
            text.as_deref().map(Cow::Borrowed)
        }

        let encode = |out: &mut Vec<u8>| {
            out.put(&ReconfigRequest {
                joining: borrowed(&change.joining),
                leaving: borrowed(&change.leaving),
                new_members: borrowed(&change.new_members),
                current_config_id: change.from_config,
            });
        };
        let call = Call::new("reconfig", None, &self.chroot);
        self.submit(OpCode::Reconfig, call, WatchEffect::None, None, encode, |call, answer| {
            let DataReply { data, stat } = call.read(answer)?;
            Ok((data::owned(data, answer), stat))
        })
    }

    /// A view of the whole tree, with data as it is.
    pub(crate) fn unrooted(&self) -> Self {
        Self { chroot: Chroot::new(Path::root()), ..self.plain() }
    }
}
