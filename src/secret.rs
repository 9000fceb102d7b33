//! Bytes that must not be printed: passwords, payloads of identities, private keys.

use std::fmt;

/// Bytes that print as `***`, wherever they end up.
///
/// ```
/// let secret = znode::Secret::from("user:password");
/// assert_eq!(format!("{secret:?}"), "***");
/// assert_eq!(secret.expose(), b"user:password");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// A secret of these bytes.
    ///
    /// ```
    /// let key = znode::Secret::new([7; 16]);
    /// assert_eq!(key.expose(), [7; 16]);
    /// ```
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into().into())
    }

    /// The bytes. Whoever calls this sees to it that they are not printed.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl AsRef<[u8]> for Secret {
    fn as_ref(&self) -> &[u8] {
        self.expose()
    }
}

impl<T: Into<Vec<u8>>> From<T> for Secret {
    fn from(bytes: T) -> Self {
        Self::new(bytes)
    }
}
