//! What stands in the nodes of a configuration: lines that an operator can read.
//!
//! Pure.

use std::collections::BTreeSet;

use znode::Path;

use super::book::{Book, Row, Stage};

/// What the book begins with, and its version.
const BOOK: &str = "znode-configuration-1";
/// The same of the root of a version's tree.
const TREE: &str = "znode-configuration-tree-1";

pub(super) fn encode_book(book: &Book) -> Vec<u8> {
    let mut lines = vec![BOOK.to_owned(), format!("change {}", book.change)];
    lines.push(format!("next {}", book.next));
    lines.extend(book.stable.map(|version| format!("stable {version}")));
    lines.extend(book.staged.map(|stage| format!("staged {} {}", stage.version, stage.percent)));
    lines
        .extend(book.versions.iter().map(|row| format!("version {} {}", row.version, row.content)));
    lines.join("\n").into_bytes()
}

/// What stands there; `None` if it is nothing of this recipe, or contradicts itself.
pub(super) fn decode_book(data: &[u8]) -> Option<Book> {
    let mut lines = std::str::from_utf8(data).ok()?.split('\n').peekable();
    if lines.next()? != BOOK {
        return None;
    }
    let mut value = |word: &str| {
        let value = lines.peek()?.strip_prefix(word)?.strip_prefix(' ')?;
        lines.next();
        Some(value)
    };
    let mut book = Book {
        change: value("change")?.parse().ok()?,
        next: value("next")?.parse().ok()?,
        ..Book::default()
    };
    if let Some(stable) = value("stable") {
        book.stable = Some(stable.parse().ok()?);
    }
    if let Some(staged) = value("staged") {
        let (version, percent) = two(staged)?;
        book.staged = Some(Stage { version, percent: percent.try_into().ok()? });
    }
    while let Some(row) = value("version") {
        let (version, content) = two(row)?;
        book.versions.push(Row { version, content });
    }
    (lines.next().is_none() && book.is_sound()).then_some(book)
}

fn two(numbers: &str) -> Option<(u64, u64)> {
    let (one, other) = numbers.split_once(' ')?;
    Some((one.parse().ok()?, other.parse().ok()?))
}

/// The root of a version's tree, which names all that stands below.
pub(super) fn encode_names<'a>(names: impl IntoIterator<Item = &'a String>) -> Vec<u8> {
    let lines = std::iter::once(TREE).chain(names.into_iter().map(String::as_str));
    lines.collect::<Vec<_>>().join("\n").into_bytes()
}

/// The paths of what stands below, each behind what it stands below itself; `None` if that is
/// nothing of this recipe.
pub(super) fn decode_names(data: &[u8]) -> Option<BTreeSet<String>> {
    let mut lines = std::str::from_utf8(data).ok()?.split('\n');
    if lines.next()? != TREE {
        return None;
    }
    let mut names = BTreeSet::new();
    for name in lines {
        if name.is_empty() || Path::parse(&format!("/{name}")).is_err() {
            return None;
        }
        names.insert(name.to_owned());
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_operator_can_read_it() {
        let book = Book::default().publish(None, 5).unwrap().stage(Some(1), 10, 5).unwrap();
        let expected = "znode-configuration-1\nchange 2\nnext 3\nstable 1\nstaged 2 10\n\
                        version 1 1\nversion 2 2";
        assert_eq!(String::from_utf8(encode_book(&book)).unwrap(), expected);
        assert_eq!(decode_book(expected.as_bytes()), Some(book));
        let names = ["db".to_owned(), "db/url".to_owned()];
        assert_eq!(encode_names(&names), b"znode-configuration-tree-1\ndb\ndb/url");
    }

    #[test]
    fn what_contradicts_itself_is_foreign() {
        let head = "znode-configuration-1\nchange 2\nnext 3\n";
        for rest in [
            "stable 3\nversion 1 1",
            "stable 1",
            "stable 1\nversion 1 2",
            "stable 1\nversion 2 1\nversion 1 1",
            "stable 1\nversion 1 1\nversion 3 3",
            "stable 2\nstaged 1 10\nversion 1 1\nversion 2 2",
            "stable 1\nstaged 2 101\nversion 1 1\nversion 2 2",
            "stable 1\nversion 1 1\n",
            "stable 1\nversion 1",
            "",
        ] {
            assert_eq!(decode_book(format!("{head}{rest}").as_bytes()), None, "{rest}");
        }
        assert_eq!(decode_names(b"znode-configuration-tree-1\n../secrets"), None);
        assert_eq!(decode_names(b""), None);
    }

    proptest! {
        #[test]
        fn names_are_read_back(names in btree_set("[a-z ü]{1,3}(/[a-z]{1,3}){0,2}", 0..9)) {
            prop_assert_eq!(decode_names(&encode_names(&names)), Some(names));
        }

        #[test]
        fn whatever_it_is_it_is_read_or_refused(
            data in vec(any::<u8>(), 0..40), at in 0_usize..99, byte: u8,
        ) {
            let garbled = |data: Vec<u8>| {
                let (mut data, at) = (data.clone(), at % data.len());
                data[at] = byte;
                data
            };
            let book = Book::default().publish(None, 5).unwrap().stage(Some(1), 10, 5).unwrap();
            for data in [data.clone(), garbled(encode_book(&book))] {
                prop_assert!(decode_book(&data).is_none_or(|book| book.is_sound()));
            }
            for data in [data, garbled(encode_names(&["db".to_owned()]))] {
                prop_assert!(decode_names(&data).is_none_or(|names| names.len() <= data.len()));
            }
        }
    }
}
