//! Reading and writing access control lists.

use crate::acl::{Acl, InvalidAcl};
use crate::client::Client;
use crate::error::Error;
use crate::proto::replies::{AclReply, StatReply};
use crate::proto::requests::{PathRequest, SetAclRequest};
use crate::proto::{JutePut, OpCode, Stat, Version};
use crate::reply::Reply;

use super::create::records;

impl Client {
    /// The access control list and metadata of a node. Without ADMIN on it, a server shows the
    /// hashes of digest ids as `x`.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let (acl, stat) = client.get_acl("/rates").await?;
    /// acl.iter().for_each(|entry| println!("{entry}"));
    /// println!("version {}", stat.aversion);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NoNode`, `NoAuth` (it takes READ or ADMIN).
    pub fn get_acl(&self, path: &str) -> Reply<(Vec<Acl>, Stat)> {
        self.on_path(
            OpCode::GetAcl,
            "get_acl",
            path,
            |path, out| out.put(&PathRequest { path: Some(path) }),
            |call, answer| {
                let AclReply { acl, stat } = call.read(answer)?;
                Ok((acl.into_iter().map(Acl::from_record).collect(), stat))
            },
        )
    }

    /// Writes the access control list of a node if that has the expected version
    /// ([`Stat::aversion`]); [`Version::ANY`] expects none.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use znode::Acl;
    ///
    /// let (_, stat) = client.get_acl("/rates").await?;
    /// client.set_acl("/rates", &[Acl::read_only()], stat.aversion).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NoNode`, `BadVersion`, `NoAuth` (it takes ADMIN), `InvalidAcl`; an empty list is refused
    /// before anything is sent. After `ConnectionLoss` it may be written.
    pub fn set_acl(&self, path: &str, acl: &[Acl], version: impl Into<Version>) -> Reply<Stat> {
        const NAME: &str = "set_acl";

        if acl.is_empty() {
            let error = Error::invalid_acl(NAME, InvalidAcl::EmptyList).with_path(Some(path));
            return Reply::refused(error);
        }
        let (acl, version) = (Some(records(acl)), version.into());
        self.on_path(
            OpCode::SetAcl,
            NAME,
            path,
            |path, out| out.put(&SetAclRequest { path, acl, version }),
            |call, answer| call.read::<StatReply>(answer).map(|reply| reply.stat),
        )
    }
}
