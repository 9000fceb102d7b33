//! An index of numbers by path: the paths themselves stay where the numbers lead.

use hashbrown::HashTable;

/// Hashes paths, with a seed so that strangers cannot choose names that collide.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PathHasher {
    /// Mixed into every hash. It never shows: no table is ever iterated.
    seed: u64,
}

/// Two odd constants with well spread bits (from the digits of pi).
const FOLD: u64 = 0x243f_6a88_85a3_08d3 | 1;
const STEP: u64 = 0x1319_8a2e_0370_7344 | 1;

impl PathHasher {
    /// A hasher whose results depend on `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed: seed ^ STEP }
    }

    /// The hash of `bytes`: eight bytes at a time through a folded multiplication.
    pub(crate) fn hash(self, bytes: &[u8]) -> u32 {
        let mut state = self.seed ^ (bytes.len() as u64).wrapping_mul(STEP);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            state = fold(state ^ u64::from_le_bytes(*word), FOLD);
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        state = fold(state ^ u64::from_le_bytes(last), FOLD ^ self.seed.rotate_left(23));
        high(fold(state, STEP))
    }
}

/// The two halves of the full product, folded together.
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    low(product) ^ low(product >> 64)
}

fn low(wide: u128) -> u64 {
    u64::try_from(wide & u128::from(u64::MAX)).expect("the mask leaves 64 bits")
}

fn high(wide: u64) -> u32 {
    u32::try_from(wide >> 32).expect("the shift leaves 32 bits")
}

/// Numbers by the hash of the path that they lead to.
///
/// An entry keeps its hash beside the number, so growing the table touches no node: with a million
/// nodes, that is the difference between ten milliseconds and hundreds.
#[derive(Debug)]
pub(crate) struct PathIndex {
    table: HashTable<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    id: u32,
    hash: u32,
}

/// Spreads a hash over all of the bits that the table looks at.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl PathIndex {
    /// An empty index.
    pub(crate) const fn new() -> Self {
        Self { table: HashTable::new() }
    }

    /// The number under `hash` for which `matches` holds.
    pub(crate) fn find(&self, hash: u32, mut matches: impl FnMut(u32) -> bool) -> Option<u32> {
        let entry =
            self.table.find(spread(hash), |entry| entry.hash == hash && matches(entry.id))?;
        Some(entry.id)
    }

    /// Adds a number that the index does not hold yet.
    pub(crate) fn insert(&mut self, hash: u32, id: u32) {
        let entry = Entry { id, hash };
        self.table.insert_unique(spread(hash), entry, |entry| spread(entry.hash));
    }

    /// Removes a number; nothing happens if the index does not hold it.
    pub(crate) fn remove(&mut self, hash: u32, id: u32) {
        if let Ok(found) = self.table.find_entry(spread(hash), |entry| entry.id == id) {
            found.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_depend_on_every_byte_and_on_the_seed() {
        let hasher = PathHasher::new(1);
        let paths = ["", "/", "/a", "/b", "/a\0", "/aaaaaaa", "/aaaaaaaa", "/aaaaaaab"];
        let mut hashes: Vec<u32> = paths.iter().map(|path| hasher.hash(path.as_bytes())).collect();
        hashes.push(PathHasher::new(2).hash(b"/a"));
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), paths.len() + 1);
    }

    #[test]
    fn numbers_under_equal_hashes_are_told_apart() {
        let mut index = PathIndex::new();
        (0..100).for_each(|id| index.insert(7, id));
        assert_eq!(index.find(7, |id| id == 42), Some(42));
        index.remove(7, 42);
        assert_eq!(index.find(7, |id| id == 42), None);
    }
}
