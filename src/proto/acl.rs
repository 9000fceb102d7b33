//! Access control lists on the wire.

use std::borrow::Cow;
use std::fmt;
use std::ops::BitOr;

use super::jute::{Decode, DecodeError, Decoder, Encode};

/// A set of permissions. ZooKeeper does not refuse unknown bits, so they are kept.
///
/// ```
/// use znode::Perms;
///
/// let perms = Perms::READ | Perms::WRITE;
/// assert_eq!(perms.to_string(), "rw");
/// assert!(perms.intersects(Perms::WRITE | Perms::ADMIN));
/// assert!(!perms.intersects(Perms::DELETE));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Perms(pub i32);

impl Perms {
    /// Nothing is allowed.
    pub const NONE: Self = Self(0);
    /// Read data and list children.
    pub const READ: Self = Self(1);
    /// Write data.
    pub const WRITE: Self = Self(2);
    /// Create children.
    pub const CREATE: Self = Self(4);
    /// Delete children.
    pub const DELETE: Self = Self(8);
    /// Write the access control list.
    pub const ADMIN: Self = Self(16);
    /// Everything.
    pub const ALL: Self = Self(31);

    /// Whether the two sets share a permission: ZooKeeper grants a wish by any bit of it.
    pub fn intersects(self, wanted: Self) -> bool {
        self.0 & wanted.0 != 0
    }
}

impl BitOr for Perms {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Perms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Perms {
    /// Letters as in ZooKeeper's shell: `cdrwa`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LETTERS: [(Perms, char); 5] = [
            (Perms::CREATE, 'c'),
            (Perms::DELETE, 'd'),
            (Perms::READ, 'r'),
            (Perms::WRITE, 'w'),
            (Perms::ADMIN, 'a'),
        ];
        LETTERS
            .iter()
            .filter(|(perm, _)| self.intersects(*perm))
            .try_for_each(|(_, letter)| write!(f, "{letter}"))
    }
}

impl Decode<'_> for Perms {
    const MIN_LEN: usize = 4;

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.read().map(Self)
    }
}

impl Encode for Perms {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

record! {
    secret
    /// Who is meant: a scheme and a name in it. A null name must reach the server's check.
    #[derive(Hash)]
    pub struct IdRecord<'a> {
        /// `world`, `auth`, `digest`, `ip`, `x509`, …
        pub scheme: Option<Cow<'a, str>>,
        /// The name, in the form that the scheme gives it.
        pub id: Option<Cow<'a, str>>,
    }
}

record! {
    /// One entry of an access control list.
    #[derive(Hash)]
    pub struct AclRecord<'a> {
        /// What is allowed.
        pub perms: Perms,
        /// To whom.
        pub id: IdRecord<'a>,
    }
}

impl<'a> AclRecord<'a> {
    /// An entry that allows `perms` to the id of a scheme.
    pub fn new(perms: Perms, scheme: impl Into<Cow<'a, str>>, id: impl Into<Cow<'a, str>>) -> Self {
        Self { perms, id: IdRecord { scheme: Some(scheme.into()), id: Some(id.into()) } }
    }
}
