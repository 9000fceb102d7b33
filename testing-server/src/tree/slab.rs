//! Values under small numbers: chunks that never move, and a list of free places.

/// How many values a chunk holds. Chunks, instead of one vector, because a vector that doubles
/// moves every node at once and leaves half of its memory unused.
const CHUNK_LEN: usize = 1024;

/// Values addressed by `u32`; a number is used again only after its value was removed.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    /// Each but the last is full; only the first one ever moves, while it grows.
    chunks: Vec<Vec<Option<T>>>,
    /// The numbers that are free, the most recently freed last.
    free: Vec<u32>,
    /// How many values are stored.
    len: usize,
}

impl<T> Slab<T> {
    /// An empty slab.
    pub(crate) const fn new() -> Self {
        Self { chunks: Vec::new(), free: Vec::new(), len: 0 }
    }

    /// Stores `value` and returns its number.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        self.len += 1;
        if let Some(id) = self.free.pop() {
            let (chunk, at) = place(id);
            self.chunks[chunk][at] = Some(value);
            return id;
        }
        if self.chunks.last().is_none_or(|last| last.len() == CHUNK_LEN) {
            self.chunks.push(Vec::with_capacity(self.next_chunk_len()));
        }
        let chunk = self.chunks.len() - 1;
        let last = &mut self.chunks[chunk];
        let id = chunk * CHUNK_LEN + last.len();
        last.push(Some(value));
        u32::try_from(id).expect("fewer than four thousand million values fit in memory")
    }

    /// The first chunk grows by doubling, so that a slab with one value costs next to nothing.
    fn next_chunk_len(&self) -> usize {
        if self.chunks.is_empty() { 0 } else { CHUNK_LEN }
    }

    /// Takes the value out and frees its number.
    pub(crate) fn remove(&mut self, id: u32) -> Option<T> {
        let (chunk, at) = place(id);
        let value = self.chunks.get_mut(chunk)?.get_mut(at)?.take()?;
        self.free.push(id);
        self.len -= 1;
        Some(value)
    }

    /// The value, if the number is in use.
    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        let (chunk, at) = place(id);
        self.chunks.get(chunk)?.get(at)?.as_ref()
    }

    /// The value, to change it.
    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        let (chunk, at) = place(id);
        self.chunks.get_mut(chunk)?.get_mut(at)?.as_mut()
    }

    /// A number that is greater than any that was ever given out.
    pub(crate) fn bound(&self) -> u32 {
        let full = self.chunks.len().saturating_sub(1) * CHUNK_LEN;
        let last = self.chunks.last().map_or(0, Vec::len);
        u32::try_from(full + last).expect("numbers are of this type")
    }

    /// How many values are stored.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Every value with its number, in the order of the numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let values = self.chunks.iter().flatten();
        (0..).zip(values).filter_map(|(id, value)| Some((id, value.as_ref()?)))
    }
}

impl<T> std::ops::Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, id: u32) -> &T {
        self.get(id).expect("whoever holds a number holds one that is in use")
    }
}

impl<T> std::ops::IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, id: u32) -> &mut T {
        self.get_mut(id).expect("whoever holds a number holds one that is in use")
    }
}

/// The chunk of a number, and its place in there.
fn place(id: u32) -> (usize, usize) {
    let id = id as usize;
    (id / CHUNK_LEN, id % CHUNK_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_number_is_used_again() {
        let mut slab = Slab::new();
        let ids: Vec<u32> = (0..3000).map(|value| slab.insert(value)).collect();
        assert_eq!(slab[ids[2500]], 2500);
        assert_eq!(slab.remove(ids[7]), Some(7));
        assert_eq!(slab.remove(ids[7]), None);
        assert_eq!(slab.get(ids[7]), None);
        assert_eq!(slab.insert(9), ids[7]);
        assert_eq!(slab.len(), 3000);
    }

    #[test]
    fn iteration_skips_what_is_free() {
        let mut slab = Slab::new();
        let first = slab.insert('a');
        slab.insert('b');
        slab.remove(first);
        assert_eq!(slab.iter().collect::<Vec<_>>(), [(1, &'b')]);
    }
}
