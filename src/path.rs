//! Node paths: a [`Path`] that exists is valid.

use std::fmt;

/// A valid absolute path: starts with `/`, no empty, `.` or `..` component, no trailing slash, no
/// control, surrogate, private-use or special character.
///
/// ```
/// let path = znode::Path::parse("/app/config")?;
/// assert_eq!(path.parent(), Some("/app"));
/// assert_eq!(path.name(), "config");
/// # Ok::<(), znode::InvalidPath>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Box<str>);

/// Why a string is not a path; the message names both.
///
/// ```
/// let refused = znode::Path::parse("/app//config").unwrap_err();
/// assert_eq!(refused.path(), "/app//config");
/// assert!(refused.to_string().ends_with("it has an empty component"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path {path:?} is not valid: {reason}")]
pub struct InvalidPath {
    path: String,
    reason: Reason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Reason {
    #[error("it is empty")]
    Empty,
    #[error("it does not start with '/'")]
    NotAbsolute,
    #[error("it ends with '/'")]
    TrailingSlash,
    #[error("it has an empty component")]
    EmptyComponent,
    #[error("it has a relative component, '.' or '..'")]
    RelativeComponent,
    #[error("it has the character {0:?}, which ZooKeeper does not allow")]
    Character(char),
}

impl InvalidPath {
    /// The string that is not a path.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl Path {
    /// Checks `path`.
    ///
    /// # Errors
    /// [`InvalidPath`], which names the path and what is wrong with it.
    pub fn parse(path: &str) -> Result<Self, InvalidPath> {
        validate(path)?;
        Ok(Self(path.into()))
    }

    /// The root.
    #[must_use]
    pub fn root() -> Self {
        Self("/".into())
    }

    /// The whole path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `/`.
    pub fn is_root(&self) -> bool {
        &*self.0 == "/"
    }

    /// The path above, or `None` for the root.
    pub fn parent(&self) -> Option<&str> {
        parent(&self.0)
    }

    /// The last component; empty for the root.
    pub fn name(&self) -> &str {
        name(&self.0)
    }

