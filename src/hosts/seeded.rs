//! Numbers that look random and follow from a seed.

/// A counter hashed with a seed (the SplitMix64 finaliser): the n-th number depends on nothing
/// but the seed and n, so a run replays.
#[derive(Debug, Clone)]
pub(crate) struct Seeded {
    seed: u64,
    drawn: u64,
}

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.drawn += 1;
        let mut z = self.seed.wrapping_add(self.drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Puts items into a random order (Fisher and Yates, from the end).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let bound = u64::try_from(last + 1).expect("a usize fits");
            let other = usize::try_from(self.below(bound)).expect("below a usize");
            items.swap(last, other);
        }
    }

    /// A number below `bound`, or 0 if that is 0. The bias is below 2⁻³² for the small bounds
    /// that hosts and milliseconds are.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_numbers_and_others_differ() {
        let draw = |seed| {
            let mut seeded = Seeded::new(seed);
            [seeded.next(), seeded.next(), seeded.below(10)]
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7)[..2], draw(8)[..2]);
        assert_eq!(Seeded::new(1).below(0), 0);
    }
}
