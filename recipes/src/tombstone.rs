//! What a holder leaves beside its lock for as long as it holds it: whoever comes next and finds it
//! knows that it died.

use std::time::Duration;

use znode::{Client, CreateMode, Error, ErrorKind, Op, OpResult, Outcome, Stat, Version};

use crate::contender::Contender;
use crate::error::LockError;
use crate::final_look::final_look;
use crate::sequence::Mode;
use crate::sequencer::Sequencer;

/// The end of the tombstone's name, which begins with that of the lock's node. It stands beside
/// that and not below, where Curator would take it for a contender (CURATOR-43).
const SUFFIX: &str = "-tombstone";

/// A holder that did not let go by itself: its session ended, or somebody else deleted its node.
/// Whatever it was doing it may have done by half, and requests of its own may still be on their
/// way to whatever does not check tokens.
///
/// ```no_run
/// # fn example(guard: znode_recipes::Guard) {
/// use znode_recipes::UncleanDeath;
///
/// let death: Option<&UncleanDeath> = guard.unclean_death();
/// if let Some(death) = death {
///     println!("{} died; wait {:?}", death.holder().session(), death.delay());
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UncleanDeath {
    holder: Sequencer,
    delay: Duration,
}

impl UncleanDeath {
    /// Who held the lock, with what token.
    pub fn holder(&self) -> &Sequencer {
        &self.holder
    }

    /// How long its successor was to wait before it acts.
    pub fn delay(&self) -> Duration {
        self.delay
    }

    fn text(&self) -> String {
        format!("{} {}", self.delay.as_millis(), self.holder)
    }

    fn parse(data: &[u8]) -> Option<Self> {
        let (delay_ms, holder) = std::str::from_utf8(data).ok()?.split_once(' ')?;
        let delay = Duration::from_millis(delay_ms.parse().ok()?);
        Some(Self { holder: holder.parse().ok()?, delay })
    }
}

/// The tombstone of a holder that lives.
#[derive(Debug)]
pub(crate) struct Tombstone {
    path: String,
    text: String,
    /// The version that is ours, once that is known.
    version: Option<Version>,
    /// What stood there before, until somebody has been told of it.
    untold: Option<Vec<u8>>,
}

impl Tombstone {
    /// Whether there is nothing to find out before it can be removed.
    pub(crate) fn is_settled(&self) -> bool {
        self.version.is_some()
    }

    /// Removes it, unless somebody else has written to it. Who gives up before it was told of the
    /// last one puts that back.
    pub(crate) fn removal(&self) -> Option<Op> {
        Some(match &self.untold {
            Some(last) => Op::set_data(&self.path, last, self.version?),
            None => Op::delete(&self.path, self.version?),
        })
    }

    /// Somebody is told of the last one.
    pub(crate) fn told(&mut self) {
        self.untold = None;
    }

    /// Finds out whether it was written, when nobody had the patience to learn it.
    pub(crate) async fn settle(&mut self, client: &Client) -> Result<(), Error> {
        if self.is_settled() {
            return Ok(());
        }
        let found = final_look(client, &self.path, || client.get_data(&self.path)).await;
        let found = found_or_none(found)?;
        let ours = found.filter(|(data, _)| *data == self.text.as_bytes());
        // One that is not there or not ours has a version that nobody has.
        self.version = Some(ours.map_or(Version(i32::MAX), |(_, version)| version));
        Ok(())
    }
}

