//! One node of a contender for another with the same number, so that its place in line is kept.

use znode::{CreateMode, Error, ErrorKind, Op, Outcome, SessionId, Version, Zxid};

use super::line::Line;
use crate::contender::Contender;
use crate::error::LockError;
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
        let new = self.make(&old, &path, Op::delete(old.path(), Version::ANY)).await?;
        old.forget();
        Ok(new)
    }

    /// Puts an exclusive node beside a contender's shared one, and sees whether nobody else can
    /// hold anything then; `None` if somebody may, and then it is removed again.
    ///
    /// Whoever comes later, or looks later, sees the new node ahead and waits for it. Whoever has
    /// looked before stands in the list that is read now, as a node is made before its contender
    /// looks. So two who do this at once may both be refused, and never both succeed.
    pub(super) async fn exclude_others(
        &self,
        ours: &Contender,
    ) -> Result<Option<Contender>, LockError> {
        let path = self.heir(ours, Mode::Exclusive)?;
        let new = self.make(ours, &path, Op::check(ours.path(), Version::ANY)).await?;
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

    /// Makes a node in one transaction with something about the old one, which fails with that.
    async fn make(&self, old: &Contender, path: &str, about: Op) -> Result<Contender, LockError> {
        loop {
            let create = Op::create(path, &self.options.data, CreateMode::Ephemeral);
            let answer = self.client.multi([about.clone(), create]).await;
            match answer {
                Ok(results) => match results.last() {
                    Some(znode::OpResult::Created(created)) => {
                        return Ok(self.contender(old, path, created.stat.czxid));
                    }
                    _ => return Err(LockError::unexpected(&self.path)),
                },
                Err(error) if error.kind() == ErrorKind::ConnectionLoss => {
                    if error.outcome() == Outcome::Unknown {
                        let found = self.find(path).await;
                        if let Some(czxid) = found.map_err(|error| self.exchange_error(error))? {
                            return Ok(self.contender(old, path, czxid));
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

    fn contender(&self, old: &Contender, path: &str, czxid: Zxid) -> Contender {
        Contender::standing(&self.client, old.parent(), path.to_owned(), czxid)
    }

    /// Finds out whether a node was made whose answer was lost: the `sync` makes that final. It
    /// counts only if this session owns it.
    async fn find(&self, path: &str) -> Result<Option<Zxid>, Error> {
        let client = &self.client;
        let stat = client.until_answered(|| {
            let (sync, look) = (client.sync(path), client.exists(path));
            async move {
                match sync.await {
                    Err(error) if error.kind() != ErrorKind::NoNode => Err(error),
                    _ => look.await,
                }
            }
        });
        let is_ours = |owner: SessionId| owner == client.session_id();
        Ok(stat.await?.filter(|stat| is_ours(stat.ephemeral_owner)).map(|stat| stat.czxid))
    }
}

/// Whether nobody but the contender with these two nodes can hold anything.
///
/// Who stands behind a writer holds nothing, and will see ours when its turn comes. A writer of the
/// same number is none to stand behind: it is the second node of a reader that holds, and wants
/// what we want.
fn is_sole(contenders: &[Contending<'_>], ours: &str, new: &str) -> bool {
    let new = contenders.iter().find(|contender| contender.name == new);
    // One that is gone already excludes nobody.
    let Some(new) = new else { return false };
    let others = || contenders.iter().filter(|other| other.name != ours && other.name != new.name);
    others().all(|other| {
        let is_writer_ahead = |ahead: &Contending<'_>| {
            ahead.mode == Mode::Exclusive && ahead.sequence < other.sequence
        };
        other.sequence > new.sequence
            && (other.mode == Mode::Exclusive || others().any(is_writer_ahead))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sequence::{Naming, Standing};

    fn holds(naming: Naming, children: &[String], name: &str) -> bool {
        naming.standing(children, name) == Ok(Standing::Held)
    }

    /// Each of two readers has made its second node, and reads the list.
    #[test]
    fn of_two_who_want_the_same_neither_is_sole() {
        let names: Vec<String> = ["READ__0000000001", "WRIT__0000000001"]
            .into_iter()
            .chain(["READ__0000000002", "WRIT__0000000002"])
            .map(|name| format!("_c_x-__{name}"))
            .collect();
        let contenders = Naming::READ_WRITE.contenders(&names).unwrap();
        assert!(!is_sole(&contenders, &names[0], &names[1]));
        assert!(!is_sole(&contenders, &names[2], &names[3]));
        assert!(is_sole(&contenders[..2], &names[0], &names[1]));
        assert!(!is_sole(&contenders[..1], &names[0], &names[1]), "it is gone");
    }

    proptest! {
        /// Whatever the line looks like: if a reader that holds finds itself the sole one, then
        /// nobody else holds, with its new node or without.
        #[test]
        fn who_is_sole_holds_alone(modes: Vec<bool>, at: prop::sample::Index) {
            let name = |(number, is_writer): (usize, &bool)| {
                let marker = if *is_writer { "__WRIT__" } else { "__READ__" };
                format!("_c_{number}-{marker}{number:010}")
            };
            let mut names: Vec<_> = modes.iter().enumerate().map(name).collect();
            let naming = Naming::READ_WRITE;
            let readers: Vec<_> = (names.iter().enumerate())
                .filter(|(at, name)| !modes[*at] && holds(naming, &names, name))
                .map(|(_, name)| name.clone())
                .collect();
            prop_assume!(!readers.is_empty());
            let ours = at.get(&readers).clone();
            let new = format!("_c_new-__WRIT__{}", &ours[ours.len() - 10..]);
            names.push(new.clone());
            let contenders = naming.contenders(&names).unwrap();
            let sole = is_sole(&contenders, &ours, &new);
            prop_assert_eq!(sole, readers.len() == 1);
            if sole {
                names.retain(|name| *name != ours);
                prop_assert!(holds(naming, &names, &new));
                prop_assert!(names.iter().all(|name| *name == new || !holds(naming, &names, name)));
            }
        }
    }
}