    /// The names on the way from the root; none for the root itself.
    ///
    /// ```
    /// use znode::Path;
    ///
    /// let path = Path::parse("/app/workers/w1")?;
    /// assert_eq!((path.name(), path.parent()), ("w1", Some("/app/workers")));
    /// assert_eq!(path.components().collect::<Vec<_>>(), ["app", "workers", "w1"]);
    /// assert!(Path::root().is_root());
    /// # Ok::<(), znode::InvalidPath>(())
    /// ```
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|component| !component.is_empty())
    }

    /// The path that is `below` this one, a name or several with `/` between them.
    ///
    /// ```
    /// let app = znode::Path::parse("/app")?;
    /// assert_eq!(app.join("config/rate")?.as_str(), "/app/config/rate");
    /// assert!(app.join("..").is_err());
    /// # Ok::<(), znode::InvalidPath>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidPath`], which names the whole path and what is wrong with it.
    pub fn join(&self, below: &str) -> Result<Self, InvalidPath> {
        Self::parse(&join(&self.0, below))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for Path {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// `below` put below `parent`: a name, or several with `/` between them. Neither is checked.
///
/// ```
/// use znode::path;
///
/// assert_eq!(path::join("/app", "config"), "/app/config");
/// assert_eq!(path::join("/", "app"), "/app");
/// assert_eq!(path::join("/app", "/"), "/app");
/// ```
pub fn join(parent: &str, below: &str) -> String {
    let (parent, below) = (parent.trim_end_matches('/'), below.trim_start_matches('/'));
    match (parent, below) {
        ("", "") => "/".to_owned(),
        (parent, "") => parent.to_owned(),
        (parent, below) => format!("{parent}/{below}"),
    }
}

/// The path above `path` and its last component; `None` for the root. `path` is taken to be
/// valid.
///
/// ```
/// assert_eq!(znode::path::split("/app/config"), Some(("/app", "config")));
/// assert_eq!(znode::path::split("/app"), Some(("/", "app")));
/// assert_eq!(znode::path::split("/"), None);
/// ```
pub fn split(path: &str) -> Option<(&str, &str)> {
    Some((parent(path)?, name(path)))
}

/// The last component of `path`; empty for the root.
///
/// ```
/// assert_eq!(znode::path::name("/app/config"), "config");
/// assert_eq!(znode::path::name("/"), "");
/// ```
pub fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// The number that a server has appended to the name of a sequential node, if it ends with one.
///
/// It is the count of the children that its parent has had, printed with ten digits; from 2³¹ on
/// it is negative, and the minus counts among the ten. Text order is not its order. A negative
/// number with ten digits of its own cannot be told from a positive one behind a name that ends
/// in a minus, and is taken for that, but for the least, -2147483648: it is the first that comes,
/// and Apache's server gives no other after it.
///
/// ```
/// use znode::path;
///
/// assert_eq!(path::sequence("/locks/lock-0000000042"), Some(42));
/// assert_eq!(path::sequence("lock--000000001"), Some(-1));
/// assert_eq!(path::sequence("lock"), None);
/// ```
pub fn sequence(path: &str) -> Option<i32> {
    const LEN: usize = 10;

    let name = name(path);
    let suffix = |len: usize| name.len().checked_sub(len).and_then(|at| name.get(at..));
    // The least number of all takes eleven characters, and no other looks like its last ten.
    if let Some(least) = suffix(LEN + 1).filter(|least| *least == "-2147483648") {
        return least.parse().ok();
    }
    let number = suffix(LEN)?;
    let digits = number.strip_prefix('-').unwrap_or(number);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse().ok()
}

/// The path above `path`, or `None` for the root; `path` is taken to be valid.
///
/// ```
/// assert_eq!(znode::path::parent("/app/config"), Some("/app"));
/// ```
pub fn parent(path: &str) -> Option<&str> {
    match path.rfind('/')? {
        0 if path.len() == 1 => None,
        0 => Some("/"),
        at => Some(&path[..at]),
    }
}

/// Checks a path as ZooKeeper's `PathUtils.validatePath` does.
///
/// ```
/// use znode::path;
///
/// assert!(path::validate("/app/config").is_ok());
/// assert!(path::validate("/app/../config").is_err());
/// ```
///
/// # Errors
/// [`InvalidPath`], which names the path and what is wrong with it.
pub fn validate(path: &str) -> Result<(), InvalidPath> {
    check(path).map_err(|reason| InvalidPath { path: path.to_owned(), reason })
}

/// Checks the path of a sequential node, to which the server appends digits: `/a/` is legal.
///
/// ```
/// use znode::path;
///
/// assert!(path::validate_sequential("/app/").is_ok()); // becomes "/app/0000000000"
/// assert!(path::validate("/app/").is_err());
/// ```
///
/// # Errors
/// [`InvalidPath`], which names the path and what is wrong with it.
pub fn validate_sequential(path: &str) -> Result<(), InvalidPath> {
    if path.ends_with('/') {
        return match check(&format!("{path}1")) {
            Ok(()) => Ok(()),
            Err(reason) => Err(InvalidPath { path: path.to_owned(), reason }),
        };
    }
    // Digits after a relative component make it an ordinary name: "/a/.." becomes "/a/..1".
    match check(path) {
        Err(Reason::RelativeComponent) => check(&format!("{path}1")),
        other => other,
    }
    .map_err(|reason| InvalidPath { path: path.to_owned(), reason })
}

fn check(path: &str) -> Result<(), Reason> {
    if is_plain(path.as_bytes()) { Ok(()) } else { check_closely(path) }
}

/// Whether a path is so plain that there is nothing to look at closely: every operation asks, and
/// nearly every path is. It may say no of a path that is valid, and never yes of one that is not.
fn is_plain(path: &[u8]) -> bool {
    let [b'/', below @ ..] = path else {
        return false;
    };
    // Without an early end, which would have every byte looked at by itself.
    let printable = path.iter().fold(true, |so_far, byte| so_far & matches!(byte, b' '..=b'~'));
    let pairs = path.iter().zip(below);
    let named = pairs.fold(true, |so_far, (byte, next)| {
        so_far & !((*byte == b'/') & ((*next == b'/') | (*next == b'.')))
    });
    printable & named & (below.is_empty() | (below.last() != Some(&b'/')))
}

fn check_closely(path: &str) -> Result<(), Reason> {
    let Some(below) = path.strip_prefix('/') else {
        return Err(if path.is_empty() { Reason::Empty } else { Reason::NotAbsolute });
    };
    if below.is_empty() {
        return Ok(());
    }
    if path.ends_with('/') {
        return Err(Reason::TrailingSlash);
    }
    if let Some(c) = path.chars().find(|c| !allowed(*c)) {
        return Err(Reason::Character(c));
    }
    below.split('/').try_for_each(|component| match component {
        "" => Err(Reason::EmptyComponent),
        "." | ".." => Err(Reason::RelativeComponent),
        _ => Ok(()),
    })
}

/// ZooKeeper looks at UTF-16 units, so a character beyond the basic plane, being two surrogates,
/// is refused as a whole.
fn allowed(c: char) -> bool {
    !matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every path of up to five characters out of those that mean something, and one of each kind.
    #[test]
    fn a_path_that_looks_plain_is_valid() {
        let letters = ['/', '.', 'a', ' ', '~', '\u{7f}', '\u{1f}', 'ä'];
        let mut paths = vec![String::new()];
        for _ in 0..5 {
            let longer = paths.iter().flat_map(|path| letters.map(|c| format!("{path}{c}")));
            paths = longer.chain([String::new()]).collect();
        }
        let plain = paths.iter().filter(|path| is_plain(path.as_bytes()));
        assert!(plain.clone().count() > 100);
        plain.for_each(|path| assert_eq!(check_closely(path), Ok(()), "{path:?}"));
    }

    #[test]
    fn valid_paths_are_accepted() {
        for path in ["/", "/a", "/a/b.c", "/a/..b", "/ä/漢", "/a b", "/\u{ffef}"] {
            assert!(validate(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn invalid_paths_are_named_with_the_reason() {
        let cases = [
            ("", Reason::Empty),
            ("a", Reason::NotAbsolute),
            ("/a/", Reason::TrailingSlash),
            ("//a", Reason::EmptyComponent),
            ("/a/./b", Reason::RelativeComponent),
            ("/a/..", Reason::RelativeComponent),
            ("/a\0", Reason::Character('\0')),
            ("/a\u{1f}", Reason::Character('\u{1f}')),
            ("/a\u{7f}", Reason::Character('\u{7f}')),
            ("/a\u{e000}", Reason::Character('\u{e000}')),
            ("/a\u{fff0}", Reason::Character('\u{fff0}')),
            ("/a\u{1f600}", Reason::Character('\u{1f600}')),
        ];
        for (path, reason) in cases {
            let refused = validate(path).unwrap_err();
            assert_eq!((refused.path(), refused.reason), (path, reason));
        }
    }

    #[test]
    fn a_sequential_path_is_judged_with_its_digits() {
        assert!(validate_sequential("/a/").is_ok());
        assert!(validate_sequential("/a/.").is_ok());
        assert!(validate_sequential("/a//").is_err());
        assert!(validate_sequential("a/").is_err());
    }

    #[test]
    fn components_are_the_names_from_the_root() {
        let components = |path| Path::parse(path).unwrap().components().count();
        assert_eq!((components("/"), components("/a"), components("/a/b")), (0, 1, 2));
    }

    #[test]
    fn what_a_server_appends_is_read_back() {
        for number in [0, 1, 42, -1, -42, -999_999_999, i32::MAX, i32::MIN] {
            for name in ["/", "/a/lock-", "/a/b", "/ä漢"] {
                assert_eq!(sequence(&format!("{name}{number:010}")), Some(number), "{number}");
            }
        }
        assert_eq!(sequence("/lock-2147483647"), Some(i32::MAX));
        for name in ["", "/", "/lock-", "/123456789", "/+000000001", "/漢漢漢漢", "/9999999999"]
        {
            assert_eq!(sequence(name), None, "{name}");
        }
    }

    #[test]
    fn parents_end_at_the_root() {
        assert_eq!(parent("/a/b"), Some("/a"));
        assert_eq!(parent("/a"), Some("/"));
        assert_eq!(parent("/"), None);
    }
}
