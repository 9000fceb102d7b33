//! Names that do not meet: a version 4 UUID, drawn from the client's own seed.

use crate::client::Client;

impl Client {
    /// A UUID of version 4 drawn from this session's seed, in lower case with dashes: for names
    /// that must not meet, as Curator has them. Only as unpredictable as the seed is; see
    /// [`ConnectOptions::seed`](crate::ConnectOptions::seed).
    ///
    /// ```no_run
    /// # fn example(client: znode::Client) {
    /// assert_ne!(client.guid(), client.guid());
    /// assert_ne!(client.random(), client.random());
    /// # }
    /// ```
    pub fn guid(&self) -> String {
        uuid(self.random(), self.random())
    }
}

/// The beginning of a protected node's name, up to what it would be called without: `_c_<uuid>-`.
pub(super) fn protected(client: &Client) -> String {
    format!("_c_{}-", client.guid())
}

/// A UUID of version 4 in lower case with dashes, from 122 of 128 random bits.
fn uuid(high: u64, low: u64) -> String {
    let high = high & !0xf000 | 0x4000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    let node = low & 0xffff_ffff_ffff;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{node:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_says_its_version_and_variant_and_keeps_all_other_bits() {
        assert_eq!(uuid(0, 0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid(u64::MAX, u64::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(
            uuid(0x0123_4567_89ab_cdef, 0x0123_4567_89ab_cdef),
            "01234567-89ab-4def-8123-456789abcdef"
        );
    }
}
