//! A lock as it can be named to others: what it is, who holds it, and a way to see whether it still
//! stands.

use std::fmt;
use std::str::FromStr;

use znode::{Client, InvalidPath, Op, Path, SessionId, Stat, Version, Zxid};

use crate::error::LockError;
use crate::final_look::final_look;
use crate::sequence::Mode;

/// What a text of a sequencer begins with: the version of its format.
const FORMAT: &str = "1";

/// The name of one holding of a lock, which its holder may hand to others, as text.
///
/// Whoever is asked to do something in the name of a lock can [verify](Self::verify) the holding
/// against ZooKeeper, embed it as a [`check`](Self::check) in a transaction of its own, or
/// remember the highest [`token`](Self::token) and refuse lower ones, without asking anybody. (It
/// is Chubby's sequencer.)
///
/// What Chubby's handle knows of a file, ZooKeeper tells of a node as:
///
/// | Chubby | ZooKeeper | of a lock's node |
/// |---|---|---|
/// | instance number | `czxid` | the [`token`](Self::token) |
/// | lock generation number | `czxid`, each holding having a node of its own | the same |
/// | content generation number | `version` | counts notes written into it; of no meaning here |
/// | ACL generation number | `aversion` | 0 unless somebody has changed its list |
/// | file checksum | `mzxid` tells any two contents apart | |
/// | – | – | the text has a checksum of its own, so that a garbled one is refused |
///
/// ```
/// use znode_recipes::Sequencer;
///
/// let text = "1:x:1c:100001:c440cffd:/locks/invoice-run/_c_0-lock-0000000003";
/// let sequencer: Sequencer = text.parse()?;
/// assert_eq!((sequencer.token().0, sequencer.session().0), (0x1c, 0x100001));
/// assert_eq!(sequencer.to_string(), text);
/// assert!(text.replace("1c", "1d").parse::<Sequencer>().is_err());
/// # Ok::<(), znode_recipes::InvalidSequencer>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sequencer {
    /// From the root of the ensemble, not of any client's chroot.
    path: Path,
    mode: Mode,
    token: Zxid,
    session: SessionId,
}

/// A text is not that of a [`Sequencer`].
///
/// ```
/// let refused = "/locks/invoice-run".parse::<znode_recipes::Sequencer>().unwrap_err();
/// assert!(refused.to_string().contains("/locks/invoice-run"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not the text of a sequencer: {what}")]
pub struct InvalidSequencer {
    text: String,
    what: &'static str,
}

impl Sequencer {
    pub(crate) fn new(client: &Client, node: &str, mode: Mode, token: Zxid) -> Self {
        let path = match node.strip_prefix('/') {
            Some(below) if !below.is_empty() => client.chroot().join(below),
            _ => Ok(client.chroot().clone()),
        };
        let path = path.expect("a node's path below a chroot is a path");
        Self { path, mode, token, session: client.session_id() }
    }

    /// The lock's node, from the root of the ensemble.
    pub fn path(&self) -> &str {
        self.path.as_str()
    }

    /// Whether others may hold the same lock meanwhile.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The fencing token; see [`Guard::token`](crate::Guard::token).
    pub fn token(&self) -> Zxid {
        self.token
    }

    /// The session of the holder.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Asks ZooKeeper whether the lock is still held by that holder: true of the moment in which
    /// it is asked, and not of any later one. It is one round trip.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
    /// use znode_recipes::{Mode, Mutex};
    ///
    /// let guard = Mutex::new(&client, "/locks/invoice-run").lock().await?;
    /// let sequencer = guard.sequencer();
    /// assert_eq!(sequencer.mode(), Mode::Exclusive);
    /// println!("{} is held: {}", sequencer.path(), sequencer.verify(&client).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidPath` if the node is not below the chroot of `client`; `Client` with the client's
    /// own error, as `NoAuth` or the end of its session.
    ///
    /// # Cancel safety
    /// It may be dropped and asked for again.
    pub async fn verify(&self, client: &Client) -> Result<bool, LockError> {
        let path = self.below(client)?;
        // So that the server is not behind what the holder has seen.
        let looked = final_look(client, &path, || client.exists(&path)).await;
        let stat = looked.map_err(|error| LockError::client(&path, error))?;
        // A node that has taken a writer's place is younger than the place.
        let is_it = |stat: Stat| stat.czxid >= self.token && stat.ephemeral_owner == self.session;
        Ok(stat.is_some_and(is_it))
    }

