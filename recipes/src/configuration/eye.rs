//! Which version a member sees, and which of those it has not seen yet.
//!
//! Pure.

use znode::Zxid;

use super::book::{Book, PERCENT_MAX, Row};

/// A member that follows a configuration.
#[derive(Debug, Clone)]
pub(super) struct Eye {
    member: String,
    /// The transaction that made the book; `None` before it was shown one.
    made: Option<Zxid>,
    /// Of the newest book that it was shown.
    change: u64,
    /// The number of the version that it saw last.
    version: u64,
}

/// What a book has for a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    New(Row),
    /// It has seen that; or there is nothing for it yet.
    Nothing,
    /// The book is older than one that it has seen, or is another one, made anew.
    Other,
}

impl Eye {
    pub(super) fn new(member: &str) -> Self {
        Self { member: member.to_owned(), made: None, change: 0, version: 0 }
    }

    /// What a book that was made in this transaction has for the member: the same again, until it
    /// [has seen](Self::saw) that.
    pub(super) fn look(&mut self, book: &Book, made: Zxid) -> Sight {
        if *self.made.get_or_insert(made) != made || book.change < self.change {
            return Sight::Other;
        }
        self.change = book.change;
        match sees(book, &self.member) {
            Some(row) if row.version > self.version => Sight::New(row),
            Some(row) if row.version < self.version => Sight::Other,
            _ => Sight::Nothing,
        }
    }

    /// The member has seen what this version says, or was told that nothing does.
    pub(super) fn saw(&mut self, version: u64) {
        self.version = version;
    }
}

/// The version that is for a member; `None` if there is none for it yet.
pub(super) fn sees(book: &Book, member: &str) -> Option<Row> {
    let staged = book.staged.filter(|stage| is_chosen(member, stage.percent));
    let version = staged.map(|stage| stage.version).or(book.stable)?;
    book.row(version)
}

/// Whether a member is among the so many of a hundred that have the next version first: always the
/// same ones, and those of fewer among those of more.
fn is_chosen(member: &str, percent: u8) -> bool {
    draw(member) % u64::from(PERCENT_MAX) < u64::from(percent)
}

/// A number that looks drawn, and is the same for the same name in every program for ever: FNV-1a,
/// whose bits are mixed once more, since names that differ in their last letter only do not differ
/// in its high ones.
fn draw(name: &str) -> u64 {
    let offset = 0xcbf2_9ce4_8422_2325_u64;
    let hash = name
        .bytes()
        .fold(offset, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ mixed >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_book_that_was_made_anew_is_not_taken_for_the_one_before() {
        let (mut eye, book) = (Eye::new("host"), Book::default().publish(None, 9).unwrap());
        assert!(matches!(eye.look(&book, Zxid(7)), Sight::New(_)));
        eye.saw(1);
        assert_eq!(eye.look(&book, Zxid(7)), Sight::Nothing);
        assert_eq!(eye.look(&book, Zxid(8)), Sight::Other, "nothing says that it is as before");
        let further = book.publish(Some(1), 9).unwrap();
        assert_eq!(eye.look(&further, Zxid(8)), Sight::Other);
        assert!(matches!(eye.look(&further, Zxid(7)), Sight::New(_)));
    }

    #[test]
    fn a_version_that_could_not_be_read_is_looked_at_again() {
        let (mut eye, book) = (Eye::new("host"), Book::default().publish(None, 9).unwrap());
        let again = book.stage(Some(1), 0, 9).unwrap();
        assert!(matches!(eye.look(&book, Zxid(7)), Sight::New(_)));
        assert_eq!(eye.look(&again, Zxid(7)), Sight::New(book.versions[0]));
    }

    #[test]
    fn a_fraction_of_the_members_is_chosen() {
        for percent in [0_u8, 1, 10, 50, 99, 100] {
            let is_chosen = |number: &u32| is_chosen(&format!("host-{number}"), percent);
            let chosen = (0..10_000).filter(is_chosen).count();
            let wanted = usize::from(percent) * 100;
            assert!(chosen.abs_diff(wanted) <= 150, "{chosen} of 10000, and not {percent} %");
        }
    }

    /// Programs of different versions of this library must choose alike.
    #[test]
    fn a_name_is_drawn_alike_for_ever() {
        assert_eq!(draw(""), 0xecba_3df2_c338_3c52);
        assert_eq!(draw("host-1"), 0x514f_fe8a_3492_0c66);
    }
}
