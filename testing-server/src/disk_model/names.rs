//! What is under which name: as it is seen, and as it is safe.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::{FileId, Rng};

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Folder,
    File(FileId),
}

/// Every name on a disk.
#[derive(Debug)]
pub(super) struct Names {
    seen: BTreeMap<PathBuf, Entry>,
    safe: BTreeMap<PathBuf, Entry>,
    /// What was done and is not safe, oldest first.
    pending: Vec<Change>,
}

/// Something that was done to names, as one. A move is of what had the name at the time, even if
/// the power has taken away how it came by it.
#[derive(Debug, Clone)]
enum Change {
    Set(PathBuf, Entry),
    Move(PathBuf, PathBuf, Entry),
    Remove(PathBuf),
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Entry>) {
        match self {
            Self::Set(path, entry) => _ = names.insert(path.clone(), *entry),
            Self::Move(from, to, entry) => {
                names.remove(from);
                names.insert(to.clone(), *entry);
            }
            Self::Remove(path) => _ = names.remove(path),
        }
    }

    fn is_in(&self, folder: &Path) -> bool {
        let (Self::Set(path, _) | Self::Move(_, path, _) | Self::Remove(path)) = self;
        path.parent() == Some(folder)
    }
}

impl Names {
    /// The root, which is always there.
    pub(super) fn new() -> Self {
        let root = BTreeMap::from([(PathBuf::from("/"), Entry::Folder)]);
        Self { seen: root.clone(), safe: root, pending: Vec::new() }
    }

    pub(super) fn get(&self, path: &Path) -> Option<Entry> {
        self.seen.get(path).copied()
    }

    /// Everything in a folder.
    pub(super) fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.check_folder(folder)?;
        let inside = self.seen.keys().filter(|path| path.parent() == Some(folder));
        Ok(inside.cloned().collect())
    }

    /// Every file that has a name.
    pub(super) fn files(&self) -> BTreeSet<FileId> {
        let file = |entry: &Entry| match entry {
            Entry::File(id) => Some(*id),
            Entry::Folder => None,
        };
        self.seen.values().filter_map(file).collect()
    }

    pub(super) fn set(&mut self, path: &Path, entry: Entry) -> io::Result<()> {
        self.check_folder(path.parent().unwrap_or(path))?;
        self.change(Change::Set(path.to_owned(), entry));
        Ok(())
    }

    /// Makes a folder, and those above it.
    pub(super) fn make_folder(&mut self, path: &Path) -> io::Result<()> {
        let mut missing: Vec<&Path> =
            path.ancestors().take_while(|path| self.get(path) != Some(Entry::Folder)).collect();
        missing.reverse();
        missing.into_iter().try_for_each(|path| self.set(path, Entry::Folder))
    }

    /// Renames within a folder.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let entry = self.get(from).ok_or(io::ErrorKind::NotFound)?;
        self.check_folder(to.parent().unwrap_or(to))?;
        self.change(Change::Move(from.to_owned(), to.to_owned(), entry));
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.get(path).ok_or(io::ErrorKind::NotFound)?;
        self.change(Change::Remove(path.to_owned()));
        Ok(())
    }

    /// Makes what was done to names in a folder safe.
    pub(super) fn sync(&mut self, folder: &Path) -> io::Result<()> {
        self.check_folder(folder)?;
        let Self { safe, pending, .. } = self;
        pending.retain(|change| {
            let is_in = change.is_in(folder);
            if is_in {
                change.apply(safe);
            }
            !is_in
        });
        Ok(())
    }

    /// The power goes. What was done was done in order, up to some point, as a journal has it; or
    /// each by itself, as without one.
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        let pending = std::mem::take(&mut self.pending);
        let in_order = rng.once_in(2).then(|| rng.below(pending.len() as u64 + 1));
        for (number, change) in (0..).zip(&pending) {
            let is_kept = in_order.map_or_else(|| rng.once_in(2), |first| number < first);
            if is_kept {
                change.apply(&mut self.safe);
            }
        }
        // Nothing is in a folder that is not there.
        let folders: BTreeSet<PathBuf> = self.safe.keys().cloned().collect();
        self.safe.retain(|path, _| path.ancestors().all(|above| folders.contains(above)));
        self.seen.clone_from(&self.safe);
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.pending.push(change);
    }

    fn check_folder(&self, path: &Path) -> io::Result<()> {
        match self.get(path) {
            Some(Entry::Folder) => Ok(()),
            Some(Entry::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}
