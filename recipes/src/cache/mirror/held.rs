//! What is held of one path, in as few bytes as it takes.

use std::sync::Arc;

use znode::{Error, SessionId, Stat, Version, Zxid};

use crate::cache::handle::CachedNode;

/// Data this long is held as it is given to whoever asks. Shorter data is copied for each of them:
/// that takes no longer than to find it, and its node takes half the memory meanwhile.
const WHOLE_LEN_MIN: usize = 1024;

/// What is known of a path.
#[derive(Debug, Default)]
pub(super) enum Held {
    #[default]
    Nothing,
    Packed(Packed),
    /// With [`listed_at`](Held::listed_at).
    Whole(Arc<CachedNode>, Zxid),
    /// It is there and cannot be read, because of this.
    Refused(Box<Error>),
}

/// A node without its path: its metadata as differences of numbers that are much alike, each in as
/// many bytes as it needs, and its data.
#[derive(Debug)]
pub(super) struct Packed(Box<[u8]>);

impl Held {
    /// Holds a node, of which this was the last change of its list of children that all children
    /// are known of.
    pub(super) fn new(node: &Arc<CachedNode>, listed_at: Zxid) -> Self {
        match node.data.len() < WHOLE_LEN_MIN {
            true => Self::Packed(Packed::new(&node.stat, listed_at, &node.data)),
            false => Self::Whole(Arc::clone(node), listed_at),
        }
    }

    /// The node, if one is held.
    pub(super) fn node(&self, path: &Arc<str>) -> Option<Arc<CachedNode>> {
        match self {
            Self::Packed(packed) => {
                let (stat, _, data) = packed.open();
                let (path, data) = (Arc::clone(path), Box::from(data));
                Some(Arc::new(CachedNode { path, stat, data }))
            }
            Self::Whole(node, _) => Some(Arc::clone(node)),
            Self::Nothing | Self::Refused(_) => None,
        }
    }

    /// Its metadata.
    pub(super) fn stat(&self) -> Option<Stat> {
        match self {
            Self::Packed(packed) => Some(packed.open().0),
            Self::Whole(node, _) => Some(node.stat),
            Self::Nothing | Self::Refused(_) => None,
        }
    }

    /// Which change of its list of children was the last that all children are known of.
    pub(super) fn listed_at(&self) -> Zxid {
        match self {
            Self::Packed(packed) => packed.open().1,
            Self::Whole(_, listed_at) => *listed_at,
            Self::Nothing | Self::Refused(_) => Zxid::ZERO,
        }
    }

    pub(super) fn is_node(&self) -> bool {
        matches!(self, Self::Packed(_) | Self::Whole(..))
    }

    /// Why it cannot be read, if it is there and cannot.
    pub(super) fn refusal(&self) -> Option<&Error> {
        match self {
            Self::Refused(error) => Some(error),
            _ => None,
        }
    }
}

impl Packed {
    fn new(stat: &Stat, listed_at: Zxid, data: &[u8]) -> Self {
        let (czxid, len) = (stat.czxid.0, i64::try_from(data.len()).unwrap_or(i64::MAX));
        let numbers = [
            czxid,
            stat.mzxid.0.wrapping_sub(czxid),
            stat.pzxid.0.wrapping_sub(czxid),
            listed_at.0.wrapping_sub(stat.pzxid.0),
            stat.ctime,
            stat.mtime.wrapping_sub(stat.ctime),
            stat.version.0.into(),
            stat.cversion.into(),
            stat.aversion.0.into(),
            stat.ephemeral_owner.0,
            // Other than the length of the data if a codec has been at that.
            i64::from(stat.data_length).wrapping_sub(len),
            stat.num_children.into(),
        ];
        let mut head = Vec::with_capacity(numbers.len() * NUMBER_LEN_MAX);
        numbers.into_iter().for_each(|number| put(&mut head, number));
        Self([&head, data].concat().into_boxed_slice())
    }