/// Writes the tombstone of a contender whose turn it is, as one transaction with a check that its
/// node stands; returns what the last holder has left. `Ok(Err(()))` says that the node is gone.
pub(crate) async fn write(
    contender: &mut Contender,
    delay: Duration,
) -> Result<Result<Option<UncleanDeath>, ()>, LockError> {
    let lock = contender.parent().clone();
    if lock.is_root() {
        return Err(LockError::no_place_beside(lock.as_str()));
    }
    let path = format!("{}{SUFFIX}", lock.as_str());
    let client = contender.client().clone();
    let holder = Sequencer::new(&client, contender.path(), Mode::Exclusive, contender.token());
    let text = UncleanDeath { holder, delay }.text();
    let (version, untold) = (None, None);
    *contender.tombstone() = Some(Tombstone { path, text, version, untold });
    let mut may_be_written = false;
    let written = insist(contender, lock.as_str(), &mut may_be_written).await;
    if !matches!(written, Ok(Ok(_))) && !may_be_written {
        // Then there is nothing to find out, and the node can go at once.
        *contender.tombstone() = None;
    }
    written
}

/// Writes it, and looks again whenever that was not answered, or a server was behind.
async fn insist(
    contender: &mut Contender,
    lock: &str,
    may_be_written: &mut bool,
) -> Result<Result<Option<UncleanDeath>, ()>, LockError> {
    let failed = |error| LockError::client(lock, error);
    let (client, node) = (contender.client().clone(), contender.path().to_owned());
    let mut last: Option<UncleanDeath> = None;
    loop {
        let Some(tombstone) = contender.tombstone() else { return Ok(Err(())) };
        let (path, text) = (tombstone.path.as_str(), tombstone.text.as_str());
        let write = match read(&client, path).await.map_err(failed)? {
            Some((data, version)) if data == text.as_bytes() => {
                tombstone.version = Some(version);
                return Ok(Ok(last));
            }
            Some((data, version)) => {
                let Some(death) = UncleanDeath::parse(&data) else {
                    return Err(LockError::not_a_tombstone(lock, path));
                };
                let write = Op::set_data(path, text, version);
                (last, tombstone.untold) = (Some(death), Some(data));
                write
            }
            None => Op::create(path, text, CreateMode::Persistent),
        };
        match client.multi([Op::check(&node, Version::ANY), write]).await {
            Ok(results) => {
                tombstone.version = Some(written(&results));
                return Ok(Ok(last));
            }
            Err(error) if error.op_index() == Some(0) && error.kind() == ErrorKind::NoNode => {
                return Ok(Err(()));
            }
            Err(error) if is_worth_a_look(&error) => {
                *may_be_written |= error.outcome() == Outcome::Unknown;
                client.until_answered(|| client.sync("/")).await.map_err(failed)?;
            }
            Err(error) => {
                *may_be_written |= error.outcome() == Outcome::Unknown;
                return Err(failed(error));
            }
        }
    }
}

/// The version that a write has left.
fn written(results: &[OpResult]) -> Version {
    match results.last() {
        Some(OpResult::DataSet(stat)) => stat.version,
        _ => Version(0),
    }
}

fn is_worth_a_look(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionLoss
            | ErrorKind::NodeExists
            | ErrorKind::BadVersion
            | ErrorKind::NoNode
    )
}

async fn read(client: &Client, path: &str) -> Result<Option<(Vec<u8>, Version)>, Error> {
    found_or_none(client.until_answered(|| client.get_data(path)).await)
}

fn found_or_none(
    read: Result<(impl AsRef<[u8]>, Stat), Error>,
) -> Result<Option<(Vec<u8>, Version)>, Error> {
    match read {
        Ok((data, stat)) => Ok(Some((data.as_ref().to_vec(), stat.version))),
        Err(error) if error.kind() == ErrorKind::NoNode => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tombstone_is_read_back_and_nothing_else_is() {
        let holder = "1:x:1c:100001:c440cffd:/locks/invoice-run/_c_0-lock-0000000003";
        let death =
            UncleanDeath { holder: holder.parse().unwrap(), delay: Duration::from_millis(1500) };
        assert_eq!(UncleanDeath::parse(death.text().as_bytes()), Some(death));
        for text in ["", "1500", "x y", "1500 1:x:1c", &format!("-1 {holder}")] {
            assert_eq!(UncleanDeath::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(UncleanDeath::parse(&[0xff, b' ']), None);
    }
}