    /// An operation for transactions of `client`, which fail as `NoNode` once the lock is not held
    /// by that holder any more.
    ///
    /// It checks that the node exists: its name has a GUID and a number in it, so no other ever
    /// bears it. It takes READ on the node.
    ///
    /// ```no_run
    /// # use std::error::Error;
    /// # async fn example(client: znode::Client, text: &str) -> Result<(), Box<dyn Error>> {
    /// use znode::{Op, Version};
    /// use znode_recipes::Sequencer;
    ///
    /// let sequencer: Sequencer = text.parse()?;
    /// let write = Op::set_data("/invoices/last", "4711", Version::ANY);
    /// client.multi([sequencer.check(&client)?, write]).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidPath` if the node is not below the chroot of `client`.
    pub fn check(&self, client: &Client) -> Result<Op, LockError> {
        Ok(Op::check(self.below(client)?, Version::ANY))
    }

    /// The path of the node, as a client knows it.
    fn below(&self, client: &Client) -> Result<String, LockError> {
        let (path, chroot) = (self.path.as_str(), client.chroot());
        if chroot.is_root() {
            return Ok(path.to_owned());
        }
        match path.strip_prefix(chroot.as_str()) {
            Some(below) if below.starts_with('/') => Ok(below.to_owned()),
            _ => Err(LockError::out_of_reach(path)),
        }
    }

    /// What the checksum is over.
    fn fields(&self) -> String {
        let mode = match self.mode {
            Mode::Exclusive => 'x',
            Mode::Shared => 's',
        };
        format!("{FORMAT}:{mode}:{:x}:{:x}", self.token.0, self.session.0)
    }
}

/// The text, which [`FromStr`] reads.
impl fmt::Display for Sequencer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (fields, path) = (self.fields(), self.path.as_str());
        write!(f, "{fields}:{:08x}:{path}", checksum(&fields, path))
    }
}

impl FromStr for Sequencer {
    type Err = InvalidSequencer;

    fn from_str(text: &str) -> Result<Self, InvalidSequencer> {
        parse(text).map_err(|what| InvalidSequencer { text: text.to_owned(), what })
    }
}

fn parse(text: &str) -> Result<Sequencer, &'static str> {
    let mut fields = text.splitn(6, ':');
    let mut next = || fields.next().ok_or("it has too few fields");
    if next()? != FORMAT {
        return Err("it is of another version");
    }
    let mode = match next()? {
        "x" => Mode::Exclusive,
        "s" => Mode::Shared,
        _ => return Err("its mode is neither x nor s"),
    };
    let token = i64::from_str_radix(next()?, 16).map_err(|_| "its token is no number")?;
    let session = i64::from_str_radix(next()?, 16).map_err(|_| "its session is no number")?;
    let expected = next()?;
    let path = Path::parse(next()?).map_err(|_: InvalidPath| "its path cannot be one")?;
    let (token, session) = (Zxid(token), SessionId(session));
    let sequencer = Sequencer { path, mode, token, session };
    let found = checksum(&sequencer.fields(), sequencer.path.as_str());
    if format!("{found:08x}") != expected {
        return Err("its checksum does not fit");
    }
    Ok(sequencer)
}

/// FNV-1a: against accidents, not against malice.
fn checksum(fields: &str, path: &str) -> u32 {
    let bytes = fields.bytes().chain([b':']).chain(path.bytes());
    bytes.fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            token: i64, session: i64, is_shared: bool, name in "[a-z: ü-]{1,9}",
        ) {
            let mode = if is_shared { Mode::Shared } else { Mode::Exclusive };
            let path = Path::parse(&format!("/a/{name}")).unwrap();
            let (token, session) = (Zxid(token.max(0)), SessionId(session.max(0)));
            let sequencer = Sequencer { path, mode, token, session };
            prop_assert_eq!(sequencer.to_string().parse(), Ok(sequencer));
        }

        #[test]
        fn any_text_is_read_without_panic(text: String) {
            assert!(text.parse::<Sequencer>().is_err());
        }

        #[test]
        fn a_garbled_text_is_refused(at in 0_usize..50, byte in 33_u8..127) {
            let sequencer = Sequencer {
                path: Path::parse("/locks/one/_c_x-lock-0000000007").unwrap(),
                mode: Mode::Exclusive,
                token: Zxid(0x1234),
                session: SessionId(0x10_0000),
            };
            let text = sequencer.to_string();
            let mut bytes = text.clone().into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            let garbled = String::from_utf8(bytes).unwrap();
            prop_assume!(garbled != text);
            prop_assert!(garbled.parse::<Sequencer>().is_err(), "{}", garbled);
        }
    }
}
