//! The leases of a semaphore: counted, waited for, and made, all under its lock.

use std::future::pending;
use std::sync::Arc;

use znode::{Client, CreateMode, Error, ErrorKind, Op, OpResult, Outcome, Path, Version, Zxid};

use super::limit::Limit;
use super::line::{Line, Patience};
use crate::contender::Contender;
use crate::error::LockError;
use crate::final_look::{final_look, find_own};
use crate::guard::{Guard, Terms};
use crate::loss::LostReason;
use crate::options::LockOptions;
use crate::order::Noted;
use crate::sequence::{Mode, Naming};

/// How often a request for several leases steps aside for smaller ones, before it stays at the head
/// of the line until it is granted: it must come to its turn, too.
const STEPS_ASIDE_MAX: usize = 16;

/// The leases of one semaphore, and the line of those who want some.
#[derive(Debug, Clone)]
pub(super) struct Leases {
    /// The semaphore, as its caller named it.
    pub(super) semaphore: Arc<str>,
    /// The mutex under which leases are counted and made.
    pub(super) line: Line,
    /// The node whose children are the leases.
    pub(super) parent: Path,
    pub(super) limit: Limit,
    /// How the leases are asked for.
    pub(super) options: LockOptions,
}

/// How a look at the leases ended.
enum Look {
    /// There is room for so many.
    Fits,
    /// There is not; some are free all the same, for those who want fewer.
    Blocked { has_some: bool },
}

impl Leases {
    /// Acquires so many leases at once, or none; `None` says that they are not free.
    ///
    /// Whoever is at the head of the line looks, and all others stand behind it. It waits there for
    /// leases to be released if it wants one, since then there is none for anybody; otherwise it
    /// steps aside while there are some for those who want fewer, and stands in line again when
    /// there is room.
    pub(super) async fn acquire(
        &self,
        count: u32,
        patience: Patience,
    ) -> Result<Option<Vec<Guard>>, LockError> {
        let mut steps_aside = 0;
        loop {
            let Some(head) = self.line.stand(patience, drop).await? else {
                return Ok(None);
            };
            let may_step_aside = steps_aside < STEPS_ASIDE_MAX;
            match self.wait_at_head(&head, count, patience, may_step_aside).await? {
                Some(Look::Fits) => {
                    if let Some(leases) = self.grant(head, count).await? {
                        return Ok(Some(leases));
                    }
                }
                Some(Look::Blocked { .. }) if patience == Patience::None => {
                    head.release().await?;
                    return Ok(None);
                }
                Some(Look::Blocked { .. }) => {
                    drop(head);
                    steps_aside += 1;
                    // Beside the line.
                    self.watch(count, false).await?;
                }
                // The place was lost, with the head of the line.
                None => {}
            }
        }
    }

    /// Looks until there is room; returns before that if others should be let through. `None` says
    /// that the head of the line was lost.
    async fn wait_at_head(
        &self,
        head: &Guard,
        count: u32,
        patience: Patience,
        may_step_aside: bool,
    ) -> Result<Option<Look>, LockError> {
        let look = self.glance(count).await?;
        let is_over = match look {
            Look::Fits => true,
            Look::Blocked { has_some } => {
                patience == Patience::None || (has_some && may_step_aside)
            }
        };
        if is_over {
            return Ok(Some(look));
        }
        tokio::select! {
            biased;
            reason = head.lost() => {
                let is_over = reason.is_session_over();
                if is_over { Err(LockError::lost(&self.semaphore, reason)) } else { Ok(None) }
            }
            look = self.watch(count, may_step_aside) => look.map(Some),
        }
    }

