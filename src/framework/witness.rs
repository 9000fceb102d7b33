//! Transactions that leave a witness, so that a lost reply leaves no doubt.

use tokio::runtime::Handle;

use super::again::{ATTEMPTS_MAX, is_lost};
use crate::client::Client;
use crate::create_mode::CreateMode;
use crate::error::{Error, Outcome};
use crate::ops::{Op, OpResult};
use crate::path;
use crate::proto::{SessionId, Zxid};

const NAME: &str = "multi_proven";

impl Client {
    /// Carries out a transaction exactly once, also if replies are lost, and returns its number.
    ///
    /// As the last of its operations, the transaction creates a witness: an ephemeral node of this
    /// session with a GUID in its name below `witnesses`, a node that must exist. After a lost
    /// reply and a `sync`, the witness is there if and only if the transaction has taken effect;
    /// if not, it is carried out again, up to ten times in all. Then the witness is deleted. That
    /// makes two writes of one, and a list that others should not watch.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use znode::Op;
    ///
    /// let (balance, stat) = client.get_data("/account").await?;
    /// # let next = balance;
    /// let withdraw = Op::set_data("/account", next, stat.version);
    /// let zxid = client.multi_proven([withdraw], "/witnesses").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The `czxid` of what it has created and the `mzxid` of what it has written are the number
    /// that it returns: so the digits of a sequential node can be found out, too.
    ///
    /// # Errors
    /// As [`multi`](Self::multi), where the witness is the operation after the last. Its outcome
    /// is `Unknown` only if the session ends meanwhile, or if ten replies were lost and nothing has
    /// come of it: a server closes the connection at a frame that is too large for it.
    ///
    /// # Cancel safety
    /// If the future is dropped, a transaction that is in line takes effect or not, whole; a task
    /// of the session deletes the witness.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn multi_proven(
        &self,
        ops: impl IntoIterator<Item = Op>,
        witnesses: &str,
    ) -> Result<Zxid, Error> {
        let mut ops: Vec<Op> = ops.into_iter().collect();
        let path = path::join(witnesses, &self.protected_name("witness"));
        ops.push(Op::create(&path, "", CreateMode::Ephemeral));
        let mut witness =
            Witness { client: self.clone(), path, runtime: Handle::current(), may_stand: false };
        let mut lost_count = 0;
        loop {
            let reply = self.multi(ops.iter().cloned());
            witness.may_stand = true;
            let lost = match reply.await {
                Ok(results) => return zxid(&results),
                Err(error) if is_lost(&error) => error,
                Err(error) => {
                    witness.may_stand = error.outcome() == Outcome::Unknown;
                    return Err(error);
                }
            };
            if lost.outcome() == Outcome::Unknown {
                lost_count += 1;
                let found = self.synced(&witness.path).await;
                let found = found.map_err(|error| error.unproven(NAME, &witness.path))?;
                if let Some(stat) = found.filter(|stat| self.owns(stat.ephemeral_owner)) {
                    return Ok(stat.czxid);
                }
            }
            witness.may_stand = false;
            if lost_count == ATTEMPTS_MAX {
                return Err(lost);
            }
        }
    }

    fn owns(&self, owner: SessionId) -> bool {
        owner == self.session_id()
    }
}

fn zxid(results: &[OpResult]) -> Result<Zxid, Error> {
    match results.last() {
        Some(OpResult::Created(witness)) => Ok(witness.stat.czxid),
        other => {
            let what = format!("the witness was answered with {other:?}");
            Err(Error::unexpected(NAME, what.into()))
        }
    }
}

/// A node that may stand, and goes when this does.
struct Witness {
    client: Client,
    path: String,
    /// Where the deletion is seen to: a future may be dropped outside of any runtime.
    runtime: Handle,
    may_stand: bool,
}

impl Drop for Witness {
    fn drop(&mut self) {
        if self.may_stand && !self.client.state().is_terminal() {
            drop(self.client.spawn_delete(&self.path, &self.runtime));
        }
    }
}
