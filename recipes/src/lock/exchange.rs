//! One node of a contender for another with the same number, so that its place in line is kept.

use znode::{CreateMode, Error, ErrorKind, Op, Outcome, Version, Zxid};

use super::line::Line;
use crate::contender::Contender;
use crate::error::LockError;
use crate::final_look::find_own;
use crate::loss::LostReason;
use crate::sequence::{Contending, Mode, Refusal};

impl Line {
    /// Puts a node of `mode` in the place of a contender's, in one transaction.
    ///
    /// # Errors
    /// `LockLost` if the old node is gone; `Client` with the client's own error, and then the old
    /// node is removed.
    pub(super) async fn replace(&self, old: Contender, mode: Mode) -> Result<Contender, LockError> {
        let path = self.heir(&old, mode)?;
        self.make(&path, Op::delete(old.path(), Version::ANY)).await?;
        // Whoever waits has a higher token than the place that is kept, and a lower one than the
        // node that keeps it.
        let new = self.contender(&old, &path, old.token());
        old.forget();
        Ok(new)
    }

    /// Puts an exclusive node beside a contender's shared one, and sees whether nobody else is in
    /// line then; `None` if somebody is, and then it is removed again.
    ///
    /// Whoever comes later, or looks later, sees the new node ahead and waits for it. Whoever has
    /// looked before stands in the list that is read now, as a node is made before its contender
    /// looks. So two who do this at once may both be refused, and never both succeed. And whoever
    /// is not in that list has a higher token than the new node, as all who hold later must have.
    pub(super) async fn exclude_others(
        &self,
        ours: &Contender,
    ) -> Result<Option<Contender>, LockError> {
        let path = self.heir(ours, Mode::Exclusive)?;
        let czxid = self.make(&path, Op::check(ours.path(), Version::ANY)).await?;
        let new = self.contender(ours, &path, czxid);
        let siblings = new.siblings().await.map_err(|error| self.exchange_error(error))?;
        let contenders = self.naming.contenders(&siblings);
        let contenders = contenders.map_err(|refusal| LockError::refused(&self.path, refusal))?;
        if is_sole(&contenders, ours.name(), new.name()) {
            return Ok(Some(new));
        }
        new.remove().await.map_err(|error| self.exchange_error(error))?;
        Ok(None)
    }

    /// The path of a node with the number of another.
    fn heir(&self, old: &Contender, mode: Mode) -> Result<String, LockError> {
        let Some(Contending { sequence, .. }) = self.naming.contending(old.name()) else {
            let foreign = Refusal::OtherRecipe(old.name().to_owned());
            return Err(LockError::refused(&self.path, foreign));
        };
        let prefix = self.naming.prefix(self.options.layout, mode, &self.client.guid());
        Ok(old.sibling(&format!("{prefix}{}", sequence.digits())))
    }

    /// Makes a node in one transaction with something about the old one, which fails with that;
    /// returns its `czxid`.
    async fn make(&self, path: &str, about: Op) -> Result<Zxid, LockError> {
        loop {
            let create = Op::create(path, &self.options.data, CreateMode::Ephemeral);
            let answer = self.client.multi([about.clone(), create]).await;
            match answer {
                Ok(results) => match results.last() {
                    Some(znode::OpResult::Created(created)) => {
                        return Ok(created.stat.czxid);
                    }
                    _ => return Err(LockError::unexpected(&self.path)),
                },
                Err(error) if error.kind() == ErrorKind::ConnectionLoss => {
                    if error.outcome() == Outcome::Unknown {
                        let found = self.find(path).await;
                        if let Some(czxid) = found.map_err(|error| self.exchange_error(error))? {
                            return Ok(czxid);
                        }
                    }
                }
                Err(error) if error.kind() == ErrorKind::NoNode => {
                    return Err(LockError::lost(&self.path, LostReason::Deleted));
                }
                Err(error) => return Err(self.exchange_error(error)),
            }
        }
    }

    /// Who exchanges something holds it; a session that is over has lost it.
    pub(super) fn exchange_error(&self, error: Error) -> LockError {
        LockError::guarded_by(&self.path, error, 0)
    }

    fn contender(&self, old: &Contender, path: &str, token: Zxid) -> Contender {
        Contender::standing(&self.client, old.parent(), path.to_owned(), token)
    }

    /// Finds out whether a node was made whose answer was lost.
    async fn find(&self, path: &str) -> Result<Option<Zxid>, Error> {
        Ok(find_own(&self.client, path).await?.map(|stat| stat.czxid))
    }
}

/// Whether nobody is in line but the contender with these two nodes, of which both stand.
fn is_sole(contenders: &[Contending<'_>], ours: &str, new: &str) -> bool {
    contenders.iter().any(|contender| contender.name == new)
        && contenders.iter().all(|contender| [ours, new].contains(&contender.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::Naming;

    #[test]
    fn whoever_else_is_in_line_is_in_the_way() {
        let names: Vec<String> = ["READ__0000000001", "WRIT__0000000001"]
            .into_iter()
            .chain(["READ__0000000002", "WRIT__0000000002", "WRIT__0000000003"])
            .map(|name| format!("_c_x-__{name}"))
            .collect();
        let contenders = Naming::READ_WRITE.contenders(&names).unwrap();
        let is_sole = |among: &[Contending<'_>], reader: usize| {
            is_sole(among, &names[reader], &names[reader + 1])
        };
        assert!(is_sole(&contenders[..2], 0));
        assert!(!is_sole(&contenders[..1], 0), "its second node is gone");
        // Each of two readers has made its second node, and reads the list.
        assert!(!is_sole(&contenders[..4], 0) && !is_sole(&contenders[..4], 2));
        let with_waiting = [contenders[0], contenders[1], contenders[4]];
        assert!(!is_sole(&with_waiting, 0), "it has a lower token than the second node");
    }
}
