//! What servers tell each other while one of them is looking for a leader.

use znode::proto::{Decoder, JutePut, Zxid};

use super::vote::{Ballot, ServerState, Vote};
use crate::quorum::Sid;

/// The version of the form: the newest brings the sender's configuration along.
const VERSION: i32 = 2;

/// How long the forms are that end before the configuration: without an epoch, and without a
/// version.
const LEN_WITHOUT_EPOCH: usize = 28;
const LEN_WITHOUT_VERSION: usize = 40;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notification {
    /// What its sender votes for.
    pub(crate) ballot: Ballot,
    /// The configuration that the sender has agreed on, as text.
    pub(crate) config: Option<Vec<u8>>,
}

impl Notification {
    /// Reads a message.
    ///
    /// # Errors
    /// What is wrong with it. That concerns this one message: the next may be right
    /// (ZOOKEEPER-3769).
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut from = Decoder::new(bytes);
        let told = |error: znode::proto::DecodeError| error.to_string();
        let state: i32 = from.read().map_err(told)?;
        let state = ServerState::of(state).ok_or_else(|| format!("{state} is no state"))?;
        let leader = Sid(from.read().map_err(told)?);
        let zxid: Zxid = from.read().map_err(told)?;
        let round = from.read().map_err(told)?;
        let peer_epoch = match bytes.len() {
            LEN_WITHOUT_EPOCH => i64::from(zxid.epoch()),
            _ => from.read().map_err(told)?,
        };
        let version: i32 = match bytes.len() {
            LEN_WITHOUT_EPOCH | LEN_WITHOUT_VERSION => 0,
            _ => from.read().map_err(told)?,
        };
        let config = match version {
            2.. => from.buffer().map_err(told)?.map(<[u8]>::to_vec),
            _ => None,
        };
        let vote = Vote { leader, zxid, peer_epoch };
        Ok(Self { ballot: Ballot { vote, round, state, is_oldest: version == 0 }, config })
    }

    /// Appends the message.
    pub(crate) fn put(ballot: &Ballot, config: &str, out: &mut Vec<u8>) {
        out.put(&ballot.state.code());
        out.put(&ballot.vote.leader.0);
        out.put(&ballot.vote.zxid);
        out.put(&ballot.round);
        out.put(&ballot.vote.peer_epoch);
        out.put(&VERSION);
        out.put_string(config);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ballot() -> Ballot {
        Ballot {
            vote: Vote { leader: Sid(3), zxid: Zxid(0x2_0000_0007), peer_epoch: 2 },
            round: 5,
            state: ServerState::Looking,
            is_oldest: false,
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut bytes = Vec::new();
        Notification::put(&ballot(), "version=0", &mut bytes);
        let read = Notification::read(&bytes).unwrap();
        assert_eq!(read.ballot, ballot());
        assert_eq!(read.config.as_deref(), Some(&b"version=0"[..]));
    }

    #[test]
    fn older_forms_are_understood() {
        let mut bytes = Vec::new();
        Notification::put(&ballot(), "", &mut bytes);
        let oldest = Notification::read(&bytes[..28]).unwrap().ballot;
        assert_eq!((oldest.vote.peer_epoch, oldest.is_oldest), (2, true));
        let older = Notification::read(&bytes[..40]).unwrap();
        assert_eq!((older.ballot.is_oldest, older.config), (true, None));
    }

    #[test]
    fn zk_3769_a_message_of_any_other_form_is_an_error_and_no_panic() {
        let mut bytes = Vec::new();
        Notification::put(&ballot(), "version=0", &mut bytes);
        for len in (0..bytes.len()).filter(|len| ![28, 40].contains(len)) {
            assert!(Notification::read(&bytes[..len]).is_err(), "{len}");
        }
        bytes[3] = 4;
        assert_eq!(Notification::read(&bytes).unwrap_err(), "4 is no state");
    }
}