    /// Looks, with nothing left behind.
    async fn glance(&self, count: u32) -> Result<Look, LockError> {
        let client = &self.line.client;
        let limit = self.limit.glance(client).await?;
        let parent = self.parent.as_str();
        match client.until_answered(|| client.get_children(parent)).await {
            Ok(children) => self.judge(count, limit, &children),
            Err(error) if error.kind() == ErrorKind::NoNode => {
                self.make_parent().await?;
                self.judge(count, limit, &[])
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Looks whenever the leases, or the limit, may have changed, until there is room; or some
    /// room, if that is enough to let others through.
    async fn watch(&self, count: u32, some_will_do: bool) -> Result<Look, LockError> {
        let client = &self.line.client;
        loop {
            let (limit, limit_watcher) = self.limit.watch(client).await?;
            let parent = self.parent.as_str();
            let (children, watcher) =
                match client.until_answered(|| client.get_children_watched(parent)).await {
                    Ok((children, _, watcher)) => (children, watcher),
                    Err(error) if error.kind() == ErrorKind::NoNode => {
                        self.make_parent().await?;
                        continue;
                    }
                    Err(error) => return Err(self.failed(error)),
                };
            match self.judge(count, limit, &children)? {
                Look::Blocked { has_some } if !(has_some && some_will_do) => {}
                look => return Ok(look),
            }
            let limit_changed = async {
                match limit_watcher {
                    Some(watcher) => watcher.await.map(drop),
                    None => pending().await,
                }
            };
            let changed = tokio::select! {
                biased;
                event = watcher => event.map(drop),
                changed = limit_changed => changed,
            };
            changed.map_err(|error| self.failed(error))?;
        }
    }

    fn judge(&self, count: u32, limit: u32, children: &[String]) -> Result<Look, LockError> {
        let leases = Naming::LEASE.contenders(children);
        let leases = leases.map_err(|refusal| LockError::refused(&self.semaphore, refusal))?;
        let held = u32::try_from(leases.len()).unwrap_or(u32::MAX);
        Ok(match limit.checked_sub(held) {
            Some(free) if free >= count => Look::Fits,
            free => Look::Blocked { has_some: free.is_some_and(|free| free > 0) },
        })
    }

    async fn make_parent(&self) -> Result<(), LockError> {
        let (client, parents) = (&self.line.client, self.options.layout.parents());
        let made = client.ensure_path(self.parent.as_str(), parents).await;
        made.map_err(|error| self.failed(error))
    }

    /// Makes the leases and leaves the head of the line, in one transaction, which fails if we are
    /// not there any more: then there are none, and `None` is returned. It is carried out to its
    /// end whether anybody waits for it or not.
    async fn grant(&self, head: Guard, count: u32) -> Result<Option<Vec<Guard>>, LockError> {
        let (runtime, leases) = (head.runtime(), self.clone());
        let (head, noted) = head.dissolve();
        drop(noted);
        let task = runtime.spawn(async move { leases.make(head, count).await });
        // A runtime that shuts down ends the session, too.
        let gone = |_| Err(LockError::lost(&self.semaphore, LostReason::Closed));
        let made = task.await.unwrap_or_else(gone)?;
        Ok(made.map(|leases| leases.into_iter().map(|lease| self.guard(lease)).collect()))
    }

    async fn make(&self, head: Contender, count: u32) -> Result<Option<Vec<Contender>>, LockError> {
        let (client, options) = (&self.line.client, &self.options);
        let name = Naming::LEASE.prefix(options.layout, Mode::Exclusive, &client.guid());
        let prefix = znode::path::join(self.parent.as_str(), &name);
        let create = || Op::create(&prefix, &options.data, CreateMode::EphemeralSequential);
        loop {
            let leave = Op::delete(head.path(), Version::ANY);
            let ops = std::iter::once(leave).chain((0..count).map(|_| create()));
            match client.multi(ops).await {
                Ok(results) => {
                    head.forget();
                    let made = results.into_iter().filter_map(|result| match result {
                        OpResult::Created(created) => Some((created.path, created.stat.czxid)),
                        _ => None,
                    });
                    return Ok(Some(self.contenders(made)));
                }
                Err(error) if error.kind() == ErrorKind::ConnectionLoss => {
                    if error.outcome() == Outcome::Unknown {
                        let made = self.find(&name).await.map_err(|error| self.failed(error))?;
                        if !made.is_empty() {
                            head.forget();
                            return Ok(Some(self.contenders(made)));
                        }
                    }
                }
                Err(error) if error.kind() == ErrorKind::NoNode => match error.op_index() {
                    Some(0) => return Ok(None),
                    _ => self.make_parent().await?,
                },
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// Finds the leases of a transaction that was not answered: all of them or none.
    async fn find(&self, name: &str) -> Result<Vec<(String, Zxid)>, Error> {
        let (client, parent): (&Client, _) = (&self.line.client, self.parent.as_str());
        let listed = final_look(client, parent, || client.get_children(parent)).await;
        let children = match listed {
            Err(error) if error.kind() == ErrorKind::NoNode => Vec::new(),
            children => children?,
        };
        let mut found = Vec::new();
        for child in children.iter().filter(|child| child.starts_with(name)) {
            let path = znode::path::join(parent, child);
            if let Some(stat) = find_own(client, &path).await? {
                found.push((path, stat.czxid));
            }
        }
        Ok(found)
    }

    fn contenders(&self, made: impl IntoIterator<Item = (String, Zxid)>) -> Vec<Contender> {
        let (client, parent) = (&self.line.client, &self.parent);
        let standing = |(path, czxid)| Contender::standing(client, parent, path, czxid);
        made.into_iter().map(standing).collect()
    }

    fn guard(&self, lease: Contender) -> Guard {
        let (lock, options) = (Arc::clone(&self.semaphore), &self.options);
        let noted = Noted::held(&self.line.client, &self.semaphore);
        let (writer, mode) = (&self.line.writer, Mode::Shared);
        Guard::new(lease, Terms { lock, writer, mode, options, died: None, noted })
    }

    pub(super) fn failed(&self, error: Error) -> LockError {
        LockError::client(&self.semaphore, error)
    }
}