    fn open(&self) -> (Stat, Zxid, &[u8]) {
        let mut rest = &*self.0;
        let mut next = || take(&mut rest);
        let czxid = next();
        let mzxid = next().wrapping_add(czxid);
        let pzxid = next().wrapping_add(czxid);
        let listed_at = next().wrapping_add(pzxid);
        let ctime = next();
        let mtime = next().wrapping_add(ctime);
        let [version, cversion, aversion] = [next(), next(), next()].map(narrow);
        let (owner, beyond, num_children) = (next(), next(), narrow(next()));
        let len = i64::try_from(rest.len()).unwrap_or(i64::MAX);
        let stat = Stat {
            czxid: Zxid(czxid),
            mzxid: Zxid(mzxid),
            ctime,
            mtime,
            version: Version(version),
            cversion,
            aversion: Version(aversion),
            ephemeral_owner: SessionId(owner),
            data_length: narrow(beyond.wrapping_add(len)),
            num_children,
            pzxid: Zxid(pzxid),
        };
        (stat, Zxid(listed_at), rest)
    }
}

/// How many bytes a number takes at most: seven bits in each.
const NUMBER_LEN_MAX: usize = 10;

/// Puts a number, in one byte if it is near zero.
fn put(out: &mut Vec<u8>, number: i64) {
    let mut left = (number << 1 ^ number >> 63).cast_unsigned();
    loop {
        let [byte, ..] = left.to_le_bytes();
        left >>= 7;
        if left == 0 {
            return out.push(byte);
        }
        out.push(byte | 0x80);
    }
}

/// Takes the number that was put first.
fn take(from: &mut &[u8]) -> i64 {
    let mut taken = 0_u64;
    for shift in (0..).step_by(7).take(NUMBER_LEN_MAX) {
        let Some((byte, rest)) = from.split_first() else { break };
        *from = rest;
        taken |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    (taken >> 1).cast_signed() ^ -(taken & 1).cast_signed()
}

/// What was put as it was before.
fn narrow(number: i64) -> i32 {
    i32::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_number() -> impl Strategy<Value = i64> {
        prop_oneof![any::<i64>(), -3..3_i64, Just(i64::MIN), Just(i64::MAX)]
    }

    proptest! {
        #[test]
        fn what_is_held_is_what_was_told(
            long: [i64; 6],
            near in prop::collection::vec(any_number(), 6),
            short: [i32; 5],
            len in 0..WHOLE_LEN_MIN + 2,
        ) {
            for longs in [&long[..], &near] {
                let [czxid, mzxid, pzxid, ctime, mtime, owner] = longs else { unreachable!() };
                let [version, cversion, aversion, data_length, num_children] = short;
                let stat = Stat {
                    czxid: Zxid(*czxid),
                    mzxid: Zxid(*mzxid),
                    ctime: *ctime,
                    mtime: *mtime,
                    version: Version(version),
                    cversion,
                    aversion: Version(aversion),
                    ephemeral_owner: SessionId(*owner),
                    data_length,
                    num_children,
                    pzxid: Zxid(*pzxid),
                };
                let data = vec![7; len].into_boxed_slice();
                let node = Arc::new(CachedNode { path: "/r".into(), stat, data });
                let held = Held::new(&node, Zxid(*owner));
                prop_assert_eq!(matches!(held, Held::Packed(_)), len < WHOLE_LEN_MIN);
                prop_assert_eq!((held.stat(), held.listed_at()), (Some(stat), Zxid(*owner)));
                prop_assert_eq!(held.node(&node.path), Some(node));
            }
        }
    }

    #[test]
    fn the_metadata_of_a_node_takes_few_bytes() {
        let zxid = Zxid(0x2_0000_3039);
        let [ctime, mtime] = [1_700_000_000_000; 2];
        let at = Stat { czxid: zxid, mzxid: zxid, pzxid: zxid, ..Stat::default() };
        let stat = Stat { ctime, mtime, data_length: 100, ..at };
        let Packed(packed) = Packed::new(&stat, zxid, &[7; 100]);
        assert!(packed.len() < 100 + Stat::LEN / 3, "{}", packed.len());
    }
}
