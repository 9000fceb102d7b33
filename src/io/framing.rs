//! Frames out of a byte stream: a length, then so many bytes.

use bytes::{Buf, Bytes, BytesMut};

/// The largest reply that is read. A server does not bound what it sends (the list of a million
/// children is some 20 MiB), so this is far above `jute.maxbuffer`; memory grows only as bytes
/// really arrive.
pub(super) const REPLY_LEN_MAX: usize = 64 * 1024 * 1024;

/// How much is read at once. A smaller buffer costs system calls under load, a larger one idle
/// memory.
const READ_LEN: usize = 16 * 1024;

/// Why a byte stream does not continue with a frame.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server announced a frame of {len} bytes; allowed are 0 to {REPLY_LEN_MAX}")]
pub(super) struct BadLength {
    len: i32,
}

/// Bytes that have come in and are not taken as frames yet.
#[derive(Debug, Default)]
pub(super) struct FrameReader {
    buffer: BytesMut,
}

impl FrameReader {
    /// Where the next bytes go; has room for more.
    pub(super) fn spare(&mut self) -> &mut BytesMut {
        self.buffer.reserve(READ_LEN);
        &mut self.buffer
    }

    /// Takes the next whole frame, if it is there.
    ///
    /// # Errors
    /// [`BadLength`]; the stream is of no use any more.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, BadLength> {
        let Some(length) = self.buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        let announced = i32::from_be_bytes(*length);
        let len = match usize::try_from(announced) {
            Ok(len) if len <= REPLY_LEN_MAX => len,
            _ => return Err(BadLength { len: announced }),
        };
        if self.buffer.len() < 4 + len {
            return Ok(None);
        }
        self.buffer.advance(4);
        Ok(Some(self.buffer.split_to(len).freeze()))
    }

    /// Gives the memory of a large reply back once everything was taken.
    pub(super) fn rest(&mut self) {
        if self.buffer.is_empty() && self.buffer.capacity() > 4 * READ_LEN {
            self.buffer = BytesMut::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_however_the_stream_is_cut() {
        let stream = [0, 0, 0, 2, 7, 8, 0, 0, 0, 0, 0, 0, 0, 1, 9];
        for cut in 0..=stream.len() {
            let mut reader = FrameReader::default();
            let mut frames = Vec::new();
            for part in [&stream[..cut], &stream[cut..]] {
                reader.spare().extend_from_slice(part);
                while let Some(frame) = reader.next().unwrap() {
                    frames.push(frame.to_vec());
                }
            }
            assert_eq!(frames, [vec![7, 8], vec![], vec![9]]);
        }
    }

    #[test]
    fn a_negative_or_huge_length_is_refused_and_allocates_nothing() {
        for length in [[0xff; 4], [0x7f, 0xff, 0xff, 0xff], *b"HTTP"] {
            let mut reader = FrameReader::default();
            reader.spare().extend_from_slice(&length);
            assert!(reader.next().is_err());
            assert!(reader.buffer.capacity() <= 2 * READ_LEN);
        }
    }
}
