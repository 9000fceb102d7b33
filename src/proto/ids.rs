//! The numbers that name things: transactions, sessions, requests and versions.

use std::fmt;

use super::jute::{Decode, DecodeError, Decoder, Encode, Packed};

/// Declares a newtype over an integer that travels as that integer.
macro_rules! id {
    ($(#[$meta:meta])* $name:ident($int:ty)) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $int);

        impl Decode<'_> for $name {
            const MIN_LEN: usize = size_of::<$int>();

            fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                from.read().map(Self)
            }
        }

        impl Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }
        }

        impl Packed for $name {
            fn pack<'a>(&self, to: &'a mut [u8]) -> &'a mut [u8] {
                self.0.pack(to)
            }

            fn unpack(from: &mut &[u8]) -> Self {
                Self(Packed::unpack(from))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

id! {
    /// The number of a transaction: the epoch of its leader in the high half, a counter in the low.
    ///
    /// Every write that is attempted takes one, also when it fails. They are shared by the whole
    /// ensemble and only rise, which makes the `czxid` of a lock's node a fencing token.
    ///
    /// ```
    /// use znode::Zxid;
    ///
    /// let zxid = Zxid(0x5_0000_0017);
    /// assert_eq!((zxid.epoch(), zxid.counter()), (5, 23));
    /// assert!(Zxid::ZERO < zxid);
    /// assert_eq!(zxid.to_string(), "0x500000017");
    /// ```
    Zxid(i64)
}

id! {
    /// The number of a session, shown in hexadecimal as ZooKeeper's own tools do.
    ///
    /// ```
    /// assert_eq!(znode::SessionId(0x1001).to_string(), "0x1001");
    /// ```
    SessionId(i64)
}

id! {
    /// The number of a request on its connection, which its reply repeats.
    Xid(i32)
}

id! {
    /// How often a node's data (or its ACL) was written, and what a conditional write expects.
    ///
    /// ```
    /// use znode::Version;
    ///
    /// assert!(Version::ANY.admits(Version(3)) && Version(3).admits(Version::from(3)));
    /// assert!(!Version(2).admits(Version(3)));
    /// ```
    Version(i32)
}

impl Zxid {
    /// Before the first transaction.
    pub const ZERO: Self = Self(0);

    /// The reign of the leader that made this transaction.
    pub fn epoch(self) -> u32 {
        u32::try_from(self.0.cast_unsigned() >> 32).expect("a shifted u64 fits")
    }

    /// The place of this transaction in its epoch.
    pub fn counter(self) -> u32 {
        u32::try_from(self.0.cast_unsigned() & 0xffff_ffff).expect("a masked u64 fits")
    }
}

impl SessionId {
    /// No session: asks for a new one in a handshake, and refuses one in its answer.
    pub const NONE: Self = Self(0);
}

impl Xid {
    /// A notification, which answers no request.
    pub const NOTIFICATION: Self = Self(-1);
    /// A ping and its answer.
    pub const PING: Self = Self(-2);
    /// An `addauth` and its answer.
    pub const AUTH: Self = Self(-4);
    /// The watches that C clients restore; Java clients give that request an ordinary number.
    pub const SET_WATCHES: Self = Self(-8);
}

impl Version {
    /// Matches every version: the write is unconditional.
    pub const ANY: Self = Self(-1);

    /// Whether a write that expects `self` may go ahead at `current`.
    pub fn admits(self, current: Self) -> bool {
        self == Self::ANY || self == current
    }
}

impl From<i32> for Version {
    fn from(version: i32) -> Self {
        Self(version)
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for Xid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zxid_is_an_epoch_and_a_counter() {
        let zxid = Zxid(0x0000_0007_ffff_fffe);
        assert_eq!((zxid.epoch(), zxid.counter()), (7, 0xffff_fffe));
        assert_eq!(zxid.to_string(), "0x7fffffffe");
    }

    #[test]
    fn minus_one_admits_every_version() {
        assert!(Version::ANY.admits(Version(9)));
        assert!(Version(9).admits(Version(9)));
        assert!(!Version(8).admits(Version(9)));
    }
}
