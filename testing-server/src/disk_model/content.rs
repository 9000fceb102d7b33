//! The bytes of one file: as they are seen, and as they are safe.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Rng;

/// What a disk writes whole, or not at all.
const SECTOR_LEN: usize = 512;

/// The bytes of one file.
#[derive(Debug, Default)]
pub(super) struct Content {
    seen: Vec<u8>,
    safe: Vec<u8>,
    /// What was written since the last sync, by sector.
    dirty: BTreeMap<usize, Range<usize>>,
    /// Up to where there was ever written: padding takes no room.
    written: u64,
}

impl Content {
    /// What a reader sees.
    pub(super) fn seen(&self) -> &[u8] {
        &self.seen
    }

    /// How much room it takes.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Writes, and makes the file longer if need be.
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        if self.seen.len() < end {
            self.seen.resize(end, 0);
        }
        self.seen[at..end].copy_from_slice(bytes);
        self.written = self.written.max(end as u64);
        let mut from = at;
        while from < end {
            let sector = from / SECTOR_LEN;
            let to = end.min((sector + 1) * SECTOR_LEN);
            let dirty = self.dirty.entry(sector).or_insert(from..to);
            *dirty = dirty.start.min(from)..dirty.end.max(to);
            from = to;
        }
    }

    /// Cuts it, or adds zeros.
    pub(super) fn set_len(&mut self, len: usize) {
        self.seen.resize(len, 0);
        self.written = self.written.min(len as u64);
        self.dirty.retain(|_, dirty| dirty.start < len);
        for dirty in self.dirty.values_mut() {
            dirty.end = dirty.end.min(len);
        }
    }

    /// Makes what is seen safe.
    pub(super) fn sync(&mut self) {
        self.safe.resize(self.seen.len(), 0);
        for dirty in std::mem::take(&mut self.dirty).into_values() {
            self.safe[dirty.clone()].copy_from_slice(&self.seen[dirty]);
        }
    }

    /// Forgets that anything was not safe, though it is still seen: after a sync that has failed.
    pub(super) fn lose(&mut self) {
        self.dirty.clear();
    }

    /// The power goes: what was not safe is left to chance, sector by sector.
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        let lens = [self.safe.len(), self.seen.len()];
        self.safe.resize(lens[usize::from(rng.once_in(2))], 0);
        for dirty in std::mem::take(&mut self.dirty).into_values() {
            let fate = rng.below(8);
            if fate < 3 {
                continue;
            }
            if self.safe.len() < dirty.end {
                self.safe.resize(dirty.end, 0);
            }
            let sector = &mut self.safe[dirty.clone()];
            match fate {
                3..6 => sector.copy_from_slice(&self.seen[dirty]),
                6 => sector.fill(0),
                _ => sector.fill_with(|| rng.next().to_le_bytes()[0]),
            }
        }
        self.seen.clone_from(&self.safe);
    }
}
