//! An item that was taken, until that is acknowledged.

use znode::{Error, ErrorKind, Op, Outcome, Version};

use super::candidates::{Candidates, Shelf};
use super::names::Place;
use crate::final_look::{final_look, find_own};
use crate::presence::Presence;
use crate::recipe_error::RecipeError;

/// An item of a [`Queue`](crate::Queue) that nobody else takes meanwhile.
///
/// It is gone from the queue when it was [acknowledged](Self::ack), and not before: dropping it,
/// or the end of the session, lets others take it, with the priority, the delay and the id that it
/// had.
///
/// ```no_run
/// # async fn send(mail: &[u8]) -> bool { true }
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::{Delivery, Queue};
///
/// let delivery: Delivery = Queue::new(&client, "/queues/mail").take().await?;
/// println!("{} of {:?}", delivery.path(), delivery.id());
/// let is_sent = send(delivery.data()).await && delivery.items().len() == 1;
/// if is_sent {
///     delivery.ack().await?;
/// } else {
///     delivery.nack().await?; // for somebody else to try
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping it gives the item back"]
pub struct Delivery {
    pub(super) shelf: Shelf,
    pub(super) candidates: Candidates,
    pub(super) place: Place,
    pub(super) path: String,
    pub(super) claim: Presence,
    pub(super) items: Vec<Vec<u8>>,
}

impl Delivery {
    /// The data that was put; of several items that were put as one, the first.
    pub fn data(&self) -> &[u8] {
        self.items.first().map_or(&[], Vec::as_slice)
    }

    /// Everything that was put as one: Curator can put several items at once.
    pub fn items(&self) -> &[Vec<u8>] {
        &self.items
    }

    /// The path of the item's node.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The id that it was put with, in a queue [of ids](crate::Queue::by_id).
    pub fn id(&self) -> Option<&str> {
        self.shelf.order.id(&self.place.name)
    }

    /// Removes the item from the queue: it is done. If somebody else has deleted our claim, and a
    /// third one has taken the item since, whoever acknowledges first removes it, and the other one
    /// is told that it is lost.
    ///
    /// # Errors
    /// - `Lost` if the claim or the item was deleted by somebody else: others may have it, or have
    ///   had it;
    /// - `Client` with the client's own error, as the end of the session; if its
    ///   [outcome](RecipeError::outcome) is `Unknown`, the item is gone, or others have it. A lost
    ///   connection is not told.
    ///
    /// # Cancel safety
    /// If the future is dropped, what is in line takes effect; otherwise the item is given back.
    pub async fn ack(self) -> Result<(), RecipeError> {
        self.ack_with([]).await
    }

    /// Removes the item from the queue in one transaction with other operations: what is done in
    /// ZooKeeper for it is done exactly once.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
    /// use znode::Op;
    /// use znode_recipes::Queue;
    ///
    /// let order = Queue::new(&client, "/queues/orders").take().await?;
    /// let booked = Op::set_data("/bookings/last", order.data(), znode::Version::ANY);
    /// order.ack_with([booked]).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`ack`](Self::ack); `Client` also if one of the operations fails, and then nothing was
    /// done and the item is given back. Its index is that in `operations` plus two.
    ///
    /// # Cancel safety
    /// As [`ack`](Self::ack).
    pub async fn ack_with(
        mut self,
        operations: impl IntoIterator<Item = Op>,
    ) -> Result<(), RecipeError> {
        let removed = [&*self.path, self.claim.path()].map(|path| Op::delete(path, Version::ANY));
        let ops: Vec<Op> = removed.into_iter().chain(operations).collect();
        loop {
            let Err(failed) = self.shelf.client.multi(ops.iter().cloned()).await else {
                self.claim.forget();
                return Ok(());
            };
            let is_of_removal = failed.op_index().is_some_and(|index| index < 2);
            match failed.kind() {
                ErrorKind::ConnectionLoss if failed.outcome() == Outcome::NotSent => {}
                ErrorKind::ConnectionLoss => match self.is_done().await {
                    Ok(true) => {
                        self.claim.forget();
                        return Ok(());
                    }
                    Ok(false) => {}
                    Err(error) => return Err(self.failed(error).but_unknown()),
                },
                ErrorKind::NoNode if is_of_removal => return Err(self.lost()),
                _ => return Err(self.failed(failed)),
            }
        }
    }

    /// Gives the item back, for whoever is next; it keeps its place, its priority, its delay and
    /// its id.
    ///
    /// # Errors
    /// As [`ack`](Self::ack).
    ///
    /// # Cancel safety
    /// If the future is dropped, the item is given back all the same.
    pub async fn nack(mut self) -> Result<(), RecipeError> {
        match self.claim.leave().await {
            Ok(true) => {
                self.candidates.give_back(self.place);
                Ok(())
            }
            Ok(false) => Err(self.lost()),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Whether the removal whose reply was lost has taken effect: claim and item go together, and
    /// nobody else deletes the claim of a session that lives.
    async fn is_done(&self) -> Result<bool, Error> {
        let client = &self.shelf.client;
        if find_own(client, self.claim.path()).await?.is_some() {
            return Ok(false);
        }
        Ok(final_look(client, &self.path, || client.exists(&self.path)).await?.is_none())
    }

    fn lost(&self) -> RecipeError {
        RecipeError::lost(&self.path, "somebody else has deleted it, or the claim to it")
    }

    fn failed(&self, error: Error) -> RecipeError {
        RecipeError::client(&self.path, error)
    }
}
