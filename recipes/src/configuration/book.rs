//! Which versions there are, which of them is in force, and how far the next is rolled out.
//!
//! Pure. The book is one node: each change of it is one write over what it was concluded from.

/// How far a version is rolled out at most.
pub(super) const PERCENT_MAX: u8 = 100;

/// What stands in the node of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Book {
    /// How often it was changed: of two, this says which is older.
    pub(super) change: u64,
    /// In force for everybody, but those to whom another is rolled out.
    pub(super) stable: Option<u64>,
    pub(super) staged: Option<Stage>,
    /// Those that are kept, by their numbers, which grow: the stable and the staged one among them.
    pub(super) versions: Vec<Row>,
    /// The number of the next version. None is given twice.
    pub(super) next: u64,
}

/// A version that some have, and others have not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stage {
    pub(super) version: u64,
    pub(super) percent: u8,
}

/// A version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) version: u64,
    /// The version that was published with this tree: another one, if this takes back to it.
    pub(super) content: u64,
}

impl Book {
    /// A new version for everybody, in place of the one that whoever publishes it has seen.
    pub(super) fn publish(&self, seen: Option<u64>, kept: usize) -> Result<Self, String> {
        self.expect_stable(seen)?;
        let mut next = self.with(self.next_version());
        next.stable = Some(next.next - 1);
        Ok(next.trimmed(kept))
    }

    /// A new version for some.
    pub(super) fn stage(
        &self,
        seen: Option<u64>,
        percent: u8,
        kept: usize,
    ) -> Result<Self, String> {
        self.expect_stable(seen)?;
        let mut next = self.with(self.next_version());
        next.staged = Some(Stage { version: next.next - 1, percent });
        Ok(next.trimmed(kept))
    }

    /// The staged version, for more.
    pub(super) fn widen(&self, version: u64, percent: u8) -> Result<Self, String> {
        let stage = self.expect_staged(version)?;
        if percent < stage.percent {
            let what = format!("version {version} is rolled out to {} % already", stage.percent);
            return Err(what);
        }
        let staged = Some(Stage { percent, ..stage });
        Ok(Self { staged, change: self.change + 1, ..self.clone() })
    }

    /// The staged version, for everybody.
    pub(super) fn promote(&self, version: u64) -> Result<Self, String> {
        self.expect_staged(version)?;
        Ok(Self { stable: Some(version), staged: None, change: self.change + 1, ..self.clone() })
    }

    /// What an earlier version said, for everybody, in place of the staged or the stable version
    /// `from`. It is a new version: so nobody sees numbers go back.
    pub(super) fn roll_back(&self, from: u64, to: u64, kept: usize) -> Result<Self, String> {
        match self.staged {
            Some(stage) if stage.version == from => {}
            _ => self.expect_stable(Some(from))?,
        }
        let Some(row) = self.row(to) else {
            return Err(format!("version {to} is not kept, or never was"));
        };
        let mut next = self.with(Row { version: self.next_number(), content: row.content });
        (next.stable, next.staged) = (Some(next.next - 1), None);
        Ok(next.trimmed(kept))
    }

    pub(super) fn row(&self, version: u64) -> Option<Row> {
        self.versions.iter().copied().find(|row| row.version == version)
    }

    /// The row of a version that this book was changed to have.
    pub(super) fn newest(&self) -> Option<Row> {
        self.versions.last().copied()
    }

    /// Those trees among the listed ones that no version needs any more, nor ever will.
    pub(super) fn waste(&self, listed: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let is_needed = |content: &u64| self.versions.iter().any(|row| row.content == *content);
        // What this book does not know of yet may be of a newer one.
        let is_known = |content: &u64| *content < self.next;
        listed.into_iter().filter(|content| is_known(content) && !is_needed(content)).collect()
    }

    /// Whether it says nothing that contradicts itself.
    pub(super) fn is_sound(&self) -> bool {
        let numbers = || self.versions.iter().map(|row| row.version);
        let is_kept = |version: u64| self.row(version).is_some();
        numbers().zip(numbers().skip(1)).all(|(one, next)| one < next)
            && numbers().all(|version| version < self.next)
            && self.versions.iter().all(|row| 0 < row.content && row.content <= row.version)
            && self.stable.is_none_or(is_kept)
            && self.staged.is_none_or(|stage| {
                is_kept(stage.version)
                    && stage.percent <= PERCENT_MAX
                    && self.stable.is_none_or(|stable| stable < stage.version)
            })
            && !self.versions.is_empty()
            && self.next < u64::MAX
            && self.change < u64::MAX
    }

    fn expect_stable(&self, seen: Option<u64>) -> Result<(), String> {
        if let Some(stage) = self.staged {
            let Stage { version, percent } = stage;
            return Err(format!("version {version} is being rolled out, to {percent} %"));
        }
        match self.stable {
            now if now == seen => Ok(()),
            Some(now) => Err(format!("version {now} is in force")),
            None => Err("nothing is published yet".to_owned()),
        }
    }

    fn expect_staged(&self, version: u64) -> Result<Stage, String> {
        self.staged
            .filter(|stage| stage.version == version)
            .ok_or_else(|| format!("version {version} is not being rolled out"))
    }

    /// The first is 1.
    fn next_number(&self) -> u64 {
        self.next.max(1)
    }

    fn next_version(&self) -> Row {
        Row { version: self.next_number(), content: self.next_number() }
    }

    fn with(&self, row: Row) -> Self {
        let mut next = self.clone();
        next.versions.push(row);
        (next.next, next.change) = (row.version + 1, self.change + 1);
        next
    }

