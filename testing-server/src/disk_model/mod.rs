//! A disk that loses whatever a disk may lose, and fails whenever it is told to.
//!
//! | room | what it is |
//! |---|---|
//! | [`content`] | the bytes of one file: seen, and safe |
//! | [`names`] | what is under which name: seen, and safe |
//!
//! What was written is seen at once, and safe once it was synced. When the power goes, every sector
//! that was not synced is kept, lost, zero or garbage, each by itself, and every name that was not
//! synced with its folder is there or is not. A sync that fails has lost what it was to keep, and
//! the next one knows nothing of it. All of it follows from a seed, so a run can be repeated; and a
//! [`ModelDisk`] is a value, so that several servers may have one each.
//!
//! What it does not do: damage bytes that were synced. In a sector that holds both, only those are
//! at risk that were written since; a device that damages the others is one that no log survives.

mod content;
mod names;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::io::disk::storage::{Storage, StoredFile};
use content::Content;
use names::{Entry, Names};

/// A disk. Clones are the same disk.
#[derive(Debug, Clone)]
pub(crate) struct ModelDisk {
    state: Arc<Mutex<State>>,
}

/// What is to go wrong.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    /// The operation during which the power goes.
    pub(crate) power_cut_at: Option<u64>,
    /// An operation that fails, by its number.
    pub(crate) error_at: Option<u64>,
    /// How many bytes fit in all files together.
    pub(crate) capacity: Option<u64>,
}

#[derive(Debug)]
struct State {
    names: Names,
    files: BTreeMap<FileId, Content>,
    next_file: FileId,
    rng: Rng,
    faults: Faults,
    /// How many operations were begun.
    operations: u64,
    has_power: bool,
    /// How often the power has gone; a file that was opened before is open no more.
    cuts: u64,
}

/// The number of a file, whatever its name.
type FileId = u64;

/// Numbers that follow from a seed.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

/// A file that is open for writing.
#[derive(Debug)]
pub(crate) struct ModelFile {
    disk: ModelDisk,
    id: FileId,
    /// How often the power had gone when it was opened.
    cuts: u64,
}

