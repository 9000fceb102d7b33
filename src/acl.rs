//! Who may do what with a node.

use std::borrow::Cow;
use std::fmt;

use crate::proto::{AclRecord, IdRecord, Perms};

/// One entry of an access control list: what is allowed, and to whom.
///
/// ```
/// use znode::{Acl, Perms};
///
/// let readers = Acl::new(Perms::READ, "ip", "10.0.0.0/8")?;
/// assert_eq!(readers.to_string(), "ip:10.0.0.0/8:r");
/// # Ok::<(), znode::InvalidAcl>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Acl {
    perms: Perms,
    scheme: Cow<'static, str>,
    id: Cow<'static, str>,
}

/// Why an entry cannot be one.
///
/// ```
/// use znode::{Acl, InvalidAcl, Perms};
///
/// assert_eq!(Acl::new(Perms::READ, "", "bob"), Err(InvalidAcl::EmptyScheme));
/// let refused = Acl::new(Perms::READ, "world", "bob").unwrap_err();
/// assert_eq!(refused, InvalidAcl::World("bob".to_owned()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAcl {
    /// A list without entries would lock everyone out; servers refuse it.
    #[error("an access control list needs at least one entry")]
    EmptyList,
    /// The scheme is empty.
    #[error("the scheme of an access control entry is empty")]
    EmptyScheme,
    /// The scheme `world` has one name only.
    #[error("{0:?} is not in the scheme \"world\"; allowed is \"anyone\"")]
    World(String),
    /// The scheme `digest` wants `user:hash`. What was given may be a password, and is not told.
    #[error("the name is not in the scheme \"digest\"; expected user:base64(sha1(user:password))")]
    Digest,
}

impl Acl {
    /// An entry that allows `perms` to `id` of `scheme`.
    ///
    /// # Errors
    /// [`InvalidAcl`] for what no server accepts. What only some servers accept, such as a scheme
    /// that one has been taught, is left to them.
    ///
    /// ```
    /// use znode::{Acl, Perms};
    ///
    /// let acl = Acl::new(Perms::READ | Perms::WRITE, "ip", "10.0.0.0/8")?;
    /// assert_eq!((acl.scheme(), acl.id()), ("ip", "10.0.0.0/8"));
    /// assert_eq!(acl.perms(), Perms::READ | Perms::WRITE);
    /// assert!(Acl::new(Perms::ALL, "world", "everybody").is_err());
    /// assert_eq!(Acl::open().id(), "anyone");
    /// assert_eq!(Acl::read_only().perms(), Perms::READ);
    /// assert_eq!(Acl::creator_all().scheme(), "auth");
    /// # Ok::<(), znode::InvalidAcl>(())
    /// ```
    pub fn new(
        perms: Perms,
        scheme: impl Into<String>,
        id: impl Into<String>,
    ) -> Result<Self, InvalidAcl> {
        let (scheme, id) = (scheme.into(), id.into());
        match scheme.as_str() {
            "" => return Err(InvalidAcl::EmptyScheme),
            "world" if id != "anyone" => return Err(InvalidAcl::World(id)),
            "digest" if id.split(':').count() != 2 => return Err(InvalidAcl::Digest),
            _ => {}
        }
        Ok(Self { perms, scheme: scheme.into(), id: id.into() })
    }

    /// Everything, to everyone: what a node gets if nothing else is said.
    pub const fn open() -> Self {
        Self::known(Perms::ALL, "world", "anyone")
    }

    /// Reading, to everyone.
    pub const fn read_only() -> Self {
        Self::known(Perms::READ, "world", "anyone")
    }

    /// Everything, to the identities that the creating connection was given by
    /// [`add_auth`](crate::Client::add_auth); without any the server refuses.
    pub const fn creator_all() -> Self {
        Self::known(Perms::ALL, "auth", "")
    }

    const fn known(perms: Perms, scheme: &'static str, id: &'static str) -> Self {
        Self { perms, scheme: Cow::Borrowed(scheme), id: Cow::Borrowed(id) }
    }

    /// What is allowed.
    pub fn perms(&self) -> Perms {
        self.perms
    }

    /// How the name is to be understood: `world`, `auth`, `digest`, `ip`, …
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// To whom it is allowed.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn record(&self) -> AclRecord<'_> {
        AclRecord::new(self.perms, self.scheme(), self.id())
    }

    pub(crate) fn from_record(record: AclRecord<'_>) -> Self {
        let AclRecord { perms, id: IdRecord { scheme, id } } = record;
        let owned = |text: Option<Cow<'_, str>>| Cow::Owned(text.unwrap_or_default().into_owned());
        Self { perms, scheme: owned(scheme), id: owned(id) }
    }
}

impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.scheme, self.id, self.perms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_server_accepts_is_refused_here() {
        assert_eq!(Acl::new(Perms::ALL, "", "x"), Err(InvalidAcl::EmptyScheme));
        assert!(matches!(Acl::new(Perms::ALL, "world", "me"), Err(InvalidAcl::World(_))));
        assert!(matches!(Acl::new(Perms::ALL, "digest", "me"), Err(InvalidAcl::Digest)));
        assert_eq!(Acl::new(Perms::ALL, "world", "anyone"), Ok(Acl::open()));
    }
}