    /// Without the oldest versions that are more than are to be kept, and are not in use.
    fn trimmed(mut self, kept: usize) -> Self {
        let staged = self.staged.map(|stage| stage.version);
        while self.versions.len() > kept {
            let is_idle =
                |row: &Row| Some(row.version) != self.stable && Some(row.version) != staged;
            let Some(oldest) = self.versions.iter().position(is_idle) else { break };
            self.versions.remove(oldest);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use znode::Zxid;

    use super::super::eye::{Eye, Sight, sees};
    use super::*;

    const KEPT: usize = 4;

    fn change(book: &Book, what: u8, from: u64, to: u64, kept: usize) -> Result<Book, String> {
        let from = if what.is_multiple_of(2) { book.stable.unwrap_or(from) } else { from };
        let percent = u8::try_from(to * 17 % 101).unwrap();
        let staged = book.staged.map_or(from, |stage| stage.version);
        match what / 2 {
            0 => book.publish(book.stable.filter(|_| what.is_multiple_of(2)), kept),
            1 => book.stage(book.stable, percent, kept),
            2 => book.widen(staged, percent),
            3 => book.promote(staged),
            4 => book.roll_back(from, to, kept),
            _ => book.roll_back(staged, to, kept),
        }
    }

    #[test]
    fn what_is_taken_back_has_a_number_of_its_own() {
        let book = Book::default().publish(None, KEPT).unwrap();
        let book = book.stage(Some(1), 10, KEPT).unwrap();
        assert_eq!(
            book.publish(Some(1), KEPT).unwrap_err(),
            "version 2 is being rolled out, to 10 %"
        );
        assert!(book.widen(2, 9).is_err() && book.widen(1, 50).is_err());
        let book = book.widen(2, 50).unwrap();
        let back = book.roll_back(2, 1, KEPT).unwrap();
        assert_eq!((back.stable, back.staged), (Some(3), None));
        assert_eq!(back.newest(), Some(Row { version: 3, content: 1 }));
        let book = book.promote(2).unwrap();
        assert_eq!(book.publish(Some(1), KEPT).unwrap_err(), "version 2 is in force");
        assert_eq!(book.roll_back(2, 7, KEPT).unwrap_err(), "version 7 is not kept, or never was");
        assert!(Book::default().publish(Some(1), KEPT).is_err());
    }

    proptest! {
        #[test]
        fn versions_never_go_back_for_anybody(
            steps in vec((0_u8..12, 0_u64..9, 0_u64..9), 0..60),
            members in vec("[a-z]{1,8}", 1..6),
            kept in 0_usize..5,
        ) {
            let mut book = Book::default();
            let mut seen = vec![None; members.len()];
            let mut contents = std::collections::BTreeMap::new();
            let mut garbage = std::collections::BTreeSet::new();
            for (what, from, to) in steps {
                let Ok(next) = change(&book, what, from, to, kept) else { continue };
                prop_assert!(next.is_sound(), "{:?}", next);
                prop_assert!(next.change == book.change + 1 && next.next >= book.next);
                // The two that may be in use stay in any case.
                prop_assert!(next.versions.len() <= kept.max(2));
                for row in &next.versions {
                    // What a version says is said for ever.
                    let said = contents.entry(row.version).or_insert(row.content);
                    prop_assert_eq!(*said, row.content);
                    prop_assert!(!garbage.contains(&row.content), "what it said is gone");
                }
                garbage.extend(next.waste(1..next.next + 3));
                for (member, seen) in members.iter().zip(&mut seen) {
                    let now = sees(&next, member).map(|row| row.version);
                    prop_assert!(now >= *seen, "{:?} after {:?}", now, seen);
                    *seen = now;
                }
                book = next;
            }
        }

        #[test]
        fn whoever_has_it_keeps_it_when_more_do(
            member in ".{0,12}", some in 0_u8..=100, more in 0_u8..=100,
        ) {
            let (some, more) = (some.min(more), some.max(more));
            let book = Book::default().publish(None, KEPT).unwrap();
            let book = book.stage(Some(1), some, KEPT).unwrap();
            let has_it = |book: &Book| sees(book, &member).unwrap().version == 2;
            prop_assert!(!has_it(&book) || has_it(&book.widen(2, more).unwrap()));
            prop_assert!(has_it(&book.widen(2, 100).unwrap()));
            prop_assert!(some > 0 || !has_it(&book));
        }

        /// Whatever an eye is shown, in whatever order, its versions grow, and it ends at the last.
        #[test]
        fn an_eye_shows_growing_versions(
            steps in vec((0_u8..12, 0_u64..9, 0_u64..9), 1..60),
            shown in vec(0_usize..60, 0..60),
            member in "[a-z]{1,8}",
        ) {
            let mut books = vec![Book::default().publish(None, KEPT).unwrap()];
            for (what, from, to) in steps {
                books.extend(change(books.last().unwrap(), what, from, to, KEPT));
            }
            let mut eye = Eye::new(&member);
            let mut last = 0;
            let order = shown.into_iter().map(|index| index % books.len());
            for index in order.chain([books.len() - 1]) {
                if let Sight::New(row) = eye.look(&books[index], Zxid(1)) {
                    prop_assert!(row.version > last);
                    last = row.version;
                    eye.saw(last);
                }
            }
            prop_assert_eq!(last, sees(books.last().unwrap(), &member).unwrap().version);
        }
    }
}