impl ModelDisk {
    /// An empty disk.
    pub(crate) fn new(seed: u64) -> Self {
        let state = State {
            names: Names::new(),
            files: BTreeMap::new(),
            next_file: 0,
            rng: Rng::new(seed),
            faults: Faults::default(),
            operations: 0,
            has_power: true,
            cuts: 0,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Sets what is to go wrong from now on.
    pub(crate) fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// How many operations were begun; the next one has this number.
    pub(crate) fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Whether the power is on.
    pub(crate) fn has_power(&self) -> bool {
        self.lock().has_power
    }

    /// Takes the power away and brings it back: what is left is what is safe, and of the rest what
    /// chance leaves. Faults are forgotten.
    pub(crate) fn cut_power(&self) {
        let mut state = self.lock();
        let state = &mut *state;
        state.names.crash(&mut state.rng);
        let named = state.names.files();
        state.files.retain(|id, _| named.contains(id));
        for content in state.files.values_mut() {
            content.crash(&mut state.rng);
        }
        state.faults = Faults::default();
        state.has_power = true;
        state.cuts += 1;
    }

    /// Lets the disk go on as it was, without a fault: as if only its user had been killed.
    pub(crate) fn restore_power(&self) {
        let mut state = self.lock();
        state.faults = Faults::default();
        state.has_power = true;
    }

    /// How many bytes are in all files together, padding not counted.
    pub(crate) fn used(&self) -> u64 {
        self.lock().used()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, id: FileId, cuts: u64) -> ModelFile {
        ModelFile { disk: self.clone(), id, cuts }
    }
}

/// What comes of an operation that was begun.
enum Fate {
    Done,
    /// It is done, and nobody hears of it.
    PowerCut,
    Fails,
}

impl State {
    fn used(&self) -> u64 {
        let files = self.names.files().into_iter().filter_map(|id| self.files.get(&id));
        files.map(Content::written).sum()
    }

    /// Begins an operation that may change something.
    fn begin(&mut self) -> io::Result<Fate> {
        self.check_power()?;
        let number = self.operations;
        self.operations += 1;
        if self.faults.power_cut_at.is_some_and(|at| number >= at) {
            self.has_power = false;
            return Ok(Fate::PowerCut);
        }
        Ok(if self.faults.error_at == Some(number) { Fate::Fails } else { Fate::Done })
    }

    fn check_power(&self) -> io::Result<()> {
        if self.has_power { Ok(()) } else { Err(no_power()) }
    }

    fn find(&self, path: &Path) -> io::Result<FileId> {
        self.check_power()?;
        match self.names.get(path) {
            Some(Entry::File(id)) => Ok(id),
            Some(Entry::Folder) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fn no_power() -> io::Error {
    io::Error::other("the power is gone")
}

fn device_error() -> io::Error {
    io::Error::other("the device does not answer")
}

impl Storage for ModelDisk {
    type File = ModelFile;

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let fate = state.begin()?;
        if !matches!(fate, Fate::Fails) {
            state.names.make_folder(path)?;
        }
        fate.told()
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.lock();
        state.check_power()?;
        state.names.list(folder)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.lock();
        let id = state.find(path)?;
        Ok(state.files.get(&id).map_or_else(Vec::new, |content| content.seen().to_vec()))
    }

    fn read_tail(&self, path: &Path, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = self.read(path)?;
        bytes.drain(..bytes.len().saturating_sub(len));
        Ok(bytes)
    }

    fn create(&self, path: &Path) -> io::Result<ModelFile> {
        let mut state = self.lock();
        let fate = state.begin()?;
        let id = match state.names.get(path) {
            Some(Entry::Folder) => return Err(io::ErrorKind::IsADirectory.into()),
            Some(Entry::File(id)) => id,
            None => state.next_file,
        };
        if !matches!(fate, Fate::Fails) {
            if id == state.next_file {
                state.next_file += 1;
                state.names.set(path, Entry::File(id))?;
            }
            state.files.entry(id).or_default().set_len(0);
        }
        let cuts = state.cuts;
        drop(state);
        fate.told().map(|()| self.file(id, cuts))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let fate = state.begin()?;
        if !matches!(fate, Fate::Fails) {
            state.names.rename(from, to)?;
        }
        fate.told()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let fate = state.begin()?;
        if !matches!(fate, Fate::Fails) {
            state.names.remove(path)?;
        }
        fate.told()
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        match state.begin()? {
            Fate::Done => state.names.sync(path),
            fate => fate.told(),
        }
    }
}

impl Fate {
    fn told(&self) -> io::Result<()> {
        match self {
            Self::Done => Ok(()),
            Self::PowerCut => Err(no_power()),
            Self::Fails => Err(device_error()),
        }
    }
}

impl ModelFile {
    /// Begins an operation on the file, and finds what is in it.
    fn begin<'a>(&self, state: &'a mut State) -> io::Result<(Fate, &'a mut Content)> {
        if state.cuts != self.cuts {
            return Err(no_power());
        }
        let fate = state.begin()?;
        // A file whose name was removed is there for as long as it is open.
        Ok((fate, state.files.entry(self.id).or_default()))
    }
}

impl StoredFile for ModelFile {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.lock();
        let free = state.faults.capacity.map(|max| max.saturating_sub(state.used()));
        let part = usize::try_from(state.rng.below(bytes.len() as u64 + 1)).unwrap_or(0);
        let (fate, content) = self.begin(&mut state)?;
        let at = usize::try_from(at).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let more =
            (at + bytes.len()).saturating_sub(usize::try_from(content.written()).unwrap_or(0));
        let missing =
            free.map_or(0, |free| more.saturating_sub(usize::try_from(free).unwrap_or(0)));
        match fate {
            Fate::Done if missing > 0 => {
                content.write(at, &bytes[..bytes.len() - missing.min(bytes.len())]);
                Err(io::ErrorKind::StorageFull.into())
            }
            Fate::Fails => {
                content.write(at, &bytes[..part]);
                Err(device_error())
            }
            fate => {
                content.write(at, bytes);
                fate.told()
            }
        }
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        let (fate, content) = self.begin(&mut state)?;
        if !matches!(fate, Fate::Fails) {
            content.set_len(usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?);
        }
        fate.told()
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.lock();
        let (fate, content) = self.begin(&mut state)?;
        match fate {
            Fate::Done => content.sync(),
            // Some of it may have been on its way: a cut decides, as of all that is not safe.
            Fate::PowerCut => {}
            Fate::Fails => content.lose(),
        }
        fate.told()
    }
}

impl Rng {
    /// Numbers that are the same for the same seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number (splitmix64).
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a limit; zero if that is zero.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next().checked_rem(limit).unwrap_or(0)
    }

    /// True once in so many times.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}
